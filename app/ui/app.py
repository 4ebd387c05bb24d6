"""The program: one notebook on the main screen, a session, and how it all begins and ends."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import App
from textual.binding import Binding
from textual.command import DiscoveryHit, Hit, Hits, Provider

from app.actions import ACTIONS
from app.keymap import Keymap
from app.notebook import Notebook, NotebookError
from app.sanitize import clean
from app.session import BUDGET, Session
from app.ui.crash import Crash
from app.ui.later import AGAIN, PATIENCE, Keys, Turns, later
from app.ui.main import MainScreen
from app.ui.ondisk import OnDisk
from app.ui.screens.confirm import ConfirmScreen
from app.ui.screens.report import ReportScreen
from app.ui.theme import DARK, LIGHT

if TYPE_CHECKING:
    from app.notebook import Lock
    from framework.trace.client import Client
    from framework.trace.playback import Playback

__all__ = ["TapebookApp", "run_ui"]

TIDY = 10.0  # seconds without a change after which garbage is collected
LOOK = 1.0  # seconds between looks at whether another program has changed the file
AUTOSAVE = 4.0  # seconds between looks at whether there is something to save
FRAME = 1 / 30  # seconds between repaints while much comes in
BREATH = 0.006  # seconds between two looks in any case: what else there is to do is done in them
ANSWERS = 0.01  # seconds in which answers are collected before they are shown
MOST = 0.02  # seconds in which events are taken in between two repaints that take as long
LONG = 10.0  # seconds of work in a cell that are not thrown away without a question
IDLE = 0.25  # seconds between looks at whether the kernel lives
LAST_WORDS = 5.0  # seconds that restoring the terminal may take when a signal ends us


class ActionProvider(Provider):
    """The action table in the command palette."""

    async def discover(self) -> Hits:
        for title, help, run in self._entries():
            yield DiscoveryHit(title, run, help=help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for title, help, run in self._entries():
            score = matcher.match(title)
            if score > 0:
                yield Hit(score, matcher.highlight(title), run, help=help)

    def _entries(self) -> Iterator[tuple[str, str, Any]]:
        app = self.app
        assert isinstance(app, TapebookApp)
        seen = set()
        for action in ACTIONS:
            if action.title in seen or action.id == "palette":
                continue
            seen.add(action.title)
            keys = app.keymap.labels(action.id)
            help = f"{keys:<12} {action.help}".rstrip() if keys else action.help
            yield action.title, help, lambda name=action.id: app.main.commands.perform(name)


class TapebookApp(App[int], inherit_bindings=False):
    """The terminal program.

    Args:
        notebook: what is open; empty when attached.
        client: a connection to a running program, or a recording, instead of an own kernel.
        lock: released at the end.
    """

    TITLE = "Tapebook"
    COMMANDS: ClassVar = {ActionProvider}
    BINDINGS: ClassVar = [Binding("ctrl+q", "ask_to_quit", show=False, priority=True)]
    ENABLE_COMMAND_PALETTE = True

    def __init__(
        self,
        notebook: Notebook,
        client: Client | Playback | None = None,
        lock: Lock | None = None,
        theme: str | None = None,
        kernel: bool = True,
    ) -> None:
        super().__init__()
        self.notebook = notebook
        self.session = Session(notebook)
        self.keymap = Keymap()
        self.keys = Keys()
        self.turns = Turns(self)
        self.lock = lock
        self.next_path: str | None = None  # another notebook to open when this one is left
        self.place: tuple[str, int] | None = None  # the cell and line that it was left at
        self.crash: Crash | None = None
        self._handlers: dict[int, Any] = {}  # of signals, to be put back
        self._ends = False
        self._program = client
        self._with_kernel = kernel
        self._last_tick = self._ended = self._last_change = 0.0
        self._repaint = 0.0  # seconds that the last repaint took
        self._woken = False
        self._first_theme = theme
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.main = MainScreen(self.session, notebook, self.keymap)
        self.files = OnDisk(self)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(DARK.variables)

    # -- beginning ---------------------------------------------------------------------------

    def on_mount(self) -> None:
        wanted = {"light": LIGHT.name, "dark": DARK.name}.get(self._first_theme or "", DARK.name)
        self.theme = wanted
        self.push_screen(self.main)
        self._own_loop = asyncio.get_running_loop()
        self._own_context = contextvars.copy_context()
        self._catch_signals()
        self.session.on_message = self._message_came
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        """After the first paint: what takes time."""
        self._restore_session()
        if self.place is not None:
            self.main.notebook.view.select_cell(*self.place)
        if self._program is not None:
            self.session.connect(self._program, attached=True)
        elif self._with_kernel:
            self.session.start_kernel(self.notebook.path)
        self.set_interval(IDLE, self.tick)
        if not self.is_headless:
            threading.Thread(target=self._watch_terminal, daemon=True).start()
        self._tune_garbage_collection()
        self.set_interval(AUTOSAVE, self.autosave)
        if not self.session.attached and not self.notebook.read_only:
            self.set_interval(LOOK, self.files.look)
        for notice in self.notebook.notices:
            self.session.say(notice, problem=True)
        self.notebook.notices.clear()
        self._offer_recovery()
        self.tick()

    def _tune_garbage_collection(self) -> None:
        """A full collection over a long tape takes 0.3 s: it waits until nobody is looking."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 1_000_000)
        self.set_interval(TIDY, self._tidy)

    def _tidy(self) -> None:
        if time.monotonic() - self._last_change > TIDY and gc.get_count()[2] > 20:
            gc.collect()

    def _restore_session(self) -> None:
        """Breakpoints and watches of the last time."""
        if self.notebook.path is None:
            return
        from app.notebook import load_session
        from app.points import of_last_time

        points, watches = of_last_time(load_session(self.notebook.path))
        for fields in points:
            self.session.add_breakpoint(**fields)
        self.session.watches += watches

    def _keep_session(self) -> None:
        if self.notebook.path is None or self.session.attached or self.notebook.read_only:
            return
        import msgspec

        from app.notebook import save_session

        kept: dict[str, Any] = {}
        if self.session.breakpoints:
            kept["breakpoints"] = [msgspec.to_builtins(b) for b in self.session.breakpoints]
        if self.session.watches:
            kept["watches"] = list(self.session.watches)
        save_session(self.notebook.path, kept)

    def _offer_recovery(self) -> None:
        if self.notebook.path is None:
            return
        from app.notebook import discard, find_recovery, recover

        found = find_recovery(self.notebook.path, self.notebook)
        if found is None:
            return
        if found.problem:
            self.session.say(found.problem, problem=True)
            return
        when = time.strftime(" from %H:%M on %d %B", time.localtime(found.saved_at))
        note = "" if found.same_base else "\nThe file has changed since then."

        def done(answer: str | None) -> None:
            if answer == "r":
                with contextlib.suppress(NotebookError):
                    recover(self.notebook, found)
                self.main.notebook.view.update_rows()
                self.session.say("recovered; ctrl+s saves it, z takes it back")
            elif answer == "d":
                discard(found)

        self.push_screen(
            ConfirmScreen(
                f"There is unsaved work{when if found.saved_at else ''}.{note}",
                [("r", "recover it"), ("d", "discard it")],
            ),
            done,
        )

    # -- the pulse ---------------------------------------------------------------------------

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key):
            self.keys.pressed()
        if isinstance(event, (events.Key, events.Paste)) and not event.is_forwarded:
            if not self.turns.keep(event):
                await self.hand_on(event)
            return
        await super().on_event(event)

    async def hand_on(self, event: events.Key | events.Paste) -> None:
        """Its turn has come."""
        target = self.focused or self.screen
        self.turns.begin()
        await super().on_event(event)
        await self.turns.follow(target)

    def _message_came(self) -> None:
        """On the connection's thread: something has arrived."""
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the program has ended
                self._own_loop.call_soon_threadsafe(self.wake, context=self._own_context)

    def wake(self) -> None:
        """Look at what has come: at once, or when the last look is long enough ago."""
        session = self.session
        frame = FRAME if session.state == "running" else ANSWERS
        wait = max(self._last_tick + frame, self._ended + BREATH) - time.monotonic()
        # What a running program sends may wait for a key; where it stands, it is the key's answer.
        patience = PATIENCE if session.state == "running" and not session.stepping else 0.0
        if patience and self.keys.under_way:
            wait = max(wait, AGAIN)
        try:
            if wait <= 0:
                self.tick()
            else:
                later(self, wait, self.tick, patience)
        except Exception as error:  # called by the loop itself, which would only log it
            self._handle_exception(error)

    def tick(self, take: bool = True) -> None:
        """Take in what has come and repaint what it changes; not ``take``: only the latter."""
        self._woken = False
        self._last_tick = time.monotonic()
        budget = max(BUDGET, min(self._repaint, MOST)) if take else 0.0
        changed = self.session.tick(budget)
        if changed:
            self._last_change = self._last_tick
        if changed and self.main.is_mounted:
            began = time.perf_counter()
            self.main.commands.refresh(changed)
            self._repaint = time.perf_counter() - began
        self._ended = time.monotonic()
        if self.session.pending:
            self._message_came()

    # -- files -------------------------------------------------------------------------------

    def save(self, overwrite: bool = False) -> bool:
        """Save the notebook; says what is in the way."""
        from app.notebook import remove_autosave, save

        try:
            save(self.notebook, overwrite=overwrite)
        except NotebookError as error:
            text = str(error)
            self.session.say(text, problem=True)
            if "changed on disk" in text:
                self._ask_overwrite(text)
            self.tick()
            return False
        with contextlib.suppress(NotebookError):
            remove_autosave(self.notebook)
        self._keep_session()
        name = self.notebook.path.name if self.notebook.path is not None else ""
        self.session.say(f"saved {name}")
        self.tick()
        return True

    def save_as(self, text: str, overwrite: bool = False) -> None:
        """Save under another name; the notebook is that file from then on."""
        from app.notebook import lock, save_as

        name = text.strip()
        if not name:
            return
        path = Path(name).expanduser()
        try:
            save_as(self.notebook, path, overwrite=overwrite)
        except NotebookError as error:
            if "exists already" not in str(error):
                self.session.say(str(error), problem=True)
                self.tick()
                return

            def done(answer: str | None) -> None:
                if answer == "o":
                    self.save_as(text, overwrite=True)

            question = f"{clean(name, keep_newlines=False)} exists already."
            self.push_screen(ConfirmScreen(question, [("o", "overwrite it")]), done)
            return
        if self.lock is not None:
            self.lock.release()
        self.lock = lock(self.notebook)
        self._keep_session()
        for notice in self.notebook.notices:
            self.session.say(notice, problem=True)
        if not self.notebook.notices:
            self.session.say(f"saved {path.name}")
        self.notebook.notices.clear()
        self.main.titles()
        self.tick()

    def _ask_overwrite(self, text: str) -> None:
        def done(answer: str | None) -> None:
            if answer == "o":
                self.save(overwrite=True)
            elif answer == "r":
                self.files.reload()
            elif answer == "s":
                self.main.commands.perform("save_as")

        answers = [
            ("o", "overwrite it"), ("r", "reload it (z takes that back)"),
            ("s", "save under another name"),
        ]  # fmt: skip
        self.push_screen(ConfirmScreen(clean(text, keep_newlines=False), answers), done)

    def autosave(self) -> None:
        """Write unsaved work beside the notebook."""
        from app.notebook import autosave

        self.main.notebook.take_text()
        try:
            autosave(self.notebook)
        except NotebookError as error:
            self.session.say(f"no autosave: {error}", problem=True)
            self.tick()

    def open_other(self, text: str) -> None:
        """Leave this notebook for another."""
        if not text:
            return
        from app.notebook import open_notebook
        from framework.trace.tape import Tape
        from framework.trace.tape_format import TapeError

        path = Path(text).expanduser()
        try:
            if path.suffix.lower() == ".tape":
                Tape(path, read=False).refresh(chunks=1)
            else:
                open_notebook(path)
        except (NotebookError, TapeError) as error:
            self.session.say(str(error), problem=True)
            self.tick()
            return
        busy = self.session.busy
        if not busy:
            self._go_on_with(text)
            return

        def done(answer: str | None) -> None:
            if answer == "o":
                self._go_on_with(text)

        name = clean(Path(text).name, keep_newlines=False)
        answers = [("o", f"open {name}; what runs here ends")]
        self.push_screen(ConfirmScreen(f"{busy}.", answers), done)

    def _go_on_with(self, text: str) -> None:
        self.next_path = str(Path(text).expanduser())
        view = self.main.notebook.view
        self.place = (view.cell.id, view.line) if self.notebook.cells else None
        self.ask_to_quit()

    def switch_theme(self) -> None:
        """Dark or light."""
        self.theme = LIGHT.name if self.theme == DARK.name else DARK.name
        self.main.refresh(layout=True)

    # -- ending ------------------------------------------------------------------------------

    def on_key(self, event: events.Key) -> None:
        """A picture of the screen is taken of what lies over the panes as well."""
        if self.screen is not self.main and event.key in self.keymap.keys["screenshot"]:
            event.stop()
            self.main.commands.do_screenshot()
            if isinstance(self.screen, ReportScreen):
                self.screen.tell(self.session.message)

    def action_ask_to_quit(self) -> None:
        self.ask_to_quit()

    def ask_to_quit(self) -> None:
        """Quit, unless there is something to save, or much that would be lost: then ask."""
        if isinstance(self.screen, ConfirmScreen):
            self.screen.dismiss("")
            return
        self.main.notebook.take_text()
        saved = self.session.attached or not self.notebook.dirty or self.notebook.read_only
        busy = "" if self.next_path is not None else self.session.busy_since(LONG)
        if saved and not busy:
            self._leave(0)
            return

        def done(answer: str | None) -> None:
            if answer == "s":
                if self.save():
                    self._leave(0)
            elif answer == "d":
                from app.notebook import remove_autosave

                with contextlib.suppress(NotebookError):
                    remove_autosave(self.notebook)
                self._leave(0)
            elif answer == "q":
                self._leave(0)
            else:
                self.next_path = None

        ends = f"{busy}, and ends with the program." if busy else ""
        if saved:
            self.push_screen(ConfirmScreen(ends, [("q", "quit")]), done)
            return
        name = self.notebook.path.name if self.notebook.path is not None else "The notebook"
        other = Path(self.next_path).name if self.next_path is not None else ""
        then = f"open {clean(other, keep_newlines=False)}" if other else "quit"
        self.push_screen(
            ConfirmScreen(
                f"{clean(name, keep_newlines=False)} has unsaved changes.\n{ends}".rstrip(),
                [("s", f"save and {then}"), ("d", f"discard them and {then}")],
            ),
            done,
        )

    def _leave(self, code: int) -> None:
        self._keep_session()
        self.exit(code, return_code=code)

    def _catch_signals(self) -> None:
        """Python's own handlers: they run even while the loop waits for a terminal that hangs."""
        with contextlib.suppress(ValueError):  # not on the main thread
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT):
                self._handlers[number] = signal.signal(number, lambda n, _: self._end_by_signal(n))

    def _end_by_signal(self, number: int) -> None:
        """Somebody ends us, on any thread: keep the work, restore the terminal, go.

        Textual waits for ever for a terminal that takes no more, or is gone.
        """
        if self._ends:
            return
        self._ends = True
        if not self.is_headless:
            end = threading.Timer(LAST_WORDS, self._end_at_once, (128 + number,))
            end.daemon = True
            end.start()
        self._own_loop.call_soon_threadsafe(self._end, 128 + number)

    def _end(self, code: int) -> None:
        self._keep_work()
        self.exit(code, return_code=code)

    def _end_at_once(self, code: int) -> None:
        """The loop has not come to its end: it stands still, so its state may be read here."""
        self._keep_work()
        os._exit(code)

    def _keep_work(self) -> None:
        for keep in (self.autosave, self._keep_session):
            with contextlib.suppress(Exception):
                keep()

    def _watch_terminal(self) -> None:
        """A terminal can go without a signal; reading from what is left of it never waits."""
        poll = select.poll()
        poll.register(sys.__stdin__.fileno() if sys.__stdin__ is not None else 0, 0)
        while not self._ends:
            if poll.poll(1000):  # nothing but its end was asked for
                self._end_by_signal(signal.SIGHUP)

    def _handle_exception(self, error: Exception) -> None:
        """A bug of ours: the work is kept, the report is written down, then Textual ends."""
        self._keep_work()
        if self.crash is None:
            self.crash = Crash(error)
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """`run_ui` says in a few lines what was the matter, not Textual in screens full of them."""
        self._close_messages_no_wait()

    async def on_unmount(self) -> None:
        self._ends = True
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self.session.close()
        if self.lock is not None:
            self.lock.release()


