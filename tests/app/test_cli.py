"""The command line: unusable input, exports, doctor, version.

What ends before anything is run is called in this process, for time; the rest are real processes.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from importlib.util import find_spec

import pytest
from command_line import tapebook

pytestmark = pytest.mark.usefixtures("runtime")

TRAIN = """\
import framework as torch
from framework import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(5):
    optimizer.zero_grad()
    loss = model(torch.randn(6, 4)).pow(2).mean()
    print("step", step)
    loss.backward()
    optimizer.step()
"""


@pytest.fixture
def train(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(TRAIN)
    return path


def _refused(done, *words):
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("tapebook: ") and done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr
    return True


# -- unusable input -------------------------------------------------------------------------------


def _make_bad(folder, kind):
    path = folder / {"unknown suffix": "data.csv", "binary": "b.py", "broken": "n.ipynb"}.get(
        kind, "x.py"
    )
    if kind == "directory":
        path.mkdir()
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "binary":
        path.write_bytes(b"\x7fELF\0\0\0" + bytes(range(256)))
    elif kind == "broken":
        path.write_text('{"cells": [')
    elif kind == "unknown suffix":
        path.write_text("1,2\n")
    return path


@pytest.mark.parametrize(
    "kind", ["missing", "directory", "FIFO", "binary", "broken", "unknown suffix"]
)
@pytest.mark.parametrize("command", ["run", "export"])
def test_what_cannot_be_run_is_refused_in_one_line(tmp_path, kind, command, called):
    path = _make_bad(tmp_path, kind)
    more = ["-o", tmp_path / "out.svg"] if command == "export" else []
    assert _refused(called(command, path, *more), path.name)
    assert not (tmp_path / "out.svg").exists()


@pytest.mark.parametrize("kind", ["missing", "directory", "FIFO", "unknown suffix"])
def test_what_cannot_be_opened_is_refused_before_the_screen(tmp_path, kind, called):
    assert _refused(called(_make_bad(tmp_path, kind)), str(tmp_path))


def test_no_terminal_no_screen(train):
    assert _refused(tapebook(train), "needs a terminal", "tapebook run")
    assert _refused(tapebook(), "needs a terminal")
    assert _refused(tapebook("attach"), "needs a terminal")


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["--nonsense"],
        ["run", "x.py", "--brake", "nan"],
        ["export", "x.py"],
        ["export", "x.py", "-o", "x.svg", "--phase", "sideways"],
        ["export", "x.py", "-o", "x.svg", "--step", "many"],
        ["ps", "extra"],
        ["doctor", "extra"],
        ["a.py", "b.py"],
    ],
)
def test_a_wrong_command_line_is_one_line(arguments, called):
    assert _refused(called(*arguments), "--help")


def test_a_strange_file_name_does_not_break_the_message(tmp_path):
    name = os.fsencode(tmp_path) + b"/\xff\x1b[31m\n.py"
    done = subprocess.run(
        [sys.executable.encode(), b"-m", b"app", b"run", name], capture_output=True, timeout=120
    )
    assert done.returncode == 2
    assert b"\x1b" not in done.stderr and done.stderr.count(b"\n") == 1


def test_a_plain_locale_and_a_closed_pipe(train, tmp_path):
    odd = tmp_path / "naïve.py"
    odd.write_text("print('é')")
    env = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert tapebook("run", odd, env=env).returncode == 0
    assert tapebook("doctor", env=env).returncode == 0
    command = f"{sys.executable} -m app doctor | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in done.stderr


# -- version, help, doctor ------------------------------------------------------------------------


def test_version_is_fast_and_loads_nothing():
    code = (
        "import sys; sys.argv = ['tapebook', '--version']\nfrom app.cli import main\nmain()\n"
        "print([m for m in ('framework', 'textual', 'IPython', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"tapebook \d+\.\d+\.\d+\S*\n\[\]\n", done.stdout)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    tapebook("--version")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < 1.0  # of its own: others may have the machine


def test_help_names_the_subcommands(called):
    done = tapebook("--help")
    assert done.returncode == 0
    for word in ("run", "ps", "attach", "export", "doctor"):
        assert f"tapebook {word}" in done.stdout or f"| {word}" in done.stdout
    for command in ("run", "ps", "attach", "export", "doctor"):
        assert called(command, "--help").returncode == 0


def test_the_installed_program_is_this_one():
    program = shutil.which("tapebook", path=os.path.dirname(sys.executable))
    if program is None:
        pytest.skip("the package is not installed in this environment")
    done = subprocess.run([program, "--version"], capture_output=True, text=True)
    assert done.stdout == tapebook("--version").stdout


def test_doctor_says_what_is_there_and_what_to_do(tmp_path):
    done = tapebook("doctor")
    assert done.returncode == 0
    found = {line.split()[1]: line for line in done.stdout.splitlines()}
    assert list(found) == [
        "python", "framework", "blas", "numba", "devices", "cupy", "libraries", "cudnn",
        "nvrtc", "sanitizer", "graphviz",
        "matplotlib", "pytorch", "terminal", "unicode", "runtime",
    ]  # fmt: skip
    assert all(len(line) < 200 and line[:4] in ("ok  ", "note") for line in found.values())
    off = tapebook("doctor", env={**os.environ, "TAPEBOOK_NUMBA": "0"})
    assert "TAPEBOOK_NUMBA=0 is set" in off.stdout or "tapebook[fast]" in off.stdout
    empty = tapebook("doctor", env={**os.environ, "PATH": str(tmp_path)})
    assert "apt install graphviz" in empty.stdout
    fake = tapebook("doctor", env={**os.environ, "TAPEBOOK_FAKE_CUDA": "2"})
    assert "2 fake CUDA devices:" in fake.stdout
    one = tapebook("doctor", env={**os.environ, "TAPEBOOK_FAKE_CUDA": "1"})
    assert "1 fake CUDA device:" in one.stdout
    if find_spec("cupy") is None:  # what is to be done about it is said once
        assert [what for what, line in found.items() if "tapebook[cuda12]" in line] == ["cupy"]


def test_doctor_fails_when_something_is_wrong_that_one_needs(tmp_path):
    (tmp_path / "tapebook").write_text("a file where the folder of sessions should be")
    done = tapebook("doctor", env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)})
    wrong = [line for line in done.stdout.splitlines() if line.startswith("MISS")]
    assert done.returncode == 1 and [line.split()[1] for line in wrong] == ["runtime"]
    assert "Exit status: 0, or 1" in tapebook("doctor", "--help").stdout


def test_ps_without_sessions(called):
    done = called("ps")
    assert done.returncode == 0 and "no session is running" in done.stdout


# -- export ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["dot", "svg", "png"])
@pytest.mark.parametrize("phase", ["forward", "both"])
def test_export_writes_a_picture_of_the_first_step(train, tmp_path, suffix, phase, called):
    out = tmp_path / f"graph.{suffix}"
    run = tapebook if (suffix, phase) == ("svg", "both") else called
    done = run("export", train, "-o", out, "--phase", phase)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{out}: ") and "nodes" in done.stdout
    assert "step 0" in done.stderr and "step 1" not in done.stderr  # it ended with the step
    data = out.read_bytes()
    if suffix == "svg":
        assert ET.fromstring(data).tag.endswith("svg")
    elif suffix == "png":
        assert data.startswith(b"\x89PNG")
    else:
        assert b"digraph" in data and b"relu" in data.lower()


def test_export_without_graphviz_says_which_way_was_used(train, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    done = tapebook(
        "export", train, "-o", tmp_path / "g.svg", env={**os.environ, "PATH": str(folder)}
    )
    assert done.returncode == 0
    assert "built-in layout" in done.stdout


def test_export_of_a_later_step_of_a_module_and_of_a_run_without_steps(train, tmp_path, called):
    out = tmp_path / "g.dot"
    assert called("export", train, "-o", out, "--step", 3, "--module", "model").returncode == 0
    script = tmp_path / "forward.py"
    script.write_text("import framework as torch\ny = (torch.ones(2, 2) * 3).exp()\n")
    done = called("export", script, "-o", out)
    assert done.returncode == 0 and "exp" in out.read_text()


@pytest.mark.parametrize(
    "arguments, status, reason",
    [
        (["-o", "x.gif"], 2, "must end in .html, .svg, .png, .mmd or .dot"),
        (["-o", "nowhere/x.svg"], 2, "no directory"),
        (["-o", "x.svg", "--step", "0"], 2, "count from 1"),
        (["-o", "x.svg", "--step", "99"], 2, "ended after 5 training steps"),
        (["-o", "x.svg", "--module", "nope"], 2, "nope"),
    ],
)
def test_an_export_that_cannot_be(
    train, tmp_path, arguments, status, reason, called, monkeypatch
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    done = called("export", train, *arguments)
    assert done.returncode == status
    assert reason in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("x.*"))


def test_a_program_that_fails_before_its_step_is_not_drawn(tmp_path, called):
    script = tmp_path / "bad.py"
    script.write_text("import framework as torch\ntorch.ones(2) @ torch.ones(3)\n")
    done = called("export", script, "-o", tmp_path / "g.svg")
    assert done.returncode == 1
    assert "failing op: matmul" in done.stderr and "before training step 1" in done.stderr
    assert not (tmp_path / "g.svg").exists()
