"""Shapes, slices, joins, gathers and scatters to and from ONNX."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.registry import OPS
from framework.onnx.capture import Call, Value
from framework.onnx.errors import OnnxError, OnnxExporterError
from framework.onnx.sizes import Size
from framework.onnx.table import FROM_ONNX, F, T, reads, writes
from framework.onnx.writer import Writer
from framework.ops.indexing import index_array
from framework.tensor import wrap

__all__: list[str] = []

_END = np.iinfo(np.int64).max

# -- writing ---------------------------------------------------------------------------------


@writes("reshape")
def _reshape(w: Writer, c: Call) -> str:
    return w.reshape(w.arg(c, 0), c.meta["shape"])


@writes("permute")
def _permute(w: Writer, c: Call) -> str:
    x = w.arg(c, 0)
    return w.node("Transpose", x, perm=list(c.meta["dims"])) if c.meta["dims"] else x


@writes("expand")
def _expand(w: Writer, c: Call) -> str:
    return w.node("Expand", w.arg(c, 0), w.dims(c.meta["shape"]))


@writes("cat")
def _cat(w: Writer, c: Call) -> str:
    return w.node("Concat", *w.args(c), axis=c.meta["dim"])


@writes("getitem")
def _getitem(w: Writer, c: Call) -> str:
    index = c.meta["index"]
    x, rank = w.arg(c, 0), len(c.args[0].shape)
    taken = len([p for p in index if p is not None and p is not Ellipsis])
    starts: list[Any] = []
    ends: list[Any] = []
    axes: list[int] = []
    steps: list[int] = []
    gone, new = [], []
    at = made = 0
    for part in index:
        if part is None:
            new.append(made)
            made += 1
        elif part is Ellipsis:
            at += rank - taken
            made += rank - taken
        elif isinstance(part, slice):
            if (part.start, part.stop, part.step) != (None, None, None):
                _bound(starts, 0 if part.start is None else part.start)
                _bound(ends, _END if part.stop is None else part.stop)
                axes.append(at)
                steps.append(1 if part.step is None else part.step)
            at += 1
            made += 1
        else:
            _bound(starts, part)
            _bound(ends, _after(part))
            axes.append(at)
            steps.append(1)
            gone.append(at)
            at += 1
    if axes:
        x = w.node("Slice", x, w.dims(starts), w.dims(ends), w.ints(axes), w.ints(steps))
    if gone:
        x = w.node("Squeeze", x, w.ints(gone))
    return w.node("Unsqueeze", x, w.ints(new)) if new else x


def _bound(bounds: list[Any], value: Any) -> None:
    bounds.append(value if isinstance(value, Size) else int(value))


def _after(place: Any) -> Any:
    if isinstance(place, Size):
        return replace(place, more=place.more + 1)
    return _END if place == -1 else place + 1


@writes("index")
def _index(w: Writer, c: Call) -> str:
    """NumPy's indexing by arrays among full slices."""
    x = c.args[0]
    places, arrays = _arrays(w, c, c.meta["layout"], c.args[1:], len(x.shape))
    name = w.name(x)
    if c.args[1].dtype == np.bool_:
        _one_mask(places, c)
        return w.node("GatherND", name, w.node("Transpose", w.node("NonZero", arrays[0])))
    if len(places) == 1:
        return w.node("Gather", name, arrays[0], axis=places[0])
    rank = len(x.shape)
    order = places + [d for d in range(rank) if d not in places]
    if order != list(range(rank)):
        name = w.node("Transpose", name, perm=order)
    made = w.node("GatherND", name, _stacked(w, c, arrays))
    if places != list(range(places[0], places[0] + len(places))) or not places[0]:
        return made
    count = len(c.outs[0].shape) - (rank - len(places))  # dimensions of the index arrays
    first = places[0]  # bring them back to where the first array stood
    rest = list(range(count, len(c.outs[0].shape)))
    return w.node("Transpose", made, perm=[*rest[:first], *range(count), *rest[first:]])


