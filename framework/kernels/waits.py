"""`cuda.set_sync_debug_mode`: what waits for a CUDA device says so, or raises.

Asked where a tensor's numbers, or how many of them there are, must be known on the host: who does
that waits anyway, so that one test of ``mode`` costs nothing. Named is what PyTorch's own mode
names. Not named is what is waited for here alone (is each index in range? are all targets
classes?), nor what a debugger looks at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from framework.cautions import caution
from framework.kernels import to_host

__all__ = ["fetched", "mode", "told", "transferred", "unsaid", "waited"]

mode = 0  # 0: nothing is said, 1: a warning, 2: an error


def told() -> None:
    """Say that a device is waited for. RuntimeError in mode 2."""
    words = "called a synchronizing CUDA operation"
    if mode == 2:
        raise RuntimeError(words)
    caution(words)


def waited(place: Any) -> None:
    """What is on the device ``place`` is waited for; nothing is said of the CPU."""
    if place.type == "cuda":
        told()


def fetched(array: Any, place: Any) -> np.ndarray:
    """A NumPy array with the contents of one on the device ``place``, as `to_host` makes it."""
    if mode:
        waited(place)
    return to_host(array)


@contextlib.contextmanager
def unsaid() -> Iterator[None]:
    """Within, nothing is said: a debugger looks, whose program stands."""
    global mode
    before, mode = mode, 0
    try:
        yield
    finally:
        mode = before


def transferred(source: Any, target: Any, non_blocking: bool) -> None:
    """A copy, which is waited for if it crosses to the host or from there."""
    if not non_blocking and {source.type, target.type} == {"cpu", "cuda"}:
        told()
