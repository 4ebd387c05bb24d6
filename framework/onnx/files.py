"""Writing ONNX files: whole or not at all, with the weights beside them if they are large."""

from __future__ import annotations

import os
from typing import Any, BinaryIO

import numpy as np

from framework.atomic import write_atomically

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
        write_atomically(data, values)
    text = made.SerializeToString()
    write_atomically(path, lambda file: file.write(text))
