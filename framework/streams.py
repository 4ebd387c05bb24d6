"""Streams and events: the order of work on a device, and points in it.

The CPU, and the fake ``cuda`` of tests, have done all work when a call returns: there a stream has
nothing to wait for and an event is a time. `framework.cuda` has those of CuPy.
"""

from __future__ import annotations

import time
from typing import Any

from framework.device import CPU, existing

__all__ = ["Event", "Stream"]


class Stream:
    """A sequence of work on a device.

    >>> import framework as torch
    >>> stream = torch.Stream("cpu")
    >>> stream.query()
    True
    """

    def __init__(self, device: Any = None, *, priority: int = 0) -> None:
        self.device = CPU if device is None else existing(device)
        self.priority = priority
        self.stream_id = 0

    @property
    def device_index(self) -> int:
        """The device's number; -1 for the CPU."""
        return -1 if self.device.index is None else self.device.index

    def query(self) -> bool:
        """Whether all work is done."""
        return True

    def synchronize(self) -> None:
        """Wait until all work is done."""

    def wait_event(self, event: Any) -> None:
        """Let later work wait for an event."""

    def wait_stream(self, stream: Any) -> None:
        """Let later work wait for what another stream has to do by now."""
        self.wait_event(stream.record_event())

    def record_event(self, event: Any = None) -> Any:
        """Put an event, by default a new one, after the work by now."""
        event = self._event() if event is None else event
        event.record(self)
        return event

    def _event(self) -> Any:
        return Event(self.device)

    def __repr__(self) -> str:
        return (
            f"torch.Stream device_type={self.device.type}, device_index={self.device_index}, "
            f"stream_id={self.stream_id}"
        )


class Event:
    """A point in the work of a stream, and its time.

    >>> import framework as torch
    >>> start, end = (torch.Event(enable_timing=True) for _ in range(2))
    >>> start.record(), end.record(), start.elapsed_time(end) >= 0
    (None, None, True)
    """

    def __init__(
        self, device: Any = None, *, enable_timing: bool = False, blocking: bool = False,
        interprocess: bool = False,
    ) -> None:  # fmt: skip
        self.device = CPU if device is None else existing(device)
        self.enable_timing = enable_timing
        self.event_id = 0
        self._time: float | None = None

    def record(self, stream: Any = None) -> None:
        """Take the place after the work by now."""
        self._time = time.perf_counter()

    def wait(self, stream: Any = None) -> None:
        """Let later work of a stream wait for this."""

    def query(self) -> bool:
        """Whether the work before it is done."""
        return True

    def synchronize(self) -> None:
        """Wait until the work before it is done."""

    def elapsed_time(self, end_event: Any) -> float:
        """Milliseconds from this event to another.

        Raises:
            ValueError: one of them was made without ``enable_timing`` or is not recorded.
        """
        if not (self.enable_timing and end_event.enable_timing):
            raise ValueError("Both events must be created with argument 'enable_timing=True'.")
        if self._time is None or end_event._time is None:
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        return self._milliseconds(end_event)

    def _milliseconds(self, end_event: Any) -> float:
        return (end_event._time - self._time) * 1e3

    def __repr__(self) -> str:
        index = -1 if self.device.index is None else self.device.index
        return (
            f"torch.Event device_type={self.device.type}, device_index={index}, event_flag=0, "
            f"event_id={self.event_id}"
        )
