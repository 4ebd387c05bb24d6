"""Standardisation on the host in few passes: sums by BLAS, and blocks that bound the temporaries.

An array is seen as (A, B, C): what is reduced over are A and C, of each of B groups. Layer norm has
A = 1, batch norm B channels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from framework.kernels import compiled

__all__ = [
    "backward", "compiled_channels", "is_quick", "seen", "seen_as",
    "standardize",
]  # fmt: skip

_LARGE = 1 << 12  # below this many elements the plain form is as fast
_SHORT = 16  # and with lines shorter than this
_BLOCK = 1 << 20  # elements at a time: smaller blocks cost more in calls than the cache gives back


def seen_as(shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[int, int, int] | None:
    """(A, B, C), if the dimensions are the last ones, or all but the second."""
    rank = len(shape)
    if dims == tuple(range(rank - len(dims), rank)):
        rest = shape[: rank - len(dims)]
        return 1, math.prod(rest), math.prod(shape[rank - len(dims) :])
    if dims == (0, *range(2, rank)):
        return shape[0], shape[1], math.prod(shape[2:])
    return None


def is_quick(x: Any, dims: tuple[int, ...]) -> bool:
    """Whether the functions below can be used."""
    if x.__class__ is not np.ndarray or x.size < _LARGE or x.dtype.char not in "fd":
        return False
    view = seen_as(x.shape, dims)
    return view is not None and view[2] >= _SHORT


def compiled_channels(x: Any, dims: tuple[int, ...], *others: Any) -> Any:
    """Compiled kernels for what `seen` makes of ``x``, if the other arrays fit."""
    if not compiled.is_plain_or_wide(x):
        return None
    if any(o is not None and o.dtype is not x.dtype for o in others):
        return None
    view = seen_as(x.shape, dims)
    if view is None:
        return None
    if view[2] >= _SHORT:
        return compiled.family("channels")
    many = view[0] >= _SHORT and view[1] * view[2] >= _SHORT
    return compiled.family("columns") if many else None


def seen(x: Any, dims: tuple[int, ...], *arrays: Any) -> list[Any]:
    """The arrays, which have ``x``'s shape, as contiguous (A, B, C)."""
    view = seen_as(x.shape, dims)
    assert view is not None
    return [np.ascontiguousarray(a).reshape(view) for a in arrays]


def _blocks(x: Any, dims: tuple[int, ...], *others: Any) -> Iterator[tuple[Any, ...]]:
    """Groups of ``x`` and of the other arrays, a few at a time, as (A, some of B, C)."""
    view = seen_as(x.shape, dims)
    assert view is not None
    arrays = [np.ascontiguousarray(a).reshape(view) for a in (x, *others)]
    step = max(1, _BLOCK // (view[0] * view[2]))
    for start in range(0, view[1], step):
        yield tuple([a[:, start : start + step] for a in arrays])


def _mean(x: Any) -> Any:
    """(B, 1) means."""
    sums = np.vecdot(x, np.ones(x.shape[2], x.dtype)).sum(axis=0)
    return (sums / x.dtype.type(x.shape[0] * x.shape[2]))[:, None]


def _mean_product(x: Any, y: Any) -> Any:
    """(B, 1) means of x y."""
    sums = np.vecdot(x, y).sum(axis=0)
    return (sums / x.dtype.type(x.shape[0] * x.shape[2]))[:, None]


def _normal(x: Any, eps: float, center: bool, out: Any) -> tuple[Any, Any, Any]:
    """The standardised x into ``out``; returns the means, variances and 1 / deviations (B, 1)."""
    mean = _mean(x) if center else None
    centred = x if mean is None else np.subtract(x, mean, out=out)
    square = _mean_product(centred, centred)
    r = 1 / np.sqrt(square + x.dtype.type(eps))
    np.multiply(centred, r, out=out)
    return mean, square, r


def standardize(x: Any, dims: tuple[int, ...], eps: float, center: bool) -> tuple[Any, Any, Any]:
    """(x - mean) / sqrt(var + eps), the means (None unless ``center``) and variances (B,)."""
    if channels := compiled_channels(x, dims):
        normal, mean, square = channels.standardize(*seen(x, dims, x), None, None, eps, center)
        return normal.reshape(x.shape), mean if center else None, square
    result = np.empty(x.shape, x.dtype)
    means, squares = [], []
    for part, out in _blocks(x, dims, result):
        mean, square, _ = _normal(part, eps, center, out)
        means.append(mean)
        squares.append(square)
    found = np.concatenate(means)[:, 0] if center else None
    return result, found, np.concatenate(squares)[:, 0]


def backward(g: Any, x: Any, dims: tuple[int, ...], eps: float, center: bool) -> Any:
    """r (g - mean(g) - x̂ mean(g x̂)), see `ops.standardize`."""
    if channels := compiled_channels(x, dims, g):
        return channels.backward(*seen(x, dims, x, g), None, eps, center)[0].reshape(x.shape)
    result = np.empty(x.shape, x.dtype)
    for part, grad, out in _blocks(x, dims, g, result):
        r = _normal(part, eps, center, out)[2]
        out *= -_mean_product(grad, out)
        out += grad
        if center:
            out -= _mean(grad)
        out *= r
    return result
