"""Spread: variance and standard deviation, with or without the mean; covariance and correlation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework.cautions import caution
from framework.core.dispatch import apply, composite
from framework.core.registry import function, op
from framework.dtypes import BOOL, FLOAT, INT
from framework.kernels import compiled, quick
from framework.kernels.floats import type_name, widening
from framework.layout import in_rows
from framework.ops.dims import Dim, axes, numpy_names, only_floating, with_dims
from framework.tensor import Tensor

__all__ = ["corrcoef", "cov", "std", "std_mean", "var", "var_mean"]


@widening
def _var_kernel(a: Any, *, dim: tuple[int, ...], correction: float, keepdim: bool) -> Any:
    if lines := _lines(a, dim):
        total = lines[0].spreads(lines[1]).reshape(_reduced(a.shape, dim, keepdim))
        with np.errstate(invalid="ignore", divide="ignore"):  # `_var` has warned
            return total / total.dtype.type(max(_count(a.shape, dim) - correction, 0.0))
    if not a.ndim:
        centred = a - a
    else:
        count = math.prod([a.shape[d] for d in dim])
        with np.errstate(invalid="ignore"):
            centred = a - quick.total(a, dim, True) / a.dtype.type(count)
    squares = np.square(np.abs(centred)) if a.dtype.kind == "c" else np.square(centred)
    total = in_rows(quick.total(squares, dim, keepdim))
    with np.errstate(invalid="ignore", divide="ignore"):  # `_var` has warned
        return total / total.dtype.type(max(_count(a.shape, dim) - correction, 0.0))


def _count(shape: tuple[int, ...], dim: tuple[int, ...]) -> int:
    return math.prod([shape[d] for d in dim]) if shape else 1


def _lines(a: Any, dim: tuple[int, ...]) -> Any:
    """(kernels, rows) if the last dimensions of a large array are meant, else None."""
    first = a.ndim - len(dim)
    if not compiled.is_plain_or_wide(a) or not dim or sorted(dim) != list(range(first, a.ndim)):
        return None
    kernels = compiled.family("sums")
    return (kernels, a.reshape(math.prod(a.shape[:first]), -1)) if kernels else None


def _reduced(shape: tuple[int, ...], dim: tuple[int, ...], keepdim: bool) -> list[int]:
    return [1 if d in dim else n for d, n in enumerate(shape) if keepdim or d not in dim]


def _var_grad(g: Any, a: Any, dim: tuple[int, ...], correction: float, keepdim: bool) -> Any:
    """2 (a - mean) / (n - correction); NaN where the divisor is not positive."""
    by = _count(a.shape, dim) - correction
    scale = 2.0 / by if by > 0 else math.nan
    wide = with_dims(g, a.shape, dim, keepdim)
    if a.ndim and not a.is_complex():
        return apply(VAR_BACKWARD, wide, a, dim=dim, scale=scale)
    return wide * (a - a.mean(dim, True) if a.ndim else a - a) * scale


@widening
def _var_backward_kernel(grad: Any, a: Any, *, dim: tuple[int, ...], scale: float) -> Any:
    factors = grad * a.dtype.type(scale)
    if (lines := _lines(a, dim)) and factors.dtype is a.dtype:
        kernels, rows = lines
        return kernels.centred(rows, factors.reshape(-1)).reshape(a.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        centred = a - quick.total(a, dim, True) / a.dtype.type(_count(a.shape, dim))
    return centred * factors


def _var_second(g: Any, n: Any, grad: Any, a: Any, dim: tuple[int, ...], scale: float) -> Any:
    to_grad = to_a = None
    if n.needs(0):
        to_grad = (g * (a - a.mean(dim, True)) * scale).sum(dim, True)  # of nothing it is zero
    if n.needs(1):
        along = g * grad * scale
        to_a = along - along.mean(dim, True)
    return to_grad, to_a


VAR_BACKWARD = op(
    "var_backward", _var_backward_kernel, "grad a", grad=_var_second,
    samples=lambda s: [((s(3, 1), s(3, 2)), {"dim": (1,), "scale": 2.0})],
)  # fmt: skip

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
    only_floating(input, "std and var only support floating point and complex dtypes")
    dims = axes(dim, input.ndim)
    by = float(unbiased if correction is None else correction)
    if _count(input.shape, dims) <= by:
        caution(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the "
            "reduction factor (input numel divided by output numel).",
        )
    return apply(VAR, input, dim=dims, correction=by, keepdim=keepdim), dims


@function(out=True)
@numpy_names
def var(
    input: Tensor, dim: Dim | bool = None, unbiased: bool = True, keepdim: bool = False, *,
    correction: Any = None,
) -> Tensor:  # fmt: skip
    """The variance over some or all dimensions.

    The squared distances from the mean, summed, over (number - correction).

    Args:
        unbiased: a correction of 1 (the default) or 0, unless ``correction`` says another.

    Of complex numbers it is real. NaN where there are too few elements. RuntimeError for integers
    and bools, IndexError for a dimension out of range.

    >>> import framework as torch
    >>> torch.tensor([1.0, 2.0, 3.0]).var(), torch.tensor([1.0, 2.0, 3.0]).var(correction=0)
    (tensor(1.), tensor(0.6667))
    """
    return _var(input, dim, unbiased, keepdim, correction, "var")[0]


@function(out=True)
@numpy_names
def std(
    input: Tensor, dim: Dim | bool = None, unbiased: bool = True, keepdim: bool = False, *,
    correction: Any = None,
) -> Tensor:  # fmt: skip
    """The standard deviation: the square root of `var`, with its arguments and errors.

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


