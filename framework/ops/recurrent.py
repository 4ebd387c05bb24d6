"""One step of each recurrent cell, as composites: a debugger can step into the gates.

``projected`` is the input's part of the gates, ``input @ weight_ih.T + bias_ih``, which a layer
computes for all time steps at once.
"""

from __future__ import annotations

from typing import Any

from framework.core.dispatch import composite
from framework.ops.linear import linear
from framework.ops.unary import relu, sigmoid, tanh

__all__ = ["gru_cell", "lstm_cell", "rnn_relu_cell", "rnn_tanh_cell"]


@composite
def rnn_tanh_cell(projected: Any, h: Any, weight: Any, bias: Any) -> Any:
    """h' = tanh(projected + weight h + bias)."""
    return tanh(projected + linear(h, weight, bias))


@composite
def rnn_relu_cell(projected: Any, h: Any, weight: Any, bias: Any) -> Any:
    """h' = relu(projected + weight h + bias)."""
    return relu(projected + linear(h, weight, bias))


@composite
def lstm_cell(projected: Any, h: Any, c: Any, weight: Any, bias: Any) -> tuple[Any, Any]:
    """(h', c') with c' = σ(f) c + σ(i) tanh(g) and h' = σ(o) tanh(c').

    The gates lie in the order i, f, g, o (Hochreiter and Schmidhuber 1997; Gers et al. 2000).
    """
    gates = projected + linear(h, weight, bias)
    i, f, g, o = gates.chunk(4, -1)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


@composite
def gru_cell(projected: Any, h: Any, weight: Any, bias: Any) -> Any:
    """h' = (1 - z) n + z h with r, z = σ(...) and n = tanh(pₙ + r (weightₙ h + biasₙ)).

    The gates lie in the order r, z, n (Cho et al. 2014).
    """
    from_input = projected.chunk(3, -1)
    from_state = linear(h, weight, bias).chunk(3, -1)
    r = sigmoid(from_input[0] + from_state[0])
    z = sigmoid(from_input[1] + from_state[1])
    n = tanh(from_input[2] + r * from_state[2])
    return n + z * (h - n)
