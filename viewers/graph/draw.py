"""One row of an outline as styled text."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from framework.trace.events import ModuleBegin, Op, OptimBegin, ParamUpdate
from viewers.graph.step import Item
from viewers.text import (
    Line,
    Span,
    arguments,
    count_text,
    crop,
    crop_line,
    shape_text,
    tensor_text,
    width_of,
)

if TYPE_CHECKING:
    from viewers.graph.rows import Outline, Row

__all__ = ["ASCII", "UNICODE", "Glyphs", "line"]


class Glyphs(NamedTuple):
    """The marks of an outline."""

    op: str
    leaf: str
    group: str
    node: str
    failed: str
    opened: str
    closed: str
    waiting: str
    running: str
    done: str
    cursor: str
    head: str
    breakpoint: str
    both: str  # cursor and breakpoint
    to: str
    source: str
    down: str
    up: str
    times: str
    more: str
    update: str
    rule: str
    error: str


UNICODE = Glyphs(
    op="●", leaf="○", group="◉", node="◀", failed="✗", opened="▾", closed="▸",
    waiting="◁", running="◧", done="◀", cursor="▶", head="▷", breakpoint="■", both="◆",
    to="→", source="←", down="↓", up="↑", times="×", more="…", update="↻", rule="─", error="✗",
)  # fmt: skip
ASCII = Glyphs(
    op="*", leaf="o", group="@", node="<", failed="x", opened="v", closed=">",
    waiting="-", running="~", done="<", cursor="=", head="+", breakpoint="#", both="%",
    to="->", source="<-", down="v", up="^", times="x", more="..", update="u", rule="-", error="x",
)  # fmt: skip

_SHORT = {"weight": "W", "bias": "b"}
_NAME_STYLE = {
    "module": "module", "composite": "composite", "leaf": "leaf", "op": "op", "node": "backward",
    "backward": "backward", "optimizer": "optimizer", "update": "update", "mark": "title",
}  # fmt: skip


def line(
    outline: Outline,
    index: int,
    width: int,
    cursor: int | None,
    head: int | None,
    annotations: Mapping[int | str, str],
    breakpoints: Collection[str],
    ascii: bool,
) -> Line:
    """See `Outline.line`."""
    row = outline.rows[index]
    g = ASCII if ascii else UNICODE
    left = _mark(outline, index, cursor, head, row.key in breakpoints, g)
    left += _lanes(outline, index, g, ascii)
    if outline.phase == "both":
        left.append((_state(row, cursor, g) + " ", "backward"))
    left.append(("  " * min(row.depth, width // 6), ""))
    fixed = len(left)
    left += _label(outline, row, cursor, g)
    left += _stubs(outline, index, g)
    right = _right(row, annotations, cursor)
    if cursor is not None and row.begin > cursor:
        left[1:] = [(text, "future") for text, _ in left[1:]]
        right = [(text, "future") for text, _ in right]
    return _fit(left, right, width, fixed)


def _fit(left: Line, right: Line, width: int, fixed: int) -> Line:
    """Left text, and right text at the right edge; what does not fit is cropped from the left's."""
    while right and width_of(right) + width_of(left[:fixed]) + 6 > width:
        right = right[2:]  # the annotation goes first, then the shape
    room = width - width_of(right) - bool(right)
    left = crop_line(left, room)
    if not right:
        return left
    return [*left, (" " * (width - width_of(left) - width_of(right)), ""), *right]


def _mark(
    outline: Outline, index: int, cursor: int | None, head: int | None, stops: bool, g: Glyphs
) -> Line:
    if cursor is not None and outline.index_of(cursor) == index:
        return [(g.both if stops else g.cursor, "cursor")]
    if stops:
        return [(g.breakpoint, "breakpoint")]
    if head is not None and outline.index_of(head) == index:
        return [(g.head, "head")]
    return [(" ", "")]


def _lanes(outline: Outline, index: int, g: Glyphs, ascii: bool) -> Line:
    row = outline.rows[index]
    before, glyph, after = outline.lanes.cells_text(index, _glyph(row, g), ascii)
    fill = " " * (outline.gutter - outline.lanes.used + 1)
    if not glyph:
        return [(before + fill, "lane")]
    style = "error" if row.item.error else "dot"
    spans = [(before, "lane"), (glyph, style), (after + fill, "lane")]
    return [span for span in spans if span[0]]


