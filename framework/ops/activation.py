"""Activation functions: rectifiers and smooth units.

Each elementwise activation is two primitives: the function, and ``NAME_backward(grad, input)``,
which is grad times the slope in one pass. The latter's own gradients use the slope again and the
curvature, written in differentiable ops, so that gradients of any order follow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.dispatch import apply, composite
from framework.core.flat import zeros
from framework.core.interpose import looked_at
from framework.core.modes import modes
from framework.core.registry import Op, function, op
from framework.core.views import inplace_twin
from framework.device import CPU
from framework.kernels import compiled, quick
from framework.kernels.floats import real_floating, type_name, widening
from framework.kernels.special import erf
from framework.layout import dense_order, in_rows
from framework.ops.dims import axis
from framework.ops.joining import cat
from framework.ops.prelu import PRELU
from framework.ops.random import rand
from framework.ops.select import relu as _relu
from framework.ops.unary import sigmoid, tanh

__all__ = [
    "celu", "elu", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish",
    "hardtanh", "leaky_relu", "logsigmoid", "mish", "relu", "relu6",
    "rrelu", "selu", "sigmoid", "silu", "softplus", "softshrink", "softsign",
    "tanh", "tanhshrink", "threshold", "uniform_like",
]  # fmt: skip

_F = ("nn.functional",)


def _zero(n: Any) -> Any:
    return zeros(*n.metas[0])


def _activation(
    name: str,
    value: Callable[..., Any],
    slope: Callable[..., Any],
    curvature: Callable[..., Any] | None = None,
    *,
    domain: str = "",
    kinds: str = "fV",
    samples: tuple[dict[str, Any], ...] = ({},),
) -> Op:
    """Register an elementwise op and its backward op.

    Args:
        value, slope: kernels of (array, **meta) for the function and its derivative.
        curvature: the second derivative in differentiable ops; None where it is zero, which is a
            tensor of zeros to PyTorch.
        domain: which of the tests' random tensors avoid the kinks.
        kinds: of NumPy's dtypes that it is defined for ("V" is bfloat16).
        samples: keywords to try.
    """

    def forward(a: Any, **meta: Any) -> Any:
        if a.dtype.kind not in kinds:
            raise NotImplementedError(f"\"{name}\" not implemented for '{type_name(a)}'")
        if quick := compiled.forward(_compiled_name(name, meta), a):
            return quick(a, **meta)
        return value(a, **meta)

    def backward(grad: Any, a: Any, **meta: Any) -> Any:
        if quick := compiled.backward(_compiled_name(name, meta), grad, a):
            return quick(grad, a, **meta)
        return grad * slope(a, **meta)

    def draws(s: Any) -> list[Any]:
        draw = getattr(s, domain) if domain else s
        return [(draw(3, 2), meta) for meta in samples]

    bend: Callable[..., Any] = _zero
    if curvature is not None:
        bend = lambda g, grad, a, n: g * grad * curvature(a, **n.meta)  # noqa: E731
    back = op(
        f"{name}_backward", widening(backward), "grad a",
        grad=(lambda g, a, n: apply(back, g, a, **n.meta), bend),
        samples=lambda s: [((s(3, 2), a), meta) for a, meta in draws(s)],
    )  # fmt: skip
    return op(
        name, widening(forward), "a", grad=(lambda g, a, n: apply(back, g, a, **n.meta),),
        samples=lambda s: [((a,), meta) for a, meta in draws(s)],
    )  # fmt: skip


def _compiled_name(name: str, meta: dict[str, Any]) -> str:
    return f"{name}_tanh" if meta.get("approximate") == "tanh" else name


# -- kernels and curvatures --------------------------------------------------------------------


def _exp_minus(a: Any) -> Any:
    """e^-|a|, which never overflows."""
    return np.exp(-np.abs(a))


def _logistic(a: Any) -> Any:
    return quick.logistic(a)


def _log_sigmoid(a: Any) -> Any:
    return in_rows(np.minimum(a, 0) - np.log1p(_exp_minus(a)))


def _sigmoid_bend(a: Any) -> Any:
    s = sigmoid(a)
    return s * (1 - s)


_INV_SQRT2 = math.sqrt(0.5)
_INV_SQRT2PI = 1.0 / math.sqrt(2.0 * math.pi)
_GELU_A, _GELU_B = math.sqrt(2.0 / math.pi), 0.044715


def _in_order(kernel: Any, a: Any) -> Any:
    """What a kernel that gives contiguous arrays gives, in the order of ``a``'s elements."""
    if a.flags.c_contiguous or 0 in a.strides:
        return kernel(a)
    order = dense_order(a)
    return kernel(a.transpose(order)).transpose(np.argsort(order))


