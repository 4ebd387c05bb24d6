"""`utils.benchmark`: the time that a statement takes, measured several times, and tables of it."""

from __future__ import annotations

import math
import statistics
import textwrap
import time
import timeit as python_timeit
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["Compare", "Measurement", "Timer", "timer"]


def timer() -> float:
    """Seconds by the clock that measurements use, `time.perf_counter`; only differences count.

    >>> from framework.utils.benchmark import timer
    >>> begin = timer()
    >>> timer() >= begin
    True
    """
    return time.perf_counter()


_UNITS = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9))


def select_unit(t: float) -> tuple[str, float]:
    """The unit in which a time reads best, and its length in seconds."""
    return next(((name, size) for name, size in _UNITS if t >= size), _UNITS[-1])


class Measurement:
    """Times of some runs of a statement, in seconds for each run.

    ``raw_times`` are those of blocks of ``number_per_run`` runs. ``times`` are those of one run;
    ``median``, ``mean`` and ``iqr`` speak of these.

    >>> from framework.utils.benchmark import Measurement
    >>> measured = Measurement(10, [0.02, 0.03], title="x + x")
    >>> measured.times, measured.median
    ([0.002, 0.003], 0.0025)
    """

    def __init__(
        self, number_per_run: int, raw_times: list[float], title: str = "",
        label: str | None = None, sub_label: str | None = None, description: str | None = None,
        env: str | None = None, num_threads: int = 1,
    ) -> None:  # fmt: skip
        self.number_per_run, self.raw_times, self.title = number_per_run, raw_times, title
        self.label, self.sub_label, self.description = label, sub_label, description
        self.env, self.num_threads = env, num_threads

    @property
    def times(self) -> list[float]:
        """Seconds of one run, for each block."""
        return [t / self.number_per_run for t in self.raw_times]

    @property
    def mean(self) -> float:
        """Seconds of one run, on the average of the blocks."""
        return statistics.fmean(self.times)

    @property
    def median(self) -> float:
        """Seconds of one run in the middle one of the blocks."""
        return statistics.median(self.times)

    @property
    def iqr(self) -> float:
        """The distance between the quartiles."""
        if len(self.times) < 2:
            return 0.0
        first, _, third = statistics.quantiles(self.times, n=4, method="inclusive")
        return third - first

    @property
    def meets_confidence(self) -> bool:
        """Whether the quartiles are nearer to each other than a tenth of the median."""
        return self.iqr < 0.1 * self.median

    @property
    def significant_figures(self) -> int:
        """How many digits the blocks between the quartiles agree in: 1 to 4."""
        times, n = sorted(self.times), len(self.times)
        middle = times[n // 4 : math.ceil(3 * n / 4)]
        interval = max(1.645 * statistics.pstdev(middle) / math.sqrt(len(middle)), 25e-9)
        return min(max(math.floor(math.log10(self.median / interval)), 1), 4)

    @staticmethod
    def merge(measurements: Iterable[Measurement]) -> list[Measurement]:
        """One for each statement, with the ``times`` of all measurements of it.

        >>> from framework.utils.benchmark import Measurement
        >>> merged = Measurement.merge([Measurement(10, [0.02]), Measurement(1, [0.003])])
        >>> [m.times for m in merged]
        [[0.002, 0.003]]
        """
        groups: dict[tuple[Any, ...], list[float]] = {}
        for m in measurements:
            told = (m.title, m.label, m.sub_label, m.description, m.env, m.num_threads)
            groups.setdefault(told, []).extend(m.times)
        return [Measurement(1, times, *told) for told, times in groups.items()]

    def __repr__(self) -> str:
        unit, size = select_unit(self.median)
        lines = [f"<{type(self).__module__}.Measurement object at {id(self):#x}>", self.title]
        if len(self.times) > 1:
            lines.append(f"  Median: {self.median / size:.2f} {unit}")
            lines.append(f"  IQR:    {self.iqr / size:.2f} {unit}")
        else:
            lines.append(f"  {self.median / size:.2f} {unit}")
        blocks, runs = len(self.raw_times), self.number_per_run
        lines.append(
            f"  {blocks} measurement{'s' * (blocks != 1)}, {runs} run{'s' * (runs != 1)} per "
            f"measurement, {self.num_threads} thread{'s' * (self.num_threads != 1)}"
        )
        return "\n".join(lines)


class Timer:
    """Measures a statement of Python, in one thread of numbers by default, after a warm-up.

    ``setup`` runs before each block, ``globals`` are names that both may use; ``torch`` is one of
    them. ValueError for another language, SyntaxError for a statement that is none.

    >>> from framework.utils.benchmark import Timer
    >>> measured = Timer("x + x", globals={"x": 1}).timeit(10)
    >>> measured.number_per_run, len(measured.times)
    (10, 1)
    """

    def __init__(
        self, stmt: str = "pass", setup: str = "pass", global_setup: str = "",
        timer: Callable[[], float] = timer, globals: dict[str, Any] | None = None,
        label: str | None = None, sub_label: str | None = None, description: str | None = None,
        env: str | None = None, num_threads: int = 1, language: Any = "python",
    ) -> None:  # fmt: skip
        if "python" not in str(getattr(language, "name", language)).lower():
            raise ValueError(f"only statements of Python can be measured, but got {language}")
        import framework

        names = dict(globals or {})
        names.setdefault("torch", framework)
        stmt, setup = textwrap.dedent(stmt), textwrap.dedent(setup)
        self._timer = python_timeit.Timer(stmt, setup, timer, names)
        self._facts = {"label": label, "sub_label": sub_label, "description": description,
                       "env": env, "num_threads": num_threads}  # fmt: skip
        title = ": ".join(w for w in (label or stmt.strip(), sub_label) if w)
        self._facts["title"] = title + (f"\n  {description}" if description else "")

    def _block(self, number: int) -> float:
        from framework.flags import get_num_threads, set_num_threads

        before = get_num_threads()
        set_num_threads(self._facts["num_threads"])  # type: ignore[arg-type]
        try:
            return max(self._timer.timeit(number), 1e-9)
        finally:
            set_num_threads(before)

    def _measured(self, number: int, times: list[float]) -> Measurement:
        return Measurement(number, times, **self._facts)  # type: ignore[arg-type]

    def timeit(self, number: int = 1_000_000) -> Measurement:
        """One measurement of ``number`` runs."""
        self._block(max(number // 100, 2))
        return self._measured(number, [self._block(number)])

    def repeat(self, repeat: int = -1, number: int = -1) -> None:
        """Refused, as in PyTorch: use `blocked_autorange`."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def _runs(self, min_run_time: float) -> int:
        number = 1
        while True:
            taken = self._block(number)
            if taken >= min_run_time / 1000 or number >= 10**9:
                return number
            number *= 10

    def blocked_autorange(
        self, callback: Callable[[int, float], Any] | None = None, min_run_time: float = 0.2
    ) -> Measurement:
        """Blocks of runs until they have taken ``min_run_time`` seconds together."""
        number, times = self._runs(min_run_time), [0.0]
        times.clear()
        while sum(times) < min_run_time:
            times.append(self._block(number))
            if callback is not None:
                callback(number, times[-1])
        return self._measured(number, times)

    def adaptive_autorange(
        self, threshold: float = 0.1, *, min_run_time: float = 0.01, max_run_time: float = 10.0,
        callback: Callable[[int, float], Any] | None = None,
    ) -> Measurement:  # fmt: skip
        """Blocks of runs until the quartiles are as near as ``threshold`` of the median."""
        number, times = self._runs(min_run_time), [0.0]
        times.clear()
        while sum(times) < max_run_time:
            times.append(self._block(number))
            if callback is not None:
                callback(number, times[-1])
            found = self._measured(number, times)
            enough = sum(times) >= min_run_time and len(times) > 3
            if enough and found.iqr < threshold * found.median:
                break
        return self._measured(number, times)


class Compare:
    """A table of measurements: a row for each ``sub_label``, a column for each ``description``.

    There is a table for each ``label``, in a unit that suits its fastest cell.

    >>> from framework.utils.benchmark import Compare, Measurement
    >>> a = Measurement(10, [0.02], label="add", sub_label="small", description="here")
    >>> b = Measurement(10, [0.03], label="add", sub_label="small", description="there")
    >>> Compare([a, b]).print()
    [---- add ----]
           |  here  |  there
    small  |     2  |      3
    <BLANKLINE>
    Times are in ms.
    """

    def __init__(self, results: Iterable[Measurement]) -> None:
        self._results = list(results)

    def extend_results(self, results: Iterable[Measurement]) -> None:
        """Take further measurements into the table."""
        self._results.extend(results)

    def trim_significant_figures(self) -> None:
        """Accepted: times are shown with four figures."""

    def colorize(self, rowwise: bool = False) -> None:
        """Accepted: the table is plain text."""

    def highlight_warnings(self) -> None:
        """Accepted."""

    def print(self) -> None:
        """Print the tables."""
        print(str(self))  # noqa: T201

    def __str__(self) -> str:
        labels = list(dict.fromkeys(m.label for m in self._results))
        return "\n".join(self._table(label) for label in labels)

    def _table(self, label: str | None) -> str:
        chosen = [m for m in self._results if m.label == label]
        columns = list(dict.fromkeys(m.description or "" for m in chosen))
        unit, size = select_unit(min(m.median for m in chosen))
        cells = {(m.num_threads, m.sub_label or "", m.description or ""): m for m in chosen}
        rows = [["", *columns]]
        for threads, name in dict.fromkeys(key[:2] for key in cells):
            found = [cells.get((threads, name, c)) for c in columns]
            rows.append([name, *["" if m is None else f"{m.median / size:.4g}" for m in found]])
        widths = [max(len(row[i]) for row in rows) for i in range(len(columns) + 1)]
        lines = [
            "  |  ".join(text.ljust(w) if i == 0 else text.rjust(w)
                         for i, (text, w) in enumerate(zip(row, widths)))
            for row in rows
        ]  # fmt: skip
        rule = f"[{'-' * 4} {label or ''} {'-' * 4}]"
        return "\n".join([rule, *lines, "", f"Times are in {unit}."])
