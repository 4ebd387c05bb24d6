"""What the command line does with recordings: show, verify, repair, export.

Each function returns the lines to print (and the exit status where that may vary). A text that
came out of a file is cleaned where it is printed. File names in a recording are only names: the
source lines that are shown are those that were recorded.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.places import named_cells, spell
from framework.trace.events import (
    BackwardBegin,
    BackwardEnd,
    CellBegin,
    Event,
    Grad,
    Leaf,
    ModuleBegin,
    ModuleEnd,
    NodeBegin,
    NodeEnd,
    Op,
    OpBegin,
    OptimBegin,
    ParamUpdate,
    Source,
    TensorMeta,
)
from framework.trace.protocol import Summary
from framework.trace.tape import StepInfo, Tape, TapeError, open_tape
from viewers.graph.store import TraceStore
from viewers.memory import Ledger
from viewers.memory import memory_lines as saved_lines
from viewers.names import Variables
from viewers.parameters import also_text
from viewers.see import picture, variables_of
from viewers.tensor import summary_line
from viewers.text import arguments, bytes_of, plain, short, size_text, sparkline, tensor_text

if TYPE_CHECKING:
    from app.notebook import Notebook
    from viewers.summary import ModelSummary

__all__ = [
    "SUFFIXES",
    "export",
    "follow",
    "notebook_of",
    "repair",
    "show",
    "source_lines",
    "verify",
]

#: What `export` writes.
SUFFIXES = (".html", ".svg", ".png", ".mmd", ".dot", ".json", ".safetensors")
CONTEXT = 2  # source lines around the one that is shown
MANY = 5  # occurrences of an op that are shown whole
ROWS = 12  # of a table of the most expensive


# -- the whole -------------------------------------------------------------------------------------


def store_of(tape: Tape) -> TraceStore:
    """All events of a recording, ready to be asked."""
    store = TraceStore(max_steps=1 << 40, max_events=1 << 40)
    store.feed(tape.events())
    store.stood = sorted(tape.stops)
    return store


def worked(tape: Tape, step: StepInfo) -> float:
    """Seconds of a step, without what the program stood at stops in it."""
    stood = sum(ns for seq, ns in tape.stops.items() if step.first_seq <= seq < step.last_seq)
    return max(0.0, step.seconds - stood / 1e9)


def summary_lines(tape: Tape) -> list[str]:
    """What the recording is, and its training steps with their losses."""
    lines = [f"{key:<9} {text}" for key, text in tape.summary().items()]
    for damage in tape.damage[:20]:
        lines.append(f"damaged   {_damage_text(damage)}")
    steps = [step for step in tape.steps if step.ops]
    if steps:
        lines += ["", f"{'step':>6} {'events':>17} {'ops':>6} {'time':>9}  loss"]
    losses = _losses(tape)
    if len(steps) > 20:
        lines += [_step_line(tape, step, losses) for step in steps[:3]] + ["     …"]
        steps = steps[-16:]
    lines += [_step_line(tape, step, losses) for step in steps]
    if len(losses) > 1:
        lines += ["", f"loss   {sparkline(list(losses.values()), 60)}"]
    return lines


def _losses(tape: Tape, first: int = 1) -> dict[int, float]:
    """Event of a backward pass -> the value it started from, where that is one number."""
    found = {}
    for event in tape.events(first):
        if isinstance(event, BackwardBegin) and event.roots:
            if event.loss is not None:
                found[event.seq] = event.loss
                continue
            summary = tape.summary_of(event.roots[0], event.seq)  # of an old recording
            if summary is not None and summary.count == 1:
                found[event.seq] = summary.mean if summary.mean is not None else float("nan")
    return found


def _step_line(tape: Tape, step: StepInfo, losses: dict[int, float]) -> str:
    loss = next((v for seq, v in losses.items() if step.first_seq <= seq <= step.last_seq), None)
    name = str(step.number) if step.number else "-"
    text = "" if loss is None else short(loss, 5)
    events, spent = f"{step.first_seq}..{step.last_seq}", _time(worked(tape, step) * 1e9)
    return f"{name:>6} {events:>17} {step.ops:>6} {spent:>9}  {text}".rstrip()


def _damage_text(damage: Any) -> str:
    return (
        f"{damage.reason}: {damage.length:,} bytes at {damage.offset:,}, after event {damage.after}"
    )


def _time(nanoseconds: float) -> str:
    for limit, unit, digits in ((1e3, "ns", 0), (1e6, "us", 1), (1e9, "ms", 1)):
        if nanoseconds < limit:
            return f"{nanoseconds / (limit / 1e3):.{digits}f} {unit}"
    return f"{nanoseconds / 1e9:.2f} s"


def choose_step(tape: Tape, number: int | None) -> StepInfo:
    """The last of `choose_steps`."""
    return choose_steps(tape, number)[-1]


def choose_steps(tape: Tape, number: int | None) -> list[StepInfo]:
    """The steps with a number: several where several optimizers count, as those of a GAN do.

    Without a number the newest one that an optimizer ended, else the newest.
    """
    steps = [step for step in tape.steps if step.ops]
    if number is not None:
        steps = [step for step in steps if step.number == number]
        if not steps:
            known = sorted({step.number for step in tape.steps if step.number})
            has = f"it has steps {known[0]} to {known[-1]}" if known else "it has no numbered step"
            raise TapeError(f"{tape.path}: no step {number}: {has}")
    if not steps:
        raise TapeError(f"{tape.path}: there is no step with ops in this recording")
    if number is not None:
        return steps
    return [next((step for step in reversed(steps) if step.number), steps[-1])]


def _step_name(tape: Tape, step: StepInfo) -> str:
    """``step 3``, or ``step 3 (1 of 2)``."""
    if not step.number:
        return "step -"
    same = [other for other in tape.steps if other.ops and other.number == step.number]
    part = f" ({same.index(step) + 1} of {len(same)})" if len(same) > 1 and step in same else ""
    return f"step {step.number}{part}"


# -- one step --------------------------------------------------------------------------------------


def op_lines(tape: Tape, step: StepInfo) -> list[str]:
    """The ops of a step in program order, indented by what encloses them."""
    lines = [f"{_step_name(tape, step)}: events {step.first_seq} to {step.last_seq}", ""]
    depth = 0
    store = store_of(tape)
    called = variables_of(tape, store).called
    for event in tape.events(step.first_seq, step.last_seq):
        title = _BEGIN_TITLES.get(type(event))
        indent = "  " * min(depth, 20)
        if title is not None:
            lines.append(f"{event.seq:>7}  {indent}{title(event)}")
            depth += 1
        elif isinstance(event, Op):
            shapes = ", ".join(tensor_text(m.dtype, m.shape, m.device) for m in event.outputs)
            made = ", ".join(name for m in event.outputs if (name := called(m.id)))
            name = f"{event.name} → {made}" if made else event.name
            lines.append(
                f"{event.seq:>7}  {indent}{name}  {shapes or event.error}  "
                f"{_time(event.duration)}  {_place(event.source)}"
            )
        elif isinstance(event, Grad):
            leaf = event.name or called(event.leaf) or "leaf"
            lines.append(f"{event.seq:>7}  {indent}→ {leaf}.grad")
        elif isinstance(event, ParamUpdate):
            also = also_text(store.naming.others(event.name))
            lines.append(
                f"{event.seq:>7}  {indent}update {event.name or event.tensor.id}  {also}".rstrip()
            )
        elif getattr(event, "begin", 0):
            depth = max(0, depth - 1)
    return lines


_BEGIN_TITLES: dict[type, Callable[[Any], str]] = {
    ModuleBegin: lambda e: f"{e.path}  {e.cls}({e.description})",
    OpBegin: lambda e: e.name,
    BackwardBegin: lambda e: f"backward  {_place(e.source)}",
    NodeBegin: lambda e: f"{e.name} backward",
    OptimBegin: lambda e: f"{e.cls}.step {e.step}  {_place(e.source)}",
    CellBegin: lambda e: f"cell [{e.count}]",
}


def _place(source: Source | None) -> str:
    if source is None or not source.line:
        return ""
    return f"{os.path.basename(source.file) or source.file}:{source.line}"


def time_lines(tape: Tape, step: StepInfo) -> list[str]:
    """Where the time of a step went: by op and phase, and by module, forward and backward."""
    ops: dict[tuple[str, str], list[int]] = defaultdict(list)
    modules: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    open_: dict[int, Event] = {}
    took = store_of(tape).took if tape.stops else lambda begin, end: end.t - begin.t
    for event in tape.events(step.first_seq, step.last_seq):
        if isinstance(event, Op):
            ops[event.name, event.phase].append(event.duration)
            if event.phase == "forward" and not event.module:
                modules[""][0] += event.duration
        elif isinstance(event, (ModuleBegin, NodeBegin, OpBegin)):
            open_[event.seq] = event
        elif isinstance(event, (ModuleEnd, NodeEnd)):
            begin = open_.pop(event.begin, None)
            if isinstance(begin, ModuleBegin):
                modules[begin.path][0] += took(begin, event)
            elif isinstance(begin, NodeBegin):
                for path in _around(begin.module) if begin.module else ("",):
                    if path == begin.module or path in modules:
                        modules[path][1] += took(begin, event)
                ops[begin.name, "backward node"].append(took(begin, event))
    lines = [f"time of {_step_name(tape, step)}: {_time(worked(tape, step) * 1e9)}", ""]
    lines.append(f"{'op':<28} {'phase':<14} {'calls':>6} {'total':>10} {'mean':>10}")
    for (name, phase), times in sorted(ops.items(), key=lambda i: -sum(i[1]))[:ROWS]:
        total = sum(times)
        lines.append(
            f"{name:<28} {phase:<14} {len(times):>6} {_time(total):>10} "
            f"{_time(total / len(times)):>10}"
        )
    lines += ["", f"{'module':<36} {'forward':>10} {'backward':>10}"]
    for path, (forward, backward) in sorted(modules.items(), key=lambda i: -sum(i[1]))[:ROWS]:
        lines.append(f"{path or '(outside)':<36} {_time(forward):>10} {_time(backward):>10}")
    return lines


def _around(path: str) -> Iterator[str]:
    """A module's path, and those of the modules that it is in."""
    while path:
        yield path
        path = path.rpartition(".")[0]


