"""Files that are either written whole or left as they were."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from typing import Any, BinaryIO

__all__ = ["write_atomically"]


def write_atomically(path: str, fill: Callable[[BinaryIO], Any]) -> None:
    """Fill a temporary file in the same folder and give it its name when it is complete.

    A file that was there keeps its permissions; a symbolic link stays one, and what it leads to is
    written; a device or a pipe is written to as it is.

    Raises:
        OSError: it cannot be written; a file that was at ``path`` is unchanged.
    """
    path = os.path.realpath(path)
    try:
        mode: int | None = os.stat(path).st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        with open(path, "wb") as file:
            fill(file)
        return
    folder = os.path.dirname(path)
    temporary = os.path.join(folder, f".saving-{os.urandom(8).hex()}")
    # A new file gets what the umask leaves. Asking for the umask would set it for other threads.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(temporary, flags, 0o666 if mode is None else 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(temporary, stat.S_IMODE(mode))
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    with contextlib.suppress(OSError):  # not every file system lets a folder be synced
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
