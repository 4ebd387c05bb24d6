"""Normalisation: batch, layer, group, instance and RMS norm; `normalize` and `cosine_similarity`.

All of them standardise over some dimensions D, x̂ = (x - mean) · r with r = 1 / sqrt(var + eps)
(RMS norm: no mean, and the mean square for the variance), and then scale and shift. The gradient
of the first part is

    N(g) = r · (g - mean(g) - x̂ · mean(g x̂)),

a primitive of its own (``standardize_backward``). N is symmetric, so its gradient with respect to g
is N again; the one with respect to x is derived in `_second`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.dispatch import apply, composite, no_gradient
from framework.core.modes import modes, no_grad
from framework.core.registry import function, op
from framework.core.saved import values_known
from framework.core.views import before_write
from framework.device import CPU
from framework.kernels import compiled, module_of, quick, to_device
from framework.kernels import norm as host
from framework.kernels.floats import floating, real_floating, type_name, wide, widening
from framework.layout import in_rows, keeps_format
from framework.ops.distance import CDIST
from framework.ops.shape import broadcast_tensors
from framework.tensor import wrap

__all__ = [
    "batch_norm", "cosine_similarity", "group_norm", "instance_norm", "layer_norm",
    "local_response_norm", "normalize", "pairwise_distance", "pdist", "rms_norm",
]  # fmt: skip

# -- standardisation --------------------------------------------------------------------------


def _moments(x: Any, dims: tuple[int, ...], center: bool) -> tuple[Any, Any, Any]:
    """Mean (None unless ``center``), the centred x and its mean square, dimensions kept."""
    mean = quick.mean(x, dims, True) if center else None
    centred = x - mean if center else x
    return mean, centred, quick.mean(centred * centred, dims, True)


def _standardize_kernel(
    x: Any, *, dims: tuple[int, ...], eps: float, center: bool
) -> Any:  # fmt: skip
    floating(x, "norm")
    if host.is_quick(x, dims):
        return host.standardize(x, dims, eps, center)[0]
    _, centred, square = _moments(x, dims, center)
    return centred / module_of(x).sqrt(square + eps)


def _backward_kernel(
    g: Any, x: Any, *, dims: tuple[int, ...], eps: float, center: bool
) -> Any:  # fmt: skip
    if host.is_quick(x, dims) and g.dtype == x.dtype:
        return host.backward(g, x, dims, eps, center)
    _, centred, square = _moments(x, dims, center)
    r = 1 / module_of(x).sqrt(square + eps)
    normal = centred * r
    result = g - normal * quick.mean(g * normal, dims, True)
    if center:
        result -= quick.mean(g, dims, True)
    result *= r
    return result


def _mean(x: Any, dims: tuple[int, ...]) -> Any:
    return x.mean(dims, keepdim=True)


def _second(g: Any, v: Any, x: Any, dims: Any, eps: float, center: bool) -> Any:
    """Gradient of <g, N(v)> with respect to x.

    Per group of m elements <g, N(v)> = m r (cov(g, v) - a b), a = mean(g x̂), b = mean(v x̂), and
    dr/dx = -r² x̂ / m; x̂'s own derivative is N.
    """
    centred = x - _mean(x, dims) if center else x
    r = (_mean(centred * centred, dims) + eps).rsqrt()
    normal = centred * r
    a, b = _mean(g * normal, dims), _mean(v * normal, dims)
    cov = _mean(g * v, dims)
    if center:
        cov = cov - _mean(g, dims) * _mean(v, dims)
    inner = _unscaled(g * b + v * a, x, dims, eps, center)
    return -(r * inner + r * r * normal * (cov - a * b))


def _unscaled(v: Any, x: Any, dims: Any, eps: float, center: bool) -> Any:
    return apply(STANDARDIZE_BACKWARD, v, x, dims=dims, eps=eps, center=center)


_META = (
    {"dims": (1,), "eps": 0.01, "center": True},
    {"dims": (0, 2), "eps": 0.1, "center": True},
    {"dims": (2,), "eps": 0.01, "center": False},
)
STANDARDIZE_BACKWARD = op(
    "standardize_backward", widening(_backward_kernel), "grad input",
    grad=(lambda g, input, n: apply(STANDARDIZE_BACKWARD, g, input, **n.meta),
          lambda g, grad, input, n: _second(g, grad, input, **n.meta)),
    samples=lambda s: [((s(2, 3, 2), s(2, 3, 2)), meta) for meta in _META],
)  # fmt: skip
STANDARDIZE = op(
    "standardize", widening(_standardize_kernel), "a",
    grad=(lambda g, a, n: apply(STANDARDIZE_BACKWARD, g, a, **n.meta),),
    samples=lambda s: [((s(2, 3, 2),), meta) for meta in _META],
)  # fmt: skip


def _standardized(x: Any, dims: Any, eps: float, center: bool = True) -> Any:
    return apply(STANDARDIZE, x, dims=dims, eps=eps, center=center)


def _affine(normal: Any, weight: Any, bias: Any) -> Any:
    """normal * weight + bias, in place: ``normal`` is the kernel's own."""
    if weight is not None:
        normal *= weight
    if bias is not None:
        normal += bias
    return normal


