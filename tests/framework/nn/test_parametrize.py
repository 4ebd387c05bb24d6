"""Parametrizations, the hooks that came before them, pruning, fusion and stateless calls."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import framework as torch
from framework import nn
from framework.nn.utils import parametrizations, parametrize, prune


def close(a, b, tolerance: float = 1e-6) -> None:
    np.testing.assert_allclose(
        a.detach().numpy(), b.detach().numpy(), rtol=tolerance, atol=tolerance
    )


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).transpose(-1, -2)

    def right_inverse(self, a):
        return a.triu()


def test_register_assign_cache_copy_and_remove() -> None:
    layer = parametrize.register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    assert type(layer).__name__ == "ParametrizedLinear"
    assert [k for k, _ in layer.named_parameters()] == ["bias", "parametrizations.weight.original"]
    close(layer.weight, layer.weight.T)
    new = torch.tensor([[1.0, 2, 3], [2, 4, 5], [3, 5, 6]])
    layer.weight = new
    close(layer.weight, new)
    with parametrize.cached():
        assert layer.weight is layer.weight
    assert layer.weight is not layer.weight
    twin = copy.deepcopy(layer)
    layer.weight = torch.zeros(3, 3)
    close(twin.weight, new)
    with pytest.raises(RuntimeError, match="only supported through state_dict"):
        pickle.dumps(twin)
    twin(torch.ones(1, 3)).sum().backward()
    assert twin.parametrizations.weight.original.grad is not None
    parametrize.remove_parametrizations(twin, "weight")
    assert type(twin) is nn.Linear and isinstance(twin.weight, nn.Parameter)
    close(twin.weight, new)


def test_refused_parametrizations() -> None:
    class Cut(nn.Module):
        def forward(self, x):
            return x[:1]

    with pytest.raises(ValueError, match="may not change the shape"):
        parametrize.register_parametrization(nn.Linear(3, 3), "weight", Cut())
    with pytest.raises(ValueError, match="does not have a parameter, a buffer"):
        parametrize.register_parametrization(nn.Linear(3, 3), "other", Symmetric())
    with pytest.raises(ValueError, match="does not have a parametrization on weight"):
        parametrize.remove_parametrizations(nn.Linear(3, 3), "weight")


@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm(dim) -> None:
    plain = nn.Linear(3, 4)
    layer = parametrizations.weight_norm(copy.deepcopy(plain), dim=dim)
    close(layer.weight, plain.weight)
    g = layer.parametrizations.weight.original0
    assert g.shape == {0: (4, 1), 1: (1, 3), None: ()}[dim]
    with torch.no_grad():
        g.mul_(2)
    close(layer.weight, plain.weight * 2)


def test_weight_norm_reads_the_state_of_its_older_form() -> None:
    with pytest.warns(FutureWarning, match="deprecated in favor"):
        old = nn.utils.weight_norm(nn.Linear(3, 4))
    new = parametrizations.weight_norm(nn.Linear(3, 4))
    new.load_state_dict(old.state_dict())
    close(new.weight, old.weight)
    before = old.weight
    nn.utils.remove_weight_norm(old)
    close(old.weight, before)
    assert sorted(old.state_dict()) == ["bias", "weight"]


@pytest.mark.parametrize("make", [parametrizations.spectral_norm, nn.utils.spectral_norm])
def test_spectral_norm(make) -> None:
    layer = make(nn.Linear(5, 4), n_power_iterations=30)
    layer(torch.zeros(1, 5))
    assert np.linalg.svd(layer.weight.detach().numpy())[1][0] == pytest.approx(1, abs=1e-3)
    layer.eval()
    close(layer(torch.ones(1, 5)), layer(torch.ones(1, 5)))


def test_pruning_is_cumulative_and_can_be_made_permanent() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(5, 4)
    prune.l1_unstructured(layer, "weight", amount=0.5)
    assert int((layer.weight_mask == 0).sum()) == 10
    cut = layer.weight_orig.detach().abs()[layer.weight_mask == 0]
    kept = layer.weight_orig.detach().abs()[layer.weight_mask == 1]
    assert max(cut.tolist()) <= min(kept.tolist())
    prune.ln_structured(layer, "weight", amount=1, n=2, dim=0)
    assert int((layer.weight_mask.sum(1) == 0).sum()) == 1
    assert len(layer._forward_pre_hooks) == 1 and prune.is_pruned(layer)
    layer(torch.ones(1, 5)).sum().backward()
    assert not layer.weight_orig.grad[layer.weight_mask == 0].any()
    now = layer.weight
    prune.remove(layer, "weight")
    close(layer.weight, now)
    assert sorted(layer.state_dict()) == ["bias", "weight"] and not prune.is_pruned(layer)


def test_global_pruning_and_refusals() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    pairs = [(model[0], "weight"), (model[1], "weight")]
    prune.global_unstructured(pairs, prune.L1Unstructured, amount=6)
    assert sum(int((m.weight_mask == 0).sum()) for m, _ in pairs) == 6
    with pytest.raises(ValueError, match="should either be a float in the range"):
        prune.l1_unstructured(nn.Linear(2, 2), "weight", 1.5)
    layer = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="should be smaller than the number of parameters"):
        prune.random_unstructured(layer, "weight", 5)
    assert sorted(layer.state_dict()) == ["bias", "weight"]  # left as it was


@pytest.mark.parametrize(
    "layer, norm, shape, transpose",
    [
        (nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), (1, 2, 5, 5), False),
        (nn.ConvTranspose2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), (1, 2, 5, 5), True),
    ],
)
def test_fused_convolution(layer, norm, shape, transpose) -> None:
    norm(torch.randn(8, 4, 3, 3) * 3 + 1)
    both = nn.Sequential(layer, norm).eval()
    x = torch.randn(*shape)
    close(nn.utils.fuse_conv_bn_eval(layer, norm, transpose)(x), both(x), 1e-5)


def test_functional_call_restores_and_ties() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    kept, eye, x = model[0].weight, torch.eye(2), torch.randn(1, 2)
    call = nn.utils.stateless._functional_call
    close(call(model, {"0.weight": eye}, x), x)
    close(call(model, {"0.weight": eye}, x, tie_weights=False), model[1](x))
    assert model[0].weight is kept and model[1].weight is kept
    with pytest.raises(RuntimeError, match="Missing key"):
        call(nn.Linear(2, 2), {"weight": eye}, x, strict=True)


def test_skip_init_draws_nothing() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state().tolist()
    assert nn.utils.skip_init(nn.Linear, 3, 2).weight.shape == (2, 3)
    assert torch.get_rng_state().tolist() == before
