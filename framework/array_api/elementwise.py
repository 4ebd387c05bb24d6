"""Elementwise functions: the standard's names for ours, in its promotion of types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framework.array_api.array import operators, standard, torch
from framework.array_api.data_types import same_type
from framework.array_api.linear_algebra import matmul
from framework.dtypes import COMPLEX, FLOAT
from framework.tensor import Tensor

# What the documentation says of types.
_FLOATING = "Floating and complex types stay; others are computed in the default floating type."
_KEPT = "The type stays."
_NUMERIC = "The type stays. A bool array raises an error: NotImplementedError."
_NEGATED = "The type stays. A bool array raises an error: RuntimeError."
_ROUNDED = "The type stays. Bool and complex arrays raise an error: NotImplementedError."
_BITS = "The type, bool or integer, stays; others raise an error: NotImplementedError."
_TRUTH = "The result is bool."
_PARTS = "The result is real, of the precision of ``x``; a real array stays as it is."
_MIXED = "The result has their common type, see `result_type`."
_SUBTRACTED = "The result has their common type; bool raises an error: RuntimeError."
_COUNTED = "The result has their common type; bool raises an error: NotImplementedError."
_ORDERED = "The result has their common type; complex raises an error: RuntimeError."
_DIVIDED = "The result has their common type; bool and complex raise an error: NotImplementedError."
_SHIFTED = (
    "The result has their common type, an integer; others raise an error: NotImplementedError."
)
_COMBINED = (
    "The result has their common type, bool or integer; others raise an error: NotImplementedError."
)
_REAL = "The result is real floating; complex types raise an error: NotImplementedError."
_FLOATS = "The types must be real floating; others raise an error: NotImplementedError."
_COMPARED = "The result is bool; complex types raise an error: NotImplementedError."

# Name of the standard: ours, what it is for, its types, the arguments and result of an example.
UNARY = {
    "abs": ("abs", "Distances from zero; those of complex numbers are real.", _NUMERIC,
            "[-1, 2]", "tensor([1, 2])"),
    "acos": ("acos", "Angles in [0, pi] that have these cosines.", _FLOATING,
             "[1.0, 0.0]", "tensor([0.0000, 1.5708])"),
    "acosh": ("acosh", "What `cosh` gave these numbers for; NaN below 1.", _FLOATING,
              "[1.0, 2.0]", "tensor([0.0000, 1.3170])"),
    "asin": ("asin", "Angles in [-pi / 2, pi / 2] that have these sines.", _FLOATING,
             "[0.0, 1.0]", "tensor([0.0000, 1.5708])"),
    "asinh": ("asinh", "What `sinh` gave these numbers for.", _FLOATING,
              "[0.0, 1.0]", "tensor([0.0000, 0.8814])"),
    "atan": ("atan", "Angles in [-pi / 2, pi / 2] that have these tangents.", _FLOATING,
             "[0.0, 1.0]", "tensor([0.0000, 0.7854])"),
    "atanh": ("atanh", "What `tanh` gave these numbers for; infinities at -1 and 1.", _FLOATING,
              "[0.0, 0.5]", "tensor([0.0000, 0.5493])"),
    "bitwise_invert": ("bitwise_not", "Each bit turned over; of bool: not.", _BITS,
                       "[0, 5]", "tensor([-1, -6])"),
    "ceil": ("ceil", "The next whole numbers at or above.", _ROUNDED,
             "[1.2, -1.2]", "tensor([ 2., -1.])"),
    "conj": ("conj", "Complex conjugates; real numbers are their own.", _KEPT,
             "[1 + 2j]", "tensor([1.-2.j])"),
    "cos": ("cos", "Cosines of angles in radians.", _FLOATING,
            "[0.0, 1.0]", "tensor([1.0000, 0.5403])"),
    "cosh": ("cosh", "Hyperbolic cosines.", _FLOATING,
             "[0.0, 1.0]", "tensor([1.0000, 1.5431])"),
    "exp": ("exp", "Powers of e.", _FLOATING,
            "[0.0, 1.0]", "tensor([1.0000, 2.7183])"),
    "floor": ("floor", "The next whole numbers at or below.", _ROUNDED,
              "[1.2, -1.2]", "tensor([ 1., -2.])"),
    "isfinite": ("isfinite", "Whether numbers are neither infinite nor NaN.", _TRUTH,
                 "[1.0, xp.inf, xp.nan]", "tensor([ True, False, False])"),
    "isinf": ("isinf", "Whether numbers are infinite.", _TRUTH,
              "[1.0, xp.inf, xp.nan]", "tensor([False,  True, False])"),
    "isnan": ("isnan", "Whether numbers are NaN.", _TRUTH,
              "[1.0, xp.inf, xp.nan]", "tensor([False, False,  True])"),
    "log": ("log", "Natural logarithms; -inf of 0, NaN below.", _FLOATING,
            "[1.0, xp.e]", "tensor([0., 1.])"),
    "log1p": ("log1p", "log(1 + x), exact near zero too.", _FLOATING,
              "[0.0, 1e-9]", "tensor([0.0000e+00, 1.0000e-09])"),
    "log2": ("log2", "Logarithms to the base of 2.", _FLOATING,
             "[1.0, 8.0]", "tensor([0., 3.])"),
    "log10": ("log10", "Logarithms to the base of 10.", _FLOATING,
              "[1.0, 2.0]", "tensor([0.0000, 0.3010])"),
    "logical_not": ("logical_not", "True where an element is zero or false.", _TRUTH,
                    "[True, False]", "tensor([False,  True])"),
    "negative": ("neg", "Numbers of the other sign; unsigned ones wrap round.", _NEGATED,
                 "[1, -2]", "tensor([-1,  2])"),
    "real": ("real", "Real parts.", _PARTS,
             "[1 + 2j]", "tensor([1.])"),
    "reciprocal": ("reciprocal", "1 / x.", _FLOATING,
                   "[2.0, 4.0]", "tensor([0.5000, 0.2500])"),
    "signbit": ("signbit", "Whether the sign is a minus, that of -0.0 too.",
                "The result is bool. Complex arrays raise an error: NotImplementedError.",
                "[-0.0, 0.0, -3.0]", "tensor([ True, False,  True])"),
    "sin": ("sin", "Sines of angles in radians.", _FLOATING,
            "[0.0, 1.0]", "tensor([0.0000, 0.8415])"),
    "sinh": ("sinh", "Hyperbolic sines.", _FLOATING,
             "[0.0, 1.0]", "tensor([0.0000, 1.1752])"),
    "square": ("square", "x * x.", "The type stays; bool becomes int64.",
               "[2, -3]", "tensor([4, 9])"),
    "sqrt": ("sqrt", "Square roots; NaN of negative real numbers.", _FLOATING,
             "[4.0, 2.0]", "tensor([2.0000, 1.4142])"),
    "tan": ("tan", "Tangents of angles in radians.", _FLOATING,
            "[0.0, 1.0]", "tensor([0.0000, 1.5574])"),
    "tanh": ("tanh", "Hyperbolic tangents.", _FLOATING,
             "[0.0, 1.0]", "tensor([0.0000, 0.7616])"),
    "trunc": ("trunc", "The next whole numbers towards zero.", _ROUNDED,
              "[1.8, -1.8]", "tensor([ 1., -1.])"),
}  # fmt: skip
BINARY = {
    "add": ("add", "Sums; of bool: or.", _MIXED,
            "[1, 2], [0.5]", "tensor([1.5000, 2.5000])"),
    "atan2": ("atan2", "The angles in [-pi, pi] of points whose coordinates are x2 and x1.", _REAL,
              "[1.0, 0.0], [0.0, -1.0]", "tensor([1.5708, 3.1416])"),
    "bitwise_and": ("bitwise_and", "Bits that both operands have.", _COMBINED,
                    "[6, 5], [3]", "tensor([2, 1])"),
    "bitwise_left_shift": ("bitwise_left_shift", "x1 * 2**x2 in whole numbers.", _SHIFTED,
                           "[1, 3], [2]", "tensor([ 4, 12])"),
    "bitwise_or": ("bitwise_or", "Bits that one of the operands has.", _COMBINED,
                   "[6, 5], [3]", "tensor([7, 7])"),
    "bitwise_right_shift": ("bitwise_right_shift", "x1 / 2**x2, rounded down.", _SHIFTED,
                            "[9, -9], [2]", "tensor([ 2, -3])"),
    "bitwise_xor": ("bitwise_xor", "Bits that only one of the operands has.", _COMBINED,
                    "[6, 5], [3]", "tensor([5, 6])"),
    "copysign": ("copysign", "The size of x1 with the sign of x2.", _REAL,
                 "[1.0, -2.0], [-0.0, 3.0]", "tensor([-1.,  2.])"),
    "divide": ("true_divide", "Quotients; those of integers are floating.",
               "The result has their common type if that is floating or complex, otherwise the "
               "default floating type.",
               "[1, 3], [2]", "tensor([0.5000, 1.5000])"),
    "equal": ("eq", "Whether two elements are equal; NaN equals nothing.", _TRUTH,
              "[1, 2], [1.0, 3.0]", "tensor([ True, False])"),
    "greater": ("gt", "Whether x1 > x2.", _COMPARED,
                "[1, 2, 3], [2]", "tensor([False, False,  True])"),
    "greater_equal": ("ge", "Whether x1 >= x2.", _COMPARED,
                      "[1, 2, 3], [2]", "tensor([False,  True,  True])"),
    "hypot": ("hypot", "sqrt(x1**2 + x2**2), without overflow in between.", _FLOATS,
              "[3.0, 1e30], [4.0, 0.0]", "tensor([5.0000e+00, 1.0000e+30])"),
    "less": ("lt", "Whether x1 < x2.", _COMPARED,
             "[1, 2, 3], [2]", "tensor([ True, False, False])"),
    "less_equal": ("le", "Whether x1 <= x2.", _COMPARED,
                   "[1, 2, 3], [2]", "tensor([ True,  True, False])"),
    "logaddexp": ("logaddexp", "log(exp(x1) + exp(x2)), without overflow in between.",
                  "The types must be floating or complex; others raise an error: "
                  "NotImplementedError.",
                  "[0.0, 1000.0], [0.0, 1000.0]", "tensor([6.9315e-01, 1.0007e+03])"),
    "logical_and": ("logical_and", "Whether both elements are other than zero.", _TRUTH,
                    "[True, True], [True, False]", "tensor([ True, False])"),
    "logical_or": ("logical_or", "Whether one of two elements is other than zero.", _TRUTH,
                   "[True, False], [False, False]", "tensor([ True, False])"),
    "logical_xor": ("logical_xor", "Whether just one of two elements is other than zero.", _TRUTH,
                    "[True, True], [True, False]", "tensor([False,  True])"),
    "maximum": ("maximum", "The larger of two elements; NaN if one of them is.", _ORDERED,
                "[1, 5], [3]", "tensor([3, 5])"),
    "minimum": ("minimum", "The smaller of two elements; NaN if one of them is.", _ORDERED,
                "[1, 5], [3]", "tensor([1, 3])"),
    "multiply": ("mul", "Products; of bool: and.", _MIXED,
                 "[1, 2], [[3], [4]]", "tensor([[3, 6],\n        [4, 8]])"),
    "nextafter": ("nextafter", "The floating number next to x1 on the way to x2.", _FLOATS,
                  "[0.0, 1.0], [1.0, 1.0]", "tensor([1.4013e-45, 1.0000e+00])"),
    "not_equal": ("ne", "Whether two elements differ; NaN differs from everything.", _TRUTH,
                  "[1, 2], [1.0, 3.0]", "tensor([False,  True])"),
    "pow": ("pow", "x1 to the power of x2; arrays of integers wrap round.", _COUNTED,
            "[2, 3], [3, 2]", "tensor([8, 9])"),
    "remainder": ("remainder", "What `floor_divide` leaves; it has the sign of x2.", _DIVIDED,
                  "[7, -7], [3]", "tensor([1, 2])"),
    "subtract": ("sub", "Differences.", _SUBTRACTED,
                 "[3, 5], [1]", "tensor([2, 4])"),
}  # fmt: skip

__all__ = [*UNARY, *BINARY, "clip", "expm1", "floor_divide", "imag", "positive", "round", "sign"]

_BROADCAST = (
    "The operands broadcast; one of them may be a Python number. RuntimeError for shapes that do "
    "not\nbroadcast, TypeError for uint64 with a signed integer, which no integer type holds."
)


def _unary(name: str, ours: str, use: str, types: str, given: str, result: str) -> Any:
    def call(x: Tensor, /) -> Any:
        return getattr(torch, ours)(x)

    return _named(call, name, f"{use} {types}", f"xp.asarray({given})", result)


def _binary(name: str, ours: str, use: str, types: str, given: str, result: str) -> Any:
    def call(x1: Any, x2: Any, /) -> Any:
        return getattr(torch, ours)(*same_type(x1, x2))

    first, _, second = given.partition("], ")
    operands = f"xp.asarray({first}]), xp.asarray({second})"
    return _named(call, name, f"{use} {types}\n\n{_BROADCAST}", operands, result)


def _named(call: Callable[..., Any], name: str, text: str, given: str, result: str) -> Any:
    call.__name__ = call.__qualname__ = name
    call.__doc__ = (
        f"{text}\n\n>>> import framework.array_api as xp\n>>> xp.{name}({given})\n{result}\n"
    )
    return standard(call)


_FUNCTIONS = {name: _unary(name, *row) for name, row in UNARY.items()}
_FUNCTIONS.update({name: _binary(name, *row) for name, row in BINARY.items()})
globals().update(_FUNCTIONS)


@standard
def clip(x: Tensor, /, min: Any = None, max: Any = None) -> Any:
    """``x`` between bounds, which broadcast and keep ``x``'s type; None is no bound.

    RuntimeError for bounds that do not broadcast with ``x``; complex types: NotImplementedError.

    >>> import framework.array_api as xp
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

    Floating and complex types stay; others are computed in the default floating type.

    TypeError for what is no tensor.

    >>> import framework.array_api as xp
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

    The operands broadcast and compute in their common type; one may be a Python number.
    NotImplementedError for bool and complex types, RuntimeError for shapes that do not broadcast.

    >>> import framework.array_api as xp
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
    """Imaginary parts, in the precision of ``x``; zeros of its own type for a real array.

    AttributeError for what is no array.

    >>> import framework.array_api as xp
    >>> xp.imag(xp.asarray([1 + 2j])), xp.imag(xp.asarray([3]))
    (tensor([2.]), tensor([0]))
    """
    return torch.imag(x) if x.dtype.category == COMPLEX else torch.zeros_like(x)


