"""What is written in place, as text: its operands are those of before, and each node has its op."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_line import recorded, shown, tapebook

from app.subject import subject_at
from framework.trace import open_tape
from framework.trace.events import Op
from viewers.see import store_of

TRAIN = """\
import framework as torch
from framework import nn
torch.manual_seed(0)
model = nn.Linear(2, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
x = torch.ones(3, 2, requires_grad=True)
for step in range(2):
    optimizer.zero_grad()
    h = model(x * 1)
    h.fill_(1.0)
    h.mul_(3.0)
    h[0] = 7.0
    part = h[1]
    part += model.bias
    loss = h.sum()
    loss.backward()
    optimizer.step()
"""


@pytest.fixture(scope="module")
def tape(tmp_path_factory) -> Path:
    return recorded(tmp_path_factory.mktemp("place") / "place.py", TRAIN)


def test_the_operand_of_a_write_is_shown_as_it_was_before(tape, capsys) -> None:
    text = shown(capsys, tape, "mul_", "--step", 2)
    inputs, _, outputs = text.partition("  inputs\n")[2].partition("  outputs\n")
    assert re.match(r" +h from fill_ +f32\[3,2\] +█ +1±0", inputs), text
    assert re.match(r" +h +f32\[3,2\] +█ +3±0", outputs), text


@pytest.mark.usefixtures("runtime")
def test_the_operand_of_a_write_at_a_stop_is_shown_as_it_was_before(tape) -> None:
    done = tapebook("run", tape.with_suffix(".py"), "--break", "op mul_ step 2")
    inputs, _, outputs = done.stdout.partition("\ninputs\n")[2].partition("\noutputs\n")
    assert "from fill_ at place.py:10" in inputs and "min 1, max 1" in inputs, done.stdout
    assert "min 3, max 3" in outputs


@pytest.mark.usefixtures("runtime")
def test_an_update_at_a_stop_has_its_value_before_and_the_change(tape) -> None:
    done = tapebook("run", tape.with_suffix(".py"), "--break", "update model.bias step 1")
    rows = re.findall(
        r"^(before|after|change)\n +model\.bias +\[2\] float32 .* min (\S+), max", done.stdout, re.M
    )
    assert [word for word, _ in rows] == ["before", "after", "change"], done.stdout
    before, after, change = (float(number) for _, number in rows)
    assert change == pytest.approx(-0.5, abs=1e-3) and after == pytest.approx(
        before + change, abs=1e-3
    )
    assert re.search(r"^gradient\n +model\.bias\.grad ", done.stdout, re.M)
    assert re.search(r"^state\n +momentum_buffer of model\.bias ", done.stdout, re.M)


def test_the_inspector_has_the_operand_as_it_was_before_the_write(tape) -> None:
    """Also where a leaf of the op's own, a number here, stands between the write and the op."""
    with open_tape(tape) as saved:
        store = store_of(saved)
        ops = [e for e in store.tape if isinstance(e, Op) and e.name in ("mul_", "copy_")]
        held = []
        for op in ops[:2]:
            told = {ref.label: ref for ref in subject_at(store, op.seq, store.last_seq).tensors}
            into = told.get("in", told.get("in 0"))
            held += [saved.tensor(ref.meta.id, ref.seq).max() for ref in (into, told["out"])]
        assert held == [1, 3, 3, 7], held
