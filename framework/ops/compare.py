"""Comparison, logic, bits: elementwise questions about two tensors, and whether they are alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from framework.core.dispatch import apply, only_tensors
from framework.core.registry import Op, function, op
from framework.kernels.floats import type_name, wide
from framework.ops.unary import unary
from framework.tensor import Tensor

__all__ = ["allclose", "eq", "equal", "isclose"]

Kernel = Callable[..., Any]


def publish_binary(record: Op, name: str, doc: str, inplace: bool = True) -> Callable[..., Any]:
    """Publish the function of an op of two arguments under a name."""

    def call(input: Any, other: Any) -> Tensor:
        return apply(record, input, other)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = doc
    return function(inplace=inplace, out=True)(call)


# -- comparison ----------------------------------------------------------------------------------


def _ordered(kernel: Kernel, name: str) -> Kernel:
    """Complex numbers have no order, though NumPy has one for them."""

    def compare(a: Any, b: Any) -> Any:
        if a.dtype.kind == "c":
            raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{type_name(a)}'")
        return kernel(a, b)

    return compare


def _compare(name: str, kernel: Kernel, doc: str, alias: str = "") -> Callable[..., Any]:
    record = op(name, kernel, "ab", rule="first", samples=lambda s: [((s(3), s(3)), {})])
    if alias:
        publish_binary(record, alias, f"Alias of `{name}`: {doc}")
    return publish_binary(record, name, doc)


_compare("lt", _ordered(np.less, "lt"), "input < other.", "less")
_compare("le", _ordered(np.less_equal, "le"), "input <= other.", "less_equal")
_compare("gt", _ordered(np.greater, "gt"), "input > other.", "greater")
_compare("ge", _ordered(np.greater_equal, "ge"), "input >= other.", "greater_equal")
eq = _compare("eq", np.equal, "input == other, elementwise.")
_compare("ne", np.not_equal, "input != other, elementwise.", "not_equal")

# -- logic ---------------------------------------------------------------------------------------


def _logical(name: str, kernel: Kernel) -> None:
    record = op(name, kernel, "ab", rule="tensors", samples=lambda s: [((s(3), s(3)), {})])
    publish_binary(record, name, f"Elementwise {name.replace('_', ' ')} of truth values.")


_logical("logical_and", np.logical_and)
_logical("logical_or", np.logical_or)
_logical("logical_xor", np.logical_xor)
unary("logical_not", np.logical_not, None, "Whether each element is zero.", rule=None)

# -- bits ----------------------------------------------------------------------------------------


def _bitwise(name: str, kernel: Kernel) -> None:
    record = op(name, kernel, "ab", rule="promote")
    publish_binary(record, name, f"Elementwise {name.replace('_', ' ')} of integers or bools.")


def _shift(kernel: Kernel, name: str) -> Kernel:
    def shift(a: Any, b: Any) -> Any:
        if getattr(a, "dtype", None) == np.bool_:
            raise NotImplementedError(f"\"{name}\" not implemented for 'Bool'")
        return kernel(a, b)

    return shift


_bitwise("bitwise_and", np.bitwise_and)
_bitwise("bitwise_or", np.bitwise_or)
_bitwise("bitwise_xor", np.bitwise_xor)
_bitwise("bitwise_left_shift", _shift(np.left_shift, "lshift_cpu"))
_bitwise("bitwise_right_shift", _shift(np.right_shift, "rshift_cpu"))
unary("bitwise_not", np.invert, None, "The complement of integers, the negation of bools.",
      rule=None, domain="mask")  # fmt: skip

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
    """|input - other| <= atol + rtol * |other|, elementwise; both of one dtype.

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
    """Whether all elements are `isclose`."""
    only_tensors("allclose", input=input, other=other)
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


@function()
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether shape and all elements are the same."""
    only_tensors("equal", input=input, other=other)
    return input._data.shape == other._data.shape and bool(eq(input, other).all())
