"""Lines of a notebook as people name them: ``cell 3, line 5`` for line 5 of ``<cell 1f3a>``.

Code of a cell is compiled under a name with the cell's id, which says nothing to anybody; what is
shown, and what can be typed, counts the notebook's cells from 1, text cells among them.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from framework.trace.conditions import CELL
from framework.trace.protocol import Breakpoint

if TYPE_CHECKING:
    from app.notebook import Notebook

__all__ = ["cell_of", "code_line", "named_cells", "names_of", "resolve", "spell", "spelled"]

_FILE = re.compile(r"<cell (.+)>\Z")
_SHOWN = re.compile(r'(?:File ")?<cell ([^<>"]+)>(?:", line |:)?(\d+)?')


def cell_of(file: str) -> str:
    """The id in a cell's file name, "" for any other file.

    >>> cell_of("<cell 1f3a>"), cell_of("/home/me/model.py")
    ('1f3a', '')
    """
    match = _FILE.match(file)
    return match[1] if match else ""


def names_of(notebook: Notebook) -> dict[str, str]:
    """``cell 3`` by the cell's id."""
    return {cell.id: f"cell {number}" for number, cell in enumerate(notebook.cells, 1)}


def named_cells(files: Iterable[str]) -> dict[str, str]:
    """The same of the sources of a recording, which has the cells in their order.

    >>> named_cells(["<text a>", "<cell b>", "/home/me/model.py"])
    {'b': 'cell 2'}
    """
    cells = [file for file in files if file.startswith(("<cell ", "<text "))]
    numbered = enumerate(cells, 1)
    return {cell_of(file): f"cell {number}" for number, file in numbered if cell_of(file)}


def spell(text: str, names: Mapping[str, str]) -> str:
    """A text in which cells are called by their numbers.

    >>> spell("nan at <cell 1f3a>:5 in <cell 99>", {"1f3a": "cell 3"})
    'nan at cell 3, line 5 in a deleted cell'
    """

    def named(found: re.Match[str]) -> str:
        name = names.get(found[1], "a deleted cell")
        return f"{name}, line {found[2]}" if found[2] else name

    return _SHOWN.sub(named, text) if "<cell " in text else text


def code_line(source: str, line: int) -> int:
    """The line of code at or after a line of a cell; 0 if only comments and blank lines follow.

    >>> [code_line("# a\\n\\nx = 1\\n# b", line) for line in (1, 3, 4)]
    [3, 3, 0]
    """
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    lines: set[int] = set()
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type not in skipped and token.type != tokenize.ENDMARKER:
                lines.update(range(token.start[0], token.end[0] + 1))
    except (tokenize.TokenError, SyntaxError):  # magics, or not finished
        texts = enumerate(source.split("\n"), 1)
        lines = {n for n, text in texts if text.strip() and text.lstrip()[0] != "#"}
    return min((n for n in lines if n >= line), default=0)


def spelled(point: Breakpoint, names: Mapping[str, str]) -> Breakpoint:
    """A breakpoint as it is written: its file is ``cell 3`` instead of the cell's own name."""
    name = names.get(cell_of(point.file), "")
    return msgspec.structs.replace(point, file=name) if name else point


def resolve(point: Breakpoint, notebook: Notebook | None, file: str = "") -> Breakpoint:
    """The other way round: a breakpoint on ``cell 3`` is one on the cell's own name.

    Args:
        file: of a script that runs as a whole, and not cell by cell.

    Raises ValueError with one line if there is no such cell or line.
    """
    match = CELL.fullmatch(point.file)
    if match is None:
        return point
    if notebook is None:
        raise ValueError(f"{point.file}: this program has no cells, expected FILE:LINE")
    number, count = int(match[1]), len(notebook.cells)
    if not 0 < number <= count:
        raise ValueError(f"{point.file}: the notebook has cells 1 to {count}")
    cell = notebook.cells[number - 1]
    if cell.kind != "code":
        raise ValueError(f"{point.file}: it is text, which does not run")
    lines = cell.source.count("\n") + 1
    if point.line > lines:
        raise ValueError(f"{point.file}, line {point.line}: the cell has {lines} lines")
    start = notebook.location(cell.id) if file else None
    if start is not None:
        return msgspec.structs.replace(point, file=file, line=start + point.line - 1)
    return msgspec.structs.replace(point, file=f"<cell {cell.id}>")
