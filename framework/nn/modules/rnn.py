"""Recurrent cells and layers, over padded and over packed sequences."""

from __future__ import annotations

import math
import warnings
from typing import Any

from framework.nn import functional as F
from framework.nn import init
from framework.nn.modules.factories import empty, zeros
from framework.nn.modules.module import Module
from framework.nn.parameter import Parameter
from framework.nn.utils.rnn import PackedSequence
from framework.ops.recurrent import gru_cell, layers, lstm_cell, rnn_relu_cell, rnn_tanh_cell

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNBase", "RNNCell", "RNNCellBase"]

_RNN_STEPS = {"tanh": rnn_tanh_cell, "relu": rnn_relu_cell}


# -- cells ------------------------------------------------------------------------------------


class RNNCellBase(Module):
    """Base of the cells: ``weight_ih`` (gates · hidden, input), ``weight_hh`` and two biases.

    All are learnable and start uniform in ±1/sqrt(hidden_size). ``num_chunks`` is the number of
    gates. RuntimeError for a negative size, NotImplementedError when called. Dtypes: float and
    complex types.

    >>> from framework import nn
    >>> [tuple(p.shape) for p in nn.RNNCellBase(3, 4, bias=True, num_chunks=2).parameters()]
    [(8, 3), (8, 4), (8,), (8,)]
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        made = {"device": device, "dtype": dtype}
        rows = num_chunks * hidden_size
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
        if self.bias is not True:
            s += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            s += f", nonlinearity={self.nonlinearity}"
        return s


class RNNCell(RNNCellBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), one step of an `RNN`.

    x (N, input_size) and h (N, hidden_size) to (N, hidden_size). N may be missing, as may h: it is
    zeros then. Weights (hidden_size, input_size) and (hidden_size, hidden_size) and the biases
    start uniform in ±1/sqrt(hidden_size). ``nonlinearity="relu"`` takes max(0, ·) for tanh. Errors:
    ValueError for other numbers of dimensions, RuntimeError for other sizes and dtypes. Dtypes:
    float and complex types.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.RNNCell(3, 4)(torch.zeros(2, 3)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Any = None) -> Any:
        if self.nonlinearity not in _RNN_STEPS:
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        projected, h = self._started(input, hx)
        return _RNN_STEPS[self.nonlinearity](projected, h, self.weight_hh, self.bias_hh)


class LSTMCell(RNNCellBase):
    """One step of an LSTM: x, (h, c) to (h', c'), of shapes (N, input_size) and (N, hidden_size).

    i, f, g, o = the four parts of W_ih x + b_ih + W_hh h + b_hh; c' = sigmoid(f) c + sigmoid(i)
    tanh(g) and h' = sigmoid(o) tanh(c'). N may be missing, as may the state. Weights (4
    hidden_size, ·) start as those of `RNNCell`, which has the same errors: ValueError for other
    numbers of dimensions, RuntimeError for other sizes. Dtypes: float and complex types. Hochreiter
    and Schmidhuber, "Long short-term memory", 1997.

    >>> import framework as torch
    >>> from framework import nn
    >>> h, c = nn.LSTMCell(3, 4)(torch.zeros(2, 3))
    >>> h.shape, c.shape
    (torch.Size([2, 4]), torch.Size([2, 4]))
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        projected, state = self._started(input, hx)
        if isinstance(state, (tuple, list)) and len(state) != 2:
            raise RuntimeError(f"lstm_cell expects two hidden states, but got {len(state)}")
        h, c = state if isinstance(state, (tuple, list)) else (state, state)
        return lstm_cell(projected, h, c, self.weight_hh, self.bias_hh)


