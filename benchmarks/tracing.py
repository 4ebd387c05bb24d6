"""What tracing costs: off, structure (events), health of every value, and every value kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks import workloads
from benchmarks.conditions import HEALTH, NEAR, armed
from benchmarks.ratio import Plan, in_turn
from benchmarks.table import Table
from framework.core import dispatch
from framework.trace import sink

__all__ = ["report", "traced"]

FILLED = 12  # steps after which as many values are kept as ever will be, and memory is used again

WORKLOADS: dict[str, Callable[[], Callable[[], object]]] = {
    "transformer-like training step": workloads.transformer,
    "64-128-10 MLP, batch 64": workloads.mlp,
    "60 ops on 8 elements, forward with a graph": workloads.eight_elements,
    "the same and its backward": lambda: workloads.eight_elements(backward=True),
}


def report(plan: Plan) -> list[Table]:
    """Ratios of a traced to an untraced run, measured in turn."""
    table = Table(
        "tracing", "tracing: extra time of a training step",
        ["workload", "off", "structure", "nan and inf on every value", "health of every value",
         "the same, each walked", "every value kept"],
    )  # fmt: skip
    for name, make in WORKLOADS.items():
        step = make()
        sides = [(without_the_test(step), step)]
        sides.append((step, traced(step, "none")))
        sides += [(step, armed(step, lines)) for lines in (["nan", "inf"], HEALTH, NEAR)]
        sides.append((step, traced(step, "all")))
        for _, run in sides:
            for _ in range(FILLED):
                run()
        cells = [in_turn(a, b, plan.rounds, plan.seconds, plan.clock).percent for a, b in sides]
        table.rows.append([name, *cells])
    table.notes.append(plan.in_words[0].upper() + plan.in_words[1:] + ".")
    return [table]


def traced(step: Callable[[], object], keep: str) -> Callable[[], object]:
    """``step`` under a recorder that lives as long as the measurement."""
    recorder = sink.Recorder(keep=keep, capacity=1 << 16)

    def run() -> None:
        sink.active = recorder
        try:
            step()
        finally:
            sink.active = None

    return run


def without_the_test(step: Callable[[], object]) -> Callable[[], object]:
    """``step`` with an `apply` that does not even ask whether a trace is being made."""
    bare, real = _bare_apply.__code__, dispatch.apply.__code__

    def run() -> None:
        dispatch.apply.__code__ = bare
        try:
            step()
        finally:
            dispatch.apply.__code__ = real

    return run


def _bare_apply(op: Any, /, *args: Any, **meta: Any) -> Any:
    # The names are dispatch's own; what `interposer` is for is no part of tracing.
    if interposer is not None:  # type: ignore[name-defined]  # noqa: F821
        found = interposer.op(op, args, meta)  # type: ignore[name-defined]  # noqa: F821
        if found is not NotImplemented:
            return found
    return ((_quick(op, args, meta) if op.quick else None) or run(op, args, meta))[0]  # type: ignore[name-defined]  # noqa: F821
