"""Recurrent networks: one step of each cell, and layers of them over a sequence.

The cells are composites: a debugger can step into them. ``projected`` is the input's part of
the gates, ``input @ weight_ih.T + bias_ih``, which a layer computes for all time steps at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from framework.core.dispatch import composite
from framework.ops.dropout import dropout as drop_out
from framework.ops.gates import gru_gates, lstm_gates
from framework.ops.joining import cat, stack
from framework.ops.linear import linear
from framework.ops.recurrences import gru_sequence, rnn_sequence
from framework.ops.select import relu
from framework.ops.sequences import lstm_sequence
from framework.ops.unary import tanh

__all__ = ["gru_cell", "layers", "lstm_cell", "rnn_relu_cell", "rnn_tanh_cell"]


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
    return lstm_gates(_typed(projected, c), _typed(linear(h, weight, bias), c), c)


@composite
def gru_cell(projected: Any, h: Any, weight: Any, bias: Any) -> Any:
    """h' = (1 - z) n + z h with r, z = σ(...) and n = tanh(pₙ + r (weightₙ h + biasₙ)).

    The gates lie in the order r, z, n (Cho et al. 2014).
    """
    return gru_gates(_typed(projected, h), _typed(linear(h, weight, bias), h), h)


def _typed(sums: Any, state: Any) -> Any:
    """Sums that autocast has narrowed, in the type of the state, which the results have."""
    return sums if sums.dtype is state.dtype else sums.to(state.dtype)


# -- layers -----------------------------------------------------------------------------------

# Kind: one step of a state, which is a tuple of tensors.
_STEPS: dict[str, Callable[..., tuple[Any, ...]]] = {
    "LSTM": lambda projected, state, w, b: lstm_cell(projected, *state, w, b),
    "GRU": lambda projected, state, w, b: (gru_cell(projected, state[0], w, b),),
    "RNN_TANH": lambda projected, state, w, b: (rnn_tanh_cell(projected, state[0], w, b),),
    "RNN_RELU": lambda projected, state, w, b: (rnn_relu_cell(projected, state[0], w, b),),
}


def layers(
    mode: str, input: Any, given: Sequence[Any], weights: list[list[Any]], biased: bool,
    directions: int, dropout: float, sizes: Any,
) -> tuple[Any, tuple[Any, ...]]:  # fmt: skip
    """Layers of cells over a sequence: (outputs, the parts of the final states).

    Args:
        mode: "LSTM", "GRU", "RNN_TANH" or "RNN_RELU".
        input: (L, N, width) with ``sizes`` None; or packed, (sum of sizes, width), where ``sizes``
            is the number of sequences in each step.
        given: the parts of the initial states, each (layers · directions, N, width).
        weights: per layer and direction weight_ih, weight_hh, with ``biased`` bias_ih and bias_hh,
            and for an LSTM with a projection weight_hr.
        dropout: between layers; 0 outside of training.
    """
    count = len(weights) // directions
    finals = []
    for layer in range(count):
        ways = []
        for way in range(directions):
            at = layer * directions + way
            state = tuple(part[at] for part in given)
            out, final = _one_way(mode, input, state, weights[at], biased, way == 1, sizes)
            ways.append(out)
            finals.append(final)
        input = ways[0] if len(ways) == 1 else cat(ways, -1)
        if dropout and layer < count - 1:
            input = drop_out(input, dropout, True)
    return input, tuple(stack([f[k] for f in finals], 0) for k in range(len(given)))


def _one_way(
    mode: str, input: Any, state: tuple[Any, ...], weights: list[Any], biased: bool,
    backwards: bool, sizes: Any,
) -> tuple[Any, tuple[Any, ...]]:  # fmt: skip
    """One layer in one direction: (outputs, final state)."""
    w_ih, w_hh, *rest = weights
    b_ih: Any
    b_ih, b_hh = rest[:2] if biased else (None, None)
    w_hr = rest[-1] if len(rest) % 2 else None
    step = _STEPS[mode]
    if biased and mode != "GRU":  # where both are only added up, once for all steps is enough
        b_ih, b_hh = b_ih + b_hh, None
    projected = linear(input, w_ih, b_ih)
    if mode == "LSTM":  # PyTorch's kernel of all steps is narrow under autocast, states too
        state = tuple(_typed(part, projected) for part in state)
    if sizes is None and w_hr is None:
        found = _at_once(mode, projected, state, w_hh, b_hh, backwards)
        if found is not None:
            last = 0 if backwards else -1
            return found[0], tuple([part[last] for part in found])
    steps = list(projected.unbind(0) if sizes is None else projected.split(sizes, 0))
    batch = _Batch(state, sizes, backwards)
    outs = []
    for part in reversed(steps) if backwards else steps:
        state = step(part, batch.state_for(part.shape[0]), w_hh, b_hh)
        if w_hr is not None:
            state = (linear(state[0], w_hr), *state[1:])
        batch.state = state
        outs.append(state[0])
    if backwards:
        outs.reverse()
    return (stack(outs, 0) if sizes is None else cat(outs, 0)), batch.final()


def _at_once(
    mode: str, projected: Any, state: tuple[Any, ...], weight: Any, bias: Any, backwards: bool
) -> tuple[Any, ...] | None:
    """The parts of the states after all steps, by one op; None where there is none for these."""
    if mode == "LSTM":
        found: tuple[Any, ...] | None = lstm_sequence(
            projected, state[0], state[1], weight, backwards
        )
        return found
    if mode == "GRU":
        out = gru_sequence(projected, state[0], weight, bias, backwards)
    else:
        out = rnn_sequence(projected, state[0], weight, mode == "RNN_RELU", backwards)
    return None if out is None else (out,)


class _Batch:
    """The state of the sequences that are under way; of packed ones, longest first.

    Going forwards sequences end one after the other, and their state is put aside. Going backwards
    the short ones join in with their initial state.
    """

    def __init__(self, state: tuple[Any, ...], sizes: Any, backwards: bool) -> None:
        self.initial = state
        self.ended: list[tuple[Any, ...]] = []
        self.state = state
        if sizes is not None and backwards:
            self.state = tuple(part[: sizes[-1]] for part in state)

    def state_for(self, count: int) -> tuple[Any, ...]:
        """The state of the first ``count`` sequences, for the next step."""
        now = self.state[0].shape[0]
        if count < now:
            self.ended.append(tuple(part[count:] for part in self.state))
            self.state = tuple(part[:count] for part in self.state)
        elif count > now:
            self.state = tuple(
                cat([part, first[now:count]], 0) for part, first in zip(self.state, self.initial)
            )
        return self.state

    def final(self) -> tuple[Any, ...]:
        if not self.ended:
            return self.state
        pieces = [self.state, *reversed(self.ended)]
        return tuple(cat(list(parts), 0) for parts in zip(*pieces))
