"""What is known of the items of a step beside their structure: values, times, source lines.

Figures are found when they are asked for and remembered, so that a picture that shows ten groups of
a hundred thousand ops costs ten of them.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from framework.trace.events import Op, Source
from framework.trace.protocol import Summary
from viewers.graph.step import Item, StepGraph
from viewers.text import short

__all__ = [
    "Called", "Code", "Facts", "Lookup", "Times", "code_of", "duration", "lookup_of", "norm_text",
    "value_text",
]  # fmt: skip

_PATIENCE = 10.0  # seconds for an answer of the program

#: The figures of a tensor's value as of an event (tensor id, seq), None if it is not kept.
Lookup = Callable[[int, int], Summary | None]

#: The text of a source line (file, line), "" if it is not known.
Code = Callable[[str, int], str]

#: The variable that holds a tensor, "" if that is not known.
Called = Callable[[int], str]


def lookup_of(source: Any) -> Lookup | None:
    """Where the values of a tape are, None for a source that has none.

    A recording (``summary_of``), a recorder that keeps them (``values``), or a session whose
    ``client`` can be asked.
    """
    summary_of: Lookup | None = getattr(source, "summary_of", None)
    get: Any = getattr(getattr(source, "values", None), "get", None)
    client: Any = getattr(source, "client", None)

    def kept(tensor: int, seq: int) -> Summary | None:
        from framework.trace.summary import summarize

        array = get(tensor, seq)
        return None if array is None else summarize(array)

    def asked(tensor: int, seq: int) -> Summary | None:
        found: list[Summary | None] = client.request("summary", tensors=[tensor], seq=seq).result(
            _PATIENCE
        )
        return found[0]

    if summary_of is not None:
        return summary_of
    return kept if get is not None else asked if client is not None else None


def code_of(source: Any) -> Code | None:
    """The source lines that may be shown with a tape: our own, or those that were recorded."""
    if hasattr(source, "ring"):
        return linecache.getline
    texts: dict[str, str] | None = getattr(source, "sources", None)
    if not isinstance(texts, dict):
        return None
    lines = {file: text.splitlines() for file, text in texts.items()}

    def line(file: str, number: int) -> str:
        known = lines.get(file, ())
        return known[number - 1] if 0 < number <= len(known) else ""

    return line


class Facts:
    """Figures of the values of a step.

    Args:
        lookup: where they come from; without it there are none.
        code: the text of a source line.
        called: what the program calls a tensor.
        cells: what the cells of a notebook are called, by their ids.
    """

    def __init__(
        self,
        graph: StepGraph,
        lookup: Lookup | None = None,
        code: Code | None = None,
        called: Called | None = None,
        cells: Mapping[str, str] | None = None,
    ) -> None:
        self.graph = graph
        self._lookup = lookup
        self._code = code
        self._called = called or (lambda tensor: "")
        self._cells = cells or {}
        self._known: dict[tuple[int, int], Summary | None] = {}
        self.asked = self.missing = 0

    def value(self, item: Item) -> Summary | None:
        """Of an item's first output when it was made; in backward of the gradient that came."""
        meta = item.shape
        if meta is None:
            return None
        came = item.phase == "backward" and item.kind in ("node", "module")
        return self.tensor(meta.id, item.begin if came else item.end or item.begin)

    def tensor(self, tensor: int, seq: int) -> Summary | None:
        """Of a tensor as of an event."""
        if self._lookup is None or not tensor:
            return None
        key = (tensor, seq)
        if key not in self._known:
            found = self._known[key] = self._lookup(tensor, seq)
            self.asked += 1
            self.missing += found is None
        return self._known[key]

    def variable(self, item: Item) -> str:
        """The variable that got the result of an item of forward; of a leaf also ``w.grad``."""
        if item.phase != "forward":
            return ""
        name_of = partial(self.graph.store.name_by, self._called)
        find = name_of if item.kind == "leaf" else self._called
        return next(filter(None, (find(meta.id) for meta in item.outputs)), "")

    def leaf_name(self, tensor: int) -> str:
        """The name of a parameter or of a variable, "" if it has none."""
        return self.graph.store.name_by(self._called, tensor)

    def cell_name(self, cell: str) -> str:
        """``cell 3`` for the id of a cell."""
        return self._cells.get(cell, "a cell")

    def place(self, file: str) -> str:
        """The same for the name of a file, which a cell has, too: ``<cell 1f3a>``."""
        inner = file.removeprefix("<cell ").removesuffix(">")
        return file if len(inner) != len(file) - 7 else self.cell_name(inner)

    def line(self, source: Source | None) -> str:
        """The text of the line, without what it is indented by."""
        if self._code is None or source is None or not source.line:
            return ""
        return self._code(source.file, source.line).strip()


