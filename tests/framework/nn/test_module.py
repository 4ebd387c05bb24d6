"""`Module`: registration, walking, moving, copying, text, and its place in the trace."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import framework as torch
from framework import nn
from framework.trace import recording


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.again = self.first
        self.scale = nn.Parameter(torch.ones(4))
        self.register_buffer("seen", torch.zeros(1))
        self.register_buffer("scratch", torch.zeros(2), persistent=False)
        self.tail = nn.Sequential(nn.ReLU(), nn.Linear(4, 2))
        self.plain = 7

    def forward(self, x, *, twice: bool = False):
        y = self.tail(self.first(x) * self.scale)
        return y * 2 if twice else y


def test_walking_names_everything_once() -> None:
    net = Net()
    assert [n for n, _ in net.named_parameters()] == [
        "scale", "first.weight", "first.bias", "tail.1.weight", "tail.1.bias",
    ]  # fmt: skip
    assert len([n for n, _ in net.named_parameters(remove_duplicate=False)]) == 7
    assert [n for n, _ in net.named_parameters(recurse=False)] == ["scale"]
    assert [n for n, _ in net.named_buffers()] == ["seen", "scratch"]
    assert [n for n, _ in net.named_children()] == ["first", "tail"]
    assert [n for n, _ in net.named_modules()] == ["", "first", "tail", "tail.0", "tail.1"]
    assert next(iter(net.named_parameters(prefix="x")))[0] == "x.scale"
    assert net.get_submodule("tail.1") is net.tail[1]
    assert net.get_parameter("tail.1.bias") is net.tail[1].bias
    assert net.get_buffer("seen") is net.seen
    assert {"first", "scale", "seen", "forward"} <= set(dir(net))


def test_assignment_moves_a_name_between_the_tables() -> None:
    net = Net()
    net.plain = nn.Parameter(torch.zeros(1))
    assert "plain" in net._parameters and "plain" not in net.__dict__
    net.plain = None
    assert net.plain is None and "plain" in net._parameters
    del net.plain
    net.plain = torch.zeros(1)
    net.plain = nn.ReLU()
    assert "plain" in net._modules and "plain" not in net.__dict__
    net.plain = nn.Parameter(torch.zeros(1))
    assert "plain" in net._parameters and "plain" not in net._modules
    del net.plain
    assert not hasattr(net, "plain")
    net.seen = torch.ones(3)
    assert net._buffers["seen"].shape == (3,)
    net.extra = nn.Buffer(torch.zeros(1), persistent=False)
    assert "extra" in net._buffers and "extra" not in net.state_dict()
    net.plain = torch.zeros(1)
    assert "plain" not in net._buffers  # a tensor that nobody registered


@pytest.mark.parametrize("kind", [nn.Parameter, nn.Buffer])
def test_parameters_and_buffers_are_made_of_tensors(kind) -> None:
    with pytest.raises(AttributeError, match=f"{kind.__name__} expects a Tensor, but got float"):
        kind(3.0)


def unready(value):
    class Bare(nn.Module):
        def __init__(self) -> None:
            self.a = value

    return Bare()


@pytest.mark.parametrize(
    "act, kind, message",
    [
        (lambda m: unready(nn.Parameter(torch.ones(1))), AttributeError,
         r"cannot assign parameters before Module.__init__\(\) call"),
        (lambda m: unready(nn.ReLU()), AttributeError, "cannot assign module before"),
        (lambda m: setattr(m, "weight", torch.ones(1)), TypeError,
         r"cannot assign 'torch.FloatTensor' as parameter 'weight' \(torch.nn.Parameter or None"),
        (lambda m: m.nothing, AttributeError, "'Linear' object has no attribute 'nothing'"),
        (lambda m: m.register_parameter("a.b", None), KeyError, "t contain"),
        (lambda m: m.register_parameter("", None), KeyError, "t be empty"),
        (lambda m: m.register_buffer("weight", None), KeyError, "'weight' already exists"),
        (lambda m: m.register_buffer("x", 3), TypeError, "'int' object to buffer 'x'"),
        (lambda m: m.register_parameter("x", m.weight * 1), TypeError, "cannot assign"),
        (lambda m: m.add_module("x", 3), TypeError, "int is not a Module subclass"),
        (lambda m: m.train(1), ValueError, "training mode is expected to be boolean"),
        (lambda m: m.to(torch.int64), TypeError, "only accepts floating point or complex dtypes"),
        (lambda m: m.get_submodule("a.b"), AttributeError, "Linear has no attribute `a`"),
        (lambda m: nn.Module()(1), NotImplementedError, "missing the required"),
        (lambda m: nn.Parameter(torch.ones(1).long()), RuntimeError, "can require gradients"),
    ],
)  # fmt: skip
def test_errors(act, kind, message) -> None:
    with pytest.raises(kind, match=message):
        act(nn.Linear(2, 2))


def test_parameter_is_a_leaf_that_shares_memory() -> None:
    data = torch.zeros(2)
    p = nn.Parameter(data)
    data += 1
    assert p.is_leaf and p.requires_grad and p.tolist() == [1.0, 1.0]
    assert repr(p) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"
    assert isinstance(p * 1, torch.Tensor) and not isinstance(p * 1, nn.Parameter)


def test_modes_and_gradients() -> None:
    net = Net().eval()
    assert not any(m.training for m in net.modules())
    net.train()
    net(torch.ones(1, 3)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert all(not p.grad.any() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.requires_grad_(False)
    assert not net(torch.ones(1, 3)).requires_grad
    visited = []
    net.apply(lambda m: visited.append(type(m).__name__))
    assert visited == ["Linear", "ReLU", "Linear", "Sequential", "Net"]


def test_moving_keeps_the_parameter_objects() -> None:
    net = nn.BatchNorm1d(3)
    weight = net.weight
    net.double()
    assert net.weight is weight and weight.dtype is torch.float64
    assert net.running_mean.dtype is torch.float64
    assert net.num_batches_tracked.dtype is torch.int64
    net.to(torch.zeros(1, dtype=torch.float16))
    assert weight.dtype is torch.float16
    assert net.float().weight.dtype is torch.float32


def test_deepcopy_is_independent() -> None:
    net = Net()
    other = copy.deepcopy(net)
    other.first.weight.data.fill_(0.0)
    assert net.first.weight.any() and other.again is other.first
    assert isinstance(other.scale, nn.Parameter)
    x = torch.ones(2, 3)
    other.load_state_dict(net.state_dict())
    np.testing.assert_array_equal(net(x).detach(), other(x).detach())


def test_repr() -> None:
    assert repr(Net()) == (
        "Net(\n"
        "  (first): Linear(in_features=3, out_features=4, bias=True)\n"
        "  (again): Linear(in_features=3, out_features=4, bias=True)\n"
        "  (tail): Sequential(\n"
        "    (0): ReLU()\n"
        "    (1): Linear(in_features=4, out_features=2, bias=True)\n"
        "  )\n"
        ")"
    )


# -- the trace ---------------------------------------------------------------------------------


def test_calls_are_nested_in_the_trace() -> None:
    net = Net()
    with recording() as tape:
        net(torch.ones(1, 3), twice=True)
    begins = [e for e in tape.read() if type(e).__name__ == "ModuleBegin"]
    assert [e.path for e in begins] == ["net", "net.first", "net.tail", "net.tail.0", "net.tail.1"]
    assert [e.cls for e in begins] == ["Net", "Linear", "Sequential", "ReLU", "Linear"]
    ends = [e.begin for e in tape.read() if type(e).__name__ == "ModuleEnd"]
    assert sorted(ends) == [e.seq for e in begins]
    assert tape.open == [] and tape.module == ""


def test_trace_stays_balanced_when_forward_raises() -> None:
    net = Net()
    with recording() as tape:
        with pytest.raises(RuntimeError, match="linear: mat1 and mat2 shapes"):
            net(torch.ones(1, 4))
        net(torch.ones(1, 3))
    ends = [e for e in tape.read() if type(e).__name__ == "ModuleEnd"]
    begins = [e for e in tape.read() if type(e).__name__ == "ModuleBegin"]
    assert len(begins) == len(ends) == 2 + 5
    assert ["linear: mat1" in e.error for e in ends] == [True, True] + [False] * 5
    assert tape.open == [] and tape.module == ""


def test_tracing_changes_no_result() -> None:
    net, x = Net(), torch.randn(5, 3)
    plain = net(x)
    with recording():
        traced = net(x)
    np.testing.assert_array_equal(plain.detach(), traced.detach())
