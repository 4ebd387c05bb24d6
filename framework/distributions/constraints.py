"""Sets of values: the supports of distributions and the domains of their parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import framework as torch
from framework.tensor import Tensor

__all__ = [
    "Constraint", "MixtureSameFamilyConstraint", "boolean", "cat", "corr_cholesky", "dependent",
    "dependent_property", "greater_than", "greater_than_eq", "half_open_interval", "independent",
    "integer_interval", "interval", "is_dependent", "less_than", "lower_cholesky",
    "lower_triangular", "multinomial", "nonnegative", "nonnegative_integer", "one_hot", "positive",
    "positive_definite", "positive_integer", "positive_semidefinite", "real", "real_vector",
    "simplex", "square", "stack", "symmetric", "unit_interval",
]  # fmt: skip


class Constraint:
    """A set of values that a variable may take.

    Attributes:
        is_discrete: whether the set is countable.
        event_dim: number of rightmost dimensions that make one value together.

    `check` takes a tensor of any shape and dtype and gives bool, without the last ``event_dim``
    dimensions; NotImplementedError for a class that does not give it.

    >>> import framework as torch
    >>> simplex.check(torch.tensor([[0.2, 0.8], [0.5, 0.6]])), simplex.event_dim
    (tensor([ True, False]), 1)
    """

    is_discrete: bool = False
    event_dim: int = 0

    def check(self, value: Any) -> Any:
        """For each event in ``value`` whether it is in the set."""
        raise NotImplementedError(f"{type(self).__name__} does not implement check")

    def __repr__(self) -> str:
        return f"{type(self).__name__[1:]}()"


class _Bounded(Constraint):
    """A constraint that its constructor's arguments describe in full."""

    _fields: tuple[str, ...] = ()

    def __repr__(self) -> str:
        described = ", ".join(f"{name}={getattr(self, name)}" for name in self._fields)
        return f"{type(self).__name__[1:]}({described})"


# -- what depends on parameters --------------------------------------------------------------


class _Dependent(Constraint):
    """A placeholder for a set that depends on other variables: ``check`` is a ValueError.

    >>> import framework as torch
    >>> constraints = torch.distributions.constraints
    >>> constraints.is_dependent(constraints.dependent)
    True
    """

    def __init__(self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented):
        self._is_discrete, self._event_dim = is_discrete, event_dim
        super().__init__()

    @property
    def is_discrete(self) -> bool:  # type: ignore[override]
        if self._is_discrete is NotImplemented:
            raise NotImplementedError(".is_discrete cannot be determined statically")
        return self._is_discrete

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        if self._event_dim is NotImplemented:
            raise NotImplementedError(".event_dim cannot be determined statically")
        return self._event_dim

    def __call__(
        self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented
    ) -> _Dependent:
        """The same with static attributes: ``dependent(is_discrete=True, event_dim=1)``."""
        return _Dependent(
            is_discrete=self._is_discrete if is_discrete is NotImplemented else is_discrete,
            event_dim=self._event_dim if event_dim is NotImplemented else event_dim,
        )

    def check(self, value: Any) -> Any:
        raise ValueError("Cannot determine validity of dependent constraint")


def is_dependent(constraint: Any) -> bool:
    """Whether a constraint is only a placeholder.

    It never raises.

    >>> is_dependent(dependent), is_dependent(positive)
    (True, False)
    """
    return isinstance(constraint, _Dependent)


class _DependentProperty(property, _Dependent):
    """A property whose value is a constraint, and on the class a dependent constraint itself.

    NotImplementedError for ``is_discrete`` and ``event_dim``, which depend on an instance, unless
    they were given. Shapes and dtypes as of `Constraint`.

    >>> class Range:
    ...     def __init__(self, low, high):
    ...         self.low, self.high = low, high
    ...     @dependent_property(is_discrete=False, event_dim=0)
    ...     def support(self):
    ...         return interval(self.low, self.high)
    >>> Range(0, 2).support, is_dependent(Range.support)
    (Interval(lower_bound=0, upper_bound=2), True)
    """

    def __init__(
        self, fn: Any = None, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented
    ) -> None:
        property.__init__(self, fn)
        self._is_discrete, self._event_dim = is_discrete, event_dim

    def __call__(self, fn: Callable[..., Any]) -> _DependentProperty:  # type: ignore[override]
        return _DependentProperty(fn, is_discrete=self._is_discrete, event_dim=self._event_dim)


# -- wrappers --------------------------------------------------------------------------------


