"""Worker processes of a `DataLoader`: each fetches batches for the process that trains.

A worker has two pipes of its own: one brings it tasks, one takes its batches away. No lock and no
queue is shared, so a worker that is killed leaves nothing held, and its end is seen at once: its
pipe ends. What goes through the pipes is pickled; both ends are this program's.

Nothing that a worker does is traced: the trace is that of the process that trains.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import queue
import random
import signal
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from multiprocessing.reduction import ForkingPickler
from typing import Any, NamedTuple

import numpy as np

from framework.random import manual_seed
from framework.trace import sink
from framework.utils.data import info
from framework.utils.data.fetch import Fetcher

__all__ = ["Failure", "Workers"]

_LOOK_FOR_PARENT = 5.0  # seconds
_PATIENCE = 1.0  # seconds that a worker is given to end by itself


class Failure:
    """An exception of a worker: its type, and its traceback as text."""

    def __init__(self, error: BaseException, where: str) -> None:
        self.name = type(error).__name__
        self.message = "".join(traceback.format_exception(error))
        self.message = f"Caught {self.name} {where}.\nOriginal {self.message}"
        self.kind: type[BaseException] = type(error)
        try:
            ForkingPickler.dumps(self.kind)
        except Exception:  # such as a class that was made inside of a function
            self.kind = RuntimeError

    def reraise(self) -> None:
        """Raise it here: the type is the worker's, or RuntimeError where that takes no message."""
        if self.kind is KeyError:
            raise KeyError(_Verbatim(self.message))
        try:
            error = self.kind(self.message)
        except Exception:  # the type is the user's and may want other arguments
            error = RuntimeError(self.message)
        raise error from None


class _Verbatim(str):
    """A text that is its own repr, which is what a KeyError shows."""

    def __repr__(self) -> str:
        return str(self)


class _Start(NamedTuple):
    """What a worker is told when it starts."""

    fetcher: Fetcher
    number: int
    workers: int
    base_seed: int
    init: Callable[[int], Any] | None


_RESTART = -1  # the number of a task that is none: another pass begins
_EXHAUSTED = "exhausted"  # result of a worker whose stream is at its end


# -- in the worker -------------------------------------------------------------------------------


def _main(start: _Start, tasks: Any, results: Any) -> None:
    """What a worker process does until its pipe of tasks ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and ends its workers
    sys.settrace(None)
    sink.stop()
    outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    sender = threading.Thread(target=_send, args=(outbox, results), daemon=True)
    sender.start()
    with contextlib.suppress(EOFError, OSError):  # the parent has closed the pipe
        _serve(start, tasks, outbox)
    outbox.put(None)
    sender.join()


def _send(outbox: queue.SimpleQueue[bytes | None], results: Any) -> None:
    """Write to the pipe from a thread: it is full until the parent wants the next batch."""
    with contextlib.suppress(OSError):
        while (message := outbox.get()) is not None:
            results.send_bytes(message)


def _serve(start: _Start, tasks: Any, outbox: queue.SimpleQueue[bytes | None]) -> None:
    where = f"in DataLoader worker process {start.number}"
    parent = os.getppid()
    seed = start.base_seed + start.number
    _seed(seed, start)
    fetcher = start.fetcher
    info.current = info.WorkerInfo(
        id=start.number, num_workers=start.workers, seed=seed, dataset=fetcher.dataset
    )
    failure = None
    if start.init is not None:
        try:
            start.init(start.number)
        except Exception as error:
            failure = Failure(error, where)
    while True:
        while not tasks.poll(_LOOK_FOR_PARENT):
            if os.getppid() != parent:
                return
        number, index = pickle.loads(tasks.recv_bytes())
        if number == _RESTART:
            fetcher.restart()
            continue
        result: Any
        try:
            result, failure = failure or fetcher(index), None
        except StopIteration as error:
            result = _EXHAUSTED if fetcher.stream else Failure(error, where)
        except Exception as error:
            result = Failure(error, where)
        try:
            message = ForkingPickler.dumps(result)
        except Exception as error:
            message = ForkingPickler.dumps(Failure(error, where))
        outbox.put(number.to_bytes(8, "little") + bytes(message))


def _seed(seed: int, start: _Start) -> None:
    """Seed all generators; NumPy's from both numbers, for it takes 32 bits at a time."""
    random.seed(seed)
    manual_seed(seed)
    words = np.random.SeedSequence([start.number, start.base_seed]).generate_state(4)
    np.random.seed(words)


# -- in the process that trains ------------------------------------------------------------------

# Our ends of all pipes. A process that is forked meanwhile must not keep copies of them open: a
# pipe ends when the last copy is closed.
_ends: set[Any] = set()


def _close_ends() -> None:
    for end in list(_ends):
        end.close()
    _ends.clear()


os.register_at_fork(after_in_child=_close_ends)


