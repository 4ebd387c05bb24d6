"""Batch and instance norm, whose running statistics move with each batch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework.core.dispatch import apply, composite, no_gradient
from framework.core.modes import no_grad
from framework.core.registry import function, op
from framework.core.saved import values_known
from framework.core.views import before_write
from framework.kernels import module_of
from framework.kernels import norm as host
from framework.kernels.floats import real_floating, wide, widening
from framework.layout import in_rows, keeps_format, suggested
from framework.ops.norm import GROUP_NORM
from framework.ops.standardize import (
    affine,
    affine_grads,
    all_but_channels,
    channel_sum,
    check_channels,
    check_types,
    column,
    mean_over,
    moments,
    scaled_by,
    standardized,
    unscaled,
)

__all__ = ["batch_norm", "instance_norm"]


def _batch_kernel(
    x: Any, w: Any, b: Any, mean: Any, var: Any, *, training: bool, eps: float
) -> Any:  # fmt: skip
    """In training also the batch's mean and biased variance."""
    real_floating(x, "batch_norm")
    if suggested(x) is None:  # images may lie channels last
        x = in_rows(x)
    dims, given = all_but_channels(x), (w, b)
    w, b = column(w, x.ndim), column(b, x.ndim)
    if training:
        if channels := host.compiled_channels(x, dims, *given):
            found = channels.standardize(*host.seen(x, dims, x), *given, eps, True)
            return found[0].reshape(x.shape), *found[1:]
        if host.is_quick(x, dims):
            normal, center, square = host.standardize(x, dims, eps, True)
            return affine(normal, w, b), center, square
        center, centred, square = moments(x, dims, True)
        y = affine(centred / module_of(x).sqrt(square + eps), w, b)
        return y, center.reshape(-1), square.reshape(-1)
    if channels := host.compiled_channels(x, dims, *given, mean, var):
        r = 1 / np.sqrt(var + x.dtype.type(eps))
        r = r if given[0] is None else r * given[0]
        (lines,) = host.seen(x, dims, x)
        mean, r, shift = [p if p is None else np.ascontiguousarray(p) for p in (mean, r, given[1])]
        return channels.affine(lines, mean, r, shift).reshape(x.shape)
    mean, var = column(mean, x.ndim), column(var, x.ndim)
    return affine((x - mean) / module_of(x).sqrt(var + eps), w, b)


def _batch_normal(input: Any, mean: Any, var: Any, training: bool, eps: float) -> Any:
    if training:
        return standardized(input, all_but_channels(input), eps)
    mean, var = column(mean, input.ndim), column(var, input.ndim)
    return (input - mean) * (var + eps).rsqrt()


def _batch_grad_x(
    g: Any, input: Any, weight: Any, var: Any, training: bool, eps: float
) -> Any:  # fmt: skip
    rank = input.ndim
    if not training:
        return scaled_by(g, column(weight, rank)) * column((var + eps).rsqrt(), rank)
    dims = all_but_channels(input)
    size = input.numel() // max(input.shape[1], 1)
    gy, g_mean, g_var = g
    total = None
    if gy is not None:
        total = unscaled(scaled_by(gy, column(weight, rank)), input, dims, eps, True)
    if g_mean is not None:
        part = (column(g_mean, rank) / size).expand(input.shape)
        total = part if total is None else total + part
    if g_var is not None:
        centred = input - mean_over(input, dims)
        part = column(g_var, rank) * centred * (2 / size)
        total = part if total is None else total + part
    return total


def _batch_grads(
    g: Any, n: Any, input: Any, weight: Any, mean: Any, var: Any, training: bool, eps: float
) -> tuple[Any, ...]:
    if training and g[1] is None and g[2] is None:
        return *affine_grads(g[0], n, input, weight, all_but_channels(input), eps, True), None, None
    gy = g[0] if training else g
    g_weight = g_bias = None
    if gy is not None and n.needs(1):
        g_weight = channel_sum(gy * _batch_normal(input, mean, var, training, eps))
    if gy is not None and n.needs(2):
        g_bias = channel_sum(gy)
    g_input = None
    if n.needs(0):
        g_input = _batch_grad_x(g, input, weight, var, training, eps)
    return g_input, g_weight, g_bias, None, None


BATCH_NORM = op(
    "batch_norm", keeps_format(widening(_batch_kernel)), "input weight bias mean var",
    grad=_batch_grads, fused="input weight",
    samples=lambda s: [
        ((s(3, 2, 2), s(2), s(2), None, None), {"training": True, "eps": 0.01}),
        ((s(4, 3), None, None, None, None), {"training": True, "eps": 0.01}),
        ((s(2, 3, 1, 2), s(3), s(3), s(3).detach(), s.positive(3).detach()),
         {"training": False, "eps": 0.01}),
    ],
)  # fmt: skip


def _check_values(input: Any, per_channel: bool) -> None:
    size = input.numel() // max(input.shape[1], 1)
    if not per_channel:
        size //= max(input.shape[0], 1)
    if size == 1:
        raise ValueError(
            f"Expected more than 1 {'value per channel' if per_channel else 'spatial element'} "
            f"when training, got input size {input.shape}"
        )


def _update(running: Any, value: Any, momentum: float) -> None:
    """running = (1 - momentum) * running + momentum * value, in place and outside of autograd."""
    if running is None:
        return
    before_write(running)
    data = running._data
    data[...] = (1 - momentum) * data + momentum * value.astype(data.dtype, copy=False)