class _IndependentConstraint(Constraint):
    """Batch dimensions of a constraint counted as dimensions of the event: valid if all are.

    (*, event) of any dtype to bool (*). AssertionError for what is no constraint and a negative
    number, ValueError for a value of fewer dimensions.

    >>> import framework as torch
    >>> constraints = torch.distributions.constraints
    >>> rows = constraints.independent(constraints.positive, 1)
    >>> rows.check(torch.tensor([[1.0, 2.0], [-1.0, 1.0]]))
    tensor([ True, False])
    """

    def __init__(self, base_constraint: Constraint, reinterpreted_batch_ndims: int) -> None:
        if not isinstance(base_constraint, Constraint):
            raise AssertionError(
                f"base_constraint must be a Constraint, got {type(base_constraint).__name__}"
            )
        if not isinstance(reinterpreted_batch_ndims, int):
            raise AssertionError(
                "reinterpreted_batch_ndims must be an int, got "
                f"{type(reinterpreted_batch_ndims).__name__}"
            )
        if reinterpreted_batch_ndims < 0:
            raise AssertionError(
                f"reinterpreted_batch_ndims must be >= 0, got {reinterpreted_batch_ndims}"
            )
        self.base_constraint = base_constraint
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims
        super().__init__()

    @property
    def is_discrete(self) -> bool:  # type: ignore[override]
        return self.base_constraint.is_discrete

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        return self.base_constraint.event_dim + self.reinterpreted_batch_ndims

    def check(self, value: Any) -> Any:
        result = self.base_constraint.check(value)
        dims = self.reinterpreted_batch_ndims
        if result.dim() < dims:
            raise ValueError(
                f"Expected value.dim() >= {self.base_constraint.event_dim + dims} but got "
                f"{value.dim()}"
            )
        return _all_after(result, result.dim() - dims)

    def __repr__(self) -> str:
        name = type(self).__name__[1:]
        return f"{name}({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


class MixtureSameFamilyConstraint(Constraint):
    """The values of a mixture: those that every component takes.

    (*, event) of any real dtype to bool (*). AssertionError for what is no constraint.

    >>> import framework as torch
    >>> constraints = torch.distributions.constraints
    >>> values = constraints.MixtureSameFamilyConstraint(constraints.positive)
    >>> values.check(torch.tensor([1.0, -1.0]))
    tensor([ True, False])
    """

    def __init__(self, base_constraint: Constraint) -> None:
        if not isinstance(base_constraint, Constraint):
            raise AssertionError(
                f"base_constraint must be a Constraint, got {type(base_constraint).__name__}"
            )
        self.base_constraint = base_constraint
        super().__init__()

    @property
    def is_discrete(self) -> bool:  # type: ignore[override]
        return self.base_constraint.is_discrete

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        return self.base_constraint.event_dim

    def check(self, value: Any) -> Any:
        dims = self.event_dim
        result = self.base_constraint.check(value.unsqueeze(-1 - dims))
        return _all_after(result, value.dim() - dims)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_constraint!r})"


def _all_after(found: Any, dims: int) -> Any:
    """Whether all are true beyond the first ``dims`` dimensions."""
    return found.reshape((*found.shape[:dims], -1)).all(-1)


class _Joined(Constraint):
    """Constraints for parts of a tensor along a dimension."""

    cseq: list[Constraint]

    @property
    def is_discrete(self) -> bool:  # type: ignore[override]
        return any(c.is_discrete for c in self.cseq)

    def _inside(self, value: Tensor) -> None:
        if not -value.dim() <= self.dim < value.dim():  # type: ignore[attr-defined]
            raise AssertionError(
                f"dim {self.dim} out of range for value with {value.dim()} dimensions"  # type: ignore[attr-defined]
            )


class _Cat(_Joined):
    """Constraints for the pieces of a concatenation along ``dim`` of these ``lengths``.

    Without lengths each piece is one long. Any shape and dtype, to bool of that shape.
    AssertionError for what is no constraint, another number of lengths, and a ``dim`` out of range.

    >>> import framework as torch
    >>> constraints = torch.distributions.constraints
    >>> both = constraints.cat([constraints.positive, constraints.real], lengths=[2, 1])
    >>> both.check(torch.tensor([1.0, -1.0, -1.0]))
    tensor([ True, False,  True])
    """

    def __init__(
        self, cseq: Sequence[Constraint], dim: int = 0, lengths: Sequence[int] | None = None
    ) -> None:
        if not all(isinstance(c, Constraint) for c in cseq):
            raise AssertionError("All elements of cseq must be Constraint instances")
        self.cseq = list(cseq)
        self.lengths = [1] * len(self.cseq) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.cseq):
            raise AssertionError(
                f"lengths ({len(self.lengths)}) must match cseq ({len(self.cseq)})"
            )
        self.dim = dim
        super().__init__()

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        return max(c.event_dim for c in self.cseq)

    def check(self, value: Any) -> Any:
        self._inside(value)
        checks, start = [], 0
        for constraint, length in zip(self.cseq, self.lengths):
            checks.append(constraint.check(value.narrow(self.dim, start, length)))
            start += length
        return torch.cat(checks, self.dim)


