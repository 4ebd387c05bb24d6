"""Rows of the debugger's checklist that are keys: each is pressed, and what it did is looked at."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from test_explain import report
from ui_driver import MLP, Driver, program, write

from framework.trace.conditions import CONDITIONS
from framework.trace.events import (
    CellEnd,
    ModuleBegin,
    ModuleEnd,
    NodeBegin,
    NodeEnd,
    OptimEnd,
)

SIZES = [(120, 40), (80, 24)]


async def at_model(d: Driver, text: str = "in model.0 once") -> None:
    """The model stands where the line of a breakpoint says."""
    await d.press("B", *text, "enter", "f6")
    await d.stopped()


async def line_step(d: Driver, key: str = "l") -> None:
    """To a line, which may have no event of its own."""
    epoch = d.session.epoch
    await d.press(key)
    await d.until(lambda: d.session.epoch > epoch + 1, "the line")
    await d.stopped()


def subject(d: Driver) -> tuple[str, str, str]:
    """What the cursor is at: its kind, its name or path, its phase."""
    moment = d.session.moment
    event = moment.subject
    name = getattr(event, "name", "") or getattr(event, "path", "") or getattr(event, "cls", "")
    return type(event).__name__, name, moment.phase


# -- B1 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_into_and_out_of_a_module_a_composite_op_and_a_node(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """`s` and `f`, forward and backward, with the screen at the place where the model stands."""

    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), size) as d:
            session = d.session
            await at_model(d, "op relu once")
            await d.step("n")  # the last layer
            assert subject(d)[1] == "linear"

            await d.step("s")  # into the loss: first its module, or at once its own first op
            while not any(type(e).__name__ == "OpBegin" for e in session.moment.stack):
                await d.step("s")
            inside = session.moment
            assert [getattr(e, "name", "") for e in inside.stack][-1] == "cross_entropy"
            assert inside.phase == "forward" and session.place is not None
            await d.step("f")  # out of the composite op: its end
            assert not any(getattr(e, "name", "") == "cross_entropy" for e in session.moment.stack)

            while session.moment.phase != "backward":
                await d.step("n")
            while not isinstance(session.moment.subject, NodeBegin | NodeEnd) or (
                session.moment.subject.name != "linear"
            ):
                await d.step("n")
            before = session.live_seq
            await d.step("s")  # the ops of the next node, which is relu's
            stack = [e for e in session.moment.stack if isinstance(e, NodeBegin)]
            assert stack and stack[-1].name == "relu" and session.live_seq > before
            assert session.moment.phase == "backward"
            assert "relu" in d.pane("graph") or size[0] < 100
            await d.step("f")  # to the end of the node
            assert not any(isinstance(e, NodeBegin) for e in session.moment.stack)
            assert session.moment.phase == "backward"
            assert " paused " in d.text() and "backward" in d.text()

    asyncio.run(run())


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_by_line_by_training_step_and_to_the_end_of_the_cell(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """`l`, `+`, `t` and `c` on the screen."""

    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), size) as d:
            session = d.session
            cell = d.app.notebook.cells[3].id
            await at_model(d, "at cell 4, line 2 once")
            assert session.place == (cell, 2) and "▶ 2" in d.pane("notebook")
            for line in (3, 4, 5, 6, 1, 2):  # backward is one line, and is gone over
                await line_step(d)
                assert session.place == (cell, line), (session.place, line)
                assert f"▶ {line}" in d.pane("notebook"), d.pane("notebook")

            await d.step("plus")  # the end of this training step, wherever it stands
            assert isinstance(session.store.event(session.live_seq), OptimEnd)
            assert session.store.step_at(session.cursor).number == 2
            ended = session.live_seq
            await d.step("plus")
            assert isinstance(session.store.event(session.live_seq), OptimEnd)
            assert session.live_seq > ended
            assert session.store.step_at(session.cursor).number == 3

            await d.press("1")
            d.main.notebook.view.select_cell(cell, 6)
            await line_step(d, "t")  # to the line under the cursor
            assert session.place == (cell, 6)
            await d.press("c")
            await d.idle()
            assert isinstance(session.store.event(session.store.last_seq), CellEnd)

    asyncio.run(run())


def test_a_step_over_a_module_ends_behind_it(tmp_path: Path) -> None:
    """A module is stepped over with `f` from its inside; `+` goes over all of a training step."""

    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP)) as d:
            session = d.session
            await at_model(d, "op relu once")
            assert session.moment.module == "model.1"
            await d.step("f")
            assert isinstance(session.store.event(session.live_seq), ModuleEnd)
            opened = [e for e in session.moment.stack if isinstance(e, ModuleBegin)]
            assert [e.path for e in opened] == ["model"], "out of model.1, still in model"
            await d.step("f")
            assert not any(isinstance(e, ModuleBegin) for e in session.moment.stack)

    asyncio.run(run())


# -- B2 ------------------------------------------------------------------------------------------

# For each condition of the table a line that holds in the run of MLP, and what stops.
HOLDS = {
    "nan": ("op log nan", "log"),
    "inf": ("op log inf", "log"),
    "absmax": ("op linear absmax > 0.001", "linear"),
    "max": ("op relu max > 0", "relu"),
    "min": ("op linear min < 0", "linear"),
    "mean": ("op relu mean > 0", "relu"),
    "std": ("op relu std > 0", "relu"),
    "norm": ("grad model.0.weight norm > 0.0001", "linear"),
    "zeros": ("op relu zeros > 0.1", "relu"),
    "ratio": ("update model.0.weight ratio > 0", "model.0.weight"),
    "unchanged": ("op relu unchanged", "relu"),
    "shape-change": ("op tanh shape-change", "tanh"),
    "dtype-change": ("op tanh dtype-change", "tanh"),
    "where": ("op relu where step > 0", "relu"),
}

CHANGING = MLP.replace(
    "    optimizer.step()\n",
    "    optimizer.step()\n    for group in optimizer.param_groups:\n        group['lr'] = 0.0\n"
    "    torch.tanh(torch.ones(step + 1, dtype=torch.float64 if step else torch.float32))\n"
    "    torch.log(torch.tensor([-1.0, 0.0]))\n",
)


def test_each_condition_of_the_table_is_tried() -> None:
    assert set(HOLDS) == set(CONDITIONS)


def test_each_condition_typed_on_the_screen_stops_where_it_holds(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", CHANGING), (80, 24)) as d:
            session = d.session
            for line, where in HOLDS.values():
                await d.press("B", *line)
                assert f"--break '{line}'" in d.text(), d.text()
                await d.press("enter", "f6")
                await d.stopped()
                (point,) = session.breakpoints
                assert session.stop is not None and session.stop.breakpoint == point.id, line
                assert getattr(session.moment.subject, "name", "") == where, (line, d.text())
                await d.until(lambda: session.breakpoints[0].hits == 1, "the hit is counted")
                await d.press("ctrl+o", "b", "x", "c")  # away with it, and on to the end
                await d.idle()
                assert not session.breakpoints
                await d.press("1")

    asyncio.run(run())


PLACES = {
    "op /re.u/": ("relu", "model.1", 0),
    "in model.2": ("linear", "model.2", 0),
    "at cell 4, line 4": ("", "", 0),
    "grad model.2.bias": ("linear", "model.2", 0),
    "op relu hit 2": ("relu", "model.1", 2),
    "op relu step 3": ("relu", "model.1", 3),
    "update model.2.bias": ("model.2.bias", "", 1),
}


def test_each_place_typed_on_the_screen_stops_there(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP)) as d:
            session = d.session
            for line, (name, module, step) in PLACES.items():
                await at_model(d, line)
                if name:
                    assert getattr(session.moment.subject, "name", "") == name, line
                    assert session.moment.module == module or not module, line
                else:
                    assert session.place == (d.app.notebook.cells[3].id, 4)
                if step:
                    assert session.store.step_at(session.cursor).number == step, line
                await d.press("ctrl+o", "b", "x", "c")
                await d.idle()
                await d.press("1")

    asyncio.run(run())


def test_b_on_a_row_of_each_kind(tmp_path: Path) -> None:
    """An op, a module and a parameter of the graph, and a line of a cell: set and taken away."""

    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP)) as d:
            await d.press("f6")
            await d.idle()
            await d.press("2")
            graph, session = d.main.graph, d.session
            rows = graph.outline.rows
            wanted = {
                "op": lambda p: (p.op, p.module) == ("relu", "model.1"),
                "module": lambda p: p.module == "model" and not p.op,
            }
            for kind, fits in wanted.items():
                names = [
                    (row.item.kind, row.item.name)
                    for row in map(rows.__getitem__, range(len(rows)))
                ]
                graph.select(names.index((kind, "relu" if kind == "op" else "model")))
                await d.press("b")
                (point,) = session.breakpoints
                assert fits(point), point
                assert "●" in d.pane("graph"), d.pane("graph")
                await d.press("b")
                assert not session.breakpoints
            await d.press("1")
            d.main.notebook.view.select_cell(d.app.notebook.cells[3].id, 5)
            await d.press("b")
            assert session.breakpoints[0].line == 5 and "●" in d.pane("notebook")

    asyncio.run(run())


# -- A8 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_times_of_ops_and_modules_forward_and_backward(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """The inspector has both of an op and of a module; `S` all modules, then all ops."""
    time = r"\d[\d.]* (ns|µs|ms|s)"

    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), size) as d:
            await d.press("f6")
            await d.idle()
            await d.press("3")
            tape, inspector = d.session.store.tape, d.main.inspector
            op = next(e for e in reversed(tape) if getattr(e, "name", "") == "relu" and
                      getattr(e, "phase", "") == "forward")  # fmt: skip
            inspector.show(op.seq)
            await d.settled()
            shown = d.rows("inspector")
            assert re.search(rf"{time} · backward {time}", shown), shown
            assert op.duration > 0
            module = next(e for e in reversed(tape) if isinstance(e, ModuleBegin))
            inspector.show(module.seq)
            await d.settled()
            assert re.search(time, d.rows("inspector")), d.rows("inspector")
            node = next(e for e in reversed(tape) if isinstance(e, NodeBegin))
            inspector.show(node.seq)
            await d.settled()
            assert re.search(time, d.rows("inspector")), d.rows("inspector")

            await d.press("S")
            screen = await report(d)
            text = "\n".join("".join(t for t, _ in row) for row, _ in screen.pane._lines)
            head = next(line for line in text.split("\n") if "forward" in line)
            assert "backward" in head, text
            short = r"\d[\d.]* ?(ns|us|µs|ms|s)"
            for module_name in ("0 Linear", "1 ReLU", "2 Linear"):
                (row,) = [line for line in text.split("\n") if f" {module_name} " in line]
                assert len(re.findall(short, row)) >= 2, (head, row)
            ops = text[text.index("\nop") :] if "\nop" in text else text
            assert re.search(rf"relu .*{short}", ops), text

    asyncio.run(run())


# -- A1, A2 --------------------------------------------------------------------------------------

FOLDED = """\
# %%
import framework as torch
from framework import nn

