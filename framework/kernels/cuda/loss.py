"""The negative log likelihood and its gradient, without a matrix of ones and without gathering."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework.kernels.cuda import blocks_for, empty, flat, launch, ready
from framework.kernels.floats import wide

__all__ = ["nll_loss", "nll_loss_backward"]

_BLOCKS = 1 << 9  # of partial sums


def _plain_targets(target: Any) -> Any:
    """The targets as contiguous int64; None for other types."""
    if target.dtype not in (np.int64, np.uint8) or not target.size:
        return None
    return flat(target.astype(np.int64, copy=False))


def _targets(like: Any, target: Any, classes: int, ignored: int) -> Any:
    """The same; None also if one is out of range: the plain kernel says which.

    One number is read from the device for that.
    """
    target = _plain_targets(target)
    if target is None:
        return None
    bad = empty(like, (1,), np.int64)
    bad.fill(0)
    launch("loss", "bad_targets", blocks_for(target.size), 256, like, target, bad, target.size,
           classes, ignored)  # fmt: skip
    return None if int(bad[0]) else target


def _ready(x: Any, weight: Any, classes: int) -> bool:
    return ready(x) if weight is None else ready(x, weight) and weight.shape == (classes,)


def _total(like: Any, x: Any, target: Any, weight: Any, place: Any, mean: bool) -> Any:
    """The loss and the sum of the weights, in the wide type."""
    blocks = min(_BLOCKS, blocks_for(target.size))
    kind = wide(empty(like, (0,))).dtype
    sums, total, out = empty(like, (blocks, 2), kind), empty(like, (1,), kind), empty(like, ())
    launch("loss", "loss_sums", blocks, 256, like, x, target, weight, sums, target.size, *place)
    launch("loss", "loss", 1, 256, out, sums, total, blocks, int(mean))
    return out, total


def nll_loss(x: Any, target: Any, weight: Any, *, ignore_index: int, reduction: str) -> Any:
    """-x[target] w of each target, their sum, or that over the sum of the weights."""
    if x.ndim < 2 or not _ready(x, weight, x.shape[1]):
        return None
    if target.shape != (x.shape[0], *x.shape[2:]):
        return None
    found = _targets(x, target, x.shape[1], ignore_index)
    if found is None:
        return None
    x, weight = flat(x), None if weight is None else flat(weight)
    place = x.shape[1], math.prod(x.shape[2:]), ignore_index
    if reduction != "none":
        return _total(x, x, found, weight, place, reduction == "mean")[0]
    out = empty(x, target.shape)
    launch("loss", "losses", blocks_for(out.size), 256, x, found, weight, out, out.size, *place)
    return out


def nll_loss_backward(
    g: Any, target: Any, weight: Any, *, classes: int, ignore_index: int, reduction: str
) -> Any:  # fmt: skip
    """-w g at the targets of (N, classes, ...), zero elsewhere."""
    single = reduction != "none"
    if not target.ndim or not _ready(g, weight, classes):
        return None
    if g.size != 1 if single else g.shape != target.shape:
        return None
    found = _plain_targets(target)  # the loss has seen that all are in range
    if found is None:
        return None
    g, weight = flat(g), None if weight is None else flat(weight)
    place = classes, math.prod(target.shape[1:]), ignore_index
    total = _total(g, None, found, weight, place, True)[1] if reduction == "mean" else None
    out = empty(g, (target.shape[0], classes, *target.shape[1:]))
    launch("loss", "loss_backward", blocks_for(out.size // 4), 256, g, found, weight, total, out,
           out.size, *place, int(single))  # fmt: skip
    return out
