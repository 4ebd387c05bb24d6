"""Copies of tensors: other types, devices and orders of memory; writing constants and copies."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework import dtypes
from framework.cautions import caution_once
from framework.core.dispatch import apply
from framework.core.graph import Version
from framework.core.registry import function, op, variant
from framework.device import CPU, META, existing
from framework.device import device as Device
from framework.kernels import module_of, must_hold, to_device, waits
from framework.kernels.floats import cast
from framework.kernels.strided import overlaps
from framework.layout import contiguous_format, formatted, preserve_format
from framework.tensor import Tensor, tensor

__all__ = ["clone", "contiguous", "detach", "to"]


def _to_type(a: Any, dtype: Any) -> Any:
    """An array to be cast; of complex numbers for a real type the real parts, in PyTorch's words.

    PyTorch warns once in a program, NumPy at each call.
    """
    if a.dtype.kind != "c" or dtype.kind in "cb":
        return a
    caution_once("Casting complex values to real discards the imaginary part")
    return a.real


def _cast_kernel(a: Any, dtype: Any) -> Any:
    must_hold(dtype, a)
    a = _to_type(a, dtype)
    if a.flags.c_contiguous or 0 not in a.strides:
        return cast(a, dtype)
    return a.astype(dtype, order="C")  # repeated dimensions have no place in the order of strides


def _cast_back(g: Any, n: Any) -> Any:
    """In the type of the input. A real one has no part in the imaginary direction: no loss."""
    wanted = dtypes.from_numpy_dtype[n.dtype(0)]
    if g.dtype.category == dtypes.COMPLEX > wanted.category:
        g = g.real
    return g.to(wanted)


CAST = op(
    "to", _cast_kernel, "a", grad=(_cast_back,),
    samples=lambda s: [((s(3),), {"dtype": np.dtype(np.float64)})],
)  # fmt: skip
CLONE = op(
    "clone", lambda a, form=None: formatted(a, form), "a", grad=(lambda g: g,),
    samples=lambda s: [((s(3),), {})],
)  # fmt: skip
_TO_COPY = variant(CLONE, "ToCopy")
CONTIGUOUS = op(
    "contiguous", lambda a, form=None: formatted(a, form), "a", grad=(lambda g: g,),
    samples=lambda s: [((s(3, 2),), {})],
)  # fmt: skip


def _moved(a: Any, target: Device, source: Device, non_blocking: bool = False) -> Any:
    return to_device(a, target, non_blocking)


CLONE_TO = op(
    "to_device", _moved, "a",
    grad=(lambda g, n: g.to(n.meta["source"]),), moves=True,
    samples=lambda s: [((s(3),), {"target": CPU, "source": CPU})],
)  # fmt: skip
DETACH = op("detach", lambda a: a, "a")


def _copied(tensor: Tensor, target: Device, non_blocking: bool) -> Tensor:
    if tensor._device is META:
        raise NotImplementedError("Cannot copy out of meta tensor; no data!")
    if waits.mode:
        waits.transferred(tensor._device, target, non_blocking)
    late = {"non_blocking": True} if non_blocking else {}
    return apply(CLONE_TO, tensor, target=target, source=tensor._device, **late)


_DTYPES = (dtypes.dtype, type)  # ``float`` is torch.float64
_NUMBERS = {bool: dtypes.bool_, float: dtypes.float64, complex: dtypes.complex128}


@function(namespaces=(), method="to")
def to(
    self: Tensor, *args: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False,
    copy: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """This tensor with another dtype and / or on another device; itself if nothing changes.

    ``to(dtype)``, ``to(device)``, ``to(device, dtype)`` or ``to(other)``; TypeError for other
    arguments. Gradients flow back in the old type. Fractions are cut off for integers; an imaginary
    part is lost for real types.

    Args:
        non_blocking: go on while the device still reads pinned memory (`pin_memory`), which is not
            to be written before; other transfers are done, or read from a copy, when this returns.
        copy: a new tensor even if nothing changes.

    The shape stays. RuntimeError for a device that is not there.

    >>> import framework as torch
    >>> torch.tensor([1.5, 2.5]).to(torch.int64)
    tensor([1, 2])
    """
    if args:
        device, dtype, non_blocking, copy = _given(args, device, dtype, non_blocking, copy)
    result = self
    if device is not None and existing(device) is not result._device:
        result = _copied(result, existing(device), non_blocking)
    if dtype is not None and dtypes.to_dtype(dtype) is not result.dtype:
        result = apply(CAST, result, dtype=dtypes.to_dtype(dtype).numpy)
    form = None if memory_format is preserve_format else memory_format
    if form is not None and not result.is_contiguous(memory_format=form):
        return apply(_TO_COPY, result, form=form)
    return apply(_TO_COPY, result) if copy and result is self else result


# What `to` takes after a device, and after a dtype or a tensor.
_AFTER_DEVICE: tuple[Any, ...] = (((*_DTYPES, type(None)),), (bool,), (bool,))
_AFTER_KIND: tuple[Any, ...] = ((bool,), (bool,))


def _given(args: tuple[Any, ...], device: Any, dtype: Any, non_blocking: Any, copy: Any) -> Any:
    """Device, dtype, ``non_blocking`` and ``copy`` of what `to` was given by position.

    A number stands for a tensor of one, which has its type; an integer for a device.
    """
    first, *rest = args
    wanted: tuple[Any, ...]
    if first is None or (isinstance(first, (str, Device, int)) and not isinstance(first, bool)):
        wanted, taken = _AFTER_DEVICE, device is not None
        device = first
    elif isinstance(first, _DTYPES):
        wanted, taken = _AFTER_KIND, dtype is not None or device is not None
        dtype = first
    elif isinstance(first, (Tensor, bool, float, complex)):
        wanted, taken = _AFTER_KIND, dtype is not None or device is not None
        dtype = _NUMBERS[type(first)] if not isinstance(first, Tensor) else first.dtype
        device = first.device if isinstance(first, Tensor) else device
    else:
        wanted, taken = (), True
    fits = all(isinstance(a, kinds) for a, kinds in zip(rest, wanted))
    if taken or len(rest) > len(wanted) or not fits:
        raise TypeError(
            "to(): expected a device, a dtype or both, or a tensor, and up to two bools, but got "
            f"{', '.join(type(a).__name__ for a in args)}"
        )
    if wanted is _AFTER_DEVICE and rest:
        kind = rest.pop(0)
        if kind is not None and dtype is not None:
            raise TypeError("to(): the dtype was given twice")
        dtype = dtype if kind is None else kind
    late = rest[0] if rest else non_blocking
    return device, dtype, late, rest[1] if len(rest) > 1 else copy


def _converter(name: str, kind: dtypes.dtype, shown: str) -> None:
    def call(self: Tensor, *, memory_format: Any = None) -> Tensor:
        return to(self, kind, memory_format=memory_format)

    call.__name__ = name
    call.__doc__ = f"""This tensor as {kind.name}: ``to(torch.{kind.name})``.

    RuntimeError for a memory format of another number of dimensions.

    >>> import framework as torch
    >>> torch.tensor([0.5, 2.0]).{name}()
    tensor({shown})
    """
    function(namespaces=())(call)


# Name, type, and what [0.5, 2.0] becomes.
for _name, _kind, _shown in (
    ("float", dtypes.float32, "[0.5000, 2.0000]"),
    ("double", dtypes.float64, "[0.5000, 2.0000], dtype=torch.float64"),
    ("half", dtypes.float16, "[0.5000, 2.0000], dtype=torch.float16"),
    ("bfloat16", dtypes.bfloat16, "[0.5000, 2.0000], dtype=torch.bfloat16"),
    ("long", dtypes.int64, "[0, 2]"),
    ("int", dtypes.int32, "[0, 2], dtype=torch.int32"),
    ("short", dtypes.int16, "[0, 2], dtype=torch.int16"),
    ("char", dtypes.int8, "[0, 2], dtype=torch.int8"),
    ("byte", dtypes.uint8, "[0, 2], dtype=torch.uint8"),
    ("bool", dtypes.bool_, "[True, True]"),
    ("cfloat", dtypes.complex64, "[0.5000+0.j, 2.0000+0.j]"),
    ("cdouble", dtypes.complex128, "[0.5000+0.j, 2.0000+0.j], dtype=torch.complex128"),
):
    _converter(_name, _kind, _shown)


@function(namespaces=(), method="type")
def type_(self: Tensor, dtype: object = None, non_blocking: bool = False) -> Any:
    """The name of this tensor's type, or this tensor as another type.

    Args:
        dtype: a dtype, a class such as ``torch.FloatTensor`` or its name.

    The shape stays. ValueError for an unknown name, TypeError for what is no type.

    >>> import framework as torch
    >>> torch.ones(2).type(), torch.ones(2).type("torch.LongTensor")
    ('torch.FloatTensor', tensor([1, 1]))
    """
    from framework import legacy

    if dtype is None:
        return legacy.type_name(self)
    kind, place = legacy.parsed(dtype)
    return to(self, dtype=kind, device=place)


@function(namespaces=())
def type_as(self: Tensor, other: Tensor) -> Tensor:
    """This tensor in the dtype and on the device of ``other``; itself if it has both.

    The shape stays. TypeError for what is no tensor.

    >>> import framework as torch
    >>> torch.tensor([1.5, 2.0]).type_as(torch.tensor([1]))
    tensor([1, 2])
    """
    if not isinstance(other, Tensor):
        raise TypeError(
            "type_as(): argument 'other' (position 1) must be Tensor, not " + type(other).__name__
        )
    return to(self, other)


@function(namespaces=())
def cpu(self: Tensor, *, memory_format: Any = None) -> Tensor:
    """This tensor in host memory; itself if it is there.

    RuntimeError for a memory format of another number of dimensions.

    >>> import framework as torch
    >>> torch.zeros(2).cpu().device
    device(type='cpu')
    """
    return to(self, device=CPU, memory_format=memory_format)


@function(namespaces=())
def cuda(
    self: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None
) -> Tensor:
    """This tensor on a CUDA device (the current one unless given); RuntimeError without a GPU.

    Shape and dtype stay.

    >>> import framework as torch
    >>> x = torch.zeros(2)
    >>> x = x.cuda() if torch.cuda.is_available() else x
    >>> x.is_cuda == torch.cuda.is_available()
    True
    """
    place = "cuda" if device is None else device
    return to(self, device=place, non_blocking=non_blocking, memory_format=memory_format)


@function()
def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy that gradients flow through, in the same order of memory unless one is given.

    >>> import framework as torch
    >>> torch.zeros(2, 3).t().clone().stride()
    (1, 3)
    """
    if memory_format is None:
        return apply(CLONE, input)
    return apply(CLONE, input, form=memory_format)


