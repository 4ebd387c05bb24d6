"""Sorting, order statistics, searching, distinct elements, histograms, distances, covariance."""

from __future__ import annotations

import inspect
import math
import pickle

import numpy as np
import pytest

import framework as torch
from framework.core.registry import FUNCTIONS
from framework.tensor import wrap

RNG = np.random.default_rng(0)
NAN = float("nan")


def test_sort_puts_nan_last_and_keeps_equal_elements_in_order() -> None:
    x = torch.tensor([2.0, NAN, 1.0, 2.0, NAN])
    assert x.sort().indices.tolist() == [2, 0, 3, 1, 4]
    assert x.sort(descending=True).indices.tolist() == [1, 4, 0, 3, 2]
    many = wrap(RNG.integers(0, 5, 1000))
    order = many.argsort(stable=True, descending=True)._data
    picked = many._data[order]
    assert ((np.diff(picked) < 0) | ((np.diff(picked) == 0) & (np.diff(order) > 0))).all()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "int64", "uint8"])
@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("k", [0, 1, 7, 30])
def test_topk_is_the_start_of_sort(dtype: str, largest: bool, k: int) -> None:
    x = wrap(RNG.permutation(90).reshape(30, 3)).to(getattr(torch, dtype))
    if x.is_floating_point():
        x[3, 1] = NAN
    found = x.topk(k, 0, largest)
    expected = x.sort(0, largest)
    assert found.indices.tolist() == expected.indices[:k].tolist()
    assert torch.equal(found.values.nan_to_num(-1), expected.values[:k].nan_to_num(-1))
    loose = x.topk(k, 0, largest, sorted=False).indices.sort(0).values
    assert torch.equal(loose, found.indices.sort(0).values)


def test_medians_with_nan() -> None:
    x = torch.tensor([[1.0, NAN, 3.0, 2.0], [NAN, NAN, NAN, NAN], [4.0, 1.0, 3.0, 2.0]])
    values, indices = x.median(1)
    assert indices.tolist() == [1, 0, 3] and values[2] == 2 and bool(values[:2].isnan().all())
    values, indices = x.nanmedian(1)
    assert indices[0] == 3 and bool(values[1].isnan()) and indices[2] == 3
    assert bool(x.median().isnan()) and x.nanmedian() == 2


def test_the_median_shares_its_gradient_only_without_a_dimension() -> None:
    x = torch.tensor([1.0, 2.0, 2.0, 3.0], requires_grad=True)
    x.median().backward()
    assert x.grad.tolist() == [0, 0.5, 0.5, 0]
    x.grad = None
    x.median(0).values.backward()
    assert sorted(x.grad.tolist()) == [0, 0, 0, 1]


def test_mode_is_the_smallest_of_the_most_frequent_at_its_last_place() -> None:
    x = torch.tensor([[3, 1, 1, 2, 2], [5, 4, 5, 4, 5]])
    values, indices = x.mode()
    assert values.tolist() == [1, 5] and indices.tolist() == [2, 4]
    assert x.mode(0).values.tolist() == [3, 1, 1, 2, 2]


@pytest.mark.parametrize("method", ["linear", "lower", "higher", "midpoint", "nearest"])
def test_quantile_against_numpy(method: str) -> None:
    x = RNG.standard_normal((3, 8, 2))
    q = np.array([0.0, 0.3, 0.5, 1.0])
    for dim, keepdim in ((1, False), (-1, True), (None, False), (None, True)):
        expected = np.quantile(x, q, dim, method=method, keepdims=keepdim)
        found = torch.quantile(wrap(x), wrap(q), dim, keepdim, interpolation=method)
        np.testing.assert_allclose(found._data, expected)
    x[0, 3, 1] = NAN
    np.testing.assert_allclose(
        torch.nanquantile(wrap(x), 0.3, 1, interpolation=method)._data,
        np.nanquantile(x, 0.3, 1, method=method),
    )
    assert torch.quantile(wrap(x), 0.3, 1).isnan().sum() == 1


