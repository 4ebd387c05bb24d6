"""A question with a few answers, each a key."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

__all__ = ["ConfirmScreen"]


class ConfirmScreen(ModalScreen[str]):
    """Asks; the result is the key of the answer, "" for Escape.

    Args:
        question: plain text.
        answers: (key, what it does) each.
    """

    DEFAULT_CSS = """
    ConfirmScreen { align: center middle; background: $background 60%; }
    ConfirmScreen > Vertical {
        width: auto; min-width: 36; max-width: 90%; height: auto; padding: 1 2;
        background: $surface; border: round $accent;
    }
    ConfirmScreen Static { width: auto; max-width: 100%; }
    """

    def __init__(self, question: str, answers: list[tuple[str, str]]) -> None:
        super().__init__()
        self.question = question
        self.answers = answers

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(self.question))
            yield Static("")
            for number, (key, text) in enumerate(self.answers):
                yield Static(
                    Content.assemble(
                        Content.styled(f" {key} ", "bold $accent reverse"), f"  {text}"
                    ),
                    id=f"answer-{number}",
                )
            yield Static(
                Content.assemble(
                    Content.styled(" esc ", "bold $dim reverse"), Content.styled("  cancel", "$dim")
                )
            )

    def on_key(self, event: events.Key) -> None:
        event.stop()
        if event.key == "escape":
            self.dismiss("")
        elif any(event.key == key for key, _ in self.answers):
            self.dismiss(event.key)

    def on_click(self, event: events.Click) -> None:
        for number, (key, _) in enumerate(self.answers):
            if event.widget is not None and event.widget.id == f"answer-{number}":
                self.dismiss(key)
