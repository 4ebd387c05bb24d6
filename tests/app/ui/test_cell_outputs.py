"""What a cell puts out, where it is seen: it comes into sight, and is readable in a narrow pane."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from ui_driver import Driver, program, write

from framework.trace.protocol import Output

LONG = """\
# %%
import time
def helper(a, b):
    return a + some_quite_long_variable_name_here(a, b, "more text")

# %%
for i in range(30):
    print("line", i)

# %%
print("here", "at", "the end")

# %%
helper(1, 2)
"""


async def ran(d: Driver, *keys: str) -> None:
    await d.press(*keys)
    await d.idle()


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=str)
def test_the_output_of_a_cell_that_was_run_comes_into_sight(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "a.py", LONG), size) as d:
            view, cells = d.main.notebook.view, d.app.notebook.cells
            await ran(d, "ctrl+r")
            view.select_cell(cells[1].id)
            await ran(d, "ctrl+r")
            assert "line 29" in d.pane("notebook"), d.text()
            assert view.cell is cells[1], "the selection stays"

            await d.press("up")  # who goes somewhere is left there
            await d.press("home")
            d.session.run([cells[1].id])
            await d.idle()
            assert view.scroll_offset.y == 0

            view.select_cell(cells[1].id)
            await ran(d, "ctrl+j")  # and on to the next one: it stays in sight
            assert view.cell is cells[2]
            assert "line 29" in d.pane("notebook") and "▌" in d.pane("notebook"), d.text()

            await d.press("home")
            await ran(d, "f6")
            assert "NameError: name 'some_quite" in d.pane("notebook"), d.text()

    asyncio.run(run())


def test_a_step_does_not_scroll_to_outputs(tmp_path: Path) -> None:
    text = "# %%\nfor i in range(40):\n    print('a', i)\n    print('b', i)\n"

    async def run() -> None:
        async with program(write(tmp_path / "a.py", text), (80, 24)) as d:
            await d.press("B", *"at cell 1, line 3 hit 30", "enter", "f6")
            await d.stopped()
            for _ in range(4):
                epoch = d.session.epoch
                await d.press("l")
                await d.until(lambda: d.session.epoch > epoch + 1, "the line")  # noqa: B023
                await d.stopped()
                assert "▶" in d.pane("notebook"), d.text()

    asyncio.run(run())


def test_a_traceback_fits_a_narrow_pane(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "a.py", LONG), (80, 24)) as d:
            await ran(d, "f6")
            rows = [line.rstrip() for line in d.rows("notebook").split("\n")]
            room = d.main.notebook.view.room
            assert all(len(row) <= room for row in rows)
            at = next(i for i, row in enumerate(rows) if row.startswith(" NameError Traceback"))
            assert set(rows[at - 1].strip()) == {"-"} and "-" not in rows[at + 1]
            arrow = next(i for i, row in enumerate(rows) if "----> 3" in row)
            assert rows[arrow].endswith("return a +"), rows[arrow:]
            assert rows[arrow + 1].startswith(" " * 13 + "some_quite"), rows[arrow:]

    asyncio.run(run())


DEEP = """\
# %%
import framework as torch
for i in range(30):
    print(i)

# %%
import math
y = torch.ones(10**7, 10**7)
"""


def test_where_the_model_stands_stays_in_sight_above_a_long_message(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "a.py", DEEP), (80, 24)) as d:
            await d.press("f6")
            await d.stopped()
            assert "Unable to allocate" in d.text() and d.main.status.size.height > 1, d.text()
            assert "▶ 2" in d.pane("notebook"), d.text()
            cell = d.session.notebook.cells[0].id  # whose output may come after the stop
            d.session._output(Output(cell=cell, kind="stream", name="stdout", text="late\n" * 30))
            await d.quiet()
            assert "▶ 2" in d.pane("notebook"), d.text()
            await d.press("c")
            await d.idle()
            assert "NoMemory: ones" in d.pane("notebook"), d.text()

    asyncio.run(run())


UPDATED = """\
# %%
shown = display("first", display_id=True)

# %%
for number in range(3):
    shown.update(f"number {number}")
print("done")

# %%
from IPython.display import clear_output
for number in range(3):
    clear_output(wait=True)
    print("pass", number)
clear_output(wait=True)
"""


def test_what_was_displayed_changes_where_it_stands(tmp_path: Path) -> None:
    """Also from another cell; and what is to be cleared stays until something follows."""

    async def run() -> None:
        async with program(write(tmp_path / "a.py", UPDATED)) as d:
            cells = d.app.notebook.cells
            await ran(d, "f6")
            assert [o.data["text/plain"] for o in cells[0].outputs] == ["'number 2'"]
            assert [o.text for o in cells[1].outputs] == ["done\n"]
            assert [o.text for o in cells[2].outputs] == ["pass 2\n"]
            assert "'number 2'" in d.pane("notebook") and "'first'" not in d.text(), d.text()

    asyncio.run(run())
