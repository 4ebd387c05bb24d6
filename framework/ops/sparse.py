"""Sparse tensors in coordinate format (COO): making, reading, products, sums, softmax.

A sparse tensor is an ordinary tensor around a `framework.kernels.coo.CooArray`. Its values may want
gradients: what is computed from it is differentiated as everything else is, and gradients for a
sparse tensor are sparse at its own coordinates (PyTorch's "masked" semantics).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from framework import dtypes
from framework.core.dispatch import apply
from framework.core.registry import function, op
from framework.kernels import SparseOperand, module_of
from framework.kernels.coo import CooArray
from framework.layout import sparse_coo
from framework.ops.conversion import CLONE, FILL
from framework.ops.conversion import COPY as COPY_IN
from framework.ops.creation import in_pinned_memory
from framework.ops.dims import axes, axis
from framework.ops.indexing import INDEX, SLICE
from framework.ops.joining import CAT, cat, stack
from framework.ops.products import MATMUL
from framework.ops.reduce import NORM, SUM
from framework.ops.select import RELU
from framework.ops.shape import PERMUTE, RESHAPE
from framework.tensor import Tensor, tensor, wrap

__all__ = ["sparse_coo_tensor"]


def _only_sparse(x: Any, name: str) -> Any:
    """``x`` itself; refuses dense tensors in PyTorch's words."""
    if not isinstance(x._data, CooArray):
        raise RuntimeError(
            f"{name} expected sparse coordinate tensor layout but got {str(x.layout)[6:].title()}"
        )
    return x


# -- making ----------------------------------------------------------------------------------------


def _coo_kernel(indices: Any, values: Any, *, size: tuple[int, ...], coalesced: bool) -> Any:
    return CooArray(indices, values, size, coalesced)


def _values_at(g: Any, indices: Any) -> Any:
    """The elements of a gradient, dense or sparse, at coordinates."""
    if g.is_sparse:
        return apply(LOOKUP, g, indices)
    return g[tuple(indices.unbind(0))]


COO = op(
    "sparse_coo_tensor", _coo_kernel, "indices values",
    grad=(None, lambda g, indices: _values_at(g, indices)),
)  # fmt: skip


def _found(array: CooArray, indices: Any) -> tuple[CooArray, Any, Any]:
    """Where coordinates are in a coalesced array: (array, places, whether they are there)."""
    once = array.coalesce()
    keys, wanted = once.keys(), CooArray(indices, indices[0], array.shape).keys()
    place = np.searchsorted(keys, wanted)
    place = np.minimum(place, max(keys.shape[0] - 1, 0))
    there = keys[place] == wanted if keys.shape[0] else np.zeros(wanted.shape, bool)
    return once, place, there


def _lookup_kernel(a: Any, indices: Any) -> Any:
    once, place, there = _found(a, indices)
    xp = module_of(once.values)
    result = xp.zeros((indices.shape[1], *once.values.shape[1:]), once.dtype)
    result[there] = once.values[place[there]]
    return result


LOOKUP = op(
    "sparse_lookup", _lookup_kernel, "a indices",
    grad=(lambda g, indices, n: apply(COO, indices, g, size=n.shape(0), coalesced=False), None),
)  # fmt: skip


@function(method=False)
def sparse_coo_tensor(
    indices: Any, values: Any, size: Any = None, *, dtype: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False, check_invariants: bool | None = None,
    is_coalesced: Any = None,
) -> Tensor:  # fmt: skip
    """A sparse tensor: ``values`` at the coordinates ``indices``, zero elsewhere.

    Args:
        indices: int64[m, n], the coordinates in the first m dimensions, one column a value.
        values: [n, *dense shape]; their history is kept.
        size: the shape; by default the smallest that holds all coordinates.

    Raises:
        RuntimeError: a coordinate is negative or outside of ``size``; the numbers do not match.

    >>> import framework as torch
    >>> torch.sparse_coo_tensor([[0, 1], [2, 0]], [3.0, 4.0], (2, 3)).to_dense()
    tensor([[0., 0., 3.],
            [4., 0., 0.]])
    """
    from framework.ops.adopted import as_tensor

    place = as_tensor(indices, dtype=dtypes.int64, device=device)
    content = as_tensor(values, dtype=dtype, device=device)
    if not content.ndim:
        content = content.reshape(1)
    if place.ndim != 2:
        raise RuntimeError(
            "indices must be sparse_dim x nnz, but got: " + str(list(place.shape))
        )  # fmt: skip
    if place.shape[1] != content.shape[0]:
        raise RuntimeError(
            f"number of dimensions must be sparse_dim ({place.shape[0]}) + dense_dim "
            f"({content.ndim - 1}), and there are {place.shape[1]} coordinates for "
            f"{content.shape[0]} values"
        )
    shape = _size(place, content, size)
    if check_invariants and is_coalesced:
        flat = np.ravel_multi_index(tuple(place.numpy()), shape[: place.shape[0]])
        if (np.diff(flat) <= 0).any():
            raise RuntimeError(
                "cannot set is_coalesced to true if indices correspond to uncoalesced COO tensor"
            )
    result = apply(COO, place, content, size=shape, coalesced=bool(is_coalesced))
    if pin_memory:
        result = in_pinned_memory(result)
    return result.requires_grad_() if requires_grad else result


