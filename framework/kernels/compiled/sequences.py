"""An LSTM over all steps, forward and backward, for eight sequences of a batch at a time.

What a step multiplies the state by stays in the cache from one step to the next, and no sequence
waits for another, so that threads meet only at the end. Weights lie in panels of 32 columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST, sigmoid, tanh
from framework.kernels.compiled.tiles import OUTS, PLACES, gradient_32

__all__ = [
    "lstm", "lstm_backward", "panels_of", "places", "sigmoids", "times", "work",
]  # fmt: skip

ONE, _f = np.float32(1), np.float32


def panels_of(w: Any) -> Any:
    """(K, M) as (M / 32, K, 32), with zeros where M is no multiple of 32."""
    depth, width = w.shape
    count = -(-width // PLACES)
    out = np.zeros((count, depth, PLACES), np.float32)
    whole = width // PLACES
    if whole:
        out[:whole] = w[:, : whole * PLACES].reshape(depth, whole, PLACES).swapaxes(0, 1)
    if whole < count:
        out[whole, :, : width - whole * PLACES] = w[:, whole * PLACES :]
    return out


@njit(**FAST)
def places(first, rows, step, offsets):
    """Where eight rows begin; those past the last are the last."""
    for r in range(OUTS):
        offsets[r] = step * min(first + r, rows - 1)


@njit(**FAST)
def times(given, met, depth, panels, out):
    """Eight rows of ``depth`` numbers times all panels."""
    out[:] = _f(0)
    step = out.shape[1]
    for k in range(panels.shape[0]):
        gradient_32(given, met, 1, depth, depth, panels[k].ctypes.data,
                    out.ctypes.data + 4 * PLACES * k, step)  # fmt: skip


@njit(**FAST)
def sigmoids(s, x, out):
    for j in range(out.size):
        out[j] = sigmoid(s[j] + x[j])


@njit(**FAST)
def _tanhs(s, x, out):
    for j in range(out.size):
        out[j] = tanh(s[j] + x[j])


@njit(**FAST)
def _new_state(i, f, g, o, c, state, out):
    for j in range(out.size):
        new = f[j] * c[j] + i[j] * g[j]
        state[j] = new
        out[j] = o[j] * tanh(new)


@njit(**FAST)
def _lstm(x, h, c, panels, backwards, gates, states, out, start, stop):
    steps, batch, width = out.shape
    padded = panels.shape[0] // 4 * PLACES
    sums = np.empty((OUTS, 4 * padded), np.float32)
    offsets = np.empty(OUTS, np.int64)
    a, b, e, z = width, 2 * width, 3 * width, 4 * width
    for block in range(start, stop):
        first = OUTS * block
        places(first, batch, width, offsets)
        for step in range(steps):
            t = steps - 1 - step if backwards else step
            before = t + 1 if backwards else t - 1
            known = out[before] if step else h
            held = states[before] if step else c
            times(known.ctypes.data, offsets.ctypes.data, width, panels, sums)
            for n in range(first, min(first + OUTS, batch)):
                s, given, to = sums[n - first], x[t, n], gates[t, n]
                sigmoids(s, given[:a], to[:a])
                sigmoids(s[padded:], given[a:b], to[a:b])
                _tanhs(s[2 * padded :], given[b:e], to[b:e])
                sigmoids(s[3 * padded :], given[e:z], to[e:z])
                _new_state(to[:a], to[a:b], to[b:e], to[e:z], held[n], states[t, n], out[t, n])


@njit(**FAST)
def _slopes(gh, dc, i, f, g, o, c, state, di, df, dg, do):
    for j in range(gh.size):
        t = tanh(state[j])
        inner = dc[j] + gh[j] * o[j] * (ONE - t * t)
        di[j] = inner * g[j] * i[j] * (ONE - i[j])
        df[j] = inner * c[j] * f[j] * (ONE - f[j])
        dg[j] = inner * i[j] * (ONE - g[j] * g[j])
        do[j] = gh[j] * t * o[j] * (ONE - o[j])
        dc[j] = inner * f[j]


@njit(**FAST)
def _lstm_backward(grad, for_states, c, gates, states, panels, backwards, d, dh, dc, start, stop):
    steps, batch, width = grad.shape
    arriving = np.empty((OUTS, panels.shape[0] * PLACES), np.float32)
    offsets = np.empty(OUTS, np.int64)
    for block in range(start, stop):
        first = OUTS * block
        last = min(first + OUTS, batch)
        places(first, batch, 4 * width, offsets)
        for step in range(steps):
            t = step if backwards else steps - 1 - step
            held = c
            if step < steps - 1:
                held = states[t + 1] if backwards else states[t - 1]
            for n in range(first, last):
                for j in range(width):
                    dh[n, j] += grad[t, n, j]
                if for_states.size:
                    for j in range(width):
                        dc[n, j] += for_states[t, n, j]
                a, b, e, z = width, 2 * width, 3 * width, 4 * width
                of, to = gates[t, n], d[t, n]
                _slopes(dh[n], dc[n], of[:a], of[a:b], of[b:e], of[e:z], held[n], states[t, n],
                        to[:a], to[a:b], to[b:e], to[e:z])  # fmt: skip
            times(d[t].ctypes.data, offsets.ctypes.data, 4 * width, panels, arriving)
            for n in range(first, last):
                dh[n] = arriving[n - first, :width]


_NONE = np.zeros((0, 0, 0), np.float32)


def work(batch: int, steps: int, width: int) -> tuple[int, int]:
    """Blocks of sequences, and what all of them are worth."""
    return -(-batch // OUTS), steps * batch * width * max(4, width // 4)


def lstm(x: Any, h: Any, c: Any, w: Any, backwards: bool) -> tuple[Any, Any, Any]:
    """All h', all c' and all gates, of x (L, N, 4 H), the first h and c (N, H) and w (4 H, H)."""
    steps, batch, _ = x.shape
    width = h.shape[1]
    out, states = np.empty((2, steps, batch, width), np.float32)
    gates = np.empty(x.shape, np.float32)
    panels = np.concatenate([panels_of(w[k * width : (k + 1) * width].T) for k in range(4)])
    in_parts(_lstm, *work(batch, steps, width), x, h, c, panels, backwards, gates, states, out)
    return out, states, gates


def lstm_backward(
    grad: Any, for_states: Any, c: Any, w: Any, states: Any, gates: Any, backwards: bool
) -> tuple[Any, Any, Any]:
    """Gradients of x and the first h and c, from those of all h' and c' (or None)."""
    steps, batch, width = grad.shape
    d = np.empty(gates.shape, np.float32)
    dh, dc = np.zeros((2, batch, width), np.float32)
    given = _NONE if for_states is None else for_states
    in_parts(_lstm_backward, *work(batch, steps, width), grad, given, c, gates, states,
             panels_of(w), backwards, d, dh, dc)  # fmt: skip
    return d, dh, dc
