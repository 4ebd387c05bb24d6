"""Kernels: what computes on raw arrays, NumPy's and CuPy's alike."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.device import CPU, device, is_fake_cuda

__all__ = [
    "LinAlgError", "NoMemory", "OutOfMemoryError", "SparseOperand", "module_of", "to_device",
    "to_host",
]  # fmt: skip


class SparseOperand(NotImplementedError):
    """A kernel was given a sparse array that it cannot work on."""


class LinAlgError(RuntimeError):
    """A decomposition that does not exist, such as the inverse of a singular matrix.

    A RuntimeError; its message says which matrix of a batch, and where.

    >>> import framework as torch
    >>> try:
    ...     torch.linalg.inv(torch.zeros(2, 2))
    ... except torch.linalg.LinAlgError:
    ...     print("singular")
    singular
    """


class NoMemory(RuntimeError, MemoryError):
    """The host has not enough memory left: an error of PyTorch's kind, and of Python's."""


class OutOfMemoryError(RuntimeError):
    """A device has not enough memory left; raised by the op that asked for it. A RuntimeError.

    >>> import framework as torch
    >>> issubclass(torch.cuda.OutOfMemoryError, RuntimeError)
    True
    """


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
    if is_fake_cuda():
        return array.copy()
    import cupy

    with cupy.cuda.Device(target.index):
        return cupy.asarray(array)


def to_host(array: Any) -> np.ndarray:
    """A NumPy array with the same contents (a copy)."""
    return array.copy() if isinstance(array, np.ndarray) else array.get()
