"""The three planted bugs of examples/bugs, found with the program's keys; and the report itself."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ui_driver import Driver, program, write

from app.ui.app import _make
from app.ui.screens.report import ReportScreen
from viewers.text import plain

BUGS = Path(__file__).resolve().parents[3] / "examples" / "bugs"


def bug(tmp_path: Path, name: str) -> Path:
    return Path(shutil.copy(BUGS / f"{name}.py", tmp_path))


async def report(d: Driver) -> ReportScreen:
    """The report, when it is made."""

    def made() -> bool:
        screen = d.app.screen
        return isinstance(screen, ReportScreen) and screen.ready

    await d.until(made, "the report")
    screen = d.app.screen
    assert isinstance(screen, ReportScreen)
    return screen


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_the_nan_of_step_37_is_found_with_three_keys(tmp_path: Path, size: tuple[int, int]) -> None:
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


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_a_vanishing_gradient_names_the_detached_branch(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async def run() -> None:
        async with program(bug(tmp_path, "detached_branch"), size) as d:
            await d.press("f6")
            await d.idle()
            await d.press("w")
            await report(d)
            text = " ".join(d.text().split())
            assert "model.stem.weight.grad: is very small" in text
            assert "sigmoid backward" in text and "short = stem.detach()" in text
            await d.press("enter")
            await d.until(lambda: d.app.screen is d.main, "the main screen")
            await d.settled()
            assert getattr(d.session.moment.subject, "name", "") == "detach"
            # A row of the graph that is chosen is what is asked about first.
            await d.press("2", "slash", *"head", "enter", "escape", "w")
            await report(d)
            await d.press("escape")
            assert d.app.screen is d.main

    asyncio.run(run())


def record(script: Path, out: Path, *arguments: str) -> Path:
    command = [sys.executable, "-m", "app", "run", str(script), "--no-listen", "--record", str(out)]
    done = subprocess.run([*command, "--", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def test_a_spike_of_the_learning_rate_is_found_by_comparing_two_recordings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    script = bug(tmp_path, "learning_rate_spike")
    record(script, tmp_path / "a.tape")
    b = record(script, tmp_path / "b.tape", "--spike")

    async def run() -> None:
        app = _make(b, None, None)
        assert app is not None
        async with app.run_test(size=(120, 40)) as pilot:
            d = Driver(app, pilot)
            await d.until(lambda: len(d.session.store.steps) >= 30, "its events")
            await d.settled()
            await d.press("D", "a", "full_stop", "t", "a", "p", "e", "enter")
            await report(d)
            text = " ".join(d.text().split())
            assert "first divergence, step 17: SGD update of model.0.weight" in text
            assert "A's update is 200 times B's" in text or "times A's" in text
            head = "\n".join(plain(row) for row, entry in d.app.screen.pane._lines if entry < 0)
            assert "model.0.weight at cell 4, line 8 in model.0" in head and ".py:" not in head
            await d.resize(60, 24)
            rows = [plain(row) for row, entry in d.app.screen.pane._lines if entry < 0]
            side = next(i for i, row in enumerate(rows) if row.startswith("  A  SGD"))
            assert rows[side + 1].startswith("     ") and rows[side + 1].strip()
            await d.resize(120, 40)
            await d.press("enter")
            await d.until(lambda: d.app.screen is d.main, "the main screen")
            await d.settled()
            step = d.session.store.step_at(d.session.cursor)
            assert step is not None and step.number == 17
            assert type(d.session.moment.subject).__name__ == "ParamUpdate"
            await d.press("D")  # with the step before, which has the same graph
            await d.press("enter")
            await report(d)
            assert "the same graph" in d.text()
            await d.press("escape", "D")
            await d.press("x", "enter")
            await report(d)
            assert "no such file" in d.text()
            await d.press("escape", "ctrl+q")

    asyncio.run(run())


WRONG = """\
# %%
import framework as torch
from framework import nn

class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x ** 3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * g * x ** 2

# %%
layer = nn.Linear(2, 2)
y = Cube.apply(layer(torch.ones(1, 2)))
y.sum().backward()

