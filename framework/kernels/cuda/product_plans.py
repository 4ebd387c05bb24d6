"""What to ask of cuBLAS for a product, from shapes and strides alone.

cuBLAS knows columns, arrays here are rows: the product's transpose is asked for, with the operands
exchanged. A transposed matrix is told by a flag, a batch by the steps from one matrix to the next;
neither is copied.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

__all__ = ["Plan", "plan"]

_INT = (1 << 31) - 1  # the largest number that cuBLAS takes

# A batch in two dimensions of which one does not run into the next (heads beside positions) is one
# call for each of the outer, or an operand is copied first. In microseconds: what a call costs the
# host, what a copy does, and what it takes of a device that reads and writes 3 TB/s, per byte.
_CALL, _COPY, _BYTE = 5.0, 10.0, 2 / 3e6

Ints = tuple[int, ...]
Copies = tuple["Ints | None", "Ints | None"]


class Plan(NamedTuple):
    """What is asked of cuBLAS, the second operand being its first."""

    shape: Ints  # of the result
    flags: tuple[int, int, int, int, int]  # each transposed or not; columns, rows, inner length
    ld: tuple[int, int, int]  # leading dimensions, of both and the result
    batch: Ints | None  # how many matrices, and their steps in elements; None: one
    calls: tuple[Ints, ...]  # where all three begin for each, in bytes
    copied: Copies  # shapes in which operands, in the order of the op, are first copied in rows


# -- how an operand lies ------------------------------------------------------------------------


def _joined(dims: Iterable[Ints]) -> list[Ints]:
    """Dimensions (length, steps ...), each joined with the next where it runs into that."""
    found: list[Ints] = []
    for dim in dims:
        if dim[0] == 1:
            continue
        if found and all(a == b * dim[0] for a, b in zip(found[-1][1:], dim[1:])):
            found[-1] = (found[-1][0] * dim[0], *dim[1:])
        else:
            found.append(dim)
    return found


def _in_rows(shape: Ints) -> Ints:
    """Steps in elements of a contiguous array."""
    return tuple([math.prod(shape[i + 1 :]) for i in range(len(shape))])


class _Operand:
    """Matrices (..., rows, columns), by their steps in elements."""

    def __init__(self, shape: Ints, steps: Ints) -> None:
        self.lead, self.rows, self.columns = shape[:-2], shape[-2], shape[-1]
        self.steps, self.down, self.right = steps[:-2], steps[-2], steps[-1]

    def laid(self) -> tuple[int, int] | None:
        """(0 if it lies in rows or 1 in columns, leading dimension); None: it has to be copied."""
        rows, columns = self.rows, self.columns
        if (self.right == 1 or columns == 1) and (rows == 1 or self.down >= columns):
            return 0, columns if rows == 1 else self.down
        if (self.down == 1 or rows == 1) and (columns == 1 or self.right >= rows):
            return 1, rows if columns == 1 else self.right
        return None

    def turned(self) -> _Operand:
        return _Operand((*self.lead, self.columns, self.rows), (*self.steps, self.right, self.down))

    def flat(self) -> _Operand | None:
        """The whole batch as one matrix, if its rows follow each other so."""
        every = _joined([*zip(self.lead, self.steps), (self.rows, self.down)])
        if len(every) > 1:
            return None
        rows, down = every[0] if every else (1, self.columns)
        return _Operand((rows, self.columns), (down, self.right))

    def over(self, lead: Ints) -> Ints:
        """The steps through a batch that it is broadcast to."""
        steps = [0 if n == 1 else s for n, s in zip(self.lead, self.steps)]
        return (*(0,) * (len(lead) - len(steps)), *steps)


def _operand(shape: Ints, strides: Ints, size: int, column: bool) -> _Operand | None:
    """An array as matrices, a vector as a ``column`` or a row; None if elements lie askew."""
    if any(s % size for s in strides):
        return None
    steps = tuple([s // size for s in strides])
    if len(shape) == 1:
        shape, steps = ((*shape, 1), (*steps, 1)) if column else ((1, *shape), (1, *steps))
    return _Operand(shape, steps)


# -- the plan -----------------------------------------------------------------------------------


def plan(op: str, a: Ints, a_strides: Ints, b: Ints, b_strides: Ints, size: int) -> Plan | None:
    """The plan for arrays of these shapes, strides in bytes and sizes of an element.

    Args:
        op: "matmul": a @ b. "linear": a @ b.T, of a vector or a matrix b. "weight": a.T @ b of
            matrices that go through all leading dimensions.

    None if the shapes do not fit, one is empty, or a number exceeds 32 bits.
    """
    if not a or not b or 0 in a or 0 in b or not _fits(op, a, b):
        return None
    shapes, strides = [a, b], [a_strides, b_strides]
    copied: list[Ints | None] = [None, None]
    while True:
        found = _attempt(op, shapes, strides, size)
        if isinstance(found, Plan):
            break
        for i, shape in enumerate(found):
            if shape is not None:
                shapes[i] = copied[i] = shape
                strides[i] = tuple([s * size for s in _in_rows(shape)])
    count = found.batch[0] if found.batch else 1
    if max(*found.flags, *found.ld, count) > _INT:
        return None
    return found._replace(copied=(copied[0], copied[1]))


def _fits(op: str, a: Ints, b: Ints) -> bool:
    if op == "linear":
        return len(b) <= 2 and a[-1] == b[-1]
    if op == "weight":
        return len(a) > 1 and a[:-1] == b[:-1]
    batches = zip(a[-3::-1], b[-3::-1])
    return a[-1] == b[-2:][0] and all(m == n or 1 in (m, n) for m, n in batches)


def _attempt(op: str, shapes: list[Ints], strides: list[Ints], size: int) -> Plan | Copies:
    """The plan, or the shapes of the copies that it takes."""
    a = _operand(shapes[0], strides[0], size, False)
    b = _operand(shapes[1], strides[1], size, op == "matmul")
    if op == "weight":
        a, b = a and a.flat(), b and b.flat()
    if a is None or b is None:
        return shapes[0] if a is None else None, shapes[1] if b is None else None
    if op == "linear":
        b = b.turned()
    elif op == "weight":
        a = a.turned()
    lead = np.broadcast_shapes(a.lead, b.lead)
    shape = (*lead, *(a.rows,) * (len(shapes[0]) > 1), *(b.columns,) * (len(shapes[1]) > 1))
    if math.prod(b.lead) == 1:  # one matrix for all: the batch is one of rows
        one = a.flat()
        if one is not None and one.laid() is not None:
            a, lead = one, ()
    how, other = a.laid(), b.laid()
    if how is None or other is None:
        return shapes[0] if how is None else None, shapes[1] if other is None else None
    rows, inner, columns = a.rows, a.columns, b.columns
    each = [rows * columns * s for s in _in_rows(lead)]
    dims = _joined(zip(lead, b.over(lead), a.over(lead), each))
    if len(dims) > 1 and (copies := _worth_copying(a, b, lead, dims, size)):
        return copies
    dims.sort()  # the longest in one call, a call for each of the others
    batch = dims.pop() if dims else None
    starts = itertools.product(*[range(n) for n, *_ in dims])
    calls = [
        tuple([size * sum(i * d[k] for i, d in zip(at, dims)) for k in (1, 2, 3)]) for at in starts
    ]
    return Plan(
        shape, (other[0], how[0], columns, rows, inner), (other[1], how[1], columns), batch,
        tuple(calls), (None, None),
    )  # fmt: skip


def _worth_copying(
    a: _Operand, b: _Operand, lead: Ints, dims: list[Ints], size: int
) -> Copies | None:
    """The copies with which a batch is one call, if they cost less than the calls without them."""
    lengths = [n for n, *_ in dims]
    best = (math.prod(lengths) // max(lengths) - 1) * _CALL
    found: Copies | None = None
    for first, second in ((True, False), (False, True), (True, True)):
        cost, steps, to = 0.0, [], []
        for one, copied in ((a, first), (b, second)):
            whole = (*lead, one.rows, one.columns)
            steps.append(_in_rows(whole)[:-2] if copied else one.over(lead))
            to.append(whole if copied else None)
            cost += (_COPY + _BYTE * size * math.prod(whole)) if copied else 0
        if cost < best and len(_joined(zip(lead, *steps))) == 1:
            best, found = cost, (to[0], to[1])
    return found
