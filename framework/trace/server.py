"""The service of a process that runs a model: answers viewers while the model runs or is blocked.

One thread with a selector serves all viewers, so that a hundred connections that say nothing cost
nothing; requests that may take long (values, variables, expressions) go to a second thread, one
after the other, which is given up when it takes too long. The model's thread is never waited for
and never waits: events are read out of the ring by number, and what it has to say (a change of
state, output) it appends to a deque.

A viewer that reads too slowly is not sent more than `BACKLOG` bytes ahead; what was overtaken
meanwhile it is told of (`Dropped`) and may ask for (``events``). One that reads nothing at all for
five seconds, or sends half a frame, or asks more than it can have use for, is dropped. The time
spent on making events, on the slow requests of each viewer, and on all of those that an observer
makes, is at most `SHARE` of the time that passes while a model runs: watching has a known price.

One viewer at a time controls; the others observe, and may take over. While nobody watches, only
what ``idle`` says is recorded: the program runs at (nearly) the speed that it has untraced.
"""

from __future__ import annotations

import atexit
import contextlib
import hmac
import os
import secrets
import selectors
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from framework.trace import records, sink
from framework.trace import session as sessions
from framework.trace.answers import Answers, RequestError, batch
from framework.trace.asking import Asking
from framework.trace.checkpoints import Checkpoints
from framework.trace.forks import Forks
from framework.trace.gate import Gate, GateError
from framework.trace.peer import FLOOD, NEVER, Peer, frame, framed
from framework.trace.protocol import (
    PROTOCOL_VERSION,
    Challenge,
    Control,
    Dropped,
    Events,
    Goodbye,
    Hello,
    Message,
    ProtocolError,
    Reply,
    Request,
    StateChanged,
    Welcome,
    decode,
    encode,
    proof,
)
from framework.trace.worker import Worker

__all__ = ["LEVELS", "RequestError", "Service"]

LEVELS = ("off", "structure", "all")  # what is recorded: nothing, what happens, every value too
PEERS = 32  # connections at a time
STRANGERS = 8  # of them, such as have not yet said hello
ACCEPTS = 200  # connections a second while a model runs
BACKLOG = 4 << 20  # bytes that a viewer may have to fetch before its live stream waits
GIVE_UP = 64 << 20  # bytes of output and replies it may have to fetch before it is cut off
TICK = 0.02  # seconds between two looks at the ring while a model runs
REST = 0.25  # the longest pause between two looks when nothing happens
BATCH = 2000  # events in one message
LAG = 20_000  # events that a live stream may be behind before it skips some
SHARE = 0.15  # of the time, spent on events while the model runs
SETTLE = 0.01  # seconds that a model may run between two stops without a word about it


Handler = Callable[[dict[str, Any]], Any]


