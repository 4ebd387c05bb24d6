"""What is drawn where a terminal's encoding lacks a character: one of ASCII that looks like it."""

from __future__ import annotations

import codecs

__all__ = ["ERRORS", "register"]

ERRORS = "tapebook.lookalike"  # the name of the error handler of streams

_TABLE = {
    "-": "─━═╌┄‐‑–—", "|": "│┃║┆┊", "+": "┌┐└┘├┤┬┴┼╭╮╯╰┏┓┗┛┣┫", "*": "●•▇", "o": "○◦", ">": "▶▷▸→",
    "<": "◀◁←", "v": "▾▼↓", "^": "▴▲↑", "#": "█▌▐▮▓", "_": "▁▯", ".": "▂░…·", ":": "▃▒", "=": "▄▅",
    "%": "▆", "V": "✓", "x": "✗×", "e": "⏎", "@": "↻", "g": "∇", "u": "µμ", "~": "±≈", "!": "⚠",
    "'": "‘’", '"': "“”", " ": "\u00a0\u2009",
}  # fmt: skip
_ALIKE = {character: plain for plain, characters in _TABLE.items() for character in characters}


def _put(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_ALIKE.get(character, "?") for character in lacking), error.end


def register() -> None:
    """Make the handler known.

    >>> register()
    >>> "─ cell 2 ── ✓ 5.1 µs ▶ λ".encode("ascii", ERRORS).decode()
    '- cell 2 -- V 5.1 us > ?'
    """
    codecs.register_error(ERRORS, _put)
