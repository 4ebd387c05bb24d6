"""The distribution of Lewandowski, Kurowicka and Joe, of Cholesky factors of correlations."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import framework as torch
from framework.distributions import constraints
from framework.distributions.beta import Beta
from framework.distributions.distribution import Distribution
from framework.distributions.utils import broadcast_all
from framework.tensor import Size, Tensor

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Lower Cholesky factors of n x n correlation matrices M, with density det(M)^(eta - 1) of M.

    eta: concentration; uniform over M for 1, near the identity if large. Lewandowski, Kurowicka and
    Joe, "Generating random correlation matrices based on vines and extended onion method", J.
    Multivariate Analysis 100 (2009), section 3. eta (*) of a float type; samples are (*, n, n).
    ValueError for n below 2 and an eta that is not positive, TypeError for an n that is no int.

    >>> import framework as torch
    >>> m = LKJCholesky(3, 0.5)
    >>> m.event_shape, m.log_prob(torch.eye(3))
    (torch.Size([3, 3]), tensor(-2.5310))
    """

    arg_constraints: ClassVar[Any] = {"concentration": constraints.positive}
    support: Any = constraints.corr_cholesky

    def __init__(
        self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None
    ) -> None:
        if dim < 2:
            raise ValueError(
                f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}."
            )
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        # The row after k others has the squared length of a beta variable before its diagonal.
        kind = {"dtype": self.concentration.dtype, "device": self.concentration.device}
        order = torch.arange(dim - 1, **kind)
        second = (self.concentration + 0.5 * (dim - 2)).unsqueeze(-1) - 0.5 * order
        self._beta = Beta(0.5 * order + 0.5, second)
        super().__init__(self.concentration.size(), Size((dim, dim)), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._remade(LKJCholesky, batch_shape, _instance, dim=self.dim)

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        """By the onion method: a direction and a length for each row."""
        lengths = self._beta.sample(sample_shape).unsqueeze(-1)
        shape = self._extended_shape(sample_shape)
        u = torch.randn(shape, dtype=lengths.dtype, device=lengths.device).tril(-1)[..., 1:, :]
        rows = lengths.sqrt() * u / u.norm(dim=-1, keepdim=True)
        w = torch.cat([torch.zeros_like(rows[..., :1, :]), rows], -2)
        tiny = torch.finfo(w.dtype).tiny
        diagonal = (1 - w.pow(2).sum(-1)).clamp(min=tiny).sqrt()
        return w + torch.diag_embed(diagonal)

    def log_prob(self, value: Tensor) -> Tensor:
        """The density of the factor: of M times the Jacobian, prod L_ii^(n - i)."""
        if self._validate_args:
            self._validate_sample(value)
        n = self.dim
        order = torch.arange(2, n + 1, dtype=value.dtype, device=value.device)
        powers = 2 * (self.concentration - 1).unsqueeze(-1) + n - order
        diagonal = value.diagonal(dim1=-1, dim2=-2)[..., 1:]
        alpha = self.concentration + 0.5 * (n - 1)
        constant = (
            0.5 * (n - 1) * math.log(math.pi)
            + torch.mvlgamma(alpha - 0.5, n - 1)
            - torch.lgamma(alpha) * (n - 1)
        )
        return (powers * diagonal.log()).sum(-1) - constant
