"""Parts of a tensor: slices, windows, and views by strides; and writing into a copy of it."""

from __future__ import annotations

import math
import operator
import warnings
from typing import Any

from framework.core.dispatch import apply, composite
from framework.core.registry import function, op
from framework.core.views import VIEW_SCATTER, base_of, before_write, view_twin
from framework.kernels import module_of
from framework.kernels.strided import (
    Geometry,
    laid_out,
    may_overlap,
    reach,
    restride,
    storage_bytes,
    strided,
    strides_of,
)
from framework.ops.dims import axis, numpy_names
from framework.ops.indexing import SLICE
from framework.ops.shape import ints
from framework.tensor import Tensor

__all__ = [
    "as_strided", "as_strided_scatter", "into_part", "narrow", "narrow_copy", "select",
    "select_scatter", "slice_", "slice_scatter", "unfold",
]  # fmt: skip


# -- slices ----------------------------------------------------------------------------------


def _at(d: int, index: Any) -> dict[str, Any]:
    return {"index": (*(slice(None),) * d, index)}


def _int(value: Any, words: str) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(words.format(got=type(value).__name__)) from None


@function(checks=True)
@numpy_names
def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """``length`` slices from ``start`` (an int or a 0-d tensor) along a dimension: a view.

    Raises:
        IndexError: ``start`` is out of range.
        RuntimeError: the part reaches beyond the end, or ``input`` is 0-d.

    >>> import framework as torch
    >>> torch.arange(5).narrow(0, 1, 3)
    tensor([1, 2, 3])
    """
    if not input.ndim:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    d = axis(dim, input.ndim)
    n = input._data.shape[d]
    if isinstance(start, Tensor) and (start.ndim or start._data.dtype.kind not in "iu"):
        raise RuntimeError("start must be an 0-dim integral Tensor.")
    first = int(start)
    if not -n <= first <= n:
        raise IndexError(
            f"start out of range (expected to be in range of [{-n}, {n}], but got {first})"
        )
    first += n if first < 0 else 0
    if first + length > n:
        raise RuntimeError(f"start ({first}) + length ({length}) exceeds dimension size ({n}).")
    return apply(SLICE, input, **_at(d, slice(first, first + length)))


