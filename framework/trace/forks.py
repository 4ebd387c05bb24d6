"""Copies of a program that go on by themselves: what-if branches, their baselines, and re-runs.

The model's thread forks the process, at a stop or between two training steps. The copy has the
whole state of the program: tensors, random generators, variables, the tape. It serves viewers at
a socket of its own; the original waits where it was. That costs what the two of them write to
afterwards, and no model has to be taught how to save itself.

Kinds of copies:

========== ====================================================================================
branch     goes on as the user changes it; it may be *adopted*: the original then only waits
           for its end, and ends as it does
baseline   runs unchanged beside a branch, for the difference
checkpoint sleeps at the end of a training step (`checkpoints`)
rerun      a checkpoint's copy: it repeats a step for values that are no longer kept
========== ====================================================================================

A copy that nobody could adopt writes to nothing: its output goes nowhere, and so do the files that
it has open. A branch has them at positions of its own. What code does beyond that (a file that it
opens, a request that it sends) it does again: a copy is the program.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import stat
import sys
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from framework.trace import sink
from framework.trace.edit import edit
from framework.trace.gate import GateError

if TYPE_CHECKING:
    from framework.trace.peer import Peer
    from framework.trace.server import Service

__all__ = ["READY", "Copy", "Forks", "why_not"]

# Our ends of pipes to copies. A process that is forked meanwhile, by whomever, must not keep them
# open: a copy notices the original's end by the end of its pipe.
_ends: set[int] = set()


def keep_end(*descriptors: int) -> None:
    """They are this process's only."""
    _ends.update(descriptors)


def close_end(*descriptors: int) -> None:
    """Close ends that were kept."""
    for descriptor in descriptors:
        _ends.discard(descriptor)
        with contextlib.suppress(OSError):
            os.close(descriptor)


os.register_at_fork(after_in_child=lambda: close_end(*_ends))

_LOOKED_AT = ("branch", "baseline")  # kinds of copies that belong to a viewer
READY = 15.0  # seconds that a copy may take until it answers
ADOPTED = b"a"


def why_not() -> str:
    """Why this process cannot be copied; "" if it can."""
    if not hasattr(os, "fork"):
        return "this system cannot copy a running process"
    cuda = sys.modules.get("cupy_backends.cuda.api.runtime")
    if cuda is not None and sys.modules.get("framework.kernels.cuda") is not None:
        return "a process that uses CUDA cannot be copied; run the model on the CPU for this"
    if shared := _shared_memory():
        return f"a copy would write to memory that the program shares with others: {shared}"
    return ""


def _shared_memory() -> str:
    """A file or segment that is mapped so that writes are seen outside; "" for none."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            for line in file:
                fields = line.split(maxsplit=5)
                if fields[1].startswith("rw") and fields[1].endswith("s"):
                    return fields[5].strip() if len(fields) > 5 else "a segment without a name"
    except OSError:
        pass
    return ""


def lacking() -> list[str]:
    """Names of the program's threads that a copy would not have."""
    own = {threading.get_ident(), threading.main_thread().ident}
    return [
        t.name
        for t in threading.enumerate()
        if t.ident not in own and not t.name.startswith("tapebook-")
    ]


@dataclass(slots=True)
class Copy:
    """A forked child, as its parent knows it."""

    kind: str
    pid: int
    line: int  # the pipe that tells it of the parent's end, and that it is adopted
    word: int = -1  # the pipe on which it asks to be
    name: str = ""  # of its session
    seq: int = 0  # the event at which it was made
    owner: int = 0  # the viewer that asked for it, by its number; 0: the program's own prompt
    who: str = ""  # what that viewer is called


