"""Reductions that combine all elements: sums, means, products, norms, truth.

Extremes are in `extremes`, running reductions in `scan`, spread and order statistics in
`statistics`. Integers accumulate to int64, float16 and bfloat16 in float32.
"""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from framework.core.dispatch import apply, composite
from framework.core.kinds import MISSING
from framework.core.registry import function, op, variant
from framework.core.saved import values_known
from framework.dtypes import COMPLEX
from framework.kernels import compiled, module_of, quick
from framework.kernels.floats import type_name
from framework.layout import in_rows
from framework.ops.dims import (
    Dim,
    axes,
    axis,
    cast_in,
    evenly,
    needs_elements,
    numpy_names,
    only_floating,
    spread,
    wide_type,
    with_dims,
)
from framework.ops.shape import ints
from framework.tensor import Tensor

__all__ = [
    "all", "any", "count_nonzero", "frobenius_norm", "hash_tensor", "logsumexp", "mean", "nanmean",
    "nansum", "norm", "norm_except_dim", "norm_grad", "nuclear_norm", "prod", "sum", "sum_to_size",
]  # fmt: skip

# -- sums ------------------------------------------------------------------------------------

_sum_first: Any = np.add.reduce


def _compiled_sum(a: Any, dim: tuple[int, ...], keepdim: bool, squared: bool = False) -> Any:
    """By a compiled kernel, over the last dimensions (or all) of a large array; else None.

    Of the elements, or of their squares. The first one may be among them, too: a channel's sum.
    """
    first = a.ndim - len(dim)
    if not (dim and compiled.is_plain_or_wide(a)):
        return None
    dim = tuple(sorted(dim))
    if dim != tuple(range(first, a.ndim)):
        if dim[0] or len(dim) == 1 or dim[1:] != tuple(range(first + 1, a.ndim)):
            return None
        part = _compiled_sum(a, dim[1:], keepdim, squared)
        return None if part is None else _sum_first(part, 0, None, None, keepdim)
    if not (kernels := compiled.family("sums")):
        return None
    kept = (1,) * len(dim) if keepdim else ()
    lines = a.reshape(math.prod(a.shape[:first]), -1)
    found = kernels.products(lines, lines) if squared else kernels.sums(lines)
    return found.reshape(a.shape[:first] + kept)


def _sum_kernel(a: Any, *, dim: tuple[int, ...], keepdim: bool) -> Any:
    found = _compiled_sum(a, dim, keepdim)
    if found is not None:
        return found
    wide = wide_type(a)
    if wide is not None:
        return in_rows(quick.total(a, dim, keepdim, wide).astype(a.dtype))
    kind = np.int64 if a.dtype.kind in "iub" else None
    return in_rows(quick.total(a, dim, keepdim, kind))


SUM = op(
    "sum", _sum_kernel, "a",
    grad=(lambda g, n, dim, keepdim: spread(g, n.shape(0), dim, keepdim),),
    samples=lambda s: [
        ((s(3, 2),), {"dim": (0, 1), "keepdim": False}),
        ((s(3, 2),), {"dim": (1,), "keepdim": True}),
        ((s(),), {"dim": (), "keepdim": False}),
    ],
)  # fmt: skip


def _mean_kernel(a: Any, *, dim: tuple[int, ...], keepdim: bool) -> Any:
    wide = wide_type(a)
    if wide is not None:
        a, narrow = a.astype(wide), a.dtype
        return _mean_kernel(a, dim=dim, keepdim=keepdim).astype(narrow)
    if not a.size:  # NaN, without NumPy's warning
        return a.sum(axis=dim, keepdims=keepdim) * a.dtype.type(np.nan)
    found = _compiled_sum(a, dim, keepdim)
    if found is not None:
        found /= a.dtype.type(math.prod([a.shape[d] for d in dim]))
        return found
    return in_rows(quick.mean(a, dim, keepdim))


def _mean_grad(g: Any, n: Any, dim: tuple[int, ...], keepdim: bool) -> Any:
    shape = n.shape(0)
    count = math.prod([shape[d] for d in dim])
    return spread(g / count if count else g, shape, dim, keepdim)


