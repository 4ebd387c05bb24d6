"""Floating types in kernels: half precision computes in float32, integers are refused."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from framework import dtypes
from framework.kernels import compiled, must_hold
from framework.layout import as_type

__all__ = ["cast", "floating", "real_floating", "type_name", "wide", "widening"]

_SINGLE, _BFLOAT16 = np.dtype(np.float32), dtypes.bfloat16.numpy


def type_name(array: Any) -> str:
    """PyTorch's name for an array's type in messages: ``Float``, ``Long``."""
    return dtypes.NAMES[dtypes.from_numpy_dtype[array.dtype]]


def floating(array: Any, name: str) -> Any:
    """``array`` itself; refuses bools and integers, for which op ``name`` is not defined."""
    if array.dtype.kind in "biu":
        raise NotImplementedError(f"\"{name}\" not implemented for '{type_name(array)}'")
    return array


def real_floating(array: Any, name: str) -> Any:
    """As `floating`, and complex numbers are refused too."""
    if array.dtype.kind not in "fV":
        raise NotImplementedError(f"\"{name}\" not implemented for '{type_name(array)}'")
    return array


def cast(array: Any, dtype: Any) -> Any:
    """``array.astype(dtype)``; between float32 and the halves by a compiled kernel, if it pays."""
    if array.size >= compiled.LARGE and array.__class__ is np.ndarray and array.flags.c_contiguous:
        of, to = array.dtype, np.dtype(dtype)
        if of is _SINGLE and _is_half(to) and (halves := compiled.family("halves")):
            return halves.narrowed(array, to)
        if to is _SINGLE and _is_half(of) and (halves := compiled.family("halves")):
            return halves.widened(array)
    if array.__class__ is not np.ndarray:
        must_hold(np.dtype(dtype), array)
    return array.astype(dtype)


def _is_half(dtype: Any) -> bool:
    return bool(dtype.itemsize == 2 and (dtype.kind == "f" or dtype is _BFLOAT16))


def wide(array: Any) -> Any:
    """float16 and bfloat16 as float32, to compute and accumulate in; others as they are."""
    dtype = array.dtype
    if dtype.itemsize == 2 and dtype.kind in "fV":
        return cast(array, _SINGLE)
    return array


def widening(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Run a kernel on `wide` copies of its arrays; the result has the first one's type again."""

    @functools.wraps(kernel)
    def wrapped(first: Any, *rest: Any, **meta: Any) -> Any:
        dtype = first.dtype
        if dtype.itemsize != 2 or dtype.kind not in "fV":
            return kernel(first, *rest, **meta)
        others = [wide(a) if hasattr(a, "dtype") else a for a in rest]
        repeats = 0 in getattr(first, "strides", ())
        single = as_type(first, _SINGLE) if repeats else cast(first, _SINGLE)
        result = kernel(single, *others, **meta)
        if result.__class__ is tuple:
            return tuple([_back(r, dtype) for r in result])
        return _back(result, dtype)

    return wrapped


def _back(array: Any, dtype: Any) -> Any:
    return cast(array, dtype) if array.dtype.kind == "f" else array
