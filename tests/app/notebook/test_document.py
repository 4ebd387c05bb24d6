"""Edits, undo and redo."""

from __future__ import annotations

import random

import pytest

from app.notebook import document
from app.notebook.document import Cell, Error, Kind, Notebook, Stream


def made(*sources: str) -> Notebook:
    return Notebook(cells=[Cell(f"c{i}", source=text) for i, text in enumerate(sources)])


def sources(notebook: Notebook) -> list[str]:
    return [cell.source for cell in notebook.cells]


def test_a_new_notebook_has_one_empty_cell() -> None:
    notebook = Notebook()
    assert sources(notebook) == [""] and not notebook.dirty
    assert notebook.undo() is None and notebook.redo() is None


def test_insert_delete_move_and_their_undo() -> None:
    notebook = made("a", "b")
    new = notebook.insert(1, "markdown", "x\r\ny\rz")
    assert new.source == "x\ny\nz" and new.kind == "markdown"
    assert notebook.insert(99).id == notebook.cells[-1].id
    assert notebook.insert(-5).id == notebook.cells[0].id
    assert notebook.undo() and notebook.undo() == "c1"
    assert sources(notebook) == ["a", "x\ny\nz", "b"]
    notebook.move("c0", 5)
    assert sources(notebook) == ["x\ny\nz", "b", "a"]
    notebook.move("c0", 1)  # already at the end: no step
    assert notebook.undo() == "c0"
    assert sources(notebook) == ["a", "x\ny\nz", "b"]
    assert notebook.redo() == "c0"
    notebook.delete("c1")
    assert sources(notebook) == ["x\ny\nz", "a"]
    assert notebook.undo() == "c1"
    assert notebook.index("c1") == 1 and notebook.cell("c1").source == "b"


def test_undoing_a_delete_brings_the_outputs_back() -> None:
    notebook = made("a")
    notebook.append_output("c0", Stream("stdout", "hello\n"))
    notebook.set_execution_count("c0", 4)
    notebook.delete("c0")
    assert sources(notebook) == [""] and notebook.cells[0].id != "c0"
    notebook.undo()
    assert notebook.cells[0].outputs == [Stream("stdout", "hello\n")]
    assert notebook.cells[0].execution_count == 4


def test_consecutive_edits_of_a_cell_are_one_step() -> None:
    notebook = made("a", "b")
    for text in ("a1", "a12", "a123"):
        notebook.set_source("c0", text)
    notebook.append_output("c0", Stream("stdout", "x"))  # output in between does not part them
    notebook.set_source("c0", "a1234")
    notebook.set_source("c1", "b1")
    notebook.set_source("c0", "again")
    notebook.end_edit()
    notebook.set_source("c0", "more")
    assert notebook.undo() == "c0" and sources(notebook) == ["again", "b1"]
    assert notebook.undo() == "c0" and sources(notebook) == ["a1234", "b1"]
    assert notebook.undo() == "c1" and sources(notebook) == ["a1234", "b"]
    assert notebook.undo() == "c0" and sources(notebook) == ["a", "b"]
    assert notebook.cell("c0").outputs == [Stream("stdout", "x")]  # what ran stays
    while notebook.redo():
        pass
    assert sources(notebook) == ["more", "b1"]


def test_an_edit_that_changes_nothing_is_no_step() -> None:
    notebook = made("a")
    notebook.set_source("c0", "a")
    notebook.set_kind("c0", "code")
    notebook.set_metadata("c0", {})
    notebook.move("c0", 0)
    notebook.merge("c0")
    assert not notebook.dirty and notebook.undo() is None


def test_text_typed_and_taken_back_leaves_no_trace() -> None:
    notebook = made("a", "b")
    notebook.set_source("c1", "b1")
    notebook.set_source("c0", "a1")
    notebook.set_source("c0", "a")
    assert notebook.dirty and notebook.undo() == "c1"
    assert sources(notebook) == ["a", "b"] and not notebook.dirty
    notebook.set_source("c0", "x")
    notebook.set_source("c0", "a")
    assert not notebook.dirty and notebook.undo() is None


def test_a_new_edit_ends_redo() -> None:
    notebook = made("a")
    notebook.set_source("c0", "b")
    notebook.undo()
    notebook.set_source("c0", "c")
    assert notebook.redo() is None and sources(notebook) == ["c"]


