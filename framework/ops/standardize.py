"""What the norms are made of: standardising over some dimensions, scaling and shifting.

With x̂ = (x - mean) · r and r = 1 / sqrt(var + eps) over some dimensions D (RMS norm: no mean, and
the mean square for the variance), the gradient is

    N(g) = r · (g - mean(g) - x̂ · mean(g x̂)),

a primitive of its own (``standardize_backward``). N is symmetric, so its gradient with respect to g
is N again; the one with respect to x is derived in `_second`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.dispatch import apply
from framework.core.registry import op
from framework.kernels import compiled, module_of, quick
from framework.kernels import norm as host
from framework.kernels.floats import floating, widening

__all__ = [
    "SHORT", "affine", "affine_grads", "all_but_channels", "as_rows", "channel_sum",
    "check_channels", "check_types", "column", "last", "mean_over", "moments", "rows_of",
    "scaled_by", "standardize_kernel", "standardized", "unscaled",
]  # fmt: skip

# -- standardisation -----------------------------------------------------------------------------


def moments(x: Any, dims: tuple[int, ...], center: bool) -> tuple[Any, Any, Any]:
    """Mean (None unless ``center``), the centred x and its mean square, dimensions kept."""
    mean = quick.mean(x, dims, True) if center else None
    centred = x - mean if center else x
    return mean, centred, quick.mean(centred * centred, dims, True)


def standardize_kernel(
    x: Any, *, dims: tuple[int, ...], eps: float, center: bool
) -> Any:  # fmt: skip
    floating(x, "norm")
    if host.is_quick(x, dims):
        return host.standardize(x, dims, eps, center)[0]
    _, centred, square = moments(x, dims, center)
    return centred / module_of(x).sqrt(square + eps)


def _backward_kernel(
    g: Any, x: Any, *, dims: tuple[int, ...], eps: float, center: bool
) -> Any:  # fmt: skip
    if host.is_quick(x, dims) and g.dtype == x.dtype:
        return host.backward(g, x, dims, eps, center)
    _, centred, square = moments(x, dims, center)
    r = 1 / module_of(x).sqrt(square + eps)
    normal = centred * r
    result = g - normal * quick.mean(g * normal, dims, True)
    if center:
        result -= quick.mean(g, dims, True)
    result *= r
    return result


def mean_over(x: Any, dims: tuple[int, ...]) -> Any:
    return x.mean(dims, keepdim=True)


def _second(g: Any, v: Any, x: Any, dims: Any, eps: float, center: bool) -> Any:
    """Gradient of <g, N(v)> with respect to x.

    Per group of m elements <g, N(v)> = m r (cov(g, v) - a b), a = mean(g x̂), b = mean(v x̂), and
    dr/dx = -r² x̂ / m; x̂'s own derivative is N.
    """
    centred = x - mean_over(x, dims) if center else x
    r = (mean_over(centred * centred, dims) + eps).rsqrt()
    normal = centred * r
    a, b = mean_over(g * normal, dims), mean_over(v * normal, dims)
    cov = mean_over(g * v, dims)
    if center:
        cov = cov - mean_over(g, dims) * mean_over(v, dims)
    inner = unscaled(g * b + v * a, x, dims, eps, center)
    return -(r * inner + r * r * normal * (cov - a * b))


def unscaled(v: Any, x: Any, dims: Any, eps: float, center: bool) -> Any:
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
    "standardize", widening(standardize_kernel), "a",
    grad=(lambda g, a, n: apply(STANDARDIZE_BACKWARD, g, a, **n.meta),),
    samples=lambda s: [((s(2, 3, 2),), meta) for meta in _META],
)  # fmt: skip


def standardized(x: Any, dims: Any, eps: float, center: bool = True) -> Any:
    return apply(STANDARDIZE, x, dims=dims, eps=eps, center=center)


# -- with a weight and a bias --------------------------------------------------------------------

SHORT = 16  # rows that NumPy has no trouble with


def affine(normal: Any, weight: Any, bias: Any) -> Any:
    """normal * weight + bias, in place: ``normal`` is the kernel's own."""
    if weight is not None:
        normal *= weight
    if bias is not None:
        normal += bias
    return normal


def last(x: Any, count: int) -> tuple[int, ...]:
    return tuple(range(x.ndim - count, x.ndim))


def rows_of(x: Any, dims: int, *params: Any) -> Any:
    """The compiled kernels, for large rows of parameters of the same type."""
    if not compiled.is_plain_or_wide(x) or math.prod(x.shape[x.ndim - dims :]) < SHORT:
        return None
    if any(p is not None and p.dtype is not x.dtype for p in params):
        return None
    return compiled.family("rows")


