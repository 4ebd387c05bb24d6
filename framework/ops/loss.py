"""Losses of numbers and of probabilities; those of distances and margins are in `margin`.

Most are composites of a few elementwise ops and a reduction, to be stepped into.

``nll_loss`` is linear in its input; it and its gradient ``nll_loss_backward`` are each other's
adjoints.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.cautions import caution
from framework.core.dispatch import apply, composite, no_gradient
from framework.core.interpose import looked_at
from framework.core.modes import modes
from framework.core.registry import function, op
from framework.device import CPU
from framework.dtypes import FLOAT
from framework.kernels import compiled, module_of
from framework.kernels.floats import real_floating, type_name, widening
from framework.ops.activation import logsigmoid
from framework.ops.linear import linear
from framework.ops.select import where
from framework.ops.softmax import log_softmax
from framework.tensor import wrap

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy",
    "gaussian_nll_loss", "huber_loss", "kl_div", "l1_loss", "linear_cross_entropy", "mse_loss",
    "nll_loss", "poisson_nll_loss", "smooth_l1_loss",
]  # fmt: skip


# -- reductions -------------------------------------------------------------------------------


def _mode(reduction: str, size_average: Any = None, reduce: Any = None) -> str:
    """The reduction's name; the two older keywords are still understood."""
    if size_average is not None or reduce is not None:
        if reduce is False:
            reduction = "none"
        else:
            reduction = "sum" if size_average is False else "mean"
        caution(
            "size_average and reduce args will be deprecated, please use "
            f"reduction='{reduction}' instead.",
        )
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def _reduced(loss: Any, mode: str) -> Any:
    if mode == "mean":
        return loss.mean()
    return loss.sum() if mode == "sum" else loss


def _warn_sizes(input: Any, target: Any) -> None:
    if input.shape != target.shape:
        caution(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}). This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.",
        )


# -- classification ---------------------------------------------------------------------------


def _class_weights(target: Any, weight: Any, ignore_index: int, classes: int, dtype: Any) -> Any:
    """(weight of each target's class, zero where ignored; targets with the ignored made 0)."""
    xp = module_of(target)
    kept = target != ignore_index
    safe = xp.where(kept, target, 0)
    if safe.size:
        low, high = int(safe.min()), int(safe.max())
        if low < 0 or high >= classes:
            raise IndexError(f"Target {low if low < 0 else high} is out of bounds.")
    if weight is None:
        return kept.astype(dtype), safe
    return kept * weight[safe], safe


def _nll_kernel(
    x: Any, target: Any, weight: Any, *, ignore_index: int, reduction: str
) -> Any:  # fmt: skip
    _check_nll(x, target, weight)
    w, safe = _class_weights(target, weight, ignore_index, x.shape[1], x.dtype)
    xp = module_of(x)
    loss = xp.take_along_axis(x, safe[:, None], axis=1)[:, 0]
    loss = xp.where(w != 0, -loss * w, x.dtype.type(0))  # an ignored infinity counts nothing
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        return loss.sum() / w.sum()


_widened_nll = widening(_nll_kernel)


def _nll_of_one_type(x: Any, target: Any, weight: Any, **options: Any) -> Any:
    if weight is not None and weight.dtype != x.dtype and x.dtype.kind in "fV":
        raise ValueError(
            f"expected scalar type {type_name(x)} but found {type_name(weight)}: the weight is of "
            "another dtype than the scores"
        )
    return _widened_nll(x, target, weight, **options)


def _check_nll(x: Any, target: Any, weight: Any) -> None:
    real_floating(x, "nll_loss")
    if target.dtype not in (np.int64, np.uint8):
        raise ValueError(f"expected target dtype to be Long or Byte, but got {type_name(target)}")
    if target.shape != (x.shape[0], *x.shape[2:]):
        raise ValueError(
            f"Expected target size {[x.shape[0], *x.shape[2:]]}, got {list(target.shape)}"
        )
    if weight is not None and weight.shape != (x.shape[1],):
        raise ValueError(
            f"weight tensor should be defined either for all {x.shape[1]} classes or no classes "
            f"but got weight tensor of shape: {list(weight.shape)}"
        )


