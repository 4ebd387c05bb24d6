"""The ``.cu`` files compiled as C++ (`host.h`): a runner for `framework.kernels.cuda.use`."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import mmap
import os
import subprocess
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
from host_compiler import COMPILER, RACES, shared_library

from framework.device import bfloat16_problem, device
from framework.dtypes import bfloat16
from framework.kernels import cuda, to_device, to_host

__all__ = ["COMPILER", "RACES_WATCHED", "Host", "OnDevice", "launched_by", "library"]


RACES_WATCHED = os.environ.get("TAPEBOOK_TEST_RACES") == "1"  # `make test-races`


@functools.cache
def library(family: str, races: bool) -> ctypes.CDLL:
    """A family's entries; those with a watch for races."""
    made = ctypes.CDLL(str(shared_library(cuda.source(family), *(RACES if races else ("-O2",)))))
    if races:
        made.races_found.restype = ctypes.c_char_p
    return made


@functools.cache
def entries_of(family: str) -> frozenset[str]:
    """What a family's text has to be launched, each type by itself, as its compiler saw it.

    Those for bfloat16 are left out on a device whose CuPy has none.
    """
    names = library(family, RACES_WATCHED).host_entries
    names.restype = ctypes.c_char_p
    found = frozenset(names().decode().split())
    if bfloat16_problem():
        return frozenset(name for name in found if not name.endswith("_bf16"))
    return found


def most_threads(library: ctypes.CDLL, entry: str) -> int:
    """What an entry promises its compiler of the threads of a block."""
    return ctypes.c_int.in_dll(library, f"{entry}_most").value


_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                       ctypes.c_long]  # fmt: skip
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_FILL = 0xA5


