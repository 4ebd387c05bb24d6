"""`make test-cuda`: what needs a GPU, in one command; also what looks for races, without one.

python -m tests.cuda                       everything
python -m tests.cuda ops modules           parts
python -m tests.cuda ops --slice 2/4       every fourth op, from the second on: where time is short
python -m tests.cuda --memcheck            the kernels of our own under compute-sanitizer
python -m tests.cuda --races               the kernels on the host, watched for races; needs no GPU
python -m tests.cuda --rehearse            on the fake device, to see that the tests themselves work

What CuPy compiles is kept in build/cupy-kernels, unless CUPY_CACHE_DIR says where: the first run of
the op table compiles for minutes.

Exit status: 0 all agree, 1 something does not, 3 nothing was tested: there is no GPU (no compiler,
no sanitizer; one line says why).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from framework.device import cuda_problem, is_fake_cuda

ROOT = Path(__file__).parents[2]
NO_GPU = 3
# The tests that launch kernels of our own, wherever they are run.
_FILES = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "tests" / "framework" / "cuda").glob("test_*.py")
    if "host: Host" in path.read_text()
)
_KERNELS = ["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-p", "no:xdist", *_FILES]
PARTS = {
    "kernels": _KERNELS,
    "ops": ["tests/framework/ops/fake_cuda_run.py", "--device"],
    "halves": ["-c", "import sys; from tests.cuda import halves; sys.exit(halves.main())"],
    "modules": ["-c", "import sys; from tests.cuda import modules; sys.exit(modules.main())"],
    "products": ["-c", "import sys; from tests.cuda import products; sys.exit(products.main())"],
    "examples": ["-c", "import sys; from tests.cuda import examples; sys.exit(examples.main())"],
}


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.cuda", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--memcheck", action="store_true", help="the kernels, by compute-sanitizer")
    parser.add_argument("--races", action="store_true", help="the kernels on the host, watched")
    parser.add_argument("--rehearse", action="store_true", help="on the fake device, no kernels")
    parser.add_argument("--slice", metavar="K/N", default="1/1", help="of the ops: every N-th")
    options = parser.parse_args(words)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown part {min(unknown)!r}; choose from {', '.join(PARTS)}")
    if not re.fullmatch(r"[1-9]\d*/[1-9]\d*", options.slice):
        parser.error(f"--slice: expected two numbers such as 2/4, but got {options.slice!r}")
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    environment.setdefault("CUPY_CACHE_DIR", str(ROOT / "build" / "cupy-kernels"))
    if options.races:
        return _races(environment)
    parts = options.parts or list(PARTS)
    if options.rehearse:
        environment["TAPEBOOK_FAKE_CUDA"] = "1"
        parts = [p for p in parts if p != "kernels"]
    else:
        problem = "TAPEBOOK_FAKE_CUDA is set" if is_fake_cuda() else cuda_problem()
        if problem:
            return _nothing(problem)
        environment["TAPEBOOK_TEST_GPU"] = "1"
        print(_device(), flush=True)
    if options.memcheck:
        return _memcheck(environment)
    status = 0
    for part in parts:
        print(f"-- {part}", flush=True)
        more = [f"--slice={options.slice}"] if part == "ops" else []
        done = subprocess.run([sys.executable, *PARTS[part], *more], cwd=ROOT, env=environment)
        status |= done.returncode != 0
    return int(status)


def _memcheck(environment: dict[str, str]) -> int:
    program = shutil.which("compute-sanitizer")
    if program is None:
        return _nothing("compute-sanitizer is not on the PATH (it comes with the CUDA toolkit)")
    environment["TAPEBOOK_TEST_POOL"] = "0"
    command = [program, "--tool", "memcheck", "--error-exitcode", "9", sys.executable, *_KERNELS]
    return int(subprocess.run(command, cwd=ROOT, env=environment).returncode != 0)


def _races(environment: dict[str, str]) -> int:
    if shutil.which("g++") is None:
        return _nothing("g++ is not on the PATH")
    environment["TAPEBOOK_TEST_RACES"] = "1"
    # A file's tests stay together: its last one asks what the others have launched.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "3",
               "--dist", "loadfile", "--no-loadscope-reorder", *_FILES]  # fmt: skip
    return int(subprocess.run(command, cwd=ROOT, env=environment).returncode != 0)


def _nothing(problem: str) -> int:
    print(f"tests.cuda: nothing was tested: {problem}", file=sys.stderr)
    return NO_GPU


def _device() -> str:
    import cupy

    from framework import cuda

    found = cuda.get_device_properties(0)
    return (
        f"{found.name}, capability {found.major}.{found.minor}, CuPy {cupy.__version__}, driver "
        f"for CUDA {cupy.cuda.runtime.driverGetVersion()}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
