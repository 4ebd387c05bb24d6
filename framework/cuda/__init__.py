"""`cuda`: what scripts ask about devices before they choose one."""

from __future__ import annotations

from typing import Any

from framework import random as _random
from framework.device import cuda_problem, device, device_count, is_fake_cuda
from framework.legacy import CUDA_TYPES as _CUDA_TYPES

__all__ = [
    "current_device", "device_count", "empty_cache", "get_device_name", "is_available",
    "manual_seed", "manual_seed_all", "synchronize",
]  # fmt: skip

globals().update(_CUDA_TYPES)  # FloatTensor and its like


def is_available() -> bool:
    """Whether there is a CUDA device (or the fake one).

    >>> import framework as torch
    >>> device = "cuda" if torch.cuda.is_available() else "cpu"
    """
    return not cuda_problem()


def current_device() -> int:
    """Index of the device that ``cuda`` means."""
    return 0


def get_device_name(index: Any = 0) -> str:
    """The device's name, as its driver gives it.

    Raises:
        RuntimeError: there is no such device.
    """
    if problem := cuda_problem():
        raise RuntimeError(f"device {device('cuda')}: {problem}")
    if is_fake_cuda():
        return "fake CUDA device (NumPy)"
    import cupy

    number = device(index).index or 0
    return str(cupy.cuda.runtime.getDeviceProperties(number)["name"].decode())


def synchronize(index: Any = None) -> None:
    """Wait until the device has done all its work."""
    if is_available() and not is_fake_cuda():
        import cupy

        cupy.cuda.Device(device(index or 0).index or 0).synchronize()


def empty_cache() -> None:
    """Give unused memory of CuPy's pool back to the device."""
    if is_available() and not is_fake_cuda():
        import cupy

        cupy.get_default_memory_pool().free_all_blocks()


def manual_seed(seed: int) -> None:
    """Seed the generator; one generator serves all devices, so that they draw the same numbers."""
    _random.manual_seed(seed)


def manual_seed_all(seed: int) -> None:
    """As `manual_seed`."""
    _random.manual_seed(seed)