def run_ui(
    path: str | os.PathLike[str] | None = None, attach: Any = None, theme: str | None = None
) -> int:
    """Open the program; returns the exit status.

    Args:
        path: a notebook; without one (and without ``attach``) the start page.
        attach: a connected `Client` or what `Client.connect` takes.
        theme: "dark" or "light".
    """
    problem = _unusable_terminal()
    if problem:
        print(f"tapebook: {problem}", file=sys.stderr)  # noqa: T201
        return 2
    places: dict[Path, tuple[str, int] | None] = {}  # where the notebooks opened before were left
    try:
        while True:
            app = _make(path, attach, theme)
            if app is None:
                return 0
            file = app.notebook.path.resolve() if app.notebook.path is not None else None
            app.place = places.get(file) if file is not None else None
            code = app.run() or 0
            if app.crash is not None:
                for line in app.crash.lines(app.notebook):
                    print(f"tapebook: {line}", file=sys.stderr)  # noqa: T201
                return 1
            code = app.return_code or code
            if code or app.next_path is None:
                return code
            path, attach = app.next_path, None
            theme = "light" if app.theme == LIGHT.name else "dark"
            if file is not None:
                places[file] = app.place
    except (NotebookError, OSError, ValueError) as error:
        print(f"tapebook: {clean(str(error), keep_newlines=False)}", file=sys.stderr)  # noqa: T201
        return 2


