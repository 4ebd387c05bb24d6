"""Shape ops: views, joins, splits, repeats."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.dispatch import apply
from framework.core.registry import function, op
from framework.ops.reduce import axis
from framework.tensor import Tensor

__all__ = ["cat", "reshape", "stack", "transpose"]


def _ints(args: tuple[Any, ...]) -> tuple[int, ...]:
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = tuple(args[0])
    return tuple([int(a) for a in args])


def _full_shape(shape: tuple[int, ...], size: int, name: str) -> tuple[int, ...]:
    """Fill in the one -1 of a shape for ``size`` elements."""
    if -1 in shape:
        known = math.prod(n for n in shape if n != -1)
        if shape.count(-1) > 1:
            raise RuntimeError("only one dimension can be inferred")
        if not known or size % known:
            raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}")
        shape = tuple([size // known if n == -1 else n for n in shape])
    if math.prod(shape) != size or any(n < 0 for n in shape):
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}")
    return shape


RESHAPE = op(
    "reshape", lambda a, *, shape: a.reshape(shape), "a", view=True,
    grad=(lambda g, n: g.reshape(n.shape(0)),),
    samples=lambda s: [((s(3, 2),), {"shape": (2, 3)}), ((s(4),), {"shape": (2, 1, 2)})],
)  # fmt: skip


@function(checks=True)
def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape (one length may be -1): a view where possible."""
    data = input._data
    return apply(RESHAPE, input, shape=_full_shape(_ints(shape), data.size, "reshape"))


@function(namespaces=(), checks=True)
def view(self: Tensor, *shape: Any) -> Tensor:
    """The same memory in another shape; `reshape` if that would need a copy.

    Raises:
        RuntimeError: the strides do not allow it.
    """
    if len(shape) == 1 and isinstance(shape[0], dtypes.dtype):
        raise RuntimeError("view(dtype) is not supported; use .to(dtype) to convert the elements")
    result = reshape(self, *shape)
    if self._data.size and not np.may_share_memory(result._data, self._data):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    return result


@function(namespaces=())
def view_as(self: Tensor, other: Tensor) -> Tensor:
    """`view` in the shape of ``other``."""
    return view(self, other.shape)


@function(namespaces=())
def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """`reshape` to the shape of ``other``."""
    return reshape(self, other.shape)


@function(checks=True)
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions start_dim to end_dim merged into one."""
    if not input.ndim:
        return reshape(input, 1)
    first, last = axis(start_dim, input.ndim), axis(end_dim, input.ndim)
    if first > last:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    shape = input._data.shape
    return reshape(input, *shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])


@function()
def ravel(input: Tensor) -> Tensor:
    """All elements in one dimension."""
    return reshape(input, -1)


@function(checks=True)
def unflatten(input: Tensor, dim: int, sizes: Any) -> Tensor:
    """One dimension split into several."""
    d, shape = axis(dim, input.ndim), input._data.shape
    sizes = _full_shape(tuple(sizes), shape[d], "unflatten")
    return reshape(input, *shape[:d], *sizes, *shape[d + 1 :])


PERMUTE = op(
    "permute", lambda a, *, dims: a.transpose(dims), "a", view=True,
    grad=(lambda g, dims: apply(PERMUTE, g, dims=tuple(np.argsort(dims).tolist())),),
    samples=lambda s: [((s(3, 2, 4),), {"dims": (2, 0, 1)})],
)  # fmt: skip


@function(checks=True)
def permute(input: Tensor, *dims: Any) -> Tensor:
    """The dimensions in another order: a view."""
    order = tuple([axis(d, input.ndim) for d in _ints(dims)])
    if sorted(order) != list(range(input.ndim)):
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the "
            f"length of the desired ordering of dimensions i.e. input.dim() = {input.ndim} is not "
            f"equal to len(dims) = {len(order)}"
            if len(order) != input.ndim
            else "permute(): duplicate dims are not allowed."
        )
    return apply(PERMUTE, input, dims=order)


@function(checks=True)
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions swapped: a view."""
    a, b = axis(dim0, input.ndim), axis(dim1, input.ndim)
    order = list(range(input.ndim))
    if order:
        order[a], order[b] = order[b], order[a]
    return apply(PERMUTE, input, dims=tuple(order))