# -- figures as text -------------------------------------------------------------------------


def value_text(summary: Summary | None, gradient: bool = False) -> str:
    """The most telling figures in about 25 characters: what is not finite always comes first.

    >>> value_text(Summary(6, 0, 0, 3, -1.0, 2.0, 0.25, 1.5, 3.4))
    '0.25 ± 1.5  50 % zero'
    >>> value_text(Summary(6, 1, 2, 0, -1.0, 2.0, 0.25, 1.5, 3.4)), value_text(None)
    ('1 NaN  2 Inf  0.25 ± 1.5', '')
    >>> value_text(Summary(1, 0, 0, 0, 2.3, 2.3, 2.3, 0.0, 2.3))
    '= 2.3'
    """
    if summary is None or not summary.count:
        return ""
    parts = [f"{n} {name}" for n, name in ((summary.nan, "NaN"), (summary.inf, "Inf")) if n]
    if summary.mean is not None and summary.count == 1:
        parts.append(f"= {short(summary.mean)}")
    elif gradient and summary.norm is not None:
        parts.append(norm_text(summary, "g"))
    elif summary.mean is not None and summary.std is not None:
        parts.append(f"{short(summary.mean)} ± {short(summary.std)}")
    if summary.zeros and summary.count > 1:
        parts.append(f"{round(100 * summary.zeros / summary.count)} % zero")
    return "  ".join(parts)


def norm_text(summary: Summary | None, letter: str) -> str:
    """
    >>> norm_text(Summary(6, 0, 0, 3, -1.0, 2.0, 0.25, 1.5, 3.4), "g"), norm_text(None, "g")
    ('|g| 3.4', '')
    """
    if summary is None or not summary.count:
        return ""
    if summary.nan or summary.inf:
        return "NaN" if summary.nan else "Inf"
    return f"|{letter}| {short(summary.norm)}" if summary.norm is not None else ""


# -- times -----------------------------------------------------------------------------------


class Times:
    """How long the items of a step took, in ns, forward and backward.

    An op's backward time is that of its nodes; a group's is that of what is in it.

    Attributes:
        forward, backward: by the item's index.
    """

    def __init__(self, graph: StepGraph) -> None:
        self.forward = [0] * len(graph.items)
        self.backward = [0] * len(graph.items)
        for item in graph.items:
            taken = duration(graph, item)
            if item.kind != "node":
                self.forward[item.index] = taken
                continue
            self.backward[item.index] += taken
            forward = item.forward
            if forward is not None:
                self.backward[forward.index] += taken
                for group in forward.ancestors():
                    self.backward[group.index] += taken


def duration(graph: StepGraph, item: Item) -> int:
    """ns from an item's begin to its end, without stops; 0 for what has none, or is still open.

    Of an op on a CUDA device what its kernels took there, once that is known.
    """
    event = item.event
    if item.kind == "leaf":  # its event is the one that used it first
        return 0
    if type(event) is Op:
        kernels = graph.store.kernel_time(event.seq)
        return event.duration if kernels < 0 else kernels
    if not item.group or not item.end:
        return 0
    first, last = graph.store.event(item.begin), graph.store.event(item.end)
    return graph.store.took(first, last) if first is not None and last is not None else 0
