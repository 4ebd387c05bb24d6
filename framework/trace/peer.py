"""One connection of the service: frames out of bytes, and bytes yet to be taken."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections import deque

from framework.trace.protocol import MAX_FRAME, Message, ProtocolError, encode

__all__ = ["NEVER", "Peer", "frame", "framed"]

MAX_HELLO = 4096  # bytes of the first frame, before the peer has shown its token
MAX_REQUEST = 16 << 20  # bytes of any other frame
PATIENCE = 5.0  # seconds for a token, or for the rest of a frame that has begun
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

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.role = ""  # until its token was right
        self.next = 0  # the event that its live stream goes on with
        self.waiting = 0  # bytes
        self.deadline = time.monotonic() + PATIENCE
        self._in = bytearray()
        self._out: deque[memoryview] = deque()

    def frames(self, data: bytes) -> list[bytes]:
        """Whole frames, now that these bytes have come."""
        buffer = self._in
        buffer += data
        found = []
        limit = MAX_REQUEST if self.role else MAX_HELLO
        while len(buffer) >= _HEAD.size:
            (length,) = _HEAD.unpack_from(buffer)
            if length > limit:
                raise ProtocolError(f"frame of {length} bytes is above the cap of {limit}")
            if len(buffer) < _HEAD.size + length:
                break
            found.append(bytes(buffer[_HEAD.size : _HEAD.size + length]))
            del buffer[: _HEAD.size + length]
            if not self.role:
                break  # what follows a greeting is judged by its outcome
        if self.role:
            self.deadline = time.monotonic() + PATIENCE if buffer else NEVER
        return found

    def send(self, data: bytes) -> None:
        """Send, or remember what the connection does not take now."""
        view = memoryview(data)
        if not self._out:
            with contextlib.suppress(BlockingIOError):
                view = view[self.sock.send(view) :]
        if view:
            self._out.append(view)
            self.waiting += len(view)

    def flush(self) -> None:
        while self._out:
            view = self._out[0]
            try:
                sent = self.sock.send(view)
            except BlockingIOError:
                return
            self.waiting -= sent
            if sent < len(view):
                self._out[0] = view[sent:]
                return
            self._out.popleft()
