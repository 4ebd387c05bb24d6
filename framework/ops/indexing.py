"""Indexing: slices, index arrays, masks, flat positions, and their writes in place.

What goes along one dimension is in `scatter`, functions of masks are in `masks`.
"""

from __future__ import annotations

import math
import operator
from threading import get_ident
from time import perf_counter_ns
from typing import Any

import numpy as np

from framework import dtypes
from framework.cautions import caution, caution_once
from framework.core import dispatch
from framework.core.dispatch import apply, edge_of
from framework.core.graph import clock
from framework.core.modes import modes
from framework.core.registry import function, op
from framework.core.saved import needs_values, values_known
from framework.core.views import assign, before_write, check_inplace, shared_memory
from framework.device import CPU
from framework.dtypes import assigned, bool_, int64
from framework.kernels import SparseOperand, module_of, places, waits
from framework.kernels.floats import type_name
from framework.kernels.indices import known
from framework.kernels.meta import MetaArray
from framework.kernels.strided import meet
from framework.kernels.sums import add_flat, add_rows
from framework.tensor import Tensor, wrap
from framework.trace import sink

__all__ = [
    "add_at", "index_array", "index_put", "nonzero", "put",
    "take", "unravel_index",
]  # fmt: skip


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
SLICE.part = True
SLICE_SCATTER = op(
    "getitem_backward", _slice_scatter_kernel, "a",
    grad=(lambda g, index: apply(SLICE, g, index=index),),
    samples=lambda s: [((s(2),), {"shape": (3, 4), "index": (slice(1, None), 2)})],
)  # fmt: skip


# -- advanced indexing: copies ---------------------------------------------------------------


def _assembled(indices: Any, layout: tuple[Any, ...]) -> tuple[Any, ...]:
    """Put index arrays back among the slices, integers and Nones they came with."""
    todo = iter(indices)
    return tuple([next(todo) if part is index_array else part for part in layout])


def add_at(target: Any, index: Any, values: Any) -> None:
    """``target[index] += values`` with repeated indices counted each time."""
    if target.__class__ is MetaArray:
        return
    if isinstance(target, np.ndarray):
        if isinstance(values, np.ndarray) and add_rows(target, index, values):
            return
        if target.ndim > 1 and target.flags.c_contiguous and 4 * values.size > target.size:
            # NumPy is several times as fast with one index into a vector.
            index = np.arange(target.size).reshape(target.shape)[index]
            values = np.broadcast_to(values, index.shape).reshape(-1)
            target, index = target.reshape(-1), index.reshape(-1)
            if add_flat(target, index, values):
                return
        np.add.at(target, index, values)
    else:
        places.add_at(target, index, values)


def _index_kernel(a: Any, *indices: Any, layout: Any) -> Any:
    index = _assembled(indices, layout)
    if module_of(a) is not np:
        _check_index(a, index)
    try:
        first: Any = indices[0] if indices else None
        if len(indices) == 1 and _along_one(index, first):
            d = 0 if index[0] is first else [part is first for part in index].index(True)
            if a.flags.c_contiguous:
                if d or first.ndim:  # at the first: a third of the time
                    return a.take(first, d)
            elif d:  # `take` would copy all of it
                return module_of(a).ascontiguousarray(a[index])
        return a[index]
    except IndexError:
        _check_index(a, index)
        raise


_ALL = slice(None)


def _along_one(index: tuple[Any, ...], place: Any) -> bool:
    """Whether places of one dimension after the first are picked.

    NumPy's result of such an index lies across, with that dimension outermost.
    """
    return place.dtype.kind in "iu" and all(
        part is place or (part.__class__ is slice and part == _ALL) for part in index
    )


