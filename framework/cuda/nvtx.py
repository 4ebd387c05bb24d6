"""Marks for NVIDIA's profilers: accepted, with the numbers that they return."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["mark", "range", "range_end", "range_pop", "range_push", "range_start"]

_depth = 0


def range_push(msg: str) -> int:
    """Begin a range; returns how many are open around it.

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
    """End the innermost range; returns its number."""
    global _depth
    _depth = max(_depth - 1, 0)
    return _depth


def range_start(msg: str) -> int:
    """Begin a range that may overlap with others; returns its handle."""
    return 0


def range_end(range_id: int) -> None:
    """End a range of `range_start`."""


def mark(msg: str) -> None:
    """Mark a moment."""


@contextmanager
def range(msg: str, *args: Any, **kwargs: Any) -> Iterator[None]:
    """A range as a context manager; the message is formatted with the arguments."""
    range_push(msg.format(*args, **kwargs))
    try:
        yield
    finally:
        range_pop()
