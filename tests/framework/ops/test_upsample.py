"""Resampling and grids against plain loops and known images."""

from __future__ import annotations

import math

import numpy as np
import pytest

import framework as torch
from framework.autograd import gradcheck, gradgradcheck
from framework.nn import functional as F

RNG = np.random.default_rng(5)


def randn(*shape: int, grad: bool = False):
    return torch.tensor(RNG.standard_normal(shape)).requires_grad_(grad)


def line(n: int, out: int, align: bool) -> np.ndarray:
    """Where the outputs lie between the inputs."""
    if align:
        return np.linspace(0, n - 1, out) if out > 1 else np.zeros(1)
    return (np.arange(out) + 0.5) * n / out - 0.5


def linear(row, out: int, align: bool):
    return np.interp(line(len(row), out, align), np.arange(len(row)), row)


def keys(t: float) -> float:
    """Keys' cubic kernel, a = -3/4, in the form of its paper."""
    t, a = abs(t), -0.75
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0


def cubic(row, out: int, align: bool):
    n = len(row)
    result = []
    for x in line(n, out, align):
        near = math.floor(x)
        result.append(
            sum(row[min(max(k, 0), n - 1)] * keys(x - k) for k in range(near - 1, near + 3))
        )
    return np.array(result)


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("out", [1, 3, 7, 12])
def test_linear_in_one_two_and_three_dimensions(out: int, align: bool) -> None:
    x = RNG.standard_normal((1, 1, 5))
    y = F.interpolate(torch.tensor(x), size=out, mode="linear", align_corners=align)
    np.testing.assert_allclose(y[0, 0], linear(x[0, 0], out, align))
    x = RNG.standard_normal((1, 1, 4, 5))
    y = F.interpolate(torch.tensor(x), size=(6, out), mode="bilinear", align_corners=align)
    rows = np.apply_along_axis(linear, 1, x[0, 0], out, align)
    np.testing.assert_allclose(y[0, 0], np.apply_along_axis(linear, 0, rows, 6, align))
    cube = torch.tensor(np.broadcast_to(x[:, :, None], (1, 1, 2, 4, 5)).copy())
    z = F.interpolate(cube, size=(3, 6, out), mode="trilinear", align_corners=align)
    np.testing.assert_allclose(z[0, 0, 1], y[0, 0])


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("out", [2, 4, 9])
def test_bicubic(out: int, align: bool) -> None:
    x = RNG.standard_normal((1, 1, 5, 6))
    y = F.interpolate(torch.tensor(x), size=(out, 7), mode="bicubic", align_corners=align)
    rows = np.apply_along_axis(cubic, 1, x[0, 0], 7, align)
    np.testing.assert_allclose(y[0, 0], np.apply_along_axis(cubic, 0, rows, out, align))


def test_nearest_takes_the_lower_and_nearest_exact_the_middle() -> None:
    x = torch.arange(5.0).reshape(1, 1, 5)
    assert F.interpolate(x, size=3).flatten().tolist() == [0, 1, 3]
    assert F.interpolate(x, size=3, mode="nearest-exact").flatten().tolist() == [0, 2, 4]
    assert F.interpolate(x, scale_factor=1.6).shape[-1] == 8


def test_antialiased_shrinking_keeps_the_mean_of_a_line() -> None:
    x = torch.arange(64.0, dtype=torch.float64).expand(1, 1, 64, 64)
    for mode in ("bilinear", "bicubic", "lanczos"):
        y = F.interpolate(x, size=(8, 8), mode=mode, antialias=True)
        np.testing.assert_allclose(y[0, 0, 4, 3:5], np.arange(3, 5) * 8 + 3.5, rtol=1e-6)


def test_area_is_the_mean_of_each_block() -> None:
    x = randn(1, 2, 4, 6)
    wanted = x.numpy().reshape(1, 2, 2, 2, 3, 2).mean((3, 5))
    np.testing.assert_allclose(F.interpolate(x, size=(2, 3), mode="area"), wanted)


def test_bytes_are_rounded_after_each_axis() -> None:
    x = torch.tensor([[[[0, 255], [10, 1]]]], dtype=torch.uint8)
    y = F.interpolate(x, size=(2, 3), mode="bilinear", align_corners=True)
    assert y.dtype is torch.uint8 and y[0, 0].tolist() == [[0, 128, 255], [10, 6, 1]]


def test_recomputed_factor() -> None:
    x = torch.arange(7.0).reshape(1, 1, 7)
    factor = {"scale_factor": 1.5, "mode": "linear"}  # 10 elements: 10 / 7 is not 1.5
    plain, again = F.interpolate(x, **factor), F.interpolate(
        x, recompute_scale_factor=True, **factor)  # fmt: skip
    np.testing.assert_allclose(again, F.interpolate(x, size=10, mode="linear"))
    assert not torch.allclose(plain, again)


