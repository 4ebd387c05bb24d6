"""Convolutions in one, two and three dimensions, and what undoes them.

The sum Σ g[n,o,p] w[o,c,k] x[n,c,p·stride+k·dilation-padding] is linear in x, w and g. Its three
derivatives are the three primitives here: with respect to g the convolution, to x
``conv_input`` (the transposed convolution), to w ``conv_weight``. Each one's gradients are the
other two, so gradients of any order stay in this file.

Kernels unfold patches into columns (N, groups, C/groups · K, positions) and multiply matrices, a
part of the batch at a time, so that the columns stay small.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from framework.cautions import caution_once
from framework.core.dispatch import apply, composite
from framework.core.registry import Op, function, op
from framework.kernels import compiled, module_of
from framework.kernels import conv as host
from framework.kernels.floats import type_name, wide
from framework.layout import keeps_format
from framework.ops.windows import padded, parts, spread

__all__ = [
    "conv1d", "conv2d", "conv3d", "conv_tbc", "conv_transpose1d", "conv_transpose2d",
    "conv_transpose3d",
]  # fmt: skip

# Elements of the unfolded patches at a time. On a CPU they should stay in its cache, and below the
# size from which every allocation is fresh pages (measured: 3 times as fast as 16 MiB).
_COLUMNS = 1 << 18
_COLUMNS_CUDA = 1 << 26


# -- patches ----------------------------------------------------------------------------------


def columns_of(x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, out: Any) -> Any:
    """Patches (N, C, *kernel, *out) of ``x`` (N, C, *size)."""
    if all(k == 1 for k in kernel) and all(s == 1 for s in stride) and not any(padding):
        return x.reshape(*x.shape[:2], *kernel, *out)
    x = padded(x, padding)
    result = module_of(x).empty((*x.shape[:2], *kernel, *out), x.dtype)
    for offset, part in parts(x, out, kernel, stride, dilation):
        result[(slice(None), slice(None), *offset)] = part
    return result


def sum_columns(
    columns: Any, size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, out: Any
) -> Any:
    """The adjoint of `columns_of`: add patches up where they came from."""
    if all(k == 1 for k in kernel) and all(s == 1 for s in stride) and not any(padding):
        return columns.reshape(*columns.shape[:2], *size)
    xp = module_of(columns)
    full = xp.zeros((*columns.shape[:2], *[n + 2 * p for n, p in zip(size, padding)]),
                    columns.dtype)  # fmt: skip
    for offset, part in parts(full, out, kernel, stride, dilation):
        part += columns[(slice(None), slice(None), *offset)]
    return full[(..., *[slice(p, p + n) for p, n in zip(padding, size)])]


def _chunks(x: Any, each: int) -> Iterator[slice]:
    """Parts of the batch with ``each`` elements of columns per image."""
    room = _COLUMNS if module_of(x) is np else _COLUMNS_CUDA
    step = max(1, room // max(each, 1))
    return (slice(i, i + step) for i in range(0, len(x), step))


# -- kernels ----------------------------------------------------------------------------------


def out_size(size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> tuple[int, ...]:
    return tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation)
    )


def _conv_kernel(
    x: Any, w: Any, b: Any, *, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    _check(x, w, b, stride, padding, dilation, groups)
    dtype, kernel = x.dtype, w.shape[2:]
    x, w = wide(x), wide(w)
    out = out_size(x.shape[2:], kernel, stride, padding, dilation)
    if windows := _compiled("windows", x, w, len(w), groups):
        given = None if b is None else wide(b)
        y = windows.convolve(x, w, given, stride, padding, dilation, out, groups)
        return y.astype(dtype, copy=False)
    y = _convolved(x, w, stride, padding, dilation, out, groups)
    if b is not None:
        y += wide(b).reshape(-1, *[1] * len(out))
    return y.astype(dtype, copy=False)


def _convolved(
    x: Any, w: Any, stride: Any, padding: Any, dilation: Any, out: Any, groups: int
) -> Any:  # fmt: skip
    kernel = w.shape[2:]
    if rows := _rows_of_three(x, kernel, stride, dilation, groups, len(w), out):
        flat = np.zeros((len(w), 1, 3, 3), w.dtype)
        flat[:, :, 1] = w
        return rows.convolve(x[:, :, None], flat, (1, *padding), (1, *out))[:, :, 0]
    if depthwise := _compiled("depthwise", x, w, len(w), kernel, stride, dilation, groups, out):
        return depthwise.convolve(x, w, padding, out)
    if module_of(x) is np and x.size and w.size and host.pays(w.shape[1], kernel):
        return host.by_rows(padded(x, padding), w, stride, dilation, out, groups)
    batch, channels = x.shape[:2]
    y = module_of(x).empty((batch, w.shape[0], *out), x.dtype)
    inner = channels // groups * math.prod(kernel)
    matrix = w.reshape(groups, w.shape[0] // groups, inner)
    positions = math.prod(out)
    for part in _chunks(x, groups * inner * positions):
        columns = columns_of(x[part], kernel, stride, padding, dilation, out)
        columns = columns.reshape(-1, groups, inner, positions)
        y[part] = (matrix @ columns).reshape(-1, w.shape[0], *out)
    return y


def _compiled(name: str, x: Any, other: Any, *which: Any) -> Any:
    """A family of compiled kernels, for windows and images that it is made for."""
    if x.__class__ is not np.ndarray or x.size < compiled.LARGE or x.ndim != 4 or not other.size:
        return None
    found = compiled.family(name)
    return found if found and found.fits(x, *which) else None


def _rows_of_three(
    x: Any, kernel: Any, stride: Any, dilation: Any, groups: int, outs: int, out: Any
) -> Any:  # fmt: skip
    """The kernels of images for lines, as images of one row: of windows with three taps."""
    if x.__class__ is not np.ndarray or x.ndim != 3 or tuple(kernel) != (3,):
        return None
    return _compiled("depthwise", x[:, :, None], x, outs, (3, 3), (1, *stride), (1, *dilation),
                     groups, (1, *out))  # fmt: skip


def _input_kernel(
    g: Any, w: Any, *, size: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    dtype, kernel, out = g.dtype, w.shape[2:], g.shape[2:]
    g, w = wide(g), wide(w)
    if windows := _compiled("windows", g, w, w.shape[1] * groups, groups):
        x = windows.input_gradient(g, w, size, stride, padding, dilation, groups)
        return x.astype(dtype, copy=False)
    around = tuple([d * (k - 1) - p for d, k, p in zip(dilation, kernel, padding)])
    plain = all(s == 1 for s in stride) and min(around) >= 0 and kernel[0] > 1
    plain = plain and (w.shape[1] >= 8 or w.shape[:2] == (groups, 1))
    if plain and module_of(g) is np and size == out_size(out, kernel, stride, around, dilation):
        swapped = _swapped(w, groups)
        x = _convolved(g, swapped, stride, around, dilation, size, groups)
        return x.astype(dtype, copy=False)
    batch, channels = g.shape[0], w.shape[1] * groups
    x = module_of(g).empty((batch, channels, *size), g.dtype)
    inner = w.shape[1] * math.prod(kernel)
    matrix = w.reshape(groups, w.shape[0] // groups, inner).transpose(0, 2, 1)
    positions = math.prod(out)
    for part in _chunks(g, groups * inner * positions):
        rows = g[part].reshape(-1, groups, w.shape[0] // groups, positions)
        columns = (matrix @ rows).reshape(-1, channels, *kernel, *out)
        x[part] = sum_columns(columns, size, kernel, stride, padding, dilation, out)
    return x.astype(dtype, copy=False)


def _swapped(w: Any, groups: int) -> Any:
    """The windows that convolve the other way: mirrored, inputs and outputs exchanged."""
    dims = w.ndim - 2
    w = w[(..., *[slice(None, None, -1)] * dims)]
    w = w.reshape(groups, w.shape[0] // groups, *w.shape[1:]).swapaxes(1, 2)
    return w.reshape(-1, *w.shape[2:])


def _weight_kernel(
    x: Any, g: Any, *, kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    dtype, out = x.dtype, g.shape[2:]
    x, g = wide(x), wide(g)
    xp = module_of(x)
    channels = x.shape[1]
    if windows := _compiled("windows", x, g, g.shape[1], groups):
        found = windows.weight_gradient(x, g, kernel, stride, padding, dilation, groups)
        return found.astype(dtype, copy=False)
    if rows := _rows_of_three(x, kernel, stride, dilation, groups, g.shape[1], out):
        found = rows.weight_gradient(x[:, :, None], g[:, :, None], (1, *padding))
        if found is not None:
            return found[:, :, 1].astype(dtype)
    if depthwise := _compiled("depthwise", x, g, channels, kernel, stride, dilation, groups, out):
        found = depthwise.weight_gradient(x, g, padding)
        if found is not None:
            return found.astype(dtype, copy=False)
    if xp is np and x.size and g.size:
        if groups > 1 and channels == g.shape[1] == groups:
            found = host.depthwise_weight(padded(x, padding), g, kernel, stride, dilation)
            return found.astype(dtype, copy=False)
        if host.pays(channels // groups, kernel):
            found = host.weight_by_rows(padded(x, padding), g, kernel, stride, dilation, groups)
            return found.astype(dtype, copy=False)
    inner = channels // groups * math.prod(kernel)
    per_group = g.shape[1] // groups
    positions = math.prod(out)
    total = xp.zeros((groups, per_group, inner), x.dtype)
    for part in _chunks(x, groups * inner * positions):
        columns = columns_of(x[part], kernel, stride, padding, dilation, out)
        columns = columns.reshape(-1, groups, inner, positions)
        rows = g[part].reshape(-1, groups, per_group, positions)
        if groups == 1 and positions * len(rows) <= 1 << 16:  # one product for all images
            total[0] += xp.tensordot(rows[:, 0], columns[:, 0], axes=([0, 2], [0, 2]))
        else:
            total += (rows @ columns.transpose(0, 1, 3, 2)).sum(axis=0)
    return total.reshape(g.shape[1], channels // groups, *kernel).astype(dtype, copy=False)


def _transpose_kernel(
    x: Any, w: Any, b: Any, *, size: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    _check_transpose(x, w, b, size, stride, padding, dilation, groups)
    y = _input_kernel(x, w, size=size, stride=stride, padding=padding, dilation=dilation,
                      groups=groups)  # fmt: skip
    return y if b is None else y + b.reshape(-1, *[1] * len(size))


# -- checks -----------------------------------------------------------------------------------


def _check(x: Any, w: Any, b: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> None:
    """Refuse what cannot be convolved, in PyTorch's words."""
    _check_types(x, w, b, "fVciu")
    _check_steps(stride, padding, dilation, groups)
    if w.ndim < 3:
        raise ValueError("weight should have at least three dimensions")
    if 0 in w.shape[2:]:
        raise ValueError(f"kernel size should be greater than zero, but got {list(w.shape[2:])}")
    if w.ndim != x.ndim:
        raise ValueError(
            f"Expected {w.ndim}-dimensional input for {w.ndim}-dimensional weight "
            f"{list(w.shape)}, but got {x.ndim}-dimensional input of size {list(x.shape)} instead"
        )
    if w.shape[0] % groups or w.shape[0] < groups:
        raise ValueError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0 and "
            f"divisible by it, but got weight of size {list(w.shape)} instead"
        )
    if x.shape[1] != w.shape[1] * groups:
        raise ValueError(
            f"Given groups={groups}, weight of size {list(w.shape)}, expected "
            f"input{list(x.shape)} to have {w.shape[1] * groups} channels, but got {x.shape[1]} "
            "channels instead"
        )
    _check_bias(b, w, w.shape[0])
    padded = [n + 2 * p for n, p in zip(x.shape[2:], padding)]
    needed = [d * (k - 1) + 1 for k, d in zip(w.shape[2:], dilation)]
    if any(k > n for k, n in zip(needed, padded)):
        raise ValueError(
            f"Calculated padded input size per channel: ({_times(padded)}). Kernel size: "
            f"({_times(needed)}). Kernel size can't be greater than actual input size"
        )


