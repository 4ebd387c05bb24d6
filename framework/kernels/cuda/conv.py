"""Convolutions in one, two and three dimensions, transposed ones too, and their gradients.

By cuDNN where that is there (`cudnn`), else without unfolded patches: windows of one pixel by
cuBLAS (`products`), others by tiles (`conv_tiles`), and groups of few channels by `conv.cu`, for
which images that lie channels last are copied into rows.
"""

from __future__ import annotations

import functools
import math
from typing import Any

from framework.kernels.cuda import (
    conv_tiles,
    cudnn,
    empty,
    flat,
    launch,
    products,
    ready,
)
from framework.kernels.floats import wide
from framework.layout import in_order, keeps_format, suggested

__all__ = [
    "conv1d", "conv1d_input", "conv1d_weight", "conv2d", "conv2d_input", "conv2d_weight", "conv3d",
    "conv3d_input", "conv3d_weight", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
]  # fmt: skip

_FEW = 8  # rows of a group's product, below which a tile would be mostly empty
_MUCH = 1 << 8  # numbers of a group's windows for which tensor cores pay nevertheless
_SOME = 9  # taps of the windows' gradient that a block adds up
_TARGET = 1 << 10  # blocks that fill a device with sums
_DEEP = 1 << 11  # of a sum that is worth a block
_MOST = (1 << 31) - (1 << 12)  # so that no int overflows where a tile or a part reaches beyond it


def _three(values: Any, fill: int) -> list[int]:
    return [fill] * (3 - len(values)) + [int(v) for v in values]


@functools.lru_cache(maxsize=1024)
def _shapes(
    batch: int, outs: int, ins: int, size: Any, out: Any, kernel: Any, stride: Any, padding: Any,
    dilation: Any, groups: int,
) -> tuple[int, ...] | None:  # fmt: skip
    """The entries' numbers; None for what the kernels are not for, or the plain one refuses."""
    good = groups > 0 and min(stride) > 0 and min(dilation) > 0 and min(padding) >= 0
    if not good or outs % groups or ins % groups or min(*size, *out, *kernel) <= 0:
        return None
    window = math.prod(kernel)
    largest = max(batch * math.prod(size), batch * math.prod(out), ins * window, outs * window,
                  *[n + 2 * p for n, p in zip(size, padding)],
                  *[(n - 1) * s for n, s in zip(out, stride)],
                  *[(n - 1) * d for n, d in zip(kernel, dilation)], *stride, *dilation)  # fmt: skip
    if largest > _MOST or ins * outs * window > _MOST:
        return None
    lines = ((size, 1), (out, 1), (kernel, 1), (stride, 1), (padding, 0), (dilation, 1))
    return (batch, groups, outs // groups, ins // groups,
            *[n for values, fill in lines for n in _three(values, fill)])  # fmt: skip


@functools.lru_cache(maxsize=1024)
def _out(size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> tuple[int, ...]:
    return tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation)
    )


def _with_bias(y: Any, b: Any) -> Any:
    if b is not None:
        y += b.reshape(1, -1, *[1] * (y.ndim - 2))
    return y


def _is_product(kernel: Any, stride: Any, padding: Any) -> bool:
    """Whether a window is one pixel, at each of the image's."""
    return max(kernel) == max(stride) == 1 and max(padding) == 0


def _product(x: Any, w: Any) -> Any:
    """Each pixel of images (N, C, ...) times w (O, C), by cuBLAS; None if it is not for that.

    Lines that begin at no multiple of 16 bytes are left to the tiles, which lay images out first.
    """
    last = suggested(x)
    size, lines = x.shape[2:], (x.shape[1], len(w)) if last else (math.prod(x.shape[2:]),)
    if any(n * x.dtype.itemsize % 16 for n in lines):
        return None
    if last is None:
        x = x.reshape(*x.shape[:2], -1)
        y = products.part_of_convolution(w, x, cudnn.allows_tf32())
        return None if y is None else y.reshape(len(x), len(w), *size)
    if not in_order(x, last):
        return None
    x = x.transpose(0, *range(2, x.ndim), 1)
    y = products.part_of_convolution(x, w.T, cudnn.allows_tf32())
    return None if y is None else y.transpose(0, y.ndim - 1, *range(1, y.ndim - 1))


def _by_tiles(x: Any, rows: int, depth: int) -> bool:
    """Whether tiles are worth it for so many rows of a group's product, of such a depth."""
    return rows >= _FEW or (1 < rows >= _MUCH / depth and conv_tiles.by_cores(x))


