"""Connectionist temporal classification (Graves et al., ICML 2006).

Of a sample with T steps and labels l₁ … l_S all ways to say the labels are summed, blanks between
them allowed and necessary between equal ones. On the extended labels b l₁ b l₂ … b, of length
2S + 1, the probability α of having come to place s at step t obeys a recursion in which s is
reached from s, s - 1 and, where s is no blank and differs from s - 2, also from s - 2; β is the
same from the end. All in logarithms, all samples of a batch at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from framework import dtypes
from framework.core.dispatch import apply, composite
from framework.core.modes import modes
from framework.core.registry import function, op
from framework.kernels import module_of, to_device
from framework.kernels.floats import type_name
from framework.tensor import Tensor, wrap

__all__ = ["ctc_loss"]


def _extended(targets: Any, lengths: Any, blank: int, concatenated: bool) -> tuple[Any, Any]:
    """Labels with blanks between, (N, 2S + 1), and where the step from two before is allowed."""
    lengths = [int(n) for n in lengths]
    width = max(lengths, default=0)
    labels = np.full((len(lengths), 2 * width + 1), blank, np.int64)
    start = 0
    for row, n in enumerate(lengths):
        own = targets[start : start + n] if concatenated else targets[row, :n]
        labels[row, 1 : 2 * n : 2] = own
        start += n
    skips = np.zeros(labels.shape, np.bool_)
    skips[:, 2:] = (labels[:, 2:] != blank) & (labels[:, 2:] != labels[:, :-2])
    return labels, skips


def _recursion(scores: Any, skips: Any, ends: Any) -> Any:
    """α of shape (T, N, 2S + 1): log probability up to each step and place, that step included."""
    steps, _, places = scores.shape
    alpha = np.full(scores.shape, -np.inf, scores.dtype)
    if not steps:
        return alpha
    alpha[0, :, 0] = scores[0, :, 0]
    if places > 1:
        alpha[0, :, 1] = np.where(ends > 0, scores[0, :, 1], -np.inf)
    for t in range(1, steps):
        before = alpha[t - 1]
        total = before.copy()
        total[:, 1:] = np.logaddexp(total[:, 1:], before[:, :-1])
        jump = np.where(skips[:, 2:], before[:, :-2], -np.inf)
        total[:, 2:] = np.logaddexp(total[:, 2:], jump)
        alpha[t] = total + scores[t]
    return alpha


def _scores(log_probs: Any, labels: Any) -> Any:
    """log_probs[t, n, labels[n, s]]."""
    return np.take_along_axis(log_probs, labels[None], axis=2)


def _last_two(alpha: Any, steps: Any, lengths: Any) -> tuple[Any, Any]:
    """α at each sample's last step, in the last blank and in the last label."""
    rows = np.arange(alpha.shape[1])
    final = alpha[np.maximum(steps - 1, 0), rows]
    empty = steps == 0
    blank = np.where(empty, np.where(lengths == 0, 0.0, -np.inf), final[rows, 2 * lengths])
    label = np.where(
        empty | (lengths == 0), -np.inf, final[rows, np.maximum(2 * lengths - 1, 0)]
    )  # fmt: skip
    return blank, label


def _ctc_kernel(
    log_probs: Any, targets: Any, *, input_lengths: Any, target_lengths: Any, blank: int
) -> Any:
    """The negative log likelihood of each sample, (N,)."""
    xp = module_of(log_probs)
    lp, labels, skips, steps, lengths = _prepared(
        log_probs, targets, input_lengths, target_lengths, blank
    )
    with np.errstate(invalid="ignore"):
        alpha = _recursion(_scores(lp, labels), skips, lengths)
        return xp.asarray(-np.logaddexp(*_last_two(alpha, steps, lengths)).astype(lp.dtype))


def _prepared(
    log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int
) -> Any:
    host = log_probs if isinstance(log_probs, np.ndarray) else log_probs.get()
    labels, skips = _extended(
        targets if isinstance(targets, np.ndarray) else targets.get(),
        target_lengths, blank, targets.ndim == 1,
    )  # fmt: skip
    low, high, classes = labels.min(initial=0), labels.max(initial=0), log_probs.shape[2]
    if low < 0 or high >= classes:  # PyTorch reads what lies beside the scores
        wrong = low if low < 0 else high
        raise ValueError(f"Expected targets to be in label range [0, {classes}), but got {wrong}")
    return (
        host, labels, skips, np.asarray(input_lengths, np.int64),
        np.asarray(target_lengths, np.int64),
    )  # fmt: skip


