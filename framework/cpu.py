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
from framework.amp import cpu as amp

__all__ = [
    "Event", "Stream", "StreamContext", "amp", "current_device", "current_stream", "device_count",
    "get_capabilities", "is_available", "is_initialized", "set_device", "stream", "synchronize",
]  # fmt: skip

Event = streams.Event


class Stream(streams.Stream):
    """Accepted wherever a stream is: the host has done all work when a call returns.

    >>> import framework as torch
    >>> s = torch.cpu.Stream()
    >>> s.synchronize()
    >>> s.query()
    True
    """

    def __init__(self, priority: int = -1) -> None:
        super().__init__("cpu", priority=priority)


_only = Stream()


class StreamContext:
    """Accepted wherever a stream is chosen; within it nothing changes.

    >>> import framework as torch
    >>> with torch.cpu.StreamContext(torch.cpu.Stream()):
    ...     torch.ones(2) * 2
    tensor([2., 2.])
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        return

    def __exit__(self, *exc: object) -> None:
        return


def stream(stream: Any) -> StreamContext:
    """``with torch.cpu.stream(s)``: a context that changes nothing.

    It never raises.

    >>> import framework as torch
    >>> with torch.cpu.stream(torch.cpu.Stream()):
    ...     torch.ones(2) * 2
    tensor([2., 2.])
    """
    return StreamContext(stream)


def current_stream(device: Any = None) -> Stream:
    """The one stream that there is.

    It never raises.

    >>> import framework as torch
    >>> torch.cpu.current_stream() is torch.cpu.current_stream()
    True
    """
    return _only


def current_device() -> str:
    """The name of the only one, "cpu".

    >>> import framework as torch
    >>> torch.cpu.current_device()
    'cpu'
    """
    return "cpu"


def device_count() -> int:
    """How many there are: always 1.

    >>> import framework as torch
    >>> torch.cpu.device_count()
    1
    """
    return 1


def is_available() -> bool:
    """Whether the host can be used: always.

    >>> import framework as torch
    >>> torch.cpu.is_available()
    True
    """
    return True


def is_initialized() -> bool:
    """Whether the host is ready: always.

    >>> import framework as torch
    >>> torch.cpu.is_initialized()
    True
    """
    return True


def set_device(device: Any) -> None:
    """Accepted: there is one device.

    It never raises.

    >>> import framework as torch
    >>> torch.cpu.set_device("cpu")
    """


def synchronize(device: Any = None) -> None:
    """Accepted: there is nothing to wait for.

    It never raises.

    >>> import framework as torch
    >>> torch.cpu.synchronize()
    """


def get_capabilities() -> dict[str, Any]:
    """The architecture and the number of processors.

    >>> import framework as torch
    >>> torch.cpu.get_capabilities()["num_logical_cores"] > 0
    True
    """
    return {"architecture": platform.machine(), "num_logical_cores": os.cpu_count() or 1}
