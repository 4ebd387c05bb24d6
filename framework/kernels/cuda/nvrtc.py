"""Where CUDA's compiler at run time is: for `tapebook doctor` and the tests. CuPy looks itself."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import importlib.util
from pathlib import Path

__all__ = ["library", "version"]

_PACKAGES = ("nvidia.cuda_nvrtc", "nvidia.cu13", "nvidia.cu12")


@functools.cache
def library() -> ctypes.CDLL | None:
    """NVRTC of one of its packages, or of the system; None if there is none that can be loaded."""
    for path in _paths():
        try:
            return ctypes.CDLL(path)
        except OSError:
            continue
    return None


def _paths() -> list[str]:
    found: list[str] = []
    for package in _PACKAGES:
        try:
            spec = importlib.util.find_spec(package)
        except ModuleNotFoundError:
            continue
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            found += map(str, sorted(Path(folder, "lib").glob("libnvrtc.so.*")))
    system = ctypes.util.find_library("nvrtc")
    return [*found, system] if system else found


def version() -> str:
    """Its version, "12.9"; empty without one."""
    nvrtc = library()
    if nvrtc is None:
        return ""
    major, minor = ctypes.c_int(), ctypes.c_int()
    nvrtc.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    return f"{major.value}.{minor.value}"
