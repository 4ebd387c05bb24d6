"""Running reductions along a dimension: sums, products, extremes, log-sum-exp, trapezoids."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework.core.dispatch import apply, composite, only_tensors
from framework.core.modes import modes
from framework.core.registry import function, op
from framework.core.saved import values_known
from framework.dtypes import BOOL
from framework.kernels import compiled
from framework.kernels.floats import floating, widening
from framework.kernels.indices import known
from framework.layout import in_rows
from framework.ops.dims import axis, cast_in, constant, named, numpy_names, wide_type
from framework.ops.extremes import real_only
from framework.tensor import Tensor

__all__ = [
    "cummax", "cummin", "cumprod", "cumsum", "cumulative_trapezoid", "logcumsumexp", "trapezoid",
    "trapz",
]  # fmt: skip


# -- sums and products -----------------------------------------------------------------------


def _compiled_running(a: Any, dim: int, back: bool = False, product: bool = False) -> Any:
    """Running sums along a dimension of a large array by a compiled kernel; else None.

    Args:
        back: from the end.
        product: products instead.
    """
    if not compiled.is_plain_or_wide(a):
        return None
    if dim != a.ndim - 1:
        scans = compiled.family("scans")
        planes = _planes(a, dim)
        if not scans or planes.shape[2] < _NARROW:
            return None
        return scans.running_down(planes, back, product).reshape(a.shape)
    if not (sums := compiled.family("sums")):
        return None
    rows = a.reshape(-1, a.shape[-1])
    return (sums.running_products(rows) if product else sums.running(rows, back)).reshape(a.shape)


_NARROW = 8  # lines of fewer elements are NumPy's


def _planes(a: Any, dim: int) -> Any:
    """As (A, K, B), K being that dimension."""
    return a.reshape(math.prod(a.shape[:dim]), a.shape[dim], math.prod(a.shape[dim + 1 :]))


def _cumulative(name: str) -> Any:
    def kernel(a: Any, *, dim: int) -> Any:
        kind = np.int64 if a.dtype.kind in "iub" else wide_type(a)
        if not a.ndim:
            return a.astype(np.int64) if a.dtype.kind in "iub" else a.copy()
        found = _compiled_running(a, dim, product=name == "cumprod")
        if found is not None:
            return found
        result = getattr(a, name)(axis=dim, dtype=kind)
        return in_rows(result.astype(a.dtype) if a.dtype.kind in "fV" else result)

    return kernel


_sums = _cumulative("cumsum")
CUMSUM = op(
    "cumsum", _sums, "a",
    grad=(lambda g, dim: _from_behind(g, dim),),
    samples=lambda s: [((s(3, 2),), {"dim": 0}), ((s(),), {"dim": 0})],
)  # fmt: skip


def _backward_kernel(grad: Any, *, dim: int) -> Any:
    found = _compiled_running(grad, dim, back=True)
    if found is not None:
        return found
    return in_rows(np.flip(_sums(np.flip(grad, dim), dim=dim), dim))


CUMSUM_BACKWARD = op(
    "cumsum_backward", _backward_kernel, "grad", grad=(lambda g, dim: apply(CUMSUM, g, dim=dim),),
    samples=lambda s: [((s(3, 2),), {"dim": 0}), ((s(3, 2),), {"dim": 1})],
)  # fmt: skip


def _from_behind(x: Any, dim: int) -> Any:
    """Running sums from the end."""
    return apply(CUMSUM_BACKWARD, x, dim=dim) if x.ndim else x


def _cumprod_grad(g: Any, a: Any, y: Any, dim: int) -> Any:
    """Output k over input i is the product of the inputs up to k without i.

    Without zeros that is y[k] / a[i]. With zeros only what stands up to the first of them has a
    gradient, which takes a second cumprod; but its own derivative is wider, so that a gradient of
    higher order comes from the whole matrix of products.
    """
    if not a.ndim:
        return g
    zero = a == 0
    if values_known(zero) and not zero._data.any():
        return _from_behind(g * y, dim) / a
    if modes.grad:
        return _cumprod_grad_whole(g, a, dim)
    seen = cumsum(zero, dim)
    first = zero & (seen == 1)
    without = cumprod(a.masked_fill(first, 1), dim)
    before = _from_behind(g * y, dim) / a.masked_fill(zero, 1)
    at = _from_behind(g * without, dim)
    return at.where(first, before.masked_fill(seen > 0, 0))


def _cumprod_grad_whole(g: Any, a: Any, dim: int) -> Any:
    from framework.ops.creation import eye, ones

    last, g = a.movedim(dim, -1), g.movedim(dim, -1)
    n = last.shape[-1]
    options: dict[str, Any] = {"dtype": bool, "device": a.device}
    without = last.unsqueeze(-2).expand(*last.shape[:-1], n, n).masked_fill(eye(n, **options), 1)
    later = ones(n, n, **options).triu()
    products = cumprod(without, -1).masked_fill(~later, 0)
    return (products * g.unsqueeze(-2)).sum(-1).movedim(-1, dim)


CUMPROD = op(
    "cumprod", _cumulative("cumprod"), "a", grad=(_cumprod_grad,),
    samples=lambda s: [
        ((s.away(3, 2),), {"dim": 0}), ((s.away(4),), {"dim": 0}), ((s(),), {"dim": 0}),
        ((s.away(4, 2) * s.mask(4, 2),), {"dim": 0}),
    ],
)  # fmt: skip


@function(inplace=True, out="typed")
@numpy_names
def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running sums along a dimension, in the shape of ``input``; integers add up in int64.

    Args:
        dtype: cast to this type first; the result has it.

    IndexError for a dimension out of range.

    >>> import framework as torch
    >>> torch.tensor([1, 2, 3]).cumsum(0)
    tensor([1, 3, 6])
    """
    return _run(CUMSUM, input, dim, dtype)