def _nll_backward_kernel(
    g: Any, target: Any, weight: Any, *, classes: int, ignore_index: int, reduction: str
) -> Any:  # fmt: skip
    w, safe = _class_weights(target, weight, ignore_index, classes, g.dtype)
    xp = module_of(g)
    kept = w != 0
    if reduction == "mean":
        with np.errstate(invalid="ignore", divide="ignore"):
            w = w / w.sum()
    result = xp.zeros((target.shape[0], classes, *target.shape[1:]), g.dtype)
    value = xp.where(kept, -w * g, g.dtype.type(0))
    _put_along(xp, result, safe[:, None], value[:, None])
    return result


def _put_along(xp: Any, result: Any, index: Any, value: Any) -> None:
    """result[n, index[n, 0, ...], ...] = value[n, 0, ...]."""
    grids = list(xp.indices(index.shape, sparse=True))
    grids[1] = index
    result[tuple(grids)] = value


def _targets(s: Any, *shape: int) -> Any:
    data = np.arange(np.prod(shape)).reshape(shape) * 2 % 3
    data.flat[1] = -100
    return wrap(data)


NLL_LOSS = op(
    "nll_loss", _nll_of_one_type, "input target weight",
    grad=(
        lambda g, target, weight, n, ignore_index, reduction: apply(
            NLL_LOSS_BACKWARD, g, target, weight, classes=n.shape(0)[1],
            ignore_index=ignore_index, reduction=reduction),
        None,
        None,
    ),
    flat="input",
    samples=lambda s: [
        ((s(4, 3), _targets(s, 4), None), {"ignore_index": -100, "reduction": "mean"}),
        ((s(4, 3), _targets(s, 4), s.positive(3).detach()),
         {"ignore_index": -100, "reduction": "mean"}),
        ((s(2, 3, 2), _targets(s, 2, 2), None), {"ignore_index": -100, "reduction": "none"}),
        ((s(2, 3, 2), _targets(s, 2, 2), None), {"ignore_index": -100, "reduction": "sum"}),
    ],
)  # fmt: skip
NLL_LOSS_BACKWARD = op(
    "nll_loss_backward", widening(_nll_backward_kernel), "grad target weight",
    grad=(
        lambda g, target, weight, ignore_index, reduction: apply(
            NLL_LOSS, g, target, weight, ignore_index=ignore_index, reduction=reduction),
        None,
        None,
    ),
    samples=lambda s: [
        ((s(), _targets(s, 4), s.positive(3).detach()),
         {"classes": 3, "ignore_index": -100, "reduction": "mean"}),
        ((s(2, 2), _targets(s, 2, 2), None),
         {"classes": 3, "ignore_index": -100, "reduction": "none"}),
    ],
)  # fmt: skip


@function(namespaces=("nn.functional",), method=False, checks=True)
def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """-weight[target] * input[target]: the loss of log-probabilities.

    Shapes: input (N, C), (C,) or (N, C, *), target (N,), () or (N, *) of class numbers, weight (C,)
    or None. The mean is weighted: the sum over the sum of the targets' weights. Raises: IndexError
    for a class that is not there, RuntimeError or ValueError for sizes that do not match,
    RuntimeError for a weight of another dtype, NotImplementedError for integer scores.
    ``ignore_index`` as of `cross_entropy`.

    >>> import framework as torch
    >>> scores = torch.tensor([[0.5, 0.5], [0.25, 0.75]]).log()
    >>> torch.nn.functional.nll_loss(scores, torch.tensor([0, 1]), reduction="none")
    tensor([0.6931, 0.2877])
    """
    mode = _mode(reduction, size_average, reduce)
    if weight is not None:
        kernel = "nll_loss_forward" if input.ndim < 3 else "nll_loss2d_forward"
        no_gradient(kernel, weight=weight)
    if input.ndim == 0:
        raise ValueError(f"Expected 1 or more dimensions (got {input.ndim})")
    if input.ndim == 1:
        loss = apply(NLL_LOSS, input.unsqueeze(0), target.reshape(1), weight,
                     ignore_index=ignore_index, reduction=mode)  # fmt: skip
        return loss.squeeze(0) if mode == "none" else loss
    if target.ndim and target.shape[0] != input.shape[0]:
        raise ValueError(
            f"Expected input batch_size ({input.shape[0]}) to match target batch_size "
            f"({target.shape[0]})."
        )
    return apply(NLL_LOSS, input, target, weight, ignore_index=ignore_index, reduction=mode)