def _backward_kernel(
    grad: Any, log_probs: Any, targets: Any, *, input_lengths: Any, target_lengths: Any,
    blank: int, zero_infinity: bool,
) -> Any:  # fmt: skip
    """exp(log_probs) minus the probability, given the labels, of each class at each step.

    The first part is PyTorch's: it is what the gradient becomes before a log_softmax, and vanishes
    behind one. Steps beyond a sample's length get nothing.
    """
    xp = module_of(log_probs)
    lp, labels, skips, steps, lengths = _prepared(
        log_probs, targets, input_lengths, target_lengths, blank
    )
    g = np.asarray(grad if xp is np else grad.get())
    rows = np.arange(lp.shape[1])
    with np.errstate(invalid="ignore", over="ignore"):
        scores = _scores(lp, labels)
        alpha = _recursion(scores, skips, lengths)
        likelihood = np.logaddexp(*_last_two(alpha, steps, lengths))
        beta = _from_the_end(scores, labels, skips, steps, lengths)
        joint = alpha + beta - scores
        peak = np.maximum(
            np.where(np.isnan(joint), -np.inf, joint).max(axis=2, keepdims=True), -1e30
        )
        share = np.exp(np.where(np.isnan(joint), -np.inf, joint) - peak)
        post = np.zeros(lp.shape, lp.dtype)
        for s in range(labels.shape[1]):  # a class may stand at several places
            post[:, rows, labels[:, s]] += share[:, :, s]
        post = post * np.exp(peak[:, :, 0] - likelihood)[:, :, None]
        result = (np.exp(lp) - post) * g[:, None]
    result[np.arange(lp.shape[0])[:, None] >= steps] = 0
    if zero_infinity:
        result[:, np.isinf(likelihood)] = 0
    return xp.asarray(result.astype(lp.dtype, copy=False))


def _from_the_end(scores: Any, labels: Any, skips: Any, steps: Any, lengths: Any) -> Any:
    """β: as α, of the reversed samples, each aligned to its own end."""
    beta = np.full(scores.shape, -np.inf, scores.dtype)
    for n in range(scores.shape[1]):
        t, places = int(steps[n]), 2 * int(lengths[n]) + 1
        if t == 0:
            continue
        own = scores[:t, n : n + 1, :places][::-1, :, ::-1]
        jumps = np.zeros((1, places), np.bool_)
        jumps[:, 2:] = skips[n : n + 1, 2:places][:, ::-1]
        part = _recursion(own, jumps, lengths[n : n + 1])
        beta[:t, n, :places] = part[::-1, 0, ::-1]
    return beta


def _ctc_grad(
    g: Any, log_probs: Any, targets: Any, n: Any, input_lengths: Any, target_lengths: Any,
    blank: int, zero_infinity: bool,
) -> Any:  # fmt: skip
    if not modes.grad:
        return apply(CTC_LOSS_BACKWARD, g, log_probs, targets, input_lengths=input_lengths,
                     target_lengths=target_lengths, blank=blank,
                     zero_infinity=zero_infinity)  # fmt: skip
    return _differentiable_grad(
        g, log_probs, targets, input_lengths, target_lengths, blank, zero_infinity
    )  # fmt: skip


def _differentiable_grad(
    g: Any, log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int,
    zero_infinity: bool,
) -> Any:  # fmt: skip
    """The same from the recursion in differentiable ops: slower, but of any order."""
    from framework.autograd import grad
    from framework.ops.select import where

    meta = {"input_lengths": input_lengths, "target_lengths": target_lengths, "blank": blank}
    loss = _likelihoods(log_probs, targets, **meta)
    (post,) = grad([loss], [log_probs], [g], create_graph=True)
    within = np.arange(log_probs.shape[0])[:, None] < np.asarray(input_lengths)
    inside: Any = _placed(within[:, :, None], log_probs)
    if zero_infinity:
        inside = inside & (loss < 1e29).unsqueeze(-1)
    return where(inside, post + log_probs.exp() * g.unsqueeze(-1), 0.0)


@composite
def _likelihoods(
    log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int
) -> Any:
    from framework.ops.joining import cat
    from framework.ops.pointwise import logaddexp
    from framework.ops.select import where

    host = np.asarray(
        targets._data if isinstance(targets._data, np.ndarray) else targets._data.get()
    )
    labels, skips = _extended(host, target_lengths, blank, host.ndim == 1)
    index = _placed(labels, log_probs)
    low = -1e30  # a minus infinity whose differences are numbers
    steps = np.asarray(input_lengths)
    lengths = np.asarray(target_lengths)
    first = np.zeros(labels.shape, np.bool_)
    first[:, 0] = True
    first[lengths > 0, 1:2] = True
    alpha = where(_placed(first, log_probs), log_probs[0].gather(1, index), low)
    last = alpha
    for t in range(1, log_probs.shape[0]):
        wall = alpha.new_full((len(labels), 1), low)
        total = alpha
        if labels.shape[1] > 1:
            total = logaddexp(total, cat([wall, alpha[:, :-1]], 1))
            jump = cat([wall, wall, alpha[:, :-2]], 1)
            total = logaddexp(total, where(_placed(skips, log_probs), jump, low))
        alpha = total + log_probs[t].gather(1, index)
        last = where(_placed((steps == t + 1)[:, None], log_probs), alpha, last)
    ends = _placed(np.stack([2 * lengths, np.maximum(2 * lengths - 1, 0)], 1), log_probs)
    final = last.gather(1, ends)
    label = where(_placed(lengths > 0, log_probs), final[:, 1], low)
    return -logaddexp(final[:, 0], label)


