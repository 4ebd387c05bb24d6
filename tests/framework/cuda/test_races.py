"""The watch for races (`races.cpp`): it must see each kind of them, and nothing where none is.

The kernels themselves are watched where their arithmetic is tested (`conftest.RUNNERS`).
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from hosted import COMPILER, Host

from framework.kernels import cuda

pytestmark = pytest.mark.skipif(COMPILER is None, reason="g++ is not here")

# What 64 threads do, in one block; those of a name with "blocks", of two.
KERNELS = {
    "barrier": "parts[i] = x[i]; __syncthreads(); y[i] = parts[next];",
    "no_barrier": "parts[i] = x[i]; y[i] = parts[next];",
    "again": "parts[i] = x[i]; __syncthreads(); T got = parts[next]; parts[i] = got; y[i] = got;",
    "one_warp": "parts[i] = x[i]; __syncwarp(); y[i] = parts[i / 32 * 32 + (i + 1) % 32];",
    "other_warp": "parts[i] = x[i]; __syncwarp(); y[i] = parts[next];",
    "shuffled": "parts[i] = x[i]; T got = __shfl_xor_sync(~0u, x[i], 1);"
                " y[i] = parts[i / 32 * 32 + (i + 1) % 32] + T(0) * got;",
    "all_write": "if (i == 5 || i == 40) parts[0] = x[0]; __syncthreads(); y[i] = parts[0];",
    "atomics": "atomicAdd(y, x[i]);",
    "atomic_and_not": "atomicAdd(y, x[i]); if (i == 3) y[1] = y[0];",
    "blocks": "y[blockIdx.x * 64 + i] = x[next];",
    "blocks_share": "parts[i] = x[i]; __syncthreads(); y[blockIdx.x * 64 + i] = parts[next];",
    "blocks_meet": "y[i] = x[i];",
    "blocks_read": "y[blockIdx.x * 64 + i] = x[i]; if (blockIdx.x == 1) y[i + 64] = y[i];",
    "blocks_read_before": "if (blockIdx.x == 0) y[i + 64] = y[i]; else y[i] = x[i];",
    "bytes": "((char*)y)[i] = (char)i;",
    "blocks_read_unwritten": "if (blockIdx.x == 0) parts[i] = x[i]; __syncthreads();"
                             " y[blockIdx.x * 64 + i] = parts[i];",
    "fetched": "fetch_ahead<8>(parts + i, x + i, true); end_group(); wait_for_groups<0>();"
               " __syncthreads(); y[i] = parts[next];",
    "own_fetch": "fetch_ahead<8>(parts + i, x + i, true); end_group(); wait_for_groups<0>();"
                 " y[i] = parts[i];",
    "fetch_not_awaited": "fetch_ahead<8>(parts + i, x + i, true); end_group(); y[i] = parts[i];"
                         " wait_for_groups<0>();",
    "fetch_of_others": "fetch_ahead<8>(parts + i, x + i, true); end_group(); wait_for_groups<0>();"
                       " y[i] = parts[next];",
    "fetch_over": "parts[i] = x[i]; __syncthreads(); y[i] = parts[next];"
                  " fetch_ahead<8>(parts + i, x + i, true); end_group(); wait_for_groups<0>();",
}  # fmt: skip
RACES = {  # what is seen first, with the threads in their order
    "no_barrier": "read-unwritten", "again": "read-written", "other_warp": "written-read",
    "shuffled": "written-read", "all_write": "written-written", "atomic_and_not": "read-written",
    "blocks_meet": "written-written", "blocks_read": "written-read",
    "blocks_read_before": "read-written", "blocks_read_unwritten": "read-unwritten",
    "fetch_not_awaited": "fetched", "fetch_of_others": "read-unwritten",
    "fetch_over": "read-written",
}  # fmt: skip
X = np.arange(64.0)
TEXT = """
template <class T> __device__ void {name}(const T* x, T* y) {{
    alignas(16) __shared__ T parts[64];
    int i = threadIdx.x, next = (i + 1) % 64;
    {body}
}}
KERNEL_F64({name}, (const T* x, T* y), {name}<T>(x, y))
"""


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels above are a family of their own."""
    text = cuda.source("conv_tiles").partition('#line 1 "conv_tiles.cu"')[0] + '#line 1 "here.cu"\n'
    text += "".join(TEXT.format(name=n, body=b) for n, b in KERNELS.items())
    real = cuda.source
    monkeypatch.setattr(cuda, "source", lambda f: text if f == "planted" else real(f))


@pytest.mark.parametrize("order", [0, 1])
def test_each_kind_of_race_is_seen_and_no_other(order: int, planted: None) -> None:
    seen: dict[str, str] = {}
    for name in KERNELS:
        blocks = 2 if "blocks" in name else 1
        try:
            Host(order, races=True)("planted", f"{name}_f64", blocks, 64, (X, np.zeros(128)))
        except AssertionError as error:
            seen[name] = str(error)
    assert set(seen) == set(RACES)
    if order == 0:
        for name, said in seen.items():
            assert said.startswith(f"{name}_f64: {RACES[name]}: "), said


def test_a_race_is_told_with_its_places(planted: None) -> None:
    with pytest.raises(AssertionError) as told:
        Host(0, races=True)("planted", "other_warp_f64", 1, 64, (X, np.zeros(128)))
    place = r"here\.cu:\d+"
    assert re.search(
        rf"other_warp_f64: written-read: shared memory, by block 0 thread \d+ at {place} and "
        rf"block 0 thread \d+ at {place}", str(told.value)
    )  # fmt: skip
