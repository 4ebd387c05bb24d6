"""A viewer's end of the wire.

A reader thread puts what the other side pushes into `Client.inbox` and hands answers to the futures
that wait for them; the caller's thread never blocks.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from framework.trace import session as files
from framework.trace.events import Event
from framework.trace.protocol import (
    PROTOCOL_VERSION,
    Breakpoint,
    Dropped,
    Events,
    Frame,
    Hello,
    Message,
    Output,
    ProtocolError,
    Reply,
    Request,
    StateChanged,
    Summary,
    TensorView,
    Variable,
    Welcome,
    read_message,
    write_message,
)
from framework.trace.server import RequestError
from framework.trace.session import Session, SessionError, sessions

__all__ = ["RESULTS", "Client", "RequestError", "SessionError", "sessions"]

# What the results of requests are, where they are more than plain values.
RESULTS: dict[str, Any] = {
    "events": list[Event],
    "breakpoints": list[Breakpoint],
    "variables": list[Variable],
    "stack": list[Frame],
    "evaluate": Variable,
    "view": TensorView,
    "summary": list[Summary | None],
}

SEND_TIMEOUT = 10  # seconds that a request may take to leave


class Client:
    """A connection to a session; `Client.connect` makes one.

    Attributes:
        welcome: what the other side said about itself.
        inbox: messages that came on their own, oldest first: events, states, output.
        closed: the other side is gone (or `close` was called).
        on_message: called on the reader's thread when there is something new.
    """

    def __init__(self, sock: socket.socket, welcome: Welcome, session: Session) -> None:
        self.welcome = welcome
        self.session = session
        self.inbox: deque[Events | Dropped | StateChanged | Output] = deque()
        self.closed = False
        self.on_message: Callable[[], None] | None = None
        self._sock = sock
        self._ids = itertools.count(1)
        self._waiting: dict[int, tuple[Future[Any], Any]] = {}
        self._lock = threading.Lock()  # one request at a time on the wire
        self._thread = threading.Thread(target=self._read, name="tapebook-client", daemon=True)
        self._thread.start()

    @classmethod
    def connect(
        cls,
        target: str | os.PathLike[str] | Session = "",
        *,
        role: str = "control",
        timeout: float = 5.0,
    ) -> Client:
        """Connect to a session, given as such, by name (or its beginning) or by socket.

        Without a target, to the only session there is. Raises SessionError with one line.
        """
        session = target if isinstance(target, Session) else find(target)
        token = files.read_token(session)
        try:
            sock = files.connect(session.socket, timeout)
        except OSError as error:
            raise SessionError(f"{session.name} does not answer: {error.strerror}") from None
        try:
            write_message(sock, Hello(PROTOCOL_VERSION, token, role))
            welcome = read_message(sock)
            if not isinstance(welcome, Welcome):
                raise ProtocolError("it hung up")
        except (OSError, ProtocolError) as error:
            sock.close()
            raise SessionError(f"{session.name} refused the connection: {error}") from None
        sock.settimeout(None)
        # A peer that has stopped reading must not hold the caller for ever.
        patience = struct.pack("ll", SEND_TIMEOUT, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
        return cls(sock, welcome, session)

    def request(self, method: str, **params: Any) -> Future[Any]:
        """Ask; the future gets the typed result, or RequestError with one line for the user."""
        future: Future[Any] = Future()
        if self.closed:
            future.set_exception(RequestError("the connection is closed"))
            return future
        ident = next(self._ids)
        self._waiting[ident] = (future, RESULTS.get(method))
        try:
            with self._lock:
                write_message(self._sock, Request(ident, method, params))
        except ProtocolError as error:
            self._waiting.pop(ident, None)
            future.set_exception(RequestError(str(error)))
        except OSError:
            self._end()
        return future

    def close(self) -> None:
        """Hang up; what is still waited for fails."""
        self._end()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- the reader's thread -----------------------------------------------------------------------

    def _read(self) -> None:
        try:
            while True:
                message = read_message(self._sock)
                if message is None:
                    break
                self._take(message)
        except (OSError, ProtocolError):
            pass
        finally:
            self._end()

    def _take(self, message: Message) -> None:
        if isinstance(message, Reply):
            self._settle(message)
        elif isinstance(message, (Events, Dropped, StateChanged, Output)):
            self.inbox.append(message)
        if self.on_message is not None:
            self.on_message()

    def _settle(self, reply: Reply) -> None:
        future, kind = self._waiting.pop(reply.id, (None, None))
        if future is None or not future.set_running_or_notify_cancel():
            return
        if reply.error:
            future.set_exception(RequestError(reply.error))
            return
        try:
            result = reply.result if kind is None else msgspec.convert(reply.result, kind)
        except msgspec.ValidationError as error:
            future.set_exception(RequestError(f"the answer is not understood: {error}"))
            return
        future.set_result(result)

    def _end(self) -> None:
        """Close once, from whichever thread; wake what waits."""
        already, self.closed = self.closed, True
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        if threading.current_thread() is self._thread:
            self._sock.close()
        while self._waiting:
            with suppress(KeyError):
                future, _ = self._waiting.popitem()[1]
                if future.set_running_or_notify_cancel():
                    future.set_exception(RequestError("the connection is closed"))
        if not already and self.on_message is not None:
            self.on_message()


def find(target: str | os.PathLike[str]) -> Session:
    """The running session that is meant; SessionError says which there are."""
    text = os.fspath(target)
    if text.endswith(".sock") or os.sep in text:
        return files.session_at(Path(text))
    running = sessions()
    exact = [s for s in running if s.name == text]
    found = exact or [s for s in running if s.name.startswith(text)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(s.name for s in (found or running)) or "none is running"
    if not text:
        raise SessionError(f"which session? {names}" if running else "no session is running")
    problem = "several sessions match" if found else "no session is called"
    raise SessionError(f"{problem} {text!r}: {names}")
