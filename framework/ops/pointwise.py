"""Elementwise ops: arithmetic, comparison, exponentials, rounding, logic, selection."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.dispatch import apply
from framework.core.registry import Op, function, op
from framework.dtypes import FLOAT
from framework.kernels import module_of
from framework.kernels.special import erf as _special_erf
from framework.tensor import Tensor, wrap

__all__ = ["add", "div", "exp", "mul", "neg", "pow", "sub", "where"]


# -- arithmetic ------------------------------------------------------------------------------

ADD = op(
    "add", np.add, "ab", rule="promote", grad=(lambda g: g, lambda g: g),
    samples=lambda s: [((s(3, 2), s(2)), {}), ((s(2), 1.5), {}), ((s(), s(2, 1)), {})],
)  # fmt: skip
SUB = op(
    "sub", np.subtract, "ab", rule="promote", grad=(lambda g: g, lambda g: -g),
    samples=lambda s: [((s(3, 2), s(3, 1)), {}), ((1.5, s(2)), {})],
)  # fmt: skip
MUL = op(
    "mul", np.multiply, "ab", rule="promote",
    grad=(lambda g, b: g * b, lambda g, a: g * a),
    samples=lambda s: [((s(3, 2), s(2)), {}), ((s(2), 2.5), {})],
)  # fmt: skip
DIV = op(
    "div", np.true_divide, "ab", rule="float",
    grad=(lambda g, b: g / b, lambda g, a, b: -g * (a / (b * b))),
    samples=lambda s: [((s(3, 2), s.away(2)), {}), ((2.0, s.away(3)), {}), ((s(3), 2.5), {})],
)  # fmt: skip


def _pow_kernel(a: Any, b: Any) -> Any:
    if not isinstance(b, (int, float, complex)) or getattr(a, "dtype", None) is None:
        if _is_int(a) and _is_int(b) and np.any(np.less(b, 0)):
            raise ValueError("Integers to negative integer powers are not allowed.")
        return np.power(a, b)
    if b == 2:
        return np.multiply(a, a)
    if _is_int(a) and not isinstance(b, complex) and b < 0:
        raise ValueError("Integers to negative integer powers are not allowed.")
    return np.power(a, b)


def _is_int(x: Any) -> bool:
    return hasattr(x, "dtype") and x.dtype.kind in "iu"


def _pow_grad_base(g: Any, a: Any, b: Any) -> Any:
    if isinstance(b, (int, float, complex)):
        if b == 0:
            return zeros_like(g)
        return g * (a * 2 if b == 2 else b * pow(a, b - 1))
    return g * where(b == 0.0, zeros_like(g), b * pow(a, b - 1))


def _pow_grad_exponent(g: Any, a: Any, b: Any, y: Any) -> Any:
    if isinstance(a, (int, float)):
        return g * y * math.log(a) if a > 0 else g * 0.0
    return g * where((a == 0.0) & (b >= 0), zeros_like(y), y * log(a))


POW = op(
    "pow", _pow_kernel, "ab", rule="promote", grad=(_pow_grad_base, _pow_grad_exponent),
    samples=lambda s: [
        ((s(3), 2), {}), ((s.positive(3), s(2, 1)), {}), ((s.positive(2), -1.5), {}),
        ((2.0, s(3)), {}), ((s(3), 3), {}),
    ],
)  # fmt: skip


def zeros_like(x: Any) -> Any:
    return wrap(module_of(x._data).zeros_like(x._data), x._device)


@function(dunder=("__add__", "__radd__"), inplace=True)
def add(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """``input + alpha * other``, with broadcasting and type promotion.

    >>> import framework as torch
    >>> torch.add(torch.ones(2), torch.ones(2), alpha=10)
    tensor([11., 11.])
    """
    return apply(ADD, input, other if alpha == 1 else mul(other, alpha))


@function(inplace=True)
def sub(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """``input - alpha * other``, with broadcasting and type promotion; not for bool."""
    for x in (input, other):
        if (isinstance(x, Tensor) and x.dtype is dtypes.bool_) or isinstance(x, bool):
            raise RuntimeError(
                "Subtraction, the `-` operator, with a bool tensor is not supported. If you are "
                "trying to invert a mask, use the `~` or `logical_not()` operator instead."
            )
    return apply(SUB, input, other if alpha == 1 else mul(other, alpha))


@function(dunder=("__mul__", "__rmul__"), inplace=True)
def mul(input: Any, other: Any) -> Any:
    """``input * other``, with broadcasting and type promotion."""
    return apply(MUL, input, other)


@function(inplace=True)
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """``input / other``; with rounding_mode "floor" or "trunc" rounded, in the promoted type.

    Integers divide to the default float type unless they are rounded.
    """
    if rounding_mode is None:
        return apply(DIV, input, other)
    if rounding_mode == "floor":
        return apply(FLOOR_DIVIDE, input, other)
    if rounding_mode == "trunc":
        return apply(TRUNC_DIVIDE, input, other)
    raise RuntimeError(
        "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found "
        f"'{rounding_mode}'"
    )


@function(dunder=("__truediv__",), inplace=True)
def true_divide(input: Any, other: Any) -> Any:
    """``input / other``."""
    return apply(DIV, input, other)


@function(dunder=("__pow__",), inplace=True)
def pow(input: Any, exponent: Any) -> Any:
    """``input ** exponent``, elementwise."""
    return apply(POW, input, exponent)


def _reflected(call: Callable[..., Any], name: str) -> None:
    def method(self: Any, other: Any) -> Any:
        return call(other, self)

    method.__name__ = name
    method.__doc__ = f"``other`` {call.__name__} ``self``."
    function(namespaces=(), method=False, dunder=(name,))(method)


def _sub_operator(self: Any, other: Any) -> Any:
    return sub(self, other)


function(namespaces=(), method=False, dunder=("__sub__",))(_sub_operator)
_reflected(sub, "__rsub__")
_reflected(true_divide, "__rtruediv__")
_reflected(pow, "__rpow__")


def _floor_kernel(a: Any, b: Any) -> Any:
    if (_is_int(a) or _is_int(b)) and module_of(b if hasattr(b, "dtype") else a).any(b == 0):
        raise ValueError("ZeroDivisionError: integer division or modulo by zero")
    return np.floor_divide(a, b)


def _trunc_kernel(a: Any, b: Any) -> Any:
    quotient = np.trunc(np.true_divide(a, b))
    return quotient.astype(a.dtype if hasattr(a, "dtype") else b.dtype, copy=False)


FLOOR_DIVIDE = op(
    "floor_divide", _floor_kernel, "ab", rule="promote",
    grad=(lambda g: g * 0.0, lambda g: g * 0.0),
    samples=lambda s: [((s.away(3), s.positive(3)), {}), ((s.away(3), 0.7), {})],
)  # fmt: skip
TRUNC_DIVIDE = op(
    "trunc_divide", _trunc_kernel, "ab", rule="promote",
    grad=(lambda g: g * 0.0, lambda g: g * 0.0),
    samples=lambda s: [((s.away(3), s.positive(3)), {})],
)  # fmt: skip
REMAINDER = op(
    "remainder", np.remainder, "ab", rule="promote",
    grad=(lambda g: g, lambda g, a, b: -g * apply(FLOOR_DIVIDE, a, b)),
    samples=lambda s: [((s(3), s.away(3) * 3.1), {}), ((s(3), 0.7), {})],
)  # fmt: skip
FMOD = op(
    "fmod", np.fmod, "ab", rule="promote",
    grad=(lambda g: g, lambda g, a, b: -g * apply(TRUNC_DIVIDE, a, b)),
    samples=lambda s: [((s(3), s.away(3) * 3.1), {})],
)  # fmt: skip


@function(dunder=("__floordiv__",), inplace=True)
def floor_divide(input: Any, other: Any) -> Any:
    """Quotient rounded down, in the promoted type."""
    return apply(FLOOR_DIVIDE, input, other)


@function(dunder=("__mod__",), inplace=True)
def remainder(input: Any, other: Any) -> Any:
    """Python's modulo: the result has the sign of ``other``."""
    return apply(REMAINDER, input, other)


