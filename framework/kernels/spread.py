"""Sums, products and the like of two arrays of different shapes, where NumPy's loops are short."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from framework.kernels import compiled

__all__ = ["SPREADING"]

ndarray = np.ndarray
_LEAST = 1 << 15  # elements of the result; below, what a call costs is more than what it saves
_LINE = (8, 4096)  # elements of a line for which NumPy's way is slower
_SHORT = 256  # elements of a line that is worth an array for longer ones
_SINGLE, _DOUBLE = np.dtype(np.float32), np.dtype(np.float64)


def _spreading(function: Any) -> Callable[[Any, Any], Any]:
    """A ufunc of two arguments that has a compiled kernel for arrays of different shapes."""

    @functools.wraps(function)
    def spread(x: Any, y: Any) -> Any:
        if x.__class__ is not ndarray or y.__class__ is not ndarray or x.shape == y.shape:
            return function(x, y)
        return _compiled(function, x, y)

    return spread


def _compiled(function: Any, x: Any, y: Any) -> Any:
    """Two arrays of different shapes."""
    dtype = x.dtype
    if (
        dtype is not y.dtype
        or (dtype is not _SINGLE and dtype is not _DOUBLE)
        or not (x.flags.c_contiguous and y.flags.c_contiguous)
        or not (x.ndim and y.ndim)
    ):
        return function(x, y)
    plan = _plan(x.shape, y.shape)
    if plan is None or not (kernels := compiled.family("spread")):
        return function(x, y)
    shape, *steps = plan
    if steps[0] is None:
        x, y = (_filled(a, *lay) for a, lay in zip((x, y), steps[1:]))
        return _compiled(function, x, y).reshape(shape)
    out = np.empty(shape, dtype)
    kernels.spread(function, x, y, out, *steps)
    return out


@functools.lru_cache(1024)
def _plan(x: tuple[int, ...], y: tuple[int, ...]) -> Any:
    """The result's shape, three sizes, and the steps of both arrays along them.

    None where NumPy's way is as good, or these are too few sizes, or the shapes do not fit.
    """
    ndim = max(len(x), len(y))
    x, y = ((1,) * (ndim - len(s)) + s for s in (x, y))
    sizes: list[int] = []  # of dimensions that both arrays have alike, or one of them has not
    kinds: list[tuple[bool, bool]] = []
    for n, m in zip(x, y):
        if 0 in (n, m) or (n != m and 1 not in (n, m)):
            return None
        if n == m == 1:
            continue
        kind = (n > 1, m > 1)
        if kinds and kinds[-1] == kind:
            sizes[-1] *= max(n, m)
        else:
            sizes.append(max(n, m))
            kinds.append(kind)
    if math.prod(sizes) < _LEAST:
        return None
    if len(sizes) == 4 and sizes[-1] <= _SHORT:
        return _interleaved(sizes, kinds, tuple([max(n, m) for n, m in zip(x, y)]))
    if not 2 <= len(sizes) <= 3 or not _LINE[0] <= sizes[-1] <= _LINE[1]:
        return None
    while len(sizes) < 3:
        sizes.insert(0, 1)
        kinds.insert(0, (False, False))
    steps = []
    for which in (0, 1):
        step, so_far = [0, 0, 0], 1
        for d in (2, 1, 0):
            if kinds[d][which]:
                step[d] = so_far
                so_far *= sizes[d]
        steps.append(tuple(step))
    shape = tuple([max(n, m) for n, m in zip(x, y)])
    return (shape, tuple(sizes), *steps)


def _interleaved(sizes: list[int], kinds: list[tuple[bool, bool]], shape: tuple[int, ...]) -> Any:
    """As `_plan`, for a product as that of Kronecker: arrays that must be filled up, to what.

    Once both have the last two of four dimensions NumPy's loops are long.
    """
    lays = []
    for which in (0, 1):
        own = [n if kind[which] else 1 for n, kind in zip(sizes, kinds)]
        full = (*own[:2], *sizes[2:])
        if 8 * math.prod(full) > math.prod(sizes):
            return None
        lays.append((tuple(own), full))
    return (shape, None, *lays)


def _filled(a: Any, own: tuple[int, ...], full: tuple[int, ...]) -> Any:
    return np.broadcast_to(a.reshape(own), full).reshape(*full[:2], -1)


SPREADING: dict[Any, Callable[[Any, Any], Any]] = {
    f: _spreading(f)
    for f in (np.add, np.subtract, np.multiply, np.true_divide, np.maximum, np.minimum)
}
