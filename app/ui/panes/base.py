"""What all panes share: one line-API widget over rows that are made when they come into sight.

A pane never holds a widget per row. It says how many rows there are (`count`) and what one looks
like (`row`, a line of spans); selection, scrolling, mouse and the strip cache are here.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from app.sanitize import clean
from app.ui.strips import strip_of
from viewers.text import Line

if TYPE_CHECKING:
    from app.session import Session

__all__ = ["Pane"]


class Pane(ScrollView, can_focus=True):
    """Rows of text, one of them selected.

    A subclass gives `count` and `row`, and calls `update_rows` when what they say has changed.
    """

    DEFAULT_CSS = """
    Pane { overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }
    """

    #: The pane's name in the action table.
    where: ClassVar[str] = ""
    #: What an empty pane says.
    empty: str = ""
    #: Rows before the first one that can be selected; they stay in sight.
    header: ClassVar[int] = 0
    #: False: rows are for reading, the arrows scroll.
    selectable: ClassVar[bool] = True

    class Selected(Message):
        """Another row was selected by the user."""

        def __init__(self, pane: Pane, row: int) -> None:
            super().__init__()
            self.pane = pane
            self.row = row

    class Activated(Message):
        """A row was clicked twice; the same as enter on it."""

        def __init__(self, pane: Pane, row: int) -> None:
            super().__init__()
            self.pane = pane
            self.row = row

    def __init__(self, session: Session, id: str) -> None:
        super().__init__(id=id)
        self.session = session
        self.selected = self.header
        self._rows = -1

    # -- what a subclass gives ---------------------------------------------------------------

    def count(self) -> int:
        """How many rows there are."""
        return 0

    def row(self, index: int, width: int) -> Line:
        """What a row shows, without the column that marks the selection."""
        return []

    def ground(self, index: int) -> str:
        """The ground of a row that is not selected: a key of `theme.LINE` or ""."""
        return ""

    # -- drawing -----------------------------------------------------------------------------

    def update_rows(self) -> None:
        """Rows have changed: count them again and repaint."""
        count = self.count()
        if count != self._rows:
            self._rows = count
            self._set_height(max(count, 1))
        if self.selectable:
            self.selected = max(self.header, min(self.selected, count - 1))
        self.refresh()

    def _set_height(self, rows: int) -> None:
        """Tell Textual how high the content is; a new layout (10 ms) only for a scroll bar."""
        height = self.container_size.height
        size = Size(self.room, rows)
        if (rows > height) != (self.virtual_size.height > height):
            self.virtual_size = size
        else:
            self.set_reactive(Pane.virtual_size, size)
            self._scroll_update(size)

    @property
    def room(self) -> int:
        """Columns beside the scroll bar."""
        return self.scrollable_content_region.width

    def on_resize(self) -> None:
        self._rows = -1
        self.update_rows()

    def render_line(self, y: int) -> Strip:
        width = self.room
        dark = self.app.current_theme.dark
        index = self.index_at(y)
        if index >= self.count():
            words = textwrap.wrap(self.empty, max(8, width - 2)) if not self.count() else []
            words = words[index : index + 1]
            return strip_of([(f" {word}", "dim") for word in words], width, dark)
        mark, ground = "", self.ground(index)
        if self.selectable:
            chosen = index == self.selected and index >= self.header
            if chosen:
                ground = "select" if self.has_focus else (ground or "quiet")
            mark = "▌" if chosen and self.has_focus else " "
        line = self.row(index, width - len(mark))
        if mark:
            line = [(mark, "accent"), *line]
        return strip_of(line, width, dark, ground)

    def index_at(self, y: int) -> int:
        """The row that is drawn at a height of the pane."""
        return y if y < self.header else self.scroll_offset.y + y

    def clean(self, text: str) -> str:
        """One line of untrusted text, safe to draw."""
        return clean(text, keep_newlines=False)

    # -- moving ------------------------------------------------------------------------------

    def select(self, index: int, *, tell: bool = True) -> None:
        """Select a row and bring it into sight."""
        index = max(self.header, min(index, self.count() - 1))
        if index < self.header:
            return
        changed = index != self.selected
        self.selected = index
        self.show_row(index)
        self.refresh()
        if tell and changed:
            self.post_message(self.Selected(self, index))

    def show_row(self, index: int, margin: int = 0) -> None:
        """Scroll as little as needed for a row to be in sight."""
        height = max(self.size.height, 1)
        margin = min(margin, (height - 1) // 2)
        top = self.scroll_offset.y
        if index < top + margin + self.header:
            self.jump(index - margin - self.header)
        elif index >= top + height - margin:
            self.jump(index - height + 1 + margin)

    def jump(self, y: float) -> None:
        """Scroll to a row at once."""
        self.scroll_to(y=max(0, y), animate=False, immediate=True, force=True)

    def move(self, rows: int) -> None:
        """The arrow and page keys."""
        if self.selectable:
            self.select(self.selected + rows)
        else:
            self.jump(self.scroll_offset.y + rows)

    def go_top(self) -> None:
        """The home key."""
        if self.selectable:
            self.select(self.header)
        self.jump(0)

    @property
    def page(self) -> int:
        """Rows that a page key moves."""
        return max(1, self.size.height - 1)

    # -- mouse and focus ---------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        index = self.index_at(offset.y)
        if self.selectable and self.header <= index < self.count():
            self.clicked(index, offset.x)
            if event.chain == 2:
                self.post_message(self.Activated(self, index))

    def clicked(self, index: int, x: int) -> None:
        """The mouse was clicked on a row."""
        self.select(index)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()
