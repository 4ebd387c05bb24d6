"""The notebook: cells as text, the one that is edited as an editor, marks in the gutter."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message
from textual.strip import Strip
from textual.widgets import TextArea

from app.places import code_line
from app.ui.answer import AnswerLine, Asked
from app.ui.cells import GUTTER, CellRow, Rows
from app.ui.editor import CellEditor
from app.ui.panes.base import Pane
from app.ui.strips import width_of
from viewers.text import Line

if TYPE_CHECKING:
    from app.notebook.document import Cell, Notebook
    from app.session import Session

__all__ = ["NotebookPane", "NotebookView"]


class NotebookView(Pane):
    """The rows of all cells; the selected row is the line that ``b``, ``t`` and enter are about."""

    where = "notebook"

    class GutterClicked(Message):
        """The mouse was clicked left of a source line."""

        def __init__(self, cell: str, line: int) -> None:
            super().__init__()
            self.cell = cell
            self.line = line

    def __init__(self, session: Session, notebook: Notebook) -> None:
        super().__init__(session, "notebook")
        self.notebook = notebook
        self.rows = Rows(notebook, session.cell_note, self._asked)
        self._followed: frozenset[str] = frozenset()
        self._at: tuple[str, CellRow] | None = None  # what is selected, however rows move
        self._top: tuple[str, CellRow] | None = None  # what was at the top, of another width

    def _asked(self, cell: str) -> str | None:
        questions = self.session.questions
        if questions.open is None or questions.cell != cell:
            return None
        return questions.open.prompt

    # -- rows --------------------------------------------------------------------------------

    def count(self) -> int:
        return self.rows.total

    def update_rows(self) -> None:
        moved = 0
        if self.room:
            self._lay_out()
            if self._at is not None and (row := self.rows.same(*self._at)) >= 0:
                seen = 0 <= self.selected - self.scroll_offset.y < self.size.height
                self._top = None if seen else self._top
                moved = (row - self.selected) * seen
                self.selected = row
        super().update_rows()
        self._hold()
        top, self._top = self._top, None
        if top is not None and (row := self.rows.same(*top)) >= 0:
            self.jump(row)  # another width: what is looked at stays, wherever the cursor is
        elif moved:  # what is above has grown or shrunk: the line stays where it is looked at
            self.jump(self.scroll_offset.y + moved)

    def _lay_out(self) -> None:
        """Count the rows; where the width is another, note what was at the top."""
        rows = self.rows
        if rows.total and rows.width != self.room - 1 and self._top is None:
            with suppress(KeyError, IndexError):  # cells have come or gone as well
                row = rows.locate(min(int(self.scroll_offset.y), rows.total - 1))
                self._top = self.notebook.cells[row.cell].id, row
        rows.layout(self.room - 1)

    def _hold(self) -> None:
        if self.rows.total:
            row = self.rows.locate(self.selected)
            self._at = self.notebook.cells[row.cell].id, row

    def row(self, index: int, width: int) -> Line:
        where = self.rows.locate(index)
        cell = self.notebook.cells[where.cell]
        if where.kind == "header":
            return self._header(where.cell, cell, width)
        if where.kind == "text":
            return [(" ", ""), *self.rows.spans(index)]
        if where.kind == "output":
            return [(" ", ""), *self.rows.spans(index)]
        if where.kind == "ask":
            note = "(T to answer)" if self.session.observing else ""
            return [(" ", ""), *self.rows.spans(index), (note, "dim")]
        if where.part:
            return [(" " * GUTTER, ""), *self.rows.spans(index)]
        session = self.session
        here = session.place == (cell.id, where.line)
        origin = not here and session.origin == (cell.id, where.line)
        point = session.breakpoint_at(cell.id, where.line)
        mark = " " if point is None else "●" if point.enabled else "○"
        number = f"{where.line:>2}" if where.line < 100 else f"{where.line % 1000:>3}"[-3:]
        gutter: Line = [
            (mark, "break" if point is not None and point.enabled else "dim"),
            ("▶" if here else "◁" if origin else " ", "stop" if here else "backward"),
            (f"{number} "[: GUTTER - 2].ljust(GUTTER - 2), "stop" if here else "faint"),
        ]
        return [*gutter, *self.rows.spans(index)]

    def ground(self, index: int) -> str:
        where = self.rows.locate(index)
        if where.kind == "code":
            cell = self.notebook.cells[where.cell]
            if self.session.place == (cell.id, where.line):
                return "stop"
            if self.session.origin == (cell.id, where.line):
                return "quiet"
        return ""

    def _header(self, number: int, cell: Cell, width: int) -> Line:
        if cell.kind != "code":
            return []
        run = self.session.runs.get(cell.id)
        number_of = cell.execution_count or self.session.counts.get(cell.id)
        count = f"[{number_of}]" if number_of else "[ ]"
        state, token = "", "dim"
        if self.session.runs_in(cell.id):
            count, state, token = "[*]", "running", "accent"
            if self.session.state == "paused":
                state, token = "paused", "stop"
            elif self.session.questions.open is not None:
                state, token = "asks", "stop"
        elif run is not None:
            if run.state == "queued":
                state = "queued"
            elif run.state == "done":
                state = f"✓ {run.seconds:.2f} s" if run.seconds else "✓"
            elif run.state in ("failed", "died"):
                state, token = f"✗ {run.state}", "error"
        title = str(cell.metadata.get("title") or "")
        left: Line = [("─ ", "edge"), (f"cell {number + 1}", "dim")]
        if title:
            left.append((f" {self.clean(title)}", "bold"))
        right: Line = [(f"{state} ", token)] if state else []
        right.append((count, "dim"))
        rest = width - width_of(left) - width_of(right) - 2
        return [*left, (" " + "─" * max(0, rest) + " ", "edge"), *right]

    # -- cells -------------------------------------------------------------------------------

    @property
    def cell(self) -> Cell:
        """The cell that is selected."""
        if not self.rows.total:
            return self.notebook.cells[0]
        number = min(self.rows.locate(self.selected).cell, len(self.notebook.cells) - 1)
        return self.notebook.cells[number]

    @property
    def line(self) -> int:
        """The source line that is selected; 1 on a header, the last one on an output."""
        where = self.rows.locate(self.selected)
        if where.kind in ("output", "ask"):
            return self.cell.source.count("\n") + 1
        return max(1, where.line)

    @property
    def on_code(self) -> bool:
        """Is the selected row a line of code, and no comment?"""
        where = self.rows.locate(self.selected)
        return where.kind == "code" and code_line(self.cell.source, where.line) == where.line

    def select_cell(self, cell: str, line: int = 1) -> None:
        """Select a line of a cell."""
        self.update_rows()
        index = self.rows.row_of(cell, line)
        if index >= 0:
            self.select(index)
            if line == 1 and self.rows.locate(max(0, index - 1)).kind == "header":
                self.show_row(index - 1)

    def step_cell(self, by: int) -> None:
        """To the first line of the cell before or after; what fits of it comes into sight."""
        number = self.rows.locate(self.selected).cell + by
        if 0 <= number < len(self.notebook.cells):
            cell = self.notebook.cells[number].id
            self.select_cell(cell)
            start, end = self.rows.span_of(cell)
            self.show_row(min(end - 1, start + self.page - 1))

    def clicked(self, index: int, x: int) -> None:
        where = self.rows.locate(index)
        self.select(index)
        if where.kind == "code" and x < GUTTER:
            self.post_message(self.GutterClicked(self.notebook.cells[where.cell].id, where.line))

    def reveal(self, cell: str, line: int) -> None:
        """Bring a source line into sight without selecting it."""
        index = self.rows.row_of(cell, line)
        if index >= 0:
            self.show_row(index, margin=2)

    # -- outputs -----------------------------------------------------------------------------

    def follow(self, cells: Iterable[str]) -> None:
        """What these cells put out comes into sight, until somebody moves or scrolls."""
        self._followed = frozenset(cells)

    def show_outputs(self, cells: Iterable[str]) -> None:
        """These cells have put something out, or have ended; where the model stands comes first."""
        if self.session.stepping and self.session.place is not None:
            if self._followed:  # what came above it has pushed it down
                self.reveal(*self.session.place)
            return
        for cell in self._followed.intersection(cells):
            start, end = self.rows.span_of(cell)
            last = end - 1
            if last < start or self.rows.locate(last).kind not in ("output", "ask"):
                continue
            if self.selected > last:  # who has gone on to the next cell stays there
                last = min(self.selected, last + self.page)
            elif self.rows.editing == cell:  # who types sees what
                last = min(last, start + self.page)
            self.show_row(last)

    def select(self, index: int, *, tell: bool = True) -> None:
        self._followed = frozenset()
        super().select(index, tell=tell)
        self._hold()

    def on_mouse_scroll_up(self) -> None:
        self._followed = frozenset()

    def on_mouse_scroll_down(self) -> None:
        self._followed = frozenset()

    def on_resize(self) -> None:
        """A long message takes rows from the pane: where the model stands stays in sight."""
        if self.session.stepping and self.session.place is not None:
            self.reveal(*self.session.place)
        elif self._followed:
            self.call_after_refresh(self.show_outputs, self._followed)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if isinstance(self.parent, NotebookPane):
            self.parent.place_editor()

    def render_line(self, y: int) -> Strip:
        if self.rows.width != self.room - 1:
            self._lay_out()
            self._set_height(max(self.rows.total, 1))
            self.call_later(self.update_rows)
        return super().render_line(y)


class NotebookPane(Container):
    """The view with the editor over it."""

    DEFAULT_CSS = """
    NotebookPane { layers: base editor; }
    NotebookPane > NotebookView { layer: base; width: 100%; height: 100%; border: none; }
    """

    def __init__(self, session: Session, notebook: Notebook) -> None:
        super().__init__(id="notebook-pane")
        self.view = NotebookView(session, notebook)
        self.editor = CellEditor()
        self.editor.display = False
        self.asked = Asked(self)
        self.typed = False  # in the editor, since a cell was run
        self.notebook = notebook

    def compose(self) -> ComposeResult:
        yield self.view
        yield self.editor
        yield self.asked.line

    @property
    def editing(self) -> bool:
        return bool(self.view.rows.editing)

    def edit(self, line: int | None = None) -> None:
        """Open the selected cell in the editor."""
        cell = self.view.cell
        start = self.view.line if line is None else line
        self.editor.styles.width = max(8, self.view.room - GUTTER - 1)
        self.editor.open(cell.id, cell.source, start, cell.kind == "code")
        self.view.rows.editing = cell.id
        self._fit()
        self.editor.display = True
        self.place_editor()
        self.screen.set_focus(self.editor)

    def leave(self, *, focus: bool = True) -> None:
        """Back to command mode; the text is the cell's already."""
        if not self.editing:
            return
        cell, line = self.view.rows.editing, self.editor.cursor_location[0] + 1
        self.take_text()
        self.view.rows.editing = ""
        self.notebook.end_edit()
        self.editor.display = False
        self.view.select_cell(cell, line)
        if focus:
            self.screen.set_focus(self.view)

    def on_answer_line_answered(self, event: AnswerLine.Answered) -> None:
        event.stop()
        self.asked.line.value = ""
        self.view.session.questions.answer(event.text, event.end)

    def on_answer_line_left(self, event: AnswerLine.Left) -> None:
        event.stop()
        self.screen.set_focus(self.view)
        session = self.view.session
        if session.questions.open is not None:
            session.say(session.questions.words())

    def take_text(self) -> None:
        """Give the notebook what is in the editor."""
        if self.editing:
            try:
                self.notebook.set_source(self.editor.cell, self.editor.text)
            except KeyError:  # the cell was deleted meanwhile
                self.view.rows.editing = ""

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        if event.text_area is self.editor and self.editing:
            self.typed = True
            self.take_text()
            self._fit()
            self.place_editor()

    def _fit(self) -> None:
        rows = self.editor.rows
        if rows != self.view.rows.editor_rows or not self.view.rows.starts:
            self.view.rows.editor_rows = rows
        self.view.update_rows()

    def place_editor(self) -> None:
        """Lay the editor over its cell, cut to what is in sight."""
        self.asked.place()
        if not self.editing:
            return
        view = self.view
        start, _ = view.rows.span_of(view.rows.editing)
        height = view.size.height
        top = start - view.scroll_offset.y
        rows = view.rows.editor_rows
        visible_top = max(0, top)
        visible = min(rows, height - visible_top) if top >= 0 else min(rows + top, height)
        editor = self.editor
        if visible <= 0:
            editor.styles.height = 1
            editor.styles.offset = (GUTTER + 1, max(0, height - 1) if top >= height else 0)
            return
        editor.styles.offset = (GUTTER + 1, visible_top)
        editor.styles.width = max(8, view.room - GUTTER - 1)
        editor.styles.height = visible

    def on_resize(self) -> None:
        if self.editing:
            self.call_after_refresh(self._refit)

    def _refit(self) -> None:
        self._fit()
        self.place_editor()
