"""Python scripts with `# %%` cells: read and written without changing a byte that was not edited.

The markers are those of Spyder, VS Code and Jupytext: `# %%`, with a title, a kind in brackets and
options after it (`# %% Loss curve [markdown] tags=["slow"]`), and the older `# In[3]:` and
`# <codecell>`. A marker starts in the first column and is followed by a space or the line's end,
so that a commented cell magic (`# %%time`) is none; and it does not count within a multi-line
string. A string that is never closed does not hide the cells after it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from app.notebook.cell import KINDS, Cell, Kind, stable_id

__all__ = ["ScriptForm", "ScriptLayout", "parse", "render", "first_lines"]

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
_MARKER = re.compile(r"#[ \t]*(?:%%+(?=[ \t\r\n]|\Z)|<codecell>|In\[[ \d]*\])")
_KIND = re.compile(r"(?:^|(?<=\s))\[(markdown|md|raw)\](?=\s|$)")
_OPTION = re.compile(r"(?:^|\s)([A-Za-z_][\w.-]*)=")
_STRING = re.compile(r'#|"""|\'\'\'|"(?:\\.|[^"\\\r\n])*"?|\'(?:\\.|[^\'\\\r\n])*\'?', re.DOTALL)
_QUOTED = re.compile(r"([rR]?)(\"\"\"|''')(\n?)(.*?)(\n?)\2", re.DOTALL)
_SKIPPED = re.compile(r"\s*(?:%%?[A-Za-z]|!|#)")  # magics, shell lines, comments
_PYTHON_MAGICS = ("time", "timeit", "capture", "prun", "python", "python3", "debug", "pypy")
_MAX_OPTIONS = 4096  # a longer marker line is a title
# View state that other programs keep in a cell; not worth a marker line.
_VIEW_STATE = frozenset(
    {"ExecuteTime", "autoscroll", "collapsed", "colab", "execution", "id", "jupyter", "outputId"}
    | {"scrolled", "trusted", "vscode"}
)


@dataclass(slots=True)
class ScriptForm:
    """The exact text a cell has in its file, and the source it was read as."""

    header: str = ""  # the marker line; empty for text before the first marker
    lead: str = ""  # blank lines
    body: str = ""
    tail: str = ""  # the last line's end and blank lines
    source: str = ""
    kind: Kind = "code"
    style: list[str] = field(default_factory=list)  # how text became Python: see _decode
    metadata: dict[str, Any] = field(default_factory=dict)
    final: bool = False  # the last cell of its file, with no blank line to the next

    @classmethod
    def from_json(cls, data: Any) -> ScriptForm | None:
        """Make a form from what `dataclasses.asdict` gave, None if it is not that."""
        if not isinstance(data, dict) or set(data) != set(cls.__slots__):
            return None
        form = cls(**data)
        texts = [form.header, form.lead, form.body, form.tail, form.source]
        good = all(isinstance(text, str) for text in texts) and form.kind in KINDS
        good = good and isinstance(form.style, list) and isinstance(form.metadata, dict)
        good = good and len(form.style) <= 2 and all(isinstance(part, str) for part in form.style)
        return form if good and (not form.header or _MARKER.match(form.header)) else None


@dataclass(slots=True)
class ScriptLayout:
    """What belongs to the whole file: its line end, and blank lines before the first marker."""

    newline: str = "\n"
    prefix: str = ""


def parse(text: str) -> tuple[list[Cell], ScriptLayout]:
    """Split a script into cells; an empty one has one empty code cell."""
    lines = _LINE.findall(text)
    marks = _markers(lines)
    ends = [*marks, len(lines)]
    counts = {end: text.count(end) for end in ("\n", "\r\n", "\r")}
    counts["\n"] -= counts["\r\n"]
    counts["\r"] -= counts["\r\n"]
    layout = ScriptLayout(newline=max(counts, key=lambda end: counts[end]))
    cells: list[Cell] = []
    opening = lines[: ends[0]]
    if not marks or any(line.strip() for line in opening):
        cells.append(_read("", opening, stable_id(0)))
    else:
        layout.prefix = "".join(opening)
    for start, end in zip(marks, ends[1:]):
        cells.append(_read(lines[start], lines[start + 1 : end], stable_id(len(cells))))
    cells[-1].form.final = True
    return cells, layout


