"""The user's source with figures beside each line: ops, largest value, gradient, memory, NaN.

`Lines` collects which ops of a step happened at which line; what their values were is asked for
elsewhere, by `LineFigures.keys`, and `row_line` draws what is known.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Callable
from typing import NamedTuple

from framework.trace.events import NodeBegin, Op, OptimBegin, ParamUpdate, Source
from framework.trace.protocol import Summary
from viewers.graph.store import Step, TraceStore
from viewers.memory import Ledger
from viewers.parameters import Key
from viewers.text import Line, pad, short, size_text

__all__ = ["GUTTER", "LineFigures", "Lines", "Place", "gutter_line", "gutter_title"]

Place = tuple[str, int]  # file and line

ASKED = 64  # ops of one line whose values are looked at: the first and the last ones


class _Line:
    """What happened at one line in a step, in order."""

    __slots__ = ("grad_seqs", "own", "saved", "seqs", "times", "updates")

    def __init__(self) -> None:
        self.seqs = array("q")  # of its ops
        self.own = array("q")  # of those, the ones that are not backward's
        self.times = array("q", [0])  # ns of the first 0, 1, 2, ... of them
        self.saved = array("q", [0])  # bytes that their nodes hold, as far as the ledger has come
        self.grad_seqs = array("q")  # of the nodes whose forward ops they are
        self.updates = array("q")  # events at which a parameter was updated


class LineFigures(NamedTuple):
    """One line as of a moment."""

    ops: int
    duration: int  # ns of its ops
    saved: int  # bytes that its nodes hold or held for backward
    values: tuple[Key, ...]  # what its ops made
    grads: tuple[Key, ...]  # the gradients that came back for that
    last: int  # the newest op, 0 for none
    updates: int = 0  # parameters that it has updated

    @property
    def keys(self) -> tuple[Key, ...]:
        """What to ask for."""
        return (*self.values, *self.grads)


class Lines:
    """The lines of one step.

    >>> import framework as torch
    >>> from framework.trace import recording
    >>> with recording() as tape:
    ...     x = torch.ones(2, requires_grad=True)
    ...     y = x.exp().sum()
    ...     y.backward()
    >>> store = TraceStore()
    >>> store.feed(tape.read())
    >>> lines = Lines(store, store.steps[-1])
    >>> lines.follow()
    False
    >>> [lines.figures(place, store.last_seq).ops for place in lines.places()][:2]
    [1, 2]
    """

    def __init__(self, store: TraceStore, step: Step) -> None:
        self.store = store
        self.step = step
        self.ledger = Ledger(store, step)
        self.known: dict[Place, _Line] = {}
        self._next = step.first_seq
        self._optimizer: Source | None = None  # where the optimizer was called

    def follow(self, most: int = 50_000) -> bool:
        """Take in what is new, at most so many events; True if there is more."""
        last = min(self.step.last_seq, self._next + most)
        for event in self.store.events(self._next, last):
            if isinstance(event, OptimBegin):
                self._optimizer = event.source
                continue
            if isinstance(event, ParamUpdate):
                source = self._optimizer
            elif isinstance(event, (Op, NodeBegin)):
                source = event.source
            else:
                continue
            if source is None or not source.line:
                continue
            place = source.file, source.line
            line = self.known.get(place)
            if line is None:
                line = self.known[place] = _Line()
            if isinstance(event, ParamUpdate):
                line.updates.append(event.seq)
            elif isinstance(event, Op):
                line.seqs.append(event.seq)
                line.times.append(line.times[-1] + event.duration)
                if event.phase != "backward":
                    line.own.append(event.seq)
            else:
                line.grad_seqs.append(event.seq)
        self._next = last + 1
        more = self.ledger.follow(most)
        return more or last < self.step.last_seq

    def places(self) -> list[Place]:
        """The lines, in the order in which they were first reached."""
        return list(self.known)

    def files(self) -> list[str]:
        """Their files, in that order."""
        return list(dict.fromkeys(file for file, _ in self.known))

    def figures(self, place: Place, seq: int) -> LineFigures | None:
        """What is known of a line as of an event; None if nothing happened there."""
        line = self.known.get(place)
        if line is None:
            return None
        count, came = bisect_right(line.seqs, seq), bisect_right(line.grad_seqs, seq)
        updates = line.updates[: bisect_right(line.updates, seq)]
        if not count and not came and not updates:
            return None
        values: list[Key] = []
        grads: list[Key] = []
        for event in map(self.store.event, _ends(line.seqs, count)):
            if isinstance(event, Op):
                values += [(m.id, event.seq) for m in event.outputs if m.id]
        for event in map(self.store.event, _ends(line.grad_seqs, came)):
            if isinstance(event, NodeBegin):
                grads += [(m.id, event.seq) for m in event.grad_in if m.id]
        own = bisect_right(line.own, seq)
        if own:
            last = line.own[own - 1]
        else:
            last = updates[-1] if updates else line.seqs[count - 1] if count else line.grad_seqs[0]
        return LineFigures(
            count, line.times[count], self._saved(line, count), tuple(values), tuple(grads), last,
            len(updates),
        )  # fmt: skip

    def _saved(self, line: _Line, count: int) -> int:
        """Bytes that the nodes of a line's first ops hold; each op is looked at once."""
        saved = line.saved
        while len(saved) <= count:
            op = line.seqs[len(saved) - 1]
            if op > self.ledger.read_to:
                return saved[-1]
            saved.append(saved[-1] + self.ledger.bytes_of(op))
        return saved[count]


