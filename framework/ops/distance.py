"""Distances by p-norms of two tensors, of rows, of all rows; renorm, which shortens slices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.dispatch import apply, composite
from framework.core.interpose import stack
from framework.core.modes import modes
from framework.core.registry import function, op
from framework.kernels import compiled, module_of, to_device
from framework.kernels.floats import type_name, widening
from framework.ops.dims import axis, numpy_names, only_floating
from framework.ops.reduce import norm, norm_grad
from framework.ops.shape import broadcast_tensors
from framework.tensor import Tensor, wrap

__all__ = ["cdist", "cosine_similarity", "dist", "pairwise_distance", "pdist", "renorm"]

_CHUNK = 1 << 16  # differences that are held at a time: they fit into a cache


@function()
@composite
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of ``input - other``, which broadcast.

    A number, whatever the shapes are. RuntimeError for integers or shapes that do not broadcast.

    >>> import framework as torch
    >>> torch.dist(torch.tensor([1.0, 2.0]), torch.tensor([4.0, 6.0]))
    tensor(5.)
    """
    if not isinstance(other, Tensor):
        raise TypeError(f"dist(): argument 'other' must be Tensor, not {type(other).__name__}")
    apart = input - other
    only_floating(
        apart, "norm(): input dtype should be either floating point or complex. Got {got} instead."
    )
    return norm(apart, p)


# -- between all rows ------------------------------------------------------------------------


