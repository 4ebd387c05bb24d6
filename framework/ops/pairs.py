"""Elementwise functions of two arguments, and of how a float is made: sign, mantissa, exponent.

``fmax`` and ``fmin``, ``gcd`` and ``lcm``, ``copysign`` and ``nextafter``, ``heaviside``,
``logaddexp2``, ``frexp`` and ``ldexp``, ``float_power``, and angles in degrees.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework.core.dispatch import apply, composite, only_tensors
from framework.core.registry import function, op
from framework.core.views import inplace_twin
from framework.dtypes import COMPLEX, complex128, float64, scalar_dtype
from framework.kernels import quick
from framework.kernels.floats import real_floating, type_name, widening
from framework.ops.dims import constant, named
from framework.ops.pointwise import pow
from framework.ops.select import where
from framework.ops.special import refused
from framework.ops.unary import exp2, isnan
from framework.tensor import Tensor

__all__ = [
    "copysign", "deg2rad", "float_power", "fmax", "fmin", "frexp", "gcd", "heaviside",
    "isneginf", "isposinf", "lcm", "ldexp", "logaddexp2", "nextafter", "rad2deg", "signbit",
]  # fmt: skip


# -- larger and smaller ----------------------------------------------------------------------


def _fmax_or_fmin(name: str, ufunc: Any, first_wins: Any) -> Any:
    def kernel(a: Any, b: Any) -> Any:
        if a.dtype.kind == "c":
            raise ValueError(f"{name} not implemented for complex tensors.")
        return ufunc(a, b)

    return op(
        name, kernel, "ab", rule="tensors",
        grad=(
            lambda g, a, b: where(first_wins(a, b) | isnan(b), g, 0.0),
            lambda g, a, b: where(first_wins(a, b) | isnan(b), 0.0, g),
        ),
        samples=lambda s: [((s(3, 2), s(2)), {})],
    )  # fmt: skip


FMAX = _fmax_or_fmin("fmax", np.fmax, lambda a, b: a >= b)
FMIN = _fmax_or_fmin("fmin", np.fmin, lambda a, b: a <= b)


@function(out=True)
def fmax(input: Tensor, other: Tensor) -> Tensor:
    """The larger of two elements, and of a NaN and a number the number.

    Two tensors; shapes broadcast, types promote. Of equal elements the first gets the gradient.
    RuntimeError for complex numbers.

    >>> import framework as torch
    >>> torch.fmax(torch.tensor([1.0, float("nan")]), torch.tensor([2.0, 3.0]))
    tensor([2., 3.])
    """
    return apply(FMAX, input, other)


@function(out=True)
def fmin(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of two elements, and of a NaN and a number the number.

    Two tensors; shapes broadcast, types promote. Of equal elements the first gets the gradient.
    RuntimeError for complex numbers.

    >>> import framework as torch
    >>> torch.fmin(torch.tensor([1.0, float("nan")]), torch.tensor([2.0, 3.0]))
    tensor([1., 3.])
    """
    return apply(FMIN, input, other)


LOGADDEXP2 = op(
    "logaddexp2",
    widening(lambda a, b: np.logaddexp2(real_floating(a, "logaddexp2_cpu"), b)),
    "ab", rule="tensors",
    grad=(lambda g, a, b: g / (1 + exp2(b - a)), lambda g, a, b: g / (1 + exp2(a - b))),
    samples=lambda s: [((s(3), s(2, 1)), {})],
)  # fmt: skip


@function(out=True)
def logaddexp2(input: Tensor, other: Tensor) -> Tensor:
    """log2(2**input + 2**other), without overflow.

    Two tensors of real floating types, NotImplementedError for others.

    >>> import framework as torch
    >>> torch.logaddexp2(torch.tensor([0.0, 500.0]), torch.tensor([0.0, 500.0]))
    tensor([  1., 501.])
    """
    return apply(LOGADDEXP2, input, other)


def _heaviside_kernel(a: Any, values: Any) -> Any:
    return quick.pick(a == 0, values, (a > 0).astype(a.dtype))


_NO_STEP = refused("derivative for aten::heaviside is not implemented")
HEAVISIDE = op(
    "heaviside", _heaviside_kernel, "a values", rule="promote", grad=(_NO_STEP, _NO_STEP),
    samples=lambda s: [((s(3, 2).detach(), s(2).detach()), {})],
)  # fmt: skip


@function(inplace=True, checks=True, out=True)
def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """The unit step: 0 below zero, 1 above, and ``values`` at zero; shapes broadcast.

    It has no gradient. RuntimeError for ``values`` of another type, and for complex numbers.

    >>> import framework as torch
    >>> torch.heaviside(torch.tensor([-1.5, 0.0, 2.0]), torch.tensor(0.5))
    tensor([0.0000, 0.5000, 1.0000])
    """
    only_tensors("heaviside", input=input, values=values)
    if COMPLEX in (input.dtype.category, values.dtype.category):
        raise RuntimeError("heaviside is not yet implemented for complex tensors.")
    if input.dtype is not values.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")
    return apply(HEAVISIDE, input, values)


