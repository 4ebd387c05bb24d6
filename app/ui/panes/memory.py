"""Memory held for backward: how much as of the cursor and at its peak, and which nodes hold it."""

from __future__ import annotations

from app.session import Session
from app.ui.later import later
from app.ui.panes.base import Pane
from framework.trace.events import Grad, ParamUpdate
from viewers.graph.store import TraceStore
from viewers.memory import Held, Ledger, head_lines, row_line, title_line
from viewers.text import Line, bytes_of

__all__ = ["MemoryPane"]

EVENTS = 4_000  # that are read at a time


class MemoryPane(Pane):
    """Two head rows, then one row per node; enter goes to its op."""

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
        self._more = ledger.follow(EVENTS)
        return ledger

    def sync(self) -> None:
        """The cursor or the tape has moved."""
        ledger = self.read()
        if ledger is None:
            self._held = []
            super().update_rows()
            return
        if self._more:
            later(self, 0.01, self.sync)
        cursor = self.session.cursor
        state = (cursor, id(ledger), ledger.live, len(ledger.nodes))
        if state != self._state and not (self._more and self._held):
            self._state = state
            self._held = ledger.held(cursor)
            self._fixed = self._totals(ledger, cursor)
        super().update_rows()

    def _totals(self, ledger: Ledger, cursor: int) -> list[tuple[str, int]]:
        """Gradients that came in this step, and the optimizer's state."""
        grads: dict[int, int] = {}
        state: dict[int, int] = {}
        for event in ledger.store.events(ledger.step.first_seq, cursor):
            if isinstance(event, Grad):
                grads[event.leaf] = bytes_of(event.total.dtype, event.total.shape)
            elif isinstance(event, ParamUpdate):
                sizes = (bytes_of(m.dtype, m.shape) for m in event.state.values())
                state[event.tensor.id] = sum(sizes)
        found = [("gradients", sum(grads.values())), ("optimizer state", sum(state.values()))]
        return [(name, size) for name, size in found if size]

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
