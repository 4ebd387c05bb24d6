"""Layer, group, instance and batch norm of large arrays against the plain form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import framework as torch
from framework.kernels import norm as host
from framework.nn import functional as F


def _layer(x: Any, w: Any, b: Any) -> Any:
    return F.layer_norm(x, x.shape[1:], w, b)


# name: (function of x, weight and bias; x's shape; the shape of weight and bias)
CASES: dict[str, Any] = {
    "layer": (_layer, (333, 37), (37,)),
    "layer, two dimensions": (_layer, (65, 9, 17), (9, 17)),
    "layer, one group": (_layer, (1, 9001), (9001,)),
    "layer, short lines": (_layer, (3000, 3), (3,)),
    "layer, no groups": (_layer, (0, 37), (37,)),
    "rms": (lambda x, w, b: F.rms_norm(x, x.shape[1:], w, 1e-3) + b, (333, 37), (37,)),
    "group": (lambda x, w, b: F.group_norm(x, 3, w, b), (7, 9, 11, 13), (9,)),
    "instance": (
        lambda x, w, b: F.instance_norm(x, weight=w, bias=b), (7, 9, 11, 13), (9,)),
    "batch": (lambda x, w, b: F.batch_norm(x, None, None, w, b, True), (7, 9, 11, 13), (9,)),
    "batch, one image": (
        lambda x, w, b: F.batch_norm(x, None, None, w, b, True), (1, 9, 35, 31), (9,)),
    "batch of vectors": (lambda x, w, b: F.batch_norm(x, None, None, w, b, True), (900, 9), (9,)),
}  # fmt: skip


def _run(name: str, dtype: Any, turned: bool = False, strange: float = 0.0) -> list[np.ndarray]:
    function, shape, own = CASES[name]
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s) * 3 + 5 for s in (shape, own, own)]
    if strange and arrays[0].size:
        arrays[0].reshape(-1)[arrays[0].size // 2] = strange
    arrays = [a.astype(dtype) for a in arrays]
    if turned:
        arrays[0] = np.ascontiguousarray(arrays[0].T).T
    x, w, b = [torch.from_numpy(a).requires_grad_() for a in arrays]
    y = function(x, w, b)
    g = rng.standard_normal(shape).astype(dtype)
    if turned:
        g = np.ascontiguousarray(g.T).T
    grads = torch.autograd.grad(y, [x, w, b], torch.from_numpy(g))
    return [t.detach().numpy() for t in (y, *grads)]


@pytest.mark.parametrize("name", CASES)
def test_the_numbers_are_those_of_the_plain_form(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(host, "is_quick", lambda x, dims: False)
        plain, narrow = _run(name, np.float64), _run(name, np.float32)
    for block in (1 << 20, 1000):
        monkeypatch.setattr(host, "_BLOCK", block)
        for turned in (False, True):
            for mine, other in zip(_run(name, np.float64, turned), plain):
                np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-9)
        for mine, other, rough in zip(_run(name, np.float32), plain, narrow):
            assert mine.dtype == np.float32
            usual = abs(rough - other).max(initial=0)  # the plain form's error in float32
            assert abs(mine - other).max(initial=0) <= 4 * usual + 1e-6


@pytest.mark.parametrize("strange", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["layer", "batch", "group"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_nan_and_infinity_spoil_the_same_elements(
    name: str, strange: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = _run(name, np.float32, strange=strange)
    monkeypatch.setattr(host, "is_quick", lambda x, dims: False)
    for a, b in zip(mine, _run(name, np.float32, strange=strange)):
        np.testing.assert_array_equal(np.isfinite(a), np.isfinite(b))


def test_running_statistics_are_those_of_the_batch() -> None:
    raw = np.random.default_rng(0).standard_normal((8, 5, 16, 16)).astype(np.float32) + 2
    mean, var = torch.zeros(5), torch.ones(5)
    F.batch_norm(torch.from_numpy(raw), mean, var, training=True, momentum=1.0)
    np.testing.assert_allclose(mean.numpy(), raw.mean((0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(var.numpy(), raw.var((0, 2, 3), ddof=1), rtol=1e-5)
