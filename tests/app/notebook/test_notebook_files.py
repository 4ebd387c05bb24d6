"""Opening and saving real files: broken ones, full disks, killed processes, other writers."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.notebook import (
    Display,
    Notebook,
    NotebookError,
    Stream,
    changed_on_disk,
    disk,
    files,
    new_notebook,
    open_damaged,
    open_notebook,
    reload,
    save,
    save_as,
)

SCRIPT = b"#!/usr/bin/env python\n\n# %% one\nx = 1\n\n# %%\ny = 2\n"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "s.py"
    path.write_bytes(SCRIPT)
    return path


def edited(path: Path, text: str = "x = 11") -> Notebook:
    notebook = open_notebook(path)
    notebook.set_source(notebook.cells[1].id, text)
    return notebook


def refused(action: Callable[[], object]) -> str:
    """Return the one line that refuses an action."""
    with pytest.raises(NotebookError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message and "\x1b" not in message
    return message


def only_files(folder: Path, *names: str) -> bool:
    return sorted(os.listdir(folder)) == sorted(names)


# --- opening


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dir.py").mkdir()
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "null.py").symlink_to("/dev/null")
    (tmp_path / "loop.py").symlink_to("loop.py")
    (tmp_path / "x.txt").write_text("")
    (tmp_path / "README").write_text("")
    for name, reason in [
        ("missing.py", "missing.py: no such file"),
        ("dir.py", "is a directory"),
        ("pipe.py", "is a named pipe"),
        ("null.py", "is a device"),
        ("loop.py", "cannot be read: Too many levels of symbolic links"),
        ("x.txt", "unknown suffix '.txt'; a notebook is a .py script or an .ipynb file"),
        ("README", "no suffix"),
        ("dir.py/x.py", "no such file"),
        ("x.txt/x.py", "cannot be read: Not a directory"),
        ("nul\0.py", "cannot be read: embedded null byte"),
        ("n" * 300 + ".py", "cannot be read: File name too long"),
    ]:
        for opener in (open_notebook, open_damaged):
            assert reason in refused(lambda: opener(tmp_path / name))  # noqa: B023
    for path in (tmp_path / "pipe.py", tmp_path / "dir.py"):
        notebook = new_notebook(path)
        assert "is a" in refused(lambda: save(notebook, overwrite=True))  # noqa: B023


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x7fELF\x00\x01", "a binary file (zero byte at position 4), expected UTF-8 text"),
        (b"x = 1\ny = '\xe9'\n", "not UTF-8: byte 0xe9 at position 11, line 2; save it as UTF-8"),
        (b"# coding: latin-1\n'\xe9'\n", "it says it is latin-1; save it as UTF-8"),
        ("x = 1".encode("utf-16"), "encoded in UTF-16"),
        ("x = 1".encode("utf-32"), "encoded in UTF-32"),
    ],
)
def test_what_is_no_utf8_is_refused(script: Path, content: bytes, reason: str) -> None:
    script.write_bytes(content)
    assert reason in refused(lambda: open_notebook(script))
    notebook = open_damaged(script)
    assert notebook.read_only and "\0" not in notebook.cells[0].source
    assert script.read_bytes() == content


def test_too_large_files_are_refused(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(files.MAX_BYTES, "script", 10)
    assert "larger than" in refused(lambda: open_notebook(script))
    with open(script, "wb") as file:
        file.truncate(2**40)  # sparse
    assert "larger than" in refused(lambda: open_notebook(script))


def test_names_of_any_bytes_work_and_are_shown_safely(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9 \x1b[31m\xe2\x80\xae.py")
    path = tmp_path / name
    path.write_bytes(SCRIPT)
    notebook = edited(path)
    save(notebook)
    assert b"x = 11" in path.read_bytes()
    assert only_files(tmp_path, name)
    message = refused(lambda: open_notebook(tmp_path / (name + "x.py")))
    assert "^[[31m" in message and message.isprintable()
    message.encode("utf-8")
    longest = tmp_path / ("n" * 250 + ".py")
    longest.write_bytes(SCRIPT)
    save(edited(longest))
    assert b"x = 11" in longest.read_bytes()


def test_an_empty_script_and_a_new_notebook(tmp_path: Path) -> None:
    empty = tmp_path / "e.py"
    empty.write_bytes(b"")
    notebook = open_notebook(empty)
    assert [cell.source for cell in notebook.cells] == [""] and not notebook.dirty
    for name in ("new.py", "new.ipynb"):
        notebook = new_notebook(tmp_path / name)
        assert not notebook.dirty
        notebook.set_source(notebook.cells[0].id, "x = 1")
        save(notebook)
        assert open_notebook(tmp_path / name).cells[0].source == "x = 1"
    assert "exists already" in refused(lambda: save(new_notebook(tmp_path / "new.py")))
    assert "no suffix" in refused(lambda: new_notebook(tmp_path / "x"))
    assert "no file name yet" in refused(lambda: save(Notebook()))


HOSTILE = """
import sys, json
from pathlib import Path
from app.notebook import open_notebook, open_damaged, NotebookError
folder = Path(sys.argv[1])
warm = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}
(folder / "warm.ipynb").write_text(json.dumps(warm))
warm["cells"] = [{"cell_type": "bad", "id": "a", "metadata": {}, "source": 1}]
(folder / "warm2.ipynb").write_text(json.dumps(warm))
old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": []}
(folder / "warm3.ipynb").write_text(json.dumps(old))
def visit(paths):
    for path in paths:
        for opener in (open_notebook, open_damaged):
            try:
                opener(path)
            except NotebookError:
                pass
