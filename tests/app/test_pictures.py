"""export, summary, feeds and uses from the command line: of a program and of its recording."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import called_here

TRAIN = """\
import framework as torch
from framework import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(12, 8), torch.randint(0, 4, (12,))
for step in range(3):
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program and its recording."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "train.py").write_text(TRAIN)
    subprocess.run(
        [sys.executable, "-m", "app", "run", "train.py", "--record", "run.tape", "--no-listen"],
        cwd=folder, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    return folder


@pytest.mark.parametrize("source", ["train.py", "run.tape"])
@pytest.mark.parametrize("suffix", ["html", "svg", "mmd", "dot", "png"])
def test_every_format_has_the_same_options(
    folder: Path, tmp_path: Path, suffix: str, source: str, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"graph.{suffix}"
    options = ("--phase", "both", "--step", 2, "--depth", 2, "--values", "--module", "model")
    status, said, err = called_here(capfd, "export", folder / source, "-o", out, *options)
    assert status == 0, err
    assert said.startswith(f"{out}: ") and "nodes" in said
    data = out.read_bytes()
    if suffix == "png":
        assert data.startswith(b"\x89PNG")
        return
    text = data.decode()
    assert "step 2" in text and "model" in text
    assert "Linear" in text
    assert "zero" in text, "what the relu made is half zeros"
    if suffix == "html":
        assert "loss = nn.functional.cross_entropy(model(x), y)" in text


def test_summary(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status, out, err = called_here(capfd, "summary", folder / "train.py")
    assert status == 0, err
    assert re.search(r"^  0 Linear +f32\[12,16\] +144 +3264 +384 B ", out, re.MULTILINE)
    assert "parameters 212, trainable 212, fixed 0" in out
    assert out.startswith("step 2\n") and "first step" not in out, "the first is no usual one"
    _, out, _ = called_here(capfd, "summary", folder / "train.py", "--step", 1)
    assert out.startswith("step 1\n") and "times of the first step: " in out
    (folder / "once.py").write_text(
        (folder / "train.py").read_text().replace("range(3)", "range(1)")
    )
    status, out, _ = called_here(capfd, "summary", folder / "once.py")
    assert status == 0 and out.startswith("step 1\n") and "times of the first step: " in out
    status, out, err = called_here(capfd, "summary", folder / "run.tape", "--depth", 1, "--step", 3)
    assert status == 0, err
    assert out.startswith("step 3") and "0 Linear" not in out and "model Sequential" in out
    status, out, _ = called_here(capfd, "summary", folder / "run.tape", "--ops")
    assert re.search(r"^linear +2 +4848 ", out, re.MULTILINE), out


def test_a_file_that_is_replaced_is_spoken_of(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "graph.mmd"
    _, said, _ = called_here(capfd, "export", folder / "run.tape", "-o", out)
    assert "replaces" not in said
    _, said, _ = called_here(capfd, "export", folder / "run.tape", "-o", out)
    assert said.endswith("; it replaces the file of that name\n")


GAN = """\
import framework as torch
from framework import nn
G, D = nn.Linear(2, 3), nn.Linear(3, 1)
of_g = torch.optim.Adam(G.parameters(), lr=0.1)
of_d = torch.optim.SGD(D.parameters(), lr=0.1)
for turn in range(2):
    of_d.zero_grad()
    (D(G(torch.ones(4, 2)).detach()) - 1).square().mean().backward()
    of_d.step()
    of_g.zero_grad()
    D(G(torch.ones(4, 2))).exp().mean().backward()
    of_g.step()
"""


def test_a_step_of_two_optimizers_is_shown_whole(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gan.py").write_text(GAN)
    status, _, err = called_here(capfd, "run", "gan.py", "--no-listen", "--record", "gan.tape")
    assert status == 0, err
    _, out, _ = called_here(capfd, "show", "gan.tape", "--step", 2)
    heads = re.findall(r"^step 2 \((\d) of 2\): events", out, re.MULTILINE)
    assert heads == ["1", "2"] and "SGD.step 2" in out and "Adam.step 2" in out
    _, out, _ = called_here(capfd, "show", "gan.tape", "--step", 2, "--time")
    assert out.count("time of step 2 (") == 2
    _, out, _ = called_here(capfd, "show", "gan.tape", "square", "--step", 2)
    assert out.startswith("1 in step 2 of 2 in all")  # it is in the first of them
    _, out, _ = called_here(capfd, "export", "gan.tape", "-o", "gan.mmd", "--step", 2)
    assert "; it is step 2 (2 of 2)" in out
    _, out, _ = called_here(capfd, "show", "gan.tape")
    assert "steps     4 training steps (1 to 2)" in out


def test_feeds_and_uses(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status, out, err = called_here(capfd, "show", folder / "run.tape", "feeds", "nll_loss")
    assert status == 0, err
    names = [re.split(r" {2,}", line.lstrip("│├└ "))[0] for line in out.splitlines()]
    assert names == [
        "nll_loss → loss", "log_softmax", "linear", "relu", "linear", "randn", "model.0.weight",
        "model.0.bias", "model.2.weight", "model.2.bias", "randint",
    ]  # fmt: skip
    status, out, _ = called_here(capfd, "show", folder / "run.tape", "--ops", "--step", 1)
    (first,) = re.findall(r"^ +(\d+) +nll_loss_backward", out, re.MULTILINE)
    status, out, _ = called_here(capfd, "show", folder / "run.tape", "feeds", first)
    assert re.search(r"[├└] the first gradient +f32\[\] +of backward at train.py:11", out), out
    status, out, _ = called_here(
        capfd, "show", folder / "run.tape", "uses", "model.2", "--depth", 1
    )
    assert status == 0
    assert re.search(r"^[├└] log_softmax ", out, re.MULTILINE)
    status, out, err = called_here(capfd, "show", folder / "run.tape", "feeds", "nothing")
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert "no op, module or leaf of this trace is called 'nothing'" in err


def test_uses_in_a_later_step_of_what_was_made_before(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data.py").write_text(
        "import framework as torch\n"
        "w = torch.ones(2, requires_grad=True)\n"
        "optimizer = torch.optim.SGD([w], lr=0.1)\n"
        "data = torch.randn(2) + 1\n"
        "for step in range(3):\n"
        "    loss = (w * data).sum()\n"
        "    optimizer.zero_grad()\n"
        "    loss.backward()\n"
        "    optimizer.step()\n"
    )
    assert called_here(capfd, "run", "data.py", "--no-listen", "--record", "data.tape")[0] == 0
    _, out, _ = called_here(capfd, "show", "data.tape", "--ops", "--step", 3)
    first = int(re.findall(r"^ +(\d+)  mul", out, re.MULTILINE)[0])
    _, out, _ = called_here(capfd, "show", "data.tape", "uses", "data", "--step", 3, "--depth", 1)
    head, *rest = out.splitlines()
    assert head.split()[0] == "data" and head.endswith("of an earlier step"), out
    assert rest[0].endswith(f"#{first}"), out


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (["export", "train.py", "-o", "x.pdf"], 2, ".html, .svg, .png, .mmd or .dot"),
        (["export", "run.tape", "-o", "x.pdf"], 2, ".json or .safetensors"),
        (["export", "train.py", "-o", "x.svg", "--depth", "-1"], 2, "must be 0 or more"),
        (["export", "train.py", "-o", "x.svg", "--depth", "two"], 2, "invalid"),
        (["export", "train.py", "-o", "x.svg", "--phase", "up"], 2, "invalid choice"),
        (["export", "train.py", "-o", "x.svg", "--step", "0"], 2, "count from 1"),
        (["export", "run.tape", "-o", "x.svg", "--module", "no"], 2, "no module 'no'"),
        (["export", "run.tape", "-o", "x.svg", "--step", "9"], 2, "9"),
        (["summary", "train.py", "--step", "9"], 2, "ended after 3 training steps"),
        (["summary", "none.py"], 2, "none.py"),
    ],
)
def test_what_cannot_be_is_one_line(
    folder: Path,
    arguments: list[str],
    status: int,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    found, out, err = called_here(capfd, *arguments)
    assert (found, out) == (status, "")
    assert err.startswith("tapebook: ") and err.count("\n") == 1, err
    assert reason in err
    assert not list(folder.glob("x.*"))