def _check_index(a: Any, index: tuple[Any, ...]) -> None:
    """Refuse index arrays that do not fit, in PyTorch's words; CuPy would wrap them in silence."""
    shape = a.shape
    taken = sum([_takes(p) for p in index])
    if taken > len(shape):
        raise IndexError(f"too many indices for tensor of dimension {len(shape)} (got {taken})")
    d, arrays = 0, []
    for place, p in enumerate(index):
        if p is Ellipsis:
            d += len(shape) - taken
            continue
        if hasattr(p, "dtype") and p.dtype.kind == "b":
            if p.shape != shape[d : d + p.ndim]:
                raise IndexError(
                    f"The shape of the mask {list(p.shape)} at index {place} does not match the "
                    f"shape of the indexed tensor {list(shape)} at index {d}"
                )
        elif hasattr(p, "dtype") or isinstance(p, int):
            arrays += [] if isinstance(p, int) else [list(p.shape)]
            if known.depth and not isinstance(p, int):
                low, high = 0, -1
            else:
                low, high = (p, p) if isinstance(p, int) else extent(p)
            if low < -shape[d] or high >= shape[d]:
                raise IndexError(
                    f"index {high if high >= shape[d] else low} is out of bounds for dimension {d} "
                    f"with size {shape[d]}"
                )
        d += _takes(p)
    try:
        np.broadcast_shapes(*arrays)
    except ValueError:
        raise IndexError(
            "shape mismatch: indexing tensors could not be broadcast together with shapes "
            + ", ".join([str(s) for s in arrays])
        ) from None


def _takes(part: Any) -> int:
    """How many dimensions a part of an index is about."""
    if part is None or part is Ellipsis:
        return 0
    return part.ndim if hasattr(part, "dtype") and part.dtype.kind == "b" else 1


def extent(index: Any) -> tuple[int, int]:
    """The least and the greatest number of an index; of a device both come over at once."""
    if not index.size or index.__class__ is MetaArray:
        return 0, -1
    low, high = index.min(), index.max()
    if not isinstance(index, np.ndarray):
        low, high = module_of(index).stack((low, high)).get().tolist()
    return int(low), int(high)


class _Array:
    def __repr__(self) -> str:
        return "tensor"


index_array = _Array()  # the place of an index array in a layout


def _index_backward_kernel(g: Any, *indices: Any, shape: Any, layout: Any) -> Any:
    result = module_of(g).zeros(shape, g.dtype)
    add_at(result, _assembled(indices, layout), g)
    return result


def _index_put_kernel(a: Any, values: Any, *indices: Any, layout: Any, accumulate: bool) -> Any:
    result = a.copy()
    _put_into(result, values, indices, layout, accumulate)
    return result


def _put_into(target: Any, values: Any, indices: Any, layout: Any, accumulate: bool) -> None:
    index = _assembled(indices, layout)
    values = values.astype(target.dtype, copy=False)
    if module_of(target) is not np:
        _check_index(target, index)
    try:
        if accumulate:
            add_at(target, index, values)
        else:
            target[index] = values
    except IndexError:
        _check_index(target, index)
        raise
    except ValueError:
        raise ValueError(
            f"shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast to "
            f"indexing result of shape {list(target[index].shape)}"
        ) from None


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
        ((s(3, 2), rows), {"layout": (index_array,)}),
        ((s(2, 3), rows), {"layout": (slice(None), index_array)}),
        ((s(3, 2), s.mask(3, 2)), {"layout": (index_array,)}),
    ]


def _samples_index_put(s: Any) -> list[Any]:
    rows = wrap(np.array([0, 2]))
    return [
        ((s(3, 2), s(2, 2), rows), {"layout": (index_array,), "accumulate": a})
        for a in (False, True)
    ]


