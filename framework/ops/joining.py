"""Joining tensors, and splitting them: cat, stack and their kin; split, chunk and theirs."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np

from framework.core.dispatch import apply, composite
from framework.core.interpose import looked_at
from framework.core.registry import function, op
from framework.core.views import several
from framework.layout import channels_last, channels_last_3d, in_order, in_rows
from framework.ops.dims import aliased, axis, numpy_names
from framework.ops.indexing import SLICE
from framework.ops.shape import atleast_1d, atleast_2d, atleast_3d, unsqueeze
from framework.ops.strided import narrow, select
from framework.tensor import Tensor

__all__ = [
    "block_diag", "cat", "chunk", "column_stack", "concat", "concatenate", "dsplit", "dstack",
    "hsplit", "hstack", "row_stack", "split", "split_with_sizes", "stack", "tensor_split", "unbind",
    "unsafe_chunk", "unsafe_split", "unsafe_split_with_sizes", "vsplit", "vstack",
]  # fmt: skip


# -- joining ---------------------------------------------------------------------------------


def _cat_grad(g: Any, n: Any, dim: int) -> tuple[Any, ...]:
    parts, start = [], 0
    for i, length in enumerate(n.meta["lengths"]):
        parts.append(narrow(g, dim, start, length) if n.needs(i) else None)
        start += length
    return tuple(parts)


def _cat_kernel(*xs: Any, dim: int, lengths: tuple[int, ...]) -> Any:
    joined = np.concatenate(xs, dim)
    flags = getattr(joined, "flags", None)
    if flags is None or flags.c_contiguous:
        return joined
    for form in (channels_last, channels_last_3d):
        if all(in_order(x, form) and not x.flags.c_contiguous for x in xs):
            return joined
    return in_rows(joined)


CAT = op(
    "cat", _cat_kernel, "*xs", rule="promote", grad=_cat_grad,
    samples=lambda s: [((s(2, 3), s(1, 3)), {"dim": 0, "lengths": (2, 1)})],
)  # fmt: skip


def _stack_grad(g: Any, n: Any, dim: int) -> tuple[Any, ...]:
    before = (slice(None),) * dim
    return tuple([
        apply(SLICE, g, index=(*before, i)) if n.needs(i) else None for i in range(len(n.edges))
    ])  # fmt: skip


def _stack_kernel(*xs: Any, dim: int) -> Any:
    at = (*(slice(None),) * dim, None)
    return _cat_kernel(*[x[at] for x in xs], dim=dim, lengths=(1,) * len(xs))


STACK = op(
    "stack", _stack_kernel, "*xs", rule="promote", grad=_stack_grad,
    samples=lambda s: [((s(2, 3), s(2, 3)), {"dim": 1})],
)  # fmt: skip


def _listed(tensors: Any, name: str) -> tuple[Tensor, ...]:
    """A list of tensors, or PyTorch's complaint about it."""
    if isinstance(tensors, Tensor) or not hasattr(tensors, "__iter__"):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not "
            f"{type(tensors).__name__}"
        )
    many = tuple(tensors)
    for i, x in enumerate(many):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"expected Tensor as element {i} in argument 0, but got {type(x).__name__}"
            )
    return many


