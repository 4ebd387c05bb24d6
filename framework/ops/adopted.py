"""Tensors of data that others made: arrays, buffers, sequences, files; they share its memory."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.registry import function
from framework.device import default
from framework.ops.creation import in_pinned_memory, only_strided
from framework.tensor import Tensor, tensor, wrap

__all__ = ["as_tensor", "asarray", "from_file", "from_numpy", "frombuffer"]


@function(method=False)
def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor that shares the memory of a NumPy array.

    Of any shape and of the array's dtype. TypeError for what is no array and for types that
    tensors have not, ValueError for negative strides.

    >>> import numpy as np, framework as torch
    >>> a = np.zeros(2)
    >>> t = torch.from_numpy(a)
    >>> t[0] = 5
    >>> a.tolist()
    [5.0, 0.0]

    Raises:
        TypeError: not an array, or of a type that no tensor has.
        ValueError: the array has negative strides, or another byte order than the machine.
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    if not ndarray.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion "
            "between byte orders is currently not supported."
        )
    if ndarray.dtype not in dtypes.from_numpy_dtype:
        raise TypeError(
            f"can't convert np.ndarray of type numpy.{ndarray.dtype}. The only supported types "
            "are: float64, float32, float16, complex64, complex128, int64, int32, int16, int8, "
            "uint64, uint32, uint16, uint8, and bool."
        )
    if any(s < 0 for s in ndarray.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative "
            "strides are not currently supported. (You can probably work around this by making a "
            "copy of your array  with array.copy().)"
        )
    if not ndarray.flags.writeable:
        warnings.warn(
            "The given NumPy array is not writable, and PyTorch does not support non-writable "
            "tensors. This means writing to this tensor will result in undefined behavior. You may "
            "want to copy the array to protect its data or make it writable before converting it "
            "to a tensor.",
            stacklevel=3,
        )
    return wrap(ndarray.view(np.ndarray))


@function(method=False)
def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """A tensor of ``data`` that shares its memory where it can.

    It does of a tensor or NumPy array whose dtype and device are asked for; a sequence is copied.
    ValueError for rows of several lengths, RuntimeError for what is no number.

    >>> import framework as torch
    >>> torch.as_tensor([1, 2])
    tensor([1, 2])
    """
    if isinstance(data, Tensor):
        return data.to(device or data.device, dtype or data.dtype)
    if isinstance(data, np.ndarray) and data.dtype in dtypes.from_numpy_dtype:
        made = from_numpy(data)
    else:
        made = tensor(data, dtype=dtype)
    return made.to(device or default.device, dtype or made.dtype)


@function(method=False)
def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None,
    requires_grad: bool | None = None,
) -> Tensor:  # fmt: skip
    """A tensor of a tensor, array, buffer, number or sequence.

    Args:
        copy: True always copies, False never (and fails where it would have to), None only where
            it has to.
        requires_grad: None leaves it as it is: that of a tensor, and its history, too.

    TypeError for text, ValueError for a copy that is forbidden and needed.

    >>> import framework as torch
    >>> torch.asarray([1.0, 2.0])
    tensor([1., 2.])

    Raises:
        ValueError: ``copy=False`` and the memory cannot be shared.
    """
    source = _sharing(obj, dtype)
    if source is None:
        if copy is False:
            raise ValueError("can't alias arbitrary sequence into a tensor.")
        made = as_tensor(obj, dtype, device)
    else:
        made = source.to(device or source.device, dtype or source.dtype)
        if copy is False and made is not source:
            what = "dtype" if dtype is not None and made.dtype is not source.dtype else "device"
            asked = f"from {source.dtype} to {made.dtype}" if what == "dtype" else (
                f"from {source.device} to {made.device}"
            )  # fmt: skip
            raise ValueError(f"can't alias tensor with {what} {asked} without copying.")
        if copy and made is source:
            made = source.clone()
    if requires_grad is None:
        return made
    made = made if requires_grad or not made.requires_grad else made.detach()
    return made.requires_grad_() if requires_grad and not made.requires_grad else made


def _sharing(obj: Any, dtype: Any) -> Tensor | None:
    """A tensor on the memory of ``obj``; None if it has none that could be shared."""
    if isinstance(obj, Tensor):
        return obj
    if isinstance(obj, np.ndarray) and obj.dtype in dtypes.from_numpy_dtype:
        return from_numpy(obj)
    if hasattr(obj, "__dlpack__"):
        from framework.dlpack import from_dlpack

        return from_dlpack(obj)
    if isinstance(obj, np.generic):  # its buffer is no array of elements
        return None
    try:
        memoryview(obj)
    except TypeError:
        return None
    return frombuffer(obj, dtype=dtype or dtypes.get_default_dtype())


@function(method=False)
def frombuffer(
    buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Tensor:
    """A 1-d tensor on the memory of an object with Python's buffer interface.

    Args:
        count: elements to take, -1 for all.
        offset: bytes to skip.

    TypeError for an object without a buffer, ValueError for an empty one, and for a count, an
    offset or a length that does not fit to the dtype's size.

    >>> import framework as torch
    >>> torch.frombuffer(bytearray([1, 2, 3]), dtype=torch.uint8)
    tensor([1, 2, 3], dtype=torch.uint8)

    Raises:
        ValueError: an empty buffer, or one that is too small.
        TypeError: the object has no buffer.
    """
    kind = dtypes.to_dtype(dtype)
    view = memoryview(buffer)
    if view.readonly:
        warnings.warn(
            "The given buffer is not writable, and PyTorch does not support non-writable tensors. "
            "This means you can write to the underlying (supposedly non-writable) buffer using the "
            "tensor. You may want to copy the buffer to protect its data or make it writable "
            "before converting it to a tensor.",
            stacklevel=2,
        )
    length = view.nbytes
    if not length or not count:
        raise ValueError(
            f"both buffer length ({length}) and count ({count}) must not be 0"
        )  # fmt: skip
    if not 0 <= offset < length:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length "
            f"({length} bytes) minus 1"
        )
    if count < 0:
        if (length - offset) % kind.itemsize:
            raise ValueError(
                f"buffer length ({length - offset} bytes) after offset ({offset} bytes) must be a "
                f"multiple of element size ({kind.itemsize})"
            )
        count = (length - offset) // kind.itemsize
    if offset + count * kind.itemsize > length:
        raise ValueError(
            f"requested buffer length ({count} * {kind.itemsize} bytes) after offset ({offset} "
            f"bytes) must not be greater than actual buffer length ({length} bytes)"
        )
    made = wrap(np.frombuffer(buffer, kind.numpy, count, offset))
    return made.requires_grad_() if requires_grad else made


@function(method=False)
def from_file(
    filename: str, shared: bool | None = None, size: int = 0, *, dtype: Any = None,
    layout: Any = None, device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """The first ``size`` elements of a file as a 1-d tensor, mapped into memory.

    Args:
        shared: writes to the tensor go to the file, which is made (or made longer) if need be;
            otherwise they stay in memory.

    FileNotFoundError if there is no such file (not shared), ValueError if it is too short.

    Elements are of ``dtype``, the default dtype unless given.

    >>> import framework as torch
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     name = os.path.join(folder, "numbers")
    ...     torch.from_file(name, shared=True, size=3).fill_(2)
    ...     os.path.getsize(name)
    tensor([2., 2., 2.])
    12
    """
    only_strided(layout)
    kind = dtypes.get_default_dtype() if dtype is None else dtypes.to_dtype(dtype)
    if shared:
        with open(filename, "ab") as file:  # never cuts it
            file.truncate(max(file.tell(), size * kind.itemsize))
    mapped = np.memmap(filename, kind.numpy, "r+" if shared else "c", shape=(size,))
    made = wrap(mapped.view(np.ndarray))
    if device is not None:
        made = made.to(device)
    if pin_memory:  # a copy: the file is not written by it
        made = in_pinned_memory(made)
    return made.requires_grad_() if requires_grad else made
