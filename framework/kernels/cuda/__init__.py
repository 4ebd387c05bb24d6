"""Kernels of our own for CUDA devices: CUDA C in one ``.cu`` per family, launched from beside it.

An op finds its kernel in `table.KERNELS` when it first runs on a CUDA device. Nothing is imported
before, and a family is compiled by CuPy (`RawModule`) when one of its kernels is first launched,
for the device's own capability; CuPy keeps what it compiled on disk. Arrays that a kernel is not
for (other types, empty ones) go to the op's plain kernel, CuPy's or, on the fake device, NumPy's.

Without a GPU the same launches run on the host (`use`): ``tests/framework/cuda`` compiles the
files as C++.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from framework.device import is_fake_cuda
from framework.dtypes import bfloat16
from framework.kernels import is_cupys, module_of
from framework.kernels.cuda.table import FAMILIES, HEADERS, KERNELS, LIBRARIES, ON_HOST

__all__ = [
    "FAMILIES", "KERNELS", "TYPES", "blocks_for", "empty", "empty_like", "flat", "has_tensor_cores",
    "in_one_line", "kernel_named", "kernel_of", "launch", "on_device", "ready", "source",
    "threads_for", "use",
]  # fmt: skip

# What entries are called by, of the types that there are entries for.
TYPES = {
    np.dtype(np.float16): "f16", bfloat16.numpy: "bf16",
    np.dtype(np.float32): "f32", np.dtype(np.float64): "f64",
}  # fmt: skip

_OF = {name: dtype for dtype, name in TYPES.items()}

Runner = Callable[[str, str, int, int, tuple[Any, ...]], None]

deterministic = False  # whether sums must not depend on the order of atomics: `flags` sets it
_runner: Runner | None = None  # instead of CuPy
_modules: dict[tuple[str, str, int], Any] = {}  # CuPy's, by family, type and device
_capable: dict[int, bool] = {}  # which devices have tensor cores of 8.0 or later
_functions: dict[tuple[str, str, Any, int], Any] = {}  # by family, entry, type and device
_cupy: Any = None  # the module, from the first launch on
_NOTHING = np.uint64(0)  # a null pointer: None is one for CuPy from 14 on only


def kernel_of(op: Any) -> Callable[..., Any]:
    """What runs an op on a CUDA device: its own kernel where there is one that fits, or its plain.

    Own kernels return None for arrays that they are not for.
    """
    found = op.cuda
    if found is None:
        found = op.cuda = _chosen(op.name, op.kernel)
    return found


def _on_host(plain: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel of NumPy's for arrays of a device: there and back again."""

    @functools.wraps(plain)
    def kernel(*arrays: Any, **meta: Any) -> Any:
        like = next((a for a in arrays if is_cupys(a)), None)
        if like is None:
            return plain(*arrays, **meta)
        found = plain(*[a.get() if is_cupys(a) else a for a in arrays], **meta)
        with like.device:
            put = module_of(like).asarray
            return tuple(map(put, found)) if isinstance(found, tuple) else put(found)

    return kernel


