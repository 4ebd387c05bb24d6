"""What users of pdb type at the prompt of a run with --break, in a real terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Terminal

PROGRAM = """\
import framework as torch


def scaled(x, *, by=2.0):
    y = x * by
    z = y.relu()
    return z + 1


total = 0.0
for step in range(4):
    total += scaled(torch.ones(2, 3)).sum().item()
print("total", total)
"""


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    path = tmp_path / "train.py"
    path.write_text(PROGRAM)
    found = Terminal("run", path, "--break", "op mul", "--no-listen")
    found.expect("(tapebook) ")
    yield found
    found.send("q")
    found.end()


def test_looking(terminal: Terminal) -> None:
    ask = terminal.ask
    assert "x = " in ask("args") and "by = " in ask("args")
    listed = ask("ll")
    assert "def scaled(x, *, by=2.0):" in listed and "return z + 1" in listed
    assert "→    5      y = x * by" in listed and "total" not in listed
    around = ask("list")
    assert "import framework" in around and "total = 0.0" in around and "print" not in around
    assert 'print("total", total)' in ask("list 12")
    assert "Tensor  f32[2,3]" in ask("whatis x") and "float" in ask("whatis by")
    assert "NameError" in ask("whatis nothing")
    for line in ("by = 3", "!by = 3", "del by"):
        assert "only expressions are evaluated; e " in ask(line), line
    assert "2.0" in ask("by") and "2.0" in ask("!by")


def test_parameters_by_their_names_on_the_tape(tmp_path: Path) -> None:
    """Where the function that stands has no variable of that name."""
    path = tmp_path / "net.py"
    path.write_text("""\
import framework as torch
from framework import nn
net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
nn.init.constant_(net[1].bias, 0.25)
net(torch.ones(1, 2)).sum().backward()
""")
    terminal = Terminal("run", path, "--break", "op sum", "--no-listen")
    terminal.expect("(tapebook) ")
    assert "[0.25 0.25]" in terminal.ask("p 1.bias")
    assert "[0.25 0.25]" in terminal.ask("net.1.bias")
    assert "net.1.bias" in terminal.ask("w net.1.bias")
    assert "breakpoint 2: 2 names end in 'bias'" in terminal.ask("b grad bias norm > 0")
    terminal.send("q")
    terminal.end()


def test_breakpoints(terminal: Terminal) -> None:
    ask = terminal.ask
    assert "breakpoint 2" in ask("tbreak 6") and "once" in ask("b")
    assert "stopped: breakpoint 2" in ask("c")
    assert "breakpoint 1 is off" in ask("disable 1") and "off" in ask("b")
    assert "there is no breakpoint 9" in ask("disable 9")
    assert "op relu absmax > 5" in ask("b op relu absmax > 5")
    assert "op relu absmax > 1" in ask("condition 3 absmax > 1")
    stopped = ask("c")
    assert "relu" in stopped and "absmax 2 > 1" in stopped, stopped
    assert "where step > 2" in ask("condition 3 step > 2")
    assert "expected a number that b lists" in ask("condition x")
    assert "where step > 2" in ask("c") and "3" in ask("p step")


def test_display(terminal: Terminal) -> None:
    ask = terminal.ask
    assert "step = 0" in ask("display step")
    assert "NameError" in ask("display nothing")
    assert "step = 1" in ask("c")
    assert "nothing is not displayed" in ask("undisplay nothing")
    ask("undisplay step")
    assert "step = " not in ask("c")
