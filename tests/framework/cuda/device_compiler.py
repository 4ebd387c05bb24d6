"""The ``.cu`` files compiled for devices that are not here: by NVRTC, or else by nvcc."""

from __future__ import annotations

import ctypes
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from framework.kernels.cuda import nvrtc

__all__ = ["CAPABILITIES", "compile_for", "reason"]

CAPABILITIES = (70, 80, 89, 90)
_MACHINE_CODE = (70, 90)  # else PTX, which takes half the time
_OPTIONS = ["-std=c++17"]
_CUPYS = ["--device-as-default-execution-space", "-ftz=true"]  # what CuPy adds
_OLD = "Architectures prior to"  # a warning that one asks for with 7.0


@functools.cache
def _nvcc() -> str | None:
    return shutil.which("nvcc")


@functools.cache
def _known() -> tuple[int, ...]:
    """The capabilities that the compiler at hand knows; none if there is none."""
    if library := nvrtc.library():
        count = ctypes.c_int()
        assert library.nvrtcGetNumSupportedArchs(ctypes.byref(count)) == 0
        found = (ctypes.c_int * count.value)()
        assert library.nvrtcGetSupportedArchs(found) == 0
        return tuple(found)
    if nvcc := _nvcc():
        done = subprocess.run([nvcc, "--list-gpu-arch"], capture_output=True, text=True)
        return tuple(int(line.rpartition("_")[2]) for line in done.stdout.split())
    return ()


def reason(capability: int) -> str:
    """Why one cannot compile for a capability here; empty if one can."""
    if not _known():
        return "neither NVRTC (pip install nvidia-cuda-nvrtc-cu12) nor nvcc is here"
    if capability not in _known():
        return f"the CUDA compiler here knows no capability {capability / 10}"
    return ""


def compile_for(capability: int, name: str, source: str) -> tuple[str, bytes]:
    """PTX, and machine code where NVRTC compiles for the oldest and the newest capability.

    AssertionError with the compiler's words.
    """
    if library := nvrtc.library():
        return _by_nvrtc(library, capability, name, source)
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder, name), Path(folder, "out.ptx")
        path.write_text(source)
        command = [_nvcc() or "nvcc", *_OPTIONS, "-Werror", "all-warnings", "-ptx",
                   f"-arch=sm_{capability}", str(path), "-o", str(out)]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0 and not done.stderr, done.stderr
        return out.read_text(), b""


def _by_nvrtc(library: Any, capability: int, name: str, source: str) -> tuple[str, bytes]:
    program = ctypes.c_void_p()
    made = library.nvrtcCreateProgram(
        ctypes.byref(program), source.encode(), name.encode(), 0, None, None
    )
    assert made == 0, made
    kind = "sm" if capability in _MACHINE_CODE else "compute"
    options = [o.encode() for o in (*_OPTIONS, *_CUPYS, f"-arch={kind}_{capability}")]
    given = (ctypes.c_char_p * len(options))(*options)
    try:
        done = library.nvrtcCompileProgram(program, len(options), given)
        size = ctypes.c_size_t()
        library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        library.nvrtcGetProgramLog(program, log)
        said = [line for line in log.value.decode().splitlines() if line and _OLD not in line]
        assert done == 0 and not said, "\n".join(said)
        text = _made(library, program, "PTX").decode()
        return text, _made(library, program, "CUBIN") if kind == "sm" else b""
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


def _made(library: Any, program: ctypes.c_void_p, form: str) -> bytes:
    size = ctypes.c_size_t()
    assert getattr(library, f"nvrtcGet{form}Size")(program, ctypes.byref(size)) == 0
    made = ctypes.create_string_buffer(size.value)
    assert getattr(library, f"nvrtcGet{form}")(program, made) == 0
    return made.raw
