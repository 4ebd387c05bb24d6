"""Attention without the matrix of scores against attention with it."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import framework as torch
from framework.core.dispatch import apply
from framework.kernels import attention as host
from framework.kernels import compiled
from framework.nn import functional as F
from framework.ops import attention_tiles
from framework.utils.flop_counter import FlopCounterMode


@pytest.fixture(params=["compiled", "NumPy"])
def tiled(request, monkeypatch):
    """Small tiles, used for all sizes; returns a way to compute without them."""
    if request.param == "compiled":
        pytest.importorskip("numba")
    monkeypatch.setattr(host, "_ROWS", 8)
    monkeypatch.setattr(host, "_COLUMNS", 16)
    monkeypatch.setattr(host, "_SHORT", 12)
    monkeypatch.setattr(host, "by_heads", lambda *_: None)
    before = compiled.use(request.param == "compiled")
    calls: list[int] = []
    known = attention_tiles.ATTENTION_TILES.kernel
    monkeypatch.setattr(attention_tiles.ATTENTION_TILES, "kernel",
                        lambda *a, **k: calls.append(1) or known(*a, **k))  # fmt: skip

    def both(call: Any, *arrays: Any) -> tuple[Any, Any]:
        found = []
        for least in (1, 1 << 60):
            monkeypatch.setattr(attention_tiles, "LARGE", least)
            monkeypatch.setattr(attention_tiles, "LARGE_CAUSAL", least)
            count = len(calls)
            found.append(_run(call, *arrays))
            assert (len(calls) > count) == (least == 1)
        return found[0], found[1]

    yield both
    compiled.use(before)


def _run(call: Any, *arrays: Any) -> list[Any]:
    torch.manual_seed(3)
    inputs = [torch.from_numpy(a.copy()).requires_grad_() for a in arrays]
    out = call(*inputs)
    g = torch.from_numpy(np.random.default_rng(5).standard_normal(out.shape).astype(out.numpy(
        force=True).dtype))  # fmt: skip
    out.backward(g)
    return [out.detach().numpy(), *[x.grad.numpy() for x in inputs]]


def _drawn(*shapes: tuple[int, ...], dtype: Any = np.float32) -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(s).astype(dtype) * 2 for s in shapes]


def _same(pair: tuple[Any, Any], rtol: float = 1e-4, atol: float = 2e-5) -> None:
    for a, b in zip(*pair, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


SIZES = [(1, 1, 1), (7, 5, 3), (8, 16, 4), (9, 17, 8), (33, 40, 16), (40, 33, 5), (16, 64, 8)]


def _seen(shape: tuple[int, ...], seed: int = 1) -> Any:
    return np.random.default_rng(seed).random(shape) < 0.6


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [0.0, 0.3])
def test_values_and_gradients(tiled, size, dtype, p) -> None:
    length, count, width = size
    q, k, v = _drawn((2, 3, length, width), (2, 3, count, width), (2, 3, count, width + 1),
                     dtype=dtype)  # fmt: skip
    tight = {"rtol": 1e-9, "atol": 1e-9} if dtype is np.float64 else {}
    sdpa = F.scaled_dot_product_attention
    masks = [None]
    for shape in [(length, count), (2, 3, length, count), (2, 1, 1, count), (3, length, 1)]:
        seen = _seen(shape)
        added = np.random.default_rng(2).standard_normal(shape).astype(dtype)
        masks += [seen, added, np.where(seen, added, dtype(-np.inf))]
    for mask in masks:
        given = None if mask is None else torch.from_numpy(mask)
        _same(tiled(lambda q, k, v, m=given: sdpa(q, k, v, m, p), q, k, v), **tight)
    _same(tiled(lambda q, k, v: sdpa(q, k, v, dropout_p=p, is_causal=True), q, k, v), **tight)
    _same(tiled(lambda q, k, v: sdpa(q, k, v, scale=-0.3, dropout_p=p), q, k, v), **tight)


@pytest.mark.parametrize("shape", [(9, 17), (4, 9, 17), (2, 4, 9, 17), (2, 1, 4, 9, 17)])
def test_ranks_and_fewer_heads(tiled, shape) -> None:
    sdpa = F.scaled_dot_product_attention
    lead, (length, count) = shape[:-2], shape[-2:]
    q, k, v = _drawn((*lead, length, 6), (*lead, count, 6), (*lead, count, 6))
    _same(tiled(sdpa, q, k, v))
    seen = torch.from_numpy(_seen((length, count)))
    _same(tiled(lambda q, k, v: sdpa(q, k, v, seen), q, k, v))
    if len(lead) > 0:
        for heads in (1, 2):
            k2, v2 = k[..., :heads, :, :], v[..., :heads, :, :]
            _same(tiled(lambda q, k, v: sdpa(q, k, v, enable_gqa=True, is_causal=True), q, k2, v2))


def test_a_mask_beside_causal(tiled) -> None:
    q, k, v = _drawn((2, 3, 21, 8), (2, 3, 37, 8), (2, 3, 37, 8))
    for shape in [(21, 37), (2, 1, 21, 37)]:
        seen = _seen(shape)
        seen[..., 5, :] = False
        seen[..., 7, :8] = False
        for mask in (seen, np.where(seen, 0, -np.inf).astype(np.float32)):
            given = torch.from_numpy(mask)
            _same(tiled(lambda q, k, v, m=given: F.scaled_dot_product_attention(
                q, k, v, m, is_causal=True), q, k, v))  # fmt: skip


def test_memory_in_any_order(tiled) -> None:
    q, k, v = _drawn((2, 19, 3, 8), (2, 23, 3, 8), (2, 8, 3, 23))

    def call(q: Any, k: Any, v: Any) -> Any:
        q, k = q.transpose(1, 2), k.transpose(1, 2)
        out = F.scaled_dot_product_attention(q, k, v.permute(0, 2, 3, 1))
        assert out.transpose(1, 2).is_contiguous()
        return out

    _same(tiled(call, q, k, v))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("where", range(3))
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinities(tiled, where, bad) -> None:
    sdpa = F.scaled_dot_product_attention
    arrays = _drawn((1, 2, 19, 8), (1, 2, 35, 8), (1, 2, 35, 8))
    arrays[where][0, 1, 10, 3] = bad
    seen = _seen((19, 35))
    seen[4] = False
    for mask in (None, seen, np.where(seen, 0, -np.inf).astype(np.float32)):
        given = None if mask is None else torch.from_numpy(mask)
        _same(tiled(lambda q, k, v, m=given: sdpa(q, k, v, m), *arrays))
    _same(tiled(lambda q, k, v: sdpa(q, k, v, is_causal=True), *arrays))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_rows_that_see_nothing_and_rows_without_a_share(tiled) -> None:
    q, k, v = _drawn((1, 2, 19, 8), (1, 2, 35, 8), (1, 2, 35, 8))
    k[...] = -np.inf
    q[:, :, :5] = np.abs(q[:, :, :5]) + 1  # all scores are -inf, though nobody hid them
    seen = _seen((19, 35))
    seen[2] = seen[9] = False
    for mask in (None, seen, np.zeros((19, 35), np.float32)):
        given = None if mask is None else torch.from_numpy(mask)
        _same(tiled(lambda q, k, v, m=given: F.scaled_dot_product_attention(q, k, v, m), q, k, v))


@pytest.mark.parametrize("options", [
    {}, {"is_causal": True}, {"dropout_p": 0.4}, {"enable_gqa": True},
])  # fmt: skip
@pytest.mark.parametrize("mask", [None, "bool", "added"])
def test_second_gradients(tiled, options, mask) -> None:
    if mask and options.get("is_causal"):
        pytest.skip("a mask of its own")
    heads = 2 if options.get("enable_gqa") else 4
    q, k, v = _drawn((1, 4, 9, 3), (1, heads, 17, 3), (1, heads, 17, 3), dtype=np.float64)
    seen = _seen((9, 17))
    seen[3] = False
    given = torch.from_numpy(seen if mask == "bool" else np.where(seen, 0.5, -np.inf))

    def penalty(*inputs: Any) -> Any:
        torch.manual_seed(7)
        out = F.scaled_dot_product_attention(*inputs, given if mask else None, **options)
        grads = torch.autograd.grad(out.square().sum(), inputs, create_graph=True)
        return sum(g.square().sum() for g in grads).reshape(1)

    _same(tiled(penalty, q, k, v), 1e-8, 1e-8)


def test_gradients_of_the_logarithms(monkeypatch) -> None:
    """The op's second result, against numbers; forwards with a graph and without."""
    monkeypatch.setattr(host, "_ROWS", 8)
    monkeypatch.setattr(host, "_COLUMNS", 16)
    inputs = [torch.from_numpy(a).requires_grad_() for a in _drawn(
        (1, 2, 9, 3), (1, 1, 17, 3), (1, 1, 17, 3), dtype=np.float64)]  # fmt: skip

    def call(*tensors: Any) -> Any:
        return apply(attention_tiles.ATTENTION_TILES, *tensors, None, scale=0.4, causal=True,
                     p=0.0, seed=0, offset=0)  # fmt: skip

    assert torch.autograd.gradcheck(call, inputs)
    assert torch.autograd.gradgradcheck(call, inputs)


def test_memory_grows_with_the_length_only() -> None:
    """8,192 positions: the scores would be 256 MB, several times over."""
    q, k, v = (torch.from_numpy(a).requires_grad_() for a in _drawn(*[(1, 1, 8192, 4)] * 3))
    tracemalloc.start()
    try:
        F.scaled_dot_product_attention(q, k, v, is_causal=True).sum().backward()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 20e6


def test_parts_where_they_are_wanted() -> None:
    """Counted products, mapped functions and tangents go by the parts, of any size."""
    q = torch.randn(1, 1, 3000, 2)
    with FlopCounterMode(display=False) as counter:
        F.scaled_dot_product_attention(q, q, q)
    assert counter.get_total_flops() == 2 * 2 * 3000 * 3000 * 2


def test_threads_change_nothing() -> None:
    arrays = _drawn(*[(2, 3, 700, 16)] * 3)
    before = torch.get_num_threads()
    try:
        found = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(_run(lambda q, k, v: F.scaled_dot_product_attention(
                q, k, v, dropout_p=0.1, is_causal=True), *arrays))  # fmt: skip
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(found[0], other):
            np.testing.assert_array_equal(a, b)
