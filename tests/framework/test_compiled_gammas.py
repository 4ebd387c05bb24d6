"""Compiled gamma functions, erfc and erfinv against SciPy's in float64."""

from __future__ import annotations

import numpy as np
import pytest

import framework as torch
from framework.kernels import compiled

pytest.importorskip("numba")

_RNG = np.random.default_rng(0)
_WIDE = np.exp(_RNG.uniform(-60, 60, 5000)).astype(np.float32)
_NARROW = (_RNG.random(5000) * 13 + 1e-3).astype(np.float32)
_BELOW = -(_RNG.integers(0, 30, 5000) + _RNG.uniform(0.01, 0.99, 5000)).astype(np.float32)
_UNIT = np.concatenate([_RNG.uniform(-1, 1, 5000), 1 - np.exp(_RNG.uniform(-16.6, 0, 5000))])
_SPECIAL = np.array(
    [0, -0.0, 1, -1, 2, -3, np.inf, -np.inf, np.nan, 1e-40, 1e38, -1e38], np.float32
)

# Where each is defined, and how far from the truth, in units of the last place of 1 or of it.
_FUNCTIONS = {
    "digamma": (torch.digamma, [_WIDE, _NARROW, _BELOW], 2),
    "lgamma": (torch.lgamma, [_WIDE, _NARROW, _BELOW], 2),
    "trigamma": (lambda x: torch.polygamma(1, x), [_WIDE, _NARROW, _BELOW], 2),
    "erfc": (torch.erfc, [np.linspace(-10.5, 10.5, 9001).astype(np.float32), _WIDE, -_WIDE], 6),
    "erfinv": (torch.erfinv, [_UNIT.astype(np.float32)], 4),
}  # fmt: skip


@pytest.mark.parametrize("name", _FUNCTIONS)
def test_values(name):
    call, arrays, units = _FUNCTIONS[name]
    for a in arrays:
        assert a.size > compiled.LARGE
        found, wanted = call(torch.tensor(a)).numpy(), call(torch.tensor(a.astype(float))).numpy()
        assert found.dtype == np.float32 and found.shape == a.shape
        small = 1e-6 if name == "digamma" else 1e-38  # it passes through zero
        with np.errstate(over="ignore"):
            wanted = wanted.astype(np.float32)
        np.testing.assert_allclose(found, wanted, rtol=units * 1.2e-7, atol=units * small)


@pytest.mark.parametrize("name", _FUNCTIONS)
def test_edges(plainly, name):
    call = _FUNCTIONS[name][0]
    if name == "trigamma":  # at poles left of zero SciPy's way gives something large
        x = torch.tensor([0.0, torch.inf, -torch.inf, torch.nan, 1e-40, 1e38]).repeat(1000)
    else:
        x = torch.tensor(np.tile(_SPECIAL, 500))
    found, wanted = call(x).numpy(), plainly(lambda: call(x)).numpy()
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    real = ~np.isnan(wanted)
    np.testing.assert_allclose(found[real], wanted[real], rtol=1e-6)
    np.testing.assert_array_equal(np.signbit(found[real]), np.signbit(wanted[real]))


@pytest.mark.parametrize("size", [1, 5000])
def test_edges_are_those_of_pytorch(size):
    x = torch.tensor([-torch.inf, -0.0]).repeat(size)
    assert (torch.lgamma(x) == torch.inf).all()
    assert np.signbit(torch.erfinv(torch.full((size,), -0.0)).numpy()).all()
