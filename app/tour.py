"""`tapebook tour`: the guided notebook and its three planted bugs, in a folder of the user's own.

The files are copied, so that cells can be edited and run without touching what was installed. They
stay as the user has left them until the program brings another tour: then the new files take their
places, and those that were edited are kept beside them. The two recordings that the third hunt
compares are made here, by running its script twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["TOUR", "folder", "prepare"]

TOUR = "tour.py"
_BUGS = ("nan_in_step_37.py", "detached_branch.py", "learning_rate_spike.py")
_RUNS = (("a.tape", ()), ("b.tape", ("--spike",)))
_COPIED = ".copied.json"  # in the folder: by name, the digest of what was copied there


def folder() -> Path:
    """Where the tour is kept: ``tapebook/tour`` in the user's data directory."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "tapebook" / "tour"


def _source() -> Path:
    """The examples: beside the packages in a checkout, in this one where it is installed."""
    here = Path(__file__).resolve().parent
    beside = here.parent / "examples"
    return beside if (beside / TOUR).exists() else here / "examples"


def prepare(target: Path | None = None, say: Callable[[str], None] | None = None) -> Path:
    """Put the tour's files in place; returns the notebook to open.

    Raises OSError if they cannot be written, RuntimeError if a recording cannot be made.

    Args:
        say: told, in a line, of each file that was edited and is kept under another name, and of
            what takes a while.
    """
    target = folder() if target is None else target
    target.mkdir(parents=True, exist_ok=True)
    source = _source()
    before = _copied(target)
    now: dict[str, str] = {}
    for path in (source / TOUR, *(source / "bugs" / name for name in _BUGS)):
        new, place = path.read_bytes(), target / path.name
        now[path.name] = _digest(new)
        there = place.read_bytes() if place.exists() else None
        if there == new or (there is not None and before.get(path.name) == now[path.name]):
            continue
        if there is not None and _digest(there) != before.get(path.name):
            kept = _put_aside(place)
            if say is not None:
                say(f"{path.name} is that of this version of the tour; yours is {kept.name}")
        place.write_bytes(new)
    for name, arguments in _RUNS:
        if before.get(_BUGS[2]) != now[_BUGS[2]] or not (target / name).exists():
            if say is not None:
                say(f"recording {name} for the tour (a few seconds, the first time only) ...")
            (target / name).unlink(missing_ok=True)
            _record(target, name, arguments)
    if now != before:
        (target / _COPIED).write_text(json.dumps(now))
    return target / TOUR


def _copied(target: Path) -> dict[str, str]:
    """What was copied there, as far as that is known."""
    try:
        found = json.loads((target / _COPIED).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _put_aside(path: Path) -> Path:
    """Give a file a name that is free."""
    number = 1
    while os.path.lexists(free := path.with_stem(f"{path.stem}-yours-{number}")):
        number += 1
    return path.rename(free)


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
