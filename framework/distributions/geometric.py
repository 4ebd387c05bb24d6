"""The geometric distribution."""

from __future__ import annotations

from typing import Any, ClassVar

import framework as torch
from framework.distributions import constraints
from framework.distributions.probabilities import BinaryParameter
from framework.distributions.utils import broadcast_all, uniform
from framework.nn.functional import binary_cross_entropy_with_logits
from framework.tensor import Tensor

__all__ = ["Geometric"]


class Geometric(BinaryParameter):
    """Failures before the first success: P(k) = (1 - probs)^k probs for k = 0, 1, ...

    Johnson, Kemp and Kotz, "Univariate discrete distributions", 3rd ed., section 5.2. ``probs`` of
    any shape and float type; samples alike. ValueError for a probability outside of (0, 1], and
    unless one of ``probs`` and ``logits`` is given.

    >>> import framework as torch
    >>> Geometric(torch.tensor([0.5])).log_prob(torch.tensor([1.0]))
    tensor([-1.3863])
    """

    arg_constraints: ClassVar[Any] = {
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    support: Any = constraints.nonnegative_integer

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        super().__init__(self._take(probs, logits), validate_args=validate_args)
        if self._validate_args and probs is not None:
            value = self.probs
            valid = value > 0
            if not valid.all():
                raise ValueError(
                    f"Expected parameter probs ({type(value).__name__} of shape "
                    f"{tuple(value.shape)}) of distribution {self!r} to be positive but found "
                    f"invalid values:\n{value.detach()[~valid]}"
                )

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._remade(Geometric, batch_shape, _instance)

    @property
    def mean(self) -> Tensor:
        return 1.0 / self.probs - 1.0

    @property
    def mode(self) -> Tensor:
        return torch.zeros_like(self.probs)

    @property
    def variance(self) -> Tensor:
        return (1.0 / self.probs - 1.0) / self.probs

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        tiny = torch.finfo(self.probs.dtype).tiny
        u = uniform(self._extended_shape(sample_shape), self.probs).clamp(min=tiny)
        return (u.log() / (-self.probs).log1p()).floor()

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        value, probs = broadcast_all(value, self.probs)
        # 0 log 0 is 0.
        failure = probs.masked_fill((probs == 1) & (value == 0), 0)
        return value * (-failure).log1p() + self.probs.log()

    def entropy(self) -> Tensor:
        once = binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")
        return once / self.probs
