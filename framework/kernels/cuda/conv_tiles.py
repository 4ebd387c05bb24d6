"""Products of convolutions by tiles (`conv_tiles.cu`): by tensor cores, or without them.

Operands are laid out first with the channels of a group beside each other, filled up to 16 bytes;
images channels last, and windows, often lie so already. float32 is rounded to TF32 there where that
is allowed (``backends.cudnn.allow_tf32``); sums are float32's, or float64's.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from framework.kernels.cuda import blocks_for, cudnn, empty, flat, has_tensor_cores, launch
from framework.kernels.floats import wide
from framework.layout import in_order, suggested

__all__ = ["by_cores", "for_weight", "forward", "of_parts", "turned"]

_BUSY = 132  # multiprocessors of a large device
_DEEP = 1 << 8  # of a sum that is worth a block
_MOST = (1 << 31) - (1 << 12)  # no int overflows below it where a tile reaches beyond the end

# Rows and columns of a tile, threads, and how many a multiprocessor has at once.
_SHAPES = {"large": (128, 128, 256, 2), "low": (64, 128, 256, 2), "small": (64, 64, 128, 4)}


class _Order(NamedTuple):
    """What there is of an operand, and how it is to lie: (batch, positions, groups, channels)."""

    array: Any  # contiguous
    batch: int
    positions: int
    groups: int
    channels: int  # of a group
    steps: tuple[int, int, int, int]  # from one of each to the next, in elements


def by_cores(array: Any) -> bool:
    """Whether tensor cores multiply what such an array has."""
    if not has_tensor_cores(array) or array.dtype.itemsize > 4:
        return False
    return array.dtype.itemsize == 2 or cudnn.allows_tf32()


def _per_chunk(array: Any) -> int:
    return 16 // int(array.dtype.itemsize)


def _chunks(array: Any, channels: int) -> int:
    return -(-channels // _per_chunk(array))


def _seen(array: Any) -> tuple[Any, bool]:
    """Contiguous memory of an array (N, C, ...), and whether its channels are innermost there."""
    form = suggested(array)
    if form is not None and in_order(array, form):
        return array.transpose(0, *range(2, array.ndim), 1), True
    return flat(array), False


def _images(array: Any, groups: int) -> _Order:
    batch, channels, *size = array.shape
    seen, last = _seen(array)
    positions, each = math.prod(size), channels // groups
    if last:
        steps = (positions * channels, each, channels, 1)
    else:
        steps = (positions * channels, each * positions, 1, positions)
    return _Order(seen, batch, positions, groups, each, steps)


def _turned_windows(w: Any, groups: int) -> _Order:
    """Windows (groups * O, C, taps) as (groups, C * taps, O)."""
    outs, inner = len(w) // groups, math.prod(w.shape[1:])
    return _Order(flat(w), groups, inner, 1, outs, (outs * inner, 0, 1, inner))


def _lies_so(order: _Order) -> bool:
    """Whether it is as it is to be, at a multiple of 16 bytes."""
    per = _per_chunk(order.array)
    if order.channels % per or (order.steps[3] != 1 and order.channels > 1):
        return False
    steps = order.positions * order.groups * order.channels, order.channels
    if order.steps[0] != steps[0] or (order.groups > 1 and order.steps[1] != steps[1]):
        return False
    array = order.array
    where = array.ctypes.data if isinstance(array, np.ndarray) else array.data.ptr
    return where % 16 == 0


def _laid(orders: list[_Order], rounded: bool) -> list[Any] | None:
    """The operands in the order that products read them in; None: there are too many of them."""
    found, given = [], []
    for order in orders:
        array = order.array
        chunks = _chunks(array, order.channels)
        total = order.batch * order.positions * order.groups * chunks
        if total > _MOST:
            return None
        if not rounded and _lies_so(order):
            found.append(array)
            continue
        made = empty(
            array, (order.batch, order.positions, order.groups, chunks * _per_chunk(array))
        )
        found.append(made)
        given += [array, made, total, order.positions, order.groups, order.channels, chunks,
                  *order.steps]  # fmt: skip
    if given:
        blocks = blocks_for(sum(given[2::11]))
        given += [None, None, 0, 1, 1, 1, 1, 0, 0, 0, 0][: 22 - len(given)]
        launch("conv_tiles", "conv_lay", blocks, 256, *given, int(rounded))
    return found


@functools.lru_cache(maxsize=1024)
def _fitting(
    cores: bool, groups: int, rows: int, columns: int, most: int, kinds: str
) -> tuple[str, int, int]:
    """The shape of tiles that a device is done with first, how many, in how many parts.

    What a multiprocessor has to load for its tiles is taken for the time: rows and columns.
    """
    best: tuple[float, str, int, int] | None = None
    for kind in kinds.split() if cores else ["small"]:
        high, broad, _threads, resident = _SHAPES[kind]
        tiles = groups * -(-rows // high) * -(-columns // broad)
        parts = max(1, min(resident * _BUSY // tiles, most))
        cost = -(-tiles * parts // _BUSY) / parts * (high + broad)
        if best is None or cost < best[0]:
            best = cost, kind, tiles, parts
    assert best is not None
    return best[1:]


def _gather(
    entry: str, images: _Order, windows: _Order, b: Any, size: Any, last: bool, rows: int,
    target: Any, source: Any, window: tuple[int, ...], classes: int, columns: int,
) -> Any:  # fmt: skip
    """The result (N, groups * rows, *size), of which a block makes a part of the columns."""
    cores, groups = by_cores(images.array), images.groups
    laid = _laid([images, windows], cores and images.array.dtype == np.float32)
    chunks = _chunks(images.array, images.channels)
    kind, blocks, _ = _fitting(cores, groups * classes, rows, columns, 1, "large low small")
    if laid is None or max(blocks, images.positions * groups * chunks) > _MOST:
        return None
    channels, pixels = groups * rows, math.prod(size)
    shape = (images.batch, *size, channels) if last else (images.batch, channels, *size)
    y = empty(images.array, shape)
    steps = (pixels * channels, 1, channels) if last else (pixels * channels, pixels, 1)
    launch("conv_tiles", f"{entry}_{'cores' if cores else 'plain'}_{kind}", blocks,
           _SHAPES[kind][2], *laid, b, y, images.batch, groups, rows, chunks, *target, *source,
           *window, *steps)  # fmt: skip
    return y.transpose(0, y.ndim - 1, *range(1, y.ndim - 1)) if last else y


def _last(x: Any, w: Any) -> bool:
    return suggested(x) is not None or suggested(w) is not None


def forward(x: Any, w: Any, b: Any, out: Any, shapes: tuple[int, ...]) -> Any:
    """The convolution (N, O, *out) of images and windows; None if they are too large.

    Args:
        shapes: batch, groups, channels of a group (of the result, of the images), then three
            each: size, out, kernel, stride, padding, dilation.
    """
    groups, outs = shapes[1:3]
    target, source, window = shapes[7:10], shapes[4:7], shapes[10:]
    return _gather("conv", _images(x, groups), _images(w, 1), b, out, _last(x, w), outs, target,
                   source, window, 1, len(x) * math.prod(target))  # fmt: skip


def turned(g: Any, w: Any, b: Any, size: Any, shapes: tuple[int, ...]) -> Any:
    """The gradient (N, C, *size) of the images, which is a transposed convolution."""
    groups, ins = shapes[1], shapes[3]
    target, source, window = shapes[4:7], shapes[7:10], shapes[10:]
    # Pixels that leave the same rest by the stride meet the same taps: a product for each rest.
    strides = window[3:6]
    classes = math.prod(min(s, n) for s, n in zip(strides, target))
    columns = len(g) * math.prod(-(-n // s) for s, n in zip(strides, target))
    return _gather("conv_input", _images(g, groups), _turned_windows(w, groups), b, size,
                   _last(g, w), ins, target, source, window, classes, columns)  # fmt: skip


def for_weight(x: Any, g: Any, shapes: tuple[int, ...]) -> Any:
    """The gradient (O, C, taps) of the windows, summed up in parts; None if they are too large."""
    batch, groups, outs, ins = shapes[:4]
    size, out, window = shapes[4:7], shapes[7:10], shapes[10:]
    cores, taps = by_cores(x), math.prod(window[:3])
    chunks = _chunks(x, ins)
    filled, depth = chunks * _per_chunk(x), batch * math.prod(out)
    if max(taps * filled, groups * outs * taps) > _MOST:
        return None
    laid = _laid([_images(x, groups), _images(g, groups)], cores and x.dtype == np.float32)
    if laid is None:
        return None
    kind, tiles, count = _fitting(cores, groups, outs, taps * filled, depth // _DEEP, "large small")
    parts = empty(x, (count, groups * outs, taps, filled), wide(empty(x, (0,))).dtype)
    launch("conv_tiles", f"conv_weight_{'cores' if cores else 'plain'}_{kind}", tiles * count,
           _SHAPES[kind][2], *laid, parts, count, batch, groups, _chunks(g, outs), chunks, outs,
           *size, *out, *window)  # fmt: skip
    return of_parts(x, parts, ins)


def of_parts(like: Any, parts: Any, channels: int | None = None) -> Any:
    """(rows, channels, taps) of parts (count, rows, taps, at least so many channels), added up."""
    count, rows, taps, filled = parts.shape
    channels = filled if channels is None else channels
    found = empty(like, (rows, channels, taps))
    launch("conv_tiles", "conv_weight_parts", blocks_for(found.size), 256, found, parts, count,
           rows, channels, taps, filled)  # fmt: skip
    return found
