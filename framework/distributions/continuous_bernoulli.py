"""The continuous Bernoulli distribution."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import framework as torch
from framework.distributions import constraints
from framework.distributions.exp_family import ExponentialFamily
from framework.distributions.probabilities import BinaryParameter
from framework.distributions.utils import broadcast_all, clamp_probs, uniform
from framework.nn.functional import binary_cross_entropy_with_logits
from framework.tensor import Tensor

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli(BinaryParameter, ExponentialFamily):
    """Density C p^x (1 - p)^(1 - x) on [0, 1], with C = 2 atanh(1 - 2 p) / (1 - 2 p).

    Loaiza-Ganem and Cunningham, "The continuous Bernoulli: fixing a pervasive error in variational
    autoencoders", NeurIPS 2019.

    Args:
        lims: between these probabilities, around 1/2, Taylor series are used.

    ``probs`` of any shape and float type; samples alike. ValueError unless one of ``probs`` and
    ``logits`` is given, and for a value outside of [0, 1]; a probability outside is moved to its
    end.

    >>> import framework as torch
    >>> ContinuousBernoulli(torch.tensor([0.5])).log_prob(torch.tensor([0.3]))
    tensor([0.])
    """

    arg_constraints: ClassVar[Any] = {
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    support: Any = constraints.unit_interval
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(
        self,
        probs: Any = None,
        logits: Any = None,
        lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ) -> None:
        batch_shape = self._take(probs, logits)
        if probs is not None:
            if validate_args and not self.arg_constraints["probs"].check(self.probs).all():
                raise ValueError("The parameter probs has invalid values")
            self.probs = self._param = clamp_probs(self.probs)
        self._lims = lims
        super().__init__(batch_shape, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._remade(ContinuousBernoulli, batch_shape, _instance, lims=self._lims)

    def _steady(self) -> tuple[Tensor, Tensor]:
        """(where the formulas are stable, probs with the lower limit where they are not)."""
        stable = (self.probs <= self._lims[0]) | (self.probs > self._lims[1])
        return stable, torch.where(stable, self.probs, self._lims[0])

    def _log_constant(self) -> Tensor:
        """log C."""
        stable, p = self._steady()
        low = p <= 0.5
        below = torch.log1p(-2.0 * torch.where(low, p, 0.0))
        above = torch.log(2.0 * torch.where(low, 1.0, p) - 1.0)
        norm = torch.log(torch.abs(torch.log1p(-p) - torch.log(p))) - torch.where(low, below, above)
        x = (self.probs - 0.5).pow(2)
        taylor = math.log(2.0) + (4.0 / 3.0 + 104.0 / 45.0 * x) * x
        return torch.where(stable, norm, taylor)

    @property
    def mean(self) -> Tensor:
        stable, p = self._steady()
        mean = p / (2.0 * p - 1.0) + 1.0 / (torch.log1p(-p) - torch.log(p))
        x = self.probs - 0.5
        return torch.where(stable, mean, 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * x.pow(2)) * x)

    @property
    def variance(self) -> Tensor:
        stable, p = self._steady()
        variance = p * (p - 1.0) / (1.0 - 2.0 * p).pow(2) + 1.0 / (
            torch.log1p(-p) - torch.log(p)
        ).pow(2)
        x = (self.probs - 0.5).pow(2)
        return torch.where(stable, variance, 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * x) * x)

    @property
    def stddev(self) -> Tensor:
        return torch.sqrt(self.variance)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.icdf(uniform(self._extended_shape(sample_shape), self.probs))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        cross = binary_cross_entropy_with_logits(logits, value, reduction="none")
        return self._log_constant() - cross

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        stable, p = self._steady()
        cdf = (p.pow(value) * (1.0 - p).pow(1.0 - value) + p - 1.0) / (2.0 * p - 1.0)
        cdf = torch.where(stable, cdf, value)
        return torch.where(value <= 0.0, 0.0, torch.where(value >= 1.0, 1.0, cdf))

    def icdf(self, value: Tensor) -> Tensor:
        stable, p = self._steady()
        failure = torch.log1p(-p)
        icdf = (torch.log1p(-p + value * (2.0 * p - 1.0)) - failure) / (torch.log(p) - failure)
        return torch.where(stable, icdf, value)

    def entropy(self) -> Tensor:
        failure, success = torch.log1p(-self.probs), torch.log(self.probs)
        return self.mean * (failure - success) - self._log_constant() - failure

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return (self.logits,)

    def _log_normalizer(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """log((exp(x) - 1) / x)."""
        stable = (x <= self._lims[0] - 0.5) | (x > self._lims[1] - 0.5)
        cut = torch.where(stable, x, self._lims[0] - 0.5)
        norm = torch.log(torch.abs(torch.special.expm1(cut))) - torch.log(torch.abs(cut))
        taylor = 0.5 * x + x.pow(2) / 24.0 - x.pow(4) / 2880.0
        return torch.where(stable, norm, taylor)
