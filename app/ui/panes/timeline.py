"""The time line (to be drawn by viewers.timeline)."""

from __future__ import annotations

from app.session import Session
from app.ui.panes.base import Pane
from viewers.text import Line

__all__ = ["TimelinePane"]


class TimelinePane(Pane):
    where = "timeline"
    selectable = False

    def __init__(self, session: Session) -> None:
        super().__init__(session, "timeline")

    def title_text(self) -> str:
        return "time"

    def sync(self) -> None:
        self.refresh()

    def count(self) -> int:
        return 1

    def row(self, index: int, width: int) -> Line:
        return []
