"""Picking and writing along one dimension: gather and scatter, index_select and index_add, ..."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework.cautions import caution_once
from framework.core.dispatch import apply, composite, one_device
from framework.core.registry import function, op
from framework.core.saved import values_known
from framework.dtypes import COMPLEX, FLOAT, converted, int64
from framework.kernels import module_of
from framework.kernels.compiled import LARGE
from framework.kernels.floats import type_name
from framework.kernels.indices import known
from framework.kernels.places import combine_at
from framework.kernels.sums import add_along, pick_along, put_along
from framework.ops.dims import axis, numpy_names, wide_type
from framework.ops.indexing import INDEX, INDEX_PUT, SLICE, add_at, extent, index_array
from framework.ops.pointwise import where
from framework.tensor import Tensor, wrap

__all__ = [
    "gather", "index_add", "index_copy", "index_fill", "index_reduce", "index_select", "scatter",
    "scatter_add", "scatter_reduce", "take_along_dim",
]  # fmt: skip


# -- kernels: an index of the result's (gather) or the source's (scatter) shape ---------------


def _in_bounds(index: Any, size: int, dim: int) -> Any:
    """The index as int64, checked: NumPy would take negative ones, CuPy wraps in silence."""
    if index.size and not known.depth:
        low, high = extent(index)
        if low < 0 or high >= size:
            raise RuntimeError(
                f"index {low if low < 0 else high} is out of bounds for dimension {dim} with size "
                f"{size}"
            )
    return index.astype(np.int64, copy=False)


def _gather_kernel(a: Any, index: Any, *, dim: int) -> Any:
    if not index.size:
        return module_of(a).empty(index.shape, a.dtype)
    if not a.ndim or not index.ndim:
        return _gather_kernel(a.reshape(-1), index.reshape(-1), dim=0).reshape(index.shape)
    index = _in_bounds(index, a.shape[dim], dim)
    found = pick_along(a, index, dim)
    if found is not None:
        return found
    part = a[tuple([slice(None) if d == dim else slice(0, n) for d, n in enumerate(index.shape)])]
    return np.take_along_axis(part, index, dim)


def _places(index: Any, shape: tuple[int, ...], dim: int) -> Any:
    """Where in a result of this shape, flattened, ``[..., index, ...]`` stands."""
    if not shape or not index.ndim:
        return index.reshape(-1)
    xp = module_of(index)
    places = index * math.prod(shape[dim + 1 :])
    for d, n in enumerate(index.shape):
        if d != dim:
            line = xp.arange(n) * math.prod(shape[d + 1 :])
            places = places + line.reshape([-1 if k == d else 1 for k in range(index.ndim)])
    return places.reshape(-1)


def _copied(a: Any) -> Any:
    """A copy in C order. A zero that stands for all is not read: fresh memory has it."""
    one = a.__class__ is np.ndarray and a.dtype.kind in "fiu" and a.size and not any(a.strides)
    if one and not a.item(0) and math.copysign(1, a.item(0)) > 0:
        return np.zeros(a.shape, a.dtype)
    return a.copy(order="C")


def _flat(a: Any, index: Any, src: Any, dim: int) -> tuple[Any, Any, Any]:
    """(a copy of ``a``, places, values), all flattened; narrow floats as float32."""
    index = _in_bounds(index, a.shape[dim] if a.ndim else 1, dim)
    wide = wide_type(a)
    result = _copied(a).reshape(-1) if wide is None else a.reshape(-1).astype(wide)
    if not hasattr(src, "reshape"):
        src = module_of(a).asarray(src)  # a number: of its own type, so that nothing is cut off
    src = src.reshape(-1).astype(result.dtype, copy=False)
    return result, _places(index, a.shape, dim), src


def _scatter_kernel(a: Any, index: Any, src: Any, *, dim: int) -> Any:
    if a.__class__ is np.ndarray and index.size >= LARGE and a.dtype is getattr(src, "dtype", None):
        result, index = _copied(a), _in_bounds(index, a.shape[dim] if a.ndim else 1, dim)
        if src.shape == index.shape and put_along(result, index, src, dim):
            return result
    result, places, values = _flat(a, index, src, dim)
    result[places] = values
    return result.reshape(a.shape).astype(a.dtype, copy=False)


def _scatter_add_kernel(a: Any, index: Any, src: Any, *, dim: int) -> Any:
    if a.__class__ is np.ndarray and index.size >= LARGE and a.dtype is getattr(src, "dtype", None):
        result, index = _copied(a), _in_bounds(index, a.shape[dim] if a.ndim else 1, dim)
        if add_along(result, index, src, dim):
            return result
    result, places, values = _flat(a, index, src, dim)
    add_at(result, places, values)
    return result.reshape(a.shape).astype(a.dtype, copy=False)


_UFUNCS = {"prod": "multiply", "amax": "maximum", "amin": "minimum"}


def _scatter_reduce_kernel(a: Any, index: Any, src: Any, *, dim: int, reduce: str) -> Any:
    if reduce != "prod" and a.dtype.kind == "c":
        raise NotImplementedError(f"\"scatter_reduce\" not implemented for '{type_name(a)}'")
    result, places, values = _flat(a, index, src, dim)
    combine_at(_UFUNCS[reduce], result, places, values)
    return result.reshape(a.shape).astype(a.dtype, copy=False)


def _again(record: Any, *args: Any, dim: int) -> Any:
    """An op on an index that an op before has looked at."""
    with known:
        return apply(record, *args, dim=dim)


GATHER = op(
    "gather", _gather_kernel, "a index",
    grad=(lambda g, n, index, dim: _again(
        SCATTER_ADD, g.new_zeros(()).expand(n.shape(0)), index, g, dim=dim), None),
    samples=lambda s: [((s(3, 2), wrap(np.array([[0, 1], [1, 1]]))), {"dim": 1})],
)  # fmt: skip
SCATTER = op(
    "scatter", _scatter_kernel, "a index src",
    grad=(
        lambda g, index, dim: _again(SCATTER, g, index, 0.0, dim=dim),
        None,
        lambda g, index, dim: _again(GATHER, g, index, dim=dim),
    ),
    samples=lambda s: [((s(3, 2), wrap(np.array([[0, 1], [1, 0]])), s(2, 2)), {"dim": 1})],
)  # fmt: skip
SCATTER_ADD = op(
    "scatter_add", _scatter_add_kernel, "a index src",
    grad=(lambda g: g, None, lambda g, index, dim: _again(GATHER, g, index, dim=dim)),
    samples=lambda s: [((s(3, 2), wrap(np.array([[0, 1], [1, 1]])), s(2, 2)), {"dim": 1})],
)  # fmt: skip


def _reduce_grad(
    g: Any, n: Any, a: Any, index: Any, src: Any, y: Any, dim: int, reduce: str
) -> tuple[Any, ...]:
    rule = _prod_grad if reduce == "prod" else _extreme_grad
    return rule(g, n, a, index, src, y, dim)


def _prod_grad(
    g: Any, n: Any, a: Any, index: Any, src: Any, y: Any, dim: int
) -> tuple[Any, Any, Any]:
    """The product of the other factors; of the sources without division by zero."""
    to_self = to_src = None
    if n.needs(0):
        others = apply(SCATTER_REDUCE, g.new_ones(a.shape), index, src, dim=dim, reduce="prod")
        to_self = g * others
    if n.needs(2):
        zero = src == 0
        count = apply(SCATTER_ADD, g.new_zeros(a.shape), index, zero.to(g.dtype), dim=dim)
        only = zero & (count.gather(dim, index) == 1)
        full = src.masked_fill(zero, 1)
        rest = apply(SCATTER_REDUCE, a, index, src.masked_fill(only, 1), dim=dim, reduce="prod")
        to_src = where(only, (g * rest).gather(dim, index), (g * y).gather(dim, index) / full)
    return to_self, None, to_src


def _extreme_grad(
    g: Any, n: Any, a: Any, index: Any, src: Any, y: Any, dim: int
) -> tuple[Any, Any, Any]:
    """Shared evenly among equal extremes."""
    mine, theirs = (a == y).to(g.dtype), (src == y.gather(dim, index)).to(g.dtype)
    share = g / apply(SCATTER_ADD, mine, index, theirs, dim=dim)
    return share * mine, None, share.gather(dim, index) * theirs if n.needs(2) else None


SCATTER_REDUCE = op(
    "scatter_reduce", _scatter_reduce_kernel, "a index src", grad=_reduce_grad,
    samples=lambda s: [
        ((s(3, 2), wrap(np.array([[0, 1], [1, 1]])), s(2, 2)), {"dim": 1, "reduce": reduce})
        for reduce in ("prod", "amax", "amin")
    ],
)  # fmt: skip


# -- gather and scatter ----------------------------------------------------------------------


def _checked_index(input: Tensor, index: Tensor, name: str) -> None:
    if index._data.size and index._data.dtype not in (np.int64, np.int32):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")


def _rank(t: Tensor) -> int:
    return max(t._data.ndim, 1)


@function(checks=True, out="exact apart")
@numpy_names
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """``out[i][j] = input[index[i][j]][j]`` (for dim 0): elements picked along a dimension.

    ``index`` has as many dimensions as ``input`` and may be smaller in all but ``dim``; the result
    has its shape.

    Raises:
        RuntimeError: an index is out of range or no integer, or its shape does not fit.
        IndexError: a dimension out of range.

    >>> import framework as torch
    >>> torch.tensor([[1, 2], [3, 4]]).gather(1, torch.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])
    """
    d = axis(dim, input.ndim)
    _checked_index(input, index, "gather")
    shape, sizes = input._data.shape, index._data.shape
    if index._data.size:
        if _rank(index) != _rank(input):
            raise RuntimeError(
                "Index tensor must have the same number of dimensions as input tensor"
            )
        for k, (m, n) in enumerate(zip(sizes, shape)):
            if k != d and m > n:
                raise RuntimeError(
                    f"Size does not match at dimension {k} expected index {list(sizes)} to be no "
                    f"larger than self {list(shape)} apart from dimension {d}"
                )
    return apply(GATHER, input, index, dim=d)


@function(checks=True, out="exact apart")
@numpy_names
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`gather` with broadcasting of the other dimensions; of the flattened tensor without dim.

    Indices are int64 and count from the end if they are negative. RuntimeError for other types and
    another number of dimensions.

    >>> import framework as torch
    >>> x = torch.tensor([[3, 1], [2, 5]])
    >>> torch.take_along_dim(x, x.argmax(1, keepdim=True), 1)
    tensor([[3],
            [5]])
    """
    if indices._data.dtype != np.int64:
        raise RuntimeError(
            f"torch.take_along_dim(): dtype of indices should be Long but got "
            f"{type_name(indices._data)}"
        )
    if dim is None:
        input, indices, dim = input.reshape(-1), indices.reshape(-1), 0
    if input.ndim != indices.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, "
            f"but got {input.ndim} dimensions for input, and {indices.ndim} dimensions for indices"
        )
    d = axis(dim, input.ndim)
    shape = list(np.broadcast_shapes(
        [1 if i == d else n for i, n in enumerate(input.shape)],
        [1 if i == d else n for i, n in enumerate(indices.shape)],
    ))  # fmt: skip
    if not shape:
        return gather(input, 0, indices)
    wide = list(shape)
    shape[d], wide[d] = input.shape[d], indices.shape[d]
    return gather(input.expand(*shape), d, (indices % max(shape[d], 1)).expand(*wide))