def _size(place: Tensor, content: Tensor, size: Any) -> tuple[int, ...]:
    """The given size, checked; or the smallest."""
    rows, dense = place._data, tuple(content.shape[1:])
    low = rows.min(1).tolist() if rows.size else []
    high = rows.max(1).tolist() if rows.size else []
    if size is None:
        if not rows.size:
            return (0,) * rows.shape[0] + dense
        return tuple([h + 1 for h in high]) + dense
    shape = tuple(size)
    if len(shape) != rows.shape[0] + len(dense):
        raise RuntimeError(
            f"number of dimensions must be sparse_dim ({rows.shape[0]}) + dense_dim "
            f"({len(dense)}), but got {len(shape)}"
        )
    for d, (least, most) in enumerate(zip(low, high)):
        if least < 0:
            raise RuntimeError(f"found negative index {least} for dim {d}")
        if most >= shape[d]:
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {d}, size is {shape[d]} but found "
                f"index {most}"
            )
    if shape[rows.shape[0] :] != dense:
        raise RuntimeError(
            f"values has incorrect size, expected {[rows.shape[1], *shape[rows.shape[0] :]]}, got "
            f"{list(content.shape)}"
        )
    return shape


# -- reading ---------------------------------------------------------------------------------------

COALESCE = op("coalesce", lambda a: a.coalesce(), "a", grad=(lambda g: g,))
VALUES = op(
    "sparse_values", lambda a: a.values, "a",
    grad=(lambda g, a: apply(COO, indices_of(a), g, size=tuple(a.shape),
                             coalesced=a._data.coalesced),),
)  # fmt: skip
INDICES = op("sparse_indices", lambda a: a.indices, "a")
TO_DENSE = op(
    "to_dense", lambda a: a.todense(), "a", grad=(lambda g, a: sparse_mask(g, a),)
)  # fmt: skip


def _to_sparse_kernel(a: Any, *, dims: int) -> Any:
    xp = module_of(a)
    rest = tuple(range(dims, a.ndim))
    kept = a != 0 if not rest else (a != 0).any(axis=rest)
    places = xp.stack(xp.nonzero(kept)).astype(np.int64)
    return CooArray(places, a[tuple(places)], a.shape, True)


TO_SPARSE = op(
    "to_sparse", _to_sparse_kernel, "a",
    grad=(lambda g: g.to_dense() if g.is_sparse else g,),
)  # fmt: skip


def indices_of(a: Tensor) -> Tensor:
    """The coordinates as they are stored."""
    return apply(INDICES, a)


def values_of(a: Tensor) -> Tensor:
    """The values of a coalesced tensor, with their history.

    A gradient is a function of the coordinates: it cannot tell equal ones apart, so a tensor that
    is not coalesced has to be before its values are taken with their history.
    """
    return apply(VALUES, a)


@function(namespaces=())
def coalesce(self: Tensor) -> Tensor:
    """The same sparse tensor with each coordinate once, sorted; values of equal ones are added up.

    A coalesced tensor is returned as it is. RuntimeError for a dense one.

    Shape and dtype stay.

    >>> import framework as torch
    >>> x = torch.sparse_coo_tensor([[1, 0, 1]], [1.0, 2.0, 3.0], (2,)).coalesce()
    >>> x.indices(), x.values()
    (tensor([[0, 1]]), tensor([2., 4.]))
    """
    _only_sparse(self, "coalesce")
    return self if self._data.coalesced else apply(COALESCE, self)


