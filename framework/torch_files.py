"""Reads the checkpoints that PyTorch's `save` writes: a zip file of a pickle and raw storages.

The pickle is never unpickled. Its opcodes are parsed by `pickletools` (which runs nothing) and
interpreted here by a machine that knows plain containers, numbers and strings, and from a closed
list the few names that tensors are made of. Any other name, such as a class of the user's or
`os.system`, ends the reading with that name: nothing of the file is ever imported or called.

Format: https://docs.pytorch.org/docs/stable/notes/serialization.html (PyTorch 1.6 and later).
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.copies import OWN_ATTRIBUTES
from framework.core.graph import Version
from framework.device import CPU, META, device
from framework.kernels import to_device
from framework.kernels.meta import meta_array
from framework.saved_memory import check_counts
from framework.storage import TypedStorage, storage_of
from framework.tensor import Size, Tensor, wrap

__all__ = ["Refused", "is_checkpoint", "read"]


class Refused(Exception):
    """Why a checkpoint is not read, in one line."""


_STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32",
    "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool", "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128", "UntypedStorage": "uint8",
}  # fmt: skip
_DTYPES = {d.name: d for d in dtypes.ALL}
# What `zipfile` raises for an archive that is damaged, of a future version or encrypted.
_ZIP = (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError)
_PLAIN = (str, int, float, bool, bytes, type(None))  # what a key of a dict or set may be
_MARK = object()


def is_checkpoint(names: list[str]) -> bool:
    """Whether a zip file with these entries is one of PyTorch's checkpoints."""
    return any(n == "data.pkl" or n.endswith("/data.pkl") for n in names)


def read(data: bytes, place: Callable[[str, np.ndarray], device]) -> Any:
    """The object in a checkpoint.

    Args:
        place: the device of a storage, from the device that the file names and the elements.

    Raises:
        Refused: the file is damaged, compressed, or holds more than plain tensors and values.
    """
    archive, prefix, code, order = _opened(data)
    machine = _Machine(lambda key: _entry(archive, f"{prefix}data/{key}"), order, place)
    try:
        return machine.run(code)
    except Refused:
        raise
    except _ZIP as error:
        raise Refused(f"its zip archive is damaged ({error})") from None
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError) as error:
        raise Refused(f"its data.pkl is damaged ({type(error).__name__}: {error})") from None


