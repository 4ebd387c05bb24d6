"""What the figures were measured with: versions, the BLAS and its core type, threads.

OpenBLAS chooses its kernels by the processor, or by ``OPENBLAS_CORETYPE``; which ones are at work
is asked of the libraries that are loaded.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import scipy.linalg  # its BLAS is loaded with it

import framework

__all__ = ["Blas", "blas_libraries", "facts", "pytorch", "set_threads"]

# Of the wheels of NumPy and SciPy, of distributions, and of builds with 64-bit integers.
_NAMES = [prefix + "openblas_{}" + suffix for prefix in ("scipy_", "") for suffix in ("64_", "")]
_THREADS = (
    "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_CORETYPE",
    "OPENBLAS_THREAD_TIMEOUT",
)  # fmt: skip


@dataclass(frozen=True)
class Blas:
    """One OpenBLAS that this process has loaded."""

    path: Path
    name: str  # of its functions, with a place for what they do
    library: Any

    def ask(self, what: str, kind: Any) -> Any:
        function = getattr(self.library, self.name.format(what))
        function.restype = kind
        return function()

    @property
    def core(self) -> str:
        return str(self.ask("get_corename", ctypes.c_char_p).decode())

    @property
    def version(self) -> str:
        return str(self.ask("get_config", ctypes.c_char_p).decode().split()[1])

    @property
    def threads(self) -> int:
        return int(self.ask("get_num_threads", ctypes.c_int))

    def set_threads(self, count: int) -> None:
        getattr(self.library, self.name.format("set_num_threads"))(ctypes.c_int(count))

    @property
    def owner(self) -> str:
        """Whose library it is: the package that it lies beside."""
        return next((p for p in ("numpy", "scipy") if f"/{p}.libs/" in str(self.path)), "")


def blas_libraries() -> list[Blas]:
    """Each OpenBLAS that is loaded; empty where the maps of a process cannot be read."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
        paths = sorted({line.split(maxsplit=5)[-1] for line in lines if "openblas" in line})
        return [blas for path in paths if (blas := _opened(path)) is not None]
    return []


def _opened(path: str) -> Blas | None:
    library = ctypes.CDLL(path)
    for name in _NAMES:
        if hasattr(library, name.format("get_corename")):
            return Blas(Path(path), name, library)
    return None


def pytorch() -> Any:
    """The module torch, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    return torch


def set_threads(count: int) -> None:
    """Let both sides compute with this many threads."""
    framework.set_num_threads(count)
    for blas in blas_libraries():
        blas.set_threads(count)
    if (torch := pytorch()) is not None:
        torch.set_num_threads(count)


def facts() -> list[str]:
    """Lines that say what was measured with."""
    lines = [
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()} ({_processor()}), "
        f"{os.cpu_count()} processors, load {_load()} when it began",
        f"CPython {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}",
    ]
    for blas in blas_libraries():
        lines.append(
            f"OpenBLAS {blas.version}{' of ' + blas.owner if blas.owner else ''}: core type "
            f"{blas.core}, {blas.threads} threads"
        )
    torch = pytorch()
    if torch is None:
        lines.append("PyTorch is not installed: no ratios")
    else:
        lines.append(
            f"PyTorch {torch.__version__}: {torch.backends.cpu.get_cpu_capability()}, "
            f"{'MKL, ' if torch.backends.mkl.is_available() else ''}{torch.get_num_threads()} "
            "threads"
        )
    told = [f"{name}={os.environ[name]}" for name in _THREADS if name in os.environ]
    lines.append("environment: " + (", ".join(told) or "nothing set for BLAS or threads"))
    return lines


def _processor() -> str:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line for line in lines if "model name" in line).partition(":")[2].strip()
    return platform.processor() or "unknown"


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
