"""The gradient check of one op by finite differences, where there is something to compare."""

from __future__ import annotations

import numpy as np
import pytest

import framework as torch
from framework.trace import recording
from framework.trace.check import CheckError, check_call, check_node, check_recorded
from framework.trace.events import NodeEnd, Op
from framework.trace.explain import array_in


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


def test_a_loss_without_dimensions_is_checked_like_any_other() -> None:
    """Each op of it, each node, and each from a recording's plain values."""
    with recording(keep="all") as tape:
        x = torch.tensor([0.5, 2.0], requires_grad=True)
        loss = -(x * x).mean() / 2 + x.prod().exp()
        loss.reshape(1).sum().backward()
    events = tape.read()
    made = [e for e in events if (isinstance(e, Op) and e.node) or isinstance(e, NodeEnd)]
    assert len(made) > 12
    for event in made:
        assert check_node(tape, event.seq).ok, event
        assert check_recorded(events, lambda i, at: array_in(tape, i, at), event.seq).ok, event


def test_what_cannot_be_called_again_is_one_line() -> None:
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            if x.dtype != torch.float32:
                raise TypeError("float32\nonly")
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g

    with recording(keep="all") as tape:
        x = torch.ones(2, requires_grad=True)
        Once.apply(x)
        once = tape.seq
        torch.stack([x, x])
    with pytest.raises(CheckError, match="Once: it cannot be called again in float64: TypeError"):
        check_node(tape, once)
    with pytest.raises(CheckError, match="stack takes a list of tensors: check the ops that it is"):
        check_node(tape, tape.seq)


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
