"""The actions that take something away: pictures of the graph and of the screen, tables, trees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.sanitize import clean
from app.ui.screens.report import Entry, Report
from framework.trace.events import Source
from viewers.text import Line, lineage

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.session import Session
    from app.ui.main import MainScreen
    from viewers.graph.export import Result
    from viewers.graph.step import StepGraph
    from viewers.graph.store import Step
    from viewers.summary import ModelSummary

__all__ = ["TakeAway"]


class TakeAway:
    """A part of `Commands`."""

    screen: MainScreen
    session: Session
    app: Any
    export_to: str  # what was asked for last
    text_of: Callable[[Source], str]
    _report: Callable[..., None]

    # -- pictures ----------------------------------------------------------------------------

    def do_export(self) -> None:
        """Ask for a file's name and options, and write the step that the graph shows."""
        if self._shown_step() is None:
            return
        from app.pictures import free_name

        name, _, options = (self.export_to or f"{self._stem()}-graph.html --values").partition(" ")
        name = f"{free_name(Path(name))} {options}".rstrip()
        self.screen.ask("export to (.html .svg .png .mmd .dot)", self._export, name, selected=True)

    def _shown_step(self) -> Step | None:
        """The step that the graph shows; without one the user is told."""
        step = self.screen.graph.step
        if step is None:
            self.session.say("there is no graph yet: run a cell")
        return step

    def _graph_of(self, step: Step) -> Callable[[], StepGraph]:
        """Gives a graph of a step in the background that nothing changes meanwhile."""
        from viewers.graph.step import StepGraph

        known = self.session.store.graph_so_far(step)
        if not known.behind and self.session.state != "running":
            return lambda: known

        def made() -> StepGraph:
            graph = StepGraph(self.session.store, step)
            graph.update()
            return graph

        return made

    def _stem(self) -> str:
        path = self.screen.notebook.view.notebook.path
        name = path.stem if path is not None else Path(self.session.name or "graph").stem
        return clean(name, keep_newlines=False).replace(" ", "_")

    def _export(self, text: str) -> None:
        from app.pictures import free_name, parse_request
        from viewers.graph.export import ExportError, export
        from viewers.graph.facts import lookup_of

        session, step = self.session, self._shown_step()
        if not text.strip() or step is None:
            return
        graph = self._graph_of(step)
        try:
            path, options = parse_request(text, self.screen.graph.phase)
        except ExportError as error:
            session.say(f"not exported: {error}", problem=True)
            return
        self.export_to = text.strip()
        path = free_name(path.absolute())
        if options["values"]:
            options["values"] = lookup_of(session) or False

        def code(file: str, line: int) -> str:
            return self.text_of(Source(file, line, ""))

        called, cells = self.screen.graph.variable_of, session.cell_names

        def written(result: Result) -> None:
            note = f" ({result.note})" if result.note else ""
            session.say(f"written: {result.path}{note}")

        session.in_background(
            lambda: export(graph(), path, code=code, called=called, cells=cells, **options),
            written,
            lambda why: session.say(f"not exported: {why}", problem=True),
        )
        session.say(f"exporting to {path} ...")

    def do_screenshot(self) -> None:
        """The screen as it is, as an SVG file."""
        from app.pictures import save_screen
        from viewers.graph.export import ExportError

        stem = self._stem()
        try:
            path = save_screen(self.app.export_screenshot(title=f"Tapebook · {stem}"), stem)
        except ExportError as error:
            self.session.say(str(error), problem=True)
        else:
            self.session.say(f"written: {path}")

    # -- tables and trees --------------------------------------------------------------------

    def do_summary(self) -> None:
        """The modules of the step that the graph shows, and its ops."""
        from viewers.summary import summary_of

        step = self._shown_step()
        if step is None:
            return
        graph = self._graph_of(step)
        width = max(40, min(self.app.size.width * 96 // 100, 120) - 5)
        title = f"step {step.number}" if step.number else self.session.cell_text(step.cell)
        self._report(
            "model summary",
            lambda: summary_of(graph(), title=title),
            lambda found: _report_of(found, width),
        )

    def do_feeds(self) -> None:
        """What feeds the op that is selected."""
        self._lineage("what feeds", used=False)

    def do_uses(self) -> None:
        """What uses the op that is selected."""
        self._lineage("what uses", used=True)

    def _lineage(self, title: str, used: bool) -> None:
        session, row = self.session, self.screen.graph.chosen
        if self.screen.where == "graph" and row is not None:
            seq = row.item.begin
        else:
            subject = session.moment.subject if session.cursor else None
            seq = subject.seq if subject is not None else 0
        try:
            lines = lineage(
                session.store, seq, used, place=session.source_text,
                called=self.screen.graph.variable_of,
            )  # fmt: skip
        except ValueError:
            session.say("select an op, a module or a tensor in the graph first")
            return
        entries = [Entry(at, [line]) for line, at in lines]
        if len(lines) == 1:
            entries.append(Entry(0, [[("nothing that is on the tape", "note")]]))
        name = lines[0][0][1][0]
        self._report(f"{title} {name}", lambda: None, lambda _: Report([], entries))


def _report_of(made: ModelSummary, width: int) -> Report:
    """A summary as rows to go through: enter goes to a module's call."""
    title, _, *table = made.lines(width)
    rows = made.shown()
    head: list[Line] = [[(title, "title")], [(table[0], "muted")], [(table[1], "faint")]]
    entries = [Entry(row.seq, [[(text, "")]]) for row, text in zip(rows, table[2:])]
    rest = table[2 + len(rows) :]
    rest += ["", *made.op_lines(width)[2 : 5 + len(made.ops) + 1]]
    return Report(head, [*entries, Entry(0, [[(text, "")] for text in rest])])