@function(namespaces=())
def is_coalesced(self: Tensor) -> bool:
    """Whether each coordinate of a sparse tensor is there once, in order.

    RuntimeError for a dense tensor.

    Of any shape and dtype.

    >>> import framework as torch
    >>> x = torch.sparse_coo_tensor([[1, 1]], [1.0, 2.0], (2,))
    >>> x.is_coalesced(), x.coalesce().is_coalesced()
    (False, True)
    """
    return bool(_only_sparse(self, "is_coalesced")._data.coalesced)


@function(namespaces=())
def indices(self: Tensor) -> Tensor:
    """The coordinates of a coalesced sparse tensor: int64 `(sparse_dim, n)`, one column a value.

    RuntimeError for a tensor that is not coalesced, or dense.

    >>> import framework as torch
    >>> torch.tensor([[0.0, 2.0]]).to_sparse().indices()
    tensor([[0],
            [1]])
    """
    return indices_of(_coalesced(self, "indices"))


@function(namespaces=())
def values(self: Tensor) -> Tensor:
    """The values of a coalesced sparse tensor: `(n, *dense shape)`, with their history.

    RuntimeError for a tensor that is not coalesced, or dense.

    Of the tensor's dtype.

    >>> import framework as torch
    >>> torch.tensor([[0.0, 2.0]]).to_sparse().values()
    tensor([2.])
    """
    return values_of(_coalesced(self, "values"))


def _coalesced(x: Tensor, name: str) -> Tensor:
    if not _only_sparse(x, name)._data.coalesced:
        raise RuntimeError(
            f"Cannot get {name} on an uncoalesced tensor, please call .coalesce() first"
        )
    return x


@function(namespaces=())
def _indices(self: Tensor) -> Tensor:
    """The coordinates as they are stored, also of a tensor that is not coalesced."""
    return indices_of(_only_sparse(self, "_indices"))


@function(namespaces=())
def _values(self: Tensor) -> Tensor:
    """The values as they are stored, without history."""
    return values_of(_only_sparse(self, "_values").detach())


@function(namespaces=())
def _nnz(self: Tensor) -> int:
    """How many values a sparse tensor stores."""
    return int(_only_sparse(self, "_nnz")._data.nnz)


@function(namespaces=())
def sparse_dim(self: Tensor) -> int:
    """Number of sparse dimensions, the first ones; 0 for a dense tensor.

    Of any dtype.

    >>> import framework as torch
    >>> torch.ones(2, 3).to_sparse(1).sparse_dim()
    1
    """
    return int(self._data.sparse_dim) if self.is_sparse else 0


@function(namespaces=())
def dense_dim(self: Tensor) -> int:
    """Number of dense dimensions, which come last: all of a dense tensor's.

    Of any dtype.

    >>> import framework as torch
    >>> torch.ones(2, 3).to_sparse(1).dense_dim()
    1
    """
    return self.ndim - sparse_dim(self)


@function(namespaces=())
def to_dense(self: Tensor, dtype: Any = None, *, masked_grad: bool = True) -> Tensor:
    """A dense copy of a sparse tensor, cast to ``dtype`` if one is given; a dense tensor as it is.

    The shape stays. TypeError for what is no dtype.

    >>> import framework as torch
    >>> torch.sparse_coo_tensor([[0, 1], [2, 0]], [3.0, 4.0], (2, 3)).to_dense()
    tensor([[0., 0., 3.],
            [4., 0., 0.]])
    """
    result = apply(TO_DENSE, self) if self.is_sparse else self
    return result if dtype is None else result.to(dtype)