@function(inplace=True)
def fmod(input: Any, other: Any) -> Any:
    """C's modulo: the result has the sign of ``input``."""
    return apply(FMOD, input, other)


_reflected(floor_divide, "__rfloordiv__")
_reflected(remainder, "__rmod__")

# -- one argument ----------------------------------------------------------------------------


def _unary(
    name: str,
    kernel: Callable[..., Any],
    grad: Callable[..., Any] | None,
    doc: str,
    *,
    rule: str | None = "float",
    domain: str = "",
    dunder: tuple[str, ...] = (),
    inplace: bool = True,
    alias: str = "",
) -> tuple[Op, Callable[..., Any]]:
    """Register a one-argument op and publish its function."""

    def samples(s: Any) -> list[Any]:
        make = getattr(s, domain) if domain else s
        return [((make(3, 2),), {}), ((make(),), {})]

    record = op(name, kernel, "a", rule=rule, grad=None if grad is None else (grad,),
                samples=samples)  # fmt: skip

    def call(input: Any) -> Any:
        return apply(record, input)

    for published in filter(None, (name, alias)):
        call = _renamed(call, published, doc)
        function(dunder=dunder if published == name else (), inplace=inplace)(call)
    return record, call


def _renamed(call: Callable[..., Any], name: str, doc: str) -> Callable[..., Any]:
    def named(input: Any) -> Any:
        return call(input)

    named = call if call.__name__ == "call" else named
    named.__name__ = named.__qualname__ = name
    named.__doc__ = doc
    return named