def memory_lines(tape: Tape, step: StepInfo) -> list[str]:
    """What tensors of a step take: parameters, gradients, state, and what ops made."""
    store = store_of(tape)
    kinds: Counter[str] = Counter()
    ops: Counter[str] = Counter()
    modules: Counter[str] = Counter()
    made: list[tuple[int, Op, TensorMeta]] = []
    seen: set[int] = set()
    for event in tape.events(1, step.last_seq):
        if isinstance(event, Leaf) and event.role != "input":
            kinds[f"{event.role}s"] += _bytes(event.tensor)
    for event in tape.events(step.first_seq, step.last_seq):
        if isinstance(event, Grad) and event.leaf not in seen:
            seen.add(event.leaf)
            kinds["gradients of leaves"] += _bytes(event.total)
        elif isinstance(event, ParamUpdate):
            kinds["optimizer state"] += sum(map(_bytes, event.state.values()))
        elif isinstance(event, Op) and not _is_view(event.name):
            size = sum(map(_bytes, event.outputs))
            kinds[f"made in {event.phase}"] += size
            if event.node:
                kinds["of which with a graph"] += size
            ops[event.name] += size
            modules[event.module] += size
            made += [(_bytes(meta), event, meta) for meta in event.outputs]
    lines = [f"memory of {_step_name(tape, step)} (views are not counted)", ""]
    lines += [f"{name:<28} {size_text(size):>10}" for name, size in kinds.items() if size]
    lines += ["", f"{'op':<36} {'made':>10}"]
    lines += [f"{name:<36} {size_text(n):>10}" for name, n in ops.most_common(ROWS) if n]
    lines += ["", f"{'module':<36} {'made':>10}"]
    lines += [
        f"{name or '(outside)':<36} {size_text(n):>10}" for name, n in modules.most_common(ROWS)
    ]
    lines += ["", "the largest tensors"]
    for size, op, meta in sorted(made, key=lambda row: -row[0])[:ROWS]:
        name = store.name(meta.id) or op.name
        shape = tensor_text(meta.dtype, meta.shape, meta.device)
        lines.append(f"{size_text(size):>10}  {shape:<24} {name}  {_place(op.source)}")
    ledger = Ledger(store, store.steps[store.step_index(step.last_seq)])
    while ledger.follow():
        pass
    return [*lines, "", *(plain(line).rstrip() for line in saved_lines(ledger, ROWS))]


