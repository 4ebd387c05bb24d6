"""Lanes: the data flow to the left of an outline, drawn as ``git log --graph`` does.

Rows are only ever added at the end. The column of a row's node is chosen when the row is added,
from what feeds it then, and never changes; an edge is drawn when its target is known. A value goes
down the column of its node while that is free, which makes a chain one straight lane, else down a
lane beside it, one for all its later users. Edges that are too long, or that find no free lane, are
not drawn: their ends are for the caller to label.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

__all__ = ["Lanes"]

UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
_BOX = " ╵╷│╴╯╮┤╶╰╭├─┴┬┼"  # by the four bits
_ASCII = " '.|-'.+-`,+-+++"


class Lanes:
    """The cells of all rows.

    Args:
        most: columns at most, up to 15.
        reach: rows that a lane spans at most.

    >>> lanes = Lanes()
    >>> for sources in ([], [0], [1], [0, 2]):
    ...     row = lanes.add(True, sources)
    ...     drawn = [lanes.edge(s, row) for s in sources]
    >>> for row in range(4):
    ...     print("".join(lanes.cells_text(row, "●")))
    ●╮
    ●│
    ●│
    ●╯
    """

    def __init__(self, most: int = 6, reach: int = 25) -> None:
        self.most = most
        self.reach = reach
        self.used = 0  # columns in use anywhere
        self.nodes = array("i")  # column of each row's node, -1 for a row without one
        self._cells = array("q")  # 4 bits per column
        self._vertical = sum((UP | DOWN) << 4 * c for c in range(most))
        self._users = bytearray()  # edges drawn out of each row's node, counted up to 255
        self._lanes: dict[int, tuple[int, int]] = {}  # row -> column, last row of its lane
        self._last = [-1] * most  # newest row with a node or a lane's end in each column
        self._node = -1  # newest row with a node
        # What the last row changed: state before it, cells, lanes, and the sources of its edges.
        self._before = (0, -1, self._last)
        self._old_cells: list[tuple[int, int]] = []
        self._old_lanes: list[tuple[int, tuple[int, int] | None]] = []
        self._sources: list[int] = []

    def __len__(self) -> int:
        return len(self.nodes)

    # -- adding ------------------------------------------------------------------------------

    def add(self, node: bool, sources: Iterable[int] = ()) -> int:
        """A new last row, with a node or without; ``sources`` are rows that will feed it."""
        row = len(self.nodes)
        self._remember()
        column = self._place(row, sources) if node else -1
        self.nodes.append(column)
        self._cells.append(0)
        self._users.append(0)
        if node:
            self._node = self._last[column] = row
            self.used = max(self.used, column + 1)
        return row

    def _place(self, row: int, sources: Iterable[int]) -> int:
        near = {s for s in sources if row - s <= self.reach and self.nodes[s] >= 0}
        columns = sorted((self.nodes[s], s) for s in near)
        for column, source in columns:
            if not self._busy(source, row) >> 4 * column & 15:
                return column
        free = [c for c in range(self.most) if self._last[c] != self._node or self._node < 0]
        return next(
            (c for c in free if not self._waits(c, row)), min(free, key=self._age, default=0)
        )

    def _age(self, column: int) -> int:
        return self._last[column]

    def _waits(self, column: int, row: int) -> bool:
        """Is the column kept for a value that nothing has used yet?"""
        last = self._last[column]
        waiting = last >= 0 and self.nodes[last] == column and not self._users[last]
        return waiting and row - last <= self.reach

    def _busy(self, above: int, below: int) -> int:
        """Bits in the columns in use between two rows; what only crosses does not use one."""
        busy = 0
        for row in range(above + 1, below):
            busy |= self._cells[row] & self._vertical
            if self.nodes[row] >= 0:
                busy |= 15 << 4 * self.nodes[row]
        return busy

    # -- edges -------------------------------------------------------------------------------

    def edge(self, source: int, target: int) -> bool:
        """Draw an edge down from ``source`` to ``target``; False if it has to be a label."""
        if target <= source or target - source > self.reach:
            return False
        start, end = self.nodes[source], self.nodes[target]
        if start < 0 or end < 0:
            return True
        if not self._draw(source, target, start, end):
            return False
        self._sources.append(source)
        self._users[source] = min(self._users[source] + 1, 255)
        return True

    def _draw(self, source: int, target: int, start: int, end: int) -> bool:
        busy = self._busy(source, target)
        if start == end and not busy >> 4 * start & 15:
            column = start
        else:
            if self._extend(source, target):
                return True
            found = self._free(source, target, busy)
            if found is None:
                return False
            column = found
            self._old_lanes.append((source, self._lanes.get(source)))
            self._lanes[source] = (column, target)
        self._cell(source, column, DOWN)
        self._horizontal(source, column)
        self._down(source, target, column)
        return True

    def _free(self, source: int, target: int, busy: int) -> int | None:
        """A column for a lane between two rows: those of its ends first, else the leftmost."""
        ends = (self.nodes[target], self.nodes[source])
        fallback = None
        for column in (*ends, *range(self.most)):
            if busy >> 4 * column & 15:
                continue
            vertical = UP | DOWN
            if column != ends[1] and self._cells[source] >> 4 * column & vertical:
                continue
            if column != ends[0] and self._cells[target] >> 4 * column & vertical:
                continue
            if column in ends or not self._waits(column, target):
                return column
            if fallback is None:
                fallback = column
        return fallback

    def _extend(self, source: int, target: int) -> bool:
        """Lead the lane that a value has already further down, to one more user."""
        lane = self._lanes.get(source)
        if lane is None:
            return False
        column, last = lane
        if last >= target or self.nodes[last] == column:
            return False
        if self._busy(last, target) >> 4 * column & 15:
            return False
        if column != self.nodes[target] and self._cells[target] >> 4 * column & (UP | DOWN):
            return False
        self._old_lanes.append((source, lane))
        self._lanes[source] = (column, target)
        self._cell(last, column, DOWN)
        self._down(last, target, column)
        return True

    def _down(self, above: int, target: int, column: int) -> None:
        for row in range(above + 1, target):
            self._cell(row, column, UP | DOWN)
        self._cell(target, column, UP)
        self._horizontal(target, column)
        self._last[column] = max(self._last[column], target)
        self.used = max(self.used, column + 1)

    def _horizontal(self, row: int, column: int) -> None:
        """Connect a column to the row's node."""
        node = self.nodes[row]
        low, high = min(node, column), max(node, column)
        if low == high:
            return
        self._cell(row, low, RIGHT)
        self._cell(row, high, LEFT)
        for between in range(low + 1, high):
            self._cell(row, between, LEFT | RIGHT)

    def _cell(self, row: int, column: int, bits: int) -> None:
        self._old_cells.append((row, self._cells[row]))
        self._cells[row] |= bits << 4 * column

    def _remember(self) -> None:
        self._before = (self.used, self._node, self._last.copy())
        self._old_cells, self._old_lanes, self._sources = [], [], []

    def drop_last(self) -> None:
        """Take the last row away again, with its edges. Only once after each `add`."""
        self.used, self._node, self._last = self._before
        for row, cells in reversed(self._old_cells):
            self._cells[row] = cells
        for source, lane in reversed(self._old_lanes):
            if lane is None:
                del self._lanes[source]
            else:
                self._lanes[source] = lane
        for source in self._sources:
            self._users[source] -= self._users[source] < 255
        self._cells.pop()
        self.nodes.pop()
        self._users.pop()
        self._remember()

    # -- drawing -----------------------------------------------------------------------------

    def cells_text(self, row: int, glyph: str, ascii: bool = False) -> tuple[str, str, str]:
        """A row's cells: what is before its node, the node, and what is after it."""
        box = _ASCII if ascii else _BOX
        bits, node = self._cells[row], self.nodes[row]
        text = [box[bits >> 4 * c & 15] for c in range(self.used)]
        if node < 0:
            return "".join(text), "", ""
        return "".join(text[:node]), glyph, "".join(text[node + 1 :])
