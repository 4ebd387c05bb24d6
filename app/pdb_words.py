"""What users of pdb type at the prompt beside its own letters: `tbreak`, `ll`, `whatis`, ..."""

from __future__ import annotations

import inspect
import linecache
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from app.places import spelled
from framework.trace.conditions import format_line, parse_condition
from framework.trace.gate import GateError
from framework.trace.protocol import Breakpoint
from viewers.text import tensor_text

if TYPE_CHECKING:
    from app.console import Console

__all__ = ["PDB_WORDS", "displayed", "parameter_called", "statement"]

AROUND = 5  # lines that `list` shows before and after the one where the program stands


def statement(text: str) -> bool:
    """Is it Python that does something, and no expression?

    >>> statement("x = 3"), statement("del x"), statement("x == 3"), statement("x =")
    (True, True, False, False)
    """
    for mode in ("eval", "exec"):
        try:
            compile(text, "<prompt>", mode)
        except (SyntaxError, ValueError):
            continue
        return mode == "exec"
    return False


def parameter_called(console: Console, text: str) -> int:
    """The newest parameter that the tape calls so, or by a name of this end; 0 for what is Python.

    Raises GateError, in one line, where several have that end.
    """
    if "." not in text or not text.replace(".", "a").replace("_", "a").isalnum():
        return 0
    recorder = console.gate.recorder
    try:
        console.gate.evaluate(text, console.frame)
    except GateError:
        try:
            full = recorder.naming.find(text)
        except ValueError as error:
            raise GateError(str(error)) from None
        named = [i for i, name in list(recorder.names.items()) if full and name == full]
        return max(named, default=0)
    return 0  # the program's own names come first


def temporary(console: Console, text: str) -> None:
    """``tbreak``: as ``b``, once."""
    console.stop_at(text, once=True)


def switch(console: Console, text: str, on: bool) -> None:
    """``enable`` and ``disable``: breakpoints by their numbers; without one, all of them."""
    points = console.gate.breakpoints
    wanted = text.replace(",", " ").split() or [str(p.id) for p in points]
    if unknown := [word for word in wanted if word not in {str(p.id) for p in points}]:
        console.say([f"there is no breakpoint {unknown[0]}: b lists them"])
        return
    changed = [msgspec.structs.replace(p, enabled=on) if str(p.id) in wanted else p for p in points]
    console.gate.set_breakpoints(changed)
    word = "on" if on else "off"
    console.say([f"breakpoint {number} is {word}" for number in wanted] or ["no breakpoints"])


def condition(console: Console, text: str) -> None:
    """``condition 1 norm > 3``: the breakpoint's condition from now on; ``condition 1``: none."""
    number, _, rest = text.partition(" ")
    points = console.gate.breakpoints
    if number not in {str(p.id) for p in points}:
        console.say([f"condition 1 norm > 3: got {number!r}, expected a number that b lists"])
        return
    wanted = rest.strip()
    try:
        terms = " and ".join(map(str, parse_condition(wanted)))
    except ValueError:  # of what pdb takes, any Python; here that is a `where`
        terms = f"where {wanted}"
    changed = [
        msgspec.structs.replace(p, condition=terms if wanted else "") if str(p.id) == number else p
        for p in points
    ]
    accepted = console.gate.set_breakpoints(changed)
    point = next(p for p in accepted if str(p.id) == number)
    console.say([point.error or f"breakpoint {number}: {_line(console, point)}"])


def _line(console: Console, point: Breakpoint) -> str:
    return format_line(spelled(point, console.names))


def around(console: Console, text: str) -> None:
    """``list``: the lines around where the frame stands, or around another line."""
    stack = console.gate.stack()
    if not stack:
        console.say(["no frames"])
        return
    file, line = stack[console.frame].source.file, stack[console.frame].source.line
    middle = int(text) if text.isdigit() else line
    _listed(console, file, max(1, middle - AROUND), middle + AROUND, line)


def whole(console: Console, _: str) -> None:
    """``ll``: the function, or the file, in which the frame stands."""
    frame = console.gate.frame_at(console.frame)
    if frame is None:
        around(console, "")
        return
    code = frame.f_code
    lines, first = linecache.getlines(code.co_filename), code.co_firstlineno
    last = len(lines)
    if code.co_name != "<module>":
        last = first - 1 + len(inspect.getblock(lines[first - 1 :]))
    _listed(console, code.co_filename, first, last, console.gate.stack()[console.frame].source.line)


def _listed(console: Console, file: str, first: int, last: int, at: int) -> None:
    lines = linecache.getlines(file)
    if not lines:
        console.say([f"the source of {file} is not there"])
        return
    stops = {p.line for p in console.gate.breakpoints if os.path.basename(file) in p.file}
    found = []
    for number in range(first, min(last, len(lines)) + 1):
        mark = ("B" if number in stops else " ") + ("→" if number == at else " ")
        found.append(f"{mark} {number:>4}  {lines[number - 1].rstrip()}"[:200].rstrip())
    console.say(found or [f"{os.path.basename(file)} has {len(lines)} lines"])


def kind(console: Console, text: str) -> None:
    """``whatis EXPR``: its type; of a tensor its shape."""
    found = console.gate.evaluate(text or "it", console.frame)
    meta = found.tensor
    about = f"  {tensor_text(meta.dtype, meta.shape, meta.device)}" if meta is not None else ""
    console.say([f"{found.type}{about}"])


def arguments(console: Console, _: str) -> None:
    """``args``: those of the frame's function."""
    frame = console.gate.frame_at(console.frame)
    if frame is None:
        console.say(["no frames"])
        return
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    names = code.co_varnames[:count]
    held = {v.name: v.text for v in console.gate.variables(console.frame)}
    console.say([f"{n} = {held[n]}" for n in names if n in held] or ["it takes no arguments"])


def display(console: Console, text: str) -> None:
    """``display EXPR``: its value at every stop; without one, now."""
    if text:
        console.gate.evaluate(text, console.frame)  # what cannot be evaluated is not displayed
        console.displayed[text] = None
    displayed(console)


def undisplay(console: Console, text: str) -> None:
    """``undisplay EXPR``: no more; without one, nothing at all."""
    if text and text not in console.displayed:
        console.say([f"{text} is not displayed"])
    elif text:
        del console.displayed[text]
    else:
        console.displayed.clear()


def displayed(console: Console) -> None:
    """What `display` was told, as it is now."""
    for text in console.displayed:
        try:
            console.say([f"{text} = {console.gate.evaluate(text, console.frame).text}"])
        except GateError as error:
            console.say([f"{text}: {error}"])


PDB_WORDS: dict[str, Callable[[Console, str], None]] = {
    "tbreak": temporary,
    "enable": lambda console, text: switch(console, text, True),
    "disable": lambda console, text: switch(console, text, False),
    "condition": condition,
    "list": around,
    "ll": whole,
    "longlist": whole,
    "whatis": kind,
    "args": arguments,
    "display": display,
    "undisplay": undisplay,
}
