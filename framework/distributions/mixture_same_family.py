"""Mixtures of distributions of one family."""

from __future__ import annotations

from typing import Any, ClassVar

import framework as torch
from framework.distributions import constraints
from framework.distributions.categorical import Categorical
from framework.distributions.distribution import Distribution
from framework.tensor import Size, Tensor

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """A sample of the component that a categorical distribution picks.

    The components are along the rightmost batch dimension of ``component_distribution``: its batch
    shape is (*, n), that of the mixture (*). Dtypes are the components'. ValueError for a mixture
    that is no `Categorical` and for numbers of components that differ, IndexError for components
    without a batch.

    >>> import framework as torch
    >>> from framework.distributions import Normal
    >>> m = MixtureSameFamily(
    ...     Categorical(torch.ones(2)), Normal(torch.tensor([-1.0, 1.0]), torch.ones(2))
    ... )
    >>> m.mean, m.variance
    (tensor(0.), tensor(2.))
    """

    arg_constraints: ClassVar[Any] = {}
    has_rsample = False

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ) -> None:
        self._mixture_distribution = mixture_distribution
        self._component_distribution = component_distribution
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(
                " The Mixture distribution needs to be an  instance of "
                "torch.distributions.Categorical"
            )
        if not isinstance(component_distribution, Distribution):
            raise ValueError(
                "The Component distribution needs to be an instance of "
                "torch.distributions.Distribution"
            )
        if not component_distribution.batch_shape:
            raise IndexError("component_distribution has no batch dimension along which to mix")
        mixture_batch = mixture_distribution.batch_shape
        batch = component_distribution.batch_shape[:-1]
        for a, b in zip(reversed(mixture_batch), reversed(batch)):
            if a != 1 and b != 1 and a != b:
                raise ValueError(
                    f"`mixture_distribution.batch_shape` ({mixture_batch}) is not compatible with "
                    f"`component_distribution.batch_shape`({batch})"
                )
        picked = mixture_distribution.logits.shape[-1]
        offered = component_distribution.batch_shape[-1]
        if picked != offered:
            raise ValueError(
                f"`mixture_distribution component` ({picked}) does not equal "
                f"`component_distribution.batch_shape[-1]` ({offered})"
            )
        self._num_component = offered
        event_shape = component_distribution.event_shape
        self._event_ndims = len(event_shape)
        super().__init__(batch, event_shape, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._get_checked_instance(MixtureSameFamily, _instance)
        batch = Size(batch_shape)
        MixtureSameFamily.__init__(
            new,
            self.mixture_distribution.expand(batch),
            self.component_distribution.expand((*batch, self._num_component)),
            validate_args=False,
        )
        new._validate_args = self._validate_args
        return new

    @constraints.dependent_property
    def support(self) -> Any:
        return constraints.MixtureSameFamilyConstraint(self._component_distribution.support)

    @property
    def mixture_distribution(self) -> Categorical:
        """What picks the component."""
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Distribution:
        """The components, along the rightmost batch dimension."""
        return self._component_distribution

    def _weights(self) -> Tensor:
        """The probabilities of the components, with ones for the dimensions of the event."""
        probs = self.mixture_distribution.probs
        return probs.reshape(probs.shape + (1,) * self._event_ndims)

    def _over_components(self, value: Tensor) -> Tensor:
        return value.unsqueeze(-1 - self._event_ndims)

    @property
    def mean(self) -> Tensor:
        at = -1 - self._event_ndims
        return (self._weights() * self.component_distribution.mean).sum(dim=at)

    @property
    def variance(self) -> Tensor:
        """The mean of the variances and the variance of the means."""
        at, weights = -1 - self._event_ndims, self._weights()
        away = self.component_distribution.mean - self._over_components(self.mean)
        within = (weights * self.component_distribution.variance).sum(dim=at)
        return within + (weights * away.pow(2.0)).sum(dim=at)

    def cdf(self, x: Tensor) -> Tensor:
        values = self.component_distribution.cdf(self._over_components(x))
        return (values * self.mixture_distribution.probs).sum(dim=-1)

    def log_prob(self, x: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(x)
        log_probs = self.component_distribution.log_prob(self._over_components(x))
        weights = torch.log_softmax(self.mixture_distribution.logits, dim=-1)
        return torch.logsumexp(log_probs + weights, dim=-1)

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        sample_shape = Size(sample_shape)
        at = len(sample_shape) + len(self.batch_shape)
        picked = self.mixture_distribution.expand(self.batch_shape).sample(sample_shape)
        offered = self.component_distribution.sample(sample_shape)
        index = picked.reshape((*picked.shape, 1, *(1,) * self._event_ndims))
        index = index.expand((*picked.shape, 1, *self.event_shape))
        return torch.gather(offered, at, index).squeeze(at)

    def __repr__(self) -> str:
        return (
            f"MixtureSameFamily(\n  {self.mixture_distribution},\n  {self.component_distribution})"
        )
