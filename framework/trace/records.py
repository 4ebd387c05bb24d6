"""Raw records: the tuples in a recorder's ring, and what readers get instead of packed ones.

A record starts ``(seq, t, kind, ...)``; `reader` makes typed events of them, and `gate` and the
rules look into them. A tensor in one is five items: id, shape, NumPy dtype, name of the device,
requires_grad; several are one flat tuple of these (`flat`), and keyword arguments their names, then
their values (`named`). That is for the garbage collector. It lets go of a tuple of numbers, texts
and dtypes when it first sees it, and of one that holds such tuples the second time; one list, dict
or device in each record, or tuples in tuples in tuples, and it would walk through the whole ring
again and again.

Ops and backward nodes are nearly all that happens, so in the ring they are packed: an op has no
tuples of its own within its tuple (`CALL`), and a node in which nothing else was an event has one
tuple for its begin and its end, in both of their places (`NODE`). A tuple that is not there is not
made, not looked at by the collector and not let go. `unpacked` gives the ones that are read.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from itertools import islice
from typing import Any

from numpy import asarray, generic, ndarray

# Kinds of raw tuples. Those of a container's begin are odd, of its end the next even number.
LEAF, OP, GRAD, UPDATE, WRITE, MARK, KERNELS = 2, 4, 6, 8, 10, 12, 14
# As they are in the ring; who reads gets what `_of_call` and `_halves` make of them.
CALL, NODE = 16, 18
OP_BEGIN, OP_END = 21, 22
MODULE_BEGIN, MODULE_END = 23, 24
BACKWARD_BEGIN, BACKWARD_END = 25, 26
NODE_BEGIN, NODE_END = 27, 28
OPTIM_BEGIN, OPTIM_END = 29, 30
CELL_BEGIN, CELL_END = 31, 32

NOTHING = (0, (), None, "", False)  # stands in a record for a gradient that there is none of


class _Shapes(dict[Any, Any]):
    """One tuple for all arrays of a shape: NumPy makes a new one each time that it is asked."""

    def __missing__(self, shape: Any) -> Any:
        if len(self) > 10_000:
            self.clear()
        self[shape] = shape
        return shape


shapes = _Shapes()


def flat(described: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """The tensors in a record: (id, shape, NumPy dtype, name of the device, requires_grad) each."""
    return zip(*[iter(described)] * 5)


def named(meta: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """The keyword arguments in a record."""
    half = len(meta) // 2
    return zip(meta[:half], meta[half:])


def meta_of(edge: Any) -> tuple[Any, ...]:
    """Shape, NumPy dtype and the device's name of what a gradient goes to."""
    if edge.__class__ is tuple:
        shape, dtype, device = edge[0].metas[edge[1]]
    else:
        data = edge._data
        shape, dtype, device = shapes[data.shape], data.dtype, edge._device
    return shape, dtype, device.name


def unpacked(raw: tuple[Any, ...], seq: int) -> tuple[Any, ...]:
    """The record with the number ``seq`` of what stands in its place in the ring."""
    kind = raw[2]
    if kind == CALL:
        return of_call(raw)
    if kind == NODE:
        return halves(raw)[seq != raw[0]]
    return raw


def of_call(raw: tuple[Any, ...]) -> tuple[Any, ...]:
    """The record of an op, which was written as one tuple without tuples in it."""
    (
        seq, t, _, t1, name, a, b, more, code, lasti, here, made_node,
        ident, shape, dtype, device, wants_grad, meta,
    ) = raw  # fmt: skip
    ins = (a, b) if b is not None else (a,) if a is not None else more
    outs = ident if shape is None else (ident, shape, dtype, device, wants_grad)
    return seq, t, OP, t1, name, ins, outs, meta, code, lasti, here, made_node, ""


def outputs(raw: tuple[Any, ...]) -> tuple[Any, ...]:
    """What an op's record says of its outputs, written either way."""
    if raw[2] != CALL:
        return raw[6]
    return raw[12] if raw[12].__class__ is tuple else raw[12:17]


def origin_of(raw: tuple[Any, ...], metas: Any) -> tuple[Any, ...]:
    """What a node refers to whose op is that of ``raw``, but whose outputs are not the op's.

    Of a write through a view there are several: of what is written, and of the memory as a whole.
    """
    described: list[Any] = []
    for shape, dtype, device in metas:
        described += (0, shape, dtype, device.name, True)
    return (*raw[:12], tuple(described), None, None, None, None, raw[17])


def halves(raw: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The records of the begin and of the end of a node that was written as one."""
    seq, t, _, t1, name, origin, got, parent = raw[:8]
    described: list[Any] = []
    rest = iter(raw[8:])
    for ident in rest:
        if not ident:
            described += NOTHING
        elif (made := next(rest)) is None:
            described += (ident, *islice(rest, 4))
        else:
            nr = 5 * next(rest)
            described += (ident, *outputs(made)[nr + 1 : nr + 4], False)
    begin = (seq, t, NODE_BEGIN, name, origin, got, parent)
    return begin, (seq + 1, t1, NODE_END, seq, tuple(described), "")


#: Nodes of the backward graph that multiply by the scale of a `GradScaler`, and that scale.
scales: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

# Ops between `GradScaler.scale` and a pass's root through which the scale stays a factor.
_LINEAR = frozenset(
    "add sub mul div neg sum mean stack cat reshape view squeeze unsqueeze clone to select".split()
)
_NEAR = 32  # nodes that are looked at for one that scales


def unscaled(root: Any) -> Any:
    """The values of a pass's root; those of the loss, where `GradScaler.scale` is in the root."""
    data, version = getattr(root, "_loss", (None, -1))
    if version == root._version:
        return data
    scale = _scale_of(root) if scales else None
    if scale is None:
        return root._data
    found = root._data / scale
    return asarray(found) if isinstance(found, generic) else found  # as of any other loss


def _scale_of(root: Any) -> Any:
    """The scale that a pass's root is a multiple of, as `scale(loss) / 4` is; None without one."""
    todo = [root._edge]
    for _ in range(_NEAR):
        edge = todo.pop(0) if todo else None
        if edge.__class__ is not tuple:
            if not todo:
                break
            continue
        if (scale := scales.get(edge[0])) is not None:
            return scale
        if edge[0].op.name.removesuffix("_") in _LINEAR:
            todo += edge[0].edges
    return None


def loss_of(roots: tuple[Any, ...]) -> Any:
    """The number that a backward pass starts from: a float; of a device's, a copy to be read later.

    Values are kept for a few steps, and by a structure trace not at all: every step's loss is not.
    """
    data = unscaled(roots[0]) if len(roots) == 1 else None
    if data is None or getattr(data, "size", 0) != 1:
        return None
    if type(data) is ndarray:
        return float(data.item().real)
    return data.copy() if hasattr(data, "__cuda_array_interface__") else None


def error_text(error: BaseException) -> str:
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def leaves_of(value: Any) -> list[Any]:
    """The leaves of nested tuples, lists and dicts, in order; not recursive on purpose."""
    result, todo = [], [value]
    while todo:
        item = todo.pop()
        if isinstance(item, (tuple, list)):
            todo.extend(reversed(item))
        elif isinstance(item, dict):
            todo.extend(reversed(item.values()))
        else:
            result.append(item)
    return result
