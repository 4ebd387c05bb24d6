"""The gradient check of one op by finite differences, where there is something to compare."""

from __future__ import annotations

import numpy as np
import pytest

import framework as torch
from framework.trace.check import CheckError, check_call


def test_a_right_rule_agrees_and_a_wrong_one_does_not() -> None:
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * x

        @staticmethod
        def backward(ctx, g):
            return g * 3

    x = np.array([0.5, 2.0], np.float32)
    assert check_call(lambda a: a * a, [x], "mul").ok
    found = check_call(Wrong.apply, [x], "Wrong")
    assert not found.ok and "DIFFERS" in str(found)


@pytest.mark.parametrize(
    "call, args, words",
    [
        (lambda a, b: a / b, [np.zeros(2), np.zeros(2)], "div: its result is not finite here"),
        (lambda a, b: a / b, [np.full(2, np.nan), np.ones(2)], "div: an input is not finite"),
        (lambda a, b: a / b, [np.zeros(2, int), np.ones(2, int)], "no floating-point input"),
    ],
)
def test_where_there_is_no_derivative_it_says_so(call, args, words: str) -> None:
    with pytest.raises(CheckError, match=words):
        check_call(call, args, "div")