def _make(path: Any, attach: Any, theme: str | None) -> TapebookApp | None:
    from app.notebook import lock, open_notebook

    if attach is not None:
        from app.attach import notebook_for
        from framework.trace.client import Client, SessionError

        try:
            client = attach if isinstance(attach, Client) else Client.connect(attach)
        except SessionError as error:
            raise ValueError(str(error)) from None
        app = TapebookApp(notebook_for(client), client=client, theme=theme)
        app.session.file = client.welcome.file if client.remote else ""
        return app
    if path is not None and Path(path).suffix.lower() == ".tape":
        return _open_recording(Path(path), theme)
    if path is None:
        from app.ui.screens.start import choose

        path = choose(theme)
        if path is None:
            return None
    notebook = open_notebook(path)
    return TapebookApp(notebook, lock=lock(notebook), theme=theme)


def _open_recording(path: Path, theme: str | None) -> TapebookApp:
    """A recording in the place of a program. Its own text is shown, never a file that it names."""
    from app.recording import notebook_of
    from framework.trace.playback import Playback
    from framework.trace.tape_format import TapeError

    try:
        playback = Playback(path)
    except TapeError as error:
        raise ValueError(str(error)) from None
    app = TapebookApp(notebook_of(playback.program, playback.sources), client=playback, theme=theme)
    app.session.file = playback.program
    if playback.note:
        app.notebook.notices.append(playback.note)
    return app


def _unusable_terminal() -> str:
    """Why the screen cannot be drawn here, "" if it can."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return "the output is no terminal; `tapebook run FILE` works without one"
    term = os.environ.get("TERM", "")
    if term in ("dumb", ""):
        what = "this terminal (TERM=dumb)" if term else "a terminal of no kind (TERM is not set)"
        return f"{what} cannot draw a screen; use `tapebook run FILE`"
    return ""
