"""The event list: one row per event of the tape, as many as there are."""

from __future__ import annotations

from collections.abc import Callable

from app.session import Session
from app.ui.describe import event_line
from app.ui.panes.base import Pane
from viewers.text import Line

__all__ = ["EventsPane"]


class EventsPane(Pane):
    """Row ``i`` is event ``first + i``; a number that never came is shown as missing."""

    where = "events"
    empty = "no events yet: run a cell"

    def __init__(self, session: Session) -> None:
        super().__init__(session, "events")
        self._first = 0
        self.called: Callable[[int], str] = lambda tensor: ""  # variables; set by the screen

    def count(self) -> int:
        store = self.session.store
        return store.last_seq - store.first_seq + 1 if store.last_seq else 0

    def seq_of(self, index: int) -> int:
        return self.session.store.first_seq + index

    def row(self, index: int, width: int) -> Line:
        session = self.session
        seq = self.seq_of(index)
        event = session.store.event(seq)
        mark = "▶" if seq == session.cursor else " "
        head: Line = [(mark, "stop"), (f"{seq:>7} ", "dim")]
        if event is None:
            return [*head, ("not received (dropped from the live stream)", "warn")]
        around = session.store.around(seq)
        depth, container = 0, around
        while container is not None:
            depth += 1
            container = container.outer
        if around is not None and around.seq == seq:
            depth -= 1
        return [*head, *event_line(session, event, depth, width, self.called)]

    def ground(self, index: int) -> str:
        return "stop" if self.seq_of(index) == self.session.cursor else ""

    def follow(self) -> None:
        """The cursor has moved, or events have come."""
        first = self.session.store.first_seq
        if first != self._first:  # the oldest ones were dropped: what is looked at stays in place
            self.jump(self.scroll_offset.y - (first - self._first) if self._first else 0)
            self._first = first
        self.update_rows()
        if self.count():
            self.select(self.session.cursor - first, tell=False)
