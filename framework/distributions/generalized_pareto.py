"""The generalized Pareto distribution."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import framework as torch
from framework.distributions import constraints
from framework.distributions.distribution import Distribution
from framework.distributions.utils import broadcast_all, shape_of, uniform
from framework.tensor import Tensor

__all__ = ["GeneralizedPareto"]


class GeneralizedPareto(Distribution):
    """Survival (1 + c z)^(-1 / c) with z = (x - loc) / scale >= 0; exp(-z) for concentration c = 0.

    Hosking and Wallis, "Parameter and quantile estimation for the generalized Pareto distribution",
    Technometrics 29 (1987). For c < 0 the support ends at loc - scale / c. All of any shape and
    float type; samples alike. ValueError for a scale that is not positive and a value outside of
    the support.

    >>> import framework as torch
    >>> GeneralizedPareto(0.0, 1.0, 0.5).cdf(torch.tensor(2.0))
    tensor(0.7500)
    """

    arg_constraints: ClassVar[Any] = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "concentration": constraints.real,
    }
    has_rsample = True

    def __init__(
        self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None
    ) -> None:
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(shape_of(loc, scale, concentration), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._remade(GeneralizedPareto, batch_shape, _instance)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        end = self.loc - self.scale / self._nonzero()
        return constraints.interval(self.loc, torch.where(self.concentration < 0, end, math.inf))

    def _flat(self) -> Tensor:
        return torch.isclose(self.concentration, torch.zeros_like(self.concentration))

    def _nonzero(self) -> Tensor:
        """The concentration, with 1 in place of what counts as 0."""
        return self.concentration.masked_fill(self._flat(), 1.0)

    def _log_power(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """(z, log(1 + c z) / c), the latter being z for c = 0."""
        z = (value - self.loc) / self.scale
        c = self._nonzero()
        return z, torch.where(self._flat(), z, torch.log1p(c * z) / c)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.icdf(uniform(self._extended_shape(sample_shape), self.loc))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        _, power = self._log_power(value)
        c = self.concentration.masked_fill(self._flat(), 0.0)
        return -(1 + c) * power - torch.log(self.scale)

    def log_survival_function(self, value: Tensor) -> Tensor:
        """Logarithm of the probability of more than ``value``."""
        if self._validate_args:
            self._validate_sample(value)
        return -self._log_power(value)[1]

    def log_cdf(self, value: Tensor) -> Tensor:
        """Logarithm of `cdf`."""
        return torch.log1p(-torch.exp(self.log_survival_function(value)))

    def cdf(self, value: Tensor) -> Tensor:
        return torch.exp(self.log_cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        log_left = torch.log1p(-value)
        c = self._nonzero()
        z = torch.where(self._flat(), -log_left, torch.expm1(-c * log_left) / c)
        return self.loc + self.scale * z

    @property
    def mean(self) -> Tensor:
        """NaN for a concentration of 1 or more, as the variance is from 1/2 on."""
        c = self.concentration.masked_fill(self.concentration >= 1, 0.0)
        mean = self.loc + self.scale / (1 - c)
        return mean.masked_fill(self.concentration >= 1, math.nan)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        c = self.concentration.masked_fill(self.concentration >= 0.5, 0.0)
        variance = self.scale.pow(2) / ((1 - c).pow(2) * (1 - 2 * c))
        return variance.masked_fill(self.concentration >= 0.5, math.nan)

    def entropy(self) -> Tensor:
        return torch.log(self.scale) + self.concentration + 1
