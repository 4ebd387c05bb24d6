"""Exponential families: the entropy follows from the log normalizer."""

from __future__ import annotations

from typing import Any

import framework as torch
from framework.distributions.distribution import Distribution
from framework.tensor import Tensor

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """Densities p(x; theta) = exp(<t(x), theta> - F(theta) + k(x)).

    ``_natural_params`` are theta, ``_log_normalizer(*theta)`` is F, and ``_mean_carrier_measure``
    is the mean of k. Nielsen and Nock, "Entropies and cross-entropies of exponential families",
    ICIP 2010. Shapes, dtypes and checks as of `Distribution`; NotImplementedError for a class that
    does not give these.

    >>> import framework as torch
    >>> from framework.distributions import Normal
    >>> ExponentialFamily.entropy(Normal(0.0, 1.0))
    tensor(1.4189, grad_fn=<SubBackward0>)
    """

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        raise NotImplementedError(f"{type(self).__name__} does not implement _natural_params")

    def _log_normalizer(self, *natural_params: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not implement _log_normalizer")

    @property
    def _mean_carrier_measure(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not implement _mean_carrier_measure")

    def entropy(self) -> Tensor:
        """F(theta) - <theta, grad F(theta)> - E[k]."""
        theta = [p.detach().requires_grad_() for p in self._natural_params]
        normalizer = self._log_normalizer(*theta)
        slopes = torch.autograd.grad(normalizer.sum(), theta, create_graph=True)
        result = normalizer - self._mean_carrier_measure
        for p, slope in zip(theta, slopes):
            result = result - (p * slope).reshape((*self._batch_shape, -1)).sum(-1)
        return result
