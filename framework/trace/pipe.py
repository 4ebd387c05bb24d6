"""The wire over standard input and output: both ends of ``ssh host tapebook attach --stdio``.

The far end writes `GREETING` on a line of its own before the first frame, so that what a login
shell prints is told from the wire. It fills the token into the viewer's hello; after that it only
passes bytes on.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import tempfile
import threading
import time
from typing import Any

from framework.trace import session as files
from framework.trace.protocol import (
    Challenge,
    Hello,
    ProtocolError,
    proof,
    read_message,
    write_message,
)
from framework.trace.session import Session, SessionEnded, SessionError

__all__ = ["GREETING", "Process", "relay"]

GREETING = b"tapebook wire 2\n"
NOISE = 1 << 16  # bytes that a login shell may print before it


class Process:
    """A command whose standard input and output are one socket."""

    def __init__(self, command: list[str], detached: bool = False) -> None:
        self.sock, theirs = socket.socketpair()
        self.command = command
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the command)
        try:
            self._process = subprocess.Popen(
                command, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=self._said,
                start_new_session=detached,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            self.sock.close()
            self._said.close()
            reason = getattr(error, "strerror", None) or error
            raise SessionError(f"cannot run {command[0]}: {reason}") from None
        finally:
            theirs.close()

    def wait_for_greeting(self, timeout: float) -> None:
        """Skip what comes before the far end's first word; SessionError if that does not come."""
        end = time.monotonic() + timeout
        seen = b""
        self.sock.settimeout(timeout)
        while not seen.endswith(GREETING):
            self.sock.settimeout(max(0.01, end - time.monotonic()))
            try:
                byte = self.sock.recv(1)  # no byte of the frames that follow may be taken
            except TimeoutError:
                raise SessionError(f"did not answer within {timeout:g} seconds") from None
            except OSError:
                byte = b""
            if not byte or len(seen) > NOISE:
                raise SessionError("it is no `tapebook attach --stdio`")
            seen = (seen + byte)[-NOISE - 1 :]

    def failed(self, why: str) -> SessionError:
        """What to tell the user: the last line on standard error is the best reason."""
        code = self.end()
        self._said.seek(0)
        lines = self._said.read(1 << 16).decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        self._said.close()
        text = last.removeprefix("tapebook: ") or f"{self.command[0]}: {why}"
        return SessionEnded(text) if code == 2 else SessionError(text)

    def end(self) -> int | None:
        """Let the command end, at once if it does not by itself; its exit status."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(0.5)
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(0.5)
        self._process.kill()
        return self._process.wait()


def relay(session: Session, source: int, sink: int) -> None:
    """The far end: connect descriptors ``source`` and ``sink`` with a session, until either ends.

    Raises SessionError if the session cannot be reached or the near end does not speak the wire.
    """
    token, observe = files.read_token(session), files.read_token(session, observe=True)
    try:
        sock = files.connect(session.socket)
    except OSError as error:
        raise SessionEnded(f"{session.name} does not answer: {error.strerror}") from None
    with sock:
        sock.settimeout(None)
        near: Any = _Stream(source, sink)
        try:
            challenge = read_message(sock)
            if not isinstance(challenge, Challenge):
                raise ProtocolError("the session hung up")
            os.write(sink, GREETING)
            write_message(near, challenge)
            hello = read_message(near)
            if not isinstance(hello, Hello):
                raise ProtocolError("the near end said no hello")
            hello.proof = proof(observe if hello.role == "observe" else token, challenge.nonce)
            write_message(sock, hello)
        except (OSError, ProtocolError) as error:
            raise SessionError(f"{session.name}: {error}") from None
        up = threading.Thread(target=_upwards, args=(source, sock), daemon=True)
        up.start()
        with contextlib.suppress(OSError):
            while data := sock.recv(1 << 16):
                near.sendall(data)


def _upwards(source: int, sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := os.read(source, 1 << 16):
            sock.sendall(data)
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)  # the near end is gone: so are we


class _Stream:
    """Two descriptors with what `read_message` and `write_message` ask of a socket."""

    def __init__(self, source: int, sink: int) -> None:
        self._source, self._sink = source, sink

    def recv(self, count: int) -> bytes:
        return os.read(self._source, count)

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._sink, view) :]
            except BlockingIOError:  # a terminal multiplexer's pipe may not block
                select.select([], [self._sink], [], 1.0)
