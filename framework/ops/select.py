"""Choosing between values: where, clamp, the larger of two, masked_fill, nan_to_num."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from framework import dtypes
from framework.cautions import caution
from framework.core.dispatch import RULES, apply, only_tensors
from framework.core.kinds import MISSING
from framework.core.node_names import of_clamp_max, of_clamp_min
from framework.core.registry import function, op, variant
from framework.dtypes import COMPLEX, FLOAT, converted
from framework.kernels import compiled
from framework.kernels.floats import type_name
from framework.kernels.quick import SMALL, ZERO, blend, pick
from framework.kernels.spread import SPREADING
from framework.layout import in_rows
from framework.ops.compare import eq, publish_binary
from framework.tensor import Tensor

__all__ = ["clamp", "masked_fill", "maximum", "minimum", "relu", "where"]

# -- where ---------------------------------------------------------------------------------------


def _where_rule(arrays: list[Any], args: tuple[Any, ...]) -> list[Any]:
    condition = arrays[0]
    if condition.dtype.kind != "b":
        if condition.dtype != np.uint8:
            raise RuntimeError(
                "where expected condition to be a boolean tensor, but got a tensor with dtype "
                f"{type_name(condition)}"
            )
        caution(
            "where received a uint8 condition tensor. This behavior is deprecated and will be "
            "removed in a future version of PyTorch. Use a boolean condition instead."
        )
        condition = condition != 0
    if not any(hasattr(a, "dtype") for a in arrays[1:]):
        common = dtypes.result_type(*arrays[1:]).numpy
        return [condition, *[np.asarray(a, common) for a in arrays[1:]]]
    rest = RULES["promote"](arrays[1:], args[1:])
    like = next(a.dtype for a in rest if hasattr(a, "dtype"))
    if like.kind in "iu":
        for number in args[1:]:
            if number.__class__ is int:
                converted(number, dtypes.from_numpy_dtype[like])
    return [condition, *[a if hasattr(a, "dtype") else np.asarray(a, like) for a in rest]]


WHERE = op(
    "where", blend, "cab", rule=_where_rule,
    grad=(None, lambda g, c: where(c, g, 0.0), lambda g, c: where(c, 0.0, g)),
    samples=lambda s: [((s.mask(3, 2), s(2), s(3, 1)), {}), ((s.mask(3), s(3), 0.5), {})],
)  # fmt: skip


@function(method=False, out=True)
def where(condition: Tensor, input: Any = MISSING, other: Any = MISSING) -> Any:
    """``input`` where the condition holds, else ``other``; each a tensor or a number.

    The condition is of bools (or uint8). The three broadcast; the types of the other two promote.
    Of the condition alone: the places where it holds, as `nonzero` with ``as_tuple=True``.

    Raises:
        RuntimeError: a condition of another type, or shapes that do not broadcast.
        TypeError: only one of ``input`` and ``other``.

    >>> import framework as torch
    >>> x = torch.tensor([-1.0, 2.0])
    >>> torch.where(x > 0, x, 0.0)
    tensor([0., 2.])
    """
    if input is MISSING and other is MISSING:
        from framework.ops.indexing import nonzero

        return nonzero(condition, as_tuple=True)
    if any(v is MISSING or v is None for v in (input, other)):
        raise TypeError("where(): input and other must both be given, or neither")
    return apply(WHERE, condition, input, other)


def _where_method(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """The elements of this tensor where the condition holds, else ``other``: see `torch.where`.

    The three broadcast. TypeError for a condition that is no tensor, RuntimeError for shapes
    that do not broadcast.

    >>> import framework as torch
    >>> x = torch.tensor([-1.0, 2.0])
    >>> x.where(x > 0, 0.0)
    tensor([0., 2.])
    """
    return where(condition, self, other)


_where_method.__name__ = "where"
function(namespaces=())(_where_method)


# -- the larger, the smaller ---------------------------------------------------------------------


def _extreme(name: str, plain: Any, loses: Callable[[Any, Any], Any]) -> Any:
    kernel = SPREADING[plain]

    def real_only(a: Any, b: Any) -> Any:
        if a.dtype.kind == "c":
            raise ValueError(f"{name} not implemented for complex tensors.")
        return kernel(a, b)

    def share(g: Any, a: Any, b: Any) -> Any:
        """All of it unless this side loses, half of it where both are equal."""
        return where(eq(a, b), g * 0.5, where(loses(a, b), 0.0, g))

    return op(
        name, real_only, "ab", rule="tensors",
        grad=(lambda g, a, b: share(g, a, b), lambda g, a, b: share(g, b, a)),
        samples=lambda s: [((s(3, 2), s(2)), {})],
    )  # fmt: skip


_ABOUT_EXTREMES = (
    "Two tensors; shapes broadcast, types promote. Equal elements share the gradient.\n"
    "    RuntimeError for complex numbers."
)
maximum = publish_binary(
    _extreme("maximum", np.maximum, lambda a, b: a < b), "maximum",
    "The larger of two elements; NaN if either is NaN.", "[1, 5, 3]; [4, 2, 3] -> [4, 5, 3]",
    _ABOUT_EXTREMES, inplace=False,
)  # fmt: skip
minimum = publish_binary(
    _extreme("minimum", np.minimum, lambda a, b: a > b), "minimum",
    "The smaller of two elements; NaN if either is NaN.", "[1, 5, 3]; [4, 2, 3] -> [1, 2, 3]",
    _ABOUT_EXTREMES, inplace=False,
)  # fmt: skip

# -- clamp ---------------------------------------------------------------------------------------


def _clamp_rule(arrays: list[Any], args: tuple[Any, ...]) -> list[Any]:
    """Promotion; numbers must fit into the type of the result."""
    promoted = RULES["first"](arrays, args)
    kind = promoted[0].dtype
    if kind.kind not in "bc":
        for bound in args[1:]:
            if bound.__class__ is int or bound.__class__ is float:
                converted(bound, dtypes.from_numpy_dtype[kind])
    return promoted


RULES["bounds"] = _clamp_rule


def _clamp_kernel(a: Any, low: Any, high: Any) -> Any:
    if a.dtype.kind == "c":
        raise NotImplementedError("clamp is not supported for complex types")
    if _of_one(a, low) and _of_one(a, high) and (quick := compiled.forward("hardtanh", a)):
        least = -math.inf if low is None else low.item()
        return quick(a, min_val=least, max_val=math.inf if high is None else high.item())
    if low is not None:
        a = np.maximum(a, low)
        if high is not None and a.__class__ is np.ndarray and a.shape == high.shape:
            return np.minimum(a, high, out=a)
    return np.minimum(a, high) if high is not None else a


def _of_one(a: Any, bound: Any) -> bool:
    """Whether a bound is one number of the type of ``a``, and no NaN, or None."""
    return bound is None or (not bound.ndim and bound.dtype is a.dtype and bool(bound == bound))


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
    return _only(g, taken if high is None else taken & (low < high))


def _only(g: Any, hit: Any) -> Any:
    """``g`` where ``hit``; where not, zero even if ``g`` is infinite."""
    return g.masked_fill(~hit, 0)


CLAMP = op(
    "clamp", _clamp_kernel, "a low high", rule="bounds",
    grad=(
        lambda g, a, low, high: _only(g, _clamp_inside(a, low, high)),
        _clamp_low,
        lambda g, a, low, high: _only(g, (a > high) if low is None else (a > high) | (low > high)),
    ),
    samples=lambda s: [
        ((s.away(3, 2), -0.3, 0.3), {}), ((s.away(3), None, 0.3), {}),
        ((s.away(4), s.unit(4) - 1.0, s.unit(4) + 1.0), {}),
    ],
)  # fmt: skip
_CLAMP_MIN, _CLAMP_MAX = variant(CLAMP, of_clamp_min), variant(CLAMP, of_clamp_max)


@function(inplace=True, out=True)
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Elements limited to [min, max]; a bound is a number, a tensor or None.

    Tensors broadcast and types promote. Where ``min > max`` the result is ``max``. What was limited
    gets no gradient.

    Raises:
        RuntimeError: both bounds are None, or a number does not fit into the type.
        NotImplementedError: complex numbers.

    >>> import framework as torch
    >>> torch.arange(5).clamp(1, 3)
    tensor([1, 1, 2, 3, 3])
    """
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    return apply(CLAMP, input, min, max)


