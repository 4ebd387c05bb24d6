"""What-if on the screen, with real kernels and a real attached program: change, compare, leave."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_attach import SCRIPT, _connect
from test_explain import report
from ui_driver import MLP, Driver, program, write

from app.attach import notebook_for
from app.ui.app import TapebookApp
from app.ui.screens.confirm import ConfirmScreen
from framework.trace.events import Mark


async def stop_at_relu(d: Driver) -> None:
    """The third cell stands at the relu of its first step."""
    d.session.add_breakpoint(op="relu", once=True)
    await d.press("f6")
    await d.stopped()


async def type_change(d: Driver, text: str) -> None:
    """``e``, an assignment, Enter; and the branch is there."""
    await d.press("e")
    assert d.main.prompt.is_open, d.text()
    await d.press(*(dict(zip(" =.[]*:,()", NAMES)).get(c, c) for c in text), "enter")


NAMES = (
    "space", "equals_sign", "full_stop", "left_square_bracket", "right_square_bracket",
    "asterisk", "colon", "comma", "left_parenthesis", "right_parenthesis",
)  # fmt: skip


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_a_change_is_compared_and_dropped(tmp_path: Path, size: tuple[int, int]) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), size) as d:
            await stop_at_relu(d)
            session = d.session
            stop, name = session.stop, session.name
            await d.press("3")
            await d.until(lambda: "norm" in d.pane("inspector"), "the value")
            await d.settled()
            before = d.rows("inspector")
            assert "relu" in before
            await type_change(d, "it *= 100")
            await d.until(lambda: session.whatif.branch and session.whatif.branch.edits, "a branch")
            await d.settled()
            assert session.name != name and session.state == "paused"
            assert "what if" in d.text() and d.rows("inspector") != before
            await d.step("plus")
            await d.until(session.whatif.pairs, "the loss without the change")
            ((theirs, ours),) = session.whatif.pairs()
            assert ours > 2 * theirs
            assert "loss" in session.whatif.words() and "→" in session.whatif.words()
            await d.press("D")
            await report(d)
            text = d.text()
            assert "as it is" in text and "in the branch" in text
            assert "first divergence" in text and "linear" in text
            await d.press("escape", "X")
            assert isinstance(d.app.screen, ConfirmScreen) and "drop the branch" in d.text()
            await d.press("d")
            assert session.whatif.branch is None and session.name == name
            await d.settled()
            assert session.stop == stop and session.cursor == stop.seq == session.live_seq
            assert not any(isinstance(e, Mark) for e in session.store.tape)
            await d.until(lambda: d.rows("inspector") == before, "the inspector as it was")
            await d.press("c")
            await d.idle()
            assert [run.state for run in session.runs.values()] == ["done"] * 3
            assert d.app.notebook.cells[-1].outputs[0].text.count("step") == 3

    asyncio.run(run())


def test_adopted_the_notebook_goes_on_in_the_branch(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP)) as d:
            await stop_at_relu(d)
            session = d.session
            await type_change(d, "optimizer.param_groups[0]['lr'] = 0.0")
            await d.until(lambda: session.whatif.branch and session.whatif.branch.edits, "a branch")
            await d.press("X", "a")
            await d.until(lambda: session.whatif.branch is None, "the adoption")
            await d.press("c")
            await d.idle()
            output = d.app.notebook.cells[-1].outputs[0].text.split()
            assert len({output[i] for i in (3, 7, 11)}) == 1, "nothing is learnt without a rate"
            cell = d.app.notebook.cells[-1].id
            session.run([cell])  # it is a kernel like any other
            await d.idle()
            assert session.runs[cell].state == "done"
            session.restart()
            await d.until(lambda: session.state == "idle", "a new kernel")

    asyncio.run(run())


def test_losses_are_of_the_same_steps_when_the_branch_runs_on(tmp_path: Path) -> None:
    """A change that changes nothing: however far the branch has run, the two are the same."""

    async def run() -> None:
        long = MLP.replace("range(3)", "range(40)")
        async with program(write(tmp_path / "mlp.py", long)) as d:
            await stop_at_relu(d)
            session = d.session
            await type_change(d, "optimizer.param_groups[0]['lr'] = 0.1")
            await d.until(lambda: session.whatif.branch and session.whatif.branch.edits, "a branch")
            await d.press("c")
            await d.until(lambda: session.state == "idle", "the branch's end")
            await d.until(lambda: len(session.whatif.branch.base.losses) == 40, "the baseline")
            pairs = [p for p in session.whatif.pairs() if p[0] == p[0] and p[1] == p[1]]
            assert len(pairs) == 40 and all(a == b for a, b in pairs), pairs
            await d.press("D")
            await report(d)
            assert "no difference" in d.text()

    asyncio.run(run())


def test_a_run_in_the_branch_is_forgotten_with_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP)) as d:
            await stop_at_relu(d)
            session = d.session
            await type_change(d, "it[0] = 0")
            await d.until(lambda: session.whatif.branch and session.whatif.branch.edits, "a branch")
            await d.press("c")
            await d.until(lambda: session.state == "idle", "the branch's end")
            await d.until(lambda: d.app.notebook.cells[-1].outputs, "its output")
            await d.press("X", "d")
            assert not d.app.notebook.cells[-1].outputs and session.state == "paused"
            await d.press("c")
            await d.idle()
            assert d.app.notebook.cells[-1].outputs

    asyncio.run(run())


def test_what_cannot_be_changed_is_said_in_a_line(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP)) as d:
            session = d.session
            await d.until(lambda: session.state == "idle", "the kernel")
            await d.press("e")
            assert "changed at a stop" in session.message
            await d.press("X")
            assert "the program itself" in session.message
            await stop_at_relu(d)
            await d.press("N", "e")
            assert "where the model stands" in session.message
            await d.press("end")
            for text, words in (
                ("it = ", "no assignment"), ("it[99, 0] = 1", "out of bounds"), ("it = zzz", "zzz"),
            ):  # fmt: skip
                await type_change(d, text)
                await d.until(lambda words=words: words in session.message, words)
                assert session.whatif.branch is None and session.state == "paused"

    asyncio.run(run())


def test_of_an_attached_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    script = write(tmp_path / "train.py", SCRIPT)
    process = subprocess.Popen([sys.executable, "-m", "app", "run", str(script)])

    async def run() -> None:
        client = _connect()
        app = TapebookApp(notebook_for(client), client=client)
        async with app.run_test(size=(120, 40)) as pilot:
            d = Driver(app, pilot)
            session = d.session
            await d.until(lambda: session.state == "running", "the program")
            await d.press("p")
            await d.stopped()
            seq = session.stop.seq
            await type_change(d, "opt.param_groups[0]['lr'] = 0.9")
            await d.until(lambda: session.whatif.branch and session.whatif.branch.edits, "a branch")
            pid = session.whatif.branch.pid
            await d.step("plus")
            await d.press("X", "d")
            await d.settled()
            assert session.stop.seq == seq
            await type_change(d, "opt.param_groups[0]['lr'] = 0.9")
            await d.until(lambda: session.whatif.branch and session.whatif.branch.edits, "another")
            other = session.whatif.branch.pid
            await d.press("ctrl+q")
        for copy in (pid, other):
            with pytest.raises(ProcessLookupError):
                for _ in range(1200):
                    os.kill(copy, 0)
                    await asyncio.sleep(0.05)
        assert process.poll() is None, "leaving must not end it"

    try:
        asyncio.run(run())
    finally:
        process.kill()
        process.wait()


def test_an_attribute_and_a_gradient_on_its_way(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP)) as d:
            session = d.session
            await d.press("B", *"grad model.0.weight once", "enter", "f6")
            await d.stopped()
            for change in ("optimizer.param_groups[0]['lr'] = 0.0", "it = it * 0"):
                await d.press("3")
                await d.settled()
                await type_change(d, change)
                await d.until(
                    lambda: session.whatif.branch and session.whatif.branch.edits, "a branch"
                )
                await d.settled()
                assert "what if" in d.text() and not session.problem, session.message
                assert change in " ".join(map(str, session.whatif.branch.edits)), change
                await d.press("X", "d")
                await d.settled()
                assert session.whatif.branch is None and session.state == "paused"
            await d.press("c")
            await d.idle()

    asyncio.run(run())


def test_a_change_at_an_exception_says_that_the_error_stays(tmp_path: Path) -> None:
    code = (
        "# %%\nimport framework as torch\nwidth = 3\nfor step in range(4):\n"
        "    y = torch.ones(2, width if step else 4) @ torch.ones(4, 2)\n"
    )

    async def run() -> None:
        async with program(write(tmp_path / "bad.py", code)) as d:
            session = d.session
            await d.press("f6")
            await d.stopped()
            name = session.name
            await type_change(d, "width = 4")
            await d.until(lambda: "what failed is not run again" in session.message, "a word")
            await d.press("c")
            await d.until(lambda: session.state == "idle", "the end of the branch")
            await d.press("X", "d")
            await d.until(lambda: session.name == name, "the program itself")
            await d.settled()
            assert session.stop is not None and session.stop.reason == "exception"

    asyncio.run(run())
