"""The gated linear unit a sigmoid(b) of the halves of a line, in one pass, and its gradient.

Arrays are (A, 2, B), of which the halves are [:, 0] and [:, 1], as vectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.kernels.compiled import in_parts
from framework.kernels.compiled.elementary import FAST, exp, made_with
from framework.kernels.compiled.exponential import exp as exp_of_double

__all__ = ["glu", "glu_backward"]

_u = np.uintp
_CHUNK = _u(1 << 10)


exponential: Any = None  # a float type's e^x and its one, which loops are made with
one: Any = None


def _glu(x, out, length, blocks, start, stop):
    for unit in range(_u(start), _u(stop)):
        line, first = unit // blocks, unit % blocks * _CHUNK
        count = min(_CHUNK, length - first)
        i, o = line * length * _u(2) + first, line * length + first
        for j in range(count):
            out[o + j] = x[i + j] * (one / (one + exponential(-x[i + length + j])))


def _backward(g, x, out, length, blocks, start, stop):
    for unit in range(_u(start), _u(stop)):
        line, first = unit // blocks, unit % blocks * _CHUNK
        count = min(_CHUNK, length - first)
        i, o = line * length * _u(2) + first, line * length + first
        for j in range(count):
            s = one / (one + exponential(-x[i + length + j]))
            slope = g[o + j] * s
            out[i + j] = slope
            out[i + length + j] = slope * (one - s) * x[i + j]


_OF = {
    np.dtype(kind): tuple([
        made_with(loop, f"{loop.__name__}_{bits}", FAST, exponential=e, one=kind(1))
        for loop in (_glu, _backward)
    ])
    for kind, bits, e in ((np.float32, 32, exp), (np.float64, 64, exp_of_double))
}  # fmt: skip


def _run(kernel: Any, many: int, length: int, *arrays: Any) -> None:
    blocks = -(-length // int(_CHUNK))
    flat = [a.reshape(-1) for a in arrays]
    in_parts(kernel, many * blocks, 8 * many * length, *flat, _u(length), _u(blocks))


def glu(x: Any, shape: tuple[int, ...], many: int, length: int) -> Any:
    """Of x (A, 2, B) = (many, 2, length), as an array of that shape."""
    out = np.empty(shape, x.dtype)
    _run(_OF[x.dtype][0], many, length, x, out)
    return out


def glu_backward(g: Any, x: Any, many: int, length: int) -> Any:
    """The gradient of x for g (A, B)."""
    out = np.empty_like(x)
    _run(_OF[x.dtype][1], many, length, g, x, out)
    return out
