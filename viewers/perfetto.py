"""A trace as a time line of the Trace Event Format, which Perfetto and Chrome show.

https://ui.perfetto.dev opens the file. One track has what the model's thread did, nested as it
happened: steps, modules, composite ops, ops, backward nodes, the optimizer. A second has the
training steps, and a counter the bytes of the tensors that were made. What the program stood at
stops is left out of the time: a mark says where, and for how long.

>>> from framework.trace.events import Mark
>>> [e["name"] for e in timeline([Mark(1, 1000, "epoch 1")])["traceEvents"] if e["ph"] == "i"]
['epoch 1']
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from framework.trace.events import (
    BackwardBegin,
    BackwardEnd,
    CellBegin,
    CellEnd,
    Event,
    Leaf,
    Mark,
    ModuleBegin,
    ModuleEnd,
    NodeBegin,
    NodeEnd,
    Op,
    OpBegin,
    OpEnd,
    OptimBegin,
    OptimEnd,
    Source,
    TensorMeta,
)
from viewers.text import bytes_of

__all__ = ["timeline"]

_MODEL, _STEPS = 1, 2  # tracks

# What a container is called, and its category.
_BEGINS: dict[type, tuple[Callable[[Any], str], str]] = {
    OpBegin: (lambda e: e.name, "composite"),
    ModuleBegin: (lambda e: f"{e.path} ({e.cls})", "module"),
    BackwardBegin: (lambda e: "backward", "backward"),
    NodeBegin: (lambda e: f"{e.name} backward", "node"),
    OptimBegin: (lambda e: f"{e.cls}.step {e.step}", "optimizer"),
    CellBegin: (lambda e: f"cell [{e.count}]", "cell"),
}
_ENDS = (OpEnd, ModuleEnd, BackwardEnd, NodeEnd, OptimEnd, CellEnd)


def timeline(
    events: Iterable[Event], name: str = "tapebook", stops: Mapping[int, int] | None = None
) -> dict[str, Any]:
    """The document, ready for `json.dump`.

    Args:
        name: what the process is called.
        stops: event -> ns that the program stood after it, as `Tape.stops` has them.
    """
    return {
        "displayTimeUnit": "ms",
        "traceEvents": [
            _label("process_name", 0, name),
            _label("thread_name", _MODEL, "model"),
            _label("thread_name", _STEPS, "training steps"),
            *_rows(events, stops or {}),
        ],
    }


def _rows(events: Iterable[Event], stops: Mapping[int, int]) -> Iterator[dict[str, Any]]:
    start: int | None = None  # time zero, later by each stop
    step_began: int | None = None
    last = 0
    open_: dict[int, tuple[Event, int]] = {}  # with the time at which they began
    made = 0
    for event in events:
        if start is None:
            start = event.t
        t = event.t - start
        last = max(last, t + getattr(event, "duration", 0))
        kind = type(event)
        if step_began is None:
            step_began = t
        if isinstance(event, Op):
            made += sum(map(_bytes, event.outputs))
            yield _slice(event.name, event.phase, t, event.duration, _op_args(event))
            yield _counter(t + event.duration, made)
        elif kind in _BEGINS:
            open_[event.seq] = event, t
        elif isinstance(event, _ENDS):
            begin, began = open_.pop(event.begin, (None, 0))
            if begin is not None:
                yield _container(begin, began, t, event.error)
            if isinstance(event, OptimEnd):
                number = begin.step if isinstance(begin, OptimBegin) else 0
                yield _slice(f"step {number}", "step", step_began, t - step_began, {}, _STEPS)
                step_began = None
                made = 0
        elif isinstance(event, Mark):
            yield _mark(event.name, t)
        elif isinstance(event, Leaf):
            made += _bytes(event.tensor) if event.role == "input" else 0
        if stood := stops.get(event.seq, 0):
            start += stood
            yield _mark(f"stood here for {stood / 1e9:.1f} s", t + getattr(event, "duration", 0))
    for begin, began in open_.values():  # the recording ends within them
        yield _container(begin, began, last, "not ended in this recording")


def _mark(name: str, t: int) -> dict[str, Any]:
    return {"ph": "i", "name": name, "ts": t / 1e3, "pid": 1, "tid": _MODEL, "s": "p"}


def _container(begin: Event, t: int, end: int, error: str) -> dict[str, Any]:
    name, category = _BEGINS[type(begin)]
    args: dict[str, Any] = {"event": begin.seq, **_place(getattr(begin, "source", None))}
    if isinstance(begin, NodeBegin):
        args["module"] = begin.module
        args["gradient in"] = [_text(meta) for meta in begin.grad_in if meta.id]
    if error:
        args["error"] = error
    return _slice(name(begin), category, t, max(0, end - t), args)


def _op_args(op: Op) -> dict[str, Any]:
    args: dict[str, Any] = {"event": op.seq, "outputs": [_text(meta) for meta in op.outputs]}
    args.update(_place(op.source))
    if op.module:
        args["module"] = op.module
    if op.meta:
        args["arguments"] = op.meta
    if op.error:
        args["error"] = op.error
    return args


def _place(source: Source | None) -> dict[str, str]:
    return {"source": f"{source.file}:{source.line}"} if source is not None and source.line else {}


def _slice(
    name: str, category: str, t: int, duration: int, args: dict[str, Any], track: int = _MODEL
) -> dict[str, Any]:
    """A stretch of time; the format counts in microseconds."""
    return {
        "ph": "X", "name": name, "cat": category, "ts": t / 1e3, "dur": duration / 1e3,
        "pid": 1, "tid": track, "args": args,
    }  # fmt: skip


def _counter(t: int, value: int) -> dict[str, Any]:
    return {
        "ph": "C", "name": "bytes made in this step", "ts": t / 1e3, "pid": 1,
        "args": {"bytes": value},
    }  # fmt: skip


def _label(kind: str, track: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": 1, "tid": track, "args": {"name": name}}


def _text(meta: TensorMeta) -> str:
    return f"{meta.dtype}{list(meta.shape)}"


def _bytes(meta: TensorMeta) -> int:
    return bytes_of(meta.dtype, meta.shape)
