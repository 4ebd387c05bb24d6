"""One connection of the service: frames out of bytes, and bytes yet to be taken."""

from __future__ import annotations

import contextlib
import secrets
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from framework.trace.protocol import MAX_FRAME, Message, ProtocolError, Request, encode

__all__ = ["NEVER", "Peer", "frame", "framed"]

MAX_HELLO = 4096  # bytes of the first frame, before the peer has shown its token
MAX_REQUEST = 16 << 20  # bytes of any other frame
PATIENCE = 5.0  # seconds for a greeting, for the rest of a frame, for taking what was sent
FLOOD = 1000  # requests at a time: no viewer has so many to ask before it has read an answer
NEVER = float("inf")

_HEAD = struct.Struct(">I")


def framed(message: Message) -> bytes:
    """A message with its frame; ProtocolError if it is too long or holds what cannot be sent."""
    try:
        data = encode(message)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ProtocolError(f"the answer cannot be sent: {error}") from None
    return frame(data)


def frame(data: bytes) -> bytes:
    """An encoded message with its frame."""
    if len(data) > MAX_FRAME:
        raise ProtocolError(f"the answer of {len(data)} bytes is above the cap of {MAX_FRAME}")
    return _HEAD.pack(len(data)) + data


class Peer:
    """One connection: what has come of its next frame, and what it still has to fetch."""

    def __init__(self, sock: socket.socket, ident: int) -> None:
        self.sock = sock
        self.id = ident
        self.nonce = secrets.token_hex(32)
        self.role = ""  # "control" | "observe"; "" until it has proved that it knows the token
        self.may_control = False
        self.who = ""
        self.stream = True
        self.next = 0  # the event that its live stream goes on with
        self.waiting = 0  # bytes
        self.resume = 0.0  # when it is read again: watching has a known price
        self.later: deque[tuple[Request, Callable[[dict[str, Any]], Any]]] = deque()
        self.busy = 0  # slow requests at work
        self.ready = 0.0  # when the next slow one may begin
        self.silence = NEVER  # seconds without a word after which it counts as gone
        self._frame_due = time.monotonic() + PATIENCE
        self._heard = time.monotonic()
        self._stuck = NEVER  # since when it has taken nothing of what waits for it
        self._in = bytearray()
        self._out: deque[memoryview] = deque()

    @property
    def viewer(self) -> bool:
        """Does it watch, rather than ask once and go?"""
        return bool(self.role) and self.stream

    def overdue(self, now: float, patient: bool) -> str:
        """Why it is to be dropped, "" if it is not. ``patient``: it may take what waits later."""
        if now > self._frame_due:
            return "half a frame came, and then nothing"
        if not patient and now > self._stuck + PATIENCE:
            return f"nothing was read for {PATIENCE:g} seconds"
        if now > self._heard + self.silence:
            return f"nothing was heard for {self.silence:g} seconds"
        return ""

    @property
    def deadline(self) -> float:
        """When to look again whether it is overdue."""
        return min(self._frame_due, self._stuck + PATIENCE, self._heard + self.silence)

    def frames(self, data: bytes) -> list[bytes]:
        """Whole frames, now that these bytes have come."""
        buffer = self._in
        buffer += data
        self._heard = time.monotonic()
        found: list[bytes] = []
        limit = MAX_REQUEST if self.role else MAX_HELLO
        at = 0
        while len(buffer) - at >= _HEAD.size:
            (length,) = _HEAD.unpack_from(buffer, at)
            if length > limit:
                raise ProtocolError(f"frame of {length} bytes is above the cap of {limit}")
            if len(buffer) - at < _HEAD.size + length:
                break
            if len(found) >= FLOOD:
                raise ProtocolError(f"more than {FLOOD} requests at a time")
            found.append(bytes(buffer[at + _HEAD.size : at + _HEAD.size + length]))
            at += _HEAD.size + length
            if not self.role:
                break
        del buffer[:at]
        if self.role:
            self._frame_due = self._heard + PATIENCE if buffer else NEVER
        return found

    def send(self, data: bytes) -> None:
        """Send, or remember what the connection does not take now."""
        view = memoryview(data)
        if not self._out:
            with contextlib.suppress(BlockingIOError):
                view = view[self.sock.send(view) :]
        if view:
            if not self._out:
                self._stuck = time.monotonic()
            self._out.append(view)
            self.waiting += len(view)

    def flush(self) -> None:
        while self._out:
            view = self._out[0]
            try:
                sent = self.sock.send(view)
            except BlockingIOError:
                return
            self._stuck = time.monotonic()
            self.waiting -= sent
            if sent < len(view):
                self._out[0] = view[sent:]
                return
            self._out.popleft()
        self._stuck = NEVER