# -- both in one pass, where nobody looks between them ------------------------------------------


def _cross_entropy_kernel(
    x: Any, target: Any, weight: Any, *, ignore_index: int, reduction: str
) -> Any:  # fmt: skip
    w, safe = _class_weights(target, weight, ignore_index, x.shape[1], x.dtype)
    loss, tops, logs = compiled.family("rows").cross_entropy(x, safe, w)
    if reduction != "none":
        loss = loss.sum()
    if reduction == "mean":
        with np.errstate(invalid="ignore", divide="ignore"):
            loss = loss / w.sum()
    return loss, tops, logs


def _cross_entropy_backward_kernel(
    g: Any, x: Any, target: Any, weight: Any, tops: Any, logs: Any, *, ignore_index: int,
    reduction: str,
) -> Any:  # fmt: skip
    w, safe = _class_weights(target, weight, ignore_index, x.shape[1], x.dtype)
    kept = w != 0
    if reduction == "mean":
        with np.errstate(invalid="ignore", divide="ignore"):
            w = w / w.sum()
    slopes = np.where(kept, w * g, np.float32(0))
    return compiled.family("rows").cross_entropy_backward(x, safe, slopes, tops, logs)


CROSS_ENTROPY_BACKWARD = op(
    "cross_entropy_backward", _cross_entropy_backward_kernel, "grad input target weight tops logs"
)


def _cross_entropy_grad(
    g: Any, input: Any, target: Any, weight: Any, y1: Any, y2: Any, ignore_index: int,
    reduction: str,
) -> tuple[Any, None, None]:  # fmt: skip
    options: dict[str, Any] = {"ignore_index": ignore_index, "reduction": reduction}
    if not modes.grad and compiled.family("rows"):
        found = apply(CROSS_ENTROPY_BACKWARD, g[0], input, target, weight, y1, y2, **options)
        return found, None, None
    slopes = apply(NLL_LOSS_BACKWARD, g[0], target, weight, classes=input.shape[1], **options)
    shares = log_softmax(input, 1).exp()
    return slopes - shares * slopes.sum(1, keepdim=True), None, None


CROSS_ENTROPY = op(
    "cross_entropy_scores", _cross_entropy_kernel, "input target weight", grad=_cross_entropy_grad
)


