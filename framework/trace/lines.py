"""Stops at source lines, through the interpreter's trace hook.

The hook is installed on the model's thread only while somebody steps by line, pauses, or has a
breakpoint on a line, and only code that can stop gets the dearer per-line hook: everything else
costs one dictionary lookup per call.
"""

from __future__ import annotations

import ctypes
import inspect
import sys
from collections import deque
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from framework.trace.breakpoints import Compiled
from framework.trace.frames import is_user_frame, user_frames

__all__ = ["Lines", "call_in_main_thread"]


class Lines:
    """What the trace hook is to stop at.

    Args:
        halt: called before a line that is to be stopped at, with the frame and the breakpoint
            that was hit (None: a step or a pause has arrived).
        counts: whether a breakpoint whose line has come is one to stop at.
    """

    def __init__(
        self,
        halt: Callable[[FrameType, Compiled | None], None],
        counts: Callable[[Compiled], bool],
    ) -> None:
        self._halt = halt
        self._counts = counts
        self._breakpoints: list[Compiled] = []
        self._codes: dict[int, tuple[CodeType, bool]] = {}
        self._steps: list[FrameType] = []  # frames whose next line ends a step
        self._file = ""  # of the cell whose next statement ends it, too
        self.pausing = False  # any line of the user's ends it

    @property
    def wanted(self) -> bool:
        return bool(self._breakpoints or self._steps or self.pausing)

    def set_breakpoints(self, breakpoints: list[Compiled]) -> None:
        self._breakpoints = breakpoints
        self._codes = {}

    def step_from(self, frame: FrameType) -> None:
        """Stop at the next line of the innermost user frame, or of one further out."""
        self._steps = user_frames(frame)
        # A cell's statements are frames of their own, one after the other.
        outermost = self._steps[-1].f_code if self._steps else None
        self._file = outermost.co_filename if outermost and _is_top_level(outermost) else ""

    def forget_step(self) -> None:
        self._steps = []
        self._file = ""
        self.pausing = False

    def install(self, frame: FrameType) -> None:
        """Install or remove the hook; on the model's thread, ``frame`` being a frame of it."""
        if not self.wanted:
            self.remove()
            return
        for f in user_frames(frame):
            if self.pausing or f in self._steps or self._has_breakpoint(f.f_code):
                f.f_trace = self._line
        sys.settrace(self._call)

    def remove(self) -> None:
        """Remove the hook, on the model's thread."""
        if sys.gettrace() == self._call:
            sys.settrace(None)

    def _has_breakpoint(self, code: CodeType) -> bool:
        known = self._codes.get(id(code))
        if known is None or known[0] is not code:
            lines = {b.spec.line for b in self._breakpoints if b.file(code.co_filename)}
            found = bool(lines) and any(line in lines for _, _, line in code.co_lines())
            known = self._codes[id(code)] = (code, found)
        return known[1]

    # -- the hooks: the interpreter calls them on the model's thread -------------------------------

    def _call(self, frame: FrameType, event: str, arg: Any) -> Any:
        """A function is entered: is there anything to stop at in it?"""
        code = frame.f_code
        if self._has_breakpoint(code):
            return self._line
        if self._file and code.co_filename == self._file and _is_top_level(code):
            self._steps.append(frame)
            return self._line
        return self._line if self.pausing and is_user_frame(frame) else None

    def _line(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line":
            hit = None
            for b in self._breakpoints:
                here = b.spec.line == frame.f_lineno and b.file(frame.f_code.co_filename)
                if here and self._counts(b):
                    hit = hit or b
            if self.pausing or any(f is frame for f in self._steps):
                self._halt(frame, None)
            elif hit is not None:
                self._halt(frame, hit)
        return self._line


def _is_top_level(code: CodeType) -> bool:
    return not code.co_flags & inspect.CO_NEWLOCALS


# -- a way into a thread that makes no events --------------------------------------------------

_calls: deque[Callable[[], None]] = deque()


def call_in_main_thread(function: Callable[[], None]) -> None:
    """Have the interpreter run a function in the main thread between two of its instructions.

    The way a signal handler gets there, but without interrupting a system call.
    """
    _calls.append(function)
    if ctypes.pythonapi.Py_AddPendingCall(_run_calls, None):
        _calls.pop()  # its queue is full: the next event will do


@ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
def _run_calls(_: Any) -> int:
    while _calls:
        _calls.popleft()()
    return 0
