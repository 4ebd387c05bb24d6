"""Indexing: slices, masks, gather, scatter, and their writes in place."""

from __future__ import annotations

from threading import get_ident
from time import perf_counter_ns
from typing import Any

import numpy as np

from framework.core import dispatch
from framework.core.dispatch import apply, edge_of
from framework.core.graph import clock
from framework.core.modes import modes
from framework.core.registry import function, op
from framework.core.views import assign, before_write, check_inplace
from framework.kernels import module_of, to_host
from framework.ops.reduce import axis
from framework.tensor import Tensor, wrap
from framework.trace import sink

__all__ = ["gather", "index_select", "nonzero", "scatter_add", "tril", "triu"]


# -- basic indexing: views -------------------------------------------------------------------


def _slice_kernel(a: Any, *, index: Any) -> Any:
    # With an Ellipsis even a single element stays a view; without, NumPy would return a scalar.
    return a[index] if Ellipsis in index else a[(*index, Ellipsis)]


def _slice_grad(g: Any, n: Any, index: Any) -> Any:
    return apply(SLICE_SCATTER, g, shape=n.shape(0), index=index)


def _slice_scatter_kernel(a: Any, *, shape: tuple[int, ...], index: Any) -> Any:
    result = module_of(a).zeros(shape, a.dtype)
    result[index] = a
    return result


SLICE = op(
    "getitem", _slice_kernel, "a", view=True, grad=(_slice_grad,),
    samples=lambda s: [((s(3, 4),), {"index": (slice(1, None), 2)}),
                       ((s(3),), {"index": (None, Ellipsis, slice(None, None, 2))})],
)  # fmt: skip
SLICE_SCATTER = op(
    "getitem_backward", _slice_scatter_kernel, "a",
    grad=(lambda g, index: apply(SLICE, g, index=index),),
    samples=lambda s: [((s(2),), {"shape": (3, 4), "index": (slice(1, None), 2)})],
)  # fmt: skip


# -- advanced indexing: copies ---------------------------------------------------------------


def _assembled(indices: Any, layout: tuple[Any, ...]) -> tuple[Any, ...]:
    """Put index arrays back among the slices, integers and Nones they came with."""
    todo = iter(indices)
    return tuple([next(todo) if part is _ARRAY else part for part in layout])


def _add_at(target: Any, index: Any, values: Any) -> None:
    """``target[index] += values`` with repeated indices counted each time."""
    if isinstance(target, np.ndarray):
        np.add.at(target, index, values)
    else:
        import cupyx

        cupyx.scatter_add(target, index, values)


class _Array:
    def __repr__(self) -> str:
        return "tensor"


_ARRAY = _Array()  # the place of an index array in a layout


def _index_backward_kernel(g: Any, *indices: Any, shape: Any, layout: Any) -> Any:
    result = module_of(g).zeros(shape, g.dtype)
    _add_at(result, _assembled(indices, layout), g)
    return result


def _index_put_kernel(a: Any, values: Any, *indices: Any, layout: Any, accumulate: bool) -> Any:
    result = a.copy()
    _put_into(result, values, indices, layout, accumulate)
    return result


def _put_into(target: Any, values: Any, indices: Any, layout: Any, accumulate: bool) -> None:
    index = _assembled(indices, layout)
    values = values.astype(target.dtype, copy=False)
    if accumulate:
        _add_at(target, index, values)
    else:
        target[index] = values


def _index_put_grad(g: Any, n: Any, indices: Any, layout: Any, accumulate: bool) -> Any:
    to_self = to_values = None
    if n.needs(0):
        hole = wrap(module_of(g._data).zeros((), g._data.dtype), g._device)
        to_self = g if accumulate else apply(
            INDEX_PUT, g, hole, *indices, layout=layout, accumulate=False)  # fmt: skip
    if n.needs(1):
        to_values = apply(INDEX, g, *indices, layout=layout)
    return to_self, to_values


def _samples_index(s: Any) -> list[Any]:
    rows = wrap(np.array([0, 2, 0]))
    return [
        ((s(3, 2), rows), {"layout": (_ARRAY,)}),
        ((s(2, 3), rows), {"layout": (slice(None), _ARRAY)}),
        ((s(3, 2), s.mask(3, 2)), {"layout": (_ARRAY,)}),
    ]