@function(namespaces=())
def to_sparse(self: Tensor, sparse_dim: Any = None, *, layout: Any = None) -> Tensor:
    """A sparse copy: its non-zero elements, or slices of the last dimensions that are not zero.

    Args:
        sparse_dim: how many dimensions are sparse; all of them by default.
        layout: `torch.sparse_coo`, the only one there is.

    RuntimeError for fewer than one or more than all dimensions.

    >>> import framework as torch
    >>> torch.tensor([[0.0, 2.0]]).to_sparse()
    tensor(indices=tensor([[0],
                           [1]]),
           values=tensor([2.]),
           size=(1, 2), nnz=1, layout=torch.sparse_coo)
    """
    if layout is not None and layout is not sparse_coo:
        raise NotImplementedError(f"to_sparse: layout {layout} is not supported, only {sparse_coo}")
    if self.is_sparse:
        return self
    dims = self.ndim if sparse_dim is None else int(sparse_dim)
    if not 0 <= dims <= self.ndim or (not dims and self.ndim):
        raise RuntimeError(
            f"sparse_dim argument must be in >= 0 and <= {self.ndim}, but got {dims}"
        )
    return apply(TO_SPARSE, self, dims=dims)


@function(namespaces=())
def to_sparse_coo(self: Tensor) -> Tensor:
    """`to_sparse` in coordinate format: all dimensions are sparse.

    >>> import framework as torch
    >>> torch.tensor([[0.0, 2.0]]).to_sparse_coo().values()
    tensor([2.])
    """
    return to_sparse(self)


@function(namespaces=())
def sparse_mask(self: Tensor, mask: Tensor) -> Tensor:
    """The elements of ``self``, dense or sparse, at the coordinates of the sparse ``mask``.

    What ``self`` does not store is zero there. RuntimeError if the shapes differ or mask is dense.

    >>> import framework as torch
    >>> mask = torch.tensor([1.0, 0.0, 1.0]).to_sparse()
    >>> torch.tensor([5.0, 6.0, 7.0]).sparse_mask(mask).to_dense()
    tensor([5., 0., 7.])
    """
    _only_sparse(mask, "sparse_mask")
    if self.shape != mask.shape:
        raise RuntimeError(
            "sparse_mask(): operands have incompatible sizes; self has size "
            f"{list(self.shape)} but mask has size {list(mask.shape)}"
        )
    mask = coalesce(mask.detach())
    place = indices_of(mask)
    return apply(COO, place, _values_at(self, place), size=tuple(self.shape), coalesced=True)


# -- products --------------------------------------------------------------------------------------


def _csr(a: CooArray) -> Any:
    from scipy.sparse import csr_matrix

    return csr_matrix((a.values, (a.indices[0], a.indices[1])), shape=a.shape)


def _mm_kernel(a: Any, b: Any) -> Any:
    """Sparse by dense is dense, sparse by sparse is sparse; SciPy's compressed rows on the host."""
    if isinstance(a, CooArray) and isinstance(b, CooArray):
        product = (_csr(a) @ _csr(b)).tocoo()
        place = np.stack([product.row, product.col]).astype(np.int64)
        return CooArray(place, product.data, product.shape).coalesce()
    if isinstance(a, CooArray):
        return np.asarray(_csr(a) @ b)
    return np.ascontiguousarray((_csr(b.permuted((1, 0))) @ a.T).T)


def _mm_grad(g: Any, a: Any, b: Any) -> Any:
    return _mm_part(g, b, a, False), _mm_part(g, a, b, True)


def _mm_part(g: Any, other: Any, own: Any, right: bool) -> Any:
    """The gradient of one factor: at its own coordinates if it is sparse."""
    if not own.is_sparse:
        return mm(transposed(other), g) if right else mm(g, transposed(other))
    once = coalesce(own.detach())
    place = indices_of(once)
    if g.is_sparse or other.is_sparse:
        whole = mm(transposed(other), g) if right else mm(g, transposed(other))
        return sparse_mask(whole, once)
    rows, columns = place.unbind(0)
    left, across = (other.t()[rows], g.t()[columns]) if right else (g[rows], other[columns])
    picked = (left * across).sum(-1)
    return apply(COO, place, picked, size=tuple(own.shape), coalesced=True)


MM = op("sparse_mm", _mm_kernel, "a b", rule="same", grad=_mm_grad)


@function(method=False)
def spmm(mat1: Tensor, mat2: Tensor) -> Tensor:
    """Alias of `sparse.mm`."""
    return mm(mat1, mat2)


def transposed(a: Tensor) -> Tensor:
    """The transpose of a matrix, sparse or dense."""
    return permute(a, (1, 0)) if a.is_sparse else a.t()


