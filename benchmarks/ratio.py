"""Two ways of doing the same thing, measured in turn in one run and compared as a ratio.

Absolute times of a shared machine mean little; the ratio of neighbouring measurements holds.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

__all__ = ["Ratio", "in_turn"]


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


def in_turn(
    a: Callable[[], object],
    b: Callable[[], object],
    rounds: int = 30,
    seconds: float = 0.05,
    clock: Callable[[], float] = perf_counter,
) -> Ratio:
    """Time ``a`` and ``b`` alternately, each round for about ``seconds`` apiece.

    With ``clock=process_time`` it is the processor's time of all threads, which other processes
    do not lengthen.
    """
    a(), b()
    once = min(_time(a, 1, clock) for _ in range(3))
    count = max(1, int(seconds / max(once, 1e-9)))
    times_a: list[float] = []
    times_b: list[float] = []
    for i in range(rounds):
        gc.collect()
        order = ((a, times_a), (b, times_b))
        for call, times in order if i % 2 else reversed(order):
            times.append(_time(call, count, clock) / count)
    ratios = [y / x for x, y in zip(times_a, times_b)]
    low, median, high = statistics.quantiles(ratios, n=4)
    return Ratio(low, median, high, statistics.median(times_a), statistics.median(times_b))


def _time(call: Callable[[], object], count: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(count):
        call()
    return clock() - start
