"""Loss layers; each calls the function of its name in `nn.functional`."""

from __future__ import annotations

import math
import warnings
from typing import Any

from framework.nn import functional as F
from framework.nn.modules.distance import PairwiseDistance
from framework.nn.modules.linear import Linear
from framework.nn.modules.module import Module

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CTCLoss", "CosineEmbeddingLoss", "CrossEntropyLoss",
    "GaussianNLLLoss", "HingeEmbeddingLoss", "HuberLoss", "KLDivLoss", "L1Loss",
    "LinearCrossEntropyLoss", "MSELoss", "MarginRankingLoss", "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss", "MultiMarginLoss", "NLLLoss", "NLLLoss2d", "PoissonNLLLoss",
    "SmoothL1Loss", "SoftMarginLoss", "TripletMarginLoss", "TripletMarginWithDistanceLoss",
]  # fmt: skip


def _older(size_average: Any, reduce: Any) -> str:
    """The reduction that the two older keywords stand for."""
    averaged = size_average is None or size_average
    reduction = "none" if reduce is not None and not reduce else "mean" if averaged else "sum"
    warnings.warn(
        "size_average and reduce args will be deprecated, please use "
        f"reduction='{reduction}' instead.",
        stacklevel=4,
    )
    return reduction


class _Loss(Module):
    def __init__(
        self, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
    ) -> None:
        super().__init__()
        old = size_average is not None or reduce is not None
        self.reduction = _older(size_average, reduce) if old else reduction


