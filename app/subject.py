"""What the inspector is about: an op, a backward node, an update, a module, and their tensors.

A `Subject` is made from the tape alone; the values are asked for tensor by tensor. Every tensor
comes with the moment whose value is meant: an operand as it was before the op, an output as the op
left it, a gradient when it arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, NamedTuple

from framework.trace.events import (
    EDITED,
    BackwardBegin,
    BackwardEnd,
    CellBegin,
    Event,
    Grad,
    Mark,
    ModuleBegin,
    ModuleEnd,
    NodeBegin,
    NodeEnd,
    Op,
    OpBegin,
    OpEnd,
    OptimBegin,
    ParamUpdate,
    Source,
    TensorMeta,
    Write,
)
from viewers.graph.store import TraceStore
from viewers.parameters import also_text
from viewers.text import arguments

__all__ = ["Subject", "TensorRef", "subject_at"]

MAX_TENSORS = 200  # of one subject; an optimizer of a large model has more


class TensorRef(NamedTuple):
    """One tensor of a subject, at a moment."""

    label: str  # "out", "in 0", "grad in", "into 0.weight", "before", ...
    meta: TensorMeta
    seq: int  # the moment whose value is meant
    name: str = ""  # of a parameter, buffer or input
    grad: TensorMeta | None = None  # its gradient, if one is known as of the cursor
    grad_seq: int = 0
    minus: int = 0  # moment of the value that the change is against; 0 for none
    kind: str = "value"  # "value" | "grad" | "state" | "change"


@dataclass(slots=True)
class Subject:
    """What there is to know of one row of the graph."""

    seq: int  # of its (begin) event
    as_of: int
    kind: str  # "op" | "composite" | "module" | "node" | "backward" | "optimizer" | "update" ...
    title: str
    phase: str = "forward"
    module: str = ""  # path of the module, or of the parameter
    source: Source | None = None
    duration: int = -1  # ns; -1 while it is open
    meta: dict[str, str] = field(default_factory=dict)
    error: str = ""
    note: str = ""
    tensors: list[TensorRef] = field(default_factory=list)
    backward: int = -1  # ns of its backward node, -1 for none or while it is open


def subject_at(store: TraceStore, seq: int, as_of: int) -> Subject | None:
    """The subject that event ``seq`` stands for, as known at ``as_of``; None for an empty tape."""
    event = store.event(seq)
    if event is None:
        return None
    begin = getattr(event, "begin", 0)
    if begin:
        event = store.event(begin) or event
    elif isinstance(event, (Grad, Write)) or not isinstance(event, tuple(_MAKERS)):
        found = store.moment(seq).subject
        event = found if found is not None else event
    maker = _MAKERS.get(type(event))
    return maker(store, event, as_of) if maker is not None else None


def _metas(store: TraceStore, ids: Iterable[int]) -> list[TensorMeta]:
    """Metas of tensors by id; an id that is not known comes with an empty one."""
    return [store.meta(i) or TensorMeta(i, (), "", "") for i in ids]


def _end(store: TraceStore, begin: Event, as_of: int) -> Event | None:
    """The end of a container, if it was reached as of the cursor."""
    container = store.container(begin.seq)
    if container is None or not container.end or container.end > as_of:
        return None
    return store.event(container.end)


def _duration(store: TraceStore, begin: Event, end: Event | None) -> int:
    return store.took(begin, end) if end is not None else -1


def _node_of(store: TraceStore, forward: Event, as_of: int) -> NodeBegin | None:
    """The newest backward node of a forward op that had begun as of the cursor."""
    step = store.step_at(forward.seq)
    item = store.graph_so_far(step).item_at(forward.seq) if step is not None else None
    nodes = [n.event for n in item.nodes if n.begin <= as_of] if item is not None else []
    # Of a write through a view there are several: the one of what was written has its name.
    name = getattr(forward, "name", "").removesuffix("_")
    found = next((n for n in reversed(nodes) if getattr(n, "name", "") == name), None)
    found = found if found is not None or not nodes else nodes[-1]
    return found if isinstance(found, NodeBegin) else None


def _gradient(store: TraceStore, tensor: int, at: int, as_of: int) -> tuple[TensorMeta | None, int]:
    """The whole gradient of a tensor as of the cursor, and the moment that it was there.

    A leaf's is its ``.grad``; another's is what came to the backward node of the op that made it.
    """
    ident = store.grad_of(tensor, as_of)
    if ident:
        return store.meta(ident), as_of
    step = store.step_at(at)
    made = store.graph_so_far(step).producer(tensor, at) if step is not None else None
    if made is None or not isinstance(made.event, Op):
        return None, 0
    node = _node_of(store, made.event, as_of)
    if node is None:
        return None, 0
    for meta, grad in zip(made.event.outputs, node.grad_in):
        if meta.id == tensor and grad.id:
            return grad, node.seq
    return None, 0


def _op(store: TraceStore, event: Op, as_of: int) -> Subject:
    end = event.seq
    subject = Subject(
        event.seq, as_of, "op", event.name, event.phase, event.module, event.source,
        event.duration, dict(arguments(event.name, event.inputs, event.meta)), event.error,
    )  # fmt: skip
    _operands(store, subject, event, event.outputs, end, as_of)
    return subject


def _composite(store: TraceStore, event: OpBegin, as_of: int) -> Subject:
    end = _end(store, event, as_of)
    outputs = end.outputs if isinstance(end, OpEnd) else ()
    subject = Subject(
        event.seq, as_of, "composite", event.name, event.phase, event.module, event.source,
        _duration(store, event, end), dict(arguments(event.name, event.inputs, event.meta)),
        end.error if isinstance(end, OpEnd) else "",
    )  # fmt: skip
    at = end.seq if end is not None else as_of
    _operands(store, subject, event, outputs, at, as_of)
    return subject


def _operands(
    store: TraceStore, subject: Subject, event: Op | OpBegin, outputs: Iterable[TensorMeta],
    at: int, as_of: int,
) -> None:  # fmt: skip
    """Outputs with the gradients that came back for them, operands with those that went on."""
    node = _node_of(store, event, as_of) if event.phase == "forward" else None
    done = _end(store, node, as_of) if node is not None else None
    if node is not None:
        subject.backward = _duration(store, node, done)
    sent: tuple[TensorMeta, ...] = done.grad_out if isinstance(done, NodeEnd) else ()
    tensors = subject.tensors
    outputs = tuple(outputs)
    for i, meta in enumerate(outputs):
        label = "out" if len(outputs) == 1 else f"out {i}"
        grad, grad_seq = _gradient(store, meta.id, at, as_of)
        tensors.append(TensorRef(label, meta, at, store.name(meta.id), grad, grad_seq))
    ids = event.inputs
    several = sum(1 for i in ids if i) > 1
    for i, (ident, meta) in enumerate(zip(ids, _metas(store, ids))):
        if not ident:
            continue
        before = store.before(event.seq, ident)
        grad, grad_seq = _gradient(store, ident, before, as_of)
        if grad is None and done is not None:  # what this op alone sent back
            grad, grad_seq = _present(sent, i), done.seq
        label = f"in {i}" if several else "in"
        name = store.name(ident) or (_made_by(store, ident, at) if subject.error else "")
        tensors.append(TensorRef(label, meta, before, name, grad, grad_seq))


def _made_by(store: TraceStore, tensor: int, at: int) -> str:
    """What made an operand of an op that failed, and where: ``of mul, model.py:12``."""
    step = store.step_at(at)
    made = store.graph_so_far(step).producer(tensor, at) if step is not None else None
    event = made.event if made is not None else None
    if not isinstance(event, Op):
        return ""
    file, line = PurePath(event.source.file).name, event.source.line
    where = f"line {line}" if file.startswith("<") else f"{file}:{line}"
    return f"of {event.name}, {where}" if line else f"of {event.name}"


def _present(metas: tuple[TensorMeta, ...], index: int) -> TensorMeta | None:
    return metas[index] if index < len(metas) and metas[index].id else None


def _module(store: TraceStore, event: ModuleBegin, as_of: int) -> Subject:
    end = _end(store, event, as_of)
    subject = Subject(
        event.seq, as_of, "module", event.cls, store.phase(event.seq), event.path, event.source,
        _duration(store, event, end), {}, end.error if isinstance(end, ModuleEnd) else "",
        event.description,
    )  # fmt: skip
    tensors = subject.tensors
    outputs = end.outputs if isinstance(end, ModuleEnd) else ()
    at = end.seq if end is not None else as_of
    for i, meta in enumerate(_metas(store, outputs)):
        label = "out" if len(outputs) == 1 else f"out {i}"
        tensors.append(TensorRef(label, meta, at, "", *_gradient(store, meta.id, at, as_of)))
    for i, meta in enumerate(_metas(store, event.inputs)):
        label = "in" if len(event.inputs) == 1 else f"in {i}"
        grad, grad_seq = _gradient(store, meta.id, event.seq, as_of)
        tensors.append(TensorRef(label, meta, event.seq, store.name(meta.id), grad, grad_seq))
    for ident, name in store.parameters(event.path).items():
        found = store.meta(ident)
        if found is not None and len(tensors) < MAX_TENSORS:
            grad, grad_seq = _gradient(store, ident, at, as_of)
            tensors.append(TensorRef(name, found, at, "", grad, grad_seq))
    return subject


def _node(store: TraceStore, event: NodeBegin, as_of: int) -> Subject:
    end = _end(store, event, as_of)
    subject = Subject(
        event.seq, as_of, "node", f"{event.name} backward", "backward", event.module, event.source,
        _duration(store, event, end), {}, end.error if isinstance(end, NodeEnd) else "",
    )  # fmt: skip
    tensors = subject.tensors
    for i, meta in enumerate(event.grad_in):
        label = "grad in" if len(event.grad_in) == 1 else f"grad in {i}"
        if meta.id:
            tensors.append(TensorRef(label, meta, event.seq, kind="grad"))
    inputs: tuple[int, ...] = ()
    forward = store.event(event.forward) if event.forward else None
    if isinstance(forward, Op):
        inputs = forward.inputs
    if isinstance(end, NodeEnd):
        present = [i for i, meta in enumerate(end.grad_out) if meta.id]
        for i in present:
            label = "grad out" if len(present) == 1 else f"grad out {i}"
            name = store.name(inputs[i]) if i < len(inputs) else ""
            tensors.append(TensorRef(label, end.grad_out[i], end.seq, name, kind="grad"))
    last = end.seq if end is not None else as_of
    for inner in store.events(event.seq, min(last, as_of)):
        if isinstance(inner, Grad) and inner.parent == event.seq:
            name = f"{inner.name or 'leaf'}.grad"
            label = "stored" if inner.first else "added"
            tensors.append(TensorRef(label, inner.total, inner.seq, name, kind="grad"))
            if not inner.first:
                tensors.append(TensorRef("arrived", inner.arrived, inner.seq, name, kind="grad"))
    if isinstance(forward, Op):
        for i, ident in enumerate(forward.inputs):
            if ident:
                before = store.before(forward.seq, ident)
                meta = _metas(store, (ident,))[0]
                name = store.name(ident)
                tensors.append(TensorRef(f"value in {i}", meta, before, name))
        for meta in forward.outputs:
            tensors.append(TensorRef("value out", meta, forward.seq, store.name(meta.id)))
    return subject


def _backward(store: TraceStore, event: BackwardBegin, as_of: int) -> Subject:
    end = _end(store, event, as_of)
    subject = Subject(
        event.seq, as_of, "backward", "backward", "backward", "", event.source,
        _duration(store, event, end), {}, end.error if isinstance(end, BackwardEnd) else "",
    )  # fmt: skip
    for meta in _metas(store, event.roots):
        subject.tensors.append(TensorRef("root", meta, event.seq, store.name(meta.id)))
    return subject


def _optimizer(store: TraceStore, event: OptimBegin, as_of: int) -> Subject:
    end = _end(store, event, as_of)
    subject = Subject(
        event.seq, as_of, "optimizer", event.cls, "optimizer", "", event.source,
        _duration(store, event, end), {"step": str(event.step)},
    )  # fmt: skip
    last = end.seq if end is not None else as_of
    for inner in store.events(event.seq, min(last, as_of)):
        if isinstance(inner, ParamUpdate) and len(subject.tensors) < MAX_TENSORS:
            grad = store.meta(inner.grad) if inner.grad else None
            subject.tensors.append(
                TensorRef(
                    "updated", inner.tensor, inner.seq, inner.name, grad, inner.seq, event.seq
                )
            )
    return subject


def _update(store: TraceStore, event: ParamUpdate, as_of: int) -> Subject:
    begin = store.event(event.parent)
    before = event.parent or event.seq - 1
    cls = begin.cls if isinstance(begin, OptimBegin) else "update"
    subject = Subject(
        event.seq, as_of, "update", f"{cls} update", "optimizer",
        event.name, begin.source if isinstance(begin, OptimBegin) else None,
        note=also_text(store.naming.others(event.name)),
    )  # fmt: skip
    grad = store.meta(event.grad) if event.grad else None
    tensors = subject.tensors
    tensors.append(TensorRef("after", event.tensor, event.seq, "", grad, event.seq))
    tensors.append(TensorRef("before", event.tensor, before))
    tensors.append(TensorRef("change", event.tensor, event.seq, "", None, 0, before, "change"))
    if grad is not None:
        tensors.append(TensorRef("grad", grad, event.seq, kind="grad"))
    for key, meta in event.state.items():
        tensors.append(TensorRef(key, meta, event.seq, "", kind="state"))
    return subject


def _cell(store: TraceStore, event: CellBegin, as_of: int) -> Subject:
    return Subject(event.seq, as_of, "cell", f"cell run {event.count}")


def _mark(store: TraceStore, event: Mark, as_of: int) -> Subject:
    subject = Subject(event.seq, as_of, "mark", event.name)
    write = store.event(event.seq - 1)
    if not event.name.startswith(EDITED) or not isinstance(write, Write):
        return subject
    before = write.seq - 1
    for ident, meta in zip(write.tensors, _metas(store, write.tensors)):
        name = store.name(ident)
        subject.tensors.append(TensorRef("after", meta, event.seq, name))
        subject.tensors.append(TensorRef("before", meta, before, name))
        subject.tensors.append(
            TensorRef("change", meta, event.seq, name, None, 0, before, "change")
        )
    return subject


_MAKERS: dict[type, Callable[[TraceStore, Any, int], Subject]] = {
    Op: _op,
    OpBegin: _composite,
    ModuleBegin: _module,
    NodeBegin: _node,
    BackwardBegin: _backward,
    OptimBegin: _optimizer,
    ParamUpdate: _update,
    CellBegin: _cell,
    Mark: _mark,
}
