"""Largest and smallest: max, min, amax, amin, aminmax, argmax, argmin.

Gradients of equal extremes follow PyTorch: ``max(x)``, ``amax`` and ``aminmax`` share theirs
evenly, ``max(x, dim)`` gives it to the element whose index it returns (the first).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.core.dispatch import apply, only_tensors
from framework.core.kinds import MISSING
from framework.core.registry import function, op
from framework.core.saved import values_known
from framework.dtypes import COMPLEX, bool_
from framework.kernels import module_of
from framework.kernels.floats import type_name
from framework.kernels.indices import known
from framework.layout import in_rows
from framework.ops.dims import (
    Dim,
    axes,
    axis,
    constant,
    evenly,
    named,
    needs_elements,
    numpy_names,
    with_dims,
)
from framework.ops.select import maximum, minimum
from framework.tensor import Tensor

__all__ = ["amax", "amin", "aminmax", "argmax", "argmin", "max", "min"]


def real_only(a: Any, name: str) -> Any:
    """``a`` itself, or an error for complex numbers, which have no order."""
    if a.dtype.kind == "c":
        raise NotImplementedError(f"\"{name}\" not implemented for '{type_name(a)}'")
    return a


def _extreme_grad(g: Any, a: Any, y: Any, dim: Any, keepdim: bool) -> Any:
    """Shared evenly among equal extremes."""
    hit = (a == with_dims(y, a.shape, dim, keepdim)).to(g.dtype)
    return evenly(with_dims(g, a.shape, dim, keepdim), hit, dim)


def _extreme(name: str) -> Any:
    def kernel(a: Any, *, dim: tuple[int, ...], keepdim: bool) -> Any:
        real_only(a, f"{name}_values_cpu")
        return in_rows(getattr(a, name)(axis=dim, keepdims=keepdim))

    return op(
        f"a{name}", kernel, "a", grad=(_extreme_grad,),
        samples=lambda s: [
            ((s(3, 2),), {"dim": (0, 1), "keepdim": False}),
            ((s(3, 2),), {"dim": (1,), "keepdim": True}),
            ((s(),), {"dim": (), "keepdim": False}),
        ],
    )  # fmt: skip


AMAX, AMIN = _extreme("max"), _extreme("min")


def whole_grad(g: Any, a: Any, y: Any) -> Any:
    """Shared evenly among equal extremes; all of it to the NaNs if there are any."""
    if not values_known(y):
        hit = (a == y) | (a.isnan() & y.isnan())
    else:
        hit = a.isnan() if bool(module_of(y._data).isnan(y._data)) else a == y
    return g * (hit.to(g.dtype) / hit.sum())


def _whole(name: str) -> Any:
    def kernel(a: Any) -> Any:
        return getattr(real_only(a, f"{name}_all"), name)()

    return op(name, kernel, "a", grad=(whole_grad,), samples=lambda s: [((s(3, 2),), {})])


def _one_grad(g: Any, y1: Any, n: Any, dim: int, keepdim: bool) -> Any:
    """To the element that was returned."""
    return selected_grad(g[0], constant(y1), n.shape(0), dim, keepdim)


def selected_grad(g: Any, index: Any, shape: Any, dim: int, keepdim: bool) -> Any:
    """The gradient of one element picked by ``index`` along ``dim``."""
    if not shape:
        return g
    if not keepdim:
        g, index = g.unsqueeze(dim), index.unsqueeze(dim)
    with known:
        return g.new_zeros(()).expand(shape).scatter(dim, index, g)


def _along(name: str) -> Any:
    def kernel(a: Any, *, dim: int, keepdim: bool) -> Any:
        if not a.ndim:
            return a.copy(), np.zeros((), np.int64)
        x = a.astype(np.float32) if a.dtype.kind == "V" else a
        # Two fast passes: gathering by the indices has a high fixed cost.
        values = getattr(x, name)(axis=dim, keepdims=keepdim)
        index = getattr(x, f"arg{name}")(axis=dim, keepdims=keepdim)
        index = index.astype(np.int64, copy=False)
        return in_rows(values.astype(a.dtype, copy=False)), in_rows(index)

    return op(
        f"{name}_dim", kernel, "a", grad=(_one_grad,),
        samples=lambda s: [
            ((s(3, 2),), {"dim": 0, "keepdim": False}), ((s(3, 2),), {"dim": 1, "keepdim": True}),
        ],
    )  # fmt: skip


MAX, MIN = _whole("max"), _whole("min")
MAX_DIM, MIN_DIM = _along("max"), _along("min")

_NEEDS_DIM = (
    "(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim "
    "with the 'dim' argument."
)


def _amax_or_amin(record: Any, input: Tensor, dim: Dim, keepdim: bool) -> Tensor:
    name = record.name
    if not input._data.size:
        if dim is None or (isinstance(dim, (tuple, list)) and not len(dim)):
            raise RuntimeError(name + _NEEDS_DIM)
        needs_elements(input, dim, name)
    return apply(record, input, dim=axes(dim, input.ndim), keepdim=keepdim)


@function(checks=True, out="exact")
@numpy_names
def amax(input: Tensor, dim: Dim = (), keepdim: bool = False) -> Tensor:
    """The largest element over some or all dimensions; equal ones share the gradient.

    Of the type of ``input``; NaN if there is one. See `max` for the index too.

    Raises:
        RuntimeError: no elements and no ``dim``.
        IndexError: a dimension without elements, or out of range.
        NotImplementedError: complex numbers, which have no order.

    >>> import framework as torch
    >>> torch.tensor([[1, 4], [3, 2]]).amax(dim=1)
    tensor([4, 3])
    """
    return _amax_or_amin(AMAX, input, dim, keepdim)


@function(checks=True, out="exact")
@numpy_names
def amin(input: Tensor, dim: Dim = (), keepdim: bool = False) -> Tensor:
    """The smallest element over some or all dimensions; equal ones share the gradient.

    Of the type of ``input``; NaN if there is one. See `min` for the index too.

    Raises:
        RuntimeError: no elements and no ``dim``.
        IndexError: a dimension without elements, or out of range.
        NotImplementedError: complex numbers, which have no order.

    >>> import framework as torch
    >>> torch.tensor([[1, 4], [3, 2]]).amin(dim=1)
    tensor([1, 2])
    """
    return _amax_or_amin(AMIN, input, dim, keepdim)


@function(checks=True, out="exact")
@numpy_names
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """(min, max) over one or all dimensions, as `amin` and `amax`; RuntimeError for no elements.

    >>> import framework as torch
    >>> torch.aminmax(torch.tensor([3, 1, 2])).max
    tensor(3)
    """
    if not input._data.size:
        if dim is None:
            raise RuntimeError(
                "aminmax(): cannot compute aminmax over an empty dimension as the operation has "
                "no identity."
            )
        needs_elements(input, dim, "aminmax", ": ")
    dims = axes(dim, input.ndim)
    low = apply(AMIN, input, dim=dims, keepdim=keepdim)
    return named("aminmax", "min", "max")((low, apply(AMAX, input, dim=dims, keepdim=keepdim)))


# -- their places ----------------------------------------------------------------------------


def _arg_op(name: str) -> Any:
    def kernel(a: Any, *, dim: int | None, keepdim: bool) -> Any:
        if a.dtype.kind == "V":
            a = a.astype(np.float32)
        found = module_of(a).asarray(getattr(a, name)(axis=dim))
        if keepdim:
            found = np.expand_dims(found, dim) if dim is not None else found.reshape([1] * a.ndim)
        return found.astype(np.int64, copy=False)

    return op(name, kernel, "a", samples=lambda s: [((s(3, 2),), {"dim": 1, "keepdim": False})])


ARGMAX, ARGMIN = _arg_op("argmax"), _arg_op("argmin")


@function(checks=True, out="exact")
@numpy_names
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Index of the first largest element (of the flattened tensor if no dim is given), as int64.

    NaN counts as the largest.

    Raises:
        IndexError: no elements to choose from, or a dimension out of range.
        RuntimeError: complex numbers or bools.

    >>> import framework as torch
    >>> torch.tensor([[1, 4], [3, 2]]).argmax(1)
    tensor([1, 0])
    """
    return _arg(ARGMAX, input, dim, keepdim)


