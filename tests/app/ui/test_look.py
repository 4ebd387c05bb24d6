"""The tables below: parameters, a tensor over the steps, the source with figures, memory."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ui_driver import MLP, Driver, program, write

from app.ui.app import _make
from framework.trace.events import Op, ParamUpdate

SIZES = [(80, 24), (120, 40), (160, 45)]


async def figures(d: Driver) -> None:
    """Wait until every figure that is wanted has come."""
    await d.settled()
    await d.until(lambda: not d.main.lower.figures.waiting, "figures")
    await d.settled()


async def shows(d: Driver, pane: str, pattern: str) -> None:
    """Wait until something stands in a pane, "" for the whole screen."""
    await d.until(
        lambda: re.search(pattern, d.pane(pane) if pane else d.text()), f"{pattern} in {pane}"
    )


async def ran(d: Driver) -> None:
    await d.press("f6")
    await d.idle()
    await d.press("2")


@pytest.mark.parametrize("size", SIZES)
def test_parameters(tmp_path: Path, size: tuple[int, int]) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), size) as d:
            await ran(d)
            await d.press("A")
            await figures(d)
            text = d.pane("parameters")
            assert d.main.where == "parameters"
            names = re.findall(r"model\.\d\.\w+", text)
            assert names == ["model.0.weight", "model.0.bias", "model.2.weight", "model.2.bias"]
            assert re.search(r"model\.0\.weight +f32\[16,8\] +2\.34 ", text), text
            assert re.search(r"[▁-█]{3}", text), "three steps are a sparkline"

            await d.press("o", "o", "o", "o")  # name, shape, norm, gradient, update
            await figures(d)
            assert "Δ/|w|▾" in d.pane("parameters")
            rows = d.main.lower.parameters._shown
            ratios = [row.ratio.value for row in rows]
            assert ratios == sorted(ratios, reverse=True) and ratios[0] > 0
            await d.press("O")
            assert d.main.lower.parameters._shown[0].name == rows[-1].name

            await d.press("down")  # a selected row stands in the inspector, with its update
            await figures(d)
            name = d.main.lower.parameters.chosen.name
            assert name in d.pane("inspector") and "SGD update" in d.pane("inspector")

            # A click on a head sorts by it, a second one the other way round.
            pane = d.main.lower.parameters
            x = "".join(t for t, _ in pane.row(0, pane.room - 1)).index("|w|") + 2
            await d.click(pane, offset=(x, 0))
            await figures(d)
            norms = [row.norm.value for row in pane._shown]
            assert norms == sorted(norms, reverse=True)
            await d.click(pane, offset=(x, 0))
            assert [row.norm.value for row in pane._shown] == sorted(norms)

            # As of the cursor: before the first update there is no ratio yet.
            first = next(e for e in d.session.store.tape if isinstance(e, ParamUpdate))
            d.session.go(first.seq - 1)
            d.app.tick()
            await figures(d)
            row = next(r for r in pane._shown if r.name == first.name)
            assert row.ratio.text == "–" and row.grad.value > 0 and row.norm.value > 0

    asyncio.run(run())


@pytest.mark.parametrize("size", SIZES)
def test_one_tensor_over_the_steps(tmp_path: Path, size: tuple[int, int]) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), size) as d:
            await ran(d)
            relu = [e for e in d.session.store.tape if isinstance(e, Op) and e.name == "relu"][1]
            d.session.go(relu.seq)
            d.app.tick()
            await d.settled()
            await d.press("2", "H")
            await figures(d)
            text = d.pane("steps")
            assert d.main.where == "steps" and "model.1 relu · out  f32[12,16]" in text, text
            assert [line.split()[0] for line in text.split("\n")[2:] if line.strip(" ▌")] in (
                ["1", "2", "3"], ["1", "▌", "3"],
            )  # fmt: skip
            pane = d.main.lower.steps
            assert pane.chosen.step == 2, "the step of the cursor is selected"
            await d.press("down")
            await figures(d)
            assert pane.chosen.step == 3
            assert "model.1 relu · out in step 3" in d.pane("inspector").replace("\n", "")
            assert d.session.cursor == relu.seq, "only enter moves the cursor"
            await d.press("up", "up", "enter")
            await d.settled()
            assert d.session.cursor == pane.chosen.seq and d.session.moment.step.number == 1

            # Of a parameter's row: value and gradient, step by step.
            await d.press("end", "A", "down", "H")
            await figures(d)
            assert "model.0.bias" in d.pane("steps") and pane.track.kind == "parameter"
            await d.press("up")
            await figures(d)
            assert "∇" in d.pane("inspector")

    asyncio.run(run())


@pytest.mark.parametrize("size", SIZES)
def test_source_and_memory(tmp_path: Path, size: tuple[int, int]) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), size) as d:
            await ran(d)
            await d.press("L")
            await figures(d)
            await shows(d, "source", r" 5 +\d[.\d]* +1 +2\.2 kB +2 +loss = loss_of")
            text = d.pane("source")
            assert "4↻" in text and "─ cell 4" in text
            pane = d.main.lower.source
            pane.select(next(i for i, row in enumerate(pane._shown, 1) if row.line == 2))
            await d.press("enter")
            await d.settled()
            moment = d.session.moment
            assert isinstance(moment.event, Op) and moment.event.source.line == 2
            assert moment.phase == "forward"

            linear = next(
                e.seq for e in d.session.store.tape if isinstance(e, Op) and e.name == "relu"
            )
            d.session.go(linear)
            d.app.tick()
            await d.press("M")
            await d.settled()
            await shows(d, "memory", r"saved for backward 1\.1 kB +peak 1\.4 kB")
            await shows(d, "memory", r"768 B +768 B +model\.1 relu +relu f32\[12,16\]")
            await shows(d, "memory", r"384 B +384 B +model\.0 linear")
            await d.press("down", "enter")
            await d.until(lambda: d.session.moment.event.name == "linear", "its op")
            if size[1] >= 32:
                await shows(d, "", r"memory [▁-█]+ 384 B, peak 1\.4 kB")

    asyncio.run(run())


def test_tabs_by_mouse_and_by_letter(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), (80, 24)) as d:
            await ran(d)
            for letter, name in (
                ("p", "parameters"),
                ("s", "steps"),
                ("l", "source"),
                ("m", "memory"),
            ):
                await d.press("1", "ctrl+o", letter)
                assert d.main.where == name
            await d.press("ctrl+o")
            for letter in "evpslmbwo":
                assert f"{letter}:" in d.text(), "every tab shows its letter"
            await d.press("escape")
            bar = d.main.lower.bar
            for name in ("parameters", "source", "memory"):
                start = next(a for a, _, n in bar._spots if n == name)
                await d.click(bar, offset=(start + 1, 0))
                assert d.main.where == name
            assert "output" in d.text().split("\n")[-12:].__str__(), "all tabs have room"

    asyncio.run(run())


def test_tables_of_a_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    script = write(tmp_path / "mlp.py", MLP.replace("range(3)", "range(20)"))
    out = tmp_path / "mlp.tape"
    command = [sys.executable, "-m", "app", "run", str(script), "--record", str(out)]
    assert subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0

    async def run() -> None:
        app = _make(out, None, None)
        async with app.run_test(size=(120, 40)) as pilot:
            d = Driver(app, pilot)
            await d.until(lambda: len(d.session.store.steps) >= 20, "its events")
            await d.press("A")
            await figures(d)
            text = d.pane("parameters")
            assert re.search(r"model\.0\.weight .*[▁-█]{8}", text), text
            await d.press("enter")
            await figures(d)
            text = d.rows("steps")
            assert "kept" not in text, "every step of it is there"
            assert len(text.split("\n")) == 22
            await d.press("L")
            await figures(d)
            assert "loss = loss_of(model(x), y)" in d.pane("source")
            assert "kB" in d.pane("source")
            await d.press("ctrl+q")

    asyncio.run(run())


def test_five_hundred_parameters_and_keys_are_answered(tmp_path: Path) -> None:
    """A table of many parameters is filled without holding up a key."""
    big = MLP.replace(
        "model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))",
        "model = nn.Sequential(*[nn.Linear(8, 8) for _ in range(260)], nn.Linear(8, 4))",
    )

    async def run() -> None:
        async with program(write(tmp_path / "big.py", big), (120, 40)) as d:
            await ran(d)
            await d.press("A")
            worst = 0.0
            for key in ("o", "o", "o", "pagedown", "down", "o", "O", "pageup", "up", "down"):
                began = time.thread_time()
                d.main.commands.perform(d.main.keymap.press(key, d.main.where, False).id)
                worst = max(worst, time.thread_time() - began)
                await d.quiet()
            assert worst < 0.2, worst
            await figures(d)
            rows = d.main.lower.parameters._shown
            assert len(rows) == 522 and all(row.ratio.text != "…" for row in rows)

    asyncio.run(run())


IMAGES = """\
import framework as torch
from framework import nn

