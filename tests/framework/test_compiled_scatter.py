"""Compiled kernels that add slices up, or pick them, against the plain ones beside them."""

from __future__ import annotations

import numpy as np
import pytest
from test_compiled import _draw, _same

import framework as torch
from framework.nn import functional as F

pytest.importorskip("numba")

TYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def _index(shape, below, seed=5):
    return torch.tensor(np.random.default_rng(seed).integers(0, below, shape))


SHAPES = [
    # of the target, the dimension, slices that are added
    ((70, 65), 0, 200), ((6, 31, 70), 1, 99), ((80, 9), 1, 101), ((500,), 0, 5000),
    ((4, 3, 5, 7), 2, 300), ((1, 33), 0, 500), ((70, 65), 0, 0), ((0, 5), 1, 900),
]  # fmt: skip


@TYPES
@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_along_a_dimension(plainly, sizes, special, dtype):
    shape, d, n = sizes
    wide = (*shape[:d], n, *shape[d + 1 :])
    x, src = _draw(shape).astype(dtype), _draw(wide, 1, special).astype(dtype)
    place, full = _index(n, shape[d]), _index(wide, shape[d], 6)
    expanded = place.reshape([-1 if k == d else 1 for k in range(len(shape))]).expand(wide)
    for call in (
        lambda x, s: x.index_add(d, place, s),
        lambda x, s: x.scatter_add(d, full, s),
        lambda x, s: x.scatter(d, full, s),
        lambda x, s: x.scatter(d, full, 2.5) * s.sum(),
        lambda x, s: x.scatter_add(d, expanded, s),
        lambda x, s: x.scatter_reduce(d, full, s, "sum"),
        lambda x, s: x.gather(d, full) * s,
        lambda x, s: x.gather(d, expanded) * s,
        lambda x, s: x.index_select(d, place) * s,
        lambda x, s: x[(*(slice(None),) * d, place - shape[d])] * s,
    ):
        _same(plainly, call, x, src)


@TYPES
def test_at_several_indices(plainly, dtype):
    i, j = _index((70, 80), 33), _index(80, 21, 7)

    def same(call, *arrays):
        _same(plainly, call, *[a.astype(dtype) for a in arrays])

    x, src = _draw((33, 21, 3)), _draw((70, 80, 3), 1)
    same(lambda x, s: x.index_put((i - 33, j), s, accumulate=True), x, src)
    same(lambda x, s: x.index_put((i,), s, accumulate=True), x, _draw((), 2))
    same(lambda x, s: x[i, j] * s, x, src)


def test_of_other_orders_and_smaller_indices(plainly):
    j, small = _index(80, 21, 7), _index((40, 60), 50)
    _same(plainly, lambda x, s: x.t().index_add(0, j, s), _draw((90, 21)), _draw((80, 90), 3))
    _same(plainly, lambda x, s: x.index_add(0, j, s.t()), _draw((21, 90)), _draw((90, 80), 3))
    _same(plainly, lambda x, s: x.scatter_add(0, small, s), _draw((50, 70)), _draw((45, 65), 2))
    _same(plainly, lambda x, s: x.gather(0, small) * s, _draw((50, 70)), _draw((40, 60), 2))


@pytest.mark.parametrize("bad", [-1, 70])
def test_an_index_out_of_range_is_refused(bad):
    x, src = torch.zeros(70, 65), torch.ones(100, 65)
    place = _index(100, 70)
    place[57] = bad
    for call in (
        lambda i: x.index_add(0, i, src),
        lambda i: x.scatter_add(0, i[:, None].expand(100, 65), src),
        lambda i: x.gather(0, i[:, None].expand(100, 65)),
    ):
        with pytest.raises((IndexError, RuntimeError), match=r"out of (range|bounds)"):
            call(place)
    place[57] = bad if bad > 0 else -71
    for call in (lambda: x.index_put((place,), src, accumulate=True), lambda: x[place]):
        with pytest.raises(IndexError, match="out of bounds"):
            call()


@TYPES
@pytest.mark.parametrize("width", [1, 13, 130])
def test_embeddings(plainly, width, dtype):
    index, bags = _index((50, 9), 40), torch.tensor([0, 3, 3, 60])
    flat = index.reshape(-1)
    table, factors = _draw((40, width)).astype(dtype), _draw((450,), 2).astype(dtype)
    for options in ({}, {"padding_idx": 3}, {"scale_grad_by_freq": True}):
        _same(plainly, lambda w, o=options: F.embedding(index, w, **o), table)
    _same(plainly, lambda w: F.embedding_bag(flat, w, bags, mode="mean"), table)

    def weighted(w, f):
        return F.embedding_bag(flat, w, bags, mode="sum", per_sample_weights=f)

    _same(plainly, weighted, table, factors)


def test_sums_in_the_order_of_the_index():
    """As one by one, in the type of the tensors."""
    src, place = _draw((5000,)), _index(5000, 3)
    want = np.zeros(3, np.float32)
    for k, v in zip(place.tolist(), src):
        want[k] += v
    x = torch.zeros(3)
    for found in (
        x.index_add(0, place, torch.tensor(src)),
        x.scatter_add(0, place, torch.tensor(src)),
    ):
        assert found.tolist() == want.tolist()
