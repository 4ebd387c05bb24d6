"""Machine code of kernels is found on disk by the next process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("numba")

# Runs kernels that are one loop made with several functions, and says what was compiled, not found.
_PROGRAM = """
import gc
import framework as torch
from numba.core.dispatcher import Dispatcher
x, y = torch.ones(300, 300), torch.ones(300, 300)
x.add_(y).mul_(y).addcmul_(y, y)
torch.addcmul(x, y, y)
x + y[0]
x * y[0]
torch.nn.functional.glu(x)
assert torch.equal(torch.full((300, 300), 2.0).mul_(y * 4), torch.full((300, 300), 8.0))
assert torch.equal(torch.full((300, 300), 2.0) * y[0] * 4, torch.full((300, 300), 8.0))
kernels = [d for d in gc.get_objects() if isinstance(d, Dispatcher)]
kernels = [d for d in kernels if d.py_func.__module__.startswith("framework.")]
print(sorted(d.py_func.__qualname__ for d in kernels if sum(d.stats.cache_misses.values())))
print(sum(sum(d.stats.cache_hits.values()) for d in kernels))
"""

_ALL = """
import gc
from numba.core.dispatcher import Dispatcher
from framework.kernels import compiled
for name in compiled.FAMILIES:
    assert compiled.family(name), name
kernels = [d for d in gc.get_objects() if isinstance(d, Dispatcher)]
kernels = [d for d in kernels if d.py_func.__module__.startswith("framework.")]
assert len(kernels) > 100
print([d.py_func.__qualname__ for d in kernels if d.py_func.__closure__])
names = [(d.py_func.__module__, d.py_func.__qualname__) for d in kernels]
print(sorted({name for name in names if names.count(name) > 1}))
"""


def _run(program, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", program], text=True, timeout=300,
        capture_output=True, check=True, env=os.environ | environment,
    ).stdout.splitlines()  # fmt: skip


def test_a_second_process_compiles_nothing(tmp_path):
    first, _ = _run(_PROGRAM, NUMBA_CACHE_DIR=str(tmp_path))
    for name in ("write_add", "write_mul", "spread_add", "spread_multiply", "_glu_32"):
        assert name in first
    again, hits = _run(_PROGRAM, NUMBA_CACHE_DIR=str(tmp_path))
    assert again == "[]" and int(hits) >= 7


def test_no_kernel_closes_over_another_or_shares_its_name():
    """The cache would not know the first again, and take the second for another one."""
    assert _run(_ALL) == ["[]", "[]"]
