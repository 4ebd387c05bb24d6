"""Elementwise functions: the standard's names for ours, in its promotion of types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framework.array_api.array import operators, standard, torch
from framework.array_api.data_types import same_type
from framework.array_api.linear_algebra import matmul
from framework.dtypes import COMPLEX, FLOAT
from framework.tensor import Tensor

# Names of the standard and ours.
UNARY = {
    "abs": "abs", "acos": "acos", "acosh": "acosh", "asin": "asin", "asinh": "asinh",
    "atan": "atan", "atanh": "atanh", "bitwise_invert": "bitwise_not", "ceil": "ceil",
    "conj": "conj", "cos": "cos", "cosh": "cosh", "exp": "exp", "floor": "floor",
    "isfinite": "isfinite", "isinf": "isinf", "isnan": "isnan", "log": "log", "log1p": "log1p",
    "log2": "log2", "log10": "log10", "logical_not": "logical_not", "negative": "neg",
    "real": "real", "reciprocal": "reciprocal", "signbit": "signbit", "sin": "sin",
    "sinh": "sinh", "square": "square", "sqrt": "sqrt", "tan": "tan", "tanh": "tanh",
    "trunc": "trunc",
}  # fmt: skip
BINARY = {
    "add": "add", "atan2": "atan2", "bitwise_and": "bitwise_and",
    "bitwise_left_shift": "bitwise_left_shift", "bitwise_or": "bitwise_or",
    "bitwise_right_shift": "bitwise_right_shift", "bitwise_xor": "bitwise_xor",
    "copysign": "copysign", "divide": "true_divide", "equal": "eq", "greater": "gt",
    "greater_equal": "ge", "hypot": "hypot", "less": "lt", "less_equal": "le",
    "logaddexp": "logaddexp", "logical_and": "logical_and", "logical_or": "logical_or",
    "logical_xor": "logical_xor", "maximum": "maximum", "minimum": "minimum", "multiply": "mul",
    "nextafter": "nextafter", "not_equal": "ne", "pow": "pow", "remainder": "remainder",
    "subtract": "sub",
}  # fmt: skip

__all__ = [*UNARY, *BINARY, "clip", "expm1", "floor_divide", "imag", "positive", "round", "sign"]


def _unary(name: str, ours: str) -> Callable[..., Any]:
    def call(x: Tensor, /) -> Any:
        return getattr(torch, ours)(x)

    return _named(call, name, ours)


def _binary(name: str, ours: str) -> Callable[..., Any]:
    def call(x1: Any, x2: Any, /) -> Any:
        return getattr(torch, ours)(*same_type(x1, x2))

    return _named(call, name, ours)


def _named(call: Callable[..., Any], name: str, ours: str) -> Callable[..., Any]:
    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"`framework.{ours}`, elementwise."
    return standard(call)


_FUNCTIONS = {name: _unary(name, ours) for name, ours in UNARY.items()}
_FUNCTIONS.update({name: _binary(name, ours) for name, ours in BINARY.items()})
globals().update(_FUNCTIONS)


@standard
def clip(x: Tensor, /, min: Any = None, max: Any = None) -> Any:
    """``x`` between bounds, which broadcast and keep ``x``'s type; None is no bound.

    >>> from framework import array_api as xp
    >>> xp.clip(xp.asarray([1, 5, 9]), 2, xp.asarray([9, 3, 3]))
    tensor([2, 3, 3])
    """
    low, high = [
        b if b is None else torch.as_tensor(b, device=x.device).to(x.dtype) for b in (min, max)
    ]
    if low is None and high is None:
        return x.clone()
    return torch.clip(x, low, high)


@standard
def expm1(x: Tensor, /) -> Any:
    """exp(x) - 1, exact near zero; as in C of complex infinities, of which PyTorch makes NaN.

    >>> from framework import array_api as xp
    >>> xp.expm1(xp.asarray(complex(-xp.inf, xp.inf)))
    tensor(-1.+0.j)
    """
    if x.dtype.category < COMPLEX:
        return torch.expm1(x)
    usual = torch.isfinite(x) & (x != 0)
    return torch.where(usual, torch.expm1(x), torch.exp(x) - 1)


@standard
def floor_divide(x1: Any, x2: Any, /) -> Any:
    """The quotient, rounded down. A quotient of infinities is what the division gives: PyTorch
    makes -1 of -1 / inf and NaN of inf / 2.

    >>> from framework import array_api as xp
    >>> xp.floor_divide(xp.asarray([7.0, -7.0, xp.inf]), 2)
    tensor([ 3., -4., inf])
    """
    a, b = same_type(x1, x2)
    result = torch.floor_divide(a, b)
    if a.dtype.category < FLOAT:
        return result
    return torch.where(torch.isinf(a) | torch.isinf(b), torch.floor(a / b), result)


@standard
def imag(x: Tensor, /) -> Any:
    """The imaginary part: zeros for a real array."""
    return torch.imag(x) if x.dtype.category == COMPLEX else torch.zeros_like(x)


@standard
def positive(x: Tensor, /) -> Any:
    """A copy."""
    return x.clone()


@standard
def round(x: Tensor, /) -> Any:
    """The nearest whole number, of two the even one; a complex number's parts are rounded."""
    if x.dtype.category < COMPLEX:
        return torch.round(x)
    return torch.complex(torch.round(torch.real(x)), torch.round(torch.imag(x)))


@standard
def sign(x: Tensor, /) -> Any:
    """-1, 0 or 1, or x / abs(x) of a complex number; NaN of NaN, of which PyTorch makes 0."""
    result = torch.sgn(x)
    return torch.where(torch.isnan(x), x, result) if x.dtype.category == FLOAT else result


operators({**_FUNCTIONS, "floor_divide": floor_divide, "positive": positive, "matmul": matmul})
