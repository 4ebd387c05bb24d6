"""What recording costs while a model trains, and what opening a recording takes.

Run it with OPENBLAS_NUM_THREADS=1: threads that wait by spinning count as processor time.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter, process_time

import framework as torch
from benchmarks import workloads
from benchmarks.ratio import Plan, in_turn
from benchmarks.table import Table, time_of
from benchmarks.tracing import traced
from framework.trace import open_tape, sink
from framework.trace.playback import Playback
from framework.trace.tape_writer import Recording

__all__ = ["report"]

MANY = 1_000_000  # events
VALUES = 400_000  # events with a value each
LARGE = 300 << 20  # bytes of the recording that is opened


def report(plan: Plan) -> Iterator[Table]:
    """Ratios of a recorded run to an untraced and to a traced one; times of opening."""
    with tempfile.TemporaryDirectory() as folder:
        yield _recording(plan, Path(folder))
        yield _opening(plan, Path(folder))


def _recording(plan: Plan, folder: Path) -> Table:
    table = Table(
        "recording", "recording to a file: extra time of a training step",
        ["workload, `--keep`", "against untraced", "against the same trace in memory",
         "untraced, elapsed time"],
    )  # fmt: skip
    made = {"transformer-like": workloads.transformer, "64-128-10 MLP": workloads.mlp}
    for name, make in made.items():
        for keep in ("none", "health", "all"):
            step = make()
            with recorded(step, keep, folder / f"{keep}.tape") as run:
                in_memory = traced(step, "none" if keep == "none" else "all")
                sides = [(step, process_time), (in_memory, process_time), (step, perf_counter)]
                cells = [
                    in_turn(other, run, plan.rounds, plan.seconds, clock).percent
                    for other, clock in sides
                ]
            table.rows.append([f"{name}, `{keep}`", *cells])
    table.notes.append(
        f"Median and quartiles of {plan.rounds} rounds, processor time of all threads where no "
        "other is named."
    )
    return table


@contextlib.contextmanager
def recorded(
    step: Callable[[], object], keep: str, path: Path, budget: int = 1 << 30
) -> Iterator[Callable[[], None]]:
    """``step`` under a recorder that is written to a file meanwhile."""
    recorder = sink.Recorder(keep="none" if keep == "none" else "all", capacity=1 << 16)
    with Recording(path, recorder, keep=keep, budget=budget) as recording:

        def run() -> None:
            sink.active = recorder
            try:
                step()
            finally:
                sink.active = None
            if recording.behind:  # what is left to do belongs to this step
                recording.flush()

        yield run
    assert not recording.problem and not recording.lost, recording


def _opening(plan: Plan, folder: Path) -> Table:
    """How long a large recording takes to open, and one of very many events."""
    table = Table("opening", "opening a recording", ["what", "figure", "bound"])
    path = folder / "large.tape"
    size = LARGE // 10 if plan.quick else LARGE
    with recorded(workloads.transformer(), "all", path, budget=LARGE * 4) as run:
        while not path.exists() or os.path.getsize(path) < size:
            run()
    first, whole = [], []
    for _ in range(5):
        began = perf_counter()
        playback = Playback(path)
        first.append(perf_counter() - began)
        playback.close()
        began = perf_counter()
        tape = open_tape(path)
        whole.append(perf_counter() - began)
    what = f"{os.path.getsize(path) >> 20} MB, {len(tape):,} events, {tape.kept[0]:,} values"
    table.rows += [
        [f"{what}: until its text can be shown", time_of(statistics.median(first)), "100 ms"],
        ["all of it indexed, checksums checked", time_of(statistics.median(whole)), "1 s"],
    ]
    count = MANY // 10 if plan.quick else MANY
    flood, small = folder / "flood.tape", folder / "small.tape"
    with _loop(flood, count, "none") as recording:
        pass
    megabytes = os.path.getsize(flood) / 1e6
    name = f"{count:,} events of a loop without training steps, {megabytes:.0f} MB"
    table.rows.append([f"{name}: lost while recording", f"{recording.lost:,}", "0"])
    table.rows += _opened(flood, name)
    count = VALUES // 10 if plan.quick else VALUES
    with _loop(small, count, "all"):
        pass
    table.rows += _opened(small, f"{count:,} events, every value kept")
    return table


@contextlib.contextmanager
def _loop(path: Path, count: int, keep: str) -> Iterator[Recording]:
    """A loop without training steps, which makes events faster than they can be written."""
    recorder = sink.Recorder(keep=keep)
    with Recording(path, recorder, keep=keep, budget=4 << 30) as recording:
        sink.active = recorder
        x = torch.ones(8)
        while recorder.seq < count:
            x = (x + 1).tanh()
        sink.active = None
        yield recording


def _opened(path: Path, name: str) -> list[list[str]]:
    """What opening takes, in a process each: memory that was used once is not given back."""
    found = [tuple(map(float, _child(_OPEN, str(path)).split())) for _ in range(5)]
    rows = []
    for i, (what, unit) in enumerate(
        (("elapsed", "ms"), ("processor time", "ms"), ("memory", "MB"))
    ):
        low, *_, high = values = sorted(row[i] for row in found)
        text = f"{statistics.median(values):.0f} {unit} ({low:.0f} to {high:.0f})"
        rows.append([f"{name}: opening, {what}", text, ""])
    return rows


_OPEN = """
import os, sys, time
from framework.trace import open_tape
def used():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6
before, wall, busy = used(), time.perf_counter(), time.process_time()
tape = open_tape(sys.argv[1])
print((time.perf_counter() - wall) * 1e3, (time.process_time() - busy) * 1e3, used() - before)
"""


def _child(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout
