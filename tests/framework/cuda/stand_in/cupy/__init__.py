"""A stand-in for CuPy on machines without a GPU: as strict as CuPy, and it counts what is moved.

Put ``tests/framework/cuda/stand_in`` in front of the path of a process and the framework's real way
to a GPU is run, on NumPy's arithmetic. Arrays are no NumPy arrays; nothing is converted unasked: a
function that is given a NumPy array (even one without dimensions) raises TypeError, and what CuPy
does not have is not here (``names.txt``), nor are arguments that it does not take
(``signatures.txt``). ``RawModule`` compiles the text of a kernel as C++
(`host.h`). `counts` says how many bytes came from the device, how often somebody waited for it, and
what went there. Where CuPy has no loop for halves the result has the type that it gives there.
What it does not show: whether CuPy's own kernels take all other dtypes, and speed.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

from cupy import thirteen

__version__ = thirteen.VERSION

_NAMES: dict[str, set[str]] = {}
for _line in Path(__file__).parents[1].joinpath("names.txt").read_text().splitlines():
    if not _line.startswith("#"):
        _kind, _, _words = _line.partition(": ")
        _NAMES.setdefault(_kind, set()).update(_words.split())
for _kind, _lacking in thirteen.LACKS.items():
    _NAMES[_kind] -= _lacking


def _signature(words: str) -> inspect.Signature:
    P = inspect.Parameter
    kind, found = P.POSITIONAL_OR_KEYWORD, []
    for word in words.split():
        if word == "/":
            found = [p.replace(kind=P.POSITIONAL_ONLY) for p in found]
        elif word == "*":
            kind = P.KEYWORD_ONLY
        elif word.startswith("*"):
            most = P.VAR_KEYWORD if word[1] == "*" else P.VAR_POSITIONAL
            found.append(P(word.strip("*"), most))
            kind = P.KEYWORD_ONLY
        else:
            found.append(P(word.strip("="), kind, default=None if "=" in word else P.empty))
    return inspect.Signature(found)


_TAKES: dict[str, inspect.Signature] = {}
_lines = Path(__file__).parents[1].joinpath("signatures.txt").read_text().splitlines()
for _line in _lines + thirteen.TAKES:
    if not _line.startswith("#"):
        _name, _, _words = _line.partition(":")
        _TAKES[_name] = _signature(_words)


def _fits(kind: str, name: str, args: Any, options: Any) -> None:
    """Raise TypeError for arguments that CuPy's function, or method, does not know."""
    takes = _TAKES.get(f"{kind} {name}")
    if takes is None:
        return
    try:
        takes.bind(*args, **options)
    except TypeError as error:
        raise TypeError(f"cupy {kind} {name}() has no attribute for this: {error}") from None


_SCALARS = (bool, int, float, complex, np.generic)
_HOST = {"shape", "ndim", "size", "result_type", "promote_types", "can_cast", "isscalar",
         "broadcast_shapes", "min_scalar_type", "may_share_memory", "shares_memory", "issubdtype",
         "isdtype", "iterable"}  # fmt: skip
_TAKES_NUMPY = {"array", "asarray", "asanyarray", "ascontiguousarray", "asfortranarray"}
_WAITS = {"nonzero", "argwhere", "flatnonzero", "unique", "unique_all", "unique_counts",
          "unique_inverse", "unique_values", "allclose", "array_equal", "array_equiv", "compress",
          "extract", "trim_zeros", "setdiff1d", "union1d", "intersect1d"}  # fmt: skip
_SORTS = {"sort", "argsort", "partition", "argpartition", "unique", "lexsort", "searchsorted",
          "median", "nanmedian", "percentile", "quantile"}  # fmt: skip
_KWARGS = {"out", "dtype", "casting"}  # of ufuncs


