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
from benchmarks.ratio import in_turn
from benchmarks.tracing import traced
from framework.trace import open_tape, sink
from framework.trace.playback import Playback
from framework.trace.tape_writer import Recording

__all__ = ["report"]

ROUNDS = 15
MANY = 1_000_000  # events
LARGE = 300 << 20  # bytes of the recording that is opened


def report() -> None:
    """Ratios of a recorded run to an untraced and to a traced one; times of opening."""
    with tempfile.TemporaryDirectory() as folder:
        print("recording to a file: extra time of a training step")
        for name, make in (
            ("transformer-like", workloads.transformer),
            ("small MLP", workloads.mlp),
        ):
            for keep in ("none", "health", "all"):
                step = make()
                with recorded(step, keep, Path(folder, f"{keep}.tape")) as run:
                    in_memory = traced(step, "none" if keep == "none" else "all")
                    for title, other in (("untraced", step), ("in memory", in_memory)):
                        wall = in_turn(other, run, ROUNDS)
                        busy = in_turn(other, run, ROUNDS, clock=process_time)
                        print(f"  {name}, --keep {keep}, against {title}")
                        print(f"    processor time {busy}")
                        print(f"    elapsed        {wall}")
        _opening(Path(folder, "large.tape"))
        _flood(Path(folder, "flood.tape"))


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


def _opening(path: Path) -> None:
    with recorded(workloads.transformer(), "all", path, budget=LARGE * 4) as run:
        while not path.exists() or os.path.getsize(path) < LARGE:
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
    size = os.path.getsize(path) >> 20
    print(f"opening a recording of {size} MB, {len(tape):,} events, {tape.kept[0]:,} values")
    print(f"  until its text can be shown   {statistics.median(first) * 1e3:.1f} ms")
    print(f"  all of it indexed             {statistics.median(whole) * 1e3:.0f} ms")


def _flood(path: Path) -> None:
    """A loop without training steps, which makes events faster than they can be written."""
    recorder = sink.Recorder(keep="none")
    with Recording(path, recorder, keep="none") as recording:
        sink.active = recorder
        x = torch.ones(8)
        while recorder.seq < MANY:
            x = (x + 1).tanh()
        sink.active = None
    size = os.path.getsize(path) / 1e6
    print(f"{recording.events:,} events of a loop: {size:.0f} MB, {recording.lost:,} were lost")
    found = [
        tuple(map(float, _child(_OPEN, str(path)).split())) for _ in range(5)
    ]  # a process each: memory that was used once is not given back
    for i, (name, unit) in enumerate(
        (("elapsed", "ms"), ("processor time", "ms"), ("memory", "MB"))
    ):
        low, *_, high = values = sorted(row[i] for row in found)
        text = f"{statistics.median(values):.0f} {unit} ({low:.0f} to {high:.0f})"
        print(f"  opening them, {name:<15} {text}")


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