def _arrays(
    w: Writer, c: Call, layout: Any, arrays: list[Any], rank: int
) -> tuple[list[int], list[str]]:
    """The dimensions that index arrays stand for, and the arrays' names."""
    todo = iter(arrays)
    given = [p for p in layout if p is not Ellipsis]
    places, names = [], []
    at = 0
    for part in layout:
        if part is Ellipsis:
            at += rank - len(given)
            continue
        if part is index_array:
            value = next(todo)
            names.append(w.name(value))
            places.append(at)
            at += len(value.shape) if value.dtype == np.bool_ else 1
            continue
        if isinstance(part, int) and not isinstance(part, bool):
            names.append(w.constant(part, np.int64))
            places.append(at)
        elif not (isinstance(part, slice) and part == slice(None)):
            raise OnnxExporterError("index arrays are written among full slices only")
        at += 1
    return places, names


def _one_mask(places: list[int], c: Call) -> None:
    if places != [0]:
        raise OnnxExporterError("of masks in an index only one by itself, at its start, is written")


def _stacked(w: Writer, c: Call, arrays: list[str]) -> str:
    """Index arrays, broadcast, as the last dimension of one."""
    shape = w.node("Shape", arrays[0])
    if len(arrays) > 1:
        total = arrays[0]
        for a in arrays[1:]:  # an addition has the shape that they broadcast to
            total = w.node("Add", total, a)
        shape = w.node("Shape", total)
    parts = [
        w.node("Unsqueeze", w.node("Expand", a, shape), w.ints([-1])) for a in arrays
    ]  # fmt: skip
    return parts[0] if len(parts) == 1 else w.node("Concat", *parts, axis=-1)


@writes("index_put")
def _index_put(w: Writer, c: Call) -> str:
    x, values = c.args[0], c.args[1]
    places, arrays = _arrays(w, c, c.meta["layout"], c.args[2:], len(x.shape))
    kind = x.dtype
    if c.args[2].dtype == np.bool_:
        _one_mask(places, c)
        return _masked_put(w, c, arrays[0])
    if places != list(range(len(places))):
        raise OnnxExporterError("writes at index arrays are written for the first dimensions only")
    stacked = _stacked(w, c, arrays)
    rest = w.node("Shape", w.name(x), start=len(places))
    front = w.node("Shape", stacked, end=-1)
    shape = w.node("Concat", front, rest, axis=0)
    updates = w.node("Expand", w.arg(c, 1, kind), shape)
    if isinstance(values, Value) and len(values.shape) > len(c.args[2].shape) + len(x.shape):
        raise OnnxExporterError("the values have more dimensions than what is written")
    more = {"reduction": "add"} if c.meta["accumulate"] else {}
    return w.node("ScatterND", w.name(x), stacked, updates, **more)


def _masked_put(w: Writer, c: Call, mask: str) -> str:
    x, values = c.args[0], c.args[1]
    size = int(np.prod(values.shape)) if isinstance(values, Value) else 1
    if size != 1 or c.meta["accumulate"]:
        where = w.node("Transpose", w.node("NonZero", mask))
        rest = w.node("Shape", w.name(x), start=len(c.args[2].shape))
        shape = w.node("Concat", w.node("Shape", where, end=1), rest, axis=0)
        updates = w.node("Expand", w.arg(c, 1, x.dtype), shape)
        more = {"reduction": "add"} if c.meta["accumulate"] else {}
        return w.node("ScatterND", w.name(x), where, updates, **more)
    missing = len(x.shape) - len(c.args[2].shape)
    if missing:
        mask = w.node("Unsqueeze", mask, w.ints(range(-missing, 0)))
    number = w.node("Reshape", w.arg(c, 1, x.dtype), w.ints([1]))
    return w.node("Where", mask, number, w.name(x))


