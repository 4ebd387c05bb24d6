"""Products, convolutions, pooling, norms, resampling and recurrent layers to and from ONNX."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework import dtypes
from framework.onnx.capture import WHOLE, Call
from framework.onnx.errors import OnnxError, OnnxExporterError
from framework.onnx.movement import ints
from framework.onnx.reductions import reduced
from framework.onnx.sizes import Size
from framework.onnx.table import F, T, reads, writes
from framework.onnx.writer import Writer
from framework.ops.adaptive import _averaging, _bins
from framework.tensor import wrap

__all__: list[str] = []


# -- writing: products -----------------------------------------------------------------------


@writes("matmul", "sparse_mm")
def _matmul(w: Writer, c: Call) -> str:
    return w.node("MatMul", *w.args(c))


@writes("linear")
def _linear(w: Writer, c: Call) -> str:
    x, weight, bias = w.args(c)
    if len(c.args[0].shape) == 2 and c.outs[0].dtype.kind in "fV" and len(c.args[1].shape) == 2:
        return w.node("Gemm", x, weight, bias, transB=1)
    if len(c.args[1].shape) == 2:
        weight = w.node("Transpose", weight, perm=[1, 0])
    made = w.node("MatMul", x, weight)
    return w.node("Add", made, bias) if bias else made


@writes("det")
def _det(w: Writer, c: Call) -> str:
    return w.node("Det", w.arg(c, 0))


# -- writing: convolutions and pooling -------------------------------------------------------


@writes("conv1d", "conv2d", "conv3d")
def _conv(w: Writer, c: Call) -> str:
    m = c.meta
    return w.node(
        "Conv", *w.args(c), strides=list(m["stride"]), pads=[*m["padding"], *m["padding"]],
        dilations=list(m["dilation"]), group=m["groups"], kernel_shape=c.args[1].shape[2:],
    )  # fmt: skip


@writes("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def _conv_transpose(w: Writer, c: Call) -> str:
    m, kernel = c.plain, c.args[1].shape[2:]
    least = [
        (n - 1) * s - 2 * p + d * (k - 1) + 1
        for n, s, p, d, k in zip(
            c.args[0].shape[2:], m["stride"], m["padding"], m["dilation"], kernel
        )
    ]
    more = [size - n for size, n in zip(m["size"], least)]
    return w.node(
        "ConvTranspose", *w.args(c), strides=list(m["stride"]),
        pads=[*m["padding"], *m["padding"]], dilations=list(m["dilation"]), group=m["groups"],
        output_padding=more, kernel_shape=kernel,
    )  # fmt: skip


def _batched(w: Writer, c: Call, dims: int) -> tuple[str, bool]:
    """ONNX pools (N, C, ...) only: whether a dimension was added for that."""
    x = w.arg(c, 0)
    alone = len(c.args[0].shape) == dims + 1
    return (w.node("Unsqueeze", x, w.ints([0])) if alone else x), alone


def _end_pads(c: Call, dims: int) -> Any:
    """Padding at the ends that makes ``ceil_mode`` unnecessary; None where it must stay."""
    m, size = c.meta, c.args[0].shape[-dims:]
    spacing = m.get("dilation", (1,) * dims)
    if not m["ceil_mode"]:
        return list(m["padding"])
    out = c.outs[0].shape[-dims:]
    if any(s[-dims:] != size for s in c.args[0].shapes):
        if m.get("count_include_pad") or m.get("divisor_override"):
            raise OnnxExporterError("ceil_mode is written for fixed sizes only here")
        return None
    return [
        max((o - 1) * s + d * (k - 1) + 1 - n - p, p)
        for o, s, d, k, n, p in zip(out, m["stride"], spacing, m["kernel"], size, m["padding"])
    ]


def _window(c: Call, dims: int) -> dict[str, Any]:
    ends = _end_pads(c, dims)
    start = list(c.meta["padding"])
    return {
        "kernel_shape": list(c.meta["kernel"]), "strides": list(c.meta["stride"]),
        "pads": [*start, *(ends or start)], "ceil_mode": int(ends is None),
    }  # fmt: skip


@writes("max_pool1d", "max_pool2d", "max_pool3d")
def _max_pool(w: Writer, c: Call) -> tuple[str, str]:
    dims = len(c.meta["kernel"])
    x, alone = _batched(w, c, dims)
    window = _window(c, dims) | {"dilations": list(c.meta["dilation"])}
    if c.outs[1] not in c.used:
        values = w.node("MaxPool", x, **window)
        return (w.node("Squeeze", values, w.ints([0])) if alone else values), ""
    values, places = w.several("MaxPool", 2, x, **window)
    plane = w.node("Shape", x, start=2)  # ONNX counts places in the whole tensor, we in a plane
    places = w.node("Mod", places, w.node("ReduceProd", plane, keepdims=0))
    if alone:
        values, places = [w.node("Squeeze", v, w.ints([0])) for v in (values, places)]
    return values, places


def _shares(c: Call, dims: int) -> Any:
    """What windows that reach beyond the padding must be multiplied with: that does not count."""
    m = c.meta
    if not (m["ceil_mode"] and m["count_include_pad"]):
        return None
    made: Any = np.ones(())
    sizes = c.args[0].shape[-dims:], c.outs[0].shape[-dims:]
    for n, o, s, k, p in zip(*sizes, m["stride"], m["kernel"], m["padding"]):
        first = np.arange(o) * s - p
        made = made[..., None] * k / (np.minimum(first + k, n + p) - first)
    return made


@writes("avg_pool1d", "avg_pool2d", "avg_pool3d")
def _avg_pool(w: Writer, c: Call) -> str:
    m = c.meta
    dims = len(m["kernel"])
    x, alone = _batched(w, c, dims)
    window, factor = _window(c, dims), _shares(c, dims)
    if m["divisor_override"]:
        factor = np.asarray(math.prod(m["kernel"]) / m["divisor_override"])
    whole = int(bool(m["count_include_pad"] or m["divisor_override"]))
    made = w.node("AveragePool", x, **window, count_include_pad=whole)
    if factor is not None:
        made = w.node("Mul", made, w.constant(factor, c.outs[0].dtype))
    return w.node("Squeeze", made, w.ints([0])) if alone else made


@writes("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def _adaptive_avg_pool(w: Writer, c: Call) -> str:
    out = c.meta["out"]
    dims = len(out)
    if all(n == 1 for n in out):
        return reduced(w, "ReduceMean", w.arg(c, 0), range(-dims, 0), True)
    size = c.meta["size"]
    if any(isinstance(n, Size) for n in (*size, *out)):
        raise OnnxExporterError(
            "it is written for dynamic sizes only where its result is of size 1"
        )
    if all(n % o == 0 for n, o in zip(size, out)):
        kernel = [n // o for n, o in zip(size, out)]
        x, alone = _batched(w, c, dims)
        made = w.node("AveragePool", x, kernel_shape=kernel, strides=kernel)
        return w.node("Squeeze", made, w.ints([0])) if alone else made
    x, rank = w.arg(c, 0), len(c.args[0].shape)
    for axis, n, o in zip(range(rank - dims, rank), size, out):
        last = [d for d in range(rank) if d != axis] + [axis]
        matrix = w.constant(_averaging(np, n, o, np.float64).T, c.outs[0].dtype)
        x = w.node("MatMul", w.node("Transpose", x, perm=last), matrix)
        x = w.node("Transpose", x, perm=[last.index(d) for d in range(rank)])
    return x


@writes("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")
def _adaptive_max_pool(w: Writer, c: Call) -> tuple[str, str]:
    out = c.meta["out"]
    dims = len(out)
    size = c.args[0].shape[-dims:]
    if any(s[-dims:] != size for s in c.args[0].shapes):
        raise OnnxExporterError("it is written for fixed sizes only")
    if any(n % o for n, o in zip(size, out)):
        if c.outs[1] in c.used:
            raise OnnxExporterError("its indices are written for multiples of the result's sizes")
        x = w.arg(c, 0)
        for axis, n, o in zip(range(-dims, 0), size, out):
            parts = [
                w.node("Slice", x, w.ints([a]), w.ints([b]), w.ints([axis])) for a, b in _bins(n, o)
            ]
            x = w.node("Concat", *[reduced(w, "ReduceMax", p, (axis,), True) for p in parts],
                       axis=axis)  # fmt: skip
        return x, ""
    kernel = tuple(n // o for n, o in zip(size, out))
    c.meta = {"kernel": kernel, "stride": kernel, "padding": (0,) * dims, "ceil_mode": False,
              "dilation": (1,) * dims}  # fmt: skip
    return _max_pool(w, c)


@writes("im2col")
def _im2col(w: Writer, c: Call) -> str:
    """A convolution that picks each element of each channel's window."""
    m, channels = c.meta, c.args[0].shape[1]
    each = math.prod(m["kernel"])
    pick = np.concatenate([np.eye(each)] * channels).reshape(channels * each, 1, *m["kernel"])
    made = w.node(
        "Conv", w.arg(c, 0), w.constant(pick, c.outs[0].dtype), strides=list(m["stride"]),
        pads=[*m["padding"], *m["padding"]], dilations=list(m["dilation"]), group=channels,
    )  # fmt: skip
    if not c.args[0].varies:
        return w.reshape(made, c.outs[0].shape)
    return w.node("Reshape", made, w.ints([0, channels * each, -1]))


