"""What a session stands on: requests without waiting, background work, words for the user."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from app.sanitize import clean

if TYPE_CHECKING:
    from framework.trace.client import Client

__all__ = ["Link"]

_LOG = 5_000  # lines of console
_LONGEST = 10_000  # characters of one


class _Waiting(NamedTuple):
    """An answer that is to come."""

    future: Future[Any]
    then: Callable[[Any], None] | None
    otherwise: Callable[[str], None] | None


class Link:
    """A connection that is asked and polled, never waited for."""

    def __init__(self) -> None:
        self.client: Client | None = None
        self.state = "starting"  # "idle" | "running" | "paused" | "finished" | "dead"
        self.log: deque[tuple[str, str]] = deque(maxlen=_LOG)  # (text, token), one line each
        self.logged = 0  # lines ever
        self.message = ""
        self.problem = False  # the message is about something that went wrong
        self.changed: set[str] = set()
        self._waiting: list[_Waiting] = []
        self._pool: ThreadPoolExecutor | None = None
        self._open_line = False

    # -- asking ------------------------------------------------------------------------------

    def ask(
        self,
        method: str,
        then: Callable[[Any], None] | None = None,
        otherwise: Callable[[str], None] | None = None,
        **params: Any,
    ) -> None:
        """Send a request. A later `settle` calls ``then`` with its result.

        If it fails, ``otherwise`` is called with one line; without it, the user is told.
        """
        if self.client is None:
            (otherwise or self._tell)(self.why_not())
            return
        future = self.client.request(method, **params)
        self._waiting.append(_Waiting(future, then, otherwise))

    def in_background(
        self,
        work: Callable[[], Any],
        then: Callable[[Any], None],
        otherwise: Callable[[str], None] | None = None,
    ) -> None:
        """Do something slow in a thread; its result comes as that of a request."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(2, thread_name_prefix="tapebook")
        self._waiting.append(_Waiting(self._pool.submit(work), then, otherwise))

    @property
    def waiting(self) -> int:
        """How many answers are to come."""
        return len(self._waiting)

    def settle(self) -> None:
        """Hand out the answers that have come."""
        waiting, self._waiting = self._waiting, []
        for item in waiting:
            future = item.future
            if not future.done():
                self._waiting.append(item)
            elif future.cancelled():
                continue
            elif (error := future.exception()) is not None:
                (item.otherwise or self._tell)(str(error) or type(error).__name__)
            elif item.then is not None:
                item.then(future.result())

    def forget_requests(self) -> None:
        """The other side is gone: nothing is waited for any more."""
        self._waiting.clear()

    def hang_up(self) -> None:
        """Close the connection and end the background work."""
        if self.client is not None:
            self.client.close()
            self.client = None
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def why_not(self) -> str:
        """Why nothing can be asked."""
        if self.state == "dead":
            return "the kernel is dead: 0 0 starts a new one"
        return "the kernel is still starting" if self.state == "starting" else "not connected"

    # -- words for the user ------------------------------------------------------------------

    def say(self, text: str, problem: bool = False) -> None:
        """One line for the status line and the console."""
        self.message = clean(text, keep_newlines=False)
        self.problem = problem
        self._open_line = False
        self.log.append((self.message, "warn" if problem else "note"))
        self.logged += 1
        self.changed.update(("message", "console"))

    def _tell(self, text: str) -> None:
        self.say(text, problem=True)

    def log_text(self, text: str, token: str = "") -> None:
        """What a program put out, which comes in pieces of lines."""
        last = text.count("\n")
        for i, part in enumerate(text.split("\n")):
            if i == 0 and self._open_line and self.log:
                before, kind = self.log[-1]
                self.log[-1] = (before + part)[:_LONGEST], kind
            elif part or i < last:
                self.log.append((part[:_LONGEST], token))
                self.logged += 1
        self._open_line = not text.endswith("\n")
        self.changed.add("console")
