"""Special functions: gamma, error, Bessel and zeta functions, entropies, under PyTorch's names.

Formulas and derivatives are those of the NIST Digital Library of Mathematical Functions (DLMF).
Functions for which PyTorch has no derivative have none here either: their results want no gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from framework.core.dispatch import apply, composite
from framework.core.registry import function, op
from framework.dtypes import COMPLEX, FLOAT
from framework.kernels import module_of
from framework.kernels import special as kernels
from framework.kernels.floats import type_name, wide
from framework.kernels.special import named
from framework.ops import softmax as rows
from framework.ops import unary
from framework.ops.select import where
from framework.ops.unary import cos, exp, log, log1p, sgn, sin
from framework.tensor import Tensor

__all__ = [
    "digamma", "entr", "erfc", "erfcx", "erfinv", "i0", "i0e", "i1", "i1e", "lgamma", "log_ndtr",
    "logit", "mvlgamma", "ndtr", "ndtri", "polygamma", "refused", "sinc", "xlog1py", "zeta",
]  # fmt: skip

_TOP = ("", "special")
_SPECIAL = ("special",)


def refused(text: str) -> Callable[..., Any]:
    """A gradient rule of a derivative that does not exist: says so when it is asked for."""

    def rule(g: Any) -> Any:
        raise NotImplementedError(text)

    return rule


# -- one argument ----------------------------------------------------------------------------

_TYPES = "Elementwise; integers and bools give the default float type."
_NO_COMPLEX = f"{_TYPES} NotImplementedError for\n    complex numbers."
_NO_HALF = f"{_TYPES} NotImplementedError for\n    float16, bfloat16 and complex numbers."
_NO_GRADIENT = f"{_NO_HALF} It has no gradient."


def _unary(
    name: str,
    kernel: Callable[..., Any],
    grad: Callable[..., Any] | None,
    doc: str,
    example: str,
    *,
    notes: str = _NO_COMPLEX,
    domain: str = "",
    namespaces: tuple[str, ...] = _SPECIAL,
) -> Callable[..., Any]:
    """Register an elementwise op and publish it; those of the top level are methods too.

    Args:
        example: ``ARGUMENT -> RESULT``, which becomes a doctest; see `unary.documented`.
        domain: the method of the tests' sampler that draws from where it is defined and smooth.
    """
    record = op(
        name, kernel, "a", rule="float", grad=None if grad is None else (grad,),
        samples=lambda s: [
            ((make(3, 2),), {}) for make in (getattr(s, domain) if domain else s,)
        ],
    )  # fmt: skip

    def call(input: Tensor) -> Tensor:
        return apply(record, input)

    top = "" in namespaces
    call.__name__ = call.__qualname__ = name
    call.__doc__ = unary.documented(f"{'' if top else 'special.'}{name}", example, doc, notes)
    return function(namespaces=namespaces, method=top, inplace=top, out=True)(call)


def _also(name: str, call: Callable[..., Any]) -> None:
    """Publish a one-argument function in ``special`` under another (or its own) name."""

    def again(input: Tensor) -> Tensor:
        return call(input)

    again.__name__ = again.__qualname__ = name
    again.__doc__ = f"Alias of `torch.{call.__name__}`."
    function(namespaces=_SPECIAL, method=False, out=True)(again)


digamma = _unary(
    "digamma", named("psi", "digamma"), lambda g, a: g * polygamma(1, a),
    "The logarithmic derivative of the gamma function (DLMF 5.2.2).",
    "[1.0, 0.5] -> [-0.5772, -1.9635]", domain="positive", namespaces=_TOP,
)  # fmt: skip
lgamma = _unary(
    "lgamma", named("gammaln", "lgamma_vml_cpu"), lambda g, a: g * digamma(a),
    "The logarithm of the gamma function's absolute value (DLMF 5.2.1).",
    "[0.5, 4.0] -> [0.5724, 1.7918]", domain="positive", namespaces=("",),
)  # fmt: skip
erfc = _unary(
    "erfc", named("erfc", "erfc_vml_cpu"),
    lambda g, a: g * exp(-a * a) * (-2 / math.sqrt(math.pi)),
    "1 - erf(input), exact where that is small (DLMF 7.2.2).",
    "[0.0, 1.0] -> [1.0000, 0.1573]", namespaces=_TOP,
)  # fmt: skip
erfinv = _unary(
    "erfinv", named("erfinv", "erfinv_vml_cpu"),
    lambda g, y: g * exp(y * y) * (math.sqrt(math.pi) / 2),
    "The inverse of the error function, on [-1, 1] (DLMF 7.17.1).",
    "[0.0, 0.5, 1.0] -> [0.0000, 0.4769, inf]", domain="unit", namespaces=_TOP,
)  # fmt: skip
erfcx = _unary(
    "erfcx", named("erfcx", "erfcx_cpu", narrow=False),
    lambda g, a, y: g * (2 * a * y - 2 / math.sqrt(math.pi)),
    "exp(input²) erfc(input), which does not underflow (DLMF 7.2.3, at i times input).",
    "[0.0, 10.0] -> [1.0000, 0.0561]", notes=_NO_HALF,
)  # fmt: skip
ndtr = _unary(
    "ndtr", named("ndtr", "erf_vml_cpu"),
    lambda g, a: g * exp(a * a * -0.5) * (1 / math.sqrt(2 * math.pi)),
    "The standard normal distribution function: the area under its density left of input.",
    "[-1.0, 0.0] -> [0.1587, 0.5000]",
)  # fmt: skip
ndtri = _unary(
    "ndtri", named("ndtri", "ndtri_cpu", narrow=False),
    lambda g, y: g * exp(y * y * 0.5) * math.sqrt(2 * math.pi),
    "The inverse of `ndtr`: the quantiles of the standard normal distribution.",
    "[0.5, 0.975] -> [0.0000, 1.9600]", domain="chance", notes=_NO_HALF,
)  # fmt: skip
log_ndtr = _unary(
    "log_ndtr", named("log_ndtr", "log_ndtr_cpu", narrow=False),
    lambda g, a: g * math.sqrt(2 / math.pi) / erfcx(a * -math.sqrt(0.5)),
    "The logarithm of `ndtr`, without underflow.",
    "[-30.0, 0.0] -> [-454.3213,   -0.6931]", notes=_NO_HALF,
)  # fmt: skip
entr = _unary(
    "entr", named("entr", "entr_cpu"), lambda g, a: -g * (1 + log(a)),
    "-input log(input), a probability's share in the entropy; -inf for negative input.",
    "[-0.5, 0.0, 0.5] -> [  -inf, 0.0000, 0.3466]", domain="positive",
)  # fmt: skip


def _sinc_grad(g: Any, a: Any) -> Any:
    """(πx cos πx - sin πx) / πx², and its Taylor polynomial at zero."""
    at_zero = a == 0
    x = a * math.pi
    ratio = (x * cos(x) - sin(x)) / where(at_zero, 1.0, x * a)
    return g * where(at_zero, a * (-(math.pi**2) / 3), ratio)


def _sinc_kernel(a: Any) -> Any:
    return module_of(a).sinc(wide(a)).astype(a.dtype)


sinc = _unary(
    "sinc", _sinc_kernel, _sinc_grad, "sin(π input) / (π input), and 1 at zero; complex too.",
    "[0.0, 0.5] -> [1.0000, 0.6366]", domain="away", namespaces=_TOP, notes=_TYPES,
)  # fmt: skip


# -- Bessel functions ------------------------------------------------------------------------


def _over(y: Any, a: Any) -> Any:
    """y / a for a y that is a / 2 at zero."""
    at_zero = a == 0
    return where(at_zero, 0.5, y / where(at_zero, 1.0, a))


i0 = _unary(
    "i0", named("i0", "i0_vml_cpu"), lambda g, a: g * i1(a),
    "The modified Bessel function of the first kind of order 0 (DLMF 10.25.2).",
    "[0.0, 1.0] -> [1.0000, 1.2661]", namespaces=_TOP,
)  # fmt: skip
i0e = _unary(
    "i0e", named("i0e", "i0e_cpu"), lambda g, a, y: g * (i1e(a) - sgn(a) * y),
    "exp(-|input|) i0(input).", "[0.0, 1.0] -> [1.0000, 0.4658]", domain="away",
)  # fmt: skip
i1 = _unary(
    "i1", named("i1", "i1_cpu"), lambda g, a, y: g * (i0(a) - _over(y, a)),
    "The modified Bessel function of the first kind of order 1 (DLMF 10.25.2).",
    "[0.0, 1.0] -> [0.0000, 0.5652]", domain="away",
)  # fmt: skip
i1e = _unary(
    "i1e", named("i1e", "i1e_cpu"), lambda g, a, y: g * (i0e(a) - _over(y, a) - sgn(a) * y),
    "exp(-|input|) i1(input).", "[0.0, 1.0] -> [0.0000, 0.2079]", domain="away",
)  # fmt: skip

_PLAIN = [
    ("airy_ai", "", "The Airy function Ai (DLMF 9.2).", "[0.0, 1.0] -> [0.3550, 0.1353]"),
    ("bessel_j0", "j0", "The Bessel function of the first kind of order 0 (DLMF 10.2.2).",
     "[0.0, 1.0] -> [1.0000, 0.7652]"),
    ("bessel_j1", "j1", "The Bessel function of the first kind of order 1 (DLMF 10.2.2).",
     "[0.0, 1.0] -> [0.0000, 0.4401]"),
    ("bessel_y0", "y0", "The Bessel function of the second kind of order 0 (DLMF 10.2.3).",
     "[0.0, 1.0] -> [  -inf, 0.0883]"),
    ("bessel_y1", "y1", "The Bessel function of the second kind of order 1 (DLMF 10.2.3).",
     "[0.0, 1.0] -> [   -inf, -0.7812]"),
    ("modified_bessel_i0", "i0", "As `i0`, without a gradient.",
     "[0.0, 1.0] -> [1.0000, 1.2661]"),
    ("modified_bessel_i1", "i1", "As `i1`, without a gradient.",
     "[0.0, 1.0] -> [0.0000, 0.5652]"),
    ("modified_bessel_k0", "k0",
     "The modified Bessel function of the second kind of order 0 (DLMF 10.25.3).",
     "[0.0, 1.0] -> [   inf, 0.4210]"),
    ("modified_bessel_k1", "k1",
     "The modified Bessel function of the second kind of order 1 (DLMF 10.25.3).",
     "[0.0, 1.0] -> [   inf, 0.6019]"),
    ("scaled_modified_bessel_k0", "k0e", "exp(input) modified_bessel_k0(input).",
     "[0.0, 1.0] -> [   inf, 1.1445]"),
    ("scaled_modified_bessel_k1", "k1e", "exp(input) modified_bessel_k1(input).",
     "[0.0, 1.0] -> [   inf, 1.6362]"),
    ("spherical_bessel_j0", "", "sin(input) / input, and 1 at zero (DLMF 10.49.3).",
     "[0.0, 1.0] -> [1.0000, 0.8415]"),
]  # fmt: skip

for _name, _scipy, _doc, _example in _PLAIN:
    _kernel = named(_scipy, f"{_name}_cpu", narrow=False) if _scipy else getattr(kernels, _name)
    _unary(_name, _kernel, None, _doc, _example, notes=_NO_GRADIENT, domain="positive")


# -- with a number ---------------------------------------------------------------------------

POLYGAMMA = op(
    "polygamma", kernels.polygamma, "a", rule="float",
    grad=(lambda g, a, order: g * polygamma(order + 1, a),),
    samples=lambda s: [((s.positive(3, 2),), {"order": order}) for order in (0, 1, 2, 3)],
)  # fmt: skip


@function(namespaces=_TOP, method=False, checks=True, out=True)
def polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of `digamma` (DLMF 5.15): n = 0 is that function itself.

    RuntimeError for a negative ``n``, NotImplementedError for complex numbers.

    >>> import framework as torch
    >>> torch.polygamma(1, torch.tensor([1.0, 0.5]))
    tensor([1.6449, 4.9348])
    """
    if not isinstance(n, int):
        raise TypeError(
            f"polygamma(): argument 'n' (position 1) must be int, not {type(n).__name__}"
        )
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return apply(POLYGAMMA, input, order=n)


