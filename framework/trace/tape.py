"""Recordings as they are read: a `.tape` file that may be cut, damaged or still being written.

    tape = open_tape("out.tape")
    tape                        # what it holds; a table in a notebook
    tape.steps[-1]              # a training step: its number, events, time
    tape.events(1, 100)         # events, as `framework.trace.events` has them
    tape.tensor(17, seq=250)    # what tensor 17 held after event 250

Whatever the file holds, opening it runs nothing, opens no other file and waits for nobody: file
names in it are names. Events are in memory, packed, and decoded when they are asked for; values are
read from the file then.
"""

from __future__ import annotations

import hashlib
import html
import json
import math
import os
import stat
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from framework import dtypes
from framework.trace.events import Event, TensorMeta
from framework.trace.protocol import Summary
from framework.trace.summary import summarize
from framework.trace.tape_events import EventStore, StepInfo
from framework.trace.tape_format import (
    BLOB,
    EVENTS,
    HEALTH,
    MAGIC,
    SOURCE,
    STOPS,
    VALUES,
    Chunk,
    Damage,
    Scanner,
    TapeError,
    messages,
    split_blob,
)
from framework.trace.tape_values import Value, Values

__all__ = ["StepInfo", "Tape", "TapeError", "open_tape"]

MAX_UNPACKED = 4 << 30  # bytes of events, names and sources, unpacked, in one recording

_BLOB_HEAD = msgspec.msgpack.Decoder(tuple[bytes, str, tuple[int, ...]])
_VALUES = msgspec.msgpack.Decoder(list[tuple[int, int, bytes, str, tuple[int, ...]]])
_HEALTH = msgspec.msgpack.Decoder(list[tuple[int, int, Summary]])
_SOURCE = msgspec.msgpack.Decoder(tuple[str, str])
_STOPS = msgspec.msgpack.Decoder(list[tuple[int, int]])
_DTYPES = {d.name: d.numpy for d in dtypes.ALL}


