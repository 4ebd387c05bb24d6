"""What a model does to its inputs: its primitive ops as a list of calls on values.

A `Capture` is a layer between the ops and their kernels (`framework.core.interpose`). Values are
told apart by their arrays, so that a tensor stays known however it was wrapped. A write in place
gives the written array a new value; a view that was taken before is taken anew when next used.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import get_ident
from typing import Any

import numpy as np

from framework.core import views
from framework.core.dispatch import apply
from framework.core.interpose import Layer
from framework.tensor import Tensor
from framework.trace.places import user_frame

__all__ = ["WHOLE", "Call", "Capture", "Value", "place"]


# Name of a function that looks at values between its ops: ``(tensors, keywords)`` of its call, with
# None for the tensors where it shall not be one call.
WHOLE: dict[str, Callable[..., tuple[list[Any] | None, dict[str, Any]]]] = {}


@dataclass(eq=False, slots=True)
class Value:
    """An array of the graph: an input, a parameter, a constant or a result."""

    array: Any  # of parameters and constants; of other values only while they are captured
    kind: str  # "input", "weight", "constant" or "result"
    name: str = ""
    call: Call | None = None  # whose result it is
    shape: tuple[int, ...] = ()
    dtype: Any = None
    shapes: list[tuple[int, ...]] = field(default_factory=list)  # in each of the runs
    arrays: list[Any] = field(default_factory=list)  # a constant's, in each of the runs

    def __post_init__(self) -> None:
        self.shape, self.dtype = self.array.shape, self.array.dtype

    @property
    def varies(self) -> bool:
        """Whether its shape depends on the dynamic axes."""
        return any(s != self.shape for s in self.shapes)


@dataclass(eq=False, slots=True)
class Call:
    """An op that was applied."""

    op: str
    args: list[Any]  # values, numbers or None
    meta: dict[str, Any]
    outs: list[Value] = field(default_factory=list)
    place: str = ""  # source line of the user's code
    plain: dict[str, Any] = field(default_factory=dict)  # meta as it was in the first run
    needs: list[Value] = field(default_factory=list)  # values that its meta counts the sizes of
    used: set[Value] = field(default_factory=set)  # which of its results anything depends on


def place() -> str:
    """File and line of the user's code that is running."""
    frame = user_frame(sys._getframe(1))
    if frame is None:
        return ""
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"