def _polygamma_method(self: Tensor, n: int) -> Tensor:
    return polygamma(n, self)


_polygamma_method.__name__ = "polygamma"
_polygamma_method.__doc__ = """The ``n``-th derivative of `digamma` here: see `torch.polygamma`.

    >>> import framework as torch
    >>> torch.tensor([1.0, 0.5]).polygamma(1)
    tensor([1.6449, 4.9348])
    """
function(namespaces=(), inplace=True)(_polygamma_method)


def _logit_grad(g: Any, a: Any, eps: float | None) -> Any:
    low, high = (0.0, 1.0) if eps is None else (eps, 1 - eps)
    outside = (a < low) | (a > high)
    flat = math.nan if eps is None else 0.0
    return where(outside, flat, g / where(outside, 1.0, a * (1 - a)))


LOGIT = op(
    "logit", kernels.logit, "a", rule="float", grad=(_logit_grad,),
    samples=lambda s: [((s.chance(3, 2),), {"eps": None}), ((s.chance(3),), {"eps": 0.2})],
)  # fmt: skip


@function(namespaces=_TOP, inplace=True, out=True)
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(input / (1 - input)), the inverse of `sigmoid`; NaN outside of [0, 1].

    Integers give the default float type. NotImplementedError for complex numbers.

    Args:
        eps: input is first limited to [eps, 1 - eps].

    >>> import framework as torch
    >>> torch.logit(torch.tensor([0.5, 0.9, 1.0]), eps=1e-6)
    tensor([ 0.0000,  2.1972, 13.8023])
    """
    if isinstance(eps, Tensor) and not eps.ndim:
        eps = eps.item()
    if not (eps is None or isinstance(eps, (int, float, np.integer))):
        raise TypeError(f"logit(): argument 'eps' must be float, not {type(eps).__name__}")
    return apply(LOGIT, input, eps=eps)


@function(inplace=True, checks=True, out=True)
@composite
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The logarithm of the p-dimensional gamma function, for input > (p - 1) / 2.

    p(p - 1)/4 log π + the sum over k < p of lgamma(input - k/2) (DLMF 35.3.4).

    RuntimeError for ``p`` below 1, NotImplementedError for complex numbers.

    >>> import framework as torch
    >>> torch.mvlgamma(torch.tensor([2.0, 3.0]), 2)
    tensor([0.4516, 1.5502])
    """
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    if input.dtype.category == COMPLEX:
        raise NotImplementedError(f"\"mvlgamma\" not implemented for '{type_name(input._data)}'")
    from framework.ops.ranges import arange

    kind = input.dtype if input.dtype.category == FLOAT else None
    halves = arange(0, p, dtype=kind, device=input.device) * 0.5
    terms = lgamma(input.unsqueeze(-1) - halves)
    return terms.sum(-1) + p * (p - 1) / 4 * math.log(math.pi)


