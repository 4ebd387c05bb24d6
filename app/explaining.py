"""Why, the check of a gradient and comparing, for whoever asks: the screen, a prompt, a command.

Nothing here waits on the screen's thread: `why_at` and the others take a snapshot of the tape and
are meant to be run in the background; values come through the connection, which may be a live
program's or a recording's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from app.places import named_cells, spell
from framework.trace.events import (
    BackwardBegin,
    BackwardEnd,
    Event,
    Grad,
    ModuleBegin,
    ModuleEnd,
    Op,
    ParamUpdate,
    Source,
)
from framework.trace.explain import (
    Explanation,
    Look,
    Walk,
    explain,
    explain_failure,
    kind_of,
    look_through,
    source_line,
    value_text,
)
from framework.trace.lineage import Lineage
from framework.trace.protocol import Summary
from framework.trace.summary import parse_slice, summarize
from framework.trace.tape import Tape, TapeError, open_tape
from viewers.compare import CompareError, Comparison, Side, compare, compare_steps
from viewers.parameters import outdated
from viewers.see import store_of, variables_of
from viewers.tracks import variable_at

if TYPE_CHECKING:
    from app.rerun import Rerun
    from framework.trace.client import Client
    from framework.trace.playback import Playback

__all__ = [
    "Candidate",
    "check_lines",
    "compare_files",
    "compare_with",
    "look_at",
    "side_of",
    "why_at",
    "why_in_tape",
    "why_lines",
]

PATIENCE = 10.0  # seconds that one answer may take


class Candidate(NamedTuple):
    """A tensor that the user may mean, and the moment."""

    tensor: int
    seq: int
    name: str


def look_at(client: Client | Playback, rerun: Rerun | None = None) -> Look:
    """Statistics through a connection; called on any thread but the screen's.

    What is no longer kept is asked of a step that was run again.
    """
    look = look_through(client, PATIENCE)
    return look if rerun is None else _either(look, rerun)


def _either(first: Look, rerun: Rerun) -> Look:
    def look(tensor: int, seq: int, index: str = "") -> Summary | None:
        found = first(tensor, seq, index)
        if found is None and rerun.covers(seq) and rerun.client is not None:
            found = look_at(rerun.client)(tensor, seq, index)
        return found

    return look


def look_into(tape: Tape) -> Look:
    """Statistics of what a recording holds."""

    def look(tensor: int, seq: int, index: str = "") -> Summary | None:
        try:
            if not index:
                return tape.summary_of(tensor, seq)
            array = tape.tensor(tensor, seq)
            return None if array is None else summarize(array[parse_slice(index, array.shape)])
        except (TapeError, ValueError):
            return None

    return look


def array_of(tape: Tape) -> Callable[[int, int], Any | None]:
    """Values of a recording; what is damaged is not there."""

    def array(tensor: int, seq: int) -> Any | None:
        try:
            return tape.tensor(tensor, seq)
        except TapeError:
            return None

    return array


def text_in(sources: dict[str, str]) -> Callable[[Source], str]:
    """The text of a source line, of a recording's own sources."""
    lines: dict[str, list[str]] = {}

    def text(source: Source) -> str:
        found = lines.get(source.file)
        if found is None:
            found = lines[source.file] = sources.get(source.file, "").splitlines()
        return found[source.line - 1].strip() if 0 < source.line <= len(found) else ""

    return text


# -- why -------------------------------------------------------------------------------------


def why_at(
    events: Iterable[Event], look: Look, cursor: int, wanted: list[Candidate],
    text_of: Callable[[Source], str] = source_line, again: bool = False, named: bool = False,
) -> Explanation:  # fmt: skip
    """Explain what the user looks at; if nothing is wrong with it, what is wrong in its step.

    Args:
        wanted: tensors in sight, the chosen one first.
        again: a step whose values are not kept can be run again.
        named: the first of them was asked for by its name: what is found elsewhere is said to be.
    """
    walk = Walk(Lineage(events), look, again)
    found = _why_of(walk, cursor, wanted)
    if named and wanted and found.kind != "fine" and not _is_of(found, wanted[0].name):
        aside = f"nothing is wrong with {wanted[0].name} itself; in its step there is:"
        found = replace(found, aside=aside)
    return replace(found, text_of=text_of)


def _is_of(found: Explanation, name: str) -> bool:
    return found.subject in (name, f"{name}.grad") or found.kind == "error"


