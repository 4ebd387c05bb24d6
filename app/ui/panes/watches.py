"""Watch expressions and their values at the stop that is looked at."""

from __future__ import annotations

from app.session import Session
from app.ui.describe import meta_text, one_line
from app.ui.panes.base import Pane
from framework.trace.protocol import Variable
from viewers.text import Line, crop, pad

__all__ = ["WatchesPane"]


class WatchesPane(Pane):
    """One row per expression."""

    where = "watches"
    empty = "no watches: W adds an expression, which is evaluated at every stop"

    def __init__(self, session: Session) -> None:
        super().__init__(session, "watches")

    def count(self) -> int:
        return len(self.session.watches)

    def value(self, index: int) -> tuple[Variable | str | None, int]:
        """The value of a watch at or before the cursor, and the moment it was evaluated at."""
        expression = self.session.watches[index]
        best: tuple[Variable | str | None, int] = (None, 0)
        for seq, snapshot in self.session.snapshots.items():
            if best[1] <= seq <= self.session.cursor and expression in snapshot.watches:
                best = snapshot.watches[expression], seq
        return best

    def row(self, index: int, width: int) -> Line:
        expression = one_line(self.session.watches[index])
        value, seq = self.value(index)
        size = max(16, min(40, width // 3))
        line: Line = [(pad(expression, size) + " ", "name"), ("= ", "dim")]
        if value is None:
            return [*line, ("not evaluated at this moment", "dim")]
        if isinstance(value, str):
            line.append((one_line(value), "error"))
        else:
            if value.tensor is not None:
                line.append((f"{meta_text(value.tensor)} ", "shape"))
            line.append((crop(one_line(value.text), max(8, width - size - 24)), ""))
        if seq != self.session.cursor:
            line.append((f"  as of event {seq}", "warn"))
        return line