# -- two arguments ---------------------------------------------------------------------------

ZETA = op(
    "zeta", named("zeta", "zeta_cpu", narrow=False), "ab", rule="float",
    grad=(
        refused("the derivative for 'zeta' is not implemented."),
        lambda g, a, b: g * -a * zeta(a + 1, b),
    ),
    samples=lambda s: [((s.positive(3).detach() + 1, s.positive(2, 1)), {})],
)  # fmt: skip


@function(namespaces=_SPECIAL, method=False, out=True)
def zeta(input: Any, other: Any) -> Tensor:
    """The Hurwitz zeta function: the sum over k >= 0 of (other + k) ** -input (DLMF 25.11.1).

    Either may be a number. It has no derivative with respect to ``input``. NotImplementedError for
    half precision and complex numbers.

    >>> import framework as torch
    >>> torch.special.zeta(torch.tensor([2.0, 4.0]), 1)
    tensor([1.6449, 1.0823])
    """
    _needs_both("zeta", input, other)
    return apply(ZETA, input, other)


def _igamma_grad(g: Any, a: Any, b: Any) -> Any:
    return g * exp((a - 1) * log(b) - b - lgamma(a))


def _incomplete(name: str, scipy: str, sign: int) -> Any:
    return op(
        name, named(scipy, f"{name}_cpu"), "ab", rule="tensors",
        grad=(
            refused(f"the derivative for '{name}: input' is not implemented."),
            lambda g, a, b: _igamma_grad(g if sign > 0 else -g, a, b),
        ),
        samples=lambda s: [((s.positive(3).detach(), s.positive(2, 1)), {})],
    )  # fmt: skip