# -- integers --------------------------------------------------------------------------------


def _divisors(name: str, ufunc: Any) -> Any:
    def kernel(a: Any, b: Any) -> Any:
        if a.dtype.kind not in "iu":
            raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{type_name(a)}'")
        return ufunc(a, b)

    return op(
        name, kernel, "ab", rule="tensors", samples=lambda s: [((s.whole(3), s.whole(3)), {})]
    )


GCD, LCM = _divisors("gcd", np.gcd), _divisors("lcm", np.lcm)


@function(inplace=True, out=True)
def gcd(input: Tensor, other: Tensor) -> Tensor:
    """The greatest common divisor of two integers; gcd(0, 0) is 0.

    Two tensors; shapes broadcast, types promote. NotImplementedError for other types than integers.

    >>> import framework as torch
    >>> torch.gcd(torch.tensor([5, 10, 15]), torch.tensor(10))
    tensor([ 5, 10,  5])
    """
    return apply(GCD, input, other)


@function(inplace=True, out=True)
def lcm(input: Tensor, other: Tensor) -> Tensor:
    """The least common multiple of two integers; lcm(0, 0) is 0.

    Two tensors; shapes broadcast, types promote. NotImplementedError for other types than integers.

    >>> import framework as torch
    >>> torch.lcm(torch.tensor([5, 10, 15]), torch.tensor(10))
    tensor([10, 10, 30])
    """
    return apply(LCM, input, other)


# -- signs -----------------------------------------------------------------------------------


def _copysign_grad(g: Any, a: Any, y: Any) -> Any:
    """Plus or minus one; 0 at zero."""
    at_zero = a == 0
    return g * where(at_zero, 0.0, y / where(at_zero, 1.0, a))


COPYSIGN = op(
    "copysign", widening(lambda a, b: np.copysign(real_floating(a, "copysign_cpu"), b)),
    "ab", rule="float", grad=(_copysign_grad, lambda g: g * 0.0),
    samples=lambda s: [((s.away(3, 2), s.away(2)), {}), ((s.away(2), -1.5), {})],
)  # fmt: skip


@function(inplace=True, out=True)
def copysign(input: Tensor, other: Any) -> Tensor:
    """The size of ``input`` with the sign of ``other``, which may be a number or minus zero.

    Integers give the default float type. NotImplementedError for complex numbers.

    >>> import framework as torch
    >>> torch.copysign(torch.tensor([1.0, -2.0]), torch.tensor([-0.0, 3.0]))
    tensor([-1.,  2.])
    """
    only_tensors("copysign", input=input)
    return apply(COPYSIGN, input, other)


def _signbit_kernel(a: Any) -> Any:
    if a.dtype.kind == "c":
        raise NotImplementedError("signbit is not implemented for complex tensors.")
    return np.signbit(a) if a.dtype.kind in "fV" else a < 0


SIGNBIT = op("signbit", _signbit_kernel, "a", samples=lambda s: [((s(3, 2),), {})])


@function(out=True)
def signbit(input: Tensor) -> Tensor:
    """Whether each element has its sign bit set: negative numbers and minus zero.

    NotImplementedError for complex numbers.

    >>> import framework as torch
    >>> torch.signbit(torch.tensor([0.5, -1.0, -0.0]))
    tensor([False,  True,  True])
    """
    return apply(SIGNBIT, input)


def _infinite(name: str, value: float) -> Any:
    def kernel(a: Any) -> Any:
        if a.dtype.kind == "c":
            raise ValueError(f"{name} does not support complex inputs.")
        return a == value if a.dtype.kind in "fV" else np.zeros_like(a, bool)

    return op(name, kernel, "a", samples=lambda s: [((s(3, 2),), {})])


ISPOSINF, ISNEGINF = _infinite("isposinf", math.inf), _infinite("isneginf", -math.inf)


@function(out=True)
def isposinf(input: Tensor) -> Tensor:
    """Whether each element is +inf; RuntimeError for complex numbers.

    >>> import framework as torch
    >>> torch.isposinf(torch.tensor([float("inf"), -float("inf"), 1.0]))
    tensor([ True, False, False])
    """
    return apply(ISPOSINF, input)


@function(out=True)
def isneginf(input: Tensor) -> Tensor:
    """Whether each element is -inf; RuntimeError for complex numbers.

    >>> import framework as torch
    >>> torch.isneginf(torch.tensor([float("inf"), -float("inf"), 1.0]))
    tensor([False,  True, False])
    """
    return apply(ISNEGINF, input)


# -- mantissa and exponent -------------------------------------------------------------------


def _frexp_kernel(a: Any) -> Any:
    if a.dtype.kind not in "fV":
        raise ValueError("torch.frexp() only supports floating-point dtypes")
    mantissa, exponent = np.frexp(a)
    return mantissa, exponent.astype(np.int32, copy=False)


