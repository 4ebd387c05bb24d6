"""Memory pools and hooks that count as CuPy's do; the bytes themselves are NumPy's.

Sizes are rounded up to 512 bytes; what is given back is kept, found again by size (the smallest
that fits), split, and joined with what it was split from. A pool asks its device only for what it
has not; there are `SIZE` bytes on each, and OutOfMemoryError says what CuPy's says.
"""

from __future__ import annotations

import collections
import gc
import threading
from typing import Any

from cupy.places import current

SIZE = 80 << 30  # of a device
_taken: dict[int, int] = collections.defaultdict(int)  # by device, of all pools
_local = threading.local()


class OutOfMemoryError(MemoryError):
    def __init__(self, size: int, total: int, limit: int = 0) -> None:
        tail = f", limit set to: {limit:,} bytes" if limit else ""
        super().__init__(
            f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes{tail})."
        )


class MemoryHook:
    """Called with keywords before and after, of the thread that entered it only."""

    name = "MemoryHook"

    def __enter__(self) -> Any:
        hooks = _hooks()
        if self.name in hooks:
            raise KeyError(f"memory hook {self.name} already exists")
        hooks[self.name] = self
        return self

    def __exit__(self, *exc: object) -> None:
        del _hooks()[self.name]

    def __getattr__(self, name: str) -> Any:
        if name.partition("_")[0] in ("alloc", "malloc", "free"):
            return lambda **options: None
        raise AttributeError(name)


def _hooks() -> dict[str, Any]:
    try:
        return _local.hooks  # type: ignore[no-any-return]
    except AttributeError:
        _local.hooks = {}
        return _local.hooks  # type: ignore[no-any-return]


def _tell(what: str, **options: Any) -> None:
    for hook in list(_hooks().values()):
        getattr(hook, what)(**options)


class _Chunk:
    """A piece of what was taken from the device at once, between its neighbours."""

    def __init__(self, ptr: int, size: int) -> None:
        self.ptr, self.size = ptr, size
        self.before: _Chunk | None = None
        self.after: _Chunk | None = None

    def split(self, size: int) -> _Chunk | None:
        if self.size == size:
            return None
        rest = _Chunk(self.ptr + size, self.size - size)
        rest.before, rest.after = self, self.after
        if self.after is not None:
            self.after.before = rest
        self.after, self.size = rest, size
        return rest

    def join(self) -> None:
        other = self.after
        assert other is not None
        self.size += other.size
        self.after = other.after
        if self.after is not None:
            self.after.before = self


class PooledMemory:
    def __init__(self, chunk: _Chunk, pool: SingleDeviceMemoryPool) -> None:
        self.chunk, self.pool = chunk, pool
        self.ptr, self.size, self.device_id = chunk.ptr, chunk.size, pool._device_id

    def free(self) -> None:
        if self.ptr:
            known = {"device_id": self.device_id, "mem_size": self.size, "mem_ptr": self.ptr,
                     "pmem_id": id(self)}  # fmt: skip
            self.ptr = 0
            _tell("free_preprocess", **known)
            self.pool._free(self.chunk)
            _tell("free_postprocess", **known)

    __del__ = free


class Nothing:
    """Memory of no size, which is no pool's."""

    def __init__(self) -> None:
        self.ptr = self.size = 0
        self.device_id = current()


class Pointer:
    """`cupy.cuda.MemoryPointer` to what a pool gave."""

    def __init__(self, mem: Any) -> None:
        self.mem, self.ptr, self.device_id = mem, mem.ptr, mem.device_id