def render(cells: list[Cell], layout: ScriptLayout) -> str:
    """Return the text of a script.

    A code cell whose own text has a marker line outside a string is read back as two cells.
    """
    return layout.prefix + "".join(piece for cell in _pieces(cells, layout) for piece in cell)


def first_lines(cells: list[Cell], layout: ScriptLayout) -> list[int]:
    """Return the line, from 1, on which each cell's source starts in the file."""
    line = 1 + _count_lines(layout.prefix)
    found = []
    for before, body, after in _pieces(cells, layout):
        line += _count_lines(before)
        found.append(line)
        line += _count_lines(body) + _count_lines(after)
    return found


# --- reading


def _markers(lines: list[str]) -> list[int]:
    """Return the indices of the lines that start a cell.

    A string left open up to the end of the file is taken for a slip of the pen (or an apostrophe
    in a shell line): the search starts again at the next marker after its opening.
    """
    marks: list[int] = []
    start = 0
    for _ in range(8):  # each round reads to the end; a file made to repeat it may not
        found, reopened = _scan(lines, start)
        if reopened is None:
            return marks + found
        marks += found
        later = (i for i in range(reopened + 1, len(lines)) if _MARKER.match(lines[i]))
        start = next(later, len(lines))
    return marks + [i for i in range(start, len(lines)) if _MARKER.match(lines[i])]


def _scan(lines: list[str], start: int) -> tuple[list[int], int | None]:
    """Find markers outside strings; also return the line of a triple quote never closed."""
    marks: list[int] = []
    quote = ""  # what closes the string we are in
    opened = start
    foreign = fresh = False  # in a cell of another language; before a cell's first line
    for index in range(start, len(lines)):
        line = lines[index]
        if not quote:
            if _MARKER.match(line):
                marks.append(index)
                foreign, fresh = False, True
                continue
            if fresh and line.strip():
                foreign = _is_foreign(line)
                fresh = line.lstrip().startswith("#")
            if foreign or ('"' not in line and "'" not in line) or _SKIPPED.match(line):
                continue
        was, quote, opens = quote, *_quote_after(line, quote)
        if opens or not was:
            opened = index
    return marks, opened if len(quote) == 3 else None


def _quote_after(line: str, quote: str) -> tuple[str, bool]:
    """Return what closes the string open at the end of a line, and whether it opened there."""
    position = 0
    opens = False
    while True:
        if quote:
            closing = re.compile(rf"\\.|{quote}", re.DOTALL)
            while (match := closing.search(line, position)) and match[0] != quote:
                position = match.end()
            if match is None:
                continues = len(quote) == 3 or line.rstrip("\r\n").endswith("\\")
                return (quote, opens) if continues else ("", False)
            position = match.end()
        match = _STRING.search(line, position)
        if match is None or match[0] == "#":
            return "", False
        token, position = match[0], match.end()
        quote = ""
        if len(token) == 3 and token == token[0] * 3:
            quote, opens = token, True
        elif len(token) == 1 or token[-1] != token[0]:  # not closed on this line
            return token[0] if line.rstrip("\r\n").endswith("\\") else "", True


def _is_foreign(line: str) -> bool:
    """Is this the first line of a cell in another language, where quotes mean nothing to us?"""
    match = re.match(r"\s*%%(\w+)", line)
    return match is not None and match[1] not in _PYTHON_MAGICS


