"""What recording costs while a model trains, and what opening a recording takes.

Run it with OPENBLAS_NUM_THREADS=1: threads that wait by spinning count as processor time.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter, process_time

from benchmarks import workloads
from benchmarks.ratio import in_turn
from benchmarks.tracing import traced
from framework.trace import open_tape, sink
from framework.trace.playback import Playback
from framework.trace.tape_writer import Recording

__all__ = ["report"]

ROUNDS = 15
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
