"""Companion files of a notebook: the autosave, the session and the lock.

They are hidden files beside the notebook (`.NAME.tapebook-autosave`, `.NAME.tapebook`,
`.NAME.tapebook-lock`), or in the user's state directory where that place is not writable. What is
read from them is checked like any other input: a damaged one costs what it held, nothing else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import json
import os
import socket
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.notebook.cell import KINDS, Cell, NotebookError
from app.notebook.document import Notebook
from app.notebook.files import atomic_write, beside, read_file
from app.notebook.ipynb import read_output, write_output
from app.notebook.script import ScriptForm

__all__ = [
    "Lock",
    "Recovery",
    "autosave",
    "discard",
    "find_recovery",
    "load_session",
    "lock",
    "recover",
    "remove_autosave",
    "save_session",
]

AUTOSAVE, SESSION, LOCK = ".tapebook-autosave", ".tapebook", ".tapebook-lock"
VERSION = 1
MAX_BYTES = 512 * 2**20
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(slots=True)
class Recovery:
    """Unsaved work found beside a notebook; `problem` says why it cannot be used, if so."""

    path: Path
    saved_at: float = 0.0  # seconds since the epoch, for display only
    same_base: bool = False  # the file is still the one that the work was based on
    cells: list[dict[str, Any]] = field(default_factory=list, repr=False)
    problem: str = ""


# --- autosave and recovery


def autosave(notebook: Notebook) -> Path | None:
    """Write unsaved work beside the notebook; return where, or None if there was nothing to do.

    Outputs are written only for the cells where they changed; the others have them in the file.
    Raises `NotebookError` if it can be written nowhere.
    """
    if notebook.path is None or notebook.read_only or notebook.revision == notebook.autosaved:
        return None
    if not notebook.dirty:
        remove_autosave(notebook)
        return None
    data = {
        "tapebook": VERSION,
        "file": notebook.path.name,
        "digest": notebook.digest,
        "saved_at": time.time(),
        "cells": [_store(cell, cell.id in notebook.touched) for cell in notebook.cells],
    }
    written = _write(notebook.path, AUTOSAVE, json.dumps(data).encode())
    notebook.autosaved = notebook.revision
    return written


def remove_autosave(notebook: Notebook) -> None:
    """Remove a notebook's autosave: after a save, or when the user throws the changes away."""
    notebook.autosaved = notebook.revision
    if notebook.path is not None and not notebook.read_only:
        _remove(notebook.path, AUTOSAVE)


def find_recovery(
    path: str | os.PathLike[str], notebook: Notebook | None = None
) -> Recovery | None:
    """Return the unsaved work left by a run that ended badly, if there is any.

    With the notebook as opened, work that equals it is none, and while another instance has it
    open (`read_only`) its autosave is left alone. A damaged autosave comes back with `problem` set.
    """
    if notebook is not None and notebook.read_only:
        return None
    for place in _places(Path(path), AUTOSAVE):
        if not os.path.lexists(place):
            continue
        found = _read_autosave(place)
        if notebook is not None and not found.problem:
            found.same_base = found.digest == notebook.digest
            if not found.differs(notebook):
                continue
        return found
    return None


def recover(notebook: Notebook, recovery: Recovery) -> None:
    """Put the recovered cells into the notebook, as one step that can be undone."""
    if recovery.problem:
        raise NotebookError(recovery.problem)
    known = {cell.id: cell for cell in notebook.cells}
    notebook.replace_all([_restore(item, known.get(item["id"])) for item in recovery.cells])


def discard(recovery: Recovery) -> None:
    """Throw recovered work away."""
    with contextlib.suppress(OSError):
        os.unlink(recovery.path)


# --- the session


def load_session(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the UI state kept for a notebook; empty when there is none or it is damaged."""
    for place in _places(Path(path), SESSION):
        with contextlib.suppress(NotebookError, ValueError, RecursionError):
            data = json.loads(_read_own(place))
            if isinstance(data, dict) and isinstance(data.get("session"), dict):
                return data["session"]
    return {}


def save_session(path: str | os.PathLike[str], session: dict[str, Any]) -> bool:
    """Keep the UI state of a notebook; an empty one removes the file. False if that failed."""
    path = Path(path)
    if session == load_session(path):
        return True
    if not session:
        _remove(path, SESSION)
        return True
    try:
        data = {"tapebook": VERSION, "session": session}
        _write(path, SESSION, (json.dumps(data, indent=1) + "\n").encode())
    except (NotebookError, TypeError, ValueError, RecursionError):
        return False
    return True
