"""Memory held for backward: how much as of the cursor and at its peak, and which nodes hold it."""

from __future__ import annotations

from textual.message import Message

from app.session import Session
from app.ui.later import later
from app.ui.panes.base import Pane
from viewers.graph.store import TraceStore
from viewers.memory import Held, Ledger, head_lines, row_line, title_line
from viewers.text import Line

__all__ = ["MemoryPane"]

EVENTS = 500  # that are read between two keys


class MemoryPane(Pane):
    """Two head rows, then one row per node; enter goes to its op."""

    class Read(Message):
        """All events of a long step have been read."""

    where = "memory"
    header = 2
    empty = "no step yet: run a cell"

    def __init__(self, session: Session) -> None:
        super().__init__(session, "memory")
        self.ledger: Ledger | None = None
        self._of: TraceStore | None = None
        self._held: list[Held] = []
        self._fixed: list[tuple[str, int]] = []
        self._state: tuple[object, ...] = ()
        self._more = False  # of the step's events are still to be read
        self._reading = False  # and will be, after the next key

    def read(self) -> Ledger | None:
        """The ledger of the step at the cursor, as far as it has been read."""
        session = self.session
        store = session.store
        step = store.step_at(session.cursor) if session.cursor else None
        if step is None:
            self.ledger = None
            return None
        ledger = self.ledger
        if ledger is None or ledger.step is not step or self._of is not store:
            ledger = self.ledger = Ledger(store, step)
            self._of = store
        if not self._reading:
            self._more = ledger.follow(EVENTS)
            self._go_on()
        return ledger

    def _go_on(self) -> None:
        if self._more and not self._reading:
            self._reading = True
            later(self, 0.002, self._read_on)

    def _read_on(self) -> None:
        """Read more of a long step, between two keys."""
        self._reading = False
        if self.ledger is None:
            return
        before = self._more
        self._more = self.ledger.follow(EVENTS)
        self._go_on()
        if before and not self._more:
            self.post_message(self.Read())

    def sync(self) -> None:
        """The cursor or the tape has moved."""
        ledger = self.read()
        if ledger is None:
            self._held = []
            super().update_rows()
            return
        cursor = self.session.cursor
        state = (cursor, id(ledger), ledger.live, len(ledger.nodes))
        if state != self._state and not (self._more and self._held):
            self._state = state
            self._held = ledger.held(cursor)
            self._fixed = ledger.totals(cursor)
        super().update_rows()

    def update_rows(self) -> None:
        self.sync()

    def count(self) -> int:
        return len(self._held) + 2 if self.ledger is not None else 0

    @property
    def chosen(self) -> Held | None:
        """The selected node."""
        index = self.selected - 2
        return self._held[index] if 0 <= index < len(self._held) else None

    def row(self, index: int, width: int) -> Line:
        ledger = self.ledger
        assert ledger is not None
        if index == 0:
            return head_lines(ledger, self.session.cursor, self._fixed)[0]
        if index == 1:
            if not self._held:
                return [("nothing is held at this moment", "dim")]
            return title_line(width)
        held = self._held[index - 2]
        return row_line(self.session.store, held, width, self.session.source_text)
