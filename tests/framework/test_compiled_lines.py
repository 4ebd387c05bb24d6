"""Padding, triangles and differences line by line, against NumPy and the plain ops."""

from __future__ import annotations

import numpy as np
import pytest

import framework as torch
from framework.kernels import compiled
from framework.nn import functional as F

pytest.importorskip("numba")

_MODES = ["constant", "reflect", "replicate", "circular"]
# The shape, and what is added before and after the last dimension, and so on.
_PADS = [
    ((5, 4, 300), (3, 2)), ((5, 4, 300), (-3, 7)), ((4, 300, 9), (0, -4)), ((9, 1200), (1, 1)),
    ((3, 4, 20, 31), (2, 3, 1, 4)), ((3, 4, 20, 31), (-2, 3, 1, -4)), ((3, 4, 9, 99), (0, 0, 2, 2)),
    ((60, 9, 31), (1, 2, 0, 3)), ((2, 3, 9, 11, 13), (1, 2, 3, 4, 5, 6)),
    ((2, 3, 9, 11, 13), (1, -2, -3, 4, 0, 6)), ((700, 1, 8), (1, 0)), ((2, 3, 90, 8), (1, 1, 2, 2)),
]  # fmt: skip


def _numbers(shape, dtype, seed=0, special=False):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal(shape).astype(dtype)
    if special:
        flat = a.reshape(-1)
        flat[rng.integers(0, flat.size, 40)] = rng.choice([np.nan, np.inf, -np.inf, -0.0], 40)
    return a


def _padded(a, pad, mode):
    """By NumPy, which takes no negative numbers."""
    pairs = [(0, 0)] * (a.ndim - len(pad) // 2) + list(zip(pad[::2], pad[1::2]))[::-1]
    cut = tuple([slice(max(-b, 0), n - max(-e, 0)) for n, (b, e) in zip(a.shape, pairs)])
    more = [(max(b, 0), max(e, 0)) for b, e in pairs]
    names = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    return np.pad(a[cut], more, names[mode])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", _MODES)
@pytest.mark.parametrize(("shape", "pad"), _PADS)
def test_padding(plainly, dtype, mode, shape, pad):
    if mode == "circular" and max(pad) > min(shape[-len(pad) // 2 :]):
        pytest.skip("wraps around twice")
    a = _numbers(shape, dtype, special=True)

    def both():
        x = torch.tensor(a, requires_grad=True)
        y = F.pad(x, pad, mode=mode)
        y.backward(torch.tensor(_numbers(tuple(y.shape), dtype, 5)))
        return y.detach().numpy(), x.grad.numpy()

    quick, plain = both(), plainly(both)
    np.testing.assert_array_equal(quick[0], plain[0])
    np.testing.assert_array_equal(np.signbit(quick[0]), np.signbit(plain[0]))
    rounding = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(quick[1], plain[1], rtol=rounding, atol=rounding)
    if mode in ("constant", "circular") or min(pad) >= 0:  # a mirror stands where it was cut
        np.testing.assert_array_equal(quick[0], _padded(a, pad, mode))


@pytest.mark.parametrize("mode", _MODES[1:])
def test_padding_is_one_op_and_sums_are_its_adjoint(mode):
    x = torch.tensor(_numbers((3, 4, 20, 31), np.float64), requires_grad=True)
    y = F.pad(x, (2, 3, 4, 1), mode=mode)
    assert [node.name() for node, _ in y.grad_fn.next_functions] == [
        "torch::autograd::AccumulateGrad"
    ]
    g = torch.tensor(_numbers(tuple(y.shape), np.float64, 1), requires_grad=True)
    (found,) = torch.autograd.grad(y, x, g, create_graph=True)
    np.testing.assert_allclose((found * x).sum().item(), (y * g).sum().item(), rtol=1e-10)
    h = torch.tensor(_numbers(tuple(x.shape), np.float64, 2))
    (again,) = torch.autograd.grad(found, g, h)
    np.testing.assert_array_equal(again.numpy(), F.pad(h, (2, 3, 4, 1), mode=mode).numpy())


@pytest.mark.parametrize(
    "dtype", [np.int64, np.int32, np.uint8, np.bool_, np.complex64, np.float16]
)
def test_padding_of_other_types(dtype):
    a = (np.random.default_rng(0).integers(-3, 9, (3, 4, 40, 31)) % 200).astype(dtype)
    value = True if dtype == np.bool_ else 7
    found = F.pad(torch.tensor(a), (1, 2, -3, 4), value=value).numpy()
    wanted = np.pad(a[:, :, 3:], ((0, 0), (0, 0), (0, 4), (1, 2)), constant_values=value)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, wanted)
    if np.issubdtype(dtype, np.integer):
        found = F.pad(torch.tensor(a), (1, 2, 3, 4), mode="reflect").numpy()
        np.testing.assert_array_equal(found, _padded(a, (1, 2, 3, 4), "reflect"))


@pytest.mark.parametrize("mode", _MODES)
def test_padding_of_other_orders(mode):
    a = _numbers((3, 4, 20, 31), np.float32)
    last = torch.tensor(a).contiguous(memory_format=torch.channels_last)
    found = F.pad(last, (1, 2, 3, 4), mode=mode)
    np.testing.assert_array_equal(found.numpy(), _padded(a, (1, 2, 3, 4), mode))
    assert found.is_contiguous(memory_format=torch.channels_last) or mode == "circular"
    turned = F.pad(torch.tensor(a).transpose(2, 3), (1, 2, 3, 4), mode=mode)
    np.testing.assert_array_equal(
        turned.numpy(), _padded(a.transpose(0, 1, 3, 2), (1, 2, 3, 4), mode)
    )
    assert F.pad(torch.zeros(0, 3, 9, 9), (1, 2, 3, 4), mode=mode).shape == (0, 3, 16, 12)


def test_a_trace_sees_each_dimension_padded():
    from framework import trace

    x = torch.tensor(_numbers((3, 4, 20, 31), np.float32))
    with trace.recording(keep="all") as tape:
        traced = F.pad(x, (1, 2, 3, 4), mode="reflect")
    names = [event.name for event in tape.read() if hasattr(event, "duration")]
    assert "pad_edges" not in names and names.count("index") == 2
    assert torch.equal(traced, F.pad(x, (1, 2, 3, 4), mode="reflect"))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: F.pad(x, (1, 2, 3, 4), mode="reflect"), lambda x: F.pad(x, (1, 2, 3, 4)),
        torch.tril, torch.diff,
    ],
)  # fmt: skip
def test_the_same_bits_in_any_number_of_threads(call):
    a, found, before = _numbers((7, 8, 60, 71), np.float32), [], compiled.threads()
    try:
        for count in (1, 2, 5):
            compiled.set_threads(count)
            x = torch.tensor(a, requires_grad=True)
            y = call(x)
            y.backward(torch.tensor(_numbers(tuple(y.shape), np.float32, 5)))
            found.append((y.detach().numpy(), x.grad.numpy()))
    finally:
        compiled.set_threads(before)
    for others in found[1:]:
        for a, b in zip(found[0], others):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, np.int64, np.int32, np.complex64, np.bool_]
)
@pytest.mark.parametrize("shape", [(70, 71), (71, 70), (3, 1, 4096), (3, 4096, 1), (9, 20, 31)])
def test_triangles(dtype, shape):
    a = _numbers(shape, np.float32, special=dtype in (np.float32, np.float64))
    a = a.astype(dtype) if dtype not in (np.int64, np.int32) else (a * 9).astype(dtype)
    for diagonal in (0, 1, -1, 5, -17, 69, 70, 71, -70, -71, 5000, -5000, 2**40, -(2**40)):
        for name in ("tril", "triu"):
            found = getattr(torch.tensor(a), name)(diagonal).numpy()
            assert found.dtype == a.dtype
            np.testing.assert_array_equal(
                found, getattr(np, name)(a, min(max(diagonal, -9999), 9999))
            )


