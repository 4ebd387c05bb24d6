"""The gates of LSTM and GRU cells in one pass, and their gradients. Rows are sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST, sigmoid, tanh

__all__ = ["gru", "gru_backward", "lstm", "lstm_backward"]

ONE = np.float32(1)


@njit(**FAST)
def _lstm(x, s, c, h_out, c_out, start, stop):
    width = c.shape[1]
    for n in range(start, stop):
        for j in range(width):
            i = sigmoid(x[n, j] + s[n, j])
            f = sigmoid(x[n, width + j] + s[n, width + j])
            g = tanh(x[n, 2 * width + j] + s[n, 2 * width + j])
            o = sigmoid(x[n, 3 * width + j] + s[n, 3 * width + j])
            state = f * c[n, j] + i * g
            c_out[n, j] = state
            h_out[n, j] = o * tanh(state)


@njit(**FAST)
def _lstm_backward(gh, gc, x, s, c, state, d, dc, start, stop):
    width = c.shape[1]
    for n in range(start, stop):
        for j in range(width):
            i = sigmoid(x[n, j] + s[n, j])
            f = sigmoid(x[n, width + j] + s[n, width + j])
            g = tanh(x[n, 2 * width + j] + s[n, 2 * width + j])
            o = sigmoid(x[n, 3 * width + j] + s[n, 3 * width + j])
            t = tanh(state[n, j])
            inner = gc[n, j] + gh[n, j] * o * (ONE - t * t)
            d[n, j] = inner * g * i * (ONE - i)
            d[n, width + j] = inner * c[n, j] * f * (ONE - f)
            d[n, 2 * width + j] = inner * i * (ONE - g * g)
            d[n, 3 * width + j] = gh[n, j] * t * o * (ONE - o)
            dc[n, j] = inner * f


@njit(**FAST)
def _gru(x, s, h, out, start, stop):
    width = h.shape[1]
    for i in range(start, stop):
        for j in range(width):
            r = sigmoid(x[i, j] + s[i, j])
            z = sigmoid(x[i, width + j] + s[i, width + j])
            n = tanh(x[i, 2 * width + j] + r * s[i, 2 * width + j])
            out[i, j] = n + z * (h[i, j] - n)


@njit(**FAST)
def _gru_backward(g, x, s, h, dx, ds, dh, start, stop):
    width = h.shape[1]
    for i in range(start, stop):
        for j in range(width):
            r = sigmoid(x[i, j] + s[i, j])
            z = sigmoid(x[i, width + j] + s[i, width + j])
            n = tanh(x[i, 2 * width + j] + r * s[i, 2 * width + j])
            dn = g[i, j] * (ONE - z) * (ONE - n * n)
            dz = g[i, j] * (h[i, j] - n) * z * (ONE - z)
            dr = dn * s[i, 2 * width + j] * r * (ONE - r)
            dx[i, j] = dr
            ds[i, j] = dr
            dx[i, width + j] = dz
            ds[i, width + j] = dz
            dx[i, 2 * width + j] = dn
            ds[i, 2 * width + j] = dn * r
            dh[i, j] = g[i, j] * z


def lstm(x: Any, s: Any, c: Any) -> tuple[Any, Any]:
    """(h', c') from the input's and the state's sums (N, 4 H) and the state c (N, H)."""
    h_out, c_out = np.empty_like(c), np.empty_like(c)
    in_parts(_lstm, len(c), x.size, x, s, c, h_out, c_out)
    return h_out, c_out


def lstm_backward(gh: Any, gc: Any, x: Any, s: Any, c: Any, state: Any) -> tuple[Any, Any]:
    """Gradients for x (and s) and c, from those of h' and c'; ``state`` is c'."""
    d, dc = np.empty_like(x), np.empty_like(c)
    in_parts(_lstm_backward, len(c), x.size, gh, gc, x, s, c, state, d, dc)
    return d, dc


def gru(x: Any, s: Any, h: Any) -> Any:
    """h' from the input's and the state's sums (N, 3 H) and the state h (N, H)."""
    out = np.empty_like(h)
    in_parts(_gru, len(h), x.size, x, s, h, out)
    return out


def gru_backward(g: Any, x: Any, s: Any, h: Any) -> tuple[Any, Any, Any]:
    """Gradients for x, s and h."""
    dx, ds, dh = np.empty_like(x), np.empty_like(s), np.empty_like(h)
    in_parts(_gru_backward, len(h), x.size, g, x, s, h, dx, ds, dh)
    return dx, ds, dh