def _bytes(meta: TensorMeta) -> int:
    return bytes_of(meta.dtype, meta.shape)


def _is_view(name: str) -> bool:
    from framework.core.registry import OPS

    op = OPS.get(name)
    return op is not None and op.view


# -- one op ----------------------------------------------------------------------------------------


def subject_lines(tape: Tape, what: str, number: int | None) -> list[str]:
    """An op (by name, variable, event number or /regular expression/) or a module, with tensors."""
    store = store_of(tape)
    variables = variables_of(tape, store)
    matches = _find(tape, variables, what)
    if not matches and (lines := _otherwise(tape, store, what, number)):
        return lines
    if number is not None:
        steps = choose_steps(tape, number)
    else:
        steps = [s for s in tape.steps if _within(matches, s)][-1:]
        if not steps:
            raise TapeError(f"{tape.path}: nothing is called {what!r}: --ops lists what there is")
    chosen = [event for step in steps for event in _within(matches, step)]
    named = f"step {steps[-1].number or '-'}"
    if not chosen:
        raise TapeError(f"{tape.path}: nothing is called {what!r} in {named}")
    count = len(chosen)
    more = f"; the first {MANY} are shown" if count > MANY else ""
    lines = [f"{count} in {named} of {len(matches)} in all{more}"]
    called = variables.called
    for event in chosen[:MANY]:
        lines += ["", *_op_lines(tape, store, event, called)]
    return lines