class Capture(Layer):
    """Records the ops of the code that runs ``with`` it.

    Args:
        inputs: name and tensor of each input.
        weights: name and tensor of each parameter and buffer.
        fold: results of constants are constants.
        random: names of ops whose results are no constants.
    """

    apart = True

    def __init__(
        self, inputs: Iterable[tuple[str, Tensor]], weights: Iterable[tuple[str, Tensor]],
        fold: bool, random: Iterable[str],
    ) -> None:  # fmt: skip
        super().__init__()
        self.fold, self.random = fold, frozenset(random)
        self.calls: list[Call] = []
        self.constants: list[Value] = []
        self._known: dict[int, Value] = {}
        self._versions: dict[int, int] = {}  # of a view, when its value was found
        self._kept: list[Any] = []  # arrays, so that their ids stay theirs
        self._idle, self._thread = False, get_ident()
        self.inputs = [self._enter(t._data, Value(t._data, "input", n)) for n, t in inputs]
        for name, tensor in weights:
            if id(tensor._data) not in self._known:
                self._enter(tensor._data, Value(tensor._data, "weight", name))

    def __enter__(self) -> Capture:
        views.written = self._written
        return super().__enter__()

    def __exit__(self, *exc: object) -> None:
        views.written = None
        super().__exit__(*exc)

    def _enter(self, array: Any, value: Value) -> Value:
        self._known[id(array)] = value
        self._kept.append(array)
        return value

    def op(self, op: Any, args: tuple[Any, ...], meta: dict[str, Any]) -> Any:
        if self._idle:
            return apply(op, *args, **meta)
        values = [self.value(a) if isinstance(a, Tensor) else a for a in args]
        out = apply(op, *args, **meta)
        self.record(op.name, values, meta, out if out.__class__ is tuple else (out,))
        return out

    def whole(self, call: Any, args: tuple[Any, ...], options: Any) -> Any:
        """Functions that look at values, and that ONNX has a node for or an easier way."""
        arguments = WHOLE.get(call.__name__)
        if arguments is None or self._idle:
            return NotImplemented
        given, meta = arguments(*args, **options)
        if given is None:
            return NotImplemented
        return self.run_as(call.__name__, given, meta, lambda: (call(*args, **options),))[0]

    def run_as(
        self, name: str, args: list[Any], meta: dict[str, Any], run: Callable[[], Any]
    ) -> Any:
        """Run something that shall be one call; ``run`` returns a tuple of tensors."""
        values = [self.value(a) if isinstance(a, Tensor) else a for a in args]
        self._idle = True
        try:
            outs = run()
        finally:
            self._idle = False
        self.record(name, values, meta, outs)
        return outs

    def record(self, name: str, values: list[Any], meta: dict[str, Any], outs: Any) -> None:
        """Add a call whose results are ``outs``."""
        call = Call(name, values, meta, place=place(), plain=meta)
        constant = name not in self.random and all(
            v.kind == "constant" for v in values if isinstance(v, Value)
        )
        if constant and not self.fold:
            constant = not any(isinstance(v, Value) for v in values)
        for out in outs:
            value = Value(out._data, "constant" if constant else "result", call=call)
            call.outs.append(value)
            self._enter(out._data, value)
            if out._base is not None:
                self._versions[id(out._data)] = _version(out)
            if constant:
                self.constants.append(value)
        self.calls.append(call)

    def value(self, tensor: Tensor) -> Value:
        """The value that a tensor has now."""
        array = tensor._data
        found = self._known.get(id(array))
        base = tensor._base
        if base is not None and found is not None:
            known = self._versions.get(id(array))
            if known is not None and known != _version(tensor):
                found = self._taken_anew(tensor)
        if found is None:
            found = self._enter(array, Value(array, "constant"))
            self.constants.append(found)
        return found

    def _taken_anew(self, view: Any) -> Value:
        """The value of a view of memory that was written since."""
        base = views.base_of(view)
        value = self.value(base)
        part = base
        for op, meta in view._chain:
            part = apply(op, part, **meta)
            self.record(op.name, [value], meta, (part,))
            value = self.calls[-1].outs[0]
        self._versions[id(view._data)] = _version(view)
        return self._enter(view._data, value)

    def _written(self, tensor: Any, value: Tensor) -> None:
        """``value`` is about to be written into ``tensor``."""
        if get_ident() != self._thread:
            return
        source = self.value(value)
        base = None if tensor._base is None else views.base_of(tensor)
        owner = self.value(base if base is not None else tensor)
        if owner.kind == "constant" and owner.array is (tensor if base is None else base)._data:
            owner.array = owner.array.copy()
        if source.dtype != tensor._data.dtype:
            self.record("to", [source], {"dtype": tensor._data.dtype}, (_like(tensor),))
            source = self.calls[-1].outs[0]
        version = 1 + _version(tensor)
        if base is not None:
            spread = self.value(base)
            meta = {"chain": tensor._chain, "strides": None}
            self.record("view_scatter", [spread, source], meta, (_like(base),))
            self._enter(base._data, self.calls[-1].outs[0])
            self._versions[id(tensor._data)] = version
        self._enter(tensor._data, source)


def _version(tensor: Any) -> int:
    return 0 if tensor._counter is None else int(tensor._counter.value)


class _Stand:
    """What `record` looks at of a tensor, for one that is only about to have its value."""

    _base = None

    def __init__(self, data: Any) -> None:
        self._data = data


def _like(tensor: Any) -> Any:
    return _Stand(np.empty_like(tensor._data))