def _gelu(a: Any, *, approximate: str) -> Any:
    if approximate == "none":
        return (
            _in_order(quick.gelu, a) if quick.is_quick(a) else 0.5 * a * (1 + erf(a * _INV_SQRT2))
        )
    return 0.5 * a * (1 + np.tanh(_GELU_A * (a + _GELU_B * a * a * a)))


def _gelu_slope(a: Any, *, approximate: str) -> Any:
    if approximate == "none":
        if quick.is_quick(a):
            return _in_order(quick.gelu_slope, a)
        return 0.5 * (1 + erf(a * _INV_SQRT2)) + a * (np.exp(-0.5 * a * a) * _INV_SQRT2PI)
    t = np.tanh(_GELU_A * (a + _GELU_B * a * a * a))
    inner = _GELU_A * (1 + 3 * _GELU_B * a * a)
    return 0.5 * (1 + t) + 0.5 * a * (1 - t * t) * inner


def _gelu_bend(a: Any, *, approximate: str) -> Any:
    square = a * a
    if approximate == "none":
        return (square * -0.5).exp() * _INV_SQRT2PI * (2 - square)
    t = (_GELU_A * (a + _GELU_B * square * a)).tanh()
    first = _GELU_A * (1 + 3 * _GELU_B * square)
    second = 6 * _GELU_A * _GELU_B * a
    return (1 - t * t) * (first + 0.5 * a * (second - 2 * t * first * first))


def _silu_slope(a: Any) -> Any:
    s = _logistic(a)
    slope = 1 - s
    slope *= a
    slope += 1
    slope *= s
    return slope


def _silu_bend(a: Any) -> Any:
    s = sigmoid(a)
    return s * (1 - s) * (2 + a * (1 - 2 * s))


def _mish_slope(a: Any) -> Any:
    t = np.tanh(_softplus(a, beta=1.0, threshold=20.0))
    return t + a * _logistic(a) * (1 - t * t)


def _mish_bend(a: Any) -> Any:
    t, s = softplus(a).tanh(), sigmoid(a)
    d = 1 - t * t
    return d * s * (2 + a * (1 - s) - 2 * a * s * t)


def _softplus(a: Any, *, beta: float, threshold: float) -> Any:
    scaled = a * beta
    smooth = (np.maximum(scaled, 0) + np.log1p(_exp_minus(scaled))) / beta
    return np.where(scaled > threshold, a, smooth)


def _softplus_slope(a: Any, *, beta: float, threshold: float) -> Any:
    scaled = a * beta
    return np.where(scaled > threshold, a.dtype.type(1), _logistic(scaled))


def _softplus_bend(a: Any, *, beta: float, threshold: float) -> Any:
    scaled = a * beta
    return _sigmoid_bend(scaled) * beta * (scaled <= threshold)


def _elu(a: Any, *, alpha: float, scale: float = 1.0, input_scale: float = 1.0) -> Any:
    below = alpha * scale * np.expm1(np.minimum(a, 0) * input_scale)
    return np.where(a > 0, a * scale, below)


def _elu_slope(a: Any, *, alpha: float, scale: float = 1.0, input_scale: float = 1.0) -> Any:
    below = alpha * scale * input_scale * np.exp(np.minimum(a, 0) * input_scale)
    return np.where(a > 0, a.dtype.type(scale), below)