def _samples_index_put(s: Any) -> list[Any]:
    rows = wrap(np.array([0, 2]))
    return [
        ((s(3, 2), s(2, 2), rows), {"layout": (_ARRAY,), "accumulate": a}) for a in (False, True)
    ]


INDEX = op(
    "index", lambda a, *indices, layout: a[_assembled(indices, layout)], "a *indices",
    grad=lambda g, n, indices, layout: (
        apply(INDEX_BACKWARD, g, *indices, shape=n.shape(0), layout=layout),),
    samples=_samples_index,
)  # fmt: skip
INDEX_BACKWARD = op(
    "index_backward", _index_backward_kernel, "a *indices",
    grad=lambda g, indices, layout: (apply(INDEX, g, *indices, layout=layout),),
    samples=lambda s: [
        ((s(3, 2), wrap(np.array([0, 2, 0]))), {"shape": (3, 2), "layout": (_ARRAY,)})],
)  # fmt: skip
INDEX_PUT = op(
    "index_put", _index_put_kernel, "a values *indices", grad=_index_put_grad,
    samples=_samples_index_put,
)  # fmt: skip


def _split_index(tensor: Tensor, index: Any) -> tuple[tuple[Tensor, ...], tuple[Any, ...]]:
    """Index arrays as tensors, and the layout that says where among the other parts they stand."""
    parts = index if isinstance(index, tuple) else (index,)
    arrays: list[Tensor] = []
    layout: list[Any] = []
    for p in parts:
        if isinstance(p, list):
            p = np.asarray(p) if p else np.zeros(0, np.int64)
        if isinstance(p, np.ndarray):
            p = wrap(p)
        if not isinstance(p, Tensor):
            layout.append(p)
            continue
        if p._data.dtype.kind not in "iub":
            raise IndexError(
                "tensors used as indices must be long, int, byte or bool tensors, but got "
                f"{p.dtype}"
            )
        if p._data.ndim == 0 and p._data.dtype.kind in "iu" and not hasattr(p, "_level"):
            layout.append(int(p))  # selects, as an int does
            continue
        if p._device is not tensor._device:
            p = p.to(tensor._device)
        arrays.append(p)
        layout.append(_ARRAY)
    return tuple(arrays), tuple(layout)


def _basic(index: Any) -> Any:
    """0-d tensors and NumPy numbers as Python ints, so that the index can be kept and shown."""
    parts = index if isinstance(index, tuple) else (index,)
    clean = []
    for p in parts:
        if isinstance(p, (Tensor, np.integer)):
            p = int(p)
        elif isinstance(p, slice):
            step = _int(p.step)
            if step is not None and step <= 0:
                raise ValueError("step must be greater than zero")
            p = slice(_int(p.start), _int(p.stop), step)
        elif not (p is None or p is Ellipsis or isinstance(p, (int, bool))):
            raise IndexError(
                "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables "
                f"are valid indices (got {type(p).__name__})"
            )
        clean.append(p)
    return tuple(clean)


def _int(value: Any) -> int | None:
    return None if value is None else int(value)


def _is_basic(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    for p in parts:
        if isinstance(p, (bool, np.ndarray, list)):
            return False
        if isinstance(p, Tensor) and (
            p._data.ndim or p._data.dtype.kind == "b" or hasattr(p, "_level")
        ):  # inside of vmap a 0-d index may differ from sample to sample
            return False
    return True


def _check_bounds(tensor: Tensor, index: tuple[Any, ...]) -> None:
    """An int out of range, in PyTorch's words; iteration over a tensor relies on IndexError."""
    shape = tensor._data.shape
    wanted = len([p for p in index if p is not None and p is not Ellipsis])
    if wanted > len(shape):
        if not shape:
            raise IndexError(
                "invalid index of a 0-dim tensor. Use `tensor.item()` in Python to convert a 0-dim "
                "tensor to a number"
            )
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}")
    at = 0
    for p in index:
        if p is Ellipsis:
            at += len(shape) - wanted
        elif p is not None:
            if isinstance(p, int) and not -shape[at] <= p < shape[at]:
                raise IndexError(
                    f"index {p} is out of bounds for dimension {at} with size {shape[at]}"
                )
            at += 1


def _getitem(self: Tensor, index: Any) -> Tensor:
    if _is_basic(index):
        clean = _basic(index)
        _check_bounds(self, clean)
        return apply(SLICE, self, index=clean)
    arrays, layout = _split_index(self, _bools_as_masks(index))
    return apply(INDEX, self, *arrays, layout=layout)


