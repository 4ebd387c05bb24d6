"""Storages: the memory behind tensors, as bytes or as elements of one type.

A tensor is a view (shape, strides, offset) of a storage; tensors with the same storage share
memory. Storages cannot change their size here: the memory belongs to arrays.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

from framework import dtypes
from framework.core import dispatch
from framework.device import CPU, META, existing
from framework.device import device as Device
from framework.kernels import to_device, to_host
from framework.kernels.strided import reach, storage_bytes, strided

__all__ = ["STORAGES", "TypedStorage", "UntypedStorage", "is_storage", "shared_copy", "storage_of"]


def storage_of(tensor: Any) -> UntypedStorage:
    """The storage that a tensor is a view of."""
    array, before = tensor._data, tensor.storage_offset()
    length = before + storage_bytes(array) // array.itemsize
    flat = strided(array, (length,), (1,), -before)
    return UntypedStorage._of(flat.view(np.uint8), tensor._device)


def shared_copy(array: np.ndarray) -> np.ndarray:
    """A copy in memory that child processes share instead of getting a copy of it."""
    memory = np.frombuffer(mmap.mmap(-1, max(array.nbytes, 1)), np.uint8)
    copy = memory[: array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def is_shared(array: Any) -> bool:
    """Whether an array lies in such memory (memory of a GPU always counts as shared)."""
    if not isinstance(array, np.ndarray):
        return True
    while isinstance(array.base, np.ndarray):
        array = array.base
    return isinstance(getattr(array.base, "obj", array.base), mmap.mmap)


class _Storage:
    """What both kinds of storages have in common; ``_items`` is a flat array."""

    _items: Any
    _device: Device

    @property
    def device(self) -> Device:
        return self._device

    @property
    def is_cuda(self) -> bool:
        return self._device.type == "cuda"

    def __len__(self) -> int:
        return int(self._items.size)

    def size(self) -> int:
        """Number of elements (bytes of an untyped one)."""
        return len(self)

    def nbytes(self) -> int:
        """Number of bytes."""
        return int(self._items.nbytes)

    def element_size(self) -> int:
        """Bytes of an element."""
        return int(self._items.itemsize)

    def data_ptr(self) -> int:
        """Address of the first byte; equal for tensors that share memory, 0 on meta."""
        items = self._items
        if self._device is META:
            return 0
        return items.ctypes.data if isinstance(items, np.ndarray) else items.data.ptr

    def tolist(self) -> list[Any]:
        """The elements as a list."""
        items = to_host(self._items)
        return (items.astype(np.float32) if items.dtype.kind == "V" else items).tolist()

    def __iter__(self) -> Any:
        return iter(self.tolist())

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._like(self._items[index])
        return self._like(self._items[index : index + 1 or None]).tolist()[0]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._items[index] = value

    def fill_(self, value: Any) -> Any:
        """Write ``value`` into every element."""
        self._items[...] = value
        return self

    def copy_(self, source: Any, non_blocking: bool = False) -> Any:
        """Write the elements of another storage of the same length."""
        if len(source) != len(self):
            raise RuntimeError(
                f"size does not match, self was {len(self)} and src was {len(source)}"
            )
        self._items[...] = to_device(source._items, self._device)
        return self

    def clone(self) -> Any:
        """A copy with memory of its own."""
        return self._like(self._items.copy())

    def cpu(self) -> Any:
        """This storage in host memory."""
        return self if self._device is CPU else self._like(to_host(self._items), CPU)

    def cuda(self, device: Any = None, non_blocking: bool = False) -> Any:
        """A copy on a CUDA device."""
        target = existing("cuda" if device is None else device)
        if target is self._device:
            return self
        return self._like(to_device(self._items, target), target)

    def is_shared(self) -> bool:
        """Whether child processes share the memory."""
        return is_shared(self._items)

    def share_memory_(self) -> Any:
        """Move it into memory that child processes share; tensors keep the old one."""
        if not self.is_shared():
            self._items = shared_copy(self._items)
        return self

    def get_device(self) -> int:
        """Index of the CUDA device, -1 on the CPU."""
        return -1 if self._device.index is None else self._device.index

    def resizable(self) -> bool:
        return False

    def resize_(self, size: int) -> Any:
        """Only to the size that it has."""
        if size != len(self):
            raise RuntimeError("Trying to resize storage that is not resizable")
        return self

    def _like(self, items: Any, place: Device | None = None) -> Any:
        raise NotImplementedError


class UntypedStorage(_Storage):
    """Bytes: ``UntypedStorage(10)``, ``UntypedStorage([1, 2])`` or of a tensor.

    >>> import framework as torch
    >>> s = torch.zeros(2).untyped_storage()
    >>> len(s), s.device
    (8, device(type='cpu'))
    """

    def __init__(self, *args: Any, device: Any = None) -> None:
        content = args[0] if args else 0
        self._device = existing("cpu" if device is None else device)
        items = np.zeros(content, np.uint8) if isinstance(content, int) else (
            np.array(list(content), np.uint8)
        )  # fmt: skip
        self._items = items if self._device is CPU else to_device(items, self._device)

    @classmethod
    def _of(cls, items: Any, place: Device) -> UntypedStorage:
        made = cls.__new__(cls)
        made._items, made._device = items, place
        return made

    def _like(self, items: Any, place: Device | None = None) -> UntypedStorage:
        return UntypedStorage._of(items, place or self._device)

    def __repr__(self) -> str:
        return _text(self, f"torch.storage.UntypedStorage(device={self._device})")


class _Kind(type):
    """Of the older storage classes: storages of a dtype, whoever made them."""

    dtype: dtypes.dtype | None = None

    def __instancecheck__(cls, value: Any) -> bool:
        if cls.dtype is None:
            return type.__instancecheck__(cls, value)
        return type(value) is TypedStorage and value.dtype is cls.dtype

    def __call__(cls, *args: Any, dtype: Any = None, device: Any = None, **options: Any) -> Any:
        made = TypedStorage.__new__(TypedStorage)
        TypedStorage.__init__(made, *args, dtype=cls.dtype or dtype, device=device, **options)
        return made


class TypedStorage(_Storage, metaclass=_Kind):
    """Elements of one type: ``TypedStorage([1, 2], dtype=torch.float32)`` or of a tensor.

    >>> import framework as torch
    >>> torch.tensor([1.0, 2.0]).storage().tolist()
    [1.0, 2.0]
    """

    def __init__(
        self, *args: Any, wrap_storage: Any = None, dtype: Any = None, device: Any = None
    ) -> None:
        self.dtype = dtypes.get_default_dtype() if dtype is None else dtypes.to_dtype(dtype)
        if wrap_storage is not None:
            self._device = wrap_storage._device
            self._items = wrap_storage._items.view(self.dtype.numpy)
            return
        content = args[0] if args else 0
        self._device = existing("cpu" if device is None else device)
        items = np.zeros(content, self.dtype.numpy) if isinstance(content, int) else (
            np.array(list(content)).astype(self.dtype.numpy)
        )  # fmt: skip
        self._items = items if self._device is CPU else to_device(items, self._device)

    def _like(self, items: Any, place: Device | None = None) -> Any:
        bytes_ = UntypedStorage._of(items.view(np.uint8), place or self._device)
        return TypedStorage(wrap_storage=bytes_, dtype=self.dtype)

    def untyped(self) -> UntypedStorage:
        """The same memory as bytes."""
        return UntypedStorage._of(self._items.view(np.uint8), self._device)

    def type(self, dtype: Any = None) -> Any:
        """The name of its class, such as "torch.FloatStorage", or a copy of another dtype."""
        if dtype is None:
            return f"torch.{dtypes.NAMES[self.dtype]}Storage"
        kind = dtypes.to_dtype(getattr(dtype, "dtype", dtype))
        copy = UntypedStorage._of(self._items.astype(kind.numpy).view(np.uint8), self._device)
        return TypedStorage(wrap_storage=copy, dtype=kind)

    def __repr__(self) -> str:
        return _text(self, f"torch.storage.TypedStorage(dtype={self.dtype}, device={self._device})")


def _converter(name: str, kind: dtypes.dtype) -> None:
    def call(self: TypedStorage) -> TypedStorage:
        return self if self.dtype is kind else self.type(kind)

    call.__name__, call.__doc__ = name, f"``type(torch.{kind.name})``."
    setattr(TypedStorage, name, call)


for _name, _kind in (
    ("float", dtypes.float32), ("double", dtypes.float64), ("half", dtypes.float16),
    ("bfloat16", dtypes.bfloat16), ("long", dtypes.int64), ("int", dtypes.int32),
    ("short", dtypes.int16), ("char", dtypes.int8), ("byte", dtypes.uint8), ("bool", dtypes.bool_),
    ("complex_float", dtypes.complex64), ("complex_double", dtypes.complex128),
):  # fmt: skip
    _converter(_name, _kind)


def _text(storage: Any, name: str) -> str:
    meta = storage.device is META
    lines = ["...\n"] if meta else [f" {x}\n" for x in storage.tolist()]
    return "".join(lines) + f"[{name} of size {len(storage)}]"


# The older classes, one for each dtype: "FloatStorage", ...
STORAGES: dict[str, Any] = {
    f"{name}Storage": _Kind(
        f"{name}Storage", (TypedStorage,), {"dtype": kind, "__module__": "torch"}
    )
    for kind, name in dtypes.NAMES.items()
    if not name.startswith("UInt")
}


def is_storage(obj: Any) -> bool:
    """Whether ``obj`` is a storage.

    It never raises.

    >>> import framework as torch
    >>> torch.is_storage(torch.ones(2).storage()), torch.is_storage([1])
    (True, False)
    """
    return isinstance(obj, _Storage)


def tensor_on(
    storage: Any, offset: int, size: Any, stride: Any, dtype: dtypes.dtype
) -> Any:  # fmt: skip
    """A tensor of a storage's memory; one dimension over all of it unless a size is given.

    Raises:
        RuntimeError: the storage is too small.
    """
    items = storage._items.view(np.uint8).view(dtype.numpy)
    if size is None:
        return dispatch.wrap(items[offset:], storage._device)
    shape = tuple(size)
    if stride is None:
        stride, step = [], 1
        for n in reversed(shape):
            stride.insert(0, step)
            step *= n
    steps = tuple(stride)
    need = reach(shape, steps, offset)
    if need > items.size:
        raise RuntimeError(
            f"setStorage: sizes {list(shape)}, strides {list(steps)}, storage offset {offset}, and "
            f"itemsize {dtype.itemsize} requiring a storage size of {need * dtype.itemsize} are "
            f"out of bounds for storage of size {storage.nbytes()}"
        )
    return dispatch.wrap(strided(items, shape, steps, offset), storage._device)
