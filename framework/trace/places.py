"""Where recorded code stands in its file, whose it is, and what it calls a value."""

from __future__ import annotations

import os
from types import CodeType, FrameType
from typing import Any

__all__ = ["internal", "line_of", "user_frame", "variable_name"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep

_lines: dict[tuple[int, int], tuple[CodeType, int]] = {}  # by code and instruction
internal: dict[str, bool] = {}  # whether a source file is one of the framework's own


def user_frame(frame: FrameType | None) -> FrameType | None:
    """The innermost frame from ``frame`` outwards that is not the framework's own."""
    while frame is not None:
        filename = frame.f_code.co_filename
        inside = internal.get(filename)
        if inside is None:
            inside = filename.startswith((_PACKAGE, "<frozen", "<__array_function__"))
            internal[filename] = inside
        if not inside:
            break
        frame = frame.f_back
    return frame


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
