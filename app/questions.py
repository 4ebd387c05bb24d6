"""What the program asks by `input` or `getpass`, as a window shows it and answers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.sanitize import clean

if TYPE_CHECKING:
    from app.session import Session
    from framework.trace.protocol import Question

__all__ = ["Questions"]

_DEBUGGERS = ("(Pdb)", "ipdb>", "(Pdb++)")
_SHOWN = 60  # characters of a prompt in the status line


class Questions:
    """The question that a session's program waits for the answer of, if there is one.

    Attributes:
        open: that question; None if nothing is asked.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.open: Question | None = None

    def take(self, question: Question | None) -> None:
        """What the program says that it asks now."""
        before, self.open = self.open, question
        if question == before:
            return
        session = self.session
        session.changed.update(("state", "output"))
        if session.notebook is not None:
            session.outputs.update(cell.id for cell in session.notebook.cells)
        if question is not None:
            session.say(self.words())

    @property
    def cell(self) -> str:
        """The cell that it is shown below; "" if nothing is asked."""
        session, question = self.session, self.open
        if question is None or session.notebook is None:
            return ""
        place = session.place_of(question.source)
        found = session.executing or session.cell or (place[0] if place is not None else "")
        known = [cell.id for cell in session.notebook.cells]
        return found if found in known else known[-1]

    def words(self, here: bool = False) -> str:
        """``cell 3 asks: name? · Q answers``; ``here``: the entry line has the focus already."""
        question, session = self.open, self.session
        if question is None:
            return ""
        running = session.executing or session.cell
        who = session.cell_text(running) or session.source_text(question.source) or "the program"
        prompt = " ".join(clean(question.prompt, keep_newlines=False).split())
        prompt = prompt if len(prompt) <= _SHOWN else f"…{prompt[1 - _SHOWN :]}"
        if session.observing:
            holder = clean(session.holder, keep_newlines=False) or "nobody"
            how = f"{holder} may answer, T takes control"
        elif prompt.startswith(_DEBUGGERS):
            how = "breakpoint() instead stops in Tapebook itself"
            how = how if here else f"Q answers; {how}"
        else:
            how = "" if here else "Q answers"
        return f"{who} asks{': ' if prompt else ''}{prompt}{' · ' if how else ''}{how}"

    def answer(self, text: str, end: bool = False) -> None:
        """Answer it; ``end`` is the end of input, as ctrl+d in a terminal."""
        session, question = self.session, self.open
        if question is None or session.refused():
            return
        self.take(None)
        session.message = ""
        session.whatif.answered(None if end else text)
        session.ask("answer", id=question.id, text=text, end=end)
