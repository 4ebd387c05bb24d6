"""The binomial distribution."""

from __future__ import annotations

from typing import Any, ClassVar

import framework as torch
from framework.distributions import constraints
from framework.distributions.probabilities import BinaryParameter, only_one
from framework.distributions.utils import broadcast_all
from framework.tensor import Tensor

__all__ = ["Binomial"]


def _positive_part(x: Tensor) -> Tensor:
    """max(x, 0), with the gradient 1/2 at 0."""
    return (x.clamp(min=0) + x - x.clamp(max=0)) / 2


class Binomial(BinaryParameter):
    """Successes among ``total_count`` trials, each with the probability ``probs``.

    Johnson, Kemp and Kotz, "Univariate discrete distributions", 3rd ed., ch. 3. Any shape, float
    types; samples are of the type of ``probs``. ValueError for a probability outside of [0, 1], a
    negative count, and unless one of ``probs`` and ``logits`` is given; NotImplementedError for the
    support of counts that differ.

    >>> import framework as torch
    >>> m = Binomial(4, torch.tensor([0.5]))
    >>> m.mean, m.log_prob(torch.tensor([2.0]))
    (tensor([2.]), tensor([-0.9808]))
    """

    arg_constraints: ClassVar[Any] = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    has_enumerate_support = True

    def __init__(
        self,
        total_count: Any = 1,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        only_one(probs, logits)
        self.total_count, value = broadcast_all(total_count, logits if probs is None else probs)
        self.total_count = self.total_count.type_as(value)
        shape = self._take(value if logits is None else None, value if probs is None else None)
        super().__init__(shape, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._remade(Binomial, batch_shape, _instance)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        return ((self.total_count + 1) * self.probs).floor().clamp(max=self.total_count)

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return torch.binomial(self.total_count.expand(shape), self.probs.expand(shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """log C(n, k) + k logits - n log(1 + exp(logits))."""
        if self._validate_args:
            self._validate_sample(value)
        n = self.total_count
        ways = torch.lgamma(n + 1) - torch.lgamma(value + 1) - torch.lgamma(n - value + 1)
        softplus = _positive_part(self.logits) + torch.log1p(torch.exp(-torch.abs(self.logits)))
        return value * self.logits - n * softplus + ways

    def entropy(self) -> Tensor:
        """The sum over the support; one ``total_count`` for the whole batch."""
        values = self._support_values("entropy", expand=False)
        log_prob = self.log_prob(values)
        return -(torch.exp(log_prob) * log_prob).sum(0)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        return self._support_values("enumerate_support", expand)

    def _support_values(self, name: str, expand: bool) -> Tensor:
        total = int(self.total_count.max())
        if not self.total_count.min() == total:
            raise NotImplementedError(f"Inhomogeneous total count not supported by `{name}`.")
        values = torch.arange(1 + total, dtype=self._param.dtype, device=self._param.device)
        return self._enumerated(values, expand)
