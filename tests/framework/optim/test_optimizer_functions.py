"""The functions of optimizers do what their classes do."""

from __future__ import annotations

import pytest

import framework as torch
from framework import optim
from framework.optim import functional

VALUES, GRADS = [0.3, -1.2, 2.0], [[0.5, -0.1, 1.0], [0.2, 0.3, -0.7], [-0.4, 0.1, 0.2]]

# Class, its options, and the function's where they are called otherwise.
CASES = {
    "adadelta": ({"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}, {}),
    "adagrad": ({"lr": 0.1, "weight_decay": 0.1, "lr_decay": 0.1, "eps": 1e-6, "maximize": False},
                {}),
    "adam": ({"lr": 0.1, "amsgrad": True, "weight_decay": 0.1, "eps": 1e-6, "maximize": True},
             {"beta1": 0.9, "beta2": 0.999}),
    "adamax": ({"lr": 0.1, "weight_decay": 0.1, "eps": 1e-6}, {"beta1": 0.9, "beta2": 0.999}),
    "adamw": ({"lr": 0.1, "amsgrad": False, "weight_decay": 0.1, "eps": 1e-6, "maximize": False},
              {"beta1": 0.9, "beta2": 0.999}),
    "asgd": ({"lr": 0.1, "lambd": 1e-2, "alpha": 0.7, "t0": 1.0, "weight_decay": 0.1}, {}),
    "nadam": ({"lr": 0.1, "weight_decay": 0.1, "momentum_decay": 0.01, "eps": 1e-6},
              {"beta1": 0.9, "beta2": 0.999}),
    "radam": ({"lr": 0.1, "weight_decay": 0.1, "eps": 1e-6}, {"beta1": 0.9, "beta2": 0.999}),
    "rmsprop": ({"lr": 0.1, "alpha": 0.8, "eps": 1e-6, "weight_decay": 0.1, "momentum": 0.9,
                 "centered": True},
                {}),
    "rprop": ({}, {"etaminus": 0.5, "etaplus": 1.2, "step_size_min": 1e-6, "step_size_max": 50.0}),
    "sgd": ({"lr": 0.1, "momentum": 0.9, "dampening": 0.0, "weight_decay": 0.1, "nesterov": True,
                 "maximize": False}, {}),
}  # fmt: skip
FIRST = {"mu_product": 1.0, "mu": 1.0, "eta": 0.1, "step_size": 0.01}


@pytest.mark.parametrize("name", functional.__all__)
def test_a_function_is_a_step_of_its_class(name):
    options, others = CASES[name]
    form = functional._FORMS[name]
    p, q = torch.tensor(VALUES, requires_grad=True), torch.tensor(VALUES)
    optimizer = getattr(optim, form.kind)([p], **options)
    lists = {
        lists: [
            None if name == "sgd" else
            torch.tensor(FIRST.get(own, 0.0)) if own in ("step", "mu_product", "mu", "eta") else
            torch.full((3,), FIRST.get(own, 0.0))
        ]
        for lists, own in form.states.items()
    }  # fmt: skip
    for grad in GRADS:
        p.grad = torch.tensor(grad)
        optimizer.step()
        getattr(functional, name)([q], [torch.tensor(grad)], **lists, **options, **others)
    assert torch.allclose(p, q) and q.grad is None
    for own_list, own in form.states.items():
        if own in optimizer.state[p]:
            assert torch.allclose(lists[own_list][0], torch.as_tensor(optimizer.state[p][own]))


def test_they_are_found_beside_their_classes():
    for name in functional.__all__:
        module = __import__(f"framework.optim.{name}", fromlist=[name])
        assert getattr(module, name) is getattr(functional, name)


def test_refusals():
    p, g = torch.ones(1), torch.ones(1)
    with pytest.raises(TypeError, match=r"missing a required .*argument"):
        functional.sgd([p], [g], [None], weight_decay=0, momentum=0)
    with pytest.raises(AssertionError, match="grad_scale and found_inf"):
        functional.sgd(
            [p], [g], [None], grad_scale=p, lr=1.0, weight_decay=0.0, momentum=0.0, dampening=0.0,
            nesterov=False, maximize=False,
        )  # fmt: skip
