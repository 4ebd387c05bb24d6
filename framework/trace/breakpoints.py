"""Breakpoints: what they match, and the table of conditions on values.

A breakpoint is compiled once (`Compiled`); the gate asks the compiled ones of an op's name only, so
that an armed breakpoint elsewhere costs a dictionary lookup per op.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np

from framework.trace.protocol import Breakpoint
from framework.trace.sink import line_of

__all__ = ["CONDITIONS", "Compiled", "Condition", "parse_condition", "same_file"]


# -- conditions ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Condition:
    """A question about one array, as in ``absmax > 1e3``."""

    name: str
    argument: str  # what follows the comparison: "X"; "" if the name stands alone
    test: Callable[[Any, float], bool]  # (array, X) -> whether to stop
    help: str


def _has_nan(array: Any, _: float) -> bool:
    xp = _module(array)
    if not _inexact(array) or _sum_is_finite(array, xp):
        return False
    return bool(xp.isnan(array).any())


def _has_inf(array: Any, _: float) -> bool:
    xp = _module(array)
    if not _inexact(array) or _sum_is_finite(array, xp):
        return False
    return bool(xp.isinf(array).any())


def _absmax_above(array: Any, bound: float) -> bool:
    if not array.size:
        return False
    xp = _module(array)
    with np.errstate(all="ignore"):
        if array.dtype.kind in "biu":
            return max(abs(int(array.max())), abs(int(array.min()))) > bound
        if array.dtype.kind == "c":
            array = xp.abs(array)
        # NaNs do not count: fmax takes the other operand.
        return max(float(xp.fmax.reduce(array, None)), -float(xp.fmin.reduce(array, None))) > bound


CONDITIONS: dict[str, Condition] = {
    c.name: c
    for c in (
        Condition("nan", "", _has_nan, "an element is not a number"),
        Condition("inf", "", _has_inf, "an element is infinite"),
        Condition("absmax", "X", _absmax_above, "the largest absolute value is above X"),
    )
}

_CONDITION = re.compile(r"\s*([a-z_]+)\s*(?:(>)\s*(\S+)\s*)?")


def parse_condition(text: str) -> tuple[Condition, float] | None:
    """The condition and its argument; None for an empty text.

    Raises ValueError with one line for the user.

    >>> from framework.trace.breakpoints import parse_condition
    >>> condition, bound = parse_condition("absmax > 1e3")
    >>> condition.name, bound
    ('absmax', 1000.0)
    """
    if not text.strip():
        return None
    found = _CONDITION.fullmatch(text)
    condition = CONDITIONS.get(found[1]) if found else None
    if found is None or condition is None:
        known = ", ".join(f"{c.name} > {c.argument}" if c.argument else c.name for c in _all())
        raise ValueError(f"condition {text.strip()[:60]!r} is not one of: {known}")
    if not condition.argument:
        if found[2]:
            raise ValueError(f"condition {condition.name!r} stands alone, without a comparison")
        return condition, 0.0
    try:
        return condition, float(found[3] or "")
    except ValueError:
        raise ValueError(
            f"condition {condition.name!r} needs a number: {condition.name} > 1e3"
        ) from None


def _all() -> list[Condition]:
    return list(CONDITIONS.values())


def _inexact(array: Any) -> bool:
    return array.size > 0 and array.dtype.kind not in "biu"


def _sum_is_finite(array: Any, xp: Any) -> bool:
    """A finite sum has only finite terms; one pass without a temporary."""
    with np.errstate(all="ignore"):
        return bool(xp.isfinite(array.sum()))


def _module(array: Any) -> Any:
    """NumPy, or CuPy for its arrays (which then is loaded)."""
    return np if isinstance(array, (np.ndarray, np.generic)) else sys.modules["cupy"]


# -- matching --------------------------------------------------------------------------------


class Compiled:
    """A breakpoint made ready for use. Names are matched once and remembered.

    Attributes:
        spec: what the user asked for; its ``hits`` and ``error`` are kept up to date.
        before: stops before a source line, which the interpreter's trace hook sees to.
        wanted: number of the hit to stop at; above 1 only for "run until the n-th time".
        call: the module call (phase, seq of its begin) that it last stopped in.
    """

    def __init__(self, spec: Breakpoint, wanted: int = 1) -> None:
        self.spec = spec
        self.wanted = wanted
        self.call: tuple[str, int] | None = None
        self.before = bool(spec.line) and not (spec.op or spec.module or spec.condition)
        self.condition: tuple[Condition, float] | None = None
        self._ops: dict[str, bool] = {}
        self._modules: dict[str, bool] = {}
        self._files: dict[str, bool] = {}
        spec.error = ""
        try:
            self._op = _pattern(spec.op)
            self._module = _pattern(spec.module)
            self.condition = parse_condition(spec.condition)
            _check(spec)
        except ValueError as error:
            spec.error = str(error)

    @property
    def armed(self) -> bool:
        return self.spec.enabled and not self.spec.error

    def in_phase(self, phase: str) -> bool:
        return self.spec.phase in (phase, "both")

    def op(self, name: str) -> bool:
        """Is it about ops of this name?"""
        found = self._ops.get(name)
        if found is None:
            found = self._ops[name] = not self.spec.op or bool(self._op(name))
        return found

    def within(self, path: str) -> bool:
        """Is the module with this path meant, or one that it lies in?"""
        found = self._modules.get(path)
        if found is None:
            parts = path.split(".")
            found = any(self._module(".".join(parts[:n])) for n in range(len(parts), 0, -1))
            self._modules[path] = found
        return found

    def module(self, path: str) -> bool:
        """Is this very module meant?"""
        return bool(self._module(path))

    def file(self, name: str) -> bool:
        """Is it about this file?"""
        found = self._files.get(name)
        if found is None:
            found = self._files[name] = not self.spec.file or same_file(self.spec.file, name)
        return found

    def at(self, code: CodeType | None, lasti: int | None) -> bool:
        """Does this instruction stand on its line?"""
        spec = self.spec
        if not spec.line:
            return True
        return (
            code is not None and self.file(code.co_filename) and line_of(code, lasti) == spec.line
        )

    def holds(self, tensors: tuple[Any, ...]) -> bool:
        """Is its condition true of one of these tensors?"""
        if self.condition is None:
            return True
        condition, bound = self.condition
        try:
            return any(condition.test(t._data, bound) for t in tensors)
        except Exception as error:  # an array library's own: the model must go on
            self.spec.error = f"{condition.name}: {(str(error).splitlines() or [''])[0][:200]}"
            return False

    def hit(self) -> bool:
        """Count a hit; whether it is one to stop at."""
        self.spec.hits += 1
        return self.spec.hits >= self.wanted


def _pattern(text: str) -> Callable[[str], Any]:
    """A test for an exact name or, between slashes, for a regular expression."""
    if len(text) > 1 and text.startswith("/") and text.endswith("/"):
        try:
            return re.compile(text[1:-1]).search
        except re.error as error:
            raise ValueError(f"bad regular expression {text}: {error}") from None
    return text.__eq__


def _check(spec: Breakpoint) -> None:
    if spec.line < 0 or (spec.line and not spec.file):
        raise ValueError("a line needs a file and a number from 1 on: train.py:12")
    if spec.phase not in ("forward", "backward", "both"):
        raise ValueError(f"phase {spec.phase!r} is not forward, backward or both")
    if not (spec.op or spec.module or spec.line or spec.condition):
        raise ValueError("an empty breakpoint would stop at every op: name an op, module or line")


def same_file(wanted: str, name: str) -> bool:
    """Does a file name as the user wrote it mean the file that code was compiled from?

    >>> from framework.trace.breakpoints import same_file
    >>> same_file("train.py", "/home/me/train.py"), same_file("rain.py", "/home/me/train.py")
    (True, False)
    """
    if wanted == name:
        return True
    if wanted.startswith("<") or name.startswith("<"):
        return False
    if os.sep in wanted or wanted.startswith("."):
        return os.path.realpath(wanted) == os.path.realpath(name) or (
            not os.path.isabs(wanted) and name.endswith(os.sep + os.path.normpath(wanted))
        )
    return os.path.basename(name) == wanted
