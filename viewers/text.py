"""What every text viewer shares: styled spans, cell widths, short numbers, bars.

A viewer returns lines of ``(text, token)``; what a token looks like is the theme's business. Texts
of a trace (names, messages) are passed through unchanged: whoever shows them sanitises them.

>>> line = pad_line([("relu", "op"), (" ", ""), ("f32[64,128]", "shape")], 20)
>>> plain(line)
'relu f32[64,128]    '
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from framework.trace.events import BackwardBegin
from framework.trace.parameters import parameter_names

if TYPE_CHECKING:
    from framework.trace.events import Source
    from viewers.graph.step import Item, StepGraph
    from viewers.graph.store import TraceStore

__all__ = [
    "STYLES",
    "Line",
    "Span",
    "arguments",
    "bar",
    "bytes_of",
    "count_text",
    "crop",
    "crop_line",
    "dtype_name",
    "feeds",
    "find_item",
    "lineage",
    "pad",
    "pad_line",
    "place_text",
    "plain",
    "shape_text",
    "short",
    "size_text",
    "sparkline",
    "tensor_text",
    "uses",
    "width_of",
]

Span = tuple[str, str]
Line = list[Span]

#: Style tokens and what they stand for. A span's token may be several of them with spaces between.
STYLES = {
    "": "ordinary text",
    "title": "a heading: a mark, a pane's title",
    "muted": "less important: descriptions, counts, arguments",
    "faint": "least important: fillers, rules",
    "module": "a module's name or path",
    "op": "a primitive op's name",
    "composite": "a composite op's name",
    "leaf": "a tensor that no op made",
    "param": "a parameter's name and shape",
    "shape": "dtype and shape of a tensor",
    "lane": "data flow: lanes and corners",
    "dot": "the node of a row on its lane",
    "forward": "of the forward phase",
    "backward": "of the backward phase",
    "optimizer": "of the optimizer's step",
    "grad": "a gradient or its name",
    "update": "a parameter's update",
    "loss": "what backward started from",
    "value": "a number of a tensor: a statistic, an element",
    "nan": "NaN",
    "inf": "an infinity",
    "bad": "anything that needs attention: non-finite values",
    "error": "an exception and what it went through",
    "future": "happens after the cursor",
    "cursor": "the moment that is looked at",
    "head": "where the model is",
    "breakpoint": "stops here",
    "match": "found by a search",
    "bar": "a filled part of a bar, a sparkline",
    "note": "said by the viewer, not by the trace",
}

_DTYPES = {
    "float64": "f64", "float32": "f32", "float16": "f16", "bfloat16": "bf16",
    "int64": "i64", "int32": "i32", "int16": "i16", "int8": "i8",
    "uint64": "u64", "uint32": "u32", "uint16": "u16", "uint8": "u8",
    "complex128": "c128", "complex64": "c64", "bool": "bool",
    "float8_e4m3fn": "f8e4m3", "float8_e5m2": "f8e5m2",
}  # fmt: skip


# -- cells -----------------------------------------------------------------------------------


def _cells(char: str) -> int:
    """Columns that one character takes on a terminal."""
    if unicodedata.east_asian_width(char) in "WF":
        return 2
    return 0 if unicodedata.category(char) in ("Mn", "Me", "Cf") else 1


def width_of(text: str | Iterable[Span]) -> int:
    """Columns of a text or a line.

    >>> width_of("日本"), width_of([("ab", ""), ("c", "op")])
    (4, 3)
    """
    if not isinstance(text, str):
        return sum(width_of(part) for part, _ in text)
    return len(text) if text.isascii() else sum(map(_cells, text))


def crop(text: str, width: int, more: str = "…") -> str:
    """``text`` in at most ``width`` columns; ``more`` ends it where something was cut off.

    >>> crop("cross_entropy", 8)
    'cross_e…'
    """
    if width_of(text) <= width:
        return text
    room = width - width_of(more)
    if room < 0:
        return ""
    if text.isascii():
        return text[:room] + more
    used = 0
    for i, char in enumerate(text):
        used += _cells(char)
        if used > room:
            return text[:i] + more
    return text


def pad(text: str, width: int, align: str = "left") -> str:
    """``text`` in exactly ``width`` columns, "left" or "right" aligned.

    >>> pad("7", 3, "right"), pad("abcd", 3)
    ('  7', 'ab…')
    """
    text = crop(text, width)
    fill = " " * (width - width_of(text))
    return fill + text if align == "right" else text + fill


def plain(line: Iterable[Span]) -> str:
    """A line without its styles."""
    return "".join(text for text, _ in line)


def crop_line(line: Line, width: int, more: str = "…") -> Line:
    """A line in at most ``width`` columns."""
    if width_of(line) <= width:
        return line
    result: Line = []
    room = width - width_of(more)
    for text, style in line:
        size = width_of(text)
        if size <= room:
            result.append((text, style))
            room -= size
            continue
        cut = crop(text, room, "")
        if cut:
            result.append((cut, style))
        break
    if width >= width_of(more):
        result.append((more, "faint"))
    return result


def pad_line(line: Line, width: int) -> Line:
    """A line in exactly ``width`` columns."""
    line = crop_line(line, width)
    fill = width - width_of(line)
    return [*line, (" " * fill, "")] if fill else line


# -- numbers and shapes ----------------------------------------------------------------------


def arguments(op: str, inputs: Sequence[int], meta: Mapping[str, str]) -> list[tuple[str, str]]:
    """An op's arguments that are no tensors, by name; those without one together, in their places.

    >>> arguments("mul", (7, 0), {"arg1": "9"}), arguments("sub", (0, 7), {"arg0": "1"})
    ([('', '9')], [('', '1, ·')])
    >>> arguments("clamp", (7, 0, 0), {"arg1": "0", "arg2": "9"})
    [('low', '0'), ('high', '9')]
    >>> arguments("to_device", (7,), {"target": "cuda:0", "source": "cpu"})
    [('', 'cpu→cuda:0')]
    >>> arguments("index", (7, 8), {"layout": "(:, <_Array>, None)"})
    [('', '[:, ·, None]')]
    """
    if op.removeprefix("copy_").startswith("to_device") and {"source", "target"} <= set(meta):
        return [("", f"{meta['source']}→{meta['target']}")]
    places = [meta.get(f"arg{i}", "·") for i in range(len(inputs))]
    names = [name.lstrip("*") for name in parameter_names(op)]
    called: list[tuple[str, str]] = []
    for i, name in enumerate(names[: len(places)]):
        if len(name) > 1 and name not in _OPERANDS and places[i] not in ("·", "None"):
            called.append((name, places[i]))
            places[i] = "None"
    places = [place for place in places if place != "None"]  # it was left out
    scalars = [value for value in places if value != "·"]
    if places[len(places) - len(scalars) :] == scalars:  # tensors first: those are in sight
        places = scalars
    named = [
        ("", _index(value)) if key == "layout" and _INDEX in value else (key, value)
        for key, value in meta.items()
        if not _PLACE.fullmatch(key)
    ]
    return [*([("", ", ".join(places))] if places else []), *called, *named]


_OPERANDS = frozenset(("input", "other", "self", "x1", "x2"))  # names that say nothing
_PLACE = re.compile(r"arg\d+")
_INDEX = "<_Array>"  # the place of a tensor in an index


def _index(layout: str) -> str:
    """An index as it is written, with a dot for each tensor in it."""
    parts = layout.strip().removeprefix("(").removesuffix(")").rstrip(",")
    return f"[{parts.replace(_INDEX, '·')}]"


def short(value: float, digits: int = 3) -> str:
    """A number in few characters; never one that reads as exact when it is not finite.

    >>> [short(v) for v in (0, 2.31, 1.234e-5, 123456.0, -0.5, 17, float("nan"), float("-inf"))]
    ['0', '2.31', '1.23e-5', '1.23e5', '-0.5', '17', 'NaN', '-Inf']
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    if isinstance(value, int) and abs(value) < 100_000:
        return str(value)
    size = abs(value)
    if size and not 1e-3 <= size < 1e5:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        if "." in mantissa:
            mantissa = mantissa.rstrip("0").rstrip(".")
        return f"{mantissa}e{int(exponent)}"
    if size >= 10**digits:
        return f"{value:.0f}"
    return f"{value:.{digits}g}"


