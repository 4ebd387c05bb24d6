"""Where recorded code stands in its file, and what that code calls a value."""

from __future__ import annotations

from types import CodeType, FrameType
from typing import Any

__all__ = ["line_of", "variable_name"]

_lines: dict[tuple[int, int], tuple[CodeType, int]] = {}  # by code and instruction


def variable_name(value: Any, frame: FrameType | None) -> str | None:
    """The name that ``frame`` (or the ``self`` in it) has for ``value``."""
    if frame is None:
        return None
    for name, found in list(frame.f_locals.items()):
        if found is value and not name.startswith("_"):
            return name
    owner = frame.f_locals.get("self")
    for name, found in list(getattr(owner, "__dict__", {}).items()):
        if found is value:
            return name
    if frame.f_globals is not frame.f_locals:
        for name, found in list(frame.f_globals.items()):
            if found is value and not name.startswith("_"):
                return name
    return None


def line_of(code: CodeType | None, lasti: int | None) -> int:
    """The source line of an instruction; 0 if it has none."""
    if code is None or lasti is None:
        return 0
    key = (id(code), lasti)
    found = _lines.get(key)
    if found is None or found[0] is not code:
        line = 0
        for start_, end, number in code.co_lines():
            if start_ <= lasti < end:
                line = number or 0
                break
        found = _lines[key] = (code, line)
        if len(_lines) > 100_000:
            _lines.clear()
    return found[1]