@pytest.mark.parametrize(
    "kind, options, words",
    [
        (ValueError, {}, "either size or scale_factor should be defined"),
        (ValueError, {"size": 2, "scale_factor": 2}, "only one of size or scale_factor"),
        (ValueError, {"size": 2, "align_corners": True}, "align_corners option can only be set"),
        (ValueError, {"size": (2, 2, 2)}, "must have the same number of spatial dimensions"),
        (ValueError, {"size": 2, "antialias": True}, "Anti-alias option is restricted"),
        (ValueError, {"size": 2, "recompute_scale_factor": True}, "not meaningful"),
        (NotImplementedError, {"size": 2, "mode": "linear"}, "Got 4D input, but linear mode"),
        (NotImplementedError, {"size": 2, "mode": "sharp"}, "Input Error: Only 3D, 4D and 5D"),
        (RuntimeError, {"size": 0}, "sizes should be greater than 0"),
        (TypeError, {"size": 2.5}, "expected size to be one of int"),
    ],
)
def test_refused(kind: type, options: dict, words: str) -> None:
    with pytest.raises(kind, match=words):
        F.interpolate(torch.ones(1, 1, 3, 3), **options)


def test_shuffles_are_inverse() -> None:
    x = randn(2, 8, 3, 2)
    big = torch.pixel_shuffle(x, 2)
    assert big.shape == (2, 2, 6, 4)
    assert big[0, 0, 0, :2].tolist() == x[0, :2, 0, 0].tolist()
    np.testing.assert_array_equal(torch.pixel_unshuffle(big, 2), x)
    mixed = torch.channel_shuffle(x, 2)
    assert mixed[0, :, 0, 0].tolist() == x[0, [0, 4, 1, 5, 2, 6, 3, 7], 0, 0].tolist()
    with pytest.raises(RuntimeError, match="divisible by the square of upscale_factor"):
        torch.pixel_shuffle(x, 3)
    with pytest.raises(RuntimeError, match="expects height to be divisible"):
        torch.pixel_unshuffle(x, 2)


# -- grids -------------------------------------------------------------------------------------


@pytest.mark.parametrize("align", [False, True])
def test_the_identity_grid_gives_the_image(align: bool) -> None:
    x = randn(2, 3, 4, 5)
    theta = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]] * 2, dtype=torch.float64)
    grid = F.affine_grid(theta, list(x.shape), align_corners=align)
    for mode in ("bilinear", "nearest", "bicubic"):
        for padding in ("zeros", "border", "reflection"):
            y = F.grid_sample(x, grid, mode, padding, align)
            np.testing.assert_allclose(y, x, atol=1e-12)
    solid = randn(1, 2, 3, 4, 2)
    theta = torch.eye(3, 4, dtype=torch.float64).unsqueeze(0)
    grid = F.affine_grid(theta, list(solid.shape), align_corners=align)
    np.testing.assert_allclose(F.grid_sample(solid, grid, align_corners=align), solid, atol=1e-12)


def test_outside_of_the_image() -> None:
    x = torch.tensor([[[[1.0, 2.0, 3.0]]]])
    places = torch.tensor([[[[-4 / 3, 0.0], [1.0, 0.0]]]])  # columns -1 and 2.5
    found = {p: F.grid_sample(x, places, padding_mode=p, align_corners=False).flatten().tolist()
             for p in ("zeros", "border", "reflection")}  # fmt: skip
    assert found["zeros"] == pytest.approx([0.0, 1.5], abs=1e-5)
    assert found["border"] == pytest.approx([1.0, 3.0], abs=1e-5)
    assert found["reflection"] == pytest.approx([1.0, 3.0], abs=1e-5)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "reflection"])
def test_grid_gradients_of_both_orders(mode: str, padding: str) -> None:
    x = randn(1, 2, 3, 4, grad=True)
    grid = torch.tensor(RNG.uniform(-0.9, 0.9, (1, 2, 2, 2))).requires_grad_()

    def sample(x, grid):
        return F.grid_sample(x, grid, mode, padding, align_corners=False)

    assert gradcheck(sample, (x, grid)) and gradgradcheck(sample, (x, grid))


def test_grid_refusals() -> None:
    x, grid = torch.ones(1, 1, 2, 2), torch.zeros(1, 2, 2, 2)
    with pytest.raises(ValueError, match="expected mode to be 'bilinear', 'nearest' or 'bicubic'"):
        F.grid_sample(x, grid, "cubic", align_corners=False)
    with pytest.raises(RuntimeError, match="expected grid to have size 2 in last dimension"):
        F.grid_sample(x, torch.zeros(1, 2, 2, 3), align_corners=False)
    with pytest.raises(RuntimeError, match="to have same dtype"):
        F.grid_sample(x, grid.double(), align_corners=False)
    with pytest.warns(UserWarning, match="align_corners=False since"):
        F.grid_sample(x, grid)
