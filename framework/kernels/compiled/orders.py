"""Copies into another order of dimensions, tile by tile.

A tile is read along the memory of the source and written along that of the result; in between it
lies in a buffer of its own, for lines that are a power of two apart would push each other out of
the cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST

__all__ = ["reversed_lines", "transposed"]

_u = np.uintp  # an index of this type cannot be negative, which need not be asked then
_TILE = _u(16)


@njit(**FAST, forceinline=True)
def _tile(x, start, step, height, width, buffer):
    """``width`` lines of ``height`` elements each, transposed."""
    for c in range(width):
        at = start + c * step
        for r in range(height):
            buffer[r * _TILE + c] = x[at + r]


@njit(**FAST, forceinline=True)
def _rows(buffer, out, start, step, height, width):
    for r in range(height):
        at, line = start + r * step, r * _TILE
        for c in range(width):
            out[at + c] = buffer[line + c]


@njit(**FAST)
def _transposed(x, out, x_starts, out_starts, rows, columns, x_step, out_step, strips, start, stop):
    buffer = np.empty(_TILE * _TILE, x.dtype)
    for unit in range(_u(start), _u(stop)):
        plane, top = unit // strips, unit % strips * _TILE
        height = min(_TILE, rows - top)
        for left in range(_u(0), columns, _TILE):
            width = min(_TILE, columns - left)
            origin = x_starts[plane] + top + left * x_step
            at = out_starts[plane] + top * out_step + left
            if height == _TILE and width == _TILE:
                _tile(x, origin, x_step, _TILE, _TILE, buffer)
                _rows(buffer, out, at, out_step, _TILE, _TILE)
            else:
                _tile(x, origin, x_step, height, width, buffer)
                _rows(buffer, out, at, out_step, height, width)


def transposed(
    x: Any, out: Any, x_starts: Any, out_starts: Any, sizes: tuple[int, int],
    steps: tuple[int, int],
) -> None:  # fmt: skip
    """Copy planes: element (r, c) of each from start + r + c * step to start + r * step + c.

    ``x`` and ``out`` are vectors, the starts one number for each plane, ``sizes`` (rows, columns),
    ``steps`` those of x and of out.
    """
    strips = -(-sizes[0] // int(_TILE))
    numbers = [_u(n) for n in (*sizes, *steps, strips)]
    places = x_starts.astype(_u), out_starts.astype(_u)
    in_parts(_transposed, strips * len(x_starts), out.size, x, out, *places, *numbers)


@njit(**FAST)
def _reversed_lines(x, out, start, stop):
    last = _u(x.shape[1] - 1)
    for i in range(start, stop):
        line, turned = x[i], out[i]
        for j in range(_u(line.size)):
            turned[j] = line[last - j]


def reversed_lines(x: Any) -> Any:
    """The last dimension of a contiguous array in reverse."""
    out = np.empty_like(x)
    word = np.dtype(f"u{x.itemsize}") if x.itemsize <= 8 else x.dtype
    rows = [a.view(word).reshape(-1, a.shape[-1]) for a in (x, out)]
    in_parts(_reversed_lines, len(rows[0]), x.size, *rows)
    return out
