"""The parts of CuPy's extensions that the framework uses."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import cupy
import numpy as np


def scatter_add(a: Any, slices: Any, value: Any) -> None:
    cupy.add.at(a, slices, value)


class PinnedMemoryPointer(bytearray):
    """What a pinned array's memory is called there."""


def empty_pinned(shape: Any, dtype: Any = float, order: str = "C") -> Any:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.ndarray(shape, dtype, PinnedMemoryPointer(max(1, size)), order=order)


@contextlib.contextmanager
def errstate(*, linalg: str | None = None, **others: Any) -> Iterator[None]:
    """Whether routines of `cupy.linalg` raise, which waits for their error numbers."""
    before, cupy.linalg.raising = cupy.linalg.raising, linalg == "raise"
    try:
        yield
    finally:
        cupy.linalg.raising = before