INDEX = op(
    "index", _index_kernel, "a *indices",
    grad=lambda g, n, indices, layout: (
        apply(INDEX_BACKWARD, g, *indices, shape=n.shape(0), layout=layout),),
    samples=_samples_index,
)  # fmt: skip
INDEX_BACKWARD = op(
    "index_backward", _index_backward_kernel, "a *indices",
    grad=lambda g, indices, layout: (apply(INDEX, g, *indices, layout=layout),),
    samples=lambda s: [
        ((s(3, 2), wrap(np.array([0, 2, 0]))), {"shape": (3, 2), "layout": (index_array,)})],
)  # fmt: skip
INDEX_PUT = op(
    "index_put", _index_put_kernel, "a values *indices", grad=_index_put_grad,
    samples=_samples_index_put,
)  # fmt: skip


_INDEX_TYPES = frozenset(np.dtype(t) for t in (np.int64, np.int32, np.uint8, np.bool_))


def _split_index(tensor: Tensor, index: Any) -> tuple[tuple[Tensor, ...], tuple[Any, ...]]:
    """Index arrays as tensors, and the layout that says where among the other parts they stand."""
    parts = index if isinstance(index, tuple) else (index,)
    arrays: list[Tensor] = []
    layout: list[Any] = []
    for p in parts:
        if isinstance(p, list):
            try:
                p = np.asarray(p) if p else np.zeros(0, np.int64)
            except ValueError:
                raise TypeError(
                    f"an index is a list of different depths, expected integers or bools: {p!r:.60}"
                ) from None
            if p.dtype.kind == "f":  # numbers that were written as floats: PyTorch's wart
                p = p.astype(np.int64)
        if isinstance(p, np.ndarray):
            if p.dtype not in dtypes.from_numpy_dtype:
                raise _no_index(p)
            p = wrap(p.astype(np.int64) if p.dtype.kind in "iu" else p)
        if not isinstance(p, Tensor):
            layout.append(_plain(p))
            continue
        if p._data.dtype not in _INDEX_TYPES:
            raise IndexError(
                "tensors used as indices must be long, int, byte or bool tensors, but got "
                f"{p.dtype}"
            )
        if p._data.dtype == np.uint8:  # a mask, from before there were bools
            caution(
                "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool "
                "instead."
            )
            p = p.to(bool_)
        if p._data.ndim == 0 and p._data.dtype.kind in "iu" and not hasattr(p, "_level"):
            layout.append(int(p))  # selects, as an int does
            continue
        if p._device is not tensor._device:
            if p._device.type == "cuda":
                raise RuntimeError(
                    "indices should be either on cpu or on the same device as the indexed tensor "
                    f"({tensor._device})"
                )
            p = p.to(tensor._device)
        arrays.append(p)
        layout.append(index_array)
    return tuple(arrays), tuple(layout)


def _no_index(array: np.ndarray) -> Exception:
    """For an array of what no tensor holds: its first part of that kind."""
    if array.dtype.kind in "US":
        return TypeError(
            f"new(): invalid data type '{'str' if array.dtype.kind == 'U' else 'bytes'}'"
        )
    if array.dtype.kind == "O":
        kinds = [type(v).__name__ for v in array.flat if not isinstance(v, (bool, int, float))]
        return RuntimeError(f"Could not infer dtype of {kinds[0] if kinds else 'object'}")
    return TypeError(f"can't convert np.ndarray of type {array.dtype} into an index")


def _basic(index: Any) -> Any:
    """0-d tensors and NumPy numbers as Python ints, so that the index can be kept and shown."""
    return tuple([_plain(p) for p in (index if isinstance(index, tuple) else (index,))])


def _plain(part: Any) -> Any:
    """A part of an index that is no array, checked."""
    if isinstance(part, slice):
        step = _int(part.step)
        if step is not None and step <= 0:
            raise ValueError("step must be greater than zero")
        return slice(_int(part.start), _int(part.stop), step)
    if isinstance(part, (Tensor, np.integer)):
        return int(part)
    if part is None or part is Ellipsis or isinstance(part, int):
        return part
    if isinstance(part, str):
        raise TypeError("new(): invalid data type 'str'")
    raise IndexError(
        "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid "
        f"indices (got {type(part).__name__})"
    )


