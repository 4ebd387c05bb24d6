"""Calls in a while that always come and wait while a key is being answered; keys one at a time."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from textual.dom import DOMNode
from textual.events import Key, Paste
from textual.message_pump import MessagePump

__all__ = ["Keys", "Turns", "due", "later", "sliced"]

SLICE = 0.008  # seconds of work between two keys
ANSWER = 0.08  # seconds that a key has for its answer
PATIENCE = 0.3  # seconds after which work goes on all the same
TURN = 1.0  # seconds after which the next key comes, whatever has become of the one before
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


class Turns:
    """Keys and pastes come one at a time, each when all is done that the one before has set off.

    Over a slow link several come in one piece. Handed on at once they would all go to what has the
    focus now: the text for a form that the first one opens would be commands, and what follows an
    Escape would go to the report that it closes.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._held: deque[Key | Paste] = deque()
        self._busy = False
        self._turn = 0
        self._screen: object = None  # the one on top, if it stands

    def keep(self, event: Key | Paste) -> bool:
        """Is it not its turn yet? It is kept then, and comes by `TapebookApp.hand_on`."""
        if self._busy:
            self._held.append(event)
        return self._busy

    def begin(self) -> None:
        """One is handed on."""
        self._turn, self._busy = self._turn + 1, True
        loop = asyncio.get_running_loop()
        loop.call_later(TURN, self._app.call_later, self._over, self._turn)

    async def follow(self, target: DOMNode) -> None:
        """It was handed to a widget: from there it goes up to the program, and this behind it.

        Twice: what the widget makes of it (an input is submitted) goes the same way after it.
        """
        way = target.ancestors_with_self
        await self._behind([*way, *way], self._turn)

    async def _behind(self, pumps: Sequence[MessagePump], turn: int) -> None:
        for i, pump in enumerate(pumps):
            if pump.call_later(self._behind, pumps[i + 1 :], turn):  # else it is gone
                return
        await self._settle(turn)

    async def _settle(self, turn: int) -> None:
        """It has come to its end; a screen that it opened has still to stand, with its focus."""
        app = self._app
        if turn != self._turn or not app.is_running:
            return
        top = app.screen
        if top is self._screen:
            await self._over(turn)
        elif top.is_mounted:
            self._screen = top
            await self._behind([top, app], turn)
        else:
            later(app, AGAIN, partial(self._settle, turn), patience=0)

    async def _over(self, turn: int) -> None:
        if turn != self._turn or not self._busy:
            return
        self._busy = False
        if self._held:
            await self._app.hand_on(self._held.popleft())


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
