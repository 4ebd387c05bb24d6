"""Patterns of dimensions, with the results that PyTorch's documentation names."""

from __future__ import annotations

import pytest

import framework as torch
from framework.func import rearrange

IMAGES = torch.arange(32 * 6 * 8 * 3).reshape(32, 6, 8, 3)

CASES = [
    ("b h w c -> b h w c", {}, (32, 6, 8, 3)),
    ("b h w c -> (b h) w c", {}, (192, 8, 3)),
    ("b h w c -> h (b w) c", {}, (6, 256, 3)),
    ("b h w c -> b c h w", {}, (32, 3, 6, 8)),
    ("b h w c -> b (c h w)", {}, (32, 144)),
    ("b (h1 h) (w1 w) c -> (b h1 w1) h w c", {"h1": 2, "w1": 2}, (128, 3, 4, 3)),
    ("b (h h1) (w w1) c -> b h w (c h1 w1)", {"h1": 2, "w1": 2}, (32, 3, 4, 12)),
    ("b ... c -> b c ...", {}, (32, 3, 6, 8)),
    ("... c -> (...) c", {}, (1536, 3)),
    ("b h w c -> b 1 h w c 1", {}, (32, 1, 6, 8, 3, 1)),
]


@pytest.mark.parametrize(("pattern", "lengths", "shape"), CASES)
def test_shapes(pattern, lengths, shape):
    assert rearrange(IMAGES, pattern, **lengths).shape == shape


def test_values():
    assert torch.equal(rearrange(IMAGES, "b h w c -> b c h w"), IMAGES.permute(0, 3, 1, 2))
    there = rearrange(IMAGES, "b (h h1) (w w1) c -> b h w (c h1 w1)", h1=2, w1=2)
    back = rearrange(there, "b h w (c h1 w1) -> b (h h1) (w w1) c", h1=2, w1=2)
    assert torch.equal(back, IMAGES)
    assert torch.equal(rearrange(list(IMAGES), "b h w c -> h b w c"), IMAGES.transpose(0, 1))
    assert rearrange(torch.ones(1, 3), "1 c -> c").shape == (3,)
    assert rearrange(torch.ones(()), "->").shape == ()
    x = torch.ones(2, 3, requires_grad=True)
    rearrange(x, "a b -> (b a)").sum().backward()
    assert x.grad.shape == (2, 3)


REFUSED = [
    ("b h w c", {}, "single '->'"), ("b h w c -> b h w", {}, "only on one side"),
    ("b h w c -> b h w c ...", {}, "not left side"), ("(...) c -> c", {}, "parenthesis"),
    ("b h w -> b h w", {}, r"\(3\) must be equal to"),
    ("b h w c d ... -> b h w c d ...", {}, "less"),
    ("b b w c -> b w c", {}, "duplicate dimension 'b'"),
    ("b (h (w)) c -> b h w c", {}, "one-level"),
    ("b h w c) -> b h w c", {}, "not balanced"), ("(b h w c -> b h w c", {}, "Imbalanced"),
    ("b h w 2 -> b h w 2", {}, "size 1"), ("b h w c -> b h w c", {"d": 1}, "not found"),
    ("b h w ? -> b h w", {}, r"Unknown character '\?'"),
    ("b (h i) w c -> b h i w c", {}, "only one may have no length"),
    ("b (h i) w c -> b h i w c", {"h": 4}, "a dimension of length 6"),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "lengths", "words"), REFUSED)
def test_refusals(pattern, lengths, words):
    with pytest.raises(ValueError, match=words):
        rearrange(IMAGES, pattern, **lengths)


def test_lengths_are_integers():
    with pytest.raises(TypeError, match="must be integers, got: <class 'float'>"):
        rearrange(IMAGES, "b (h i) w c -> b h i w c", h=2.0)
