"""The user's frames at a stop: call stack, variables, expressions.

Everything here runs on a service thread while the model's thread is blocked (or runs on), reads
that thread's frames, and returns plain data. Frames of the framework, of installed packages, of the
standard library and of what `hide` was told are left out.
"""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
import types
from collections import OrderedDict
from collections.abc import Mapping
from types import FrameType
from typing import Any

from framework.trace import sink
from framework.trace.events import Source, TensorMeta
from framework.trace.protocol import Frame, Variable
from framework.trace.reader import describe, short, tensor_meta

__all__ = [
    "Adhoc",
    "evaluate",
    "hide",
    "host",
    "is_user_file",
    "is_user_frame",
    "source",
    "stack",
    "user_frames",
    "variables",
]

MAX_FRAMES = 100
MAX_VARIABLES = 500
TEXT = 120

_hidden: list[str] = []
_hosts: set[str] = set()
_known: dict[str, bool] = {}


def hide(*directories: str) -> None:
    """Leave frames of files in these directories out of every stack."""
    _hidden.extend(os.path.join(d, "") for d in directories)
    _known.clear()


def host(file: str) -> None:
    """Say that a file runs the user's code: what called it is never the user's."""
    _hosts.add(file)


_STDLIB = os.path.join(sysconfig.get_path("stdlib"), "")
hide(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def is_user_file(name: str) -> bool:
    """Is this the user's code, as far as a file name can tell? Installed packages are not."""
    found = _known.get(name)
    if found is None:
        if name.startswith("<"):
            found = not name.startswith(("<frozen", "<__array_function__", "<ipython"))
        else:
            found = not (
                name.startswith((_STDLIB, *_hidden))
                or f"{os.sep}site-packages{os.sep}" in name
                or f"{os.sep}dist-packages{os.sep}" in name
            )
        _known[name] = found
    return found


def is_user_frame(frame: FrameType) -> bool:
    """Is this the user's code? What a dataclass of any module is made of is called ``<string>``."""
    name = frame.f_code.co_filename
    if name == "<string>":  # the user's with ``python -c`` only, which has no file
        names = frame.f_globals
        return names.get("__name__") == "__main__" and "__file__" not in names
    return is_user_file(name)


def user_frames(frame: FrameType | None) -> list[FrameType]:
    """The user's frames from ``frame`` outwards, innermost first."""
    found: list[FrameType] = []
    while frame is not None and len(found) < MAX_FRAMES:
        name = frame.f_code.co_filename
        if name in _hosts:
            break
        if is_user_frame(frame):
            found.append(frame)
        frame = frame.f_back
    return found


def raised_frames(error: BaseException | None) -> dict[FrameType, int]:
    """The user's frames that an exception has already left, innermost first, and where in each.

    The line is that of the traceback: a frame's own is by then in its ``finally`` or ``except``.
    """
    passed: list[tuple[FrameType, int]] = []
    tb = error.__traceback__ if error is not None else None
    while tb is not None:
        if is_user_frame(tb.tb_frame):
            passed.append((tb.tb_frame, tb.tb_lineno or 0))
        tb = tb.tb_next
    found: dict[FrameType, int] = {}
    for frame, line in passed[: -MAX_FRAMES - 1 : -1]:
        found.setdefault(frame, line)
    return found


def prune(error: BaseException | None) -> None:
    """Leave only the user's frames in an exception's traceback, and in those of its causes."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        kept: list[types.TracebackType] = []
        tb = error.__traceback__
        while tb is not None:
            if is_user_frame(tb.tb_frame):
                kept.append(tb)
            tb = tb.tb_next
        chain = None
        for tb in reversed(kept):
            chain = types.TracebackType(chain, tb.tb_frame, tb.tb_lasti, tb.tb_lineno)
        error.__traceback__ = chain
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def source(frame: FrameType | None, line: int = 0) -> Source:
    """Where a frame stands, or the line of it that is given."""
    if frame is None:
        return Source("", 0, "")
    code = frame.f_code
    return Source(code.co_filename, line or frame.f_lineno or 0, code.co_name)


def stack(frames: list[FrameType], lines: Mapping[FrameType, int]) -> list[Frame]:
    """The call stack as plain data; ``lines`` of those that an exception has left."""
    found = []
    for frame in frames:
        place = source(frame, lines.get(frame, 0))
        text = linecache.getline(place.file, place.line, frame.f_globals).strip()
        found.append(Frame(place, text[:300]))
    return found


# -- tensors without an id -------------------------------------------------------------------


class Adhoc:
    """Tensors that a viewer may ask about though no event names them: results of expressions.

    They get ids of their own, far from the recorder's, and the newest few are kept alive.
    """

    FIRST = 1 << 48

    def __init__(self, keep: int = 64) -> None:
        self._keep = keep
        self._tensors: OrderedDict[int, Any] = OrderedDict()
        self._next = self.FIRST

    def meta(self, tensor: Any) -> TensorMeta:
        """Describe a tensor, under an id that `get` knows."""
        if tensor._id:
            return tensor_meta(tensor)
        for ident, known in list(self._tensors.items()):
            if known is tensor:
                self._tensors.move_to_end(ident)
                return tensor_meta(tensor, ident)
        ident = self._next
        self._next += 1
        self._tensors[ident] = tensor
        while len(self._tensors) > self._keep:
            self._tensors.popitem(last=False)
        return tensor_meta(tensor, ident)

    def get(self, ident: int) -> Any | None:
        return self._tensors.get(ident)

    def clear(self) -> None:
        self._tensors.clear()


# -- variables -------------------------------------------------------------------------------

_UNINTERESTING = (
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    type,
)
_SHELL_NAMES = frozenset(("In", "Out", "exit", "quit", "get_ipython", "open"))


def variables(namespace: dict[str, Any], adhoc: Adhoc, *, all_names: bool) -> list[Variable]:
    """Names and values; of a module's namespace, only what is likely to be data."""
    found: list[Variable] = []
    for name, value in list(namespace.items()):
        if name.startswith(("__", ".")) or len(found) >= MAX_VARIABLES:
            continue
        if not all_names and (
            name.startswith("_") or name in _SHELL_NAMES or isinstance(value, _UNINTERESTING)
        ):
            continue
        found.append(variable(name, value, adhoc))
    return found


def variable(name: str, value: Any, adhoc: Adhoc) -> Variable:
    """One value as a line; never raises."""
    kind = type(value).__name__
    try:
        if isinstance(value, sink.tensor_type):
            grad = getattr(value, "_grad", None)  # `.grad` of a result would warn the user
            return Variable(
                name,
                kind,
                describe(value),
                adhoc.meta(value),
                adhoc.meta(grad) if grad is not None else None,
            )
        return Variable(name, kind, text_of(value))
    except Exception as error:  # properties and `__repr__` are the user's
        return Variable(name, kind, f"<{type(error).__name__} while describing it>")


def text_of(value: Any) -> str:
    """One bounded line: plain values by our own rules, other objects by their ``__repr__``."""
    kind = type(value)
    if callable(getattr(value, "extra_repr", None)) and hasattr(value, "named_modules"):
        return one_line(f"{kind.__name__}({value.extra_repr()})")
    text = short(value, TEXT)
    if not text.startswith("<") or kind.__repr__ is object.__repr__:
        return one_line(text)
    from framework.kernels import waits  # here, since viewers import this file

    with waits.unsaid():  # a list, or an object of the user's, that has tensors of a device
        return one_line(repr(value))


def one_line(text: str, limit: int = TEXT) -> str:
    """Text on one line, cut to a length."""
    text = " ".join(str(text[: 8 * limit]).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def evaluate(
    expression: str,
    frame: FrameType | None,
    names: dict[str, Any],
    extra: dict[str, Any] | None = None,
) -> Any:
    """The value of an expression in a frame, or in a namespace if there is no frame.

    Raises ValueError with one line for the user, whatever goes wrong.
    """
    if frame is not None:
        # One dict for both, so that comprehensions and lambdas see the locals too.
        names = {**frame.f_globals, **frame.f_locals}
    if len(expression) > 10_000:
        raise ValueError("the expression is longer than 10,000 characters")
    try:
        code = compile(expression.strip(), "<watch>", "eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = getattr(error, "msg", None) or str(error)
        raise ValueError(f"not an expression: {one_line(reason)}") from None
    from framework.kernels import waits  # here, since viewers import this file

    try:
        with waits.unsaid():
            return eval(code, {**(extra or {}), **names})
    except BaseException as error:  # also SystemExit and KeyboardInterrupt: it is the user's code
        raise ValueError(one_line(f"{type(error).__name__}: {error}")) from None


def current_frame(thread: int) -> FrameType | None:
    """The innermost frame of a thread."""
    return sys._current_frames().get(thread)
