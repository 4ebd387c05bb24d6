"""Reductions: sums, products, extremes, norms, cumulative sums."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework.core.dispatch import apply, composite
from framework.core.registry import function, op
from framework.dtypes import FLOAT
from framework.tensor import Tensor

__all__ = ["amax", "amin", "argmax", "logsumexp", "mean", "norm", "sum", "var"]

Dim = Any  # None, an int or a tuple of ints


def axes(dim: Dim, ndim: int) -> tuple[int, ...]:
    """Dimensions to reduce, as sorted non-negative ints; all of them for None and ().

    Raises:
        IndexError: one is out of range.
        RuntimeError: one is given twice.
    """
    if dim is None or (isinstance(dim, (tuple, list)) and not len(dim)):
        return tuple(range(ndim))
    found = [axis(d, ndim) for d in (dim if isinstance(dim, (tuple, list)) else (dim,))]
    if len(set(found)) != len(found):
        raise RuntimeError(f"dim {found[0]} appears multiple times in the list of dims")
    return tuple(sorted(found)) if ndim else ()


def axis(dim: int, ndim: int) -> int:
    """One dimension as a non-negative int; a 0-d tensor counts as having one."""
    span = max(ndim, 1)
    if not -span <= dim < span:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-span}, {span - 1}], "
            f"but got {dim})"
        )
    return int(dim) % span


def _spread(g: Any, shape: tuple[int, ...], dim: tuple[int, ...], keepdim: bool) -> Any:
    """A reduction's gradient back over the reduced dimensions."""
    return _with_dims(g, shape, dim, keepdim).expand(shape)


def _with_dims(x: Any, shape: tuple[int, ...], dim: tuple[int, ...], keepdim: bool) -> Any:
    """A reduction's result with the reduced dimensions put back as ones."""
    if keepdim or not shape:
        return x
    return x.reshape([1 if i in dim else n for i, n in enumerate(shape)])


def _wide(a: Any) -> Any:
    """float16 and bfloat16 accumulate in float32."""
    return np.float32 if a.dtype.itemsize == 2 and a.dtype.kind in "fV" else None


def _sum_kernel(a: Any, *, dim: tuple[int, ...], keepdim: bool) -> Any:
    wide = _wide(a)
    if wide is not None:
        return a.astype(wide).sum(axis=dim, keepdims=keepdim).astype(a.dtype)
    kind = np.int64 if a.dtype.kind in "iub" else None
    return a.sum(axis=dim, keepdims=keepdim, dtype=kind)


SUM = op(
    "sum", _sum_kernel, "a",
    grad=(lambda g, n, dim, keepdim: _spread(g, n.shape(0), dim, keepdim),),
    samples=lambda s: [
        ((s(3, 2),), {"dim": (0, 1), "keepdim": False}),
        ((s(3, 2),), {"dim": (1,), "keepdim": True}),
        ((s(),), {"dim": (), "keepdim": False}),
    ],
)  # fmt: skip


def _mean_kernel(a: Any, *, dim: tuple[int, ...], keepdim: bool) -> Any:
    wide = _wide(a)
    if wide is not None:
        return a.astype(wide).mean(axis=dim, keepdims=keepdim).astype(a.dtype)
    if not a.size:  # NaN, without NumPy's warning
        return a.sum(axis=dim, keepdims=keepdim) * a.dtype.type(np.nan)
    return a.mean(axis=dim, keepdims=keepdim)


MEAN = op(
    "mean", _mean_kernel, "a",
    grad=(lambda g, n, dim, keepdim: _spread(
        g / math.prod(n.shape(0)[d] for d in dim), n.shape(0), dim, keepdim),),
    samples=lambda s: [
        ((s(3, 2),), {"dim": (0, 1), "keepdim": False}),
        ((s(3, 2),), {"dim": (0,), "keepdim": False}),
    ],
)  # fmt: skip


def _cast_in(input: Tensor, dtype: Any) -> Tensor:
    return input if dtype is None else input.to(dtype)


@function()
def sum(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over some or all dimensions; integers and bools sum to int64.

    >>> import framework as torch
    >>> torch.ones(2, 3).sum(dim=1)
    tensor([3., 3.])
    """
    input = _cast_in(input, dtype)
    return apply(SUM, input, dim=axes(dim, input.ndim), keepdim=keepdim)


@function()
def mean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over some or all dimensions, of a floating or complex tensor."""
    input = _cast_in(input, dtype)
    if input.dtype.category < FLOAT:
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or "
            f"complex dtype. Got: {input.dtype}"
        )
    return apply(MEAN, input, dim=axes(dim, input.ndim), keepdim=keepdim)