visit(sorted(folder.glob("warm*")))  # compiles the schema once
seen = []
def hook(event, args):
    if event == "open":
        writing = isinstance(args[1], str) and set(args[1]) & set("wax+")
        if writing or (args[2] or 0) & 0o3 or (args[2] or 0) & 0o100:
            seen.append((event, args))
    elif event.split(".")[0] in ("exec", "compile", "subprocess", "socket", "ctypes", "import"):
        seen.append((event, args))
    elif event in ("os.system", "os.exec", "os.fork", "os.posix_spawn", "os.mkdir", "os.rename",
                   "os.remove", "os.putenv", "os.chmod", "os.truncate", "os.link", "os.symlink"):
        seen.append((event, args))
sys.addaudithook(hook)
visit(sorted(folder.glob("evil*")))
print(len(list(folder.glob("evil*"))), seen)
"""


def test_opening_runs_nothing_and_writes_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    code = f"open({str(marker)!r}, 'w').write('x')"
    spec = {"argv": ["/bin/sh", "-c", f"touch {marker}"], "name": "/bin/sh", "env": {"A": "b"}}
    cell = {"cell_type": "code", "id": "a", "metadata": {"execute": code}, "source": code}
    output = {"output_type": "display_data", "metadata": {}, "data": {"text/html": "<script>"}}
    base = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": spec, "terminal": spec, "widgets": spec},
        "cells": [{**cell, "outputs": [output], "execution_count": None}],
    }
    (tmp_path / "evil1.ipynb").write_text(json.dumps(base))
    (tmp_path / "evil2.py").write_text(f"# coding: rot13\n# %% x={{}}\n{code}\n")
    (tmp_path / "evil3.ipynb").write_text(json.dumps(base)[:-20])
    (tmp_path / "evil4.ipynb").write_text(json.dumps({**base, "nbformat": 3}))
    (tmp_path / "evil5.py").write_bytes(b"# %%\n\x80\x04cos\nsystem\n")
    result = subprocess.run(
        [sys.executable, "-c", HOSTILE, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.stdout == "5 []\n", result.stdout + result.stderr
    assert not marker.exists()
    notebook = open_notebook(tmp_path / "evil1.ipynb")
    notebook.set_source("a", "1")
    save(notebook)  # and what it cannot do it does not lose either
    assert json.loads((tmp_path / "evil1.ipynb").read_text())["metadata"] == base["metadata"]


# --- saving


def test_saving_an_untouched_file_leaves_it_alone(script: Path) -> None:
    before = script.stat()
    save(open_notebook(script))
    assert script.read_bytes() == SCRIPT
    assert (script.stat().st_ino, script.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_saving_keeps_mode_and_follows_links(tmp_path: Path, script: Path) -> None:
    script.chmod(0o754)
    link = tmp_path / "sub" / "link.py"
    link.parent.mkdir()
    link.symlink_to("../s.py")
    notebook = edited(link)
    save(notebook)
    assert link.is_symlink() and script.read_bytes() == SCRIPT.replace(b"x = 1\n", b"x = 11\n")
    assert stat.S_IMODE(script.stat().st_mode) == 0o754
    assert only_files(tmp_path, "s.py", "sub") and only_files(link.parent, "link.py")
    assert not notebook.dirty
    old = os.umask(0o027)
    try:
        save_as(notebook, tmp_path / "new.py")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "new.py").stat().st_mode) == 0o640


def test_a_byte_order_mark_and_crlf_are_kept(script: Path) -> None:
    script.write_bytes(b"\xef\xbb\xbf" + SCRIPT.replace(b"\n", b"\r\n"))
    notebook = edited(script)
    assert notebook.cells[0].source == "#!/usr/bin/env python"
    save(notebook)
    expected = SCRIPT.replace(b"x = 1\n", b"x = 11\n").replace(b"\n", b"\r\n")
    assert script.read_bytes() == b"\xef\xbb\xbf" + expected


def test_a_file_that_changed_on_disk_is_not_overwritten(script: Path) -> None:
    notebook = edited(script)
    assert not changed_on_disk(notebook)
    other = SCRIPT.replace(b"y = 2", b"y = 3")
    stamp = script.stat()
    script.write_bytes(other)
    os.utime(script, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # same size, same time
    assert changed_on_disk(notebook)
    assert "changed on disk since it was opened" in refused(lambda: save(notebook))
    assert script.read_bytes() == other and notebook.dirty
    save(notebook, overwrite=True)
    assert b"x = 11" in script.read_bytes() and not changed_on_disk(notebook)
    save(notebook)  # the digest is the new one
    script.unlink()
    assert changed_on_disk(notebook)
    save(notebook)  # a deleted file is written again
    assert b"x = 11" in script.read_bytes()


def test_reload_is_one_step_that_can_be_undone(script: Path) -> None:
    notebook = edited(script)
    script.write_bytes(SCRIPT.replace(b"y = 2", b"y = 3"))
    reload(notebook)
    assert [cell.source for cell in notebook.cells[1:]] == ["x = 1", "y = 3"]
    assert not notebook.dirty
    notebook.undo()
    assert [cell.source for cell in notebook.cells[1:]] == ["x = 11", "y = 2"] and notebook.dirty
    save(notebook)
    assert script.read_bytes() == SCRIPT.replace(b"x = 1\n", b"x = 11\n")


def test_save_as_converts(tmp_path: Path, script: Path) -> None:
    script.write_text('import os\n\n# %% T [markdown]\n# # Hi\n\n# %% tags=["a"]\n%time x\n')
    notebook = open_notebook(script)
    ids = [cell.id for cell in notebook.cells]
    notebook.append_output(ids[2], Stream("stdout", "out\n"))
    save_as(notebook, tmp_path / "n.ipynb")
    assert (notebook.kind, notebook.path) == ("ipynb", tmp_path / "n.ipynb")
    assert not notebook.dirty and notebook.location(ids[0]) is None
    again = open_notebook(tmp_path / "n.ipynb")
    assert [cell.id for cell in again.cells] == ids and again.notices == []
    assert [cell.source for cell in again.cells] == ["import os", "# Hi", "%time x"]
    assert again.cells[2].outputs == [Stream("stdout", "out\n")]
    assert again.cells[1].metadata == {"title": "T"}
    save_as(again, tmp_path / "back.py")
    text = (tmp_path / "back.py").read_text()
    assert text == ('# %%\nimport os\n\n# %% T [markdown]\n# # Hi\n\n# %% tags=["a"]\n%time x\n')
    assert "holds no outputs" in again.notices[-1]
    assert again.location(ids[1]) == 5 and not again.dirty
    assert "exists already" in refused(lambda: save_as(again, script))
    save_as(again, script, overwrite=True)
    assert script.read_text() == text
    assert "unknown suffix" in refused(lambda: save_as(again, tmp_path / "x.md"))
    assert "No such file" in refused(lambda: save_as(again, tmp_path / "no" / "x.py"))


def test_an_unchanged_notebook_is_copied_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "x.ipynb"
    path.write_bytes(b'{"metadata": {"x": 1.10}, "nbformat": 4,\n"nbformat_minor": 5, "cells": []}')
    notebook = open_notebook(path)
    save_as(notebook, tmp_path / "y.ipynb")
    assert (tmp_path / "y.ipynb").read_bytes() == path.read_bytes()


def full_disk(folder: Path) -> Iterator[Path]:
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("mounting is not permitted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    for folder in full_disk(tmp_path):
        path = folder / "s.py"
        path.write_bytes(SCRIPT)
        notebook = edited(path, "x = '" + "y" * 200_000 + "'")
        message = refused(lambda: save(notebook))  # noqa: B023
        assert message.endswith("not saved: No space left on device; the file on disk is unchanged")
        assert path.read_bytes() == SCRIPT and only_files(folder, "s.py")
        assert notebook.dirty
        notebook.set_source(notebook.cells[1].id, "x = 3")
        save(notebook)
        assert path.read_bytes() == SCRIPT.replace(b"x = 1\n", b"x = 3\n")


def in_child(action: Callable[[], object]) -> int:
    """Run an action in a forked process; return its wait status."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except BaseException:
            traceback.print_exc()
            os._exit(99)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def test_a_write_that_fails_halfway_leaves_the_old_file(script: Path) -> None:
    def fail() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        notebook = edited(script, "x = '" + "y" * 200_000 + "'")
        assert "File too large; the file on disk is unchanged" in refused(lambda: save(notebook))
        assert notebook.dirty

    assert in_child(fail) == 0
    assert script.read_bytes() == SCRIPT and only_files(script.parent, "s.py")


