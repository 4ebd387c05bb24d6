"""The start page: the notebooks that are here, or a path."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from app.sanitize import clean
from app.ui.theme import DARK, LIGHT

__all__ = ["StartApp", "choose", "notebooks", "recordings"]

TOUR = "\0tour"  # no path: the answer of who wants the tour
_TOUR = "take the tour: find three bugs"
_MANY = 500


def recordings(directory: Path) -> list[Path]:
    """Recordings in a directory."""
    with contextlib.suppress(OSError):
        return sorted(path for path in directory.glob("*.tape") if os.path.isfile(path))[:_MANY]
    return []


def notebooks(directory: Path, deep: bool = True) -> list[Path]:
    """Notebooks in a directory: .ipynb, and .py with a ``# %%`` line.

    With ``deep`` also those in its ``examples``.
    """
    found: list[Path] = []
    for place in (directory, *([directory / "examples"] if deep else ())):
        try:
            entries = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries[:_MANY]:
            path = Path(entry.path)
            if entry.name.startswith(".") or not os.path.isfile(entry):
                continue
            if path.suffix == ".ipynb" or (path.suffix == ".py" and _has_cells(path)):
                found.append(path)
    return found


def _has_cells(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return b"# %%" in file.read(20_000)
    except OSError:
        return False


class StartApp(App[str | None], inherit_bindings=False):
    """Asks which notebook to open; the result is its path."""

    CSS = """
    Screen { align: center middle; }
    #title { width: auto; text-style: bold; color: $accent; }
    #hint { width: auto; color: $dim; margin-bottom: 1; }
    OptionList { width: 70; max-width: 94%; height: auto; max-height: 60%; border: none;
        background: $surface; }
    Input { width: 70; max-width: 94%; margin-top: 1; border: none; height: 1;
        background: $panel; padding: 0 1; }
    Input:focus { border: none; }
    """
    BINDINGS: ClassVar = [("ctrl+q", "quit"), ("escape", "quit")]

    def __init__(self, directory: Path, theme: str | None = None) -> None:
        super().__init__()
        self.directory = directory
        self.found = notebooks(directory)
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = LIGHT.name if theme == "light" else DARK.name

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(DARK.variables)

    def compose(self) -> ComposeResult:
        yield Static("Tapebook", id="title")
        yield Static("a notebook that plays the autograd tape · enter opens · esc quits", id="hint")
        names = [clean(os.path.relpath(p, self.directory), keep_newlines=False) for p in self.found]
        yield OptionList(*(Option(Content(name)) for name in [*names, _TOUR]))
        yield Input(placeholder="or a path: model.py, notebook.ipynb", compact=True)

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if event.option_index == len(self.found):
            self.exit(TOUR)
        else:
            self.exit(str(self.found[event.option_index]))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.value.strip():
            self.exit(str(Path(event.value.strip()).expanduser()))

    def on_key(self, event: events.Key) -> None:
        if event.key == "down" and isinstance(self.focused, Input):
            self.query_one(OptionList).focus()


def choose(theme: str | None = None) -> str | None:
    """Let the user choose a notebook; None if they would rather not. OSError or ValueError."""
    chosen = StartApp(Path.cwd(), theme).run()
    if chosen != TOUR:
        return chosen
    from app import tour

    try:
        path = tour.prepare()
    except RuntimeError as error:
        raise ValueError(str(error)) from None
    os.chdir(path.parent)
    return path.name
