"""Threads that look for work for a while before they sleep.

Kernels take 20 µs and more; waking a thread takes up to 100. So a thread that has worked looks for
more during some hundred µs, outside of the interpreter's lock. Work is handed out with that lock,
and whoever hands it out looks whether somebody must be woken.
"""

from __future__ import annotations

import contextlib
import platform
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from framework import processors
from framework.kernels.compiled.elementary import FAST

__all__ = ["Crew"]

_SPINS = 1 << 13  # of some 40 ns each
_PAUSE = 64  # so that who handed out work leaves the interpreter's lock, before others want it
_NAP = 20e-6  # s; of who waits for a thread that has no processor, after so many looks:
_LOOKS = 1 << 11
_POSTED, _DONE, _FIELDS = 0, 8, 16  # numbers of the last work given and done, in lines of their own

_intrinsic: Any = intrinsic  # called without the context, which mypy does not know
_X86 = platform.machine().lower() in ("x86_64", "amd64", "i686")


@_intrinsic
def _read(context, address):
    """The int64 at an address, as other threads have written it."""

    def generate(context, builder, signature, args):
        pointer = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        if _X86:
            kind = ir.FunctionType(ir.VoidType(), [])
            pause = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause")
            builder.call(pause, [])
        return builder.load_atomic(pointer, "acquire", 8)

    return types.int64(types.int64), generate


@_intrinsic
def _write(context, address, number):
    """Write an int64, after all that was written before."""

    def generate(context, builder, signature, args):
        pointer = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        builder.store_atomic(args[1], pointer, "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@njit(**FAST)
def _await(address, number, spins):
    """Whether the number at an address becomes another one than ``number`` within so many looks."""
    for _ in range(spins):
        if _read(address) != number:
            for _ in range(_PAUSE):
                _read(address)
            return True
    return False


@njit(**FAST)
def _report_and_await(done, posted, number, spins):
    """Write that work ``number`` is done, and `_await` the next."""
    _write(done, number)
    return _await(posted, number, spins)


class _Hand:
    """One thread, and what it is told."""

    def __init__(self, name: str, spins: int) -> None:
        self.spins = spins
        self.numbers = np.zeros(_FIELDS, np.int64)
        address = self.numbers.ctypes.data
        self.posted, self.done = address + 8 * _POSTED, address + 8 * _DONE
        self.work: tuple[Any, ...] | None = None
        self.error: BaseException | None = None
        self.asleep = self.over = False
        self.bell = threading.Lock()
        self.bell.acquire()
        self.thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self.thread.start()

    def give(self, call: Callable[..., None], *args: Any) -> None:
        self.work = call, args
        self.numbers[_POSTED] += 1
        self.wake()

    def wake(self) -> None:
        if self.asleep:
            with contextlib.suppress(RuntimeError):  # it rings already
                self.bell.release()

    def finish(self) -> BaseException | None:
        """Wait until the work that was given is done; what it, or somebody meanwhile, raised."""
        number, error = int(self.numbers[_POSTED]), None
        while self.numbers[_DONE] != number:
            try:
                if not _await(self.done, number - 1, min(_LOOKS, self.spins)):
                    time.sleep(_NAP)
            except BaseException as interrupt:  # the arrays are in use: it has to wait
                error = interrupt
        error, self.error = self.error or error, None
        return error

    def _serve(self) -> None:
        number = 0
        while not self.over:
            if not _report_and_await(self.done, self.posted, number, self.spins):
                self.asleep = True  # before the last look: who gives work looks at this afterwards
                if self.numbers[_POSTED] == number and not self.over:
                    self.bell.acquire()
                self.asleep = False
                continue
            number += 1
            call, args = self.work or (None, ())
            self.work = None
            try:
                if call is not None:
                    call(*args)
            except BaseException as error:
                self.error = error
            del call, args


class Crew:
    """Threads that work for one caller at a time."""

    def __init__(self, count: int, name: str) -> None:
        self.over = False
        self.lock = threading.Lock()
        spins = _SPINS if count < processors.count() else 1  # else they take the others' processors
        self.hands = [_Hand(f"{name}_{i}", spins) for i in range(count)]

    def run(self, call: Callable[..., None], args: tuple[Any, ...], bounds: list[int]) -> bool:
        """``call(*args, a, b)`` for each range between neighbouring bounds; False: it is busy."""
        if not self.lock.acquire(blocking=False):
            return False
        try:
            if self.over:
                return False
            given = self.hands[: len(bounds) - 2]
            for hand, a, b in zip(given, bounds[1:], bounds[2:]):
                hand.give(call, *args, a, b)
            try:
                call(*args, bounds[0], bounds[1])
            finally:
                errors = [hand.finish() for hand in given]
            for error in errors:
                if error is not None:
                    raise error
            return True
        finally:
            self.lock.release()

    def stop(self) -> None:
        """Send all home, after what they do; they are gone when this returns."""
        with self.lock:
            self.over = True
            for hand in self.hands:
                hand.over = True
                hand.numbers[_POSTED] += 1
                hand.wake()
        for hand in self.hands:
            if hand.thread is not threading.current_thread():
                hand.thread.join()
