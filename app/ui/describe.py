"""Events, variables and breakpoints as one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.sanitize import clean
from framework.trace.conditions import limits_text
from framework.trace.events import (
    BackwardBegin,
    CellBegin,
    Event,
    Grad,
    Kernels,
    Leaf,
    Mark,
    ModuleBegin,
    NodeBegin,
    Op,
    OpBegin,
    OptimBegin,
    ParamUpdate,
    TensorMeta,
    Write,
)
from framework.trace.protocol import Breakpoint
from viewers.parameters import also_text
from viewers.text import Line, arguments, pad, tensor_text

if TYPE_CHECKING:
    from app.session import Session
    from viewers.graph.facts import Called

__all__ = ["breakpoint_text", "duration_text", "event_line", "meta_text", "one_line"]

PHASE_WORDS = {"forward": "fwd", "backward": "bwd", "optimizer": "opt", "idle": "   "}


def one_line(text: str) -> str:
    """Untrusted text on one line."""
    return clean(text, keep_newlines=False)


def duration_text(ns: int) -> str:
    """
    >>> [duration_text(ns) for ns in (900, 12_340, 3_200_000, 2_000_000_000)]
    ['900 ns', '12 µs', '3.2 ms', '2 s']
    """
    if ns < 0:
        return ""
    value, unit = float(ns), "ns"
    for larger in ("µs", "ms", "s"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}".replace(".0 ", " ") if value < 10 else f"{value:.0f} {unit}"


def meta_text(meta: TensorMeta | None) -> str:
    """
    >>> meta_text(TensorMeta(1, (64, 128), "float32", "cpu"))
    'f32[64,128]'
    """
    if meta is None or not meta.dtype:
        return "" if meta is None else "?"
    return tensor_text(meta.dtype, meta.shape, meta.device)


def breakpoint_text(session: Session, point: Breakpoint) -> str:
    """Where a breakpoint is, and when it stops."""
    parts = []
    if point.param:
        of = {"forward": "value", "optimizer": "update"}.get(point.phase, "gradient")
        parts.append(f"{of} of {'each parameter' if point.param == '*' else point.param}")
    if point.op:
        parts.append(f"op {point.op}")
    if point.module:
        parts.append(f"module {point.module}")
    if point.line:
        from framework.trace.events import Source

        parts.append(session.source_text(Source(point.file, point.line, "")))
    text = " in ".join(parts) or "any op"
    if point.condition:
        text += f" when {point.condition}"
    if limits := limits_text(point):
        text += f", {limits}"
    if point.phase != "forward" and not point.param:
        text += f" ({point.phase})"
    return one_line(text)


def event_line(
    session: Session, event: Event, depth: int, width: int, called: Called = lambda tensor: ""
) -> Line:
    """One event of the list, without its number."""
    store = session.store
    phase = store.phase(event.seq)
    word, rest = _words(session, event, called)
    name = getattr(event, "module", "") or ""
    source = session.source_text(getattr(event, "source", None))
    tone = {"backward": "backward", "optimizer": "optimizer"}.get(phase, "")
    wider = min(max(0, width - 120) // 3, 24)  # each of the columns that may hold long names
    line: Line = [
        (f"{PHASE_WORDS.get(phase, '   ')} ", phase if phase != "idle" else "dim"),
        (pad("  " * min(depth, 8) + one_line(word), 30 + wider) + " ", tone),
    ]
    if width >= 100:
        line.append((pad(one_line(name), 14 + wider) + " ", "module"))
    rest = pad(one_line(rest), 16 if width < 80 else 22 + wider)
    line += [(f"{rest} ", "dim"), (pad(source, 15), "dim")]
    duration = getattr(event, "duration", -1)
    if duration >= 0:
        line.append((f" {duration_text(duration)}", "faint"))
    if (kernels := store.kernel_time(event.seq)) >= 0:
        line.append((f" gpu {duration_text(kernels)}", "value"))
    error = getattr(event, "error", "")
    if error:
        line.insert(2, (one_line(session.spell(error)) + "  ", "error"))
    return line


def _words(session: Session, event: Event, called: Called) -> tuple[str, str]:
    """What happened, and to what."""
    store = session.store
    if isinstance(event, Op):
        way = arguments(event.name, (), event.meta)[0][1] if event.name == "to_device" else ""
        return f"{event.name} {way}".strip(), ", ".join(meta_text(m) for m in event.outputs)
    if isinstance(event, OpBegin):
        return f"▾ {event.name}", ""
    if isinstance(event, ModuleBegin):
        return f"▾ {event.path} {event.cls}", event.description
    if isinstance(event, BackwardBegin):
        return "▾ backward", ""
    if isinstance(event, NodeBegin):
        return f"▾ {event.name} backward", ", ".join(meta_text(m) for m in event.grad_in if m.id)
    if isinstance(event, OptimBegin):
        return f"▾ {event.cls} step {event.step}", ""
    if isinstance(event, CellBegin):
        return f"▾ {session.cell_text(event.cell) or event.cell}", f"run {event.count}"
    if isinstance(event, Leaf):
        name = store.name_by(called, event.tensor.id)
        also = f"  {also_text(event.also)}" if event.also else ""
        return f"{event.role} {name}{also}".rstrip(), meta_text(event.tensor)
    if isinstance(event, Grad):
        sign = "=" if event.first else "+="
        return f"{event.name or called(event.leaf) or 'leaf'}.grad {sign}", meta_text(event.total)
    if isinstance(event, ParamUpdate):
        return f"update {event.name}", meta_text(event.tensor)
    if isinstance(event, Write):
        names = (store.name_by(called, i) or f"tensor {i}" for i in event.tensors)
        return "write in place", ", ".join(names)
    if isinstance(event, Mark):
        return f"◆ {event.name}", ""
    if isinstance(event, Kernels):
        return "kernels", f"of {len(event.ops)} op{'s' * (len(event.ops) != 1)}"
    begin = store.event(getattr(event, "begin", 0))
    word = _words(session, begin, called)[0].removeprefix("▾ ") if begin is not None else "end"
    return f"▴ {word}", ""