@function(inplace=True, out="typed")
@numpy_names
def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running products along a dimension, in the shape of ``input``; integers multiply in int64.

    Args:
        dtype: cast to this type first; the result has it.

    IndexError for a dimension out of range.

    >>> import framework as torch
    >>> torch.tensor([1, 2, 3]).cumprod(0)
    tensor([1, 2, 6])
    """
    return _run(CUMPROD, input, dim, dtype)


def _run(record: Any, input: Tensor, dim: int, dtype: Any) -> Tensor:
    result = apply(record, cast_in(input, dtype), dim=axis(dim, input.ndim))
    return result if dtype is None else result.to(dtype)


# -- extremes --------------------------------------------------------------------------------


def _running_extreme(name: str, pick: Any) -> Any:
    def kernel(a: Any, *, dim: int) -> Any:
        real_only(a, f"{name}_cpu")
        if not a.ndim:
            return a.copy(), np.zeros((), np.int64)
        if compiled.is_plain_or_wide(a) and (scans := compiled.family("scans")):
            found = scans.running_extremes(_planes(a, dim), pick is np.minimum)
            return tuple([part.reshape(a.shape) for part in found])
        x = a.astype(np.float32) if a.dtype.kind == "V" else a
        values = pick.accumulate(x, axis=dim)
        place = np.arange(a.shape[dim]).reshape([-1 if i == dim else 1 for i in range(a.ndim)])
        # The last of equal extremes so far; and the last NaN, once there was one.
        hit = (x == values) | (x != x)
        index = np.maximum.accumulate(np.where(hit, place, 0), axis=dim).astype(np.int64)
        return in_rows(values.astype(a.dtype, copy=False)), in_rows(index)

    return op(
        name, kernel, "a", grad=(lambda g, y1, n, dim: _scattered(g[0], constant(y1), n, dim),),
        samples=lambda s: [((s(4, 2),), {"dim": 0}), ((s(),), {"dim": 0})],
    )  # fmt: skip


def _scattered(g: Any, index: Any, n: Any, dim: int) -> Any:
    if not g.ndim or not g.numel():
        return g
    with known:
        return g.new_zeros(n.shape(0)).scatter_add(dim, index, g)


CUMMAX = _running_extreme("cummax", np.maximum)
CUMMIN = _running_extreme("cummin", np.minimum)


@function(out="exact")
@numpy_names
def cummax(input: Tensor, dim: int) -> Any:
    """(values, indices): the largest so far along a dimension, and where its last copy stands.

    Both in the shape of ``input``, the indices int64. IndexError for a dimension out of range,
    NotImplementedError for complex numbers.

    >>> import framework as torch
    >>> torch.cummax(torch.tensor([1, 3, 2]), 0).values
    tensor([1, 3, 3])
    """
    result = apply(CUMMAX, input, dim=axis(dim, input.ndim))
    return named("cummax", "values", "indices")(result)


@function(out="exact")
@numpy_names
def cummin(input: Tensor, dim: int) -> Any:
    """(values, indices): the smallest so far along a dimension, and where its last copy stands.

    Both in the shape of ``input``, the indices int64. IndexError for a dimension out of range,
    NotImplementedError for complex numbers.

    >>> import framework as torch
    >>> values, indices = torch.cummin(torch.tensor([3, 1, 1, 2]), 0)
    >>> values, indices
    (tensor([3, 1, 1, 1]), tensor([0, 1, 2, 2]))
    """
    result = apply(CUMMIN, input, dim=axis(dim, input.ndim))
    return named("cummin", "values", "indices")(result)


# -- log-sum-exp -----------------------------------------------------------------------------


def _logcumsumexp_kernel(a: Any, *, dim: int) -> Any:
    floating(a, "logcumsumexp_out_cpu")
    if not a.ndim or not a.size:
        return a.copy()
    if a.dtype.kind != "c":
        return in_rows(np.logaddexp.accumulate(a, axis=dim))
    result = np.moveaxis(np.empty_like(a), dim, 0)
    total: Any = None
    for i, x in enumerate(np.moveaxis(a, dim, 0)):
        total = x if total is None else _log_of_sum(x, total)
        result[i] = total
    return in_rows(np.moveaxis(result, 0, dim))


def _log_of_sum(x: Any, y: Any) -> Any:
    """log(exp(x) + exp(y)) of complex numbers, in the branch of the one with the larger real part.

    PyTorch's imaginary parts are not brought into (-pi, pi], so that they go on without a jump.
    """
    less = x.real < y.real
    low, high = np.where(less, x, y), np.where(less, y, x)
    gap = np.where(low.real == high.real, 1j * (low.imag - high.imag), low - high)  # not inf - inf
    both = np.log1p(np.exp(gap.astype(x.dtype))) + high
    return np.where(low.real == -np.inf, high, both)


def _decayed_sum_kernel(g: Any, y: Any, *, dim: int, reverse: bool) -> Any:
    """s[i] = sum of g[k] exp(-|y[i] - y[k]|) over k >= i (reverse) or k <= i, for rising y.

    That is s[i] = g[i] + s[i±1] exp(y[i] - y[i±1]): no factor is above one, nothing overflows.
    """
    if not g.ndim or not g.size:
        return g.copy()
    g, y = np.moveaxis(g, dim, 0), np.moveaxis(y, dim, 0)
    result = np.empty(g.shape, np.result_type(g, y))
    n = len(g)
    order = range(n - 1, -1, -1) if reverse else range(n)
    before: Any = None
    for i in order:
        if before is None:
            result[i] = g[i]
        else:
            step = y[i] - y[before] if reverse else y[before] - y[i]
            step = np.where(y[i] == y[before], 0, step)  # -inf minus -inf
            result[i] = g[i] + result[before] * np.exp(step)
        before = i
    return np.moveaxis(result, 0, dim)


def _decayed_sum_grads(g: Any, weight: Any, level: Any, dim: int, reverse: bool) -> Any:
    other = apply(DECAYED_SUM, g, level, dim=dim, reverse=not reverse)
    own = apply(DECAYED_SUM, weight, level, dim=dim, reverse=reverse)
    slope = g * own - weight * other
    return other, slope if reverse else -slope


DECAYED_SUM = op(
    "decayed_sum", widening(_decayed_sum_kernel), "weight level", grad=_decayed_sum_grads,
    samples=lambda s: [
        ((s(4, 2), s(4, 2)), {"dim": 0, "reverse": reverse}) for reverse in (True, False)
    ],
)  # fmt: skip


def _logcumsumexp_grad(g: Any, a: Any, y: Any, dim: int) -> Any:
    """Sum over k >= i of g[k] exp(a[i] - y[k]), by way of exp(a[i] - y[i]), which is at most 1."""
    share = (a - y).masked_fill(a == -math.inf, -math.inf).exp()
    return share * apply(DECAYED_SUM, g, y, dim=dim, reverse=True)


LOGCUMSUMEXP = op(
    "logcumsumexp", widening(_logcumsumexp_kernel), "a", grad=(_logcumsumexp_grad,),
    samples=lambda s: [((s(4, 2),), {"dim": 0}), ((s(),), {"dim": 0})],
)  # fmt: skip


@function(out="exact")
@numpy_names
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """log(cumsum(exp(input))) along a dimension, without overflow.

    Floating and complex types; NotImplementedError for others. IndexError for a dimension out of
    range.

    >>> import framework as torch
    >>> torch.logcumsumexp(torch.zeros(3), 0)
    tensor([0.0000, 0.6931, 1.0986])
    """
    return apply(LOGCUMSUMEXP, input, dim=axis(dim, input.ndim))


# -- trapezoids ------------------------------------------------------------------------------


def _axis_of(y: Tensor, dim: int) -> int:
    if not y.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return axis(dim, y.ndim)


def _panels(y: Tensor, x: Any, dx: Any, dim: int, name: str) -> Any:
    """(width, height sums) of the trapezoids between neighbours along ``dim``."""
    if y.dtype.category == BOOL:
        raise RuntimeError(f"{name}: received a bool input for `y`, but bool is not supported")
    n = y.shape[dim]
    heights = y.narrow(dim, 1, n - 1) + y.narrow(dim, 0, n - 1)
    if x is None:
        return dx, heights
    only_tensors(name, y=y, x=x)
    if x.dtype.category == BOOL:
        raise RuntimeError(f"{name}: received a bool input for `x`, but bool is not supported")
    if not x.ndim:
        raise IndexError(f"{name}: Expected one-dimensional or larger `x`")
    if x.ndim == 1:
        if x.shape[0] != n:
            raise RuntimeError(
                f"{name}: There must be one `x` value for each sample point, but got {x.shape[0]} "
                f"`x` values and {n} sample points"
            )
        steps = (x[1:] - x[:-1]).reshape([-1 if i == dim else 1 for i in range(y.ndim)])
        return steps, heights
    x = x.reshape([1] * (y.ndim - x.ndim) + list(x.shape)) if x.ndim < y.ndim else x
    m = x.shape[dim]
    return x.narrow(dim, 1, m - 1) - x.narrow(dim, 0, m - 1), heights


@function(method=False)
@numpy_names
@composite
def trapezoid(y: Tensor, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """The integral of ``y`` along a dimension by the trapezoidal rule.

    Args:
        x: the points where ``y`` was sampled, along ``dim`` or broadcast against it.
        dx: their distance, if they are evenly spaced.

    RuntimeError for bools and for another number of points than samples, IndexError for a dimension
    out of range.

    >>> import framework as torch
    >>> torch.trapezoid(torch.tensor([1.0, 5.0, 10.0]), dx=2)
    tensor(21.)
    """
    d = _axis_of(y, dim)
    if not y.shape[d]:
        kept = [n for i, n in enumerate(y.shape) if i != d]
        return y.new_zeros(kept)
    width, heights = _panels(y, x, dx, d, "trapezoid")
    return (width * heights).sum(d) / 2.0


@function(method=False)
@numpy_names
def trapz(y: Tensor, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """Alias of `trapezoid`."""
    return trapezoid(y, x, dx=dx, dim=dim)


@function(method=False)
@numpy_names
@composite
def cumulative_trapezoid(y: Tensor, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """The running integral of ``y`` along a dimension: one element less than ``y`` there.

    Arguments and errors as of `trapezoid`.

    >>> import framework as torch
    >>> torch.cumulative_trapezoid(torch.tensor([1.0, 5.0, 10.0]))
    tensor([ 3.0000, 10.5000])
    """
    d = _axis_of(y, dim)
    width, heights = _panels(y, x, dx, d, "cumulative_trapezoid")
    return (width * heights).cumsum(d) / 2.0
