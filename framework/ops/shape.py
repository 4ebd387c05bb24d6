"""Shape ops: the same elements seen in another shape or order; views wherever possible.

Joining and splitting are in `joining`, views by strides in `strided`, repeating and reordering in
`rearrange`.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from framework import dtypes
from framework.cautions import caution, caution_once
from framework.core.dispatch import apply
from framework.core.kinds import MISSING
from framework.core.node_names import entitle
from framework.core.registry import function, op, variant
from framework.core.views import view_twin
from framework.kernels import must_hold
from framework.kernels.floats import type_name
from framework.ops.dims import axis, numpy_names
from framework.tensor import Size, Tensor

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_shapes", "broadcast_tensors",
    "broadcast_to", "common_shape", "expand", "flatten", "ints", "movedim", "moveaxis", "permute",
    "ravel", "reshape", "squeeze", "swapaxes", "swapdims", "t", "transpose", "unflatten",
    "unsqueeze",
]  # fmt: skip


def ints(args: tuple[Any, ...], given: Any = None) -> tuple[int, ...]:
    """Sizes or dimensions that came one by one, as one sequence, or by keyword."""
    if given is not None:
        args = (given,)
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = tuple(args[0])
    try:
        return tuple([a if a.__class__ is int else _one_int(a) for a in args])
    except TypeError:
        kinds = ", ".join(type(a).__name__ for a in args)
        raise TypeError(f"argument must be tuple of ints, not ({kinds})") from None


def _one_int(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError
    return operator.index(value)


def _full_shape(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """Fill in the one -1 of a shape for ``size`` elements."""
    if -1 in shape:
        known = math.prod([n for n in shape if n != -1])
        if shape.count(-1) > 1:
            raise RuntimeError("only one dimension can be inferred")
        if not known and not size:
            raise RuntimeError(
                f"cannot reshape tensor of 0 elements into shape {list(shape)} because the "
                "unspecified dimension size -1 can be any value and is ambiguous"
            )
        if not known or size % known:
            raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}")
        shape = tuple([size // known if n == -1 else n for n in shape])
    if math.prod(shape) != size or (shape and min(shape) < 0):
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}")
    return shape


RESHAPE = op(
    "reshape", lambda a, *, shape: a.reshape(shape), "a", view=True,
    grad=(lambda g, n: g.reshape(n.shape(0)),),
    samples=lambda s: [((s(3, 2),), {"shape": (2, 3)}), ((s(4),), {"shape": (2, 1, 2)})],
)  # fmt: skip


@function(checks=True)
def reshape(input: Tensor, *sizes: Any, shape: Any = None) -> Tensor:
    """The same elements in another shape (one length may be -1): a view where possible.

    RuntimeError if the number of elements differs or two lengths are -1.

    >>> import framework as torch
    >>> torch.arange(4).reshape(2, -1)
    tensor([[0, 1],
            [2, 3]])
    """
    result = apply(RESHAPE, input, shape=_full_shape(ints(sizes, shape), input._data.size))
    if result._base is None and result._edge is not None:  # a copy
        entitle(result._edge[0], "UnsafeViewBackward0")
    return result


@function(namespaces=(), checks=True)
def view(self: Tensor, *shape: Any, size: Any = None, dtype: Any = None) -> Tensor:
    """The same memory in another shape, or with its bytes taken for another dtype.

    Raises:
        RuntimeError: the strides do not allow it (`reshape` would copy), or the last dimension
            does not hold whole elements of the dtype.

    >>> import framework as torch
    >>> torch.zeros(2, 2).view(torch.int16).shape
    torch.Size([2, 4])
    """
    if dtype is None and len(shape) == 1 and isinstance(shape[0], dtypes.dtype):
        dtype = shape[0]
    if dtype is not None:
        return _view_dtype(self, dtype)
    result = apply(RESHAPE, self, shape=_full_shape(ints(shape, size), self._data.size))
    if self._data.size and result._base is None:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    return result


def _view_kernel(a: Any, *, dtype: dtypes.dtype) -> Any:
    must_hold(dtype.numpy, a)
    return a.view(dtype.numpy) if a.ndim else a.reshape(1).view(dtype.numpy).reshape(())


VIEW_DTYPE = op(
    "view_dtype", _view_kernel, "a", view=True,
    samples=lambda s: [((s(3, 2).detach(),), {"dtype": dtypes.int32})],
)  # fmt: skip


def _view_dtype(self: Tensor, dtype: dtypes.dtype) -> Tensor:
    data = self._data
    have, want = data.itemsize, dtype.numpy.itemsize
    if have != want:
        kinds = f"{type_name(data)} as {type_name(np.empty(0, dtype.numpy))}"
        what = f"to view {kinds} (different element sizes)"
        if not data.ndim:
            raise RuntimeError(f"self.dim() cannot be 0 {what}")
        if self.stride(-1) != 1:
            raise RuntimeError(f"self.stride(-1) must be 1 {what}, but got {self.stride(-1)}")
        if want > have and data.shape[-1] % (want // have):
            raise RuntimeError(
                f"self.size(-1) must be divisible by {want // have} {what}, but got "
                f"{data.shape[-1]}"
            )
    result = apply(VIEW_DTYPE, self, dtype=dtype)
    if self.requires_grad:  # autograd does not follow bits
        result._base, result._chain = None, ()
    return result


@function(namespaces=())
def view_as(self: Tensor, other: Tensor) -> Tensor:
    """`view` in the shape of ``other``: never a copy.

    >>> import framework as torch
    >>> torch.arange(4).view_as(torch.zeros(2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    return view(self, other.shape)


@function(namespaces=())
def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """`reshape` to the shape of ``other``; RuntimeError if it has another number of elements.

    >>> import framework as torch
    >>> torch.arange(4).reshape_as(torch.zeros(2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    return reshape(self, other.shape)


@function(checks=True)
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions start_dim to end_dim merged into one: `(N, C, H, W)` to `(N, C*H*W)` from 1 on.

    A view where the strides allow it; a single dimension is the tensor itself, a 0-d tensor becomes
    1-d. IndexError for a dimension out of range, RuntimeError if start_dim comes after end_dim.

    >>> import framework as torch
    >>> torch.zeros(8, 3, 4, 4).flatten(1).shape
    torch.Size([8, 48])
    >>> torch.tensor(5).flatten()
    tensor([5])
    """
    if not input.ndim:
        axis(start_dim, 0), axis(end_dim, 0)
        return reshape(input, 1)
    first, last = axis(start_dim, input.ndim), axis(end_dim, input.ndim)
    if first > last:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if first == last:
        return input
    shape = input._data.shape
    return reshape(input, *shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])


@function()
def ravel(input: Tensor) -> Tensor:
    """All elements in one dimension, in C order: a view of a contiguous tensor, else a copy.

    TypeError for what is no tensor.

    >>> import framework as torch
    >>> torch.tensor([[1, 2], [3, 4]]).ravel()
    tensor([1, 2, 3, 4])
    """
    return reshape(input.contiguous(), -1)


@function(checks=True)
@numpy_names
def unflatten(input: Tensor, dim: int, sizes: Any) -> Tensor:
    """One dimension split into several.

    RuntimeError unless the sizes, of which one may be -1, multiply up to the dimension's length;
    IndexError for a dimension out of range.

    >>> import framework as torch
    >>> torch.zeros(6, 2).unflatten(0, (2, 3)).shape
    torch.Size([2, 3, 2])
    """
    d, shape = axis(dim, input.ndim), input._data.shape
    if not len(sizes):
        raise RuntimeError("unflatten: sizes must be non-empty")
    try:
        full = _full_shape(tuple(sizes), shape[d])
    except RuntimeError:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {d} "
            f"({shape[d]}) in the input tensor"
        ) from None
    return reshape(input, *shape[:d], *full, *shape[d + 1 :])


