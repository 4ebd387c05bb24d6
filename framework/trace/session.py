"""Where running sessions are found: a private directory with a socket, a token and a note for each.

`$XDG_RUNTIME_DIR/tapebook`, else `tapebook-UID` in the directory for temporary files; it must be a
real directory of this user's that nobody else may enter.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import socket
import stat
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "Session",
    "SessionEnded",
    "SessionError",
    "bind",
    "connect",
    "new_session",
    "peer_uid",
    "private_dir",
    "read_token",
    "remove",
    "runtime_dir",
    "session_at",
    "sessions",
]

_PIDS = 2**31
_YEAR_10000 = 253_402_300_800.0  # in seconds since 1970
_LONGEST = 100  # bytes of a Unix socket's path; the system's limit is 104 or 108


class SessionError(Exception):
    """A session's files cannot be made, found or trusted: one line for the user."""


class SessionEnded(SessionError):
    """There is no such session any more: trying again is of no use."""


@dataclass(frozen=True, slots=True)
class Session:
    """What is known of a running session from its files.

    Attributes:
        file: the script or notebook it runs, "" if there is none.
        started: wall time, seconds since 1970.
    """

    name: str
    pid: int
    file: str
    started: float
    directory: Path

    @property
    def socket(self) -> Path:
        return self.directory / f"{self.name}.sock"

    @property
    def token(self) -> Path:
        return self.directory / f"{self.name}.token"

    @property
    def observe_token(self) -> Path:
        """A secret that lets its bearer look, never act."""
        return self.directory / f"{self.name}.observe"

    @property
    def note(self) -> Path:
        return self.directory / f"{self.name}.json"

    @property
    def scratch(self) -> Path:
        """A directory that the session may make for what ends with it."""
        return self.directory / f"{self.name}.d"


def runtime_dir(create: bool = True) -> Path:
    """The directory of this user's sessions, checked; raises SessionError if it is not safe."""
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    if base and os.path.isdir(base):
        path = Path(base, "tapebook")
    else:
        path = Path(tempfile.gettempdir(), f"tapebook-{os.getuid()}")
    if create:
        private_dir(path)
    return path


def private_dir(path: Path) -> None:
    """Make a directory that only this user may enter, or check that it is one."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise SessionError(f"cannot make {path}: {error.strerror}") from None
    _check_dir(path)


def _check_dir(path: Path) -> None:
    try:
        found = os.lstat(path)
    except OSError as error:
        raise SessionError(f"cannot use {path}: {error.strerror}") from None
    if stat.S_ISLNK(found.st_mode):
        raise SessionError(f"{path} is a link, which is not followed: remove it")
    if not stat.S_ISDIR(found.st_mode):
        raise SessionError(f"{path} is not a directory: remove it")
    if found.st_uid != os.getuid():
        raise SessionError(f"{path} belongs to another user: set XDG_RUNTIME_DIR to one of yours")
    if stat.S_IMODE(found.st_mode) & 0o077:
        os.chmod(path, 0o700)


def bind(session: Session, token: str, observe_token: str) -> socket.socket:
    """A listening socket and the session's other files."""
    private_dir(session.directory)
    remove_stale(session)
    _write_private(session.token, token)
    _write_private(session.observe_token, observe_token)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(session.socket) as address:
            listener.bind(address)
        os.chmod(session.socket, 0o600)
        listener.listen(64)
    except OSError as error:
        listener.close()
        raise SessionError(f"cannot listen on {session.socket}: {error.strerror}") from None
    note = {"pid": session.pid, "file": session.file, "started": session.started}
    _write_private(session.note, json.dumps({"name": session.name, **note}))
    return listener


def connect(path: Path, timeout: float = 5.0) -> socket.socket:
    """A connection to a session's socket; raises OSError."""
    end = time.monotonic() + timeout
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    try:
        with _short(path) as address:
            while True:
                try:
                    sock.connect(address)
                    return sock
                except BlockingIOError:  # too many are waiting to be accepted
                    if time.monotonic() > end:
                        raise
                time.sleep(0.01)
    except BaseException:
        sock.close()
        raise


