"""Writing ONNX files: whole or not at all, with the weights beside them if they are large."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

__all__ = ["write"]

LIMIT = (1 << 31) - (1 << 20)  # of a protobuf message, with room for what is not weights
_ALIGNED = 4096
_SMALL = 1024  # bytes; smaller weights stay in the model's own file


def write(path: str, proto: Any, weights: dict[str, Any], external: bool | None) -> None:
    """Write a model, whose initializers have no values yet, and their values.

    Raises:
        ValueError: without external data it would be larger than a file can be.
    """
    made = type(proto)()
    made.CopyFrom(proto)
    total = made.ByteSize() + sum(a.nbytes for a in weights.values())
    if total > LIMIT and external is False:
        raise ValueError(
            f"export: {path}: the model has {total} bytes, more than the 2 GB that an ONNX file "
            "can have; export with external_data=True"
        )
    beside = external or total > LIMIT
    large = {n: a for n, a in weights.items() if beside and a.nbytes >= _SMALL}
    data = path + ".data"
    offsets, end = {}, 0
    for name, array in large.items():
        offsets[name] = end
        end += -(-array.nbytes // _ALIGNED) * _ALIGNED
    for initializer in made.graph.initializer:
        array = weights[initializer.name]
        if initializer.name not in large:
            initializer.raw_data = np.ascontiguousarray(array).tobytes()
            continue
        initializer.data_location = type(initializer).EXTERNAL
        for key, value in (
            ("location", os.path.basename(data)), ("offset", offsets[initializer.name]),
            ("length", array.nbytes),
        ):  # fmt: skip
            initializer.external_data.add(key=key, value=str(value))

    def values(file: BinaryIO) -> None:
        for name, array in large.items():
            file.write(b"\0" * (offsets[name] - file.tell()))
            file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)

    if large:
        _atomically(data, values)
    text = made.SerializeToString()
    _atomically(path, lambda file: file.write(text))


def _atomically(path: str, fill: Callable[[BinaryIO], Any]) -> None:
    """Fill a temporary file in the same folder and give it its name when it is complete."""
    folder = os.path.dirname(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(prefix=".exporting-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    with contextlib.suppress(OSError):  # not every file system lets a folder be synced
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
