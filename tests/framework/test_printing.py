"""How tensors print; the expected texts are PyTorch 2.13's."""

from __future__ import annotations

import tracemalloc

import pytest

import framework as torch
from framework.printing import get_printoptions, printoptions

CASES = [
    (lambda: torch.tensor([[1.0, 2.0], [3.0, 4.5]]),
     (
        "tensor([[1.0000, 2.0000],\n"
        "        [3.0000, 4.5000]])"
    )),
    (lambda: torch.tensor(3),
     "tensor(3)"),
    (lambda: torch.tensor(-2.5),
     "tensor(-2.5000)"),
    (lambda: torch.tensor(0.0),
     "tensor(0.)"),
    (lambda: torch.tensor(float("nan")),
     "tensor(nan)"),
    (lambda: torch.tensor(1e-7),
     "tensor(1.0000e-07)"),
    (lambda: torch.tensor(123456789.0),
     "tensor(1.2346e+08)"),
    (lambda: torch.tensor(True),
     "tensor(True)"),
    (lambda: torch.tensor([]),
     "tensor([])"),
    (lambda: torch.tensor([], dtype=torch.int64),
     "tensor([], dtype=torch.int64)"),
    (lambda: torch.tensor([], dtype=torch.complex64),
     "tensor([], dtype=torch.complex64)"),
    (lambda: torch.zeros(2, 0),
     "tensor([], size=(2, 0))"),
    (lambda: torch.zeros(2, 0, dtype=torch.bool),
     "tensor([], size=(2, 0), dtype=torch.bool)"),
    (lambda: torch.tensor([True, False]),
     "tensor([ True, False])"),
    (lambda: torch.tensor([[1, -2], [30, 4]]),
     (
        "tensor([[ 1, -2],\n"
        "        [30,  4]])"
    )),
    (lambda: torch.tensor([1, 2], dtype=torch.int32),
     "tensor([1, 2], dtype=torch.int32)"),
    (lambda: torch.tensor([250, 3], dtype=torch.uint8),
     "tensor([250,   3], dtype=torch.uint8)"),
    (lambda: torch.tensor([1, 2], dtype=torch.uint16),
     "tensor([1, 2], dtype=torch.uint16)"),
    (lambda: torch.tensor([1e-8, 1.0, 1e8]),
     "tensor([1.0000e-08, 1.0000e+00, 1.0000e+08])"),
    (lambda: torch.tensor([1.5, float("nan"), float("inf")]),
     "tensor([1.5000,    nan,    inf])"),
    (lambda: torch.tensor([1.0, float("nan"), float("-inf"), 200.0]),
     "tensor([  1.,  nan, -inf, 200.])"),
    (lambda: torch.tensor([float("nan")] * 30),
     (
        "tensor([" + "nan, " * 23 + "nan,\n"
        "        nan, nan, nan, nan, nan, nan])"
    )),
    (lambda: torch.tensor([0.0, -0.0, 0.0]),
     "tensor([0., -0., 0.])"),
    (lambda: torch.tensor([1.0, 1001.0]),
     "tensor([1.0000e+00, 1.0010e+03])"),
    (lambda: torch.tensor([1.0, 1000.0]),
     "tensor([   1., 1000.])"),
    (lambda: torch.tensor([1e9]),
     "tensor([1.0000e+09])"),
    (lambda: torch.tensor([1e8]),
     "tensor([100000000.])"),
    (lambda: torch.tensor([0.5, 501.0]),
     "tensor([5.0000e-01, 5.0100e+02])"),
    (lambda: torch.tensor([0.00009, 0.0001]),
     "tensor([9.0000e-05, 1.0000e-04])"),
    (lambda: torch.tensor([1.0, 2.5], dtype=torch.float16),
     "tensor([1.0000, 2.5000], dtype=torch.float16)"),
    (lambda: torch.tensor([0.1, 3.0], dtype=torch.bfloat16),
     "tensor([0.1001, 3.0000], dtype=torch.bfloat16)"),
    (lambda: torch.tensor([1.0, 2.0], dtype=torch.float64),
     "tensor([1., 2.], dtype=torch.float64)"),
    (lambda: torch.tensor([1 + 2j, -0.5 - 1j]),
     "tensor([ 1.0000+2.j, -0.5000-1.j])"),
    (lambda: torch.tensor([[1j, 20.0], [3.0, -4j]], dtype=torch.complex128),
     (
        "tensor([[ 0.+1.j, 20.+0.j],\n"
        "        [ 3.+0.j, -0.-4.j]], dtype=torch.complex128)"
    )),
    (lambda: torch.tensor(-0.0 - 0.0j),
     "tensor(-0.+0.j)"),
    (lambda: torch.arange(2000),
     "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])"),
    (lambda: torch.arange(1001.0),
     "tensor([   0.,    1.,    2.,  ...,  998.,  999., 1000.])"),
    (lambda: torch.arange(24.0).reshape(2, 3, 4),
     (
        "tensor([[[ 0.,  1.,  2.,  3.],\n"
        "         [ 4.,  5.,  6.,  7.],\n"
        "         [ 8.,  9., 10., 11.]],\n"
        "\n"
        "        [[12., 13., 14., 15.],\n"
        "         [16., 17., 18., 19.],\n"
        "         [20., 21., 22., 23.]]])"
    )),
    (lambda: torch.arange(30) * 1000,
     (
        "tensor([    0,  1000,  2000,  3000,  4000,  5000,  6000,  7000,  8000,  9000,\n"
        "        10000, 11000, 12000, 13000, 14000, 15000, 16000, 17000, 18000, 19000,\n"
        "        20000, 21000, 22000, 23000, 24000, 25000, 26000, 27000, 28000, 29000])"
    )),
    (lambda: torch.arange(10000).reshape(100, 100),
     (
        "tensor([[   0,    1,    2,  ...,   97,   98,   99],\n"
        "        [ 100,  101,  102,  ...,  197,  198,  199],\n"
        "        [ 200,  201,  202,  ...,  297,  298,  299],\n"
        "        ...,\n"
        "        [9700, 9701, 9702,  ..., 9797, 9798, 9799],\n"
        "        [9800, 9801, 9802,  ..., 9897, 9898, 9899],\n"
        "        [9900, 9901, 9902,  ..., 9997, 9998, 9999]])"
    )),
    (lambda: torch.arange(6000.0).reshape(2, 3, 1000),
     (
        "tensor([[[0.0000e+00, 1.0000e+00, 2.0000e+00,  ..., 9.9700e+02,\n"
        "          9.9800e+02, 9.9900e+02],\n"
        "         [1.0000e+03, 1.0010e+03, 1.0020e+03,  ..., 1.9970e+03,\n"
        "          1.9980e+03, 1.9990e+03],\n"
        "         [2.0000e+03, 2.0010e+03, 2.0020e+03,  ..., 2.9970e+03,\n"
        "          2.9980e+03, 2.9990e+03]],\n"
        "\n"
        "        [[3.0000e+03, 3.0010e+03, 3.0020e+03,  ..., 3.9970e+03,\n"
        "          3.9980e+03, 3.9990e+03],\n"
        "         [4.0000e+03, 4.0010e+03, 4.0020e+03,  ..., 4.9970e+03,\n"
        "          4.9980e+03, 4.9990e+03],\n"
        "         [5.0000e+03, 5.0010e+03, 5.0020e+03,  ..., 5.9970e+03,\n"
        "          5.9980e+03, 5.9990e+03]]])"
    )),
    (lambda: torch.zeros(2, 1, 2, 1),
     (
        "tensor([[[[0.],\n"
        "          [0.]]],\n"
        "\n"
        "\n"
        "        [[[0.],\n"
        "          [0.]]]])"
    )),
    (lambda: torch.ones(2, requires_grad=True),
     "tensor([1., 1.], requires_grad=True)"),
    (lambda: torch.ones(2, requires_grad=True) * 2,
     "tensor([2., 2.], grad_fn=<MulBackward0>)"),
    (lambda: (torch.ones(2, 2, dtype=torch.float64, requires_grad=True) * 2).sum(),
     "tensor(8., dtype=torch.float64, grad_fn=<SumBackward0>)"),
    (lambda: torch.arange(12.0, dtype=torch.float64).requires_grad_(),
     (
        "tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11.],\n"
        "       dtype=torch.float64, requires_grad=True)"
    )),
    (lambda: torch.nn.Parameter(torch.ones(2)),
     (
        "Parameter containing:\n"
        "tensor([1., 1.], requires_grad=True)"
    )),
    (lambda: torch.zeros(30).requires_grad_() * 1,
     (
        "tensor([" + "0., " * 23 + "0.,\n"
        "        0., 0., 0., 0., 0., 0.], grad_fn=<MulBackward0>)"
    )),
]  # fmt: skip

