"""One tensor over the training steps: what names it in each step, and where it is found there.

A parameter keeps its tensor, and so do its gradient's and its optimizer state's names. What an op
makes is another tensor in each step: it is addressed by where it happened, the n-th ``linear`` in
``model.2`` of the step, and which of its outputs or gradients is meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from framework.trace import events as ev
from framework.trace.protocol import Summary
from framework.trace.summary import summarize
from viewers.graph.store import Step, TraceStore
from viewers.names import Variables
from viewers.tensor import histogram_line
from viewers.text import Line, count_text, pad, short, tensor_text

__all__ = [
    "Spot",
    "Track",
    "find_in",
    "find_track",
    "gradient_of",
    "known_loss",
    "row_line",
    "title_line",
    "track_named",
    "variable_at",
    "variable_spots",
]


class Track(NamedTuple):
    """What names one tensor in every step.

    Args:
        kind: "parameter", "grad" (of a parameter), "state" (of the optimizer, ``slot`` says which),
            "op" (an output; also of a composite op), "module" (an output), "grad in" (what came to
            a backward node), "grad out" (what it sent), "input" (a leaf), "loss".
        name: the parameter's, op's or leaf's name; a module's path.
        module: the path of the module that an op ran in.
        phase: the op's.
        nth: the n-th of this name and place in a step.
        slot: which output, or the name of the state.
    """

    kind: str
    name: str
    module: str = ""
    phase: str = "forward"
    nth: int = 1
    slot: int | str = 0

    @property
    def title(self) -> str:
        """How a person calls it.

        >>> Track("op", "linear", "model.2", nth=2).title, Track("grad", "model.0.weight").title
        ('model.2 linear #2 · out', 'model.0.weight · gradient')
        """
        if self.kind in ("parameter", "loss"):
            return self.name
        if self.kind == "grad":
            return f"{self.name} · gradient"
        if self.kind == "state":
            return f"{self.name} · {self.slot}"
        words = [self.module] if self.module else []
        words.append(self.name or "input")
        if self.nth > 1:
            words.append(f"#{self.nth}")
        place = " ".join(words)
        kind = {"op": "out", "module": "out", "input": ""}.get(self.kind, self.kind)
        number = f" {self.slot}" if self.slot else ""
        return f"{place} · {kind}{number}" if kind else place


class Spot(NamedTuple):
    """Where a track is in one step: which tensor, and as of which event."""

    step: int  # the optimizer's number, 0 for none
    first: int  # the step's first event
    meta: ev.TensorMeta
    seq: int


def find_in(store: TraceStore, track: Track, step: Step) -> Spot | None:
    """Where a track is in a step of a store; None if that step has it not."""
    found = _FINDERS[track.kind](track, store.events(step.first_seq, step.last_seq))
    number = step.number if step.updated else 0  # else it is only a guess
    return Spot(number, step.first_seq, *found) if found is not None else None


def known_loss(store: TraceStore, spot: Spot) -> Summary | None:
    """The figures of a loss of which no value is kept: the tape itself has its number."""
    value = store.loss_of(spot.meta.id, spot.seq)
    return None if value is None else summarize(np.float64(value))


def _named_op(track: Track, events: Iterable[ev.Event]) -> tuple[ev.TensorMeta, int] | None:
    nth, begin = 0, 0
    name, module, phase = track.name, track.module, track.phase
    slot = track.slot if isinstance(track.slot, int) else 0
    for e in events:
        if isinstance(e, (ev.Op, ev.OpBegin)):
            if e.name == name and e.module == module and e.phase == phase:
                nth += 1
                if nth == track.nth:
                    if isinstance(e, ev.OpBegin):
                        begin = e.seq
                    else:
                        return _slot(e.outputs, slot, e.seq)
        elif isinstance(e, ev.OpEnd) and begin and e.begin == begin:
            return _slot(e.outputs, slot, e.seq)
    return None


def _node(track: Track, events: Iterable[ev.Event]) -> tuple[ev.TensorMeta, int] | None:
    nth, begin = 0, 0
    slot = track.slot if isinstance(track.slot, int) else 0
    for e in events:
        if isinstance(e, ev.NodeBegin) and (e.name, e.module) == (track.name, track.module):
            nth += 1
            if nth == track.nth:
                if track.kind == "grad in":
                    return _slot(e.grad_in, slot, e.seq)
                begin = e.seq
        elif isinstance(e, ev.NodeEnd) and begin and e.begin == begin:
            return _slot(e.grad_out, slot, e.seq)
    return None


def _module(track: Track, events: Iterable[ev.Event]) -> tuple[ev.TensorMeta, int] | None:
    """What a module call returned; its tensor is described by the op that made it."""
    nth, begin = 0, 0
    metas: dict[int, ev.TensorMeta] = {}
    slot = track.slot if isinstance(track.slot, int) else 0
    for e in events:
        if isinstance(e, ev.Op):
            metas.update((m.id, m) for m in e.outputs)
        elif isinstance(e, ev.ModuleBegin) and e.path == track.name:
            nth += 1
            begin = e.seq if nth == track.nth else begin
        elif isinstance(e, ev.ModuleEnd) and begin and e.begin == begin:
            found = metas.get(e.outputs[slot]) if slot < len(e.outputs) else None
            return (found, e.seq) if found is not None else None
    return None


def _parameter(track: Track, events: Iterable[ev.Event]) -> tuple[ev.TensorMeta, int] | None:
    """After its update; without one, when its gradient came."""
    came: tuple[ev.TensorMeta, int] | None = None
    for e in events:
        if isinstance(e, ev.ParamUpdate) and e.name == track.name:
            return e.tensor, e.seq
        if isinstance(e, ev.Grad) and e.name == track.name:
            came = ev.TensorMeta(e.leaf, e.total.shape, e.total.dtype, e.total.device), e.seq
    return came


def _gradient(track: Track, events: Iterable[ev.Event]) -> tuple[ev.TensorMeta, int] | None:
    """As the optimizer saw it; without one, when it was whole."""
    came: ev.TensorMeta | None = None
    at = 0
    for e in events:
        if isinstance(e, ev.Grad) and e.name == track.name:
            came, at = e.total, e.seq
        elif isinstance(e, ev.ParamUpdate) and e.name == track.name and came is not None:
            return came, e.seq
    return (came, at) if came is not None else None


def _state(track: Track, events: Iterable[ev.Event]) -> tuple[ev.TensorMeta, int] | None:
    for e in events:
        if isinstance(e, ev.ParamUpdate) and e.name == track.name and track.slot in e.state:
            return e.state[str(track.slot)], e.seq
    return None


def _input(track: Track, events: Iterable[ev.Event]) -> tuple[ev.TensorMeta, int] | None:
    nth = 0
    for e in events:
        if isinstance(e, ev.Leaf) and e.role == "input" and e.name == track.name:
            nth += 1
            if nth == track.nth:
                return e.tensor, e.seq
    return None


def _loss(track: Track, events: Iterable[ev.Event]) -> tuple[ev.TensorMeta, int] | None:
    nth = 0
    metas: dict[int, ev.TensorMeta] = {}
    for e in events:
        if isinstance(e, ev.Op):
            metas.update((m.id, m) for m in e.outputs)
        elif isinstance(e, ev.BackwardBegin) and e.roots:
            nth += 1
            if nth == track.nth:
                meta = metas.get(e.roots[0], ev.TensorMeta(e.roots[0], (), "float32", "cpu"))
                return meta, e.seq
    return None


def _slot(metas: Sequence[ev.TensorMeta], slot: int, seq: int) -> tuple[ev.TensorMeta, int] | None:
    return (metas[slot], seq) if slot < len(metas) and metas[slot].id else None


_FINDERS = {
    "parameter": _parameter, "grad": _gradient, "state": _state, "op": _named_op, "module": _module,
    "grad in": _node, "grad out": _node, "input": _input, "loss": _loss,
}  # fmt: skip


# -- which track a tensor is on --------------------------------------------------------------


def find_track(store: TraceStore, tensor: int, seq: int) -> Track | None:
    """What names a tensor in every step, from where it is as of an event.

    >>> import framework as torch
    >>> from framework.trace import recording
    >>> with recording() as tape:
    ...     x = torch.ones(2, requires_grad=True)
    ...     y = (x.exp() * x.exp()).sum()
    ...     y.backward()
    >>> store = TraceStore()
    >>> store.feed(tape.read())
    >>> second = [e for e in store.tape if isinstance(e, ev.Op) and e.name == "exp"][1]
    >>> track = find_track(store, second.outputs[0].id, store.last_seq)
    >>> track.title, find_in(store, track, store.steps[0]).seq == second.seq
    ('exp #2 · out', True)
    """
    leaf = store.leaf(tensor)
    if leaf is not None and leaf.role != "input":
        return Track("parameter", leaf.name) if leaf.name else None
    step = store.step_at(seq)
    if step is None:
        return None
    seen: dict[tuple[str, ...], int] = {}
    begins: dict[int, tuple[ev.NodeBegin, int]] = {}
    found: Track | None = None
    for e in store.events(step.first_seq, min(seq, step.last_seq)):
        if isinstance(e, (ev.Op, ev.OpBegin)):
            place = "op", e.name, e.module, e.phase
            seen[place] = seen.get(place, 0) + 1
            if isinstance(e, ev.Op):
                slot = _index(e.outputs, tensor)
                if slot is not None:
                    found = Track(*place, seen[place], slot)
        elif isinstance(e, ev.NodeBegin):
            where = "node", e.name, e.module
            seen[where] = seen.get(where, 0) + 1
            begins[e.seq] = e, seen[where]
            slot = _index(e.grad_in, tensor)
            if slot is not None:
                return Track("grad in", *where[1:], "backward", seen[where], slot)
        elif isinstance(e, ev.NodeEnd) and e.begin in begins:
            slot = _index(e.grad_out, tensor)
            begin, nth = begins[e.begin]
            if slot is not None:
                found = Track("grad out", begin.name, begin.module, "backward", nth, slot)
        elif isinstance(e, ev.Grad) and e.name and tensor in (e.total.id, e.arrived.id):
            return Track("grad", e.name)
        elif isinstance(e, ev.ParamUpdate):
            for key, meta in e.state.items():
                if meta.id == tensor:
                    return Track("state", e.name, slot=key)
        elif isinstance(e, ev.Leaf) and e.role == "input":
            place = "input", e.name, "", ""
            seen[place] = seen.get(place, 0) + 1
            if e.tensor.id == tensor:
                found = Track("input", e.name, nth=seen[place])
    return found


def _index(metas: Sequence[ev.TensorMeta], tensor: int) -> int | None:
    return next((i for i, meta in enumerate(metas) if meta.id == tensor), None)


def track_named(store: TraceStore, name: str) -> Track:
    """The track that a text names, for a prompt or a command.

    ``loss``; a parameter ``model.0.weight``; its gradient ``model.0.weight.grad``; its optimizer
    state ``model.0.weight.momentum_buffer``; a module ``model.0`` (what it returns); an op
    ``model.0/linear``, ``relu``, the second one ``relu#2``, an event's number.

    Raises:
        ValueError: nothing is called so; one line says what can be.
    """
    if name == "loss":
        return Track("loss", "loss")
    if name.isdigit():
        event = store.event(int(name))
        outputs = event.outputs if isinstance(event, ev.Op) else ()
        found = find_track(store, outputs[0].id, int(name)) if outputs else None
        if found is None:
            raise ValueError(f"event {name} made no tensor")
        return found
    text, _, number = name.partition("#")
    nth = int(number) if number.isdigit() else 1
    for step in reversed(store.steps):
        for track in _candidates(name, text, nth):
            if find_in(store, track, step) is not None:
                return track
        found = _anywhere(store, step, text, nth)
        if found is not None:
            return found
    raise ValueError(
        f"no tensor is called {name!r}; expected a parameter's name, NAME.grad, NAME.STATE, loss, "
        "a variable, a module, an op (relu#2, model.0/linear) or an event's number"
    )


def _anywhere(store: TraceStore, step: Step, name: str, nth: int) -> Track | None:
    """The n-th op or node of a step that is called so, in whichever module."""
    node = name.endswith(" backward")
    kind = ev.NodeBegin if node else ev.Op
    name = name.removesuffix(" backward")
    for e in store.events(step.first_seq, step.last_seq):
        if isinstance(e, kind) and e.name == name:
            nth -= 1
            metas = e.grad_in if isinstance(e, ev.NodeBegin) else e.outputs
            made = next((meta.id for meta in metas if meta.id), 0)
            if not nth and made:
                return find_track(store, made, e.seq)
    return None


def _candidates(name: str, text: str, nth: int) -> Iterable[Track]:
    yield Track("parameter", name)
    outer, _, last = name.rpartition(".")
    if last == "grad":
        yield Track("grad", outer)
    if outer:
        yield Track("state", outer, slot=last)
    yield Track("module", text, nth=nth)
    module, _, op = text.rpartition("/")
    backward = op.endswith(" backward")
    if backward:
        yield Track("grad in", op.removesuffix(" backward"), module, "backward", nth)
        return
    for phase in ("forward", "backward", "optimizer"):
        yield Track("op", op, module, phase, nth)
    yield Track("input", text, nth=nth)


# -- variables -------------------------------------------------------------------------------


def variable_spots(store: TraceStore, variables: Variables, name: str) -> list[Spot]:
    """Where a variable, or its gradient, is in each step: as of the step's end.

    ``h`` is what was assigned last in a step, ``h#1`` what was first; ``h.grad`` is the gradient of
    the former, also where it was assigned in an earlier step.
    """
    found = []
    text, _, number = name.partition("#")
    for step in store.steps:
        if name.endswith(".grad"):
            tensor, seq = variable_at(store, variables, name, step.last_seq) or (0, 0)
            tensor = tensor if store.step_at(seq) is step else 0
        else:
            made = variables.all(text, step)
            nth = int(number) - 1 if number.isdigit() else -1
            tensor, seq = made[nth][0] if -1 <= nth < len(made) and made else 0, step.last_seq
        meta = store.meta(tensor)
        if tensor and meta is not None:
            found.append(Spot(step.number if step.updated else 0, step.first_seq, meta, seq))
    return found


def variable_at(
    store: TraceStore, variables: Variables, name: str, seq: int
) -> tuple[int, int] | tuple[()]:
    """The tensor that a variable, or ``NAME.grad``, is as of an event, and the moment; or ()."""
    outer, _, last = name.rpartition(".")
    if outer and last == "grad":
        return gradient_of(store, variables.find(outer, seq)[0], seq)
    tensor, _ = variables.find(name, seq)
    return (tensor, seq) if tensor else ()


def gradient_of(store: TraceStore, tensor: int, seq: int) -> tuple[int, int] | tuple[()]:
    """A leaf's ``.grad``, or what came to the node of the op that made a tensor, in a step."""
    step = store.step_at(seq) if tensor else None
    if step is None:
        return ()
    made = store.graph(step).producer(tensor, seq)
    op = made.event if made is not None and isinstance(made.event, ev.Op) else None
    found: tuple[int, int] | tuple[()] = ()
    for e in store.events(step.first_seq, seq):
        if isinstance(e, ev.Grad) and e.leaf == tensor:
            found = e.total.id, e.seq
        elif isinstance(e, ev.NodeBegin) and op is not None and e.forward == op.seq:
            pairs = zip(op.outputs, e.grad_in) if e.name == op.name.removesuffix("_") else ()
            found = next(((g.id, e.seq) for o, g in pairs if o.id == tensor and g.id), found)
    return found


