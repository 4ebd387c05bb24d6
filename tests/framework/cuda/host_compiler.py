"""Kernels compiled as C++ for the host (`host.h`), each text once for all tests and processes.

What is made is kept in ``build/host-kernels`` of the checkout, by the text, the flags and the
compiler: who comes second, also another day, takes it from there. `make clean` removes it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
from pathlib import Path

__all__ = ["COMPILER", "RACES", "shared_library"]

COMPILER = shutil.which("g++")
_HEADER = Path(__file__).with_name("host.h")
_FOLDER = Path(__file__).parents[3] / "build" / "host-kernels"
_FLAGS = ["-std=c++17", "-fPIC", "-shared", "-ffp-contract=off", "-fno-strict-aliasing",
          "-Wall", "-Wno-unknown-pragmas", "-Wno-unused", "-U_FORTIFY_SOURCE"]  # fmt: skip
# A library that also watches for races (`races.cpp`). Names are its own: the compiler would let
# libraries share what templates keep.
RACES = ("-O2", "-g1", "-DHOST_RACES", "-fsanitize=thread", "-fno-gnu-unique",
         "-fno-threadsafe-statics")  # fmt: skip
_WATCH = Path(__file__).with_name("races.cpp")


def _compiled(*command: str) -> None:
    done = subprocess.run([str(COMPILER), *command], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr


def shared_library(code: str, *flags: str) -> Path:
    """The library with a text's entries, each as NAME_host(blocks, threads, words, count, order).

    AssertionError with the compiler's words for an error or a warning.
    """
    assert COMPILER is not None, "g++ is not here"
    text = f'#include "{_HEADER}"\n{code}'
    known = os.stat(COMPILER)
    read = [p.read_text() for p in (_HEADER, _WATCH, _WATCH.with_suffix(".h"))]
    parts = (text, *read, *_FLAGS, *flags, platform.machine(), str(known.st_mtime),
             str(known.st_size))  # fmt: skip
    base = _FOLDER / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
    made = base.with_suffix(".so")
    if made.exists():
        return made
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with open(base.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # who wants the same waits for the first
        if not made.exists():
            source, out = base.with_suffix(".cpp"), base.with_suffix(".tmp")
            source.write_text(text)
            if flags == RACES:  # the watch is compiled without the calls to it, and linked so
                parts_of = str(base.with_suffix(".o"))
                _compiled(*_FLAGS, *flags, "-c", str(source), "-o", parts_of)
                _compiled(*_FLAGS, "-O2", parts_of, str(_WATCH), "-o", str(out))
                Path(parts_of).unlink()
            else:
                _compiled(*_FLAGS, *flags, str(source), "-o", str(out))
            out.replace(made)
    return made