def _move(running: Any, value: Any, momentum: float) -> None:
    """`_update` inside of vmap, where a batched value needs batched statistics."""
    if running is None:
        return
    if values_known(running) and not values_known(value):
        raise RuntimeError(
            "Batch norm got a batched tensor as input while the running_mean or running_var, which "
            "will be updated in place, were not batched.\nPlease see "
            "https://pytorch.org/docs/main/func.batch_norm.html for options for getting around this"
        )
    with no_grad():
        running.copy_((1 - momentum) * running + momentum * value.to(running.dtype))


@function(namespaces=("nn.functional",), method=False, checks=True)
def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Standardise each channel over the batch (Ioffe and Szegedy 2015).

    In training the batch's own mean and biased variance are used, and the running ones (which may
    be None) move towards them by ``momentum``, with the unbiased variance; else the running ones
    are used. The formula is that of `group_norm`.

    Shapes: input (N, C, *); all others (C,) or None. ValueError for one value per channel in
    training, RuntimeError for sizes that do not match.

    >>> import framework as torch
    >>> F, mean, var = torch.nn.functional, torch.zeros(1), torch.ones(1)
    >>> F.batch_norm(torch.tensor([[1.0], [3.0]]), mean, var, training=True)
    tensor([[-1.0000],
            [ 1.0000]])
    >>> mean, var
    (tensor([0.2000]), tensor([1.1000]))
    """
    if input.ndim == 1 and not input.numel():
        return input * 1  # PyTorch lets an empty vector pass
    if (running_mean is None) is not (running_var is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")
    check_types(input, running_mean, running_var, weight, bias)
    if training:
        _check_values(input, per_channel=True)
        if eps <= 0:
            raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    elif eps < 0:
        raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")
    return batch_norm_with_moments(
        input, running_mean, running_var, weight, bias, training, momentum, eps
    )[0]


def batch_norm_with_moments(
    input: Any, running_mean: Any, running_var: Any, weight: Any, bias: Any, training: bool,
    momentum: float, eps: float,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """`batch_norm`, and in training the batch's mean and biased variance as constants."""
    if not training and (running_mean is None or running_var is None):
        raise RuntimeError(
            "Expected running_mean and running_var to be defined when training=False"
        )
    if input.ndim < 2:
        raise RuntimeError(f"batch_norm: expected an input of (N, C, ...), got {list(input.shape)}")
    check_channels("batch_norm", input.shape[1], running_mean=running_mean,
                    running_var=running_var, weight=weight, bias=bias)  # fmt: skip
    no_gradient("native_batch_norm", running_mean=running_mean, running_var=running_var)
    if not training:
        y = apply(BATCH_NORM, input, weight, bias, running_mean, running_var, training=False,
                  eps=eps)  # fmt: skip
        return y, None, None
    y, mean, var = apply(BATCH_NORM, input, weight, bias, None, None, training=True, eps=eps)
    count = input.numel() // max(input.shape[1], 1)
    if not count:
        return y, mean.detach(), var.detach()
    if not all(values_known(t) for t in (mean, running_mean, running_var)):
        correction = count / (count - 1) if count > 1 else math.nan
        _move(running_mean, mean.detach(), momentum)
        _move(running_var, var.detach() * correction, momentum)
        return y, mean.detach(), var.detach()
    _update(running_mean, mean._data, momentum)
    unbiased = wide(var._data) * (np.float64(count) / (count - 1) if count > 1 else math.nan)
    _update(running_var, unbiased, momentum)
    return y, mean.detach(), var.detach()


# -- instance norm -------------------------------------------------------------------------------


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def instance_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Standardise each channel of each sample (Ulyanov et al. 2016).

    (x - mean) / sqrt(var + eps) * weight + bias over the dimensions after the second. Shapes: input
    (N, C, *), all others (C,) or None. ValueError for one element per channel, RuntimeError for
    sizes that do not match.

    Args:
        use_input_stats: False uses the running statistics instead of the sample's own.

    >>> import framework as torch
    >>> torch.nn.functional.instance_norm(torch.tensor([[[1.0, 3.0], [10.0, 30.0]]]))
    tensor([[[-1.0000,  1.0000],
             [-1.0000,  1.0000]]])
    """
    channels = input.shape[1]
    check_types(input, running_mean, running_var, weight, bias)
    if input.numel() or use_input_stats:
        check_channels("instance_norm", channels, running_mean=running_mean,
                        running_var=running_var, weight=weight, bias=bias)  # fmt: skip
    if not input.numel():
        if not input.shape[0] and weight is not None:  # PyTorch repeats the weight per sample
            raise IndexError("select(): index 0 out of range for tensor of size [0] at dimension 0")
        return input.clone()
    no_gradient("native_batch_norm", running_mean=running_mean, running_var=running_var)
    if not use_input_stats:
        return apply(BATCH_NORM, input, weight, bias, running_mean, running_var, training=False,
                     eps=eps)  # fmt: skip
    _check_values(input, per_channel=False)
    if running_mean is not None and not (values_known(input) and values_known(running_mean)):
        dims = tuple(range(2, input.ndim))
        _move(running_mean, input.detach().mean(dims).mean(0), momentum)
        _move(running_var, input.detach().var(dims).mean(0), momentum)
    elif running_mean is not None:
        mean, _, square = moments(wide(input._data), tuple(range(2, input.ndim)), True)
        size = math.prod(input.shape[2:])
        _update(running_mean, mean.reshape(input.shape[:2]).mean(axis=0), momentum)
        var = square.reshape(input.shape[:2]) * (size / (size - 1))
        _update(running_var, var.mean(axis=0), momentum)
    return apply(GROUP_NORM, input.contiguous(), weight, bias, num_groups=channels, eps=eps)