def _glyph(row: Row, g: Glyphs) -> str:
    item = row.item
    if item.error:
        return g.failed
    if item.kind == "leaf":
        return g.leaf
    if item.phase == "backward":
        return g.node
    return g.group if row.fold > 1 else g.op


def _state(row: Row, cursor: int | None, g: Glyphs) -> str:
    state = row.state(cursor)
    return {"": " ", "waiting": g.waiting, "running": g.running, "done": g.done}[state]


# -- the label -------------------------------------------------------------------------------


def _label(outline: Outline, row: Row, cursor: int | None, g: Glyphs) -> Line:
    item = row.item
    spans: Line = []
    hides = row.count or row.collapsed is False or item.kind not in ("node", "update")
    if row.collapsed is not None and hides:
        spans.append((f"{g.closed if row.collapsed else g.opened} ", "muted"))
    if item.kind == "module":
        spans += _module(outline, row, g)
    else:
        spans += _plain(outline, row, g)
    if gradient := _gradient(outline, row):
        spans.insert(1 + bool(spans[0][1] == "muted"), (f" {g.source} {gradient}", "grad"))
    variable = _variable(outline, row)
    if variable and variable != spans[0][0]:
        at = (
            len(spans)
            if item.kind == "module"
            else min(len(spans), 1 + bool(spans[0][1] == "muted") + _moved(item))
        )
        spans.insert(at, (f" {g.to} {variable}", "leaf"))
    ended = row.end if cursor is None or row.end <= cursor else 0
    if row.item.group and not ended and item.kind != "update":
        spans.append((g.more, "muted"))
    if item.phase == "backward":
        spans += _grads(outline, row, cursor, g)
    if item.is_root or row.last.is_root:
        spans.append((" (loss)" if _scalar(item) else " (root)", "loss"))
    if item.error:
        # Where the rows below say what it was, the mark is enough.
        told = item.failed_inside and row.collapsed is False
        spans.append((f" {g.error}" if told else f" {g.error} {item.error}", "error"))
    return spans


def _moved(item: Item) -> bool:
    """Whether it is a transfer, whose devices come first."""
    return item.kind == "op" and item.name == "to_device"


def _variable(outline: Outline, row: Row) -> str:
    """What the program calls the result of a row of forward, "" if that is not known."""
    if not outline.names or row.item.phase != "forward" or row.collapsed is False or row.fold > 1:
        return ""
    return next((outline.names[t] for t in row.tensors if t in outline.names), "")


def _gradient(outline: Outline, row: Row) -> str:
    """The gradient that an op of forward reads (clipping, an update by hand), which has no row."""
    event = row.item.event
    if not isinstance(event, Op) or row.item.kind != "op" or row.item.phase != "forward":
        return ""
    if any(outline.rows[i].item.kind == "leaf" for i in row.sources):
        return ""
    names = (_tensor_name(outline, t) for t in event.inputs if outline.graph.store.is_grad(t))
    return next(filter(None, names), "")


def _tensor_name(outline: Outline, tensor: int) -> str:
    return outline.graph.store.name_by(lambda t: outline.names.get(t, ""), tensor)


def _name(outline: Outline, item: Item) -> str:
    """An item's name; of a tensor that no op made that of the variable or parameter."""
    if item.kind == "leaf" and item.role == "input" and item.outputs:
        return _tensor_name(outline, item.outputs[0].id) or item.name
    return _local(item) if item.kind == "module" else item.name


def _scalar(item: Item) -> bool:
    return any(m.shape == () for m in item.outputs)


def _module(outline: Outline, row: Row, g: Glyphs) -> Line:
    item = row.item
    name = _local(item)
    if row.fold > 1:
        last = _local(row.last)
        to = f"#{row.last.call}" if last == name else _called(row.last, last)
        name = f"{_called(item, name)} {g.more} {to} ({g.times}{row.fold})"
    else:
        name = _called(item, name)
    spans: Line = [(name, "module")]
    if item.cls:
        spans.append((f" {item.cls}", "muted"))
    event = item.event
    params = list(_params(outline, item))
    if params:
        spans.append((f"  {' '.join(params)}", "param"))
    elif isinstance(event, ModuleBegin) and event.description and row.fold == 1:
        spans.append((f"  {event.description}", "muted"))
    return spans + _count(row)


