"""The tables of a tape without a screen: parameters, a tensor over the steps, source, memory.

Each takes what a run was recorded with, a recorder of this process (`framework.trace.recording`)
or a recording that was opened (`framework.trace.tape.open_tape`), and gives lines of styled spans;
`viewers.text.plain` makes text of one.

>>> import framework as torch
>>> from framework import nn
>>> from framework.trace import recording
>>> from viewers.see import history, parameters
>>> from viewers.text import plain
>>> _ = torch.manual_seed(0)
>>> model = nn.Linear(2, 1)
>>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
>>> with recording(keep="all") as tape:
...     for _ in range(2):
...         optimizer.zero_grad()
...         model(torch.ones(3, 2)).sum().backward()
...         optimizer.step()
>>> for line in parameters(tape, width=56):
...     print(plain(line).rstrip())
parameter▾            |w|      |∇| over steps    Δ/|w|
model.weight          1.8     4.24 ▁▁            0.235
model.bias          0.555        3 ▁▁            0.541
>>> print(plain(history(tape, "model.bias", width=40)[2]).rstrip())
     1     0.255
"""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any

import numpy as np

from framework.trace.compute import ComputeError, compute
from framework.trace.measure import measure
from framework.trace.protocol import Summary
from framework.trace.summary import SliceError, parse_slice, view
from viewers.graph.store import Step, TraceStore
from viewers.lines import GUTTER, Lines, gutter_line, gutter_title
from viewers.memory import Ledger, memory_lines
from viewers.names import Variables
from viewers.parameters import COLUMNS, Key, Parameters, also_text, norm_of, row_line, title_line
from viewers.text import Line, short, sparkline
from viewers.tracks import (
    Spot,
    find_in,
    known_loss,
    spot_text,
    track_named,
    variable_at,
    variable_spots,
)
from viewers.tracks import row_line as step_line
from viewers.tracks import title_line as step_title

__all__ = [
    "history", "memory", "parameters", "picture", "source", "store_of", "value", "variables_of",
]  # fmt: skip

ArrayOf = Callable[[int, int], Any | None]


def store_of(tape: Any) -> TraceStore:
    """All events of a recorder or a recording, ready to be asked; a store is given back."""
    if isinstance(tape, TraceStore):
        return tape
    store = TraceStore(max_steps=1 << 40, max_events=1 << 40)
    store.feed(tape.events() if hasattr(tape, "events") else tape.read())
    return store


def variables_of(tape: Any, store: TraceStore) -> Variables:
    """What the program called its tensors, by the text that was recorded, or is here."""
    sources: dict[str, str] | None = getattr(tape, "sources", None)
    if sources is None:
        return Variables(
            store, lambda file: [line.rstrip("\n") for line in linecache.getlines(file)]
        )
    texts = sources
    return Variables(store, lambda file: texts.get(file, "").splitlines())


def array_of(tape: Any) -> ArrayOf:
    """What a tensor held as of an event; of what is damaged or not kept, None."""
    from framework.trace.tape_format import TapeError

    if not hasattr(tape, "tensor"):
        values = getattr(tape, "values", None)
        get: ArrayOf = values.get if values is not None else lambda tensor, seq: None
        return get

    def tensor(ident: int, seq: int) -> Any | None:
        try:
            return tape.tensor(ident, seq)
        except TapeError:
            return None

    return tensor


def lookup_of(tape: Any) -> Callable[[Key], Summary | None]:
    """The figures of a key, each found once."""
    arrays, known = array_of(tape), {}
    summary_of = getattr(tape, "summary_of", None)

    def lookup(key: Key) -> Summary | None:
        if key not in known:
            known[key] = measure(arrays, [key], summary_of)[0]
        return known[key]

    return lookup


def step_of(store: TraceStore, number: int | None) -> Step:
    """The step with a number; without one the newest with an update, else the newest with ops.

    Raises ValueError, in one line, if there is none.
    """
    steps = [s for s in store.steps if s.counts[0] or s.counts[1]]
    if number is not None:
        steps = [s for s in steps if s.number == number]
    if not steps:
        raise ValueError("there is no step with ops" if number is None else f"no step {number}")
    return next((s for s in reversed(steps) if s.updated), steps[-1])