def test_triangles_of_views_and_of_nothing():
    a = _numbers((90, 91), np.float32)
    np.testing.assert_array_equal(torch.tensor(a).t().tril(2).numpy(), np.tril(a.T, 2))
    assert torch.zeros(0, 80, 80).tril().shape == (0, 80, 80)
    assert torch.zeros(5000, 0).triu().shape == (5000, 0)
    x = torch.tensor(a.astype(np.float64), requires_grad=True)
    g = _numbers(a.shape, np.float64, 3)
    x.triu(-3).backward(torch.tensor(g))
    np.testing.assert_array_equal(x.grad.numpy(), np.triu(g, -3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(70, 71), (5000,), (4096, 2), (3, 5, 300), (4096, 1), (0, 5000)])
def test_differences(plainly, dtype, shape):
    a = _numbers(shape, dtype, special=0 not in shape)

    def both(n):
        x = torch.tensor(a, requires_grad=True)
        y = torch.diff(x, n=n)
        y.backward(torch.tensor(_numbers(tuple(y.shape), dtype, 5)))
        return y.detach().numpy(), x.grad.numpy()

    for n in (1, 2):
        quick = both(n)
        plain = plainly(lambda n=n: both(n))
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(quick[0], np.diff(a, n))
        np.testing.assert_array_equal(quick[0], plain[0])
        np.testing.assert_allclose(quick[1], plain[1], rtol=1e-5, atol=1e-6)
    around = torch.diff(torch.tensor(a), prepend=torch.tensor(a[..., :1]))
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(around.numpy(), np.diff(a, prepend=a[..., :1]))


def test_one_hot_rows():
    index = np.random.default_rng(0).integers(0, 7, (40, 50))
    found = F.one_hot(torch.tensor(index), 9)
    np.testing.assert_array_equal(found.numpy(), np.eye(9, dtype=np.int64)[index])
    turned = F.one_hot(torch.tensor(index).t())
    np.testing.assert_array_equal(turned.numpy(), np.eye(7, dtype=np.int64)[index.T])
    assert F.one_hot(torch.zeros(0, 3, dtype=torch.int64), 4).shape == (0, 3, 4)
    with pytest.raises(RuntimeError, match="smaller than num_classes"):
        F.one_hot(torch.tensor([0, 4]), 4)
