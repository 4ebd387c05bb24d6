"""Elementwise functions of one argument: powers and roots, exponentials, angles, rounding."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from framework.core.dispatch import RULES, apply
from framework.core.registry import Op, function, op
from framework.core.views import inplace_twin
from framework.kernels import compiled, module_of, quick
from framework.kernels.floats import real_floating, type_name, wide
from framework.kernels.special import erf as _special_erf
from framework.layout import as_type
from framework.tensor import Tensor, wrap

__all__ = [
    "absolute", "cos", "exp", "isnan", "log", "rsqrt", "sgn", "sigmoid", "sin", "tanh",
    "zeros_like",
]  # fmt: skip

Kernel = Callable[..., Any]


# What goes in and comes out, by dtype rule: a sentence of the functions' docstrings.
_TYPES = {
    "float": "Elementwise; integers and bools give the default float type.",
    None: "Elementwise; the result has the type of ``input``.",
}


def documented(path: str, example: str, *paragraphs: str) -> str:
    """The docstring of a function that a table makes.

    Args:
        path: where users find it, from the top: "special.erfcx".
        example: ``ARGUMENT; ARGUMENT -> RESULT``, becomes a doctest. Lists stand for tensors.
        paragraphs: what it says before that; empty ones are left out.
    """
    text = "\n\n    ".join([p for p in paragraphs if p])
    if not example:  # of an alias
        return text
    arguments, _, result = example.partition(" -> ")
    given = ", ".join([f"torch.tensor({a})" if a[0] == "[" else a for a in arguments.split("; ")])
    return (
        f"{text}\n\n    >>> import framework as torch\n    >>> torch.{path}({given})\n"
        f"    tensor({result})\n    "
    )


def unary(
    name: str,
    kernel: Kernel,
    grad: Callable[..., Any] | None,
    doc: str,
    example: str,
    *,
    notes: str | None = None,
    rule: str | Callable[..., Any] | None = "float",
    domain: str = "",
    dunder: tuple[str, ...] = (),
    inplace: bool = True,
    out: bool = True,
    wirtinger: bool = False,
    aliases: tuple[str, ...] = (),
) -> Callable[..., Any]:
    """Register an op of one argument and publish its function, under its aliases too.

    Args:
        doc, example, notes: what the function's docstring says, see `documented`; without notes
            what all functions of the dtype rule say.
        domain: the method of the tests' sampler that makes arguments which the op is defined for.
    """

    def samples(s: Any) -> list[Any]:
        make = getattr(s, domain) if domain else s
        return [((make(3, 2),), {}), ((make(),), {})]

    record = op(name, kernel, "a", rule=rule, grad=None if grad is None else (grad,),
                wirtinger=wirtinger, samples=samples)  # fmt: skip
    more = notes if notes is not None else _TYPES[rule]  # type: ignore[index]
    call = _published(record, name, documented(name, example, doc, more), inplace, out, dunder)
    for alias in aliases:
        _published(record, alias, f"Alias of `{name}`: {doc}", inplace, out, ())
    return call


def _published(
    record: Op, name: str, doc: str, inplace: bool, out: bool, dunder: tuple[str, ...]
) -> Callable[..., Any]:
    def call(input: Tensor) -> Tensor:
        return apply(record, input)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = doc
    return function(dunder=dunder, inplace=inplace, out=out)(call)


def zeros_like(x: Tensor) -> Tensor:
    """Zeros, as the gradient of a step function."""
    return wrap(module_of(x._data).zeros_like(x._data), x._device)


def _nothing(g: Any) -> Any:
    return zeros_like(g)


# -- sign ----------------------------------------------------------------------------------------


def _abs_kernel(a: Any) -> Any:
    return np.abs(_no_bools(a, "abs_cpu"))


def _no_bools(a: Any, name: str) -> Any:
    if a.dtype.kind == "b":
        raise NotImplementedError(f"\"{name}\" not implemented for 'Bool'")
    return a


def _sign_kernel(a: Any) -> Any:
    if a.dtype.kind == "c":
        raise NotImplementedError(
            "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use "
            "torch.sgn instead."
        )
    return _sgn_kernel(a)


def _sgn_kernel(a: Any) -> Any:
    kind = a.dtype.kind
    if kind == "b":
        return a.copy()
    if kernel := compiled.forward("sgn", a):
        return kernel(a)
    if kind in "fV":  # NaN has the sign 0, as in PyTorch
        return ((a > 0).astype(a.dtype)) - ((a < 0).astype(a.dtype))
    return np.sign(a)


def _sgn_grad(g: Any, a: Any, y: Any) -> Any:
    """Of a complex number: what turns it; of a real one nothing."""
    if a._data.dtype.kind != "c":
        return zeros_like(g)
    size = a.abs()
    turned = (g - y * (g * y.conj()).real) / size
    return turned.masked_fill(size == 0, 0.0)


neg = unary(
    "neg", np.negative, lambda g: -g, "The negative of each element.", "[1.0, -2.0] -> [-1.,  2.]",
    notes="Elementwise; the result has the type of ``input``. RuntimeError for bools.",
    rule=None, dunder=("__neg__",), aliases=("negative",),
)  # fmt: skip
sign = unary(
    "sign", _sign_kernel, _nothing, "The sign of each element: -1, 0 or 1, and 0 for NaN.",
    "[-2.5, 0.0, 3.0] -> [-1.,  0.,  1.]",
    notes="Of the type of ``input``; its gradient is zero. NotImplementedError for complex\n"
    "    numbers: `sgn` takes those.", rule=None, domain="away",
)  # fmt: skip
sgn = unary(
    "sgn", _sgn_kernel, _sgn_grad,
    "The direction of each element: ``a / abs(a)``, and 0 for 0. Of real numbers that is `sign`.",
    "[3 + 4j, 0j] -> [0.6000+0.8000j, 0.0000+0.0000j]", rule=None, domain="away", wirtinger=True,
)  # fmt: skip
absolute = unary(
    "abs", _abs_kernel, lambda g, a: g * sgn(a), "The absolute value of each element.",
    "[-1.5, 2.0] -> [1.5000, 2.0000]",
    notes="Of the type of ``input``, for complex numbers of their parts' type. At 0 the gradient\n"
    "    is 0. NotImplementedError for bools.",
    rule=None, domain="away", dunder=("__abs__",), inplace=False, aliases=("absolute",),
)  # fmt: skip
_absolute_twins = {name: inplace_twin(absolute, name) for name in ("abs_", "absolute_")}


def _absolute_in_place(name: str) -> None:
    twin = _absolute_twins[name]

    def call(self: Tensor) -> Tensor:
        if self._data.dtype.kind == "c":
            raise RuntimeError("In-place abs is not supported for complex tensors.")
        return twin(self)

    call.__name__, call.__doc__ = name, twin.__doc__
    function(namespaces=())(call)


for _name in _absolute_twins:
    _absolute_in_place(_name)


@function(dunder=("__pos__",))
def positive(input: Tensor) -> Tensor:
    """The tensor itself, ``+input``; RuntimeError for bools.

    >>> import framework as torch
    >>> torch.positive(torch.tensor([1, -2]))
    tensor([ 1, -2])
    """
    if input._data.dtype.kind == "b":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


# -- powers, exponentials ------------------------------------------------------------------------


def _square_rule(arrays: list[Any], args: tuple[Any, ...]) -> list[Any]:
    """Bools are squared as integers, as ``input ** 2``."""
    return arrays if arrays[0].dtype.kind != "b" else RULES["promote"]([*arrays, 2], ())[:1]


def _halves(kernel: Kernel) -> Kernel:
    """Compute half precision in float32."""

    def wrapped(a: Any) -> Any:
        if a.dtype.itemsize == 2:
            return kernel(as_type(a, np.float32)).astype(a.dtype)
        return kernel(a)

    return wrapped


def _sigmoid_kernel(a: Any) -> Any:
    if a.dtype.kind == "c":
        one = a.dtype.type(1)
        return one / (one + np.exp(-a))
    if kernel := compiled.forward("sigmoid", a):
        return kernel(a)
    return quick.logistic(a)


square = unary(
    "square", np.square, lambda g, a: g * (2 * a), "The square of each element.",
    "[-1.5, 3.0] -> [2.2500, 9.0000]",
    notes="Elementwise; the result has the type of ``input``, of bools int64.", rule=_square_rule,
)  # fmt: skip
sqrt = unary(
    "sqrt", np.sqrt, lambda g, y: g / (2 * y),
    "The square root of each element; NaN for negative real numbers.",
    "[4.0, 2.0, -1.0] -> [2.0000, 1.4142,    nan]",
    domain="positive",
)  # fmt: skip


def one_over(a: Any) -> Any:
    """The reciprocal; that of a complex zero is inf + nan j, as C divides."""
    if compiled.is_plain_or_wide(a) and (kernels := compiled.family("arithmetic")):
        return kernels.reciprocal(a)
    return np.divide(1, a) if a.dtype.kind == "c" else np.reciprocal(a)


def _rsqrt_kernel(a: Any) -> Any:
    if compiled.is_plain_or_wide(a) and (kernels := compiled.family("arithmetic")):
        return kernels.rsqrt(a)
    return one_over(np.sqrt(a))


rsqrt = unary(
    "rsqrt", _halves(_rsqrt_kernel), lambda g, y: g * y * y * y * -0.5,
    "One over the square root of each element: inf for 0, NaN for negative real numbers.",
    "[4.0, 0.0] -> [0.5000,    inf]", domain="positive",
)  # fmt: skip
reciprocal = unary(
    "reciprocal", one_over, lambda g, y: -g * (y * y), "One over each element; inf for 0.",
    "[4.0, -0.5] -> [ 0.2500, -2.0000]", domain="away",
)  # fmt: skip
exp = unary("exp", np.exp, lambda g, y: g * y, "e to the power of each element.",
            "[0.0, 1.0] -> [1.0000, 2.7183]")  # fmt: skip
exp2 = unary("exp2", np.exp2, lambda g, y: g * y * math.log(2), "2 to the power of each element.",
             "[3.0, -1.0] -> [8.0000, 0.5000]")  # fmt: skip
expm1 = unary("expm1", np.expm1, lambda g, y: g * (y + 1),
              "``exp(input) - 1``, which keeps its digits for elements near 0.",
              "[1.0, 1e-10] -> [1.7183e+00, 1.0000e-10]")  # fmt: skip
log = unary(
    "log", np.log, lambda g, a: g / a,
    "The natural logarithm of each element: -inf for 0, NaN for negative real numbers.",
    "[1.0, 10.0, 0.0] -> [0.0000, 2.3026,   -inf]", domain="positive",
)  # fmt: skip
log2 = unary(
    "log2", np.log2, lambda g, a: g / (a * math.log(2)),
    "The logarithm to base 2: -inf for 0, NaN for negative real numbers.",
    "[8.0, 0.5] -> [ 3., -1.]",
    domain="positive",
)  # fmt: skip


def _log10(a: Any) -> Any:
    """NumPy's of float32 is one off in the last place more often than not: 1000 gives 3.0000002."""
    if a.__class__ is not np.ndarray or a.dtype != np.float32:
        return np.log10(a)
    return (np.log(a, dtype=np.float64) * (1 / math.log(10))).astype(np.float32)  # no slower


