"""The help: the pane that has the focus, then every action with its keys, from the one table."""

from __future__ import annotations

import textwrap
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from app.actions import ABOUT, ACTIONS, GROUPS, Action
from app.keymap import Keymap

__all__ = ["HelpScreen"]

_INTRO = (
    "Letters act while no cell is being edited: Enter edits a cell, Escape leaves it. "
    "What you look at (the cursor) and where the model stands (the live head) are two places: "
    "N and C look back, end is live again. Everything on screen is as of the cursor."
)
_NAMES = {"timeline": "time line", "console": "output"}
_KEYS = 16  # columns of the keys


class HelpScreen(ModalScreen[None]):
    """All keys; any of the closing keys goes back."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; background: $background 60%; }
    HelpScreen > VerticalScroll {
        width: 92%; max-width: 100; height: 92%; background: $surface; padding: 0 2;
        border: round $accent; border-title-color: $accent; border-title-style: bold;
        border-subtitle-color: $dim;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(key, "close", show=False)
            for key in ("escape", "f1", "question_mark", "q", "enter", "space")
        ),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
    ]

    def __init__(self, keymap: Keymap, where: str) -> None:
        super().__init__()
        self.keymap = keymap
        self.where = where  # the pane that is asked about

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = f"help: {_NAMES.get(self.where, self.where)}"
            box.border_subtitle = "↑ ↓ scroll · Esc closes"
            yield Static(self._text())

    def _text(self) -> Content:
        width = max(20, min(100, self.app.size.width * 92 // 100) - 8)
        about = ABOUT.get(self.where, "")
        parts: list[Content | str] = [f"{line}\n" for line in textwrap.wrap(about, width)]
        own = [action for action in ACTIONS if self.where in action.where]
        if own:
            parts.append(Content.styled("\nKeys of this pane\n", "bold $accent"))
        for action in own:
            parts += self._entry(action, width)
        parts.append(Content.styled("\nEverywhere\n", "bold $accent"))
        parts += [Content.styled(f"{line}\n", "$dim") for line in textwrap.wrap(_INTRO, width)]
        for group in GROUPS:
            parts.append(Content.styled(f"\n{group}\n", "bold $accent"))
            for action in ACTIONS:
                if action.group == group and self.where not in action.where:
                    parts += self._entry(action, width)
        return Content.assemble(*parts)

    def _entry(self, action: Action, width: int) -> list[Content]:
        """An action: its keys, its title, where it acts, and a sentence more."""
        keys = self.keymap.labels(action.id)
        if not keys:
            return []
        own = self.where in action.where
        where = f"  [{', '.join(action.where)}]" if 0 < len(action.where) < 3 and not own else ""
        parts = [
            Content.styled(f"  {keys:<{_KEYS}} ", "bold"),
            Content(f"{action.title}"),
            Content.styled(f"{where}\n", "$dim"),
        ]
        for line in textwrap.wrap(action.help, width - _KEYS - 3):
            parts.append(Content.styled(f"{'':<{_KEYS + 3}}{line}\n", "$dim"))
        return parts

    def action_close(self) -> None:
        self.dismiss()

    def action_scroll(self, by: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=by * 3, animate=False)
