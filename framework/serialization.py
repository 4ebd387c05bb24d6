"""`save` and `load`: nested containers of tensors and plain values, as one safetensors file.

The tensors are stored under their paths in the object ("model.0.weight"), so that any reader of
safetensors can use them; the object around them is a JSON skeleton in the file's metadata. Nothing
that is read can run code: there is no unpickler here. PyTorch's own checkpoints of plain tensors
are read by `framework.torch_files`, which interprets their pickle by a closed list.
"""

from __future__ import annotations

import io
import json
import math
import os
import stat
import threading
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from framework import dtypes, torch_files
from framework.atomic import write_atomically
from framework.core.copies import OWN_ATTRIBUTES, attributes_of
from framework.device import CPU, META, device
from framework.kernels import to_device, waits
from framework.kernels.meta import meta_array
from framework.load_settings import (
    LoadEndianness,
    SourceChangeWarning,
    add_safe_globals,
    clear_safe_globals,
    get_crc32_options,
    get_default_load_endianness,
    get_default_mmap_options,
    get_safe_globals,
    safe_globals,
    set_crc32_options,
    set_default_load_endianness,
    set_default_mmap_options,
)
from framework.map_location import (
    NoPlace,
    Place,
    default_restore_location,
    location_tag,
    places,
    register_package,
    tag_of,
)
from framework.nn.parameter import Parameter
from framework.plain_kinds import KEYS, forms, packed
from framework.saved_memory import Memories, check_counts, laid_out, part
from framework.tensor import Size, Tensor, wrap

__all__ = [
    "LoadEndianness", "SourceChangeWarning", "add_safe_globals", "clear_safe_globals",
    "default_restore_location", "get_crc32_options", "get_default_load_endianness",
    "get_default_mmap_options", "get_safe_globals", "get_unsafe_globals_in_checkpoint", "load",
    "location_tag", "register_package", "safe_globals", "save", "set_crc32_options",
    "set_default_load_endianness", "set_default_mmap_options", "skip_data",
]  # fmt: skip

_KEY = "tapebook"  # the skeleton's name in the metadata
_DEPTH = 200  # levels of nesting

# safetensors' names of the dtypes that it has; complex numbers are stored as pairs.
_NAMES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64",
    "uint16": "U16", "uint32": "U32", "uint64": "U64",
    "float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64",
}  # fmt: skip
# What to do with a file of PyTorch's that holds more than plain data: all tensors in it, by path.
_CONVERT = (
    "If you trust the file, convert it where PyTorch is installed, which runs the code in it: "
    "python -c \"import sys, torch; from safetensors.torch import save_file; f = lambda o, p='': "
    "{p: o.detach().clone().contiguous()} if torch.is_tensor(o) else {k: t for n, v in "
    "(o.state_dict() if hasattr(o, 'state_dict') else o if hasattr(o, 'items') else dict("
    "enumerate(o)) if isinstance(o, (list, tuple)) else {}).items() for k, t in f(v, "
    "p + '.' * bool(p) + str(n)).items()}; save_file(f(torch.load(sys.argv[1], "
    "map_location='cpu', weights_only=False)), sys.argv[2])\" OLD.pt NEW.safetensors"
)
_READ = {short: name for name, short in _NAMES.items()}


# -- saving ----------------------------------------------------------------------------------


