"""Marks for NVIDIA's profilers: accepted, with the numbers that they return."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["mark", "range", "range_end", "range_pop", "range_push", "range_start"]

_depth = 0


def range_push(msg: str) -> int:
    """Begin a range; returns how many are open around it.

    It never raises.

    >>> import framework as torch
    >>> torch.cuda.nvtx.range_push("outer"), torch.cuda.nvtx.range_push("inner")
    (0, 1)
    >>> torch.cuda.nvtx.range_pop(), torch.cuda.nvtx.range_pop()
    (1, 0)
    """
    global _depth
    _depth += 1
    return _depth - 1


def range_pop() -> int:
    """End the innermost range of `range_push`; returns its number, 0 if there is none.

    >>> import framework as torch
    >>> _ = torch.cuda.nvtx.range_push("forward")
    >>> torch.cuda.nvtx.range_pop()
    0
    """
    global _depth
    _depth = max(_depth - 1, 0)
    return _depth


def range_start(msg: str) -> int:
    """Begin a range that may overlap with others; returns its handle, for `range_end`.

    It never raises.

    >>> import framework as torch
    >>> handle = torch.cuda.nvtx.range_start("loading")
    >>> torch.cuda.nvtx.range_end(handle)
    """
    return 0


def range_end(range_id: int) -> None:
    """End a range of `range_start`.

    An unknown handle is passed over: it never raises.

    >>> import framework as torch
    >>> torch.cuda.nvtx.range_end(torch.cuda.nvtx.range_start("loading"))
    """


def mark(msg: str) -> None:
    """Mark a moment.

    It never raises.

    >>> import framework as torch
    >>> torch.cuda.nvtx.mark("epoch")
    """


@contextmanager
def range(msg: str, *args: Any, **kwargs: Any) -> Iterator[None]:
    """A range as a context manager; the message is formatted with the arguments.

    IndexError or KeyError where they are not what the message asks for.

    >>> import framework as torch
    >>> with torch.cuda.nvtx.range("epoch {}", 3):
    ...     torch.ones(2) * 2
    tensor([2., 2.])
    """
    range_push(msg.format(*args, **kwargs))
    try:
        yield
    finally:
        range_pop()
