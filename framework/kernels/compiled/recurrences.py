"""GRU and plain recurrent layers over all steps, as `sequences` does it for an LSTM."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST, tanh
from framework.kernels.compiled.sequences import panels_of, places, sigmoids, times, work
from framework.kernels.compiled.tiles import OUTS, PLACES

__all__ = ["gru", "gru_backward", "rnn", "rnn_backward"]

ONE, _f = np.float32(1), np.float32
_ZERO = np.float32(0)


# -- GRU ----------------------------------------------------------------------------------------


@njit(**FAST)
def _biased(s, bias, out):
    for j in range(out.size):
        out[j] = s[j] + bias[j]


@njit(**FAST)
def _new_of_gru(x, r, z, s, h, n, out):
    for j in range(out.size):
        new = tanh(x[j] + r[j] * s[j])
        n[j] = new
        out[j] = new + z[j] * (h[j] - new)


@njit(**FAST)
def _gru(x, h, bias, panels, backwards, gates, out, start, stop):
    steps, batch, width = out.shape
    padded = panels.shape[0] // 3 * PLACES
    sums = np.empty((OUTS, 3 * padded), np.float32)
    offsets = np.empty(OUTS, np.int64)
    a, b, e, q = width, 2 * width, 3 * width, 4 * width
    for block in range(start, stop):
        first = OUTS * block
        places(first, batch, width, offsets)
        for step in range(steps):
            t = steps - 1 - step if backwards else step
            before = t + 1 if backwards else t - 1
            known = out[before] if step else h
            times(known.ctypes.data, offsets.ctypes.data, width, panels, sums)
            for n in range(first, min(first + OUTS, batch)):
                s, given, to = sums[n - first], x[t, n], gates[t, n]
                _biased(s, bias, to[:a])
                _biased(s[padded:], bias[a:], to[a:b])
                _biased(s[2 * padded :], bias[b:], to[e:q])
                sigmoids(to[:a], given[:a], to[:a])
                sigmoids(to[a:b], given[a:b], to[a:b])
                _new_of_gru(given[b:e], to[:a], to[a:b], to[e:q], known[n], to[b:e], out[t, n])


@njit(**FAST)
def _slopes_of_gru(gh, r, z, n, s, h, dx_r, dx_z, dx_n, ds_r, ds_z, ds_n, kept):
    for j in range(gh.size):
        dn = gh[j] * (ONE - z[j]) * (ONE - n[j] * n[j])
        dz = gh[j] * (h[j] - n[j]) * z[j] * (ONE - z[j])
        dr = dn * s[j] * r[j] * (ONE - r[j])
        dx_r[j], ds_r[j] = dr, dr
        dx_z[j], ds_z[j] = dz, dz
        dx_n[j], ds_n[j] = dn, dn * r[j]
        kept[j] = gh[j] * z[j]


@njit(**FAST)
def _gru_backward(grad, h, gates, out, panels, backwards, dx, ds, dh, start, stop):
    steps, batch, width = grad.shape
    arriving = np.empty((OUTS, panels.shape[0] * PLACES), np.float32)
    offsets = np.empty(OUTS, np.int64)
    a, b, e, q = width, 2 * width, 3 * width, 4 * width
    for block in range(start, stop):
        first = OUTS * block
        last = min(first + OUTS, batch)
        places(first, batch, 3 * width, offsets)
        for step in range(steps):
            t = step if backwards else steps - 1 - step
            known = h
            if step < steps - 1:
                known = out[t + 1] if backwards else out[t - 1]
            for n in range(first, last):
                for j in range(width):
                    dh[n, j] += grad[t, n, j]
                of, x, s = gates[t, n], dx[t, n], ds[t, n]
                _slopes_of_gru(dh[n], of[:a], of[a:b], of[b:e], of[e:q], known[n], x[:a], x[a:b],
                               x[b:e], s[:a], s[a:b], s[b:e], dh[n])  # fmt: skip
            times(ds[t].ctypes.data, offsets.ctypes.data, 3 * width, panels, arriving)
            for n in range(first, last):
                for j in range(width):
                    dh[n, j] += arriving[n - first, j]


def gru(x: Any, h: Any, w: Any, bias: Any, backwards: bool) -> tuple[Any, Any]:
    """All h', and r, z, n and n's sums of h (L, N, 4 H): of x (L, N, 3 H), h (N, H), w (3 H, H)."""
    steps, batch, _ = x.shape
    width = h.shape[1]
    out = np.empty((steps, batch, width), np.float32)
    gates = np.empty((steps, batch, 4 * width), np.float32)
    panels = np.concatenate([panels_of(w[k * width : (k + 1) * width].T) for k in range(3)])
    bias = np.zeros(3 * width, np.float32) if bias is None else bias
    in_parts(_gru, *work(batch, steps, width), x, h, bias, panels, backwards, gates, out)
    return out, gates


def gru_backward(
    grad: Any, h: Any, w: Any, out: Any, gates: Any, backwards: bool
) -> tuple[Any, Any, Any]:
    """Gradients of x, of the sums of h, and of the first h, from those of all h'."""
    steps, batch, width = grad.shape
    dx, ds = np.empty((2, steps, batch, 3 * width), np.float32)
    dh = np.zeros((batch, width), np.float32)
    in_parts(_gru_backward, *work(batch, steps, width), grad, h, gates, out, panels_of(w),
             backwards, dx, ds, dh)  # fmt: skip
    return dx, ds, dh