class counts:
    """What has crossed the border since `reset`."""

    fetched = 0  # bytes, from the device
    fetches = 0
    waits = 0  # for the device, fetches among them
    sent = 0  # bytes, to the device
    launches = 0  # of kernels, at least: a function of CuPy's counts as one

    @classmethod
    def reset(cls) -> None:
        cls.fetched = cls.fetches = cls.waits = cls.sent = cls.launches = 0

    @classmethod
    def made(cls, name: str, found: Any, given: Any) -> None:
        """Count what a function computed, or copied; a view of what it was given is neither."""
        if isinstance(found, np.ndarray) and name not in _UNFILLED:
            roots = [_root(x._a) for x in given if isinstance(x, ndarray)]
            cls.launches += not any(_root(found) is r for r in roots)


_UNFILLED = {"empty", "empty_like", "asarray", "array"}  # no kernel fills these


def _root(a: Any) -> Any:
    while isinstance(a.base, np.ndarray):
        a = a.base
    return a


_asked: deque[tuple[int, int]] = deque(maxlen=8)  # memory of which an address was last asked


def is_owned(address: int, size: int) -> bool:
    """Whether memory is within an array, of one of the last addresses that were asked for."""
    return any(start <= address and address + size <= end for start, end in _asked)


class _Memory:
    """What all arrays of one allocation share, which has the pool's memory while it lives."""

    def __init__(self, root: Any, allocated: Any) -> None:
        self.ptr, self.size, self._pooled = root.ctypes.data, root.nbytes, allocated.mem
        self.device_id = allocated.device_id
        allocated.shared = self


class MemoryPointer:
    def __init__(self, root: Any, offset: int, device_id: int = 0, memory: Any = None) -> None:
        self._root, self._offset, self.device_id = root, offset, device_id
        self.mem = self if memory is None else memory

    @property
    def ptr(self) -> int:
        start: int = self._root.ctypes.data
        _asked.append((start, start + self._root.nbytes))
        return start + self._offset

    device = property(lambda self: cuda.Device(self.device_id))

    def __add__(self, offset: int) -> MemoryPointer:
        return MemoryPointer(self._root, self._offset + offset, self.device_id)


class _Flags:
    def __init__(self, flags: Any) -> None:
        self.c_contiguous, self.f_contiguous = flags.c_contiguous, flags.f_contiguous
        self.owndata = flags.owndata