log10 = unary(
    "log10", _log10, lambda g, a: g / (a * math.log(10)),
    "The logarithm to base 10: -inf for 0, NaN for negative real numbers.",
    "[1000.0, 0.1] -> [ 3., -1.]", domain="positive",
)  # fmt: skip
log1p = unary(
    "log1p", np.log1p, lambda g, a: g / (a + 1),
    "``log(1 + input)``, which keeps its digits for elements near 0; NaN below -1.",
    "[1.0, 1e-10] -> [6.9315e-01, 1.0000e-10]", domain="positive",
)  # fmt: skip


def _sigmoid_backward(grad: Any, y: Any) -> Any:
    if kernel := compiled.backward("sigmoid", grad, y):
        return kernel(grad, y)
    return grad * (_one(y) - y) * y


SIGMOID_BACKWARD = op(
    "sigmoid_backward", _sigmoid_backward, "grad y", rule="promote",
    grad=(lambda g, y: apply(SIGMOID_BACKWARD, g, y), lambda g, grad, y: g * grad * (1 - 2 * y)),
    samples=lambda s: [((s(3, 2), s(3, 2)), {})],
)  # fmt: skip
sigmoid = unary(
    "sigmoid", _halves(_sigmoid_kernel), lambda g, y: apply(SIGMOID_BACKWARD, g, y),
    "The logistic function ``1 / (1 + exp(-input))``, from 0 to 1, without overflow.",
    "[-1.0, 0.0, 100.0] -> [0.2689, 0.5000, 1.0000]",
)  # fmt: skip