def parameters(
    tape: Any, step: int | None = None, *, sort: str = "name", width: int = 100
) -> list[Line]:
    """Norm, gradient norm, update ratio and their course for each parameter, after a step.

    Args:
        sort: "name", "shape", "norm", "gradient" or "update"; the largest first.
    """
    if sort not in COLUMNS:
        raise ValueError(f"sort by {', '.join(COLUMNS)}, not {sort!r}")
    store, lookup = store_of(tape), lookup_of(tape)
    seq = step_of(store, step).last_seq
    table = Parameters(store)
    while table.follow():
        pass
    current = table.current(seq)
    rows = table.sorted([table.row(tensor, seq, lookup) for tensor in current], sort, False)
    found = [title_line(width, sort, False)]
    for row in rows:
        past = table.past(row.tensor, seq, lookup)
        found.append(row_line(row._replace(past=past, also=()), width, sort))
        if row.also:
            found.append([(f"  {also_text(row.also)}", "dim")])
    return found if rows else [[("no parameter was used", "note")]]


def history(tape: Any, name: str, *, width: int = 100) -> list[Line]:
    """One tensor in every step: its figures and histogram.

    ``name`` is what `viewers.tracks.track_named` takes (``model.0.weight``, ``loss``, ``relu``),
    or a variable: ``h``, what was assigned last, ``h#1``, ``h.grad``.
    """
    store, lookup = store_of(tape), lookup_of(tape)
    title, spots = _spots(tape, store, name)
    figures = [lookup((s.meta.id, s.seq)) or known_loss(store, s) for s in spots]
    norms = [norm_of(s) for s in figures if s is not None]
    head: Line = [(title, "title"), (f"  {spot_text(spots[-1])}", "shape")]
    if others := store.naming.others(store.name(spots[-1].meta.id)):
        head.insert(1, (f"  {also_text(others)}", "dim"))
    if norms:
        head += [("  norm ", "dim"), (sparkline(norms, 40), "bar"), (f" {short(norms[-1])}", "")]
    rows = [step_line(spot, found, width) for spot, found in zip(spots, figures)]
    return [head, step_title(width), *rows]


def _spots(tape: Any, store: TraceStore, name: str) -> tuple[str, list[Spot]]:
    """What a name is called in a title, and where it is in each step that has it."""
    try:
        track = track_named(store, name)
    except ValueError as error:
        found = variable_spots(store, variables_of(tape, store), name)
        if found:
            return name, found
        meant = store.naming.spelled(name)
        if meant in ("", name):
            raise
        try:
            return _spots(tape, store, meant)
        except ValueError:
            raise error from None
    spots = (find_in(store, track, step) for step in store.steps)
    return track.title, [spot for spot in spots if spot is not None]


def memory(tape: Any, step: int | None = None, *, width: int = 100, most: int = 20) -> list[Line]:
    """What was held for backward over a step, and by which nodes at the peak."""
    store = store_of(tape)
    ledger = Ledger(store, step_of(store, step))
    while ledger.follow():
        pass
    return memory_lines(ledger, most, width)


def source(tape: Any, step: int | None = None, *, width: int = 120) -> list[Line]:
    """The lines that a step ran through, each with its figures."""
    store, lookup = store_of(tape), lookup_of(tape)
    chosen = step_of(store, step)
    lines = Lines(store, chosen)
    while lines.follow():
        pass
    sources: dict[str, str] | None = getattr(tape, "sources", None)
    found: list[Line] = [[*gutter_title(), ("source", "dim")]]
    for file in lines.files():
        text = sources.get(file, "").splitlines() if sources is not None else None
        found.append([(f"─ {file}", "title")])
        for line in sorted(line for name, line in lines.known if name == file):
            if text is None:
                code = linecache.getline(file, line).rstrip("\n")
            else:
                code = text[line - 1] if line <= len(text) else ""
            gutter = gutter_line(lines.figures((file, line), chosen.last_seq), lookup)
            room = max(8, width - GUTTER - 5)
            found.append([*gutter, (f"{line:>4} ", "faint"), (code[:room], "")])
    return found


