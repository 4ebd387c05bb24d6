"""CuPy 13, which has no bfloat16 and types by the values of numbers, on the stand-in for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hosted import COMPILER
from test_strict_device import CREATED, HERE, NUMBERS, PLACES, ROOT, SCANS, strictly

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="g++ is not here")
OLD = "13.6.0"
REMEDY = f"CuPy {OLD} has no bfloat16: pip install -U 'tapebook[cuda12]' (CuPy 14 or newer)"


@needs_compiler
@pytest.mark.parametrize("kind", ["", "float16", "int64", "complex64"])
def test_the_op_table(kind: str) -> None:
    more = [f"--kind={kind}"] if kind else []
    said = strictly("tests/framework/ops/fake_cuda_run.py", "--device", *more, cupy=OLD)
    count, _, total = said.split(" samples")[0].splitlines()[-1].partition(" of ")
    assert count == total and int(count) > 300


@needs_compiler
def test_modules_and_docstrings() -> None:
    assert ", CuPy 13.6.0, driver" in strictly("-m", "tests.cuda", "modules", cupy=OLD)
    strictly("tests/framework/cuda/docstrings_run.py", cupy=OLD)


def _without_bfloat16(code: str) -> str:
    for one, other in (("torch.bfloat16, ", ""), (", torch.bfloat16", "")):
        code = code.replace(one, other)
    assert "bfloat16" not in code
    return code


@needs_compiler
@pytest.mark.parametrize("code", [NUMBERS, PLACES, SCANS, CREATED],
                         ids=["numbers", "places", "scans", "created"])  # fmt: skip
def test_what_the_newer_one_computes(code: str) -> None:
    strictly("-c", _without_bfloat16(code), cupy=OLD)


REFUSED = """
import cupy
import framework as torch
from framework import nn
kind, there = {"dtype": torch.bfloat16, "device": "cuda"}, torch.ones(2, device="cuda")
here, whole = torch.ones(2, dtype=torch.bfloat16), torch.arange(3, device="cuda")
def default():
    torch.set_default_dtype(torch.bfloat16)
    try:
        return whole / 2
    finally:
        torch.set_default_dtype(torch.float32)
calls = {
    "zeros": lambda: torch.zeros(2, **kind), "rand": lambda: torch.rand(2, **kind),
    "full": lambda: torch.full((2,), 1.0, **kind), "arange": lambda: torch.arange(3, **kind),
    "tensor": lambda: torch.tensor([1.0], **kind), "empty": lambda: torch.empty(2, **kind),
    "cuda": lambda: here.cuda(), "to": lambda: there.to(torch.bfloat16),
    "bfloat16": lambda: there.bfloat16(), "view": lambda: there.view(torch.bfloat16),
    "sum": lambda: there.sum(dtype=torch.bfloat16), "new": lambda: there.new_zeros(2, **kind),
    "softmax": lambda: there.softmax(0, dtype=torch.bfloat16), "default": default,
    "module": lambda: nn.Linear(2, 2).cuda().bfloat16(), "promoted": lambda: whole + here[0],
    "autocast": lambda: torch.autocast("cuda", torch.bfloat16),
}
for name, call in calls.items():
    try:
        call()
    except RuntimeError as error:
        print(f"{name}: {error}")
    else:
        print(f"{name} is not refused")
assert not torch.cuda.is_bf16_supported() and not torch.cuda.is_bf16_supported(False)
with torch.autocast("cuda"), torch.device("cuda"):
    assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float16
a = torch.zeros(2, dtype=torch.bfloat16, device="meta").float().bfloat16()
assert a.dtype == torch.bfloat16 and (here + 1).dtype == torch.bfloat16  # where no CuPy is asked
"""


def test_bfloat16_is_refused_where_it_would_be_made() -> None:
    lines = strictly("-c", REFUSED, cupy=OLD).splitlines()
    assert len(lines) == 17
    assert all(REMEDY in line for line in lines), lines


STREAMS = """
import sys, warnings
import framework as torch
warnings.simplefilter("error")
s = torch.cuda.Stream(priority=-1)
with torch.cuda.stream(s):
    x = torch.ones(2, device="cuda") + 1
other = torch.cuda.ExternalStream(64)
assert other.cuda_stream == 64 == other._cupy.ptr and other.query()
assert torch.cuda.Stream().priority == 0 and s.priority == -1
"""


@pytest.mark.parametrize("cupy", [OLD, "14.2.0"])
def test_streams_of_either(cupy: str) -> None:
    strictly("-c", STREAMS, cupy=cupy)


CAPSULES = """
import sys
import framework as torch
asked = []
class Foreign:  # of a library that has both kinds of capsules
    def __dlpack_device__(self):
        return (2, 0)
    def __dlpack__(self, **options):
        asked.append(options)
        raise RuntimeError("enough")
