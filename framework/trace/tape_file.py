"""The file of a recording as it is written: whole chunks, a lock, room made in it, copies of it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import struct
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from framework.trace.tape_format import (
    EVENTS,
    VALUES,
    Chunk,
    Scanner,
    TapeError,
    chunk_record,
    closing,
    join_crc,
    message,
    messages,
    opening,
    split_blob,
    time_at,
    times_of,
)

__all__ = [
    "Batch", "Blob", "Entry", "Room", "TapeFile", "copy_tape", "create", "decode_values", "encode",
    "is_being_written", "reason",
]  # fmt: skip

encode = msgspec.msgpack.Encoder().encode
decode_values = msgspec.msgpack.Decoder(list[tuple[int, int, bytes, str, tuple[int, ...]]]).decode

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file may not grow any more",
}
_LOCK = struct.Struct("hhqqi4x")  # struct flock


def is_being_written(fd: int) -> bool:
    """Does a process have the file open for recording? Asks, and takes no lock itself."""
    request = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, request)
    except OSError:  # a file system without locks
        return False
    return bool(_LOCK.unpack(answer)[0] != fcntl.F_UNLCK)


class Blob(NamedTuple):
    """The bytes of a value: its name, and where they are in its chunk."""

    digest: bytes
    start: int
    length: int


class Entry(NamedTuple):
    """A chunk of a file; the first seven are what its index says of it."""

    offset: int
    length: int
    first: int
    last: int
    packed: bool
    stored: int
    size: int
    messages: int
    blobs: tuple[Blob, ...]  # those in it


class TapeFile:
    """A file that grows by whole chunks; after a failed write it ends with the last whole one.

    It is made beside its place and put there when it has a beginning, so that nobody ever sees half
    of one. Raises OSError where it cannot be written.
    """

    def __init__(self, path: Path, info: dict[str, str]) -> None:
        self.path = path
        self._temporary = path.with_name(f".{path.name[:80]}-{os.getpid()}.part")
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        self.fd = os.open(self._temporary, flags, 0o666)
        self.end = 0
        self.index: list[Entry] = []
        self.count = 0
        try:
            with contextlib.suppress(OSError):
                lock = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                fcntl.fcntl(self.fd, fcntl.F_OFD_SETLK, lock)
            self.write([opening(info)])
        except BaseException:
            self.abandon()
            raise

    def put_in_place(self) -> None:
        os.replace(self._temporary, self.path)

    def abandon(self) -> None:
        """Remove it before it was put in place."""
        self.close()
        with contextlib.suppress(OSError):
            os.unlink(self._temporary)

    def write(self, parts: list[Any]) -> None:
        """Append whole records, all or nothing."""
        at = self.end
        views = [memoryview(part) for part in parts]
        try:
            while views:
                done = os.pwritev(self.fd, views[:512], at)
                at += done
                while views and done >= len(views[0]):
                    done -= len(views.pop(0))
                if done:
                    views[0] = views[0][done:]
        except OSError:
            os.ftruncate(self.fd, self.end)
            raise
        self.end = at

    def chunk(
        self,
        parts: list[Any],
        first: int,
        last: int,
        count: int,
        compress: Any = None,
        blobs: tuple[Blob, ...] = (),
        crc: int | None = None,
    ) -> None:
        """Append a chunk of ``count`` messages from times ``first`` to ``last``."""
        size = sum(map(len, parts))
        made = chunk_record(first, last, parts, compress, crc)
        length = sum(map(len, made))
        offset = self.end
        self.write(made)
        stored = sum(map(len, made[1:]))
        packed = compress is not None
        self.index.append(Entry(offset, length, first, last, packed, stored, size, count, blobs))
        self.count += count

    def read(self, entry: Entry) -> bytes:
        """The messages of one of its chunks."""
        chunk = Scanner(self.fd).chunk_at(entry.offset)
        if chunk is None:
            raise OSError(errno.EIO, "the file was changed by another program")
        return chunk.data

    def take(self, other: TapeFile, entry: Entry) -> None:
        """Append a chunk of another file, within the kernel where that can."""
        at, done = self.end, 0
        try:
            while done < entry.length:
                count = min(entry.length - done, 1 << 30)
                done += _copy(other.fd, self.fd, count, entry.offset + done, at + done)
        except OSError:
            os.ftruncate(self.fd, self.end)
            raise
        self.end = at + done
        self.index.append(entry._replace(offset=at))
        self.count += entry.messages

    def copy(self, fd: int, chunk: Chunk) -> None:
        """Append a chunk of another file as it is."""
        data = bytearray(os.pread(fd, chunk.length, chunk.offset))
        first, last = times_of(chunk.data)  # those of the chunk itself have no checksum
        struct.pack_into("<QQ", data, 9, first, last)
        size = len(chunk.data)
        offset = self.end
        self.write([data])
        packed = not chunk.start
        stored = chunk.length - (53 if packed else 49)  # without the heads of record and chunk
        count = sum(1 for _ in messages(chunk.data))
        entry = Entry(offset, chunk.length, first, last, packed, stored, size, count, ())
        self.index.append(entry)
        self.count += count

    def finish(self) -> None:
        """Write the index and the footer, and close."""
        try:
            self.write([closing(self.end, [entry[:7] for entry in self.index], self.count)])
        finally:
            self.close()

    def close(self) -> None:
        """Close it as it is."""
        fd, self.fd = self.fd, -1
        os.close(fd)


_HEAD = 49  # bytes of a chunk before its messages, if they are not compressed


class Batch:
    """Messages that will be a chunk."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.parts: list[Any] = []
        self.blobs: list[Blob] = []
        self.size = self.count = self.first = self.last = self.crc = 0

    def add(self, t: int, data: Any) -> None:
        """A message."""
        self.first = min(self.first, t) if self.count else t
        self.last = max(self.last, t)
        self.parts.append(data)
        self.size += len(data)
        self.count += 1

    def add_blob(self, t: int, digest: bytes, lead: bytes, data: Any, crc: int) -> None:
        """The message of a blob, in two parts; ``crc`` is the checksum of its ``data``."""
        before = zlib.crc32(lead, self.crc)
        small = len(data) < 1 << 14  # faster twice than joined
        self.crc = zlib.crc32(data, before) if small else join_crc(before, crc, len(data))
        self.add(t, lead)
        self.blobs.append(Blob(digest, _HEAD + self.size, len(data)))
        self.parts.append(data)
        self.size += len(data)

    def write(self, file: TapeFile, compress: Any = None) -> None:
        if self.count:
            blobs, crc = tuple(self.blobs), self.crc if self.blobs else None
            file.chunk(self.parts, self.first, self.last, self.count, compress, blobs, crc)
        self.clear()


