"""From the ring's raw tuples to the typed records of `events`: the reader's half of the recorder.

Runs on whatever thread reads. Nothing here calls a user's ``__repr__``: arguments are shown by type
and size unless they are plain values, so that reading a trace cannot run, or be stopped by, the
code of a model.
"""

from __future__ import annotations

from collections.abc import Callable
from types import BuiltinFunctionType, CodeType, FunctionType
from typing import Any

import numpy as np

from framework import dtypes
from framework.trace import events as ev
from framework.trace import records, sink
from framework.trace.events import Event, Source, TensorMeta
from framework.trace.places import line_of

__all__ = ["describe", "dtype_name", "short", "source_of", "tensor_meta", "typed"]

TEXT = 60  # characters of one argument
ITEMS = 8  # elements of a sequence that are shown

_BRACKETS: dict[type, tuple[str, str]] = {tuple: ("(", ")"), list: ("[", "]")}
_EMPTY = TensorMeta(0, (), "", "")
_NOWHERE = Source("", 0, "")


def typed(raw: tuple[Any, ...]) -> Event:
    """The record that a raw tuple stands for."""
    return _READERS[raw[2]](raw)


# -- plain values as text --------------------------------------------------------------------


def short(value: Any, limit: int = TEXT) -> str:
    """A value as one short line that never runs code of the value.

    >>> from framework.trace.reader import short
    >>> short((1, 2.5, "a")), short(list(range(100))), short(slice(None, 3))
    ("(1, 2.5, 'a')", '[0, 1, 2, 3, 4, 5, 6, 7, …]', ':3')
    """
    text = _short(value, 0)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _short(value: Any, depth: int) -> str:
    kind = type(value)
    if kind is int:
        return str(value) if value.bit_length() < 200 else "a very large int"
    if kind in (float, bool, complex) or value is None or value is Ellipsis:
        return "..." if value is Ellipsis else repr(value)
    if kind is str:
        return repr(value[: 2 * TEXT])
    if kind in (tuple, list, set, frozenset):
        return _short_sequence(value, depth)
    if kind is dict:
        if depth > 2:
            return "{…}"
        items = list(value.items())
        shown = [f"{_short(k, depth + 1)}: {_short(v, depth + 1)}" for k, v in items[:ITEMS]]
        return "{" + ", ".join(shown + ["…"] * (len(items) > ITEMS)) + "}"
    if kind is slice:
        ends = ["" if p is None else _short(p, depth + 1) for p in (value.start, value.stop)]
        return ":".join(ends + ([] if value.step is None else [_short(value.step, depth + 1)]))
    if kind.__module__ == "framework.tensor" and kind.__name__ == "Size":
        return f"Size({list(map(int, value))})"
    if isinstance(value, sink.tensor_type):
        return describe(value)
    if isinstance(value, np.generic):
        return str(value)
    if isinstance(value, dtypes.dtype):
        return value.name
    if isinstance(value, np.dtype):
        return dtype_name(value)
    if hasattr(kind, "__array_interface__") or hasattr(kind, "__cuda_array_interface__"):
        return f"array {list(value.shape)} {value.dtype}"
    if kind is bytes:
        return f"{len(value)} bytes"
    if kind.__module__ in ("framework.device", "framework.layout"):
        return str(value).removeprefix("torch.")
    if isinstance(value, (type, FunctionType, BuiltinFunctionType)):
        return value.__name__
    return f"<{kind.__name__}>"


def _short_sequence(value: Any, depth: int) -> str:
    opening, closing = _BRACKETS.get(type(value), ("{", "}"))
    if depth > 2:
        return f"{opening}…{closing}"
    shown = [_short(item, depth + 1) for item, _ in zip(value, range(ITEMS))]
    if len(value) > ITEMS:
        shown.append("…")
    comma = "," if type(value) is tuple and len(value) == 1 else ""
    return opening + ", ".join(shown) + comma + closing


