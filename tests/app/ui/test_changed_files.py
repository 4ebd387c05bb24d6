"""A notebook's file that other programs change, or remove, while it is open."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ui_driver import program, write

TEXT = "# %%\nprint('one')\n\n# %%\nprint('two')\n"


def test_a_change_by_another_editor_is_said_and_taken(tmp_path: Path) -> None:
    """Without a key it is said; F4 takes it, the cell that is the same keeps its output."""

    async def run() -> None:
        path = write(tmp_path / "model.py", TEXT)
        async with program(path) as d:
            await d.press("f6")
            await d.idle()
            first = d.app.notebook.cells[0].id
            d.session.add_breakpoint(file=f"<cell {first}>", line=1)
            path.write_text("# %%\nx = 0\n" + TEXT.replace("'two'", "'three'"))
            await d.until(lambda: "changed on disk: F4" in d.text(), "the word about it")
            assert "'two'" in d.rows("notebook"), "nothing is taken unasked"
            await d.press("f4")
            assert "was read again: 2 cells changed" in d.text(), d.text()
            shown = d.rows("notebook")
            assert "'three'" in shown and "'two'" not in shown and "x = 0" in shown, shown
            kept = d.app.notebook.cells[1]
            assert kept.id == first and kept.outputs and "\n one" in shown, shown
            assert d.session.breakpoints[0].file == f"<cell {first}>"
            assert not d.app.notebook.dirty
            await d.press("z")
            assert "'two'" in d.rows("notebook") and "x = 0" not in d.rows("notebook")
            await d.press("Z", "f4")
            assert "read again: nothing new" in d.text()

    asyncio.run(run())


def test_a_file_that_is_gone_is_written_again(tmp_path: Path) -> None:
    async def run() -> None:
        path = write(tmp_path / "model.py", TEXT)
        async with program(path) as d:
            path.unlink()
            await d.until(lambda: "model.py is gone from the disk; ctrl+s" in d.text(), "the word")
            await d.press("f4")
            assert "no such file" in d.text(), d.text()
            await d.press("ctrl+s")
            assert path.read_text() == TEXT
            await d.press("ctrl+s")
            assert "saved model.py" in d.text()

    asyncio.run(run())


def test_own_changes_are_named_before_they_are_replaced(tmp_path: Path) -> None:
    async def run() -> None:
        path = write(tmp_path / "model.py", TEXT)
        async with program(path) as d:
            await d.press("d", "d")
            path.write_text(TEXT + "# more\n")
            await d.until(lambda: "z brings them back" in d.text(), "the word about it")
            await d.press("f4", "z")
            assert len(d.app.notebook.cells) == 1, "as it was after dd"

    asyncio.run(run())