@function(namespaces=("sparse",), method=False)
def mm(a: Tensor, b: Tensor) -> Tensor:
    """The product of two matrices of which any may be sparse: dense if one is dense.

    A sparse factor's gradient is sparse, at its own coordinates.

    RuntimeError if the shapes do not fit, or a sparse factor is no matrix.

    Both of one dtype, which the product has (RuntimeError for two).

    >>> import framework as torch
    >>> torch.sparse.mm(torch.eye(2).to_sparse(), torch.ones(2, 1)).tolist()
    [[1.0], [1.0]]
    """
    if not a.is_sparse and not b.is_sparse:
        return a @ b
    for x in (a, b):
        if x.ndim != 2 or (x.is_sparse and x._data.sparse_dim != 2):
            raise RuntimeError(
                f"mm: expected matrices, sparse ones in both dimensions, but got {list(x.shape)}"
            )
    if a.shape[1] != b.shape[0]:
        raise RuntimeError(
            "mat1 and mat2 shapes cannot be multiplied "
            f"({a.shape[0]}x{a.shape[1]} and {b.shape[0]}x{b.shape[1]})"
        )
    return apply(MM, a, b)


COO_PERMUTE = op(
    "sparse_permute", lambda a, *, dims: a.permuted(dims), "a",
    grad=(lambda g, dims: _permuted_back(g, dims),),
)  # fmt: skip


def _permuted_back(g: Any, dims: tuple[int, ...]) -> Any:
    back = tuple([dims.index(d) for d in range(len(dims))])
    return permute(g, back) if g.is_sparse else g.permute(back)


def permute(a: Tensor, dims: tuple[int, ...]) -> Tensor:
    """A sparse tensor with its dimensions in another order."""
    return apply(COO_PERMUTE, a, dims=tuple([axis(d, a.ndim) for d in dims]))


# -- sums ------------------------------------------------------------------------------------------


def total(a: Tensor, dim: Any = None) -> Tensor:
    """The sum over dimensions: sparse while sparse dimensions are left, else dense."""
    a = coalesce(a)
    content = values_of(a)
    if dim is None:
        return content.sum()
    dims = axes(dim, a.ndim)
    m = a._data.sparse_dim
    dense = [d - m + 1 for d in dims if d >= m]
    if dense:
        content = content.sum(dense)
    kept = [d for d in range(m) if d not in dims]
    shape = tuple([n for d, n in enumerate(a.shape) if d not in dims])
    if not kept:
        return content.sum(0)
    place = indices_of(a)[kept]
    return apply(COALESCE, apply(COO, place, content, size=shape, coalesced=False))


@function(namespaces=("sparse",), method=False)
def sum(input: Tensor, dim: Any = None, dtype: Any = None) -> Tensor:
    """The sum of a sparse tensor: sparse while sparse dimensions are left, else dense.

    ``dim`` is one dimension or several, all by default; ``dtype`` casts first. RuntimeError for a
    dense tensor.

    >>> import framework as torch
    >>> x = torch.tensor([[1.0, 2.0], [0.0, 3.0]]).to_sparse()
    >>> torch.sparse.sum(x), torch.sparse.sum(x, 0).to_dense()
    (tensor(6.), tensor([1., 5.]))
    """
    _only_sparse(input, "sum")
    return total(input if dtype is None else input.to(dtype), dim)


def softmax_of(a: Tensor, dim: int, dtype: Any, log: bool) -> Tensor:
    """(Log-)softmax over the stored elements only: the others count as minus infinity."""
    a = coalesce(a if dtype is None else a.to(dtype))
    content, place = values_of(a), indices_of(a)
    d, m = axis(dim, a.ndim), a._data.sparse_dim
    if d >= m:
        result = content.log_softmax(d - m + 1) if log else content.softmax(d - m + 1)
    else:
        result = _softmax_by_group(content, _groups(a._data, d), log)
    return apply(COO, place, result, size=tuple(a.shape), coalesced=True)


def _groups(a: CooArray, dim: int) -> Any:
    """A number for each stored value: equal where only coordinate ``dim`` differs."""
    rest = [d for d in range(a.sparse_dim) if d != dim]
    shape = tuple([a.shape[d] for d in rest])
    keys = CooArray(a.indices[rest], a.values, shape + a.values.shape[1:]).keys()
    return np.unique(keys, return_inverse=True)[1].astype(np.int64)


