"""What the program calls tensors, from the source and the tape."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

import framework as torch
from framework import nn
from framework.trace import recording
from framework.trace.events import CellEnd, Mark, Op
from viewers.graph.rows import Outline
from viewers.graph.store import TraceStore
from viewers.names import Names, targets
from viewers.text import plain


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 6)

    def forward(self, value):
        hidden = torch.relu(self.inner(value))
        left, right = hidden.chunk(2, dim=1)
        return left + right


def names_of(tape) -> tuple[TraceStore, dict[int, str]]:
    store = TraceStore()
    last = tape.seq
    store.feed([*tape.read(), Mark(last + 1, 0, "end")])
    text = Path(__file__).read_text().split("\n")
    known: dict[int, str] = {}
    for step in store.steps:
        step.done = True
        names = Names(store, step, lambda file: text, known)
        while names.follow(most=3):
            pass
        assert names.over
    return store, known


def test_results_have_the_names_that_the_program_gives_them() -> None:
    torch.manual_seed(0)
    block = Block()
    with recording() as tape:
        x = torch.randn(2, 4)
        out = block(x)
        total = 0.0
        for i in range(2):
            scaled = out * (i + 1)
            total = total + scaled.sum()
        loss = nn.functional.mse_loss(
            out,
            torch.zeros(2, 3),
        )
    ids = {"x": x, "out": out, "scaled": scaled, "total": total, "loss": loss}
    store, known = names_of(tape)
    for name, tensor in ids.items():
        assert known.get(tensor._id) == name, (name, known)
    by_name: dict[str, list[str]] = {}
    for event in store.tape:
        if isinstance(event, Op):
            for meta in event.outputs:
                by_name.setdefault(known.get(meta.id, ""), []).append(event.name)
    assert by_name["hidden"] == ["relu"]
    assert by_name["scaled"] == ["mul", "mul"] and by_name["total"] == ["add", "add"]
    assert len(by_name["left"]) == len(by_name["right"]) == 1
    assert "linear" in by_name[""] and "zeros" in by_name[""], "what is not assigned has no name"

    outline = Outline(store.graph(store.steps[0]), depth=9)
    outline.names = known
    rows = [plain(outline.line(i, 100)) for i in range(len(outline))]
    assert any("relu → hidden" in row for row in rows), rows
    assert any("→ loss" in row for row in rows)
    assert [rows[i] for i in outline.find("hidden")] == [r for r in rows if "→ hidden" in r]


class Stack(nn.Module):
    """Its forward has the name of that of its parts, in the same file, as in most programs."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(nn.Linear(4, 4), Residual(), Residual())
        self.head = nn.Linear(4, 2)

    def forward(self, value):
        logits = self.head(self.blocks(value))
        return logits * 2


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, value):
        value = value + self.inner(value)
        return value.relu()


def test_a_part_of_a_model_is_not_called_as_what_the_whole_of_the_line_is() -> None:
    with recording() as tape:
        Stack()(torch.randn(2, 4))
    store, known = names_of(tape)
    made = {}
    for event in store.tape:
        if isinstance(event, Op) and event.phase == "forward":
            for meta in event.outputs:
                made.setdefault(known.get(meta.id, ""), []).append((event.name, meta.shape))
    assert made["logits"] == [("linear", (2, 2))], made
    assert made["value"] == [("add", (2, 4))] * 2, made


def test_a_line_that_broke_off_has_assigned_nothing() -> None:
    with recording() as tape:
        x = torch.ones(2)
        first = x.sum()
        with suppress(RuntimeError):
            second = (x * 2) @ torch.ones(3)
            second.sum()
    store = TraceStore()
    events = tape.read()
    last = tape.seq
    store.feed([*events, CellEnd(last + 1, 0, 0, "RuntimeError")])
    text = Path(__file__).read_text().split("\n")
    known: dict[int, str] = {}
    for step in store.steps:
        step.done = True
        names = Names(store, step, lambda file: text, known)
        while names.follow():
            pass
    assert "second" not in known.values(), known
    assert known.get(first._id) == "first"


