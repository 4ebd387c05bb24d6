"""Figures by the compiled walk against those by NumPy's passes."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from framework.trace.figures import FINITE, MEAN, NORM, RANGE, SPREAD, ZEROS, Figures, measure

pytest.importorskip("numba")

ALL = FINITE | RANGE | MEAN | NORM | SPREAD | ZEROS


def _normal(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def _with(x, *values):
    x = x.copy()
    x.reshape(-1)[[7, x.size // 2, x.size - 1][: len(values)]] = values
    return x


ARRAYS = {
    "one block": _normal(4096),
    "odd": _normal(61, 1031),
    "many blocks": _normal(300_001),
    "far from zero": _normal(70, 1001) * 1e-3 + 1000,
    "a constant": np.full(9001, 0.1),
    "zeros": np.where(_normal(101, 103) > 0, _normal(101, 103), 0.0),
    "both zeros": np.where(_normal(101, 103) > 0, -0.0, 0.0),
    "below zero": -abs(_normal(5003)) - 1,
    "small": _normal(5003) * 1e-42,
    "squares out of range": _normal(90, 1001) * 1e30,
    "a NaN": _with(_normal(90, 1001), math.nan),
    "infinities": _with(_normal(90, 1001), math.inf, -math.inf),
    "all kinds": _with(_normal(90, 1001), math.nan, -math.inf, math.inf),
    "nothing but NaN": np.full(5000, math.nan),
    "turned": _normal(300, 200).T,
    "across": _normal(8, 64, 4, 32).transpose(0, 2, 1, 3),
    "every other": _normal(300, 400)[::2, ::3],
    "repeated": np.broadcast_to(_normal(300), (400, 300)),
    "below what is compiled": _normal(4095),
}


def _told(f):
    return {name: getattr(f, name) for name in Figures.__slots__}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ARRAYS)
def test_they_are_those_of_numpy(plainly, name, dtype):
    a = ARRAYS[name]
    with np.errstate(over="ignore"):
        x = a.astype(dtype, copy=False)
    known = x[np.isfinite(x)].astype(np.float64)
    size = float(abs(known).sum())
    for needs in (ALL, RANGE, MEAN, ZEROS, SPREAD, RANGE | FINITE, NORM | SPREAD | RANGE, NORM):
        quick, plain = _told(measure(x, needs)), _told(plainly(lambda n=needs: measure(x, n)))
        for exact in ("count", "nan", "inf", "low", "high", "zeros"):
            assert quick[exact] == plain[exact], (exact, needs)
        assert quick["total"] == pytest.approx(
            plain["total"], rel=1e-6, abs=3e-6 * size, nan_ok=True
        )
        for sum_ in ("squares", "spread"):
            least = 1e-9 * plain["squares"] + 1e-60 if plain["squares"] < math.inf else 0
            assert quick[sum_] == pytest.approx(plain[sum_], rel=1e-4, abs=least, nan_ok=True)


def test_sums_are_near_the_truth():
    x = (_normal(1 << 20) * 1e-3 + 1).astype(np.float32)
    f, wide = measure(x, ALL), x.astype(np.float64)
    assert f.mean == pytest.approx(wide.mean(), rel=1e-7)
    assert f.std == pytest.approx(wide.std(), rel=1e-3)
    assert f.norm == pytest.approx(np.linalg.norm(wide), rel=1e-6)


def test_the_first_figures_of_a_process_are_those_of_later_ones():
    """Before anything is loaded, and whatever else a process did."""
    code = (
        "import numpy as np, threading; from framework.trace.figures import measure\n"
        "x = np.random.default_rng(0).standard_normal(70_001).astype(np.float32)\n"
        "told = lambda: [getattr(measure(x, 63), n) for n in ('total', 'squares', 'spread')]\n"
        "first = []\n"
        "threads = [threading.Thread(target=lambda: first.append(told())) for _ in range(3)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "first += [told() for _ in range(3)]\n"
        "print(all(f == first[0] for f in first))"
    )
    root = str(Path(__file__).parents[3])
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    assert found.stdout.strip() == "True", found.stderr
