"""Type promotion: PyTorch's table and its ranks of tensors, 0-d tensors and Python scalars."""

from __future__ import annotations

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
