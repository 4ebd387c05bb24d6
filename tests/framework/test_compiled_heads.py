"""Attention of whole heads by compiled kernels, against the parts in float64 and the tiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba", reason="the compiled kernels are Numba's")

import framework as torch
from framework.kernels import attention as host
from framework.kernels import compiled
from framework.nn import functional as F
from framework.ops import attention_tiles
from framework.trace import recording

sdpa = F.scaled_dot_product_attention
# Batch, heads, heads of keys, queries, keys, their width, that of the values.
SIZES = [
    (8, 4, 4, 64, 64, 32, 32), (1, 4, 4, 70, 45, 5, 7), (2, 6, 2, 33, 129, 40, 33),
    (1, 4, 4, 1, 1100, 16, 16), (3, 4, 4, 200, 9, 1, 65), (2, 4, 4, 64, 32, 64, 32),
]  # fmt: skip


@pytest.fixture
def calls(monkeypatch) -> list[int]:
    """One entry for each time that heads were done at once."""
    heads = compiled.family("heads")
    found: list[int] = []
    known = heads.forward
    monkeypatch.setattr(heads, "forward", lambda *a: found.append(1) or known(*a))
    return found


def _drawn(size: tuple[int, ...]) -> tuple[Any, ...]:
    batch, heads, own, length, count, width, depth = size
    rng = np.random.default_rng(0)
    shapes = [(batch, heads, length, width), (batch, own, count, width), (batch, own, count, depth),
              (batch, heads, length, depth)]  # fmt: skip
    return tuple(rng.standard_normal(s).astype(np.float32) for s in shapes)


def _run(arrays: tuple[Any, ...], dtype: Any = torch.float32, **options: Any) -> list[Any]:
    q, k, v, g = (torch.from_numpy(a).to(dtype) for a in arrays)
    inputs = [x.clone().requires_grad_() for x in (q, k, v)]
    out = sdpa(*inputs, enable_gqa=q.shape[1] != k.shape[1], **options)
    out.backward(g)
    return [out.detach().numpy(), *[x.grad.numpy() for x in inputs]]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_values_and_gradients(calls, size, causal) -> None:
    arrays = _drawn(size)
    found = _run(arrays, is_causal=causal)
    assert calls
    for a, b in zip(found, _run(arrays, torch.float64, is_causal=causal), strict=True):
        assert a.shape == b.shape and a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    scaled = _run(arrays, is_causal=causal, scale=-0.7)
    for a, b in zip(scaled, _run(arrays, torch.float64, is_causal=causal, scale=-0.7)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5)


def test_memory_in_any_order(calls) -> None:
    """Heads that lie side by side are read where they are; columns that are apart are copied."""
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rng.standard_normal((2, 50, 3 * 4 * 24)).astype(np.float32))
    results = []
    for dtype in (torch.float32, torch.float64):
        y = x.clone().to(dtype).requires_grad_()
        q, k, v = (p.view(2, 50, 4, 24).transpose(1, 2) for p in y.chunk(3, -1))
        out = sdpa(q, k, v, is_causal=True)
        assert out.transpose(1, 2).is_contiguous()
        out.backward(out.detach().flip(2).transpose(2, 3).contiguous().transpose(2, 3))
        results.append((out.detach().numpy(), y.grad.numpy()))
    assert len(calls) == 1
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    turned = x.view(2, 4, -1, 50).transpose(2, 3)  # the elements of a row are apart
    want = sdpa(*[turned.double()] * 3).numpy()
    np.testing.assert_allclose(sdpa(*[turned] * 3).numpy(), want, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("where", range(4))
def test_what_is_not_finite_is_as_in_tiles(calls, where, bad, causal, monkeypatch) -> None:
    arrays = _drawn((1, 4, 4, 40, 36, 16, 16))
    arrays[where][0, 2, 10, 3] = bad
    found = _run(arrays, is_causal=causal)
    assert calls
    monkeypatch.setattr(host, "by_heads", lambda *_: None)
    monkeypatch.setattr(attention_tiles, "LARGE", 1)
    monkeypatch.setattr(attention_tiles, "LARGE_CAUSAL", 1)
    for a, b in zip(found, _run(arrays, is_causal=causal), strict=True):
        np.testing.assert_array_equal(np.isfinite(a), np.isfinite(b))
        if not np.isfinite(bad):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5)


def test_rows_that_are_sure(calls) -> None:
    """Scores so far apart that all others have no share, and scores that are all the same."""
    q, k, v, g = _drawn((1, 4, 4, 40, 36, 16, 16))
    q[:, 1] *= 300
    k[:, 2] = 0
    for a, b in zip(_run((q, k, v, g)), _run((q, k, v, g), torch.float64), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
    assert calls


def test_gradients_of_the_logarithms() -> None:
    q, k, v, g = _drawn((1, 4, 4, 33, 40, 16, 16))
    heads = compiled.family("heads")
    out, logs = np.empty_like(g), np.empty(q.shape[:3], np.float32)
    assert heads.forward(q, k, v, 0.3, True, out, logs)
    wide = [a.astype(np.float64) for a in (q, k, v)]
    np.testing.assert_allclose(
        logs, host.attention(*wide, None, scale=0.3, causal=True, drop=None)[1], atol=1e-5
    )
    slopes = np.random.default_rng(2).standard_normal(logs.shape)
    found = [np.empty_like(a) for a in (q, k, v)]
    assert heads.backward(g, slopes.astype(np.float32), q, k, v, logs, 0.3, True, *found)
    want = host.attention_backward(
        g.astype(np.float64), slopes, *wide, None, out.astype(np.float64), logs.astype(np.float64),
        scale=0.3, causal=True, drop=None,
    )  # fmt: skip
    for a, b in zip(found, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5)


def test_second_gradients(calls) -> None:
    arrays = _drawn((1, 4, 4, 40, 36, 8, 8))[:3]

    def penalty(dtype: Any) -> list[Any]:
        inputs = [torch.from_numpy(a).to(dtype).requires_grad_() for a in arrays]
        grads = torch.autograd.grad(sdpa(*inputs).square().sum(), inputs, create_graph=True)
        sum(g.square().sum() for g in grads).backward()
        return [x.grad.numpy() for x in inputs]

    for a, b in zip(penalty(torch.float32), penalty(torch.float64), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    assert calls


def test_threads_change_nothing() -> None:
    arrays = _drawn((8, 4, 4, 100, 90, 33, 32))
    before = torch.get_num_threads()
    try:
        found = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(_run(arrays, is_causal=True))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(found[0], other):
            np.testing.assert_array_equal(a, b)


def test_a_trace_sees_the_scores(calls) -> None:
    """With a trace the op's parts are there, and compute the same."""
    arrays = _drawn(SIZES[0])
    plain = _run(arrays, is_causal=True)
    assert len(calls) == 1
    with recording(keep="none") as tape:
        traced = _run(arrays, is_causal=True)
    names = [event.name for event in tape.read() if hasattr(event, "duration")]
    assert {"matmul", "softmax"} <= set(names) and attention_tiles.ATTENTION_TILES.name not in names
    assert len(calls) == 1
    for a, b in zip(plain, traced, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
