"""Copies, strides and other small habits that PyTorch's own results were compared with."""

from __future__ import annotations

import copy

import pytest

import framework as torch
from framework import nn


def test_deep_copies_go_on_sharing_memory() -> None:
    x = torch.arange(6.0)
    for order in (0, 1):
        pair = [x, x[1:4]] if order else [x[1:4], x]
        made = copy.deepcopy(pair)
        whole, part = reversed(made) if not order else made
        whole[2] = 99
        assert part.tolist() == [1, 99, 3] and x[2] == 2
        assert part.storage_offset() == 1 and part[1:].storage_offset() == 2
        assert part.untyped_storage().nbytes() == 24


def test_deep_copies_keep_strides_and_kinds() -> None:
    t = copy.deepcopy(torch.arange(6.0).view(2, 3).t())
    assert t.stride() == (1, 3) and t.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert copy.deepcopy(torch.zeros(1, 3).expand(2, 3)).stride() == (0, 1)
    assert copy.deepcopy(torch.zeros(2, 0, 3)[:, :, 1:]).shape == (2, 0, 2)
    table = nn.Parameter(torch.arange(6.0).view(3, 2)[1:])
    made = copy.deepcopy({"a": table, "b": table})
    assert made["a"] is made["b"] and isinstance(made["a"], nn.Parameter)
    assert made["a"].storage_offset() == 2 and made["a"].requires_grad


def test_a_shallow_copy_shares_memory() -> None:
    x = torch.arange(3.0, requires_grad=True)
    y = copy.copy(x)
    assert y is not x and y.data_ptr() == x.data_ptr() and y.requires_grad and y.is_leaf


@pytest.mark.parametrize(
    ("make", "steps"),
    [
        (lambda: torch.ones(2, 3)[None], (6, 3, 1)),
        (lambda: torch.ones(2, 3)[:, None], (3, 3, 1)),
        (lambda: torch.ones(2, 3)[..., None], (3, 1, 1)),
        (lambda: torch.ones(2, 3).t()[:, None], (1, 6, 3)),
        (lambda: torch.ones(())[None], (1,)),
        (lambda: torch.ones(2, 0, 3), (3, 3, 1)),
        (lambda: torch.ones(3).expand(1, 3), (3, 1)),
        (lambda: torch.ones(3).expand(2, 3), (0, 1)),
    ],
)
def test_strides_of_what_nothing_is_skipped_in(make, steps) -> None:
    assert make().stride() == steps


def test_step_hooks_get_the_optimizer_first() -> None:
    w = nn.Parameter(torch.ones(2))
    w.grad = torch.ones(2)
    optimizer, seen = torch.optim.SGD([w], 0.1), []
    optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append((args, kwargs)))
    optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append((args, kwargs)))
    closure = lambda: torch.tensor(1.0)  # noqa: E731
    optimizer.step(closure)
    optimizer.step(closure=closure)
    assert seen[:2] == [((optimizer, closure), {})] * 2
    assert seen[2:] == [((optimizer,), {"closure": closure})] * 2


def test_one_over_a_complex_zero() -> None:
    z = torch.tensor([0j, 1 + 0j])
    for made in (z.reciprocal(), z.rsqrt(), z**-1, z**-0.5):
        assert repr(made.tolist()) == "[(inf+nanj), (1+0j)]"


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "uint8", "int64"])
def test_convolutions_of_integers(kind) -> None:
    d = getattr(torch, kind)
    x, w = torch.arange(8).to(d).view(1, 2, 4), torch.ones(1, 2, 2, dtype=d)
    y = nn.functional.conv1d(x, w, torch.tensor([1]).to(d))
    assert y.dtype is d and y.tolist() == [[[11, 15, 19]]]
    x = torch.full((1, 1, 3), 100, dtype=d)
    wrapped = torch.tensor(200).to(d).item()  # in the type itself, as in PyTorch
    assert nn.functional.conv1d(x, torch.ones(1, 1, 2, dtype=d)).unique().tolist() == [wrapped]