def _abs_grad(g: Any, a: Any) -> Any:
    return g * sgn(a)


def _sign_kernel(a: Any) -> Any:
    return np.sign(a) if a.dtype.kind != "b" else a


def _rsqrt_kernel(a: Any) -> Any:
    return np.reciprocal(np.sqrt(a))


def _sigmoid_kernel(a: Any) -> Any:
    """1 / (1 + e^-a), without overflow: e^-|a| never exceeds one."""
    small = np.exp(-np.abs(a))
    one = a.dtype.type(1)
    return np.where(a >= 0, one, small) / (one + small)


_, neg = _unary("neg", np.negative, lambda g: -g, "The negative of each element.",
                rule=None, dunder=("__neg__",), alias="negative")  # fmt: skip
ABS, absolute = _unary("abs", np.abs, _abs_grad, "The absolute value of each element.",
                  rule=None, domain="away", dunder=("__abs__",), alias="absolute")  # fmt: skip
_, sqrt = _unary("sqrt", np.sqrt, lambda g, y: g / (2 * y), "The square root.", domain="positive")
_, rsqrt = _unary("rsqrt", _rsqrt_kernel, lambda g, y: g * y * y * y * -0.5,
                  "One over the square root.", domain="positive")  # fmt: skip
_, exp = _unary("exp", np.exp, lambda g, y: g * y, "e to the power of each element.")
_, exp2 = _unary("exp2", np.exp2, lambda g, y: g * y * math.log(2), "2 to the power of each.")
_, log = _unary("log", np.log, lambda g, a: g / a, "The natural logarithm.",
                domain="positive")  # fmt: skip
_, log2 = _unary("log2", np.log2, lambda g, a: g / (a * math.log(2)), "Logarithm to base 2.",
                 domain="positive")  # fmt: skip
_, log10 = _unary("log10", np.log10, lambda g, a: g / (a * math.log(10)), "Logarithm to base 10.",
                  domain="positive")  # fmt: skip
_, log1p = _unary("log1p", np.log1p, lambda g, a: g / (a + 1), "log(1 + input), exact near 0.",
                  domain="positive")  # fmt: skip
_, expm1 = _unary("expm1", np.expm1, lambda g, y: g * (y + 1), "exp(input) - 1, exact near 0.")
_, sin = _unary("sin", np.sin, lambda g, a: g * cos(a), "The sine.")
_, cos = _unary("cos", np.cos, lambda g, a: -g * sin(a), "The cosine.")
_, tan = _unary("tan", np.tan, lambda g, y: g * (1 + y * y), "The tangent.", domain="unit")
_, asin = _unary("asin", np.arcsin, lambda g, a: g * rsqrt(1 - a * a), "The inverse sine.",
                 domain="unit", alias="arcsin")  # fmt: skip
