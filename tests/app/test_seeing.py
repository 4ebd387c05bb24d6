"""`tapebook show`: parameters, a tensor over the steps, its values, source figures, memory."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from command_line import recorded, shown

from app.cli import main
from framework.trace.events import Op
from framework.trace.tape import open_tape
from viewers import see
from viewers.text import plain

SCRIPT = """\
import framework as torch
from framework import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
x, y = torch.randn(5, 6), torch.randint(0, 3, (5,))
for step in range(12):
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
images = torch.linspace(0, 1, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8) * 1.0
"""


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("seeing") / "train.py", SCRIPT)


def test_parameters(tape: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, tape, "--parameters", "--sort", "update")
    assert shown(capsys, tape, "--sort", "update") == text, "who sorts wants the table"
    rows = text.split("\n")[1:5]
    ratios = [float(re.findall(r" (\d[\d.e-]*)(?= |$)", row)[-1]) for row in rows]
    assert len(ratios) == 4 and ratios == sorted(ratios, reverse=True)
    with open_tape(tape) as opened:
        leaf = next(e for e in opened.events() if getattr(e, "name", "") == "model.2.bias")
        norm = float(np.linalg.norm(opened.tensor(leaf.tensor.id)))
    row = next(row for row in rows if row.startswith("model.2.bias"))
    assert f" {norm:.3g} " in row and re.search("[▁-█]{10,}", row), row
    early = shown(capsys, tape, "--parameters", "--step", 2)
    assert re.search(r"model\.2\.bias .* [▁-█]{2} ", early) and early != text


def test_a_nan_is_no_zero(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = SCRIPT.replace("(model(x), y)", "(model(x), y) * (-1 if step < 9 else nan)")
    out = recorded(tmp_path / "bad.py", "nan = float('nan')\n" + bad)
    head, _, *rows = shown(capsys, out, "history", "loss").rstrip().split("\n")
    assert re.search(r"norm  ?[▁-█]{9}!!! NaN$", head), head
    assert all(row.endswith("1 NaN") for row in rows[9:12]), rows[9:]


def test_a_tensor_over_the_steps(tape: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, title in (
        ("loss", "loss  f32[]"),
        ("relu", "model.1 relu · out  f32[5,8]"),
        ("model.0.weight.grad", "model.0.weight · gradient  f32[8,6]"),
        ("model.0.weight.momentum_buffer", "model.0.weight · momentum_buffer"),
        ("model.2", "model.2 · out  f32[5,3]"),
    ):
        lines = shown(capsys, tape, "history", name).rstrip().split("\n")
        assert lines[0].startswith(title), lines[0]
        assert [line.split()[0] for line in lines[2:14]] == [str(n) for n in range(1, 13)]
    losses = [
        float(line.split()[1]) for line in shown(capsys, tape, "history", "loss").split("\n")[2:14]
    ]
    assert losses == sorted(losses, reverse=True)


def test_one_tensor_with_a_slice_and_as_an_image(
    tape: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(capsys, tape, "tensor", "model.0.weight[2:4, ::2]", "--step", 3)
    assert "step 3" in text and "slice [2:4, ::2]" in text and "norm" in text
    with open_tape(tape) as opened:
        image = "\n".join(plain(line) for line in see.picture(opened, "mul"))
    assert "f32[2,3,8,8]" in image and ":::" in image and "step" not in image


def test_source_and_memory(tape: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, tape, "--source", "--step", 3)
    assert re.search(r"^ +5 +[\d.]+ +1 +\d+ B +9     loss = nn\.functional", text, re.MULTILINE), (
        text
    )
    assert re.search(r"4↻ +12     optimizer\.step", text)
    text = shown(capsys, tape, "--memory", "--step", 3)
    assert "saved for backward" in text and re.search(r"peak \d+ B at event", text)
    assert re.search(r"160 B +– +model\.1 relu +relu f32\[5,8\]; with model\.2 linear", text), text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["history"], "history of what?"),
        (["history", "nothing"], "no tensor is called 'nothing'"),
        (["tensor", "model.0.weight[9]", "--step", "1"], "index 9"),
        (["tensor", "loss", "--step", "99"], "is not in step 99"),
        (["--parameters", "--step", "99"], "no step 99"),
    ],
)
def test_what_there_is_not_is_one_line(
    tape: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["show", str(tape), *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1, error


def test_expressions(tape: Path, capsys: pytest.CaptureFixture[str]) -> None:
    losses = shown(capsys, tape, "history", "loss").split("\n")[2:14]
    third = float(losses[2].split()[1])
    found = shown(capsys, tape, "eval", "loss", "--step", 3)
    assert f"{float(re.search(r'[(]([0-9.]+)', found)[1]):.3g}" == f"{third:.3g}"
    assert main(["show", str(tape), "eval", "nothing + 1"]) == 2
    assert "nothing is no value of the tape" in capsys.readouterr().err


def test_ops_with_the_variables_that_they_are_assigned_to(
    tape: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(capsys, tape, "--ops", "--step", 3)
    assert re.search(r"nll_loss → loss  f32\[\]", text), text


def test_why_of_an_event_is_about_its_own_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is fine is said to be, before what is wrong elsewhere in that step, and in no other."""
    script = tmp_path / "steps.py"
    script.write_text(
        "import framework as torch\nw = torch.ones(2, requires_grad=True)\n"
        "optimizer = torch.optim.SGD([w], lr=0.0)\n"
        "for scale in (2.0, 0.0, 3.0):\n"
        "    loss = torch.full((2,), scale).log().sum()\n    optimizer.zero_grad()\n"
        "    w.cos().sum().backward()\n    optimizer.step()\n"
    )
    tape = tmp_path / "steps.tape"
    assert main(["run", str(script), "--no-listen", "--record", str(tape)]) == 0
    with open_tape(tape) as opened:
        ops = [event for event in opened.events() if isinstance(event, Op)]
    fine = [op.seq for op in ops if op.name == "cos"]
    for seq, bad in zip(fine, (False, True, False)):
        capsys.readouterr()
        assert main(["show", str(tape), "why", str(seq)]) == 0
        told = capsys.readouterr().out
        assert told.startswith("nothing is wrong with result of cos itself;") == bad, told
        assert ("its Inf began at log" in told and "step 2" in told) == bad, told
