"""Type promotion: PyTorch's table and its ranks of tensors, 0-d tensors and Python scalars."""

from __future__ import annotations

import math

import pytest

import framework as torch

# promote_types of PyTorch 2.13 over these, row by row; one letter per type.
LETTERS = {
    "b": torch.bool, "u": torch.uint8, "1": torch.int8, "2": torch.int16, "4": torch.int32,
    "8": torch.int64, "h": torch.float16, "g": torch.bfloat16, "f": torch.float32,
    "d": torch.float64, "F": torch.complex64, "D": torch.complex128,
}  # fmt: skip
TABLE = {
    "b": "bu1248hgfdFD",
    "u": "uu2248hgfdFD",
    "1": "121248hgfdFD",
    "2": "222248hgfdFD",
    "4": "444448hgfdFD",
    "8": "888888hgfdFD",
    "h": "hhhhhhhffdFD",
    "g": "ggggggfgfdFD",
    "f": "fffffffffdFD",
    "d": "ddddddddddDD",
    "F": "FFFFFFFFFDFD",
    "D": "DDDDDDDDDDDD",
}


@pytest.mark.parametrize("row", TABLE)
def test_promote_types(row: str) -> None:
    found = "".join(
        next(k for k, v in LETTERS.items() if v is torch.promote_types(LETTERS[row], d))
        for d in LETTERS.values()
    )
    assert found == TABLE[row]


@pytest.mark.parametrize(
    "a, b, expected",
    [
        (torch.ones(2, dtype=torch.int32), 2, torch.int32),
        (torch.ones(2, dtype=torch.int32), 2.5, torch.float32),
        (torch.ones(2, dtype=torch.bool), 1, torch.int64),
        (torch.ones(2, dtype=torch.float16), 2.5, torch.float16),
        (torch.ones(2, dtype=torch.bfloat16), 2, torch.bfloat16),
        (torch.ones(2, dtype=torch.float32), torch.tensor(1.0, dtype=torch.float64), torch.float32),
        (torch.ones(2, dtype=torch.int8), torch.tensor(5, dtype=torch.int64), torch.int8),
        (torch.ones(2, dtype=torch.int8), torch.tensor(5.0, dtype=torch.float64), torch.float64),
        (torch.tensor(1), torch.tensor(1.0), torch.float32),
        (torch.ones(2, dtype=torch.int32), torch.ones(2, dtype=torch.float32), torch.float32),
        (torch.ones(2), 1j, torch.complex64),
    ],
)
def test_the_result_of_adding(a, b, expected) -> None:
    assert torch.result_type(a, b) is expected
    assert (a + b).dtype is expected
    assert (b + a).dtype is expected


def test_integer_division_gives_the_default_type() -> None:
    assert (torch.tensor([1, 2]) / 2).dtype is torch.float32
    assert (torch.tensor([1, 2]) // 2).dtype is torch.int64
    assert (torch.tensor([7]) / torch.tensor([2])).item() == 3.5


def test_integers_wrap_instead_of_raising() -> None:
    assert (torch.tensor([250], dtype=torch.uint8) + 10).item() == 4
    assert (torch.tensor([1], dtype=torch.int8) * 300).item() == 44


def test_reductions_of_integers_are_int64_and_never_numpy_scalars() -> None:
    total = torch.ones(3, dtype=torch.int8).sum()
    assert total.dtype is torch.int64
    assert type(total._data).__name__ == "ndarray"
    assert type((torch.tensor(1.0) + torch.tensor(2.0))._data).__name__ == "ndarray"


def test_in_place_refuses_a_type_that_cannot_be_cast() -> None:
    x = torch.ones(2, dtype=torch.int64)
    with pytest.raises(RuntimeError, match="can't be cast to the desired output type"):
        x += 1.5
    assert x.tolist() == [1, 1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("number", [2, -3, 2.5, -0.0, 1e-50, 1e38, 10**30, math.inf, math.nan])
@pytest.mark.parametrize("name", ["add", "sub", "mul", "div"])
def test_a_number_beside_a_tensor_is_a_tensor_of_its_dtype(name, number, dtype) -> None:
    op = getattr(torch, name)
    for x in (torch.tensor([1.5, -2.0, 0.0], dtype=dtype), torch.tensor(3.0, dtype=dtype)):
        filled = torch.full_like(x, number)
        for shape in (x, x.view(x.shape)):  # a view goes the longer way
            got = op(shape, number)
            assert got.dtype is dtype
            torch.testing.assert_close(got, op(x, filled), rtol=0, atol=0, equal_nan=True)
        x.requires_grad_()
        y = op(x, number).sum()
        assert y.requires_grad
        y.backward()
        other = x.detach().clone().requires_grad_()
        op(other, filled).sum().backward()
        torch.testing.assert_close(x.grad, other.grad, rtol=0, atol=0, equal_nan=True)


def test_a_number_before_a_tensor() -> None:
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    (1 - x).sum().backward()
    assert x.grad.tolist() == [-1.0, -1.0]
    assert (6 / x).tolist() == [6.0, -3.0] and (6 / x).dtype is torch.float32
