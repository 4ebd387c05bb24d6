"""What of a CUDA device's memory is in use, and what was at most: counted with each allocation.

CuPy's pool knows what it holds now and no more. So its `malloc` has a function of ours in front
(`cupy.cuda.set_allocator`), which asks the pool after each allocation: only then can there be more
than ever. What is given back, by whatever thread or finalizer, the pool takes off its own number.
It costs about a third of a microsecond. Hooks of CuPy's (`MemoryHook`) are those of one thread.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Counts", "counts", "pool"]

_UNIT = 512  # bytes that CuPy's pools round up to, as PyTorch's does


class Counts:
    """What was asked of a device's pool so far."""

    __slots__ = ("allocated", "calls", "failures", "most", "taken")

    def __init__(self) -> None:
        self.most = self.taken = 0  # the most bytes in use, and taken from the device
        self.allocated = self.calls = self.failures = 0  # bytes, allocations, those that failed


class _ByDevice(dict[int, Counts]):
    def __missing__(self, index: int) -> Counts:
        found = self[index] = Counts()
        return found


_counts = _ByDevice()  # of `_pool`
_pool: Any = None
_allocator: Any = None  # ours, in front of it


def counts(index: int) -> Counts:
    """Those of a device's allocations."""
    return _counts[index]


def pool() -> Any:
    """The pool that arrays are allocated from, counted from now on.

    It may be one of the program's own (of managed memory, or CUDA's). Where the program has an
    allocator without a pool, CuPy's default one, which then holds nothing.
    """
    import cupy

    allocator = cupy.cuda.get_allocator()
    if allocator is not _allocator:
        found = getattr(allocator, "__self__", None)
        if not hasattr(found, "used_bytes"):
            return cupy.get_default_memory_pool()
        try:
            cupy.cuda.set_allocator(_counted(cupy, found))
        except ValueError:  # within `using_allocator`, which is the program's
            return found
    return _pool


def _counted(cupy: Any, found: Any) -> Any:
    """The allocator that counts what a pool gives, from what is in use there now."""
    global _counts, _pool, _allocator
    known = _ByDevice()
    malloc, used, total = found.malloc, found.used_bytes, found.total_bytes

    def allocate(size: int) -> Any:
        try:
            memory = malloc(size)
        except MemoryError:
            known[cupy.cuda.get_device_id()].failures += 1
            raise
        seen = known[memory.device_id]
        now = used()
        if now > seen.most:
            seen.most = now
        now = total()
        if now > seen.taken:
            seen.taken = now
        seen.calls += 1
        seen.allocated += -(-size // _UNIT) * _UNIT
        return memory

    for index in range(cupy.cuda.runtime.getDeviceCount()):
        with cupy.cuda.Device(index):
            seen = known[index]
            seen.most = seen.allocated = int(used())
            seen.taken = int(total())
    _counts, _pool, _allocator = known, found, allocate
    return allocate
