"""What of a CUDA device's memory is in use, and what was at most: counted with each allocation.

CuPy's pool knows what it holds now and no more. So its `malloc` has a function of ours in front
(`cupy.cuda.set_allocator`), which asks the pool after each allocation: only then can there be more
than ever. What is given back, by whatever thread or finalizer, the pool takes off its own number.
It costs about a third of a microsecond. Hooks of CuPy's (`MemoryHook`) are those of one thread.

Where the device has no room left, CuPy's pool gives back what is unused and tries again, as
PyTorch's does, before it raises. It does not tell, but it has not grown by what was asked for then.

The pool gives what is free to the next who asks, in the order of one stream. Memory that another
stream works with too (`Tensor.record_stream`) is kept here until that one is done with it.
"""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["Counts", "counts", "emptied", "hold", "let_go", "pool"]

_UNIT = 512  # bytes that CuPy's pools round up to, as PyTorch's does


class Counts:
    """What was asked of a device's pool so far."""

    __slots__ = ("allocated", "calls", "failures", "most", "retries", "taken", "total")

    def __init__(self) -> None:
        self.most = self.taken = 0  # the most bytes in use, and taken from the device
        self.allocated = self.calls = self.failures = 0  # bytes, allocations, those that failed
        self.retries = 0  # allocations that the device had no room for before the pool gave back
        self.total = 0  # bytes that the pool had taken after the last allocation


class _ByDevice(dict[int, Counts]):
    def __missing__(self, index: int) -> Counts:
        found = self[index] = Counts()
        return found


_counts = _ByDevice()  # of `_pool`
_held: dict[int, tuple[Any, set[Any]]] = {}  # memory and CuPy's streams that use it, by its id
_waiting: list[tuple[Any, Any]] = []  # memory that nobody else has, and an event after such a use
_alone = (object(),)
_ALONE = sys.getrefcount(_alone[0])  # of what only one tuple has
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


def emptied(index: int) -> None:
    """Give back what the pool of the current device, which is ``index``, does not use."""
    found = pool()
    found.free_all_blocks()
    _counts[index].total = int(found.total_bytes())


def hold(memory: Any, stream: Any) -> None:
    """Keep CuPy's memory, when it is free, until all is done that ``stream`` then has to do."""
    pool()  # so that our function is in front of it
    _held.setdefault(id(memory), (memory, set()))[1].add(stream)


def let_go(wait: bool = False) -> None:
    """Give back what was held for streams that are done, or that are waited for.

    It is called with each allocation, while something is held.
    """
    import cupy

    for key, entry in list(_held.items()):
        if sys.getrefcount(entry[0]) == _ALONE:
            _held.pop(key, None)  # another thread may have been here
            with cupy.cuda.Device(entry[0].device_id):
                for stream in entry[1]:
                    event = cupy.cuda.Event(disable_timing=True)
                    event.record(stream)
                    _waiting.append((entry[0], event))
    for use in _waiting[:]:
        if wait:
            use[1].synchronize()
        if use[1].done:
            _waiting.remove(use)


def _counted(cupy: Any, found: Any) -> Any:
    """The allocator that counts what a pool gives, from what is in use there now."""
    global _counts, _pool, _allocator
    known = _ByDevice()
    malloc, used, total = found.malloc, found.used_bytes, found.total_bytes
    plain = isinstance(found, cupy.cuda.MemoryPool)  # grows by what is asked for; CUDA's does not

    def allocate(size: int) -> Any:
        if _held or _waiting:
            let_go()
        again = 0
        try:
            memory = malloc(size)
        except MemoryError:
            again = 1
            try:
                if not (_held or _waiting):
                    raise
                let_go(wait=True)
                memory = malloc(size)
            except MemoryError:
                here = known[cupy.cuda.get_device_id()]
                here.failures += 1
                here.retries += 1
                raise
        seen = known[memory.device_id]
        now = used()
        if now > seen.most:
            seen.most = now
        size = -(-size // _UNIT) * _UNIT
        now = total()
        if now != seen.total:
            again |= plain and now - seen.total != size
            seen.total = now
            if now > seen.taken:
                seen.taken = now
        seen.retries += again
        seen.calls += 1
        seen.allocated += size
        return memory

    for index in range(cupy.cuda.runtime.getDeviceCount()):
        with cupy.cuda.Device(index):
            seen = known[index]
            seen.most = seen.allocated = int(used())
            seen.taken = seen.total = int(total())
    _counts, _pool, _allocator = known, found, allocate
    return allocate
