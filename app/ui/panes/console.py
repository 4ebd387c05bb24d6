"""The output console: what the program wrote, and what the user was told."""

from __future__ import annotations

from app.session import Session
from app.ui.cells import sgr_lines
from app.ui.panes.base import Pane
from viewers.text import Line

__all__ = ["ConsolePane"]


class ConsolePane(Pane):
    """The last lines; it follows the end unless the user has scrolled up."""

    where = "console"
    empty = "no output yet"
    selectable = False

    def __init__(self, session: Session) -> None:
        super().__init__(session, "console")
        self._seen = 0

    def count(self) -> int:
        return len(self.session.log)

    def row(self, index: int, width: int) -> Line:
        text, token = self.session.log[index]
        lines = sgr_lines(text[:2000], token)
        return [(" ", ""), *lines[0]]

    def follow(self) -> None:
        """Lines have come."""
        at_end = self.scroll_offset.y >= self.max_scroll_y
        new = self.session.logged - self._seen
        full = len(self.session.log) == self.session.log.maxlen
        self._seen = self.session.logged
        self.update_rows()
        if at_end:
            self.jump(max(0, self.count() - self.size.height))
        elif full:  # lines went out at the top: what is looked at stays in place
            self.jump(max(0, self.scroll_offset.y - new))
