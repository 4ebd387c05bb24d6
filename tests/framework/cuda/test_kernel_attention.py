"""Arithmetic of attention without the matrix of scores; see `test_kernel_arithmetic`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hosted import Host, entries_of
from kernel_checks import BFLOAT16, KINDS, agree, draw, own, tried

from framework.core.registry import OPS
from framework.kernels.cuda import attention as kernels

HALVES = [pytest.param(np.dtype(np.float16), id="f16"), pytest.param(BFLOAT16, id="bf16")]
# batch, heads, heads of keys, queries, keys, width
SIZES = [
    (1, 1, 1, 1, 1, 1), (2, 3, 3, 9, 5, 3), (1, 1, 1, 8, 33, 8), (1, 4, 2, 40, 70, 40),
    (2, 1, 1, 65, 65, 64), (1, 2, 1, 130, 67, 16), (1, 1, 1, 3, 200, 24), (1, 3, 1, 66, 2, 72),
    (1, 2, 2, 70, 97, 128), (1, 1, 1, 33, 34, 100),
]  # fmt: skip


@pytest.fixture
def no_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "has_tensor_cores", lambda array: False)


def compare(dtype: Any, size: Any, causal: bool, mask: Any = None, turn: Any = lambda x: x) -> None:
    """Attention and its gradients, of both results, against the CPU's kernels."""
    batch, heads, served, queries, keys, width = size
    q, g = (turn(draw(dtype, batch, heads, queries, width, seed=k)) for k in (0, 1))
    k, v = (turn(draw(dtype, batch, served, keys, width, seed=k)) for k in (2, 3))
    meta = {"scale": width**-0.5, "causal": causal}
    agree("attention", q, k, v, mask, near=2, **meta)
    out, logs = OPS["attention"].kernel(q, k, v, mask, **meta)
    # Shares and what they get are rounded to the type before they are multiplied.
    agree("attention_backward", g, None, q, k, v, mask, out, logs, near=4, **meta)
    for_logs = draw(logs.dtype, *logs.shape, seed=4)
    agree("attention_backward", g, for_logs, q, k, v, mask, out, logs, near=4, **meta)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("causal", [False, True])
def test_attention(causal: bool, dtype: Any, host: Host) -> None:
    for size in SIZES:
        compare(dtype, size, causal)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("causal", [False, True])
def test_attention_without_tensor_cores(
    causal: bool, dtype: Any, host: Host, no_cores: None
) -> None:
    for size in SIZES[1:4] + SIZES[-2:]:
        compare(dtype, size, causal)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("causal", [False, True])