def _check_transpose(
    x: Any, w: Any, b: Any, size: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> None:
    _check_types(x, w, b)
    _check_steps(stride, padding, dilation, groups)
    if w.ndim != x.ndim or x.shape[1] != w.shape[0] or w.shape[0] % groups:
        raise ValueError(
            f"Given transposed=1, weight of size {list(w.shape)}, expected input{list(x.shape)} to "
            f"have {w.shape[0]} channels, but got {x.shape[1]} channels instead"
        )
    _check_bias(b, w, w.shape[1] * groups)
    if min(size) <= 0:
        raise ValueError(
            f"Given input size per channel: ({_times(x.shape[2:])}). Calculated output size per "
            f"channel: ({_times(size)}). Output size is too small"
        )


def _check_types(x: Any, w: Any, b: Any, kinds: str = "fVc") -> None:
    if x.dtype.kind not in kinds and x.dtype != np.int64:
        raise NotImplementedError(f"\"conv\" not implemented for '{type_name(x)}'")
    for other, name in ((w, "weight"), (b, "bias")):
        if other is not None and other.dtype != x.dtype:
            raise ValueError(
                f"Input type ({type_name(x).lower()}) and {name} type "
                f"({type_name(other).lower()}) should be the same"
            )


def _check_steps(stride: Any, padding: Any, dilation: Any, groups: int) -> None:
    if groups <= 0:
        raise ValueError("non-positive groups is not supported")
    if min(padding) < 0:
        raise ValueError("negative padding is not supported")
    if min(stride) <= 0:
        raise ValueError("non-positive stride is not supported")
    if min(dilation) <= 0:
        raise ValueError("dilation should be greater than zero")


def _check_bias(b: Any, w: Any, channels: int) -> None:
    if b is not None and b.shape != (channels,):
        raise ValueError(
            f"Given weight of size {list(w.shape)}, expected bias to be 1-dimensional with "
            f"{channels} elements, but got bias of size {list(b.shape)} instead"
        )


def _times(sizes: Any) -> str:
    return " x ".join(str(n) for n in sizes)


# -- the ops ----------------------------------------------------------------------------------


def _steps(meta: dict[str, Any]) -> dict[str, Any]:
    return {key: meta[key] for key in ("stride", "padding", "dilation", "groups")}


def _channel_sum(g: Any) -> Any:
    return g.sum((0, *range(2, g.ndim)))


def _family(dims: int) -> tuple[Op, Op]:
    """The four primitives for this many spatial dimensions; returns conv and conv_transpose."""
    unit = {"stride": (1,) * dims, "padding": (0,) * dims, "dilation": (1,) * dims, "groups": 1}
    odd = {"stride": (2, 1, 1)[:dims], "padding": (1, 2, 0)[:dims],
           "dilation": (2, 1, 1)[:dims], "groups": 2}  # fmt: skip
    size = (5, 4, 2)[:dims]
    out = out_size(size, (2,) * dims, odd["stride"], odd["padding"], odd["dilation"])
    kernel = (2,) * dims

    def to_input(g: Any, w: Any, meta: dict[str, Any], size: Any) -> Any:
        return apply(INPUT, g, w, size=tuple(size), **_steps(meta))

    def to_weight(x: Any, g: Any, meta: dict[str, Any], kernel: Any) -> Any:
        return apply(WEIGHT, x, g, kernel=tuple(kernel), **_steps(meta))

    def conv(x: Any, w: Any, meta: dict[str, Any], size: Any) -> Any:
        out = apply(CONV, x, w, None, **_steps(meta))
        if tuple(out.shape[2:]) != tuple(size):  # an output_padding of a stride or more
            out = out[(..., *[slice(n) for n in size])]
        return out

    CONV = op(
        f"conv{dims}d", keeps_format(_conv_kernel, 2), "input weight bias",
        grad=(
            lambda g, weight, n: to_input(g, weight, n.meta, n.shape(0)[2:]),
            lambda g, input, n: to_weight(input, g, n.meta, n.shape(1)[2:]),
            lambda g: _channel_sum(g),
        ),
        fused="input weight",
        samples=lambda s: [
            ((s(2, 2, *size), s(3, 2, *kernel), s(3)), unit),
            ((s(1, 4, *size), s(2, 2, *kernel), None), odd),
        ],
    )  # fmt: skip
    INPUT = op(
        f"conv{dims}d_input", _input_kernel, "grad weight",
        grad=(
            lambda g, weight, n: conv(g, weight, n.meta, n.shape(0)[2:]),
            lambda g, grad, n: to_weight(g, grad, n.meta, n.shape(1)[2:]),
        ),
        samples=lambda s: [((s(1, 2, *out), s(2, 2, *kernel)), {"size": size, **odd})],
    )  # fmt: skip
    WEIGHT = op(
        f"conv{dims}d_weight", _weight_kernel, "input grad",
        grad=(
            lambda g, grad, n: to_input(grad, g, n.meta, n.shape(0)[2:]),
            lambda g, input, n: conv(input, g, n.meta, n.shape(1)[2:]),
        ),
        samples=lambda s: [((s(2, 4, *size), s(2, 2, *out)), {"kernel": kernel, **odd})],
    )  # fmt: skip
    TRANSPOSE = op(
        f"conv_transpose{dims}d", keeps_format(_transpose_kernel, 2), "input weight bias",
        grad=(
            lambda g, weight, n: conv(g, weight, n.meta, n.shape(0)[2:]),
            lambda g, input, n: to_weight(g, input, n.meta, n.shape(1)[2:]),
            lambda g: _channel_sum(g),
        ),
        fused="input weight",
        samples=lambda s: [
            ((s(1, 2, *out), s(2, 2, *kernel), s(4)), {"size": size, **odd}),
        ],
    )  # fmt: skip
    return CONV, TRANSPOSE


CONVS = {dims: _family(dims) for dims in (1, 2, 3)}


# -- the functions ----------------------------------------------------------------------------


def per_dimension(value: Any, dims: int, name: str) -> tuple[int, ...]:
    """An argument of a convolution, for each spatial dimension."""
    return spread(
        value, dims,
        f"expected {name} to be a single integer value or a list of {dims} values to match the "
        f"convolution dimensions, but got {name}={value}",
    )  # fmt: skip


def _convolve(
    dims: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any,
    groups: int,
) -> Any:  # fmt: skip
    record = CONVS[dims][0]
    batched = _batched(input, dims, record.name)
    steps = per_dimension(stride, dims, "stride")
    spacing = per_dimension(dilation, dims, "dilation")
    if isinstance(padding, str):
        batched, around = _named_padding(batched, weight, padding, steps, spacing, record.name)
    else:
        around = per_dimension(padding, dims, "padding")
    out = apply(record, batched, weight, bias, stride=steps, padding=around, dilation=spacing,
                groups=groups)  # fmt: skip
    return out if batched.ndim == input.ndim else out.squeeze(0)


def _batched(input: Any, dims: int, name: str) -> Any:
    if input.ndim == dims + 2:
        return input
    if input.ndim == dims + 1:
        return input.unsqueeze(0)
    raise RuntimeError(
        f"Expected {dims + 1}D (unbatched) or {dims + 2}D (batched) input to {name}, but got "
        f"input of size: {list(input.shape)}"
    )


def _named_padding(
    input: Any, weight: Any, padding: str, stride: Any, dilation: Any, name: str
) -> tuple[Any, tuple[int, ...]]:
    """Padding "same" or "valid" as numbers; an odd total is made even by padding the input."""
    dims = len(stride)
    if padding == "valid":
        return input, (0,) * dims
    if padding != "same":
        raise RuntimeError(f"{name}: Invalid padding string: '{padding}'")
    if any(s != 1 for s in stride):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    totals = [d * (k - 1) for k, d in zip(weight.shape[2:], dilation)]
    if any(t % 2 for t in totals):
        from framework.ops.padding import pad

        caution_once(
            "Using padding='same' with even kernel lengths and odd dilation may require a "
            "zero-padded copy of the input be created"
        )

        right = [t % 2 for t in totals]
        input = pad(input, [p for r in reversed(right) for p in (0, r)])
    return input, tuple(t // 2 for t in totals)


@function(namespaces=("", "nn.functional"), method=False)
def conv1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Any:  # fmt: skip
    """Cross-correlation of a signal with ``weight``; see `conv2d` for the arguments.

    Shapes: input (N, C, L) or (C, L), weight (O, C/groups, K), bias (O,) or None; result (N, O, L')
    or (O, L'). RuntimeError for sizes or types that do not match.

    >>> import framework as torch
    >>> torch.conv1d(torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[[-1.0, 1.0]]]))
    tensor([[1., 2.]])
    """
    return _convolve(1, input, weight, bias, stride, padding, dilation, groups)


@function(namespaces=("", "nn.functional"), method=False)
def conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Any:  # fmt: skip
    """Cross-correlation of images with ``weight``.

    Shapes: input (N, C, H, W) or (C, H, W), weight (O, C/groups, KH, KW), bias (O,) or None;
    result (N, O, H', W') with H' = (H + 2 padding - dilation (KH - 1) - 1) // stride + 1.
    RuntimeError for sizes or types that do not match.

    Args:
        padding: zeros on both sides: an int, one per dimension, "valid" (none) or "same"
            (the result has the input's size; stride 1 only).

    >>> import framework as torch
    >>> torch.conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2)).shape
    torch.Size([1, 1, 2, 2])
    """
    return _convolve(2, input, weight, bias, stride, padding, dilation, groups)


@function(namespaces=("", "nn.functional"), method=False)
def conv3d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Any:  # fmt: skip
    """Cross-correlation of volumes with ``weight``; see `conv2d` for the arguments.

    Shapes: input (N, C, D, H, W) or (C, D, H, W), weight (O, C/groups, KD, KH, KW), bias (O,) or
    None; result (N, O, D', H', W'). RuntimeError for sizes or types that do not match.

    >>> import framework as torch
    >>> torch.conv3d(torch.ones(1, 1, 3, 3, 3), torch.ones(4, 1, 2, 2, 2), padding="same").shape
    torch.Size([1, 4, 3, 3, 3])
    """
    return _convolve(3, input, weight, bias, stride, padding, dilation, groups)


def _deconvolve(
    dims: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any,
    output_padding: Any, groups: int, dilation: Any,
) -> Any:  # fmt: skip
    record = CONVS[dims][1]
    batched = _batched(input, dims, record.name)
    steps, around = per_dimension(stride, dims, "stride"), per_dimension(padding, dims, "padding")
    spacing = per_dimension(dilation, dims, "dilation")
    more = per_dimension(output_padding, dims, "output_padding")
    if any(m >= max(s, d) for m, s, d in zip(more, steps, spacing)):
        raise RuntimeError(
            "output padding must be smaller than either stride or dilation, but got "
            f"output_padding={list(more)}, stride={list(steps)}, dilation={list(spacing)}"
        )
    size = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + m + 1
        for n, s, p, d, k, m in zip(
            batched.shape[2:], steps, around, spacing, weight.shape[2:], more
        )
    )
    out = apply(record, batched, weight, bias, size=size, stride=steps, padding=around,
                dilation=spacing, groups=groups)  # fmt: skip
    return out if batched.ndim == input.ndim else out.squeeze(0)


@function(namespaces=("", "nn.functional"), method=False)
def conv_transpose1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Any:  # fmt: skip
    """The gradient of `conv1d` with respect to its input, as a layer of its own.

    Shapes: input (N, C, L) or (C, L), weight (C, O/groups, K), bias (O,) or None; result (N, O, L')
    with L' as of `conv_transpose2d`. RuntimeError for sizes or types that do not match.

    >>> import framework as torch
    >>> torch.conv_transpose1d(torch.tensor([[1.0, 2.0]]), torch.tensor([[[1.0, 10.0]]]), stride=2)
    tensor([[ 1., 10.,  2., 20.]])
    """
    return _deconvolve(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


@function(namespaces=("", "nn.functional"), method=False)
def conv_transpose2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Any:  # fmt: skip
    """The gradient of `conv2d` with respect to its input, as a layer of its own.

    Shapes: input (N, C, H, W) or (C, H, W), weight (C, O/groups, KH, KW), bias (O,) or None;
    result (N, O, H', W'), H' = (H - 1) stride - 2 padding + dilation (KH - 1) + output_padding + 1.
    RuntimeError for sizes that do not match, or an ``output_padding`` that is not smaller than
    the stride or the dilation.

    >>> import framework as torch
    >>> x, w = torch.ones(1, 8, 4, 4), torch.ones(8, 3, 2, 2)
    >>> torch.conv_transpose2d(x, w, stride=2).shape
    torch.Size([1, 3, 8, 8])
    """
    return _deconvolve(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


@function(namespaces=("", "nn.functional"), method=False)
def conv_transpose3d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Any:  # fmt: skip
    """The gradient of `conv3d` with respect to its input, as a layer of its own.

    Shapes: input (N, C, D, H, W) or (C, D, H, W), weight (C, O/groups, KD, KH, KW), bias (O,) or
    None; sizes and errors as of `conv_transpose2d`.

    >>> import framework as torch
    >>> torch.conv_transpose3d(torch.ones(1, 8, 2, 2, 2), torch.ones(8, 3, 2, 2, 2), stride=2).shape
    torch.Size([1, 3, 4, 4, 4])
    """
    return _deconvolve(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


@function(namespaces=("", "nn.functional"), method=False, checks=True)
@composite
def conv_tbc(input: Any, weight: Any, bias: Any, pad: int = 0) -> Any:
    """`conv1d` with the time first, and ``pad`` zeros at both of its ends.

    Shapes: input (T, N, C), weight (K, C, O), bias (O,); result (T', N, O) with
    T' = T + 2 pad - K + 1. RuntimeError for other ranks or sizes that do not match.

    >>> import framework as torch
    >>> torch.conv_tbc(torch.ones(5, 2, 3), torch.ones(3, 3, 4), torch.zeros(4), pad=1).shape
    torch.Size([5, 2, 4])
    """
    for x, name, rank in ((input, "Input", 3), (weight, "Weight", 3), (bias, "Bias", 1)):
        if x.ndim != rank:
            raise RuntimeError(f"{name} must have {rank} dims")
    y = conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, padding=pad)
    return y.permute(2, 0, 1)
