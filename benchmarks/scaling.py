"""The cost of an op by itself, by the number of ops in one graph, and by the size of tensors."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable
from typing import Any

from benchmarks import environment
from benchmarks.ratio import Plan, side_by_side
from benchmarks.table import Table, time_of

__all__ = ["dispatch", "report"]

CHAIN = 200  # ops of one measurement

# What is done over and over with eight elements; x wants a gradient.
SMALL: dict[str, Callable[[Any, Any, Any], Any]] = {
    "x * w": lambda torch, x, w: x * w,
    "x + 1.0": lambda torch, x, w: x + 1.0,
    "x.tanh()": lambda torch, x, w: x.tanh(),
    "x.view(8)": lambda torch, x, w: x.view(8),
    "x[:]": lambda torch, x, w: x[:],
}


def dispatch(plan: Plan) -> list[Table]:
    """Time per op of eight elements, and per node of its backward."""
    theirs = ["PyTorch", "ours / PyTorch"] * (environment.pytorch() is not None)
    table = Table("dispatch", "one op on 8 elements", ["op", "ours", *theirs])
    for name, op in SMALL.items():
        for graph in (False, True):
            cells = side_by_side(lambda torch, o=op, g=graph: _chain(torch, o, g), plan)  # type: ignore[misc]
            table.rows.append([f"`{name}`" + " with a graph" * graph, *_each(cells)])
    for name, op in SMALL.items():
        cells = side_by_side(lambda torch, o=op: _chain_backward(torch, o), plan)  # type: ignore[misc]
        table.rows.append([f"backward node of `{name}`", *_each(cells)])
    table.notes.append(f"Of {CHAIN} ops one after the other; {plan.in_words}.")
    return [table]


def _each(cells: list[str]) -> list[str]:
    """Times of a chain as times of one op."""
    units = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}

    def one(cell: str) -> str:
        value, unit = cell.split()
        return time_of(float(value) * units[unit] / CHAIN)

    return [*map(one, cells[:2]), *cells[2:]]


def _chain(torch: Any, op: Any, graph: bool) -> Callable[[], object]:
    w = torch.ones(8)
    start = torch.ones(8, requires_grad=graph)

    def run() -> Any:
        x = start
        for _ in range(CHAIN):
            x = op(torch, x, w)
        return x

    return run


def _chain_backward(torch: Any, op: Any) -> Callable[[], object]:
    x = torch.ones(8, requires_grad=True)
    w, y, g = torch.ones(8), x, torch.ones(8)
    for _ in range(CHAIN):
        y = op(torch, y, w)
    return lambda: torch.autograd.grad(y, x, g, retain_graph=True)


def report(plan: Plan) -> list[Table]:
    """Ops in one graph, and elements of a tensor."""
    return [_ops(plan), _sizes(plan)]


def _ops(plan: Plan) -> Table:
    import framework

    torch = environment.pytorch()
    sides = [framework] + [torch] * (torch is not None)
    head = ["ops in one graph"]
    for who in ("ours", "PyTorch")[: len(sides)]:
        head += [f"{who}: per op", "per backward node"]
    table = Table("graph", "time per op of `x * w`, 8 elements, by the size of the graph", head)
    for count in (1000, 10_000, 100_000) + (1_000_000,) * (not plan.quick):
        row = [f"{count:,}"]
        for side in sides:
            times = [_grown(side, count, plan) for _ in range(3 if count < 1_000_000 else 1)]
            row += [time_of(statistics.median(t) / count) for t in zip(*times)]
        table.rows.append(row)
    return table


def _grown(torch: Any, count: int, plan: Plan) -> tuple[float, float]:
    """Seconds that building a graph takes, and its backward."""
    w = torch.ones(8)
    leaf = x = torch.ones(8, requires_grad=True)
    gc.collect()
    began = plan.clock()
    for _ in range(count):
        x = x * w
    built = plan.clock()
    torch.autograd.grad(x, leaf, torch.ones(8))
    return built - began, plan.clock() - built


def _sizes(plan: Plan) -> Table:
    theirs = ["PyTorch", "ours / PyTorch"] * (environment.pytorch() is not None)
    table = Table(
        "sizes", "forward and backward of `(x * w).tanh().sum()`", ["elements", "ours", *theirs]
    )
    for power in range(4, 23 if plan.quick else 25, 3 if plan.quick else 2):
        cells = side_by_side(lambda torch, n=1 << power: _element_wise(torch, n), plan)  # type: ignore[misc]
        table.rows.append([f"2^{power}", *cells])
    return table


def _element_wise(torch: Any, count: int) -> Callable[[], object]:
    x, w = torch.ones(count, requires_grad=True), torch.ones(count)

    def run() -> None:
        x.grad = None
        (x * w).tanh().sum().backward()

    return run
