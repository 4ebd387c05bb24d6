"""What tests of commands share: a runtime directory of their own, a program that makes NaN."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from command_line import NAN, called_here, write


@pytest.fixture
def runtime(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path_factory.mktemp("run")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(path))
    return path


@pytest.fixture
def nan(tmp_path: Path) -> Path:
    return write(tmp_path / "nan_net.py", NAN)


@pytest.fixture
def called(capfd: pytest.CaptureFixture[str]) -> Callable[..., CompletedProcess[str]]:
    """The command line without a process of its own."""
    return lambda *arguments: CompletedProcess(arguments, *called_here(capfd, *arguments))