_, acos = _unary("acos", np.arccos, lambda g, a: -g * rsqrt(1 - a * a), "The inverse cosine.",
                 domain="unit", alias="arccos")  # fmt: skip
_, atan = _unary("atan", np.arctan, lambda g, a: g / (1 + a * a), "The inverse tangent.",
                 alias="arctan")  # fmt: skip
_, sinh = _unary("sinh", np.sinh, lambda g, a: g * cosh(a), "The hyperbolic sine.")
_, cosh = _unary("cosh", np.cosh, lambda g, a: g * sinh(a), "The hyperbolic cosine.")
_, tanh = _unary("tanh", np.tanh, lambda g, y: g * (1 - y * y), "The hyperbolic tangent.")
_, sigmoid = _unary("sigmoid", _sigmoid_kernel, lambda g, y: g * y * (1 - y),
                    "The logistic function 1 / (1 + exp(-input)).")  # fmt: skip
_, erf = _unary("erf", _special_erf, lambda g, a: g * exp(-a * a) * (2 / math.sqrt(math.pi)),
                "The error function.")  # fmt: skip
_, reciprocal = _unary("reciprocal", np.reciprocal, lambda g, y: -g * (y * y),
                       "One over each element.", domain="away")  # fmt: skip
_, square = _unary("square", np.square, lambda g, a: g * (2 * a),
                   "The square of each element.", rule=None)  # fmt: skip
_, sign = _unary("sign", _sign_kernel, lambda g: g * 0.0, "-1, 0 or 1.", rule=None, domain="away")
_, sgn = _unary("sgn", _sign_kernel, lambda g: g * 0.0, "`sign`, also of complex numbers.",
                rule=None, domain="away")  # fmt: skip


def _rounding(kernel: Callable[..., Any]) -> Callable[..., Any]:
    return lambda a: kernel(a) if a.dtype.kind not in "iub" else a.copy()


_, floor = _unary("floor", _rounding(np.floor), lambda g: g * 0.0, "Rounded down.", rule=None,
                  domain="away")  # fmt: skip
_, ceil = _unary("ceil", _rounding(np.ceil), lambda g: g * 0.0, "Rounded up.", rule=None,
                 domain="away")  # fmt: skip
_, trunc = _unary("trunc", _rounding(np.trunc), lambda g: g * 0.0, "Rounded towards zero.",
                  rule=None, domain="away", alias="fix")  # fmt: skip
_, frac = _unary("frac", lambda a: a - np.trunc(a), lambda g: g, "The part after the point.",
                 rule=None, domain="away")  # fmt: skip
_, isnan = _unary("isnan", np.isnan, None, "Whether each element is NaN.", rule=None,
                  inplace=False)  # fmt: skip
_, isinf = _unary("isinf", np.isinf, None, "Whether each element is infinite.", rule=None,
                  inplace=False)  # fmt: skip
_, isfinite = _unary("isfinite", np.isfinite, None, "Whether each element is finite.", rule=None,
                     inplace=False)  # fmt: skip
_, logical_not = _unary("logical_not", np.logical_not, None, "Whether each element is zero.",
                        rule=None)  # fmt: skip

ROUND = op("round", lambda a, decimals=0: np.round(a, decimals), "a", grad=(lambda g: g * 0.0,),
           samples=lambda s: [((s.away(3),), {})])  # fmt: skip


@function(inplace=True)
def round(input: Any, *, decimals: int = 0) -> Any:
    """Rounded to ``decimals`` places, halves to even."""
    return apply(ROUND, input, decimals=decimals) if decimals else apply(ROUND, input)


@function(inplace=True)
def relu(input: Any) -> Any:
    """max(input, 0), elementwise; NaN stays NaN."""
    return apply(RELU, input)


def _relu_kernel(a: Any) -> Any:
    if a.dtype.kind == "b":
        raise ValueError("Boolean inputs not supported for relu")
    if a.dtype.kind == "c":
        raise NotImplementedError('"relu" not implemented for complex types')
    return np.maximum(a, a.dtype.type(0))


