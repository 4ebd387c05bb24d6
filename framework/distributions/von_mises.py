"""The von Mises distribution."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import framework as torch
from framework.distributions import constraints
from framework.distributions.distribution import Distribution
from framework.distributions.utils import broadcast_all
from framework.tensor import Tensor

__all__ = ["VonMises"]


class VonMises(Distribution):
    """Density exp(k cos(x - loc)) / (2 pi I0(k)) of angles; k: concentration.

    Mardia and Jupp, "Directional statistics", 2000, section 3.5. Both of any shape and float type;
    samples alike. ValueError for a concentration that is not positive.

    >>> import framework as torch
    >>> VonMises(torch.tensor([1.0]), torch.tensor([1.0])).log_prob(torch.tensor([1.0]))
    tensor([-1.0738])
    """

    arg_constraints: ClassVar[Any] = {
        "loc": constraints.real,
        "concentration": constraints.positive,
    }
    support: Any = constraints.real
    has_rsample = False

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._remade(VonMises, batch_shape, _instance)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        k = self.concentration
        log_i0 = torch.log(torch.special.i0e(k)) + k
        return k * torch.cos(value - self.loc) - math.log(2 * math.pi) - log_i0

    @property
    def mean(self) -> Tensor:
        """The circular mean."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The circular variance, 1 - I1(k) / I0(k)."""
        return 1 - torch.special.i1e(self.concentration) / torch.special.i0e(self.concentration)

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        """By rejection from a wrapped Cauchy distribution, in float64.

        Best and Fisher, "Efficient simulation of the von Mises distribution", Applied Statistics 28
        (1979). The rejected angles are drawn again until none is left.
        """
        shape = self._extended_shape(sample_shape)
        k = self.concentration.double().expand(shape).reshape(-1)
        tau = 1 + (1 + 4 * k * k).sqrt()
        rho = (tau - (2 * tau).sqrt()) / (2 * k)
        # Their r; where k is so small that rho cancels, its Taylor series.
        r = torch.where(k < 1e-5, 1 / k + k, (1 + rho * rho) / (2 * rho))
        angles = torch.zeros_like(k)
        pending = torch.arange(k.numel(), device=k.device)
        while pending.numel():
            u = torch.rand((3, pending.numel()), dtype=k.dtype, device=k.device)
            z, proposal = torch.cos(math.pi * u[0]), r[pending]
            f = (1 + proposal * z) / (proposal + z)
            c = k[pending] * (proposal - f)
            accepted = (c * (2 - c) > u[1]) | ((c / u[1]).log() + 1 - c >= 0)
            found = (u[2] - 0.5).sign() * f.clamp(-1, 1).acos()
            angles[pending[accepted]] = found[accepted]
            pending = pending[~accepted]
        turned = angles.reshape(shape) + math.pi + self.loc.double()
        return (turned % (2 * math.pi) - math.pi).to(self.loc.dtype)