IGAMMA, IGAMMAC = _incomplete("igamma", "gammainc", 1), _incomplete("igammac", "gammaincc", -1)


@function(inplace=True, out=True)
def igamma(input: Tensor, other: Tensor) -> Tensor:
    """The regularized lower incomplete gamma function P(input, other) (DLMF 8.2.4).

    Real floating types, else NotImplementedError; NaN where one is negative. Shapes broadcast. It
    has no derivative with respect to ``input``.

    >>> import framework as torch
    >>> torch.igamma(torch.tensor([1.0, 4.0]), torch.tensor([2.0, 5.0]))
    tensor([0.8647, 0.7350])
    """
    return apply(IGAMMA, input, other)


@function(inplace=True, out=True)
def igammac(input: Tensor, other: Tensor) -> Tensor:
    """The regularized upper incomplete gamma function: 1 - `igamma`, exact where that is small.

    Types, errors and derivatives as there.

    >>> import framework as torch
    >>> torch.igammac(torch.tensor([1.0, 4.0]), torch.tensor([2.0, 5.0]))
    tensor([0.1353, 0.2650])
    """
    return apply(IGAMMAC, input, other)


def _xlog(name: str, shift: int, logarithm: Callable[..., Any]) -> Any:
    """x log(y + shift), with nothing left of it where x is zero and y is no NaN."""

    def slope(g: Any, a: Any, b: Any) -> Any:
        nothing = (a == 0) & (b <= -shift)  # where the logarithm is infinite or NaN
        return where(nothing, 0.0, g * logarithm(where(nothing, 1.0, b)))

    return op(
        name, named(name, f"{name}_cpu"), "ab", rule="float",
        grad=(slope, lambda g, a, b: g * a / (b + shift)),
        samples=lambda s: [
            ((s(3), s.positive(2, 1)), {}), ((1.5, s.positive(2)), {}), ((s(2), 2.5), {}),
        ],
    )  # fmt: skip