def _prod_kernel(a: Any, *, dim: tuple[int, ...], keepdim: bool) -> Any:
    kind = np.int64 if a.dtype.kind in "iub" else None
    return a.prod(axis=dim, keepdims=keepdim, dtype=kind)


def _prod_grad(g: Any, a: Any, dim: Any, keepdim: bool) -> Any:
    """The product of all *other* elements, from running products of both sides: zeros are fine."""
    last = a.movedim(dim, list(range(-len(dim), 0))) if dim else a
    kept = last.shape[: last.ndim - len(dim)]
    flat = last.reshape(*kept, math.prod(last.shape[len(kept) :]))
    one = flat[..., :1] * 0 + 1
    before = cumprod(_cat([one, flat[..., :-1]]), -1)
    after = cumprod(_cat([one, flat[..., 1:].flip(-1)]), -1).flip(-1)
    others = (before * after).reshape(last.shape)
    others = others.movedim(list(range(-len(dim), 0)), dim) if dim else others
    return _with_dims(g, a.shape, dim, keepdim) * others


def _cat(parts: list[Any]) -> Any:
    from framework.ops.shape import cat

    return cat(parts, -1)


PROD = op(
    "prod", _prod_kernel, "a", grad=(_prod_grad,),
    samples=lambda s: [
        ((s(4),), {"dim": (0,), "keepdim": False}), ((s(2, 3),), {"dim": (1,), "keepdim": True}),
    ],
)  # fmt: skip


