"""The one place where the version is written."""

from __future__ import annotations

from typing import Any

__all__ = ["__version__"]

__version__ = "0.1.0"

debug = False
hip = rocm = xpu = git_version = None


def __getattr__(name: str) -> Any:
    """``cuda``: the version of CUDA that CuPy has, such as "12.4"; None without a GPU."""
    if name != "cuda":
        raise AttributeError(f"module 'framework.version' has no attribute {name!r}")
    from framework.cuda.devices import real

    cupy = real()
    if cupy is None:
        return None
    number = cupy.cuda.runtime.runtimeGetVersion()
    return f"{number // 1000}.{number % 1000 // 10}"
