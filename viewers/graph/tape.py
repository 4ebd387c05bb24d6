"""The columns of a trace: events by number, with gaps, and what is open and going on at each."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from framework.trace.events import Event, Source
from viewers.graph.containers import Container, Containers
from viewers.graph.packed import Packed

__all__ = ["Tape"]


class Tape:
    """Events and what runs parallel to them. The columns are not to be changed from outside.

    Attributes:
        tape: the events that are kept, by number.
        inner: for each the number of the innermost container that is open after it, or -1.
        codes: for each its phase, as an index into `PHASES`.
        places: for each its line of the user's code, as an index into ``lines``; 0 for events that
            are at none, and for those within what a step by line passes over.
        lines: the lines, with how many modules are open there.
    """

    def __init__(self) -> None:
        self.tape = Packed()
        self.inner = array("i")
        self.codes = bytearray()
        self.places = array("i")
        self.lines: list[tuple[Source | None, int]] = [(None, 0)]
        self._line_codes: dict[tuple[str, int, str, int], int] = {}
        self._line_last = 0  # the newest event's
        self.containers = Containers(lambda seq: self.tape[self.index(seq)])
        self._base = -1
        self._top = -1  # the innermost open container
        # Runs of consecutive numbers: tape[_at[i]] has number _from[i]; a gap lies between runs.
        self._from: list[int] = []
        self._at: list[int] = []
        self._next = 0  # the number that would follow without a gap

    @property
    def first_seq(self) -> int:
        """The oldest event that is kept; 0 without any."""
        return self._from[0] if self._from else 0

    @property
    def last_seq(self) -> int:
        """The newest event; 0 without any."""
        return self._next - 1 if self._from else 0

    def __len__(self) -> int:
        return len(self.tape)

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """First and last number of each piece that never came, oldest first."""
        ends = [*self._at[1:], len(self.tape)]
        lasts = [f + end - at for f, at, end in zip(self._from, self._at, ends)]
        return [(last, first - 1) for last, first in zip(lasts, self._from[1:])]

    def index(self, seq: int) -> int:
        """Position of an event in the columns, -1 if it is not there."""
        run = bisect_right(self._from, seq) - 1
        if run < 0:
            return -1
        end = self._at[run + 1] if run + 1 < len(self._at) else len(self.inner)
        i = self._at[run] + seq - self._from[run]
        return i if i < end else -1

    def index_before(self, seq: int) -> int:
        """Position of the newest event with this number or a smaller one, or -1."""
        run = bisect_right(self._from, seq) - 1
        if run < 0:
            return -1
        end = self._at[run + 1] if run + 1 < len(self._at) else len(self.inner)
        return min(self._at[run] + seq - self._from[run], end - 1)

    def event(self, seq: int) -> Event | None:
        """The event with this number, or None if it is not (or no longer) there."""
        i = self.index(seq)
        return self.tape[i] if i >= 0 else None

    def events(self, first: int, last: int) -> Iterator[Event]:
        """Events ``first`` to ``last``, as many as are there."""
        return self.tape.between(self.index_before(first - 1) + 1, self.index_before(last) + 1)

    def around(self, seq: int) -> Container | None:
        """The innermost container that is open after event ``seq``."""
        i = self.index_before(seq)
        return self.innermost(i) if i >= 0 else None

    def innermost(self, i: int) -> Container | None:
        """The innermost container that is open after the event at position ``i``."""
        at = self.inner[i]
        return Container(self.containers, at) if at >= 0 else None

    def container(self, begin: int) -> Container | None:
        """What began at this event, if that or its end is still kept."""
        at = self.containers.find(begin)
        return Container(self.containers, at) if at >= 0 else None

    @property
    def base(self) -> Container | None:
        """What was open where the kept events begin."""
        return Container(self.containers, self._base) if self._base >= 0 else None

    def seq_of(self, i: int) -> int:
        """The number of the event at position ``i``."""
        run = bisect_right(self._at, i) - 1
        return self._from[run] + i - self._at[run]

    # -- for the store -----------------------------------------------------------------------

    def _line_code(self, source: Source, outside: int) -> int:
        """What ``places`` says of an event at a line, in a container (-1: in none)."""
        containers = self.containers
        depth = 0
        if outside >= 0:
            if containers.opaque[outside]:
                return 0
            depth = containers.depths[outside]
        known, level = self.lines[self._line_last]
        if level == depth and source == known:
            return self._line_last
        key = (source.file, source.line, source.function, depth)
        code = self._line_codes.get(key)
        if code is None:
            code = self._line_codes[key] = len(self.lines)
            self.lines.append((source, depth))
        self._line_last = code
        return code

    def _start_run(self, seq: int) -> None:
        self._from.append(seq)
        self._at.append(len(self.inner))

    def _drop_after(self, i: int) -> None:
        """Forget the events from index ``i``."""
        seq = self.seq_of(i)
        self.containers.drop_after(seq)
        self._next = self.seq_of(i - 1) + 1 if i else 0
        self.tape.drop_after(i)
        del self.inner[i:], self.codes[i:], self.places[i:]
        run = bisect_left(self._at, i)
        del self._from[run:], self._at[run:]

    def _drop_before(self, i: int) -> None:
        """Forget the events before index ``i``, which is at least 1."""
        base, first = self.inner[i - 1], self.seq_of(i)
        del self.inner[:i], self.codes[:i], self.places[:i]
        self._base, self._top = self.containers.drop_before(first, base, self._top, self.inner)
        self.tape.drop_before(i)
        run = bisect_right(self._at, i) - 1
        self._from[run] += i - self._at[run]
        self._at[run] = i
        self._from = self._from[run:]
        self._at = [at - i for at in self._at[run:]]