@function(checks=True, out=True)
def narrow_copy(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`narrow`, copied: the result shares no memory with ``input``.

    >>> import framework as torch
    >>> torch.arange(5).narrow_copy(0, 1, 3)
    tensor([1, 2, 3])
    """
    if input.ndim and dim >= input.ndim:  # another kind of error than everywhere else
        raise RuntimeError(f"Expected dim < {input.ndim}, but got {dim}")
    if input.ndim and length < 0:
        raise RuntimeError(
            f"start ({start}) + length ({length}) exceeds dimension size ({input.shape[dim]})."
        )
    return narrow(input, dim, start, length).clone()


def _selected(input: Tensor, dim: int, index: Any) -> dict[str, Any]:
    if not input.ndim:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    d = axis(dim, input.ndim)
    n = input._data.shape[d]
    i = _int(index, "select(): argument 'index' must be int, not {got}")
    if not -n <= i < n:
        raise IndexError(
            f"select(): index {i} out of range for tensor of size {list(input.shape)} at "
            f"dimension {d}"
        )
    return _at(d, i)


@function(checks=True)
@numpy_names
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """One slice along a dimension, which disappears: a view, as ``input[index]`` for dimension 0.

    IndexError for an index or dimension out of range, and for a 0-d tensor.

    >>> import framework as torch
    >>> torch.tensor([[1, 2], [3, 4]]).select(1, 0)
    tensor([1, 3])
    """
    return apply(SLICE, input, **_selected(input, dim, index))


def _sliced(input: Tensor, dim: int, start: Any, end: Any, step: int) -> dict[str, Any]:
    if not input.ndim:
        raise RuntimeError("slice() cannot be applied to a 0-dim tensor.")
    if step < 1:
        raise RuntimeError("slice step must be positive")
    d = axis(dim, input.ndim)
    first, last, _ = slice(start, end).indices(input._data.shape[d])
    return _at(d, slice(first, max(first, last), step))


@function(namespaces=("ops.aten",), method=False, checks=True)
def slice_(
    input: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """``input[start:end:step]`` along a dimension: a view; bounds are clipped.

    RuntimeError for a step below 1 or a 0-d tensor.

    >>> import framework as torch
    >>> torch.ops.aten.slice(torch.arange(6), 0, 1, 10, 2)
    tensor([1, 3, 5])
    """
    return apply(SLICE, input, **_sliced(input, dim, start, end, step))


# -- windows ---------------------------------------------------------------------------------


def _windows_kernel(a: Any, *, dim: int, size: int, step: int) -> Any:
    if not a.ndim:
        return a.reshape(1)[:size]
    n = (a.shape[dim] - size) // step + 1
    strides = strides_of(a)
    shape = (*a.shape[:dim], n, *a.shape[dim + 1 :], size)
    return strided(
        a, shape, (*strides[:dim], step * strides[dim], *strides[dim + 1 :], strides[dim])
    )


def _windows_sum_kernel(g: Any, *, shape: tuple[int, ...], dim: int, size: int, step: int) -> Any:
    result = module_of(g).zeros(shape, g.dtype)
    if not shape:
        return g.reshape(()) if size else result
    n = g.shape[dim]
    for k in range(size):
        where = (slice(None),) * dim + (slice(k, k + (n - 1) * step + 1, step),)
        result[where] += g[..., k]
    return result


WINDOWS = op(
    "unfold", _windows_kernel, "a", view=True,
    grad=(lambda g, n: apply(WINDOWS_SUM, g, shape=n.shape(0), **n.meta),),
    samples=lambda s: [
        ((s(5, 2),), {"dim": 0, "size": 3, "step": 1}),
        ((s(2, 7),), {"dim": 1, "size": 2, "step": 3}),
        ((s(),), {"dim": 0, "size": 1, "step": 1}),
    ],
)  # fmt: skip
WINDOWS_SUM = op(
    "unfold_backward", _windows_sum_kernel, "g",
    grad=(lambda g, dim, size, step: apply(WINDOWS, g, dim=dim, size=size, step=step),),
    samples=lambda s: [((s(3, 2, 3),), {"shape": (5, 2), "dim": 0, "size": 3, "step": 1})],
)  # fmt: skip


@function(namespaces=(), checks=True)
def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of a length, ``step`` apart, along a dimension; the last dimension of a view.

    `(*, n, *)` gives `(*, (n - size) // step + 1, *, size)`. RuntimeError for a size above n and a
    step below 1.

    >>> import framework as torch
    >>> torch.arange(5).unfold(0, 2, 2)
    tensor([[0, 1],
            [2, 3]])
    """
    d = axis(dimension, self.ndim)
    n = self._data.shape[d] if self.ndim else 1
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > n:
        raise RuntimeError(f"maximum size for tensor at dimension {d} is {n} but size is {size}")
    if step < 1:
        raise RuntimeError(f"step is {step} but must be > 0")
    return apply(WINDOWS, self, dim=d, size=size, step=step)


# -- strides ---------------------------------------------------------------------------------


def _as_strided_kernel(a: Any, *, target: Geometry, source: Geometry) -> Any:
    if strides_of(a) == source[1] or a.size < 2:
        return strided(a, target[0], target[1], target[2] - source[2])
    # A gradient, say, in another layout: what several elements share is one and the same there.
    return restride(a, source, target, source if may_overlap(source) else None)


AS_STRIDED = op(
    "as_strided", _as_strided_kernel, "a", view=True,
    grad=(lambda g, target, source: apply(
        RESTRIDE, g, source=target, target=source,
        shared=source if may_overlap(source) else None),),
    samples=lambda s: [
        ((s(3, 2),), {"target": ((2, 2), (1, 2), 1), "source": ((3, 2), (2, 1), 0)}),
        ((s(3, 2),), {"target": ((3, 3), (1, 1), 0), "source": ((3, 2), (2, 1), 0)}),
    ],
)  # fmt: skip
RESTRIDE = op(
    "as_strided_backward", restride, "g",
    grad=(lambda g, source, target, shared: apply(
        RESTRIDE, g, source=target, target=source, shared=shared),),
    samples=lambda s: [
        (
            (s(2, 2),),
            {"source": ((2, 2), (1, 1), 1), "target": ((3, 2), (2, 1), 0), "shared": None},
        ),
        (
            (s(2, 2),),
            {"source": ((2, 2), (1, 2), 0), "target": ((3, 2), (1, 1), 0),
             "shared": ((3, 2), (1, 1), 0)},
        ),
    ],
)  # fmt: skip


def _geometry(input: Tensor, size: Any, stride: Any, offset: Any) -> Geometry:
    """The checked geometry of a view, counted from the start of ``input``'s memory."""
    shape, strides = ints((size,)), ints((stride,))
    start = _values(input).storage_offset() if offset is None else int(offset)
    if len(shape) != len(strides):
        raise RuntimeError(
            f"mismatch in length of strides and shape: {len(strides)} vs {len(shape)}"
        )
    if any(s < 0 for s in strides):
        raise RuntimeError(
            "as_strided: Negative strides are not supported at the moment, got strides: "
            f"{list(strides)}"
        )
    if start < 0:
        raise RuntimeError(f"as_strided: Tensor: invalid storage offset {start}")
    owner = _values(input)
    if owner._base is not None:
        owner = base_of(owner)
    have, item = storage_bytes(owner._data), input._data.itemsize
    need = reach(shape, strides, start) * item
    if need > have:
        raise RuntimeError(
            f"setStorage: sizes {list(shape)}, strides {list(strides)}, storage offset {start}, "
            f"and itemsize {item} requiring a storage size of {need} are out of bounds for storage "
            f"of size {have}"
        )
    return shape, strides, start


def _own(input: Tensor) -> Geometry:
    return tuple(input._data.shape), tuple(input.stride()), _values(input).storage_offset()


def _values(input: Tensor) -> Tensor:
    """The tensor that has a batched one's numbers: its first sample starts where it does."""
    while hasattr(input, "_level"):
        input = input._value
    return input


@function(checks=True)
def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A view of ``input``'s memory with any shape and strides, counted in elements.

    Args:
        storage_offset: from the start of the memory; by default where ``input`` itself starts.

    The result has the shape ``size``. The gradient adds up what several elements of the view, being
    one place in memory, get.

    Raises:
        RuntimeError: the view would reach out of the memory.

    >>> import framework as torch
    >>> torch.arange(4).as_strided((2, 2), (1, 1))
    tensor([[0, 1],
            [1, 2]])
    """
    for name, value in (("size", size), ("stride", stride)):
        if isinstance(value, int):
            raise TypeError(f"as_strided(): argument '{name}' must be tuple of ints, not int")
    target = _geometry(input, size, stride, storage_offset)
    out = apply(AS_STRIDED, input, target=target, source=_own(input))
    if out._base is not None and not hasattr(out, "_level"):
        # However its input was taken of the base: it is a view of the base's memory.
        out._chain = ((AS_STRIDED, {"target": target, "source": _own(base_of(out))}),)
    return out


function()(view_twin(as_strided, "as_strided_"))


# -- a copy with a part written --------------------------------------------------------------


def into_part(
    input: Tensor, src: Tensor, record: Any, meta: dict[str, Any], layout: Any = None
) -> Tensor:
    """A copy of ``input`` whose part, that a view op gives, is ``src``."""
    part = apply(record, input, **meta)._data.shape
    if src._data.shape != part:
        raise RuntimeError(
            "expected src to have a size equal to the slice of self. src size = "
            f"{list(src.shape)}, slice size = {list(part)}"
        )
    return apply(VIEW_SCATTER, input, src, chain=((record, meta),), strides=layout)


@function(checks=True)
@composite
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of ``input`` with ``src`` as one slice along a dimension.

    RuntimeError unless ``src`` has the slice's shape, IndexError for an index or dimension out of
    range.

    >>> import framework as torch
    >>> torch.zeros(2, 2).select_scatter(torch.ones(2), 0, 1)
    tensor([[0., 0.],
            [1., 1.]])
    """
    return into_part(input, src, SLICE, _selected(input, dim, index))


@function(checks=True, out=True)
@composite
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None,
    step: int = 1,
) -> Tensor:  # fmt: skip
    """A copy of ``input`` with ``src`` as ``input[start:end:step]`` along a dimension.

    Bounds are clipped. RuntimeError unless ``src`` has the slice's shape and ``step`` is positive.

    >>> import framework as torch
    >>> torch.zeros(4).slice_scatter(torch.ones(2), start=1, end=3)
    tensor([0., 1., 1., 0.])
    """
    return into_part(input, src, SLICE, _sliced(input, dim, start, end, step))


