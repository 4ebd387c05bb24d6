"""What a cell showed: streams, displays and errors, with text bounded while it is produced.

A cell may print a gigabyte. A `Stream` keeps the first and the last part of what is appended to it
and counts the rest, so memory stays constant; it also applies carriage returns and backspaces, so
a progress bar is one line and not ten thousand.
"""

from __future__ import annotations

import base64
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "Stream",
    "Display",
    "Error",
    "Hidden",
    "Output",
    "bounded",
    "put_out",
    "scrub",
    "valid",
    "weight",
]

HEAD_CHARS = 100_000
HEAD_LINES = 1_000
TAIL_CHARS = 400_000
TAIL_LINES = 4_000
CHUNK = 8_192  # small appends are gathered into chunks of about this size
DISPLAY_CHARS = 32_000_000  # a single mime value above this is not kept

_SURROGATE = re.compile("[\ud800-\udfff]")
# What a line that overwrites itself is made of: escapes, the two movers, characters.
_TOKEN = re.compile(r"\x1b\[([0-?]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|.", re.DOTALL)
_CUT_OFF = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*)?\Z")


class Stream:
    """Text written to `stdout` or `stderr`.

    Constructed with text (from a file), it holds exactly that text. `append` is the bounded way in.
    """

    __slots__ = (
        "_head",
        "_line",
        "_lines",
        "_open",
        "_size",
        "_tail",
        "_text",
        "hidden_chars",
        "hidden_lines",
        "name",
        "raw",
    )

    def __init__(self, name: str, text: str = "", *, raw: dict[str, Any] | None = None) -> None:
        self.name = name
        self.raw = raw  # the JSON object it was read from, where ours would be written differently
        self._head = text
        self._open = not text  # may the head still grow?
        self._tail: deque[str] = deque()
        self._size = self._lines = 0  # of the tail
        self._line = ""  # the unfinished last line; see _overwritten for its form
        self._text: str | None = text
        self.hidden_chars = self.hidden_lines = 0

    def __repr__(self) -> str:
        return f"Stream({self.name!r}, {self.text!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Stream):
            return NotImplemented
        return (self.name, self.text) == (other.name, other.text)

    __hash__ = None  # type: ignore[assignment]

    @property
    def text(self) -> str:
        """The text as it is kept, shown and saved, with a marker where lines are hidden."""
        if self._text is None:
            tail = "".join(self._tail) + self._line.partition("\r")[0]
            self._text = self._head + (self._marker(tail) if self.hidden_chars else tail)
        return self._text

    @property
    def shown(self) -> str:
        """The text bounded and with its carriage returns applied, also where a file has it raw."""
        if self._open or self._tail or self._line:
            return self.text
        return bounded(self.text)

    @property
    def size(self) -> int:
        """How many characters are held."""
        return len(self._head) + self._size + len(self._line)

    def append(self, text: str) -> None:
        """Add text at the end: amortised constant time and memory per character."""
        self._text = self.raw = None
        text = self._line + text
        if "\r" in text or "\b" in text:
            text = _overwritten(text)
        cut = text.rfind("\n") + 1
        whole, self._line = text[:cut], text[cut:]
        if len(self._line) > CHUNK:  # a carriage return no longer reaches back into this part
            whole, self._line = whole + self._line.partition("\r")[0], ""
        self._push(whole)

    def _push(self, text: str) -> None:
        if self._open and text:
            text = self._fill_head(text)
        if not text:
            return
        text = self._last_part(text)
        if self._tail and len(self._tail[-1]) + len(text) <= CHUNK:
            self._tail[-1] += text
        else:
            self._tail.append(text)
        self._size += len(text)
        self._lines += text.count("\n")
        while len(self._tail) > 1:
            oldest = self._tail[0]
            lines = oldest.count("\n")
            if self._size - len(oldest) < TAIL_CHARS and self._lines - lines < TAIL_LINES:
                break
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        oldest = self._tail.popleft()
        lines = oldest.count("\n")
        self._size -= len(oldest)
        self._lines -= lines
        self.hidden_chars += len(oldest)
        self.hidden_lines += lines

    def _fill_head(self, text: str) -> str:
        """Give the head what it can still take and return the rest."""
        room = HEAD_CHARS - len(self._head)
        lines = HEAD_LINES - self._head.count("\n")
        if len(text) <= room and text.count("\n") <= lines:
            self._head += text
            return ""
        self._open = False
        cut = text.rfind("\n", 0, room) + 1 or room
        kept = text[:cut].split("\n", lines)
        if len(kept) > lines:
            cut = sum(len(line) + 1 for line in kept[:lines])
        self._head += text[:cut]
        return text[cut:]

    def _last_part(self, text: str) -> str:
        """Cut one huge append down to what the tail can hold, so that it is never stored."""
        cut = max(0, len(text) - TAIL_CHARS)
        if text.count("\n", cut) > TAIL_LINES:
            cut = len(text) - len("\n".join(text[cut:].rsplit("\n", TAIL_LINES + 1)[1:]))
        if cut <= CHUNK:
            return text
        while self._tail:  # what came before the part that goes must go too
            self._drop_oldest()
        self.hidden_chars += cut
        self.hidden_lines += text.count("\n", 0, cut)
        return text[cut:]

    def _marker(self, tail: str) -> str:
        """The tail from its first whole line on, after a line that says how much is missing."""
        if self.hidden_lines == 0 and "\n" not in tail[:CHUNK]:
            return f" [{self.hidden_chars:,} characters hidden] {tail}"
        lines = self.hidden_lines
        cut = tail.find("\n", 0, CHUNK) + 1
        if 0 < cut < len(tail):
            lines += 1
        else:
            cut = 0
        start = "" if not self._head or self._head.endswith("\n") else "\n"
        return f"{start}[{lines:,} line{'s' * (lines != 1)} hidden]\n{tail[cut:]}"