@function(namespaces=())
def contiguous(self: Tensor, *, memory_format: Any = contiguous_format) -> Tensor:
    """This tensor in C order or in another memory format; itself if it is already.

    RuntimeError for a memory format of another number of dimensions.

    >>> import framework as torch
    >>> torch.zeros(2, 3).t().contiguous().stride()
    (2, 1)
    """
    if self.is_contiguous(memory_format=memory_format):
        return self
    form = contiguous_format if memory_format is preserve_format else memory_format
    return apply(CONTIGUOUS, self, form=form)


@function(method=False)
def detach(input: Tensor) -> Tensor:
    """The same memory without history: a leaf that wants no gradient.

    Writes to one show in the other, and autograd notices them.

    TypeError for what is no tensor. Shape and dtype stay.

    >>> import framework as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> x.detach()
    tensor([1., 2.])
    """
    if input._counter is None:
        input._counter = Version()
    out = apply(DETACH, input)
    if out._data is not input._data:
        out._data = input._data
    out._counter, out._base, out._edge, out._rg = input._counter, None, None, False
    return out


# -- writing in place ------------------------------------------------------------------------


def _fill_kernel(a: Any, value: Any) -> Any:
    if isinstance(value, (bool, int, float, complex)):
        value = dtypes.converted(value, dtypes.from_numpy_dtype[a.dtype])
    return module_of(a).full_like(a, value)


