"""utils.checkpoint, both variants."""

from __future__ import annotations

import warnings

import pytest

import framework as torch
from framework.utils.checkpoint import (
    CheckpointError,
    checkpoint,
    checkpoint_sequential,
    set_checkpoint_early_stop,
)


class Counted:
    """A part of a model that counts its runs."""

    def __init__(self) -> None:
        self.w = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
        self.runs = 0

    def __call__(self, x, scale=1.0):
        self.runs += 1
        return ((x * self.w).sin().exp() * scale).relu()


def test_without_reentry():
    part, x = Counted(), torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    expected = torch.autograd.grad(part(x, scale=2.0).sum(), [x, part.w])
    part.runs = 0
    out = checkpoint(part, x, use_reentrant=False, scale=2.0)
    assert part.runs == 1
    found = torch.autograd.grad(out.sum(), [x, part.w])
    assert part.runs == 2
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a, b)


def test_layers_run_again_once_in_a_pass():
    runs = []
    nn = torch.nn
    body = nn.Sequential(
        nn.Linear(3, 4), nn.LayerNorm(4), nn.ReLU(), nn.Unflatten(1, (1, 4)), nn.Conv1d(1, 2, 3)
    )

    def part(x):
        runs.append(1)
        return body(x)

    x = torch.ones(2, 3, requires_grad=True)
    out = checkpoint(part, x, use_reentrant=False)
    out.sum().backward(retain_graph=True)
    assert len(runs) == 2
    out.sum().backward()
    assert len(runs) == 3


def test_weights_alone_may_want_gradients():
    part = Counted()
    checkpoint(part, torch.ones(3), use_reentrant=False).sum().backward()
    assert part.w.grad is not None


def test_with_reentry():
    part, x = Counted(), torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    expected = torch.autograd.grad(part(x).sum(), [x, part.w])
    checkpoint(part, x, use_reentrant=True).sum().backward()
    assert torch.allclose(x.grad, expected[0]) and torch.allclose(part.w.grad, expected[1])
    with pytest.raises(RuntimeError, match=r"incompatible with .grad\(\)"):
        torch.autograd.grad(checkpoint(part, x, use_reentrant=True).sum(), x)
    with pytest.warns(UserWarning, match="use_reentrant parameter should be passed"):
        checkpoint(part, x)
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad"):
        checkpoint(part, torch.ones(3), use_reentrant=True)
    with pytest.raises(ValueError, match="Unexpected keyword arguments: scale"):
        checkpoint(part, x, use_reentrant=True, scale=2.0)


@pytest.mark.parametrize("reentrant", [False, True])
def test_both_runs_draw_the_same_numbers(reentrant):
    x = torch.ones(100, requires_grad=True)
    torch.manual_seed(3)
    out = checkpoint(
        lambda x: torch.nn.functional.dropout(x * 2, 0.5) ** 2, x, use_reentrant=reentrant
    )
    after = torch.rand(1)
    out.sum().backward()
    assert torch.equal(x.grad, 2 * out.detach())
    torch.manual_seed(3)
    torch.rand(100)
    assert after.shape == (1,)


def test_nested_and_twice_differentiated():
    w = torch.tensor([0.3, -0.2], requires_grad=True)
    x = torch.tensor([1.0, 2.0], requires_grad=True)

    def inner(y):
        return (y * w).exp()

    def middle(y):
        return (checkpoint(inner, y, use_reentrant=False) * w).sin()

    def plain(y):
        return ((y * w).exp() * w).sin()

    def second(f):
        (g,) = torch.autograd.grad(f(x).sum(), x, create_graph=True)
        return torch.autograd.grad(g.sum(), [x, w])

    found = second(lambda x: checkpoint(middle, x, use_reentrant=False))
    for a, b in zip(found, second(plain), strict=True):
        assert torch.allclose(a, b)


def test_a_part_that_does_something_else_is_refused():
    runs = [0]
    w = torch.ones(2, requires_grad=True)

    def fewer(x):
        runs[0] += 1
        return (x * w).exp() if runs[0] == 1 else x + w

    with pytest.raises(CheckpointError, match="different number of tensors was saved"):
        checkpoint(fewer, w, use_reentrant=False).sum().backward()
    runs[0] = 0

    def other(x):
        runs[0] += 1
        return (x[:1] * w[:1]).exp() if runs[0] == 1 else (x * w).exp()

    with pytest.raises(CheckpointError, match="different metadata"):
        checkpoint(other, w, use_reentrant=False).sum().backward()
    kept = w.clone()
    out = checkpoint(lambda x: x.exp(), kept, use_reentrant=False)
    kept.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


def test_early_stop_and_contexts():
    part, x = Counted(), torch.ones(3, requires_grad=True)
    entered = []

    class Note:
        def __init__(self, name):
            self.name = name

        def __enter__(self):
            entered.append(self.name)

        def __exit__(self, *exc):
            pass

    def whole(x):
        y = part(x)
        entered.append("end")
        return y

    contexts = lambda: (Note("first"), Note("again"))  # noqa: E731
    checkpoint(whole, x, use_reentrant=False, context_fn=contexts).sum().backward()
    assert entered == ["first", "end", "again"]
    with set_checkpoint_early_stop(False):
        checkpoint(whole, x, use_reentrant=False).sum().backward()
    assert entered[3:] == ["end", "end"]


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("segments", [1, 2, 3])
def test_sequential(reentrant, segments):
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 4), torch.nn.Linear(4, 1)
    )
    x = torch.ones(2, 3, requires_grad=True)
    (expected,) = torch.autograd.grad(model(x).sum(), x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checkpoint_sequential(model, segments, x, use_reentrant=reentrant).sum().backward()
    assert torch.allclose(x.grad, expected)


def test_autocast_is_on_in_both_runs():
    w = torch.ones(2, 2, requires_grad=True)
    seen = []

    def part(x):
        y = x @ w
        seen.append(y.dtype)
        return y.exp()

    with torch.autocast("cpu"):
        out = checkpoint(part, torch.ones(2, 2), use_reentrant=False, early_stop=False)
    out.sum().backward()
    assert seen == [torch.bfloat16, torch.bfloat16] and w.grad.dtype is torch.float32
