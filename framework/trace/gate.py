"""The gate: where the model's thread stops, and what makes it stop.

While the recorder is ``armed``, it shows the gate every event on the model's thread. The gate looks
at the step command in force and at the breakpoints of the op's name; when one of them says so, it
blocks the thread until another thread calls `Gate.resume` or `Gate.interrupt`. Stops at source
lines come from the interpreter's trace hook, which is installed only while somebody steps by line,
pauses, or has a breakpoint on a line; it slows plain Python down two to three times.

Nothing on the model's thread waits for a lock that a service thread holds for longer than a few
assignments, and that only at a stop, never at an event.

>>> import framework as torch
>>> from framework.trace import recording
>>> from framework.trace.gate import Gate
>>> from framework.trace.protocol import Breakpoint
>>> with recording() as tape:
...     gate = Gate(tape)
...     gate.console = lambda stop: print(stop.reason, stop.breakpoint) or "continue"
...     gate.set_breakpoints([Breakpoint(1, op="exp", condition="inf")])[0].error
...     y = torch.ones(2).exp() + (torch.ones(2) * 1000).exp()
''
inf 1
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from types import FrameType
from typing import Any

import msgspec

from framework.trace import frames, records, sink
from framework.trace.breakpoints import Compiled
from framework.trace.events import Source, TensorMeta
from framework.trace.frames import Adhoc
from framework.trace.lines import Lines, call_in_main_thread
from framework.trace.lookout import Lookout
from framework.trace.protocol import Breakpoint, Frame, Stop, Variable
from framework.trace.reader import dtype_name, tensor_meta
from framework.trace.records import (
    BACKWARD_BEGIN,
    CELL_BEGIN,
    CELL_END,
    GRAD,
    MODULE_BEGIN,
    NODE_BEGIN,
    NODE_END,
    OP,
    OP_BEGIN,
    OP_END,
    OPTIM_BEGIN,
    OPTIM_END,
    UPDATE,
)
from framework.trace.worker import raise_in

__all__ = ["STEPS", "Command", "Gate", "GateError", "raised_by"]


class GateError(Exception):
    """A request that cannot be met; one line for the user."""


@dataclass(frozen=True, slots=True)
class Command:
    """What a stopped thread is told; with ``work`` it does that and stays where it is."""

    how: str
    target: Breakpoint | None = None
    work: Callable[[], Any] | None = None
    done: Future[Any] | None = None  # what comes of the work


# -- step commands: each makes a test of raw events ---------------------------------------------

Test = Callable[[tuple[Any, ...]], bool]

_ENDS = frozenset((OP, OP_END, NODE_END, UPDATE))
_PLACES = frozenset((*_ENDS, OP_BEGIN, MODULE_BEGIN, NODE_BEGIN, BACKWARD_BEGIN, OPTIM_BEGIN))
_INTO = frozenset((OP, UPDATE, OP_BEGIN, MODULE_BEGIN, NODE_BEGIN, OPTIM_BEGIN))
_NESTING = frozenset((OP_BEGIN, NODE_BEGIN))


def _next(gate: Gate) -> Test:
    level = gate.depth()
    return lambda raw: raw[2] in _ENDS and gate.depth() <= level


def _into(gate: Gate) -> Test:
    return lambda raw: raw[2] in _INTO


def _out(gate: Gate) -> Test | None:
    begin = gate.innermost(OP_BEGIN, NODE_BEGIN, OPTIM_BEGIN)
    begin = begin or gate.innermost(MODULE_BEGIN) or gate.innermost(BACKWARD_BEGIN)
    if begin is None:
        return None
    seq, end = begin[0], begin[2] + 1
    return lambda raw: raw[2] == end and raw[3] == seq


def _step(gate: Gate) -> Test:
    return lambda raw: raw[2] == OPTIM_END


# What each command makes the model's thread run until; None: until a breakpoint.
STEPS: dict[str, Callable[[Gate], Test | None]] = {
    "next": _next,
    "into": _into,
    "out": _out,
    "step": _step,
    "line": lambda gate: None,  # the trace hook sees to it
    "until": lambda gate: None,  # a breakpoint of its own sees to it
    "continue": lambda gate: None,
}


class Gate:
    """Decides about stops for one recorder, and is where its thread waits.

    Attributes:
        state: "idle" | "running" | "paused" | "finished".
        stop: why and where the thread is blocked; None if it is not.
        break_on_error: stop where an op, a module or a hook raises, before the stack unwinds.
        console: answers stops on the model's own thread, in place of a viewer; it is given the
            stop and returns a command's name (or a `Command`).
        attended: whether somebody is there to answer; nobody stops where nobody answers.
        on_change: called on the model's thread after every change of state; must not block.
        namespace: the names that expressions see when the thread is not stopped.
        observers: called with every event (raw, tensors) on the model's thread.
        settlers: called when a step has ended, for what is known only then.
        actions: by a breakpoint's id, what to call with its stop instead of stopping there.
        stood: the event of each stop that is over, and how long it took in ns.
        predicates: by a breakpoint's id, a function of a tensor that must be true, too.

    >>> import framework as torch
    >>> from framework import trace
    >>> with trace.recording() as tape:
    ...     gate = trace.Gate(tape)
    ...     gate.console = lambda stop: print(stop.reason, tape.read(stop.seq)[0].name) or "next"
    ...     gate.begin("next")
    ...     y = torch.ones(2).exp()
    step ones
    step exp
    """

    def __init__(self, recorder: sink.Recorder) -> None:
        self.recorder = recorder
        self.state = "running"
        self.stop: Stop | None = None
        self.stops = 0
        self.changes = 0  # of the state: tells two stops, or two runs of a cell, apart
        self.break_on_error = False
        self.stood: deque[tuple[int, int]] = deque(maxlen=1000)
        self.console: Callable[[Stop], Any] | None = None
        self.attended: Callable[[], bool] = lambda: True
        self.on_change: Callable[[], None] | None = None
        self.namespace: dict[str, Any] = sys.modules["__main__"].__dict__
        self.adhoc = Adhoc()
        self.observers: tuple[Callable[[tuple[Any, ...], tuple[Any, ...]], None], ...] = ()
        self.settlers: tuple[Callable[[], None], ...] = ()
        self.actions: dict[int, Callable[[Stop], Any]] = {}
        self.predicates: dict[int, Callable[[Any], Any]] = {}
        self._lock = threading.Lock()
        self._commands: SimpleQueue[Command] = SimpleQueue()
        self._error: BaseException | None = None  # that the thread is stopped at
        self._at: FrameType | None = None  # the innermost frame of the stop
        self._at_line = False  # that frame is where the trace hook stopped
        self._test: Test | None = None
        self._stale = False  # the thread must look at what it traces, see _refresh
        self._interrupted = False  # an interrupt came at a bad moment: see on_sigint
        self._breakpoints: list[Compiled] = []
        self._until: list[Compiled] = []
        self._lookout = Lookout(self)
        self._resting = False  # see rest
        self._run_to = 0  # stop at this event, whatever it is
        # The backward node of the newest event, and the gradients that came to it or that it sent.
        self.node: tuple[int, Any, Sequence[Any]] = (0, None, ())
        self._lines = Lines(self._halt_at_line, self._line_counts)
        self._index()
        recorder.gate = self

    # -- on the model's thread: events ----------------------------------------------------------

    def event(self, raw: tuple[Any, ...], tensors: tuple[Any, ...]) -> None:
        """Look at an event; called by the recorder while it is armed."""
        if self._stale or self._interrupted:
            self._refresh()
        kind = raw[2]
        for see in self.observers:
            see(raw, tensors)
        hit = None
        if kind in _ENDS:
            if kind == UPDATE:
                hit = self._lookout.update(raw, tensors[0])
            elif raw[-1]:
                return  # it raised: `error` comes next
            else:
                hit = self._lookout.end(raw, kind, tensors)
        elif kind == GRAD:
            hit = self._lookout.grad(raw, tensors)
        if hit is not None:
            self._halt_at(hit)
        elif self._arrived(raw):
            self._halt("step")
        elif self._lines.pausing and kind in _PLACES:
            self._halt("pause")
        elif kind == CELL_END:
            self._forget_step()
            self._lines.remove()
        elif kind == CELL_BEGIN:
            self._arm()

    def _arrived(self, raw: tuple[Any, ...]) -> bool:
        """Is this where a step, or a run to an event, was to end?"""
        if self._test is not None and self._test(raw):
            return True
        return bool(self._run_to) and raw[0] >= self._run_to

    def settle(self) -> None:
        """A step ends: stop if a tensor of a device, of which it is known only now, hit something.

        Called by the recorder, within the optimizer's step or the cell, after the call of a model
        that nothing goes back through, and when the table of such tensors is full.
        """
        for settle in self.settlers:
            settle()
        if len(self._lookout.flags):
            hit = self._lookout.settle()
            if hit is not None:
                self._halt_at(hit)

    def error(self, kind: int, error: BaseException) -> None:
        """An op or a container raised; called by the recorder for each as the exception passes."""
        if kind == CELL_END or not isinstance(error, Exception):
            return
        self._note(kind, error)
        if not (self.break_on_error or self._test is not None or self._lines.pausing):
            return
        if getattr(error, "_tapebook_seen", False):
            return
        try:
            error._tapebook_seen = True  # type: ignore[attr-defined]
        except AttributeError:
            return  # an exception with slots cannot be told from the next one
        self._error = error
        try:
            self._halt("exception", message=one_line_of(error))
        finally:
            self._error = None

    def _note(self, kind: int, error: Exception) -> None:
        """Let an exception name the event that it came from, not those that it passes."""
        seq = self.recorder.seq
        raw = self.recorder.raw(seq)
        begin = raw[3] if raw is not None and kind != OP else seq
        known = raised_by(error)
        if known is None or not begin < known < seq:  # else it passes; or is raised once more
            with contextlib.suppress(AttributeError):  # it has slots
                error._tapebook_event = seq  # type: ignore[attr-defined]

    def post_mortem(self, error: BaseException, seq: int, look: Callable[[Stop], None]) -> None:
        """The program has ended by ``error``: ``look`` at it, its frames and event ``seq``."""
        self._error = error
        stop = Stop(seq, "exception", self._source(), one_line_of(error))
        console, self.console = self.console, look  # who else is there may look, and no more
        self._stand(stop)
        recorder, sink.active = sink.active, None  # what is evaluated is not the model's
        try:
            look(stop)
        finally:
            sink.active = recorder
            self.console, self._error = console, None
            with self._lock:
                self.stop, self.state = None, "running"
            self.adhoc.clear()
            self._changed()

    def _stand(self, stop: Stop) -> None:
        """The model stands from now on."""
        with self._lock:
            self.stop = stop
            self.state = "paused"
            self.stops += 1
            self.changes += 1
        self._changed()

    def standing(self) -> tuple[str, Stop | None]:
        """The state, and the stop that belongs to it: neither changes in between."""
        with self._lock:
            return self.state, self.stop

    def on_breakpoint(self, *args: Any, **options: Any) -> Any:
        """A `sys.breakpointhook`: ``breakpoint()`` in the model's thread is a stop, too."""
        answered = self.console is not None or self.attended()
        if answered and threading.get_ident() == self.recorder.owner:
            return self._halt("breakpoint()", frame=sys._getframe(1))
        if os.environ.get("PYTHONBREAKPOINT"):
            return sys.__breakpointhook__(*args, **options)
        import pdb

        return pdb.Pdb().set_trace(sys._getframe(1))  # as the interpreter does, at the caller

    def depth(self) -> int:
        """How many composite ops and backward nodes are open."""
        raw = self.recorder.raw
        return sum([(r := raw(seq)) is not None and r[2] in _NESTING for seq in self.recorder.open])

    def innermost(self, *kinds: int) -> tuple[Any, ...] | None:
        """The begin of the innermost open container of these kinds."""
        for seq in reversed(self.recorder.open):
            raw = self.recorder.raw(seq)
            if raw is not None and raw[2] in kinds:
                return raw
        return None

    def switch_off(self, b: Compiled) -> None:
        """It was to stop once."""
        b.spec.enabled = False
        self._index()
        self._stale = True
        self.recorder.lookout = None

    def _forget_step(self) -> None:
        """What was to stop here, or in this cell, does not reach further."""
        self._test = None
        self._lines.forget_step()
        if self._until:
            self._until = []
            self._index()
        self._arm()

    # -- on the model's thread: stopping ----------------------------------------------------------

    def _halt_at(self, b: Compiled, frame: FrameType | None = None) -> None:
        """Stop at a breakpoint; those with a condition are named by it."""
        if b in self._until:
            self._halt("step", frame=frame)
            return
        stop = self._lookout.stop(b, frame)
        self._halt(stop.reason, message=stop.message, breakpoint=b.spec.id, frame=frame)

    def _line_counts(self, b: Compiled) -> bool:
        """A breakpoint's line has come: is it one to stop at? Its limits say."""
        return b.hit() if b in self._until else self._lookout.line(b)

    def _halt_at_line(self, frame: FrameType, b: Compiled | None) -> None:
        """The trace hook has come to a line that ends a step, or has a breakpoint."""
        if self._interrupted:
            self._refresh()
        if b is not None:
            self._halt_at(b, frame)
        else:
            self._halt("pause" if self._lines.pausing else "line", frame=frame)

    def _halt(
        self, reason: str, *, message: str = "", breakpoint: int = 0, frame: FrameType | None = None
    ) -> None:
        """Block until told to go on. Raises KeyboardInterrupt if told to give up."""
        self._run_to = 0
        self._forget_step()
        if self.console is None and not self.attended():
            return
        recorder = self.recorder
        if recorder.seq == recorder.unwatched > 0:  # a moment of its own: before it, who knows
            recorder.mark("looked at again")
        self._at, self._at_line = frame or sys._getframe(1), frame is not None
        stop = Stop(recorder.seq, reason, self._source(), message, breakpoint)
        self._stand(stop)
        began = time.perf_counter_ns()
        try:
            command = self._ask(stop)
        finally:
            self.stood.append((stop.seq, time.perf_counter_ns() - began))
            with self._lock:
                self.stop = None
                self.state = "running"
                while not self._commands.empty():
                    left = self._commands.get()
                    if left.done is not None:
                        left.done.cancel()
            self._at = None
            self.adhoc.clear()
            self._changed()
        if command.how == "interrupt":
            if reason == "exception":
                return  # the program is ending already, by the error that is worth seeing
            raise KeyboardInterrupt
        self._obey(command)

    def _ask(self, stop: Stop) -> Command:
        if self.console is not None:
            recorder, sink.active = sink.active, None  # what it evaluates is not the model's
            try:
                answer = self.console(stop)
            finally:
                sink.active = recorder
            if self.console is not None:  # else this is a copy of the program, which has none
                return answer if isinstance(answer, Command) else Command(answer)
        while True:
            command = self._commands.get()
            if command.work is None:
                return command
            self._work(command)

    def _work(self, command: Command) -> None:
        """Do something at a stop, and tell who asked for it what came of it."""
        work, done = command.work, command.done
        assert work is not None and done is not None
        if not done.set_running_or_notify_cancel():
            return
        recorder, sink.active = sink.active, None
        commands, result, failure = self._commands, None, None
        try:
            result = work()
        except Exception as error:  # raised again by who asked
            failure = error
        finally:
            sink.active = recorder
        if self._commands is not commands:
            return  # this is a copy of the process that was asked
        if failure is not None:
            done.set_exception(failure)
        else:
            done.set_result(result)

    def _obey(self, command: Command) -> None:
        """Set up what the thread runs until."""
        self._test = STEPS[command.how](self)
        if command.how == "line":
            self._lines.step_from(sys._getframe(1))
        elif command.how == "until" and command.target is not None:
            wanted = max(1, command.target.hits)
            command.target.hits = 0
            self._until = [Compiled(command.target, wanted)]
            self._index()
        self._arm()

    def begin(self, how: str) -> None:
        """On the model's thread, before it starts: run until, as after a stop."""
        self._obey(Command(how))

    def _arm(self) -> None:
        """On the model's thread: see every event, and lines, exactly while that is of use."""
        self._stale = False
        stepping = self._test is not None or self._lines.wanted or self._interrupted
        looking = self._lookout.armed or bool(self.observers) or bool(self._run_to)
        self.recorder.inner = stepping
        self.recorder.armed = stepping or looking
        only = not (stepping or self.observers or self._run_to)
        self.recorder.lookout = self._lookout if only else None
        self.recorder.before_step = self._lookout.keep_before if self._lookout.of_updates else None
        self._lines.install(sys._getframe(1))
        if self._stale or self._interrupted:  # another thread has come in between
            self.recorder.armed, self.recorder.lookout = True, None

    def _refresh(self) -> None:
        """Another thread has changed what is wanted of this one."""
        if self._interrupted:
            self._interrupted = False
            raise KeyboardInterrupt
        self._arm()

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()

    # -- on any thread: commands -----------------------------------------------------------------

    def resume(self, how: str, target: Breakpoint | None = None) -> None:
        """Let the stopped thread go on: ``how`` is a key of `STEPS`."""
        if how not in STEPS:
            raise GateError(f"unknown step {how!r}: expected {', '.join(STEPS)}")
        if how == "until":
            if target is None:
                raise GateError("run until what? name an op, a module or a line")
            if error := Compiled(target).spec.error:
                raise GateError(error)
        self._tell(Command(how, target))

    def _tell(self, command: Command) -> None:
        with self._lock:
            if self.stop is None:
                raise GateError(f"the model is {self.state}, not paused")
            if self.console is not None:
                raise GateError("step at the program's own prompt")
            if command.work is None:
                # It counts as running now: a second command must wait for the next stop.
                self.stop = None
                self.state = "running"
            self._commands.put(command)

    def at_stop(self, work: Callable[[], Any]) -> Future[Any]:
        """Have the stopped thread call ``work`` and stay where it is; the future gets the result.

        Raises GateError if it is not stopped.
        """
        done: Future[Any] = Future()
        self._tell(Command("work", None, work, done))
        return done

    def moved(self, message: str) -> None:
        """On the model's thread, at a stop: the tape has grown there, by what ``message`` says."""
        with self._lock:
            if self.stop is not None:
                self.stop = msgspec.structs.replace(
                    self.stop, seq=self.recorder.seq, reason="edit", message=message, breakpoint=0
                )
                self.changes += 1
        self._changed()

    def run_to(self, seq: int) -> None:
        """On the model's thread: stop at event ``seq``, without a change to what is recorded.

        A step that was under way is forgotten.
        """
        self._run_to = seq
        self._forget_step()

    def after_fork(self) -> None:
        """In a forked child: nobody else holds the lock, and no command is on its way."""
        self._lock = threading.Lock()
        self._commands = SimpleQueue()
        self._interrupted = False

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the model's thread, stopped or running."""
        with self._lock:
            if self.stop is not None and self.console is None:
                self.stop = None
                self.state = "running"
                self._commands.put(Command("interrupt"))
                return
        if self.state != "running":
            raise GateError(f"nothing to interrupt: the model is {self.state}")
        self.send_interrupt()

    def send_interrupt(self) -> None:
        """Send the model's thread what Ctrl-C would."""
        thread = self.recorder.owner
        if thread == threading.main_thread().ident:
            signal.pthread_kill(thread, signal.SIGINT)
        else:
            raise_in(thread, KeyboardInterrupt)

    @property
    def interrupt_due(self) -> bool:
        """An interrupt came while the recorder was at work and waits for the next event."""
        return self._interrupted

    def on_sigint(self, signum: int, frame: FrameType | None) -> None:
        """A handler for SIGINT that never cuts a record of the trace in two.

        An interrupt within the recorder is raised at the end of the record; the service sends it
        once more if there is no further event.
        """
        if self.on_change is not None and self.stop is None and _recording(frame):
            self._interrupted = True
            self.recorder.armed, self.recorder.lookout = True, None
            self.on_change()
            return
        self._interrupted = False
        raise KeyboardInterrupt

    def pause(self) -> None:
        """Stop at the next event or source line."""
        if self.state != "running":
            raise GateError(f"nothing to pause: the model is {self.state}")
        self._lines.pausing = True
        self._nudge()

    def set_breakpoints(self, wanted: list[Breakpoint]) -> list[Breakpoint]:
        """Replace all breakpoints; returns them as accepted, with errors and hits."""
        known = {b.spec.id: b for b in self._breakpoints}
        result = []
        for spec in wanted:
            before = known.get(spec.id)
            compiled = Compiled(spec, predicate=self.predicates.get(spec.id))
            if before is not None and _same(before.spec, spec):
                spec.hits = before.spec.hits
                compiled.call = before.call
            elif spec.module and not compiled.terms:
                compiled.call = self._current_call(compiled)
            result.append(compiled)
        self._breakpoints = result
        self._index()
        self._nudge()
        return [b.spec for b in result]

    def rest(self, resting: bool) -> None:
        """Look for nothing, as nobody is there to answer a stop; or look again."""
        if resting == self._resting:
            return
        self._resting = resting
        self._index()
        self._nudge()

    @property
    def breakpoints(self) -> list[Breakpoint]:
        """Those that are set, as they were asked for."""
        return [b.spec for b in self._breakpoints]

    def set_state(self, state: str) -> None:
        """A cell or a script began ("running") or ended ("idle", "finished")."""
        with self._lock:
            self.state = state
            self.changes += 1
            self._interrupted = False
        if state != "running":
            self._lines.pausing = False
        self._changed()

    def observe(self, see: Callable[[tuple[Any, ...], tuple[Any, ...]], None]) -> None:
        """Show every event to ``see`` from now on; it must not keep what it is shown."""
        self.observers = (*self.observers, see)
        self._nudge()

    def ignore(self, see: Callable[[tuple[Any, ...], tuple[Any, ...]], None]) -> None:
        """Show it no more."""
        self.observers = tuple(other for other in self.observers if other != see)
        self._nudge()

    def detach(self) -> None:
        """Nobody is left to answer: let a stopped thread go on."""
        self._lines.pausing = False
        with self._lock:
            if self.stop is not None and self.console is None:
                self.stop = None
                self.state = "running"
                self._commands.put(Command("continue"))

    def _current_call(self, b: Compiled) -> tuple[str, int] | None:
        """A call that is already under way is not stopped at its first op any more."""
        seqs = list(self.recorder.open)
        if not seqs:
            return None
        seq = self._lookout.call_of(b, seqs[-1])
        return ("forward", seq) if seq else None

    def _index(self) -> None:
        """Sort the breakpoints by what can hit them."""
        # What has an action needs nobody to answer it.
        asleep = self._resting
        for b in (*self._breakpoints, *self._until):
            b.learn(self.recorder.naming)
        armed = [
            b
            for b in (*self._breakpoints, *self._until)
            if b.armed and (not asleep or b.spec.id in self.actions)
        ]
        self._lookout.set_breakpoints([b for b in armed if not b.before])
        self._lines.set_breakpoints([b for b in armed if b.before])

    def named(self) -> None:
        """Parameters or modules have got names: breakpoints may mean one of them by its end."""
        if self._breakpoints or self._until:
            self._index()

    def _nudge(self) -> None:
        """Make the model's thread look at what is wanted of it, also if it makes no events."""
        self._stale = True
        self.recorder.armed = self.recorder.inner = True
        self.recorder.lookout = None
        main = self.recorder.owner == threading.main_thread().ident
        if main and self.state == "running" and (self._lines.wanted or self._resting):
            call_in_main_thread(self._look)

    def _look(self) -> None:
        if self.stop is None and self._stale:
            self._lines.install(sys._getframe(1))

    # -- on a service thread: looking ------------------------------------------------------------

    @property
    def at_line(self) -> bool:
        """Whether the stop is before a line (or at ``breakpoint()``), not at an event."""
        return self._at_line and self._at is not None

    def frames(self) -> list[FrameType]:
        """The user's frames of the model's thread, innermost first."""
        at = self._at
        found = frames.user_frames(at or frames.current_frame(self.recorder.owner))
        if at is not None and self._at_line and at not in found:
            found.insert(0, at)  # a breakpoint in a package that is not the user's own
        error = self._error
        if error is not None:
            raised = frames.raised_frames(error)
            found = [f for f in raised if f not in found] + found
        return found

    def _source(self) -> Source:
        """Where the innermost of them stands, or raised."""
        raised = frames.raised_frames(self._error)
        places = (frames.source(frame, raised.get(frame, 0)) for frame in self.frames())
        return next(places, frames.source(None))

    def stack(self) -> list[Frame]:
        """The calls of the stopped thread."""
        return frames.stack(self.frames(), frames.raised_frames(self._error))

    def variables(self, frame: int = 0) -> list[Variable]:
        """The variables of a frame of a stopped thread; else of the namespace."""
        chosen = self.frame_at(frame)
        if chosen is None:
            return frames.variables(self.namespace, self.adhoc, all_names=False)
        top = chosen.f_locals is chosen.f_globals
        return frames.variables(chosen.f_locals, self.adhoc, all_names=not top)

    def evaluate(
        self, expression: str, frame: int = 0, extra: dict[str, Any] | None = None
    ) -> Variable:
        """The value of an expression, as a line; GateError if it has none.

        ``extra`` are names that it may use, too; the program's own come first.
        """
        try:
            value = frames.evaluate(expression, self.frame_at(frame), self.namespace, extra)
        except ValueError as error:
            raise GateError(str(error)) from None
        return frames.variable(frames.one_line(expression, 80), value, self.adhoc)

    def frame_at(self, index: int) -> FrameType | None:
        """A frame of the stopped thread's stack; None if it is not stopped, or has none."""
        if self.stop is None:
            return None
        found = self.frames()
        if not found:
            return None
        if not 0 <= index < len(found):
            raise GateError(f"there is no frame {index}: the stack has {len(found)}")
        return found[index]

    def value(self, ident: int, seq: int = 0) -> tuple[Any, TensorMeta] | None:
        """What a tensor held as of ``seq`` (0: now) and its description; None if not kept."""
        tensor = self.adhoc.get(ident)
        if tensor is not None:
            return tensor._data, tensor_meta(tensor, ident)
        recorder = self.recorder
        leaf = recorder.leaves.get(ident)
        values = recorder.values
        array = values.get(ident, seq) if values is not None else None
        if array is None and leaf is not None and not self._written_since(ident, seq):
            array = leaf._data
        if array is None:
            return None
        meta = tensor_meta(leaf) if leaf is not None else _meta_of(ident, array)
        return array, meta

    def _written_since(self, ident: int, seq: int) -> bool:
        """Whether a tensor's memory was written after ``seq``, as far as the ring goes back."""
        recorder = self.recorder
        if not seq:
            return False
        if recorder.unwatched < 0:  # no write is an event
            return seq < recorder.seq
        if seq <= recorder.unwatched or seq < recorder.first_seq - 1:
            return True
        for number in range(seq + 1, recorder.seq + 1):
            raw = recorder.raw(number)
            if raw is None or (raw[2] == records.WRITE and ident in raw[3]):
                return True
        return False


