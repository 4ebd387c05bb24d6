"""`multiprocessing`: Python's module, and `spawn`, which runs a function in several processes.

Tensors are copied when they are sent; those that `Tensor.share_memory_` moved are shared with
processes that are forked.
"""

from __future__ import annotations

import multiprocessing as _python
import signal as _signal
import traceback as _traceback
from collections.abc import Callable as _Callable
from multiprocessing import *  # noqa: F403
from multiprocessing.connection import wait as _wait
from typing import Any as _Any

__all__ = [
    *_python.__all__, "ProcessContext", "ProcessExitedException", "ProcessRaisedException",
    "get_all_sharing_strategies", "get_sharing_strategy", "set_sharing_strategy", "spawn",
]  # fmt: skip


class ProcessRaisedException(Exception):
    """A process of `spawn` ended with an exception, whose traceback is in the message.

    ``error_index`` is the process's place among those of `spawn`, ``pid`` its number.

    >>> import framework as torch
    >>> try:
    ...     torch.multiprocessing.spawn(lambda i: 1 / i, nprocs=2, start_method="fork")
    ... except torch.multiprocessing.ProcessRaisedException as error:
    ...     error.error_index, "ZeroDivisionError" in str(error)
    (0, True)
    """

    def __init__(self, msg: str, error_index: int, error_pid: int | None) -> None:
        super().__init__(msg)
        self.msg, self.error_index, self.pid = msg, error_index, error_pid


class ProcessExitedException(ProcessRaisedException):
    """A process of `spawn` was killed, or left with another exit code than 0.

    ``exit_code`` is that code, or the signal's number below zero, whose name ``signal_name`` is.

    >>> import framework as torch
    >>> import os
    >>> try:
    ...     torch.multiprocessing.spawn(lambda i: os._exit(3), start_method="fork")
    ... except torch.multiprocessing.ProcessExitedException as error:
    ...     error.exit_code
    3
    """

    def __init__(
        self, msg: str, error_index: int, error_pid: int | None, exit_code: int,
        signal_name: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(msg, error_index, error_pid)
        self.exit_code, self.signal_name = exit_code, signal_name


def get_all_sharing_strategies() -> set[str]:
    """The one way that there is.

    >>> import framework as torch
    >>> torch.multiprocessing.get_all_sharing_strategies()
    {'file_descriptor'}
    """
    return {"file_descriptor"}


def get_sharing_strategy() -> str:
    """The one way that there is.

    >>> import framework as torch
    >>> torch.multiprocessing.get_sharing_strategy()
    'file_descriptor'
    """
    return "file_descriptor"


def set_sharing_strategy(new_strategy: str) -> None:
    """Accepted: tensors are copied when they are sent.

    >>> import framework as torch
    >>> torch.multiprocessing.set_sharing_strategy("file_system")
    >>> torch.multiprocessing.get_sharing_strategy()
    'file_descriptor'
    """


def _run(fn: _Callable[..., _Any], index: int, args: tuple[_Any, ...], errors: _Any) -> None:
    try:
        fn(index, *args)
    except KeyboardInterrupt:
        return
    except Exception:  # the user's function; the parent raises it again
        errors.send(_traceback.format_exc())
        raise SystemExit(1) from None


class ProcessContext:
    """The processes of `spawn`, which gives it with ``join=False``.

    >>> import framework as torch
    >>> context = torch.multiprocessing.spawn(print, nprocs=2, join=False, start_method="fork")
    >>> len(context.pids())
    2
    >>> while not context.join():
    ...     pass
    """

    def __init__(self, processes: list[_Any], errors: list[_Any]) -> None:
        self.processes, self._errors = processes, errors

    def pids(self) -> list[int]:
        """Their numbers."""
        return [process.pid for process in self.processes]

    def join(self, timeout: float | None = None, grace_period: float | None = None) -> bool:
        """Wait for a process to end; True if all have ended.

        Raises:
            ProcessRaisedException, ProcessExitedException: one failed; the others are ended.
        """
        codes = [process.exitcode for process in self.processes]
        running = [p.sentinel for p, code in zip(self.processes, codes) if code is None]
        if running and not any(codes):
            _wait(running, timeout)
        for i, process in enumerate(self.processes):
            if process.exitcode not in (None, 0):
                for other in self.processes:
                    if other.exitcode is None:
                        other.terminate()
                    other.join(grace_period)
                self._fail(i)
        return all(process.exitcode == 0 for process in self.processes)

    def _fail(self, i: int) -> None:
        process, errors = self.processes[i], self._errors[i]
        code = process.exitcode
        if code == 1 and errors.poll():
            text = f"\n\n-- Process {i} terminated with the following error:\n{errors.recv()}"
            raise ProcessRaisedException(text, i, process.pid)
        if code < 0:
            name = _signal.Signals(-code).name
            text = f"process {i} terminated with signal {name}"
            raise ProcessExitedException(text, i, process.pid, code, name)
        text = f"process {i} terminated with exit code {code}"
        raise ProcessExitedException(text, i, process.pid, code)


def spawn(
    fn: _Callable[..., _Any], args: tuple[_Any, ...] = (), nprocs: int = 1, join: bool = True,
    daemon: bool = False, start_method: str = "spawn",
) -> ProcessContext | None:  # fmt: skip
    """Run ``fn(number, *args)`` in several processes.

    Args:
        join: wait for all; otherwise the `ProcessContext` is returned.
        start_method: "fork", "forkserver" or "spawn". The latter two import ``fn`` by its name, so
            that a script must be guarded by ``if __name__ == "__main__"``.

    Raises:
        ProcessRaisedException, ProcessExitedException: one failed; the others are ended.
        ValueError: there is no such method.

    >>> import framework as torch
    >>> def fill(i, shared):
    ...     shared[i] = 10 * (i + 1)
    >>> shared = torch.zeros(2).share_memory_()
    >>> torch.multiprocessing.spawn(fill, args=(shared,), nprocs=2, start_method="fork")
    >>> shared
    tensor([10., 20.])
    """
    how = _python.get_context(start_method)
    processes: list[_Any] = []
    errors = []
    for i in range(nprocs):
        receiver, sender = how.Pipe(duplex=False)
        process = how.Process(  # type: ignore[attr-defined]
            target=_run, args=(fn, i, args, sender), daemon=daemon
        )
        process.start()
        sender.close()
        processes.append(process)
        errors.append(receiver)
    context = ProcessContext(processes, errors)
    if not join:
        return context
    while not context.join():
        continue
    return None