def _softmax_by_group(content: Tensor, groups: Any, log: bool) -> Tensor:
    count = int(groups.max()) + 1 if groups.size else 0
    group = wrap(groups, content._device)
    detached = content.detach()
    start = content.new_full((count, *content.shape[1:]), -np.inf)
    top = start.index_reduce(0, group, detached, "amax")
    shifted = content - top[group]
    power = shifted.exp()
    sums = content.new_zeros((count, *content.shape[1:])).index_add(0, group, power)
    return shifted - sums.log()[group] if log else power / sums[group]


# -- joining and picking ---------------------------------------------------------------------------


def cat_of(tensors: tuple[Tensor, ...], dim: int) -> Tensor:
    """Sparse tensors side by side, along a sparse dimension."""
    first = tensors[0]
    m = first._data.sparse_dim
    if dim >= m or any(not t.is_sparse or t._data.sparse_dim != m for t in tensors):
        raise RuntimeError("cat: sparse tensors are joined along a sparse dimension")
    shape = list(first.shape)
    shape[dim] = 0
    places, contents = [], []
    for t in map(coalesce, tensors):
        place = indices_of(t).clone()
        place[dim] += shape[dim]
        shape[dim] += t.shape[dim]
        places.append(place)
        contents.append(values_of(t))
    return apply(
        COO, cat(places, 1), cat(contents, 0), size=tuple(shape),
        coalesced=False,
    )  # fmt: skip


def pick(a: Tensor, dim: int, index: Tensor) -> Tensor:
    """``index_select``: rows (or other slices) of a sparse tensor by number, in that order."""
    once = coalesce(a)
    m = once._data.sparse_dim
    if dim >= m:
        content = values_of(once).index_select(dim - m + 1, index)
        shape = (*a.shape[:dim], int(index.shape[0]), *a.shape[dim + 1 :])
        return apply(COO, indices_of(once), content, size=shape, coalesced=True)
    wanted = np.asarray(index._data)
    rows = once._data.indices[dim]
    if wanted.size and (wanted.min() < -a.shape[dim] or wanted.max() >= a.shape[dim]):
        raise IndexError(f"index_select(): index out of range for dim {dim} of {list(a.shape)}")
    wanted = np.where(wanted < 0, wanted + a.shape[dim], wanted)
    order = np.argsort(rows, kind="stable")
    start = np.searchsorted(rows[order], wanted, "left")
    counts = np.searchsorted(rows[order], wanted, "right") - start
    target = np.repeat(np.arange(wanted.shape[0]), counts)
    within = np.arange(target.shape[0]) - np.repeat(np.cumsum(counts) - counts, counts)
    source = order[np.repeat(start, counts) + within]
    place = once._data.indices[:, source].copy()
    place[dim] = target
    shape = (*a.shape[:dim], wanted.shape[0], *a.shape[dim + 1 :])
    content = values_of(once)[wrap(source, a._device)]
    return apply(COO, wrap(place, a._device), content, size=shape, coalesced=False)


def _getitem_form(a: Tensor, *, index: Any) -> Tensor:
    """Numbers and slices, one dimension after the other."""
    if Ellipsis in index:
        at = index.index(Ellipsis)
        index = index[:at] + (slice(None),) * (a.ndim - len(index) + 1) + index[at + 1 :]
    dim = 0
    for part in index:
        if part is None:
            a, dim = inserted(a, dim), dim + 1
            continue
        if part != slice(None):
            n = a.shape[dim]
            rows = [part] if isinstance(part, int) else range(*part.indices(n))
            a = pick(a, dim, wrap(np.asarray(rows, np.int64), a._device))
        if isinstance(part, int):
            a = total(a, (dim,))
        else:
            dim += 1
    return a


def _index_form(a: Tensor, *indices: Tensor, layout: tuple[Any, ...]) -> Tensor:
    """``a[:, index]``: one array of numbers, other dimensions whole."""
    whole = [part for part in layout if isinstance(part, slice)]
    if len(indices) != 1 or indices[0].ndim != 1 or any(p != slice(None) for p in whole):
        raise NotImplementedError("a sparse tensor is indexed with one vector of numbers at most")
    dim = next(d for d, part in enumerate(layout) if not isinstance(part, slice))
    return pick(a, dim, indices[0])


