"""The entry line below a cell that asks, in the notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.message import Message
from textual.widgets import Input

from app.ui.later import later

if TYPE_CHECKING:
    from app.ui.panes.notebook import NotebookPane
    from framework.trace.protocol import Question

__all__ = ["AnswerLine", "Asked"]

LONGEST = 10_000  # characters of an answer: a paste of a file is none
REMEMBERED = 200  # answers that up and down go through
AGAIN = 0.5  # seconds after an answer in which the next question finds the focus where it was


class AnswerLine(Input):
    """What is typed in answer to `input` or `getpass`."""

    DEFAULT_CSS = """
    AnswerLine {
        layer: editor; position: absolute; border: none; padding: 0; height: 1;
        background: $panel;
    }
    AnswerLine:focus { border: none; }
    """

    class Answered(Message):
        """Enter was pressed, or ctrl+d on an empty line: the end of input."""

        def __init__(self, text: str, end: bool = False) -> None:
            super().__init__()
            self.text = text
            self.end = end

    class Left(Message):
        """Escape was pressed: back to command mode; the question stands."""

    def __init__(self) -> None:
        super().__init__(compact=True, select_on_focus=False, max_length=LONGEST, id="answer")
        self._said: list[str] = []
        self._at = 0

    def open(self, password: bool) -> None:
        """Another question; what was typed ahead of it stays."""
        if self.password != password:
            self.value = ""
        self.password = password
        self._at = len(self._said)

    async def _on_key(self, event: events.Key) -> None:
        key = event.key
        own = key in ("enter", "escape", "up", "down", "tab", "shift+tab")
        if not own and (key != "ctrl+d" or self.value):
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()
        if key == "enter":
            self._answer(self.value)
        elif key == "ctrl+d":
            self.post_message(self.Answered("", end=True))
        elif key == "escape":
            self.post_message(self.Left())
        elif key in ("up", "down") and not self.password:
            self._at = max(0, min(self._at + (1 if key == "down" else -1), len(self._said)))
            self.value = self._said[self._at] if self._at < len(self._said) else ""
            self.cursor_position = len(self.value)

    def _answer(self, text: str) -> None:
        if text and not self.password and self._said[-1:] != [text]:
            self._said = [*self._said, text][-REMEMBERED:]
        self.post_message(self.Answered(text))


class Asked:
    """Keeps the entry line of a notebook where the question is, and the focus where it belongs."""

    def __init__(self, pane: NotebookPane) -> None:
        self.pane = pane
        self.line = AnswerLine()
        self.line.display = False
        self._known: Question | None = None
        self._turn = 0  # of answers: a later one has a while of its own

    def sync(self) -> None:
        """A question has come or gone."""
        pane, line, session = self.pane, self.line, self.pane.view.session
        question = session.questions.open
        mine = question is not None and not session.observing
        if question is not self._known and question is not None:
            line.open(question.password)
            line.placeholder = "Q answers"
            if mine and not line.display:
                line.display = True
            if mine and self._free():
                pane.leave(focus=False)
                self.focus()
                session.say(session.questions.words(here=True))
        elif question is not self._known:
            self._turn += 1
            turn = self._turn
            if session.state != "running":
                self._away(turn)
            elif line.has_focus:  # it may ask again at once
                later(line, AGAIN, lambda: self._away(turn))
            else:
                self._away(turn)
        elif not mine and line.display and (question is not None or session.state != "running"):
            self._away(self._turn)  # somebody took control, or the cell is over
        elif mine and not line.display:
            line.display = True
        self._known = question
        self.place()

    def _free(self) -> bool:
        """May the focus come to the line? Not from a pane, nor from somebody who types."""
        pane = self.pane
        focused = pane.screen.focused
        return focused is pane.view or (focused is pane.editor and not pane.typed)

    def _away(self, turn: int) -> None:
        line, pane = self.line, self.pane
        mine = self.pane.view.session.questions.open is not None and not (
            self.pane.view.session.observing
        )
        if turn != self._turn or mine:
            return
        focused = line.has_focus
        line.display = False
        line.value = ""
        if focused:
            pane.screen.set_focus(pane.view)

    def focus(self) -> None:
        """Type the answer."""
        if self.line.display:
            self.pane.screen.set_focus(self.line)
            self.show()

    def show(self) -> None:
        """Bring the question into sight."""
        view = self.pane.view
        if (row := view.rows.asking) >= 0:
            view.show_row(row)
            self.place()

    def place(self) -> None:
        """Lay the line behind the prompt; out of sight if that is."""
        line, view = self.line, self.pane.view
        if not line.display:
            return
        row, column = view.rows.asking, view.rows.asking_column + 2
        y = row - view.scroll_offset.y
        seen = row >= 0 and 0 <= y < view.size.height
        line.styles.width = max(8, view.room - column)
        line.styles.offset = (column, y if seen else view.size.height + 10)
