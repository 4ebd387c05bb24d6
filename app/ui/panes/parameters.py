"""The parameters: norm, gradient norm and update ratio of each, as of the cursor and over steps."""

from __future__ import annotations

import time

from textual import events

from app.figures import Figures
from app.session import Session
from app.ui.panes.base import Pane
from viewers.graph.store import TraceStore
from viewers.parameters import (
    COLUMNS,
    SPARKS,
    Key,
    ParameterRow,
    Parameters,
    column_at,
    row_line,
    title_line,
)
from viewers.text import Line

__all__ = ["ParametersPane"]

RECENT = 8  # steps whose values a program that runs still has
EVENTS = 40_000  # that are read at a time
GLANCE = 0.25  # seconds between two drawings while the model runs
PULSE = 1.0  # seconds between two samples while it runs
SMALL = 500_000  # elements of all parameters; those of a larger model are sampled in sight only


class ParametersPane(Pane):
    """One row per parameter under a head; enter shows it over the steps."""

    where = "parameters"
    header = 1
    empty = "no parameters yet: they come with the first op that uses them"

    def __init__(self, session: Session, figures: Figures) -> None:
        super().__init__(session, "parameters")
        self.figures = figures
        self.column, self.reverse = "name", False
        self.table: Parameters | None = None
        self._of: TraceStore | None = None
        self._shown: list[ParameterRow] = []
        self._sampled = self._drawn = 0.0
        self._state: tuple[object, ...] = ()

    # -- what it shows -----------------------------------------------------------------------

    def follow(self) -> bool:
        """Read the tape on; True if there is more to read."""
        store = self.session.store
        if self.table is None or self._of is not store:
            self.table, self._of = Parameters(store), store
            self._state = ()
        return self.table.follow(EVENTS)

    def count(self) -> int:
        return len(self._shown) + 1 if self._shown else 0

    def sync(self) -> None:
        """The cursor, the tape or what is known has changed."""
        if self.follow():
            self.set_timer(0.01, self.sync)
        table, session = self.table, self.session
        assert table is not None
        running = session.state == "running" and session.following
        if running:
            self.sample()
            if time.monotonic() - self._drawn < GLANCE:
                return
        self._drawn = time.monotonic()
        cursor = session.cursor
        state = (
            cursor, len(table.leaves), len(self.figures.known), self.column, self.reverse, self.room
        )  # fmt: skip
        if state == self._state:
            return
        self._state = state
        before = self.chosen
        leaves = [t for t, leaf in table.leaves.items() if leaf.seq <= cursor]
        rows = [table.row(tensor, cursor, self.figures.get) for tensor in leaves]
        self._shown = table.sorted(rows, self.column, self.reverse)
        if before is not None:  # the same parameter stays selected where the order changes
            at = [i for i, row in enumerate(self._shown) if row.tensor == before.tensor]
            self.selected = at[0] + 1 if at else self.selected
        super().update_rows()
        if not running:
            self._want()

    def update_rows(self) -> None:
        self._state = ()
        self.sync()

    def _in_sight(self) -> list[ParameterRow]:
        top = max(0, self.scroll_offset.y - 1)
        return self._shown[top : top + max(4, self.size.height)]

    def _want(self) -> None:
        """What is in sight first; of the other rows only what decides the order."""
        assert self.table is not None
        seen = self._in_sight()
        keys: list[Key] = [k for row in seen for k in row.keys[2:] if k]
        for row in seen:
            past = self.table.history(row.tensor, self.session.cursor, SPARKS)
            if self.session.state != "recording":
                past = past[-RECENT:]
            keys += [k for moment in reversed(past) for k in moment[2:] if k]
        if self.column not in ("name", "shape"):
            field = {"norm": "value", "gradient": "grad", "update": "change"}[self.column]
            keys += [getattr(row.keys, field) for row in self._shown]
            if field == "change":  # a ratio needs both
                keys += [row.keys.value for row in self._shown]
        self.figures.want("parameters", keys)

    def sample(self) -> None:
        """While the model runs: now and then the figures of the last whole step."""
        now = time.monotonic()
        if now - self._sampled < PULSE or self.figures.waiting:
            return
        self._sampled = now
        if self.follow() or self.table is None:
            return
        store, table = self.session.store, self.table
        done = next((s for s in reversed(store.steps) if s.done and s.updated), None)
        if done is None:
            return
        chosen = list(table.leaves)
        size = sum(_elements(leaf.tensor.shape) for leaf in table.leaves.values())
        if size > SMALL:
            if not self.is_on_screen:
                return
            chosen = [row.tensor for row in self._in_sight()]
        keys: list[Key] = []
        for tensor in chosen:
            past = table.history(tensor, done.last_seq)[-1:]
            keys += [k for moment in past for k in moment[2:] if k]
        self.figures.want("parameters", keys)

    # -- rows --------------------------------------------------------------------------------

    def row(self, index: int, width: int) -> Line:
        if index == 0:
            return title_line(width, self.column, self.reverse)
        assert self.table is not None
        row = self._shown[index - 1]
        past = self.table.past(row.tensor, self.session.cursor, self.figures.get)
        return row_line(row._replace(past=past), width, self.column)

    @property
    def chosen(self) -> ParameterRow | None:
        """The selected row."""
        index = self.selected - 1
        return self._shown[index] if 0 <= index < len(self._shown) else None

    def order_by(self, column: str, reverse: bool) -> None:
        """Sort by a column: the largest first, names as they come."""
        self.column, self.reverse = column, reverse
        self.update_rows()

    def next_column(self) -> None:
        """Sort by the next column."""
        self.order_by(COLUMNS[(COLUMNS.index(self.column) + 1) % len(COLUMNS)], False)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self._shown:
            self._want()

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is not None and offset.y == 0 and self._shown:
            column = column_at(self.room - 1, self.column, offset.x - 1)
            self.order_by(column, column == self.column and not self.reverse)
            return
        super().on_click(event)


def _elements(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count
