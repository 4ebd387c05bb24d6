"""Start and end of what NVIDIA's profilers collect, through CuPy; nothing on a fake device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from framework.cuda.devices import need, real

__all__ = ["profile", "start", "stop"]


def start() -> None:
    """Let a profiler that is attached to this process collect from now on.

    AssertionError without a CUDA device.

    >>> import framework as torch
    >>> torch.cuda.profiler.start()
    """
    need()
    if cupy := real():
        cupy.cuda.profiler.start()


def stop() -> None:
    """Let an attached profiler collect no longer.

    AssertionError without a CUDA device.

    >>> import framework as torch
    >>> torch.cuda.profiler.stop()
    """
    need()
    if cupy := real():
        cupy.cuda.profiler.stop()


@contextmanager
def profile() -> Iterator[None]:
    """`start`, and `stop` after the block.

    >>> import framework as torch
    >>> with torch.cuda.profiler.profile():
    ...     torch.ones(2) * 2
    tensor([2., 2.])
    """
    start()
    try:
        yield
    finally:
        stop()
