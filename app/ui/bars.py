"""The one-line widgets: status line, footer, tab bar, and the prompt that asks for a line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input, Label
from textual.widgets.input import Selection

from app.actions import ACTIONS
from app.keymap import Keymap
from app.ui.describe import one_line
from app.ui.strips import crop, strip_of, width_of, wrap
from framework.trace.events import NodeBegin, ParamUpdate
from viewers.text import Line

if TYPE_CHECKING:
    from app.session import Session

__all__ = ["FooterBar", "Prompt", "StatusBar", "TabBar"]

_STATES = {
    "paused": "stop reverse",
    "asks": "stop reverse",
    "running": "accent reverse",
    "recording": "accent reverse",
    "idle": "good reverse",
    "finished": "good reverse",
    "dead": "error reverse",
    "starting": "dim reverse",
    "reconnecting": "warn reverse",
}


class StatusBar(Widget):
    """Where everything stands, in one line; a message that is too long for it stands above."""

    DEFAULT_CSS = "StatusBar { height: 1; background: $panel; }"
    MOST = 3  # rows of a message; the output tab has all of it

    def __init__(self, session: Session) -> None:
        super().__init__(id="status")
        self.session = session
        self.hint = ""  # what a started key sequence or a mode says

    def fit(self) -> None:
        """What it says may have changed: be as high as that takes, and repaint."""
        rows = self.rows()
        if self.size.width and self.styles.height != len(rows):
            self.styles.height = len(rows)
        self.refresh()

    def on_resize(self) -> None:
        self.fit()

    def rows(self) -> list[Line]:
        """The line, below the rows of a message that does not fit into it."""
        width = self.size.width
        left, right = self.left(width), self.right()
        room = width - width_of(left) - 2
        above: list[Line] = []
        if width_of(right) > room and self.session.message and not self.hint:
            above = list(wrap([(" ", ""), *right], width - 1, 1, words=True))
            most = self.MOST if self.app.size.height >= 16 else 1
            if len(above) > most:
                above[most - 1 :] = [[*above[most - 1], (" …", "")]]
            right = []
        right = crop(right, max(0, room))
        gap = width - width_of(left) - width_of(right) - 1
        return [*above, [*left, (" " * max(0, gap), ""), *right]]

    def render_line(self, y: int) -> Strip:
        rows = self.rows()
        line = rows[min(y, len(rows) - 1)]
        return strip_of(line, self.size.width, self.app.current_theme.dark, "panel")

    def left(self, width: int = 0) -> Line:
        """State, phase, the op under the cursor, the step and the event.

        Of ``width`` columns, what stands in the middle is cut: the module first, then the op.
        """
        session = self.session
        asks = session.questions.open is not None
        state = "asks" if asks else session.state
        line: Line = [(f" {state} ", _STATES.get(state, "reverse")), (" ", "")]
        if session.whatif.branch is not None:
            line += [(f" {session.whatif.words()} ", "warn reverse"), (" ", "")]
        if session.observing:
            line.append(("observing ", "bold warn"))
        if session.level == "off" and session.state == "running":
            line.append(("full speed ", "bold"))
        if not session.cursor:
            return line
        if session.loading:  # what is known last is another phase, perhaps another step
            there = f"{session.store.last_seq} of {session.cursor}"
            return [*line, ("the events up to here are still coming: ", "warn"), (there, "dim")]
        moment = session.moment
        if session.behind:
            back = session.live_seq - session.cursor
            line += [("◀ looking back ", "stop"), (f"{back} events ", "dim")]
        if moment.phase != "idle":
            line.append((f" {moment.phase} ", moment.phase))
        subject = moment.subject
        name = getattr(subject, "name", "") or getattr(subject, "path", "")
        name = name or getattr(subject, "cls", "")
        if isinstance(subject, NodeBegin):
            name += " backward"
        if isinstance(subject, ParamUpdate):
            name = f"update {name}"
        end = f"  event {session.cursor}"
        if moment.step is not None and moment.step.number:
            end = f"  step {moment.step.number}{end}"
        room = width - width_of([*line, (end, "")]) - 1 if width else 1 << 20
        middle: Line = [(f" {one_line(name)}", "bold")] if name else []
        if moment.module and moment.module != name:
            middle.append((f"  {one_line(moment.module)}", "module"))
        return [*line, *crop(middle, max(0, room)), (end, "dim")]

    def right(self) -> Line:
        """The last word to the user, or whose kernel it is."""
        session = self.session
        line: Line = []
        if session.dropped:
            line.append((f"{session.dropped} dropped  ", "warn"))
        if self.hint:
            return [*line, (self.hint, "accent")]
        if session.message:
            return [*line, (session.message, "warn" if session.problem else "text")]
        return [*line, (one_line(session.name), "dim")]


# What needs a program, not the recording of one.
_RUNNING = frozenset(("edit", "run", "run_all", "save", "edit_value", "interrupt"))


class FooterBar(Widget):
    """The keys that are most useful where the focus is; a click on one does it."""

    DEFAULT_CSS = "FooterBar { height: 1; }"

    class Chosen(Message):
        """A key of the footer was clicked."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    def __init__(self, keymap: Keymap) -> None:
        super().__init__(id="footer")
        self.keymap = keymap
        self.place = ""
        self.editing = False
        self.text = ""  # instead of keys
        self.recording = False  # nothing runs, and nothing can be changed
        self._spots: list[tuple[int, int, str]] = []

    def update(self, place: str, editing: bool, text: str, recording: bool) -> None:
        """The focus has moved, or there is something else to say."""
        new = place, editing, text, recording
        if new != (self.place, self.editing, self.text, self.recording):
            self.place, self.editing, self.text, self.recording = new
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        dark = self.app.current_theme.dark
        if self.text:
            return strip_of([(" " + self.text, "accent")], width, dark)
        last = f"{self.keymap.label('help')} help "
        line: Line = [(" ", "")]
        self._spots = []
        if self.editing:
            line += [("esc", "key"), (" leave  ", "dim")]
        at = width_of(line)
        for name, key, short in self._entries():
            size = len(key) + len(short) + 3
            if at + size + len(last) > width:
                break
            self._spots.append((at, at + size, name))
            line += [(key, "key"), (f" {short}  ", "dim")]
            at += size
        at = width - len(last)
        line += [(" " * (at - width_of(line)), ""), (last[:-6], "key"), (" help ", "dim")]
        self._spots.append((at, width, "help"))
        return strip_of(line, width, dark)

    def _entries(self) -> list[tuple[str, str, str]]:
        found = [
            a
            for a in ACTIONS
            if a.footer
            and self.keymap.keys[a.id]
            and (not a.where or self.place in a.where)
            and (a.always or not self.editing)
            and not (self.recording and a.id in _RUNNING)
        ]
        found.sort(key=lambda action: action.footer)
        return [(a.id, self.keymap.label(a.id), a.short) for a in found]

    def on_click(self, event: events.Click) -> None:
        for start, end, name in self._spots:
            if start <= event.x < end:
                self.post_message(self.Chosen(name))


