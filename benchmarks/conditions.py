"""What armed conditions and the rules cost."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

from benchmarks import workloads
from benchmarks.ratio import Ratio, in_turn
from framework.trace import sink
from framework.trace.conditions import parse_line
from framework.trace.gate import Gate
from framework.trace.ruleset import Watch, load

__all__ = ["HEALTH", "NEAR", "armed", "report"]

# Five of all, which share what is known of a tensor.
HEALTH = ["nan", "inf", "absmax > 1e30", "norm > 1e30", "std > 1e30 and zeros > 2"]
# The same with bounds that the sum of squares alone does not rule out: each tensor is walked.
NEAR = ["nan", "inf", "absmax > 100", "norm > 1e4", "std > 30 and zeros > 99.9%"]
ARMED = (
    ("one that never matches: op nope nan", ["op nope nan"]),
    ("nan, on every value and gradient", ["nan"]),
    ("grad * norm > 1e9", ["grad * norm > 1e9"]),
    ("update * absmax > 1e9", ["update * absmax > 1e9"]),
    ("five of all, far from what is there", HEALTH),
    ("five of all, near what is there", NEAR),
    ("op linear where x.shape[0] < 0", ["op linear where x.shape[0] < 0"]),
)  # fmt: skip


def report() -> None:
    """Ratios to the same training step, untraced and with its structure traced."""
    for name, make in (("small MLP", workloads.mlp), ("transformer-like", workloads.transformer)):
        step = make()
        traced = armed(step, [])
        print(f"conditions: extra time of a training step, {name}")
        print(f"  {'structure, nothing armed, against untraced':<46} {_ratio(step, traced)}")
        for title, lines in ARMED:
            print(f"  {title:<46} {_ratio(traced, armed(step, lines))}")
        print(f"  {'--rules default':<46} {_ratio(traced, armed(step, [], rules=True))}")


def _ratio(a: Callable[[], object], b: Callable[[], object]) -> Ratio:
    """In processor time: what is compared is short, and other programs run beside it."""
    return in_turn(a, b, 15, clock=process_time)


def armed(
    step: Callable[[], object], lines: list[str], rules: bool = False
) -> Callable[[], object]:
    """``step`` under a recorder of the structure with conditions armed."""
    recorder = sink.Recorder(keep="none", capacity=1 << 16)
    gate = Gate(recorder)
    gate.set_breakpoints([parse_line(line, n) for n, line in enumerate(lines, 1)])
    if rules:
        Watch(gate, load("default"))

    def run() -> None:
        sink.active = recorder
        try:
            step()
        finally:
            sink.active = None

    return run
