"""Statistics of many tensors, each at a moment of its own, in one answer: the wire's ``measure``.

A table of parameters, a tensor over the training steps, the figures beside a source line: each
needs a hundred small answers. They are asked for together, and as many are given as a short while
allows; the rest is asked for again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from framework.trace import records, sink
from framework.trace.events import ParamUpdate
from framework.trace.protocol import Summary
from framework.trace.reader import typed
from framework.trace.summary import summarize

__all__ = ["MOST", "PATIENCE", "Update", "latest", "measure"]

MOST = 1000  # that may be asked for at once
PATIENCE = 0.15  # seconds after which no further one is begun

ArrayOf = Callable[[int, int], Any | None]
SummaryOf = Callable[[int, int], Summary | None]


def measure(
    array_of: ArrayOf,
    wanted: Sequence[Sequence[int]],
    summary_of: SummaryOf | None = None,
    patience: float = PATIENCE,
) -> list[Summary | None]:
    """Statistics of each ``[tensor, seq]``, or of the change in ``[tensor, seq, minus]``.

    None stands for what is no longer kept. The list is shorter than ``wanted`` if that would take
    longer than ``patience``, and never empty. ``summary_of`` is where figures come from where no
    values are kept. Raises ValueError, in one line, for what is no such list.

    >>> import numpy as np
    >>> held = {(1, 10): np.ones(3), (1, 20): np.full(3, 3.0)}
    >>> [s.norm if s else None for s in measure(lambda *key: held.get(key), [(1, 20), (1, 5)])]
    [5.196152422706632, None]
    >>> measure(lambda *key: held.get(key), [(1, 20, 10)])[0].mean
    2.0
    """
    if not isinstance(wanted, (list, tuple)) or len(wanted) > MOST:
        raise ValueError(f"measure: of must be a list of up to {MOST} [tensor, seq]")
    for item in wanted:
        whole = isinstance(item, (list, tuple)) and len(item) in (2, 3)
        if not whole or not all(type(n) is int for n in item):
            raise ValueError("measure: each of them must be [tensor, seq] or [tensor, seq, minus]")
    end = time.perf_counter() + patience
    found: list[Summary | None] = []
    for tensor, seq, *minus in wanted:
        if found and time.perf_counter() > end:
            break
        found.append(_one(array_of, summary_of, tensor, seq, minus[0] if minus else None))
    return found


class Update(msgspec.Struct):
    """A parameter after its last update: its value, its gradient, and what the update changed."""

    tensor: int
    seq: int  # of the update
    value: Summary | None
    grad: Summary | None
    change: Summary | None


def latest(
    recorder: sink.Recorder,
    array_of: ArrayOf,
    tensors: Sequence[int] | None = None,
    patience: float = PATIENCE,
) -> list[Update]:
    """The updates of the last optimizer step that is over, of all parameters or of some.

    A program that runs fast has long forgotten a step when a viewer asks for it by its events; this
    is asked where the step still is. As many are given as ``patience`` allows.
    """
    end = recorder.raw(recorder.ends[-1]) if recorder.ends else None
    found: list[Update] = []
    if end is None:
        return found
    begin, last = end[3], end[0]
    until = time.perf_counter() + patience
    for seq in range(begin + 1, last):
        raw = recorder.raw(seq)
        if raw is None or raw[2] != records.UPDATE:
            continue
        event = typed(raw)
        assert isinstance(event, ParamUpdate)
        ident = event.tensor.id
        if tensors is not None and ident not in tensors:
            continue
        value = _one(array_of, None, ident, seq, None)
        grad = _one(array_of, None, event.grad, seq, None) if event.grad else None
        change = _one(array_of, None, ident, seq, begin)
        found.append(Update(ident, seq, value, grad, change))
        if time.perf_counter() > until:
            break
    return found


def _one(
    array_of: ArrayOf, summary_of: SummaryOf | None, tensor: int, seq: int, minus: int | None
) -> Summary | None:
    if minus is None and summary_of is not None:
        return summary_of(tensor, seq)
    array = array_of(tensor, seq)
    try:
        if array is None or minus is None:
            return None if array is None else summarize(array)
        before = array_of(tensor, minus)
        if before is None or before.shape != array.shape:
            return None
        wide = np.complex128 if array.dtype.kind == "c" else np.float64
        with np.errstate(all="ignore"):
            return summarize(array.astype(wide) - before.astype(wide))
    except (TypeError, AttributeError):  # a layout or dtype that has no such figures
        return None
