"""How a notebook's cells become rows: header, source, outputs; wrapped, bounded, made lazily.

Laying out a cell counts its rows and highlights nothing; a row's spans are made when it comes into
sight. So a notebook of 1,000 cells opens as fast as one of ten.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from rich.cells import cell_len

from app.sanitize import clean, clean_sgr
from app.ui.highlight import markdown, python, visible
from app.ui.strips import crop, width_of, wrap
from viewers.text import Line

if TYPE_CHECKING:
    from app.notebook.document import Cell, Notebook, Output

__all__ = ["GUTTER", "CellRow", "Rows", "sgr_lines"]

_TAB = 4  # columns; the editor's
GUTTER = 5  # marks (2), line number (2), blank
MAX_OUTPUT_ROWS = 40  # of one output in the notebook; the console has all of it
HEAD_ROWS = 16

Kind = Literal["header", "code", "text", "output", "ask"]


class CellRow(NamedTuple):
    """Where a row of the pane is in the notebook."""

    cell: int  # index in the notebook
    kind: Kind
    line: int  # source line from 1; 0 for header and output
    part: int  # of a wrapped line


@dataclass(slots=True)
class _Block:
    """The rows of one cell."""

    key: tuple[object, ...]
    rows: list[tuple[Kind, int, int]]
    outputs: list[Line]
    texts: list[Line] | None = None  # rows of a Markdown cell
    ask: Line | None = None  # the last row of a prompt, behind which the answer is typed

    @property
    def height(self) -> int:
        return len(self.rows)


class Rows:
    """All rows of a notebook at a width.

    Args:
        note: what the row under a cell's outputs says (``died``, ...), "" for none.
        asked: what a cell asks, None for nothing.
    """

    def __init__(
        self, notebook: Notebook, note: Callable[[str], str],
        asked: Callable[[str], str | None] = lambda cell: None,
    ) -> None:  # fmt: skip
        self.notebook = notebook
        self.note = note
        self.asked = asked
        self.width = 0
        self.starts: list[int] = []
        self.total = 0
        self.editing = ""  # id of the cell that is drawn by an editor
        self.editor_rows = 0
        self._blocks: dict[str, _Block] = {}

    def layout(self, width: int) -> None:
        """Count all rows anew; cells that have not changed cost a look-up."""
        if width != self.width:
            self._blocks.clear()
            self.width = width
        starts, total = [], 0
        blocks = {}
        for cell in self.notebook.cells:
            block = self._block(cell)
            blocks[cell.id] = block
            starts.append(total)
            total += block.height
        self._blocks = blocks
        self.starts, self.total = starts, total

    def forget(self, cell: str) -> None:
        """A cell's outputs have changed."""
        if cell in self._blocks:
            self._blocks[cell].key = ()  # its rows stay until the next layout

    def locate(self, index: int) -> CellRow:
        """What is in a row."""
        number = max(0, bisect_right(self.starts, index) - 1)
        block = self._blocks[self.notebook.cells[number].id]
        kind, line, part = block.rows[min(index - self.starts[number], block.height - 1)]
        return CellRow(number, kind, line, part)

    def row_of(self, cell: str, line: int = 1) -> int:
        """The first row of a source line; -1 if there is no such cell."""
        for number, found in enumerate(self.notebook.cells):
            if found.id == cell and number < len(self.starts):
                rows = self._blocks[cell].rows
                for offset, (_, at, _) in enumerate(rows):
                    if at == line:
                        return self.starts[number] + offset
                return self.starts[number] + min(1, len(rows) - 1)
        return -1

    def same(self, cell: str, row: CellRow) -> int:
        """Where a row of a cell is now; -1 if there is no such cell any more."""
        for number, found in enumerate(self.notebook.cells):
            if found.id == cell and number < len(self.starts):
                rows = self._blocks[cell].rows
                whole = (row.kind, row.line, row.part)
                at = rows.index(whole) if whole in rows else len(rows) - 1
                return self.starts[number] + at
        return -1

    def span_of(self, cell: str) -> tuple[int, int]:
        """First row of a cell's source, and one after its last row of all."""
        for number, found in enumerate(self.notebook.cells):
            if found.id == cell and number < len(self.starts):
                start = self.starts[number]
                return start + 1, start + self._blocks[cell].height
        return 0, 0

    @property
    def asking(self) -> int:
        """The row in which an answer is typed; -1 for none."""
        for start, cell in zip(self.starts, self.notebook.cells):
            block = self._blocks.get(cell.id)
            if block is not None and block.ask is not None:
                return start + block.height - 1
        return -1

    @property
    def asking_column(self) -> int:
        """Where in that row it begins."""
        row = self.asking
        return width_of(self.spans(row)) if row >= 0 else 0

    def spans(self, index: int) -> Line:
        """The text of a row, without its gutter."""
        where = self.locate(index)
        cell = self.notebook.cells[where.cell]
        block = self._blocks[cell.id]
        if where.kind == "output":
            return block.outputs[where.part]
        if where.kind == "ask":
            return block.ask or []
        if where.kind == "text":
            assert block.texts is not None
            return block.texts[where.part]
        if where.kind == "code":
            lines = python(cell.source)
            line = _expanded(lines[where.line - 1]) if where.line <= len(lines) else []
            indent = _indent(cell.source, where.line) + 4
            parts = list(wrap(line, self._code_width, indent, words=True))
            return parts[where.part] if where.part < len(parts) else []
        return []

    # -- inside ------------------------------------------------------------------------------

    @property
    def _code_width(self) -> int:
        return max(8, self.width - GUTTER)

    def _block(self, cell: Cell) -> _Block:
        editing = self.editor_rows if cell.id == self.editing else 0
        note = self.note(cell.id)
        asked = self.asked(cell.id)
        key = (cell.source, cell.kind, editing, note, asked)
        block = self._blocks.get(cell.id)
        if block is not None and block.key == key:
            return block
        rows: list[tuple[Kind, int, int]] = [("header", 0, 0)]
        texts: list[Line] | None = None
        if editing:
            rows += [("code", i + 1, 0) for i in range(editing)]
        elif cell.kind == "code":
            for number, text in enumerate(cell.source.split("\n"), start=1):
                rows += [("code", number, part) for part in range(_parts(text, self._code_width))]
        else:
            texts = [
                part
                for line in markdown(cell.source)
                for part in wrap(line, self.width - 2, _hanging(line), words=True)
            ]
            rows += [("text", i + 1, i) for i in range(len(texts))]
        outputs: list[Line] = []
        if cell.kind == "code":
            for output in cell.outputs:
                outputs += self._output(output)
        if note:
            outputs.append([(clean(note, keep_newlines=False), "error")])
        ask: Line | None = None
        if asked is not None:
            prompt = self._bounded(asked)
            ask = [] if asked.endswith("\n") else prompt.pop()
            if width_of(ask) > self.width // 2:
                prompt.append(ask)
                ask = []
            outputs += prompt
        rows += [("output", 0, i) for i in range(len(outputs))]
        if ask is not None:
            rows.append(("ask", 0, 0))
        block = self._blocks[cell.id] = _Block(key, rows, outputs, texts, ask)
        return block

    def _output(self, output: Output) -> list[Line]:
        from app.notebook import Display, Error, Hidden, Stream

        if isinstance(output, Stream):
            return self._bounded(output.shown, "error" if output.name == "stderr" else "")
        if isinstance(output, Error):
            trace = "\n".join(output.traceback) or f"{output.ename}: {output.evalue}"
            return self._bounded(trace, rows=_traceback_rows)
        if isinstance(output, Hidden):
            return [[(f"⋯ {output.count:,} outputs are not kept", "dim")]]
        assert isinstance(output, Display)
        for kind in ("image/png", "image/jpeg"):
            if kind in output.data:
                from viewers.tensor import picture_lines

                return picture_lines(_joined(output.data[kind]), max(4, self.width - 2), 24)
        for kind in ("text/markdown", "text/plain", "text/latex", "text/html"):
            text = output.data.get(kind)
            if text is not None:
                if kind == "text/html":
                    text = "[an HTML output, which a terminal cannot show]"
                return self._bounded(_joined(text))
        if not output.data:
            return []
        names = clean(", ".join(sorted(map(str, output.data))), keep_newlines=False)
        return [[(f"[an output of type {names}, which a terminal cannot show]", "dim")]]

    def _bounded(
        self, text: str, token: str = "", rows: Callable[[Line, int], Iterable[Line]] = wrap
    ) -> list[Line]:
        """Text with colours as rows: all of it, or its head and its tail.

        ``rows`` makes the rows of a line.
        """
        lines = text.rstrip("\n").split("\n")
        hidden = 0
        if len(lines) > MAX_OUTPUT_ROWS:
            hidden = len(lines) - MAX_OUTPUT_ROWS
            tail = MAX_OUTPUT_ROWS - HEAD_ROWS
            upper, lower = lines[:HEAD_ROWS], lines[-tail:]
            return [
                *self._wrapped("\n".join(upper), token, rows),
                [(f"⋯ {hidden:,} more lines: see the output tab", "dim")],
                *self._wrapped("\n".join(lower), token, rows),
            ]
        return self._wrapped("\n".join(lines), token, rows)

    def _wrapped(
        self, text: str, token: str, rows: Callable[[Line, int], Iterable[Line]]
    ) -> list[Line]:
        made: list[Line] = []
        for line in sgr_lines(text[:100_000], token):
            parts = list(rows(line, self.width - 2))
            if len(parts) > 2 * MAX_OUTPUT_ROWS:
                parts = [*parts[:HEAD_ROWS], [("⋯ a very long line", "dim")]]
            made += parts
        return made


