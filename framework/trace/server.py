"""The service of a process that runs a model: answers viewers while the model runs or is blocked.

One thread with a selector serves all viewers, so that a hundred connections that say nothing cost
nothing; requests that may take long (values, variables, expressions) go to a second thread, one
after the other, which is given up when it takes too long. The model's thread is never waited for
and never waits: events are read out of the ring by number, and what it has to say (a change of
state, output) it appends to a deque.

A viewer that reads too slowly is not sent more than `BACKLOG` bytes ahead; what was overtaken
meanwhile it is told of (`Dropped`) and may ask for (``events``). The time spent on making events is
at most `SHARE` of the time that passes while a model runs, so watching has a known price.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hmac
import os
import secrets
import selectors
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec

from framework.trace import session as sessions
from framework.trace import sink
from framework.trace.events import Mark
from framework.trace.gate import Gate, GateError
from framework.trace.peer import NEVER, Peer, frame, framed
from framework.trace.protocol import (
    PROTOCOL_VERSION,
    Breakpoint,
    Dropped,
    Events,
    Hello,
    Message,
    ProtocolError,
    Reply,
    Request,
    StateChanged,
    Welcome,
    decode,
    encode,
)
from framework.trace.reader import typed
from framework.trace.worker import Worker

__all__ = ["RequestError", "Service", "listen"]

PEERS = 32  # connections at a time
BACKLOG = 4 << 20  # bytes that a viewer may have to fetch before its live stream waits
GIVE_UP = 64 << 20  # bytes of output and replies it may have to fetch before it is cut off
TICK = 0.02  # seconds between two looks at the ring while a model runs
REST = 0.25  # the longest pause between two looks when nothing happens
BATCH = 2000  # events in one message
LAG = 20_000  # events that a live stream may be behind before it skips some
SHARE = 0.15  # of the time, spent on events while the model runs
REPLY_EVENTS = 20_000  # events in one answer
SETTLE = 0.01  # seconds that a model may run between two stops without a word about it


class RequestError(Exception):
    """A request that cannot be answered: one line for the user."""


Handler = Callable[[dict[str, Any]], Any]


class Service:
    """Serves one recorder and its gate on a Unix socket.

    Args:
        name: what the session is called, before the process id.
        file: the script or notebook it runs.
        directory: for the socket; default the user's runtime directory.
        stay_paused: a stopped model waits for another viewer when the last one has gone; else it
            runs on, and does not stop while there is none.

    Raises:
        SessionError: the directory or the socket cannot be made.
    """

    def __init__(
        self,
        recorder: sink.Recorder,
        gate: Gate,
        name: str = "",
        *,
        file: str = "",
        directory: Path | None = None,
        stay_paused: bool = False,
    ) -> None:
        self.recorder = recorder
        self.gate = gate
        self.cell = ""
        self.stay_paused = stay_paused
        self.session = sessions.new_session(name or "session", file, directory)
        self._token = secrets.token_hex(32)
        self._listener = sessions.bind(self.session, self._token)
        self._listener.setblocking(False)
        self._wake_in, self._wake_out = os.pipe()
        os.set_blocking(self._wake_in, False)
        os.set_blocking(self._wake_out, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._wake_in, selectors.EVENT_READ, self._drain_wake)
        self._peers: list[Peer] = []
        self._todo: deque[Callable[[], None]] = deque()  # from other threads
        self._handlers: dict[str, tuple[Handler, bool, bool]] = {}
        self._worker = Worker("tapebook-look")
        self._encoded: tuple[int, int, bytes] = (0, 0, b"")  # the last batch: first, last, frame
        self._state: tuple[str, int, str] = ("", 0, "")  # what the viewers were told last
        self._looked = 0  # newest event when the ring was last looked at
        self._pause = TICK
        self._next_look = 0.0
        self._settled = 0.0  # when a model that has just gone on is said to be running
        self._closing = False
        self._pid = os.getpid()
        self._register_own()
        gate.on_change = self.wake
        if not stay_paused:
            gate.attended = self._attended
        self._thread = threading.Thread(target=self._serve, name="tapebook-service", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @property
    def name(self) -> str:
        return self.session.name

    # -- for other threads ---------------------------------------------------------------------

    def register(
        self, method: str, handler: Handler, *, control: bool = True, slow: bool = False
    ) -> None:
        """Answer a method. ``handler`` gets the parameters and returns a result or a Future.

        It is called on the service thread and must not block, or with ``slow`` on the second
        one. RequestError and GateError become the reply's error. ``control``: viewers that only
        observe may not call it.
        """
        self._handlers[method] = (handler, control, slow)

    def push(self, message: Message) -> None:
        """Send a message to all viewers, in order, from any thread."""
        self.call(lambda: self._push(message))

    def call(self, function: Callable[[], None]) -> None:
        """Run a function on the service thread."""
        self._todo.append(function)
        self.wake()

    def wake(self) -> None:
        """Have the service thread look at once; never blocks."""
        with contextlib.suppress(OSError):  # full: it will look anyway; closed: it is over
            os.write(self._wake_out, b"\0")

    def set_state(self, state: str, cell: str = "") -> None:
        """A cell or the script has begun or ended."""
        self.cell = cell
        self.gate.set_state(state)

    def close(self) -> None:
        """Send what is waiting, hang up and remove the session's files."""
        if self._closing or os.getpid() != self._pid:  # a forked child must leave them alone
            return
        self._closing = True
        self.wake()
        self._thread.join(2.0)
        self.gate.on_change = None
        sessions.remove(self.session)
        atexit.unregister(self.close)

    @property
    def viewers(self) -> int:
        """How many viewers may control this session."""
        return sum(p.role == "control" for p in list(self._peers))

    @property
    def backlog(self) -> int:
        """Bytes that the slowest viewer has yet to fetch."""
        return max((p.waiting for p in list(self._peers)), default=0)

    def _attended(self) -> bool:
        return self.viewers > 0

    # -- the thread -----------------------------------------------------------------------------

    def _serve(self) -> None:
        try:
            while not self._closing:
                self._turn()
            self._say_goodbye()
        finally:
            for peer in list(self._peers):
                self._drop(peer)
            self._listener.close()
            self._selector.close()
            os.close(self._wake_in)

    def _turn(self) -> None:
        for key, mask in self._selector.select(self._timeout()):
            try:
                key.data(mask)
            except Exception as error:  # a bug must not end the service
                _complain(error)
        while self._todo:
            try:
                self._todo.popleft()()
            except Exception as error:
                _complain(error)
        now = time.monotonic()
        for peer in [p for p in self._peers if p.deadline < now]:
            self._drop(peer)
        if self.gate.interrupt_due and self.gate.state == "running":
            self.gate.send_interrupt()
        self._worker.check()
        self._stream(now)

    def _drain_wake(self, mask: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_in, 65536)

    def _timeout(self) -> float | None:
        now = time.monotonic()
        waits = [p.deadline for p in self._peers if p.deadline != NEVER]
        if self.gate.interrupt_due:
            waits.append(now + 0.01)
        if self._worker.busy:
            waits.append(now + 0.25)
        if any(p.role for p in self._peers) and self.gate.state == "running":
            waits.append(self._next_look)
        return max(0.0, min(waits) - now) if waits else None

    def _say_goodbye(self) -> None:
        """Hand over what is waiting, within a second."""
        end = time.monotonic() + 1.0
        self._worker.close()
        while self._todo:
            self._todo.popleft()()
        self._next_look = 0.0
        self._stream(time.monotonic(), last=True)
        while any(p.waiting for p in self._peers) and time.monotonic() < end:
            for key, mask in self._selector.select(0.05):
                if mask & selectors.EVENT_WRITE:
                    key.data(mask)

    # -- viewers ----------------------------------------------------------------------------------

    def _accept(self, mask: int) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        if len(self._peers) >= PEERS or not _same_user(sock):
            sock.close()
            return
        sock.setblocking(False)
        peer = Peer(sock)
        self._peers.append(peer)
        self._selector.register(sock, selectors.EVENT_READ, lambda m: self._on_peer(peer, m))

    def _on_peer(self, peer: Peer, mask: int) -> None:
        try:
            if mask & selectors.EVENT_WRITE:
                peer.flush()
                self._listen_to(peer)
            if mask & selectors.EVENT_READ:
                self._read(peer)
        except (OSError, ProtocolError):
            self._drop(peer)

    def _read(self, peer: Peer) -> None:
        data = peer.sock.recv(1 << 18)
        if not data:
            raise ProtocolError("closed")
        for part in peer.frames(data):
            message = decode(part)
            if not peer.role:
                self._greet(peer, message)
            elif isinstance(message, Request):
                self._answer(peer, message)
            else:
                raise ProtocolError("a viewer sends requests only")

    def _greet(self, peer: Peer, message: Message) -> None:
        """Nothing is sent before the token was right, except the reason for hanging up."""
        if not isinstance(message, Hello) or not hmac.compare_digest(
            message.token.encode(), self._token.encode()
        ):
            raise ProtocolError("no token")
        if message.version != PROTOCOL_VERSION:
            raise ProtocolError("another version")
        peer.role = "observe" if message.role == "observe" else "control"
        peer.deadline = NEVER
        recorder, gate = self.recorder, self.gate
        stop = gate.stop
        last = self._newest()
        peer.next = last + 1
        state = "paused" if stop is not None else gate.state
        self._send(
            peer,
            Welcome(
                PROTOCOL_VERSION, self.name, os.getpid(), recorder.first_seq, last, state, stop
            ),
        )

    def _drop(self, peer: Peer) -> None:
        if peer not in self._peers:
            return
        self._peers.remove(peer)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(peer.sock)
        peer.sock.close()
        if peer.role == "control" and not self.stay_paused and not self.viewers:
            self.gate.detach()

    def _push(self, message: Message) -> None:
        data = framed(message)
        for peer in list(self._peers):
            if peer.role:
                self._send_bytes(peer, data)

    def _send(self, peer: Peer, message: Message) -> None:
        try:
            self._send_bytes(peer, framed(message))
        except ProtocolError as error:  # it holds what cannot be sent
            if isinstance(message, Reply):
                self._send_bytes(peer, framed(Reply(message.id, error=str(error))))

    def _send_bytes(self, peer: Peer, data: bytes) -> None:
        if peer not in self._peers:
            return
        try:
            peer.send(data)
        except OSError:
            self._drop(peer)
            return
        if peer.waiting > GIVE_UP:
            self._drop(peer)
        elif peer.waiting:
            self._listen_to(peer)

    def _listen_to(self, peer: Peer) -> None:
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.waiting else 0)
        key = self._selector.get_key(peer.sock)
        if key.events != wanted:
            self._selector.modify(peer.sock, wanted, key.data)

    # -- the live stream -------------------------------------------------------------------------

    def _stream(self, now: float, last: bool = False) -> None:
        """Send what is new in the ring, and then what has become of the model."""
        viewers = [p for p in self._peers if p.role]
        gate = self.gate
        state = (gate.state, gate.changes, self.cell)
        stop = gate.stop if state[0] == "paused" else None
        changed = state != self._state
        if not viewers:
            self._state = state
            return
        if changed and state[0] == "running" and self._state[0] == "paused" and not last:
            # Most steps are over before a viewer could show that the model was running.
            self._settled = self._settled or now + SETTLE
            self._next_look = self._settled
            changed = now >= self._settled
        if not (changed or last or now >= self._next_look):
            return
        began = time.thread_time()  # not the time that it waited for the interpreter's lock
        newest = self._newest()
        for peer in viewers:
            if peer.next <= newest:
                self._send_events(peer, newest, everything=changed or state[0] != "running")
        # Look again soon while there is something to see, ever less often when there is not.
        self._pause = min(self._pause * 1.5, REST) if newest == self._looked else TICK
        self._looked = newest
        spent = time.thread_time() - began
        # A garbage collection may fall into it and take long; that is no reason to fall silent.
        self._next_look = time.monotonic() + max(self._pause, min(spent * (1 / SHARE - 1), REST))
        if changed:
            self._state = state
            self._settled = 0.0
            self._pause = TICK
            if stop is not None or state[0] != "paused":  # else it has gone on meanwhile
                self._push(StateChanged(state[0], stop, self.cell))

    def _newest(self) -> int:
        """The newest event that is in the ring; one that is being made has its number already."""
        seq = self.recorder.seq
        return seq if not seq or self.recorder.raw(seq) is not None else seq - 1

    def _send_events(self, peer: Peer, newest: int, everything: bool) -> None:
        """Bring a viewer up to date as far as its connection takes it."""
        if newest - peer.next >= LAG:
            self._skip(peer, self._whole_steps(newest))
        while peer.next <= newest and peer.waiting < BACKLOG and peer in self._peers:
            first = max(peer.next, self.recorder.first_seq)
            self._skip(peer, first)
            last = min(first + BATCH - 1, newest)
            data, complete = self._batch(first, last)
            if data:
                self._send_bytes(peer, data)
            peer.next = last + 1
            if not complete:
                self._send(peer, Dropped(first, last))
            if not everything:
                break

    def _skip(self, peer: Peer, first: int) -> None:
        """Leave events out, and say so."""
        if first > peer.next:
            self._send(peer, Dropped(peer.next, first - 1))
            peer.next = first

    def _whole_steps(self, newest: int) -> int:
        """Where a stream that has fallen behind begins again: with a training step, if it can."""
        earliest = newest - LAG // 4
        found = newest - BATCH + 1
        for seq in range(newest - BATCH, earliest, -1):
            raw = self.recorder.raw(seq)
            if raw is not None and raw[2] in (sink.OPTIM_END, sink.CELL_BEGIN):
                found = seq + 1 if raw[2] == sink.OPTIM_END else seq
                break
        return found

    def _batch(self, first: int, last: int) -> tuple[bytes, bool]:
        """A frame of events; the second is False if some of them are gone."""
        if self._encoded[:2] == (first, last):
            return self._encoded[2], True
        count, array = _events(self.recorder, first, last)
        data = frame(_EVENTS + array) if count else b""
        complete = count == last - first + 1
        if complete:
            self._encoded = (first, last, data)
        return data, complete

    # -- requests ------------------------------------------------------------------------------

    def _answer(self, peer: Peer, request: Request) -> None:
        found = self._handlers.get(request.method)
        if found is None:
            self._send(peer, Reply(request.id, error=f"unknown method {request.method[:40]!r}"))
            return
        handler, control, slow = found
        if control and peer.role != "control":
            self._send(
                peer, Reply(request.id, error=f"this viewer may only look: {request.method}")
            )
            return
        if slow:
            result: Any = self._worker.submit(functools.partial(handler, request.params))
        else:
            try:
                result = handler(request.params)
            except Exception as error:
                self._send(peer, Reply(request.id, error=_one_line(error)))
                return
        if isinstance(result, Future):
            result.add_done_callback(
                lambda future: self.call(lambda: self._reply_later(peer, request.id, future))
            )
        else:
            self._send(peer, Reply(request.id, result))

    def _reply_later(self, peer: Peer, ident: int, future: Future[Any]) -> None:
        if self.gate.state != "running":
            self._stream(time.monotonic(), last=True)  # what happened comes before "it is over"
        if future.cancelled():
            self._send(peer, Reply(ident, error="cancelled"))
            return
        error = future.exception()
        if error is not None:
            self._send(peer, Reply(ident, error=_one_line(error)))
            return
        self._send(peer, Reply(ident, future.result()))

    def _register_own(self) -> None:
        look, act = {"control": False}, {"control": True}
        self.register("status", self._status, **look)
        self.register("stack", lambda p: self.gate.stack(), **look)
        self.register("events", self._events, slow=True, **look)
        self.register("view", self._view, slow=True, **look)
        self.register("summary", self._summary, slow=True, **look)
        self.register("variables", self._variables, slow=True, **look)
        self.register("evaluate", self._evaluate, slow=True, **act)
        self.register("breakpoints", self._set_breakpoints, **act)
        self.register("step", self._step, **act)
        self.register("pause", lambda p: self.gate.pause(), **act)
        self.register("interrupt", lambda p: self.gate.interrupt(), **act)
        self.register("options", self._options, **act)

    def _status(self, params: dict[str, Any]) -> dict[str, Any]:
        recorder, gate = self.recorder, self.gate
        stop = gate.stop
        values = recorder.values
        return {
            "state": "paused" if stop is not None else gate.state,
            "stop": stop,
            "first_seq": recorder.first_seq,
            "last_seq": self._newest(),
            "dropped": recorder.first_seq - 1,
            "kept_bytes": values.bytes if values is not None else 0,
            "cell": self.cell,
            "breakpoints": gate.breakpoints,
            "break_on_error": gate.break_on_error,
        }

    def _events(self, params: dict[str, Any]) -> msgspec.Raw:
        first = max(_integer(params, "first", 1), self.recorder.first_seq)
        last = min(_integer(params, "last", self.recorder.seq), first + REPLY_EVENTS - 1)
        return msgspec.Raw(_events(self.recorder, first, min(last, self._newest()))[1])

    def _step(self, params: dict[str, Any]) -> None:
        target = params.get("target")
        self.gate.resume(
            str(params.get("how", "next")),
            None if target is None else _typed(target, Breakpoint, "target"),
        )

    def _set_breakpoints(self, params: dict[str, Any]) -> list[Breakpoint]:
        wanted = params.get("breakpoints")
        if wanted is None:
            return self.gate.breakpoints
        return self.gate.set_breakpoints(_typed(wanted, list[Breakpoint], "breakpoints"))

    def _options(self, params: dict[str, Any]) -> dict[str, Any]:
        wanted = params.get("break_on_error")
        if wanted is not None:
            self.gate.break_on_error = bool(wanted)
        return {"break_on_error": self.gate.break_on_error}

    def _variables(self, params: dict[str, Any]) -> list[Any]:
        return list(self.gate.variables(_integer(params, "frame", 0)))

    def _evaluate(self, params: dict[str, Any]) -> Any:
        expression = params.get("expression")
        if not isinstance(expression, str) or not expression.strip():
            raise RequestError("evaluate what? the expression is empty")
        return self.gate.evaluate(expression, _integer(params, "frame", 0))

    def _view(self, params: dict[str, Any]) -> Any:
        from framework.trace.summary import view

        ident, seq = _integer(params, "tensor", 0), _integer(params, "seq", 0)
        found = self.gate.value(ident, seq)
        if found is None:
            raise RequestError(f"the value of tensor {ident} at {seq or 'now'} is no longer kept")
        array, meta = found
        known = ("slice", "row0", "col0", "rows", "cols", "grid")
        options = {key: params[key] for key in known if key in params}
        return view(array, meta, seq, **options)

    def _summary(self, params: dict[str, Any]) -> list[Any]:
        from framework.trace.summary import summarize

        wanted = params.get("tensors")
        if not isinstance(wanted, list) or len(wanted) > 10_000:
            raise RequestError("summary: tensors must be a list of up to 10,000 ids")
        seq = _integer(params, "seq", 0)
        result: list[Any] = []
        for ident in wanted:
            found = self.gate.value(ident, seq) if isinstance(ident, int) else None
            result.append(None if found is None else summarize(found[0]))
        return result


