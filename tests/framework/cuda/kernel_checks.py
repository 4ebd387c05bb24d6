"""What the tests of kernels of our own share: draws, the comparison with the CPU's kernels."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from hosted import Host

import framework as torch
from framework.core.registry import OPS
from framework.kernels import cuda

BFLOAT16 = torch.bfloat16.numpy
# Relative error, and that part of the largest number as an absolute one.
NEAR = {np.dtype(np.float16): 2e-3, BFLOAT16: 1.6e-2, np.dtype(np.float32): 1e-5,
        np.dtype(np.float64): 1e-12}  # fmt: skip
KINDS = [pytest.param(d, id=cuda.TYPES[d]) for d in NEAR]


def draw(dtype: Any, *shape: int, seed: int = 0) -> Any:
    rng = np.random.default_rng([seed, *shape])
    return np.asarray(rng.standard_normal(shape) * 2).astype(dtype)


def tried(family: str, name: str, *arrays: Any, **meta: Any) -> Any:
    """What a kernel of our own makes of NumPy's arrays, as a tuple; None if it does not take them.

    What it writes in place is there afterwards.
    """
    host: Any = cuda.use(None)
    cuda.use(host)
    moved = [host.there(a) if isinstance(a, np.ndarray) else a for a in arrays]
    call = getattr(importlib.import_module(f"framework.kernels.cuda.{family}"), name)
    found = call(*moved, **meta)
    for a, there in zip(arrays, moved):
        if isinstance(a, np.ndarray) and there is not a and a.flags.writeable:
            a[...] = host.back(there)
    if found is None:
        return None
    found = found if isinstance(found, tuple) else (found,)
    return tuple([None if a is None else host.back(a) for a in found])


def own(name: str, *arrays: Any, **meta: Any) -> Any:
    """What the kernel of an op makes of arrays; as a tuple."""
    found = tried(cuda.KERNELS[name], name, *arrays, **meta)
    assert found is not None, f"{name} did not take {[getattr(a, 'shape', a) for a in arrays]}"
    return found


def agree(name: str, *arrays: Any, near: float = 1.0, **meta: Any) -> None:
    """The CPU's kernel and ours agree on shapes, types and numbers, and change no operand."""
    before = [a.tobytes() if hasattr(a, "tobytes") else a for a in arrays]
    mine = own(name, *arrays, **meta)
    for a, b in zip(arrays, before):
        assert not hasattr(a, "tobytes") or a.tobytes() == b, f"{name} changed an operand"
    theirs = OPS[name].kernel(*arrays, **meta)
    theirs = theirs if isinstance(theirs, tuple) else (theirs,)
    assert len(mine) == len(theirs)
    for a, b in zip(mine, theirs):
        if a is not None:
            assert (a.shape, a.dtype) == (b.shape, b.dtype), name
            same(a, b, near)


def same(a: Any, b: Any, near: float = 1.0) -> None:
    """Two arrays of one type: integers exactly, floats nearly."""
    if a.dtype.kind in "iub":
        np.testing.assert_array_equal(a, b)
        return
    bound = NEAR[a.dtype] * near
    a, b = a.astype(np.float64), b.astype(np.float64)
    finite = np.abs(b[np.isfinite(b)])
    np.testing.assert_allclose(a, b, rtol=bound, atol=bound * finite.max(initial=0))


def special(dtype: Any) -> Any:
    """Rows with infinities, NaN, large numbers, zeros of both signs."""
    inf, nan = np.inf, np.nan
    rows = [
        [0.0, -0.0, 1.0, 2.0, -3.0], [inf, 0.0, 1.0, 2.0, 3.0], [-inf, 0.0, 1.0, 2.0, 3.0],
        [nan, 0.0, 1.0, 2.0, 3.0], [-inf] * 5, [inf, -inf, 0.0, 0.0, 0.0], [inf] * 5, [nan] * 5,
        [6e4, -6e4, 6e4, 0.0, 1.0], [1.0, 2.0, 3.0, 4.0, nan], [-30.0, 30.0, -8.0, 8.0, 1e-7],
    ]  # fmt: skip
    return np.array(rows).astype(dtype)


def entries(host: Host) -> set[str]:
    return {e.rpartition("_")[0] for e in host.launched}
