"""What parameters are asked for by loaders and by mixed precision: `grad_dtype`, `module_load`."""

from __future__ import annotations

from typing import Any

from framework import dtypes
from framework.tensor import Tensor

__all__ = ["module_load"]


def _grad_dtype(self: Tensor) -> Any:
    """The dtype of ``.grad``, that of the tensor.

    RuntimeError for a tensor that an op has made; NotImplementedError for setting another dtype.

    >>> import framework as torch
    >>> torch.ones(1, requires_grad=True).grad_dtype
    torch.float32
    """
    if not self.is_leaf:
        raise RuntimeError("grad_dtype can only be accessed on leaf tensors.")
    return self.dtype


def _set_grad_dtype(self: Tensor, value: Any) -> None:
    if value is not None and not isinstance(value, dtypes.dtype):
        raise RuntimeError(
            f"grad_dtype must be a torch.dtype or None, but got {type(value).__name__}"
        )
    if value is not _grad_dtype(self):
        raise NotImplementedError(
            f"grad_dtype: a gradient has its tensor's dtype, {self.dtype}; got {value}"
        )


def module_load(self: Tensor, other: Tensor, assign: bool = False) -> Tensor:
    """What a parameter or buffer becomes when ``other`` is loaded into it, without history.

    Args:
        assign: ``other`` takes its place; otherwise its values are written here.

    Of any dtype, which is kept without ``assign``. RuntimeError for another shape.

    >>> import framework as torch
    >>> torch.zeros(2).module_load(torch.ones(2))
    tensor([1., 1.])
    """
    return other.detach() if assign else self.copy_(other).detach()


for _name, _value in {
    "grad_dtype": property(_grad_dtype, _set_grad_dtype, doc=_grad_dtype.__doc__),
    "module_load": module_load,
}.items():
    setattr(Tensor, _name, _value)
