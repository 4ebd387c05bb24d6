"""Reading and replacing single files, so that neither can hurt: the notebook's only disk access."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
import time
from pathlib import Path

from app.notebook.cell import NotebookError

__all__ = [
    "atomic_write",
    "beside",
    "check_file",
    "companions",
    "read_file",
    "read_private",
    "remove_companions",
    "write_companion",
]

_STALE_TEMP = 3600.0  # seconds after which a temporary file of a dead process is removed


def check_file(path: Path) -> None:
    """Refuse what is missing, or no regular file."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise NotebookError(f"{path}: no such file; check the name") from None
    except (OSError, ValueError) as error:
        raise NotebookError(f"{path}: cannot be read: {_reason(error)}") from None
    if not stat.S_ISREG(mode):
        raise NotebookError(f"{path}: {_special(mode)}")


def read_file(path: Path, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes; never blocks on a pipe or a device."""
    check_file(path)
    try:
        # Non-blocking, in case that a pipe took the file's place in between.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise NotebookError(f"{path}: not a regular file")
            data = file.read(limit + 1) if status.st_size <= limit else None
    except (OSError, ValueError) as error:
        raise NotebookError(f"{path}: cannot be read: {_reason(error)}") from None
    if data is None or len(data) > limit:
        raise NotebookError(
            f"{path}: larger than {limit / 2**20:.0f} MB; clear outputs or split it"
        )
    return data


def read_private(path: Path, limit: int) -> bytes:
    """Read at most `limit` bytes of a file of this user's own; others may plant links and pipes."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with open(os.open(path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
                raise NotebookError(f"{path}: not a file of yours")
            data = file.read(limit)
    except (OSError, ValueError) as error:
        raise NotebookError(f"{path}: cannot be read: {_reason(error)}") from None
    return data


def atomic_write(path: Path, data: bytes, *, private: bool = False) -> None:
    """Replace a file's content in one step: temporary file, fsync, rename.

    Symbolic links are followed and an existing file's permissions kept. A `private` file is
    readable to its owner only, and a link in its place is replaced: somebody else may have put it
    there. Raises `NotebookError`; then the file is as it was and the temporary file is gone.
    """
    target = path if private else Path(os.path.realpath(path))
    try:
        old = None if private else _writable(path, target)
        _sweep(target)
        temporary = beside(target, f".tapebook-tmp-{os.getpid()}-{secrets.token_hex(4)}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        handle = os.open(temporary, flags, 0o666 if old is None and not private else 0o600)
    except (OSError, ValueError) as error:
        denied = isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS)
        hint = f"; {target.parent} is not writable, save elsewhere" if denied else ""
        raise NotebookError(f"{path}: cannot be saved: {_reason(error)}{hint}") from None
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            if old is not None:
                with contextlib.suppress(OSError):  # only root may give files away
                    os.fchown(handle, old.st_uid, old.st_gid)
                os.fchmod(handle, stat.S_IMODE(old.st_mode))
            os.fsync(handle)
        os.replace(temporary, target)
    except OSError as error:
        raise NotebookError(
            f"{path}: not saved: {_reason(error)}; the file on disk is unchanged"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # it is there only if something went wrong
    _sync_directory(target.parent)


def beside(path: Path, suffix: str) -> Path:
    """Return the name of a hidden companion of a file, short enough for the file system."""
    name = f".{path.name}{suffix}"
    if len(os.fsencode(name)) > 255:
        name = f".{hashlib.blake2s(os.fsencode(path.name)).hexdigest()[:32]}{suffix}"
    return path.with_name(name)


def _writable(path: Path, target: Path) -> os.stat_result | None:
    """Return the state of the file to be replaced, None for a new one; refuse what is no file."""
    try:
        old = os.stat(target)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(old.st_mode):
        raise NotebookError(f"{path}: {_special(old.st_mode)}")
    if not os.access(target, os.W_OK):
        raise NotebookError(f"{path}: write-protected; save under another name")
    return old


def _sweep(target: Path) -> None:
    """Remove temporary files that killed processes left beside a file, an hour later."""
    stem = beside(target, ".tapebook-tmp-").name
    with contextlib.suppress(OSError):
        for entry in os.scandir(target.parent):
            if not entry.name.startswith(stem):
                continue
            with contextlib.suppress(OSError, ValueError):
                pid = int(entry.name.removeprefix(stem).partition("-")[0])
                if not _alive(pid) and time.time() - entry.stat().st_mtime > _STALE_TEMP:
                    os.unlink(entry.path)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _sync_directory(directory: Path) -> None:
    with contextlib.suppress(OSError):  # some file systems cannot; the data itself is safe
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def companions(path: Path, suffix: str) -> list[Path]:
    """Return where a file's companion may be: beside it, or in the user's state directory."""
    real = Path(os.path.realpath(path))
    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    key = hashlib.blake2s(os.fsencode(real)).hexdigest()[:32]
    return [beside(real, suffix), Path(home, "tapebook", "companions", key + suffix)]


def write_companion(path: Path, suffix: str, data: bytes) -> Path:
    """Write a companion where that is possible and return where; raises `NotebookError`."""
    near, far = companions(path, suffix)
    if os.access(near.parent, os.W_OK | os.X_OK):
        atomic_write(near, data, private=True)
        return near
    try:
        far.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise NotebookError(f"{far}: cannot be saved: {_reason(error)}") from None
    atomic_write(far, data, private=True)
    return far


def remove_companions(path: Path, suffix: str) -> None:
    """Remove a file's companion wherever it is."""
    for place in companions(path, suffix):
        with contextlib.suppress(OSError):
            os.unlink(place)


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _special(mode: int) -> str:
    """Say what something is that is not a regular file."""
    if stat.S_ISDIR(mode):
        return "is a directory; give a .py or .ipynb file"
    if stat.S_ISFIFO(mode):
        return "is a named pipe, expected a .py or .ipynb file"
    if stat.S_ISSOCK(mode):
        return "is a socket, expected a .py or .ipynb file"
    return "is a device, expected a .py or .ipynb file"
