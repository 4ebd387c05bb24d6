"""The notebook while it is open: its cells, the edits made to them and what they showed.

Every edit goes through one of three reversible steps (replace cells, move one, change one's
fields), so undo and redo know nothing of the operations above them. What a run produces (outputs,
execution counts) is no edit and survives undo, except that deleting a cell keeps its outputs.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from app.notebook import script
from app.notebook.cell import KINDS, Cell, Kind, NotebookError, new_id
from app.notebook.ipynb import NotebookLayout
from app.notebook.outputs import Display, Error, Hidden, Output, Stream, scrub, valid, weight
from app.notebook.script import ScriptLayout

__all__ = [
    "Cell",
    "Display",
    "Error",
    "Hidden",
    "Kind",
    "Notebook",
    "NotebookError",
    "Output",
    "Stream",
]

HISTORY = 1_000  # steps that can be undone
MAX_OUTPUTS = 500  # per cell; the middle is dropped
MAX_WEIGHT = 64_000_000  # characters in all outputs of a cell
_NEWLINE = re.compile("\r\n?")


@dataclass(slots=True)
class _Replace:
    """Cells taken out at a place and others put there."""

    index: int
    removed: list[Cell]
    inserted: list[Cell]

    def apply(self, cells: list[Cell], *, back: bool = False) -> None:
        before, after = (self.inserted, self.removed) if back else (self.removed, self.inserted)
        cells[self.index : self.index + len(before)] = after

    def focus(self, back: bool) -> int:
        return self.index


@dataclass(slots=True)
class _Move:
    """One cell taken from one index to another."""

    old: int
    new: int

    def apply(self, cells: list[Cell], *, back: bool = False) -> None:
        old, new = (self.new, self.old) if back else (self.old, self.new)
        cells.insert(new, cells.pop(old))

    def focus(self, back: bool) -> int:
        return self.old if back else self.new


@dataclass(slots=True)
class _Change:
    """Fields of one cell with their values before and after."""

    index: int
    before: dict[str, Any]
    after: dict[str, Any]

    def apply(self, cells: list[Cell], *, back: bool = False) -> None:
        for name, value in (self.before if back else self.after).items():
            setattr(cells[self.index], name, value)

    def focus(self, back: bool) -> int:
        return self.index


@dataclass(slots=True)
class _Step:
    """An entry of the undo stack; the stamp names the state that it leads to."""

    edit: _Replace | _Move | _Change
    stamp: int


@dataclass(eq=False)
class Notebook:
    """A notebook: cells in order, always at least one.

    Cells are addressed by id; an id that is not there raises `KeyError`, except for output, which
    may arrive after its cell was deleted and is then dropped.
    """

    path: Path | None = None
    kind: Literal["script", "ipynb"] = "script"
    cells: list[Cell] = field(default_factory=list)
    layout: ScriptLayout | NotebookLayout = field(default_factory=ScriptLayout)
    notices: list[str] = field(default_factory=list)  # what the user should be told once
    read_only: bool = False
    bom: bool = False  # the file starts with a UTF-8 byte order mark
    digest: str | None = None  # of the file as it was read or saved; None: not on disk yet
    revision: int = 0  # goes up with every change, outputs included
    touched: set[str] = field(default_factory=set)  # cells whose outputs changed since then
    autosaved: int = -1  # the revision that is in the autosave file

    def __post_init__(self) -> None:
        self._undo: list[_Step] = []
        self._redo: list[_Step] = []
        # Stamps name states: the present one, the one at the bottom of the undo stack, the saved
        # one, and the last one given out.
        self._stamp = self._base = self._saved = self._stamps = 0
        self._coalesce = False
        self._clear_next: set[str] = set()
        if not self.cells:
            self.cells = [Cell(new_id())]
        self._reindex()

    # --- finding cells

    def cell(self, cell_id: str) -> Cell:
        """Return the cell with this id."""
        return self._by_id[cell_id]

    def index(self, cell_id: str) -> int:
        """Return a cell's position."""
        return self.cells.index(self._by_id[cell_id])

    def location(self, cell_id: str) -> int | None:
        """Return the line of the script, from 1, where a cell's source starts as it would be saved.

        None in an `.ipynb`, whose cells count their own lines.
        """
        index = self.index(cell_id)
        if not isinstance(self.layout, ScriptLayout):
            return None
        return script.first_lines(self.cells, self.layout)[index]

    def cell_at(self, line: int) -> tuple[str, int] | None:
        """Return the cell that holds a line of the script, and the line within its source."""
        if not isinstance(self.layout, ScriptLayout):
            return None
        starts = script.first_lines(self.cells, self.layout)
        for cell, start in zip(self.cells, starts):
            if start <= line <= start + cell.source.count("\n"):
                return cell.id, line - start + 1
        return None

    # --- edits

    @property
    def dirty(self) -> bool:
        """Does the notebook differ from its file?"""
        return self._stamp != self._saved or (self.kind == "ipynb" and bool(self.touched))

    def insert(self, index: int, kind: Kind = "code", source: str = "") -> Cell:
        """Insert a new cell before the index (at the end when it is past it) and return it."""
        index = max(0, min(index, len(self.cells)))
        cell = Cell(self._fresh_id(), _kind(kind), _NEWLINE.sub("\n", source))
        self._do(_Replace(index, [], [cell]))
        return cell

    def delete(self, cell_id: str) -> None:
        """Delete a cell; the last one leaves an empty one in its place."""
        index = self.index(cell_id)
        rest = [Cell(self._fresh_id())] if len(self.cells) == 1 else []
        self._do(_Replace(index, [self.cells[index]], rest))

    def move(self, cell_id: str, delta: int) -> None:
        """Move a cell down by so many places, or up when negative; it stops at the ends."""
        old = self.index(cell_id)
        new = max(0, min(old + delta, len(self.cells) - 1))
        if new != old:
            self._do(_Move(old, new))

    def set_source(self, cell_id: str, text: str) -> None:
        """Replace a cell's text; consecutive changes to one cell are undone together."""
        index = self.index(cell_id)
        cell = self.cells[index]
        text = _NEWLINE.sub("\n", text)
        if text == cell.source:
            return
        last = self._undo[-1].edit if self._undo and self._coalesce else None
        if isinstance(last, _Change) and last.index == index and list(last.after) == ["source"]:
            last.after["source"] = cell.source = text
            if text == last.before["source"]:  # typed and taken back: as if nothing was
                self._undo.pop()
                self._coalesce = False
                self._stamp = self._undo[-1].stamp if self._undo else self._base
            else:
                self._undo[-1].stamp = self._stamp = self._next_stamp()
            self.revision += 1
            return
        self._do(_Change(index, {"source": cell.source}, {"source": text}))
        self._coalesce = True

    def end_edit(self) -> None:
        """End a run of text changes: the next one is undone on its own."""
        self._coalesce = False

    def set_kind(self, cell_id: str, kind: Kind) -> None:
        """Make a cell code, markdown or raw text; code that becomes text loses its outputs."""
        index = self.index(cell_id)
        cell = self.cells[index]
        if _kind(kind) == cell.kind:
            return
        after: dict[str, Any] = {"kind": kind, "outputs": [], "execution_count": None}
        self._do(_Change(index, {name: getattr(cell, name) for name in after}, after))

    def set_metadata(self, cell_id: str, metadata: dict[str, Any]) -> None:
        """Replace a cell's metadata (in a script: the title and options of its marker line)."""
        index = self.index(cell_id)
        if metadata != self.cells[index].metadata:
            before = {"metadata": self.cells[index].metadata}
            self._do(_Change(index, before, {"metadata": metadata}))

    def split(self, cell_id: str, offset: int) -> Cell:
        """Split a cell's text at a character; return the new cell, which holds the second part."""
        index = self.index(cell_id)
        cell = self.cells[index]
        first, second = cell.source[:offset].rstrip("\n"), cell.source[offset:].lstrip("\n")
        upper = _copy(cell, source=first)
        lower = Cell(self._fresh_id(), cell.kind, second, metadata=dict(cell.metadata))
        self._do(_Replace(index, [cell], [upper, lower]))
        return lower

    def merge(self, cell_id: str) -> None:
        """Join a cell with the one below it; the outputs of both go (and come back with undo)."""
        index = self.index(cell_id)
        if index + 1 == len(self.cells):
            return
        upper, lower = self.cells[index : index + 2]
        gap = "\n" if upper.kind == "code" else "\n\n"
        merged = _copy(upper, source=gap.join(filter(None, (upper.source, lower.source))))
        merged.attachments = lower.attachments | upper.attachments
        merged.outputs, merged.execution_count = [], None
        self._do(_Replace(index, [upper, lower], [merged]))

    def replace_all(self, cells: list[Cell]) -> None:
        """Put other cells in the place of all, as one step (recovery, reload)."""
        self._do(_Replace(0, list(self.cells), cells or [Cell(new_id())]))
        self.touched.update(cell.id for cell in self.cells)

    def undo(self) -> str | None:
        """Take the last edit back; return the id of the cell it was about, if there was one."""
        return self._shift(self._undo, self._redo, back=True)

    def redo(self) -> str | None:
        """Make the edit last taken back again; returns as `undo`."""
        return self._shift(self._redo, self._undo, back=False)

    def mark_saved(self) -> None:
        """Take the present state for what is in the file."""
        self._saved = self._stamp
        self._coalesce = False
        self.touched.clear()

    # --- what a run produces

    def append_output(self, cell_id: str, output: Output) -> bool:
        """Add an output to a cell, in bounded memory; False if the cell is gone.

        Stream text joins the stream before it, a carriage return overwrites the line as in a
        terminal. Of very much output the beginning and the end are kept.
        """
        cell = self._by_id.get(cell_id)
        if cell is None:
            return False
        self._note_output(cell)
        last = cell.outputs[-1] if cell.outputs else None
        if isinstance(output, Stream) and isinstance(last, Stream) and last.name == output.name:
            last.append(valid(output.text))
            return True
        cell.outputs.append(scrub(output))
        _drop_middle(cell)
        return True

    def update_display(
        self, display_id: str, data: dict[str, Any], metadata: dict[str, Any]
    ) -> list[str]:
        """Change the outputs that were shown under a display id; return the cells they are of."""
        found = []
        for cell in self.cells:
            for index, output in enumerate(cell.outputs):
                if isinstance(output, Display) and output.display_id == display_id:
                    count, result = output.execution_count, output.result
                    changed = Display(data, metadata, count, result, display_id)
                    cell.outputs[index] = scrub(changed)
                    self._note_output(cell, clear=False)
                    found.append(cell.id)
        return found

    def clear_outputs(self, cell_id: str, *, wait: bool = False) -> None:
        """Remove a cell's outputs; with `wait`, when the next one comes (no flicker)."""
        cell = self._by_id.get(cell_id)
        if cell is None:
            return
        if wait:
            self._clear_next.add(cell_id)
            return
        self._note_output(cell, clear=False)
        self._clear_next.discard(cell_id)
        cell.outputs = []

    def set_execution_count(self, cell_id: str, count: int | None) -> None:
        """Set the number shown before a code cell."""
        cell = self._by_id.get(cell_id)
        if cell is not None and cell.execution_count != count:
            cell.execution_count = count
            self._note_output(cell, clear=False)

    # --- inside

    def _note_output(self, cell: Cell, *, clear: bool = True) -> None:
        if clear and cell.id in self._clear_next:
            self.clear_outputs(cell.id)
        self.touched.add(cell.id)
        self.revision += 1

    def _do(self, edit: _Replace | _Move | _Change) -> None:
        edit.apply(self.cells)
        self._stamp = self._next_stamp()
        self._undo.append(_Step(edit, self._stamp))
        if len(self._undo) > HISTORY:
            self._base = self._undo.pop(0).stamp
        self._redo.clear()
        self._changed()

    def _shift(self, source: list[_Step], target: list[_Step], *, back: bool) -> str | None:
        if not source:
            return None
        step = source.pop()
        step.edit.apply(self.cells, back=back)
        target.append(step)
        self._stamp = self._undo[-1].stamp if self._undo else self._base
        self._changed()
        return self.cells[min(step.edit.focus(back), len(self.cells) - 1)].id

    def _changed(self) -> None:
        self._coalesce = False
        self.revision += 1
        self._reindex()

    def _next_stamp(self) -> int:
        self._stamps += 1
        return self._stamps

    def _reindex(self) -> None:
        self._by_id = {cell.id: cell for cell in self.cells}

    def _fresh_id(self) -> str:
        while (cell_id := new_id()) in self._by_id:
            pass
        return cell_id


