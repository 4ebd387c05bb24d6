"""Normalisation: layer, RMS, group and local response norm, `normalize`; see also `batch_norm`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.dispatch import apply, composite
from framework.core.modes import modes
from framework.core.registry import function, op
from framework.device import CPU
from framework.kernels import compiled
from framework.kernels.floats import real_floating, type_name, widening
from framework.layout import in_rows, keeps_format, suggested
from framework.ops.standardize import (
    SHORT,
    affine,
    affine_grads,
    as_rows,
    channel_sum,
    check_channels,
    check_types,
    column,
    last,
    rows_of,
    scaled_by,
    standardize_kernel,
    standardized,
    unscaled,
)

__all__ = ["group_norm", "layer_norm", "local_response_norm", "normalize", "rms_norm"]

# -- layer and RMS norm --------------------------------------------------------------------------


def _layer_kernel(x: Any, w: Any, b: Any, *, dims: int, eps: float) -> Any:
    real_floating(x, "LayerNormKernelImpl")
    _check_like(x, w, b)
    if rows := rows_of(x, dims, w, b):
        return rows.norm(*as_rows(x, dims, w, b), eps, True).reshape(x.shape)
    normal = standardize_kernel(in_rows(x), dims=last(x, dims), eps=eps, center=True)
    return affine(normal, w, b)


def _rms_kernel(x: Any, w: Any, *, dims: int, eps: float) -> Any:
    _check_like(x, w, None)
    if rows := rows_of(x, dims, w):
        return rows.norm(*as_rows(x, dims, w, None), eps, False).reshape(x.shape)
    normal = standardize_kernel(in_rows(x), dims=last(x, dims), eps=eps, center=False)
    return affine(normal, w, None)


def _check_like(x: Any, w: Any, b: Any) -> None:
    for p in (w, b):
        if p is not None and p.dtype != x.dtype and p.dtype.kind != "f":
            raise ValueError(f"mixed dtype: expect parameter to have the type {x.dtype}")


LAYER_NORM = op(
    "layer_norm", widening(_layer_kernel), "input weight bias",
    grad=lambda g, n, input, weight, dims, eps: affine_grads(
        g, n, input, weight, last(input, dims), eps, True),
    samples=lambda s: [
        ((s(3, 4), s(4), s(4)), {"dims": 1, "eps": 0.01}),
        ((s(2, 3, 2), s(3, 2), None), {"dims": 2, "eps": 0.01}),
        ((s(3, 4), None, None), {"dims": 1, "eps": 0.01}),
    ],
)  # fmt: skip
RMS_NORM = op(
    "rms_norm", widening(_rms_kernel), "input weight",
    grad=lambda g, n, input, weight, dims, eps: affine_grads(
        g, n, input, weight, last(input, dims), eps, False),
    samples=lambda s: [
        ((s(3, 4), s(4)), {"dims": 1, "eps": 0.01}),
        ((s(2, 3, 2), None), {"dims": 2, "eps": 0.01}),
    ],
)  # fmt: skip


def _normalized_shape(name: str, input: Any, shape: Any, **params: Any) -> tuple[int, ...]:
    """The dimensions to normalise over, checked against the input and the parameters."""
    wanted = (shape,) if isinstance(shape, int) else tuple(shape)
    if not wanted:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one "
            "element, but got normalized_shape = []"
        )
    for key, p in params.items():
        if p is not None and tuple(p.shape) != wanted:
            raise RuntimeError(
                f"{name}: Expected {key} to be of same shape as normalized_shape, but got {key} of "
                f"shape {list(p.shape)} and normalized_shape = {list(wanted)}"
            )
    if tuple(input.shape[-len(wanted) :]) != wanted or input.ndim < len(wanted):
        raise RuntimeError(
            f"{name}: Given normalized_shape={list(wanted)}, expected input with shape "
            f"[*, {', '.join(map(str, wanted))}], but got input of size{list(input.shape)}"
        )
    return wanted


@function(namespaces=("nn.functional",), method=False, checks=True)
def layer_norm(
    input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last dimensions (Ba et al. 2016).

    ``normalized_shape``, ``weight`` and ``bias`` have the shape of these dimensions; the variance
    is the biased one. RuntimeError for sizes that do not match.

    >>> import framework as torch
    >>> torch.nn.functional.layer_norm(torch.tensor([[1.0, 3.0]]), [2])
    tensor([[-1.0000,  1.0000]])
    """
    shape = _normalized_shape("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    check_types(input, weight, bias)
    return apply(LAYER_NORM, input, weight, bias, dims=len(shape), eps=eps)


@function(namespaces=("", "nn.functional"), method=False, checks=True)
def rms_norm(
    input: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None
) -> Any:
    """x / sqrt(mean(x²) + eps) * weight over the last dimensions (Zhang and Sennrich 2019).

    ``eps`` is the type's machine epsilon unless given. ``normalized_shape`` and ``weight`` have the
    shape of these dimensions; RuntimeError if they do not match the input, ValueError if it has
    fewer dimensions, NotImplementedError for integers.

    >>> import framework as torch
    >>> torch.rms_norm(torch.tensor([[3.0, 4.0]]), [2])
    tensor([[0.8485, 1.1314]])
    """
    dims = 1 if isinstance(normalized_shape, int) else len(normalized_shape)
    if input.ndim < dims:
        raise ValueError(f"Input tensor must have at least {dims} dimensions, but got {input.ndim}")
    shape = _normalized_shape("rms_norm", input, normalized_shape, weight=weight)
    if input.dtype.category < dtypes.FLOAT:
        raise NotImplementedError(f"\"rms_norm\" not implemented for '{type_name(input._data)}'")
    if eps is None:
        d = input.dtype
        eps = dtypes.finfo(d if d.itemsize > 2 else dtypes.float32).eps
    return apply(RMS_NORM, input, weight, dims=len(shape), eps=eps)


# -- group norm ----------------------------------------------------------------------------------


def _group_kernel(x: Any, w: Any, b: Any, *, num_groups: int, eps: float) -> Any:
    real_floating(x, "GroupNormKernelImpl")
    if suggested(x) is None:
        x = in_rows(x)
    if channels := _group_channels(x, w, b):
        mean, r = _group_moments(channels, x, num_groups, eps)
        lines, count = x.reshape(1, -1, math.prod(x.shape[2:])), len(x)
        scale = r if w is None else r * np.tile(w, count)
        shift = None if b is None else np.tile(b, count)
        return channels.affine(lines, mean, scale, shift).reshape(x.shape)
    grouped = _grouped(x, num_groups)
    normal = standardize_kernel(grouped, dims=(2,), eps=eps, center=True).reshape(x.shape)
    return affine(normal, column(w, x.ndim), column(b, x.ndim))


def _grouped(x: Any, num_groups: int) -> Any:
    each = x.shape[1] // num_groups * math.prod(x.shape[2:])
    return x.reshape(x.shape[0], num_groups, each)


def _group_channels(x: Any, *others: Any) -> Any:
    """The compiled kernels for the channels' lines of a large array, or None."""
    if x.ndim < 3 or math.prod(x.shape[2:]) < SHORT or not compiled.is_plain_or_wide(x):
        return None
    if any(o is not None and o.dtype is not x.dtype for o in others):
        return None
    return compiled.family("channels")


def _group_moments(channels: Any, x: Any, num_groups: int, eps: float) -> tuple[Any, Any]:
    """The mean and 1 / deviation that belong to each channel of each sample, as (N C,)."""
    mean, square = channels.moments(_grouped(x, num_groups).reshape(1, len(x) * num_groups, -1))
    each = x.shape[1] // num_groups
    return np.repeat(mean, each), np.repeat(1 / np.sqrt(square + x.dtype.type(eps)), each)


def _group_backward(g: Any, x: Any, w: Any, *, num_groups: int, eps: float) -> tuple[Any, Any, Any]:
    """Gradients with respect to x, weight and bias, of arrays that `_group_channels` takes."""
    channels, (count, wide_by), kind = compiled.family("channels"), x.shape[:2], x.dtype
    mean, r = _group_moments(channels, x, num_groups, eps)
    lines, slopes = (np.ascontiguousarray(a).reshape(1, count * wide_by, -1) for a in (x, g))
    plain, along = channels.line_sums(lines, slopes, mean)
    along *= r
    weight = np.ones(count * wide_by, kind) if w is None else np.tile(w, count)
    each = wide_by // num_groups
    size = each * lines.shape[2]
    grouped = [(s * weight).reshape(-1, each).sum(axis=1) / size for s in (plain, along)]
    lost, slope = (np.repeat(s, each) * r for s in grouped)
    numbers = [a.astype(kind, copy=False) for a in (r * weight, lost, slope * r)]
    dx = channels.line_gradient(lines, slopes, mean, *numbers).reshape(x.shape)
    return dx, *[s.reshape(count, wide_by).sum(axis=0).astype(kind) for s in (along, plain)]


GROUP_NORM_BACKWARD = op("group_norm_backward", _group_backward, "grad input weight")


def _group_grads(
    g: Any, n: Any, input: Any, weight: Any, num_groups: int, eps: float
) -> tuple[Any, ...]:
    if (
        (n.needs(1) or n.needs(2))
        and not modes.grad
        and not any(hasattr(t, "_level") for t in (g, input, weight))
        and input._device is CPU
        and g.dtype is input.dtype
        and _group_channels(input._data, None if weight is None else weight._data)
    ):
        return apply(GROUP_NORM_BACKWARD, g, input, weight, num_groups=num_groups, eps=eps)
    found: list[Any] = [None, None, None]
    if n.needs(0):
        found[0] = _group_grad_x(g, input, weight, num_groups, eps)
    if n.needs(1):
        normal = standardized(_grouped(input, num_groups), (2,), eps)
        found[1] = channel_sum(g * normal.reshape(input.shape))
    if n.needs(2):
        found[2] = channel_sum(g)
    return tuple(found)


def _group_grad_x(g: Any, input: Any, weight: Any, num_groups: int, eps: float) -> Any:
    inner = _grouped(scaled_by(g, column(weight, input.ndim)), num_groups)
    return unscaled(inner, _grouped(input, num_groups), (2,), eps, True).reshape(input.shape)


GROUP_NORM = op(
    "group_norm", keeps_format(widening(_group_kernel)), "input weight bias",
    grad=_group_grads,
    samples=lambda s: [
        ((s(2, 4, 3), s(4), s(4)), {"num_groups": 2, "eps": 0.01}),
        ((s(1, 2, 2, 2), None, None), {"num_groups": 1, "eps": 0.01}),
    ],
)  # fmt: skip


@function(namespaces=("nn.functional",), method=False, checks=True)
def group_norm(
    input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """Standardise each sample's groups of channels (Wu and He 2018).

    (x - mean) / sqrt(var + eps) * weight + bias, with the mean and the biased variance of each of
    the ``num_groups`` groups. Shapes: input (N, C, *), C a multiple of ``num_groups``; weight and
    bias (C,) or None. RuntimeError for sizes that do not match, ValueError for one value per group.

    >>> import framework as torch
    >>> torch.nn.functional.group_norm(torch.tensor([[1.0, 3.0, 10.0, 30.0]]), 2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    if input.ndim < 2:
        raise RuntimeError(
            f"Expected at least 2 dimensions for input tensor but received {input.ndim}"
        )
    channels = input.shape[1]
    if num_groups <= 0 or channels % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of "
            f"shape {list(input.shape)} and num_groups={num_groups}"
        )
    check_channels("group_norm", channels, weight=weight, bias=bias)
    check_types(input, weight, bias)
    if input.numel() // num_groups == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size "
            f"{list(input.shape)}"
        )
    return apply(GROUP_NORM, input, weight, bias, num_groups=num_groups, eps=eps)


# -- over neighbours, and to length one ----------------------------------------------------------


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def local_response_norm(
    input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Any:
    """x / (k + alpha * mean of x² over ``size`` neighbouring channels) ** beta.

    Krizhevsky et al. 2012 (whose alpha is this one divided by ``size``). Shapes: input (N, C, *),
    the result likewise. ValueError for fewer than three dimensions.

    >>> import framework as torch
    >>> x = torch.ones(1, 3, 1)
    >>> torch.nn.functional.local_response_norm(x, size=3, alpha=3.0, beta=1.0).flatten()
    tensor([0.3333, 0.2500, 0.3333])
    """
    if input.ndim < 3:
        raise ValueError(
            f"Expected 3D or higher dimensionality input (got {input.ndim} dimensions)"
        )
    from framework.ops.padding import pad
    from framework.ops.pool import avg_pool2d

    if not input.numel():
        return input
    columns = (input * input).reshape(input.shape[0], 1, input.shape[1], -1)
    around = pad(columns, [0, 0, size // 2, (size - 1) // 2])
    means = avg_pool2d(around, (size, 1), stride=1).reshape(input.shape)
    return input / (means * alpha + k) ** beta


@function(namespaces=("nn.functional",), method=False, checks=True, out=True)
@composite
def normalize(input: Any, p: float | None = 2.0, dim: Any = 1, eps: float = 1e-12) -> Any:
    """input / max(‖input‖ₚ, eps), the norm taken along ``dim``.

    The result has the input's shape. IndexError for a dimension out of range, RuntimeError for
    integers.

    >>> import framework as torch
    >>> torch.nn.functional.normalize(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    return input / input.norm(p, dim, keepdim=True).clamp(min=eps).expand_as(input)
