"""Sequential, lists and dicts of modules and parameters."""

from __future__ import annotations

from collections import OrderedDict

import pytest

import framework as torch
from framework import nn


def test_sequential_like_a_list() -> None:
    net = nn.Sequential(nn.Linear(1, 2), nn.ReLU())
    net.append(nn.Linear(2, 3)).insert(1, nn.Identity())
    assert [type(m).__name__ for m in net] == ["Linear", "Identity", "ReLU", "Linear"]
    assert list(net._modules) == ["0", "1", "2", "3"]
    assert net[-1].out_features == 3 and len(net[1:3]) == 2
    del net[1]
    assert [type(m).__name__ for m in net] == ["Linear", "ReLU", "Linear"]
    net[1] = nn.Tanh()
    assert isinstance(net.pop(1), nn.Tanh) and len(net) == 2
    assert len(net + nn.Sequential(nn.ReLU())) == 3 and len(net * 2) == 4
    with pytest.raises(IndexError, match="index 5 is out of range"):
        net[5]
    with pytest.raises(TypeError, match="int is not a Module subclass"):
        nn.Sequential(3)


def test_sequential_with_names() -> None:
    net = nn.Sequential(OrderedDict(hidden=nn.Linear(1, 2), act=nn.ReLU()))
    assert net.hidden is net[0] and list(net.state_dict()) == ["hidden.weight", "hidden.bias"]


def test_module_list() -> None:
    layers = nn.ModuleList(nn.Linear(i, i) for i in (1, 2))
    layers += [nn.ReLU()]
    layers.insert(0, nn.Identity())
    assert len(layers) == 4 and isinstance(layers[0], nn.Identity)
    assert len(list(layers.parameters())) == 4
    assert isinstance(layers[1:3], nn.ModuleList)
    same = nn.ModuleList([nn.Sequential(nn.ReLU()) for _ in range(3)])
    assert repr(same) == ("ModuleList(\n  (0-2): 3 x Sequential(\n    (0): ReLU()\n  )\n)")


def test_module_dict() -> None:
    table = nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.ReLU()})
    table["c"] = nn.Tanh()
    assert list(table) == ["a", "b", "c"] and "b" in table and len(table) == 3
    assert isinstance(table.pop("b"), nn.ReLU)
    assert [k for k, _ in table.items()] == ["a", "c"]
    assert list(table.state_dict()) == ["a.weight", "a.bias"]


def test_parameter_list_and_dict() -> None:
    many = nn.ParameterList([torch.zeros(2, 3), nn.Parameter(torch.ones(1))])
    many.append(torch.ones(4))
    assert [p.numel() for p in many] == [6, 1, 4] and len(list(many.parameters())) == 3
    assert many[-1] is many[2] and len(many[:2]) == 2
    assert repr(many).splitlines()[1] == (
        "    (0): Parameter containing: [torch.float32 of size 2x3]"
    )
    named = nn.ParameterDict({"x": torch.zeros(1)})
    named["y"] = torch.ones(2)
    assert list(named.keys()) == ["x", "y"] and named.get("z") is None
    assert list(named.state_dict()) == ["x", "y"]
    del named["x"]
    assert "x" not in named and len(list(named.parameters())) == 1
