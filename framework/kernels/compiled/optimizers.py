"""A parameter's update in one pass: SGD, Adam and AdamW, to the bit what NumPy's passes give.

Nothing is contracted or reordered here: each element goes through the roundings of the plain way,
so that neither the size of a parameter, nor a trace, nor a Numba that is missing changes a run.
Arrays are contiguous, of one float type and one size, and flat inside.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts

__all__ = ["adam", "sgd"]

_EXACT: dict[str, Any] = {"error_model": "numpy", "nogil": True, "cache": True}
_PART = {**_EXACT, "forceinline": True}
_BLOCK = 4096  # elements of each array that stay in the cache between the passes over them


@njit(**_PART)
def _ascended(g, p, decay, decays, maximize):
    """The gradient with its sign and its weight decay."""
    g = -g if maximize else g
    return g + p * decay if decays else g


@njit(**_EXACT)
def _descend(p, g, lr, decay, decays, maximize):
    for i in range(p.size):
        p[i] -= _ascended(g[i], p[i], decay, decays, maximize) * lr


@njit(**_EXACT)
def _roll(p, g, b, lr, momentum, fresh, decay, decays, maximize, first, nesterov):
    for i in range(p.size):
        d = _ascended(g[i], p[i], decay, decays, maximize)
        moved = d if first else b[i] * momentum + d * fresh
        b[i] = moved
        p[i] -= (moved * momentum + d if nesterov else moved) * lr


@njit(**_EXACT)
def _sgd(p, g, b, numbers, decays, maximize, first, nesterov, start, stop):
    lr, momentum, fresh, decay = numbers[0], numbers[1], numbers[2], numbers[3]
    a, z = start * _BLOCK, min(stop * _BLOCK, p.size)
    if b.size:
        _roll(p[a:z], g[a:z], b[a:z], lr, momentum, fresh, decay, decays, maximize, first, nesterov)
    else:
        _descend(p[a:z], g[a:z], lr, decay, decays, maximize)


@njit(**_EXACT)
def _average(p, g, m, v, fresh1, beta2, fresh2, decay, decays, maximize):
    for i in range(p.size):
        d = _ascended(g[i], p[i], decay, decays, maximize)
        m[i] += (d - m[i]) * fresh1
        v[i] = v[i] * beta2 + d * d * fresh2


@njit(**_EXACT)
def _grow(v, top):
    for i in range(v.size):
        top[i] = v[i] if v[i] > top[i] or v[i] != v[i] else top[i]


@njit(**_EXACT)
def _move(p, m, v, root, eps, lr, shrink):
    for i in range(p.size):
        p[i] = p[i] * shrink - m[i] / (np.sqrt(v[i]) / root + eps) * lr


@njit(**_EXACT)
def _adam(p, g, m, v, top, numbers, decays, maximize, start, stop):
    fresh1, beta2, fresh2, decay = numbers[0], numbers[1], numbers[2], numbers[3]
    root, eps, lr, shrink = numbers[4], numbers[5], numbers[6], numbers[7]
    for block in range(start, stop):
        a, z = block * _BLOCK, min((block + 1) * _BLOCK, p.size)
        _average(p[a:z], g[a:z], m[a:z], v[a:z], fresh1, beta2, fresh2, decay, decays, maximize)
        if top.size:
            _grow(v[a:z], top[a:z])
            _move(p[a:z], m[a:z], top[a:z], root, eps, lr, shrink)
        else:
            _move(p[a:z], m[a:z], v[a:z], root, eps, lr, shrink)


_NONE = {np.dtype(t): np.zeros(0, t) for t in (np.float32, np.float64)}


def _run(kernel: Any, arrays: tuple[Any, ...], numbers: tuple[float, ...], *flags: bool) -> None:
    first = arrays[0]
    flat = [_NONE[first.dtype] if a is None else a.reshape(-1) for a in arrays]
    given = np.array(numbers, first.dtype)
    in_parts(kernel, -(-first.size // _BLOCK), first.size, *flat, given, *flags)


def sgd(
    param: Any, grad: Any, buffer: Any, lr: float, momentum: float, dampening: float,
    decay: float, maximize: bool, first: bool, nesterov: bool,
) -> None:  # fmt: skip
    """Write the new values into ``param`` and ``buffer``, which is None without momentum."""
    _run(_sgd, (param, grad, buffer), (lr, momentum, 1 - dampening, decay), bool(decay),
         bool(maximize), bool(first), bool(nesterov))  # fmt: skip


def adam(
    param: Any, grad: Any, mean: Any, square: Any, largest: Any, lr: float,
    betas: tuple[float, float], eps: float, decay: float, decoupled: bool, maximize: bool,
    step: float,
) -> None:  # fmt: skip
    """Write the new values into ``param``, its means and, unless it is None, ``largest``."""
    beta1, beta2 = betas
    shrink = 1 - lr * decay if decoupled else 1.0
    numbers = (1 - beta1, beta2, 1 - beta2, decay, (1 - beta2**step) ** 0.5, eps,
               lr / (1 - beta1**step), shrink)  # fmt: skip
    _run(_adam, (param, grad, mean, square, largest), numbers, bool(decay and not decoupled),
         bool(maximize))  # fmt: skip
