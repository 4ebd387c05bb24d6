"""The negative binomial distribution."""

from __future__ import annotations

from typing import Any, ClassVar

import framework as torch
from framework.distributions import constraints
from framework.distributions.gamma import Gamma
from framework.distributions.probabilities import BinaryParameter, only_one
from framework.distributions.utils import broadcast_all
from framework.nn.functional import logsigmoid
from framework.tensor import Tensor

__all__ = ["NegativeBinomial"]


class NegativeBinomial(BinaryParameter):
    """Successes, of probability ``probs`` each, before ``total_count`` failures.

    ``total_count`` need not be whole. Johnson, Kemp and Kotz, "Univariate discrete distributions",
    3rd ed., ch. 5. A sample is Poisson with a gamma rate. All of any shape and float type; samples
    alike. ValueError for a negative count, a probability outside of [0, 1), and unless one of
    ``probs`` and ``logits`` is given.

    >>> import framework as torch
    >>> m = NegativeBinomial(3.0, torch.tensor([0.5]))
    >>> m.mean, m.log_prob(torch.tensor([0.0]))
    (tensor([3.]), tensor([-2.0794]))
    """

    arg_constraints: ClassVar[Any] = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support: Any = constraints.nonnegative_integer

    def __init__(
        self,
        total_count: Any,
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
        return self._remade(NegativeBinomial, batch_shape, _instance)

    @property
    def mean(self) -> Tensor:
        return self.total_count * torch.exp(self.logits)

    @property
    def mode(self) -> Tensor:
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0.0)

    @property
    def variance(self) -> Tensor:
        return self.mean / torch.sigmoid(-self.logits)

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        rates = Gamma(self.total_count, torch.exp(-self.logits), validate_args=False)
        return torch.poisson(rates.sample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        n = self.total_count
        power = n * logsigmoid(-self.logits) + value * logsigmoid(self.logits)
        ways = torch.lgamma(n + value) - torch.lgamma(1.0 + value) - torch.lgamma(n)
        return power + ways.masked_fill(n + value == 0.0, 0.0)
