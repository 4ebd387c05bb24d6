"""The debugger's state without a screen: connection, tape, cursor, breakpoints, watches, commands.

The session never waits: what it asks of the kernel comes back through `tick`, which the UI calls
30 times a second and which says what has changed. There are two places on the tape: the *live*
one, where the model is, and the *cursor*, which is what everything on screen shows. A step forward
moves the cursor while it is behind, and the model when it is not.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from app.intake import Intake
from app.places import cell_of, names_of, resolve, spell, spelled
from app.points import Snapshot
from app.questions import Questions
from app.rerun import HINT, Rerun
from app.sanitize import clean
from app.whatif import WhatIf
from framework.trace.events import BackwardBegin, OptimBegin, Source
from framework.trace.inbox import PackedEvents
from framework.trace.protocol import (
    Breakpoint,
    Control,
    Dropped,
    Events,
    Output,
    StateChanged,
    TensorView,
)
from viewers.graph.store import Moment, TraceStore

if TYPE_CHECKING:
    from app.kernel.process import KernelProcess
    from app.notebook.document import Notebook
    from framework.trace.client import Client
    from framework.trace.playback import Playback

__all__ = ["BUDGET", "Run", "Session", "Snapshot"]

BUDGET = 0.012  # seconds that a tick may spend on messages
_LAST_WORDS = 0.5  # seconds in which what a process sent before its end is still read


@dataclass(slots=True)
class Run:
    """The last run of a cell."""

    state: str = "queued"  # "queued" | "running" | "done" | "failed" | "died"
    began: float = 0.0
    seconds: float = 0.0
    note: str = ""  # shown under the outputs


class Session(Intake):
    """One notebook (or one attached program) and the process that runs it.

    Args:
        notebook: where outputs go; None when attached to a program.
    """

    def __init__(self, notebook: Notebook | None = None) -> None:
        super().__init__()
        self.notebook = notebook
        self.kernel: KernelProcess | None = None
        self._file: Path | None = None  # whose kernel it is
        self.name = ""
        self.file = ""  # what the program's file is called where it is not here, as in a recording
        self.runs: dict[str, Run] = {}
        self.outputs: set[str] = set()  # cells with new output
        self.cell = ""  # that runs, as the program says
        self.branches: list[str] = []  # who tries a change in a copy of the program
        self.on_message: Callable[[], None] | None = None  # called on another thread
        self._queue: deque[str] = deque()
        self._stray: deque[str] = deque(maxlen=5000)  # lines that came past the cells
        self._moving = False  # a step was sent, and it has not stopped again
        self._how = ""  # which one
        self._and_then = ""  # the step that was asked for meanwhile
        self._interrupted = 0.0
        self._checked = self._closed = 0.0
        self._moment: tuple[tuple[int, int, int], Moment] | None = None
        self.whatif = WhatIf(self)
        self.rerun = Rerun(self)
        self.questions = Questions(self)

    # -- the connection ----------------------------------------------------------------------

    def start_kernel(self, file: Path | None = None) -> None:
        """Start a kernel process in the background; `tick` takes it over when it is up."""
        from app.kernel.process import KernelProcess

        self._file = file
        path = file.resolve().parent if file is not None else None

        def start() -> KernelProcess:
            kernel = KernelProcess(path=path, file=file or "")
            kernel.on_output = self._stray.append
            kernel.start()
            return kernel

        self.state = "starting"
        self.in_background(start, self._kernel_started, self._not_started)

    def _kernel_started(self, kernel: KernelProcess) -> None:
        again = self.kernel is not None
        self.kernel = kernel
        assert kernel.client is not None
        if again:
            self.say("the kernel is a new one: run the cells again")
        self.connect(kernel.client)

    def _not_started(self, why: str) -> None:
        self.state = "dead"
        self.changed.add("state")
        self.say(f"the kernel did not start: {why}", problem=True)

    def connect(self, client: Client | Playback, attached: bool = False) -> None:
        """Use a connected client, or a recording, from now on."""
        self.client = client
        self.attached = attached
        client.on_message = self.on_message
        welcome = client.welcome
        self.name = welcome.name
        self.state, self.stop, self.cell = welcome.state, welcome.stop, welcome.cell
        self.role, self.holder, self.level = welcome.role, welcome.holder, welcome.level
        self._tell_of_branches(welcome.branches)
        self.changed.update(("state", "events", "cursor"))
        first = max(welcome.first_seq, self.store.last_seq + 1)
        self.dropped += max(0, first - self.store.last_seq - 1) if self.store.last_seq else 0
        self.begin_with(first, welcome.last_seq)  # what happened before we came
        if not attached:
            self.ask("options", break_on_error=True)
        if self.breakpoints and not self.observing:
            self.send_breakpoints()
        elif attached and self.state != "recording":
            self.adopt_breakpoints()
        if self.observing:
            self.say(self.only_watching())
        self.questions.take(welcome.asks)
        if self.state == "paused":
            self._stopped()
        self._run_queued()

    def close(self) -> None:
        """End: detach from a program, shut an own kernel down."""
        self.whatif.close()
        self.rerun.forget()
        self.hang_up()
        if self.kernel is not None:
            self.kernel.kill()
            self.kernel = None

    # -- what comes in -----------------------------------------------------------------------

    def tick(self, budget: float = BUDGET) -> set[str]:
        """Take in what has arrived, for about ``budget`` seconds; returns what has changed.

        With a budget of 0 nothing is taken in, else at least a piece.

        The parts are "events", "cursor", "state", "output", "console", "breakpoints", "watches",
        "snapshot", "runs", "values", "message" and "reset".
        """
        end = time.perf_counter() + budget
        client = self.client
        if budget:
            self.take_coming(end)
        if client is not None:
            inbox = client.inbox
            if self.state == "running" and not client.closed:
                self.keep_up(inbox)
            while budget and inbox and self.has_room and not self.can_take:
                self._receive(self.next_of(inbox), end)
                if time.perf_counter() > end:
                    break
            if budget and (ahead := self.word_ahead(inbox)) is not None:
                self._take_state(ahead)
        while self._stray:
            self.log_text(self._stray.popleft() + "\n", "dim")
        now = time.monotonic()
        self.whatif.tick(now)
        client = self.client
        if now - self._checked > 0.1 or (client is not None and client.closed):
            self._checked = now
            self._check_alive(now)
        if client is None or not client.closed:
            self.settle()
        self._ask_losses(now)
        self.ask_for_lost(now)
        self.watch_hits(now)
        if self.state == "recording" and "events" in self.changed:
            self._take_stops()
        changed, self.changed = self.changed, set()
        return changed

    def _take_stops(self) -> None:
        """Where the program of a recording stood, which is no time that it took."""
        tape = getattr(self.client, "tape", None)
        stops = list(tape.stops) if tape is not None else []  # its thread may add more
        if len(stops) != len(self.store.stood):
            self.store.stood = sorted(stops)

    @property
    def pending(self) -> bool:
        """Is there more to take in?"""
        if self.can_take:
            return True
        return self.client is not None and bool(self.client.inbox) and self.has_room

    @property
    def busy(self) -> str:
        """``cell 4 is paused``, if what runs here ends with the program; "" for nothing."""
        cell = self.executing
        if self.attached or not cell or self.client is None:
            return ""
        return f"{self.cell_text(cell)} {'is paused' if self.state == 'paused' else 'runs'}"

    def busy_since(self, seconds: float) -> str:
        """The same, if it began that long ago."""
        run = self.runs.get(self.executing)
        return self.busy if run is not None and time.monotonic() - run.began >= seconds else ""

    @property
    def under_way(self) -> bool:
        """Was a step sent whose stop, with its events, has not come yet?"""
        return self._moving or self.loading

    @property
    def stepping(self) -> bool:
        """Does the model stand, or will it in a moment?"""
        return self.state == "paused" or (self._moving and self._how != "continue")

    @property
    def waiting_for_stop(self) -> bool:
        """Is anything asked, but for the end of the cell that runs, or a step under way?"""
        asked = self._moving or bool(self._roots) or bool(self._coming)
        return asked or self.waiting > bool(self.executing)

    def _receive(self, message: Any, end: float = math.inf) -> None:
        if isinstance(message, (Events, PackedEvents, Dropped)):
            self.came(message, end)
        elif isinstance(message, StateChanged):
            if self.heard(message):
                self._take_state(message)
            elif message.stop is not None:
                self.note_stop(message.stop.seq)
        elif isinstance(message, Control):
            self.rights(message.role, message.holder, message.taken)
        elif isinstance(message, Output):
            self._output(message)

    def _take_state(self, message: StateChanged) -> None:
        """What the program says of itself."""
        known = self.state == "paused" and self.stop == message.stop and not self._moving
        self.state = message.state
        self.stop = message.stop
        self.level, self.cell = message.level, message.cell
        self.changed.add("state")
        self.questions.take(message.asks)
        self.fill_gaps()
        self._tell_of_branches(message.branches)
        if message.state == "paused":
            if not known:
                self._stopped()
            return
        if message.state == "idle":
            self.count_hits()
        if message.state != "running":
            self.unsay()
        if message.state != "running" or self._how == "continue":
            self._moving = False
        if self.following:
            self.cursor = self.live_seq
            self.changed.add("cursor")

    def _stopped(self) -> None:
        """The model stands: look at it."""
        assert self.stop is not None
        seq = self.stop.seq
        self._moving = False
        self.epoch += 1
        self.frame = 0
        self.note_stop(seq)
        self.following = True
        self.cursor = seq
        self.changed.update(("cursor", "state"))
        how, self._and_then = self._and_then, ""
        if how and self.stop.reason in ("step", "line"):
            self._step(how)
            return
        if self.stop.reason in ("step", "line"):
            self.message = ""
        elif self.stop.reason != "edit":  # the branch says what was changed
            message = self.spell(self.stop.message)
            text = f"stopped at {self._reason()}" + (f": {message}" if message else "")
            if self.stop.breakpoint and message:
                text = message  # what a condition found comes first: the line may be short
            self.say(text, problem=self.stop.reason == "exception")
        self.take_snapshot(seq)

    def _reason(self) -> str:
        stop = self.stop
        assert stop is not None
        if stop.breakpoint:
            return f"breakpoint {stop.breakpoint}"
        whose = "the request of who controls" if self.observing else "your request"
        return {"exception": "an exception", "pause": whose}.get(stop.reason, stop.reason)

    def _check_alive(self, now: float) -> None:
        client, kernel = self.client, self.kernel
        if client is None:
            self.try_again(now, self._connected_again, self._gone_for_good)
            return
        if kernel is None:
            if client.closed:
                if not self.rest_taken(client):
                    return
                if successor := getattr(client, "successor", ""):
                    self._follow(client, successor)
                elif not self.broken(now):
                    self._died(getattr(client, "reason", "") or "the program has ended", True)
            elif self.state != "recording":
                self.keep_alive(now)
            elif news := getattr(client, "news", None):
                self.say(news.popleft())
        elif kernel.poll() is not None:
            self._closed = self._closed or now
            waits = not client.closed and now - self._closed < _LAST_WORDS
            if not waits and self.rest_taken(client):
                self._died(kernel.death)
        elif not client.closed:
            self._closed = 0.0
        elif not self._closed:
            self._closed = now  # how the process ended is known in a moment
        elif now - self._closed > 2.0 and self.rest_taken(client):
            kernel.kill()
            self._died("the connection to the kernel broke")

    def _follow(self, gone: Any, successor: str) -> None:
        """Somebody has adopted a branch: that is the program now, and its tape goes on there."""
        self.client, self.state, self.stop = None, "reconnecting", None
        self.settled()
        self.forget_requests()

        def there(client: Client) -> None:
            self.branches = []
            self.connect(client, attached=True)
            holder = clean(self.holder, keep_newlines=False) or "somebody"
            self.say(f"{holder} adopted a branch: that is the program from here on")

        def lost(why: str) -> None:
            self._died(f"the program goes on as {successor}, which cannot be reached: {why}", True)

        self.in_background(lambda: gone.sibling(successor), there, lost)

    def _tell_of_branches(self, who: list[str]) -> None:
        """What others try while the program stands."""
        before, self.branches = self.branches, who
        names = clean(", ".join(who), keep_newlines=False)
        if self.whatif.entered:
            return  # it is our own
        if who and who != before:
            self.say(f"{names} tries a change in a copy of the program, which waits here meanwhile")
        elif before and not who:
            self.say("the change was dropped: the program stands where it was")

    def _connected_again(self, client: Client) -> None:
        """The link to the program stands again; the tape goes on where it broke off."""
        self._moving, self._and_then = False, ""
        self.epoch += 1
        self.say("connected again")
        self.connect(client, attached=True)

    def _gone_for_good(self, why: str) -> None:
        """A broken link led to no program any more, and it did not say goodbye."""
        what = why.partition(": ")[0]  # which file is missing is no news to who looks at a screen
        self._died(f"{what} without a word: it was killed, or it crashed")

    def take_over(self) -> None:
        """Take control of an attached program from another viewer, with its breakpoints."""
        self.take_control(self.adopt_breakpoints)

    def full_speed(self) -> None:
        """Let the program run without looking, or look again."""
        if self.level == "off":
            self.ask("speed", None, level="")
            self.say("the program is looked at again")
            return
        if self.state not in ("running", "paused"):
            self.say("nothing is running")
            return
        if self.refused():
            return
        self.go_live()

        def reached(level: str) -> None:
            if level == "off":
                self.say("full speed: nothing is recorded (p pauses, F looks again)")
            else:
                self.say("not at full speed: this run is recorded, or watched by rules", True)

        self.ask("speed", reached, level="off")
        if self.state == "paused":
            self._step("continue")

    def _died(self, why: str, ended: bool = False) -> None:
        client = self.client
        if client is not None:
            client.close()
        self.client = None
        self.questions.take(None)
        self.state = "finished" if ended else "dead"
        self.stop = None
        self.epoch += 1
        self._moving, self._and_then = False, ""
        self._forget_queue()
        for cell, run in self.runs.items():
            if run.state == "running":
                run.state, run.note = "died", why
                self.outputs.add(cell)
        self.forget_requests()
        self.following = True
        self.cursor = self.store.last_seq
        self.say(why if self.attached else f"{why}: 0 0 starts a new one", problem=True)
        self.changed.update(("state", "runs", "cursor", "events", "snapshot"))

    # -- outputs and runs --------------------------------------------------------------------

    def _output(self, message: Output) -> None:
        from app.notebook import put_out

        notebook, cells = self.notebook, [message.cell]
        if message.kind == "clear":
            if notebook is not None:
                notebook.clear_outputs(message.cell, wait=message.wait)
        elif message.kind == "update" and notebook is not None:
            cells = notebook.update_display(message.display_id, message.data, message.metadata)
        else:
            output, text = put_out(message, self.spell)
            if text:
                self.log_text(text, "error" if message.name == "stderr" else "")
            if notebook is None or not message.cell:
                return
            notebook.append_output(message.cell, output)
        self.outputs.update(cells)
        self.changed.add("output")

    def run(self, cells: Sequence[str]) -> None:
        """Run cells one after the other, until one fails; while a cell runs they wait."""
        if self.notebook is None:
            self.say("attached to a program: it runs by itself", problem=True)
            return
        if self.state == "dead":
            self.say(self.why_not(), problem=True)
            return
        if self.attached:
            self.say("attached to a program: it runs by itself", problem=True)
            return
        for cell in cells:
            if cell in self._queue:
                continue
            if self.notebook.cell(cell).kind != "code":
                continue
            if cell != self.executing:  # that one is over before it runs again
                self.runs[cell] = Run()
            self._queue.append(cell)
        if self.executing and self.state == "paused":  # nothing would move by itself
            stands = self.cell_text(self.executing)
            self.say(f"{stands} is paused, the others wait for it: c goes on, ctrl+c interrupts")
        self.changed.add("runs")
        self._run_queued()

    def _forget_queue(self) -> None:
        """No cell waits to run any more."""
        self._queue.clear()
        for cell in [cell for cell, run in self.runs.items() if run.state == "queued"]:
            del self.runs[cell]

    @property
    def executing(self) -> str:
        """The cell that runs (or is paused), "" if none does."""
        return next((cell for cell, run in self.runs.items() if run.state == "running"), "")

    def runs_in(self, cell: str) -> bool:
        """Does a cell run, or is it paused, here or in the program that is attached?"""
        if cell in self.runs:
            return self.runs[cell].state == "running"
        if not self.attached or self.state not in ("running", "paused"):
            return False
        if self.cell or self.notebook is None:
            return self.cell == cell
        place = self.place_of(self.stop.source) if self.stop is not None else None
        return place[0] == cell if place is not None else len(self.notebook.cells) == 1

    def _run_queued(self) -> None:
        if self.client is None or self.executing or not self._queue or self.notebook is None:
            return
        cell = self._queue.popleft()
        try:
            source = self.notebook.cell(cell).source
        except KeyError:  # deleted while it waited
            self.runs.pop(cell, None)
            self._run_queued()
            return
        self.notebook.clear_outputs(cell)
        self.outputs.add(cell)
        run = self.runs[cell] = Run("running", time.monotonic())
        self._interrupted = 0.0
        self.go_live()
        self.changed.update(("runs", "output"))

        def ended(result: dict[str, Any] | str) -> None:
            self._cell_ended(cell, run, result)

        self.ask("execute", ended, ended, cell=cell, code=source)

    def await_cell(self) -> None:
        """The cell that runs was sent to another process, of which this one is a copy."""
        cell = self.executing
        if not cell or self.kernel is None:
            return
        run = self.runs[cell]

        def ended(result: dict[str, Any] | str) -> None:
            self._cell_ended(cell, run, result)

        self.ask("await", ended, ended)

    def _cell_ended(self, cell: str, run: Run, result: dict[str, Any] | str) -> None:
        """The answer to `execute`; a text says why there is none."""
        run.seconds = time.monotonic() - run.began
        if isinstance(result, str):
            failed, run.note = True, result
        else:
            failed = bool(result.get("error"))
            if self.notebook is not None:
                self.notebook.set_execution_count(cell, result.get("count") or None)
        run.state = "failed" if failed else "done"
        if failed:
            what = result if isinstance(result, str) else str(result.get("error"))
            wanted = what == "KeyboardInterrupt"
            how = "was interrupted" if wanted else f"failed: {what}"
            self.say(f"{self.cell_text(cell)} {how}", problem=not wanted)
            if not self._interrupted:  # else what waits was asked for since
                self._forget_queue()
        self.outputs.add(cell)
        self.changed.update(("runs", "output"))
        self._run_queued()

    def cell_note(self, cell: str) -> str:
        """What the notebook says under a cell's outputs."""
        run = self.runs.get(cell)
        return run.note if run is not None else ""

    # -- the cursor --------------------------------------------------------------------------

    @property
    def live_seq(self) -> int:
        """Where the model is on the tape."""
        if self.state == "paused" and self.stop is not None:
            return self.stop.seq
        return self.store.last_seq

    @property
    def behind(self) -> bool:
        """Is the cursor before the place where the model is?"""
        return self.cursor < self.live_seq

    @property
    def loading(self) -> bool:
        """Has the tape not yet come to where the model stands?"""
        return self.cursor > self.store.last_seq

    def go(self, seq: int) -> None:
        """Look at another moment."""
        live = self.live_seq
        seq = max(min(seq, live), min(self.store.first_seq, live))
        self.cursor = seq
        self.following = seq >= live
        self.changed.add("cursor")

    def go_live(self) -> None:
        """Look at where the model is, and follow it."""
        self.following = True
        if self.cursor != self.live_seq:
            self.cursor = self.live_seq
            self.changed.add("cursor")

    def forward(self, how: str) -> None:
        """A step forward: along the tape while the cursor is behind, else of the model."""
        if self.behind:
            if how == "continue":
                seq = next((s for s in self.stops if s > self.cursor), None)
            else:
                seq = self.store.next_stop(self.cursor, how)
            if seq is None or seq >= self.live_seq:
                self.go_live()
                if how == "continue" and self.state == "paused":
                    self.say("this is where the model stands: c once more runs on")
            else:
                self.go(seq)
            return
        if self.refused():
            return
        if self.state == "paused" or self._moving:
            self._step(how)
        elif self.state == "running":
            asked = self.questions.words()
            self.say(asked or "the model is running: p pauses it", while_running=not asked)
        elif self.state == "idle":
            self.say("nothing is running: ctrl+r runs the cell, b sets a breakpoint to stop at")
        else:
            self.say(self.why_not() if self.state != "finished" else "the program has finished")

    def _step(self, how: str, target: Breakpoint | None = None) -> None:
        """Let the model go on; a key that is held down waits for the stop before."""
        if self._moving:
            self._and_then = "" if target is not None else how
            return
        self._moving, self._how = True, how
        self.epoch += 1
        params = {} if target is None else {"target": msgspec.to_builtins(target)}
        self.ask("step", None, self._refused, how=how, **params)

    def settled(self) -> None:
        """No step is under way: what was asked for meanwhile was asked of another process."""
        self._moving, self._and_then, self._moment = False, "", None
        self.forget_coming()

    def _refused(self, why: str) -> None:
        self._moving = False
        self.say(why, problem=True)

    def later(self) -> None:
        """One op forward on the tape, never of the model."""
        if self.behind:
            self.forward("next")
        else:
            self.say("this is where the model is")

    def back(self) -> None:
        """One op back on the tape."""
        seq = self.store.previous_stop(self.cursor, "next")
        if seq is None:
            self.say("this is the first op on the tape")
        else:
            self.go(seq)

    def back_stop(self) -> None:
        """Back to the stop before this moment."""
        seq = next((s for s in reversed(self.stops) if s < self.cursor), None)
        if seq is None or seq < self.store.first_seq:
            self.say("the model was not stopped before this moment")
        else:
            self.go(seq)

    def run_until(self, target: Breakpoint) -> None:
        """Let the model run until an op, a module or a line is reached."""
        if self.state != "paused":
            self.forward("until")
            return
        self.go_live()
        self._step("until", target)

    def pause(self) -> None:
        """Stop a running model at its next event."""
        if self.state == "paused":
            self.say("it is paused already: c runs on")
            return
        if self.state != "running":
            self.say("nothing is running")
            return
        if self.questions.open is not None:
            self.say(f"it pauses when it is answered: {self.questions.words()}")
        self.ask("pause")

    def interrupt(self) -> bool:
        """Break the running cell; True if this is the second time within two seconds."""
        if self.state not in ("running", "paused") and not self.executing:
            self.say("nothing is running (ctrl+q quits)")
            return False
        again = time.monotonic() - self._interrupted < 2.0
        self._interrupted = time.monotonic()
        self._forget_queue()
        if self.kernel is not None and self.whatif.branch is None:
            self.kernel.interrupt()
        else:
            self.ask("interrupt")
        self.say("interrupt sent")
        return again and self.kernel is not None

    def kill(self) -> None:
        """Kill an own kernel."""
        if self.kernel is not None:
            self.kernel.kill()

    def restart(self) -> None:
        """A new kernel: variables and tape are gone, the notebook stays."""
        if self.attached:
            self.say("attached to a program: it cannot be restarted from here", problem=True)
            return
        if self.state == "starting":
            self.say("the kernel is still starting")
            return
        self.whatif.drop()
        self.rerun.forget()
        if self.kernel is None:  # the first one did not start
            self.start_kernel(self._file)
            self.say("the kernel is starting")
            self.changed.add("state")
            return
        kernel, client = self.kernel, self.client
        self.client = None
        self._queue.clear()
        for run in self.runs.values():
            if run.state in ("running", "queued"):
                run.state = "failed"
        self.forget_requests()
        self.epoch += 1
        self._moving, self._and_then = False, ""
        self.questions.take(None)
        self.state, self.stop, self.cell = "starting", None, ""
        self.store = TraceStore()
        self._moment = None
        self.cursor, self.following = 0, True
        self.stops.clear()
        self.forget_coming()
        self.losses.clear()
        self._roots.clear()
        self.snapshots.clear()
        self.dropped = 0

        def again() -> KernelProcess:
            if client is not None:
                client.close()
            kernel.restart()
            return kernel

        self.in_background(again, self._kernel_started, self._not_started)
        self.say("the kernel is restarting")
        self.changed.update(("state", "events", "cursor", "runs", "snapshot", "reset"))

    # -- what is known at the cursor ---------------------------------------------------------

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest snapshot at or before the cursor; its ``seq`` says whether it is exact."""
        best = None
        for seq, snapshot in self.snapshots.items():
            if seq <= self.cursor and (best is None or seq >= best.seq):
                best = snapshot
        return best

    def select_frame(self, by: int) -> None:
        """To the caller's frame (1) or back to the callee's (-1)."""
        snapshot = self.snapshot
        if snapshot is None or not snapshot.stack:
            self.say("no call stack is known at this moment")
            return
        self.frame = max(0, min(self.frame + by, len(snapshot.stack) - 1))
        self.changed.add("snapshot")
        if self.frame not in snapshot.variables and snapshot.seq == self.live_seq:
            self.ask_variables(snapshot, self.frame)

    @property
    def moment(self) -> Moment:
        """What the tape says about the cursor."""
        key = (self.cursor, self.store.last_seq, len(self.store))
        if self._moment is None or self._moment[0] != key:
            self._moment = key, self.store.moment(self.cursor)
        return self._moment[1]

    @property
    def source(self) -> Source | None:
        """The line of the user's code that runs at the cursor."""
        if not self.behind and self.stop is not None and self.state == "paused":
            return self.stop.source
        moment = self.moment
        if moment.phase in ("backward", "optimizer"):
            for event in (*reversed(moment.stack), moment.subject):
                if isinstance(event, (BackwardBegin, OptimBegin)):
                    return event.source
        return moment.source

    @property
    def place(self) -> tuple[str, int] | None:
        """The cell and line where the model stands as of the cursor; None while it is idle."""
        if self.state in ("idle", "finished", "dead", "starting") and not self.behind:
            return None
        return self.place_of(self.source)

    @property
    def origin(self) -> tuple[str, int] | None:
        """The cell and line of the forward op that the backward node at the cursor belongs to."""
        node = self.moment.node if self.cursor else None
        return self.place_of(node.source) if node is not None and self.place is not None else None

    def place_of(self, source: Source | None) -> tuple[str, int] | None:
        """The cell of the notebook and the line in it; None for any other place."""
        if source is None or not source.line or self.notebook is None:
            return None
        cell = cell_of(source.file)
        if cell:
            return cell, source.line
        if source.file and source.file == (self.file or str(self.notebook.path)):
            return self.notebook.cell_at(source.line)
        return None

    def file_line(self, cell: str, line: int) -> tuple[str, int]:
        """The other way round: what a breakpoint on a line of a cell names."""
        if self.attached and self.notebook is not None:
            start = self.notebook.location(cell)
            if start is not None:
                return self.file or str(self.notebook.path), start + line - 1
        return f"<cell {cell}>", line

    def named(self, point: Breakpoint) -> Breakpoint:
        """A breakpoint as it is written: cells by their numbers."""
        return spelled(point, self.cell_names)

    def resolved(self, point: Breakpoint) -> Breakpoint:
        """A breakpoint that may name a cell by its number; ValueError if there is none such."""
        file = self.file or (self.notebook.path if self.notebook is not None else "") or ""
        return resolve(point, self.notebook, str(file) if self.attached else "")

    @property
    def cell_names(self) -> dict[str, str]:
        """``cell 3`` by the cell's id."""
        return names_of(self.notebook) if self.notebook is not None else {}

    def spell(self, text: str) -> str:
        """A text in which cells are called by their numbers."""
        return spell(text, self.cell_names) if "<cell " in text else text

    def breakpoint_at(self, cell: str, line: int) -> Breakpoint | None:
        """The breakpoint on a line of a cell."""
        file, line = self.file_line(cell, line)
        return next((b for b in self.breakpoints if b.line == line and b.file == file), None)

    def cell_text(self, cell: str) -> str:
        """``cell 4``; "" for none."""
        if not cell or self.notebook is None:
            return ""
        try:
            return f"cell {self.notebook.index(cell) + 1}"
        except KeyError:
            return "a deleted cell"

    def source_text(self, source: Source | None) -> str:
        """``cell 4, line 3`` of what the notebook shows in cells, else ``model.py:17``."""
        if source is None or not source.line:
            return ""
        place = self.place_of(source)
        if place is not None and (cell_of(source.file) or self._in_cells):
            return f"{self.cell_text(place[0])}, line {place[1]}"
        return f"{clean(Path(source.file).name, keep_newlines=False)}:{source.line}"

    @property
    def _in_cells(self) -> bool:
        """Is the notebook more than the text of a script without cells?"""
        return self.notebook is not None and len(self.notebook.cells) > 1

    def view(
        self, tensor: int, seq: int, then: Callable[[TensorView | str], None], **options: Any
    ) -> None:
        """Ask for what the inspector draws of a tensor; ``then`` gets it, or an error's text."""

        def gone(why: str) -> None:
            if self.rerun.covers(seq):
                self.rerun.view(tensor, seq, then, **options)
            elif why.endswith("no longer kept") and self.state != "recording":
                then(f"{why}: {HINT}")
            else:
                then(why)

        self.ask("view", then, gone, tensor=tensor, seq=seq, **options)
