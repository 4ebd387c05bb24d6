"""Compiled remainders, lengths, reciprocals and the like against the plain kernels beside them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import framework as torch
from framework.kernels import compiled

pytest.importorskip("numba")

_EDGES = [
    0.0, -0.0, 1.0, -1.0, 3.0, -3.0, 2.5, -2.5, np.inf, -np.inf, np.nan, 1e-40, 1e30, -1e30, 2e-45,
    16777216.0, 0.1, 1e9,
]  # fmt: skip
_PAIRS = np.array(list(itertools.product(_EDGES, repeat=2)))
_TWO = {
    "remainder": torch.remainder, "fmod": torch.fmod, "floor_divide": torch.floor_divide,
    "hypot": torch.hypot, "logaddexp": torch.logaddexp,
}  # fmt: skip
_ONE = {
    "rsqrt": torch.rsqrt, "reciprocal": torch.reciprocal, "frac": torch.frac,
    "nan_to_num": torch.nan_to_num,
    "nan_to_num given": lambda x: x.nan_to_num(1.5, -3.0, 4.0),
}  # fmt: skip


def _same(found, wanted, units=0):
    """Equal with their signs, NaN too, up to units in the last place."""
    found, wanted = found.numpy(), wanted.numpy()
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    real = ~np.isnan(wanted)
    found, wanted = found[real], wanted[real]
    np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))
    eps = np.finfo(wanted.dtype).eps
    np.testing.assert_allclose(found, wanted, rtol=units * eps, atol=0)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("name", _TWO)
def test_of_two(plainly, name, kind):
    rng = np.random.default_rng(0)
    drawn = rng.standard_normal((2, 20000)) * np.exp(rng.uniform(-30, 30, (2, 20000)))
    whole = np.round(rng.uniform(-100, 100, (2, 5000)))
    a, b = (torch.tensor(x.astype(kind)) for x in np.hstack([_PAIRS.T, drawn, whole]))
    call, units = _TWO[name], {"hypot": 1, "logaddexp": 4}.get(name, 0)
    assert a.numel() > compiled.LARGE
    _same(call(a, b), plainly(lambda: call(a, b)), units)
    if name not in ("hypot", "logaddexp"):
        for number in _EDGES:
            _same(call(a, number), plainly(lambda n=number: call(a, n)), units)
            with_scalar = torch.tensor(number, dtype=a.dtype)
            _same(call(a, with_scalar), call(a, number))


@pytest.mark.parametrize("size", [3, 5000])
def test_zeros_that_are_left_have_the_sign_of_what_was_divided(size):
    a = torch.tensor([6.0, -6.0, 0.0, -0.0]).repeat(size)
    for b in (3.0, -3.0):
        left = torch.remainder(a, b).numpy()
        assert not left.any()
        np.testing.assert_array_equal(np.signbit(left), np.signbit(a.numpy()))


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.int8, np.uint8])
def test_remainders_of_integers(plainly, kind):
    limits = np.iinfo(kind)
    rng = np.random.default_rng(0)
    a = rng.integers(limits.min, limits.max, 9000, kind, endpoint=True)
    b = rng.integers(limits.min, limits.max, 9000, kind, endpoint=True)
    b[b == 0] = 1
    x, y = torch.tensor(a), torch.tensor(b)
    found = torch.remainder(x, y)
    assert found.dtype is x.dtype
    np.testing.assert_array_equal(found.numpy(), np.remainder(a, b))
    for number in (1, 7, 100, *((-1, -7) if limits.min else ())):
        found = torch.remainder(x, number)
        assert found.dtype is x.dtype
        np.testing.assert_array_equal(found.numpy(), np.remainder(a, kind(number)))
    with pytest.raises(RuntimeError):
        torch.remainder(x, 0)


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("kind", [np.int64, np.int32, np.int16, np.uint8])
def test_quotients_of_integers(plainly, kind, small):
    """To the bit as NumPy's, of all signs, with the lowest number by -1, and in any order."""
    limits = np.iinfo(kind)
    low, high = (max(limits.min, -90), 90) if small else (limits.min, limits.max)
    rng = np.random.default_rng(0)
    a, b = rng.integers(low, high, (2, 150, 60), kind, endpoint=True)
    b[b == 0] = 3
    a[0, :4], b[0, :4] = limits.min, [*((-1, limits.min) if limits.min else (1, 2)), 1, limits.max]
    down = {"rounding_mode": "floor"}, {"rounding_mode": "trunc"}
    for x, y in [(a, b), (a.T, b.T), (a[:, ::2], b[:, ::2]), (a, b[0]), (a, kind(7))]:
        given = torch.tensor(a), torch.tensor(b)
        if x is not a:
            given = torch.from_numpy(x), torch.from_numpy(y) if y.ndim else int(y)
        elif y is not b:
            given = given[0], torch.from_numpy(y) if y.ndim else int(y)
        with np.errstate(over="ignore"):
            wanted = np.floor_divide(x, y), np.fmod(x, y), np.remainder(x, y)
            q = wanted[0] + ((x - wanted[0] * y != 0) & ((x < 0) != (y < 0))).astype(kind)
        found = torch.floor_divide(*given), torch.fmod(*given), torch.remainder(*given)
        for mine, theirs in zip(found, wanted):
            assert mine.numpy().dtype == kind
            np.testing.assert_array_equal(mine.numpy(), theirs)
        np.testing.assert_array_equal(torch.div(*given, **down[0]).numpy(), wanted[0])
        np.testing.assert_array_equal(torch.div(*given, **down[1]).numpy(), q)
    for call in (torch.floor_divide, torch.fmod, torch.remainder):
        with pytest.raises(RuntimeError):
            call(torch.tensor(a), torch.tensor(b * 0))
        assert call(torch.tensor(a[:0]), torch.tensor(b[:0])).shape == (0, 60)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("name", _ONE)