def _bools_as_masks(index: Any) -> Any:
    """``x[True]`` adds a dimension, as in NumPy: a 0-d mask."""
    parts = index if isinstance(index, tuple) else (index,)
    return tuple([wrap(np.asarray(p)) if isinstance(p, bool) else p for p in parts])


def _setitem(self: Tensor, index: Any, value: Any) -> None:
    if not isinstance(value, Tensor):
        value = wrap(np.asarray(value, self._data.dtype))
    if _is_basic(index):
        part = _getitem(self, index)
        if value._data.ndim > part._data.ndim and value._data.size == part._data.size:
            value = value.reshape(part.shape)
        part.copy_(value)
    else:
        _write_at(self, *_split_index(self, _bools_as_masks(index)), value, False, "__setitem__")


_getitem.__name__, _setitem.__name__ = "__getitem__", "__setitem__"
function(namespaces=(), method=False, dunder=("__getitem__",), checks=True)(_getitem)
function(namespaces=(), method=False, dunder=("__setitem__",), checks=True)(_setitem)


def _write_at(
    self: Tensor, indices: Any, layout: Any, values: Tensor, accumulate: bool, name: str
) -> Tensor:
    """Write ``values`` at index arrays; touches only those elements unless autograd looks on."""
    check_inplace(self)
    if values._device is not self._device:
        values = values.to(self._device)
    recorder = sink.active
    if recorder is None or recorder.thread != get_ident():
        _write_now(self, indices, layout, values, accumulate, name)
        return self
    t0 = perf_counter_ns()
    thread, recorder.thread = recorder.thread, 0  # what it does inside is not an event of its own
    try:
        _write_now(self, indices, layout, values, accumulate, name)
    finally:
        recorder.thread = thread
    node = self._edge[0] if self._rg and self._edge is not None else None
    recorder.op(name, (self, values, *indices), {"accumulate": accumulate}, self, t0, node)
    return self


def _write_now(
    self: Tensor, indices: Any, layout: Any, values: Tensor, accumulate: bool, name: str
) -> None:
    if dispatch.interposer is not None or (
        modes.grad and (edge_of(self) is not None or edge_of(values) is not None)
    ):
        since = clock()
        made = apply(INDEX_PUT, self, values, *indices, layout=layout, accumulate=accumulate)
        assign(self, made, name, since)
        return
    arrays = [i._data for i in indices]
    try:
        self._data[_assembled(arrays, layout)]  # refuse a bad index before anything is written
    except IndexError as error:
        raise IndexError(f"{name}: {error}") from None
    before_write(self)
    _put_into(self._data, values._data, arrays, layout, accumulate)


@function(namespaces=(), checks=True)
def index_put_(self: Tensor, indices: Any, values: Any, accumulate: bool = False) -> Tensor:
    """Write ``values`` at ``self[indices]``; with accumulate add to what is there."""
    arrays, layout = _split_index(self, tuple(indices))
    return _write_at(self, arrays, layout, values, accumulate, "index_put_")


@function()
def index_put(input: Tensor, indices: Any, values: Any, accumulate: bool = False) -> Tensor:
    """A copy with ``values`` at ``input[indices]``."""
    arrays, layout = _split_index(input, tuple(indices))
    return apply(INDEX_PUT, input, values, *arrays, layout=layout, accumulate=accumulate)


# -- along one dimension ---------------------------------------------------------------------


def _gather_kernel(a: Any, index: Any, *, dim: int) -> Any:
    if not a.ndim:
        return a.copy() if not index.ndim else np.broadcast_to(a, index.shape).copy()
    _check_index(index, a.shape[dim], "gather", dim)
    a = a[tuple([slice(None) if d == dim else slice(0, n) for d, n in enumerate(index.shape)])]
    return np.take_along_axis(a, index, dim)


def _check_index(index: Any, size: int, name: str, dim: int) -> None:
    """CuPy wraps an index that is out of range, so it is looked at here."""
    if index.dtype.kind not in "iu":
        raise RuntimeError(f"{name}(): Expected dtype int64 for index")
    if index.size and (int(index.max()) >= size or int(index.min()) < 0):
        bad = int(index.max()) if int(index.max()) >= size else int(index.min())
        raise RuntimeError(
            f"{name}: index {bad} is out of bounds for dimension {dim} with size {size}"
        )