def _erf_kernel(a: Any) -> Any:
    if kernel := compiled.forward("erf", a):
        return kernel(a)
    return _special_erf(real_floating(a, "erf_vml_cpu"))


erf = unary(
    "erf", _erf_kernel,
    lambda g, a: g * exp(-a * a) * (2 / math.sqrt(math.pi)),
    "The error function: 2/√π times the integral of exp(-t²) from 0 to input (DLMF 7.2.1).",
    "[0.0, 0.5, -1.0] -> [ 0.0000,  0.5205, -0.8427]",
    notes="Elementwise; integers and bools give the default float type. NotImplementedError for\n"
    "    complex numbers.",
)  # fmt: skip

# -- angles --------------------------------------------------------------------------------------


def _acosh_grad(g: Any, a: Any) -> Any:
    """Two roots for complex numbers: that of the product has another branch cut."""
    if a._data.dtype.kind == "c":
        return g * rsqrt(a - 1) * rsqrt(a + 1)
    return g * rsqrt(a * a - 1)


sin = unary("sin", np.sin, lambda g, a: g * cos(a), "The sine of each element, in radians.",
            "[0.0, 1.0] -> [0.0000, 0.8415]")  # fmt: skip
cos = unary("cos", np.cos, lambda g, a: -g * sin(a), "The cosine of each element, in radians.",
            "[0.0, 1.0] -> [1.0000, 0.5403]")  # fmt: skip
