"""Invertible transforms: the base class, and what makes transforms out of transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import framework as torch
from framework.distributions import constraints
from framework.distributions.utils import lazy_property, sum_rightmost
from framework.tensor import Size, Tensor

__all__ = [
    "CatTransform", "ComposeTransform", "IndependentTransform", "ReshapeTransform",
    "StackTransform", "Transform", "identity_transform",
]  # fmt: skip


class Transform:
    """A function y = t(x) with an inverse and a known determinant of its Jacobian.

    A derived class has ``domain``, ``codomain``, ``bijective``, where it means something ``sign``
    (+1 rises, -1 falls), and the methods ``_call``, ``_inverse`` and ``log_abs_det_jacobian``
    (NotImplementedError without). Unless a class says otherwise y has the shape and the float type
    of x, and the logarithm of the determinant has that of x without the event's dimensions.

    Args:
        cache_size: 1 keeps the last pair (x, y), so that ``t.inv(t(x)) is x``; 0 keeps none.

    ValueError for another ``cache_size``.

    >>> import framework as torch
    >>> class Double(Transform):
    ...     domain = codomain = constraints.real
    ...     bijective, sign = True, 1
    ...     def _call(self, x):
    ...         return 2 * x
    ...     def _inverse(self, y):
    ...         return y / 2
    ...     def log_abs_det_jacobian(self, x, y):
    ...         return torch.full_like(x, 2.0).log()
    >>> Double().inv(torch.tensor(3.0))
    tensor(1.5000)
    """

    bijective: Any = False
    domain: Any
    codomain: Any

    def __init__(self, cache_size: int = 0) -> None:
        if cache_size not in (0, 1):
            raise ValueError("cache_size must be 0 or 1")
        self._cache_size = cache_size
        self._inv: Transform | None = None
        self._cached_x_y: tuple[Any, Any] = (None, None)
        super().__init__()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_inv": None}

    @property
    def event_dim(self) -> int:
        """Dimensions of an event, where domain and codomain agree about them."""
        if self.domain.event_dim == self.codomain.event_dim:
            return self.domain.event_dim
        raise ValueError("Please use either .domain.event_dim or .codomain.event_dim")

    @property
    def inv(self) -> Any:
        """The inverse transform; ``t.inv.inv is t``."""
        if self._inv is None:
            self._inv = _InverseTransform(self)
        return self._inv

    @property
    def sign(self) -> Any:
        """Sign of the derivative, of a monotone transform of numbers."""
        raise NotImplementedError(f"{type(self).__name__} does not implement sign")

    def with_cache(self, cache_size: int = 1) -> Any:
        """This transform with another size of cache.

        ValueError for a size that is neither 0 nor 1.

        >>> import framework as torch
        >>> from framework.distributions import ExpTransform
        >>> t, x = ExpTransform().with_cache(), torch.ones(2)
        >>> t.inv(t(x)) is x
        True
        """
        if self._cache_size == cache_size:
            return self
        if type(self).__init__ is Transform.__init__:
            return type(self)(cache_size=cache_size)
        raise NotImplementedError(f"{type(self)}.with_cache is not implemented")

    def __eq__(self, other: object) -> bool:
        return self is other

    def __call__(self, x: Any) -> Any:
        """y = t(x)."""
        if self._cache_size and x is self._cached_x_y[0]:
            return self._cached_x_y[1]
        y = self._call(x)
        if self._cache_size:
            self._cached_x_y = (x, y)
        return y

    def _inv_call(self, y: Any) -> Any:
        if self._cache_size and y is self._cached_x_y[1]:
            return self._cached_x_y[0]
        x = self._inverse(y)
        if self._cache_size:
            self._cached_x_y = (x, y)
        return x

    def _call(self, x: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not implement _call")

    def _inverse(self, y: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not implement _inverse")

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        """log |det dy/dx| for an input and its output.

        NotImplementedError for a transform that is no bijection.

        >>> import framework as torch
        >>> from framework.distributions import AffineTransform
        >>> x = torch.ones(2)
        >>> AffineTransform(0.0, 2.0).log_abs_det_jacobian(x, 2 * x)
        tensor([0.6931, 0.6931])
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement log_abs_det_jacobian")

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}()"

    def forward_shape(self, shape: Any) -> Any:
        """Shape of t(x) for the shape of x.

        ValueError for too few dimensions, where a transform needs some.

        >>> from framework.distributions import StickBreakingTransform
        >>> StickBreakingTransform().forward_shape((5, 3))
        torch.Size([5, 4])
        """
        return shape

    def inverse_shape(self, shape: Any) -> Any:
        """Shape of t.inv(y) for the shape of y.

        ValueError for too few dimensions, where a transform needs some.

        >>> from framework.distributions import StickBreakingTransform
        >>> StickBreakingTransform().inverse_shape((5, 4))
        torch.Size([5, 3])
        """
        return shape


