"""Adaptive pooling: as many windows as wanted, of about the same size, that cover the input."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from framework.core.dispatch import apply
from framework.core.registry import Op, function, op
from framework.kernels import compiled, module_of
from framework.kernels.floats import real_floating, widening
from framework.layout import keeps_format
from framework.ops.pool import MAX_SCATTER, constant

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices", "adaptive_max_pool2d", "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d", "adaptive_max_pool3d_with_indices",
]  # fmt: skip


def _bins(n: int, out: int) -> list[tuple[int, int]]:
    """PyTorch's windows: out parts of range(n), overlapping where n is no multiple of out."""
    return [(i * n // out, -(-(i + 1) * n // out)) for i in range(out)]


def _averaging(xp: Any, n: int, out: int, dtype: Any) -> Any:
    """The (out, n) matrix that averages over `_bins`."""
    matrix = np.zeros((out, n), dtype)
    for row, (start, end) in zip(matrix, _bins(n, out)):
        row[start:end] = 1 / (end - start)
    return xp.asarray(matrix)


def _adaptive_kernel(x: Any, *, size: Any, out: Any) -> Any:
    real_floating(x, "adaptive_avg_pool")
    whole = math.prod(out) == 1 and compiled.is_plain_or_wide(x)
    if whole and (kernels := compiled.family("sums")):
        sums = kernels.sums(x.reshape(-1, math.prod(size)))
        return (sums / x.dtype.type(math.prod(size))).reshape(*x.shape[: -len(out)], *out)
    parts = _parts(x, size, out)
    if parts:
        return x.reshape((*x.shape[: x.ndim - len(out)], *parts)).mean(axis=_inner(parts))
    found = _mapped(x, [_averaging(module_of(x), n, m, x.dtype) for n, m in zip(size, out)])
    if _finite(found):
        return found
    for axis, n, m in zip(range(-len(out), 0), size, out):  # zeros times NaN are NaN
        rows = module_of(x).moveaxis(x, axis, 0)
        means = [rows[start:end].mean(axis=0) for start, end in _bins(n, m)]
        x = module_of(x).stack(means, axis=axis)
    return module_of(x).ascontiguousarray(x)


def _unadaptive_kernel(g: Any, *, size: Any, out: Any) -> Any:
    xp = module_of(g)
    if math.prod(out) == 1:
        shares = g / g.dtype.type(math.prod(size))
        return xp.ascontiguousarray(xp.broadcast_to(shares, (*g.shape[: -len(out)], *size)))
    parts = _parts(g, size, out)
    if parts:
        share = g / math.prod(parts[1::2])
        wide = xp.expand_dims(share, _inner(parts))
        wide = xp.broadcast_to(wide, (*g.shape[: g.ndim - len(out)], *parts))
        return wide.reshape((*g.shape[: g.ndim - len(out)], *size))
    found = _mapped(g, [_averaging(xp, n, m, g.dtype).T for n, m in zip(size, out)])
    if _finite(found):
        return found
    for axis, n, m in zip(range(-len(out), 0), size, out):
        rows = xp.moveaxis(g, axis, 0)
        spread = xp.zeros((n, *rows.shape[1:]), g.dtype)
        for row, (start, end) in zip(rows, _bins(n, m)):
            spread[start:end] += row / (end - start)
        g = xp.moveaxis(spread, 0, axis)
    return xp.ascontiguousarray(g)


def _parts(a: Any, size: Any, out: Any) -> list[int]:
    """(windows, elements of one) of each dimension, where the windows of a device's array are even.

    Whether a product with a matrix was finite would have to be asked, which waits for the device.
    """
    if isinstance(a, np.ndarray) or any(m == 0 or n % m for n, m in zip(size, out)):
        return []
    return [k for n, m in zip(size, out) for k in (m, n // m)]


def _inner(parts: list[int]) -> tuple[int, ...]:
    """The dimensions of the elements within windows, counted from the end."""
    return tuple(range(1 - len(parts), 0, 2))


def _finite(a: Any) -> bool:
    return hasattr(a, "is_meta") or bool(module_of(a).isfinite(a).all())


def _mapped(x: Any, matrices: list[Any]) -> Any:
    """Multiply each of the last dimensions by its matrix."""
    xp = module_of(x)
    for axis, matrix in zip(range(-len(matrices), 0), matrices):
        x = xp.moveaxis(xp.moveaxis(x, axis, -1) @ matrix.T, -1, axis)
    return xp.ascontiguousarray(x)


def _adaptive_op(dims: int) -> Op:
    size, out = (4, 5, 3)[-dims:], (2, 3, 2)[-dims:]
    meta = {"size": size, "out": out}
    plain = widening(_adaptive_kernel)
    kernel = keeps_format(plain) if dims == 2 else plain  # PyTorch's wart: not in three dimensions
    avg = op(
        f"adaptive_avg_pool{dims}d", kernel, "a",
        grad=(lambda g, n: apply(undo, g, **n.meta),), flat="a",
        samples=lambda s: [((s(2, *size),), meta)],
    )  # fmt: skip
    undo = op(
        f"adaptive_avg_unpool{dims}d", widening(_unadaptive_kernel), "a",
        grad=(lambda g, n: apply(avg, g, **n.meta),), samples=lambda s: [((s(2, *out),), meta)],
    )  # fmt: skip
    return avg


def _adaptive_max_kernel(x: Any, *, out: Any) -> tuple[Any, Any]:
    """Values and flat positions; window by window, for there is no common stride."""
    real_floating(x, "adaptive_max_pool")
    dims, xp = len(out), module_of(x)
    size = x.shape[-dims:]
    values = xp.empty((*x.shape[:-dims], *out), x.dtype)
    index = xp.empty(values.shape, np.int64)
    flat = xp.arange(math.prod(size), dtype=np.int64).reshape(size)
    for at in itertools.product(*[range(m) for m in out]):
        window = tuple(slice(*_bins(n, m)[i]) for i, n, m in zip(at, size, out))
        inside = flat[window].reshape(-1)
        part = x[(..., *window)].reshape(*x.shape[:-dims], len(inside))
        best = part.argmax(axis=-1)
        index[(..., *at)] = inside[best]
        values[(..., *at)] = xp.take_along_axis(part, best[..., None], axis=-1)[..., 0]
    return values, index


def _adaptive_max_op(dims: int) -> Op:
    size, out = (4, 5, 3)[-dims:], (2, 3, 2)[-dims:]
    return op(
        f"adaptive_max_pool{dims}d", keeps_format(_adaptive_max_kernel), "a",
        grad=(lambda g, y1, n, out: apply(
            MAX_SCATTER, g[0], constant(y1), size=tuple(n.shape(0)[-len(out):])),),
        flat="a",
        samples=lambda s: [((s(2, *size),), {"out": out})],
    )  # fmt: skip


ADAPTIVE_AVG = {dims: _adaptive_op(dims) for dims in (1, 2, 3)}
ADAPTIVE_MAX = {dims: _adaptive_max_op(dims) for dims in (1, 2, 3)}


def _target(input: Any, output_size: Any, dims: int, name: str) -> tuple[int, ...]:
    one = output_size is None or isinstance(output_size, int)
    wanted = (output_size,) * dims if one else tuple(output_size)
    if dims > 1 and not one and input.ndim <= len(wanted):
        raise ValueError(f"Input dimension should be at least {len(wanted) + 1}")
    if len(wanted) != dims:
        if dims == 1:
            raise RuntimeError(f"{name}: 'output_size' should contain one int")
        if "avg" in name:
            raise RuntimeError(f"{name}: output_size must be {dims}")
        raise RuntimeError(f"{name}: internal error: output_size.size() == {dims}")
    if input.ndim not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"{name}(): Expected {dims + 1}D or {dims + 2}D tensor, but got {list(input.shape)}"
        )
    size = tuple([n if w is None else int(w) for w, n in zip(wanted, input.shape[-dims:])])
    if min(size) < 0:
        if "avg" in name:
            raise RuntimeError(
                f"{name}: elements of output_size must be greater than or equal to 0 but received "
                f"{list(size)}"
            )
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(size)}: {size}")
    for i in range(1, input.ndim):
        if not input.shape[i] and (i > input.ndim - dims - 1):
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but "
                f"input has sizes {list(input.shape)} with dimension {i} being empty"
            )
    return size


def _adaptive_avg(dims: int, input: Any, output_size: Any) -> Any:
    out = _target(input, output_size, dims, f"adaptive_avg_pool{dims}d")
    return apply(ADAPTIVE_AVG[dims], input, size=tuple(input.shape[-dims:]), out=out)


def _adaptive_max(dims: int, input: Any, output_size: Any, return_indices: bool) -> Any:
    out = _target(input, output_size, dims, f"adaptive_max_pool{dims}d")
    values, index = apply(ADAPTIVE_MAX[dims], input, out=out)
    return (values, index) if return_indices else values


@function(namespaces=("", "nn.functional"), method=False, checks=True)
def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """Means of ``output_size`` windows that cover a signal; see `adaptive_avg_pool2d`.

    Shapes: input (N, C, L) or (C, L); result (N, C, output_size) or (C, output_size).
    RuntimeError for another rank or a negative size.

    >>> import framework as torch
    >>> torch.adaptive_avg_pool1d(torch.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[2., 1.]])
    """
    return _adaptive_avg(1, input, output_size)


@function(namespaces=("nn.functional",), method=False, checks=True)
def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """Means of ``output_size`` windows that cover an image.

    Window i of m along n elements is from ⌊i n / m⌋ to ⌈(i + 1) n / m⌉. ``output_size`` is an int,
    or one (or None: the input's size) per dimension. Shapes: input (N, C, H, W) or (C, H, W);
    RuntimeError for another rank or a negative size.

    >>> import framework as torch
    >>> torch.nn.functional.adaptive_avg_pool2d(torch.ones(1, 3, 5, 7), 1).shape
    torch.Size([1, 3, 1, 1])
    """
    return _adaptive_avg(2, input, output_size)


@function(namespaces=("nn.functional",), method=False, checks=True)
def adaptive_avg_pool3d(input: Any, output_size: Any) -> Any:
    """Means of ``output_size`` windows that cover a volume; see `adaptive_avg_pool2d`.

    Shapes: input (N, C, D, H, W) or (C, D, H, W); result (N, C, *output_size).
    RuntimeError for another rank (ValueError for a tuple of more sizes than the input has) or a
    negative size.

    >>> import framework as torch
    >>> torch.nn.functional.adaptive_avg_pool3d(torch.arange(8.0).reshape(1, 2, 2, 2), 1)
    tensor([[[[3.5000]]]])
    """
    return _adaptive_avg(3, input, output_size)


@function(namespaces=("nn.functional",), method=False, checks=True)
def adaptive_max_pool1d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of ``output_size`` windows that cover a signal.

    Shapes: input (N, C, L) or (C, L); result (N, C, output_size) or (C, output_size), and with
    ``return_indices`` their positions too. The windows are those of `adaptive_avg_pool2d`.
    RuntimeError for another rank.

    >>> import framework as torch
    >>> torch.nn.functional.adaptive_max_pool1d(torch.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[3., 2.]])
    """
    return _adaptive_max(1, input, output_size, return_indices)


@function(namespaces=("nn.functional",), method=False, checks=True)
def adaptive_max_pool2d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of ``output_size`` windows that cover an image.

    Shapes: input (N, C, H, W) or (C, H, W); result (N, C, *output_size), and with
    ``return_indices`` the positions within a plane too. The windows are those of
    `adaptive_avg_pool2d`. RuntimeError for another rank.

    >>> import framework as torch
    >>> torch.nn.functional.adaptive_max_pool2d(torch.arange(6.0).reshape(1, 2, 3), (1, 2))
    tensor([[[4., 5.]]])
    """
    return _adaptive_max(2, input, output_size, return_indices)


