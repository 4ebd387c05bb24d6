"""The lower tab set: events, variables, tables, breakpoints, watches, output; one in sight."""

from __future__ import annotations

from collections.abc import Mapping

from textual.app import ComposeResult
from textual.containers import Container

from app.figures import Figures
from app.session import Session
from app.ui.bars import TabBar
from app.ui.panes.base import Pane
from app.ui.panes.breakpoints import BreakpointsPane
from app.ui.panes.console import ConsolePane
from app.ui.panes.events import EventsPane
from app.ui.panes.memory import MemoryPane
from app.ui.panes.parameters import ParametersPane
from app.ui.panes.source import SourcePane
from app.ui.panes.steps import StepsPane
from app.ui.panes.variables import VariablesPane
from app.ui.panes.watches import WatchesPane

__all__ = ["LowerPane"]

#: Titles where not all of them have room.
_SHORT = {
    "variables": "vars", "parameters": "params", "breakpoints": "breaks", "watches": "watches",
}  # fmt: skip


class LowerPane(Container):
    """Panes with a bar of titles above them; folded, only the bar is in sight."""

    DEFAULT_CSS = """
    LowerPane > .tab { display: none; height: 1fr; }
    LowerPane > .tab.active { display: block; }
    """

    def __init__(self, session: Session) -> None:
        super().__init__(id="lower")
        self.session = session
        self.bar = TabBar()
        self.events = EventsPane(session)
        self.variables = VariablesPane(session)
        self.figures = Figures(session)
        self.parameters = ParametersPane(session, self.figures)
        self.steps = StepsPane(session, self.figures)
        self.source = SourcePane(session, self.figures)
        self.memory = MemoryPane(session)
        self.breakpoints = BreakpointsPane(session)
        self.watches = WatchesPane(session, self.parameters)
        self.console = ConsolePane(session)
        self.panes: list[Pane] = [
            self.events, self.variables, self.parameters, self.steps, self.source, self.memory,
            self.breakpoints, self.watches, self.console,
        ]  # fmt: skip
        self.active: Pane = self.events
        for pane in self.panes:
            pane.add_class("tab")
        self.active.add_class("active")

    def compose(self) -> ComposeResult:
        yield self.bar
        yield from self.panes

    def show(self, name: str) -> Pane:
        """Bring a tab into sight."""
        for pane in self.panes:
            pane.set_class(pane.where == name, "active")
            if pane.where == name:
                self.active = pane
        self.titles()
        self.fresh()
        return self.active

    def step(self, by: int) -> Pane:
        """The next or previous tab."""
        index = (self.panes.index(self.active) + by) % len(self.panes)
        return self.show(self.panes[index].where)

    def titles(self, letters: Mapping[str, str] | None = None) -> None:
        """The titles, with how many there are of what can be counted at a glance."""
        points, watches = len(self.session.breakpoints), len(self.session.watches)
        tabs = [
            ("events", "events"),
            ("variables", "variables"),
            ("parameters", "parameters"),
            ("steps", "steps"),
            ("source", "source"),
            ("memory", "memory"),
            ("breakpoints", f"breakpoints ({points})" if points else "breakpoints"),
            ("watches", f"watches ({watches})" if watches else "watches"),
            ("console", "output"),
        ]
        if sum(len(title) + 3 for _, title in tabs) >= self.size.width:
            tabs = [(name, _SHORT.get(name, title)) for name, title in tabs]
        if letters:
            long = [(name, f"[{letters[name]}] {title}") for name, title in tabs]
            short = [(name, f"{letters[name]}:{title[:3]}") for name, title in tabs]
            tabs = long if sum(len(t) + 3 for _, t in long) < self.size.width else short
        self.bar.update(tabs, self.active.where, self.active.has_focus)

    def fresh(self) -> None:
        """Bring the tab in sight up to date; the others are when they come into sight."""
        pane = self.active
        if isinstance(pane, (EventsPane, ConsolePane)):
            pane.follow()
        else:
            pane.update_rows()
