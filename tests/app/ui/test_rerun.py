"""A step whose values are gone is run again by one key, which says whether it was the same."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from ui_driver import Driver, program, write

LONG = """\
# %%
import os
import time
import framework as torch
from framework import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.5), nn.Linear(16, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
here = os.getpid()

# %%
for step in range(40):
    x = torch.randn(12, 8)
    STRANGE
    loss = model(x).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step)
    time.sleep(0.03)
"""


async def look_at_step(d: Driver, number: int) -> int:
    """The inspector shows the first op of a training step; returns its event."""
    store = d.session.store
    step = next(s for s in store.steps if s.number == number)
    seq = next(e.seq for e in store.events(step.first_seq, step.end_seq)
               if getattr(e, "name", "") == "linear" and getattr(e, "outputs", ()))  # fmt: skip
    d.session.go(seq)
    await d.press("3")
    await d.settled()
    return seq


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_the_values_of_a_step_are_there_again(tmp_path: Path, size: tuple[int, int]) -> None:
    async def run() -> None:
        text = LONG.replace("    STRANGE\n", "")
        async with program(write(tmp_path / "long.py", text), size) as d:
            await d.press("f6")
            await d.idle()
            seq = await look_at_step(d, 20)
            await d.until(lambda: "a runs its step again" in " ".join(d.rows("inspector").split()))
            await d.press("a")
            await d.until(lambda: "was run again" in d.session.message, "the re-run")
            assert "step 20 was run again: the same" in d.session.message
            await d.until(lambda: "norm" in d.rows("inspector"), "the value")
            assert "run again" in d.rows("inspector") and d.session.cursor == seq
            output = "".join(o.text for o in d.app.notebook.cells[-1].outputs)
            assert output.split() == [str(i) for i in range(40)]
            await look_at_step(d, 25)
            await d.until(lambda: "a runs its step again" in " ".join(d.rows("inspector").split()))

    asyncio.run(run())


def test_a_step_that_goes_another_way_is_not_passed_off_as_the_same(tmp_path: Path) -> None:
    async def run() -> None:
        text = LONG.replace("STRANGE", "x = x.exp() if os.getpid() != here else x")
        async with program(write(tmp_path / "long.py", text)) as d:
            await d.press("f6")
            await d.idle()
            await look_at_step(d, 20)
            await d.press("a")
            await d.until(lambda: "ran differently" in d.session.message, "the re-run")
            message = d.session.message
            assert d.session.problem and "cell 2, line " in message and "exp" in message
            assert "first in step" in message

    asyncio.run(run())


def test_why_goes_on_in_a_step_that_is_run_again(tmp_path: Path) -> None:
    """Where the values end, the report leads there, and then takes those of the re-run."""

    async def run() -> None:
        bad = "if step == 5: scale = torch.log(x.mean() * 0 - 1)"
        text = (
            LONG.replace("STRANGE", bad) + "    last = loss.detach() * scale if step == 39 else 0"
        )
        async with program(write(tmp_path / "long.py", text)) as d:
            await d.press("f6")
            await d.idle()
            store = d.session.store
            muls = [e for e in store.tape if getattr(e, "name", "") == "mul"]
            d.session.go(muls[-1].seq)
            await d.settled()
            await d.press("w")
            await d.until(lambda: getattr(d.app.screen, "ready", False), "the report")
            text = " ".join(d.text().split())
            assert "a runs that step again" in text and "go to step 6" in text, text
            assert "there a runs the step" in text, text
            rows = len(d.app.screen.pane.report.entries)
            await d.press(*["down"] * rows, "enter")
            await d.until(lambda: d.app.screen is d.main, "the main screen")
            assert store.step_at(d.session.cursor).number == 6
            await d.press("a")
            await d.until(lambda: "was run again" in d.session.message, "the re-run")
            d.session.go(muls[-1].seq)
            await d.settled()
            await d.press("w")
            await d.until(lambda: getattr(d.app.screen, "ready", False), "the report")
            text = " ".join(d.text().split())
            assert "log of a negative number" in text and "runs that step" not in text, text

    asyncio.run(run())


def test_there_is_nothing_to_run_again_yet(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "long.py", LONG)) as d:
            await d.until(lambda: d.session.state == "idle", "the kernel")
            await d.press("a")
            assert "\n" not in d.session.message

    asyncio.run(run())
