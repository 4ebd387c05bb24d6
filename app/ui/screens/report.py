"""A report over the panes: why a value is bad, what differs, whether a gradient is right.

Above stands what was found, below it rows to go through; enter goes to the moment of a row, on the
tape and in every pane. A report that is still being made says so, and Escape leaves it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from app.ui.panes.base import Pane
from app.ui.strips import wrap
from viewers.explain import Entry, Report
from viewers.text import Line, plain

if TYPE_CHECKING:
    from app.session import Session

__all__ = ["Entry", "Report", "ReportScreen"]


_LEAD = re.compile(r" *(?:[AB]  )?")  # of a line that belongs to a side, its letter


def _hanging(text: str) -> int:
    """Where the rows after the first of a long line begin."""
    found = _LEAD.match(text)
    return found.end() if found else 0


class ReportPane(Pane, inherit_bindings=False):
    """The rows of a report; the selection goes from entry to entry."""

    where = "report"

    def __init__(self, session: Session) -> None:
        super().__init__(session, "report-rows")
        self.report: Report | None = None
        self._lines: list[tuple[Line, int]] = []  # with the number of the entry, -1 for the head
        self._width = 0

    def fill(self, report: Report) -> None:
        """Show a report; its first entry is selected."""
        self.report = report
        self._lines = []
        self._width = 0
        self.selected = 0
        self.update_rows()
        self.jump(0)
        self.refresh()

    def count(self) -> int:
        if self.report is not None and self._width != self.room:
            self._lay_out(self.report)
        return len(self._lines)

    def _lay_out(self, report: Report) -> None:
        before = self._lines[self.selected][1] if self.selected < len(self._lines) else 0
        self._width = self.room
        width = max(20, self.room - 2)
        self._lines = [
            (row, -1)
            for line in report.head
            for row in wrap(line, width, _hanging(plain(line)), words=True)
        ]
        if report.head and report.entries:
            self._lines.append(([], -1))
        for number, entry in enumerate(report.entries):
            rows = (row for line in entry.lines for row in wrap(line, width, 8, words=True))
            self._lines += [(row, number) for row in rows]
        starts = self._starts()
        if starts:  # the same entry stays selected where a scroll bar or another width came
            self.selected = starts[max(before, 0)]

    def row(self, index: int, width: int) -> Line:
        return self._lines[index][0]

    def ground(self, index: int) -> str:
        chosen = self._lines[self.selected][1] if self.selected < len(self._lines) else -1
        return "quiet" if chosen >= 0 and self._lines[index][1] == chosen else ""

    @property
    def chosen(self) -> Entry | None:
        """The entry that is selected."""
        if self.report is None or not self._lines:
            return None
        number = self._lines[min(self.selected, len(self._lines) - 1)][1]
        return self.report.entries[number] if number >= 0 else None

    def step(self, by: int) -> None:
        """To the entry before or after; without entries, scroll."""
        starts = self._starts()
        if not starts:
            self.jump(self.scroll_offset.y + by)
            return
        here = self._lines[self.selected][1]
        target = max(0, min(len(starts) - 1, here + by if here >= 0 else 0))
        end = starts[target + 1] if target + 1 < len(starts) else len(self._lines)
        self.show_row(end - 1)
        if by < 0 and target == 0:
            self.jump(0)
        self.select(starts[target])

    def _starts(self) -> list[int]:
        found: list[int] = []
        for i, (_, entry) in enumerate(self._lines):
            if entry == len(found):
                found.append(i)
        return found

    def clicked(self, index: int, x: int) -> None:
        number = self._lines[index][1]
        if number >= 0:
            self.select(self._starts()[number])


class ReportScreen(ModalScreen[int]):
    """Shows a report; the result is the moment to go to, 0 for none."""

    DEFAULT_CSS = """
    ReportScreen { align: center middle; background: $background 60%; }
    ReportScreen > Vertical {
        width: 96%; max-width: 120; max-height: 92%; height: 3; background: $surface;
        border: round $accent; border-title-color: $accent; border-title-style: bold;
        border-subtitle-color: $dim;
    }
    ReportScreen ReportPane { height: 1fr; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,w,D,G", "leave", show=False),
        Binding("enter,space", "go", show=False),
        Binding("down,j", "step(1)", show=False),
        Binding("up,k", "step(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("f1,question_mark", "help", show=False),
    ]

    def __init__(self, session: Session, title: str) -> None:
        super().__init__()
        self.heading = title
        self.pane = ReportPane(session)
        self.ready = False  # what was asked for has come
        self._found: Report | None = None

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = self.heading
            box.border_subtitle = "Esc leaves"
            yield self.pane

    def on_mount(self) -> None:
        self.pane.focus()
        self.call_after_refresh(self._begin)

    def fill(self, report: Report) -> None:
        """What was found has come, maybe before the screen stands."""
        self._found = report
        if self.pane.size.width:
            self._show(report)

    def _begin(self) -> None:
        """The screen stands: show what came before that, or that it is being looked for."""
        if self._found is None:
            self.pane.fill(Report([[("looking …", "dim")]]))
            self._fit()
        elif not self.ready:
            self._show(self._found)

    def _show(self, report: Report) -> None:
        self.pane.fill(report)
        self._fit()
        self.ready = True
        if report.entries:
            box = self.query_one(Vertical)
            box.border_subtitle = "↑ ↓ one to the next · Enter goes there · Esc leaves"

    def _fit(self) -> None:
        """As high as the report, so that a short one hides little of the panes."""
        self.query_one(Vertical).styles.height = self.pane.count() + 2

    def tell(self, text: str) -> None:
        """Say something in the frame, for the status line may be hidden."""
        self.query_one(Vertical).border_subtitle = Content(text)

    def on_resize(self) -> None:
        if self.ready:
            self.call_after_refresh(self._fit)

    def on_key(self, event: events.Key) -> None:
        if event.key in ("ctrl+q", "ctrl+p"):
            event.stop()

    def on_pane_activated(self, event: Pane.Activated) -> None:
        self.action_go()

    def action_help(self) -> None:
        from app.ui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self.app.keymap, "report"))  # type: ignore[attr-defined]

    def action_leave(self) -> None:
        self.dismiss(0)

    def action_go(self) -> None:
        entry = self.pane.chosen
        if entry is not None and entry.seq:
            self.dismiss(entry.seq)

    def action_step(self, by: int) -> None:
        self.pane.step(by)

    def action_page(self, by: int) -> None:
        self.pane.jump(self.pane.scroll_offset.y + by * self.pane.page)