def _why_of(walk: Walk, cursor: int, wanted: list[Candidate]) -> Explanation:
    lineage, again = walk.lineage, walk.again
    kinds = [(kind_of(walk.look(c.tensor, c.seq)), c) for c in wanted]
    chosen = next((c for kind, c in kinds if kind in ("nan", "inf")), None)
    if chosen is None and kinds and kinds[0][0]:
        chosen = kinds[0][1]  # zeros, and that is what is asked about
    if chosen is not None:
        return explain(lineage, walk.look, chosen.tensor, chosen.seq, chosen.name, again=again)
    failed = lineage.events.get(cursor)
    if isinstance(failed, Op) and failed.error:
        return explain_failure(walk, failed, failed.error)
    if isinstance(failed, ModuleEnd) and failed.error:
        begin = lineage.events.get(failed.begin)
        if isinstance(begin, ModuleBegin):
            return explain_failure(walk, begin, failed.error)
    under_way = _in_backward(lineage, cursor)
    for candidate in wanted if not under_way else ():
        if lineage.wants_gradient(candidate.tensor):
            name = lineage.names.get(candidate.tensor) or candidate.name
            told = explain(lineage, walk.look, candidate.tensor, candidate.seq, name, again=again)
            if told.kind != "fine":
                return told
    found = _problem_of_step(walk, cursor)
    if found is not None:
        return found
    if walk.blind:
        name = wanted[0].name if wanted else "this step"
        hint = walk.hint(cursor)
        return Explanation("fine", name, f"no values of this step are kept; {hint}", gap=walk.gap)
    if wanted:
        summary = walk.look(wanted[0].tensor, wanted[0].seq)
        verdict = "nothing is wrong with it, nor with the losses and gradients of this step"
        verdict += " so far" if under_way else ""
        name = wanted[0].name or lineage.name(wanted[0].tensor, wanted[0].seq)
        return Explanation("fine", name, f"{verdict}: {value_text(summary)}")
    return Explanation("fine", "this step", "nothing is wrong with its losses and gradients")


def _in_backward(lineage: Lineage, cursor: int) -> bool:
    """Is a backward pass under way as of an event?"""
    for seq in range(cursor, lineage.step_bounds(cursor)[0], -1):
        event = lineage.events.get(seq)
        if isinstance(event, (BackwardBegin, BackwardEnd)):
            return isinstance(event, BackwardBegin)
    return False


def _problem_of_step(walk: Walk, cursor: int) -> Explanation | None:
    """A loss, gradient or parameter of the step that is not finite, or a gradient that is none."""
    lineage, again = walk.lineage, walk.again
    first, last = lineage.step_bounds(cursor)
    events = _between(lineage, first, min(last, cursor))
    if not any(isinstance(e, BackwardBegin) for e in events) and first:
        first, last = lineage.step_bounds(first)  # what comes after the last step
        events = _between(lineage, first, last)
    for tensor, seq in _worth_a_look(events):
        if kind_of(walk.look(tensor, seq)) in ("nan", "inf"):
            return explain(lineage, walk.look, tensor, seq, grad=False, again=again)
    if _in_backward(lineage, cursor):
        return None  # what is not there yet may still come
    small: Explanation | None = None
    used = {i: e.seq for e in events if isinstance(e, Op) for i in e.inputs}
    old = outdated(lineage.leaves, min(last, cursor), used)
    for ident, leaf in lineage.leaves.items():
        if (
            ident not in old
            and leaf.role == "parameter"
            and lineage.meta(ident).requires_grad
            and first < cursor
        ):
            told = explain(lineage, walk.look, ident, min(last, cursor), again=again)
            if told.kind == "missing":
                return told
            if told.kind != "fine" and small is None:
                small = told
    return small


def _between(lineage: Lineage, first: int, last: int) -> list[Event]:
    found = (lineage.events.get(seq) for seq in range(first + 1, last + 1))
    return [event for event in found if event is not None]


def _worth_a_look(events: list[Event]) -> list[tuple[int, int]]:
    """Losses first, then gradients, then parameters, then whatever ops made."""
    losses = [(root, e.seq) for e in events if isinstance(e, BackwardBegin) for root in e.roots]
    grads = [(e.total.id, e.seq) for e in events if isinstance(e, Grad)]
    updates = [(e.tensor.id, e.seq) for e in events if isinstance(e, ParamUpdate)]
    ops = [(m.id, e.seq) for e in events if isinstance(e, Op) for m in e.outputs]
    return [*losses, *grads, *updates, *reversed(ops)]


def why_in_tape(tape: Tape, what: str, step: int | None = None) -> Explanation:
    """``tapebook show FILE why EXPR``: of a tensor of a recording.

    ``what`` is a parameter's name (``model.0.weight``), its gradient (``model.0.weight.grad``),
    ``loss``, ``#17`` for a tensor's number, an event's number, or the name of an op or module; ""
    for whatever is wrong in the last step. Raises TapeError with one line.
    """
    events = tape.events()
    lineage = Lineage(events)
    cursor = _end_of(lineage, tape, step)
    wanted = [_named(lineage, tape, what.strip(), cursor)] if what.strip() else []
    if wanted and wanted[0].seq < cursor:  # an event's number, or an op's last time
        cursor = min(cursor, max(lineage.step_bounds(wanted[0].seq)[1], wanted[0].seq))
    texts = text_in(tape.sources)
    return why_at(events, look_into(tape), cursor, wanted, texts, named=True)


