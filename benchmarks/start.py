"""How long it takes to begin: the import, the command line, the first paint, the kernel."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from benchmarks.ratio import Plan
from benchmarks.table import Table
from benchmarks.terminal import Terminal

__all__ = ["report"]

ROOT = Path(__file__).parent.parent

# As a user starts it: with byte code on disk. Some environments switch that off, and every start
# would then compile a hundred files.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def report(plan: Plan) -> list[Table]:
    """Medians over some rounds, in milliseconds."""
    rounds = 3 if plan.quick else 7
    bare = python("pass", rounds)
    numpy = python("import numpy", rounds)
    framework = python("import framework", rounds)
    rows = [
        ["python", spread(bare), ""],
        ["`import numpy`", spread(above(numpy, bare)), ""],
        ["`import framework`, NumPy included", spread(above(framework, bare)), "300 ms"],
        ["first capture: a process's first traced step (every value kept) to its drawn graph",
         spread(first_capture(rounds)), "300 ms"],
        ["`tapebook --version`", spread(command(["-m", "app", "--version"], rounds)), ""],
        ["start of `tapebook FILE` to the first paint", spread(first_paint(rounds)), "1 s"],
    ]  # fmt: skip
    table = Table("start", "start", ["what", "median (fastest to slowest)", "bound"], rows)
    table.notes.append(f"{rounds} rounds, elapsed time.")
    return [table]


def spread(seconds: list[float]) -> str:
    low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
    return f"{middle * 1000:.0f} ms ({low * 1000:.0f} to {high * 1000:.0f})"


def above(times: list[float], base: list[float]) -> list[float]:
    return [t - statistics.median(base) for t in times]


def python(code: str, rounds: int) -> list[float]:
    return command(["-c", code], rounds)


def command(args: list[str], rounds: int) -> list[float]:
    times = []
    for _ in range(rounds + 1):
        start = perf_counter()
        subprocess.run([sys.executable, *args], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        times.append(perf_counter() - start)
    return times[1:]  # the first one filled the disk cache


CAPTURE = """
import framework as torch
from framework import nn, trace
from time import perf_counter
model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(64, 64), torch.randint(0, 10, (64,))

def step():
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()

step()  # untraced: the kernels' own first time is no part of it
start = perf_counter()
with trace.recording(keep="all") as tape:
    step()
from viewers.graph.rows import Outline
from viewers.graph.store import TraceStore
store = TraceStore()
store.feed(tape.read())
rows = Outline(store.graph(0), "both")
rows.line(0, 80)
print(perf_counter() - start)
"""


def first_capture(rounds: int) -> list[float]:
    """A process's first traced training step, to a row of its graph; imports of views included."""
    command = [sys.executable, "-c", CAPTURE]
    runs = [
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        for _ in range(rounds + 1)
    ]
    return [float(run.stdout) for run in runs[1:]]


def first_paint(rounds: int) -> list[float]:
    """From the start of the process to the first cell of the notebook on the screen."""
    times = []
    for _ in range(rounds + 1):
        with Terminal([sys.executable, "-m", "app", str(ROOT / "examples/digits_mlp.py")]) as term:
            at = term.read(20.0, until=b"nn")
            if at is None:
                raise RuntimeError("the program painted nothing within 20 s")
            times.append(at - term.started)
    return times[1:]