class HalfWritten:
    """A file whose process dies in the middle of a write."""

    def __init__(self, handle: int, mode: str) -> None:
        self.handle = handle

    def __enter__(self) -> HalfWritten:
        return self

    def __exit__(self, *error: object) -> None: ...

    def write(self, data: bytes) -> None:
        os.write(self.handle, data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("call", ["write", "fchmod", "fsync", "replace"])
@pytest.mark.parametrize("before", [True, False])
def test_a_process_killed_while_saving_leaves_old_or_new(
    script: Path, call: str, before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = edited(script)

    def kill(*args: Any) -> None:
        if not before:
            original(*args)
        os.kill(os.getpid(), signal.SIGKILL)

    if call == "write":
        monkeypatch.setattr(disk, "open", HalfWritten, raising=False)
        # The reading before the write is not what is tested here.
        monkeypatch.setattr(files, "_digest_of", lambda path: notebook.digest)
    else:
        original = getattr(os, call)
        monkeypatch.setattr(os, call, kill)
    status = in_child(lambda: save(notebook))
    monkeypatch.undo()
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    renamed = call == "replace" and not before
    new = SCRIPT.replace(b"x = 1\n", b"x = 11\n")
    assert script.read_bytes() == (new if renamed else SCRIPT)
    left = [name for name in os.listdir(script.parent) if name != "s.py"]
    assert len(left) == (not renamed)
    for name in left:  # it goes with a save an hour later
        assert name.startswith(".s.py.tapebook-tmp-")
        os.utime(script.parent / name, (0, 0))
    save(edited(script, "x = 12"))
    assert only_files(script.parent, "s.py")


def test_other_processes_temporary_files_are_left_alone(script: Path) -> None:
    alive = script.parent / f".s.py.tapebook-tmp-{os.getppid()}-aa"
    young = script.parent / ".s.py.tapebook-tmp-99999999-bb"
    other = script.parent / ".s.py.tapebook-tmp-x"
    for path in (alive, young, other):
        path.write_bytes(b"")
    os.utime(alive, (0, 0))
    os.utime(other, (0, 0))
    save(edited(script))
    assert alive.exists() and young.exists() and other.exists()


def as_nobody(action: Callable[[], object]) -> int:
    def demoted() -> None:
        if os.geteuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        action()

    return in_child(demoted)


def test_read_only_places_are_refused(tmp_path: Path, script: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    path = folder / "s.py"
    path.write_bytes(SCRIPT)
    path.chmod(0o666)
    open_folder = tmp_path / "open"
    open_folder.mkdir()
    protected = open_folder / "p.py"
    protected.write_bytes(SCRIPT)
    open_folder.chmod(0o777)
    protected.chmod(0o444)
    folder.chmod(0o555)
    place = tmp_path
    while place != place.parent and os.geteuid() == 0 and place != Path("/tmp"):
        place.chmod(place.stat().st_mode | 0o055)  # so that the other user gets here
        place = place.parent

    def act() -> None:
        message = refused(lambda: save(edited(path)))
        assert "Permission denied" in message and f"{folder} is not writable" in message
        assert "write-protected" in refused(lambda: save(edited(protected)))

    try:
        assert as_nobody(act) == 0
    finally:
        folder.chmod(0o755)
    assert path.read_bytes() == protected.read_bytes() == SCRIPT


def test_random_cuts_of_files_are_opened_or_refused(tmp_path: Path) -> None:
    rng = random.Random(6)
    notebook = new_notebook(tmp_path / "x.ipynb")
    notebook.insert(1, "markdown", "# é 漢 🙂\n")
    notebook.append_output(notebook.cells[0].id, Display({"text/plain": "ü"}, {}, 1))
    save(notebook)
    whole = (tmp_path / "x.ipynb").read_bytes()
    for suffix, data in ((".ipynb", whole), (".py", SCRIPT + "# é 漢 🙂 '''".encode())):
        path = tmp_path / f"cut{suffix}"
        for _ in range(60):
            broken = bytearray(data[: rng.randrange(len(data) + 1)])
            if broken and rng.random() < 0.5:
                broken[rng.randrange(len(broken))] = rng.randrange(256)
            path.write_bytes(broken)
            try:
                opened = open_notebook(path)
                save(opened)
            except NotebookError as error:
                assert "\n" not in str(error)
                assert open_damaged(path).read_only
            assert path.read_bytes() == broken


def test_the_document_needs_neither_a_terminal_nor_a_kernel(script: Path) -> None:
    code = (
        "import sys, app.notebook, app.sanitize\n"
        "assert 'nbformat' not in sys.modules\n"  # a script does not pay for it
        "app.notebook.open_notebook(sys.argv[1])\n"
        "assert 'nbformat' not in sys.modules\n"
        "notebook = app.notebook.new_notebook(sys.argv[1][:-2] + 'ipynb')\n"
        "app.notebook.save(notebook)\n"
        "app.notebook.open_notebook(notebook.path)\n"
        "assert 'nbformat' in sys.modules\n"
        "others = {'IPython', 'textual', 'rich', 'framework', 'viewers', 'numpy'}\n"
        "print(others & set(sys.modules))\n"
    )
    command = [sys.executable, "-c", code, str(script)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stdout == "set()\n", result.stderr