# -- forms of dense ops: what an op does when its kernel meets a sparse array ----------------------


def _matmul_form(a: Tensor, b: Tensor) -> Tensor:
    if a.ndim == 2 and b.ndim == 1:
        return mm(a, b.unsqueeze(1)).squeeze(1)
    if a.ndim == b.ndim == 3:
        if a.shape[0] != b.shape[0] or a.shape[2] != b.shape[1]:
            raise RuntimeError(f"bmm: sizes {list(a.shape)} and {list(b.shape)} do not fit")
        return stack([mm(a[i], b[i]) for i in range(a.shape[0])])
    return mm(a, b)


def _sum_form(a: Tensor, *, dim: tuple[int, ...], keepdim: bool) -> Tensor:
    result = total(a, None if len(dim) == a.ndim else dim)
    if not keepdim:
        return result
    if not result.is_sparse:
        return result.reshape([1 if d in dim else n for d, n in enumerate(a.shape)])
    for d in sorted(dim):
        result = inserted(result, d)
    return result


def inserted(a: Tensor, dim: int) -> Tensor:
    """A sparse tensor with a dimension of length one before ``dim``, a sparse one if it can be."""
    a = coalesce(a)
    place, content, m = indices_of(a), values_of(a), a._data.sparse_dim
    if dim > m:
        content = content.unsqueeze(dim - m + 1)
    else:
        row = place.new_zeros((1, place.shape[1]))
        place = cat([place[:dim], row, place[dim:]], 0)
    shape = (*a.shape[:dim], 1, *a.shape[dim:])
    return apply(COO, place, content, size=shape, coalesced=True)


def _reshape_form(a: Tensor, *, shape: tuple[int, ...]) -> Tensor:
    """Dimensions of length one put in; nothing else."""
    dim = 0
    for n in shape:
        if dim < a.ndim and a.shape[dim] == n:
            dim += 1
        elif n == 1:
            a, dim = inserted(a, dim), dim + 1
        else:
            break
    if tuple(a.shape) != tuple(shape):
        raise RuntimeError("reshape is not implemented for sparse tensors; see to_dense()")
    return a


COPY = op("sparse_clone", lambda a: a.copy(), "a", grad=(lambda g: g,))

COO_RELU = op(
    "sparse_relu", lambda a: a.coalesce().like(np.maximum(a.coalesce().values, 0)), "a",
    grad=(lambda g, y: g * (y > 0),),
)  # fmt: skip


def _fill_form(a: Tensor, value: Any) -> Tensor:
    """Zeros of the same shape, with no coordinate; other values would make it dense."""
    if value is not False and (isinstance(value, Tensor) or value != 0):
        raise SparseOperand(
            "fill with another value than zero is not implemented for sparse tensors"
        )
    return wrap(a._data.emptied(), a._device)


def _copy_form(a: Tensor, b: Tensor) -> Tensor:
    """A copy of a sparse tensor of the same shape, in the type of the one that is written."""
    if not (isinstance(a._data, CooArray) and isinstance(b._data, CooArray) and a.shape == b.shape):
        raise RuntimeError(
            "copy_() between dense and sparse Tensors is not implemented! Found self type = "
            f"{a.type()} and src type = {b.type()}"
        )
    return b.to(a.dtype).clone()


def _norm_form(a: Tensor, *, p: float, dim: tuple[int, ...], keepdim: bool) -> Tensor:
    """The norm of all elements."""
    if keepdim or len(dim) != a.ndim:
        raise SparseOperand("norm over some dimensions is not implemented for sparse tensors")
    content = values_of(coalesce(a))
    return apply(NORM, content, p=p, dim=tuple(range(content.ndim)), keepdim=False)


MATMUL.in_sparse(_matmul_form)
RESHAPE.in_sparse(_reshape_form)
RELU.in_sparse(lambda a: apply(COO_RELU, a))
SUM.in_sparse(_sum_form)
PERMUTE.in_sparse(permute)
CLONE.in_sparse(lambda a, form=None: apply(COPY, a))
CAT.in_sparse(lambda *tensors, dim, lengths=(): cat_of(tensors, dim))
SLICE.in_sparse(_getitem_form)
INDEX.in_sparse(_index_form)
COPY_IN.in_sparse(_copy_form)
FILL.in_sparse(_fill_form)
NORM.in_sparse(_norm_form)


