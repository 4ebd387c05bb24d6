"""Ordinary PyTorch model files run with only the import line changed, and learn."""

from __future__ import annotations

import math

import pytest

import framework as torch

from .loading import MODELS, load

STEPS = {"lstm_lm": 60}


@pytest.mark.parametrize("name", [m for m in MODELS if m not in ("dcgan", "actor_critic")])
def test_it_learns(name: str) -> None:
    torch.manual_seed(0)
    module = load(name)
    losses = module.train(module.build(), STEPS.get(name, 20))
    assert all(map(math.isfinite, losses))
    assert min(losses[-3:]) < 0.9 * losses[0], losses


def test_both_losses_of_a_gan_move() -> None:
    torch.manual_seed(0)
    module = load("dcgan")
    losses = module.train(module.build())
    assert all(map(math.isfinite, losses)) and len(set(losses)) == len(losses)


def test_an_actor_critic_learns_to_balance() -> None:
    torch.manual_seed(3)
    module = load("actor_critic")
    lengths = module.train(module.build(), 50, sample=True)
    assert sum(lengths[-15:]) > 1.5 * sum(lengths[:15]), lengths


def test_a_gpt_generates_from_what_it_knows() -> None:
    torch.manual_seed(0)
    module = load("gpt")
    model = module.build(flash=False)
    module.train(model, 5)
    made = model.eval().generate(torch.zeros((2, 1), dtype=torch.long), 20, top_k=3)
    assert made.shape == (2, 21) and int(made.max()) < len(module.CHARS)


def test_graph_convolutions_agree() -> None:
    module = load("gcn")
    torch.manual_seed(0)
    one = module.build()
    two = module.build()
    two.load_state_dict(one.state_dict())
    features, _, index, adjacency = module.graph()
    plain = torch.sparse_coo_tensor(index, torch.ones(index.size(1)), adjacency.shape)
    swapped = index.flip(0)  # the sparse product sums over columns, index_add over sources
    assert torch.allclose(one(features, plain), two(features, swapped), atol=1e-5)
    module.train(one, 40)
    assert module.accuracy(one) >= 0.9


def test_a_step_of_maml_is_the_same_with_and_without_transforms() -> None:
    module = load("maml")
    torch.manual_seed(0)
    model, start = module.build(), module.build()
    start.load_state_dict(model.state_dict())
    with_vmap, by_hand = module.train(model, 5, transform=True), module.train(start, 5)
    assert with_vmap == pytest.approx(by_hand, rel=1e-4)