class _Guarded:
    """A copy of an array between two pages that nobody may touch: who strays is killed.

    It ends where the second page begins, or up to 15 bytes before, if it is to begin ``even``.
    """

    def __init__(self, array: np.ndarray, even: bool) -> None:
        page = mmap.PAGESIZE
        room = array.nbytes + (-array.nbytes % 16 if even else 0)
        self.array, self.room = array, room
        self.size = (-(-room // page) + 2) * page
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self.base = _libc.mmap(None, self.size, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
        ctypes.memset(self.base, _FILL, self.size)
        for at in (self.base, self.base + self.size - page):
            assert _libc.mprotect(at, page, 0) == 0
        self.start = self.base + self.size - page - room
        ctypes.memmove(self.start, array.ctypes.data, array.nbytes)

    def take_back(self) -> None:
        ctypes.memmove(self.array.ctypes.data, self.start, self.array.nbytes)
        first, end = self.base + mmap.PAGESIZE, self.start + self.array.nbytes
        beside = ctypes.string_at(first, self.start - first)
        beside += ctypes.string_at(end, self.room - self.array.nbytes)
        assert not beside.strip(bytes([_FILL])), "a kernel wrote beside an array"
        _libc.munmap(self.base, self.size)


def _spanned(a: np.ndarray) -> np.ndarray:
    """The memory from a view's first element to its last one."""
    count = sum((n - 1) * s for n, s in zip(a.shape, a.strides)) // a.itemsize + 1
    return np.lib.stride_tricks.as_strided(a, (count,), (a.itemsize,))


def _told(found: str, library: str) -> str:
    """Races in words: each line is what happened, where, by whom, and two places in the code."""
    lines = []
    for line in found.splitlines():
        what, array, at, *threads, one, two = line.split()
        asked = ["addr2line", "-s", "-e", library, *(f"0x{int(c, 16) - 1:x}" for c in (one, two))]
        places = subprocess.run(asked, capture_output=True, text=True).stdout.split("\n")
        where = "shared memory" if array == "-1" else f"byte {at} of array {array}"
        lines.append(
            f"{what}: {where}, by block {threads[0]} thread {threads[1]} at "
            f"{places[0]} and block {threads[2]} thread {threads[3]} at {places[1]}"
        )
    return "\n".join(lines)


class _Littered:
    """NumPy as the launchers see it: in a new array is what no kernel may read (NaN, or -1).

    The system's fresh memory is zeros, a device's is what was there before.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def empty(shape: Any, dtype: Any) -> np.ndarray:
        made = np.empty(shape, dtype)
        made.reshape(-1).view(np.uint8).fill(0xFF)
        return made


class Host:
    """Launches on the host, block by block, on guarded copies of the arrays.

    ``order`` 1 goes through threads and blocks backwards, and leaves arrays uneven, so that they
    are not read 16 bytes at a time. ``launched`` counts the launches by entry. Without
    ``tensor_cores`` it is like a device of capability below 8.0. With ``races`` a launch fails in
    which two threads touch the same byte, one of them writing, without an order between them.
    """

    def __init__(self, order: int = 0, tensor_cores: bool = True, races: bool = False) -> None:
        self.order = order
        self.tensor_cores = tensor_cores
        self.races = races
        self.launched: dict[str, int] = {}

    def __call__(
        self, family: str, entry: str, blocks: int, threads: int, arguments: tuple[Any, ...]
    ) -> None:
        compiled = library(family, self.races)
        most = most_threads(compiled, entry)
        assert 0 < threads <= most and threads % 32 == 0, f"{entry}: {threads} threads of {most}"
        assert 0 < blocks < 1 << 31, (entry, blocks)
        words = (ctypes.c_ulonglong * len(arguments))()
        guarded: dict[int, _Guarded] = {}
        spanned: dict[int, np.ndarray] = {}
        for i, a in enumerate(arguments):
            if a is None:
                words[i] = 0
            elif isinstance(a, np.ndarray):
                if not a.flags.c_contiguous:  # read by its strides: all memory that it spans
                    assert min(a.strides) >= 0 and not a.flags.owndata, (entry, i)
                    a = spanned.setdefault(id(a), _spanned(a))
                if id(a) not in guarded:
                    guarded[id(a)] = _Guarded(a, even=self.order == 0)
                words[i] = guarded[id(a)].start
            else:
                assert isinstance(a, (int, float)) and not isinstance(a, bool), (entry, i, a)
                number = np.float64(a) if isinstance(a, float) else np.int64(a)
                words[i] = int(number.view(np.uint64))
        if self.races:
            compiled.races_begin()
            for i, copy in enumerate(guarded.values()):
                compiled.races_watch(ctypes.c_void_p(copy.start), ctypes.c_longlong(copy.room), i)
        call = getattr(compiled, f"{entry}_host")
        takes = call(ctypes.c_longlong(blocks), ctypes.c_longlong(threads), words,
                     len(arguments), self.order)  # fmt: skip
        assert takes == len(arguments), f"{entry} takes {takes} arguments, got {len(arguments)}"
        found = compiled.races_found().decode() if self.races else ""
        assert not found, f"{entry}: {_told(found, compiled._name)}"
        for copy in guarded.values():
            copy.take_back()
        self.launched[entry] = self.launched.get(entry, 0) + 1

    def there(self, array: Any) -> Any:
        """An array where the kernels are run."""
        return array

    def back(self, array: Any) -> Any:
        """A result as NumPy's."""
        return array


class OnDevice(Host):
    """Launches on the GPU, of CuPy's arrays.

    With ``TAPEBOOK_TEST_POOL=0`` each array gets memory of its own, so that memcheck sees its end.
    """

    def __init__(self) -> None:
        super().__init__()
        if os.environ.get("TAPEBOOK_TEST_POOL") == "0":
            import cupy

            cupy.cuda.set_allocator(None)

    def __call__(
        self, family: str, entry: str, blocks: int, threads: int, arguments: tuple[Any, ...]
    ) -> None:
        cuda.on_device(family, entry, blocks, threads, arguments)
        self.launched[entry] = self.launched.get(entry, 0) + 1

    def there(self, array: Any) -> Any:
        if getattr(array, "dtype", None) == bfloat16.numpy and (problem := bfloat16_problem()):
            import pytest

            pytest.skip(problem)
        return to_device(array, device("cuda", 0))

    def back(self, array: Any) -> Any:
        return to_host(array)


@contextlib.contextmanager
def launched_by(host: Host) -> Iterator[Host]:
    """Within, kernels of our own are launched by ``host``."""
    before = cuda.use(host)
    try:
        with mock.patch.object(cuda, "np", np if isinstance(host, OnDevice) else _Littered()):
            yield host
    finally:
        cuda.use(before)
