"""`Parameter` and `Buffer`: tensors that a module registers when they are assigned to it."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework import dtypes
from framework.tensor import Tensor, wrap

__all__ = ["Buffer", "Parameter"]


class Parameter(Tensor):
    """A tensor that is one of its module's ``parameters()`` and wants a gradient.

    It shares the memory of ``data`` and is a leaf.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Parameter(torch.zeros(2))
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    """

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        if data is None:
            data = wrap(np.zeros(0, dtypes.get_default_dtype().numpy))
        if not isinstance(data, Tensor):
            raise TypeError(
                f"Parameter expects a Tensor, but got {type(data).__name__}: use torch.tensor first"
            )
        if requires_grad and data.dtype.category < dtypes.FLOAT:
            raise RuntimeError(
                "Only Tensors of floating point and complex dtype can require gradients"
            )
        self._data = data._data
        self._device = data._device
        self._rg = bool(requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        made = Parameter(wrap(self._data.copy(), self._device), self._rg)
        made.__class__ = self.__class__
        memo[id(self)] = made
        return made

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A tensor that becomes a buffer of the module that it is assigned to.

    Args:
        persistent: part of the module's ``state_dict``.
    """

    persistent: bool = True

    def __init__(self, data: Tensor | None = None, *, persistent: bool = True) -> None:
        if data is None:
            data = wrap(np.zeros(0, dtypes.get_default_dtype().numpy))
        self._data = data._data
        self._device = data._device
        self._rg = data._rg
        self.persistent = persistent