def _read(header: str, lines: list[str], cell_id: str) -> Cell:
    first, last = 0, len(lines)
    while first < last and not lines[first].strip():
        first += 1
    while last > first and not lines[last - 1].strip():
        last -= 1
    body = "".join(lines[first:last])
    text = body.rstrip("\r\n")
    form = ScriptForm(header, body=text)
    if text:
        form.lead = "".join(lines[:first])
        form.tail = body[len(text) :] + "".join(lines[last:])
    else:
        form.tail = "".join(lines)
    form.kind, form.metadata = _read_header(header)
    form.source, form.style = _decode(re.sub("\r\n?", "\n", text), form.kind)
    return Cell(cell_id, form.kind, form.source, metadata=dict(form.metadata), form=form)


def _read_header(header: str) -> tuple[Kind, dict[str, Any]]:
    """Read the kind, the title and the options from a marker line."""
    match = _MARKER.match(header)
    if match is None:
        return "code", {}
    rest = header[match.end() :].strip().removeprefix(":").strip()
    option = _OPTION.search(rest) if len(rest) <= _MAX_OPTIONS else None
    words = rest[: option.start()] if option else rest
    kind: Kind = "code"
    bracket = _KIND.search(words)
    if bracket:
        kind = "raw" if bracket[1] == "raw" else "markdown"
        words = words[: bracket.start()] + words[bracket.end() :]
    metadata: dict[str, Any] = {}
    title = " ".join(words.split())
    if title:
        metadata["title"] = title
    if option:
        metadata |= _read_options(rest[option.start() :])
    return kind, metadata


def _read_options(text: str) -> dict[str, Any]:
    """Read `key=json` pairs; a value that is no JSON is a word up to the next space."""
    options: dict[str, Any] = {}
    decoder = json.JSONDecoder()
    position = 0
    while match := _OPTION.search(text, position):
        position = match.end()
        try:
            options[match[1]], position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            word = re.compile(r"\S*").match(text, position)
            options[match[1]] = word[0] if word else ""
            position += len(options[match[1]])
    return options


def _decode(text: str, kind: Kind) -> tuple[str, list[str]]:
    """Take a text cell out of its comment signs or quotes.

    The style is `["comment"]`, the opening and the closing of a quoted string, or empty where the
    text stands as it is.
    """
    if kind == "code" or not text:
        return text, [] if kind == "code" else ["comment"]
    lines = text.split("\n")
    if all(line.startswith("#") or not line.strip() for line in lines):
        return "\n".join(re.sub("^# ?", "", line) for line in lines), ["comment"]
    match = _QUOTED.fullmatch(text)
    if match and match[2] not in match[4]:
        return match[4], [match[1] + match[2] + match[3], match[5] + match[2]]
    return text, []


# --- writing


def _pieces(cells: list[Cell], layout: ScriptLayout) -> list[tuple[str, str, str]]:
    """Return what stands before each cell's source, the source as written, and what follows."""
    pieces: list[tuple[str, str, str]] = []
    newline = layout.newline
    gap = False  # does the cell before need a blank line after it?
    for index, cell in enumerate(cells):
        form = cell.form if isinstance(cell.form, ScriptForm) else None
        last = index == len(cells) - 1
        kept = form or ScriptForm(tail=newline if last else newline * 2)
        body, tail = kept.body, kept.tail
        if form is None or (cell.source, cell.kind) != (form.source, form.kind):
            body = _encode(cell, kept).replace("\n", _newline(kept, newline))
            if body and not kept.body and form is not None:
                tail = newline if last or not tail else newline + tail
        header = _header(cell, form, newline)
        if not header and index:  # it was the first cell, which needs no marker
            header = _marker("code", {}) + newline
        if header and (kept.lead or body) and not header.endswith(("\n", "\r")):
            header += newline
        if header and pieces:
            header = _separator(pieces[-1], newline, blank=gap or form is None) + header
        pieces.append((header + kept.lead, body, tail))
        gap = kept.final
    return pieces


