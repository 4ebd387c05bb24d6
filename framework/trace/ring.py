"""The ring of a recorder: numbered records, what is open around them, who looks at each.

Putting a record in and reading one out is all here; what the records are of is `sink.Recorder`'s.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from framework.trace.records import (
    CELL_BEGIN,
    CELL_END,
    GRAD,
    MODULE_BEGIN,
    NODE_BEGIN,
    NODE_END,
    OP,
    OP_BEGIN,
    OP_END,
    UPDATE,
    error_text,
    unpacked,
)

__all__ = ["Ring"]

# Events of these kinds mean something to a gate that is only on the lookout.
_LOOKED_AT = frozenset((OP, OP_END, NODE_END, GRAD, UPDATE, CELL_BEGIN, CELL_END))


class Ring:
    """The newest ``capacity`` records, rounded up to a power of two."""

    __slots__ = (
        "armed", "gate", "here", "limit", "lookout", "mask", "module", "on_limit", "open", "phase",
        "phases", "ring", "seq",
    )  # fmt: skip

    def __init__(self, capacity: int) -> None:
        size = 1 << max(4, (capacity - 1).bit_length())
        self.ring: list[tuple[Any, ...] | None] = [None] * size
        self.mask = size - 1
        self.seq = 0
        self.open: list[int] = []  # seq of every open container, outermost first
        self.module = ""
        self.phase = "forward"
        self.phases: list[str] = []  # to go back to when a backward pass or an update ends
        self.here = ("", 0, "forward")  # module, innermost open container, phase
        self.gate: Any = None
        self.armed = False  # True while the gate wants to see every event
        # What an armed gate is looking for, if it is that alone: it may let events pass unseen.
        self.lookout: Any = None
        self.limit = sys.maxsize  # an event with a larger number waits for whoever writes them down
        self.on_limit: Callable[[], None] | None = None

    # -- writing -----------------------------------------------------------------------------

    def _enter_phase(self, phase: str) -> None:
        """A pass may run inside another one, or in an optimizer's closure: remember both."""
        self.phases.append(self.phase)
        self.phase = phase
        self._here()

    def _leave_phase(self) -> None:
        self.phase = self.phases.pop() if self.phases else "forward"

    def _here(self) -> None:
        """Renew what every op's record says of where it ran."""
        self.here = (self.module, self.open[-1] if self.open else 0, self.phase)

    def _hold(self) -> None:
        if self.on_limit is not None:
            self.on_limit()

    def _put(self, tensors: tuple[Any, ...], kind: int, *payload: Any, t: int = 0) -> int:
        if self.seq >= self.limit:
            self._hold()
        self.seq = seq = self.seq + 1
        raw = (seq, t or perf_counter_ns(), kind, *payload)
        self.ring[seq & self.mask] = raw
        if self.armed and (self.lookout is None or kind in _LOOKED_AT):
            self.gate.event(raw, tensors)
        return seq

    def _open(self, tensors: tuple[Any, ...], kind: int, *payload: Any) -> int:
        self.seq = seq = self.seq + 1
        raw = (seq, perf_counter_ns(), kind, *payload)
        self.ring[seq & self.mask] = raw
        self.open.append(seq)
        self._here()
        if self.armed and (self.lookout is None or kind in _LOOKED_AT):
            self._show_begin(raw, tensors)
        return seq

    def _show_begin(self, raw: tuple[Any, ...], tensors: tuple[Any, ...]) -> None:
        """Let the gate see the begin of a container, which ends here if it is interrupted there."""
        try:
            self.gate.event(raw, tensors)
        except BaseException as error:
            kind = raw[2]
            outputs = ((),) if kind in (OP_BEGIN, MODULE_BEGIN, NODE_BEGIN) else ()
            self._close(raw[0], (), kind + 1, *outputs, error)
            raise

    def _close(self, begin: int, tensors: tuple[Any, ...], kind: int, *payload: Any) -> None:
        while self.open and self.open[-1] >= begin:
            self.open.pop()
        self._here()
        *rest, error = payload
        self._put(tensors, kind, begin, *rest, error_text(error) if error is not None else "")
        if error is not None and self.gate is not None:
            self.gate.error(kind, error)

    # -- reading -----------------------------------------------------------------------------

    @property
    def first_seq(self) -> int:
        """The oldest event that is still in the ring (1 if it never ran over)."""
        return max(1, self.seq - self.mask)

    def raw(self, seq: int) -> tuple[Any, ...] | None:
        """The raw tuple with this number, or None if the ring has run over it."""
        raw = self.ring[seq & self.mask]
        if raw is None:
            return None
        raw = unpacked(raw, seq)
        return raw if raw[0] == seq else None

    def read(self, first: int = 1, last: int | None = None) -> list[Any]:
        """Typed events ``first`` to ``last`` (default: the newest), as many as are still there."""
        from framework.trace.reader import typed

        stop = self.seq if last is None else min(last, self.seq)
        found = (self.raw(seq) for seq in range(max(first, self.first_seq), stop + 1))
        return [typed(raw) for raw in found if raw is not None]