class _InverseTransform(Transform):
    """The inverse of a transform, which does the work."""

    _inv: Transform

    def __init__(self, transform: Transform) -> None:
        super().__init__(cache_size=transform._cache_size)
        self._inv = transform

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__.copy()

    @constraints.dependent_property(is_discrete=False)
    def domain(self) -> Any:
        """The constraint on what it is called with."""
        return self._inv.codomain

    @constraints.dependent_property(is_discrete=False)
    def codomain(self) -> Any:
        """The constraint that what it gives meets."""
        return self._inv.domain

    @property
    def bijective(self) -> bool:
        return self._inv.bijective

    @property
    def sign(self) -> Any:
        return self._inv.sign

    @property
    def inv(self) -> Any:
        return self._inv

    def with_cache(self, cache_size: int = 1) -> Any:
        return self._inv.with_cache(cache_size).inv

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _InverseTransform) and self._inv == other._inv

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self._inv!r})"

    def __call__(self, x: Any) -> Any:
        return self._inv._inv_call(x)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return -self._inv.log_abs_det_jacobian(y, x)

    def forward_shape(self, shape: Any) -> Any:
        return self._inv.inverse_shape(shape)

    def inverse_shape(self, shape: Any) -> Any:
        return self._inv.forward_shape(shape)


class ComposeTransform(Transform):
    """Transforms one after the other; the parts do the caching.

    Shapes and dtypes follow from the parts'. TypeError for parts that are no transforms, when
    called.

    >>> import framework as torch
    >>> from framework.distributions import AffineTransform, ExpTransform
    >>> t = ComposeTransform([AffineTransform(1.0, 2.0), ExpTransform()])
    >>> x = torch.zeros(2)
    >>> t(x), t.log_abs_det_jacobian(x, t(x))
    (tensor([2.7183, 2.7183]), tensor([1.6931, 1.6931]))
    """

    def __init__(self, parts: Sequence[Transform], cache_size: int = 0) -> None:
        super().__init__(cache_size=cache_size)
        self.parts = [p.with_cache(cache_size) for p in parts] if cache_size else parts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ComposeTransform) and self.parts == other.parts

    @constraints.dependent_property(is_discrete=False)
    def domain(self) -> Any:
        """The constraint on what it is called with."""
        if not self.parts:
            return constraints.real
        # From the end: the dimensions that any part needs, as they are before it.
        dims = 0
        for part in reversed(self.parts):
            dims = max(dims, part.codomain.event_dim)
            dims += part.domain.event_dim - part.codomain.event_dim
        return _with_event_dims(self.parts[0].domain, dims)

    @constraints.dependent_property(is_discrete=False)
    def codomain(self) -> Any:
        """The constraint that what it gives meets."""
        if not self.parts:
            return constraints.real
        dims = 0
        for part in self.parts:
            dims = max(dims, part.domain.event_dim)
            dims += part.codomain.event_dim - part.domain.event_dim
        return _with_event_dims(self.parts[-1].codomain, dims)

    @lazy_property
    def bijective(self) -> bool:
        """Whether all parts are."""
        return all(p.bijective for p in self.parts)

    @lazy_property
    def sign(self) -> Any:
        """Product of the parts' signs."""
        sign = 1
        for part in self.parts:
            sign = sign * part.sign
        return sign

    @property
    def inv(self) -> Any:
        if self._inv is None:
            self._inv = ComposeTransform([p.inv for p in reversed(self.parts)])
            self._inv._inv = self
        return self._inv

    def with_cache(self, cache_size: int = 1) -> Any:
        if self._cache_size == cache_size:
            return self
        return ComposeTransform(self.parts, cache_size=cache_size)

    def __call__(self, x: Any) -> Any:
        for part in self.parts:
            x = part(x)
        return x

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        if not self.parts:
            return torch.zeros_like(x)
        total: Any = None
        dims = self.domain.event_dim
        last = len(self.parts) - 1
        for i, part in enumerate(self.parts):
            after = y if i == last else part(x)
            term = part.log_abs_det_jacobian(x, after)
            term = sum_rightmost(term, dims - part.domain.event_dim)
            total = term if total is None else total + term
            dims += part.codomain.event_dim - part.domain.event_dim
            x = after
        return total

    def forward_shape(self, shape: Any) -> Any:
        for part in self.parts:
            shape = part.forward_shape(shape)
        return shape

    def inverse_shape(self, shape: Any) -> Any:
        for part in reversed(self.parts):
            shape = part.inverse_shape(shape)
        return shape

    def __repr__(self) -> str:
        parts = ",\n    ".join(repr(p) for p in self.parts)
        return f"{self.__class__.__name__}(\n    {parts}\n)"