class _WeightedLoss(_Loss):
    def __init__(
        self, weight: Any = None, size_average: Any = None, reduce: Any = None,
        reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


class MSELoss(_Loss):
    """(input - target)², averaged: (*), (*) to a number.

    Args:
        reduction: "mean", "sum", or "none" for a loss per element, (*). A ValueError when called
            with another. All losses have it.
        size_average: an older way to say it, as is ``reduce``; both warn.

    Dtypes: float types (NotImplementedError for others; two that differ are promoted). RuntimeError
    for shapes that do not broadcast; a warning for those that do but differ.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.MSELoss()(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0]))
    tensor(2.)
    >>> nn.MSELoss(reduction="none")(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0]))
    tensor([0., 4.])
    """

    def forward(self, input: Any, target: Any) -> Any:
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """|input - target|, averaged: (*), (*) to a number; ``reduction`` as of `MSELoss`.

    ValueError for another ``reduction``, RuntimeError for shapes that do not broadcast. Dtypes:
    float and complex types (RuntimeError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.L1Loss()(torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0]))
    tensor(1.)
    """

    def forward(self, input: Any, target: Any) -> Any:
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """d² / (2 beta) where d = |input - target| is below ``beta``, else d - beta / 2; averaged.

    (*), (*) to a number; ``reduction`` as of `MSELoss`. RuntimeError when called with a negative
    ``beta``; 0 makes it `L1Loss`. Girshick, "Fast R-CNN", 2015. RuntimeError for shapes that do not
    broadcast. Dtypes: float types (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.SmoothL1Loss(reduction="none")(torch.tensor([0.5, 3.0]), torch.zeros(2))
    tensor([0.1250, 2.5000])
    """

    def __init__(
        self, size_average: Any = None, reduce: Any = None, reduction: str = "mean",
        beta: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Any, target: Any) -> Any:
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """d² / 2 where d = |input - target| is at most ``delta``, else delta (d - delta / 2); averaged.

    (*), (*) to a number; ``reduction`` as of `MSELoss`. It is delta times `SmoothL1Loss` with that
    beta. RuntimeError when called with a ``delta`` that is not positive. Huber, "Robust estimation
    of a location parameter", 1964. RuntimeError for shapes that do not broadcast. Dtypes: float
    types (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.HuberLoss(reduction="none", delta=2.0)(torch.tensor([1.0, 3.0]), torch.zeros(2))
    tensor([0.5000, 4.0000])
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        if not isinstance(delta, (int, float)):
            raise TypeError(f"delta must be a float or int, got: {type(delta)}")
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Any, target: Any) -> Any:
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class CrossEntropyLoss(_WeightedLoss):
    """-log softmax(input)[target], averaged: scores (N, C), classes (N,) to a number.

    More generally (N, C, *) and classes (N, *), or (C,) and a class (). Targets of floating dtype
    and the scores' shape are probabilities of the classes.

    Args:
        weight: (C,): a factor per class; the mean is the weighted one.
        ignore_index: samples of this class do not count.
        label_smoothing: between 0 and 1: the share of each target that is spread over all classes.
        reduction: as of `MSELoss`; "none" gives a loss per sample, (N, *).

    Errors, in a call: IndexError for a class that is not in [0, C), RuntimeError or ValueError for
    shapes and dtypes that do not fit. Dtypes: float types for scores and ``weight``
    (NotImplementedError for others), int64 or uint8 for classes. Label smoothing: Szegedy et al.,
    "Rethinking the Inception architecture for computer vision", 2016.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.CrossEntropyLoss()(torch.zeros(2, 4), torch.tensor([0, 3]))
    tensor(1.3863)
    >>> nn.CrossEntropyLoss()(torch.zeros(1, 2), torch.tensor([[0.5, 0.5]]))
    tensor(0.6931)
    """

    def __init__(
        self, weight: Any = None, size_average: Any = None, ignore_index: int = -100,
        reduce: Any = None, reduction: str = "mean", label_smoothing: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Any, target: Any) -> Any:
        return F.cross_entropy(
            input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )  # fmt: skip


class NLLLoss(_WeightedLoss):
    """-input[target], averaged: log-probabilities (N, C), classes (N,) to a number.

    `LogSoftmax` and this are `CrossEntropyLoss`, whose shapes, errors, ``weight``, ``ignore_index``
    and ``reduction`` it has. IndexError for a class that is not in [0, C), RuntimeError or
    ValueError for shapes. Dtypes: float types for input and ``weight`` (NotImplementedError for
    others), int64 or uint8 for classes.

    >>> import framework as torch
    >>> from framework import nn
    >>> scores = torch.log(torch.tensor([[0.5, 0.25, 0.25]]))
    >>> nn.NLLLoss()(scores, torch.tensor([2]))
    tensor(1.3863)
    """

    def __init__(
        self, weight: Any = None, size_average: Any = None, ignore_index: int = -100,
        reduce: Any = None, reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Any, target: Any) -> Any:
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index,
                          reduction=self.reduction)  # fmt: skip


class NLLLoss2d(NLLLoss):
    """Alias of `NLLLoss`, the older name for images: warns that it is deprecated."""

    def __init__(
        self, weight: Any = None, size_average: Any = None, ignore_index: int = -100,
        reduce: Any = None, reduction: str = "mean",
    ) -> None:  # fmt: skip
        warnings.warn(
            "`NLLLoss2d` has been deprecated. Please use `NLLLoss` instead as a drop-in "
            "replacement.",
            FutureWarning,
            stacklevel=2,
        )
        super().__init__(weight, size_average, ignore_index, reduce, reduction)


class BCELoss(_WeightedLoss):
    """-(target log(input) + (1 - target) log(1 - input)), averaged: (*), (*) to a number.

    Both are probabilities; each logarithm is kept above -100. ``weight`` is a factor per element,
    of a shape that can be broadcast; ``reduction`` as of `MSELoss`. RuntimeError for an input or
    target outside of [0, 1] and for dtypes that differ, ValueError for shapes that differ. Dtypes:
    float types (NotImplementedError for others). `BCEWithLogitsLoss` is better behaved.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.BCELoss()(torch.tensor([0.5, 0.9]), torch.tensor([1.0, 1.0]))
    tensor(0.3993)
    """

    def forward(self, input: Any, target: Any) -> Any:
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_WeightedLoss):
    """`BCELoss` of sigmoid(input), without overflow: (*), (*) to a number.

    Args:
        weight: a factor per element, of a shape that can be broadcast.
        pos_weight: a factor of the target's part, per class usually: above 1 for more recall.
        reduction: as of `MSELoss`.

    ValueError for shapes that differ, RuntimeError for factors that do not broadcast and for an
    integer target. Dtypes: float types (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.BCEWithLogitsLoss()(torch.tensor([0.0, 1000.0]), torch.tensor([1.0, 1.0]))
    tensor(0.3466)
    """

    def __init__(
        self, weight: Any = None, size_average: Any = None, reduce: Any = None,
        reduction: str = "mean", pos_weight: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(weight, size_average, reduce, reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Any, target: Any) -> Any:
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )


class KLDivLoss(_Loss):
    """target (log(target) - input), input being log-probabilities; averaged: (*), (*) to a number.

    Args:
        reduction: "batchmean", the sum over all divided by N, is the Kullback-Leibler divergence;
            "mean" (the default) divides by the number of elements; "sum" and "none" as of
            `MSELoss`.
        log_target: the target is log-probabilities, too.

    RuntimeError for shapes that do not broadcast and for integers, ValueError for another
    ``reduction``. Dtypes: float types. Kullback and Leibler, "On information and sufficiency",
    1951.

    >>> import framework as torch
    >>> from framework import nn
    >>> p, q = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.25, 0.75]])
    >>> nn.KLDivLoss(reduction="batchmean")(q.log(), p)
    tensor(0.1438)
    """

    def __init__(
        self, size_average: Any = None, reduce: Any = None, reduction: str = "mean",
        log_target: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input: Any, target: Any) -> Any:
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class PoissonNLLLoss(_Loss):
    """The negative log-likelihood of counts, averaged: rates (*), counts (*) to a number.

    Args:
        log_input: the input is the rate's logarithm: exp(input) - target input; else input - target
            log(input + eps).
        full: add Stirling's approximation of log(target!), where target is above 1.
        reduction: as of `MSELoss`.

    RuntimeError for shapes that do not broadcast, ValueError for another ``reduction``. Dtypes: all
    dtypes but bool (RuntimeError); integers give the default float type.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.PoissonNLLLoss()(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 2.0]))
    tensor(0.8591)
    """

    def __init__(
        self, log_input: bool = True, full: bool = False, size_average: Any = None,
        eps: float = 1e-8, reduce: Any = None, reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(size_average, reduce, reduction)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, log_input: Any, target: Any) -> Any:
        return F.poisson_nll_loss(
            log_input, target, log_input=self.log_input, full=self.full, eps=self.eps,
            reduction=self.reduction,
        )  # fmt: skip


class GaussianNLLLoss(_Loss):
    """(log(var) + (input - target)² / var) / 2, averaged: means, targets, variances to a number.

    Input and target (N, *); ``var`` of the same shape, or with 1 for the last dimension or without
    it: one variance for all of it. ``var`` is kept above ``eps``. ``full`` adds log(2π) / 2;
    ``reduction`` as of `MSELoss`. ValueError for a negative variance or a shape that does not fit.
    Dtypes: float types (RuntimeError for others, NotImplementedError for complex ones). Nix and
    Weigend, "Estimating the mean and variance of the target probability distribution", 1994.

    >>> import framework as torch
    >>> from framework import nn
    >>> mean, target, var = torch.zeros(2), torch.tensor([0.0, 2.0]), torch.ones(2)
    >>> nn.GaussianNLLLoss()(mean, target, var)
    tensor(1.)
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.full, self.eps = full, eps

    def forward(self, input: Any, target: Any, var: Any) -> Any:
        return F.gaussian_nll_loss(input, target, var, full=self.full, eps=self.eps,
                                   reduction=self.reduction)  # fmt: skip


