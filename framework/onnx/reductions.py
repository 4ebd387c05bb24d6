"""Reductions, scans and orderings to and from ONNX."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from framework.onnx.capture import Call
from framework.onnx.pointwise import element
from framework.onnx.table import FROM_ONNX, TO_ONNX, T, reads, writes
from framework.onnx.writer import Writer

__all__: list[str] = []

_INT32, _INT64 = np.dtype(np.int32), np.dtype(np.int64)

# -- writing ---------------------------------------------------------------------------------


def reduced(w: Writer, onnx: str, x: str, dim: Any, keepdim: bool) -> str:
    """A node that reduces; no dimensions: every element by itself."""
    if not len(dim):
        return w.node("Abs", x) if onnx in ("ReduceL1", "ReduceL2") else x
    return w.node(onnx, x, w.ints(dim), keepdims=int(keepdim))


def _reduction(onnx: str) -> Callable[[Writer, Call], str]:
    def write(w: Writer, c: Call) -> str:
        x = w.arg(c, 0, c.outs[0].dtype)
        dim = c.meta.get("dim", tuple(range(len(c.args[0].shape))))
        return reduced(w, onnx, x, dim, c.meta.get("keepdim", False))

    return write


for _ours, _theirs in {
    "sum": "ReduceSum", "mean": "ReduceMean", "prod": "ReduceProd", "logsumexp": "ReduceLogSumExp",
}.items():  # fmt: skip
    TO_ONNX[_ours] = _reduction(_theirs)


@writes("amax", "amin", "max", "min")
def _extreme(w: Writer, c: Call) -> str:
    kind = c.outs[0].dtype
    inner = _INT32 if kind == np.bool_ else kind
    dim = c.meta.get("dim", tuple(range(len(c.args[0].shape))))
    onnx = "ReduceMax" if c.op.endswith("max") else "ReduceMin"
    made = reduced(w, onnx, w.arg(c, 0, inner), dim, c.meta.get("keepdim", False))
    return w.cast(made, inner, kind)


def _orderable(w: Writer, c: Call) -> str:
    """The argument; numbers for bools, which ONNX does not order."""
    kind = c.args[0].dtype
    return w.arg(c, 0, _INT32 if kind == np.bool_ else kind)


@writes("max_dim", "min_dim")
def _extreme_and_place(w: Writer, c: Call) -> tuple[str, str]:
    x, keep, which = _orderable(w, c), int(c.meta["keepdim"]), c.op[:3].capitalize()
    kind, dim = c.args[0].dtype, c.meta["dim"]
    if not c.args[0].shape:
        return w.arg(c, 0), w.constant(0, np.int64)
    best = reduced(w, f"Reduce{which}", x, (dim,), bool(keep))
    best = w.cast(best, _INT32, kind) if kind == np.bool_ else best
    return best, w.node(f"Arg{which}", x, axis=dim, keepdims=keep)


@writes("argmax", "argmin")
def _place(w: Writer, c: Call) -> str:
    x, dim, keep = _orderable(w, c), c.meta["dim"], int(c.meta["keepdim"])
    which = c.op[3:].capitalize()
    if dim is None or not c.args[0].shape:
        made = w.node(f"Arg{which}", w.node("Reshape", x, w.ints([-1])), axis=0, keepdims=0)
        return w.node("Reshape", made, w.ints([1] * len(c.outs[0].shape)))
    return w.node(f"Arg{which}", x, axis=dim, keepdims=keep)


@writes("any", "all")
def _any(w: Writer, c: Call) -> str:
    x = w.cast(w.arg(c, 0, np.bool_), np.dtype(np.bool_), _INT32)
    onnx = "ReduceMax" if c.op == "any" else "ReduceMin"
    made = reduced(w, onnx, x, c.meta["dim"], c.meta["keepdim"])
    return w.cast(made, _INT32, c.outs[0].dtype)


@writes("count_nonzero")
def _count_nonzero(w: Writer, c: Call) -> str:
    x = w.cast(w.arg(c, 0, np.bool_), np.dtype(np.bool_), _INT64)
    return reduced(w, "ReduceSum", x, c.meta["dim"], False)


@writes("nansum")
def _nansum(w: Writer, c: Call) -> str:
    x, kind = w.arg(c, 0, c.outs[0].dtype), c.outs[0].dtype
    if kind.kind in "fV":
        x = w.node("Where", w.node("IsNaN", x), w.constant(0, kind), x)
    return reduced(w, "ReduceSum", x, c.meta["dim"], c.meta["keepdim"])


@writes("norm")
def _norm(w: Writer, c: Call) -> str:
    x, p, kind = w.arg(c, 0, c.outs[0].dtype), c.meta["p"], c.outs[0].dtype
    over = (c.meta["dim"], c.meta["keepdim"])
    if p in (1, 2):
        return reduced(w, f"ReduceL{int(p)}", x, *over)
    size = w.node("Abs", x)
    if math.isinf(p):
        return reduced(w, "ReduceMax" if p > 0 else "ReduceMin", size, *over)
    if p == 0:
        some = w.node("Cast", w.node("Cast", x, to=w.element(np.bool_)), to=w.element(kind))
        return reduced(w, "ReduceSum", some, *over)
    total = reduced(w, "ReduceSum", w.node("Pow", size, w.constant(p, kind)), *over)
    return w.node("Pow", total, w.constant(1 / p, kind))


@writes("var")
def _var(w: Writer, c: Call) -> str:
    x, kind = w.arg(c, 0, c.outs[0].dtype), c.outs[0].dtype
    dim, by = c.meta["dim"], c.meta["correction"]
    centred = w.node("Sub", x, reduced(w, "ReduceMean", x, dim, True))
    squares = w.node("Mul", centred, centred)
    if not by:
        return reduced(w, "ReduceMean", squares, dim, c.meta["keepdim"])
    total = reduced(w, "ReduceSum", squares, dim, c.meta["keepdim"])
    if not c.args[0].varies:
        count = math.prod([c.args[0].shape[d] for d in dim])
        return w.node("Div", total, w.constant(max(count - by, 0), kind))
    sizes = w.node("Gather", w.node("Shape", w.name(c.args[0])), w.ints(dim))
    count = w.cast(w.node("ReduceProd", sizes, keepdims=0), _INT64, kind)
    return w.node("Div", total, w.node("Sub", count, w.constant(by, kind)))


@writes("std_root")
def _std_root(w: Writer, c: Call) -> str:
    return w.node("Sqrt", *w.args(c))


@writes("cumsum")
def _cumsum(w: Writer, c: Call) -> str:
    kind = c.outs[0].dtype
    if not c.args[0].shape:
        return w.arg(c, 0, kind)
    inner = kind if kind.name in ("float32", "float64", "int32", "int64") else np.dtype(np.float32)
    axis = w.constant(c.meta["dim"], np.int64)
    return w.cast(w.node("CumSum", w.arg(c, 0, inner), axis), inner, kind)


@writes("topk")
def _topk(w: Writer, c: Call) -> list[str]:
    return w.several(
        "TopK", 2, w.arg(c, 0), w.dims([c.meta["k"]]), axis=c.meta["dim"],
        largest=int(c.meta["largest"]), sorted=int(c.meta["sorted"]),
    )  # fmt: skip


@writes("kthvalue")
def _kthvalue(w: Writer, c: Call) -> list[str]:
    k, dim = c.meta["k"], c.meta["dim"]
    if not c.args[0].shape:
        return [w.arg(c, 0), w.constant(0, np.int64)]
    both = w.several("TopK", 2, w.arg(c, 0), w.ints([k]), axis=dim, largest=0, sorted=1)
    last = w.ints([k - 1]), w.ints([k]), w.ints([dim])
    both = [w.node("Slice", x, *last) for x in both]
    return both if c.meta["keepdim"] else [w.node("Squeeze", x, w.ints([dim])) for x in both]


@writes("sort", "argsort")
def _sort(w: Writer, c: Call) -> Any:
    """ONNX has no sort: the largest or smallest of all."""
    x, dim, kind = _orderable(w, c), c.meta["dim"], c.args[0].dtype
    if not c.args[0].shape:
        x = w.arg(c, 0)
        places = w.constant(0, np.int64)
        return (x, places) if c.op == "sort" else places
    count = w.node("Gather", w.node("Shape", x), w.ints([dim]))
    largest = int(c.meta["descending"])
    both = w.several("TopK", 2, x, count, axis=dim, largest=largest, sorted=1)
    if kind == np.bool_:
        both[0] = w.cast(both[0], _INT32, kind)
    return both if c.op == "sort" else both[1]


# -- reading ---------------------------------------------------------------------------------


def _dims(node: Any, x: Any, axes: Any) -> list[int] | None:
    """The axes of a reduction: an input since opset 13 or 18, an attribute before."""
    found = axes.tolist() if axes is not None else node.attr("axes", None)
    if found:
        return [int(d) for d in found]
    return [] if node.attr("noop_with_empty_axes", 0) else list(range(x.ndim))


def _reader(call: Callable[..., Any]) -> Callable[..., Any]:
    def read(node: Any, x: Any, axes: Any = None) -> Any:
        dims = _dims(node, x, axes)
        if not dims:  # each element by itself
            return call(x.unsqueeze(0), [0], False)
        return call(x, dims, bool(node.attr("keepdims", 1)))

    return read


def _prod(x: Any, dims: list[int], keep: bool) -> Any:
    for d in sorted([d % x.ndim for d in dims], reverse=True):
        x = T["prod"](x, d, keep)
    return x


for _theirs, _call in {
    "ReduceSum": lambda x, d, k: T["sum"](x, d, k, dtype=x.dtype),
    "ReduceMean": lambda x, d, k: T["mean"](x, d, k),
    "ReduceMax": lambda x, d, k: T["amax"](x, d, k),
    "ReduceMin": lambda x, d, k: T["amin"](x, d, k),
    "ReduceProd": _prod,
    "ReduceL1": lambda x, d, k: T["sum"](T["abs"](x), d, k, dtype=x.dtype),
    "ReduceL2": lambda x, d, k: T["sqrt"](T["sum"](x * x, d, k)),
    "ReduceSumSquare": lambda x, d, k: T["sum"](x * x, d, k, dtype=x.dtype),
    "ReduceLogSum": lambda x, d, k: T["log"](T["sum"](x, d, k)),
    "ReduceLogSumExp": lambda x, d, k: T["logsumexp"](x, d, k),
}.items():
    FROM_ONNX[_theirs] = _reader(_call)


@reads("ArgMax", "ArgMin")
def _read_place(node: Any, x: Any) -> Any:
    axis, keep = node.attr("axis", 0), bool(node.attr("keepdims", 1))
    call = T["argmax" if node.type == "ArgMax" else "argmin"]
    if not node.attr("select_last_index", 0):
        return call(x, axis, keep)
    return x.shape[axis] - 1 - call(x.flip(axis), axis, keep)


@reads("CumSum")
def _read_cumsum(node: Any, x: Any, axis: Any) -> Any:
    dim = int(axis) % max(x.ndim, 1)
    back = node.attr("reverse", 0)
    given = x.flip(dim) if back else x
    made = T["cumsum"](given, dim, dtype=x.dtype)
    if node.attr("exclusive", 0):
        made = made - given
    return made.flip(dim) if back else made


@reads("TopK")
def _read_topk(node: Any, x: Any, k: Any) -> Any:
    order = bool(node.attr("largest", 1)), bool(node.attr("sorted", 1))
    return tuple(T["topk"](x, int(k), node.attr("axis", -1), *order))


@reads("NonZero")
def _read_nonzero(node: Any, x: Any) -> Any:
    return x.nonzero().t()


@reads("Det")
def _read_det(node: Any, x: Any) -> Any:
    return T["det"](x)


@reads("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike")
def _read_random(node: Any, like: Any = None) -> Any:
    """Drawn anew in each run, from our generator; ONNX's seed is of another stream."""
    shape = node.bounded(node.attr("shape", []) if like is None else like.shape)
    number = node.attr("dtype", 1 if like is None else 0)
    kind = element(number, "the result") if number else like.dtype
    if node.type.startswith("RandomNormal"):
        return T["randn"](shape, dtype=kind) * node.attr("scale", 1.0) + node.attr("mean", 0.0)
    low, high = node.attr("low", 0.0), node.attr("high", 1.0)
    return T["rand"](shape, dtype=kind) * (high - low) + low
