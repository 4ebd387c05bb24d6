"""Small things at a stop: marks of breakpoints, keys that come fast, titles, what a key says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from test_explain import report
from textual.widgets import Label
from ui_driver import MLP, Driver, program, write

from app.ui.bars import Prompt


async def _stop_at_relu(d: Driver) -> None:
    await d.press("B", *"op relu", "enter", "f6")
    await d.stopped()


def test_a_general_breakpoint_marks_no_row(tmp_path: Path) -> None:
    """It is of no row's own; one on an op marks that op's rows, and no others."""

    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), (120, 40)) as d:
            for line in ("nan", "grad model.0.weight norm > 1e9", "absmax > 1e9"):
                await d.press("B", *line, "enter")
            assert len(d.session.breakpoints) == 3
            await _stop_at_relu(d)
            for _ in range(3):  # forward, backward, both
                marked = [row for row in d.rows("graph").split("\n") if "◆" in row]
                assert all("relu" in row for row in marked), marked
                await d.press("2", "g")

    asyncio.run(run())


def test_the_prompt_of_a_fast_e_is_about_the_next_stop(tmp_path: Path) -> None:
    """`n` and `e` in one go: what is edited is what the step made, not what stood before it."""

    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), (120, 40)) as d:
            await _stop_at_relu(d)
            before = d.session.stop.seq
            d.send("n", "e")  # without waiting for the stop
            await d.until(lambda: d.session.stop.seq > before, "the stop")
            await d.stopped()
            prompt = d.main.query_one(Prompt)
            label = str(prompt.query_one("#prompt-label", Label).render())
            assert label == "what if (it: out of linear)", label
            await d.press(*"it[:] = 0", "enter")
            await d.until(lambda: d.session.whatif.branch is not None, "the branch")
            await d.settled()
            await d.until(lambda: "zeros 100 %" in d.rows("inspector"), "the change")

    asyncio.run(run())


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
def test_the_graph_s_title_is_whole(tmp_path: Path, size: tuple[int, int]) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), size) as d:
            await d.press("f6")
            await d.idle()
            await d.press("2")
            seen = set()
            for _ in range(3):
                await d.press("g")
                (title,) = [part for part in d.text().split("\n")[0].split("━ ") if "graph" in part]
                assert "…" not in title and "step 3" in title, title
                seen.add(title.split(" · ")[2].partition(" (")[0].split(" ━")[0])
            assert {"backward", "fwd + bwd"} <= seen, seen

    asyncio.run(run())


def test_a_picture_of_the_screen_is_taken_within_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), (120, 40)) as d:
            await d.press("f6")
            await d.idle()
            await d.press("S")
            await report(d)
            await d.press("P")
            (picture,) = tmp_path.glob("mlp-screen-*.svg")
            assert "model&#160;summary" in picture.read_text()
            assert "written: " in d.text() and picture.name in d.text().replace("\n", ""), d.text()
            await d.press("escape", "f1", "f12")
            assert len(list(tmp_path.glob("mlp-screen-*.svg"))) == 2

    asyncio.run(run())


def test_before_the_first_step_there_is_none_to_compare_with(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), (120, 40)) as d:
            await _stop_at_relu(d)
            await d.press("D", "enter")
            assert "there is no step before this one" in d.session.message, d.text()

    asyncio.run(run())


DEEP_NAMES = """\
# %%
import framework as torch
from framework import nn

class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder_layers_of_the_model = nn.ModuleList(
            [nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)) for _ in range(2)]
        )
    def forward(self, x):
        for layer in self.encoder_layers_of_the_model:
            x = layer(x)
        return x

model = Transformer()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(200):
    optimizer.zero_grad()
    model(torch.randn(2, 4)).sum().backward()
    optimizer.step()
"""


def test_the_event_s_number_is_on_a_narrow_status_line(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "deep.py", DEEP_NAMES), (80, 24)) as d:
            await d.press("B", *"op layer_norm step 120", "enter", "f6")
            await d.stopped()
            for key in ("", "N", "C", "N"):
                await d.press(*[key] * bool(key))
                line = next(row for row in d.text().split("\n") if row.startswith(" paused "))
                assert f"event {d.session.cursor}" in line, line
                assert "step " in line, line

    asyncio.run(run())