def _ends(events: array[int], count: int) -> array[int]:
    """The first ``count`` events, of many only those at both ends."""
    if count <= ASKED:
        return events[:count]
    return events[: ASKED // 2] + events[count - ASKED // 2 : count]


# -- drawing ---------------------------------------------------------------------------------

_COLUMNS = (("ops", 5), ("max|x|", 8), ("|∇|", 8), ("saved", 8))
GUTTER = sum(size for _, size in _COLUMNS) + 8  # and the marks


def gutter_title() -> Line:
    """The heads of the columns."""
    line: Line = [(pad(name, size, "right"), "dim") for name, size in _COLUMNS]
    return [*line, (" " * (GUTTER - sum(size for _, size in _COLUMNS)), "")]


def gutter_line(found: LineFigures | None, lookup: Callable[[Key], Summary | str | None]) -> Line:
    """The figures of a line, `GUTTER` columns; blank where nothing happened."""
    if found is None:
        return [(" " * GUTTER, "")]
    values, value_waits = _known(found.values, lookup)
    grads, grad_waits = _known(found.grads, lookup)
    more = "≥" if found.ops > ASKED else ""  # not all of them were looked at
    largest = max((_max_abs(s) for s in values), default=math.nan)
    norm = max((s.norm for s in grads if s.norm is not None), default=math.nan)
    cells = (
        str(found.ops) if found.ops else f"{found.updates}↻" if found.updates else "",
        _text(largest, value_waits, bool(found.values), more),
        _text(norm, grad_waits, bool(found.grads), more),
        size_text(found.saved) if found.saved else "",
    )
    tones = ("bold", "value", "backward", "dim")
    line: Line = [(pad(c, s, "right"), t) for c, (_, s), t in zip(cells, _COLUMNS, tones)]
    mark, tone = _mark(values, grads)
    return [*line, (pad(f" {mark}", GUTTER - sum(size for _, size in _COLUMNS)), tone)]


def _known(
    keys: tuple[Key, ...], lookup: Callable[[Key], Summary | str | None]
) -> tuple[list[Summary], bool]:
    """The figures that are known, and whether any is still to come."""
    found = [lookup(key) for key in keys]
    return [s for s in found if isinstance(s, Summary)], any(isinstance(s, str) for s in found)


def _max_abs(summary: Summary) -> float:
    if summary.min is None or summary.max is None:
        return 0.0
    return max(abs(summary.min), abs(summary.max))


def _text(value: float, waits: bool, any_: bool, more: str) -> str:
    if waits and math.isnan(value):
        return "…"
    if math.isnan(value):
        return "–" if any_ else ""
    return more + short(value)


def _mark(values: list[Summary], grads: list[Summary]) -> tuple[str, str]:
    """NaN before Inf, a value before a gradient."""
    for name, count in (("NaN", "nan"), ("Inf", "inf")):
        if any(getattr(s, count) for s in values):
            return name, count
        if any(getattr(s, count) for s in grads):
            return f"∇{name}", count
    return "", ""
