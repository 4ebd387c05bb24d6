"""Autosave and recovery, the session file, and the lock between two instances."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.notebook import (
    Notebook,
    NotebookError,
    Stream,
    autosave,
    discard,
    find_recovery,
    load_session,
    lock,
    new_notebook,
    open_notebook,
    recover,
    remove_autosave,
    save,
    save_as,
    save_session,
)

SCRIPT = "import os\r\n\r\n# %% one\r\nx = 1\r\n# %% [markdown]\r\n'''\r\ntext\r\n'''\r\n"


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    return home


@pytest.fixture
def script(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    path = folder / "s.py"
    path.write_bytes(SCRIPT.encode())
    return path


@pytest.fixture
def ipynb(script: Path) -> Path:
    notebook = open_notebook(script)
    notebook.append_output(notebook.cells[1].id, Stream("stdout", "old\n"))
    path = script.with_name("n.ipynb")
    save_as(notebook, path)
    return path


def sources(notebook: Notebook) -> list[str]:
    return [cell.source for cell in notebook.cells]


def place(path: Path) -> Path:
    return path.with_name(f".{path.name}.tapebook-autosave")


def test_autosave_is_written_only_when_dirty_and_goes_with_a_save(script: Path) -> None:
    notebook = open_notebook(script)
    assert autosave(notebook) is None and not place(script).exists()
    notebook.set_source(notebook.cells[1].id, "x = 2")
    assert autosave(notebook) == place(script)
    assert place(script).stat().st_mode & 0o777 == 0o600
    assert autosave(notebook) is None  # nothing new since
    assert script.read_bytes() == SCRIPT.encode()
    save(notebook)
    assert os.listdir(script.parent) == ["s.py"]
    notebook.set_source(notebook.cells[1].id, "x = 3")
    autosave(notebook)
    notebook.undo()
    autosave(notebook)  # undone: nothing to keep
    assert os.listdir(script.parent) == ["s.py"]
    assert autosave(Notebook()) is None


def test_recovery_brings_a_scripts_cells_back_exactly(script: Path) -> None:
    notebook = open_notebook(script)
    notebook.set_source(notebook.cells[1].id, "x = 2")
    new = notebook.insert(2, "markdown", "new\n\ntext")
    notebook.set_source(notebook.cells[3].id, "text 2")
    notebook.append_output(notebook.cells[1].id, Stream("stderr", "o\udcffut"))
    autosave(notebook)
    opened = open_notebook(script)
    found = find_recovery(script, opened)
    assert found is not None and not found.problem and found.same_base
    assert abs(found.saved_at - time.time()) < 60
    recover(opened, found)
    assert sources(opened) == sources(notebook) and opened.dirty
    assert opened.cells[2].id == new.id
    assert opened.cells[1].outputs == [Stream("stderr", "o\ufffdut")]
    save(opened)
    save(notebook, overwrite=True)
    expected = script.read_bytes()
    assert expected == (
        SCRIPT.replace("x = 1", "x = 2")
        .replace("# %% [m", "\r\n# %% [markdown]\r\n# new\r\n#\r\n# text\r\n\r\n# %% [m", 1)
        .replace("\r\ntext\r\n'''", "\r\ntext 2\r\n'''")
        .encode()
    )
    assert find_recovery(script, open_notebook(script)) is None


def test_recovery_is_one_step(script: Path) -> None:
    notebook = open_notebook(script)
    notebook.delete(notebook.cells[0].id)
    autosave(notebook)
    opened = open_notebook(script)
    found = find_recovery(script, opened)
    assert found is not None
    recover(opened, found)
    assert len(opened.cells) == 2
    opened.undo()
    assert len(opened.cells) == 3 and not opened.dirty
    opened.redo()
    assert len(opened.cells) == 2


def test_only_changed_outputs_are_in_the_autosave(ipynb: Path) -> None:
    notebook = open_notebook(ipynb)
    changed, other = notebook.cells[0], notebook.cells[1]
    notebook.append_output(changed.id, Stream("stdout", "new\n"))
    assert notebook.dirty
    autosave(notebook)
    stored = json.loads(place(ipynb).read_text())["cells"]
    assert "outputs" in stored[0] and "outputs" not in stored[1]
    opened = open_notebook(ipynb)
    found = find_recovery(ipynb, opened)
    assert found is not None
    recover(opened, found)
    assert opened.cell(changed.id).outputs == [Stream("stdout", "new\n")]
    assert opened.cell(other.id).outputs == [Stream("stdout", "old\n")]
    save(opened)
    text = ipynb.read_text()
    assert open_notebook(ipynb).cell(other.id).outputs == [Stream("stdout", "old\n")]
    save(notebook, overwrite=True)
    assert ipynb.read_text() == text


def test_work_that_equals_the_file_is_no_recovery(script: Path) -> None:
    notebook = open_notebook(script)
    notebook.set_source(notebook.cells[1].id, "x = 2")
    autosave(notebook)
    kept = place(script).read_bytes()
    save(notebook)
    place(script).write_bytes(kept)  # as after a crash between the save and its removal
    assert find_recovery(script, open_notebook(script)) is None


def test_a_changed_or_broken_file_is_told(script: Path) -> None:
    notebook = open_notebook(script)
    notebook.set_source(notebook.cells[1].id, "x = 2")
    autosave(notebook)
    script.write_bytes(b"other = 1\n")
    opened = open_notebook(script)
    found = find_recovery(script, opened)
    assert found is not None and not found.same_base
    script.write_bytes(b"\0")  # the file itself is gone: the work is not
    found = find_recovery(script)
    assert found is not None
    rescued = new_notebook(script)
    recover(rescued, found)
    assert sources(rescued) == sources(notebook)
    discard(found)
    assert find_recovery(script) is None
    discard(found)


def test_opening_does_not_lose_the_work_found(script: Path) -> None:
    notebook = open_notebook(script)
    notebook.set_source(notebook.cells[1].id, "x = 2")
    autosave(notebook)
    opened = open_notebook(script)
    autosave(opened)  # the timer, before the user has decided
    assert find_recovery(script, opened) is not None
    remove_autosave(opened)
    assert find_recovery(script, opened) is None


BROKEN: list[tuple[str, str]] = [
    ("", "damaged"),
    ("{", "damaged"),
    ("[]", "damaged"),
    ("{}", "damaged"),
    ("[" * 50_000, "damaged"),
    ('{"tapebook": 2}', "format 2, expected 1"),
    ('{"tapebook": 1, "cells": []}', "damaged"),
    ('{"tapebook": 1, "cells": [{"id": "a"}], "saved_at": 0, "digest": null}', "damaged"),
    ('{"tapebook": 1, "cells": ' + "[" * 300 + "]" * 300 + "}", "damaged"),
]


@pytest.mark.parametrize(("content", "reason"), BROKEN)
def test_a_damaged_autosave_is_reported(script: Path, content: str, reason: str) -> None:
    place(script).write_text(content)
    opened = open_notebook(script)
    found = find_recovery(script, opened)
    assert found is not None and reason in found.problem and "\n" not in found.problem
    with pytest.raises(NotebookError):
        recover(opened, found)
    assert not opened.dirty


@pytest.mark.parametrize("when", ["1e400", "-1e400", "NaN", "-1e300", "1" + "0" * 400, "1e18"])
def test_unsaved_work_of_an_absurd_time_is_still_there(script: Path, when: str) -> None:
    """The time is a label: work is not thrown away for it."""
    notebook = open_notebook(script)
    notebook.set_source(notebook.cells[1].id, "x = 2")
    autosave(notebook)
    text = re.sub(r'"saved_at": [0-9.]+', f'"saved_at": {when}', place(script).read_text())
    place(script).write_text(text)
    opened = open_notebook(script)
    found = find_recovery(script, opened)
    assert found is not None and not found.problem and found.saved_at == 0
    recover(opened, found)
    assert opened.cells[1].source == "x = 2"


def test_fuzzed_autosaves_are_used_or_reported(script: Path) -> None:
    rng = random.Random(8)
    notebook = open_notebook(script)
    notebook.set_source(notebook.cells[1].id, "x = 2")
    notebook.append_output(notebook.cells[1].id, Stream("stdout", "o"))
    autosave(notebook)
    good = json.loads(place(script).read_text())
    junk = [None, 1, "x", [], {}, True, [1], {"a": 1}, "\ud800"]
    for _ in range(300):
        data = json.loads(json.dumps(good))
        item = rng.choice([data, data["cells"][1], data["cells"][0], data["cells"][0]["form"]])
        key = rng.choice(list(item))
        if rng.random() < 0.3:
            del item[key]
        else:
            item[key] = rng.choice(junk)
        place(script).write_text(json.dumps(data))
        opened = open_notebook(script)
        found = find_recovery(script, opened)
        if found is None or found.problem:
            continue
        recover(opened, found)
        for cell in opened.cells:
            opened.set_kind(cell.id, "markdown")
            opened.location(cell.id)
        place(script).unlink()
        try:
            save(opened)
        except NotebookError as error:
            assert "U+D800" in str(error)
        script.write_bytes(SCRIPT.encode())


def test_planted_autosaves_are_not_used(script: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("{}")
    place(script).symlink_to(secret)
    found = find_recovery(script)
    assert found is not None and "cannot be read" in found.problem
    notebook = open_notebook(script)
    notebook.set_source(notebook.cells[1].id, "x = 2")
    autosave(notebook)
    assert secret.read_text() == "{}" and not place(script).is_symlink()
    place(script).unlink()
    os.mkfifo(place(script))
    found = find_recovery(script)
    assert found is not None and "not a file of yours" in found.problem
    if os.geteuid() == 0:
        place(script).unlink()
        place(script).write_text("{}")
        os.chown(place(script), 65534, 65534)
        found = find_recovery(script)
        assert found is not None and "not a file of yours" in found.problem


def test_where_the_folder_is_not_writable_the_state_directory_serves(
    script: Path, state_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path) != script.parent and real(path, mode)
    )
    notebook = open_notebook(script)
    notebook.set_source(notebook.cells[1].id, "x = 2")
    written = autosave(notebook)
    assert written is not None and written.is_relative_to(state_home)
    assert state_home.joinpath("tapebook", "companions").stat().st_mode & 0o777 == 0o700
    found = find_recovery(script, open_notebook(script))
    assert found is not None and found.path == written
    assert save_session(script, {"a": 1}) and load_session(script) == {"a": 1}
    assert os.listdir(script.parent) == ["s.py"]
    remove_autosave(notebook)
    assert find_recovery(script) is None


def test_an_autosave_that_cannot_be_written_says_so(script: Path, state_home: Path) -> None:
    notebook = open_notebook(script)
    notebook.set_source(notebook.cells[1].id, "x = 2")
    place(script).mkdir()
    with pytest.raises(NotebookError, match="not saved"):
        autosave(notebook)
    assert notebook.autosaved == -1


KILLED = """
import os, signal, sys
from app.notebook import autosave, lock, open_notebook
notebook = open_notebook(sys.argv[1])
assert lock(notebook).held
number = 0
while True:
    number += 1
    notebook.set_source(notebook.cells[1].id, f"x = {number}" + " # padding" * 500)
    autosave(notebook)
    if number == 1:
        print("ready", flush=True)