@pytest.mark.parametrize("text", ["x = (", "\x00", "x = " + "(" * 5000, "x[0] = 1\nf(x).y = 2"])
def test_what_is_no_plain_assignment_has_no_names(text: str) -> None:
    assert targets(text) == {}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("y = x.sum().item()", ()),
        ("model = nn.Linear(3, 4)", ()),
        ("w = nn.Parameter(torch.ones(3))", ("w",)),
        ("n = int((a == b).sum())", ()),
        ("rows = [f(x) for x in data]", ()),
        ("y = x.sum()", ("y",)),
        ("y = sum(xs)", ()),
        ("self.h = torch.tanh(x)", ("self.h",)),
        ("a, b = x.chunk(2)", ("a", "b")),
        ("x += y", ("x",)),
        ("flag = x.sum().item() > 3", ()),
        ("flag = (x > 0).any() in seen", ()),
        ("flag = not (x > 0).any()", ()),
        ("same = torch.equal(x, y)", ()),
        ("accuracy = (a == b).sum().item() / len(b)", ()),
        ("n = f(x).shape[0]", ()),
        ("n = f(x).numel() * 2", ()),
        ("value = round(x.mean().item(), 3)", ()),
        ("good = all((x > 0).tolist())", ()),
        ("mask = x > 0", ("mask",)),
        ("y = x * y.sum().item()", ("y",)),
        ("y = -x[0]", ("y",)),
        ("y = round(x)", ("y",)),
        ("y = f(x) if train else x.item()", ("y",)),
    ],
)
def test_which_assignments_may_name_a_tensor(text: str, names: tuple[str, ...]) -> None:
    found = targets(text)
    assert (found[1][1] if found else ()) == names


def test_numbers_and_booleans_are_not_taken_for_what_they_were_made_of() -> None:
    with recording() as tape:
        x = torch.randn(2, 4)
        good = (x > 9).sum().item() + 1
        total = 0
        total = total + (x > 0).sum().item()
        large = x.abs().max() > 0.0
        done = x.abs().max().item() > 100
        half = x * x.sum().item()
        more = total < x.mean()
        fewer = x.sum().item() < total
    assert (type(good), type(total), type(done), type(fewer)) == (int, int, bool, bool)
    _, known = names_of(tape)
    made = {"x": x, "large": large, "half": half, "more": more}
    assert {name: known.get(tensor._id) for name, tensor in made.items()} == {n: n for n in made}
    assert not {"good", "total", "done", "fewer"} & set(known.values()), known


def _negative(p):
    return -(p * 2).sum()


def _shifted(p):
    q = p + 1
    return q.clone().add(0)[0]


def test_what_a_function_of_the_program_returns_is_no_argument_of_it() -> None:
    """The op at the line of the call is an argument; what is assigned was made in the function."""
    with recording() as tape:
        x = torch.ones(4)
        loss = _negative(x[1:])
        other = _shifted(x[:2])
        both = _negative(x[2:]) + _negative(x[:1])
        after = x.exp()
    store, known = names_of(tape)
    made = {e.outputs[0].id: e.name for e in store.tape if isinstance(e, Op)}
    assert {name: made[tensor] for tensor, name in known.items() if tensor in made} == {
        "x": "ones", "loss": "neg", "q": "add", "both": "add", "after": "exp",
    }, "of `other` it is not certain which"  # fmt: skip
    assert loss.ndim == other.ndim == both.ndim == 0 and after.ndim == 1


def test_what_a_line_writes_in_place_is_not_what_it_made_before() -> None:
    """``w -= 0.5 * g``: the product is not called w; what `abs_` wrote into is what was made."""
    with recording() as tape:
        w, g = torch.ones(2), torch.full((2,), 3.0)
        w -= 0.5 * g
        positive = (w + 1).abs_()
    store, known = names_of(tape)
    (product,) = [e for e in store.tape if isinstance(e, Op) and e.name == "mul"]
    assert product.outputs[0].id not in known
    assert known[positive._id] == "positive"