def describe(tensor: Any) -> str:
    """A tensor as its shape, type and, for one element in main memory, its value."""
    data = tensor._data
    text = f"{list(data.shape)} {dtype_name(data.dtype)}"
    if tensor._device.type != "cpu":
        return f"{text} {tensor._device}"
    if data.size == 1 and isinstance(data, np.ndarray):
        value = data.reshape(-1)[0]
        number = f"{float(value):.6g}" if data.dtype.kind in "fV" else str(value.item())
        return f"{number} {text}" if data.ndim else f"{number} {dtype_name(data.dtype)}"
    return text


# -- pieces ----------------------------------------------------------------------------------


class _Names(dict[Any, str]):
    """PyTorch's names of NumPy dtypes."""

    def __missing__(self, key: Any) -> str:
        known = dtypes.from_numpy_dtype.get(key)
        self[key] = name = str(key) if known is None else known.name
        return name


class _Texts(dict[Any, str]):
    """Devices as text."""

    def __missing__(self, key: Any) -> str:
        self[key] = text = str(key)
        return text


_dtypes = _Names()
_devices = _Texts()


def dtype_name(dtype: Any) -> str:
    """PyTorch's name of a NumPy dtype, without the prefix."""
    return _dtypes[dtype]


def tensor_meta(tensor: Any, ident: int | None = None) -> TensorMeta:
    """A tensor as the schema describes it; ``ident`` stands in for an id of its own."""
    data = tensor._data
    return TensorMeta(
        tensor._id if ident is None else ident,
        tuple(data.shape),
        _dtypes[data.dtype],
        _devices[tensor._device],
        bool(tensor.requires_grad),
    )


def _tensor(
    ident: int, shape: tuple[int, ...], dtype: Any, device: str, requires_grad: Any
) -> TensorMeta:
    if not ident:
        return _EMPTY
    return TensorMeta(ident, shape, _dtypes[dtype], device, bool(requires_grad))


def _tensors(described: tuple[Any, ...]) -> tuple[TensorMeta, ...]:
    if len(described) == 5:
        return (_tensor(*described),)
    return tuple([_tensor(*d) for d in records.flat(described)])


_sources: dict[tuple[int, int], tuple[CodeType, Source]] = {}


def source_of(code: CodeType | None, lasti: int | None) -> Source:
    """Where an instruction stands in the user's code."""
    if code is None or lasti is None:
        return _NOWHERE
    key = (id(code), lasti)
    found = _sources.get(key)
    if found is None or found[0] is not code:
        if len(_sources) > 100_000:
            _sources.clear()
        source = Source(code.co_filename, line_of(code, lasti), code.co_name)
        found = _sources[key] = (code, source)
    return found[1]


