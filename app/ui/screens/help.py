"""The help: the pane that has the focus, then every action with its keys, from the one table.

``/`` looks for words in it: what is left are the actions that have them all.
"""

from __future__ import annotations

import textwrap
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

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
    HelpScreen > Vertical {
        width: 92%; max-width: 100; height: 92%; background: $surface;
        border: round $accent; border-title-color: $accent; border-title-style: bold;
        border-subtitle-color: $dim;
    }
    HelpScreen VerticalScroll { height: 1fr; padding: 0 2; background: $surface; }
    HelpScreen Input {
        display: none; height: 1; border: none; padding: 0 2; background: $panel;
    }
    HelpScreen Input:focus { border: none; }
    HelpScreen.small > Vertical { width: 100%; height: 100%; }
    HelpScreen.small VerticalScroll { padding: 0 1; }
    HelpScreen.searching Input { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(key, "close", show=False)
            for key in ("escape", "f1", "question_mark", "q", "enter", "space")
        ),
        Binding("slash", "search", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
    ]

    def __init__(self, keymap: Keymap, where: str) -> None:
        super().__init__()
        self.keymap = keymap
        self.where = where  # the pane that is asked about

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = f"help: {_NAMES.get(self.where, self.where)}"
            yield Input(placeholder="words: breakpoint, gradient, ctrl+r ...", compact=True)
            with VerticalScroll():
                yield Static(self._text())

    def on_mount(self) -> None:
        self._hint()
        self.query_one(VerticalScroll).focus()

    def _hint(self) -> None:
        words = "Esc: all keys" if self.searching else "/ search · Esc closes"
        scroll = "" if self.app.size.width < 50 else "↑ ↓ scroll · "
        self.query_one(Vertical).border_subtitle = scroll + words

    def on_resize(self) -> None:
        width, height = self.app.size
        self.set_class(width < 60 or height < 16, "small")

    @property
    def searching(self) -> bool:
        return self.has_class("searching")

    @property
    def _width(self) -> int:
        return max(20, min(100, self.app.size.width * 92 // 100) - 8)

    def _text(self) -> Content:
        """All of it."""
        width = self._width
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

    def _found(self, text: str) -> Content:
        """The actions in which all words of a text are."""
        words = text.split()
        parts: list[Content | str] = []
        for group in GROUPS:
            found = [a for a in ACTIONS if a.group == group and self._has(a, words)]
            entries = [part for action in found for part in self._entry(action, self._width)]
            if entries:
                parts += [Content.styled(f"\n{group}\n", "bold $accent"), *entries]
        return Content.assemble(*(parts or [f"\nno key has to do with {text.strip()!r}\n"]))

    def _has(self, action: Action, words: list[str]) -> bool:
        keys = {*self.keymap.labels(action.id).split(), *self.keymap.keys[action.id]}
        text = " ".join((action.title, action.help, action.group, *action.where)).lower()
        return all(word.lower() in text or word in keys for word in words)

    def _entry(self, action: Action, width: int) -> list[Content]:
        """An action: its keys, its title, where it acts, and a sentence more."""
        keys = self.keymap.labels(action.id)
        if not keys:
            return []
        own = self.where in action.where
        where = f"  [{', '.join(action.where)}]" if 0 < len(action.where) < 3 and not own else ""
        narrow = width < 3 * _KEYS  # what the key does stands below it
        indent = 4 if narrow else _KEYS + 3
        rows = textwrap.wrap(f"{action.title}{where}", width - indent)
        parts = [Content.styled(f"  {keys:<{_KEYS}} ", "bold")]
        if narrow:
            parts.append(Content("\n"))
        for i, row in enumerate(rows):
            title, bracket, rest = row.partition("  [" if where else "\0")
            parts.append(Content(" " * indent if i or narrow else ""))
            parts += [Content(title), Content.styled(f"{bracket}{rest}\n", "$dim")]
        for line in textwrap.wrap(action.help, width - indent):
            parts.append(Content.styled(f"{'':<{indent}}{line}\n", "$dim"))
        return parts

    def on_input_changed(self, event: Input.Changed) -> None:
        text = event.value
        self.query_one(Static).update(self._found(text) if text.strip() else self._text())
        self.query_one(VerticalScroll).scroll_home(animate=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.query_one(VerticalScroll).focus()

    def on_key(self, event: events.Key) -> None:
        if isinstance(self.focused, Input) and event.key in ("up", "down"):
            event.stop()
            self.action_scroll(-1 if event.key == "up" else 1)

    def action_search(self) -> None:
        self.add_class("searching")
        self._hint()
        self.query_one(Input).focus()

    def action_close(self) -> None:
        """Away with the search, if there is one, else with the help."""
        if not self.searching:
            self.dismiss()
            return
        self.remove_class("searching")
        self._hint()
        self.query_one(Input).value = ""
        self.query_one(VerticalScroll).focus()

    def action_scroll(self, by: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=by * 3, animate=False)

    def action_page(self, by: int) -> None:
        box = self.query_one(VerticalScroll)
        box.scroll_relative(y=by * max(1, box.size.height - 1), animate=False)
