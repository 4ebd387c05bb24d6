"""The examples run as plain scripts, from any folder, and reach what they promise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import framework as torch
from app.notebook import open_notebook

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
BUGS = ["bugs/nan_in_step_37", "bugs/detached_branch", "bugs/learning_rate_spike"]
NOTEBOOKS = ["tour", "digits_mlp", "digits_cnn", "dynamic_rnn", "nan_hunt", *BUGS]


def run(name, folder):
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py")],
        cwd=folder, capture_output=True, text=True, timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("name", "least"), [("digits_mlp", 0.95), ("digits_cnn", 0.97), ("dynamic_rnn", 0.90)]
)
def test_accuracy(name, least, tmp_path):
    out = run(name, tmp_path)
    accuracy = float(re.findall(r"test accuracy (0\.\d+|1\.0+)$", out, re.MULTILINE)[-1])
    assert accuracy >= least


def test_the_hunted_nan_comes_after_some_good_steps(tmp_path):
    losses = re.findall(r"loss (\S+)$", run("nan_hunt", tmp_path), re.MULTILINE)
    first = losses.index("nan")
    assert first >= 4 and set(losses[first:]) == {"nan"}
    assert float(losses[first - 1]) < 0.5 * float(losses[0])


def test_the_tour_s_model_learns(tmp_path):
    losses = re.findall(r"loss (\S+)$", run("tour", tmp_path), re.MULTILINE)
    assert len(losses) == 3 and float(losses[-1]) < float(losses[0])


def test_the_planted_bugs_show(tmp_path):
    losses = re.findall(r"step +(\d+)  loss (\S+)$", run("bugs/nan_in_step_37", tmp_path), re.M)
    assert [int(step) for step, loss in losses if loss == "nan"] == [37, 40]
    slow = re.findall(r"loss (\S+)$", run("bugs/detached_branch", tmp_path), re.M)
    assert float(slow[-1]) > 0.9 * float(slow[0])
    assert "step 30" in run("bugs/learning_rate_spike", tmp_path)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_each_is_a_notebook(name):
    cells = open_notebook(EXAMPLES / f"{name}.py").cells
    kinds = [cell.kind for cell in cells]
    assert kinds[0] == "markdown" and kinds.count("code") >= 3
    assert cells[0].source.startswith("# ")


def test_the_hunt_does_not_give_its_answer_away():
    cells = open_notebook(EXAMPLES / "nan_hunt.py").cells
    early = "\n".join(cell.source for cell in cells[:4]).lower()
    assert not re.search(r"divid|variance is 0|eps|1e-5", early)
    assert cells[-1].kind == "markdown" and "divides 0 by 0" in cells[-1].source


def test_the_data():
    sys.path.insert(0, str(EXAMPLES))
    try:
        from digits import load_digits, picture
    finally:
        sys.path.remove(str(EXAMPLES))
    x, y, x_test, y_test = load_digits()
    assert x.shape == (1437, 8, 8) and x_test.shape == (360, 8, 8) and x.dtype is torch.float32
    assert x.min().item() == 0 and x.max().item() == 1
    counts = np.bincount([*y.tolist(), *y_test.tolist()])
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert min(np.bincount(y_test.tolist())) > 20
    assert len(picture(x[0]).splitlines()) == 8
    assert load_digits()[1].tolist() == y.tolist()
