"""Devices, streams, events and the pool, as far as the framework asks for them."""

from __future__ import annotations

import time
import warnings
from typing import Any

from cupy import pools as memory
from cupy import runtime_part as runtime  # noqa: F401
from cupy import thirteen
from cupy.places import current as _current
from cupy.places import now as _now
from cupy.pools import (  # noqa: F401
    MemoryHook,
    MemoryPool,
    alloc,
    get_allocator,
    set_allocator,
    using_allocator,
)


def get_device_id() -> int:
    return _now[-1]


class device:
    """The module of that name."""

    @staticmethod
    def get_cublas_handle() -> int:
        from cupy_backends.cuda.libs import cublas

        return cublas.HANDLE


def _counts() -> Any:
    import cupy

    return cupy.counts


class Device:
    def __init__(self, device: Any = None) -> None:
        self.id = _current() if device is None else int(getattr(device, "id", device))

    compute_capability = "90"

    @property
    def mem_info(self) -> tuple[int, int]:
        with self:
            return memory.free_now()

    def use(self) -> None:
        _now[-1] = self.id

    def synchronize(self) -> None:
        _counts().waits += 1

    def __int__(self) -> int:
        return self.id

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Device) and other.id == self.id

    __hash__ = None  # type: ignore[assignment]

    def __enter__(self) -> Device:
        _now.append(self.id)
        return self

    def __exit__(self, *exc: object) -> None:
        _now.pop()

    def __str__(self) -> str:
        return f"<CUDA Device {self.id}>"


class Stream:
    null: Stream
    ptr = 0
    done = True

    def __init__(self, null: bool = False, non_blocking: bool = False, ptds: bool = False,
                 **options: Any) -> None:  # fmt: skip
        known = () if thirteen.OLD else ("priority",)
        if unknown := set(options).difference(known):
            raise TypeError(f"__init__() got an unexpected keyword argument {unknown.pop()!r}")
        self.device_id = _current()

    if not thirteen.OLD:
        priority = 0

    @classmethod
    def from_external(cls, obj: Any) -> Stream:
        version, made = obj.__cuda_stream__()[0], cls()
        assert version == 0
        made.ptr, made.device_id = obj.__cuda_stream__()[1], -1
        return made

    def use(self) -> None:
        if self.device_id not in (-1, _current()):
            raise RuntimeError("The device that the stream is created on does not match")
        _streams[_current()] = self

    def synchronize(self) -> None:
        _counts().waits += 1

    def wait_event(self, event: Any) -> None:
        assert event.recorded


if thirteen.OLD:
    del Stream.from_external


class ExternalStream(Stream):
    def __init__(self, ptr: int, device_id: int = -1) -> None:
        if not thirteen.OLD:
            warnings.warn("ExternalStream is deprecated.", DeprecationWarning, stacklevel=2)
        self.ptr, self.device_id = ptr, device_id


Stream.null = Stream()
Stream.null.device_id = -1
_streams: dict[int, Stream] = {}


def get_current_stream(device_id: int = -1) -> Stream:
    return _streams.get(_current() if device_id < 0 else device_id, Stream.null)


class Event:
    """An event is done when somebody has waited for it, or ``LATE`` queries later."""

    LATE = 0

    def __init__(
        self, block: bool = False, disable_timing: bool = False, interprocess: bool = False
    ) -> None:  # fmt: skip
        self.timing, self._device = not disable_timing, _current()
        self.recorded: float | None = None
        self.ptr = id(self)
        self._asked = 0

    def record(self, stream: Any = None) -> None:
        place = _current() if stream is None or stream.device_id < 0 else stream.device_id
        assert place == self._device, "cudaErrorInvalidResourceHandle"
        self.recorded, self._asked = time.perf_counter(), 0

    @property
    def done(self) -> bool:
        self._asked += 1
        return self._asked > self.LATE

    def synchronize(self) -> None:
        _counts().waits += 1
        self._asked = self.LATE + 1


def get_elapsed_time(start: Event, end: Event) -> float:
    assert start.timing and end.timing and start.recorded is not None and end.recorded is not None
    assert start._asked > start.LATE or end._asked > end.LATE, "cudaErrorNotReady"
    return (end.recorded - start.recorded) * 1e3