def _grid_sample_call(
    input: Any, grid: Any, mode: str, padding: str, align_corners: bool
) -> tuple[list[Any], dict[str, Any]]:
    return [input, grid], {"mode": mode, "padding": padding, "align_corners": align_corners}


WHOLE["_sampled"] = _grid_sample_call


@writes("_sampled")
def _grid_sample(w: Writer, c: Call) -> str:
    mode = c.meta["mode"]
    if w.opset >= 20:
        mode = {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
    elif len(c.args[0].shape) != 4:
        raise OnnxExporterError("a volume is sampled from opset 20 on")
    return w.node(
        "GridSample", *w.args(c), mode=mode, padding_mode=c.meta["padding"],
        align_corners=int(c.meta["align_corners"]),
    )  # fmt: skip


def _embedding_bag_call(
    input: Any, weight: Any, offsets: Any = None, max_norm: Any = None, norm_type: float = 2,
    scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False,
    per_sample_weights: Any = None, include_last_offset: bool = False, padding_idx: Any = None,
) -> tuple[list[Any] | None, dict[str, Any]]:  # fmt: skip
    """Bags of one size only."""
    if input.ndim != 2 or input.is_floating_point() or (max_norm, padding_idx) != (None, None):
        return None, {}
    return [weight, input, per_sample_weights], {"mode": mode}


WHOLE["embedding_bag"] = _embedding_bag_call


@writes("embedding_bag")
def _embedding_bag(w: Writer, c: Call) -> str:
    rows = w.node("Gather", w.arg(c, 0), w.arg(c, 1), axis=0)
    if c.args[2] is not None:
        rows = w.node("Mul", rows, w.node("Unsqueeze", w.arg(c, 2), w.ints([2])))
    return reduced(w, f"Reduce{c.meta['mode'].capitalize()}", rows, (1,), False)


@writes("col2im")
def _col2im(w: Writer, c: Call) -> str:
    m = c.meta
    return w.node(
        "Col2Im", w.arg(c, 0), w.dims(m["size"]), w.ints(m["kernel"]), strides=list(m["stride"]),
        pads=[*m["padding"], *m["padding"]], dilations=list(m["dilation"]),
    )  # fmt: skip


_MODES: dict[str, dict[str, Any]] = {
    "nearest": {"mode": "nearest", "coordinate_transformation_mode": "asymmetric",
                "nearest_mode": "floor"},
    "nearest-exact": {"mode": "nearest", "coordinate_transformation_mode": "half_pixel",
                      "nearest_mode": "round_prefer_ceil"},
    "linear": {"mode": "linear"},
    "cubic": {"mode": "cubic", "cubic_coeff_a": -0.75},
}  # fmt: skip


def _resize(w: Writer, c: Call) -> str:
    m = c.meta
    if m["kind"] not in _MODES:
        raise OnnxExporterError(f"ONNX has no resampling of the kind {m['kind']!r}")
    how = dict(_MODES[m["kind"]])
    how.setdefault(
        "coordinate_transformation_mode", "align_corners" if m["align_corners"] else "half_pixel"
    )
    if m["antialias"]:
        if m["align_corners"]:  # PyTorch smooths as if the corners were not aligned
            raise OnnxExporterError(
                "ONNX has no antialiasing with align_corners as PyTorch does it"
            )
        how |= {"antialias": 1, "exclude_outside": 1}
        if m["kind"] == "cubic":
            how["cubic_coeff_a"] = -0.5
    axes = m["axes"]
    x = w.arg(c, 0)
    if not m["align_corners"] and all(a.scale is not None for a in axes):
        if any(int(np.float32(a.size) * np.float32(a.scale)) != a.out for a in c.plain["axes"]):
            raise OnnxExporterError("a scale factor gives another size there, by rounding")
        scales = w.constant([1.0, 1.0, *[a.scale for a in axes]], np.float32)
        return w.node("Resize", x, "", scales, **how)
    front = w.node("Shape", x, end=2)
    sizes = w.node("Concat", front, w.dims([a.out for a in axes]), axis=0)
    return w.node("Resize", x, "", "", sizes, **how)


writes(
    *[f"upsample_nearest{e}{d}d" for e in ("", "_exact") for d in (1, 2, 3)],
    "upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d",
    "upsample_bilinear2d_aa", "upsample_bicubic2d_aa",
)(_resize)  # fmt: skip


# -- writing: norms --------------------------------------------------------------------------


def _standardized(w: Writer, x: str, dims: Any, eps: float, center: bool, kind: Any) -> str:
    if center:
        x = w.node("Sub", x, reduced(w, "ReduceMean", x, dims, True))
    square = reduced(w, "ReduceMean", w.node("Mul", x, x), dims, True)
    return w.node("Div", x, w.node("Sqrt", w.node("Add", square, w.constant(eps, kind))))


def _scaled(w: Writer, x: str, weight: str, bias: str) -> str:
    x = w.node("Mul", x, weight) if weight else x
    return w.node("Add", x, bias) if bias else x


@writes("standardize")
def _standardize(w: Writer, c: Call) -> str:
    m = c.meta
    return _standardized(w, w.arg(c, 0), m["dims"], m["eps"], m["center"], c.outs[0].dtype)


@writes("layer_norm")
def _layer_norm(w: Writer, c: Call) -> str:
    x, weight, bias = w.args(c)
    dims = c.meta["dims"]
    if not weight:
        weight = w.constant(np.ones(c.args[0].shape[-dims:]), c.outs[0].dtype)
    return w.node("LayerNormalization", x, weight, bias, axis=-dims, epsilon=c.meta["eps"])


@writes("rms_norm")
def _rms_norm(w: Writer, c: Call) -> str:
    x, weight = w.args(c)
    over = range(-c.meta["dims"], 0)
    return _scaled(w, _standardized(w, x, over, c.meta["eps"], False, c.outs[0].dtype), weight, "")


@writes("group_norm")
def _group_norm(w: Writer, c: Call) -> str:
    x, weight, bias = w.args(c)
    rank = len(c.args[0].shape)
    grouped = w.node("Reshape", x, w.ints([0, c.meta["num_groups"], -1]))
    normal = _standardized(w, grouped, (2,), c.meta["eps"], True, c.outs[0].dtype)
    made = w.node("Reshape", normal, w.node("Shape", x))
    column = w.ints([-1, *[1] * (rank - 2)])
    weight, bias = [w.node("Reshape", p, column) if p else "" for p in (weight, bias)]
    return _scaled(w, made, weight, bias)


@writes("batch_norm")
def _batch_norm(w: Writer, c: Call) -> Any:
    x, weight, bias, mean, var = w.args(c)
    channels, kind = c.args[0].shape[1], c.outs[0].dtype
    if not c.meta["training"]:
        weight = weight or w.constant(np.ones(channels), kind)
        bias = bias or w.constant(np.zeros(channels), kind)
        return w.node("BatchNormalization", x, weight, bias, mean, var, epsilon=c.meta["eps"])
    rank = len(c.args[0].shape)
    dims, column = (0, *range(2, rank)), w.ints([-1, *[1] * (rank - 2)])
    normal = _standardized(w, x, dims, c.meta["eps"], True, kind)
    weight, bias = [w.node("Reshape", p, column) if p else "" for p in (weight, bias)]
    mean = reduced(w, "ReduceMean", x, dims, False)
    centred = w.node("Sub", x, reduced(w, "ReduceMean", x, dims, True))
    var = reduced(w, "ReduceMean", w.node("Mul", centred, centred), dims, False)
    return _scaled(w, normal, weight, bias), mean, var


@writes("dropout")
def _dropout(w: Writer, c: Call) -> str:
    """Only met in an export for training."""
    ratio = w.constant(c.meta["p"], np.float32)
    return w.node("Dropout", w.arg(c, 0), ratio, w.constant(True))


@writes("nll_loss")
def _nll_loss(w: Writer, c: Call) -> str:
    weight = w.arg(c, 2)
    return w.node(
        "NegativeLogLikelihoodLoss", w.arg(c, 0), w.arg(c, 1, np.int64), weight,
        ignore_index=c.meta["ignore_index"], reduction=c.meta["reduction"],
    )  # fmt: skip


# -- writing: recurrent layers ---------------------------------------------------------------

# Ours: the ONNX op, and where each of its gates stands among ours.
_RECURRENT = {
    "LSTM": ("LSTM", (0, 3, 1, 2)), "GRU": ("GRU", (1, 0, 2)), "RNN_TANH": ("RNN", (0,)),
    "RNN_RELU": ("RNN", (0,)),
}  # fmt: skip


@writes("recurrent")
def _recurrent(w: Writer, c: Call) -> list[str]:
    """One layer in one direction: (sequence, states..., weights...) to (outputs, final states...).

    A backward direction is a forward one over the reversed sequence.
    """
    m = c.meta
    onnx, order = _RECURRENT[m["mode"]]
    parts, hidden = m["parts"], m["hidden"]
    names = w.args(c)
    x, states, weights = names[0], names[1 : 1 + parts], names[1 + parts :]
    back = w.ints([-1]), w.ints([-np.iinfo(np.int64).max]), w.ints([0]), w.ints([-1])
    reverse = lambda s: w.node("Slice", s, *back)  # noqa: E731
    x = reverse(x) if m["reverse"] else x
    rows = np.concatenate([np.arange(g * hidden, (g + 1) * hidden) for g in order])
    ordered = [
        w.node("Unsqueeze", w.node("Gather", p, w.constant(rows), axis=0), w.ints([0]))
        for p in weights
    ]
    bias = w.node("Concat", *ordered[2:], axis=1) if len(ordered) > 2 else ""
    firsts = [w.node("Unsqueeze", s, w.ints([0])) for s in states]
    how: dict[str, Any] = {"hidden_size": hidden}
    if onnx == "GRU":
        how["linear_before_reset"] = 1
    if m["mode"] == "RNN_RELU":
        how["activations"] = ["Relu"]
    outs = w.several(onnx, 1 + parts, x, ordered[0], ordered[1], bias, "", *firsts, **how)
    y = w.node("Squeeze", outs[0], w.ints([1]))
    return [reverse(y) if m["reverse"] else y,
            *[w.node("Squeeze", s, w.ints([0])) for s in outs[1:]]]  # fmt: skip


@writes("lstm_gates")
def _lstm_gates(w: Writer, c: Call) -> list[str]:
    """Of a cell that stands alone, or has a projection, which ONNX's LSTM has not."""
    x, s, state = w.args(c)
    i, f, g, o = w.several("Split", 4, w.node("Add", x, s), axis=-1, num_outputs=4)
    kept = w.node("Mul", w.node("Sigmoid", f), state)
    new = w.node("Add", kept, w.node("Mul", w.node("Sigmoid", i), w.node("Tanh", g)))
    return [w.node("Mul", w.node("Sigmoid", o), w.node("Tanh", new)), new]


@writes("gru_gates")
def _gru_gates(w: Writer, c: Call) -> str:
    x, s, h = w.args(c)
    xr, xz, xn = w.several("Split", 3, x, axis=-1, num_outputs=3)
    sr, sz, sn = w.several("Split", 3, s, axis=-1, num_outputs=3)
    r, z = w.node("Sigmoid", w.node("Add", xr, sr)), w.node("Sigmoid", w.node("Add", xz, sz))
    n = w.node("Tanh", w.node("Add", xn, w.node("Mul", r, sn)))
    return w.node("Add", n, w.node("Mul", z, w.node("Sub", h, n)))


# -- reading: products -----------------------------------------------------------------------


@reads("MatMul")
def _read_matmul(node: Any, a: Any, b: Any) -> Any:
    return T["matmul"](a, b)


@reads("Gemm")
def _read_gemm(node: Any, a: Any, b: Any, bias: Any = None) -> Any:
    a = a.t() if node.attr("transA", 0) else a
    alpha, beta = node.attr("alpha", 1.0), node.attr("beta", 1.0)
    if alpha == beta == 1 and node.attr("transB", 0) and (bias is None or bias.ndim == 1):
        return F["linear"](a, b, bias)
    made = T["matmul"](a, b.t() if node.attr("transB", 0) else b)
    made = made if alpha == 1 else made * alpha
    return made if bias is None else made + (bias if beta == 1 else bias * beta)


# -- reading: convolutions and pooling -------------------------------------------------------


def _around(
    node: Any, x: Any, kernel: Any, stride: Any, dilation: Any
) -> tuple[list[int], list[int]]:
    """Padding before and after each dimension, from ``pads`` or ``auto_pad``."""
    dims = len(kernel)
    how = node.attr("auto_pad", "NOTSET")
    if how in ("NOTSET", ""):
        pads = node.attr("pads", [0] * 2 * dims)
        if len(pads) != 2 * dims:
            raise OnnxError(f"{len(pads)} pads for {dims} dimensions")
        return list(pads[:dims]), list(pads[dims:])
    if how == "VALID":
        return [0] * dims, [0] * dims
    if how not in ("SAME_UPPER", "SAME_LOWER"):
        raise OnnxError(f"auto_pad {how!r} is not supported")
    total = [
        max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        for n, s, d, k in zip(x.shape[2:], stride, dilation, kernel)
    ]
    less, more = [t // 2 for t in total], [t - t // 2 for t in total]
    return (less, more) if how == "SAME_UPPER" else (more, less)


def _even(x: Any, before: list[int], after: list[int], value: float) -> tuple[Any, list[int]]:
    """The input padded so that what remains is the same on both sides."""
    if before == after:
        return x, before
    flat = [n for b, a in reversed(list(zip(before, after))) for n in (b, a)]
    return F["pad"](x, flat, value=value), [0] * len(before)


@reads("Conv")
def _read_conv(node: Any, x: Any, weight: Any, bias: Any = None) -> Any:
    dims = x.ndim - 2
    if dims not in (1, 2, 3):
        raise OnnxError(f"a convolution of {dims} dimensions is not supported")
    stride = node.attr("strides", [1] * dims)
    spacing = node.attr("dilations", [1] * dims)
    before, after = _around(node, x, weight.shape[2:], stride, spacing)
    x, padding = _even(x, before, after, 0.0)
    return F[f"conv{dims}d"](
        x, weight, bias, tuple(stride), tuple(padding), tuple(spacing), node.attr("group", 1)
    )


@reads("ConvTranspose")
def _read_conv_transpose(node: Any, x: Any, weight: Any, bias: Any = None) -> Any:
    dims = x.ndim - 2
    if dims not in (1, 2, 3) or node.attr("auto_pad", "NOTSET") not in ("NOTSET", ""):
        raise OnnxError("a transposed convolution of this kind is not supported")
    stride = node.attr("strides", [1] * dims)
    spacing = node.attr("dilations", [1] * dims)
    more = node.attr("output_padding", [0] * dims)
    pads = node.attr("pads", [0] * 2 * dims)
    before, after = list(pads[:dims]), list(pads[dims:])
    sizes = node.attr("output_shape", None)
    if sizes is not None:
        least = [(n - 1) * s + d * (k - 1) + 1 + m for n, s, d, k, m in zip(
            x.shape[2:], stride, spacing, weight.shape[2:], more)]  # fmt: skip
        total = [max(n - m, 0) for n, m in zip(least, sizes)]
        before, after = [t // 2 for t in total], [t - t // 2 for t in total]
    groups = node.attr("group", 1)
    call = F[f"conv_transpose{dims}d"]
    if before == after:
        return call(x, weight, bias, tuple(stride), tuple(before), tuple(more), groups,
                    tuple(spacing))  # fmt: skip
    whole = call(x, weight, bias, tuple(stride), 0, tuple(more), groups, tuple(spacing))
    flat = [-n for b, a in reversed(list(zip(before, after))) for n in (b, a)]
    return F["pad"](whole, flat)


@reads("MaxPool", "AveragePool")
def _read_pool(node: Any, x: Any) -> Any:
    kernel = node.attr("kernel_shape", [])
    dims = len(kernel)
    if dims not in (1, 2, 3) or x.ndim != dims + 2:
        raise OnnxError(f"a pool of {dims} dimensions over an input of {x.ndim} is not supported")
    stride = node.attr("strides", [1] * dims)
    spacing = node.attr("dilations", [1] * dims)
    before, after = _around(node, x, kernel, stride, spacing)
    ceil = bool(node.attr("ceil_mode", 0))
    if node.type == "MaxPool":
        if node.attr("storage_order", 0):
            raise OnnxError("MaxPool with storage_order is not supported")
        plane = math.prod(x.shape[2:])
        x, padding = _even(x, before, after, -math.inf)
        pool = F[f"max_pool{dims}d_with_indices"]
        values, places = pool(x, tuple(kernel), tuple(stride), tuple(padding), tuple(spacing), ceil)
        if node.outputs == 1:
            return values
        places = _unpadded(places, x.shape[2:], before, after)
        starts = T["arange"](math.prod(x.shape[:2])).reshape(*x.shape[:2], *[1] * dims)
        return values, places + starts * plane
    if any(d != 1 for d in spacing):
        raise OnnxError("AveragePool with dilations is not supported")
    call, whole = F[f"avg_pool{dims}d"], bool(node.attr("count_include_pad", 0))
    if before == after or (whole and not ceil):
        x, padding = _even(x, before, after, 0.0)
        return call(x, tuple(kernel), tuple(stride), tuple(padding), ceil, whole)
    ones = T["ones"](1, 1, *x.shape[2:], dtype=x.dtype)
    (x, _), (ones, _) = _even(x, before, after, 0.0), _even(ones, before, after, 0.0)
    share = call(ones, tuple(kernel), tuple(stride), 0, ceil)
    return call(x, tuple(kernel), tuple(stride), 0, ceil) / share


def _unpadded(places: Any, size: Any, before: Any, after: Any) -> Any:
    """Places in a plane that was padded by hand, as places in the plane without that."""
    if before == after:
        return places
    made, factor = 0, 1
    for n, b, a in reversed(list(zip(size, before, after))):
        made = made + (places % n - b) * factor
        places, factor = places // n, factor * (n - b - a)
    return made


@reads("GlobalAveragePool")
def _read_global_average(node: Any, x: Any) -> Any:
    return x.mean(tuple(range(2, x.ndim)), keepdim=True)


@reads("GlobalMaxPool")
def _read_global_max(node: Any, x: Any) -> Any:
    return x.amax(tuple(range(2, x.ndim)), keepdim=True)


@reads("LpNormalization")
def _read_lp_normalization(node: Any, x: Any) -> Any:
    return F["normalize"](x, float(node.attr("p", 2)), node.attr("axis", -1))


@reads("Col2Im")
def _read_col2im(node: Any, x: Any, size: Any, kernel: Any) -> Any:
    dims = kernel.numel()
    pads = node.attr("pads", [0] * 2 * dims)
    if dims != 2 or pads[:dims] != pads[dims:]:
        raise OnnxError("Col2Im is supported for two dimensions with even padding")
    return F["fold"](
        x, tuple(ints(size)), tuple(ints(kernel)), tuple(node.attr("dilations", [1] * dims)),
        tuple(pads[:dims]), tuple(node.attr("strides", [1] * dims)),
    )  # fmt: skip


@reads("Resize", "Upsample")
def _read_resize(node: Any, x: Any, *rest: Any) -> Any:
    if node.type == "Upsample" or node.opset < 11:
        scales, sizes = (rest[0] if rest else None), None
        place = "asymmetric"
    else:
        _, scales, sizes = (*rest, None, None, None)[:3]
        place = node.attr("coordinate_transformation_mode", "half_pixel")
    if node.attr("axes", None) is not None or x.ndim not in (3, 4, 5):
        raise OnnxError("a Resize of this kind is not supported")
    mode = node.attr("mode", "nearest")
    factors = node.attr("scales", None) if scales is None else scales.tolist()
    out = ints(sizes)[2:] if sizes is not None and sizes.numel() else None
    node.bounded([*x.shape[:2], *(out or [int(n * f) for n, f in zip(x.shape[2:], factors[2:])])])
    by: dict[str, Any] = {"size": out} if out else {"scale_factor": factors[2:]}
    if mode == "nearest":
        kinds = {("asymmetric", "floor"): "nearest",
                 ("half_pixel", "round_prefer_ceil"): "nearest-exact"}  # fmt: skip
        floor = "floor" if node.opset < 11 else node.attr("nearest_mode", "round_prefer_floor")
        kind = kinds.get((place, floor))
        whole = not out and all(f == int(f) for f in factors)
        if kind is None and floor == "round_prefer_floor" and place == "half_pixel" and whole:
            kind = "nearest"  # the same where the factors are whole numbers
        if kind is None:
            raise OnnxError(f"Resize with {place}, {floor} is not supported")
        return F["interpolate"](x, mode=kind, **by)
    kind = {3: "linear", 4: "bilinear", 5: "trilinear"}[x.ndim] if mode == "linear" else "bicubic"
    if place not in ("half_pixel", "pytorch_half_pixel", "align_corners") or (
        mode == "cubic" and x.ndim != 4
    ):
        raise OnnxError(f"Resize with {mode}, {place} is not supported")
    aligned = place == "align_corners"
    smooth = {"antialias": True} if node.attr("antialias", 0) else {}
    return F["interpolate"](x, mode=kind, align_corners=aligned, **by, **smooth)


@reads("GridSample")
def _read_grid_sample(node: Any, x: Any, grid: Any) -> Any:
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(node.attr("mode", "linear"))
    return F["grid_sample"](
        x, grid, mode or node.attr("mode", "linear"), node.attr("padding_mode", "zeros"),
        bool(node.attr("align_corners", 0)),
    )  # fmt: skip


# -- reading: norms --------------------------------------------------------------------------


@reads("BatchNormalization")
def _read_batch_norm(node: Any, x: Any, weight: Any, bias: Any, mean: Any, var: Any) -> Any:
    if node.attr("training_mode", 0):
        raise OnnxError("BatchNormalization with training_mode is not supported")
    return F["batch_norm"](x, mean, var, weight, bias, eps=node.attr("epsilon", 1e-5))


@reads("InstanceNormalization")
def _read_instance_norm(node: Any, x: Any, weight: Any, bias: Any) -> Any:
    return F["instance_norm"](x, weight=weight, bias=bias, eps=node.attr("epsilon", 1e-5))


@reads("LRN")
def _read_lrn(node: Any, x: Any) -> Any:
    size = node.attr("size", 1)
    if size % 2 == 0:
        raise OnnxError("LRN of an even size is not supported")
    how = node.attr("alpha", 1e-4), node.attr("beta", 0.75), node.attr("bias", 1.0)
    return F["local_response_norm"](x, size, *how)


@reads("GroupNormalization")
def _read_group_norm(node: Any, x: Any, weight: Any, bias: Any) -> Any:
    groups = node.attr("num_groups", 1)
    if node.opset < 21:  # one weight per group
        each = x.shape[1] // groups
        weight, bias = weight.repeat_interleave(each), bias.repeat_interleave(each)
    return F["group_norm"](x, groups, weight, bias, node.attr("epsilon", 1e-5))


@reads("LayerNormalization", "RMSNormalization")
def _read_layer_norm(node: Any, x: Any, weight: Any, bias: Any = None) -> Any:
    shape = tuple(x.shape[node.attr("axis", -1) % x.ndim :])
    weight = weight.expand(shape)
    if node.type == "RMSNormalization":
        return F["rms_norm"](x, shape, weight, node.attr("epsilon", 1e-5))
    bias = bias if bias is None else bias.expand(shape)
    return F["layer_norm"](x, shape, weight, bias, node.attr("epsilon", 1e-5))


@reads("Dropout")
def _read_dropout(node: Any, x: Any, ratio: Any = None, training: Any = None) -> Any:
    wanted = training is not None and bool(training)
    rate = float(ratio) if ratio is not None else node.attr("ratio", 0.5)
    made = F["dropout"](x, rate, True) if wanted else x
    if node.outputs == 1:
        return made
    return made, (made != 0) | (x == 0)


@reads("NegativeLogLikelihoodLoss")
def _read_nll(node: Any, x: Any, target: Any, weight: Any = None) -> Any:
    return F["nll_loss"](
        x, target.to(dtypes.int64), weight, ignore_index=node.attr("ignore_index", -(1 << 62)),
        reduction=node.attr("reduction", "mean"),
    )  # fmt: skip


# -- reading: recurrent layers ---------------------------------------------------------------


@reads("LSTM", "GRU", "RNN")
def _read_recurrent(
    node: Any, x: Any, weight: Any, recurrent: Any, bias: Any = None, lengths: Any = None,
    h: Any = None, c: Any = None, peepholes: Any = None,
) -> Any:  # fmt: skip
    from framework.ops.recurrent import layers

    mode = "RNN_TANH" if node.type == "RNN" else node.type
    usual = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
    ways = 2 if node.attr("direction", "forward") == "bidirectional" else 1
    given = node.attr("activations", usual[node.type] * ways)
    if node.type == "RNN" and set(given) == {"Relu"}:
        mode = "RNN_RELU"
    elif given != usual[node.type] * ways:
        raise OnnxError(f"{node.type} with the activations {given} is not supported")
    if (
        peepholes is not None or node.attr("clip", None) is not None or node.attr("layout", 0)
        or node.attr("input_forget", 0)
        or (node.type == "GRU" and not node.attr("linear_before_reset", 0))
        or (lengths is not None and bool((lengths != x.shape[0]).any()))
    ):  # fmt: skip
        raise OnnxError(f"{node.type} of this kind is not supported")
    hidden = recurrent.shape[-1]
    _, order = _RECURRENT[mode]
    rows = np.concatenate([
        np.arange(order.index(g) * hidden, (order.index(g) + 1) * hidden) for g in range(len(order))
    ])  # fmt: skip
    back = wrap(rows)
    states = [h, c] if node.type == "LSTM" else [h]
    zeros = T["zeros"](ways, x.shape[1], hidden, dtype=x.dtype)
    states = [zeros if s is None else s for s in states]
    weights = []
    for way in range(ways):
        parts = [weight[way], recurrent[way]]
        if bias is not None:
            parts += list(bias[way].chunk(2, 0))
        weights.append([p.index_select(0, back) for p in parts])
    if node.attr("direction", "forward") == "reverse":
        x = x.flip(0)
    y, finals = layers(mode, x, states, weights, bias is not None, ways, 0.0, None)
    if node.attr("direction", "forward") == "reverse":
        y = y.flip(0)
    steps, batch = y.shape[:2]
    y = y.reshape(steps, batch, ways, hidden).permute(0, 2, 1, 3)
    return (y, *finals)
