"""What an hour of work with scripts of one's own stumbled over."""

from __future__ import annotations

import asyncio
from pathlib import Path

from test_explain import report
from ui_driver import MLP, program, write

ENDLESS = """\
import framework as torch
w = torch.ones(3, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=1e-4)
while True:
    optimizer.zero_grad()
    (w * w).sum().backward()
    optimizer.step()
"""


def test_a_notebook_of_pytorch_s_own_is_told_what_to_import(tmp_path: Path) -> None:
    async def run() -> None:
        path = write(tmp_path / "theirs.py", "# %%\nx = 1\n\n# %%\nimport torch.never_there\n")
        async with program(path) as d:
            await d.press("f6")
            await d.idle()
            shown = " ".join(d.pane("graph").replace("│", " ").split())
            assert "cell 2, line 1 imports PyTorch itself" in shown, shown
            assert "import framework as torch" in shown

    asyncio.run(run())


def test_what_is_said_while_the_model_runs(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "endless.py", ENDLESS)) as d:
            await d.press("f6")
            await d.until(lambda: len(d.session.store.steps) > 3, "some steps")
            assert "the model is running: p pauses it" in " ".join(d.pane("inspector").split())
            await d.press("w")
            assert d.app.screen is d.main, "an answer would be of a moment that is gone"
            assert "w asks when it stands" in d.session.message
            await d.press("p")
            await d.stopped()
            await d.press("w")
            await report(d)
            assert "nothing is wrong" in d.text()
            await d.press("escape", "ctrl+c")
            await d.idle()
            assert d.session.message == "cell 1 was interrupted"

    asyncio.run(run())


def test_the_question_says_what_comes_after_it(tmp_path: Path) -> None:
    async def run() -> None:
        write(tmp_path / "b.py", MLP)
        async with program(write(tmp_path / "a.py", MLP), kernel=False) as d:
            await d.press("o", *"x = 1", "escape")
            await d.press("f3", *str(tmp_path / "b.py"), "enter")
            assert "save and open b.py" in d.text() and "discard them and open b.py" in d.text()
            await d.press("escape", "ctrl+q")
            assert "save and quit" in d.text()
            await d.press("escape")

    asyncio.run(run())


def test_what_is_looked_at_stays_in_sight_when_the_window_changes(tmp_path: Path) -> None:
    cells = [f"# %%\nx{n} = {n}  # {'a long comment ' * 5}\n" for n in range(30)]

    async def run() -> None:
        path = write(tmp_path / "long.py", "\n".join(cells))
        async with program(path, (200, 40), kernel=False) as d:
            view = d.main.notebook.view
            view.jump(view.rows.row_of(d.app.notebook.cells[12].id))
            await d.quiet()
            assert "x12 =" in d.pane("notebook").splitlines()[0], d.text()
            await d.resize(60, 20)
            assert "x12 =" in d.pane("notebook"), d.text()
            await d.resize(120, 40)
            assert "x12 =" in d.pane("notebook"), d.text()

    asyncio.run(run())
