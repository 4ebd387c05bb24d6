"""Streams and events of CUDA devices, those of CuPy where the device is real."""

from __future__ import annotations

from itertools import count
from typing import Any

from framework import streams
from framework.cuda.devices import index_of, need, real, use
from framework.device import cuda_problem, default
from framework.device import device as Device
from framework.kernels import waits

__all__ = [
    "Event", "ExternalStream", "Stream", "StreamContext", "current_stream", "default_stream",
    "get_stream_from_external", "is_current_stream_capturing", "set_stream", "stream",
]  # fmt: skip


_handles = count(1)  # of streams of the fake device; 0 is the default one


class Stream(streams.Stream):
    """A stream of a CUDA device; ``with torch.cuda.stream(s)`` puts work into it.

    Args:
        device: the current one by default.
        priority: 0, or -1 for a higher one, which takes CuPy 14.

    Raises:
        RuntimeError: there is no CUDA device.

    >>> import framework as torch
    >>> s = torch.cuda.Stream(1)
    >>> s.synchronize()
    >>> s.device, s.query()
    (device(type='cuda', index=1), True)
    """

    def __init__(self, device: Any = None, priority: int = 0, **options: Any) -> None:
        if cuda_problem():
            raise RuntimeError("torch.cuda.Stream requires CUDA support")
        self._take(index_of(device), priority, None)
        if cupy := real():
            with cupy.cuda.Device(self.device_index):
                # CuPy 13 knows no priorities, which are a wish.
                wish = priority and hasattr(cupy.cuda.Stream, "priority")
                options = {"priority": priority} if wish else {}
                self._cupy = cupy.cuda.Stream(non_blocking=True, **options)
            self._handle = int(self._cupy.ptr)
        else:
            self._handle = next(_handles)

    def _take(self, index: int, priority: int, theirs: Any) -> None:
        self.device, self.priority, self._cupy = Device("cuda", index), priority, theirs
        self._handle = 0 if theirs is None else int(theirs.ptr)

    @classmethod
    def _of(cls, index: int, theirs: Any) -> Stream:
        made = cls.__new__(cls)
        made._take(index, 0, theirs)
        return made

    @property
    def cuda_stream(self) -> int:
        """CUDA's handle; 0 is the default stream."""
        return self._handle

    @property
    def stream_id(self) -> int:  # type: ignore[override]
        """The same."""
        return self.cuda_stream

    def query(self) -> bool:
        """Whether all work is done."""
        return self._cupy is None or bool(self._cupy.done)

    def synchronize(self) -> None:
        """Wait until all work is done."""
        if waits.mode:
            waits.told()
        if self._cupy is not None:
            self._cupy.synchronize()

    def wait_event(self, event: Any) -> None:
        """Let later work wait for an event."""
        if self._cupy is not None and event._cupy is not None:
            self._cupy.wait_event(event._cupy)

    def _event(self) -> Event:
        return Event()

    @staticmethod
    def priority_range() -> tuple[int, int]:
        """The least and the greatest priority."""
        return 0, -1

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Stream):
            return NotImplemented
        return self.device is other.device and self.cuda_stream == other.cuda_stream

    def __hash__(self) -> int:
        return hash((self.cuda_stream, self.device_index))

    def __repr__(self) -> str:
        return f"<torch.cuda.Stream device={self.device} cuda_stream={self.cuda_stream:#x}>"


class ExternalStream(Stream):
    """A stream that another library has made, by the address that it gives; not freed here.

    Args:
        stream_ptr: the ``cudaStream_t`` as a number.
        device: where it was made, the current one by default.

    Raises:
        RuntimeError: there is no CUDA device.

    >>> import framework as torch
    >>> torch.cuda.ExternalStream(64).cuda_stream
    64
    """

    def __init__(self, stream_ptr: int, device: Any = None, **options: Any) -> None:
        if cuda_problem():
            raise RuntimeError("torch.cuda.Stream requires CUDA support")
        self._take(index_of(device), 0, None)
        if cupy := real():
            if hasattr(cupy.cuda.Stream, "from_external"):
                self._cupy = cupy.cuda.Stream.from_external(_Handle(int(stream_ptr)))
            else:  # CuPy 13
                self._cupy = cupy.cuda.ExternalStream(stream_ptr, self.device_index)
        self._handle = int(stream_ptr)


class _Handle:
    """Another library's stream by CUDA's protocol of streams."""

    def __init__(self, pointer: int) -> None:
        self.pointer = pointer

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self.pointer


def get_stream_from_external(data_ptr: int, device: Any = None) -> Stream:
    """`ExternalStream`, as a function.

    RuntimeError without CUDA.

    >>> import framework as torch
    >>> torch.cuda.get_stream_from_external(64).cuda_stream
    64
    """
    return ExternalStream(data_ptr, device)


