"""Large arrays: what has a compiled kernel, and what is near it, against PyTorch.

The samples of op_db have at most some hundred elements, and a compiled kernel is asked from 4,096
on (`framework.kernels.compiled.LARGE`), so no other suite here sees one. Each call is made in
float32 and float64, of contiguous arrays, of transposed ones, with channels innermost, and with NaN
and infinities among the numbers; values and gradients of a random cotangent are compared.
"""

from __future__ import annotations

import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

import framework
from framework.kernels import compiled
from tests.conformance import expected

__all__ = ["main"]

Call = Callable[..., Any]  # of the library, its ``nn.functional`` and the tensors

ROWS, WIDE, LONG = (67, 129), (3, 37, 83), (5003,)
MAPS, FEW = (3, 8, 19, 23), (2, 6, 33, 31)


def _of(name: str, *args: Any, **options: Any) -> Call:
    """A call of ``F.NAME``, or of the library's function of that name."""

    def call(lib: Any, F: Any, *tensors: Any) -> Any:
        return getattr(F if hasattr(F, name) else lib, name)(*tensors, *args, **options)

    return call


POINTWISE = (
    "relu sigmoid tanh silu gelu elu selu leaky_relu softplus logsigmoid hardswish hardsigmoid "
    "mish relu6 celu hardtanh softsign tanhshrink exp log1p erf sin rsqrt sqrt"
).split()

