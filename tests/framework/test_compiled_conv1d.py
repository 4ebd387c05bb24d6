"""Depthwise convolutions of lines with three taps, which take the kernels of images."""

from __future__ import annotations

import numpy as np
import pytest

import framework as torch
from framework.kernels import compiled
from framework.nn import functional as F

pytest.importorskip("numba")

_SHAPES = [(4, 16, 100), (1, 3, 4099), (70, 5, 51), (2, 64, 64)]


def _run(x, w, b, padding, seed=5):
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, w, b)]
    y = F.conv1d(*leaves, padding=padding, groups=x.shape[1])
    g = np.random.default_rng(seed).standard_normal(tuple(y.shape)).astype(x.dtype)
    y.backward(torch.tensor(g))
    return [y.detach().numpy(), *[a.grad.numpy() for a in leaves]]


def _draw(shape):
    rng = np.random.default_rng(0)
    sizes = (shape, (shape[1], 1, 3), (shape[1],))
    return [rng.standard_normal(size).astype(np.float32) for size in sizes]


@pytest.mark.parametrize("shape", _SHAPES)
@pytest.mark.parametrize("padding", [0, 1, 2, 5])
def test_as_by_patches(plainly, shape, padding):
    arrays = _draw(shape)
    plain = plainly(lambda: _run(*arrays, padding))
    for found, wanted in zip(_run(*arrays, padding), plain, strict=True):
        assert found.shape == wanted.shape and found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-6 * abs(wanted).max())


@pytest.mark.parametrize("padding", [0, 1, 3])
def test_an_infinity_stays_in_its_window(plainly, padding):
    x, w, b = _draw((4, 16, 100))
    x[0, 0, [0, 50, 99]] = np.inf, np.nan, -np.inf
    plain = plainly(lambda: _run(x, w, b, padding))
    for found, wanted in zip(_run(x, w, b, padding), plain):
        np.testing.assert_array_equal(np.isfinite(found), np.isfinite(wanted))
        kept = np.isfinite(wanted)
        np.testing.assert_allclose(found[kept], wanted[kept], rtol=1e-4, atol=1e-4)


def test_the_same_bits_in_any_number_of_threads():
    arrays, found, before = _draw((9, 40, 400)), [], compiled.threads()
    try:
        for count in (1, 2, 5):
            compiled.set_threads(count)
            found.append(_run(*arrays, 1))
    finally:
        compiled.set_threads(before)
    for others in found[1:]:
        for one, other in zip(found[0], others):
            np.testing.assert_array_equal(one, other)


def test_it_is_the_images_kernel_that_is_tested(monkeypatch):
    depthwise, seen = compiled.family("depthwise"), []
    whole = depthwise.convolve
    monkeypatch.setattr(depthwise, "convolve", lambda *a: seen.append(a[3]) or whole(*a))
    _run(*_draw((4, 16, 100)), 1)
    assert seen == [(1, 100), (1, 100)]  # forward, and the input's gradient