def test_of_one(plainly, name, kind):
    drawn = np.random.default_rng(0).standard_normal(9000) * 3
    x = torch.tensor(np.concatenate([_EDGES, drawn]).astype(kind))
    _same(_ONE[name](x), plainly(lambda: _ONE[name](x)))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["addcmul", "addcdiv"])
def test_of_three(plainly, name, kind):
    """To the bit as the steps one by one, and as in place."""
    drawn = np.random.default_rng(0).standard_normal((3, 9000)).astype(kind)
    x, y, z = map(torch.tensor, drawn)
    call = getattr(torch, name)
    for value in (1, 0.3, -2):
        found = call(x, y, z, value=value)
        _same(found, plainly(lambda v=value: call(x, y, z, value=v)))
        _same(getattr(x.clone(), name + "_")(y, z, value=value), found)


def test_clamp_between_tensors_leaves_its_arguments_alone():
    x, low, high = (torch.full((5000,), v) for v in (3.0, -1.0, 2.0))
    assert torch.equal(torch.clamp(x, low, high), high)
    assert (x == 3).all() and (low == -1).all() and (high == 2).all()


def test_gradient_of_nan_to_num_is_nothing_where_it_replaces():
    x = torch.tensor([1.0, torch.nan, torch.inf, -torch.inf], requires_grad=True)
    torch.nan_to_num(x, 5.0).backward(torch.full((4,), torch.inf))
    assert x.grad.tolist() == [torch.inf, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64, np.int16, np.complex64, bool])
def test_lines_in_reverse(kind):
    a = (np.random.default_rng(0).standard_normal((70, 129)) * 9).astype(kind)
    np.testing.assert_array_equal(torch.tensor(a).flip(-1).numpy(), a[:, ::-1])
    np.testing.assert_array_equal(torch.tensor(a).T.flip(1).numpy(), a.T[:, ::-1])


@pytest.mark.parametrize(
    "window", [(2,), (3, 2), (2, 1), (3, 3, 0, 2), (2, 2, 0, 1, True), (3, 2, 1)]
)
def test_max_pool_of_lines(plainly, window):
    drawn = np.random.default_rng(0).standard_normal((5, 7, 129)).astype(np.float32)
    drawn[0, :, ::5], drawn[1, :, ::3], drawn[2, :4] = np.nan, np.inf, -np.inf
    drawn[3] = np.round(drawn[3])  # equal ones
    x = torch.tensor(drawn)
    found, at = torch.max_pool1d_with_indices(x, *window)
    wanted, places = plainly(lambda: torch.max_pool1d_with_indices(x, *window))
    np.testing.assert_array_equal(found.numpy(), wanted.numpy())
    assert torch.equal(at, places) and at.dtype is torch.int64