ramp = torch.linspace(0, 1, 16)
image = torch.stack([ramp[None, :] * torch.ones(16, 1)] * 3)
batch = torch.stack([image, 1 - image]) * 1.0
"""


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_images_and_highlighted_values(tmp_path: Path, size: tuple[int, int]) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "images.py", IMAGES), size) as d:
            await ran(d)
            await d.press("3", "m")
            inspector = d.main.inspector
            last = [e for e in d.session.store.tape if isinstance(e, Op) and e.name == "mul"][-1]
            d.session.go(last.seq)
            d.app.tick()

            def shown(text: str) -> bool:
                return text in d.rows("inspector")

            await d.until(lambda: shown("RGB from [0, 0] · v: heat map"), "the image")
            tokens = {t for line in inspector._lines for _, t in line if t.startswith("#")}
            assert "#000000" in tokens and "#ffffff" in tokens
            await d.press("v")
            await d.until(lambda: shown("[0, 0, :, :]") and not shown("RGB"), "the heat map")
            await d.press("v")
            await d.until(lambda: shown("RGB from [0, 0]"), "the image again")
            inspector.set_slice("[1]")
            await d.until(lambda: shown("RGB from [1, 0"), "the other image of the batch")

            # A matrix is a heat map, and an image if one wants that.
            row = next(e for e in d.session.store.tape if isinstance(e, Op) and e.name == "mul")
            d.session.go(row.seq)
            inspector.image = None
            d.app.tick()
            await d.until(lambda: shown("min   0") and shown("f32[16,16]"), "the matrix")
            await d.settled()
            await d.press("v")
            await d.until(lambda: shown("grey · v: heat map"), "the matrix as an image")
            await d.press("v", "h", *["greater_than_sign", "space", "0", "full_stop", "7"], "enter")
            await d.until(lambda: shown("highlighted: from 0.7 on"), "the range")
            for _ in range(2):
                assert not shown("*0.667")
                await d.press("greater_than_sign")
                await d.settled()
                await d.quiet()
            assert shown("*0.800") and shown("    12")
            await d.press("h", *"much", "enter")
            assert "expected > 3" in d.session.message
            await d.press("h", "enter")
            assert not shown("highlighted")

            # What is no image says so.
            first = next(e for e in d.session.store.tape if isinstance(e, Op))
            d.session.go(first.seq)
            d.app.tick()
            await d.settled()
            await d.press("v")
            assert d.session.message.startswith("no image: that has [H, W]")

    asyncio.run(run())


def test_watches_over_the_tape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of the cursor in a live session, and in a recording, where there are no variables."""
    script = write(tmp_path / "mlp.py", MLP)

    async def watch(d: Driver, text: str) -> None:
        d.session.add_watch(text)
        await d.press("ctrl+o", "w")
        await d.settled()

    def losses(d: Driver) -> list[str]:
        return [f"{value:.6g} float32" for _, value in d.session.losses]

    async def walk(d: Driver) -> None:
        await watch(d, "loss")
        await watch(d, "model.0.weight.grad.norm() / model.0.weight.norm()")
        await watch(d, "model.2[:2]")
        await watch(d, "nothing.sum()")
        seen = []
        for step in d.session.store.steps[-4:]:
            if step.number and step.updated:
                d.session.go(step.last_seq)
                d.app.tick()
                await d.until(lambda: "= …" not in d.rows("watches"), "values")
                rows = d.rows("watches").split("\n")
                seen.append(re.search(r"= (?:f32\[\] )?(\d[\d.]*)", rows[0])[1])
                assert re.search(r"= f32\[\] 0\.\d+", rows[1]), rows
                assert "f32[2,4]" in rows[2]
                assert "nothing" in rows[3] and "is no value of the tape at this moment" in rows[3]
        assert [f"{float(v):.4g}" for v in seen] == [f"{v:.4g}" for _, v in d.session.losses]
        d.main.lower.watches.select(2)  # a tensor stands in the inspector
        await d.until(lambda: "mean" in d.rows("inspector"), "its picture")
        assert "model.2[:2]" in d.rows("inspector")

    async def live() -> None:
        async with program(script, (120, 40)) as d:
            await ran(d)
            await walk(d)

    asyncio.run(live())
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    out = tmp_path / "mlp.tape"
    command = [sys.executable, "-m", "app", "run", str(script), "--record", str(out)]
    assert subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0

    async def recorded() -> None:
        app = _make(out, None, None)
        async with app.run_test(size=(80, 24)) as pilot:
            d = Driver(app, pilot)
            await d.until(
                lambda: len(d.session.store.steps) >= 3 and d.session.losses, "its events"
            )
            await walk(d)
            await d.press("ctrl+q")

    asyncio.run(recorded())


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_variables_in_graph_inspector_and_search(tmp_path: Path, size: tuple[int, int]) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), size) as d:
            await ran(d)
            known = d.main.graph._variables
            await d.until(lambda: re.search("cross_entropy → l", d.rows("graph")), "the loss")
            assert "loss" in known.values() and "model" not in known.values()
            assert "randn → x" in d.rows("graph"), "of an earlier cell"
            d.main.inspector.rebuild()
            assert " loss ∇" in d.rows("inspector")
            await d.press("1", "slash", *"lossy", "enter")
            assert d.main.prompt.is_open and "nothing found" in d.text(), "it can be corrected"
            await d.press("backspace", "up", "down", "enter")
            assert not d.main.prompt.is_open and d.main.graph.has_focus
            first = d.main.graph.selected
            assert " of " in d.session.message and "loss" in d.session.message
            names = {d.main.graph.chosen.item.name}
            await d.press("slash", "enter")  # as in less
            names.add(d.main.graph.chosen.item.name)
            assert d.main.graph.selected != first and names == {"loss_of", "cross_entropy"}

    asyncio.run(run())


