"""Recordings as they are made: from the ring and the kept values into a `.tape` file.

A thread of its own reads the ring, as the service does. At the end of a training step the model's
thread waits until the step has been handed to the operating system, so that a killed process loses
the step in progress and nothing else; it never waits for a disk that does not answer (`PATIENCE`).

The file is bounded. With the policy "ring", the values of old steps are dropped when the budget is
full, those of the first steps kept: the file is written anew beside itself, half as long, and takes
its own place. With "spill" nothing is dropped, and the recording ends where the budget does.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import linecache
import math
import os
import platform
import socket
import struct
import sys
import threading
import time
import weakref
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import zstandard

from framework.trace import records, sink
from framework.trace.events import Event, Grad, Leaf, Mark, Op, ParamUpdate, Write
from framework.trace.figures import FINITE, MEAN, NORM, RANGE, SPREAD, ZEROS, measure
from framework.trace.known import Known
from framework.trace.protocol import Summary
from framework.trace.reader import dtype_name, typed
from framework.trace.summary import summarize
from framework.trace.tape_file import Batch, Entry, Room, TapeFile, create, encode, reason
from framework.trace.tape_format import (
    EVENTS,
    HEALTH,
    SOURCE,
    STOPS,
    VALUES,
    TapeError,
    blob_message,
    message,
)
from framework.version import tapebook

__all__ = [
    "KEEP",
    "POLICIES",
    "Recording",
    "check_options",
    "record",
]

KEEP = ("none", "health", "all")
POLICIES = ("ring", "spill")

CHUNK = 64 << 10  # bytes after which a chunk is closed
BLOBS = 256 << 10  # the same, of a chunk of blobs
LARGEST = 256 << 20  # bytes of a tensor; of a larger one the statistics are kept
ROOM = 0.75  # of the ring may be full before the model's thread waits for some of it to be written
BREATH = 500  # events that are written before it is looked for
TICK = 0.01  # seconds between two looks at the ring within a step
REST = 0.25  # the same, the longest, while nothing happens
IDLE = 0.5  # seconds after which what has come is written, though no step has ended
PATIENCE = 0.25  # seconds that the model's thread waits at a step's end for a slow disk
GIVE_UP = 30.0  # seconds that the end of the program waits for one
FIRST = 2  # training steps at the beginning that the ring never drops
SOURCES = 32 << 20  # bytes of source text
LEAST = 1 << 16  # bytes, the smallest budget that makes sense


_DIGEST = struct.Struct(">IQ")  # the name of a blob: the CRC-32 of its bytes, and a number


class _Ended(Exception):
    """The recording is to end; says why."""


# -- recording -------------------------------------------------------------------------------------

_encode_into = msgspec.msgpack.Encoder().encode_into
_EMPTY = b"\xdd\0\0\0\0"  # a MessagePack array whose length is put in at the end

_recordings: weakref.WeakSet[Recording] = weakref.WeakSet()


class Recording:
    """Writes what a recorder sees to a file, until it is closed.

    Args:
        path: where to; a recording that is there is replaced, any other file refused.
        recorder: whose events; with ``keep="all"`` or "health" it must keep values itself.
        keep: "all" writes every value once, "health" their statistics, "none" neither.
        budget: bytes of the file.
        policy: "ring" or "spill", what happens when the budget is full.
        program: the script or notebook that runs, as a label.
        argv: its command line; default the process's.
        sources: text of files of the program; those that events name are added.
        say: told, once, why a recording ended early; default a line on stderr.

    Attributes:
        events: how many were written.
        lost: events that the ring had dropped before they could be written.
        missed: values that were gone before they could be written.
        problem: why it ended early, "" if it did not.

    Raises:
        TapeError: the file cannot be made.
        ValueError: an argument that is none of the above.

    >>> import pathlib, tempfile, framework as torch
    >>> from framework import trace
    >>> folder = tempfile.TemporaryDirectory()
    >>> with trace.recording() as tape:
    ...     with trace.Recording(pathlib.Path(folder.name, "out.tape"), tape) as recording:
    ...         y = torch.ones(2).exp()
    >>> recording.events, recording.lost, recording.problem
    (2, 0, '')
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        recorder: sink.Recorder,
        *,
        keep: str = "all",
        budget: int = 1 << 30,
        policy: str = "ring",
        program: str = "",
        argv: list[str] | None = None,
        sources: dict[str, str] | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        check_options(keep, budget, policy)
        self.path = Path(path)
        self.recorder = recorder
        self.keep = keep if recorder.values is not None else "none"
        self.budget = budget
        self.policy = policy
        self.events = self.lost = self.missed = 0
        self.problem = ""
        self._say = say or _to_stderr
        self._info = _describe(program, argv or sys.argv, self.keep, policy, budget)
        self._next = recorder.first_seq
        self._compress = zstandard.ZstdCompressor(level=1).compress
        self._text, self._blobs = Batch(), Batch()
        self._array, self._array_count, self._array_first = bytearray(_EMPTY), 0, (0, 0)
        self._values: list[tuple[int, int, bytes, str, tuple[int, ...]]] = []
        self._health: list[tuple[int, int, Any]] = []
        self._pending: list[tuple[int, int]] = []  # writes that are under way: (seq, tensor)
        self._being_written: set[int] = set()  # the tensors of these
        self._known = Known(any_order=self.keep == "health")
        self._blob_count = 0
        self._fresh: dict[bytes, Any] = {}  # blobs that are not yet written -> their bytes
        self._places: dict[bytes, tuple[int, int]] = {}  # blob -> where in the file, how long
        self._alike: dict[tuple[int, int], list[bytes]] = {}  # checksum, length -> blobs
        self._files: set[str] = set()
        self._source_bytes = 0
        self._leaves: dict[
            int, int
        ] = {}  # parameters, inputs, state -> the last event that used it
        self._stale: set[int] = set()  # tensors whose newest value was missed
        self._steps: list[tuple[int, int, int]] = []  # (last event, bytes of blobs, of text)
        self._step_bytes = self._text_bytes = 0
        self._limit = budget  # bytes of the file after which room is made
        self._written = self._due = 0
        self._wake, self._caught_up = threading.Event(), threading.Event()
        self._room, self._held_up = threading.Event(), False
        self._patient = True
        self._closing = False
        self._flushed = time.monotonic()
        self._pid = os.getpid()
        if recorder.on_step is not None:
            raise TapeError(f"{path}: this program is being recorded already")
        self._file = create(self.path, self._info)
        for name, text in (sources or {}).items():
            self._add_source(name, text, 0)
        self._begin()
        _recordings.add(self)
        recorder.on_step = self._at_step
        recorder.on_limit = self._at_limit
        self._make_way(self._next)
        self._thread = threading.Thread(target=self._work, name="tapebook-record", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def _begin(self) -> None:
        """The program's text comes first, where a viewer finds it at once."""
        try:
            self._text.write(self._file, self._compress)
        except OSError as error:
            self._file.close()
            raise TapeError(f"{self.path}: cannot be recorded to: {reason(error)}") from None

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = self.problem or ("closed" if self._closing else "recording")
        return f"<Recording {self.path}: {self.events} events, {self._file.end} bytes, {state}>"

    @property
    def behind(self) -> int:
        """Events that are still to be written."""
        return self.recorder.seq - self._written

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything up to now is in the file; whether that was done in time."""
        self._due = self.recorder.seq
        self._caught_up.clear()
        self._wake.set()
        return self._caught_up.wait(timeout)

    def close(self) -> None:
        """Write what is left, and the end of the file."""
        if self._closing or os.getpid() != self._pid:
            return
        self._closing = True
        if self.recorder.on_step == self._at_step:
            self.recorder.on_step = None
        self._wake.set()
        self._thread.join(GIVE_UP)
        self.recorder.limit = sys.maxsize
        if self._thread.is_alive():
            self._say(f"{self.path}: the disk does not answer: the recording is not closed")
        atexit.unregister(self.close)
        _recordings.discard(self)

    def _at_step(self) -> None:
        """On the model's thread, at the end of a training step."""
        if self.problem or os.getpid() != self._pid:
            return
        self._due = self.recorder.seq
        self._caught_up.clear()
        self._wake.set()
        if self._patient and not self._caught_up.wait(PATIENCE):
            self._patient = False  # until it has caught up

    def _at_limit(self) -> None:
        """On the model's thread, when the ring is nearly full of what is not yet written.

        It waits as long as the writing goes on, and goes on, losing events, when that stands still.
        """
        recorder = self.recorder
        self._held_up = True
        while recorder.seq >= recorder.limit:
            if self.problem or self._closing or os.getpid() != self._pid:
                recorder.limit = sys.maxsize
                break
            self._room.clear()
            self._wake.set()
            if recorder.seq >= recorder.limit and not self._room.wait(PATIENCE):
                recorder.limit = sys.maxsize  # until it goes on
        self._held_up = False

    def _make_way(self, seq: int) -> None:
        """Everything before ``seq`` has been taken in."""
        recorder = self.recorder
        recorder.limit = seq + int(ROOM * (recorder.mask + 1))
        if self._held_up:
            self._room.set()

    # -- the thread --------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            pause = TICK
            while not self._closing:
                self._wake.wait(pause)
                before = self._next
                self._turn()
                pause = TICK if self._next > before else min(pause * 1.5, REST)
            self._turn(last=True)
            self._file.finish()
        except OSError as error:
            self._stop(reason(error))
        except _Ended as error:
            self._stop(str(error))
        except Exception as error:  # a bug of ours must not end the program, nor be silent
            self._stop(f"{type(error).__name__}: {error}")
        finally:
            self.recorder.limit = sys.maxsize
            self._caught_up.set()
            self._room.set()

    def _turn(self, last: bool = False) -> None:
        self._wake.clear()
        due = self._due
        ended = self._take(self._newest())
        now = time.monotonic()
        full = self._file.end > self._limit
        if last:
            self._capture_written()
        if ended or last or full or due > self._written or now - self._flushed > IDLE:
            self._flush()
            if ended or full:
                self._end_step()
        if self._written >= self._due:
            self._patient = True
            self._caught_up.set()

    def _newest(self) -> int:
        seq = self.recorder.seq
        return seq if not seq or self.recorder.raw(seq) is not None else seq - 1

    def _stop(self, why: str) -> None:
        """The recording ends here, whole as far as it goes; the program goes on."""
        self.problem = why
        if self.recorder.on_step == self._at_step:
            self.recorder.on_step = None
        with contextlib.suppress(OSError):
            self._file.finish()
        self._say(
            f"{self.path}: {why}: the recording ends at event {self._written}, the program goes on"
        )

    # -- what goes in ------------------------------------------------------------------------------

    def _take(self, newest: int) -> bool:
        """Take in events up to ``newest``; whether a training step ended among them."""
        recorder = self.recorder
        ended = False
        seq = self._next
        while seq <= newest:
            raw = recorder.raw(seq)
            if raw is None:
                skipped = max(recorder.first_seq, seq + 1)
                self.lost += skipped - seq
                self._close_array()
                seq = skipped
                continue
            try:
                event: Event = typed(raw)
            except Exception as error:  # one strange argument must not end the recording
                event = Mark(seq, raw[1], f"unreadable event: {type(error).__name__}")
            self._add(event)
            kind = raw[2]
            if kind not in _AMONG_WRITES:
                self._capture_written()
                ended = ended or kind in (records.OPTIM_END, records.CELL_END)
            seq += 1
            if not seq % BREATH:
                self._make_way(seq)
            if len(self._array) > CHUNK:
                self._write_text()
        self._next = seq
        self._make_way(seq)
        return ended

    def _add(self, event: Event) -> None:
        if not self._array_count:
            self._array_first = event.seq, event.t
        _encode_into(event, self._array, -1)
        self._array_count += 1
        self.events += 1
        source = getattr(event, "source", None)
        if source is not None and source.file not in self._files:
            self._add_source(source.file, _text_of(source.file), event.t)
        if self.keep == "none":
            return
        if isinstance(event, Op):
            for ident in event.inputs:
                if ident in self._leaves:
                    self._leaves[ident] = event.seq
            for meta in event.outputs:
                self._capture(meta.id, event.seq)
        elif isinstance(event, Leaf):
            self._leaves[event.tensor.id] = event.seq
            self._capture(event.tensor.id, event.seq, ours=False)
        elif isinstance(event, Grad):
            self._leaves[event.total.id] = event.seq
            self._capture(event.total.id, event.seq)
        elif isinstance(event, Write):
            self._pending += [(event.seq, ident) for ident in event.tensors]
            self._being_written.update(event.tensors)
            self._known.clear()
        elif isinstance(event, ParamUpdate):
            for meta in (event.tensor, *event.state.values()):
                self._leaves[meta.id] = event.seq

    def _capture_written(self) -> None:
        pending, self._pending = self._pending, []
        self._being_written.clear()
        for seq, ident in pending:
            self._capture(ident, seq)

    def _capture(self, ident: int, seq: int, ours: bool = True) -> None:
        """What a tensor held as of an event, as a blob or as statistics.

        The array may be the live one. The program's next write in place first puts a copy in its
        stead, so what was read is whole if the same array still stands there afterwards. Memory
        that is not ``ours`` may be written by those who made it, without an event.
        """
        values, known = self.recorder.values, self._known
        while True:
            array: Any = values.get(ident, seq) if values is not None else None
            if not ours:
                known.exclude(array)
            place = known.place(array)
            found = known.get(place, array)
            if found is not None:
                break
            try:
                data, found = self._look(array)
            except (TypeError, MemoryError):  # gone, sparse, or a dtype without numbers
                self.missed += 1
                self._stale.add(ident)
                return
            if values.get(ident, seq) is array:  # type: ignore[union-attr]
                if found is None:
                    found = self._store(array, data, seq)
                # While a write is under way, only what it has made is known to be there to stay.
                if not self._pending or ident in self._being_written:
                    known.put(place, array, found)
                break
        self._stale.discard(ident)
        if found.__class__ is bytes:
            row = (ident, seq, found, dtype_name(array.dtype), tuple(array.shape))
            self._values.append(row)
        else:
            self._health.append((ident, seq, found))

    def _look(self, array: Any) -> tuple[Any, Any]:
        """The bytes of an array, or its statistics; TypeError if it has neither."""
        if array is None or hasattr(array, "sparse_dim") or getattr(array, "is_meta", False):
            raise TypeError
        room = self.budget // 2 - self._step_bytes
        if self.keep == "all" and array.nbytes <= min(LARGEST, room):
            if not isinstance(array, np.ndarray):
                from framework.kernels import to_host

                array = to_host(array)
            return _bytes_of(array), None
        return None, _health_of(array)

    def _store(self, array: Any, data: Any, seq: int) -> bytes:
        """Put the bytes of an array into the file, unless it has them; their name."""
        crc = zlib.crc32(data)
        alike = self._alike.setdefault((crc, len(data)), [])
        for digest in alike:
            if self._has(digest, data):
                return digest
        self._blob_count += 1
        digest = _DIGEST.pack(crc, self._blob_count)
        alike.append(digest)
        t = self._array_first[1]
        head = encode((digest, dtype_name(array.dtype), tuple(array.shape)))
        lead, data = blob_message(head, data, seq, t)
        self._blobs.add_blob(t, digest, lead, data, crc)
        self._fresh[digest] = data
        self._step_bytes += len(data)
        if self._blobs.size > BLOBS:
            self._write_blobs()
        return digest

    def _has(self, digest: bytes, data: Any) -> bool:
        """Are the bytes of this name these?"""
        held = self._fresh.get(digest)
        if held is None:
            at, length = self._places[digest]
            held = os.pread(self._file.fd, length, at)
        return bytes(held) == bytes(data)  # memory views are compared one by one

    def _write_blobs(self) -> None:
        self._fresh.clear()
        if self._blobs.count:
            self._blobs.write(self._file)
            self._places.update(_places(self._file.index[-1:]))

    def _add_source(self, name: str, text: str, t: int) -> None:
        self._files.add(name)
        self._source_bytes += len(text)
        if name and text and self._source_bytes <= SOURCES:
            self._text.add(t, message(SOURCE, 0, t, encode((name, text))))

    # -- what goes out -----------------------------------------------------------------------------

    def _close_array(self) -> None:
        """Make a message of the events that have been taken in."""
        if self._array_count:
            seq, t = self._array_first
            self._array[1:5] = self._array_count.to_bytes(4, "big")
            self._text.add(t, message(EVENTS, seq, t, bytes(self._array)))
            self._array, self._array_count = bytearray(_EMPTY), 0

    def _write_text(self) -> None:
        """Blobs, then what refers to them."""
        self._close_array()
        self._write_blobs()
        t = self._text.last
        if self._values:
            self._text.add(t, message(VALUES, 0, t, encode(self._values)))
            self._values = []
        if self._health:
            self._text.add(t, message(HEALTH, 0, t, encode(self._health)))
            self._health = []
        if stops := self._stops():
            self._text.add(t, message(STOPS, 0, t, encode(stops)))
        before = self._file.end
        self._text.write(self._file, self._compress)
        self._text_bytes += self._file.end - before

    def _stops(self) -> list[tuple[int, int]]:
        """Stops that are over, of events that are being written."""
        gate, found = self.recorder.gate, []
        while gate is not None and gate.stood and gate.stood[0][0] < self._next:
            found.append(gate.stood.popleft())
        return found

    def _flush(self) -> None:
        self._write_text()
        self._written = self._next - 1
        self._flushed = time.monotonic()

    def _end_step(self) -> None:
        """Note what the step took, and keep to the budget."""
        self._steps.append((self._written, self._step_bytes, self._text_bytes))
        self._step_bytes = self._text_bytes = 0
        if self._file.end <= self._limit:
            return
        if self.policy == "spill":
            raise _Ended("its budget is used up")
        self._make_room()

    def _make_room(self) -> None:
        """Write the file anew without the values of old steps; if need be, without their events."""
        early, late = self._kept(1, FIRST, self.budget // 2)
        events_early, events_late = self._kept(2, FIRST, self.budget // 4)
        in_use = {ident for ident, used in self._leaves.items() if used > late}
        room = Room(early, late, events_early, events_late, in_use)
        old, new = self._file, TapeFile(self.path, self._info)
        try:
            room.look(old)
            room.copy(old, new, self._compress)
            # Said anew for the moment before the last steps: what was between may be gone.
            carried = [
                (row[0], late, *row[2:])
                for row in room.newest.values()
                if row[0] not in self._stale
            ]
            if carried:
                batch = Batch()
                batch.add(0, message(VALUES, 0, 0, encode(carried)))
                batch.write(new, self._compress)
            new.put_in_place()
        except BaseException:
            new.abandon()
            raise
        old.close()
        self._file = new
        self._limit = max(self.budget, new.end + self.budget // 8)  # what must stay may be much
        self._places = dict(_places(new.index))
        self._alike = {}
        for digest, (_, length) in self._places.items():
            self._alike.setdefault((_DIGEST.unpack(digest)[0], length), []).append(digest)
        self._known.clear()
        self._leaves = {ident: used for ident, used in self._leaves.items() if used > late}
        self._steps = [
            (seq, blobs if seq <= early or seq > late else 0, text)
            for seq, blobs, text in self._steps
            if seq <= events_early or seq > events_late
        ]

    def _kept(self, column: int, first: int, room: int) -> tuple[int, int]:
        """Events up to the first number and after the second stay: ``room`` bytes of a column."""
        early = used = 0
        for row in self._steps[:first]:
            used += row[column]
            if used > room // 4:
                break
            early = row[0]
        used = 0
        late = self._steps[-1][0]
        for i in range(len(self._steps) - 1, -1, -1):
            used += self._steps[i][column]
            if used > room and i < len(self._steps) - 1:
                break
            late = self._steps[i - 1][0] if i else 0
        return early, max(early, late)


def _bytes_of(array: np.ndarray) -> Any:
    """A copy of an array's elements in C order, made without holding up the model's thread."""
    if array.nbytes <= CHUNK or array.dtype.hasobject:
        return array.tobytes()
    return np.array(array, order="C", copy=True).reshape(-1).view(np.uint8).data


def _text_of(name: str) -> str:
    """The text of a program's file; of nothing else that code may say it comes from."""
    program = name.startswith("<") or name.endswith((".py", ".pyw", ".ipynb"))
    return "".join(linecache.getlines(name)) if program else ""


def _places(index: list[Entry]) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Where the blobs of some chunks are in the file, and how long."""
    for entry in index:
        for digest, start, length in entry.blobs:
            yield digest, (entry.offset + start, length)


def _health_of(array: Any) -> Summary:
    """Statistics in one pass; where something is not finite, in the passes that leave it out."""
    if not array.size:
        return summarize(array)
    f = measure(array, FINITE | MEAN | NORM | RANGE | SPREAD | ZEROS)
    if f.nan or f.inf or not math.isfinite(f.squares):
        return summarize(array)
    norm = math.sqrt(f.squares)
    return Summary(f.count, 0, 0, f.zeros, f.low, f.high, f.mean, f.std, norm)


_AMONG_WRITES = frozenset(
    (records.WRITE, records.LEAF, records.OP)
)  # may come before a write is done


def check_options(keep: str, budget: int, policy: str) -> None:
    """ValueError for an option that does not exist."""
    if keep not in KEEP:
        raise ValueError(f"keep must be one of {', '.join(KEEP)}, but got {keep!r}")
    if policy not in POLICIES:
        raise ValueError(f"policy must be one of {', '.join(POLICIES)}, but got {policy!r}")
    if budget < LEAST:
        raise ValueError(f"a budget of {budget:,} bytes is too small: give {LEAST >> 10}K or more")


def _describe(program: str, argv: list[str], keep: str, policy: str, budget: int) -> dict[str, str]:
    """What the run was. The wall clock is a label; order is by event numbers and ``clock``."""
    return {
        "tapebook": tapebook,
        "program": program,
        "argv": json.dumps(argv),
        "folder": os.getcwd(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.platform(),
        "host": socket.gethostname(),
        "pid": str(os.getpid()),
        "started": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "clock": str(time.perf_counter_ns()),
        "keep": keep,
        "policy": policy,
        "budget": str(budget),
    }


def _to_stderr(text: str) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"tapebook: {text}\n")


# A forked child has the descriptor but not the thread: it must neither write nor hold the lock.
def _after_fork() -> None:
    for recording in list(_recordings):
        with contextlib.suppress(OSError):
            os.close(recording._file.fd)
    _recordings.clear()


os.register_at_fork(after_in_child=_after_fork)


# -- the Python API --------------------------------------------------------------------------------


@contextlib.contextmanager
def record(path: str | os.PathLike[str], **options: Any) -> Iterator[Recording]:
    """Record a block to a `.tape` file; options are `Recording`'s.

    The tape that is being made on this thread is written, if there is one, with what is still in
    its ring; else the block is traced.

    >>> import framework as torch, tempfile, os
    >>> from framework.trace import open_tape, record
    >>> path = os.path.join(tempfile.mkdtemp(), "out.tape")
    >>> with record(path) as recording:
    ...     y = torch.ones(2).exp()
    >>> [event.name for event in open_tape(path).events() if hasattr(event, "duration")]
    ['ones', 'exp']
    """
    check_options(
        options.get("keep", "all"), options.get("budget", LEAST), options.get("policy", "ring")
    )
    main = os.path.abspath(getattr(sys.modules["__main__"], "__file__", None) or "")
    if os.path.isfile(main):
        options.setdefault("program", main)
        options.setdefault("sources", {main: "".join(linecache.getlines(main))})
    before = sink.active
    if before is not None and before.owner == threading.get_ident():
        with Recording(path, before, **options) as recording:
            yield recording
        return
    recorder = sink.Recorder(keep="none" if options.get("keep") == "none" else "all")
    with Recording(path, recorder, **options) as recording:
        sink.active = recorder
        try:
            yield recording
        finally:
            sink.active = before
