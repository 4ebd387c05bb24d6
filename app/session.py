"""The debugger's state without a screen: connection, tape, cursor, breakpoints, watches, commands.

The session never waits: what it asks of the kernel comes back through `tick`, which the UI calls
30 times a second and which says what has changed. There are two places on the tape: the *live*
one, where the model is, and the *cursor*, which is what everything on screen shows. A step forward
moves the cursor while it is behind, and the model when it is not.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from app.sanitize import clean
from framework.trace.events import BackwardBegin, OptimBegin, Source
from framework.trace.protocol import (
    Breakpoint,
    Dropped,
    Events,
    Frame,
    Output,
    Reply,
    StateChanged,
    Stop,
    Summary,
    TensorView,
    Variable,
)
from viewers.graph.store import Moment, TraceStore

if TYPE_CHECKING:
    from app.kernel.process import KernelProcess
    from app.notebook.document import Notebook
    from framework.trace.client import Client

__all__ = ["Run", "Session", "Snapshot", "cell_of"]

_CELL = re.compile(r"<cell (.+)>\Z")
_SNAPSHOTS = 500  # stops whose variables are remembered
_LOG = 5_000  # lines of console
BUDGET = 0.012  # seconds that a tick may spend on messages


def cell_of(file: str) -> str:
    """The id in a cell's file name, "" for any other file.

    >>> cell_of("<cell 1f3a>"), cell_of("/home/me/model.py")
    ('1f3a', '')
    """
    match = _CELL.match(file)
    return match[1] if match else ""


@dataclass(slots=True)
class Run:
    """The last run of a cell."""

    state: str = "queued"  # "queued" | "running" | "done" | "failed" | "died"
    began: float = 0.0
    seconds: float = 0.0
    note: str = ""  # shown under the outputs


@dataclass(slots=True)
class Snapshot:
    """What was seen at a live stop: names are only known while the model stands there."""

    seq: int
    stack: list[Frame] = field(default_factory=list)
    variables: dict[int, list[Variable]] = field(default_factory=dict)  # by frame
    watches: dict[str, Variable | str] = field(default_factory=dict)  # a text is an error
    norms: dict[int, float | None] = field(default_factory=dict)  # 2-norm of gradients, by id


class Session:
    """One notebook (or one attached program) and the process that runs it.

    Args:
        notebook: where outputs go; None when attached to a program.
    """

    def __init__(self, notebook: Notebook | None = None) -> None:
        self.notebook = notebook
        self.store = TraceStore()
        self.client: Client | None = None
        self.kernel: KernelProcess | None = None
        self.attached = False
        self.name = ""
        self.state = "starting"  # "idle" | "running" | "paused" | "finished" | "dead"
        self.stop: Stop | None = None
        self.cursor = 0
        self.following = True
        self.stops: list[int] = []
        self.dropped = 0
        self.frame = 0
        self.breakpoints: list[Breakpoint] = []
        self.watches: list[str] = []
        self.snapshots: OrderedDict[int, Snapshot] = OrderedDict()
        self.runs: dict[str, Run] = {}
        self.log: deque[tuple[str, str]] = deque(maxlen=_LOG)  # (text, token), one line each
        self.logged = 0  # lines ever
        self.message = ""
        self.problem = False  # the message is about something that went wrong
        self.changed: set[str] = set()
        self.outputs: set[str] = set()  # cells with new output
        self._queue: deque[str] = deque()
        self._waiting: list[tuple[Future[Any], Callable[[Any], None] | None, bool]] = []
        self._pool: ThreadPoolExecutor | None = None
        self._interrupted = 0.0
        self._open_line = False
        self._checked = 0.0
        self._next_id = 1
        self._moment: tuple[tuple[int, int], Moment] | None = None

    # -- messages for the user ---------------------------------------------------------------

    def say(self, text: str, problem: bool = False) -> None:
        """One line for the status line and the console."""
        self.message = clean(text, keep_newlines=False)
        self.problem = problem
        self._log_line(self.message, "warn" if problem else "note")
        self.changed.add("message")

    def _log_line(self, text: str, token: str = "") -> None:
        self._open_line = False
        self.log.append((text, token))
        self.logged += 1
        self.changed.add("console")

    def _log_text(self, text: str, token: str = "") -> None:
        """Program output, which comes in pieces of lines."""
        for i, part in enumerate(text.split("\n")):
            if i == 0 and self._open_line and self.log:
                before, kind = self.log[-1]
                self.log[-1] = (before + part)[:10_000], kind
            elif part or i < text.count("\n"):
                self.log.append((part[:10_000], token))
                self.logged += 1
        self._open_line = not text.endswith("\n")
        self.changed.add("console")

    # -- the connection ----------------------------------------------------------------------

    def start_kernel(self, directory: Path | None = None) -> None:
        """Start a kernel process in the background; `tick` takes it over when it is up."""
        from app.kernel.process import KernelProcess

        def start() -> KernelProcess:
            kernel = KernelProcess(cwd=directory)
            kernel.start()
            return kernel

        self.state = "starting"
        self._in_background(start, self._kernel_started)

    def _kernel_started(self, kernel: KernelProcess) -> None:
        self.kernel = kernel
        self.connect(kernel.client)

    def connect(self, client: Client, attached: bool = False) -> None:
        """Use a connected client from now on."""
        self.client = client
        self.attached = attached
        welcome = client.welcome
        self.name = welcome.name
        self.state, self.stop = welcome.state, welcome.stop
        self.changed.update(("state", "events", "cursor"))
        if welcome.last_seq and attached:
            self._fetch(welcome.first_seq, welcome.last_seq)
        if self.breakpoints:
            self._send_breakpoints()
        if self.state == "paused":
            self._stopped()
        self._run_queued()

    def close(self) -> None:
        """End: detach from a program, shut an own kernel down."""
        if self.client is not None:
            self.client.close()
            self.client = None
        if self.kernel is not None:
            self.kernel.kill()
            self.kernel = None
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def ask(
        self, method: str, then: Callable[[Any], None] | None = None, *, quiet: bool = False,
        **params: Any,
    ) -> Future[Any] | None:  # fmt: skip
        """Send a request; ``then`` gets its result in a later `tick`, the user its error."""
        if self.client is None:
            if not quiet:
                self.say(self._why_not(), problem=True)
            return None
        try:
            future = self.client.request(method, **params)
        except OSError:
            return None  # the next tick finds the connection closed
        self._waiting.append((future, then, quiet))
        return future

    def _why_not(self) -> str:
        if self.state == "dead":
            return "the kernel is dead: 0 0 starts a new one"
        return "the kernel is still starting" if self.state == "starting" else "not connected"

    def _in_background(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Do something slow in a thread; ``then`` gets its result in a later `tick`."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(2, thread_name_prefix="tapebook")
        self._waiting.append((self._pool.submit(work), then, False))

    # -- what comes in -----------------------------------------------------------------------

    @property
    def waiting(self) -> bool:
        """Has something been asked that is not answered?"""
        return bool(self._waiting)

    def tick(self, budget: float = BUDGET) -> set[str]:
        """Take in what has arrived, for at most ``budget`` seconds; returns what has changed.

        The parts are "events", "cursor", "state", "output", "console", "breakpoints", "watches",
        "snapshot", "runs" and "message".
        """
        end = time.perf_counter() + budget
        client = self.client
        if client is not None:
            inbox = client.inbox
            while inbox and time.perf_counter() < end:
                self._receive(inbox.popleft())
        self._settle()
        now = time.monotonic()
        if now - self._checked > 0.1:
            self._checked = now
            self._check_alive()
        changed, self.changed = self.changed, set()
        return changed

    def _settle(self) -> None:
        """Hand out answers that have come."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        for item in waiting:
            future, then, quiet = item
            if not future.done():
                self._waiting.append(item)
                continue
            if future.cancelled():
                continue
            error = future.exception()
            if error is not None:
                if not quiet:
                    self.say(str(error) or type(error).__name__, problem=True)
                if then is not None and getattr(then, "wants_errors", False):
                    then(error)
                continue
            result = future.result()
            if isinstance(result, Reply):
                result = result.result
            if then is not None:
                then(result)

    def _receive(self, message: Any) -> None:
        if isinstance(message, Events):
            self.store.feed(message.events)
            self.changed.add("events")
            if self.following:
                self.cursor = self.live_seq
                self.changed.add("cursor")
        elif isinstance(message, StateChanged):
            self.state = message.state
            self.stop = message.stop
            self.changed.add("state")
            if message.state == "paused":
                self._stopped()
            elif self.following:
                self.cursor = self.live_seq
                self.changed.add("cursor")
        elif isinstance(message, Output):
            self._output(message)
        elif isinstance(message, Dropped):
            self.dropped += message.last - message.first + 1
            self.changed.add("state")
            self._fetch(message.first, message.last)

    def _fetch(self, first: int, last: int) -> None:
        """Ask for events that are not in the live stream; those still in the ring come."""

        def arrived(result: Any) -> None:
            from framework.trace.events import Event

            events = msgspec.convert(result, list[Event])
            before = self.dropped
            self.store.feed(events)
            self.dropped = max(0, before - len(events))
            if self.following:
                self.cursor = self.live_seq
            self.changed.update(("events", "cursor", "state"))

        self.ask("events", arrived, quiet=True, first=first, last=last)

    def _stopped(self) -> None:
        """The model stands: look at it."""
        assert self.stop is not None
        seq = self.stop.seq
        self.frame = 0
        if not self.stops or self.stops[-1] < seq:
            self.stops.append(seq)
        self.following = True
        self.cursor = seq
        self.changed.update(("cursor", "state"))
        if self.stop.reason not in ("step", "line"):
            text = f"stopped: {self.stop.reason}"
            if self.stop.message:
                text += f": {self.stop.message}"
            self.say(text, problem=self.stop.reason == "exception")
        else:
            self.message = ""
        self._snapshot(seq)

    def _snapshot(self, seq: int) -> None:
        snapshot = Snapshot(seq)
        self.snapshots[seq] = snapshot
        if len(self.snapshots) > _SNAPSHOTS:
            self.snapshots.popitem(last=False)

        def stack(result: Any) -> None:
            snapshot.stack = msgspec.convert(result, list[Frame])
            self.changed.add("snapshot")

        self.ask("stack", stack, quiet=True)
        self._ask_variables(snapshot, 0)
        for expression in self.watches:
            self._ask_watch(snapshot, expression)
        self._refresh_hits()

    def _ask_variables(self, snapshot: Snapshot, frame: int) -> None:
        def arrived(result: Any) -> None:
            found = snapshot.variables[frame] = msgspec.convert(result, list[Variable])
            self.changed.add("snapshot")
            grads = [v.grad.id for v in found if v.grad is not None]

            def norms(result: Any) -> None:
                summaries = msgspec.convert(result, list[Summary | None])
                snapshot.norms.update(
                    (ident, s.norm if s is not None else None) for ident, s in zip(grads, summaries)
                )
                self.changed.add("snapshot")

            if grads:
                self.ask("summary", norms, quiet=True, tensors=grads, seq=snapshot.seq)

        self.ask("variables", arrived, quiet=True, frame=frame)

    def _ask_watch(self, snapshot: Snapshot, expression: str) -> None:
        def arrived(result: Any) -> None:
            if isinstance(result, BaseException):
                snapshot.watches[expression] = str(result)
            else:
                snapshot.watches[expression] = msgspec.convert(result, Variable)
            self.changed.add("watches")

        arrived.wants_errors = True  # type: ignore[attr-defined]
        self.ask("evaluate", arrived, quiet=True, expression=expression, frame=self.frame)

    def _check_alive(self) -> None:
        if self.state in ("dead", "starting", "detached"):
            return
        client, kernel = self.client, self.kernel
        gone = kernel is not None and kernel.poll() is not None
        if not gone and (client is None or not client.closed):
            return
        why = kernel.death if kernel is not None else ""
        self._died(why or ("the program has ended" if self.attached else "kernel died"))

    def _died(self, why: str) -> None:
        client = self.client
        if client is not None:  # what it sent with its last breath
            while client.inbox:
                self._receive(client.inbox.popleft())
            client.close()
        self.client = None
        self.state = "finished" if self.attached else "dead"
        self.stop = None
        self._queue.clear()
        for run in self.runs.values():
            if run.state in ("running", "queued"):
                died = run.state == "running"
                run.state, run.note = ("died", why) if died else ("failed", "")
        self._waiting = [item for item in self._waiting if not item[2] and not item[0].done()]
        self._waiting.clear()
        self.following = True
        self.cursor = self.store.last_seq
        self.say(why if self.attached else f"{why}: 0 0 starts a new one", problem=True)
        self.changed.update(("state", "runs", "cursor", "events", "snapshot"))

    # -- outputs and runs --------------------------------------------------------------------

    def _output(self, message: Output) -> None:
        from app.notebook.document import Display, Error, Stream

        text = ""
        notebook = self.notebook
        if message.kind == "stream":
            text = message.text
            output: Any = Stream(message.name or "stdout", message.text)
        elif message.kind == "error":
            text = "\n".join(message.traceback) + "\n"
            output = Error(message.ename, message.evalue, message.traceback)
        elif message.kind == "clear":
            if notebook is not None:
                notebook.clear_outputs(message.cell, wait=bool(message.data.get("wait")))
            self.outputs.add(message.cell)
            self.changed.add("output")
            return
        else:
            result = message.kind == "result"
            plain = message.data.get("text/plain", "")
            text = f"{plain}\n" if plain else ""
            output = Display(
                message.data, message.metadata, message.count if result else None, result,
                message.metadata.get("display_id"),
            )  # fmt: skip
        if text:
            self._log_text(text, "error" if message.name == "stderr" else "")
        if notebook is not None and message.cell:
            notebook.append_output(message.cell, output)
            self.outputs.add(message.cell)
            self.changed.add("output")

    def run(self, cells: Sequence[str]) -> None:
        """Run cells one after the other, until one fails; while a cell runs they wait."""
        if self.notebook is None:
            self.say("attached to a program: it runs by itself", problem=True)
            return
        if self.state == "dead":
            self.say(self._why_not(), problem=True)
            return
        for cell in cells:
            if cell in self._queue:
                continue
            if self.notebook.cell(cell).kind != "code":
                continue
            self.runs[cell] = Run()
            self._queue.append(cell)
        self.changed.add("runs")
        self._run_queued()

    @property
    def executing(self) -> str:
        """The cell that runs (or is paused), "" if none does."""
        return next((cell for cell, run in self.runs.items() if run.state == "running"), "")

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
        self.go_live()
        self.changed.update(("runs", "output"))

        def ended(result: Any) -> None:
            run.seconds = time.monotonic() - run.began
            failed = isinstance(result, BaseException) or bool(result.get("error"))
            run.state = "failed" if failed else "done"
            if isinstance(result, BaseException):
                run.note = str(result)
            elif self.notebook is not None:
                self.notebook.set_execution_count(cell, result.get("count") or None)
            if failed:
                for other in self._queue:
                    self.runs.pop(other, None)
                self._queue.clear()
            self.outputs.add(cell)
            self.changed.update(("runs", "output"))
            self._run_queued()

        ended.wants_errors = True  # type: ignore[attr-defined]
        self.ask("execute", ended, quiet=True, cell=cell, code=source)

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
            else:
                self.go(seq)
            return
        if self.state == "paused":
            self.ask("step", how=how)
        elif self.state == "running":
            self.say("the model is running: p pauses it")
        elif self.state == "idle":
            self.say("nothing is running: ctrl+r runs the cell, b sets a breakpoint to stop at")
        else:
            self.say(self._why_not() if self.state != "finished" else "the program has finished")

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
        self.ask("step", how="until", target=msgspec.to_builtins(target))

    def pause(self) -> None:
        """Stop a running model at its next event."""
        if self.state != "running":
            self.say("nothing is running")
            return
        self.ask("pause")

    def interrupt(self) -> bool:
        """Break the running cell; True if this is the second time within two seconds."""
        if self.state not in ("running", "paused") and not self.executing:
            self.say("nothing is running (ctrl+q quits)")
            return False
        again = time.monotonic() - self._interrupted < 2.0
        self._interrupted = time.monotonic()
        for cell in self._queue:
            self.runs.pop(cell, None)
        self._queue.clear()
        if self.kernel is not None:
            self.kernel.interrupt()
        else:
            self.ask("interrupt", quiet=True)
        self.say("interrupt sent")
        return again and self.kernel is not None

    def kill(self) -> None:
        """Kill an own kernel."""
        if self.kernel is not None:
            self.kernel.kill()

    def restart(self) -> None:
        """A new kernel: variables and tape are gone, the notebook stays."""
        if self.attached or self.kernel is None:
            self.say("attached to a program: it cannot be restarted from here", problem=True)
            return
        kernel, client = self.kernel, self.client
        self.client = None
        self._queue.clear()
        for run in self.runs.values():
            if run.state in ("running", "queued"):
                run.state = "failed"
        self._waiting.clear()
        self.state, self.stop = "starting", None
        self.store = TraceStore()
        self._moment = None
        self.cursor, self.following = 0, True
        self.stops.clear()
        self.snapshots.clear()
        self.dropped = 0

        def again() -> KernelProcess:
            if client is not None:
                client.close()
            kernel.restart()
            return kernel

        self._in_background(again, self._kernel_started)
        self.say("the kernel is restarting")
        self.changed.update(("state", "events", "cursor", "runs", "snapshot", "reset"))

    # -- breakpoints and watches -------------------------------------------------------------

    def breakpoint_at(self, cell: str, line: int) -> Breakpoint | None:
        """The breakpoint on a line of a cell."""
        file = f"<cell {cell}>"
        return next((b for b in self.breakpoints if b.line == line and b.file == file), None)

    def toggle_breakpoint(self, **where: Any) -> Breakpoint | None:
        """Set a breakpoint, or remove the one that is there; returns it if it was set."""
        same = [
            b for b in self.breakpoints if not b.condition and self._where(b) == self._where_of(where)
        ]
        if same:
            self.remove_breakpoint(same[0].id)
            return None
        return self.add_breakpoint(**where)

    def add_breakpoint(self, **where: Any) -> Breakpoint:
        """Set a breakpoint; the arguments are `Breakpoint`'s."""
        point = Breakpoint(self._next_id, **where)
        self._next_id += 1
        self.breakpoints.append(point)
        self._send_breakpoints()
        return point

    def change_breakpoint(self, ident: int, **fields: Any) -> None:
        """Change fields of a breakpoint."""
        for i, point in enumerate(self.breakpoints):
            if point.id == ident:
                self.breakpoints[i] = msgspec.structs.replace(point, error="", **fields)
        self._send_breakpoints()

    def remove_breakpoint(self, ident: int) -> None:
        """Delete a breakpoint."""
        self.breakpoints = [b for b in self.breakpoints if b.id != ident]
        self._send_breakpoints()

    @staticmethod
    def _where(point: Breakpoint) -> tuple[str, str, str, int]:
        return point.op, point.module, point.file, point.line

    @staticmethod
    def _where_of(where: dict[str, Any]) -> tuple[str, str, str, int]:
        return (
            where.get("op", ""), where.get("module", ""), where.get("file", ""),
            where.get("line", 0),
        )  # fmt: skip

    def _send_breakpoints(self) -> None:
        self.changed.add("breakpoints")
        if self.client is None:
            return  # they are sent when the kernel is up
        points = [msgspec.to_builtins(b) for b in self.breakpoints]
        self.ask("breakpoints", self._accepted, breakpoints=points)

    def _accepted(self, result: Any) -> None:
        known = {b.id: b for b in msgspec.convert(result, list[Breakpoint])}
        self.breakpoints = [known.get(b.id, b) for b in self.breakpoints]
        self.changed.add("breakpoints")

    def _refresh_hits(self) -> None:
        if self.breakpoints:
            self.ask("status", self._status, quiet=True)

    def _status(self, result: Any) -> None:
        points = result.get("breakpoints") if isinstance(result, dict) else None
        if points:
            self._accepted(points)

    def add_watch(self, expression: str) -> None:
        """Evaluate an expression at every stop, and now if the model stands."""
        expression = expression.strip()
        if not expression or expression in self.watches:
            return
        self.watches.append(expression)
        self.changed.add("watches")
        if self.state in ("paused", "idle") and self.client is not None:
            self._ask_watch(self._latest_snapshot(), expression)

    def change_watch(self, index: int, expression: str) -> None:
        """Put another expression in a watch's place."""
        if 0 <= index < len(self.watches):
            del self.watches[index]
            self.add_watch(expression)

    def remove_watch(self, index: int) -> None:
        """Delete a watch."""
        if 0 <= index < len(self.watches):
            del self.watches[index]
            self.changed.add("watches")

    def _latest_snapshot(self) -> Snapshot:
        seq = self.live_seq
        if seq not in self.snapshots:
            self.snapshots[seq] = Snapshot(seq)
        return self.snapshots[seq]

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
            self._ask_variables(snapshot, self.frame)

    @property
    def moment(self) -> Moment:
        """What the tape says about the cursor."""
        key = (self.cursor, self.store.last_seq)
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
        source = self.source
        if source is None:
            return None
        cell = cell_of(source.file)
        return (cell, source.line) if cell else None

    @property
    def origin(self) -> tuple[str, int] | None:
        """The cell and line of the forward op that the backward node at the cursor belongs to."""
        node = self.moment.node if self.cursor else None
        if node is None or not node.source.line or self.place is None:
            return None
        cell = cell_of(node.source.file)
        return (cell, node.source.line) if cell else None

    def source_text(self, source: Source | None) -> str:
        """``cell 4, line 3`` or ``model.py, line 17``."""
        if source is None or not source.line:
            return ""
        cell = cell_of(source.file)
        if cell and self.notebook is not None:
            try:
                return f"cell {self.notebook.index(cell) + 1}, line {source.line}"
            except KeyError:
                return f"a deleted cell, line {source.line}"
        return f"{clean(Path(source.file).name, keep_newlines=False)}, line {source.line}"

    def view(
        self, tensor: int, seq: int, then: Callable[[TensorView | str], None], **options: Any
    ) -> None:
        """Ask for what the inspector draws of a tensor; ``then`` gets it, or an error's text."""

        def arrived(result: Any) -> None:
            if isinstance(result, BaseException):
                then(str(result))
            else:
                then(msgspec.convert(result, TensorView))

        arrived.wants_errors = True  # type: ignore[attr-defined]
        if self.ask("view", arrived, quiet=True, tensor=tensor, seq=seq, **options) is None:
            then(self._why_not())
