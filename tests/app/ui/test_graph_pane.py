"""What the graph pane shows does not hang on when messages and timers come."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from ui_driver import MLP, program, write

import framework as torch
from app.ui.later import later
from framework import nn, trace
from framework.trace.events import Event, Op, OptimBegin, ParamUpdate
from framework.trace.protocol import Events, StateChanged


def test_the_phase_does_not_change_while_a_cell_flies_by(tmp_path: Path) -> None:
    """Events may come before the word that the model runs, and in pieces."""

    async def run() -> None:
        path = write(tmp_path / "mlp.py", MLP)
        async with program(path) as d:
            await d.press("f6")
            await d.idle()
            tape: list[Event] = list(d.session.store.tape)
        half = next(e.seq for e in tape if isinstance(e, ParamUpdate))
        async with program(path, (80, 24), kernel=False) as d:
            session = d.session
            session.state = "idle"

            def come(message: object) -> None:
                session._receive(message)
                d.app.tick()

            come(Events([e for e in tape if e.seq <= half]))
            come(StateChanged("running"))
            come(Events([e for e in tape if e.seq > half]))
            come(StateChanged("idle"))
            await d.press("2")
            assert d.main.graph.phase == "forward"
            await d.until(lambda: "cross_entropy → l" in d.rows("graph"), "the loss's name")
            # Who goes back to the optimizer sees both halves.
            session.go(next(e.seq for e in tape if isinstance(e, OptimBegin)))
            d.app.tick()
            assert d.main.graph.phase == "both"

    asyncio.run(run())


def test_names_of_a_stop_are_drawn_when_they_come(tmp_path: Path) -> None:
    """What only the frame knows: the tape has no statement that assigns it."""

    async def run() -> None:
        text = MLP.replace(
            "loss = loss_of(model(x), y)", "vars().update(loss=loss_of(model(x), y))"
        )
        async with program(write(tmp_path / "mlp.py", text)) as d:
            await d.press("B", *"at cell 4, line 3 once", "enter", "f6")
            await d.stopped()
            last = [e for e in d.session.store.tape if isinstance(e, Op)][-1].outputs[0].id
            await d.until(lambda: d.main.graph.variable_of(last) == "loss", "the name")
            assert "→ loss" in d.rows("graph")

    asyncio.run(run())


def test_a_large_step_opens_and_closes_between_keys(tmp_path: Path) -> None:
    """`*` on 100,000 ops is answered at once; keys go on in the rows that were there, and the same
    row stays selected in its place when the new ones come."""

    class Block(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for _ in range(1000):
                x = x.tanh() if self is model[50] else x.relu()
            return x

    model = nn.Sequential(*[Block() for _ in range(100)])
    with trace.recording(keep="none", capacity=1 << 18) as tape:
        model(torch.ones(2))
    events = list(tape.read())
    assert len(events) > 100_000

    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), (80, 24), kernel=False) as d:
            session, graph = d.session, d.main.graph
            session._receive(StateChanged("idle"))
            session._receive(Events(events))
            d.app.tick()
            await d.press("2")
            await d.until(lambda: graph.outline is not None and not graph.behind, "the graph")
            await d.press("home", "down", "down")
            closed = graph.outline
            assert closed is not None and graph.chosen is not None
            at = graph.chosen.begin, graph.selected - graph.scroll_offset.y

            before = len(closed.rows)
            graph.fold_all()
            assert 0 < graph.behind < 200_000, "only a piece was drawn in the key's own time"
            assert graph.outline is closed and len(closed.rows) == before
            assert re.search(r"\d % drawn", graph.title_text())
            await d.until(lambda: graph.outline is not closed, "all rows")
            opened = graph.outline
            assert opened is not None and not graph.behind
            assert len(opened.rows) >= 100_000 or len(closed.rows) >= 100_000
            assert graph.chosen is not None
            assert (graph.chosen.begin, graph.selected - graph.scroll_offset.y) == at
            assert "% drawn" not in graph.title_text()
            assert graph.search("tanh", 0).endswith(("of 1000", "of 1"))
            await d.until(lambda: "% drawn" not in d.text(), "the title")

    asyncio.run(run())


def test_what_is_looked_at_stays_in_place_while_the_step_grows(tmp_path: Path) -> None:
    """New events, and late ones that make the drawing anew, move nothing for who has scrolled."""
    with trace.recording(keep="none") as tape:
        x = torch.ones(2)
        for _ in range(3000):
            x = x.tanh()
    events = list(tape.read())

    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), (80, 24), kernel=False) as d:
            session, graph = d.session, d.main.graph

            def come(*messages: object) -> None:
                for message in messages:
                    session._receive(message)
                d.app.tick()

            come(StateChanged("running"), Events([*events[:500], *events[600:1000]]))
            await d.press("2", "home", *["down"] * 10)
            await d.until(lambda: graph.outline is not None and not graph.behind, "the graph")
            assert graph.chosen is not None and not graph.following

            def seen() -> tuple[object, ...]:
                top = graph.scroll_offset.y
                assert graph.outline is not None and graph.chosen is not None
                rows = graph.outline.rows[top : top + graph.size.height]
                return graph.chosen.begin, graph.selected, top, [row.begin for row in rows]

            at = seen()
            come(Events(events[1000:]))
            await d.until(lambda: not graph.behind and graph.count() > 2500, "its growth")
            assert seen() == at
            before = graph.outline
            session.store.feed(events[500:600])  # the graph is another one
            session.changed.add("events")
            d.app.tick()
            await d.until(lambda: graph.outline is not before and not graph.behind, "late ones")
            assert seen() == at

    asyncio.run(run())


def test_no_call_that_is_asked_for_is_lost(tmp_path: Path) -> None:
    """However short the wait: Textual's own timers leave out what is late already."""

    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), kernel=False) as d:
            called: list[int] = []
            for n in range(50):
                later(d.main.graph, 1e-9, lambda n=n: called.append(n))  # type: ignore[misc]
            await d.until(lambda: sorted(called) == list(range(50)), "all calls")

    asyncio.run(run())


def test_work_waits_while_a_key_is_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what comes in; and it goes on when the key is answered, or patience has an end."""
    monkeypatch.setattr("app.ui.later.ANSWER", 1e9)

    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), kernel=False) as d:
            called: list[str] = []
            d.app.keys.pressed()
            later(d.main.graph, 1e-9, lambda: called.append("first"), 1e9)
            for _ in range(20):
                await asyncio.sleep(0.005)
                await d.pilot.pause(0)
            assert not called
            await d.pilot.press("2")  # a key that does something
            await d.until(lambda: called == ["first"], "what waited for it")
            assert not d.app.keys.under_way
            d.app.keys.pressed()
            later(d.main.graph, 1e-9, lambda: called.append("second"), 0.0)
            await d.until(lambda: len(called) == 2, "what does not wait for ever")
            d.app.keys.answered()

    asyncio.run(run())