_SHORT = 16  # rows that NumPy has no trouble with

# -- layer and RMS norm -----------------------------------------------------------------------


def _last(x: Any, count: int) -> tuple[int, ...]:
    return tuple(range(x.ndim - count, x.ndim))


def _layer_kernel(x: Any, w: Any, b: Any, *, dims: int, eps: float) -> Any:
    real_floating(x, "LayerNormKernelImpl")
    _check_like(x, w, b)
    if rows := _rows(x, dims, w, b):
        return rows.norm(*_as_rows(x, dims, w, b), eps, True).reshape(x.shape)
    normal = _standardize_kernel(in_rows(x), dims=_last(x, dims), eps=eps, center=True)
    return _affine(normal, w, b)


def _rms_kernel(x: Any, w: Any, *, dims: int, eps: float) -> Any:
    _check_like(x, w, None)
    if rows := _rows(x, dims, w):
        return rows.norm(*_as_rows(x, dims, w, None), eps, False).reshape(x.shape)
    normal = _standardize_kernel(x, dims=_last(x, dims), eps=eps, center=False)
    return _affine(normal, w, None)


def _check_like(x: Any, w: Any, b: Any) -> None:
    for p in (w, b):
        if p is not None and p.dtype != x.dtype and p.dtype.kind != "f":
            raise ValueError(f"mixed dtype: expect parameter to have the type {x.dtype}")


def _rows(x: Any, dims: int, *params: Any) -> Any:
    """The compiled kernels, for large rows of parameters of the same type."""
    if not compiled.is_plain_or_wide(x) or math.prod(x.shape[x.ndim - dims :]) < _SHORT:
        return None
    if any(p is not None and p.dtype is not x.dtype for p in params):
        return None
    return compiled.family("rows")


def _as_rows(x: Any, dims: int, *params: Any) -> list[Any]:
    """The last ``dims`` dimensions as one, and contiguous."""
    lines = x.reshape(-1, math.prod(x.shape[x.ndim - dims :]))
    return [lines, *[None if p is None else np.ascontiguousarray(p).reshape(-1) for p in params]]


def _scaled(g: Any, weight: Any) -> Any:
    return g if weight is None else g * weight


def _is_rows(x: Any, dims: tuple[int, ...]) -> bool:
    """Whether one standardises over the last dimensions; else over all but the second."""
    return dims == _last(x, len(dims))


def _spread(p: Any, x: Any, dims: tuple[int, ...]) -> Any:
    """A weight or a bias, to be multiplied with x."""
    return p if _is_rows(x, dims) else _column(p, x.ndim)


