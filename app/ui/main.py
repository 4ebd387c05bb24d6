"""The main screen: where the panes are, what the focus is in, and which key does what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from app.keymap import Keymap, show
from app.ui.bars import FooterBar, Prompt, StatusBar, TabBar
from app.ui.commands import Commands
from app.ui.panes.base import Pane
from app.ui.panes.graph import GraphPane
from app.ui.panes.inspector import InspectorPane
from app.ui.panes.lower import LowerPane
from app.ui.panes.notebook import NotebookPane, NotebookView
from app.ui.panes.timeline import TimelinePane

if TYPE_CHECKING:
    from app.notebook.document import Notebook
    from app.session import Session

__all__ = ["MIN_HEIGHT", "MIN_WIDTH", "MainScreen"]

MIN_WIDTH, MIN_HEIGHT = 40, 10
WIDE, MIDDLE = 100, 60  # columns from which three panes, two panes stand beside each other
TALL, SHORT = 32, 16  # rows from which the lower tabs stay open, from which the time line is there

TABLES = ("parameters", "steps", "source", "memory")  # tabs that get more room when looked at

_JUMPS = {
    "n": "notebook", "g": "graph", "i": "inspector", "t": "timeline", "e": "events",
    "v": "variables", "p": "parameters", "s": "steps", "l": "source", "m": "memory",
    "b": "breakpoints", "w": "watches", "o": "console",
}  # fmt: skip
_LETTERS = {name: letter for letter, name in _JUMPS.items()}


class MainScreen(Screen[None]):
    """Notebook, graph and inspector above; time line, tabs, status and keys below."""

    CSS = """
    MainScreen { layout: vertical; }
    #body { height: 1fr; }
    #columns { height: 1fr; }
    .framed {
        border-top: solid $edge; border-title-color: $dim; border-title-align: left;
    }
    .framed:focus, .framed:focus-within, .framed.lit {
        border-top: heavy $accent; border-title-color: $accent; border-title-style: bold;
    }
    .column { border-left: solid $edge; }
    #notebook-pane { width: 11fr; height: 100%; }
    #graph { width: 11fr; height: 100%; }
    #inspector { width: 9fr; height: 100%; overflow-y: scroll; }
    #timeline { height: 3; }
    #lower { height: 9; }
    #lower.folded { height: 1; }
    #too-small {
        display: none; width: 100%; height: 100%; content-align: center middle;
        text-align: center;
    }
    """

    def __init__(self, session: Session, notebook: Notebook, keymap: Keymap) -> None:
        super().__init__()
        self.session = session
        self.keymap = keymap
        self.notebook = NotebookPane(session, notebook)
        self.graph = GraphPane(session)
        self.inspector = InspectorPane(session)
        self.inspector.variable_of = self.graph.variable_of
        self.lower = LowerPane(session)
        self.lower.watches.tensors_of = self.graph.tensors_of
        self.lower.events.called = self.graph.variable_of
        self.timeline = TimelinePane(session, self.lower.memory.read)
        self.prompt = Prompt()
        self.status = StatusBar(session)
        self.footer = FooterBar(keymap)
        self.commands = Commands(self)
        self.columns = Horizontal(id="columns")
        self.body = Vertical(id="body")
        self.too_small = Static("", id="too-small", markup=False)
        self.zoomed = False
        self._titles: dict[str, str] = {}
        self.jumping = False
        self.main = "notebook"  # of the three upper panes, the one last used
        self.second = "notebook"  # what stands beside the graph where two have room
        self._return: Widget | None = None  # where the focus goes after the prompt
        for pane in (self.notebook, self.graph, self.inspector, self.timeline):
            pane.add_class("framed")
        for column in (self.graph, self.inspector):
            column.add_class("column")

    def compose(self) -> ComposeResult:
        with self.body:
            with self.columns:
                yield self.notebook
                yield self.graph
                yield self.inspector
            yield self.timeline
            yield self.lower
        yield self.too_small
        yield self.prompt
        yield self.status
        yield self.footer

    def on_mount(self) -> None:
        self.titles()
        self.set_focus(self.notebook.view)
        self.lay_out()

    # -- layout ------------------------------------------------------------------------------

    def on_resize(self, event: events.Resize) -> None:
        where = self.where
        self.lay_out()
        if self.focused is None and not self.too_small.display:
            self.go_to(where)  # what was too small to show had lost the focus
        self.call_after_refresh(self.commands.reveal)

    def lay_out(self) -> None:
        """Put into sight what has room; what the focus is in always has."""
        width, height = self.app.size
        small = width < MIN_WIDTH or height < MIN_HEIGHT
        self.too_small.display = small
        for part in (self.body, self.status, self.footer):
            part.display = not small
        if small:
            self.too_small.update(
                f"terminal too small ({width}x{height}, need {MIN_WIDTH}x{MIN_HEIGHT})"
            )
            return
        where = self.where
        upper = ("notebook", "graph", "inspector")
        if where in upper:
            self.main = where
            if where != "graph":
                self.second = where
        below = where not in (*upper, "timeline")
        if self.zoomed:
            shown = {where} if where in upper else set()
        elif width >= WIDE:
            shown = set(upper)
        elif width >= MIDDLE:
            shown = {"graph", self.second}
        else:
            shown = {self.main}
        tiny = height < SHORT
        if tiny and below:
            shown = set()
        self.notebook.display = "notebook" in shown
        self.graph.display = "graph" in shown
        self.inspector.display = "inspector" in shown
        self.graph.set_class("notebook" in shown, "column")
        self.inspector.set_class(len(shown) > 1, "column")
        self.columns.display = bool(shown)
        self.timeline.display = where == "timeline" or (not self.zoomed and not tiny)
        self.timeline.styles.height = 3 if height >= TALL or where == "timeline" else 2
        self.lower.display = below or (not self.zoomed and not tiny)
        folded = height < TALL and not below
        self.lower.set_class(folded, "folded")
        if not shown and below:
            self.lower.styles.height = "1fr"
        else:
            tall = 10 if height >= 38 else 8
            if below and self.lower.active.where in TABLES:
                tall = max(tall, min(height * 9 // 20, self.lower.active.count() + 1))
            self.lower.styles.height = 1 if folded else tall
        if not shown and where == "timeline":
            self.timeline.styles.height = "1fr"
        self.titles()

    def titles(self) -> None:
        """The titles of the panes, with a letter to press in jump mode."""
        self._footer()  # a recording offers other keys
        for name, widget, title in (
            ("notebook", self.notebook, self.commands.notebook_title()),
            ("graph", self.graph, self.graph.title_text()),
            ("inspector", self.inspector, "inspector"),
            ("timeline", self.timeline, self.timeline.title_text()),
        ):
            space = "" if widget.has_class("column") else " "  # Textual adds one to a corner
            text = Content(f"{space}{title} ")
            if self.jumping:
                text = Content.assemble(
                    Content.styled(f" {_LETTERS[name]} ", "bold $stop reverse"), f" {title} "
                )
            widget.set_class(self.jumping, "lit")
            if self._titles.get(name) != text.markup:
                self._titles[name] = text.markup
                widget.border_title = text
        self.lower.titles(_LETTERS if self.jumping else {})

    # -- the focus ---------------------------------------------------------------------------

    @property
    def where(self) -> str:
        """The pane that the focus is in, as the action table names it."""
        widget = self._return if self.prompt.is_open else self.focused
        if isinstance(widget, Pane):
            return widget.where
        if widget in (self.notebook.editor, self.notebook.asked.line):
            return "notebook"
        return self.main

    @property
    def editing(self) -> bool:
        """Is the focus in an editor or the prompt?"""
        inputs = (self.notebook.editor, self.notebook.asked.line)
        return self.focused in inputs or self.prompt.is_open

    def pane(self, name: str) -> Pane:
        """A pane by its name in the action table."""
        upper: dict[str, Pane] = {
            "notebook": self.notebook.view,
            "graph": self.graph,
            "inspector": self.inspector,
            "timeline": self.timeline,
        }
        return upper.get(name) or next(p for p in self.lower.panes if p.where == name)

    def go_to(self, name: str) -> None:
        """Focus a pane; it comes into sight if it was not."""
        if self.notebook.editing and name != "notebook":
            self.notebook.leave(focus=False)
        pane = self.pane(name)
        if pane in self.lower.panes:
            self.lower.show(name)
            self.lower.display = True
        if pane not in self.lower.panes:
            for part in (pane, self.notebook if name == "notebook" else pane, self.columns):
                part.display = True
        self.set_focus(pane)

    def order(self) -> list[str]:
        """The panes in the order that tab goes through them."""
        return ["notebook", "graph", "inspector", "timeline", self.lower.active.where]

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        before = self.notebook.size, self.graph.size
        self.lay_out()
        self._footer()
        self.call_after_refresh(self._focused_pane, before)

    def _focused_pane(self, before: tuple[Size, Size]) -> None:
        """A pane that came into sight is brought up to date; others may have shrunk."""
        widget = self.focused
        if isinstance(widget, Pane):
            self.commands.refresh_pane(widget)
        if before != (self.notebook.size, self.graph.size):
            self.commands.reveal()

    def _footer(self) -> None:
        text = ""
        if self.jumping:
            text = "go to: press the letter of a pane; any other key stays here"
        elif self.prompt.is_open:
            text = "enter: do it   esc: leave"
        elif self.focused is self.notebook.asked.line:
            text = "enter: answer   ctrl+d: end of input   ctrl+c: interrupt   esc: leave"
        recording = self.session.state == "recording"
        self.footer.update(self.where, self.editing, text, recording)

    def ask(self, *args: Any, **options: Any) -> None:
        """Open the prompt; the focus comes back when it closes. Arguments are `Prompt.ask`'s."""
        if not self.prompt.is_open:
            self._return = self.focused
        self.prompt.ask(*args, **options)
        self._footer()

    def back_to(self, pane: Pane) -> None:
        """Where the focus is to go when the prompt closes."""
        self._return = pane

    def on_prompt_closed(self, event: Prompt.Closed) -> None:
        if self._return is not None and self._return.is_mounted:
            self.set_focus(self._return)
        self._return = None
        self._footer()

    # -- keys and clicks ---------------------------------------------------------------------

    def on_key(self, event: events.Key) -> None:
        self.call_after_refresh(self.commands.app.keys.answered)
        if self.editing and event.is_printable:
            # Typed before the focus had moved: an editor lets no text pass.
            event.stop()
            if self.focused is not None:
                self.focused.post_message(events.Key(event.key, event.character))
            return
        if self.prompt.is_open:
            return
        if self.too_small.display and event.key != "ctrl+q":
            event.stop()  # nobody should steer what cannot be seen
            return
        if self.jumping:
            event.stop()
            event.prevent_default()
            self.set_jumping(False)
            name = _JUMPS.get(event.key)
            if name is not None:
                self.go_to(name)
            return
        action = self.keymap.press(event.key, self.where, self.editing)
        pending = self.keymap.pending
        hint = f"{show(pending)} …" if pending else ""
        if hint != self.status.hint:
            self.status.hint = hint
            self.status.fit()
        if action is None and not pending:
            return
        if action is not None and not self.commands.perform(action.id):
            return
        event.stop()
        event.prevent_default()

    def set_jumping(self, on: bool) -> None:
        """Jump mode: every pane shows its letter."""
        self.jumping = on
        self.titles()
        self._footer()

    def on_footer_bar_chosen(self, event: FooterBar.Chosen) -> None:
        self.commands.perform(event.action)

    def on_graph_pane_drawn(self, event: GraphPane.Drawn) -> None:
        if event.read and not (self.session.state == "running" and self.session.following):
            self.inspector.again()  # gradients and makers that were not known yet
        self.titles()

    def on_graph_pane_resized(self) -> None:
        self.titles()

    def on_memory_pane_read(self) -> None:
        self.timeline.sync()
        if self.lower.active is self.lower.memory:
            self.lower.fresh()

    def on_tab_bar_chosen(self, event: TabBar.Chosen) -> None:
        self.go_to(event.name)

    def on_pane_selected(self, event: Pane.Selected) -> None:
        self.commands.selected(event.pane, event.row)

    def on_pane_activated(self, event: Pane.Activated) -> None:
        self.commands.activated(event.pane)

    def on_notebook_view_gutter_clicked(self, event: NotebookView.GutterClicked) -> None:
        file, line = self.session.file_line(event.cell, event.line)
        if not self.session.refused():
            self.session.toggle_breakpoint(file=file, line=line)

    def on_cell_editor_left(self) -> None:
        self.notebook.leave()
        self._footer()