@pytest.mark.parametrize("right", [True, False])
def test_searchsorted_in_rows(right: bool) -> None:
    rows = np.sort(RNG.integers(0, 9, (4, 3, 7)), -1).astype(np.float64)
    values = np.concatenate([RNG.integers(-1, 11, (4, 3, 5)).astype(float),
                             np.full((4, 3, 1), np.inf)], -1)  # fmt: skip
    found = torch.searchsorted(wrap(rows), wrap(values), right=right)._data
    side = "right" if right else "left"
    for i in np.ndindex(4, 3):
        np.testing.assert_array_equal(found[i], np.searchsorted(rows[i], values[i], side))
    ranks = RNG.permuted(np.broadcast_to(np.arange(7), rows.shape), axis=-1)
    mixed = np.empty_like(rows)
    np.put_along_axis(mixed, ranks, rows, -1)
    again = torch.searchsorted(wrap(mixed), wrap(values), right=right, sorter=wrap(ranks))
    np.testing.assert_array_equal(again._data, found)


@pytest.mark.parametrize("dim", [None, 0, 1])
def test_unique_against_numpy(dim: int | None) -> None:
    x = RNG.integers(0, 2, (8, 3)).astype(np.float32)
    values, inverse, counts = np.unique(x, return_inverse=True, return_counts=True, axis=dim)
    found = torch.unique(wrap(x), True, True, True, dim)
    for mine, other in zip(found, (values, inverse, counts)):
        np.testing.assert_array_equal(mine._data.reshape(-1), other.reshape(-1))
    runs = torch.unique_consecutive(wrap(np.repeat(x, 2, 0)), dim=0)
    np.testing.assert_array_equal(runs._data, torch.unique_consecutive(wrap(x), dim=0)._data)


def test_nan_is_never_equal() -> None:
    x = torch.tensor([NAN, 1.0, NAN])
    assert torch.unique(x, return_counts=True)[1].tolist() == [1, 1, 1]
    assert torch.isin(x, x).tolist() == [False, True, False]


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.int64])
def test_histograms_of_vectors_take_float32_and_float64(kind: torch.dtype) -> None:
    with pytest.raises(NotImplementedError, match='"histogramdd" not implemented'):
        torch.histogram(torch.ones(3, dtype=kind))
    with pytest.raises(NotImplementedError, match='"histogramdd" not implemented'):
        torch.histogramdd(torch.ones(3, 2, dtype=kind), [2, 2])


def test_histograms_against_numpy() -> None:
    x = RNG.standard_normal(200)
    w = RNG.random(200)
    for bins in (7, np.array([-1.0, 0.0, 0.5, 3.0])):
        hist, edges = np.histogram(x, bins, weights=w, density=True)
        given = bins if isinstance(bins, int) else wrap(bins)
        found = torch.histogram(wrap(x), given, weight=wrap(w), density=True)
        np.testing.assert_allclose(found.hist._data, hist)
        np.testing.assert_allclose(found.bin_edges._data, edges)
    grid = x.reshape(-1, 2)
    hist, _ = np.histogramdd(grid, [3, 4], [(-1, 1), (0, 2)])
    found = torch.histogramdd(wrap(grid), [3, 4], [-1.0, 1.0, 0.0, 2.0])
    np.testing.assert_array_equal(found.hist._data, hist)
    counts = torch.histc(wrap(x), 11, -2, 2)._data
    np.testing.assert_array_equal(counts, np.histogram(x, 11, (-2, 2))[0])


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0, 2.0, 3.0, float("inf")])
def test_cdist(p: float) -> None:
    a, b = RNG.standard_normal((2, 30, 3)), RNG.standard_normal((5, 3))
    b[0] = a[0, 0]
    expected = np.linalg.norm(a[:, :, None] - b[None, None], p, -1)
    for mode in ("donot_use_mm_for_euclid_dist", "use_mm_for_euclid_dist"):
        found = torch.cdist(wrap(a), wrap(b), p, mode)
        np.testing.assert_allclose(found._data, expected, atol=1e-6)


