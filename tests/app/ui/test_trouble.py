"""What goes wrong: loops that do not end, kernels that die, errors, hostile output, no room."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from ui_driver import MLP, Driver, check_snapshot, program, write

HEAD = "# %%\nimport framework as torch\n\n"


def test_endless_loop_is_interrupted(tmp_path: Path) -> None:
    """The screen answers while a cell spins, and one interrupt ends it."""

    async def scenario() -> None:
        path = write(tmp_path / "loop.py", "# %%\nwhile True:\n    pass\n\n# %%\nprint('after')\n")
        async with program(path) as d:
            await d.press("ctrl+r")
            await d.until(lambda: d.session.state == "running", "the loop")
            await d.press("2", "m", "m", "question_mark", "escape", "1", "down")
            assert d.session.state == "running"
            await d.press("n")
            assert "the model is running: p pauses it" in d.text(), d.text()
            await d.press("i", "i")
            await d.idle()
            assert "the model is running" not in d.text(), "it is not any more"
            cell = d.app.notebook.cells[0]
            assert d.session.runs[cell.id].state == "failed"
            assert "KeyboardInterrupt" in d.pane("notebook")
            # ctrl+c does the same, and never quits; the kernel is as it was.
            await d.press("ctrl+r")
            await d.until(lambda: d.session.state == "running", "the loop again")
            await d.press("ctrl+c")
            await d.idle()
            d.main.notebook.view.select_cell(d.app.notebook.cells[1].id)
            await d.press("ctrl+r")
            await d.idle()
            assert "\n  after" in d.pane("notebook")
            await d.press("ctrl+c")
            assert d.app.is_running and "ctrl+q quits" in d.session.message, d.session.message

    asyncio.run(scenario())


def test_second_interrupt_offers_to_kill(tmp_path: Path) -> None:
    """A loop that swallows interrupts: kill, restart, and the notebook is whole."""

    async def scenario() -> None:
        loop = "import time\nwhile True:\n    try:\n        print('in'); time.sleep(1)\n"
        path = write(tmp_path / "deaf.py", f"# %%\n{loop}    except BaseException: pass\n")
        async with program(path) as d:
            await d.press("ctrl+r")
            await d.until(lambda: d.app.notebook.cells[0].outputs, "the loop")
            for _ in range(50):  # two within two seconds: not every pair on a busy machine
                await d.press("i", "i")
                if "Kill the kernel?" in d.text():
                    break
            assert "Kill the kernel?" in d.text()
            await d.press("k")
            await d.until(lambda: d.session.state == "dead", "its death")
            assert "kernel died (SIGKILL)" in d.rows("notebook")
            await d.press("0", "0")
            await d.until(lambda: d.session.state == "idle", "the new kernel")
            assert d.app.notebook.cells[0].source.startswith("import time")

    asyncio.run(scenario())


def test_killed_kernel(tmp_path: Path) -> None:
    """SIGKILL from outside while paused: said in the status line and at the cell."""

    async def scenario() -> None:
        async with program(write(tmp_path / "mlp.py", MLP)) as d:
            d.session.add_breakpoint(op="relu")
            await d.press("f6")
            await d.stopped()
            events = len(d.session.store)
            os.kill(d.session.kernel.pid, signal.SIGKILL)
            await d.until(lambda: d.session.state == "dead", "its death")
            assert "kernel died (SIGKILL)" in d.rows("notebook")
            assert " dead " in d.text() and "0 0" in d.text()
            assert len(d.session.store) == events, "the tape stays"
            await d.press("D")
            assert "the kernel is dead: 0 0 starts a new one" in d.text(), d.text()
            await d.press("N", "n", "c", "ctrl+r")  # nothing of this may fail
            assert d.session.state == "dead"
            await d.press("0", "0")
            await d.until(lambda: d.session.state == "idle", "the new kernel")
            await d.press("f6")
            await d.stopped()  # breakpoints outlive the kernel
            assert d.session.moment.subject.name == "relu"

    asyncio.run(scenario())


def test_errors_of_cells(tmp_path: Path) -> None:
    """A syntax error, and an exception with the line of the cell; later cells do not run."""

    async def scenario() -> None:
        text = "# %%\ndef f(:\n    pass\n\n# %%\nx = 1\n1 / 0\n\n# %%\nprint('not run')\n"
        async with program(write(tmp_path / "bad.py", text), (120, 50)) as d:
            await d.press("f6")
            await d.idle()
            cells = d.app.notebook.cells
            assert d.session.runs[cells[0].id].state == "failed"
            assert "SyntaxError" in d.pane("notebook")
            assert cells[2].id not in d.session.runs
            d.main.notebook.view.select_cell(cells[1].id)
            await d.press("ctrl+r")
            await d.idle()
            screen = d.pane("notebook")
            assert "ZeroDivisionError" in screen and "not run" in screen

    asyncio.run(scenario())


def test_shape_mismatch_stops_with_its_operands(tmp_path: Path) -> None:
    """The model stops where the op raised; both operands are in the inspector."""

    async def scenario() -> None:
        text = HEAD + "a = torch.randn(3, 4)\nb = torch.randn(5, 2)\nc = a @ b\n"
        async with program(write(tmp_path / "shapes.py", text)) as d:
            await d.press("f6")
            await d.stopped()
            assert d.session.stop.reason == "exception"
            subject = d.main.inspector.subject
            assert subject.title == "matmul"
            assert [t.meta.shape for t in subject.tensors] == [(3, 4), (5, 2)]
            shown = d.pane("inspector")
            assert "f32[3,4]" in shown and "f32[5,2]" in shown
            assert "3x4" in d.text() or "[3, 4]" in d.text() or "(3, 4)" in d.text()
            assert d.session.place == (d.app.notebook.cells[0].id, 5)
            await d.press("c")
            await d.idle()
            assert d.session.runs[d.app.notebook.cells[0].id].state == "failed"

    asyncio.run(scenario())


def test_an_error_of_a_modules_own_code_stops_at_the_module(tmp_path: Path) -> None:
    """At the line that raised, though its frame ended elsewhere; `w` says who made its input."""
    text = HEAD + (
        "from framework import nn\n"
        "class Gate(nn.Module):\n"
        "    def forward(self, x):\n"
        "        try:\n"
        "            raise ValueError('an even batch')\n"
        "        finally:\n"
        "            torch.zeros(1)\n"
        "net = nn.Sequential(nn.Linear(3, 2), Gate())\n"
        "net(torch.ones(5, 3))\n"
    )

    async def scenario() -> None:
        async with program(write(tmp_path / "own.py", text)) as d:
            await d.press("f6")
            await d.stopped()
            assert d.session.stop is not None and d.session.stop.reason == "exception"
            line = next(i for i, row in enumerate(text.split("\n")) if "raise" in row)
            assert d.session.place == (d.app.notebook.cells[0].id, line)
            shown = d.pane("inspector")
            assert "Gate  net.1" in shown and "ValueError: an even batch" in shown
            assert "f32[5,2]" in shown, "its input"
            await d.press("w")
            await d.until(lambda: "raised ValueError: an even batch" in d.text(), "why")
            assert "linear" in d.text()

    asyncio.run(scenario())


def test_error_in_a_backward_hook(tmp_path: Path) -> None:
    """An exception inside backward stops there too, and unwinds when it goes on."""

    async def scenario() -> None:
        text = HEAD + (
            "x = torch.ones(3, requires_grad=True)\n"
            "y = x * 2\n"
            "def hook(g):\n    raise ValueError('in the hook')\n"
            "y.register_hook(hook)\n"
            "y.sum().backward()\n"
        )
        async with program(write(tmp_path / "hook.py", text)) as d:
            await d.press("f6")
            await d.until(
                lambda: d.session.state == "paused" or (d.session.runs and not d.session.executing),
                "the error",
            )
            if d.session.state == "paused":
                await d.settled()
                assert "in the hook" in d.text()
                await d.press("c")
            await d.idle()
            assert "in the hook" in d.app.notebook.cells[0].outputs[-1].evalue

    asyncio.run(scenario())


def test_a_message_calls_cells_by_their_numbers(tmp_path: Path) -> None:
    """Not by the ids that the framework knows them by: at the stop, and in what is left of it."""

    async def scenario() -> None:
        text = HEAD + (
            "a = torch.ones(3, requires_grad=True)\nb = a.exp()\n\n"
            "# %%\nb.add_(1)\nb.sum().backward()\n"
        )
        async with program(write(tmp_path / "saved.py", text), (160, 50)) as d:
            await d.press("f6")
            await d.stopped()
            assert "cell 1, line 4" in " ".join(d.pane("inspector").split())
            assert "<cell" not in d.text()
            await d.press("p")
            assert "paused already" in d.session.message
            await d.press("c")
            await d.idle()
            error = d.app.notebook.cells[1].outputs[-1]
            assert "at cell 1, line 4)" in error.evalue
            assert "<cell" not in d.text() + "".join(error.traceback)

    asyncio.run(scenario())


def test_hostile_output_is_harmless(tmp_path: Path) -> None:
    """Escape sequences, markup and bidi controls come to the screen as visible text."""

    async def scenario() -> None:
        hostile = r"\x1b]52;c;aGk=\x07\x1b[2J\x1b[31mred\x1b[0m [@click=quit]x[/] [b]y\u202e\x9b1m"
        text = f"# %%\nprint('{hostile}')\nprint('done')\n"
        async with program(write(tmp_path / "hostile.py", text)) as d:
            await d.press("f6")
            await d.idle()
            for place in ("notebook", "console"):
                d.main.go_to(place)
                await d.quiet()
                screen = d.pane(place)
                assert "[@click=quit]x[/] [b]y" in screen and "red" in screen
                bad = {c for c in d.text() if (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160}
                assert not bad and "\u202e" not in d.text()

    asyncio.run(scenario())


def test_resize_to_nothing_and_back(tmp_path: Path) -> None:
    """20x5 says what it needs, in any state, and growing brings everything back."""

    async def scenario() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), (80, 24), kernel=False) as d:
            before = d.text()
            for size in ((20, 5), (1, 1), (39, 40), (120, 9)):
                await d.resize(*size)
                await d.quiet()
            await d.resize(20, 5)
            await d.quiet()
            assert "terminal too" in d.text().replace("\n", " ") and "40x10" in d.text()
            await d.press("2", "question_mark", "n")  # nobody steers what cannot be seen
            await d.resize(80, 24)
            await d.quiet()
            assert d.text() == before

    asyncio.run(scenario())


def test_forty_by_ten(tmp_path: Path) -> None:
    """The smallest size: one pane at a time, each within reach."""

    async def scenario() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), (40, 10), kernel=False) as d:
            check_snapshot("opened-40x10", d.text())
            for number, name in enumerate(("graph", "inspector", "timeline", "events"), start=2):
                await d.press(str(number))
                assert d.main.where == name
                assert d.main.pane(name).region.height >= 2, name

    asyncio.run(scenario())


async def _flood(d: Driver) -> None:
    await d.press("f6")
    await d.idle()


def test_much_output(tmp_path: Path) -> None:
    """A hundred thousand lines and one very long one: bounded, said so, and no stall."""

    async def scenario() -> None:
        text = "# %%\nfor i in range(100_000):\n    print(i)\nprint('x' * 3_000_000)\n"
        async with program(write(tmp_path / "much.py", text)) as d:
            await _flood(d)
            assert d.main.notebook.view.count() < 200
            assert "more lines" in d.rows("notebook")
            assert len(d.session.log) <= 5000

    asyncio.run(scenario())


def test_a_kernel_that_did_not_start_can_be_started_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with program(write(tmp_path / "a.py", "# %%\nx = 6 * 7\n"), kernel=False) as d:
            d.session._not_started("the kernel did not answer within 30 s")
            await d.press("0", "0")
            await d.until(lambda: d.session.state == "idle", "a kernel")
            await d.press("f6")
            await d.idle()
            assert d.session.attached is False and d.session.kernel is not None

    asyncio.run(scenario())