def _otherwise(tape: Tape, store: TraceStore, what: str, number: int | None) -> list[str]:
    """What is said of a name that no op has: that of a tensor, or the end of a longer one."""
    try:
        full = store.naming.spelled(what)
    except ValueError as error:
        raise TapeError(f"{tape.path}: {error}") from None
    if full and full != what:
        return subject_lines(tape, full, number)
    try:
        return [plain(line).rstrip() for line in picture(tape, what, number, width=100)]
    except ValueError:
        return []


def _within(events: list[Op], step: StepInfo) -> list[Op]:
    return [event for event in events if step.first_seq <= event.seq <= step.last_seq]


def _find(tape: Tape, variables: Variables, what: str) -> list[Op]:
    ops = [event for event in tape.events() if isinstance(event, Op)]
    if what.isdigit():
        found = [op for op in ops if op.seq == int(what)]
        if not found:
            raise TapeError(f"{tape.path}: event {what} is no op")
        return found
    if len(what) > 1 and what.startswith("/") and what.endswith("/"):
        try:
            pattern = re.compile(what[1:-1])
        except re.error as error:
            raise TapeError(f"bad regular expression {what}: {error}") from None
        return [op for op in ops if pattern.search(op.name) or pattern.search(op.module)]
    inside = f"{what}."
    found = [
        op
        for op in ops
        if what == op.name
        or (op.phase == "forward" and (what == op.module or op.module.startswith(inside)))
    ]
    if found:
        return found
    steps = variables.store.steps
    held = {tensor for step in steps for tensor, _ in variables.all(what, step)}
    return [op for op in ops if any(meta.id in held for meta in op.outputs)]


def _op_lines(tape: Tape, store: TraceStore, op: Op, called: Callable[[int], str]) -> list[str]:
    module = f"  in module {op.module}" if op.module else "  outside of any module"
    lines = [f"{op.name}{module}  ({op.phase}, event {op.seq}, {_time(op.duration)})"]
    lines += source_lines(tape, op.source)
    given = arguments(op.name, op.inputs, op.meta)
    lines += [f"  {key} = {value}" if key else f"  arguments  {value}" for key, value in given]
    if op.error:
        lines.append(f"  raised {op.error}")
    operands = [store.meta(i) for i in op.inputs]
    lines += _tensor_lines(tape, store, "inputs", operands, op.seq, called)
    lines += _tensor_lines(tape, store, "outputs", op.outputs, op.seq, called)
    node = _node_of(tape, op)
    if node is not None:
        begin, end = node
        lines += _tensor_lines(tape, store, "gradient in", begin.grad_in, begin.seq)
        if end is not None:
            lines += _tensor_lines(tape, store, "gradients out", end.grad_out, end.seq)
    return lines


