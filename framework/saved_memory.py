"""How saved tensors lie in memory: what shares memory is stored once, and shares it when loaded.

A tensor's record in the skeleton names the array that holds it. Of a tensor alone in its memory
that is the tensor itself, with ``strides`` if they are not those of C order. Where several tensors
have a part of one memory, or elements repeat or have gaps, the array is the part of the memory that
they need, and each record has a ``view`` of it: offset, shape, strides (in elements) and dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from framework import dtypes
from framework.kernels import to_host
from framework.kernels.strided import memory_of, reach, strided, strides_of
from framework.layout import is_dense

__all__ = ["Memories", "check_counts", "laid_out", "part"]


class Memories:
    """Collects arrays with their records; `finish` decides what is stored and completes those.

    >>> memories, whole, tail = Memories(), {}, {}
    >>> x = np.arange(4)
    >>> memories.add(x, "x", whole, shares=True)
    >>> memories.add(x[1:], "y", tail, shares=True)
    >>> memories.finish()
    >>> list(memories.arrays), tail
    (['x'], {'$tensor': 'x', 'number': 1, 'view': [1, [3], [1], 'int64']})
    """

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self._groups: dict[Any, list[tuple[Any, str, dict[str, Any]]]] = {}

    def add(self, array: Any, name: str, record: dict[str, Any], shares: bool) -> None:
        """An array to store as ``name``, or as a part of another one's memory if it ``shares``."""
        alone = not shares or not array.size or any(s < 0 for s in array.strides)
        key = ("alone", len(self._groups)) if alone else _memory(array)
        self._groups.setdefault(key, []).append((array, name, record))

    def finish(self) -> None:
        for group in self._groups.values():
            array, name, record = group[0]
            if len(group) == 1 and (not array.size or is_dense(array)):
                record["$tensor"] = self._store(name, array, record)
                if not array.flags.c_contiguous and array.size:
                    record["strides"] = list(strides_of(array))
            elif not self._share(group):
                for array, name, record in group:
                    record["$tensor"] = self._store(name, array, record)

    def _store(self, name: str, array: Any, record: dict[str, Any]) -> str:
        while name in self.arrays or name == "__metadata__":
            name += "_"
        array = to_host(array)
        if array.dtype.kind == "c":
            record["complex"] = True
            array = np.stack([array.real, array.imag], axis=-1)
        self.arrays[name] = np.asarray(array, order="C")
        return name

    def _share(self, group: list[tuple[Any, str, dict[str, Any]]]) -> bool:
        """Store the part of a memory that a group needs; False if its places fit no elements."""
        spans = [_span(array) for array, _, _ in group]
        low, high = min(s for s, _ in spans), max(e for _, e in spans)
        if any((s - low) % a.itemsize for (s, _), (a, _, _) in zip(spans, group)):
            return False
        # One that is all of it lends its name and shape, which other programs see.
        whole = next(
            (g for g, s in zip(group, spans) if s == (low, high) and g[0].flags.c_contiguous), None
        )
        if whole is not None:
            stored, name, _ = whole
        else:
            first, name = (
                min((array for array, _, _ in group), key=lambda a: a.itemsize),
                group[0][1],
            )
            start = _span(first)[0]
            if (high - low) % first.itemsize:
                return False
            n = (high - low) // first.itemsize
            stored = strided(first, (n,), (1,), (low - start) // first.itemsize)
        kept = self._store(name, stored, {})
        for i, ((array, _, record), (start, _)) in enumerate(zip(group, spans)):
            record["$tensor"], record["number"] = kept, i
            record["view"] = [
                (start - low) // array.itemsize,
                list(array.shape),
                list(strides_of(array)),
                dtypes.from_numpy_dtype[array.dtype].name,
            ]
        return True


def _memory(array: Any) -> Any:
    if not isinstance(array, np.ndarray):
        return "device", array.data.mem.ptr
    return "host", memory_of(array).__array_interface__["data"][0]


def _span(array: Any) -> tuple[int, int]:
    """First and one past the last address of an array's elements."""
    on_host = isinstance(array, np.ndarray)
    start = array.__array_interface__["data"][0] if on_host else array.data.ptr
    return start, start + reach(array.shape, strides_of(array)) * array.itemsize


def part(memory: Any, view: list[Any]) -> Any:
    """The array that a record's ``view`` is of stored memory.

    Raises:
        ValueError: it reaches out of the memory.

    >>> part(np.arange(4), [1, [2], [2], "int64"])
    array([1, 3])
    """
    offset, shape, steps, name = view
    check_counts([offset, *shape, *steps])
    kind = next(d for d in dtypes.ALL if d.name == name).numpy
    raw = memory.reshape(-1).view(np.uint8)
    items = raw[: raw.size // kind.itemsize * kind.itemsize].view(kind)
    if len(shape) != len(steps) or reach(tuple(shape), tuple(steps), offset) > items.size:
        raise ValueError("a view reaches out of its memory")
    return strided(items, tuple(shape), tuple(steps), offset)


def laid_out(array: np.ndarray, steps: list[int]) -> np.ndarray:
    """A copy of an array with the strides of a record, a permutation of C order's.

    Raises:
        ValueError: they are none.

    >>> laid_out(np.zeros((2, 3), np.int8), [1, 2]).strides
    (1, 2)
    """
    check_counts(steps)
    if len(steps) != array.ndim or reach(array.shape, tuple(steps)) != array.size:
        raise ValueError("the strides of a tensor are not those of its memory")
    made = array.transpose(sorted(range(array.ndim), key=lambda d: -steps[d])).copy(order="C")
    return strided(made.reshape(-1), array.shape, tuple(steps))


def check_counts(values: list[Any]) -> None:
    """Refuse what are not all places in memory, or lengths: ValueError."""
    if any(type(n) is not int or n < 0 for n in values):
        raise ValueError("a place in memory is not a whole number")