tan = unary("tan", np.tan, lambda g, y: g * (1 + y * y), "The tangent of each element, in radians.",
            "[0.0, 1.0] -> [0.0000, 1.5574]", domain="unit")  # fmt: skip
asin = unary(
    "asin", np.arcsin, lambda g, a: g * rsqrt(1 - a * a),
    "The inverse sine, from -π/2 to π/2; NaN for real numbers outside of [-1, 1].",
    "[0.5, 1.0, 2.0] -> [0.5236, 1.5708,    nan]", domain="unit", aliases=("arcsin",),
)  # fmt: skip
acos = unary(
    "acos", np.arccos, lambda g, a: -g * rsqrt(1 - a * a),
    "The inverse cosine, from 0 to π; NaN for real numbers outside of [-1, 1].",
    "[0.5, -1.0, 2.0] -> [1.0472, 3.1416,    nan]", domain="unit", aliases=("arccos",),
)  # fmt: skip
atan = unary(
    "atan", np.arctan, lambda g, a: g / (1 + a * a), "The inverse tangent, from -π/2 to π/2.",
    "[1.0, -1000.0] -> [ 0.7854, -1.5698]", aliases=("arctan",),
)  # fmt: skip
sinh = unary("sinh", np.sinh, lambda g, a: g * cosh(a), "The hyperbolic sine of each element.",
             "[0.0, 1.0] -> [0.0000, 1.1752]")  # fmt: skip
cosh = unary("cosh", np.cosh, lambda g, a: g * sinh(a), "The hyperbolic cosine of each element.",
             "[0.0, 1.0] -> [1.0000, 1.5431]")  # fmt: skip


def _one(a: Any) -> Any:
    """1 beside ``a``."""
    return quick.ONE.get(a.dtype, 1) if a.__class__ is np.ndarray else 1


def _tanh_backward(grad: Any, y: Any) -> Any:
    if kernel := compiled.backward("tanh", grad, y):
        return kernel(grad, y)
    return grad * (_one(y) - y * y)


TANH_BACKWARD = op(
    "tanh_backward", _tanh_backward, "grad y", rule="promote",
    grad=(lambda g, y: apply(TANH_BACKWARD, g, y), lambda g, grad, y: -2 * g * grad * y),
    samples=lambda s: [((s(3, 2), s(3, 2)), {})],
)  # fmt: skip
tanh = unary(
    "tanh", np.tanh, lambda g, y: apply(TANH_BACKWARD, g, y),
    "The hyperbolic tangent of each element, from -1 to 1.",
    "[0.0, 1.0, -10.0] -> [ 0.0000,  0.7616, -1.0000]",
)  # fmt: skip
asinh = unary(
    "asinh", np.arcsinh, lambda g, a: g * rsqrt(a * a + 1), "The inverse hyperbolic sine.",
    "[0.0, 1.0] -> [0.0000, 0.8814]", aliases=("arcsinh",),
)  # fmt: skip
acosh = unary(
    "acosh", np.arccosh, _acosh_grad,
    "The inverse hyperbolic cosine; NaN for real numbers below 1.",
    "[1.0, 2.0] -> [0.0000, 1.3170]",
    domain="above_one", aliases=("arccosh",),
)  # fmt: skip
atanh = unary(
    "atanh", np.arctanh, lambda g, a: g / (1 - a * a),
    "The inverse hyperbolic tangent: ±inf for ±1, NaN for real numbers outside of [-1, 1].",
    "[0.5, 1.0] -> [0.5493,    inf]", domain="unit", aliases=("arctanh",),
)  # fmt: skip

# -- rounding ------------------------------------------------------------------------------------


