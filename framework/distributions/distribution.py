"""The base class of all distributions."""

from __future__ import annotations

import warnings
from typing import Any

import framework as torch
from framework.distributions import constraints
from framework.distributions.utils import lazy_property
from framework.tensor import Size, Tensor

__all__ = ["Distribution"]


class Distribution:
    """A probability distribution, or a batch of independent ones.

    A sample has the shape ``sample_shape + batch_shape + event_shape``: one event of
    ``event_shape`` for each of the distributions in ``batch_shape``.

    A derived class has ``arg_constraints`` (constraints of its parameters by name), ``support``,
    and the methods that it knows; what it does not know raises NotImplementedError. Parameters are
    numbers or tensors that broadcast to ``batch_shape`` (RuntimeError if they do not), all of one
    float type, which samples and densities have too. ValueError for a parameter outside of its
    constraint, and in `log_prob` and `cdf` for a value that is no tensor, has not the shape of a
    sample, or lies outside of the support.

    Args:
        validate_args: whether parameters and values are checked; by default as
            `set_default_validate_args` says, which is yes unless Python runs with -O.

    >>> import framework as torch
    >>> from framework.distributions import Dirichlet
    >>> m = Dirichlet(torch.ones(5, 3))
    >>> m.batch_shape, m.event_shape, m.sample((2,)).shape
    (torch.Size([5]), torch.Size([3]), torch.Size([2, 5, 3]))
    """

    has_rsample = False
    has_enumerate_support = False
    _validate_args = __debug__

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions check their arguments unless they are told otherwise.

        ValueError for what is neither True nor False.

        >>> import framework as torch
        >>> from framework.distributions import Distribution, Normal
        >>> Distribution.set_default_validate_args(False)
        >>> Normal(0.0, -1.0)
        Normal(loc: 0.0, scale: -1.0)
        >>> Distribution.set_default_validate_args(True)
        """
        if value not in (True, False):
            raise ValueError(f"expected True or False, but got {value!r}")
        Distribution._validate_args = value

    def __init__(
        self,
        batch_shape: Any = (),
        event_shape: Any = (),
        validate_args: bool | None = None,
    ) -> None:
        self._batch_shape = Size(batch_shape)
        self._event_shape = Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_parameters()
        super().__init__()

    def _check_parameters(self) -> None:
        try:
            arg_constraints = self.arg_constraints
        except NotImplementedError:
            arg_constraints = {}
            warnings.warn(
                f"{self.__class__} does not define `arg_constraints`. Please set "
                "`arg_constraints = {}` or initialize the distribution with `validate_args=False` "
                "to turn off validation.",
                stacklevel=3,
            )
        for name, constraint in arg_constraints.items():
            if constraints.is_dependent(constraint):
                continue
            if name not in self.__dict__ and isinstance(
                getattr(type(self), name, None), lazy_property
            ):
                continue  # follows from another parameter, which is checked
            value = getattr(self, name)
            if not constraint.check(value).all():
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape "
                    f"{tuple(value.shape)}) of distribution {self!r} to satisfy the constraint "
                    f"{constraint!r}, but found invalid values:\n{value}"
                )

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """This distribution with its batch dimensions expanded to ``batch_shape``.

        RuntimeError for a shape that it cannot be expanded to, NotImplementedError for a class that
        does not give it.

        >>> from framework.distributions import Normal
        >>> Normal(0.0, 1.0).expand((3,)).sample().shape
        torch.Size([3])
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement expand")

    def _get_checked_instance(self, cls: type, _instance: Any = None) -> Any:
        """A blank object of this type for ``cls.expand`` to fill."""
        if _instance is None and type(self).__init__ != cls.__init__:  # type: ignore[misc]
            raise NotImplementedError(
                f"Subclass {self.__class__.__name__} of {cls.__name__} that defines a custom "
                "__init__ method must also define a custom .expand() method."
            )
        return self.__new__(type(self)) if _instance is None else _instance

    def _parameters(self, names: Any) -> dict[str, Any]:
        """The constructor's arguments that `_remade` expands, of the parameters ``names``."""
        return {name: getattr(self, name) for name in names}

    def _remade(self, cls: Any, batch_shape: Any, _instance: Any, **options: Any) -> Any:
        """``cls.expand``: the same family made from the expanded parameters."""
        new = self._get_checked_instance(cls, _instance)
        batch_shape = Size(batch_shape)
        known = cls.arg_constraints  # of the family: a derived class may have added its own
        if isinstance(known, property):
            known = self.arg_constraints
        expanded = {}
        for name, value in self._parameters(known).items():
            event = value.ndim - known[name].event_dim
            expanded[name] = value.expand(batch_shape + value.shape[event:])
        cls.__init__(new, **expanded, **options, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def batch_shape(self) -> Any:
        """Shape of the batch of distributions."""
        return self._batch_shape

    @property
    def event_shape(self) -> Any:
        """Shape of one event of one distribution."""
        return self._event_shape

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """Constraints of the parameters, by name."""
        raise NotImplementedError(f"{type(self).__name__} does not implement arg_constraints")

    @property
    def support(self) -> Any:
        """The values that samples take, as a constraint."""
        raise NotImplementedError(f"{type(self).__name__} does not implement support")

    @property
    def mean(self) -> Tensor:
        """The mean."""
        raise NotImplementedError(f"{type(self).__name__} does not implement mean")

    @property
    def mode(self) -> Tensor:
        """The most probable value."""
        raise NotImplementedError(f"{self.__class__} does not implement mode")

    @property
    def variance(self) -> Tensor:
        """The variance."""
        raise NotImplementedError(f"{type(self).__name__} does not implement variance")

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return self.variance.sqrt()

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Samples without a gradient, of shape ``sample_shape + batch_shape + event_shape``.

        Of the parameters' dtype, or int64 for `Categorical`. TypeError for a shape that is none.

        >>> import framework as torch
        >>> from framework.distributions import Normal
        >>> Normal(torch.zeros(2), 1.0).sample((3,)).shape
        torch.Size([3, 2])
        """
        with torch.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Samples through which gradients flow to the parameters.

        NotImplementedError where ``has_rsample`` is False, TypeError for a shape that is none.

        >>> import framework as torch
        >>> from framework.distributions import Normal
        >>> scale = torch.tensor(2.0, requires_grad=True)
        >>> Normal(0.0, scale).rsample((3,)).requires_grad
        True
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement rsample")

    def sample_n(self, n: int) -> Tensor:
        """``sample((n,))``; deprecated.

        >>> from framework.distributions import Normal
        >>> Normal(0.0, 1.0).sample_n(3).shape
        torch.Size([3])
        """
        warnings.warn(
            "`sample_n(n)` will be deprecated. Use `sample((n,))` instead.",
            FutureWarning,
            stacklevel=2,
        )
        return self.sample(Size((n,)))

    def log_prob(self, value: Tensor) -> Tensor:
        """Logarithm of the density, or of the probability, of ``value``.

        ``value`` broadcasts with ``batch_shape + event_shape``; the result has no ``event_shape``.
        ValueError for what is no tensor, another shape, and a value outside of the support.

        >>> import framework as torch
        >>> from framework.distributions import Uniform
        >>> Uniform(0.0, 2.0).log_prob(torch.tensor([0.5, 1.5]))
        tensor([-0.6931, -0.6931])
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement log_prob")

    def cdf(self, value: Tensor) -> Tensor:
        """Probability of a sample that is at most ``value``.

        Shapes and errors as of `log_prob`; NotImplementedError where there is no formula.

        >>> import framework as torch
        >>> from framework.distributions import Uniform
        >>> Uniform(0.0, 2.0).cdf(torch.tensor([0.5, 1.5]))
        tensor([0.2500, 0.7500])
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement cdf")

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile: where `cdf` reaches ``value``.

        Shapes as of `log_prob`; NotImplementedError where there is no formula.

        >>> import framework as torch
        >>> from framework.distributions import Uniform
        >>> Uniform(0.0, 2.0).icdf(torch.tensor([0.25, 0.75]))
        tensor([0.5000, 1.5000])
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement icdf")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values of a discrete distribution along a new first dimension.

        With ``expand=False`` the batch dimensions after it have size one.

        NotImplementedError for a support that is not finite.

        >>> import framework as torch
        >>> from framework.distributions import Categorical
        >>> Categorical(torch.ones(3)).enumerate_support()
        tensor([0, 1, 2])
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement enumerate_support")

    def entropy(self) -> Tensor:
        """The (differential) entropy, in nats; of ``batch_shape``.

        NotImplementedError where there is no formula.

        >>> from framework.distributions import Uniform
        >>> Uniform(0.0, 2.0).entropy()
        tensor(0.6931)
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement entropy")

    def perplexity(self) -> Tensor:
        """exp(entropy).

        NotImplementedError where there is no `entropy`.

        >>> import framework as torch
        >>> from framework.distributions import Categorical
        >>> Categorical(torch.ones(4)).perplexity()
        tensor(4.)
        """
        return torch.exp(self.entropy())

    def _extended_shape(self, sample_shape: Any = ()) -> Any:
        return Size(sample_shape) + self._batch_shape + self._event_shape

    def _enumerated(self, values: Tensor, expand: bool) -> Tensor:
        """The values of a support, which are the same for the whole batch."""
        values = values.view((-1,) + (1,) * len(self._batch_shape) + self._event_shape)
        if not expand:
            return values
        return values.expand((-1, *self._batch_shape, *self._event_shape))

    def _validate_sample(self, value: Any) -> None:
        """Refuse a value that is no event of these distributions."""
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        shape = value.size()
        first_event_dim = len(shape) - len(self._event_shape)
        if shape[first_event_dim:] != self._event_shape:
            raise ValueError(
                f"The right-most size of value must match event_shape: {shape} vs "
                f"{self._event_shape}."
            )
        expected = self._batch_shape + self._event_shape
        for i, j in zip(reversed(shape), reversed(expected)):
            if i != 1 and j != 1 and i != j:
                raise ValueError(
                    "Value is not broadcastable with batch_shape+event_shape: "
                    f"{shape} vs {expected}."
                )
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{self.__class__} does not define `support` to enable sample validation. Please "
                "initialize the distribution with `validate_args=False` to turn off validation.",
                stacklevel=2,
            )
            return
        if not support.check(value).all():
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) "
                f"to be within the support ({support!r}) of the distribution {self!r}, but found "
                f"invalid values:\n{value}"
            )

    def __repr__(self) -> str:
        shown = []
        for name in self.arg_constraints:
            if name in self.__dict__:
                value = self.__dict__[name]
                shown.append(f"{name}: {value if value.numel() == 1 else value.size()}")
        return f"{self.__class__.__name__}({', '.join(shown)})"