def _placed(array: Any, like: Any) -> Tensor:
    device = like._device
    return wrap(array if device.type == "cpu" else to_device(array, device), device)


def _forward(log_probs: Any, targets: Any, *, zero_infinity: bool, **meta: Any) -> Any:
    loss = _ctc_kernel(log_probs, targets, **meta)
    if zero_infinity:
        loss = module_of(loss).where(np.isinf(loss), loss.dtype.type(0), loss)
    return loss


CTC_LOSS = op("ctc_loss", _forward, "log_probs targets", grad=(_ctc_grad, None))
CTC_LOSS_BACKWARD = op("ctc_loss_backward", _backward_kernel, "grad log_probs targets")


def _lengths(given: Any, name: str, count: int) -> tuple[int, ...]:
    if isinstance(given, Tensor):
        if given.dtype.category != dtypes.INT:
            raise RuntimeError(f"{name} must be integral")
        given = given.tolist()
    result = (int(given),) if isinstance(given, int) else tuple([int(n) for n in given])
    if len(result) != count:
        raise RuntimeError(f"{name} must be of size batch_size")
    return result


def _check(log_probs: Any, targets: Any, steps: Any, lengths: Any, blank: int) -> None:
    if log_probs.dtype not in (dtypes.float32, dtypes.float64):
        raise NotImplementedError(
            f"\"ctc_loss_cpu\" not implemented for '{type_name(log_probs._data)}'"
        )
    total, count, classes = log_probs.shape
    if not 0 <= blank < classes:
        raise RuntimeError("blank must be in label range")
    if min(lengths, default=0) < 0:
        raise RuntimeError("Expected target_lengths to have value at least 0")
    if any(n < 0 or n > total for n in steps):
        worst = next(n for n in steps if n < 0 or n > total)
        raise RuntimeError(
            f"Expected input_lengths to have value at most {total}, but got value {worst} (while "
            "checking arguments for ctc_loss_cpu)"
        )
    if targets.ndim == 1:
        if targets.shape[0] != sum(lengths):
            raise RuntimeError(
                f"Expected tensor to have size {sum(lengths)} at dimension 0, but got size "
                f"{targets.shape[0]} for argument #2 'targets' (while checking arguments for "
                "ctc_loss_cpu)"
            )
    elif (
        targets.ndim != 2 or targets.shape[0] != count or targets.shape[1] < max(lengths, default=0)
    ):
        raise RuntimeError(
            f"Expected tensor to have size at least {max(lengths, default=0)} at dimension 1, but "
            f"got size {list(targets.shape)} for argument #2 'targets' (while checking arguments "
            "for ctc_loss_cpu)"
        )


@function(namespaces=("nn.functional",), method=False, checks=True)
def ctc_loss(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Any:
    """The negative log likelihood of label sequences whose alignment is not known.

    Shapes: log_probs (T, N, C) or (T, C), log-probabilities; targets (N, S) or all labels one after
    another; lengths (N,), as tensors or tuples. Result (N,), or a number. Graves et al. 2006.
    RuntimeError for lengths or labels out of range, ValueError for another ``reduction``.

    Args:
        blank: the class that says nothing.
        reduction: "mean" divides each loss by its target's length first.
        zero_infinity: a target that cannot be said in the time it has counts zero, not infinity.

    >>> import framework as torch
    >>> even = torch.full((4, 1, 2), 0.5).log()
    >>> torch.nn.functional.ctc_loss(even, torch.tensor([[1]]), (4,), (1,))
    tensor(0.4700)
    """
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if log_probs.ndim not in (2, 3):
        raise RuntimeError(f"log_probs must be of 2 or 3 dimensions, but got {log_probs.ndim}")
    alone = log_probs.ndim == 2
    if alone:
        log_probs = log_probs.unsqueeze(1)
        targets = targets.unsqueeze(0) if targets.ndim == 1 else targets
    count = log_probs.shape[1]
    steps = _lengths(input_lengths, "input_lengths", count)
    lengths = _lengths(target_lengths, "target_lengths", count)
    _check(log_probs, targets, steps, lengths, blank)
    if targets.dtype not in (dtypes.int32, dtypes.int64):
        targets = targets.to(dtypes.int64)  # labels as ``torch.Tensor(list)`` makes them
    loss = apply(CTC_LOSS, log_probs, targets, input_lengths=steps, target_lengths=lengths,
                 blank=blank, zero_infinity=zero_infinity)  # fmt: skip
    if reduction == "mean":
        sizes = loss.new_tensor([max(n, 1) for n in lengths])
        return (loss / sizes).mean()
    if reduction == "sum":
        return loss.sum()
    return loss.squeeze(0) if alone else loss
