"""Distributions of transformed samples."""

from __future__ import annotations

from typing import Any, ClassVar

import framework as torch
from framework.distributions import constraints
from framework.distributions.distribution import Distribution
from framework.distributions.independent import Independent
from framework.distributions.transform_base import ComposeTransform, Transform
from framework.distributions.utils import sum_rightmost
from framework.tensor import Size, Tensor

__all__ = ["TransformedDistribution"]


class TransformedDistribution(Distribution):
    """The distribution of y = t(x) for x from a base distribution and a chain t of transforms.

    log p(y) = log p(x) - log |det dy/dx|. Shapes follow from the base's and the transforms', the
    dtype is that of their results. ValueError for what is no transform and a base with too few
    dimensions; NotImplementedError in ``log_prob`` where a transform has no inverse or no Jacobian.

    >>> import framework as torch
    >>> from framework.distributions import AffineTransform, SigmoidTransform, Uniform
    >>> logistic = TransformedDistribution(
    ...     Uniform(0.0, 1.0), [SigmoidTransform().inv, AffineTransform(0.0, 2.0)]
    ... )
    >>> logistic.log_prob(torch.tensor(0.0))
    tensor(-2.0794)
    """

    arg_constraints: ClassVar[Any] = {}

    def __init__(
        self, base_distribution: Distribution, transforms: Any, validate_args: bool | None = None
    ) -> None:
        if isinstance(transforms, Transform):
            self.transforms = [transforms]
        elif not isinstance(transforms, list):
            raise ValueError(f"transforms must be a Transform or list, but was {transforms}")
        elif not all(isinstance(t, Transform) for t in transforms):
            raise ValueError("transforms must be a Transform or a list of Transforms")
        else:
            self.transforms = transforms
        transform = ComposeTransform(self.transforms)
        domain_dims = transform.domain.event_dim
        shape = base_distribution.batch_shape + base_distribution.event_shape
        if len(shape) < domain_dims:
            raise ValueError(
                f"base_distribution needs to have shape with size at least {domain_dims}, but got "
                f"{shape}."
            )
        # Parameters of the transforms may broadcast the base distribution to a larger batch.
        out_shape = transform.forward_shape(shape)
        full = transform.inverse_shape(out_shape)
        base_dims = len(base_distribution.event_shape)
        if shape != full:
            base_distribution = base_distribution.expand(full[: len(full) - base_dims])
        if domain_dims > base_dims:
            base_distribution = Independent(base_distribution, domain_dims - base_dims)
        self.base_dist = base_distribution
        event_dims = transform.codomain.event_dim + max(base_dims - domain_dims, 0)
        cut = len(out_shape) - event_dims
        super().__init__(out_shape[:cut], out_shape[cut:], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._get_checked_instance(TransformedDistribution, _instance)
        shape = Size(batch_shape) + self.event_shape
        for t in reversed(self.transforms):
            shape = t.inverse_shape(shape)
        base = self.base_dist.expand(shape[: len(shape) - len(self.base_dist.event_shape)])
        TransformedDistribution.__init__(new, base, self.transforms, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @constraints.dependent_property(is_discrete=False)
    def support(self) -> Any:
        if not self.transforms:
            return self.base_dist.support
        support = self.transforms[-1].codomain
        more = len(self.event_shape) - support.event_dim
        return constraints.independent(support, more) if more > 0 else support

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return self.base_dist.has_rsample

    def _forward(self, x: Tensor) -> Tensor:
        for t in self.transforms:
            x = t(x)
        return x

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with torch.no_grad():
            return self._forward(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self._forward(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        dims = len(self.event_shape)
        total: Any = 0.0
        y = value
        for t in reversed(self.transforms):
            x = t.inv(y)
            dims += t.domain.event_dim - t.codomain.event_dim
            total = total - sum_rightmost(t.log_abs_det_jacobian(x, y), dims - t.domain.event_dim)
            y = x
        more = dims - len(self.base_dist.event_shape)
        return total + sum_rightmost(self.base_dist.log_prob(y), more)

    def _monotonized(self, p: Tensor) -> Tensor:
        """Probabilities p, or 1 - p where the transforms fall."""
        sign: Any = 1
        for t in self.transforms:
            sign = sign * t.sign
        return p if isinstance(sign, int) and sign == 1 else sign * (p - 0.5) + 0.5

    def cdf(self, value: Tensor) -> Tensor:
        """By the inverse transforms, which must be monotone."""
        for t in self.transforms[::-1]:
            value = t.inv(value)
        if self._validate_args:
            self.base_dist._validate_sample(value)
        return self._monotonized(self.base_dist.cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        """By the transforms, which must be monotone."""
        return self._forward(self.base_dist.icdf(self._monotonized(value)))