# -- the order of dimensions -----------------------------------------------------------------


PERMUTE = op(
    "permute", lambda a, *, dims: a.transpose(dims), "a", view=True,
    grad=(lambda g, dims: apply(PERMUTE, g, dims=tuple(np.argsort(dims).tolist())),),
    samples=lambda s: [((s(3, 2, 4),), {"dims": (2, 0, 1)})],
)  # fmt: skip
_TRANSPOSE = variant(PERMUTE, "Transpose")
_T = variant(PERMUTE, "T")


@function(checks=True)
def permute(input: Tensor, *order: Any, dims: Any = None) -> Tensor:
    """The dimensions in another order: a view.

    RuntimeError unless each dimension is named once, IndexError for one out of range.

    >>> import framework as torch
    >>> torch.zeros(2, 3, 5).permute(2, 0, 1).shape
    torch.Size([5, 2, 3])
    """
    wanted = tuple([axis(d, input.ndim) for d in ints(order, dims)])
    if len(wanted) != input.ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the "
            f"length of the desired ordering of dimensions i.e. input.dim() = {input.ndim} is not "
            f"equal to len(dims) = {len(wanted)}"
        )
    if len(set(wanted)) != len(wanted):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return apply(PERMUTE, input, dims=wanted)


@function(checks=True)
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions swapped: a view. Negative numbers count from the end.

    IndexError for a dimension out of range.

    >>> import framework as torch
    >>> x = torch.zeros(2, 3, 5)
    >>> torch.transpose(x, 0, -1).shape, x.transpose(0, 1).stride()
    (torch.Size([5, 3, 2]), (5, 15, 1))
    """
    a, b = axis(dim0, input.ndim), axis(dim1, input.ndim)
    order = list(range(input.ndim))
    if order:
        order[a], order[b] = order[b], order[a]
    return apply(_TRANSPOSE, input, dims=tuple(order))


@function()
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """Alias of `transpose`, in NumPy's words."""
    return transpose(input, axis0, axis1)