def _elu_bend(a: Any, *, alpha: float, scale: float = 1.0, input_scale: float = 1.0) -> Any:
    below = alpha * scale * input_scale**2 * (a.clamp(max=0) * input_scale).exp()
    return below * (a <= 0)


def _leaky_relu(a: Any, *, negative_slope: float) -> Any:
    return np.where(a > 0, a, a * negative_slope)


def _leaky_relu_slope(a: Any, *, negative_slope: float) -> Any:
    return np.where(a > 0, a.dtype.type(1), a.dtype.type(negative_slope))


def _hardtanh(a: Any, *, min_val: float, max_val: float) -> Any:
    if a.dtype.kind in "iu":
        min_val, max_val = int(min_val), int(max_val)
    return np.minimum(np.maximum(a, min_val), max_val)


def _hardtanh_slope(a: Any, *, min_val: float, max_val: float) -> Any:
    return (a > min_val) & (a < max_val)


def _hardswish(a: Any) -> Any:
    return a * np.minimum(np.maximum(a + 3, 0), 6) / 6


def _hardswish_slope(a: Any) -> Any:
    kind = a.dtype.type
    return np.where(a <= -3, kind(0), np.where(a >= 3, kind(1), a / 3 + 0.5))


def _hardswish_bend(a: Any) -> Any:
    return ((a > -3) & (a < 3)) / 3.0


def _hardsigmoid(a: Any) -> Any:
    return np.minimum(np.maximum(a + 3, 0), 6) / 6


def _hardsigmoid_slope(a: Any) -> Any:
    return np.where((a > -3) & (a < 3), a.dtype.type(1 / 6), a.dtype.type(0))


def _threshold(a: Any, *, threshold: float, value: float) -> Any:
    return np.where(a <= threshold, np.asarray(value).astype(a.dtype)[()], a)


def _threshold_slope(a: Any, *, threshold: float, value: float) -> Any:
    return ~(a <= threshold)  # NaN passes


def _outside(a: Any, *, lambd: float) -> Any:
    return ~((a >= -lambd) & (a <= lambd))


def _hardshrink(a: Any, *, lambd: float) -> Any:
    return np.where(_outside(a, lambd=lambd), a, a.dtype.type(0))


def _softshrink(a: Any, *, lambd: float) -> Any:
    return np.where(a > lambd, a - lambd, np.where(a < -lambd, a + lambd, a * 0))


GELU = _activation(
    "gelu", _gelu, _gelu_slope, _gelu_bend,
    samples=({"approximate": "none"}, {"approximate": "tanh"}),
)  # fmt: skip
SILU = _activation("silu", lambda a: a * _logistic(a), _silu_slope, _silu_bend, kinds="fVc")
MISH = _activation(
    "mish", lambda a: a * np.tanh(_softplus(a, beta=1.0, threshold=20.0)), _mish_slope, _mish_bend
)
SOFTPLUS = _activation(
    "softplus", _softplus, _softplus_slope, _softplus_bend,
    samples=({"beta": 1.0, "threshold": 20.0}, {"beta": 2.5, "threshold": 20.0}),
)  # fmt: skip
LOGSIGMOID = _activation(
    "logsigmoid", _log_sigmoid, lambda a: _logistic(-a), lambda a: -_sigmoid_bend(a)
)
ELU = _activation(
    "elu", _elu, _elu_slope, _elu_bend, domain="away",
    samples=({"alpha": 1.0}, {"alpha": 0.7}, {"alpha": 0.7, "scale": 1.5, "input_scale": 2.0}),
)  # fmt: skip
LEAKY_RELU = _activation(
    "leaky_relu", _leaky_relu, _leaky_relu_slope, domain="away",
    samples=({"negative_slope": 0.01}, {"negative_slope": 0.3}),
)  # fmt: skip
HARDTANH = _activation(
    "hardtanh", _hardtanh, _hardtanh_slope, domain="away", kinds="fViu",
    samples=({"min_val": -0.05, "max_val": 0.05}, {"min_val": -9.0, "max_val": 0.0}),
)  # fmt: skip
RELU6 = _activation(
    "relu6",
    lambda a: _hardtanh(a, min_val=0, max_val=6),
    lambda a: _hardtanh_slope(a, min_val=0, max_val=6),
    domain="away",
    kinds="fViu",
)
HARDSWISH = _activation("hardswish", _hardswish, _hardswish_slope, _hardswish_bend)
HARDSIGMOID = _activation("hardsigmoid", _hardsigmoid, _hardsigmoid_slope)
THRESHOLD = _activation(
    "threshold", _threshold, _threshold_slope, domain="away", kinds="fViu",
    samples=({"threshold": 0.05, "value": 2.0}, {"threshold": -0.95, "value": -1.0}),
)  # fmt: skip
HARDSHRINK = _activation(
    "hardshrink", _hardshrink, _outside, domain="away", samples=({"lambd": 0.5}, {"lambd": 0.05})
)
SOFTSHRINK = _activation(
    "softshrink", _softshrink, _outside, domain="away", samples=({"lambd": 0.95}, {"lambd": 0.05})
)


