"""Pooling: the largest element or the mean of each window.

``max_pool`` returns positions with its values; its gradient scatters to these positions
(``max_unpool``), whose own gradient gathers from them. Mean pooling is linear: its gradient
spreads (``avg_unpool``), whose gradient is mean pooling again.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from framework.core.dispatch import apply
from framework.core.registry import Op, function, op
from framework.kernels import module_of
from framework.kernels.floats import real_floating, widening
from framework.tensor import wrap

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
    "adaptive_max_pool2d", "adaptive_max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
    "max_pool1d", "max_pool2d", "max_pool3d",
]  # fmt: skip


# -- windows ----------------------------------------------------------------------------------


def _out_size(
    size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[int, ...]:
    if min(kernel) <= 0 or min(stride) <= 0:
        raise ValueError(
            "kernel size and stride should be greater than zero, but got "
            f"kernel_size={list(kernel)}, stride={list(stride)}"
        )
    result = []
    for n, k, s, p, d in zip(size, kernel, stride, padding, dilation):
        room = n + 2 * p - d * (k - 1) - 1
        out = (-(-room // s) if ceil_mode else room // s) + 1
        if ceil_mode and (out - 1) * s >= n + p:
            out -= 1  # the last window must start inside of the input or its left padding
        result.append(out)
    return tuple(result)


def _reach(out: Any, kernel: Any, stride: Any, dilation: Any) -> tuple[int, ...]:
    """Size of the padded input that the windows cover."""
    return tuple((n - 1) * s + d * (k - 1) + 1 for n, k, s, d in zip(out, kernel, stride, dilation))


def _padded(x: Any, padding: Any, covered: Any, value: Any) -> Any:
    """``x`` with ``value`` around it, at least as large as ``covered``."""
    dims = len(padding)
    size = x.shape[-dims:]
    total = tuple(max(c, n + p) for c, n, p in zip(covered, size, padding))
    if total == size:
        return x
    result = module_of(x).full((*x.shape[:-dims], *total), value, x.dtype)
    result[(..., *[slice(p, p + n) for p, n in zip(padding, size)])] = x
    return result


def _parts(
    x: Any, out: Any, kernel: Any, stride: Any, dilation: Any
) -> Iterator[tuple[tuple[int, ...], Any]]:
    """For each offset in the window, the elements of the padded ``x`` there (a view)."""
    for offset in itertools.product(*[range(k) for k in kernel]):
        part = tuple(
            slice(o * d, o * d + s * (n - 1) + 1, s)
            for o, d, s, n in zip(offset, dilation, stride, out)
        )
        yield offset, x[(..., *part)]


def _check(x: Any, kernel: Any, padding: Any, out: Any) -> None:
    if any(p < 0 or 2 * p > k for p, k in zip(padding, kernel)):
        raise ValueError(
            f"pad should be at most half of effective kernel size, but got pad={max(padding)}, "
            f"kernel_size={max(kernel)}"
        )
    if min(out) <= 0:
        dims = len(kernel)
        given = "x".join(str(n) for n in x.shape[-dims - 1 :])
        made = "x".join(str(n) for n in (x.shape[-dims - 1], *out))
        raise ValueError(
            f"Given input size: ({given}). Calculated output size: ({made}). Output size is too "
            "small"
        )


# -- max pooling ------------------------------------------------------------------------------


def _max_kernel(
    x: Any, *, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[Any, Any]:
    dims = len(kernel)
    if dims == 1:
        real_floating(x, "max_pool1d")  # PyTorch pools integers in two and three dimensions only
    size = x.shape[-dims:]
    out = _out_size(size, kernel, stride, padding, dilation, ceil_mode)
    _check(x, kernel, padding, out)
    xp = module_of(x)
    full = _padded(x, padding, _reach(out, kernel, stride, dilation), _lowest(x.dtype))
    real = x.dtype.kind not in "biu"
    best: Any = None
    offsets = []
    for i, (offset, part) in enumerate(_parts(full, out, kernel, stride, dilation)):
        offsets.append(_flat([o * d for o, d in zip(offset, dilation)], size))
        if best is None:
            best = part.copy()
            which = xp.zeros(best.shape, np.int16 if math.prod(kernel) < 1 << 15 else np.int64)
            continue
        better = part > best
        if real:
            better |= part != part  # NaN wins, as in PyTorch
        best = xp.where(better, part, best)
        which = xp.where(better, which.dtype.type(i), which)
    index = xp.asarray(offsets, np.int64)[which] + _starts(xp, out, stride, padding, size)
    if any(padding) and (best == _lowest(x.dtype)).any():  # the padding must not be named
        inside = _starts(xp, out, stride, padding, size, dilation)
        index = xp.where(best == _lowest(x.dtype), inside, index)
    return best, index


def _lowest(dtype: Any) -> Any:
    if dtype.kind in "iu":
        return np.iinfo(dtype).min
    return False if dtype.kind == "b" else -np.inf


def _flat(position: Any, size: Any) -> int:
    result = 0
    for p, n in zip(position, size):
        result = result * n + p
    return result


def _starts(
    xp: Any, out: Any, stride: Any, padding: Any, size: Any, inside: Any = None
) -> Any:  # fmt: skip
    """Flat position in the unpadded input of each window's first element.

    With ``inside`` (the dilation) that of the first element that is not padding.
    """
    result = xp.zeros((), np.int64)
    for axis, (n, s, p, length) in enumerate(zip(out, stride, padding, size)):
        line = xp.arange(n, dtype=np.int64) * s - p
        if inside is not None:
            line = xp.where(line < 0, line % inside[axis], line)
        result = result * length + line.reshape(-1, *[1] * (len(out) - 1 - axis))
    return result


def _planes(x: Any, dims: int) -> Any:
    return x.reshape(math.prod(x.shape[:-dims]), math.prod(x.shape[-dims:]))


def _unpool_kernel(g: Any, index: Any, *, size: Any) -> Any:
    """Add each element of ``g`` to the position of its plane that ``index`` names."""
    dims = len(size)
    xp = module_of(g)
    flat, where = _planes(g, dims), _planes(index, dims)
    count = math.prod(size)
    where = (where + xp.arange(len(flat), dtype=np.int64)[:, None] * count).reshape(-1)
    total = len(flat) * count
    if xp is np:
        result = np.bincount(where, flat.reshape(-1), total).astype(g.dtype, copy=False)
    else:
        result = xp.zeros(total, g.dtype)
        xp.add.at(result, where, flat.reshape(-1))
    return result.reshape(*g.shape[:-dims], *size)


def _pick_kernel(x: Any, index: Any, *, dims: int) -> Any:
    """The element of each plane of ``x`` that ``index`` names: the adjoint of `_unpool_kernel`."""
    xp = module_of(x)
    picked = xp.take_along_axis(_planes(x, dims), _planes(index, dims), axis=1)
    return picked.reshape(index.shape)


def _some_index(s: Any, *shape: int, below: int) -> Any:
    """Positions for the tests, some of them twice."""
    data = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
    return wrap(data * 3 % below)


UNPOOL = op(
    "max_unpool", widening(_unpool_kernel), "grad index",
    grad=(lambda g, index, size: apply(PICK, g, index, dims=len(size)), None),
    samples=lambda s: [
        ((s(2, 3, 4), _some_index(s, 2, 3, 4, below=5)), {"size": (5,)}),
        ((s(1, 2, 2, 2), _some_index(s, 1, 2, 2, 2, below=6)), {"size": (2, 3)}),
    ],
)  # fmt: skip
PICK = op(
    "max_pick", _pick_kernel, "input index",
    grad=(lambda g, index, dims, n: apply(UNPOOL, g, index, size=n.shape(0)[-dims:]), None),
    samples=lambda s: [((s(2, 3, 5), _some_index(s, 2, 3, 4, below=5)), {"dims": 1})],
)  # fmt: skip


def _constant(tensor: Any) -> Any:
    """The positions that a pooling node saved, without the edge that says who made them."""
    if hasattr(tensor, "_level"):
        return tensor  # inside of vmap they come without an edge
    return wrap(tensor._data, tensor._device)


def _max_op(dims: int) -> Op:
    base = {"kernel": (2,) * dims, "stride": (2,) * dims, "padding": (0,) * dims,
            "dilation": (1,) * dims, "ceil_mode": False}  # fmt: skip
    odd = {"kernel": (3,) * dims, "stride": (2,) * dims, "padding": (1,) * dims,
           "dilation": (1,) * dims, "ceil_mode": True}  # fmt: skip
    wide = {**base, "dilation": (2,) * dims, "stride": (1,) * dims}
    size = (4, 5, 4)[-dims:]
    return op(
        f"max_pool{dims}d", _max_kernel, "a",
        grad=(lambda g, y1, n, kernel: apply(
            UNPOOL, g[0], _constant(y1), size=tuple(n.shape(0)[-len(kernel):])),),
        samples=lambda s: [((s(2, 1, *size),), meta) for meta in (base, odd, wide)],
    )  # fmt: skip


MAX_POOLS = {dims: _max_op(dims) for dims in (1, 2, 3)}


def _spread(value: Any, dims: int, name: str) -> tuple[int, ...]:
    if isinstance(value, int):
        return (value,) * dims
    result = tuple(int(v) for v in value)
    if len(result) == 1:
        return result * dims
    if len(result) != dims:
        raise RuntimeError(
            f"{name} must either be a single int, or a tuple of {dims} ints, but got {result}"
        )
    return result


def _batch_check(input: Any, dims: int, name: str) -> None:
    if input.ndim not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"{name}: Expected {dims + 1}D or {dims + 2}D input tensor, but got {list(input.shape)}"
        )


def _max_pool(
    dims: int, input: Any, kernel: Any, stride: Any, padding: Any, dilation: Any,
    ceil_mode: bool, return_indices: bool,
) -> Any:  # fmt: skip
    _batch_check(input, dims, f"max_pool{dims}d")
    window = _spread(kernel, dims, "kernel_size")
    given = None if stride is None or stride == [] else stride
    values, index = apply(
        MAX_POOLS[dims], input, kernel=window,
        stride=window if given is None else _spread(given, dims, "stride"),
        padding=_spread(padding, dims, "padding"), dilation=_spread(dilation, dims, "dilation"),
        ceil_mode=ceil_mode,
    )  # fmt: skip
    return (values, index) if return_indices else values


@function(namespaces=("", "nn.functional"), method=False, checks=True)
def max_pool1d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest element of each window of a signal; see `max_pool2d`.

    Shapes: input (N, C, L) or (C, L).
    """
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@function(namespaces=("", "nn.functional"), method=False, checks=True)
def max_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest element of each window of an image (minus infinity is padded).

    Shapes: input (N, C, H, W) or (C, H, W); result (N, C, H', W') with
    H' = (H + 2 padding - dilation (kernel - 1) - 1) / stride + 1, rounded down, or up in
    ``ceil_mode``. ``stride`` is the kernel's size unless given.

    Args:
        return_indices: also return the flat position of each result in its input plane.

    >>> import framework as torch
    >>> x = torch.tensor([[[1.0, 2.0], [4.0, 3.0]]])
    >>> torch.nn.functional.max_pool2d(x, 2, return_indices=True)
    (tensor([[[4.]]]), tensor([[[2]]]))
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@function(namespaces=("", "nn.functional"), method=False, checks=True)
def max_pool3d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest element of each window of a volume; see `max_pool2d`."""
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


# -- mean pooling -----------------------------------------------------------------------------


def _divisor(
    xp: Any, size: Any, out: Any, kernel: Any, stride: Any, padding: Any, include_pad: bool,
    override: int | None, dtype: Any,
) -> Any:  # fmt: skip
    """By what the sum of each window is divided (an array of ``out``'s shape)."""
    if override:
        return xp.full((1,) * len(out), override, dtype)
    result: Any = 1
    for axis, (n, m, k, s, p) in enumerate(zip(size, out, kernel, stride, padding)):
        start = np.arange(m) * s - p
        end = np.minimum(start + k, n + p)
        if not include_pad:
            start, end = np.maximum(start, 0), np.minimum(end, n)
        result = result * (end - start).reshape(-1, *[1] * (len(out) - 1 - axis))
    return xp.asarray(np.asarray(result), dtype)


def _avg_kernel(
    x: Any, *, size: Any, kernel: Any, stride: Any, padding: Any, ceil_mode: bool,
    count_include_pad: bool, divisor_override: int | None,
) -> Any:  # fmt: skip
    unit = (1,) * len(kernel)
    out = _out_size(size, kernel, stride, padding, unit, ceil_mode)
    _check(x, kernel, padding, out)
    full = _padded(x, padding, _reach(out, kernel, stride, unit), 0)
    total: Any = None
    for _, part in _parts(full, out, kernel, stride, unit):
        if total is None:
            total = part.copy()
        else:
            total += part
    count = _divisor(module_of(x), size, out, kernel, stride, padding, count_include_pad,
                     divisor_override, x.dtype)  # fmt: skip
    if x.dtype.kind in "iu":
        return (total / count).astype(x.dtype)  # rounds towards zero
    return total / count


def _unavg_kernel(
    g: Any, *, size: Any, kernel: Any, stride: Any, padding: Any, ceil_mode: bool,
    count_include_pad: bool, divisor_override: int | None,
) -> Any:  # fmt: skip
    dims, xp = len(kernel), module_of(g)
    unit = (1,) * dims
    out = g.shape[-dims:]
    each = g / _divisor(xp, size, out, kernel, stride, padding, count_include_pad,
                        divisor_override, g.dtype)  # fmt: skip
    covered = _reach(out, kernel, stride, unit)
    full = xp.zeros(
        (*g.shape[:-dims], *[max(c, n + p) for c, n, p in zip(covered, size, padding)]), g.dtype
    )
    for _, part in _parts(full, out, kernel, stride, unit):
        part += each
    return full[(..., *[slice(p, p + n) for p, n in zip(padding, size)])]


def _avg_op(dims: int) -> Op:
    size = (4, 5, 4)[-dims:]
    base = {"size": size, "kernel": (2,) * dims, "stride": (2,) * dims,
            "padding": (0,) * dims, "ceil_mode": False, "count_include_pad": True,
            "divisor_override": None}  # fmt: skip
    odd = {**base, "kernel": (3,) * dims, "padding": (1,) * dims, "ceil_mode": True,
           "count_include_pad": False}  # fmt: skip

    def outs(meta: dict[str, Any]) -> tuple[int, ...]:
        return _out_size(size, meta["kernel"], meta["stride"], meta["padding"], (1,) * dims,
                         meta["ceil_mode"])  # fmt: skip

    avg = op(
        f"avg_pool{dims}d", widening(_avg_kernel), "a",
        grad=(lambda g, n: apply(spread, g, **n.meta),),
        samples=lambda s: [((s(2, 1, *size),), meta) for meta in (base, odd)],
    )  # fmt: skip
    spread = op(
        f"avg_unpool{dims}d", widening(_unavg_kernel), "a",
        grad=(lambda g, n: apply(avg, g, **n.meta),),
        samples=lambda s: [((s(2, 1, *outs(meta)),), meta) for meta in (base, odd)],
    )  # fmt: skip
    return avg


AVG_POOLS = {dims: _avg_op(dims) for dims in (1, 2, 3)}


def _avg_pool(
    dims: int, input: Any, kernel: Any, stride: Any, padding: Any, ceil_mode: bool,
    count_include_pad: bool, divisor_override: int | None = None,
) -> Any:  # fmt: skip
    _batch_check(input, dims, f"avg_pool{dims}d")
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    window = _spread(kernel, dims, "kernel_size")
    given = None if stride is None or stride == [] else stride
    return apply(
        AVG_POOLS[dims], input, size=tuple(input.shape[-dims:]), kernel=window,
        stride=window if given is None else _spread(given, dims, "stride"),
        padding=_spread(padding, dims, "padding"), ceil_mode=ceil_mode,
        count_include_pad=count_include_pad, divisor_override=divisor_override,
    )  # fmt: skip


@function(namespaces=("", "nn.functional"), method=False, checks=True)
def avg_pool1d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:  # fmt: skip
    """The mean of each window of a signal; see `avg_pool2d`."""
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


@function(namespaces=("nn.functional",), method=False, checks=True)
def avg_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Any:  # fmt: skip
    """The mean of each window of an image.

    Shapes: input (N, C, H, W) or (C, H, W); result as of `max_pool2d`.

    Args:
        count_include_pad: the padded zeros count as elements.
        divisor_override: divide the sums by this number instead.

    >>> import framework as torch
    >>> torch.nn.functional.avg_pool2d(torch.tensor([[[1.0, 2.0], [4.0, 3.0]]]), 2)
    tensor([[[2.5000]]])
    """
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
                     divisor_override)  # fmt: skip