@function()
def swapdims(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Alias of `transpose`."""
    return transpose(input, dim0, dim1)


@function()
def t(input: Tensor) -> Tensor:
    """The transpose of a matrix: a view; a vector or scalar stays as it is.

    RuntimeError for more than two dimensions (`Tensor.mT` transposes batches).

    >>> import framework as torch
    >>> torch.tensor([[1, 2], [3, 4]]).t()
    tensor([[1, 3],
            [2, 4]])
    """
    if input.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return apply(_T, input, dims=tuple(range(input.ndim))[::-1])


@function(checks=True)
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Dimensions moved to other places, the others in their order: a view.

    ``source`` and ``destination`` are one dimension or as many of them; RuntimeError if not, or if
    one is named twice, IndexError for one out of range.

    >>> import framework as torch
    >>> torch.zeros(2, 3, 5).movedim(0, -1).shape
    torch.Size([3, 5, 2])
    """
    given = [list(d) if isinstance(d, (tuple, list)) else [d] for d in (source, destination)]
    if len(given[0]) != len(given[1]):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({given[0]} dims) should contain "
            f"the same number of dims as destination ({given[1]} dims)"
        )
    src, dst = ([axis(d, input.ndim) for d in dims] for dims in given)
    for name, dims, words in zip(("source", "destination"), (src, dst), given):
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({words})")
    if not input.ndim:
        return apply(PERMUTE, input, dims=())
    order = [d for d in range(input.ndim) if d not in src]
    for to, d in sorted(zip(dst, src)):
        order.insert(to, d)
    return apply(PERMUTE, input, dims=tuple(order))