def _kind(kind: str) -> Kind:
    if kind not in KINDS:
        raise ValueError(f"cell kind {kind!r} is none of {', '.join(KINDS)}")
    return kind


def _copy(cell: Cell, *, source: str) -> Cell:
    """Copy a cell with another text, so that undo can bring back the cell as it was."""
    return dataclasses.replace(cell, source=source)


def _drop_middle(cell: Cell) -> None:
    """Keep a cell's outputs within bounds: drop from the middle, and say there how many."""
    outputs = cell.outputs
    small = weight(outputs[-1]) < 100_000
    if len(outputs) <= MAX_OUTPUTS and small and len(outputs) % 16:
        return  # the sum below is not for every line that a cell prints
    total = sum(map(weight, outputs))
    if len(outputs) <= MAX_OUTPUTS and total <= MAX_WEIGHT:
        return
    head = kept = 0
    while head < len(outputs) - 1 and head < MAX_OUTPUTS // 5:
        if isinstance(outputs[head], Hidden):
            break
        kept += weight(outputs[head])
        if kept > MAX_WEIGHT // 5:
            break
        head += 1
    hidden = outputs[head]
    if not isinstance(hidden, Hidden):
        hidden = Hidden(0)
        outputs.insert(head, hidden)
    end = head + 1
    goal = MAX_OUTPUTS - MAX_OUTPUTS // 5  # in portions, so that it is not done for each output
    while end < len(outputs) - 1 and (len(outputs) - (end - head - 1) > goal or total > MAX_WEIGHT):
        total -= weight(outputs[end])
        end += 1
    outputs[head] = Hidden(hidden.count + end - head - 1)
    del outputs[head + 1 : end]
