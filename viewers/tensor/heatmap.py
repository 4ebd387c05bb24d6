"""A tensor's values as colours, two in each character cell."""

from __future__ import annotations

import numpy as np

from framework.trace.protocol import Grid
from viewers.tensor.lines import (
    INF,
    NAN,
    RAMP,
    enlarge,
    fit_lines,
    half_blocks,
    matrix,
    note_lines,
    ramp_lines,
    resample,
)
from viewers.text import Line, shape_text, short, width_of

__all__ = ["LIGHT_PALETTE", "PALETTE", "heatmap_lines", "wanted_grid"]

HEAT, SIDE = 16, 8  # steps of the one-sided scale, and of each side of the two-sided one
LARGEST = 4  # an element is drawn as at most so many pixels each way


def _blend(stops: list[tuple[int, int, int]], steps: int) -> list[str]:
    """Colours at equal distances along straight lines between stops."""
    at = np.linspace(0, len(stops) - 1, steps)
    channels = [np.interp(at, range(len(stops)), [s[i] for s in stops]) for i in range(3)]
    return [f"#{round(r):02x}{round(g):02x}{round(b):02x}" for r, g, b in zip(*channels)]


def _palette(**scales: list[tuple[int, int, int]]) -> dict[str, str]:
    return {
        f"{name}-{i}": colour
        for name, stops in scales.items()
        for i, colour in enumerate(_blend(stops, HEAT if name == "heat" else SIDE))
    }


#: What a theme may draw the tokens as: lightness rises with the step, so greys keep the order.
PALETTE = _palette(
    heat=[(28, 16, 68), (120, 28, 109), (213, 72, 66), (251, 164, 10), (252, 255, 164)],
    cool=[(38, 38, 42), (30, 100, 180), (150, 215, 255)],
    warm=[(38, 38, 42), (190, 70, 30), (255, 205, 130)],
)

#: The same on a light ground, where lightness falls: what is small is near to the ground in both.
LIGHT_PALETTE = _palette(
    heat=[(250, 244, 212), (246, 187, 90), (217, 87, 64), (134, 32, 111), (38, 18, 84)],
    cool=[(236, 234, 228), (110, 172, 226), (12, 68, 140)],
    warm=[(236, 234, 228), (240, 150, 86), (146, 40, 10)],
)


def wanted_grid(
    width: int, height: int, *, colour: bool = True, ascii: bool = False
) -> tuple[int, int]:
    """The rows and columns to ask of the wire's ``view`` for a heat map of this size.

    >>> wanted_grid(30, 11), wanted_grid(30, 11, colour=False)
    ((20, 30), (10, 30))
    """
    lines = max(0, height - (height >= 3))
    return lines * (2 if colour and not ascii else 1), max(0, width)


def heatmap_lines(
    grid: Grid,
    width: int,
    height: int,
    *,
    colour: bool = True,
    ascii: bool = False,
    low: float | None = None,
    high: float | None = None,
    highlight: tuple[float, float] | None = None,
) -> list[Line]:
    """The picture of a grid in exactly ``width`` by ``height``, from height 3 on with its scale.

    Values of both signs are drawn around zero: tokens cool-7 to cool-0 below it and warm-0 to
    warm-7 above; others from heat-0 (least) to heat-15 (most). A cell's token is "UPPER on LOWER".
    ``low`` and ``high`` fix the scale, to compare pictures; otherwise it is the picture's own.
    Without ``colour``, or in ``ascii``, each cell is one block, a character of ``RAMP``. A block
    that holds a NaN shows N, one that holds an Inf shows I. With ``highlight``, only blocks within
    these limits are drawn.

    >>> from framework.trace.protocol import Grid
    >>> from viewers.text import plain
    >>> g = Grid(2, 3, [0.0, 1.0, 2.0, 3.0, 4.0, float("nan")], [0, 0, 0, 0, 0, 1], (2, 3))
    >>> for line in heatmap_lines(g, 24, 3, colour=False):
    ...     print(repr(plain(line)))
    '  ::++                  '
    '##@@NN                  '
    '0  .:-=+*#%@ 4  N=NaN   '
    """
    plain = ascii or not colour
    found = matrix(grid)
    if found is None:
        return note_lines("the picture is damaged", width, height, ascii)
    values, marks = found
    if not values.size:
        return note_lines(f"no elements: {shape_text(grid.shape)}", width, height, ascii)
    rows, cols = wanted_grid(width, height, colour=not plain)
    if not rows or not cols:
        return fit_lines([], width, height)
    values, marks = resample(values, marks, rows, cols)
    scale = _Scale(values, low, high)
    if highlight is not None:
        inside = (values >= highlight[0]) & (values <= highlight[1])
        values = np.where(inside, values, np.nan)
    down, across = _zoom(values.shape, rows, cols, plain)
    values, marks = enlarge(values, down, across), enlarge(marks, down, across)
    if plain:
        lines = ramp_lines(scale.levels(values), marks)
    else:
        lines = half_blocks(scale.tokens(values), marks.tolist())
    if height >= 3:
        means = (grid.rows, grid.cols) != tuple(grid.shape)
        lines.append(scale.legend(width, plain, marks, means))
    return fit_lines(lines, width, height, ascii)