class Tape:
    """A recording; `open_tape` opens one.

    Attributes:
        path: the file, as it was named.
        info: what the run was: ``program``, ``argv``, ``python``, ``host``, ``started``, ``keep``.
        sources: file name -> text of the user's code.
        stops: event -> ns that the program stood after it, at a stop.
        damage: stretches that could not be read.
        complete: it was closed properly.
        all_read: all that the file held at the last `refresh` is known.

    >>> import pathlib, tempfile, framework as torch
    >>> from framework import trace
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "out.tape")
    >>> with trace.record(path):
    ...     y = torch.ones(2).exp()
    >>> with trace.Tape(path) as tape:
    ...     print(tape.complete, len(tape), tape.tensor(tape.event(2).outputs[0].id).round(2))
    True 2 [2.72 2.72]
    """

    def __init__(self, path: str | os.PathLike[str], read: bool = True) -> None:
        self.path = Path(path)
        self.all_read = False
        self._fd = -1
        self._open()
        if read:
            self.refresh()

    def _open(self) -> None:
        self._fd = _open_file(self.path)
        status = os.fstat(self._fd)
        self._inode = status.st_dev, status.st_ino
        self._scanner = Scanner(self._fd)
        self._events = EventStore(self._unreadable)
        self._values = Values()
        self._unpacked = self._dated = 0
        self.sources: dict[str, str] = {}
        self.stops: dict[int, int] = {}
        try:
            self._scanner.start()
        except TapeError as error:
            self.close()
            raise TapeError(f"{self.path}: {error}") from None

    def close(self) -> None:
        """Close the file; values cannot be read any more."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Tape:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            self.close()

    # -- what it is --------------------------------------------------------------------------------

    @property
    def info(self) -> dict[str, str]:
        """What the run was; {} if the file does not say it any more."""
        return self._scanner.info

    @property
    def complete(self) -> bool:
        """Whether the end of the file was found: nothing is missing behind what was read."""
        return self._scanner.complete

    @property
    def damage(self) -> list[Damage]:
        """Stretches of the file that could not be read."""
        return self._scanner.damage

    @property
    def writing(self) -> bool:
        """Is a process recording to it now?"""
        from framework.trace.tape_file import is_being_written

        return not self.complete and self._fd >= 0 and is_being_written(self._fd)

    @property
    def closed(self) -> bool:
        """Does the file end as a complete one does? Known before it has been read."""
        return os.pread(self._fd, len(MAGIC), max(len(MAGIC), self.size - len(MAGIC))) == MAGIC

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return os.fstat(self._fd).st_size if self._fd >= 0 else 0

    @property
    def first_seq(self) -> int:
        """The number of the first event."""
        return self._events.first_seq

    @property
    def last_seq(self) -> int:
        """The number of the last event."""
        return self._events.last_seq

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """First and last number of each run of events that is missing."""
        return self._events.gaps

    def __len__(self) -> int:
        return len(self._events)

    # -- reading -----------------------------------------------------------------------------------

    def refresh(self, chunks: int = 0) -> int:
        """Read what has been added since, at most so many chunks; returns how many events came.

        A file that was written anew meanwhile (a ring made room) is read from its beginning, then
        what it holds is what the new one holds.
        """
        writing = self.writing
        if self._replaced():
            self.close()
            self._open()
            writing = self.writing
        before = len(self)
        self.all_read = False
        try:
            for chunk in self._scanner.chunks(growing=writing):
                self._date_damage()
                self._take(chunk)
                chunks -= 1
                if not chunks:
                    break
            else:
                self.all_read = True
        except TapeError as error:
            self.close()
            raise TapeError(f"{self.path}: {error}") from None
        if not self._scanner.ours and not len(self) and self.all_read and not writing:
            self.close()
            raise TapeError(f"{self.path}: an MCAP file, but not a recording of Tapebook")
        self._date_damage()
        return len(self) - before

    def _replaced(self) -> bool:
        if self.complete or not len(self):
            return False
        try:
            status = os.stat(self.path)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) != self._inode

    def _take(self, chunk: Chunk) -> None:
        data = chunk.data
        if not chunk.start:
            self._unpacked += len(data)
            if self._unpacked > MAX_UNPACKED:
                raise TapeError(f"unpacks to more than {MAX_UNPACKED >> 30} GB: not read")
        for channel, _, start, end in messages(data):
            try:
                if channel == EVENTS:
                    self._events.take(data, start, end, chunk.packed or data, bool(chunk.packed))
                elif channel == BLOB:
                    self._take_blob(chunk, start, end)
                elif channel == VALUES:
                    self._values.take(_VALUES.decode(data[start:end]))
                elif channel == HEALTH:
                    self._values.take_summaries(_HEALTH.decode(data[start:end]))
                elif channel == SOURCE:
                    name, text = _SOURCE.decode(data[start:end])
                    self.sources.setdefault(name, text)
                elif channel == STOPS:
                    self.stops.update(_STOPS.decode(data[start:end]))
            except (msgspec.DecodeError, RecursionError, OverflowError):
                self.damage.append(Damage(chunk.offset, chunk.length, "a message that is none"))

    def _take_blob(self, chunk: Chunk, start: int, end: int) -> None:
        head, at = split_blob(chunk.data, start, end)
        digest, _, _ = _BLOB_HEAD.decode(head)
        if chunk.start:
            self._values.take_blob(digest, chunk.start + at, end - at)

    def _date_damage(self) -> None:
        """Say of the damage that was met just now after which event it lies."""
        for i in range(self._dated, len(self.damage)):
            self.damage[i] = replace(self.damage[i], after=self.last_seq)
        self._dated = len(self.damage)

    def _unreadable(self, seq: int) -> None:
        self.damage.append(Damage(0, 0, f"event {seq} is none", seq - 1))
        self._dated += 1

    # -- events ------------------------------------------------------------------------------------

    def events(self, first: int = 1, last: int | None = None) -> list[Event]:
        """Events ``first`` to ``last`` (default: the newest), as many as it holds."""
        return list(self._events.events(first, self.last_seq if last is None else last))

    def event(self, seq: int) -> Event | None:
        """The event with this number."""
        return self._events.event(seq)

    @property
    def steps(self) -> list[StepInfo]:
        """The training steps, in order; what comes after the last optimizer is a step as well."""
        return list(self._events.steps())

    # -- values ------------------------------------------------------------------------------------

    def tensor(self, ident: int, seq: int = 0) -> np.ndarray | None:
        """What a tensor held as of an event (0: the newest), or None if the recording has it not.

        Raises TapeError if it has it, and it is damaged.
        """
        found = self._find(ident, seq)
        return None if found is None or isinstance(found, Summary) else self._read(*found)

    def summary_of(self, ident: int, seq: int = 0) -> Summary | None:
        """Statistics of a tensor as of an event, of its value or as they were recorded."""
        found = self._find(ident, seq)
        if found is None or isinstance(found, Summary):
            return found
        return summarize(self._read(*found))

    def meta(self, ident: int, seq: int = 0) -> TensorMeta | None:
        """Shape and dtype of a tensor whose value it has."""
        found = self._find(ident, seq)
        if found is None or isinstance(found, Summary):
            return None
        return TensorMeta(ident, found[2], found[1], "cpu")

    def _find(self, ident: int, seq: int) -> Value | Summary | None:
        """What is known of a tensor as of an event; None if it may have been written since."""
        found = self._values.find(ident, seq)
        if found is None:
            return None
        born, what = found
        seq = seq or max(self.last_seq, born)
        writes = self._events.writes.get(ident, ())
        newest = bisect_right(writes, seq) - 1
        if newest >= 0 and writes[newest] > born:
            return None
        return None if self._events.gap_after(born, seq) else what

    def _read(self, digest: bytes, dtype: str, shape: tuple[int, ...]) -> np.ndarray | None:
        found = self._values.blob(digest)
        kind = _DTYPES.get(dtype)
        if found is None or kind is None or self._fd < 0:
            return None
        at, length = found
        if (
            len(shape) > 64
            or min(shape, default=0) < 0
            or math.prod(shape) * kind.itemsize != length
        ):
            raise TapeError(
                f"{self.path}: a value is damaged: {length} bytes for {list(shape)} {dtype}"
            )
        data = os.pread(self._fd, length, at)
        if len(data) != length or not _is_of(digest, data):
            raise TapeError(f"{self.path}: a value is damaged: it has another hash than recorded")
        return np.frombuffer(data, kind).reshape(shape)

    @property
    def kept(self) -> tuple[int, int]:
        """Values that it holds, and the bytes of the distinct ones."""
        return self._values.count, self._values.size

    def check(self) -> int:
        """Read every event and value; returns how many values it refers to and has not, or has
        damaged."""
        for _ in self._events.events(1, self.last_seq):
            pass
        bad = 0
        known: dict[bytes, bool] = {}
        for what in self._values:
            if isinstance(what, Summary):
                continue
            if what.digest not in known:
                try:
                    known[what.digest] = self._read(*what) is not None
                except TapeError:
                    known[what.digest] = False
            bad += not known[what.digest]
        return bad

    # -- showing -----------------------------------------------------------------------------------

    def state_text(self) -> str:
        """How the file ended, in a few words."""
        if self.complete:
            text = "complete"
        elif self.writing:
            text = "still being written"
        else:
            text = f"not closed: recovered {len(self):,} events"
        damaged = len(self.damage)
        return text + (f"; {damaged} damaged place{'s' * (damaged > 1)}" if damaged else "")

    def summary(self) -> dict[str, str]:
        """What the recording is and holds, as names and texts."""
        info, steps = self.info, self.steps
        values, size = self.kept
        try:
            command = " ".join(json.loads(info.get("argv", "[]")))
        except (ValueError, TypeError):
            command = ""
        numbered = [step.number for step in steps if step.number]
        found = {
            "file": f"{self.path}  ({self.size:,} bytes, {self.state_text()})",
            "program": info.get("program", "") or command,
            "command": command,
            "recorded": f"{info.get('started', '?')} on {info.get('host', '?')}",
            "with": f"Tapebook {info.get('tapebook', '?')}, Python {info.get('python', '?')}, "
            f"NumPy {info.get('numpy', '?')}",
            "events": f"{len(self):,} ({self.first_seq} to {self.last_seq}) "
            f"in {self._events.seconds:.3g} s",
            "steps": f"{len(numbered)} training steps"
            + (f" ({numbered[0]} to {numbered[-1]})" if numbered else ""),
            "values": f"{values:,} kept ({info.get('keep', '?')}), {size:,} bytes",
            "missing": ", ".join(f"events {a} to {b}" for a, b in self.gaps[:5]),
        }
        return {key: text for key, text in found.items() if text}

    def __repr__(self) -> str:
        return "\n".join(f"{key + ':':<10} {_plain(text)}" for key, text in self.summary().items())

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(key)}</th>"
            f"<td style='text-align:left'>{html.escape(_plain(text))}</td></tr>"
            for key, text in self.summary().items()
        )
        return f"<table>{rows}</table>"

    def __rich_repr__(self) -> Iterator[tuple[str, str]]:
        for key, text in self.summary().items():
            yield key, _plain(text)


def open_tape(path: str | os.PathLike[str]) -> Tape:
    """Open a recording, whatever state it is in.

    Raises TapeError with one line if it is none, or cannot be read at all.

    >>> open_tape("nowhere.tape")
    Traceback (most recent call last):
    framework.trace.tape_format.TapeError: nowhere.tape: no such file; check the name
    """
    return Tape(path)


def _open_file(path: Path) -> int:
    """A descriptor of a regular file; never waits for a pipe."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise TapeError(f"{path}: no such file; check the name") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TapeError(f"{path}: cannot be read: {reason}") from None
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return fd
    os.close(fd)
    kind = "a directory" if stat.S_ISDIR(mode) else "not a regular file"
    raise TapeError(f"{path}: {kind}, not a recording (.tape)")


def _is_of(digest: bytes, data: bytes) -> bool:
    """Does the name of a blob belong to these bytes? Format 1 named them by SHA-256."""
    if len(digest) == 16:
        return hashlib.sha256(data).digest()[:16] == digest
    return len(digest) == 12 and zlib.crc32(data) == int.from_bytes(digest[:4], "big")


def _plain(text: str) -> str:
    """Text from a file, without what a terminal would obey."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