# -- plain layers -------------------------------------------------------------------------------


@njit(**FAST)
def _tanhs(s, x, out):
    for j in range(out.size):
        out[j] = tanh(s[j] + x[j])


@njit(**FAST)
def _rectified(s, x, out):
    for j in range(out.size):
        v = s[j] + x[j]
        out[j] = _ZERO if v < _ZERO else v


@njit(**FAST)
def _rnn(x, h, panels, backwards, rectifies, out, start, stop):
    steps, batch, width = out.shape
    sums = np.empty((OUTS, panels.shape[0] * PLACES), np.float32)
    offsets = np.empty(OUTS, np.int64)
    for block in range(start, stop):
        first = OUTS * block
        places(first, batch, width, offsets)
        for step in range(steps):
            t = steps - 1 - step if backwards else step
            before = t + 1 if backwards else t - 1
            known = out[before] if step else h
            times(known.ctypes.data, offsets.ctypes.data, width, panels, sums)
            for n in range(first, min(first + OUTS, batch)):
                if rectifies:
                    _rectified(sums[n - first], x[t, n], out[t, n])
                else:
                    _tanhs(sums[n - first], x[t, n], out[t, n])


@njit(**FAST)
def _rnn_backward(grad, out, panels, backwards, rectifies, d, dh, start, stop):
    steps, batch, width = grad.shape
    arriving = np.empty((OUTS, panels.shape[0] * PLACES), np.float32)
    offsets = np.empty(OUTS, np.int64)
    for block in range(start, stop):
        first = OUTS * block
        last = min(first + OUTS, batch)
        places(first, batch, width, offsets)
        for step in range(steps):
            t = step if backwards else steps - 1 - step
            for n in range(first, last):
                g, more, y, to = dh[n], grad[t, n], out[t, n], d[t, n]
                if rectifies:
                    for j in range(width):
                        to[j] = _ZERO if y[j] <= _ZERO else g[j] + more[j]
                else:
                    for j in range(width):
                        to[j] = (g[j] + more[j]) * (ONE - y[j] * y[j])
            times(d[t].ctypes.data, offsets.ctypes.data, width, panels, arriving)
            for n in range(first, last):
                dh[n] = arriving[n - first, :width]


def rnn(x: Any, h: Any, w: Any, rectifies: bool, backwards: bool) -> Any:
    """All h' = tanh(x + h w.T), or relu: of x (L, N, H), the first h (N, H) and w (H, H)."""
    steps, batch, width = x.shape
    out = np.empty(x.shape, np.float32)
    in_parts(_rnn, *work(batch, steps, width), x, h, panels_of(w.T), backwards, rectifies, out)
    return out


def rnn_backward(
    grad: Any, w: Any, out: Any, rectifies: bool, backwards: bool
) -> tuple[Any, Any]:  # fmt: skip
    """Gradients of x and of the first h, from those of all h'."""
    steps, batch, width = grad.shape
    d, dh = np.empty(grad.shape, np.float32), np.zeros((batch, width), np.float32)
    in_parts(_rnn_backward, *work(batch, steps, width), grad, out, panels_of(w), backwards,
             rectifies, d, dh)  # fmt: skip
    return d, dh
