"""A recording in the place of a session: what a viewer asks of a running program, from a file.

`Playback` has what `framework.trace.client.Client` has for whoever looks: an inbox that events come
into (also those that are still being written), and `request`. What would need the program is
refused, with one line for the user.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from framework.trace.check import Check, check_recorded
from framework.trace.client import RequestError
from framework.trace.compute import computed
from framework.trace.events import TensorMeta
from framework.trace.frames import Adhoc
from framework.trace.measure import measure
from framework.trace.protocol import (
    PROTOCOL_VERSION,
    Dropped,
    Events,
    Summary,
    TensorView,
    Variable,
    Welcome,
)
from framework.trace.reader import tensor_meta
from framework.trace.session import Session
from framework.trace.summary import view
from framework.trace.tape import Tape, TapeError

__all__ = ["Playback"]

BATCH = 2000  # events in one message
AHEAD = 20  # messages that wait to be taken in before more is read
PIECE = 8  # chunks that are read between two looks at what is asked
FOLLOW = 0.25  # seconds between looks at a file that is being written
REPLY_EVENTS = 20_000  # events in one answer
_NOT_CLOSED = "the recording was not closed: what is whole in it is shown"
_CUT_OFF = "the recording is no longer being written: its program ended without closing it"
_CLOSED = "the recording is complete: its program has ended"
_VIEW = ("slice", "row0", "col0", "rows", "cols", "grid")


class Playback:
    """Reads a recording on a thread of its own and answers from it.

    Attributes:
        program, sources: the program's file, and the text of its files by name.
        note: what the user should be told about the file, "" for nothing.
        inbox, closed, on_message, welcome, session: as `Client` has them.

    Raises:
        TapeError: the file is no recording.
    """

    def __init__(self, path: Path) -> None:
        self.tape = Tape(path, read=False)  # from here on the thread's
        self.tape.refresh(chunks=1)  # the first has the program's text
        self.program = self.tape.info.get("program", "")
        self.sources = dict(self.tape.sources)
        self._writing = self.tape.writing
        self.note = "" if self.tape.closed or self._writing else _NOT_CLOSED
        self.news: deque[str] = deque()  # what has become of the file meanwhile, to be said
        self._told = 0  # damaged places that were spoken of
        name = path.name
        self.welcome = Welcome(PROTOCOL_VERSION, name, 0, 0, 0, "recording")
        self.session = Session(name, 0, "", 0.0, Path())
        self.inbox: deque[Events | Dropped] = deque()
        self.adhoc = Adhoc()  # what expressions gave
        self.closed = False
        self.on_message: Callable[[], None] | None = None
        self._jobs: queue.SimpleQueue[tuple[Future[Any], str, dict[str, Any]] | None]
        self._jobs = queue.SimpleQueue()
        self._sent = 0  # the newest event in the inbox
        threading.Thread(target=self._work, name="tapebook-playback", daemon=True).start()

    def request(self, method: str, **params: Any) -> Future[Any]:
        """Ask; the future gets the result, or RequestError."""
        future: Future[Any] = Future()
        if self.closed:
            future.set_exception(RequestError("the recording is closed"))
        else:
            self._jobs.put((future, method, params))
        return future

    def close(self) -> None:
        """End the thread and close the file."""
        self.closed = True
        self._jobs.put(None)

    # -- the thread --------------------------------------------------------------------------------

    def _work(self) -> None:
        self._send()
        try:
            while not self.closed:
                if len(self.inbox) < AHEAD:
                    self._read()
                if self.tape.all_read:
                    self._tell_of_damage()
                self._answer(self._wait())
        finally:
            self.tape.close()

    def _wait(self) -> float | None:
        """How long the next request is waited for: not while there is more to read."""
        if not self.tape.all_read:
            return 0.0 if len(self.inbox) < AHEAD else 0.01
        return FOLLOW if self._writing else None

    def _read(self) -> None:
        if self.tape.all_read and not self._writing and self.tape.complete:
            return
        ended = self._writing and not self.tape.writing  # before the last look at it
        try:
            self.tape.refresh(PIECE)
        except TapeError:  # what was read before it stays
            self.tape.all_read = True
        else:
            self._send()
        if ended:
            self._writing = False
            self.news.append(_CLOSED if self.tape.closed else _CUT_OFF)
            if self.on_message is not None:
                self.on_message()

    def _tell_of_damage(self) -> None:
        """Once, when all is read; that a file ends within a record is known from the beginning."""
        damaged = len(self.tape.damage)
        if damaged <= self._told:
            return
        self._told = damaged
        if damaged > bool(self.note):
            places = f"{damaged} damaged place{'s' * (damaged > 1)}"
            self.news.append(f"{places} left out: tapebook verify says what is lost")
            if self.on_message is not None:
                self.on_message()

    def _send(self) -> None:
        new = self.tape.events(self._sent + 1)
        for i in range(0, len(new), BATCH):
            self.inbox.append(Events(new[i : i + BATCH]))
        for first, last in self.tape.gaps:
            if last > self._sent:
                self.inbox.append(Dropped(first, last))
        if new:
            self._sent = new[-1].seq
            if self.on_message is not None:
                self.on_message()

    def _answer(self, timeout: float | None) -> None:
        try:
            job = self._jobs.get(timeout is None or timeout > 0, timeout)
        except queue.Empty:
            return
        if job is None:
            return
        future, method, params = job
        if not future.set_running_or_notify_cancel():
            return
        handler = _HANDLERS.get(method)
        try:
            if handler is None:
                raise RequestError("this is a recording: that needs the running program")
            future.set_result(handler(self, **params))
        except (RequestError, TapeError, ValueError, TypeError) as error:
            future.set_exception(RequestError(" ".join(str(error).split())[:500]))
        if self.on_message is not None:
            self.on_message()

    # -- requests ----------------------------------------------------------------------------------

    def _status(self) -> dict[str, Any]:
        tape = self.tape
        return {
            "state": "recording",
            "stop": None,
            "first_seq": tape.first_seq,
            "last_seq": tape.last_seq,
            "dropped": sum(last - first + 1 for first, last in tape.gaps),
            "kept_bytes": tape.kept[1],
            "cell": "",
            "breakpoints": [],
            "break_on_error": False,
        }

    def _events(self, first: int = 1, last: int = 0) -> list[Any]:
        found = self.tape.events(first, last or None)
        return found[:REPLY_EVENTS]

    def _view(self, tensor: int, seq: int = 0, **options: Any) -> TensorView:
        given = self.adhoc.get(tensor)
        array = given._data if given is not None else self.tape.tensor(tensor, seq)
        if array is not None:
            meta = tensor_meta(given, tensor) if given is not None else self.tape.meta(tensor, seq)
            assert meta is not None
            return view(array, meta, seq, **{k: options[k] for k in _VIEW if k in options})
        summary = self.tape.summary_of(tensor, seq)
        if summary is None:
            raise RequestError(
                f"the value of tensor {tensor} at {seq or 'the end'} was not recorded"
            )
        return TensorView(TensorMeta(tensor, (summary.count,), "", ""), seq, "", summary)

    def _summary(self, tensors: list[int], seq: int = 0) -> list[Summary | None]:
        return [self.tape.summary_of(tensor, seq) for tensor in tensors[:10_000]]

    def _measure(self, of: list[list[int]] | tuple[()] = ()) -> list[Summary | None]:
        """Statistics of many tensors, each at a moment of its own."""

        def summary_of(ident: int, seq: int) -> Summary | None:
            try:
                return self.tape.summary_of(ident, seq)
            except TapeError:
                return None

        return measure(self._array_of, of, summary_of)

    def _compute(self, expression: str = "", of: Any = None) -> Variable:
        return computed(expression, of, self._array_of, self.adhoc)

    def _array_of(self, ident: int, seq: int) -> Any | None:
        """What a tensor held; of what is damaged nothing is known."""
        try:
            return self.tape.tensor(ident, seq)
        except TapeError:
            return None

    def _check(self, seq: int = 0) -> Check:
        return check_recorded(self.tape.events(), self.tape.tensor, seq)


_HANDLERS: dict[str, Callable[..., Any]] = {
    "status": Playback._status,
    "events": Playback._events,
    "view": Playback._view,
    "summary": Playback._summary,
    "measure": Playback._measure,
    "compute": Playback._compute,
    "check": Playback._check,
    "stack": lambda playback: [],
    "variables": lambda playback, frame=0: [],
}