RELU = op(
    "relu", _relu_kernel, "a", grad=(lambda g, y: g * (y > 0),),
    samples=lambda s: [((s.away(3, 2),), {})],
)  # fmt: skip


# -- comparison and logic ----------------------------------------------------------------------


def _compare(
    name: str, kernel: Callable[..., Any], doc: str, dunder: tuple[str, ...], alias: str
) -> None:
    record = op(name, kernel, "ab", rule="promote", samples=lambda s: [((s(3), s(3)), {})])

    def call(input: Any, other: Any) -> Any:
        return apply(record, input, other)

    call.__name__, call.__doc__ = name, doc
    function(dunder=dunder, inplace=True)(call)
    globals()[name] = call
    if alias:

        def again(input: Any, other: Any) -> Any:
            return apply(record, input, other)

        again.__name__, again.__doc__ = alias, f"Alias of `{name}`."
        function()(again)


def _eq_operator(self: Any, other: Any) -> Any:
    return apply(OPS_EQ, self, other) if _comparable(other) else False


def _ne_operator(self: Any, other: Any) -> Any:
    return apply(OPS_NE, self, other) if _comparable(other) else True


def _comparable(other: Any) -> bool:
    return isinstance(other, (Tensor, int, float, complex, np.ndarray, np.generic))


_compare("lt", np.less, "input < other.", ("__lt__",), "less")
_compare("le", np.less_equal, "input <= other.", ("__le__",), "less_equal")
_compare("gt", np.greater, "input > other.", ("__gt__",), "greater")
_compare("ge", np.greater_equal, "input >= other.", ("__ge__",), "greater_equal")
_compare("eq", np.equal, "input == other, elementwise.", (), "")
_compare("ne", np.not_equal, "input != other.", (), "not_equal")

from framework.core.registry import OPS  # noqa: E402

OPS_EQ, OPS_NE = OPS["eq"], OPS["ne"]
function(namespaces=(), method=False, dunder=("__eq__",))(_eq_operator)
function(namespaces=(), method=False, dunder=("__ne__",))(_ne_operator)


def _logical(name: str, kernel: Callable[..., Any]) -> None:
    record = op(name, kernel, "ab", samples=lambda s: [((s(3), s(3)), {})])

    def call(input: Any, other: Any) -> Any:
        return apply(record, input, other)

    call.__name__, call.__doc__ = name, f"Elementwise {name.replace('_', ' ')} of truth values."
    function(inplace=True)(call)


_logical("logical_and", np.logical_and)
_logical("logical_or", np.logical_or)
_logical("logical_xor", np.logical_xor)


def _bitwise(name: str, kernel: Callable[..., Any], dunder: tuple[str, ...]) -> None:
    record = op(name, kernel, "ab", rule="promote")

    def call(input: Any, other: Any) -> Any:
        return apply(record, input, other)

    call.__name__ = name
    call.__doc__ = f"Elementwise {name.replace('_', ' ')} of integers or bools."
    function(inplace=True, dunder=dunder)(call)


_bitwise("bitwise_and", np.bitwise_and, ("__and__", "__rand__"))
_bitwise("bitwise_or", np.bitwise_or, ("__or__", "__ror__"))
_bitwise("bitwise_xor", np.bitwise_xor, ("__xor__", "__rxor__"))
_bitwise("bitwise_left_shift", np.left_shift, ("__lshift__",))
_bitwise("bitwise_right_shift", np.right_shift, ("__rshift__",))
BITWISE_NOT = op("bitwise_not", np.invert, "a")


@function(dunder=("__invert__",), inplace=True)
def bitwise_not(input: Any) -> Any:
    """The complement of each integer, or the negation of each bool."""
    return apply(BITWISE_NOT, input)


# -- two arguments, selection ----------------------------------------------------------------

MAXIMUM = op(
    "maximum", np.maximum, "ab", rule="promote",
    grad=(lambda g, a, b: g * _share(a, b, a > b), lambda g, a, b: g * _share(a, b, b > a)),
    samples=lambda s: [((s(3, 2), s(2)), {})],
)  # fmt: skip
MINIMUM = op(
    "minimum", np.minimum, "ab", rule="promote",
    grad=(lambda g, a, b: g * _share(a, b, a < b), lambda g, a, b: g * _share(a, b, b < a)),
    samples=lambda s: [((s(3, 2), s(2)), {})],
)  # fmt: skip