def test_parameters_are_sampled_while_the_program_runs(tmp_path: Path) -> None:
    """What is long forgotten when the table is opened was looked at in time."""
    slow = MLP.replace("range(3)", "range(20000)").replace(
        "    optimizer.step()", "    optimizer.step(); import time; time.sleep(0.01)"
    )

    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", slow), (120, 40)) as d:
            await d.press("f6")
            pane = d.main.lower.parameters
            await d.until(lambda: len(next(iter(pane._seen.values()), ())) >= 3, "samples")
            await d.press("A")
            await d.until(lambda: re.search(r"model\.0\.weight .*[▁-█]{3}", d.pane("parameters")))
            assert d.session.state == "running"
            rows = pane._shown
            assert all(row.norm.value > 0 and row.ratio.value > 0 for row in rows), rows
            d.session.interrupt()
            await d.idle()

    asyncio.run(run())


def test_time_of_an_op_forward_and_backward(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), (80, 24)) as d:
            await ran(d)
            relu = [e for e in d.session.store.tape if isinstance(e, Op) and e.name == "relu"][-1]
            d.main.inspector.show(relu.seq)  # as of the end: its backward is over
            await d.settled()
            assert re.search(r"line 2 · [\d.]+ [µm]s · backward [\d.]+ [µm]s", d.rows("inspector"))
            await d.press("S")  # and of all modules and ops
            screen = d.app.screen
            await d.until(lambda: getattr(screen, "ready", True), "the summary")
            await d.until(lambda: "backward" in d.text(), "the summary's times")
            assert re.search(r"1 ReLU .*[µm]s .*[µm]s", d.text()), d.text()

    asyncio.run(run())