class Event(streams.Event):
    """A point in the work of a CUDA stream.

    Args:
        enable_timing: measure the time, for `elapsed_time`.
        blocking: let `synchronize` sleep instead of asking again and again.

    Raises:
        RuntimeError: there is no CUDA device.

    >>> import framework as torch
    >>> start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    >>> start.record(), end.record(), torch.cuda.synchronize()
    (None, None, None)
    >>> start.elapsed_time(end) >= 0
    True
    """

    def __init__(
        self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False,
        external: bool = False,
    ) -> None:  # fmt: skip
        if problem := cuda_problem():
            raise RuntimeError(f"Tried to instantiate dummy base class Event: {problem}")
        super().__init__("cuda", enable_timing=enable_timing)
        self._options = blocking, not enable_timing, interprocess
        self._cupy: Any = None  # made where it is first recorded: an event belongs to a device

    @property
    def cuda_event(self) -> int:
        """CUDA's handle; 0 before it is recorded."""
        return 0 if self._cupy is None else int(self._cupy.ptr)

    def record(self, stream: Any = None) -> None:
        """Take the place after the work of a stream (the current one) by now."""
        super().record()
        cupy = real()
        if cupy is None:
            return
        stream = current_stream() if stream is None else stream
        if self._cupy is None:
            with cupy.cuda.Device(stream.device_index):
                self._cupy = cupy.cuda.Event(*self._options)
        self._cupy.record(stream._cupy)

    def wait(self, stream: Any = None) -> None:
        """Let later work of a stream (the current one) wait for this."""
        (current_stream() if stream is None else stream).wait_event(self)

    def query(self) -> bool:
        """Whether the work before it is done."""
        return self._cupy is None or bool(self._cupy.done)

    def synchronize(self) -> None:
        """Wait until the work before it is done."""
        if self._cupy is not None:
            self._cupy.synchronize()

    def _milliseconds(self, end_event: Any) -> float:
        if cupy := real():
            return float(cupy.cuda.get_elapsed_time(self._cupy, end_event._cupy))
        return super()._milliseconds(end_event)

    def __repr__(self) -> str:
        return f"<torch.cuda.Event {self.cuda_event:#x}>"


# Of the fake device, for which CuPy keeps none: the current stream of each device.
_current: dict[int, Stream] = {}


def current_stream(device: Any = None) -> Stream:
    """The stream that a device's work is put into; of the current device by default.

    AssertionError without a CUDA device.

    >>> import framework as torch
    >>> torch.cuda.current_stream() == torch.cuda.default_stream()
    True
    """
    index = index_of(device)
    if cupy := real():
        return Stream._of(index, cupy.cuda.get_current_stream(index))
    return _current.get(index) or default_stream(index)


def default_stream(device: Any = None) -> Stream:
    """The stream that a device's work is put into unless told otherwise.

    AssertionError without CUDA, RuntimeError for a device that is not there.

    >>> import framework as torch
    >>> torch.cuda.default_stream(1)
    <torch.cuda.Stream device=cuda:1 cuda_stream=0x0>
    """
    index = index_of(device)
    cupy = real()
    return Stream._of(index, cupy.cuda.Stream.null if cupy else None)


def set_stream(stream: Stream | None) -> None:
    """Put the work of a stream's device, which becomes the current one, into the stream.

    None changes nothing. `stream` does it for a while.

    AttributeError for what is no stream.

    >>> import framework as torch
    >>> torch.cuda.set_stream(torch.cuda.default_stream())
    """
    if stream is None:
        return
    if stream.device_index != default.cuda:
        use(stream.device_index)  # CuPy refuses a stream of another device
    if stream._cupy is not None:
        stream._cupy.use()
    _current[stream.device_index] = stream


class StreamContext:
    """Within it, work is put into a stream of its device; for None nothing changes.

    AssertionError without a CUDA device.

    >>> import framework as torch
    >>> s = torch.cuda.Stream()
    >>> with torch.cuda.StreamContext(s):
    ...     torch.cuda.current_stream() == s
    True
    """

    def __init__(self, stream: Stream | None) -> None:
        self.stream = stream
        self.idx = -1

    def __enter__(self) -> None:
        if self.stream is None:
            return
        need()
        self.idx = default.cuda
        self._before = current_stream(self.stream.device)
        set_stream(self.stream)

    def __exit__(self, *exc: object) -> None:
        if self.stream is None:
            return
        set_stream(self._before)
        use(self.idx)


def stream(stream: Stream | None) -> StreamContext:
    """``with torch.cuda.stream(s)``: within it, work is put into ``s``; see `StreamContext`.

    Entering it raises an AttributeError for what is no stream.

    >>> import framework as torch
    >>> s = torch.cuda.Stream()
    >>> with torch.cuda.stream(s):
    ...     y = torch.ones(2, device="cuda") * 2
    >>> torch.cuda.current_stream().wait_stream(s)
    >>> y
    tensor([2., 2.], device='cuda:0')
    """
    return StreamContext(stream)


def is_current_stream_capturing() -> bool:
    """False: there are no CUDA graphs here.

    >>> import framework as torch
    >>> torch.cuda.is_current_stream_capturing()
    False
    """
    return False
