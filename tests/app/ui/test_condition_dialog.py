"""Breakpoints with conditions on the screen: the form, a stop inside backward, the sidecar."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from ui_driver import MLP, program, write

from app.notebook import load_session
from framework.trace.events import NodeBegin


@pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])
def test_a_gradient_condition_stops_at_its_node_and_is_there_the_next_time(tmp_path, size):
    asyncio.run(_gradient(write(tmp_path / "mlp.py", MLP), size))


async def _gradient(path: Path, size: tuple[int, int]) -> None:
    line = "grad model.0.weight norm > 0.0001 after 1"
    async with program(path, size) as d:
        session = d.session
        await d.press("B", *line)
        assert f"--break '{line}'" in d.text()
        await d.press("enter")
        (point,) = session.breakpoints
        assert (point.param, point.phase, point.first_step) == ("model.0.weight", "backward", 2)
        await d.press("f6")
        await d.stopped()
        assert session.stop.reason == "norm" and session.moment.phase == "backward"
        assert "gradient of model.0.weight, backward, step 2" in session.stop.message
        subject = session.moment.subject
        assert isinstance(subject, NodeBegin)
        assert (subject.name, subject.module) == ("linear", "model.0")
        await d.press("3" if size[0] < 100 else "2")
        await d.settled()
        labels = [t.label for t in d.main.inspector.subject.tensors]
        assert labels[0] == "grad in" and "grad out" in " ".join(labels), labels
        assert "f32[12,16]" in d.pane("inspector"), "the gradient that came in"
        assert "f32[16,8]" in d.pane("inspector"), "and the weight's"
        await d.press("ctrl+o", "b")
        row = d.pane("breakpoints")
        assert "gradient of model.0.weight when norm > 0.0001, after 1" in row and "1 hit" in row
        assert "▶ norm 0." in row or size[0] < 100
        assert f" norm {float(session.stop.message.split()[1]):.6g}"[:8] in d.text()
        await d.press("c")
        await d.stopped()
        assert session.stop.message.endswith("step 3")
        await d.press("c")
        await d.idle()
        await d.press("ctrl+q")
    (kept,) = load_session(path)["breakpoints"]
    assert (kept["param"], kept["condition"], kept["first_step"]) == (
        "model.0.weight", "norm > 0.0001", 2,
    )  # fmt: skip
    async with program(path, size, kernel=False) as d:
        (point,) = d.session.breakpoints
        assert (point.param, point.condition, point.hits) == ("model.0.weight", "norm > 0.0001", 0)


def test_the_same_breakpoint_is_not_set_twice(tmp_path):
    async def scenario() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), kernel=False) as d:
            await d.press("B", *"in model.2", "enter")
            (point,) = d.session.breakpoints
            d.session.change_breakpoint(point.id, enabled=False)
            await d.press("B", *"in model.2", "enter")
            assert [p.enabled for p in d.session.breakpoints] == [True]
            assert f"breakpoint {point.id} is the same" in d.session.message
            await d.press("B", *"in model.2 nan", "enter")
            assert len(d.session.breakpoints) == 2

    asyncio.run(scenario())


def test_the_steps_of_a_condition_are_those_that_the_screen_shows(tmp_path):
    """The tour's first exercise: all cells have run before, and a new optimizer counts from 1."""

    async def scenario() -> None:
        async with program(write(tmp_path / "mlp.py", MLP)) as d:
            await d.press("f6")
            await d.idle()
            await d.press("B", *"grad model.0.weight norm > 0.0001 step 3", "enter", "f6")
            await d.stopped()
            session = d.session
            assert session.stop.message.endswith("gradient of model.0.weight, backward, step 3")
            assert session.store.step_at(session.cursor).number == 3
            await d.press("c")
            await d.idle()
            await d.press("f6")
            await d.stopped()
            assert session.stop.message.endswith("step 3")

    asyncio.run(scenario())


def test_the_form_says_what_is_wrong_in_one_line(tmp_path):
    async def scenario() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), (80, 24), kernel=False) as d:
            await d.press("2", "B")
            for text, problem in (
                ("nrm", "condition 'nrm' is not one of: nan, inf, absmax > X"),
                ("where 1 +", "where needs a Python expression"),
                ("ratio > 1", "ratio is of an update"),
            ):
                field = d.app.screen.query_one("#field-condition")
                field.value = text
                await d.press("enter")
                assert problem in " ".join(d.text().replace("│", " ").split()), d.text()
                assert "Enter sets it" in d.text() and "new breakpoint" in d.text()
            field.value = "where x.max() > limit"
            d.app.screen.query_one("#field-limits").value = "every 2 once"
            d.app.screen.query_one("#field-param").value = "*"
            d.app.screen.query_one("#field-phase").value = "up"
            await d.press("enter")
            (point,) = d.session.breakpoints
            assert (point.phase, point.every, point.once) == ("optimizer", 2, True)

    asyncio.run(scenario())


def test_an_expression_is_evaluated_in_the_kernel(tmp_path):
    async def scenario() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), (120, 40)) as d:
            await d.press("2", "B", *"op cross_entropy where x.item() < 1.6 and step > 0", "enter")
            await d.press("f6")
            await d.until(lambda: d.session.state in ("paused", "idle") and d.session.runs, "end")
            await d.stopped()
            assert d.session.stop.reason == "where"
            await d.press("c")
            await d.press("ctrl+q")

    asyncio.run(scenario())


@pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])
def test_a_condition_that_fails_and_a_name_that_is_not_there_are_told(tmp_path, size):
    """The model goes on, and nothing stops: the list says why, and so does the status line."""

    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), size) as d:
            await d.press("B", *"op relu where x.foo() > 1", "enter")
            await d.press("B", *"grad nothere norm > 1", "enter", "f6")
            await d.idle()
            await d.press("ctrl+o", "b")
            await d.until(lambda: ": Attribute" in d.pane("breakpoints"), "what went wrong")
            rows = d.pane("breakpoints")
            assert "nothing is called nothere" in rows and "0 hits" in rows, rows

            assert "breakpoint 1 could not be judged: where" in d.session.message

    asyncio.run(run())
