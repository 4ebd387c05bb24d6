"""Going back to a training step whose values are no longer kept, by running it again.

Now and then, between two training steps, the program is copied (`forks`), and the copy sleeps: a
*checkpoint*. Asked for an event of the past, the newest checkpoint before it makes a copy of itself
that runs on to that event and stops there; everything that it needs (parameters, optimizer,
generators, data, variables) is what it was. Events and tensors of a re-run have the numbers that
they had, so that it can be asked for a value in the same words.

Whether it did the same is checked, not believed: its events against those of the tape
(`first_difference`), and after each training step checksums of all parameters, their gradients and
the random generator against those that the program noted at the time (`digests`).

A checkpoint costs what the program writes to afterwards. There are at most `LIMIT`, the first and
the newest ones and some in between, fewer where memory is short; making them takes at most `SHARE`
of the time, but for one as each cell begins.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
import zlib
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framework.trace import records
from framework.trace.events import BackwardBegin, Event, Kernels, Leaf, Mark, Op
from framework.trace.forks import close_end, keep_end, lacking
from framework.trace.gate import GateError
from framework.trace.stuck import is_stopped

if TYPE_CHECKING:
    from framework.trace.forks import Copy, Forks

__all__ = ["LIMIT", "SHARE", "Checkpoints", "Difference", "first_difference"]

LIMIT = 8  # checkpoints at a time
NEWEST = 3  # of them, such as are never given up for others
EVERY = 1.0  # seconds between two of them in one run; what is written to afterwards is copied
SHARE = 0.05  # of the time, for making them and for the checksums
LEAST = 1 << 30  # bytes of free memory below which none is made
TRY = 4.0  # seconds that checkpoints may take to answer, all together: others wait meanwhile
NOTED = 4_000  # training steps whose checksums are remembered


@dataclass(slots=True)
class _Checkpoint:
    """A sleeping copy."""

    copy: Copy
    seq: int  # it goes on after this event
    orders: int  # pipe to it
    answers: int  # and from it


class Checkpoints:
    """The checkpoints of a program.

    Attributes:
        enabled: whether any are made.
        digests: by the number of the event that ended a training step, checksums by name.
    """

    def __init__(self, forks: Forks) -> None:
        self.forks = forks
        self.recorder, self.gate = forks.recorder, forks.gate
        self.enabled = True
        self.digests: OrderedDict[int, dict[str, int]] = OrderedDict()
        self._known: list[_Checkpoint] = []
        self._cells: deque[int] = deque(maxlen=10_000)  # where the runs of cells began
        self._next = 0.0  # when the next one may be made
        self._next_digest = 0.0
        self._again = 0  # the process of the newest re-run
        self.recorder.between = self._between
        service = forks.service
        service.register("rerun", self._rerun, slow=True)
        service.register("digests", self._digests, control=False, slow=True)
        service.register("checkpoints", self._switch)

    # -- requests --------------------------------------------------------------------------------

    def _rerun(self, params: dict[str, Any]) -> dict[str, Any]:
        """Run again up to event ``to``; answers as soon as it runs."""
        to = params.get("to", 0)
        if not isinstance(to, int) or isinstance(to, bool) or to < 1:
            raise GateError(f"rerun: to must be the number of an event, not {to!r}")
        if to > self.recorder.seq:
            raise GateError(f"rerun: event {to} has not happened yet")
        cell = next((seq for seq in reversed(self._cells) if seq < to), 0)  # a copy gets no cells
        usable = [c for c in reversed(self._known) if cell <= c.seq < to]
        if not usable and self._known and self._known[0].seq < cell:
            raise GateError(f"no checkpoint is left of the cell that ran at event {to}")
        if not usable:
            first = self._known[0].seq if self._known else 0
            have = f"the first was made at event {first}" if first else self._why_none()
            raise GateError(f"there is no checkpoint before event {to}: {have}")
        self.end_again()
        end, silent = time.monotonic() + TRY, ""
        given = list(self.forks.service.asking.given)  # which no copy is asked for again
        for found in usable:  # an older one does as well
            try:
                if is_stopped(found.copy.pid):
                    os.kill(found.copy.pid, signal.SIGCONT)
                order = {"to": to, "given": [g for g in given if found.seq <= g[0] <= to]}
                os.write(found.orders, json.dumps(order).encode() + b"\n")
                told = json.loads(_line(found.answers, max(0.1, end - time.monotonic())))
            except (OSError, ValueError):
                self._forget(found)
                silent += f"{', ' if silent else ''}{found.copy.pid}"
                if time.monotonic() >= end:
                    break
                continue
            if "error" in told:
                raise GateError(told["error"])
            self._again = told["pid"]
            return {**told, "seq": found.seq, "lacks": lacking()}
        raise GateError(
            f"checkpoints that did not answer were given up (process {silent}): try again"
        )

    def _why_none(self) -> str:
        return self.forks.why_not() or (
            "they are switched off" if not self.enabled else "none was made yet"
        )

    def _digests(self, params: dict[str, Any]) -> list[Any]:
        """Checksums of the training steps that ended between two events."""
        first, last = params.get("first", 1), params.get("last", self.recorder.seq)
        if not (isinstance(first, int) and isinstance(last, int)):
            raise GateError("digests: first and last are numbers of events")
        return [[seq, sums] for seq, sums in list(self.digests.items()) if first <= seq <= last]

    def _switch(self, params: dict[str, Any]) -> dict[str, Any]:
        """``enabled``: make them, or give them up; without it, nothing changes."""
        wanted = params.get("enabled")
        if wanted is not None:
            self.enabled = bool(wanted)
            if not self.enabled:
                self.end_all()
        return {
            "enabled": self.enabled,
            "seqs": [c.seq for c in self._known],
            "why": self.forks.why_not(),
        }

    # -- on the model's thread, between two steps --------------------------------------------------

    def _between(self) -> None:
        recorder, forks = self.recorder, self.forks
        raw = recorder.raw(recorder.seq)
        begins = raw is not None and raw[2] == records.CELL_BEGIN
        if begins:
            self._cells.append(recorder.seq)
        again = forks.kind == "rerun"
        looked_at = recorder.values is not None and (again or bool(forks.service.viewers))
        if not (self.enabled and looked_at):
            return
        self._digest(always=again)
        if forks.kind or forks.why_not() or not self.gate.attended():
            return
        began = time.perf_counter()
        if (began < self._next and not begins) or _free_memory() < LEAST:
            return  # one as a cell begins: none before that could come to what the cell does
        with contextlib.suppress(GateError):  # no memory, no processes: the program goes on
            self._make()
        spent = time.perf_counter() - began
        if not forks.kind:
            self._next = began + spent / SHARE + EVERY

    def _digest(self, always: bool) -> None:
        """Note checksums of what the step has left, as often as is cheap."""
        recorder = self.recorder
        ended = recorder.ends[-1] if recorder.ends else 0
        began = time.perf_counter()
        if ended != recorder.seq or not (always or began >= self._next_digest):
            return
        self.digests[ended] = _checksums(recorder)
        if len(self.digests) > NOTED:
            self.digests.popitem(last=False)
        self._next_digest = began + (time.perf_counter() - began) / SHARE

    def _make(self) -> None:
        orders, orders_in = os.pipe()
        answers_out, answers = os.pipe()
        try:
            copy = self.forks.split("checkpoint", (orders_in, answers_out))
        except GateError:
            for end in (orders, orders_in, answers_out, answers):
                os.close(end)
            raise
        if copy is None:
            self._sleep(orders, answers)
            return
        os.close(orders)
        os.close(answers)
        keep_end(orders_in, answers_out)
        self._known.append(_Checkpoint(copy, self.recorder.seq, orders_in, answers_out))
        # In the end, a copy may hold as much as the program does.
        room = _free_memory() // (2 * max(_own_memory(), 1))
        while len(self._known) > max(NEWEST, min(LIMIT, room)):
            self._forget(self._least_useful())

    def _least_useful(self) -> _Checkpoint:
        """Not the first, not one of the newest; of the others, the one that is missed least."""
        known = self._known
        newest = known[-1].seq
        if len(known) <= NEWEST + 1:
            return known[0]

        def missed(i: int) -> float:
            gap = known[i + 1].seq - known[i - 1].seq
            return gap / (newest - known[i].seq + 1)  # the longer ago, the wider apart

        return known[min(range(1, len(known) - NEWEST), key=missed)]

    def _forget(self, checkpoint: _Checkpoint) -> None:
        if checkpoint in self._known:
            self._known.remove(checkpoint)
            self.forks.end(checkpoint.copy)
            close_end(checkpoint.orders, checkpoint.answers)

    def disown(self) -> None:
        """In a copy: the checkpoints are those of the original."""
        self._known, self._again = [], 0

    def end_all(self) -> None:
        """Give all checkpoints up, and the newest re-run."""
        self.end_again()
        for checkpoint in list(self._known):
            self._forget(checkpoint)

    def end_again(self) -> None:
        """End the newest re-run."""
        pid, self._again = self._again, 0
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    # -- in a checkpoint ---------------------------------------------------------------------------

    def _sleep(self, orders: int, answers: int) -> None:
        """Wait for orders for ever; returns in a re-run only."""
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a re-run's end
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # of a terminal: the original decides
        while True:
            order = _line(orders, None)
            if not order:
                os._exit(0)
            told = json.loads(order)
            ready, ready_child = os.pipe()
            try:
                copy = self.forks.split("rerun", (ready,))
            except GateError as error:
                os.write(answers, json.dumps({"error": str(error)}).encode() + b"\n")
                continue
            if copy is None:
                os.close(orders)
                os.close(answers)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                self.gate.set_breakpoints([])
                self.gate.break_on_error = False
                self.gate.run_to(told["to"])
                self.forks.service.asking.given = deque(map(tuple, told["given"]))
                self.forks.settle("rerun", ready_child)
                return
            os.close(ready_child)
            try:
                self.forks.hear(copy, ready)
                answer = {"name": copy.name, "pid": copy.pid}
            except GateError as error:
                answer = {"error": str(error)}
            os.close(ready)
            os.write(answers, json.dumps(answer).encode() + b"\n")


def _line(descriptor: int, patience: float | None) -> bytes:
    """A line from a pipe; "" when it has been closed, ValueError if none comes in time."""
    text = b""
    while not text.endswith(b"\n"):
        if patience is not None and not select.select([descriptor], [], [], patience)[0]:
            raise ValueError("no answer")
        part = os.read(descriptor, 1)
        if not part:
            return b""
        text += part
    return text


def _free_memory() -> int:
    """Bytes that the system could still give; a lot where it does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            return int(file.read().split("MemAvailable:")[1].split()[0]) << 10
    except (OSError, ValueError, IndexError):
        return 1 << 62