@function(method=False)
@numpy_names
def var_mean(
    input: Tensor, dim: Dim | bool = None, unbiased: bool = True, keepdim: bool = False, *,
    correction: Any = None,
) -> Any:  # fmt: skip
    """(variance, mean) over some or all dimensions; arguments as of `var`.

    >>> import framework as torch
    >>> torch.var_mean(torch.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    variance, dims = _var(input, dim, unbiased, keepdim, correction, "var_mean")
    return variance, _mean_of(input, dims, keepdim)


@function(method=False)
@numpy_names
def std_mean(
    input: Tensor, dim: Dim | bool = None, unbiased: bool = True, keepdim: bool = False, *,
    correction: Any = None,
) -> Any:  # fmt: skip
    """(standard deviation, mean) over some or all dimensions; arguments as of `var`.

    >>> import framework as torch
    >>> torch.std_mean(torch.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    variance, dims = _var(input, dim, unbiased, keepdim, correction, "std_mean")
    return _root(variance), _mean_of(input, dims, keepdim)


# -- covariance ------------------------------------------------------------------------------


def _check_weights(weights: Tensor, name: str, category: int, kind: str, n: int) -> None:
    if weights.ndim > 1:
        raise RuntimeError(
            f"cov(): expected {name} to have one or fewer dimensions but got {name} with "
            f"{weights.ndim} dimensions"
        )
    if weights.dtype.category != category:
        raise RuntimeError(
            f"cov(): expected {name} to have {kind} dtype but got {name} with "
            f"{type_name(weights._data)} dtype"
        )
    if weights._data.size != n:
        raise RuntimeError(
            f"cov(): expected {name} to have the same numel as there are observations in the "
            f"input but got {weights._data.size} != {n}"
        )
    if n and weights._data.min() < 0:
        raise RuntimeError(f"cov(): {name} cannot be negative")


@function()
@composite
def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None,
    aweights: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The covariances of the rows (N, M): N variables by rows, M observations by columns; (N, N).

    A vector is one variable, and the result 0-d.

    Args:
        correction: the divisor is the number of observations less this.
        fweights: how often each observation occurred, integers.
        aweights: how much each observation matters, floats.

    RuntimeError for more dimensions, bools, and weights of another type.

    >>> import framework as torch
    >>> torch.cov(torch.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if input.ndim > 2:
        raise RuntimeError(
            "cov(): expected input to have two or fewer dimensions but got an input with "
            f"{input.ndim} dimensions"
        )
    if input.dtype.category == BOOL:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    x = input if input.ndim == 2 else input.reshape(1, -1)
    n = x._data.shape[1]
    weights = None
    if fweights is not None:
        _check_weights(fweights, "fweights", INT, "integral", n)
        weights = fweights
    if aweights is not None:
        _check_weights(aweights, "aweights", FLOAT, "floating point", n)
        weights = aweights if weights is None else weights * aweights
    total: Any = n if weights is None else weights.sum()
    if weights is not None and n and not total._data:
        raise RuntimeError("cov(): weights sum to zero, can't be normalized")
    mean = (x if weights is None else x * weights).sum(1) / total
    by = total - correction
    if weights is not None and aweights is not None and correction:
        by = total - correction * (weights * aweights).sum() / total
    if not by > 0:
        caution(
            "cov(): degrees of freedom is <= 0. Correction should be strictly less than the "
            "number of observations.",
        )
        by = 0
    centred = x - mean.unsqueeze(1)
    weighted = centred if weights is None else centred * weights
    return (centred @ weighted.t().conj() / by).squeeze()


@function()
@composite
def corrcoef(input: Tensor) -> Tensor:
    """The Pearson correlations of the rows: covariances over standard deviations, in [-1, 1].

    (N, M) to (N, N), as `cov`; RuntimeError for more dimensions.

    >>> import framework as torch
    >>> torch.corrcoef(torch.tensor([[0.0, 1.0, 2.0], [4.0, 2.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if input.ndim > 2:
        raise RuntimeError(
            "corrcoef(): expected input to have two or fewer dimensions but got an input with "
            f"{input.ndim} dimensions"
        )
    c = cov(input)
    if not c.ndim:
        return c / c
    variance = c.diagonal()
    deviation = (variance.real if c.is_complex() else variance).sqrt()
    c = c / deviation.unsqueeze(1) / deviation
    if not c.is_complex():
        return c.clamp(-1, 1)
    from framework.ops.complex import complex as from_parts

    return from_parts(c.real.clamp(-1, 1), c.imag.clamp(-1, 1))
