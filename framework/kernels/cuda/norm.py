"""Layer, RMS, group and batch norm and their gradients, as the ops of `ops.norm` want them."""

from __future__ import annotations

import math
from typing import Any

from framework.kernels.cuda import blocks_for, empty, empty_like, flat, launch, ready, threads_for
from framework.kernels.floats import wide
from framework.kernels.norm import seen_as
from framework.layout import in_rows

__all__ = [
    "affine_norm_backward", "batch_norm", "group_norm", "layer_norm", "rms_norm", "standardize",
    "standardize_backward",
]  # fmt: skip

_PARTS = 1 << 8  # of a channel, at most: a warp joins them
_PART = 1 << 12  # elements of a part, which is read twice: the caches near the threads hold it
_TARGET = 1 << 9  # blocks that fill a device


def _given(*arrays: Any) -> list[Any]:
    return [a for a in arrays if a is not None]


def _wide_type(x: Any) -> Any:
    return wide(empty(x, (0,))).dtype


def _by_row(entry: str, x: Any, width: int, *arguments: Any, lines: int = 1) -> None:
    """An entry that has a form for warps and one for blocks, for the rows of x."""
    rows, threads = x.size // width, threads_for(width, x.dtype.itemsize, lines)
    if threads == 32:
        launch("norm", f"{entry}_warps", -(-rows // 4), 128, *arguments)
    else:
        launch("norm", f"{entry}_blocks", rows, threads, *arguments)


# -- rows ---------------------------------------------------------------------------------------


def _rows(x: Any, w: Any, b: Any, width: int, eps: float, center: bool) -> Any:
    x, w, b = (None if a is None else flat(a) for a in (x, w, b))
    out = empty_like(x)
    _by_row("norm", x, width, x, w, b, out, x.size // width, width, float(eps), int(center))
    return out


def layer_norm(x: Any, w: Any, b: Any, *, dims: int, eps: float) -> Any:
    """(x - mean) / sqrt(var + eps) * w + b over the last ``dims`` dimensions."""
    if not ready(*_given(x, w, b)):
        return None
    return _rows(x, w, b, math.prod(x.shape[x.ndim - dims :]), eps, True)


def rms_norm(x: Any, w: Any, *, dims: int, eps: float) -> Any:
    """x / sqrt(mean(x x) + eps) * w over the last ``dims`` dimensions."""
    if not ready(*_given(x, w)):
        return None
    return _rows(x, w, None, math.prod(x.shape[x.ndim - dims :]), eps, False)


def group_norm(x: Any, w: Any, b: Any, *, num_groups: int, eps: float) -> Any:
    """Standardise groups of channels of x (N, C, ...), with a weight and a bias for each channel.

    None for images that lie channels last: their results do, too.
    """
    if not ready(*_given(x, w, b)) or not x.flags.c_contiguous:
        return None
    inner = math.prod(x.shape[2:])
    width = x.shape[1] // num_groups * inner
    if width >= 1 << 31:
        return None
    w, b = (None if a is None else flat(a) for a in (w, b))
    out = empty_like(x)
    _by_row("group_norm", x, width, x, w, b, out, x.size // width, width, num_groups, inner,
            float(eps))  # fmt: skip
    return out


def _rows_backward(
    g: Any, x: Any, w: Any, width: int, eps: float, center: bool, params: bool
) -> tuple[Any, Any, Any]:
    """Gradients of x, and of weight and bias (width,) if ``params``."""
    g, x, w = (None if a is None else flat(a) for a in (g, x, w))
    rows = x.size // width
    kind = _wide_type(x)
    out = empty_like(x)
    stats = empty(x, (rows, 2), kind) if params else None
    _by_row("norm_backward", x, width, g, x, w, out, stats, rows, width, float(eps), int(center),
            lines=2)  # fmt: skip
    if not params:
        return out, None, None
    tiles = -(-width // 32)
    parts = max(1, min(-(-rows // 32), -(-_TARGET // tiles)))
    block = -(-rows // parts)
    parts = -(-rows // block)
    weights, biases = (empty(x, (parts, width), kind) for _ in range(2))
    launch("norm", "norm_columns", tiles * parts, 256, g, x, stats, weights, biases, rows, width,
           block)  # fmt: skip
    dw, db = (p.sum(axis=0).astype(x.dtype, copy=False) for p in (weights, biases))
    return out, dw, db


# -- channels -----------------------------------------------------------------------------------


def _moments(
    x: Any, place: tuple[int, int, int], center: bool, mean: Any = None, square: Any = None
) -> tuple[Any, Any]:
    """Means (0 unless ``center``) and mean squares (B,) of x (A, B, C), in the wide type."""
    channels, parts, kind = place[1], _parts(place), _wide_type(x)
    found = empty(x, (channels, parts, 3), kind)
    launch("norm", "channel_moments", channels * parts, 256, x, found, *place, parts, int(center))
    means, squares = (empty(x, (channels,), kind) for _ in range(2))
    mean = empty(x, (channels,)) if mean is None else mean
    square = empty(x, (channels,)) if square is None else square
    launch("norm", "channel_joined", -(-channels // 4), 128, mean, square, found, means, squares,
           channels, parts)  # fmt: skip
    return means, squares


def _parts(place: tuple[int, int, int]) -> int:
    lines, _, inner = place
    return max(1, min(_PARTS, lines * inner // _PART))


def _channels(
    x: Any, w: Any, b: Any, means: Any, squares: Any, place: Any, eps: float
) -> Any:  # fmt: skip
    out = empty_like(x)
    launch("norm", "channel_norm", blocks_for(x.size // 4), 256, x, w, b, means, squares, out,
           *place, float(eps))  # fmt: skip
    return out


def _channels_backward(
    g: Any, x: Any, w: Any, place: Any, eps: float, center: bool
) -> tuple[Any, Any, Any]:
    g, x, w = (None if a is None else flat(a) for a in (g, x, w))
    channels, parts, kind = place[1], _parts(place), _wide_type(x)
    means, squares = _moments(x, place, center)
    found = empty(x, (channels, parts, 2), kind)
    launch("norm", "channel_gradients", channels * parts, 256, g, x, means, found, *place, parts)
    sums = empty(x, (channels, 2), kind)
    dw, db = empty(x, (channels,)), empty(x, (channels,))
    launch("norm", "channel_gradients_joined", -(-channels // 4), 128, dw, db, found, squares,
           sums, channels, parts, float(eps))  # fmt: skip
    out = empty_like(x)
    launch("norm", "channel_norm_backward", blocks_for(x.size // 4), 256, g, x, w, means, squares,
           sums, out, *place, float(eps), int(center))  # fmt: skip
    return out, dw, db


def batch_norm(
    x: Any, w: Any, b: Any, mean: Any, var: Any, *, training: bool, eps: float
) -> Any:  # fmt: skip
    """In training also the batch's mean and biased variance. None for images channels last."""
    if not ready(*_given(x, w, b)) or (x.ndim >= 4 and not x.flags.c_contiguous):
        return None
    x, w, b = (None if a is None else flat(a) for a in (x, w, b))
    place = x.shape[0], x.shape[1], math.prod(x.shape[2:])
    if training:
        center, square = empty(x, (place[1],)), empty(x, (place[1],))
        means, squares = _moments(x, place, True, center, square)
        return _channels(x, w, b, means, squares, place, eps), center, square
    means, squares = (flat(a.astype(_wide_type(x), copy=False)) for a in (mean, var))
    return _channels(x, w, b, means, squares, place, eps)


# -- either -------------------------------------------------------------------------------------


def standardize(x: Any, *, dims: tuple[int, ...], eps: float, center: bool) -> Any:
    """(x - mean) / sqrt(var + eps) over the last dimensions, or over all but the second."""
    place = seen_as(x.shape, dims) if ready(x) else None
    if place is None:
        return None
    if dims == tuple(range(x.ndim - len(dims), x.ndim)):
        return _rows(x, None, None, place[2], eps, center)
    x = in_rows(x)
    means, squares = _moments(x, place, center)
    return _channels(x, None, None, means, squares, place, eps)


def _backward(
    g: Any, x: Any, w: Any, dims: tuple[int, ...], eps: float, center: bool, params: bool
) -> Any:
    place = seen_as(x.shape, dims) if ready(*_given(g, x, w)) and g.shape == x.shape else None
    if place is None:
        return None
    if dims == tuple(range(x.ndim - len(dims), x.ndim)):
        dx, dw, db = _rows_backward(g, x, w, place[2], eps, center, params)
        inner = x.shape[x.ndim - len(dims) :]
        return dx, *[None if p is None else p.reshape(inner) for p in (dw, db)]
    return _channels_backward(g, x, w, place, eps, center)


def standardize_backward(
    g: Any, x: Any, *, dims: tuple[int, ...], eps: float, center: bool
) -> Any:  # fmt: skip
    """r (g - mean(g) - x̂ mean(g x̂)), see `ops.norm`."""
    found = _backward(g, x, None, dims, eps, center, params=False)
    return None if found is None else found[0]


def affine_norm_backward(
    g: Any, x: Any, w: Any, *, dims: tuple[int, ...], eps: float, center: bool
) -> Any:  # fmt: skip
    """Gradients of x̂ · weight + bias with respect to x, weight and bias."""
    return _backward(g, x, w, dims, eps, center, params=True)
