"""PyTorch's internal names of the normalisations, which also return the statistics."""

from __future__ import annotations

from typing import Any

from framework import dtypes
from framework.core.dispatch import composite
from framework.core.registry import function
from framework.ops.batch_norm import batch_norm_with_moments
from framework.ops.norm import group_norm, layer_norm

__all__ = [
    "_batch_norm_with_update", "_native_batch_norm_legit", "native_batch_norm",
    "native_group_norm", "native_layer_norm",
]  # fmt: skip


def _inverse_deviation(x: Any, mean: Any, dims: Any, eps: float) -> Any:
    return ((x - mean).square().mean(dims, keepdim=True) + eps).rsqrt()


@function(method=False)
@composite
def native_layer_norm(
    input: Any, normalized_shape: Any, weight: Any, bias: Any, eps: float
) -> tuple[Any, Any, Any]:
    """(`layer_norm`, the means, 1 / sqrt(variance + eps)); the last two without a gradient.

    Over the last dimensions, of shape ``normalized_shape``, which means and factors have as ones.

    >>> import framework as torch
    >>> y, mean, rstd = torch.native_layer_norm(torch.tensor([[1.0, 3.0]]), [2], None, None, 0.0)
    >>> y, mean, rstd
    (tensor([[-1.,  1.]]), tensor([[2.]]), tensor([[1.]]))
    """
    y = layer_norm(input, normalized_shape, weight, bias, eps)
    x = input.detach()
    dims = tuple(range(x.ndim - len(tuple(normalized_shape)), x.ndim))
    mean = x.mean(dims, keepdim=True)
    return y, mean, _inverse_deviation(x, mean, dims, eps)


@function(method=False)
@composite
def native_group_norm(
    input: Any, weight: Any, bias: Any, N: int, C: int, HxW: int, group: int, eps: float
) -> tuple[Any, Any, Any]:
    """(`group_norm`, the groups' means, 1 / sqrt(variance + eps)) of N samples of C channels.

    ``HxW`` is the number of elements of a channel; means and factors are `(N, group)`.

    >>> import framework as torch
    >>> x = torch.tensor([[1.0, 3.0, 2.0, 6.0]])
    >>> y, mean, rstd = torch.native_group_norm(x, None, None, 1, 4, 1, 2, 0.0)
    >>> y, mean, rstd
    (tensor([[-1.,  1., -1.,  1.]]), tensor([[2., 4.]]), tensor([[1.0000, 0.5000]]))
    """
    x = input.reshape(N, C, HxW)
    y = group_norm(x, group, weight, bias, eps).reshape(input.shape)
    grouped = x.reshape(N, group, C // group * HxW)
    mean = grouped.mean(2, keepdim=True)
    return y, mean.squeeze(2), _inverse_deviation(grouped, mean, 2, eps).squeeze(2)


@function(method=False, out=True)
@composite
def native_batch_norm(
    input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool,
    momentum: float, eps: float,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """(`batch_norm`, the batch's means, 1 / sqrt(variance + eps)) of `(N, C, ...)`.

    Means and factors are `(C,)`, empty unless ``training``; then the running statistics, if there
    are any, are updated in place.

    >>> import framework as torch
    >>> x = torch.tensor([[1.0], [3.0]])
    >>> torch.native_batch_norm(x, None, None, None, None, True, 0.1, 0.0)
    (tensor([[-1.],
            [ 1.]]), tensor([2.]), tensor([1.]))
    """
    y, mean, var = batch_norm_with_moments(
        input, running_mean, running_var, weight, bias, training, momentum, eps
    )
    if mean is None:
        nothing = input.detach().new_empty((0,))
        return y, nothing, nothing.clone()
    params = [t for t in (weight, bias, running_mean, running_var) if t is not None]
    if params:  # PyTorch lets 16-bit inputs have parameters of 32 bits
        mean, var = mean.to(params[0].dtype), var.to(params[0].dtype)
    return y, mean, (var + eps).rsqrt()


@function(method=False, out=True)
def _native_batch_norm_legit(
    input: Any, weight: Any, bias: Any, *rest: Any, **named: Any
) -> tuple[Any, Any, Any]:
    """`native_batch_norm`, for which running statistics need not be given."""
    if rest and isinstance(rest[0], bool):
        rest = (None, None, *rest)
    elif "running_mean" not in named and not rest:
        rest = (None, None)
    return native_batch_norm(input, weight, bias, *rest, **named)


@function(method=False)
def _batch_norm_with_update(
    input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, momentum: float,
    eps: float,
) -> tuple[Any, Any, Any, Any]:  # fmt: skip
    """`native_batch_norm` in training, with the empty reserve that cuDNN would use."""
    found = native_batch_norm(
        input, weight, bias, running_mean, running_var, True, momentum, eps
    )  # fmt: skip
    return (*found, input.detach().new_empty((0,), dtype=dtypes.uint8))
