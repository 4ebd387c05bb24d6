"""Arithmetic of convolutions by kernels of our own; see `test_kernel_arithmetic`.

Tensor cores take float32 as TF32: what both sides are given is rounded to it first, so that the
bounds are those of float32's sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hosted import COMPILER, Host, entries_of, launched_by
from kernel_checks import BFLOAT16, KINDS, agree, draw, entries, own, same, tried

import framework as torch
from framework.core.registry import OPS
from framework.kernels.cuda import conv_tiles

WAYS = ("", "_input", "_weight")


@pytest.fixture
def no_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conv_tiles, "has_tensor_cores", lambda array: False)


@pytest.fixture
def exact() -> Iterator[None]:
    with torch.backends.cudnn.flags(allow_tf32=False):
        yield


def coarse(x: Any) -> Any:
    """Rounded to TF32, if it is float32: to 10 bits of mantissa, ties away from zero."""
    if x.dtype != np.float32:
        return x
    return ((x.view(np.uint32) + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)


def compare(dtype: Any, case: Any, near: float = 1, turn: Any = lambda x: x) -> None:
    """A convolution, its gradients and the transposed one, each against the CPU's kernels."""
    batch, ins, outs, size, kernel, stride, padding, dilation, groups = case
    dims = len(size)
    x = turn(coarse(draw(dtype, batch, ins, *size)))
    w = coarse(draw(dtype, outs, ins // groups, *kernel, seed=1))
    meta: dict[str, Any] = {"stride": (stride,) * dims, "padding": (padding,) * dims,
            "dilation": (dilation,) * dims, "groups": groups}  # fmt: skip
    agree(f"conv{dims}d", x, w, draw(dtype, outs, seed=2), near=near, **meta)
    agree(f"conv{dims}d", x, w, None, near=near, **meta)
    y = OPS[f"conv{dims}d"].kernel(x, w, None, **meta)
    g = turn(coarse(draw(dtype, *y.shape, seed=3)))
    agree(f"conv{dims}d_input", g, w, size=size, near=near, **meta)
    agree(f"conv{dims}d_weight", x, g, kernel=kernel, near=2 * near, **meta)
    for bias in (draw(dtype, ins, seed=4), None):
        agree(f"conv_transpose{dims}d", g, w, bias, size=size, near=near, **meta)


def channels_last(x: Any) -> Any:
    order = (0, *range(2, x.ndim), 1)
    return np.ascontiguousarray(x.transpose(order)).transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


# batch, channels in and out, size, kernel, stride, padding, dilation, groups
FEW = [
    (1, 4, 4, (9, 8), (3, 2), 2, 1, 2, 4), (1, 8, 8, (12,), (5,), 1, 4, 2, 8),
    (2, 6, 4, (4, 5, 4), (2, 3, 2), 2, 1, 1, 2), (2, 3, 3, (1, 1), (3, 3), 1, 1, 1, 3),
    (3, 4, 8, (7, 5), (3, 3), 1, 2, 1, 4), (2, 2, 2, (11, 9), (4, 2), 6, 5, 4, 2),
    (1, 2, 2, (300,), (2,), 1, 0, 1, 2),
]  # fmt: skip
MANY = [
    (2, 3, 9, (7, 6), (3, 3), 1, 1, 1, 1), (1, 16, 16, (9, 8), (3, 2), 2, 1, 2, 2),
    (3, 2, 70, (5,), (1,), 1, 0, 1, 1), (2, 16, 18, (4, 5, 4), (2, 3, 2), 2, 1, 1, 2),
    (2, 9, 8, (6, 6), (3, 3), 3, 0, 1, 1), (1, 8, 8, (12,), (5,), 1, 4, 2, 1),
    (9, 20, 8, (17, 9), (2, 2), 1, 0, 1, 1), (2, 16, 8, (4, 4), (1, 1), 1, 0, 1, 1),
    (2, 40, 72, (5, 6), (3, 3), 2, 1, 1, 1), (1, 24, 9, (9, 9), (2, 2), 4, 0, 3, 1),
    (1, 8, 10, (1, 1), (3, 3), 1, 1, 1, 1), (1, 9, 8, (3, 2), (1, 2), 5, 7, 1, 1),
    (2, 10, 12, (8,), (3,), 4, 0, 2, 1), (1, 8, 8, (2, 3, 1), (1, 1, 1), 1, 0, 1, 1),
    (1, 34, 3, (6, 5), (3, 3), 2, 1, 1, 1), (1, 3, 34, (6, 5), (3, 3), 2, 1, 1, 1),
]  # fmt: skip


@pytest.mark.parametrize("dtype", KINDS)
def test_convolutions_of_few_channels(dtype: Any, host: Host) -> None:
    for case in FEW:
        compare(dtype, case, near=8)
    assert {f"conv{way}_few" for way in WAYS} <= entries(host)


@pytest.mark.parametrize("dtype", KINDS)
def test_convolutions(dtype: Any, host: Host) -> None:
    for case in MANY:
        compare(dtype, case)
    by = "plain" if dtype == np.float64 else "cores"
    assert {f"conv{way}_{by}_small" for way in WAYS} <= entries(host)


@pytest.mark.parametrize("dtype", KINDS)
def test_convolutions_without_tensor_cores(dtype: Any, host: Host, no_cores: None) -> None:
    for case in MANY:
        compare(dtype, case)
    assert {f"conv{way}_plain_small" for way in WAYS} <= entries(host)
    assert not any("cores" in entry for entry in host.launched)


@pytest.mark.parametrize("dtype", KINDS[:3])
def test_convolutions_by_large_tiles(
    dtype: Any, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conv_tiles, "_BUSY", 1)
    cases = [
        (2, 20, 130, (9, 8), (3, 3), 1, 1, 1, 1), (3, 130, 20, (9, 8), (2, 2), 2, 1, 1, 1),
        (1, 66, 66, (140,), (3,), 1, 0, 2, 1), (2, 140, 144, (5, 5), (2, 2), 1, 1, 1, 2),
    ]  # fmt: skip
    for case in cases:
        compare(dtype, case)
    wanted = {f"conv{way}_cores_{kind}" for way in WAYS for kind in ("large", "low")}
    assert wanted - {"conv_weight_cores_low"} <= entries(host)


def test_all_bits_of_float32_where_tf32_is_not_allowed(host: Host, exact: None) -> None:
    x, w = draw(np.float32, 2, 12, 7, 6), draw(np.float32, 9, 12, 3, 3, seed=1)
    meta: dict[str, Any] = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    agree("conv2d", x, w, None, **meta)
    assert set(host.launched) == {"conv_lay_f32", "conv_plain_small_f32"}
    with torch.backends.cudnn.flags(allow_tf32=True):
        (mine,) = own("conv2d", x, w, None, **meta)
    theirs = OPS["conv2d"].kernel(coarse(x), coarse(w), None, **meta)
    same(mine, theirs)
    assert "conv_cores_small_f32" in host.launched


@pytest.mark.skipif(COMPILER is None, reason="g++ is not here")
def test_a_device_without_tensor_cores_is_not_asked_for_them() -> None:
    x, w = draw(np.float32, 2, 12, 7, 6), draw(np.float32, 9, 12, 3, 3, seed=1)
    meta: dict[str, Any] = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    with launched_by(Host(tensor_cores=False)) as host:
        agree("conv2d", x, w, None, **meta)  # nor is anything rounded for them
        assert set(host.launched) == {"conv_lay_f32", "conv_plain_small_f32"}


@pytest.mark.parametrize("dtype", KINDS)
def test_convolutions_of_images_channels_last(dtype: Any, host: Host) -> None:
    for groups, ins, outs in ((2, 4, 4), (2, 16, 16), (1, 10, 17), (2, 48, 32)):
        compare(dtype, (2, ins, outs, (7, 6), (3, 3), 2, 1, 1, groups), 8, channels_last)
        x = channels_last(draw(dtype, 2, ins, 7, 6))
        w = draw(dtype, outs, ins // groups, 3, 3, seed=1)
        meta: dict[str, Any] = {
            "stride": (2, 1),
            "padding": (1, 1),
            "dilation": (1, 1),
            "groups": groups,
        }
        theirs = OPS["conv2d"].kernel(x, w, None, **meta)
        (mine,) = tried("conv", "conv2d", x, w, None, **meta)
        assert mine.strides == theirs.strides != np.ascontiguousarray(mine).strides
        g = channels_last(theirs)
        (mine,) = tried("conv", "conv_transpose2d", g, w, None, size=(7, 6), **meta)
        theirs = OPS["conv_transpose2d"].kernel(g, w, None, size=(7, 6), **meta)
        assert mine.strides == theirs.strides


@pytest.mark.parametrize("dtype", KINDS[:2])
def test_images_and_windows_channels_last_are_taken_as_they_lie(dtype: Any, host: Host) -> None:
    x, w = draw(dtype, 2, 48, 7, 6), draw(dtype, 32, 24, 3, 3, seed=1)
    g = draw(dtype, 2, 32, 7, 6, seed=2)
    x, w, g = map(channels_last, (x, w, g))
    meta: dict[str, Any] = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 2}
    agree("conv2d", x, w, None, **meta)
    agree("conv2d_weight", x, g, kernel=(3, 3), near=2, **meta)
    assert "conv_lay" not in entries(host)
    agree("conv2d", x, np.ascontiguousarray(w), None, **meta)
    assert "conv_lay" in entries(host)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, BFLOAT16])
