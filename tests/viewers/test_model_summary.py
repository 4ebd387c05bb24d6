"""The table of modules, against what is known by hand and what the model itself says."""

from __future__ import annotations

import pytest
from rich.console import Console

import framework as torch
from framework import nn
from framework.trace import recording
from framework.trace.events import Op
from framework.trace.saved import saved_by
from viewers import summarize, summary_of
from viewers.flops import FORMULAS, flops
from viewers.graph.store import TraceStore


def net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


def test_shapes_parameters_and_flops() -> None:
    made = summarize(net(), torch.randn(2, 1, 8, 8))
    rows = {row.path: row for row in made.rows}
    assert {p: (r.cls, r.shape) for p, r in rows.items() if p != "(outside of modules)"} == {
        "model": ("Sequential", "f32[2,10]"),
        "model.0": ("Conv2d", "f32[2,4,8,8]"),
        "model.1": ("BatchNorm2d", "f32[2,4,8,8]"),
        "model.2": ("ReLU", "f32[2,4,8,8]"),
        "model.3": ("MaxPool2d", "f32[2,4,4,4]"),
        "model.4": ("Flatten", "f32[2,64]"),
        "model.5": ("Linear", "f32[2,10]"),
    }
    assert rows["model.0"].parameters == 4 * 9 + 4
    assert rows["model.0"].flops == 2 * 4 * 64 * (2 * 9 + 1)
    assert rows["model.5"].flops == 2 * 10 * (2 * 64 + 1)
    assert rows["model.3"].flops == 2 * 4 * 16 * 4
    assert rows["model"].parameters == made.total.parameters == 40 + 8 + 650
    assert rows["model"].buffers.keys() >= rows["model.1"].buffers.keys() != set()


def test_frozen_parameters_are_told_apart() -> None:
    model = net()
    for p in model[0].parameters():
        p.requires_grad_(False)
    made = summarize(model, torch.randn(2, 1, 8, 8))
    assert made.total.trainable == 8 + 650
    row = next(line for line in made.lines() if "0 Conv2d" in line)
    assert "40 fixed" in row


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(net(), nn.Dropout(0.5))
    x = torch.randn(2, 1, 8, 8)
    model(x).sum().backward()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    grads = [p.grad for p in model.parameters()]
    values = [g.clone() for g in grads]
    state = torch.get_rng_state()
    summarize(model, x)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.grad is g for p, g in zip(model.parameters(), grads))
    assert all(torch.equal(g, v) for g, v in zip(grads, values))


def test_what_is_saved_for_backward_is_what_the_nodes_hold() -> None:
    model = net()
    with recording() as tape:
        out = model(torch.randn(2, 1, 8, 8)).log_softmax(1).exp().sum()
    metas = {m.id: m for e in tape.read() if isinstance(e, Op) for m in e.outputs}
    ops = {e.seq: e for e in tape.read() if isinstance(e, Op) and e.node}

    def wants(tensor: int) -> bool:
        return tensor not in metas or metas[tensor].requires_grad

    todo, seen = [out.grad_fn], set()
    while todo:
        node = todo.pop()
        if id(node) in seen or getattr(node, "origin", None) is None:
            continue
        seen.add(id(node))
        todo += [n for n, _ in node.next_functions]
        op = ops[node.origin[0]]
        assert len(saved_by(op, wants)) == len(list(node.held())), op.name
    assert len(seen) > 6


def test_each_tensor_counts_once_and_parameters_do_not() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    made = summarize(model, torch.randn(8, 4))
    rows = {row.path: row for row in made.rows}
    assert rows["model.0"].saved == rows["model.1"].saved == 8 * 4 * 4, "their inputs"
    relu = nn.Sequential(nn.ReLU(), nn.Linear(4, 4))
    x = torch.randn(8, 4).requires_grad_()
    shared = {row.path: row.saved for row in summarize(relu, x).rows}
    assert (shared["model.0"], shared["model.1"]) == (128, 0), "relu's result is linear's input"


def test_a_write_through_a_view_does_not_go_in_circles() -> None:
    w = torch.ones(4, requires_grad=True)
    with recording() as tape:
        a = w * 2
        a[:2] *= 5
        a.reshape(2, 2)[0].mul_(3)
        a.exp().sum().backward()
    store = TraceStore()
    store.feed(tape.read())
    assert summary_of(store).total.saved > 0


def test_in_the_middle_of_a_forward_all_parameters_count() -> None:
    """Those of a module in which the tape ends, called yet or not; and the title says so."""
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Sequential(nn.Linear(16, 4)))
    with recording() as tape:
        model(torch.randn(3, 8))
    events = tape.read()
    for last in range(1, len(events) + 1):
        store = TraceStore()
        store.feed(events[:last])
        if not any(getattr(event, "path", "") == "model" for event in events[:last]):
            continue
        made = summary_of(store, store.steps[-1])
        assert made.total.parameters == 212, last
        assert ("up to here" in made.title) == (last < len(events))


def test_depth_calls_and_what_has_no_formula() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(self.inner(x)).sort(1)[0]

    made = summarize(Twice(), torch.randn(2, 4), depth=1)
    assert made.uncounted == {"sort": 1}
    assert next(r for r in made.rows if r.path == "model.inner").calls == 2
    assert not any("inner" in line for line in made.lines())
    assert "not counted as FLOPs: sort" in str(made)


def test_reprs() -> None:
    made = summarize(nn.Linear(2, 3), torch.randn(1, 2))
    assert "<table>" in made._repr_html_() and "9" in made._repr_html_()
    console = Console(width=120, record=True, file=None, quiet=True)
    console.print(made)
    assert repr(made) == "\n".join(made.lines())
    assert max(map(len, made.lines(40))) <= 100
    rows = {line.split()[0] for line in made.op_lines() if line}
    assert {"linear", "total"} <= rows


@pytest.mark.parametrize("name", FORMULAS)
def test_every_formula_has_a_source_and_stands_bad_shapes(name: str) -> None:
    assert FORMULAS[name].source
    for shapes in ([], [()], [(0,)], [(3, 4, 5), (5, 4, 3), (3,)]):
        found = flops(name, shapes, shapes[:1], {})
        assert found is None or found >= 0
