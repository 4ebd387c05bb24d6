"""Long chains of every kind: no recursion, work and memory that grow with the length, nothing left.

Work is counted in calls, which do not depend on how busy the machine is.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import framework as torch
from framework.autograd import Function
from framework.utils.checkpoint import checkpoint


class Same(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * 1.0

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * ctx.saved_tensors[0] ** 0


def ops(x, n):
    for _ in range(n):
        x = x * 1.0
    return x


def views(x, n):
    for _ in range(n // 2):
        x = x.view(2, 2).view(4)
    return x


def views_and_ops(x, n):
    for _ in range(n // 4):
        x = (x.view(2, 2).t() * 1.0).reshape(4)
    return x


def writes(x, n):
    x = x * 1
    for _ in range(n):
        x.mul_(1.0)
    return x


def writes_through_a_view(x, n):
    x = x * 1
    part = x[1:3]
    for _ in range(n // 2):
        part.mul_(1.0)
    return x


def writes_through_new_views(x, n):
    x = x * 1
    for i in range(n // 3):
        x[i % 4 : i % 4 + 1].mul_(1.0)
    return x


def assignments(x, n):
    x = x * 1
    for i in range(n // 4):
        x[i % 4] = x[i % 4] * 1.0
    return x


def functions(x, n):
    for _ in range(n // 2):
        x = Same.apply(x)
    return x


def checkpoints(x, n, use_reentrant=False):
    for _ in range(n // 4):
        x = checkpoint(lambda t: t * 1.0 * 1.0 * 1.0, x, use_reentrant=use_reentrant)
    return x


def reentrant_checkpoints(x, n):
    return checkpoints(x, n, use_reentrant=True)


def parts_and_stacks(x, n):
    for _ in range(n // 5):
        x = torch.stack(x.unbind(0))
    return x


def hooks(x, n):
    for _ in range(n // 2):
        x = x * 1.0
        x.register_hook(lambda g: g * 1.0)
    return x


CHAINS: list[Any] = [
    ops, views, views_and_ops, writes, writes_through_a_view, writes_through_new_views, assignments,
    functions, checkpoints, reentrant_checkpoints, parts_and_stacks, hooks,
]  # fmt: skip
LONGEST = (ops, views, writes, functions, checkpoints)
Chain = Callable[[Any, int], Any]


def run(chain: Chain, n: int, backward: bool = True) -> weakref.ref:
    """Build a chain of ``n`` ops and more, go back through it, and drop it."""
    x = torch.ones(4, requires_grad=True)
    y = chain(x, n)
    last = weakref.ref(y.grad_fn)
    if backward:
        y.sum().backward()
        assert x.grad is not None and x.grad.tolist() == [1, 1, 1, 1]
    return last


@pytest.fixture
def no_gc():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("chain", CHAINS)
def test_a_long_chain_is_gone_through_and_dropped(chain, no_gc):
    # Of 8 MB of stack, who recurs has 160 bytes a step.
    assert run(chain, 50_000 if chain in LONGEST else 20_000)() is None
    assert run(chain, 10_000, backward=False)() is None


def calls_of(chain: Chain, n: int) -> int:
    """How many functions, of Python and of C, are called on the way forward and back."""
    count = 0

    def seen(frame: Any, event: str, arg: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(seen)
    try:
        run(chain, n)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("chain", CHAINS)
def test_work_is_linear_in_the_length(chain, no_gc):
    run(chain, 200)
    short, middle, long = (calls_of(chain, n) for n in (1000, 2000, 3000))
    assert abs((long - middle) - (middle - short)) <= 0.02 * (middle - short)


@pytest.mark.parametrize("chain", CHAINS)
def test_memory_is_linear_in_the_length_and_comes_back(chain, no_gc):
    run(chain, 2000)
    tracemalloc.start()
    try:
        peaks, rests = [], []
        for n in (2000, 2000, 4000, 2000):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            run(chain, n)
            now, peak = tracemalloc.get_traced_memory()
            peaks.append(peak - before)
            rests.append(now)
    finally:
        tracemalloc.stop()
    assert peaks[2] < 2.5 * max(peaks[0], peaks[1])
    assert rests[3] - rests[2] < 40_000  # a chain of 2000 takes a megabyte; Python keeps free lists


@pytest.mark.parametrize(
    ("step", "most"),
    [
        (lambda x, w: x * w, 5),  # tensor, node, its edges, what it saved, the tensor's edge
        (lambda x, w: x + w, 4),
        (lambda x, w: torch.relu(x), 7),  # a saved output has a version counter and an entry
        (lambda x, w: torch.nn.functional.linear(x, w), 5),
    ],
    ids=["mul", "add", "relu", "linear"],
)
def test_the_garbage_collector_has_little_to_look_at(step: Callable[..., Any], most: int) -> None:
    """Every object that it walks over in a growing graph costs more than it took to make it."""
    w = torch.randn(8, 8, requires_grad=True)
    x = torch.ones(8, 8) * w
    for _ in range(10):
        x = step(x, w)
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(100):
        x = step(x, w)
    gc.collect()
    assert (len(gc.get_objects()) - before) / 100 < most + 0.5
