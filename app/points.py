"""Breakpoints and watches of a session, and what was seen at its stops."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.link import Link
from framework.trace.protocol import Breakpoint, Frame, Stop, Variable

__all__ = ["Points", "Snapshot", "of_last_time"]

_SNAPSHOTS = 500  # stops whose variables are remembered
HITS_EVERY = 2.0  # seconds between questions for hits while the model runs


@dataclass(slots=True)
class Snapshot:
    """What was seen at a live stop: names are only known while the model stands there."""

    seq: int
    stack: list[Frame] = field(default_factory=list)
    variables: dict[int, list[Variable]] = field(default_factory=dict)  # by frame
    watches: dict[str, Variable | str] = field(default_factory=dict)  # a text is an error
    norms: dict[int, float | None] = field(default_factory=dict)  # 2-norm of gradients, by id


def of_last_time(kept: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """Breakpoints, as `Points.add_breakpoint` takes them, and watches of a notebook's sidecar.

    One that cannot be used (of the wrong types, or with a number or text that no message can
    carry) is left out, and no other.

    >>> from app.points import of_last_time
    >>> points, watches = of_last_time({"breakpoints": [{"id": 1, "line": "x"}], "watches": ["a"]})
    >>> points, watches
    ([], ['a'])
    """
    points = []
    for stored in _few(kept.get("breakpoints"), 200):
        with contextlib.suppress(msgspec.ValidationError, ValueError, OverflowError):
            point = msgspec.convert(stored, Breakpoint)
            msgspec.msgpack.encode(point)
            fields = msgspec.structs.asdict(point)
            fields.update(hits=0, error="")
            del fields["id"]
            points.append(fields)
    watches = []
    for stored in _few(kept.get("watches"), 100):
        with contextlib.suppress(msgspec.ValidationError, UnicodeEncodeError):
            msgspec.convert(stored, str).encode()
            watches.append(stored)
    return points, watches


def _few(found: object, most: int) -> list[Any]:
    return found[:most] if isinstance(found, list) else []


class Points(Link):
    """Where to stop, and what to look at when it stops."""

    def __init__(self) -> None:
        super().__init__()
        self.stop: Stop | None = None
        self.frame = 0
        self.breakpoints: list[Breakpoint] = []
        self.watches: list[str] = []
        self.snapshots: OrderedDict[int, Snapshot] = OrderedDict()
        self.epoch = 0  # goes up whenever the model moves: what was asked before is stale
        self._next_id = 1
        self._counted = 0.0  # when hits were asked for last, while the model runs

    # -- breakpoints -------------------------------------------------------------------------

    def toggle_breakpoint(self, **where: Any) -> Breakpoint | None:
        """Set a breakpoint, or remove the one that is there; returns it if it was set."""
        wanted = Breakpoint(0, **where)
        for point in self.breakpoints:
            if not point.condition and _place(point) == _place(wanted):
                self.remove_breakpoint(point.id)
                return None
        return self.add_breakpoint(**where)

    def add_breakpoint(self, **fields: Any) -> Breakpoint:
        """Set a breakpoint; the arguments are `Breakpoint`'s."""
        point = Breakpoint(self._next_id, **fields)
        self._next_id += 1
        self.breakpoints.append(point)
        self.send_breakpoints()
        return point

    def same_breakpoint(self, **fields: Any) -> Breakpoint | None:
        """The one that `add_breakpoint` with these arguments would set once more."""
        wanted = Breakpoint(0, **fields)
        for point in self.breakpoints:
            new = msgspec.structs.replace(point, id=0, hits=0, error="", enabled=wanted.enabled)
            if new == wanted:
                return point
        return None

    def change_breakpoint(self, ident: int, **fields: Any) -> None:
        """Change fields of a breakpoint."""
        self.breakpoints = [
            msgspec.structs.replace(b, error="", **fields) if b.id == ident else b
            for b in self.breakpoints
        ]
        self.send_breakpoints()

    def remove_breakpoint(self, ident: int) -> None:
        """Delete a breakpoint."""
        self.breakpoints = [b for b in self.breakpoints if b.id != ident]
        self.send_breakpoints()

    def send_breakpoints(self) -> None:
        """Tell the model's process; before there is one, they wait for it."""
        self.changed.add("breakpoints")
        if self.client is not None:
            points = [msgspec.to_builtins(b) for b in self.breakpoints]
            self.ask("breakpoints", self._accepted, breakpoints=points)

    def adopt_breakpoints(self) -> None:
        """Take over those that the program has, of whoever was there before."""

        def found(result: dict[str, Any]) -> None:
            self.breakpoints = msgspec.convert(result.get("breakpoints", []), list[Breakpoint])
            self._next_id = max((b.id for b in self.breakpoints), default=0) + 1
            self.changed.add("breakpoints")

        self.ask("status", found, _nothing)

    def _accepted(self, points: list[Breakpoint]) -> None:
        known = {b.id: b for b in points}
        failed = {b.id for b in self.breakpoints if b.error}
        self.breakpoints = [known.get(b.id, b) for b in self.breakpoints]
        self.changed.add("breakpoints")
        for point in self.breakpoints:
            if point.error and point.id not in failed:  # it does not stop the model: it goes on
                what = f"breakpoint {point.id} could not be judged: {point.error}"
                self.say(what, problem=True)

    def watch_hits(self, now: float) -> None:
        """While the model runs, ask now and then: a condition that fails does not stop it."""
        if self.state == "running" and self.breakpoints and now - self._counted > HITS_EVERY:
            self._counted = now
            self.count_hits()

    def count_hits(self) -> None:
        def status(result: dict[str, Any]) -> None:
            points = result.get("breakpoints")
            if points:
                self._accepted(msgspec.convert(points, list[Breakpoint]))

        if self.breakpoints:
            self.ask("status", status, _nothing)

    # -- watches -----------------------------------------------------------------------------

    def add_watch(self, expression: str) -> None:
        """Evaluate an expression at every stop, and now if the model stands."""
        expression = expression.strip()
        if not expression or expression in self.watches:
            return
        self.watches.append(expression)
        self.changed.add("watches")
        snapshot = self.latest
        if self.state == "paused" and snapshot is not None:
            self._ask_watch(snapshot, expression)

    def change_watch(self, index: int, expression: str) -> None:
        """Put another expression in a watch's place."""
        if 0 <= index < len(self.watches):
            del self.watches[index]
            self.add_watch(expression)

    def remove_watch(self, index: int) -> None:
        """Delete a watch."""
        if 0 <= index < len(self.watches):
            del self.watches[index]
            self.changed.add("watches")

    # -- stops -------------------------------------------------------------------------------

    @property
    def latest(self) -> Snapshot | None:
        """The newest snapshot."""
        return next(reversed(self.snapshots.values()), None)

    def take_snapshot(self, seq: int) -> None:
        """The model stands after event ``seq``: ask what there is to see."""
        snapshot = self.snapshots[seq] = Snapshot(seq)
        self.snapshots.move_to_end(seq)
        if len(self.snapshots) > _SNAPSHOTS:
            self.snapshots.popitem(last=False)
        epoch = self.epoch

        def stack(result: list[Frame]) -> None:
            if epoch == self.epoch:
                snapshot.stack = result
                self.changed.add("snapshot")

        self.ask("stack", stack, _nothing)
        self.ask_variables(snapshot, 0)
        for expression in self.watches:
            self._ask_watch(snapshot, expression)
        self.count_hits()

    def ask_variables(self, snapshot: Snapshot, frame: int) -> None:
        """The names of a frame of the stack, with the norms of their gradients."""
        epoch = self.epoch

        def arrived(found: list[Variable]) -> None:
            if epoch != self.epoch:
                return
            snapshot.variables[frame] = found
            self.changed.add("snapshot")
            grads = [v.grad.id for v in found if v.grad is not None]

            def norms(summaries: list[Any]) -> None:
                values = (s.norm if s is not None else None for s in summaries)
                snapshot.norms.update(zip(grads, values))
                self.changed.add("snapshot")

            if grads:
                self.ask("summary", norms, _nothing, tensors=grads, seq=snapshot.seq)

        self.ask("variables", arrived, _nothing, frame=frame)

    def _ask_watch(self, snapshot: Snapshot, expression: str) -> None:
        epoch = self.epoch

        def arrived(value: Variable | str) -> None:
            if epoch == self.epoch:
                snapshot.watches[expression] = value
                self.changed.add("watches")

        self.ask("evaluate", arrived, arrived, expression=expression, frame=self.frame)


def _place(point: Breakpoint) -> tuple[str, str, str, int, str, str]:
    return point.op, point.module, point.file, point.line, point.phase, point.param


def _nothing(_: str) -> None:
    """For requests whose failure needs no word."""
