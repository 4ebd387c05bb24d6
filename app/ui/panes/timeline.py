"""The time line: training steps, the phases of the one that is looked at, and the loss."""

from __future__ import annotations

from collections.abc import Callable

from textual import events

from app.session import Session
from app.ui.panes.base import Pane
from viewers.memory import Ledger
from viewers.text import Line
from viewers.timeline import loss_course, seq_at, timeline

__all__ = ["TimelinePane"]


class TimelinePane(Pane):
    """Left and right walk along the tape, a click goes to the place."""

    where = "timeline"
    selectable = False

    def __init__(self, session: Session, ledger: Callable[[], Ledger | None]) -> None:
        super().__init__(session, "timeline")
        self.ledger = ledger
        self._lines: list[Line] = []

    def title_text(self) -> str:
        """The title: which step of how many."""
        store = self.session.store
        step = store.step_at(self.session.cursor) if self.session.cursor else None
        if step is None:
            return "time"
        last = store.steps[-1]
        words = ["time"]
        if step.number:
            words.append(f"step {step.number} of {last.number or step.number}")
        if self.session.behind:
            words.append("looking back: end goes live again")
        return " · ".join(words)

    def sync(self) -> None:
        """The cursor or the tape has moved."""
        session = self.session
        losses = loss_course(session.store, session.losses, session.cursor)
        values = {"loss": losses} if losses else None
        width = max(8, self.room - 2)
        memory = self.ledger() if self.size.height > 1 else None
        self._lines = timeline(
            session.store, session.cursor, session.live_seq, width, values, memory=memory
        )
        step = session.store.step_at(session.cursor)
        if step is not None and step.cell and not step.number:  # it knows cells by their ids only
            name = session.cell_text(step.cell).center(len(step.cell))
            first = [(text.replace(f"[{step.cell}:", f"[{name}:"), t) for text, t in self._lines[0]]
            self._lines[0] = first
        self.update_rows()

    def on_resize(self) -> None:
        self.sync()

    def count(self) -> int:
        return min(len(self._lines), max(1, self.size.height))

    def row(self, index: int, width: int) -> Line:
        return [(" ", ""), *self._lines[index]]

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None or offset.y != 0:
            return
        session = self.session
        width = max(8, self.room - 2)
        seq = seq_at(session.store, session.cursor, session.live_seq, width, offset.x - 1)
        if seq is not None:
            session.go(seq)
            self.post_message(self.Selected(self, 0))