@standard
def positive(x: Tensor, /) -> Any:
    """A copy of ``x``, of any type: what ``+x`` gives.

    AttributeError for what is no array.

    >>> import framework.array_api as xp
    >>> xp.positive(xp.asarray([1, -2]))
    tensor([ 1, -2])
    """
    return x.clone()


@standard
def round(x: Tensor, /) -> Any:
    """The nearest whole number, of two the even one; a complex number's parts are rounded.

    The type stays. A bool array raises an error: NotImplementedError.

    >>> import framework.array_api as xp
    >>> xp.round(xp.asarray([0.5, 1.5, -1.7]))
    tensor([ 0.,  2., -2.])
    """
    if x.dtype.category < COMPLEX:
        return torch.round(x)
    return torch.complex(torch.round(torch.real(x)), torch.round(torch.imag(x)))


@standard
def sign(x: Tensor, /) -> Any:
    """-1, 0 or 1, or x / abs(x) of a complex number; NaN of NaN, of which PyTorch makes 0.

    >>> import framework.array_api as xp
    >>> xp.sign(xp.asarray([-3.0, 0.0, xp.nan]))
    tensor([-1., 0., nan])
    """
    result = torch.sgn(x)
    return torch.where(torch.isnan(x), x, result) if x.dtype.category == FLOAT else result


operators({**_FUNCTIONS, "floor_divide": floor_divide, "positive": positive, "matmul": matmul})