@pytest.mark.parametrize("plain", [False, True], ids=["cores", "plain"])
def test_convolutions_of_what_is_no_number(
    dtype: Any, plain: bool, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    if plain:
        monkeypatch.setattr(conv_tiles, "has_tensor_cores", lambda array: False)
    x, w = np.zeros((1, 2, 6, 6), dtype), coarse(draw(dtype, 8, 2, 3, 3))
    x[0, 0, 2, 2], x[0, 1, 5, 5], w[1, 0, 1, 1] = np.nan, np.inf, -np.inf
    x.view(np.uint32 if dtype == np.float32 else np.uint16)[0, 1, 0, 0] = (
        0x7FFFFFFF if dtype == np.float32 else 0x7FFF  # a NaN that rounding must not carry over
    )
    meta: dict[str, Any] = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    with np.errstate(all="ignore"):
        agree("conv2d", x, w, None, **meta)
        agree("conv2d", x, w[:2], None, **meta)
        g = np.zeros((1, 8, 4, 4), dtype)
        g[0, 3, 1, 1], g[0, 5, 3, 3] = np.inf, np.nan
        agree("conv2d_weight", x, g, kernel=(3, 3), **meta)


def test_long_sums_of_a_windows_gradient_are_taken_in_parts(host: Host) -> None:
    for dtype in (np.float64, np.float16):
        x, g = draw(dtype, 2, 3, 33, 37), draw(dtype, 2, 8, 33, 37, seed=1)
        meta: dict[str, Any] = {
            "stride": (1, 1),
            "padding": (1, 1),
            "dilation": (1, 1),
            "groups": 1,
        }
        agree("conv2d_weight", x, g, kernel=(3, 3), near=10, **meta)
        x, g = draw(dtype, 2, 3, 50, 51), draw(dtype, 2, 3, 50, 51, seed=1)
        agree("conv2d_weight", x, g, kernel=(3, 3), near=10, **{**meta, "groups": 3})


def test_what_cannot_be_convolved_is_left_to_the_plain_kernel(host: Host) -> None:
    x, w = draw(np.float32, 1, 4, 5, 5), draw(np.float32, 8, 3, 3, 3)
    meta: dict[str, Any] = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}
    for groups in (1, 3, 0):
        assert tried("conv", "conv2d", x, w, None, groups=groups, **meta) is None
    wide = draw(np.float32, 8, 4, 6, 6)
    assert tried("conv", "conv2d", x, wide, None, groups=1, **meta) is None


def test_every_entry_was_launched_for_every_type(launched: set[str]) -> None:
    assert set().union(*map(entries_of, ("conv", "conv_tiles"))) == launched
