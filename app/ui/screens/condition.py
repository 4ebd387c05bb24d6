"""A breakpoint in all its parts: where, in which phase, on which condition."""

from __future__ import annotations

from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from framework.trace.protocol import Breakpoint

__all__ = ["ConditionScreen"]

_FIELDS = (
    ("op", "op", "a name, or /regex/; empty for any"),
    ("module", "module", "such as model.2, or /conv.*/"),
    ("line", "line", "number in the cell or file; empty for any"),
    ("phase", "phase", "forward, backward or both"),
    ("condition", "stop when", "nan, inf or absmax > 1e3; empty for always"),
)
_PHASES = ("forward", "backward", "both")


class ConditionScreen(ModalScreen[dict[str, Any] | None]):
    """A small form; the result are fields of a `Breakpoint`, None if it was given up."""

    DEFAULT_CSS = """
    ConditionScreen { align: center middle; background: $background 60%; }
    ConditionScreen > Vertical {
        width: 66; max-width: 96%; height: auto; padding: 1 2 0 2;
        background: $surface; border: round $accent; border-title-color: $accent;
        border-title-style: bold; border-subtitle-color: $dim;
    }
    ConditionScreen Horizontal { height: 1; }
    ConditionScreen Label { width: 11; color: $dim; }
    ConditionScreen Input {
        width: 1fr; height: 1; border: none; padding: 0 1; background: $panel;
    }
    ConditionScreen Input:focus { border: none; background: $boost; }
    ConditionScreen #problem { width: 100%; color: $error; height: 1; }
    """

    def __init__(self, point: Breakpoint, title: str) -> None:
        super().__init__()
        self.point = point
        self.heading = title

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = self.heading
            box.border_subtitle = "↑ ↓ fields · Enter sets it · Esc cancels"
            for name, label, hint in _FIELDS:
                value = getattr(self.point, name)
                with Horizontal():
                    yield Label(label, markup=False)
                    yield Input(
                        str(value) if value else "", placeholder=hint, id=f"field-{name}",
                        compact=True, select_on_focus=False,
                    )  # fmt: skip
            yield Label("", id="problem", markup=False)

    def on_mount(self) -> None:
        self.query_one("#field-condition", Input).focus()

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            event.stop()
            self.dismiss(None)
        elif event.key in ("up", "down"):
            event.stop()
            if event.key == "up":
                self.focus_previous()
            else:
                self.focus_next()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        fields: dict[str, Any] = {
            name: self.query_one(f"#field-{name}", Input).value.strip() for name, _, _ in _FIELDS
        }
        problem = self._check(fields)
        if problem:
            self.query_one("#problem", Label).update(problem)
        else:
            self.dismiss(fields)

    def _check(self, fields: dict[str, Any]) -> str:
        """Put the fields right; what is wrong with them, "" for nothing."""
        line = fields["line"]
        if line and not line.isdigit():
            return f"line: {line!r} is no number"
        fields["line"] = int(line or 0)
        fields["file"] = self.point.file if fields["line"] else ""
        if fields["line"] and not fields["file"]:
            return "line: select a line in the notebook first"
        phase = fields["phase"] or "forward"
        found = [p for p in _PHASES if p.startswith(phase)]
        if len(found) != 1:
            return f"phase: {phase!r} is none of {', '.join(_PHASES)}"
        fields["phase"] = found[0]
        if not any(fields[name] for name in ("op", "module", "line", "condition")):
            return "name an op, a module, a line or a condition"
        from framework.trace.breakpoints import parse_condition

        try:
            parse_condition(fields["condition"])
        except ValueError as error:
            return str(error)
        return ""
