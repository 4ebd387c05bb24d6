"""Lines of styled spans, as viewers return them, to Textual's strips; and the reverse for text.

A rendered strip is kept in an LRU under what it was made of, so a scroll or a repaint of unchanged
rows costs a look-up. Every text passes `app.sanitize.clean` here, whatever was done to it before,
and nothing parses markup. Widths are Rich's, which are those that Textual lays out by.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import groupby

from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip

from app.sanitize import clean
from app.ui.theme import style_of
from viewers.text import Line, Span

__all__ = ["crop", "strip_of", "width_of", "wrap"]


def strip_of(line: Line, width: int, dark: bool, ground: str = "", more: str = "…") -> Strip:
    """One row of exactly ``width`` cells; what is cut off at the right leaves ``more``."""
    return _strip(tuple(line), width, dark, ground, more)


@lru_cache(maxsize=4096)
def _strip(line: tuple[Span, ...], width: int, dark: bool, ground: str, more: str) -> Strip:
    spans = [(clean(text, keep_newlines=False), token) for text, token in line]
    spans = crop(spans, width, more)
    segments = [Segment(text, style_of(token, dark, ground)) for text, token in spans]
    rest = width - width_of(spans)
    if rest > 0:
        segments.append(Segment(" " * rest, style_of("", dark, ground)))
    return Strip(segments, width)


def width_of(line: Iterable[Span]) -> int:
    """Cells that a line takes."""
    return sum(cell_len(text) for text, _ in line)


def crop(line: Line, width: int, more: str = "…") -> Line:
    """``line`` cut to ``width`` cells, with ``more`` as its last cell if something was cut off."""
    if width_of(line) <= width:
        return line
    room = width - cell_len(more)
    cut: Line = []
    for text, token in line:
        size = cell_len(text)
        if size > room:
            text = _head(text, room)
            if text:
                cut.append((text, token))
            break
        cut.append((text, token))
        room -= size
    if width >= cell_len(more):
        cut.append((more, "faint"))
    return cut


def _head(text: str, room: int) -> str:
    """As many characters of ``text`` as fit into ``room`` cells."""
    if room <= 0:
        return ""
    if cell_len(text[:room]) <= room and text.isascii():
        return text[:room]
    used = 0
    for i, character in enumerate(text):
        used += cell_len(character)
        if used > room:
            return text[:i]
    return text


def wrap(line: Line, width: int, indent: int = 0, words: bool = False) -> Iterator[Line]:
    """``line`` in as many rows as it needs; rows after the first begin with ``indent`` blanks.

    With ``words`` a row ends after a blank, a comma or a bracket, if one is in its second half,
    and a blank that would begin the next row is left out.

    >>> ["".join(text for text, _ in row) for row in wrap([("ab, cd, ef", "")], 6, 2, words=True)]
    ['ab, ', '  cd, ', '  ef']
    >>> ["".join(text for text, _ in row) for row in wrap([("one two", "")], 3, words=True)]
    ['one', 'two']
    """
    width = max(width, 1)
    indent = min(indent, width // 2)
    if width_of(line) <= width:
        yield line
        return
    marked = [(character, token) for text, token in line for character in text]
    start, room = 0, width
    while start < len(marked):
        end, used = start, 0
        while end < len(marked) and used + cell_len(marked[end][0]) <= room:
            used += cell_len(marked[end][0])
            end += 1
        end = max(end, start + 1)  # a wide character in a pane of one column
        blank = words and end < len(marked) and marked[end][0] == " "
        if words and end < len(marked) and not blank:
            second_half = range(end, start + room // 2, -1)
            cuts = [i for i in second_half if marked[i - 1][0] in " ,([{."]
            end = next((i for i in cuts if marked[i - 1][0] in " ,"), cuts[0] if cuts else end)
        row: Line = [(" " * indent, "")] if start and indent else []
        for token, run in groupby(marked[start:end], key=lambda item: item[1]):
            row.append(("".join(character for character, _ in run), token))
        yield row
        start, room = end + blank, width - indent
