"""Sizes that depend on dynamic axes, found by running a model at several sizes.

Every run gives each number of an op's keywords (the shape of a reshape, the bound of a slice, ...)
a value; the row of its values over the runs is looked up among the rows of all dimensions of
earlier values: the same row, then ``a · row + b`` with a fraction a, then ``a · row · row``, then
``(row + a) // b + c``. A number whose row is constant stays one; one whose row cannot be explained
is an error, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from framework.onnx.capture import Call, Value
from framework.onnx.errors import OnnxExporterError

__all__ = ["BESIDE", "Constant", "Size", "Sizes", "explain", "same"]


_DIVISORS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class Size:
    """``(factor · Π dimensions + offset) // divisor + more``; a dimension is (value, axis)."""

    factor: int
    dims: tuple[tuple[Value, int], ...]
    offset: int = 0
    divisor: int = 1
    more: int = 0

    def _unknown(self, *args: Any) -> Any:
        raise OnnxExporterError(
            "its sizes depend on a dynamic axis, which it cannot be written with"
        )

    __int__ = __index__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _unknown
    __floordiv__ = __rfloordiv__ = __mod__ = __neg__ = __lt__ = __gt__ = __le__ = __ge__ = _unknown


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant whose shape depends on dynamic axes: what it is made like."""

    kind: str  # "range", "fill", "triangle", "diagonal"
    shape: tuple[Any, ...]  # numbers and sizes
    first: Any  # of a range: its first element; of the others: the value
    step: Any = None


class Sizes:
    """What the dimensions of values were in each run."""

    def __init__(self) -> None:
        self._rows: dict[tuple[int, ...], tuple[Value, int]] = {}

    def add(self, value: Value) -> None:
        """Let the dimensions of a value explain later numbers."""
        if not value.varies:
            return
        for axis, row in enumerate(zip(*value.shapes)):
            if len(set(row)) > 1:
                self._rows.setdefault(row, (value, axis))

    def explain(self, row: tuple[Any, ...]) -> Any:
        """The number or the `Size` that has these values.

        Raises:
            OnnxExporterError: there is none.
        """
        if len(set(row)) == 1:
            return row[0]
        if row in self._rows:
            return Size(1, (self._rows[row],))
        wanted = np.array(row)
        known = [(np.array(r), dim) for r, dim in self._rows.items()]
        for have, dim in known:
            first = np.flatnonzero(have != have[0])[0]
            slope = Fraction(int(wanted[first] - wanted[0]), int(have[first] - have[0]))
            factor, divisor = slope.as_integer_ratio()
            offset = int(divisor * wanted[0] - factor * have[0])
            if (factor * have + offset == divisor * wanted).all():
                return Size(factor, (dim,), offset, divisor)
        for i, (a, one) in enumerate(known):
            for b, other in known[i:]:
                product = a * b
                if product[0] and not wanted[0] % product[0]:
                    factor = wanted[0] // product[0]
                    if (factor * product == wanted).all():
                        return Size(int(factor), (one, other))
        for have, dim in known:
            for divisor in _DIVISORS:
                for offset in range(divisor):
                    rest = wanted - (have + offset) // divisor
                    if (rest == rest[0]).all():
                        return Size(1, (dim,), offset, divisor, int(rest[0]))
        raise OnnxExporterError(
            "a size of it depends on a dynamic axis in a way that is not understood (it was "
            f"{', '.join(map(str, row))} in the runs)"
        )

    def explain_all(self, parts: list[Any]) -> Any:
        """`explain` for numbers within tuples and slices, given as they were in each run."""
        first = parts[0]
        if all(same(first, p) for p in parts[1:]):
            return first
        if isinstance(first, tuple):
            if len({len(p) for p in parts}) > 1:
                raise OnnxExporterError("what it does depends on the size of a dynamic axis")
            made = [self.explain_all(list(p)) for p in zip(*parts)]
            return type(first)(*made) if hasattr(first, "_fields") else tuple(made)
        if isinstance(first, slice):
            return slice(*[
                self.explain_all([getattr(p, end) for p in parts])
                for end in ("start", "stop", "step")
            ])  # fmt: skip
        if all(isinstance(p, (int, np.integer)) for p in parts):
            return self.explain(tuple(int(p) for p in parts))
        raise OnnxExporterError("what it does depends on the size of a dynamic axis")

    def constant(self, value: Value) -> Constant:
        """How to make a constant that was another one in each run.

        Raises:
            OnnxExporterError: it is neither a range, nor one value, a triangle or a diagonal.
        """
        arrays = value.arrays
        if len({a.ndim for a in arrays}) == 1:
            shape = tuple([self.explain(row) for row in zip(*[a.shape for a in arrays])])
            for recognise in (_fill, _range, _triangle, _diagonal):
                found = recognise(arrays)
                if found is not None:
                    return Constant(found[0], shape, *found[1:])
        raise OnnxExporterError(
            "a constant that was made while the model ran depends on the size of a dynamic axis "
            "in a way that is not understood"
        )


def same(a: Any, b: Any) -> bool:
    """Whether two numbers, arrays or nested keywords are the same; NaN is the same as itself."""
    if isinstance(a, float) and isinstance(b, float) and a != a:
        return b != b
    if isinstance(a, tuple) and type(a) is type(b):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.shape == b.shape and bool((a == b).all())
    return a is b or (type(a) is type(b) and bool(a == b))


def _fill(arrays: list[Any]) -> Any:
    flat = np.concatenate([a.reshape(-1) for a in arrays])
    return ("fill", flat[0].item()) if flat.size and (flat == flat[0]).all() else None


def _range(arrays: list[Any]) -> Any:
    longest = max(arrays, key=len) if arrays[0].ndim == 1 else np.zeros(0)
    if longest.size < 2 or longest.dtype.kind == "b":
        return None
    first = longest[0].item()
    step = longest[1].item() - first
    made = (first + step * np.arange(longest.size)).astype(longest.dtype)
    same = all((a == made[: a.size]).all() for a in arrays)
    return ("range", first, step) if same else None


def _triangle(arrays: list[Any]) -> Any:
    """The lower triangle of ones; the upper one is found as an op on it, or on ones."""
    if all(a.ndim == 2 and (a == np.tri(*a.shape, dtype=a.dtype)).all() for a in arrays):
        return ("triangle", 1)
    return None


def _diagonal(arrays: list[Any]) -> Any:
    if all(a.ndim == 2 and (a == np.eye(*a.shape, dtype=a.dtype)).all() for a in arrays):
        return ("diagonal", 1)
    return None


def explain(calls: list[Call], runs: list[list[Call]], sizes: Sizes) -> dict[Call, str]:
    """Make each call's numbers what they are at any size; returns why some could not be."""
    problems = {}
    for call, *others in zip(calls, *runs):
        try:
            call.meta = {
                key: sizes.explain_all([call.plain[key], *[o.plain[key] for o in others]])
                for key in call.plain
                if key not in BESIDE
            }
            call.args = [
                a if isinstance(a, Value) else sizes.explain_all([a, *[o.args[i] for o in others]])
                for i, a in enumerate(call.args)
            ]
            call.needs = _counted([*call.meta.values(), *call.args])
        except OnnxExporterError as error:
            problems[call] = str(error)
        for out in call.outs:
            sizes.add(out)
    return problems


# Keywords that say what the arguments' shapes say as well.
BESIDE = frozenset({"lengths", "source", "generator", "seed", "strides"})


def _counted(part: Any) -> list[Value]:
    """The values whose dimensions stand in the sizes of a nested keyword."""
    if isinstance(part, Size):
        return [value for value, _ in part.dims]
    if isinstance(part, (tuple, list)):
        return [value for p in part for value in _counted(p)]
    if isinstance(part, slice):
        return _counted((part.start, part.stop, part.step))
    if isinstance(part, Constant):
        return _counted(part.shape)
    return []
