"""Whole training steps, ours and PyTorch's in turn, and how much memory each takes."""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks import environment
from benchmarks.ratio import Plan, in_turn
from benchmarks.table import Table, time_of
from benchmarks.workloads import STEPS

__all__ = ["memory", "report"]

ROOT = Path(__file__).parent.parent

# Prints by how many kB the peak of a fresh process grew over what the import took. The peak is that
# of this program alone: `ru_maxrss` begins with its parent's. Numba and LLVM are imported before,
# as PyTorch's kernels are with PyTorch.
PROGRAM = """
import re, sys
from importlib import import_module
from pathlib import Path
from benchmarks.workloads import STEPS

def peak():
    try:
        return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
    except (OSError, TypeError):
        from resource import RUSAGE_SELF, getrusage
        return getrusage(RUSAGE_SELF).ru_maxrss

torch = import_module(sys.argv[1])
torch.optim.Adam([torch.ones(2, requires_grad=True)])
if torch.__name__ == "framework":
    from framework.kernels import compiled
    for name in compiled.FAMILIES:
        compiled.family(name)
before = peak()
step = list(STEPS.values())[int(sys.argv[2])](torch)
for _ in range(4):
    step()
print(peak() - before)
"""


def report(plan: Plan) -> list[Table]:
    """The ten steps, with the geometric mean of their ratios."""
    with_torch = environment.pytorch() is not None
    table = Table("steps", "training steps", ["step", "ours", *_THEIRS * with_torch])
    medians = []
    import framework

    for name, make in STEPS.items():
        ours = make(framework)
        if not with_torch:
            alone = in_turn(ours, ours, plan.rounds, plan.seconds, plan.clock)
            table.rows.append([name, time_of(alone.a)])
            continue
        theirs = make(environment.pytorch())
        ratio = in_turn(theirs, ours, plan.rounds, plan.seconds, plan.clock, plan.settle)
        table.rows.append([name, time_of(ratio.b), time_of(ratio.a), ratio.times])
        medians.append(ratio.median)
    if medians:
        mean = math.exp(statistics.fmean(map(math.log, medians)))
        table.rows.append(["geometric mean", "", "", f"{mean:.2f}"])
        table.notes.append(f"Largest ratio {max(medians):.2f}; {plan.in_words}.")
    return [table]


_THEIRS = ["PyTorch", "ours / PyTorch"]


def memory(plan: Plan) -> list[Table]:
    """By how much four training steps raise the peak of resident memory, in fresh processes."""
    modules = ["framework"] + ["torch"] * (environment.pytorch() is not None)
    table = Table(
        "memory", "peak memory of a training step, MB over what the imports take",
        ["step", "ours", *_THEIRS * (len(modules) > 1)],
    )  # fmt: skip
    repeats = 1 if plan.quick else 3
    for number, name in enumerate(STEPS):
        sizes = [
            statistics.median(_peak(module, number) for _ in range(repeats)) for module in modules
        ]
        row = [name, *(f"{size / 1024:.1f}" for size in sizes)]
        table.rows.append([*row, f"{sizes[0] / max(sizes[1], 1):.2f}"] if len(sizes) > 1 else row)
    return [table]


def _peak(module: str, number: int) -> int:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, module, str(number)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return int(done.stdout)