FREXP = op(
    "frexp", widening(_frexp_kernel), "a",
    grad=(lambda g, y1: g[0] * exp2(-constant(y1).to(g[0].dtype)),),
    samples=lambda s: [((s.away(3, 2) * 5,), {})],
)  # fmt: skip


@function(out=True)
def frexp(input: Tensor) -> Any:
    """(mantissa, exponent) with input = mantissa * 2**exponent and 0.5 <= |mantissa| < 1.

    The mantissa has the type of ``input``, the exponent int32. RuntimeError unless that is a real
    floating type.

    Both have the shape of ``input``.

    >>> import framework as torch
    >>> torch.frexp(torch.tensor([3.0, -0.25])).exponent
    tensor([ 2, -1], dtype=torch.int32)
    """
    return named("frexp", "mantissa", "exponent")(apply(FREXP, input))


@function(inplace=True, out=True)
@composite
def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """input * 2**other, of two tensors; integers give the default float type.

    >>> import framework as torch
    >>> torch.ldexp(torch.tensor([0.75, -0.5]), torch.tensor([2, -1]))
    tensor([ 3.0000, -0.2500])
    """
    only_tensors("ldexp", input=input, other=other)
    return input * pow(2.0, other)


def _nextafter_kernel(a: Any, b: Any) -> Any:
    return np.nextafter(real_floating(a, "nextafter_cpu"), b)


NEXTAFTER = op(
    "nextafter", _nextafter_kernel, "ab", rule="tensors",
    # PyTorch takes it for input itself where it moves, and for a constant where it does not.
    grad=(lambda g, a, b: where(a == b, 0.0, g), lambda g: g * 0.0),
    samples=lambda s: [((s(3, 2), s(2).detach()), {})],
)  # fmt: skip


@function(inplace=True, out=True)
def nextafter(input: Tensor, other: Tensor) -> Tensor:
    """The number of the type that comes next after ``input`` on the way to ``other``.

    Two tensors of real floating types, NotImplementedError for others.

    >>> import framework as torch
    >>> torch.nextafter(torch.tensor(1.0), torch.tensor(2.0)) - 1 == torch.finfo().eps
    tensor(True)
    """
    return apply(NEXTAFTER, input, other)


# -- powers in double precision --------------------------------------------------------------


def _double(*operands: Any) -> Any:
    """float64, or complex128 if one of them is complex."""
    kinds = [x.dtype if isinstance(x, Tensor) else scalar_dtype(x) for x in operands]
    return complex128 if any(k.category == COMPLEX for k in kinds) else float64


@function(out=True)
@composite
def float_power(input: Any, exponent: Any) -> Tensor:
    """``input ** exponent`` in float64, or complex128; either may be a number.

    >>> import framework as torch
    >>> torch.float_power(torch.tensor([4, 9]), -0.5)
    tensor([0.5000, 0.3333], dtype=torch.float64)
    """
    kind = _double(input, exponent)
    both = [x.to(kind) if isinstance(x, Tensor) else x for x in (input, exponent)]
    return pow(*both)


_float_power_twin = inplace_twin(float_power, "float_power_")


@function(namespaces=(), method="float_power_")
def float_power_(self: Tensor, exponent: Any) -> Tensor:
    """In-place version of `float_power`, for tensors that are double precision already.

    RuntimeError for others.
    """
    kind = _double(self, exponent)
    if self.dtype is not kind:
        names = {float64: "Double", complex128: "ComplexDouble"}
        raise RuntimeError(
            f"the base given to float_power_ has dtype {type_name(self._data)} but the "
            f"operation's result requires dtype {names[kind]}"
        )
    return _float_power_twin(self, exponent)


# -- angles ----------------------------------------------------------------------------------


def _angle(name: str, factor: float) -> Any:
    def kernel(a: Any) -> Any:
        if a.dtype.kind == "c":
            raise ValueError(f"{name} is not supported for complex tensors.")
        return a * factor

    return op(
        name, widening(kernel), "a", rule="float", grad=(lambda g: g * factor,),
        samples=lambda s: [((s(3, 2),), {})],
    )  # fmt: skip


DEG2RAD, RAD2DEG = _angle("deg2rad", math.pi / 180), _angle("rad2deg", 180 / math.pi)


@function(inplace=True, out=True)
def deg2rad(input: Tensor) -> Tensor:
    """Degrees as radians: ``input * π / 180``.

    Integers give the default float type. RuntimeError for complex numbers.

    >>> import framework as torch
    >>> torch.deg2rad(torch.tensor([180.0, -90.0]))
    tensor([ 3.1416, -1.5708])
    """
    return apply(DEG2RAD, input)


@function(inplace=True, out=True)
def rad2deg(input: Tensor) -> Tensor:
    """Radians as degrees: ``input * 180 / π``.

    Integers give the default float type. RuntimeError for complex numbers.

    >>> import framework as torch
    >>> torch.rad2deg(torch.tensor([1.0]))
    tensor([57.2958])
    """
    return apply(RAD2DEG, input)
