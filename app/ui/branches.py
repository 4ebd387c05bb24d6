"""The actions of what-if: change a value in a copy of the program, compare, drop or adopt it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from app.ui.describe import one_line
from app.ui.screens.confirm import ConfirmScreen
from viewers.explain import Report, report_of_comparison
from viewers.text import Line

if TYPE_CHECKING:
    from app.session import Session
    from app.ui.main import MainScreen
    from viewers.baseline import WhatIf

__all__ = ["Branches"]


class Branches:
    """A part of `Commands`."""

    screen: MainScreen
    session: Session
    app: Any
    _report: Callable[..., None]

    def do_edit_value(self) -> None:
        """Ask for an assignment, and make it in a branch."""
        session, whatif, inspector = self.session, self.session.whatif, self.screen.inspector
        if why := whatif.why_not():
            session.say(why)
            return

        def done(text: str) -> bool:
            if session.under_way:
                session.say("the model has not stopped yet: Enter once more in a moment")
                self.app.tick()
                return True
            if text.strip():
                whatif.edit(text, inspector.chosen.meta.id if inspector.chosen is not None else 0)
                self.app.tick()
            return False

        self.screen.ask(self._what_if, done)
        self.screen.prompt.note("it[0] = 0, it * 2, NAME = VALUE, ...")

    def _what_if(self) -> str:
        """What is changed: what the inspector shows where the model stands."""
        chosen, subject = self.screen.inspector.chosen, self.screen.inspector.subject
        if chosen is None or subject is None or self.session.under_way:
            return "what if"
        return f"what if (it: {one_line(chosen.name or chosen.label)} of {subject.title})"

    def do_leave_branch(self) -> None:
        """Drop the branch or adopt it."""
        whatif = self.session.whatif
        if whatif.branch is None:
            self.session.say("this is the program itself: e changes a value in a copy of it")
            return

        def done(answer: str | None) -> None:
            if answer == "d":
                whatif.drop()
            elif answer == "a":
                whatif.adopt()
            self.app.tick()

        pairs = _pairs_text(whatif.pairs())
        question = f"What if {', '.join(whatif.branch.edits)}?\n{pairs}"
        answers = [
            ("d", "drop the branch: back to the program, where it stopped"),
            ("a", "adopt it: the branch is the program from here on"),
        ]
        self.app.push_screen(ConfirmScreen(question, answers), done)

    def do_run_again(self) -> None:
        """Recompute the values of the step at the cursor."""
        self.session.rerun.again()

    def compare_branch(self) -> None:
        """What the change has changed, op by op, against the program without it."""
        session, whatif = self.session, self.session.whatif

        def report(made: WhatIf) -> Report:
            text = _pairs_text(made.losses)
            losses: list[Line] = [[(line, "value")] for line in text.split("\n")]
            told = report_of_comparison(made.found, 1, session.source_text)
            return Report([*losses, [], *told.head], told.entries)

        self._report("what if", whatif.compare(), report)


def _pairs_text(pairs: list[tuple[float, float]]) -> str:
    """The newest losses of both."""
    if not pairs:
        return "It has not come to a loss yet."
    return "\n".join(f"loss {a:.6g} as it is, {b:.6g} in the branch" for a, b in pairs[-5:])