@function()
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """Alias of `transpose`."""
    return transpose(input, axis0, axis1)


@function()
def swapdims(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Alias of `transpose`."""
    return transpose(input, dim0, dim1)


@function()
def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; a vector or scalar is returned as it is."""
    if input.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return transpose(input, 0, 1) if input.ndim == 2 else permute(input, *range(input.ndim))


@function(checks=True)
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Dimensions moved to other places: a view."""
    many = isinstance(source, (tuple, list))
    src = [axis(d, input.ndim) for d in (source if many else (source,))]
    dst = [axis(d, input.ndim) for d in (destination if many else (destination,))]
    order = [d for d in range(input.ndim) if d not in src]
    for to, d in sorted(zip(dst, src)):
        order.insert(to, d)
    return apply(PERMUTE, input, dims=tuple(order))


def _expand_kernel(a: Any, *, shape: tuple[int, ...]) -> Any:
    return np.broadcast_to(a, shape, **({} if not isinstance(a, np.ndarray) else {"subok": False}))


EXPAND = op(
    "expand", _expand_kernel, "a", view=True,
    grad=(lambda g, n: g.sum_to_size(n.shape(0)),),
    samples=lambda s: [((s(3, 1),), {"shape": (2, 3, 4)})],
)  # fmt: skip


@function(namespaces=(), checks=True)
def expand(self: Tensor, *sizes: Any) -> Tensor:
    """Dimensions of length 1 repeated without copying: a view; -1 keeps a length."""
    wanted = _ints(sizes)
    have = self._data.shape
    if len(wanted) < len(have):
        raise RuntimeError(
            f"expand: the number of sizes provided ({len(wanted)}) must be greater or equal to the "
            f"number of dimensions in the tensor ({len(have)})"
        )
    padded = (1,) * (len(wanted) - len(have)) + have
    shape = tuple([h if w == -1 else w for w, h in zip(wanted, padded)])
    for i, (w, h) in enumerate(zip(shape, padded)):
        if h not in (1, w):
            raise RuntimeError(
                f"The expanded size of the tensor ({w}) must match the existing size ({h}) at "
                f"non-singleton dimension {i}.  Target sizes: {list(shape)}.  Tensor sizes: "
                f"{list(have)}"
            )
    return apply(EXPAND, self, shape=shape)


@function(namespaces=())
def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """`expand` to the shape of ``other``."""
    return expand(self, other.shape)


@function()
def broadcast_to(input: Tensor, shape: Any) -> Tensor:
    """Alias of `Tensor.expand`."""
    return expand(input, *shape)


@function(method=False)
def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """The tensors, all expanded to their common shape."""
    shape = np.broadcast_shapes(*[x._data.shape for x in tensors])
    return tuple([expand(x, *shape) for x in tensors])


@function(checks=True)
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Dimensions of length 1 removed (all, or the given ones): a view."""
    shape = input._data.shape
    if dim is None:
        return reshape(input, tuple(n for n in shape if n != 1))
    dims = {axis(d, input.ndim) for d in (dim if isinstance(dim, (tuple, list)) else (dim,))}
    return reshape(input, tuple(n for i, n in enumerate(shape) if i not in dims or n != 1))


@function(checks=True)
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A dimension of length 1 inserted: a view."""
    d = axis(dim, input.ndim + 1)
    shape = input._data.shape
    return reshape(input, *shape[:d], 1, *shape[d:])


# -- joining and splitting -------------------------------------------------------------------


def _cat_grad(g: Any, n: Any, dim: int) -> tuple[Any, ...]:
    parts, start = [], 0
    for i, length in enumerate(n.meta["lengths"]):
        parts.append(narrow(g, dim, start, length) if n.needs(i) else None)
        start += length
    return tuple(parts)


CAT = op(
    "cat", lambda *xs, dim, lengths: np.concatenate(xs, dim), "*xs", rule="promote", grad=_cat_grad,
    samples=lambda s: [((s(2, 3), s(1, 3)), {"dim": 0, "lengths": (2, 1)})],
)  # fmt: skip


@function(method=False, namespaces=("",), checks=True)
def cat(tensors: Any, dim: int = 0) -> Tensor:
    """Tensors joined along a dimension; all other lengths must agree.

    >>> import framework as torch
    >>> torch.cat([torch.zeros(1, 2), torch.ones(1, 2)]).shape
    torch.Size([2, 2])
    """
    tensors = tuple(tensors)
    if not tensors:
        raise RuntimeError("torch.cat(): expected a non-empty list of Tensors")
    kept = tuple([x for x in tensors if x._data.shape != (0,)]) or tensors[:1]
    for x in kept:
        if not x.ndim:
            raise RuntimeError("zero-dimensional tensor (at position 0) cannot be concatenated")
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
                    f"cat: Sizes of tensors must match except in dimension {d}. Expected size {m} "
                    f"but got size {n} for tensor number {i} in the list."
                )
    return apply(CAT, *kept, dim=d, lengths=tuple([x._data.shape[d] for x in kept]))


@function(method=False)
def concat(tensors: Any, dim: int = 0) -> Tensor:
    """Alias of `cat`."""
    return cat(tensors, dim)


@function(method=False, checks=True)
def stack(tensors: Any, dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension."""
    tensors = tuple(tensors)
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    for i, x in enumerate(tensors):
        if x._data.shape != tensors[0]._data.shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(tensors[0].shape)} at "
                f"entry 0 and {list(x.shape)} at entry {i}"
            )
    return cat([unsqueeze(x, dim) for x in tensors], axis(dim, tensors[0].ndim + 1))