@function(inplace=True, out=True)
def clip(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Alias of `clamp`."""
    return clamp(input, min, max)


@function(inplace=True, out=True)
def clamp_min(input: Tensor, min: Any) -> Tensor:
    """Elements below ``min``, a number or a tensor, raised to it: `clamp` with one bound.

    >>> import framework as torch
    >>> torch.clamp_min(torch.tensor([-1.0, 0.5]), 0)
    tensor([0.0000, 0.5000])
    """
    _needs_bound("clamp_min", "min", min)
    return apply(_CLAMP_MIN, input, min, None)


@function(inplace=True, out=True)
def clamp_max(input: Tensor, max: Any) -> Tensor:
    """Elements above ``max``, a number or a tensor, lowered to it: `clamp` with one bound.

    >>> import framework as torch
    >>> torch.clamp_max(torch.tensor([0.5, 3.0]), 1)
    tensor([0.5000, 1.0000])
    """
    _needs_bound("clamp_max", "max", max)
    return apply(_CLAMP_MAX, input, None, max)


def _needs_bound(name: str, argument: str, bound: Any) -> None:
    if bound is None:
        raise TypeError(f"{name}(): argument '{argument}' must be Number or Tensor, not NoneType")


# -- relu ----------------------------------------------------------------------------------------


def _relu_kernel(a: Any) -> Any:
    if a.dtype.kind == "b":
        raise ValueError("Boolean inputs not supported for relu")
    if a.dtype.kind == "c":
        raise NotImplementedError("clamp is not supported for complex types")
    if kernel := compiled.forward("relu", a):
        return kernel(a)
    if a.__class__ is np.ndarray:
        return np.maximum(a, ZERO.get(a.dtype, 0))
    return np.maximum(a, a.dtype.type(0))


def _relu_backward(grad: Any, y: Any) -> Any:
    if kernel := compiled.backward("relu", grad, y):
        return kernel(grad, y)
    zero = ZERO.get(y.dtype)
    if zero is not None and y.__class__ is np.ndarray and y.size < SMALL and y.shape == grad.shape:
        result = grad.copy(order="K")
        np.copyto(result, zero, where=y <= zero)
        return result
    return blend(y <= 0, np.zeros_like(grad, shape=()), grad)


RELU_BACKWARD = op(
    "relu_backward", _relu_backward, "grad y", rule="promote",
    grad=(lambda g, y: apply(RELU_BACKWARD, g, y), None),
    samples=lambda s: [((s(3, 2), s.away(3, 2)), {})],
)  # fmt: skip
RELU = op(
    "relu", _relu_kernel, "a", grad=(lambda g, y: apply(RELU_BACKWARD, g, y),), flat="a",
    samples=lambda s: [((s.away(3, 2),), {})],
)  # fmt: skip


@function(inplace=True)
def relu(input: Tensor) -> Tensor:
    """The rectified linear unit max(input, 0), elementwise; NaN stays NaN.

    Of the type of ``input``; at 0 the gradient is 0. RuntimeError for bools, NotImplementedError
    for complex numbers.

    >>> import framework as torch
    >>> torch.relu(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """
    return apply(RELU, input)


# -- replaced ------------------------------------------------------------------------------------


def _masked_fill_kernel(a: Any, mask: Any, value: Any) -> Any:
    if value.__class__ is float and a.dtype.kind in "fV":
        value = a.dtype.type(value)
    return in_rows(blend(mask, value, a).astype(a.dtype, copy=False))


MASKED_FILL = op(
    "masked_fill", _masked_fill_kernel, "a mask value",
    grad=(lambda g, mask: where(mask, 0.0, g), None, lambda g, mask: where(mask, g, 0.0)),
    samples=lambda s: [((s(3, 2), s.mask(3, 2), 0.5), {}), ((s(3), s.mask(3), s()), {})],
)  # fmt: skip
_MASKED_FILL_TENSOR = variant(MASKED_FILL, "MaskedFillBackward1")

_CPP = {
    "bool": "bool", "uint8": "unsigned char", "int8": "signed char", "int16": "short",
    "int32": "int", "int64": "long int", "float16": "c10::Half", "bfloat16": "c10::BFloat16",
    "float32": "float", "float64": "double", "complex64": "c10::complex<float>",
    "complex128": "c10::complex<double>",
}  # fmt: skip


@function(inplace=True)
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """``value``, a number or a 0-d tensor, where the boolean ``mask`` holds, else ``input``.

    The mask broadcasts; the result has the type of ``input``.

    Raises:
        RuntimeError: a mask that is not of bools, a ``value`` with dimensions, or one that the type
            cannot hold.

    >>> import framework as torch
    >>> torch.ones(3).masked_fill(torch.tensor([True, False, True]), 0.0)
    tensor([0., 1., 0.])
    """
    only_tensors("masked_fill", input=input, mask=mask)
    if mask._data.dtype.kind != "b":
        raise RuntimeError(
            "masked_fill_ only supports boolean masks, but got mask with dtype "
            f"{_CPP[mask.dtype.name]}"
        )
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                f"{value.ndim} dimension(s)."
            )
        if value.dtype.category == COMPLEX and input.dtype.category < COMPLEX:
            raise dtypes.overflow(input.dtype)
    else:
        number = converted(value, input.dtype)
        if number.dtype.kind == "u":
            value = int(number)  # the bits of a negative one
    record = _MASKED_FILL_TENSOR if isinstance(value, Tensor) else MASKED_FILL
    return apply(record, input, mask, value)


def _nan_to_num_kernel(a: Any, *, nan: float, posinf: float, neginf: float) -> Any:
    kind = a.dtype.type
    if compiled.is_plain_or_wide(a) and (kernels := compiled.family("arithmetic")):
        return kernels.nan_to_num(a, nan, posinf, neginf, np.finfo(a.dtype).max)
    result = pick(a == math.inf, kind(posinf), a)
    result = pick(a == -math.inf, kind(neginf), result)
    return pick(a != a, kind(nan), result)


NAN_TO_NUM = op(
    "nan_to_num", _nan_to_num_kernel, "a", grad=(lambda g, a: _only(g, a.isfinite()),),
    samples=lambda s: [((s(3, 2),), {"nan": 0.0, "posinf": 3.0, "neginf": -4.0})],
)  # fmt: skip


@function(inplace=True, out=True)
def nan_to_num(
    input: Tensor, nan: float | None = None, posinf: float | None = None,
    neginf: float | None = None,
) -> Tensor:  # fmt: skip
    """NaN, +inf and -inf replaced: by 0 and the type's limits unless given.

    Of the type of ``input``: a copy if that is of integers. The parts of a complex number are
    replaced one by one.

    >>> import framework as torch
    >>> torch.nan_to_num(torch.tensor([float("nan"), 2.0]), nan=5.0)
    tensor([5., 2.])
    """
    kind = input.dtype
    if kind.category < FLOAT:
        return input.clone()
    if kind.category == COMPLEX:
        from framework.ops.complex import view_as_complex, view_as_real

        return view_as_complex(nan_to_num(view_as_real(input), nan, posinf, neginf))
    if input.is_sparse:
        from framework.ops.sparse import coalesce, values_of
        from framework.ops.sparse_forms import with_values

        once = coalesce(input)
        return with_values(once, nan_to_num(values_of(once), nan, posinf, neginf))
    limits = dtypes.finfo(kind)
    return apply(
        NAN_TO_NUM, input, nan=0.0 if nan is None else nan,
        posinf=limits.max if posinf is None else posinf,
        neginf=limits.min if neginf is None else neginf,
    )  # fmt: skip
