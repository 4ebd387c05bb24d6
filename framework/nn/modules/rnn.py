"""Recurrent cells and layers."""

from __future__ import annotations

import math
import warnings
from typing import Any

from framework.nn import functional as F
from framework.nn import init
from framework.nn.modules.module import Module
from framework.nn.parameter import Parameter
from framework.ops.creation import empty, zeros
from framework.ops.recurrent import gru_cell, lstm_cell, rnn_relu_cell, rnn_tanh_cell
from framework.ops.shape import cat, stack

__all__ = ["GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNBase", "RNNCell", "RNNCellBase"]

_RNN_STEPS = {"tanh": rnn_tanh_cell, "relu": rnn_relu_cell}


# -- cells ------------------------------------------------------------------------------------


class RNNCellBase(Module):
    """Weights of one step: ``weight_ih`` (gates · hidden, input), ``weight_hh``, two biases.

    All start uniform in ±1/sqrt(hidden_size).
    """

    _gates = 1

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        made = {"device": device, "dtype": dtype}
        rows = self._gates * hidden_size
        self.weight_ih = Parameter(empty((rows, input_size), **made))
        self.weight_hh = Parameter(empty((rows, hidden_size), **made))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(rows, **made)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _started(self, input: Any, state: Any) -> tuple[Any, Any]:
        """The input's part of the gates, and the state (zeros if there is none yet)."""
        if input.ndim not in (1, 2):
            raise ValueError(
                f"{type(self).__name__}: Expected input to be 1D or 2D, got {input.ndim}D instead"
            )
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input has inconsistent input_size: got {input.shape[-1]} expected "
                f"{self.input_size}"
            )
        shape = (*input.shape[:-1], self.hidden_size)
        states = state if isinstance(state, (tuple, list)) else (state,)
        for i, h in enumerate(states):
            if h is None or tuple(h.shape) == shape:
                continue
            if h.ndim != input.ndim:
                raise ValueError(
                    f"{type(self).__name__}: Expected hidden to be {input.ndim}D, got {h.ndim}D "
                    "instead"
                )
            if h.shape[-1] != self.hidden_size:
                raise RuntimeError(
                    f"hidden{i} has inconsistent hidden_size: got {h.shape[-1]}, expected "
                    f"{self.hidden_size}"
                )
            raise RuntimeError(
                f"Input batch size {input.shape[0]} doesn't match hidden{i} batch size {h.shape[0]}"
            )
        if state is None:
            state = zeros(shape, dtype=input.dtype, device=input.device)
        return F.linear(input, self.weight_ih, self.bias_ih), state

    def extra_repr(self) -> str:
        s = f"{self.input_size}, {self.hidden_size}"
        if not self.bias:
            s += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            s += f", nonlinearity={self.nonlinearity}"
        return s


class RNNCell(RNNCellBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh).

    Shapes: input (N, input_size) or (input_size,), h (N, hidden_size) or (hidden_size,).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.RNNCell(3, 4)(torch.zeros(2, 3)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Any = None) -> Any:
        if self.nonlinearity not in _RNN_STEPS:
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        projected, h = self._started(input, hx)
        return _RNN_STEPS[self.nonlinearity](projected, h, self.weight_hh, self.bias_hh)


class LSTMCell(RNNCellBase):
    """One step of an LSTM; takes and returns (h, c)."""

    _gates = 4

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        projected, state = self._started(input, hx)
        h, c = state if isinstance(state, (tuple, list)) else (state, state)
        return lstm_cell(projected, h, c, self.weight_hh, self.bias_hh)


class GRUCell(RNNCellBase):
    """One step of a GRU."""

    _gates = 3

    def forward(self, input: Any, hx: Any = None) -> Any:
        projected, h = self._started(input, hx)
        return gru_cell(projected, h, self.weight_hh, self.bias_hh)


# -- layers -----------------------------------------------------------------------------------


