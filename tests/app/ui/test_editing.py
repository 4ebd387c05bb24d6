"""The notebook pane: editing, cells, saving, recovery; and the one table of actions."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual.widgets import Input
from ui_driver import MLP, program, write

from app.actions import ACTIONS, PANES, by_id
from app.keymap import Keymap
from app.notebook import open_notebook
from app.ui.app import TapebookApp
from app.ui.commands import Commands


def test_cells_are_edited_moved_deleted_and_saved(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = write(tmp_path / "a.py", "# %%\na = 1\n\n# %%\nb = 2\n")
        async with program(path, kernel=False) as d:
            pane, notebook = d.main.notebook, d.app.notebook
            await d.press("down", "enter")
            assert pane.editing and "esc leave" in d.text()
            await d.press("end", "plus", "1", "n", "b")  # letters are text now
            assert notebook.cells[0].source == "a = 1+1nb"
            await d.press("backspace", "backspace", "enter", *"if a:", "enter", *"b")
            assert notebook.cells[0].source == "a = 1+1\nif a:\n    b"
            await d.press("escape")
            assert not pane.editing and d.main.where == "notebook"
            assert "● " not in d.pane("notebook"), "a letter typed in the editor set a breakpoint"
            assert "mlp" not in d.text() and "a.py ●" in d.text()  # not saved yet

            await d.press("o", *"c = 3", "escape")
            assert [c.source for c in notebook.cells][1:] == ["c = 3", "b = 2"]
            await d.press("K")
            assert notebook.cells[0].source == "c = 3"
            await d.press("d", "d")
            assert len(notebook.cells) == 2
            await d.press("z")
            assert len(notebook.cells) == 3 and notebook.cells[0].source == "c = 3"
            await d.press("y")
            assert notebook.cells[0].kind == "markdown"
            await d.press("y", "b")  # a breakpoint on its first line, before there is a kernel
            assert d.session.breakpoints[0].line == 1 and "●" in d.pane("notebook")

            await d.press("ctrl+s")
            assert not notebook.dirty and "saved" in d.text()
            assert [c.source for c in open_notebook(path).cells] == [
                c.source for c in notebook.cells
            ]

    asyncio.run(scenario())


def test_the_cell_that_is_gone_to_comes_into_sight(tmp_path: Path) -> None:
    """All of it that fits, not its first line alone."""

    async def scenario() -> None:
        cells = ["\n".join(f"{name}{i} = {i}" for i in range(1, 10)) for name in "abcd"]
        text = "".join(f"# %%\n{cell}\n\n" for cell in cells) + "# %%\n" + "e = 1\n" * 60
        async with program(write(tmp_path / "a.py", text), (80, 24), kernel=False) as d:
            for name in "bcd":
                await d.press("right_curly_bracket")
                shown = d.pane("notebook")
                assert f"{name}1 = 1" in shown and f"{name}9 = 9" in shown
            await d.press("right_curly_bracket")
            assert "cell 5" in d.pane("notebook").splitlines()[0]
            await d.press("left_curly_bracket", "left_curly_bracket")
            assert "c1 = 1" in d.pane("notebook") and "c9 = 9" in d.pane("notebook")

    asyncio.run(scenario())


def test_a_wrapped_text_cell_can_be_edited(tmp_path: Path) -> None:
    """It has fewer lines than rows: typing a letter once ended the program."""

    async def scenario() -> None:
        long = " ".join(["several words that fill more than one row"] * 6)
        source = f"# %% [markdown]\n# # Title\n# {long}\n#\n# {long}\n\n# %%\nx = 1\n"
        async with program(write(tmp_path / "a.py", source), (80, 24), kernel=False) as d:
            await d.press("enter", "Z", "end", "enter", *"more", "backspace", "down", "x")
            await d.settled()
            assert "Z" in d.app.notebook.cells[0].source and d.main.notebook.editing
            await d.press("escape")
            await d.settled()
            assert "Title" in d.text()

    asyncio.run(scenario())


def test_the_editor_grows_and_follows(tmp_path: Path) -> None:
    async def scenario() -> None:
        text = "".join(f"# %%\nx{i} = {i}\n\n" for i in range(1000))
        async with program(write(tmp_path / "many.py", text), kernel=False) as d:
            view, pane = d.main.notebook.view, d.main.notebook
            view.select_cell(d.app.notebook.cells[700].id)
            await d.press("enter", *"a = [", "enter", "1", "enter", "2", "escape")
            assert d.app.notebook.cells[700].source.startswith("a = [\n1\n2")
            assert "x700 = 700" in d.pane("notebook")
            await d.press("enter")
            row = pane.editor.region.y - view.region.y + view.scroll_offset.y
            assert row == view.rows.span_of(d.app.notebook.cells[700].id)[0]
            await d.press("escape", "right_curly_bracket")
            assert view.cell is d.app.notebook.cells[701]

    asyncio.run(scenario())


def test_unsaved_work_is_asked_about_and_recovered(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = write(tmp_path / "a.py", "# %%\na = 1\n")
        async with program(path, kernel=False) as d:
            await d.press("down", "enter", "end", "0", "escape", "ctrl+q")
            assert "unsaved changes" in d.text()
            await d.press("escape")
            d.app.autosave()
            await d.press("ctrl+q", "escape")
            assert path.read_text() == "# %%\na = 1\n"
        async with program(path, kernel=False) as d:
            await d.until(lambda: "unsaved work" in d.text(), "the offer")
            await d.press("r")
            assert d.app.notebook.cells[0].source == "a = 10"
            await d.press("ctrl+q", "d")

    asyncio.run(scenario())


def test_a_file_that_was_changed_by_others_is_saved_under_another_name(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = write(tmp_path / "a_notebook_with_a_long_name.py", "# %%\na = 1\n")
        write(tmp_path / "taken.py", "kept = 1\n")
        async with program(path, (80, 24), kernel=False) as d:
            await d.press("down", "enter", "end", "0", "escape")
            path.write_text("# %%\ntheirs = 1\n")
            await d.press("ctrl+s")
            question = " ".join(d.text().replace("│", " ").split())
            assert "reload it, overwrite it, or save under another name" in question, d.text()
            await d.press("s")
            assert "save as" in d.text() and "long_name-2.py" in d.text(), d.text()
            await d.press(*str(tmp_path / "taken.py"), "enter")
            assert "exists already" in d.text(), d.text()
            await d.press("escape")
            assert (tmp_path / "taken.py").read_text() == "kept = 1\n"
            d.main.commands.perform("save_as")
            await d.press(*str(tmp_path / "mine.py"), "enter")
            assert "saved mine.py" in d.session.message, d.text()
            assert (tmp_path / "mine.py").read_text() == "# %%\na = 10\n"
            assert path.read_text() == "# %%\ntheirs = 1\n"
            assert d.text().startswith("━ mine.py ") and not d.app.notebook.dirty
            d.main.commands.perform("save_as")
            await d.press(*str(tmp_path / "no" / "x.py"), "enter")
            assert d.session.problem and "no" in d.session.message, d.session.message

    asyncio.run(scenario())


def test_a_breakpoint_with_a_condition(tmp_path: Path) -> None:
    """The form checks what it is given; the breakpoint is listed, switched off, and deleted."""

    async def scenario() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), kernel=False) as d:
            await d.press("2", "B")
            await d.press(*"absmax", "enter")
            assert "needs a number" in d.text()
            await d.press(*" > 10", "enter")
            (point,) = d.session.breakpoints
            assert point.condition == "absmax > 10"
            await d.press("ctrl+o", "b")
            assert "any op when absmax > 10" in d.pane("breakpoints")
            await d.press("space")
            assert not d.session.breakpoints[0].enabled and "○" in d.pane("breakpoints")
            await d.press("x")
            assert not d.session.breakpoints

    asyncio.run(scenario())


def test_panes_are_reached_by_key_and_mouse(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), kernel=False) as d:
            for number, name in enumerate(PANES, start=1):
                await d.press(str(number))
                assert d.main.where == name
            await d.press("ctrl+o")
            assert " n  mlp.py" in d.text() and " g  graph" in d.text()
            await d.press("w")
            assert d.main.where == "watches"
            await d.press("tab")
            assert d.main.where == "notebook"
            await d.press("m")
            assert not d.main.graph.display
            await d.press("m")
            assert d.main.graph.display
            # The gutter sets a breakpoint, the tab bar shows a tab, the footer does what it says.
            view = d.main.notebook.view
            row = view.rows.row_of(d.app.notebook.cells[2].id, 2)
            await d.click("#notebook", offset=(2, row))
            assert [p.line for p in d.session.breakpoints] == [2]
            await d.click("#tabs", offset=(14, 0))
            assert d.main.where == "variables"
            await d.press("f1")
            assert "Next op" in d.text()
            await d.press("escape", "ctrl+p")
            await d.quiet()
            await d.press(*"zoom")
            await d.until(lambda: "Zoom the pane" in d.text(), "the palette")
            await d.press("escape")

    asyncio.run(scenario())


def test_a_bug_of_ours_costs_no_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception in the program: the report and the unsaved work are on disk."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    async def scenario() -> None:
        path = write(tmp_path / "a.py", "# %%\na = 1\n")
        app: TapebookApp | None = None
        with pytest.raises(RuntimeError, match="a bug"):
            async with program(path, kernel=False) as d:
                app = d.app
                await d.press("down", "enter", "end", "7", "escape")

                def bug(*_: object) -> None:
                    raise RuntimeError("a bug")

                monkeypatch.setattr(d.main.commands, "do_zoom", bug)
                await d.press("m")
        assert app is not None and app.crash is not None and app.crash.report is not None
        assert "RuntimeError: a bug" in app.crash.report.read_text()
        (kept,) = tmp_path.glob(".*.tapebook-autosave")
        assert "a = 17" in kept.read_text()

    asyncio.run(scenario())


def test_every_action_can_be_done() -> None:
    """Each has a method, a group that the help shows, and keys that no other has where it acts."""
    generic = {"next", "into", "out", "line", "step", "continue"}
    taken: dict[tuple[str, str], str] = {}
    for action in ACTIONS:
        numbered = action.id.startswith("pane_")
        assert action.id in generic or numbered or hasattr(Commands, f"do_{action.id}"), action.id
        for key in action.keys:
            for where in action.where or ("",):
                assert (where, key) not in taken, f"{key}: {action.id} and {taken[where, key]}"
                taken[where, key] = action.id


def test_keys_can_be_rebound() -> None:
    keys = Keymap({"next": ["N"], "back": ["p"]})
    assert keys.press("N", "graph", editing=False) is by_id["next"]
    assert keys.label("back") == "p"
    with pytest.raises(KeyError, match="nonsense"):
        Keymap({"nonsense": ["x"]})


def test_ctrl_q_asks_while_a_cell_has_worked_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "# %%\nimport time\ntime.sleep(1000)\n"

    async def run() -> None:
        async with program(write(tmp_path / "a.py", text), (80, 24)) as d:
            await d.press("ctrl+r")
            await d.until(lambda: d.session.executing, "the cell")
            monkeypatch.setattr("app.ui.app.LONG", 0.0)
            await d.press("ctrl+q")
            assert "cell 1 runs, and ends with the program." in d.text(), d.text()
            await d.press("escape")
            assert d.app.is_running and d.app.screen is d.main
            await d.press("ctrl+q", "q")
            await d.until(lambda: d.app._exit, "the end")
            assert d.app.return_code == 0

    asyncio.run(run())


def test_what_is_typed_has_room_before_what_is_said_beside_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), (80, 24)) as d:
            await d.press("f6")
            await d.idle()
            await d.press("D")
            assert "compare step 3 with" in d.text() and "Enter: step 2" in d.text(), d.text()
            await d.press(*"recordings/another_one.tape")
            assert "recordings/another_one.tape" in d.text(), d.text()
            await d.press("escape")

    asyncio.run(run())


def test_files_to_open_are_in_sight_and_narrowed_by_what_is_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def scenario() -> None:
        for name in ("gan.py", "gpt.py", "rnn.py"):
            write(tmp_path / name, "# %%\na = 1\n")
        async with program(write(tmp_path / "here.py", "b = 1\n"), kernel=False) as d:
            line = d.main.prompt.query_one(Input)
            await d.press("f3")
            assert "↑ ↓ files here: gan.py, gpt.py, rnn.py" in d.text(), d.text()
            await d.press("g", "p", "down")
            assert line.value.endswith("gpt.py"), line.value
            assert "files here: gpt.py" in d.text(), "the only one"
            await d.press(*["backspace"] * len(line.value), "n", "down", "down")
            assert line.value.endswith("rnn.py"), line.value
            await d.press("up", "enter")
            assert d.app.next_path is not None and d.app.next_path.endswith("gan.py")

    asyncio.run(scenario())