def _of_rows(input: Any, target: Any, weight: Any) -> bool:
    """Whether `CROSS_ENTROPY` is for these, and nobody wants to see the logarithms."""
    x, t = input._data, target._data
    if x.ndim != 2 or looked_at():
        return False
    if not compiled.is_plain(x) or not (input._device is target._device is CPU):
        return False
    if t.__class__ is not np.ndarray or t.dtype != np.int64 or t.shape != x.shape[:1]:
        return False
    if weight is not None:
        no_gradient("nll_loss_forward", weight=weight)
        w = weight._data
        if w.__class__ is not np.ndarray or w.dtype != x.dtype or w.shape != x.shape[1:]:
            return False
    return bool(compiled.family("rows"))


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """The loss of unnormalised scores: nll_loss(log_softmax(input), target).

    Shapes: input (N, C), (C,) or (N, C, *); target class numbers (N,), () or (N, *), or class
    probabilities of the input's shape; weight (C,) or None. Raises: IndexError for a class that
    is not there, ValueError or RuntimeError for sizes that do not match.

    Args:
        ignore_index: targets with this number count nothing.
        label_smoothing: mix the target with the uniform distribution, by this much
            (Szegedy et al. 2016).

    >>> import framework as torch
    >>> torch.nn.functional.cross_entropy(torch.zeros(2, 4), torch.tensor([0, 3]))
    tensor(1.3863)
    """
    mode = _mode(reduction, size_average, reduce)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(
            f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}"
        )  # fmt: skip
    dim = 0 if input.ndim == 1 else 1
    if input.shape == target.shape:
        if ignore_index >= 0:
            raise RuntimeError("ignore_index is not supported for floating point target")
        return _soft_cross_entropy(input, target, weight, mode, label_smoothing, dim)
    if not label_smoothing and _of_rows(input, target, weight):
        return apply(CROSS_ENTROPY, input, target, weight, ignore_index=ignore_index,
                     reduction=mode)[0]  # fmt: skip
    scores = log_softmax(input, dim)
    loss = nll_loss(scores, target, weight, ignore_index=ignore_index, reduction=mode)
    if not label_smoothing:
        return loss
    smooth = -(scores if weight is None else scores * _along_classes(weight, scores, dim)).sum(dim)
    ignored = target == ignore_index
    smooth = smooth.masked_fill(ignored, 0.0)
    if mode == "mean":
        smooth = smooth.sum() / _kept_weight(target, weight, ignored, scores)
    elif mode == "sum":
        smooth = smooth.sum()
    return loss * (1 - label_smoothing) + smooth * (label_smoothing / input.shape[dim])


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def linear_cross_entropy(
    input: Any,
    linear_weight: Any,
    target: Any,
    *,
    linear_bias: Any = None,
    weight: Any = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Any:
    """`cross_entropy` of linear(input, linear_weight, linear_bias), the last layer of a classifier.

    Shapes: input (N, F) or (F,), linear_weight (C, *, F), linear_bias (C, *) or None, target as of
    `cross_entropy` for scores of shape (N, C, *). ``options`` say how PyTorch is to split the work
    and have no effect here. RuntimeError for sizes that do not match.

    >>> import framework as torch
    >>> x, w = torch.ones(1, 2), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> torch.nn.functional.linear_cross_entropy(x, w, torch.tensor([1]))
    tensor(0.6931)
    """
    if input.ndim not in (1, 2):
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {input.ndim}")
    if linear_weight.ndim < 2:
        raise RuntimeError(
            f"expected linear_weight with dimensionality at least 2, got {linear_weight.ndim}"
        )
    features = input.shape[-1]
    classes, *rest, last = linear_weight.shape
    if features != last:
        raise RuntimeError(
            "expected equal input and linear_weight last dimensions (in_features), got "
            f"{features} and {last}, respectively"
        )
    if linear_bias is not None and tuple(linear_bias.shape) != (classes, *rest):
        raise RuntimeError(
            f"expected linear_bias shape {(classes, *rest)}, got {tuple(linear_bias.shape)}"
        )
    if rest and input.ndim == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(linear_weight.shape)} "
            f"requires batched input, (N, {features}), got unbatched input with shape "
            f"{tuple(input.shape)}"
        )
    shape = (*input.shape[:-1], classes, *rest)
    if ignore_index is not None and tuple(target.shape) == shape:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    flat = None if linear_bias is None else linear_bias.reshape(-1)
    scores = linear(input, linear_weight.reshape(-1, features), flat).reshape(shape)
    return cross_entropy(
        scores, target, weight=weight, reduction=reduction, label_smoothing=label_smoothing,
        ignore_index=-100 if ignore_index is None else ignore_index,
    )  # fmt: skip


