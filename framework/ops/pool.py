"""Pooling: the largest element or the mean of each window.

``max_pool`` returns positions with its values; its gradient scatters to these positions
(``max_scatter``), whose own gradient gathers from them. Mean pooling is linear: its gradient
spreads (``avg_unpool``), whose gradient is mean pooling again.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework.core.dispatch import apply
from framework.core.registry import Op, function, op
from framework.kernels import compiled, module_of
from framework.kernels.floats import type_name, widening
from framework.kernels.places import add_at
from framework.kernels.quick import blend
from framework.kernels.windows import out_size
from framework.layout import keeps_format
from framework.ops.windows import padded, parts, spread
from framework.tensor import wrap

__all__ = [
    "avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool1d", "max_pool1d_with_indices",
    "max_pool2d", "max_pool2d_with_indices", "max_pool3d", "max_pool3d_with_indices",
]  # fmt: skip


# -- windows ----------------------------------------------------------------------------------


def _reach(out: Any, kernel: Any, stride: Any, dilation: Any) -> tuple[int, ...]:
    """Size of the padded input that the windows cover."""
    return tuple((n - 1) * s + d * (k - 1) + 1 for n, k, s, d in zip(out, kernel, stride, dilation))


def _check_window(kernel: Any, stride: Any, padding: Any, dilation: Any) -> None:
    """Refuse windows that no input could be pooled with."""
    dims = len(kernel)
    for name, values in (("kernel size", kernel), ("stride", stride), ("dilation", dilation)):
        if min(values) <= 0:
            if dims == 1:
                name = name.replace(" ", "_")
                raise RuntimeError(f"{name} must be greater than zero, but got {values[0]}")
            raise RuntimeError(f"{name} should be greater than zero, but got {list(values)}")
    if min(padding) < 0:
        raise RuntimeError(f"pad must be non-negative, but got pad: {min(padding)}")
    for p, k, d in zip(padding, kernel, dilation):
        if 2 * p > d * (k - 1) + 1:
            raise RuntimeError(
                f"pad should be at most half of effective kernel size, but got pad={p}, "
                f"kernel_size={k} and dilation={d}"
            )


def _check(
    x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[int, ...]:  # fmt: skip
    """The output's size, which must have elements."""
    dims = len(kernel)
    size = x.shape[-dims:]
    out = out_size(size, kernel, stride, padding, dilation, ceil_mode)
    if min(out) <= 0:
        if dims == 1:
            raise ValueError(f"Invalid computed output size: {out[0]}")
        given = "x".join(str(n) for n in x.shape[-dims - 1 :])
        made = "x".join(str(n) for n in (x.shape[-dims - 1], *out))
        raise ValueError(
            f"Given input size: ({given}). Calculated output size: ({made}). Output size is too "
            "small"
        )
    return out


# -- max pooling ------------------------------------------------------------------------------


