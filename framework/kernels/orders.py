"""Copies in C order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from framework.kernels import compiled

__all__ = ["in_rows_copy"]

_LEAST = 1 << 16  # elements; below, all of it is in the cache and NumPy is as quick
_WORDS = {n: np.dtype(f"u{n}") for n in (1, 2, 4, 8)}
_SHORT = 32  # lines that are shorter are no whole tiles
_ALIKE = 1 << 10  # bytes; lines so far apart share few sets of the first cache, and NumPy waits


def in_rows_copy(array: Any) -> Any:
    """``array.copy(order="C")``, by tiles where that pays: where dimensions change places."""
    if array.__class__ is np.ndarray and array.size >= _LEAST and array.itemsize in _WORDS:
        copied = _by_tiles(array)
        if copied is not None:
            return copied
    return array.copy(order="C")


def _by_tiles(array: Any) -> Any | None:
    item = array.itemsize
    if array.dtype.hasobject or any(s < item or s % item for s in array.strides):
        return None
    shape, steps = _collapsed(array.shape, [s // item for s in array.strides])
    ndim = len(shape)
    column, row = ndim - 1, min(range(ndim), key=steps.__getitem__)
    if steps[row] != 1 or row == column or min(shape[row], shape[column]) < _SHORT:
        return None
    made = [math.prod(shape[d + 1 :]) for d in range(ndim)]
    if steps[column] * item % _ALIKE and made[row] * item % _ALIKE:
        return None
    if not (kernels := compiled.family("orders")):
        return None
    out = np.empty(array.shape, array.dtype)
    others = [d for d in range(ndim) if d not in (row, column)]
    starts = [np.zeros((), np.int64), np.zeros((), np.int64)]
    for d in others:
        starts = [
            (start[..., None] + np.arange(shape[d]) * step[d])
            for start, step in zip(starts, (steps, made))
        ]
    reach = sum((n - 1) * s for n, s in zip(shape, steps)) + 1
    word = _WORDS[item]
    kernels.transposed(
        as_strided(array, (reach,), (item,)).view(word), out.reshape(-1).view(word),
        starts[0].reshape(-1), starts[1].reshape(-1), (shape[row], shape[column]),
        (steps[column], made[row]),
    )  # fmt: skip
    return out


def _collapsed(shape: tuple[int, ...], steps: list[int]) -> tuple[list[int], list[int]]:
    """Sizes and steps without dimensions of one element, neighbours that lie together as one."""
    sizes, apart = [1], [0]
    for n, step in zip(shape, steps):
        if n == 1:
            continue
        if sizes[-1] == 1 or apart[-1] != n * step:
            sizes.append(n)
            apart.append(step)
        else:
            sizes[-1] *= n
            apart[-1] = step
    return (sizes[1:], apart[1:]) if len(sizes) > 1 else ([1], [1])
