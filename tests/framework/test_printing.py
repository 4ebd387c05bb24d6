"""How tensors print; the expected texts are PyTorch 2.13's."""

from __future__ import annotations

import pytest

import framework as torch

CASES = [
    (lambda: torch.tensor([[1.0, 2.0], [3.0, 4.5]]),
     "tensor([[1.0000, 2.0000],\n        [3.0000, 4.5000]])"),
    (lambda: torch.tensor(3), "tensor(3)"),
    (lambda: torch.tensor([]), "tensor([])"),
    (lambda: torch.zeros(2, 0), "tensor([], size=(2, 0))"),
    (lambda: torch.tensor([True, False]), "tensor([ True, False])"),
    (lambda: torch.tensor([1e-8, 1.0, 1e8]), "tensor([1.0000e-08, 1.0000e+00, 1.0000e+08])"),
    (lambda: torch.tensor([1.5, float("nan"), float("inf")]), "tensor([1.5000,    nan,    inf])"),
    (lambda: torch.tensor([1, 2], dtype=torch.int32), "tensor([1, 2], dtype=torch.int32)"),
    (lambda: torch.ones(2, requires_grad=True), "tensor([1., 1.], requires_grad=True)"),
    (lambda: torch.ones(2, requires_grad=True) * 2, "tensor([2., 2.], grad_fn=<MulBackward0>)"),
    (lambda: torch.tensor([1.0, 2.0], dtype=torch.float64),
     "tensor([1., 2.], dtype=torch.float64)"),
    (lambda: torch.arange(2000), "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])"),
    (lambda: torch.tensor([[1, -2], [30, 4]]), "tensor([[ 1, -2],\n        [30,  4]])"),
]  # fmt: skip


@pytest.mark.parametrize("make, text", CASES, ids=[text[:30] for _, text in CASES])
def test_repr(make, text: str) -> None:
    assert repr(make()) == text


def test_a_huge_tensor_prints_at_once() -> None:
    text = repr(torch.zeros(1).expand(10**9))
    assert text == "tensor([0., 0., 0.,  ..., 0., 0., 0.])"


def test_format_of_a_number() -> None:
    assert f"{torch.tensor(1.23456):.2f}" == "1.23"
