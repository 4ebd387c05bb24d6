"""A window of a tensor's values as numbers, with the indices of its rows and columns."""

from __future__ import annotations

import math

from framework.trace.protocol import Table
from viewers.tensor.lines import fit_lines, note_lines
from viewers.text import Line, crop, shape_text, width_of

__all__ = ["table_lines", "wanted_table"]


def wanted_table(width: int, height: int) -> tuple[int, int]:
    """The rows and columns to ask of the wire's ``view`` for a table of this size.

    Some more columns than may fit: how wide they are is only known afterwards.

    >>> wanted_table(40, 12)
    (11, 20)
    """
    return max(0, height - 1), max(1, width // 2)


def table_lines(
    table: Table,
    width: int,
    height: int,
    *,
    vector: bool = False,
    highlight: tuple[float, float] | None = None,
    ascii: bool = False,
) -> list[Line]:
    """The table in exactly ``width`` by ``height``: a line of column numbers, then rows.

    Only whole columns are drawn; where more follow, the header ends in "…". If rows follow, or if
    the window does not begin at the start, the last line says which part of what it is. ``vector``:
    the rows are pieces of one long vector and are numbered by their first element. Values within
    ``highlight`` (both ends included) have the token "match" and an asterisk before them.

    >>> from framework.trace.protocol import Table
    >>> from viewers.text import plain
    >>> t = Table(0, 0, [["1.00", "-0.25", "nan"], ["20.00", "0.50", "0.00"]], (2, 3))
    >>> for line in table_lines(t, 24, 3, highlight=(0.5, 1)):
    ...     print(repr(plain(line)))
    '       0      1     2   '
    '0  *1.00  -0.25   nan   '
    '1  20.00  *0.50  0.00   '
    """
    rows, cols = table.shape
    if not table.cells or not any(table.cells):
        if rows and cols:
            return fit_lines([], width, height)
        return note_lines(f"no elements: {shape_text(table.shape)}", width, height, ascii)
    partial = table.row0 > 0 or len(table.cells) < rows or table.col0 > 0
    more_rows = partial or len(table.cells) > height - 1
    shown = table.cells[: max(0, height - 1)]
    if more_rows and height >= 4:
        shown = table.cells[: height - 2]
    names = [str((table.row0 + i) * (cols if vector else 1)) for i in range(len(shown))]
    side = max(map(len, names), default=0)
    lines: list[Line] = [[(" " * side, "")]]
    lines += [[(name.rjust(side), "muted")] for name in names]
    count = _columns(table, shown, lines, width, vector, highlight, ">" if ascii else "…")
    if table.col0 + count < cols:
        lines[0].append((" >" if ascii else " …", "faint"))
    if more_rows and height >= 4:
        lines.append([(_extent(table, len(shown), count, ascii), "note")])
    return fit_lines(lines, width, height, ascii)


def _columns(
    table: Table,
    shown: list[list[str]],
    lines: list[Line],
    width: int,
    vector: bool,
    highlight: tuple[float, float] | None,
    more: str,
) -> int:
    """Add the columns that fit to the lines; the number of them."""
    used = width_of(lines[0])
    gap = 1 if highlight is None else 2  # with room for the asterisk
    for c in range(max(map(len, shown), default=0)):
        name = ("+" if vector else "") + str(table.col0 + c)
        cells = [row[c] if c < len(row) else "" for row in shown]
        marked = [highlight is not None and _within(cell, highlight) for cell in cells]
        size = max(len(name), *map(len, cells))
        last = table.col0 + c + 1 >= table.shape[1]
        room = width - used - gap - (0 if last else 2)
        if size > room:
            if c:
                return c
            size = max(0, room)
        used += gap + size
        lines[0].append((crop(name, size, more).rjust(gap + size), "muted"))
        for line, cell, mark in zip(lines[1:], cells, marked):
            text = crop(("*" if mark else "") + cell, size + gap - 1, more).rjust(size + gap)
            line.append((text, "match" if mark else _token(cell)))
    return max(map(len, shown), default=0)


def _token(cell: str) -> str:
    if "nan" in cell:
        return "nan"
    return "inf" if "inf" in cell else "value"


def _within(cell: str, limits: tuple[float, float]) -> bool:
    try:
        value = float({"True": "1", "False": "0"}.get(cell, cell))
    except ValueError:  # complex, or no number at all
        return False
    return not math.isnan(value) and limits[0] <= value <= limits[1]


def _extent(table: Table, rows: int, cols: int, ascii: bool) -> str:
    dash = "-" if ascii else "–"
    return "  ".join(
        f"{name} {first}{dash}{first + count - 1}/{size}"
        for name, first, count, size in (
            ("rows", table.row0, rows, table.shape[0]),
            ("cols", table.col0, cols, table.shape[1]),
        )
        if count
    )