def _int(value: Any) -> int | None:
    """A bound of a slice: what Python takes as an index, which no float is."""
    if value is None or value.__class__ is int:
        return value
    try:
        return operator.index(value)
    except TypeError:
        if isinstance(value, Tensor):
            raise
        raise TypeError(
            "slice indices must be integers or None or have an __index__ method, but got "
            f"{type(value).__name__}"
        ) from None


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


def _one_ellipsis(index: tuple[Any, ...], ndim: int) -> tuple[Any, ...]:
    """PyTorch's wart: each further Ellipsis goes on by as many dimensions as the first stands for.

    So nothing may follow that takes a dimension, unless the first stands for none.
    """
    at = index.index(Ellipsis)
    taken = [p for p in index if p is not None and p is not Ellipsis]
    after = [p for p in index[at + 1 :] if p is not Ellipsis]
    last = len(index) - 1 - index[::-1].index(Ellipsis)
    late = [p for p in index[last + 1 :] if p is not None]
    if late and len(taken) < ndim:
        raise IndexError(f"too many indices for tensor of dimension {ndim}")
    return (*index[: at + 1], *after)


# What makes a list that holds it count as a tuple.
_AS_PARTS = (slice, Tensor, list, tuple, range, np.ndarray, str)
_USUAL = frozenset((int, slice, tuple, list, Tensor, np.ndarray, type(None), bool))


def _as_tuple(index: Any) -> Any:
    """A list that holds slices, tensors or sequences counts as a tuple: an old wart of PyTorch's.

    ``x[[[0, 1], [1, 2]]]`` is ``x[[0, 1], [1, 2]]``, while ``x[[0, 1]]`` picks rows.
    """
    if index.__class__ is range:
        return list(index)
    if index.__class__ not in _USUAL and hasattr(index, "iloc"):  # a column of pandas
        return np.asarray(index)
    if index.__class__ is tuple:
        return _with_lists(index)
    if index.__class__ is list and len(index) < 32:
        for part in index:
            if part is None or part is Ellipsis or isinstance(part, _AS_PARTS):
                caution_once(
                    "Using a non-tuple sequence for multidimensional indexing is deprecated and "
                    "will be changed in pytorch 2.9; use x[tuple(seq)] instead of x[seq]. In "
                    "pytorch 2.9 this will be interpreted as tensor index, x[torch.tensor(seq)], "
                    "which will result either in an error or a different result"
                )
                return _with_lists(tuple(index))
    return index


def _with_lists(index: tuple[Any, ...]) -> tuple[Any, ...]:
    """Parts of an index that are sequences pick rows, as lists do: ``x[:, (0, 2)]``."""
    for part in index:
        if part.__class__ is tuple or part.__class__ is range:
            return tuple([list(p) if p.__class__ in (tuple, range) else p for p in index])
    return index


def _getitem(self: Tensor, index: Any) -> Tensor:
    """``x[index]``: what an integer, a slice, ``...``, None, a tensor, or a tuple of them, picks.

    Integers take a dimension away, None adds one. Slices, integers, ``...`` and None give a view;
    tensors, lists and masks of bools a copy, in whose shape theirs stand.

    Raises:
        IndexError: an index or a dimension out of range, a mask of another shape, a float.
        ValueError: a slice with a step below 1.

    >>> import framework as torch
    >>> x = torch.tensor([[1, 2], [3, 4]])
    >>> x[1], x[:, 0], x[x > 1], x[torch.tensor([1, 1]), torch.tensor([0, 1])]
    (tensor([3, 4]), tensor([1, 3]), tensor([2, 3, 4]), tensor([3, 4]))
    """
    index = _as_tuple(index)
    if _is_basic(index):
        clean = _basic(index)
        if clean.count(Ellipsis) > 1:
            clean = _one_ellipsis(clean, self._data.ndim)
        _check_bounds(self, clean)
        return apply(SLICE, self, index=clean)
    self, arrays, layout = _selected(self, *_split_index(self, _bools_as_masks(index)))
    if waits.mode and any(p._data.dtype == np.bool_ for p in arrays):
        waits.waited(self._device)
    return apply(INDEX, self, *arrays, layout=layout)


