"""Does a copy of a program still do something? What it hangs in, and what can be done about it.

A copy has the model's thread and no other: what waits for a thread, a pool or a worker process of
the program waits for ever. Whoever waits for a copy asks a `Watcher` now and then.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framework.trace.client import Client

__all__ = ["STILL", "Watcher", "is_stopped"]

STILL = 5.0  # seconds without an event after which one asks what a copy is doing
ANSWER = 5.0  # and that it may take to say how it is


def is_stopped(pid: int) -> bool:
    """Was a process stopped (SIGSTOP, or by a debugger)? False where the system does not say."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] in "Tt"
    except (OSError, IndexError):
        return False


class Watcher:
    """Watches one copy through its connection.

    Args:
        pid: its process.
        lacks: names of the program's threads, which it has not.
        what: what it is called in a message.
    """

    def __init__(
        self, client: Client, pid: int = 0, lacks: Iterable[str] = (), what: str = "the copy"
    ) -> None:
        self.client = client
        self.pid = pid
        self.lacks = list(lacks)
        self.what = what
        self._last = -1
        self._since = time.monotonic()

    def status(self) -> dict[str, Any]:
        """How it is; raises RequestError, in one line, if it does not say or hangs for good."""
        from framework.trace.client import RequestError

        try:
            found: dict[str, Any] = self.client.request("status").result(ANSWER)
        except TimeoutError:
            raise RequestError(self._silent()) from None
        if self.hangs(found["state"], found["last_seq"]):
            raise RequestError(self.words())
        return found

    def hangs(self, state: str, last: int) -> bool:
        """Has it done nothing for long, and lacks what it may wait for?"""
        now = time.monotonic()
        if last != self._last or state != "running":
            self._last, self._since = last, now
        return bool(self.lacks) and now - self._since > STILL

    def words(self) -> str:
        """``the copy hangs in result at train.py:12: ...``."""
        from framework.trace.client import RequestError

        place = ""
        with contextlib.suppress(RequestError, TimeoutError, IndexError):
            top = self.client.request("stack").result(ANSWER)[0].source
            place = f" at {top.file}:{top.line} in {top.function}"
        return f"{self.what} hangs{place}: {missing(self.lacks)}"

    def _silent(self) -> str:
        if self.pid and is_stopped(self.pid):
            return f"{self.what} is stopped: kill -CONT {self.pid} lets it go on"
        name = f" (process {self.pid})" if self.pid else ""
        return f"{self.what}{name} does not answer for {ANSWER:.0f} s: kill it, and try again"


def missing(lacks: list[str]) -> str:
    """Why a copy may hang, and what to do.

    >>> print(missing(["pool_0", "feeder"]))
    it has not the program's threads (pool_0, feeder): run without them, as with num_workers=0
    """
    names = ", ".join([*lacks[:3], *(["..."] if len(lacks) > 3 else [])])
    return f"it has not the program's threads ({names}): run without them, as with num_workers=0"
