"""Padding: what lies where of a padded array, and copies of large ones line by line."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from framework.kernels import compiled, module_of
from framework.kernels.places import add_at

__all__ = ["SOURCES", "edges", "edges_backward", "with_constant"]

_WIDTH = 8  # elements of a line at least; shorter ones are NumPy's


# -- where each element of a padded line comes from ---------------------------------------------


def _reflected(n: int, before: int, after: int) -> Any:
    if max(before, after) >= n:
        raise RuntimeError(
            "Padding size should be less than the corresponding input dimension, but got: padding "
            f"({before}, {after}) at a dimension of size {n}"
        )
    line = np.abs(np.arange(-before, n + after))
    return np.where(line >= n, 2 * (n - 1) - line, line)


def _replicated(n: int, before: int, after: int) -> Any:
    return np.clip(np.arange(-before, n + after), 0, n - 1)


def _circled(n: int, before: int, after: int) -> Any:
    if max(before, after) > n:
        raise RuntimeError("Padding value causes wrapping around more than once.")
    first, last = max(-before, 0), n - max(-after, 0)  # what is cut off does not come back
    line = np.arange(-max(before, 0), last - first + max(after, 0)) % (last - first)
    return line + first


def _outside(n: int, before: int, after: int) -> Any:
    """Of a constant: -1 around."""
    line = np.arange(-before, n + after)
    return np.where((line >= 0) & (line < n), line, -1)


SOURCES = {"reflect": _reflected, "replicate": _replicated, "circular": _circled}


# -- plans --------------------------------------------------------------------------------------


@functools.lru_cache(256)
def _plan(sizes: tuple[int, ...], pad: tuple[tuple[int, int], ...], mode: str) -> Any:
    """How lines of a plane (*sizes) are made; None where they are short.

    (lines of a plane before, their width, (rows, left, right, first, middle)): line r is of line
    ``rows[r]`` the elements ``left``, then ``middle`` ones from ``first`` on, then ``right``.
    """
    sources = SOURCES.get(mode, _outside)
    rows = np.zeros((), np.int64)
    for n, (before, after) in zip(sizes[:-1], pad):
        line = sources(n, before, after)
        rows = np.where((rows[..., None] < 0) | (line < 0), -1, rows[..., None] * n + line)
    n, (before, after) = sizes[-1], pad[-1]
    first, middle = max(-before, 0), n - max(-before, 0) - max(-after, 0)
    if n < _WIDTH or middle < 1:
        return None
    line, start = sources(n, before, after), max(before, 0)
    ends = [np.ascontiguousarray(part) for part in (line[:start], line[start + middle :])]
    return math.prod(sizes[:-1]), n, (rows.reshape(-1), *ends, first, middle)


def _quick(a: Any, floats: bool = False) -> Any:
    """The compiled kernels, if they take an array."""
    if a.__class__ is not np.ndarray or a.size < compiled.LARGE or not a.flags.c_contiguous:
        return None
    if a.itemsize not in (4, 8) or a.dtype.hasobject or (floats and a.dtype.char not in "fd"):
        return None
    return compiled.family("lines")


def with_constant(a: Any, pad: tuple[tuple[int, int], ...], value: Any) -> Any:
    """``a`` with a number around, or None where this is not compiled."""
    if not (quick := _quick(a)):
        return None
    padded = [d for d, pair in enumerate(pad) if pair != (0, 0)]
    first, last = padded[0], padded[-1]
    each = math.prod(a.shape[last + 1 :])  # elements that go together
    sizes = (*a.shape[first:last], a.shape[last] * each)
    pairs = (*pad[first:last], tuple([n * each for n in pad[last]]))
    shape = tuple([n + before + after for n, (before, after) in zip(a.shape, pad)])
    plan = _plan(sizes, pairs, "constant")
    if plan is None:
        return None
    out = np.empty(shape, a.dtype)
    quick.padded(a, out, *plan, value)
    return out


def edges(a: Any, *, pad: tuple[tuple[int, int], ...], mode: str) -> Any:
    """``a`` with its own elements around its last dimensions."""
    start = a.ndim - len(pad)
    plan = _plan(a.shape[start:], pad, mode)
    if plan and (quick := _quick(a)):
        shape = tuple([n + before + after for n, (before, after) in zip(a.shape[start:], pad)])
        out = np.empty((*a.shape[:start], *shape), a.dtype)
        quick.padded(a, out, *plan, 0)
        return out
    xp = module_of(a)
    for d, pair in enumerate(pad, start):
        a = a.take(xp.asarray(SOURCES[mode](a.shape[d], *pair)), axis=d)
    return a


def edges_backward(
    g: Any, *, shape: tuple[int, ...], pad: tuple[tuple[int, int], ...], mode: str
) -> Any:  # fmt: skip
    """The adjoint of `edges`, for an array of that shape."""
    xp, start = module_of(g), len(shape) - len(pad)
    plan = _plan(shape[start:], pad, mode)
    if plan and (quick := _quick(g, floats=True)):
        out = np.empty(shape, g.dtype)
        quick.padded_sums(g, out, *plan)
        return out
    for d, pair in reversed([*enumerate(pad, start)]):
        out = xp.zeros((*g.shape[:d], shape[d], *g.shape[d + 1 :]), g.dtype)
        add_at(out, (slice(None),) * d + (xp.asarray(SOURCES[mode](shape[d], *pair)),), g)
        g = out
    return g
