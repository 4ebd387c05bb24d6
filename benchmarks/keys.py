"""Keys in large steps, by the processor: what the program's thread does from a key to the screen.

Other programs do not lengthen it, so that one slow key shows on a busy machine, too. The program
runs in this process, its kernel in another; the terminal is one that only counts what is written.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from textual.drivers.headless_driver import HeadlessDriver
from textual.events import Key

from app.notebook import open_notebook
from app.ui.app import TapebookApp
from benchmarks.ratio import Plan
from benchmarks.table import Table

__all__ = ["report"]

SIZE = (120, 40)
# What is pressed, where the focus goes first, and how often.
KEYS: dict[str, tuple[str, str, int]] = {
    "scrolling a page": ("2", "pageup", 9),
    "going to the end": ("2", "end", 3),
    "opening or closing all: the first change": ("2", "*", 6),
    "a letter of a search": ("2/", "n", 5),
    "looking back": ("", "N", 9),
    "scrubbing": ("4", "left", 9),
    "a step by line along the tape": ("N", "l", 1),
}
LONGEST = "the longest work between two keys"
NAMES = {"*": "asterisk", "/": "slash"}


class _Counting(HeadlessDriver):
    """A terminal that shows nothing and notes when something was drawn first."""

    drawn: ClassVar[float | None] = None
    written: ClassVar[int] = 0

    @property
    def is_headless(self) -> bool:
        return False  # so that everything is drawn

    def write(self, data: str) -> None:
        if len(data) < 30:  # modes of the terminal
            return
        _Counting.written += len(data)
        if _Counting.drawn is None:
            _Counting.drawn = time.thread_time()


class _Program(TapebookApp):
    def _watch_terminal(self) -> None:
        """There is none."""

    def _catch_signals(self) -> None:
        """They are for who measures."""


def report(plan: Plan) -> Table:
    """Processor time of the program's thread, from a key to the first change on the screen."""
    from benchmarks.ui import by_step

    table = by_step(plan, "keys", "keys, by the processor", _measured)
    table.notes.append(
        "Processor time of the program's thread from the key to the first change, median and "
        "longest. Bound: 100 ms."
    )
    return table


def _measured(text: str, count: int) -> dict[str, str]:
    """In an event loop of its own."""
    path = Path(tempfile.mkdtemp()) / "bench.py"
    path.write_text(text.format(count=count), encoding="utf-8")
    found: dict[str, str] = {}

    async def run() -> None:
        app = _Program(open_notebook(path))
        app.driver_class = _Counting
        async with app.run_test(size=SIZE, headless=False):
            await _until(lambda: app.session.state == "idle")
            await _quiet(app)
            with _longest() as longest:
                await _run(app)
            for name, (there, key, times) in KEYS.items():
                await _press(app, "escape")
                for letter in there:
                    await _press(app, letter)
                each = [await _press(app, key) for _ in range(times)]
                middle, most = statistics.median(each), max(each)
                found[name] = f"{middle * 1000:.0f}, {most * 1000:.0f} ms"
            found[f"{LONGEST}, while it is taken in"] = f"{longest[0] * 1000:.0f} ms"

    asyncio.run(run())
    return found


async def _run(app: TapebookApp) -> None:
    """Run the only cell, until all of it is on the screen."""
    session = app.session
    app.post_message(Key("r", "r"))
    await _until(lambda: bool(session.runs) and not session.executing and session.state == "idle")
    assert session.client is not None
    answer: Any = session.client.request("status")
    await _until(answer.done)
    last = answer.result()["last_seq"]
    await _until(lambda: session.store.last_seq >= last)
    await _quiet(app)


async def _until(there: Callable[[], bool]) -> None:
    while not there():
        await asyncio.sleep(0.01)


async def _quiet(app: TapebookApp) -> None:
    """Until nothing is drawn or read any more."""
    written = -1
    while written != _Counting.written or app.session.pending or app.main.graph.behind:
        written = _Counting.written
        await asyncio.sleep(0.3)


async def _press(app: TapebookApp, key: str) -> float:
    """Press a key; processor seconds of this thread until the screen shows something new."""
    await _quiet(app)
    _Counting.drawn, began = None, time.thread_time()
    app.post_message(Key(NAMES.get(key, key), key if len(key) == 1 else None))
    end = time.monotonic() + 5.0
    while _Counting.drawn is None and time.monotonic() < end:
        await asyncio.sleep(0.002)
    return 0.0 if _Counting.drawn is None else _Counting.drawn - began


@contextmanager
def _longest() -> Iterator[list[float]]:
    """The longest that the thread was not free for a key, in processor time."""
    handle: Any = asyncio.Handle
    run, found = handle._run, [0.0]

    def timed(self: object) -> None:
        began = time.thread_time()
        run(self)
        found[0] = max(found[0], time.thread_time() - began)

    handle._run = timed
    try:
        yield found
    finally:
        handle._run = run
