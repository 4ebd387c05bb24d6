"""What a position of the tape is made of: containers, training steps, moments."""

from __future__ import annotations

from dataclasses import dataclass

from framework.trace.events import Event, NodeBegin, Source
from viewers.graph.containers import Container

__all__ = ["PHASES", "Container", "Moment", "Step"]

PHASES = ("forward", "backward", "optimizer", "idle")
FORWARD, BACKWARD, OPTIMIZER, IDLE = range(4)


class Step:
    """A training step: the events up to an optimizer's end, or to a cell's begin or end."""

    __slots__ = (
        "cell", "content", "counts", "done", "end_seq", "error", "first_seq", "index", "last_seq",
        "number", "runs", "truncated", "updated",
    )  # fmt: skip

    def __init__(self, index: int, number: int, cell: str, seq: int) -> None:
        self.index = index  # counts all steps since the beginning, from 0
        self.number = number  # the optimizer's count of it; 0 for a step without an update
        self.cell = cell
        self.first_seq = seq
        self.last_seq = seq
        self.end_seq = 0  # where a step by training steps stops: its OptimEnd or CellEnd
        self.done = False
        self.truncated = False  # its beginning is no longer kept
        self.error = ""
        self.counts = [0, 0, 0]  # events per phase
        self.runs: list[list[int]] = []  # [phase, first_seq, last_seq], one after the other
        self.content = False  # anything but marks and names has happened
        self.updated = False  # an optimizer has begun

    def __repr__(self) -> str:
        state = "done" if self.done else "open"
        return (
            f"Step({self.index}, number={self.number}, {self.first_seq}..{self.last_seq}, {state})"
        )


@dataclass(frozen=True, slots=True)
class Moment:
    """Where one position of the tape is: the position after event ``seq``."""

    seq: int
    event: Event | None
    phase: str  # "forward" | "backward" | "optimizer" | "idle"
    step: Step | None
    stack: tuple[Event, ...]  # begins of the open containers, outermost first
    subject: (
        Event | None
    )  # what it stands at: an op, module, node, update ... (for an end: its begin)
    node: NodeBegin | None  # the innermost open backward node, or the one that just ended
    module: str  # path of the innermost module it belongs to
    source: Source | None  # the line of the user's code
