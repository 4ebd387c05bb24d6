"""What a recording has found out about the memory of arrays, so that it looks at none twice.

A third of what a training step makes are views of what it made before. Their statistics, and often
their bytes, are known from then, as long as nobody has written to that memory. The recording says
when somebody does (`clear`), and which memory others may write to without an event (`exclude`).
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

__all__ = ["Known"]

MOST = 4096  # places that are remembered
LEAST = 1 << 12  # bytes; to look at fewer is no more work than to remember them

Place = int | tuple[Any, ...]


class Known:
    """Remembers something about places in memory.

    Args:
        any_order: the order of the elements does not matter: a transposed view is as good.

    >>> import numpy as np
    >>> known, a = Known(any_order=True), np.zeros((20, 30))
    >>> known.put(known.place(a), a, "zeros")
    >>> known.get(known.place(a.T), a.T), known.get(known.place(a[0]), a[0])
    ('zeros', None)
    """

    def __init__(self, any_order: bool) -> None:
        self.any_order = any_order
        self._found: dict[Place, tuple[weakref.ref[Any], Any]] = {}
        # A place is told by the id of the array that owns it: who does must be alive.
        self._excluded: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()

    def clear(self) -> None:
        """Something was written somewhere."""
        self._found.clear()

    def exclude(self, array: Any) -> None:
        """This memory may be written by others, who do not say so."""
        owner = _owner(array)
        if owner is not None:
            self._excluded[id(owner)] = owner

    def place(self, array: Any) -> Place | None:
        """What stands for the elements of an array; None if nothing is to be remembered of them."""
        owner = _owner(array)
        if (
            owner is None
            or array.nbytes < LEAST
            or self._excluded.get(id(owner)) is owner
            or array.dtype != owner.dtype
        ):
            return None
        contiguous = array.flags.c_contiguous
        if contiguous and array.nbytes == owner.nbytes:
            return id(owner)
        if not self.any_order:
            return id(owner), _address(array), array.shape, array.strides
        axes = sorted([(s, n) for n, s in zip(array.shape, array.strides) if n > 1])
        merged: list[tuple[int, int]] = []
        for stride, size in axes:
            if merged and stride == merged[-1][0] * merged[-1][1]:
                merged[-1] = merged[-1][0], merged[-1][1] * size
            else:
                merged.append((stride, size))
        if merged == [(array.itemsize, owner.size)]:
            return id(owner)
        return id(owner), _address(array), *merged

    def get(self, place: Place | None, array: Any) -> Any:
        """What is known of a place, which is `array`'s; None if nothing is."""
        found = self._found.get(place) if place is not None else None
        return found[1] if found is not None and found[0]() is _owner(array) else None

    def put(self, place: Place | None, array: Any, what: Any) -> None:
        if place is None:
            return
        if len(self._found) >= MOST:
            self._found.clear()
        self._found[place] = weakref.ref(_owner(array)), what


def _owner(array: Any) -> Any:
    """The array that has the memory; None if that is not NumPy's."""
    if array.__class__ is not np.ndarray:
        return None
    base = array.base
    if base is None:
        return array
    return base if base.__class__ is np.ndarray else None


def _address(array: Any) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
