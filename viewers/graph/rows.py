"""The terminal drawing of a step: an outline of modules and ops, one row each, with lanes.

Rows are in program order and are only added at the end: what is above stays where it is and keeps
its text, but for state marks, counts in headers, and lanes or labels that later users add. Three
drawings: "forward", "backward" (nodes in the order in which they ran, grouped by the module call
of their forward op) and "both" (forward, each row with its backward state, then the updates).

A row's ``key`` is the same in every step, so that collapse states and selections survive.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, overload

import numpy as np

from framework.trace.events import Grad, NodeBegin
from viewers.graph import draw
from viewers.graph.columns import Few
from viewers.graph.items import (
    BACKWARD,
    COMPOSITE,
    HAS_NODE,
    LEAF,
    MODULE,
    NODE,
    OP,
    OPTIMIZER,
    Item,
)
from viewers.graph.lanes import Lanes
from viewers.graph.step import BACK, END, FORWARD, GRAD, NEW, UPDATING, StepGraph
from viewers.text import Line

__all__ = ["PHASES", "Outline", "Row", "Target"]

PHASES = ("forward", "backward", "both")

_SHOWN = {"forward": (FORWARD,), "backward": (BACK,), "both": (FORWARD, UPDATING)}


class Target(NamedTuple):
    """What a breakpoint on a row names; empty fields match anything."""

    op: str = ""
    module: str = ""
    file: str = ""
    line: int = 0
    phase: str = "forward"


_PLAIN, _OPENED, _CLOSED = range(3)  # nothing to collapse, or whether it is
_NODES = (OP, LEAF)  # rows of these always have a node in the lanes; of those if they are closed:
_NODES_IF_CLOSED = (MODULE, COMPOSITE, NODE)


class _Columns:
    """What is known of each row, by its index."""

    def __init__(self, graph: StepGraph) -> None:
        self.items = graph.columns
        self.item = array("i")
        self.last = array("i")  # the last one of those that it stands for
        self.depth = array("i")
        self.closed = bytearray()
        self.end = array("q")
        self.begin = array("q")
        self.count = array("i")
        self.fold = array("i")
        self.wants = array("i")
        self.sources, self.stubs_in, self.stubs_out = Few(), Few(), Few()
        self.begins, self.ends, self.grads = Few("q"), Few("q"), Few("q")
        self.fold_keys: dict[int, str] = {}
        self._lists = (
            self.sources, self.stubs_in, self.stubs_out, self.begins, self.ends, self.grads,
        )  # fmt: skip
        self._firsts = tuple([few.first for few in self._lists])

    def __len__(self) -> int:
        return len(self.item)

    def add(self, item: int, depth: int, closed: int) -> None:
        self.item.append(item)
        self.last.append(item)
        self.depth.append(depth)
        self.closed.append(closed)
        self.end.append(self.items.end[item])
        self.begin.append(self.items.begin[item])
        self.count.append(0)
        self.fold.append(1)
        self.wants.append(0)
        for first in self._firsts:
            first.append(-1)

    def pop(self) -> None:
        for column in (
            self.item, self.last, self.depth, self.closed, self.end, self.begin, self.count,
            self.fold, self.wants,
        ):  # fmt: skip
            column.pop()
        for few in self._lists:
            few.pop()
        self.fold_keys.pop(len(self), None)


class Row:
    """One row, as it is now."""

    __slots__ = ("_c", "index")

    def __init__(self, columns: _Columns, index: int) -> None:
        self._c = columns
        self.index = index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Row) and self.index == other.index and self._c is other._c

    def __hash__(self) -> int:
        return hash(self.index)

    @property
    def item(self) -> Item:
        return Item(self._c.items, self._c.item[self.index])

    @property
    def last(self) -> Item:
        """The last one of those that it stands for."""
        return Item(self._c.items, self._c.last[self.index])

    @property
    def depth(self) -> int:
        return self._c.depth[self.index]

    @property
    def collapsed(self) -> bool | None:
        """None: there is nothing to collapse."""
        closed = self._c.closed[self.index]
        return None if closed == _PLAIN else closed == _CLOSED

    @property
    def end(self) -> int:
        """The number of its end as far as the outline knows, 0 while it is open."""
        return self._c.end[self.index]

    @property
    def count(self) -> int:
        """Ops that are hidden in it."""
        return self._c.count[self.index]

    @property
    def fold(self) -> int:
        """Identical siblings that this row stands for."""
        return self._c.fold[self.index]

    @property
    def fold_key(self) -> str:
        """Of the fold that it is in, or would be in."""
        return self._c.fold_keys.get(self.index, "")

    @property
    def sources(self) -> list[int]:
        """Rows that feed it."""
        return self._c.sources.of(self.index)

    @property
    def stubs_in(self) -> list[int]:
        """Rows that feed it from too far for a lane."""
        return self._c.stubs_in.of(self.index)

    @property
    def stubs_out(self) -> list[int]:
        return self._c.stubs_out.of(self.index)

    @property
    def wants(self) -> int:
        """Backward nodes that its ops made."""
        return self._c.wants[self.index]

    @property
    def begins(self) -> list[int]:
        """Begins of those that ran."""
        return self._c.begins.of(self.index)

    @property
    def ends(self) -> list[int]:
        """Their ends."""
        return self._c.ends.of(self.index)

    @property
    def grads(self) -> list[Grad]:
        """Of a backward row: what was accumulated in it."""
        found = (self._c.items.store.event(seq) for seq in self._c.grads.of(self.index))
        return [event for event in found if isinstance(event, Grad)]

    @property
    def kind(self) -> str:
        """As `Item.kind`, or "fold"."""
        return "fold" if self.fold > 1 else self.item.kind

    @property
    def key(self) -> str:
        return self.fold_key if self.fold > 1 else self.item.key

    @property
    def begin(self) -> int:
        return self._c.begin[self.index]

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
        begins, ends = self.begins, self.ends
        if not self.wants and not begins:
            return ""
        begun, ended = len(begins), len(ends)
        if cursor is not None:
            begun = bisect_right(begins, cursor)
            ended = bisect_right(ends, cursor)
        if not begun:
            return "waiting"
        return "done" if ended >= max(self.wants, begun) else "running"


class Rows(Sequence[Row]):
    """All rows, from the top."""

    __slots__ = ("_c",)

    def __init__(self, columns: _Columns) -> None:
        self._c = columns

    def __len__(self) -> int:
        return len(self._c)

    @overload
    def __getitem__(self, i: int) -> Row: ...
    @overload
    def __getitem__(self, i: slice) -> list[Row]: ...
    def __getitem__(self, i: int | slice) -> Row | list[Row]:
        found = range(len(self._c))[i]
        if isinstance(found, range):
            return [Row(self._c, j) for j in found]
        return Row(self._c, found)


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
        self._shown = _SHOWN[phase]
        self._reset()
        self.update(limit)

    def _reset(self) -> None:
        self._rows = _Columns(self.graph)
        self.rows = Rows(self._rows)
        self.lanes = Lanes(self._most)
        self.work = 0  # entries and rows touched so far, for tests of the cost
        self._row_of = array("i")  # item index -> row, -1 for none
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
        whats, items = log.what, log.items
        start = self._read
        end = len(log) if limit is None else min(len(log), start + limit)
        rows, phases = self._rows, self.graph.columns.phase
        for i in range(start, end):
            what, item = whats[i], items[i]
            if what == NEW:
                self._add(item)
            elif what == END:
                self._end(item)
            elif what == GRAD:
                row = self._row_of[item]
                if row >= 0 and phases[rows.item[row]] == BACK:
                    rows.grads.add(row, log.grads[i])
        self._read = end
        self.work += end - start
        return self._read > start

    def _add(self, item: int) -> None:
        """A new item: a row of its own, or hidden in that of a collapsed group."""
        row_of, columns = self._row_of, self.graph.columns
        row_of.append(-1)
        orphan = False
        if columns.phase[item] not in self._shown:
            forward = columns.forward[item]
            if forward >= 0 and row_of[forward] >= 0:
                self._rows.begins.add(row_of[forward], columns.begin[item])
                return
            parent = columns.parent[item]
            inside = parent >= 0 and row_of[parent] >= 0
            orphan = self.phase == "both" and (columns.kind[item] == NODE or inside)
            if not orphan:
                return
        row = self._place(item, orphan)
        row_of[item] = row
        for source in columns.sources.of(item):
            self._edge(source, row)
        if columns.flags[item] & HAS_NODE:
            self._rows.wants[row] += 1

    def _place(self, item: int, orphan: bool) -> int:
        """The row of an item; makes it if it is visible."""
        columns, rows, row_of = self.graph.columns, self._rows, self._row_of
        parent = columns.parent[item]
        depth = 0
        if parent >= 0:
            at = row_of[parent]
            if at < 0 and orphan:  # a node whose forward op is not in this step
                for group in reversed(list(columns.ancestors(item))):
                    if row_of[group] < 0:
                        row_of[group] = self._place(group, False)
                at = row_of[parent]
            if at >= 0:
                if rows.item[at] != parent or rows.closed[at] != _OPENED:
                    rows.count[at] += columns.kind[item] == OP
                    return at
                depth = rows.depth[at] + 1
        return self._append(item, depth)

    def _append(self, item: int, depth: int) -> int:
        columns, row_of = self.graph.columns, self._row_of
        kind = columns.kind[item]
        closed = _PLAIN
        if kind >= MODULE:
            closed = _CLOSED if self._is_collapsed(item) else _OPENED
        near: Iterator[int] = iter(())
        node = kind in _NODES or (closed == _CLOSED and kind in _NODES_IF_CLOSED)
        if node:
            makers = columns.sources.of(item) or columns.inputs.of(item)
            near = (r for r in (row_of[m] for m in makers) if r >= 0)
        index = self.lanes.add(node, near)
        self._rows.add(item, depth, closed)
        self.work += 1
        return index

    def _is_collapsed(self, item: int) -> bool:
        columns = self.graph.columns
        if self.collapsed:
            known = self.collapsed.get(columns.key(item))
            if known is not None:
                return known
        kind = columns.kind[item]
        if kind == MODULE:
            return columns.level[item] >= self.depth
        return kind not in (BACKWARD, OPTIMIZER)

    def _edge(self, source: int, row: int) -> None:
        above, rows = self._row_of[source], self._rows
        if above < 0 or above >= row or not rows.sources.add(row, above):
            return
        if not self.lanes.edge(above, row):
            rows.stubs_in.add(row, above)
            rows.stubs_out.add(above, row)

    def _end(self, item: int) -> None:
        row_of, columns, rows = self._row_of, self.graph.columns, self._rows
        index = row_of[item]
        if index < 0:
            forward = columns.forward[item]
            if forward >= 0 and row_of[forward] >= 0:
                rows.ends.add(row_of[forward], columns.end[item])
            return
        for source in columns.sources.of(item):
            self._edge(source, index)
        if rows.item[index] == item:
            rows.end[index] = columns.end[item]
            closed = rows.closed[index] == _CLOSED
            if closed and columns.kind[item] == MODULE and index == len(rows) - 1:
                self._fold(index)

    # -- folding repeated blocks -------------------------------------------------------------

    def _fold(self, index: int) -> None:
        """Fold the last row into the one above, if it is the third or a later equal sibling."""
        if index < 1 or not self._twins(index - 1, index):
            return
        rows, keys = self._rows, self._rows.fold_keys
        above = index - 1
        first = rows.fold[above] < 2
        if first and not (index > 1 and self._twins(index - 2, above)):
            keys[index] = keys.get(above) or f"{self._key(index)}:fold"
            return
        if first and not keys.get(above):
            keys[above] = f"{self._key(above)}:fold"
        keys[index] = keys[above]
        if self.collapsed.get(keys[above]) is False:
            return
        self._merge(index, above)

    def _key(self, index: int) -> str:
        return self.graph.columns.key(self._rows.item[index])

    def _twins(self, a: int, b: int) -> bool:
        columns, rows = self.graph.columns, self._rows
        x, y = rows.last[a], rows.item[b]
        return (
            rows.closed[a] == _CLOSED
            and columns.kind[x] == columns.kind[y]
            and columns.parent[x] == columns.parent[y]
            and columns.signature[x] == columns.signature[y]
            and not (x in columns.errors or y in columns.errors)
        )

    def _merge(self, index: int, above: int) -> None:
        rows, row_of = self._rows, self._row_of
        row = Row(rows, index)
        sources = row.sources
        rows.last[above] = rows.last[index]
        rows.end[above] = rows.end[index]
        for column in (rows.fold, rows.count, rows.wants):
            column[above] += column[index]
        for few in (rows.begins, rows.ends, rows.grads):
            for value in few.of(index):
                few.add(above, value)
        for source in row.stubs_in:
            rows.stubs_out.remove(source, index)
        for i in range(rows.item[index], len(row_of)):
            if row_of[i] == index:
                row_of[i] = above
        rows.pop()
        self.lanes.drop_last()
        for source in sources:
            self._edge(rows.last[source], above)

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
        depths = self._rows.depth
        depth = depths[index]
        return next((i for i in range(index - 1, -1, -1) if depths[i] < depth), None)

    @property
    def any_closed(self) -> bool:
        """Is any module closed, or any repeated block folded?"""
        rows = self._rows
        if not len(rows):
            return False
        kinds = np.frombuffer(self.graph.columns.kind, np.uint8)[np.frombuffer(rows.item, np.int32)]
        module = (kinds == MODULE) | (np.frombuffer(rows.fold, np.int32) > 1)
        return bool((module & (np.frombuffer(rows.closed, np.uint8) == _CLOSED)).any())

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
        row = bisect_right(self._rows.begin, seq) - 1
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
            if container.kind is NodeBegin:
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
        hits = self._hits(match)
        if not hits.any():
            return []
        found = np.zeros(len(self._rows) + 1, bool)  # the last one is that of -1, no row
        found[np.frombuffer(self._row_of, np.int32)[hits]] = True
        rows: list[int] = np.flatnonzero(found[:-1]).tolist()
        return rows

    def _hits(self, match: Callable[[str], object]) -> np.ndarray:
        """Which of the items that were taken in have a text that matches."""
        columns, count = self.graph.columns, len(self._row_of)
        if not count:
            return np.zeros(0, bool)
        texts, store = columns.texts, self.graph.store

        def called(name: str) -> bool:
            return any(map(match, (name, *store.naming.others(name))))

        good = np.array([False, *(called(texts[i]) for i in range(1, len(texts)))])
        hits = np.zeros(len(columns), bool)
        for codes in (columns.name, columns.path, columns.cls):
            hits |= good[np.frombuffer(codes, np.int32)]
        for node, name in zip(columns.grad_of, columns.grad_name):
            hits[node] |= good[name]
        for item, error in columns.errors.items():
            hits[item] |= bool(match(error))
        # Most calls of a module share a header, and most results a name: each is looked at once.
        heads = {
            id(params)
            for params in self.graph.headers()
            if any(match(name) for name in params.values())
            or any(map(called, map(store.name, params)))
        }
        if heads:
            hits[[i for i, params in columns.params.items() if id(params) in heads]] = True
        names = {name for name in set(self.names.values()) if match(name)}
        if names:
            makers = self.graph.makers
            hits[[i for t, name in self.names.items() if name in names for i in makers(t)]] = True
        return hits[:count]

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
