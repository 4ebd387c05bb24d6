"""Products of matrices on the host, shared out over the threads of the compiled kernels.

NumPy's OpenBLAS has threads of its own, which spin for some 25 ms after each product: whatever else
runs in several threads meanwhile has one processor less. `framework._waiting` makes that less than
a millisecond if NumPy was not there before us, and then products are OpenBLAS's own.

Else a large product of float32 is cut into pieces that the compiled kernels' threads compute, each
by a BLAS that is told to use one thread. Pieces are wide enough, and begin at places, that a
result's bits do not depend on how it was cut.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from framework import _waiting
from framework.kernels import compiled

__all__ = ["matmul", "one_thread"]

_SMALL = 1 << 18  # multiplications up to which OpenBLAS takes one thread
_PIECE = 1 << 20  # that each piece has at least; below, OpenBLAS has other kernels
_EDGE = 64  # rows or columns that pieces are multiples of
_NARROW = 32  # the shorter side of what is cut

_shared = not _waiting.BRIEFLY  # whether products are cut for our own threads
_FLOAT32 = np.dtype(np.float32)


class _Blas:
    """NumPy's OpenBLAS, held to one thread while anybody computes pieces of a product."""

    def __init__(self, library: Any, suffix: str) -> None:
        self.get = getattr(library, f"scipy_openblas_get_num_threads{suffix}")
        self.set = getattr(library, f"scipy_openblas_set_num_threads{suffix}")
        self.lock, self.users, self.before = threading.Lock(), 0, 1

    def __enter__(self) -> None:
        with self.lock:
            if not self.users:
                self.before = self.get()
                if self.before > 1:
                    self.set(1)
            self.users += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.users -= 1
            if not self.users and self.before > 1:
                self.set(self.before)

    def forked(self) -> None:
        if self.users and self.before > 1:
            self.set(self.before)
        self.lock, self.users = threading.Lock(), 0


def _libraries() -> Iterator[Path]:
    """Where the wheels of NumPy keep their BLAS."""
    home = Path(np.__file__).parent
    for folder in (home.with_name("numpy.libs"), home / ".dylibs"):
        yield from folder.glob("libscipy_openblas*")


def _found() -> _Blas | None:
    for path in _libraries():
        for suffix in ("64_", ""):
            with contextlib.suppress(OSError, AttributeError):
                return _Blas(ctypes.PyDLL(str(path)), suffix)
    return None


_blas: list[_Blas | None] = []  # looked for with the first large product


def one_thread(work: int) -> _Blas | None:
    """Holds BLAS to one thread ``with`` it; None where it cannot, or so little work is no use."""
    if not _blas:
        if work < 2 * _PIECE:
            return None
        _blas.append(_found() if compiled.family("crew") else None)
        if _blas[0]:
            os.register_at_fork(after_in_child=_blas[0].forked)
    return _blas[0]


def matmul(a: Any, b: Any) -> Any:
    """``a @ b`` of arrays with at least one dimension; what does not fit is NumPy's to refuse."""
    if (
        not _shared
        or a.__class__ is not np.ndarray
        or b.ndim < 2
        or (work := a.size * b.shape[-1]) < _SMALL
    ):
        return np.matmul(a, b)
    if b.__class__ is not np.ndarray or a.dtype is not _FLOAT32 or b.dtype is not _FLOAT32:
        return np.matmul(a, b)
    if a.shape[-1] != b.shape[-2] or a.ndim < 2 or not (blas := one_thread(work)):
        return np.matmul(a, b)
    if compiled.threads() == 1 and blas.get() == 1:
        return np.matmul(a, b)
    if a.ndim == b.ndim == 2:
        with blas:
            return _product(a, b)
    if a.shape[:-2] == b.shape[:-2] and a.ndim > 2:
        with blas:
            return _products(a, b)
    return np.matmul(a, b)


def _product(a: Any, b: Any) -> Any:
    rows, columns = a.shape[0], b.shape[1]
    by_rows = rows >= columns
    edges = max(rows, columns) // _EDGE
    work = rows * a.shape[1] * columns
    pieces = min(compiled.threads(), edges, work // _PIECE)
    while pieces > 1 and edges // pieces * _EDGE * (work // max(rows, columns)) < _PIECE:
        pieces -= 1
    if pieces < 2 or min(rows, columns) < _NARROW:
        return np.matmul(a, b)
    y = np.empty((rows, columns), np.float32)

    def piece(start: int, stop: int) -> None:
        for i in range(start, stop):
            first = edges * i // pieces * _EDGE
            last = edges * (i + 1) // pieces * _EDGE if i + 1 < pieces else None
            if by_rows:
                np.matmul(a[first:last], b, out=y[first:last])
            else:
                np.matmul(a, b[:, first:last], out=y[:, first:last])

    compiled.in_parts(piece, pieces, work)
    return y


def _products(a: Any, b: Any) -> Any:
    y = np.empty((*a.shape[:-1], b.shape[-1]), np.float32)
    axis = 1 if len(a) == 1 and a.ndim > 3 else 0
    head = (slice(None),) * axis

    def piece(start: int, stop: int) -> None:
        here = (*head, slice(start, stop))
        np.matmul(a[here], b[here], out=y[here])

    compiled.in_parts(piece, a.shape[axis], math.prod(a.shape) * b.shape[-1] // 16)
    return y
