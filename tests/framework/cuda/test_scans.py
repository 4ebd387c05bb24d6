"""Running extremes and sums, segments and hashes by kernels of our own, against the CPU's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hosted import Host, entries_of
from kernel_checks import KINDS, agree, draw, own, special, tried

from framework.core.registry import OPS
from framework.kernels.cuda.scans import running_max

# Rows within a thread's 16 bytes, a warp, a block, and of several parts; columns, many and few.
_SHAPES = [
    ((5, 7), 1), ((3, 130), 1), ((2, 2500), 1), ((1, 1), 0), ((9,), 0), ((4, 3, 5), 1),
    ((2, 9, 40), 1), ((2, 300, 33), 1), ((6, 33), 0), ((70, 1), 1), ((3, 256), 1),
]  # fmt: skip


def equal(name: str, x: Any, **meta: Any) -> None:
    """Values as good as `agree` wants them, indices exactly, NaN where the CPU's are."""
    agree(name, x, **meta)
    agree(name, x[::-1], **meta)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("name", ["cummax", "cummin"])
def test_running_extremes(name: str, dtype: Any, host: Host) -> None:
    for shape, dim in _SHAPES:
        equal(name, draw(dtype, *shape), dim=dim)
        rough = np.round(draw(np.float64, *shape, seed=1)).astype(dtype)  # many are equal
        equal(name, rough, dim=dim)
        for place in (0, 1, rough.size // 2, rough.size - 1):
            rough.reshape(-1)[place % rough.size] = np.nan
        equal(name, rough, dim=dim)
    x = special(dtype)
    equal(name, x, dim=1)
    equal(name, x, dim=0)
    equal(name, np.tile(x, (1, 90)), dim=1)
    equal(name, np.tile(x, (1, 90)), dim=0)


@pytest.mark.parametrize("name", ["cummax", "cummin"])
def test_running_extremes_of_integers(name: str, host: Host) -> None:
    rng = np.random.default_rng(0)
    for dtype in (np.int64, np.int32, np.int8, np.uint8, np.uint16, bool):
        for shape, dim in _SHAPES:
            low, high = (0, 2) if dtype is bool else (0, 99)
            equal(name, rng.integers(low, high, shape).astype(dtype), dim=dim)
    big = np.array([[2**62, 2**62 + 1, 2**62], [-(2**63), 2**63 - 1, 0]])
    equal(name, big, dim=1)
    assert tried("scans", name, big.astype(np.uint64), dim=1) is None
    assert tried("scans", name, np.array(3.0), dim=0) is None
    assert tried("scans", name, np.zeros((2, 0)), dim=1) is None
    x = rng.integers(0, 50, (3, 700))
    if not isinstance(host.there(x), np.ndarray):
        return
    np.testing.assert_array_equal(running_max(x), np.maximum.accumulate(x, -1))


@pytest.mark.parametrize("dtype", KINDS)
def test_running_log_sums(dtype: Any, host: Host) -> None:
    for shape, dim in _SHAPES:
        x = draw(dtype, *shape)
        agree("logcumsumexp", x, dim=dim, near=4)
        agree("logcumsumexp", x * dtype.type(100), dim=dim, near=4)
    x = special(dtype)
    for wide in (x, np.tile(x, (1, 90)), np.tile(x, (90, 1))):
        for dim in (0, 1):
            agree("logcumsumexp", wide, dim=dim, near=8)
    minus = np.full((3, 500), -np.inf).astype(dtype)
    minus[1, 300] = 1
    agree("logcumsumexp", minus, dim=1)
    agree("logcumsumexp", minus, dim=0)


@pytest.mark.parametrize("reverse", [True, False])
@pytest.mark.parametrize("dtype", KINDS)
def test_decayed_sums(dtype: Any, reverse: bool, host: Host) -> None:
    for shape, dim in _SHAPES:
        g = draw(dtype, *shape)
        steps = np.abs(draw(np.float64, *shape, seed=1)) * 0.1
        level = np.cumsum(steps, axis=dim).astype(dtype)
        agree("decayed_sum", g, level, dim=dim, reverse=reverse, near=8)
    level = np.cumsum(np.abs(draw(np.float64, 2, 600)) * 50, 1).astype(np.float32)  # all is lost
    level[:, :20] = -np.inf
    agree("decayed_sum", draw(np.float32, 2, 600), level, dim=1, reverse=reverse)
    agree("decayed_sum", draw(np.float32, 2, 600), level, dim=0, reverse=reverse)
    level[1, 300] = np.nan
    agree("decayed_sum", draw(np.float32, 2, 600), level, dim=1, reverse=reverse)


def _lengths(count: int, total: int, rows: int = 1, seed: int = 0) -> Any:
    """Lengths that add up, some of them zero."""
    rng = np.random.default_rng(seed)
    return np.array([rng.multinomial(total, rng.dirichlet(np.ones(count) * 0.4))
                     for _ in range(rows)])  # fmt: skip


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("reduce", ["sum", "mean", "prod", "max", "min"])
def test_segments(reduce: str, dtype: Any, host: Host) -> None:
    for initial in (None, 0.5):
        meta = {"reduce": reduce, "initial": initial}
        for count, total, rest in ((3, 10, ()), (7, 200, ()), (5, 30, (3,)), (4, 20, (2, 30))):
            x = draw(dtype, total, *rest) * dtype.type(0.5)
            lengths = _lengths(count, total)[0]
            agree("segment_reduce", x, lengths, axis=0, near=8, **meta)
            agree("segment_reduce", x, lengths.astype(np.int32), axis=0, near=8, **meta)
        x = draw(dtype, 3, 40, 2)
        agree("segment_reduce", x, _lengths(6, 40, 3), axis=1, near=20, **meta)
        with_nan = special(dtype).reshape(-1)
        agree("segment_reduce", with_nan, np.array([5] * 11), axis=0, near=4, **meta)
        agree("segment_reduce", with_nan, np.array([0, 50, 0, 5, 0]), axis=0, near=4, **meta)
        # What is behind the last segment counts for nothing.
        agree("segment_reduce", draw(dtype, 9), np.array([2, 3]), axis=0, near=4, **meta)


@pytest.mark.parametrize("dtype", [*KINDS, np.int64, np.int8, np.bool_, np.uint8])
def test_hashes(dtype: Any, host: Host) -> None:
    x = (draw(np.float64, 4, 5, 300) * 9).astype(dtype)
    for dims in ((0,), (1,), (2,), (0, 2), (0, 1, 2), (1, 2)):
        for keepdim in (True, False):
            agree("hash_tensor", x, dim=dims, keepdim=keepdim)
    agree("hash_tensor", np.array(x[0, 0, 0]), dim=(), keepdim=False)


def test_results_are_contiguous(host: Host) -> None:
    x = draw(np.float32, 3, 4, 50)
    for dim in (0, 1, 2):
        turned = x.transpose(2, 0, 1)
        found = own("cummax", turned, dim=dim)
        theirs = OPS["cummax"].kernel(turned, dim=dim)
        for a, b in zip(found, theirs):
            np.testing.assert_array_equal(a, b)
            assert a.flags.c_contiguous


def test_every_entry_was_launched_for_every_type(launched: set[str]) -> None:
    assert entries_of("scans") == launched
