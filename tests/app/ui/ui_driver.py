"""Drives the program in a test: a real kernel, keys, and the screen as text."""

from __future__ import annotations

import asyncio
import difflib
import os
import re
import time
import unicodedata
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from textual import events
from textual.keys import REPLACED_KEYS, _character_to_key, _get_unicode_name_from_key
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from app.notebook import open_notebook
from app.ui.app import TapebookApp
from app.ui.later import due
from app.ui.main import MainScreen
from framework.trace.client import Client

ROUNDS = 12  # in which each widget hands on what it has; a key needs about six
PATIENCE = 300  # seconds after which something hangs, on a machine that does much else
SNAPSHOTS = Path(__file__).parent / "snapshots"

MLP = """\
# %% [markdown]
# # A small network
# Two layers on random data.

# %%
import framework as torch
from framework import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
loss_of = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

# %%
x = torch.randn(12, 8)
y = torch.randint(0, 4, (12,))

# %%
for step in range(3):
    loss = loss_of(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step}  loss {loss.item():.4f}")
"""


class Driver:
    """One running program."""

    def __init__(self, app: TapebookApp, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot
        self.session = app.session

    @property
    def main(self) -> MainScreen:
        return self.app.main

    async def press(self, *keys: str) -> None:
        """Press keys, each when what the one before has set off is over; text goes in at once.

        Not by `Pilot.press`: that waits, twice and for up to a second each time, until the process
        takes no time, which it does all the while a model runs or another window is open.
        """
        if self.session.state != "running":  # then it is never quiet, and the rounds of before do
            await self.quiet()
        for key, following in zip(keys, (*keys[1:], "")):  # the next one is for what this one opens
            field = isinstance(self.app.focused, (Input, TextArea))
            self.send(key)
            if not (field and len(key) == len(following) == 1):
                await self.quiet()

    def send(self, *keys: str) -> None:
        """Press keys without a look at what they do."""
        for key in keys:
            name = _character_to_key(key) if len(key) == 1 and not key.isalnum() else key
            named = _get_unicode_name_from_key(REPLACED_KEYS.get(name, name))
            character = key if len(key) == 1 else None
            with suppress(KeyError):
                character = unicodedata.lookup(named)
            self.app.post_message(events.Key(name, character))

    async def click(self, *arguments: Any, **options: Any) -> None:
        await self.pilot.click(*arguments, **options)
        await self.quiet()

    async def resize(self, width: int, height: int) -> None:
        await self.pilot.resize_terminal(width, height)
        await self.until(lambda: self.app._resize_event is None, "the size")

    async def quiet(self) -> None:
        """Wait until the program has done and drawn all that it can do by itself.

        A key goes up from the focused widget to the screen, and a layout down again, one message
        at a time: on a busy machine no number of pauses is enough. What a kernel has still to
        answer is not waited for: that is `settled`, or `until`. While a model runs there is no
        quiet; then it is enough that what a key sets off has had its rounds.
        """
        app, calm, rounds = self.app, 0, 0
        end = time.monotonic() + PATIENCE
        while calm < 2 and app.is_running and not app._exit and app._exception is None:
            if self._waits() and self.session.state not in ("running", "recording"):
                await asyncio.sleep(0.001)  # a fraction of what a pause costs
                calm = 0
            else:
                await self.pilot.pause(0)  # every widget has done what was waiting for it
                calm = 0 if self._busy() else calm + 1
                rounds += 1
            if rounds > ROUNDS and self.session.state in ("running", "recording"):
                break
            assert time.monotonic() < end, f"it is never quiet:\n{self.text()}"

    def _busy(self) -> bool:
        """Is a message, a call, a layout or a repaint under way?"""
        screen = self.app.screen
        if screen._layout_required or screen._repaint_required or screen._dirty_widgets:
            return True
        return self._waits()

    def _waits(self) -> bool:
        """Is a message or a call under way, which comes by itself?"""
        app, session = self.app, self.session
        if session.changed:
            app.tick()
            return True
        if session.state != "running":  # else there is always something that comes soon
            soon = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
            if any(_is_later(call) for call in soon):
                return True
        screen = app.screen
        pumps = [app, *(w for s in app.screen_stack for w in s.walk_children(with_self=True))]
        return bool(screen._callbacks) or any(
            p._next_callbacks or not p._message_queue.empty() for p in pumps
        )

    async def until(
        self, condition: Callable[[], object], what: str = "", limit: float = PATIENCE
    ) -> None:
        """Wait for something; the screen is in the message if it does not come."""
        end = time.monotonic() + limit
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"waited in vain for {what or condition}:\n{self.text()}")
            await asyncio.sleep(0.02)
        await self.quiet()

    async def stopped(self) -> None:
        """Wait until the model stands and everything about it has been answered."""
        await self.until(
            lambda: self.session.state == "paused" and not self.session.waiting_for_stop,
            "a stop",
        )

    async def settled(self) -> None:
        """Wait until nothing is asked any more."""
        await self.until(lambda: not self.session.waiting_for_stop, "answers")

    async def idle(self) -> None:
        """Wait until no cell runs and its events are here: they may come after its answer."""
        session = self.session

        def over() -> bool:
            return bool(session.runs) and session.state == "idle" and not session.executing

        await self.until(over, "idle")
        await self.caught_up()
        await self.until(over, "idle")
        await self.settled()

    async def caught_up(self) -> None:
        """Wait until all that has happened in the program is on the tape."""
        client = self.session.client
        assert isinstance(client, Client)
        answer = client.request("status")
        await self.until(answer.done, "where the program is")
        last = answer.result()["last_seq"]
        await self.until(lambda: self.session.store.last_seq >= last, f"event {last}")

    async def step(self, key: str = "n") -> None:
        """A step of the model, and its stop."""
        before = self.session.stop.seq if self.session.stop is not None else 0
        await self.press(key)
        await self.until(
            lambda: (
                self.session.state == "idle"
                or (self.session.stop is not None and self.session.stop.seq > before)
            ),
            f"the stop after {key}",
        )
        await self.settled()

    def text(self) -> str:
        """The screen, as it is seen."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text.rstrip() for strip in strips)

    def pane(self, name: str) -> str:
        """The rows of one pane that are in sight."""
        pane = self.main.pane(name)
        return "\n".join(pane.render_line(y).text.rstrip() for y in range(pane.size.height))

    def rows(self, name: str) -> str:
        """All rows of one pane, in sight or not."""
        pane = self.main.pane(name)
        rows = (pane.row(index, pane.room) for index in range(pane.count()))
        return "\n".join("".join(text for text, _ in row) for row in rows)


def _is_later(call: asyncio.TimerHandle) -> bool:
    """Is it one of `app.ui.later`?"""
    return call._callback is due and not call.cancelled()  # type: ignore[attr-defined]


@asynccontextmanager
async def program(
    path: Path, size: tuple[int, int] = (120, 40), *, kernel: bool = True
) -> AsyncIterator[Driver]:
    """The program on a notebook, with its kernel up."""
    app = TapebookApp(open_notebook(path), kernel=kernel)
    async with app.run_test(size=size) as pilot:
        driver = Driver(app, pilot)
        if kernel:
            await driver.until(lambda: driver.session.state == "idle", "the kernel")
        await driver.quiet()
        yield driver


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


_VOLATILE = (
    (re.compile(r"\d+(\.\d+)? (ns|µs|ms)(?=\W|$)"), "# µs"),
    (re.compile(r"✓ \d+\.\d\d s"), "✓ #.## s"),
    (re.compile(r" {2,}(\w+)-\d+$", re.MULTILINE), r"  \1-#"),
    (re.compile(r"\d\.\d\de-9(?=±)"), "#.##e-9"),  # a mean of zero, as this processor rounds it
)


def check_snapshot(name: str, text: str) -> None:
    """Compare with the file of that name; TAPEBOOK_SNAPSHOTS=write makes it anew."""
    for pattern, put in _VOLATILE:
        text = pattern.sub(put, text)
    text = re.sub(r" {2,}(?=# µs)", " ", text)
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("TAPEBOOK_SNAPSHOTS") == "write":
        path.write_text(text + "\n")
    assert path.exists(), f"no snapshot {path}: run with TAPEBOOK_SNAPSHOTS=write and look at it"
    if text + "\n" != path.read_text():
        lines = difflib.unified_diff(path.read_text().split("\n"), text.split("\n"), "then", "now")
        raise AssertionError(f"{path} differs:\n" + "\n".join(lines))
