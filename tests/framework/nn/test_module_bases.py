"""What `isinstance` says of layers: programs switch dropout off or freeze norms by it."""

from __future__ import annotations

import importlib

import pytest

import framework as torch
from framework import nn

# Layers that share code here and are no kinds of each other.
STRANGERS = [
    ("Dropout2d", "Dropout"), ("AlphaDropout", "Dropout"), ("FeatureAlphaDropout", "Dropout"),
    ("AvgPool3d", "AvgPool2d"), ("CELU", "ELU"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "other"), STRANGERS)
def test_layers_that_are_no_kinds_of_each_other(name, other):
    assert not issubclass(getattr(nn, name), getattr(nn, other))


def test_a_zero_pad_is_a_constant_pad():
    pad = nn.ZeroPad2d((1, 0, 0, 0))
    assert isinstance(pad, nn.ConstantPad2d) and pad.value == 0
    assert pad(torch.ones(1, 1)).tolist() == [[0, 1]] and repr(pad) == "ZeroPad2d((1, 0, 0, 0))"


def test_only_whole_elements_are_dropped_where_a_program_asks_for_dropout():
    net = nn.Sequential(nn.Dropout(0.5), nn.Dropout2d(0.5), nn.AlphaDropout(0.5))
    for m in net.modules():
        if isinstance(m, nn.Dropout):
            m.p = 0.0
    assert [m.p for m in net] == [0.0, 0.5, 0.5]


@pytest.mark.parametrize(
    ("file", "base", "names"),
    [
        ("dropout", "_DropoutNd", "Dropout Dropout1d Dropout2d Dropout3d AlphaDropout"),
        ("pooling", "_AvgPoolNd", "AvgPool1d AvgPool2d AvgPool3d"),
        ("pooling", "_AdaptiveAvgPoolNd", "AdaptiveAvgPool1d AdaptiveAvgPool2d"),
        ("pooling", "_AdaptiveMaxPoolNd", "AdaptiveMaxPool2d AdaptiveMaxPool3d"),
        ("pooling", "_LPPoolNd", "LPPool1d LPPool2d"),
        ("pooling", "_MaxUnpoolNd", "MaxUnpool1d MaxUnpool2d"),
        ("conv", "_ConvTransposeNd", "ConvTranspose1d ConvTranspose2d ConvTranspose3d"),
        ("padding", "_ConstantPadNd", "ConstantPad1d ZeroPad3d"),
        ("padding", "_ReflectionPadNd", "ReflectionPad1d ReflectionPad2d"),
        ("padding", "_ReplicationPadNd", "ReplicationPad1d ReplicationPad3d"),
        ("padding", "_CircularPadNd", "CircularPad1d CircularPad2d"),
    ],
)
def test_bases_that_programs_name(file, base, names):
    found = getattr(importlib.import_module(f"framework.nn.modules.{file}"), base)
    assert all(issubclass(getattr(nn, name), found) for name in names.split())
    assert not issubclass(nn.Conv2d, found) and not issubclass(nn.MaxPool2d, found)


class Wrapper(nn.Module):
    """Answers for the attributes of what it wraps, as many a wrapper does."""

    def __init__(self, module):
        super().__init__()
        self.module = module
        self.head = nn.Linear(2, 1)

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("module"), name)


def test_a_wrapper_may_have_a_child_of_the_name_of_one_within():
    inner = nn.Module()
    inner.head, inner.tail = nn.ReLU(), nn.Tanh()
    outer = Wrapper(inner)
    assert isinstance(outer.head, nn.Linear) and outer.tail is inner.tail
    assert [name for name, _ in outer.named_children()] == ["module", "head"]


def test_a_module_takes_no_parameters_place():
    layer = nn.Linear(1, 1)
    with pytest.raises(TypeError, match=r"cannot assign .*Linear' as parameter 'weight'"):
        layer.weight = nn.Linear(1, 1)
    del layer.weight
    layer.weight = nn.Identity()
    assert isinstance(layer.weight, nn.Identity)
