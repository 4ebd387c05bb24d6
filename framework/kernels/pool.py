"""What is known of a cuda device's memory, and the error when it does not suffice.

CuPy's pool knows what it holds (`allocations` counts). The fake device's arrays are counted while
its memory is limited: by ``TAPEBOOK_FAKE_CUDA_MEMORY`` (bytes) in the environment, or
`set_per_process_memory_fraction`.
"""

from __future__ import annotations

import os
import weakref
from typing import Any

import numpy as np

from framework.device import CPU, device, is_fake_cuda
from framework.kernels import allocations
from framework.kernels.errors import NoMemory, OutOfMemoryError

__all__ = ["claim", "held", "limit", "limited", "no_memory", "physical"]

_limits: dict[int, int] = {}  # of the fake devices, in bytes
_held: dict[int, int] = {}
_known: dict[int, int] = {}  # id of an array that owns memory -> its device


def physical() -> int | None:
    """The fake device's size, if the environment says one."""
    text = os.environ.get("TAPEBOOK_FAKE_CUDA_MEMORY", "")
    return int(text) if text.isdigit() else None


def limit(index: int, size: int | None) -> None:
    """Let the arrays of a fake device have at most ``size`` bytes; None: any."""
    if size is None:
        _limits.pop(index, None)
    else:
        _limits[index] = size


def limited(index: int) -> int | None:
    """The limit of a fake device, None if it has none."""
    return _limits.get(index, physical())


def held(index: int) -> int:
    """Bytes that counted arrays of a fake device have."""
    return _held.get(index, 0)


def claim(result: Any, target: device) -> Any:
    """Count arrays that were made on a fake device; returns them.

    Raises:
        MemoryError: they do not fit into its limit; CuPy's words.
    """
    most = limited(target.index or 0) if is_fake_cuda() else None
    if most is not None:
        for array in result if isinstance(result, tuple) else (result,):
            if isinstance(array, np.ndarray):
                _count(array, target.index or 0, most)
    return result


def _count(array: np.ndarray, index: int, most: int) -> None:
    while isinstance(array.base, np.ndarray):
        array = array.base
    if id(array) in _known:
        return
    if held(index) + array.nbytes > most:
        allocations.counts(index).failures += 1
        raise MemoryError(
            f"Out of memory allocating {array.nbytes:,} bytes (allocated so far: {held(index):,} "
            f"bytes, limit set to: {most:,} bytes)."
        )
    _held[index] = held(index) + array.nbytes
    counted = allocations.counts(index)
    counted.most = counted.taken = max(counted.most, _held[index])
    counted.calls += 1
    counted.allocated += array.nbytes
    _known[id(array)] = index
    weakref.finalize(array, _free, id(array), array.nbytes)


def _free(key: int, size: int) -> None:
    _held[_known.pop(key)] -= size


def no_memory(what: str, error: MemoryError, where: Any, tail: str = "") -> Exception:
    """The error for an allocation by ``what`` that failed on a device, the host's for None."""
    if where is None or where is CPU:
        return NoMemory(f"{what}: {error}{tail}")
    words = f"CUDA out of memory on {where}. {_words(error)} {_pool(where)}"
    return OutOfMemoryError(f"{what}: {words}{tail}")


def _words(error: MemoryError) -> str:
    text = str(error).strip() or "The allocation failed."
    return text if text.endswith(".") else f"{text}."


def _pool(where: device) -> str:
    if is_fake_cuda():
        return f"Arrays hold {_size(held(where.index or 0))}."
    import cupy

    with cupy.cuda.Device(where.index):
        pool = allocations.pool()
        free, total = cupy.cuda.Device(where.index).mem_info
        return (
            f"The pool holds {_size(pool.total_bytes())}, of which {_size(pool.used_bytes())} are "
            f"in use; the device has {_size(free)} of {_size(total)} left. What is unused is given "
            "back by torch.cuda.empty_cache()."
        )


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count:,} bytes"
