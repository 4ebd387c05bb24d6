"""What a recorder that keeps no values records: the structure of the run."""

from __future__ import annotations

import gc

import pytest

import framework as torch
from framework.trace import recording
from framework.trace.events import Grad, Leaf, NodeBegin, NodeEnd, Op


def within_nodes(tape) -> list[str]:
    """Names of the ops that ran inside a backward node."""
    found, open_nodes = [], 0
    for event in tape.read():
        if isinstance(event, NodeBegin):
            open_nodes += 1
        elif isinstance(event, NodeEnd):
            open_nodes -= 1
        elif isinstance(event, Op) and open_nodes:
            found.append(event.name)
    assert open_nodes == 0
    return found


def model(x):
    return (x * 2.0).tanh().sum()


def test_ops_of_built_in_rules_are_left_out_and_gradients_are_not() -> None:
    plain = torch.tensor([0.1, 0.2], requires_grad=True)
    model(plain).backward()
    x = torch.tensor([0.1, 0.2], requires_grad=True)
    with recording(keep="none") as tape:
        model(x).backward()
    assert within_nodes(tape) == []
    assert torch.equal(x.grad, plain.grad)
    events = tape.read()
    begins = [e for e in events if isinstance(e, NodeBegin)]
    ends = [e for e in events if isinstance(e, NodeEnd)]
    assert [b.name for b in begins] == ["sum", "tanh", "mul"]
    for end, begin in zip(ends, begins[1:]):  # what a node sends is what the next one gets
        assert end.grad_out[0] == begin.grad_in[0] and end.grad_out[0].id
        assert end.grad_out[0].shape == (2,) and end.grad_out[0].dtype == "float32"
    (grad,) = [e for e in events if isinstance(e, Grad)]
    assert grad.arrived.id == ends[-1].grad_out[0].id
    assert len([e for e in events if isinstance(e, Leaf)]) == 1  # x: a gradient is no leaf


def test_with_values_they_are_recorded() -> None:
    x = torch.tensor([0.1, 0.2], requires_grad=True)
    with recording(keep="all") as tape:
        model(x).backward()
    assert "mul" in within_nodes(tape)


def test_a_graph_of_the_gradient_is_recorded() -> None:
    x = torch.tensor([0.1, 0.2], requires_grad=True)
    with recording(keep="none") as tape:
        (g,) = torch.autograd.grad(model(x), x, create_graph=True)
        g.sum().backward()
    assert "mul" in within_nodes(tape)


def test_the_users_own_code_is_recorded() -> None:
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return torch.add(g, g)

    x = torch.tensor([0.1, 0.2], requires_grad=True)
    x.register_hook(lambda g: torch.clamp(g, max=1.0))
    y = Double.apply(x)
    y.register_hook(lambda g: torch.exp(g))
    with recording(keep="none") as tape:
        Double.apply(x).tanh().sum().backward()
    assert "add" in within_nodes(tape) and "clamp" in within_nodes(tape)
    with recording(keep="none") as tape:
        y.sum().backward()
    names = [e.name for e in tape.read() if isinstance(e, Op)]
    assert "exp" in names and "add" in names


def test_a_debugger_that_steps_sees_them() -> None:
    x = torch.tensor([0.1, 0.2], requires_grad=True)
    with recording(keep="none") as tape:
        loss = model(x)
        tape.armed = tape.inner = True
        tape.gate = _Watching()
        loss.backward()
    assert "mul" in within_nodes(tape)


class _Watching:
    """A gate that looks at events and never stops."""

    def event(self, raw, tensors) -> None:
        pass

    def error(self, kind, error) -> None:
        pass


def test_an_error_in_a_rule_ends_its_node_and_tracing_goes_on() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    with recording(keep="none") as tape:
        y = x.exp()
        z = (y * y).sum()
        with torch.no_grad():
            y.zero_()
        try:
            z.backward()
        except RuntimeError as error:
            assert "modified by an inplace" in str(error)
        else:
            raise AssertionError("a changed saved tensor must be refused")
        torch.ones(1)
    events = tape.read()
    assert within_nodes(tape) == []
    assert [e.error for e in events if isinstance(e, NodeEnd) and e.error]
    assert isinstance(events[-1], Op) and events[-1].name == "ones"


@pytest.mark.parametrize("keep", ["none", "all"])
def test_the_garbage_collector_lets_go_of_records(keep: str) -> None:
    w = torch.ones(3, 3, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1, momentum=0.9)
    with recording(keep=keep) as tape:
        gc.collect()  # what lives as long as the tape is old from now on, as in a long run
        for _ in range(3):
            optimizer.zero_grad()
            a, b = w * 2.0, w.exp()
            (torch.cat([b, a]) @ w).sum(dim=1, keepdim=True).tanh().sum().backward()
            optimizer.step()
    for _ in range(3):  # the third for a number among the operands, which has a tuple of its own
        gc.collect()
    raws = [raw for raw in tape.ring if raw is not None]
    # A slice, which an index is made of, is never let go.
    tracked = [raw for raw in raws if gc.is_tracked(raw) and raw[4] != "getitem"]
    assert len(raws) > 40 and tracked == []


def test_a_kept_value_is_nothing_for_the_garbage_collector() -> None:
    with recording() as tape:
        gc.collect()
        y = torch.ones(3).exp()
    gc.collect()
    assert tape.values is not None
    entry = tape.values._entries[y._id]
    assert entry.__class__ is tuple and not gc.is_tracked(entry)