def test_prelu_of_channels(plainly):
    drawn = np.random.default_rng(0).standard_normal((4, 5, 6, 70)).astype(np.float32)
    drawn[0, 0, 0, :5] = [np.nan, np.inf, -np.inf, 0.0, -0.0]
    x, w = torch.tensor(drawn), torch.tensor([0.5, -0.25, 0.0, 2.0, torch.inf])
    _same(torch.prelu(x, w), plainly(lambda: torch.prelu(x, w)))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_average_of_whole_images(kind):
    drawn = np.random.default_rng(0).standard_normal((4, 5, 20, 21)).astype(kind)
    drawn[0, 0, 3, 4] = np.nan
    x = torch.tensor(drawn, requires_grad=True)
    found = torch.nn.functional.adaptive_avg_pool2d(x, 1)
    wanted = drawn.mean((2, 3), keepdims=True, dtype=np.float64)
    np.testing.assert_allclose(found.detach().numpy(), wanted, rtol=1e-5, atol=1e-6)
    found.backward(torch.ones_like(found))
    np.testing.assert_allclose(x.grad.numpy(), np.full_like(drawn, 1 / 420), rtol=1e-6)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("p", [1.0, 2.0])
@pytest.mark.parametrize("batch", [(), (2, 3)])
def test_distances(plainly, kind, p, batch):
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.standard_normal((*batch, 150, 33)).astype(kind))
    y = torch.tensor(rng.standard_normal((*batch, 140, 33)).astype(kind))
    x[..., 0, 0], x[..., 1, 1], y[..., 0, :] = torch.nan, torch.inf, x[..., 2, :]

    def call():
        return torch.cdist(x, y, p=p, compute_mode="donot_use_mm_for_euclid_dist")

    found, wanted = call().numpy(), plainly(call).numpy()
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-5 if kind is np.float32 else 1e-12)
    assert not found[..., 2, 0].any()
    if not batch:
        pairs = torch.pdist(x, p).numpy()
        np.testing.assert_allclose(pairs, plainly(lambda: torch.pdist(x, p)).numpy(), rtol=1e-5)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("batch", [(), (2, 3)])
def test_gradients_of_sums_of_differences(plainly, kind, batch):
    """Of p = 1, with NaN, infinities and equal rows; with gradients that are one number, too."""
    rng = np.random.default_rng(0)
    shapes = (*batch, 150, 33), (*batch, 140, 33), (*batch, 150, 140)
    a, b, g = (rng.standard_normal(s).astype(kind) for s in shapes)
    a[..., 1, 1], b[..., 0, :], g[..., 5, 6] = np.inf, a[..., 2, :], -np.inf
    for bad in (False, True):
        a[..., 0, 0] = np.nan if bad else 0

        def call(a=a):
            x, y = (torch.tensor(t, requires_grad=True) for t in (a, b))
            out = torch.cdist(x, y, p=1)
            out.backward(torch.tensor(g), retain_graph=True)
            first = x.grad.numpy().copy(), y.grad.numpy().copy()
            out.sum().backward()
            return *first, x.grad.numpy(), y.grad.numpy()

        for mine, other in zip(call(), plainly(call), strict=True):
            assert mine.dtype == kind
            np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-4)


def test_the_op_of_their_gradients_without_compiled_kernels(plainly):
    from framework.core.dispatch import apply
    from framework.ops.distance import CITY_BACKWARD

    rng = np.random.default_rng(0)
    given = [torch.tensor(rng.standard_normal(s)) for s in [(90, 80), (90, 33), (80, 33)]]
    given[1][3, 3] = torch.nan

    def call():
        return [x.numpy() for x in apply(CITY_BACKWARD, *given)]

    for mine, other in zip(call(), plainly(call), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-12, atol=1e-12)


def test_second_gradients_of_sums_of_differences(plainly):
    x = torch.randn(2, 80, 33, dtype=torch.float64)

    def call():
        a = x[0].clone().requires_grad_()
        (slope,) = torch.autograd.grad(
            torch.cdist(a, x[1], p=1).square().sum(), a, create_graph=True
        )
        slope.square().sum().backward()
        return a.grad.numpy()

    np.testing.assert_allclose(call(), plainly(call), rtol=1e-9)
