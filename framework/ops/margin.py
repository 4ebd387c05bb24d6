"""Losses of distances and margins, as composites of a few elementwise ops and a reduction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.dispatch import composite
from framework.core.interpose import by_sample
from framework.core.registry import function
from framework.core.saved import all_values
from framework.kernels import module_of
from framework.kernels.floats import real_floating, type_name
from framework.ops.activation import logsigmoid
from framework.ops.loss import _mode, _reduced, only_real
from framework.ops.norm import pairwise_distance
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
    """max(0, -target * (input1 - input2) + margin), averaged."""
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
    """input where target is 1, max(0, margin - input) where it is -1; averaged."""
    mode = _mode(reduction, size_average, reduce)
    apart = where(target != 1, (margin - input).clamp(min=0), 0.0)
    together = where(target != -1, input, 0.0)
    return _reduced(apart + together, mode)


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def soft_margin_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Any:
    """log(1 + exp(-target * input)), averaged."""
    mode = _mode(reduction, size_average, reduce)
    if input.dtype.category < dtypes.FLOAT:
        raise RuntimeError(
            f"result type Float can't be cast to the desired output type {type_name(input._data)}"
        )
    return _reduced((input * -target).exp().log1p(), mode)  # overflows where PyTorch's does


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, size_average: Any = None,
    reduce: Any = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """1 - cos where target is 1, max(0, cos - margin) where it is -1; averaged."""
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
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), averaged."""
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
    """`triplet_margin_loss` with any distance (`pairwise_distance` unless given)."""
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
    multiplies the differences by the target's weight before the power.
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

    Shapes: input (N, C) or (C,); target likewise, class numbers up to the first -1.
    """
    mode = _mode(reduction, size_average, reduce)
    rows = _rows(input, "multilabel_margin_loss")
    if target.shape != input.shape and target.numel() != input.numel():
        raise RuntimeError(
            f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}"
        )
    if target.dtype is not dtypes.int64:
        raise RuntimeError(f"expected scalar type Long but found {type_name(target._data)}")
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

    Shapes: input and target (*, C), weight broadcast or None.
    """
    mode = _mode(reduction, size_average, reduce)
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    return _reduced(loss.sum(-1) / input.shape[-1], mode)
