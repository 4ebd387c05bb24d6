"""The `.tape` file: an MCAP container (https://mcap.dev/spec), record by record.

A file is the magic, a header, what the run was (a metadata record), the channels, then chunks, and
when it was closed an index and a footer. Chunks of *text* are compressed and hold batches of
MessagePack on the channels of `TOPICS`; chunks of *blobs* are not, and hold the bytes of tensors,
each once. Every chunk has a checksum, which is how a reader knows what to believe.

`Scanner` walks a file that may be cut anywhere, damaged anywhere, made to hurt, or still growing.
It never allocates more than a chunk, and finds its way back after a damaged stretch.
"""

from __future__ import annotations

import errno
import json
import os
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

__all__ = [
    "BLOB",
    "EVENTS",
    "FORMAT",
    "HEALTH",
    "MAGIC",
    "MAX_CHUNK",
    "MAX_RECORD",
    "SOURCE",
    "STOPS",
    "TOPICS",
    "VALUES",
    "Chunk",
    "Damage",
    "Scanner",
    "TapeError",
    "blob_message",
    "chunk_record",
    "closing",
    "join_crc",
    "message",
    "messages",
    "opening",
    "split_blob",
    "time_at",
    "times_of",
]

FORMAT = 2  # goes up when a reader of the one before would misunderstand
MAGIC = b"\x89MCAP0\r\n"
PROFILE = "tapebook"

MAX_RECORD = 1 << 30  # bytes of one record, of which a blob may be nearly all
MAX_CHUNK = 64 << 20  # bytes of a compressed chunk when it is unpacked

# Channels.
EVENTS, VALUES, HEALTH, SOURCE, BLOB, STOPS = 1, 2, 3, 4, 5, 6
TOPICS = {
    EVENTS: ("events", "list of events, as framework.trace.events has them"),
    VALUES: ("values", "list of [tensor id, event, hash]: from this event on it holds that blob"),
    HEALTH: ("health", "list of [tensor id, event, Summary]: statistics in place of a value"),
    SOURCE: ("source", "[file name, text]: a file of the user's code; the name is only a name"),
    BLOB: ("blob", "length (uint32), [hash, dtype, shape], then the elements in C order"),
    STOPS: ("stops", "list of [event, ns]: after it the program stood for so long at a stop"),
}

HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK = 1, 2, 3, 4, 5, 6
CHUNK_INDEX, STATISTICS, METADATA, DATA_END = 8, 11, 12, 15

_RECORD = struct.Struct("<BQ")
_MESSAGE = struct.Struct("<BQHIQQ")
_CHUNK = struct.Struct("<QQQI")
_CHUNK_HEAD = re.compile(
    rb"\x06(?=.{4}\0{4}.{8}.{8}.{4}\0{4}.{4}(?:\0{4}|\x04\0{3}zstd))", re.DOTALL
)


class TapeError(Exception):
    """A recording that cannot be read or written: one line for the user."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A stretch of a file that holds nothing that could be read.

    Attributes:
        after: the last event before it, 0 if there is none; `Tape` fills it in.
    """

    offset: int
    length: int
    reason: str
    after: int = 0


@dataclass(slots=True)
class Chunk:
    """A chunk whose checksum was right."""

    offset: int
    length: int  # of the record, with its head
    data: bytes  # unpacked: message records
    start: int  # where `data` stands in the file; 0 if it was compressed
    times: tuple[int, int]  # first and last, as its head says
    packed: bytes = b""  # as they are in the file, if that is compressed


# -- writing ---------------------------------------------------------------------------------------