class RNNBase(Module):
    """Layers of cells over a sequence; parameters are named ``weight_ih_l0`` and so on."""

    _gates = 1
    mode = "RNN"

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an "
                "element being zeroed"
            )
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero "
                f"dropout expects num_layers greater than 1, but got dropout={dropout} and "
                f"num_layers={num_layers}",
                stacklevel=3,
            )
        if hidden_size <= 0:
            raise ValueError("hidden_size must be greater than zero")
        if num_layers <= 0:
            raise ValueError("num_layers must be greater than zero")
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        made = {"device": device, "dtype": dtype}
        rows = self._gates * hidden_size
        for layer in range(num_layers):
            width = input_size if layer == 0 else hidden_size * self._directions
            for suffix in self._suffixes(layer):
                setattr(self, f"weight_ih{suffix}", Parameter(empty((rows, width), **made)))
                setattr(self, f"weight_hh{suffix}", Parameter(empty((rows, hidden_size), **made)))
                if bias:
                    setattr(self, f"bias_ih{suffix}", Parameter(empty(rows, **made)))
                    setattr(self, f"bias_hh{suffix}", Parameter(empty(rows, **made)))
        self.reset_parameters()

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _suffixes(self, layer: int) -> list[str]:
        return [f"_l{layer}", f"_l{layer}_reverse"][: self._directions]

    def reset_parameters(self) -> None:
        """Draw new initial values: uniform in ±1/sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing to do here; PyTorch's CUDA backend lays weights out anew."""

    @property
    def all_weights(self) -> list[list[Any]]:
        """Per layer and direction: weight_ih, weight_hh and, if there are any, the biases."""
        names = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if self.bias else [])]
        return [
            [getattr(self, name + suffix) for name in names]
            for layer in range(self.num_layers)
            for suffix in self._suffixes(layer)
        ]

    # What the three kinds differ in: the state is a tuple of tensors.
    def _advance(self, projected: Any, state: tuple[Any, ...], w: Any, b: Any) -> tuple[Any, ...]:
        raise NotImplementedError

    def _run(self, input: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        """``input`` (L, N, width) through all layers; ``states`` one tuple per layer and way."""
        finals = []
        for layer in range(self.num_layers):
            ways = []
            for way, suffix in enumerate(self._suffixes(layer)):
                state = states[layer * self._directions + way]
                out, final = self._one_way(input, state, suffix, backwards=way == 1)
                ways.append(out)
                finals.append(final)
            input = ways[0] if len(ways) == 1 else cat(ways, -1)
            if self.dropout and layer < self.num_layers - 1:
                input = F.dropout(input, self.dropout, self.training)
        return input, finals

    def _one_way(
        self, input: Any, state: tuple[Any, ...], suffix: str, backwards: bool
    ) -> tuple[Any, tuple[Any, ...]]:
        w_ih, w_hh = getattr(self, "weight_ih" + suffix), getattr(self, "weight_hh" + suffix)
        b_ih = getattr(self, "bias_ih" + suffix) if self.bias else None
        b_hh = getattr(self, "bias_hh" + suffix) if self.bias else None
        steps = list(F.linear(input, w_ih, b_ih).unbind(0))
        if backwards:
            steps.reverse()
        outs = []
        for projected in steps:
            state = self._advance(projected, state, w_hh, b_hh)
            outs.append(state[0])
        if backwards:
            outs.reverse()
        return stack(outs, 0), state

    def _forward(self, input: Any, hx: Any, parts: int) -> tuple[Any, tuple[Any, ...]]:
        """Check, bring into (L, N, width), run; returns the output and the final states."""
        batched = self._check_input(input)
        if not batched:
            input = input.unsqueeze(1)
        elif self.batch_first:
            input = input.transpose(0, 1)
        given = self._check_state(hx, input, batched, parts)
        layers = self.num_layers * self._directions
        states = [tuple(part[i] for part in given) for i in range(layers)]
        out, finals = self._run(input, states)
        last = tuple(stack([f[k] for f in finals], 0) for k in range(parts))
        if not batched:
            return out.squeeze(1), tuple(part.squeeze(1) for part in last)
        return (out.transpose(0, 1) if self.batch_first else out), last

    def _check_input(self, input: Any) -> bool:
        if input.ndim not in (2, 3):
            raise ValueError(
                f"{self.mode}: Expected input to be 2D or 3D, got {input.ndim}D instead"
            )
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got "
                f"{input.shape[-1]}"
            )
        if not input.shape[0 if input.ndim == 2 or not self.batch_first else 1]:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        return input.ndim == 3

    def _check_state(self, hx: Any, input: Any, batched: bool, parts: int) -> list[Any]:
        shape = (self.num_layers * self._directions, input.shape[1], self.hidden_size)
        if hx is None:
            start = zeros(shape, dtype=input.dtype, device=input.device)
            return [start] * parts
        given = list(hx) if parts > 1 else [hx]
        checked = []
        for i, h in enumerate(given):
            if not batched:
                if h.ndim != 2:
                    raise RuntimeError(
                        f"For unbatched 2-D input, hx should also be 2-D but got {h.ndim}-D tensor"
                    )
                h = h.unsqueeze(1)
            elif h.ndim != 3:
                raise RuntimeError(
                    f"For batched 3-D input, hx should also be 3-D but got {h.ndim}-D tensor"
                )
            if tuple(h.shape) != shape:
                name = f"hidden[{i}]" if parts > 1 else "hidden"
                raise RuntimeError(f"Expected {name} size {shape}, got {list(h.shape)}")
            checked.append(h)
        return checked

    def extra_repr(self) -> str:
        s = f"{self.input_size}, {self.hidden_size}"
        for name, default in (
            ("num_layers", 1), ("bias", True), ("batch_first", False), ("dropout", 0.0),
            ("bidirectional", False),
        ):  # fmt: skip
            value = getattr(self, name)
            if value != default:
                s += f", {name}={value}"
        return s