class GRUCell(RNNCellBase):
    """One step of a GRU: (N, input_size), (N, hidden_size) to (N, hidden_size).

    r, z, n are the three parts of W_ih x + b_ih and of W_hh h + b_hh; r and z are the sigmoids of
    the sums, n = tanh(n_ih + r n_hh) and h' = (1 - z) n + z h. N may be missing, as may h. Weights
    (3 hidden_size, ·) start as those of `RNNCell`, which has the same errors: ValueError for other
    numbers of dimensions, RuntimeError for other sizes. Dtypes: float and complex types. Cho et
    al., "Learning phrase representations using RNN encoder-decoder", 2014.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.GRUCell(3, 4)(torch.zeros(2, 3), torch.zeros(2, 4)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Any, hx: Any = None) -> Any:
        projected, h = self._started(input, hx)
        return gru_cell(projected, h, self.weight_hh, self.bias_hh)


# -- layers -----------------------------------------------------------------------------------

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


class RNNBase(Module):
    """Base of `RNN`, `LSTM` and `GRU`: layers of cells over a sequence.

    Parameters are named ``weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0`` and ``bias_hh_l0``, the
    second layer's end in ``l1``, those of the way back in ``_reverse``; all start uniform in
    ±1/sqrt(hidden_size).

    Args:
        mode: "LSTM", "GRU", "RNN_TANH" or "RNN_RELU".
        dropout: between layers, in training; warns if there is one layer only.
        proj_size: of an LSTM's h, below ``hidden_size``; ``weight_hr_l0`` computes it.

    Errors: TypeError or ValueError for options that do not fit. Dtypes: float and complex types.
    Shapes as of `RNN`.

    >>> from framework import nn
    >>> base = nn.RNNBase("GRU", 3, 4, bidirectional=True, bias=False)
    >>> [(name, tuple(p.shape)) for name, p in base.named_parameters()][1:3]
    [('weight_hh_l0', (12, 4)), ('weight_ih_l0_reverse', (12, 3))]
    """

    def __init__(
        self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
        proj_size: int = 0, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        _check_options(mode, input_size, hidden_size, num_layers, bias, batch_first, dropout,
                       proj_size)  # fmt: skip
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        made = {"device": device, "dtype": dtype}
        rows, state = _GATES[mode] * hidden_size, proj_size or hidden_size
        for layer in range(num_layers):
            width = input_size if layer == 0 else state * self._directions
            shapes: dict[str, Any] = {"weight_ih": (rows, width), "weight_hh": (rows, state)}
            if bias:
                shapes |= {"bias_ih": rows, "bias_hh": rows}
            if proj_size:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for suffix in self._suffixes(layer):
                for name, shape in shapes.items():
                    setattr(self, name + suffix, Parameter(empty(shape, **made)))
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
        """Per layer and direction: weight_ih, weight_hh, and what there is of biases, weight_hr.

        >>> from framework import nn
        >>> [[tuple(w.shape) for w in layer] for layer in nn.GRU(2, 3).all_weights]
        [[(9, 2), (9, 3), (9,), (9,)]]
        """
        names = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if self.bias else [])]
        names += ["weight_hr"] if self.proj_size else []
        return [
            [getattr(self, name + suffix) for name in names]
            for layer in range(self.num_layers)
            for suffix in self._suffixes(layer)
        ]

    @property
    def _flat_weights(self) -> list[Any]:
        return [weight for weights in self.all_weights for weight in weights]

    def _forward(self, input: Any, hx: Any, parts: int) -> tuple[Any, tuple[Any, ...]]:
        """Check, bring into (L, N, width), run; returns the output and the final states."""
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx, parts)
        batched = self._check_input(input)
        if not batched:
            input = input.unsqueeze(1)
        elif self.batch_first:
            input = input.transpose(0, 1)
        given = self._check_state(hx, input.shape[1], input, batched, parts)
        out, last = self._layers(input, given, None)
        if not batched:
            return out.squeeze(1), tuple(part.squeeze(1) for part in last)
        return (out.transpose(0, 1) if self.batch_first else out), last

    def _forward_packed(
        self, packed: PackedSequence, hx: Any, parts: int
    ) -> tuple[Any, tuple[Any, ...]]:
        data, sizes, order, back = packed
        if data.ndim != 2:
            raise RuntimeError(f"input must have 2 dimensions, got {data.ndim}")
        self._check_width(data)
        if hx is not None and order is not None:
            given = hx if parts > 1 else (hx,)
            given = tuple(h.index_select(1, order) for h in given)
            hx = given if parts > 1 else given[0]
        counts = [int(n) for n in sizes.tolist()]
        states = self._check_state(hx, counts[0], data, True, parts)
        out, last = self._layers(data, states, counts)
        if back is not None:
            last = tuple(part.index_select(1, back) for part in last)
        return PackedSequence(out, sizes, order, back), last

    def _layers(self, input: Any, given: list[Any], sizes: Any) -> tuple[Any, tuple[Any, ...]]:
        drop = self.dropout if self.training else 0.0
        weights, place = self.all_weights, input.device
        for name, tensors in (("hidden", given), *[("parameter", layer) for layer in weights]):
            for tensor in tensors:
                if tensor.device is not place:
                    raise RuntimeError(
                        f"Input and {name} tensors are not at the same device, found input tensor "
                        f"at {place} and {name} tensor at {tensor.device}"
                    )
        return layers(self.mode, input, given, weights, self.bias, self._directions,
                      drop, sizes)  # fmt: skip

    def _check_input(self, input: Any) -> bool:
        if input.ndim not in (2, 3):
            raise ValueError(
                f"{self.mode[:4].rstrip('_')}: Expected input to be 2D or 3D, got {input.ndim}D "
                "instead"
            )
        self._check_width(input)
        if not input.shape[0 if input.ndim == 2 or not self.batch_first else 1]:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        return input.ndim == 3

    def _check_width(self, input: Any) -> None:
        kind = self.weight_ih_l0.dtype
        if input.dtype is not kind:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({kind}). Convert "
                f"input: input.to({kind}), or convert model: model.to({input.dtype})"
            )
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got "
                f"{input.shape[-1]}"
            )

    def _check_state(
        self, hx: Any, batch: int, input: Any, batched: bool, parts: int
    ) -> list[Any]:  # fmt: skip
        """The initial state's parts, (layers · directions, N, width) each; zeros if not given."""
        rows = self.num_layers * self._directions
        widths = [self.proj_size or self.hidden_size, self.hidden_size][:parts]
        if hx is None:
            return [zeros((rows, batch, w), dtype=input.dtype, device=input.device) for w in widths]
        given = list(hx) if parts > 1 else [hx]
        if len(given) != parts:
            raise IndexError(f"Expected hx to be two tensors (h, c), but got {len(given)}")
        wanted = 3 if batched else 2
        if any(h.ndim != wanted for h in given):
            got = f"({given[0].ndim}-D, {given[1].ndim}-D)" if parts > 1 else f"{given[0].ndim}-D"
            kind = "batched 3-D" if batched else "unbatched 2-D"
            names = "hx and cx" if parts > 1 else "hx"
            raise RuntimeError(
                f"For {kind} input, {names} should also be {wanted}-D but got {got} "
                f"tensor{'s' if parts > 1 else ''}"
            )
        if not batched:
            given = [h.unsqueeze(1) for h in given]
        for i, (h, width) in enumerate(zip(given, widths)):
            if tuple(h.shape) != (rows, batch, width):
                name = f"hidden[{i}]" if parts > 1 else "hidden"
                raise RuntimeError(
                    f"Expected {name} size {(rows, batch, width)}, got {list(h.shape)}"
                )
        return given

    def check_input(self, input: Any, batch_sizes: Any) -> None:
        """Refuse an input of another dtype (ValueError), rank or width (RuntimeError)."""
        wanted = 3 if batch_sizes is None else 2
        if input.ndim != wanted and input.dtype is self.weight_ih_l0.dtype:
            raise RuntimeError(f"input must have {wanted} dimensions, got {input.ndim}")
        self._check_width(input)

    def get_expected_hidden_size(self, input: Any, batch_sizes: Any) -> tuple[int, int, int]:
        """The shape of h for such an input: (layers · directions, N, width)."""
        batch = input.shape[0 if self.batch_first else 1] if batch_sizes is None else batch_sizes[0]
        rows = self.num_layers * self._directions
        return rows, int(batch), self.proj_size or self.hidden_size

    def check_hidden_size(
        self, hx: Any, expected_hidden_size: tuple[int, int, int],
        msg: str = "Expected hidden size {}, got {}",
    ) -> None:  # fmt: skip
        """Refuse a state of another shape: RuntimeError."""
        if tuple(hx.shape) != tuple(expected_hidden_size):
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.shape)))

    def check_forward_args(self, input: Any, hidden: Any, batch_sizes: Any) -> None:
        """Refuse an input or a state, of an LSTM a pair of them, of other sizes."""
        self.check_input(input, batch_sizes)
        wanted = self.get_expected_hidden_size(input, batch_sizes)
        if not isinstance(hidden, (tuple, list)):
            return self.check_hidden_size(hidden, wanted)
        self.check_hidden_size(hidden[0], wanted, "Expected hidden[0] size {}, got {}")
        cell = (*wanted[:2], self.hidden_size)
        return self.check_hidden_size(hidden[1], cell, "Expected hidden[1] size {}, got {}")

    def permute_hidden(self, hx: Any, permutation: Any) -> Any:
        """The state (of an LSTM both) with its sequences in another order; itself for None."""
        if permutation is None:
            return hx
        if isinstance(hx, (tuple, list)):
            return tuple([h.index_select(1, permutation) for h in hx])
        return hx.index_select(1, permutation)

    def extra_repr(self) -> str:
        s = f"{self.input_size}, {self.hidden_size}"
        for name, default in (
            ("proj_size", 0), ("num_layers", 1), ("bias", True), ("batch_first", False),
            ("dropout", 0.0), ("bidirectional", False),
        ):  # fmt: skip
            value = getattr(self, name)
            if value != default:
                s += f", {name}={value}"
        return s