def _selected(
    self: Tensor, arrays: tuple[Tensor, ...], layout: tuple[Any, ...]
) -> tuple[Tensor, tuple[Tensor, ...], tuple[Any, ...]]:
    """Ints are taken first, as PyTorch does: to NumPy they are index arrays like others.

    The difference is where a dimension of index arrays that do not stand together goes.
    """
    if not any(isinstance(p, int) for p in layout):
        return self, arrays, layout
    todo = iter(arrays)
    basic: list[Any] = []
    for p in layout:
        basic += (slice(None),) * _takes(next(todo)._data) if p is index_array else (p,)
    _check_bounds(self, tuple(basic))
    rest = [
        slice(None) if p is None or isinstance(p, slice) else p
        for p in layout
        if not isinstance(p, int)
    ]
    return apply(SLICE, self, index=tuple(basic)), arrays, tuple(rest)


def _bools_as_masks(index: Any) -> Any:
    """``x[True]`` adds a dimension, as in NumPy: a 0-d mask."""
    parts = index if isinstance(index, tuple) else (index,)
    return tuple([wrap(np.asarray(p)) if isinstance(p, bool) else p for p in parts])


_OF_NUMPY = (np.ndarray, np.generic)


def _setitem(self: Tensor, index: Any, value: Any) -> None:
    """``x[index] = value``, in place and through views; ``value`` is a number or broadcasts.

    Where an index stands twice, the last value stays. Indices and errors as of `__getitem__`, and a
    RuntimeError for a ``value`` that does not fit and for a leaf that wants a gradient.

    >>> import framework as torch
    >>> x = torch.zeros(2, 2)
    >>> x[0] = torch.tensor([1.0, 2.0])
    >>> x[x == 0] = 9
    >>> x
    tensor([[1., 2.],
            [9., 9.]])
    """
    index = _as_tuple(index)
    number = not isinstance(value, Tensor)
    if number:
        if not isinstance(value, (bool, int, float, complex)):
            got = f"{'numpy.' * isinstance(value, _OF_NUMPY)}{type(value).__name__}"
            raise TypeError(f"can't assign a {got} to a {self.type()}: use torch.tensor first")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ValueError("Overflow when unpacking long long")
        value = wrap(np.asarray(assigned(value, self.dtype)))
    if value is self and index is Ellipsis:
        self.copy_(self)
    elif _is_basic(index):
        part = _getitem(self, index)
        one_memory = value._counter is not None and value._counter is part._counter
        if one_memory and value._data.size == part._data.size:
            value = value.reshape(part.shape)
        elif value._data.ndim > part._data.ndim:
            value = _without_first_ones(value, part._data.ndim)
        _fits(value._data.shape, part._data.shape)
        if value._counter is self._counter is not None:  # of the same memory: see `check_apart`
            value = value.expand(part.shape)
        if number and part._device is not CPU:
            part.copy_(value, True)  # a number that goes to a device is not waited for
        else:
            part.copy_(value)
    else:
        split = _split_index(self, _bools_as_masks(index))
        _write_at(*_selected(self, *split), value, False, "__setitem__")


def _without_first_ones(value: Tensor, ndim: int) -> Tensor:
    """A value of ``ndim`` dimensions: others must be one long and stand in front."""
    shape = value._data.shape
    more = len(shape) - ndim
    if math.prod(shape[:more]) != 1:
        raise RuntimeError(
            f"__setitem__: the number of sizes provided ({ndim}) must be greater or equal to the "
            f"number of dimensions in the tensor ({len(shape)})"
        )
    return value.reshape(shape[more:])


