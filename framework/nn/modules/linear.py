"""Affine layers."""

from __future__ import annotations

import math
from typing import Any

from framework.nn import functional as F
from framework.nn import init
from framework.nn.modules.factories import empty
from framework.nn.modules.lazy import LazyModuleMixin
from framework.nn.modules.module import Module
from framework.nn.parameter import Parameter

__all__ = ["Bilinear", "Identity", "LazyLinear", "Linear"]


class Identity(Module):
    """Returns its input; takes any arguments when made, so that it can stand in for another layer.

    Shapes and dtypes: any. TypeError for more than one argument in a call.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Identity(54, any_option=True)(torch.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        return input


class Linear(Module):
    """``input @ weight.T + bias`` on the last dimension: (*, in_features) to (*, out_features).

    Weight (out_features, in_features) and bias (out_features,) start uniform in
    ±1/sqrt(in_features). RuntimeError for input of another size or dtype, and for a negative size.
    Dtypes: float and complex types.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Linear(3, 2)
    Linear(in_features=3, out_features=2, bias=True)
    >>> nn.Linear(3, 2)(torch.zeros(4, 5, 3)).shape
    torch.Size([4, 5, 2])
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(empty((out_features, in_features), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Any) -> Any:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class LazyLinear(LazyModuleMixin, Linear):
    """A `Linear` that finds ``in_features`` out from its first input.

    (*, in_features) to (*, out_features). Before that input RuntimeError for its shape and
    ValueError for arithmetic with its weight. Dtypes: float and complex types, ``dtype``'s.

    >>> import framework as torch
    >>> from framework import nn
    >>> layer = nn.LazyLinear(2)
    >>> layer(torch.zeros(1, 5)).shape, layer
    (torch.Size([1, 2]), Linear(in_features=5, out_features=2, bias=True))
    """

    cls_to_become = Linear

    def __init__(
        self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(0, 0, False)
        self._add_uninitialized(("weight", "bias") if bias else ("weight",), device, dtype)
        self.out_features = out_features

    def reset_parameters(self) -> None:
        """Draw new initial values, once there is something to draw."""
        if not self.has_uninitialized_params() and self.in_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Any) -> None:
        """Materialize the parameters for this input."""
        if self.has_uninitialized_params():
            self.in_features = input.shape[-1]
            self.weight.materialize((self.out_features, self.in_features))
            if self.bias is not None:
                self.bias.materialize((self.out_features,))
            self.reset_parameters()
        if self.in_features == 0:
            if input.shape[-1] != self.weight.shape[-1]:
                raise AssertionError(
                    f"The in_features inferred from input: {input.shape[-1]} is not equal to "
                    f"in_features from self.weight: {self.weight.shape[-1]}"
                )
            self.in_features = input.shape[-1]


class NonDynamicallyQuantizableLinear(Linear):
    """The output projection of `MultiheadAttention`: a `Linear`, which PyTorch names apart."""


class Bilinear(Module):
    """``y_k = x1ᵀ W_k x2 + b_k``: (*, in1_features), (*, in2_features) to (*, out_features).

    Weight (out_features, in1_features, in2_features) and bias (out_features,) start uniform in
    ±1/sqrt(in1_features). RuntimeError for other sizes or dtypes and if the inputs' other
    dimensions differ; ValueError for ``in1_features`` 0. Dtypes: float and complex types.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Bilinear(3, 4, 2)(torch.zeros(5, 3), torch.zeros(5, 4)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self, in1_features: int, in2_features: int, out_features: int, bias: bool = True,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if in1_features <= 0:
            raise ValueError(f"in1_features must be > 0, but got {in1_features}")
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        shape = (out_features, in1_features, in2_features)
        self.weight = Parameter(empty(shape, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        bound = 1 / math.sqrt(self.weight.shape[1])
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Any, input2: Any) -> Any:
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )
