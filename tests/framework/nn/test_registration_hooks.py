"""Hooks on what modules get, and the options of attention that come with its result."""

from __future__ import annotations

import pytest

import framework as torch
from framework import nn
from framework.nn.attention import flex_attention as flex
from framework.nn.modules import module as M


def test_hooks_see_what_any_module_gets():
    seen = []

    def note(kind):
        return lambda owner, name, value: seen.append((kind, name, type(value).__name__))

    handles = [
        M.register_module_parameter_registration_hook(note("parameter")),
        M.register_module_buffer_registration_hook(note("buffer")),
        M.register_module_module_registration_hook(note("module")),
    ]
    net = nn.Module()
    net.layer = nn.Linear(1, 1, bias=False)
    net.mean = nn.Buffer(torch.zeros(1))
    net.mean = torch.ones(1)
    net.layer = None
    for handle in handles:
        handle.remove()
    net.more = nn.ReLU()
    assert seen == [
        ("parameter", "weight", "Parameter"),  # and none for the bias that is not there
        ("module", "layer", "Linear"), ("buffer", "mean", "Tensor"), ("buffer", "mean", "Tensor"),
        ("module", "layer", "NoneType"),
    ]  # fmt: skip


def test_hooks_may_put_something_else_there():
    def half(owner, name, value):
        return None if value is None else nn.Parameter(value.detach().half())

    with M.register_module_parameter_registration_hook(half):
        layer = nn.Linear(2, 2)
    assert layer.weight.dtype is torch.float16 and nn.Linear(2, 2).weight.dtype is torch.float32
    with M.register_module_module_registration_hook(lambda owner, name, child: nn.Tanh()):
        assert isinstance(nn.Sequential(nn.ReLU())[0], nn.Tanh)
    with M.register_module_buffer_registration_hook(lambda owner, name, value: value + 1):
        net = nn.Module()
        net.register_buffer("a", torch.zeros(1))
    assert net.a.item() == 1


def test_attention_returns_what_is_asked_for():
    x = torch.randn(1, 2, 3, 4)
    scores = x @ x.transpose(-2, -1) / 2
    out, aux = flex.flex_attention(x, x, x, return_aux=flex.AuxRequest(lse=True, max_scores=True))
    assert isinstance(aux, flex.AuxOutput)
    assert torch.allclose(aux.lse, scores.logsumexp(-1)) and torch.allclose(
        aux.max_scores, scores.amax(-1)
    )
    assert torch.allclose(out, flex.flex_attention(x, x, x))
    assert flex.flex_attention(x, x, x, return_aux=flex.AuxRequest())[1] == (None, None)
    with pytest.raises(ValueError, match="Cannot specify both return_lse and return_aux"):
        flex.flex_attention(x, x, x, return_lse=True, return_aux=flex.AuxRequest(lse=True))


def test_options_stand_where_pytorch_has_them():
    from framework.nn.modules.linear_cross_entropy_options import LinearCrossEntropyOptions

    assert LinearCrossEntropyOptions is nn.LinearCrossEntropyOptions
