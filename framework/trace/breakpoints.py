"""Breakpoints made ready for use: what they match, and whether their conditions hold.

A breakpoint is compiled once (`Compiled`); the gate asks the compiled ones of an op's or a
parameter's name only, so that an armed breakpoint elsewhere costs a dictionary lookup per op. The
conditions themselves are `conditions`' table.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from types import CodeType
from typing import Any

from framework.trace.conditions import CELL, Term, Terms, Where, parse_condition
from framework.trace.figures import Sheet, digest
from framework.trace.flags import Table, on_device
from framework.trace.naming import Naming
from framework.trace.places import line_of
from framework.trace.protocol import Breakpoint

__all__ = ["Compiled", "is_pattern", "pattern", "same_file"]

_MEMORY = 100_000  # places that a breakpoint remembers, so that it is bounded


class Compiled:
    """A breakpoint made ready for use. Names are matched once and remembered.

    Attributes:
        spec: what the user asked for; its ``hits`` and ``error`` are kept up to date.
        before: stops before a source line, which the interpreter's trace hook sees to.
        wanted: number of the hit to stop at; above 1 only for "run until the n-th time".
        call: the module call (phase, seq of its begin) that it last stopped in.
        terms: its conditions, all of which must hold.
        needs: what of `Figures` they take.
        quiet: below which sum and mean of squares they cannot hold, as of a `Term`; None if every
            match must be looked at.
        can_wait: whether it asks for figures and with expressions only, so that of a device's
            tensors it can be judged at the end of the step.
        found: what made them hold the last time, and
        what: where that was.
    """

    def __init__(
        self,
        spec: Breakpoint,
        wanted: int = 1,
        predicate: Callable[[Any], Any] | None = None,
    ) -> None:
        self.spec = spec
        self.wanted = max(wanted, spec.from_hit)
        self.call: tuple[str, int] | None = None
        self.before = bool(spec.line) and not (
            spec.op or spec.module or spec.condition or spec.param or predicate
        )
        self.terms: Terms = ()
        self.found = self.what = ""
        self._ops: dict[str, bool] = {}
        self._modules: dict[str, bool] = {}
        self._files: dict[str, bool] = {}
        self._params: dict[str, bool] = {}
        self._naming = Naming()
        self._matches = ((-1, -1), 0)  # training step, matches in it
        self._turn = -1
        self._times: dict[Any, int] = {}  # how often a place was passed in this turn
        self._last: dict[Any, Any] = {}  # (place, n-th time, tensor) -> what was there
        spec.error = ""
        try:
            self._op = pattern(spec.op)
            self._module = pattern(spec.module)
            self._param = pattern(spec.param)
            terms = parse_condition(spec.condition)
            if predicate is not None:
                terms = (*(t for t in terms if isinstance(t, Term)), Where(predicate))
            self.terms = terms
            _check(spec, self.terms)
        except ValueError as error:
            spec.error = str(error)
        self.needs = 0
        for term in self.terms:
            self.needs |= term.condition.needs
        self._changes = any(term.condition.kind == "change" for term in self.terms)
        self.can_wait = bool(self.terms) and not self._changes
        self._weighs = any(term.condition.name == "ratio" for term in self.terms)
        self.quiet: tuple[float, float] | None = None
        if not spec.occurrence and not self._changes:  # these count what does not match, too
            limits = [t.quiet for t in self.terms if isinstance(t, Term)]
            self.quiet = max((q for q in limits if q is not None), key=min, default=None)

    def learn(self, naming: Naming) -> None:
        """More names are known: the parameter or module may be one by another name, or its end."""
        self._naming = naming
        self._modules.clear()
        self._params.clear()
        try:
            if not is_pattern(self.spec.param):
                self._param = _either(self.spec.param, naming.find(self.spec.param))
            if not is_pattern(self.spec.module):
                self._module = _either(self.spec.module, naming.find(self.spec.module))
        except ValueError as error:
            self.spec.error = str(error)

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

    def param(self, name: str) -> bool:
        """Is the parameter with this name meant?"""
        found = self._params.get(name)
        if found is None:
            names = (name, *self._naming.others(name))
            found = self._params[name] = any(map(self._param, names))
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

    def due(self, step: int, ended: int) -> bool:
        """Does a match in this training step count? Counts the matches of a step.

        Args:
            step: its number, which is its optimizer's.
            ended: training steps that have ended, of all optimizers.
        """
        spec = self.spec
        if spec.first_step > step or 0 < spec.last_step < step:
            return False
        if not spec.occurrence:
            return True
        known, count = self._matches
        count = count + 1 if known == (ended, step) else 1
        self._matches = ((ended, step), count)
        return count == spec.occurrence

    def holds(
        self,
        sheet: Sheet,
        tensors: tuple[Any, ...],
        names: Callable[[], dict[str, Any]],
        place: Any,
        turn: int,
    ) -> bool:
        """Are all its conditions true of one of these tensors?

        Args:
            sheet: has the tensors' figures, shared with the other breakpoints.
            names: gives what expressions see beside ``x``.
            place: what is the same when the program comes here again.
            turn: changes when it does.
        """
        if not self.terms:
            return True
        try:
            # What an update left unchanged is known from its figures.
            changes = self._changes and (sheet.before is None or self.spec.phase != "optimizer")
            before = self._remember(sheet, place, turn) if changes else None
            for i, tensor in enumerate(tensors):
                if all(self._true(t, sheet, i, tensor, names, before) for t in self.terms):
                    self.found = self._said(sheet, i)
                    return True
        except Exception as error:  # the user's or an array library's own: the model must go on
            self._failed(error)
        return False

    def put_off(
        self, table: Table, tensors: tuple[Any, ...], names: Callable[[], dict[str, Any]],
        seen: dict[int, int | None], spread: bool, before: Any = None,
    ) -> list[Any] | None:  # fmt: skip
        """What `settled` will ask for when the table has been read; None: ask `holds`, now.

        For each tensor, all of which are a device's, the rows of the table that have what its
        expressions gave and its figures, which breakpoints share (``seen``).
        """
        if not all(on_device(t._data) and t._data.size for t in tensors):
            return None
        lines = []
        try:
            for i, tensor in enumerate(tensors):
                answers = [
                    t.answer(tensor, names()) for t in self.terms if isinstance(t, Where)
                ]  # fmt: skip
                if any(a is False for a in answers):
                    continue
                rows = [table.put(a) for a in answers if a is not True]
                if self.needs:
                    if i not in seen:
                        seen[i] = table.add(tensor._data, spread)
                    rows.append(seen[i])
                if self._weighs:
                    if -1 not in seen:
                        seen[-1] = table.add(before)
                    rows.append(seen[-1])
                if None in rows:
                    return None
                lines.append(rows)
        except Exception as error:  # the user's
            self._failed(error)
        return lines

    def settled(self, lines: list[Any], table: list[Any]) -> bool:
        """Is one of the tensors that `put_off` saw hit?"""
        for rows in lines:
            known = [table[row] for row in rows]
            sheet = Sheet((None,), self.needs)
            if self._weighs:
                sheet.before = known.pop()
                sheet.put_weight(sheet.before)
            if self.needs:
                sheet.put(0, known.pop())
            if all(known) and all(isinstance(t, Where) or t.holds(sheet, 0) for t in self.terms):
                self.found = self._said(sheet, 0)
                return True
        return False

    def _said(self, sheet: Sheet, i: int) -> str:
        return " and ".join(
            t.found(sheet, i) if isinstance(t, Term) else str(t) for t in self.terms
        )

    def _failed(self, error: Exception) -> None:
        line = (str(error).splitlines() or [""])[0][:200]
        self.spec.error = f"{self.spec.condition or 'where'}: {type(error).__name__}: {line}"

    def _true(
        self,
        term: Any,
        sheet: Sheet,
        i: int,
        tensor: Any,
        names: Callable[[], dict[str, Any]],
        before: Any,
    ) -> bool:
        kind = term.condition.kind
        if kind == "expression":
            return bool(term.holds(tensor, names()))
        if kind != "change":
            return bool(term.holds(sheet, i))
        if sheet.before is not None and term.condition.name == "unchanged":
            return sheet.of(i).zeros == sheet.of(i).count  # of an update: nothing was added
        old, new = before[i]
        if old is None:
            return False
        if term.condition.name == "unchanged":
            return bool(old == new)
        return bool(old[0] != new[0] if term.condition.name == "shape-change" else old[1] != new[1])

    def _remember(self, sheet: Sheet, place: Any, turn: int) -> list[tuple[Any, Any]]:
        """What each tensor was the last time that the program came here, and what it is now."""
        if turn != self._turn:
            self._turn = turn
            self._times = {}
        time = self._times[place] = self._times.get(place, 0) + 1
        if len(self._last) > _MEMORY:
            self._last = {}
        exact = any(t.condition.name == "unchanged" for t in self.terms)
        result = []
        for i, array in enumerate(sheet.arrays):
            now = (array.shape, array.dtype, digest(array) if exact else 0)
            key = (place, time, i)
            result.append((self._last.get(key), now))
            self._last[key] = now
        return result

    def hit(self) -> bool:
        """Count a hit; whether it is one to stop at."""
        spec = self.spec
        spec.hits += 1
        if spec.hits < self.wanted:
            return False
        return spec.every < 2 or (spec.hits - spec.from_hit) % spec.every == 0


def pattern(text: str) -> Callable[[str], Any]:
    """A test for an exact name, one with ``*`` and ``?`` or, between slashes, a regular expression.

    >>> from framework.trace.breakpoints import pattern
    >>> bool(pattern("conv*")("conv2d")), bool(pattern("/^lin/")("linear")), pattern("exp")("expm1")
    (True, True, False)
    """
    if not is_pattern(text):
        return text.__eq__
    if _is_regular(text):
        try:
            return re.compile(text[1:-1]).search
        except re.error as error:
            raise ValueError(f"bad regular expression {text}: {error}") from None
    parts = (re.escape(c) if c not in "*?" else "." + "*" * (c == "*") for c in text)
    return re.compile("".join(parts)).fullmatch


def _either(name: str, other: str) -> Callable[[str], Any]:
    """A test for a name; where another is found to be meant, for that as well."""
    return frozenset((name, other or name)).__contains__


def is_pattern(text: str) -> bool:
    """Whether a text means all names that match it, and not one name."""
    return "*" in text or "?" in text or _is_regular(text)


def _is_regular(text: str) -> bool:
    return len(text) > 1 and text.startswith("/") and text.endswith("/")


def _check(spec: Breakpoint, terms: Terms) -> None:
    if spec.line < 0 or (spec.line and not spec.file):
        raise ValueError("a line needs a file and a number from 1 on: train.py:12")
    if CELL.fullmatch(spec.file):
        raise ValueError(f"{spec.file}: it is not known which notebook's, expected FILE:LINE")
    if spec.phase not in ("forward", "backward", "both", "optimizer"):
        raise ValueError(f"phase {spec.phase!r} is not forward, backward, both or optimizer")
    if not (spec.op or spec.module or spec.line or spec.param or terms):
        raise ValueError(
            "an empty breakpoint would stop at every op: name an op, module, line or parameter"
        )
    if spec.param and (spec.op or spec.module or spec.line):
        raise ValueError("a parameter is a place of its own: no op, module or line beside it")
    if spec.phase == "optimizer" and not spec.param:
        raise ValueError("an update is a parameter's: name it, or * for any")
    if spec.phase != "optimizer" and any(t.condition.name == "ratio" for t in terms):
        raise ValueError("ratio is of an update: update * ratio > 0.1")
    counts = (spec.occurrence, spec.first_step, spec.last_step, spec.from_hit, spec.every)
    if min(counts) < 0:
        raise ValueError("occurrences, steps and hits count from 1")


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
