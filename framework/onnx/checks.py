"""Reading ONNX files that may be anything: every size and name is checked before it is used.

A file is opened without following a link that leads elsewhere and without waiting (a FIFO is
refused), and read only if it is regular and not too large. External data is opened relative to the
model's folder, one plain name after the other, without links of either kind.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator
from typing import Any

import numpy as np

from framework import dtypes
from framework.onnx.errors import OnnxError, package
from framework.onnx.table import FROM_ONNX
from framework.onnx.writer import ELEMENTS

__all__ = ["array_of", "check_graph", "read_model", "shown"]

_LARGEST = (1 << 31) - 1  # bytes of a protobuf message
_OLDEST_IR, _NEWEST_IR = 3, 14
_OLDEST_OPSET, _NEWEST_OPSET = 7, 28
_RANK = 64

_KINDS = {
    number: getattr(dtypes, "bool_" if name == "bool" else name).numpy
    for name, number in ELEMENTS.items()
}

# Where a TensorProto without raw_data has its elements, by the element's number.
_FIELDS = {
    1: "float_data", 2: "int32_data", 3: "int32_data", 4: "int32_data", 5: "int32_data",
    6: "int32_data", 7: "int64_data", 9: "int32_data", 10: "int32_data", 11: "double_data",
    12: "uint64_data", 13: "uint64_data", 16: "int32_data",
}  # fmt: skip


def shown(name: Any) -> str:
    """A name from a file, short enough and without control characters."""
    text = str(name)
    return repr(text if len(text) <= 80 else text[:77] + "...")


def read_model(path: str) -> Any:
    """The ModelProto in a file.

    Raises:
        OnnxError: it is no regular file, too large, or no such message.
    """
    try:
        data = _read(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), _LARGEST)
    except OSError as error:
        raise OnnxError(f"it cannot be read: {error.strerror}") from None
    if not data:
        raise OnnxError("it is empty")
    errors = package("google.protobuf.message").Error
    try:
        model = package().ModelProto.FromString(data)
    except (errors, RuntimeError, ValueError, RecursionError):
        raise OnnxError("it is no ONNX model, or a damaged one") from None
    if not model.HasField("graph") or not model.ir_version:
        raise OnnxError("it is no ONNX model, or a damaged one")
    return model


def _read(handle: int, limit: int, offset: int = 0, length: int | None = None) -> bytes:
    """The bytes of an open regular file, which is closed."""
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OnnxError("it is no regular file")
        wanted = status.st_size - offset if length is None else length
        if wanted > limit:
            raise OnnxError(f"it has {wanted} bytes, more than the {limit} that it may have")
        if offset + wanted > status.st_size or wanted < 0:
            raise OnnxError(
                f"{wanted} bytes at offset {offset} are beyond its end at {status.st_size}"
            )
        file.seek(offset)
        data = file.read(wanted)
    if len(data) < wanted:
        raise OnnxError("it became shorter while it was read")
    return data


# -- tensors ---------------------------------------------------------------------------------


def array_of(proto: Any, folder: str) -> Any:
    """A TensorProto's values.

    Raises:
        OnnxError: its size, type or place are not what they say.
    """
    what = f"tensor {shown(proto.name)}"
    if proto.data_type not in _KINDS:
        raise OnnxError(f"{what} is of element type {proto.data_type}, which is not supported")
    kind = np.dtype(_KINDS[proto.data_type])
    shape = tuple(proto.dims)
    if len(shape) > _RANK or any(n < 0 for n in shape):
        raise OnnxError(f"{what} has the impossible shape {list(shape)[:8]}")
    size = math.prod(shape) * kind.itemsize
    if proto.data_location == proto.EXTERNAL:
        data = _external(proto, folder, size, what)
    elif proto.HasField("raw_data"):
        data = proto.raw_data
    else:
        return _typed(proto, kind, shape, what)
    if len(data) != size:
        raise OnnxError(f"{what} of shape {list(shape)} needs {size} bytes but has {len(data)}")
    if kind == np.bool_:
        return np.asarray(np.frombuffer(data, np.uint8).reshape(shape) != 0)
    return np.frombuffer(data, kind.newbyteorder("<") if kind.kind in "iuf" else kind).astype(
        kind).reshape(shape)  # fmt: skip


def _typed(proto: Any, kind: Any, shape: tuple[int, ...], what: str) -> Any:
    values = getattr(proto, _FIELDS[proto.data_type])
    if len(values) != math.prod(shape):
        raise OnnxError(
            f"{what} of shape {list(shape)} needs {math.prod(shape)} values but has {len(values)}"
        )
    if kind.name in ("float16", "bfloat16"):  # their bits
        bits = np.asarray(values, np.int64)
        return (bits & 0xFFFF).astype(np.uint16).view(kind).reshape(shape)
    try:
        return np.asarray(values, np.float64 if kind.kind == "f" else object).astype(kind).reshape(
            shape)  # fmt: skip
    except OverflowError:
        raise OnnxError(f"{what} has a value out of the range of {kind.name}") from None


def _external(proto: Any, folder: str, size: int, what: str) -> bytes:
    """Values that stand in another file of the model's folder."""
    entries = {e.key: e.value for e in proto.external_data}
    location = entries.get("location", "")
    numbers = {}
    for key, usual in (("offset", 0), ("length", size)):
        text = entries.get(key, str(usual))
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise OnnxError(f"{what}: the {key} {shown(text)} of its external data is no size")
        numbers[key] = int(text)
    if numbers["length"] != size:
        raise OnnxError(
            f"{what} of shape {list(proto.dims)} needs {size} bytes but its external data has "
            f"{numbers['length']}"
        )
    try:
        handle = _open_inside(folder, location)
        return _read(handle, size, numbers["offset"], size)
    except OSError as error:
        reason = error.strerror
    except OnnxError as error:
        reason = str(error)
    raise OnnxError(f"{what}: its external data {shown(location)} cannot be read: {reason}")