@function(namespaces=("nn.functional",), method=False, checks=True)
def avg_pool3d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Any:  # fmt: skip
    """The mean of each window of a volume; see `avg_pool2d`."""
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
                     divisor_override)  # fmt: skip


# -- adaptive pooling -------------------------------------------------------------------------


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
    return _mapped(x, [_averaging(module_of(x), n, m, x.dtype) for n, m in zip(size, out)])


def _unadaptive_kernel(g: Any, *, size: Any, out: Any) -> Any:
    return _mapped(g, [_averaging(module_of(g), n, m, g.dtype).T for n, m in zip(size, out)])


def _mapped(x: Any, matrices: list[Any]) -> Any:
    """Multiply each of the last dimensions by its matrix."""
    xp = module_of(x)
    for axis, matrix in zip(range(-len(matrices), 0), matrices):
        x = xp.moveaxis(xp.moveaxis(x, axis, -1) @ matrix.T, -1, axis)
    return xp.ascontiguousarray(x)


def _adaptive_op(dims: int) -> Op:
    size, out = (4, 5, 3)[-dims:], (2, 3, 2)[-dims:]
    meta = {"size": size, "out": out}
    avg = op(
        f"adaptive_avg_pool{dims}d", widening(_adaptive_kernel), "a",
        grad=(lambda g, n: apply(spread, g, **n.meta),), samples=lambda s: [((s(2, *size),), meta)],
    )  # fmt: skip
    spread = op(
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
        part = x[(..., *window)].reshape(*x.shape[:-dims], -1)
        best = part.argmax(axis=-1)
        index[(..., *at)] = flat[window].reshape(-1)[best]
        values[(..., *at)] = xp.take_along_axis(part, best[..., None], axis=-1)[..., 0]
    return values, index


def _adaptive_max_op(dims: int) -> Op:
    size, out = (4, 5, 3)[-dims:], (2, 3, 2)[-dims:]
    return op(
        f"adaptive_max_pool{dims}d", _adaptive_max_kernel, "a",
        grad=(lambda g, y1, n, out: apply(
            UNPOOL, g[0], _constant(y1), size=tuple(n.shape(0)[-len(out):])),),
        samples=lambda s: [((s(2, *size),), {"out": out})],
    )  # fmt: skip


ADAPTIVE_AVG = {dims: _adaptive_op(dims) for dims in (1, 2, 3)}
ADAPTIVE_MAX = {dims: _adaptive_max_op(dims) for dims in (1, 2, 3)}


def _target(input: Any, output_size: Any, dims: int, name: str) -> tuple[int, ...]:
    _batch_check(input, dims, name)
    wanted = (output_size,) * dims if output_size is None or isinstance(output_size, int) else (
        tuple(output_size))  # fmt: skip
    if len(wanted) != dims:
        raise RuntimeError(f"{name}: output_size must be {dims} numbers, but got {output_size}")
    return tuple(
        n if w is None else int(w) for w, n in zip(wanted, input.shape[-dims:])
    )  # fmt: skip


def _adaptive_avg(dims: int, input: Any, output_size: Any) -> Any:
    out = _target(input, output_size, dims, f"adaptive_avg_pool{dims}d")
    return apply(ADAPTIVE_AVG[dims], input, size=tuple(input.shape[-dims:]), out=out)


def _adaptive_max(dims: int, input: Any, output_size: Any, return_indices: bool) -> Any:
    out = _target(input, output_size, dims, f"adaptive_max_pool{dims}d")
    values, index = apply(ADAPTIVE_MAX[dims], input, out=out)
    return (values, index) if return_indices else values


@function(namespaces=("", "nn.functional"), method=False, checks=True)
def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """Means of ``output_size`` windows that cover a signal; see `adaptive_avg_pool2d`."""
    return _adaptive_avg(1, input, output_size)


@function(namespaces=("nn.functional",), method=False, checks=True)
def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """Means of ``output_size`` windows that cover an image.

    Window i of m along n elements is from ⌊i n / m⌋ to ⌈(i + 1) n / m⌉. ``output_size`` is an int,
    or one (or None: the input's size) per dimension.

    >>> import framework as torch
    >>> torch.nn.functional.adaptive_avg_pool2d(torch.ones(1, 3, 5, 7), 1).shape
    torch.Size([1, 3, 1, 1])
    """
    return _adaptive_avg(2, input, output_size)


@function(namespaces=("nn.functional",), method=False, checks=True)
def adaptive_avg_pool3d(input: Any, output_size: Any) -> Any:
    """Means of ``output_size`` windows that cover a volume; see `adaptive_avg_pool2d`."""
    return _adaptive_avg(3, input, output_size)


@function(namespaces=("nn.functional",), method=False, checks=True)
def adaptive_max_pool1d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of ``output_size`` windows that cover a signal."""
    return _adaptive_max(1, input, output_size, return_indices)


@function(namespaces=("nn.functional",), method=False, checks=True)
def adaptive_max_pool2d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of ``output_size`` windows that cover an image."""
    return _adaptive_max(2, input, output_size, return_indices)


@function(namespaces=("nn.functional",), method=False, checks=True)
def adaptive_max_pool3d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of ``output_size`` windows that cover a volume."""
    return _adaptive_max(3, input, output_size, return_indices)
