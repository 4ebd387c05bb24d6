"""The three planted bugs of examples/bugs, found with the program's keys; and the report itself."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from ui_driver import Driver, program, write

from app.ui.screens.report import ReportScreen

BUGS = Path(__file__).resolve().parents[3] / "examples" / "bugs"


def bug(tmp_path: Path, name: str) -> Path:
    return Path(shutil.copy(BUGS / f"{name}.py", tmp_path))


async def report(d: Driver) -> ReportScreen:
    """The report, when it is made."""

    def made() -> bool:
        screen = d.app.screen
        return isinstance(screen, ReportScreen) and "looking" not in d.text()

    await d.until(made, "the report")
    screen = d.app.screen
    assert isinstance(screen, ReportScreen)
    return screen


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_the_nan_of_step_37_is_found_with_three_keys(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async def run() -> None:
        async with program(bug(tmp_path, "nan_in_step_37"), size) as d:
            await d.press("f6")
            await d.idle()
            await d.press("w")
            await report(d)
            text = d.text()
            assert "log of 0 is -inf" in text and "step 37" in text
            assert "cell 3, line 4" in text and "torch.log(p)" in text
            await d.press("enter")  # to the op, in all panes
            await d.until(lambda: d.app.screen is d.main, "the main screen")
            await d.settled()
            subject = d.session.moment.subject
            assert getattr(subject, "name", "") == "log"
            assert d.session.store.step_at(d.session.cursor).number == 37
            assert d.session.place is not None and d.session.place[1] == 4

    asyncio.run(run())