def picture(tape: Any, name: str, step: int | None = None, *, width: int = 78) -> list[Line]:
    """A tensor of a step as the inspector shows it: figures, histogram, image or heat map, table.

    ``name`` is as in `history` and may end in a slice: ``model.0.weight[:8, ::2]``.
    Raises ValueError, in one line, where there is nothing to show.
    """
    from viewers.tensor import (
        heatmap_lines,
        histogram_lines,
        image_lines,
        image_slices,
        statistics_lines,
        table_lines,
    )

    store, arrays = store_of(tape), array_of(tape)
    name, bracket, rest = name.partition("[")
    slice = bracket + rest
    title, spots = _spots(tape, store, name.strip())
    if step is not None:
        last = next((s for s in store.steps if s.number == step), None)
        there = [spot for spot in spots if spot.step == step]
        if (
            not there and last is not None
        ):  # a variable may have been assigned in an earlier step, and held it since
            tensor, _ = variables_of(tape, store).find(name.strip(), last.last_seq)
            older = [
                spot for spot in spots if spot.meta.id == tensor and spot.first < last.last_seq
            ]
            there = [spot._replace(step=step, seq=last.last_seq) for spot in older[-1:]]
        spots = there
    if not spots:
        raise ValueError(f"{name} is not in step {step}")
    spot = spots[-1]
    array = arrays(spot.meta.id, spot.seq)
    if array is None:
        raise ValueError(f"the value of {name} in step {spot.step} was not kept")
    try:
        parse_slice(slice, array.shape)
    except SliceError as error:
        raise ValueError(str(error)) from None

    def look(part: str, rows: int) -> Any:
        return view(array, spot.meta, spot.seq, part, rows=12, cols=24, grid=[rows, width])

    seen = look(slice, 16)
    lines: list[Line] = [[(title, "title")]]
    if others := store.naming.others(store.name(spot.meta.id)):
        lines[0].append((f"  {also_text(others)}", "dim"))
    if spot.step:
        lines[0].append((f"  step {spot.step}", "dim"))
    lines += statistics_lines(seen.tensor, seen.summary, width, 6, slice=seen.slice)
    if seen.summary.count > 1:
        lines += histogram_lines(seen.summary, width, 5)
        channels = image_slices(array.shape, slice)
        if len(channels) == 3 or (channels and channels != [slice]):
            grids = [look(part, 40).grid for part in channels]
            lines += image_lines(grids, width, 20, colour=False)
        elif seen.grid is not None:
            lines += heatmap_lines(seen.grid, width, 10, colour=False)
    if seen.table is not None:
        vector = len(array.shape) == 1 and not slice
        lines += table_lines(seen.table, width, 14, vector=vector)
    return _without_blank(lines)


def value(tape: Any, expression: str, step: int | None = None) -> Any:
    """An expression over what was kept, as of the end of a step: a tensor or a number.

    Names are those of `viewers.parameters.Parameters.find`, and variables of the program, with
    their gradients (``h.grad``). Raises ValueError, in one line.

    >>> import framework as torch
    >>> from framework import nn
    >>> from framework.trace import recording
    >>> model = nn.Linear(2, 1)
    >>> with recording(keep="all") as tape:
    ...     model(torch.ones(3, 2)).sum().backward()
    >>> value(tape, "model.weight.grad.sum() * 2")
    tensor(12.)
    """
    store, arrays = store_of(tape), array_of(tape)
    seq = step_of(store, step).last_seq
    table = Parameters(store)
    while table.follow():
        pass

    variables = variables_of(tape, store)

    def value_of(name: str) -> Any | None:
        key = table.find(name, seq) or variable_at(store, variables, name, seq)
        if not key:
            try:
                key = table.meant(name, seq)
            except ValueError as error:
                raise ComputeError(str(error)) from None
        if not key:
            return None
        array = arrays(*key)
        if array is None and (loss := store.loss_of(key[0], key[1])) is not None:
            array = np.float64(loss).reshape(())
        if array is None:
            raise ComputeError(f"the value of {name} in this step was not kept")
        return array

    return compute(expression, value_of)


def value_lines(tape: Any, expression: str, step: int | None = None) -> list[Line]:
    """`value` as lines."""
    return [[(line, "value")] for line in str(value(tape, expression, step)).split("\n")]


def _without_blank(lines: list[Line]) -> list[Line]:
    return [line for line in lines if "".join(text for text, _ in line).strip()]