def _with_event_dims(constraint: Any, dims: int) -> Any:
    """``constraint``, for events of at least ``dims`` dimensions."""
    more = dims - constraint.event_dim
    return constraints.independent(constraint, more) if more > 0 else constraint


identity_transform = ComposeTransform([])


class IndependentTransform(Transform):
    """A transform whose rightmost batch dimensions count as dimensions of the event.

    It computes the same; the logarithms of its determinants are summed over those dimensions. Shape
    and float type stay. ValueError for a tensor of fewer dimensions.

    >>> import framework as torch
    >>> from framework.distributions import ExpTransform
    >>> t, x = IndependentTransform(ExpTransform(), 1), torch.tensor([1.0, 2.0])
    >>> t.log_abs_det_jacobian(x, t(x))
    tensor(3.)
    """

    def __init__(
        self, base_transform: Transform, reinterpreted_batch_ndims: int, cache_size: int = 0
    ) -> None:
        super().__init__(cache_size=cache_size)
        self.base_transform = base_transform.with_cache(cache_size)
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims

    def with_cache(self, cache_size: int = 1) -> Any:
        if self._cache_size == cache_size:
            return self
        return IndependentTransform(
            self.base_transform, self.reinterpreted_batch_ndims, cache_size=cache_size
        )

    @constraints.dependent_property(is_discrete=False)
    def domain(self) -> Any:
        """The constraint on what it is called with."""
        base = self.base_transform.domain
        return constraints.independent(base, self.reinterpreted_batch_ndims)

    @constraints.dependent_property(is_discrete=False)
    def codomain(self) -> Any:
        """The constraint that what it gives meets."""
        base = self.base_transform.codomain
        return constraints.independent(base, self.reinterpreted_batch_ndims)

    @property
    def bijective(self) -> bool:
        return self.base_transform.bijective

    @property
    def sign(self) -> Any:
        return self.base_transform.sign

    def _call(self, x: Any) -> Any:
        enough_dimensions(x.shape, self.domain.event_dim)
        return self.base_transform(x)

    def _inverse(self, y: Any) -> Any:
        enough_dimensions(y.shape, self.codomain.event_dim)
        return self.base_transform.inv(y)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        result = self.base_transform.log_abs_det_jacobian(x, y)
        return sum_rightmost(result, self.reinterpreted_batch_ndims)

    def __repr__(self) -> str:
        name = self.__class__.__name__
        return f"{name}({self.base_transform!r}, {self.reinterpreted_batch_ndims})"

    def forward_shape(self, shape: Any) -> Any:
        return self.base_transform.forward_shape(shape)

    def inverse_shape(self, shape: Any) -> Any:
        return self.base_transform.inverse_shape(shape)


