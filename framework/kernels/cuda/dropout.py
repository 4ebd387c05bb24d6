"""Dropout, whose mask is a function of the generator's seed and place."""

from __future__ import annotations

from typing import Any

from framework.kernels.cuda import blocks_for, empty, empty_like, flat, launch, ready
from framework.layout import like_dense

__all__ = ["dropout"]


def _dropped(a: Any, p: float, seed: int, offset: int) -> Any:
    out = empty_like(a)
    least = min(round(p * 2**32), 2**32 - 1)
    scale = float(a.dtype.type(1 / (1 - p)))
    key = seed - (1 << 64) if seed >= 1 << 63 else seed
    launch("dropout", "dropout", blocks_for(-(-a.size // 8)), 256, a, out, a.size, key, offset,
           least, scale)  # fmt: skip
    return out


def dropout(a: Any, *, p: float, shape: tuple[int, ...], seed: int, offset: int) -> Any:
    """a / (1 - p) or 0 a; with one random number for each element of ``shape``."""
    if not ready(a) or p >= 1 or offset >= 1 << 62:
        return None
    if a.shape == shape:
        result = _dropped(flat(a), p, seed, offset)
    else:
        ones = empty(a, shape)
        ones.fill(1)
        result = a * _dropped(ones, p, seed, offset)
    return result if a.flags.c_contiguous else like_dense(result, a)