def _along_classes(weight: Any, scores: Any, dim: int) -> Any:
    return weight.reshape(*[-1 if d == dim else 1 for d in range(scores.ndim)])


def _kept_weight(target: Any, weight: Any, ignored: Any, scores: Any) -> Any:
    if weight is None:
        return (~ignored).sum().to(scores.dtype)
    return weight[target.masked_fill(ignored, 0)].masked_fill(ignored, 0.0).sum()


def _soft_cross_entropy(
    input: Any, target: Any, weight: Any, mode: str, smoothing: float, dim: int
) -> Any:
    if not target.is_floating_point():
        raise RuntimeError(
            "cross_entropy: Expected floating point type for target with class probabilities, got "
            f"{type_name(target._data)} (input and target have the same shape "
            f"{list(input.shape)})"
        )
    if smoothing:
        target = target * (1 - smoothing) + smoothing / input.shape[dim]
    scores = log_softmax(input, dim)
    if weight is not None:
        scores = scores * _along_classes(weight, scores, dim)
    loss = -(scores * target)
    if mode == "none":
        return loss.sum(dim)
    total = loss.sum()
    return total / (input.numel() // input.shape[dim]) if mode == "mean" else total


# -- regression -------------------------------------------------------------------------------


def _weighted(loss: Any, weight: Any, mode: str) -> Any:
    """Reduce, with a weight per element: the mean is over the sum of the weights."""
    if weight is None:
        return _reduced(loss, mode)
    _check_weight(weight, loss)
    loss = loss * weight
    return loss.sum() / weight.sum() if mode == "mean" else _reduced(loss, mode)


def _check_weight(weight: Any, loss: Any) -> None:
    if weight.shape != loss.shape:
        raise ValueError("Weights and input must have the same size.")


def only_real(name: str, *tensors: Any) -> None:
    """Refuse complex numbers, which have no order."""
    for t in tensors:
        if t.dtype.category > FLOAT:
            raise NotImplementedError(f"\"{name}\" not implemented for '{type_name(t._data)}'")


def _only_floats(name: str, input: Any, target: Any) -> None:
    if max(input.dtype.category, target.dtype.category) != FLOAT:
        raise NotImplementedError(
            f"\"{name}\" not implemented for '{type_name(input._data)}'"
        )  # fmt: skip


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def mse_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", weight: Any = None,
) -> Any:  # fmt: skip
    """(input - target)², averaged.

    Shapes: any two that broadcast (with a warning if they are not the same); the result is a
    number, or keeps the shape with reduction "none". NotImplementedError for integers.

    Args:
        weight: a factor per element; the mean is then over the sum of the weights.

    >>> import framework as torch
    >>> torch.nn.functional.mse_loss(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0]))
    tensor(2.)
    """
    mode = _mode(reduction, size_average, reduce)
    _warn_sizes(input, target)
    _only_floats("mse_loss", input, target)
    return _weighted((input - target).square(), weight, mode)


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def l1_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", weight: Any = None,
) -> Any:  # fmt: skip
    """|input - target|, averaged.

    Shapes and ``weight`` as of `mse_loss`. RuntimeError for shapes that do not broadcast.

    >>> import framework as torch
    >>> torch.nn.functional.l1_loss(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0]))
    tensor(1.)
    """
    mode = _mode(reduction, size_average, reduce)
    _warn_sizes(input, target)
    return _weighted((input - target).abs(), weight, mode)


def _smooth_l1_backward_kernel(g: Any, a: Any, b: Any, *, beta: float) -> Any:
    return compiled.family("pointwise").smooth_l1_backward(g, a, b, beta)


SMOOTH_L1_BACKWARD = op("smooth_l1_backward", _smooth_l1_backward_kernel, "grad a b")