def enough_dimensions(shape: Any, dims: int) -> None:
    """Refuse a shape of fewer than ``dims`` dimensions."""
    if len(shape) < dims:
        raise ValueError("Too few dimensions on input")


class ReshapeTransform(Transform):
    """Another shape for the rightmost part of a tensor; the Jacobian's determinant is one.

    (*, in_shape) to (*, out_shape), of any dtype. ValueError for shapes with different numbers of
    elements and, in ``forward_shape``, for one that does not end in ``in_shape``; RuntimeError for
    such a tensor.

    >>> import framework as torch
    >>> ReshapeTransform((2, 3), (6,))(torch.zeros(5, 2, 3)).shape
    torch.Size([5, 6])
    """

    bijective = True

    def __init__(self, in_shape: Any, out_shape: Any, cache_size: int = 0) -> None:
        self.in_shape, self.out_shape = Size(in_shape), Size(out_shape)
        if self.in_shape.numel() != self.out_shape.numel():
            raise ValueError("in_shape, out_shape have different numbers of elements")
        super().__init__(cache_size=cache_size)

    @constraints.dependent_property
    def domain(self) -> Any:
        """The constraint on what it is called with."""
        return constraints.independent(constraints.real, len(self.in_shape))

    @constraints.dependent_property
    def codomain(self) -> Any:
        """The constraint that what it gives meets."""
        return constraints.independent(constraints.real, len(self.out_shape))

    def with_cache(self, cache_size: int = 1) -> Any:
        if self._cache_size == cache_size:
            return self
        return ReshapeTransform(self.in_shape, self.out_shape, cache_size=cache_size)

    def _call(self, x: Any) -> Any:
        return x.reshape(x.shape[: x.dim() - len(self.in_shape)] + self.out_shape)

    def _inverse(self, y: Any) -> Any:
        return y.reshape(y.shape[: y.dim() - len(self.out_shape)] + self.in_shape)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        batch = x.shape[: x.dim() - len(self.in_shape)]
        return x.new_zeros(batch)

    def forward_shape(self, shape: Any) -> Any:
        return self._exchanged(shape, self.in_shape, self.out_shape)

    def inverse_shape(self, shape: Any) -> Any:
        return self._exchanged(shape, self.out_shape, self.in_shape)

    @staticmethod
    def _exchanged(shape: Any, old: Any, new: Any) -> Any:
        enough_dimensions(shape, len(old))
        cut = len(shape) - len(old)
        if shape[cut:] != old:
            raise ValueError(f"Shape mismatch: expected {shape[cut:]} but got {old}")
        return shape[:cut] + new


class _Parts(Transform):
    """Transforms for the parts of a tensor along a dimension."""

    def __init__(self, tseq: Sequence[Transform], dim: int, cache_size: int) -> None:
        if not all(isinstance(t, Transform) for t in tseq):
            raise AssertionError("All elements of tseq must be Transform instances")
        super().__init__(cache_size=cache_size)
        self.transforms = [t.with_cache(cache_size) for t in tseq] if cache_size else list(tseq)
        self.dim = dim

    @property
    def bijective(self) -> bool:
        return all(t.bijective for t in self.transforms)

    def _split(self, value: Tensor) -> list[Tensor]:
        raise NotImplementedError(f"{type(self).__name__} does not implement _split")

    def _join(self, values: list[Tensor]) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not implement _join")

    def _check(self, value: Tensor, name: str, length: int, of: str, called: str) -> None:
        if not -value.dim() <= self.dim < value.dim():
            raise AssertionError(
                f"dim {self.dim} out of range for {called} with {value.dim()} dimensions"
            )
        if value.size(self.dim) != length:
            raise AssertionError(
                f"{name}.size({self.dim}) = {value.size(self.dim)} must equal {of} {length}"
            )

    def _parts(self, value: Tensor, name: str, called: str = "tensor") -> list[Tensor]:
        self._check(value, name, len(self.transforms), "len(transforms)", called)
        return self._split(value)

    def _call(self, x: Any) -> Any:
        return self._join([t(p) for t, p in zip(self.transforms, self._parts(x, "x"))])

    def _inverse(self, y: Any) -> Any:
        return self._join([t.inv(p) for t, p in zip(self.transforms, self._parts(y, "y"))])

    def _terms(self, x: Any, y: Any) -> list[Any]:
        pairs = zip(self.transforms, self._parts(x, "x", "x"), self._parts(y, "y", "y"))
        return [t.log_abs_det_jacobian(p, q) for t, p, q in pairs]


