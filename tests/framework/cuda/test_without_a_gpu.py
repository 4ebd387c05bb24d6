"""The commands for a GPU where there is none: they say so, and their own tests can be rehearsed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hosted import COMPILER

from framework.device import cuda_problem

ROOT = Path(__file__).parents[3]


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run([sys.executable, *words], cwd=ROOT, env=env, capture_output=True,
                          text=True)  # fmt: skip


@pytest.mark.skipif(not cuda_problem(), reason="this machine has a CUDA device")
@pytest.mark.parametrize(
    "words", [["tests.cuda"], ["tests.cuda", "--memcheck"], ["benchmarks.cuda", "--quick"]]
)
def test_one_line_says_that_there_is_no_gpu(words: list[str]) -> None:
    done = run("-m", *words)
    assert done.returncode == 3 and done.stdout == ""
    assert done.stderr.startswith(f"{words[0]}: nothing was ") and done.stderr.count("\n") == 1


def test_the_fake_device_is_no_gpu() -> None:
    done = run("-m", "tests.cuda", TAPEBOOK_FAKE_CUDA="1")
    assert done.returncode == 3 and "TAPEBOOK_FAKE_CUDA is set" in done.stderr


def test_an_unknown_part_is_refused() -> None:
    done = run("-m", "tests.cuda", "everything")
    assert done.returncode == 2 and "unknown part 'everything'; choose from" in done.stderr


MODULES = """
import sys
from hosted import Host
from framework.kernels import cuda
from tests.cuda import modules
host = Host()
cuda.use(host)
status = modules.main()
print(*sorted(host.launched))
sys.exit(status)
"""


def test_the_module_table_with_kernels_on_the_host() -> None:
    if COMPILER is None:
        pytest.skip("g++ is not here")
    path = f"{ROOT}:{Path(__file__).parent}"
    done = run("-c", MODULES, TAPEBOOK_FAKE_CUDA="1", PYTHONPATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    launched = done.stdout.splitlines()[-1].split()
    assert {"lstm_f32", "gru_backward_f32", "channel_norm_f32", "dropout_f32"} <= set(launched)


BENCH = """
from benchmarks import cuda, workloads
from benchmarks.ops import OPS
workloads.place = "cuda"
workloads.STEPS = {k: v for k, v in workloads.STEPS.items() if "small MLP" in k or "graph" in k}
print(cuda.steps(quick=True).text())
cuda.ops.OPS = dict(list(OPS.items())[-2:])
print(cuda.op_table(quick=True).text())
print(cuda.bandwidth(quick=True, size=1 << 16).text())
"""


def test_the_benchmarks_run() -> None:
    done = run("-c", BENCH, TAPEBOOK_FAKE_CUDA="1")
    assert done.returncode == 0, done.stderr
    assert "small MLP" in done.stdout and "layer_norm of rows of 1024" in done.stdout