_encode_into = msgspec.msgpack.Encoder().encode_into
_EVENTS = encode(Events([]))[:-1]  # a message up to its empty array


def _events(recorder: sink.Recorder, first: int, last: int) -> tuple[int, bytes]:
    """How many events of a stretch are still there, and those as a MessagePack array.

    Each is encoded and dropped before the next one is made: thousands of young objects at a time
    would set off garbage collections, which are long in a process that keeps a tape.
    """
    data = bytearray(b"\xdd\0\0\0\0")  # an array whose length is put in at the end
    count = 0
    for seq in range(first, last + 1):
        raw = recorder.raw(seq)
        if raw is None:
            continue
        try:
            event = typed(raw)
        except Exception as error:  # one strange argument must not end the stream
            event = Mark(seq, raw[1], f"unreadable event: {type(error).__name__}")
        _encode_into(event, data, -1)
        count += 1
    data[1:5] = count.to_bytes(4, "big")
    return count, bytes(data)


def _same_user(sock: socket.socket) -> bool:
    """The kernel's word on who is at the other end; the directory keeps others out as well."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, option, 12))
    return bool(uid == os.getuid())


def _integer(params: dict[str, Any], name: str, default: int) -> int:
    value = params.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise RequestError(f"{name} must be an integer, not {type(value).__name__}")
    return value


def _typed(value: Any, kind: Any, name: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise RequestError(f"{name}: {error}") from None


def _one_line(error: BaseException) -> str:
    """What a viewer is told; a fault of ours is named with its type."""
    text = " ".join(str(error).split())[:500]
    if isinstance(error, (RequestError, GateError, ValueError, TimeoutError)) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _complain(error: BaseException) -> None:
    import traceback

    stream = sys.__stderr__
    if stream is not None:
        traceback.print_exception(error, file=stream)


# A forked child has the recorder but no service: it must not stop where nobody can answer.
os.register_at_fork(after_in_child=sink.stop)


def listen(
    name: str = "",
    *,
    file: str = "",
    directory: Path | None = None,
    wait: bool = False,
    **options: Any,
) -> Service:
    """Let viewers attach to this program: ``tapebook attach`` finds it.

    Starts tracing the calling thread if it is not traced yet; ``options`` are `Recorder`'s. With
    ``wait``, returns when the first viewer is there. Ends with the program, or with ``close()``.
    """
    recorder = sink.active
    if recorder is None:
        recorder = sink.start(**options)
    gate = recorder.gate or Gate(recorder)
    gate.break_on_error = True
    main = sys.modules["__main__"]
    file = file or os.path.abspath(getattr(main, "__file__", "") or "")
    service = Service(recorder, gate, name or Path(file).stem, file=file, directory=directory)
    while wait and not service.viewers:
        time.sleep(0.02)
    return service
