"""The events of a recording that was opened: packed as in the file, decoded when asked for.

Of every event only its kind and its time are unpacked when a file is opened, which takes a fifth
of the time and a tenth of the memory of making records of all. Stretches of events that were looked
at lately stay decoded.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import msgspec
import zstandard

from framework.trace.events import (
    CellBegin,
    CellEnd,
    Event,
    Mark,
    Op,
    OptimBegin,
    OptimEnd,
    Write,
    decode_events,
)
from framework.trace.tape_format import TapeError

__all__ = ["EventStore", "StepInfo"]

MAX_EVENTS = 20_000_000
DECODED = 10_000  # events that stay decoded, a kB each


@dataclass(frozen=True, slots=True)
class StepInfo:
    """A training step: the events up to an optimizer's end, or to where a cell begins or ends.

    Attributes:
        number: the optimizer's count, 0 for a step without an update.
        seconds: from its first to its last event.
        ops: primitive ops in it.
    """

    number: int
    first_seq: int
    last_seq: int
    seconds: float
    ops: int


# -- the heads of events: what is unpacked of all of them ------------------------------------------


class _Head(msgspec.Struct, array_like=True, frozen=True, gc=False, tag_field="kind"):
    """An event of which only the beginning is wanted; msgspec skips the rest."""

    number: ClassVar[int] = 0
    seq: int
    t: int


def _head(event: type, fields: list[tuple[str, Any]]) -> Any:
    tag = event.__struct_config__.tag  # type: ignore[attr-defined]
    return msgspec.defstruct(
        f"{event.__name__}Head", fields, bases=(_Head,), tag=tag, frozen=True, gc=False,
        namespace={"number": tag},
    )  # fmt: skip


_MORE: dict[type, list[tuple[str, Any]]] = {
    Write: [("tensors", tuple[int, ...])],
    OptimBegin: [("cls", msgspec.Raw), ("step", int)],
}
_HEADS = {event: _head(event, _MORE.get(event, [])) for event in Event.__args__}
_OPTIM = _HEADS[OptimBegin].number
_OPTIM_END, _CELL_BEGIN, _CELL_END = (_HEADS[e].number for e in (OptimEnd, CellBegin, CellEnd))
_BOUNDS = re.compile(b"[%c%c%c%c]" % (_OPTIM, _OPTIM_END, _CELL_BEGIN, _CELL_END))
_OPS = bytes([_HEADS[Op].number])
_FULL = re.compile(b"[%c%c]" % (_OPTIM, _HEADS[Write].number))  # kinds of which more is unpacked


def _union(types: list[type]) -> Any:
    found: Any = types[0]
    for other in types[1:]:
        found = found | other
    return found


_decode_heads = msgspec.msgpack.Decoder(list[_union(list(_HEADS.values()))]).decode  # type: ignore[misc]
_decode_raw = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


class _Stretch:
    """Events with consecutive numbers, out of one message."""

    __slots__ = ("data", "end", "first", "kinds", "packed", "start", "times")

    def __init__(
        self, first: int, kinds: bytes, times: Any, data: bytes, start: int, end: int, packed: bool
    ) -> None:
        self.first = first
        self.kinds = kinds
        self.times = times
        self.data = data  # the chunk's messages as they are in the file
        self.start, self.end = start, end  # where in them, unpacked, the message is
        self.packed = packed

    @property
    def last(self) -> int:
        return self.first + len(self.kinds) - 1


class EventStore:
    """The events of a recording, in the order of their numbers.

    Args:
        unreadable: told the number of an event that turned out to be none when it was decoded.

    Attributes:
        writes: tensor -> numbers of the events that wrote it.
    """

    def __init__(self, unreadable: Callable[[int], None]) -> None:
        self.writes: dict[int, list[int]] = {}
        self._unreadable = unreadable
        self._stretches: list[_Stretch] = []
        self._firsts: list[int] = []  # the number of the first event of each
        self._gaps: list[int] | None = []  # None: to be found out
        self._count = 0
        self._numbers: dict[int, int] = {}  # OptimBegin -> which step it is
        self._decoded: OrderedDict[int, list[Event]] = OrderedDict()  # first number -> events
        self._decoded_count = 0
        self._decompress: Any = None

    def __len__(self) -> int:
        return self._count

    @property
    def first_seq(self) -> int:
        return self._firsts[0] if self._firsts else 0

    @property
    def last_seq(self) -> int:
        return self._stretches[-1].last if self._stretches else 0

    @property
    def seconds(self) -> float:
        """From the first to the last event."""
        if not self._stretches:
            return 0.0
        return (self._stretches[-1].times[-1] - self._stretches[0].times[0]) / 1e9

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """First and last number of each run of events that is missing."""
        found = [(1, self.first_seq - 1)] if self.first_seq > 1 else []
        for last in self._gap_starts():
            found.append((last + 1, self._firsts[bisect_right(self._firsts, last)] - 1))
        return found

    def gap_after(self, first: int, last: int) -> bool:
        """Does a gap begin after one of the events ``first`` to ``last`` - 1?"""
        starts = self._gap_starts()
        i = bisect_left(starts, first)
        return i < len(starts) and starts[i] < last

    def _gap_starts(self) -> list[int]:
        """Numbers of the events after which some are missing."""
        if self._gaps is None:
            self._gaps = [
                before.last
                for before, after in pairwise(self._stretches)
                if after.first > before.last + 1
            ]
        return self._gaps

    # -- taking in ---------------------------------------------------------------------------------

    def take(self, unpacked: bytes, start: int, end: int, data: bytes, packed: bool) -> None:
        """Take in a message of events, which is at ``start`` to ``end`` of a chunk's messages.

        ``data`` is the chunk's content as it is in the file. Raises msgspec.DecodeError for a
        message that is none.
        """
        heads = _decode_heads(memoryview(unpacked)[start:end])
        if not heads:
            return
        if self._count + len(heads) > MAX_EVENTS:
            raise TapeError(f"holds more than {MAX_EVENTS:,} events: not read")
        seqs = [head.seq for head in heads]
        first = seqs[0]
        try:
            kinds, times = bytes([head.number for head in heads]), array("q", [h.t for h in heads])
        except OverflowError:
            raise msgspec.DecodeError("a time that is none") from None
        if first > self.last_seq and first >= 1 and seqs == list(range(first, first + len(seqs))):
            self._append(_Stretch(first, kinds, times, data, start, end, packed))
        else:
            self._take_apart(seqs, kinds, times, unpacked[start:end])
        for match in _FULL.finditer(kinds):
            head = heads[match.start()]
            if head.number == _OPTIM:
                self._numbers.setdefault(head.seq, head.step)
                continue
            for ident in head.tensors:
                written = self.writes.setdefault(ident, [])
                if not written or written[-1] <= head.seq:
                    written.append(head.seq)
                else:
                    insort(written, head.seq)

    def _append(self, stretch: _Stretch) -> None:
        if self._gaps is not None and self._stretches and stretch.first > self.last_seq + 1:
            self._gaps.append(self.last_seq)
        self._stretches.append(stretch)
        self._firsts.append(stretch.first)
        self._count += len(stretch.kinds)

    def _take_apart(self, seqs: list[int], kinds: bytes, times: Any, message: bytes) -> None:
        """Events that do not follow each other, or not on the newest one: each for itself."""
        for i, raw in enumerate(_decode_raw(message)):
            seq = seqs[i]
            if seq < 1 or self._find(seq) is not None:  # a number that is there already
                continue
            data = b"\x91" + bytes(raw)
            stretch = _Stretch(seq, kinds[i : i + 1], times[i : i + 1], data, 0, len(data), False)
            if seq > self.last_seq:
                self._append(stretch)
                continue
            at = bisect_left(self._firsts, seq)
            self._gaps = None
            self._stretches.insert(at, stretch)
            self._firsts.insert(at, seq)
            self._count += 1

    # -- asking ------------------------------------------------------------------------------------

    def events(self, first: int, last: int) -> Iterator[Event]:
        """Events ``first`` to ``last``, as many as there are."""
        i = max(0, bisect_right(self._firsts, first) - 1)
        while i < len(self._stretches) and self._firsts[i] <= last:
            stretch = self._stretches[i]
            if stretch.last >= first:
                at = max(0, first - stretch.first)
                yield from self._events_of(stretch)[at : last - stretch.first + 1]
            i += 1

    def event(self, seq: int) -> Event | None:
        stretch = self._find(seq)
        return None if stretch is None else self._events_of(stretch)[seq - stretch.first]

    def _find(self, seq: int) -> _Stretch | None:
        i = bisect_right(self._firsts, seq) - 1
        return self._stretches[i] if i >= 0 and self._stretches[i].last >= seq else None

    def _events_of(self, stretch: _Stretch) -> list[Event]:
        decoded = self._decoded
        found = decoded.get(stretch.first)
        if found is not None:
            decoded.move_to_end(stretch.first)
            return found
        found = decoded[stretch.first] = self._decode(stretch)
        self._decoded_count += len(found)
        while self._decoded_count > DECODED and len(decoded) > 1:
            self._decoded_count -= len(decoded.popitem(last=False)[1])
        return found

    def _decode(self, stretch: _Stretch) -> list[Event]:
        data = stretch.data
        if stretch.packed:
            if self._decompress is None:
                self._decompress = zstandard.ZstdDecompressor().decompress
            data = self._decompress(data)
        message = data[stretch.start : stretch.end]
        try:
            return decode_events(message)
        except (msgspec.DecodeError, RecursionError):
            pass
        found: list[Event] = []
        for i, raw in enumerate(_decode_raw(message)):
            try:
                found += decode_events(b"\x91" + bytes(raw))
            except (msgspec.DecodeError, RecursionError):
                seq = stretch.first + i
                self._unreadable(seq)
                found.append(Mark(seq, stretch.times[i], "unreadable event"))
        return found

    # -- steps -------------------------------------------------------------------------------------

    def steps(self) -> Iterator[StepInfo]:
        """The training steps, in order; what comes after the last optimizer is a step as well."""
        step = _Step()
        for stretch in self._stretches:
            kinds, at = stretch.kinds, 0
            for match in _BOUNDS.finditer(kinds):
                i = match.start()
                step.add(stretch, at, i)
                kind, at = kinds[i], i + 1
                if kind == _CELL_BEGIN and step.ops:
                    yield step.end()
                step.add(stretch, i, i + 1)
                if kind == _OPTIM:
                    step.number = self._numbers.get(stretch.first + i, 0)
                elif kind == _OPTIM_END or (kind == _CELL_END and step.ops):
                    yield step.end()
            step.add(stretch, at, len(kinds))
        if step.ops:
            yield step.end()


class _Step:
    """A training step while its events go by."""

    def __init__(self) -> None:
        self.number = self.ops = self.first = self.last = self.began = self.ended = 0

    def add(self, stretch: _Stretch, start: int, stop: int) -> None:
        if start >= stop:
            return
        if not self.first:
            self.first, self.began = stretch.first + start, stretch.times[start]
        self.last, self.ended = stretch.first + stop - 1, stretch.times[stop - 1]
        self.ops += stretch.kinds.count(_OPS, start, stop)

    def end(self) -> StepInfo:
        seconds = (self.ended - self.began) / 1e9
        found = StepInfo(self.number, self.first, self.last, seconds, self.ops)
        self.__init__()  # type: ignore[misc]
        return found
