"""The actions of the tables: parameters, a tensor over the steps, source with figures, memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.ui.panes.base import Pane
from app.ui.panes.memory import MemoryPane
from app.ui.panes.parameters import ParametersPane
from app.ui.panes.source import SourcePane
from app.ui.panes.steps import StepsPane
from app.ui.panes.watches import WatchesPane
from framework.trace.protocol import Variable
from viewers.tracks import Track, find_track

if TYPE_CHECKING:
    from app.session import Session
    from app.ui.main import MainScreen

__all__ = ["Tables"]


class Tables:
    """A part of `Commands`."""

    screen: MainScreen
    session: Session
    app: Any

    def _open(self, name: str, beside: str = "inspector") -> None:
        """Go to a tab; where only two panes have room, this one stands beside the graph."""
        self.screen.second = beside
        self.screen.go_to(name)

    def do_parameters(self) -> None:
        self._open("parameters")

    def do_source(self) -> None:
        self.screen.lower.source.follow_cursor()
        self._open("source")

    def do_memory(self) -> None:
        self._open("memory")

    def do_sort(self) -> None:
        self.screen.lower.parameters.next_column()

    def do_sort_back(self) -> None:
        pane = self.screen.lower.parameters
        pane.order_by(pane.column, not pane.reverse)

    def do_row_over_steps(self) -> None:
        self.do_over_steps()

    def do_over_steps(self) -> None:
        """The tensor that is looked at, step by step."""
        screen, session = self.screen, self.session
        row = screen.lower.parameters.chosen if screen.where == "parameters" else None
        track: Track | None
        if row is not None:
            track = Track("parameter", row.name)
        else:
            ref = screen.inspector.chosen
            if ref is None:
                session.say("select an op, a module or a parameter first")
                return
            track = find_track(session.store, ref.meta.id, ref.seq)
        if track is None:
            session.say("nothing names this tensor in other steps")
            return
        screen.lower.steps.show_track(track)
        self._open("steps")

    def do_picture(self) -> None:
        self.session.say(self.screen.inspector.next_picture())

    def do_highlight(self) -> None:
        inspector = self.screen.inspector

        def done(text: str) -> bool:
            problem = inspector.highlight(text)
            if problem:
                self.session.say(problem, problem=True)
            return False

        self.screen.ask("highlight values (> 3, <= 0, 0.5..1)", done)

    def do_go_to_row(self) -> None:
        """The moment of the selected row."""
        screen, session = self.screen, self.session
        pane = screen.pane(screen.where)
        seq = 0
        if isinstance(pane, StepsPane) and pane.chosen is not None:
            seq = pane.chosen.seq
        elif isinstance(pane, MemoryPane) and pane.chosen is not None:
            seq = pane.chosen.op.seq
        elif isinstance(pane, SourcePane):
            seq = pane.chosen_op
        if not seq:
            session.say("nothing happened at this line yet")
            return
        session.go(seq)
        screen.graph.show_cursor()

    def row_selected(self, pane: Pane) -> bool:
        """Show what a row of a table is about in the inspector; False for other panes."""
        screen, store = self.screen, self.session.store
        if isinstance(pane, StepsPane):
            spot, track = pane.chosen, pane.track
            if spot is not None and track is not None:
                grad = store.grad_of(spot.meta.id, spot.seq) if track.kind == "parameter" else 0
                meta = store.meta(grad) if grad else None
                step = f" in step {spot.step}" if spot.step else ""
                screen.inspector.show_tensor(f"{track.title}{step}", spot.meta, meta, spot.seq)
        elif isinstance(pane, ParametersPane):
            row, table = pane.chosen, pane.table
            if row is not None and table is not None:
                update = table.update(row.tensor, self.session.cursor)
                if update is not None:
                    screen.inspector.show(update.seq)
                else:
                    came = store.meta(row.keys.grad[0]) if row.keys.grad else None
                    screen.inspector.show_tensor(row.name, row.meta, came, row.keys.seq)
        elif isinstance(pane, WatchesPane):
            value, seq = pane.value(pane.selected)
            if isinstance(value, Variable) and value.tensor is not None:
                screen.inspector.show_tensor(value.name, value.tensor, value.grad, seq)
        elif isinstance(pane, MemoryPane):
            if pane.chosen is not None:
                screen.inspector.show(pane.chosen.op.seq)
        elif isinstance(pane, SourcePane):
            if pane.chosen_op:
                screen.inspector.show(pane.chosen_op)
        else:
            return False
        return True