def test_kind_and_metadata() -> None:
    notebook = made("a")
    notebook.append_output("c0", Error("E", "v"))
    notebook.set_kind("c0", "markdown")
    assert notebook.cells[0].outputs == [] and notebook.cells[0].kind == "markdown"
    notebook.set_metadata("c0", {"title": "t"})
    notebook.undo()
    notebook.undo()
    assert notebook.cells[0].kind == "code" and notebook.cells[0].outputs == [Error("E", "v")]
    with pytest.raises(ValueError, match="cell kind 'heading' is none of code, markdown, raw"):
        notebook.set_kind("c0", "heading")
    with pytest.raises(ValueError, match="is none of"):
        notebook.insert(0, "x")
    with pytest.raises(KeyError):
        notebook.set_source("nope", "")


def test_split_and_merge() -> None:
    notebook = made("one\ntwo\n\nthree", "four")
    notebook.append_output("c0", Stream("stdout", "o"))
    lower = notebook.split("c0", len("one\ntwo\n"))
    assert sources(notebook) == ["one\ntwo", "three", "four"]
    assert notebook.cells[0].id == "c0" and notebook.cells[0].outputs
    notebook.merge(lower.id)
    assert sources(notebook) == ["one\ntwo", "three\nfour"]
    notebook.undo()
    notebook.undo()
    assert sources(notebook) == ["one\ntwo\n\nthree", "four"]
    notebook.merge("c0")
    assert notebook.cells[0].outputs == []
    notebook.undo()
    assert notebook.cells[0].outputs == [Stream("stdout", "o")]
    text = Notebook(cells=[Cell("a", "markdown", "x"), Cell("b", "markdown", "y")])
    text.cells[1].attachments = {"i.png": {}}
    text.merge("a")
    assert sources(text) == ["x\n\ny"] and text.cells[0].attachments == {"i.png": {}}


def test_dirty_follows_undo_and_saving() -> None:
    notebook = made("a")
    notebook.set_source("c0", "b")
    assert notebook.dirty
    notebook.undo()
    assert not notebook.dirty
    notebook.redo()
    notebook.mark_saved()
    assert not notebook.dirty
    notebook.set_source("c0", "c")  # not joined to the edit before the save
    assert notebook.dirty
    notebook.undo()
    assert not notebook.dirty and sources(notebook) == ["b"]
    notebook.undo()
    assert notebook.dirty
    notebook.set_source("c0", "d")
    assert notebook.dirty


def test_outputs_make_an_ipynb_dirty_and_a_script_not() -> None:
    script, ipynb = made("a"), made("a")
    ipynb.kind = "ipynb"
    for notebook in (script, ipynb):
        before = notebook.revision
        notebook.append_output("c0", Stream("stdout", "x"))
        assert notebook.revision > before
    assert ipynb.dirty and not script.dirty
    ipynb.mark_saved()
    assert not ipynb.dirty
    ipynb.set_execution_count("c0", 1)
    assert ipynb.dirty


def test_history_is_bounded_and_the_saved_state_may_fall_out_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(document, "HISTORY", 5)
    notebook = made("a")
    for number in range(9):
        notebook.insert(99, source=str(number))
    while notebook.undo():
        pass
    assert len(notebook.cells) == 1 + 4
    assert notebook.dirty  # the state as opened cannot be reached any more
    notebook.mark_saved()
    notebook.insert(0)
    notebook.undo()
    assert not notebook.dirty


def state(notebook: Notebook) -> list[tuple[object, ...]]:
    return [(c.id, c.kind, c.source, len(c.outputs), c.execution_count) for c in notebook.cells]


def test_random_edits_all_undo_and_redo() -> None:
    rng = random.Random(7)
    kinds: list[Kind] = ["code", "markdown", "raw"]
    for _ in range(60):
        notebook = made("a\nb", "c", "d\n\ne")
        for cell in notebook.cells:
            notebook.append_output(cell.id, Stream("stdout", "out"))
        start = state(notebook)
        states = [start]
        for _ in range(30):
            cell = rng.choice(notebook.cells)
            match rng.randrange(8):
                case 0:
                    notebook.insert(rng.randrange(5), rng.choice(kinds), "new")
                case 1:
                    notebook.delete(cell.id)
                case 2:
                    notebook.move(cell.id, rng.randrange(-3, 4))
                case 3:
                    notebook.set_source(cell.id, f"text\n{rng.random()}")
                case 4:
                    notebook.set_kind(cell.id, rng.choice(kinds))
                case 5:
                    notebook.split(cell.id, rng.randrange(1 + len(cell.source)))
                case 6:
                    notebook.merge(cell.id)
                case 7:
                    notebook.end_edit()
            assert notebook.cells and len({c.id for c in notebook.cells}) == len(notebook.cells)
            states.append(state(notebook))
        end = state(notebook)
        while (focus := notebook.undo()) is not None:
            assert state(notebook) in states
            assert notebook.index(focus) >= 0
        assert state(notebook) == start and not notebook.dirty
        while notebook.redo():
            assert state(notebook) in states
        assert state(notebook) == end
