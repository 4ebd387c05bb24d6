"""Making tensors: constants, memory of a given order, and others like them; see also `ranges`.

A creation is an op without inputs, so that the trace shows where a tensor came from. They share
PyTorch's options: ``out`` (a tensor to write into), ``dtype``, ``layout`` (strided), ``device``
(the default device unless given), ``pin_memory`` (page-locked host memory, for which there must be
a CUDA device) and ``requires_grad``. Tensors of data that others made are in `adopted`.
"""

from __future__ import annotations

import operator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from framework import dtypes
from framework.core import dispatch
from framework.core.dispatch import apply
from framework.core.kinds import MISSING
from framework.core.out import into
from framework.core.registry import Op, function, op
from framework.device import CPU, META, cuda_problem, default, existing, is_fake_cuda
from framework.kernels import must_hold, on, pinned, to_device, to_host
from framework.kernels.coo import CooArray
from framework.kernels.cuda import kernel_named
from framework.kernels.meta import creation_without_numbers, meta_array
from framework.layout import laid_out, preserve_format, strided
from framework.tensor import Tensor, tensor, warn_of_copy, wrap

__all__ = [
    "add_likes", "create", "empty", "eye", "full", "in_pinned_memory", "kind_of", "like", "number",
    "ones", "only_strided", "shape_of", "zeros",
]  # fmt: skip


# -- what creations share ----------------------------------------------------------------------


def shape_of(args: tuple[Any, ...], size: Any = None) -> tuple[int, ...]:
    """A shape from ``(2, 3)``, ``((2, 3),)`` or the keyword ``size``.

    Raises:
        RuntimeError: a negative length.
        TypeError: a length that is no integer.
    """
    if size is not None:
        if not isinstance(size, (tuple, list)):
            raise TypeError(f"argument 'size' must be tuple of ints, not {type(size).__name__}")
        args = (size,)
    elif not args:
        raise TypeError('missing 1 required positional arguments: "size"')
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = tuple(args[0])
    for n in args:
        if n.__class__ is not int or n < 0:
            return _odd_shape(args)
    return args


def _odd_shape(args: tuple[Any, ...]) -> tuple[int, ...]:
    """Lengths that are no plain ints, such as NumPy's, or are wrong."""
    for i, n in enumerate(args):
        if isinstance(n, bool) or not hasattr(n, "__index__"):
            raise TypeError(
                f"argument 'size' (position 1) must be tuple of ints, but found element of type "
                f"{type(n).__name__} at pos {i}"
            )
    shape = tuple([operator.index(n) for n in args])
    for n in shape:
        if n < 0:
            raise RuntimeError(
                f"Trying to create tensor with negative dimension {n}: {list(shape)}"
            )
    return shape


def only_strided(layout: Any) -> None:
    """Refuse sparse layouts."""
    if layout is not None and layout is not strided:
        raise RuntimeError(f"layout {layout} is not supported; tensors are strided here")


def create(
    record: Any, out: Any, dtype: Any, layout: Any, device: Any, requires_grad: bool,
    usual: Any = None, pin_memory: bool = False, **meta: Any,
) -> Tensor:  # fmt: skip
    """Run a creation op; ``usual`` is the dtype if none is given, the default one unless given."""
    if layout is not None:
        only_strided(layout)
    if out is not None:
        return _into(record, out, dtype, meta)
    kind = dtypes.to_dtype(dtype) if dtype is not None else usual or dtypes.get_default_dtype()
    target = default.device if device is None else existing(device)
    if target is META:
        record = _without_memory(record)
    made = _made(record, target, dtype=kind.numpy, **meta)
    if pin_memory:
        made = in_pinned_memory(made)
    return made.requires_grad_() if requires_grad else made


def in_pinned_memory(made: Tensor) -> Tensor:
    """A tensor just made, in page-locked host memory; RuntimeError where there is none."""
    if made._device is not CPU or made.is_sparse:
        raise RuntimeError("Only dense CPU tensors can be pinned")
    if cuda_problem():
        raise RuntimeError(
            "pin_memory=True requires a CUDA or other accelerator backend; no pinned memory "
            f"allocator is available on this system: {cuda_problem()}"
        )
    made._data = pinned(made._data)
    return made


