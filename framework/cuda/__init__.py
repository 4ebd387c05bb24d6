"""`cuda`: devices, streams, memory and random numbers, through CuPy.

With ``TAPEBOOK_FAKE_CUDA=1`` (or a number of devices) in the environment everything works without
a GPU, on NumPy. The examples here are those of ``TAPEBOOK_FAKE_CUDA=2``. Without a device those
that ask for one raise AssertionError.
"""

from __future__ import annotations

from typing import Any

from framework.cautions import caution_once
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
from framework.kernels import waits
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
    """What `set_sync_debug_mode` set: 0, 1 or 2. AssertionError without a CUDA device.

    >>> import framework as torch
    >>> torch.cuda.get_sync_debug_mode()
    0
    """
    need()
    return waits.mode


def set_sync_debug_mode(debug_mode: int | str) -> None:
    """Say where the program waits for a CUDA device: what keeps the device idle is found so.

    Named are ``item()`` and what asks for a number (``if``, ``float``), ``tolist``, copies between
    host and device that are not ``non_blocking``, tensors made from lists, masks as an index,
    `nonzero` and its like, `unique`, and ``Stream.synchronize``.

    Args:
        debug_mode: "default" or 0: nothing is said. "warn" or 1: a UserWarning each time. "error"
            or 2: a RuntimeError.

    RuntimeError for another mode, AssertionError without a CUDA device.

    >>> import framework as torch, warnings
    >>> x = torch.ones(3, device="cuda")
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")  # that it is a prototype, as in PyTorch
    ...     torch.cuda.set_sync_debug_mode("error")
    >>> x.sum().item()
    Traceback (most recent call last):
        ...
    RuntimeError: called a synchronizing CUDA operation
    >>> torch.cuda.set_sync_debug_mode("default")
    """
    need()
    names = {"default": 0, "warn": 1, "error": 2}
    if isinstance(debug_mode, str):
        if debug_mode not in names:
            raise RuntimeError(
                "invalid value of debug_mode, expected one of `default`, `warn`, `error`"
            )
        debug_mode = names[debug_mode]
    caution_once(
        "Synchronization debug mode is a prototype feature and does not yet detect all "
        "synchronizing operations"
    )
    if not isinstance(debug_mode, int):
        raise RuntimeError("invalid argument to set_sync_debug_mode")
    if debug_mode not in (0, 1, 2):
        raise RuntimeError("invalid value of debug_mode, expected one of 0,1,2")
    waits.mode = int(debug_mode)


def __getattr__(name: str) -> Any:
    if name == "default_generators":
        return tuple(map(_of_device, range(device_count())))
    raise AttributeError(f"module 'framework.cuda' has no attribute {name!r}")
