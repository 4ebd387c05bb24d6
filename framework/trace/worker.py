"""A thread for what may take long: expressions, values, variables; one at a time, each timed."""

from __future__ import annotations

import ctypes
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

__all__ = ["TooSlow", "Worker", "raise_in"]

SLOW = 5.0  # seconds for one job

Job = Callable[[], Any]


def raise_in(thread: int, kind: type[BaseException]) -> None:
    """Raise an exception in another thread, between two of its instructions."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind))


class TooSlow(BaseException):
    """Raised in the worker's thread when nobody waits for it any more."""


class Worker:
    """Runs jobs one after the other; `check`, called now and then, gives up one that takes long."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: deque[tuple[Future[Any], Job]] = deque()
        self._ready = threading.Semaphore(0)
        self._thread: threading.Thread | None = None
        self._now: tuple[Future[Any], float] | None = None  # the job at work, when to give it up

    @property
    def busy(self) -> bool:
        return bool(self._jobs) or self._now is not None

    def submit(self, job: Job) -> Future[Any]:
        future: Future[Any] = Future()
        self._jobs.append((future, job))
        if self._thread is None:
            self._start()
        self._ready.release()
        return future

    def close(self) -> None:
        """Drop what has not begun, and let the thread end."""
        while self._jobs:
            self._jobs.popleft()[0].cancel()
        self._thread = None
        self._ready.release()

    def check(self) -> None:
        now = self._now
        if now is None or time.monotonic() < now[1]:
            return
        thread, self._thread, self._now = self._thread, None, None
        if thread is not None and thread.ident is not None:
            raise_in(thread.ident, TooSlow)
        if not now[0].done():
            now[0].set_exception(TimeoutError(f"that took longer than {SLOW:g} seconds"))
        self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        mine = threading.current_thread()
        try:
            while self._thread is mine:
                self._ready.acquire()
                if self._thread is not mine:
                    self._ready.release()  # another has taken over
                    return
                if self._jobs:
                    self._run(*self._jobs.popleft(), mine)
        except TooSlow:
            return

    def _run(self, future: Future[Any], job: Job, mine: threading.Thread) -> None:
        if not future.set_running_or_notify_cancel():
            return
        self._now = (future, time.monotonic() + SLOW)
        result: Any = None
        problem: BaseException | None = None
        try:
            result = job()
        except BaseException as error:
            problem = error
        if self._thread is not mine:
            return  # too late: it has been answered
        self._now = None
        if problem is not None:
            future.set_exception(problem)
        else:
            future.set_result(result)