def read_token(session: Session, observe: bool = False) -> str:
    """The secret of a session, from a file that nobody else can read or write."""
    path = session.observe_token if observe else session.token
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        if answers(session):
            raise SessionError(f"{session.name} runs, but its token {path} was removed") from None
        raise SessionEnded(f"{session.name} has ended: there is no {path}") from None
    except OSError as error:
        raise SessionError(f"cannot read {path}: {error.strerror}") from None
    with os.fdopen(descriptor) as file:
        found = os.fstat(file.fileno())
        if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise SessionError(f"{path} is not private to this user")
        return file.read(256)


def peer_uid(sock: socket.socket) -> int | None:
    """The kernel's word on whose process is at the other end; None where it cannot be asked."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is not None:
        return int(struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, option, 12))[1])
    if sys.platform == "darwin":
        import ctypes

        uid, gid = ctypes.c_uint32(), ctypes.c_uint32()
        libc = ctypes.CDLL(None)
        if libc.getpeereid(sock.fileno(), ctypes.byref(uid), ctypes.byref(gid)) == 0:
            return uid.value
    return None


def sessions(directory: Path | None = None) -> list[Session]:
    """All sessions that answer, oldest first. Files of dead processes are removed.

    >>> import pathlib, tempfile
    >>> from framework import trace
    >>> folder = tempfile.TemporaryDirectory()
    >>> trace.sessions(pathlib.Path(folder.name))
    []
    """
    directory = directory or runtime_dir(create=False)
    if not directory.exists():
        return []
    _check_dir(directory)
    found = []
    for note in directory.glob("*.json"):
        session = read_note(note)
        if session is None:
            continue
        if answers(session):
            found.append(session)
        else:
            remove_stale(session)
    return sorted(found, key=lambda s: (s.started, s.name))


def read_note(path: Path) -> Session | None:
    """What a session's note says; None if it is none. Numbers that cannot be are 0."""
    try:
        found = path.lstat()
        if found.st_uid != os.getuid() or not stat.S_ISREG(found.st_mode):
            return None
        note: dict[str, Any] = json.loads(path.read_text("utf-8", "replace")[:10_000])
        pid, started = _number(note["pid"], _PIDS), _number(note["started"], _YEAR_10000)
        return Session(path.stem, int(pid), str(note["file"]), started, path.parent)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _number(found: object, end: float) -> float:
    """A number from 0 to ``end``; 0 for anything else."""
    return float(found) if isinstance(found, int | float) and 0 <= found < end else 0.0


def session_at(path: Path) -> Session:
    """The session of a socket."""
    found = read_note(path.with_suffix(".json"))
    return found or Session(path.stem, 0, "", 0.0, path.parent)


def answers(session: Session) -> bool:
    """Does anybody listen on its socket? A process id proves nothing: they are used again."""
    try:
        connect(session.socket, timeout=1.0).close()
    except OSError as error:
        # A full queue is a busy session; only these say that nobody is there.
        return error.errno not in (errno.ECONNREFUSED, errno.ENOENT, errno.ENOTSOCK)
    return True


def remove_stale(session: Session) -> None:
    """Remove the files of a session that is dead; leave all that is not ours, or answers."""
    if not answers(session):
        remove(session)


def remove(session: Session) -> None:
    """Remove a session's files, if they are this user's."""
    for path in (session.note, session.socket, session.token, session.observe_token):
        with suppress(OSError):
            if path.lstat().st_uid == os.getuid():
                path.unlink()
    shutil.rmtree(session.scratch, ignore_errors=True)


def unique_name(label: str, directory: Path) -> str:
    """``digits_mlp-4711``: readable, safe as a file name, and not in use."""
    label = re.sub(r"[^A-Za-z0-9_.-]+", "_", label).strip("._-")[:40] or "session"
    name = f"{label}-{os.getpid()}"
    count = 1
    while os.path.lexists(directory / f"{name}.sock"):
        count += 1
        name = f"{label}-{os.getpid()}-{count}"
    return name


def new_session(label: str, file: str = "", directory: Path | None = None) -> Session:
    """A session of this process."""
    directory = directory or runtime_dir()
    private_dir(directory)
    return Session(unique_name(label, directory), os.getpid(), file, time.time(), directory)


def _write_private(path: Path, text: str) -> None:
    try:
        with suppress(FileNotFoundError):
            path.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise SessionError(f"cannot write {path}: {error.strerror}") from None


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """The socket's path, or where that is too long for the system, a short way to it."""
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