class _Stack(_Joined):
    """Constraints for the slices of a stack along ``dim``.

    Any shape and dtype, to bool of that shape. AssertionError for what is no constraint and a
    ``dim`` out of range.

    >>> import framework as torch
    >>> constraints = torch.distributions.constraints
    >>> both = constraints.stack([constraints.positive, constraints.real])
    >>> both.check(torch.tensor([-1.0, -1.0]))
    tensor([False,  True])
    """

    def __init__(self, cseq: Sequence[Constraint], dim: int = 0) -> None:
        if not all(isinstance(c, Constraint) for c in cseq):
            raise AssertionError("All elements of cseq must be Constraint instances")
        self.cseq = list(cseq)
        self.dim = dim
        super().__init__()

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        dim = max(c.event_dim for c in self.cseq)
        return dim + 1 if self.dim + dim < 0 else dim

    def check(self, value: Any) -> Any:
        self._inside(value)
        parts = [value.select(self.dim, i) for i in range(value.size(self.dim))]
        return torch.stack([c.check(v) for c, v in zip(self.cseq, parts)], self.dim)


# -- numbers ---------------------------------------------------------------------------------


class _Boolean(Constraint):
    """0 or 1."""

    is_discrete = True

    def check(self, value: Any) -> Any:
        return (value == 0) | (value == 1)


class _Real(Constraint):
    """Any number: nothing but NaN is outside."""

    def check(self, value: Any) -> Any:
        return value == value


class _GreaterThan(_Bounded):
    """x > lower_bound.

    Any shape that broadcasts with the bound's (RuntimeError for others), any real dtype, to bool.

    >>> import framework as torch
    >>> torch.distributions.constraints.greater_than(2).check(torch.tensor([1.0, 2.0, 3.0]))
    tensor([False, False,  True])
    """

    _fields = ("lower_bound",)

    def __init__(self, lower_bound: Any) -> None:
        self.lower_bound = lower_bound

    def check(self, value: Any) -> Any:
        return self.lower_bound < value


class _GreaterThanEq(_GreaterThan):
    """x >= lower_bound.

    Any shape that broadcasts with the bound's (RuntimeError for others), any real dtype, to bool.

    >>> import framework as torch
    >>> torch.distributions.constraints.greater_than_eq(2).check(torch.tensor([1.0, 2.0, 3.0]))
    tensor([False,  True,  True])
    """

    def check(self, value: Any) -> Any:
        return self.lower_bound <= value


class _IntegerGreaterThan(_GreaterThan):
    """Integers from lower_bound on."""

    is_discrete = True

    def check(self, value: Any) -> Any:
        return (value % 1 == 0) & (value >= self.lower_bound)


class _LessThan(_Bounded):
    """x < upper_bound.

    Any shape that broadcasts with the bound's (RuntimeError for others), any real dtype, to bool.

    >>> import framework as torch
    >>> torch.distributions.constraints.less_than(2).check(torch.tensor([1.0, 2.0, 3.0]))
    tensor([ True, False, False])
    """

    _fields = ("upper_bound",)

    def __init__(self, upper_bound: Any) -> None:
        self.upper_bound = upper_bound

    def check(self, value: Any) -> Any:
        return value < self.upper_bound


class _IntegerLessThan(_LessThan):
    """Integers up to upper_bound."""

    is_discrete = True

    def check(self, value: Any) -> Any:
        return (value % 1 == 0) & (value <= self.upper_bound)


class _Interval(_Bounded):
    """lower_bound <= x <= upper_bound.

    Any shape that broadcasts with the bounds' (RuntimeError for others), any real dtype, to bool.

    >>> import framework as torch
    >>> torch.distributions.constraints.interval(1, 2).check(torch.tensor([1.0, 2.0, 3.0]))
    tensor([ True,  True, False])
    """

    _fields = ("lower_bound", "upper_bound")

    def __init__(self, lower_bound: Any, upper_bound: Any) -> None:
        self.lower_bound, self.upper_bound = lower_bound, upper_bound

    def check(self, value: Any) -> Any:
        return (self.lower_bound <= value) & (value <= self.upper_bound)


class _HalfOpenInterval(_Interval):
    """lower_bound <= x < upper_bound.

    Any shape that broadcasts with the bounds' (RuntimeError for others), any real dtype, to bool.

    >>> import framework as torch
    >>> torch.distributions.constraints.half_open_interval(1, 2).check(torch.tensor([1.0, 2.0]))
    tensor([ True, False])
    """

    def check(self, value: Any) -> Any:
        return (self.lower_bound <= value) & (value < self.upper_bound)