def _max_kernel(
    x: Any, *, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[Any, Any]:
    dims = len(kernel)
    if x.dtype.kind in ("bciu" if dims == 1 else "bc"):  # no integers in one dimension: PyTorch
        raise NotImplementedError(f"\"max_pool{dims}d\" not implemented for '{type_name(x)}'")
    size = x.shape[-dims:]
    out = _check(x, kernel, stride, padding, dilation, ceil_mode)
    if dims == 2 and compiled.is_plain(x) and (pool := compiled.family("pool")):
        return pool.largest(x, kernel, stride, padding, dilation, out)
    if dims == 1 and not any(padding):
        reach = (out[0] - 1) * stride[0] + (kernel[0] - 1) * dilation[0]
        if reach < size[0] and compiled.is_plain(x) and (pool := compiled.family("pool")):
            return pool.largest_in_lines(x, kernel[0], stride[0], dilation[0], out[0])
    xp = module_of(x)
    full = padded(x, padding, _lowest(x.dtype), _reach(out, kernel, stride, dilation))
    real = x.dtype.kind not in "biu"
    best: Any = None
    offsets = []
    for i, (offset, part) in enumerate(parts(full, out, kernel, stride, dilation)):
        offsets.append(_flat([o * d for o, d in zip(offset, dilation)], size))
        if best is None:
            best = part.copy()
            which = xp.zeros(best.shape, np.int16 if math.prod(kernel) < 1 << 15 else np.int64)
            continue
        better = part > best
        if real:
            better |= part != part  # NaN wins, as in PyTorch
        xp.maximum(best, part, out=best)
        which = blend(better, xp.asarray(i, which.dtype), which)
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


def planes(x: Any, dims: int) -> Any:
    return x.reshape(math.prod(x.shape[:-dims]), math.prod(x.shape[-dims:]))


def _scatter_kernel(g: Any, index: Any, *, size: Any) -> Any:
    """Add each element of ``g`` to the position of its plane that ``index`` names."""
    dims = len(size)
    xp = module_of(g)
    flat, where = planes(g, dims), planes(index, dims)
    count = math.prod(size)
    if compiled.is_plain(flat) and where.flags.c_contiguous and (pool := compiled.family("pool")):
        return pool.scatter(flat, where, count).reshape(*g.shape[:-dims], *size)
    where = (where + xp.arange(len(flat), dtype=np.int64)[:, None] * count).reshape(-1)
    total = len(flat) * count
    if xp is np:
        result = np.bincount(where, flat.reshape(-1), total).astype(g.dtype, copy=False)
    else:
        result = xp.zeros(total, g.dtype)
        add_at(result, where, flat.reshape(-1))
    return result.reshape(*g.shape[:-dims], *size)


def _gather_kernel(x: Any, index: Any, *, dims: int) -> Any:
    """The element of each plane of ``x`` that ``index`` names: the adjoint of `_scatter_kernel`."""
    xp = module_of(x)
    picked = xp.take_along_axis(planes(x, dims), planes(index, dims), axis=1)
    return picked.reshape(index.shape)


def some_index(s: Any, *shape: int, below: int) -> Any:
    """Positions for the tests, some of them twice."""
    data = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
    return wrap(data * 3 % below)


MAX_SCATTER = op(
    "max_scatter", widening(_scatter_kernel), "grad index",
    grad=(lambda g, index, size: apply(MAX_GATHER, g, index, dims=len(size)), None),
    samples=lambda s: [
        ((s(2, 3, 4), some_index(s, 2, 3, 4, below=5)), {"size": (5,)}),
        ((s(1, 2, 2, 2), some_index(s, 1, 2, 2, 2, below=6)), {"size": (2, 3)}),
    ],
)  # fmt: skip
MAX_GATHER = op(
    "max_gather", _gather_kernel, "input index",
    grad=(lambda g, index, dims, n: apply(MAX_SCATTER, g, index, size=n.shape(0)[-dims:]), None),
    samples=lambda s: [((s(2, 3, 5), some_index(s, 2, 3, 4, below=5)), {"dims": 1})],
)  # fmt: skip


def constant(tensor: Any) -> Any:
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
        f"max_pool{dims}d", keeps_format(_max_kernel), "a",
        grad=(lambda g, y1, n, kernel: apply(
            MAX_SCATTER, g[0], constant(y1), size=tuple(n.shape(0)[-len(kernel):])),),
        flat="a",
        samples=lambda s: [((s(2, 1, *size),), meta) for meta in (base, odd, wide)],
    )  # fmt: skip


MAX_POOLS = {dims: _max_op(dims) for dims in (1, 2, 3)}


_NUMBERS = ("", "one", "two", "three")


def per_dimension(value: Any, dims: int, name: str, what: str) -> tuple[int, ...]:
    """An argument of a pooling function, for each spatial dimension."""
    omitted = "be omitted, a single int" if what == "stride" else "either be a single int"
    return spread(
        value, dims, f"{name}: {what} must {omitted}, or a tuple of {_NUMBERS[dims]} ints"
    )  # fmt: skip


