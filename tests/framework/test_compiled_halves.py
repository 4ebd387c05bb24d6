"""float16 and bfloat16 from float32 and back: the compiled kernels to the bit as without them."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import framework as torch
from framework.kernels import compiled
from framework.kernels.floats import cast

pytest.importorskip("numba")

_HALVES = [np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)]


def _bits(a):
    return a.view(np.uint16 if a.dtype.itemsize == 2 else np.uint32)


@pytest.mark.parametrize("half", _HALVES, ids=str)
def test_every_half_is_widened(half):
    every = np.arange(1 << 16, dtype=np.uint16).view(half)
    with np.errstate(all="ignore"):
        wanted = every.astype(np.float32)
    found = cast(every, np.float32)
    nan = np.isnan(wanted)
    np.testing.assert_array_equal(np.isnan(found), nan)
    np.testing.assert_array_equal(_bits(found)[~nan], _bits(wanted)[~nan])


@pytest.mark.parametrize("half", _HALVES, ids=str)
def test_floats_are_rounded(half):
    """All halves, what lies between two of them, and bits at random: NaN, infinities, tiny ones."""
    every = np.arange(1 << 16, dtype=np.uint16).view(half).astype(np.float32).view(np.uint32)
    between = [every + np.uint32(d) for d in (0, 1, 4095, 4096, 4097, 8191, 32767, 32768, 32769)]
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 1 << 32, 1 << 20, np.uint32)
    small = rng.integers(0x33000000, 0x39000000, 1 << 18, np.uint32)
    large = rng.integers(0x47000000, 0x48000000, 1 << 18, np.uint32)
    x = np.concatenate([*between, drawn, small, large]).view(np.float32)
    with np.errstate(all="ignore"):
        wanted = x.astype(half)
    found = cast(x, half)
    assert found.dtype == half
    nan = np.isnan(x)
    np.testing.assert_array_equal(np.isnan(found.astype(np.float32)), nan)
    np.testing.assert_array_equal(_bits(found)[~nan], _bits(wanted)[~nan])


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16], ids=str)
def test_tensors_of_any_shape_and_order(half):
    rng = np.random.default_rng(1)
    for shape in ((71, 83), (4096,), (3, 5, 1001), (0, 7), (2, 3)):
        x = torch.tensor(rng.standard_normal(shape).astype(np.float32), requires_grad=True)
        for y in (x, x.transpose(0, -1), x[..., 1:]):
            found = y.to(half).float()
            before = compiled.use(False)
            try:
                wanted = y.to(half).float()
            finally:
                compiled.use(before)
            assert torch.equal(found, wanted) and found.stride() == wanted.stride()
        g = torch.tensor(rng.standard_normal(shape).astype(np.float32))
        (found,) = torch.autograd.grad(x.to(half), x, g.to(half))
        assert torch.equal(found, g.to(half).float())