# Name -> the call, and the shapes of its tensors.
CALLS: dict[str, tuple[Call, list[tuple[int, ...]]]] = {
    **{name: (_of(name), [ROWS]) for name in POINTWISE},
    "gelu tanh": (_of("gelu", approximate="tanh"), [ROWS]),
    # Rows
    "softmax": (_of("softmax", -1), [ROWS]),
    "softmax 0": (_of("softmax", 0), [ROWS]),
    "log_softmax": (_of("log_softmax", -1), [WIDE]),
    "log_softmax 1": (_of("log_softmax", 1), [WIDE]),
    "logsumexp": (_of("logsumexp", -1), [ROWS]),
    "layer_norm": (lambda lib, F, x, w, b: F.layer_norm(x, w.shape, w, b), [ROWS, (129,), (129,)]),
    "layer_norm plain": (lambda lib, F, x: F.layer_norm(x, x.shape[-1:]), [WIDE]),
    "layer_norm 2": (lambda lib, F, x: F.layer_norm(x, x.shape[1:]), [WIDE]),
    "rms_norm": (lambda lib, F, x, w: F.rms_norm(x, w.shape, w), [ROWS, (129,)]),
    "rms_norm plain": (lambda lib, F, x: F.rms_norm(x, x.shape[-1:]), [WIDE]),
    "cross_entropy": (
        lambda lib, F, x: F.cross_entropy(x, lib.arange(67) % 129, reduction="none"), [ROWS]),
    "cross_entropy maps": (
        lambda lib, F, x: F.cross_entropy(x, lib.arange(3 * 19 * 23).reshape(3, 19, 23) % 8), [MAPS]
    ),
    "normalize": (_of("normalize", dim=-1), [ROWS]),
    # Channels
    "batch_norm": (
        lambda lib, F, x, w, b: F.batch_norm(x, None, None, w, b, True), [MAPS, (8,), (8,)]),
    "batch_norm rows": (
        lambda lib, F, x, w, b: F.batch_norm(x, None, None, w, b, True), [ROWS, (129,), (129,)]),
    "batch_norm running": (
        lambda lib, F, x, m, v, w, b: F.batch_norm(x, m.detach(), v.detach() ** 2 + 1, w, b),
        [MAPS, (8,), (8,), (8,), (8,)]),
    "group_norm": (lambda lib, F, x, w, b: F.group_norm(x, 2, w, b), [MAPS, (8,), (8,)]),
    "instance_norm": (_of("instance_norm"), [MAPS]),
    # Windows
    "max_pool2d": (_of("max_pool2d", 2), [MAPS]),
    "max_pool2d 3": (_of("max_pool2d", 3, 2, 1), [MAPS]),
    "max_pool2d dilated": (_of("max_pool2d", 3, 1, 1, 2), [MAPS]),
    "max_pool2d ceil": (_of("max_pool2d", 3, 2, 1, ceil_mode=True, return_indices=True), [MAPS]),
    "max_pool1d": (_of("max_pool1d", 3), [WIDE]),
    "avg_pool2d": (_of("avg_pool2d", 3, 2, 1), [MAPS]),
    "adaptive_avg_pool2d": (_of("adaptive_avg_pool2d", (5, 7)), [MAPS]),
    "adaptive_max_pool2d": (_of("adaptive_max_pool2d", (5, 7)), [MAPS]),
    "conv2d 3x3": (_of("conv2d", padding=1), [MAPS, (9, 8, 3, 3), (9,)]),
    "conv2d 3x3 valid": (_of("conv2d"), [FEW, (16, 6, 3, 3)]),
    "conv2d 3x3 stride": (_of("conv2d", stride=2, padding=1), [FEW, (16, 6, 3, 3), (16,)]),
    "conv2d 5x5": (_of("conv2d", padding=2), [MAPS, (4, 8, 5, 5)]),
    "conv2d 1x1": (_of("conv2d"), [MAPS, (16, 8, 1, 1), (16,)]),
    "conv2d dilated": (_of("conv2d", dilation=2), [MAPS, (4, 8, 3, 3)]),
    "conv2d depthwise": (_of("conv2d", padding=1, groups=8), [MAPS, (8, 1, 3, 3), (8,)]),
    "conv2d depthwise stride": (
        _of("conv2d", stride=2, padding=1, groups=8), [MAPS, (8, 1, 3, 3)]),
    "conv2d groups": (_of("conv2d", padding=1, groups=2), [MAPS, (6, 4, 3, 3)]),
    "conv1d": (_of("conv1d", padding=1), [WIDE, (16, 37, 3), (16,)]),
    "conv_transpose2d": (_of("conv_transpose2d", stride=2, padding=1), [MAPS, (8, 5, 3, 3)]),
    "interpolate": (_of("interpolate", scale_factor=2, mode="bilinear"), [FEW]),
    "unfold": (_of("unfold", 3, padding=1), [FEW]),
    # Sums, scans and orders
    "sum": (_of("sum"), [ROWS]), "sum 0": (_of("sum", 0), [ROWS]),
    "sum -1": (_of("sum", -1), [WIDE]),
    "sum 13": (_of("sum", (1, 3)), [MAPS]), "mean": (_of("mean", (0, 2)), [WIDE]),
    "var": (_of("var", -1), [ROWS]), "var 0": (_of("var", 0), [ROWS]), "std": (_of("std"), [WIDE]),
    "norm": (_of("norm"), [ROWS]), "prod": (_of("prod", 1), [WIDE]),
    "cumsum": (_of("cumsum", -1), [ROWS]), "cumsum 0": (_of("cumsum", 0), [ROWS]),
    "cumprod": (_of("cumprod", 1), [WIDE]), "logcumsumexp": (_of("logcumsumexp", -1), [ROWS]),
    "cummax": (_of("cummax", -1), [ROWS]), "amax": (_of("amax", (0, 2)), [WIDE]),
    "max": (_of("max", 1), [WIDE]), "min": (_of("min", -1), [ROWS]),
    "argmax": (_of("argmax", 0), [ROWS]),
    "sort": (_of("sort", dim=-1, stable=True), [ROWS]),
    "sort 0": (_of("sort", dim=0, stable=True), [WIDE]),
    "sort down": (_of("sort", dim=-1, descending=True, stable=True), [LONG]),
    "topk": (_of("topk", 5), [ROWS]), "topk 1": (_of("topk", 5, 1), [WIDE]),
    "topk values": (lambda lib, F, x: lib.topk(x.detach(), 5)[0], [ROWS]),
    "kthvalue": (_of("kthvalue", 7), [ROWS]), "median": (_of("median", -1), [ROWS]),
    "quantile": (_of("quantile", 0.3, dim=-1), [ROWS]), "unique": (
        lambda lib, F, x: lib.unique(x.detach().round()), [LONG]),
    # Places
    "index_add": (
        lambda lib, F, x, y: x.index_add(0, lib.arange(200) % 67, y), [ROWS, (200, 129)]),
    "scatter_add": (
        lambda lib, F, x, y: x.scatter_add(
            0, (lib.arange(67)[:, None] * 7 % 67).expand(67, 129), y),
        [ROWS, ROWS]),
    "gather": (
        lambda lib, F, x: x.gather(1, lib.arange(67 * 300).reshape(67, 300) * 31 % 129), [ROWS]),
    "index": (lambda lib, F, x: x[lib.arange(300) * 13 % 67], [ROWS]),
    "index_put": (
        lambda lib, F, x, y: x.index_put((lib.arange(200) % 67,), y, accumulate=True),
        [ROWS, (200, 129)]),
    "embedding": (lambda lib, F, w: F.embedding(lib.arange(900) * 17 % 67, w), [ROWS]),
    "embedding_bag": (
        lambda lib, F, w: F.embedding_bag(lib.arange(900).reshape(90, 10) * 17 % 67, w), [ROWS]),
    "index_select": (lambda lib, F, x: x.index_select(1, lib.arange(300) * 7 % 129), [ROWS]),
    "masked_fill": (lambda lib, F, x: x.masked_fill(x > 0, 0.5), [ROWS]),
    "where": (lambda lib, F, x, y: lib.where(x > y, x, y), [ROWS, ROWS]),
    "clamp": (_of("clamp", -0.5, 0.5), [ROWS]), "maximum": (_of("maximum"), [ROWS, ROWS]),
    "pad": (_of("pad", (1, 2, 3, 4), mode="reflect"), [MAPS]), "flip": (_of("flip", (1,)), [WIDE]),
    # Products
    "matmul": (_of("matmul"), [ROWS, (129, 71)]), "bmm": (_of("bmm"), [WIDE, (3, 83, 41)]),
    "linear": (_of("linear"), [ROWS, (71, 129), (71,)]),
    "cdist": (_of("cdist"), [ROWS, (41, 129)]),
    "scaled_dot_product_attention": (
        lambda lib, F, q: F.scaled_dot_product_attention(q, q, q, is_causal=True),
        [(2, 3, 37, 33)]),
    "einsum": (lambda lib, F, x, y: lib.einsum("bij,bkj->bik", x, y), [WIDE, (3, 41, 83)]),
}  # fmt: skip