OPTIONS = [
    ({'precision': 2}, lambda: torch.tensor([1.23456, 20.5]),
     "tensor([ 1.23, 20.50])"),
    ({'precision': 0}, lambda: torch.tensor([1.5, 2.25]),
     "tensor([2, 2])"),
    ({'threshold': 5}, lambda: torch.arange(8),
     "tensor([0, 1, 2,  ..., 5, 6, 7])"),
    ({'threshold': 5, 'edgeitems': 1}, lambda: torch.arange(20).reshape(4, 5),
     (
        "tensor([[ 0,  ...,  4],\n"
        "        ...,\n"
        "        [15,  ..., 19]])"
    )),
    ({'linewidth': 30}, lambda: torch.arange(12.0),
     (
        "tensor([ 0.,  1.,  2.,  3.,\n"
        "         4.,  5.,  6.,  7.,\n"
        "         8.,  9., 10., 11.])"
    )),
    ({'linewidth': 30}, lambda: torch.ones(2, dtype=torch.float64, requires_grad=True),
     (
        "tensor([1., 1.],\n"
        "       dtype=torch.float64,\n"
        "       requires_grad=True)"
    )),
    ({'sci_mode': True}, lambda: torch.tensor([1.0, 20.5]),
     "tensor([1.0000e+00, 2.0500e+01])"),
    ({'sci_mode': True}, lambda: torch.tensor([1.0, 20.0]),
     "tensor([1.0000e+00, 2.0000e+01])"),
    ({'sci_mode': False}, lambda: torch.tensor([1e-6, 1e6]),
     "tensor([      0.0000, 1000000.0000])"),
    ({'profile': 'short'}, lambda: torch.arange(1100) / 7,
     "tensor([0.00e+00, 1.43e-01,  ..., 1.57e+02, 1.57e+02])"),
    ({'profile': 'full'}, lambda: torch.arange(1100).reshape(1, 1100)[:, :3],
     "tensor([[0, 1, 2]])"),
]  # fmt: skip


