"""The columns of a trace: events by number, with gaps, and what is open and going on at each."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from framework.trace.events import Event
from viewers.graph.moments import Container

__all__ = ["Tape"]


class Tape:
    """Events and what runs parallel to them. The columns are not to be changed from outside.

    Attributes:
        tape: the events that are kept, by number.
        inner: for each the innermost container that is open after it.
        codes: for each its phase, as an index into `PHASES`.
        base: what was open where the kept events begin.
    """

    def __init__(self) -> None:
        self.tape: list[Event] = []
        self.inner: list[Container | None] = []
        self.codes = bytearray()
        self.base: Container | None = None
        # Runs of consecutive numbers: tape[_at[i]] has number _from[i]; a gap lies between runs.
        self._from: list[int] = []
        self._at: list[int] = []
        self._next = 0  # the number that would follow without a gap

    @property
    def first_seq(self) -> int:
        """The oldest event that is kept; 0 without any."""
        return self.tape[0].seq if self.tape else 0

    @property
    def last_seq(self) -> int:
        """The newest event; 0 without any."""
        return self._next - 1 if self.tape else 0

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
        i = self.index_before(seq)
        return i if i >= 0 and self.tape[i].seq == seq else -1

    def index_before(self, seq: int) -> int:
        """Position of the newest event with this number or a smaller one, or -1."""
        run = bisect_right(self._from, seq) - 1
        if run < 0:
            return -1
        end = self._at[run + 1] if run + 1 < len(self._at) else len(self.tape)
        return min(self._at[run] + seq - self._from[run], end - 1)

    def event(self, seq: int) -> Event | None:
        """The event with this number, or None if it is not (or no longer) there."""
        i = self.index(seq)
        return self.tape[i] if i >= 0 else None

    def events(self, first: int, last: int) -> Iterator[Event]:
        """Events ``first`` to ``last``, as many as are there."""
        i = max(0, self.index_before(first - 1) + 1)
        while i < len(self.tape) and self.tape[i].seq <= last:
            yield self.tape[i]
            i += 1

    def around(self, seq: int) -> Container | None:
        """The innermost container that is open after event ``seq``."""
        i = self.index_before(seq)
        return self.inner[i] if i >= 0 else None

    # -- for the store -----------------------------------------------------------------------

    def _start_run(self, seq: int) -> None:
        self._from.append(seq)
        self._at.append(len(self.tape))

    def _drop_after(self, i: int) -> None:
        """Forget the events from index ``i``."""
        del self.tape[i:], self.inner[i:], self.codes[i:]
        run = bisect_left(self._at, i)
        del self._from[run:], self._at[run:]
        self._next = self.tape[-1].seq + 1 if self.tape else 0

    def _drop_before(self, i: int) -> None:
        """Forget the events before index ``i``, which is at least 1."""
        self.base = self.inner[i - 1]
        del self.tape[:i], self.inner[:i], self.codes[:i]
        run = bisect_right(self._at, i) - 1
        self._from[run] += i - self._at[run]
        self._at[run] = i
        self._from = self._from[run:]
        self._at = [at - i for at in self._at[run:]]