blocks = [nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(4)]
model = nn.Sequential(*blocks, nn.Linear(8, 2))
x = torch.randn(4, 8)

# %%
for step in range(2):
    loss = model(x).square().mean()
    loss.backward()
"""


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_graph_grows_folds_and_opens(tmp_path: Path, size: tuple[int, int]) -> None:
    """A step of the model adds a row below; alike blocks are one row, which `space` unfolds."""

    async def run() -> None:
        async with program(write(tmp_path / "a.py", FOLDED), size) as d:
            await at_model(d, "in model.0 once")
            await d.press("2")
            graph = d.main.graph
            before = d.rows("graph").split("\n")
            assert "0 Linear" in d.rows("graph") and "mean" not in d.rows("graph")
            for _ in range(3):
                await d.step("n")
            after = d.rows("graph").split("\n")
            assert len(after) > len(before), after
            shown = [line.replace("▶", " ").strip() for line in before[:2]]
            assert [line.replace("▶", " ").strip() for line in after[:2]] == shown, "nothing moved"
            await d.press("c")
            await d.idle()

            def row_of(kind: str, name: str = "") -> int:
                rows = map(graph.outline.rows.__getitem__, range(graph.count()))
                found = [i for i, r in enumerate(rows) if r.kind == kind and name in r.item.name]
                return found[0] if found else -1

            shown_first = graph.count()
            await d.press("asterisk")  # opens all
            opened = graph.count()
            assert opened > shown_first
            await d.press("asterisk")  # closes all
            folded, fold = graph.count(), row_of("fold")
            assert folded < opened and "1 … 3 (×3) Seq" in d.rows("graph"), d.rows("graph")
            graph.select(fold)
            await d.press("space")  # what is alike in the model is one row until then
            assert graph.count() == folded + 2, d.rows("graph")
            graph.select(row_of("module", "model"))
            await d.press("space")
            assert graph.count() < folded
            await d.press("space")
            assert graph.count() == folded + 2, "it is open as it was left"

    asyncio.run(run())


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_backward_is_drawn_and_linked_with_forward(tmp_path: Path, size: tuple[int, int]) -> None:
    """`g`: forward, backward, both; at a node the notebook marks the line of its forward op."""

    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), size) as d:
            await at_model(d, "grad model.0.weight once")
            assert session_node(d) == "linear"
            assert "◁" in d.pane("notebook") and "▶ 4" in d.pane("notebook"), d.text()
            await d.press("2")
            titles, texts = [], []
            for _ in range(3):
                title = d.main.graph.title_text().rsplit(" · ", 1)[-1]
                titles.append(title.removesuffix(" (kept)"))
                texts.append(d.rows("graph"))
                await d.press("g")
            assert titles == ["backward", "fwd + bwd", "forward"], titles
            assert d.main.graph.title_text().endswith(" · backward"), "and as the cursor goes again"
            by = dict(zip(titles, texts))
            assert "◀" not in by["forward"] and "relu" in by["forward"]
            nodes = by["backward"]
            assert nodes.index("cross_entropy") < nodes.index("relu"), nodes
            (row,) = [r for r in by["fwd + bwd"].split("\n") if " relu " in r]
            assert "◀" in row, by["fwd + bwd"]
            await d.press("c")
            await d.idle()

    asyncio.run(run())


def session_node(d: Driver) -> str:
    node = d.session.moment.node
    return node.name if node is not None else ""


# -- A10, A9 -------------------------------------------------------------------------------------

NAMED = """\
# %%
import framework as torch

