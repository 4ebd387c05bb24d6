"""Single ops, forward and backward, ours and PyTorch's in turn.

An entry makes, with the module `torch` given, the op and its tensors, all of which want a gradient.
The forward time includes the graph; the backward time is that of the op's own gradients for all of
these tensors, with a cotangent of random numbers.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import environment, workloads
from benchmarks.ratio import Plan, side_by_side
from benchmarks.table import Table

__all__ = ["OPS", "report"]

Call = tuple[Callable[..., Any], list[Any]]


def _conv(batch: int, inside: int, outside: int, size: int, kernel: int, **meta: Any) -> Any:
    groups = meta.get("groups", 1)

    def make(torch: Any, normal: Any) -> Call:
        x, w = normal(batch, inside, size, size), normal(outside, inside // groups, kernel, kernel)
        b = normal(outside)
        return (lambda x, w, b: torch.nn.functional.conv2d(x, w, b, **meta)), [x, w, b]

    return make


def _functional(name: str, *shapes: tuple[int, ...], **meta: Any) -> Any:
    def make(torch: Any, normal: Any) -> Call:
        function = getattr(torch.nn.functional, name)
        return (lambda *a: function(*a, **meta)), [normal(*s) for s in shapes]

    return make


def _method(name: str, *shapes: tuple[int, ...], args: tuple[Any, ...] = ()) -> Any:
    def make(torch: Any, normal: Any) -> Call:
        return (lambda x, *a: getattr(x, name)(*a, *args)), [normal(*s) for s in shapes]

    return make


def _layer_norm(torch: Any, normal: Any) -> Call:
    function = torch.nn.functional.layer_norm
    return (lambda x, w, b: function(x, (512,), w, b)), [
        normal(2048, 512),
        normal(512),
        normal(512),
    ]


def _batch_norm(torch: Any, normal: Any) -> Call:
    mean = torch.zeros(64, device=workloads.place)
    var = torch.ones(64, device=workloads.place)
    function = torch.nn.functional.batch_norm
    return (
        lambda x, w, b: function(x, mean, var, w, b, training=True),
        [normal(32, 64, 28, 28), normal(64), normal(64)],
    )


def _cross_entropy(torch: Any, normal: Any) -> Call:
    target = workloads._integers(torch, 1000, 1024, seed=1)
    return (lambda x: torch.nn.functional.cross_entropy(x, target)), [normal(1024, 1000)]


def _embedding(torch: Any, normal: Any) -> Call:
    index = workloads._integers(torch, 10_000, 64, 128, seed=1)
    return (lambda w: torch.nn.functional.embedding(index, w)), [normal(10_000, 128)]


def _index_add(torch: Any, normal: Any) -> Call:
    index = workloads._integers(torch, 2000, 10_000, seed=1)
    return (lambda x, s: x.index_add(0, index, s)), [normal(2000, 64), normal(10_000, 64)]


def _attention(torch: Any, normal: Any) -> Call:
    function = torch.nn.functional.scaled_dot_product_attention
    return (
        lambda q, k, v: function(q, k, v, is_causal=True), [normal(4, 8, 256, 64) for _ in range(3)]
    )  # fmt: skip


def _matmul(*shapes: tuple[int, ...]) -> Any:
    return lambda torch, normal: (torch.matmul, [normal(*s) for s in shapes])


OPS: dict[str, Callable[[Any, Any], Call]] = {
    "matmul 512x512": _matmul((512, 512), (512, 512)),
    "matmul 64x64": _matmul((64, 64), (64, 64)),
    "matmul 32 of 128x64x128": _matmul((32, 128, 64), (32, 64, 128)),
    "linear 256x1024 to 1024": _functional("linear", (256, 1024), (1024, 1024), (1024,)),
    "conv 1x1, 16x64x28x28 to 128": _conv(16, 64, 128, 28, 1),
    "conv 3x3, 16x3x64x64 to 32": _conv(16, 3, 32, 64, 3, padding=1),
    "conv 3x3, 16x64x28x28 to 64": _conv(16, 64, 64, 28, 3, padding=1),
    "conv 3x3, 16x256x7x7 to 256": _conv(16, 256, 256, 7, 3, padding=1),
    "conv 5x5, 16x16x28x28 to 32": _conv(16, 16, 32, 28, 5, padding=2),
    "conv 3x3 depthwise, 16x64x28x28": _conv(16, 64, 64, 28, 3, padding=1, groups=64),
    "conv 3x3 stride 2, 16x64x28x28 to 128": _conv(16, 64, 128, 28, 3, padding=1, stride=2),
    "conv 7x7 stride 2, 8x3x112x112 to 32": _conv(8, 3, 32, 112, 7, padding=3, stride=2),
    "max_pool 2x2, 32x64x28x28": _functional("max_pool2d", (32, 64, 28, 28), kernel_size=2),
    "max_pool 3x3 stride 2": _functional(
        "max_pool2d", (32, 64, 28, 28), kernel_size=3, stride=2, padding=1),
    "avg_pool 2x2, 32x64x28x28": _functional("avg_pool2d", (32, 64, 28, 28), kernel_size=2),
    "softmax 1024x1000": _method("softmax", (1024, 1000), args=(-1,)),
    "log_softmax 1024x1000": _method("log_softmax", (1024, 1000), args=(-1,)),
    "layer_norm 2048x512": _layer_norm,
    "batch_norm 32x64x28x28": _batch_norm,
    "relu 2^20": _functional("relu", (1 << 20,)),
    "gelu 2^20": _functional("gelu", (1 << 20,)),
    "gelu tanh 2^20": _functional("gelu", (1 << 20,), approximate="tanh"),
    "silu 2^20": _functional("silu", (1 << 20,)),
    "sigmoid 2^20": _method("sigmoid", (1 << 20,)),
    "tanh 2^20": _method("tanh", (1 << 20,)),
    "exp 2^20": _method("exp", (1 << 20,)),
    "cross_entropy 1024x1000": _cross_entropy,
    "embedding 8,192 of 10,000x128": _embedding,
    "index_add 10,000 to 2,000, 64 wide": _index_add,
    "attention, causal, 4x8x256x64": _attention,
    "sum of 1024x1024": _method("sum", (1024, 1024)),
    "sum over rows": _method("sum", (1024, 1024), args=(0,)),
    "sum over columns": _method("sum", (1024, 1024), args=(1,)),
    "var over columns": _method("var", (1024, 1024), args=(1,)),
    "max over columns": lambda torch, normal: ((lambda x: x.max(1)[0]), [normal(1024, 1024)]),
    "cumsum over columns": _method("cumsum", (1024, 1024), args=(1,)),
    "add 1024x1024": _method("add", (1024, 1024), (1024, 1024)),
    "add a row": _method("add", (1024, 1024), (1024,)),
    "mul by a column": _method("mul", (1024, 1024), (1024, 1)),
    "where x > 0": lambda torch, normal: (
        (lambda x, y: torch.where(x > 0, x, y)), [normal(1024, 1024), normal(1024, 1024)]),
    "transpose, contiguous": lambda torch, normal: (
        (lambda x: x.t().contiguous()), [normal(1024, 1024)]),
    "cat of two 1024x512": lambda torch, normal: (
        (lambda x, y: torch.cat([x, y], 1)), [normal(1024, 512), normal(1024, 512)]),
}  # fmt: skip


def report(plan: Plan) -> list[Table]:
    """The table of ops and the steps of the optimizers."""
    theirs = environment.pytorch() is not None
    head = ["op", "forward", *["PyTorch", "ratio"] * theirs]
    head += ["backward", *["PyTorch", "ratio"] * theirs]
    table = Table("ops", "ops, float32", head)
    for name, make in OPS.items():
        forward = side_by_side(lambda torch, make=make: _forward(torch, make), plan)  # type: ignore[misc]
        backward = side_by_side(lambda torch, make=make: _backward(torch, make), plan)  # type: ignore[misc]
        table.rows.append([name, *forward, *backward])
    table.notes.append(plan.in_words[0].upper() + plan.in_words[1:] + ".")
    if theirs:
        table.notes.append(
            f"Geometric mean: forward {_mean(table, 3)}, backward {_mean(table, 6)}."
        )
    return [table, _optimizers(plan)]


def _mean(table: Table, column: int) -> str:
    ratios = [float(row[column].split()[0]) for row in table.rows]
    return f"{math.exp(statistics.fmean(math.log(max(r, 0.005)) for r in ratios)):.2f}"


def _made(torch: Any, make: Any) -> Call:
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> Any:
        values = torch.from_numpy(rng.standard_normal(shape, np.float32))
        return values.to(workloads.place).requires_grad_()

    call, tensors = make(torch, normal)
    return call, tensors


def _forward(torch: Any, make: Any) -> Callable[[], object]:
    call, tensors = _made(torch, make)
    return lambda: call(*tensors)


def _backward(torch: Any, make: Any) -> Callable[[], object]:
    call, tensors = _made(torch, make)
    out = call(*tensors)
    values = np.random.default_rng(2).standard_normal(tuple(out.shape)).astype(np.float32)
    g = torch.from_numpy(values).to(workloads.place)
    return lambda: torch.autograd.grad(out, tensors, g, retain_graph=True)


def _optimizers(plan: Plan) -> Table:
    head = ["step of 1.3 million parameters", "ours"]
    table = Table("optimizers", "optimizers", head)
    if environment.pytorch() is not None:
        table.head += ["PyTorch", "ours / PyTorch"]
    for name, settings in (
        ("SGD", {}), ("SGD", {"momentum": 0.9}), ("Adam", {}), ("AdamW", {}),
    ):  # fmt: skip
        title = name + " with momentum" * ("momentum" in settings)
        table.rows.append([title, *side_by_side(
            lambda torch, n=name, s=settings: _optimizer(torch, n, s), plan  # type: ignore[misc]
        )])  # fmt: skip
    return table


def _optimizer(torch: Any, name: str, settings: dict[str, Any]) -> Callable[[], object]:
    shapes = [(1024, 1024), (1024,), (256, 1024), (256,)] + [(64, 16)] * 8
    params = [torch.ones(*shape).requires_grad_() for shape in shapes]
    for p in params:
        p.grad = torch.full_like(p, 0.01)
    step: Callable[[], object] = getattr(torch.optim, name)(params, lr=1e-3, **settings).step
    return step
