"""Two ways of doing the same thing, measured in turn in one run and compared as a ratio.

Absolute times of a shared machine mean little; the ratio of neighbouring measurements holds.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, process_time, sleep
from typing import Any

from benchmarks import environment
from benchmarks.table import time_of

__all__ = ["Plan", "Ratio", "in_turn", "side_by_side"]


@dataclass(frozen=True)
class Ratio:
    """How much longer ``b`` takes than ``a``: quartiles of the ratio over the rounds."""

    low: float
    median: float
    high: float
    a: float  # seconds, median
    b: float

    def __str__(self) -> str:
        percent = [f"{(r - 1) * 100:+.1f} %" for r in (self.median, self.low, self.high)]
        return f"{percent[0]:>9}  (quartiles {percent[1]} to {percent[2]})"

    @property
    def percent(self) -> str:
        """As extra time."""
        median, low, high = (f"{(r - 1) * 100:+.1f}" for r in (self.median, self.low, self.high))
        return f"{median} % ({low} to {high})"

    @property
    def times(self) -> str:
        """As a factor."""
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class Plan:
    """How thoroughly to measure."""

    quick: bool = False
    clock: Callable[[], float] = perf_counter

    @property
    def rounds(self) -> int:
        return 3 if self.quick else 11

    @property
    def seconds(self) -> float:
        return 0.004 if self.quick else 0.05

    @property
    def settle(self) -> float:
        """Seconds of pause before a side's turn.

        OpenBLAS's threads spin for 2^26 cycles before they sleep, those of OpenMP for less.
        """
        return 0.0 if self.clock is process_time else 0.03

    @property
    def in_words(self) -> str:
        kind = "processor" if self.clock is process_time else "elapsed"
        return f"median and quartiles of {self.rounds} rounds, {kind} time"


def in_turn(
    a: Callable[[], object],
    b: Callable[[], object],
    rounds: int = 30,
    seconds: float = 0.05,
    clock: Callable[[], float] = perf_counter,
    settle: float = 0.0,
) -> Ratio:
    """Time ``a`` and ``b`` alternately, each round for about ``seconds`` apiece.

    With ``clock=process_time`` it is the processor's time of all threads, which other processes
    do not lengthen. ``settle`` is a pause before each, then a call that is not timed: the threads
    of one library spin for a while before they sleep.
    """
    a(), b()
    counts = [max(1, int(seconds / max(min(_time(c, 1, clock) for _ in range(3)), 1e-9)))
              for c in (a, b)]  # fmt: skip
    times: tuple[list[float], list[float]] = ([], [])
    for i in range(rounds):
        gc.collect()
        order = ((a, 0), (b, 1))
        for call, side in order if i % 2 else reversed(order):
            if settle:
                sleep(settle)
                call()
            times[side].append(_time(call, counts[side], clock) / counts[side])
    ratios = [y / x for x, y in zip(*times)]
    low, median, high = statistics.quantiles(ratios, n=4) if rounds > 1 else ratios * 3
    return Ratio(low, median, high, statistics.median(times[0]), statistics.median(times[1]))


def _time(call: Callable[[], object], count: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(count):
        call()
    return clock() - start


def side_by_side(make: Callable[[Any], Callable[[], object]], plan: Plan) -> list[str]:
    """Cells of a table: our time, PyTorch's, and ours as a multiple of it."""
    import framework

    torch = environment.pytorch()
    ours = make(framework)
    if torch is None:
        alone = in_turn(ours, ours, plan.rounds, plan.seconds, plan.clock)
        return [time_of(alone.a)]
    ratio = in_turn(make(torch), ours, plan.rounds, plan.seconds, plan.clock, plan.settle)
    return [time_of(ratio.b), time_of(ratio.a), ratio.times]