def _copy(source: int, target: int, count: int, at: int, to: int) -> int:
    """Copy bytes between files; how many were."""
    try:
        done = os.copy_file_range(source, target, count, at, to)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP):
            raise
        done = 0
    return done or os.pwrite(target, os.pread(source, min(count, 1 << 20), at), to)


def create(path: Path, info: dict[str, str], place: bool = True) -> TapeFile:
    """A new file, in its place at once or later; TapeError if there must not, or cannot, be one."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        pass
    except OSError as error:
        raise TapeError(f"{path}: cannot be recorded to: {error.strerror}") from None
    else:
        _check_replaceable(path, mode)
    try:
        file = TapeFile(path, info)
        if place:
            file.put_in_place()
    except OSError as error:
        raise TapeError(f"{path}: cannot be recorded to: {reason(error)}") from None
    return file


def _check_replaceable(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise TapeError(f"{path}: not a regular file; name one that may be written")
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if is_being_written(fd):
            raise TapeError(f"{path}: another process is recording to it")
        if os.fstat(fd).st_size:
            scanner = Scanner(fd)
            scanner.start()
    except TapeError as error:
        if "another process" in str(error):
            raise
        raise TapeError(f"{path}: exists and is no recording; it is not overwritten") from None
    finally:
        os.close(fd)


def reason(error: OSError) -> str:
    return _FULL.get(error.errno or 0, error.strerror or str(error))


# -- the ring: a file without the values of old steps ----------------------------------------------

Row = tuple[int, int, bytes, str, tuple[int, ...]]  # tensor, event, hash, dtype, shape


class Room:
    """What stays of a file when room is made.

    Args:
        early, late: values up to the one event and after the other stay.
        events_early, events_late: the same for events.
        in_use: tensors that events after ``late`` use; their newest value before it stays.
    """

    def __init__(
        self, early: int, late: int, events_early: int, events_late: int, in_use: set[int]
    ) -> None:
        self.early, self.late = early, late
        self.events_early, self.events_late = events_early, events_late
        self.in_use = in_use
        self.newest: dict[int, Row] = {}
        self.digests: set[bytes] = set()

    def look(self, file: TapeFile) -> None:
        """Find which values stay."""
        for entry in file.index:
            if not entry.packed:
                continue
            data = file.read(entry)
            for channel, _, start, end in messages(data):
                for row in decode_values(data[start:end]) if channel == VALUES else ():
                    if self._stays(row):
                        self.digests.add(row[2])
                    if row[1] > self.late or row[0] not in self.in_use:
                        continue
                    if row[1] >= self.newest.get(row[0], row)[1]:
                        self.newest[row[0]] = row
        self.digests.update(row[2] for row in self.newest.values())

    def _stays(self, row: Row) -> bool:
        return row[1] <= self.early or row[1] > self.late

    def copy(self, old: TapeFile, new: TapeFile, compress: Any) -> None:
        """Write what stays to a new file."""
        for entry in old.index:
            if entry.packed:
                self._text(old.read(entry)).write(new, compress)
                continue
            found = [blob.digest for blob in entry.blobs]
            if self.digests.issuperset(found):
                new.take(old, entry)
            elif not self.digests.isdisjoint(found):
                self._blobs(old.read(entry)).write(new)

    def _text(self, data: bytes) -> Batch:
        batch = Batch()
        for channel, sequence, start, end in messages(data):
            t = time_at(data, start)
            if channel == VALUES:
                rows = [row for row in decode_values(data[start:end]) if self._stays(row)]
                if rows:
                    batch.add(t, message(VALUES, 0, t, encode(rows)))
            elif channel != EVENTS or not self.events_early < sequence <= self.events_late:
                batch.add(t, data[start - 31 : end])
        return batch

    def _blobs(self, data: bytes) -> Batch:
        batch = Batch()
        for _, _, start, end in messages(data):
            head, at = split_blob(data, start, end)
            digest = msgspec.msgpack.decode(head)[0]
            if digest in self.digests:
                lead, content = data[start - 31 : at], data[at:end]
                batch.add_blob(time_at(data, start), digest, lead, content, zlib.crc32(content))
        return batch


def copy_tape(source: Path, target: Path) -> None:
    """Write the sound chunks of a recording to a new file, with an index of them.

    Raises TapeError if there is another kind of file, or it cannot be written.
    """
    fd = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    made: TapeFile | None = None
    try:
        scanner = Scanner(fd)
        scanner.start()
        for chunk in scanner.chunks(growing=False):
            if made is None:
                made = create(target, scanner.info, place=False)
            made.copy(fd, chunk)
        if made is None:
            made = create(target, scanner.info, place=False)
        made.put_in_place()
        made.finish()
        made = None
    except OSError as error:
        raise TapeError(f"{target}: cannot be written: {reason(error)}") from None
    finally:
        os.close(fd)
        if made is not None:
            made.abandon()
