"""Activation functions and their gradients. Results lie in memory as the input does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from framework.kernels.cuda import blocks_for, empty_like, flat, in_one_line, launch, ready
from framework.layout import dense_order, is_dense

__all__ = [
    "elu", "elu_backward", "gelu", "gelu_backward", "leaky_relu", "leaky_relu_backward", "relu",
    "relu_backward", "sigmoid", "sigmoid_backward", "silu", "silu_backward", "tanh",
    "tanh_backward",
]  # fmt: skip


def _mapped(entry: str, arrays: tuple[Any, ...], numbers: tuple[float, ...] = ()) -> Any:
    """An entry on arrays of one shape; None where it cannot be run."""
    first = arrays[-1]
    if not ready(*arrays):
        return None
    shape, order, lines = first.shape, None, True
    for a in arrays:
        if a is not first and a.shape != shape:
            return None
        lines = lines and in_one_line(a)
    if not lines:
        if not in_one_line(first) and 0 not in first.strides and is_dense(first):
            order = dense_order(first)
            arrays = tuple([a.transpose(order) for a in arrays])
        arrays = tuple([flat(a) for a in arrays])
    out = empty_like(arrays[-1])
    size = out.size
    blocks = blocks_for(size * out.dtype.itemsize // 16)
    launch("pointwise", entry, blocks, 256, *arrays, out, size, *numbers)
    return out if order is None else out.transpose(np.argsort(order).tolist())


def _function(entry: str) -> Callable[..., Any]:
    def kernel(*arrays: Any) -> Any:
        return _mapped(entry, arrays)

    return kernel


relu, relu_backward = _function("relu"), _function("relu_backward")
sigmoid, sigmoid_backward = _function("sigmoid"), _function("sigmoid_backward")
silu, silu_backward = _function("silu"), _function("silu_backward")
tanh, tanh_backward = _function("tanh"), _function("tanh_backward")


def gelu(a: Any, *, approximate: str) -> Any:
    """x Φ(x), exactly or by a hyperbolic tangent."""
    return _mapped("gelu_tanh" if approximate == "tanh" else "gelu", (a,))


def gelu_backward(grad: Any, a: Any, *, approximate: str) -> Any:
    """The gradient that arrives times `gelu`'s derivative."""
    name = "gelu_tanh_backward" if approximate == "tanh" else "gelu_backward"
    return _mapped(name, (grad, a))


def leaky_relu(a: Any, *, negative_slope: float) -> Any:
    """x where that is positive, else slope x."""
    return _mapped("leaky_relu", (a,), (float(negative_slope),))


def leaky_relu_backward(grad: Any, a: Any, *, negative_slope: float) -> Any:
    """The gradient that arrives, times the slope where the input is not positive."""
    return _mapped("leaky_relu_backward", (grad, a), (float(negative_slope),))


def _floats(*numbers: Any) -> tuple[float, ...]:
    return tuple(map(float, numbers))


def elu(a: Any, *, alpha: float, scale: float = 1.0, input_scale: float = 1.0) -> Any:
    """scale x where that is positive, else alpha scale (e^(input_scale x) - 1)."""
    return _mapped("elu", (a,), _floats(alpha, scale, input_scale))


def elu_backward(
    grad: Any, a: Any, *, alpha: float, scale: float = 1.0, input_scale: float = 1.0
) -> Any:
    """The gradient that arrives times `elu`'s derivative."""
    return _mapped("elu_backward", (grad, a), _floats(alpha, scale, input_scale))
