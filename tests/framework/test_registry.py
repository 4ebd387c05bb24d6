"""The tables of ops and of public functions: each name once."""

from __future__ import annotations

import pytest

import framework as torch
from framework.core.registry import FUNCTIONS, OPS, function, op


def test_an_op_cannot_be_registered_twice() -> None:
    with pytest.raises(ValueError, match="op 'mul' is registered twice"):
        op("mul", OPS["mul"].kernel, "ab")


@pytest.mark.parametrize(
    "options, place", [({}, "add"), ({"namespaces": ("linalg",), "method": "add"}, "Tensor.add")]
)
def test_a_function_cannot_be_published_twice(options, place: str) -> None:
    def add(input):
        return input

    count = len(FUNCTIONS)
    with pytest.raises(ValueError, match=f"{place} is published twice"):
        function(**options)(add)
    assert len(FUNCTIONS) == count


def test_public_functions_are_listed_before_they_are_made() -> None:
    assert "addcmul" in dir(torch) and "addcmul" in torch.__all__
    assert "svd" in dir(torch.linalg) and torch.linalg.svd is torch.linalg.svd
    with pytest.raises(
        AttributeError, match=r"module 'framework\.linalg' has no attribute 'nothing'"
    ):
        torch.linalg.nothing