"""


def test_a_killed_process_loses_at_most_the_last_interval(script: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        other = open_notebook(script)
        claim = lock(other)
        assert not claim.held and other.read_only
        assert f"process {child.pid} on" in other.notices[-1]
        assert find_recovery(script, other) is None  # it is the other's
        assert autosave(other) is None
        with pytest.raises(NotebookError, match="open read-only"):
            save(other)
        time.sleep(0.05)
        child.send_signal(signal.SIGKILL)
        child.wait()
    opened = open_notebook(script)
    claim = lock(opened)  # the lock of the dead is free
    assert claim.held and not opened.read_only
    found = find_recovery(script, opened)
    assert found is not None and not found.problem
    recover(opened, found)
    assert opened.cells[1].source.endswith("# padding")
    claim.release()


def test_the_lock_within_one_process_and_through_links(script: Path) -> None:
    first = open_notebook(script)
    claim = lock(first)
    assert claim.held and script.with_name(".s.py.tapebook-lock").exists()
    link = script.with_name("link.py")
    link.symlink_to("s.py")
    second = open_notebook(link)
    assert not lock(second).held and second.read_only
    save_as(second, script.with_name("copy.py"))
    assert not second.read_only and lock(second).held
    claim.release()
    claim.release()
    assert not script.with_name(".s.py.tapebook-lock").exists()
    third = open_notebook(script)
    assert lock(third).held
    assert not lock(Notebook()).held


def test_a_lock_left_by_a_dead_process_is_taken_over(script: Path) -> None:
    left = script.with_name(".s.py.tapebook-lock")
    for content in ('{"pid": 1, "host": "elsewhere"}', "garbage", ""):
        left.write_text(content)
        notebook = open_notebook(script)
        claim = lock(notebook)
        assert claim.held and not notebook.read_only
        assert json.loads(left.read_text())["pid"] == os.getpid()
        claim.release()


def test_a_lock_that_cannot_be_made_does_not_stop_the_work(script: Path, state_home: Path) -> None:
    script.with_name(".s.py.tapebook-lock").mkdir()
    notebook = open_notebook(script)
    assert lock(notebook).held  # in the state directory
    state_home.rename(state_home.with_name("moved"))
    state_home.write_text("")
    other = open_notebook(script)
    assert not lock(other).held and not other.read_only


def test_the_session_is_kept_and_tolerates_anything(script: Path) -> None:
    kept = script.with_name(".s.py.tapebook")
    assert load_session(script) == {}
    assert save_session(script, {})
    session = {"breakpoints": [{"cell": "a", "line": 3}], "text": "é\ud800"}
    assert save_session(script, session) and load_session(script) == session
    before = kept.stat().st_mtime_ns
    assert save_session(script, session) and kept.stat().st_mtime_ns == before
    for content in ("", "{", "[]", '{"session": 1}', "[" * 50_000):
        kept.write_text(content)
        assert load_session(script) == {}
    kept.write_bytes(b"\xff\0")
    assert load_session(script) == {}
    assert save_session(script, session) and load_session(script) == session
    assert not save_session(script, {"bad": object()}) and load_session(script) == session
    assert save_session(script, {}) and not kept.exists()
    kept.mkdir()
    assert load_session(script) == {} and not save_session(script, session)
