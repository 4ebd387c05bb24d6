"""What the tensor pictures share: an exact size, and pixels in character cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

import numpy as np

from framework.trace.protocol import Grid
from viewers.text import Line, Span, crop_line, width_of

__all__ = [
    "INF",
    "NAN",
    "RAMP",
    "enlarge",
    "fit_lines",
    "half_blocks",
    "matrix",
    "note_lines",
    "ramp_lines",
    "resample",
]

RAMP = " .:-=+*#%@"  # from the least to the most
NAN, INF = 1, 2  # the marks of `Grid`


def fit_lines(lines: Sequence[Line], width: int, height: int, ascii: bool = False) -> list[Line]:
    """The lines cropped and filled up to exactly ``width`` by ``height``.

    >>> fit_lines([[("abcdef", "value")]], 4, 2)
    [[('abc', 'value'), ('…', 'faint')], [('    ', '')]]
    """
    width, height = max(0, width), max(0, height)
    result = []
    for line in [*lines[:height], *[[]] * (height - len(lines))]:
        line = crop_line(line, width, ">" if ascii else "…")
        fill = width - width_of(line)
        result.append([*line, (" " * fill, "")] if fill else list(line))
    return result


def note_lines(text: str, width: int, height: int, ascii: bool = False) -> list[Line]:
    """One line said by the viewer instead of a picture."""
    return fit_lines([[(text, "note")]], width, height, ascii)


def matrix(grid: Grid) -> tuple[np.ndarray, np.ndarray] | None:
    """Values (float64, NaN where there is none) and marks of a grid; None if it contradicts itself.

    A grid may come from a peer or a file, so its sizes are not believed.
    """
    rows, cols = grid.rows, grid.cols
    if rows < 0 or cols < 0 or not rows * cols == len(grid.values) == len(grid.marks):
        return None
    try:
        values = np.array(grid.values, np.float64).reshape(rows, cols)
        marks = np.array(grid.marks, np.int64).reshape(rows, cols)
    except (OverflowError, TypeError, ValueError):
        return None
    values[~np.isfinite(values)] = np.nan
    return values, marks


def resample(
    values: np.ndarray, marks: np.ndarray, rows: int, cols: int
) -> tuple[np.ndarray, np.ndarray]:
    """At most ``rows`` by ``cols`` blocks: means of finite values, and their gravest mark."""
    for axis, limit in ((0, rows), (1, cols)):
        size = values.shape[axis]
        if size <= limit:
            continue
        cuts = np.array([i * size // limit for i in range(limit)])
        seen = np.isfinite(values)
        count = np.add.reduceat(seen.astype(float), cuts, axis)
        with np.errstate(all="ignore"):
            # Shares first: the sum of values near the largest float would overflow.
            share = np.where(seen, values, 0) / size
            values = np.add.reduceat(share, cuts, axis) / count * size
        grave = np.where(marks == NAN, 2, np.where(marks == INF, 1, 0))
        marks = np.array([0, INF, NAN])[np.maximum.reduceat(grave, cuts, axis)]
    return values, marks


def enlarge(pixels: np.ndarray, down: int, across: int) -> np.ndarray:
    """Each pixel repeated."""
    return np.repeat(np.repeat(pixels, down, 0), across, 1)


def half_blocks(tokens: Sequence[Sequence[str]], marks: Sequence[Sequence[int]]) -> list[Line]:
    """Pixels as lines, two pixel rows in each: the upper half block, one colour on another.

    ``tokens[y][x]`` names a pixel's colour, "" for none. A cell with a marked pixel shows a letter,
    N for NaN or I for Inf, so that it can be read without colours.

    >>> half_blocks([["heat-1", ""], ["heat-9", "heat-2"]], [[0, 0], [0, 2]])
    [[('▀', 'heat-1 on heat-9'), ('I', 'inf')]]
    """
    lines = []
    for y in range(0, len(tokens), 2):
        upper, upper_marks = tokens[y], marks[y]
        last = y + 1 == len(tokens)
        lower = [""] * len(upper) if last else tokens[y + 1]
        lower_marks = [0] * len(upper) if last else marks[y + 1]
        lines.append(
            _merged(
                _mark(m, n) or _half(a, b)
                for a, b, m, n in zip(upper, lower, upper_marks, lower_marks)
            )
        )
    return lines


def _mark(*marks: int) -> Span | None:
    if NAN in marks:
        return "N", "nan"
    return ("I", "inf") if INF in marks else None


def _half(upper: str, lower: str) -> Span:
    if upper and lower:
        return ("█", upper) if upper == lower else ("▀", f"{upper} on {lower}")
    if upper:
        return "▀", upper
    return ("▄", lower) if lower else (" ", "")


def ramp_lines(levels: np.ndarray, marks: np.ndarray) -> list[Line]:
    """Levels from 0 to 1 (NaN: nothing there) as characters of `RAMP`, one pixel in each.

    >>> ramp_lines(np.array([[0.0, 0.5, 1.0, np.nan]]), np.array([[0, 0, 0, 1]]))
    [[(' +@', 'value'), ('N', 'nan')]]
    """
    shades = np.nan_to_num(levels * len(RAMP) + 1e-9).astype(int).clip(0, len(RAMP) - 1).tolist()
    return [
        _merged(_mark(m) or (RAMP[s], "value") for s, m in zip(row, row_marks))
        for row, row_marks in zip(shades, marks.tolist())
    ]


def _merged(spans: Iterable[Span]) -> Line:
    """Neighbours of one style as one span."""
    return [
        ("".join(text for text, _ in group), token)
        for token, group in groupby(spans, key=lambda span: span[1])
    ]
