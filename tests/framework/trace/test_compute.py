"""Expressions over values of the tape: what they can be, and what they cannot do."""

from __future__ import annotations

import numpy as np
import pytest

import framework as torch
from framework import nn
from framework.trace import recording
from framework.trace.compute import ComputeError, compute, computed, names_in
from framework.trace.frames import Adhoc
from viewers.see import value

HELD = {
    "model.0.weight": np.array([[3.0, -4.0], [0.0, 1.0]]),
    "model.0.weight.grad": np.array([[0.5, 0.5], [0.5, 0.5]]),
    "model.0": np.arange(6.0).reshape(2, 3),
    "loss": np.array(2.0),
    "mask": np.array([True, False]),
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("model.0.weight", HELD["model.0.weight"]),
        ("model[0].weight", HELD["model.0.weight"]),
        ("model.0.weight.grad * -0.1 / loss", HELD["model.0.weight.grad"] * -0.1 / 2),
        ("model.0.weight[0].norm()", 5.0),
        ("model.0[:, ::2]", HELD["model.0"][:, ::2]),
        ("model.0[-1, 1:3]", HELD["model.0"][-1, 1:3]),
        ("(model.0 > 2).sum()", 3),
        ("torch.softmax(model.0, dim=1).sum()", 2.0),
        (
            "model.0.weight @ model.0.weight.grad",
            HELD["model.0.weight"] @ HELD["model.0.weight.grad"],
        ),
        ("model.0[mask]", HELD["model.0"][[0]]),
        ("abs(model.0.weight).max()", 4.0),
        ("1 if loss > 1 else 0", 1),
        ("max(loss, 3) + len(model.0)", 5),
        ("(model.0.shape[0], loss.item())", (2, 2.0)),
        ("model.0.weight.T[0].tolist()", [3.0, 0.0]),
        ("~mask", ~HELD["mask"]),
        ("not loss", False),
        ("torch.where(model.0 > 2, model.0, 0)", np.where(HELD["model.0"] > 2, HELD["model.0"], 0)),
    ],
)
def test_values(expression: str, expected: object) -> None:
    found = compute(expression, HELD.get)
    found = found.numpy() if isinstance(found, torch.Tensor) else found
    assert np.allclose(found, expected)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("logits.sum()", "logits is no value of the tape"),
        ("model.1.weight", "model.1.weight is no value of the tape"),
        ("open('/etc/passwd')", "open is no value of the tape"),
        ("loss.__class__", "__class__ is not available"),
        ("torch._C", "_C is not available"),
        ("torch.load('x')", "torch.load is not available"),
        ("torch.save(loss, 'x')", "torch.save is not available"),
        ("torch.rand(3)", "rand is not available"),
        ("torch.manual_seed(0)", "manual_seed is not available"),
        ("loss.uniform_()", "uniform_ is not available"),
        ("(lambda: 1)()", "Lambda is not supported"),
        ("[x for x in model.0]", "ListComp is not supported"),
        ("loss +", "not an expression"),
        ("", "expected an expression"),
        ("9 ** 999999999", "exponent is too large"),
        ("model.0 @ model.0", "RuntimeError: "),
        ("loss.nothing", "AttributeError: "),
        ("(" * 500 + "1" + ")" * 500, "not an expression"),
        ("import os", "not an expression"),
    ],
)
def test_what_it_cannot_do_is_said_in_one_line(expression: str, said: str) -> None:
    with pytest.raises(ComputeError) as error:
        compute(expression, HELD.get)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_nothing_that_is_kept_is_changed() -> None:
    before = HELD["model.0"].copy()
    assert compute("model.0.zero_().sum()", HELD.get).item() == 0
    assert np.array_equal(HELD["model.0"], before)


def test_the_answer_on_the_wire() -> None:
    adhoc = Adhoc()
    held = {(7, 10): HELD["model.0"]}

    def array_of(tensor: int, seq: int) -> object:
        return held.get((tensor, seq))

    found = computed("model.0 * 2", {"model.0": [7, 10]}, array_of, adhoc)
    assert found.tensor is not None and found.tensor.shape == (2, 3)
    kept = adhoc.get(found.tensor.id)
    assert np.array_equal(kept.numpy(), HELD["model.0"] * 2)
    with pytest.raises(ComputeError, match=r"model\.0 at this moment is not kept"):
        computed("model.0", {"model.0": [7, 11]}, array_of, adhoc)
    for bad in (None, [], {"a": 1}, {"a": [1]}, {"a": [1, "2"]}, {"a": [True, 1]}):
        with pytest.raises(ComputeError, match="compute: "):
            computed("a", bad, array_of, adhoc)


def test_names() -> None:
    assert names_in("torch.relu(model.0.weight).norm()") == ["model.0.weight", "model.0", "model"]
    assert names_in("x[0].grad + 1.5") == ["x.0.grad", "x.0", "x"]


def test_after_a_step() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    x = torch.ones(4, 2)
    losses, weights, moments = [], [], []
    with recording(keep="all") as tape:
        for _ in range(3):
            optimizer.zero_grad()
            loss = model(x).pow(2).mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            weights.append(model[2].weight.detach().numpy().copy())
            moments.append(optimizer.state[model[2].weight]["exp_avg"].numpy().copy())
    for i in range(3):
        assert value(tape, "loss", i + 1).item() == losses[i]
        assert np.array_equal(value(tape, "model.2.weight", i + 1).numpy(), weights[i])
        assert np.array_equal(value(tape, "model[2].weight.exp_avg", i + 1).numpy(), moments[i])
        assert value(tape, "(model.2 ** 2).mean() - loss", i + 1).abs().item() < 1e-6