@function(checks=True)
@composite
def as_strided_scatter(
    input: Tensor, src: Tensor, size: Any, stride: Any, storage_offset: int | None = None
) -> Tensor:
    """A copy of ``input`` with ``src`` as its `as_strided` part.

    The gradient of ``input`` is that of what was left of it. PyTorch 2.13 gives it that of the part
    instead, which its own tests list among their expected failures.

    RuntimeError unless ``src`` has the part's shape and the part lies within the memory.

    >>> import framework as torch
    >>> torch.zeros(4).as_strided_scatter(torch.ones(2), (2,), (3,))
    tensor([1., 0., 0., 1.])
    """
    target = _geometry(input, size, stride, storage_offset)
    own = _own(input)
    layout = None if input.is_contiguous() else own[1]
    return into_part(input, src, AS_STRIDED, {"target": target, "source": own}, layout)


# -- another size ----------------------------------------------------------------------------


@function(namespaces=(), checks=True)
def resize_(self: Tensor, *sizes: Any, size: Any = None, memory_format: Any = None) -> Tensor:
    """Give a tensor another shape, in C order; new elements, if there are any, hold anything.

    Raises:
        RuntimeError: it wants a gradient.

    >>> import framework as torch
    >>> torch.arange(4).resize_(2)
    tensor([0, 1])
    """
    shape = ints(sizes, size)
    if any(n < 0 for n in shape):
        bad = min(shape)
        raise RuntimeError(f"Trying to create tensor with negative dimension {bad}: {list(shape)}")
    if self.requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    if shape == self._data.shape:
        return self
    data = self._data
    count = math.prod(shape)
    steps = tuple([math.prod(shape[d + 1 :]) for d in range(len(shape))])
    before_write(self)
    if count * data.itemsize <= storage_bytes(data):
        self._data = strided(data, shape, steps)
    else:
        memory = module_of(data).zeros(count, data.dtype)
        kept = laid_out(data, None if data.flags.c_contiguous else strides_of(data))
        filled = strided(kept, (min(reach(data.shape, strides_of(data)), count),), (1,))
        memory[: filled.size] = filled
        self._data = memory.reshape(shape)
    return self


