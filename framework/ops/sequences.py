"""An LSTM over a sequence as one op, where nobody looks at its steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.core.dispatch import apply
from framework.core.interpose import stack as layers
from framework.core.modes import modes
from framework.core.registry import op
from framework.device import CPU
from framework.kernels import compiled, products
from framework.ops.joining import cat, stack
from framework.trace import sink

__all__ = ["before_each", "fits", "lstm_sequence"]


def _kernel(x: Any, h: Any, c: Any, w: Any, *, backwards: bool) -> Any:
    return compiled.family("sequences").lstm(x, h, c, w, backwards)


def _backward_kernel(
    grad: Any, for_states: Any, h: Any, c: Any, w: Any, out: Any, states: Any, gates: Any, *,
    backwards: bool,
) -> Any:  # fmt: skip
    grad = np.ascontiguousarray(grad)
    if for_states is not None:
        for_states = np.ascontiguousarray(for_states)
    d, dh, dc = compiled.family("sequences").lstm_backward(
        grad, for_states, c, w, states, gates, backwards
    )
    before = before_each(np.concatenate, out, h, backwards)
    rows = d.reshape(-1, d.shape[2])
    return d, dh, dc, products.matmul(rows.T, before.reshape(len(rows), -1))


def before_each(join: Any, all_of: Any, first: Any, backwards: bool) -> Any:
    """What was known before each step."""
    if backwards:
        return join([all_of[1:], first[None]], 0)
    return join([first[None], all_of[:-1]], 0)


LSTM_BACKWARD = op(
    "lstm_sequence_backward", _backward_kernel, "grad for_states h c w out states gates"
)


def _grads(
    g: Any, h: Any, c: Any, w: Any, y0: Any, y1: Any, y2: Any, backwards: bool
) -> tuple[Any, ...]:  # fmt: skip
    grad, for_states, for_gates = g
    if grad is None:
        grad = y0 * 0
    if not modes.grad and for_gates is None and compiled.family("sequences"):
        return apply(LSTM_BACKWARD, grad, for_states, h, c, w, y0, y1, y2, backwards=backwards)
    return _plain_grads(grad, for_states, for_gates, h, c, w, y0, y1, y2, backwards)


def _plain_grads(
    grad: Any, for_states: Any, for_gates: Any, h: Any, c: Any, w: Any, out: Any, states: Any,
    gates: Any, backwards: bool,
) -> tuple[Any, ...]:  # fmt: skip
    """Step by step, in differentiable ops."""
    held, known = (before_each(cat, a, first, backwards) for a, first in ((states, c), (out, h)))
    steps = range(grad.shape[0]) if backwards else range(grad.shape[0] - 1, -1, -1)
    dh, dc, found = h * 0, c * 0, {}
    for t in steps:
        i, f, n, o = gates[t].chunk(4, -1)
        seen = states[t].tanh()
        dh = dh + grad[t]
        if for_states is not None:
            dc = dc + for_states[t]
        dc = dc + dh * o * (1 - seen * seen)
        d = cat([dc * n, dc * held[t], dc * i, dh * seen], -1)
        if for_gates is not None:
            d = d + for_gates[t]
        di, df, dn, do = d.chunk(4, -1)
        found[t] = cat([di * i * (1 - i), df * f * (1 - f), dn * (1 - n * n), do * o * (1 - o)], -1)
        dh, dc = found[t] @ w, dc * f
    d = stack([found[t] for t in range(len(found))], 0)
    rows = d.flatten(0, 1)
    return d, dh, dc, rows.transpose(0, 1) @ known.flatten(0, 1)


LSTM = op("lstm_sequence", _kernel, "x h c w", grad=_grads)


def fits(family: str, x: Any, parts: int, h: Any, w: Any, *others: Any) -> Any:
    """h, w and the others, contiguous, if a family's kernels take these tensors; else None.

    They do not while a trace is made, and for what maps or takes apart ops; nor for small arrays,
    other types and devices, and without Numba. ``others`` are states or biases; ``x`` holds
    ``parts`` sums for each element of the state.
    """
    if sink.active is not None or any(layer.apart for layer in layers.layers):
        return None
    if x._device is not CPU or x.ndim != 3 or not compiled.is_plain(x._data):
        return None
    width, dtype = h.shape[-1], x.dtype
    if x.shape[2] != parts * width or w.shape != (parts * width, width):
        return None
    tensors = (h, w, *others)
    for a in tensors:
        if a.dtype is not dtype or a._data.__class__ is not np.ndarray:
            return None
    if h.shape != (x.shape[1], width) or not compiled.family(family):
        return None
    return tuple([a if a._data.flags.c_contiguous else a.contiguous() for a in tensors])


def lstm_sequence(x: Any, h: Any, c: Any, w: Any, backwards: bool) -> Any:
    """(all h', all c') of the input's sums x (L, N, 4 H); None where steps are to be seen."""
    found = fits("sequences", x, 4, h, w, c)
    if found is None or c.shape != h.shape:
        return None
    h, w, c = found
    return apply(LSTM, x, h, c, w, backwards=backwards)[:2]
