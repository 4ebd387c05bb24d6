"""Figures of many tensors, asked for a few at a time and remembered: what tables are filled from.

A pane says which keys it wants (`want`) and draws what is known (`get`); what comes later sets
"figures" among the session's changes, and the pane draws again. Nothing is ever waited for.

A `Key` is ``(tensor, seq)``: what a tensor held as of an event, or ``(tensor, seq, minus)``: how it
had changed since ``minus``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from framework.trace.protocol import Summary
from viewers.parameters import Key

if TYPE_CHECKING:
    from app.session import Session

__all__ = ["Figures"]

BATCH = 48  # keys in one question
KEPT = 60_000  # figures remembered
WAITING = "…"


class Figures:
    """What is known of values, of one session.

    Attributes:
        known: the answers, None for what is no longer kept.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.known: OrderedDict[Key, Summary | None] = OrderedDict()
        self._wanted: dict[str, dict[Key, None]] = {}  # by who wants them
        self._asked: set[Key] = set()
        self._client: object = None  # whom they were asked of

    def get(self, key: Key) -> Summary | str | None:
        """The figures of a key; a text as long as they have not come."""
        if key in self.known:
            return self.known[key]
        return WAITING

    def want(self, who: str, keys: Iterable[Key]) -> None:
        """What ``who`` needs now, the most urgent first; it replaces what it wanted before."""
        known = self.known
        self._wanted[who] = {key: None for key in keys if key and key not in known}
        self.pump()

    @property
    def waiting(self) -> bool:
        """Is anything asked, or still to be asked?"""
        return bool(self._asked) or any(self._wanted.values())

    def forget(self) -> None:
        """Another tape: no figure is of it."""
        self.known.clear()
        self._wanted.clear()
        self._asked.clear()
        self._client = None

    def pump(self) -> None:
        """Ask the next question, unless one is under way."""
        session = self.session
        if session.client is None:
            return
        if self._client is not session.client:  # what was asked of another will not be answered
            self._asked.clear()
            self._client = session.client
        if self._asked:
            return
        batch: list[Key] = []
        for wanted in self._wanted.values():
            while wanted and len(batch) < BATCH:
                key = next(iter(wanted))
                del wanted[key]
                if key not in self.known and key not in self._asked:
                    batch.append(key)
                    self._asked.add(key)
        if not batch:
            return
        client = session.client

        def came(answers: list[Summary | None]) -> None:
            self._arrived(client, batch, answers)

        def failed(_: str) -> None:  # it knows no such question, or it is gone
            self._arrived(client, batch, [None] * len(batch))

        session.ask("measure", came, failed, of=[list(key) for key in batch])

    def _arrived(self, client: Any, batch: list[Key], answers: list[Summary | None]) -> None:
        if client is not self._client:
            return
        self._asked.difference_update(batch)
        self.known.update(zip(batch, answers))
        while len(self.known) > KEPT:
            self.known.popitem(last=False)
        rest = dict.fromkeys(batch[len(answers) :])
        if rest:
            self._wanted = {"": rest, **{k: v for k, v in self._wanted.items() if k}}
        self.session.changed.add("figures")
        self.pump()