class _IntegerInterval(_Interval):
    """Integers from lower_bound to upper_bound.

    Any shape that broadcasts with the bounds' (RuntimeError for others), any real dtype, to bool.

    >>> import framework as torch
    >>> torch.distributions.constraints.integer_interval(1, 2).check(torch.tensor([1.0, 1.5, 2.0]))
    tensor([ True, False,  True])
    """

    is_discrete = True

    def check(self, value: Any) -> Any:
        return (value % 1 == 0) & (self.lower_bound <= value) & (value <= self.upper_bound)


# -- vectors and matrices --------------------------------------------------------------------


class _OneHot(Constraint):
    """Vectors with a single 1 among zeros."""

    is_discrete = True
    event_dim = 1

    def check(self, value: Any) -> Any:
        return ((value == 0) | (value == 1)).all(-1) & value.sum(-1).eq(1)


class _Simplex(Constraint):
    """Vectors of nonnegative numbers with the sum 1 (up to 1e-6)."""

    event_dim = 1

    def check(self, value: Any) -> Any:
        return torch.all(value >= 0, dim=-1) & ((value.sum(-1) - 1).abs() < 1e-6)


class _Multinomial(Constraint):
    """Vectors of nonnegative counts with a sum of at most upper_bound.

    (*, n) of any real dtype to bool (*). TypeError for what is no tensor.

    >>> import framework as torch
    >>> counts = torch.tensor([[1.0, 2.0], [2.0, 2.0]])
    >>> torch.distributions.constraints.multinomial(3).check(counts)
    tensor([ True, False])
    """

    is_discrete = True
    event_dim = 1

    def __init__(self, upper_bound: Any) -> None:
        self.upper_bound = upper_bound

    def check(self, x: Any) -> Any:
        return (x >= 0).all(dim=-1) & (x.sum(dim=-1) <= self.upper_bound)


class _LowerTriangular(Constraint):
    """Lower triangular square matrices."""

    event_dim = 2

    def check(self, value: Any) -> Any:
        return (value.tril() == value).all(-2).all(-1)


class _LowerCholesky(_LowerTriangular):
    """Lower triangular matrices with a positive diagonal."""

    def check(self, value: Any) -> Any:
        triangular = super().check(value)
        return triangular & (value.diagonal(dim1=-2, dim2=-1) > 0).all(-1)


class _CorrCholesky(_LowerCholesky):
    """Lower Cholesky factors of correlation matrices: rows of length one."""

    def check(self, value: Any) -> Any:
        # A sum of n squares is exact to about n roundings; ten times that is let pass.
        tolerance = torch.finfo(value.dtype).eps * value.size(-1) * 10
        norms = torch.linalg.norm(value.detach(), dim=-1)
        return super().check(value) & (norms - 1).abs().le(tolerance).all(dim=-1)


class _Square(Constraint):
    """Square matrices."""

    event_dim = 2

    def check(self, value: Any) -> Any:
        is_square = value.shape[-2] == value.shape[-1]
        return torch.full(value.shape[:-2], is_square, dtype=torch.bool, device=value.device)


class _Symmetric(_Square):
    """Symmetric matrices."""

    def check(self, value: Any) -> Any:
        square = super().check(value)
        if not square.all():
            return square
        return torch.isclose(value, value.mT, atol=1e-6).all(-2).all(-1)


class _PositiveSemidefinite(_Symmetric):
    """Symmetric matrices without a negative eigenvalue."""

    def check(self, value: Any) -> Any:
        symmetric = super().check(value)
        if not symmetric.all():
            return symmetric
        return torch.linalg.eigvalsh(value).ge(0).all(-1)


class _PositiveDefinite(_Symmetric):
    """Symmetric matrices that have a Cholesky factor."""

    def check(self, value: Any) -> Any:
        symmetric = super().check(value)
        if not symmetric.all():
            return symmetric
        return torch.linalg.cholesky_ex(value).info.eq(0)


# -- public names ----------------------------------------------------------------------------

dependent = _Dependent()
dependent_property = _DependentProperty
independent = _IndependentConstraint
boolean = _Boolean()
one_hot = _OneHot()
nonnegative_integer = _IntegerGreaterThan(0)
positive_integer = _IntegerGreaterThan(1)
integer_interval = _IntegerInterval
real = _Real()
real_vector = independent(real, 1)
positive = _GreaterThan(0.0)
nonnegative = _GreaterThanEq(0.0)
greater_than = _GreaterThan
greater_than_eq = _GreaterThanEq
less_than = _LessThan
multinomial = _Multinomial
unit_interval = _Interval(0.0, 1.0)
interval = _Interval
half_open_interval = _HalfOpenInterval
simplex = _Simplex()
lower_triangular = _LowerTriangular()
lower_cholesky = _LowerCholesky()
corr_cholesky = _CorrCholesky()
square = _Square()
symmetric = _Symmetric()
positive_semidefinite = _PositiveSemidefinite()
positive_definite = _PositiveDefinite()
cat = _Cat
stack = _Stack
