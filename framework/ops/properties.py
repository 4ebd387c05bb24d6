"""What a tensor is and where it lies, and the rarer ways to make and to change one.

Storages, shared and pinned memory, Python functions applied to each element.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from framework import dtypes, kernels, legacy, storage
from framework.core.exchange import check_settable, cpp_name, set_data
from framework.core.kinds import MISSING
from framework.core.registry import function
from framework.core.views import before_write, check_inplace
from framework.device import CPU, cuda_problem, existing
from framework.kernels import allocations, to_host
from framework.kernels.strided import memory_of
from framework.layout import in_order
from framework.tensor import Tensor, wrap

__all__ = ["dim_order", "get_device", "is_nonzero", "is_signed", "map_", "set_"]


# -- questions ---------------------------------------------------------------------------------


@function()
def is_signed(input: Tensor) -> bool:
    """Whether the dtype has negative numbers.

    >>> import framework as torch
    >>> torch.is_signed(torch.ones(1)), torch.is_signed(torch.ones(1, dtype=torch.uint8))
    (True, False)
    """
    return input.dtype.is_signed


@function()
def is_nonzero(input: Tensor) -> bool:
    """Whether the only element is not zero.

    Raises:
        RuntimeError: there is not exactly one element.

    Of any shape with one element.

    >>> import framework as torch
    >>> torch.is_nonzero(torch.tensor([0.0]))
    False
    """
    if input.numel() != 1:
        several = "no values" if not input.numel() else "more than one value"
        raise RuntimeError(f"Boolean value of Tensor with {several} is ambiguous")
    return bool(input.item())


@function()
def get_device(input: Tensor) -> int:
    """Index of the CUDA device, -1 on the CPU.

    Of any shape.

    >>> import framework as torch
    >>> torch.get_device(torch.zeros(2))
    -1
    """
    index = input._device.index
    return -1 if index is None else index


@function(namespaces=())
def is_shared(self: Tensor) -> bool:
    """Whether child processes share the memory; see `share_memory_`.

    Of any shape; it never raises.

    >>> import framework as torch
    >>> torch.zeros(2).is_shared()
    False
    """
    return storage.is_shared(self._data)


@function(namespaces=())
def is_pinned(self: Tensor, device: Any = None) -> bool:
    """Whether the memory is page-locked host memory; see `pin_memory`.

    Of any shape; it never raises.

    >>> import framework as torch
    >>> torch.zeros(2).is_pinned()
    False
    """
    return kernels.is_pinned(self._data)


@function(namespaces=())
def const_data_ptr(self: Tensor) -> int:
    """Address of the first element, for reading; the same as `data_ptr`.

    Of any shape; NotImplementedError for a sparse tensor.

    >>> import framework as torch
    >>> x = torch.zeros(2)
    >>> x.const_data_ptr() == x.data_ptr()
    True
    """
    return self.data_ptr()


@function(namespaces=())
def dim_order(self: Tensor, ambiguity_check: Any = False) -> tuple[int, ...]:
    """The dimensions in the order in which they lie in memory, outermost first.

    Args:
        ambiguity_check: True, or a list of memory formats to prefer: fail where several orders fit.

    RuntimeError where several orders fit and ``ambiguity_check`` asks for one, TypeError for a
    check of another kind.

    >>> import framework as torch
    >>> torch.zeros(2, 3).t().dim_order()
    (1, 0)
    """
    steps = [s if n > 1 and s else None for s, n in zip(self.stride(), self.shape)]
    if ambiguity_check is not False:
        formats = [] if ambiguity_check is True else ambiguity_check
        if not isinstance(formats, list):
            raise TypeError(
                "The ambiguity_check argument must be a bool or a list of memory formats."
            )
        several = None in steps or any(a == b for a, b in pairwise(self.stride()))
        if several and sum(in_order(self._data, f) for f in formats) != 1:
            raise RuntimeError(
                "The tensor does not have unique dim order, or cannot map to exact one of the "
                "given memory formats."
            )
    order = list(range(self.ndim))
    for d in range(1, self.ndim):  # those without a step stay where they are
        at = d
        for left in range(d - 1, -1, -1):
            mine, other = steps[order[at]], steps[order[left]]
            if mine is None or other is None:
                continue
            if other >= mine:
                break
            order[at], order[left] = order[left], order[at]
            at = left
    return tuple(order)


# -- memory ------------------------------------------------------------------------------------


@function(namespaces=())
def untyped_storage(self: Tensor) -> storage.UntypedStorage:
    """The memory that this tensor is a view of, as bytes.

    Of any shape; it has the bytes of the whole memory, also of what the view leaves out.

    >>> import framework as torch
    >>> torch.arange(4)[2:].untyped_storage().nbytes()
    32
    """
    return storage.storage_of(self)


@function(namespaces=(), method="storage")
def storage_(self: Tensor) -> storage.TypedStorage:
    """The memory that this tensor is a view of, as elements of its dtype.

    Of any shape; it has all elements of the memory, also those that the view leaves out.

    >>> import framework as torch
    >>> torch.arange(4)[2:].storage().size()
    4
    """
    return storage.TypedStorage(wrap_storage=storage.storage_of(self), dtype=self.dtype)


@function(namespaces=())
def storage_type(self: Tensor) -> Any:
    """The class of its storage.

    Of any shape.

    >>> import framework as torch
    >>> torch.zeros(2).storage_type().__name__
    'FloatStorage'
    """
    return storage.STORAGES[f"{dtypes.NAMES[self.dtype]}Storage"]


@function(namespaces=())
def set_(
    self: Tensor, source: Any = MISSING, storage_offset: int = 0, size: Any = None,
    stride: Any = None,
) -> Tensor:  # fmt: skip
    """Let this tensor be a view of another tensor's memory or of a storage; of none without one.

    Raises:
        TypeError: what is neither a tensor nor a storage.
        RuntimeError: another dtype, or more than the storage holds; in backward, for there is no
            derivative.

    The shape and strides are those given, or the other tensor's.

    >>> import framework as torch
    >>> x, y = torch.zeros(0), torch.tensor([1.0, 2.0, 3.0, 4.0])
    >>> x.set_(y.untyped_storage(), 1, (2,))
    tensor([2., 3.])
    """
    check_inplace(self)
    if not (source is MISSING or isinstance(source, Tensor) or storage.is_storage(source)):
        raise TypeError(
            f"set_(): argument 'source' (position 1) must be Tensor or Storage, not "
            f"{type(source).__name__}"
        )
    if source is MISSING:
        other = wrap(np.zeros(0, self._data.dtype))
    elif isinstance(source, Tensor) and size is None:
        other = source
    else:
        memory = source.untyped_storage() if isinstance(source, Tensor) else source
        if getattr(memory, "dtype", self.dtype) is not self.dtype:
            raise RuntimeError(
                f"Expected a Storage of type {cpp_name(self.dtype)} or an UntypedStorage, but got "
                f"type {dtypes.NAMES[memory.dtype]} for argument 1 'storage'"
            )
        other = storage.tensor_on(memory, storage_offset, size, stride, self.dtype)
        other._offset = storage_offset
    check_settable(self, other)
    set_data(self, other, other is source)
    return self


@function(namespaces=())
def share_memory_(self: Tensor) -> Tensor:
    """Move the elements into memory that child processes share; no effect on a GPU.

    All of the memory is moved that this tensor and what it is a view of lie in; other views made
    before keep the old memory. Strides stay.

    >>> import framework as torch
    >>> torch.zeros(2).share_memory_().is_shared()
    True
    """
    if storage.is_shared(self._data):
        return self
    memory = memory_of(self._data)
    moved = storage.shared_copy(memory)
    for tensor in {id(t): t for t in (self._base, self) if t is not None}.values():
        data = tensor._data
        start = data.__array_interface__["data"][0] - memory.__array_interface__["data"][0]
        tensor._data = np.ndarray(
            data.shape, data.dtype, moved, start if data.size else 0, data.strides
        )
    return self


@function(namespaces=())
def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """A copy in page-locked host memory, from which copies to a GPU are faster.

    Raises:
        RuntimeError: there is no GPU, or the tensor lies on one.

    Shape and dtype stay.

    >>> import framework as torch
    >>> x = torch.zeros(2)
    >>> if torch.cuda.is_available():
    ...     x = x.pin_memory()
    >>> x.is_pinned() == torch.cuda.is_available()
    True
    """
    if self._device is not CPU:
        raise RuntimeError(
            f"cannot pin '{legacy.type_name(self)}' only dense CPU tensors can be pinned"
        )
    problem = cuda_problem()
    if problem:
        raise RuntimeError(f"Cannot access accelerator device when none is available: {problem}")
    return wrap(kernels.pinned(self._data))


@function(namespaces=())
def record_stream(self: Tensor, stream: Any) -> None:
    """Say that a stream other than the one it was made in works with this tensor's memory.

    When all tensors of that memory are gone, it is given to others only after what the stream had
    to do until then. Of any shape and dtype; it never raises. Without a real CUDA device there is
    nothing to do.

    >>> import framework as torch
    >>> torch.zeros(2).record_stream(torch.Stream("cpu"))
    """
    theirs = getattr(stream, "_cupy", None)
    if theirs is not None and hasattr(self._data, "__cuda_array_interface__"):
        allocations.hold(self._data.data.mem, theirs)


@function(namespaces=())
def new(self: Tensor, *args: Any, device: Any = None) -> Tensor:
    """The older constructor (sizes, data, a storage, ...) with this tensor's dtype and device.

    TypeError for text, ValueError for a negative length.

    >>> import framework as torch
    >>> x = torch.zeros(2, dtype=torch.float64)
    >>> x.new([1, 2]), x.new(2, 3).shape
    (tensor([1., 2.], dtype=torch.float64), torch.Size([2, 3]))
    """
    place = self._device if device is None else existing(device)
    return legacy.make(args, self.dtype, place)


# -- Python functions over elements ------------------------------------------------------------


def _map(self: Tensor, others: tuple[Tensor, ...], call: Callable[..., Any], name: str) -> Tensor:
    if self._device is not CPU:
        raise TypeError(f"{name} is only implemented on CPU tensors")
    if self.requires_grad:
        raise RuntimeError(
            f"Can't call {name}() on Variable that requires grad. Use var.detach().{name}() "
            "instead."
        )
    for t in others:
        if t.dtype is not self.dtype:
            raise TypeError(
                f"{name}(): expected {dtypes.NAMES[self.dtype]} tensors, but got "
                f"{dtypes.NAMES[t.dtype]}"
            )
    columns = [np.broadcast_to(to_host(t._data), self._data.shape).ravel() for t in (self, *others)]
    values = [call(*row) for row in zip(*[c.tolist() for c in columns])]
    before_write(self)
    self._data[...] = np.array(values).reshape(self._data.shape).astype(self._data.dtype)
    return self


@function(namespaces=())
def apply_(self: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Replace each element by a Python function of it; slow.

    TypeError on a GPU, RuntimeError for a tensor that wants a gradient.

    >>> import framework as torch
    >>> torch.tensor([1.0, 4.0]).apply_(lambda x: x + 1)
    tensor([2., 5.])
    """
    return _map(self, (), callable, "apply_")


@function(namespaces=())
def map_(self: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Replace each element by a Python function of it and of the other tensor's; slow.

    The other tensor broadcasts. Errors as of `apply_`, and a TypeError if it has another type.

    >>> import framework as torch
    >>> torch.tensor([1.0, 4.0]).map_(torch.tensor([2.0, 3.0]), max)
    tensor([2., 4.])
    """
    return _map(self, (tensor,), callable, "map_")


@function(namespaces=())
def map2_(self: Tensor, x: Tensor, y: Tensor, callable: Callable[[Any, Any, Any], Any]) -> Tensor:
    """Replace each element by a Python function of it and two other tensors': `map_` with two.

    >>> import framework as torch
    >>> x, y = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
    >>> torch.zeros(2).map2_(x, y, lambda old, a, b: a * b)
    tensor([3., 8.])
    """
    return _map(self, (x, y), callable, "map2_")
