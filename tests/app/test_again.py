"""`tapebook rerun`: a step of a recording run again by its program, and compared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from framework.trace import open_tape
from framework.trace.events import Op

TRAIN = """\
import os, sys
import framework as torch
from framework import nn
torch.manual_seed(int(sys.argv[1]))
model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
factor = float(os.environ.get("FACTOR", "1"))
assert open("data.txt").read() == "here"
for step in range(12):
    optimizer.zero_grad()
    x = torch.randn(6, 4)
    loss = (model(x) * torch.tensor([factor])).pow(2).mean()
    loss.backward()
    optimizer.step()
    print(step, flush=True)
"""


def tapebook(
    *arguments: object, folder: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", *map(str, arguments)], capture_output=True, text=True,
        env={**os.environ, **environment}, timeout=120, cwd=folder,
    )  # fmt: skip


@pytest.fixture(params=["none", "health", "all"])
def tape(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "data.txt").write_text("here")
    done = tapebook(
        "run", tmp_path / "train.py", "--record", tmp_path / "a.tape", "--keep", request.param,
        "--", "7", folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return tmp_path / "a.tape"


def test_a_step_runs_as_recorded(tape: Path) -> None:
    done = tapebook("rerun", tape, "--step", 5)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "step 5 ran as recorded: " in done.stdout
    keeps = "none" not in open_tape(tape).info["keep"]
    assert ("were compared" in done.stdout) == keeps
    with open_tape(tape.with_suffix(".step-5.tape")) as new:
        assert [step.number for step in new.steps if step.number] == [1, 2, 3, 4, 5]
        op = [e for e in new.events() if isinstance(e, Op) and e.name == "relu"][-1]
        assert new.tensor(op.outputs[0].id, op.seq).shape == (6, 8)
    again = tapebook("rerun", tape, "--step", 5)
    assert again.returncode == 2 and "exists already" in again.stderr


def test_it_says_where_it_went_another_way(tape: Path) -> None:
    done = tapebook("rerun", tape, "-o", tape.with_name("b.tape"), FACTOR="2")
    if open_tape(tape).info["keep"] == "none":
        assert done.returncode == 0 and "holds no values" in done.stdout
        return
    assert done.returncode == 1
    assert "step 12 did not run as recorded" in done.stdout
    assert "first divergence, step 12" in done.stdout


def test_of_a_notebook(tmp_path: Path) -> None:
    """Its text cells may have changed; its code may not."""
    path, out = tmp_path / "book.ipynb", tmp_path / "a.tape"
    train = TRAIN.replace("sys.argv[1]", '"7"').replace("assert open", "# assert open")

    def write(title: str, code: str) -> None:
        code = code.replace("factor =", "factor =factor =", 1)  # where the cells part
        cells = [
            {"cell_type": "markdown", "id": "t", "metadata": {}, "source": title},
            *(
                {"cell_type": "code", "id": f"c{n}", "metadata": {}, "source": part,
                 "outputs": [], "execution_count": None}
                for n, part in enumerate(code.split("factor =", 1))
            ),
        ]  # fmt: skip
        book = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        path.write_text(json.dumps(book))

    write("# Before", train)
    assert tapebook("run", path, "--record", out).returncode == 0
    write("# After", train)
    shown = tapebook("summary", path)
    assert shown.returncode == 0 and shown.stdout.startswith("step 2\n"), shown.stdout
    assert tapebook("summary", path, "--step", 4).stdout.startswith("step 4\n")
    done = tapebook("rerun", out, "--step", 3)
    assert done.returncode == 0, done.stderr
    assert "step 3 ran as recorded: " in done.stdout and "were compared" in done.stdout
    write("# After", train.replace("0.9", "0.8"))
    done = tapebook("rerun", out, "--step", 4)
    assert done.returncode == 2 and "has changed since" in done.stderr, done.stderr


TWO = """\
import framework as torch
from framework import nn
torch.manual_seed(0)
one, two = nn.Linear(3, 3), nn.Linear(3, 1)
first = torch.optim.SGD(one.parameters(), lr=0.1)
second = torch.optim.SGD(two.parameters(), lr=0.1)
for _ in range(5):
    for optimizer in (first, second):
        optimizer.zero_grad()
        two(one(torch.randn(4, 3))).pow(2).mean().backward()
        optimizer.step()
"""


@pytest.mark.parametrize("step", [1, 3, 5])
def test_of_two_optimizers_that_count_for_themselves(tmp_path: Path, step: int) -> None:
    (tmp_path / "two.py").write_text(TWO)
    done = tapebook("run", "two.py", "--record", "two.tape", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    done = tapebook("rerun", "two.tape", "--step", step, folder=tmp_path)
    assert done.returncode == 0, done.stderr + done.stdout
    with open_tape(tmp_path / "two.tape") as tape:
        ops = sum(info.ops for info in tape.steps if info.number == step)
    with open_tape(tmp_path / f"two.step-{step}.tape") as again:
        assert sum(info.ops for info in again.steps if info.number == step) == ops


@pytest.mark.parametrize("tape", ["none"], indirect=True)
def test_refusals(tape: Path) -> None:
    script = tape.with_name("train.py")
    for arguments, words in (
        (["--step", 99], "there is no training step 99: it has 1 to 12"),
        (["-o", tape.with_name("out.txt")], "must end in .tape"),
        (["-o", tape.with_name("no") / "out.tape"], "there is no directory"),
    ):
        done = tapebook("rerun", tape, *arguments)
        assert done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1
    script.write_text(TRAIN + "# another\n")
    done = tapebook("rerun", tape)
    assert done.returncode == 2 and "has changed since" in done.stderr
    script.unlink()
    done = tapebook("rerun", tape)
    assert done.returncode == 2 and "is not on this machine" in done.stderr
