"""What kernels of our own compute, on the host, against the CPU's kernels of the same ops.

Each case is run twice: threads and blocks in their order and backwards, arrays that begin at
multiples of 16 bytes and others. Arrays lie between pages that nobody may touch (`hosted`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hosted import Host, entries_of
from kernel_checks import BFLOAT16, KINDS, agree, draw, entries, own, special, tried
from scipy.special import erfc

from framework.core.registry import OPS

# -- softmax ------------------------------------------------------------------------------------

_SHAPES = [((5, 7), 1), ((4, 128), 1), ((3, 1025), 1), ((2, 2056), 1), ((2, 3, 1), 2),
           ((2, 16400), 1), ((1, 16385), 1), ((3, 512), 1), ((3, 511), 1),
           ((4, 5, 6), 1), ((3, 9, 40), 1), ((6, 33), 0), ((9,), 0), ((1, 1), 0)]  # fmt: skip


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(name: str, dtype: Any, host: Host) -> None:
    for shape, dim in _SHAPES:
        x, g = draw(dtype, *shape), draw(dtype, *shape, seed=1)
        agree(name, x, dim=dim)
        agree(f"{name}_backward", g, OPS[name].kernel(x, dim=dim), dim=dim)
    turned = draw(dtype, 6, 5).T
    agree(name, turned, dim=1)
    assert own(name, turned, dim=1)[0].flags.c_contiguous
    assert {e.split("_")[-2] for e in host.launched} == {"warps", "blocks", "columns"}


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_of_what_is_no_number(name: str, host: Host) -> None:
    for dtype in (np.float32, np.float16, BFLOAT16):
        x = special(dtype)
        agree(name, x, dim=1)
        agree(name, np.ascontiguousarray(np.tile(x, (7, 1)).T), dim=0)
        for more in (1100, 17000):
            agree(name, np.concatenate([x, np.zeros((len(x), more), dtype)], 1), dim=1)


# -- norms --------------------------------------------------------------------------------------


def _norm_shapes() -> list[tuple[tuple[int, ...], int]]:
    return [((3, 4), 1), ((5, 33), 1), ((2, 1028), 1), ((2, 3, 5), 2), ((1, 2100), 1),
            ((2, 16392), 1), ((2, 512), 1), ((2, 509), 1),
            ((70, 40), 1), ((6, 1), 1)]  # fmt: skip


@pytest.mark.parametrize("dtype", KINDS)
def test_layer_and_rms_norm(dtype: Any, host: Host) -> None:
    for shape, dims in _norm_shapes():
        inner = shape[len(shape) - dims :]
        x, g = draw(dtype, *shape), draw(dtype, *shape, seed=1)
        w, b = draw(dtype, *inner, seed=2), draw(dtype, *inner, seed=3)
        places = tuple(range(len(shape) - dims, len(shape)))
        agree("layer_norm", x, w, b, dims=dims, eps=1e-2)
        agree("layer_norm", x, None, None, dims=dims, eps=1e-2)
        agree("rms_norm", x, w, dims=dims, eps=1e-2)
        for center in (True, False):
            meta = {"dims": places, "eps": 1e-2, "center": center}
            agree("standardize", x, **meta)
            agree("standardize_backward", g, x, near=4, **meta)
            agree("affine_norm_backward", g, x, w, near=4, **meta)
            agree("affine_norm_backward", g, x, None, near=4, **meta)
    assert {"norm_columns", "norm_blocks", "norm_warps", "norm_backward_blocks"} <= entries(host)


@pytest.mark.parametrize("dtype", KINDS)
def test_batch_norm(dtype: Any, host: Host) -> None:
    shapes = [(4, 3), (2, 3, 5), (3, 2, 4, 4), (2, 2, 33, 40), (6, 1, 2, 1), (300, 2, 16)]
    for shape in shapes:
        channels = shape[1]
        x, g = draw(dtype, *shape), draw(dtype, *shape, seed=1)
        w, b = draw(dtype, channels, seed=2), draw(dtype, channels, seed=3)
        mean, var = draw(dtype, channels, seed=4), np.abs(draw(dtype, channels, seed=5))
        agree("batch_norm", x, w, b, None, None, training=True, eps=1e-2)
        agree("batch_norm", x, None, None, None, None, training=True, eps=1e-2)
        agree("batch_norm", x, w, b, mean, var, training=False, eps=1e-2)
        dims = (0, *range(2, len(shape)))
        for center in (True, False):
            meta = {"dims": dims, "eps": 1e-2, "center": center}
            agree("standardize", x, **meta)
            agree("standardize_backward", g, x, near=4, **meta)
            agree("affine_norm_backward", g, x, w, near=4, **meta)


@pytest.mark.parametrize("dtype", KINDS)
def test_group_norm(dtype: Any, host: Host) -> None:
    for shape, groups in (
        ((2, 4, 3), 2),
        ((3, 6, 2, 5), 3),
        ((1, 4, 300), 1),
        ((2, 4), 2),
        ((1, 2, 8300), 1),
    ):
        x = draw(dtype, *shape)
        w, b = draw(dtype, shape[1], seed=2), draw(dtype, shape[1], seed=3)
        agree("group_norm", x, w, b, num_groups=groups, eps=1e-2)
        agree("group_norm", x, None, None, num_groups=groups, eps=1e-2)


def test_norms_of_what_is_no_number(host: Host) -> None:
    x = special(np.float32)
    agree("layer_norm", x, None, None, dims=1, eps=1e-5)
    agree("standardize_backward", draw(np.float32, 11, 5), x, dims=(1,), eps=1e-5, center=True)
    agree("batch_norm", x, None, None, None, None, training=True, eps=1e-5)
    wide = np.concatenate([x.T[None]] * 3)
    agree("batch_norm", wide, None, None, None, None, training=True, eps=1e-5)
    big = np.full((4, 64), 1e4, np.float32) + draw(np.float32, 4, 64)  # a mean far from zero
    agree("layer_norm", big, None, None, dims=1, eps=1e-5, near=300)


def test_many_rows_share_out_a_weights_gradient(host: Host) -> None:
    x, g = draw(np.float64, 1000, 3), draw(np.float64, 1000, 3, seed=1)
    agree("affine_norm_backward", g, x, None, dims=(1,), eps=1e-3, center=True, near=10)
    x, g = draw(np.float64, 3, 2, 5000), draw(np.float64, 3, 2, 5000, seed=1)
    agree("affine_norm_backward", g, x, None, dims=(0, 2), eps=1e-3, center=True, near=10)


def test_channels_of_more_parts_than_a_warp_has_threads(host: Host) -> None:
    x, g = draw(np.float32, 2, 1, 70000), draw(np.float32, 2, 1, 70000, seed=1)
    x += 3
    agree("batch_norm", x, None, None, None, None, training=True, eps=1e-3, near=4)
    agree("affine_norm_backward", g, x, None, dims=(0, 2), eps=1e-3, center=True, near=40)
    x[1, 0, 65000] = np.inf
    agree("batch_norm", x, None, None, None, None, training=True, eps=1e-3)


# -- activations --------------------------------------------------------------------------------

_ACTIVATIONS = [
    ("gelu", {"approximate": "none"}), ("gelu", {"approximate": "tanh"}), ("silu", {}),
    ("relu", {}), ("sigmoid", {}), ("tanh", {}), ("leaky_relu", {"negative_slope": 0.3}),
    ("elu", {"alpha": 0.7}), ("elu", {"alpha": 0.7, "scale": 1.5, "input_scale": 2.0}),
]  # fmt: skip


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("name, meta", _ACTIVATIONS, ids=lambda v: v if isinstance(v, str) else "")
def test_activations(name: str, meta: dict[str, Any], dtype: Any, host: Host) -> None:
    for shape in ((1,), (3, 5), (8, 16), (4099,)):
        x, g = draw(dtype, *shape), draw(dtype, *shape, seed=1)
        agree(name, x, near=2, **meta)
        agree(f"{name}_backward", g, x, near=2, **meta)
    x = special(dtype)
    agree(name, x, near=2, **meta)
    agree(f"{name}_backward", np.ones_like(x), x, near=2, **meta)


def test_gelu_keeps_its_digits_far_below_zero(host: Host) -> None:
    x = np.linspace(-12, -4, 100).astype(np.float32)
    mine = own("gelu", x, approximate="none")[0].astype(np.float64)
    exact = OPS["gelu"].kernel(x.astype(np.longdouble).astype(np.float64), approximate="none")
    near = x > -5  # where float64 has digits of 1 + erf left
    np.testing.assert_allclose(mine[near], exact[near], rtol=3e-6)
    assert (mine < 0).all() and (np.diff(mine) < 0).all()


@pytest.mark.parametrize("dtype", [np.dtype(np.float16), BFLOAT16], ids=["f16", "bf16"])
def test_gelu_of_all_numbers_of_16_bits(dtype: Any, host: Host) -> None:
    """Nothing but the rounding: within 0.51 of the distance of two numbers, its tail as well."""
    x = np.arange(1 << 16, dtype=np.uint16).view(dtype)
    x = x[np.isfinite(x.astype(np.float32))]
    v, one = x.astype(np.float64), np.ones_like(x)
    below = 0.5 * erfc(-v * 0.5**0.5)
    density = np.exp(-0.5 * v * v) * (2 * np.pi) ** -0.5
    pairs = (("gelu", (x,), v * below), ("gelu_backward", (one, x), below + v * density))
    digits, least = (10, -24) if dtype == np.float16 else (7, -133)
    for name, given, exact in pairs:
        mine = own(name, *given, approximate="none")[0].astype(np.float64)
        apart = np.ldexp(1.0, np.maximum(np.frexp(exact)[1] - 1 - digits, least))
        flushed = 2.0**-126  # what the device makes zero of
        cancelled = 3e-6 * (np.abs(v * density) if name == "gelu_backward" else 0)
        assert (np.abs(mine - exact) <= 0.51 * apart + flushed + cancelled).all(), name


def test_results_lie_as_the_input_does(host: Host) -> None:
    x = draw(np.float32, 2, 3, 4, 5).transpose(0, 3, 1, 2)  # channels innermost
    y = own("gelu", x, approximate="none")[0]
    assert y.strides == x.strides
    agree("gelu", x, approximate="none")
    agree("gelu_backward", np.ascontiguousarray(x), x, approximate="none")
    agree("relu", draw(np.float32, 6, 8)[:, ::2])
    agree("relu", np.broadcast_to(draw(np.float32, 3), (2, 3)))


def test_others_are_left_to_the_plain_kernels(host: Host) -> None:
    assert tried("pointwise", "relu", np.ones(3, np.int64)) is None
    assert tried("pointwise", "relu", np.ones(0, np.float32)) is None
    assert tried("softmax", "softmax", np.ones((), np.float32), dim=0) is None
    x, w = draw(np.float16, 2, 3), draw(np.float32, 3)
    assert tried("norm", "layer_norm", x, w, w, dims=1, eps=1e-5) is None
    meta = {"dims": (0, 1), "eps": 1.0, "center": True}
    assert tried("norm", "standardize", draw(np.float32, 2, 3, 4), **meta) is None
    assert not host.launched


@pytest.mark.parametrize("dtype", KINDS[:2])
def test_sixteen_bits_are_rounded_as_everywhere(dtype: Any, host: Host) -> None:
    """All numbers of the type, times numbers that bring about ties, overflow and tiny results."""
    x = np.arange(1 << 16, dtype=np.uint16).view(dtype)
    for slope in (1.0, 0.5, 0.3, 2.0**-9, 1e-6, 3e4, 1e38):
        mine = own("leaky_relu", x, negative_slope=slope)[0]
        wide = x.astype(np.float32)
        with np.errstate(all="ignore"):
            theirs = np.where(wide > 0, wide, wide * np.float32(slope)).astype(dtype)
        lost = np.isnan(theirs.astype(np.float32))
        assert np.array_equal(np.isnan(mine.astype(np.float32)), lost)
        np.testing.assert_array_equal(mine.view(np.uint16)[~lost], theirs.view(np.uint16)[~lost])


def test_every_entry_was_launched_for_every_type(launched: set[str]) -> None:
    assert set().union(*map(entries_of, ("norm", "pointwise", "softmax"))) == launched