# A traceback's first line, and a line of source with its number.
_TITLE = re.compile(r"(\S+ )( *)(?=Traceback \(most recent call last\)$)")
_SOURCE = re.compile(r" *(?:-+> )?\d+ *")


def _traceback_rows(line: Line, width: int) -> Iterable[Line]:
    """A line of IPython's tracebacks, which are made for 75 columns and more.

    >>> texts = ["-" * 75, "KeyError" + 20 * " " + "Traceback (most recent call last)",
    ...          "----> 5     return f(first, second, third)"]
    >>> for text in texts:
    ...     for row in _traceback_rows([(text, "")], 30):
    ...         print("".join(part for part, _ in row).rstrip())
    ------------------------------
    KeyError Traceback (most
      recent call last)
    ----> 5     return f(first,
              second, third)
    """
    text = "".join(part for part, _ in line)
    if not text.strip("-"):
        return [crop(line, width, "")]
    if found := _TITLE.match(text):
        line = _without(line, found.start(2), min(width_of(line) - width, len(found[2])))
    found = _SOURCE.match(text)
    return wrap(line, width, min(found.end() + 4, width // 3) if found else 2, words=True)


def _without(line: Line, at: int, count: int) -> Line:
    """``line`` without the ``count`` characters that begin at ``at``."""
    kept: Line = []
    start = 0
    for text, token in line:
        end = start + len(text)
        low, high = max(at, start), min(at + count, end)
        kept.append((text[: low - start] + text[high - start :] if low < high else text, token))
        start = end
    return kept


def _joined(value: object) -> str:
    """A MIME value, which a file may have as a list of lines."""
    return "".join(map(str, value)) if isinstance(value, list) else str(value)


def sgr_lines(text: str, token: str = "") -> list[Line]:
    """Text with colour codes as lines of spans; everything else that it holds is made harmless."""
    lines: list[Line] = [[]]
    for style, piece in clean_sgr(text):
        first, *rest = piece.split("\n")
        mark = f"sgr {style}" if style else token
        if first:
            lines[-1].append((first, mark))
        for part in rest:
            lines.append([(part, mark)] if part else [])
    return lines


def _hanging(line: Line) -> int:
    """What the further rows of a line of Markdown are indented by: an item's mark, or code's."""
    if not line:
        return 0
    text, token = line[0]
    if token == "accent":
        return cell_len(text)
    return len(text) - len(text.lstrip(" ")) + 4 if text.startswith("  ") else 0


def _indent(source: str, line: int) -> int:
    """Blanks before a line's text; none for a row of an editor that has no line yet."""
    text = [*source.split("\n"), ""][min(line - 1, source.count("\n") + 1)].expandtabs(_TAB)
    return len(text) - len(text.lstrip(" "))


def _expanded(line: Line) -> Line:
    """A line of code with blanks for tabs, each up to the column that the editor has it at."""
    spans: Line = []
    column = 0
    for text, token in line:
        if "\t" in text:
            text = (" " * column + text).expandtabs(_TAB)[column:]
        spans.append((text, token))
        column += len(text)
    return spans


@lru_cache(maxsize=1 << 16)
def _parts(text: str, width: int) -> int:
    """The rows that a line of code takes. Of a changed cell most lines are what they were."""
    text = visible(text).expandtabs(_TAB)
    if len(text) * 2 <= width:
        return 1
    if cell_len(text) <= width:
        return 1
    indent = len(text) - len(text.lstrip(" ")) + 4
    return len(list(wrap([(text, "")], width, indent, words=True)))
