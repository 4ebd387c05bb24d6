"""Ctrl-C before a program, or the screen, has its own way with it: one line, and status 130."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Imported at the start of every interpreter: interrupts it as it is about to import a module.
INTERRUPTS = """\
import importlib.abc, os, signal, sys

class Interrupts(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == os.environ.get("INTERRUPTED_AT"):
            del os.environ["INTERRUPTED_AT"]
            signal.raise_signal(signal.SIGINT)
        return None

signal.signal(signal.SIGINT, signal.default_int_handler)  # else ignored, as of whoever runs this
sys.meta_path.insert(0, Interrupts())
"""


@pytest.mark.parametrize(
    "module",
    [
        "app.cli", "argparse", "app.sanitize", "app.runner", "framework", "numpy",
        "framework.nn", "framework.trace.gate", "framework.trace.server",
    ],
)  # fmt: skip
def test_while_run_still_imports(tmp_path: Path, module: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTS)
    (tmp_path / "train.py").write_text("import framework\nprint('it ran')\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", ""), os.getcwd()])
    done = subprocess.run(
        [sys.executable, "-m", "app", "run", str(tmp_path / "train.py")],
        env={**os.environ, "PYTHONPATH": path, "INTERRUPTED_AT": module},
        capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (130, ""), done.stderr
    assert done.stderr == "tapebook: interrupted\n"
