"""Softmax, log-softmax and their gradients: rows by a warp or a block, columns by a thread each."""

from __future__ import annotations

import math
from typing import Any

from framework.kernels.cuda import blocks_for, empty_like, flat, launch, ready, threads_for

__all__ = ["log_softmax", "log_softmax_backward", "softmax", "softmax_backward"]

_NARROW = 32  # columns side by side, below which their lines are laid out as rows


def _along(entry: str, dim: int, *arrays: Any) -> Any:
    if not ready(*arrays) or not arrays[0].ndim:
        return None
    shape = arrays[0].shape
    dim %= len(shape)
    inner = math.prod(shape[dim + 1 :])
    if 1 < inner < _NARROW:
        turned = [flat(a.swapaxes(dim, -1)) for a in arrays]
        return flat(_along(entry, -1, *turned).swapaxes(dim, -1))
    arrays = tuple([flat(a) for a in arrays])
    out = empty_like(arrays[0])
    width, count = shape[dim], math.prod(shape[:dim])
    if inner > 1:
        launch("softmax", f"{entry}_columns", blocks_for(count * inner), 256,
               *arrays, out, count, width, inner)  # fmt: skip
    elif (threads := threads_for(width, out.dtype.itemsize, len(arrays))) == 32:
        launch("softmax", f"{entry}_warps", -(-count // 4), 128, *arrays, out, count, width)
    else:
        launch("softmax", f"{entry}_blocks", count, threads, *arrays, out, count, width)
    return out


def softmax(a: Any, *, dim: int) -> Any:
    """e^a over its sum along ``dim``."""
    return _along("softmax", dim, a)


def log_softmax(a: Any, *, dim: int) -> Any:
    """The logarithm of `softmax`."""
    return _along("log_softmax", dim, a)


def softmax_backward(grad: Any, y: Any, *, dim: int) -> Any:
    """y (g - sum(g y)), from the result y."""
    return _along("softmax_backward", dim, grad, y)


def log_softmax_backward(grad: Any, y: Any, *, dim: int) -> Any:
    """g - e^y sum(g), from the result y."""
    return _along("log_softmax_backward", dim, grad, y)
