"""Calls in a while that always come, and that wait while a key is being answered."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any

from textual.message_pump import MessagePump

__all__ = ["Keys", "due", "later", "sliced"]

SLICE = 0.008  # seconds of work between two keys
ANSWER = 0.08  # seconds that a key has for its answer
PATIENCE = 0.3  # seconds after which work goes on all the same
AGAIN = 0.005  # seconds between two looks at whether the key is answered


class Keys:
    """Whether a key is under way: it goes through six widgets, and work must not come between."""

    def __init__(self) -> None:
        self._pressed = -math.inf

    def pressed(self) -> None:
        """A key has come."""
        self._pressed = time.monotonic()

    def answered(self) -> None:
        """What it changes is on the screen."""
        self._pressed = -math.inf

    @property
    def under_way(self) -> bool:
        """Is one still to be answered? Only for a while: not every key does something."""
        return time.monotonic() - self._pressed < ANSWER


def later(
    pump: MessagePump, seconds: float, callback: Callable[[], object], patience: float = PATIENCE
) -> None:
    """Call a function of a widget (or of the program) in so many seconds, between two messages.

    A key that is under way comes first, for ``patience`` seconds at most. In place of Textual's
    `set_timer`, which leaves out a call whose time has come before it was looked at first: on a
    busy machine a wait of a millisecond is over by then.
    """
    until = time.monotonic() + seconds + patience
    asyncio.get_running_loop().call_later(seconds, due, pump, callback, until)


def due(pump: MessagePump, callback: Callable[[], object], until: float) -> None:
    """The time of a call has come."""
    app: Any = pump.app
    if app.keys.under_way and time.monotonic() < until:
        asyncio.get_running_loop().call_later(AGAIN, due, pump, callback, until)
    else:
        pump.call_later(callback)


def sliced(work: Callable[[], bool], seconds: float = SLICE) -> bool:
    """Do a piece of work, and more for a few milliseconds; True if there is more to do.

    ``work`` does a small piece and says whether there is another.
    """
    end = time.perf_counter() + seconds
    while more := work():
        if time.perf_counter() > end:
            break
    return more