def _into(record: Any, out: Any, dtype: Any, meta: dict[str, Any]) -> Tensor:
    if not isinstance(out, Tensor):
        raise TypeError(f"{record.name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if dtype is not None and dtypes.to_dtype(dtype) is not out.dtype:
        raise RuntimeError(
            f"dtype {dtypes.to_dtype(dtype)} does not match dtype of out parameter ({out.dtype})"
        )
    record = _without_memory(record) if out._device is META else record
    made = _made(record, out._device, dtype=out.dtype.numpy, **meta)
    into(out, made, record.name)
    return out


def _made(record: Op, target: Any, **meta: Any) -> Tensor:
    """The result of a creation op on a device."""
    if target is CPU or target is META:
        made: Tensor = apply(record, **meta)
        return made if target is CPU else wrap(made._data, target)
    made = apply(_there(record), target=target, **meta)
    return made


@cache
def _there(record: Op) -> Op:
    """A creation op whose result lies on the device ``target``, made there if that can be done."""
    name, own = record.name, kernel_named(record.name)

    def kernel(target: Any, **meta: Any) -> Any:
        must_hold(meta["dtype"], target)
        found = own(target, **meta) if own is not None else None
        if found is None and name in _FILLS and not is_fake_cuda():
            import cupy

            with on(target):
                found = _FILLS[name](cupy, **meta)
        return to_device(record.kernel(**meta), target) if found is None else found

    return replace(record, kernel=kernel, moves=True, variants=[])


# What CuPy makes without numbers that come from the host.
_FILLS: dict[str, Any] = {
    "zeros": lambda xp, shape, dtype: xp.zeros(shape, dtype),
    "ones": lambda xp, shape, dtype: xp.ones(shape, dtype),
    "full": lambda xp, shape, value, dtype: xp.full(
        shape, dtypes.converted(value, dtypes.from_numpy_dtype[dtype])[()], dtype
    ),
}


@cache
def _without_memory(record: Op) -> Op:
    """A creation op that makes meta arrays, and takes no random numbers."""

    def kernel(dtype: Any, **meta: Any) -> Any:
        shape = meta.get("shape", (meta["count"],) if "count" in meta else None)
        if shape is None:  # what is small enough to be made
            return creation_without_numbers(record.kernel, dtype, meta)
        creation_without_numbers(record.kernel, dtype, {**meta, **_nothing(meta)})  # may refuse
        steps = meta.get("stride")
        return meta_array(shape, dtype, steps and tuple([s * dtype.itemsize for s in steps]))

    return replace(record, kernel=kernel, variants=[])


def _nothing(meta: dict[str, Any]) -> dict[str, Any]:
    """Metadata for no elements."""
    if "shape" not in meta:
        return {"count": 0}
    return {"shape": (0,), **({"stride": (1,)} if "stride" in meta else {})}


def kind_of(out: Any, dtype: Any, usual: dtypes.dtype) -> dtypes.dtype:
    """The dtype that `create` will give a tensor."""
    if isinstance(out, Tensor):
        return out.dtype
    return usual if dtype is None else dtypes.to_dtype(dtype)


def number(value: Any, name: str = "") -> Any:
    """A Python number from a number or a tensor of one."""
    if isinstance(value, Tensor):
        if name and value.ndim:
            raise RuntimeError(
                f"{name} only supports 0-dimensional start and end tensors, but got start with "
                f"{value.ndim} dimension(s)."
            )
        if name and value.is_meta:  # nothing of the result's looks depends on it
            return 0j if value.is_complex() else 0.0
        return value.item()
    return value.item() if isinstance(value, np.generic) else value


# -- constants ---------------------------------------------------------------------------------


def _full_kernel(shape: Any, value: Any, dtype: Any) -> Any:
    return np.full(shape, dtypes.converted(value, dtypes.from_numpy_dtype[dtype]))


FULL = op("full", _full_kernel, "")
ZEROS = op("zeros", lambda shape, dtype: np.zeros(shape, dtype), "")
ONES = op("ones", lambda shape, dtype: np.ones(shape, dtype), "")
EYE = op("eye", lambda n, m, dtype: np.eye(n, m, dtype=dtype), "")


@function(method=False)
def zeros(
    *args: Any, size: Any = None, out: Any = None, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Zeros of a shape: ``zeros(2, 3)``, ``zeros((2, 3))``.

    Of the default dtype unless another one is given. RuntimeError for a negative length, TypeError
    for one that is no integer.

    >>> import framework as torch
    >>> torch.zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    try:
        shape = shape_of(args, size)
    except RuntimeError:
        raise RuntimeError("zeros: Dimension size must be non-negative.") from None
    return create(
        ZEROS, out, dtype, layout, device, requires_grad, shape=shape, pin_memory=pin_memory
    )


@function(method=False)
def ones(
    *args: Any, size: Any = None, out: Any = None, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Ones of a shape.

    Of the default dtype unless another one is given. RuntimeError for a negative length.

    >>> import framework as torch
    >>> torch.ones(3, dtype=torch.int64)
    tensor([1, 1, 1])
    """
    shape = shape_of(args, size)
    return create(
        ONES, out, dtype, layout, device, requires_grad, shape=shape, pin_memory=pin_memory
    )


@function(method=False)
def empty(
    *args: Any, size: Any = None, out: Any = None, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """A tensor whose contents do not matter; zeros here, so that runs repeat exactly.

    Of the default dtype unless another one is given. RuntimeError for a negative length.

    >>> import framework as torch
    >>> torch.empty(2, 3).shape
    torch.Size([2, 3])
    """
    shape = shape_of(args, size)
    if memory_format is preserve_format:
        raise RuntimeError("unsupported memory format option Preserve")
    made = create(ZEROS, out, dtype, layout, device, requires_grad, shape=shape)
    if memory_format is not None and out is None:
        made._data = laid_out(made._data, made._data, memory_format)
    return in_pinned_memory(made) if pin_memory else made


@function(method=False)
def full(
    size: Any, fill_value: Any, *, out: Any = None, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``fill_value`` in every element; the dtype follows from it unless given.

    int64 of an int, bool of a bool, the default dtype of a float. RuntimeError for a negative
    length, or an integer dtype that does not hold the value.

    >>> import framework as torch
    >>> torch.full((2, 2), 7)
    tensor([[7, 7],
            [7, 7]])
    """
    value = number(fill_value)
    if not isinstance(size, (tuple, list)):
        raise TypeError(
            f"full(): argument 'size' (position 1) must be tuple of ints, not {type(size).__name__}"
        )
    usual = dtypes.scalar_dtype(value)
    shape = shape_of((size,))
    return create(FULL, out, dtype, layout, device, requires_grad, usual,
                  shape=shape, value=value, pin_memory=pin_memory)  # fmt: skip


@function(method=False)
def scalar_tensor(
    s: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A number as a 0-d tensor, of the default dtype unless another one is given.

    RuntimeError for a dtype that does not hold the number.

    >>> import framework as torch
    >>> torch.scalar_tensor(3)
    tensor(3.)
    """
    value, kind = number(s), kind_of(None, dtype, dtypes.get_default_dtype())
    if kind in (dtypes.float16, dtypes.bfloat16) and not isinstance(value, complex):
        value = float(dtypes.assigned(value, kind))
    return create(FULL, None, dtype, layout, device, requires_grad,
                  shape=(), value=value, pin_memory=pin_memory)  # fmt: skip


@function(method=False)
def eye(
    n: int, m: int = MISSING, *, out: Any = None, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Ones on the diagonal of an n x m matrix of zeros.

    ``m`` is ``n`` unless given; of the default dtype unless another one is. RuntimeError for a
    negative length.

    >>> import framework as torch
    >>> torch.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    for name, length in (("n", n), ("m", m)):
        if length is not MISSING and length < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {length}")
    m = n if m is MISSING else m
    return create(
        EYE, out, dtype, layout, device, requires_grad, n=int(n), m=int(m), pin_memory=pin_memory
    )


# -- memory of a given order -------------------------------------------------------------------


def _strided_kernel(shape: Any, stride: Any, dtype: Any) -> Any:
    reach = 0 if 0 in shape else 1 + sum((n - 1) * s for n, s in zip(shape, stride))
    steps = [s * dtype.itemsize for s in stride]
    return np.lib.stride_tricks.as_strided(np.zeros(reach, dtype), shape, steps)


STRIDED = op("empty_strided", _strided_kernel, "")


@function(method=False)
def empty_strided(
    size: Any, stride: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """`empty` with given strides (in elements).

    RuntimeError for a negative stride, or another number of strides than of lengths.

    >>> import framework as torch
    >>> torch.empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    shape, steps = shape_of((size,)), tuple([int(s) for s in stride])
    if len(shape) != len(steps):
        raise RuntimeError(
            f"mismatch in length of strides and shape. Got strides of length {len(steps)} and "
            f"shape of length {len(shape)}"
        )
    if any(s < 0 for s in steps):
        raise RuntimeError("as_strided: Negative strides are not supported at the moment")
    return create(STRIDED, None, dtype, layout, device, requires_grad,
                  shape=shape, stride=steps, pin_memory=pin_memory)  # fmt: skip


@function(method=False)
def empty_permuted(
    size: Any, physical_layout: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """`empty` whose dimensions lie in memory in the order ``physical_layout``, outermost first.

    RuntimeError unless ``physical_layout`` names each dimension once.

    >>> import framework as torch
    >>> torch.empty_permuted((2, 3, 5), (0, 2, 1)).stride()
    (15, 1, 3)
    """
    shape, order = shape_of((size,)), [int(d) for d in physical_layout]
    if len(order) != len(shape):
        raise RuntimeError(
            "Number of dimensions in size does not match the length of the physical_layout; "
            f"i.e. len(size) = {len(shape)} is not equal to len(physical_layout) = {len(order)}"
        )
    if sorted(order) != list(range(len(shape))):
        wrong = next((d for d in order if not 0 <= d < len(shape)), None)
        raise RuntimeError(
            "Duplicate dim not allowed" if wrong is None else
            f"Dimension out of range (expected to be between 0 and {len(shape) - 1}, but got "
            f"{wrong} at index {order.index(wrong)}). NB: negative dims not currently supported; "
            "file an issue if you want it."
        )  # fmt: skip
    steps, step = [0] * len(shape), 1
    for d in reversed(order):
        steps[d], step = step, step * max(shape[d], 1)
    return empty_strided(
        shape, steps, dtype=dtype, layout=layout, device=device, requires_grad=requires_grad,
        pin_memory=pin_memory,
    )  # fmt: skip


@function(namespaces=())
def new_empty_strided(
    self: Tensor, size: Any, stride: Any, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """`empty_strided` with the dtype and device of this tensor, unless others are given.

    RuntimeError for a negative length, or another number of strides than dimensions.

    >>> import framework as torch
    >>> torch.zeros(1, dtype=torch.int8).new_empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    return empty_strided(size, stride, dtype=dtype or self.dtype, layout=layout,
                         device=device or self.device, requires_grad=requires_grad,
                         pin_memory=pin_memory)  # fmt: skip


# -- like another tensor -----------------------------------------------------------------------


def like(made: Tensor, input: Tensor, memory_format: Any) -> Tensor:
    """A tensor just made, with its memory in the order of ``input``'s or in a given one."""
    array = input._data
    given = memory_format is not None and memory_format is not preserve_format
    if not given and (input.is_sparse or array.flags.c_contiguous or 0 in array.strides):
        return made
    made._data = laid_out(made._data, array, memory_format)
    return made


def add_likes(make: Any, name: str, printed: str = "") -> None:
    """Publish ``NAME_like`` and, unless it is random, ``Tensor.new_NAME`` for a creation.

    Args:
        printed: two elements of float64 as the examples print them; else they show the dtype.
    """
    shown = printed or "torch.float64"
    ask = "" if printed else ".dtype"

    def call(
        input: Tensor, *, dtype: Any = None, layout: Any = None, device: Any = None,
        pin_memory: bool = False, requires_grad: bool = False, memory_format: Any = None,
        generator: Any = None,
    ) -> Tensor:  # fmt: skip
        if dispatch.interposer is not None and hasattr(input, f"_new_{name}"):
            return getattr(input, f"_new_{name}")(input.shape, dtype=dtype or input.dtype)
        if isinstance(input._data, CooArray) and layout is None and name in ("zeros", "empty"):
            none = wrap(input._data.emptied(), input._device)
            return none.to(device, dtype or input.dtype).requires_grad_(requires_grad)
        more = {} if generator is None else {"generator": generator}
        made = make(
            input.shape, dtype=dtype or input.dtype, layout=layout, device=device or input.device,
            requires_grad=requires_grad, **more,
        )  # fmt: skip
        made = like(made, input, memory_format)
        return in_pinned_memory(made) if pin_memory else made

    call.__name__ = f"{name}_like"
    call.__doc__ = f"""`{name}` with the shape, dtype, device and memory order of ``input``.

    Each of them can be given instead; the order as ``memory_format``.

    >>> import framework as torch
    >>> x = torch.tensor([5.0, 6.0], dtype=torch.float64)
    >>> torch.{name}_like(x){ask}
    {shown}
    """
    function(method=False)(call)
    if name.startswith("rand"):
        return

    def new(
        self: Tensor, *args: Any, size: Any = None, dtype: Any = None, device: Any = None,
        **options: Any,
    ) -> Tensor:  # fmt: skip
        shape = shape_of(args, size)
        return make(shape, dtype=dtype or self.dtype, device=device or self.device, **options)

    new.__name__ = f"new_{name}"
    new.__doc__ = f"""`{name}` of a shape, with the dtype and device of this tensor, unless given.

    RuntimeError for a negative length, TypeError for one that is no integer.

    >>> import framework as torch
    >>> x = torch.tensor(5.0, dtype=torch.float64)
    >>> x.new_{name}(2){ask}
    {shown}
    """
    function(namespaces=())(new)


add_likes(zeros, "zeros", "tensor([0., 0.], dtype=torch.float64)")
add_likes(ones, "ones", "tensor([1., 1.], dtype=torch.float64)")
add_likes(empty, "empty")


@function(method=False)
def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """`full` with the shape, dtype, device and memory order of ``input``, unless others are given.

    >>> import framework as torch
    >>> torch.full_like(torch.zeros(2, 2), 7)
    tensor([[7., 7.],
            [7., 7.]])
    """
    if dispatch.interposer is not None and hasattr(input, "_new_zeros"):  # inside of vmap
        return input.new_full(input.shape, fill_value, dtype=dtype or input.dtype)
    made = full(input.shape, fill_value, dtype=dtype or input.dtype, layout=layout,
                device=device or input.device, requires_grad=requires_grad)  # fmt: skip
    made = like(made, input, memory_format)
    return in_pinned_memory(made) if pin_memory else made


@function(namespaces=())
def new_full(self: Tensor, size: Any, fill_value: Any, **options: Any) -> Tensor:
    """`full` of a shape, with the dtype and device of this tensor, unless others are given.

    RuntimeError for a negative length, TypeError for a value that is no number.

    >>> import framework as torch
    >>> torch.zeros(1, dtype=torch.int64).new_full((2,), 7)
    tensor([7, 7])
    """
    return full(size, fill_value, **{"dtype": self.dtype, "device": self.device, **options})


@function(namespaces=())
def new_tensor(self: Tensor, data: Any, **options: Any) -> Tensor:
    """`tensor` of ``data`` (always copied) with the dtype and device of this tensor, unless given.

    Of the shape of ``data``. TypeError for text, ValueError for lists of different lengths side
    by side.

    >>> import framework as torch
    >>> torch.zeros(1, dtype=torch.float64).new_tensor([1, 2])
    tensor([1., 2.], dtype=torch.float64)
    """
    if isinstance(data, Tensor):
        warn_of_copy("tensor.new_tensor")
        data = to_host(data._data)
    return tensor(data, **{"dtype": self.dtype, "device": self.device, **options})
