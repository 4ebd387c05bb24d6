"""Random numbers made on the device: the stream is the CPU's, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hosted import Host, entries_of
from kernel_checks import KINDS, NEAR, same, tried

from framework.core.registry import OPS
from framework.kernels import cuda
from framework.random import Generator

_COUNTS = (1, 2, 7, 8, 64, 1001, 4099)


def _both(name: str, array: Any, seed: int, offset: int, **meta: Any) -> tuple[Any, Any]:
    """What the kernel of our own and the CPU's draw; both use up as much of their stream."""
    found, ends = [], []
    for own in (True, False):
        stream = Generator().manual_seed(seed)
        stream.set_offset(offset)
        if own:
            (made,) = tried("drawing", name, array, **meta, generator=stream)
        else:
            made = OPS[name].kernel(array, **meta, generator=stream)
        found.append(made)
        ends.append(stream.offset)
    assert ends[0] == ends[1] > offset
    assert found[0].dtype == found[1].dtype == array.dtype
    return found[0], found[1]


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("seed, offset", [(0, 0), (7, 12345678901), (2**64 - 1, 2**61)])
def test_what_is_uniform_is_the_cpus_to_the_bit(
    seed: int, offset: int, dtype: Any, host: Host
) -> None:
    for count in _COUNTS:
        x = np.full(count, 0.3).astype(dtype)
        for name, meta in (
            ("uniform_", {"low": -1.5, "high": 2.25}), ("bernoulli", {}), ("bernoulli", {"p": 0.1}),
            ("bernoulli_", {"p": 0.7}), ("random_", {"low": 3, "high": 260}),
        ):  # fmt: skip
            mine, theirs = _both(name, x, seed, offset, **meta)
            assert mine.tobytes() == theirs.tobytes(), (name, count)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("replacement", [False, True])
def test_multinomial_draws_what_the_cpu_draws(replacement: bool, dtype: Any, host: Host) -> None:
    weights = np.random.default_rng(0).random((3, 50)).astype(dtype)
    weights[:, ::7] = 0
    for p in weights, weights[0]:
        found = []
        for call in (lambda *a, **m: tried("drawing", *a, **m)[0],
                     lambda name, *a, **m: OPS[name].kernel(*a, **m)):  # fmt: skip
            stream = Generator().manual_seed(4)
            made = call("multinomial", p, num_samples=9, replacement=replacement, generator=stream)
            found.append((made.tolist(), made.dtype, stream.offset))
        assert found[0] == found[1]
    p[3] = np.nan
    stream = Generator().manual_seed(4)
    meta = {"num_samples": 1, "replacement": replacement, "generator": stream}
    assert tried("drawing", "multinomial", p, **meta) is None and stream.offset == 0


@pytest.mark.parametrize("dtype", KINDS)
def test_what_is_normal_is_the_cpus_nearly(dtype: Any, host: Host) -> None:
    for count in _COUNTS:
        x = np.zeros(count, dtype)
        for meta in ({"mean": 0.0, "std": 1.0}, {"mean": -3.0, "std": 0.5}):
            same(*_both("normal_", x, 5, 9, **meta))
    assert np.dtype(dtype) in NEAR


@pytest.mark.parametrize("low, high", [(0, 5), (-(2**63), 2**63), (-3, 4), (0, 2**63)])
def test_integers_are_the_cpus(low: int, high: int, host: Host) -> None:
    for kind in (np.int64, np.int32, np.uint8):
        mine, theirs = _both("random_", np.zeros(1001, kind), 3, 2, low=low, high=high)
        assert np.array_equal(mine, theirs)


def test_wrong_chances_are_left_to_the_plain_kernel(host: Host) -> None:
    for bad in (1.5, -0.1, np.nan):
        stream = Generator().manual_seed(1)
        chances = np.array([0.5, bad], np.float32)
        assert tried("drawing", "bernoulli", chances, generator=stream) is None
        assert stream.offset == 0


def test_every_entry_was_launched_for_every_type(launched: set[str]) -> None:
    elsewhere = {f"dropout_{kind}" for kind in cuda.TYPES.values()}
    assert entries_of("drawing") - elsewhere == launched