def _along(index: Any, dim: int) -> tuple[Any, ...]:
    """Index arrays that address ``[..., index, ...]`` along ``dim``, for a write."""
    grid = list(np.ogrid[tuple([slice(0, n) for n in index.shape])])
    xp = module_of(index)
    return tuple([index if d == dim else xp.asarray(g) for d, g in enumerate(grid)])


def _scatter_kernel(a: Any, index: Any, src: Any, *, dim: int, add: bool) -> Any:
    if not a.ndim:
        a, index = a.reshape(1), index.reshape(1)
        src = src if isinstance(src, (int, float)) else src.reshape(1)
        return _scatter_kernel(a, index, src, dim=0, add=add).reshape(())
    _check_index(index, a.shape[dim], "scatter_add" if add else "scatter", dim)
    result = a.copy()
    where = _along(index, dim)
    if not isinstance(src, (bool, int, float)):
        src = src[tuple([slice(0, n) for n in index.shape])].astype(a.dtype, copy=False)
    if add:
        _add_at(result, where, src)
    else:
        result[where] = src
    return result


GATHER = op(
    "gather", _gather_kernel, "a index",
    grad=(lambda g, n, index, dim: apply(
        SCATTER_ADD, g.new_zeros(n.shape(0)), index, g, dim=dim, add=True), None),
    samples=lambda s: [((s(3, 2), wrap(np.array([[0, 1], [1, 1]]))), {"dim": 1})],
)  # fmt: skip
SCATTER_ADD = op(
    "scatter_add", _scatter_kernel, "a index src",
    grad=(lambda g: g, None, lambda g, n, index, dim: _within(
        apply(GATHER, g, index, dim=dim), n.shape(2))),
    samples=lambda s: [
        ((s(3, 2), wrap(np.array([[0, 1], [1, 1]])), s(2, 2)), {"dim": 1, "add": True})],
)  # fmt: skip
SCATTER = op(
    "scatter", _scatter_kernel, "a index src",
    grad=(
        lambda g, index, dim: apply(SCATTER, g, index, 0.0, dim=dim, add=False),
        None,
        lambda g, n, index, dim: _within(apply(GATHER, g, index, dim=dim), n.shape(2)),
    ),
    samples=lambda s: [
        ((s(3, 2), wrap(np.array([[0, 1], [1, 0]])), s(2, 2)), {"dim": 1, "add": False})],
)  # fmt: skip


def _within(g: Any, shape: tuple[int, ...]) -> Any:
    """The gradient of the part of ``src`` that the index covered, as one of all of it."""
    if tuple(g.shape) == tuple(shape):
        return g
    index = tuple([slice(0, n) for n in g.shape])
    return apply(SLICE_SCATTER, g, shape=shape, index=index)


@function(checks=True)
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """``out[i][j] = input[index[i][j]][j]`` (for dim 0): elements picked along a dimension."""
    return apply(GATHER, input, index, dim=axis(dim, input.ndim))


@function()
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`gather` with broadcasting of the other dimensions; of the flattened tensor without dim."""
    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1))
    d = axis(dim, input.ndim)
    shape = list(np.broadcast_shapes(
        [1 if i == d else n for i, n in enumerate(input.shape)],
        [1 if i == d else n for i, n in enumerate(indices.shape)],
    ))  # fmt: skip
    wide = list(shape)
    shape[d], wide[d] = input.shape[d], indices.shape[d]
    return gather(input.expand(*shape), d, indices.expand(*wide))


@function(inplace=True, checks=True)
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None,
    reduce: str | None = None,
) -> Tensor:  # fmt: skip
    """The inverse of `gather`: ``out[index[i][j]][j] = src[i][j]`` (for dim 0)."""
    if reduce not in (None, "add"):
        raise RuntimeError(f"scatter: reduce argument must be 'add', but got {reduce!r}")
    given = src if value is None else value
    return apply(
        SCATTER_ADD if reduce else SCATTER, input, index, given,
        dim=axis(dim, input.ndim), add=bool(reduce),
    )  # fmt: skip


@function(inplace=True, checks=True)
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """`scatter` that adds, repeated indices counted each time."""
    return apply(SCATTER_ADD, input, index, src, dim=axis(dim, input.ndim), add=True)


@function(checks=True)
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Slices picked along a dimension by a 1-d index."""
    if index.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    d = axis(dim, input.ndim)
    if not input.ndim:
        return input.clone()
    index = index.reshape(-1)
    _check_index(index._data, input._data.shape[d], "index_select", d)
    return apply(INDEX, input, index, layout=(slice(None),) * d + (_ARRAY,))