# -- what torch.sparse publishes -------------------------------------------------------------------

published = function(namespaces=("sparse",), method=False)


@published
def addmm(mat: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``beta * mat + alpha * (mat1 @ mat2)`` of a sparse ``mat1``: `(m, n)` by `(n, p)`.

    RuntimeError if the shapes do not fit.

    All of one dtype, which the result has (RuntimeError for others).

    >>> import framework as torch
    >>> torch.sparse.addmm(torch.ones(2, 1), torch.eye(2).to_sparse(), torch.ones(2, 1))
    tensor([[2.],
            [2.]])
    """
    product = mm(mat1, mat2)
    return mat * beta + (product if alpha == 1 else product * alpha)


@published
def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The softmax over the stored elements along a dimension; the others stay zero.

    They count as minus infinity, stored zeros as zero. RuntimeError for a dense tensor, IndexError
    for a dimension out of range.

    >>> import framework as torch
    >>> x = torch.tensor([[1.0, 1.0, 0.0]]).to_sparse()
    >>> torch.sparse.softmax(x, 1).to_dense()
    tensor([[0.5000, 0.5000, 0.0000]])
    """
    return softmax_of(_only_sparse(input, "softmax"), dim, dtype, log=False)


@published
def log_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The logarithm of `softmax`, over the stored elements along a dimension.

    RuntimeError for a dense tensor, IndexError for a dimension out of range.

    >>> import framework as torch
    >>> x = torch.tensor([[1.0, 1.0, 0.0]]).to_sparse()
    >>> torch.sparse.log_softmax(x, 1).values()
    tensor([-0.6931, -0.6931])
    """
    return softmax_of(_only_sparse(input, "log_softmax"), dim, dtype, log=True)


@function(namespaces=("sparse",), method=False)
def spdiags(
    diagonals: Tensor, offsets: Tensor, shape: tuple[int, int], layout: Any = None
) -> Tensor:
    """A sparse matrix of ``shape`` with the rows of ``diagonals`` on its diagonals.

    Element j of a row, `(k, n)` or `(n,)`, goes to column j, ``offsets[i]`` columns to the right of
    the main diagonal (to the left if negative); what falls outside is left out. Gradients go back
    to ``diagonals``.

    Raises:
        RuntimeError: offsets that are not int64, not one for each row or there twice; a shape that
            is no matrix's; a layout other than `sparse_coo`.

    >>> import framework as torch
    >>> x = torch.sparse.spdiags(torch.ones(2, 3), torch.tensor([0, -1]), (3, 3))
    >>> x.to_dense()
    tensor([[1., 0., 0.],
            [1., 1., 0.],
            [0., 1., 1.]])
    """
    rows = diagonals.reshape(1, -1) if diagonals.ndim == 1 else diagonals
    starts = offsets.tolist() if offsets.ndim else [offsets.item()]
    if rows.ndim != 2:
        raise RuntimeError("Diagonals must be vector or matrix")
    if len(shape) != 2:
        raise RuntimeError("Output shape must be 2d")
    if offsets.ndim > 1:
        raise RuntimeError("Offsets must be scalar or vector")
    if len(starts) != rows.shape[0]:
        raise RuntimeError(
            f"Number of diagonals ({rows.shape[0]}) does not match the number of offsets "
            f"({len(starts)})"
        )
    if offsets.dtype is not dtypes.int64:
        raise RuntimeError(f"Offset Tensor must have dtype Long but got {offsets.dtype}")
    if len(set(starts)) != len(starts):
        raise RuntimeError("Offset tensor contains duplicate values")
    if layout not in (None, sparse_coo):
        raise RuntimeError(f"Only the output layout torch.sparse_coo is supported, got {layout}")
    row, column = np.indices(rows.shape)
    line = column - np.array(starts, np.int64).reshape(-1, 1)
    row, column, line = (a[(line >= 0) & (line < shape[0]) & (column < shape[1])]
                         for a in (row, column, line))  # fmt: skip
    place = [tensor(a, device=rows.device) for a in (row, column)]
    return sparse_coo_tensor(
        tensor(np.stack([line, column]), device=rows.device), rows[place[0], place[1]], shape
    )