class SingleDeviceMemoryPool:
    def __init__(self) -> None:
        self._device_id = current()
        self._free_chunks: list[_Chunk] = []
        self._used = self._total = self._limit = 0
        self._lock = threading.RLock()
        self._next = 1 << 40

    def malloc(self, size: int) -> Pointer:
        rounded = -(-size // 512) * 512
        if not rounded:
            return Pointer(Nothing())
        asked = {"device_id": self._device_id, "size": size, "mem_size": rounded}
        _tell("malloc_preprocess", **asked)
        found = None
        try:
            with self._lock:
                found = PooledMemory(self._chunk(rounded), self)
                self._used += rounded
            return Pointer(found)
        finally:
            got = {"mem_ptr": found.ptr, "pmem_id": id(found)} if found else dict.fromkeys(
                ("mem_ptr", "pmem_id"), 0)  # fmt: skip
            _tell("malloc_postprocess", **asked, **got)

    def _chunk(self, size: int) -> _Chunk:
        fitting = [c for c in self._free_chunks if c.size >= size]
        if fitting:
            chunk = min(fitting, key=lambda c: c.size)
            self._free_chunks.remove(chunk)
            if (rest := chunk.split(size)) is not None:
                self._free_chunks.append(rest)
            return chunk
        for attempt in range(3):
            if attempt == 2:
                gc.collect()
            if attempt:
                self.free_all_blocks()
            fits = not self._limit or self._total + size <= self._limit
            if fits and _taken[self._device_id] + size <= SIZE:
                break
        else:
            raise OutOfMemoryError(size, self._total, self._limit if not fits else 0)
        _tell("alloc_preprocess", device_id=self._device_id, mem_size=size)
        self._total += size
        _taken[self._device_id] += size
        self._next += size
        chunk = _Chunk(self._next - size, size)
        _tell("alloc_postprocess", device_id=self._device_id, mem_size=size, mem_ptr=chunk.ptr)
        return chunk

    def _free(self, chunk: _Chunk) -> None:
        with self._lock:
            self._used -= chunk.size
            while chunk.after is not None and chunk.after in self._free_chunks:
                self._free_chunks.remove(chunk.after)
                chunk.join()
            while chunk.before is not None and chunk.before in self._free_chunks:
                chunk = chunk.before
                self._free_chunks.remove(chunk)
                chunk.join()
            self._free_chunks.append(chunk)

    def free_all_blocks(self, stream: Any = None) -> None:
        with self._lock:
            for chunk in list(self._free_chunks):
                if chunk.before is None and chunk.after is None:
                    self._free_chunks.remove(chunk)
                    self._total -= chunk.size
                    _taken[self._device_id] -= chunk.size

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        if size is not None and fraction is not None:
            raise ValueError("size and fraction cannot be specified at one time")
        if fraction is not None and not 0 <= fraction <= 1:
            raise ValueError(f"memory limit fraction out of range: {fraction}")
        self._limit = int((fraction or 0) * SIZE) if size is None else size

    def used_bytes(self) -> int:
        return self._used

    def total_bytes(self) -> int:
        return self._total

    def free_bytes(self) -> int:
        return self._total - self._used

    def get_limit(self) -> int:
        return self._limit

    def n_free_blocks(self) -> int:
        return len(self._free_chunks)


class MemoryPool:
    """One for each device: its methods are those of the current one's."""

    def __init__(self, allocator: Any = None) -> None:
        self._pools: dict[int, SingleDeviceMemoryPool] = {}

    def _here(self) -> SingleDeviceMemoryPool:
        if current() not in self._pools:
            self._pools[current()] = SingleDeviceMemoryPool()
        return self._pools[current()]

    def malloc(self, size: int) -> Pointer:
        return self._here().malloc(size)

    def free_all_blocks(self, stream: Any = None) -> None:
        self._here().free_all_blocks(stream)

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        self._here().set_limit(size, fraction)

    def used_bytes(self) -> int:
        return self._here().used_bytes()

    def total_bytes(self) -> int:
        return self._here().total_bytes()

    def free_bytes(self) -> int:
        return self._here().free_bytes()

    def get_limit(self) -> int:
        return self._here().get_limit()

    def n_free_blocks(self) -> int:
        return self._here().n_free_blocks()


def malloc(size: int) -> Pointer:
    """What `set_allocator(None)` sets: no pool."""
    return Pointer(PooledMemory(_Chunk(1 << 50, size), SingleDeviceMemoryPool()))


pool = MemoryPool()
_allocator: Any = pool.malloc


def get_allocator() -> Any:
    return getattr(_local, "allocator", None) or _allocator


def set_allocator(allocator: Any = None) -> None:
    global _allocator
    if getattr(_local, "allocator", None) is not None:
        raise ValueError("Can't change the global allocator inside `using_allocator`")
    _allocator = malloc if allocator is None else allocator


class using_allocator:
    def __init__(self, allocator: Any = None) -> None:
        self._new = malloc if allocator is None else allocator

    def __enter__(self) -> None:
        self._before = getattr(_local, "allocator", None)
        _local.allocator = self._new

    def __exit__(self, *exc: object) -> None:
        _local.allocator = self._before


def alloc(size: int) -> Any:
    return get_allocator()(size)


def free_now() -> tuple[int, int]:
    """``mem_info`` of the current device."""
    return SIZE - _taken[current()], SIZE