class TabBar(Widget):
    """The titles of the lower tab set, in the line that is its frame."""

    DEFAULT_CSS = "TabBar { height: 1; }"

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self) -> None:
        super().__init__(id="tabs")
        self.tabs: list[tuple[str, str]] = []
        self.active = ""
        self.focused = False
        self._spots: list[tuple[int, int, str]] = []

    def update(self, tabs: list[tuple[str, str]], active: str, focused: bool) -> None:
        """Set the titles; each is (name, title)."""
        if (tabs, active, focused) != (self.tabs, self.active, self.focused):
            self.tabs, self.active, self.focused = tabs, active, focused
            self.refresh()

    def render_line(self, y: int) -> Strip:
        rule = "━" if self.focused else "─"
        token = "accent" if self.focused else "edge"
        line: Line = [(rule, token)]
        self._spots = []
        at = 1
        for name, title in self.tabs:
            here = name == self.active
            text = f" {title} "
            style = ("bold accent" if self.focused else "bold") if here else "dim"
            self._spots.append((at, at + len(text), name))
            line += [(f"▸{title} " if here else text, style), (rule, token)]
            at += len(text) + 1
        rest = self.size.width - width_of(line)
        line.append((rule * max(0, rest), token))
        return strip_of(line, self.size.width, self.app.current_theme.dark, more="")

    def on_click(self, event: events.Click) -> None:
        for start, end, name in self._spots:
            if start <= event.x < end:
                self.post_message(self.Chosen(name))


