"""The shim that the kernels are tested with: it must not let wrong kernels pass."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hosted import COMPILER, Host, launched_by

from framework.kernels import cuda

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
base = cuda.source("softmax").partition('#line 1 "softmax.cu"')[0]
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


def test_a_block_has_no_more_threads_than_the_entry_promises() -> None:
    own = "\n#undef THREADS\n#define THREADS 32, 2\n"  # not what the file began with
    body = "(T* y), y[threadIdx.x] = made<T>(A(1)))"
    text = f"KERNEL(free, {body}{own}KERNEL(bound, {body}"
    code = RUN.partition("for order")[0] + (
        "host = hosted.Host()\nhost('total', 'free_f64', 1, 64, (x,))\n"
        "try: host('total', 'bound_f64', 1, 64, (x,))\n"
        "except AssertionError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, text=True,
                          cwd=Path(__file__).parent)  # fmt: skip
    assert done.stdout == "bound_f64: 64 threads of 32\n", done.stderr


def test_new_arrays_hold_what_no_kernel_may_read() -> None:
    before = cuda.np
    with launched_by(Host()):
        for dtype in cuda.TYPES:
            made = cuda.empty_like(np.zeros((2, 3), dtype))
            assert np.isnan(made.astype(np.float64)).all()
        assert (cuda.empty(np.zeros(1), (), np.int64) == -1).all()
    assert cuda.np is before is np


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


# A tile of 16 by 8, of two steps in the depth, each fetched while the one before is multiplied.
PRODUCT = """
template <class T> __device__ void step(float (&c)[4], const T (&a)[16][16], const T (&b)[8][16]) {
    int lane = threadIdx.x, g = lane / 4, t = lane % 4;
    u32 left[4], right[2];
    TAKE
    multiply(c, left, right, typename Cores<T>::type());
}
template <class T> __device__ void product(const T* a, const T* b, float* y) {
    const int deep = Cores<T>::depth, each = 16 / sizeof(T);
    alignas(16) __shared__ T left[2][16][16], right[2][8][16];
    int lane = threadIdx.x;
    float c[4] = {0, 0, 0, 0};
    for (int s = 0; s < 3; s++) {
        if (s < 2)
            for (int i = lane; i < 24 * deep / each; i += 32) {
                int row = i / (deep / each), at = i % (deep / each) * each;
                const T* from = (row < 16 ? a + row * 2 * deep : b + (row - 16) * 2 * deep);
                T* to = row < 16 ? left[s][row] : right[s][row - 16];
                fetch_ahead<16>(to + at, from + s * deep + at, true);
            }
        end_group();
        if (s == 0) continue;
        WAIT
        __syncwarp();
        step(c, left[s - 1], right[s - 1]);
    }
    for (int i = 0; i < 4; i++)
        y[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = c[i];
}
KERNEL_F16(product, (const T* a, const T* b, float* y), product<T>(a, b, y))
KERNEL_BF16(product, (const T* a, const T* b, float* y), product<T>(a, b, y))
KERNEL_F32(product, (const T* a, const T* b, float* y), product<T>(a, b, y))
"""
BY_HAND = """
    const int p = Cores<T>::in_word;
    auto word = [&](const T* row, int at) {
        u32 w = 0;
        for (int k = 0; k < p; k++) {
            typename Cores<T>::type part;
            narrow(wide(row[at * p + k]), part);
            w |= (u32)part.bits << (16 * k);
        }
        return w;
    };
    for (int i = 0; i < 4; i++) left[i] = word(a[g + i % 2 * 8], t + i / 2 * 4);
    for (int i = 0; i < 2; i++) right[i] = word(b[g], t + i * 4);
"""
LOADED = """
    load_tiles(left, &a[lane % 16][lane / 16 * 8]);
    u32 both[4];
    load_tiles(both, &b[lane % 8][lane / 8 % 2 * 8]);
    right[0] = both[0], right[1] = both[1];
"""
TURNED = """
    load_tiles(left, &a[lane % 16][lane / 16 * 8]);
    alignas(16) __shared__ T across[16][8];
    for (int i = lane; i < 128; i += 32) across[i % 16][i / 16] = b[i / 16][i % 16];
    __syncwarp();
    u32 both[4];
    load_turned_tiles(both, across[lane % 16]);
    right[0] = both[0], right[1] = both[1];
    __syncwarp();
"""
MULTIPLIED = """
import numpy as np, sys
import hosted
from framework.dtypes import bfloat16
from framework.kernels import cuda
text = cuda.source("conv_tiles").partition('#line 1 "conv_tiles.cu"')[0] + sys.stdin.read()
cuda.source = lambda family: text
for kind in {kinds}:
    dtype = {{"f16": np.float16, "bf16": bfloat16.numpy, "f32": np.float32}}[kind]
    deep = 16 if kind == "f32" else 32
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-9, 9, (n, deep)).astype(dtype) for n in (16, 8))
    for order in 0, 1:
        y = np.zeros((16, 8), np.float32)
        hosted.Host(order)("conv", "product_" + kind, 1, 32, (a, b, y))
        print((y == a.astype(np.float32) @ b.T.astype(np.float32)).all())
"""
WAIT = "if (s == 1) wait_for_groups<1>(); else wait_for_groups<0>();"


def multiplied(take: str, kinds: tuple[str, ...], wait: str = WAIT) -> tuple[list[str], str]:
    text = PRODUCT.replace("TAKE", take).replace("WAIT", wait)
    done = subprocess.run(
        [sys.executable, "-c", MULTIPLIED.format(kinds=kinds)], input=text, capture_output=True,
        text=True, cwd=Path(__file__).parent,
    )  # fmt: skip
    return done.stdout.split(), done.stderr


def test_tiles_of_tensor_cores_are_multiplied_as_the_isa_has_them() -> None:
    assert multiplied(BY_HAND, ("f16", "bf16", "f32")) == (["True"] * 6, "")


@pytest.mark.parametrize("take", [LOADED, TURNED])
def test_tiles_are_loaded_by_a_warp(take: str) -> None:
    assert multiplied(take, ("f16", "bf16")) == (["True"] * 4, "")


def test_what_was_fetched_and_not_waited_for_shows_in_one_of_the_orders() -> None:
    assert "False" in multiplied(BY_HAND, ("f16",), WAIT.replace("<1>", "<2>"))[0]


def test_a_thread_waits_for_what_it_fetched() -> None:
    _out, said = multiplied(BY_HAND, ("f16",), "")
    assert "a thread has ended before what it fetched is there" in said