def _separator(piece: tuple[str, str, str], newline: str, *, blank: bool) -> str:
    """Return what a marker needs before it to start a line, a new one after a blank line."""
    text = "".join(piece)
    if not text:
        return ""
    if not text.endswith(("\n", "\r")):
        return newline * (1 + blank)
    ends_blank = re.search(r"\n[ \t]*\n\Z", text.replace("\r\n", "\n").replace("\r", "\n"))
    return newline if blank and not ends_blank else ""


def _newline(form: ScriptForm, default: str) -> str:
    match = re.search(r"\r\n?|\n", form.body or form.tail or form.header)
    return match[0] if match else default


def _header(cell: Cell, form: ScriptForm | None, newline: str) -> str:
    """Return a cell's marker line: its own where neither kind nor metadata changed."""
    if form is None:
        return _marker(cell.kind, cell.metadata) + newline
    if cell.kind == form.kind and cell.metadata == form.metadata:
        return form.header
    if cell.metadata != form.metadata or not form.header:
        return _marker(cell.kind, cell.metadata) + newline
    ending = form.header[len(form.header.rstrip("\r\n")) :]
    mark = _MARKER.match(form.header)
    assert mark is not None
    sign = mark[0] if mark[0].endswith("%") else "# %%"
    rest = form.header[mark.end() :].rstrip("\r\n")
    rest = _KIND.sub("", rest, count=1) if form.kind != "code" else rest.removeprefix(":")
    words = [sign, "" if cell.kind == "code" else f"[{cell.kind}]", rest.strip()]
    return " ".join(word for word in words if word) + ending


def _marker(kind: Kind, metadata: dict[str, Any]) -> str:
    """Make a marker line for a new cell."""
    words = ["# %%"]
    options = dict(metadata)
    title = metadata.get("title")
    if isinstance(title, str) and _is_plain(title):
        words.append(options.pop("title"))
    if kind != "code":
        words.append(f"[{kind}]")
    for key, value in options.items():
        if key not in _VIEW_STATE and _OPTION.fullmatch(key + "="):
            words.append(f"{key}={json.dumps(value)}")
    return " ".join(words)


def _is_plain(title: str) -> bool:
    """Can a title stand on a marker line as it is, not as an option?"""
    one_line = title and title.isprintable() and title == " ".join(title.split())
    return bool(one_line) and "=" not in title and not _KIND.search(title)


def _encode(cell: Cell, form: ScriptForm) -> str:
    """Return an edited or new cell's source as Python text."""
    source, style = cell.source, form.style
    if cell.kind == "code" or not source:
        return source
    if cell.kind == form.kind and form.body and not style and _stands_alone(source, cell.kind):
        return source
    commented = "\n".join(f"# {line}" if line else "#" for line in source.split("\n"))
    if len(style) == 2:
        quoted = _quote(source, *style)
        return commented if quoted is None else quoted
    if any(_MARKER.match(line) for line in commented.split("\n")):  # would start a cell
        return _quote(source, '"""\n', '\n"""') or _quote(source, "'''\n", "\n'''") or commented
    return commented


def _stands_alone(source: str, kind: Kind) -> bool:
    """Would text be read back as it is, without comment signs or quotes?"""
    plain = _decode(source, kind)[1] == []
    return plain and not any(_MARKER.match(line) for line in source.split("\n"))


def _quote(source: str, opening: str, closing: str) -> str | None:
    """Put text between triple quotes, if it can stand there unchanged."""
    mark = closing.strip()
    if mark in source:
        return None
    if "\\" in source and opening[0] not in "rR":
        opening = "r" + opening  # so that LaTeX is not read as escape sequences
    if source.startswith("\n") and not opening.endswith("\n"):
        opening += "\n"
    if source.endswith(("\\", "\n", mark[0])) and not closing.startswith("\n"):
        closing = "\n" + closing
    return opening + source + closing


def _count_lines(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")