def _source(input: Tensor, index: Tensor, src: Any, d: int, name: str = "scatter") -> Any:
    """The part of ``src`` that the index is about, after the checks of all scatters."""
    _checked_index(input, index, name)
    number = not isinstance(src, Tensor)
    if number and isinstance(src, (int, float, complex)):
        converted(src, input.dtype)  # refuses what the type does not hold
        if isinstance(src, complex) and input.dtype.category != COMPLEX:
            src = src.real
    if not number and src._data.dtype != input._data.dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype")
    if not index._data.size:
        return src if number else src.reshape(-1)[:0].reshape(index.shape)
    sizes, shape = index._data.shape, input._data.shape
    have = () if number else src._data.shape
    for other, kind in ((input, "self"),) if number else ((input, "self"), (src, "src")):
        if _rank(index) != _rank(other):
            raise RuntimeError(
                f"Index tensor must have the same number of dimensions as {kind} tensor"
            )
    for k, n in enumerate(sizes):
        if (k != d and shape and n > shape[k]) or (have and n > have[k]):
            raise RuntimeError(
                f"Expected index {list(sizes)} to be no larger than self {list(shape)} apart from "
                f"dimension {d}"
                + ("" if number else f" and to be no larger size than src {list(have)}")
            )
    if number:
        return src
    if have == sizes:
        return src
    if not have or not sizes:
        return src.reshape(-1)[:1].reshape(sizes)
    return apply(SLICE, src, index=tuple([slice(0, n) for n in sizes]))