def _share(a: Any, b: Any, wins: Any) -> Any:
    """1 where this side wins, one half where both are equal, as in PyTorch."""
    return where(apply(OPS_EQ, a, b), 0.5, where(wins, 1.0, 0.0))


@function()
def maximum(input: Any, other: Any) -> Any:
    """The larger of two elements; NaN if either is NaN."""
    return apply(MAXIMUM, input, other)


@function()
def minimum(input: Any, other: Any) -> Any:
    """The smaller of two elements; NaN if either is NaN."""
    return apply(MINIMUM, input, other)


ATAN2 = op(
    "atan2", np.arctan2, "ab", rule="float",
    grad=(lambda g, a, b: g * b / (a * a + b * b), lambda g, a, b: -g * a / (a * a + b * b)),
    samples=lambda s: [((s.away(3), s.away(3)), {})],
)  # fmt: skip
HYPOT = op(
    "hypot", np.hypot, "ab", rule="promote",
    grad=(lambda g, a, y: g * a / y, lambda g, b, y: g * b / y),
    samples=lambda s: [((s.away(3), s.away(3)), {})],
)  # fmt: skip
LOGADDEXP = op(
    "logaddexp", np.logaddexp, "ab", rule="promote",
    grad=(lambda g, a, y: g * exp(a - y), lambda g, b, y: g * exp(b - y)),
    samples=lambda s: [((s(3), s(2, 1)), {})],
)  # fmt: skip


@function(inplace=True)
def atan2(input: Any, other: Any) -> Any:
    """The angle of the point (other, input), in (-π, π]."""
    return apply(ATAN2, input, other)


@function(inplace=True)
def hypot(input: Any, other: Any) -> Any:
    """sqrt(input² + other²) without overflow."""
    return apply(HYPOT, input, other)


@function()
def logaddexp(input: Any, other: Any) -> Any:
    """log(exp(input) + exp(other)) without overflow."""
    return apply(LOGADDEXP, input, other)


def _where_rule(arrays: list[Any], args: tuple[Any, ...]) -> list[Any]:
    from framework.core.dispatch import RULES

    if arrays[0].dtype.kind != "b":
        raise RuntimeError(
            "where expected condition to be a boolean tensor, but got a tensor with dtype "
            f"{dtypes.from_numpy_dtype[arrays[0].dtype]}"
        )
    if not any(hasattr(a, "dtype") for a in arrays[1:]):
        common = dtypes.result_type(*arrays[1:]).numpy
        return [arrays[0], *[np.asarray(a, common) for a in arrays[1:]]]
    rest = RULES["promote"](arrays[1:], args[1:])
    like = next(a.dtype for a in rest if hasattr(a, "dtype"))
    return [arrays[0], *[a if hasattr(a, "dtype") else np.asarray(a, like) for a in rest]]


WHERE = op(
    "where", np.where, "cab", rule=_where_rule,
    grad=(None, lambda g, c: where(c, g, 0.0), lambda g, c: where(c, 0.0, g)),
    samples=lambda s: [((s.mask(3, 2), s(2), s(3, 1)), {}), ((s.mask(3), s(3), 0.5), {})],
)  # fmt: skip


@function()
def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """``input`` where the condition holds, else ``other``; of the condition alone, `nonzero`.

    >>> import framework as torch
    >>> x = torch.tensor([-1.0, 2.0])
    >>> torch.where(x > 0, x, 0.0)
    tensor([0., 2.])
    """
    if input is None and other is None:
        from framework.ops.indexing import nonzero

        return nonzero(condition, as_tuple=True)
    return apply(WHERE, condition, input, other)


def _where_method(self: Any, condition: Any, other: Any) -> Any:
    return where(condition, self, other)


_where_method.__name__ = "where"
function(namespaces=(), method="where")(_where_method)


def _clamp_kernel(a: Any, low: Any, high: Any) -> Any:
    if low is not None:
        a = np.maximum(a, low)
    return np.minimum(a, high) if high is not None else a