XLOGY, XLOG1PY = _xlog("xlogy", 0, log), _xlog("xlog1py", 1, log1p)


def _needs_both(name: str, input: Any, other: Any) -> None:
    if input is None or other is None:
        raise TypeError(f"{name}(): expected tensors or numbers, but got None")


@function(namespaces=_TOP, inplace=True, out=True)
def xlogy(input: Any, other: Any) -> Tensor:
    """input log(other), and 0 where input is 0 (but for NaN); either may be a number.

    Shapes broadcast; integers give the default float type. NotImplementedError for complex numbers.

    >>> import framework as torch
    >>> torch.xlogy(torch.tensor([0.0, 2.0]), torch.tensor([0.0, 3.0]))
    tensor([0.0000, 2.1972])
    """
    _needs_both("xlogy", input, other)
    return apply(XLOGY, input, other)


@function(namespaces=_SPECIAL, method=False, out=True)
def xlog1py(input: Any, other: Any) -> Tensor:
    """input log(1 + other), and 0 where input is 0 (but for NaN); either may be a number.

    Shapes broadcast; integers give the default float type. NotImplementedError for complex numbers.

    >>> import framework as torch
    >>> torch.special.xlog1py(torch.tensor([0.0, 2.0]), torch.tensor([-1.0, 2.0]))
    tensor([0.0000, 2.1972])
    """
    _needs_both("xlog1py", input, other)
    return apply(XLOG1PY, input, other)


# -- other names -----------------------------------------------------------------------------

for _name, _call in {
    "erf": unary.erf, "exp2": unary.exp2, "expit": unary.sigmoid,
    "expm1": unary.expm1, "gammaln": lgamma, "log1p": unary.log1p, "psi": digamma,
}.items():  # fmt: skip
    _also(_name, _call)


@function(namespaces=_SPECIAL, method=False, out=True)
def gammainc(input: Tensor, other: Tensor) -> Tensor:
    """Alias of `torch.igamma`: the regularized lower incomplete gamma function."""
    return igamma(input, other)


@function(namespaces=_SPECIAL, method=False, out=True)
def gammaincc(input: Tensor, other: Tensor) -> Tensor:
    """Alias of `torch.igammac`: the regularized upper incomplete gamma function."""
    return igammac(input, other)


@function(namespaces=_SPECIAL, method=False, out=True)
def multigammaln(input: Tensor, p: int) -> Tensor:
    """Alias of `torch.mvlgamma`: the logarithm of the multivariate gamma function."""
    return mvlgamma(input, p)


@function(namespaces=_SPECIAL, method=False, out=True)
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """Alias of `torch.round`: each element rounded to ``decimals`` places."""
    return unary.round(input, decimals=decimals)


@function(namespaces=_SPECIAL, method=False)
def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Alias of `torch.softmax`, with ``dtype`` as a keyword."""
    return rows.softmax(input, dim, dtype)


@function(namespaces=_SPECIAL, method=False)
def log_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Alias of `torch.log_softmax`, with ``dtype`` as a keyword."""
    return rows.log_softmax(input, dim, dtype)
