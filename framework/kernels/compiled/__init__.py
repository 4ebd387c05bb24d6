"""Kernels compiled by Numba, where NumPy needs several passes over an array or has no kernel.

They are an extra (``pip install 'tapebook[fast]'``). Nothing is imported or compiled before the
first large array meets a kernel of a family; the machine code is kept on disk for the next process.
Small arrays, other types, other devices and a Numba that is missing or broken mean NumPy: whoever
calls a kernel asks `family` first, and has the plain way beside it.

The kernels release the interpreter's lock. `in_parts` runs one over ranges of its rows in several
threads; what a range gives depends neither on the others nor on the number of threads, so results
are the same with one thread as with many.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import importlib
import os
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from framework import processors

__all__ = [
    "FAMILIES", "LARGE", "THREAD_NAMES", "adding", "backward", "drawing", "family", "forward",
    "in_parts", "is_plain", "is_plain_or_wide", "set_threads", "threads", "updates", "use",
]  # fmt: skip

FAMILIES = (
    "elementary", "arithmetic", "attention", "bags", "channels", "columns", "crew", "depthwise",
    "distances", "doubles", "exponential", "figures", "firsts", "gammas", "gates", "glu",
    "grids", "halves", "heads", "lines", "normals", "optimizers", "orders", "philox",
    "pointwise", "pool", "recurrences", "rows", "scans", "scatter", "sequences", "spread",
    "sums", "wholes", "windows", "writes",
)  # fmt: skip
LARGE = 1 << 12  # elements from which on a compiled kernel is asked
THREAD_NAMES = "tapebook-kernels"  # what the names of its threads start with
_SHARED = 1 << 16  # elements of work that are worth another thread's wake-up

_families: dict[str, Any] = {}
_used = os.environ.get("TAPEBOOK_NUMBA", "1") != "0"
_threads = processors.count()
_crew: Any = None
_hiring = threading.Lock()
_closed = False

_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


def is_plain(a: Any) -> bool:
    """Whether the kernels can read an array: float32, of the host, contiguous, and large."""
    return bool(
        a.__class__ is np.ndarray
        and a.size >= LARGE
        and a.dtype is _FLOAT32
        and a.flags.c_contiguous
    )


def is_plain_or_wide(a: Any) -> bool:
    """The same for kernels that take float64, too."""
    return is_plain(a) or bool(
        a.__class__ is np.ndarray
        and a.size >= LARGE
        and a.dtype is _FLOAT64
        and a.flags.c_contiguous
    )


def family(name: str) -> Any:
    """A module of this package by name; None where Numba is missing, broken or not wanted."""
    if name not in _families:
        _families[name] = _load(name)
    return _families[name]


def forward(name: str, a: Any) -> Any:
    """The compiled kernel of an activation function for an array, or None."""
    kernels = _of_type(a)
    return kernels.FORWARD.get(name) if kernels else None


def backward(name: str, g: Any, a: Any) -> Any:
    """That of its gradient, for the gradient that arrives and the input (or the output)."""
    if a.shape != g.shape or a.dtype is not g.dtype or not is_plain_or_wide(g):
        return None
    kernels = _of_type(a)
    return kernels.BACKWARD.get(name) if kernels else None


def _of_type(a: Any) -> Any:
    """The kernels of activation functions for an array, or None."""
    if is_plain(a):
        return family("pointwise")
    return family("doubles") if is_plain_or_wide(a) else None


def updates(param: Any, *others: Any) -> Any:
    """The kernels of optimizers, if they can take these arrays of one parameter, or None.

    They give NumPy's results to the bit, so that small parameters may use them once they are there.
    """
    found = _families.get("optimizers")
    if param.__class__ is not np.ndarray:
        return _on_device(param, others)
    if found is None and param.size < LARGE:
        return None
    dtype = param.dtype
    if dtype is not _FLOAT32 and dtype is not _FLOAT64:
        return None
    for a in (param, *others):
        if a.__class__ is not np.ndarray or a.dtype is not dtype or a.shape != param.shape:
            return None
        if not a.flags.carray:
            return None
    return family("optimizers")


def _on_device(param: Any, others: tuple[Any, ...]) -> Any:
    """CUDA's kernels of the same names for a parameter on a device, which are close to the bit."""
    from framework.kernels import cuda

    if not cuda.ready(param, *others) or param.dtype.itemsize == 2:
        return None
    if any(a.shape != param.shape or not a.flags.c_contiguous for a in (param, *others)):
        return None
    return importlib.import_module("framework.kernels.cuda.optimizers")