def _end_of(lineage: Lineage, tape: Tape, step: int | None) -> int:
    if step is None:
        return lineage.last_seq
    if step not in lineage.numbers:
        raise TapeError(f"{tape.path}: it has no step {step}")
    return min(lineage.optims[lineage.numbers.index(step)], lineage.last_seq)


def _named(lineage: Lineage, tape: Tape, what: str, cursor: int) -> Candidate:
    """The newest tensor of this name as of an event."""
    number = what.removeprefix("#")
    if number.isdigit():
        if what.startswith("#"):
            return Candidate(int(number), cursor, what)
        event = lineage.events.get(int(number))
        outputs = event.outputs if isinstance(event, Op) else ()
        if not outputs:
            raise TapeError(f"{tape.path}: event {number} made no tensor")
        return Candidate(outputs[0].id, int(number), f"result of {lineage.title(event)}")
    named = [i for i, name in lineage.names.items() if name == what and i in lineage.made]
    if named:
        return Candidate(max(named), cursor, what)
    for seq in range(cursor, 0, -1):
        event = lineage.events.get(seq)
        if what == "loss" and isinstance(event, BackwardBegin) and event.roots:
            return Candidate(event.roots[0], seq, what)
        if isinstance(event, Op) and event.outputs and what in (event.name, event.module):
            return Candidate(event.outputs[0].id, seq, f"result of {lineage.title(event)}")
    store = store_of(tape)
    variables = variables_of(tape, store)
    if key := variable_at(store, variables, what, cursor):
        return Candidate(*key, what)
    try:
        full = store.naming.spelled(what)
    except ValueError as error:
        raise TapeError(f"{tape.path}: {error}") from None
    if full and full != what:
        return _named(lineage, tape, full, cursor)
    raise TapeError(
        f"{tape.path}: no tensor, op or module is called {what!r}; expected a parameter's name, "
        "NAME.grad, loss, a variable, an op, a module or an event's number"
    )


# -- comparing -------------------------------------------------------------------------------


def side_of(tape: Tape, name: str = "") -> Side:
    """A recording as one side of a comparison."""
    return Side(
        name or str(tape.path), tape.events(), look_into(tape), array_of(tape),
        text_in(tape.sources),
    )  # fmt: skip


def compare_files(
    first: str | Path, second: str | Path | None, *, steps: tuple[int, int] | None = None,
    step: int | None = None, rtol: float, atol: float,
) -> Comparison:  # fmt: skip
    """``tapebook diff``. Raises TapeError or CompareError with one line."""
    with open_tape(first) as a:
        if second is None:
            if steps is None:
                raise CompareError("compare with what? another recording, or --steps M N")
            found = compare_steps(side_of(a), *steps, rtol=rtol, atol=atol)
        else:
            with open_tape(second) as b:
                found = compare(side_of(a), side_of(b), step=step, rtol=rtol, atol=atol)
                found.cells = named_cells(b.sources)
        found.cells |= named_cells(a.sources)
        return found


def compare_with(
    name: str, events: list[Event], client: Client | Playback, here: int, wanted: str,
    text_of: Callable[[Source], str],
) -> Comparison:  # fmt: skip
    """Compare a session with a recording, or its step ``here`` with another of its steps.

    Raises CompareError or TapeError with one line.
    """
    tape = getattr(client, "tape", None)
    wanted = wanted.strip()
    if isinstance(tape, Tape):
        with open_tape(tape.path) as own:
            return _compare(side_of(own, name), here, wanted)
    side = Side(name, events, look_at(client), None, text_of, running=True)
    return _compare(side, here, wanted)


def _compare(side: Side, here: int, wanted: str) -> Comparison:
    if wanted.isdigit():
        return compare_steps(side, int(wanted), here)
    with open_tape(Path(wanted).expanduser()) as other:
        return compare(side, side_of(other))


# -- the command line ------------------------------------------------------------------------


def why_lines(path: str, what: str, step: int | None = None) -> list[str]:
    """``tapebook show FILE why NAME``. Raises TapeError with one line."""
    with open_tape(path) as tape:
        names = named_cells(tape.sources)
        return [spell(line, names) for line in why_in_tape(tape, what, step).lines()]


def check_lines(path: str, what: str, step: int | None = None) -> list[str]:
    """``tapebook show FILE check EVENT``. Raises TapeError with one line."""
    from framework.trace.check import CheckError, check_recorded

    if not what.isdigit():
        raise TapeError(f"check which event? expected its number, not {what!r}")
    with open_tape(path) as tape:
        try:
            return str(check_recorded(tape.events(), array_of(tape), int(what))).splitlines()
        except CheckError as error:
            raise TapeError(f"{path}: {error}") from None
