"""`tapebook doctor`: what this machine has, one line each, and what to do about what is missing.

A line begins with "ok", with "note" (something is not there that one can do without) or with "MISS"
(something is wrong that one needs): the command's exit status is 1 if there is such a line.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import locale
import os
import platform
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["BAD", "lines"]

OK, NOTE, BAD = "ok  ", "note", "MISS"  # words, not colours: they are read by people and scripts


def lines() -> Iterator[str]:
    """The report, line by line; a check that fails is a line, too."""
    for name, check in CHECKS.items():
        try:
            state, text = check()
        except Exception as error:  # a check that fails is a finding
            state, text = BAD, f"{type(error).__name__}: {error}"
        yield f"{state}  {name:<11} {text}"


def _python() -> tuple[str, str]:
    return OK, f"{platform.python_version()} at {sys.executable} on {platform.platform()}"


def _framework() -> tuple[str, str]:
    import numpy

    import framework

    count = os.cpu_count()
    own = framework.version.tapebook
    return OK, f"tapebook {own}, NumPy {numpy.__version__}, {count} processors"


def _blas() -> tuple[str, str]:
    import numpy

    found: Any = numpy.show_config(mode="dicts")
    blas = found.get("Build Dependencies", {}).get("blas", {})
    if not blas.get("name"):
        return NOTE, "NumPy does not say which BLAS it has: products of matrices may be slow"
    return OK, f"{blas['name']} {blas.get('version', '')} for products of matrices"


def _numba() -> tuple[str, str]:
    from framework.kernels import compiled

    try:
        version = importlib.metadata.version("numba")
    except importlib.metadata.PackageNotFoundError:
        return NOTE, "not installed: large arrays take longer (pip install 'tapebook[fast]')"
    if os.environ.get("TAPEBOOK_NUMBA") == "0":
        return NOTE, f"Numba {version} is not used: TAPEBOOK_NUMBA=0 is set"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if compiled.family("elementary") is None:
            reason = str(said[-1].message).partition(":")[0] if said else "it cannot be loaded"
            return NOTE, f"Numba {version}: {reason}; NumPy computes, which takes longer"
    return OK, f"Numba {version} compiles kernels for large arrays"


def _devices() -> tuple[str, str]:
    from framework import cuda
    from framework.device import cuda_problem, device_count, is_fake_cuda

    problem = cuda_problem()
    if importlib.util.find_spec("cupy") is None and not is_fake_cuda():
        problem = "there is no CuPy"  # the line below says what to do about that
    if problem:
        return NOTE, f"cpu only: {problem}; TAPEBOOK_FAKE_CUDA=1 tries cuda without a GPU"
    count = device_count()
    devices = "CUDA device" + "s" * (count != 1)
    if is_fake_cuda():
        return OK, (
            f"cpu and {count} fake {devices}: NumPy under that name (TAPEBOOK_FAKE_CUDA={count})"
        )
    found = cuda.get_device_properties(0)
    free, total = (n / 2**30 for n in cuda.mem_get_info(0))
    return OK, (
        f"cpu and {count} {devices}: {found.name}, capability "
        f"{found.major}.{found.minor}, {free:.0f} of {total:.0f} GiB free"
    )


def _cupy() -> tuple[str, str]:
    if importlib.util.find_spec("cupy") is None:
        return NOTE, "not installed; for an NVIDIA GPU: pip install 'tapebook[cuda12]'"
    version = next(
        (
            d.version
            for d in importlib.metadata.distributions()
            if (d.metadata["Name"] or "").startswith("cupy")
        ),
        "of unknown version",
    )
    from framework.cuda.devices import driver_version
    from framework.device import bfloat16_problem, cuda_problem, first_words

    if (problem := cuda_problem()).startswith(("CuPy is for NumPy 1", "CuPy cannot be imported")):
        return BAD, problem.replace("CuPy", f"CuPy {version}", 1)
    try:
        driver = driver_version()
    except Exception as error:  # CuPy raises its own type for each broken part of a CUDA install
        return NOTE, f"CuPy {version} has no driver to use: {first_words(error)}"
    if not driver:
        return NOTE, f"CuPy {version}, but there is no NVIDIA driver"
    if problem := bfloat16_problem():
        return NOTE, f"{problem}; all else works"
    return OK, f"CuPy {version}, driver for CUDA {driver // 1000}.{driver % 1000 // 10}"


def _libraries() -> tuple[str, str]:
    from framework import cuda

    cupy = cuda.devices.real()
    if cupy is None:
        return NOTE, "cuBLAS, cuSOLVER, cuFFT and NVRTC are tried on an NVIDIA GPU only"
    if failed := cuda.devices.libraries():
        said = "; ".join(f"{name}: {why}" for name, why in failed.items())
        return BAD, f"{said} ({_toolkit(cupy)})"
    return OK, "cuBLAS, cuSOLVER, cuFFT and NVRTC work"


def _toolkit(cupy: Any) -> str:
    """How to come by CUDA's libraries: CuPy 13 looks for none of pip's."""
    if int(cupy.__version__.partition(".")[0]) < 14:
        return "install the CUDA toolkit and set CUDA_PATH, or CuPy 14 or newer"
    return f"pip install 'cupy-cuda{cupy.cuda.runtime.runtimeGetVersion() // 1000}x[ctk]'"


def _cudnn() -> tuple[str, str]:
    from framework.kernels.cuda import cudnn

    if problem := cudnn.missing():
        return NOTE, f"{problem}; convolutions on NVIDIA GPUs are by kernels of our own"
    number = cudnn.version() or 0
    found = f"cuDNN {number // 10000}.{number // 100 % 100}.{number % 100}"
    return OK, f"{found} for convolutions on NVIDIA GPUs"


def _sanitizer() -> tuple[str, str]:
    program = shutil.which("compute-sanitizer")
    if program is None:
        return NOTE, "compute-sanitizer is not on the PATH: make test-cuda-memcheck needs it"
    return OK, f"compute-sanitizer at {program}"


def _nvrtc() -> tuple[str, str]:
    from framework.kernels.cuda import nvrtc

    if found := nvrtc.version():
        return OK, f"NVRTC {found} compiles kernels for NVIDIA GPUs"
    return NOTE, (
        "NVRTC is not here: kernels for NVIDIA GPUs cannot be compiled "
        "(pip install nvidia-cuda-nvrtc-cu12)"
    )


def _graphviz() -> tuple[str, str]:
    program = shutil.which("dot")
    if program is None:
        return NOTE, (
            "dot is not on the PATH: pictures have the built-in layout, export --engine dot "
            "cannot be had (apt install graphviz)"
        )
    said = subprocess.run([program, "-V"], capture_output=True, text=True, timeout=10)
    version = (said.stderr or said.stdout).strip().splitlines() or ["dot"]
    return OK, f"{version[0]} at {program}"


def _matplotlib() -> tuple[str, str]:
    try:
        return OK, f"matplotlib {importlib.metadata.version('matplotlib')}"
    except importlib.metadata.PackageNotFoundError:
        return NOTE, "matplotlib is not installed: cells cannot plot (pip install matplotlib)"


def _pytorch() -> tuple[str, str]:
    try:
        return OK, f"PyTorch {importlib.metadata.version('torch')}, for comparisons only"
    except importlib.metadata.PackageNotFoundError:
        return (
            NOTE,
            "not installed, nor needed: make conformance and make bench compare with it",
        )


def _terminal() -> tuple[str, str]:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return NOTE, "this is no terminal; the screen needs one, tapebook run does not"
    size = shutil.get_terminal_size()
    term = os.environ.get("TERM", "")
    if term in ("", "dumb"):
        return BAD, f"TERM={term or '(not set)'} cannot draw a screen: use another terminal"
    text = f"{term}, {size.columns}x{size.lines}, {_colours()}"
    if size.columns < 80 or size.lines < 24:
        return NOTE, f"{text}; small: 80x24 shows more"
    return OK, text


def _colours() -> str:
    if os.environ.get("NO_COLOR"):
        return "no colours (NO_COLOR)"
    if os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return "true colour"
    return "256 colours" if "256" in os.environ.get("TERM", "") else "16 colours"


def _unicode() -> tuple[str, str]:
    encoding = (getattr(sys.stdout, "encoding", "") or locale.getpreferredencoding()).lower()
    if encoding.replace("-", "") == "utf8":
        return OK, "UTF-8: ▁▂▃▄▅▆▇█ ─│╭╮╰╯ ▶ ●"
    return NOTE, f"the output is {encoding}: set LC_ALL=C.UTF-8 for drawings"


def _runtime() -> tuple[str, str]:
    from framework.trace.session import SessionError, runtime_dir, sessions

    try:
        path = runtime_dir()
        return OK, f"sessions are in {path}: {len(sessions())} running"
    except SessionError as error:
        return BAD, str(error)


CHECKS: dict[str, Callable[[], tuple[str, str]]] = {
    "python": _python,
    "framework": _framework,
    "blas": _blas,
    "numba": _numba,
    "devices": _devices,
    "cupy": _cupy,
    "libraries": _libraries,
    "cudnn": _cudnn,
    "nvrtc": _nvrtc,
    "sanitizer": _sanitizer,
    "graphviz": _graphviz,
    "matplotlib": _matplotlib,
    "pytorch": _pytorch,
    "terminal": _terminal,
    "unicode": _unicode,
    "runtime": _runtime,
}
