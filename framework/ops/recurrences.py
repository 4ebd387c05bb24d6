"""A GRU's or a plain recurrent layer over a sequence as one op, where nobody looks at its steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.core.dispatch import apply
from framework.core.modes import modes
from framework.core.registry import op
from framework.kernels import compiled, products
from framework.ops.joining import cat, stack
from framework.ops.sequences import before_each, fits

__all__ = ["gru_sequence", "rnn_sequence"]


def _weight_grad(d: Any, out: Any, h: Any, backwards: bool) -> Any:
    rows = d.reshape(-1, d.shape[2])
    known = before_each(np.concatenate, out, h, backwards)
    return products.matmul(rows.T, known.reshape(len(rows), -1))


def _steps(length: int, backwards: bool) -> range:
    """The steps from the last one taken to the first."""
    return range(length) if backwards else range(length - 1, -1, -1)


# -- GRU ----------------------------------------------------------------------------------------


def _gru_kernel(x: Any, h: Any, w: Any, b: Any, *, backwards: bool) -> Any:
    return compiled.family("recurrences").gru(x, h, w, b, backwards)


def _gru_backward_kernel(
    grad: Any, h: Any, w: Any, out: Any, gates: Any, *, backwards: bool
) -> Any:  # fmt: skip
    kernels = compiled.family("recurrences")
    dx, ds, dh = kernels.gru_backward(np.ascontiguousarray(grad), h, w, out, gates, backwards)
    return dx, dh, _weight_grad(ds, out, h, backwards), ds.sum(axis=(0, 1))


GRU_BACKWARD = op("gru_sequence_backward", _gru_backward_kernel, "grad h w out gates")


def _gru_grads(
    g: Any, n: Any, h: Any, w: Any, y0: Any, y1: Any, backwards: bool
) -> tuple[Any, ...]:  # fmt: skip
    grad, for_gates = g
    if grad is None:
        grad = y0 * 0
    if not modes.grad and for_gates is None and compiled.family("recurrences"):
        found = apply(GRU_BACKWARD, grad, h, w, y0, y1, backwards=backwards)
    else:
        found = _plain_gru(grad, for_gates, h, w, y0, y1, backwards)
    return (*found[:3], found[3] if n.needs(3) else None)


def _plain_gru(
    grad: Any, for_gates: Any, h: Any, w: Any, out: Any, gates: Any, backwards: bool
) -> tuple[Any, ...]:  # fmt: skip
    """Step by step, in differentiable ops."""
    known = before_each(cat, out, h, backwards)
    dh, inner, sums = h * 0, {}, {}
    for t in _steps(grad.shape[0], backwards):
        r, z, new, s = gates[t].chunk(4, -1)
        dh = dh + grad[t]
        d_new = dh * (1 - z)
        d_z, d_r, d_s = dh * (known[t] - new), 0, 0
        if for_gates is not None:
            more = for_gates[t].chunk(4, -1)
            d_r, d_z, d_new, d_s = more[0], d_z + more[1], d_new + more[2], more[3]
        d_new = d_new * (1 - new * new)
        d_r = (d_r + d_new * s) * r * (1 - r)
        d_z = d_z * z * (1 - z)
        inner[t] = cat([d_r, d_z, d_new], -1)
        sums[t] = cat([d_r, d_z, d_new * r + d_s], -1)
        dh = dh * z + sums[t] @ w
    dx, ds = (stack([part[t] for t in range(len(part))], 0) for part in (inner, sums))
    rows = ds.flatten(0, 1)
    return dx, dh, rows.transpose(0, 1) @ known.flatten(0, 1), rows.sum(0)


GRU = op("gru_sequence", _gru_kernel, "x h w b", grad=_gru_grads)


def gru_sequence(x: Any, h: Any, w: Any, b: Any, backwards: bool) -> Any:
    """All h' of the input's sums x (L, N, 3 H); None where `sequences.lstm_sequence` says None."""
    found = fits("recurrences", x, 3, h, w) if b is None else fits("recurrences", x, 3, h, w, b)
    if found is None:
        return None
    h, w = found[:2]
    return apply(GRU, x, h, w, None if b is None else found[2], backwards=backwards)[0]


# -- plain layers -------------------------------------------------------------------------------


def _rnn_kernel(x: Any, h: Any, w: Any, *, rectifies: bool, backwards: bool) -> Any:
    return compiled.family("recurrences").rnn(x, h, w, rectifies, backwards)


def _rnn_backward_kernel(
    grad: Any, h: Any, w: Any, out: Any, *, rectifies: bool, backwards: bool
) -> Any:  # fmt: skip
    kernels = compiled.family("recurrences")
    d, dh = kernels.rnn_backward(np.ascontiguousarray(grad), w, out, rectifies, backwards)
    return d, dh, _weight_grad(d, out, h, backwards)


RNN_BACKWARD = op("rnn_sequence_backward", _rnn_backward_kernel, "grad h w out")


def _rnn_grads(
    g: Any, h: Any, w: Any, y: Any, rectifies: bool, backwards: bool
) -> tuple[Any, ...]:  # fmt: skip
    if not modes.grad and compiled.family("recurrences"):
        return apply(RNN_BACKWARD, g, h, w, y, rectifies=rectifies, backwards=backwards)
    known = before_each(cat, y, h, backwards)
    dh, found = h * 0, {}
    for t in _steps(g.shape[0], backwards):
        slope = (y[t] > 0).to(y.dtype) if rectifies else 1 - y[t] * y[t]
        found[t] = (dh + g[t]) * slope
        dh = found[t] @ w
    d = stack([found[t] for t in range(len(found))], 0)
    return d, dh, d.flatten(0, 1).transpose(0, 1) @ known.flatten(0, 1)


RNN = op("rnn_sequence", _rnn_kernel, "x h w", grad=_rnn_grads)


def rnn_sequence(x: Any, h: Any, w: Any, rectifies: bool, backwards: bool) -> Any:
    """All h' of the input's sums x (L, N, H); None where `sequences.lstm_sequence` says None."""
    found = fits("recurrences", x, 1, h, w)
    if found is None:
        return None
    return apply(RNN, x, *found, rectifies=rectifies, backwards=backwards)
