"""Event files: messages of protocol buffers in the framing of TFRecord.

A message is written field by field (https://protobuf.dev/programming-guides/encoding/); a record
is its length, a checksum of the length, the message, a checksum of the message
(https://www.tensorflow.org/tutorials/load_data/tfrecord). The checksum is CRC-32C (RFC 3720,
appendix B.4), rotated and shifted ("masked").
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
import threading
import time
from typing import Any

__all__ = ["Double", "FileWriter", "crc32c", "masked", "message", "record"]


class Double(float):
    """A number that is a field of eight bytes; a plain float is one of four."""


def message(*fields: tuple[int, Any]) -> bytes:
    """The bytes of a message of (field number, value); None and "" are left out.

    int and bool are varints, `Double` and float eight and four bytes, str and bytes (such as
    another message) are preceded by their length. A list of numbers is packed; of anything else
    it is one field after the other.

    >>> message((1, 150), (2, "testing")).hex()
    '089601120774657374696e67'
    """
    return b"".join([_field(number, value) for number, value in fields])


def _field(number: int, value: Any) -> bytes:
    if value is None or value == "" or value == b"":
        return b""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(int(value))
    if isinstance(value, Double):
        return _varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, float):
        return _varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, list):
        if value and isinstance(value[0], float):
            code = "d" if isinstance(value[0], Double) else "f"
            return _field(number, struct.pack(f"<{len(value)}{code}", *value))
        if value and isinstance(value[0], int):
            return _field(number, b"".join(map(_varint, value)))
        return b"".join([_bytes(number, item) for item in value])
    return _bytes(number, value)


def _bytes(number: int, value: Any) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # negative numbers: their two's complement
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _table() -> list[int]:
    entries = []
    for entry in range(256):
        for _ in range(8):
            entry = entry >> 1 ^ (0x82F63B78 if entry & 1 else 0)
        entries.append(entry)
    return entries


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """The checksum of some bytes.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    table, crc = _TABLE, 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    """The checksum as records have it, so that one of a record with checksums is no fixed point."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def record(data: bytes) -> bytes:
    """Some bytes as a record."""
    length = struct.pack("<Q", len(data))
    sums = [struct.pack("<I", masked(crc32c(part))) for part in (length, data)]
    return length + sums[0] + data + sums[1]


_numbers = itertools.count()


class FileWriter:
    """An event file in a folder, which is made if need be.

    Args:
        max_queue: records that may wait to be written.
        flush_secs: seconds that they may wait; seen when the next one comes.

    >>> import os, tempfile
    >>> from framework.utils.tensorboard import FileWriter
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     writer = FileWriter(folder)
    ...     writer.close()
    ...     [name.split(".")[:3] for name in os.listdir(folder)]
    [['events', 'out', 'tfevents']]
    """

    def __init__(
        self, log_dir: Any, max_queue: int = 10, flush_secs: float = 120, filename_suffix: str = ""
    ) -> None:
        self._folder = str(log_dir)
        self._limit, self._seconds = max_queue, flush_secs
        self._suffix = filename_suffix
        self._lock = threading.Lock()
        self.reopen()

    def reopen(self) -> None:
        """Begin another file in the same folder."""
        os.makedirs(self._folder, exist_ok=True)
        name = (
            f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}."
            f"{next(_numbers)}{self._suffix}"
        )
        self._waiting = 0
        self._flushed = time.monotonic()
        self._file = open(os.path.join(self._folder, name), "xb")  # noqa: SIM115
        self.add_event((3, "brain.Event:2"))
        self.flush()

    def get_logdir(self) -> str:
        """The folder."""
        return self._folder

    def add_event(
        self, *fields: tuple[int, Any], step: Any = None, walltime: float | None = None
    ) -> None:
        """Write an event of these fields."""
        when = time.time() if walltime is None else walltime
        count = None if step is None else int(step)
        data = record(message((1, Double(when)), (2, count), *fields))
        with self._lock:
            self._file.write(data)
            self._waiting += 1
            late = time.monotonic() - self._flushed > self._seconds
            if late or self._waiting >= self._limit:
                self._flush()

    def add_summary(self, summary: bytes, global_step: Any = None, walltime: Any = None) -> None:
        """Write an event with a summary, which `summary` made."""
        self.add_event((5, summary), step=global_step, walltime=walltime)

    def _flush(self) -> None:
        self._file.flush()
        self._waiting, self._flushed = 0, time.monotonic()

    def flush(self) -> None:
        """Hand all that waits to the file."""
        with self._lock:
            if not self._file.closed:
                self._flush()

    def close(self) -> None:
        """Flush and close the file."""
        with self._lock:
            self._file.close()
