"""The Gumbel distribution."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import framework as torch
from framework.distributions import constraints
from framework.distributions.transformed_distribution import TransformedDistribution
from framework.distributions.transforms import AffineTransform, ExpTransform
from framework.distributions.uniform import Uniform
from framework.distributions.utils import broadcast_all, shape_of
from framework.tensor import Tensor

__all__ = ["EULER", "Gumbel"]

EULER = 0.57721566490153286060  # the constant of Euler and Mascheroni


class Gumbel(TransformedDistribution):
    """loc - scale log(-log u) for a uniform u: density exp(-z - exp(-z)) / scale.

    Johnson, Kotz and Balakrishnan, "Continuous univariate distributions", vol. 2, ch. 22. Both of
    any shape and float type; samples alike. ValueError for a scale that is not positive.

    >>> import framework as torch
    >>> Gumbel(torch.tensor([1.0]), torch.tensor([2.0])).log_prob(torch.tensor([1.0]))
    tensor([-1.6931])
    """

    arg_constraints: ClassVar[Any] = {"loc": constraints.real, "scale": constraints.positive}
    support: Any = constraints.real

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        limits = torch.finfo(self.loc.dtype)
        # A 0-d base for numbers; otherwise as large as the parameters.
        shape = shape_of(loc, scale)
        low = torch.full(shape, limits.tiny, dtype=self.loc.dtype, device=self.loc.device)
        base = Uniform(low, torch.full_like(low, 1 - limits.eps), validate_args=validate_args)
        transforms = [
            ExpTransform().inv,
            AffineTransform(loc=0, scale=-torch.ones_like(self.scale)),
            ExpTransform().inv,
            AffineTransform(loc=self.loc, scale=-self.scale),
        ]
        super().__init__(base, transforms, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._remade(Gumbel, batch_shape, _instance)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        z = (self.loc - value) / self.scale
        return z - z.exp() - self.scale.log()

    @property
    def mean(self) -> Tensor:
        return self.loc + self.scale * EULER

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def stddev(self) -> Tensor:
        return (math.pi / math.sqrt(6)) * self.scale

    @property
    def variance(self) -> Tensor:
        return self.stddev.pow(2)

    def entropy(self) -> Tensor:
        return self.scale.log() + (1 + EULER)
