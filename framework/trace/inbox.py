"""What a session sends to a viewer on its own, in the order in which it came.

Events stay packed until somebody takes them out: a program makes them faster than a screen shows
them, and decoded they would be several times as large.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from framework.trace.events import Event
from framework.trace.protocol import (
    Challenge,
    Control,
    Dropped,
    Events,
    Goodbye,
    Output,
    ProtocolError,
    StateChanged,
    Welcome,
)

__all__ = ["MOST", "Inbox", "PackedEvents", "RawReply", "unpack"]

MOST = 64 << 20  # bytes of events that wait; of more only the numbers are kept


class RawReply(msgspec.Struct, tag="reply"):
    """`Reply`, with a result that is still to be decoded."""

    id: int
    result: msgspec.Raw = msgspec.Raw(b"\xc0")
    error: str = ""


class PackedEvents(msgspec.Struct, tag="events"):
    """`Events` as they came."""

    events: msgspec.Raw

    def unpacked(self) -> Events:
        """The events; raises `ProtocolError` if they are none."""
        try:
            return Events(_events(self.events))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ProtocolError(f"not a message of this protocol: {error}") from None


class _Head(msgspec.Struct, array_like=True):
    """An event of any kind: its tag and its number."""

    kind: int
    seq: int


_Incoming = (
    Challenge | Control | Dropped | Goodbye | Output | RawReply | StateChanged | Welcome
    | PackedEvents
)  # fmt: skip
_decode = msgspec.msgpack.Decoder(_Incoming).decode
_events = msgspec.msgpack.Decoder(list[Event]).decode
_heads = msgspec.msgpack.Decoder(list[_Head]).decode
_Pushed = Events | Dropped | StateChanged | Output | Control


def unpack(data: bytes) -> Any:
    """One message, but for events and results; raises `ProtocolError` for what is none."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"not a message of this protocol: {error}") from None


class Inbox(deque[Any]):
    """A deque of messages; `popleft` and iterating give `Events` decoded.

    Args:
        broken: told, on the caller's thread, why something that came is no list of events.

    Attributes:
        state: the newest `StateChanged` that came, taken out or not.

    >>> from framework.trace.events import Mark
    >>> from framework.trace.protocol import encode
    >>> inbox = Inbox(print)
    >>> inbox.take(unpack(encode(Events([Mark(1, 10, "a"), Mark(2, 20, "b")]))))
    >>> len(inbox), inbox.popleft().events[1].name, len(inbox)
    (1, 'b', 0)
    """

    def __init__(self, broken: Callable[[str], None]) -> None:
        super().__init__()
        self._broken = broken
        self.state: StateChanged | None = None
        self._came = self._gone = 0  # bytes of events; each is counted by one thread only

    def take(self, message: Any) -> None:
        """Append a message that `unpack` gave. Called by the reader's thread."""
        if isinstance(message, PackedEvents):
            size = len(memoryview(message.events))
            if self._came - self._gone + size > MOST:
                self._leave_out(message)
                return
            self._came += size
        self.append(message)
        if isinstance(message, StateChanged):
            self.state = message

    def _leave_out(self, message: PackedEvents) -> None:
        """Nobody takes anything out: the session is asked for these once more, or has lost them."""
        try:
            heads = _heads(message.events)
        except msgspec.DecodeError as error:
            raise ProtocolError(f"not a message of this protocol: {error}") from None
        if heads:
            self.append(Dropped(heads[0].seq, heads[-1].seq))

    def popleft(self) -> _Pushed:
        """The oldest message; IndexError if there is none."""
        return self._unpacked(self.packed())

    def packed(self) -> Any:
        """The oldest message; events as `PackedEvents`."""
        message = super().popleft()
        if isinstance(message, PackedEvents):
            self._gone += len(memoryview(message.events))
        return message

    @property
    def bytes(self) -> int:
        """What the events that wait take, packed."""
        return self._came - self._gone

    def shorten(self, most: int, rest: int) -> list[tuple[int, int]]:
        """Forget the oldest events, if ``most`` bytes wait, until ``rest`` do: their numbers."""
        forgotten: list[tuple[int, int]] = []
        if self.bytes <= most:
            return forgotten
        kept: list[Any] = []
        for message in [super(Inbox, self).popleft() for _ in range(len(self))]:
            old = isinstance(message, PackedEvents) and self.bytes > rest
            try:
                heads = _heads(message.events) if old else []
            except msgspec.DecodeError:
                heads = []  # who takes it out says what it is
            if heads:
                self._gone += len(memoryview(message.events))
                forgotten.append((heads[0].seq, heads[-1].seq))
            else:
                kept.append(message)
        self.extendleft(reversed(kept))
        return forgotten

    def clear(self) -> None:
        """Forget all."""
        super().clear()
        self._gone = self._came

    def __iter__(self) -> Iterator[_Pushed]:
        for message in super().__iter__():
            yield self._unpacked(message)

    def _unpacked(self, message: Any) -> Any:
        if not isinstance(message, PackedEvents):
            return message
        try:
            return message.unpacked()
        except ProtocolError as error:
            self._broken(str(error))
            return Events([])
