"""The editor of the one cell that is being edited."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text
from textual import events
from textual.message import Message
from textual.widgets import TextArea

from app.ui.highlight import python, visible
from app.ui.theme import style_of

__all__ = ["CellEditor"]


class CellEditor(TextArea):
    """A text area that highlights Python, shows control characters, leaves on Escape."""

    DEFAULT_CSS = """
    CellEditor {
        layer: editor; position: absolute; border: none; padding: 0;
        background: $surface; scrollbar-size-vertical: 1; overflow-x: hidden;
    }
    CellEditor:focus { border: none; }
    """

    class Left(Message):
        """Escape was pressed: back to command mode."""

    def __init__(self) -> None:
        super().__init__(
            "", show_line_numbers=False, soft_wrap=True, tab_behavior="indent",
            highlight_cursor_line=False, compact=True, max_checkpoints=200,
        )  # fmt: skip
        self.cell = ""
        self.code = True

    def open(self, cell: str, source: str, line: int, code: bool) -> None:
        """Edit another cell, with the cursor at a line (from 1)."""
        self.cell = cell
        self.code = code
        self.load_text(source)
        self.move_cursor((max(0, line - 1), 0))

    @property
    def rows(self) -> int:
        """Rows that the text takes at this width."""
        return max(1, self.wrapped_document.height)

    def get_line(self, line_index: int) -> Text:
        text = Text(visible(self.document.get_line(line_index)), end="", no_wrap=True)
        if self.code:
            lines = python(self.text)
            if line_index < len(lines):
                at = 0
                for span, token in lines[line_index]:
                    style = style_of(token, self.app.current_theme.dark)
                    text.stylize(Style(color=style.color, italic=style.italic), at, at + len(span))
                    at += len(span)
        return text

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            event.stop()
            event.prevent_default()
            self.post_message(self.Left())
            return
        if event.key == "enter" and self.code:
            row, column = self.cursor_location
            before = self.document.get_line(row)[:column]
            indent = before[: len(before) - len(before.lstrip(" "))]
            if before.rstrip().endswith(":"):
                indent += "    "
            if indent:
                event.stop()
                event.prevent_default()
                self.insert("\n" + indent)
                return
        await super()._on_key(event)