class CatTransform(_Parts):
    """One transform for each piece of a concatenation along ``dim`` with these ``lengths``.

    Shape and float type stay. AssertionError for parts that are no transforms, and for a tensor of
    another size along ``dim``.

    >>> import framework as torch
    >>> from framework.distributions import ExpTransform
    >>> t = CatTransform([ExpTransform(), identity_transform], dim=0, lengths=[1, 2])
    >>> t(torch.zeros(3))
    tensor([1., 0., 0.])
    """

    def __init__(
        self,
        tseq: Sequence[Transform],
        dim: int = 0,
        lengths: Sequence[int] | None = None,
        cache_size: int = 0,
    ) -> None:
        super().__init__(tseq, dim, cache_size)
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.transforms):
            raise AssertionError(
                f"lengths ({len(self.lengths)}) must match transforms ({len(self.transforms)})"
            )

    @lazy_property
    def event_dim(self) -> int:
        """The most dimensions that a part's event has."""
        return max(t.event_dim for t in self.transforms)

    @lazy_property
    def length(self) -> int:
        """Size of the dimension."""
        return sum(self.lengths)

    def with_cache(self, cache_size: int = 1) -> Any:
        if self._cache_size == cache_size:
            return self
        return CatTransform(self.transforms, self.dim, self.lengths, cache_size)

    def _parts(self, value: Tensor, name: str, called: str = "tensor") -> list[Tensor]:
        self._check(value, name, self.length, "length", called)
        return list(value.split(self.lengths, self.dim))

    def _join(self, values: list[Tensor]) -> Tensor:
        return torch.cat(values, self.dim)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        terms = [
            sum_rightmost(term, self.event_dim - t.event_dim)
            for t, term in zip(self.transforms, self._terms(x, y))
        ]
        dim = (self.dim - x.dim() if self.dim >= 0 else self.dim) + self.event_dim
        return torch.cat(terms, dim=dim) if dim < 0 else sum(terms)

    @constraints.dependent_property
    def domain(self) -> Any:
        """The constraint on what it is called with."""
        return constraints.cat([t.domain for t in self.transforms], self.dim, self.lengths)

    @constraints.dependent_property
    def codomain(self) -> Any:
        """The constraint that what it gives meets."""
        return constraints.cat([t.codomain for t in self.transforms], self.dim, self.lengths)


class StackTransform(_Parts):
    """One transform for each slice of a stack along ``dim``.

    Shape and float type stay. AssertionError for parts that are no transforms, and for a tensor of
    another size along ``dim``.

    >>> import framework as torch
    >>> from framework.distributions import ExpTransform
    >>> StackTransform([ExpTransform(), identity_transform], dim=1)(torch.zeros(2, 2))
    tensor([[1., 0.],
            [1., 0.]])
    """

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(tseq, dim, cache_size)

    def with_cache(self, cache_size: int = 1) -> Any:
        if self._cache_size == cache_size:
            return self
        return StackTransform(self.transforms, self.dim, cache_size)

    def _split(self, value: Tensor) -> list[Tensor]:
        return list(value.unbind(self.dim))

    def _join(self, values: list[Tensor]) -> Tensor:
        return torch.stack(values, self.dim)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return self._join(self._terms(x, y))

    @constraints.dependent_property
    def domain(self) -> Any:
        """The constraint on what it is called with."""
        return constraints.stack([t.domain for t in self.transforms], self.dim)

    @constraints.dependent_property
    def codomain(self) -> Any:
        """The constraint that what it gives meets."""
        return constraints.stack([t.codomain for t in self.transforms], self.dim)
