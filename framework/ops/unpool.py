"""What is built on pooling: max_unpool, Lp pooling and fractional max pooling."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.dispatch import apply, composite, no_gradient
from framework.core.registry import Op, function, op
from framework.kernels import module_of
from framework.kernels.floats import real_floating, type_name
from framework.ops.pool import (
    MAX_GATHER,
    MAX_SCATTER,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    constant,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    per_dimension,
    planes,
    some_index,
)  # fmt: skip
from framework.ops.random import rand
from framework.ops.select import relu

__all__ = [
    "fractional_max_pool2d", "fractional_max_pool2d_with_indices", "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices", "lp_pool1d", "lp_pool2d", "lp_pool3d", "max_unpool1d",
    "max_unpool2d", "max_unpool3d",
]  # fmt: skip


# -- max unpooling ----------------------------------------------------------------------------


def _place_kernel(x: Any, index: Any, *, size: Any) -> Any:
    """Zeros, but for the elements of ``x`` at the positions of their plane; the last one stays."""
    dims = len(size)
    xp = module_of(x)
    real_floating(x, f"max_unpool{dims}d")
    flat, where = planes(x, dims), planes(index, dims)
    count = math.prod(size)
    if where.size and not (int(where.min()) >= 0 and int(where.max()) < count):
        wrong = where[(where < 0) | (where >= count)].reshape(-1)[0]
        raise ValueError(
            f"Found an invalid max index: {int(wrong)} (output volumes are of size "
            f"{'x'.join(str(n) for n in size)})"
        )
    result = xp.zeros((len(flat), count), x.dtype)
    result[xp.arange(len(flat))[:, None], where] = flat
    return result.reshape(*x.shape[: x.ndim - dims], *size)


def _unpool_op(dims: int) -> Op:
    size, given = (3, 4, 2)[-dims:], (2, 2, 1)[-dims:]
    count = math.prod(given)
    return op(
        f"max_unpool{dims}d", _place_kernel, "input index",
        grad=(lambda g, index, size: apply(MAX_GATHER, g, index, dims=len(size)), None),
        samples=lambda s: [
            ((s(2, *given), some_index(s, 2, *given, below=count)), {"size": size})
        ],
    )  # fmt: skip


UNPOOLS = {dims: _unpool_op(dims) for dims in (1, 2, 3)}


def _unpooled(
    dims: int, input: Any, indices: Any, kernel_size: Any, stride: Any, padding: Any,
    output_size: Any,
) -> Any:  # fmt: skip
    name = f"max_unpool{dims}d"
    kernel = per_dimension(kernel_size, dims, name, "kernel_size")
    steps = kernel if stride is None else per_dimension(stride, dims, name, "stride")
    around = per_dimension(padding, dims, name, "padding")
    if indices.dtype is not dtypes.int64:
        raise RuntimeError(
            f"elements in indices should be type int64 but got: {type_name(indices._data)}"
        )
    if input.ndim not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"Input to max_unpooling{dims}d should be a {dims + 1}d or {dims + 2}d Tensor, but got "
            f"a tensor with {input.ndim} dimensions."
        )
    if input.shape != indices.shape:
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor "
            f"({list(input.shape)}) but got indices tensor with shape: {list(indices.shape)}"
        )
    if 0 in input.shape[1:]:
        raise RuntimeError(
            f"max_unpooling{dims}d(): Expected input to have non-zero size for non-batch "
            f"dimensions, but got {list(input.shape)}"
        )
    usual = [(n - 1) * s + k - 2 * p for n, s, k, p in zip(
        input.shape[-dims:], steps, kernel, around)]  # fmt: skip
    size = _allowed(usual, steps, output_size)
    return apply(UNPOOLS[dims], input, indices, size=size)


def _allowed(usual: Any, steps: Any, output_size: Any) -> tuple[int, ...]:
    """The output's size: the usual one, or another that pooling would bring to the same."""
    dims = len(usual)
    if output_size is None:
        size = tuple(usual)
    else:
        given = tuple(output_size)
        size = given[2:] if len(given) == dims + 2 else given
        if len(size) != dims:
            raise ValueError(
                f"output_size should be a sequence containing {dims} or {dims + 2} elements, but "
                f"it has a length of '{len(size)}'"
            )
        for d, (n, m, s) in enumerate(zip(size, usual, steps)):
            if not m - s < n < m + s:
                raise ValueError(
                    f'invalid output_size "{size}" (dim {d} must be between {m - s} and {m + s})'
                )
    for d, n in enumerate(size):
        if n < 0:
            raise ValueError(
                "max_unpooling: output_size must contain non-negative spatial dimensions, but got "
                f"output_size[{d}]={n}"
            )
    return tuple([int(n) for n in size])


