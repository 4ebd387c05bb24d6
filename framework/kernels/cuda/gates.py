"""The gates of LSTM and GRU cells in one pass, and their gradients."""

from __future__ import annotations

from typing import Any

from framework.kernels.cuda import blocks_for, empty_like, flat, launch, ready

__all__ = ["gru_gates", "gru_gates_backward", "lstm_gates", "lstm_gates_backward"]


def _given(*arrays: Any) -> list[Any] | None:
    """The arrays, contiguous; None unless they are of one type and of the same rows."""
    if not ready(*arrays) or any(a.shape[:-1] != arrays[0].shape[:-1] for a in arrays):
        return None
    return [flat(a) for a in arrays]


def _launch(entry: str, state: Any, *arrays: Any) -> None:
    width = state.shape[-1]
    launch("gates", entry, blocks_for(state.size), 256, *arrays, state.size // width, width)


def lstm_gates(x: Any, s: Any, c: Any) -> Any:
    """(h', c') from the input's and the state's sums (..., 4 H) and the state c (..., H)."""
    found = _given(x, s, c)
    if found is None or x.shape != s.shape:
        return None
    h_out, c_out = empty_like(c), empty_like(c)
    _launch("lstm", c, *found, h_out, c_out)
    return h_out, c_out


def lstm_gates_backward(gh: Any, gc: Any, x: Any, s: Any, c: Any, state: Any) -> Any:
    """Gradients for x (and s) and c, from those of h' and c'; ``state`` is c'."""
    found = _given(gh, gc, x, s, c, state)
    if found is None or x.shape != s.shape or not gh.shape == gc.shape == c.shape == state.shape:
        return None
    d, dc = empty_like(x), empty_like(c)
    _launch("lstm_backward", c, *found, d, dc)
    return d, dc


def gru_gates(x: Any, s: Any, h: Any) -> Any:
    """h' from the input's and the state's sums (..., 3 H) and the state h (..., H)."""
    found = _given(x, s, h)
    if found is None or x.shape != s.shape:
        return None
    out = empty_like(h)
    _launch("gru", h, *found, out)
    return out


def gru_gates_backward(g: Any, x: Any, s: Any, h: Any) -> Any:
    """Gradients for x, s and h."""
    found = _given(g, x, s, h)
    if found is None or x.shape != s.shape or g.shape != h.shape:
        return None
    dx, ds, dh = empty_like(x), empty_like(s), empty_like(h)
    _launch("gru_backward", h, *found, dx, ds, dh)
    return dx, ds, dh
