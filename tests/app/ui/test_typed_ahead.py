"""Keys that come in one piece, as over a slow link: each one means what it means on the screen."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from test_explain import bug, report
from textual import events
from ui_driver import MLP, program, write


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_text_for_a_form_that_opens_is_no_command(tmp_path: Path, size: tuple[int, int]) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), size) as d:
            d.session.add_breakpoint(op="relu")
            await d.press("f6")
            await d.stopped()
            events_before = d.session.store.last_seq
            d.send("B", *"nan once", "enter", "W", *"loss", "enter")
            await d.until(lambda: len(d.session.breakpoints) == 2, "the breakpoint")
            await d.until(lambda: d.session.watches, "the watch")
            await d.settled()
            assert d.session.breakpoints[1].condition == "nan"
            assert d.session.store.last_seq == events_before, "n is not a step, nor is s"
            assert not d.main.notebook.editing and not d.app.notebook.dirty
            d.send("2", "slash", *"linear", "enter")
            await d.until(lambda: "for 'linear'" in d.session.message, "what was found")
            assert "inear" in "".join(t for t, _ in d.main.graph.row(d.main.graph.selected, 200))

    asyncio.run(run())


def test_a_key_after_escape_is_for_what_is_below(tmp_path: Path) -> None:
    async def run() -> None:
        path = bug(tmp_path, "nan_in_step_37")
        write(tmp_path / "other.py", MLP)
        async with program(path) as d:
            await d.press("f6")
            await d.idle()
            for _ in range(3):
                await d.press("w")
                await report(d)
                d.send("escape", "f3")
                await d.until(lambda: d.main.prompt.is_open, "the prompt")
                await d.press("escape")
            d.send("B", *"op log", "escape", "f1", "escape", "f3", "down")
            await d.until(lambda: d.main.prompt.is_open, "the prompt")
            await d.quiet()
            assert not d.session.breakpoints
            assert not d.main.notebook.editing and not d.app.notebook.dirty

    asyncio.run(run())


def test_a_paste_comes_in_its_turn(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), kernel=False) as d:
            d.send("B")
            d.app.post_message(events.Paste("op relu inf"))
            d.send("enter")
            await d.until(lambda: d.session.breakpoints, "the breakpoint")
            (point,) = d.session.breakpoints
            assert (point.op, point.condition) == ("relu", "inf")

    asyncio.run(run())