try:
    torch.from_dlpack(Foreign())
except RuntimeError as error:
    assert "enough" in str(error)
print(asked)
"""


def test_capsules_that_it_reads_are_asked_for() -> None:
    assert strictly("-c", CAPSULES, cupy="13.2.0") == "[{'stream': 1}]\n"
    assert strictly("-c", CAPSULES) == "[{'max_version': (1, 0), 'stream': 1}]\n"


BENCH = """
import sys
from benchmarks import cuda, workloads
chosen = {"STEPS": (workloads, "small MLP"), "PRODUCTS": (cuda, "narrow"), "STREAMS": (cuda, "add")}
for name, (module, word) in chosen.items():
    setattr(module, name, {k: v for k, v in getattr(module, name).items() if word in k})
cuda.bandwidth.__defaults__ = (*cuda.bandwidth.__defaults__[:-1], 1 << 18)
sys.exit(cuda.main(["steps", "products", "bandwidth", "--quick"]))
"""


@needs_compiler
def test_the_commands_for_a_gpu_skip_it_and_say_so() -> None:
    said = strictly("-m", "tests.cuda", "products", cupy=OLD).splitlines()
    assert said[-2].startswith("products: ") and "as exact as their types allow" in said[-2]
    skipped = int(said[-1].split()[1])
    assert skipped > 500 and said[-1] == f"products: {skipped} skipped: {REMEDY}"
    said = strictly("-c", BENCH, cupy=OLD).splitlines()
    assert "failed" not in "".join(said)
    assert said[-1] == f"5 measurements were skipped: {REMEDY}", said


ONE_TYPE_EACH = """
import os, sys, pytest
os.environ["TAPEBOOK_TEST_GPU"] = "1"
sys.exit(pytest.main([
    "-q", "-rs", "-p", "no:cacheprovider", "tests/framework/cuda/test_drawing.py"]))
"""


@needs_compiler
def test_kernels_skip_it_with_the_reason() -> None:
    said = strictly("-c", ONE_TYPE_EACH, cupy=OLD)
    skipped = [line for line in said.splitlines() if line.startswith("SKIPPED")]
    assert len(skipped) == 1 and skipped[0].endswith(REMEDY), said  # all entries else were launched


DOCTOR = """
from app import doctor
print(*[line for line in doctor.lines() if line[6:10] in ("cupy", "devi")], sep="\\n")
"""


def test_the_doctor_notes_it() -> None:
    cupy = strictly("-c", DOCTOR, cupy=OLD).splitlines()[1]
    assert cupy == f"note  cupy        {REMEDY}; all else works"
    assert strictly("-c", DOCTOR).splitlines()[1].startswith("ok  ")


def _with_cupy(folder: Path, code: str) -> list[str]:
    """What the doctor says of devices and of a CuPy 13.0.0 that is only this code."""
    (folder / "cupy.py").write_text(code)
    about = folder / "cupy_cuda12x-13.0.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: cupy-cuda12x\nVersion: 13.0.0\n")
    env = {k: v for k, v in os.environ.items() if not k.startswith("TAPEBOOK_")}
    env["PYTHONPATH"] = f"{folder}:{ROOT}"
    done = subprocess.run([sys.executable, "-c", DOCTOR], cwd=HERE, env=env, capture_output=True,
                          text=True)  # fmt: skip
    return done.stdout.splitlines()


def test_a_cupy_that_lacks_a_library_says_which(tmp_path: Path) -> None:
    code = "try: import libnone\nexcept ImportError as e: raise ImportError('===\\nFailed') from e"
    devices, cupy = _with_cupy(tmp_path, code)
    reason = "cannot be imported: No module named 'libnone'"
    assert devices.startswith(f"note  devices     cpu only: CuPy {reason};")
    assert cupy == f"MISS  cupy        CuPy 13.0.0 {reason}"


def test_a_cupy_for_numpy_1_is_named(tmp_path: Path) -> None:
    devices, cupy = _with_cupy(tmp_path, "import numpy\nnumpy.float_\n")
    assert devices.startswith("note  devices     cpu only: CuPy is for NumPy 1: pip install")
    assert cupy.startswith("MISS  cupy        CuPy 13.0.0 is for NumPy 1: pip install")
    assert cupy.endswith("(CuPy 13.2 or newer)")
