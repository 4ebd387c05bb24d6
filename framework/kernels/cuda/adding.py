"""Embedding, index_add, scatter_add and the gradients that add up by an index.

Elements are added by atomics, in whatever order: sums of floats may differ in the last bits from
run to run. Where deterministic algorithms are wanted (`deterministic`), the index is sorted and
equal places are added up in their order, as on the CPU.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework.kernels import cuda, module_of
from framework.kernels.cuda import blocks_for, empty, flat, launch, ready
from framework.kernels.floats import wide
from framework.kernels.indices import known

__all__ = [
    "added_in_order", "embedding", "embedding_backward", "index_put", "max_scatter", "scatter_add",
]  # fmt: skip

_NONE = -(1 << 62)  # no place


def _plain_index(index: Any) -> Any:
    """The index as contiguous int64; None for other types."""
    if index.dtype not in (np.int64, np.int32) or not index.size:
        return None
    return flat(index.astype(np.int64, copy=False))


def _index(like: Any, index: Any, low: int, rows: int) -> Any:
    """The same; None also if a place is out of range: the plain kernel says which.

    One number is read from the device for that.
    """
    index = _plain_index(index)
    if index is None:
        return None
    bad = empty(like, (1,), np.int64)
    bad.fill(0)
    launch("adding", "bad_places", blocks_for(index.size), 256, like, index, bad, index.size, low,
           rows)  # fmt: skip
    return None if int(bad[0]) else index


def _added(start: Any, values: Any, index: Any, place: Any, each: bool, skip: int = _NONE) -> Any:
    """``start``, an array in the wide type, with the values added in place."""
    outer, count, inner, rows = place
    if not cuda.deterministic:
        launch("adding", "add_anyhow", blocks_for(values.size), 256, values, index, start, *place,
               int(each), skip)  # fmt: skip
        return start
    xp = np if index.__class__ is np.ndarray else module_of(index)
    if each:  # one long line of places
        index = index.reshape(outer, count, inner) * inner + xp.arange(inner)
        index = flat((index + xp.arange(outer)[:, None, None] * (rows * inner)).reshape(-1))
        outer, count, inner, rows = 1, index.size, 1, outer * rows * inner
    order = flat(xp.argsort(index, kind="stable").astype(np.int64, copy=False))
    launch("adding", "add_in_order", blocks_for(values.size), 256, values, index, order, start,
           outer, count, inner, rows, skip)  # fmt: skip
    return start


def added_in_order(start: Any, values: Any, places: Any) -> None:
    """Add a line of float32 or float64 to another one in place, in the order of the index."""
    order = module_of(places).argsort(places, kind="stable").astype(np.int64, copy=False)
    launch("adding", "add_in_order", blocks_for(values.size), 256, values, flat(places),
           flat(order), start, 1, values.size, 1, start.size, _NONE)  # fmt: skip


def _wide_copy(a: Any) -> Any:
    """A contiguous copy in the type that sums are taken in."""
    found = flat(wide(a))
    return found.copy() if found is a else found


def _zeros(like: Any, shape: tuple[int, ...]) -> Any:
    start = empty(like, shape, wide(empty(like, (0,))).dtype)
    start.fill(0)
    return start


def _narrow(start: Any, like: Any, shape: tuple[int, ...]) -> Any:
    return start.reshape(shape).astype(like.dtype, copy=False)


# -- tables -------------------------------------------------------------------------------------


def embedding(weight: Any, index: Any, **meta: Any) -> Any:
    """The rows of ``weight`` (V, D) that ``index`` names."""
    found = _index(weight, index, 0, len(weight)) if ready(weight) else None
    if found is None:
        return None
    out = empty(weight, (*index.shape, weight.shape[1]))
    blocks = blocks_for(out.size * out.dtype.itemsize // 16)
    launch("adding", "rows", blocks, 256, flat(weight), found, out, index.size, weight.shape[1])
    return out


def embedding_backward(
    g: Any, index: Any, *, rows: int, padding_idx: int, scale_grad_by_freq: bool
) -> Any:  # fmt: skip
    """The rows of ``g`` added up where they were looked up; ``padding_idx`` gets nothing."""
    if scale_grad_by_freq or not ready(g):
        return None
    found = _plain_index(index)  # the lookup has seen that all are in range
    if found is None:
        return None
    width = g.shape[-1]
    skip = padding_idx if padding_idx >= 0 else _NONE
    start = _zeros(g, (rows, width))
    place = 1, found.size, width, rows
    return _narrow(_added(start, flat(g), found.reshape(-1), place, False, skip), g, start.shape)


# -- along a dimension --------------------------------------------------------------------------


def _split(shape: tuple[int, ...], dim: int) -> tuple[int, int, int]:
    return math.prod(shape[:dim]), shape[dim], math.prod(shape[dim + 1 :])


def scatter_add(a: Any, index: Any, src: Any, *, dim: int) -> Any:
    """``a`` with ``src[i][j]`` added at ``[index[i][j]][j]`` (for dim 0).

    None where the index is smaller than ``a`` in other dimensions.
    """
    if not hasattr(src, "dtype") or not a.ndim or not ready(a, src) or src.shape != index.shape:
        return None
    dim %= a.ndim
    if (*index.shape[:dim], *index.shape[dim + 1 :]) != (*a.shape[:dim], *a.shape[dim + 1 :]):
        return None
    found = _plain_index(index) if known.depth else _index(a, index, 0, a.shape[dim])
    if found is None:
        return None
    outer, count, inner = _split(index.shape, dim)
    place = outer, count, inner, a.shape[dim]
    return _narrow(_added(_wide_copy(a), flat(src), found, place, True), a, a.shape)


def index_put(a: Any, values: Any, *indices: Any, layout: Any, accumulate: bool) -> Any:
    """``a`` with slices added where one vector of an index names them, as `index_add` asks for.

    None for other forms of an index, and where nothing is added up.
    """
    if not accumulate or len(indices) != 1 or indices[0].ndim != 1 or not ready(a, values):
        return None
    rest = [part for part in layout if part.__class__ is slice]
    if len(rest) != len(layout) - 1 or any(part != slice(None) for part in rest):
        return None
    dim = next(i for i, part in enumerate(layout) if part.__class__ is not slice)
    index = indices[0]
    if values.shape != (*a.shape[:dim], index.size, *a.shape[dim + 1 :]):
        return None
    found = _index(a, index, -a.shape[dim], a.shape[dim])
    if found is None:
        return None
    outer, rows, inner = _split(a.shape, dim)
    if cuda.deterministic:
        found = flat(found % rows)  # equal places by equal numbers
    place = outer, index.size, inner, rows
    return _narrow(_added(_wide_copy(a), flat(values), found, place, False), a, a.shape)


def max_scatter(g: Any, index: Any, *, size: tuple[int, ...]) -> Any:
    """Planes of ``size`` in which each element of ``g`` is added where ``index`` says."""
    if not ready(g) or index.dtype != np.int64:
        return None
    dims = len(size)
    planes, count = math.prod(g.shape[: g.ndim - dims]), math.prod(g.shape[g.ndim - dims :])
    rows = math.prod(size)
    start = _zeros(g, (planes, rows))
    place = planes, count, 1, rows
    found = _added(start, flat(g), flat(index), place, True)
    return _narrow(found, g, (*g.shape[: g.ndim - dims], *size))
