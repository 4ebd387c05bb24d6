"""The mouse: scrubbing on the time line."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ui_driver import MLP, program, write


def test_a_click_on_the_time_line_scrubs(tmp_path: Path) -> None:
    """A click puts the cursor there; `end` brings it back to the head."""

    async def scenario() -> None:
        async with program(write(tmp_path / "mlp.py", MLP)) as d:
            await d.press("f6")
            await d.idle()
            head = d.session.cursor
            await d.click("#timeline", offset=(60, 1))
            await d.settled()
            assert 0 < d.session.cursor < head
            assert d.session.moment.seq == d.session.cursor
            await d.press("end")
            await d.until(lambda: d.session.cursor == head, "the head again")

    asyncio.run(scenario())
