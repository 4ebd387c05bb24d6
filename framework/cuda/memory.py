"""Memory of CUDA devices: what CuPy's pool has taken and what of it is in use.

The pool keeps no record of peaks: those here are the largest amounts that a call of one of these
functions has seen since the last reset.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NoReturn

from framework.cautions import caution
from framework.cuda.devices import get_device_properties, index_of, is_available, need, real
from framework.kernels import OutOfMemoryError, pool

__all__ = [
    "OutOfMemoryError", "caching_allocator_alloc", "caching_allocator_delete", "empty_cache",
    "get_allocator_backend", "get_per_process_memory_fraction", "host_memory_stats",
    "host_memory_stats_as_nested_dict", "ipc_collect",
    "list_gpu_processes", "max_memory_allocated", "max_memory_cached", "max_memory_reserved",
    "mem_get_info", "memory_allocated", "memory_cached", "memory_reserved", "memory_snapshot",
    "memory_stats", "memory_stats_as_nested_dict", "memory_summary",
    "reset_accumulated_host_memory_stats", "reset_peak_host_memory_stats",
    "reset_accumulated_memory_stats", "reset_max_memory_allocated", "reset_max_memory_cached",
    "reset_peak_memory_stats", "set_per_process_memory_fraction",
]  # fmt: skip


_peaks: dict[int, dict[str, int]] = {}  # by device
_fractions: dict[int, float] = {}


def _now(device: Any = None) -> tuple[dict[str, int], dict[str, int]]:
    """The bytes in use and taken now, and the peaks of both; zero without a real device."""
    if not is_available():
        return {"allocated": 0, "reserved": 0}, {"allocated": 0, "reserved": 0}
    index = index_of(device)
    now = {"allocated": 0, "reserved": 0}
    if cupy := real():
        taken = cupy.get_default_memory_pool()
        with cupy.cuda.Device(index):
            now = {"allocated": int(taken.used_bytes()), "reserved": int(taken.total_bytes())}
    else:
        now = dict.fromkeys(now, pool.held(index))
    peaks = _peaks.setdefault(index, dict(now))
    peaks.update({key: max(peaks[key], value) for key, value in now.items()})
    return now, peaks


def memory_allocated(device: Any = None) -> int:
    """Bytes that arrays have on a device, the current one by default; 0 without a real one.

    RuntimeError for a device that is not there.

    >>> import framework as torch
    >>> torch.cuda.memory_allocated()
    0
    """
    return _now(device)[0]["allocated"]


def memory_reserved(device: Any = None) -> int:
    """Bytes that CuPy's pool has taken from a device, in use or not; 0 without a real one.

    RuntimeError for a device that is not there.

    >>> import framework as torch
    >>> torch.cuda.memory_reserved()
    0
    """
    return _now(device)[0]["reserved"]


def max_memory_allocated(device: Any = None) -> int:
    """The largest `memory_allocated` that a call of these functions has seen since the last reset.

    RuntimeError for a device that is not there.

    >>> import framework as torch
    >>> torch.cuda.max_memory_allocated() >= torch.cuda.memory_allocated()
    True
    """
    return _now(device)[1]["allocated"]


def max_memory_reserved(device: Any = None) -> int:
    """The largest `memory_reserved` that a call of these functions has seen since the last reset.

    RuntimeError for a device that is not there.

    >>> import framework as torch
    >>> torch.cuda.max_memory_reserved() >= torch.cuda.memory_reserved()
    True
    """
    return _now(device)[1]["reserved"]


def reset_peak_memory_stats(device: Any = None) -> None:
    """Begin again with the peaks: from now on they are what is in use now.

    RuntimeError for a device that is not there.

    >>> import framework as torch
    >>> torch.cuda.reset_peak_memory_stats()
    >>> torch.cuda.max_memory_allocated() == torch.cuda.memory_allocated()
    True
    """
    if is_available():
        _peaks.pop(index_of(device), None)
        _now(device)


def reset_accumulated_memory_stats(device: Any = None) -> None:
    """Accepted: nothing is summed up.

    It never raises.

    >>> import framework as torch
    >>> torch.cuda.reset_accumulated_memory_stats()
    """


def memory_cached(device: Any = None) -> int:
    """The former name of `memory_reserved`; FutureWarning.

    RuntimeError for a device that is not there.

    >>> import warnings, framework as torch
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     torch.cuda.memory_cached() == torch.cuda.memory_reserved()
    True
    """
    caution(
        "`torch.cuda.memory_cached` has been renamed to `torch.cuda.memory_reserved`",
        FutureWarning,
    )
    return memory_reserved(device)


def max_memory_cached(device: Any = None) -> int:
    """The former name of `max_memory_reserved`; FutureWarning.

    RuntimeError for a device that is not there.

    >>> import warnings, framework as torch
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     torch.cuda.max_memory_cached() == torch.cuda.max_memory_reserved()
    True
    """
    caution(
        "`torch.cuda.max_memory_cached` has been renamed to `torch.cuda.max_memory_reserved`",
        FutureWarning,
    )
    return max_memory_reserved(device)


reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats


def memory_stats(device: Any = None) -> dict[str, Any]:
    """Current and peak bytes, by PyTorch's keys ("allocated_bytes.all.peak"); empty without CUDA.

    RuntimeError for a device that is not there.

    >>> import framework as torch
    >>> torch.cuda.memory_stats()["allocated_bytes.all.current"]
    0
    """
    if not is_available():
        return OrderedDict()
    now, peaks = _now(device)
    found: dict[str, Any] = OrderedDict()
    for name, key in ("active", "allocated"), ("allocated", "allocated"), ("reserved", "reserved"):
        found[f"{name}_bytes.all.current"] = now[key]
        found[f"{name}_bytes.all.peak"] = peaks[key]
    found["num_alloc_retries"] = found["num_ooms"] = 0
    return found


def memory_stats_as_nested_dict(device: Any = None) -> dict[str, Any]:
    """`memory_stats` as dicts of dicts, by the parts of the keys.

    RuntimeError for a device that is not there.

    >>> import framework as torch
    >>> torch.cuda.memory_stats_as_nested_dict()["reserved_bytes"]
    {'all': {'current': 0, 'peak': 0}}
    """
    nested: dict[str, Any] = {}
    for path, value in memory_stats(device).items():
        *outer, last = path.split(".")
        inner = nested
        for part in outer:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return nested


def host_memory_stats() -> dict[str, Any]:
    """Empty: pinned memory is not counted.

    >>> import framework as torch
    >>> torch.cuda.host_memory_stats()
    OrderedDict()
    """
    return OrderedDict()


def host_memory_stats_as_nested_dict() -> dict[str, Any]:
    """Empty: pinned memory is not counted.

    >>> import framework as torch
    >>> torch.cuda.host_memory_stats_as_nested_dict()
    {}
    """
    return {}


def reset_peak_host_memory_stats() -> None:
    """Accepted: pinned memory is not counted.

    >>> import framework as torch
    >>> torch.cuda.reset_peak_host_memory_stats()
    """


def reset_accumulated_host_memory_stats() -> None:
    """Accepted: pinned memory is not counted.

    >>> import framework as torch
    >>> torch.cuda.reset_accumulated_host_memory_stats()
    """


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """A table of `memory_stats`, to be printed; zeros without a real device.

    RuntimeError for a device that is not there.

    >>> import framework as torch
    >>> print(torch.cuda.memory_summary(), end="")
    CUDA memory of device 0
                              current         peak
    allocated                 0.0 MiB      0.0 MiB
    reserved                  0.0 MiB      0.0 MiB
    """
    now, peaks = _now(device)
    index = index_of(device) if is_available() else 0
    rows = [f"CUDA memory of device {index}", f"{'':<20} {'current':>12} {'peak':>12}"]
    rows += [f"{k:<20} {now[k] / 2**20:>8.1f} MiB {peaks[k] / 2**20:>8.1f} MiB" for k in now]
    return "\n".join(rows) + "\n"


def memory_snapshot(*args: Any, **options: Any) -> list[Any]:
    """Empty: the pool's blocks cannot be listed.

    It never raises.

    >>> import framework as torch
    >>> torch.cuda.memory_snapshot()
    []
    """
    return []


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """(free, all) bytes of a device; of the fake one the host's memory, all of it free.

    AssertionError without a CUDA device.

    >>> import framework as torch
    >>> free, total = torch.cuda.mem_get_info()
    >>> 0 < free <= total
    True
    """
    index = index_of(device)
    if cupy := real():
        free, total = cupy.cuda.Device(index).mem_info
        return int(free), int(total)
    total = get_device_properties(index).total_memory
    return total - pool.held(index), total


def empty_cache() -> None:
    """Give unused memory of CuPy's pool back to the device; nothing without a real one.

    >>> import framework as torch
    >>> torch.cuda.empty_cache()
    """
    if cupy := real():
        cupy.get_default_memory_pool().free_all_blocks()


def ipc_collect() -> None:
    """Accepted: no memory is shared with other processes. AssertionError without a CUDA device.

    >>> import framework as torch
    >>> torch.cuda.ipc_collect()
    """
    need()


def set_per_process_memory_fraction(fraction: float, device: Any = None) -> None:
    """Let the pool take no more than this part (0 to 1) of a device's memory.

    TypeError for anything but a float, ValueError for one outside of [0, 1], AssertionError without
    a CUDA device.

    >>> import framework as torch
    >>> torch.cuda.set_per_process_memory_fraction(0.5)
    >>> torch.cuda.get_per_process_memory_fraction()
    0.5
    """
    index = index_of(device)
    if not isinstance(fraction, float):
        raise TypeError("Invalid type for fraction argument, must be `float`")
    if not 0 <= fraction <= 1:
        raise ValueError(f"Invalid fraction value: {fraction}. Allowed range: 0~1")
    _fractions[index] = fraction
    if cupy := real():
        with cupy.cuda.Device(index):
            cupy.get_default_memory_pool().set_limit(fraction=fraction)
    else:
        pool.limit(index, int(fraction * get_device_properties(index).total_memory))


def get_per_process_memory_fraction(device: Any = None) -> float:
    """What `set_per_process_memory_fraction` set for a device, 1.0 at first.

    AssertionError without CUDA, RuntimeError for a device that is not there.

    >>> import framework as torch
    >>> torch.cuda.get_per_process_memory_fraction(1)
    1.0
    """
    return _fractions.get(index_of(device), 1.0)


def get_allocator_backend() -> str:
    """The name of PyTorch's own pool, which CuPy's stands for.

    >>> import framework as torch
    >>> torch.cuda.get_allocator_backend()
    'native'
    """
    return "native"


def caching_allocator_alloc(*args: Any, **options: Any) -> NoReturn:
    """Refused with NotImplementedError: memory belongs to tensors here.

    >>> import framework as torch
    >>> torch.cuda.caching_allocator_alloc(1024)
    Traceback (most recent call last):
        ...
    NotImplementedError: torch.cuda.caching_allocator_alloc: memory belongs to tensors here
    """
    raise NotImplementedError("torch.cuda.caching_allocator_alloc: memory belongs to tensors here")


def caching_allocator_delete(*args: Any, **options: Any) -> NoReturn:
    """Refused with NotImplementedError: memory belongs to tensors here.

    >>> import framework as torch
    >>> torch.cuda.caching_allocator_delete(0)
    Traceback (most recent call last):
        ...
    NotImplementedError: torch.cuda.caching_allocator_delete: memory belongs to tensors here
    """
    raise NotImplementedError("torch.cuda.caching_allocator_delete: memory belongs to tensors here")


def list_gpu_processes(device: Any = None) -> str:
    """PyTorch's words where NVIDIA's library is not there.

    It never raises.

    >>> import framework as torch
    >>> torch.cuda.list_gpu_processes()
    'pynvml module not found, please install nvidia-ml-py'
    """
    return "pynvml module not found, please install nvidia-ml-py"
