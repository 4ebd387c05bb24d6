"""What a debugger asks of every tensor, in one pass; see `trace.figures`."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.kernels.cuda import blocks_for, empty, flat, launch, ready

__all__ = ["NAMES", "health"]

NAMES = ("nan", "inf", "zeros", "low", "high", "total", "squares", "spread")
_BLOCKS = 1 << 10
_SMALL = 1 << 14  # bytes that one block reads, four times 16 for each thread


def health(x: Any, spread: bool, into: Any = None) -> Any:
    """The numbers called `NAMES`, as a float64 array (8,) on x's device; the last if ``spread``.

    A NaN counts neither for the least nor the greatest, and makes the sums one. Nothing waits for
    the device. None for arrays that the kernel is not for.

    Args:
        into: the array to put them into; a new one unless given.
    """
    if not ready(x):
        return None
    x = flat(x)
    out = empty(x, (8,), np.float64) if into is None else into
    if x.nbytes <= _SMALL:
        launch("health", "health_at_once", 1, 256, x, out, x.size, int(spread))
        return out
    blocks = min(_BLOCKS, blocks_for(x.size * x.dtype.itemsize // 16))
    parts = empty(x, (blocks, 7), np.float64)
    launch("health", "health", blocks, 256, x, parts, x.size)
    launch("health", "health_joined", 1, 256, x, parts, out, blocks)
    if spread:
        launch("health", "spread", blocks, 256, x, out, parts, x.size)
        launch("health", "spread_joined", 1, 256, x, parts, out, blocks)
    return out
