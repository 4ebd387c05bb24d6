"""Values of the tape: references to arrays by (tensor id, seq), under a byte budget.

Keeping a value costs a reference. A write in place would change what was kept, so the recorder
calls `freeze` before it (the kept array is copied) and `renew` after it was announced (the live
array is kept again, as the value from then on).
"""

from __future__ import annotations

import sys
import weakref
from collections import deque
from functools import partial
from sys import getrefcount
from typing import Any

__all__ = ["Values"]

IN_USE = 3  # references to an array that only its entry, a local name and the call hold

Entry = tuple[int, Any]  # (seq, array)


def _gone() -> None:
    """A weak reference to nothing."""


def _newest(entries: Any) -> Entry:
    return entries if entries.__class__ is tuple else entries[-1]


def _oldest(entries: Any) -> Entry:
    return entries if entries.__class__ is tuple else entries[0]


ENTRY = 512  # bytes that keeping one array costs beside its elements, so that many tiny ones count


class Values:
    """What tensors held, and when.

    >>> import numpy as np
    >>> values = Values(budget=1 << 20)
    >>> a = np.zeros(2)
    >>> values.keep(1, 10, a)
    >>> values.freeze(1); a += 1; values.renew(1, 20)
    >>> values.get(1, 15), values.get(1, 20)
    (array([0., 0.]), array([1., 1.]))
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.bytes = 0
        # id -> (seq, array), or a list of these in seq order; the last may be the live array. Most
        # have one, and a tuple of a number and an array is nothing for the garbage collector.
        self._entries: dict[int, Any] = {}
        self._order: deque[int] = deque()  # the id of each entry, oldest first
        self._due = 0  # what was kept up to this event is to go
        self._live: dict[int, Any] = {}  # the array that a frozen id lives in
        # id -> (seq, weak reference) of values that were dropped while the program still held them
        self._alive: dict[int, tuple[int, weakref.ref[Any]]] = {}

    def keep(self, ident: int, seq: int, array: Any) -> None:
        """From ``seq`` on, tensor ``ident`` holds ``array``."""
        entries = self._entries.get(ident)
        if entries is None:
            self._entries[ident] = (seq, array)
        elif entries.__class__ is tuple:
            if entries[1] is array:
                return
            self._entries[ident] = [entries, (seq, array)]
        elif entries[-1][1] is array:
            return
        else:
            entries.append((seq, array))
        self._order.append(ident)
        size = array.nbytes + ENTRY
        self.bytes += size
        if self._due:
            self._let_go(size)
        if self.bytes > self.budget:
            self._evict()

    def freeze(self, ident: int, leaf: Any = None) -> None:
        """``ident`` is about to be written: what was kept of it becomes a copy.

        A leaf (a parameter) whose old value has left the budget is copied all the same: its value
        before an optimizer's step is always asked for.
        """
        entries = self._entries.get(ident)
        if entries is not None:
            born, array = _newest(entries)
            if ident not in self._live:
                self._live[ident] = array
            frozen = (born, array.copy())
            if entries.__class__ is tuple:
                self._entries[ident] = frozen
            else:
                entries[-1] = frozen
            return
        seq, alive = self._alive.pop(ident, (0, _gone))
        array = alive()
        if array is None and leaf is not None:
            array = leaf._data
        if array is not None:
            self._live[ident] = array
            self.keep(ident, seq, array.copy())

    def renew(self, ident: int, seq: int) -> None:
        """The write at ``seq`` is under way: from there on ``ident`` is its live array again."""
        array = self._live.pop(ident, None)
        if array is not None:
            self.keep(ident, seq, array)

    def leave(self, ident: int) -> None:
        """``ident`` has no array of its own any more: what was frozen is its last value."""
        self._live.pop(ident, None)

    def live(self, ident: int) -> Any | None:
        """The array that the program itself still holds for ``ident``; None if it has let it go."""
        entries = self._entries.get(ident)
        if entries is None:
            return self._alive.get(ident, (0, _gone))[1]()
        array = _newest(entries)[1]
        held = getrefcount(array) > IN_USE or array.base is not None
        return array if held else None

    def sharing(self, array: Any) -> list[int]:
        """The ids whose newest value is kept in the memory of ``array``, or in a part of it."""
        share = getattr(type(array), "__module__", "numpy").partition(".")[0]
        overlap = sys.modules[share].may_share_memory
        found = []
        for ident, entries in list(self._entries.items()):
            newest = _newest(entries)[1]
            if type(newest) is type(array) and overlap(newest, array):
                found.append(ident)
        return found

    def get(self, ident: int, seq: int = 0) -> Any | None:
        """What ``ident`` held as of ``seq`` (0: the newest), or None if that is not kept."""
        entries = self._entries.get(ident)
        if entries is None:
            born, array = self._alive.get(ident, (0, _gone))
            return array() if not seq or born <= seq else None
        if not seq:
            return _newest(entries)[1]
        if entries.__class__ is tuple:
            return entries[1] if entries[0] <= seq else None
        for entry in reversed(list(entries)):
            if entry[0] <= seq:
                return entry[1]
        return None

    def forget(self, seq: int) -> None:
        """Drop what was kept up to ``seq``; the newest value of an array in use stays known.

        Not at once, but as new values come: the memory that one lets go of is then what the next
        is made in. All of a step at a time would go back to the system, and be asked for again.
        """
        self._let_go(self.bytes)
        self._due = seq

    def _let_go(self, size: int) -> None:
        """Drop as many bytes of what is due."""
        order, left = self._order, self.bytes - size
        while order and _oldest(self._entries[order[0]])[0] <= self._due:
            if self.bytes <= left:
                return
            self._drop_oldest()
        self._due = 0

    def _evict(self) -> None:
        while self.bytes > self.budget and len(self._order) > 1:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        ident = self._order.popleft()
        entries = self._entries[ident]
        seq, array = entry = _oldest(entries)
        self.bytes -= array.nbytes + ENTRY
        if entries is not entry and len(entries) > 1:
            del entries[0]
            return
        del self._entries[ident]
        if getrefcount(array) > IN_USE:
            self._alive[ident] = (seq, weakref.ref(array, partial(self._died, ident)))

    def _died(self, ident: int, _: Any) -> None:
        self._alive.pop(ident, None)