def _chosen(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
    if isinstance(plain, np.ufunc) and not is_fake_cuda():
        plain = _cupys(plain)
    plain = _on_host(plain) if name in ON_HOST else plain
    own = kernel_named(name)
    if own is None:
        return plain
    run = own

    @functools.wraps(plain)
    def kernel(*arrays: Any, **meta: Any) -> Any:
        found = run(*arrays, **meta)
        return plain(*arrays, **meta) if found is None else found

    return kernel


def _cupys(plain: Any) -> Callable[..., Any]:
    """CuPy's own of one of NumPy's functions, which would take over a microsecond to ask for it."""
    import cupy

    there: Any = getattr(cupy, plain.__name__)
    if plain.__name__.startswith("logical_"):
        there = _of_truths(there)
    array = cupy.ndarray

    def kernel(a: Any, *more: Any) -> Any:
        if a.__class__ is array:
            for b in more:
                if b.__class__ is not array and not isinstance(b, np.generic):
                    return plain(a, *more)
            return there(a, *more)
        if more and isinstance(a, np.generic) and more[0].__class__ is array:
            return there(a, *more)
        return plain(a, *more)  # sparse ones

    return kernel


def _of_truths(call: Any) -> Callable[..., Any]:
    """CuPy's logic knows no complex numbers: which of them are not zero."""

    def kernel(*given: Any) -> Any:
        return call(*[a != 0 if a.dtype.kind == "c" else a for a in given])

    return kernel


def kernel_named(name: str) -> Callable[..., Any] | None:
    """The function that runs an op on a device: a kernel of our own, CuPy's libraries, or None.

    It returns None itself for arrays that it is not for.
    """
    family = LIBRARIES.get(name) or KERNELS.get(name)
    if family is None:
        return None
    found: Callable[..., Any] = getattr(importlib.import_module(f"{__name__}.{family}"), name)
    return found


def use(runner: Runner | None) -> Runner | None:
    """Let ``runner(family, entry, blocks, threads, arguments)`` launch; returns who did before.

    It runs kernels on NumPy arrays then, of tensors on the fake device. None: CuPy launches.
    """
    global _runner
    before, _runner = _runner, runner
    return before


def ready(*arrays: Any) -> bool:
    """Whether kernels can run on arrays: of one type that they know, on a device, not empty."""
    first = arrays[0]
    kind = first.__class__
    if kind is np.ndarray:
        if _runner is None:
            return False
    elif kind.__module__ != "cupy":
        return False  # of the meta device, or sparse
    dtype = first.dtype
    if dtype not in TYPES:
        return False
    for a in arrays:  # noqa: SIM110 - a generator takes half a microsecond
        if a.dtype != dtype or not a.size:
            return False
    return True


def in_one_line(array: Any) -> bool:
    """Whether an array's elements lie in C order without gaps."""
    try:  # CuPy's own note of it: `flags` is an object that is made for the question
        return bool(array._c_contiguous)
    except AttributeError:
        return bool(array.flags.c_contiguous)


def has_tensor_cores(array: Any) -> bool:
    """Whether a ready array's device has those that `tensor_cores.cuh` uses: from 8.0 on.

    On the host the runner's ``tensor_cores`` says whether it behaves like such a device.
    """
    if array.__class__ is np.ndarray:
        return getattr(_runner, "tensor_cores", True)
    place = array.data.device_id
    found = _capable.get(place)
    if found is None:
        found = _capable[place] = int(array.device.compute_capability) >= 80
    return found


def flat(array: Any) -> Any:
    """The array as a contiguous one, itself if it is one."""
    return array if in_one_line(array) else array.copy(order="C")


def empty(like: Any, shape: Any, dtype: Any = None) -> Any:
    """A new array beside another one, of its type unless told otherwise."""
    dtype = like.dtype if dtype is None else dtype
    if like.__class__ is np.ndarray:
        return np.empty(shape, dtype)
    cupy = _cupy or _found()
    if like.data.device_id == cupy.cuda.get_device_id():
        return cupy.ndarray(shape, dtype)
    with like.device:
        return cupy.ndarray(shape, dtype)


def _found() -> Any:
    global _cupy
    import cupy

    _cupy = cupy
    return cupy


def empty_like(like: Any) -> Any:
    """A new contiguous array of the same shape and type."""
    return empty(like, like.shape)


def threads_for(width: int, size: int, lines: int = 1) -> int:
    """Threads for a line of ``width`` elements of ``size`` bytes: whole warps, at most a block.

    Each keeps 16 elements (8 of float64) in registers, of ``lines`` at once so many all in all. The
    shortest lines are one warp's, 32.
    """
    each = (8 if size == 8 else 16) // lines
    return min(1024, -(-width // (32 * each)) * 32)


def blocks_for(count: int, threads: int = 256) -> int:
    """Blocks for ``count`` elements that threads take in turn: enough to fill a large device."""
    return max(1, min(-(-count // threads), 1 << 12))


def launch(family: str, entry: str, blocks: int, threads: int, *arguments: Any) -> None:
    """Run an entry. Arguments are arrays (None: no array), ints and floats, in the entry's order.

    The type in the entry's name is that of the first array.
    """
    first = arguments[0]
    if first.__class__.__module__ != "cupy" or _runner is not None:
        first = next(a for a in arguments if hasattr(a, "dtype"))
        kind = TYPES[first.dtype]
        (_runner or on_device)(family, f"{entry}_{kind}", blocks, threads, arguments)
        return
    place = first.data.device_id
    function = _functions.get((family, entry, first.dtype, place))
    if function is None or place != (_cupy or _found()).cuda.get_device_id():
        on_device(family, f"{entry}_{TYPES[first.dtype]}", blocks, threads, arguments)
    else:
        function((blocks,), (threads,), [_NOTHING if a is None else a for a in arguments])


def on_device(
    family: str, entry: str, blocks: int, threads: int, arguments: tuple[Any, ...]
) -> None:
    """Launch an entry through CuPy, on the device of the first array and its current stream.

    CuPy makes eight bytes of an int and of a float, and takes an array's address, as all entries
    expect; a bool would be one byte.
    """
    first = next(a for a in arguments if hasattr(a, "device"))
    name, _, kind = entry.rpartition("_")
    with first.device as place:
        key = family, name, _OF[kind], place.id
        function = _functions.get(key)
        if function is None:
            found = _module(family, kind, place.id).get_function(entry)
            # What it is on this device: a `RawKernel` looks for that in each call.
            function = _functions[key] = getattr(found, "kernel", found)
        function((blocks,), (threads,), [_NOTHING if a is None else a for a in arguments])


def _module(family: str, kind: str, device: int) -> Any:
    """A family compiled for one type, which takes a second or so when nobody did it before."""
    module = _modules.get((family, kind, device))
    if module is None:
        import cupy

        options = ("-std=c++17", f"-DKINDS={1 << list(TYPES.values()).index(kind)}")
        module = cupy.RawModule(code=source(family), options=options)
        _modules[family, kind, device] = module
    return module


def source(family: str) -> str:
    """The whole text of a family, without includes."""
    here = Path(__file__).parent
    shared = ("common", *HEADERS.get(family, ()))
    names = [*[f"{name}.cuh" for name in shared], f"{family}.cu"]
    return "\n".join(f'#line 1 "{name}"\n{(here / name).read_text()}' for name in names)
