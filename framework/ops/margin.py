"""Losses of distances and margins, as composites of a few elementwise ops and a reduction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.dispatch import composite, no_gradient
from framework.core.interpose import by_sample
from framework.core.registry import function
from framework.core.saved import all_values
from framework.kernels import module_of
from framework.kernels.floats import real_floating, type_name
from framework.ops.activation import logsigmoid
from framework.ops.distance import pairwise_distance
from framework.ops.loss import _mode, _reduced, only_real
from framework.ops.select import relu, where
from framework.tensor import wrap

__all__ = [
    "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "multi_margin_loss",
    "multilabel_margin_loss", "multilabel_soft_margin_loss", "soft_margin_loss",
    "triplet_margin_loss", "triplet_margin_with_distance_loss",
]  # fmt: skip


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """max(0, -target * (input1 - input2) + margin), averaged.

    input1 is to be larger where target is 1, input2 where it is -1. Shapes: three that broadcast
    and have as many dimensions; RuntimeError for other ranks.

    >>> import framework as torch
    >>> a, b = torch.tensor([1.0, 1.0]), torch.tensor([3.0, 3.0])
    >>> torch.nn.functional.margin_ranking_loss(a, b, torch.tensor([1.0, -1.0]), reduction="none")
    tensor([2., 0.])
    """
    mode = _mode(reduction, size_average, reduce)
    only_real("margin_ranking_loss", input1, input2, target)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {list(input1.shape)}, input2: {list(input2.shape)}, target: "
            f"{list(target.shape)} "
        )
    return _reduced((-target * (input1 - input2) + margin).clamp(min=0), mode)


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def hinge_embedding_loss(
    input: Any, target: Any, margin: float = 1.0, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """input where target is 1, max(0, margin - input) where it is -1; averaged.

    Input is a distance, which is to be small for a pair of a kind and at least ``margin`` for
    others. Shapes: two that broadcast; RuntimeError if they do not, and for the mean of integers,
    which keep their type.

    >>> import framework as torch
    >>> d, t = torch.tensor([0.25, 0.25]), torch.tensor([1, -1])
    >>> torch.nn.functional.hinge_embedding_loss(d, t, reduction="none")
    tensor([0.2500, 0.7500])
    """
    mode = _mode(reduction, size_average, reduce)
    if input.dtype.category == dtypes.INT:
        margin = int(dtypes.converted(margin, input.dtype))
    apart = where(target != 1, (margin - input).clamp(min=0), 0)
    together = where(target != -1, input, 0)
    return _reduced(apart + together, mode)


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def soft_margin_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Any:
    """log(1 + exp(-target * input)), averaged; target holds 1 and -1.

    Shapes: two that broadcast. RuntimeError for integer scores; overflows where PyTorch's does.

    >>> import framework as torch
    >>> torch.nn.functional.soft_margin_loss(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 1.0]))
    tensor(0.4100)
    """
    mode = _mode(reduction, size_average, reduce)
    if input.dtype.category < dtypes.FLOAT:
        raise RuntimeError(
            f"result type Float can't be cast to the desired output type {type_name(input._data)}"
        )
    no_gradient("soft_margin_loss", target=target)
    return _reduced((input * -target).exp().log1p(), mode)  # overflows where PyTorch's does


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """1 - cos where target is 1, max(0, cos - margin) where it is -1; averaged.

    cos is the `cosine_similarity` of the pair. Shapes: inputs (N, D) or (D,), target (N,) or ().
    RuntimeError for other ranks.

    >>> import framework as torch
    >>> a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]])
    >>> torch.nn.functional.cosine_embedding_loss(a, b, torch.tensor([1]))
    tensor(0.2929)
    """
    mode = _mode(reduction, size_average, reduce)
    only_real("cosine_embedding_loss", input1, input2, target)
    if target.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if input1.ndim != target.ndim + 1 or input2.ndim != target.ndim + 1:
        raise RuntimeError(
            f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found "
            f"inputs with sizes {list(input1.shape)} and {list(input2.shape)}."
        )
    eps = 1e-12
    product = (input1 * input2).sum(-1)
    lengths = (input1.square().sum(-1) + eps) * (input2.square().sum(-1) + eps)
    cosine = product / lengths.sqrt()
    together = where(target == 1, 1 - cosine, 0.0)
    apart = where(target == -1, (cosine - margin).clamp(min=0), 0.0)
    return _reduced(together + apart, mode)


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def triplet_margin_loss(
    anchor: Any, positive: Any, negative: Any, margin: float = 1.0, p: float = 2.0,
    eps: float = 1e-6, swap: bool = False, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), averaged (Balntas et al. 2016).

    d is `pairwise_distance` with this ``p`` and ``eps``. Shapes: three of (N, D) or (D,).
    Raises: ValueError for a ``margin`` that is not positive, RuntimeError for different ranks.

    Args:
        swap: take d(positive, negative) if it is the smaller distance to the negative.

    >>> import framework as torch
    >>> a, p, n = torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 4.0]])
    >>> torch.nn.functional.triplet_margin_loss(a, p, n)
    tensor(2.0000)
    """
    mode = _mode(reduction, size_average, reduce)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    _same_rank(anchor, positive, negative)
    near = pairwise_distance(anchor, positive, p, eps)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = far.minimum(pairwise_distance(positive, negative, p, eps))
    return _reduced((near - far + margin).clamp(min=0), mode)


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def triplet_margin_with_distance_loss(
    anchor: Any, positive: Any, negative: Any, *,
    distance_function: Callable[[Any, Any], Any] | None = None, margin: float = 1.0,
    swap: bool = False, reduction: str = "mean",
) -> Any:  # fmt: skip
    """`triplet_margin_loss` with any distance (`pairwise_distance` unless given).

    ``distance_function`` takes two tensors and returns a distance per row. Raises: ValueError for a
    ``margin`` that is not positive, RuntimeError for different ranks.

    The three have one shape `(N, D)`; the losses `(N,)` are averaged (or added up).

    >>> import framework as torch
    >>> a, p, n = torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 4.0]])
    >>> torch.nn.functional.triplet_margin_with_distance_loss(
    ...     a, p, n, distance_function=lambda x, y: (x - y).abs().sum(-1)
    ... )
    tensor(4.)
    """
    mode = _mode(reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    _same_rank(anchor, positive, negative)
    distance = pairwise_distance if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    return _reduced((near - far + margin).clamp(min=0), mode)


def _same_rank(anchor: Any, positive: Any, negative: Any) -> None:
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {anchor.ndim}D, positive {positive.ndim}D, and negative "
            f"{negative.ndim}D inputs"
        )


