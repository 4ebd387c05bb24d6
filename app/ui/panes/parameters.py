"""The parameters: norm, gradient norm and update ratio of each, as of the cursor and over steps."""

from __future__ import annotations

import time

from textual import events

from app.figures import Figures
from app.session import Session
from app.ui.later import later
from app.ui.panes.base import Pane
from framework.trace.measure import Update
from viewers.graph.store import TraceStore
from viewers.parameters import (
    COLUMNS,
    SPARKS,
    Key,
    Keys,
    ParameterRow,
    Parameters,
    column_at,
    row_line,
    sample,
    title_line,
)
from viewers.text import Line

__all__ = ["ParametersPane"]

RECENT = 8  # steps whose values a program that runs still has
EVENTS = 3_000  # that are read at a time
GLANCE = 0.25  # seconds between two drawings while the model runs
PULSE = 1.0  # seconds between two samples while it runs
MOST = 500  # moments of a parameter that are remembered
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
        self._sampled_at = 0  # the end of the step that was looked at last
        self._asking = False
        self._fresh: list[Update] = []  # that came before their events
        self._seen: dict[int, dict[int, Keys]] = {}  # by tensor and moment: what was asked for
        self._state: tuple[object, ...] = ()

    # -- what it shows -----------------------------------------------------------------------

    def follow(self) -> bool:
        """Read the tape on; True if there is more to read."""
        store = self.session.store
        if self.table is None or self._of is not store:
            self.table, self._of = Parameters(store), store
            self._state = ()
            self._seen.clear()
            self._sampled_at = 0
        return self.table.follow(EVENTS)

    def count(self) -> int:
        return len(self._shown) + 1 if self._shown else 0

    def sync(self) -> None:
        """The cursor, the tape or what is known has changed."""
        if self.follow():
            later(self, 0.01, self.sync)
        table, session = self.table, self.session
        assert table is not None
        running = session.state == "running" and session.following
        if running:
            self.sample()
            self.take()
            if time.monotonic() - self._drawn < GLANCE or self.figures.waiting:
                return
        self._drawn = time.monotonic()
        cursor = self._as_of()
        state = (
            cursor, len(table.leaves), len(self.figures.known), self.column, self.reverse, self.room
        )  # fmt: skip
        if state == self._state:
            return
        self._state = state
        before = self.chosen
        rows = [table.row(t, cursor, self.figures.get) for t in table.current(cursor)]
        self._shown = table.sorted(rows, self.column, self.reverse)
        if before is not None:  # the same parameter stays selected where the order changes
            at = [i for i, row in enumerate(self._shown) if row.tensor == before.tensor]
            self.selected = at[0] + 1 if at else self.selected
        super().update_rows()
        if not running:
            self._want()

    def _as_of(self) -> int:
        """The cursor; while the model runs, the step whose figures are known."""
        session = self.session
        running = session.state == "running" and session.following
        return self._sampled_at if running and self._sampled_at else session.cursor

    def _moments(self, tensor: int) -> list[Keys]:
        """The steps that a sparkline is made of; of a program those that were looked at in time."""
        assert self.table is not None
        seq = self._as_of()
        if self.session.state == "recording":
            return self.table.history(tensor, seq, SPARKS)
        seen = self._seen.get(tensor, {})
        seqs = sorted(at for at in seen if at <= seq)
        return [seen[seqs[i]] for i in sample(len(seqs), SPARKS)]

    def _note(self, tensor: int, moments: list[Keys]) -> list[Key]:
        """Remember moments that are asked for; returns their keys, the newest first."""
        seen = self._seen.setdefault(tensor, {})
        seen.update((keys.seq, keys) for keys in moments)
        if len(seen) > MOST:
            for at in sorted(seen)[:-SPARKS:2]:
                del seen[at]
        return [k for keys in reversed(moments) for k in keys[2:] if k]

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
            if self.session.state == "recording":
                past = self._moments(row.tensor)
                keys += [k for moment in reversed(past) for k in moment[2:] if k]
            else:
                recent = self.table.recent(row.tensor, self.session.cursor, RECENT)
                keys += self._note(row.tensor, recent)
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
        if self.follow() or self.table is None or self._asking:
            return
        self._sampled = now
        store, table = self.session.store, self.table
        options = {}
        if sum(_elements(leaf.tensor.shape) for leaf in table.leaves.values()) > SMALL:
            if not self.is_on_screen:
                return
            options["tensors"] = [row.tensor for row in self._in_sight()]
        self._asking = True

        def came(updates: list[Update]) -> None:
            self._asking = False
            if store is self.session.store:
                self._fresh += updates
                self.take()

        def failed(_: str) -> None:
            self._asking = False

        self.session.ask("updates", came, failed, **options)

    def take(self) -> None:
        """Use what has come of steps whose events are here, too."""
        table, known = self.table, self.figures.known
        if not self._fresh or table is None or self.follow():
            return
        rest = []
        for update in self._fresh:
            if table.update(update.tensor, self.session.store.last_seq) is None or (
                self.session.store.last_seq < update.seq
            ):
                rest.append(update)
                continue
            keys = table.as_of(update.tensor, update.seq)
            for key, found in (
                (keys.value, update.value), (keys.grad, update.grad), (keys.change, update.change),
            ):  # fmt: skip
                if key and found is not None:
                    known[key] = found
            self._note(update.tensor, [keys])
            self._sampled_at = max(self._sampled_at, update.seq)
        self._fresh = rest[-1000:]

    # -- rows --------------------------------------------------------------------------------

    def row(self, index: int, width: int) -> Line:
        if index == 0:
            return title_line(width, self.column, self.reverse)
        assert self.table is not None
        row = self._shown[index - 1]
        moments = self._moments(row.tensor)
        past = self.table.past(row.tensor, self.session.cursor, self.figures.get, moments)
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
