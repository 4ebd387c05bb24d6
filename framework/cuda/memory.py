"""Memory of CUDA devices: what CuPy's pool has taken and what of it is in use, now and at most.

Bytes are counted as PyTorch counts them, each array rounded up to 512. Peaks are exact
(`kernels.allocations`), but for what another thread gives back in the instant of an allocation.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NoReturn

from framework.cautions import caution
from framework.cuda.devices import get_device_properties, index_of, is_available, need, real
from framework.device import device_count
from framework.kernels import OutOfMemoryError, allocations, pool

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


_fractions: dict[int, float] = {}
_forgotten: dict[int, tuple[int, ...]] = {}  # sums at `reset_accumulated_memory_stats`


def _now(device: Any = None) -> tuple[dict[str, int], dict[str, int]]:
    """The bytes in use and taken now, and the peaks of both; zero without a real device."""
    if not is_available():
        return {"allocated": 0, "reserved": 0}, {"allocated": 0, "reserved": 0}
    index = index_of(device)
    now = _held(index)
    seen = allocations.counts(index)
    peaks = {"allocated": seen.most, "reserved": seen.taken}
    return now, {key: max(peaks[key], value) for key, value in now.items()}


def _held(index: int) -> dict[str, int]:
    cupy = real()
    if cupy is None:
        return dict.fromkeys(("allocated", "reserved"), pool.held(index))
    with cupy.cuda.Device(index):
        used = allocations.pool()
        return {"allocated": int(used.used_bytes()), "reserved": int(used.total_bytes())}


def _sums(index: int) -> tuple[int, ...]:
    """Of all time: bytes allocated, and given back again, allocations, failures, retries."""
    now, seen = _held(index)["allocated"], allocations.counts(index)
    return seen.allocated, seen.allocated - now, seen.calls, seen.failures, seen.retries


def _since(index: int) -> tuple[int, ...]:
    """`_sums` since they were last reset."""
    before = _forgotten.get(index, (0,) * 5)
    return tuple([max(0, a - b) for a, b in zip(_sums(index), before)])


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
    """The most bytes that arrays had on a device at any time since the last reset.

    RuntimeError for a device that is not there.

    >>> import framework as torch
    >>> torch.cuda.max_memory_allocated() >= torch.cuda.memory_allocated()
    True
    """
    return _now(device)[1]["allocated"]


def max_memory_reserved(device: Any = None) -> int:
    """The most bytes that CuPy's pool had taken at any time since the last reset.

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
        index = index_of(device)
        now, seen = _held(index), allocations.counts(index)
        seen.most, seen.taken = now["allocated"], now["reserved"]


def reset_accumulated_memory_stats(device: Any = None) -> None:
    """Begin again with what is summed up: bytes allocated and given back, errors.

    RuntimeError for a device that is not there.

    >>> import framework as torch
    >>> torch.cuda.reset_accumulated_memory_stats()
    >>> torch.cuda.memory_stats()["allocated_bytes.all.allocated"]
    0
    """
    if is_available():
        index = index_of(device)
        _forgotten[index] = _sums(index)


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
    """What `memory_summary` shows, by PyTorch's keys; empty without CUDA.

    "allocated_bytes.all.peak", say; ``current``, ``peak``, ``allocated`` and ``freed`` of allocated
    (and active) bytes, the first two of reserved ones, "allocation.all.allocated" and "num_ooms".
    PyTorch's numbers of blocks that are in use have no place in CuPy's pool. "num_alloc_retries"
    are those for which the pool first gave back what was unused.
    RuntimeError for a device that is not there.

    >>> import framework as torch
    >>> torch.cuda.memory_stats()["allocated_bytes.all.current"]
    0
    """
    if not is_available():
        return OrderedDict()
    now, peaks = _now(device)
    allocated, freed, calls, failures, retries = _since(index_of(device))
    found: dict[str, Any] = OrderedDict()
    for name, key in ("active", "allocated"), ("allocated", "allocated"), ("reserved", "reserved"):
        found[f"{name}_bytes.all.current"] = now[key]
        found[f"{name}_bytes.all.peak"] = peaks[key]
        if key == "allocated":
            found[f"{name}_bytes.all.allocated"] = allocated
            found[f"{name}_bytes.all.freed"] = freed
    found["allocation.all.allocated"] = calls
    found["num_alloc_retries"], found["num_ooms"] = retries, failures
    return found


def memory_stats_as_nested_dict(device: Any = None) -> dict[str, Any]:
    """`memory_stats` as dicts of dicts, by the parts of the keys.

    RuntimeError for a device that is not there.

    >>> import framework as torch
    >>> sorted(torch.cuda.memory_stats_as_nested_dict()["reserved_bytes"]["all"])
    ['current', 'peak']
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

    Args:
        abbreviated: leave out what was summed up.

    >>> import framework as torch
    >>> print(torch.cuda.memory_summary(), end="")
    CUDA memory of device 0
                              current         peak
    allocated                 0.0 MiB      0.0 MiB
    reserved                  0.0 MiB      0.0 MiB
    allocated in all 0.0 MiB, of which 0.0 MiB were given back; out of memory: 0 times
    """
    now, peaks = _now(device)
    index = index_of(device) if is_available() else 0
    rows = [f"CUDA memory of device {index}", f"{'':<20} {'current':>12} {'peak':>12}"]
    rows += [f"{k:<20} {now[k] / 2**20:>8.1f} MiB {peaks[k] / 2**20:>8.1f} MiB" for k in now]
    if not abbreviated:
        allocated, freed, _, failures, _ = _since(index) if is_available() else (0,) * 5
        rows.append(
            f"allocated in all {allocated / 2**20:.1f} MiB, of which {freed / 2**20:.1f} MiB were "
            f"given back; out of memory: {failures} times"
        )
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
    """Give unused memory of CuPy's pool back to its devices; nothing without a real one.

    >>> import framework as torch
    >>> torch.cuda.empty_cache()
    """
    if cupy := real():
        allocations.let_go(wait=True)
        for index in range(device_count()):
            with cupy.cuda.Device(index):
                allocations.emptied(index)


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
            allocations.pool().set_limit(fraction=fraction)
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
