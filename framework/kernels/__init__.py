"""Kernels: what computes on raw arrays, NumPy's and CuPy's alike."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.device import CPU, device, is_fake_cuda
from framework.kernels.errors import LinAlgError, NoMemory, OutOfMemoryError, SparseOperand
from framework.kernels.pool import claim, no_memory

__all__ = [
    "LinAlgError", "NoMemory", "OutOfMemoryError", "SparseOperand", "module_of", "to_device",
    "to_host",
]  # fmt: skip


def module_of(array: Any) -> Any:
    """The array module that an array belongs to: `numpy` or `cupy`."""
    if isinstance(array, (np.ndarray, np.generic)):
        return np
    if hasattr(array, "sparse_dim"):
        return module_of(array.values)
    import cupy

    return cupy


def to_device(array: Any, target: device) -> Any:
    """Copy an array to a device (the fake ``cuda`` is host memory)."""
    if target is CPU:
        return to_host(array)
    try:
        if is_fake_cuda():
            return claim(array.copy(), target)
        import cupy

        with cupy.cuda.Device(target.index):
            return cupy.asarray(array)
    except MemoryError as error:
        raise no_memory(f"copy of {list(array.shape)}", error, target) from None


def to_host(array: Any) -> np.ndarray:
    """A NumPy array with the same contents (a copy)."""
    return array.copy() if isinstance(array, np.ndarray) else array.get()
