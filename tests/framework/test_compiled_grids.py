"""grid_sample's compiled kernels against the ops that it is made of."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import framework as torch
from framework.kernels import compiled
from framework.nn import functional as F

pytest.importorskip("numba")

_MODES = [
    (mode, padding, align, dims)
    for mode, padding, align, dims in itertools.product(
        ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection"), (False, True), (2, 3)
    )
    if (mode, dims) != ("bicubic", 3)
]


def _image_and_grid(dims, dtype, seed=0, size=(6, 7, 9), out=(5, 12, 13)):
    """Places up to twice the image away, and some on its edges and on pixels."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 5, *size[-dims:])).astype(dtype)
    grid = rng.uniform(-2.5, 2.5, (2, *out[-dims:], dims)).astype(dtype)
    flat = grid.reshape(-1)
    flat[::7] = rng.choice([-1, 1, 0, 1 / 3, -3, 0.2], flat[::7].size)
    return x, grid


def _run(x, grid, options):
    """The result and both gradients by a random cotangent."""
    a, b = (torch.tensor(v, requires_grad=True) for v in (x, grid))
    y = F.grid_sample(a, b, **options)
    g = np.random.default_rng(7).standard_normal(y.shape).astype(x.dtype)
    y.backward(torch.tensor(g))
    return y.detach().numpy(), a.grad.numpy(), b.grad.numpy()


def _options(mode, padding, align):
    return {"mode": mode, "padding_mode": padding, "align_corners": align}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("mode", "padding", "align", "dims"), _MODES)
def test_as_the_parts(plainly, dtype, mode, padding, align, dims):
    x, grid = _image_and_grid(dims, dtype, out=(9, 23, 25))
    quick = _run(x, grid, _options(mode, padding, align))
    plain = plainly(lambda: _run(x, grid, _options(mode, padding, align)))
    rounding = 3e-5 if dtype == np.float32 else 1e-13
    for a, b in zip(quick, plain):
        assert a.dtype == b.dtype == dtype and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=rounding, atol=rounding * max(1, abs(b).max()))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_the_compiled_kernel_that_is_tested(dtype):
    x, grid = (
        torch.tensor(v, requires_grad=True) for v in _image_and_grid(2, dtype, out=(1, 40, 41))
    )
    y = F.grid_sample(x, grid, align_corners=False)
    assert y.grad_fn.name() == "GridSampler2DBackward0"
    assert {node for node, _ in y.grad_fn.next_functions} == {
        v.expand_as(v).grad_fn.next_functions[0][0] for v in (x, grid)
    }


@pytest.mark.parametrize(("mode", "padding", "align", "dims"), _MODES)
def test_what_is_no_number_is_nowhere(plainly, mode, padding, align, dims):
    x, grid = _image_and_grid(dims, np.float32, out=(9, 23, 25))
    x[0, 0].reshape(-1)[[0, 5]] = np.nan, np.inf
    flat = grid.reshape(-1)
    flat[5:60:5] = [np.nan, np.inf, -np.inf, 1e30, -1e30, 3e9, -0.0, np.nan, 1e10, -1e10, 5e4]
    quick = _run(x, grid, _options(mode, padding, align))
    plain = plainly(lambda: _run(x, grid, _options(mode, padding, align)))
    for a, b in zip(quick[:2], plain[:2]):
        np.testing.assert_array_equal(np.isfinite(a), np.isfinite(b))
        kept = np.isfinite(b)
        np.testing.assert_allclose(a[kept], b[kept], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_the_same_bits_in_any_number_of_threads(mode):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((3, 7, 33, 35)).astype(np.float32)
    grid = rng.uniform(-1.2, 1.2, (3, 61, 63, 2)).astype(np.float32)
    found, before = [], compiled.threads()
    try:
        for count in (1, 2, 5):
            compiled.set_threads(count)
            found.append(_run(x, grid, _options(mode, "reflection", False)))
    finally:
        compiled.set_threads(before)
    for others in found[1:]:
        for a, b in zip(found[0], others):
            np.testing.assert_array_equal(a, b)


def test_strides_of_any_kind(plainly):
    x, grid = _image_and_grid(2, np.float64, out=(1, 40, 41))
    wide = np.zeros((2, 5, 14, 9))
    wide[:, :, ::2] = x

    def both():
        image = torch.tensor(wide)[:, :, ::2].requires_grad_()
        last = torch.tensor(x).contiguous(memory_format=torch.channels_last)
        turned = torch.tensor(np.ascontiguousarray(grid.transpose(3, 0, 2, 1))).permute(1, 3, 2, 0)
        y = F.grid_sample(image, turned, align_corners=True)
        y.backward(torch.ones(1, dtype=torch.float64).expand_as(y))
        return y.detach().numpy(), image.grad.numpy(), F.grid_sample(last, turned).numpy()

    with pytest.warns(UserWarning, match="align_corners"):
        quick, plain = both(), plainly(both)
    for a, b in zip(quick, plain):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_nothing_to_sample():
    for shape, places in (((0, 3, 4, 4), (0, 900, 1, 2)), ((2, 0, 4, 4), (2, 900, 3, 2)),
                          ((2, 3, 4, 4), (2, 0, 3, 2))):  # fmt: skip
        x, grid = torch.zeros(shape, requires_grad=True), torch.zeros(places, requires_grad=True)
        y = F.grid_sample(x, grid, align_corners=False)
        assert y.shape == (*shape[:2], *places[1:3])
        y.sum().backward()
        assert x.grad.shape == shape and not x.grad.any() and not grid.grad.any()


@pytest.mark.parametrize("wanted", [(True, False), (False, True), (True, True)])
def test_second_gradients_are_those_of_the_parts(plainly, wanted):
    x, grid = _image_and_grid(2, np.float64, out=(1, 40, 41))

    def twice():
        of = [torch.tensor(v, requires_grad=w) for v, w in zip((x * 2, grid), wanted)]
        y = F.grid_sample(*of, padding_mode="border", align_corners=False)
        g = torch.tensor(np.random.default_rng(5).standard_normal(y.shape), requires_grad=True)
        leaves = [v for v in of if v.requires_grad]
        first = torch.autograd.grad(y, leaves, g, create_graph=True)
        again = torch.autograd.grad(
            sum((v**2).sum() for v in first), [*leaves, g], allow_unused=True
        )
        return [v.numpy() for v in (*(f.detach() for f in first), *again) if v is not None]

    for a, b in zip(twice(), plainly(twice), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


def test_a_backward_without_numba(plainly):
    x, grid = _image_and_grid(2, np.float32, out=(1, 40, 41))
    a, b = torch.tensor(x, requires_grad=True), torch.tensor(grid, requires_grad=True)
    y = F.grid_sample(a, b, align_corners=False)
    g = torch.tensor(np.random.default_rng(7).standard_normal(y.shape).astype(np.float32))
    plainly(lambda: y.backward(g))
    for found, wanted in zip((a.grad, b.grad), _run(x, grid, {"align_corners": False})[1:]):
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4, atol=1e-4)


def test_a_trace_sees_the_parts():
    from framework import trace

    x, grid = (torch.tensor(v) for v in _image_and_grid(2, np.float32, out=(1, 40, 41)))
    with trace.recording(keep="all") as tape:
        traced = F.grid_sample(x, grid, align_corners=False)
    names = [event.name for event in tape.read() if hasattr(event, "duration")]
    assert names.count("grid_pixels") == 4
    np.testing.assert_allclose(
        traced.numpy(), F.grid_sample(x, grid, align_corners=False).numpy(), rtol=1e-5, atol=1e-5
    )
