"""The one place where the versions are written: Tapebook's, and PyTorch's whose behaviour it has.

``__version__`` begins with PyTorch's, so that programs which ask for "at least 2.0" take the way
that is meant for it; what is behind the plus sign says who answers.
"""

from __future__ import annotations

from typing import Any

__all__ = ["__version__", "tapebook"]

tapebook = "0.1.0"
__version__ = f"2.13.0+tapebook.{tapebook}"

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
