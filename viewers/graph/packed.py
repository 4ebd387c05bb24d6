"""Events kept packed: bytes in blocks, made into records again where somebody looks.

A decoded event of an op is half a kB of objects, packed it is a fifth of that, and the garbage
collector does not see it. Some blocks that were looked at lately stay decoded. One thread changes a
tape; others may read it meanwhile.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import overload

import msgspec

from framework.trace.events import Event, decode_events

__all__ = ["Packed"]

BLOCK = 64  # events in a block
DECODED = 64  # blocks that stay decoded

_encode_into = msgspec.msgpack.Encoder().encode_into


class Packed(Sequence[Event]):
    """A list of events that takes little memory. Events are added at the end.

    >>> from framework.trace.events import Mark
    >>> events = Packed()
    >>> for seq in range(1, 200):
    ...     events.append(Mark(seq, 10 * seq, f"mark {seq}"))
    >>> len(events), events[3].name, [e.seq for e in events[-2:]]
    (199, 'mark 4', [198, 199])
    >>> events.drop_before(100); events.drop_after(50)
    >>> events[0].seq, events[-1].seq, len(events)
    (101, 150, 50)
    """

    __slots__ = ("_blocks", "_decoded", "_skip", "_tail")

    def __init__(self) -> None:
        # A block that cannot be packed (of text that is none) stays a list.
        self._blocks: list[bytes | list[Event]] = []
        self._tail: list[Event] = []  # the last ones, not packed yet
        self._skip = 0  # events of the first block that were dropped
        self._decoded: list[tuple[int, list[Event]] | None] = [None] * DECODED

    def __len__(self) -> int:
        return len(self._blocks) * BLOCK + len(self._tail) - self._skip

    def append(self, event: Event) -> None:
        """Add an event."""
        tail = self._tail
        tail.append(event)
        if len(tail) == BLOCK:
            self._blocks.append(_pack(tail))
            self._tail = []

    def snapshot(self) -> Packed:
        """The events as they are now, for another thread; packed memory is shared."""
        copy = Packed()
        copy._blocks, copy._tail, copy._skip = self._blocks.copy(), self._tail.copy(), self._skip
        return copy

    def drop_before(self, i: int) -> None:
        """Forget the events before position ``i``."""
        whole, self._skip = divmod(i + self._skip, BLOCK)
        del self._blocks[:whole]
        self._decoded = [None] * DECODED
        if not self._blocks:
            self._tail, self._skip = self._tail[self._skip :], 0

    def drop_after(self, i: int) -> None:
        """Forget the events from position ``i`` on."""
        if i >= len(self):
            return
        whole, rest = divmod(i + self._skip, BLOCK)
        self._tail = self._block(whole)[:rest]
        del self._blocks[whole:]
        self._decoded = [None] * DECODED
        if not self._blocks:
            self._tail, self._skip = self._tail[self._skip :], 0

    def _block(self, number: int) -> list[Event]:
        """A block's events. The list is not to be changed."""
        if number >= len(self._blocks):
            return self._tail
        decoded = self._decoded  # before the block is read: others may read at the same time
        known = decoded[number % DECODED]
        if known is not None and known[0] == number:
            return known[1]
        data = self._blocks[number]
        if isinstance(data, list):
            return data
        events = decode_events(data)
        decoded[number % DECODED] = number, events
        return events

    @overload
    def __getitem__(self, i: int) -> Event: ...
    @overload
    def __getitem__(self, i: slice) -> list[Event]: ...
    def __getitem__(self, i: int | slice) -> Event | list[Event]:
        if isinstance(i, slice):
            start, stop, step = i.indices(len(self))
            if step != 1:
                return [self[j] for j in range(start, stop, step)]
            return list(self.between(start, stop))
        if i < 0:
            i += len(self)
        if not 0 <= i < len(self):
            raise IndexError("no such event")
        whole, rest = divmod(i + self._skip, BLOCK)
        return self._block(whole)[rest]

    def between(self, start: int, stop: int) -> Iterator[Event]:
        """Events from position ``start`` to before ``stop``."""
        start, stop = start + self._skip, min(stop, len(self)) + self._skip
        while start < stop:
            whole, rest = divmod(start, BLOCK)
            yield from self._block(whole)[rest : rest + stop - start]
            start += BLOCK - rest

    def __iter__(self) -> Iterator[Event]:
        return self.between(0, len(self))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other))

    __hash__ = None  # type: ignore[assignment]


def _pack(events: list[Event]) -> bytes | list[Event]:
    buffer = bytearray(struct.pack(">BH", 0xDC, len(events)))  # the head of an array
    try:
        for event in events:
            _encode_into(event, buffer, -1)
    except (UnicodeEncodeError, msgspec.MsgspecError, OverflowError, TypeError):
        return events
    return bytes(buffer)
