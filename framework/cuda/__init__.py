"""`cuda`: devices, streams, memory and random numbers, through CuPy.

With ``TAPEBOOK_FAKE_CUDA=1`` (or a number of devices) in the environment everything works without
a GPU, on NumPy. The examples here are those of ``TAPEBOOK_FAKE_CUDA=2``. Without a device those
that ask for one raise AssertionError.
"""

from __future__ import annotations

from typing import Any

from framework.cuda import graphs, memory, nvtx, profiler, random, streams
from framework.cuda.devices import (
    can_device_access_peer,
    current_device,
    device,
    device_of,
    get_arch_list,
    get_device_capability,
    get_device_name,
    get_device_properties,
    get_gencode_flags,
    init,
    is_available,
    is_bf16_supported,
    is_initialized,
    is_tf32_supported,
    need,
    set_device,
    synchronize,
)
from framework.cuda.errors import AcceleratorError, CudaError, DeferredCudaCallError
from framework.device import device_count
from framework.legacy import CUDA_TYPES as _CUDA_TYPES
from framework.random import of_device as _of_device

__all__ = [
    "AcceleratorError", "CudaError", "DeferredCudaCallError",
    "can_device_access_peer", "current_device", "default_generators", "device", "device_count",
    "device_of", "get_arch_list", "get_device_capability", "get_device_name",
    "get_device_properties", "get_gencode_flags", "get_sync_debug_mode", "init", "is_available",
    "is_bf16_supported", "is_initialized", "is_tf32_supported", "nvtx", "profiler", "set_device",
    "set_sync_debug_mode", "synchronize",
]  # fmt: skip

globals().update(_CUDA_TYPES)  # FloatTensor and its like
for _module in (graphs, memory, random, streams):
    globals().update({_name: getattr(_module, _name) for _name in _module.__all__})
    __all__ += _module.__all__

has_half = True
has_magma = False


def get_sync_debug_mode() -> int:
    """0: what waits for the device is not warned of. AssertionError without a CUDA device.

    >>> import framework as torch
    >>> torch.cuda.get_sync_debug_mode()
    0
    """
    need()
    return 0


def set_sync_debug_mode(debug_mode: int | str) -> None:
    """Accepted; nothing is warned of. AssertionError without a CUDA device.

    >>> import framework as torch
    >>> torch.cuda.set_sync_debug_mode("warn")
    >>> torch.cuda.get_sync_debug_mode()
    0
    """
    need()


def __getattr__(name: str) -> Any:
    if name == "default_generators":
        return tuple(map(_of_device, range(device_count())))
    raise AttributeError(f"module 'framework.cuda' has no attribute {name!r}")
