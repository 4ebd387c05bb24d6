"""What ops take on a CUDA device: pairs of events of its streams, read when they have passed.

A kernel is only put into a stream when its op is called, so the host's clock knows nothing of it.
Two events stand around it in the stream; nobody waits for them. At the end of a training step those
that have passed become one event of the tape (`events.Kernels`); at the end of a cell all are
waited for.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from framework.kernels import on

__all__ = ["KernelTimes"]

MOST = 1 << 16  # ops that wait to be read; of more the oldest are never known

Pair = tuple[Any, Any, Any]  # device, event before, event after


class KernelTimes:
    """The events around the kernels of a recorder's ops.

    Attributes:
        due: whether anything was measured since the last `taken`.
    """

    def __init__(self) -> None:
        self.due = False
        self._open: list[Pair] = []  # of the op that runs
        self._waiting: deque[tuple[int, list[Pair]]] = deque(maxlen=MOST)
        self._spare: dict[Any, list[Any]] = {}  # events to use again, by device

    def mark(self, device: Any) -> Any:
        """An event in the current stream of a device."""
        from framework.cuda.streams import Event, current_stream

        spare = self._spare.get(device)
        with on(device):
            event = spare.pop() if spare else Event(enable_timing=True)
            event.record(current_stream(device.index))
        return event

    def around(self, device: Any, before: Any) -> None:
        """The kernels that the op has started since ``before`` are all of them."""
        self._open.append((device, before, self.mark(device)))

    def drop(self) -> None:
        """What was measured since the last op is no part of the program."""
        self._open = []

    def belongs_to(self, seq: int) -> None:
        """What was measured since the last call is the op with this number."""
        if self._open:
            self._waiting.append((seq, self._open))
            self._open = []
            self.due = True

    def taken(self, wait: bool = False) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ops whose kernels are done by now, and the ns that they took; ``wait``: all of them."""
        self.due = False
        seqs: list[int] = []
        ns: list[int] = []
        while self._waiting:
            seq, pairs = self._waiting[0]
            if wait:
                for *_, after in pairs:
                    after.synchronize()
            elif not all(after.query() for *_, after in pairs):  # of whatever streams
                break
            self._waiting.popleft()
            seqs.append(seq)
            ns.append(round(sum(a.elapsed_time(b) for _, a, b in pairs) * 1e6))
            for device, a, b in pairs:
                self._spare.setdefault(device, []).extend((a, b))
        return tuple(seqs), tuple(ns)