def _count(row: Row) -> Line:
    """How many ops a collapsed group hides; a module with one is as good as the op."""
    if row.item.phase == "backward" or row.fold > 1 or not row.collapsed:
        return []
    if row.count < 1 + (row.item.kind == "module"):
        return []
    return [(f" ({count_text(row.count)} op{'s' * (row.count > 1)})", "muted")]


def _local(item: Item) -> str:
    """A module's path, relative to the module around it."""
    for group in item.ancestors():
        if group.kind == "module":
            return item.path.removeprefix(group.path + ".") or item.path
    return item.path


def _called(item: Item, name: str) -> str:
    return f"{name} #{item.call}" if item.call > 1 else name


def _params(outline: Outline, item: Item) -> Iterable[str]:
    for tensor, local in item.params.items():
        meta = outline.graph.store.meta(tensor)
        yield f"{_SHORT.get(local, local)}{shape_text(meta.shape) if meta else ''}"


def _plain(outline: Outline, row: Row, g: Glyphs) -> Line:
    item, event = row.item, row.item.event
    spans: Line = [(_name(outline, item), _NAME_STYLE.get(item.kind, ""))]
    if item.kind == "leaf":  # its event may be the op that used it first
        role = {"input": "", "earlier": " of an earlier step"}.get(item.role, f" {item.role}")
        spans += [(role, "muted")] if role else []
    elif item.kind == "backward":
        names = " ".join(i.name for i in item.inputs)
        spans.append((f" from {names}" if names else "", "muted"))
    elif isinstance(event, OptimBegin):
        spans.append((f" step {event.step}", "muted"))
    elif item.kind == "update":
        spans.insert(0, (f"{g.update} ", "update"))
        if isinstance(event, ParamUpdate) and event.state:
            spans.append((f"  {' '.join(event.state)}", "muted"))
    elif item.kind == "mark":
        spans = [(f"{g.rule * 2} {item.name} {g.rule * 2}", "title")]
    else:
        meta: dict[str, str] = getattr(event, "meta", {})
        if meta:
            pairs = arguments(item.name, getattr(event, "inputs", ()), meta)
            texts = [f"{k}={crop(v, 16)}" if k else crop(v, 24) for k, v in pairs]
            spans.append((f" {' '.join(texts)}", "muted"))
        if item.kind == "composite":
            spans += _count(row)
    return spans


def _grads(outline: Outline, row: Row, cursor: int | None, g: Glyphs) -> Line:
    """The leaves that the row's nodes accumulated into."""
    if row.item.kind == "backward" or not row.grads:
        return []
    seen = row.grads
    if cursor is not None:
        seen = seen[: bisect_right([e.seq for e in seen], cursor)] or seen
    # Full names, but for what the module's own header says already.
    module = row.item if row.item.kind == "module" else row.item.parent
    prefix = module.path + "." if module is not None and module.kind == "module" else ""
    if len(seen) > 4:
        return [(f" {g.to} {len(seen)} gradients", "grad")]
    leaves = [e.name or outline.names.get(e.leaf, "leaf") for e in seen]
    names = [f"{leaf.removeprefix(prefix)}.grad" for leaf in leaves]
    return [(f" {g.to} {' '.join(names)}", "grad")]


def _stubs(outline: Outline, index: int, g: Glyphs) -> Line:
    """Labels for edges that have no lane."""
    row = outline.rows[index]
    spans: Line = []
    for arrow, way, others in ((g.source, g.up, row.stubs_in), (g.to, g.down, row.stubs_out)):
        if others:
            other = outline.rows[others[0]]
            name = _name(outline, other.item)
            more = f" +{len(others) - 1}" if len(others) > 1 else ""
            spans.append((f" {arrow} {name} {way}{abs(others[0] - index)}{more}", "lane"))
    return spans


# -- at the right ----------------------------------------------------------------------------


def _right(row: Row, annotations: Mapping[int | str, str], cursor: int | None) -> Line:
    """Annotation and shape, each after a space; cropped in this order."""
    spans: Line = []
    text = annotations.get(row.key)
    if text is None:
        text = next((annotations[t] for t in row.tensors if t in annotations), None)
    if text:
        bad = "nan" in text.lower() or "inf" in text.lower()
        spans += [("  ", ""), (text, "bad" if bad else "value")]
    meta = row.last.shape
    if meta is not None and (row.collapsed is not False):
        shape: Span = (tensor_text(meta.dtype, meta.shape, meta.device), "shape")
        spans += [("  ", ""), shape]
    return spans