def _check_options(
    mode: Any, input_size: Any, hidden_size: Any, num_layers: Any, bias: Any, batch_first: Any,
    dropout: Any, proj_size: Any,
) -> None:  # fmt: skip
    if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an "
            "element being zeroed"
        )
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero "
            f"dropout expects num_layers greater than 1, but got dropout={dropout} and "
            f"num_layers={num_layers}",
            stacklevel=4,
        )
    for name, value in (("bias", bias), ("batch_first", batch_first)):
        if not isinstance(value, bool):
            raise TypeError(f"{name} should be of type bool, got: {type(value).__name__}")
    for name, value in (("input_size", input_size), ("hidden_size", hidden_size)):
        if not isinstance(value, int):
            raise TypeError(f"{name} should be of type int, got: {type(value).__name__}")
        if value <= 0:
            raise ValueError(f"{name} must be greater than zero")
    if num_layers <= 0:
        raise ValueError("num_layers must be greater than zero")
    if proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if proj_size >= hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")
    if mode not in _GATES:
        raise ValueError("Unrecognized RNN mode: " + mode)


class RNN(RNNBase):
    """Layers of `RNNCell` over a sequence, padded or packed (`nn.utils.rnn`).

    ``RNN(input_size, hidden_size, num_layers=1, nonlinearity="tanh", bias=True, batch_first=False,
    dropout=0.0, bidirectional=False, device=None, dtype=None)``; parameters as of `RNNBase`.

    Called with the input and, if it is not zeros, the first state; gives (output, last state).
    Shapes: input (L, N, input_size), (N, L, input_size) with ``batch_first``, or (L, input_size);
    state (layers · directions, N, hidden_size); output (L, N, directions · hidden_size), of the
    last layer. Errors: ValueError for another dtype or number of dimensions, RuntimeError for other
    sizes. Dtypes: float and complex types, the weights'. Elman, "Finding structure in time", 1990.

    >>> import framework as torch
    >>> from framework import nn
    >>> out, h = nn.RNN(3, 4, num_layers=2, batch_first=True)(torch.zeros(5, 7, 3))
    >>> out.shape, h.shape
    (torch.Size([5, 7, 4]), torch.Size([2, 5, 4]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _no_projection(kwargs)
        nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if len(args) > 3:
            nonlinearity, args = args[3], (*args[:3], *args[4:])
        if nonlinearity not in _RNN_STEPS:
            raise ValueError(
                f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        super().__init__(f"RNN_{nonlinearity.upper()}", *args, **kwargs)
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        out, (h,) = self._forward(input, hx, 1)
        return out, h


class LSTM(RNNBase):
    """Layers of `LSTMCell` over a sequence; the state is (h, c). Shapes and errors as of `RNN`.

    ``LSTM(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0,
    bidirectional=False, proj_size=0, device=None, dtype=None)``. With ``proj_size`` h is
    ``weight_hr @ h``, of that size (Sak et al., "Long short-term memory based recurrent neural
    network architectures", 2014). IndexError for a state that is not two tensors, ValueError for
    another dtype. Dtypes: float and complex types, the weights'.

    >>> import framework as torch
    >>> from framework import nn
    >>> out, (h, c) = nn.LSTM(3, 4, num_layers=2)(torch.zeros(5, 1, 3))
    >>> out.shape, h.shape
    (torch.Size([5, 1, 4]), torch.Size([2, 1, 4]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, tuple[Any, Any]]:
        out, (h, c) = self._forward(input, hx, 2)
        return out, (h, c)


class GRU(RNNBase):
    """Layers of `GRUCell` over a sequence. Arguments as of `LSTM` without ``proj_size``.

    Shapes and errors as of `RNN`, with the ``directions`` of ``bidirectional=True`` side by side in
    the output. ValueError for another dtype or ``proj_size``, RuntimeError for other sizes. Dtypes:
    float and complex types, the weights'.

    >>> import framework as torch
    >>> from framework import nn
    >>> out, h = nn.GRU(3, 4, bidirectional=True)(torch.zeros(5, 2, 3))
    >>> out.shape, h.shape
    (torch.Size([5, 2, 8]), torch.Size([2, 2, 4]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _no_projection(kwargs)
        super().__init__("GRU", *args, **kwargs)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        out, (h,) = self._forward(input, hx, 1)
        return out, h


def _no_projection(options: dict[str, Any]) -> None:
    if "proj_size" in options:
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