def _node_of(tape: Tape, op: Op) -> tuple[NodeBegin, NodeEnd | None] | None:
    """The backward node of a forward op, the first time that it ran.

    Of a write through a view there are several: the one of what was written has its name.
    """
    begins: dict[int, NodeBegin] = {}
    first: tuple[NodeBegin, NodeEnd | None] | None = None
    name = op.name.removesuffix("_")
    for event in tape.events(op.seq + 1) if op.node else ():
        if isinstance(event, NodeBegin) and event.forward == op.seq:
            begins[event.seq] = event
            first = first or (event, None)
        elif isinstance(event, NodeEnd) and event.begin in begins:
            begin = begins[event.begin]
            if begin.name == name:
                return begin, event
            if first is None or first[1] is None:
                first = begin, event
        elif isinstance(event, BackwardEnd) and first is not None:
            break
    return first


def source_lines(tape: Tape, place: Source | None) -> list[str]:
    """A recorded source line among its neighbours."""
    if place is None or not place.line:
        return []
    lines = [f"  {place.file}:{place.line} in {place.function}"]
    text = tape.sources.get(place.file, "").splitlines()
    for number in range(max(1, place.line - CONTEXT), place.line + CONTEXT + 1):
        if number <= len(text):
            mark = "→" if number == place.line else " "
            lines.append(f"  {mark} {number:>4}  {text[number - 1]}"[:200].rstrip())
    return lines


def _tensor_lines(
    tape: Tape, store: TraceStore, title: str, metas: Any, seq: int,
    called: Callable[[int], str] | None = None,
) -> Iterator[str]:  # fmt: skip
    yield f"  {title}"
    shown = 0
    for meta in metas:
        if meta is None or not meta.id:
            continue
        shown += 1
        at = store.before(seq, meta.id) if title == "inputs" else seq
        name = called(meta.id) if called is not None else ""
        if title != "outputs":  # where it comes from; an output is of the op itself
            name = store.name(meta.id) or f"{name} {_made_by(store, meta.id, at)}".lstrip()
        name = name or store.name(meta.id) or "result"
        shape = tensor_text(meta.dtype, meta.shape, meta.device)
        yield f"    {name:<24} {shape:<18} {_value_text(tape, meta, at)}".rstrip()
    if not shown:
        yield "    none"


def _made_by(store: TraceStore, ident: int, seq: int) -> str:
    step = store.step_at(seq)
    made = store.graph(step).producer(ident, seq) if step is not None else None
    newest = store.maker(ident)
    name = made.name if made is not None and made.kind == "op" else ""
    if not name and newest:
        name = getattr(store.event(newest), "name", "")
    if name:
        return f"from {name}"
    leaf = store.leaf(ident)
    return leaf.role if leaf is not None else f"#{ident}"


def _value_text(tape: Tape, meta: TensorMeta, seq: int) -> str:
    summary: Summary | None = tape.summary_of(meta.id, seq)
    if summary is None:
        return "its value was not recorded"
    if summary.count == 1 and summary.mean is not None:
        size = "|x| " if meta.dtype.startswith("complex") else ""
        return f"{size}= {short(summary.mean, 6)}"
    return plain(summary_line(summary, 100, dtype=meta.dtype)).strip()


# -- on the screen ---------------------------------------------------------------------------------


def notebook_of(program: str, sources: dict[str, str]) -> Notebook:
    """What was run, from the text in a recording; without a path, so that nothing is saved."""
    from app.notebook import Cell, Notebook, script
    from app.notebook.ipynb import NotebookLayout

    text = sources.get(program)
    if text is not None:
        cells, layout = script.parse(text.removeprefix("\ufeff"))
        notebook = Notebook(None, "script", cells, layout)
    else:
        cells = [
            Cell(name[6:-1], "code" if name.startswith("<cell ") else "markdown", source)
            for name, source in sources.items()
            if name.startswith(("<cell ", "<text "))
        ]
        notebook = Notebook(None, "ipynb", cells, NotebookLayout())
    notebook.read_only = True
    return notebook


# -- commands --------------------------------------------------------------------------------------


