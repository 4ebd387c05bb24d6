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
import json
import os
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.notebook.cell import KINDS, Cell, NotebookError
from app.notebook.disk import companions, read_private, remove_companions, write_companion
from app.notebook.document import Notebook
from app.notebook.ipynb import MAX_DEPTH, depth, read_output, write_output
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


@dataclass(slots=True)
class Recovery:
    """Unsaved work found beside a notebook; `problem` says why it cannot be used, if so."""

    path: Path
    saved_at: float = 0.0  # seconds since the epoch, for display only; 0: not known
    digest: str | None = None  # of the file that the work was based on
    same_base: bool = False  # the file is still that one
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
        if notebook.autosaved >= 0:  # else it is what an earlier run left: not ours to drop
            remove_autosave(notebook)
        return None
    data = {
        "tapebook": VERSION,
        "file": notebook.path.name,
        "digest": notebook.digest,
        "saved_at": time.time(),
        "cells": [_store(cell, cell.id in notebook.touched) for cell in notebook.cells],
    }
    try:
        text = json.dumps(data)
    except (RecursionError, TypeError, ValueError) as error:
        raise NotebookError(f"{notebook.path}: cannot be autosaved: {error}") from None
    written = write_companion(notebook.path, AUTOSAVE, text.encode())
    notebook.autosaved = notebook.revision
    return written


def remove_autosave(notebook: Notebook) -> None:
    """Remove a notebook's autosave: after a save, or when the user throws the changes away."""
    notebook.autosaved = notebook.revision
    if notebook.path is not None and not notebook.read_only:
        remove_companions(notebook.path, AUTOSAVE)


def find_recovery(
    path: str | os.PathLike[str], notebook: Notebook | None = None
) -> Recovery | None:
    """Return the unsaved work left by a run that ended badly, if there is any.

    With the notebook as opened, work that equals it is none, and while another instance has it
    open (`read_only`) its autosave is left alone. A damaged autosave comes back with `problem` set.
    """
    if notebook is not None and notebook.read_only:
        return None
    for place in companions(Path(path), AUTOSAVE):
        if not os.path.lexists(place):
            continue
        found = _read_autosave(place)
        if notebook is not None and not found.problem:
            found.same_base = found.digest == notebook.digest
            if not _differs(found, notebook):
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


def _store(cell: Cell, with_outputs: bool) -> dict[str, Any]:
    stored: dict[str, Any] = {
        "id": cell.id,
        "kind": cell.kind,
        "source": cell.source,
        "metadata": cell.metadata,
        "attachments": cell.attachments,
        "execution_count": cell.execution_count,
        "form": dataclasses.asdict(cell.form) if isinstance(cell.form, ScriptForm) else None,
    }
    if with_outputs:
        stored["outputs"] = [write_output(output) for output in cell.outputs]
    return stored


def _restore(stored: dict[str, Any], known: Cell | None) -> Cell:
    """Make a cell again; what was not stored comes from the cell of that id in the file."""
    outputs = known.outputs if known else []
    if "outputs" in stored:
        outputs = [read_output(output) for output in stored["outputs"]]
    form = ScriptForm.from_json(stored.get("form")) or (known.form if known else None)
    return Cell(
        stored["id"],
        stored["kind"],
        stored["source"],
        outputs,
        stored.get("execution_count"),
        stored["metadata"],
        stored["attachments"],
        form,
    )


def _read_autosave(place: Path) -> Recovery:
    recovery = Recovery(place)
    try:
        data = json.loads(read_private(place, MAX_BYTES))
        version = data["tapebook"]
        if version != VERSION:
            recovery.problem = f"{place}: unsaved work in format {version}, expected {VERSION}"
            return recovery
        if depth(data) > MAX_DEPTH + 8 or not _is_valid(data["cells"]):
            raise ValueError("it does not hold cells")
        recovery.saved_at = _moment(data.get("saved_at"))
        recovery.digest = data["digest"]
        recovery.cells = data["cells"]
    except NotebookError as error:
        recovery.problem = str(error)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        recovery.problem = f"{place}: the unsaved work in it is damaged: {error}"
    return recovery


def _moment(found: object) -> float:
    """A time that a calendar has; 0 for anything else: it is a label, the work counts."""
    known = isinstance(found, int | float) and 0 <= found < 253_402_300_800  # the year 10000
    return float(found) if known else 0.0  # type: ignore[arg-type]


