"""A breakpoint in all its parts: where, in which phase, on which condition."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from app.sanitize import clean
from framework.trace.breakpoints import Compiled
from framework.trace.conditions import (
    CONDITIONS,
    LIMITS,
    SUBJECTS,
    format_line,
    help_lines,
    limits_text,
    parse_line,
)
from framework.trace.protocol import Breakpoint

if TYPE_CHECKING:
    from app.session import Session

__all__ = ["ConditionScreen"]

# (field, label, hint); of a breakpoint, but for "limits", which is several of its fields as a text.
_FIELDS = (
    ("condition", "stop when", "nan, norm > 10, ...; empty for always"),
    ("op", "op", "a name, conv* or /conv.*/; empty for any"),
    ("module", "module", "such as model.2, or model.*"),
    ("param", "parameter", "such as model.0.weight, or * for each"),
    ("line", "line", "number in the cell or file; empty for any"),
    ("phase", "of", "value, grad, update, or both (value and grad)"),
    ("limits", "limits", "once, hit N, every N, after N, step N, steps A..B, ..."),
)
_WORDS = {phase: names[0] for names, phase, _ in SUBJECTS} | {"both": "both"}
_PHASES = {name: phase for names, phase, _ in SUBJECTS for name in (*names, phase)}
_WIDE, _HIGH = 60, 24  # columns and rows that the whole form takes
_LIMITS = ("occurrence", "first_step", "last_step", "from_hit", "every", "once")


_NOTE = (
    "X is a number; also >= < <= == !=, joined with and. EXPR is Python: x is the tensor, other "
    "names are the program's. A whole line does as well: grad model.0.weight norm > 10 after 3"
)


def _help() -> str:
    """The conditions, as many to a row as fit."""
    forms = [c.form for c in CONDITIONS.values()]
    rows = [forms[i : i + 5] for i in range(0, len(forms), 5)]
    return "\n".join("".join(f"{form:<14}" for form in row).rstrip() for row in rows)


class _Fields(VerticalScroll):
    """The one that is edited stays in sight when a long word about it takes rows away."""

    def on_resize(self) -> None:
        if self.screen.focused is not None:
            self.scroll_to_widget(self.screen.focused, animate=False)


class ConditionScreen(ModalScreen[dict[str, Any] | None]):
    """A small form; the result are fields of a `Breakpoint`, None if it was given up."""

    DEFAULT_CSS = """
    ConditionScreen { align: center middle; background: $background 60%; }
    ConditionScreen > Vertical {
        width: 76; max-width: 98%; height: auto; padding: 1 2 0 2;
        background: $surface; border: round $accent; border-title-color: $accent;
        border-title-style: bold; border-subtitle-color: $dim;
    }
    ConditionScreen #fields { height: auto; }
    ConditionScreen Horizontal { height: 1; }
    ConditionScreen Label { width: 11; color: $dim; }
    ConditionScreen Input {
        width: 1fr; height: 1; border: none; padding: 0 1; background: $panel;
    }
    ConditionScreen Input:focus { border: none; background: $boost; }
    ConditionScreen .note { width: 100%; height: auto; color: $dim; margin-top: 1; }
    ConditionScreen #line { width: 100%; height: auto; color: $accent; }
    ConditionScreen #problem { width: 100%; color: $error; height: auto; min-height: 1; }
    ConditionScreen.small > Vertical { max-width: 100%; height: 100%; padding: 0; }
    ConditionScreen.small #fields { height: 1fr; scrollbar-size: 1 1; }
    ConditionScreen.small .note { display: none; }
    ConditionScreen.small #problem, ConditionScreen.small #line { min-height: 0; max-height: 4; }
    """

    def __init__(self, point: Breakpoint, title: str, session: Session) -> None:
        super().__init__()
        self.point = point
        self.heading = title
        self.session = session  # which knows the cells

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = self.heading
            with _Fields(id="fields", can_focus=False):
                for name, label, hint in _FIELDS:
                    with Horizontal():
                        yield Label(label, markup=False)
                        yield Input(
                            self._text(name), placeholder=hint, id=f"field-{name}",
                            compact=True, select_on_focus=False,
                        )  # fmt: skip
            yield Label(_help(), classes="note", markup=False)
            yield Label(_NOTE, classes="note", id="note", markup=False)
            yield Label("", id="line", markup=False)
            yield Label("", id="problem", markup=False)

    def _text(self, name: str) -> str:
        """A field as the form shows it."""
        if name == "limits":
            return limits_text(self.point)
        point = self.point
        if name == "phase" and not (point.id or point.op or point.module):
            return ""  # what the rest of the form says
        value = getattr(point, name)
        return _WORDS.get(value, value) if name == "phase" else str(value) if value else ""

    def on_mount(self) -> None:
        self.query_one("#field-condition", Input).focus()

    def on_resize(self) -> None:
        """In a small terminal the fields are what counts; F1 has the rest."""
        width, height = self.app.size
        small = width < _WIDE or height < _HIGH
        self.set_class(small, "small")
        keys = "↑ ↓ · Enter sets it · F1 · Esc"
        if not small:
            keys = "↑ ↓ fields · Enter sets it · F1 all conditions · Esc cancels"
        self.query_one(Vertical).border_subtitle = keys
        self._say("")

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            event.stop()
            self.dismiss(None)
        elif event.key == "f1":
            event.stop()
            self._explain()
        elif event.key in ("up", "down"):
            event.stop()
            if event.key == "up":
                self.focus_previous()
            else:
                self.focus_next()

    def _explain(self) -> None:
        """The tables of conditions, over the form."""
        from app.ui.screens.report import ReportScreen
        from viewers.explain import Report

        shown = ReportScreen(self.session, "conditions")
        shown.fill(Report([[(line, "")] for line in help_lines()]))
        self.app.push_screen(shown)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show the line that ``--break`` takes for the same."""
        try:
            line = f"--break '{format_line(self.session.named(self._point()))}'"
        except ValueError:
            line = ""
        self.query_one("#line", Label).update(clean(line, keep_newlines=False))
        self._say("")

    def _say(self, problem: str) -> None:
        """What is wrong takes the place of the note, so that all fits into 24 lines."""
        self.query_one("#problem", Label).update(clean(problem, keep_newlines=False))
        small = self.has_class("small")
        self.query_one("#note").display = not problem and not small
        self.query_one("#problem").display = bool(problem) or not small
        self.query_one("#line").display = not (problem and small)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        try:
            point = self._point()
        except ValueError as error:
            self._say(str(error))
            return
        own = ("id", "enabled", "hits", "error")
        names = [name for name in point.__struct_fields__ if name not in own]
        self.dismiss({name: getattr(point, name) for name in names})

    def _point(self) -> Breakpoint:
        """What the form says; ValueError with one line if it is nothing that can be set."""
        text = {
            name: self.query_one(f"#field-{name}", Input).value.strip() for name, _, _ in _FIELDS
        }
        whole = text["condition"].partition(" ")[0].partition(":")[0]
        if whole in _PHASES or whole in ("op", "in", "module", "param", "at", "cell"):
            point = self.session.resolved(parse_line(text["condition"]))  # all in one line
        else:
            point = self._of_fields(text)
        if error := Compiled(point).spec.error:
            raise ValueError(error)
        return point

    def _of_fields(self, text: dict[str, str]) -> Breakpoint:
        line = text["line"]
        if line and not line.isdigit():
            raise ValueError(f"line: got {line!r}, expected a number")
        point = Breakpoint(
            0, op=text["op"], module=text["module"], param=text["param"], line=int(line or 0),
            condition=text["condition"],
        )  # fmt: skip
        if point.line:
            point.file = self.point.file
            if not point.file:
                raise ValueError("line: select a line in the notebook first")
        point.phase = self._phase(text["phase"], point)
        with suppress(ValueError):  # "nan once": what may follow a condition in a whole line
            given = parse_line(f"op x {text['condition']}")
            if text["condition"] and given.op == "x":
                point.condition = given.condition
                point.module = point.module or given.module
                for name in _LIMITS:
                    setattr(point, name, getattr(given, name))
        if text["limits"]:
            given = parse_line(f"op x {text['limits']}")
            if given.condition or given.op != "x":
                forms = ", ".join(form for form, _ in LIMITS)
                raise ValueError(f"limits: got {text['limits']!r}, expected {forms}")
            for name in _LIMITS:
                setattr(point, name, getattr(given, name))
        return point

    def _phase(self, word: str, point: Breakpoint) -> str:
        if not word:
            return "backward" if point.param else "both" if point.condition else "forward"
        words = {**_PHASES, "both": "both"}
        found = {phase for name, phase in words.items() if name.startswith(word)}
        if len(found) != 1:
            raise ValueError(f"of: got {word!r}, expected value, grad, update or both")
        return found.pop()