def test_blocks_of_four_warps(
    causal: bool, dtype: Any, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are many rows a block has 128: the numbers of a row are the same."""
    size = (1, 2, 1, 200, 150, 40)
    q, k, v, g = (draw(dtype, 1, 2 if n == 200 else 1, n, 40, seed=i)
                  for i, n in enumerate((200, 150, 150, 200)))  # fmt: skip
    meta = {"scale": 0.2, "causal": causal}

    def both() -> list[Any]:
        out, logs = own("attention", q, k, v, None, **meta)
        return [out, logs, *own("attention_backward", g, None, q, k, v, None, out, logs, **meta)]

    few = both()
    monkeypatch.setattr(kernels, "_MANY", 0)
    for a, b in zip(few, both()):
        np.testing.assert_array_equal(a, b)
    compare(dtype, size, causal)
    compare(dtype, (1, 1, 1, 128, 131, 64), causal)
    compare(dtype, (1, 1, 1, 3, 5, 64), causal)
    seen = np.random.default_rng(0).random((130, 70)) < 0.5
    compare(dtype, (1, 2, 2, 130, 70, 8), causal, seen)


def turned(x: Any) -> Any:
    """The same with the heads of a position beside each other."""
    return np.ascontiguousarray(x.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)


def part(x: Any) -> Any:
    """The same as one of three parts of a longer row, as ``split`` leaves queries."""
    batch, heads, length, width = x.shape
    three = np.full((batch, length, 3, heads, width), np.nan, x.dtype)
    three[:, :, 1] = x.transpose(0, 2, 1, 3)
    return three[:, :, 1].transpose(0, 2, 1, 3)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("turn", [turned, part])
def test_heads_are_read_where_they_lie(turn: Any, dtype: Any, host: Host) -> None:
    compare(dtype, (2, 3, 3, 9, 12, 8), True, turn=turn)
    compare(dtype, (1, 4, 2, 70, 66, 12), False, turn=turn)
    q = turn(draw(dtype, 2, 3, 5, 8))
    out = tried("attention", "attention", q, q, q, None, scale=1.0, causal=False)
    assert out is not None and out[0].transpose(0, 2, 1, 3).flags.c_contiguous


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("causal", [False, True])
def test_masks(causal: bool, dtype: Any, host: Host) -> None:
    rng = np.random.default_rng(0)
    for size in (2, 4, 2, 9, 5, 3), (1, 2, 2, 66, 70, 40), (1, 1, 1, 20, 40, 72):
        batch, heads, _, queries, keys, _ = size
        seen = rng.random((queries, keys)) < 0.5
        seen[:, 0] = True
        seen[1] = False  # sees nobody
        compare(dtype, size, causal, seen)
        compare(dtype, size, causal, rng.random((batch, 1, 1, keys)) < 0.7)
        added = draw(dtype, batch, heads, queries, keys, seed=9)
        added[..., 2, :] = -np.inf
        compare(dtype, size, causal, added)
        compare(dtype, size, causal, added[:1, :1, :1])


@pytest.mark.parametrize("dtype", KINDS)
def test_one_key_is_what_all_get(dtype: Any, host: Host) -> None:
    q, k = draw(dtype, 1, 2, 66, 72), draw(dtype, 1, 1, 1, 72)
    agree("attention", q, k, k, None, scale=0.1, causal=False)


def test_what_sees_nobody_is_zero(host: Host) -> None:
    q = draw(np.float32, 1, 1, 3, 4)
    out, logs = own("attention", q, q, q, np.zeros((3, 3), np.bool_), scale=1.0, causal=False)
    assert not out.any() and (logs == np.inf).all()


def test_what_is_not_taken(host: Host) -> None:
    wider = draw(np.float32, 1, 1, 2, 129)
    assert (
        tried("attention", "attention", wider, wider, wider, None, scale=1.0, causal=False) is None
    )
    q, k, v = (draw(np.float32, 1, 1, 2, n, seed=n) for n in (4, 4, 5))
    assert not kernels.fits(q, k, v)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("causal", [False, True])
def test_attention_of_what_is_no_number(causal: bool, dtype: Any, host: Host) -> None:
    q, k, v = (draw(dtype, 1, 1, n, 4, seed=n) for n in (6, 70, 70))
    q[..., 1, :] = np.nan
    q[..., 2, 0] = np.inf
    k[..., 3, :] = -6e4  # scores far below all others
    agree("attention", q, k, v, None, scale=1.0, causal=causal, near=4)
    k[..., :, 0] = np.abs(k[..., :, 0]) + 1
    q[..., 2, :] = -np.inf, 0, 0, 0  # all scores are
    agree("attention", q, k, v, None, scale=1.0, causal=causal, near=4)
    v[..., 0, 1] = np.inf
    v[..., 1, 2] = np.nan
    agree("attention", q, k, v, None, scale=1.0, causal=False, near=4)
    agree("attention", q, k, v, None, scale=-0.5, causal=False, near=4)


def test_sums_grow_with_later_tiles(host: Host) -> None:
    """The largest score comes last, so that all that was added up before is rescaled."""
    for dtype in np.float16, np.float32, np.float64:
        q = np.ones((1, 1, 4, 8), dtype)
        k = np.linspace(-8, 8, 200).astype(dtype)[:, None].repeat(8, 1)[None, None]
        agree("attention", q, k, draw(dtype, 1, 1, 200, 8), None, scale=1.0, causal=False, near=2)


def test_gradients_agree_with_differences(host: Host) -> None:
    rng = np.random.default_rng(0)
    q, g = (rng.standard_normal((1, 2, 5, 3)) for _ in range(2))
    k, v = (rng.standard_normal((1, 1, 37, 3)) for _ in range(2))
    mask = rng.standard_normal((5, 37))
    meta = {"scale": 0.6, "causal": True}
    out, logs = own("attention", q, k, v, mask, **meta)
    found = own("attention_backward", g, None, q, k, v, mask, out, logs, **meta)
    for n, given in enumerate((q, k, v)):
        for at in rng.integers(0, given.size, 6):
            sides = []
            for step in 1e-6, -1e-6:
                moved = [a.copy() for a in (q, k, v)]
                moved[n].flat[at] += step
                sides.append((own("attention", *moved, mask, **meta)[0] * g).sum())
            slope = (sides[0] - sides[1]) / 2e-6
            np.testing.assert_allclose(found[n].flat[at], slope, rtol=1e-6, atol=1e-8)


def test_every_entry_was_launched_for_every_type(launched: set[str]) -> None:
    assert entries_of("attention") == launched