def _fits(have: tuple[int, ...], want: tuple[int, ...]) -> None:
    """Refuse a value that does not broadcast to what is written."""
    for i in range(1, min(len(have), len(want)) + 1):
        if have[-i] not in (1, want[-i]):
            raise RuntimeError(
                f"The expanded size of the tensor ({want[-i]}) must match the existing size "
                f"({have[-i]}) at non-singleton dimension {len(want) - i}.  Target sizes: "
                f"{list(want)}.  Tensor sizes: {list(have)}"
            )


_getitem.__name__, _setitem.__name__ = "__getitem__", "__setitem__"
function(namespaces=(), method=False, dunder=("__getitem__",), checks=True)(_getitem)
function(namespaces=(), method=False, dunder=("__setitem__",), checks=True)(_setitem)


def _write_at(
    self: Tensor, indices: Any, layout: Any, values: Tensor, accumulate: bool, name: str
) -> Tensor:
    """Write ``values`` at index arrays; touches only those elements unless autograd looks on."""
    check_inplace(self)
    _same_type(self, values)
    related = values is self or (values._counter is not None and values._counter is self._counter)
    if related and meet(self._data, values._data):
        raise shared_memory(name)
    if waits.mode and values._data.size != 1 and any(p._data.dtype == np.bool_ for p in indices):
        waits.waited(self._device)  # one number goes to each place of a mask, as by `masked_fill_`
    if values._device is not self._device:
        values = values.to(self._device, non_blocking=not values._data.ndim)
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
        _index_kernel(self._data, *arrays, layout=layout)  # before anything is written
        before_write(self)
        _put_into(self._data, values._data, arrays, layout, accumulate)
    except IndexError as error:
        raise IndexError(f"{name}: {error}") from None
    except ValueError as error:
        raise RuntimeError(f"{name}: {error}") from None


def _same_type(input: Tensor, values: Tensor) -> None:
    if input._data.dtype != values._data.dtype:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{type_name(input._data)} for the destination and {type_name(values._data)} for the "
            "source."
        )


def _all_of_none(indices: Any) -> tuple[Any, ...]:
    """``index_put`` takes None for a dimension that is not indexed."""
    return tuple([slice(None) if i is None else i for i in indices])


