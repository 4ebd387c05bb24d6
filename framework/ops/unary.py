"""Elementwise functions of one argument: powers and roots, exponentials, angles, rounding."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from framework.core.dispatch import RULES, apply
from framework.core.registry import Op, function, op
from framework.core.views import inplace_twin
from framework.kernels import module_of
from framework.kernels.floats import real_floating, type_name, wide
from framework.kernels.special import erf as _special_erf
from framework.tensor import Tensor, wrap

__all__ = [
    "absolute", "cos", "exp", "isnan", "log", "rsqrt", "sgn", "sigmoid", "sin", "tanh",
    "zeros_like",
]  # fmt: skip

Kernel = Callable[..., Any]


def unary(
    name: str,
    kernel: Kernel,
    grad: Callable[..., Any] | None,
    doc: str,
    *,
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
        domain: the method of the tests' sampler that makes arguments which the op is defined for.
    """

    def samples(s: Any) -> list[Any]:
        make = getattr(s, domain) if domain else s
        return [((make(3, 2),), {}), ((make(),), {})]

    record = op(name, kernel, "a", rule=rule, grad=None if grad is None else (grad,),
                wirtinger=wirtinger, samples=samples)  # fmt: skip
    call = _published(record, name, doc, inplace, out, dunder)
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


neg = unary("neg", np.negative, lambda g: -g, "The negative of each element; not of bools.",
            rule=None, dunder=("__neg__",), aliases=("negative",))  # fmt: skip
sign = unary("sign", _sign_kernel, _nothing, "-1, 0 or 1; 0 for NaN.", rule=None, domain="away")
sgn = unary("sgn", _sgn_kernel, _sgn_grad, "`sign`, and of a complex number a / abs(a).",
            rule=None, domain="away", wirtinger=True)  # fmt: skip
