"""The commands on recordings: what they print, what they write, their exit status."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import tapebook

from framework.trace import open_tape
from framework.trace.tape_format import FORMAT, opening

pytestmark = pytest.mark.usefixtures("runtime")

TRAIN = """\
import framework as torch
from framework import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for step in range(STEPS):
    optimizer.zero_grad()
    loss = model(torch.randn(6, 4)).pow(2).mean()
    loss.backward()
    optimizer.step()
    print(step, flush=True)
"""

NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "# Title"},
        {
            "cell_type": "code", "id": "first", "metadata": {}, "outputs": [],
            "execution_count": None, "source": "import framework as torch\nx = torch.ones(3)",
        },
        {
            "cell_type": "code", "id": "second", "metadata": {}, "outputs": [],
            "execution_count": None, "source": "y = x.exp()",
        },
    ],
    "metadata": {}, "nbformat": 4, "nbformat_minor": 5,
}  # fmt: skip


@pytest.fixture(scope="module")
def tape(tmp_path_factory) -> Path:
    """A recording of five training steps."""
    folder = tmp_path_factory.mktemp("tape")
    script = folder / "train.py"
    script.write_text(TRAIN.replace("STEPS", "5"))
    done = tapebook("run", script, "--record", folder / "a.tape", "--no-listen")
    assert (done.returncode, done.stderr) == (0, "")
    script.unlink()  # what is shown afterwards comes out of the recording
    return folder / "a.tape"


# -- show ------------------------------------------------------------------------------------------


def test_summary(tape, called):
    done = called("show", tape)
    assert done.returncode == 0
    assert "5 training steps (1 to 5)" in done.stdout and "complete" in done.stdout
    rows = re.findall(r"^ +(\d) +(\d+)\.\.(\d+) +\d+ +\S+ \S+  (\S+)$", done.stdout, re.MULTILINE)
    assert [row[0] for row in rows] == list("12345")
    assert all(float(row[3]) > 0 for row in rows), "the losses"


def test_one_op(tape, called):
    done = called("show", tape, "linear")
    assert done.stdout.startswith("2 in step 5 of 10 in all")
    for text in (
        "linear  in module model.0  (forward, event",
        "→    8      loss = model(torch.randn(6, 4)).pow(2).mean()",
        "model.0.weight           f32[8,4]",
        "gradients out",
        "model.2.bias.grad",
    ):
        assert text in done.stdout
    assert called("show", tape, "model.1").stdout.startswith("1 in step 5 of 5")
    assert called("show", tape, "/^po/", "--step", 2).stdout.startswith("1 in step 2 of 5")
    seq = next(e.seq for e in open_tape(tape).events() if getattr(e, "name", "") == "pow")
    assert f"event {seq}," in called("show", tape, seq).stdout


def test_ops_time_memory(tape, called):
    ops = called("show", tape, "--ops").stdout
    assert "linear backward" in ops and "→ model.0.weight.grad" in ops
    assert "update model.0.weight" in ops and "SGD.step 5" in ops
    assert called("show", tape, "--step", 1).stdout.startswith("step 1: events 1 to")
    both = called("show", tape, "--time", "--memory", "--step", 3).stdout
    assert re.search(r"^parameters +268 B$", both, re.MULTILINE), "(4 + 1) 8 + (8 + 1) 3 floats"
    assert re.search(r"^linear +forward +2 ", both, re.MULTILINE)
    table = both[both.rindex("\nmodule ") :]
    rows = re.findall(r"^(\S+) +(\S+) (ns|us|ms) +(\S+) (ns|us|ms)$", table, re.MULTILINE)
    scale = {"ns": 1, "us": 1e3, "ms": 1e6}
    spent = {r[0]: (float(r[1]) * scale[r[2]], float(r[3]) * scale[r[4]]) for r in rows}
    assert set(spent) == {"model", "model.0", "model.1", "model.2", "(outside)"}
    for half in (0, 1):  # what is in it counts, also on the way back
        inner = sum(spent[f"model.{i}"][half] for i in range(3))
        assert spent["model"][half] >= 0.99 * inner > 0, table
        assert spent["(outside)"][half] > 0, table


def test_what_is_not_there(tape, called):
    for arguments, reason in {
        ("nothing",): "nothing is called 'nothing'",
        ("relu", "--step", "9"): "no step 9: it has steps 1 to 5",
        ("/(/",): "bad regular expression",
        ("3",): "is no op",
    }.items():
        done = called("show", tape, *arguments)
        assert (done.returncode, done.stdout) == (2, "") and reason in done.stderr
        assert done.stderr.count("\n") == 1


def test_follow(tmp_path):
    script, out = tmp_path / "train.py", tmp_path / "a.tape"
    script.write_text("import time\n" + TRAIN.replace("STEPS", "100000") + "    time.sleep(0.02)\n")
    program = subprocess.Popen(
        [sys.executable, "-m", "app", "run", str(script), "--record", str(out)],
        stdout=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 60
        while not out.exists() and time.monotonic() < end:
            time.sleep(0.02)
        looker = subprocess.Popen(
            [sys.executable, "-m", "app", "show", str(out), "--follow"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert looker.stdout is not None
        seen = [looker.stdout.readline() for _ in range(10)]
        assert re.match(r" +8 +\d+\.\.\d+", seen[-1]), seen
        program.send_signal(signal.SIGKILL)
        rest = looker.stdout.read()
        assert "recovered" in rest.splitlines()[-1] and looker.wait(60) == 0
        looker.stdout.close()
    finally:
        program.kill()
        program.wait()


# -- verify and repair -----------------------------------------------------------------------------


def test_verify_and_repair(tape, tmp_path, called):
    done = called("verify", tape)
    assert done.returncode == 0 and "complete" in done.stdout
    data = tape.read_bytes()
    cut = tmp_path / "cut.tape"
    cut.write_bytes(data[: len(data) * 2 // 3])
    done = called("verify", cut)
    assert done.returncode == 1 and "it was not closed: recovered" in done.stdout
    done = called("show", cut)
    assert done.returncode == 0 and re.search(r"recovered \d+ events", done.stdout)
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 4
    cut.write_bytes(flipped)
    done = called("verify", cut)
    assert done.returncode == 1 and "damaged: " in done.stdout and "after event" in done.stdout
    assert "; 1 damaged place\n" in done.stdout, done.stdout
    clean = tmp_path / "clean.tape"
    done = called("repair", cut, "-o", clean)
    assert done.returncode == 0 and "left out" in done.stdout
    assert open_tape(clean).complete and not open_tape(clean).damage
    assert cut.read_bytes() == flipped
    assert called("repair", cut, "-o", cut).returncode == 2
    script = tmp_path / "precious.py"
    script.write_text("precious")
    assert called("repair", cut, "-o", script).returncode == 2 and script.read_text() == "precious"
    whole = tmp_path / "whole.tape"
    assert called("repair", tape, "-o", whole).returncode == 0
    assert whole.read_bytes() == data


def test_unusable_files(tape, tmp_path, called):
    (tmp_path / "empty.tape").touch()
    (tmp_path / "text.tape").write_text("hello, this is no recording")
    os.mkfifo(tmp_path / "pipe.tape")
    (tmp_path / "newer.tape").write_bytes(opening({"format": str(FORMAT + 1)}))
    (tmp_path / "folder.tape").mkdir()
    for name, reason in {
        "empty": "an empty file",
        "text": "not a recording",
        "pipe": "not a regular file",
        "folder": "a directory",
        "missing": "no such file",
        "newer": f"format version {FORMAT + 1}; this program reads versions up to {FORMAT}",
    }.items():
        path = tmp_path / f"{name}.tape"
        for command in (
            ("show", path), ("show", path, "--follow"), ("verify", path), (path,),
            ("repair", path, "-o", tmp_path / "out.tape"),
            ("export", path, "-o", tmp_path / "out.json"),
        ):  # fmt: skip
            done = called(*command)
            assert (done.returncode, done.stdout) == (2, ""), command
            assert done.stderr.count("\n") == 1 and str(path) in done.stderr
            assert reason in done.stderr


def test_hostile_text_reaches_no_terminal(tmp_path, called):
    out = tmp_path / "a.tape"
    code = (
        "import framework as torch\nfrom framework import trace\n"
        f"with trace.record({str(out)!r}, program='evil\\x1b]0;x\\x07.py'):\n"
        "    trace.mark('\\x1b[2J')\n    torch.ones(2).exp()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    for arguments in ((), ("--ops",), ("exp",)):
        text = called("show", out, *arguments).stdout
        assert "\x1b" not in text and "\x07" not in text and text


# -- exports ---------------------------------------------------------------------------------------


def test_timeline(tape, tmp_path, called):
    out = tmp_path / "a.json"
    assert called("export", tape, "-o", out).returncode == 0
    events = json.loads(out.read_text())["traceEvents"]
    slices = [e for e in events if e["ph"] == "X" and e["tid"] == 1]
    names = [e["name"] for e in slices]
    assert names.count("linear") == 10 and names.count("linear backward") == 10
    assert [e["name"] for e in events if e.get("cat") == "step"] == [
        f"step {n}" for n in range(1, 6)
    ]
    ordered = sorted(slices, key=lambda e: (e["ts"], -e["dur"]))
    open_: list[float] = []
    for e in ordered:  # slices of a track nest
        while open_ and open_[-1] <= e["ts"]:
            open_.pop()
        end = e["ts"] + e["dur"]
        assert not open_ or end <= open_[-1] + 1e-6, e
        open_.append(end)
    assert called("export", tape, "-o", out, "--step", 2).returncode == 0
    assert len(json.loads(out.read_text())["traceEvents"]) < len(events) / 3


def test_tensors_of_a_step(tape, tmp_path, called):
    from safetensors.numpy import load_file

    out = tmp_path / "a.safetensors"
    assert called("export", tape, "-o", out, "--step", 2).returncode == 0
    found = load_file(out)
    before, after = found["model.0.weight"], found["model.0.weight.after"]
    momentum = found["model.0.weight.momentum_buffer"]
    np.testing.assert_allclose(after, before - 0.1 * momentum, rtol=1e-6)
    x, w, b = found["forward/randn"], before, found["model.0.bias"]
    np.testing.assert_allclose(found["forward/model.0/linear"], x @ w.T + b, rtol=1e-5, atol=1e-6)
    called("export", tape, "-o", out, "--step", 1)
    np.testing.assert_array_equal(load_file(out)["model.0.weight.after"], before)


@pytest.mark.parametrize("suffix", [".svg", ".dot", ".png"])
def test_pictures(tape, tmp_path, called, suffix):
    out = tmp_path / f"a{suffix}"
    done = called("export", "-o", out, tape, "--phase", "both")
    assert done.returncode == 0 and "nodes" in done.stdout and out.stat().st_size > 500


def test_exports_that_cannot_be(tape, tmp_path, called):
    assert called("export", tape, "-o", tmp_path / "a.pdf").returncode == 2
    assert called("export", tape, "-o", tmp_path / "a.svg", "--step", "77").returncode == 2
    assert called("export", tape, "-o", tmp_path / "a.svg", "--module", "no.such").returncode == 2
    assert called("export", tape, "-o", tmp_path / "no" / "a.json").returncode == 2


# -- run -------------------------------------------------------------------------------------------


def test_run_refuses_before_it_runs(tmp_path, called):
    script = tmp_path / "train.py"
    script.write_text("print('it ran')\n")
    for arguments, reason in {
        ("--record", str(script)): "no recording; it is not overwritten",
        ("--record", str(tmp_path / "no" / "a.tape")): "cannot be recorded to",
        ("--keep", "all"): "--keep needs --record",
        ("--record", str(tmp_path / "a.tape"), "--budget", "lots"): "a size is a number",
        ("--record", str(tmp_path / "a.tape"), "--budget", "12"): "too small",
    }.items():
        done = called("run", script, *arguments)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert reason in done.stderr and done.stderr.count("\n") == 1
    assert script.read_text() == "print('it ran')\n"


def test_a_program_that_fails_is_recorded_to_its_end(tmp_path, called):
    script, out = tmp_path / "train.py", tmp_path / "a.tape"
    script.write_text(TRAIN.replace("STEPS", "2") + "torch.ones(2, 3) @ torch.ones(2, 3)\n")
    done = tapebook("run", script, "--record", out, "--keep", "health")
    assert done.returncode == 1 and "RuntimeError" in done.stderr
    tape = open_tape(out)
    assert tape.complete and "RuntimeError" in tape.events()[-1].error
    assert "raised RuntimeError" in called("show", out, tape.last_seq).stdout
    summary = tape.summary_of(next(e for e in tape.events() if hasattr(e, "roots")).roots[0])
    assert summary is not None and summary.count == 1, "statistics were kept"


def test_a_notebook_is_recorded_with_its_cells(tmp_path, called):
    from app.recording import notebook_of
    from framework.trace.playback import Playback

    path, out = tmp_path / "n.ipynb", tmp_path / "n.tape"
    path.write_text(json.dumps(NOTEBOOK))
    assert tapebook("run", path, "--record", out).returncode == 0
    playback = Playback(out)
    notebook = notebook_of(playback.program, playback.sources)
    playback.close()
    assert [cell.id for cell in notebook.cells] == ["m", "first", "second"]
    assert [cell.kind for cell in notebook.cells] == ["markdown", "code", "code"]
    assert notebook.path is None
    assert "→    1  y = x.exp()" in called("show", out, "exp").stdout
