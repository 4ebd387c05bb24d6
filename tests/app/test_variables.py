"""Whatever the text surface asks for by name may be a variable of the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_line import recorded, shown

import framework as torch
from app.cli import main
from framework import nn
from framework.trace import recording
from viewers import see

SCRIPT = """\
import framework as torch
from framework import nn

torch.manual_seed(0)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(self.first(x))


model = Tied()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.ones(2, 4, requires_grad=True) + 0
x = x.detach().requires_grad_()
for step in range(3):
    optimizer.zero_grad()
    h = x * (step + 1)
    out = model(h)
    h = out.square()
    loss = h.mean()
    loss.backward()
    optimizer.step()
"""


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("variables") / "train.py", SCRIPT)


def test_a_tensor_and_its_course(tape, capsys) -> None:
    text = shown(capsys, tape, "tensor", "h[0, :2]", "--step", 2)
    assert text.startswith("h  step 2\n") and "f32[2,4]" in text, text
    first = shown(capsys, tape, "tensor", "h#1", "--step", 2)
    assert "all 2" in first or re.search(r"min +2 +max +2", first), first
    rows = shown(capsys, tape, "history", "h#1").split("\n")
    assert [row.split()[2] for row in rows[2:5]] == ["1", "2", "3"], rows
    assert "max   1" in shown(capsys, tape, "tensor", "x", "--step", 3), "of an earlier step"


def test_gradients_of_variables(tape, capsys) -> None:
    assert "x.grad" in shown(capsys, tape, "--ops", "--step", 3)
    text = shown(capsys, tape, "tensor", "x.grad", "--step", 3)
    assert text.startswith("x · gradient  step 3\n") and "f32[2,4]" in text, text
    text = shown(capsys, tape, "tensor", "out.grad", "--step", 3)
    assert text.startswith("out.grad  step 3\n") and "f32[2,4]" in text, text
    assert len(shown(capsys, tape, "history", "out.grad").strip().split("\n")) == 5


def test_expressions(tape, capsys) -> None:
    total = shown(capsys, tape, "eval", "(h.mean() - loss).abs()")
    assert total.strip() in ("tensor(0.)", "tensor(0.0000)"), total
    assert "tensor(3.)" in shown(capsys, tape, "eval", "x.max() + 2")
    assert "tensor(0.)" in shown(capsys, tape, "eval", "(out.grad - h.grad * 2 * out).norm()")


def test_ops_trees_and_reasons(tape, capsys) -> None:
    assert "square  outside of any module" in shown(capsys, tape, "h", "--step", 2)
    assert "→ h" not in shown(capsys, tape, "out")
    tree = shown(capsys, tape, "feeds", "h", "--depth", 1).split("\n")
    assert tree[0].startswith("square → h ") and tree[1].startswith("└ linear → out "), tree
    assert "square → h" in shown(capsys, tape, "uses", "out", "--depth", 1)
    for name in ("h", "square"):
        of_two = shown(capsys, tape, "feeds", name, "--depth", 0, "--step", 2)
        assert int(of_two.split("#")[1]) < int(tree[0].split("#")[1]), of_two
    assert main(["show", str(tape), "feeds", "tanh", "--step", "2"]) == 2
    assert "of step 2 is called 'tanh'" in capsys.readouterr().err
    assert "h" in shown(capsys, tape, "why", "h")


@pytest.mark.parametrize(
    "arguments",
    [
        ("tensor", "{}[:1]"), ("history", "{}"), ("history", "{}.grad"), ("eval", "{}.grad.norm()"),
        ("uses", "{}", "--depth", 1), ("why", "{}"), ("{}",),
    ],
    ids=str,
)  # fmt: skip
def test_a_shared_parameter_s_other_name(tape, capsys, arguments) -> None:
    """The name that another module gives it, and the end of either, mean the same."""
    said = {
        name: shown(capsys, tape, *(str(word).format(name) for word in arguments))
        for name in ("model.first.weight", "model.second.weight", "first.weight", "second.weight")
    }
    assert len(set(said.values())) == 1, said


def test_tables_tell_a_shared_parameter_s_other_name(tape, capsys) -> None:
    table = shown(capsys, tape, "--parameters").splitlines()
    at = next(i for i, line in enumerate(table) if line.startswith("model.first.weight"))
    assert table[at + 1].strip() == "also model.second.weight"
    assert sum("also" in line for line in table) == 1
    for arguments in (("tensor", "first.weight"), ("history", "first.weight")):
        assert "also model.second.weight" in shown(capsys, tape, *arguments).splitlines()[0]
    assert "update model.first.weight  also model.second.weight" in shown(capsys, tape, "--ops")


def test_the_end_of_a_name_that_several_have_is_refused(tape, capsys) -> None:
    for arguments in (
        ("tensor", "bias"), ("history", "bias.grad"), ("eval", "bias.norm()"), ("uses", "bias"),
        ("why", "bias"), ("bias",),
    ):  # fmt: skip
        assert main(["show", str(tape), *arguments]) == 2
        error = capsys.readouterr().err
        assert "2 names end in 'bias': model.first.bias, model.second.bias" in error, error
        assert error.count("\n") == 1
    assert main(["show", str(tape), "eight"]) == 2, "components are whole"
    assert "nothing is called 'eight'" in capsys.readouterr().err


def test_modules_without_their_root(tape, capsys, tmp_path) -> None:
    assert "in module model.second" in shown(capsys, tape, "second")
    drawn = {}
    for name in ("model.second", "second"):
        out = tmp_path / f"{name}.dot"
        assert main(["export", str(tape), "-o", str(out), "--module", name]) == 0
        drawn[name] = out.read_text()
    assert drawn["model.second"] == drawn["second"]
    assert main(["export", str(tape), "-o", str(out), "--module", "third"]) == 2


def test_of_a_block_of_this_process() -> None:
    """From Python: the source is on disk, and the block has ended though its step has not."""
    layer = nn.Linear(2, 1)
    with recording(keep="all") as tape:
        hidden = layer(torch.ones(3, 2))
        total = hidden.sum()
        total.backward()
        after = total * 2
    assert see.value(tape, "hidden.grad.sum()").item() == 3
    assert see.value(tape, "after").item() == after.item()
    with pytest.raises(ValueError, match="no tensor is called 'nothing'"):
        see.picture(tape, "nothing")