def _inputs(ins: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple([i if i.__class__ is int else 0 for i in ins])


def _meta(ins: tuple[Any, ...], meta: tuple[Any, ...]) -> dict[str, str]:
    """Scalar operands by position (``arg1``), then keyword arguments."""
    found = {}
    for i, value in enumerate(ins):
        if value.__class__ is not int:
            found[f"arg{i}"] = short(value[0])
    for key, value in records.named(meta):
        found[key] = short(value)
    return found


# -- one reader per kind ---------------------------------------------------------------------


def _leaf(raw: tuple[Any, ...]) -> Event:
    seq, t, _, described, name, role, also = raw
    return ev.Leaf(seq, t, _tensor(*described), name, role, also)


def _op(raw: tuple[Any, ...]) -> Event:
    seq, t, _, t1, name, ins, outs, meta, code, lasti, here, node, error = raw
    module, parent, phase = here
    return ev.Op(
        seq, t, t1 - t, name, _inputs(ins), _tensors(outs), _meta(ins, meta),
        source_of(code, lasti), module, parent, seq if node else 0, phase, error,
    )  # fmt: skip


def _op_begin(raw: tuple[Any, ...]) -> Event:
    seq, t, _, name, ins, meta, code, lasti, module, parent, phase = raw
    source = source_of(code, lasti)
    return ev.OpBegin(
        seq, t, name, _inputs(ins), _meta(ins, meta), source, module, parent, phase
    )  # fmt: skip


def _op_end(raw: tuple[Any, ...]) -> Event:
    seq, t, _, begin, outs, error = raw
    return ev.OpEnd(seq, t, begin, _tensors(outs), error)


def _module_begin(raw: tuple[Any, ...]) -> Event:
    seq, t, _, path, cls, description, ins, code, lasti, parent = raw
    source = source_of(code, lasti)
    return ev.ModuleBegin(seq, t, path, cls, description[:200], _inputs(ins), source, parent)


def _module_end(raw: tuple[Any, ...]) -> Event:
    seq, t, _, begin, outs, error = raw
    return ev.ModuleEnd(seq, t, begin, outs, error)


def _backward_begin(raw: tuple[Any, ...]) -> Event:
    seq, t, _, roots, code, lasti, parent, loss = raw
    if loss is not None and type(loss) is not float:
        loss = float(loss.item().real)
    return ev.BackwardBegin(seq, t, roots, source_of(code, lasti), parent, loss)


def _backward_end(raw: tuple[Any, ...]) -> Event:
    seq, t, _, begin, error = raw
    return ev.BackwardEnd(seq, t, begin, error)


def _node_begin(raw: tuple[Any, ...]) -> Event:
    seq, t, _, name, origin, grads, parent = raw
    if origin is None:
        return ev.NodeBegin(seq, t, 0, name, 0, "", _NOWHERE, _tensors(grads), parent)
    if grads.__class__ is int:
        grads = (grads, *records.outputs(origin)[1:4], False)
    source = source_of(origin[8], origin[9])
    forward = origin[0]
    return ev.NodeBegin(
        seq, t, forward, name, forward, origin[10][0], source, _tensors(grads), parent
    )  # fmt: skip


def _node_end(raw: tuple[Any, ...]) -> Event:
    seq, t, _, begin, grads, error = raw
    return ev.NodeEnd(seq, t, begin, _tensors(grads), error)


def _grad(raw: tuple[Any, ...]) -> Event:
    seq, t, _, leaf, name, described, first, parent = raw
    arrived, total = _tensors(described)
    return ev.Grad(seq, t, leaf, name, arrived, total, first, parent)


def _optim_begin(raw: tuple[Any, ...]) -> Event:
    seq, t, _, cls, step, code, lasti, parent = raw
    return ev.OptimBegin(seq, t, cls, step, source_of(code, lasti), parent)


def _update(raw: tuple[Any, ...]) -> Event:
    seq, t, _, described, name, grad, state, parent = raw
    names = state[: len(state) // 6]
    kept = dict(zip(names, _tensors(state[len(names) :])))
    return ev.ParamUpdate(seq, t, _tensor(*described), name, grad, kept, parent)


def _optim_end(raw: tuple[Any, ...]) -> Event:
    seq, t, _, begin, following, error = raw
    return ev.OptimEnd(seq, t, begin, error, following)


def _write(raw: tuple[Any, ...]) -> Event:
    return ev.Write(raw[0], raw[1], raw[3])


def _cell_begin(raw: tuple[Any, ...]) -> Event:
    return ev.CellBegin(raw[0], raw[1], raw[3], raw[4])


def _cell_end(raw: tuple[Any, ...]) -> Event:
    seq, t, _, begin, error = raw
    return ev.CellEnd(seq, t, begin, error)


def _mark(raw: tuple[Any, ...]) -> Event:
    return ev.Mark(raw[0], raw[1], raw[3])


def _kernels(raw: tuple[Any, ...]) -> Event:
    return ev.Kernels(raw[0], raw[1], raw[3], raw[4])


_READERS: dict[int, Callable[[tuple[Any, ...]], Event]] = {
    records.LEAF: _leaf,
    records.OP: _op,
    records.GRAD: _grad,
    records.UPDATE: _update,
    records.WRITE: _write,
    records.MARK: _mark,
    records.KERNELS: _kernels,
    records.OP_BEGIN: _op_begin,
    records.OP_END: _op_end,
    records.MODULE_BEGIN: _module_begin,
    records.MODULE_END: _module_end,
    records.BACKWARD_BEGIN: _backward_begin,
    records.BACKWARD_END: _backward_end,
    records.NODE_BEGIN: _node_begin,
    records.NODE_END: _node_end,
    records.OPTIM_BEGIN: _optim_begin,
    records.OPTIM_END: _optim_end,
    records.CELL_BEGIN: _cell_begin,
    records.CELL_END: _cell_end,
}