@function(namespaces=("nn.functional",), method=False, checks=True)
def max_unpool1d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
    output_size: Any = None,
) -> Any:  # fmt: skip
    """The partial inverse of `max_pool1d`; see `max_unpool2d` for the arguments.

    Shapes: input and indices (N, C, L) or (C, L). Raises: RuntimeError for indices that are not
    int64 or of another shape, ValueError for an ``output_size`` that cannot be.

    >>> import framework as torch
    >>> F = torch.nn.functional
    >>> F.max_unpool1d(*F.max_pool1d(torch.tensor([[1.0, 3.0, 2.0]]), 2, return_indices=True), 2)
    tensor([[0., 3.]])
    """
    return _unpooled(1, input, indices, kernel_size, stride, padding, output_size)


@function(namespaces=("nn.functional",), method=False, checks=True)
def max_unpool2d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
    output_size: Any = None,
) -> Any:  # fmt: skip
    """The partial inverse of `max_pool2d`: its results at their places, zeros elsewhere.

    Shapes: input and indices (N, C, H, W) or (C, H, W). RuntimeError for indices that are not int64
    or of another shape, ValueError for an ``output_size`` that cannot be.

    Args:
        indices: the positions that the pooling returned.
        output_size: of the sizes that are pooled to the input's, this one.

    >>> import framework as torch
    >>> F = torch.nn.functional
    >>> x = torch.tensor([[[1.0, 2.0], [4.0, 3.0]]])
    >>> F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2)
    tensor([[[0., 0.],
             [4., 0.]]])
    """
    return _unpooled(2, input, indices, kernel_size, stride, padding, output_size)


@function(namespaces=("nn.functional",), method=False, checks=True)
def max_unpool3d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
    output_size: Any = None,
) -> Any:  # fmt: skip
    """The partial inverse of `max_pool3d`; see `max_unpool2d` for the arguments.

    Shapes: input and indices (N, C, D, H, W) or (C, D, H, W). Raises: RuntimeError for indices that
    are not int64 or of another shape, ValueError for an ``output_size`` that cannot be.

    >>> import framework as torch
    >>> F = torch.nn.functional
    >>> values, where = F.max_pool3d(torch.arange(8.0).reshape(1, 2, 2, 2), 2, return_indices=True)
    >>> F.max_unpool3d(values, where, 2).flatten()
    tensor([0., 0., 0., 0., 0., 0., 0., 7.])
    """
    return _unpooled(3, input, indices, kernel_size, stride, padding, output_size)


# -- Lp pooling -------------------------------------------------------------------------------


