"""Containers in columns: what has a begin and an end, and what is open in what."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable

import numpy as np

from framework.trace.events import (
    BackwardBegin,
    CellBegin,
    Event,
    ModuleBegin,
    NodeBegin,
    OpBegin,
    OptimBegin,
)

__all__ = ["Container", "Containers"]

_KINDS = (CellBegin, ModuleBegin, OpBegin, BackwardBegin, NodeBegin, OptimBegin)
_CODES = {kind: code for code, kind in enumerate(_KINDS)}
_OPAQUE = {OpBegin, BackwardBegin, NodeBegin, OptimBegin}


class Container:
    """Something with a begin and an end that other events happen in."""

    __slots__ = ("_all", "index")

    def __init__(self, of: Containers, index: int) -> None:
        self._all = of
        self.index = index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Container) and self.index == other.index

    def __hash__(self) -> int:
        return hash(self.index)

    @property
    def seq(self) -> int:
        """Of its begin."""
        return self._all.begins[self.index]

    @property
    def kind(self) -> type:
        """Of its begin."""
        return _KINDS[self._all.kinds[self.index]]

    @property
    def event(self) -> Event:
        """Its begin."""
        return self._all.event(self.seq)

    @property
    def end(self) -> int:
        """The number of its end, 0 while it is open."""
        return self._all.ends[self.index]

    @property
    def phase(self) -> int:
        return self._all.phases[self.index]

    @property
    def outer(self) -> Container | None:
        at = self._all.outers[self.index]
        return Container(self._all, at) if at >= 0 else None

    @property
    def nest(self) -> int:
        """How many composite ops and nodes are open in it, itself among them."""
        return self._all.nests[self.index]

    @property
    def depth(self) -> int:
        """How many modules are, itself among them."""
        return self._all.depths[self.index]

    @property
    def opaque(self) -> bool:
        """Whether a step by source line passes it over: its inside has no lines of its own."""
        return bool(self._all.opaque[self.index])


class Containers:
    """All containers of a tape, in the order of their begins."""

    def __init__(self, event: Callable[[int], Event]) -> None:
        self.begins = array("q")
        self.ends = array("q")
        self.outers = array("i")  # -1 for none
        self.nests = array("i")
        self.depths = array("i")
        self.kinds = bytearray()
        self.phases = bytearray()
        self.opaque = bytearray()
        self._event = event  # by its number
        self._begun: dict[int, Event] = {}  # begins that are no longer on the tape, of open ones

    def __len__(self) -> int:
        return len(self.begins)

    def event(self, seq: int) -> Event:
        """A begin."""
        known = self._begun.get(seq)
        return known if known is not None else self._event(seq)

    def add(self, event: Event, outer: int, phase: int) -> int:
        """One more, open; its number."""
        kind = type(event)
        inside = outer >= 0
        self.begins.append(event.seq)
        self.ends.append(0)
        self.outers.append(outer)
        self.nests.append(
            (self.nests[outer] if inside else 0) + (kind is OpBegin or kind is NodeBegin)
        )
        self.depths.append((self.depths[outer] if inside else 0) + (kind is ModuleBegin))
        self.kinds.append(_CODES[kind])
        self.phases.append(phase)
        self.opaque.append(kind in _OPAQUE or (inside and bool(self.opaque[outer])))
        return len(self.begins) - 1

    def find(self, begin: int) -> int:
        """The one that began at this event, -1 if there is none."""
        at = bisect_left(self.begins, begin)
        return at if at < len(self.begins) and self.begins[at] == begin else -1

    def is_cell(self, index: int) -> bool:
        return self.kinds[index] == 0

    def open_at(self, index: int) -> list[int]:
        """A container and those around it, innermost first."""
        found = []
        while index >= 0:
            found.append(index)
            index = self.outers[index]
        return found

    # -- when events are dropped ---------------------------------------------------------------

    def drop_after(self, seq: int) -> None:
        """Forget those that began at this event or later, and ends from there on."""
        at = bisect_left(self.begins, seq)
        for column in (self.begins, self.ends, self.outers, self.nests, self.depths):
            del column[at:]
        for flags in (self.kinds, self.phases, self.opaque):
            del flags[at:]
        ends = np.frombuffer(self.ends, np.int64)
        ends[ends >= seq] = 0

    def drop_before(self, seq: int, base: int, top: int, inner: array[int]) -> tuple[int, int]:
        """Forget those that began before, but for ``base`` and what is around it.

        ``inner`` is brought up to date; returns the new numbers of ``base`` and ``top``.
        """
        at = bisect_left(self.begins, seq)
        kept = self.open_at(base)[::-1]
        self._begun = {self.begins[i]: self.event(self.begins[i]) for i in kept}
        around = np.array([i for i in kept if i < at], np.int64)
        keep = np.concatenate((around, np.arange(at, len(self))))
        new = np.full(len(self) + 1, -1, np.int32)  # the last one is that of -1
        new[keep] = np.arange(len(keep), dtype=np.int32)
        outers = new[np.frombuffer(self.outers, np.int32)[keep]].tobytes() if len(keep) else b""
        self.begins = _taken(self.begins, keep)
        self.ends = _taken(self.ends, keep)
        self.nests = _taken(self.nests, keep)
        self.depths = _taken(self.depths, keep)
        self.kinds, self.phases, self.opaque = (
            bytearray(np.frombuffer(flags, np.uint8)[keep].tobytes())
            for flags in (self.kinds, self.phases, self.opaque)
        )
        self.outers = array("i", outers)
        if len(inner):
            numbers = np.frombuffer(inner, np.int32)
            numbers[:] = new[numbers]
        return int(new[base]), int(new[top])


def _taken(column: array[int], keep: np.ndarray) -> array[int]:
    code = column.typecode
    return array(code, np.frombuffer(column, code)[keep].tobytes()) if len(keep) else array(code)
