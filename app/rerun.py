"""A training step whose values are no longer kept, run again; its values take their place.

`Rerun` asks the program's checkpoints (`framework.trace.checkpoints`) for a copy that repeats the
step, checks that it did the same, and answers for it from then on.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from framework.trace.checkpoints import Difference, first_difference
from framework.trace.client import RequestError
from framework.trace.protocol import TensorView
from framework.trace.stuck import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.session import Session
    from framework.trace.client import Client
    from framework.trace.events import Event

__all__ = ["Rerun"]

PATIENCE = 120.0  # seconds that a step may take to be run again
HINT = "a runs its step again"


class _Made(NamedTuple):
    """A re-run that has come to where it was to stop."""

    client: Client
    first: int  # events of it
    last: int
    step: int
    since: int  # events that were run again
    seconds: float
    difference: Difference | None


class Rerun:
    """The newest re-run of a session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.made: _Made | None = None
        self._busy = False

    def covers(self, seq: int) -> bool:
        """Does it know the values of this moment?"""
        made = self.made
        return made is not None and not made.client.closed and made.first <= seq <= made.last

    @property
    def client(self) -> Client | None:
        """The connection to it."""
        return self.made.client if self.made is not None else None

    def forget(self) -> None:
        """The program is another one."""
        if self.made is not None:
            self.made.client.close()
            self.made = None

    def again(self) -> None:
        """Run the training step at the cursor again."""
        session = self.session
        program, step = session.client, session.moment.step
        if program is None or step is None or not hasattr(program, "sibling"):
            recorded = "a recording is run again by `tapebook rerun FILE`"
            session.say(recorded if session.state == "recording" else session.why_not(), True)
            return
        if session.whatif.branch is not None:
            session.say("a step of a branch is not run again: X leaves the branch")
            return
        if self._busy:
            session.say("a step is being run again already")
            return
        first, last = step.first_seq, min(step.end_seq or step.last_seq, session.live_seq)
        events = [e for e in session.store.tape if e.seq <= last]
        number = step.number or step.index + 1
        self._busy = True

        def made(found: _Made) -> None:
            self._busy = False
            self.forget()
            self.made = found
            session.say(self.words(), problem=found.difference is not None)
            session.changed.add("values")

        def failed(why: str) -> None:
            self._busy = False
            session.say(why, problem=True)

        session.say(f"step {number} is run again …")
        session.in_background(lambda: _run(program, events, first, last, number), made, failed)

    def words(self) -> str:
        """How it went, in a line."""
        made = self.made
        if made is None:
            return ""
        if made.difference is None:
            return (
                f"step {made.step} was run again: the same {made.since:,} events and checksums "
                f"({made.seconds:.1f} s)"
            )
        where = self.session.store.step_at(made.difference.seq)
        at = f"step {where.number}" if where is not None and where.number else "an earlier step"
        event = made.difference.event
        near = self.session.store.events(made.difference.seq, made.difference.seq + 10)
        source = next(filter(None, (getattr(e, "source", None) for e in (event, *near))), None)
        line = self.session.source_text(source)
        return f"step {made.step} ran differently, first in {at}" + (
            f" at {line}: {made.difference.text}" if line else f": {made.difference.text}"
        )

    def view(
        self, tensor: int, seq: int, then: Callable[[TensorView | str], None], **options: Any
    ) -> None:
        """What `Session.view` asks, of the re-run."""
        made = self.made
        assert made is not None
        future = made.client.request("view", tensor=tensor, seq=seq, **options)

        def arrived(view: TensorView) -> None:
            view.note = "run again" + (", but it ran differently" if made.difference else "")
            then(view)

        self.session.in_background(lambda: future.result(PATIENCE), arrived, then)


def _run(program: Any, events: list[Event], first: int, last: int, number: int) -> _Made:
    """Have a step run again and compare; RequestError with one line if it cannot be done."""
    began = time.monotonic()
    told = program.request("rerun", to=last).result(PATIENCE)
    client: Client = program.sibling(told["name"])
    watcher = Watcher(client, told["pid"], told.get("lacks", ()), f"step {number}, run again,")
    while watcher.status()["state"] == "running":
        if time.monotonic() - began > PATIENCE:
            raise RequestError(f"step {number} was not run again within {PATIENCE:.0f} s")
        time.sleep(0.01)
    since = told["seq"]
    now: list[Event] = []
    while part := client.request("events", first=since + 1 + len(now)).result(PATIENCE):
        now += part
    sums = [
        one.request("digests", first=since + 1, last=last).result(PATIENCE)
        for one in (program, client)
    ]
    known = [e for e in events if e.seq > since]
    found = first_difference(known, [e for e in now if e.seq <= last], *sums)
    if found is None and (not now or now[-1].seq < last):
        found = Difference(now[-1].seq if now else since, "it ended before that")
    return _Made(client, first, last, number, last - since, time.monotonic() - began, found)