def _clamp_inside(a: Any, low: Any, high: Any) -> Any:
    inside = None
    if low is not None:
        inside = a >= low
    if high is not None:
        below = a <= high
        inside = below if inside is None else inside & below
    return inside


def _clamp_low(g: Any, a: Any, low: Any, high: Any) -> Any:
    taken = a < low
    return g * (taken if high is None else taken & (low < high))


CLAMP = op(
    "clamp", _clamp_kernel, "a low high", rule="promote",
    grad=(
        lambda g, a, low, high: g * _clamp_inside(a, low, high),
        _clamp_low,
        lambda g, a, low, high: g * ((a > high) if low is None else (a > high) | (low > high)),
    ),
    samples=lambda s: [
        ((s.away(3, 2), -0.3, 0.3), {}), ((s.away(3), None, 0.3), {}),
        ((s.away(4), s.unit(4) - 1.0, s.unit(4) + 1.0), {}),
    ],
)  # fmt: skip


@function(inplace=True)
def clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    """Elements limited to [min, max]; either may be a number, a tensor or None, not both None."""
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    return apply(CLAMP, input, min, max)


@function(inplace=True)
def clip(input: Any, min: Any = None, max: Any = None) -> Any:
    """Alias of `clamp`."""
    return clamp(input, min, max)


@function(inplace=True)
def clamp_min(input: Any, min: Any) -> Any:
    """Elements below ``min`` raised to it."""
    return clamp(input, min)


@function(inplace=True)
def clamp_max(input: Any, max: Any) -> Any:
    """Elements above ``max`` lowered to it."""
    return clamp(input, None, max)


def _masked_fill_kernel(a: Any, mask: Any, value: Any) -> Any:
    filled: Any = np.where(mask, value, a)
    return filled.astype(a.dtype, copy=False)


MASKED_FILL = op(
    "masked_fill", _masked_fill_kernel, "a mask value",
    grad=(lambda g, mask: where(mask, 0.0, g), None, lambda g, mask: where(mask, g, 0.0)),
    samples=lambda s: [((s(3, 2), s.mask(3, 2), 0.5), {}), ((s(3), s.mask(3), s()), {})],
)  # fmt: skip


@function(inplace=True)
def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    """``value`` where the boolean ``mask`` holds (it broadcasts), else ``input``."""
    if mask._data.dtype.kind != "b":
        raise RuntimeError("masked_fill only supports boolean masks, but got mask with dtype "
                           f"{mask.dtype}")  # fmt: skip
    return apply(MASKED_FILL, input, mask, value)


@function(inplace=True)
def lerp(input: Any, end: Any, weight: Any) -> Any:
    """``input + weight * (end - input)``."""
    return input + weight * (end - input)


@function(inplace=True)
def addcmul(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    """``input + value * tensor1 * tensor2``."""
    return input + value * tensor1 * tensor2


@function(inplace=True)
def addcdiv(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    """``input + value * tensor1 / tensor2``."""
    return input + value * tensor1 / tensor2


@function(inplace=True)
def nan_to_num(
    input: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Any:
    """NaN, +inf and -inf replaced (by 0 and the type's limits unless given)."""
    if input.dtype.category < FLOAT:
        return input.clone()
    limits = dtypes.finfo(input.dtype)
    result = where(isnan(input), nan, input)
    result = where(input == math.inf, limits.max if posinf is None else posinf, result)
    return where(input == -math.inf, limits.min if neginf is None else neginf, result)


@function()
def isclose(
    input: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    """|input - other| <= atol + rtol * |other|, elementwise."""
    a, b = input._data, other._data
    if a.dtype.kind == "V":
        a, b = a.astype(np.float32), b.astype(np.float32)
    return wrap(np.asarray(np.isclose(a, b, rtol, atol, equal_nan)), input._device)


@function()
def allclose(
    input: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether all elements are `isclose`."""
    return bool(isclose(input, other, rtol, atol, equal_nan)._data.all())


@function()
def equal(input: Any, other: Any) -> bool:
    """Whether shape and all elements are the same."""
    return input.shape == other.shape and bool((input._data == other._data).all())