@pytest.mark.parametrize(
    "distance", [torch.cdist, lambda x, y, p: torch.pdist(torch.cat([x, y]), p)]
)
def test_each_of_the_largest_differences_has_all_of_the_gradient(distance) -> None:
    x = torch.tensor([[1.0, 2.0, -2.0]], requires_grad=True)
    distance(x, torch.zeros(1, 3), math.inf).sum().backward()
    assert x.grad.tolist() == [[0.0, 1.0, -1.0]]


def test_cdist_of_equal_points_has_a_gradient() -> None:
    x = torch.zeros(2, 3, requires_grad=True)
    torch.cdist(x, torch.zeros(2, 3)).sum().backward()
    assert x.grad.tolist() == [[0.0] * 3] * 2


def test_covariance_against_numpy() -> None:
    x = RNG.standard_normal((3, 6))
    f, a = np.array([1, 2, 3, 0, 1, 1]), RNG.random(6)
    for options in ({}, {"fweights": f}, {"aweights": a}, {"fweights": f, "aweights": a}):
        expected = np.cov(x, ddof=1, **options)
        given = {name: wrap(value) for name, value in options.items()}
        np.testing.assert_allclose(torch.cov(wrap(x), **given)._data, expected)
    np.testing.assert_allclose(torch.corrcoef(wrap(x))._data, np.corrcoef(x))


def test_gradient_against_numpy() -> None:
    y = RNG.standard_normal((5, 6))
    x = np.cumsum(RNG.random(6) + 0.1)
    for order in (1, 2):
        expected = np.gradient(y, 0.5, x, edge_order=order)
        even = torch.gradient(wrap(y), spacing=0.5, dim=0, edge_order=order)
        uneven = torch.gradient(wrap(y), spacing=(wrap(x),), dim=1, edge_order=order)
        np.testing.assert_allclose(even[0]._data, expected[0])
        np.testing.assert_allclose(uneven[0]._data, expected[1])


def test_a_zero_in_a_segment_gets_the_product_of_the_others() -> None:
    x = torch.tensor([2.0, 0.0, 3.0, 0.0, 0.0], requires_grad=True)
    torch.segment_reduce(x, "prod", lengths=torch.tensor([3, 2]), initial=2).sum().backward()
    assert x.grad.tolist() == [0, 12, 0, 0, 0]


def test_numpy_s_names() -> None:
    x = torch.tensor([[3.0, 1.0], [2.0, 4.0]])
    assert torch.sum(x, axis=0, keepdims=True).tolist() == [[5.0, 5.0]]
    assert x.sum(axis=1).tolist() == [4.0, 6.0]
    assert torch.cumsum(x, axis=0).tolist() == [[3.0, 1.0], [5.0, 5.0]]
    assert torch.max(x, axis=1, keepdims=True).indices.tolist() == [[0], [1]]
    assert torch.sort(x, axis=0).values.tolist() == [[2.0, 1.0], [3.0, 4.0]]
    assert torch.index_select(x, axis=1, index=torch.tensor([1])).tolist() == [[1.0], [4.0]]
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        torch.cumsum(x)


def test_numpy_s_names_keep_the_signature() -> None:
    assert list(inspect.signature(torch.mean).parameters)[:3] == ["input", "dim", "keepdim"]
    named = [f for f in FUNCTIONS if "axis" in inspect.signature(f.call).parameters]
    assert all(f.call.__name__ == f.name and f.call.__doc__ for f in named) and len(named) > 40


def test_return_types() -> None:
    x = torch.tensor([2.0, 1.0])
    found = x.sort()
    assert type(found) is torch.return_types.sort
    again = pickle.loads(pickle.dumps(found))
    assert type(again) is torch.return_types.sort and again.values.tolist() == [1.0, 2.0]
    out = (torch.empty(2), torch.empty(2, dtype=torch.int64))
    assert torch.sort(x, out=out)[0] is out[0] and out[1].tolist() == [1, 0]
    with pytest.raises(RuntimeError, match="scalar type"):
        torch.sort(x, out=(torch.empty(2, dtype=torch.float64), out[1]))


def test_a_running_sum_is_computed_in_the_type_of_out() -> None:
    out = torch.empty(2, dtype=torch.int64)
    assert torch.cumsum(torch.tensor([1.7, 2.6]), 0, out=out).tolist() == [1, 3]