def _is_valid(cells: Any) -> bool:
    """Is this a list of stored cells, each of the right types and with an id of its own?"""
    types: dict[str, type | tuple[type, ...]] = {
        "id": str,
        "source": str,
        "metadata": dict,
        "attachments": dict,
        "execution_count": (int, type(None)),
    }
    if not isinstance(cells, list) or not cells:
        return False
    for cell in cells:
        if not isinstance(cell, dict) or cell.get("kind") not in KINDS:
            return False
        if not all(isinstance(cell.get(key), kind) for key, kind in types.items()):
            return False
        outputs = cell.get("outputs", [])
        if not isinstance(outputs, list) or not all(isinstance(item, dict) for item in outputs):
            return False
    return len({cell["id"] for cell in cells}) == len(cells)


def _differs(recovery: Recovery, notebook: Notebook) -> bool:
    """Is there anything in the recovered cells that the notebook has not?"""
    if len(recovery.cells) != len(notebook.cells):
        return True
    for stored, cell in zip(recovery.cells, notebook.cells):
        ours = _store(cell, "outputs" in stored)
        if any(stored.get(key) != ours.get(key) for key in ("kind", "source", "outputs")):
            return True
    return False


# --- the session


def load_session(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the UI state kept for a notebook; empty when there is none or it is damaged."""
    for place in companions(Path(path), SESSION):
        with contextlib.suppress(NotebookError, ValueError, RecursionError):
            data = json.loads(read_private(place, MAX_BYTES))
            if isinstance(data, dict) and isinstance(data.get("session"), dict):
                return data["session"]
    return {}


def save_session(path: str | os.PathLike[str], session: dict[str, Any]) -> bool:
    """Keep the UI state of a notebook; an empty one removes the file. False if that failed."""
    path = Path(path)
    if session == load_session(path):
        return True
    if not session:
        remove_companions(path, SESSION)
        return True
    try:
        data = {"tapebook": VERSION, "session": session}
        write_companion(path, SESSION, (json.dumps(data, indent=1) + "\n").encode())
    except (NotebookError, TypeError, ValueError, RecursionError):
        return False
    return True


# --- the lock


@dataclass(slots=True)
class Lock:
    """The right to write one notebook; the system takes it back when the process ends."""

    path: Path | None = None
    handle: int = -1

    @property
    def held(self) -> bool:
        return self.handle >= 0

    def release(self) -> None:
        """Give the right back; without effect when it is not held."""
        if not self.held:
            return
        with contextlib.suppress(OSError):
            if self.path is not None:
                os.unlink(self.path)  # while still locked, so that it is certainly ours
        os.close(self.handle)
        self.handle = -1


def lock(notebook: Notebook) -> Lock:
    """Claim a notebook for this process.

    When another process has it, the notebook becomes `read_only` and a notice names that process.
    The lock is the kernel's (flock), so the one of a dead process is free. Where the file system
    has no locks the notebook stays writable: saving still checks the file.
    """
    if notebook.path is None:
        return Lock()
    near, far = companions(notebook.path, LOCK)
    for place in (near, far):
        try:
            if place is far:
                place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = _claim(place)
        except BlockingIOError:
            notebook.read_only = True
            owner = _owner(place)
            notebook.notices.append(
                f"{notebook.path}: open in another Tapebook{owner}; this one is read-only"
            )
            return Lock()
        except OSError:
            continue  # this place cannot be written; the next one can
        return Lock(place, handle)
    return Lock()


def _claim(place: Path) -> int:
    """Create and lock a lock file; raises `BlockingIOError` when another process holds it."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    for _ in range(100):
        try:
            handle = os.open(place, flags | os.O_RDWR | os.O_CREAT, 0o644)
        except PermissionError:  # another user's: it can be locked all the same
            handle = os.open(place, flags | os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), os.stat(place, follow_symlinks=False)):
                    _sign(handle)
                    return handle
        except OSError:
            os.close(handle)
            raise
        os.close(handle)  # it was released and removed in between
    raise OSError(errno.EAGAIN, "the lock file keeps changing")


def _sign(handle: int) -> None:
    """Write into a lock file whose it is; only for people, the lock itself needs no text."""
    text = json.dumps({"pid": os.getpid(), "host": socket.gethostname()})
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, text.encode(), 0)


def _owner(place: Path) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        handle = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(handle, "rb") as file:
            data = json.loads(file.read(4096))
        return f" (process {int(data['pid'])} on {str(data['host'])[:64]})"
    return ""
