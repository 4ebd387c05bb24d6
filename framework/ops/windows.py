"""What convolution and pooling have in common: sliding windows, and sizes per dimension."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from framework.kernels import module_of

__all__ = ["padded", "parts", "spread"]


def parts(
    x: Any, out: Any, kernel: Any, stride: Any, dilation: Any
) -> Iterator[tuple[tuple[int, ...], Any]]:
    """For each offset in the window, the elements of the padded ``x`` that it meets (a view)."""
    for offset in itertools.product(*[range(k) for k in kernel]):
        part = tuple(
            slice(o * d, o * d + s * (n - 1) + 1, s)
            for o, d, s, n in zip(offset, dilation, stride, out)
        )
        yield offset, x[(..., *part)]


def padded(x: Any, padding: Any, value: Any = 0, covered: Any = None) -> Any:
    """``x`` with ``value`` around its last dimensions, at least as large as ``covered``.

    Without ``covered`` there is as much after as before.
    """
    dims = len(padding)
    size = x.shape[x.ndim - dims :]
    if covered is None:
        total = tuple([n + 2 * p for n, p in zip(size, padding)])
    else:
        total = tuple([max(c, n + p) for c, n, p in zip(covered, size, padding)])
    if total == size:
        return x
    result = module_of(x).full((*x.shape[: x.ndim - dims], *total), value, x.dtype)
    result[(..., *[slice(p, p + n) for p, n in zip(padding, size)])] = x
    return result


def spread(value: Any, dims: int, complaint: str) -> tuple[int, ...]:
    """One int for all spatial dimensions, or one for each; else an error with these words."""
    if isinstance(value, int):
        return (value,) * dims
    result = tuple([int(v) for v in value])
    if len(result) == 1:
        return result * dims
    if len(result) != dims:
        raise RuntimeError(complaint)
    return result
