"""What parameters are called: by all modules that share them, and where no module has them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import framework as torch
from framework import nn, trace
from framework.trace.events import Event, Grad, Leaf, ParamUpdate
from viewers.graph.store import TraceStore
from viewers.text import lineage, plain


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(6, 4)
        self.hidden = nn.Linear(4, 4)
        self.head = nn.Linear(4, 6, bias=False)
        self.head.weight = self.emb.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.hidden(self.emb(x)))


def step_of(model: nn.Module) -> Callable[[], None]:
    """A training step, whose model is called `model`."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step() -> None:
        optimizer.zero_grad()
        model(torch.arange(6)).pow(2).mean().backward()
        optimizer.step()

    return step


def leaves(events: list[Event]) -> dict[str, Leaf]:
    return {e.name: e for e in events if isinstance(e, Leaf) and e.role != "input"}


def test_a_tied_parameter_has_the_names_of_both_modules() -> None:
    with trace.recording() as tape:
        step_of(Tied())()
    found = leaves(tape.read())
    assert found["model.emb.weight"].also == ("model.head.weight",)
    assert found["model.hidden.weight"].also == ()
    assert "model.head.weight" not in found


def test_a_shared_module_gives_its_parameters_both_names() -> None:
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    with trace.recording() as tape:
        model(torch.ones(1, 2))
    assert leaves(tape.read())["model.0.weight"].also == ("model.2.weight",)


def test_modules_that_hold_each_other_are_named_once() -> None:
    class Part(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.weight

    model, inner = Part(), Part()
    model.inner, inner.outer = inner, model
    with trace.recording() as tape:
        model(torch.ones(2))
    found = leaves(tape.read())
    assert {"model.weight", "model.inner.weight"} == set(found)


def test_within_another_root_it_has_another_name() -> None:
    """A part that was called alone before the whole keeps its name, and gets that of the whole."""
    inner = nn.Linear(2, 2)
    outer = nn.Sequential(inner)
    with trace.recording() as tape:
        inner(torch.ones(1, 2))
        outer(torch.ones(1, 2))
        outer(torch.ones(1, 2))
    told = [e for e in tape.read() if isinstance(e, Leaf) and e.name == "inner.weight"]
    assert [e.also for e in told] == [(), ("outer.0.weight",)]


def test_a_model_that_is_made_anew_without_the_tie() -> None:
    store = TraceStore()
    with trace.recording() as tape:
        model = Tied()
        model(torch.arange(6))
        model = Tied()
        model.head.weight = nn.Parameter(torch.ones(6, 4))
        model(torch.arange(6))
    store.feed(tape.read())
    assert store.naming.find("model.head.weight") == "model.head.weight"
    assert store.naming.others("model.emb.weight") == ()


@pytest.mark.parametrize("name", ["model.head.weight", "head.weight", "emb.weight", "/head.w/"])
@pytest.mark.parametrize("line", ["grad {} norm > 0", "update {} absmax > 0"])
def test_a_breakpoint_names_it_by_any_name_or_its_end(line: str, name: str) -> None:
    seen = []
    with trace.break_on(line.format(name), do=lambda stop: seen.append(stop.message)):
        step_of(Tied())()
    assert len(seen) == 1 and "model.emb.weight" in seen[0]


def test_a_breakpoint_in_a_module_without_its_root() -> None:
    seen = []
    with trace.break_on("op linear in hidden", do=lambda stop: seen.append(stop.seq)):
        step_of(Tied())()
    assert len(seen) == 1


def test_a_breakpoint_whose_name_several_end_in_says_which() -> None:
    with trace.break_on(
        "grad weight norm > 0", do=lambda stop: pytest.fail("it is of two")
    ) as gate:
        step_of(Tied())()
        (point,) = gate.breakpoints
    assert point.error == "2 names end in 'weight': model.emb.weight, model.hidden.weight"


def test_parameters_of_no_module_are_called_as_the_program_calls_them() -> None:
    """Made by an op of the trace, in a list, or by nothing that one could name."""

    def loop(optimizer: torch.optim.Optimizer, loss: Callable[[], torch.Tensor]) -> None:
        for _ in range(2):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()

    with trace.recording() as tape:
        w = torch.randn(3, requires_grad=True)
        several = [torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)]
        hidden = (lambda p: lambda: p)(nn.Parameter(torch.ones(3)))
        optimizer = torch.optim.Adam([w, *several, hidden()])
        loop(optimizer, lambda: (w * hidden() * several[1]).sum() + several[0].sum())
    events = tape.read()
    updates = [e.name for e in events if isinstance(e, ParamUpdate)]
    assert updates[:3] == ["w", "several.0", "several.1"] and updates[4:] == updates[:4]
    assert updates[3] and set(leaves(events)) == set(updates)
    assert "w" in {e.name for e in events if isinstance(e, Grad)}


def test_what_uses_a_parameter_of_no_module_is_found_in_later_steps() -> None:
    with trace.recording() as tape:
        w = torch.ones(3, requires_grad=True)
        optimizer = torch.optim.SGD([w], lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            (w * 2).sum().backward()
            optimizer.step()
    store = TraceStore()
    store.feed(tape.read())
    for step in (2, 3):
        tree = [plain(line).split("  ")[0] for line, _ in lineage(store, "w", True, 1, step=step)]
        assert "├ mul" in tree or "└ mul" in tree, tree


def test_a_list_of_modules_has_a_name_though_nothing_calls_it() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for block in self.blocks:
                x = block(x)
            return x

    net = Net()
    with trace.recording() as tape:
        net(torch.ones(1, 2))
    assert tape.naming.find("blocks") == "net.blocks" and tape.naming.find("block") == ""
    assert tape.naming.spelled("blocks/linear#2") == "net.blocks/linear#2"


def test_a_trace_that_begins_between_backward_and_the_step_has_the_module_s_names() -> None:
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.ones(1, 2)).sum().backward()
    with trace.recording() as tape:
        optimizer.step()
    assert [e.name for e in tape.read() if isinstance(e, ParamUpdate)] == [
        "model.weight", "model.bias",
    ]  # fmt: skip


def test_what_an_optimizer_writes_has_names_though_the_beginning_is_gone() -> None:
    """Who attaches late has no `Leaf` of a parameter; what is told of it later has its name."""
    step = step_of(Tied())
    with trace.recording() as tape:
        step()
        first = tape.seq + 1
        step()
    store = TraceStore()
    store.feed([e for e in tape.read() if e.seq >= first])
    written = [i for e in store.tape if type(e).__name__ == "Write" for i in e.tensors]
    assert written and all(store.name(i).startswith("model.") for i in written)