def save(
    obj: Any, f: Any, pickle_module: Any = None, pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True, _disable_byteorder_record: bool = False,
) -> None:  # fmt: skip
    """Write an object to a file: a path, or a binary file that is open for writing.

    ``obj`` may be a tensor or nested dicts, lists and tuples of tensors, numbers, strings, None,
    dtypes, devices and shapes, such as ``model.state_dict()``. Their kinds are kept: ordered and
    default dicts, named tuples, sets, ranges, bytes, NumPy's numbers and parameters, too. A path is
    written atomically: to a temporary file beside it, which then takes its name (and has the
    permissions of a file that was there; a link is followed). A tensor that
    occurs twice is stored once, and memory that tensors share once, too: `load` gives tensors that
    share it, with their strides. Of a memory only the part that the tensors need is stored.
    Attributes that a program has set on a tensor are kept, too. Of a tensor on ``meta`` its shape,
    dtype and strides are stored: it has nothing else. What PyTorch asks about its format is
    accepted and ignored.

    Raises:
        TypeError: for anything else; names where it is.
        AttributeError: ``f`` is neither a path nor a file.
        RuntimeError: the folder is not there.
        OSError: the file cannot be written; one that was there is unchanged.

    >>> import framework as torch, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> torch.save({"weight": torch.ones(2), "epoch": 3}, path)
    >>> torch.load(path)
    {'weight': tensor([1., 1.]), 'epoch': 3}
    """
    packer = _Packer()
    skeleton = packer.pack(obj, (), 0)
    if packer.attributes:
        skeleton = {"$with": [skeleton, packer.attributes]}
    packer.memories.finish()
    text = json.dumps(skeleton, allow_nan=False, separators=(",", ":"))
    parts = _file(packer.memories.arrays, {"format": "pt", _KEY: text})
    if hasattr(f, "write"):
        for part in parts:
            f.write(part)
    else:
        if not isinstance(f, (str, bytes, os.PathLike)):
            raise AttributeError(
                "save: expected 'f' to be string, path, or a file-like object with a 'write' "
                f"attribute, but got {type(f).__name__}"
            )
        path = os.fsdecode(f)
        if (parent := os.path.dirname(path)) and not os.path.isdir(parent):
            raise RuntimeError(f"Parent directory {parent} does not exist.")
        write_atomically(path, lambda file: file.writelines(parts))


