"""The Weibull distribution."""

from __future__ import annotations

from typing import Any, ClassVar

import framework as torch
from framework.distributions import constraints
from framework.distributions.exponential import Exponential
from framework.distributions.gumbel import EULER
from framework.distributions.transformed_distribution import TransformedDistribution
from framework.distributions.transforms import AffineTransform, PowerTransform
from framework.distributions.utils import broadcast_all
from framework.tensor import Tensor

__all__ = ["Weibull"]


class Weibull(TransformedDistribution):
    """Density k z^(k - 1) exp(-z^k) / scale with z = x / scale; k: concentration.

    Johnson, Kotz and Balakrishnan, "Continuous univariate distributions", vol. 1, ch. 21. Both of
    any shape and float type; samples alike. ValueError for one that is not positive.

    >>> import framework as torch
    >>> Weibull(torch.tensor([1.0]), torch.tensor([2.0])).mean
    tensor([0.8862])
    """

    arg_constraints: ClassVar[Any] = {
        "scale": constraints.positive,
        "concentration": constraints.positive,
    }
    support: Any = constraints.positive

    def __init__(self, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.scale, self.concentration = broadcast_all(scale, concentration)
        self.concentration_reciprocal = self.concentration.reciprocal()
        base = Exponential(torch.ones_like(self.scale), validate_args=validate_args)
        transforms = [
            PowerTransform(exponent=self.concentration_reciprocal),
            AffineTransform(loc=0, scale=self.scale),
        ]
        super().__init__(base, transforms, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._remade(Weibull, batch_shape, _instance)

    def _moment(self, n: int) -> Tensor:
        """E[z^n] = Gamma(1 + n / k)."""
        return torch.lgamma(1 + n * self.concentration_reciprocal).exp()

    @property
    def mean(self) -> Tensor:
        return self.scale * self._moment(1)

    @property
    def mode(self) -> Tensor:
        k = self.concentration
        return self.scale * ((k - 1) / k) ** self.concentration_reciprocal

    @property
    def variance(self) -> Tensor:
        return self.scale.pow(2) * (self._moment(2) - self._moment(1).pow(2))

    def entropy(self) -> Tensor:
        return (
            EULER * (1 - self.concentration_reciprocal)
            + torch.log(self.scale * self.concentration_reciprocal)
            + 1
        )