class _MarginLoss(_Loss):
    def __init__(
        self, margin: float = 0.0, size_average: Any = None, reduce: Any = None,
        reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(size_average, reduce, reduction)
        self.margin = margin


class MarginRankingLoss(_MarginLoss):
    """max(0, -target (input1 - input2) + margin), averaged: (N,), (N,), (N,) to a number.

    Target 1 says that input1 shall rank higher, -1 that input2 shall. ``reduction`` as of
    `MSELoss`. RuntimeError unless all have the same number of dimensions and broadcast, ValueError
    for another ``reduction``. Dtypes: float and integer types (RuntimeError for bool,
    NotImplementedError for complex); integers give the default float type.

    >>> import framework as torch
    >>> from framework import nn
    >>> a, b = torch.tensor([1.0, 1.0]), torch.tensor([0.0, 3.0])
    >>> nn.MarginRankingLoss(reduction="none")(a, b, torch.tensor([1.0, 1.0]))
    tensor([0., 2.])
    """

    def forward(self, input1: Any, input2: Any, target: Any) -> Any:
        return F.margin_ranking_loss(input1, input2, target, margin=self.margin,
                                     reduction=self.reduction)  # fmt: skip


class HingeEmbeddingLoss(_MarginLoss):
    """input where target is 1, max(0, margin - input) where it is -1; averaged.

    (*), (*) to a number. The input is a distance, such as that of `L1Loss`. ``reduction`` as of
    `MSELoss`. RuntimeError for shapes that do not broadcast, ValueError for another ``reduction``.
    Dtypes: float types (RuntimeError for bool and a mean of integers, NotImplementedError for
    complex).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.HingeEmbeddingLoss(reduction="none")(torch.tensor([0.5, 0.2]), torch.tensor([1, -1]))
    tensor([0.5000, 0.8000])
    """

    def __init__(
        self, margin: float = 1.0, size_average: Any = None, reduce: Any = None,
        reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(margin, size_average, reduce, reduction)

    def forward(self, input: Any, target: Any) -> Any:
        return F.hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(_MarginLoss):
    """1 - cos where target is 1, max(0, cos - margin) where it is -1; averaged.

    cos is the cosine of the angle between input1 and input2, both (N, D) with targets (N,), or (D,)
    with a target (). ``reduction`` as of `MSELoss`. RuntimeError for other numbers of dimensions
    and sizes that differ. Dtypes: all dtypes but complex ones (NotImplementedError); integers and
    bool give the default float type.

    >>> import framework as torch
    >>> from framework import nn
    >>> a, b = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    >>> nn.CosineEmbeddingLoss(reduction="none")(a, b, torch.tensor([1, -1]))
    tensor([1., 1.])
    """

    def forward(self, input1: Any, input2: Any, target: Any) -> Any:
        return F.cosine_embedding_loss(input1, input2, target, margin=self.margin,
                                       reduction=self.reduction)  # fmt: skip


class SoftMarginLoss(_Loss):
    """log(1 + exp(-target input)), averaged: (*), (*) to a number; targets are 1 or -1.

    ``reduction`` as of `MSELoss`. RuntimeError for shapes that do not broadcast, ValueError for
    another ``reduction``. Dtypes: float and complex types (RuntimeError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.SoftMarginLoss()(torch.tensor([0.0, 100.0]), torch.tensor([1.0, 1.0]))
    tensor(0.3466)
    """

    def forward(self, input: Any, target: Any) -> Any:
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class TripletMarginLoss(_Loss):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), averaged.

    Called with (anchor, positive, negative), three (N, D), to a number. d is `PairwiseDistance`, of
    norm ``p``; N may be missing. Balntas et al., "Learning shallow convolutional feature
    descriptors with triplet losses", 2016.

    Args:
        swap: use the smaller of anchor's and positive's distance to the negative.
        reduction: as of `MSELoss`.

    Errors: ValueError for a ``margin`` that is not positive; RuntimeError for numbers of dimensions
    that differ and shapes that do not broadcast. Dtypes: all dtypes but bool (RuntimeError), as
    `PairwiseDistance` has them.

    >>> import framework as torch
    >>> from framework import nn
    >>> anchor, positive, negative = torch.zeros(1, 1), torch.ones(1, 1), torch.full((1, 1), 1.5)
    >>> nn.TripletMarginLoss(eps=0.0)(anchor, positive, negative)
    tensor(0.5000)
    """

    def __init__(
        self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False,
        size_average: Any = None, reduce: Any = None, reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(size_average, reduce, reduction)
        if margin <= 0:
            raise ValueError(
                f"TripletMarginLoss: expected margin to be greater than 0, got {margin} instead"
            )
        self.margin, self.p, self.eps, self.swap = margin, p, eps, swap

    def forward(self, anchor: Any, positive: Any, negative: Any) -> Any:
        return F.triplet_margin_loss(
            anchor, positive, negative, margin=self.margin, p=self.p, eps=self.eps, swap=self.swap,
            reduction=self.reduction,
        )  # fmt: skip


class TripletMarginWithDistanceLoss(_Loss):
    """`TripletMarginLoss` with any distance: three (N, *) to a number.

    Args:
        distance_function: of two tensors (N, *) to one (N,); by default `PairwiseDistance`.
        swap: use the smaller of anchor's and positive's distance to the negative.
        reduction: as of `MSELoss`.

    ValueError for a ``margin`` that is not positive, RuntimeError for numbers of dimensions that
    differ. Dtypes: those of the distance.

    >>> import framework as torch
    >>> from framework import nn
    >>> loss = nn.TripletMarginWithDistanceLoss(distance_function=lambda a, b: (a - b).abs().sum(1))
    >>> loss(torch.zeros(1, 2), torch.ones(1, 2), torch.full((1, 2), 1.25))
    tensor(0.5000)
    """

    def __init__(
        self, *, distance_function: Any = None, margin: float = 1.0, swap: bool = False,
        reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(reduction=reduction)
        if margin <= 0:
            raise ValueError(
                "TripletMarginWithDistanceLoss: expected margin to be greater than 0, got "
                f"{margin} instead"
            )
        self.distance_function = distance_function or PairwiseDistance()
        self.margin, self.swap = margin, swap

    def forward(self, anchor: Any, positive: Any, negative: Any) -> Any:
        return F.triplet_margin_with_distance_loss(
            anchor, positive, negative, distance_function=self.distance_function,
            margin=self.margin, swap=self.swap, reduction=self.reduction,
        )  # fmt: skip


class MultiMarginLoss(_WeightedLoss):
    """Σᵢ max(0, margin - x[y] + x[i])ᵖ / C over the classes i other than y; averaged.

    Scores (N, C), classes (N,) to a number; or (C,) and (). ``weight`` (C,) has a factor for each
    right class; ``reduction`` as of `MSELoss`. ValueError unless ``p`` is 1 or 2; RuntimeError for
    a class that is not in [0, C) and for sizes that do not fit. Dtypes: float types
    (NotImplementedError for others), int64 for classes. Weston and Watkins, "Support vector
    machines for multi-class pattern recognition", 1999.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.MultiMarginLoss()(torch.tensor([[0.1, 0.2, 0.4]]), torch.tensor([2]))
    tensor(0.5000)
    """

    def __init__(
        self, p: int = 1, margin: float = 1.0, weight: Any = None, size_average: Any = None,
        reduce: Any = None, reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(weight, size_average, reduce, reduction)
        if p not in (1, 2):
            raise ValueError("only p == 1 and p == 2 supported")
        if weight is not None and weight.ndim != 1:
            raise ValueError(
                f"MultiMarginLoss: expected weight to be None or 1D tensor, got {weight.ndim}D "
                "instead"
            )
        self.p, self.margin = p, margin

    def forward(self, input: Any, target: Any) -> Any:
        return F.multi_margin_loss(
            input, target, p=self.p, margin=self.margin, weight=self.weight,
            reduction=self.reduction,
        )  # fmt: skip


class MultiLabelMarginLoss(_Loss):
    """Hinge loss with several right classes per sample: (N, C), (N, C) to a number; or (C,), (C,).

    Σ max(0, 1 - x[y] + x[i]) / C over the right classes y and the wrong ones i. A row of ``target``
    lists the right classes, int64, and ends with -1. ``reduction`` as of `MSELoss`. RuntimeError
    for shapes that differ or a class that is not in [-1, C). Dtypes: float types
    (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.MultiLabelMarginLoss()(torch.tensor([[0.1, 0.2, 0.4]]), torch.tensor([[2, -1, 0]]))
    tensor(0.5000)
    """

    def forward(self, input: Any, target: Any) -> Any:
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """`BCEWithLogitsLoss`, averaged over the classes first: (N, C), (N, C) to a number.

    Targets are 0 or 1 per class; ``weight`` (C,) is a factor per class. ``reduction`` as of
    `MSELoss`; "none" gives a loss per sample, (N,). ValueError for another ``reduction``,
    RuntimeError for shapes that do not broadcast. Dtypes: float types (NotImplementedError for
    others).

    >>> import framework as torch
    >>> from framework import nn
    >>> loss = nn.MultiLabelSoftMarginLoss(reduction="none")
    >>> loss(torch.zeros(2, 3), torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]))
    tensor([0.6931, 0.6931])
    """

    def forward(self, input: Any, target: Any) -> Any:
        return F.multilabel_soft_margin_loss(input, target, weight=self.weight,
                                             reduction=self.reduction)  # fmt: skip


class CTCLoss(_Loss):
    """Connectionist temporal classification: -log of the chance that a net's steps spell a target.

    Called with (log_probs, targets, input_lengths, target_lengths): log-probabilities (T, N, C) or
    (T, C), classes (N, S) or (sum of target_lengths,), and lengths (N,), numbers too. Graves et
    al., "Connectionist temporal classification", 2006.

    Args:
        blank: the class that stands for nothing.
        reduction: "mean" divides each loss by its target's length and averages them over the batch;
            "sum" and "none", (N,), as of `MSELoss`.
        zero_infinity: 0 instead of inf (and its gradient) where a target is too long.

    Errors, in a call: RuntimeError for a ``blank`` or a class that is not in [0, C), and for
    lengths beyond T or the targets. Dtypes: float32 and float64 (NotImplementedError for others),
    numbers for the rest.

    >>> import framework as torch
    >>> from framework import nn
    >>> scores = torch.zeros(4, 1, 3).log_softmax(2)
    >>> nn.CTCLoss()(scores, torch.tensor([[1, 2]]), torch.tensor([4]), torch.tensor([2]))
    tensor(0.8432)
    """

    def __init__(
        self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False
    ) -> None:
        super().__init__(reduction=reduction)
        self.blank, self.zero_infinity = blank, zero_infinity

    def forward(
        self, log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any
    ) -> Any:  # fmt: skip
        return F.ctc_loss(log_probs, targets, input_lengths, target_lengths, self.blank,
                          self.reduction, self.zero_infinity)  # fmt: skip


class LinearCrossEntropyLoss(_WeightedLoss):
    """`CrossEntropyLoss` of a `Linear` layer's scores, in one module.

    Shapes: input (N, in_features), target (N, *out_features) to a number; the scores, which only
    exist inside, are (N, num_classes, *out_features). The layer ``linear`` is learnable and starts
    as `Linear` does.

    Args:
        options: `LinearCrossEntropyOptions`: how PyTorch would cut the batch into pieces; the
            result does not depend on it.

    RuntimeError for a ``weight`` that is not (num_classes,), a ``label_smoothing`` outside of [0,
    1], and in a call for another width or dtype; IndexError for a class out of range. Dtypes: float
    types, the layer's.

    >>> import framework as torch
    >>> from framework import nn
    >>> loss = nn.LinearCrossEntropyLoss(4, 3)
    >>> loss(torch.zeros(2, 4), torch.tensor([0, 1])).detach()
    tensor(1.0986)
    """

    def __init__(
        self, in_features: int, num_classes: int, *, out_features: tuple[int, ...] = (),
        bias: bool = False, device: Any = None, dtype: Any = None, reduction: str = "mean",
        weight: Any = None, ignore_index: int | None = None, label_smoothing: float = 0.0,
        options: Any = None,
    ) -> None:  # fmt: skip
        if weight is not None and tuple(weight.shape) != (num_classes,):
            raise RuntimeError(
                f"expected weight shape to be {(num_classes,)}, got {tuple(weight.shape)}"
            )
        if not 0 <= label_smoothing <= 1.0:
            raise RuntimeError(
                f"expected label_smoothing to be in range [0, 1], got {label_smoothing}"
            )
        super().__init__(weight, reduction=reduction)
        self.num_classes, self.out_features = num_classes, out_features
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing
        rows = math.prod(out_features, start=num_classes)
        self.linear = Linear(in_features, rows, bias=bias, device=device, dtype=dtype)
        self.options = options

    def forward(self, input: Any, target: Any) -> Any:
        linear, shape = self.linear, (self.num_classes, *self.out_features)
        return F.linear_cross_entropy(
            input, linear.weight.reshape((*shape, linear.in_features)), target,
            linear_bias=None if linear.bias is None else linear.bias.reshape(shape),
            weight=self.weight, reduction=self.reduction, ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing, options=self.options,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, "
            f"out_features={self.out_features}, bias={self.linear.bias is not None}, "
            f"reduction={self.reduction}, ignore_index={self.ignore_index}, "
            f"label_smoothing={self.label_smoothing}, options={self.options}"
        )
