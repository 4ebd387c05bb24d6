"""`futures`: values that come later.

>>> import framework as torch
>>> future = torch.futures.Future()
>>> doubled = future.then(lambda f: f.wait() * 2)
>>> future.set_result(21)
>>> doubled.wait()
42
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Future", "collect_all", "wait_all"]


class Future:
    """A value, or an exception, that is set once and waited for.

    ``wait`` gives the value, or raises the exception, once it is there; ``then`` makes a future of
    what a function makes of this one. RuntimeError when it is set a second time.

    >>> import framework as torch
    >>> future = torch.futures.Future()
    >>> doubled = future.then(lambda f: f.wait() * 2)
    >>> future.set_result(21)
    >>> future.done(), doubled.wait()
    (True, 42)
    """

    def __init__(self, *, devices: Any = None) -> None:
        self._ready = threading.Event()
        self._lock = threading.Lock()
        self._result: Any = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Future], Any]] = []

    def done(self) -> bool:
        """Whether it is set."""
        return self._ready.is_set()

    def wait(self) -> Any:
        """The value, once it is there.

        Raises:
            the exception that was set.
        """
        self._ready.wait()
        if self._error is not None:
            raise self._error
        return self._result

    def value(self) -> Any:
        """The value, which must be there."""
        if not self.done():
            raise RuntimeError("Future.value(): the future is not completed; use wait()")
        return self.wait()

    def set_result(self, result: Any) -> None:
        """Set the value, and call what waits for it."""
        self._set(result, None)

    def set_exception(self, result: BaseException) -> None:
        """Set an exception, which `wait` raises."""
        if not isinstance(result, Exception):
            raise AssertionError(f"{result} is of type {type(result)}, not an Exception.")
        self._set(None, result)

    def _set(self, result: Any, error: BaseException | None) -> None:
        with self._lock:
            if self.done():
                raise RuntimeError(
                    "Attempting to mark a completed Future as complete again. Note that a Future "
                    "can only be marked completed once."
                )
            self._result, self._error = result, error
            self._ready.set()
        for callback in self._callbacks:
            callback(self)

    def add_done_callback(self, callback: Callable[[Future], Any]) -> None:
        """Call a function with this future when it is set, or now."""
        with self._lock:
            if not self.done():
                self._callbacks.append(callback)
                return
        callback(self)

    def then(self, callback: Callable[[Future], Any]) -> Future:
        """A future of what a function makes of this one."""
        made = Future()

        def follow(future: Future) -> None:
            try:
                made.set_result(callback(future))
            except Exception as error:
                made.set_exception(error)

        self.add_done_callback(follow)
        return made


def collect_all(futures: list[Future]) -> Future:
    """A future that is set, with the list of futures, when all of them are.

    AttributeError for what is no future.

    >>> import framework as torch
    >>> a, b = torch.futures.Future(), torch.futures.Future()
    >>> both = torch.futures.collect_all([a, b])
    >>> a.set_result(1), b.set_result(2)
    (None, None)
    >>> [f.wait() for f in both.wait()]
    [1, 2]
    """
    made = Future()
    left = [len(futures)]
    lock = threading.Lock()

    def count(_: Future) -> None:
        with lock:
            left[0] -= 1
            last = left[0] == 0
        if last:
            made.set_result(futures)

    if not futures:
        made.set_result(futures)
    for future in futures:
        future.add_done_callback(count)
    return made


def wait_all(futures: list[Future]) -> list[Any]:
    """The values of all futures, once they are there; raises the first exception.

    AttributeError for what is no future.

    >>> import framework as torch
    >>> future = torch.futures.Future()
    >>> future.set_result(1)
    >>> torch.futures.wait_all([future])
    [1]
    """
    return [future.wait() for future in collect_all(futures).wait()]
