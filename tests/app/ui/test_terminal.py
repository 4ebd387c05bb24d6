"""The program in a real terminal: a pty, from the first byte to the restored screen."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from ui_driver import write

# The program as it was installed beside this interpreter.
TAPEBOOK = str(Path(sys.executable).with_name("tapebook"))
RESTORED = (b"\x1b[?1049l", b"\x1b[?1000l", b"\x1b[?25h")  # screen, mouse, cursor


class Terminal:
    """A child process on a pty of a given size."""

    def __init__(
        self,
        *arguments: str,
        size: tuple[int, int] = (100, 30),
        term: str = "xterm",
        command: tuple[str, ...] = (TAPEBOOK,),
        cwd: Path | None = None,
    ) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.seen = b""
        self.process = subprocess.Popen(
            [*command, *arguments],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True, cwd=cwd,
            env={**os.environ, "TERM": term, "COLUMNS": "", "LINES": ""},
        )  # fmt: skip
        os.close(slave)

    def read(self, seconds: float = 0.1) -> bytes:
        """What has come within a time."""
        end = time.monotonic() + seconds
        part = b""
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.master], [], [], left)[0]:
                break
            try:
                data = os.read(self.master, 65536)
            except OSError:
                break
            if not data:
                break
            part += data
        self.seen += part
        return part

    def until(self, text: bytes, limit: float = 60) -> None:
        end = time.monotonic() + limit
        while text not in self.seen:
            self.read()
            assert time.monotonic() < end, f"waited in vain for {text!r}: {self.seen[-2000:]!r}"

    def type(self, text: bytes) -> None:
        os.write(self.master, text)

    def end(self, limit: float = 60) -> int:
        """The exit status, with the output read to its end."""
        end = time.monotonic() + limit
        while self.process.poll() is None:
            self.read()
            assert time.monotonic() < end, "it does not end"
        self.read(0.3)
        os.close(self.master)
        return self.process.returncode


def test_run_and_quit(tmp_path: Path) -> None:
    """Open, run a cell, quit: the terminal is as it was and the status is 0."""
    path = write(tmp_path / "a.py", "# %%\nprint(6 * 7, 'is the answer')\n")
    terminal = Terminal(str(path))
    terminal.until(b" idle ")
    terminal.type(b"\x12")  # ctrl+r
    terminal.until(b"42 is the answer")
    terminal.type(b"\x11")  # ctrl+q
    assert terminal.end() == 0
    assert all(code in terminal.seen for code in RESTORED)


@pytest.mark.parametrize(
    "number, status",
    [
        (signal.SIGTERM, 143),
        (signal.SIGHUP, 129),
        (signal.SIGQUIT, 131),
        (signal.SIGINT, 130),
    ],
    ids=["SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT"],
)
def test_ended_by_a_signal(tmp_path: Path, number: int, status: int) -> None:
    """The terminal is restored, the unsaved work is in the sidecar, the file is untouched."""
    path = write(tmp_path / "a.py", "# %%\na = 1\n")
    terminal = Terminal(str(path))
    terminal.until(b" idle ")
    terminal.type(b"\x1b[Bb")  # down to the line, and a breakpoint on it
    terminal.until("●".encode())
    terminal.type(b"\r")  # edit
    terminal.until(b"esc")
    terminal.type(b"b = 2\rlast")
    terminal.until(b"lasta")  # it stands before the line that was there
    os.kill(terminal.process.pid, number)
    assert terminal.end() == status
    assert all(code in terminal.seen for code in RESTORED)
    assert path.read_text() == "# %%\na = 1\n"
    (kept,) = tmp_path.glob(".*.tapebook-autosave")
    assert "b = 2" in kept.read_text()
    (session,) = tmp_path.glob(".*.tapebook")
    assert '"breakpoints"' in session.read_text()


def test_the_terminal_is_gone_without_a_signal(tmp_path: Path) -> None:
    """It ends by itself, with the work kept, and does not spin for ever."""
    terminal = Terminal(str(write(tmp_path / "a.py", "# %%\na = 1\n")))
    terminal.until(b" idle ")
    terminal.type(b"o")  # a new cell
    terminal.until(b"esc")
    os.close(terminal.master)
    assert terminal.process.wait(60) == 129
    assert list(tmp_path.glob(".*.tapebook-autosave"))


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 143), (0, 129)], ids=["TERM", "gone"])
def test_a_terminal_that_takes_no_more(tmp_path: Path, number: int, status: int) -> None:
    """Whoever writes to it waits for ever (a link that hangs): a signal, or its end, ends us."""
    loop = "import itertools, time\nfor i in itertools.count(): print('line', i); time.sleep(.01)\n"
    terminal = Terminal(str(write(tmp_path / "a.py", f"# %%\n{loop}")))
    terminal.until(b" idle ")
    terminal.type(b"\x12")  # ctrl+r
    terminal.until(b"line 3")
    terminal.type(b"o")  # a new cell: there is work to be kept
    terminal.until(b"esc")
    time.sleep(5)  # nobody reads
    if number:
        os.kill(terminal.process.pid, number)
    else:
        os.close(terminal.master)
    assert terminal.process.wait(60) == status
    assert list(tmp_path.glob(".*.tapebook-autosave"))


@pytest.mark.parametrize(
    "name, content, says",
    [
        ("missing.py", None, "no such file"),
        ("binary.py", b"\x7fELF\x00\x00\x01", "binary"),
        ("notes.txt", b"hello", "expected a .py script"),
        ("broken.ipynb", b'{"cells": [', "broken.ipynb"),
    ],
    ids=["missing", "binary", "suffix", "ipynb"],
)
def test_unusable_files_are_refused(
    tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    """One line, status 2, and not one escape sequence."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    terminal = Terminal(str(tmp_path / name))
    assert terminal.end() == 2
    text = terminal.seen.decode()
    assert says in text and "Traceback" not in text and "\x1b" not in text


def test_a_dumb_terminal_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.py", "# %%\na = 1\n")
    terminal = Terminal(str(path), term="dumb")
    assert terminal.end() == 2
    assert b"tapebook run" in terminal.seen and b"\x1b" not in terminal.seen


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.py", "# %%\na = 1\n")
    done = subprocess.run([TAPEBOOK, str(path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stdout == ""
    assert "needs a terminal" in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_terminal_without_unicode_is_drawn_in_ascii(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    terminal = Terminal(str(write(tmp_path / "a.py", "# %%\nprint(6 * 7, 'is it')\n")))
    terminal.until(b" idle ")
    terminal.type(b"\x12")  # ctrl+r
    terminal.until(b"42 is it")
    terminal.type(b"\x11")  # ctrl+q
    assert terminal.end() == 0
    assert terminal.seen.isascii()
    shown = re.sub(rb"\x1b\[[0-9;?]*[ -/]*[@-~]", b"", terminal.seen)
    assert b"- cell 1 ---" in shown and re.search(rb"- V \d+\.\d+ s ", shown), "done"