def _few(y: Any, each: int) -> tuple[int, int]:
    """Threads and blocks for a result, of which a thread makes some positions of a channel."""
    positions = math.prod(y.shape[2:])
    threads = min(256, -(-positions // (32 * each)) * 32)
    return threads, min(_MOST, y.shape[0] * y.shape[1] * -(-positions // (threads * each)))


def _conv(x: Any, w: Any, b: Any, *, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    given = [x, w] if b is None else [x, w, b]
    if not ready(*given) or x.ndim != w.ndim or x.ndim not in (3, 4, 5):
        return None
    if x.shape[1] != w.shape[1] * groups:
        return None
    if min(stride) <= 0 or (b is not None and b.shape != (len(w),)):
        return None
    kernel = w.shape[2:]
    out = _out(x.shape[2:], kernel, stride, padding, dilation)
    shapes = _shapes(len(x), len(w), x.shape[1], x.shape[2:], out, kernel, stride, padding,
                     dilation, groups)  # fmt: skip
    if shapes is None:
        return None
    if cudnn.wanted(x):
        y = cudnn.run("forward", x, w, (len(x), len(w), *out), stride, padding, dilation)
        if y is not None:
            return _with_bias(y, b)
    if groups == 1 and _is_product(w.shape[2:], stride, padding):
        y = _product(x, w.reshape(w.shape[:2]))
        if y is not None:
            return _with_bias(y, b)
    b = None if b is None else flat(b)
    if _by_tiles(x, len(w) // groups, math.prod(w.shape[1:])):
        return conv_tiles.forward(x, w, b, out, shapes)
    x, w, y = flat(x), flat(w), empty(x, (len(x), len(w), *out))
    threads, blocks = _few(y, 4)
    launch("conv", "conv_few", blocks, threads, x, w, b, y, *shapes)
    return y


def _conv_input(
    g: Any, w: Any, b: Any = None, *, size: Any, stride: Any, padding: Any, dilation: Any,
    groups: int,
) -> Any:  # fmt: skip
    """The gradient (N, C, *size) of the images; with a bias it is a transposed convolution."""
    if not ready(g, w) or g.ndim != w.ndim or g.ndim not in (3, 4, 5) or min(stride) <= 0:
        return None
    ins = w.shape[1] * groups
    shapes = _shapes(len(g), len(w), ins, size, g.shape[2:], w.shape[2:], stride, padding,
                     dilation, groups)  # fmt: skip
    if shapes is None or g.shape[1] != len(w):
        return None
    if b is not None and (not ready(g, b) or b.shape != (ins,)):
        return None
    if cudnn.wanted(g):
        x = cudnn.run("input", g, w, (len(g), ins, *size), stride, padding, dilation)
        if x is not None:
            return _with_bias(x, b)
    if groups == 1 and _is_product(w.shape[2:], stride, padding) and tuple(size) == g.shape[2:]:
        x = _product(g, w.reshape(w.shape[:2]).T)
        if x is not None:
            return _with_bias(x, b)
    b = None if b is None else flat(b)
    if _by_tiles(g, w.shape[1], len(w) // groups * math.prod(w.shape[2:])):
        return conv_tiles.turned(g, w, b, size, shapes)
    g, w, x = flat(g), flat(w), empty(g, (len(g), ins, *size))
    threads, blocks = _few(x, 1)
    launch("conv", "conv_input_few", blocks, threads, g, w, b, x, *shapes)
    return x


def _conv_weight(
    x: Any, g: Any, *, kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    """The gradient (O, C / groups, *kernel) of the windows, summed up in parts."""
    if not ready(x, g):
        return None
    ins, outs = x.shape[1], g.shape[1]
    shapes = _shapes(len(x), outs, ins, x.shape[2:], g.shape[2:], kernel, stride, padding,
                     dilation, groups)  # fmt: skip
    if shapes is None or len(x) != len(g):
        return None
    if cudnn.wanted(x):
        shape = outs, ins // groups, *kernel
        found = cudnn.run("weight", x, g, shape, stride, padding, dilation)
        if found is not None:
            return found
    if _by_tiles(x, outs // groups, ins // groups * math.prod(kernel)):
        found = conv_tiles.for_weight(x, g, shapes)
        return None if found is None else found.reshape(outs, ins // groups, *kernel)
    x, g, taps, depth = flat(x), flat(g), math.prod(kernel), len(x) * math.prod(g.shape[2:])
    blocks = outs * ins // groups * -(-taps // _SOME)
    count = max(1, min(-(-_TARGET // blocks), depth // _DEEP))
    parts = empty(x, (count, outs, taps, ins // groups), wide(empty(x, (0,))).dtype)
    threads = 256 if depth // count >= 256 else 32
    launch("conv", "conv_weight_few", blocks * count, threads, x, g, parts, count, *shapes)
    return conv_tiles.of_parts(x, parts).reshape(outs, ins // groups, *kernel)


conv1d = conv2d = conv3d = keeps_format(_conv, 2)
conv_transpose1d = conv_transpose2d = conv_transpose3d = keeps_format(_conv_input, 2)
conv1d_input = conv2d_input = conv3d_input = _conv_input
conv1d_weight = conv2d_weight = conv3d_weight = _conv_weight