@function()
def moveaxis(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Alias of `movedim`, in NumPy's words."""
    return movedim(input, source, destination)


def _reversed(self: Tensor) -> Tensor:
    if not self.ndim:
        caution(
            "Tensor.T is deprecated on 0-D tensors. This function is the identity in these cases.",
        )
    elif self.ndim != 2:
        caution_once(
            "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is "
            "deprecated and it will throw an error in a future release. Consider `x.mT` to "
            "transpose batches of matrices or `x.permute(*torch.arange(x.ndim - 1, -1, -1))` to "
            "reverse the dimensions of a tensor.",
        )
    return permute(self, *reversed(range(self.ndim)))


def _swapped(self: Tensor) -> Tensor:
    if self.ndim == 1:
        raise RuntimeError(
            "tensor.mT is only supported on matrices or batches of matrices. Got 1-D tensor."
        )
    if self.ndim:
        return transpose(self, -2, -1)
    caution(
        "Tensor.mT is deprecated on 0-D tensors. This function is the identity in these cases.",
    )
    return permute(self)


Tensor.T = property(_reversed, doc="The dimensions in reverse order: a view.")
Tensor.mT = property(_swapped, doc="The last two dimensions swapped: a view.")


# -- dimensions of length one ----------------------------------------------------------------


def _expand_kernel(a: Any, *, shape: tuple[int, ...]) -> Any:
    if a.__class__ is np.ndarray and a.flags.c_contiguous and a.dtype.kind != "V":
        new = len(shape) - a.ndim  # by hand: ten times as fast
        steps = [0 if n == 1 else s for n, s in zip(a.shape, a.strides)]
        return np.ndarray(shape, a.dtype, a, 0, (*(0,) * new, *steps))
    wide = np.broadcast_to(a, shape)
    if isinstance(a, np.ndarray) and a.flags.writeable:
        wide.flags.writeable = True  # a part of it may be written to, see `check_writable`
    return wide


EXPAND = op(
    "expand", _expand_kernel, "a", view=True,
    grad=(lambda g, n: g.sum_to_size(n.shape(0)),),
    samples=lambda s: [((s(3, 1),), {"shape": (2, 3, 4)})],
)  # fmt: skip


@function(namespaces=(), checks=True)
def expand(self: Tensor, *sizes: Any, size: Any = None, implicit: bool = False) -> Tensor:
    """Dimensions of length 1 repeated without copying: a view; -1 keeps a length.

    RuntimeError for a length that neither is 1 nor stays the same, and for fewer dimensions than
    there are. Writing to an expanded tensor is refused.

    >>> import framework as torch
    >>> torch.tensor([[1], [2]]).expand(-1, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    wanted = ints(sizes, size)
    have = self._data.shape
    if len(wanted) < len(have):
        raise RuntimeError(
            f"expand: the number of sizes provided ({len(wanted)}) must be greater or equal to the "
            f"number of dimensions in the tensor ({len(have)})"
        )
    padded = (1,) * (len(wanted) - len(have)) + have
    shape = tuple([h if w == -1 else w for w, h in zip(wanted, padded)])
    for i, (w, h) in enumerate(zip(shape, padded)):
        if wanted[i] == -1 and i < len(wanted) - len(have):
            raise RuntimeError(
                "The expanded size of the tensor (-1) isn't allowed in a leading, non-existing "
                f"dimension {i}"
            )
        if h not in (1, w):
            raise RuntimeError(
                f"The expanded size of the tensor ({w}) must match the existing size ({h}) at "
                f"non-singleton dimension {i}.  Target sizes: {list(shape)}.  Tensor sizes: "
                f"{list(have)}"
            )
    return apply(EXPAND, self, shape=shape)


@function(namespaces=())
def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """`expand` to the shape of ``other``: a view.

    >>> import framework as torch
    >>> torch.tensor([1, 2]).expand_as(torch.zeros(2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return expand(self, other.shape)


@function()
def broadcast_to(input: Tensor, size: Any, *more: int) -> Tensor:
    """Expanded to a shape without copying: `Tensor.expand` as a function of one ``size``.

    The method takes the lengths one by one, too.

    RuntimeError if a length neither is 1 nor fits.

    >>> import framework as torch
    >>> torch.broadcast_to(torch.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return expand(input, *(size if isinstance(size, (tuple, list)) else (size, *more)))


@function(method=False)
def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that tensors of these shapes (tuples, or an int for one dimension) broadcast to.

    RuntimeError if they do not broadcast, ValueError for a negative length.

    >>> import framework as torch
    >>> torch.broadcast_shapes((2, 1), (3,))
    torch.Size([2, 3])
    """
    result: list[int] = []
    for place, shape in enumerate(shapes):
        sizes = [shape] if isinstance(shape, int) else shape
        if not isinstance(sizes, (tuple, list)):
            raise RuntimeError(
                "Input shapes should be of type ints, a tuple of ints, or a list of ints, got "
                f"{shape}"
            )
        if any(n < 0 for n in sizes):
            raise ValueError("Attempting to broadcast a dimension with negative length!")
        result = [1] * (len(sizes) - len(result)) + result
        for i in range(-1, -1 - len(sizes), -1):
            if sizes[i] != 1 and result[i] not in (1, sizes[i]):
                raise RuntimeError(
                    f"Attempting to broadcast a dimension of length {sizes[i]} at {i}! Mismatching "
                    f"argument at index {place} had {tuple(sizes)}; but expected shape should be "
                    f"broadcastable to {result}"
                )
            result[i] = sizes[i] if result[i] == 1 else result[i]
    return Size(result)


@function(method=False)
def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """The tensors, all expanded to their common shape: views.

    RuntimeError if the shapes do not fit; `broadcast_shapes` gives the shape alone.

    >>> import framework as torch
    >>> a, b = torch.broadcast_tensors(torch.zeros(2, 1), torch.zeros(3))
    >>> a.shape, b.shape
    (torch.Size([2, 3]), torch.Size([2, 3]))
    """
    for i, x in enumerate(tensors):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"expected Tensor as element {i} in argument 0, but got {type(x).__name__}"
            )
    shape = common_shape(*[x._data.shape for x in tensors])
    return tuple([x if x._data.shape == shape else expand(x, *shape) for x in tensors])


def common_shape(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """What shapes broadcast to.

    Raises:
        RuntimeError: they do not, in the words of an op on two tensors.
    """
    shape: tuple[int, ...] = ()
    for other in shapes:
        try:
            shape = np.broadcast_shapes(shape, other)
        except ValueError:
            a, b = shape, other
            k = next(k for k in range(1, 1 + len(b)) if a[-k] != b[-k] and 1 not in (a[-k], b[-k]))
            raise RuntimeError(
                f"The size of tensor a ({a[-k]}) must match the size of tensor b ({b[-k]}) at "
                f"non-singleton dimension {max(len(a), len(b)) - k}"
            ) from None
    return shape


_SQUEEZE = [variant(RESHAPE, f"SqueezeBackward{i}") for i in range(3)]
_UNSQUEEZE = variant(RESHAPE, "Unsqueeze")


@function(checks=True)
@numpy_names
def squeeze(input: Tensor, dim: Any = MISSING, *more: int) -> Tensor:
    """Dimensions of length 1 removed: a view.

    Args:
        dim: one or several to remove, where they have length 1 (others stay); all by default.
        more: further ones, of the method: ``x.squeeze(0, 2)``.

    IndexError for a dimension out of range.

    >>> import framework as torch
    >>> x = torch.zeros(1, 3, 1)
    >>> x.squeeze().shape, x.squeeze(0).shape, x.squeeze(1).shape
    (torch.Size([3]), torch.Size([3, 1]), torch.Size([1, 3, 1]))
    """
    shape = input._data.shape
    if more:
        dim = (dim, *more)
    if dim is MISSING:
        kept = [n for n in shape if n != 1]
    elif isinstance(dim, (tuple, list)):
        dims = [axis(d, input.ndim) for d in dim]
        if len(set(dims)) != len(dims):
            twice = next(d for i, d in enumerate(dims) if d in dims[:i])
            raise RuntimeError(f"dim {twice} appears multiple times in the list of dims")
        kept = [n for i, n in enumerate(shape) if i not in dims or n != 1]
    else:
        d = axis(dim, input.ndim)
        kept = [n for i, n in enumerate(shape) if i != d or n != 1]
    node = _SQUEEZE[0 if dim is MISSING else 2 if isinstance(dim, (tuple, list)) else 1]
    return apply(node, input, shape=tuple(kept))


@function(checks=True)
@numpy_names
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A dimension of length 1 inserted before ``dim``: a view. -1 puts it at the end.

    IndexError unless ``dim`` is in [-n - 1, n] for n dimensions.

    >>> import framework as torch
    >>> x = torch.zeros(2, 3)
    >>> x.unsqueeze(0).shape, x.unsqueeze(-1).shape
    (torch.Size([1, 2, 3]), torch.Size([2, 3, 1]))
    """
    d = axis(dim, input.ndim + 1)
    shape = input._data.shape
    return apply(_UNSQUEEZE, input, shape=(*shape[:d], 1, *shape[d:]))


def _atleast(n: int, place: Any) -> Any:
    """``atleast_Nd``: ``place(x)`` gives a tensor of fewer dimensions the missing ones."""

    def call(*tensors: Any) -> Any:
        many = tensors[0] if len(tensors) == 1 else tensors
        if isinstance(many, (tuple, list)):
            return tuple([x if x.ndim >= n else place(x) for x in many])
        return many if many.ndim >= n else place(many)

    call.__name__ = f"atleast_{n}d"
    call.__doc__ = f"""A tensor (or several), with dimensions added up to {n}: views.

    Several, also as one sequence, give a tuple.

    >>> import framework as torch
    >>> torch.atleast_{n}d(torch.tensor(1.0)).shape
    torch.Size({[1] * n})
    """
    return function(method=False)(call)


def _as_volume(x: Tensor) -> Tensor:
    if x.ndim == 2:
        return unsqueeze(x, -1)
    return unsqueeze(unsqueeze(x, 0), -1) if x.ndim else reshape(x, 1, 1, 1)


atleast_1d = _atleast(1, lambda x: reshape(x, 1))
atleast_2d = _atleast(2, lambda x: unsqueeze(x, 0) if x.ndim else reshape(x, 1, 1))
atleast_3d = _atleast(3, _as_volume)


# -- in place, and questions -----------------------------------------------------------------

for _view in (t, transpose, swapaxes, swapdims, squeeze, unsqueeze):
    function(namespaces=())(view_twin(_view, f"{_view.__name__}_"))


@function(namespaces=())
def ndimension(self: Tensor) -> int:
    """The number of dimensions, as `Tensor.dim`; 0 for a single number. It never raises.

    >>> import framework as torch
    >>> torch.zeros(2, 3).ndimension()
    2
    """
    return self._data.ndim


@function()
def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have one shape; broadcasting does not count.

    >>> import framework as torch
    >>> x = torch.zeros(2, 3)
    >>> x.is_same_size(torch.ones(2, 3)), x.is_same_size(torch.zeros(3))
    (True, False)
    """
    return input._data.shape == other._data.shape
