"""`tapebook tour`: the guided notebook and its three planted bugs, in a folder of the user's own.

The files are copied, so that cells can be edited and run without touching what was installed; what
is there already stays. The two recordings that the third hunt compares are made here, by running
its script twice.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["TOUR", "folder", "prepare"]

TOUR = "tour.py"
_BUGS = ("nan_in_step_37.py", "detached_branch.py", "learning_rate_spike.py")
_RUNS = (("a.tape", ()), ("b.tape", ("--spike",)))


def folder() -> Path:
    """Where the tour is kept: ``tapebook/tour`` in the user's data directory."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "tapebook" / "tour"


def _source() -> Path:
    """The examples: beside the packages in a checkout, in this one where it is installed."""
    here = Path(__file__).resolve().parent
    beside = here.parent / "examples"
    return beside if (beside / TOUR).exists() else here / "examples"


def prepare(target: Path | None = None) -> Path:
    """Put the tour's files in place; returns the notebook to open.

    Raises OSError if they cannot be written, RuntimeError if a recording cannot be made.
    """
    target = folder() if target is None else target
    target.mkdir(parents=True, exist_ok=True)
    source = _source()
    for path in (source / TOUR, *(source / "bugs" / name for name in _BUGS)):
        if not (target / path.name).exists():
            shutil.copyfile(path, target / path.name)
    for name, arguments in _RUNS:
        if not (target / name).exists():
            _record(target, name, arguments)
    return target / TOUR


def _record(target: Path, name: str, arguments: tuple[str, ...]) -> None:
    """``tapebook run learning_rate_spike.py --record NAME -- ARGUMENTS``."""
    command = [sys.executable, "-m", "app", "run", _BUGS[2], "--no-listen", "--record", name]
    packages = str(Path(__file__).resolve().parent.parent)
    before = os.environ.get("PYTHONPATH", "")
    done = subprocess.run(
        [*command, "--", *arguments], cwd=target, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": f"{packages}{os.pathsep}{before}" if before else packages},
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        (target / name).unlink(missing_ok=True)
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise RuntimeError(f"{name} could not be recorded: {why}")
