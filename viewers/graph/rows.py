"""The terminal drawing of a step: an outline of modules and ops, one row each, with lanes.

Rows are in program order and are only added at the end: what is above stays where it is and keeps
its text, but for state marks, counts in headers, and lanes or labels that later users add. Three
drawings: "forward", "backward" (nodes in the order in which they ran, grouped by the module call
of their forward op) and "both" (forward, each row with its backward state, then the updates).

A row's ``key`` is the same in every step, so that collapse states and selections survive.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from framework.trace.events import Grad, NodeBegin, Op
from viewers.graph import draw
from viewers.graph.lanes import Lanes
from viewers.graph.step import END, GRAD, NEW, Item, StepGraph
from viewers.text import Line

__all__ = ["PHASES", "Outline", "Row", "Target"]

PHASES = ("forward", "backward", "both")

_SHOWN = {
    "forward": {"forward"},
    "backward": {"backward"},
    "both": {"forward", "optimizer"},
}
_FOLDABLE = {"module"}
_NONE: list[Any] = []  # what most rows have none of; shared, so never written to


class Target(NamedTuple):
    """What a breakpoint on a row names; empty fields match anything."""

    op: str = ""
    module: str = ""
    file: str = ""
    line: int = 0
    phase: str = "forward"


class Row:
    """One row."""

    __slots__ = (
        "begins", "collapsed", "count", "depth", "end", "ends", "fold", "fold_key", "grads", "item",
        "last", "sources", "stubs_in", "stubs_out", "wants",
    )  # fmt: skip

    def __init__(self, item: Item, depth: int, collapsed: bool | None) -> None:
        self.item = item
        self.depth = depth
        self.collapsed = collapsed  # None: there is nothing to collapse
        self.end = item.end  # seq of its end as far as the outline knows, 0 while it is open
        self.count = 0  # ops that are hidden in it
        self.fold = 1  # identical siblings that this row stands for
        self.fold_key = ""  # of the fold that it is in, or would be in
        self.last = item  # the last one of them
        self.sources: list[int] = _NONE  # rows that feed it
        self.stubs_in: list[int] = _NONE  # rows that feed it from too far for a lane
        self.stubs_out: list[int] = _NONE
        self.wants = 0  # backward nodes that its ops made
        self.begins: list[int] = _NONE  # begin and end of those that ran
        self.ends: list[int] = _NONE
        self.grads: list[Grad] = _NONE  # of a backward row: what was accumulated in it

    def note(self, what: str, value: object) -> None:
        """Append to one of its lists."""
        known = getattr(self, what)
        if known is _NONE:
            setattr(self, what, [value])
        else:
            known.append(value)

    @property
    def kind(self) -> str:
        """As `Item.kind`, or "fold"."""
        return "fold" if self.fold > 1 else self.item.kind

    @property
    def key(self) -> str:
        return self.fold_key if self.fold > 1 else self.item.key

    @property
    def begin(self) -> int:
        return self.item.begin

    @property
    def tensors(self) -> list[int]:
        """Ids of the tensors that it shows: outputs, or the gradients that came to a node."""
        return [m.id for m in self.last.outputs if m.id]

    @property
    def target(self) -> Target:
        item = self.item
        source = item.source
        place = (source.file, source.line) if source is not None else ("", 0)
        phase = "backward" if item.phase == "backward" else "forward"
        if item.kind == "module":
            return Target("", item.path, *place, phase)
        if item.kind in ("op", "composite", "node"):
            return Target(item.name, item.path, *place, phase)
        return Target("", item.path, *place, phase)

    def state(self, cursor: int | None = None) -> str:
        """Its backward as of an event: "" (none), "waiting", "running" or "done"."""
        if not self.wants and not self.begins:
            return ""
        begun, ended = len(self.begins), len(self.ends)
        if cursor is not None:
            begun = bisect_right(self.begins, cursor)
            ended = bisect_right(self.ends, cursor)
        if not begun:
            return "waiting"
        return "done" if ended >= max(self.wants, begun) else "running"


class Outline:
    """The rows of one step's graph.

    Args:
        graph: from `TraceStore.graph`. A new outline is needed when the store gives another one.
        phase: "forward", "backward" or "both".
        depth: modules nested deeper than this begin collapsed; composite ops and nodes always do.
        collapsed: what the user collapsed (True) or expanded (False), by key; kept by the caller
            from step to step.
        lanes: columns of lanes at most.
        gutter: columns that the lanes have in any case; that of the outline before keeps the text
            from moving.
        limit: what it takes in at first of the graph's log; `update` goes on.
    """

    def __init__(
        self,
        graph: StepGraph,
        phase: str = "forward",
        depth: int = 1,
        collapsed: dict[str, bool] | None = None,
        lanes: int = 6,
        gutter: int = 1,
        limit: int | None = None,
    ) -> None:
        if phase not in PHASES:
            raise ValueError(f"phase must be one of {', '.join(PHASES)}, but got {phase!r}")
        self.graph = graph
        self.phase = phase
        self.depth = depth
        self.collapsed = {} if collapsed is None else collapsed
        self.names: Mapping[int, str] = {}  # what the program calls tensors; set by the caller
        self._most = lanes
        self._gutter = gutter
        self._reset()
        self.update(limit)

    def _reset(self) -> None:
        self.rows: list[Row] = []
        self.lanes = Lanes(self._most)
        self.work = 0  # entries and rows touched so far, for tests of the cost
        self._begins: list[int] = []
        self._row_of: list[int] = []  # item index -> row, -1 for none
        self._edges: set[tuple[int, int]] = set()
        self._read = 0

    @property
    def gutter(self) -> int:
        """Columns of the lanes. It grows when a lane more is needed."""
        return max(self._gutter, self.lanes.used)

    # -- following the graph -----------------------------------------------------------------

    @property
    def behind(self) -> int:
        """Entries of the graph's log that are still to be taken in."""
        return len(self.graph.log) - self._read

    def update(self, limit: int | None = None) -> bool:
        """Take in what the graph has learnt since, or a part of it; True if there was anything."""
        log = self.graph.log
        start = self._read
        end = len(log) if limit is None else min(len(log), start + limit)
        for what, item, payload in log[start:end]:
            if what == NEW:
                self._add(item)
            elif what == END:
                self._end(item)
            elif what == GRAD:
                row = self._row_of[item.index]
                if row >= 0 and self.rows[row].item.phase == "backward":
                    self.rows[row].note("grads", payload)
        self._read = end
        self.work += end - start
        return self._read > start

    def _add(self, item: Item) -> None:
        """A new item: a row of its own, or hidden in that of a collapsed group."""
        self._row_of.append(-1)
        orphan = False
        if item.phase not in _SHOWN[self.phase]:
            forward = item.forward
            if item.kind == "node" and forward is not None and self._row_of[forward.index] >= 0:
                self.rows[self._row_of[forward.index]].note("begins", item.begin)
                return
            parent = item.parent
            inside = parent is not None and self._row_of[parent.index] >= 0
            orphan = self.phase == "both" and (item.kind == "node" or inside)
            if not orphan:
                return
        row = self._place(item, orphan)
        self._row_of[item.index] = row
        for source in item.sources:
            self._edge(source, row)
        if type(item.event) is Op and item.event.node:
            self.rows[row].wants += 1

    def _place(self, item: Item, orphan: bool) -> int:
        """The row of an item; makes it if it is visible."""
        parent = item.parent
        depth = 0
        if parent is not None:
            at = self._row_of[parent.index]
            if at < 0 and orphan:  # a node whose forward op is not in this step
                for group in reversed(list(item.ancestors())):
                    if self._row_of[group.index] < 0:
                        self._row_of[group.index] = self._place(group, False)
                at = self._row_of[parent.index]
            if at >= 0:
                row = self.rows[at]
                if row.item is not parent or row.collapsed is not False:
                    row.count += item.kind == "op"
                    return at
                depth = row.depth + 1
        return self._append(item, depth)

    def _append(self, item: Item, depth: int) -> int:
        collapsed = self._is_collapsed(item) if item.group else None
        row = Row(item, depth, collapsed)
        near: Iterator[int] = iter(())
        node = _has_node(row)
        if node:
            makers = item.sources or item.inputs
            near = (r for r in (self._row_of[m.index] for m in makers) if r >= 0)
        index = self.lanes.add(node, near)
        self.rows.append(row)
        self._begins.append(item.begin)
        self.work += 1
        return index

    def _is_collapsed(self, item: Item) -> bool:
        known = self.collapsed.get(item.key)
        if known is not None:
            return known
        if item.kind == "module":
            return item.level >= self.depth
        return item.kind not in ("backward", "optimizer")

    def _edge(self, source: Item, row: int) -> None:
        above = self._row_of[source.index]
        if above < 0 or above >= row or (above, row) in self._edges:
            return
        self._edges.add((above, row))
        self.rows[row].note("sources", above)
        if not self.lanes.edge(above, row):
            self.rows[row].note("stubs_in", above)
            self.rows[above].note("stubs_out", row)

    def _end(self, item: Item) -> None:
        index = self._row_of[item.index]
        if item.kind == "node":
            forward = item.forward
            if forward is not None and index < 0 and self._row_of[forward.index] >= 0:
                self.rows[self._row_of[forward.index]].note("ends", item.end)
        if index < 0:
            return
        for source in item.sources:
            self._edge(source, index)
        row = self.rows[index]
        if row.item is item:
            row.end = item.end
            if item.kind in _FOLDABLE and row.collapsed and index == len(self.rows) - 1:
                self._fold(index)

    # -- folding repeated blocks -------------------------------------------------------------

    def _fold(self, index: int) -> None:
        """Fold the last row into the one above, if it is the third or a later equal sibling."""
        row = self.rows[index]
        if index < 1 or not self._twins(self.rows[index - 1], row):
            return
        above = self.rows[index - 1]
        first = above.fold < 2
        if first and not (index > 1 and self._twins(self.rows[index - 2], above)):
            row.fold_key = above.fold_key or f"{row.item.key}:fold"
            return
        if first and not above.fold_key:
            above.fold_key = f"{above.item.key}:fold"
        row.fold_key = above.fold_key
        if self.collapsed.get(above.fold_key) is False:
            return
        self._merge(index, above)

    @staticmethod
    def _twins(a: Row, b: Row) -> bool:
        x, y = a.last, b.item
        return (
            bool(a.collapsed)
            and x.kind == y.kind
            and x.parent is y.parent
            and x.signature == y.signature
            and not (x.error or y.error)
        )

    def _merge(self, index: int, above: Row) -> None:
        row = self.rows.pop()
        self._begins.pop()
        self.lanes.drop_last()
        for source in row.sources:
            self._edges.discard((source, index))
        for source in row.stubs_in:
            self.rows[source].stubs_out.remove(index)
        for i in range(row.item.index, len(self._row_of)):
            if self._row_of[i] == index:
                self._row_of[i] = index - 1
        above.fold += row.fold
        above.last = row.last
        above.end = row.end
        above.count += row.count
        above.wants += row.wants
        for what in ("begins", "ends", "grads"):
            for value in getattr(row, what):
                above.note(what, value)
        for source in row.sources:
            self._edge(self.rows[source].last, index - 1)

    # -- collapsing --------------------------------------------------------------------------

    # With ``now=False`` only the choice is noted, for a large graph: `again` draws it in pieces.

    def toggle(self, index: int, now: bool = True) -> bool:
        """Expand or collapse a row, or unfold a fold; False if it is neither."""
        row = self.rows[index]
        if row.fold > 1:
            self.collapsed[row.fold_key] = False
        elif row.collapsed is not None:
            self.collapsed[row.item.key] = not row.collapsed
        else:
            return False
        if now:
            self.rebuild()
        return True

    def refold(self, index: int, now: bool = True) -> bool:
        """Fold the repeated blocks that this row is one of, again; False if it is none."""
        if self.collapsed.get(self.rows[index].fold_key) is not False:
            return False
        del self.collapsed[self.rows[index].fold_key]
        if now:
            self.rebuild()
        return True

    def show(self, depth: int, now: bool = True) -> None:
        """Expand modules down to this depth, collapse the others; forgets single choices."""
        self.depth = depth
        self.collapsed.clear()
        if now:
            self.rebuild()

    def parent_of(self, index: int) -> int | None:
        """The row of the group around a row."""
        depth = self.rows[index].depth
        return next((i for i in range(index - 1, -1, -1) if self.rows[i].depth < depth), None)

    def reveal(self, item: Item) -> int:
        """Expand whatever hides an item; returns its row, -1 if this drawing does not have it."""
        hidden = [i for i in item.ancestors() if i.group]
        if any(self.collapsed.get(i.key, True) for i in hidden):
            for group in hidden:
                self.collapsed[group.key] = False
            self.rebuild()
        row = self._row(item)
        if row >= 0 and self.rows[row].fold > 1:
            self.collapsed[self.rows[row].fold_key] = False
            self.rebuild()
        return self._row(item)

    def rebuild(self) -> None:
        """Make all rows anew."""
        self._gutter = self.gutter if self.rows else self._gutter
        self._reset()
        self.update()

    def again(self, limit: int | None = None) -> Outline:
        """Another outline of the same graph, with what has been opened and closed since."""
        made = Outline(
            self.graph, self.phase, self.depth, self.collapsed, self._most, self.gutter, limit
        )
        made.names = self.names
        return made

    # -- finding -----------------------------------------------------------------------------

    def index_of(self, seq: int) -> int | None:
        """The row of an event: its own, that of the group that hides it, or the one before it.

        In "forward" and "both" an event of a backward node is at the row of its forward op.
        """
        item = self._item_of(seq)
        if item is not None:
            row = self._row(item)
            if row < 0 and item.forward is not None:
                row = self._row(item.forward)
            if row >= 0:
                return row
        row = bisect_right(self._begins, seq) - 1
        return row if row >= 0 else None

    def _row(self, item: Item) -> int:
        """The row of an item, -1 for none; those still to be taken in have none yet."""
        return self._row_of[item.index] if item.index < len(self._row_of) else -1

    def _item_of(self, seq: int) -> Item | None:
        store = self.graph.store
        event = store.event(seq)
        item = self.graph.item_at(getattr(event, "begin", 0) or seq)
        if item is not None and self._row(item) >= 0:
            return item
        if self.phase == "backward":
            return item
        container = store.around(seq)
        while container is not None:
            if type(container.event) is NodeBegin:
                return self.graph.item_at(container.seq)
            container = container.outer
        return item

    def find(self, pattern: str) -> list[int]:
        """Rows that hold a text, or match a ``/regular expression/``; also what they hide.

        Raises ValueError, in one line, for an expression that is none.
        """
        if len(pattern) > 2 and pattern[0] == pattern[-1] == "/":
            try:
                match = re.compile(pattern[1:-1], re.IGNORECASE | re.MULTILINE).search
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from None
        else:
            match = re.compile(re.escape(pattern), re.IGNORECASE).search
        if not pattern:
            return []
        found = set()
        known: dict[str, bool] = {}  # most items have the same few names
        for item in self.graph.items[: len(self._row_of)]:
            row = self._row_of[item.index]
            if row < 0 or row in found:
                continue
            for text in _texts_of(item, self.names):
                hit = known.get(text)
                if hit is None:
                    hit = known[text] = match(text) is not None
                if hit:
                    found.add(row)
                    break
        return sorted(found)

    # -- drawing -----------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.rows)

    def line(
        self,
        index: int,
        width: int,
        cursor: int | None = None,
        head: int | None = None,
        annotations: Mapping[int | str, str] | None = None,
        breakpoints: Collection[str] = (),
        ascii: bool = False,
    ) -> Line:
        """One row in at most ``width`` columns.

        Args:
            cursor: the event that is looked at; later rows are in the style "future".
            head: the event where the model is.
            annotations: a short text by tensor id or by row key, drawn left of the shape.
            breakpoints: keys of the rows that have one.
        """
        return draw.line(self, index, width, cursor, head, annotations or {}, breakpoints, ascii)


def _has_node(row: Row) -> bool:
    """Whether data flows through the row itself rather than through rows below it."""
    kind = row.item.kind
    if kind in ("op", "leaf"):
        return True
    return kind in ("module", "composite", "node") and bool(row.collapsed)


def _texts_of(item: Item, names: Mapping[int, str]) -> list[str]:
    parts = [item.name]
    parts += [text for text in (item.path, item.cls, item.error) if text]
    parts += [names[m.id] for m in item.outputs if m.id in names]
    parts += [g.name for g in item.grads]
    parts += item.params.values() if item.kind == "module" else ()
    return parts
