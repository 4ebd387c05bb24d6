"""The multinomial distribution."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import framework as torch
from framework.distributions import constraints
from framework.distributions.binomial import Binomial
from framework.distributions.categorical import Categorical
from framework.distributions.distribution import Distribution
from framework.distributions.utils import broadcast_all
from framework.tensor import Size, Tensor

__all__ = ["Multinomial"]


class Multinomial(Distribution):
    """How often each of n classes comes in ``total_count`` draws.

    Kotz, Johnson and Balakrishnan, "Discrete multivariate distributions", ch. 35. Probabilities (*,
    n) of a float type to counts (*, n) of the same. ValueError for a negative probability, a
    scalar, and a value with another sum than ``total_count``; NotImplementedError for a
    ``total_count`` that is no int.

    >>> import framework as torch
    >>> Multinomial(2, torch.tensor([1.0, 1.0])).log_prob(torch.tensor([1.0, 1.0]))
    tensor(-0.6931)
    """

    arg_constraints: ClassVar[Any] = {
        "probs": constraints.simplex,
        "logits": constraints.real_vector,
    }
    total_count: int

    def __init__(
        self,
        total_count: int = 1,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        self._categorical = Categorical(probs=probs, logits=logits)
        self._binomial = Binomial(total_count=total_count, probs=self.probs)
        shape = self._categorical.param_shape
        super().__init__(self._categorical.batch_shape, shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._remade(Multinomial, batch_shape, _instance, total_count=self.total_count)

    def _parameters(self, names: Any) -> dict[str, Any]:
        return self._categorical._parameters(names)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> Any:
        return constraints.multinomial(self.total_count)

    @property
    def probs(self) -> Tensor:
        """Probabilities of the classes."""
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        """Logarithms of the probabilities."""
        return self._categorical.logits

    @property
    def param_shape(self) -> Any:
        """Shape of the parameter."""
        return self._categorical.param_shape

    @property
    def mean(self) -> Tensor:
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        sample_shape = Size(sample_shape)
        drawn = self._categorical.sample((self.total_count, *sample_shape)).movedim(0, -1)
        counts = drawn.new_zeros(self._extended_shape(sample_shape))
        counts.scatter_add_(-1, drawn, torch.ones_like(drawn))
        return counts.type_as(self.probs)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        # A class of probability zero that did not come takes no part.
        logits = logits.masked_fill((value == 0) & (logits == -math.inf), 0)
        ways = torch.lgamma(value.sum(-1) + 1) - torch.lgamma(value + 1).sum(-1)
        return ways + (logits * value).sum(-1)

    def entropy(self) -> Tensor:
        """n H(categorical) - log n! + sum over the classes of E[log k!]."""
        n = self.total_count
        counts = self._binomial.enumerate_support(expand=False)[1:]
        chances = torch.exp(self._binomial.log_prob(counts))
        factorials = (chances * torch.lgamma(counts + 1)).sum([0, -1])
        return n * self._categorical.entropy() - math.lgamma(n + 1) + factorials
