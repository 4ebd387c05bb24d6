"""What ops on a CUDA device cost in Python, before anything is asked of the device.

``python -m benchmarks.cuda_host [case ...]``. No GPU is needed: CuPy is the tests' stand-in for it,
whose arrays have numbers but whose functions, kernels and allocations do nothing. What CuPy itself
takes for a call (one to three microseconds, and more for a view) is not in the figures.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "framework" / "cuda" / "stand_in"))

import cupy
from cupy_backends.cuda.libs import cublas

import framework as torch
from framework.kernels import cuda

__all__ = ["cases", "hollow", "main"]


def hollow() -> None:
    """Let the stand-in do nothing: what it is asked for is one of a few arrays, there already."""
    array: Any = cupy.ndarray
    some, one = cupy.ones((8, 8), np.float32), cupy.ones((), np.float32)
    spread = np.broadcast_to(np.float32(1), (8, 8))
    room = np.empty((8, 8), np.float32)

    class Module:
        def __init__(self, **options: Any) -> None:
            pass

        def get_function(self, name: str) -> Any:
            return lambda grid, block, args: None

    def made(self: Any, shape: Any, dtype: Any = float, order: str = "C") -> None:
        self._a, self.base, self._place, self._memory = room, None, cupy.cuda.Device(0), None

    cupy._fits = lambda *a: None
    cupy.cuda.alloc = lambda size: None
    cupy.MemoryPointer.ptr = property(lambda self: 1 << 40)
    cupy.RawModule = Module
    cupy.ufunc.__call__ = lambda self, *a, **options: some
    cublas.gemmEx = cublas.gemmStridedBatchedEx = lambda *a: None
    array.__setitem__ = lambda self, index, value: None
    cupy.ones_like = lambda *a, **options: one
    cupy.broadcast_to = lambda a, shape: array._of(spread, a)
    array.sum = lambda a, *more, **options: one
    array.reshape = lambda a, *shape: array._of(a._a.reshape(*shape), a)
    array.__init__, cupy.empty = made, array


def cases() -> dict[str, Callable[[], object]]:
    """What is measured, by its name."""
    F = torch.nn.functional
    x, y = (torch.ones(8, 8, device="cuda") for _ in range(2))
    w = torch.ones(8, device="cuda")
    a, b = (t.clone().requires_grad_() for t in (x, y))
    array = x._data
    four = array, array, 8, 8.0
    many = (*[array] * 8, None, None, *[3] * 9, *[1.0] * 3)

    def forward() -> Any:
        return (a * b).relu().sum()

    def step() -> None:
        a.grad = b.grad = None
        forward().backward()

    return {
        "x + y": lambda: x + y, "x * y": lambda: x * y, "x * 2.0": lambda: x * 2.0,
        "relu": lambda: x.relu(), "x @ y": lambda: x @ y,
        "linear, with a bias": lambda: F.linear(x, y, w), "softmax": lambda: x.softmax(-1),
        "layer_norm": lambda: F.layer_norm(x, (8,), w, w), "sum": lambda: x.sum(),
        "x[0]": lambda: x[0],
        "a kernel with 4 arguments": lambda: cuda.launch("norm", "none", 1, 128, *four),
        "a kernel with 22 arguments": lambda: cuda.launch("norm", "none", 1, 128, *many),
        "(a * b).relu().sum(), with a graph": forward, "the same, and backward": step,
    }  # fmt: skip


def _microseconds(call: Callable[[], object], count: int = 2000) -> float:
    start = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - start) / count * 1e6


def main(wanted: list[str]) -> None:
    """Print the median of seven rounds of processor time for each case."""
    torch.set_num_threads(1)
    table = cases()
    hollow()
    for name, call in table.items():
        if not wanted or name in wanted:
            _microseconds(call, 500)
            found = statistics.median(_microseconds(call) for _ in range(7))
            print(f"{name:36s} {found:6.1f} us")


if __name__ == "__main__":
    main(sys.argv[1:])