MEAN = op(
    "mean", _mean_kernel, "a", grad=(_mean_grad,),
    samples=lambda s: [
        ((s(3, 2),), {"dim": (0, 1), "keepdim": False}),
        ((s(3, 2),), {"dim": (0,), "keepdim": False}),
    ],
)  # fmt: skip


def _nansum_kernel(a: Any, *, dim: tuple[int, ...], keepdim: bool) -> Any:
    kept = quick.pick(np.isnan(a), a.dtype.type(0), a) if a.dtype.kind in "fV" else a
    return _sum_kernel(kept, dim=dim, keepdim=keepdim)


NANSUM = op(
    "nansum", _nansum_kernel, "a",
    grad=(lambda g, a, dim, keepdim: spread(g, a.shape, dim, keepdim) * (a == a),),
    samples=lambda s: [((s(3, 2),), {"dim": (1,), "keepdim": False})],
)  # fmt: skip
# Of everything PyTorch has functions of their own.
_SUM_ALL = variant(SUM, "SumBackward0")
_MEAN_ALL = variant(MEAN, "MeanBackward0")


@function(out="typed")
@numpy_names
def sum(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over some or all dimensions; integers and bools sum to int64.

    Args:
        dim: an int or several; None and () are all dimensions.
        keepdim: whether these dimensions stay, of size 1.
        dtype: cast to this type first; the result has it.

    Raises:
        IndexError: a dimension out of range.
        RuntimeError: a dimension that is given twice.

    >>> import framework as torch
    >>> torch.ones(2, 3).sum(dim=1)
    tensor([3., 3.])
    >>> torch.tensor([True, True]).sum()
    tensor(2)
    """
    if dtype is None:
        record = SUM if dim is not None else _SUM_ALL
        return apply(record, input, dim=axes(dim, input.ndim), keepdim=keepdim)
    return sum(input.to(dtype), dim, keepdim).to(dtype)


@function(out=True)
@numpy_names
def mean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over some or all dimensions (`dim` and `keepdim` as of `sum`); NaN of no elements.

    Raises:
        RuntimeError: ``input`` (or ``dtype``) is neither floating nor complex.
        IndexError: a dimension out of range.

    >>> import framework as torch
    >>> torch.tensor([[1.0, 3.0], [2.0, 6.0]]).mean(1, keepdim=True)
    tensor([[2.],
            [4.]])
    """
    given = input if dtype is None else input.to(dtype)
    only_floating(
        given,
        "mean(): could not infer output dtype. "
        f"{'Input' if dtype is None else 'Optional'} dtype must be either a floating point or "
        "complex dtype. Got: {got}",
    )
    record = MEAN if dim is not None else _MEAN_ALL
    return apply(record, given, dim=axes(dim, input.ndim), keepdim=keepdim)


@function(out=True)
@numpy_names
def nansum(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum of what is not NaN, over some or all dimensions: arguments and types as of `sum`.

    RuntimeError for complex numbers, IndexError for a dimension out of range.

    >>> import framework as torch
    >>> torch.tensor([1.0, torch.nan, 2.0]).nansum()
    tensor(3.)
    """
    if input.dtype.category == COMPLEX:
        raise RuntimeError("nansum on CPU does not support complex inputs")
    given = cast_in(input, dtype)
    total = apply(NANSUM, given, dim=axes(dim, input.ndim), keepdim=keepdim)
    return total if dtype is None else total.to(dtype)


@function(out=True)
@numpy_names
@composite
def nanmean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean of what is not NaN, over some or all dimensions; NaN where nothing is left.

    RuntimeError for integers and bools, IndexError for a dimension out of range.

    >>> import framework as torch
    >>> torch.tensor([1.0, torch.nan, 2.0]).nanmean()
    tensor(1.5000)
    """
    only_floating(
        input,
        "nanmean(): expected input to have floating point or complex dtype but got {got}",
    )
    count = (input == input).detach().sum(dim, keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / count


# -- products --------------------------------------------------------------------------------


def _prod_kernel(a: Any, *, dim: tuple[int, ...], keepdim: bool) -> Any:
    wide = wide_type(a)
    if wide is not None:
        return in_rows(quick.product(a, dim, keepdim, wide).astype(a.dtype))
    first = a.ndim - len(dim)
    if dim and compiled.is_plain_or_wide(a) and sorted(dim) == list(range(first, a.ndim)):
        lines = a.reshape(math.prod(a.shape[:first]), -1)
        if scans := compiled.family("scans"):
            kept = (1,) * len(dim) if keepdim else ()
            return scans.row_products(lines).reshape(a.shape[:first] + kept)
    kind = np.int64 if a.dtype.kind in "iub" else None
    return in_rows(quick.product(a, dim, keepdim, kind))


def _prod_grad(g: Any, a: Any, y: Any, dim: tuple[int, ...], keepdim: bool) -> Any:
    """The product of all *other* elements: by division, or from both sides where one is zero."""
    g, y = with_dims(g, a.shape, dim, keepdim), with_dims(y, a.shape, dim, keepdim)
    if values_known(a) and not (a._data == 0).any():
        return g * (y / a)
    from framework.ops.joining import cat
    from framework.ops.scan import cumprod

    if not a.ndim:
        return g
    tail = list(range(-len(dim), 0))
    last = a.movedim(dim, tail)
    kept = last.shape[: last.ndim - len(dim)]
    flat = last.reshape(*kept, math.prod(last.shape[len(kept) :]))
    one = flat[..., :1] * 0 + 1
    before = cumprod(cat([one, flat[..., :-1]], -1), -1)
    after = cumprod(cat([one, flat[..., 1:].flip(-1)], -1), -1).flip(-1)
    others = (before * after).reshape(last.shape)
    return g * others.movedim(tail, dim)


PROD = op(
    "prod", _prod_kernel, "a", grad=(_prod_grad,),
    samples=lambda s: [
        ((s(4),), {"dim": (0,), "keepdim": False}), ((s(2, 3),), {"dim": (1,), "keepdim": True}),
        ((s(2, 3) * s.mask(2, 3),), {"dim": (0, 1), "keepdim": False}),
        ((s(),), {"dim": (), "keepdim": False}),
    ],
)  # fmt: skip
_PROD_ALL = variant(PROD, "ProdBackward0")


@function(out="typed")
@numpy_names
def prod(input: Tensor, dim: int = MISSING, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The product of all elements or along one dimension; integers and bools multiply to int64.

    Args:
        dtype: cast to this type first; the result has it.

    Raises:
        IndexError: a dimension out of range.
        TypeError: more than one dimension.

    >>> import framework as torch
    >>> torch.tensor([1, 2, 3]).prod()
    tensor(6)
    """
    if isinstance(dim, (tuple, list)):
        raise TypeError("prod(): argument 'dim' must be int, not " + type(dim).__name__)
    if keepdim and dim is MISSING:
        raise TypeError("prod(): keepdim is for a dimension, and none is given")
    given = cast_in(input, dtype)
    record = _PROD_ALL if dim is MISSING else PROD
    dims = axes(None if dim is MISSING else dim, input.ndim)
    result = apply(record, given, dim=dims, keepdim=keepdim)
    return result if dtype is None else result.to(dtype)


# -- logarithms of sums, norms ---------------------------------------------------------------


def _logsumexp_kernel(a: Any, *, dim: tuple[int, ...], keepdim: bool) -> Any:
    wide = wide_type(a)
    x = a if wide is None else a.astype(wide)
    if not x.size:
        return np.log(np.exp(x).sum(axis=dim, keepdims=keepdim)).astype(a.dtype, copy=False)
    top = (x.real if x.dtype.kind == "c" else x).max(axis=dim, keepdims=True)
    top = np.where(np.isfinite(top), top, top.dtype.type(0))
    total = quick.total(np.exp(x - top), dim, keepdim)
    result = np.log(in_rows(total)) + top.reshape(total.shape)
    return in_rows(result.astype(a.dtype, copy=False))


LOGSUMEXP = op(
    "logsumexp", _logsumexp_kernel, "a", rule="float",
    grad=(lambda g, a, y, dim, keepdim: with_dims(g, a.shape, dim, keepdim)
          * (a - with_dims(y, a.shape, dim, keepdim)).exp(),),
    samples=lambda s: [
        ((s(3, 2),), {"dim": (1,), "keepdim": False}),
        ((s(3, 2),), {"dim": (0, 1), "keepdim": True}),
    ],
)  # fmt: skip


@function(namespaces=("", "special"), out=True)
@numpy_names
def logsumexp(input: Tensor, dim: Dim, keepdim: bool = False) -> Tensor:
    """log(sum(exp(input))) over dimensions, without overflow; -inf for no elements.

    Integers and bools give the default float type. IndexError for a dimension out of range.

    >>> import framework as torch
    >>> torch.logsumexp(torch.tensor([1000.0, 1000.0]), 0)
    tensor(1000.6932)
    """
    return apply(LOGSUMEXP, input, dim=axes(dim, input.ndim), keepdim=keepdim)


def _norm_kernel(a: Any, *, p: float, dim: tuple[int, ...], keepdim: bool) -> Any:
    narrow = a.real.dtype if a.dtype.kind == "c" else a.dtype
    wide = wide_type(a)
    x = a if wide is None else a.astype(wide)
    options: dict[str, Any] = {"axis": dim, "keepdims": keepdim}
    if p == 0:
        result = (x != 0).sum(**options)
    elif p == 2 and (found := _compiled_sum(a, dim, keepdim, squared=True)) is not None:
        result = np.sqrt(found)
    elif p == 2:
        square = np.square(x.real) + np.square(x.imag) if x.dtype.kind == "c" else np.square(x)
        result = np.sqrt(quick.total(square, dim, keepdim))
    elif p == 1:
        result = quick.total(np.abs(x), dim, keepdim)
    elif math.isinf(p):
        x = np.abs(x)
        result = x.max(**options) if p > 0 else x.min(**options)
    else:
        result = np.power(quick.total(np.power(np.abs(x), p), dim, keepdim), 1.0 / p)
    return in_rows(result.astype(narrow, copy=False))


def norm_grad(g: Any, a: Any, y: Any, p: float, dim: Any, keepdim: bool) -> Any:
    """PyTorch's subgradients: zero at zero, shared evenly among the largest for infinite p."""
    if p == 0:
        return a * 0
    g, y = with_dims(g, a.shape, dim, keepdim), with_dims(y, a.shape, dim, keepdim)
    if p == 2:
        return g * (a / y).masked_fill(y == 0, 0)
    size = a.abs()
    if math.isinf(p):
        hit = (size == y) | (size.isnan() & y.isnan())
        return a.sgn() * evenly(g, hit.to(g.dtype), dim)
    if p == 1:
        return a.sgn() * g
    if p < 1:
        return (a.sgn() * size.pow(p - 1)).masked_fill(a == 0, 0) * g * y.pow(1 - p)
    if p < 2:
        return (a.sgn() * size.pow(p - 1) * (g / y.pow(p - 1))).masked_fill(y == 0, 0)
    return a * size.pow(p - 2) * (g / y.pow(p - 1)).masked_fill(y == 0, 0)


NORM = op(
    "norm", _norm_kernel, "a", rule="float", grad=(norm_grad,),
    samples=lambda s: [
        ((s.away(3, 2),), {"p": p, "dim": dim, "keepdim": keepdim})
        for p, dim, keepdim in (
            (2, (0, 1), False), (2, (1,), True), (1, (0,), False), (0.5, (1,), False),
            (1.5, (0, 1), True), (3, (0,), False), (math.inf, (1,), False), (-1.0, (1,), False),
        )
    ],
)  # fmt: skip


@function(namespaces=("", "functional"), out="exact")
@numpy_names
def norm(
    input: Tensor, p: Any = "fro", dim: Dim = None, keepdim: bool = False, dtype: Any = None
) -> Tensor:
    """The p-norm of all elements or over dimensions, as of a vector.

    Args:
        p: a number, inf, -inf, "fro" (the 2-norm) or "nuc" (the sum of the singular values of the
            matrices in two dimensions).
        dtype: compute in this type.

    At zero the 2-norm has the subgradient zero. RuntimeError for integers, and for another word.

    >>> import framework as torch
    >>> torch.norm(torch.tensor([3.0, 4.0])), torch.norm(torch.tensor([3.0, -4.0]), 1)
    (tensor(5.), tensor(7.))
    """
    if dtype is not None:
        input = input.to(dtype)
    only_floating(
        input,
        "linalg.vector_norm: Expected a floating point or complex tensor as input. Got {got}",
    )
    if isinstance(p, str):
        if p == "nuc":
            return _nuclear(input, dim, keepdim)
        if p != "fro":
            raise RuntimeError(f"only valid string values are 'fro' and 'nuc', found {p}")
        p = 2
    order = 2.0 if p is None else float(p)
    dims = axes(dim, input.ndim)
    if not input._data.size and (order < 0 or order == math.inf):
        _refuse_empty(input, order, dims, dim)
    return apply(NORM, input, p=order, dim=dims, keepdim=keepdim)


@function(method=False, out=True)
def frobenius_norm(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The 2-norm over some or all dimensions, of floating or complex numbers (else RuntimeError).

    Kept for old code: `linalg.vector_norm` and `linalg.matrix_norm` say it better.

    >>> import framework as torch
    >>> torch.frobenius_norm(torch.tensor([[3.0, 4.0]]))
    tensor(5.)
    """
    return norm(input, "fro", dim, keepdim)


@function(method=False, out=True)
def nuclear_norm(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The sum of the singular values of matrices; kept for old code: see `linalg.matrix_norm`.

    ``dim``: the two dimensions of the matrices, the last two if not given. RuntimeError for
    fewer dimensions.

    >>> import framework as torch
    >>> torch.nuclear_norm(torch.eye(3))
    tensor(3.)
    """
    return norm(input, "nuc", dim, keepdim)


@function(method=False)
def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """The ``pow``-norms over all dimensions but ``dim``, which stay as ones; -1: over all, 0-d.

    What `nn.utils.weight_norm` divides by.

    >>> import framework as torch
    >>> torch.norm_except_dim(torch.tensor([[3.0, 4.0], [0.0, 2.0]]), 2, 0)
    tensor([[5.],
            [2.]])
    """
    if dim == -1:
        return norm(v, pow)
    kept = axis(dim, v.ndim)
    others = [d for d in range(v.ndim) if d != kept]
    return norm(v, pow, others, True) if others else v.abs()


def _refuse_empty(input: Tensor, p: float, dims: tuple[int, ...], dim: Dim) -> None:
    order = "inf" if p == math.inf else "-inf" if p == -math.inf else f"{p:g}"
    words = f"linalg.vector_norm cannot compute the {order} norm on an empty "
    why = " because the operation does not have an identity"
    if dim is None or len(dims) == input.ndim:
        raise RuntimeError(words + "tensor" + why)
    for d in dims:
        if not input._data.shape[d]:
            raise RuntimeError(words + f"dimension {d}" + why)


def _nuclear(input: Tensor, dim: Dim, keepdim: bool) -> Tensor:
    from framework.ops.linalg import matrix_norm

    if dim is None:
        if input.ndim != 2:
            raise RuntimeError(
                "linalg.matrix_norm: The input tensor A must have at least 2 dimensions."
                if input.ndim < 2
                else "Expected a tensor with 2 dimensions, but got a tensor with "
                f"{input.ndim} dimensions instead."
            )
        dim = (0, 1)
    return matrix_norm(input, "nuc", dim, keepdim)


# -- truth -----------------------------------------------------------------------------------


def _truth(name: str) -> Any:
    def kernel(a: Any, *, dim: tuple[int, ...], keepdim: bool) -> Any:
        found = a.astype(bool)
        found = in_rows(getattr(found, name)(axis=dim, keepdims=keepdim) if dim else found)
        # PyTorch's wart, kept for old code: truths of uint8 are uint8.
        return found.astype(np.uint8) if a.dtype == np.uint8 else found

    return op(name, kernel, "a", samples=lambda s: [((s(3, 2),), {"dim": (1,), "keepdim": False})])


ANY, ALL = _truth("any"), _truth("all")


def _asked(dim: Dim, ndim: int) -> tuple[int, ...]:
    """The dimensions; no dimension is none here, as in PyTorch, and not all as in a sum."""
    return () if dim.__class__ in (tuple, list) and not dim else axes(dim, ndim)


@function(out="exact")
@numpy_names
def any(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Whether any element is non-zero, over some or all dimensions: bool (uint8 for uint8).

    False for no elements. IndexError for a dimension out of range.

    >>> import framework as torch
    >>> torch.tensor([[0, 1], [0, 0]]).any(dim=1)
    tensor([ True, False])
    """
    return apply(ANY, input, dim=_asked(dim, input.ndim), keepdim=keepdim)


@function(out="exact")
@numpy_names
def all(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Whether all elements are non-zero, over some or all dimensions: bool (uint8 for uint8).

    True for no elements. IndexError for a dimension out of range.

    >>> import framework as torch
    >>> torch.tensor([[0, 1], [2, 3]]).all(dim=1)
    tensor([False,  True])
    """
    return apply(ALL, input, dim=_asked(dim, input.ndim), keepdim=keepdim)


def _count_kernel(a: Any, *, dim: tuple[int, ...]) -> Any:
    return in_rows(module_of(a).asarray((a != 0).sum(axis=dim, dtype=np.int64)))


COUNT_NONZERO = op("count_nonzero", _count_kernel, "a")


@function()
@numpy_names
def count_nonzero(input: Tensor, dim: Dim = None, *more: int) -> Tensor:
    """How many elements are not zero, over some or all dimensions, as int64.

    Several dimensions come as a tuple, to the method also one by one.

    IndexError for a dimension out of range.

    >>> import framework as torch
    >>> torch.tensor([[0, 2], [3, 4]]).count_nonzero(0)
    tensor([1, 2])
    """
    wanted: Any = (dim, *more) if more else dim
    return apply(COUNT_NONZERO, input, dim=axes(wanted, input.ndim))


# -- bits ------------------------------------------------------------------------------------


def _hash_kernel(a: Any, *, dim: tuple[int, ...], keepdim: bool) -> Any:
    if a.dtype.kind == "c":
        raise NotImplementedError(f"\"xor_sum_cpu\" not implemented for '{type_name(a)}'")
    wide = a.astype(np.float64 if a.dtype.kind in "fV" else np.int64)
    bits = wide.view(np.uint64) if wide.ndim else wide.reshape(1).view(np.uint64).reshape(())
    return np.asarray(module_of(a).bitwise_xor.reduce(bits, axis=dim, keepdims=keepdim))


HASH = op("hash_tensor", _hash_kernel, "a")


@function(out="exact")
@numpy_names
def hash_tensor(input: Tensor, dim: Dim = (), *, keepdim: bool = False, mode: int = 0) -> Tensor:
    """The exclusive or of the elements' bits as 64-bit numbers, as uint64.

    Floats count as float64, integers as int64. ``mode`` 0 is the only one there is. RuntimeError
    for another, and for no elements.

    >>> import framework as torch
    >>> torch.hash_tensor(torch.tensor([1, 2, 4]))
    tensor(7, dtype=torch.uint64)
    """
    if mode != 0:
        raise RuntimeError(f"Unknown hash_tensor mode: {mode}")
    if dim is None or (isinstance(dim, (tuple, list)) and not len(dim)):
        if not input._data.size:
            raise RuntimeError(
                "hash_tensor: Expected reduction dim to be specified for input.numel() == 0. "
                "Specify the reduction dim with the 'dim' argument."
            )
    else:
        needs_elements(input, dim, "hash_tensor")
    return apply(HASH, input, dim=axes(dim, input.ndim), keepdim=keepdim)


@function(namespaces=())
def sum_to_size(self: Tensor, *sizes: Any, size: Any = None) -> Tensor:
    """The sum over the dimensions in which this tensor is larger than ``size``: un-broadcasting.

    Raises:
        RuntimeError: ``size`` cannot be broadcast to the tensor's shape.

    >>> import framework as torch
    >>> torch.ones(2, 3).sum_to_size(2, 1)
    tensor([[3.],
            [3.]])
    """
    given = sizes if size is None else (size,)
    if not given:
        raise TypeError('sum_to_size() missing 1 required positional arguments: "size"')
    shape = ints(given)
    have = self._data.shape
    extra = len(have) - len(shape)
    if extra < 0 or builtins.any(n not in (1, h) for n, h in zip(shape, have[extra:])):
        raise RuntimeError(f"size {{{list(shape)}}} is not expandable to size {{{list(have)}}}.")
    if not shape:
        return sum(self)
    dims = tuple(range(extra)) + tuple(
        [i + extra for i, n in enumerate(shape) if n == 1 and have[i + extra] != 1]
    )
    result = sum(self, dims, True) if dims else self
    return result.reshape(shape) if extra else result