def _lp_pool(
    dims: int, input: Any, norm_type: float, kernel_size: Any, stride: Any, ceil_mode: bool
) -> Any:
    """(Σ xᵖ over each window) to the power 1/p; negative sums become zero."""
    kernel = per_dimension(kernel_size, dims, f"lp_pool{dims}d", "kernel_size")
    largest = (max_pool1d, max_pool2d, max_pool3d)[dims - 1]
    mean = (avg_pool1d, avg_pool2d, avg_pool3d)[dims - 1]
    if norm_type == math.inf:
        return largest(input.abs(), kernel, stride, 0, 1, ceil_mode)
    if norm_type == -math.inf:
        return -largest(-input.abs(), kernel, stride, 0, 1, ceil_mode)
    means = mean(input.pow(norm_type), kernel, stride, 0, ceil_mode)
    return (means.sign() * relu(means.abs()) * math.prod(kernel)).pow(1.0 / norm_type)


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def lp_pool1d(
    input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Any:
    """The p-norm (p = ``norm_type``) of each window of a signal; see `lp_pool2d`.

    Shapes: input (N, C, L) or (C, L); result (N, C, L') or (C, L'). RuntimeError for another rank.

    >>> import framework as torch
    >>> torch.nn.functional.lp_pool1d(torch.tensor([[3.0, 4.0, 0.0, 1.0]]), 2, 2)
    tensor([[5., 1.]])
    """
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def lp_pool2d(
    input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Any:
    """(Σ xᵖ)^(1/p) over each window of an image, p = ``norm_type``; infinity is the maximum.

    Shapes: input (N, C, H, W) or (C, H, W); RuntimeError for another rank.

    >>> import framework as torch
    >>> torch.nn.functional.lp_pool2d(torch.tensor([[[3.0, 4.0]]]), 2, (1, 2))
    tensor([[[5.]]])
    """
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def lp_pool3d(
    input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Any:
    """The p-norm (p = ``norm_type``) of each window of a volume; see `lp_pool2d`.

    Shapes: input (N, C, D, H, W) or (C, D, H, W). RuntimeError for another rank.

    >>> import framework as torch
    >>> torch.nn.functional.lp_pool3d(torch.ones(1, 2, 2, 2), 1, 2)
    tensor([[[[8.]]]])
    """
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


# -- fractional max pooling -------------------------------------------------------------------


def _starts(sample: Any, n: int, out: int, window: int) -> Any:
    """Where the windows of a pseudo-random sequence begin, per plane: (planes, out)."""
    xp = module_of(sample)
    result = xp.full((len(sample), out), n - window, np.int64)
    if out > 1:
        alpha = sample.dtype.type(n - window) / sample.dtype.type(out - 1)
        place = xp.arange(out - 1, dtype=sample.dtype)
        shifted = ((place + sample[:, None]) * alpha).astype(np.int64)
        result[:, :-1] = shifted - (sample[:, None] * alpha).astype(np.int64)
    return result


def _fractional_kernel(x: Any, samples: Any, *, kernel: Any, out: Any) -> tuple[Any, Any]:
    """Values and flat positions of the largest elements; NaN wins, the first of equal ones too."""
    dims, xp = len(kernel), module_of(x)
    size = x.shape[-dims:]
    flat = planes(x, dims)
    random_numbers = samples.reshape(-1, dims)[: len(flat)]
    if random_numbers.dtype.itemsize == 2:
        random_numbers = random_numbers.astype(np.float32)
    index: Any = xp.zeros((len(flat), *[1] * (2 * dims)), np.int64)
    for axis in range(dims):  # the samples' last number is for the first dimension, as in PyTorch
        sample = random_numbers[:, dims - 1 - axis if dims == 2 else axis]
        starts = _starts(sample, size[axis], out[axis], kernel[axis])
        line = starts[:, :, None] + xp.arange(kernel[axis])
        spread_out = [len(flat)] + [1] * (2 * dims)
        spread_out[1 + axis], spread_out[1 + dims + axis] = out[axis], kernel[axis]
        index = index * size[axis] + line.reshape(spread_out)
    index = index.reshape(len(flat), math.prod(out), math.prod(kernel))
    values = xp.take_along_axis(flat[:, None, :], index, axis=2)
    best = values.argmax(axis=2)[..., None]
    shape = (*x.shape[: x.ndim - dims], *out)
    return (
        xp.take_along_axis(values, best, axis=2).reshape(shape),
        xp.take_along_axis(index, best, axis=2).reshape(shape),
    )  # fmt: skip


def _fractional_op(dims: int) -> Op:
    size, out = (5, 4, 4)[-dims:], (2, 3, 2)[-dims:]
    return op(
        f"fractional_max_pool{dims}d", _fractional_kernel, "a samples",
        grad=(
            lambda g, y1, n, out: apply(
                MAX_SCATTER, g[0], constant(y1), size=tuple(n.shape(0)[-len(out):])),
            None,
        ),
        flat="a",
        samples=lambda s: [
            ((s(1, 2, *size), s.unit(1, 2, dims).detach().abs()),
             {"kernel": (2,) * dims, "out": out})
        ],
    )  # fmt: skip


FRACTIONAL = {dims: _fractional_op(dims) for dims in (2, 3)}


def _fractional(
    dims: int, input: Any, kernel_size: Any, output_size: Any, output_ratio: Any,
    return_indices: bool, samples: Any,
) -> Any:  # fmt: skip
    name = f"fractional_max_pool{dims}d"
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    low = dims + 1
    if input.ndim not in (low, low + 1) or 0 in input.shape[input.ndim - low :]:
        raise RuntimeError(
            f"{name}(): Expected {low}D or {low + 1}D tensor with non-empty samples, but got: "
            f"{list(input.shape)}"
        )
    real_floating(input._data, name)
    kernel = _each(kernel_size, dims, name, "kernel_size")
    if min(kernel) <= 0:
        raise ValueError(f"kernel_size must be greater than 0, but got {kernel_size}")
    size = input.shape[-dims:]
    if output_size is None:
        ratios = (output_ratio,) * dims if isinstance(output_ratio, float) else tuple(output_ratio)
        if len(ratios) > dims:
            raise ValueError(
                f"{name} requires output_ratio to either be a single Int or tuple of Ints."
            )
        output_size = [int(n * r) for n, r in zip(size, ratios)]
    out = _each(output_size, dims, name, "output_size")
    for n, m, k, label in zip(size, out, kernel, ("time", "height", "width")[-dims:]):
        if m + k - 1 > n - (dims == 3):  # one element stays over, in volumes only
            raise RuntimeError(
                f"{name}(): pool {label} {k} too large relative to input {label} {n}"
            )
        if m <= 0:
            raise RuntimeError(f"{name}(): output sizes must be positive, but got {list(out)}")
    count, channels = 1 if input.ndim == low else input.shape[0], input.shape[-low]
    if samples is None:
        samples = rand(count, channels, dims, dtype=input.dtype, device=input.device)
    _check_samples(samples, input, count, channels, dims)
    no_gradient(name, random_samples=samples)
    values, index = apply(FRACTIONAL[dims], input, samples, kernel=kernel, out=out)
    return (values, index) if return_indices else values


def _each(value: Any, dims: int, name: str, what: str) -> tuple[int, ...]:
    result = (value,) * dims if isinstance(value, int) else tuple([int(v) for v in value])
    if len(result) != dims:
        numbers = "two" if dims == 2 else "three"
        raise RuntimeError(f"{name}: {what} must either be a single int or tuple of {numbers} ints")
    return result


def _check_samples(samples: Any, input: Any, count: int, channels: int, dims: int) -> None:
    if samples.dtype is not input.dtype:
        raise RuntimeError("Expect _random_samples to have the same dtype as input")
    if samples.ndim != 3:
        raise RuntimeError(f"Expect _random_samples to have 3 dimensions, got {samples.ndim}")
    wanted = ((count, "no less then input batch size"), (channels, "input channel size"),
              (dims, f"{dims}"))  # fmt: skip
    for axis, (n, what) in enumerate(wanted):
        got = samples.shape[axis]
        if got < n if axis == 0 else got != n:
            raise RuntimeError(f"Expect _random_samples.size({axis}) equals to {what}; got {got}.")


@function(namespaces=("nn.functional",), method=False, checks=True)
def fractional_max_pool2d(
    input: Any, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
    return_indices: bool = False, _random_samples: Any = None,
) -> Any:  # fmt: skip
    """Max pooling to any size, with pseudo-random steps between the windows (Graham 2014).

    Shapes: input (N, C, H, W) or (C, H, W); result (N, C, *output_size). ValueError without a size
    and a ratio and for a kernel of size 0, RuntimeError if the windows do not fit in.

    Args:
        output_size, output_ratio: one of the two; the ratio is in (0, 1).
        return_indices: also return the flat position of each result in its input plane.

    >>> import framework as torch
    >>> torch.nn.functional.fractional_max_pool2d(torch.ones(1, 1, 5, 5), 2, 3).shape
    torch.Size([1, 1, 3, 3])
    """
    return _fractional(2, input, kernel_size, output_size, output_ratio, return_indices,
                       _random_samples)  # fmt: skip


@function(namespaces=("nn.functional",), method=False, checks=True)
def fractional_max_pool3d(
    input: Any, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
    return_indices: bool = False, _random_samples: Any = None,
) -> Any:  # fmt: skip
    """`fractional_max_pool2d` of volumes: max pooling to any size (Graham 2014).

    Shapes: input (N, C, D, H, W) or (C, D, H, W); result (N, C, *output_size). Raises: ValueError
    without a size and a ratio, RuntimeError if the windows do not fit in.

    >>> import framework as torch
    >>> torch.nn.functional.fractional_max_pool3d(torch.ones(1, 5, 5, 5), 2, 3).shape
    torch.Size([1, 3, 3, 3])
    """
    return _fractional(3, input, kernel_size, output_size, output_ratio, return_indices,
                       _random_samples)  # fmt: skip


@function(namespaces=("nn.functional",), method=False)
def fractional_max_pool2d_with_indices(
    input: Any, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
    return_indices: bool = False, _random_samples: Any = None,
) -> Any:  # fmt: skip
    """`fractional_max_pool2d` with the positions of its results: (values, int64 positions).

    >>> import framework as torch
    >>> F = torch.nn.functional
    >>> F.fractional_max_pool2d_with_indices(torch.arange(4.0).reshape(1, 2, 2), 2, 1)
    (tensor([[[3.]]]), tensor([[[3]]]))
    """
    return fractional_max_pool2d(input, kernel_size, output_size, output_ratio, True,
                                 _random_samples)  # fmt: skip


@function(namespaces=("nn.functional",), method=False)
def fractional_max_pool3d_with_indices(
    input: Any, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
    return_indices: bool = False, _random_samples: Any = None,
) -> Any:  # fmt: skip
    """`fractional_max_pool3d` with the positions of its results: (values, int64 positions).

    >>> import framework as torch
    >>> F = torch.nn.functional
    >>> x = torch.arange(27.0).reshape(1, 3, 3, 3)
    >>> values, where = F.fractional_max_pool3d_with_indices(x, 2, 1)
    >>> values == x.flatten()[where]
    tensor([[[[True]]]])
    """
    return fractional_max_pool3d(input, kernel_size, output_size, output_ratio, True,
                                 _random_samples)  # fmt: skip
