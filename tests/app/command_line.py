"""The command line as its tests call it: in a process, in a terminal, in this process."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.cli import main

NAN = """\
# %% The model
import framework as torch
from framework import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x):
        h = self.lin(x)
        return torch.log(h - h.max())

torch.manual_seed(0)
net = Net()

# %% The run
for step in range(3):
    out = net(torch.randn(2, 4))
    print("step", step)
    loss = out.sum()
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def tapebook(*arguments, stdin=subprocess.DEVNULL, **options):
    return subprocess.run(
        [sys.executable, "-m", "app", *map(str, arguments)],
        stdin=stdin, capture_output=True, text=True, timeout=120, **options,
    )  # fmt: skip


def recorded(script: Path, text: str) -> Path:
    """The recording of a program, beside it; nobody can attach meanwhile."""
    out = script.with_suffix(".tape")
    done = tapebook("run", write(script, text), "--record", out, "--no-listen")
    assert (done.returncode, done.stderr) == (0, "")
    return out


def called_here(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit status, output and errors of the command line without a process of its own."""
    try:
        status = main([str(a) for a in arguments])
    except SystemExit as error:
        status = int(error.code or 0)
    sys.stdout.flush()
    out, err = capfd.readouterr()
    return status, out, err


def shown(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What `tapebook show` says, without a process of its own."""
    status = main(["show", *map(str, arguments)])
    told = capsys.readouterr()
    assert status == 0, told.err
    return told.out


class Terminal:
    """A program in a pseudo terminal."""

    def __init__(self, *arguments):
        master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app", *map(str, arguments)],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**os.environ, "TERM": "xterm"},
        )  # fmt: skip
        os.close(slave)
        self.master = master
        self.text = ""

    def expect(self, text, seconds=60):
        """What has come up to a text, which is taken away."""
        end = time.monotonic() + seconds
        while text not in self.text:
            left = end - time.monotonic()
            assert left > 0, self.text
            if select.select([self.master], [], [], left)[0]:
                try:
                    part = os.read(self.master, 65536)
                except OSError:
                    part = b""
                assert part, f"ended without {text!r}: {self.text}"
                self.text += part.decode().replace("\r\n", "\n")
        before, _, self.text = self.text.partition(text)
        return before

    def send(self, line):
        os.write(self.master, line.encode() + b"\n")

    def ask(self, line, prompt="(tapebook) "):
        self.send(line)
        return self.expect(prompt)

    def waits(self):
        """Until it sleeps in C's input: a signal just before would be seen at the next key."""
        stat, asleep = f"/proc/{self.process.pid}/stat", 0
        end = time.monotonic() + 60
        while asleep < 10:
            assert time.monotonic() < end
            time.sleep(0.02)
            with open(stat) as file:
                asleep = asleep + 1 if file.read().rpartition(")")[2].split()[0] == "S" else 0

    def end(self):
        try:
            return self.process.wait(60)
        finally:
            self.process.kill()
            os.close(self.master)