absolute = unary(
    "abs", _abs_kernel, lambda g, a: g * sgn(a), "The absolute value of each element.",
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
    """The tensor itself, ``+input``; not of bools."""
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
            return kernel(a.astype(np.float32)).astype(a.dtype)
        return kernel(a)

    return wrapped


def _sigmoid_kernel(a: Any) -> Any:
    """1 / (1 + e^-a), without overflow: e^-|a| never exceeds one."""
    one = a.dtype.type(1)
    if a.dtype.kind == "c":
        return one / (one + np.exp(-a))
    small = np.exp(-np.abs(a))
    return np.where(a >= 0, one, small) / (one + small)


square = unary("square", np.square, lambda g, a: g * (2 * a), "The square of each element.",
               rule=_square_rule)  # fmt: skip
sqrt = unary("sqrt", np.sqrt, lambda g, y: g / (2 * y), "The square root.", domain="positive")
rsqrt = unary("rsqrt", _halves(lambda a: np.reciprocal(np.sqrt(a))),
              lambda g, y: g * y * y * y * -0.5, "One over the square root.",
              domain="positive")  # fmt: skip
reciprocal = unary("reciprocal", np.reciprocal, lambda g, y: -g * (y * y), "One over each element.",
                   domain="away")  # fmt: skip
exp = unary("exp", np.exp, lambda g, y: g * y, "e to the power of each element.")
exp2 = unary("exp2", np.exp2, lambda g, y: g * y * math.log(2), "2 to the power of each element.")
expm1 = unary("expm1", np.expm1, lambda g, y: g * (y + 1), "exp(input) - 1, exact near 0.")
log = unary("log", np.log, lambda g, a: g / a, "The natural logarithm.", domain="positive")
log2 = unary("log2", np.log2, lambda g, a: g / (a * math.log(2)), "The logarithm to base 2.",
             domain="positive")  # fmt: skip
log10 = unary("log10", np.log10, lambda g, a: g / (a * math.log(10)), "The logarithm to base 10.",
              domain="positive")  # fmt: skip
log1p = unary("log1p", np.log1p, lambda g, a: g / (a + 1), "log(1 + input), exact near 0.",
              domain="positive")  # fmt: skip
sigmoid = unary("sigmoid", _halves(_sigmoid_kernel), lambda g, y: g * y * (1 - y),
                "The logistic function 1 / (1 + exp(-input)).")  # fmt: skip
erf = unary("erf", lambda a: _special_erf(real_floating(a, "erf_vml_cpu")),
            lambda g, a: g * exp(-a * a) * (2 / math.sqrt(math.pi)),
            "The error function.")  # fmt: skip

# -- angles --------------------------------------------------------------------------------------


def _acosh_grad(g: Any, a: Any) -> Any:
    """Two roots for complex numbers: that of the product has another branch cut."""
    if a._data.dtype.kind == "c":
        return g * rsqrt(a - 1) * rsqrt(a + 1)
    return g * rsqrt(a * a - 1)


sin = unary("sin", np.sin, lambda g, a: g * cos(a), "The sine.")
cos = unary("cos", np.cos, lambda g, a: -g * sin(a), "The cosine.")
tan = unary("tan", np.tan, lambda g, y: g * (1 + y * y), "The tangent.", domain="unit")
asin = unary("asin", np.arcsin, lambda g, a: g * rsqrt(1 - a * a), "The inverse sine.",
             domain="unit", aliases=("arcsin",))  # fmt: skip
acos = unary("acos", np.arccos, lambda g, a: -g * rsqrt(1 - a * a), "The inverse cosine.",
             domain="unit", aliases=("arccos",))  # fmt: skip
atan = unary("atan", np.arctan, lambda g, a: g / (1 + a * a), "The inverse tangent.",
             aliases=("arctan",))  # fmt: skip
sinh = unary("sinh", np.sinh, lambda g, a: g * cosh(a), "The hyperbolic sine.")
cosh = unary("cosh", np.cosh, lambda g, a: g * sinh(a), "The hyperbolic cosine.")
tanh = unary("tanh", np.tanh, lambda g, y: g * (1 - y * y), "The hyperbolic tangent.")
asinh = unary("asinh", np.arcsinh, lambda g, a: g * rsqrt(a * a + 1),
              "The inverse hyperbolic sine.", aliases=("arcsinh",))  # fmt: skip
acosh = unary("acosh", np.arccosh, _acosh_grad,
              "The inverse hyperbolic cosine.", domain="above_one",
              aliases=("arccosh",))  # fmt: skip
atanh = unary("atanh", np.arctanh, lambda g, a: g / (1 - a * a),
              "The inverse hyperbolic tangent.", domain="unit", aliases=("arctanh",))  # fmt: skip

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
    return a - np.trunc(a)


def _round_kernel(a: Any, decimals: int = 0) -> Any:
    if a.dtype.kind in "iu":
        return a.copy()
    x = wide(real_floating(a, "round_vml_cpu"))
    return np.round(x, decimals).astype(a.dtype, copy=False)


floor = unary("floor", _rounding(np.floor, "floor"), _nothing, "Rounded down.", rule=None,
              domain="away")  # fmt: skip
ceil = unary("ceil", _rounding(np.ceil, "ceil"), _nothing, "Rounded up.", rule=None,
             domain="away")  # fmt: skip
trunc = unary("trunc", _rounding(np.trunc, "trunc"), _nothing, "Rounded towards zero.", rule=None,
              domain="away", aliases=("fix",))  # fmt: skip
frac = unary("frac", _frac_kernel, lambda g: g, "The part after the point.", rule=None,
             domain="away")  # fmt: skip

ROUND = op("round", _round_kernel, "a", grad=(_nothing,),
           samples=lambda s: [((s.away(3),), {}), ((s(3),), {"decimals": 2})])  # fmt: skip


@function(inplace=True, out=True)
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """Rounded to ``decimals`` places, halves to even; integers only with ``decimals`` 0.

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


isnan = unary("isnan", np.isnan, None, "Whether each element is NaN.", rule=None, inplace=False,
              out=False)  # fmt: skip
isinf = unary("isinf", np.isinf, None, "Whether each element is infinite.", rule=None,
              inplace=False, out=False)  # fmt: skip
isfinite = unary("isfinite", np.isfinite, None, "Whether each element is finite.", rule=None,
                 inplace=False, out=False)  # fmt: skip
isreal = unary("isreal", _isreal_kernel, None, "Whether each element has no imaginary part.",
               rule=None, inplace=False, out=False)  # fmt: skip
