"""Adaptive softmax: rare classes get smaller layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from framework.nn import functional as F
from framework.nn.modules.container import ModuleList, Sequential
from framework.nn.modules.linear import Linear
from framework.nn.modules.module import Module
from framework.ops.joining import cat

__all__ = ["AdaptiveLogSoftmaxWithLoss"]


class _ASMoutput(NamedTuple):
    """Log-probability of each target, and the mean of their negatives."""

    output: Any
    loss: Any


class AdaptiveLogSoftmaxWithLoss(Module):
    """log softmax over many classes that are sorted by how often they occur.

    The classes below ``cutoffs[0]`` are scored directly, each further range by a cluster of its own
    with a smaller hidden layer (Grave et al., "Efficient softmax approximation for GPUs", 2017).
    Called with (N, in_features) and classes (N,), it gives their log-probabilities (N,) and the
    loss, the mean of their negatives; N may be missing.

    Args:
        cutoffs: increasing class numbers where the clusters start.
        div_value: cluster i has in_features // div_value**(i + 1) hidden units.

    Errors: ValueError for cutoffs that do not increase within [1, n_classes - 1]; in a call
    RuntimeError for shapes that do not fit or a class out of range. Dtypes: float types, the
    weights' (RuntimeError for another); classes are int64.

    >>> import framework as torch
    >>> from framework import nn
    >>> layer = nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5, 10])
    >>> output, loss = layer(torch.zeros(3, 16), torch.tensor([1, 7, 19]))
    >>> output.shape, layer.log_prob(torch.zeros(3, 16)).shape
    (torch.Size([3]), torch.Size([3, 20]))
    """

    def __init__(
        self, in_features: int, n_classes: int, cutoffs: Sequence[int], div_value: float = 4.0,
        head_bias: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        cutoffs = list(cutoffs)
        if not cutoffs:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        if (
            cutoffs != sorted(set(cutoffs))
            or min(cutoffs) <= 0
            or max(cutoffs) > n_classes - 1
            or any(int(c) != c for c in cutoffs)
        ):
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an "
                "increasing order, where each value is between 1 and n_classes-1"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*cutoffs, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        made = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **made)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            hidden = int(in_features // div_value ** (i + 1))
            size = self.cutoffs[i + 1] - self.cutoffs[i]
            self.tail.append(
                Sequential(
                    Linear(in_features, hidden, bias=False, **made),
                    Linear(hidden, size, bias=False, **made),
                )
            )

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        self.head.reset_parameters()
        for first, second in self.tail:
            first.reset_parameters()
            second.reset_parameters()

    def forward(self, input_: Any, target_: Any) -> _ASMoutput:
        self._check(input_, target_)
        batched = target_.ndim > 0
        input = input_ if batched else input_.unsqueeze(0)
        target = target_ if batched else target_.unsqueeze(0)
        lowest, highest = (target.min().item(), target.max().item()) if target.numel() else (0, 0)
        if lowest < 0 or highest >= self.n_classes:
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{lowest}, {highest}] were found. "
            )
        column = target  # of the head: the class, or its cluster
        output = input.new_zeros(target.shape[0])
        for i in range(self.n_clusters):
            low, high = self.cutoffs[i], self.cutoffs[i + 1]
            inside = (target >= low) & (target < high)
            rows = inside.nonzero().squeeze(1)
            if not rows.numel():
                continue
            scores = F.log_softmax(self.tail[i](input.index_select(0, rows)), 1)
            own = scores.gather(1, (target[rows] - low).unsqueeze(1)).squeeze(1)
            output = output.index_copy(0, rows, own)
            column = column.masked_fill(inside, self.shortlist_size + i)
        head = F.log_softmax(self.head(input), 1)
        output = output + head.gather(1, column.unsqueeze(1)).squeeze(1)
        loss = (-output).mean()
        return _ASMoutput(output if batched else output.squeeze(0), loss)

    def _check(self, input: Any, target: Any) -> None:
        if target.ndim > 1:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        if target.ndim == 1 and input.shape[0] != target.shape[0]:
            raise RuntimeError("Input and target should have the same size in the batch dimension.")
        if input.ndim != target.ndim + 1:
            raise RuntimeError(
                f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found "
                f"inputs with size {input.shape}"
            )

    def log_prob(self, input: Any) -> Any:
        """Log-probabilities of all classes: (N, in_features) to (N, n_classes).

        RuntimeError for another width.

        >>> import framework as torch
        >>> from framework import nn
        >>> layer = nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5])
        >>> layer.log_prob(torch.zeros(3, 8)).exp().sum(1).allclose(torch.ones(3))
        True
        """
        return self._full_log_prob(input, self.head(input))

    def _full_log_prob(self, input: Any, head_output: Any) -> Any:
        head = F.log_softmax(head_output, 1)
        parts = [head[:, : self.shortlist_size]]
        for i, cluster in enumerate(self.tail):
            at = self.shortlist_size + i
            parts.append(F.log_softmax(cluster(input), 1) + head[:, at : at + 1])
        return cat(parts, 1)

    def predict(self, input: Any) -> Any:
        """The most probable class of each row, scoring clusters only where they may win.

        (N, in_features) to (N,), int64. RuntimeError for another width.

        >>> import framework as torch
        >>> from framework import nn
        >>> nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5]).predict(torch.zeros(3, 8)).shape
        torch.Size([3])
        """
        head = self.head(input)
        result = head.argmax(1)
        elsewhere = result >= self.shortlist_size
        if bool(elsewhere.any()):
            found = self._full_log_prob(input[elsewhere], head[elsewhere]).argmax(1)
            result[elsewhere] = found
        return result