@function(method=False, checks=True)
def hstack(tensors: Any) -> Tensor:
    """Joined side by side: along dimension 1 (0 for vectors)."""
    many = [x if x.ndim else reshape(x, 1) for x in tensors]
    return cat(many, 0 if many[0].ndim == 1 else 1)


@function(method=False, checks=True)
def vstack(tensors: Any) -> Tensor:
    """Joined on top of each other: along dimension 0, vectors as rows."""
    return cat([x if x.ndim > 1 else reshape(x, 1, -1) for x in tensors], 0)


@function(checks=True)
def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """``length`` slices from ``start`` along a dimension: a view."""
    d = axis(dim, input.ndim)
    n = input._data.shape[d]
    start = int(start) + n if int(start) < 0 else int(start)
    if not 0 <= start <= n or start + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return input[(slice(None),) * d + (slice(start, start + length),)]


@function(checks=True)
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """One slice along a dimension, which disappears: a view."""
    d = axis(dim, input.ndim)
    return input[(slice(None),) * d + (int(index),)]


@function(checks=True)
def split(input: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces along a dimension: of a size (the last may be shorter), or of given sizes."""
    d = axis(dim, input.ndim)
    n = input._data.shape[d]
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        sizes = [min(size, n - i) for i in range(0, n, size)] if size and n else [n]
    else:
        sizes = list(split_size_or_sections)
        if sum(sizes) != n:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size "
                f"at dimension {d}), but got split_sizes={sizes}"
            )
    result, start = [], 0
    for size in sizes:
        result.append(narrow(input, d, start, size))
        start += size
    return tuple(result)


@function(checks=True)
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` pieces of equal size (the last may be shorter)."""
    if chunks < 1:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = input._data.shape[axis(dim, input.ndim)]
    return split(input, max(1, -(-n // chunks)), dim)


@function()
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """All slices along a dimension."""
    return tuple([select(input, dim, i) for i in range(input._data.shape[axis(dim, input.ndim)])])


# -- repeating and reordering ----------------------------------------------------------------


@function(namespaces=())
def repeat(self: Tensor, *sizes: Any) -> Tensor:
    """The tensor repeated that many times along each dimension (copies)."""
    times = _ints(sizes)
    if len(times) < self.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of "
            "tensor"
        )
    have = (1,) * (len(times) - self.ndim) + tuple(self._data.shape)
    between = [n for pair in zip((1,) * len(have), have) for n in pair]
    wide = [n for pair in zip(times, have) for n in pair]
    return reshape(expand(reshape(self, *between), *wide), *[m * n for m, n in zip(times, have)])


@function()
def tile(input: Tensor, *dims: Any) -> Tensor:
    """`Tensor.repeat`, with missing leading numbers taken as 1."""
    times = _ints(dims)
    return repeat(input, *((1,) * (input.ndim - len(times)) + times))


FLIP = op(
    "flip", lambda a, *, dims: np.flip(a, dims).copy(), "a",
    grad=(lambda g, dims: apply(FLIP, g, dims=dims),),
    samples=lambda s: [((s(3, 2),), {"dims": (0, 1)})],
)  # fmt: skip
ROLL = op(
    "roll", lambda a, *, shifts, dims: np.roll(a, shifts, dims), "a",
    grad=(lambda g, shifts, dims: apply(
        ROLL, g, shifts=tuple(-s for s in shifts) if isinstance(shifts, tuple) else -shifts,
        dims=dims),),
    samples=lambda s: [((s(3, 2),), {"shifts": (1,), "dims": (0,)})],
)  # fmt: skip


@function()
def flip(input: Tensor, *dims: Any) -> Tensor:
    """The order along dimensions reversed (a copy)."""
    return apply(FLIP, input, dims=tuple([axis(d, input.ndim) for d in _ints(dims)]))


@function(checks=True)
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Elements shifted along dimensions; those that fall out come in at the other end."""
    if dims is None:
        return apply(ROLL, input, shifts=shifts, dims=None)
    many = isinstance(dims, (tuple, list))
    return apply(
        ROLL, input, shifts=tuple(shifts) if many else (shifts,),
        dims=tuple([axis(d, input.ndim) for d in (dims if many else (dims,))]),
    )  # fmt: skip


@function(method=False)
def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Coordinate grids of 1-d tensors."""
    many = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    shape = [x.numel() for x in many]
    grids = []
    for i, x in enumerate(many):
        ones = [1] * len(shape)
        ones[i] = shape[i]
        grid = expand(reshape(x, *ones), *shape)
        grids.append(transpose(grid, 0, 1) if indexing == "xy" and len(shape) > 1 else grid)
    return tuple(grids)


@function()
def repeat_interleave(input: Tensor, repeats: Any, dim: int | None = None) -> Tensor:
    """Each slice repeated in place, a number of times or one number for each."""
    from framework.ops.indexing import index_select
    from framework.tensor import wrap

    if dim is None:
        input, dim = reshape(input, -1), 0
    d = axis(dim, input.ndim)
    n = input._data.shape[d]
    times = repeats._data if isinstance(repeats, Tensor) else np.asarray(repeats)
    order = np.repeat(np.arange(n), np.broadcast_to(times, (n,)))
    return index_select(input, d, wrap(order))


def _as_matrix_transpose(self: Tensor) -> Tensor:
    return transpose(self, -2, -1)


Tensor.T = property(
    lambda self: permute(self, *reversed(range(self.ndim))),
    doc="The dimensions in reverse order: a view.",
)
Tensor.mT = property(_as_matrix_transpose, doc="The last two dimensions swapped: a view.")


@function(out=True)
def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The ``n``-th difference of neighbours along a dimension; for bool whether they differ.

    Raises:
        RuntimeError: a 0-d input, or a negative order.

    >>> import framework as torch
    >>> torch.tensor([1, 4, 9, 16]).diff()
    tensor([3, 5, 7])
    """
    if not input.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    d = axis(dim, input.ndim)
    around = [t for t in (prepend, input, append) if t is not None]
    x = cat(around, d) if len(around) > 1 else input
    if not n:
        return x.clone() if x is input else x
    for _ in range(min(n, x._data.shape[d])):
        length = x._data.shape[d]
        late, early = x.narrow(d, 1, length - 1), x.narrow(d, 0, length - 1)
        x = late ^ early if x._data.dtype.kind == "b" else late - early
    return x