@dataclass(slots=True)
class Display:
    """A rich output: one value per mime type; `result` says that it is the cell's value."""

    data: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)
    execution_count: int | None = None
    result: bool = False
    display_id: str | None = None  # for later updates while the kernel lives; not saved
    raw: dict[str, Any] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.result = self.result or self.execution_count is not None


@dataclass(slots=True)
class Error:
    """An exception that ended the cell; the traceback's lines may hold colour codes."""

    ename: str
    evalue: str
    traceback: list[str] = field(default_factory=list)
    raw: dict[str, Any] | None = field(default=None, repr=False, compare=False)


def put_out(message: Any, spell: Callable[[str], str]) -> tuple[Stream | Display | Error, str]:
    """What a cell put out (`protocol.Output`), for the notebook, and its text for the log.

    ``spell`` makes a text of errors in which cells are called by their numbers.
    """
    if message.kind == "stream":
        return Stream(message.name or "stdout", message.text), message.text
    if message.kind == "error":
        rows = [spell(row) for row in message.traceback]
        return Error(message.ename, spell(message.evalue), rows), "\n".join(rows) + "\n"
    result = message.kind == "result"
    plain = message.data.get("text/plain", "")
    shown = Display(
        message.data, message.metadata, message.count if result else None, result,
        message.display_id or None,
    )  # fmt: skip
    return shown, f"{plain}\n" if plain else ""


@dataclass(slots=True, frozen=True)
class Hidden:
    """Stands where so many outputs of a cell were dropped; saved as a line of text."""

    count: int

    @property
    def text(self) -> str:
        return f"[{self.count:,} output{'s' * (self.count != 1)} hidden]\n"


Output = Stream | Display | Error | Hidden


def bounded(text: str) -> str:
    """Return text as a stream would show it: overwritten parts gone, the middle of much hidden."""
    if len(text) <= CHUNK and "\r" not in text and "\b" not in text:
        return text
    stream = Stream("stdout")
    stream.append(text)
    return stream.text


def weight(output: Output) -> int:
    """Return about how many characters an output holds in memory."""
    match output:
        case Stream():
            return output.size
        case Display():
            return 64 + sum(_length(value) for value in output.data.values())
        case Error():
            return len(output.evalue) + sum(map(len, output.traceback))
        case Hidden():
            return 0


