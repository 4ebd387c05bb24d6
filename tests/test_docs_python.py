"""The examples of docs/python.md and docs/debugger.md run, from top to bottom, as they stand."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def blocks(page: str, kind: str) -> list[tuple[int, str]]:
    """The fenced blocks of a kind, with the line that each begins at."""
    text = (DOCS / page).read_text("utf-8")
    found = re.finditer(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [(text.count("\n", 0, m.start(1)), m[1]) for m in found]


def _recorded(folder: Path) -> None:
    """The recording that the pages look into."""
    shutil.copy(ROOT / "examples" / "bugs" / "nan_in_step_37.py", folder)
    command = [sys.executable, "-m", "app", "run", "nan_in_step_37.py", "--record", "run.tape"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=env)


@pytest.mark.parametrize("page", ["python.md", "debugger.md"])
def test_python_blocks(page: str, tmp_path: Path) -> None:
    """In a process of its own: they record, listen, and change what is traced."""
    parts = []
    for line, code in blocks(page, "python"):
        parts.append("\n" * (line - sum(part.count("\n") for part in parts)) + code)
    assert len(parts) > 5
    script = tmp_path / f"{page}.py"  # its line numbers are the page's
    script.write_text("".join(parts))
    _recorded(tmp_path)
    with open(tmp_path / "out.txt", "w+") as out:  # a pipe would wait for programs that they start
        process = subprocess.Popen(
            [sys.executable, str(script)], cwd=tmp_path, stdin=subprocess.DEVNULL,
            stdout=out, stderr=out, start_new_session=True,
            env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        try:
            status = process.wait(90)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        out.seek(0)
        assert status == 0, out.read()[-3000:]


def test_commands_of_the_debugger_s_page(tmp_path: Path) -> None:
    """Each line of its ``sh`` blocks, with the status that stands behind it (0 if none does)."""
    for path in (ROOT / "examples" / "bugs").glob("*.py"):
        shutil.copy(path, tmp_path)
    lines = [line for _, code in blocks("debugger.md", "sh") for line in code.splitlines()]
    assert len(lines) > 15
    for line in lines:
        command, _, note = line.partition("#")
        words = shlex.split(command)
        assert words[0] == "tapebook", line
        wanted = int(found[1]) if (found := re.search(r"status (\d)", note)) else 0
        done = subprocess.run(
            [sys.executable, "-m", "app", *words[1:]], cwd=tmp_path, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120,
            env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == wanted, f"{line}: {done.returncode}: {done.stderr[-800:]}"
