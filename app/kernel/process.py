"""The parent's side of a kernel process: start, interrupt, kill, restart, and how it ended.

Nothing in here but `start` and `restart` waits; a kernel that hangs or crashes leaves the parent
as it was.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from framework.trace import session as sessions
from framework.trace.client import Client, SessionError

__all__ = ["KernelError", "KernelProcess"]

STARTUP = 30.0  # seconds until a kernel that has not answered is given up
LOG_LINES = 2000


def _environment() -> dict[str, str]:
    """A kernel draws into its cells, and has a session of its own already."""
    inherited = {key: text for key, text in os.environ.items() if key != "TAPEBOOK_LISTEN"}
    return {"MPLBACKEND": "module://matplotlib_inline.backend_inline", **inherited}


class KernelError(Exception):
    """The kernel cannot be started: one line for the user."""


class KernelProcess:
    """A kernel process and the connection to it.

    Args:
        cwd: directory that cells run in; default: where the user started.
        path: directory that is put first on `sys.path`: the notebook's; default: ``cwd``.
        file: the notebook, for `tapebook ps` and ``sys.argv``.
        socket_dir: default: the user's runtime directory.

    Attributes:
        client: the connection; a new one after each `start`.
        output: lines that the process wrote past its cells: of programs that a cell started, of
            C code, of a crash.
        on_output: called with each of them, on a thread of its own.
        started: seconds that the last start took.
    """

    def __init__(
        self,
        cwd: str | os.PathLike[str] | None = None,
        path: str | os.PathLike[str] | None = None,
        *,
        file: str | os.PathLike[str] = "",
        socket_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        self.cwd = Path(cwd or os.getcwd())
        self.path = Path(path or self.cwd)
        self.file = os.fspath(file)
        self.socket_dir = Path(socket_dir) if socket_dir is not None else None
        self.output: deque[str] = deque(maxlen=LOG_LINES)
        self.on_output: Callable[[str], None] | None = None
        self.started = 0.0
        self.client: Client | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Client:
        """Start the process and connect; returns when it takes cells. Raises KernelError."""
        began = time.perf_counter()
        ready, ready_child = os.pipe()
        parent_child, self._parent = os.pipe()  # closes when this process ends, however it ends
        try:
            self._process = self._spawn(ready_child, parent_child)
        except OSError as error:
            os.close(ready)
            os.close(self._parent)
            raise KernelError(f"cannot start a kernel: {error.strerror or error}") from None
        finally:
            os.close(ready_child)
            os.close(parent_child)
        threading.Thread(
            target=self._log, args=(self._process,), name="tapebook-kernel-log", daemon=True
        ).start()
        session = self._wait_until_ready(ready)
        try:
            self.client = Client.connect(session)
        except SessionError as error:
            self.kill()
            raise KernelError(f"the kernel has started but {error}") from None
        self.started = time.perf_counter() - began
        return self.client

    def _spawn(self, ready: int, parent: int) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-P",  # a directory called "app" where the user is must not be taken for ours
            "-m",
            "app.kernel",
            f"--ready-fd={ready}",
            f"--parent-fd={parent}",
            f"--path={self.path}",
            f"--file={self.file}",
            f"--name={Path(self.file).stem or 'kernel'}",
        ]
        if self.socket_dir is not None:
            command.append(f"--socket-dir={self.socket_dir}")
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.cwd,
            env=_environment(),
            pass_fds=(ready, parent),
            start_new_session=True,  # ctrl+c in the terminal is the parent's business
        )

    def _wait_until_ready(self, ready: int) -> sessions.Session:
        """What the process says when its service is up."""
        text = b""
        with open(ready, "rb", buffering=0) as pipe:
            end = time.monotonic() + STARTUP
            while (left := end - time.monotonic()) > 0:
                if not select.select([pipe], [], [], left)[0]:
                    break
                part = pipe.read(4096)
                if not part:
                    break
                text += part
        try:
            return sessions.session_at(Path(json.loads(text)["socket"]))
        except (ValueError, KeyError, TypeError):
            died = self._wait(1.0)
            self.kill()
            time.sleep(0.05)  # for the log's last lines
            last = self.output[-1] if self.output else "without a word"
            if died == "exit 2":  # it has said why, in a line for the user
                raise KernelError(last) from None
            how = f"died ({died})" if died else f"did not answer within {STARTUP:g} s"
            raise KernelError(f"the kernel {how}: {last}") from None

    def _wait(self, seconds: float) -> str | None:
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.poll()

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    def poll(self) -> str | None:
        """How the process ended: "SIGKILL", "exit 3"; None while it runs."""
        process = self._process
        if process is None:
            return "not started"
        code = process.poll()
        if code is None:
            return None
        self._clean()
        if code >= 0:
            return f"exit {code}"
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"

    @property
    def death(self) -> str:
        """How the process ended, as a sentence for the user; "" while it runs."""
        how = self.poll()
        return f"kernel died ({how})" if how else ""

    def interrupt(self) -> None:
        """What Ctrl-C does: KeyboardInterrupt in the running cell, also while it is stopped."""
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End the process and what it has started, at once; cells cannot prevent it."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5.0)
        if self.client is not None:
            self.client.close()
        self._clean()

    def shutdown(self, patience: float = 2.0) -> None:
        """Let the process end by itself (its exit handlers run); kill it if it does not."""
        if self.client is not None and not self.client.closed:
            self.client.request("shutdown")
            self._wait(patience)
        self.kill()

    def restart(self) -> Client:
        """Kill the process and start another."""
        self.kill()
        return self.start()

    def _clean(self) -> None:
        """Remove what a killed process has left."""
        parent, self._parent = getattr(self, "_parent", -1), -1
        if parent >= 0:
            os.close(parent)
            if self.client is not None:
                sessions.remove_stale(self.client.session)

    def _log(self, process: subprocess.Popen[bytes]) -> None:
        """Keep what the process writes past its cells, line by line, each of bounded length."""
        assert process.stdout is not None
        with process.stdout as pipe:
            while line := pipe.readline(10_000):
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                self.output.append(text)
                if self.on_output is not None:
                    self.on_output(text)

    def __enter__(self) -> KernelProcess:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()
