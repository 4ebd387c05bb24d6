"""What users hand over as data, as NumPy arrays: numbers, nested lists, columns, tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework import dtypes
from framework.cautions import caution_once
from framework.kernels import to_host
from framework.quiet import again
from framework.trace import sink

__all__ = ["as_array"]


_DEEPEST = 64  # dimensions of NumPy's arrays


def _check_floats(array: np.ndarray, dtype: Any) -> None:
    """Refuse floats, one by one in a list, that an integer type does not hold, as PyTorch does."""
    if array.dtype.kind != "f" or dtype is None or dtype.category != dtypes.INT:
        return
    limits = dtypes.iinfo(dtype)
    if not ((array >= float(limits.min)) & (array <= float(limits.max))).all():  # NaN, too
        raise dtypes.overflow(dtype)


def as_array(data: Any, dtype: dtypes.dtype | None) -> np.ndarray:
    """A fresh NumPy array from nested lists, numbers, arrays or tensors, in PyTorch's types.

    Raises:
        ValueError: nested sequences of different lengths, or an integer of more than 64 bits.
        TypeError: text.
        RuntimeError: something that is no number, or a number that the dtype cannot hold.

    >>> from framework.elements import as_array
    >>> as_array([[1, 2.5]], None).dtype
    dtype('float32')
    """
    if isinstance(data, sink.tensor_type):
        array = to_host(data._data)
    elif isinstance(data, (np.ndarray, np.generic)):
        array = np.array(data)
        if isinstance(data, np.floating):
            _check_floats(array, dtype)
    else:
        try:
            plain = _unwrapped(_of_pandas(data) if hasattr(data, "iloc") else data)
        except RecursionError:  # a list that is in itself, say
            raise _too_deep(data) from None
        try:
            array = np.array(plain)
        except ValueError:
            raise _uneven(plain) from None
        kind = array.dtype.kind
        if kind in "OUS" or (kind == "u" and dtype is None):
            raise _unusable(array, plain)
        if plain.__class__ in (list, tuple) and _holds_array(plain):
            caution_once(
                "Creating a tensor from a list of numpy.ndarrays is extremely slow. Please "
                "consider converting the list to a single numpy.ndarray with numpy.array() before "
                "converting to a tensor."
            )
        if kind == "c" and dtype is not None and dtypes.BOOL < dtype.category < dtypes.COMPLEX:
            raise TypeError(
                "must be real number, not complex"
                if dtype.category == dtypes.FLOAT
                else "'complex' object cannot be interpreted as an integer"
            )
        if dtype is not None and dtype.category == dtypes.INT and kind in "iu" and array.size:
            for extreme in (array.min(), array.max()):
                dtypes.converted(int(extreme), dtype)
        _check_floats(array, dtype)
        if dtype is None and array.dtype in (np.float64, np.complex128):
            target = _precision(data, array.dtype)
            try:
                array = array.astype(target, copy=False)
            except FloatingPointError:  # of the program's np.seterr
                array = again(array.astype, target)
    if array.dtype not in dtypes.from_numpy_dtype and dtype is None:
        if array.size == 0:
            return array.astype(dtypes.get_default_dtype().numpy)
        raise TypeError(
            f"can't convert np.ndarray of type numpy.{array.dtype.type.__name__}. The only "
            "supported types are: float64, float32, float16, complex64, complex128, int64, int32, "
            "int16, int8, uint64, uint32, uint16, uint8, and bool."
        )
    if dtype is None:
        return array
    try:
        return array.astype(dtype.numpy, copy=False)
    except FloatingPointError:
        return again(array.astype, dtype.numpy)


def _precision(data: Any, found: np.dtype) -> np.dtype:
    """Python's numbers have the default type; NumPy's, tensors' and pandas' have their own."""
    while isinstance(data, (list, tuple)) and data:
        typed = [x for x in data if hasattr(x, "dtype")]
        data = next((x for x in typed if getattr(x.dtype, "kind", "") == found.kind), data[0])
    own = getattr(data, "dtype", None)
    own = getattr(own, "numpy", own)
    if isinstance(own, np.dtype) and own.kind == found.kind:
        return own
    default = dtypes.get_default_dtype()
    return (default if found.kind == "f" else default.to_complex()).numpy


def _of_pandas(data: Any) -> Any:
    """A column as NumPy's array, or as a list where its type is pandas' own.

    Raises:
        ValueError: a table, or a column that is not numbered from zero: PyTorch's kind and words.
    """
    if data.ndim > 1 or (len(data) and 0 not in data.index):
        kind = type(data).__name__
        raise ValueError(
            f"could not determine the shape of object type '{kind}': pass its .to_numpy()"
        )
    own = not isinstance(data.dtype, np.dtype) or data.dtype.kind in "OmM"
    return data.tolist() if own else data.to_numpy()


def _uneven(data: Any) -> Exception:
    """Which part of nested sequences has another length than its first sibling."""
    level, dim = [data], 0
    while dim < _DEEPEST and all(hasattr(x, "__len__") for x in level):
        short = next((x for x in level if len(x) != len(level[0])), None)
        if short is not None:
            return ValueError(
                f"expected sequence of length {len(level[0])} at dim {dim} (got {len(short)})"
            )
        level, dim = [x for part in level for x in part], dim + 1
    if dim == _DEEPEST:
        return _too_deep(data)
    return ValueError("only one element tensors can be converted to Python scalars")


def _too_deep(data: Any) -> Exception:
    return ValueError(f"too many dimensions '{type(data).__name__}'")


def _unusable(array: np.ndarray, data: Any) -> Exception:
    """Why there is no tensor of these elements."""
    if array.dtype.kind == "S":
        return TypeError("new(): invalid data type 'bytes'")
    first = data
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    text: Exception = TypeError("new(): invalid data type 'str'")
    if isinstance(first, str) and first and first is not data:  # PyTorch looks at it as a sequence
        text = ValueError("too many dimensions 'str'")
    if array.dtype.kind == "U":
        return text
    for x in array.ravel().tolist():
        if isinstance(x, str):
            return text
        if not isinstance(x, (bool, int, float, complex)):
            hint = "; it is sparse: pass its .toarray()" if hasattr(x, "toarray") else ""
            return RuntimeError(f"Could not infer dtype of {type(x).__name__}{hint}")
    return ValueError("Overflow when unpacking long long")


def _unwrapped(data: Any) -> Any:
    """Nested lists with the tensors in them, which must have one element, replaced by numbers."""
    if isinstance(data, sink.tensor_type):
        if data._data.size != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return data.item()
    if isinstance(data, (list, tuple)):
        return [_unwrapped(x) for x in data] if _holds_tensor(data) else data
    return data


def _holds_array(data: Any) -> bool:
    """Whether a nested list has an array somewhere (of one dimension or more): looked at in one."""
    while isinstance(data, (list, tuple)) and data:
        data = data[-1]
    return isinstance(data, np.ndarray) and data.ndim > 0


def _holds_tensor(data: Any) -> bool:
    return any(isinstance(x, (sink.tensor_type, list, tuple)) for x in data)