# %%
features = torch.ones(2, 5) * 2
layer(features)
"""


def test_a_wrong_gradient_is_found_and_an_exception_shows_who_made_the_operands(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "wrong.py", WRONG)) as d:
            cells = [c.id for c in d.app.notebook.cells]
            d.session.run(cells[:2])
            await d.idle()
            cube = next(e.seq for e in d.session.store.tape if getattr(e, "name", "") == "Cube")
            d.session.go(cube)
            d.app.tick()
            await d.settled()
            await d.press("G")
            await report(d)
            text = " ".join(d.text().split())
            assert "its gradient DIFFERS from finite differences" in text and "WRONG" in text
            await d.press("escape", "end")
            d.session.run(cells[2:])
            await d.stopped()
            assert d.session.stop is not None and d.session.stop.reason == "exception"
            text = d.pane("inspector")
            assert "linear" in text and "of mul, line 1" in text and "weight" in text
            assert "f32[2,5]" in text and "f32[2,2]" in text
            await d.press("w")
            await report(d)
            text = " ".join(d.text().split())
            assert "linear: failed at cell 3, line 2 in layer: RuntimeError" in text
            assert "features = torch.ones(2, 5) * 2" in text, "who made the operand"
            await d.press("escape", "c")
            await d.idle()

    asyncio.run(run())


BAD = """\
# %%
import framework as torch
from framework import nn
low = torch.linspace(-3, -1, 6)
dead = (low.relu() * 2).sum()
# %%
large = torch.tensor([1.0, 200.0]).exp() + 1
"""


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_zeros_and_infinities_are_explained_by_one_key(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "bad.py", BAD), size) as d:
            cells = [c.id for c in d.app.notebook.cells]
            for cell, op, words in (
                (cells[0], "sum", ("its zero began at relu at cell 1, line 4", "dead relu")),
                (cells[1], "add", ("its Inf began at exp at cell 2, line 1", "overflow in exp")),
            ):
                d.session.run([cell])
                await d.idle()
                tape = d.session.store.tape
                d.session.go(max(e.seq for e in tape if getattr(e, "name", "") == op))
                d.app.tick()
                await d.settled()
                await d.press("w")
                await report(d)
                text = " ".join(d.text().replace("│", " ").split())
                assert all(word in text for word in words), text
                await d.press("escape")

    asyncio.run(run())


CUTS = """\
# %%
import framework as torch
from framework import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a_detached = nn.Linear(2, 2, bias=False)
        self.b_blocked = nn.Linear(2, 2, bias=False)
        self.c_cast = nn.Linear(2, 2, bias=False)
        self.d_unused = nn.Linear(2, 2, bias=False)
        self.e_dead = nn.Linear(2, 2, bias=False)
        self.f_fine = nn.Linear(2, 2, bias=False)
    def forward(self, x):
        h = self.f_fine(x) + self.a_detached(x).detach() + self.c_cast(x).long()
        with torch.no_grad():
            h2 = self.b_blocked(x)
        return h + h2 + torch.relu(self.e_dead(x) - 100)
net = Net()
net(torch.ones(1, 2)).sum().backward()
"""


@pytest.mark.parametrize(
    "row, words",
    [
        ("a_detached", "cut by detach() at cell 1, line 13"),
        ("b_blocked", "a no_grad or inference_mode block at cell 1, line 15"),
        ("c_cast", "cut by a cast"),
        ("d_unused", "net.d_unused was not called"),
        ("e_dead", "dead relu"),
    ],
)
def test_each_cut_of_a_gradient_is_named_by_one_key(tmp_path: Path, row: str, words: str) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "cuts.py", CUTS), (80, 24)) as d:
            await d.press("f6")
            await d.idle()
            await d.press("A")
            await d.until(lambda: f"net.{row}.weight" in d.rows("parameters"), "the table")
            rows = [line for line in d.rows("parameters").split("\n") if ".weight" in line]
            chosen = next(i for i, line in enumerate(rows) if row in line)
            await d.press("home", *["down"] * chosen)
            await d.settled()
            await d.press("w")
            await report(d)
            text = " ".join(d.text().replace("│", " ").split())
            assert f"net.{row}.weight.grad" in text and words in text, text

    asyncio.run(run())


TWO_WAYS = """\
# %%
import framework as torch
from framework import nn
layer = nn.Linear(2, 2)
optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
for step in range(1, 4):
    h = layer(torch.ones(1, 2) * step)
    size = torch.tensor(float(step))
    if size > 2:
        h = torch.tanh(h)
    else:
        h = torch.relu(h)
    optimizer.zero_grad()
    (h * h).sum().backward()
    optimizer.step()
"""


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_why_a_step_took_the_other_branch_is_two_keys_away(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "ways.py", TWO_WAYS), size) as d:
            await d.press("f6")
            await d.idle()
            await d.press("D", "enter")  # with the step before
            await report(d)
            rows = (plain(row) for row, _ in d.app.screen.pane._lines)
            text = " ".join(" ".join(rows).split())
            assert "the last op that both did: gt" in text
            assert "went to relu" in text and "went to tanh" in text
            assert "decided by gt" in text and "is False in A" in text and "is True in B" in text

    asyncio.run(run())


def test_the_gradient_of_a_loss_is_checked(tmp_path: Path) -> None:
    """It has no dimensions."""
    code = "# %%\nimport framework as torch\nx = torch.ones(3, requires_grad=True)\n"

    async def run() -> None:
        async with program(write(tmp_path / "loss.py", code + "loss = -x.mean()\n")) as d:
            await d.press("f6")
            await d.idle()
            tape = d.session.store.tape
            d.session.go(next(e.seq for e in tape if getattr(e, "name", "") == "neg"))
            d.app.tick()
            await d.settled()
            await d.press("G")
            await report(d)
            text = " ".join(d.text().split())
            assert "neg: its gradient agrees with finite differences" in text

    asyncio.run(run())
