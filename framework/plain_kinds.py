"""The kinds of plain values that `framework.serialization` keeps in a file, each as tagged JSON.

A value becomes ``{"$tag": data}`` and back. Nothing here looks a class up by a name out of a file:
a namedtuple comes back as one of its own with the same name and fields.
"""

from __future__ import annotations

import base64
import collections
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from framework.layout import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    layout,
    memory_format,
    preserve_format,
    sparse_coo,
    sparse_csr,
    strided,
)
from framework.ops.dims import _Named, named

__all__ = ["KEYS", "forms", "packed"]

# Kinds of keys of dicts, which must be hashable when they come back.
KEYS = (str, int, float, complex, tuple, bytes, frozenset, type(None), np.generic)

_FACTORIES = {f.__name__: f for f in (list, dict, set, tuple, int, float, str, bool)}
_NUMBERS = {
    t.__name__: t
    for t in (
        np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64,
        np.float16, np.float32, np.float64, np.complex64, np.complex128, ml_dtypes.bfloat16,
        np.str_,
    )
}  # fmt: skip
_LAYOUTS = {
    str(found): found
    for found in (
        strided, sparse_coo, sparse_csr, contiguous_format, preserve_format, channels_last,
        channels_last_3d,
    )
}  # fmt: skip

Pack = Callable[[Any, str], Any]  # a value inside, and what it is called there


def _pairs(obj: Any, pack: Pack) -> list[Any]:
    return [[pack(k, "key"), pack(v, str(k))] for k, v in obj.items()]


def _items(obj: Any, pack: Pack) -> list[Any]:
    return [pack(v, str(i)) for i, v in enumerate(obj)]


def _text(data: Any) -> str:
    return base64.b64encode(data).decode()


def _named_tuple(obj: Any, pack: Pack) -> list[Any]:
    return [type(obj).__name__, list(obj._fields), _items(obj, pack)]


def _factory(obj: Any) -> str | None:
    factory = obj.default_factory
    if factory is None:
        return None
    name = getattr(factory, "__name__", "")
    if _FACTORIES.get(name) is not factory:
        raise TypeError(
            f"a defaultdict of {name or factory!r}, which a file cannot name; make it a dict, or "
            f"one of {', '.join(_FACTORIES)}"
        )
    return name


def packed(obj: Any, pack: Pack) -> Any:
    """The tagged form of a value, None if it is of no kind here.

    Raises:
        TypeError: it is, but this one cannot be kept; says why.
    """
    if isinstance(obj, np.generic):
        name = type(obj).__name__
        if name not in _NUMBERS:
            return None
        value = float(obj) if name == "bfloat16" else obj.item()
        return {"$numpy": [name, pack(value, "value")]}
    kind = type(obj)
    if isinstance(obj, tuple) and hasattr(obj, "_fields"):
        tag = "$result" if isinstance(obj, _Named) else "$named"
        return {tag: _named_tuple(obj, pack)}
    if kind is collections.OrderedDict:
        return {"$odict": _pairs(obj, pack)}
    if kind is collections.defaultdict:
        return {"$defaultdict": [_factory(obj), _pairs(obj, pack)]}
    if kind is collections.Counter:
        return {"$counter": _pairs(obj, pack)}
    if kind is collections.deque:
        return {"$deque": [_items(obj, pack), obj.maxlen]}
    if kind in (set, frozenset):
        return {f"${kind.__name__}": _items(obj, pack)}
    if kind is range:
        return {"$range": [obj.start, obj.stop, obj.step]}
    if kind is slice:
        return {"$slice": _items((obj.start, obj.stop, obj.step), pack)}
    if kind in (bytes, bytearray):
        return {f"${kind.__name__}": _text(obj)}
    if obj is Ellipsis:
        return {"$ellipsis": None}
    if isinstance(obj, np.dtype) and obj.kind in "biufc":
        return {"$npdtype": obj.name}
    if isinstance(obj, (layout, memory_format)):
        return {"$layout": str(obj)}
    return None


def _number(name: str, value: Any) -> Any:
    return _NUMBERS[name](value)


def _tuple_of(kind: str, fields: Any, items: list[Any]) -> Any:
    if len(fields) != len(items) or not all(isinstance(f, str) for f in (kind, *fields)):
        raise ValueError("a named tuple with other fields than items")
    return collections.namedtuple(kind, fields)(*items)  # which checks the names


def _result_of(kind: str, fields: Any, items: list[Any]) -> Any:
    if len(fields) != len(items) or not all(isinstance(f, str) for f in (kind, *fields)):
        raise ValueError("a result with other fields than items")
    return named(kind, *fields)(items)


def forms(unpack: Callable[[Any, int], Any]) -> dict[str, Callable[[Any, int], Any]]:
    """For each tag what makes the value out of its data and the depth where it stands."""

    def pairs(data: Any, depth: int) -> list[Any]:
        return [(unpack(k, depth), unpack(v, depth)) for k, v in data]

    def items(data: Any, depth: int) -> list[Any]:
        return [unpack(v, depth) for v in data]

    return {
        "$numpy": lambda v, d: _number(v[0], unpack(v[1], d)),
        "$named": lambda v, d: _tuple_of(v[0], v[1], items(v[2], d)),
        "$result": lambda v, d: _result_of(v[0], v[1], items(v[2], d)),
        "$odict": lambda v, d: collections.OrderedDict(pairs(v, d)),
        "$defaultdict": lambda v, d: collections.defaultdict(
            None if v[0] is None else _FACTORIES[v[0]], pairs(v[1], d)
        ),
        "$counter": lambda v, d: collections.Counter(dict(pairs(v, d))),
        "$deque": lambda v, d: collections.deque(items(v[0], d), v[1]),
        "$set": lambda v, d: set(items(v, d)),
        "$frozenset": lambda v, d: frozenset(items(v, d)),
        "$range": lambda v, d: range(*v),
        "$slice": lambda v, d: slice(*items(v, d)),
        "$bytes": lambda v, d: base64.b64decode(v, validate=True),
        "$bytearray": lambda v, d: bytearray(base64.b64decode(v, validate=True)),
        "$ellipsis": lambda v, d: Ellipsis,
        "$npdtype": lambda v, d: np.dtype(_NUMBERS[v]),
        "$layout": lambda v, d: _LAYOUTS[v],
    }
