"""max_unpool, Lp and fractional pooling, fold and the names with statistics."""

from __future__ import annotations

import math

import numpy as np
import pytest

import framework as torch
from framework.autograd import gradcheck
from framework.nn import functional as F

RNG = np.random.default_rng(8)


def randn(*shape: int, grad: bool = False):
    return torch.tensor(RNG.standard_normal(shape)).requires_grad_(grad)


def test_unpooling_puts_the_largest_back() -> None:
    x = randn(2, 3, 4, 6).abs()
    values, index = F.max_pool2d(x, 2, return_indices=True)
    y = F.max_unpool2d(values, index, 2)
    kept = y != 0
    assert y.shape == x.shape and kept.sum() == values.numel()
    np.testing.assert_array_equal(y[kept], x[kept])
    _, where = F.max_pool2d(y, 2, return_indices=True)
    np.testing.assert_array_equal(where, index)
    assert F.max_unpool2d(values, index, 2, output_size=(1, 3, 5, 7)).shape[2:] == (5, 7)
    with pytest.raises(ValueError, match="invalid output_size"):
        F.max_unpool2d(values, index, 2, output_size=(9, 9))
    with pytest.raises(RuntimeError, match="Found an invalid max index: 99"):
        F.max_unpool2d(values, index * 0 + 99, 2)
    with pytest.raises(RuntimeError, match="should be type int64 but got: Float"):
        F.max_unpool2d(values, index.float(), 2)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_lp_pool(p: float) -> None:
    x = randn(1, 2, 4, 4).abs()
    blocks = x.numpy().reshape(1, 2, 2, 2, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(1, 2, 2, 2, 4)
    wanted = (blocks**p).sum(-1) ** (1 / p)
    np.testing.assert_allclose(F.lp_pool2d(x, p, 2), wanted)
    np.testing.assert_allclose(
        F.lp_pool1d(x[0], p, 4)[..., 0], (x[0].numpy() ** p).sum(-1) ** (1 / p)
    )
    np.testing.assert_allclose(F.lp_pool2d(x, math.inf, 2), blocks.max(-1))
    assert F.lp_pool3d(x, p, 2).shape == (1, 1, 2, 2)


def test_fractional_windows_cover_from_edge_to_edge() -> None:
    x = torch.arange(49.0).reshape(1, 1, 7, 7)
    torch.manual_seed(3)
    y, index = F.fractional_max_pool2d(x, 2, 4, return_indices=True)
    np.testing.assert_array_equal(y.flatten(), x.flatten()[index.flatten()])
    assert y[0, 0, -1, -1] == 48 and y[0, 0, 0, 0] == 8
    steps = np.diff(index[0, 0, 0].numpy())
    assert ((steps == 1) | (steps == 2)).all()
    assert F.fractional_max_pool2d(x, 2, output_ratio=(0.5, 0.9)).shape == (1, 1, 3, 6)
    assert F.fractional_max_pool3d(torch.ones(1, 5, 6, 7), 2, 3).shape == (1, 3, 3, 3)
    with pytest.raises(ValueError, match="either an output_size or an output_ratio"):
        F.fractional_max_pool2d(x, 2)
    with pytest.raises(RuntimeError, match="pool height 5 too large relative to input height 7"):
        F.fractional_max_pool2d(x, 5, 4)


def test_fold_undoes_unfold_but_for_the_overlap() -> None:
    x = randn(2, 3, 5, 6)
    options = {"kernel_size": 3, "padding": 1}
    columns = F.unfold(x, **options)
    counts = F.fold(F.unfold(x * 0 + 1, **options), (5, 6), **options)
    np.testing.assert_allclose(F.fold(columns, (5, 6), **options), x * counts)
    assert F.unfold(torch.ones(0, 2, 3, 3), 2).shape == (0, 8, 4)
    with pytest.raises(RuntimeError, match="calculated number of sliding blocks 5 \\* 6 = 30"):
        F.fold(columns[:, :, :-1], (5, 6), **options)
    with pytest.raises(RuntimeError, match="its components must be at least one"):
        F.unfold(x, 9)


def test_transposed_convolution_with_more_output_padding_than_stride() -> None:
    x, w = randn(1, 2, 3, 3, grad=True), randn(2, 1, 2, 2, grad=True)

    def call(x, w):
        return F.conv_transpose2d(x, w, stride=2, dilation=4, output_padding=3)

    assert call(x, w).shape[2:] == (12, 12) and gradcheck(call, (x, w))


def test_native_names_also_return_statistics() -> None:
    x = randn(3, 4, 5)
    y, mean, rstd = torch.native_layer_norm(x, [5], None, None, 1e-5)
    np.testing.assert_allclose((x - mean) * rstd, y)
    y, mean, rstd = torch.native_batch_norm(x, None, None, None, None, True, 0.1, 1e-5)
    np.testing.assert_allclose((x - mean[:, None]) * rstd[:, None], y)
    y, mean, rstd = torch.native_group_norm(x, None, None, 3, 4, 5, 2, 1e-5)
    grouped = (x.reshape(3, 2, 10) - mean[..., None]) * rstd[..., None]
    np.testing.assert_allclose(grouped.reshape(3, 4, 5), y)
    kept, mask = torch.native_dropout(x, 0.5, True)
    np.testing.assert_array_equal(kept != 0, mask)
    np.testing.assert_allclose(torch.native_dropout_backward(kept, mask, 2.0), kept * 2)