FILL = op(
    "fill", _fill_kernel, "a value", grad=(lambda g: g.new_zeros(g.shape), lambda g: g.sum()),
    samples=lambda s: [((s(3), 2.0), {})],
)  # fmt: skip


def _copy_kernel(a: Any, b: Any) -> Any:
    if b.ndim > a.ndim or (b.shape != a.shape and np.broadcast_shapes(a.shape, b.shape) != a.shape):
        whole = list(np.broadcast_shapes(a.shape, b.shape))
        raise ValueError(
            f"output with shape {list(a.shape)} doesn't match the broadcast shape {whole}"
        )
    return np.broadcast_to(_to_type(b, a.dtype), a.shape).astype(a.dtype)


COPY = op(
    "copy", _copy_kernel, "ab",
    grad=(lambda g: g.new_zeros(g.shape), lambda g: g),
    samples=lambda s: [((s(3, 2), s(2)), {})],
)  # fmt: skip


@function(method=False, inplace=True)
def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor like ``input`` with ``value`` (a number or a 0-d tensor) in every element.

    RuntimeError for a ``value`` with dimensions, or one that the type cannot hold.

    >>> import framework as torch
    >>> torch.fill(torch.zeros(2), 3)
    tensor([3., 3.])
    """
    if not isinstance(value, (Tensor, bool, int, float, complex, np.generic)):
        raise TypeError(
            "fill_(): argument 'value' (position 1) must be Number or Tensor, not "
            f"{type(value).__name__}"
        )
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(
            "fill only supports 0-dimension value tensor but got tensor with "
            f"{value.ndim} dimensions."
        )
    return apply(FILL, input, value)


@function(method=False, namespaces=(), inplace=True)
def zero(self: Tensor) -> Tensor:
    """Write zero into every element, in place; RuntimeError for a leaf that wants a gradient.

    >>> import framework as torch
    >>> torch.ones(2).zero_()
    tensor([0., 0.])
    """
    return apply(FILL, self, 0)


@function(method=False, namespaces=(), inplace=True)
def copy(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Write the elements of ``src`` (or a number), broadcast and cast to this type, in place.

    Gradients go back to ``src``. RuntimeError for a shape that does not broadcast to this tensor's,
    and for a leaf that wants a gradient.

    >>> import framework as torch
    >>> torch.zeros(2, 2).copy_(torch.tensor([1, 2]))
    tensor([[1., 2.],
            [1., 2.]])
    """
    if non_blocking is not True and non_blocking is not False:
        raise TypeError(
            "copy_(): argument 'non_blocking' (position 2) must be bool, not "
            f"{type(non_blocking).__name__}"
        )
    if not isinstance(src, Tensor):
        if not isinstance(src, (bool, int, float, complex)):
            raise TypeError(
                f"copy_(): argument 'other' (position 1) must be Tensor, not {type(src).__name__}"
            )
        src = tensor(src, device=self._device)
    if src is self and overlaps(self._data):  # nothing is written to where that is refused
        return self
    if src._device is not self._device:
        src = src.to(self._device, non_blocking=non_blocking)
    return apply(COPY, self, src)
