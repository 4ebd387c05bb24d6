"""The Wishart distribution of positive definite matrices."""

from __future__ import annotations

import math
import warnings
from numbers import Number
from typing import Any

import framework as torch
from framework.distributions import constraints
from framework.distributions.distribution import Distribution
from framework.distributions.exp_family import ExponentialFamily
from framework.distributions.multivariate_normal import factor_of_inverse, log_det_root
from framework.distributions.utils import lazy_property
from framework.tensor import Size, Tensor

__all__ = ["Wishart"]


class Wishart(ExponentialFamily):
    """The sum of df outer products of normal vectors of the covariance V [..., p, p].

    Density |X|^((df - p - 1) / 2) exp(-tr(V^-1 X) / 2) / C, where the constant C is 2^(df p / 2)
    |V|^(df / 2) Gamma_p(df / 2). One of V, its inverse, and its lower Cholesky factor is given.
    Sawyer, "Wishart distributions and inverse-Wishart sampling", 2007; Anderson, "An introduction
    to multivariate statistical analysis", 3rd ed., ch. 7. df (*), V (*, p, p), float32 or float64
    (RuntimeError for narrower); samples (*, p, p). ValueError for a df of p - 1 or less, other
    shapes and a matrix that is not positive definite; AssertionError unless just one is given.

    >>> import framework as torch
    >>> m = Wishart(torch.tensor([3.0]), covariance_matrix=torch.eye(2))
    >>> m.mean
    tensor([[[3., 0.],
             [0., 3.]]])
    """

    support: Any = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0
    _unbroadcasted_scale_tril: Tensor

    @property
    def arg_constraints(self) -> Any:
        """More degrees of freedom than p - 1."""
        return {
            "covariance_matrix": constraints.positive_definite,
            "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky,
            "df": constraints.greater_than(self.event_shape[-1] - 1),
        }

    def __init__(
        self,
        df: Any,
        covariance_matrix: Any = None,
        precision_matrix: Any = None,
        scale_tril: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        given = {
            "covariance_matrix": covariance_matrix,
            "scale_tril": scale_tril,
            "precision_matrix": precision_matrix,
        }
        given = {name: value for name, value in given.items() if value is not None}
        if len(given) != 1:
            raise AssertionError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be "
                "specified."
            )
        ((name, matrix),) = given.items()
        if matrix.dim() < 2:
            raise ValueError(
                "scale_tril must be at least two-dimensional, with optional leading batch "
                "dimensions"
            )
        if isinstance(df, Number):
            batch_shape = matrix.shape[:-2]
            self.df = torch.tensor(df, dtype=matrix.dtype, device=matrix.device)
        else:
            batch_shape = torch.broadcast_shapes(matrix.shape[:-2], df.shape)
            self.df = df.expand(batch_shape)
        event_shape = matrix.shape[-2:]
        if self.df.le(event_shape[-1] - 1).any():
            raise ValueError(
                f"Value of df={df} expected to be greater than ndim - 1 = {event_shape[-1] - 1}."
            )
        setattr(self, name, matrix.expand((*batch_shape, -1, -1)))
        super().__init__(batch_shape, event_shape, validate_args=validate_args)
        if self.df.lt(event_shape[-1]).any():
            warnings.warn(
                "Low df values detected. Singular samples are highly likely to occur for ndim - 1 "
                "< df < ndim.",
                stacklevel=2,
            )
        if name == "scale_tril":
            self._unbroadcasted_scale_tril = matrix
        elif name == "covariance_matrix":
            self._unbroadcasted_scale_tril = torch.linalg.cholesky(matrix)
        else:
            self._unbroadcasted_scale_tril = factor_of_inverse(matrix)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._get_checked_instance(Wishart, _instance)
        batch_shape = Size(batch_shape)
        new._unbroadcasted_scale_tril = self._unbroadcasted_scale_tril
        new.df = self.df.expand(batch_shape)
        for name in ("covariance_matrix", "scale_tril", "precision_matrix"):
            if name in self.__dict__:
                matrix = self.__dict__[name].expand(batch_shape + self.event_shape)
                setattr(new, name, matrix)
        Distribution.__init__(new, batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _expanded_matrix(self, matrix: Tensor) -> Tensor:
        return matrix.expand(self._batch_shape + self._event_shape)

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The lower Cholesky factor of V."""
        return self._expanded_matrix(self._unbroadcasted_scale_tril)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """V."""
        factor = self._unbroadcasted_scale_tril
        return self._expanded_matrix(factor @ factor.mT)

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of V."""
        return self._expanded_matrix(torch.cholesky_inverse(self._unbroadcasted_scale_tril))

    def _matrix_df(self) -> Tensor:
        return self.df[..., None, None]

    @property
    def mean(self) -> Tensor:
        return self._matrix_df() * self.covariance_matrix

    @property
    def mode(self) -> Tensor:
        """(df - p - 1) V; NaN unless df > p + 1."""
        factor = self.df - self.covariance_matrix.shape[-1] - 1
        factor = factor.masked_fill(factor <= 0, math.nan)
        return factor[..., None, None] * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        v = self.covariance_matrix
        diagonal = v.diagonal(dim1=-2, dim2=-1)
        outer = diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2)
        return self._matrix_df() * (v.pow(2) + outer)

    def _bartlett_sampling(self, sample_shape: Any) -> Tensor:
        """L A A^T L^T: normals below the diagonal of A, roots of chi-squared variables on it.

        Bartlett, "On the theory of statistical regression", 1933. Element i of the diagonal has
        df - i degrees of freedom.
        """
        p = self._event_shape[-1]
        order = torch.arange(p, dtype=self.df.dtype, device=self.df.device)
        half = (0.5 * (self.df.unsqueeze(-1) - order)).expand((*self._batch_shape, p))
        shape = self._extended_shape(sample_shape)
        tiny = torch.finfo(half.dtype).tiny
        roots = (2 * torch._standard_gamma(half.expand(shape[:-1]))).clamp(min=tiny).sqrt()
        noise = torch.randn(shape, dtype=half.dtype, device=half.device).tril(-1)
        factor = self._unbroadcasted_scale_tril @ (noise + torch.diag_embed(roots))
        return factor @ factor.mT

    def rsample(self, sample_shape: Any = (), max_try_correction: int | None = None) -> Tensor:
        """Samples; those that rounding made singular are drawn again.

        Args:
            max_try_correction: how often, 10 times by default.
        """
        tries = 10 if max_try_correction is None else max_try_correction
        sample_shape = Size(sample_shape)
        sample = self._bartlett_sampling(sample_shape)
        singular = ~self.support.check(sample)
        if not singular.any():
            return sample
        warnings.warn("Singular sample detected.", stacklevel=2)
        for _ in range(tries):
            again = self._bartlett_sampling(sample_shape)
            sample = torch.where(singular[..., None, None], again, sample)
            singular = ~self.support.check(sample.detach())
            if not singular.any():
                break
        return sample

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        df, p = self.df, self._event_shape[-1]
        factor = self._unbroadcasted_scale_tril
        solved = torch.cholesky_solve(value, factor.expand(value.shape))
        return (
            -df * (p * math.log(2.0) / 2 + log_det_root(factor))
            - torch.mvlgamma(df / 2, p=p)
            + (df - p - 1) / 2 * torch.linalg.slogdet(value).logabsdet
            - solved.diagonal(dim1=-2, dim2=-1).sum(dim=-1) / 2
        )

    def entropy(self) -> Tensor:
        df, p = self.df, self._event_shape[-1]
        order = torch.arange(p, dtype=df.dtype, device=df.device)
        slope = torch.digamma((df.unsqueeze(-1) - order) / 2).sum(-1)
        return (
            (p + 1) * (p * math.log(2.0) / 2 + log_det_root(self._unbroadcasted_scale_tril))
            + torch.mvlgamma(df / 2, p=p)
            - (df - p - 1) / 2 * slope
            + df * p / 2
        )

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        p = self._event_shape[-1]
        return -self.precision_matrix / 2, (self.df - p - 1) / 2

    def _log_normalizer(self, x: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        p = self._event_shape[-1]
        half = y + (p + 1) / 2
        log_det = torch.linalg.slogdet(-2 * x).logabsdet
        return half * (p * math.log(2.0) - log_det) + torch.mvlgamma(half, p=p)