twins: dict[str, Callable[..., Any]] = {}  # the in-place versions, by name
_TOP = frozenset({"celu", "rrelu", "selu", "threshold"})  # also torch.NAME and torch.NAME_
_NAMED = frozenset({"elu", "hardtanh", "leaky_relu", *_TOP})  # also nn.functional.NAME_


def _published(call: Callable[..., Any]) -> Callable[..., Any]:
    """Publish an activation in `nn.functional`, with its ``inplace`` keyword made to work."""
    name = call.__name__
    twin = inplace_twin(call, f"{name}_")
    twins[name] = twin
    places = ("", *_F) if name in _TOP else _F
    if name in _NAMED:
        function(namespaces=places, method=False)(twin)
    return function(namespaces=places, method=False)(call)


@function(namespaces=_F, method=False)
def relu(input: Any, inplace: bool = False) -> Any:
    """max(0, input), elementwise; any shape and any real type, which the result keeps.

    The gradient at zero is zero. NotImplementedError for complex numbers.

    >>> import framework as torch
    >>> torch.nn.functional.relu(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return input.relu_() if inplace else _relu(input)


@function(namespaces=("", *_F), method=False)
def relu_(input: Any) -> Any:
    """In-place version of `relu`: writes the result into ``input``.

    Any shape and any real dtype, which stays. NotImplementedError for complex numbers, RuntimeError
    for a leaf that wants a gradient.
    """
    return input.relu_()


@_published
def relu6(input: Any, inplace: bool = False) -> Any:
    """min(max(0, input), 6), elementwise; any shape, floating or integer.

    The bound keeps activations within the range of low-precision numbers (Howard et al. 2017).
    NotImplementedError for complex numbers.

    >>> import framework as torch
    >>> torch.nn.functional.relu6(torch.tensor([-1.0, 2.0, 8.0]))
    tensor([0., 2., 6.])
    """
    return twins["relu6"](input) if inplace else apply(RELU6, input)


@_published
def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """max(0, input) + negative_slope * min(0, input), elementwise (Maas et al. 2013).

    Any shape, floating point; NotImplementedError for integers.

    >>> import framework as torch
    >>> torch.nn.functional.leaky_relu(torch.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    if inplace:
        return twins["leaky_relu"](input, negative_slope)
    return apply(LEAKY_RELU, input, negative_slope=negative_slope)


@_published
def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """input where it is positive, else alpha * (exp(input) - 1) (Clevert et al. 2015).

    Any shape, floating point; NotImplementedError for integers. For large negative inputs the
    result approaches -alpha.

    >>> import framework as torch
    >>> torch.nn.functional.elu(torch.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return twins["elu"](input, alpha) if inplace else apply(ELU, input, alpha=alpha)


@_published
def celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """max(0, input) + min(0, alpha * (exp(input / alpha) - 1)) (Barron 2017).

    An `elu` whose slope is continuous at zero whatever ``alpha`` is. Any shape, floating point.
    Raises: RuntimeError for an ``alpha`` of 0, NotImplementedError for integers.

    >>> import framework as torch
    >>> torch.celu(torch.tensor([-2.0, 2.0]), alpha=2.0)
    tensor([-1.2642,  2.0000])
    """
    if alpha == 0:
        raise RuntimeError("celu: alpha cannot be 0, since it divides the input")
    if inplace:
        return twins["celu"](input, alpha)
    return apply(ELU, input, alpha=alpha, scale=1.0, input_scale=1.0 / alpha)


@_published
def selu(input: Any, inplace: bool = False) -> Any:
    """The self-normalising `elu` (Klambauer et al. 2017): scale * elu(input, alpha).

    scale is 1.0507 and alpha 1.6733: with them activations of mean 0 and variance 1 stay so from
    layer to layer. Any shape, floating point; NotImplementedError for integers.

    >>> import framework as torch
    >>> torch.selu(torch.tensor([-1.0, 1.0]))
    tensor([-1.1113,  1.0507])
    """
    if inplace:
        return twins["selu"](input)
    return apply(
        ELU, input, alpha=1.6732632423543772, scale=1.0507009873554805, input_scale=1.0
    )  # fmt: skip


@_published
def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    """input limited to [min_val, max_val]; its gradient at the limits is zero.

    Any shape, floating or integer. ValueError if ``min_val`` is above ``max_val``, RuntimeError for
    uint8 with a negative limit.

    >>> import framework as torch
    >>> torch.nn.functional.hardtanh(torch.tensor([-3.0, 0.5, 3.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if min_val < 0 and input.dtype is dtypes.uint8:
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    if not input.is_complex():
        for bound in (min_val, max_val):
            dtypes.converted(bound, input.dtype)  # refuses what the type does not hold
    if inplace:
        return twins["hardtanh"](input, min_val, max_val)
    return apply(HARDTANH, input, min_val=min_val, max_val=max_val)


@_published
def hardswish(input: Any, inplace: bool = False) -> Any:
    """input * relu6(input + 3) / 6, a piecewise `silu` (Howard et al. 2019).

    Any shape, floating point; NotImplementedError for integers.

    >>> import framework as torch
    >>> torch.nn.functional.hardswish(torch.tensor([-4.0, 0.0, 1.5, 4.0]))
    tensor([-0.0000, 0.0000, 1.1250, 4.0000])
    """
    return twins["hardswish"](input) if inplace else apply(HARDSWISH, input)


@_published
def hardsigmoid(input: Any, inplace: bool = False) -> Any:
    """relu6(input + 3) / 6, a piecewise `sigmoid`: 0 below -3, 1 above 3.

    Any shape, floating point; NotImplementedError for integers.

    >>> import framework as torch
    >>> torch.nn.functional.hardsigmoid(torch.tensor([-4.0, 0.0, 1.5]))
    tensor([0.0000, 0.5000, 0.7500])
    """
    return twins["hardsigmoid"](input) if inplace else apply(HARDSIGMOID, input)


@_published
def silu(input: Any, inplace: bool = False) -> Any:
    """input * sigmoid(input), also called swish (Elfwing et al. 2017, Ramachandran et al. 2017).

    Any shape, floating point or complex; NotImplementedError for integers.

    >>> import framework as torch
    >>> torch.nn.functional.silu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2689,  0.0000,  0.7311])
    """
    return twins["silu"](input) if inplace else apply(SILU, input)


@_published
def mish(input: Any, inplace: bool = False) -> Any:
    """input * tanh(softplus(input)) (Misra 2019); smooth, and not monotonic below zero.

    Any shape, floating point; NotImplementedError for integers.

    >>> import framework as torch
    >>> torch.nn.functional.mish(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3034,  0.0000,  0.8651])
    """
    return twins["mish"](input) if inplace else apply(MISH, input)


@_published
def threshold(input: Any, threshold: float, value: float, inplace: bool = False) -> Any:
    """input where it is larger than ``threshold``, else ``value``; NaN stays NaN.

    Any shape, floating or integer; NotImplementedError for complex numbers.

    >>> import framework as torch
    >>> torch.nn.functional.threshold(torch.tensor([1.0, 3.0]), 2.0, -1.0)
    tensor([-1.,  3.])
    """
    if not input.is_complex():
        dtypes.converted(value, input.dtype)  # refuses what the type does not hold
    if inplace:
        return twins["threshold"](input, threshold, value)
    return apply(THRESHOLD, input, threshold=threshold, value=value)


@_published
@composite
def rrelu(
    input: Any, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False,
    inplace: bool = False,
) -> Any:  # fmt: skip
    """`leaky_relu` with a slope drawn from [lower, upper) per element (Xu et al. 2015).

    Outside of ``training`` the slope is the mean of the two, as there is nothing to regularise.
    Raises: RuntimeError if ``lower`` is above ``upper``, NotImplementedError for integers.

    >>> import framework as torch
    >>> torch.rrelu(torch.tensor([-8.0, 8.0]), lower=0.25, upper=0.5)
    tensor([-3.,  8.])
    """
    if lower > upper:
        raise RuntimeError(
            f"Lower bound should be less than or equal to the upper bound, but got lower={lower} "
            f"and upper={upper}"
        )
    if inplace:
        return twins["rrelu"](input, lower, upper, training)
    if not training:
        return apply(LEAKY_RELU, input, negative_slope=(lower + upper) / 2)
    real_floating(input._data, "rrelu")
    return apply(PRELU, input, uniform_like(input) * (upper - lower) + lower)


def uniform_like(like: Any) -> Any:
    """Uniform numbers in [0, 1) of a tensor's shape, type and device."""
    return rand(like.shape, dtype=like.dtype, device=like.device)


@function(namespaces=("", *_F), out=True)
def hardshrink(input: Any, lambd: float = 0.5) -> Any:
    """input, or zero where it is in [-lambd, lambd].

    Any shape, floating point; NotImplementedError for integers.

    >>> import framework as torch
    >>> torch.hardshrink(torch.tensor([-1.0, 0.3, 0.7]))
    tensor([-1.0000,  0.0000,  0.7000])
    """
    return apply(HARDSHRINK, input, lambd=lambd)


@function(namespaces=_F, method=False, out=True)
def softshrink(input: Any, lambd: float = 0.5) -> Any:
    """input moved towards zero by ``lambd``, and zero where it is in [-lambd, lambd].

    Any shape, floating point. Raises: RuntimeError for a negative ``lambd``, NotImplementedError
    for integers.

    >>> import framework as torch
    >>> torch.nn.functional.softshrink(torch.tensor([-1.0, 0.3, 0.7]))
    tensor([-0.5000,  0.0000,  0.2000])
    """
    if lambd < 0:
        raise RuntimeError(
            f"lambda must be in range [0, {dtypes.finfo(input.dtype).max:g}] for input dtype "
            f"{type_name(input._data)}, but found {lambd:g}"
        )  # fmt: skip
    return apply(SOFTSHRINK, input, lambd=lambd)


@function(namespaces=_F, method=False, out=True)
def gelu(input: Any, *, approximate: str = "none") -> Any:
    """input * Φ(input), Φ the normal distribution function (Hendrycks and Gimpel 2016).

    Any shape, floating point. Raises: RuntimeError for another ``approximate``,
    NotImplementedError for integers.

    Args:
        approximate: "none" is exact; "tanh" is
            0.5 x (1 + tanh(sqrt(2/π) (x + 0.044715 x³))).

    >>> import framework as torch
    >>> torch.nn.functional.gelu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.0000,  0.8413])
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    return apply(GELU, input, approximate=approximate)


@function(namespaces=_F, method=False, out=True)
def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """log(1 + exp(beta * input)) / beta; input itself where beta * input > threshold.

    Any shape, floating point; NotImplementedError for integers.

    >>> import framework as torch
    >>> torch.nn.functional.softplus(torch.tensor([-1.0, 0.0, 30.0]))
    tensor([ 0.3133,  0.6931, 30.0000])
    """
    return apply(SOFTPLUS, input, beta=beta, threshold=threshold)


@function(namespaces=_F, method=False, out=True)
def logsigmoid(input: Any) -> Any:
    """log(sigmoid(input)), without underflow.

    Any shape, floating point; NotImplementedError for integers.

    >>> import framework as torch
    >>> torch.nn.functional.logsigmoid(torch.tensor([-200.0, 0.0]))
    tensor([-200.0000,   -0.6931])
    """
    return apply(LOGSIGMOID, input)


@function(namespaces=_F, method=False)
@composite
def softsign(input: Any) -> Any:
    """input / (1 + |input|): like tanh, but it nears ±1 more slowly (Bergstra et al. 2009).

    Any shape and type; integers give floating point.

    >>> import framework as torch
    >>> torch.nn.functional.softsign(torch.tensor([-1.0, 0.0, 3.0]))
    tensor([-0.5000,  0.0000,  0.7500])
    >>> torch.nn.functional.softsign(torch.tensor([3]))
    tensor([0.7500])
    """
    return input / (input.abs() + 1)


@function(namespaces=_F, method=False)
@composite
def tanhshrink(input: Any) -> Any:
    """input - tanh(input): near zero about input³ / 3. Any shape and type.

    >>> import framework as torch
    >>> torch.nn.functional.tanhshrink(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2384,  0.0000,  0.2384])
    """
    return input - input.tanh()


@function(namespaces=_F, method=False)
@composite
def glu(input: Any, dim: int = -1) -> Any:
    """a * sigmoid(b) of the halves a and b of ``input`` along ``dim`` (Dauphin et al. 2016).

    The result has half the input's size there. Raises: RuntimeError for an odd size or a scalar,
    IndexError for a dimension out of range, NotImplementedError for integers.

    >>> import framework as torch
    >>> torch.nn.functional.glu(torch.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """
    if input.ndim == 0:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    dim = axis(dim, input.ndim)
    if input.shape[dim] % 2:
        raise RuntimeError(
            f"Halving dimension must be even, but dimension {dim} is size {input.shape[dim]}"
        )
    real_floating(input._data, "glu")
    if not looked_at() and input._device is CPU and compiled.is_plain_or_wide(input._data):
        return apply(GLU, input, dim=dim)
    return _gated(input, dim)


def _gated(input: Any, dim: int) -> Any:
    """In differentiable ops."""
    half = input.shape[dim] // 2
    return input.narrow(dim, 0, half) * sigmoid(input.narrow(dim, half, half))


def _glu_kernel(a: Any, *, dim: int) -> Any:
    half = a.shape[dim] // 2
    many, length = math.prod(a.shape[:dim]), half * math.prod(a.shape[dim + 1 :])
    if compiled.is_plain_or_wide(a) and (kernels := compiled.family("glu")):
        return kernels.glu(a, (*a.shape[:dim], half, *a.shape[dim + 1 :]), many, length)
    left, right = np.split(a, 2, dim)
    return in_rows(left * quick.logistic(right))


def _glu_backward_kernel(g: Any, a: Any, *, dim: int) -> Any:
    many, length = math.prod(a.shape[:dim]), math.prod(a.shape[dim:]) // 2
    a, g = np.ascontiguousarray(a), np.ascontiguousarray(g)
    return compiled.family("glu").glu_backward(g, a, many, length)


GLU_BACKWARD = op("glu_backward", _glu_backward_kernel, "grad a")


def _glu_grad(g: Any, a: Any, dim: int) -> Any:
    if not modes.grad and compiled.is_plain_or_wide(a._data) and compiled.family("glu"):
        return apply(GLU_BACKWARD, g, a, dim=dim)
    half = a.shape[dim] // 2
    left, s = a.narrow(dim, 0, half), sigmoid(a.narrow(dim, half, half))
    return cat([g * s, g * left * s * (1 - s)], dim)


GLU = op("glu", _glu_kernel, "a", grad=(_glu_grad,), samples=lambda s: [((s(2, 4),), {"dim": 1})])