@pytest.mark.parametrize("make, text", CASES, ids=[text[:30] for _, text in CASES])
def test_repr(make, text: str) -> None:
    assert repr(make()) == text


@pytest.mark.parametrize("changes, make, text", OPTIONS, ids=[str(c[0]) for c in OPTIONS])
def test_options(changes: dict, make, text: str) -> None:
    with printoptions(**changes):
        assert repr(make()) == text
    assert get_printoptions()["precision"] == 4


def test_a_profile_leaves_what_it_does_not_name_and_sci_mode_is_forgotten() -> None:
    with printoptions(linewidth=50, sci_mode=True):
        torch.set_printoptions(precision=2)
        assert get_printoptions()["linewidth"] == 50 and get_printoptions()["sci_mode"] is None
        torch.set_printoptions(profile="short")
        assert (get_printoptions()["precision"], get_printoptions()["linewidth"]) == (2, 80)


def test_the_default_dtype_is_not_named() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        assert repr(torch.ones(1)) == "tensor([1.])"
        assert repr(torch.ones(1, dtype=torch.float32)) == "tensor([1.], dtype=torch.float32)"
        assert repr(torch.tensor([1j])) == "tensor([0.+1.j])"
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_class_of_the_users_prints_under_its_name() -> None:
    class Image(torch.Tensor):
        pass

    assert repr(torch.ones(2).as_subclass(Image)) == "Image([1., 1.])"


def test_a_huge_tensor_prints_at_once() -> None:
    tracemalloc.start()
    try:
        text = repr(torch.zeros(1).expand(10**9))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20  # its elements would be 4 GB
    finally:
        tracemalloc.stop()
    assert text == "tensor([0., 0., 0.,  ..., 0., 0., 0.])"


def test_format_of_a_number() -> None:
    assert f"{torch.tensor(1.23456):.2f}" == "1.23"