class Prompt(Horizontal):
    """Asks for one line above the status line; Escape gives up."""

    DEFAULT_CSS = """
    Prompt { height: 1; display: none; background: $panel; }
    Prompt.open { display: block; }
    Prompt > Label { width: auto; padding: 0 1; color: $accent; text-style: bold; }
    Prompt > Input { width: 1fr; border: none; height: 1; padding: 0; background: $panel; }
    Prompt > Input:focus { border: none; }
    Prompt > #prompt-note { color: $dim; text-style: none; }
    """

    class Closed(Message):
        """The prompt has gone; the focus is free."""

    def __init__(self) -> None:
        super().__init__(id="prompt")
        self._done: Callable[[str], bool | None] | None = None
        self._change: Callable[[str, int], str] | None = None
        self._asked: Callable[[], str] | None = None
        self._label = self._note = ""

    def compose(self) -> ComposeResult:
        yield Label("", id="prompt-label", markup=False)
        yield Input(id="prompt-input", compact=True, select_on_focus=False)
        yield Label("", id="prompt-note", markup=False)

    @property
    def is_open(self) -> bool:
        return self.has_class("open")

    def ask(
        self, label: str | Callable[[], str], done: Callable[[str], bool | None], value: str = "",
        change: Callable[[str, int], str] | None = None, *, selected: bool = False,
    ) -> None:  # fmt: skip
        """Ask. ``done`` gets the line on enter; if it returns True, the prompt stays.

        A label that may change while the prompt is open is a function; `relabel` calls it.

        With ``selected``, what is typed first takes the place of ``value``.

        ``change`` is called for each keystroke and for up (-1) and down (1); what it returns is
        shown beside the line.
        """
        self._done, self._change = done, change
        self._asked = label if callable(label) else lambda: label
        self._label = ""
        self._note = ""
        self.relabel()
        line = self.query_one(Input)
        line.value = value
        line.selection = Selection(0 if selected else len(value), len(value))
        self.add_class("open")
        self.screen.set_focus(line)

    def relabel(self) -> None:
        """What is asked about may be another thing by now."""
        if self._asked is not None and (label := self._asked()) != self._label:
            self._label = label
            self.query_one("#prompt-label", Label).update(label)
            self._fit()

    def note(self, text: str) -> None:
        """Say something beside the line."""
        self._note = text
        self._fit()

    def _fit(self) -> None:
        """What is typed has room before what is said beside it."""
        typed = max(12, cell_len(self.query_one(Input).value) + 1)
        room = self.app.size.width - cell_len(self._label) - typed - 4
        shown = crop([(self._note, "")], room) if room >= 8 else []
        self.query_one("#prompt-note", Label).update("".join(text for text, _ in shown))

    def on_resize(self) -> None:
        self._fit()

    def put(self, text: str) -> None:
        """Write something into the line."""
        line = self.query_one(Input)
        line.value = text
        line.cursor_position = len(text)

    def close(self) -> None:
        """Put it away."""
        if self.is_open:
            self.remove_class("open")
            self._done = self._change = self._asked = None
            self.post_message(self.Closed())

    def _changed(self, by: int) -> None:
        if self._change is not None:
            self.note(self._change(self.query_one(Input).value, by))

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.is_open:
            self._changed(0)
            self._fit()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        done = self._done
        if done is None or not done(event.value):
            self.close()

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            event.stop()
            self.close()
        elif event.key in ("up", "down") and self._change is not None:
            event.stop()
            self._changed(-1 if event.key == "up" else 1)
        elif event.key == "shift+enter" and self._change is not None:
            event.stop()
            self._changed(-1)