def _smooth_l1_grads(g: Any, n: Any, a: Any, b: Any, beta: float) -> tuple[Any, Any]:
    if not modes.grad and compiled.family("pointwise"):
        found = apply(SMOOTH_L1_BACKWARD, g, a, b, beta=beta)
    else:
        d = a - b
        found = g * where(d.abs() < beta, d / beta, d.sgn())
    return found, -found if n.needs(1) else None


SMOOTH_L1 = op(
    "smooth_l1", lambda a, b, *, beta: compiled.family("pointwise").smooth_l1(a, b, beta), "a b",
    grad=_smooth_l1_grads,
)  # fmt: skip


def _of_one_shape(input: Any, target: Any) -> bool:
    """Whether a compiled loss of two arrays is for these, and nobody looks between its steps."""
    a, b = input._data, target._data
    if looked_at() or a.shape != b.shape or not (input._device is target._device is CPU):
        return False
    return compiled.is_plain(a) and compiled.is_plain(b) and bool(compiled.family("pointwise"))


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def smooth_l1_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", beta: float = 1.0,
) -> Any:  # fmt: skip
    """d² / (2 beta) where d = |input - target| is below beta, else d - beta / 2; averaged.

    Girshick 2015; equals huber_loss(..., delta=beta) / beta. Shapes as of `mse_loss`. Raises:
    RuntimeError for a negative ``beta``, NotImplementedError for integers.

    >>> import framework as torch
    >>> x, t = torch.tensor([0.5, 3.0]), torch.zeros(2)
    >>> torch.nn.functional.smooth_l1_loss(x, t, reduction="none")
    tensor([0.1250, 2.5000])
    """
    mode = _mode(reduction, size_average, reduce)
    _warn_sizes(input, target)
    _only_floats("smooth_l1_loss", input, target)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if beta and _of_one_shape(input, target):
        return _reduced(apply(SMOOTH_L1, input, target, beta=float(beta)), mode)
    distance = (input - target).abs()
    if beta == 0.0:
        return _reduced(distance, mode)
    near = distance.clamp(max=beta).square() * (0.5 / beta)  # inf would make NaN of the zero slope
    return _reduced(where(distance < beta, near, distance - 0.5 * beta), mode)


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def huber_loss(
    input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None
) -> Any:
    """d² / 2 where d = |input - target| is at most delta, else delta (d - delta / 2); averaged.

    Huber 1964. Shapes as of `mse_loss`; with ``weight`` the mean is over the number of elements.
    Raises: RuntimeError for a ``delta`` that is not positive, NotImplementedError for integers.

    >>> import framework as torch
    >>> torch.nn.functional.huber_loss(torch.tensor([0.5, 3.0]), torch.zeros(2), reduction="none")
    tensor([0.1250, 2.5000])
    """
    mode = _mode(reduction)
    _warn_sizes(input, target)
    _only_floats("huber_loss", input, target)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    if weight is None and _of_one_shape(input, target):
        loss = _reduced(apply(SMOOTH_L1, input, target, beta=float(delta)), mode)
        return loss if delta == 1 else loss * delta
    distance = (input - target).abs()
    far = delta * (distance - 0.5 * delta)
    loss = where(distance <= delta, 0.5 * distance.square(), far)
    if weight is None:
        return _reduced(loss, mode)
    _check_weight(weight, loss)
    return _reduced(loss * weight, mode)  # unlike mse_loss, not over the sum of the weights


# -- probabilities ----------------------------------------------------------------------------


def _bce_kernel(p: Any, t: Any) -> Any:
    real_floating(p, "binary_cross_entropy")
    if p.size and not (float(p.min()) >= 0 and float(p.max()) <= 1):
        raise ValueError("all elements of input should be between 0 and 1")
    if t.size and not (float(t.min()) >= 0 and float(t.max()) <= 1):
        raise ValueError("all elements of target should be between 0 and 1")
    xp = module_of(p)
    with np.errstate(divide="ignore"):
        yes, no = xp.maximum(xp.log(p), -100), xp.maximum(xp.log1p(-p), -100)
    return (t - 1) * no - t * yes


