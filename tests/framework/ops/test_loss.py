"""Losses against NumPy; targets, weights, reductions; what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

import framework as torch
from framework.nn import functional as F

RNG = np.random.default_rng(3)


def randn(*shape: int, grad: bool = False):
    return torch.tensor(RNG.standard_normal(shape)).requires_grad_(grad)


def log_softmax(x, axis=1):
    return x - np.log(np.exp(x).sum(axis, keepdims=True))


def reduced(values, mode):
    return {"none": lambda v: v, "sum": np.sum, "mean": np.mean}[mode](values)


REDUCTIONS = ["mean", "sum", "none"]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy(reduction, smoothing, weighted) -> None:
    x, t = randn(5, 3), np.array([0, 2, -100, 1, 1])
    w = np.array([1.0, 2.0, 0.5]) if weighted else np.ones(3)
    loss = F.cross_entropy(
        x, torch.tensor(t), torch.tensor(w) if weighted else None, reduction=reduction,
        label_smoothing=smoothing,
    )  # fmt: skip
    scores = log_softmax(x.numpy())
    kept = t != -100
    target = np.where(kept, t, 0)
    plain = -scores[np.arange(5), target] * w[target] * kept
    smooth = -(scores * w).sum(1) * kept / 3
    each = (1 - smoothing) * plain + smoothing * smooth
    total = (w[target] * kept).sum()
    wanted = each.sum() / total if reduction == "mean" else reduced(each, reduction)
    np.testing.assert_allclose(loss.numpy(), wanted)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cross_entropy_of_probabilities(reduction) -> None:
    x, p = randn(4, 3, 2), np.abs(RNG.standard_normal((4, 3, 2)))
    loss = F.cross_entropy(x, torch.tensor(p), reduction=reduction)
    each = -(log_softmax(x.numpy()) * p).sum(1)
    np.testing.assert_allclose(loss.numpy(), reduced(each, reduction))


def test_cross_entropy_shapes() -> None:
    x, t = randn(2, 3, 4, 5), torch.tensor(RNG.integers(0, 3, (2, 4, 5)))
    flat = F.cross_entropy(x.permute(0, 2, 3, 1).reshape(-1, 3), t.reshape(-1))
    assert F.cross_entropy(x, t).item() == pytest.approx(flat.item())
    one = F.cross_entropy(x[0, :, 0, 0], t[0, 0, 0])
    assert one.shape == ()
    assert one.item() == pytest.approx(F.cross_entropy(x[:1, :, 0, 0], t[:1, 0, 0]).item())


def test_cross_entropy_gradient_is_softmax_minus_target() -> None:
    x = randn(4, 3, grad=True)
    t = np.array([0, 1, 2, 1])
    F.cross_entropy(x, torch.tensor(t)).backward()
    p = np.exp(log_softmax(x.detach().numpy()))
    np.testing.assert_allclose(x.grad.numpy(), (p - np.eye(3)[t]) / 4)


def test_all_targets_ignored() -> None:
    x = randn(2, 3, grad=True)
    loss = F.cross_entropy(x, torch.tensor([-100, -100]))
    assert math.isnan(loss.item())
    loss.backward()
    assert not x.grad.any()


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    "call, formula",
    [
        (F.mse_loss, lambda d: d * d),
        (F.l1_loss, np.abs),
        (F.smooth_l1_loss, lambda d: np.where(abs(d) < 1, d * d / 2, abs(d) - 0.5)),
        (F.huber_loss, lambda d: np.where(abs(d) <= 1, d * d / 2, abs(d) - 0.5)),
    ],
)
def test_regression(call, formula, reduction) -> None:
    x, y = randn(3, 4) * 2, randn(3, 4)
    wanted = reduced(formula(x.numpy() - y.numpy()), reduction)
    np.testing.assert_allclose(call(x, y, reduction=reduction).numpy(), wanted)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_binary_cross_entropy(reduction) -> None:
    z, t = randn(3, 4), torch.tensor(RNG.uniform(0, 1, (3, 4)))
    p = 1 / (1 + np.exp(-z.numpy()))
    each = -(t.numpy() * np.log(p) + (1 - t.numpy()) * np.log(1 - p))
    wanted = reduced(each, reduction)
    np.testing.assert_allclose(
        F.binary_cross_entropy(torch.tensor(p), t, reduction=reduction).numpy(), wanted
    )
    np.testing.assert_allclose(
        F.binary_cross_entropy_with_logits(z, t, reduction=reduction).numpy(), wanted
    )


def test_binary_cross_entropy_at_the_ends() -> None:
    p = torch.tensor([0.0, 0.0, 1.0, 1.0], requires_grad=True)
    loss = F.binary_cross_entropy(p, torch.tensor([0.0, 1.0, 0.0, 1.0]), reduction="none")
    assert loss.tolist() == [0.0, 100.0, 100.0, 0.0]
    loss.sum().backward()
    assert p.grad.isfinite().all()
    far = torch.tensor([-1000.0, 1000.0])
    with_logits = F.binary_cross_entropy_with_logits(far, torch.tensor([1.0, 0.0]))
    assert with_logits.item() == 1000.0


def test_kl_div() -> None:
    q, p = (
        log_softmax(RNG.standard_normal((3, 4))),
        np.exp(log_softmax(RNG.standard_normal((3, 4)))),
    )
    p[0, 0] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(p > 0, p * (np.log(p) - q), 0)
    loss = F.kl_div(torch.tensor(q), torch.tensor(p), reduction="batchmean")
    assert loss.item() == pytest.approx(each.sum() / 3)
    positive = torch.tensor(p + 0.1)
    both = [
        F.kl_div(torch.tensor(q), t, reduction="sum", log_target=log).item()
        for t, log in ((positive, False), (positive.log(), True))
    ]
    assert both[0] == pytest.approx(both[1])


def test_different_sizes_warn() -> None:
    with pytest.warns(UserWarning, match="Using a target size"):
        F.mse_loss(torch.zeros(3, 1), torch.zeros(3))


def test_older_keywords() -> None:
    x, y = randn(3), randn(3)
    with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated"):
        assert F.l1_loss(x, y, size_average=False).item() == F.l1_loss(x, y, reduction="sum").item()


ONES = torch.ones(2, 3)


@pytest.mark.parametrize(
    "call, kind, message",
    [
        (lambda: F.cross_entropy(ONES, torch.tensor([0, 3])), IndexError, "Target 3 is out of b"),
        (lambda: F.cross_entropy(ONES, torch.tensor([0])), ValueError, r"size \(2\) to match"),
        (lambda: F.cross_entropy(ONES, torch.tensor([0.0, 1.0])), RuntimeError, "but got Float"),
        (lambda: F.cross_entropy(ONES, torch.tensor([0, 1]), torch.ones(4)), RuntimeError,
         "all 3 classes"),
        (lambda: F.cross_entropy(ONES, torch.tensor([0, 1]), reduction="x"), ValueError,
         "x is not a valid value for reduction"),
        (lambda: F.mse_loss(ONES.long(), ONES.long()), NotImplementedError, "for 'Long'"),
        (lambda: F.binary_cross_entropy(ONES * 2, ONES), RuntimeError, "between 0 and 1"),
        (lambda: F.binary_cross_entropy_with_logits(ONES, ONES[:1]), ValueError, "Target size"),
        (lambda: F.huber_loss(ONES, ONES, delta=0.0), RuntimeError, "non-positive"),
    ],
)  # fmt: skip
def test_errors(call, kind, message) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_a_step_can_go_into_cross_entropy() -> None:
    from framework.trace import recording

    with recording() as tape:
        F.cross_entropy(randn(2, 3), torch.tensor([0, 1]))
    events = [(type(e).__name__, getattr(e, "name", "")) for e in tape.read()]
    inside = events[events.index(("OpBegin", "cross_entropy")) :]
    assert [e for e in inside if e[0] != "Leaf"] == [
        ("OpBegin", "cross_entropy"), ("Op", "log_softmax"), ("Op", "nll_loss"), ("OpEnd", ""),
    ]  # fmt: skip