x = torch.ones(2, 3) * 2
x.requires_grad_()

# %%
for step in range(3):
    h = x * (step + 1)
    loss = h.square().mean()
    loss.backward()
"""


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_variables_name_rows_gradients_and_what_is_watched(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """Of a moment in which the program did not stand, too: what the source says."""

    async def run() -> None:
        async with program(write(tmp_path / "a.py", NAMED), size) as d:
            await d.press("f6")
            await d.idle()
            await d.press("2")
            await d.until(lambda: "mul → h" in d.rows("graph"), "the names")
            await d.press("W", *"h.max() + h.grad.sum()", "enter", "W", *"x.grad.norm()", "enter")
            step = next(s for s in d.session.store.steps if s.counts[1])
            d.session.go(step.last_seq)
            d.app.tick()
            await d.until(lambda: "f32[]" in d.rows("watches"), "their values")
            last, norm = (row.split("= f32[] ")[1] for row in d.rows("watches").split("\n")[:2])
            assert float(last.split()[0]) == pytest.approx(6 + 6 * 2 * 6 / 6), d.rows("watches")
            assert float(norm.split()[0]) > 0
            await d.press("2", "g")
            await d.until(lambda: "x.grad" in d.rows("graph"), "whose gradient it is")
            assert "tensor" not in d.rows("graph")

    asyncio.run(run())


# -- A3 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_nan_and_inf_have_signs_of_their_own(tmp_path: Path, size: tuple[int, int]) -> None:
    text = "# %%\nimport framework as torch\ny = torch.log(torch.tensor([-1.0, 0.0, 1.0, 2.0]))\n"

    async def run() -> None:
        async with program(write(tmp_path / "a.py", text), size) as d:
            await d.press("f6")
            await d.idle()
            await d.press("3")
            await d.until(lambda: "N=NaN" in d.rows("inspector"), "the heat map")
            shown = d.rows("inspector")
            assert "NaN" in shown and "Inf" in shown and "I=Inf" in shown, shown
            assert re.search(r"\bnan +-inf +0", shown), shown  # the table

    asyncio.run(run())
