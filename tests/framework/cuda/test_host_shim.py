"""The shim that the kernels are tested with: it must not let wrong kernels pass."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hosted import COMPILER

pytestmark = pytest.mark.skipif(COMPILER is None, reason="g++ is not here")

# Sums of 64 numbers by two warps, with something left out or wrong.
SUM = """
template <class T> __device__ void total(const T* x, T* y, i64 n) {{
    __shared__ T parts[64];
    int i = threadIdx.x;
    parts[i] = x[i {more}];
    {barrier}
    if (i < n) y[i] = parts[(i + 1) % n];
    {after}
}}
KERNEL(total, (const T* x, T* y, i64 n), total<T>(x, y, n))
"""
RUN = """
import numpy as np, sys
import hosted
from framework.kernels import cuda
base = cuda.source("softmax").partition("#line")[0]
text = base + sys.stdin.read()
cuda.source = lambda family: text
x = np.arange(64, dtype=np.float64)
for order in 0, 1:
    y = np.zeros(64)
    hosted.Host(order)("total", "total_f64", 1, 64, (x, y, {n}))
    print((y == np.roll(x, -1)).all())
"""


def run(n: int = 64, **parts: str) -> tuple[list[str], str, int]:
    text = SUM.format(**{"more": "", "barrier": "__syncthreads();", "after": ""} | parts)
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(n=n)], input=text, capture_output=True, text=True,
        cwd=Path(__file__).parent,
    )  # fmt: skip
    return done.stdout.split(), done.stderr, done.returncode


def test_a_right_kernel_passes() -> None:
    assert run() == (["True", "True"], "", 0)


def test_a_missing_barrier_shows_in_one_of_the_orders() -> None:
    assert "False" in run(barrier="")[0]


def test_a_barrier_that_some_do_not_reach_ends_the_program() -> None:
    _out, said, status = run(after="if (i < 40) __syncthreads(); else __syncwarp();")
    assert status < 0 and "some threads wait at a barrier that others do not reach" in said


def test_who_reads_beside_an_array_is_stopped() -> None:
    assert run(more="+ 1")[2] < 0


def test_who_writes_beside_an_array_is_stopped() -> None:
    assert run(after="y[n] = x[0];")[2] < 0


def test_a_wrong_number_of_arguments_is_an_error() -> None:
    text = SUM.format(more="", barrier="", after="")
    code = RUN.format(n="64, 1")
    done = subprocess.run(
        [sys.executable, "-c", code], input=text, capture_output=True, text=True,
        cwd=Path(__file__).parent,
    )  # fmt: skip
    assert "total_f64 takes 3 arguments, got 4" in done.stderr
