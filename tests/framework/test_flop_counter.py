"""Operations as PyTorch counts them: the numbers are those of its own counter."""

from __future__ import annotations

import pytest

import framework as torch
from framework import nn
from framework.utils.flop_counter import FlopCounterMode, register_flop_formula
from framework.utils.module_tracker import ModuleTracker

F = nn.functional


def r(*shape):
    return torch.randn(*shape, requires_grad=True)


# The program, its operations forward, and with backward.
CASES = [
    ("mm", lambda: r(2, 3) @ r(3, 4), 48, 144),
    ("bmm", lambda: r(5, 2, 3) @ r(5, 3, 4), 240, 720),
    ("a batch times a matrix", lambda: r(5, 2, 3) @ r(3, 4), 240, 720),
    ("a matrix times a batch", lambda: r(2, 3) @ r(5, 3, 4), 240, 720),
    ("batches that broadcast", lambda: r(6, 1, 2, 3) @ r(5, 3, 4), 1440, 4320),
    ("addmm", lambda: torch.addmm(r(4), r(2, 3), r(3, 4)), 48, 144),
    ("baddbmm", lambda: torch.baddbmm(r(1), r(5, 2, 3), r(5, 3, 4)), 240, 720),
    ("einsum", lambda: torch.einsum("bij,bjk->bik", r(5, 2, 3), r(5, 3, 4)), 240, 720),
    ("linear", lambda: nn.Linear(3, 4)(r(2, 3)), 48, 144),
    ("linear of a batch", lambda: nn.Linear(3, 4)(r(5, 2, 3)), 240, 720),
    ("linear of data", lambda: nn.Linear(3, 4)(torch.ones(2, 3)), 48, 96),
    ("conv1d", lambda: nn.Conv1d(4, 6, 3)(r(2, 4, 10)), 2304, 6912),
    ("conv2d", lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1)(r(2, 4, 9, 8)), 17280, 51840),
    ("groups", lambda: nn.Conv2d(4, 6, 3, groups=2)(r(2, 4, 9, 8)), 18144, 72576),
    ("dilation", lambda: nn.Conv2d(4, 6, 3, dilation=2)(r(2, 4, 9, 8)), 17280, 51840),
    ("conv3d", lambda: nn.Conv3d(2, 3, 2)(r(1, 2, 4, 4, 4)), 2592, 7776),
    ("one image", lambda: nn.Conv2d(4, 6, 3)(r(4, 9, 8)), 18144, 54432),
    ("conv2d of data", lambda: nn.Conv2d(4, 6, 3, bias=False)(torch.ones(2, 4, 9, 8)), 36288,
     72576),
    ("transposed", lambda: nn.ConvTranspose2d(4, 6, 3, stride=2)(r(2, 4, 5, 5)), 21600, 64800),
    ("transposed, groups", lambda: nn.ConvTranspose2d(4, 6, 3, groups=2)(r(2, 4, 5, 5)), 10800,
     43200),
    ("attention", lambda: F.scaled_dot_product_attention(
        r(2, 3, 5, 8), r(2, 3, 5, 8), r(2, 3, 5, 8), dropout_p=0.1), 4800, 14400),
    ("attention, 3 dimensions", lambda: F.scaled_dot_product_attention(
        r(2, 5, 8), r(2, 5, 8), r(2, 5, 8)), 1600, 4800),
    ("multi-head attention", lambda: nn.MultiheadAttention(8, 2, batch_first=True)(
        r(2, 5, 8), r(2, 5, 8), r(2, 5, 8))[0], 6720, 20160),
    ("a cell", lambda: nn.GRUCell(3, 4)(r(2, 3), r(2, 4)), 336, 1008),
    ("nothing that counts", lambda: nn.Embedding(5, 3)(torch.tensor([1, 2])), 0, 0),
]  # fmt: skip


@pytest.mark.parametrize(("name", "call", "forward", "both"), CASES, ids=[c[0] for c in CASES])
def test_numbers(name, call, forward, both):
    with FlopCounterMode(display=False) as counter:
        out = call()
        assert counter.get_total_flops() == forward
        out.sum().backward()
    assert counter.get_total_flops() == both