class Service:
    """Serves one recorder and its gate on a Unix socket.

    Args:
        name: what the session is called, before the process id.
        file: the script or notebook it runs.
        directory: for the socket; default the user's runtime directory.
        stay_paused: a stopped model waits for another viewer when the last one has gone; else it
            runs on, and does not stop while there is none.
        idle: what is recorded while nobody watches, one of `LEVELS`.

    Raises:
        SessionError: the directory or the socket cannot be made.

    >>> import pathlib, tempfile
    >>> from framework import trace
    >>> folder = tempfile.TemporaryDirectory()
    >>> with trace.recording() as tape:
    ...     service = trace.Service(tape, trace.Gate(tape), directory=pathlib.Path(folder.name))
    ...     found = trace.sessions(service.session.directory)
    ...     service.close()
    >>> [session.name == service.name for session in found]
    [True]
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
        idle: str = "all",
    ) -> None:
        if idle not in LEVELS:
            raise ValueError(f"idle must be one of {', '.join(LEVELS)}, but got {idle!r}")
        self.recorder = recorder
        self.gate = gate
        self.cell = ""
        self.stay_paused = stay_paused
        self.idle = idle
        self.most = "all" if recorder.values is not None else "structure"
        self.level = self.most
        self._asked = ""  # the level that the viewer in control wants
        self._handlers: dict[str, tuple[Handler, bool, bool]] = {}
        self.lingers: Callable[[], None] | None = None  # called before the service ends
        self._open(sessions.new_session(name or "session", file, directory))
        Answers(self).register()
        self.forks = Forks(self)
        self.checkpoints = Checkpoints(self.forks)
        self.asking = Asking(self)
        gate.on_change = self.wake
        if not stay_paused:
            gate.attended = self._attended
        self._start()

    def _open(self, session: sessions.Session) -> None:
        """Make the socket, with nobody at it."""
        self.session = session
        self._token, self._observe_token = secrets.token_hex(32), secrets.token_hex(32)
        self._listener = sessions.bind(session, self._token, self._observe_token)
        self._listener.setblocking(False)
        self._wake_in, self._wake_out = os.pipe()
        os.set_blocking(self._wake_in, False)
        os.set_blocking(self._wake_out, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._wake_in, selectors.EVENT_READ, self._drain_wake)
        self._credit = float(PEERS)  # connections that may be accepted at once
        self._accepted = time.monotonic()
        self._accept_at = 0.0  # when the listener is looked at again
        self._peers: list[Peer] = []
        self._count = 0  # connections so far
        self._todo: deque[Callable[[], None]] = deque()  # from other threads
        self._worker = Worker("tapebook-look")
        self._encoded: tuple[int, int, bytes] = (0, 0, b"")  # the last batch: first, last, frame
        self._state: tuple[Any, ...] = ("", 0, "", "")  # what the viewers were told last
        self._looked = 0  # newest event when the ring was last looked at
        self._pause = TICK
        self._next_look = 0.0
        self._settled = 0.0  # when a model that has just gone on is said to be running
        self._closing = False
        self._farewell = ""  # why it ends
        self._successor = ""  # and what goes on in its place
        self.asker: Peer | None = None  # whose request is being answered
        self._pid = os.getpid()

    def _start(self) -> None:
        self.adjust()
        self._thread = threading.Thread(target=self._serve, name="tapebook-service", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def abandon(self) -> None:
        """In a forked child, which has no service thread: let go of the parent's connections."""
        if self._wake_in < 0:
            return  # it is a child of such a child
        for peer in self._peers:
            peer.sock.close()
        self._peers = []
        self._listener.close()
        self._selector.close()  # its own end: the parent's goes on
        os.close(self._wake_in)
        os.close(self._wake_out)
        self._wake_in = self._wake_out = -1

    def reopen(self, label: str) -> None:
        """After `abandon`: serve the child at a socket of its own.

        The methods that were registered answer for the child. Nobody needs to be there for it to
        stop: it was forked to be looked at.
        """
        before = self.session
        self._habits = self.stay_paused, self.idle, self.gate.attended
        self.stay_paused, self.idle = True, self.level
        self.gate.attended = lambda: True
        self._open(sessions.new_session(label, before.file, before.directory))
        self._start()

    @property
    def name(self) -> str:
        """The name of the session."""
        return self.session.name

    @property
    def closed(self) -> bool:
        """Is it over, or is this a forked child, which has no service?"""
        return self._closing or os.getpid() != self._pid

    def adopted(self) -> None:
        """The child is the program now: it stops for nobody, if the program did not."""
        self.stay_paused, self.idle, self.gate.attended = self._habits
        self.call(self.adjust)

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

    def close(self, why: str = "the program has ended", successor: str = "") -> None:
        """Send what is waiting, hang up and remove the session's files."""
        if self.closed:  # a forked child must leave the files alone
            return
        if self.lingers is not None and threading.get_ident() == self.recorder.owner:
            self.lingers()
        self._farewell, self._successor = why, successor
        self._closing = True
        self.wake()
        self._thread.join(2.0)
        self.gate.on_change = None
        self.asking.restore()
        sessions.remove(self.session)
        atexit.unregister(self.close)

    @property
    def viewers(self) -> int:
        """How many viewers control this session: one, or none."""
        return sum(p.role == "control" for p in list(self._peers))

    @property
    def holder(self) -> str:
        """Who controls it; "" for nobody."""
        return next((p.who for p in list(self._peers) if p.role == "control"), "")

    @property
    def watchers(self) -> list[dict[str, Any]]:
        """Who watches, in the order in which they came."""
        return [{"who": p.who, "role": p.role} for p in list(self._peers) if p.viewer]

    @property
    def answerable(self) -> bool:
        """Is a viewer there who controls, or could take control, and so answer a question?"""
        return any(p.viewer and p.may_control for p in list(self._peers))

    @property
    def backlog(self) -> int:
        """Bytes that the viewer in control has yet to fetch."""
        return max((p.waiting for p in list(self._peers) if p.role == "control"), default=0)

    def _attended(self) -> bool:
        return self.viewers > 0

    # -- the thread -----------------------------------------------------------------------------

    def _serve(self) -> None:
        try:
            while not self._closing:
                self._turn()
            with contextlib.suppress(KeyError):  # it rests
                self._selector.unregister(self._listener)
            self._listener.close()  # first: whoever has been told that it ends finds nobody
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
        for peer in list(self._peers):
            if why := peer.overdue(now, self._patient(peer)):
                self._drop(peer, why)
            elif peer.resume and peer.resume <= now:
                peer.resume = 0.0
                self._listen_to(peer)
        if self._accept_at and self._accept_at <= now:
            self._accept_at = 0.0
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._ask_later(now)
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
        waits += [p.resume for p in self._peers if p.resume]
        waits += [p.ready for p in self._peers if p.later and not p.busy]
        if self._accept_at:
            waits.append(self._accept_at)
        if self.gate.interrupt_due:
            waits.append(now + 0.01)
        if self._worker.busy:
            waits.append(now + 0.25)
        if any(p.viewer for p in self._peers) and self.gate.state == "running":
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
        self._push(Goodbye(self._farewell, ended=True, successor=self._successor))
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
        now = time.monotonic()
        self._credit = min(PEERS, self._credit + (now - self._accepted) * ACCEPTS) - 1
        self._accepted = now
        if self._credit < 1 and self.gate.state == "running":
            self._accept_at = now + 2 / ACCEPTS
            self._selector.unregister(self._listener)
        strangers = [p for p in self._peers if not p.role]
        if len(strangers) >= STRANGERS:  # who means to talk has said hello long ago
            self._drop(strangers[0])
        if sessions.peer_uid(sock) not in (os.getuid(), None):
            sock.close()
            return
        sock.setblocking(False)
        self._count += 1
        peer = Peer(sock, self._count)
        self._peers.append(peer)
        self._selector.register(sock, selectors.EVENT_READ, lambda m: self._on_peer(peer, m))
        self._send(peer, Challenge(PROTOCOL_VERSION, peer.nonce))

    def _on_peer(self, peer: Peer, mask: int) -> None:
        try:
            if mask & selectors.EVENT_WRITE:
                peer.flush()
                self._listen_to(peer)
            if mask & selectors.EVENT_READ:
                self._read(peer)
        except ProtocolError as error:
            self._drop(peer, str(error))
        except OSError:
            self._drop(peer)

    def _read(self, peer: Peer) -> None:
        data = peer.sock.recv(1 << 18)
        if not data:
            self._drop(peer)
            return
        began = time.thread_time()
        if not peer.role:
            for part in peer.frames(data):
                self._greet(peer, decode(part))
            data = b""  # what follows a greeting waits for its outcome
        if peer.role:
            for part in peer.frames(data):
                message = decode(part)
                if not isinstance(message, Request):
                    raise ProtocolError("a viewer sends requests only")
                self._answer(peer, message)
        if self.gate.state == "running" and peer.role != "control":
            rest = (time.thread_time() - began) * (1 / SHARE - 1)
            peer.resume = time.monotonic() + min(rest, REST)
            self._listen_to(peer)

    def _greet(self, peer: Peer, message: Message) -> None:
        """Nothing is told to who does not know the token."""
        if not isinstance(message, Hello):
            raise ProtocolError("no hello")
        given = message.proof.encode()
        peer.may_control = hmac.compare_digest(given, proof(self._token, peer.nonce).encode())
        observe = proof(self._observe_token, peer.nonce).encode()
        if not peer.may_control and not hmac.compare_digest(given, observe):
            raise ProtocolError("no token")
        peer.role = "observe"
        if message.version != PROTOCOL_VERSION:
            raise ProtocolError(
                f"this session speaks version {PROTOCOL_VERSION} of the wire, "
                f"the viewer version {message.version}: use the same release at both ends"
            )
        if sum(p.viewer for p in self._peers) > PEERS - STRANGERS:
            raise ProtocolError(f"{PEERS - STRANGERS} viewers are attached already")
        peer.who = " ".join(message.who.split())[:80] or f"viewer {peer.id}"
        peer.stream = message.stream
        if message.silence > 0:
            peer.silence = max(1.0, message.silence)
        recorder = self.recorder
        if message.role == "control" and peer.may_control and not self.viewers and peer.stream:
            peer.role = "control"
            self._announce(but=peer)
        self.adjust()
        state, stop = self.gate.standing()
        last = self.newest()
        peer.next = last + 1
        self._send(
            peer,
            Welcome(
                PROTOCOL_VERSION, self.name, os.getpid(), recorder.first_seq, last, state, stop,
                self.session.file, self.session.started, peer.role, self.holder, self.level,
                self.forks.whose(), self.cell, self.asking.question,
            ),
        )  # fmt: skip

    def _patient(self, peer: Peer) -> bool:
        """A notebook's own window may take its output later; a program waits for nobody."""
        return self.stay_paused and peer.role == "control"

    def _drop(self, peer: Peer, why: str = "") -> None:
        if peer not in self._peers:
            return
        self._peers.remove(peer)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(peer.sock)
        if why and peer.role:
            with contextlib.suppress(OSError):
                peer.send(framed(Goodbye(why)))
        peer.sock.close()
        if not peer.role or self._closing:
            return
        self.forks.end_of(peer.id)
        if peer.role == "control":
            self._let_go()
        self.adjust()

    # -- who controls, and what is recorded --------------------------------------------------------

    def control(self, peer: Peer, params: dict[str, Any]) -> dict[str, str]:
        """``want``: "ask" (if nobody has it), "take" (from whoever has it) or "release"."""
        want = params.get("want", "ask")
        if want not in ("ask", "take", "release"):
            raise RequestError(f"control: want must be ask, take or release, not {want!r}")
        if not peer.may_control:
            raise RequestError("control: this viewer came with the token for observers")
        before = next((p for p in self._peers if p.role == "control"), None)
        if want == "release":
            if peer is before:
                peer.role = "observe"
                self._let_go()
        elif before is None or (want == "take" and before is not peer):
            if before is not None:
                before.role = "observe"
            peer.role = "control"
            self._announce(taken_from=before)
        self.adjust()
        return {"role": peer.role, "holder": self.holder}

    def _let_go(self) -> None:
        """Nobody controls any more: a program runs on, as its breakpoints have no reader."""
        self._asked = ""
        self._announce()
        if not self.stay_paused:
            self.forks.end_all()  # nobody else knows of them
            self.gate.detach()

    def _announce(self, but: Peer | None = None, taken_from: Peer | None = None) -> None:
        holder = self.holder
        for peer in list(self._peers):
            if peer.viewer and peer is not but:
                self._send(peer, Control(peer.role, holder, peer is taken_from))

    def speed(self, level: str) -> str:
        """The viewer in control wants this recorded; "" for what watching needs."""
        if level and level not in LEVELS:
            raise RequestError(f"speed: the level must be one of {', '.join(LEVELS)}")
        self._asked = level
        self.adjust()
        return self.level

    def adjust(self) -> None:
        """Record what somebody has use for, and look for stops if somebody can answer them."""
        watched = any(p.viewer or p.role == "control" for p in self._peers)
        level = self._asked or (self.most if watched else self.idle)
        if self.recorder.on_step is not None or self.gate.observers:
            level = self.most  # a recording is being written, or rules are looking
        self._set_level(min(level, self.most, key=LEVELS.index))
        if self.gate.console is None:
            alone = not self.stay_paused and not self.viewers
            self.gate.rest(alone or self.level == "off")

    def _set_level(self, level: str) -> None:
        if level == self.level or self.gate.state == "finished":
            return
        self.level = level
        recorder = self.recorder
        recorder.set_keep("all" if level == "all" else "none")
        if level == "off" and sink.active is recorder:
            sink.active = None
        elif level != "off" and sink.active is None:
            sink.active = recorder
        self.wake()

    def _push(self, message: Message) -> None:
        data = framed(message)
        for peer in list(self._peers):
            if peer.viewer:
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
            self._drop(peer, f"more than {GIVE_UP >> 20} MiB were not read")
        elif peer.waiting:
            self._listen_to(peer)

    def _listen_to(self, peer: Peer) -> None:
        wanted = 0 if peer.resume else selectors.EVENT_READ
        wanted |= selectors.EVENT_WRITE if peer.waiting else 0
        key = self._selector.get_map().get(peer.sock)
        if key is None:
            if wanted and peer in self._peers:
                self._selector.register(peer.sock, wanted, lambda m: self._on_peer(peer, m))
        elif not wanted:
            self._selector.unregister(peer.sock)
        elif key.events != wanted:
            self._selector.modify(peer.sock, wanted, key.data)

    # -- the live stream -------------------------------------------------------------------------

    def _stream(self, now: float, last: bool = False) -> None:
        """Send what is new in the ring, and then what has become of the model."""
        viewers = [p for p in self._peers if p.viewer]
        gate = self.gate
        branches, asks = self.forks.whose(), self.asking.question
        ident = asks.id if asks is not None else 0
        now_is, stop = gate.standing()
        state = now_is, gate.changes, self.cell, self.level, tuple(branches), ident
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
        newest = self.newest()
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
                self._push(StateChanged(state[0], stop, self.cell, self.level, branches, asks))

    def newest(self) -> int:
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
            if raw is not None and raw[2] in (records.OPTIM_END, records.CELL_BEGIN):
                found = seq + 1 if raw[2] == records.OPTIM_END else seq
                break
        return found

    def _batch(self, first: int, last: int) -> tuple[bytes, bool]:
        """A frame of events; the second is False if some of them are gone."""
        if self._encoded[:2] == (first, last):
            return self._encoded[2], True
        count, array = batch(self.recorder, first, last)
        data = frame(_EVENTS + array) if count else b""
        complete = count == last - first + 1
        if complete:
            self._encoded = (first, last, data)
        return data, complete

    # -- requests ------------------------------------------------------------------------------

    def _answer(self, peer: Peer, request: Request) -> None:
        found = self._handlers.get(request.method)
        if request.method == "control":
            found = (lambda params: self.control(peer, params)), False, False
        if found is None:
            self._send(peer, Reply(request.id, error=f"unknown method {request.method[:40]!r}"))
            return
        handler, control, slow = found
        if control and peer.role != "control":
            whose = f"{self.holder} controls" if self.holder else "nobody controls"
            self._send(
                peer, Reply(request.id, error=f"you may only look ({whose}): {request.method}")
            )
            return
        if slow:
            peer.later.append((request, handler))
            if len(peer.later) > FLOOD:
                raise ProtocolError(f"more than {FLOOD} requests at a time")
            self._ask_later(time.monotonic())
            return
        self.asker = peer
        try:
            result = handler(request.params)
        except Exception as error:  # the viewer is told, whatever it is
            self._send(peer, Reply(request.id, error=_one_line(error)))
            return
        if isinstance(result, Future):
            self._reply_when_done(peer, request.id, result)
        else:
            self._send(peer, Reply(request.id, result))

    def _ask_later(self, now: float) -> None:
        """Hand requests that take long to the second thread, each viewer's at its own pace."""
        running = self.gate.state == "running"
        for peer in self._peers:
            while peer.later and not (running and (peer.busy or now < peer.ready)):
                request, handler = peer.later.popleft()
                peer.busy += 1
                future = self._worker.submit(_timed(peer, handler, request.params))
                self._reply_when_done(peer, request.id, future, slow=1)

    def _reply_when_done(self, peer: Peer, ident: int, future: Future[Any], slow: int = 0) -> None:
        def reply() -> None:
            peer.busy -= slow
            self._reply_later(peer, ident, future)

        future.add_done_callback(lambda _: self.call(reply))

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


_EVENTS = encode(Events([]))[:-1]  # a message up to its empty array


def _timed(peer: Peer, handler: Handler, params: dict[str, Any]) -> Callable[[], Any]:
    """A slow request, after which this viewer's next one waits in proportion."""

    def job() -> Any:
        began = time.thread_time()
        try:
            return handler(params)
        finally:
            spent = time.thread_time() - began
            peer.ready = time.monotonic() + min(spent * (1 / SHARE - 1), 1.0)

    return job


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