@writes("view_scatter")
def _view_scatter(w: Writer, c: Call) -> str:
    """A part of a tensor written anew: at the places that the chain of views leads to."""
    base = c.args[0]
    if base.varies or not isinstance(c.args[1], Value) or c.args[1].varies:
        raise OnnxExporterError("a write into a part of what has dynamic axes is not written")
    places = np.arange(int(np.prod(base.shape)), dtype=np.int64).reshape(base.shape)
    for op, meta in c.meta["chain"]:
        places = op.kernel(places, **meta)
    flat = w.node("Reshape", w.name(base), w.ints([-1]))
    values = w.node("Reshape", w.arg(c, 1, base.dtype), w.ints([-1]))
    made = w.node("ScatterElements", flat, w.constant(places.reshape(-1)), values, axis=0)
    return w.reshape(made, base.shape)


@writes("diagonal", "unfold", "as_strided", "roll")
def _by_places(w: Writer, c: Call) -> str:
    """Elements of the argument in another order, which does not depend on them."""
    x = c.args[0]
    if x.varies:
        raise OnnxExporterError("it is written for shapes without dynamic axes only")
    places = np.arange(int(np.prod(x.shape)), dtype=np.int64).reshape(x.shape)
    places = OPS[c.op].kernel(places, **c.plain)
    flat = w.node("Reshape", w.arg(c, 0), w.ints([-1]))
    return w.node("Gather", flat, w.constant(np.ascontiguousarray(places)), axis=0)


@writes("flip")
def _flip(w: Writer, c: Call) -> str:
    dims = list(c.meta["dims"])
    if not dims:
        return w.arg(c, 0)
    ends = w.ints([-_END] * len(dims))
    ones = [-1] * len(dims)
    return w.node("Slice", w.arg(c, 0), w.ints(ones), ends, w.ints(dims), w.ints(ones))


@writes("tril", "triu")
def _triangle(w: Writer, c: Call) -> str:
    k = w.constant(c.meta["diagonal"], np.int64)
    return w.node("Trilu", w.arg(c, 0), k, upper=int(c.op == "triu"))


@writes("pad")
def _pad(w: Writer, c: Call) -> str:
    pairs, kind = c.meta["pad"], c.outs[0].dtype
    x = w.arg(c, 0)
    cut = [(d, p) for d, p in enumerate(pairs) if isinstance(p[0], int) and min(p) < 0]
    if cut:  # readers differ in whether they take negative numbers
        starts = w.ints(max(-p[0], 0) for _, p in cut)
        ends = w.ints(p[1] if p[1] < 0 else _END for _, p in cut)
        x = w.node("Slice", x, starts, ends, w.ints(d for d, _ in cut))
        pairs = [tuple(max(n, 0) for n in p) if (d, p) in cut else p for d, p in enumerate(pairs)]
    sizes = w.dims([before for before, _ in pairs] + [after for _, after in pairs])
    return w.node("Pad", x, sizes, w.constant(c.meta["value"], kind))


@writes("gather")
def _gather(w: Writer, c: Call) -> str:
    x, index, dim = w.arg(c, 0), w.arg(c, 1, np.int64), c.meta["dim"]
    if not c.args[0].shape or not c.args[1].shape:
        made = w.node("Gather", w.node("Reshape", x, w.ints([-1])), index, axis=0)
        return w.reshape(made, c.outs[0].shape)
    for d, (n, m) in enumerate(zip(c.args[0].shape, c.args[1].shape)):
        if d != dim and n != m:  # ONNX wants the other dimensions to be the same
            end = w.node("Shape", index, start=d, end=d + 1)
            x = w.node("Slice", x, w.ints([0]), end, w.ints([d]))
    return w.node("GatherElements", x, index, axis=dim)


