"""Masked reductions against the same on the selected elements alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

import framework as torch
from framework.autograd import grad

rng = np.random.default_rng(0)
X = rng.standard_normal((4, 5))
MASK = np.array([[1, 0, 0, 1, 1], [0, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 0, 1, 1]], bool)

ROWS = {
    "sum": np.sum, "prod": np.prod, "mean": np.mean, "amax": np.max, "amin": np.min,
    "norm": np.linalg.norm, "var": lambda x: np.var(x, ddof=1), "std": lambda x: np.std(x, ddof=1),
    "logsumexp": lambda x: np.log(np.exp(x).sum()),
    "median": lambda x: np.sort(x)[(len(x) - 1) // 2],
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_reductions_see_only_what_counts(name: str) -> None:
    x, mask = torch.tensor(X, requires_grad=True), torch.tensor(MASK)
    found = getattr(torch.masked, name)(x, dim=1, mask=mask)
    expected = [ROWS[name](row[m]) for row, m in zip(X, MASK)]
    np.testing.assert_allclose(found.detach().numpy(), expected)
    (slope,) = grad(found.sum(), x)
    assert not slope.numpy()[~MASK].any()
    plain = getattr(torch.masked, name)(torch.tensor(X), dim=1, keepdim=True)
    np.testing.assert_allclose(plain.numpy()[:, 0], [ROWS[name](row) for row in X])


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin", "cumsum", "cumprod"])
def test_slices_see_only_what_counts(name: str) -> None:
    plain = getattr(torch.masked, name)
    found = plain(torch.tensor(X), 1, mask=torch.tensor(MASK)).numpy()
    for row, m, got in zip(X, MASK, found):
        np.testing.assert_allclose(got[m], plain(torch.tensor(row[m]), 0).numpy())


@pytest.mark.parametrize(
    "name, kind, identity",
    [
        ("sum", "float32", 0), ("prod", "float32", 1), ("amax", "float16", -math.inf),
        ("amin", "float64", math.inf), ("amax", "int8", -128), ("amin", "uint8", 255),
        ("mean", "float32", math.nan), ("logsumexp", "float32", -math.inf),
        ("sum", "complex64", 0), ("var", "float64", math.nan),
    ],
)  # fmt: skip
def test_nothing_that_counts_gives_the_identity(name: str, kind: str, identity: float) -> None:
    x = torch.ones(3, dtype=getattr(torch, kind))
    found = getattr(torch.masked, name)(x, mask=torch.zeros(3, dtype=torch.bool))
    np.testing.assert_array_equal(found.numpy(), identity)
    assert found.dtype is x.dtype


def test_peculiarities_of_pytorch() -> None:
    x = torch.tensor([1.0, 9.0, 3.0])
    mask = torch.tensor([1, 0, 2])  # is taken for bools
    assert torch.masked.argmax(x, mask=mask).dtype is torch.float32
    assert torch.masked.argmax(x, mask=mask).item() == 2
    assert torch.masked.norm(x, -math.inf, mask=mask).item() == 1
    assert torch.masked.var(x, unbiased=False, mask=mask).item() == 1
    with pytest.raises(IndexError, match="dimensionality higher"):
        torch.masked.sum(x, mask=mask.unsqueeze(0))
    with pytest.raises(ValueError, match="Could not infer output dtype"):
        torch.masked.mean(mask)
    with pytest.raises(ValueError, match="no fully masked out rows"):
        torch.masked.median(mask, 0, mask=torch.zeros(3))
    with pytest.raises(AssertionError, match="Only one of"):
        torch.masked.std(x, 0, True, correction=0)
    with pytest.raises(NotImplementedError, match="identity of amax"):
        torch.masked.amax(mask.bool(), mask=mask)
