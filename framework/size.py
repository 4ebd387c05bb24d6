"""`Size`: the shape of a tensor."""

from __future__ import annotations

import operator
from typing import Any

__all__ = ["Size", "in_dim", "steps_as_in_pytorch"]

_new_tuple = tuple.__new__


class Size(tuple[int, ...]):
    """A shape: a tuple of ints that prints as PyTorch's; slices and sums of it are sizes too.

    TypeError for what is no integer.

    >>> import framework as torch
    >>> torch.Size([2, 3]), torch.Size([2, 3]).numel(), torch.zeros(2, 3).shape[1:]
    (torch.Size([2, 3]), 6, torch.Size([3]))
    """

    def __new__(cls, sizes: Any = ()) -> Size:
        try:
            return _new_tuple(cls, [operator.index(n) for n in sizes])
        except TypeError:
            wrong = next(i for i, n in enumerate(sizes) if not hasattr(n, "__index__"))
            raise TypeError(
                "torch.Size() takes an iterable of 'int' "
                f"(item {wrong} is '{type(sizes[wrong]).__name__}')"
            ) from None

    def numel(self) -> int:
        """Number of elements."""
        n = 1
        for d in self:
            n *= d
        return n

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return Size(found) if isinstance(index, slice) else found

    def __add__(self, other: Any) -> Size:
        return Size(super().__add__(tuple(other)))

    def __radd__(self, other: Any) -> Size:
        return Size((*other, *self))

    def __mul__(self, times: Any) -> Size:
        return Size(super().__mul__(times))

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"torch.Size({list(self)})"


def steps_as_in_pytorch(shape: tuple[int, ...], steps: tuple[int, ...]) -> tuple[int, ...]:
    """Strides where NumPy has zeros for dimensions that nothing is skipped in: of length 1 or 0."""
    found: list[int] = []
    nothing, last = 0 in shape, 1
    for n, step in zip(reversed(shape), reversed(steps)):
        if step == 0 and (n == 1 or nothing):
            step = found[-1] * max(last, 1) if found else 1
        found.append(step)
        last = n
    return tuple(reversed(found))


def in_dim(values: tuple[int, ...], dim: int) -> int:
    """The entry of a dimension, in PyTorch's words where there is none."""
    try:
        return values[dim]
    except IndexError:
        ndim = len(values)
    if not ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    raise IndexError(
        f"Dimension out of range (expected to be in range of [{-ndim}, {ndim - 1}], but got {dim})"
    )
