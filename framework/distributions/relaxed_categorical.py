"""The relaxed categorical distribution."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import framework as torch
from framework.distributions import constraints
from framework.distributions.categorical import Categorical
from framework.distributions.distribution import Distribution
from framework.distributions.transformed_distribution import TransformedDistribution
from framework.distributions.transforms import ExpTransform
from framework.distributions.utils import broadcast_all, clamp_probs, uniform
from framework.tensor import Tensor

__all__ = ["ExpRelaxedCategorical", "RelaxedOneHotCategorical"]


class ExpRelaxedCategorical(Distribution):
    """Logarithms of relaxed one-hot vectors: log_softmax((logits + Gumbel noise) / temperature).

    Maddison, Mnih and Teh, "The concrete distribution: a continuous relaxation of discrete random
    variables", ICLR 2017, appendix C. Probabilities (*, n) of a float type to samples (*, n) of the
    same. ValueError for a negative probability, a scalar, and unless one of ``probs`` and
    ``logits`` is given.

    >>> import framework as torch
    >>> m = ExpRelaxedCategorical(torch.tensor(1.0), torch.tensor([1.0, 1.0]))
    >>> bool((m.rsample().exp().sum() - 1).abs() < 1e-6)
    True
    """

    arg_constraints: ClassVar[Any] = {
        "probs": constraints.simplex,
        "logits": constraints.real_vector,
    }
    # In truth the logarithms of the simplex.
    support: Any = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        temperature: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        self._categorical = Categorical(probs, logits)
        self.temperature = temperature
        shape = self._categorical.param_shape
        super().__init__(self._categorical.batch_shape, shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._remade(
            ExpRelaxedCategorical, batch_shape, _instance, temperature=self.temperature
        )

    def _parameters(self, names: Any) -> dict[str, Any]:
        return self._categorical._parameters(names)

    @property
    def param_shape(self) -> Any:
        """Shape of the parameter."""
        return self._categorical.param_shape

    @property
    def logits(self) -> Tensor:
        """Logarithms of the probabilities."""
        return self._categorical.logits

    @property
    def probs(self) -> Tensor:
        """Probabilities of the classes."""
        return self._categorical.probs

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        gumbels = -((-clamp_probs(uniform(shape, self.logits)).log()).log())
        scores = (self.logits + gumbels) / self.temperature
        return scores - scores.logsumexp(dim=-1, keepdim=True)

    def log_prob(self, value: Tensor) -> Tensor:
        n = self.event_shape[-1]
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        temperature = torch.as_tensor(self.temperature).to(logits.dtype)
        scale = (n - 1) * temperature.log() + math.lgamma(n)
        score = logits - value.mul(self.temperature)
        return (score - score.logsumexp(dim=-1, keepdim=True)).sum(-1) + scale


class RelaxedOneHotCategorical(TransformedDistribution):
    """Points of the simplex that near its corners as ``temperature`` falls.

    Maddison et al. as above, and Jang, Gu and Poole, "Categorical reparameterization with
    Gumbel-softmax", ICLR 2017. Probabilities (*, n) of a float type to samples (*, n) of the same.
    ValueError for a negative probability, a scalar, and unless one of ``probs`` and ``logits`` is
    given.

    >>> import framework as torch
    >>> m = RelaxedOneHotCategorical(torch.tensor(2.0), torch.tensor([0.1, 0.2, 0.7]))
    >>> m.event_shape, m.has_rsample
    (torch.Size([3]), True)
    """

    arg_constraints: ClassVar[Any] = {
        "probs": constraints.simplex,
        "logits": constraints.real_vector,
    }
    support: Any = constraints.simplex
    has_rsample: Any = True
    base_dist: ExpRelaxedCategorical

    def __init__(
        self,
        temperature: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._get_checked_instance(RelaxedOneHotCategorical, _instance)
        return super().expand(batch_shape, _instance=new)

    @property
    def temperature(self) -> Any:
        """The temperature."""
        return self.base_dist.temperature

    @property
    def logits(self) -> Tensor:
        """Logarithms of the probabilities without relaxation."""
        return self.base_dist.logits

    @property
    def probs(self) -> Tensor:
        """Probabilities of the classes without relaxation."""
        return self.base_dist.probs
