"""The exponential of matrices by products (`kernels.exponentials`), as devices have it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg

from framework.kernels.exponentials import expm

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_it_is_scipys(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    near = 2e3 * np.finfo(dtype).eps
    for n in (1, 2, 3, 8, 30):
        for size in (0, 1e-6, 0.1, 1, 3, 8):
            a = rng.standard_normal((2, 3, n, n)) * size / np.sqrt(n)
            if np.dtype(dtype).kind == "c":
                a = a + 1j * rng.standard_normal(a.shape) * size / np.sqrt(n)
            a[1] *= 1e-3  # each has a scaling of its own
            found = expm(a.astype(dtype))
            assert found.dtype == dtype and found.shape == a.shape
            for mine, theirs in zip(
                found.reshape(-1, n, n), scipy.linalg.expm(a).reshape(-1, n, n)
            ):
                assert np.abs(mine - theirs).max() <= near * np.abs(theirs).max(), (n, size)


def test_what_is_known_without_computing() -> None:
    a = np.zeros((3, 4, 4))
    a[1, 0, 1:], a[1, 1, 2:], a[1, 2, 3] = 1, 1, 1  # nilpotent: a polynomial
    a[2] = np.diag([1.0, -40.0, 300.0, 0.0])
    found = expm(a)
    power = [np.linalg.matrix_power(a[1], k) for k in range(4)]
    np.testing.assert_array_equal(found[0], np.eye(4))
    np.testing.assert_allclose(found[1], power[0] + power[1] + power[2] / 2 + power[3] / 6)
    np.testing.assert_allclose(found[2], np.diag(np.exp(np.diag(a[2]))), rtol=1e-12)
    turn = np.array([[0.0, -np.pi], [np.pi, 0.0]])
    np.testing.assert_allclose(expm(turn), -np.eye(2), atol=1e-14)


def test_what_is_not_finite_stays_with_its_matrix() -> None:
    a = np.zeros((4, 2, 2), np.float32)
    a[0, 0, 1], a[1, 1, 1] = np.nan, np.inf
    a[3] = [[80.0, 0.0], [0.0, 200.0]]
    found = expm(a)
    assert not np.isfinite(found[0]).all() and not np.isfinite(found[1]).all()
    np.testing.assert_array_equal(found[2], np.eye(2))
    assert np.isinf(found[3, 1, 1])
