"""What is taken away from the screen: pictures of graph and screen, the summary, feeds and uses."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from test_explain import report as made
from ui_driver import MLP, Driver, program, write

from app.ui.screens.report import ReportScreen


async def ran(d: Driver) -> None:
    await d.press("f6")
    await d.idle()
    await d.press("2")


async def report(d: Driver) -> str:
    def ready() -> bool:
        screen = d.app.screen
        return isinstance(screen, ReportScreen) and screen.ready

    await d.until(ready, "the report")
    return d.text()


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_summary_feeds_and_uses(tmp_path: Path, size: tuple[int, int]) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), size) as d:
            await ran(d)
            await d.press("S")
            text = await report(d)
            assert re.search(r"0 Linear +f32\[12,16\] +144 +3264", text), text
            assert "step 3" in text and "parameters 212, trainable 212" in text
            await d.press("down", "enter")  # to the first layer's call
            await d.until(lambda: d.app.screen is d.main, "the main screen")
            await d.settled()
            assert d.session.moment.module == "model.0"

            relu = next(e for e in d.session.store.tape if getattr(e, "name", "") == "relu")
            d.session.go(relu.seq)
            await d.press("1", "I")
            text = await report(d)
            assert "what feeds relu" in text
            assert re.search(r"└ linear +f32\[12,16\] +model\.0 +cell 4, line 2", text), text
            assert "model.0.weight" in text
            await d.press("escape", "U")
            text = await report(d)
            assert "what uses relu" in text
            assert re.search(r"├ linear +f32\[12,4\] +model\.2", text), text

    asyncio.run(run())


def test_export_with_values_and_options(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), (120, 40)) as d:
            await ran(d)
            target = tmp_path / "graph.html"

            async def ask(text: str) -> None:
                await d.press("E")
                d.main.prompt.query_one("Input").value = text  # type: ignore[attr-defined]
                await d.press("enter")

            await ask(f"{target} --values --phase both --module model.2")
            await d.until(lambda: d.session.message.startswith("written"), "the word about it")
            page = target.read_text()
            found = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
            assert found is not None
            data = json.loads(found[1])
            assert data["phase"] == "both"
            node = next(r for r in data["nodes"] if data["strings"][r[1]] == "2 Linear")
            assert node[9]["v"][0] == 48 and node[9]["b"]["v"][0] == 48
            assert [text for *_, text in data["sources"]] == ["loss = loss_of(model(x), y)"]
            heads = {".svg": b"<svg", ".png": b"\x89PNG", ".mmd": b"flowchart", ".dot": b"digraph"}
            for suffix, head in heads.items():
                picture = tmp_path / f"graph{suffix}"
                await ask(f"{picture} --phase backward --depth 1 --values")
                await d.until(
                    lambda path=picture: d.session.message == f"written: {path}", f"a {suffix}"
                )
                assert head in picture.read_bytes()[:400]
            await ask(f"{target} --depth -1")
            assert d.session.message == "not exported: argument --depth: -1: must be 0 or more"
            await ask("graph.pdf")
            assert "must end in .html, .svg, .png, .mmd or .dot" in d.session.message

    asyncio.run(run())


def test_a_picture_of_the_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), (80, 24)) as d:
            monkeypatch.chdir(tmp_path)
            await d.press("P", "f12")
            assert d.session.message == f"written: {tmp_path / 'mlp-screen-2.svg'}"
            for number in (1, 2):
                text = (tmp_path / f"mlp-screen-{number}.svg").read_text()
                said = "".join(e.text or "" for e in ElementTree.fromstring(text).iter())
                assert "A\xa0small\xa0network" in said or "A small network" in said
                assert "font-face" not in text, "fonts would be fetched from the network"
            monkeypatch.chdir("/proc")
            await d.press("P")
            assert d.session.message.startswith("cannot write /proc/mlp-screen-1.svg")

    asyncio.run(run())


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=str)
def test_a_short_report_hides_little_of_the_panes(tmp_path: Path, size: tuple[int, int]) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), size) as d:
            await d.press("f6")
            await d.idle()
            await d.press("w")
            screen = await made(d)
            box = screen.pane.parent
            rows = screen.pane.count()
            assert box.outer_size.height == min(rows + 2, size[1] * 92 // 100), d.text()
            assert screen.pane.size.height >= min(rows, 10) and rows < 8, d.text()
            await d.press("escape", "S")
            screen = await made(d)
            assert screen.pane.parent.outer_size.height > 10
            await d.resize(60, 16)
            assert screen.pane.parent.outer_size.height <= 15, d.text()

    asyncio.run(run())


BY_HAND = """# %%
import framework as torch
w = torch.randn(3, requires_grad=True)

# %%
for i in range(3):
    cost = ((w - 1) ** 2).sum()
    cost.backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
"""


def test_a_weight_without_a_module_has_its_name_everywhere(tmp_path: Path) -> None:
    """Graph, events and picture say ``w`` and ``w.grad``; the picture's title is the cell's."""

    async def run() -> None:
        async with program(write(tmp_path / "hand.py", BY_HAND), (200, 60)) as d:
            await ran(d)
            await d.until(lambda: "→ cost" in d.rows("graph"), "the names of the last cell")
            assert re.search(r"○\S* +w\.grad +f32\[3\]", d.rows("graph")), d.rows("graph")
            events = d.rows("events")
            assert "w.grad =" in events and "leaf.grad" not in events, events
            assert re.search(r"write in place +w +", events), events
            await d.press("E")
            d.main.prompt.query_one("Input").value = str(tmp_path / "hand.svg")  # type: ignore[attr-defined]
            await d.press("enter")
            await d.until(lambda: "written" in d.session.message, "the picture")
            picture = (tmp_path / "hand.svg").read_text()
            assert "cell 2 · forward" in picture and "→ cost" in picture, picture
            assert "w.grad" in picture

    asyncio.run(run())
