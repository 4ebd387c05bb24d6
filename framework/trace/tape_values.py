"""Which values a recording holds, and where in the file: columns, for there are very many.

A value is a row of numbers instead of a list in a dict and a name of sixteen bytes: seventy bytes
instead of half a thousand, and nothing that the garbage collector walks over.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from framework.trace.protocol import Summary

__all__ = ["Blob", "Value", "Values"]

_LAST = (1 << 63) - 1
_NAMES = (12, 16)  # bytes of a blob's name
_NAME = struct.Struct("<qq")
_EMPTY = np.empty(0, np.int64)

_encode = msgspec.msgpack.Encoder().encode
_decode_summary = msgspec.msgpack.Decoder(Summary).decode


class Value(NamedTuple):
    """What a tensor held: a blob, and how it is to be read."""

    digest: bytes
    dtype: str
    shape: tuple[int, ...]


class Blob(NamedTuple):
    """Where the elements of a value stand in the file."""

    at: int
    length: int


class _Table:
    """Rows of whole numbers, found by the first two of them; a later row takes an earlier's place.

    Rows come in the file's order and are sorted when one is looked for: into runs, each at least
    twice as long as the next, so that what grows is not sorted anew each time.
    """

    __slots__ = ("_new", "_runs", "_width")

    def __init__(self, width: int) -> None:
        self._width = width
        self._runs: list[list[np.ndarray]] = []  # columns, by the first two; each pair once
        self._new = [array("q") for _ in range(width)]

    def add(self, *columns: Sequence[int] | np.ndarray) -> None:
        """Append rows; OverflowError for numbers of more than 64 bits, and then none is."""
        arrays = [np.asarray(column, np.int64) for column in columns]
        for new, found in zip(self._new, arrays):
            new.frombytes(found.tobytes())

    def append(self, *numbers: int) -> None:
        """Append a row of numbers of at most 64 bits."""
        for new, number in zip(self._new, numbers):
            new.append(number)

    def floor(self, a: int, b: int) -> list[int] | None:
        """The row whose first number is ``a`` with the largest second up to ``b``."""
        self._sort()
        found = None
        for run in self._runs:  # the oldest first
            start, end = run[0].searchsorted(a), run[0].searchsorted(a, "right")
            i = int(start + run[1][start:end].searchsorted(b, "right")) - 1
            if i >= start and (found is None or run[1][i] >= found[0][1][found[1]]):
                found = run, i
        if found is None:
            return None
        run, i = found
        return [int(column[i]) for column in run]

    def columns(self) -> list[np.ndarray]:
        """All rows, sorted."""
        self._sort()
        while len(self._runs) > 1:
            self._join()
        return self._runs[0] if self._runs else [_EMPTY] * self._width

    def _sort(self) -> None:
        """Make a run of what has come since."""
        if not self._new[0]:
            return
        self._runs.append(_sorted([[np.frombuffer(new, np.int64) for new in self._new]]))
        self._new = [array("q") for _ in range(self._width)]
        while len(self._runs) > 1 and len(self._runs[-2][0]) < 2 * len(self._runs[-1][0]):
            self._join()

    def _join(self) -> None:
        self._runs[-2:] = [_sorted(self._runs[-2:])]


def _sorted(pieces: list[list[np.ndarray]]) -> list[np.ndarray]:
    """One run of several pieces; of equal pairs the last one stays."""
    columns = [np.concatenate(parts) for parts in zip(*pieces)]
    order = np.lexsort((columns[1], columns[0]))  # stable
    first, second = columns[0][order], columns[1][order]
    last = np.ones(len(order), bool)
    last[:-1] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    return [column[order[last]] for column in columns]


class Values:
    """What tensors held, by tensor and event, and where the blobs are.

    >>> values = Values()
    >>> values.take([(7, 10, b"abcdefghijkl", "float32", (2,)), (7, 20, b"m" * 12, "int64", ())])
    >>> values.take_blob(b"abcdefghijkl", 300, 8)
    >>> values.find(7, 15), values.find(7, 9)
    ((10, Value(digest=b'abcdefghijkl', dtype='float32', shape=(2,))), None)
    >>> values.blob(b"abcdefghijkl"), values.count
    (Blob(at=300, length=8), 2)
    """

    def __init__(self) -> None:
        self._rows = _Table(5)  # tensor, event, two halves of the name, kind
        self._blobs = _Table(4)  # two halves of the name, place, length
        # By kind: dtype and shape, and the length of the name. Below 0: statistics, by their place.
        self._kinds: list[tuple[str, tuple[int, ...], int]] = []
        self._codes: dict[tuple[str, tuple[int, ...], int], int] = {}
        self._summaries = bytearray()

    def take(self, rows: Sequence[tuple[int, int, bytes, str, tuple[int, ...]]]) -> None:
        """Values that tensors held from an event on: tensor, event, name of the blob, kind."""
        rows = [row for row in rows if len(row[2]) in _NAMES]  # else nothing can have that name
        names = b"".join([row[2].ljust(16, b"\0") for row in rows])
        halves = np.frombuffer(names, "<i8").reshape(-1, 2).T
        kinds = [self._code(dtype, shape, len(name)) for _, _, name, dtype, shape in rows]
        self._rows.add([r[0] for r in rows], [r[1] for r in rows], *halves, kinds)

    def _code(self, dtype: str, shape: tuple[int, ...], name: int) -> int:
        kind = dtype, shape, name
        code = self._codes.get(kind)
        if code is None:
            code = self._codes[kind] = len(self._kinds)
            self._kinds.append(kind)
        return code

    def take_summaries(self, rows: Sequence[tuple[int, int, Summary]]) -> None:
        """Statistics in the place of values."""
        places, lengths = [], []
        for _, _, summary in rows:
            data = _encode(summary)
            places.append(len(self._summaries))
            lengths.append(len(data))
            self._summaries += data
        kinds = [-1] * len(rows)
        self._rows.add([r[0] for r in rows], [r[1] for r in rows], places, lengths, kinds)

    def take_blob(self, name: bytes, at: int, length: int) -> None:
        """A blob of the file."""
        if len(name) in _NAMES:
            self._blobs.append(*_NAME.unpack(name.ljust(16, b"\0")), at, length)

    def find(self, ident: int, seq: int) -> tuple[int, Value | Summary] | None:
        """What a tensor held as of an event (0: the newest), with the event that made it."""
        if not (-_LAST - 1 <= ident <= _LAST and 0 <= seq <= _LAST):
            return None
        row = self._rows.floor(ident, seq or _LAST)
        return None if row is None else (row[1], self._what(*row[2:]))

    def _what(self, first: int, second: int, kind: int) -> Value | Summary:
        if kind < 0:
            return _decode_summary(self._summaries[first : first + second])
        dtype, shape, length = self._kinds[kind]
        return Value(_NAME.pack(first, second)[:length], dtype, shape)

    def blob(self, name: bytes) -> Blob | None:
        """Where the blob of this name is."""
        if len(name) not in _NAMES:
            return None
        first, second = _NAME.unpack(name.ljust(16, b"\0"))
        row = self._blobs.floor(first, second)
        return Blob(row[2], row[3]) if row is not None and row[1] == second else None

    def __iter__(self) -> Iterator[Value | Summary]:
        """What all tensors held."""
        for row in zip(*(column.tolist() for column in self._rows.columns()[2:])):
            yield self._what(*row)

    @property
    def count(self) -> int:
        """How many values and statistics there are."""
        return len(self._rows.columns()[0])

    @property
    def size(self) -> int:
        """Bytes of the blobs."""
        return int(self._blobs.columns()[3].sum())
