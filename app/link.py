"""What a session stands on: requests without waiting, background work, words for the user.

A link to an attached program may break and come back: what is on the screen stays, and the link is
tried again ever less often, until it stands or the program is known to have ended.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from app.sanitize import clean

if TYPE_CHECKING:
    from framework.trace.client import Client
    from framework.trace.playback import Playback

__all__ = ["Link"]

_LOG = 5_000  # lines of console
_LONGEST = 10_000  # characters of one
RETRY, RETRY_LATER = 0.25, 10.0  # seconds until a broken link is tried again, at first and at last
PING = 5.0  # seconds between two signs of life to an attached program
UNHEARD = 12.0  # seconds without an answer to one after which the link counts as broken

# What only the viewer in control may ask; the other end refuses it as well.
_ACTING = frozenset(
    "step pause interrupt speed evaluate breakpoints options execute answer shutdown".split()
)


class _Waiting(NamedTuple):
    """An answer that is to come."""

    future: Future[Any]
    then: Callable[[Any], None] | None
    otherwise: Callable[[str], None] | None


class Link:
    """A connection that is asked and polled, never waited for."""

    def __init__(self) -> None:
        self.client: Client | Playback | None = None
        self.state = "starting"  # "idle" | "running" | "paused" | "finished" | "dead" | "recording"
        self.log: deque[tuple[str, str]] = deque(maxlen=_LOG)  # (text, token), one line each
        self.logged = 0  # lines ever
        self.message = ""
        self.problem = False  # the message is about something that went wrong
        self.changed: set[str] = set()
        self.attached = False  # to a program that is not this notebook's own
        self.role = "control"  # "observe": somebody else controls the program
        self.holder = ""  # who does
        self.level = "all"  # what is recorded: "all" | "structure" | "off", which is full speed
        self._gone: Client | None = None  # the broken connection that is being tried again
        self._tries = 0
        self._next_try = 0.0
        self._pinged = self._unheard = 0.0
        self._silent = ""  # why we have hung up
        self._waiting: list[_Waiting] = []
        self._pool: ThreadPoolExecutor | None = None
        self._open_line = False
        self._passing = False  # the message is about what runs, and goes as that stands

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
        if self.role == "observe" and method in _ACTING:
            (otherwise or self._tell)(f"not done: {self.only_watching()}")
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

    def settle(self, gone: bool = False) -> None:
        """Hand out the answers that have come.

        ``gone``: of a program that is no more; what has failed is not told, for that is why.
        """
        waiting, self._waiting = self._waiting, []
        for item in waiting:
            future = item.future
            if not future.done() or (gone and not future.cancelled() and future.exception()):
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
        if self.state == "reconnecting":
            return "there is no connection; it is tried again"
        if self.state == "dead" and self.attached:
            return "the program is gone; what it recorded is still here"
        if self.state == "dead":
            return "the kernel is dead: 0 0 starts a new one"
        if self.state == "recording":
            return "this is a recording: what it does not hold cannot be run"
        return "the kernel is still starting" if self.state == "starting" else "not connected"

    # -- who controls --------------------------------------------------------------------------

    @property
    def observing(self) -> bool:
        """Is it somebody else, or nobody, who controls the program?"""
        return self.role == "observe" and self.client is not None

    def only_watching(self) -> str:
        """Who does, and the key that changes it."""
        holder = clean(self.holder, keep_newlines=False) or "nobody"
        return f"you observe, {holder} controls the program; T takes control"

    def refused(self) -> bool:
        """Does it take control to do this? Then the user is told."""
        if self.observing:
            self.say(f"not done: {self.only_watching()}")
        return self.observing

    def rights(self, role: str, holder: str, taken: bool = False) -> None:
        """Control has changed hands."""
        had, self.role, self.holder = self.role, role, holder
        self.changed.add("state")
        if taken:
            who = clean(holder, keep_newlines=False)
            self.say(f"{who} took control over; you observe (T takes it back)", problem=True)
        elif role == "control" != had:
            self.say("you control the program now")
        elif role == "observe" and had == "observe":
            self.say(self.only_watching())

    def take_control(self, then: Callable[[], None]) -> None:
        """Take control from whoever has it; the other is told."""
        if not self.observing:
            self.say("you control this program already")
            return

        def taken(result: dict[str, str]) -> None:
            self.rights(result["role"], result["holder"])
            then()

        self.ask("control", taken, want="take")

    # -- a link that breaks --------------------------------------------------------------------

    def keep_alive(self, now: float) -> None:
        """Say that we are there, and notice when the other end no longer is."""
        client = self.client
        if client is None or now - self._pinged < PING:
            return
        if self._unheard and now - self._unheard > UNHEARD:
            self._silent = f"nothing was heard for {UNHEARD:g} seconds"
            client.close()
            return
        self._pinged = now
        self._unheard = self._unheard or now

        def heard(_: object) -> None:
            self._unheard = 0.0

        self.ask("ping", heard, heard)

    def broken(self, now: float) -> bool:
        """The connection is gone; True if it is to be tried again."""
        from framework.trace.client import Client

        client = self.client
        if not isinstance(client, Client) or client.ended:
            return False
        self._gone, self._tries, self._next_try = client, 0, now
        self._unheard = 0.0
        self.client = None
        self.state = "reconnecting"
        self.forget_requests()
        reason, self._silent = self._silent or client.reason, ""
        why = f" ({reason})" if reason else ""
        self.say(f"the connection broke{why}; it is tried again, this is from before", problem=True)
        self.changed.add("state")
        return True

    def try_again(
        self, now: float, back: Callable[[Client], None], over: Callable[[str], None]
    ) -> None:
        """Try a broken connection once more, if it is time; one of the two is called later."""
        gone = self._gone
        if gone is None or now < self._next_try:
            return
        self._next_try = float("inf")

        def dial() -> Client | Exception:
            from framework.trace.client import SessionEnded

            try:
                return gone.again()
            except SessionEnded as error:
                return error

        def answered(result: Client | Exception) -> None:
            self._gone = None
            if isinstance(result, Exception):
                over(str(result))
            else:
                back(result)

        def not_yet(why: str) -> None:
            wait = min(RETRY * 2**self._tries, RETRY_LATER)
            self._tries += 1
            self._next_try = time.monotonic() + wait
            if self._tries > 2:
                self.say(f"no connection ({why}); tried again every {wait:.0f} s", problem=True)

        self.in_background(dial, answered, not_yet)

    # -- words for the user ------------------------------------------------------------------

    def say(self, text: str, problem: bool = False, while_running: bool = False) -> None:
        """One line for the status line and the console.

        Args:
            while_running: it is no longer true when the program stands, and goes then.
        """
        self.message = clean(text, keep_newlines=False)
        self.problem = problem
        self._passing = while_running
        self._open_line = False
        self.log.append((self.message, "warn" if problem else "note"))
        self.logged += 1
        self.changed.update(("message", "console"))

    def unsay(self) -> None:
        """The program stands: what was said of a running one is over."""
        if self._passing:
            self.message, self._passing = "", False
            self.changed.add("message")

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
