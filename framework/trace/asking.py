"""What a program asks its user, by `input` or `getpass`: whoever controls it may answer.

A question stands until it is answered: viewers that come meanwhile are told of it, and one that
leaves does not take it away. Where the program has a terminal (or a pipe) to read from, it is asked
there as well, and the first answer counts. Without either, asking is an `EOFError` of one line.

A copy that repeats a step asks nobody: it gets the answers that were given then.
"""

from __future__ import annotations

import builtins
import contextlib
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, Any

from framework.trace import frames
from framework.trace.answers import RequestError, integer, text
from framework.trace.protocol import Question

if TYPE_CHECKING:
    from framework.trace.server import Service

__all__ = ["Asking"]

MOST = 10_000  # characters of a prompt: its end is what asks
GIVEN = 1_000  # answers that are remembered for steps that are run again
HIDDEN = "········"  # what a password looks like afterwards
_TERMINAL = "the program's own terminal"


class _Answered(BaseException):
    """Raised in what reads from the terminal: a viewer was faster."""


class Asking:
    """The questions of a service's program, one at a time.

    Attributes:
        question: the one that waits for its answer.
        before: called on the asking thread before each question.
        given: (event at which it was asked, answer or None for the end of input), newest last.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.question: Question | None = None
        self.before: list[Callable[[], None]] = []
        self.given: deque[tuple[int, str | None]] = deque(maxlen=GIVEN)
        self._count = 0
        self._who: deque[tuple[int, str]] = deque(maxlen=GIVEN)  # answered which
        self._mine: tuple[Any, Any] | None = None
        self._real: tuple[Any, Any] | None = None
        self._begin()
        service.register("answer", self._answer)
        service.forks.after.append(lambda kind: self._begin())

    def _begin(self) -> None:
        """Nobody asks, also in a copy: it was made by the thread that could."""
        self.question = None
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._answers: SimpleQueue[str | BaseException] = SimpleQueue()
        self._reading = self._signalled = False

    # -- in place of Python's own ------------------------------------------------------------------

    def install(self, terminal: bool = True) -> None:
        """Put `input` and `getpass` in the place of Python's; `restore` puts those back.

        ``terminal``: standard input is asked, too.
        """
        import getpass

        self._real = read, hidden = builtins.input, getpass.getpass

        def input(prompt: object = "", /) -> str:
            real = (lambda: read(prompt)) if terminal else None
            return self.ask(str(prompt), real=real)

        def getpass_(prompt: str = "Password: ", stream: Any = None, **options: Any) -> str:
            real = (lambda: hidden(prompt, stream, **options)) if terminal else None
            return self.ask(prompt, password=True, real=real)

        input.__doc__, getpass_.__doc__ = read.__doc__, hidden.__doc__
        self._mine = input, getpass_
        builtins.input = input
        getpass.getpass = getpass_

    def restore(self) -> None:
        """Undo `install`, but for what somebody else has put there since."""
        import getpass

        mine, real, self._mine = self._mine, self._real, None
        if mine is None or real is None:
            return
        if builtins.input is mine[0]:
            builtins.input = real[0]
        if getpass.getpass is mine[1]:
            getpass.getpass = real[1]

    # -- on the program's threads ------------------------------------------------------------------

    def ask(
        self, prompt: str, password: bool = False, real: Callable[[], str] | None = None
    ) -> str:
        """Ask, and wait. ``real`` asks at the program's own terminal.

        Raises EOFError in one line if nobody can answer, or the answer is the end of input.
        """
        service, thread = self.service, threading.current_thread()
        owner = thread.ident == service.recorder.owner
        what = f"{'getpass' if password else 'input'}({_short(prompt)})"
        if thread.name.startswith("tapebook-") or (owner and service.gate.stop is not None):
            if real is not None and owner:
                return real()  # at the prompt of `tapebook run --break`
            raise EOFError(f"{what}: what is looked at, at a stop, cannot ask")
        kind = service.forks.kind
        if kind == "rerun":
            return self._said_then(what)
        if kind and service.forks.served:
            real = None  # its terminal is the original's
        if real is not None and not (owner and _can_break_off(thread)):
            return real()
        with self._turn:
            if real is None and not service.answerable:
                raise EOFError(_nobody(what))
            for call in self.before:
                call()
            seq = service.recorder.seq
            question = self._open(prompt, password)
            try:
                answer = self._read(question, real, what)
            except EOFError:
                self.given.append((seq, None))
                raise
            finally:
                self._take(question)
                service.wake()
        self.given.append((seq, answer))
        return answer

    def _said_then(self, what: str) -> str:
        """In a copy that repeats a step: what was answered at this event."""
        seq = self.service.recorder.seq
        for i, (asked, answer) in enumerate(self.given):
            if asked == seq:
                del self.given[i]
                if answer is None:
                    raise EOFError(_ENDED)
                return answer
        raise EOFError(f"{what}: a step that is run again cannot ask what was not asked then")

    def _open(self, prompt: str, password: bool) -> Question:
        self._count += 1
        found = frames.user_frames(sys._getframe(1))
        source = frames.source(found[0] if found else None)
        self._answers = SimpleQueue()
        question = Question(self._count, prompt[-MOST:], password, source)
        self.question = question
        self.service.wake()
        return question

    def _take(self, question: Question, by: str = "") -> bool:
        """Is a question still open? It is not from here on."""
        with self._lock:
            if self.question is not question:
                return False
            self.question = None
            self._who.append((question.id, by))
            return True

    def _read(self, question: Question, real: Callable[[], str] | None, what: str) -> str:
        if real is not None:
            try:
                with self._breakable():
                    line = real()
                if self._take(question, _TERMINAL):
                    return line
            except _Answered:
                pass
            except EOFError:
                if sys.stdin is not None and sys.stdin.isatty():
                    raise
                if self.question is question and not self.service.answerable:
                    raise EOFError(_nobody(what)) from None
        shown = ""
        try:
            answer = self._answers.get()
            if isinstance(answer, BaseException):
                raise answer
            shown = HIDDEN if question.password else answer
        finally:
            with contextlib.suppress(Exception):
                before = question.prompt if real is None else ""  # else it is there already
                sys.stdout.write(f"{before}{shown}\n")
        return answer

    @contextlib.contextmanager
    def _breakable(self) -> Iterator[None]:
        """While the main thread reads from its terminal: an answer breaks that off."""
        before = signal.getsignal(signal.SIGINT)

        def on_signal(number: int, frame: FrameType | None) -> Any:
            if self._signalled:
                self._signalled = False
                raise _Answered
            if callable(before):
                return before(number, frame)
            if before is signal.SIG_DFL:
                signal.signal(number, before)
                signal.raise_signal(number)
            return None

        signal.signal(signal.SIGINT, on_signal)
        try:
            self._reading = True
            if self.question is None:
                raise _Answered  # it came before anything could be broken off
            yield
        finally:
            with self._lock:
                self._reading = False
            end = time.monotonic() + 1.0
            try:
                while self._signalled and time.monotonic() < end:
                    time.sleep(0.001)  # it is on its way
            finally:
                signal.signal(signal.SIGINT, before)

    # -- on the service's thread -------------------------------------------------------------------

    def _answer(self, params: dict[str, Any]) -> None:
        ident, answer = integer(params, "id", 0), text(params, "text")
        asker = self.service.asker
        with self._lock:
            question = self.question
            if question is None or question.id != ident:
                raise RequestError(f"answer: {self._why_not(ident)}")
            self.question = None
            self._who.append((ident, asker.who if asker is not None else ""))
            self._answers.put(EOFError(_ENDED) if params.get("end") else answer)
            if self._reading:
                self._signalled = True
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # type: ignore[arg-type]

    def _why_not(self, ident: int) -> str:
        """Why there is nothing to be answered."""
        if ident > self._count:
            return "nothing is asked"
        who = next((who for number, who in self._who if number == ident), "")
        return f"this was answered already by {who}" if who else "this is over"

    def break_off(self) -> bool:
        """Interrupt a thread that asks where no signal reaches it; False if there is none."""
        question = self.question
        if question is None or self.service.recorder.owner == threading.main_thread().ident:
            return False
        if self._take(question):
            self._answers.put(KeyboardInterrupt())
        return True


_ENDED = "the answer was the end of input"


def _nobody(what: str) -> str:
    return (
        f"{what}: nobody is there to answer: standard input is at its end, and no window is "
        "attached that may (tapebook attach)"
    )


def _short(prompt: str) -> str:
    prompt = " ".join(prompt.split())
    return repr(prompt if len(prompt) <= 60 else prompt[:59] + "…") if prompt else ""


def _can_break_off(thread: threading.Thread) -> bool:
    """Can what this thread reads be broken off by a signal that is ours for as long?"""
    return thread is threading.main_thread() and signal.getsignal(signal.SIGINT) is not None
