"""Equal parts of events kept once: names, places, shapes and arguments repeat in every event.

Decoded from the wire each op has texts of its own, most of its memory; a tape of half a million
ops takes half of it when they are shared. Records are frozen because nobody may change what they
say; this changes only which of two equal objects they hold.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import force_setattr

from framework.trace.events import Op, TensorMeta

__all__ = ["Shared"]

_MOST = 50_000  # different parts that are remembered


class Shared:
    """Puts equal parts of ops into one place.

    >>> from framework.trace.events import Source
    >>> a, b = (TensorMeta(i, (2, 3), "float" + "32", "cpu") for i in (1, 2))
    >>> shared = Shared()
    >>> shared.meta(a), shared.meta(b)
    (None, None)
    >>> a.shape is b.shape
    True
    """

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}
        self._arguments: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}

    def op(self, event: Op) -> None:
        """An op, with its outputs."""
        if len(self._known) + len(self._arguments) > _MOST:
            self._known.clear()
            self._arguments.clear()
        one = self._known.setdefault
        force_setattr(event, "name", one(event.name, event.name))
        force_setattr(event, "source", one(event.source, event.source))
        force_setattr(event, "module", one(event.module, event.module))
        force_setattr(event, "phase", one(event.phase, event.phase))
        meta = event.meta
        force_setattr(event, "meta", self._arguments.setdefault(tuple(meta.items()), meta))
        for output in event.outputs:
            self.meta(output)

    def meta(self, meta: TensorMeta) -> None:
        """The description of a tensor."""
        one = self._known.setdefault
        force_setattr(meta, "shape", one(meta.shape, meta.shape))
        force_setattr(meta, "dtype", one(meta.dtype, meta.dtype))
        force_setattr(meta, "device", one(meta.device, meta.device))