def as_rows(x: Any, dims: int, *params: Any) -> list[Any]:
    """The last ``dims`` dimensions as one, and contiguous."""
    lines = x.reshape(-1, math.prod(x.shape[x.ndim - dims :]))
    return [lines, *[None if p is None else np.ascontiguousarray(p).reshape(-1) for p in params]]


def scaled_by(g: Any, weight: Any) -> Any:
    return g if weight is None else g * weight


def _is_rows(x: Any, dims: tuple[int, ...]) -> bool:
    """Whether one standardises over the last dimensions; else over all but the second."""
    return dims == last(x, len(dims))


def column(p: Any, ndim: int) -> Any:
    """A per-channel vector, to broadcast against (N, C, ...)."""
    return None if p is None else p.reshape(-1, *[1] * (ndim - 2))


def _spread(p: Any, x: Any, dims: tuple[int, ...]) -> Any:
    """A weight or a bias, to be multiplied with x."""
    return p if _is_rows(x, dims) else column(p, x.ndim)


def _others(x: Any, dims: tuple[int, ...]) -> tuple[int, ...]:
    """The dimensions that a weight's gradient is summed over."""
    return tuple(range(x.ndim - len(dims))) if _is_rows(x, dims) else dims


def all_but_channels(x: Any) -> tuple[int, ...]:
    """The dimensions of (N, C, ...) but the second."""
    return (0, *range(2, x.ndim))


def channel_sum(g: Any) -> Any:
    return g.sum(all_but_channels(g))


def _affine_backward(
    g: Any, x: Any, w: Any, *, dims: tuple[int, ...], eps: float, center: bool
) -> tuple[Any, Any, Any]:
    """Gradients of x̂ · weight + bias with respect to x, weight and bias."""
    if g.shape == x.shape and (found := _compiled_backward(g, x, w, dims, eps, center)):
        return found
    others, scaled = _others(x, dims), scaled_by(g, _spread(w, x, dims))
    normal = standardize_kernel(x, dims=dims, eps=eps, center=center)
    return (
        _backward_kernel(scaled, x, dims=dims, eps=eps, center=center),
        quick.total(g * normal, others),
        quick.total(g, others),
    )


def _compiled_backward(
    g: Any, x: Any, w: Any, dims: tuple[int, ...], eps: float, center: bool
) -> tuple[Any, Any, Any] | None:
    if _is_rows(x, dims):
        if not (rows := rows_of(x, len(dims), g, w)):
            return None
        lines, scale = as_rows(x, len(dims), w)
        dx, dw, db = rows.backward(lines, as_rows(g, len(dims))[0], scale, eps, center)
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
        inner = unscaled(a, input, dims, eps, center)  # N is symmetric
        parts[0].append(scaled_by(inner, weight))
        if n.needs(1):
            parts[1].append(_second(a, scaled_by(grad, weight), input, dims, eps, center))
        if n.needs(2):
            for_weight = (grad * inner).sum(others) if others else grad * inner
    if b is not None:
        b = _spread(b, input, dims)
        parts[0].append(b * standardized(input, dims, eps, center))
        if n.needs(1):
            parts[1].append(unscaled(b * grad, input, dims, eps, center))
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


def affine_grads(
    g: Any, n: Any, input: Any, weight: Any, dims: tuple[int, ...], eps: float, center: bool
) -> tuple[Any, ...]:
    """By rule for input, weight and bias, whose edges come first in node ``n``."""
    wanted = [edge is not None for edge in n.edges[:3]]
    if not any(wanted[1:]):
        inner = scaled_by(g, _spread(weight, input, dims))
        return (unscaled(inner, input, dims, eps, center),)
    found = apply(AFFINE_NORM_BACKWARD, g, input, weight, dims=dims, eps=eps, center=center)
    return tuple([part if want else None for part, want in zip(found, wanted)])


# -- checks --------------------------------------------------------------------------------------


def check_types(input: Any, *params: Any) -> None:
    """Refuse parameters of another type than the input's; halves may have those of float32."""
    kind = input.dtype
    for p in params:
        if p is None or p.dtype is kind or (p.dtype is dtypes.float32 and kind.numpy.itemsize == 2):
            continue
        raise RuntimeError(
            f"mixed dtype (CPU): expect parameter to have scalar type of {kind}, but got {p.dtype}"
        )


def check_channels(name: str, channels: int, **params: Any) -> None:
    for key, p in params.items():
        if p is not None and tuple(p.shape) != (channels,):
            raise RuntimeError(
                f"{name}: {key} should contain {channels} elements not {p.numel()}"
            )  # fmt: skip
