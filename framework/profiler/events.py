"""Profiled calls, their averages, and the table of them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["EventList", "FunctionEvent", "FunctionEventAvg", "spans"]


@dataclass(slots=True, eq=False)
class FunctionEvent:
    """One call: of an op, of a composite op, of a backward node, of a `record_function` block.

    Times are microseconds, as PyTorch's.

    >>> import framework as torch
    >>> with torch.profiler.profile() as timing:
    ...     y = torch.ones(2).exp()
    >>> event = timing.events()[-1]
    >>> event.name, event.cpu_time_total > 0
    ('aten::exp', True)
    """

    id: int
    name: str
    start: float
    end: float
    input_shapes: list[list[int]] = field(default_factory=list)
    stack: list[str] = field(default_factory=list)
    cpu_memory_usage: int = 0
    cpu_parent: FunctionEvent | None = None
    cpu_children: list[FunctionEvent] = field(default_factory=list)
    kind: str = "cpu_op"

    @property
    def key(self) -> str:
        """What averages are taken by: the name."""
        return self.name

    @property
    def count(self) -> int:
        """1: it is one call."""
        return 1

    @property
    def cpu_time_total(self) -> float:
        """Microseconds from begin to end."""
        return self.end - self.start

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds without those of the calls inside."""
        return self.cpu_time_total - sum(c.cpu_time_total for c in self.cpu_children)

    @property
    def cpu_time(self) -> float:
        """Microseconds from begin to end."""
        return self.cpu_time_total


class FunctionEventAvg:
    """The calls of one name, summed.

    >>> import framework as torch
    >>> with torch.profiler.profile() as timing:
    ...     y = torch.ones(2).exp().exp()
    >>> timing.key_averages().total_average().key
    'Total'
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.count = 0
        self.cpu_time_total = 0.0
        self.self_cpu_time_total = 0.0
        self.cpu_memory_usage = 0
        self.input_shapes: list[list[int]] = []
        self.stack: list[str] = []
        self.device_time_total = self.self_device_time_total = 0.0

    def add(self, event: Any) -> FunctionEventAvg:
        """Count a call, or the calls of another average, in."""
        self.count += event.count
        self.cpu_time_total += event.cpu_time_total
        self.self_cpu_time_total += event.self_cpu_time_total
        self.cpu_memory_usage += event.cpu_memory_usage
        return self

    @property
    def cpu_time(self) -> float:
        """Microseconds of a call, on the average."""
        return self.cpu_time_total / self.count if self.count else 0.0

    def __repr__(self) -> str:
        return (
            f"<FunctionEventAvg key={self.key} self_cpu_time={_time(self.self_cpu_time_total)} "
            f"cpu_time={_time(self.cpu_time)} count={self.count}>"
        )


class EventList(list[Any]):
    """Calls or averages, with the sums and the table of them.

    >>> import framework as torch
    >>> with torch.profiler.profile() as timing:
    ...     y = torch.ones(2).exp().exp()
    >>> [event.name for event in timing.events() if "exp" in event.name]
    ['aten::exp', 'aten::exp']
    """

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds of all calls, each without those inside of it."""
        return sum(e.self_cpu_time_total for e in self)

    def total_average(self) -> FunctionEventAvg:
        """All calls in one sum."""
        total = FunctionEventAvg("Total")
        for e in self:
            total.add(e)
        return total

    def key_averages(
        self, group_by_input_shapes: bool = False, group_by_stack_n: int = 0
    ) -> EventList:
        """The calls summed by name (and shapes, and the innermost stack entries)."""
        groups: dict[Any, FunctionEventAvg] = {}
        for e in self:
            key: tuple[Any, ...] = (e.name,)
            if group_by_input_shapes:
                key += (str(e.input_shapes),)
            if group_by_stack_n:
                key += tuple(e.stack[:group_by_stack_n])
            found = groups.get(key)
            if found is None:
                found = groups[key] = FunctionEventAvg(e.name)
                found.input_shapes = e.input_shapes if group_by_input_shapes else []
                found.stack = e.stack[:group_by_stack_n] if group_by_stack_n else []
            found.add(e)
        return EventList(groups.values())

    def table(
        self, sort_by: str | None = None, row_limit: int = 100,
        max_src_column_width: int = 75, max_name_column_width: int = 55,
        max_shapes_column_width: int = 80, header: str | None = None,
        top_level_events_only: bool = False,
    ) -> str:  # fmt: skip
        """The rows as text.

        Args:
            sort_by: an attribute to sort by, largest first: "cpu_time_total",
                "self_cpu_time_total", "cpu_time", "count", "cpu_memory_usage"; by default unsorted.
        """
        rows = [
            e for e in self
            if not top_level_events_only or getattr(e, "cpu_parent", None) is None
        ]  # fmt: skip
        if sort_by is not None:
            if rows and not hasattr(rows[0], sort_by):
                raise AttributeError(f"table: events have no attribute {sort_by!r} to sort by")
            rows.sort(key=lambda e: getattr(e, sort_by), reverse=True)
        total = sum(e.self_cpu_time_total for e in self) or math.nan
        titles = ["Name", "Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg"]
        memory = any(e.cpu_memory_usage for e in rows)
        shapes = any(e.input_shapes for e in rows)
        titles += ["CPU Mem"] * memory + ["# of Calls"] + ["Input Shapes"] * shapes
        lines = []
        for e in rows[: row_limit if row_limit >= 0 else None]:
            cells = [
                _short(e.key, max_name_column_width),
                f"{100 * e.self_cpu_time_total / total:.2f}%", _time(e.self_cpu_time_total),
                f"{100 * e.cpu_time_total / total:.2f}%", _time(e.cpu_time_total),
                _time(e.cpu_time),
            ]  # fmt: skip
            cells += [_bytes(e.cpu_memory_usage)] * memory + [str(e.count)]
            cells += [_short(str(e.input_shapes), max_shapes_column_width)] * shapes
            lines.append(cells)
        widths = [max(12, len(t), *[len(line[i]) for line in lines]) if lines else max(12, len(t))
                  for i, t in enumerate(titles)]  # fmt: skip
        rule = "  ".join("-" * w for w in widths)
        text = [header] if header else []
        text += [rule, "  ".join(t.rjust(w) for t, w in zip(titles, widths)), rule]
        text += ["  ".join(c.rjust(w) for c, w in zip(line, widths)) for line in lines]
        return "\n".join(
            [*text, rule, f"Self CPU time total: {_time(self.self_cpu_time_total)}", ""]
        )

    def __str__(self) -> str:
        return self.table()

    def export_chrome_trace(self, path: str) -> None:
        """Write the calls for chrome://tracing and Perfetto."""
        import json

        document = {
            "schemaVersion": 1,
            "traceEvents": [
                {
                    "ph": "X", "cat": e.kind, "name": e.name, "pid": os.getpid(), "tid": 1,
                    "ts": e.start, "dur": e.cpu_time_total,
                    "args": {"Input Dims": e.input_shapes, "Stack": e.stack},
                }
                for e in self
            ],
        }  # fmt: skip
        with open(path, "w", encoding="utf-8") as file:
            json.dump(document, file)

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """Write the stacks for a flame graph: one a line, outermost first, with its time."""
        if metric not in ("self_cpu_time_total", "self_cuda_time_total", "self_xpu_time_total"):
            raise ValueError(f"metric should be one of: ['self_cpu_time_total'], but got {metric}")
        with open(path, "w", encoding="utf-8") as file:
            for e in self:
                if e.stack and int(e.self_cpu_time_total) > 0:
                    clean = [s.replace(" ", "_").replace(";", ",") for s in reversed(e.stack)]
                    file.write(f"{';'.join(clean)} {int(e.self_cpu_time_total)}\n")


