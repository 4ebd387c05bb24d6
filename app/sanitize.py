"""Make untrusted text safe to show in a terminal: the one gate for every string not written here.

A name, a printed line or a traceback may carry escape sequences (retitle the window, write the
clipboard), direction overrides that reorder what is read, or characters nobody can see.
`clean` turns all of them into something visible; `clean_sgr` does the same but keeps colours, as
data. Neither returns a control character other than the line feed.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Segment", "clean", "clean_sgr"]

REPLACEMENT = "\ufffd"

# Invisible or reordering code points: bidi controls, zero-width characters, line separators that
# `str.splitlines` honours, fillers that Python accepts in identifiers, tags, byte order marks.
_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\U00013430-\U0001345f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_UNSAFE = re.compile(f"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff{_INVISIBLE}]")
_RARE = re.compile(f"[\x80-\x9f\ud800-\udfff{_INVISIBLE}]")
_CARET = {code: "^" + chr(code ^ 0x40) for code in (*range(0x20), 0x7F) if chr(code) not in "\t\n"}

# One well-formed escape sequence. The lengths are capped so that a sequence that never ends hides
# nothing: past the cap its introducer is shown and the rest is ordinary text.
_SEQUENCE = re.compile(
    r"\x1b\[(?P<sgr>[0-9;:]{0,96})m"
    r"|(?P<drop>\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~]"  # cursor moves, erasing, modes
    r"|\x1b\]8;[^\x07\x1b\n]{0,2048}(?:\x07|\x1b\\))"  # a hyperlink: its text stays
    r"|(?P<mark>\x1b[P\]X^_][^\x07\x1b\n]{0,8192}(?:\x07|\x1b\\))"  # OSC, DCS, ...: an attempt
)

_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_ON = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse", 9: "strike", 21: "underline"}
_OFF = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 27: ("reverse",), 29: ("strike",)}


class Segment(NamedTuple):
    """A run of text in one style; the style reads as `bold red on blue`, or is empty.

    Colours are one of eight names, the same with `bright_` before it, `color(0)` to `color(255)`,
    or `#rrggbb`.
    """

    style: str
    text: str


def clean(text: str, *, keep_newlines: bool = True, tab: int = 8) -> str:
    """Return the text with every control, escape, bidi or invisible character made visible.

    C0 controls become `^X`, everything else unsafe becomes U+FFFD, tabs become spaces. Line feeds
    stay, or become spaces where `keep_newlines` is false.

        >>> clean("a\\x1b[31mb\\u202e")
        'a^[[31mb\ufffd'
    """
    if _UNSAFE.search(text) is not None:
        text = _visible(text).expandtabs(tab)
    return text if keep_newlines else text.replace("\n", " ")


def clean_sgr(text: str, *, tab: int = 8) -> list[Segment]:
    """Split text into styled segments, keeping colours and nothing else an escape can do.

    Cursor moves and hyperlinks are dropped, other escape strings leave a U+FFFD. Concealed and
    blinking text is shown plainly, and so is text in the colour of its own background.
    """
    if _UNSAFE.search(text) is None:
        return [Segment("", text)] if text else []
    segments: list[Segment] = []
    pen = _Pen()
    column = position = 0

    def add(piece: str) -> None:
        nonlocal column
        if _UNSAFE.search(piece) is not None:
            piece = _visible(piece)
        if "\t" in piece:
            piece = (" " * column + piece).expandtabs(tab)[column:]
        if not piece:
            return
        newline = piece.rfind("\n")
        column = (len(piece) - newline - 1 + (0 if newline >= 0 else column)) % tab
        style = pen.style()
        if segments and segments[-1].style == style:
            piece = segments.pop().text + piece
        segments.append(Segment(style, piece))

    for match in _SEQUENCE.finditer(text):
        add(text[position : match.start()])
        position = match.end()
        if match["sgr"] is not None:
            pen.apply(match["sgr"])
        elif match["mark"] is not None:
            add(REPLACEMENT)
    add(text[position:])
    return segments


def _visible(text: str) -> str:
    """Replace every unsafe character but the tab, which needs its column."""
    text = text.replace("\r\n", "\n").translate(_CARET)
    return _RARE.sub(REPLACEMENT, text)


class _Pen:
    """The graphic state that SGR codes build up."""

    __slots__ = ("attributes", "background", "foreground")

    def __init__(self) -> None:
        self.attributes: set[str] = set()
        self.foreground = ""
        self.background = ""

    def style(self) -> str:
        words = [name for name in dict.fromkeys(_ON.values()) if name in self.attributes]
        if self.foreground != self.background:  # the same colour twice only serves to hide text
            words += [self.foreground] if self.foreground else []
            words += ["on", self.background] if self.background else []
        return " ".join(words)

    def apply(self, codes: str) -> None:
        """Apply the parameters of one SGR sequence; what is unknown changes nothing."""
        fields = codes.split(";")
        index = 0
        while index < len(fields):
            parts = [int(part) if part else 0 for part in fields[index].split(":")]
            index += 1
            if parts[0] not in (38, 48):
                self._simple(parts)
                continue
            if len(parts) == 1:  # the old form: 38;5;n and 38;2;r;g;b
                length = {"5": 2, "2": 4}.get(fields[index], 1) if index < len(fields) else 0
                rest = fields[index : index + length]
                index += length
                numbers = [int(part) if part.isdigit() else -1 for part in rest]
            else:  # 38:5:n, 38:2:r:g:b, and 38:2:space:r:g:b
                numbers = parts[1:]
                if numbers[0] == 2 and len(numbers) >= 5:
                    del numbers[1]
                numbers = numbers[: 2 if numbers[0] == 5 else 4]
            self._extended(parts[0], numbers)

    def _simple(self, parts: list[int]) -> None:
        code = parts[0]
        if code == 0:
            self.attributes.clear()
            self.foreground = self.background = ""
        elif code == 4 and len(parts) > 1 and parts[1] == 0:
            self.attributes.discard("underline")
        elif code in _ON:
            self.attributes.add(_ON[code])
        elif code in _OFF:
            self.attributes.difference_update(_OFF[code])
        elif code == 39:
            self.foreground = ""
        elif code == 49:
            self.background = ""
        elif 30 <= code <= 37 or 90 <= code <= 97:
            self.foreground = ("bright_" if code >= 90 else "") + _COLOURS[code % 10]
        elif 40 <= code <= 47 or 100 <= code <= 107:
            self.background = ("bright_" if code >= 100 else "") + _COLOURS[code % 10]

    def _extended(self, code: int, numbers: list[int]) -> None:
        if any(not 0 <= number <= 255 for number in numbers):
            return
        if len(numbers) == 2 and numbers[0] == 5:
            colour = f"color({numbers[1]})"
        elif len(numbers) == 4 and numbers[0] == 2:
            colour = "#{:02x}{:02x}{:02x}".format(*numbers[1:])
        else:
            return
        if code == 38:
            self.foreground = colour
        else:
            self.background = colour