def _others(x: Any, dims: tuple[int, ...]) -> tuple[int, ...]:
    """The dimensions that a weight's gradient is summed over."""
    return tuple(range(x.ndim - len(dims))) if _is_rows(x, dims) else dims


def _affine_backward(
    g: Any, x: Any, w: Any, *, dims: tuple[int, ...], eps: float, center: bool
) -> tuple[Any, Any, Any]:
    """Gradients of x̂ · weight + bias with respect to x, weight and bias."""
    if g.shape == x.shape and (found := _compiled_backward(g, x, w, dims, eps, center)):
        return found
    others, scaled = _others(x, dims), _scaled(g, _spread(w, x, dims))
    normal = _standardize_kernel(x, dims=dims, eps=eps, center=center)
    return (
        _backward_kernel(scaled, x, dims=dims, eps=eps, center=center),
        quick.total(g * normal, others),
        quick.total(g, others),
    )


def _compiled_backward(
    g: Any, x: Any, w: Any, dims: tuple[int, ...], eps: float, center: bool
) -> tuple[Any, Any, Any] | None:
    if _is_rows(x, dims):
        if not (rows := _rows(x, len(dims), g, w)):
            return None
        lines, scale = _as_rows(x, len(dims), w)
        dx, dw, db = rows.backward(lines, _as_rows(g, len(dims))[0], scale, eps, center)
        inner = x.shape[x.ndim - len(dims) :]
        return dx.reshape(x.shape), dw.reshape(inner), db.reshape(inner)
    if not (channels := host.compiled_channels(x, dims, g, w)):
        return None
    dx, dw, db = channels.backward(*host.seen(x, dims, x, g), w, eps, center)
    return dx.reshape(x.shape), dw, db


def _affine_second(
    g: Any, n: Any, grad: Any, input: Any, weight: Any, dims: Any, eps: float, center: bool
) -> tuple[Any, ...]:
    """Gradients of <a, N(g w)> + <b, sum(g x̂)> + <c, sum(g)>, given (a, b, c)."""
    a, b, c = g
    others = _others(input, dims)
    weight = _spread(weight, input, dims)
    parts: tuple[list[Any], list[Any]] = ([], [])
    for_weight = None
    if a is not None:
        inner = _unscaled(a, input, dims, eps, center)  # N is symmetric
        parts[0].append(_scaled(inner, weight))
        if n.needs(1):
            parts[1].append(_second(a, _scaled(grad, weight), input, dims, eps, center))
        if n.needs(2):
            for_weight = (grad * inner).sum(others) if others else grad * inner
    if b is not None:
        b = _spread(b, input, dims)
        parts[0].append(b * _standardized(input, dims, eps, center))
        if n.needs(1):
            parts[1].append(_unscaled(b * grad, input, dims, eps, center))
    if c is not None:
        parts[0].append(_spread(c, input, dims).expand(input.shape))
    found = [sum(part[1:], part[0]) if part else None for part in parts]
    return (*found, for_weight)


AFFINE_NORM_BACKWARD = op(
    "affine_norm_backward", widening(_affine_backward), "grad input weight", grad=_affine_second,
    samples=lambda s: [
        ((s(3, 4), s(3, 4), s(4)), {"dims": (1,), "eps": 0.01, "center": True}),
        ((s(2, 3, 2), s(2, 3, 2), None), {"dims": (1, 2), "eps": 0.01, "center": False}),
        ((s(3, 2, 2), s(3, 2, 2), s(2)), {"dims": (0, 2), "eps": 0.01, "center": True}),
    ],
)  # fmt: skip


def _affine_grads(
    g: Any, n: Any, input: Any, weight: Any, dims: tuple[int, ...], eps: float, center: bool
) -> tuple[Any, ...]:
    """By rule for input, weight and bias, whose edges come first in node ``n``."""
    wanted = [edge is not None for edge in n.edges[:3]]
    if not any(wanted[1:]):
        inner = _scaled(g, _spread(weight, input, dims))
        return (_unscaled(inner, input, dims, eps, center),)
    found = apply(AFFINE_NORM_BACKWARD, g, input, weight, dims=dims, eps=eps, center=center)
    return tuple([part if want else None for part, want in zip(found, wanted)])