def _string(text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    return struct.pack("<I", len(data)) + data


def _map(items: dict[str, str]) -> bytes:
    data = b"".join(_string(k) + _string(v) for k, v in items.items())
    return struct.pack("<I", len(data)) + data


def record(opcode: int, *parts: bytes) -> bytes:
    """An MCAP record."""
    data = b"".join(parts)
    return _RECORD.pack(opcode, len(data)) + data


def _channels() -> bytes:
    found = []
    for ident, (topic, text) in TOPICS.items():
        found.append(
            record(
                SCHEMA, struct.pack("<H", ident), _string(f"tapebook.{topic}"),
                _string("text/plain"), _string(text),
            )
        )  # fmt: skip
    for ident, (topic, _) in TOPICS.items():
        encoding = "msgpack" if ident != BLOB else "tapebook.blob"
        found.append(
            record(
                CHANNEL, struct.pack("<HH", ident, ident), _string(topic), _string(encoding),
                _map({}),
            )
        )  # fmt: skip
    return b"".join(found)


CHANNELS = _channels()


def opening(info: dict[str, str]) -> bytes:
    """The beginning of a file: what was run, and by what."""
    info = {"format": str(FORMAT), **info}
    return MAGIC + _header(info) + _metadata(info) + CHANNELS


def _header(info: dict[str, str]) -> bytes:
    return record(HEADER, _string(PROFILE), _string(f"tapebook {info.get('tapebook', '')}"))


def _metadata(info: dict[str, str]) -> bytes:
    check = str(zlib.crc32(json.dumps(sorted(info.items())).encode()))
    return record(METADATA, _string(PROFILE), _map({**info, "check": check}))


def message(channel: int, sequence: int, t: int, data: bytes) -> bytes:
    """A message record; ``t`` is the recording's monotonic clock."""
    head = _MESSAGE.pack(MESSAGE, 22 + len(data), channel, sequence & 0xFFFFFFFF, t, t)
    return head + data


def blob_message(head: bytes, data: Any, sequence: int, t: int) -> tuple[bytes, Any]:
    """The parts of a blob's message: ``data``, bytes or a memory view of bytes, is not copied."""
    length = 22 + 4 + len(head) + len(data)
    lead = _MESSAGE.pack(MESSAGE, length, BLOB, sequence & 0xFFFFFFFF, t, t)
    return lead + struct.pack("<I", len(head)) + head, data


def chunk_record(
    first: int, last: int, parts: list[Any], compress: Any = None, crc: int | None = None
) -> list[Any]:
    """The parts of a chunk of message records, from times ``first`` to ``last``.

    ``crc`` is the checksum of all parts, if that is known already.
    """
    size = sum(map(len, parts))
    if crc is None:
        crc = 0
        for part in parts:
            crc = zlib.crc32(part, crc)
    kind = b""
    if compress is not None:
        parts = [compress(b"".join(parts))]
        kind = b"zstd"
    stored = sum(map(len, parts))
    head = _CHUNK.pack(first, last, size, crc) + struct.pack("<I", len(kind)) + kind
    head += struct.pack("<Q", stored)
    return [_RECORD.pack(CHUNK, len(head) + stored) + head, *parts]


def closing(
    start: int, index: Sequence[tuple[int, int, int, int, bool, int, int]], count: int
) -> bytes:
    """The end of a complete file, which begins at ``start``: index of chunks, footer, magic.

    ``index`` has for each chunk (offset, length, first and last time, compressed?, stored size,
    unpacked size); ``count`` is the number of messages.
    """
    end = record(DATA_END, struct.pack("<I", 0))
    summary_start = start + len(end)
    times = [t for row in index for t in row[2:4]] or [0]
    summary = [
        CHANNELS,
        record(
            STATISTICS,
            struct.pack(
                "<QHIIIIQQ", count, len(TOPICS), len(TOPICS), 0, 1, len(index), min(times),
                max(times),
            ),
            struct.pack("<I", 0),
        ),
    ]  # fmt: skip
    for offset, length, first, last, packed, stored, size in index:
        summary.append(
            record(
                CHUNK_INDEX, struct.pack("<QQQQIQ", first, last, offset, length, 0, 0),
                _string("zstd" if packed else ""), struct.pack("<QQ", stored, size),
            )
        )  # fmt: skip
    data = b"".join(summary)
    foot = struct.pack("<BQQQ", FOOTER, 20, summary_start, 0)
    crc = zlib.crc32(foot, zlib.crc32(data))
    return b"".join((end, data, foot, struct.pack("<I", crc), MAGIC))


_POLYNOMIAL = 0xEDB88320  # of CRC-32, bits reversed


def join_crc(first: int, second: int, length: int) -> int:
    """The CRC-32 of two stretches of bytes, the second so long, from those of each.

    >>> from framework.trace.tape_format import join_crc
    >>> join_crc(zlib.crc32(b"ab"), zlib.crc32(b"cde"), 3) == zlib.crc32(b"abcde")
    True
    """
    return _times(_shift(length), first) ^ second


@lru_cache(4096)
def _shift(length: int) -> int:
    """x to the power of 8 * ``length``, modulo the polynomial."""
    found, power = 1 << 31, 1 << 23  # x to the power of 0 and of 8
    while length:
        if length & 1:
            found = _times(power, found)
        power = _times(power, power)
        length >>= 1
    return found


def _times(a: int, b: int) -> int:
    """The product of two polynomials modulo CRC-32's."""
    product = 0
    while a:
        if a & 0x80000000:
            product ^= b
        a = a << 1 & 0xFFFFFFFF
        b = b >> 1 ^ _POLYNOMIAL if b & 1 else b >> 1
    return product


# -- reading ---------------------------------------------------------------------------------------


def messages(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """(channel, sequence, start, end) of the messages in a chunk's data; stops at what is none."""
    at, size = 0, len(data)
    while at + 9 <= size:
        opcode, length = _RECORD.unpack_from(data, at)
        end = at + 9 + length
        if end > size:
            return
        if opcode == MESSAGE and length >= 22:
            _, _, channel, sequence, _, _ = _MESSAGE.unpack_from(data, at)
            yield channel, sequence, at + 31, end
        at = end


def time_at(data: bytes, start: int) -> int:
    """The time of the message whose content starts there."""
    return int.from_bytes(data[start - 16 : start - 8], "little")


def times_of(data: bytes) -> tuple[int, int]:
    """The first and the last time of the messages in a chunk's data."""
    times = [
        int.from_bytes(data[start - 16 : start - 8], "little") for _, _, start, _ in messages(data)
    ]
    return min(times, default=0), max(times, default=0)


def split_blob(data: bytes, start: int, end: int) -> tuple[bytes, int]:
    """The description of a blob message, and where its elements begin; TapeError if it is none."""
    if end - start < 4:
        raise TapeError("a blob without a description")
    (length,) = struct.unpack_from("<I", data, start)
    at = start + 4 + length
    if at > end or length > 1000:
        raise TapeError("a blob with a damaged description")
    return data[start + 4 : at], at


class Scanner:
    """Walks a file from its beginning; goes on from where it was when the file has grown.

    Args:
        fd: a descriptor of a regular file.

    Attributes:
        info: what the run was, {} if that could not be read.
        complete: the end of the file was found.
        damage: what could not be read.
        position: how far it has come.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.info: dict[str, str] = {}
        self.complete = False
        self.damage: list[Damage] = []
        self.position = 0
        self.ours = False
        self._header = self._channels = b""
        self._decompressor: Any = None

    def start(self) -> None:
        """Check the magic; TapeError if this is no recording."""
        head = os.pread(self.fd, len(MAGIC), 0)
        if not head:
            raise TapeError("an empty file, not a recording")
        if head != MAGIC:
            cut = MAGIC.startswith(head)
            raise TapeError(
                "cut off before anything was recorded" if cut else "not a recording (.tape)"
            )
        self.position = len(MAGIC)

    def chunks(self, growing: bool) -> Iterator[Chunk]:
        """Chunks from `position` on. What is cut at the end is left, if the file is ``growing``."""
        while not self.complete:
            size = os.fstat(self.fd).st_size
            at = self.position
            if at >= size:
                return
            problem = self._look_at(at, size)
            if isinstance(problem, Chunk):
                self.position = at + problem.length
                if problem.times != times_of(problem.data):
                    self.damage.append(Damage(at, 0, "a chunk that says a wrong time"))
                yield problem
            elif (problem == _CUT and growing) or (
                problem and not self._resync(at, size, problem, growing)
            ):
                return

    def chunk_at(self, offset: int) -> Chunk | None:
        """The chunk at an offset, if there is a sound one."""
        found = self._look_at(offset, os.fstat(self.fd).st_size)
        return found if isinstance(found, Chunk) else None

    def _look_at(self, at: int, size: int) -> Chunk | str:
        """The chunk at an offset, "" for another record that was taken in, or what is wrong."""
        head = os.pread(self.fd, 9, at)
        if len(head) < 9:
            return _CUT
        opcode, length = _RECORD.unpack(head)
        if not (1 <= opcode <= DATA_END or opcode >= 0x80):
            return "not a record"
        if length > MAX_RECORD:
            return f"a record of {length} bytes is above the cap of {MAX_RECORD}"
        if at + 9 + length > size:
            return _CUT
        payload = os.pread(self.fd, length, at + 9)
        walking = self.position > 0  # not looking at a single chunk
        if walking and opcode in (CHUNK, DATA_END) and self._channels != CHANNELS:
            self._channels = CHANNELS
            self.damage.append(Damage(at, 0, "a damaged description of the channels"))
        if opcode == CHUNK:
            return self._unpack(payload, at)
        self.position = at + 9 + length
        if opcode == HEADER:
            self._header = head + payload
            self.ours = payload[4 : 4 + len(PROFILE)] == PROFILE.encode()
        elif opcode == METADATA:
            self._take_info(payload, at)
        elif opcode in (SCHEMA, CHANNEL):
            self._channels += head + payload
        elif opcode == DATA_END:
            self._finish(size)
        return ""

    def _unpack(self, payload: bytes, at: int) -> Chunk | str:
        length = len(payload) + 9
        try:
            first, last, size, crc = _CHUNK.unpack_from(payload)
            (kind_size,) = struct.unpack_from("<I", payload, 28)
            kind = payload[32 : 32 + kind_size]
            (stored,) = struct.unpack_from("<Q", payload, 32 + kind_size)
        except struct.error:
            return "a damaged chunk"
        start = 40 + kind_size
        if start + stored != len(payload):
            return "a damaged chunk"
        data = payload[start:]
        packed = b""
        if kind == b"zstd":
            packed = data
            unpacked = self._inflate(data, size)
            if isinstance(unpacked, str):
                return unpacked
            data = unpacked
        elif kind:
            return "a chunk with an unknown compression"
        if len(data) != size or zlib.crc32(data) != crc:
            return "a chunk whose checksum is wrong"
        return Chunk(at, length, data, 0 if kind else at + 9 + start, (first, last), packed)

    def _inflate(self, data: bytes, size: int) -> bytes | str:
        import zstandard

        if size > MAX_CHUNK:
            return f"a chunk of {size} bytes unpacked is above the cap of {MAX_CHUNK}"
        if self._decompressor is None:
            self._decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_CHUNK)
        try:
            if zstandard.frame_content_size(data) not in (size, -1):  # it would be believed
                return "a chunk that unpacks to another size than it says"
            unpacked: bytes = self._decompressor.decompress(data, max_output_size=size)
            return unpacked
        except zstandard.ZstdError:
            return "a chunk that cannot be unpacked"

    def _take_info(self, payload: bytes, at: int) -> None:
        """The metadata record; a newer format is refused, with both versions named."""
        try:
            found = dict(_read_map(payload))
        except (struct.error, ValueError):
            found = {}
        found.pop("check", "")
        version = found.get("format", "")
        self.ours = self.ours or "format" in found
        record_ = os.pread(self.fd, len(payload) + 9, at)
        if self._header + record_ != _header(found) + _metadata(found):
            self.damage.append(
                Damage(at, len(payload) + 9, "the description of the run is damaged")
            )
        elif version.isdigit() and int(version) > FORMAT:
            raise TapeError(
                f"written in format version {version}; this program reads versions up to {FORMAT}"
            )
        self.info = found

    def _finish(self, size: int) -> None:
        """After the last chunk: the index has a checksum of its own."""
        self.complete = True
        at = self.position
        foot = struct.pack("<BQQQ", FOOTER, 20, at, 0)
        last = os.pread(self.fd, len(foot) + 12, max(at, size - len(foot) - 12))
        sound = last[:-12] == foot  # else nothing of what follows, however much, is the index
        if not sound or last[-12:] != struct.pack("<I", self._crc(at, size - 12)) + MAGIC:
            self.damage.append(Damage(at, size - at, "the index at its end is damaged"))
        self.position = size

    def _crc(self, at: int, end: int) -> int:
        """The checksum of a part of the file, which is read piece by piece."""
        crc = 0
        while at < end and (data := os.pread(self.fd, min(end - at, _PIECE), at)):
            crc = zlib.crc32(data, crc)
            at += len(data)
        return crc

    def _resync(self, at: int, size: int, reason: str, growing: bool) -> bool:
        """After damage at ``at``: go on with the next thing that can be believed, if any."""
        found = self._next_chunk(at + 1, size)
        if found is None and growing:
            self.position = at
            return False
        end = size if found is None else found
        self.damage.append(Damage(at, end - at, reason))
        self.position = end
        return found is not None

    def _next_chunk(self, at: int, size: int) -> int | None:
        """The offset of the next sound chunk (or of the end of the data) at or after ``at``."""
        while at < size:
            try:
                at = os.lseek(self.fd, at, os.SEEK_DATA)  # in holes there is nothing to find
            except OSError as error:
                if error.errno == errno.ENXIO:  # none but holes follow
                    return None
            data = os.pread(self.fd, _PIECE + 64, at)
            for found in _CHUNK_HEAD.finditer(data):
                offset = at + found.start()
                (length,) = struct.unpack_from("<Q", data, found.start() + 1)
                if length > MAX_RECORD or offset + 9 + length > size:
                    continue
                if isinstance(self._unpack(os.pread(self.fd, length, offset + 9), offset), Chunk):
                    return offset
            end = data.find(_DATA_END)
            if end >= 0:
                return at + end
            at += _PIECE
        return None


_PIECE = 1 << 20  # bytes that are read at a time
_CUT = "cut off within a record"
_DATA_END = record(DATA_END, struct.pack("<I", 0)) + record(SCHEMA, b"")[:1]


def _read_map(payload: bytes) -> Iterator[tuple[str, str]]:
    """The entries of a metadata record."""

    def text(at: int) -> tuple[str, int]:
        (length,) = struct.unpack_from("<I", payload, at)
        end = at + 4 + length
        if end > len(payload):
            raise ValueError("cut")
        return payload[at + 4 : end].decode(), end

    _, at = text(0)
    at += 4
    while at < len(payload):
        key, at = text(at)
        value, at = text(at)
        yield key, value