@function(inplace=True, checks=True)
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """``input[index[i]] += alpha * source[i]`` along a dimension, repeats counted each time."""
    d = axis(dim, input.ndim)
    _check_index(index._data, input._data.shape[d], "index_add", d)
    layout = (slice(None),) * d + (_ARRAY,)
    scaled = source if alpha == 1 else source * alpha
    return apply(INDEX_PUT, input, scaled, index, layout=layout, accumulate=True)


@function(inplace=True)
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """``input[index[i]] = source[i]`` along a dimension."""
    d = axis(dim, input.ndim)
    layout = (slice(None),) * d + (_ARRAY,)
    return apply(INDEX_PUT, input, source, index, layout=layout, accumulate=False)


@function(inplace=True)
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """``input[index[i]] = value`` along a dimension."""
    filler = value if isinstance(value, Tensor) else wrap(np.asarray(value, input._data.dtype))
    layout = (slice(None),) * axis(dim, input.ndim) + (_ARRAY,)
    return apply(INDEX_PUT, input, filler, index, layout=layout, accumulate=False)


# -- masks and positions ---------------------------------------------------------------------


@function(checks=True)
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask holds, as a vector; both broadcast."""
    shape = np.broadcast_shapes(input._data.shape, mask._data.shape)
    return _getitem(input.expand(*shape), mask.expand(*shape))


@function()
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """Positions of the non-zero elements: [count, ndim], or one vector per dimension."""
    found = module_of(input._data).nonzero(np.atleast_1d(input._data))
    parts = [wrap(np.asarray(f), input._device) for f in found]
    if as_tuple:
        return tuple(parts)
    if not input.ndim:
        return wrap(np.zeros((len(found[0]), 0), np.int64), input._device)
    return wrap(np.stack([p._data for p in parts], 1), input._device)


def _triangle(name: str, kernel: Any) -> Any:
    record = op(
        name, lambda a, *, diagonal: kernel(a, diagonal), "a",
        grad=(lambda g, diagonal: apply(record, g, diagonal=diagonal),),
        samples=lambda s: [((s(3, 3),), {"diagonal": 0}), ((s(2, 3, 2),), {"diagonal": -1})],
    )  # fmt: skip
    return record


TRIL, TRIU = _triangle("tril", np.tril), _triangle("triu", np.triu)


@function(inplace=True)
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle, zeros above the given diagonal."""
    return apply(TRIL, input, diagonal=diagonal)


@function(inplace=True)
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle, zeros below the given diagonal."""
    return apply(TRIU, input, diagonal=diagonal)


@function()
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of two dimensions, as the last one."""
    a, b = axis(dim1, input.ndim), axis(dim2, input.ndim)
    last = input.movedim((a, b), (-2, -1))
    rows, cols = last.shape[-2:]
    start = max(offset, 0)
    n = max(0, min(rows + min(offset, 0), cols - start))
    i = np.arange(n)
    return _getitem(last, (Ellipsis, wrap(i - min(offset, 0)), wrap(i + start)))


@function()
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or a matrix with a vector as its diagonal."""
    if input.ndim == 2:
        return globals()["diagonal"](input, diagonal)
    if input.ndim != 1:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    n = input.shape[0] + abs(diagonal)
    i = np.arange(input.shape[0])
    rows, cols = wrap(i + max(-diagonal, 0)), wrap(i + max(diagonal, 0))
    flat = input.new_zeros(n, n)
    return apply(INDEX_PUT, flat, input, rows, cols, layout=(_ARRAY, _ARRAY), accumulate=False)


@function()
def unique(
    input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False
) -> Any:
    """The distinct elements in order; on request where each came from and how often."""
    found = np.unique(to_host(input._data), return_inverse=True, return_counts=True)
    values, inverse, counts = (wrap(np.asarray(f)) for f in found)
    result = [values]
    if return_inverse:
        result.append(inverse.reshape(input.shape))
    if return_counts:
        result.append(counts)
    return result[0] if len(result) == 1 else tuple(result)