LAYER_NORM = op(
    "layer_norm", widening(_layer_kernel), "input weight bias",
    grad=lambda g, n, input, weight, dims, eps: _affine_grads(
        g, n, input, weight, _last(input, dims), eps, True),
    samples=lambda s: [
        ((s(3, 4), s(4), s(4)), {"dims": 1, "eps": 0.01}),
        ((s(2, 3, 2), s(3, 2), None), {"dims": 2, "eps": 0.01}),
        ((s(3, 4), None, None), {"dims": 1, "eps": 0.01}),
    ],
)  # fmt: skip
RMS_NORM = op(
    "rms_norm", widening(_rms_kernel), "input weight",
    grad=lambda g, n, input, weight, dims, eps: _affine_grads(
        g, n, input, weight, _last(input, dims), eps, False),
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
    _check_types(input, weight, bias)
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
        if d.category < dtypes.FLOAT:
            kind = type_name(input._data)
            raise NotImplementedError(f"\"rms_norm\" not implemented for '{kind}'")
        eps = dtypes.finfo(d if d.itemsize > 2 else dtypes.float32).eps
    return apply(RMS_NORM, input, weight, dims=len(shape), eps=eps)


# -- group and instance norm ------------------------------------------------------------------


def _column(p: Any, ndim: int) -> Any:
    """A per-channel vector, to broadcast against (N, C, ...)."""
    return None if p is None else p.reshape(-1, *[1] * (ndim - 2))


def _group_kernel(x: Any, w: Any, b: Any, *, num_groups: int, eps: float) -> Any:
    real_floating(x, "GroupNormKernelImpl")
    if channels := _group_channels(x, w, b):
        mean, r = _group_moments(channels, x, num_groups, eps)
        lines, count = x.reshape(1, -1, math.prod(x.shape[2:])), len(x)
        scale = r if w is None else r * np.tile(w, count)
        shift = None if b is None else np.tile(b, count)
        return channels.affine(lines, mean, scale, shift).reshape(x.shape)
    grouped = _grouped(x, num_groups)
    normal = _standardize_kernel(grouped, dims=(2,), eps=eps, center=True).reshape(x.shape)
    return _affine(normal, _column(w, x.ndim), _column(b, x.ndim))


def _grouped(x: Any, num_groups: int) -> Any:
    each = x.shape[1] // num_groups * math.prod(x.shape[2:])
    return x.reshape(x.shape[0], num_groups, each)


def _group_channels(x: Any, *others: Any) -> Any:
    """The compiled kernels for the channels' lines of a large array, or None."""
    if x.ndim < 3 or math.prod(x.shape[2:]) < _SHORT or not compiled.is_plain_or_wide(x):
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
        normal = _standardized(_grouped(input, num_groups), (2,), eps)
        found[1] = _channel_sum(g * normal.reshape(input.shape))
    if n.needs(2):
        found[2] = _channel_sum(g)
    return tuple(found)


def _group_grad_x(g: Any, input: Any, weight: Any, num_groups: int, eps: float) -> Any:
    inner = _grouped(_scaled(g, _column(weight, input.ndim)), num_groups)
    return _unscaled(inner, _grouped(input, num_groups), (2,), eps, True).reshape(input.shape)


def _channel_sum(g: Any) -> Any:
    return g.sum((0, *range(2, g.ndim)))


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
    _check_channels("group_norm", channels, weight=weight, bias=bias)
    _check_types(input, weight, bias)
    if input.numel() // num_groups == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size "
            f"{list(input.shape)}"
        )
    return apply(GROUP_NORM, input, weight, bias, num_groups=num_groups, eps=eps)