@function(inplace=True, checks=True, out="exact")
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None,
    reduce: str | None = None,
) -> Tensor:  # fmt: skip
    """The inverse of `gather`: ``out[index[i][j]][j] = src[i][j]`` (for dim 0), a copy of the rest.

    Args:
        src: a tensor of ``input``'s type, or one number.
        reduce: "add" or "multiply" with what is there.

    RuntimeError for an index out of range, or larger than ``src`` or (apart from ``dim``)
    ``input``, and for a ``src`` of another type.

    >>> import framework as torch
    >>> torch.zeros(3).scatter(0, torch.tensor([2, 0]), torch.tensor([5.0, 6.0]))
    tensor([6., 0., 5.])
    """
    if reduce not in (None, "add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    d = axis(dim, input.ndim)
    values = _source(input, index, src if value is None else value, d)
    if reduce is not None and isinstance(src, Tensor):
        caution_once(
            "The reduce argument of torch.scatter with Tensor src is deprecated and will be "
            "removed in a future PyTorch release. Use torch.scatter_reduce instead for more "
            "reduction options."
        )
    if reduce == "multiply":
        return apply(SCATTER_REDUCE, input, index, values, dim=d, reduce="prod")
    return apply(SCATTER_ADD if reduce else SCATTER, input, index, values, dim=d)


@function(inplace=True, checks=True, out="exact")
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """`scatter` that adds, repeated indices counted each time; errors as there.

    >>> import framework as torch
    >>> torch.zeros(2).scatter_add(0, torch.tensor([1, 1]), torch.tensor([5.0, 6.0]))
    tensor([ 0., 11.])
    """
    d = axis(dim, input.ndim)
    return apply(SCATTER_ADD, input, index, _source(input, index, src, d), dim=d)


def _identity(input: Tensor, reduce: str) -> Any:
    """What leaves every other number as it is."""
    if reduce in ("sum", "mean", "prod"):
        return int(reduce == "prod")
    dtype = input._data.dtype
    if input.dtype.category >= FLOAT:
        return -math.inf if reduce == "amax" else math.inf
    if dtype.kind == "b":
        return reduce == "amin"
    return int(np.iinfo(dtype).min if reduce == "amax" else np.iinfo(dtype).max)


def _reduced(
    input: Tensor, index: Tensor, src: Tensor, d: int, reduce: str, include_self: bool
) -> Tensor:
    start = input
    if not include_self:
        start = apply(SCATTER, input, index, _identity(input, reduce), dim=d)
    if reduce not in ("sum", "mean"):
        return apply(SCATTER_REDUCE, start, index, src, dim=d, reduce=reduce)
    total = apply(SCATTER_ADD, start, index, src, dim=d)
    if reduce == "sum":
        return total
    one = src.detach() * 0 + 1
    ones = input.detach() * 0 + 1
    if not include_self:
        ones = apply(SCATTER, ones, index, 0, dim=d)
    count = apply(SCATTER_ADD, ones, index, one, dim=d)
    return total / count if input.dtype.category >= FLOAT else total // count


@function(inplace=True, checks=True, out="exact")
@composite
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """`scatter` of the sum, product, mean or extreme of all that goes to one place.

    Args:
        reduce: "sum", "prod", "mean", "amax" or "amin" (RuntimeError for another).
        include_self: whether what is there takes part.

    Equal extremes share the gradient. Errors as of `scatter`.

    >>> import framework as torch
    >>> x, index = torch.tensor([1.0, 5.0, 3.0]), torch.tensor([0, 0, 1])
    >>> torch.zeros(2).scatter_reduce(0, index, x, "amax")
    tensor([5., 3.])
    """
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}"
        )
    d = axis(dim, input.ndim)
    return _reduced(input, index, _source(input, index, src, d), d, reduce, include_self)