# Cells and optimizers, by class: made with equal parameters, a few steps on large ones.
CELLS = {"LSTMCell": 2, "GRUCell": 1, "RNNCell": 1}
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}, "Adam": {"lr": 0.1},
    "AdamW": {"lr": 0.1, "amsgrad": True}, "RMSprop": {"lr": 0.01, "momentum": 0.5},
    "Adagrad": {"lr": 0.1}, "Adadelta": {}, "Adamax": {}, "NAdam": {}, "RAdam": {}, "ASGD": {},
    "Rprop": {},
}  # fmt: skip

LAYOUTS = ("contiguous", "transposed", "channels_last", "special")
# Sums of infinities of both signs, and what compares NaN with numbers, end in one of several NaN;
# which elements are NaN is compared all the same. These are not asked with such numbers at all, or
# choose one of equal elements:
ORDINARY_ONLY = frozenset(["topk", "topk 1", "kthvalue", "quantile"])
TOLERANCES = {"float32": (2e-4, 2e-5), "float64": (1e-9, 1e-11)}  # relative, and of the largest


def main(options: Any) -> int:
    """Compare every call; print what differs and the score."""
    if compiled.family("elementary") is None:
        print(f"large: SKIPPED, Numba is not installed ({len(CALLS)} calls of compiled kernels)")
        return 0
    start, checks, failing = time.perf_counter(), 0, defaultdict[str, list[str]](list)
    kinds = ("float32",) if options.quick else ("float32", "float64")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, facet, compare in _all(kinds):
            if options.op and name not in options.op:
                continue
            checks += 1
            failing[name] += []
            text = compare()
            if text:
                failing[name].append(facet)
                print(f"large, {name}, {facet}: {text}", flush=True)
    wrong = sum(len(facets) for facets in failing.values())
    if options.write_expected:
        expected.write("large", failing)
    lines = expected.judge("large", failing, set() if options.quick else set(failing))
    print(*lines, sep="\n", end="\n" if lines else "")
    print(
        f"large: {checks - wrong} of {checks} checks of arrays above {compiled.LARGE:,} elements "
        f"right, in value and gradient ({len(failing)} calls, {time.perf_counter() - start:.0f} s)"
    )
    return int(bool(lines))


def _all(kinds: tuple[str, ...]) -> Iterator[tuple[str, str, Callable[[], str]]]:
    """Name, what of it, and the comparison, which gives "" or what differs."""
    for name, (call, shapes) in CALLS.items():
        for kind in kinds:
            for layout in LAYOUTS:
                if layout == "channels_last" and len(shapes[0]) != 4:
                    continue
                if layout == "transposed" and len(shapes[0]) < 2:
                    continue
                if layout == "special" and name in ORDINARY_ONLY:
                    continue
                yield (
                    name, f"{kind} {layout}",
                    lambda call=call, shapes=shapes, kind=kind, layout=layout: _compare(
                        call, shapes, kind, layout
                    ),
                )  # fmt: skip
    for kind in kinds:
        for name, states in CELLS.items():
            yield name, kind, lambda name=name, states=states, kind=kind: _cell(name, states, kind)
        for name in OPTIMIZERS:
            yield name, kind, lambda name=name, kind=kind: _optimizer(name, kind)