@function(checks=True, out="exact")
@numpy_names
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Index of the first smallest element (of the flattened tensor if no dim is given), as int64.

    NaN counts as the smallest.

    Raises:
        IndexError: no elements to choose from, or a dimension out of range.
        RuntimeError: complex numbers or bools.

    >>> import framework as torch
    >>> torch.tensor([[1, 4], [3, 2]]).argmin(1)
    tensor([0, 1])
    """
    return _arg(ARGMIN, input, dim, keepdim)


def _arg(record: Any, input: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    name = record.name
    _ordered(input, name, bools=False)
    if dim is None:
        if not input._data.size:
            raise IndexError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0."
            )
        return apply(record, input, dim=None, keepdim=keepdim)
    needs_elements(input, dim, name)
    d = axis(dim, input.ndim)
    return apply(record, input, dim=d if input.ndim else None, keepdim=keepdim)


def _ordered(input: Tensor, name: str, bools: bool = True) -> None:
    if input.dtype.category == COMPLEX:
        raise RuntimeError(f"{name}(): does not support complex input")
    if not bools and input.dtype is bool_:
        raise RuntimeError(f"{name}(): does not support bool input")


# -- max and min -----------------------------------------------------------------------------


def _max_or_min(name: str, whole: Any, along: Any, two: Any) -> Any:
    result = named(name, "values", "indices")

    def call(
        input: Tensor, dim: Any = MISSING, keepdim: bool = False, *, other: Any = MISSING
    ) -> Any:
        if isinstance(dim, Tensor) or other is not MISSING:
            only_tensors(name, input=input, other=dim if other is MISSING else other)
            return two(input, dim if other is MISSING else other)
        if not isinstance(input, Tensor):
            only_tensors(name, input=input)
        if dim is MISSING:
            if keepdim:
                raise TypeError(f"{name}(): keepdim is for a dimension, and none is given")
            if not input._data.size:
                raise RuntimeError(name + _NEEDS_DIM)
            return apply(whole, input)
        _ordered(input, name)
        needs_elements(input, dim, name)
        return result(apply(along, input, dim=axis(dim, input.ndim), keepdim=keepdim))

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"""``{name}(input)`` of all elements; ``{name}(input, dim)`` along a dimension;
    ``{name}(input, other)`` elementwise of two tensors.

    With ``dim`` the result is (values, indices), the indices those of the first extreme, which gets
    the gradient; without it equal extremes share the gradient. NaN counts as extreme.

    Raises:
        IndexError: a dimension without elements, or out of range.
        RuntimeError: no elements and no ``dim``.
        RuntimeError or NotImplementedError: complex numbers, with or without ``dim``.

    >>> import framework as torch
    >>> torch.{name}(torch.tensor([[2, 5], [4, 4]]), 1).indices
    tensor({"[1, 0]" if name == "max" else "[0, 0]"})
    """
    return function(checks=True, out="apart")(numpy_names(call))


max = _max_or_min("max", MAX, MAX_DIM, maximum)
min = _max_or_min("min", MIN, MIN_DIM, minimum)
