"""The tape as it comes: in order, with what the stream left out asked for, a piece at a time."""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from app.points import Points
from framework.trace.events import BackwardBegin, CellBegin, Event
from framework.trace.inbox import Inbox, PackedEvents
from framework.trace.protocol import Dropped, Events, ProtocolError, StateChanged, Summary
from viewers.graph.store import TraceStore

if TYPE_CHECKING:
    from framework.trace.client import Client
    from framework.trace.playback import Playback

__all__ = ["Intake"]

_LONG = 20_000  # events of a training step that is not taken in anew for some that come late
_BATCH = 2_000  # events of a message
_PIECE = 250  # of them, taken in at a time
_PAST = 100_000  # events of before we came that are asked for
_BEHIND, _REST = 2 << 20, 1 << 20  # bytes of events that may wait; how many do when it was more
_CALM = 1.0  # seconds without a loss after which what was lost is asked for
_GAPS = 20  # of them, the newest, are filled
_COMING = 400  # messages that wait here; more of them wait in the inbox, which is bounded


class _Missing(NamedTuple):
    """Events that are to be asked for before anything after them is taken in."""

    first: int
    last: int
    counted: bool = False  # they count as dropped until they come


class Intake(Points):
    """A part of `Session`: the tape, and what of it is still to come.

    The tape is taken in in its order. Where the stream has left something out, that is asked for.
    In a long training step everything after it waits, for what came late would mean to take in
    the whole step anew; between short ones it is put in its place when it comes, and it is asked
    for when the program stands or there is time. A program that makes short steps faster than they
    can be drawn is followed at the present: the oldest of what waits is left out, too, so that a
    key is about what is on the screen.
    """

    @property
    def live_seq(self) -> int:
        """Where the model is on the tape."""
        return self.store.last_seq

    def __init__(self) -> None:
        super().__init__()
        self.store = TraceStore()
        self.cursor = 0
        self.following = True
        self.stops: list[int] = []  # events at which the model stopped
        self.dropped = 0
        self.losses: list[tuple[int, float]] = []  # what backward started from, by event
        self.counts: dict[str, int] = {}  # of cells: the number of the newest run on the tape
        self._roots: list[tuple[int, int]] = []  # losses whose values are still to be asked for
        self._asked_roots = 0.0
        self._coming: deque[Any] = deque()  # of the tape, what waits for that before it
        self._asked = False  # that was asked for, and has not come yet
        self._late: list[Event] = []  # that the stream left out, until they are put in their places
        self._fetching = 0  # answers with more of them that are to come
        self._gaps: deque[tuple[int, int]] = deque(maxlen=_GAPS)  # still to be asked for
        self._lost = 0.0  # when the newest of them came
        self._heard: StateChanged | None = None  # what the program said of itself last, and
        self._ahead: StateChanged | None = None  # if that was taken in before what came before it

    def begin_with(self, first: int, last: int) -> None:
        """A new connection: what was waited for was asked of somebody else."""
        self.forget_coming()
        if self.state != "recording" and last - first >= _PAST:
            if self.store.last_seq:
                self.dropped += last - _PAST + 1 - first
            first = last - _PAST + 1
        if last >= first:
            self._take(_Missing(first, last))

    def heard(self, message: StateChanged) -> bool:
        """A word of the program about itself, in its turn; False if it is no news any more."""
        if self._ahead is None:
            self._heard = message
            return True
        if message is self._ahead:
            self._ahead = None
            self.fill_gaps()
            self.follow_live()
        return False

    def word_ahead(self, inbox: Inbox | deque[Events | Dropped]) -> StateChanged | None:
        """Its newest word, if that would have to wait for all the events before it to be read.

        They may take seconds, in which a window that has come late, say, would show that the
        program runs, though it stands.
        """
        newest = inbox.state if isinstance(inbox, Inbox) and inbox else None
        if newest is None or newest is self._heard or not (self.can_take or not self.has_room):
            return None
        self._heard = self._ahead = newest
        return newest

    def follow_live(self) -> None:
        """What is looked at is where the model is, if that is followed."""
        if self.following and self.cursor < self.live_seq:
            self.cursor = self.live_seq
            self.changed.add("cursor")

    def note_stop(self, seq: int) -> None:
        """The program stood after this event."""
        for known in (self.stops, self.store.stood):
            at = bisect_left(known, seq)
            if known[at : at + 1] != [seq]:
                known.insert(at, seq)

    def keep_up(self, inbox: Inbox | deque[Events | Dropped]) -> None:
        """Leave out the oldest events that wait, if it is too much to catch up with."""
        waits = self._asked or len(self._coming) > 1  # not only for the next tick
        if not isinstance(inbox, Inbox) or waits or self._long():
            return
        for first, last in inbox.shorten(_BEHIND, _REST):
            self.dropped += last - first + 1
            self._lose(first, last)

    def _lose(self, first: int, last: int) -> None:
        self._lost = time.monotonic()
        if self._gaps and self._gaps[-1][1] + 1 == first:
            first = self._gaps.pop()[0]
        self._gaps.append((first, last))
        self.changed.add("state")

    def ask_for_lost(self, now: float) -> None:
        """When there is time for it."""
        calm = self.state != "running" or now - self._lost > _CALM
        if calm and self._gaps and not (self._coming or self._asked or self._waiting_inbox):
            gaps = list(self._gaps)
            self._gaps.clear()
            for first, last in gaps:
                self._fetch_late(first, last)

    @property
    def _waiting_inbox(self) -> bool:
        return self.client is not None and bool(self.client.inbox)

    @property
    def has_room(self) -> bool:
        """May more be taken out of the inbox? That is bounded, what waits here is not."""
        return len(self._coming) < _COMING

    @property
    def can_take(self) -> bool:
        """Is there something that need not wait for an answer?"""
        return bool(self._coming) and not self._asked

    def next_of(self, inbox: Inbox | deque[Events | Dropped]) -> Any:
        """The next message; events that will have to wait stay packed."""
        if isinstance(inbox, Inbox) and (self._asked or self._coming):
            return inbox.packed()
        return inbox.popleft()

    def came(self, message: Events | PackedEvents | Dropped, end: float) -> None:
        """A message about the tape, which is taken in until a time; the rest of it waits."""
        if isinstance(message, Dropped):
            self.dropped += message.last - message.first + 1
            self.changed.add("state")
        if self._asked or self._coming:
            self._coming.append(message)
        else:
            self._take(message, end)

    def take_coming(self, end: float) -> None:
        """Take in what waits, at least a piece, until a time."""
        while self.can_take:
            self._take(self._coming.popleft(), end)
            if time.perf_counter() > end:
                return

    def rest_taken(self, gone: Client | Playback) -> bool:
        """Is all taken in that a program sent before it ended? What it was asked will not come."""
        self.settle(gone=True)
        self._asked, self._fetching = False, 0
        if gone.inbox or self._coming:
            return False
        self.fill_gaps()
        return True

    def _take(self, message: Any, end: float = math.inf) -> None:
        """The next of the tape."""
        if isinstance(message, PackedEvents):
            try:
                message = message.unpacked()
            except ProtocolError:
                if self.client is not None:
                    self.client.close()
                return
        if isinstance(message, Events):
            events = message.events
            for i in range(0, len(events), _PIECE):
                if i and time.perf_counter() > end:
                    self._coming.appendleft(Events(events[i:]))
                    break
                self._feed(events[i : i + _PIECE])
            self.changed.add("events")
            self.follow_live()
            return
        if isinstance(message, _Missing):
            self._fetch(message.first, message.last, message.counted)
        elif not self._long():
            self._lose(message.first, message.last)
        elif self._lag() + message.last - message.first < self.store.max_events:
            self._fetch(message.first, message.last, True)

    def _long(self) -> bool:
        """Is what comes the beginning of the tape, or part of a long training step?"""
        if not self.store.steps:
            return True
        step = self.store.steps[-1]
        return not step.done and step.last_seq - step.first_seq > _LONG

    def _lag(self) -> int:
        """About how many events wait to be taken in."""
        gaps = [m for m in self._coming if isinstance(m, (Dropped, _Missing))]
        return _BATCH * len(self._coming) + sum(m.last - m.first for m in gaps)

    def _fetch(self, first: int, last: int, counted: bool) -> None:
        """Ask for events before anything more is taken in; those still in the ring come."""
        self._asked = True

        def arrived(events: list[Event]) -> None:
            self._asked = False
            if counted:
                self.dropped = max(0, self.dropped - len(events))
                self.changed.add("state")
            if events and events[-1].seq < last:  # long answers come in pieces
                self._coming.appendleft(_Missing(events[-1].seq + 1, last, counted))
            pieces = [events[i : i + _BATCH] for i in range(0, len(events), _BATCH)]
            self._coming.extendleft(Events(piece) for piece in reversed(pieces))

        def failed(_: str) -> None:
            self._asked = False

        self.ask("events", arrived, failed, first=first, last=last)

    def _fetch_late(self, first: int, last: int) -> None:
        """Ask for events, and go on meanwhile."""
        self._fetching += 1

        def arrived(events: list[Event]) -> None:
            self._fetching -= 1
            self._late += events
            self.dropped = max(0, self.dropped - len(events))
            self.changed.add("state")
            if events and events[-1].seq < last:
                self._fetch_late(events[-1].seq + 1, last)
            self.fill_gaps()

        def failed(_: str) -> None:
            self._fetching -= 1
            self.fill_gaps()

        self.ask("events", arrived, failed, first=first, last=last)

    def fill_gaps(self) -> None:
        """Late events in their places: what is after them is taken in anew, so many at a time."""
        late = self._late
        if not late or self._fetching:
            return
        step = self.store.step_at(late[0].seq)
        again = self.store.last_seq - step.first_seq if step is not None else 0
        if self.state == "running" and len(late) * 4 < again:
            return
        self._late = []
        self._feed(late)
        self.changed.update(("events", "cursor"))
        if self.following:
            self.cursor = self.live_seq

    def forget_coming(self) -> None:
        """What was waited for was asked of somebody else."""
        self._coming.clear()
        self._late.clear()
        self._gaps.clear()
        self._asked, self._fetching = False, 0
        self._heard = self._ahead = None

    def _feed(self, events: list[Event]) -> None:
        self.store.feed(events)
        self.counts.update((e.cell, e.count) for e in events if type(e) is CellBegin)
        begins = [e for e in events if type(e) is BackwardBegin and e.roots]
        told = [(e.seq, e.loss) for e in begins if e.loss is not None]
        if told and self.losses and told[0][0] <= self.losses[-1][0]:  # they fill a gap
            self.losses = sorted(dict([*self.losses, *told]).items())[-5000:]
        elif told:
            self.losses = [*self.losses, *told][-5000:]
        self._roots += [(e.seq, e.roots[0]) for e in begins if e.loss is None]

    def _ask_losses(self, now: float) -> None:
        """The losses that old recordings do not tell by themselves, a few times a second."""
        soon = self.state == "running" and now - self._asked_roots < 0.2
        if not self._roots or soon or self.client is None:
            return
        self._asked_roots = now
        # The newest first, for a running program lets go of the values soon.
        roots, self._roots = self._roots[-500:], self._roots[-5000:-500]

        def arrived(summaries: list[Summary | None]) -> None:
            told = [
                (seq, summary.mean if summary.mean is not None else math.nan)
                for (seq, _), summary in zip(roots, summaries)
                if summary is not None and summary.count == 1
            ]
            self.losses = sorted(dict([*self.losses, *told]).items())[-5000:]
            self.changed.add("events")

        self.ask("summary", arrived, lambda _: None, tensors=[root for _, root in roots], seq=0)
