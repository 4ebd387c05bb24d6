"""What a stop lets one look at: variables, expressions, values of the past and of now."""

from __future__ import annotations

import warnings

import pytest
from walks import Walk

import framework as torch
from framework import nn
from framework.trace import recording
from framework.trace.gate import Gate, GateError
from framework.trace.protocol import Breakpoint

F = nn.functional


class _Slow:
    def __repr__(self):
        return "one\n  line " + "x" * 1000


class _Bad:
    def __repr__(self):
        raise ValueError("no")


def test_looking_at_a_tensor_gives_no_warning_of_the_users(taped):
    """The debugger reads gradients by itself: under ``-W error`` a warning would end the look."""
    _, gate = taped
    gate.set_breakpoints([Breakpoint(1, op="exp")])
    walk = Walk(gate)
    found = {}

    def look(stop):
        found.update({v.name: v for v in gate.variables(0)})
        found["value"] = gate.evaluate("h", 0)
        found["slice"] = gate.evaluate("h[0]", 0)

    walk.look = look
    x = torch.ones(2, 2, requires_grad=True)
    x.sum().backward()
    kept = x * 3
    kept.retain_grad()
    kept.sum().backward()
    h, view = x * 2, x.t()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        h.exp()
    assert view.shape and len(walk.stops) == 1
    for name in ("x", "h", "view", "kept", "value", "slice"):
        assert found[name].tensor is not None, found[name]
    with_gradients = {name for name, v in found.items() if v.grad is not None}
    assert with_gradients == {"x", "kept"}


def test_variables_and_expressions_are_bounded_lines(taped):
    _, gate = taped
    gate.set_breakpoints([Breakpoint(1, op="exp")])
    walk = Walk(gate)
    found = {}

    def look(stop):
        found.update({v.name: v for v in gate.variables(0)})
        found["comprehension"] = gate.evaluate("sum(n for n in numbers)", 0)
        found["made"] = gate.evaluate("x * 2", 0)
        found["value"] = gate.value(found["made"].tensor.id)
        for expression, reason in [
            ("1 +", "not an expression"),
            ("import os", "not an expression"),
            ("nothing", "NameError: name 'nothing' is not defined"),
            ("exit(3)", "SystemExit: 3"),
            ("1/0", "ZeroDivisionError"),
            ("x" * 20_000, "longer than"),
        ]:
            with pytest.raises(GateError, match=reason) as caught:
                gate.evaluate(expression, 0)
            assert "\n" not in str(caught.value)
        with pytest.raises(GateError, match="no frame 99"):
            gate.variables(99)

    walk.look = look
    x = torch.ones(2, requires_grad=True)
    x.sum().backward()
    slow, bad, numbers, text = _Slow(), _Bad(), list(range(1000)), "a" * 10**6
    x.exp()
    assert (slow, bad, numbers, text) and len(walk.stops) == 1
    assert found["x"].tensor.shape == (2,) and found["x"].grad.id == x.grad._id
    assert found["comprehension"].text == "499500"
    assert found["made"].tensor.shape == (2,) and found["made"].tensor.id >= 1 << 48
    assert found["value"][0].tolist() == [2.0, 2.0]
    for name in ("slow", "bad", "numbers", "text"):
        assert len(found[name].text) <= 120 and "\n" not in found[name].text


def test_values_of_the_past_and_of_now(taped):
    tape, gate = taped
    w = torch.ones(3, requires_grad=True)
    y = w * 2
    before = tape.seq
    with torch.no_grad():
        w += 5
    after = tape.seq
    assert gate.value(w._id, before)[0].tolist() == [1, 1, 1]
    assert gate.value(w._id, after)[0].tolist() == [6, 6, 6]
    assert gate.value(w._id)[0].tolist() == [6, 6, 6]
    assert gate.value(y._id)[1].shape == (3,)
    assert gate.value(999_999) is None


def test_a_live_leaf_stands_in_for_a_value_that_was_dropped():
    w = torch.ones(1000)
    with recording(budget=1000) as tape:
        gate = Gate(tape)
        w * 2
        w * 3
        early = tape.seq
        w.mul_(2)
        assert gate.value(w._id, tape.seq)[0][0] == 2
        w * 4
        torch.ones(1000) * 5
        late = tape.seq
        found = gate.value(w._id, late)
        assert found is not None and found[0][0] == 2
        if tape.values.get(w._id, early) is None:
            assert gate.value(w._id, early) is None