@writes("scatter", "scatter_add", "scatter_reduce")
def _scatter(w: Writer, c: Call) -> str:
    kind = c.outs[0].dtype
    how = {"scatter": "none", "scatter_add": "add", "prod": "mul", "amax": "max", "amin": "min"}
    values = w.arg(c, 2, kind)
    if not isinstance(c.args[2], Value):
        values = w.node("Expand", values, w.node("Shape", w.arg(c, 1)))
    reduction = how[c.meta["reduce"] if c.op == "scatter_reduce" else c.op]
    x, index = w.arg(c, 0), w.arg(c, 1, np.int64)
    if not c.args[0].shape:  # ONNX wants a dimension
        x, index, values = [w.node("Reshape", a, w.ints([-1])) for a in (x, index, values)]
    made = w.node(
        "ScatterElements", x, index, values, axis=c.meta["dim"],
        **({} if reduction == "none" else {"reduction": reduction}),
    )  # fmt: skip
    return made if c.args[0].shape else w.reshape(made, ())


@writes("embedding")
def _embedding(w: Writer, c: Call) -> str:
    return w.node("Gather", w.arg(c, 0), w.arg(c, 1), axis=0)


@writes("one_hot")
def _one_hot(w: Writer, c: Call) -> str:
    depth, values = w.constant(c.meta["num_classes"], np.int64), w.ints([0, 1])
    if c.args[0].shape:
        return w.node("OneHot", w.arg(c, 0), depth, values, axis=-1)
    one = w.node("OneHot", w.node("Reshape", w.arg(c, 0), w.ints([1])), depth, values, axis=-1)
    return w.node("Squeeze", one, w.ints([0]))


@writes("rand", "randn")
def _random(w: Writer, c: Call) -> str:
    shape, onnx = c.meta["shape"], "RandomNormal" if c.op == "randn" else "RandomUniform"
    if not shape or any(isinstance(n, Size) for n in shape):
        zeros = w.node("Expand", w.constant(0, c.outs[0].dtype), w.dims(shape))
        return w.node(f"{onnx}Like", zeros)
    return w.node(onnx, shape=list(shape), dtype=w.element(c.outs[0].dtype))


# -- reading ---------------------------------------------------------------------------------


def ints(x: Any) -> list[int]:
    """The numbers of an integer tensor of one dimension."""
    if x.dtype.category >= dtypes.FLOAT:
        raise OnnxError("a list of sizes or axes is no integer tensor")
    return [int(n) for n in x.reshape(-1).tolist()]


@reads("Shape")
def _read_shape(node: Any, x: Any) -> Any:
    sizes = list(x.shape)[node.attr("start", 0) : node.attr("end", None)]
    return wrap(np.asarray(sizes, np.int64))


@reads("Size")
def _read_size(node: Any, x: Any) -> Any:
    return wrap(np.asarray(x.numel(), np.int64))


@reads("Reshape")
def _read_reshape(node: Any, x: Any, shape: Any = None) -> Any:
    sizes = ints(shape) if shape is not None else list(node.attr("shape", []))
    if not node.attr("allowzero", 0):
        sizes = [x.shape[i] if n == 0 else n for i, n in enumerate(sizes)]
    return x.reshape(sizes)


@reads("Flatten")
def _read_flatten(node: Any, x: Any) -> Any:
    axis = node.attr("axis", 1)
    axis += x.ndim if axis < 0 else 0
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


@reads("Transpose")
def _read_transpose(node: Any, x: Any) -> Any:
    return x.permute(node.attr("perm", list(range(x.ndim))[::-1]))


@reads("Squeeze")
def _read_squeeze(node: Any, x: Any, axes: Any = None) -> Any:
    dims = ints(axes) if axes is not None else node.attr("axes", None)
    if dims is None:
        return x.squeeze()
    for d in dims:
        if x.shape[d] != 1:
            raise OnnxError(f"dimension {d} of size {x.shape[d]} cannot be squeezed")
    return x.squeeze(tuple(dims)) if dims else x


@reads("Unsqueeze")
def _read_unsqueeze(node: Any, x: Any, axes: Any = None) -> Any:
    dims = ints(axes) if axes is not None else list(node.attr("axes", []))
    rank = x.ndim + len(dims)
    for d in sorted([d % rank for d in dims]):
        x = x.unsqueeze(d)
    return x