def check_rank(input: Any, dims: int, name: str) -> None:
    """Refuse anything but (N, C, *) or (C, *) with elements in every sample."""
    low, high = dims + 1, dims + 2
    full = input.ndim in (low, high) and 0 not in input.shape[input.ndim - low :]
    if full:
        return
    got = list(input.shape)
    if dims == 3:
        if input.ndim not in (low, high):
            raise RuntimeError(
                f"{name}: non-empty {low}D or {high}D (batch mode) tensor expected for input, but "
                f"got: {got}"
            )
        at = next(i for i in range(input.ndim - low, input.ndim) if not got[i])
        raise RuntimeError(
            f"{name}: Expected input's non-batch dimensions to have positive length, but input has "
            f"a shape of {got} and non-batch dimension {at} has length zero!"
        )
    raise RuntimeError(
        f"{name}: Expected {low}D or {high}D (batch mode) tensor with optional 0 dim batch size "
        f"for input, but got:{got}"
    )


def _given(stride: Any) -> bool:
    """Whether a stride is given: PyTorch takes an empty list for none."""
    return stride is not None and stride != [] and stride != ()


def _max_pool(
    dims: int, input: Any, kernel: Any, stride: Any, padding: Any, dilation: Any,
    ceil_mode: bool, return_indices: bool,
) -> Any:  # fmt: skip
    name = f"max_pool{dims}d"
    window = per_dimension(kernel, dims, name, "kernel_size")
    steps = per_dimension(stride, dims, name, "stride") if _given(stride) else window
    around = per_dimension(padding, dims, name, "padding")
    spacing = per_dimension(dilation, dims, name, "dilation")
    _check_window(window, steps, around, spacing)
    check_rank(input, dims, name)
    values, index = apply(
        MAX_POOLS[dims], input, kernel=window, stride=steps, padding=around, dilation=spacing,
        ceil_mode=ceil_mode,
    )  # fmt: skip
    return (values, index) if return_indices else values


