"""Spread: variance and standard deviation, with or without the mean."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from framework.core.dispatch import apply
from framework.core.registry import function, op
from framework.kernels.floats import widening
from framework.ops.dims import Dim, axes, numpy_names, only_floating, with_dims
from framework.tensor import Tensor

__all__ = ["std", "std_mean", "var", "var_mean"]


@widening
def _var_kernel(a: Any, *, dim: tuple[int, ...], correction: float, keepdim: bool) -> Any:
    if not a.ndim:
        centred = a - a
    else:
        count = math.prod([a.shape[d] for d in dim])
        centred = a - a.sum(axis=dim, keepdims=True) / a.dtype.type(count)
    squares = np.square(np.abs(centred)) if a.dtype.kind == "c" else np.square(centred)
    total = squares.sum(axis=dim, keepdims=keepdim)
    return total / total.dtype.type(max(_count(a.shape, dim) - correction, 0.0))


def _count(shape: tuple[int, ...], dim: tuple[int, ...]) -> int:
    return math.prod([shape[d] for d in dim]) if shape else 1


def _var_grad(g: Any, a: Any, dim: tuple[int, ...], correction: float, keepdim: bool) -> Any:
    """2 (a - mean) / (n - correction); NaN where the divisor is not positive."""
    by = _count(a.shape, dim) - correction
    centred = a - a.mean(dim, True) if a.ndim else a - a
    scaled = with_dims(g, a.shape, dim, keepdim) * centred
    return scaled * (2.0 / by) if by > 0 else scaled * math.nan


VAR = op(
    "var", _var_kernel, "a", rule="float", grad=(_var_grad,),
    samples=lambda s: [
        ((s(3, 2),), {"dim": (0, 1), "correction": 1.0, "keepdim": False}),
        ((s(3, 2),), {"dim": (0,), "correction": 0.0, "keepdim": True}),
    ],
)  # fmt: skip


def _var(
    input: Tensor, dim: Dim, unbiased: Any, keepdim: bool, correction: Any, name: str
) -> tuple[Tensor, Any]:
    """The variance and the dimensions, from any of PyTorch's overloads."""
    if isinstance(dim, bool):  # var(input, unbiased)
        dim, unbiased = None, dim
    only_floating(input, f"{name} only support floating point and complex dtypes")
    dims = axes(dim, input.ndim)
    by = float(unbiased if correction is None else correction)
    if _count(input.shape, dims) <= by:
        warnings.warn(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the "
            "reduction factor (input numel divided by output numel).",
            UserWarning,
            stacklevel=4,
        )
    return apply(VAR, input, dim=dims, correction=by, keepdim=keepdim), dims


@function(out=True)
@numpy_names
def var(
    input: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False, *,
    correction: Any = None,
) -> Tensor:  # fmt: skip
    """The variance: squared distance from the mean, summed, over (n - correction).

    Args:
        unbiased: a correction of 1 (the default) or 0, unless ``correction`` says another.

    >>> import framework as torch
    >>> torch.tensor([1.0, 2.0, 3.0]).var(), torch.tensor([1.0, 2.0, 3.0]).var(correction=0)
    (tensor(1.), tensor(0.6667))
    """
    return _var(input, dim, unbiased, keepdim, correction, "var")[0]


@function(out=True)
@numpy_names
def std(
    input: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False, *,
    correction: Any = None,
) -> Tensor:  # fmt: skip
    """The standard deviation: the square root of `var`.

    >>> import framework as torch
    >>> torch.tensor([[1.0, 2.0, 3.0]]).std(1)
    tensor([1.])
    """
    return _root(_var(input, dim, unbiased, keepdim, correction, "std")[0])


def _std_grad(g: Any, y: Any) -> Any:
    """As of a square root, but zero where nothing spreads: PyTorch's subgradient."""
    return (g / (y * 2)).masked_fill(y == 0, 0)


ROOT = op(
    "std_root", widening(np.sqrt), "a", grad=(_std_grad,),
    samples=lambda s: [((s.positive(3),), {})],
)  # fmt: skip


def _root(variance: Tensor) -> Tensor:
    return apply(ROOT, variance)


def _mean_of(input: Tensor, dims: tuple[int, ...], keepdim: bool) -> Tensor:
    return input.mean(dims, keepdim) if input.ndim else input.mean()


@function(method=False, out=True)
@numpy_names
def var_mean(
    input: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False, *,
    correction: Any = None,
) -> Any:  # fmt: skip
    """(variance, mean) over some or all dimensions; arguments as of `var`.

    >>> import framework as torch
    >>> torch.var_mean(torch.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    variance, dims = _var(input, dim, unbiased, keepdim, correction, "var_mean")
    return variance, _mean_of(input, dims, keepdim)


@function(method=False, out=True)
@numpy_names
def std_mean(
    input: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False, *,
    correction: Any = None,
) -> Any:  # fmt: skip
    """(standard deviation, mean) over some or all dimensions; arguments as of `var`.

    >>> import framework as torch
    >>> torch.std_mean(torch.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    variance, dims = _var(input, dim, unbiased, keepdim, correction, "std_mean")
    return _root(variance), _mean_of(input, dims, keepdim)