def scrub(output: Output) -> Output:
    """Return an output from a live cell in the form it is kept in.

    Lone surrogates become U+FFFD (no UTF-8 file can hold them), bytes become base64 as in Jupyter,
    and a value too large to keep becomes a line that says so. Streams are bounded.
    """
    match output:
        case Stream():
            kept = Stream(output.name)
            kept.append(valid(output.text))
            return kept
        case Display():
            data = {mime: _value(mime, value) for mime, value in output.data.items()}
            count, result = output.execution_count, output.result
            return Display(data, dict(output.metadata), count, result, output.display_id)
        case Error():
            traceback = [bounded(valid(line)) for line in output.traceback]
            if len(traceback) > HEAD_LINES:
                half = HEAD_LINES // 2
                note = f"[{len(traceback) - 2 * half:,} lines hidden]"
                traceback = [*traceback[:half], note, *traceback[-half:]]
            return Error(valid(output.ename), bounded(valid(output.evalue)), traceback)
        case Hidden():
            return output


def valid(text: str) -> str:
    """Replace lone surrogates, which stand for bytes that were no UTF-8."""
    return _SURROGATE.sub("\ufffd", text) if _SURROGATE.search(text) else text


def _value(mime: str, value: Any) -> Any:
    if isinstance(value, bytes):
        value = base64.b64encode(value).decode("ascii")
    if isinstance(value, str):
        if len(value) > DISPLAY_CHARS:
            return f"[{len(value):,} characters of {mime} hidden]"
        return bounded(valid(value)) if mime == "text/plain" else valid(value)
    return value


def _length(value: Any) -> int:
    """Count the characters in a JSON value without recursion."""
    total, stack = 0, [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
        total += len(item) if isinstance(item, str) else 8
    return total


def _overwritten(text: str) -> str:
    """Apply carriage returns and backspaces as a terminal does, line by line.

    An unfinished last line whose cursor is not at its end comes back as the line, a carriage
    return, and what brings the cursor back to its place: applying that again gives the same state,
    so more text can simply be added to it.
    """
    text = text.replace("\r\n", "\n")
    if "\r" not in text and "\b" not in text:
        return text
    lines = text.split("\n")
    last = len(lines) - 1
    for index, line in enumerate(lines):
        if "\b" in line or ("\r" in line and "\x1b" in line):
            shown, resume = _typed(line)
        elif "\r" in line:
            shown = resume = ""
            for resume in line.split("\r"):
                shown = resume + shown[len(resume) :]
            resume = "\r" + resume if len(resume) < len(shown) else ""
        else:
            continue
        lines[index] = shown + resume if index == last else shown
    return "\n".join(lines)


def _typed(line: str) -> tuple[str, str]:
    """Type one line with escapes in it; return the line, and what puts the cursor back in it.

    Every character keeps the colour it was written in. `ESC [ K` erases, as progress bars expect;
    other escapes are dropped. An escape cut off at the end waits for its rest.
    """
    match = _CUT_OFF.search(line)
    rest = match[0] if match else ""
    cells: list[tuple[str, str]] = []  # colour codes since the last reset, character
    column, pen = 0, ""
    for match in _TOKEN.finditer(line, 0, len(line) - len(rest)):
        token, parameters, final = match[0], match[1], match[2]
        if token == "\r":
            column = 0
        elif token == "\b":
            column = max(0, column - 1)
        elif final == "m":
            reset = parameters.startswith(("0", ";")) or not parameters
            pen = "" if parameters in ("", "0") else ("" if reset else pen[-200:]) + token
        elif final == "K":
            if parameters in ("", "0"):
                del cells[column:]
            elif parameters == "2":
                cells.clear()
            else:
                cells[:column] = [("", " ")] * min(column, len(cells))
        elif token[0] != "\x1b":
            cells += [("", " ")] * (column - len(cells))
            cells[column : column + 1] = [(pen, token)]
            column += 1
    shown = _coloured(cells, "", pen)
    if column == len(cells) and not rest:
        return shown, ""
    before = cells[:column] + [("", " ")] * (column - len(cells))
    return shown, "\r" + _coloured(before, pen, pen) + rest


def _coloured(cells: list[tuple[str, str]], pen: str, after: str) -> str:
    """Write cells with the codes between them that take one colour to the next."""
    parts: list[str] = []
    for colour, character in [*cells, (after, "")]:
        if colour != pen:
            extends = colour.startswith(pen) and colour
            parts.append(colour[len(pen) :] if extends else "\x1b[0m" + colour)
            pen = colour
        parts.append(character)
    return "".join(parts)
