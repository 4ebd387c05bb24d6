"""Calls with the number before the tensors, as old programs have them: PyTorch takes them still."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import framework
from framework.ops import legacy_forms

CALLS = """
torch.add(x, 2, y) | x.add(2, y) | x.clone().add_(-0.1, y) | torch.add(x, 2, y, out=x.clone())
torch.add(x, torch.tensor(2.0), y) | torch.sub(x, 2, y) | x.sub(2, y) | x.clone().sub_(2, y)
torch.addcmul(x, 0.5, x, y) | x.addcmul(0.5, x, y) | x.clone().addcmul_(0.5, x, y)
torch.addcdiv(x, 0.5, x, y) | x.addcdiv(0.5, x, y) | x.clone().addcdiv_(-0.5, x, y)
torch.addmm(0.5, x, 2, x, y) | torch.addmm(0.5, x, x, y) | x.addmm(0.5, 2, x, y)
x.addmm(0.5, x, y) | x.clone().addmm_(0.5, 2, x, y) | torch.addmm(0.5, x, 2, x, y, out=x.clone())
torch.addmv(0.5, v, 2, x, v) | torch.addmv(0.5, v, x, v) | v.addmv(0.5, 2, x, v)
v.addmv(0.5, x, v) | v.clone().addmv_(0.5, x, v)
torch.addr(0.5, x, 2, v, v) | torch.addr(0.5, x, v, v) | x.addr(0.5, 2, v, v)
x.addr(0.5, v, v) | x.clone().addr_(0.5, 2, v, v)
torch.addbmm(0.5, x, 2, b, b) | torch.addbmm(0.5, x, b, b) | x.addbmm(0.5, 2, b, b)
x.addbmm(0.5, b, b) | x.clone().addbmm_(0.5, b, b)
torch.baddbmm(0.5, b, 2, b, b) | torch.baddbmm(0.5, b, b, b) | b.baddbmm(0.5, 2, b, b)
b.baddbmm(0.5, b, b) | b.clone().baddbmm_(0.5, 2, b, b)
torch.add(2, x, y) | torch.mul(x, 2, y) | torch.add(x, y, 2) | torch.addcmul(x, x, y, 0.5)
x.addmm(x, y, 0.5) | torch.addmm(0.5, 2, x, x, y) | torch.add(x, 2, y, y) | torch.lerp(x, 0.5, y)
"""


def space(torch: Any) -> dict[str, Any]:
    x = torch.tensor([[1.0, 2.0], [3.0, 5.0]])
    return {"torch": torch, "x": x, "y": x.sin(), "v": x[0], "b": torch.stack([x, x.cos()])}


def outcome(call: str, names: dict[str, Any]) -> Any:
    try:
        return eval(call, names).tolist()
    except TypeError:
        return TypeError


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("call", [c.strip() for c in CALLS.replace("\n", "|").split("|") if c])
def test_the_result_is_that_of_pytorch(call: str) -> None:
    torch = pytest.importorskip("torch")
    mine, theirs = outcome(call, space(framework)), outcome(call, space(torch))
    assert (mine is TypeError) == (theirs is TypeError)
    if mine is not TypeError:
        assert framework.tensor(mine).allclose(framework.tensor(theirs))


def test_it_has_the_gradients_of_the_form_of_today() -> None:
    x = framework.ones(2, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        framework.add(x, 3, x).sum().backward()
    assert x.grad.tolist() == [4.0, 4.0]


def test_it_warns_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(legacy_forms, "_warned", False)
    x = framework.ones(2)
    with pytest.warns(UserWarning, match=r"This overload of add is deprecated.*alpha=") as caught:
        x.add_(2, x)
        x.add_(2, x)
    assert len(caught) == 1 and caught[0].filename == __file__


def test_whether_a_deviation_is_unbiased_may_come_second() -> None:
    x = framework.tensor([1.0, 3.0])
    for name in ("std", "var", "std_mean", "var_mean"):
        function = getattr(framework, name)
        for flag in (True, False):
            first, second = function(x, flag), function(x, unbiased=flag)
            assert str(first) == str(second)
    assert x.std(False) == 1.0 and x.var(True) == 2.0


def test_losses_at_the_top_are_not_reduced_unless_a_number_says_so() -> None:
    x, y = framework.tensor([1.0, 3.0]), framework.tensor([1.0, -1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for loss in (
            framework.kl_div, framework.binary_cross_entropy_with_logits,
            framework.hinge_embedding_loss,
        ):  # fmt: skip
            each = loss(x, y.abs())
            assert each.shape == (2,)
            assert loss(x, y.abs(), reduction=5).tolist() == each.tolist()
            assert loss(x, y.abs(), reduction=1) == each.mean()
            assert loss(x, y.abs(), reduction=2) == each.sum()
    assert framework.margin_ranking_loss(x, x, y).shape == (2,)
    assert framework.cosine_embedding_loss(x[None], x[None], y[:1]).shape == (1,)
    assert framework.triplet_margin_loss(x[None], x[None], x[None]).shape == (1,)
