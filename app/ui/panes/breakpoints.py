"""The breakpoints: where, when, how often."""

from __future__ import annotations

from app.session import Session
from app.ui.describe import breakpoint_text, one_line
from app.ui.panes.base import Pane
from framework.trace.protocol import Breakpoint
from viewers.text import Line, pad

__all__ = ["BreakpointsPane"]


class BreakpointsPane(Pane):
    """One row per breakpoint."""

    where = "breakpoints"
    empty = "no breakpoints: b sets one on the line or the op under the cursor, B with a condition"

    def __init__(self, session: Session) -> None:
        super().__init__(session, "breakpoints")

    def count(self) -> int:
        return len(self.session.breakpoints)

    @property
    def chosen(self) -> Breakpoint | None:
        """The selected one."""
        points = self.session.breakpoints
        return points[self.selected] if 0 <= self.selected < len(points) else None

    def row(self, index: int, width: int) -> Line:
        point = self.session.breakpoints[index]
        stop = self.session.stop
        here = stop is not None and stop.breakpoint == point.id
        text = breakpoint_text(self.session, point)
        line: Line = [
            ("● " if point.enabled else "○ ", "break" if point.enabled else "dim"),
            (f"{point.id:>2}  ", "dim"),
            (pad(text, max(20, min(60, width - 24))) + " ", "" if point.enabled else "dim"),
            (f"{point.hits:>4} {'hit' if point.hits == 1 else 'hits'}", "dim"),
        ]
        if here:
            found = one_line(stop.message) if stop is not None else ""
            line.append((f"  ▶ {found or 'stopped here'}", "stop"))
        elif not point.enabled:
            line.append(("  off", "dim"))
        if point.error:
            line.append((f"  {one_line(point.error)}", "error"))
        return line