@function(checks=True)
def resize_as_(input: Tensor, the_template: Tensor, *, memory_format: Any = None) -> Tensor:
    """`Tensor.resize_` to the shape of another tensor, whose dtype does not matter.

    RuntimeError if ``input`` wants a gradient.

    >>> import framework as torch
    >>> torch.arange(4).resize_as_(torch.zeros(2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    return resize_(input, the_template.shape)


@function(namespaces=(), checks=True)
def resize(self: Tensor, *sizes: int) -> Tensor:
    """Deprecated in PyTorch: `Tensor.reshape` to a shape of as many elements, else RuntimeError.

    >>> import warnings
    >>> import framework as torch
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     torch.arange(4).resize(2, 2)
    tensor([[0, 1],
            [2, 3]])
    """
    warnings.warn("non-inplace resize is deprecated", stacklevel=3)
    return _resized(self, sizes)


@function(namespaces=(), checks=True)
def resize_as(self: Tensor, tensor: Tensor) -> Tensor:
    """Deprecated in PyTorch: `Tensor.reshape` to the shape of another tensor.

    RuntimeError for another number of elements.

    >>> import warnings
    >>> import framework as torch
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     torch.arange(4).resize_as(torch.zeros(2, 2)).shape
    torch.Size([2, 2])
    """
    warnings.warn("non-inplace resize_as is deprecated", stacklevel=3)
    return _resized(self, tensor.shape)


def _resized(x: Tensor, shape: Any) -> Tensor:
    sizes = ints(shape, None) if isinstance(shape, tuple) else tuple(shape)
    if math.prod(sizes) != x._data.size:
        raise RuntimeError(
            f"requested resize to {'x'.join(map(str, sizes))} ({math.prod(sizes)} elements in "
            f"total), but the given tensor has a size of {'x'.join(map(str, x.shape))} "
            f"({x._data.size} elements). autograd's resize can only change the shape of a given "
            "tensor, while preserving the number of elements. "
        )
    return x.reshape(sizes)


@function(namespaces=())
def is_set_to(self: Tensor, tensor: Tensor) -> bool:
    """Whether two tensors are one memory with one shape and strides.

    TypeError for what is no tensor.

    >>> import framework as torch
    >>> x = torch.zeros(2, 3)
    >>> x.is_set_to(x[:]), x.is_set_to(x.clone()), x.is_set_to(x[0])
    (True, False, False)
    """
    return self.data_ptr() == tensor.data_ptr() and _own(self)[:2] == _own(tensor)[:2]
