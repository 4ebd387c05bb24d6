"""Layers that change the shape only."""

from __future__ import annotations

from typing import Any

from framework.nn.modules.module import Module

__all__ = ["Flatten", "Unflatten"]


class Flatten(Module):
    """Join the dimensions ``start_dim`` to ``end_dim``: by default all but the batch.

    (N, *) to (N, product of *). IndexError for a dimension out of range, RuntimeError if
    ``start_dim`` comes after ``end_dim``. Dtypes: all dtypes.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Flatten()(torch.zeros(2, 3, 4)).shape
    torch.Size([2, 12])
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Any) -> Any:
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Split dimension ``dim`` into several of the sizes ``unflattened_size``.

    (*, n, *) to (*, n1, n2, *): the inverse of `Flatten`. One of the sizes may be -1. TypeError
    unless they are a tuple or list of ints; RuntimeError in a call if they do not multiply up to
    the dimension's size. IndexError for a dimension out of range. Dtypes: all dtypes.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Unflatten(1, (2, -1))(torch.zeros(5, 6)).shape
    torch.Size([5, 2, 3])
    """

    def __init__(self, dim: int, unflattened_size: Any) -> None:
        super().__init__()
        if not isinstance(unflattened_size, (tuple, list)):
            raise TypeError(
                "unflattened_size must be a tuple of ints, but found type "
                f"{type(unflattened_size).__name__}"
            )
        for at, n in enumerate(unflattened_size):
            if not isinstance(n, int):
                raise TypeError(
                    f"unflattened_size must be tuple of ints, but found element of type "
                    f"{type(n).__name__} at pos {at}"
                )
        self.dim = dim
        self.unflattened_size = unflattened_size

    def forward(self, input: Any) -> Any:
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
