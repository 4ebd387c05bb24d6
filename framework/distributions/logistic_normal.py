"""The logistic-normal distribution on the simplex."""

from __future__ import annotations

from typing import Any, ClassVar

from framework.distributions import constraints
from framework.distributions.normal import Normal
from framework.distributions.transformed_distribution import TransformedDistribution
from framework.distributions.transforms import StickBreakingTransform
from framework.tensor import Tensor

__all__ = ["LogisticNormal"]


class LogisticNormal(TransformedDistribution):
    """Normal numbers, taken to the simplex of one more dimension by breaking a stick.

    Atchison and Shen, "Logistic-normal distributions", Biometrika 67 (1980). Parameters (*, n) of a
    float type, samples (*, n + 1). ValueError for a scale that is not positive and a value that is
    not of the simplex.

    >>> import framework as torch
    >>> m = LogisticNormal(torch.zeros(3), torch.ones(3))
    >>> m.event_shape
    torch.Size([4])
    """

    arg_constraints: ClassVar[Any] = {"loc": constraints.real, "scale": constraints.positive}
    support: Any = constraints.simplex
    has_rsample: Any = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        base = Normal(loc, scale, validate_args=validate_args)
        if not base.batch_shape:
            base = base.expand([1])
        super().__init__(base, StickBreakingTransform(), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._get_checked_instance(LogisticNormal, _instance)
        return super().expand(batch_shape, _instance=new)

    @property
    def loc(self) -> Tensor:
        """Means of the normal numbers."""
        return self.base_dist.base_dist.loc  # type: ignore[attr-defined]

    @property
    def scale(self) -> Tensor:
        """Standard deviations of the normal numbers."""
        return self.base_dist.base_dist.scale  # type: ignore[attr-defined]
