"""Private names that other libraries import from PyTorch's modules, and what they do with them."""

from __future__ import annotations

import math

import pytest

import framework as torch
from framework.nn import functional as F
from framework.nn.init import _no_grad_trunc_normal_
from framework.nn.modules.linear import NonDynamicallyQuantizableLinear
from framework.nn.utils.parametrize import is_parametrized
from framework.optim.optimizer import (
    Optimizer,
    _default_to_fused_or_foreach,
    _disable_dynamo_if_unsupported,
    _dispatch_sqrt,
    _get_scalar_dtype,
    _get_value,
    _stack_if_compiling,
    _use_grad_for_differentiable,
    _view_as_real,
)


class Lion(Optimizer):
    """As its authors write it: a copy of the form of PyTorch's own."""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0, differentiable=False):
        defaults = {
            "lr": lr, "betas": betas, "weight_decay": weight_decay,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @_use_grad_for_differentiable
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state["exp_avg"] = torch.zeros_like(p)
                beta1, beta2 = group["betas"]
                update = state["exp_avg"].mul(beta1).add(p.grad, alpha=1 - beta1).sign_()
                p.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"])
                state["exp_avg"].mul_(beta2).add_(p.grad, alpha=1 - beta2)
        return loss


def test_an_optimizer_that_is_a_copy():
    p = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = Lion([p], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 5
    assert p.tolist() == [0.5, -1.5] and torch.is_grad_enabled()
    assert optimizer.state[p]["exp_avg"].tolist() == pytest.approx([0.02, -0.04])


def test_small_helpers():
    x = torch.tensor(4.0)
    assert _get_value(x) == _get_value(4.0) == 4 and _stack_if_compiling(x) is x
    assert _dispatch_sqrt(x) == _dispatch_sqrt(4.0) == math.sqrt(4)
    assert _default_to_fused_or_foreach([x], False) == (False, False)
    assert _disable_dynamo_if_unsupported()(math.sqrt) is math.sqrt
    assert _get_scalar_dtype() is torch.float32
    params, state = (
        [torch.ones(2, dtype=torch.complex64), x],
        [torch.zeros(2, dtype=torch.cfloat), x],
    )
    _view_as_real(params, state)
    assert params[0].shape == state[0].shape == (2, 2) and params[1] is x


def test_names_of_layers_and_functions():
    attention = torch.nn.MultiheadAttention(4, 2)
    assert type(attention.out_proj) is NonDynamicallyQuantizableLinear
    assert not is_parametrized(attention)
    assert _no_grad_trunc_normal_(torch.empty(50), 0.0, 1.0, -0.5, 0.5).abs().max() <= 0.5
    assert F._Reduction.get_enum("mean") == 1
    assert not F.has_torch_function((torch.ones(1),))