class RNN(RNNBase):
    """Layers of `RNNCell` over a sequence.

    Shapes: input (L, N, input_size), (N, L, input_size) with ``batch_first``, or (L, input_size);
    state (layers · directions, N, hidden_size); output (L, N, directions · hidden_size).
    """

    def __init__(self, *args: Any, nonlinearity: str = "tanh", **kwargs: Any) -> None:
        if len(args) > 3:  # positional: after num_layers
            nonlinearity, args = args[3], (*args[:3], *args[4:])
        if nonlinearity not in _RNN_STEPS:
            raise ValueError(
                f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        self.__dict__["nonlinearity"] = nonlinearity
        super().__init__(*args, **kwargs)
        self.mode = f"RNN_{nonlinearity.upper()}"

    def _advance(self, projected: Any, state: tuple[Any, ...], w: Any, b: Any) -> tuple[Any, ...]:
        return (_RNN_STEPS[self.nonlinearity](projected, state[0], w, b),)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        out, (h,) = self._forward(input, hx, 1)
        return out, h


class LSTM(RNNBase):
    """Layers of `LSTMCell` over a sequence; the state is (h, c). Shapes as of `RNN`.

    >>> import framework as torch
    >>> from framework import nn
    >>> out, (h, c) = nn.LSTM(3, 4, num_layers=2)(torch.zeros(5, 1, 3))
    >>> out.shape, h.shape
    (torch.Size([5, 1, 4]), torch.Size([2, 1, 4]))
    """

    _gates = 4
    mode = "LSTM"

    def _advance(self, projected: Any, state: tuple[Any, ...], w: Any, b: Any) -> tuple[Any, ...]:
        return lstm_cell(projected, *state, w, b)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, tuple[Any, Any]]:
        out, (h, c) = self._forward(input, hx, 2)
        return out, (h, c)


class GRU(RNNBase):
    """Layers of `GRUCell` over a sequence. Shapes as of `RNN`."""

    _gates = 3
    mode = "GRU"

    def _advance(self, projected: Any, state: tuple[Any, ...], w: Any, b: Any) -> tuple[Any, ...]:
        return (gru_cell(projected, state[0], w, b),)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        out, (h,) = self._forward(input, hx, 1)
        return out, h