def _own_memory() -> int:
    """Bytes that this process has in memory; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _checksums(recorder: Any) -> dict[str, int]:
    """CRC-32 of every named leaf that is trained, of its gradient, and of the generator's state."""
    from framework.random import default_generator

    found = {"random numbers": zlib.crc32(default_generator.get_state()._data.tobytes())}
    for ident, leaf in sorted(recorder.leaves.items()):
        name = recorder.names.get(ident, "")
        if not name or not leaf.requires_grad:
            continue
        found[name] = _checksum(leaf._data)
        if leaf._grad is not None:
            found[f"{name}.grad"] = _checksum(leaf._grad._data)
    return found


def _checksum(array: Any) -> int:
    array = array.get() if hasattr(array, "get") else array
    return zlib.crc32(array.tobytes()) if array.size else 0


# -- is it the same? -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a re-run first did something else.

    Attributes:
        seq: of the event, or of the end of the training step.
        text: what was, and what is.
        event: what the tape has there; None for a checksum.
    """

    seq: int
    text: str
    event: Event | None = None


Sums = Iterable[tuple[int, dict[str, int]]]  # as the request `digests` gives them


def first_difference(
    was: Iterable[Event], is_now: Iterable[Event], sums: Sums = (), sums_now: Sums = ()
) -> Difference | None:
    """Compare a re-run with the tape: its events by number, and the checksums of its steps.

    Times and marks do not count. Events that only one side knows are left out.

    >>> from framework.trace.events import Mark, Leaf, TensorMeta
    >>> leaf = Leaf(2, 5, TensorMeta(1, (3,), "float32", "cpu"), "x", "input")
    >>> other = Leaf(2, 9, TensorMeta(1, (4,), "float32", "cpu"), "x", "input")
    >>> first_difference([leaf], [leaf]) is None
    True
    >>> first_difference([leaf], [other]).text
    'x float32 [3] then, x float32 [4] now'
    """
    then = {event.seq: event for event in was}
    first: Difference | None = None
    for event in is_now:
        before = then.get(event.seq)
        if before is not None and _essence(before) != _essence(event):
            first = Difference(event.seq, _unlike(before, event), before)
            break
    now = dict(sums_now)
    for seq, noted in sums:
        if first is not None and seq > first.seq:
            break
        found = now.get(seq)
        if found is None:
            continue
        different = [name for name, value in noted.items() if found.get(name) != value]
        if different:
            more = f" and {len(different) - 1} more" if len(different) > 1 else ""
            return Difference(seq, f"{different[0]}{more} has other values")
    return first


def _essence(event: Event) -> Any:
    """What must be the same: all but times and what stands for an object."""
    if isinstance(event, (Kernels, Mark)):
        return (type(event).__name__,)
    fields = {n: getattr(event, n) for n in event.__struct_fields__ if n not in ("t", "duration")}
    if isinstance(event, BackwardBegin) and event.loss != event.loss:
        fields["loss"] = "nan"  # one is as good as another
    if isinstance(event, Op):
        fields["meta"] = {k: v for k, v in event.meta.items() if "<" not in v}
    return type(event), fields


def _unlike(before: Event, event: Event) -> str:
    """Two events that differ, in a few words."""
    was, is_now = _words(before), _words(event)
    if was != is_now:
        return f"{was} then, {is_now} now"
    (_, then), (_, now) = _essence(before), _essence(event)
    for fields in (then, now):
        fields.update(fields.pop("meta", {}))
    name = next((key for key in {**then, **now} if then.get(key) != now.get(key)), "")
    return f"{was}: {name} was {then.get(name)}, is {now.get(name)}"


def _words(event: Event) -> str:
    if isinstance(event, Leaf):
        meta = event.tensor
        return f"{event.name or 'a tensor'} {meta.dtype} {list(meta.shape)}"
    if isinstance(event, BackwardBegin):
        return "backward"
    name = getattr(event, "name", "") or getattr(event, "path", "") or type(event).__name__
    outputs = getattr(event, "outputs", ())
    shapes = ", ".join(str(list(m.shape)) for m in outputs if hasattr(m, "shape"))
    return f"{name} {shapes}".strip()