@function(namespaces=("nn.functional",), method=False, checks=True)
def adaptive_max_pool3d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of ``output_size`` windows that cover a volume.

    Shapes: input (N, C, D, H, W) or (C, D, H, W); result (N, C, *output_size), and with
    ``return_indices`` the positions within a volume too. The windows are those of
    `adaptive_avg_pool2d`. RuntimeError for another rank.

    >>> import framework as torch
    >>> torch.nn.functional.adaptive_max_pool3d(torch.arange(8.0).reshape(1, 2, 2, 2), 1)
    tensor([[[[7.]]]])
    """
    return _adaptive_max(3, input, output_size, return_indices)


@function(namespaces=("nn.functional",), method=False)
def adaptive_max_pool1d_with_indices(
    input: Any, output_size: Any, return_indices: bool = False
) -> Any:  # fmt: skip
    """`adaptive_max_pool1d` with the positions of its results: (values, int64 positions).

    >>> import framework as torch
    >>> F = torch.nn.functional
    >>> F.adaptive_max_pool1d_with_indices(torch.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    (tensor([[3., 2.]]), tensor([[1, 2]]))
    """
    return adaptive_max_pool1d(input, output_size, True)


@function(namespaces=("nn.functional",), method=False)
def adaptive_max_pool2d_with_indices(
    input: Any, output_size: Any, return_indices: bool = False
) -> Any:  # fmt: skip
    """`adaptive_max_pool2d` with the positions of its results: (values, int64 positions).

    >>> import framework as torch
    >>> F = torch.nn.functional
    >>> F.adaptive_max_pool2d_with_indices(torch.arange(6.0).reshape(1, 2, 3), 1)
    (tensor([[[5.]]]), tensor([[[5]]]))
    """
    return adaptive_max_pool2d(input, output_size, True)


@function(namespaces=("nn.functional",), method=False)
def adaptive_max_pool3d_with_indices(
    input: Any, output_size: Any, return_indices: bool = False
) -> Any:  # fmt: skip
    """`adaptive_max_pool3d` with the positions of its results: (values, int64 positions).

    >>> import framework as torch
    >>> F = torch.nn.functional
    >>> F.adaptive_max_pool3d_with_indices(torch.arange(8.0).reshape(1, 2, 2, 2), 1)
    (tensor([[[[7.]]]]), tensor([[[[7]]]]))
    """
    return adaptive_max_pool3d(input, output_size, True)