def _check_types(input: Any, *params: Any) -> None:
    """Refuse parameters of another type than the input's; halves may have those of float32."""
    kind = input.dtype
    for p in params:
        if p is None or p.dtype is kind or (p.dtype is dtypes.float32 and kind.numpy.itemsize == 2):
            continue
        raise RuntimeError(
            f"mixed dtype (CPU): expect parameter to have scalar type of {kind}, but got {p.dtype}"
        )


def _check_channels(name: str, channels: int, **params: Any) -> None:
    for key, p in params.items():
        if p is not None and tuple(p.shape) != (channels,):
            raise RuntimeError(
                f"{name}: {key} should contain {channels} elements not {p.numel()}"
            )  # fmt: skip


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
    _check_types(input, running_mean, running_var, weight, bias)
    if input.numel() or use_input_stats:
        _check_channels("instance_norm", channels, running_mean=running_mean,
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
        mean, _, square = _moments(wide(input._data), tuple(range(2, input.ndim)), True)
        size = math.prod(input.shape[2:])
        _update(running_mean, mean.reshape(input.shape[:2]).mean(axis=0), momentum)
        var = square.reshape(input.shape[:2]) * (size / (size - 1))
        _update(running_var, var.mean(axis=0), momentum)
    return apply(GROUP_NORM, input.contiguous(), weight, bias, num_groups=channels, eps=eps)


# -- batch norm -------------------------------------------------------------------------------


def _batch_kernel(
    x: Any, w: Any, b: Any, mean: Any, var: Any, *, training: bool, eps: float
) -> Any:  # fmt: skip
    """In training also the batch's mean and biased variance."""
    real_floating(x, "batch_norm")
    if x.ndim < 4:  # images may lie channels last
        x = in_rows(x)
    given = w, b
    w, b = _column(w, x.ndim), _column(b, x.ndim)
    if training:
        dims = (0, *range(2, x.ndim))
        if channels := host.compiled_channels(x, dims, *given):
            found = channels.standardize(*host.seen(x, dims, x), *given, eps, True)
            return found[0].reshape(x.shape), *found[1:]
        if host.is_quick(x, dims):
            normal, center, square = host.standardize(x, dims, eps, True)
            return _affine(normal, w, b), center, square
        center, centred, square = _moments(x, dims, True)
        y = _affine(centred / module_of(x).sqrt(square + eps), w, b)
        return y, center.reshape(-1), square.reshape(-1)
    if channels := host.compiled_channels(x, _batch_dims(x), *given, mean, var):
        r = 1 / np.sqrt(var + x.dtype.type(eps))
        r = r if given[0] is None else r * given[0]
        (lines,) = host.seen(x, _batch_dims(x), x)
        mean, r, shift = [p if p is None else np.ascontiguousarray(p) for p in (mean, r, given[1])]
        return channels.affine(lines, mean, r, shift).reshape(x.shape)
    mean, var = _column(mean, x.ndim), _column(var, x.ndim)
    return _affine((x - mean) / module_of(x).sqrt(var + eps), w, b)


def _batch_dims(x: Any) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def _batch_normal(input: Any, mean: Any, var: Any, training: bool, eps: float) -> Any:
    if training:
        return _standardized(input, _batch_dims(input), eps)
    column = (-1, *[1] * (input.ndim - 2))
    return (input - mean.reshape(column)) * (var.reshape(column) + eps).rsqrt()


def _batch_grad_x(
    g: Any, input: Any, weight: Any, var: Any, training: bool, eps: float
) -> Any:  # fmt: skip
    rank = input.ndim
    if not training:
        return _scaled(g, _column(weight, rank)) * _column((var + eps).rsqrt(), rank)
    dims = _batch_dims(input)
    size = input.numel() // max(input.shape[1], 1)
    gy, g_mean, g_var = g
    total = None
    if gy is not None:
        total = _unscaled(_scaled(gy, _column(weight, rank)), input, dims, eps, True)
    if g_mean is not None:
        part = (_column(g_mean, rank) / size).expand(input.shape)
        total = part if total is None else total + part
    if g_var is not None:
        centred = input - _mean(input, dims)
        part = _column(g_var, rank) * centred * (2 / size)
        total = part if total is None else total + part
    return total


def _batch_gy(g: Any) -> Any:
    return g[0] if isinstance(g, tuple) else g


def _batch_grads(
    g: Any, n: Any, input: Any, weight: Any, mean: Any, var: Any, training: bool, eps: float
) -> tuple[Any, ...]:
    if training and g[1] is None and g[2] is None:
        return *_affine_grads(g[0], n, input, weight, _batch_dims(input), eps, True), None, None
    gy = _batch_gy(g)
    g_weight = g_bias = None
    if gy is not None and n.needs(1):
        g_weight = _channel_sum(gy * _batch_normal(input, mean, var, training, eps))
    if gy is not None and n.needs(2):
        g_bias = _channel_sum(gy)
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
    _check_types(input, running_mean, running_var, weight, bias)
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
    _check_channels("batch_norm", input.shape[1], running_mean=running_mean,
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


# -- vectors ----------------------------------------------------------------------------------


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


@function(namespaces=("", "nn.functional"), method=False, checks=True)
@composite
def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """x1 · x2 / (max(‖x1‖, eps) · max(‖x2‖, eps)) along ``dim``; the others broadcast.

    IndexError for a dimension out of range, RuntimeError for integers or shapes that do not
    broadcast.

    >>> import framework as torch
    >>> torch.cosine_similarity(torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 0.0]]))
    tensor([0.7071])
    """
    if max(x1.dtype.category, x2.dtype.category) != dtypes.FLOAT:
        common = dtypes.promote_types(x1.dtype, x2.dtype)
        raise RuntimeError(
            "expected common dtype to be floating point, yet common dtype is "
            f"{type_name(np.empty(0, common.numpy))}"
        )
    x1, x2 = broadcast_tensors(x1, x2)
    length1 = x1.norm(2, dim, keepdim=True).clamp(min=eps)
    length2 = x2.norm(2, dim, keepdim=True).clamp(min=eps)
    return ((x1 / length1) * (x2 / length2)).sum(dim)


@function(namespaces=("", "nn.functional"), method=False, checks=True)
@composite
def pairwise_distance(
    x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Any:
    """‖x1 - x2 + eps‖ₚ along the last dimension; ``eps`` keeps it from zero, for the gradient.

    Shapes: (*, D) that broadcast; result (*), or (*, 1) with ``keepdim``. RuntimeError for shapes
    that do not broadcast.

    >>> import framework as torch
    >>> torch.pairwise_distance(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]]))
    tensor([5.0000])
    """
    return (x1 - x2 + eps).norm(p, -1, keepdim=keepdim)


@function(namespaces=("", "nn.functional"), method=False, checks=True)
@composite
def pdist(input: Any, p: float = 2) -> Any:
    """‖xᵢ - xⱼ‖ₚ of every two rows i < j: (N, M) to (N (N - 1) / 2,).

    RuntimeError for another rank, integers or a negative ``p``.

    That is, all pairs of N vectors of M numbers: the shape of the result has one dimension.

    >>> import framework as torch
    >>> torch.pdist(torch.tensor([[0.0], [1.0], [3.0]]))
    tensor([1., 3., 2.])
    """
    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    if not input.is_floating_point():
        raise RuntimeError("pdist only supports floating-point dtypes")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    count, device = input.shape[0], input._device
    rows, columns = np.triu_indices(count, 1)
    above = rows * count + columns
    index = wrap(above if device.type == "cpu" else to_device(above, device), device)
    square = apply(CDIST, input, input, p=float(p), product=False)
    return square.reshape(-1).index_select(0, index)