# -- lines -----------------------------------------------------------------------------------

_NUMBER = 9


def _columns(width: int) -> list[str]:
    """The figures that have room, in the order in which they are shown."""
    names = ["norm", "mean", "std", "min", "max", "zeros"]
    room = width - 7 - 11 - 9  # step, histogram, marks
    return names[: max(1, min(len(names), room // (_NUMBER + 1)))]


def title_line(width: int) -> Line:
    """The head of the rows."""
    line: Line = [(pad("step", 6, "right"), "dim")]
    for name in _columns(width):
        line.append((pad(name, _NUMBER + 1, "right"), "dim"))
    if width >= 40:
        line.append(("  values", "dim"))
    return line


def row_line(spot: Spot, found: Summary | str | None, width: int, ascii: bool = False) -> Line:
    """One step: the figures and the histogram of what the tensor held there."""
    name = str(spot.step) if spot.step else "·"
    line: Line = [(pad(name, 6, "right"), "bold")]
    if not isinstance(found, Summary):
        text = "no longer kept" if found is None else found
        return [*line, (f"  {text}", "dim")]
    figures = {
        "norm": found.norm, "mean": found.mean, "std": found.std, "min": found.min,
        "max": found.max,
    }  # fmt: skip
    for column in _columns(width):
        if column == "zeros":
            text = f"{100 * found.zeros / found.count:.0f} %" if found.count else ""
        else:
            value = figures[column]
            text = "" if value is None else short(value)
        line.append((pad(text, _NUMBER + 1, "right"), "value"))
    if width >= 40:
        line.append(("  ", ""))
        if len(found.counts) > 1 and found.count > 1:
            line += histogram_line(found, 8, ascii=ascii)
        else:
            line.append((" " * 8, ""))
    for count, word, tone in ((found.nan, "NaN", "nan"), (found.inf, "Inf", "inf")):
        if count:
            line.append((f"  {count_text(count)} {word}", tone))
    return line


def spot_text(spot: Spot) -> str:
    """What the tensor of a step is."""
    return tensor_text(spot.meta.dtype, spot.meta.shape, spot.meta.device)