def named(counter):
    return {k: {str(op): n for op, n in v.items()} for k, v in counter.get_flop_counts().items()}


def test_names_of_ops():
    with FlopCounterMode(display=False) as counter:
        nn.ConvTranspose2d(4, 6, 3, stride=2)(r(2, 4, 5, 5)).sum().backward()
        nn.Linear(3, 4)(r(2, 3)).sum().backward()
    assert named(counter)["Global"] == {
        "aten.convolution": 21600, "aten.convolution_backward": 43200, "aten.addmm": 48,
        "aten.mm": 96,
    }  # fmt: skip
    key = next(op for op in counter.get_flop_counts()["Linear"] if str(op) == "aten.mm")
    assert key is torch.ops.aten.mm


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x):
        return self.b(torch.relu(self.a(x)))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = self.conv(x).mean((2, 3))
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


TABLE = """\
Module                             FLOP    % Total
-----------------------------  --------  ---------
Net                            448.896K    100.00%
 - aten.convolution            221.184K     49.27%
 - aten.addmm                    2.176K      0.48%
 - aten.mm                       4.352K      0.97%
 - aten.convolution_backward   221.184K     49.27%
 Net.conv                      442.368K     98.55%
  - aten.convolution           221.184K     49.27%
  - aten.convolution_backward  221.184K     49.27%
 Net.head                        0.384K      0.09%
  - aten.addmm                   0.128K      0.03%
  - aten.mm                      0.256K      0.06%"""


def test_counts_by_module_and_their_table(capsys):
    with FlopCounterMode() as counter:
        Net()(torch.ones(2, 3, 16, 16)).sum().backward()
    assert capsys.readouterr().out == TABLE + "\n" == counter.get_table() + "\n"
    counts = named(counter)
    assert counts["Net.blocks.0.a"] == {"aten.addmm": 512, "aten.mm": 1024}
    assert counts["Net"] == counts["Global"]
    assert "Net.blocks.1.b" in counter.get_table(depth=4)
    assert counter.get_table(depth=1).count("Net") == 1


def test_what_is_outside_of_modules_is_global():
    with FlopCounterMode(display=False) as counter:
        nn.Linear(3, 4)(torch.ones(2, 3))
        torch.ones(2, 3) @ torch.ones(3, 4)
    lines = counter.get_table().splitlines()
    assert lines[2].split() == ["Global", "96", "100.00%"] or "Global" in lines[2]
    assert lines[5].startswith(" Linear")
    with FlopCounterMode(display=False) as counter:
        torch.ones(1)
    assert counter.get_table().splitlines()[2].split() == ["Global", "0", "0%"]


def test_formulas_of_ones_own():
    with FlopCounterMode(
        display=False,
        custom_mapping={torch.ops.aten.relu: lambda shape, out_shape=None: 7 * shape.numel()},
    ) as counter:
        torch.relu(torch.ones(2, 3))
    assert counter.get_total_flops() == 42
    with pytest.raises(ValueError, match="expected each target to be OpOverloadPacket"):
        register_flop_formula(torch.relu)(len)
    with pytest.raises(RuntimeError, match=r"duplicate registrations for aten\.mm"):
        register_flop_formula(torch.ops.aten.mm)(len)
    with pytest.warns(UserWarning, match="mods argument is not needed"):
        FlopCounterMode(nn.ReLU())


def test_modules_that_run_are_known_forward_and_backward():
    model, seen = Net(), []

    def note(where):
        return lambda *_: seen.append((where, tracker.is_bw, sorted(tracker.parents)))

    model.head.register_forward_pre_hook(note("forward"))
    with ModuleTracker() as tracker:
        out = model(torch.ones(2, 3, 16, 16))
        model.head.weight.register_hook(note("head"))
        model.blocks[0].b.weight.register_hook(note("block"))
        out.sum().backward()
        assert tracker.parents == {"Global"} and not tracker.is_bw
    assert seen[0] == ("forward", False, ["Global", "Net", "Net.head"])
    assert ("head", True, ["Global", "Net", "Net.head"]) in seen
    assert ("block", True, ["Global", "Net", "Net.blocks.0", "Net.blocks.0.b"]) in seen
    before = len(nn.modules.everywhere.everywhere)
    assert before == 0
