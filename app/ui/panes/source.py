"""The source with figures beside each line: ops, largest value, gradient, memory, NaN."""

from __future__ import annotations

import linecache
import time
from typing import NamedTuple

from app.figures import Figures
from app.session import Session, cell_of
from app.ui.highlight import python
from app.ui.later import later
from app.ui.panes.base import Pane
from viewers.graph.store import TraceStore
from viewers.lines import LineFigures, Lines, gutter_line, gutter_title
from viewers.parameters import Key
from viewers.text import Line, crop_line

__all__ = ["SourcePane", "lines_of"]

GLANCE = 0.25  # seconds between two drawings while the model runs
EVENTS = 400  # that are read at a time
MARGIN = 3  # lines without ops that are shown around those with some


class _Row(NamedTuple):
    """A line of a file, or its title (line 0)."""

    file: str
    line: int


class SourcePane(Pane):
    """Every file that the step at the cursor ran through; enter goes to a line's last op."""

    where = "source"
    header = 1
    empty = "no step yet: run a cell"

    def __init__(self, session: Session, figures: Figures) -> None:
        super().__init__(session, "source")
        self.figures = figures
        self.lines: Lines | None = None
        self._of: TraceStore | None = None
        self._shown: list[_Row] = []
        self._texts: dict[str, list[str]] = {}
        self._known: dict[tuple[str, int], LineFigures | None] = {}
        self._state: tuple[object, ...] = ()
        self._drawn = 0.0
        self._aim = True  # the cursor's line is to be selected

    def sync(self) -> None:
        """The cursor, the tape or what is known has changed."""
        session = self.session
        store = session.store
        if session.state == "running" and session.following:
            if time.monotonic() - self._drawn < GLANCE:
                return
            self._drawn = time.monotonic()
        step = store.step_at(session.cursor) if session.cursor else None
        if step is None:
            self.lines, self._shown = None, []
            super().update_rows()
            return
        lines = self.lines
        if lines is None or lines.step is not step or self._of is not store:
            lines = self.lines = Lines(store, step)
            self._of, self._texts = store, {}
            self._state = ()
        if lines.follow(EVENTS):
            later(self, 0.01, self.sync)
        state = (id(lines), len(lines.known))
        if state != self._state:
            self._state = state
            self._collect(lines)
        self._known = {}
        super().update_rows()
        self.aim()
        self._want()

    def update_rows(self) -> None:
        self.sync()

    def aim(self) -> None:
        """Select the line of the cursor."""
        source = self.session.source
        if source is None or not self._aim:
            return
        index = next(
            (i for i, row in enumerate(self._shown) if row == (source.file, source.line)), -1
        )
        if index >= 0 and index + 1 != self.selected:
            super().select(index + 1, tell=False)
            self.show_row(self.selected, margin=2)

    def _collect(self, lines: Lines) -> None:
        """The lines around those that ran; a gap is one row with three dots."""
        before = self.chosen
        shown: list[_Row] = []
        for file in lines.files():
            ran = sorted(line for name, line in lines.known if name == file)
            text = self.text_of(file)
            last = max(len(text), ran[-1])
            near = sorted(
                {n for at in ran for n in range(at - MARGIN, at + MARGIN + 1) if 1 <= n <= last}
            )
            shown.append(_Row(file, 0))
            previous = near[0] - 1 if near else 0
            for number in near:
                if number != previous + 1:
                    shown.append(_Row(file, -number))
                shown.append(_Row(file, number))
                previous = number
        self._shown = shown
        if before is not None and before in shown:
            self.selected = shown.index(before) + 1

    def text_of(self, file: str) -> list[str]:
        """The lines of a file: of a cell, of a recording's own sources, or from here."""
        known = self._texts.get(file)
        if known is None:
            known = self._texts[file] = lines_of(self.session, file)
        return known

    def _figures(self, row: _Row) -> LineFigures | None:
        if row.line <= 0 or self.lines is None:
            return None
        key = (row.file, row.line)
        if key not in self._known:
            self._known[key] = self.lines.figures(key, self.session.cursor)
        return self._known[key]

    def _want(self) -> None:
        session = self.session
        if session.state == "running" and session.following:
            return
        top = max(0, self.scroll_offset.y - 1)
        keys: list[Key] = []
        for row in self._shown[top : top + max(4, self.size.height)]:
            found = self._figures(row)
            if found is not None:
                keys += found.keys
        self.figures.want("source", keys)

    # -- rows --------------------------------------------------------------------------------

    def count(self) -> int:
        return len(self._shown) + 1 if self._shown else 0

    @property
    def chosen(self) -> _Row | None:
        """The selected line."""
        index = self.selected - 1
        return self._shown[index] if 0 <= index < len(self._shown) else None

    @property
    def chosen_op(self) -> int:
        """The newest op of the selected line, 0 for none."""
        row = self.chosen
        found = self._figures(row) if row is not None else None
        return found.last if found is not None else 0

    def select(self, index: int, *, tell: bool = True) -> None:
        if tell:
            self._aim = False
        super().select(index, tell=tell)

    def follow_cursor(self) -> None:
        """The cursor has moved: its line is selected again."""
        self._aim = True

    def row(self, index: int, width: int) -> Line:
        if index == 0:
            return [*gutter_title(), ("source", "dim")]
        row = self._shown[index - 1]
        if row.line == 0:
            name = self.session.cell_text(cell_of(row.file)) or row.file
            return crop_line([("─ ", "edge"), (self.clean(name), "bold")], width)
        gutter = gutter_line(self._figures(row), self.figures.get)
        if row.line < 0:
            return [*gutter, ("  ⋯", "faint")]
        text = self.text_of(row.file)
        code = python("\n".join(text))[row.line - 1] if row.line <= len(text) else []
        return [*gutter, (f"{row.line:>4} ", "faint"), *code]

    def ground(self, index: int) -> str:
        source = self.session.source
        if index and source is not None:
            row = self._shown[index - 1]
            if (row.file, row.line) == (source.file, source.line):
                return "stop"
        return ""

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self._shown:
            self._want()


def lines_of(session: Session, file: str) -> list[str]:
    """The text of a file of the program: of a cell, of a recording's own sources, or from here."""
    cell = cell_of(file)
    if cell and session.notebook is not None:
        try:
            return session.notebook.cell(cell).source.split("\n")
        except KeyError:
            return []
    sources = getattr(session.client, "sources", None)
    if isinstance(sources, dict):
        return str(sources.get(file, "")).split("\n")
    if session.notebook is not None and file == session.file:  # on another machine
        return "\n".join(c.source for c in session.notebook.cells).split("\n")
    return [line.rstrip("\n") for line in linecache.getlines(file)]
