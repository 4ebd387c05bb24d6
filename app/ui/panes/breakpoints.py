"""The breakpoints: where, when, how often."""

from __future__ import annotations

from app.session import Session
from app.ui.describe import breakpoint_text, one_line
from app.ui.panes.base import Pane
from framework.trace.breakpoints import is_pattern, pattern
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
        problem = one_line(point.error) or self._unknown(point)
        size = 28 if problem and width < 120 else max(20, min(60, width - 24))
        line: Line = [
            ("● " if point.enabled else "○ ", "break" if point.enabled else "dim"),
            (f"{point.id:>2}  ", "dim"),
            (pad(text, size) + " ", "" if point.enabled else "dim"),
            (f"{point.hits:>4} {'hit' if point.hits == 1 else 'hits'}", "dim"),
        ]
        if here:
            found = one_line(stop.message) if stop is not None else ""
            line.append((f"  ▶ {found or 'stopped here'}", "stop"))
        elif not point.enabled:
            line.append(("  off", "dim"))
        if problem:
            line.append((f"  {problem}", "error"))
        return line

    def _unknown(self, point: Breakpoint) -> str:
        """Of one that names a parameter: that the program, as far as it has come, has none."""
        store = self.session.store
        if not point.param or point.hits or not any(step.counts[1] for step in store.steps):
            return ""
        if is_pattern(point.param):
            known = any(map(pattern(point.param), store.naming))
        else:
            try:
                known = bool(store.naming.find(point.param))
            except ValueError as error:
                return one_line(str(error))
        return "" if known else f"nothing is called {one_line(point.param)}"
