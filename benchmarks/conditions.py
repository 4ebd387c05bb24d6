"""What armed conditions and the rules cost."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

from benchmarks import workloads
from benchmarks.ratio import Plan, in_turn
from benchmarks.table import Table
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
    ("one that never matches (`op nope nan`)", ["op nope nan"]),
    ("`nan`, on every value and every gradient", ["nan"]),
    ("`grad * norm > 1e9`, every parameter", ["grad * norm > 1e9"]),
    ("`update * absmax > 1e9`, every parameter (copied before)", ["update * absmax > 1e9"]),
    ("`op linear where x.shape[0] < 0`", ["op linear where x.shape[0] < 0"]),
    ("`nan`, `inf`, `absmax`, `norm`, `std and zeros` far from what is there", HEALTH),
    ("the same near what is there: each tensor is walked", NEAR),
)  # fmt: skip


def report(plan: Plan) -> list[Table]:
    """Extra time of the same training step, against its structure traced with nothing armed."""
    made = {"64-128-10 MLP, batch 64": workloads.mlp, "transformer-like": workloads.transformer}
    table = Table("conditions", "conditions: extra time of a training step", ["armed", *made])
    columns = [_column(make(), plan) for make in made.values()]
    titles = [title for title, _ in ARMED]
    titles += ["`--rules default`", "`nan` and `inf`, against the untraced step"]
    table.rows = [list(row) for row in zip(titles, *columns)]
    table.notes.append(
        f"Median and quartiles of {plan.rounds} rounds, processor time, against the same step with "
        "its structure traced and nothing armed."
    )
    return [table]


def _column(step: Callable[[], object], plan: Plan) -> list[str]:
    traced = armed(step, [])
    pairs = [(traced, armed(step, lines)) for _, lines in ARMED]
    pairs.append((traced, armed(step, [], rules=True)))
    pairs.append((step, armed(step, ["nan", "inf"])))
    # In processor time: what is compared is short, and other programs run beside it.
    ratios = [in_turn(a, b, plan.rounds, plan.seconds, process_time) for a, b in pairs]
    return [ratio.percent for ratio in ratios]


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