def show(
    path: str, what: str = "", *, step: int | None = None, ops: bool = False, memory: bool = False,
    times: bool = False,
) -> list[str]:  # fmt: skip
    """``tapebook show``: the lines to print. Raises TapeError."""
    with open_tape(path) as tape:
        names = named_cells(tape.sources)
        if what:
            return [spell(line, names) for line in subject_lines(tape, what, step)]
        lines: list[str] = []
        for wanted, make in ((ops, op_lines), (memory, memory_lines), (times, time_lines)):
            if wanted:
                for chosen in choose_steps(tape, step):
                    lines += [*([""] if lines else []), *make(tape, chosen)]
        if not lines and step is not None:
            for chosen in choose_steps(tape, step):
                lines += [*([""] if lines else []), *op_lines(tape, chosen)]
        return [spell(line, names) for line in lines or summary_lines(tape)]


def follow(path: str, wait: float = 0.2) -> Iterator[str]:
    """``tapebook show --follow``: a line for each step as it is recorded, until it ends."""
    with open_tape(path) as tape:
        yield f"{tape.path}: {tape.info.get('program', '')}"
        yield f"{'step':>6} {'events':>17} {'ops':>6} {'time':>9}  loss"
        seen = 0
        while True:
            writing = tape.writing
            if tape.refresh() or not seen:
                losses = _losses(tape, seen + 1)
                for step in tape.steps:
                    if step.number and step.last_seq > seen:
                        seen = step.last_seq
                        yield _step_line(tape, step, losses)
            if not writing:
                break
            time.sleep(wait)
        yield f"{len(tape):,} events, {tape.state_text()}"


def verify(path: str) -> tuple[list[str], int]:
    """``tapebook verify``: what a recording still holds; status 1 if anything of it is lost."""
    with open_tape(path) as tape:
        bad = tape.check()
        steps = [step for step in tape.steps if step.number]
        values, size = tape.kept
        lines = [
            f"{path}: {len(tape):,} events ({tape.first_seq} to {tape.last_seq}), "
            f"{len(steps)} training steps, {values:,} values ({size:,} bytes): {tape.state_text()}"
        ]
        lines += [f"damaged: {_damage_text(damage)}" for damage in tape.damage]
        lines += [f"missing: events {first} to {last}" for first, last in tape.gaps]
        lines += [f"lost: {bad:,} values" for _ in range(bool(bad))]
        whole = tape.complete or tape.writing
        if not whole:
            lines.append(
                f"it was not closed: recovered {len(tape):,} events; what followed event "
                f"{tape.last_seq} is lost"
            )
        return lines, 0 if whole and not tape.damage and not bad else 1


def repair(path: str, output: str) -> list[str]:
    """``tapebook repair``: a clean copy of what can be read. Raises TapeError."""
    from framework.trace.tape_file import copy_tape

    if os.path.exists(output) and os.path.samefile(path, output):
        raise TapeError(f"{output}: is the recording itself; name another file")
    with open_tape(path) as tape:
        damage = len(tape.damage)
        copy_tape(tape.path, Path(output))
    with open_tape(output) as made:
        lost = f"; {damage} damaged place{'s' * (damage > 1)} left out" if damage else ""
        return [f"{output}: {len(made):,} events, {made.kept[0]:,} values{lost}"]


# -- exports ---------------------------------------------------------------------------------------


def export(
    path: str, output: str, *, step: int | None = None, phase: str = "forward",
    depth: int | None = None, module: str | None = None, values: bool = False,
    everything: bool = False, engine: str = "own",
) -> str:  # fmt: skip
    """``tapebook export FILE.tape``: a picture, a time line or one step's tensors.

    Returns a line that says what was written. Raises TapeError or ExportError.
    """
    suffix = Path(output).suffix.lower()
    with open_tape(path) as tape:
        if suffix == ".json":
            return _export_timeline(tape, output, step)
        if suffix == ".safetensors":
            taken = choose_step(tape, step)
            return _export_tensors(tape, output, taken) + _others(tape, taken)
        from app.pictures import written
        from viewers.graph.export import export as draw
        from viewers.graph.facts import code_of

        store = store_of(tape)
        number = choose_step(tape, step)
        chosen = store.step_at(number.last_seq)
        look = tape.summary_of if values else False
        made = draw(
            store, output, chosen, phase, depth, module, look, engine=engine,
            everything=everything, code=code_of(tape), called=variables_of(tape, store).called,
            cells=named_cells(tape.sources),
        )  # fmt: skip
        return written(made) + _others(tape, number)


