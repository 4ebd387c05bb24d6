"""`accelerator`: what `cuda` answers, under names that are the same for all kinds of devices.

The examples are those of ``TAPEBOOK_FAKE_CUDA=2``, see `cuda`.

>>> import framework as torch
>>> device = torch.accelerator.current_accelerator() or torch.device("cpu")
"""

from __future__ import annotations

from typing import Any

from framework import cuda
from framework.cuda.memory import (
    empty_cache,
    max_memory_allocated,
    max_memory_reserved,
    memory_allocated,
    memory_reserved,
    memory_stats,
    reset_accumulated_memory_stats,
    reset_peak_memory_stats,
)
from framework.cuda.memory import mem_get_info as get_memory_info
from framework.cuda.streams import current_stream, set_stream
from framework.device import device

__all__ = [
    "current_accelerator", "current_device_idx", "current_device_index", "current_stream",
    "device_count", "device_index", "empty_cache", "empty_host_cache",
    "get_device_capability", "get_memory_info",
    "is_available", "max_memory_allocated", "max_memory_reserved", "memory_allocated",
    "memory_reserved", "memory_stats", "reset_accumulated_memory_stats",
    "reset_peak_memory_stats", "set_device_idx", "set_device_index", "set_stream", "synchronize",
]  # fmt: skip

is_available = cuda.is_available
device_count = cuda.device_count
current_device_idx = current_device_index = cuda.current_device
set_device_idx = set_device_index = cuda.set_device
device_index = cuda.device
synchronize = cuda.synchronize


def empty_host_cache() -> None:
    """Accepted: pinned memory is ordinary memory here, and none is kept.

    >>> import framework as torch
    >>> torch.accelerator.empty_host_cache()
    """


def current_accelerator(check_available: bool = False) -> device | None:
    """``device("cuda")`` if there is one, else None.

    It never raises.

    >>> import framework as torch
    >>> torch.accelerator.current_accelerator() or torch.device("cpu")
    device(type='cuda')
    """
    return device("cuda") if is_available() else None


def get_device_capability(device: Any = None) -> dict[str, Any]:
    """The dtypes that the device computes with: all that there are.

    AssertionError without a CUDA device.

    >>> import framework as torch
    >>> torch.bfloat16 in torch.accelerator.get_device_capability()["supported_dtypes"]
    True
    """
    from framework.dtypes import ALL

    cuda.devices.need()
    return {"supported_dtypes": set(ALL)}
