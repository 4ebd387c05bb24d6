"""Comparison, logic, bits: elementwise questions about two tensors, and whether they are alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from framework.core.dispatch import apply, only_tensors
from framework.core.registry import Op, function, op
from framework.core.saved import needs_values
from framework.kernels.floats import type_name, wide
from framework.ops.unary import documented, unary
from framework.tensor import Tensor

__all__ = ["allclose", "eq", "equal", "isclose"]

Kernel = Callable[..., Any]


def publish_binary(
    record: Op, name: str, doc: str, example: str = "", notes: str = "", inplace: bool = True
) -> Callable[..., Any]:
    """Publish the function of an op of two arguments under a name; see `unary.documented`."""

    def call(input: Any, other: Any) -> Tensor:
        if other is None:
            raise TypeError(f"{name}(): argument 'other' must be Tensor or Number, not NoneType")
        return apply(record, input, other)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = documented(name, example, doc, notes)
    return function(inplace=inplace, out=True)(call)


# -- comparison ----------------------------------------------------------------------------------


def _ordered(kernel: Kernel, name: str) -> Kernel:
    """Complex numbers have no order, though NumPy has one for them."""

    def compare(a: Any, b: Any) -> Any:
        if a.dtype.kind == "c":
            raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{type_name(a)}'")
        return kernel(a, b)

    return compare


_BOTH = "Shapes broadcast; ``other`` may be a number. The result is of bools."
_NO_ORDER = "\n    NotImplementedError for complex numbers, which have no order."


def _compare(
    name: str, kernel: Kernel, doc: str, example: str, alias: str = "", notes: str = _BOTH
) -> Callable[..., Any]:
    record = op(name, kernel, "ab", rule="first", samples=lambda s: [((s(3), s(3)), {})])
    if alias:
        publish_binary(record, alias, f"Alias of `{name}`: {doc}")
    return publish_binary(record, name, doc, example, notes)


_compare("lt", _ordered(np.less, "lt"), "Whether each element is less: ``input < other``.",
         "[1, 2, 3]; 2 -> [ True, False, False]", "less", _BOTH + _NO_ORDER)  # fmt: skip
_compare("le", _ordered(np.less_equal, "le"), "Whether ``input <= other``, elementwise.",
         "[1, 2, 3]; 2 -> [ True,  True, False]", "less_equal", _BOTH + _NO_ORDER)  # fmt: skip
_compare("gt", _ordered(np.greater, "gt"), "Whether each element is greater: ``input > other``.",
         "[1, 2, 3]; 2 -> [False, False,  True]", "greater", _BOTH + _NO_ORDER)  # fmt: skip
_compare("ge", _ordered(np.greater_equal, "ge"), "Whether ``input >= other``, elementwise.",
         "[1, 2, 3]; 2 -> [False,  True,  True]", "greater_equal", _BOTH + _NO_ORDER)  # fmt: skip
eq = _compare("eq", np.equal, "Whether each element is the same: ``input == other``; NaN never is.",
              "[1, 2, 3]; [1, 0, 3] -> [ True, False,  True]")  # fmt: skip
_compare("ne", np.not_equal, "Whether each element differs: ``input != other``; NaN always does.",
         "[1, 2, 3]; [1, 0, 3] -> [False,  True, False]", "not_equal")  # fmt: skip

# -- logic ---------------------------------------------------------------------------------------


def _logical(name: str, kernel: Kernel, doc: str, example: str) -> None:
    record = op(name, kernel, "ab", rule="tensors", samples=lambda s: [((s(3), s(3)), {})])
    notes = "Of any types: zero is false. Shapes broadcast; the result is of bools."
    publish_binary(record, name, doc, example, notes)


_logical("logical_and", np.logical_and, "Whether both elements are true.",
         "[0, 1, 2]; [1.0, 0.0, 0.5] -> [False, False,  True]")  # fmt: skip
_logical("logical_or", np.logical_or, "Whether at least one of two elements is true.",
         "[0, 1, 0]; [1.0, 0.0, 0.0] -> [ True,  True, False]")  # fmt: skip
_logical("logical_xor", np.logical_xor, "Whether exactly one of two elements is true.",
         "[0, 1, 2]; [1.0, 0.0, 0.5] -> [ True,  True, False]")  # fmt: skip
unary(
    "logical_not", np.logical_not, None, "Whether each element is zero, that is false.",
    "[0.0, 1.5, -2.0] -> [ True, False, False]",
    notes="A bool for each element, of any type.", rule=None,
)  # fmt: skip

# -- bits ----------------------------------------------------------------------------------------


def _bitwise(name: str, kernel: Kernel, doc: str, example: str, bools: str = " and bools") -> None:
    record = op(name, kernel, "ab", rule="promote")
    notes = f"Integers{bools}: NotImplementedError for others. Shapes broadcast, types promote."
    publish_binary(record, name, doc, example, notes)


def _shift(kernel: Kernel, name: str) -> Kernel:
    def shift(a: Any, b: Any) -> Any:
        if getattr(a, "dtype", None) == np.bool_:
            raise NotImplementedError(f"\"{name}\" not implemented for 'Bool'")
        return kernel(a, b)

    return shift


_bitwise("bitwise_and", np.bitwise_and, "The bits that both elements have; of bools, `and`.",
         "[12, -1]; [10, 3] -> [8, 3]")  # fmt: skip
_bitwise("bitwise_or", np.bitwise_or, "The bits that either element has; of bools, `or`.",
         "[12, -4]; [10, 3] -> [14, -1]")  # fmt: skip
_bitwise("bitwise_xor", np.bitwise_xor, "The bits that only one element has; of bools, whether "
         "they differ.", "[12, -1]; [10, 3] -> [ 6, -4]")  # fmt: skip
_bitwise("bitwise_left_shift", _shift(np.left_shift, "lshift_cpu"),
         "Bits moved left: ``input * 2**other``, without what leaves the type.",
         "[1, 5]; [3, 1] -> [ 8, 10]", "")  # fmt: skip
_bitwise("bitwise_right_shift", _shift(np.right_shift, "rshift_cpu"),
         "Bits moved right, the sign kept: ``input / 2**other``, rounded down.",
         "[8, -5]; [2, 1] -> [ 2, -3]", "")  # fmt: skip
unary(
    "bitwise_not", np.invert, None,
    "Every bit turned: ``-input - 1`` of signed integers, the negation of bools.",
    "[-1, 0, 5] -> [ 0, -1, -6]",
    notes="Of the type of ``input``. NotImplementedError for floating and complex types.",
    rule=None, domain="mask",
)  # fmt: skip

# -- alike ---------------------------------------------------------------------------------------


def _isclose_kernel(a: Any, b: Any, rtol: float, atol: float, equal_nan: bool) -> Any:
    close = np.equal(a, b)
    if equal_nan and a.dtype.kind in "fcV":
        close = close | (np.isnan(a) & np.isnan(b))
    if not rtol and not atol:
        return close
    if a.dtype.kind in "biu":
        a, b = a.astype(np.float64), b.astype(np.float64)
    a, b = wide(a), wide(b)
    apart = np.abs(a - b)
    return close | (np.isfinite(apart) & (apart <= atol + np.abs(rtol * b)))


ISCLOSE = op("isclose", _isclose_kernel, "ab")


@function()
def isclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Whether elements are close: |input - other| <= atol + rtol * |other|, elementwise.

    Equal infinities are close; NaN is close to NaN only with ``equal_nan``.

    Raises:
        RuntimeError: another dtype of ``other``, or a negative tolerance.

    >>> import framework as torch
    >>> torch.isclose(torch.tensor([1.0, 2.0]), torch.tensor([1.1, 2.0]))
    tensor([False,  True])
    """
    only_tensors("isclose", input=input, other=other)
    if input._data.dtype != other._data.dtype:
        raise RuntimeError(f"{type_name(input._data)} did not match {type_name(other._data)}")
    for name, value in (("rtol", rtol), ("atol", atol)):
        if not value >= 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {value}")
    return apply(ISCLOSE, input, other, rtol=rtol, atol=atol, equal_nan=equal_nan)


@function()
def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether all elements are `isclose`: |input - other| <= atol + rtol * |other|.

    A Python bool. Shapes broadcast. RuntimeError for another dtype of ``other``, or a negative
    tolerance.

    >>> import framework as torch
    >>> torch.allclose(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.00001]))
    True
    """
    only_tensors("allclose", input=input, other=other)
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


@function()
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and the same elements: a Python bool.

    NaN is not the same as NaN. Types may differ.

    >>> import framework as torch
    >>> torch.equal(torch.tensor([1, 2]), torch.tensor([1.0, 2.0]))
    True
    >>> torch.equal(torch.tensor([1, 2]), torch.tensor([[1, 2]]))
    False
    """
    only_tensors("equal", input=input, other=other)
    needs_values("equal", input)
    return input._data.shape == other._data.shape and bool(eq(input, other).all())
