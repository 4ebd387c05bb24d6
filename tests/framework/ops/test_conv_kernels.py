"""Convolutions by rows, and of one channel per group, against patches and by their adjoints."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import framework as torch
from framework.kernels import conv as host
from framework.nn import functional as F

FUNCTIONS = (F.conv1d, F.conv2d, F.conv3d)


def _case(seed: int) -> dict[str, Any]:
    """A random shape: sizes odd and even, windows with length one, strides, dilations, groups."""
    rng = np.random.default_rng(seed)
    dims = int(rng.integers(1, 4))

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(int(n) for n in rng.integers(low, high, dims))

    groups = int(rng.choice([1, 1, 2, 3]))
    kernel = (int(rng.integers(2, 4)), *each(1, 4)[1:])
    dilation, padding, stride = each(1, 3), each(0, 3), each(1, 4)
    if rng.random() < 0.5:
        stride = (1,) * dims  # then the input's gradient is a convolution, too
    size = tuple(d * (k - 1) + 1 + int(rng.integers(0, 8)) for d, k in zip(dilation, kernel))
    per_in, per_out = (1, 1) if groups == 3 else (int(rng.integers(1, 12)), int(rng.integers(1, 5)))
    return {
        "x": rng.standard_normal((int(rng.integers(0, 4)), groups * per_in, *size)),
        "w": rng.standard_normal((groups * per_out, per_in, *kernel)),
        "meta": {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups},
    }


def _run(case: dict[str, Any], dtype: Any, turned: bool = False) -> list[np.ndarray]:
    """Result and gradients, in float64; ``turned``: of arrays that do not lie in order."""
    x, w = case["x"].astype(dtype), case["w"].astype(dtype)
    if turned:
        x, w = (np.ascontiguousarray(a.T).T for a in (x, w))
    a, b = torch.from_numpy(x).requires_grad_(), torch.from_numpy(w).requires_grad_()
    y = FUNCTIONS[x.ndim - 3](a, b, None, **case["meta"])
    g = np.random.default_rng(5).standard_normal(tuple(y.shape)).astype(dtype)
    if turned:
        g = np.ascontiguousarray(g.T).T
    grads = torch.autograd.grad(y, [a, b], torch.from_numpy(g))
    return [t.detach().numpy().astype(np.float64) for t in (y, *grads)]


@pytest.mark.parametrize("seed", range(60))
def test_rows_give_what_patches_give(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    case = _case(seed)
    monkeypatch.setattr(host, "pays", lambda inner, kernel: False)
    plain = _run(case, np.float64)
    monkeypatch.setattr(host, "pays", lambda inner, kernel: kernel[0] > 1)
    monkeypatch.setattr(host, "_ROOM", int(np.random.default_rng(seed).choice([1, 500, 1 << 18])))
    for turned in (False, True):
        for mine, other in zip(_run(case, np.float64, turned), plain):
            np.testing.assert_allclose(mine, other, rtol=1e-10, atol=1e-10)
    for mine, other in zip(_run(case, np.float32), plain):
        np.testing.assert_allclose(
            mine, other, rtol=1e-4, atol=2e-5 * max(1, abs(other).max(initial=0))
        )


@pytest.mark.parametrize("seed", range(60))
def test_gradients_are_the_adjoint(seed: int) -> None:
    """<g, conv(x, w)> is linear in x and in w, so its gradients give it back."""
    case = _case(1000 + seed)
    y, gx, gw = _run(case, np.float64)
    g = np.random.default_rng(5).standard_normal(y.shape)
    assert (gx * case["x"]).sum() == pytest.approx((g * y).sum(), rel=1e-9, abs=1e-9)
    assert (gw * case["w"]).sum() == pytest.approx((g * y).sum(), rel=1e-9, abs=1e-9)
    other = {**case, "x": np.random.default_rng(6).standard_normal(case["x"].shape)}
    moved = _run(other, np.float64)[0]
    assert (gx * other["x"]).sum() == pytest.approx((g * moved).sum(), rel=1e-9, abs=1e-9)
    other = {**case, "w": np.random.default_rng(7).standard_normal(case["w"].shape)}
    moved = _run(other, np.float64)[0]
    assert (gw * other["w"]).sum() == pytest.approx((g * moved).sum(), rel=1e-9, abs=1e-9)


def test_a_nan_stays_where_its_windows_are() -> None:
    x = np.ones((1, 16, 8, 8), np.float32)
    x[0, 3, 4, 4] = np.nan
    y = F.conv2d(torch.from_numpy(x), torch.ones(2, 16, 3, 3), padding=1).numpy()
    hit = np.zeros((8, 8), bool)
    hit[3:6, 3:6] = True
    assert (np.isnan(y) == hit).all()