class ndarray:
    """An array of the device: what CuPy's has, and nothing that NumPy would do unasked."""

    __array_priority__ = 100

    def __init__(
        self, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None,
        order: str = "C",
    ) -> None:  # fmt: skip
        thirteen.no_bfloat16(dtype)
        self.base = None
        self._place = cuda.Device(_current())
        self._memory: Any = None
        if memptr is None:
            size = math.prod(shape if isinstance(shape, tuple) else (shape,))
            self._memory = cuda.alloc(size * np.dtype(dtype).itemsize)
            self._a = np.empty(shape, dtype, order)
        else:
            root = memptr._root
            whole = np.frombuffer(_bytes_of(root), np.uint8)
            self._a = np.ndarray(shape, dtype, whole, memptr._offset, strides)
            self._owner = root

    @classmethod
    def _of(cls, a: Any, parent: Any = None) -> ndarray:
        thirteen.no_bfloat16(a.dtype)
        made = cls.__new__(cls)
        made._a, made.base = a, None
        made._place = cuda.Device(_current()) if parent is None else parent._place
        if parent is not None and _root(a) is _root(parent._a):
            made.base = parent if parent.base is None else parent.base
            made._memory = parent._memory
        else:
            made._memory = cuda.alloc(a.nbytes)
        return made

    # -- what it is --------------------------------------------------------------------------

    shape = property(lambda self: self._a.shape)
    dtype = property(lambda self: self._a.dtype)
    size = property(lambda self: self._a.size)
    ndim = property(lambda self: self._a.ndim)
    strides = property(lambda self: self._a.strides)
    nbytes = property(lambda self: self._a.nbytes)
    itemsize = property(lambda self: self._a.itemsize)
    device = property(lambda self: self._place)
    flags = property(lambda self: _Flags(self._a.flags))
    _c_contiguous = property(lambda self: self._a.flags.c_contiguous)
    T = property(lambda self: self._of(self._a.T, self))
    if not thirteen.OLD:
        mT = property(lambda self: self._of(self._a.mT, self))

    @property
    def real(self) -> ndarray:
        return self._of(self._a.real, self)

    @real.setter
    def real(self, value: Any) -> None:
        self.real[...] = value

    @property
    def imag(self) -> ndarray:
        return self._of(self._a.imag, self)

    @imag.setter
    def imag(self, value: Any) -> None:
        self.imag[...] = value

    @property
    def data(self) -> MemoryPointer:
        root = _root(self._a)
        offset = 0 if root is self._a else self._a.ctypes.data - root.ctypes.data
        known = self._memory
        memory = None if known is None else getattr(known, "shared", None) or _Memory(root, known)
        return MemoryPointer(root, offset, self._place.id, memory)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        found = dict(self._a.__array_interface__)
        return {**found, "version": 3, "stream": 1}

    # -- to the host -------------------------------------------------------------------------

    def get(
        self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True
    ) -> Any:
        counts.fetched += self.nbytes
        counts.fetches += 1
        counts.waits += blocking
        if out is not None:
            out[...] = self._a
            return out
        return self._a.copy(order)

    def set(self, array: Any, stream: Any = None) -> None:
        assert isinstance(array, np.ndarray) and array.shape == self.shape
        counts.sent += self.nbytes
        self._a[...] = array

    def item(self, *index: Any) -> Any:
        return (self[index] if index else self).get().item()

    def tolist(self) -> Any:
        return self.get().tolist()

    def tobytes(self, order: str = "C") -> bytes:
        return self.get().tobytes(order)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct "
            "a NumPy array explicitly."
        )

    def __bool__(self) -> bool:
        if self.size > 1:
            raise ValueError("The truth value of an array with more than one element is ambiguous.")
        return bool(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __float__(self) -> float:
        return float(self.get())

    def __complex__(self) -> complex:
        return complex(self.get())

    def __repr__(self) -> str:
        return repr(self.get())

    def __len__(self) -> int:
        return len(self._a)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __copy__(self) -> Any:
        return self._of(self._a.copy(), None)

    def __deepcopy__(self, memo: Any) -> Any:
        return self._of(self._a.copy(), None)

    __hash__ = None  # type: ignore[assignment]

    # -- parts -------------------------------------------------------------------------------

    def _index(self, index: Any) -> Any:
        parts = index if isinstance(index, tuple) else (index,)
        found = []
        for part in parts:
            if isinstance(part, ndarray):
                counts.waits += part.dtype == bool
                part = part._a
            elif isinstance(part, np.ndarray):
                counts.sent += part.nbytes
            found.append(part)
        basic = all(p is None or p is Ellipsis or isinstance(p, (int, slice, np.integer))
                    for p in found)  # fmt: skip
        if basic and not any(p is Ellipsis for p in found):
            found.append(Ellipsis)
        if sum(isinstance(p, np.ndarray) and p.dtype == bool for p in found) > 1:
            raise ValueError("more than one mask")  # CuPy knows one only
        return tuple(found)

    def __getitem__(self, index: Any) -> Any:
        found = self._a[self._index(index)]
        return self._of(np.asarray(found), self)

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(value, ndarray):
            thirteen.real_parts(value.dtype, self.dtype)
            value = value._a
        elif isinstance(value, np.ndarray) and value.ndim:
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        elif not isinstance(value, (*_SCALARS, np.ndarray)):
            raise TypeError(f"Unsupported type {type(value)}")
        self._a[self._index(index)] = value
        counts.launches += 1

    def fill(self, value: Any) -> None:
        self[...] = value

    # -- what numpy's functions find ----------------------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if "out" in options:
            if len(options["out"]) != 1:
                raise ValueError("The 'out' parameter must have exactly one array value")
            options["out"] = options["out"][0]
        name = ufunc.__name__
        found = globals()["__getattr__"](name, None)
        if found is None:
            return NotImplemented
        if method != "__call__":
            found = getattr(found, method, None)
            if found is None:
                return NotImplemented
        if name in ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal"):
            inputs = tuple([x.item() if isinstance(x, np.ndarray) and x.ndim == 0 else x
                            for x in inputs])  # fmt: skip
        return found(*inputs, **options)

    def __array_function__(self, func: Any, types: Any, args: Any, options: Any) -> Any:
        path = [p for p in func.__module__.split(".")[1:] if not p.startswith("_")]
        try:
            module = functools.reduce(getattr, path, _this)
            found = getattr(module, func.__name__)
        except AttributeError:
            return NotImplemented
        if not all(issubclass(t, (ndarray, np.ndarray)) for t in types):
            return NotImplemented
        return found(*args, **options)


def _bytes_of(root: Any) -> Any:
    return memoryview(np.lib.stride_tricks.as_strided(
        root.view(np.uint8) if root.flags.c_contiguous and root.ndim
        else root.reshape(-1, order="A").view(np.uint8),
        (root.nbytes,), (1,),
    ))  # fmt: skip


def _plain(value: Any, numpy_too: bool = False) -> Any:
    """Arguments as NumPy knows them; a NumPy array among them is refused."""
    if isinstance(value, ndarray):
        return value._a
    if isinstance(value, np.ndarray):
        if not numpy_too:
            raise TypeError(f"Unsupported type {type(value)}")
        return value
    if isinstance(value, (list, tuple)):
        return type(value)([_plain(v, numpy_too) for v in value])
    return value


def _first(values: Any) -> Any:
    for v in values:
        if isinstance(v, ndarray):
            return v
        if isinstance(v, (list, tuple)) and (found := _first(v)) is not None:
            return found
    return None


def _wrapped(found: Any, given: Any = ()) -> Any:
    if isinstance(found, np.ndarray):
        there = 0 not in found.strides and _root(found).flags.writeable
        if there and not found.flags.writeable:
            found.flags.writeable = True  # nothing is read-only there
        for v in given:
            if isinstance(v, ndarray) and v._a is found:
                return v
        return ndarray._of(found, _first(given))
    if isinstance(found, np.generic):
        return ndarray._of(np.asarray(found), _first(given))
    if isinstance(found, tuple) and hasattr(found, "_fields"):
        return type(found)(*[_wrapped(f, given) for f in found])
    if isinstance(found, (list, tuple)):
        return type(found)([_wrapped(f, given) for f in found])
    return found


# Types of atomics, by ufunc: CuPy 14.2's; 13 has none of int64.
_ATOMICS = {"add": "ilqefdILQ", "subtract": "iI", "maximum": "ilqfdILQ", "minimum": "ilqfdILQ"}
if thirteen.OLD:
    _ATOMICS = {name: known.replace("lq", "") for name, known in _ATOMICS.items()}


def _computed(name: str, call: Any, args: Any, plain: Any, options: Any) -> Any:
    """By NumPy's loop, or CuPy 13's."""
    if name in thirteen.LOOPS and all(a is not None for a in args):
        there = [isinstance(a, ndarray) for a in args]
        return thirteen.computed(name, call, plain, there, options)
    return call(*plain, **options)


class ufunc:
    def __init__(self, name: str) -> None:
        self.name, self._call = name, getattr(np, name)

    def __call__(self, *args: Any, **options: Any) -> Any:
        if extra := set(options) - _KWARGS:
            raise TypeError(f"Wrong arguments {extra}")
        for a in args:
            if not isinstance(a, (ndarray, *_SCALARS)):
                raise TypeError(f"Unsupported type {type(a)}")
        with np.errstate(all="ignore"):
            plain = {k: _plain(v) for k, v in options.items()}
            found = _computed(self.name, self._call, args, [*map(_plain, args)], plain)
        counts.launches += 1
        return _wrapped(found, (*args, options.get("out")))

    def at(self, a: Any, indices: Any, b: Any = None) -> None:
        if self.name not in ("add", "subtract", "maximum", "minimum", "bitwise_and", "bitwise_or",
                             "bitwise_xor"):  # fmt: skip
            raise NotImplementedError(f"`cupy_{self.name}.at` is not supported yet")
        known = _ATOMICS.get(self.name, "ilIL")
        if a.dtype.char not in known:
            raise TypeError(f"cupy.{self.name}.at only supports {known} as data type")
        counts.launches += 1
        self._call.at(a._a, _plain(indices, True), _plain(b))

    def outer(self, a: Any, b: Any, **options: Any) -> Any:
        return _wrapped(self._call.outer(_plain(a), _plain(b), **options), (a, b))

    def _reduction(name: str, known: tuple[str, ...]) -> Any:  # type: ignore[misc]
        def call(self: Any, array: Any, *args: Any, **options: Any) -> Any:
            if self.name not in known:
                raise NotImplementedError(f"`cupy_{self.name}.{name}` is not supported yet")
            assert isinstance(array, ndarray)
            found = getattr(self._call, name)(array._a, *_plain(args, True), **options)
            counts.launches += 1
            return _wrapped(found, (array,))

        return call

    reduce = _reduction("reduce", ("add", "multiply"))
    accumulate = _reduction("accumulate", ("add", "multiply"))
    reduceat = _reduction("reduceat", ("add",))


def _sortable(name: str, args: Any) -> None:
    """Thrust sorts NumPy's own types: neither bfloat16 nor eight bits."""
    if name in _SORTS and args and getattr(getattr(args[0], "dtype", None), "kind", "") == "V":
        raise ValueError(f"Unsupported dtype ({args[0].dtype})")


def _looped(kind: str, name: str, found: Any) -> Any:
    """A result in the type of CuPy's loop, which it has not for all halves."""
    half = getattr(getattr(found, "dtype", None), "itemsize", 0) == 2 and found.dtype.kind in "fV"
    if half and kind == "special":
        return found.astype(np.float64 if found.dtype == np.float16 else np.float32)
    if half and name in ("where", "clip") and found.dtype.kind == "V":
        return found.astype(np.float32)
    return found


def _factored(call: Any, args: Any, options: Any) -> Any:
    """By `cupy.linalg`: errors are numbers on the device, which one has to ask for to be told."""
    counts.waits += linalg.raising
    if any(getattr(a, "dtype", None) == np.float16 for a in args):
        raise TypeError("float16 is unsupported in linalg")
    if call is np.linalg.solve and args[1].shape[: args[0].ndim - 1] != args[0].shape[:-1]:
        raise ValueError("a must have (..., M, M) shape and b must have (..., M, K)")
    try:
        return call(*args, **options)
    except np.linalg.LinAlgError:
        if linalg.raising or call is np.linalg.lstsq:
            raise
        return np.full_like(args[0], np.nan)


def _function(name: str, module: Any, kind: str = "functions") -> Any:
    call = getattr(module, name)

    def function(*args: Any, **options: Any) -> Any:
        _fits(kind, name, args, options)
        _sortable(name, args)
        numpy_too = name in _TAKES_NUMPY
        if name in _WAITS:
            counts.waits += 1
        if numpy_too and args and isinstance(args[0], np.ndarray):
            counts.sent += args[0].nbytes
            if name in ("array", "asarray"):
                options.setdefault("copy", True)
                one = args[0].flags
                options.setdefault("order", "F" if one.fnc else "C")  # no others, as in CuPy
        plain = _plain(args, numpy_too)
        with np.errstate(all="ignore"):
            given = {k: _plain(v) for k, v in options.items() if k != "blocking"}
            if kind == "linalg":
                found = _factored(call, plain, given)
            else:
                found = _computed(name, call, args, plain, given)
        if name in _HOST:
            return found
        counts.made(name, found, (*args, *options.values()))
        return _wrapped(_looped(kind, name, found), (*args, *options.values()))

    function.__name__ = name
    return function


class _Module:
    def __init__(self, kind: str, module: Any, **more: Any) -> None:
        self._kind, self._numpy = kind, module
        self.__dict__.update(more)

    def __getattr__(self, name: str) -> Any:
        if name in _NAMES[self._kind]:
            found = getattr(self._numpy, name)
            made = found if isinstance(found, type) else _function(name, self._numpy, self._kind)
            self.__dict__[name] = made
            return made
        raise AttributeError(f"module 'cupy.{self._kind}' has no attribute {name!r}")


_made: dict[str, Any] = {}


def __getattr__(name: str, *default: Any) -> Any:
    found = _made.get(name)
    if found is None:
        if name in _NAMES["ufuncs"]:
            found = ufunc(name)
        elif name in _NAMES["functions"]:
            found = _function(name, np)
        elif isinstance(getattr(np, name, None), (type, float)) or name == "newaxis":
            return getattr(np, name)
        elif default:
            return default[0]
        else:
            raise AttributeError(f"module 'cupy' has no attribute {name!r}")
        _made[name] = found
    return found


def asnumpy(a: Any, *args: Any, **options: Any) -> Any:
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


def get_array_module(*args: Any) -> Any:
    return _this if any(isinstance(a, ndarray) for a in args) else np


def _method(name: str) -> Any:
    def call(self: Any, *args: Any, **options: Any) -> Any:
        _fits("methods", name, args, options)
        _sortable(name, (self,))
        if name == "astype":
            thirteen.real_parts(self.dtype, args[0] if args else options["dtype"])
        with np.errstate(all="ignore"):
            plain = {k: _plain(v) for k, v in options.items()}
            given = _plain(args, name == "take")
            if name == "clip":
                found = _computed(name, np.clip, (self, *args), (self._a, *given), plain)
            else:
                found = getattr(self._a, name)(*given, **plain)
        counts.made(name, found, (self,))
        return None if found is None else _wrapped(_looped("methods", name, found), (self,))

    return call


for _name in _NAMES["methods"] - {"item", "tolist", "tobytes", "fill"}:
    setattr(ndarray, _name, _method(_name))


def _operator(name: str, call: Any, turned: bool) -> Any:
    def operate(self: Any, other: Any) -> Any:
        if not isinstance(other, (ndarray, np.ndarray, *_SCALARS)):
            return NotImplemented
        return call(other, self) if turned else call(self, other)

    return operate


for _name, _call in {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide,
    "floordiv": np.floor_divide, "mod": np.remainder, "pow": np.power, "matmul": np.matmul,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "lshift": np.left_shift,
    "rshift": np.right_shift, "divmod": np.divmod,
}.items():  # fmt: skip
    setattr(ndarray, f"__{_name}__", _operator(_name, _call, False))
    setattr(ndarray, f"__r{_name}__", _operator(_name, _call, True))

    def _in_place(self: Any, other: Any, call: Any = _call) -> Any:
        return call(self, other, out=self)

    if _name not in ("matmul", "divmod"):
        setattr(ndarray, f"__i{_name}__", _in_place)
for _name, _call in {
    "lt": np.less, "le": np.less_equal, "eq": np.equal, "ne": np.not_equal, "gt": np.greater,
    "ge": np.greater_equal,
}.items():  # fmt: skip
    setattr(ndarray, f"__{_name}__", _operator(_name, _call, False))
for _name, _call in {"neg": np.negative, "pos": np.positive, "abs": np.absolute,
                     "invert": np.invert}.items():  # fmt: skip
    setattr(ndarray, f"__{_name}__", lambda self, call=_call: call(self))

import sys  # noqa: E402

from cupy import cuda  # noqa: E402
from cupy.cuda import _current  # noqa: E402
from cupy.raw import RawModule  # noqa: E402, F401

_this = sys.modules[__name__]
linalg = _Module("linalg", np.linalg, raising=False)
fft = _Module("fft", np.fft)


def get_default_memory_pool() -> Any:
    return cuda.memory.pool
