"""The ``.cu`` files compiled for devices that are not here: by NVRTC, or else by nvcc."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import importlib.util
import shutil
import subprocess
import tempfile
from pathlib import Path

__all__ = ["CAPABILITIES", "compile_for", "known", "reason"]

CAPABILITIES = (70, 80, 89, 90)
_OPTIONS = ["-std=c++17"]
_OLD = "Architectures prior to"  # a warning that one asks for with 7.0


@functools.cache
def _nvrtc() -> ctypes.CDLL | None:
    """NVRTC from one of its packages, or of the system."""
    for package in ("nvidia.cuda_nvrtc", "nvidia.cu13", "nvidia.cu12"):
        try:
            spec = importlib.util.find_spec(package)
        except ModuleNotFoundError:
            continue
        for folder in spec.submodule_search_locations or () if spec else ():
            for path in sorted(Path(folder, "lib").glob("libnvrtc.so.*")):
                return ctypes.CDLL(str(path))
    found = ctypes.util.find_library("nvrtc")
    return ctypes.CDLL(found) if found else None


@functools.cache
def _nvcc() -> str | None:
    return shutil.which("nvcc")


@functools.cache
def known() -> tuple[int, ...]:
    """The capabilities that the compiler at hand knows; none if there is none."""
    if nvrtc := _nvrtc():
        count = ctypes.c_int()
        assert nvrtc.nvrtcGetNumSupportedArchs(ctypes.byref(count)) == 0
        found = (ctypes.c_int * count.value)()
        assert nvrtc.nvrtcGetSupportedArchs(found) == 0
        return tuple(found)
    if nvcc := _nvcc():
        done = subprocess.run([nvcc, "--list-gpu-arch"], capture_output=True, text=True)
        return tuple(int(line.rpartition("_")[2]) for line in done.stdout.split())
    return ()


def reason(capability: int) -> str:
    """Why one cannot compile for a capability here; empty if one can."""
    if not known():
        return "neither NVRTC (pip install nvidia-cuda-nvrtc-cu12) nor nvcc is here"
    if capability not in known():
        return f"the CUDA compiler here knows no capability {capability / 10}"
    return ""


def compile_for(capability: int, name: str, source: str) -> bytes:
    """The machine code; AssertionError with the compiler's words if it has any to say."""
    if nvrtc := _nvrtc():
        return _by_nvrtc(nvrtc, capability, name, source)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_text(source)
        options = [*_OPTIONS, "-Werror", "all-warnings", f"-arch=sm_{capability}", "-cubin"]
        out = path.with_suffix(".cubin")
        done = subprocess.run([_nvcc() or "nvcc", *options, str(path), "-o", str(out)],
                              capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0 and not done.stderr, done.stderr
        return out.read_bytes()


def _by_nvrtc(nvrtc: ctypes.CDLL, capability: int, name: str, source: str) -> bytes:
    program = ctypes.c_void_p()
    made = nvrtc.nvrtcCreateProgram(
        ctypes.byref(program), source.encode(), name.encode(), 0, None, None
    )
    assert made == 0, made
    options = [o.encode() for o in (*_OPTIONS, f"-arch=sm_{capability}")]
    given = (ctypes.c_char_p * len(options))(*options)
    try:
        done = nvrtc.nvrtcCompileProgram(program, len(options), given)
        size = ctypes.c_size_t()
        nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetProgramLog(program, log)
        said = [line for line in log.value.decode().splitlines() if line and _OLD not in line]
        assert done == 0 and not said, "\n".join(said)
        assert nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size)) == 0
        code = ctypes.create_string_buffer(size.value)
        assert nvrtc.nvrtcGetCUBIN(program, code) == 0
        return code.raw
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
