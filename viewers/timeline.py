"""The time line: training steps as one line, the one that is looked at in full.

The current step shows its phases with as many columns as they have events; what a running step
has still to come is guessed from the step before it. Below, a sparkline for each sequence given.

    9 ── 10 ── 11 ─[12: forward ▇▇▇▇▇│backward ▇▇▮░░▯····│optimizer ··]
    loss ▇▆▅▅▄▄▃▃▂▂ 0.31     memory ▂▅█▇▅▃ 9 kB, peak 12 kB
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from framework.trace.events import CellBegin
from viewers.graph.store import PHASES, Step, TraceStore
from viewers.memory import Ledger
from viewers.text import Line, crop_line, pad_line, short, size_text, sparkline, width_of

__all__ = ["loss_course", "memory_line", "seq_at", "timeline"]

RUNS = 3  # of cells that are gone back through for losses
_RUNS = 7  # phases of one step that are told apart
_SHORT = {"forward": "fwd", "backward": "bwd", "optimizer": "opt"}


class _Marks(NamedTuple):
    """What the columns of a phase show, and what stands between phases and steps."""

    seen: str  # up to the cursor
    ahead: str  # has happened, after the cursor
    future: str
    cursor: str
    head: str
    wall: str
    dash: str
    more: str
    gap: str  # events are missing here


_UNICODE = _Marks("▇", "░", "·", "▮", "▯", "│", "─", "…", "≠")
_ASCII = _Marks("#", "-", ".", "@", ">", "|", "-", "~", "?")


class _Cell(NamedTuple):
    """One column: what it shows and where a click on it leads."""

    text: str
    style: str
    seq: int


class _Run(NamedTuple):
    """A phase of a step: its first event and how many there are, or are expected."""

    phase: str
    first: int  # 0: has not begun
    size: int


def timeline(
    store: TraceStore,
    cursor: int,
    head: int,
    width: int,
    values: Mapping[str, Sequence[float | None]] | Sequence[float | None] | None = None,
    ascii: bool = False,
    memory: Ledger | None = None,
) -> list[Line]:
    """One line for the steps, then one for each sequence of ``values`` (by name, at most two).

    What the step holds for backward (``memory``) stands beside the first of them.

    >>> from framework.trace.events import Mark
    >>> from viewers.text import plain
    >>> store = TraceStore()
    >>> [plain(line) for line in timeline(store, 0, 0, 40, {"loss": [3, 2, 1]})]
    ['nothing recorded yet', 'loss █▄▁ 1']
    """
    cells = _cells(store, cursor, head, width, ascii)
    lines = [_spans(cells) if cells else [("nothing recorded yet"[:width], "note")]]
    if values is not None and not isinstance(values, Mapping):
        values = {"": values}
    for name, sequence in list((values or {}).items())[:2]:
        if len(sequence):
            lines.append(_spark(name, sequence, width, ascii))
    if memory is None or not memory.peak:
        return lines
    if len(lines) < 2:
        return [*lines, memory_line(memory, cursor, width, ascii)]
    half = width // 2 - 2
    name, sequence = next((n, s) for n, s in (values or {}).items() if len(s))
    beside = memory_line(memory, cursor, width - half - 3, ascii)
    lines[1] = [*pad_line(_spark(name, sequence, half, ascii), half + 3), *beside]
    return lines


def loss_course(
    store: TraceStore, losses: Iterable[tuple[int, float]], cursor: int
) -> list[float | None]:
    """The losses up to the cursor of one run of a cell, one for each backward pass.

    The run is the newest of which two losses are known, else one, and the passes are those of one
    line: several losses of a step, or runs of a cell, are not strung together; of a cell that runs
    again, the run before is over. None stands for a loss that nobody looked at in time. ``losses``
    are what is known, by the event with which the pass began.
    """
    known = dict(losses).get
    passes = store.passes
    seqs = sorted(passes)  # which they are but for those that came late
    best: list[float | None] = []
    end = cursor
    newest = max((seq for seq in store.cells if seq <= cursor), default=0)
    for _ in range(RUNS):
        behind = bisect_right(seqs, end)
        last = seqs[behind - 1] if behind else 0
        start = max((seq for seq in store.cells if seq <= last), default=0)
        if start < newest and _cell(store, start) == _cell(store, newest) is not None:
            break
        place = passes.get(last)
        found = [
            known(seq) for seq in seqs[bisect_left(seqs, start) : behind] if passes[seq] == place
        ]
        while found and found[-1] is None:  # they may be on their way
            found.pop()
        if len(found) - found.count(None) > 1:
            return found
        best = best or found
        if not start:
            break
        end = start - 1
    return best


def _cell(store: TraceStore, begin: int) -> str | None:
    """The cell that a run is of, if that is still known."""
    event = store.event(begin)
    return event.cell if isinstance(event, CellBegin) else None


def memory_line(ledger: Ledger, cursor: int, width: int, ascii: bool = False) -> Line:
    """What a step holds for backward over its events, as of the cursor, and at the peak."""
    step = ledger.step
    now, peak = size_text(ledger.at(cursor)), size_text(ledger.peak)
    text = f" {now}, peak {peak}"
    room = width - len("memory ") - len(text)
    if room < 4:
        return crop_line([("memory ", "title"), (now, "value")], width)
    course = ledger.course(room)
    drawn = sparkline([float(n) for n in course], room, ascii)
    size = step.last_seq - step.first_seq + 1
    at = max(0, min(len(drawn), (cursor - step.first_seq + 1) * len(drawn) // size))
    return [
        ("memory ", "title"), (drawn[:at], "optimizer"), (drawn[at:], "faint"), (text, "value"),
    ]  # fmt: skip


def seq_at(
    store: TraceStore, cursor: int, head: int, width: int, column: int, ascii: bool = False
) -> int | None:
    """The event that a column of the first line stands for; None where there is none."""
    cells = _cells(store, cursor, head, width, ascii)
    return (cells[column].seq or None) if 0 <= column < len(cells) else None


def _spans(cells: list[_Cell]) -> Line:
    line: Line = []
    for cell in cells:
        if line and line[-1][1] == cell.style:
            line[-1] = (line[-1][0] + cell.text, cell.style)
        else:
            line.append((cell.text, cell.style))
    return line


def _spark(name: str, sequence: Sequence[float | None], width: int, ascii: bool) -> Line:
    last = short(next((float(v) for v in reversed(sequence) if v is not None), 0.0))
    label = f"{name} " if name else ""
    room = max(0, width - width_of(label) - len(last) - 1)
    style = "bad" if last in ("NaN", "Inf", "-Inf") else "value"
    line: Line = [(label, "title"), (sparkline(sequence, room, ascii), "bar"), (f" {last}", style)]
    return crop_line([span for span in line if span[0]], width)


# -- the first line --------------------------------------------------------------------------


def _cells(store: TraceStore, cursor: int, head: int, width: int, ascii: bool) -> list[_Cell]:
    """The columns of the first line."""
    step = store.step_at(cursor)
    if step is None or width < 1:
        return []
    marks = _ASCII if ascii else _UNICODE
    at = store.steps.index(step)
    around = len(store.steps) - 1
    room = width if not around else max(min(width, 30), width * 2 // 3)
    box = _box(store, at, cursor, head, room, marks)
    left_room = right_room = 0
    if around and width > len(box):
        spare = width - len(box)
        right = _labels(store, range(at + 1, around + 1), head, spare // 2, marks, False)
        right_room = len(right)
        left_room = spare - right_room
        left = _labels(store, range(at - 1, -1, -1), head, left_room, marks, True)
        if len(left) < left_room:  # what the left side does not need, the right may have
            room = spare - len(left)
            right = _labels(store, range(at + 1, around + 1), head, room, marks, False)
        box = left + box + right
    return box[:width]


def _name(step: Step) -> str:
    return str(step.number) if step.number else "·"


def _labels(
    store: TraceStore, indices: range, head: int, room: int, marks: _Marks, before: bool
) -> list[_Cell]:
    """Names of the steps on one side, nearest to the current one first, as many as there is room.

    Those before read `` 9 ── 10 ──``, those after ``── 13 ── 14``.
    """
    result: list[_Cell] = []
    gaps = store.gaps
    for index in indices:
        step = store.steps[index]
        here = step.first_seq <= head <= step.last_seq and head > 0
        mark = marks.head if here and not before else ""
        gap = marks.gap if _missing(gaps, step.first_seq - 1, step.last_seq) else ""
        style = "head" if mark else "error" if step.error or gap else "muted"
        error = ("!" if step.error else "") + gap
        name = [_Cell(c, style, step.end_seq or step.last_seq) for c in _name(step) + mark + error]
        dashes = [_Cell(c, "faint", step.end_seq or step.last_seq) for c in f" {marks.dash * 2} "]
        if len(result) + len(name) + len(dashes) > room:
            if len(result) + 2 <= room:  # there are more
                more = [_Cell(c, "faint", step.last_seq) for c in f"{marks.more} "]
                result = more + result if before else result + more[::-1]
            break
        result = name + dashes + result if before else result + dashes + name
    return result


def _box(
    store: TraceStore, at: int, cursor: int, head: int, room: int, marks: _Marks
) -> list[_Cell]:
    """The current step, in full."""
    step = store.steps[at]
    runs = _runs(store, at)
    number = _name(step) if step.number else step.cell or "·"
    title = f"[{number[:20]}: "
    inner = room - len(title) - 1 - max(0, len(runs) - 1)
    names = _names(runs, inner)
    inner -= sum(len(name) for name in names)
    columns = _share([run.size for run in runs], max(inner, len(runs)))
    style = "error" if step.error else "title"
    cells = [_Cell(c, style, step.first_seq) for c in title]
    for i, (run, name, count) in enumerate(zip(runs, names, columns)):
        if i:
            cells.append(_Cell(marks.wall, "faint", run.first or head))
        cells += [_Cell(c, run.phase, run.first or head) for c in name]
        cells += _bar(store, run, count, cursor, head, marks)
    cells.append(_Cell("]" if step.done else " ", style, step.end_seq or step.last_seq))
    return cells


def _runs(store: TraceStore, at: int) -> list[_Run]:
    """The phases of a step, and those that it will have if it is like the one before."""
    step = store.steps[at]
    if len(step.runs) > _RUNS:
        count = step.last_seq - step.first_seq + 1
        return [_Run("forward", step.first_seq, count)]
    runs = [_Run(PHASES[code], first, last - first + 1) for code, first, last in step.runs]
    if not runs:
        runs = [_Run("forward", step.first_seq, step.last_seq - step.first_seq + 1)]
    if step.done:
        return runs
    like = next((s for s in reversed(store.steps[:at]) if s.done and s.updated), None)
    if like is None or len(like.runs) > _RUNS or len(like.runs) < len(runs):
        return runs
    expected = [_Run(PHASES[code], 0, last - first + 1) for code, first, last in like.runs]
    if [r.phase for r in expected[: len(runs)]] != [r.phase for r in runs]:
        return runs
    newest = len(runs) - 1
    runs[newest] = runs[newest]._replace(size=max(runs[newest].size, expected[newest].size))
    return runs + expected[newest + 1 :]


def _names(runs: list[_Run], room: int) -> list[str]:
    """Names of the phases, as long as leaves each some columns for its bar."""
    for names in (
        [f"{r.phase} " for r in runs],
        [f"{_SHORT[r.phase]} " for r in runs],
        [r.phase[0] for r in runs],
    ):
        if sum(map(len, names)) + 4 * len(runs) <= room:
            return names
    return [""] * len(runs)


def _share(counts: list[int], columns: int) -> list[int]:
    """Columns for each phase, by its events, at least one each."""
    total = sum(counts) or 1
    spare = max(0, columns - len(counts))
    ends, seen = [], 0
    for count in counts:
        seen += count
        ends.append(round(seen * spare / total))
    return [b - a + 1 for a, b in zip([0, *ends], ends)]


def _bar(
    store: TraceStore, run: _Run, columns: int, cursor: int, head: int, marks: _Marks
) -> list[_Cell]:
    cells = []
    gaps = store.gaps
    for i in range(columns):
        a = run.first + i * run.size // columns
        b = run.first + (i + 1) * run.size // columns - 1  # events a..b are in this column
        if not run.first or a > head:
            cells.append(_Cell(marks.future, "future", min(store.last_seq, head)))
        elif a <= cursor <= max(a, b):
            cells.append(_Cell(marks.cursor, "cursor", a))
        elif a <= head <= max(a, b):
            cells.append(_Cell(marks.head, "head", min(b, head)))
        elif gaps and _missing(gaps, a - (a == run.first), b):
            cells.append(_Cell(marks.gap, "error", a))
        elif a > cursor:
            cells.append(_Cell(marks.ahead, run.phase, a))
        else:
            cells.append(_Cell(marks.seen, run.phase, a))
    return cells


def _missing(gaps: list[tuple[int, int]], first: int, last: int) -> bool:
    """Are events missing between two numbers?"""
    return any(start <= last and first <= end for start, end in gaps)