def _opened(data: bytes) -> tuple[zipfile.ZipFile, str, bytes, str]:
    """The archive, the folder in it, the pickle and the order of bytes."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        name = next(n for n in archive.namelist() if n == "data.pkl" or n.endswith("/data.pkl"))
        code = _entry(archive, name)
        prefix = name.removesuffix("data.pkl")
        if prefix + "constants.pkl" in archive.namelist():
            raise Refused(
                "it is a TorchScript program, which is code; save its state_dict() instead"
            )
        order = "little"
        if prefix + "byteorder" in archive.namelist():
            order = _entry(archive, prefix + "byteorder").decode("ascii", "replace").strip()
    except (*_ZIP, ValueError, OverflowError) as error:
        raise Refused(f"its zip archive is damaged ({error})") from None
    if order not in ("little", "big"):
        raise Refused(f"its byte order is {order!r}, which is neither little nor big")
    return archive, prefix, code, order


def unknown_names(data: bytes) -> list[str]:
    """The names that a checkpoint asks for and that `read` refuses, sorted."""
    found: set[str] = set()
    texts: list[str] = []  # STACK_GLOBAL takes the last two
    try:
        for opcode, argument, _ in pickletools.genops(_opened(data)[2]):
            names: list[str] = []
            if opcode.name == "STACK_GLOBAL":
                names = texts[-2:]
            elif opcode.name == "GLOBAL":
                names = str(argument).split(" ", 1)
            elif isinstance(argument, str):
                texts.append(argument)
            if len(names) == 2 and not _is_known(*names):
                found.add(".".join(names))
    except ValueError as error:
        raise Refused(f"its data.pkl is damaged ({error})") from None
    return sorted(found)


def _entry(archive: zipfile.ZipFile, name: str) -> bytes:
    """The bytes of an entry; PyTorch stores them as they are, so a compressed one is no bomb."""
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise Refused(f"it is cut off: {name} is missing") from None
    if info.compress_type != zipfile.ZIP_STORED:
        raise Refused(f"{name} is compressed, which PyTorch never does")
    return archive.read(info)


def _is_known(module: str, name: str) -> bool:
    return f"{module}.{name}" in (*_BUILDERS, *_CLASSES) or (
        module in ("torch", "torch.storage")
        and (name in _STORAGES or name in _DTYPES or name in ("float", "TypedStorage"))
    )


class _Name:
    """A name that the pickle asks for; only those of the lists below ever do anything."""

    def __init__(self, module: str, name: str) -> None:
        self.full = f"{module}.{name}"
        self.module, self.name = module, name
        if not _is_known(module, name):
            raise Refused(_why_not(self.full))

    @property
    def dtype(self) -> dtypes.dtype:
        return _DTYPES[_STORAGES.get(self.name, self.name)]


# What the names stand for that checkpoints of tensors ask for, and that are not here.
_KINDS = {
    "torch._utils._rebuild_nested_tensor": "a nested tensor; save its unbind()",
    "torch._utils._rebuild_qtensor": "a quantised tensor; save its dequantize()",
    "torch._utils._rebuild_wrapper_subclass": "a tensor of a class of its own; save a plain one",
    "torch._utils._rebuild_device_tensor_from_numpy": "a tensor of a device that is not here; save "
    "its cpu()",
}


def _why_not(name: str) -> str:
    """Why what is made by that name is not read, and what to save instead."""
    what = _KINDS.get(name)
    if what is None and name.startswith("numpy."):
        what = "an array or a number of NumPy; save torch.as_tensor of it"
    if what is None and name.startswith("torch.float8"):
        what = "a tensor of a type that is not here; save its float()"
    if what is not None:
        return f"it holds {what} ({name} is more than plain tensors and values)"
    return (
        f"it holds a {name}, which is more than plain tensors and values; save the state_dict() "
        "instead"
    )


def _datum(value: Any, depth: int = 0) -> Any:
    """What goes into a container: the name of a type becomes the type, other names are refused."""
    if isinstance(value, _Name):
        if value.module == "torch" and value.name in _DTYPES:
            return value.dtype
        raise Refused(f"it holds a {value.full}, which is more than plain tensors and values")
    if isinstance(value, _Storage):
        return value.as_storage()
    if type(value) is tuple and any(isinstance(v, (_Name, _Storage, tuple)) for v in value):
        if depth > 50:
            raise Refused("it has tuples nested more than 50 deep")
        return tuple([_datum(v, depth + 1) for v in value])
    return value


class _Storage:
    """The raw elements that tensors share."""

    def __init__(self, array: np.ndarray, place: device, typed: bool) -> None:
        self.array, self.place, self.typed = array, place, typed
        self.counter: Version | None = None
        self.made: Any = None

    def as_storage(self) -> Any:
        """What a program gets that has saved a storage itself."""
        if self.made is None:
            array = self.array if self.place is CPU else to_device(self.array, self.place)
            self.made = storage_of(wrap(array, self.place))
            if self.typed:
                kind = dtypes.from_numpy_dtype[self.array.dtype]
                self.made = TypedStorage(wrap_storage=self.made, dtype=kind)
        return self.made


class _Machine:
    """A pickle machine for plain data."""

    def __init__(
        self, entry: Callable[[str], bytes], order: str, place: Callable[[str, np.ndarray], device]
    ) -> None:
        self.entry = entry
        self.order = order
        self.place = place
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, _Storage] = {}

    def run(self, code: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(code):
            if opcode.name == "STOP":
                return _datum(self.stack.pop())
            step = _STEPS.get(opcode.name)
            if step is None:
                raise Refused(f"its pickle uses {opcode.name}, which plain data never need")
            step(self, argument)
        raise Refused("it is cut off: its pickle does not end")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop_to_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("no mark")
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def tuple(self, count: int) -> None:
        items = tuple(self.stack[len(self.stack) - count :])
        if len(items) != count or any(i is _MARK for i in items):
            raise ValueError("stack is too short")
        del self.stack[len(self.stack) - count :]
        self.push(items)

    def extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise ValueError("appends to what is no list")
        target.extend(map(_datum, items))

    def fill(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) not in (dict, OrderedDict):
            raise ValueError("sets an item of what is no dict")
        for key, value in zip(items[::2], items[1::2]):
            target[_key(key)] = _datum(value)

    def add(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not set:
            raise ValueError("adds to what is no set")
        target.update(_key(i) for i in items)

    def global_(self, argument: str) -> None:
        module, name = argument.split(" ", 1)
        self.push(_Name(module, name))

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise ValueError("a name that is no text")
        self.push(_Name(module, name))

    def reduce(self) -> None:
        args, name = self.stack.pop(), self.stack.pop()
        if not isinstance(name, _Name) or type(args) is not tuple:
            raise ValueError("calls what is no name")
        build = _BUILDERS.get(name.full)
        if build is None:
            raise Refused(f"it calls {name.full}, which is not how a tensor is made")
        self.push(build(self, *args))

    def build(self) -> None:
        """State of an object: only the attributes of a state dict, which carry no data."""
        state = self.stack.pop()
        target = self.stack[-1]
        if type(target) is not OrderedDict or type(state) is not dict or set(state) - {"_metadata"}:
            raise Refused("it sets attributes of an object, which plain data never need")
        target.__dict__.update(state)

    def persistent(self) -> None:
        what = self.stack.pop()
        kind, named, key, location, count = what
        if kind != "storage" or not isinstance(named, _Name) or type(count) is not int:
            raise ValueError("a persistent id that is no storage")
        key = str(key)
        found = self.storages.get(key)
        if found is None:
            dtype = named.dtype.numpy
            raw = self.entry(key)
            if len(raw) < count * dtype.itemsize:
                raise Refused(
                    f"it is cut off: storage {key} has {len(raw)} bytes instead of "
                    f"{count * dtype.itemsize}"
                )
            array = np.frombuffer(bytearray(raw), dtype, count)
            if self.order == "big" and dtype.itemsize > 1:
                array = array.byteswap()
            typed = named.name != "UntypedStorage"
            found = self.storages[key] = _Storage(array, self.place(str(location), array), typed)
        self.push(found)

    # -- what tensors are made of ----------------------------------------------------------------

    def tensor(
        self, storage: Any, offset: Any, shape: Any, stride: Any, requires_grad: Any = False,
        hooks: Any = None, notes: Any = None,
    ) -> Any:  # fmt: skip
        """torch._utils._rebuild_tensor_v2: a strided view of a storage."""
        if not isinstance(storage, _Storage):
            raise ValueError("a tensor without a storage")
        return self._view(storage.array, storage, offset, shape, stride, requires_grad, notes)

    def typed_tensor(
        self, storage: Any, offset: Any, shape: Any, stride: Any, requires_grad: Any, hooks: Any,
        dtype: Any, notes: Any = None,
    ) -> Any:  # fmt: skip
        """torch._utils._rebuild_tensor_v3: the same, of an untyped storage."""
        if not isinstance(storage, _Storage) or not isinstance(dtype, _Name):
            raise ValueError("a tensor without a storage")
        array = storage.array.view(dtype.dtype.numpy)
        return self._view(array, storage, offset, shape, stride, requires_grad, notes)

    def _view(
        self, array: np.ndarray, storage: _Storage, offset: Any, shape: Any, stride: Any,
        requires_grad: Any, notes: Any,
    ) -> Any:  # fmt: skip
        numbers = (offset, *shape, *stride)
        if len(shape) != len(stride) or any(type(n) is not int or n < 0 for n in numbers):
            raise Refused(f"a tensor has the shape {shape} and the strides {stride}")
        last = offset + sum((n - 1) * s for n, s in zip(shape, stride))
        if 0 not in shape and last >= array.size:
            raise Refused(f"a tensor of shape {list(shape)} reaches beyond its storage")
        steps = tuple(s * array.itemsize for s in stride)
        start = array[offset:] if offset < array.size else array[:0]
        made = np.lib.stride_tricks.as_strided(start, tuple(shape), steps)
        view, made = made, _noted(made, notes)
        place = storage.place
        tensor = wrap(made if place is CPU else to_device(made.copy(), place), place)
        if place is CPU and made is view:  # tensors of one storage see each other's writes
            storage.counter = storage.counter or Version()
            tensor._counter = storage.counter
        tensor._rg = bool(requires_grad)
        return tensor

    def parameter(self, data: Any, requires_grad: Any, *rest: Any) -> Any:
        from framework.nn.parameter import Parameter

        return Parameter(data, bool(requires_grad))

    def sparse(self, layout: Any, data: Any) -> Any:
        """torch._utils._rebuild_sparse_tensor: coordinates and their values."""
        from framework.ops.sparse import sparse_coo_tensor

        if layout != "torch.sparse_coo":
            raise Refused(
                f"it holds a sparse tensor of layout {layout}, and only coordinates "
                "(torch.sparse_coo) are read; save its to_sparse_coo()"
            )
        indices, values, size, *once = data
        if not isinstance(indices, Tensor) or not isinstance(values, Tensor):
            raise ValueError("a sparse tensor without coordinates or values")
        check_counts(list(size))
        try:
            return sparse_coo_tensor(
                indices, values, tuple(size), is_coalesced=bool(once and once[0]),
                check_invariants=True,
            )  # fmt: skip
        except (RuntimeError, NotImplementedError) as error:
            raise Refused(f"a sparse tensor is damaged ({error})") from None

    def without_data(self, dtype: Any, shape: Any, stride: Any, requires_grad: Any) -> Any:
        """torch._utils._rebuild_meta_tensor_no_storage: a tensor on meta, which is its looks."""
        if not isinstance(dtype, _Name) or len(shape) != len(stride):
            raise ValueError("a tensor on meta has other dimensions than strides")
        check_counts([*shape, *stride])
        kind = dtype.dtype.numpy
        try:
            array = meta_array(tuple(shape), kind, tuple([s * kind.itemsize for s in stride]))
        except MemoryError as error:
            raise Refused(str(error)) from None
        tensor = wrap(array, META)
        tensor._rg = bool(requires_grad)
        return tensor

    def with_state(self, name: Any, kind: Any, args: Any, state: Any) -> Any:
        """torch._tensor._rebuild_from_type_v2: a tensor on which a program has set attributes."""
        build = _BUILDERS.get(name.full) if isinstance(name, _Name) else None
        if build is None or not isinstance(kind, _Name) or kind.full not in _CLASSES:
            raise Refused("it makes a tensor of a class of its own")
        return _attached(build(self, *args), state)

    def parameter_with_state(self, data: Any, requires_grad: Any, hooks: Any, state: Any) -> Any:
        """torch._utils._rebuild_parameter_with_state: the same of a parameter."""
        return _attached(self.parameter(data, requires_grad), state)


def _attached(tensor: Any, state: Any) -> Any:
    """A tensor with attributes, none of which has the name of one that it needs itself."""
    if not isinstance(tensor, Tensor) or type(state) is not dict:
        raise Refused("it sets attributes of what is no tensor")
    for name, value in state.items():
        if not isinstance(name, str) or name in OWN_ATTRIBUTES or name.startswith("__"):
            raise Refused(f"a tensor has an attribute {name!r} of its own")
        vars(tensor)[name] = _datum(value)
    return tensor


def _noted(array: np.ndarray, notes: Any) -> np.ndarray:
    """The numbers of a tensor of which PyTorch has put off the conjugate or the negation."""
    if notes is not None and type(notes) is not dict:
        raise ValueError("notes that are no dict")
    for name, said in (notes or {}).items():
        if name not in ("conj", "neg"):
            raise Refused(f"a tensor has the note {name!r}, which is not known here")
        if said:
            array = np.conj(array) if name == "conj" else np.negative(array)
    return array


def _key(value: Any) -> Any:
    """A key of a dict: plain, or a flat tuple of plain ones, so that hashing it takes no time."""
    flat = value if type(value) is tuple else (value,)
    if all(isinstance(v, _PLAIN) for v in flat):
        return value
    raise Refused(f"a dict has a key of type {type(value).__name__}")


def _ordered(machine: _Machine, items: Any = ()) -> Any:
    return OrderedDict((_key(k), v) for k, v in items)


def _counter(machine: _Machine, counts: Any) -> Any:
    """As the milestones of a MultiStepLR are kept."""
    if type(counts) is not dict or any(type(n) is not int for n in counts.values()):
        raise Refused("a Counter holds what are no counts")
    return Counter(counts)


def _bytearray(machine: _Machine, data: Any = b"", coding: str = "latin1") -> bytearray:
    """Protocol 2 writes its bytes as text."""
    if isinstance(data, str) and coding in ("latin-1", "latin1"):
        return bytearray(data, "latin1")
    if not isinstance(data, bytes):
        raise Refused("a bytearray holds what are no bytes")  # a number would be a size
    return bytearray(data)


_CLASSES = ("torch.Tensor", "torch._tensor.Tensor", "torch.nn.parameter.Parameter")
_BUILDERS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor_v2": _Machine.tensor,
    "torch._utils._rebuild_tensor": _Machine.tensor,
    "torch._utils._rebuild_tensor_v3": _Machine.typed_tensor,
    "torch._utils._rebuild_sparse_tensor": _Machine.sparse,
    "torch._utils._rebuild_meta_tensor_no_storage": _Machine.without_data,
    "torch.serialization._get_layout": lambda machine, name: str(name),
    "torch._utils._rebuild_parameter": _Machine.parameter,
    "torch._utils._rebuild_parameter_with_state": _Machine.parameter_with_state,
    "torch._tensor._rebuild_from_type_v2": _Machine.with_state,
    "torch.nn.parameter.Parameter": _Machine.parameter,
    "collections.Counter": _counter,
    "collections.OrderedDict": _ordered,
    "torch.Size": lambda machine, items: Size(int(i) for i in items),
    "torch.device": lambda machine, kind, index=None: device(str(kind), index),
    "builtins.set": lambda machine, items: {_key(i) for i in items},
    "builtins.complex": lambda machine, real, imag: complex(float(real), float(imag)),
    "builtins.bytearray": _bytearray,
    "__builtin__.bytearray": _bytearray,
    "__builtin__.set": lambda machine, items: {_key(i) for i in items},
    "__builtin__.complex": lambda machine, real, imag: complex(float(real), float(imag)),
    "_codecs.encode": lambda machine, text, coding: str(text).encode("latin1"),
}

_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda m, a: None),
    **dict.fromkeys(
        (
            "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "INT", "LONG", "BINFLOAT", "FLOAT",
            "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "BINBYTES",
            "SHORT_BINBYTES", "BINBYTES8", "BINSTRING", "SHORT_BINSTRING",
        ),
        _Machine.push,
    ),
    "NONE": lambda m, a: m.push(None),
    "NEWTRUE": lambda m, a: m.push(True),
    "NEWFALSE": lambda m, a: m.push(False),
    "MARK": lambda m, a: m.push(_MARK),
    "POP": lambda m, a: m.stack.pop() and None,
    "EMPTY_DICT": lambda m, a: m.push({}),
    "EMPTY_LIST": lambda m, a: m.push([]),
    "EMPTY_SET": lambda m, a: m.push(set()),
    "EMPTY_TUPLE": lambda m, a: m.push(()),
    "TUPLE": lambda m, a: m.push(tuple(m.pop_to_mark())),
    "TUPLE1": lambda m, a: m.tuple(1),
    "TUPLE2": lambda m, a: m.tuple(2),
    "TUPLE3": lambda m, a: m.tuple(3),
    "LIST": lambda m, a: m.push(m.pop_to_mark()),
    "APPEND": lambda m, a: m.extend([m.stack.pop()]),
    "APPENDS": lambda m, a: m.extend(m.pop_to_mark()),
    "SETITEM": lambda m, a: m.fill([m.stack.pop(), m.stack.pop()][::-1]),
    "SETITEMS": lambda m, a: m.fill(m.pop_to_mark()),
    "ADDITEMS": lambda m, a: m.add(m.pop_to_mark()),
    "GLOBAL": _Machine.global_,
    "STACK_GLOBAL": lambda m, a: m.stack_global(),
    "REDUCE": lambda m, a: m.reduce(),
    "BUILD": lambda m, a: m.build(),
    "BINPERSID": lambda m, a: m.persistent(),
    "MEMOIZE": lambda m, a: m.memo.__setitem__(len(m.memo), m.stack[-1]),
    **dict.fromkeys(
        ("PUT", "BINPUT", "LONG_BINPUT"), lambda m, a: m.memo.__setitem__(int(a), m.stack[-1])
    ),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda m, a: m.push(m.memo[int(a)])),
}  # fmt: skip