def _arrays(shapes: list[tuple[int, ...]], kind: str, layout: str) -> list[np.ndarray]:
    rng = np.random.default_rng(len(shapes) + shapes[0][0])
    arrays = [rng.standard_normal(shape).astype(kind) for shape in shapes]
    first = arrays[0]
    if layout == "transposed":
        arrays[0] = np.ascontiguousarray(first.swapaxes(-1, -2)).swapaxes(-1, -2)
    elif layout == "channels_last":
        arrays[0] = np.ascontiguousarray(first.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    elif layout == "special":
        flat = first.reshape(-1)
        flat[[5, 777, 2000, 3000]] = [np.nan, np.inf, -np.inf, -0.0]
        first.reshape(first.shape[0], -1)[-1] = -np.inf  # a row of them
    return arrays


def _compare(call: Call, shapes: list[tuple[int, ...]], kind: str, layout: str) -> str:
    arrays = _arrays(shapes, kind, layout)
    try:
        theirs = _run(torch, torch.from_numpy, call, arrays)
    except RuntimeError as error:
        return f"PyTorch refuses it: {error}"
    try:
        ours = _run(framework, framework.from_numpy, call, arrays)
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"
    return _differ(ours, theirs, kind)


def _run(lib: Any, read: Any, call: Call, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Results, and the gradients of a random combination of them."""
    inputs = [read(a.copy(order="K")).requires_grad_() for a in arrays]
    found = call(lib, lib.nn.functional, *inputs)
    outs = list(found) if isinstance(found, tuple) else [found]
    differentiable = [o for o in outs if o.requires_grad]
    rng = np.random.default_rng(1)
    cotangents = [
        read(np.asarray(rng.standard_normal(tuple(o.shape)), str(o.dtype)[6:]))
        for o in differentiable
    ]
    grads = lib.autograd.grad(differentiable, inputs, cotangents, allow_unused=True) if (
        differentiable
    ) else ()  # fmt: skip
    return [t.detach().numpy() for t in (*outs, *[g for g in grads if g is not None])]


def _differ(ours: list[np.ndarray], theirs: list[np.ndarray], kind: str) -> str:
    if len(ours) != len(theirs):
        return f"{len(ours)} results and gradients, PyTorch: {len(theirs)}"
    for i, (mine, other) in enumerate(zip(ours, theirs)):
        if mine.shape != other.shape or mine.dtype != other.dtype:
            return f"{mine.dtype}{mine.shape}, PyTorch: {other.dtype}{other.shape} (part {i})"
        relative, absolute = TOLERANCES[kind]
        scale = np.abs(other[np.isfinite(other)]).max(initial=1e-3)
        close = np.isclose(mine, other, relative, absolute * scale, equal_nan=True)
        if not close.all():
            at = tuple(int(k[0]) for k in np.nonzero(~close))
            return f"{(~close).sum()} elements, at {at} {mine[at]}, PyTorch: {other[at]} (part {i})"
    return ""


def _cell(name: str, states: int, kind: str) -> str:
    shapes = [(96, 20)] + [(96, 64)] * states
    arrays = _arrays(shapes, kind, "contiguous")
    made = getattr(torch.nn, name)(20, 64, dtype=getattr(torch, kind))
    params = [p.detach().numpy() for p in made.parameters()]

    def call(lib: Any, F: Any, x: Any, *rest: Any) -> Any:
        cell = getattr(lib.nn, name)(20, 64, dtype=getattr(lib, kind))
        names = [n for n, _ in cell.named_parameters()]
        before, given = rest[:states], dict(zip(names, rest[states:]))
        state = before if states > 1 else before[0]
        return lib.func.functional_call(cell, given, (x, state))

    both = [
        _run(lib, lib.from_numpy, call, [*arrays, *params]) for lib in (framework, torch)
    ]  # fmt: skip
    return _differ(*both, kind)


def _optimizer(name: str, kind: str) -> str:
    def run(lib: Any) -> list[np.ndarray]:
        rng = np.random.default_rng(3)
        params = [lib.nn.Parameter(lib.from_numpy(rng.standard_normal(s).astype(kind)))
                  for s in (ROWS, LONG)]  # fmt: skip
        optimizer = getattr(lib.optim, name)(params, **OPTIMIZERS[name])
        for _ in range(4):
            for p in params:
                p.grad = lib.from_numpy(rng.standard_normal(tuple(p.shape)).astype(kind))
            optimizer.step()
        return [p.detach().numpy() for p in params]

    return _differ(run(framework), run(torch), kind)
