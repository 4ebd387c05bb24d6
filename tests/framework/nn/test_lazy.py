"""Lazy modules: shapes from the first input or from a state dict, and what is refused before."""

from __future__ import annotations

import copy

import pytest

import framework as torch
from framework import nn


@pytest.mark.parametrize(
    "lazy, eager, shape",
    [
        (lambda: nn.LazyLinear(3), lambda: nn.Linear(4, 3), (2, 4)),
        (lambda: nn.LazyLinear(3, bias=False), lambda: nn.Linear(4, 3, bias=False), (4,)),
        (lambda: nn.LazyConv1d(6, 3), lambda: nn.Conv1d(4, 6, 3), (2, 4, 7)),
        (lambda: nn.LazyConv2d(6, 3, groups=2), lambda: nn.Conv2d(4, 6, 3, groups=2), (4, 7, 7)),
        (lambda: nn.LazyConvTranspose2d(6, 3, 2), lambda: nn.ConvTranspose2d(4, 6, 3, 2),
         (2, 4, 5, 5)),
        (lambda: nn.LazyBatchNorm1d(), lambda: nn.BatchNorm1d(4), (2, 4)),
        (lambda: nn.LazyInstanceNorm2d(), lambda: nn.InstanceNorm2d(4, affine=True,
         track_running_stats=True), (2, 4, 5, 5)),
    ],
)  # fmt: skip
def test_a_lazy_module_becomes_the_ordinary_one(lazy, eager, shape) -> None:
    module, wanted = lazy(), eager()
    assert all(repr(p) == "<UninitializedParameter>" for p in module.parameters())
    copied = copy.deepcopy(module)
    out = module(torch.randn(*shape))
    assert type(module) is type(wanted) and repr(module) == repr(wanted)
    found = {k: (v.shape, v.dtype) for k, v in module.state_dict().items()}
    assert found == {k: (v.shape, v.dtype) for k, v in wanted.state_dict().items()}
    assert out.shape == wanted(torch.randn(*shape)).shape
    copied.load_state_dict(module.state_dict())  # its shapes come from there
    first = copied(torch.ones(*shape)).detach().numpy()
    assert first.shape == tuple(out.shape) and type(copied) is type(wanted)


def test_an_uninitialized_parameter_refuses_ops_but_moves() -> None:
    module = nn.LazyLinear(2).double()
    assert module.weight.dtype is torch.float64
    with pytest.raises(ValueError, match="Attempted to use an uninitialized parameter"):
        module.weight + 1
    with pytest.raises(RuntimeError, match="Can't access the shape of an uninitialized"):
        module.weight.shape
    with pytest.raises(RuntimeError, match="Can't access the shape"):
        nn.Linear(1, 2).load_state_dict(module.state_dict())
    module(torch.zeros(1, 5, dtype=torch.float64))
    assert module.weight.shape == (2, 5) and module.weight.dtype is torch.float64


def test_wrong_rank_for_a_lazy_convolution() -> None:
    with pytest.raises(RuntimeError, match=r"Expected 3D \(unbatched\) or 4D \(batched\) input"):
        nn.LazyConv2d(1, 1)(torch.zeros(2, 2))
