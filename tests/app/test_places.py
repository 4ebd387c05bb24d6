"""Cells are called by their numbers wherever a line of a notebook is shown or typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.notebook import open_notebook
from app.places import code_line, named_cells, names_of, resolve, spell, spelled
from framework.trace.breakpoints import Compiled
from framework.trace.conditions import format_line, parse_line

CELLS = (
    ("markdown", "# A title"),
    ("code", "import framework as torch\nx = torch.ones(3)"),
    ("code", "# a comment\ny = x * 2\nz = (y - 2).log()"),
)
SCRIPT = "\n\n".join(
    "# %% [markdown]\n# # A title" if kind == "markdown" else f"# %%\n{source}"
    for kind, source in CELLS
)


@pytest.fixture(params=["py", "ipynb"])
def path(request, tmp_path) -> Path:
    file = tmp_path / f"book.{request.param}"
    if request.param == "py":
        file.write_text(SCRIPT + "\n")
        return file
    cells = [
        {"cell_type": kind, "id": f"c{n}", "metadata": {}, "source": source}
        | ({"outputs": [], "execution_count": None} if kind == "code" else {})
        for n, (kind, source) in enumerate(CELLS)
    ]
    file.write_text(
        json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    )
    return file


def run(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, cwd=path.parent,
    )  # fmt: skip


def test_the_line_that_is_shown_is_the_line_that_is_read(path):
    notebook = open_notebook(path)
    point = parse_line("at cell 3, line 3 absmax > 1 after 2")
    assert (point.file, point.line, point.condition) == ("cell 3", 3, "absmax > 1")
    found = resolve(point, notebook)
    assert found.file == f"<cell {notebook.cells[2].id}>" and found.line == 3
    shown = format_line(spelled(found, names_of(notebook)))
    assert shown == "at cell 3, line 3 absmax > 1 after 2" and parse_line(shown) == point
    assert parse_line("cell 3, line 3").file == "cell 3"
    assert "expected FILE:LINE" in Compiled(point).spec.error, "nobody has said which notebook"


@pytest.mark.parametrize(
    "line, says",
    [
        ("at cell 9, line 1", "cells 1 to 3"),
        ("at cell 1, line 1", "is text"),
        ("at cell 2, line 7", "has 2 lines"),
        ("at cell 2", "expected cell N, line M"),
    ],
)
def test_a_cell_that_is_not_there_is_refused_in_one_line(path, line, says):
    done = run(path, "run", path.name, "--break", line)
    assert done.returncode == 2 and says in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_run_stops_at_a_line_of_a_cell_and_says_which(path):
    done = run(path, "run", path.name, "--break", "at cell 3, line 3 inf")
    assert done.returncode == 1, done.stderr
    assert "stopped: inf" in done.stdout and "z = (y - 2).log()" in done.stdout
    assert "<cell" not in done.stdout + done.stderr
    if path.suffix == ".ipynb":
        assert "cell 3, line 3" in done.stdout


def test_a_recording_counts_the_cells_as_the_notebook_does(path):
    done = run(path, "run", path.name, "--record", "out.tape")
    assert done.returncode == 0, done.stderr
    shown = run(path, "show", "out.tape", "why")
    assert shown.returncode == 0 and "<cell" not in shown.stdout
    assert "cell 3, line 3" in shown.stdout or path.suffix == ".py"
    shown = run(path, "show", "out.tape", "log")
    assert "<cell" not in shown.stdout, shown.stdout
    assert "z = (y - 2).log()" in shown.stdout
    shown = run(path, "diff", "out.tape", "out.tape")
    assert shown.returncode == 0 and "no difference" in shown.stdout


def test_names_are_put_in_a_text():
    text = 'File "<cell a>", line 3, in <module>\n<cell b>:7 <cell a>'
    assert spell(text, {"a": "cell 2"}) == (
        "cell 2, line 3, in <module>\na deleted cell, line 7 cell 2"
    )
    assert named_cells({"<text t>": "", "<cell a>": ""}) == {"a": "cell 2"}
    assert code_line("%time x\n# c\ny = '''\n# no comment\n'''", 4) in (4, 5)