@function(method=False, checks=True, out="apart")
@numpy_names
def cat(tensors: Any, dim: int = 0) -> Tensor:
    """Tensors joined along a dimension; all other lengths must agree.

    Tensors of shape (0,) are left out, whatever the shape of the others.

    Raises:
        ValueError: no tensors.
        RuntimeError: the shapes do not fit.

    >>> import framework as torch
    >>> torch.cat([torch.zeros(1, 2), torch.ones(1, 2)]).shape
    torch.Size([2, 2])
    """
    many = _listed(tensors, "cat")
    if not many:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    for i, x in enumerate(many):
        if not x.ndim:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated")
    kept = tuple([x for x in many if x._data.shape != (0,)]) or many[:1]
    d = axis(dim, kept[0].ndim)
    first = kept[0]._data.shape
    for i, x in enumerate(kept):
        other = x._data.shape
        if len(other) != len(first):
            raise RuntimeError(
                f"Tensors must have same number of dimensions: got {len(first)} and {len(other)}"
            )
        for k, (m, n) in enumerate(zip(first, other)):
            if k != d and m != n:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {d}. Expected size {m} "
                    f"but got size {n} for tensor number {i} in the list."
                )
    if len(kept) < len(many):
        kept = _promoted_by(kept, many)
    return apply(CAT, *kept, dim=d, lengths=tuple([x._data.shape[d] for x in kept]))


