"""What breakpoints and rules ask of tensors on a CUDA device, found there and read once per step.

To look at a number of a device is to wait for it. While a program runs at speed the figures of its
tensors (`kernels.cuda.health`) therefore go into rows of one array of the device (`Table`); at the
end of the step, or of a cell, that is fetched whole. A breakpoint that a row hits stops there, at
the step's end, and says which event it was. An expression is Python's code, which gets the tensor
itself and may ask for its truth, and so wait; what it gives is looked at at the step's end, if that
lies on the device. Where the program is stepped through, tensors are looked at at once, and by
``unchanged``, which compares with the last time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from framework.kernels.cuda.health import NAMES, health
from framework.trace import turns
from framework.trace.figures import FINITE, NORM, SPREAD, Figures

__all__ = ["Flags", "Row", "Table", "on_device"]

ROWS = 1 << 12  # tensors of a step; more are read in between


def on_device(array: Any) -> bool:
    """Whether an array is one of CuPy's."""
    kind = array.__class__  # asked of an array, the interface is a dict made for the question
    return kind is not np.ndarray and hasattr(kind, "__cuda_array_interface__")


class Table:
    """Rows of numbers on a device, eight for each tensor, which are read all at once."""

    def __init__(self) -> None:
        self._used = 0
        self._counts: list[int] = []  # elements of what each row is about; 0: it is one number
        self._buffer: Any = None  # (ROWS, 8) on the device

    def __len__(self) -> int:
        return self._used

    @property
    def full(self) -> bool:
        """Whether it should be read before another op."""
        return self._used > ROWS - 64

    def _next(self, like: Any) -> Any:
        """The next row, on the device of ``like``; None if there is none."""
        if self._used == ROWS:
            return None
        buffer = self._buffer
        if buffer is None or buffer.data.device_id != like.data.device_id:
            if self._used:
                return None  # of another device: there is one array
            from framework.kernels import module_of

            with like.device:
                buffer = self._buffer = module_of(like).zeros((ROWS, len(NAMES)), np.float64)
        return buffer[self._used]

    def _taken(self, count: int) -> int:
        self._counts.append(count)
        self._used += 1
        return self._used - 1

    def add(self, array: Any, spread: bool = False) -> int | None:
        """Find an array's figures; the number of its row, None if it must be looked at now."""
        if not on_device(array) or not array.size:
            return None
        row = self._next(array)
        if row is None or health(_measurable(array), spread, row) is None:
            return None
        return self._taken(array.size)

    def put(self, number: Any) -> int | None:
        """Keep an array of one element; the number of its row, None if there is none left."""
        row = self._next(number)
        if row is None:
            return None
        row[:1] = number.reshape(1)
        return self._taken(0)

    def read(self) -> list[Any]:
        """For each row `Figures`, or the number; in one transfer. There are none afterwards."""
        counts, self._counts, used, self._used = self._counts, [], self._used, 0
        if not used:
            return []
        lines = self._buffer[:used].get().tolist()
        return [
            _figures(count, dict(zip(NAMES, line))) if count else line[0]
            for count, line in zip(counts, lines)
        ]


def _measurable(array: Any) -> Any:
    """The array in a type that figures are found of, itself if it is of one."""
    kind = array.dtype.kind
    if kind == "c":
        return sys.modules["cupy"].abs(array)
    if kind in "iub":
        return array.astype(np.float64)
    known = array.dtype.itemsize > 1
    return array if known else array.astype(np.float32)


@dataclass(slots=True)
class Row:
    """A tensor that was looked at: the event that made it, and whose breakpoints may be hit.

    Attributes:
        judge: asked instead of the candidates, with all that the table has.
        what: of a parameter, what of it was looked at; ``update``: its change.
        weight: of an update, the row of what the parameter held before.
    """

    raw: tuple[Any, ...]
    candidates: Any
    count: int  # elements
    phase: str
    step: int
    at: int
    judge: Callable[[list[Any]], Any] | None = None
    what: str = ""
    update: bool = False
    weight: int | None = None
    figures: Figures | None = None
    before: Figures | None = None

    @property
    def loud(self) -> bool:
        """Whether the sum of squares allows that a breakpoint is hit."""
        if self.judge is not None:
            return True
        squares = self.figures.squares if self.figures is not None else np.inf
        found = self.candidates
        return not (squares < found.norm and squares < found.rms * self.count)


class Flags:
    """The rows of a step that is running."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self.table = Table()

    def __len__(self) -> int:
        return max(len(self._rows), len(self.table))

    @property
    def full(self) -> bool:
        return self.table.full

    def add(
        self, raw: tuple[Any, ...], array: Any, candidates: Any, phase: str, what: str = "",
        before: Any = None,
    ) -> bool:  # fmt: skip
        """Look at an array later; False if it must be looked at now.

        Args:
            what: of an update or a gradient, what it is of.
            before: of an update, what the parameter held before.
        """
        if not on_device(array):
            return False
        if not array.size or (array.dtype.kind in "iub" and not candidates.needs & ~FINITE):
            return True  # nothing in it can be wrong
        at = self.table.add(array, bool(candidates.needs & SPREAD))
        if at is None:
            return False
        weight = None
        if before is not None and candidates.needs & NORM:
            weight = self.table.add(before)
            if weight is None:
                return False
        step = turns.number()
        update = before is not None
        self._rows.append(
            Row(raw, candidates, array.size, phase, step, at, None, what, update, weight)
        )
        return True

    def judge_later(
        self, raw: tuple[Any, ...], phase: str, judge: Callable[[list[Any]], Any]
    ) -> None:
        """Ask ``judge`` once the table is read, in its turn."""
        self._rows.append(Row(raw, None, 0, phase, turns.number(), 0, judge))

    def read(self) -> tuple[list[Row], list[Any]]:
        """All rows with their figures, and the table, in one transfer; empty afterwards."""
        rows, self._rows = self._rows, []
        table = self.table.read()
        for row in rows:
            if row.judge is None:
                row.figures = table[row.at]
                row.before = None if row.weight is None else table[row.weight]
        return rows, table


def _figures(count: int, numbers: dict[str, float]) -> Figures:
    figures = Figures(count)
    for name, value in numbers.items():
        setattr(figures, name, int(value) if name in ("nan", "inf", "zeros") else value)
    if figures.low > figures.high:  # nothing but NaNs
        figures.low, figures.high = np.inf, -np.inf
    return figures