def adding(target: Any, values: Any) -> Any:
    """The kernels that add slices up, if they can take these arrays and it pays, or None."""
    if target.__class__ is not np.ndarray or values.__class__ is not np.ndarray:
        return None
    dtype = target.dtype
    if values.size < LARGE or (dtype is not _FLOAT32 and dtype is not _FLOAT64):
        return None
    return family("scatter") if values.dtype is dtype and target.flags.carray else None


def drawing(a: Any) -> Any:
    """The kernels of random numbers, if they can take this array and it pays, or None."""
    if a.__class__ is not np.ndarray or a.size < LARGE or not a.flags.c_contiguous:
        return None
    return family("philox") if a.dtype is _FLOAT32 or a.dtype is _FLOAT64 else None


def use(wanted: bool) -> bool:
    """Whether to use compiled kernels at all; returns what it was."""
    global _used
    before, _used = _used, wanted
    _families.clear()
    return before


def _load(name: str) -> Any:
    if not _used or (name != "elementary" and family("elementary") is None):
        return None
    try:
        module = importlib.import_module(f"{__name__}.{name}")
        if name == "elementary":
            module.prove()
            _keep_memory()
        return module
    except Exception as error:  # Numba raises a great many kinds, at import and when it compiles
        missing = isinstance(error, ModuleNotFoundError) and error.name == "numba"
        reason = (str(error) or type(error).__name__).splitlines()[0][:80]
        what = "not installed" if missing else f"not working ({reason})"
        warnings.warn(
            f"Numba is {what}: large arrays are computed by NumPy, which is slower. "
            + ("pip install 'tapebook[fast]' brings it; " if missing else "")
            + "TAPEBOOK_NUMBA=0 in the environment says that this is wanted.",
            RuntimeWarning,
            stacklevel=2,
        )
        use(False)
        return None


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_KEPT, _APART = 1 << 28, 1 << 26  # bytes


def _keep_memory() -> None:
    """Tell glibc to keep memory that large arrays leave, for the next ones.

    It would give it back, and each page of it be cleared and mapped again: a seventh of the time of
    a convolution network's step. Up to 256 MB are kept, and blocks of 64 MB and more are not.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _APART)
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT)


# -- threads ------------------------------------------------------------------------------------


def set_threads(count: int) -> None:
    """How many threads `in_parts` may use."""
    global _threads
    if count != _threads:
        _dismiss()
    _threads = count


def threads() -> int:
    """How many it may use."""
    return _threads


def in_parts(call: Callable[..., None], count: int, work: int, *args: Any) -> None:
    """``call(*args, start, stop)`` for all of range(count), in threads where that pays.

    While another thread of the program has the crew, or none can be had, it is done here.

    Args:
        call: a compiled kernel; what it does for a range must not depend on other ranges.
        work: elements in all.
    """
    parts = min(_threads, count, work // _SHARED)
    if parts > 1:
        crew = _crew or _hired()
        bounds = [count * i // parts for i in range(parts + 1)]
        if crew is not None and crew.run(call, args, bounds):
            return
    call(*args, 0, count)


def _hired() -> Any:
    global _crew
    made = family("crew")
    with _hiring:
        if _crew is None and made is not None and not _closed:
            with contextlib.suppress(RuntimeError):  # the interpreter is about to exit
                _crew = made.Crew(_threads - 1, THREAD_NAMES)
        return _crew


def _dismiss() -> None:
    global _crew
    with _hiring:
        crew, _crew = _crew, None
    if crew is not None:
        crew.stop()


def _close() -> None:
    """Threads in compiled code must not outlive it."""
    global _closed
    _closed = True
    _dismiss()


def _forget_threads() -> None:
    """A forked process has none of its parent's threads."""
    global _crew, _hiring
    _crew, _hiring = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_threads)
atexit.register(_close)