def _promoted_by(kept: tuple[Tensor, ...], many: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """What is left out has a say in the type of the result."""
    from framework.dtypes import result_type

    common = result_type(*[x._data for x in many])
    return tuple([x.to(common) for x in kept])


@function(method=False, out="apart")
@numpy_names
def concat(tensors: Any, dim: int = 0) -> Tensor:
    """Alias of `cat`."""
    return cat(tensors, dim)


@function(method=False, out="apart")
@numpy_names
def concatenate(tensors: Any, dim: int = 0) -> Tensor:
    """Alias of `cat`, in NumPy's words."""
    return cat(tensors, dim)


@function(method=False, checks=True, out=True)
@numpy_names
@composite
def stack(tensors: Any, dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension.

    n tensors of shape `(*)` make `(n, *)` with ``dim`` 0. RuntimeError for other shapes or no
    tensors, TypeError for what is no sequence of tensors.

    >>> import framework as torch
    >>> torch.stack([torch.tensor([1, 2]), torch.tensor([3, 4])], dim=1)
    tensor([[1, 3],
            [2, 4]])
    """
    many = _listed(tensors, "stack")
    if not many:
        raise RuntimeError("stack expects a non-empty TensorList")
    first = many[0]._data.shape
    d = axis(dim, len(first) + 1)
    for i, x in enumerate(many):
        if x._data.shape != first:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(first)} at entry 0 and "
                f"{list(x.shape)} at entry {i}"
            )
    if not looked_at() and all(x._data.__class__ is np.ndarray for x in many):
        return apply(STACK, *many, dim=d)
    return apply(CAT, *[unsqueeze(x, d) for x in many], dim=d, lengths=(1,) * len(many))


def _some(tensors: Any, name: str) -> tuple[Tensor, ...]:
    many = _listed(tensors, name)
    if not many:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return many


@function(method=False, checks=True, out=True)
@composite
def hstack(tensors: Any) -> Tensor:
    """Joined side by side: along dimension 1 (0 for vectors; scalars count as vectors of one).

    RuntimeError if the other lengths differ, or for no tensors.

    >>> import framework as torch
    >>> torch.hstack([torch.tensor([1, 2]), torch.tensor([3])])
    tensor([1, 2, 3])
    >>> torch.hstack([torch.zeros(2, 1), torch.ones(2, 2)])
    tensor([[0., 1., 1.],
            [0., 1., 1.]])
    """
    many = atleast_1d(_some(tensors, "hstack"))
    return cat(many, 0 if many[0].ndim == 1 else 1)


@function(method=False, checks=True, out=True)
@composite
def vstack(tensors: Any) -> Tensor:
    """Joined on top of each other: along dimension 0, vectors as rows.

    RuntimeError if the other lengths differ, or for no tensors.

    >>> import framework as torch
    >>> torch.vstack([torch.tensor([1, 2]), torch.tensor([[3, 4], [5, 6]])])
    tensor([[1, 2],
            [3, 4],
            [5, 6]])
    """
    return cat(atleast_2d(_some(tensors, "vstack")), 0)


@function(method=False, out=True)
def row_stack(tensors: Any) -> Tensor:
    """Alias of `vstack`."""
    return vstack(tensors)


@function(method=False, checks=True, out=True)
@composite
def dstack(tensors: Any) -> Tensor:
    """Joined in depth: along dimension 2; vectors become `(1, N, 1)`, matrices `(M, N, 1)`.

    RuntimeError if the other lengths differ, or for no tensors.

    >>> import framework as torch
    >>> torch.dstack([torch.tensor([1, 2]), torch.tensor([3, 4])])
    tensor([[[1, 3],
             [2, 4]]])
    """
    return cat(atleast_3d(_some(tensors, "dstack")), 2)


@function(method=False, checks=True, out=True)
@composite
def column_stack(tensors: Any) -> Tensor:
    """Joined as columns: vectors become columns, matrices stand side by side.

    RuntimeError if the numbers of rows differ, or for no tensors.

    >>> import framework as torch
    >>> torch.column_stack((torch.tensor([1, 2]), torch.tensor([3, 4])))
    tensor([[1, 3],
            [2, 4]])
    """
    many = _some(tensors, "column_stack")
    return cat([x if x.ndim > 1 else x.reshape(-1, 1) for x in many], 1)


@function(method=False, checks=True)
@composite
def block_diag(*tensors: Any) -> Tensor:
    """A matrix of zeros with the given matrices along its diagonal; vectors count as rows.

    Dtypes are promoted. RuntimeError for more than two dimensions, TypeError for what is no tensor.

    >>> import framework as torch
    >>> torch.block_diag(torch.tensor([[1, 2]]), torch.tensor(3))
    tensor([[1, 2, 0],
            [0, 0, 3]])
    """
    for i, x in enumerate(_listed(tensors, "block_diag")):
        if x.ndim > 2:
            raise RuntimeError(
                "torch.block_diag: Input tensors must have 2 or fewer dimensions. Input "
                f"{i} has {x.ndim} dimensions"
            )
    if not tensors:
        from framework.ops.creation import empty

        return empty(1, 0)
    many = atleast_2d(tensors)
    width = sum([x.shape[1] for x in many])
    rows, before = [], 0
    for x in many:
        n, m = x.shape
        rows.append(cat([x.new_zeros(n, before), x, x.new_zeros(n, width - before - m)], 1))
        before += m
    return cat(rows, 0)


@function(namespaces=("",), method=False, checks=True, out=True)
@composite
def _chunk_cat(tensors: Any, dim: int, num_chunks: int) -> Tensor:
    """Each tensor padded and cut into chunks along ``dim``, and chunk by chunk all of them joined.

    What is behind ``dim`` is flattened; as sharded training packs its parameters.
    """
    many = _listed(tensors, "_chunk_cat")
    if num_chunks < 1:
        raise RuntimeError("_chunk_cat expects positive num_chunks")
    if not many:
        raise RuntimeError("_chunk_cat expects a non-empty input tensor list")
    if dim < 0 and len({x.ndim for x in many}) > 1:
        raise RuntimeError(
            "_chunk_cat expects non-negative dim when input tensors have different ndims"
        )
    d = axis(dim, many[0].ndim) if dim < 0 else dim
    for x in many:
        if not x.numel():
            raise RuntimeError("_chunk_cat expects non-empty tensor")
        if d >= x.ndim:
            raise RuntimeError("_chunk_cat expects dim < ndim for all input tensors")
        if x.shape[:d] != many[0].shape[:d]:
            raise RuntimeError(
                "_chunk_cat expects same sizes of 0,...,dim-1 dimensions for all tensors"
            )
    parts = []
    for x in many:
        lead, n, rest = x.shape[:d], x.shape[d], x.shape[d + 1 :]
        missing = -n % num_chunks
        if missing:
            x = cat([x, x.new_zeros(*lead, missing, *rest)], d)
        parts.append(x.reshape(*lead, num_chunks, -1))
    return cat(parts, d + 1)


# -- splitting -------------------------------------------------------------------------------


def _cut(input: Tensor, sizes: list[int], d: int) -> tuple[Tensor, ...]:
    result, start = [], 0
    for size in sizes:
        result.append(narrow(input, d, start, size))
        start += size
    return several(result)


@function(checks=True)
@numpy_names
def split(
    tensor: Tensor, split_size_or_sections: Any = None, dim: int = 0, *, split_size: Any = None
) -> tuple[Tensor, ...]:
    """Pieces along a dimension: of a size (the last may be shorter), or of given sizes; views.

    The method calls the size ``split_size``.

    RuntimeError for a negative size, sizes that do not add up to the length, and 0-d tensors.

    >>> import framework as torch
    >>> [list(piece.shape) for piece in torch.zeros(5, 2).split(2)]
    [[2, 2], [2, 2], [1, 2]]
    """
    size = split_size_or_sections if split_size is None else split_size
    if not isinstance(size, int):
        return split_with_sizes(tensor, size, dim)
    if not tensor.ndim:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    d = axis(dim, tensor.ndim)
    n = tensor._data.shape[d]
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    if not size and n:
        raise RuntimeError(
            f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}"
        )
    return _cut(tensor, [min(size, n - i) for i in range(0, n, size)] if n else [0], d)


@function(checks=True)
@numpy_names
def split_with_sizes(input: Tensor, split_sizes: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of the given sizes along a dimension: views.

    RuntimeError unless the sizes add up to the dimension's length.

    >>> import framework as torch
    >>> torch.arange(5).split_with_sizes([2, 3])
    (tensor([0, 1]), tensor([2, 3, 4]))
    """
    if not input.ndim:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    d = axis(dim, input.ndim)
    n = input._data.shape[d]
    sizes = [operator.index(s) for s in split_sizes]
    if any(s < 0 for s in sizes):
        raise RuntimeError(
            "split_with_sizes expects split_sizes have only non-negative entries, but got "
            f"split_sizes={sizes}"
        )
    if sum(sizes) != n:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at "
            f"dimension {d}), but got split_sizes={sizes}"
        )
    return _cut(input, sizes, d)


@function(checks=True)
@numpy_names
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` pieces of equal size along a dimension (the last may be shorter): views.

    There can be fewer than asked for; `tensor_split` gives exactly as many. RuntimeError for less
    than one chunk or a 0-d tensor.

    >>> import framework as torch
    >>> torch.arange(5).chunk(2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    >>> len(torch.arange(6).chunk(4))
    3
    """
    if not input.ndim:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks < 1:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    d = axis(dim, input.ndim)
    n = input._data.shape[d]
    if not n:
        return _cut(input, [0] * chunks, d)
    return split(input, -(-n // chunks), d)


@function(checks=True)
@numpy_names
def tensor_split(
    input: Tensor, indices_or_sections: Any = None, dim: int = 0, *, indices: Any = None,
    sections: Any = None,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Pieces along a dimension: a number of nearly equal ones, or cut at given indices; views.

    RuntimeError for less than one section or a 0-d tensor, IndexError for a dimension out of range.

    >>> import framework as torch
    >>> [piece.tolist() for piece in torch.arange(5).tensor_split(2)]
    [[0, 1, 2], [3, 4]]
    """
    given = (indices_or_sections, indices, sections)
    where = next((v for v in given if v is not None), None)
    if where is None:
        raise TypeError("tensor_split(): expected a number of sections or indices, but got neither")
    if not input.ndim:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    if isinstance(where, Tensor):
        if where.ndim > 1 or where.device.type != "cpu" or where._data.dtype != np.int64:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or "
                f"one-dimensional tensor of int64 on the CPU, but got {where.ndim} dims of "
                f"{where.dtype} on {where.device}"
            )
        where = where.tolist()
    d = axis(dim, input.ndim)
    n = input._data.shape[d]
    if isinstance(where, int):
        if where < 1:
            raise RuntimeError(f"number of sections must be larger than 0, got {where}")
        size, longer = divmod(n, where)
        return _cut(input, [size + (i < longer) for i in range(where)], d)
    edges = [0, *where, n]
    pieces = []
    for start, end in itertools.pairwise(edges):
        first, last, _ = slice(int(start), int(end)).indices(n)
        pieces.append(narrow(input, d, first, max(last - first, 0)))
    return tuple(pieces)


def _splitter(name: str, dim: int, least: int, way: str) -> Any:
    """hsplit, vsplit, dsplit: `tensor_split` along a fixed dimension."""

    def call(input: Tensor, indices_or_sections: Any, *more: int) -> tuple[Tensor, ...]:
        where = (indices_or_sections, *more) if more else indices_or_sections
        if input.ndim < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor "
                f"with {input.ndim} dimensions!"
            )
        d = 0 if input.ndim == 1 else dim
        if isinstance(where, int):
            n = input._data.shape[d]
            if not where or n % where:
                raise RuntimeError(
                    f"torch.{name} attempted to split along dimension {d}, but the size of the "
                    f"dimension {n} is not divisible by the split_size {where}!"
                )
        elif not isinstance(where, (tuple, list, Tensor)):
            raise TypeError(
                f"{name}() received an invalid combination of arguments - got (Tensor, "
                f"{type(where).__name__}), but expected a number of sections or a list of indices"
            )
        return tensor_split(input, where, d)

    call.__name__ = name
    call.__doc__ = f"""Pieces {way}: `tensor_split` along dimension {dim}; sections must be equal.

    RuntimeError for fewer than {least} dimensions, or a length that is not divisible; TypeError for
    what is neither a number of sections nor places to cut at.

    >>> import framework as torch
    >>> len(torch.{name}(torch.zeros(4, 4, 4), 2))
    2
    """
    return function(checks=True)(aliased(call, _WHERE))


_WHERE = [(name, "indices_or_sections") for name in ("indices", "sections")]

hsplit = _splitter("hsplit", 1, 1, "side by side (of a vector along dimension 0)")
vsplit = _splitter("vsplit", 0, 2, "on top of each other")
dsplit = _splitter("dsplit", 2, 3, "in depth")


@function(checks=True)
@numpy_names
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """All slices along a dimension, which disappears: a tuple of views.

    IndexError for a dimension out of range, and for a 0-d tensor.

    >>> import framework as torch
    >>> torch.tensor([[1, 2], [3, 4]]).unbind(1)
    (tensor([1, 3]), tensor([2, 4]))
    """
    if not input.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    d = axis(dim, input.ndim)
    return several([select(input, d, i) for i in range(input._data.shape[d])])


# The unsafe ones are meant for pieces that are then written to: to autograd they are no views.


@function()
def unsafe_split(input: Tensor, split_size: int, dim: int = 0) -> tuple[Tensor, ...]:
    """`split` into pieces that are no views: they may be written to in place where views may not.

    >>> import framework as torch
    >>> torch.arange(3).unsafe_split(2)
    (tensor([0, 1]), tensor([2]))
    """
    return tuple([piece.clone() for piece in split(input, split_size, dim)])


@function()
def unsafe_split_with_sizes(input: Tensor, split_sizes: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """`split_with_sizes` into pieces that are no views.

    >>> import framework as torch
    >>> torch.arange(3).unsafe_split_with_sizes([1, 2])
    (tensor([0]), tensor([1, 2]))
    """
    return tuple([piece.clone() for piece in split_with_sizes(input, split_sizes, dim)])


@function()
def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """`chunk` into pieces that are no views.

    >>> import framework as torch
    >>> torch.arange(3).unsafe_chunk(2)
    (tensor([0, 1]), tensor([2]))
    """
    return tuple([piece.clone() for piece in chunk(input, chunks, dim)])
