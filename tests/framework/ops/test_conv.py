"""Convolutions against plain loops, their adjoints, and what they refuse."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import framework as torch
from framework.nn import functional as F

RNG = np.random.default_rng(0)


def randn(*shape: int, grad: bool = False):
    return torch.tensor(RNG.standard_normal(shape)).requires_grad_(grad)


def reference(x, w, b, stride, padding, dilation, groups):
    """The definition, one output element at a time."""
    dims = x.ndim - 2
    x = np.pad(x, [(0, 0), (0, 0), *[(p, p) for p in padding]])
    out = [
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(x.shape[2:], w.shape[2:], stride, dilation)
    ]
    y = np.zeros((len(x), len(w), *out))
    per_in, per_out = w.shape[1], len(w) // groups
    for o in range(len(w)):
        part = x[:, o // per_out * per_in : (o // per_out + 1) * per_in]
        for at in itertools.product(*map(range, out)):
            window = tuple(
                slice(a * s, a * s + d * (k - 1) + 1, d)
                for a, s, d, k in zip(at, stride, dilation, w.shape[2:])
            )
            axes = tuple(range(1, dims + 2))
            y[(slice(None), o, *at)] = (part[(..., *window)] * w[o]).sum(axes)
    return y if b is None else y + b.reshape(-1, *[1] * dims)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(
    "stride, padding, dilation, groups", [(1, 0, 1, 1), (2, 1, 1, 2), (1, 2, 2, 1), (3, 1, 2, 4)]
)
def test_values(dims, stride, padding, dilation, groups) -> None:
    x, w, b = randn(2, 4, *(7, 6, 5)[:dims]), randn(8, 4 // groups, *(3, 2, 2)[:dims]), randn(8)
    y = (F.conv1d, F.conv2d, F.conv3d)[dims - 1](x, w, b, stride, padding, dilation, groups)
    wanted = reference(
        x.numpy(), w.numpy(), b.numpy(), *[(v,) * dims for v in (stride, padding, dilation)], groups
    )
    np.testing.assert_allclose(y.numpy(), wanted, atol=1e-12)


def test_many_images_are_unfolded_in_parts(monkeypatch) -> None:
    from framework.ops import conv

    x, w = randn(5, 2, 6, 6, grad=True), randn(3, 2, 3, 3, grad=True)
    whole = F.conv2d(x, w)
    cotangent = randn(*whole.shape)
    grads = torch.autograd.grad(whole, [x, w], cotangent)
    monkeypatch.setattr(conv, "_COLUMNS", 600)  # two images at a time
    parts = F.conv2d(x, w)
    np.testing.assert_allclose(parts.detach(), whole.detach(), atol=1e-12)
    for a, b in zip(torch.autograd.grad(parts, [x, w], cotangent), grads):
        np.testing.assert_allclose(a, b, atol=1e-12)


@pytest.mark.parametrize("kernel, dilation", [(3, 1), (2, 1), (4, 2)])
def test_same_padding_keeps_the_size(kernel, dilation) -> None:
    x, w = randn(1, 2, 9), randn(3, 2, kernel)
    y = F.conv1d(x, w, padding="same", dilation=dilation)
    total = dilation * (kernel - 1)
    padded = F.pad(x, (total // 2, total - total // 2))
    np.testing.assert_allclose(y.numpy(), F.conv1d(padded, w, dilation=dilation).numpy())
    assert y.shape == (1, 3, 9)


@pytest.mark.parametrize("stride, padding, output_padding, groups", [(1, 0, 0, 1), (3, 1, 2, 2)])
def test_transposed_is_the_adjoint(stride, padding, output_padding, groups) -> None:
    x, w = randn(2, 4, 3, 4), randn(4, 6 // groups, 3, 2)
    y = F.conv_transpose2d(x, w, None, stride, padding, output_padding, groups)
    v = randn(*y.shape)
    back = F.conv2d(v, w, None, stride, padding, 1, groups)
    assert (y * v).sum().item() == pytest.approx((x * back).sum().item())


def test_fold_is_the_adjoint_of_unfold() -> None:
    x = randn(2, 3, 5, 6)
    columns = F.unfold(x, (2, 3), padding=1, stride=2)
    v = randn(*columns.shape)
    back = F.fold(v, (5, 6), (2, 3), padding=1, stride=2)
    assert (columns * v).sum().item() == pytest.approx((x * back).sum().item())


def test_unbatched_and_empty() -> None:
    w = randn(3, 2, 3, 3)
    x = randn(2, 5, 5)
    np.testing.assert_array_equal(F.conv2d(x, w), F.conv2d(x.unsqueeze(0), w)[0])
    assert F.conv2d(randn(0, 2, 5, 5), w).shape == (0, 3, 3, 3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_accumulates_in_float32(dtype) -> None:
    x = torch.ones(1, 1000, 1, 1, dtype=dtype)
    w = torch.full((1, 1000, 1, 1), 0.001, dtype=dtype)
    y = F.conv2d(x, w)
    assert y.dtype is dtype and abs(y.item() - w.double().sum().item()) < 4e-3


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"x": (8, 3, 32, 32), "w": (4, 1, 3, 3)},
         r"Given groups=1, weight of size \[4, 1, 3, 3\], expected input\[8, 3, 32, 32\] to have 1 "
         "channels, but got 3 channels instead"),
        ({"x": (1, 1, 2, 2), "w": (1, 1, 3, 3)}, r"padded input size per channel: \(2 x 2"),
        ({"x": (3, 4), "w": (1, 1, 3, 3)}, r"Expected 3D \(unbatched\) or 4D \(batched\) input to"),
        ({"x": (1, 1, 4, 4), "w": (1, 1, 2, 2), "stride": 0}, "non-positive stride"),
        ({"x": (1, 1, 4, 4), "w": (1, 1, 2, 2), "padding": -1}, "negative padding"),
        ({"x": (1, 1, 4, 4), "w": (1, 1, 2, 2), "stride": (1, 1, 1)}, "stride to be a single"),
        ({"x": (1, 1, 4, 4), "w": (1, 1, 2, 2), "padding": "same", "stride": 2}, "for strided"),
        ({"x": (1, 1, 4, 4), "w": (1, 1, 2, 2), "b": (3,)}, "bias to be 1-dimensional"),
    ],
)  # fmt: skip
def test_errors(arguments, message) -> None:
    x, w, b = (arguments.pop(k, None) for k in "xwb")
    with pytest.raises(RuntimeError, match=message):
        F.conv2d(randn(*x), randn(*w), None if b is None else randn(*b), **arguments)


def test_error_names_the_op_and_the_line() -> None:
    with pytest.raises(RuntimeError, match=r"^conv2d: .*at test_conv.py, line \d+"):
        F.conv2d(randn(1, 3, 4, 4), randn(1, 1, 2, 2))


def test_types_do_not_mix() -> None:
    with pytest.raises(RuntimeError, match=r"type \(double\) and weight type \(float\)"):
        F.conv2d(randn(1, 1, 4, 4), randn(1, 1, 2, 2).float())