def size_text(count: float) -> str:
    """Bytes as a person reads them; 1 kB is 1024 bytes.

    >>> [size_text(n) for n in (0, 900, 32768, 5_500_000, 3 << 30)]
    ['0 B', '900 B', '32 kB', '5.2 MB', '3 GB']
    """
    units = ["B", "kB", "MB", "GB", "TB"]
    while abs(count) >= 1000 and len(units) > 1:
        count /= 1024
        del units[0]
    text = f"{count:.1f}" if abs(count) < 10 else f"{count:.0f}"
    return f"{text.removesuffix('.0')} {units[0]}"


def count_text(count: int) -> str:
    """A count in few characters.

    >>> [count_text(n) for n in (7, 1234, 101_770, 25_557_032)]
    ['7', '1234', '102k', '25.6M']
    """
    if count < 10_000:
        return str(count)
    for limit, unit in ((1e6, "k"), (1e9, "M"), (1e12, "G")):
        if count < limit * 0.9995:
            return f"{count / (limit / 1000):.3g}{unit}"
    return short(float(count))


def dtype_name(dtype: str) -> str:
    """The short name of a dtype; one that is not known stays as it is.

    >>> dtype_name("float32"), dtype_name("int4")
    ('f32', 'int4')
    """
    return _DTYPES.get(dtype, dtype)


