"""The chi-squared distribution."""

from __future__ import annotations

from typing import Any, ClassVar

from framework.distributions import constraints
from framework.distributions.gamma import Gamma
from framework.tensor import Tensor

__all__ = ["Chi2"]


class Chi2(Gamma):
    """The sum of df squared standard normals: Gamma(df / 2, 1 / 2).

    ``df`` of any shape and float type; samples alike. ValueError for one that is not positive.
    Johnson, Kotz and Balakrishnan, "Continuous univariate distributions", vol. 1, ch. 18.

    >>> import framework as torch
    >>> m = Chi2(torch.tensor([3.0]))
    >>> m.mean, m.variance
    (tensor([3.]), tensor([6.]))
    """

    arg_constraints: ClassVar[Any] = {"df": constraints.positive}

    def __init__(self, df: Any, validate_args: bool | None = None) -> None:
        super().__init__(0.5 * df, 0.5, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._remade(Chi2, batch_shape, _instance)

    @property
    def df(self) -> Tensor:
        """Degrees of freedom."""
        return self.concentration * 2