def _file(arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> list[Any]:
    """The parts of a safetensors file: length of the header, header (JSON), then the arrays."""
    header: dict[str, Any] = {"__metadata__": metadata}
    parts: list[Any] = []
    end = 0
    for name in sorted(arrays, key=lambda n: (-arrays[n].itemsize, n)):  # so that all are aligned
        array = arrays[name]
        begin, end = end, end + array.nbytes
        kind = _NAMES[dtypes.from_numpy_dtype[array.dtype].name]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [begin, end]}
        data = np.zeros(array.nbytes, np.uint8) if _skipping.data else array.reshape(-1)
        parts.append(data.view(np.uint8).data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return [len(text).to_bytes(8, "little"), text, *parts]


class _NoForm(TypeError):
    """A value that no file can hold."""


_NoForm.__name__ = "TypeError"


class _Packer:
    """Turns an object into a JSON skeleton and named tensors."""

    def __init__(self) -> None:
        self.memories = Memories()
        self.attributes: list[Any] = []  # pairs of a tensor's record and what is set on it
        self._stored: dict[int, dict[str, Any]] = {}
        self._kept: list[Any] = []  # keeps the ids in `_stored` valid

    def pack(self, obj: Any, path: tuple[str, ...], depth: int) -> Any:
        if depth > _DEPTH:
            raise ValueError(
                f"save: {_shown(path[:6])}… is nested deeper than {_DEPTH} levels, or holds itself"
            )
        if isinstance(obj, Tensor):
            return self._with_attributes(obj, path, depth)
        if obj is None or (isinstance(obj, (bool, str)) and not isinstance(obj, np.generic)):
            return obj
        kept = self._kind(obj, path, depth)
        if kept is not None:
            return kept
        if isinstance(obj, int):
            return int(obj)
        if isinstance(obj, float):
            return float(obj) if math.isfinite(obj) else {"$float": repr(float(obj))}
        if isinstance(obj, complex):
            return {"$complex": [repr(obj.real), repr(obj.imag)]}
        if isinstance(obj, np.ndarray):
            if obj.dtype not in dtypes.from_numpy_dtype:
                raise TypeError(f"save: {_shown(path)} is an array of {obj.dtype}")
            return self._tensor(wrap(obj), path, "array")
        if isinstance(obj, dtypes.dtype):
            return {"$dtype": obj.name}
        if isinstance(obj, device):
            return {"$device": str(obj)}
        if isinstance(obj, Mapping):
            return self._mapping(obj, path, depth)
        if isinstance(obj, (list, tuple)):
            items = [self.pack(v, (*path, str(i)), depth + 1) for i, v in enumerate(obj)]
            if isinstance(obj, list):
                return items
            return {"$size" if isinstance(obj, Size) else "$tuple": items}
        hint = "; save its state_dict() instead" if hasattr(obj, "state_dict") else ""
        raise _NoForm(f"save: {_shown(path)} is a {type(obj).__name__}, which has no form{hint}")

    def _kind(self, obj: Any, path: tuple[str, ...], depth: int) -> Any:
        """The form of a kind that `plain_kinds` has; None for others."""
        try:
            return packed(obj, lambda value, name: self.pack(value, (*path, name), depth + 1))
        except _NoForm:
            raise
        except TypeError as error:
            raise _NoForm(f"save: {_shown(path)} is {error}") from None

    def _mapping(self, obj: Mapping[Any, Any], path: tuple[str, ...], depth: int) -> Any:
        if all(isinstance(k, str) and not k.startswith("$") for k in obj):
            return {k: self.pack(v, (*path, k), depth + 1) for k, v in obj.items()}
        pairs = []
        for k, v in obj.items():
            if not isinstance(k, (*KEYS, dtypes.dtype, device)):
                raise _NoForm(f"save: {_shown(path)} has a key of type {type(k).__name__}")
            key = self.pack(k, path, depth + 1)
            pairs.append([key, self.pack(v, (*path, str(k)), depth + 1)])
        return {"$dict": pairs}

    def _with_attributes(self, tensor: Tensor, path: tuple[str, ...], depth: int) -> Any:
        """A tensor, and what the program has set on it (`tensor.name = ...`)."""
        known = id(tensor) in self._stored
        form = self._sparse(tensor, path) if tensor.is_sparse else self._tensor(tensor, path)
        attributes = {} if known else attributes_of(tensor)
        if attributes:
            packed = {n: self.pack(v, (*path, n), depth + 1) for n, v in attributes.items()}
            if tensor.is_sparse:
                form["$sparse"]["attributes"] = packed
            else:
                self.attributes.append([form, packed])  # apart: one may be the tensor itself
        return form

    def _sparse(self, tensor: Tensor, path: tuple[str, ...]) -> dict[str, Any]:
        """Coordinates and values as two tensors."""
        data = tensor._data
        parts = {"indices": data.indices, "values": data.values}
        record: dict[str, Any] = {
            name: self._tensor(wrap(array, tensor.device), (*path, name), "part")
            for name, array in parts.items()
        }
        record |= {"size": list(data.shape), "coalesced": data.coalesced}
        if tensor.requires_grad:
            record["requires_grad"] = True
        return {"$sparse": record}

    def _tensor(self, tensor: Tensor, path: tuple[str, ...], kind: str = "") -> dict[str, Any]:
        stored = self._stored.get(id(tensor))
        if stored is not None:
            return stored
        record: dict[str, Any] = {}
        if tensor.requires_grad:
            record["requires_grad"] = True
        if kind == "array" or isinstance(tensor, Parameter):
            record["kind"] = kind or "parameter"
        self._stored[id(tensor)] = record
        self._kept.append(tensor)
        if tensor.is_meta:  # there is nothing to store, however large it is
            looks = [list(tensor.shape), list(tensor.stride()), tensor.dtype.name]
            record |= {"$meta": looks, "number": len(self._kept)}
            return record
        place = tag_of(tensor)
        if place != "cpu":
            record["device"] = place
        if waits.mode:
            waits.waited(tensor._device)
        self.memories.add(tensor._data, ".".join(path) or "tensor", record, shares=not kind)
        return record


def _shown(path: tuple[str, ...]) -> str:
    return "the object" + "".join(f"[{p!r}]" for p in path)


# -- loading ---------------------------------------------------------------------------------


def load(
    f: Any, map_location: Any = None, pickle_module: Any = None, *, weights_only: Any = None,
    mmap: bool | None = None, encoding: str = "utf-8",
) -> Any:  # fmt: skip
    """Read what `save` wrote, any safetensors file, or a PyTorch checkpoint.

    Of a safetensors file a dict of its tensors, of a checkpoint (``.pt``, ``.pth``) plain tensors
    and values. Only plain data is ever read, also with ``weights_only=False``: no unpickler sees
    the file.

    Args:
        f: a path, or a binary file that is open for reading.
        map_location: the device for all tensors, a dict from devices of the file to devices, or a
            function of (storage, device of the file) that returns a storage on the device. By
            default a tensor comes to the device that it was on, or to the CPU without that.
        pickle_module, weights_only, mmap, encoding: accepted.

    Raises:
        OSError: the file cannot be read.
        AttributeError: ``f`` is neither a path nor a file.
        ValueError: it is something else, or damaged; the message names the file and the reason.
        RuntimeError: ``map_location`` asks for a device that is not here.

    Tensors have the shapes and dtypes that they were saved with.

    >>> import framework as torch
    >>> import io
    >>> file = io.BytesIO()
    >>> torch.save({"step": 3, "weight": torch.ones(2)}, file)
    >>> _ = file.seek(0)
    >>> torch.load(file)
    {'step': 3, 'weight': tensor([1., 1.])}
    """
    if mmap and hasattr(f, "read"):
        raise ValueError("f must be a file path in order to use the mmap argument")
    found = places(map_location)

    def place(location: str, array: np.ndarray) -> device:
        if _skipping.data:
            array[...] = 0  # of PyTorch's checkpoints: the others are read as zeros
        try:
            return found(location, array)
        except Exception as error:
            raise NoPlace(error) from None

    if not (hasattr(f, "read") or isinstance(f, (str, bytes, os.PathLike))):
        raise AttributeError(
            "load: expected 'f' to be string, path, or a file-like object with a 'read' attribute, "
            f"but got {type(f).__name__}"
        )
    name = "the file" if hasattr(f, "read") else os.fspath(f)
    data = _content(f)
    try:
        return _parse(data, place)
    except _Unusable as error:
        raise ValueError(f"load: {name}: {error}") from None
    except NoPlace as error:
        raise error.args[0] from None


def _content(f: Any) -> bytes:
    if hasattr(f, "read"):
        return f.read()
    if stat.S_ISFIFO(os.stat(f).st_mode):  # opening one would wait for a writer
        raise ValueError(f"load: {os.fspath(f)}: a pipe, expected a file")
    with open(f, "rb") as file:
        return file.read()


class _Unusable(Exception):
    """Why a file cannot be read, in one line."""


def _parse(data: bytes, place: Place) -> Any:
    if data[:4] == b"PK\x03\x04" and torch_files.is_checkpoint(_zip_names(data)):
        try:
            return torch_files.read(data, place)
        except torch_files.Refused as error:
            raise _Unusable(f"a PyTorch checkpoint, but {error}. {_CONVERT}") from None
    _check_kind(data)
    metadata, arrays = _read(data)
    unpack = _Unpacker(arrays, place)
    text = metadata.get(_KEY)
    if text is None:
        return {key: unpack.tensor({"$tensor": key}) for key in arrays}
    try:
        return unpack(json.loads(text), 0)
    except NoPlace:
        raise
    except (
        KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError, StopIteration,
    ) as error:  # fmt: skip
        raise _Unusable(f"its skeleton is damaged ({type(error).__name__}: {error})") from None


def _read(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The metadata and the arrays of a safetensors file, which are copies of its bytes."""
    start = 8 + int.from_bytes(data[:8], "little")
    if start > len(data):
        raise _Unusable("it is not a safetensors file, or it is cut off: its header does not end")
    try:
        header = json.loads(data[8:start].decode())  # of bytes, json would take UTF-16, too
    except (ValueError, RecursionError):
        raise _Unusable("it is not a safetensors file: its header is not JSON") from None
    if not isinstance(header, dict):
        raise _Unusable("it is not a safetensors file: its header is not a JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise _Unusable("its header is damaged: the metadata are not a JSON object")
    if not all(isinstance(text, str) for text in metadata.values()):
        raise _Unusable("its header is damaged: the metadata are not all text")
    try:
        offsets = {k: tuple(v["data_offsets"]) for k, v in header.items()}
        if any(type(at) is not int for span in offsets.values() for at in span):
            raise TypeError
        spans = sorted((begin, end, k) for k, (begin, end) in offsets.items())
    except (KeyError, TypeError, ValueError):
        raise _Unusable("its header is damaged: a tensor has no data_offsets") from None
    arrays: dict[str, np.ndarray] = {}
    at = 0
    for begin, end, name in spans:
        if begin != at or end < begin:
            raise _Unusable(
                f"its header is damaged: tensor {name!r} does not follow the one before"
            )
        if start + end > len(data):
            raise _Unusable(
                f"it is cut off in tensor {name!r}: {len(data)} bytes instead of {start + end}"
            )
        arrays[name] = _array(name, header[name], data[start + begin : start + end])
        at = end
    if start + at != len(data):
        raise _Unusable(f"it has {len(data) - start - at} bytes after its last tensor")
    return metadata, {name: arrays[name] for name in header}


def _array(name: str, entry: dict[str, Any], data: bytes) -> np.ndarray:
    kind, shape = entry.get("dtype"), entry.get("shape")
    if kind not in _READ:
        raise _Unusable(f"tensor {name!r} has the type {kind!r}, which is not supported")
    if not isinstance(shape, list) or any(type(n) is not int or n < 0 for n in shape):
        raise _Unusable(f"its header is damaged: tensor {name!r} has the shape {shape!r}")
    dtype = next(d for d in dtypes.ALL if d.name == _READ[kind]).numpy
    if math.prod(shape) * dtype.itemsize != len(data):
        raise _Unusable(
            f"its header is damaged: tensor {name!r} of type {kind} and shape {shape} does not "
            f"have {len(data)} bytes"
        )
    if _skipping.data:
        return np.zeros(shape, dtype)
    return np.frombuffer(bytearray(data), dtype).reshape(shape)


def _zip_names(data: bytes) -> list[str]:
    try:
        return zipfile.ZipFile(io.BytesIO(data)).namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, OverflowError):
        return []


def _check_kind(data: bytes) -> None:
    """Name what is not a safetensors file for what it is."""
    if data[8:9] == b"{":  # after the length of the header, which may look like anything
        return
    if data[:4] == b"PK\x03\x04":
        names = _zip_names(data)
        if not names:
            raise _Unusable("it is a zip file that is cut off or damaged")
        if any(n.endswith(".npy") for n in names):
            raise _Unusable("it is a NumPy .npz archive; read it with numpy.load")
        raise _Unusable("it is a zip file, not a safetensors file")
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        raise _Unusable(
            "it is a pickle (or a PyTorch checkpoint older than 1.6), which can run code when it "
            f"is read. {_CONVERT}"
        )
    if data[:6] == b"\x93NUMPY":
        raise _Unusable("it is a NumPy .npy file; read it with numpy.load")
    if data[:8] == b"\x89HDF\r\n\x1a\n":
        raise _Unusable("it is an HDF5 file, not a safetensors file")
    if len(data) < 8:
        raise _Unusable(f"not a whole safetensors file (it has {len(data)} bytes)")


class _Unpacker:
    """Puts the tensors back into a skeleton."""

    def __init__(self, arrays: dict[str, np.ndarray], place: Place) -> None:
        self._arrays = arrays
        self._place = place
        self._made: dict[Any, Any] = {}
        self._memories: dict[Any, Any] = {}
        self._forms: dict[str, Callable[[Any, int], Any]] = {
            "$dict": lambda v, d: {self(k, d): self(x, d) for k, x in v},
            "$tuple": lambda v, d: tuple(self(x, d) for x in v),
            "$size": lambda v, d: Size(int(x) for x in v),
            "$float": lambda v, d: float(v),
            "$complex": lambda v, d: complex(float(v[0]), float(v[1])),
            "$dtype": lambda v, d: next(t for t in dtypes.ALL if t.name == v),
            "$device": lambda v, d: device(v),
            "$sparse": lambda v, d: self._sparse(v),
            "$with": self._with,
            **forms(self),
        }

    def __call__(self, value: Any, depth: int) -> Any:
        if depth > _DEPTH + 1:
            raise ValueError("it is nested too deeply")
        if isinstance(value, list):
            return [self(v, depth + 1) for v in value]
        if not isinstance(value, dict):
            return value
        if "$tensor" in value or "$meta" in value:
            return self.tensor(value)
        if len(value) == 1:
            (key, inner) = next(iter(value.items()))
            if key in self._forms:
                return self._forms[key](inner, depth + 1)
        return {k: self(v, depth + 1) for k, v in value.items()}

    def _sparse(self, record: dict[str, Any]) -> Any:
        from framework.ops.sparse import sparse_coo_tensor

        parts = [self.tensor(record[name]) for name in ("indices", "values")]
        made = sparse_coo_tensor(*parts, record["size"], is_coalesced=bool(record["coalesced"]))
        self._attach(made, record.get("attributes", {}))
        return made.requires_grad_() if record.get("requires_grad") else made

    def _with(self, value: Any, depth: int) -> Any:
        """An object, and the attributes of tensors in it."""
        made = self(value[0], depth)
        for record, attributes in value[1]:
            self._attach(self.tensor(record), attributes)
        return made

    def _attach(self, tensor: Any, attributes: dict[str, Any]) -> None:
        for name, value in attributes.items():
            if name in OWN_ATTRIBUTES or name.startswith("__"):  # of a hostile file
                raise ValueError(f"a tensor has an attribute {name!r} of its own")
            vars(tensor)[name] = self(value, 1)

    def tensor(self, record: dict[str, Any]) -> Any:
        key = record.get("$tensor"), record.get("number")
        if key in self._made:
            return self._made[key]
        if "$meta" in record:
            return self._typed(self._without_data(record["$meta"]), record, key)
        array = self._arrays[record["$tensor"]]
        view = record.get("view")
        if view is not None:
            array = part(array, view)
        elif record.get("complex"):
            wide = np.complex64 if array.dtype == np.float32 else np.complex128
            array = array.view(wide)[..., 0]
        if "strides" in record:
            array = laid_out(array, record["strides"])
        if record.get("kind") == "array":
            made: Any = array
        else:
            place = self._place(record.get("device", "cpu"), array)
            if place is not CPU:
                array = self._on(place, record, array)
            made = wrap(array, place)
            if view is not None and view[0]:
                made._offset = view[0]
            return self._typed(made, record, key)
        self._made[key] = made
        return made

    def _typed(self, made: Any, record: dict[str, Any], key: Any) -> Any:
        """A tensor, or the parameter that its record says it is."""
        if record.get("kind") == "parameter":
            made = Parameter(made, False)
        made._rg = bool(record.get("requires_grad"))
        self._made[key] = made
        return made

    def _without_data(self, form: Any) -> Tensor:
        """A tensor on meta, of which only the looks are stored."""
        shape, steps, name = form
        check_counts([*shape, *steps])
        kind = next(d for d in dtypes.ALL if d.name == name).numpy
        if len(shape) != len(steps):
            raise ValueError("a tensor on meta has other dimensions than strides")
        try:
            array = meta_array(shape, kind, tuple([s * kind.itemsize for s in steps]))
        except MemoryError as error:
            raise ValueError(str(error)) from None
        return wrap(array, META)

    def _on(self, place: device, record: dict[str, Any], array: np.ndarray) -> Any:
        """An array on a device, where memory that tensors share comes once."""
        view = record.get("view")
        if view is None:
            return to_device(array, place)
        key = record["$tensor"], place
        if key not in self._memories:
            self._memories[key] = to_device(self._arrays[record["$tensor"]], place)
        return part(self._memories[key], view)


# -- more of PyTorch's -------------------------------------------------------------------------


def get_unsafe_globals_in_checkpoint(f: Any) -> list[str]:
    """The names in a PyTorch checkpoint for which `load` refuses it; nothing is made of them.

    ValueError for a file that is none; ours, for instance, names no classes.

    >>> import io
    >>> import framework as torch
    >>> file = io.BytesIO(b"nothing")
    >>> torch.serialization.get_unsafe_globals_in_checkpoint(file)
    Traceback (most recent call last):
        ...
    ValueError: get_unsafe_globals_in_checkpoint: ...
    """
    try:
        return torch_files.unknown_names(_content(f))
    except torch_files.Refused as error:
        raise ValueError(f"get_unsafe_globals_in_checkpoint: {error}") from None


class _Skipping(threading.local):
    data = False


_skipping = _Skipping()


class skip_data:
    """Within it `save` leaves room for the numbers of tensors, and `load` gives zeros.

    >>> import io
    >>> import framework as torch
    >>> file = io.BytesIO()
    >>> with torch.serialization.skip_data():
    ...     torch.save(torch.ones(2), file)
    >>> _ = file.seek(0)
    >>> torch.load(file)
    tensor([0., 0.])
    """

    def __init__(self, materialize_fake_tensors: bool = False) -> None:
        self.materialize_fake_tensors = materialize_fake_tensors

    def __enter__(self) -> None:
        self._before, _skipping.data = _skipping.data, True

    def __exit__(self, *exc: object) -> None:
        _skipping.data = self._before