def _zoom(shape: tuple[int, ...], rows: int, cols: int, plain: bool) -> tuple[int, int]:
    """How many pixels down and across show one element; a character is twice as high as wide."""
    high, wide = rows // shape[0], cols // shape[1]
    if plain:
        down = min(high, max(1, wide // 2), LARGEST // 2)
        return down, min(wide, 2 * down)
    across = min(high, wide, LARGEST)
    return max(across, min(high, 2)), across


class _Scale:
    """What a value is drawn as."""

    def __init__(self, values: np.ndarray, low: float | None, high: float | None) -> None:
        finite = values[np.isfinite(values)]
        own = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        self.some = bool(finite.size)
        self.low = own[0] if low is None or not np.isfinite(low) else float(low)
        self.high = own[1] if high is None or not np.isfinite(high) else float(high)
        self.signed = self.low < 0 < self.high
        if self.signed:
            self.high = max(-self.low, self.high)
            self.low = -self.high

    def levels(self, values: np.ndarray) -> np.ndarray:
        """From 0 to 1; NaN stays."""
        if not self.low < self.high:
            return np.where(np.isnan(values), np.nan, 0.5)
        half = self.high / 2 - self.low / 2  # halves: the difference may overflow
        with np.errstate(all="ignore"):
            return ((values / 2 - self.low / 2) / half).clip(0, 1)

    def tokens(self, values: np.ndarray) -> list[list[str]]:
        """Tokens of pixels; "" where there is no value."""
        levels = self.levels(values)
        if self.signed:
            step = (np.abs(levels - 0.5) * 2 * SIDE).clip(0, SIDE - 1)
            number = np.where(levels < 0.5, SIDE - 1 - np.floor(step), SIDE + np.floor(step))
        else:
            number = np.floor((levels * HEAT).clip(0, HEAT - 1))
        names = [*self._names(), ""]
        number = np.where(np.isnan(levels), len(names) - 1, number).astype(int)
        return [[names[i] for i in row] for row in number.tolist()]

    def _names(self) -> list[str]:
        if not self.signed:
            return [f"heat-{i}" for i in range(HEAT)]
        cool = [f"cool-{i}" for i in reversed(range(SIDE))]
        return cool + [f"warm-{i}" for i in range(SIDE)]

    def legend(self, width: int, plain: bool, marks: np.ndarray, means: bool) -> Line:
        """What the colours and letters mean; ``means``: each pixel stands for several elements."""
        key: Line = []
        for mark, text, token in ((NAN, "N=NaN", "nan"), (INF, "I=Inf", "inf")):
            if (marks == mark).any():
                key += [("  " if self.some or key else "", ""), (text, token)]
        if not self.some:
            return key
        if not self.low < self.high:
            return [("all ", "muted"), (short(self.low), "value"), *key]
        low, high = short(self.low), short(self.high)
        names = list(RAMP) if plain else self._names()
        room = width - len(low) - len(high) - 2 - width_of(key)
        count = max(0, min(len(names), room))
        names = [names[i * (len(names) - 1) // max(1, count - 1)] for i in range(count)]
        swatches: Line = [("".join(names), "value")] if plain else [("█", name) for name in names]
        line = [(low, "value"), (" ", ""), *swatches, (" ", ""), (high, "value"), *key]
        return [*line, ("  means", "muted")] if means and width_of(line) + 7 <= width else line