BCE = op(
    "bce", widening(_bce_kernel), "p target", rule="promote",
    grad=(
        lambda g, p, target: g * (p - target) / (p * (1 - p)).clamp(min=1e-12),
        lambda g, p: g * ((-p).log1p().clamp(min=-100) - p.log().clamp(min=-100)),
    ),
    samples=lambda s: [((s(3, 2).sigmoid(), s(3, 2).sigmoid()), {})],
)  # fmt: skip


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """-(t log p + (1 - t) log(1 - p)) of probabilities p, averaged; logs are at least -100.

    Shapes: input (p) and target (t) any, the same; weight broadcasts. Raises: RuntimeError for an
    input or target outside of [0, 1] and for a target of another dtype, ValueError for different
    sizes.

    >>> import framework as torch
    >>> p, t = torch.tensor([0.5, 0.9]), torch.tensor([1.0, 1.0])
    >>> torch.nn.functional.binary_cross_entropy(p, t, reduction="none")
    tensor([0.6931, 0.1054])
    """
    mode = _mode(reduction, size_average, reduce)
    if input.shape != target.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}) is deprecated. Please ensure they have the same size."
        )
    if input.dtype.category >= FLOAT and target.dtype is not input.dtype:
        raise RuntimeError(
            f"Found dtype {type_name(target._data)} but expected {type_name(input._data)}: "
            "binary_cross_entropy takes targets of the input's type"
        )
    no_gradient("binary_cross_entropy", weight=weight)
    loss = apply(BCE, input, target)
    return _reduced(loss if weight is None else loss * weight, mode)


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", pos_weight: Any = None,
) -> Any:  # fmt: skip
    """`binary_cross_entropy` of sigmoid(input), without overflow.

    Shapes: input and target any, the same; weight and pos_weight broadcast. ValueError for
    different sizes, RuntimeError for an integer target.

    Args:
        pos_weight: factor of the positive targets' part, broadcast.

    >>> import framework as torch
    >>> scores, t = torch.tensor([0.0, 200.0]), torch.tensor([1.0, 0.0])
    >>> torch.nn.functional.binary_cross_entropy_with_logits(scores, t, reduction="none")
    tensor([  0.6931, 200.0000])
    """
    mode = _mode(reduction, size_average, reduce)
    if input.shape != target.shape:
        raise ValueError(
            f"Target size ({target.shape}) must be the same as input size ({input.shape})"
        )
    if input.dtype.category >= FLOAT and target.dtype.category < FLOAT:
        raise RuntimeError(
            f"result type {type_name(input._data)} can't be cast to the desired output type "
            f"{type_name(target._data)}: binary_cross_entropy_with_logits takes floating targets"
        )
    no_gradient("binary_cross_entropy_with_logits", weight=weight, pos_weight=pos_weight)
    scores = logsigmoid(input)
    if pos_weight is not None:
        scores = scores * ((pos_weight - 1) * target + 1)
    loss = (1 - target) * input - scores
    return _reduced(loss if weight is None else loss * weight, mode)


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def kl_div(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", log_target: bool = False,
) -> Any:  # fmt: skip
    """target * (log target - input): the divergence of log-probabilities ``input``.

    Kullback and Leibler 1951. Shapes: two that broadcast. RuntimeError for integers and complex
    numbers, ValueError for another ``reduction``.

    Args:
        reduction: also "batchmean", the sum over the first dimension's size, which is the
            divergence's definition.
        log_target: ``target`` is given as its logarithm.

    >>> import framework as torch
    >>> scores, t = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[1.0, 0.0]])
    >>> torch.nn.functional.kl_div(scores, t, reduction="batchmean")
    tensor(0.6931)
    """
    if reduction == "batchmean" and size_average is None and reduce is None:
        mode = "batchmean"
    else:
        mode = _mode(reduction, size_average, reduce)
        if mode == "mean":
            caution(
                "reduction: 'mean' divides the total loss by both the batch size and the support "
                "size.'batchmean' divides only by the batch size, and aligns with the KL div math "
                "definition.'mean' will be changed to behave the same as 'batchmean' in the next "
                "major release.",
            )
    if min(input.dtype.category, target.dtype.category) < FLOAT:
        raise RuntimeError("kl_div: Integral inputs not supported.")
    if input.is_complex() or target.is_complex():
        raise RuntimeError("kl_div: Complex inputs not supported.")
    if log_target:
        loss = target.exp() * (target - input)
    else:
        logarithm = where(target == 0, 1.0, target).log()  # 0 log 0 is 0
        loss = target * logarithm - target * input
    if mode == "batchmean":
        total = loss.sum()
        return total / input.shape[0] if input.ndim else total
    return _reduced(loss, mode)


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def poisson_nll_loss(
    input: Any, target: Any, log_input: bool = True, full: bool = False, size_average: Any = None,
    eps: float = 1e-8, reduce: Any = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """exp(input) - target * input, averaged: the loss of a Poisson rate.

    Shapes: two that broadcast. ValueError for another ``reduction``.

    Args:
        log_input: the input is the rate's logarithm; else the loss is input - target * log(input).
        full: add Stirling's term, target log target - target + log(2π target) / 2, for targets
            above 1.
        eps: is added to the rate before its logarithm.

    >>> import framework as torch
    >>> torch.nn.functional.poisson_nll_loss(torch.tensor([0.0]), torch.tensor([2.0]), full=True)
    tensor(1.6518)
    """
    if not isinstance(reduction, str):
        raise TypeError(f"poisson_nll_loss: reduction is a {type(reduction).__name__}, no str")
    mode = _mode(reduction, size_average, reduce)
    if log_input:
        loss = input.exp() - target * input
    else:
        loss = input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * np.pi * target).log()
        loss = loss + stirling.masked_fill(target <= 1, 0.0)
    return _reduced(loss, mode)


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """(log var + (input - target)² / var) / 2, averaged; var at least eps (Nix and Weigend 1994).

    Shapes: input and target (*); var a number, (*) or one per row (``input.shape[:-1]``).
    ValueError for a negative variance or one of another size.

    Args:
        full: add log(2π) / 2.

    >>> import framework as torch
    >>> x, t = torch.tensor([1.0]), torch.tensor([3.0])
    >>> torch.nn.functional.gaussian_nll_loss(x, t, torch.tensor([4.0]))
    tensor(1.1931)
    """
    if reduction not in ("none", "mean", "sum"):
        if not isinstance(reduction, str):
            raise TypeError(f"gaussian_nll_loss: reduction is a {type(reduction).__name__}, no str")
        raise ValueError(f"{reduction} is not valid")
    if isinstance(var, (int, float)):
        var = input.new_full(input.shape, var)
    only_real("gaussian_nll_loss", input, target, var)
    if var.dtype.category < FLOAT:
        raise RuntimeError(
            f"result type Float can't be cast to the desired output type {type_name(var._data)}"
        )
    if bool((var < 0).any()):
        raise ValueError("var has negative entry/entries")
    if var.shape != input.shape:
        unlike = [m for n, m in zip(input.shape, var.shape) if n != m]
        if tuple(input.shape[:-1]) == tuple(var.shape):
            var = var.unsqueeze(-1)  # one variance for each row
        elif input.ndim != var.ndim or sum(unlike) != 1:
            raise ValueError("var is of incorrect size")
    limited = var + (var.clamp(min=eps) - var).detach()
    loss = 0.5 * (limited.log() + (input - target).square() / limited)
    if full:
        loss = loss + float(0.5 * np.log(2 * np.pi))
    return _reduced(loss, reduction)