# -- a vector as index -----------------------------------------------------------------------


def _layout(d: int) -> tuple[Any, ...]:
    return (*(slice(None),) * d, index_array)


def _seen(index: Tensor) -> bool:
    """Whether the numbers can be looked at: not those of a batched tensor."""
    return values_known(index)


def _bad(index: Tensor, size: int) -> int | None:
    """An index that is out of range."""
    if known.depth or not _seen(index) or not index._data.size:
        return None
    low, high = extent(index._data)
    return low if low < 0 else high if high >= size else None


def _size(input: Tensor, d: int) -> int:
    return input._data.shape[d] if input.ndim else 1


def _as_vector(input: Tensor) -> Tensor:
    """A 0-d tensor counts as having one dimension."""
    return input if input.ndim else input.reshape(1)


@function(checks=True, out="exact apart")
@numpy_names
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Slices picked along a dimension by a 1-d index, int32 or int64: a copy.

    Raises:
        IndexError: an index or a dimension out of range, or an index of more dimensions.
        RuntimeError: an index of another type.

    >>> import framework as torch
    >>> torch.tensor([[1, 2], [3, 4]]).index_select(1, torch.tensor([1, 1]))
    tensor([[2, 2],
            [4, 4]])
    """
    if index.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    d = axis(dim, input.ndim)
    if index._data.dtype not in (np.int64, np.int32):
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    if index._device is not input._device:
        one_device("index_select", input, index)
    if _bad(index, _size(input, d)) is not None:
        raise IndexError("index out of range in self")
    if not input.ndim:
        if index._data.size != 1:
            raise RuntimeError("index_select(): Index to scalar can have only 1 value, got "
                               f"{index._data.size} value(s)")  # fmt: skip
        return input.clone()
    index = index.reshape(-1)
    if _seen(index):
        with known:
            found = apply(INDEX, input, index, layout=_layout(d))
    else:
        found = apply(INDEX, input, index, layout=_layout(d))
    return found if found.is_sparse else found.contiguous()


def _vector_checked(
    input: Tensor, d: int, index: Tensor, source: Tensor, name: str, kinds: Any
) -> None:
    """What index_add and index_reduce refuse."""
    if index.ndim > 1:
        raise IndexError(
            f"{name}(): Index is supposed to be a vector, but got dim: {index.ndim} with type: "
            f"{type_name(index._data)} and size: {list(index.shape)}"
        )
    if index._data.dtype not in kinds:
        raise RuntimeError(
            f"{name}(): Expected dtype int32/int64 for index but got: {type_name(index._data)}"
        )
    if input._data.dtype != source._data.dtype:
        raise RuntimeError(
            f"{name}(): self ({type_name(input._data)}) and source ({type_name(source._data)}) "
            "must have the same scalar type"
        )
    if index._data.size != _size(source, d):
        raise RuntimeError(
            f"{name}(): Number of indices ({index._data.size}) should be equal to "
            f"source.size(dim): ({_size(source, d)}), for dim: {d}"
        )
    wanted, have = list(input.shape), list(source.shape)
    if len(have) > d and len(wanted) > d:
        wanted[d] = have[d] = 0
    if input.ndim and wanted != have:
        raise RuntimeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. "
            f"Got self.shape = {list(input.shape)} source.shape = {list(source.shape)}"
        )


@function(inplace=True, checks=True, out="exact")
@numpy_names
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """``input[index[i]] += alpha * source[i]`` along a dimension, repeats counted each time.

    ``source`` has ``input``'s type and shape, but one slice for each index.

    RuntimeError where it has not, and for an index out of range.

    >>> import framework as torch
    >>> torch.zeros(2).index_add(0, torch.tensor([1, 1]), torch.ones(2), alpha=3)
    tensor([0., 6.])
    """
    d = axis(dim, input.ndim)
    if input.ndim and source.ndim != input.ndim:
        raise RuntimeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. "
            f"Got self.shape = {list(input.shape)} source.shape = {list(source.shape)}"
        )
    _vector_checked(input, d, index, source, "index_add_", (np.int64, np.int32))
    _no_bad(index, _size(input, d), d)
    scaled = source if alpha.__class__ is int and alpha == 1 else source * alpha
    made = apply(
        INDEX_PUT, _as_vector(input), _as_vector(scaled), index.reshape(-1), layout=_layout(d),
        accumulate=True,
    )  # fmt: skip
    return made if input.ndim else made.reshape(())


def _no_bad(index: Tensor, size: int, d: int, prefix: str = "", kind: Any = RuntimeError) -> None:
    bad = _bad(index, size)
    if bad is not None:
        raise kind(f"{prefix}index {bad} is out of bounds for dimension {d} with size {size}")


@function(inplace=True, checks=True, out="exact")
@numpy_names
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """``input[index[i]] = source[i]`` along a dimension.

    ``source`` has ``input``'s type and shape, but one slice for each index.

    IndexError for an index out of range or another number of slices, RuntimeError for another type.

    >>> import framework as torch
    >>> torch.zeros(3).index_copy(0, torch.tensor([2, 0]), torch.tensor([5.0, 6.0]))
    tensor([6., 0., 5.])
    """
    d = axis(dim, input.ndim)
    if index.ndim > 1:
        raise IndexError(
            "index_copy_(): Index should have dimension 1 or 0 (got " + f"{index.ndim})"
        )
    if source.ndim != input.ndim and source.ndim and input.ndim:
        raise IndexError(
            "index_copy_(): When source and destination are not scalars, their dimensionality must "
            f"match. Source dimensionality ({source.ndim}), destination dimensionality "
            f"({input.ndim})"
        )
    if index._data.size != _size(source, d):
        raise IndexError(
            f"index_copy_(): Number of indices ({index._data.size}) should be equal to "
            f"source.size(dim) ({_size(source, d)})"
        )
    if index._data.dtype != np.int64:
        raise RuntimeError(
            f"index_copy_(): Expected a long tensor for index, but got {type_name(index._data)}"
        )
    if input._data.dtype != source._data.dtype:
        raise RuntimeError(
            "index_copy_(): self and source expected to have the same dtype, but got (self) "
            f"{type_name(input._data)} and (source) {type_name(source._data)}"
        )
    own, other = ([str(n) for i, n in enumerate(x.shape) if i != d] for x in (input, source))
    if own != other:
        raise RuntimeError(
            "index_copy_(): Source/destination tensor must have same slice shapes. Destination "
            f"slice shape: {' '.join(own)} at dimension {d} and source slice shape: "
            f"{' '.join(other)} at dimension 0."
        )
    _no_bad(index, _size(input, d), d, "index_copy_(): ", IndexError)
    made = apply(
        INDEX_PUT, _as_vector(input), _as_vector(source), index.reshape(-1), layout=_layout(d),
        accumulate=False,
    )  # fmt: skip
    return made if input.ndim else made.reshape(())


@function(inplace=True, checks=True)
@numpy_names
@composite
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """``input[index[i]] = value`` along a dimension; ``value`` is a number or a 0-d tensor.

    Negative indices count from the end. IndexError for one out of range and for another type than
    int64, RuntimeError for a ``value`` with dimensions.

    >>> import framework as torch
    >>> torch.zeros(3).index_fill(0, torch.tensor([0, 2]), 1)
    tensor([1., 0., 1.])
    """
    if index._data.dtype != np.int64:
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    if index.ndim > 1:
        raise RuntimeError("Index has to be a vector/scalar")
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                f"{value.ndim} dimension(s)."
            )
        complex_value = value.dtype.category == COMPLEX
    else:
        complex_value = isinstance(value, complex)
    if complex_value and input.dtype.category < COMPLEX:
        raise RuntimeError(
            "index_fill_(): Converting complex Scalar to non-complex type is not supported"
        )
    d = axis(dim, input.ndim)
    size = _size(input, d)
    if _seen(index) and index._data.size:
        low, high = int(index._data.min()), int(index._data.max())
        if low < -size or high >= size:
            raise IndexError(
                f"index {high if high >= size else low} is out of bounds for dimension {d} with "
                f"size {size}"
            )
    places = (index % max(size, 1)).reshape(-1)
    hit = apply(SCATTER, input.new_zeros(size, dtype=bool), places, True, dim=0)
    hit = hit.reshape([-1 if k == d else 1 for k in range(input.ndim)])
    return input.masked_fill(hit, value.to(input.dtype) if isinstance(value, Tensor) else value)


@function(inplace=True, checks=True, out="exact")
@numpy_names
@composite
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *,
    include_self: bool = True,
) -> Tensor:  # fmt: skip
    """`index_add` of products, means or extremes.

    Args:
        reduce: "prod", "mean", "amax" or "amin" (RuntimeError for another).
        include_self: whether what is there takes part.

    ``source`` has the shape of ``input``, but along ``dim`` that of the index (RuntimeError).
    IndexError for an index out of range.

    >>> import framework as torch
    >>> torch.ones(2).index_reduce(0, torch.tensor([1, 1]), torch.tensor([3.0, 5.0]), "prod")
    tensor([ 1., 15.])
    """
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(
            "index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got "
            f"{reduce}."
        )
    caution_once("index_reduce() is in beta and the API may change at any time.")
    d = axis(dim, input.ndim)
    _vector_checked(input, d, index, source, "index_reduce_", (np.int64, np.int32))
    if _bad(index, _size(input, d)) is not None:
        raise IndexError("index out of range in self")
    wide = source
    places = index.reshape([-1 if k == d else 1 for k in range(max(input.ndim, 1))])
    if not source.ndim:
        places = places.reshape(())
    places = places.to(int64).expand(wide.shape)
    return _reduced(input, places, wide, d, reduce, include_self)