def _rounding(kernel: Kernel, name: str) -> Kernel:
    """A rounding of real numbers; integers are their own."""

    def rounded(a: Any) -> Any:
        kind = a.dtype.kind
        if kind in "iu":
            return a.copy()
        if kind == "c":
            raise NotImplementedError(f"{name} is not supported for complex inputs")
        return kernel(_no_bools(a, f"{name}_vml_cpu"))

    return rounded


def _frac_kernel(a: Any) -> Any:
    real_floating(a, "frac_cpu")
    if compiled.is_plain_or_wide(a) and (kernels := compiled.family("arithmetic")):
        return kernels.frac(a)
    return a - np.trunc(a)


def _round_kernel(a: Any, decimals: int = 0) -> Any:
    if a.dtype.kind in "iu":
        return a.copy()
    x = wide(real_floating(a, "round_vml_cpu"))
    return np.round(x, decimals).astype(a.dtype, copy=False)


_ROUNDED = (
    "Of the type of ``input``; integers are their own result. The gradient is zero.\n"
    "    NotImplementedError for bools and complex numbers."
)
floor = unary(
    "floor", _rounding(np.floor, "floor"), _nothing, "Each element rounded down.",
    "[1.5, -1.5] -> [ 1., -2.]", notes=_ROUNDED, rule=None, domain="away",
)  # fmt: skip
ceil = unary(
    "ceil", _rounding(np.ceil, "ceil"), _nothing, "Each element rounded up.",
    "[1.5, -1.5] -> [ 2., -1.]", notes=_ROUNDED, rule=None, domain="away",
)  # fmt: skip
trunc = unary(
    "trunc", _rounding(np.trunc, "trunc"), _nothing, "Each element rounded towards zero.",
    "[1.5, -1.5] -> [ 1., -1.]", notes=_ROUNDED, rule=None, domain="away", aliases=("fix",),
)  # fmt: skip
frac = unary(
    "frac", _frac_kernel, lambda g: g,
    "What each element has after the point: ``input - trunc(input)``.",
    "[1.5, -1.25] -> [ 0.5000, -0.2500]",
    notes="Real floating types only: NotImplementedError for others.", rule=None, domain="away",
)  # fmt: skip

ROUND = op("round", _round_kernel, "a", grad=(_nothing,),
           samples=lambda s: [((s.away(3),), {}), ((s(3),), {"decimals": 2})])  # fmt: skip


@function(inplace=True, out=True)
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """Each element rounded to ``decimals`` places (before the point if negative), halves to even.

    Of the type of ``input``; the gradient is zero. NotImplementedError for bools, for complex
    numbers, and for integers with ``decimals``.

    >>> import framework as torch
    >>> torch.round(torch.tensor([0.5, 1.5, -2.5]))
    tensor([ 0.,  2., -2.])
    """
    if not decimals:
        return apply(ROUND, input)
    if input._data.dtype.kind in "biu":
        raise NotImplementedError(
            f"\"round_vml_cpu\" not implemented for '{type_name(input._data)}'"
        )
    return apply(ROUND, input, decimals=decimals)


# -- questions -----------------------------------------------------------------------------------


def _isreal_kernel(a: Any) -> Any:
    return a.imag == 0 if a.dtype.kind == "c" else module_of(a).ones(a.shape, bool)


_ANSWERS = "A bool for each element. Integers and bools are {}."
isnan = unary(
    "isnan", np.isnan, None, "Whether each element is NaN, a complex one in either part.",
    "[1.0, torch.nan] -> [False,  True]", notes=_ANSWERS.format("never"), rule=None, inplace=False,
    out=False,
)  # fmt: skip
isinf = unary(
    "isinf", np.isinf, None, "Whether each element is infinite, a complex one in either part.",
    "[1.0, -torch.inf] -> [False,  True]", notes=_ANSWERS.format("never"), rule=None, inplace=False,
    out=False,
)  # fmt: skip
isfinite = unary(
    "isfinite", np.isfinite, None, "Whether each element is finite: neither NaN nor infinite.",
    "[1.0, torch.inf, torch.nan] -> [ True, False, False]", notes=_ANSWERS.format("always"),
    rule=None,
    inplace=False, out=False,
)  # fmt: skip
isreal = unary(
    "isreal", _isreal_kernel, None, "Whether each element has no imaginary part.",
    "[1 + 0j, 1j] -> [ True, False]", notes="A bool for each element: True for all of a real type.",
    rule=None, inplace=False, out=False,
)  # fmt: skip