def _open_inside(folder: str, location: str) -> int:
    """Open a file below a folder: plain names only, no links."""
    parts = location.split("/")
    plain = location and not location.startswith("/") and "\0" not in location
    if not plain or "\\" in location or any(p in ("", ".", "..") for p in parts):
        raise OnnxError("it is no plain path below the model's folder")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    at = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            inner = os.open(part, flags | os.O_DIRECTORY, dir_fd=at)
            os.close(at)
            at = inner
        if stat.S_ISLNK(os.stat(parts[-1], dir_fd=at, follow_symlinks=False).st_mode):
            raise OnnxError("it is a link")
        handle = os.open(parts[-1], flags, dir_fd=at)
    finally:
        os.close(at)
    status = os.fstat(handle)
    if stat.S_ISREG(status.st_mode) and status.st_nlink != 1:  # perhaps of another folder's file
        os.close(handle)
        raise OnnxError("it has more than one name (a hard link)")
    return handle


# -- graphs ----------------------------------------------------------------------------------


def check_graph(model: Any) -> int:
    """Refuse what cannot be run, before any of its tensors is read; returns the opset.

    Raises:
        OnnxError: see the messages.
    """
    if not _OLDEST_IR <= model.ir_version <= _NEWEST_IR:
        raise OnnxError(
            f"its IR version is {model.ir_version}; known are {_OLDEST_IR} to {_NEWEST_IR}"
        )
    opset = 0
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx"):
            opset = entry.version
    if not _OLDEST_OPSET <= opset <= _NEWEST_OPSET:
        raise OnnxError(f"its opset is {opset}; known are {_OLDEST_OPSET} to {_NEWEST_OPSET}")
    if model.functions:
        raise OnnxError("it defines functions of its own, which are not supported")
    graph = model.graph
    if graph.sparse_initializer:
        raise OnnxError("it has sparse initializers, which are not supported")
    known: set[str] = set()
    for kind, names in (
        ("input", [i.name for i in graph.input]),
        ("initializer", [i.name for i in graph.initializer]),
    ):
        for name, twice in _twice(names):
            if not name or twice:
                raise OnnxError(f"the {kind} {shown(name)} is there twice or has no name")
        known.update(names)
    _check_nodes(graph, known)
    if not graph.output:
        raise OnnxError("its graph has no outputs")
    for out in graph.output:
        if out.name not in known:
            raise OnnxError(f"nothing makes its output {shown(out.name)}")
    return opset


def _twice(names: list[str]) -> Iterator[tuple[str, bool]]:
    seen: set[str] = set()
    for name in names:
        yield name, name in seen
        seen.add(name)


def _check_nodes(graph: Any, known: set[str]) -> None:
    unknown = []
    made = {o for node in graph.node for o in node.output if o}
    for i, node in enumerate(graph.node):
        what = f"node {shown(node.name or i)} ({shown(node.op_type)})"
        if any(a.HasField("g") or a.graphs for a in node.attribute):
            raise OnnxError(f"{what} has a graph inside: control flow is not supported")
        if node.domain not in ("", "ai.onnx"):
            unknown.append(f"{node.domain[:40]}.{node.op_type[:40]}")
            continue
        if node.op_type not in FROM_ONNX and node.op_type != "Constant":
            unknown.append(node.op_type[:40])
        for name in node.input:
            if name and name not in known:
                reason = (
                    "which is only made later: its nodes are in a cycle or out of order"
                    if name in made else "which nothing makes"
                )  # fmt: skip
                raise OnnxError(f"{what} needs {shown(name)}, {reason}")
        for name in node.output:
            if name and name in known:
                raise OnnxError(f"{what} makes {shown(name)}, which is there already")
        known.update(o for o in node.output if o)
    if unknown:
        names = ", ".join(repr(u) for u in sorted(set(unknown))[:20])
        raise OnnxError(f"it has operators that are not supported: {names}")
