"""What tracing costs: off, structure (events), and with every value kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks import workloads
from benchmarks.ratio import in_turn
from framework.core import dispatch
from framework.trace import sink

__all__ = ["report"]


def report() -> None:
    """Ratios of a traced to an untraced run, measured in turn."""
    print("tracing: extra time of a training step")
    step = workloads.mlp()
    off = in_turn(without_the_test(step), step, 60)
    print(f"  off, small MLP            {off}   (at most 1 %)")
    for name, make, bound in (
        ("transformer-like", workloads.transformer, "at most 15 %"),
        ("8-element ops", workloads.eight_elements, "at most 50 %"),
        ("the same, backward", lambda: workloads.eight_elements(backward=True), "at most 50 %"),
        ("small MLP", workloads.mlp, ""),
    ):
        step = make()
        for level, keep in (("structure", "none"), ("all values kept", "all")):
            note = f"   ({bound})" if bound and keep == "none" else ""
            print(f"  {level + ', ' + name:<40} {in_turn(step, traced(step, keep))}{note}")


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
    return run(op, args, meta)[0]  # type: ignore[name-defined]  # noqa: F821 (dispatch's own `run`)