def _time(us: float) -> str:
    if us >= 1e6:
        return f"{us / 1e6:.3f}s"
    return f"{us / 1e3:.3f}ms" if us >= 1e3 else f"{us:.3f}us"


def _bytes(count: int) -> str:
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if abs(count) >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count} B"


def _short(text: str, width: int | None) -> str:
    return text if width is None or len(text) <= width else text[: width - 3] + "..."


# -- from the trace -----------------------------------------------------------------------------

_SIZES = {"64": 8, "32": 4, "16": 2, "t8": 1, "ol": 1, "28": 16}  # by the end of a dtype's name


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


# What an event that begins something is called, and its kind.
_BEGINS: dict[str, Callable[[Any], tuple[str, str]]] = {
    "OpBegin": lambda e: (
        (e.name, "user_annotation")
        if "record_function" in e.meta
        else (f"aten::{e.name}", "cpu_op")
    ),
    "NodeBegin": lambda e: (f"{_camel(e.name)}Backward0", "cpu_op"),
    "OptimBegin": lambda e: (f"Optimizer.step#{e.cls}.step", "user_annotation"),
    "BackwardBegin": lambda e: ("backward", "cpu_op"),
    "ModuleBegin": lambda e: (f"nn.Module: {e.cls} {e.path}", "python_function"),
}
_ENDS = {name.replace("Begin", "End") for name in _BEGINS}


def spans(
    events: Iterable[Any], shapes: bool, stacks: bool, memory: bool, modules: bool
) -> EventList:
    """The calls that typed trace events tell of, in the order in which they began."""
    begun: dict[int, FunctionEvent] = {}  # by the event's number; those that have ended too
    known: dict[int, tuple[int, ...]] = {}
    order: list[FunctionEvent] = []

    def add(event: Any, name: str, end: int, kind: str) -> FunctionEvent:
        made = FunctionEvent(event.seq, name, event.t / 1000, end / 1000, kind=kind)
        parent = begun.get(getattr(event, "parent", 0))
        if parent is not None:
            made.cpu_parent = parent
            parent.cpu_children.append(made)
        if shapes:
            made.input_shapes = [list(known[i]) for i in getattr(event, "inputs", ()) if i in known]
        source = getattr(event, "source", None)
        if stacks and source is not None and source.file:
            made.stack = [f"{source.file}({source.line}): {source.function}"]
        order.append(made)
        return made

    for event in events:
        name = type(event).__name__
        for meta in getattr(event, "outputs", ()):
            if not isinstance(meta, int):
                known[meta.id] = meta.shape
        if name == "Leaf":
            known[event.tensor.id] = event.tensor.shape
        elif name == "Op":
            made = add(event, f"aten::{event.name}", event.t + event.duration, "cpu_op")
            if memory:
                made.cpu_memory_usage = _memory_of(event.outputs)
        elif name == "ModuleBegin" and not modules:
            if event.parent in begun:  # what runs in it belongs to what is around it
                begun[event.seq] = begun[event.parent]
        elif name in _BEGINS:
            label, kind = _BEGINS[name](event)
            begun[event.seq] = add(event, label, event.t, kind)
        elif name in _ENDS and event.begin in begun and (modules or name != "ModuleEnd"):
            begun[event.begin].end = event.t / 1000
    order.sort(key=lambda e: (e.start, e.id))
    return EventList(order)


def _memory_of(outputs: Iterable[Any]) -> int:
    return sum(math.prod(o.shape) * _SIZES.get(o.dtype[-2:], 4) for o in outputs)
