"""What every session answers: where the model stands, its tape, its values, its stops, its source.

`Answers` registers one handler for each method of the wire (docs/wire.md); `Service` calls them on
its own thread, or those marked slow on a second one.
"""

from __future__ import annotations

import linecache
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from framework.trace import records, sink
from framework.trace.events import Mark
from framework.trace.protocol import Breakpoint
from framework.trace.reader import typed

if TYPE_CHECKING:
    from framework.trace.server import Service

__all__ = ["Answers", "RequestError", "batch", "integer"]

REPLY_EVENTS = 20_000  # events in one answer
SOURCE = 4 << 20  # bytes of a source file that are sent


class RequestError(Exception):
    """A request that cannot be answered: one line for the user."""


class Answers:
    """The methods that a session has whatever it runs; others are registered beside them."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.recorder = service.recorder
        self.gate = service.gate

    def register(self) -> None:
        look, act = {"control": False}, {"control": True}
        gate, register = self.gate, self.service.register
        register("ping", lambda p: None, **look)
        register("status", self._status, **look)
        register("stack", lambda p: gate.stack(), **look)
        register("events", self._events, slow=True, **look)
        register("view", self._view, slow=True, **look)
        register("summary", self._summary, slow=True, **look)
        register("measure", self._measure, slow=True, **look)
        register("variables", self._variables, slow=True, **look)
        register("source", self._source, slow=True, **look)
        register("evaluate", self._evaluate, slow=True, **act)
        register("updates", self._updates, slow=True, **look)
        register("compute", self._compute, slow=True, **look)
        register("check", self._check, slow=True, **act)
        register("breakpoints", self._breakpoints, **act)
        register("step", self._step, **act)
        register("pause", self._pause, **act)
        register("speed", lambda p: self.service.speed(text(p, "level")), **act)
        register("interrupt", self._interrupt, **act)
        register("options", self._options, **act)

    # -- where it stands -----------------------------------------------------------------------

    def _status(self, params: dict[str, Any]) -> dict[str, Any]:
        recorder, gate, service = self.recorder, self.gate, self.service
        state, stop = gate.standing()
        values = recorder.values
        session = service.session
        return {
            "name": session.name,
            "pid": os.getpid(),
            "file": session.file,
            "started": session.started,
            "state": state,
            "stop": stop,
            "step": self._training_step(),
            "first_seq": recorder.first_seq,
            "last_seq": service.newest(),
            "dropped": recorder.first_seq - 1,
            "kept_bytes": values.bytes if values is not None else 0,
            "level": service.level,
            "cell": service.cell,
            "asks": service.asking.question,
            "breakpoints": gate.breakpoints,
            "break_on_error": gate.break_on_error,
            "holder": service.holder,
            "viewers": service.watchers,
        }

    def _training_step(self) -> int:
        """The number that the optimizer gave to its last step; 0 before the first one."""
        ends = self.recorder.ends
        end = self.recorder.raw(ends[-1]) if ends else None
        begin = self.recorder.raw(end[3]) if end is not None else None
        return int(begin[4]) if begin is not None and begin[2] == records.OPTIM_BEGIN else 0

    def _events(self, params: dict[str, Any]) -> msgspec.Raw:
        first = max(integer(params, "first", 1), self.recorder.first_seq)
        last = min(integer(params, "last", self.recorder.seq), first + REPLY_EVENTS - 1)
        return msgspec.Raw(batch(self.recorder, first, min(last, self.service.newest()))[1])

    # -- stops -----------------------------------------------------------------------------------

    def _step(self, params: dict[str, Any]) -> None:
        target = params.get("target")
        self.gate.resume(
            str(params.get("how", "next")),
            None if target is None else _typed(target, Breakpoint, "target"),
        )

    def _pause(self, params: dict[str, Any]) -> None:
        """A program at full speed is looked at again from here on."""
        if self.gate.state == "running":
            self.service.speed("")
        self.gate.pause()

    def _interrupt(self, params: dict[str, Any]) -> None:
        if not self.service.asking.break_off():
            self.gate.interrupt()

    def _breakpoints(self, params: dict[str, Any]) -> list[Breakpoint]:
        wanted = params.get("breakpoints")
        if wanted is None:
            return self.gate.breakpoints
        return self.gate.set_breakpoints(_typed(wanted, list[Breakpoint], "breakpoints"))

    def _options(self, params: dict[str, Any]) -> dict[str, Any]:
        wanted = params.get("break_on_error")
        if wanted is not None:
            self.gate.break_on_error = bool(wanted)
        return {"break_on_error": self.gate.break_on_error}

    # -- names and values --------------------------------------------------------------------------

    def _variables(self, params: dict[str, Any]) -> list[Any]:
        return list(self.gate.variables(integer(params, "frame", 0)))

    def _evaluate(self, params: dict[str, Any]) -> Any:
        expression = params.get("expression")
        if not isinstance(expression, str) or not expression.strip():
            raise RequestError("evaluate what? the expression is empty")
        return self.gate.evaluate(expression, integer(params, "frame", 0))

    def _view(self, params: dict[str, Any]) -> Any:
        from framework.trace.summary import view

        ident, seq = integer(params, "tensor", 0), integer(params, "seq", 0)
        found = self.gate.value(ident, seq)
        if found is None:
            raise RequestError(f"the value of tensor {ident} at {seq or 'now'} is no longer kept")
        array, meta = found
        known = ("slice", "row0", "col0", "rows", "cols", "grid")
        options = {key: params[key] for key in known if key in params}
        return view(array, meta, seq, **options)

    def _summary(self, params: dict[str, Any]) -> list[Any]:
        from framework.trace.summary import summarize

        wanted = params.get("tensors")
        if not isinstance(wanted, list) or len(wanted) > 10_000:
            raise RequestError("summary: tensors must be a list of up to 10,000 ids")
        seq = integer(params, "seq", 0)
        result: list[Any] = []
        for ident in wanted:
            found = self.gate.value(ident, seq) if isinstance(ident, int) else None
            result.append(None if found is None else summarize(found[0]))
        return result

    def _measure(self, params: dict[str, Any]) -> list[Any]:
        """Statistics of many tensors, each at a moment of its own; maybe not all of them yet."""
        from framework.trace.measure import measure

        def array_of(ident: int, seq: int) -> Any | None:
            found = self.gate.value(ident, seq)
            return None if found is None else found[0]

        try:
            return list(measure(array_of, params.get("of", ())))
        except ValueError as error:
            raise RequestError(str(error)) from None

    def _updates(self, params: dict[str, Any]) -> list[Any]:
        """What the last optimizer step did, as long as it is still there."""
        from framework.trace.measure import latest

        tensors = params.get("tensors")
        if tensors is not None and not (
            isinstance(tensors, list) and all(type(t) is int for t in tensors[:10_000])
        ):
            raise RequestError("updates: tensors must be a list of ids")

        def array_of(ident: int, seq: int) -> Any | None:
            found = self.gate.value(ident, seq)
            return None if found is None else found[0]

        return list(latest(self.recorder, array_of, tensors))

    def _compute(self, params: dict[str, Any]) -> Any:
        """An expression over values that are kept, by the names that the viewer gives them."""
        from framework.trace.compute import ComputeError, computed

        def array_of(ident: int, seq: int) -> Any | None:
            found = self.gate.value(ident, seq)
            return None if found is None else found[0]

        try:
            return computed(text(params, "expression"), params.get("of"), array_of, self.gate.adhoc)
        except ComputeError as error:
            raise RequestError(str(error)) from None

    def _check(self, params: dict[str, Any]) -> Any:
        """The gradient of an op by finite differences, with the inputs that it had."""
        from framework.trace.check import CheckError, check_node

        try:
            return check_node(self.recorder, integer(params, "seq", 0))
        except CheckError as error:
            raise RequestError(str(error)) from None

    def _source(self, params: dict[str, Any]) -> str:
        """The text of a file that the program runs, for a viewer on another machine."""
        file = text(params, "file") or self.service.session.file
        if file not in self._sources():
            raise RequestError(f"source: the program runs no file {file[:200]!r}")
        if file.startswith("<"):
            return "".join(linecache.getlines(file))
        try:
            with open(file, "rb") as stream:
                data = stream.read(SOURCE + 1)
        except OSError as error:
            raise RequestError(f"source: cannot read {file}: {error.strerror}") from None
        if len(data) > SOURCE:
            raise RequestError(f"source: {file} is larger than {SOURCE >> 20} MiB")
        return data.decode("utf-8", "replace")

    def _sources(self) -> set[str]:
        """Files whose text the program has, and no others: this is no way to read a disk."""
        found = {self.service.session.file, *linecache.cache}
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and Path(file).suffix == ".py":
                found.add(os.path.abspath(file))
        return found - {""}


_encode_into = msgspec.msgpack.Encoder().encode_into


def batch(recorder: sink.Recorder, first: int, last: int) -> tuple[int, bytes]:
    """How many events of a stretch are still there, and those as a MessagePack array.

    Each is encoded and dropped before the next one is made: thousands of young objects at a time
    would set off garbage collections, which are long in a process that keeps a tape.
    """
    data = bytearray(b"\xdd\0\0\0\0")  # an array whose length is put in at the end
    count = 0
    for seq in range(first, last + 1):
        raw = recorder.raw(seq)
        if raw is None:
            continue
        try:
            event = typed(raw)
        except Exception as error:  # one strange argument must not end the stream
            event = Mark(seq, raw[1], f"unreadable event: {type(error).__name__}")
        _encode_into(event, data, -1)
        count += 1
    data[1:5] = count.to_bytes(4, "big")
    return count, bytes(data)


def integer(params: dict[str, Any], name: str, default: int) -> int:
    value = params.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise RequestError(f"{name} must be an integer, not {type(value).__name__}")
    return value


def text(params: dict[str, Any], name: str) -> str:
    value = params.get(name, "")
    if not isinstance(value, str):
        raise RequestError(f"{name} must be text, not {type(value).__name__}")
    return value


def _typed(value: Any, kind: Any, name: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise RequestError(f"{name}: {error}") from None