class Forks:
    """Makes the copies of a service's program, and knows those there are.

    Attributes:
        kind: what this process itself is: "" for the program, or one of these.
        before: called on the model's thread before each fork, in the parent.
        after: called with the kind in the child, before it serves anybody.
        copies: the children of this process.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.gate, self.recorder = service.gate, service.recorder
        self.kind = ""
        self.before: list[Callable[[], None]] = []
        self.after: list[Callable[[str], None]] = []
        self.copies: list[Copy] = []
        self._unserved = False  # a copy without a service
        self._heir: Copy | None = None  # the branch that is being adopted
        self.recorded = False  # a copy of a program that is being recorded
        self._ask = -1  # in a copy: the pipe on which it asks to be adopted
        self._released = threading.Event()  # nobody looks at this copy's end any more
        service.register("fork", self._fork)
        service.register("drop", self._drop, control=False)
        service.register("adopt", self._adopt)
        service.register("edit", self._edit)

    # -- requests --------------------------------------------------------------------------------

    def _fork(self, params: dict[str, Any]) -> Future[Any]:
        kind = str(params.get("kind", "branch"))
        if kind not in ("branch", "baseline"):
            raise GateError(f"fork: the kind must be branch or baseline, not {kind!r}")
        if self.kind:
            raise GateError("this is a copy already: edit it, adopt it or drop it")
        if why := self.why_not():
            raise GateError(why)
        asker = self.service.asker
        return self.gate.at_stop(lambda: self._forked(kind, asker))

    def _forked(self, kind: str, asker: Peer | None) -> dict[str, Any]:
        copy = self.fork(kind)
        if asker is not None and not self.kind:
            copy.owner, copy.who = asker.id, asker.who
            self.service.wake()
        return self._described(copy)

    def whose(self) -> list[str]:
        """Who looks at a branch: each viewer once."""
        looked_at = [c for c in list(self.copies) if c.kind == "branch"]
        return list(dict.fromkeys(c.who or "somebody at its prompt" for c in looked_at))

    def end_of(self, owner: int) -> None:
        """A viewer has left: nobody else looks at its branches."""
        for copy in [c for c in self.copies if c.owner == owner and c.kind in _LOOKED_AT]:
            if copy is not self._heir:
                self.end(copy)

    @property
    def served(self) -> bool:
        """Can viewers attach to this process?"""
        return not self._unserved

    def why_not(self) -> str:
        """Why this program cannot be copied; "" if it can."""
        if self.recorder.owner != threading.main_thread().ident:
            return "a program whose model runs in a thread of its own cannot be copied"
        return why_not()

    @staticmethod
    def _described(copy: Copy) -> dict[str, Any]:
        return {
            "name": copy.name, "pid": copy.pid, "kind": copy.kind, "seq": copy.seq,
            "lacks": lacking(),
        }  # fmt: skip

    def _drop(self, params: dict[str, Any]) -> None:
        """End one copy, or all that the viewer has made; in control, also another's by its pid."""
        pid, asker = params.get("pid", 0), self.service.asker
        for copy in [c for c in self.copies if c.kind in _LOOKED_AT]:
            own = asker is None or copy.owner == asker.id
            if copy.pid == pid and not own and asker is not None and asker.role != "control":
                raise GateError(f"drop: that branch is {copy.who}'s")
            if copy.pid == pid or (not pid and own):
                self.end(copy)
        self.service.wake()

    def _adopt(self, params: dict[str, Any]) -> None:
        pid = params.get("pid", 0)
        copy = next((c for c in self.copies if c.pid == pid and c.kind == "branch"), None)
        if copy is None:
            raise GateError(f"adopt: {pid!r} is no branch of this program")
        if self._has_ended(copy):
            raise GateError("adopt: the branch has ended")
        if self.recorder.on_step is not None:
            raise GateError(_RECORDED)
        if self.gate.stop is None:
            raise GateError(f"adopt: the program is {self.gate.state}, not paused")
        if self.recorder.seq != copy.seq:
            raise GateError("adopt: the program has gone on since the branch was made: drop it")

        self._heir = copy  # its maker may hang up before the model's thread stands aside

        def begin() -> None:
            try:
                self.gate.at_stop(lambda: self._stand_in(copy))
            except GateError:
                self._heir = None  # it has gone on meanwhile

        self.service.call(begin)  # after the answer to this

    def _edit(self, params: dict[str, Any]) -> Future[Any]:
        if not self.kind:
            raise GateError("only a branch is edited: fork the program first")
        change = {
            name: params.get(name, default)
            for name, default in (("target", ""), ("value", ""), ("tensor", 0), ("frame", 0))
        }
        if not all(isinstance(change[name], kind) for name, kind in _EDIT.items()):
            raise GateError("edit: target and value are text, tensor and frame are numbers")
        return self.gate.at_stop(lambda: edit(self.gate, **change))

    # -- on the model's thread -------------------------------------------------------------------

    def fork(self, kind: str) -> Copy:
        """Copy the process; returns in the parent, when the copy answers, and in the copy.

        Raises GateError with one line if that cannot be done.
        """
        ready, ready_child = os.pipe()
        copy = self.split(kind, (ready,))
        if copy is None:
            os.set_inheritable(ready_child, False)
            self.settle(kind, ready_child)
            return Copy(kind, os.getpid(), -1, -1, self.service.name, self.recorder.seq)
        os.close(ready_child)
        try:
            self.hear(copy, ready)
        finally:
            os.close(ready)
        return copy

    def split(self, kind: str, close: tuple[int, ...] = ()) -> Copy | None:
        """The bare fork: the copy's description in the parent, None in the copy, which is mute."""
        for call in self.before:
            call()
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            with contextlib.suppress(Exception):  # what is waiting in it would be written twice
                stream.flush()  # type: ignore[union-attr]
        listen, line = os.pipe()
        word, ask = os.pipe()
        active = sink.active
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
                pid = os.fork()
        except OSError as error:
            for end in (listen, line, word, ask):
                os.close(end)
            raise GateError(f"the program cannot be copied: {error.strerror}") from None
        if pid:
            os.close(listen)
            os.close(ask)
            keep_end(line, word)
            copy = Copy(kind, pid, line, word, seq=self.recorder.seq)
            self.copies.append(copy)
            return copy
        sink.active = active
        self._ask = ask
        for descriptor in (line, word, *close):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.copies, self.kind = [], kind
        self.recorded = self.recorder.on_step is not None  # that goes on in the parent only
        self.recorder.on_step = None
        self.service.checkpoints.disown()
        self.service.abandon()
        self.gate.after_fork()
        self._watch(listen)
        if kind == "branch":
            _own_positions()
        else:
            _mute()
        return None

    def settle(self, kind: str, ready: int) -> None:
        """In a copy: serve it, and say under what name."""
        try:
            for call in self.after:
                call(kind)
            label = self.service.name.rpartition("-")[0] or "session"
            self.service.reopen(f"{label}-{kind}")
            self.service.lingers = self._linger
            text = json.dumps({"name": self.service.name})
        except Exception as error:  # the original says it, in the copy nobody listens
            text = json.dumps({"error": f"{type(error).__name__}: {error}"})
        with contextlib.suppress(OSError):
            os.write(ready, text.encode())
        os.close(ready)
        if "error" in json.loads(text):
            os._exit(1)

    def hear(self, copy: Copy, ready: int, patience: float = READY) -> None:
        """Wait for what a copy says when it answers; a copy that does not is ended."""
        end = time.monotonic() + patience
        text = b""
        while (left := end - time.monotonic()) > 0:
            if not select.select([ready], [], [], left)[0]:
                break
            part = os.read(ready, 4096)
            text += part
            if not part or text.endswith(b"}"):
                break
        try:
            found = json.loads(text)
            copy.name = found["name"]
        except (ValueError, KeyError):
            self.end(copy)
            why = "it does not answer"
            with contextlib.suppress(ValueError, KeyError, TypeError):
                why = json.loads(text)["error"]
            raise GateError(f"the program's copy cannot be looked at: {why}") from None

    # -- of the parent ---------------------------------------------------------------------------

    def end(self, copy: Copy) -> None:
        """Kill a copy and forget it."""
        if copy not in self.copies:
            return
        self.copies.remove(copy)
        close_end(copy.line, copy.word)
        with contextlib.suppress(ProcessLookupError):
            os.kill(copy.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(copy.pid, 0)

    def end_all(self) -> None:
        """Kill all copies."""
        self.service.checkpoints.end_all()
        for copy in list(self.copies):
            if copy is not self._heir:
                self.end(copy)

    @staticmethod
    def _has_ended(copy: Copy) -> bool:
        try:
            return os.waitpid(copy.pid, os.WNOHANG)[0] == copy.pid
        except ChildProcessError:  # somebody else has asked
            return True

    def _stand_in(self, copy: Copy) -> NoReturn:
        """The branch is the program from now on: pass signals on to it, and end as it does."""
        self.service.checkpoints.end_all()
        for other in [c for c in self.copies if c is not copy]:
            self.end(other)
        self.gate.on_change = None
        self.service.lingers = None
        self.service.close(f"it goes on as {copy.name}", copy.name)
        with contextlib.suppress(OSError):
            os.write(copy.line, ADOPTED)
        status = _wait_for(copy.pid)
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            with contextlib.suppress(OSError, ValueError):  # some cannot be caught, nor let go
                signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        os._exit(code)

    def wait(self, copy: Copy) -> int:
        """Wait for a copy that has the terminal; its exit status. It may become the program."""
        while copy in self.copies:
            asked = select.select([copy.word], [], [], 0.1)[0]
            if asked and os.read(copy.word, 1) == ADOPTED:
                self._stand_in(copy)
            pid, status = os.waitpid(copy.pid, os.WNOHANG)
            if pid:
                self.copies.remove(copy)
                close_end(copy.line, copy.word)
                return os.waitstatus_to_exitcode(status)
        return 0

    # -- of a copy -------------------------------------------------------------------------------

    def alone(self) -> None:
        """In a copy that nobody is to attach to: its terminal is all that it has."""
        self._unserved = True
        self.gate.on_change = None

    def claim(self) -> None:
        """In such a copy: ask the original to stand aside, and be what it was."""
        if self.recorded:
            raise GateError(_RECORDED)
        os.write(self._ask, ADOPTED)
        self._released.wait(READY)
        self._unserved = False
        self.service.reopen(self.service.name.rpartition("-")[0] or "session")
        self.service.adopted()
        self.gate.on_change = self.service.wake

    def _watch(self, line: int) -> None:
        """End when the original ends; become the program when it is adopted."""

        def watch() -> None:
            with contextlib.suppress(OSError):
                while (word := os.read(line, 1)) == ADOPTED:
                    self.kind = ""
                    if not self._unserved:
                        self.service.adopted()
                    self._released.set()
                assert not word
            self._released.set()
            self.service.close()
            os._exit(0)

        threading.Thread(target=watch, name="tapebook-original", daemon=True).start()

    def _linger(self) -> None:
        """The copy's program is over, but what it did is still to be looked at."""
        if self.kind:
            self.gate.set_state("finished")
            self._released.wait()


_RECORDED = "adopt: this run is recorded, and a branch cannot go on in its recording: drop it"
_EDIT = {"target": str, "value": str, "tensor": int, "frame": int}


def _wait_for(pid: int) -> int:
    """Wait for a process and pass on the signals that were meant for it; its wait status."""

    def pass_on(number: int, frame: object) -> None:
        if not (number == signal.SIGINT and _in_foreground()):  # a terminal tells the whole group
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with contextlib.suppress(ValueError):  # it is not the main thread that waits
            signal.signal(number, pass_on)
    try:
        return os.waitpid(pid, 0)[1]
    except ChildProcessError:
        return 0


def _in_foreground() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _open_files() -> list[tuple[int, str, int, int]]:
    """Descriptors of regular files but for the outputs: (number, path, flags, position)."""
    found = []
    try:
        numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        return []
    for number in sorted(numbers):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if number not in (1, 2) and stat.S_ISREG(os.fstat(number).st_mode):
                with open(f"/proc/self/fdinfo/{number}", encoding="ascii") as info:
                    flags = int(info.read().split("flags:")[1].split()[0], 8)
                path = os.readlink(f"/proc/self/fd/{number}")
                found.append((number, path, flags, os.lseek(number, 0, os.SEEK_CUR)))
    return found


def _own_positions() -> None:
    """Positions in open files are shared with the original, which still needs its own."""
    for number, _, flags, position in _open_files():
        with contextlib.suppress(OSError):
            keep = os.O_ACCMODE | os.O_APPEND
            again = os.open(f"/proc/self/fd/{number}", flags & keep | os.O_CLOEXEC)
            os.lseek(again, position, os.SEEK_SET)
            os.dup2(again, number, inheritable=False)
            os.close(again)


def _mute() -> None:
    """Write nothing that the original has not written."""
    _own_positions()
    null = os.open(os.devnull, os.O_RDWR)
    files = {number for number, *_ in _open_files()}
    for number in (0, 1, 2):
        if number not in files:
            os.dup2(null, number)
    for number, _, flags, _ in _open_files():
        if flags & os.O_ACCMODE != os.O_RDONLY:
            with contextlib.suppress(OSError):
                os.dup2(null, number, inheritable=False)
    os.close(null)
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).fflush(None)
