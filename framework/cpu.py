"""`cpu`: the questions that scripts ask of any device, answered for the host.

>>> import framework as torch
>>> torch.cpu.current_device(), torch.cpu.device_count()
('cpu', 1)
"""

from __future__ import annotations

import os
import platform
from typing import Any

from framework import streams

__all__ = [
    "Event", "Stream", "StreamContext", "current_device", "current_stream", "device_count",
    "get_capabilities", "is_available", "is_initialized", "set_device", "stream", "synchronize",
]  # fmt: skip

Event = streams.Event


class Stream(streams.Stream):
    """Accepted wherever a stream is: the host has done all work when a call returns."""

    def __init__(self, priority: int = -1) -> None:
        super().__init__("cpu", priority=priority)


_only = Stream()


class StreamContext:
    """Changes nothing."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        return

    def __exit__(self, *exc: object) -> None:
        return


def stream(stream: Any) -> StreamContext:
    """A context that changes nothing."""
    return StreamContext(stream)


def current_stream(device: Any = None) -> Stream:
    """The one stream that there is."""
    return _only


def current_device() -> str:
    """The name of the only one."""
    return "cpu"


def device_count() -> int:
    """1."""
    return 1


def is_available() -> bool:
    """True."""
    return True


def is_initialized() -> bool:
    """True."""
    return True


def set_device(device: Any) -> None:
    """Accepted."""


def synchronize(device: Any = None) -> None:
    """Nothing to wait for."""


def get_capabilities() -> dict[str, Any]:
    """The architecture and the number of processors."""
    return {"architecture": platform.machine(), "num_logical_cores": os.cpu_count() or 1}
