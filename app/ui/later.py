"""A call in a while that always comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from textual.message_pump import MessagePump

__all__ = ["later"]


def later(pump: MessagePump, seconds: float, callback: Callable[[], object]) -> None:
    """Call a function of a widget (or of the program) in so many seconds, between two messages.

    In place of Textual's `set_timer`, which leaves out a call whose time has come before it was
    looked at first: on a busy machine a wait of a millisecond is over by then.
    """
    asyncio.get_running_loop().call_later(seconds, pump.call_later, callback)