@function(namespaces=("", "nn.functional"), method=False, checks=True)
def max_pool1d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest element of each window of a signal; see `max_pool2d` for the arguments.

    Shapes: input (N, C, L) or (C, L), floating point; result (N, C, L') or (C, L').
    Raises: RuntimeError for another rank or a window that is empty, NotImplementedError for
    integers, as in PyTorch.

    >>> import framework as torch
    >>> torch.max_pool1d(torch.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[3., 2.]])
    """
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@function(namespaces=("", "nn.functional"), method=False, checks=True)
def max_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest element of each window of an image (minus infinity is padded).

    Shapes: input (N, C, H, W) or (C, H, W); result (N, C, H', W') with H' = (H + 2 padding -
    dilation (kernel - 1) - 1) / stride + 1, rounded down, or up in ``ceil_mode``. ``stride`` is the
    kernel's size unless given. RuntimeError for another rank, for padding of more than half a
    window or an output without elements.

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
    """The largest element of each window of a volume; see `max_pool2d` for the arguments.

    Shapes: input (N, C, D, H, W) or (C, D, H, W); result (N, C, D', H', W') or (C, D', H', W').
    RuntimeError for another rank or an output without elements.

    >>> import framework as torch
    >>> torch.max_pool3d(torch.arange(8.0).reshape(1, 2, 2, 2), 2)
    tensor([[[[7.]]]])
    """
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@function(namespaces=("", "nn.functional"), method=False)
def max_pool1d_with_indices(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """`max_pool1d` with the positions of its results: (values, int64 positions).

    >>> import framework as torch
    >>> torch.max_pool1d_with_indices(torch.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    (tensor([[3., 2.]]), tensor([[1, 2]]))
    """
    return max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


@function(namespaces=("nn.functional",), method=False)
def max_pool2d_with_indices(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """`max_pool2d` with the positions of its results: (values, int64 positions within a plane).

    >>> import framework as torch
    >>> x = torch.tensor([[[1.0, 2.0], [4.0, 3.0]]])
    >>> torch.nn.functional.max_pool2d_with_indices(x, 2)
    (tensor([[[4.]]]), tensor([[[2]]]))
    """
    return max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


@function(namespaces=("nn.functional",), method=False)
def max_pool3d_with_indices(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """`max_pool3d` with the positions of its results: (values, int64 positions within a volume).

    >>> import framework as torch
    >>> x = torch.arange(8.0).reshape(1, 2, 2, 2)
    >>> torch.nn.functional.max_pool3d_with_indices(x, 2)
    (tensor([[[[7.]]]]), tensor([[[[7]]]]))
    """
    return max_pool3d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


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
    if x.dtype.kind not in "fV" and x.dtype != np.int64:
        raise NotImplementedError(
            f"\"avg_pool{len(kernel)}d\" not implemented for '{type_name(x)}'"
        )
    out = _check(x, kernel, stride, padding, unit, ceil_mode)
    full = padded(x, padding, 0, _reach(out, kernel, stride, unit))
    total: Any = None
    for _, part in parts(full, out, kernel, stride, unit):
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
    for _, part in parts(full, out, kernel, stride, unit):
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
        return out_size(size, meta["kernel"], meta["stride"], meta["padding"], (1,) * dims,
                         meta["ceil_mode"])  # fmt: skip

    kernel = keeps_format(widening(_avg_kernel)) if dims == 2 else widening(_avg_kernel)
    avg = op(
        f"avg_pool{dims}d", kernel, "a",
        grad=(lambda g, n: apply(undo, g, **n.meta),), flat="a",
        samples=lambda s: [((s(2, 1, *size),), meta) for meta in (base, odd)],
    )  # fmt: skip
    undo = op(
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
    name = f"avg_pool{dims}d"
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    window = per_dimension(kernel, dims, name, "kernel_size")
    steps = per_dimension(stride, dims, name, "stride") if _given(stride) else window
    around = per_dimension(padding, dims, name, "padding")
    _check_window(window, steps, around, (1,) * dims)
    check_rank(input, dims, name)
    return apply(
        AVG_POOLS[dims], input, size=tuple(input.shape[-dims:]), kernel=window, stride=steps,
        padding=around, ceil_mode=ceil_mode,
        count_include_pad=count_include_pad, divisor_override=divisor_override,
    )  # fmt: skip


@function(namespaces=("", "nn.functional"), method=False, checks=True)
def avg_pool1d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:  # fmt: skip
    """The mean of each window of a signal; see `avg_pool2d` for the arguments.

    Shapes: input (N, C, L) or (C, L); result (N, C, L') or (C, L'). RuntimeError for another rank
    or for padding of more than half a window.

    >>> import framework as torch
    >>> torch.avg_pool1d(torch.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[2., 1.]])
    """
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


@function(namespaces=("nn.functional",), method=False, checks=True, out=True)
def avg_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Any:  # fmt: skip
    """The mean of each window of an image.

    Shapes: input (N, C, H, W) or (C, H, W); result as of `max_pool2d`. RuntimeError for another
    rank, for padding of more than half a window or a divisor of 0.

    Args:
        count_include_pad: the padded zeros count as elements.
        divisor_override: divide the sums by this number instead.

    >>> import framework as torch
    >>> torch.nn.functional.avg_pool2d(torch.tensor([[[1.0, 2.0], [4.0, 3.0]]]), 2)
    tensor([[[2.5000]]])
    """
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
                     divisor_override)  # fmt: skip


@function(namespaces=("nn.functional",), method=False, checks=True, out=True)
def avg_pool3d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Any:  # fmt: skip
    """The mean of each window of a volume; see `avg_pool2d` for the arguments.

    Shapes: input (N, C, D, H, W) or (C, D, H, W); result (N, C, D', H', W') or (C, D', H', W').
    RuntimeError for another rank, for padding of more than half a window or a divisor of 0.

    >>> import framework as torch
    >>> torch.nn.functional.avg_pool3d(torch.arange(8.0).reshape(1, 2, 2, 2), 2)
    tensor([[[[3.5000]]]])
    """
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
                     divisor_override)  # fmt: skip
