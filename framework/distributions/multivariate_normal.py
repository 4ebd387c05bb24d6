"""The multivariate normal distribution."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import framework as torch
from framework.distributions import constraints
from framework.distributions.distribution import Distribution
from framework.distributions.utils import lazy_property, standard_normal
from framework.tensor import Size, Tensor

__all__ = ["MultivariateNormal"]


def matrix_vector(matrix: Tensor, vector: Tensor) -> Tensor:
    """Products of a batch of matrices and a batch of vectors, broadcast."""
    return torch.matmul(matrix, vector.unsqueeze(-1)).squeeze(-1)


def squared_distance(factor: Tensor, difference: Tensor) -> Tensor:
    """x^T (L L^T)^-1 x for lower triangular ``factor`` L [..., n, n] and ``difference`` x [..., n].

    Sample dimensions in front become columns, so that each factor is used once for all of them.
    """
    rank = max(factor.dim() - 1, 1)
    lead = difference.shape[: max(difference.dim() - rank, 0)]
    columns = difference.reshape((-1, *difference.shape[len(lead) :])).movedim(0, -1)
    solved = torch.linalg.solve_triangular(factor, columns, upper=False)
    distance = solved.pow(2).sum(-2).movedim(-1, 0)
    return distance.reshape(lead + distance.shape[1:])


def log_det_root(factor: Tensor) -> Tensor:
    """Half the log determinant of L L^T, from its factor L."""
    return factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def factor_of_inverse(precision: Tensor) -> Tensor:
    """The lower Cholesky factor of the inverse of a positive definite matrix.

    With both its rows and columns reversed the matrix has the factor F; F turned round is upper
    triangular, U U^T = P, and the inverse of U^T is the factor looked for.
    """
    upper = torch.linalg.cholesky(precision.flip(-2, -1)).flip(-2, -1)
    one = torch.eye(precision.shape[-1], dtype=precision.dtype, device=precision.device)
    return torch.linalg.solve_triangular(upper.mT, one, upper=False)


class MultivariateNormal(Distribution):
    """Density exp(-(x - loc)^T S^-1 (x - loc) / 2) / sqrt(det(2 pi S)).

    One of the covariance S, its inverse the precision, and its lower Cholesky factor is given; the
    factor is what is computed with. Kotz, Balakrishnan and Johnson, "Continuous multivariate
    distributions", vol. 1, ch. 45. ``loc`` (*, n), S (*, n, n), float32 or float64 (RuntimeError
    for narrower); samples (*, n). ValueError for other shapes, a matrix that is not positive
    definite, and unless just one is given.

    >>> import framework as torch
    >>> m = MultivariateNormal(torch.zeros(2), torch.eye(2))
    >>> m.log_prob(torch.zeros(2))
    tensor(-1.8379)
    """

    arg_constraints: ClassVar[Any] = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support: Any = constraints.real_vector
    has_rsample = True
    _unbroadcasted_scale_tril: Tensor

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Any = None,
        precision_matrix: Any = None,
        scale_tril: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        given = {
            "covariance_matrix": covariance_matrix,
            "scale_tril": scale_tril,
            "precision_matrix": precision_matrix,
        }
        given = {name: value for name, value in given.items() if value is not None}
        if len(given) != 1:
            raise ValueError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be "
                "specified."
            )
        ((name, matrix),) = given.items()
        if matrix.dim() < 2:
            called = "scale_tril matrix" if name == "scale_tril" else name
            raise ValueError(
                f"{called} must be at least two-dimensional, with optional leading batch dimensions"
            )
        batch_shape = torch.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        setattr(self, name, matrix.expand((*batch_shape, -1, -1)))
        self.loc = loc.expand((*batch_shape, -1))
        super().__init__(batch_shape, self.loc.shape[-1:], validate_args=validate_args)
        if name == "scale_tril":
            self._unbroadcasted_scale_tril = matrix
        elif name == "covariance_matrix":
            self._unbroadcasted_scale_tril = torch.linalg.cholesky(matrix)
        else:
            self._unbroadcasted_scale_tril = factor_of_inverse(matrix)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._get_checked_instance(MultivariateNormal, _instance)
        batch_shape = Size(batch_shape)
        new.loc = self.loc.expand(batch_shape + self.event_shape)
        new._unbroadcasted_scale_tril = self._unbroadcasted_scale_tril
        for name in ("covariance_matrix", "scale_tril", "precision_matrix"):
            if name in self.__dict__:
                square = batch_shape + self.event_shape + self.event_shape
                setattr(new, name, self.__dict__[name].expand(square))
        Distribution.__init__(new, batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _expanded_matrix(self, matrix: Tensor) -> Tensor:
        return matrix.expand(self._batch_shape + self._event_shape + self._event_shape)

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The lower Cholesky factor of the covariance."""
        return self._expanded_matrix(self._unbroadcasted_scale_tril)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """The covariance."""
        factor = self._unbroadcasted_scale_tril
        return self._expanded_matrix(torch.matmul(factor, factor.mT))

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariance."""
        return self._expanded_matrix(torch.cholesky_inverse(self._unbroadcasted_scale_tril))

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        variance = self._unbroadcasted_scale_tril.pow(2).sum(-1)
        return variance.expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        noise = standard_normal(self._extended_shape(sample_shape), self.loc)
        return self.loc + matrix_vector(self._unbroadcasted_scale_tril, noise)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        factor = self._unbroadcasted_scale_tril
        distance = squared_distance(factor, value - self.loc)
        n = self._event_shape[0]
        return -0.5 * (n * math.log(2 * math.pi) + distance) - log_det_root(factor)

    def entropy(self) -> Tensor:
        root = log_det_root(self._unbroadcasted_scale_tril)
        entropy = 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + root
        return entropy.expand(self._batch_shape)