def _others(tape: Tape, step: StepInfo) -> str:
    """What is said where a number means several steps."""
    name = _step_name(tape, step)
    return f"; it is {name}" if name.endswith(")") else ""


def summary(path: str, *, step: int | None = None, depth: int | None = None) -> ModelSummary:
    """``tapebook summary FILE.tape``: the modules of a step."""
    from viewers.summary import summary_of

    with open_tape(path) as tape:
        store = store_of(tape)
        return summary_of(store, store.step_at(choose_step(tape, step).last_seq), depth=depth)


def _export_timeline(tape: Tape, output: str, step: int | None) -> str:
    from viewers.perfetto import timeline

    if step is None:
        events = tape.events()
    else:
        chosen = choose_step(tape, step)
        events = tape.events(chosen.first_seq, chosen.last_seq)
    name = os.path.basename(tape.info.get("program", "")) or tape.path.name
    text = json.dumps(timeline(events, name, tape.stops))
    _write(output, text.encode())
    return f"{output}: {len(events):,} events; open it at https://ui.perfetto.dev"


def _write(output: str, data: bytes) -> None:
    from app.notebook import NotebookError
    from app.notebook.disk import atomic_write
    from viewers.graph.export import ExportError

    try:
        atomic_write(Path(output), data)
    except NotebookError as error:
        raise ExportError(str(error)) from None


def _export_tensors(tape: Tape, output: str, step: StepInfo) -> str:
    """Parameters after the step, their gradients, optimizer state, inputs and what ops made."""
    import framework as torch
    from viewers.graph.export import ExportError

    named = step_tensors(tape, step)
    if not named:
        raise ExportError(f"{tape.path}: no values of step {step.number} were recorded")
    try:
        torch.save({name: torch.tensor(array) for name, array in named.items()}, output)
    except OSError as error:
        raise ExportError(f"cannot write {output}: {error.strerror or error}") from None
    except TypeError as error:
        raise ExportError(f"cannot write {output}: {error}") from None
    return f"{output}: {len(named)} tensors of step {step.number or '-'}"


def step_tensors(tape: Tape, step: StepInfo) -> dict[str, Any]:
    """Name -> array of what a step's tensors held.

    Parameters and buffers have their names (as they were before the step), with ``.grad`` and
    ``.after`` for the gradient and the new value; results are ``forward/MODULE/OP`` with a count.
    """
    found: dict[str, Any] = {}
    seen: Counter[str] = Counter()

    def put(name: str, ident: int, seq: int) -> None:
        array = tape.tensor(ident, seq) if ident else None
        if array is not None:
            seen[name] += 1
            found[f"{name}#{seen[name]}" if seen[name] > 1 else name] = array

    store = store_of(tape)
    used = _leaves_used(tape, step)
    for ident, leaf in used.items():
        name = store.name(ident) or "unnamed"
        name = name if leaf.role != "input" else f"input/{name}"
        put(name, ident, max(leaf.seq, step.first_seq))
    for event in tape.events(step.first_seq, step.last_seq):
        if isinstance(event, Leaf) and event.tensor.id not in used and event.role == "input":
            if event.name:
                put(f"input/{event.name}", event.tensor.id, event.seq)
        elif isinstance(event, Op) and event.phase == "forward":
            for i, meta in enumerate(event.outputs):
                part = f".{i}" if i else ""
                where = f"{event.module}/" if event.module else ""
                put(f"forward/{where}{event.name}{part}", meta.id, event.seq)
        elif isinstance(event, ParamUpdate) and event.name:
            put(f"{event.name}.grad", event.grad, event.seq)
            put(f"{event.name}.after", event.tensor.id, event.seq)
            for key, meta in event.state.items():
                put(f"{event.name}.{key}", meta.id, event.seq)
    return found


def _leaves_used(tape: Tape, step: StepInfo) -> dict[int, Leaf]:
    """Leaves that ops in a step use: those of before it, and parameters."""
    leaves = {
        event.tensor.id: event
        for event in tape.events(1, step.last_seq)
        if isinstance(event, Leaf) and (event.seq < step.first_seq or event.role != "input")
    }
    used = {
        ident
        for event in tape.events(step.first_seq, step.last_seq)
        if isinstance(event, Op)
        for ident in event.inputs
    }
    return {ident: leaf for ident, leaf in leaves.items() if ident in used}
