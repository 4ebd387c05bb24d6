"""Drives the program in a test: a real kernel, keys, and the screen as text."""

from __future__ import annotations

import asyncio
import difflib
import os
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot

from app.notebook import open_notebook
from app.ui.app import TapebookApp
from app.ui.main import MainScreen
from framework.trace.events import CellBegin, CellEnd

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
        for key in keys:
            await self.pilot.press(key)
        for _ in range(5):  # a key goes up from the focused widget to the screen, one at a time
            await self.pilot.pause()

    async def until(
        self, condition: Callable[[], object], what: str = "", limit: float = 30
    ) -> None:
        """Wait for something; the screen is in the message if it does not come."""
        end = time.monotonic() + limit
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"waited in vain for {what or condition}:\n{self.text()}")
            await asyncio.sleep(0.02)
            await self.pilot.pause()
        await self.pilot.pause()

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
        await self.until(
            lambda: session.runs and session.state == "idle" and not session.executing, "idle"
        )
        failed = any(run.state == "failed" for run in session.runs.values())
        end = time.monotonic() + (1.0 if failed else 15.0)  # what does not compile has no events
        while not self._whole() and time.monotonic() < end:
            await asyncio.sleep(0.02)
        await self.until(lambda: session.state == "idle", "idle")
        await self.settled()

    def _whole(self) -> bool:
        """Is the last event the end of the cell that ran last?"""
        session, store = self.session, self.session.store
        last = store.event(store.last_seq)
        begin = store.event(last.begin) if isinstance(last, CellEnd) else None
        if not isinstance(begin, CellBegin) or not session.runs:
            return False
        cell = max(session.runs, key=lambda cell: session.runs[cell].began)
        return begin.cell == cell and begin.count == self.app.notebook.cell(cell).execution_count

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


@asynccontextmanager
async def program(
    path: Path, size: tuple[int, int] = (120, 40), *, kernel: bool = True
) -> AsyncIterator[Driver]:
    """The program on a notebook, with its kernel up."""
    app = TapebookApp(open_notebook(path), kernel=kernel)
    async with app.run_test(size=size) as pilot:
        driver = Driver(app, pilot)
        if kernel:
            await driver.until(lambda: driver.session.state == "idle", "the kernel", 30)
        await pilot.pause()
        yield driver


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


_VOLATILE = (
    (re.compile(r"\d+(\.\d+)? (ns|µs|ms)(?=\W|$)"), "# µs"),
    (re.compile(r"✓ \d+\.\d\d s"), "✓ #.## s"),
    (re.compile(r" {2,}(\w+)-\d+$", re.MULTILINE), r"  \1-#"),
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
