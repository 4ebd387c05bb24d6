"""The two themes: switched by the palette and by `--theme`, and readable in both."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual.color import Color
from ui_driver import MLP, program, write

from app.notebook import open_notebook
from app.ui import theme
from app.ui.app import TapebookApp
from viewers.tensor.heatmap import LIGHT_PALETTE


def grounds(app: TapebookApp) -> set[str]:
    """The colours that lie behind the text of all panes."""
    strips = app.screen._compositor.render_strips()
    styles = [segment.style for strip in strips for segment in strip if segment.style]
    return {s.bgcolor.get_truecolor().hex for s in styles if s.bgcolor is not None}


def test_the_palette_switches_all_that_is_drawn(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with program(write(tmp_path / "mlp.py", MLP)) as d:
            await d.press("B", *"op relu", "enter", "f6")
            await d.stopped()
            assert d.app.current_theme.dark
            await d.quiet()
            dark, text = grounds(d.app), d.text()
            await d.press("ctrl+p", *"theme")
            await d.until(lambda: "dark or light" in d.text(), "the palette")
            await d.press("enter")
            await d.until(lambda: not d.app.current_theme.dark, "the light theme")
            await d.quiet()
            light = grounds(d.app)
            assert d.text() == text
            assert theme._DARK["background"] in dark - light
            assert theme._LIGHT["background"] in light - dark
            heat = set(LIGHT_PALETTE.values())
            own = [c for c in light - heat if Color.parse(c).brightness < 0.6]
            assert not own, f"dark patches are left: {own}"

    asyncio.run(scenario())


def test_one_can_begin_with_either(tmp_path: Path) -> None:
    async def scenario(name: str) -> None:
        notebook = open_notebook(write(tmp_path / "mlp.py", MLP))
        app = TapebookApp(notebook, kernel=False, theme=name)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            assert app.current_theme.dark == (name == "dark")

    for name in ("dark", "light"):
        asyncio.run(scenario(name))


def contrast(one: str, other: str) -> float:
    """WCAG 2's ratio of two colours, 1 to 21."""

    def light(colour: str) -> float:
        parts = [
            c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4
            for c in Color.parse(colour).normalized
        ]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colors", [theme._DARK, theme._LIGHT], ids=["dark", "light"])
def test_text_stands_out(colors: dict[str, str]) -> None:
    """4.5 for what is read; `faint` is for what need not be."""
    grounds = [name for name in colors if name.endswith("ground")] + ["surface", "panel"]
    inks = set(colors) - {*grounds, "edge", "faint"}
    found = {name: contrast(colors["background"], colors[name]) for name in inks}
    assert min(found.values()) >= 4.5, found
    found = {name: contrast(colors[name], colors["text"]) for name in grounds}
    assert min(found.values()) >= 4.5, found
