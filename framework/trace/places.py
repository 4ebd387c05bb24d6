"""Where recorded code stands in its file, whose it is, and what it calls a value."""

from __future__ import annotations

import os
from types import CodeType, FrameType
from typing import Any

__all__ = ["holder_of", "internal", "line_of", "user_frame", "variable_name"]

FRAMES = 10  # outwards, in which the name of a parameter is looked for

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


def holder_of(value: Any, frame: FrameType | None) -> tuple[str, Any]:
    """What the frames from ``frame`` outwards have a parameter by.

    The name of a variable that is ``value``, or of a list or a dict with its place in that; or a
    module that holds it. ("", None) if nothing of theirs has it.
    """
    frame = user_frame(frame)
    for _ in range(FRAMES):
        if frame is None:
            break
        places = [frame.f_locals, getattr(frame.f_locals.get("self"), "__dict__", {})]
        if frame.f_globals is not frame.f_locals:
            places.append(frame.f_globals)
        for known in places:
            known = {k: v for k, v in list(known.items()) if not k.startswith("_")}
            for thing in known.values():
                module = hasattr(type(thing), "named_modules")
                if module and any(p is value for p in thing.parameters()):
                    return "", thing
            for name, thing in known.items():
                if thing is value:
                    return name, None
                inside: Any = enumerate(thing) if type(thing) in (list, tuple) else ()
                inside = thing.items() if type(thing) is dict else inside
                key = next((k for k, item in inside if item is value), None)
                if key is not None:
                    return f"{name}.{key}", None
        frame = user_frame(frame.f_back)
    return "", None


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
