"""The relaxed Bernoulli distribution."""

from __future__ import annotations

from typing import Any, ClassVar

import framework as torch
from framework.distributions import constraints
from framework.distributions.probabilities import BinaryParameter
from framework.distributions.transformed_distribution import TransformedDistribution
from framework.distributions.transforms import SigmoidTransform
from framework.distributions.utils import broadcast_all, clamp_probs, uniform
from framework.tensor import Tensor

__all__ = ["LogitRelaxedBernoulli", "RelaxedBernoulli"]


class LogitRelaxedBernoulli(BinaryParameter):
    """Logits of relaxed Bernoulli samples: (logits + logistic noise) / temperature.

    Maddison, Mnih and Teh, "The concrete distribution: a continuous relaxation of discrete random
    variables", ICLR 2017, appendix B. ``probs`` of any shape and float type; samples alike.
    ValueError for a probability outside of [0, 1], and unless one of ``probs`` and ``logits`` is
    given.

    >>> import framework as torch
    >>> m = LogitRelaxedBernoulli(torch.tensor(1.0), torch.tensor(0.5))
    >>> m.log_prob(torch.tensor(0.0))
    tensor(-1.3863)
    """

    arg_constraints: ClassVar[Any] = {
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    support: Any = constraints.real

    def __init__(
        self,
        temperature: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        self.temperature = temperature
        super().__init__(self._take(probs, logits), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._remade(
            LogitRelaxedBernoulli, batch_shape, _instance, temperature=self.temperature
        )

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        probs = clamp_probs(self.probs.expand(shape))
        u = clamp_probs(uniform(shape, probs))
        noise = u.log() - (-u).log1p()
        return (noise + probs.log() - (-probs).log1p()) / self.temperature

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        shift = logits - value.mul(self.temperature)
        return torch.as_tensor(self.temperature).log() + shift - 2 * shift.exp().log1p()


class RelaxedBernoulli(TransformedDistribution):
    """Numbers of (0, 1) that near 0 and 1 as ``temperature`` falls.

    Maddison et al. as above, and Jang, Gu and Poole, "Categorical reparameterization with
    Gumbel-softmax", ICLR 2017. ``probs`` of any shape and float type; samples alike. ValueError for
    a probability outside of [0, 1], and unless one of ``probs`` and ``logits`` is given.

    >>> import framework as torch
    >>> m = RelaxedBernoulli(torch.tensor(2.0), torch.tensor([0.1, 0.5]))
    >>> m.batch_shape, m.has_rsample
    (torch.Size([2]), True)
    """

    arg_constraints: ClassVar[Any] = {
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    support: Any = constraints.unit_interval
    has_rsample: Any = True
    base_dist: LogitRelaxedBernoulli

    def __init__(
        self,
        temperature: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        base = LogitRelaxedBernoulli(temperature, probs, logits)
        super().__init__(base, SigmoidTransform(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._get_checked_instance(RelaxedBernoulli, _instance)
        return super().expand(batch_shape, _instance=new)

    @property
    def temperature(self) -> Any:
        """The temperature."""
        return self.base_dist.temperature

    @property
    def logits(self) -> Tensor:
        """Log-odds of 1 without relaxation."""
        return self.base_dist.logits

    @property
    def probs(self) -> Tensor:
        """Probability of 1 without relaxation."""
        return self.base_dist.probs
