"""Stepping along the tape: the stops of ``docs/architecture.md``, for a cursor behind the head.

The same words mean the same as for the model itself: ``next`` goes over composite ops and backward
nodes, ``into`` takes everything, ``out`` leaves the innermost container, ``line`` goes to another
source line of the same function or of one around it, ``step`` to the end of the training step. An
exception is a stop for all of them. Containers that are passed over are jumped, not walked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from framework.trace.events import (
    BackwardBegin,
    ModuleBegin,
    NodeBegin,
    NodeEnd,
    Op,
    OpBegin,
    OpEnd,
    OptimBegin,
    ParamUpdate,
    Source,
)

if TYPE_CHECKING:
    from viewers.graph.moments import Container
    from viewers.graph.store import TraceStore

__all__ = ["HOWS", "LINES", "next_stop", "previous_stop"]

HOWS = ("next", "into", "out", "line", "step")

_ENDS = {Op, OpEnd, NodeEnd, ParamUpdate}  # stops of `next`
_NESTS = {OpBegin, NodeBegin}  # what `next` goes over
_INTO = {Op, ModuleBegin, OpBegin, NodeBegin, OptimBegin, ParamUpdate}
_OUT_FIRST = {OpBegin, NodeBegin, OptimBegin}  # what `out` leaves, before any module
LINES = {
    Op,
    OpBegin,
    ModuleBegin,
    BackwardBegin,
    OptimBegin,
}  # events at a line of the user's code
_PERHAPS = 2  # of a line of which nothing says whether it is another one
_CHUNK = 16_384  # events looked at together


def next_stop(store: TraceStore, seq: int, how: str) -> int | None:
    """See `TraceStore.next_stop`."""
    stop = _FORWARD[how](store, seq)
    raised = store.raised_after(seq)
    if raised and (stop is None or raised < stop):
        return raised
    return stop


def previous_stop(store: TraceStore, seq: int, how: str) -> int | None:
    """See `TraceStore.previous_stop`."""
    return _BACKWARD[how](store, seq)


def _start(store: TraceStore, seq: int) -> int:
    """Column index of the position after event ``seq``; -1 before all."""
    return store.index_before(seq)


def _nest(container: Container | None) -> int:
    return 0 if container is None else container.nest


# -- next ------------------------------------------------------------------------------------


def _next(store: TraceStore, seq: int) -> int | None:
    tape, inner = store.tape, store.innermost
    i = _start(store, seq)
    nest = _nest(inner(i)) if i >= 0 else 0
    i += 1
    while i < len(tape):
        event = tape[i]
        kind = type(event)
        if kind in _ENDS and _nest(inner(i)) <= nest:
            return event.seq
        if kind in _NESTS:
            container = inner(i)
            if container is not None and container.nest > nest and container.end:
                end = store.index_before(container.end)
                i = max(i + 1, end)
                continue
        i += 1
    return None


def _previous(store: TraceStore, seq: int) -> int | None:
    tape, inner = store.tape, store.innermost
    i = _start(store, seq)
    nest = _nest(inner(i)) if i >= 0 else 0
    i -= 1
    while i >= 0:
        event = tape[i]
        kind = type(event)
        if kind in _ENDS and _nest(inner(i)) <= nest:
            return event.seq
        if (kind is OpEnd or kind is NodeEnd) and _nest(inner(i)) >= nest:
            begin = store.index(event.begin)  # type: ignore[union-attr]
            if 0 <= begin < i:
                i = begin
        i -= 1
    return None


# -- into ------------------------------------------------------------------------------------


def _into(store: TraceStore, seq: int) -> int | None:
    tape = store.tape
    for i in range(_start(store, seq) + 1, len(tape)):
        if type(tape[i]) in _INTO:
            return tape[i].seq
    return None


def _into_back(store: TraceStore, seq: int) -> int | None:
    tape = store.tape
    for i in range(_start(store, seq) - 1, -1, -1):
        if type(tape[i]) in _INTO:
            return tape[i].seq
    return None


# -- out -------------------------------------------------------------------------------------


def _innermost(store: TraceStore, seq: int) -> Container | None:
    module = backward = None
    container = store.around(seq)
    while container is not None:
        kind = container.kind
        if kind in _OUT_FIRST:
            return container
        if kind is ModuleBegin:
            module = module or container
        elif kind is BackwardBegin:
            backward = backward or container
        container = container.outer
    return module or backward


def _out(store: TraceStore, seq: int) -> int | None:
    container = _innermost(store, seq)
    return container.end if container is not None and container.end > seq else None


def _out_back(store: TraceStore, seq: int) -> int | None:
    container = _innermost(store, seq)
    while container is not None:
        if container.seq < seq and container.seq >= store.first_seq:
            return container.seq
        container = container.outer
    return None


# -- line ------------------------------------------------------------------------------------


def _place(store: TraceStore, i: int) -> tuple[Source | None, set[tuple[str, str]], int]:
    """Where the user's code stands at a position.

    Returns the line, the (file, function)s that are known to be around it, and how many modules
    are open there.
    """
    for j in range(i, max(-1, i - 100), -1):  # events of no line stand where the one before does
        event, container = store.tape[j], store.innermost(j)
        here = getattr(event, "source", None) if type(event) in LINES else None
        begin = store.container(getattr(event, "begin", 0))
        if begin is not None:
            here = getattr(begin.event, "source", None)
            container = begin.outer
        elif type(event) is ModuleBegin and container is not None:
            container = container.outer  # it is called from the line, the line is not inside it
        depth = container.depth if container is not None else 0
        around = set()
        while container is not None:
            source = getattr(container.event, "source", None)
            if container.opaque and source is not None:
                here = source  # the outermost wins: it is what the user's line waits for
            if container.kind is ModuleBegin and source is not None:
                around.add((source.file, source.function))
            container = container.outer
        if here is not None:
            return here, around, depth
    return None, set(), 0


def _other_line(
    source: Source, depth: int, here: Source | None, around: set[tuple[str, str]], at: int
) -> bool | None:
    """Is it another line of the same or an outer function? None where nothing says."""
    if here is None:
        return True
    if source == here or depth > at:
        return False
    place = (source.file, source.function)
    if place == (here.file, here.function):
        return True
    if place in around or source.function == "<module>" or depth < at:
        return True
    return None


def _verdicts(store: TraceStore, i: int) -> np.ndarray:
    """For each of the tape's lines whether it is another one than that of position ``i``.

    A loop that is one line has very many events at few lines, so that these are judged, not those.
    """
    here, around, depth = _place(store, i)
    found = np.zeros(len(store.lines), np.int8)
    for code, (source, level) in enumerate(store.lines):
        if source is not None:
            verdict = _other_line(source, level, here, around, depth)
            found[code] = _PERHAPS if verdict is None else verdict
    return found


def _line(store: TraceStore, seq: int) -> int | None:
    i = _start(store, seq)
    verdicts = _verdicts(store, i)
    perhaps = None
    for at in range(i + 1, len(store), _CHUNK):
        found = verdicts[np.frombuffer(store.places, np.int32)[at : at + _CHUNK]]
        first = int(np.argmax(found == 1))
        if found[first] == 1:
            return store.seq_of(at + first)
        if perhaps is None:
            first = int(np.argmax(found))
            perhaps = store.seq_of(at + first) if found[first] else None
    return perhaps


def _line_back(store: TraceStore, seq: int) -> int | None:
    i = _start(store, seq)
    verdicts = _verdicts(store, i)
    for end in range(i, 0, -_CHUNK):
        at = max(0, end - _CHUNK)
        found = verdicts[np.frombuffer(store.places, np.int32)[at:end]][::-1]
        first = int(np.argmax(found == 1))
        if found[first] == 1:
            return store.seq_of(end - 1 - first)
    return None


# -- step ------------------------------------------------------------------------------------


def _step(store: TraceStore, seq: int) -> int | None:
    for step in store.steps[store.step_index(seq) :]:
        if step.done and step.end_seq > seq:
            return step.end_seq
    return None


def _step_back(store: TraceStore, seq: int) -> int | None:
    for k in range(store.step_index(seq), -1, -1) if store.steps else ():
        step = store.steps[k]
        if step.done and step.end_seq < seq:
            return step.end_seq
    return None


_FORWARD = {"next": _next, "into": _into, "out": _out, "line": _line, "step": _step}
_BACKWARD = {
    "next": _previous, "into": _into_back, "out": _out_back, "line": _line_back, "step": _step_back,
}  # fmt: skip
