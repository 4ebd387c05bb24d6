"""The actions that explain: why, the check of a gradient, comparing with another step or run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.places import cell_of
from app.sanitize import clean
from app.ui.screens.report import ReportScreen
from framework.trace.events import Source
from framework.trace.explain import source_line
from viewers.explain import (
    Report,
    report_of_check,
    report_of_comparison,
    report_of_explanation,
)

if TYPE_CHECKING:
    from app.explaining import Candidate
    from app.session import Session
    from app.ui.main import MainScreen

__all__ = ["Explain"]


_NOT_OPS = {
    "module": "a module", "update": "an update", "optimizer": "an optimizer's step",
    "backward": "all of backward", "cell": "a cell", "mark": "a mark",
}  # fmt: skip


class Explain:
    """A part of `Commands`: each action opens a `ReportScreen` and fills it when it is made."""

    screen: MainScreen
    session: Session
    app: Any
    compare_branch: Callable[[], None]
    ask_file: Callable[..., None]

    def do_why(self) -> None:
        """Why is what is looked at NaN, infinite, zero or without gradient?"""
        from app.explaining import look_at, why_at

        session, client = self.session, self.session.client
        if client is None or not session.store.last_seq:
            session.say(session.why_not() if client is None else "there is no tape yet: run a cell")
            return
        if session.state == "running" and session.following:  # what it says would be over at once
            session.say(
                "the model is running: w asks when it stands or is looked back at; p pauses",
                while_running=True,
            )
            return
        events, cursor = list(session.store.tape), session.cursor
        wanted = self._in_sight()
        look = look_at(client, session.rerun)
        again = hasattr(client, "sibling") and session.whatif.branch is None
        self._report(
            "why",
            lambda: why_at(events, look, cursor, wanted, again=again),
            lambda told: report_of_explanation(told, session.source_text, self.text_of),
        )

    def _in_sight(self) -> list[Candidate]:
        """The tensors of the inspector, the chosen one first; or of the variable or parameter."""
        from app.explaining import Candidate

        screen, session = self.screen, self.session
        if screen.where == "variables":
            pane = screen.lower.variables
            variable = pane.variable(pane.selected)
            if variable is not None and variable.tensor is not None:
                return [Candidate(variable.tensor.id, session.cursor, variable.name)]
        if screen.where == "parameters" and (row := screen.lower.parameters.chosen) is not None:
            return [Candidate(row.tensor, row.keys.seq, row.name)]
        inspector = screen.inspector
        chosen, subject = inspector.chosen, inspector.subject
        if chosen is None or subject is None:
            return []
        found = []
        for ref in (chosen, *(r for r in subject.tensors if r is not chosen)):
            found.append(
                Candidate(ref.meta.id, ref.seq, ref.name or f"{ref.label} of {subject.title}")
            )
            if ref.grad is not None and ref.grad.id:
                name = f"the gradient of {ref.name or ref.label}"
                found.append(Candidate(ref.grad.id, ref.grad_seq, name))
        return found

    def do_check_gradient(self) -> None:
        """Is the gradient of the op in the inspector right? By finite differences."""
        session, client = self.session, self.session.client
        subject = self.screen.inspector.subject
        if client is None or subject is None:
            session.say(session.why_not() if client is None else "select an op first")
            return
        if subject.kind not in ("op", "composite", "node"):
            inside = ": space opens it, select an op in it" if subject.kind == "module" else ""
            this = _NOT_OPS.get(subject.kind, "neither")
            session.say(f"G checks an op or a backward node, and {subject.title} is {this}{inside}")
            return
        seq = subject.seq
        self._report(
            f"gradient check of {subject.title}",
            lambda: client.request("check", seq=seq).result(60),
            lambda check: report_of_check(check, seq),
        )

    def do_compare(self) -> None:
        """Compare with another step of this run, or with a recording."""
        session = self.session
        if session.client is None or not session.store.last_seq:
            gone = session.client is None
            session.say(session.why_not() if gone else "there is no tape yet: run a cell")
            return
        from app.ui.screens.start import recordings

        if session.whatif.branch is not None:
            self.compare_branch()
            return
        here = self._step_here()
        before = f", or Enter: step {here - 1}" if here > 1 else ""
        own = self._own_file()
        found = [path for path in recordings(own.parent) if path != own]
        self.ask_file(
            f"compare step {here} with",
            lambda text: self._compare(here, text.strip() or str(here - 1)),
            found,
            f"a step, FILE.tape{before}",
        )

    def _own_file(self) -> Path:
        """The recording or the notebook that is open; others are looked for beside it."""
        tape = getattr(self.session.client, "tape", None)
        notebook = self.session.notebook
        path = tape.path if tape is not None else notebook.path if notebook is not None else None
        return Path(path).absolute() if path is not None else Path.cwd() / ""

    def _step_here(self) -> int:
        """The number of the step at the cursor, or of the last one before it that has one."""
        store = self.session.store
        index = store.step_index(self.session.cursor)
        steps = store.steps[: index + 1]
        return next((step.number for step in reversed(steps) if step.number), 0)

    def _compare(self, here: int, text: str) -> None:
        from app.explaining import compare_with

        session, client = self.session, self.session.client
        if client is None:
            return
        if text.startswith("-"):
            session.say("there is no step before this one: name a step, or a recording")
            return
        events, name = list(session.store.tape), session.name or "this run"
        own = 1 if text.isdigit() else 0  # the step at the cursor is the second one
        self._report(
            "compare",
            lambda: compare_with(name, events, client, here, text, self.text_of),
            lambda found: report_of_comparison(found, own, session.source_text),
        )

    # -- what they share ---------------------------------------------------------------------

    def _report(self, title: str, work: Callable[[], Any], report: Callable[[Any], Report]) -> None:
        """Open a report and make it in the background."""
        shown = ReportScreen(self.session, clean(title, keep_newlines=False))

        def done(result: Any) -> None:
            shown.fill(report(result))

        def failed(why: str) -> None:
            shown.fill(Report([[(why, "warn")]]))

        self.app.push_screen(shown, self._go_to)
        self.session.in_background(work, done, failed)

    def _go_to(self, seq: int | None) -> None:
        """Look at the moment that was chosen in a report."""
        if not seq:
            return
        self.session.go(seq)
        self.screen.graph.show_cursor()
        self.app.tick()

    def text_of(self, source: Source) -> str:
        """The text of a source line: of a cell, of the recording's own sources, or of a file."""
        session = self.session
        if not source.line:
            return ""
        place = session.place_of(source)
        if place is not None and session.notebook is not None:
            cell, line = place
            try:
                lines = session.notebook.cell(cell).source.split("\n")
            except KeyError:
                return ""
            return lines[line - 1].strip() if 0 < line <= len(lines) else ""
        sources = getattr(session.client, "sources", None)
        if isinstance(sources, dict):
            lines = sources.get(source.file, "").splitlines()
            return lines[source.line - 1].strip() if 0 < source.line <= len(lines) else ""
        return "" if cell_of(source.file) else source_line(source)
