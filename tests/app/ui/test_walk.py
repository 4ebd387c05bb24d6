"""The main walk: run, stop at `model.2`, step through loss, backward and update, and look back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from ui_driver import MLP, check_snapshot, program, write

from framework.trace.events import NodeBegin


@pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])
def test_walk(tmp_path: Path, size: tuple[int, int]) -> None:
    """One walk through a training step at two sizes, with the screen compared on the way."""
    asyncio.run(_walk(write(tmp_path / "mlp.py", MLP), size))


async def _walk(path: Path, size: tuple[int, int]) -> None:
    name = f"{size[0]}x{size[1]}"
    async with program(path, size) as d:
        session, inspector = d.session, d.main.inspector
        check_snapshot(f"opened-{name}", d.text())

        await d.press("f6")
        await d.idle()
        cells = [cell.id for cell in d.app.notebook.cells]
        assert [session.runs[cell].state for cell in cells[1:]] == ["done"] * 3
        assert "step 2  loss 1." in d.app.notebook.cells[3].outputs[0].text
        check_snapshot(f"ran-{name}", d.text())

        # A breakpoint on the last layer: the model stops after its op, in the right line.
        session.add_breakpoint(module="model.2")
        await d.press("1")
        d.main.notebook.view.select_cell(cells[3])
        await d.press("ctrl+r")
        await d.stopped()
        assert session.moment.subject.name == "linear" and session.moment.module == "model.2"
        assert session.place == (cells[3], 2)
        assert d.main.where == "notebook", "a stop must not move the focus"
        assert "▶ 2" in d.pane("notebook")
        await d.press("3" if size[0] < 100 else "2")  # at 80 columns it takes the notebook's place
        await d.settled()
        assert "f32[12,4]" in d.pane("inspector")
        check_snapshot(f"stopped-{name}", d.text())

        # Step by step into the loss and on through backward.
        seen = []
        while session.moment.phase == "forward":
            await d.step()
            seen.append(session.moment.subject.name)
        assert seen[0] == "cross_entropy", seen
        nodes = [seen[-1]]
        stored: list[str] = []
        while session.moment.phase == "backward":
            subject = inspector.subject
            if subject is not None and subject.kind == "node":
                stored += [t.name for t in subject.tensors if t.label == "stored"]
            await d.step()
            nodes.append(getattr(session.moment.subject, "name", ""))
            if nodes.count("linear") == 1 and nodes[-1] == "linear":
                assert {t.label for t in inspector.subject.tensors} >= {"grad in", "stored"}
                check_snapshot(f"backward-{name}", d.text())
        assert [n for n in nodes if n in ("linear", "relu")] == ["linear", "relu", "linear"], nodes
        parameters = ["model.0.bias", "model.0.weight", "model.2.bias", "model.2.weight"]
        assert sorted(stored) == [f"{p}.grad" for p in parameters]

        # The optimizer's updates, one parameter at a time.
        assert session.moment.phase == "optimizer"
        updated = [session.moment.subject.name]
        labels = [t.label for t in inspector.subject.tensors]
        assert labels == ["after", "before", "change", "grad", "momentum_buffer"]
        while len(updated) < 4:
            await d.step()
            updated.append(session.moment.subject.name)
        assert sorted(updated) == parameters
        check_snapshot(f"optimizer-{name}", d.text())

        # Back: what is looked at moves, the model does not.
        live = session.live_seq
        for _ in range(4):
            await d.press("N")
        await d.settled()
        assert session.cursor < live == session.live_seq and session.behind
        assert session.moment.phase == "backward"
        assert "looking back" in d.text()
        check_snapshot(f"back-{name}", d.text())
        await d.press("n")
        assert session.moment.phase == "optimizer" and session.stop.seq == live
        await d.press("C")
        assert session.cursor in session.stops
        await d.press("end")
        assert session.cursor == live and session.following

        # On to the next hit of the breakpoint, then to the end.
        await d.step("c")
        assert session.moment.module == "model.2" and session.breakpoints[0].hits == 2
        session.remove_breakpoint(session.breakpoints[0].id)
        await d.press("c")
        await d.idle()
        assert session.runs[cells[3]].state == "done"


def test_values_are_as_of_the_cursor(tmp_path: Path) -> None:
    """A parameter before and after its update, a value with its gradient, a slice, a watch."""
    asyncio.run(_values(write(tmp_path / "mlp.py", MLP), tmp_path))


async def _values(path: Path, tmp_path: Path) -> None:
    async with program(path) as d:
        session, inspector = d.session, d.main.inspector
        await d.press("f6")
        await d.idle()
        await d.press("W", *"loss", "enter")
        session.add_breakpoint(op="linear", module="model.2")
        d.main.notebook.view.select_cell(d.app.notebook.cells[3].id)
        await d.press("1", "ctrl+r")
        await d.stopped()
        d.main.lower.show("watches")
        await d.step()
        watch = d.main.lower.watches.value(0)[0]
        assert watch is not None and not isinstance(watch, str) and watch.tensor is not None
        assert "loss" in d.pane("watches") and "f32[]" in d.pane("watches")

        # The slice box: two rows of the activations.
        await d.press("3")
        first = inspector.subject
        assert first is not None
        await d.press("right_square_bracket", "enter")
        assert d.main.prompt.is_open
        assert d.main.prompt.query_one("Input").value == "[:, :]"  # type: ignore[attr-defined]
        await d.press(*"[0:2, 1]", "enter")  # what is typed takes its place
        await d.settled()
        assert inspector.slice == "[0:2, 1]" and "[0:2, 1]" in d.pane("inspector")

        # Through backward: the op of the loss now has its gradient beside its value.
        await d.step("plus")  # the end of the training step
        tape = session.store.events(session.stops[0], session.live_seq)
        event = next(e for e in tape if isinstance(e, NodeBegin) and e.name == "relu")
        session.go(event.forward)
        await d.press("1")
        await d.until(
            lambda: inspector.subject.tensors[0].grad is None, "not yet at the forward op"
        )
        await d.press("end")
        inspector.show(event.forward)
        await d.settled()
        assert inspector.subject.tensors[0].grad is not None
        assert "gradient" in "\n".join(t for line in inspector._lines for t, _ in line)

        # Export from the key, in the background.
        await d.press("2", "E")
        target = tmp_path / "graph.svg"
        d.main.prompt.query_one("Input").value = str(target)  # type: ignore[attr-defined]
        await d.press("enter")
        await d.until(target.exists, "the exported picture")
        await d.until(lambda: session.message.startswith("written"), "the word about it")
        assert "<svg" in target.read_text()
