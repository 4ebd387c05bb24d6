"""A viewer's end of the wire.

A reader thread puts what the other side pushes into `Client.inbox` and hands answers to the futures
that wait for them; the caller's thread never blocks.

The other side is a socket of this machine (`Client.connect`), or a command whose standard input and
output lead to one (`Client.over`): ``ssh host tapebook attach --stdio``.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from framework.trace import pipe
from framework.trace import session as files
from framework.trace.answers import RequestError
from framework.trace.check import Check
from framework.trace.events import Event
from framework.trace.inbox import Inbox, RawReply, unpack
from framework.trace.measure import Update
from framework.trace.protocol import (
    PROTOCOL_VERSION,
    Breakpoint,
    Challenge,
    Control,
    Frame,
    Goodbye,
    Hello,
    ProtocolError,
    Request,
    Summary,
    TensorView,
    Variable,
    Welcome,
    proof,
    read_frame,
    read_message,
    write_message,
)
from framework.trace.session import Session, SessionEnded, SessionError, sessions

__all__ = ["RESULTS", "Client", "RequestError", "SessionEnded", "SessionError", "sessions"]

# What the results of requests are, where they are more than plain values.
RESULTS: dict[str, Any] = {
    "events": list[Event],
    "breakpoints": list[Breakpoint],
    "variables": list[Variable],
    "stack": list[Frame],
    "evaluate": Variable,
    "view": TensorView,
    "summary": list[Summary | None],
    "measure": list[Summary | None],
    "updates": list[Update],
    "compute": Variable,
    "check": Check,
}

_COPY = re.compile(r"-(branch|baseline|rerun)-\d+(-\d+)?\Z")  # sessions of copies of a program
SEND_TIMEOUT = 10  # seconds that a request may take to leave


class Client:
    """A connection to a session; `Client.connect` or `Client.over` makes one.

    Attributes:
        welcome: what the other side said about itself.
        role: "control" or "observe": what this end may do now.
        holder: who controls the session.
        inbox: messages that came on their own, oldest first: events, states, output.
        closed: the other side is gone (or `close` was called).
        reason: why it hung up, in its own words; "" if it did not say.
        ended: it said that the program has ended.
        remote: the session is reached through a command; its files are not this machine's.
        on_message: called on the reader's thread when there is something new.

    >>> import pathlib, tempfile, framework as torch
    >>> from framework import trace
    >>> folder = tempfile.TemporaryDirectory()
    >>> service = trace.listen("train", directory=pathlib.Path(folder.name))
    >>> y = torch.ones(2).exp()
    >>> with trace.Client.connect(service.session) as client:
    ...     client.role, client.request("status").result()["last_seq"]
    ('control', 2)
    >>> service.close(); trace.stop()
    """

    def __init__(self, sock: socket.socket, welcome: Welcome, session: Session) -> None:
        self.welcome = welcome
        self.session = session
        self.role, self.holder = welcome.role, welcome.holder
        self.inbox = Inbox(self._broken)
        self.closed = False
        self.reason = ""
        self.ended = False
        self.successor = ""
        self.remote = False
        self.on_message: Callable[[], None] | None = None
        self._again: Callable[..., Client] | None = None
        self._process: pipe.Process | None = None
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
        who: str = "",
        stream: bool = True,
        silence: float = 0.0,
    ) -> Client:
        """Connect to a session, given as such, by name (or its beginning) or by socket.

        Without a target, to the only session there is. Raises SessionError with one line.

        Args:
            role: "control", which is had if nobody else has it, or "observe".
            who: what other viewers are told about this one; default: terminal and process id.
            stream: False for a client that only asks.
            silence: seconds without a request after which the session takes this end for dead.
        """
        session = target if isinstance(target, Session) else find(target)
        token = files.read_token(session)
        try:
            sock = files.connect(session.socket, timeout)
        except (FileNotFoundError, ConnectionRefusedError):
            raise SessionEnded(f"{session.name} has ended") from None
        except OSError as error:
            raise SessionError(f"{session.name} does not answer: {error.strerror}") from None
        if files.peer_uid(sock) not in (os.getuid(), None):
            sock.close()
            raise SessionError(f"{session.socket} is served by another user: it is not trusted")
        hello = Hello(PROTOCOL_VERSION, "", role, who or _whoami(), stream, silence)
        client = cls(sock, _greet(sock, session.name, token, hello), session)
        client._again = functools.partial(cls.connect, session, timeout=timeout, who=who,
                                          silence=silence)  # fmt: skip
        return client

    @classmethod
    def over(
        cls,
        command: list[str],
        *,
        role: str = "control",
        timeout: float = 60.0,
        who: str = "",
        silence: float = 0.0,
        detached: bool = False,
    ) -> Client:
        """Connect through a command that ends in ``tapebook attach --stdio``, such as ``ssh``'s.

        Its standard error is kept from the screen; its last line is the reason of a failure.
        ``detached``: it must not ask for a password on the terminal, which is in use.
        """
        process = pipe.Process(command, detached)
        sock = process.sock
        hello = Hello(PROTOCOL_VERSION, "", role, who or _whoami(), True, silence)
        try:
            process.wait_for_greeting(timeout)
            welcome = _greet(sock, command[0], "", hello)
        except SessionError as error:
            raise process.failed(str(error)) from None
        session = Session(
            welcome.name, welcome.pid, welcome.file, welcome.started, Path(os.devnull)
        )
        client = cls(sock, welcome, session)
        client.remote = True
        client._process = process
        client._again = functools.partial(cls.over, command, timeout=20.0, who=who,
                                          silence=silence, detached=True)  # fmt: skip
        return client

    def again(self) -> Client:
        """Connect once more the same way, as after a broken link; SessionEnded if it is over."""
        assert self._again is not None
        client = self._again(role=self.role)
        if client.welcome.name != self.welcome.name:
            client.close()
            raise SessionEnded(
                f"{self.welcome.name} has ended ({client.welcome.name} runs there now)"
            )
        return client

    def sibling(self, name: str) -> Client:
        """Connect to another session in the same place, such as a copy of this one's program.

        Raises SessionError with one line.
        """
        if not self.remote:
            return Client.connect(self.session.directory / f"{name}.sock")
        assert self._process is not None
        command = self._process.command
        command = command[:-1] if command[-1] == self.welcome.name else command
        return Client.over([*command, name], timeout=20.0, detached=True)

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
                data = read_frame(self._sock)
                if data is None:
                    break
                self._take(unpack(data))
        except (OSError, ProtocolError) as error:
            self.reason = self.reason or str(error)
        finally:
            self._end()

    def _take(self, message: Any) -> None:
        if isinstance(message, RawReply):
            self._settle(message)
        elif isinstance(message, Goodbye):
            self.reason, self.ended = message.reason, message.ended
            self.successor = message.successor
        elif not isinstance(message, (Challenge, Welcome)):
            if isinstance(message, Control):
                self.role, self.holder = message.role, message.holder
            self.inbox.take(message)
        if self.on_message is not None:
            self.on_message()

    def _broken(self, why: str) -> None:
        """What came is not what it should be: nothing more is believed."""
        self.reason = self.reason or why
        self._end()

    def _settle(self, reply: RawReply) -> None:
        future, kind = self._waiting.pop(reply.id, (None, None))
        if future is None or not future.set_running_or_notify_cancel():
            return
        if reply.error:
            future.set_exception(RequestError(reply.error))
            return
        try:
            result = msgspec.msgpack.decode(reply.result, type=Any if kind is None else kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
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
        if already:
            return
        if self._process is not None:
            self._process.end()
        if self.on_message is not None:
            self.on_message()


def _greet(sock: socket.socket, name: str, token: str, hello: Hello) -> Welcome:
    """Shake hands; the socket then waits as long as it takes. Closes it if it fails."""
    try:
        challenge = read_message(sock)
        if not isinstance(challenge, Challenge):
            raise ProtocolError("it hung up")
        write_message(sock, msgspec.structs.replace(hello, proof=proof(token, challenge.nonce)))
        welcome = read_message(sock)
        if isinstance(welcome, Goodbye):
            raise ProtocolError(welcome.reason)
        if not isinstance(welcome, Welcome):
            raise ProtocolError("it hung up, as it does when the token is not its own")
    except TimeoutError:
        sock.close()
        raise SessionError(f"{name} does not answer") from None
    except (OSError, ProtocolError) as error:
        sock.close()
        raise SessionError(f"{name} refused the connection: {error}") from None
    sock.settimeout(None)
    # A peer that has stopped reading must not hold the caller for ever.
    patience = struct.pack("ll", SEND_TIMEOUT, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
    return welcome


def _whoami() -> str:
    """``pts/3, pid 4711``: enough to find the other window."""
    for descriptor in (0, 1, 2):
        with suppress(OSError):
            return f"{os.ttyname(descriptor).removeprefix('/dev/')}, pid {os.getpid()}"
    return f"pid {os.getpid()}"


def matching(text: str, running: list[Session]) -> list[Session]:
    """Those of that name or process number, else all whose names begin so; copies come last."""
    exact = [s for s in running if text in (s.name, str(s.pid))]
    found = exact or [s for s in running if s.name.startswith(text)]
    return [s for s in found if not _COPY.search(s.name)] or found


def find(target: str | os.PathLike[str]) -> Session:
    """The running session that is meant; SessionError says which there are."""
    text = os.fspath(target)
    if text.endswith(".sock") or os.sep in text:
        return files.session_at(Path(text))
    running = sessions()
    found = matching(text, running)
    if len(found) == 1:
        return found[0]
    names = ", ".join(s.name for s in (found or running)) or "none is running"
    if not running:
        raise SessionEnded("no session is running")
    if not text:
        raise SessionError(f"several sessions run, name one of them: {names}")
    if found:
        raise SessionError(f"several sessions match {text!r}: {names}")
    raise SessionEnded(f"no session is called {text!r}: {names}")
