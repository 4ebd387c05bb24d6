"""What breakpoints ask of tensors on a CUDA device, found there and read once per training step.

To look at a number of a device is to wait for it. While a program runs at speed the figures of its
tensors (`kernels.cuda.health`) therefore go into rows of one array of the device; at the end of the
step, or of a cell, that is fetched whole. A breakpoint that a row hits stops there, at the step's
end, and says which event it was. Where the program is stepped through, tensors are looked at at
once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from framework.kernels.cuda.health import NAMES, health
from framework.trace import turns
from framework.trace.figures import SPREAD, Figures

__all__ = ["Flags", "Row"]

ROWS = 1 << 12  # tensors of a step; more are read in between


@dataclass(slots=True)
class Row:
    """A tensor that was looked at: the event that made it, and whose breakpoints may be hit."""

    raw: tuple[Any, ...]
    candidates: Any
    count: int  # elements
    phase: str
    step: int
    figures: Figures | None = None

    @property
    def loud(self) -> bool:
        """Whether the sum of squares allows that a breakpoint is hit."""
        squares = self.figures.squares if self.figures is not None else np.inf
        found = self.candidates
        return not (squares < found.norm and squares < found.rms * self.count)


class Flags:
    """The rows of a step that is running."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._buffer: Any = None  # (ROWS, 8) on the device

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def full(self) -> bool:
        return len(self._rows) > ROWS - 64

    def add(self, raw: tuple[Any, ...], array: Any, candidates: Any, phase: str) -> bool:
        """Look at an array later; False if it must be looked at now."""
        if not hasattr(array, "__cuda_array_interface__") or len(self._rows) == ROWS:
            return False
        if not array.size:
            return True
        buffer = self._buffer
        if buffer is None or buffer.device != array.device:
            if self._rows:
                return False  # of another device: there is one array
            buffer = self._buffer = _rows_on(array)
        if health(array, bool(candidates.needs & SPREAD), buffer[len(self._rows)]) is None:
            return False
        self._rows.append(Row(raw, candidates, array.size, phase, turns.number()))
        return True

    def read(self) -> list[Row]:
        """All rows with their figures, in one transfer; there are none afterwards."""
        rows, self._rows = self._rows, []
        if not rows:
            return []
        table = self._buffer[: len(rows)].get()
        for row, numbers in zip(rows, table.tolist()):
            row.figures = _figures(row.count, dict(zip(NAMES, numbers)))
        return rows


def _rows_on(array: Any) -> Any:
    from framework.kernels import module_of

    with array.device:
        return module_of(array).zeros((ROWS, len(NAMES)), np.float64)


def _figures(count: int, numbers: dict[str, float]) -> Figures:
    figures = Figures(count)
    for name, value in numbers.items():
        setattr(figures, name, int(value) if name in ("nan", "inf", "zeros") else value)
    if figures.low > figures.high:  # nothing but NaNs
        figures.low, figures.high = np.inf, -np.inf
    return figures
