"""What the gates of LSTM and GRU cells make of their sums: one primitive each, with its gradient.

The gradient is a primitive too, as it is asked for at every time step. Where a graph of it is
wanted, for gradients of a higher order, the same is written in differentiable ops.
"""

from __future__ import annotations

from typing import Any

from framework.core.dispatch import apply
from framework.core.modes import modes
from framework.core.registry import op
from framework.kernels import compiled, module_of
from framework.kernels.floats import widening
from framework.kernels.quick import logistic
from framework.ops.joining import cat
from framework.ops.unary import sigmoid, tanh

__all__ = ["gru_gates", "lstm_gates"]


def _compiled(*arrays: Any) -> Any:
    """The compiled kernels, for large arrays of sums; the states may be smaller."""
    first = arrays[0]
    if first.ndim != 2 or not compiled.is_plain(first):
        return None
    for a in arrays[1:]:
        if a.ndim != 2 or a.dtype is not first.dtype or not a.flags.c_contiguous:
            return None
    return compiled.family("gates")


def _parts(x: Any, count: int) -> list[Any]:
    """The gates, which lie side by side."""
    width = x.shape[-1] // count
    return [x[..., k * width : (k + 1) * width] for k in range(count)]


# -- LSTM ---------------------------------------------------------------------------------------


def _lstm_kernel(x: Any, s: Any, c: Any) -> tuple[Any, Any]:
    if gates := _compiled(x, s, c):
        return gates.lstm(x, s, c)
    xp = module_of(x)
    i, f, g, o = _parts(x + s, 4)
    state = logistic(f) * c + logistic(i) * xp.tanh(g)
    return logistic(o) * xp.tanh(state), state


def _lstm_backward_kernel(
    gh: Any, gc: Any, x: Any, s: Any, c: Any, state: Any
) -> tuple[Any, Any]:  # fmt: skip
    if gates := _compiled(x, s, c, state, gh, gc):
        return gates.lstm_backward(gh, gc, x, s, c, state)
    xp = module_of(x)
    i, f, g, o = _parts(x + s, 4)
    i, f, g, o, t = logistic(i), logistic(f), xp.tanh(g), logistic(o), xp.tanh(state)
    d = gc + gh * o * (1 - t * t)
    parts = [d * g * i * (1 - i), d * c * f * (1 - f), d * i * (1 - g * g), gh * t * o * (1 - o)]
    return xp.concatenate(parts, axis=-1), d * f


LSTM_GATES_BACKWARD = op(
    "lstm_gates_backward", widening(_lstm_backward_kernel), "gh gc x s c state"
)  # fmt: skip


def _lstm_grads(g: Any, x: Any, s: Any, c: Any, y1: Any) -> tuple[Any, Any, Any]:
    gh, gc = g
    if gh is None:
        gh = gc * 0
    if gc is None:
        gc = gh * 0
    if not modes.grad:
        d, dc = apply(LSTM_GATES_BACKWARD, gh, gc, x, s, c, y1)
        return d, d, dc
    i, f, g, o = (x + s).chunk(4, -1)
    i, f, g, o, t = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o), tanh(y1)
    inner = gc + gh * o * (1 - t * t)
    parts = [inner * g * i * (1 - i), inner * c * f * (1 - f), inner * i * (1 - g * g)]
    d = cat([*parts, gh * t * o * (1 - o)], -1)
    return d, d, inner * f


LSTM_GATES = op(
    "lstm_gates", widening(_lstm_kernel), "x s c", grad=_lstm_grads,
    samples=lambda s: [((s(2, 8), s(2, 8), s(2, 2)), {}), ((s(4), s(4), s(1)), {})],
)  # fmt: skip


def lstm_gates(x: Any, s: Any, c: Any) -> tuple[Any, Any]:
    """(h', c') with c' = σ(f) c + σ(i) tanh(g) and h' = σ(o) tanh(c'); x + s is i, f, g, o."""
    return apply(LSTM_GATES, x, s, c)


# -- GRU ----------------------------------------------------------------------------------------


def _gru_kernel(x: Any, s: Any, h: Any) -> Any:
    if gates := _compiled(x, s, h):
        return gates.gru(x, s, h)
    (xr, xz, xn), (sr, sz, sn) = _parts(x, 3), _parts(s, 3)
    n = module_of(x).tanh(xn + logistic(xr + sr) * sn)
    return n + logistic(xz + sz) * (h - n)


def _gru_backward_kernel(g: Any, x: Any, s: Any, h: Any) -> tuple[Any, Any, Any]:
    if gates := _compiled(x, s, h, g):
        return gates.gru_backward(g, x, s, h)
    xp = module_of(x)
    (xr, xz, xn), (sr, sz, sn) = _parts(x, 3), _parts(s, 3)
    r, z = logistic(xr + sr), logistic(xz + sz)
    n = xp.tanh(xn + r * sn)
    dn = g * (1 - z) * (1 - n * n)
    shared = [dn * sn * r * (1 - r), g * (h - n) * z * (1 - z)]
    return (
        xp.concatenate([*shared, dn], axis=-1),
        xp.concatenate([*shared, dn * r], axis=-1),
        g * z,
    )


GRU_GATES_BACKWARD = op("gru_gates_backward", widening(_gru_backward_kernel), "g x s h")


def _gru_grads(g: Any, x: Any, s: Any, h: Any) -> tuple[Any, Any, Any]:
    if not modes.grad:
        return apply(GRU_GATES_BACKWARD, g, x, s, h)
    (xr, xz, xn), (sr, sz, sn) = x.chunk(3, -1), s.chunk(3, -1)
    r, z = sigmoid(xr + sr), sigmoid(xz + sz)
    n = tanh(xn + r * sn)
    dn = g * (1 - z) * (1 - n * n)
    shared = [dn * sn * r * (1 - r), g * (h - n) * z * (1 - z)]
    return cat([*shared, dn], -1), cat([*shared, dn * r], -1), g * z


GRU_GATES = op(
    "gru_gates", widening(_gru_kernel), "x s h", grad=_gru_grads,
    samples=lambda s: [((s(2, 6), s(2, 6), s(2, 2)), {}), ((s(3), s(3), s(1)), {})],
)  # fmt: skip


def gru_gates(x: Any, s: Any, h: Any) -> Any:
    """h' = (1 - z) n + z h with r, z = σ(x + s) and n = tanh(xₙ + r sₙ); x and s are r, z, n."""
    return apply(GRU_GATES, x, s, h)