@function()
def prod(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """The product over one or all dimensions."""
    input = _cast_in(input, dtype)
    return apply(PROD, input, dim=axes(dim, input.ndim), keepdim=keepdim)


# -- extremes --------------------------------------------------------------------------------


def _extreme_grad(g: Any, a: Any, y: Any, dim: Any, keepdim: bool) -> Any:
    """Shared evenly among equal extremes, as PyTorch's amax and amin."""
    hit = (a == _with_dims(y, a.shape, dim, keepdim)).to(g.dtype)
    count = hit.sum(dim=dim, keepdim=True) if a.ndim else hit
    return _with_dims(g, a.shape, dim, keepdim) * hit / count


def _extreme(name: str) -> Any:
    def kernel(a: Any, *, dim: tuple[int, ...], keepdim: bool) -> Any:
        if not a.size and 0 in [a.shape[d] for d in dim]:
            raise ValueError(
                "Expected reduction dim to be specified for input.numel() == 0. "
                "Specify the reduction dim with the 'dim' argument."
            )
        return getattr(a, name)(axis=dim, keepdims=keepdim)

    return op(
        f"a{name}", kernel, "a", grad=(_extreme_grad,),
        samples=lambda s: [
            ((s(3, 2),), {"dim": (0, 1), "keepdim": False}),
            ((s(3, 2),), {"dim": (1,), "keepdim": True}),
        ],
    )  # fmt: skip


AMAX, AMIN = _extreme("max"), _extreme("min")


@function()
def amax(input: Tensor, dim: Dim = (), keepdim: bool = False) -> Tensor:
    """The largest element over some or all dimensions; equal ones share the gradient."""
    return apply(AMAX, input, dim=axes(dim, input.ndim), keepdim=keepdim)


@function()
def amin(input: Tensor, dim: Dim = (), keepdim: bool = False) -> Tensor:
    """The smallest element over some or all dimensions; equal ones share the gradient."""
    return apply(AMIN, input, dim=axes(dim, input.ndim), keepdim=keepdim)


class _Pair(tuple[Any, ...]):
    """(values, indices), as named as PyTorch's return types."""

    values = property(lambda self: self[0])
    indices = property(lambda self: self[1])

    def __repr__(self) -> str:
        return f"torch.return_types(\nvalues={self[0]!r},\nindices={self[1]!r})"


def pair(values: Any, indices: Any) -> Any:
    """A (values, indices) result with those names."""
    return _Pair((values, indices))


def _arg_kernel(name: str) -> Any:
    def kernel(a: Any, *, dim: int | None, keepdim: bool) -> Any:
        if not (a.size if dim is None else a.shape[dim] if a.ndim else 1):
            raise ValueError("Expected reduction dim to be specified for input.numel() == 0.")
        if a.dtype.kind == "V":
            a = a.astype(np.float32)
        found = getattr(a, name)(axis=dim)
        found = np.asarray(found) if isinstance(found, np.generic) else found
        if keepdim:
            ones = [1] * a.ndim
            found = np.expand_dims(found, dim) if dim is not None else found.reshape(ones)
        return found.astype(np.int64, copy=False)

    return op(name, kernel, "a", samples=lambda s: [((s(3, 2),), {"dim": 1, "keepdim": False})])


ARGMAX, ARGMIN = _arg_kernel("argmax"), _arg_kernel("argmin")


@function()
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Index of the first largest element (of the flattened tensor if no dim is given)."""
    return _arg(ARGMAX, input, dim, keepdim)


@function()
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Index of the first smallest element (of the flattened tensor if no dim is given)."""
    return _arg(ARGMIN, input, dim, keepdim)


def _arg(record: Any, input: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    if input._data.dtype.kind == "b":
        raise RuntimeError(f"{record.name}(): does not support bool input")
    return apply(record, input, dim=_dim_or_none(dim, input), keepdim=keepdim)


def _dim_or_none(dim: int | None, input: Tensor) -> int | None:
    if dim is None:
        return None
    d = axis(dim, input.ndim)
    return d if input.ndim else None


def _max_or_min(name: str, largest: Any, arg: Any, two: Any) -> None:
    def call(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        if isinstance(dim, Tensor) or other is not None:
            return two(input, dim if other is None else other)
        if dim is None:
            return apply(largest, input, dim=axes(None, input.ndim), keepdim=False)
        index = apply(arg, input, dim=_dim_or_none(dim, input), keepdim=True)
        values = input.gather(dim, index) if input.ndim else input
        if not keepdim and input.ndim:
            values, index = values.squeeze(dim), index.squeeze(dim)
        return pair(values, index)

    call.__name__ = name
    call.__doc__ = (
        f"``{name}(input)`` of all elements; ``{name}(input, dim)`` returns (values, indices); "
        f"``{name}(input, other)`` elementwise of two."
    )
    function()(call)


from framework.ops.pointwise import maximum, minimum  # noqa: E402

_max_or_min("max", AMAX, ARGMAX, maximum)
_max_or_min("min", AMIN, ARGMIN, minimum)


# -- spread ----------------------------------------------------------------------------------


@function()
@composite
def var(
    input: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False, *,
    correction: Any = None,
) -> Tensor:  # fmt: skip
    """The variance: squared distance from the mean, summed, over (n - correction).

    The correction is 1 (unbiased) unless given.
    """
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    dims = axes(dim, input.ndim)
    n = math.prod(input.shape[d] for d in dims)
    by = float(int(unbiased) if correction is None else correction)
    centred = input - mean(input, dims, True) if input.ndim else input - input
    total = (centred * centred).sum(dims, keepdim)
    return total / (n - by) if n > by else total * math.nan


@function()
@composite
def std(
    input: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False, *,
    correction: Any = None,
) -> Tensor:  # fmt: skip
    """The standard deviation: the square root of `var`."""
    return var(input, dim, unbiased, keepdim, correction=correction).sqrt()


def _logsumexp_kernel(a: Any, *, dim: tuple[int, ...], keepdim: bool) -> Any:
    wide = _wide(a)
    x = a if wide is None else a.astype(wide)
    top = x.max(axis=dim, keepdims=True)
    top = np.where(np.isfinite(top), top, x.dtype.type(0))
    total = np.log(np.exp(x - top).sum(axis=dim, keepdims=True)) + top
    if not keepdim:
        total = total.reshape([n for i, n in enumerate(a.shape) if i not in dim])
    return total.astype(a.dtype, copy=False)


LOGSUMEXP = op(
    "logsumexp", _logsumexp_kernel, "a", rule="float",
    grad=(lambda g, a, y, dim, keepdim: _with_dims(g, a.shape, dim, keepdim)
          * (a - _with_dims(y, a.shape, dim, keepdim)).exp(),),
    samples=lambda s: [
        ((s(3, 2),), {"dim": (1,), "keepdim": False}),
        ((s(3, 2),), {"dim": (0, 1), "keepdim": True}),
    ],
)  # fmt: skip


@function()
def logsumexp(input: Tensor, dim: Dim, keepdim: bool = False) -> Tensor:
    """log(sum(exp(input))) over dimensions, without overflow."""
    return apply(LOGSUMEXP, input, dim=axes(dim, input.ndim), keepdim=keepdim)


@function()
@composite
def norm(
    input: Tensor, p: Any = "fro", dim: Dim = None, keepdim: bool = False, dtype: Any = None
) -> Tensor:
    """The p-norm of all elements or over dimensions; "fro" is the 2-norm; inf and 0 too.

    At zero the 2-norm has the subgradient zero.
    """
    input = _cast_in(input, dtype)
    if input.dtype.category < FLOAT:
        raise RuntimeError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. Got "
            f"{input.dtype}"
        )
    dims = axes(dim, input.ndim)
    size = input.abs()
    if p in ("fro", None, 2, 2.0):
        return apply(NORM2, input, dim=dims, keepdim=keepdim)
    if p == math.inf:
        return amax(size, dims, keepdim)
    if p == -math.inf:
        return amin(size, dims, keepdim)
    if p == 0:
        return (input != 0).to(input.dtype).sum(dims, keepdim)
    if p == 1:
        return size.sum(dims, keepdim)
    return (size**p).sum(dims, keepdim) ** (1.0 / p)


def _norm_grad(g: Any, a: Any, y: Any, dim: Any, keepdim: bool) -> Any:
    from framework.ops.pointwise import where

    y = _with_dims(y, a.shape, dim, keepdim)
    scale = where(y == 0, 0.0, 1.0 / where(y == 0, 1.0, y))
    return _with_dims(g, a.shape, dim, keepdim) * a * scale


def _norm_kernel(a: Any, *, dim: tuple[int, ...], keepdim: bool) -> Any:
    wide = _wide(a)
    x = a if wide is None else a.astype(wide)
    x = np.abs(x) if x.dtype.kind == "c" else x
    return np.sqrt(np.square(x).sum(axis=dim, keepdims=keepdim)).astype(
        a.real.dtype if a.dtype.kind == "c" else a.dtype, copy=False
    )


NORM2 = op(
    "norm", _norm_kernel, "a", rule="float", grad=(_norm_grad,),
    samples=lambda s: [
        ((s(3, 2),), {"dim": (0, 1), "keepdim": False}),
        ((s(3, 2),), {"dim": (1,), "keepdim": True}),
    ],
)  # fmt: skip


# -- truth -----------------------------------------------------------------------------------

ANY = op("any", lambda a, *, dim, keepdim: a.astype(bool).any(axis=dim, keepdims=keepdim), "a")
ALL = op("all", lambda a, *, dim, keepdim: a.astype(bool).all(axis=dim, keepdims=keepdim), "a")


@function()
def any(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Whether any element is non-zero."""
    return apply(ANY, input, dim=axes(dim, input.ndim), keepdim=keepdim)


@function()
def all(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Whether all elements are non-zero."""
    return apply(ALL, input, dim=axes(dim, input.ndim), keepdim=keepdim)


@function()
def count_nonzero(input: Tensor, dim: Dim = None) -> Tensor:
    """How many elements are not zero."""
    return (input != 0).sum(dim)


# -- cumulative ------------------------------------------------------------------------------


def _cumulative(name: str) -> Any:
    def kernel(a: Any, *, dim: int) -> Any:
        if not a.ndim:
            return a.copy()
        kind = np.int64 if a.dtype.kind in "iub" else None
        return getattr(a, name)(axis=dim, dtype=kind)

    return kernel


CUMSUM = op(
    "cumsum", _cumulative("cumsum"), "a",
    grad=(lambda g, dim: apply(CUMSUM, g.flip(dim), dim=dim).flip(dim) if g.ndim else g,),
    samples=lambda s: [((s(3, 2),), {"dim": 0}), ((s(),), {"dim": 0})],
)  # fmt: skip


def _cumprod_grad(g: Any, a: Any, y: Any, dim: int) -> Any:
    """For non-zero input the sum of later outputs over this input; with zeros, by expansion."""
    if not a.ndim:
        return g
    if not bool((a._data == 0).any()):
        return cumsum((g * y).flip(dim), dim).flip(dim) / a
    parts = []
    n = a.shape[dim]
    for i in range(n):
        before = a.narrow(dim, 0, i).prod(dim, True) if i else a.narrow(dim, 0, 1) * 0 + 1
        rest = [before]
        for j in range(i + 1, n):
            rest.append(rest[-1] * a.narrow(dim, j, 1))
        part = rest[0] * g.narrow(dim, i, 1)
        for j in range(i + 1, n):
            part = part + rest[j - i] * g.narrow(dim, j, 1)
        parts.append(part)
    from framework.ops.shape import cat

    return cat(parts, dim)


CUMPROD = op(
    "cumprod", _cumulative("cumprod"), "a", grad=(_cumprod_grad,),
    samples=lambda s: [((s.away(3, 2),), {"dim": 0}), ((s.away(4),), {"dim": 0})],
)  # fmt: skip


@function()
def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running sums along a dimension."""
    input = _cast_in(input, dtype)
    return apply(CUMSUM, input, dim=axis(dim, input.ndim))


@function()
def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running products along a dimension."""
    input = _cast_in(input, dtype)
    return apply(CUMPROD, input, dim=axis(dim, input.ndim))


@function(namespaces=())
def sum_to_size(self: Tensor, *size: Any) -> Tensor:
    """The sum over the dimensions in which this tensor is larger than ``size``: un-broadcasting."""
    shape = tuple(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    extra = self.ndim - len(shape)
    dims = tuple(range(extra)) + tuple(
        [i + extra for i, n in enumerate(shape) if n == 1 and self._data.shape[i + extra] != 1]
    )
    result = sum(self, dims, True) if dims else self
    return result.reshape(shape) if extra else result