@reads("Expand")
def _read_expand(node: Any, x: Any, shape: Any) -> Any:
    sizes = node.bounded(ints(shape))
    return x.expand(*np.broadcast_shapes(tuple(x.shape), tuple(sizes)))


@reads("Tile")
def _read_tile(node: Any, x: Any, repeats: Any) -> Any:
    times = ints(repeats)
    node.bounded([n * t for n, t in zip(x.shape, times)])
    return x.repeat(*times)


@reads("Concat")
def _read_concat(node: Any, *xs: Any) -> Any:
    return T["cat"](xs, node.attr("axis", None))


@reads("Split")
def _read_split(node: Any, x: Any, sizes: Any = None) -> Any:
    axis = node.attr("axis", 0)
    lengths = ints(sizes) if sizes is not None else node.attr("split", None)
    if lengths is None:
        count = node.attr("num_outputs", node.outputs)
        each = -(-x.shape[axis] // count)
        lengths = [min(each, max(x.shape[axis] - i * each, 0)) for i in range(count)]
    return tuple(x.split(list(lengths), axis))


@reads("Slice")
def _read_slice(
    node: Any, x: Any, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None
) -> Any:
    begin = ints(starts) if starts is not None else list(node.attr("starts", []))
    end = ints(ends) if ends is not None else list(node.attr("ends", []))
    over = ints(axes) if axes is not None else list(node.attr("axes", range(len(begin))))
    by = ints(steps) if steps is not None else [1] * len(begin)
    for axis, first, last, step in zip(over, begin, end, by):
        dim = axis % x.ndim
        places = range(x.shape[dim])[slice(first, _maybe(last, step), step)]
        if step < 0:
            x = x.index_select(dim, wrap(np.asarray(places, np.int64)))
        else:
            x = x[(*[slice(None)] * dim, slice(places.start, places.stop, step))]
    return x


def _maybe(last: int, step: int) -> int | None:
    """The end of a slice: far below zero means down to the first element."""
    return None if step < 0 and last < -(1 << 31) else last


@reads("Gather")
def _read_gather(node: Any, x: Any, index: Any) -> Any:
    axis = node.attr("axis", 0) % x.ndim
    if not index.ndim:
        return x.select(axis, int(index))
    return x[(*[slice(None)] * axis, index)]


@reads("GatherElements")
def _read_gather_elements(node: Any, x: Any, index: Any) -> Any:
    axis = node.attr("axis", 0) % x.ndim
    index = index.to(dtypes.int64)
    return T["gather"](x, axis, T["where"](index < 0, index + x.shape[axis], index))


@reads("GatherND")
def _read_gather_nd(node: Any, x: Any, index: Any) -> Any:
    batch = node.attr("batch_dims", 0)
    if batch:
        raise OnnxError("GatherND with batch_dims is not supported")
    return x[tuple(index[..., i] for i in range(index.shape[-1]))]


_REDUCE = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@reads("ScatterElements", "Scatter")
def _read_scatter(node: Any, x: Any, index: Any, values: Any) -> Any:
    axis, how = node.attr("axis", 0) % x.ndim, node.attr("reduction", "none")
    index = index.to(dtypes.int64)
    index = T["where"](index < 0, index + x.shape[axis], index)
    if how == "none":
        return T["scatter"](x, axis, index, values)
    return T["scatter_reduce"](x, axis, index, values, _REDUCE[how])


@reads("ScatterND")
def _read_scatter_nd(node: Any, x: Any, index: Any, values: Any) -> Any:
    how = node.attr("reduction", "none")
    if how not in ("none", "add"):
        raise OnnxError(f"ScatterND with reduction {how!r} is not supported")
    places = tuple(index[..., i] for i in range(index.shape[-1]))
    return T["index_put"](x, places, values, accumulate=how == "add")


@reads("Pad")
def _read_pad(node: Any, x: Any, pads: Any = None, value: Any = None, axes: Any = None) -> Any:
    sizes = ints(pads) if pads is not None else list(node.attr("pads", []))
    number = float(value) if value is not None else node.attr("value", 0.0)
    over = [d % x.ndim for d in ints(axes)] if axes is not None else list(range(x.ndim))
    before, after = [0] * x.ndim, [0] * x.ndim
    for d, b, a in zip(over, sizes[: len(over)], sizes[len(over) :]):
        before[d], after[d] = b, a
    node.bounded([n + b + a for n, b, a in zip(x.shape, before, after)])
    mode = node.attr("mode", "constant")
    if mode == "constant":
        flat = [n for d in reversed(range(x.ndim)) for n in (before[d], after[d])]
        return F["pad"](x, flat, value=number)
    if mode not in ("reflect", "edge", "wrap"):
        raise OnnxError(f"Pad with mode {mode!r} is not supported")
    for d, (b, a) in enumerate(zip(before, after)):
        if b or a:
            first, last = max(-b, 0), x.shape[d] - max(-a, 0)
            line = np.pad(np.arange(first, last), (max(b, 0), max(a, 0)), mode=mode)
            x = x.index_select(d, wrap(line.astype(np.int64)))
    return x


@reads("ConstantOfShape")
def _read_constant_of_shape(node: Any, shape: Any) -> Any:
    value = node.attr("value", None)
    number = wrap(np.zeros(1, np.float32)) if value is None else value
    return number.reshape(1).expand(node.bounded(ints(shape))).clone()


@reads("Range")
def _read_range(node: Any, start: Any, limit: Any, step: Any) -> Any:
    first, last, by = start.item(), limit.item(), step.item()
    if not by:
        raise OnnxError("a range of step 0")
    node.bounded([max(int(-(-(last - first) // by)), 0)])
    return T["arange"](first, last, by, dtype=start.dtype)


@reads("OneHot")
def _read_one_hot(node: Any, index: Any, depth: Any, values: Any) -> Any:
    count, axis = int(depth.reshape(())), node.attr("axis", -1)
    node.bounded([*index.shape, count])
    at = index.to(dtypes.int64).unsqueeze(axis)
    line = T["arange"](count).reshape([count if d == axis % at.ndim else 1 for d in range(at.ndim)])
    return T["where"](T["where"](at < 0, at + count, at) == line, values[1], values[0])


@reads("Trilu")
def _read_trilu(node: Any, x: Any, k: Any = None) -> Any:
    diagonal = int(k) if k is not None else 0
    return T["triu" if node.attr("upper", 1) else "tril"](x, diagonal)


@reads("EyeLike")
def _read_eye_like(node: Any, x: Any) -> Any:
    line = T["arange"](x.shape[1]) - T["arange"](x.shape[0]).unsqueeze(1)
    made = line == node.attr("k", 0)
    return FROM_ONNX["Cast"](node, made) if node.attr("dtype", 0) else made.to(x.dtype)


@reads("DepthToSpace")
def _read_depth_to_space(node: Any, x: Any) -> Any:
    size, (n, c, h, wide) = node.attr("blocksize", 1), x.shape
    if node.attr("mode", "DCR") == "CRD":
        return F["pixel_shuffle"](x, size)
    made = x.reshape(n, size, size, c // size**2, h, wide).permute(0, 3, 4, 1, 5, 2)
    return made.reshape(n, c // size**2, h * size, wide * size)


@reads("SpaceToDepth")
def _read_space_to_depth(node: Any, x: Any) -> Any:
    size, (n, c, h, wide) = node.attr("blocksize", 1), x.shape
    made = x.reshape(n, c, h // size, size, wide // size, size).permute(0, 3, 5, 1, 2, 4)
    return made.reshape(n, c * size**2, h // size, wide // size)


@reads("Einsum")
def _read_einsum(node: Any, *xs: Any) -> Any:
    return T["einsum"](node.attr("equation", ""), *xs)
