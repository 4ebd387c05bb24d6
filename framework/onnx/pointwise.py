"""Elementwise ops to and from ONNX: arithmetic, comparisons, selection, casts, activations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from framework import dtypes
from framework.onnx.capture import Call, Value
from framework.onnx.errors import OnnxError
from framework.onnx.table import FROM_ONNX, TO_ONNX, F, T, reads, writes
from framework.onnx.writer import ELEMENTS, Writer

__all__: list[str] = []

_BOOL, _INT64 = np.dtype(np.bool_), np.dtype(np.int64)


def common(call: Call) -> Any:
    """The dtype that the arguments of a call meet in, as NumPy has it."""
    given = [
        np.empty(a.shape, a.dtype) if isinstance(a, Value) else a
        for a in call.args if a is not None
    ]  # fmt: skip
    return dtypes.result_type(*given).numpy


# -- the same op in both ---------------------------------------------------------------------

# Ours: ONNX's. The arguments are cast to the result's dtype.
_SAME = {
    "neg": "Neg", "abs": "Abs", "sqrt": "Sqrt", "reciprocal": "Reciprocal",
    "exp": "Exp", "log": "Log", "sigmoid": "Sigmoid", "erf": "Erf", "sin": "Sin", "cos": "Cos",
    "tan": "Tan", "asin": "Asin", "acos": "Acos", "atan": "Atan", "sinh": "Sinh", "cosh": "Cosh",
    "tanh": "Tanh", "asinh": "Asinh", "acosh": "Acosh", "atanh": "Atanh", "relu": "Relu",
    "mish": "Mish", "hardswish": "HardSwish", "prelu": "PRelu", "sub": "Sub",
    "div": "Div", "pow": "Pow",
}  # fmt: skip

# The same with arguments as they are, or cast to what they have in common.
_TESTS = {
    "lt": "Less", "le": "LessOrEqual", "gt": "Greater", "ge": "GreaterOrEqual", "eq": "Equal",
}  # fmt: skip
_LOGIC = {"logical_and": "And", "logical_or": "Or", "logical_xor": "Xor"}
_BITS = {"bitwise_and": "And", "bitwise_or": "Or", "bitwise_xor": "Xor"}


def _same(onnx: str) -> Callable[[Writer, Call], str]:
    return lambda w, c: w.node(onnx, *w.args(c))


def _test(onnx: str) -> Callable[[Writer, Call], str]:
    def write(w: Writer, c: Call) -> str:
        kind = common(c)
        if kind == _BOOL and onnx != "Equal":
            kind = np.dtype(np.int32)
        return w.node(onnx, *w.args(c, kind))

    return write


def _logic(onnx: str) -> Callable[[Writer, Call], str]:
    return lambda w, c: w.node(onnx, *w.args(c, _BOOL))


def _bits(onnx: str) -> Callable[[Writer, Call], str]:
    def write(w: Writer, c: Call) -> str:
        name = onnx if c.outs[0].dtype == _BOOL else f"Bitwise{onnx}"
        return w.node(name, *w.args(c))

    return write


def _plain(name: str) -> Callable[..., Any]:
    """The reader that is our function of that name."""
    call = T[name] if name in T else F[name]
    return lambda node, *inputs: call(*inputs)


for _table, _way in ((_SAME, _same), (_TESTS, _test), (_LOGIC, _logic), (_BITS, _bits)):
    for _ours, _theirs in _table.items():
        TO_ONNX[_ours] = _way(_theirs)
        FROM_ONNX[_theirs] = _plain(_ours)
for _ours, _theirs in _BITS.items():
    FROM_ONNX[f"Bitwise{_theirs}"] = _plain(_ours)
for _theirs, _ours in {
    "Add": "add", "Mul": "mul", "Not": "logical_not", "BitwiseNot": "bitwise_not", "IsNaN": "isnan",
    "Sign": "sign", "Floor": "floor", "Ceil": "ceil", "Round": "round", "Where": "where",
    "Identity": "clone",
}.items():  # fmt: skip
    FROM_ONNX[_theirs] = _plain(_ours)


def _folded(name: str) -> Callable[..., Any]:
    def read(node: Any, first: Any, *rest: Any) -> Any:
        for x in rest:
            first = T[name](first, x)
        return first

    return read


for _theirs, _ours in {"Max": "maximum", "Min": "minimum", "Sum": "add"}.items():
    FROM_ONNX[_theirs] = _folded(_ours)


# -- writing ---------------------------------------------------------------------------------


@writes("clone", "contiguous", "detach", "alias", "to_device")
def _itself(w: Writer, c: Call) -> str:
    return w.arg(c, 0)


@writes("to")
def _to(w: Writer, c: Call) -> str:
    return w.arg(c, 0, c.outs[0].dtype)


@writes("fill")
def _fill(w: Writer, c: Call) -> str:
    shape = w.node("Shape", w.arg(c, 0))
    return w.node("Expand", w.arg(c, 1, c.outs[0].dtype), shape)


@writes("copy")
def _copy(w: Writer, c: Call) -> str:
    shape = w.node("Shape", w.arg(c, 0))
    return w.node("Expand", w.arg(c, 1, c.outs[0].dtype), shape)


@writes("add", "mul")
def _add(w: Writer, c: Call) -> str:
    if c.outs[0].dtype == _BOOL:
        return w.node("Or" if c.op == "add" else "And", *w.args(c))
    return w.node(c.op.capitalize(), *w.args(c))


@writes("ne")
def _ne(w: Writer, c: Call) -> str:
    return w.node("Not", w.node("Equal", *w.args(c, common(c))))


@writes("logical_not")
def _logical_not(w: Writer, c: Call) -> str:
    return w.node("Not", w.arg(c, 0, _BOOL))


@writes("bitwise_not")
def _bitwise_not(w: Writer, c: Call) -> str:
    return w.node("Not" if c.outs[0].dtype == _BOOL else "BitwiseNot", w.arg(c, 0))


@writes("floor", "ceil", "round")
def _rounded(w: Writer, c: Call) -> str:
    x = w.arg(c, 0)
    if c.outs[0].dtype.kind in "iu":
        return x
    decimals = c.meta.get("decimals", 0)
    if not decimals:
        return w.node(c.op.capitalize(), x)
    scale = w.constant(10.0**decimals, c.outs[0].dtype)
    return w.node("Div", w.node("Round", w.node("Mul", x, scale)), scale)


@writes("trunc", "frac")
def _trunc(w: Writer, c: Call) -> str:
    x = w.arg(c, 0)
    whole = _truncated(w, x) if c.outs[0].dtype.kind not in "iu" else x
    return whole if c.op == "trunc" else w.node("Sub", x, whole)


def _truncated(w: Writer, x: str) -> str:
    return w.node("Mul", w.node("Sign", x), w.node("Floor", w.node("Abs", x)))


@writes("isnan", "isinf", "isfinite")
def _is(w: Writer, c: Call) -> str:
    kind = c.args[0].dtype
    x = w.arg(c, 0, kind if kind.kind in "fV" else np.float32)
    nan = w.node("IsNaN", x) if c.op != "isinf" else ""
    infinite = w.node("IsInf", x) if c.op != "isnan" else ""
    return w.node("Not", w.node("Or", nan, infinite)) if nan and infinite else nan or infinite


@writes("sign")
def _sign(w: Writer, c: Call) -> str:
    return w.arg(c, 0) if c.outs[0].dtype == _BOOL else w.node("Sign", w.arg(c, 0))


@writes("square")
def _square(w: Writer, c: Call) -> str:
    (x,) = w.args(c)
    return w.node("Mul", x, x)


@writes("rsqrt")
def _rsqrt(w: Writer, c: Call) -> str:
    return w.node("Reciprocal", w.node("Sqrt", *w.args(c)))


@writes("exp2")
def _exp2(w: Writer, c: Call) -> str:
    return w.node("Pow", w.constant(2, c.outs[0].dtype), *w.args(c))


@writes("expm1")
def _expm1(w: Writer, c: Call) -> str:
    return w.node("Sub", w.node("Exp", *w.args(c)), w.constant(1, c.outs[0].dtype))


@writes("log1p")
def _log1p(w: Writer, c: Call) -> str:
    return w.node("Log", w.node("Add", *w.args(c), w.constant(1, c.outs[0].dtype)))


@writes("log2", "log10")
def _log_of(w: Writer, c: Call) -> str:
    base = math.log(2 if c.op == "log2" else 10)
    return w.node("Div", w.node("Log", *w.args(c)), w.constant(base, c.outs[0].dtype))


@writes("deg2rad", "rad2deg")
def _angles(w: Writer, c: Call) -> str:
    factor = math.pi / 180 if c.op == "deg2rad" else 180 / math.pi
    return w.node("Mul", *w.args(c), w.constant(factor, c.outs[0].dtype))


@writes("floor_divide", "div_floor")
def _floor_divide(w: Writer, c: Call) -> str:
    a, b = w.args(c)
    if c.outs[0].dtype.kind in "iu":  # ONNX's Div cuts off, its Mod has the divisor's sign
        return w.node("Div", w.node("Sub", a, w.node("Mod", a, b)), b)
    return w.node("Floor", w.node("Div", a, b))


@writes("div_trunc")
def _div_trunc(w: Writer, c: Call) -> str:
    made = w.node("Div", *w.args(c))
    return made if c.outs[0].dtype.kind in "iu" else _truncated(w, made)


@writes("remainder")
def _remainder(w: Writer, c: Call) -> str:
    a, b = w.args(c)
    if c.outs[0].dtype.kind in "iu":
        return w.node("Mod", a, b)
    return w.node("Sub", a, w.node("Mul", w.node("Floor", w.node("Div", a, b)), b))


@writes("fmod")
def _fmod(w: Writer, c: Call) -> str:
    return w.node("Mod", *w.args(c), fmod=1)


@writes("hypot")
def _hypot(w: Writer, c: Call) -> str:
    a, b = w.args(c)
    return w.node("Sqrt", w.node("Add", w.node("Mul", a, a), w.node("Mul", b, b)))


@writes("logaddexp")
def _logaddexp(w: Writer, c: Call) -> str:
    a, b = w.args(c)
    kind = c.outs[0].dtype
    gap = w.node("Neg", w.node("Abs", w.node("Sub", a, b)))
    gap = w.node("Where", w.node("Equal", a, b), w.constant(0, kind), gap)  # of two infinities
    return w.node("Add", w.node("Max", a, b), _log_one_plus_exp(w, gap, kind))


def _log_one_plus_exp(w: Writer, x: str, dtype: Any) -> str:
    return w.node("Log", w.node("Add", w.node("Exp", x), w.constant(1, dtype)))


@writes("maximum", "minimum")
def _larger(w: Writer, c: Call) -> str:
    a, b = w.args(c)
    return _of_two(w, c.op == "maximum", a, b, c.outs[0].dtype)


def _of_two(w: Writer, larger: bool, a: str, b: str, kind: Any) -> str:
    if kind == _BOOL:
        return w.node("Or" if larger else "And", a, b)
    return w.node("Max" if larger else "Min", a, b)


@writes("where")
def _where(w: Writer, c: Call) -> str:
    kind = c.outs[0].dtype
    return w.node("Where", w.arg(c, 0, _BOOL), w.arg(c, 1, kind), w.arg(c, 2, kind))


@writes("masked_fill")
def _masked_fill(w: Writer, c: Call) -> str:
    kind = c.outs[0].dtype
    return w.node("Where", w.arg(c, 1, _BOOL), w.arg(c, 2, kind), w.arg(c, 0))


@writes("nan_to_num")
def _nan_to_num(w: Writer, c: Call) -> str:
    kind = c.outs[0].dtype
    found = x = w.arg(c, 0)
    for end, name in ((math.inf, "posinf"), (-math.inf, "neginf")):
        here = w.node("Equal", x, w.constant(end, kind))
        found = w.node("Where", here, w.constant(c.meta[name], kind), found)
    return w.node("Where", w.node("IsNaN", x), w.constant(c.meta["nan"], kind), found)


@writes("clamp")
def _clamp(w: Writer, c: Call) -> str:
    x, low, high = w.args(c)
    kind = c.outs[0].dtype
    if all(not isinstance(b, Value) for b in c.args[1:]) and kind != _BOOL:
        return w.node("Clip", x, low, high)
    x = _of_two(w, True, x, low, kind) if low else x
    return _of_two(w, False, x, high, kind) if high else x


@writes("lerp")
def _lerp(w: Writer, c: Call) -> str:
    a, b, weight = w.args(c)
    return w.node("Add", a, w.node("Mul", weight, w.node("Sub", b, a)))


@writes("addcmul", "addcdiv")
def _addc(w: Writer, c: Call) -> str:
    a, x, y = w.args(c)
    made = w.node("Mul" if c.op == "addcmul" else "Div", x, y)
    if c.meta["value"] != 1:
        made = w.node("Mul", made, w.constant(c.meta["value"], c.outs[0].dtype))
    return w.node("Add", a, made)


@writes("gelu")
def _gelu(w: Writer, c: Call) -> str:
    (x,) = w.args(c)
    number = lambda v: w.constant(v, c.outs[0].dtype)  # noqa: E731
    if c.meta["approximate"] == "tanh":
        cube = w.node("Mul", w.node("Mul", x, x), x)
        inner = w.node("Add", x, w.node("Mul", cube, number(0.044715)))
        bent = w.node("Tanh", w.node("Mul", inner, number(math.sqrt(2 / math.pi))))
    else:
        bent = w.node("Erf", w.node("Mul", x, number(math.sqrt(0.5))))
    return w.node("Mul", w.node("Mul", x, number(0.5)), w.node("Add", bent, number(1)))


@writes("silu")
def _silu(w: Writer, c: Call) -> str:
    (x,) = w.args(c)
    return w.node("Mul", x, w.node("Sigmoid", x))


@writes("softplus")
def _softplus(w: Writer, c: Call) -> str:
    (x,) = w.args(c)
    number = lambda v: w.constant(v, c.outs[0].dtype)  # noqa: E731
    beta = c.meta["beta"]
    scaled = x if beta == 1 else w.node("Mul", x, number(beta))
    large = w.node("Greater", scaled, number(c.meta["threshold"]))
    bent = w.node("Softplus", w.node("Min", scaled, number(c.meta["threshold"])))
    return w.node("Where", large, x, bent if beta == 1 else w.node("Div", bent, number(beta)))


@writes("logsigmoid")
def _logsigmoid(w: Writer, c: Call) -> str:
    (x,) = w.args(c)
    kind = c.outs[0].dtype
    rest = _log_one_plus_exp(w, w.node("Neg", w.node("Abs", x)), kind)
    return w.node("Sub", w.node("Min", x, w.constant(0, kind)), rest)


@writes("elu")
def _elu(w: Writer, c: Call) -> str:
    (x,) = w.args(c)
    alpha, scale = float(c.meta["alpha"]), float(c.meta.get("scale", 1))
    inner = float(c.meta.get("input_scale", 1))
    number = lambda v: w.constant(v, c.outs[0].dtype)  # noqa: E731
    if inner != 1:
        below = w.node("Min", w.node("Mul", x, number(inner)), number(0))
        bent = w.node("Mul", w.node("Sub", w.node("Exp", below), number(1)), number(alpha))
        made = w.node("Where", w.node("Greater", x, number(0)), x, bent)
    else:
        made = w.node("Elu", x, alpha=alpha)
    return made if scale == 1 else w.node("Mul", made, number(scale))


@writes("leaky_relu")
def _leaky_relu(w: Writer, c: Call) -> str:
    return w.node("LeakyRelu", *w.args(c), alpha=float(c.meta["negative_slope"]))


@writes("hardtanh", "relu6")
def _hardtanh(w: Writer, c: Call) -> str:
    low, high = (c.meta["min_val"], c.meta["max_val"]) if c.op == "hardtanh" else (0, 6)
    kind = c.outs[0].dtype
    return w.node("Clip", *w.args(c), w.constant(low, kind), w.constant(high, kind))


@writes("hardsigmoid")
def _hardsigmoid(w: Writer, c: Call) -> str:
    return w.node("HardSigmoid", *w.args(c), alpha=1 / 6, beta=0.5)


@writes("threshold")
def _threshold(w: Writer, c: Call) -> str:
    (x,) = w.args(c)
    kind = c.outs[0].dtype
    above = w.node("Greater", x, w.constant(c.meta["threshold"], kind))
    return w.node("Where", above, x, w.constant(c.meta["value"], kind))


@writes("hardshrink", "softshrink")
def _shrink(w: Writer, c: Call) -> str:
    reach = float(c.meta["lambd"])
    return w.node("Shrink", *w.args(c), lambd=reach, bias=reach if c.op == "softshrink" else 0.0)


@writes("softmax", "log_softmax")
def _softmax(w: Writer, c: Call) -> str:
    name = "Softmax" if c.op == "softmax" else "LogSoftmax"
    return w.node(name, w.arg(c, 0, c.outs[0].dtype), axis=c.meta["dim"])


@writes("bce")
def _bce(w: Writer, c: Call) -> str:
    p, t = w.args(c)
    number = lambda v: w.constant(v, c.outs[0].dtype)  # noqa: E731
    yes = w.node("Max", w.node("Log", p), number(-100))
    no = w.node("Max", w.node("Log", w.node("Sub", number(1), p)), number(-100))
    return w.node(
        "Sub", w.node("Mul", w.node("Sub", t, number(1)), no), w.node("Mul", t, yes)
    )  # fmt: skip


# -- reading ---------------------------------------------------------------------------------

_TYPES = {number: getattr(dtypes, "bool_" if n == "bool" else n) for n, number in ELEMENTS.items()}


def element(number: Any, what: str) -> Any:
    """Our dtype of ONNX's number for it.

    Raises:
        OnnxError: we have none.
    """
    found = _TYPES.get(number)
    if found is None:
        raise OnnxError(f"{what} is of element type {number}, which is not supported")
    return found


@reads("Cast")
def _read_cast(node: Any, x: Any) -> Any:
    return x.to(element(node.attr("to", 0), "the result"))


@reads("CastLike")
def _read_cast_like(node: Any, x: Any, like: Any) -> Any:
    return x.to(like.dtype)


@reads("Div")
def _read_div(node: Any, a: Any, b: Any) -> Any:
    whole = a.dtype.category < dtypes.FLOAT
    return T["div"](a, b, rounding_mode="trunc") if whole else T["div"](a, b)


@reads("Pow")
def _read_pow(node: Any, a: Any, b: Any) -> Any:
    return T["pow"](a, b.to(a.dtype) if b.dtype is not a.dtype else b).to(a.dtype)


@reads("Mod")
def _read_mod(node: Any, a: Any, b: Any) -> Any:
    return T["fmod"](a, b) if node.attr("fmod", 0) else T["remainder"](a, b)


@reads("IsInf")
def _read_isinf(node: Any, x: Any) -> Any:
    both = T["isinf"](x)
    if not node.attr("detect_negative", 1):
        both = both & (x > 0)
    return both if node.attr("detect_positive", 1) else both & (x < 0)


@reads("Clip")
def _read_clip(node: Any, x: Any, low: Any = None, high: Any = None) -> Any:
    low = node.attr("min", None) if low is None else low
    high = node.attr("max", None) if high is None else high
    return x if low is None and high is None else T["clamp"](x, low, high)


@reads("Mean")
def _read_mean(node: Any, *xs: Any) -> Any:
    return FROM_ONNX["Sum"](node, *xs) / len(xs)


@reads("Softmax", "LogSoftmax", "Hardmax")
def _read_softmax(node: Any, x: Any) -> Any:
    if node.type == "Hardmax":
        axis = node.attr("axis", -1)
        return F["one_hot"](x.argmax(axis), x.shape[axis]).movedim(-1, axis).to(x.dtype)
    call = F["softmax" if node.type == "Softmax" else "log_softmax"]
    if node.opset >= 13:
        return call(x, node.attr("axis", -1))
    axis = node.attr("axis", 1) % x.ndim  # once over all dimensions from the axis on
    return call(x.reshape(math.prod(x.shape[:axis]), -1), 1).reshape(x.shape)


@reads("LeakyRelu")
def _read_leaky_relu(node: Any, x: Any) -> Any:
    return F["leaky_relu"](x, node.attr("alpha", 0.01))


@reads("PRelu")
def _read_prelu(node: Any, x: Any, slope: Any) -> Any:
    return T["where"](x < 0, x * slope, x)


@reads("Elu")
def _read_elu(node: Any, x: Any) -> Any:
    return F["elu"](x, node.attr("alpha", 1.0))


@reads("Celu")
def _read_celu(node: Any, x: Any) -> Any:
    return F["celu"](x, node.attr("alpha", 1.0))


@reads("Selu")
def _read_selu(node: Any, x: Any) -> Any:
    scale = node.attr("gamma", 1.0507009873554805)
    return F["elu"](x, node.attr("alpha", 1.6732632423543772)) * scale


@reads("Gelu")
def _read_gelu(node: Any, x: Any) -> Any:
    return F["gelu"](x, approximate=node.attr("approximate", "none"))


@reads("HardSigmoid")
def _read_hardsigmoid(node: Any, x: Any) -> Any:
    return T["clamp"](x * node.attr("alpha", 0.2) + node.attr("beta", 0.5), 0, 1)


@reads("ThresholdedRelu")
def _read_thresholded(node: Any, x: Any) -> Any:
    return F["threshold"](x, node.attr("alpha", 1.0), 0.0)


@reads("Shrink")
def _read_shrink(node: Any, x: Any) -> Any:
    reach, bias = node.attr("lambd", 0.5), node.attr("bias", 0.0)
    kept = T["where"](x > reach, x - bias, x * 0)
    return T["where"](x < -reach, x + bias, kept)


@reads("Swish")
def _read_swish(node: Any, x: Any) -> Any:
    return x * T["sigmoid"](x * node.attr("alpha", 1.0))


for _theirs, _ours in {
    "Softplus": "softplus", "Softsign": "softsign", "Mish": "mish", "HardSwish": "hardswish",
}.items():  # fmt: skip
    FROM_ONNX[_theirs] = _plain(_ours)