@function(checks=True)
def index_put_(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """In-place version of `index_put`: writes ``values`` at ``input[indices]``, or adds them.

    Shapes and errors are as there; RuntimeError also for a leaf that wants a gradient.
    """
    arrays, layout = _split_index(input, _all_of_none(indices))
    return _write_at(input, arrays, layout, values, accumulate, "index_put_")


@function(checks=True)
def index_put(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """A copy with ``values`` at ``input[indices]``; with accumulate added to what is there.

    Args:
        indices: a tuple of index tensors or masks; None for a dimension that is not indexed.
        values: of ``input``'s type, broadcast to what is indexed.

    IndexError for an index out of range, RuntimeError for values of another type or shape.

    >>> import framework as torch
    >>> where = torch.tensor([0, 0])
    >>> torch.zeros(2).index_put((where,), torch.ones(2), accumulate=True)
    tensor([2., 0.])
    """
    _same_type(input, values)
    arrays, layout = _split_index(input, _all_of_none(indices))
    return apply(INDEX_PUT, input, values, *arrays, layout=layout, accumulate=accumulate)


# -- positions -------------------------------------------------------------------------------


@function(out="exact")
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """Positions of the non-zero elements: int64 [count, ndim], or one vector per dimension.

    They come in C order. Inside of `func.vmap` it is refused (RuntimeError): its shape is not
    known.

    >>> import framework as torch
    >>> torch.tensor([0, 5, 0, 7]).nonzero()
    tensor([[1],
            [3]])
    """
    needs_values("nonzero", input)
    if not values_known(input):
        raise RuntimeError(
            "vmap: We do not support batching operators that can output dynamic shape. Attempted "
            "to vmap over aten::nonzero."
        )
    if input.is_sparse:
        raise SparseOperand("nonzero is not implemented for sparse tensors; see to_dense()")
    if waits.mode:
        waits.waited(input._device)
    found = module_of(input._data).nonzero(np.atleast_1d(input._data))
    parts = [wrap(f, input._device) for f in found]
    if as_tuple:
        return tuple(parts)
    if not input.ndim:
        return wrap(np.zeros((len(found[0]), 0), np.int64), input._device)
    return wrap(np.stack([p._data for p in parts], 1), input._device)


def _flat_index(input: Tensor, index: Tensor, name: str) -> Tensor:
    """An index into all elements, checked."""
    if index._data.dtype != np.int64:
        raise RuntimeError(
            f"{name}(): Expected a long tensor for index, but got {type_name(index._data)}"
        )
    return index.reshape(-1)


def _in_range(input: Tensor, index: Tensor) -> None:
    if hasattr(index, "_level"):
        return  # the values are not here: the kernel will see
    n = input._data.size
    low, high = extent(index._data)
    if low < -n or high >= n:
        raise IndexError(
            f"out of range: tried to access index {high if high >= n else low} on a tensor of {n} "
            "elements."
        )


@function(checks=True, out="exact apart")
def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at positions counted in C order, in the shape of ``index`` (int64).

    IndexError for a position out of range, RuntimeError for an index of another type.

    >>> import framework as torch
    >>> torch.tensor([[4, 3], [5, 6]]).take(torch.tensor([0, -1]))
    tensor([4, 6])
    """
    flat = _flat_index(input, index, "take")
    if index._data.size and not input._data.size:
        raise IndexError("take(): tried to take from an empty tensor")
    _in_range(input, index)
    picked = apply(INDEX, input.reshape(-1), flat, layout=(index_array,))
    return picked.reshape(index.shape)


@function(inplace=True, checks=True)
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """``source`` at positions counted in C order; with accumulate added to what is there.

    IndexError for a position out of range and another number of elements than positions,
    RuntimeError for a ``source`` of another type.

    >>> import framework as torch
    >>> torch.zeros(2, 2).put(torch.tensor([1, 2]), torch.tensor([5.0, 6.0]))
    tensor([[0., 5.],
            [6., 0.]])
    """
    flat = _flat_index(input, index, "put_")
    if input._data.dtype != source._data.dtype:
        raise RuntimeError(
            "put_(): self and source expected to have the same dtype, but got self.dtype = "
            f"{type_name(input._data)} and source.dtype = {type_name(source._data)}"
        )
    if source._data.size != index._data.size:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {source._data.size}, index.numel() = {index._data.size}"
        )
    if index._data.size and not input._data.size:
        raise IndexError("put_(): tried to put elements into an empty tensor")
    _in_range(input, index)
    made = apply(
        INDEX_PUT, input.reshape(-1), source.reshape(-1), flat, layout=(index_array,),
        accumulate=accumulate,
    )  # fmt: skip
    return made.reshape(input.shape)


@function(method=False, checks=True)
def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """Positions counted in C order, as one index for each dimension of ``shape``.

    TypeError for positions or sizes that are no integers, ValueError for a negative size.

    >>> import framework as torch
    >>> torch.unravel_index(torch.tensor([4, 5]), (3, 2))
    (tensor([2, 2]), tensor([0, 1]))
    """
    if indices._data.dtype.kind not in "iu":
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    if not isinstance(shape, (int, tuple, list)):
        raise TypeError(f"expected 'shape' to be int or sequence of ints, but got {type(shape)}")
    sizes = [shape] if isinstance(shape, int) else list(shape)
    for n in sizes:
        if not isinstance(n, int):
            raise TypeError(f"expected 'shape' sequence to only contain ints, but got {type(n)}")
    if any(n < 0 for n in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {tuple(sizes)}")
    wide = indices.to(int64)
    steps = [math.prod(sizes[d + 1 :]) for d in range(len(sizes))]
    return tuple([(wide // step) % n for n, step in zip(sizes, steps)])
