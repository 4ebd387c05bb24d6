"""embedding_bag, ctc_loss, margin losses and multi-head attention against plain loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import framework as torch
from framework.autograd import gradcheck, gradgradcheck
from framework.nn import functional as F

RNG = np.random.default_rng(6)


def randn(*shape: int, grad: bool = False):
    return torch.tensor(RNG.standard_normal(shape)).requires_grad_(grad)


# -- embedding bags ----------------------------------------------------------------------------

INDEX = torch.tensor([3, 0, 1, 3, 3, 2])
OFFSETS = torch.tensor([0, 2, 2, 5])  # the second bag is empty


def bags(table, mode: str, padding: int | None = None, factors=None):
    rows = []
    for lo, hi in ((0, 2), (2, 2), (2, 5), (5, 6)):
        use = [i for i in range(lo, hi) if INDEX[i].item() != padding]
        own = np.array([table[INDEX[i].item()] * (1 if factors is None else factors[i])
                        for i in use]).reshape(len(use), table.shape[1])  # fmt: skip
        if not len(own):
            rows.append(np.zeros(table.shape[1]))
        else:
            rows.append(getattr(own, mode)(axis=0))
    return np.array(rows)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding", [None, 3])
def test_bags(mode: str, padding: int | None) -> None:
    table = randn(4, 3, grad=True)

    def bag(table):
        return F.embedding_bag(INDEX, table, OFFSETS, mode=mode, padding_idx=padding)

    np.testing.assert_allclose(bag(table).detach(), bags(table.detach().numpy(), mode, padding))
    assert gradcheck(bag, (table,)) and gradgradcheck(bag, (table,))


def test_bags_with_factors_last_offset_and_rows() -> None:
    table, factors = randn(4, 3, grad=True), randn(6, grad=True)

    def bag(table, factors):
        return F.embedding_bag(INDEX, table, OFFSETS, mode="sum", per_sample_weights=factors)

    wanted = bags(table.detach().numpy(), "sum", factors=factors.detach().numpy())
    np.testing.assert_allclose(bag(table, factors).detach(), wanted)
    assert gradcheck(bag, (table, factors)) and gradgradcheck(bag, (table, factors))
    ends = torch.tensor([0, 2, 2, 5, 6])
    np.testing.assert_allclose(
        F.embedding_bag(INDEX, table, ends, include_last_offset=True).detach(),
        F.embedding_bag(INDEX, table, OFFSETS).detach(),
    )
    rows = F.embedding_bag(INDEX.reshape(2, 3), table)
    np.testing.assert_allclose(rows.detach()[1], table.detach().numpy()[[3, 3, 2]].mean(0))


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding", [None, 3])
def test_what_is_behind_the_last_bag_is_left_out(mode: str, padding: int | None) -> None:
    ends = torch.tensor([0, 2, 4])
    found = []
    for index in (INDEX, INDEX[:4]):
        weight = torch.tensor(np.arange(10.0).reshape(5, 2)).requires_grad_()
        factors = torch.ones(len(index)).double().requires_grad_() if mode == "sum" else None
        made = F.embedding_bag(index, weight, ends, mode=mode, include_last_offset=True,
                               padding_idx=padding, per_sample_weights=factors)  # fmt: skip
        made.backward(torch.tensor([[1.0, 2.0], [3.0, 4.0]]).double())
        found.append((made, weight.grad))
    assert torch.equal(found[0][0], found[1][0]) and torch.equal(found[0][1], found[1][1])


def test_maxima_of_bags_without_rows_are_zero_whatever_the_table_has() -> None:
    weight = torch.full((4, 2), math.nan).requires_grad_()
    made = F.embedding_bag(INDEX[:0], weight, torch.tensor([0, 0]), mode="max")
    made.sum().backward()
    assert torch.equal(made, torch.zeros(2, 2)) and torch.equal(weight.grad, torch.zeros(4, 2))


def test_bag_refusals() -> None:
    table = torch.ones(4, 3)
    with pytest.raises(RuntimeError, match=r"offsets\[0\] has to be 0"):
        F.embedding_bag(INDEX, table, torch.tensor([1]))
    with pytest.raises(ValueError, match="offsets has to be a 1D Tensor but got None"):
        F.embedding_bag(INDEX, table)
    with pytest.raises(NotImplementedError, match="only supported for mode='sum'"):
        F.embedding_bag(INDEX, table, OFFSETS, per_sample_weights=torch.ones(6))
    with pytest.raises(ValueError, match="mode has to be one of sum, mean or max"):
        F.embedding_bag(INDEX, table, OFFSETS, mode="min")


# -- connectionist temporal classification -----------------------------------------------------


def said(path: tuple[int, ...]) -> list[int]:
    """What a path says: repetitions once, without the blanks (0)."""
    return [c for c, _ in itertools.groupby(path) if c != 0]


def test_ctc_sums_over_all_paths() -> None:
    log_probs = randn(5, 2, 3).log_softmax(2)
    targets, steps, lengths = torch.tensor([[1, 1], [2, 0]]), (5, 3), (2, 1)
    loss = F.ctc_loss(log_probs, targets, steps, lengths, reduction="none")
    for n in range(2):
        wanted = targets[n, : lengths[n]].tolist()
        total = sum(
            math.exp(sum(log_probs[t, n, c].item() for t, c in enumerate(path)))
            for path in itertools.product(range(3), repeat=steps[n])
            if said(path) == wanted
        )
        assert loss[n].item() == pytest.approx(-math.log(total))
    flat = F.ctc_loss(log_probs, torch.tensor([1, 1, 2]), torch.tensor(steps), lengths)
    assert flat.item() == pytest.approx((loss[0].item() / 2 + loss[1].item()) / 2)


def test_ctc_takes_labels_that_are_floats() -> None:
    log_probs = torch.rand(6, 2, 5).log_softmax(2)
    labels = torch.Tensor([[1, 2], [3, 3]])
    loss = F.ctc_loss(log_probs, labels, (6, 6), (2, 2))
    assert torch.equal(loss, F.ctc_loss(log_probs, labels.long(), (6, 6), (2, 2)))


def test_ctc_gradients_of_both_orders() -> None:
    x = randn(4, 2, 3, grad=True)

    def loss(x):
        return F.ctc_loss(x.log_softmax(2), torch.tensor([[1, 1], [2, 1]]), (4, 3), (2, 2))

    assert gradcheck(loss, (x,)) and gradgradcheck(loss, (x,))


def test_ctc_without_time_is_infinite_or_zero() -> None:
    log_probs = randn(2, 1, 3).log_softmax(2).requires_grad_()
    args = (torch.tensor([[1, 1]]), (2,), (2,))  # two equal labels need three steps
    assert F.ctc_loss(log_probs, *args).item() == math.inf
    loss = F.ctc_loss(log_probs, *args, zero_infinity=True)
    loss.backward()
    assert loss.item() == 0 and (log_probs.grad == 0).all()
    with pytest.raises(RuntimeError, match="blank must be in label range"):
        F.ctc_loss(log_probs, *args, blank=3)


# -- margins -----------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1, 2])
def test_multi_margin(p: int) -> None:
    x, target, weight = randn(3, 4, grad=True), torch.tensor([1, 0, 3]), randn(4).abs()

    def loss(x):
        return F.multi_margin_loss(x, target, p, 0.7, weight, reduction="none")

    rows, w = x.detach().numpy(), weight.numpy()
    wanted = [
        sum(w[t] * max(0, 0.7 - row[t] + row[j]) ** p for j in range(4) if j != t) / 4
        for row, t in zip(rows, target.tolist())
    ]
    np.testing.assert_allclose(loss(x).detach(), wanted)
    assert gradcheck(loss, (x,)) and gradgradcheck(loss, (x,))


def test_multilabel_margin() -> None:
    x, target = randn(2, 4, grad=True), torch.tensor([[3, 0, -1, 1], [-1, 2, 2, 2]])
    row = x.detach().numpy()[0]
    first = sum(max(0, 1 - (row[t] - row[j])) for t in (3, 0) for j in (1, 2)) / 4
    loss = F.multilabel_margin_loss(x, target, reduction="none")
    np.testing.assert_allclose(loss.detach(), [first, 0])
    assert gradcheck(lambda x: F.multilabel_margin_loss(x, target), (x,))
    with pytest.raises(RuntimeError, match="inconsistent target size"):
        F.multilabel_margin_loss(x, target[:1])


def test_multilabel_soft_margin_and_triplets_of_any_distance() -> None:
    x, t = randn(3, 4), torch.tensor(RNG.integers(0, 2, (3, 4)))
    wanted = F.binary_cross_entropy_with_logits(x, t.double())
    assert F.multilabel_soft_margin_loss(x, t).item() == pytest.approx(wanted.item())
    a, b, c = randn(3, 4), randn(3, 4), randn(3, 4)
    np.testing.assert_allclose(
        F.triplet_margin_with_distance_loss(a, b, c, swap=True, reduction="none"),
        F.triplet_margin_loss(a, b, c, swap=True, reduction="none"),
    )

    def city(x, y):
        return (x - y).abs().sum(-1)

    loss = F.triplet_margin_with_distance_loss(a, b, c, distance_function=city, margin=2.0)
    assert loss.item() == pytest.approx((city(a, b) - city(a, c) + 2).clamp(min=0).mean().item())


def test_linear_cross_entropy() -> None:
    x, w, b, t = randn(5, 3), randn(4, 3), randn(4), torch.tensor([0, 3, -100, 1, 2])
    found = F.linear_cross_entropy(x, w, t, linear_bias=b)
    assert found.item() == F.cross_entropy(F.linear(x, w, b), t).item()


# -- attention ---------------------------------------------------------------------------------


def test_multi_head_attention() -> None:
    """Two heads by hand, with a mask that is added and keys that are padding."""
    length, batch, width, heads = 3, 2, 4, 2
    q, k = randn(length, batch, width), randn(5, batch, width)
    weight, bias = randn(3 * width, width), randn(3 * width)
    out_weight, out_bias = randn(width, width), randn(width)
    added = randn(length, 5)
    padding = torch.tensor([[False] * 5, [False, False, True, False, True]])

    def attend(need_weights: bool):
        return F.multi_head_attention_forward(
            q, k, k, width, heads, weight, bias, None, None, False, 0.0, out_weight, out_bias,
            key_padding_mask=padding.double().masked_fill(padding, -math.inf),
            attn_mask=added, need_weights=need_weights, average_attn_weights=False,
        )  # fmt: skip

    y, shares = attend(True)
    np.testing.assert_allclose(attend(False)[0], y)
    parts = [F.linear(x, w, b) for x, w, b in zip((q, k, k), weight.chunk(3), bias.chunk(3))]
    for n, h in itertools.product(range(batch), range(heads)):
        own = [p[:, n, 2 * h : 2 * h + 2] for p in parts]
        scores = own[0] @ own[1].T / math.sqrt(2) + added
        scores = scores.masked_fill(padding[n], -math.inf)
        np.testing.assert_allclose(shares[n, h], scores.softmax(-1))
    mixed = [
        torch.cat([shares[n, h] @ parts[2][:, n, 2 * h : 2 * h + 2] for h in range(heads)], -1)
        for n in range(batch)
    ]
    np.testing.assert_allclose(y, F.linear(torch.stack(mixed, 1), out_weight, out_bias))


def test_multi_head_attention_refusals() -> None:
    x, w = torch.ones(3, 2, 4), torch.ones(12, 4)
    rest = (None, None, None, False, 0.0, torch.ones(4, 4), None)
    with pytest.raises(AssertionError, match="expecting embedding dimension of 6, but got 4"):
        F.multi_head_attention_forward(x, x, x, 6, 2, w, *rest)
    with pytest.raises(RuntimeError, match="2D attn_mask"):
        F.multi_head_attention_forward(x, x, x, 4, 2, w, *rest, attn_mask=torch.ones(2, 3))
    with pytest.raises(RuntimeError, match="Need attn_mask if specifying the is_causal hint"):
        F.multi_head_attention_forward(x, x, x, 4, 2, w, *rest, is_causal=True)