# -- many classes -----------------------------------------------------------------------------


def _rows(input: Any, name: str) -> Any:
    """(N, C) of (N, C), (C,) or a number."""
    real_floating(input._data, name)
    if input.ndim > 2 or (input.ndim and not input.shape[-1]):
        raise RuntimeError(
            "Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
            f"{list(input.shape)}"
        )
    return input if input.ndim == 2 else input.reshape(1, -1)


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def multi_margin_loss(
    input: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None,
    size_average: Any = None, reduce: Any = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """Σⱼ max(0, margin - input[target] + input[j])ᵖ / C over all other classes j, averaged.

    Shapes: input (N, C) or (C,), target (N,) or () of class numbers, weight (C,) or None, which
    multiplies the differences by the target's weight after the power. Raises: RuntimeError for a
    class that is not there, ValueError for a ``p`` other than 1 and 2.

    >>> import framework as torch
    >>> torch.nn.functional.multi_margin_loss(torch.tensor([[0.5, 1.0]]), torch.tensor([0]))
    tensor(0.7500)
    """
    mode = _mode(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.ndim != 1:
        raise ValueError("weight must be one-dimensional")
    rows = _rows(input, "multi_margin_loss")
    count, classes = rows.shape
    if target.ndim > 1 or target.numel() != count:
        raise RuntimeError(
            "target tensor should be 1-D with size equal to the number of input samples (batch "
            f"size). Expected target size [{count}], but got {list(target.shape)}. Input has shape "
            f"{list(input.shape)}."
        )
    if weight is not None and weight.numel() != classes:
        raise RuntimeError(
            f"inconsistent weight size, expected {classes} but got {list(weight.shape)}"
        )
    if target.dtype is not dtypes.int64:
        raise RuntimeError(f"expected scalar type Long but found {type_name(target._data)}")
    no_gradient("multi_margin_loss", weight=weight)
    target = target.reshape(-1)
    labels = all_values(target)
    if labels.size and not (int(labels.min()) >= 0 and int(labels.max()) < classes):
        raise RuntimeError("target out of range")
    index = target.unsqueeze(1)
    loss = relu(margin - rows.gather(1, index) + rows)
    if p == 2:
        loss = loss * loss
    if weight is not None:
        loss = loss * weight[target].unsqueeze(1)
    loss = loss.scatter(1, index, 0.0).sum(1) / classes
    return loss.reshape(()) if mode == "none" and input.ndim < 2 else _reduced(loss, mode)


@function(namespaces=("nn.functional",), method=False, checks=True)
@by_sample
@composite
def multilabel_margin_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Any:
    """Σ max(0, 1 - (input[i] - input[j])) / C over labels i and all other classes j, averaged.

    Shapes: input (N, C) or (C,); target likewise, class numbers up to the first -1. RuntimeError
    for another size, type or a class that is not there.

    >>> import framework as torch
    >>> x = torch.tensor([0.1, 0.2, 0.4, 0.8])
    >>> torch.nn.functional.multilabel_margin_loss(x, torch.tensor([3, 0, -1, 1]))
    tensor(0.8500)
    """
    mode = _mode(reduction, size_average, reduce)
    rows = _rows(input, "multilabel_margin_loss")
    if target.shape != input.shape and target.numel() != input.numel():
        raise RuntimeError(
            f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}"
        )
    if target.dtype is not dtypes.int64:
        raise RuntimeError(f"expected scalar type Long but found {type_name(target._data)}")
    if input.is_meta:  # a result of the same looks, with the same way to the input
        loss = rows.sum(1)
        return loss.reshape(()) if mode == "none" and input.ndim < 2 else _reduced(loss, mode)
    labels = target._data.reshape(rows.shape)
    xp = module_of(labels)
    if labels.size and not (int(labels.min()) >= -1 and int(labels.max()) < rows.shape[1]):
        raise RuntimeError("target out of range")
    listed = xp.cumsum(labels < 0, axis=1) == 0  # up to the first -1
    index = xp.where(listed, labels, 0)
    chosen = xp.zeros(labels.shape, np.bool_)
    at = xp.broadcast_to(xp.arange(len(labels))[:, None], labels.shape)
    chosen[at[listed], labels[listed]] = True
    most = int(listed.sum(axis=1).max()) if listed.size else 0
    listed, index = listed[:, :most], index[:, :most]
    counts = wrap(listed[:, :, None] & ~chosen[:, None, :], input._device)
    own = rows.gather(1, wrap(index, input._device)).unsqueeze(2)
    gaps = relu(1 - own + rows.unsqueeze(1))
    loss = where(counts, gaps, 0.0).sum((1, 2)) / rows.shape[1]
    return loss.reshape(()) if mode == "none" and input.ndim < 2 else _reduced(loss, mode)


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def multilabel_soft_margin_loss(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """-(t log σ(x) + (1 - t) log(1 - σ(x))), averaged over the classes (last dimension) and then.

    Shapes: input and target (*, C), weight broadcast or None. RuntimeError for shapes that do not
    broadcast.

    >>> import framework as torch
    >>> x, t = torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 0.0]])
    >>> torch.nn.functional.multilabel_soft_margin_loss(x, t)
    tensor(1.4100)
    """
    mode = _mode(reduction, size_average, reduce)
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    return _reduced(loss.sum(-1) / input.shape[-1], mode)
