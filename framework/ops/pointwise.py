"""Elementwise arithmetic: sums, products, quotients, powers, and mixtures of three tensors."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.dispatch import RULES, apply, only_tensors
from framework.core.modes import modes
from framework.core.registry import function, op
from framework.dtypes import COMPLEX, FLOAT, converted
from framework.kernels import compiled, module_of
from framework.kernels.floats import floating, real_floating, type_name, wide, widening
from framework.kernels.quick import pick
from framework.kernels.writes import in_range
from framework.ops.compare import publish_binary
from framework.ops.legacy_forms import number_second
from framework.ops.select import where
from framework.ops.unary import log, one_over, zeros_like
from framework.tensor import Tensor

__all__ = ["add", "addcdiv", "addcmul", "div", "lerp", "logaddexp", "mul", "pow", "sub"]

Kernel = Callable[..., Any]

# -- sums and products -----------------------------------------------------------------------


def _no_bools(arrays: list[Any], args: tuple[Any, ...]) -> list[Any]:
    """Promotion of what can be subtracted."""
    for x in arrays:
        kind = x.__class__
        if kind is bool or (kind not in _NUMBERS and x.dtype.kind == "b"):
            raise RuntimeError(_SUBTRACTED_BOOLS[all(map(_is_bool, arrays))])
    return _promote(arrays, args)


def _is_bool(x: Any) -> bool:
    return x.__class__ is bool or getattr(x, "dtype", None) == np.bool_


_NUMBERS = frozenset({int, float, complex})
_SUBTRACTED_BOOLS = (
    "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to "
    "invert a mask, use the `~` or `logical_not()` operator instead.",
    "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or "
    "`logical_xor()` operator instead.",
)
_promote = RULES["promote"]
RULES["difference"] = _no_bools

ADD = op(
    "add", np.add, "ab", rule="promote", grad=(lambda g: g, lambda g: g),
    samples=lambda s: [((s(3, 2), s(2)), {}), ((s(2), 1.5), {}), ((s(), s(2, 1)), {})],
)  # fmt: skip
SUB = op(
    "sub", np.subtract, "ab", rule="difference", grad=(lambda g: g, lambda g: -g),
    samples=lambda s: [((s(3, 2), s(3, 1)), {}), ((1.5, s(2)), {})],
)  # fmt: skip


def _product_sum(a: Any, b: Any, *, dims: tuple[int, ...]) -> Any:
    if kernels := _summing(a, b):
        middle = math.prod(a.shape[: dims[0]]) if dims[0] else math.prod(a.shape[: dims[-1] + 1])
        down, lines = not dims[0], [x.reshape(middle, -1) for x in (a, b)]
        found = (kernels.products_down if down else kernels.products)(*lines)
        return found.reshape([1 if d in dims else n for d, n in enumerate(a.shape)])
    return (a * b).sum(axis=dims, keepdims=True)


PRODUCT_SUM = op(  # of two tensors of one shape, over the first dimensions or over the last
    "product_sum", _product_sum, "ab", grad=(lambda g, b: g * b, lambda g, a: g * a),
    samples=lambda s: [((s(3, 2), s(3, 2)), {"dims": (0,)}), ((s(3, 2), s(3, 2)), {"dims": (1,)})],
)  # fmt: skip


def _summing(a: Any, b: Any) -> Any:
    """The kernels that add products up, if they can take these arrays, or None."""
    if a.shape != b.shape or a.dtype is not b.dtype:
        return None
    if not compiled.is_plain_or_wide(a) or not compiled.is_plain_or_wide(b):
        return None
    return compiled.family("sums")


def _times(g: Any, other: Any, shape: tuple[int, ...]) -> Any:
    """``g * other``, the gradient of a factor of this shape: added up at once if that was spread.

    The engine would add up the product, which is another array of its size.
    """
    data, whole = g._data, getattr(other, "_data", None)
    dims = _spread_dims(shape, data.shape) if shape != data.shape and not modes.grad else ()
    if not dims or whole is None or hasattr(g, "_level") or hasattr(other, "_level"):
        return g * other
    if g._device is not other._device or not _summing(data, whole):
        return g * other
    return apply(PRODUCT_SUM, g, other, dims=dims).reshape(shape)


def _spread_dims(shape: tuple[int, ...], full: tuple[int, ...]) -> tuple[int, ...]:
    """The dimensions over which ``shape`` was spread, if they are the first or the last ones."""
    have = (1,) * (len(full) - len(shape)) + shape
    dims = tuple([d for d, (n, m) in enumerate(zip(have, full)) if n != m])
    if not dims or len(dims) == len(full) or dims[-1] - dims[0] + 1 != len(dims):
        return ()
    return dims if not dims[0] or dims[-1] == len(full) - 1 else ()


_FEW = compiled.LARGE

MUL = op(
    "mul", np.multiply, "ab", rule="promote",
    grad=(
        lambda g, n, b: g * b if g._data.size < _FEW else _times(g, b, n.shape(0)),
        lambda g, n, a: g * a if g._data.size < _FEW else _times(g, a, n.shape(1)),
    ),
    samples=lambda s: [((s(3, 2), s(2)), {}), ((s(2), 2.5), {})],
)  # fmt: skip


def _scaled(input: Any, other: Any, alpha: Any) -> Any:
    """``alpha * other`` in the type that the sum with ``input`` will have."""
    common = dtypes.result_type(input, other)
    if isinstance(alpha, bool) and common is not dtypes.bool_:
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, float) and common.category < FLOAT:
        raise RuntimeError(
            "For integral input tensors, argument alpha must not be a floating point number."
        )
    if isinstance(alpha, complex) and common.category < COMPLEX:
        raise RuntimeError(
            "For non-complex input tensors, argument alpha must not be a complex number."
        )
    if common is dtypes.bool_:
        alpha = bool(alpha)
    return mul(other.to(common), alpha) if isinstance(other, Tensor) else other * alpha


@function(inplace=True, out=True)
def add(input: Any, other: Any, *more: Any, alpha: Any = 1) -> Tensor:
    """The sum ``input + alpha * other``; either may be a number.

    Shapes broadcast, types promote.

    Raises:
        RuntimeError: shapes that do not broadcast, or an ``alpha`` that the result's type cannot
            hold (a float with integers).

    >>> import framework as torch
    >>> torch.add(torch.ones(2), torch.ones(2), alpha=10)
    tensor([11., 11.])
    """
    if more:
        input, other, alpha = number_second("add", (input, other, *more), 2, "alpha")
    return apply(ADD, input, other if alpha == 1 else _scaled(input, other, alpha))


@function(inplace=True, out=True)
def sub(input: Any, other: Any, *more: Any, alpha: Any = 1) -> Tensor:
    """The difference ``input - alpha * other``; either may be a number.

    Shapes broadcast, types promote.

    Raises:
        RuntimeError: a tensor of bools, or an ``alpha`` that the result's type cannot hold.

    >>> import framework as torch
    >>> torch.sub(torch.tensor([5, 7]), torch.tensor([1, 2]), alpha=2)
    tensor([3, 3])
    """
    if more:
        input, other, alpha = number_second("sub", (input, other, *more), 2, "alpha")
    return apply(SUB, input, other if alpha == 1 else _scaled(input, other, alpha))


@function(inplace=True, out=True)
def subtract(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """Alias of `sub`: ``input - alpha * other``."""
    return sub(input, other, alpha=alpha)


@function()
def rsub(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """The difference the other way round: ``other - alpha * input``.

    As `sub`, but ``input`` must be a tensor (TypeError).

    >>> import framework as torch
    >>> torch.rsub(torch.tensor([1, 2]), 10)
    tensor([9, 8])
    """
    only_tensors("rsub", input=input)
    return apply(SUB, other, input if alpha == 1 else _scaled(other, input, alpha))


_PROMOTES = "Shapes broadcast, types promote; either may be a number."
mul = publish_binary(MUL, "mul", "The product ``input * other``.",
                     "[1, 2, 3]; [0.5, 2.0, -1.0] -> [ 0.5000,  4.0000, -3.0000]",
                     _PROMOTES)  # fmt: skip
publish_binary(MUL, "multiply", "Alias of `mul`: ``input * other``.")

# -- quotients -------------------------------------------------------------------------------


_WHOLE = np.dtype(np.int32).char + np.dtype(np.int64).char


def _division(kernel: Kernel, name: str, fast: str = "") -> Kernel:
    """A division with a whole quotient: integers by zero and bools are refused.

    Args:
        fast: the name of a compiled kernel that does the same.
    """

    def divided(a: Any, b: Any) -> Any:
        like = a if hasattr(a, "dtype") else b
        kind = like.dtype.kind
        if kind in "bc":
            raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{type_name(like)}'")
        if kind in "iu" and not module_of(b).all(b) and getattr(a, "size", 1) > 0:
            raise ValueError("ZeroDivisionError")
        if fast and kind == "f" and (kernels := _elementwise(a, b)):
            return getattr(kernels, fast)(a, b)
        if kind == "i" and (kernels := _whole(a, b, name)):
            return getattr(kernels, name)(a, b)
        return kernel(a, b)

    return divided


def _elementwise(a: Any, b: Any) -> Any:
    """Compiled kernels of an array and another of its shape or a number, or None."""
    if a.__class__ is not np.ndarray or not compiled.is_plain_or_wide(a):
        return None
    if not getattr(b, "shape", ()) or (
        b.shape == a.shape and b.dtype is a.dtype and compiled.is_plain_or_wide(b)
    ):
        return compiled.family("arithmetic")
    return None


def _whole(a: Any, b: Any, name: str) -> Any:
    """The same of int32 and int64; NumPy is quicker where it rounds down a quotient by a number."""
    if name == "div_floor" and not getattr(b, "shape", ()):
        return None
    if a.__class__ is not np.ndarray or a.size < compiled.LARGE or a.dtype.char not in _WHOLE:
        return None
    if not a.flags.c_contiguous:
        return None
    if getattr(b, "shape", ()) and (
        b.shape != a.shape or b.dtype is not a.dtype or not b.flags.c_contiguous
    ):
        return None
    return compiled.family("wholes")


def _remainder_kernel(a: Any, b: Any) -> Any:
    """NumPy's, but with a zero's sign that of what was divided, as in PyTorch."""
    if a.__class__ is np.ndarray and a.size >= compiled.LARGE and a.dtype.kind in "iu":
        return _whole_remainder(a, b)
    left = np.remainder(a, b)
    if left.dtype.kind in "iu":
        return left
    return pick(left == 0, np.copysign(left, a), left)


def _whole_remainder(a: Any, b: Any) -> Any:
    """Of many integers, by NumPy's vectorised division by a number or by C's quick remainder."""
    if not hasattr(b, "dtype"):
        left = np.floor_divide(a, b)
        left *= b
        return np.subtract(a, left, out=left)
    left = np.fmod(a, b)
    if left.dtype.kind == "i":
        left += b * (((left ^ b) < 0) & (left != 0))
    return left


def _truncated(a: Any, b: Any) -> Any:
    like = a if hasattr(a, "dtype") else b
    if like.dtype.kind in "iu":
        return (a - np.fmod(a, b)) // b
    return np.trunc(np.true_divide(a, b))


def _refused(g: Any) -> Any:
    raise RuntimeError("derivative for aten::floor_divide is not implemented")


DIV = op(
    "div", np.true_divide, "ab", rule="float",
    grad=(lambda g, b: g / b, lambda g, a, b: -g * (a / (b * b))),
    samples=lambda s: [((s(3, 2), s.away(2)), {}), ((2.0, s.away(3)), {}), ((s(3), 2.5), {})],
)  # fmt: skip
FLOOR_DIVIDE = op(  # PyTorch differentiates `div` with a rounding mode, not this
    "floor_divide", _division(np.floor_divide, "div_floor", "floor_divide"), "ab", rule="promote",
    grad=(_refused, _refused),
    samples=lambda s: [((s.away(3).detach(), s.positive(3).detach()), {})],
)  # fmt: skip
DIV_FLOOR = op(
    "div_floor", FLOOR_DIVIDE.kernel, "ab", rule="promote",
    grad=(lambda g: zeros_like(g), lambda g: zeros_like(g)),
    samples=lambda s: [((s.away(3), s.positive(3)), {}), ((s.away(3), 0.7), {})],
)  # fmt: skip
DIV_TRUNC = op(
    "div_trunc", _division(_truncated, "div_trunc"), "ab", rule="promote",
    grad=(lambda g: zeros_like(g), lambda g: zeros_like(g)),
    samples=lambda s: [((s.away(3), s.positive(3)), {})],
)  # fmt: skip
REMAINDER = op(
    "remainder", _division(_remainder_kernel, "remainder", "remainder"), "ab", rule="promote",
    grad=(lambda g: g, lambda g, a, b: -g * apply(DIV_FLOOR, a, b)),
    samples=lambda s: [((s(3), s.away(3) * 3.1), {}), ((s(3), 0.7), {})],
)  # fmt: skip
FMOD = op(
    "fmod", _division(np.fmod, "fmod", "fmod"), "ab", rule="first",
    grad=(lambda g: g, lambda g, a, b: -g * apply(DIV_TRUNC, a, b)),
    samples=lambda s: [((s(3), s.away(3) * 3.1), {})],
)  # fmt: skip
_ROUNDED = {None: DIV, "floor": DIV_FLOOR, "trunc": DIV_TRUNC}


@function(inplace=True, out=True)
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """The quotient ``input / other``; either may be a number.

    Shapes broadcast, types promote; integers divide to the default float type.

    Args:
        rounding_mode: "floor" (down) or "trunc" (towards zero): then integers stay integers.

    Raises:
        RuntimeError: another rounding mode, or a rounded division of integers by zero.

    >>> import framework as torch
    >>> torch.div(torch.tensor([-7, 7]), 2, rounding_mode="trunc")
    tensor([-3,  3])
    """
    record = _ROUNDED.get(rounding_mode)
    if record is None:
        raise RuntimeError(
            "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found "
            f"'{rounding_mode}'"
        )
    return apply(record, input, other)


@function(inplace=True, out=True)
def divide(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """Alias of `div`."""
    return div(input, other, rounding_mode=rounding_mode)


_WHOLE = (
    "Shapes broadcast, types promote. RuntimeError for integers by zero, NotImplementedError for\n"
    "    bools and complex numbers."
)
publish_binary(DIV, "true_divide", "`div` without a rounding mode: ``input / other``.",
               "[1.0, 3.0]; 2 -> [0.5000, 1.5000]",
               "Shapes broadcast, types promote; integers and bools give the default float type.\n"
               "    RuntimeError for shapes that do not broadcast.")  # fmt: skip
publish_binary(
    FLOOR_DIVIDE, "floor_divide", "The quotient rounded down, of the promoted type.",
    "[7, -7]; 2 -> [ 3, -4]", f"{_WHOLE} It has no gradient (RuntimeError in\n"
    "    `backward`): that of ``div`` with a rounding mode is zero.",
)  # fmt: skip
publish_binary(REMAINDER, "remainder", "Python's modulo: what is left has the sign of ``other``.",
               "[7, -7]; 3 -> [1, 2]", _WHOLE)  # fmt: skip
publish_binary(FMOD, "fmod", "C's modulo: what is left has the sign of ``input``.",
               "[7, -7]; 3 -> [ 1, -1]", _WHOLE)  # fmt: skip

# -- powers ----------------------------------------------------------------------------------


def _pow_rule(arrays: list[Any], args: tuple[Any, ...]) -> list[Any]:
    """Promotion; no negative number as a power of integers (but a tensor of powers may be)."""
    power = args[1]
    if isinstance(power, int) and power < 0 and arrays[0].dtype.kind in "biu":
        raise ValueError("Integers to negative integer powers are not allowed.")
    if power.__class__ is bool and arrays[0].dtype.kind == "b":
        return arrays
    return _promote(arrays, args)


RULES["power"] = _pow_rule


def _pow_kernel(a: Any, b: Any) -> Any:
    if not hasattr(b, "dtype"):
        if b.__class__ is bool and a.dtype.kind == "b":
            return a if b else np.ones_like(a)
        if b == 2:
            return np.multiply(a, a)
        if b == 3 and a.dtype.kind == "f":  # `numpy.power` of a negative one: 60 ns
            cube = np.multiply(a, a)
            return np.multiply(cube, a, out=cube) if cube.ndim else cube * a
        if abs(b) == 0.5:  # of -inf NaN, as in PyTorch
            return np.sqrt(a) if b == 0.5 else one_over(np.sqrt(a))
        if b == -1:
            return one_over(a)
        return np.power(a, b)
    kind = b.dtype.kind
    if kind == "b":
        raise NotImplementedError("\"pow\" not implemented for 'Bool'")
    if kind == "i" and (b < 0).any():  # 1 / a**-b, rounded towards zero
        inverse = np.where(np.abs(a) == 1, np.where(b % 2 == 0, 1, a), 0).astype(b.dtype)
        return np.where(b < 0, inverse, np.power(a, np.maximum(b, 0)))
    return np.power(a, b)


def _pow_grad_base(g: Any, a: Any, b: Any) -> Any:
    if isinstance(b, (int, float, complex)):
        if b == 0:
            return zeros_like(g)
        return g * (a * 2 if b == 2 else b * pow(a, b - 1))
    return g * where(b == 0.0, zeros_like(g), b * pow(a, b - 1))


def _pow_grad_exponent(g: Any, a: Any, b: Any, y: Any) -> Any:
    """y log(a); nothing where a is zero and stays it."""
    if isinstance(a, Tensor):
        real = b.real if isinstance(b, Tensor) else b
        return g * where((a == 0.0) & (real >= 0), zeros_like(y), y * log(a))
    if a == 0:
        return g * where(b.real >= 0, 0.0, y * -math.inf)
    if isinstance(a, complex):
        return g * y * cmath.log(a)
    return g * y * (math.log(a) if a > 0 else math.nan)


POW = op(
    "pow", _pow_kernel, "ab", rule="power", grad=(_pow_grad_base, _pow_grad_exponent),
    samples=lambda s: [
        ((s(3), 2), {}), ((s.positive(3), s(2, 1)), {}), ((s.positive(2), -1.5), {}),
        ((2.0, s(3)), {}), ((s(3), 3), {}), ((s.positive(2), 0.5), {}),
    ],
)  # fmt: skip


@function(inplace=True, out=True)
def pow(input: Any, exponent: Any) -> Tensor:
    """The power ``input ** exponent``, elementwise; either may be a number.

    Shapes broadcast, types promote. Of negative real numbers only whole powers are no NaN.

    Raises:
        RuntimeError: integers to a negative integer number.
        NotImplementedError: bools to a power that is a tensor of bools.

    >>> import framework as torch
    >>> torch.pow(torch.tensor([1, 2, 3]), 2)
    tensor([1, 4, 9])
    """
    return apply(POW, input, exponent)


# -- points and logarithms -------------------------------------------------------------------


def _hypot_kernel(a: Any, b: Any) -> Any:
    real_floating(a, "hypot_cpu")
    if a.shape == b.shape and compiled.is_plain(a) and (kernels := _elementwise(a, b)):
        return kernels.hypot(a, b)
    return np.hypot(a, b)


def _logaddexp_kernel(a: Any, b: Any) -> Any:
    floating(a, "logaddexp_cpu")
    if a.shape == b.shape and compiled.is_plain(a) and (kernels := _elementwise(a, b)):
        return kernels.logaddexp(a, b)
    if a.dtype.kind != "c":
        return np.logaddexp(a, b)
    first = a.real >= b.real
    large, small = np.where(first, a, b), np.where(first, b, a)
    nan = np.isnan(a) | np.isnan(b)
    result = large + np.log1p(np.exp(small - large))
    same = (large.real == small.real) & ~np.isfinite(large.real)
    if same.any():  # of -inf the imaginary part does not matter
        both = np.log(np.exp(small) + np.exp(large))
        result = np.where(same, np.where(small.real < 0, small, both), result)
    return np.where(nan, a.dtype.type(complex(math.nan, math.nan)), result)


def _square_sum(a: Any, b: Any) -> Any:
    """a² + b², but 1 at the origin, where the angle gets no gradient."""
    total = a * a + b * b
    return total + (total == 0)


ATAN2 = op(
    "atan2", np.arctan2, "ab", rule="float_tensors",
    grad=(lambda g, a, b: g * b / _square_sum(a, b), lambda g, a, b: -g * a / _square_sum(a, b)),
    samples=lambda s: [((s.away(3), s.away(3)), {})],
)  # fmt: skip
HYPOT = op(
    "hypot", _hypot_kernel, "ab", rule="tensors",
    grad=(lambda g, a, y: g * a / y, lambda g, b, y: g * b / y),
    samples=lambda s: [((s.away(3), s.away(3)), {})],
)  # fmt: skip
LOGADDEXP = op(
    "logaddexp", _logaddexp_kernel, "ab", rule="tensors",
    # 1 / (1 + e^(b - a)); as a sigmoid its own derivative does not overflow for distant operands
    grad=(lambda g, a, b: g * (a - b).sigmoid(), lambda g, a, b: g * (b - a).sigmoid()),
    samples=lambda s: [((s(3), s(2, 1)), {})],
)  # fmt: skip

publish_binary(
    ATAN2, "atan2", "The angle of the point with x = ``other`` and y = ``input``, in (-π, π].",
    "[1.0, 1.0, -1.0]; [1.0, -1.0, -1.0] -> [ 0.7854,  2.3562, -2.3562]",
    "Two tensors; integers give the default float type. NotImplementedError for complex numbers.",
)  # fmt: skip
publish_binary(ATAN2, "arctan2", "Alias of `atan2`.")
publish_binary(
    HYPOT, "hypot", "The length of (input, other): sqrt(input² + other²), without overflow.",
    "[3.0, 5e30]; [4.0, 1.2e31] -> [5.0000e+00, 1.3000e+31]",
    "Two tensors of real floating types, NotImplementedError for others. Shapes broadcast.",
)  # fmt: skip
logaddexp = publish_binary(
    LOGADDEXP, "logaddexp", "log(exp(input) + exp(other)), without overflow.",
    "[1000.0, 0.0]; [1000.0, 1.0] -> [1000.6932,    1.3133]",
    "Two tensors of floating or complex types, NotImplementedError for others.", inplace=False,
)  # fmt: skip

# -- of three arguments ----------------------------------------------------------------------


def _lerp_kernel(a: Any, b: Any, weight: Any) -> Any:
    """From the nearer end, so that the result at weight 1 is exactly ``b``."""
    floating(a, "lerp_kernel_scalar")
    plain = compiled.is_plain(a) and compiled.is_plain(b) and a.shape == b.shape
    if plain and isinstance(weight, float) and (pointwise := compiled.family("pointwise")):
        return pointwise.lerp(a, b, weight)
    difference = b - a
    if hasattr(weight, "dtype"):
        near = np.abs(weight) < 0.5
        return np.where(near, a + weight * difference, b - difference * (1 - weight))
    return a + weight * difference if abs(weight) < 0.5 else b - difference * (1 - weight)


LERP = op(
    "lerp", widening(_lerp_kernel), "a b weight",
    grad=(
        lambda g, weight: g * (1 - weight), lambda g, weight: g * weight,
        lambda g, a, b: g * (b - a),
    ),
    samples=lambda s: [((s(3, 2), s(2), s(3, 1)), {}), ((s(3), s(3), 0.3), {}),
                       ((s(3), s(3), 0.8), {})],
)  # fmt: skip


@function(inplace=True, out=True)
def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """From ``input`` towards ``end``: ``input + weight * (end - input)``, shapes broadcast.

    At weight 1 it is exactly ``end``. The weight is a number or a tensor.

    Raises:
        RuntimeError: an ``end`` or ``weight`` of another type than ``input``.
        NotImplementedError: integers or bools.

    >>> import framework as torch
    >>> torch.lerp(torch.zeros(2), torch.tensor([1.0, 2.0]), 0.5)
    tensor([0.5000, 1.0000])
    """
    only_tensors("lerp", input=input, end=end)
    kind = input.dtype
    if isinstance(weight, Tensor):
        if not weight.ndim and weight.dtype is not kind:
            weight = weight.to(kind)
        others = {"end": end, "weight": weight}
    else:
        others = {"end": end}
        converted(weight, kind)
    for name, other in others.items():
        if other.dtype is not kind:
            raise RuntimeError(
                f"expected dtype {type_name(input._data).lower()} for `{name}` but got dtype "
                f"{type_name(other._data).lower()}"
            )
    return apply(LERP, input, end, weight)


def _fused(name: str, combine: Kernel) -> Kernel:
    """``a + value * combine(b, c)``, half precision in float32."""

    def quick(a: Any, b: Any, c: Any, value: Any) -> Any:
        """Compiled kernels of three arrays of one shape, or None."""
        if not (in_range(value) and a.shape == b.shape == c.shape and _elementwise(a, b)):
            return None
        same = a.dtype is c.dtype and compiled.is_plain_or_wide(c)
        return compiled.family("writes") if same else None

    def kernel(a: Any, b: Any, c: Any, value: Any) -> Any:
        if a.dtype.kind == "b":
            raise NotImplementedError(f"\"{name}_cpu_out\" not implemented for 'Bool'")
        if a.dtype.kind in "iu":
            value = a.dtype.type(value)
        elif kernels := quick(a, b, c, value):
            return kernels.written(name, a, (b, c), value)
        x, y, z = wide(a), wide(b), wide(c)
        return (x + combine(y if value == 1 else value * y, z)).astype(a.dtype, copy=False)

    return kernel


ADDCMUL = op(
    "addcmul", _fused("addcmul", np.multiply), "abc", rule="tensors",
    grad=(
        lambda g: g,
        lambda g, c, value: g * c * value,
        lambda g, b, value: g * b * value,
    ),
    samples=lambda s: [((s(3, 2), s(2), s(3, 1)), {"value": 1}),
                       ((s(3), s(3), s()), {"value": 2.5})],
)  # fmt: skip
ADDCDIV = op(
    "addcdiv", _fused("addcdiv", np.true_divide), "abc", rule="tensors",
    grad=(
        lambda g: g,
        lambda g, c, value: g * value / c,
        lambda g, b, c, value: -g * value * b / (c * c),
    ),
    samples=lambda s: [((s(3, 2), s(2), s.away(3, 1)), {"value": 1}),
                       ((s(3), s(3), s.away()), {"value": 2.5})],
)  # fmt: skip


@function(inplace=True, out=True)
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *more: Any, value: Any = 1) -> Tensor:
    """``input + value * tensor1 * tensor2``, elementwise; shapes broadcast, types promote.

    NotImplementedError for bools.

    >>> import framework as torch
    >>> torch.addcmul(torch.ones(2), torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]), value=0.5)
    tensor([2.5000, 5.0000])
    """
    if more:
        given = (input, tensor1, tensor2, *more)
        input, tensor1, tensor2, value = number_second("addcmul", given, 3, "value")
    return apply(ADDCMUL, input, tensor1, tensor2, value=_number(value))


@function(inplace=True, out=True)
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *more: Any, value: Any = 1) -> Tensor:
    """``input + value * tensor1 / tensor2``, elementwise; shapes broadcast, types promote.

    RuntimeError if both ``tensor1`` and ``tensor2`` are of integers or bools.

    >>> import framework as torch
    >>> torch.addcdiv(torch.ones(2), torch.tensor([1.0, 2.0]), torch.tensor([4.0, 4.0]), value=2)
    tensor([1.5000, 2.0000])
    """
    if more:
        given = (input, tensor1, tensor2, *more)
        input, tensor1, tensor2, value = number_second("addcdiv", given, 3, "value")
    only_tensors("addcdiv", input=input, tensor1=tensor1, tensor2=tensor2)
    if tensor1._data.dtype.kind in "biu" and tensor2._data.dtype.kind in "biu":
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future release addcdiv "
            "will perform a true division of tensor1 and tensor2. The historic addcdiv behavior "
            "can be implemented as (input + value * torch.trunc(tensor1 / tensor2)).to(input.dtype)"
            " for integer inputs and as (input + value * tensor1 / tensor2) for float inputs."
        )
    return apply(ADDCDIV, input, tensor1, tensor2, value=_number(value))


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, Tensor) else value