def shape_text(shape: Sequence[int]) -> str:
    """
    >>> shape_text((64, 128)), shape_text(())
    ('[64,128]', '[]')
    """
    return "[" + ",".join(map(str, shape)) + "]"


def tensor_text(dtype: str, shape: Sequence[int], device: str = "") -> str:
    """A tensor's type and shape, and where it is unless that is the CPU: ``@0`` is cuda:0.

    >>> tensor_text("float32", (64, 128)), tensor_text("float32", (64, 128), "cuda:1")
    ('f32[64,128]', 'f32[64,128]@1')
    """
    where = "" if device in ("", "cpu") else "@" + device.removeprefix("cuda:")
    return dtype_name(dtype) + shape_text(shape) + where


_BYTES = {"128": 16, "64": 8, "32": 4, "16": 2}


def bytes_of(dtype: str, shape: Sequence[int]) -> int:
    """Bytes of a tensor's elements.

    >>> bytes_of("float32", (64, 128)), bytes_of("complex128", ()), bytes_of("bool", (3,))
    (32768, 16, 3)
    """
    size = next((size for bits, size in _BYTES.items() if dtype.endswith(bits)), 1)
    return size * math.prod(shape)


# -- bars ------------------------------------------------------------------------------------

_SPARKS = "▁▂▃▄▅▆▇█"
_SPARKS_ASCII = "_.-:=+*#"
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def sparkline(values: Sequence[float | None], width: int, ascii: bool = False) -> str:
    """The last ``width`` values' course when they fit, else means of equal pieces.

    A value that is not finite shows as ``!``; a piece of which any is not, too. None is a gap.

    >>> sparkline([1, 2, 3, float("nan"), 8], 8)
    '▁▂▃!█'
    """
    count = len(values)
    if not count or width < 1:
        return ""
    if count > width:
        cuts = [i * count // width for i in range(width + 1)]
        pieces = [[v for v in values[a:b] if v is not None] for a, b in pairwise(cuts)]
        values = [sum(piece) / len(piece) if piece else None for piece in pieces]
    finite = [v for v in values if v is not None and math.isfinite(v)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    scale = 7.999 / (high - low) if high > low and math.isfinite(high - low) else 0.0
    sparks = _SPARKS_ASCII if ascii else _SPARKS

    def drawn(v: float | None) -> str:
        if v is None:
            return " "
        return sparks[int((v - low) * scale)] if math.isfinite(v) else "!"

    return "".join(map(drawn, values))


def bar(fraction: float, width: int, ascii: bool = False) -> str:
    """A bar of ``width`` columns, ``fraction`` of it filled.

    >>> bar(0.5, 5), bar(0.5, 4, ascii=True)
    ('██▌  ', '##..')
    """
    fraction = min(max(fraction, 0.0), 1.0) if math.isfinite(fraction) else 0.0
    if ascii:
        full = round(fraction * width)
        return "#" * full + "." * (width - full)
    full, rest = divmod(round(fraction * width * 8), 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(width)


# -- what feeds an op, and what uses it ------------------------------------------------------

_LEVELS = 12  # that are shown by indenting; a deeper one says how deep it is
_NAMES = 30  # columns of lanes and name beside which shapes are put below each other


def place_text(source: Source) -> str:
    """Where a line of the user's code stands, in few characters: ``model.py:17``."""
    return f"{source.file.rpartition('/')[2]}:{source.line}" if source.file else ""


def feeds(
    store: TraceStore, op: int | str, depth: int | None = None, most: int = 500
) -> list[Line]:
    """What an op's inputs were made by, what those were made by, and so on: a tree as lines.

    What stands in the tree already is named again, without what is under it. A backward node is fed
    by the nodes that its gradient came from, and by its forward op.

    Args:
        op: an event's number, or what `find_item` takes.
        depth: how many ops away, None for any; ``most`` lines at most.

    Raises:
        ValueError: there is no such op; one line says so.

    >>> import framework as torch
    >>> from framework.trace import recording
    >>> from viewers.graph.store import TraceStore
    >>> with recording() as tape:
    ...     x = torch.ones(2)
    ...     y = x.exp() + x
    >>> store = TraceStore()
    >>> store.feed(tape.read())
    >>> [plain(line).partition("  ")[0] for line in feeds(store, "add")]
    ['add', '├ exp', '│ └ ones', '└ ones']
    """
    return [line for line, _ in lineage(store, op, False, depth, most)]


def uses(store: TraceStore, op: int | str, depth: int | None = None, most: int = 500) -> list[Line]:
    """What used an op's outputs, forward and backward, and so on: as `feeds`, the other way.

    >>> import framework as torch
    >>> from framework.trace import recording
    >>> from viewers.graph.store import TraceStore
    >>> with recording() as tape:
    ...     x = torch.ones(2)
    ...     y = x.exp().sum()
    >>> store = TraceStore()
    >>> store.feed(tape.read())
    >>> [plain(line).partition("  ")[0] for line in uses(store, "ones", depth=1)]
    ['ones', '└ exp']
    """
    return [line for line, _ in lineage(store, op, True, depth, most)]


def _start(
    store: TraceStore, op: int | str, number: int | None = None, used: bool = False
) -> tuple[Item | int, StepGraph]:
    """What a text names, a parameter too, and the step that it is looked at in.

    What was made in an earlier step is looked at in the step of that ``number``, if it is ``used``.
    """
    try:
        item = find_item(store, op, number)
    except ValueError:
        path, _, local = str(op).rpartition(".")
        tensor = next((t for t, name in store.parameters(path).items() if name == local), 0)
        for step in reversed(store.steps) if tensor else ():
            graph = store.graph(step)
            if number in (None, step.number) and graph.consumers(tensor):
                return tensor, graph
        full = store.naming.spelled(str(op))
        if full in ("", op):
            raise
        return _start(store, full, number, used)
    step_of = store.step_at(item.begin)
    assert step_of is not None
    later = store.step_numbered(number) if used and number is not None else None
    if later is not None and later.number != step_of.number:
        graph = store.graph(later)
        for meta in getattr(store.event(item.begin), "outputs", ()):
            if graph.consumers(meta.id):
                return int(meta.id), graph
    return item, store.graph(step_of)


def find_item(store: TraceStore, op: int | str, step: int | None = None) -> Item:
    """The op, group or leaf that a text or an event's number names: the last one of that name.

    ``step`` is the number of the training step that it must be in.

    ``relu`` (an op), ``relu#2`` (the second one in its group), ``model.1`` (a module),
    ``model.1/relu#2``, ``model.0.weight`` (a leaf), ``relu backward`` (a node).
    """
    if isinstance(op, int) or op.isdigit():
        seq = int(op)
        at = store.step_at(seq)
        found = store.graph(at).item_at(seq) if at is not None else None
        if found is None:
            raise ValueError(f"event {seq} is no op of this trace")
        return found
    backward = op.endswith(" backward")
    name = op.removesuffix(" backward")
    for where in reversed(store.steps):
        if step is not None and where.number != step:
            continue
        for item in reversed(store.graph(where).items):
            of_backward = item.kind == "module" and item.phase != "forward"
            if (item.kind == "node") != backward or item.kind == "update" or of_backward:
                continue
            own = f"{item.name}#{item.occurrence}"
            if name in (item.name, own, f"{item.path}/{item.name}", f"{item.path}/{own}", item.key):
                return item
    of = "this trace" if step is None else f"step {step}"
    raise ValueError(f"no op, module or leaf of {of} is called {op!r}")


def lineage(
    store: TraceStore,
    op: int | str,
    used: bool,
    depth: int | None = None,
    most: int = 500,
    place: Callable[[Source], str] = place_text,
    called: Callable[[int], str] | None = None,
    step: int | None = None,
) -> list[tuple[Line, int]]:
    """The lines of `uses` or `feeds`, and with each the number of its event, 0 for none.

    ``place`` is how source lines are called, ``called`` what the program calls a tensor; with
    ``step`` the op is looked for in the training step of that number.
    """
    first, graph = _start(store, op, step, used)
    into = {} if used else _accumulating(graph)
    lines: list[tuple[_Parts, int]] = []
    known: set[int] = set()
    todo: list[tuple[Item | int, int, str, bool]] = [(first, 0, "", True)]
    while todo:
        thing, level, prefix, last = todo.pop()
        if len(lines) >= most:
            more: Line = [(f"… and more: only {most} lines are shown", "note")]
            lines.append((_Parts(more, "", []), 0))
            break
        lane = prefix + ("" if not level else "└ " if last else "├ ")
        if isinstance(thing, int):  # a tensor that no item made: a parameter, or of an earlier step
            lines.append((_leaf_parts(store, thing, place, lane, called), 0))
            if not level and used:
                users = graph.consumers(thing)
                todo += [(u, 1, "", u == users[-1]) for u in reversed(users)]
            continue
        again = thing.index in known
        lines.append((_item_parts(thing, again, place, lane, called), thing.begin))
        if again or (depth is not None and level >= depth):
            continue
        known.add(thing.index)
        near = _using(graph, thing) if used else _feeding(graph, thing, into)
        following = list(dict.fromkeys(near))
        if level < _LEVELS:
            inner = prefix + ("" if not level else "  " if last else "│ ")
        else:
            inner = f"({level}) "
        todo += [
            (other, level + 1, inner, i == len(following) - 1)
            for i, other in reversed(list(enumerate(following)))
        ]
    return list(zip(_in_columns([parts for parts, _ in lines]), (seq for _, seq in lines)))


class _Parts(NamedTuple):
    """A line of a tree: the lanes with a name, its shape, and what else there is to say."""

    head: Line
    shape: str
    rest: Line


def _in_columns(rows: list[_Parts]) -> Iterator[Line]:
    """Shapes below each other, and what follows them; a name that is long sticks out."""
    heads = [width_of(row.head) for row in rows]
    first = max((size for size in heads if size <= _NAMES), default=0)
    second = max((width_of(row.shape) for row in rows), default=0)
    for row, size in zip(rows, heads):
        line: Line = [*row.head]
        if row.shape or row.rest:
            line += [(" " * (max(0, first - size) + 2), ""), (row.shape, "shape")]
        if row.rest:
            line += [(" " * (second - width_of(row.shape) + 2), ""), *row.rest]
        yield line


def _accumulating(graph: StepGraph) -> dict[int, list[Item]]:
    """The backward nodes that put something into a leaf's gradient, by leaf."""
    found: dict[int, list[Item]] = {}
    for node in dict.fromkeys(graph.columns.grad_of):
        item = graph.items[node]
        for grad in item.grads:
            found.setdefault(grad.leaf, []).append(item)
    return found


def _feeding(graph: StepGraph, item: Item, into: Mapping[int, list[Item]]) -> Iterator[Item | int]:
    event: Any = item.event
    if item.kind == "optimizer":
        yield from _updates(graph, item)
        return
    if item.kind == "backward":
        yield from item.inputs
        return
    if item.kind == "update":
        yield from into.get(event.tensor.id, ())
        yield event.tensor.id
        return
    if item.kind == "node":
        yield from item.sources
        if item.forward is not None:
            yield item.forward
        return
    if item.kind == "leaf":  # its event is the one that used it first
        return
    for tensor in getattr(event, "inputs", ()):
        if not tensor:
            continue
        made = graph.producer(tensor, item.begin - 1)
        if made is None:
            yield tensor
        elif made != item:
            yield made
    if item.kind == "module":
        yield from item.params


def _updates(graph: StepGraph, item: Item) -> Iterator[Item]:
    """The updates of an optimizer's step that are over."""
    for other in graph.items[item.index + 1 :]:
        if other.kind == "update" and other.parent == item and hasattr(other.event, "grad"):
            yield other


def _using(graph: StepGraph, item: Item) -> Iterator[Item | int]:
    event: Any = item.event
    if item.kind == "optimizer":
        yield from _updates(graph, item)
        return
    if item.kind == "backward":
        for other in graph.items[item.index + 1 :]:
            if other.kind == "node" and other.grads and item in other.ancestors():
                yield other
        return
    if item.kind == "update":
        yield event.tensor.id
        return
    if item.kind == "node":
        yield from item.targets
        for grad in item.grads:
            yield grad.leaf
        return
    here = item.begin, item.index  # a leaf begins with what uses it first
    for meta in item.outputs:
        for user in graph.consumers(meta.id):
            if (user.begin, user.index) > here:
                yield user
    yield from item.nodes


def _item_parts(
    item: Item, again: bool, place: Callable[[Source], str], lane: str,
    called: Callable[[int], str] | None,
) -> _Parts:  # fmt: skip
    name = f"{item.name} backward" if item.kind == "node" else item.name
    name = f"update of {name}" if item.kind == "update" else name
    style = "module" if item.kind == "module" else "leaf" if item.kind == "leaf" else "op"
    head: Line = [(lane, "lane"), (name, "backward" if item.phase == "backward" else style)]
    meta = item.shape
    made = called(meta.id) if called is not None and meta is not None else ""
    if made and item.kind in ("op", "composite", "leaf"):
        head.append((f" → {made}", "name"))
    details = [item.path if item.path != item.name else "", item.cls]
    if item.kind == "leaf":
        details = ["of an earlier step" if item.role == "earlier" else item.role]
    elif item.source is not None:
        details.append(place(item.source))
    told = "  ".join(filter(None, details))
    rest: Line = [(f"{told}  ", "muted")] if told else []
    rest.append((f"#{item.begin}", "faint"))
    if again:
        rest.append(("  (above)", "note"))
    shape = tensor_text(meta.dtype, meta.shape, meta.device) if meta is not None else ""
    return _Parts(head, shape, rest)


def _leaf_parts(
    store: TraceStore, tensor: int, place: Callable[[Source], str], lane: str,
    called: Callable[[int], str] | None = None,
) -> _Parts:  # fmt: skip
    leaf, meta = store.leaf(tensor), store.meta(tensor)
    name = store.name(tensor) or (called(tensor) if called is not None else "")
    name = name or f"tensor {tensor}"
    role = leaf.role if leaf is not None else "of an earlier step"
    before = store.event(leaf.seq - 1) if leaf is not None and not store.name(tensor) else None
    if isinstance(before, BackwardBegin):
        name, role = "the first gradient", f"of backward at {place(before.source)}"
    head: Line = [(lane, "lane"), (name, "param" if leaf is not None else "leaf")]
    shape = tensor_text(meta.dtype, meta.shape, meta.device) if meta is not None else ""
    return _Parts(head, shape, [(role, "muted")])