def _same(a: Breakpoint, b: Breakpoint) -> bool:
    """Do two breakpoints ask for the same?"""
    own = ("id", "enabled", "hits", "error")
    return all(getattr(a, f) == getattr(b, f) for f in a.__struct_fields__ if f not in own)


def _meta_of(ident: int, array: Any) -> TensorMeta:
    """What is known of a tensor of which only the array is kept."""
    device = getattr(array, "device", "cpu")
    name = "cpu" if isinstance(device, str) else f"cuda:{getattr(device, 'id', 0)}"
    return TensorMeta(ident, tuple(array.shape), dtype_name(array.dtype), name)


_UNBROKEN = {
    sink.__file__,
    weakref.finalize.__init__.__code__.co_filename,
    weakref.WeakSet.__init__.__code__.co_filename,
}


def _recording(frame: FrameType | None) -> bool:
    """Is a record of the trace being made in this frame, or in what it was called for?

    Neither can an interrupt be raised in the callback of a weak reference: it would be lost.
    """
    while frame is not None:
        name = frame.f_code.co_filename
        if name in _UNBROKEN:
            return True
        if frames.is_user_frame(frame):
            return False
        frame = frame.f_back
    return False


def raised_by(error: BaseException) -> int | None:
    """The event of the op or of the container that an exception passed first, if any."""
    found = getattr(error, "_tapebook_event", None)
    return found if isinstance(found, int) else None


def one_line_of(error: BaseException) -> str:
    """An exception as one bounded line."""
    try:
        text = str(error)
    except Exception:  # its `__str__` is the user's
        text = ""
    name = type(error).__name__
    return frames.one_line(f"{name}: {text}" if text else name, 500)