@widening
def _cdist_kernel(x1: Any, x2: Any, *, p: float, product: bool) -> Any:
    xp = module_of(x1)
    if product:
        squares = xp.square(x1).sum(-1)[..., :, None] + xp.square(x2).sum(-1)[..., None, :]
        return xp.sqrt(xp.maximum(squares - 2 * (x1 @ xp.swapaxes(x2, -1, -2)), 0))
    n, m, width = x1.shape[-2], x2.shape[-2], x1.shape[-1]
    batch = xp.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    result = xp.zeros((*batch, n, m), x1.dtype)  # which takes no time until it is written
    if not width or not result.size:
        return result
    if p in (1, 2) and batch == x1.shape[:-2] == x2.shape[:-2] and (kernels := _kernels(x1, x2)):
        flat = [x.reshape(math.prod(batch), *x.shape[-2:]) for x in (x1, x2)]
        found: Any = kernels.between_rows(*flat, p)
        return found.reshape(result.shape)
    step = max(_CHUNK // (math.prod(batch) * m * width), 1)
    for i in range(0, n, step):
        part = xp.abs(x1[..., i : i + step, None, :] - x2[..., None, :, :])
        result[..., i : i + step, :] = _length(xp, part, p)
    return result


def _kernels(x1: Any, x2: Any) -> Any:
    """The compiled kernels, if they can take these arrays, or None."""
    same = x1.dtype is x2.dtype and compiled.is_plain_or_wide(x1) and compiled.is_plain_or_wide(x2)
    return compiled.family("distances") if same else None


def _length(xp: Any, part: Any, p: float) -> Any:
    if p == 2:
        return xp.sqrt(xp.square(part).sum(-1))
    if p == 0:
        return (part != 0).sum(-1)
    if p == 1:
        return part.sum(-1)
    if math.isinf(p):
        return part.max(-1)
    return xp.power(xp.power(part, p).sum(-1), 1 / p)


def _city_backward_kernel(g: Any, x1: Any, x2: Any) -> Any:
    if kernels := _kernels(x1, x2):
        flat = [x.reshape(-1, *x.shape[-2:]) for x in (g, x1, x2)]
        found = kernels.between_rows_backward(np.ascontiguousarray(flat[0]), *flat[1:])
        return found[0].reshape(x1.shape), found[1].reshape(x2.shape)
    apart = x1[..., :, None, :] - x2[..., None, :, :]
    slopes = g[..., None] * ((apart > 0).astype(g.dtype) - (apart < 0))  # NaN has no sign
    return slopes.sum(-2), -slopes.sum(-3)


CITY_BACKWARD = op("cdist_city_backward", _city_backward_kernel, "g x1 x2")


def _at_once(g: Any, x1: Any, x2: Any) -> bool:
    """Whether the slopes of sums of differences are added up without these as an array."""
    if modes.grad or stack.layers or x1.shape[:-2] != x2.shape[:-2] or not g._data.size:
        return False
    return g.dtype is x1.dtype and bool(_kernels(x1._data, x2._data))


def _cdist_grads(g: Any, x1: Any, x2: Any, y: Any, p: float) -> Any:
    """Of Euclidean distances by products of matrices, without the difference of all pairs."""
    if p == 1 and _at_once(g, x1, x2):
        return apply(CITY_BACKWARD, g, x1, x2)
    if p == 2:
        ratio = (g / y).masked_fill(y == 0, 0)
        return (
            x1 * ratio.sum(-1, True) - ratio @ x2,
            x2 * ratio.sum(-2).unsqueeze(-1) - ratio.transpose(-1, -2) @ x1,
        )
    apart = x1.unsqueeze(-2) - x2.unsqueeze(-3)
    if math.isinf(p):  # unlike `norm`, PyTorch's distances give each of the largest all of it
        slope = apart.sgn() * (apart.abs() == y.unsqueeze(-1)) * g.unsqueeze(-1)
    else:
        slope = norm_grad(g, apart, y, p, (apart.ndim - 1,), False)
    return slope.sum(-2), -slope.sum(-3)


CDIST = op(
    "cdist", _cdist_kernel, "x1 x2", grad=_cdist_grads,
    samples=lambda s: [
        ((s(3, 2), s(2, 4, 2)), {"p": p, "product": product})
        for p, product in ((2.0, False), (2.0, True), (1.0, False), (3.0, False), (math.inf, False))
    ],
)  # fmt: skip

# Whether distances of n and m points are computed by a product of matrices.
_MODES = {
    "use_mm_for_euclid_dist_if_necessary": lambda n, m: n > 25 or m > 25,
    "use_mm_for_euclid_dist": lambda n, m: True,
    "donot_use_mm_for_euclid_dist": lambda n, m: False,
}


@function(method=False)
def cdist(
    x1: Tensor, x2: Tensor, p: float = 2.0,
    compute_mode: str | None = "use_mm_for_euclid_dist_if_necessary",
) -> Tensor:  # fmt: skip
    """The p-norm distance between every row of one and every row of another: (..., N, M).

    RuntimeError for other ranks, different numbers of columns, integers or a negative ``p``;
    ValueError for another ``compute_mode``.

    Args:
        x1, x2: (..., N, D) and (..., M, D) of one floating type, the rest broadcasts.
        compute_mode: whether Euclidean distances come from |a|² + |b|² - 2 a·b, a product of
            matrices that is fast and inaccurate for small distances: by default for more than 25
            rows.

    >>> import framework as torch
    >>> torch.cdist(torch.tensor([[0.0, 0.0], [3.0, 0.0]]), torch.tensor([[0.0, 4.0]]))
    tensor([[4.],
            [5.]])
    """
    mode = _MODES.get(compute_mode or "use_mm_for_euclid_dist_if_necessary")
    if mode is None:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    for number, x in enumerate((x1, x2), 1):
        if not x.is_floating_point():
            raise RuntimeError(
                f"cdist only supports floating-point dtypes, X{number} got: {type_name(x._data)}"
            )
        if x.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, X{number} got: {x.ndim}D")
    if x1._data.shape[-1] != x2._data.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}"
        )
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    if x1.dtype is not x2.dtype:
        raise RuntimeError(
            f"expected scalar type {type_name(x1._data)} but found {type_name(x2._data)}"
        )
    product = p == 2 and mode(x1._data.shape[-2], x2._data.shape[-2])
    return apply(CDIST, x1, x2, p=float(p), product=product)


# -- to a length -----------------------------------------------------------------------------


@function(inplace=True, out="exact")
@numpy_names
@composite
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Slices along ``dim`` whose p-norm exceeds ``maxnorm`` scaled down to it.

    >>> import framework as torch
    >>> torch.renorm(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), 2, 0, 1.0)
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    if isinstance(p, complex) or isinstance(maxnorm, complex):
        name = "p" if isinstance(p, complex) else "maxnorm"
        raise RuntimeError(f"renorm: {name} must be real-valued")
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm:g}")
    if input.ndim < 2:
        raise RuntimeError(
            f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions"
        )
    d = axis(dim, input.ndim)
    rest = [i for i in range(input.ndim) if i != d]
    size = norm(input, p, rest, True)
    factor = (maxnorm / (size + 1e-7)).masked_fill(~(size > maxnorm), 1)  # also where it is NaN
    return input * factor


# -- of rows to each other -----------------------------------------------------------------------


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