class _Worker:
    """The parent's side of a worker."""

    def __init__(self, context: Any, start: _Start) -> None:
        task_end, self.tasks = context.Pipe(duplex=False)
        self.results, result_end = context.Pipe(duplex=False)
        _ends.update((self.tasks, self.results))
        self.load = 0  # tasks that it has not answered
        self.exhausted = False
        self.process = context.Process(
            target=_main, args=(start, task_end, result_end), daemon=True
        )  # fmt: skip
        try:
            self.process.start()
        except BaseException:
            self.close()
            raise
        finally:
            task_end.close()
            result_end.close()

    def give(self, number: int, index: Any) -> None:
        message = ForkingPickler.dumps((number, index))
        with contextlib.suppress(OSError):  # it has ended: its results will tell
            self.tasks.send_bytes(message)

    def close(self) -> None:
        for end in (self.tasks, self.results):
            _ends.discard(end)
            end.close()

    def ended(self) -> str:
        """How the process ended, in one line."""
        self.process.join(_PATIENCE)
        pid, code = self.process.pid, self.process.exitcode
        if code is not None and code < 0:
            name = signal.strsignal(-code) or f"signal {-code}"
            return f"DataLoader worker (pid {pid}) is killed by signal: {name}."
        return (
            f"DataLoader worker (pid {pid}) exited unexpectedly with exit code {code}. Details "
            "are lost due to multiprocessing. Rerunning with num_workers=0 may give better error "
            "trace."
        )


def _shut(workers: list[_Worker], owner: int) -> None:
    """End the workers: closed pipes tell them, and those that do not listen are terminated."""
    if os.getpid() != owner:
        return
    for worker in workers:
        worker.close()
    until = time.monotonic() + _PATIENCE
    for worker in workers:
        worker.process.join(max(0.0, until - time.monotonic()))
        if worker.process.is_alive():
            worker.process.terminate()
            worker.process.join()
    workers.clear()


class Workers:
    """The workers of a loader, and the tasks that they have been given.

    Args:
        prefetch: how many tasks a worker has at once.
        timeout: seconds to wait for a batch; 0: as long as it takes.
        in_order: give the results in the order of their tasks, not as they come.
    """

    def __init__(
        self, fetcher: Fetcher, count: int, *, base_seed: int, prefetch: int, context: Any,
        init: Callable[[int], Any] | None, timeout: float, in_order: bool,
    ) -> None:  # fmt: skip
        self.prefetch, self.timeout, self.in_order = prefetch, timeout, in_order
        self.workers: list[_Worker] = []
        self._pid = os.getpid()
        self.close = weakref.finalize(self, _shut, self.workers, self._pid)
        context = context or multiprocessing.get_context()
        for number in range(count):
            start = _Start(fetcher, number, count, base_seed, init)
            self.workers.append(_Worker(context, start))
        self.count = count
        self._given = 0  # tasks so far; their numbers go on from pass to pass
        self._next = 0  # the task whose result is due
        self._turn = 0
        self._owner: dict[int, _Worker] = {}
        self._results: dict[int, Any] = {}
        self._indices: Iterator[Any] = iter(())

    def begin(self, indices: Iterator[Any]) -> None:
        """Start a pass; what is under way of an earlier one is left behind."""
        self._indices = indices
        self._next, self._turn = self._given, 0
        self._owner.clear()
        self._results.clear()
        for worker in self.workers:
            worker.load, worker.exhausted = 0, False
            worker.give(_RESTART, None)
        for _ in range(self.prefetch * self.count):
            self._give()

    def _give(self) -> None:
        """Give the next task to the next worker whose turn it is."""
        free = [w for w in self.workers if not w.exhausted]
        if not free:
            return
        try:
            index = next(self._indices)
        except StopIteration:
            return
        if self.in_order:
            while self.workers[self._turn % self.count].exhausted:
                self._turn += 1
            worker = self.workers[self._turn % self.count]
            self._turn += 1
        else:
            worker = min(free, key=lambda w: w.load)
        worker.load += 1
        self._owner[self._given] = worker
        self._given += 1
        worker.give(self._given - 1, index)

    def result(self) -> Any:
        """The next batch.

        Raises:
            StopIteration: the pass is over.
            RuntimeError: a worker has ended, or the time is over.
            An exception of a worker, with its traceback in the message.
        """
        while self._owner or self._results:
            number = self._next if self.in_order else next(iter(self._results), -1)
            if number in self._owner or (number == -1 and self._owner):
                self._receive()
                continue
            self._next += 1
            if number not in self._results:  # its result could not be unpickled
                continue
            worker, result = self._results.pop(number)
            if isinstance(result, str) and result == _EXHAUSTED:
                worker.exhausted = True
                self._give()
                continue
            self._give()
            if isinstance(result, Failure):
                result.reraise()
            return result
        raise StopIteration

    def _receive(self) -> None:
        """Wait for a result of any worker and keep it."""
        if os.getpid() != self._pid:
            raise RuntimeError(
                "DataLoader: its workers belong to the process of which this one is a copy; "
                "with num_workers=0 a copy can go on"
            )
        if not self.workers:
            raise RuntimeError("DataLoader: the workers have ended; start again with iter(loader)")
        ready = wait([w.results for w in self.workers], self.timeout or None)
        if not ready:
            raise RuntimeError(f"DataLoader timed out after {self.timeout} seconds")
        for worker in [w for w in self.workers if w.results in ready]:
            try:
                message = worker.results.recv_bytes()
            except (EOFError, OSError):
                reason = worker.ended()
                self.close()
                raise RuntimeError(reason) from None
            number = int.from_bytes(message[:8], "little")
            if self._owner.pop(number, None) is None:  # of an earlier pass
                continue
            worker.load -= 1
            self._results[number] = worker, pickle.loads(memoryview(message)[8:])
