"""Rows added up by sparse products against `numpy.add.at`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import framework as torch
from framework.kernels import sums
from framework.ops.indexing import add_at


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.int64])
@pytest.mark.parametrize("shape", [(40, 5, 7), (1, 3), (300, 1), (5, 0), (64, 64)])
@pytest.mark.parametrize("count", [0, 1, 37, 1000])
def test_add_at_is_numpys_to_the_last_bits(
    shape: tuple[int, ...], count: int, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums, "_MANY", 1)
    rng = np.random.default_rng(0)
    index = rng.integers(-shape[0], shape[0], count)
    values = (rng.standard_normal((count, *shape[1:])) * 100).astype(dtype)
    start = (rng.standard_normal(shape) * 100).astype(dtype)
    spread = np.broadcast_to(values[:1], values.shape) if count else values
    for where in (index, (index, Ellipsis), (index, *[slice(None)] * (len(shape) - 1))):
        for given in (values, values[::-1], spread, np.asarray(1, dtype)):
            mine, plain = start.copy(), start.copy()
            add_at(mine, where, given)
            np.add.at(plain, where, given)
            if dtype is np.int64:
                np.testing.assert_array_equal(mine, plain)
            else:
                np.testing.assert_allclose(
                    mine, plain, rtol=2e-5, atol=1e-2 * (dtype != np.float64)
                )


def test_an_index_of_two_dimensions_and_targets_that_do_not_lie_in_order() -> None:
    rng = np.random.default_rng(0)
    index = rng.integers(0, 6, (50, 9))
    values = rng.standard_normal((50, 9, 11))
    mine, plain = np.zeros((11, 6)).T, np.zeros((6, 11))
    add_at(mine, index, values)
    np.add.at(plain, index, values)
    np.testing.assert_allclose(mine, plain, rtol=1e-12)


def test_nan_and_infinity_stay_in_their_rows() -> None:
    values = np.ones((300, 16), np.float32)
    values[7], values[8, 3] = np.nan, np.inf
    index = np.arange(300) % 30
    found = sums.summed_rows(31, index, values)
    assert found is not None
    plain = np.zeros((31, 16), np.float32)
    np.add.at(plain, index, values)
    np.testing.assert_array_equal(found, plain)


@pytest.mark.parametrize("where", [30, -31])
def test_a_row_that_is_not_there_is_refused(where: int) -> None:
    index = np.full(300, where)
    with pytest.raises(IndexError):
        add_at(np.zeros((30, 16)), index, np.ones((300, 16)))


@pytest.mark.parametrize("padding", [None, 3])
@pytest.mark.parametrize("by_freq", [False, True])
def test_the_gradient_of_an_embedding(padding: int | None, by_freq: bool) -> None:
    rng = np.random.default_rng(0)
    index = rng.integers(0, 50, (20, 30))
    g = rng.standard_normal((20, 30, 13)).astype(np.float32)
    table = torch.zeros(60, 13, requires_grad=True)
    looked = torch.nn.functional.embedding(
        torch.from_numpy(index), table, padding_idx=padding, scale_grad_by_freq=by_freq
    )
    (found,) = torch.autograd.grad(looked, table, torch.from_numpy(g))
    plain = np.zeros((60, 13))
    np.add.at(plain, index, g.astype(np.float64))
    if by_freq:
        plain /= np.maximum(np.bincount(index.reshape(-1), minlength=60), 1)[:, None]
    if padding is not None:
        plain[padding] = 0
    np.testing.assert_allclose(found.numpy(), plain, rtol=1e-4, atol=1e-5)
