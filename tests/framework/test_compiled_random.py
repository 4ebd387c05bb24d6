"""Compiled random numbers: the bits of the plain ones, whatever their count and place."""

from __future__ import annotations

import numpy as np
import pytest
from test_compiled import _both, _draw

import framework as torch
from framework.nn import functional as F

pytest.importorskip("numba")

SEEDS = [0, 7, -1, (1 << 64) - 1]


@pytest.mark.parametrize("name", ["float64", "float32", "float16", "bfloat16", "complex64"])
@pytest.mark.parametrize("seed", SEEDS)
def test_numbers(plainly, name, seed):
    def call():
        g = torch.Generator().manual_seed(seed)
        drawn = []
        for count in (4096, 4099, 65_537, 3, 70_001, 0):
            x = torch.rand(count, dtype=getattr(torch, name), generator=g)
            drawn += [x, torch.randn(count, generator=g), torch.tensor(g.get_offset())]
        return drawn

    for a, b in zip(call(), plainly(call), strict=True):
        assert a.dtype is b.dtype and torch.equal(a, b)


def test_numbers_from_a_place_far_away(plainly):
    def call(offset):
        g = torch.Generator().manual_seed(3)
        g.set_offset(offset)
        return torch.rand(5000, generator=g), torch.rand(5, generator=g)

    for offset in ((1 << 62) + 12345, (1 << 63) - 10, (1 << 64) - 900):
        for a, b in zip(call(offset), plainly(lambda o=offset: call(o))):
            assert torch.equal(a, b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.999999, 1.0])
def test_dropout_is_that_of_numpy_to_the_bit(plainly, p, dtype):
    for shape in [(4096,), (64, 65), (3, 37, 41), (1, 70_001), (0, 5000), (5, 5)]:
        x = _draw(shape, special=True).astype(dtype)

        def call(x=x):
            torch.manual_seed(5)
            return _both(lambda x: F.dropout(F.dropout(x, p), p), x)

        for a, b in zip(call(), plainly(call), strict=True):
            np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(np.signbit(a), np.signbit(b))
    torch.manual_seed(5)
    first = F.dropout(torch.ones(65, 130).t(), p)
    torch.manual_seed(5)
    assert torch.equal(first, F.dropout(torch.ones(130, 65), p))


def test_they_do_not_depend_on_the_number_of_threads():
    before = torch.get_num_threads()
    drawn = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            torch.manual_seed(1)
            drawn.append((torch.rand(300_001), F.dropout(torch.ones(300_001), 0.3)))
    finally:
        torch.set_num_threads(before)
    for other in drawn[1:]:
        assert all(torch.equal(a, b) for a, b in zip(drawn[0], other))
