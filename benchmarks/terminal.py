"""A real pseudo-terminal with a program in it: type, wait, and see when the screen answers."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time

__all__ = ["Terminal"]


class Terminal:
    """Start ``argv`` in a terminal of a size. Use as a context manager: it ends the program."""

    def __init__(self, argv: list[str], columns: int = 120, rows: int = 40) -> None:
        self.started = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            os.execvp(argv[0], argv)
        self.resize(columns, rows)
        self.output = b""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            os.kill(self.pid, signal.SIGTERM)
            self.read(1.0)
        except ProcessLookupError:
            pass
        os.close(self.fd)
        os.waitpid(self.pid, 0)

    def resize(self, columns: int, rows: int) -> None:
        """Give it another size: all is drawn anew."""
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds: float, until: bytes = b"") -> float | None:
        """Collect output for at most ``seconds``; the time when ``until`` came, or None."""
        end = time.perf_counter() + seconds
        found: float | None = None
        while (left := end - time.perf_counter()) > 0:
            ready, _, _ = select.select([self.fd], [], [], left)
            if not ready:
                break
            try:
                data = os.read(self.fd, 1 << 16)
            except OSError:
                break
            if not data:
                break
            self.output += data
            if until and until in self.output:
                found = time.perf_counter()
                break
        return found

    def quiet(self, seconds: float = 0.4, limit: float = 20.0) -> None:
        """Wait until nothing has been written for a while."""
        end = time.perf_counter() + limit
        while time.perf_counter() < end:
            before = len(self.output)
            self.read(seconds)
            if len(self.output) == before:
                return

    def answer(self, keys: bytes, limit: float = 5.0) -> float | None:
        """Type ``keys``; seconds until the screen shows the first change."""
        start = time.perf_counter()
        os.write(self.fd, keys)
        ready, _, _ = select.select([self.fd], [], [], limit)
        return time.perf_counter() - start if ready else None

    def type(self, keys: bytes) -> None:
        """Type ``keys`` without waiting."""
        os.write(self.fd, keys)

    def cpu(self) -> float:
        """CPU seconds that the program has used so far."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, what: str = "VmRSS") -> int:
        """MB that the program has in memory now; "VmHWM": at most so far."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as f:
            line = next(line for line in f if line.startswith(what))
        return int(line.split()[1]) // 1024
