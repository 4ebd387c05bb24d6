"""Gradients that are added up in place: the same numbers, and nothing else is written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import framework as torch
from framework import trace
from framework.ops import indexing

CUTS: dict[str, Any] = {
    "unbind": lambda x: x.unbind(0),
    "chunk": lambda x: x.chunk(3, -1),
    "uneven split": lambda x: x.split([1, 0, 4], 1),
    "overlapping": lambda x: (x[:, 1:], x[:, :-1], x[::2], x[..., 3]),
    "the whole first": lambda x: (x, x[1], x[None, 2:0]),
    "not contiguous": lambda x: x.mT.unbind(1),
}


def _gradient(cut: Any, *, create_graph: bool = False) -> tuple[np.ndarray, np.ndarray]:
    leaf = torch.from_numpy(np.random.default_rng(0).standard_normal((4, 5))).requires_grad_()
    x = leaf * 2
    weighed = [(p * (i + 1.5)).sum() for parts in (cut(x), cut(leaf)) for i, p in enumerate(parts)]
    found = torch.autograd.grad(sum(weighed), [leaf, x], create_graph=create_graph)
    return found[0].detach().numpy(), found[1].detach().numpy()


@pytest.mark.parametrize("name", CUTS)
def test_parts_put_their_gradients_into_that_of_the_whole(name: str) -> None:
    plain = _gradient(CUTS[name], create_graph=True)
    for mine, other in zip(_gradient(CUTS[name]), plain):
        np.testing.assert_allclose(mine, other, rtol=1e-12)


@pytest.mark.parametrize("name", CUTS)
def test_a_trace_changes_nothing(name: str) -> None:
    plain = _gradient(CUTS[name])
    trace.start()
    try:
        traced = _gradient(CUTS[name])
    finally:
        trace.stop()
    for mine, other in zip(plain, traced):
        np.testing.assert_array_equal(mine, other)


def test_gradients_that_others_see_are_not_written() -> None:
    x = torch.ones(4, requires_grad=True)
    y = x * 1.0
    seen: list[Any] = []
    z = y + 0.0
    z.register_hook(seen.append)
    z.retain_grad()
    given = torch.full((4,), 2.0)
    torch.autograd.backward([z, y[:2], y], [given, torch.ones(2), torch.full((4,), 5.0)])
    assert given.tolist() == [2.0] * 4
    assert seen[0].tolist() == [2.0] * 4
    assert z.grad is not None and z.grad.tolist() == [2.0] * 4
    assert x.grad is not None and x.grad.tolist() == [8.0, 8.0, 7.0, 7.0]


def test_hooks_of_a_part_still_run() -> None:
    x = torch.arange(4.0, requires_grad=True)
    runs: list[Any] = []
    parts = (x * 1).unbind(0)
    for p in parts:
        p.grad_fn.register_hook(lambda outs, grads: runs.append(outs[0].tolist()))
        p.register_hook(lambda g: g * 10)
    sum(parts).backward()
    assert x.grad is not None and x.grad.tolist() == [10.0] * 4
    assert len(runs) == 4


def test_a_graph_that_is_retained_gives_the_same_again() -> None:
    x = torch.ones(3, 2, requires_grad=True)
    total = sum((p * (i + 1)).sum() for i, p in enumerate((x * 1).unbind(0)))
    first, second = (torch.autograd.grad(total, x, retain_graph=True)[0] for _ in range(2))
    assert first.tolist() == second.tolist() == [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]


def test_only_one_array_as_large_as_the_whole_is_made_for_its_parts() -> None:
    made: list[Any] = []
    real = indexing.SLICE_SCATTER.kernel

    def counted(a: Any, **meta: Any) -> Any:
        made.append(meta["shape"])
        return real(a, **meta)

    indexing.SLICE_SCATTER.kernel = counted
    try:
        x = torch.ones(50, 3, requires_grad=True)
        sum(p.sum() for p in (x * 1).unbind(0)).backward()
    finally:
        indexing.SLICE_SCATTER.kernel = real
    assert made == [(50, 3)]
