"""What may be read from and written to a tensor's ``.grad``."""

from __future__ import annotations

from typing import Any

from framework.cautions import caution
from framework.core import dispatch

__all__ = ["check_grad", "warn_of_no_grad"]


def warn_of_no_grad(tensor: Any) -> None:
    """Say that the result of an op gets no gradient, unless it shall."""
    if not tensor.requires_grad or tensor.is_leaf or tensor.retains_grad:
        return
    caution(
        "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad "
        "attribute won't be populated during autograd.backward(). If you indeed want the .grad "
        "field to be populated for a non-leaf Tensor, use .retain_grad() on the non-leaf Tensor. "
        "If you access the non-leaf Tensor by mistake, make sure you access the leaf Tensor "
        "instead. See github.com/pytorch/pytorch/pull/30531 for more information.",
    )


def check_grad(tensor: Any, value: Any) -> None:
    """Refuse what cannot be the gradient of a tensor."""
    if not isinstance(value, dispatch.Tensor):
        raise TypeError(
            "assigned grad expected to be a Tensor or None but got grad of type "
            f"{type(value).__name__}"
        )
    if value is tensor:
        raise RuntimeError("can't assign Variable as its own grad")
    mine, other = tensor._data, value._data
    if mine.dtype != other.dtype:
        raise RuntimeError(
            f"attempting to assign a gradient with dtype '{value.dtype}' to a tensor with dtype "
            f"'{tensor.dtype}'. Please ensure that the gradient and the tensor have the same dtype"
        )
    if value._device is not tensor._device:
        raise RuntimeError(
            f"attempting to assign a gradient with device type '{value.device.type}' to a tensor "
            f"with device type '{tensor.device.type}'. Please ensure that the gradient and the "
            "tensor are on the same device"
        )
    if mine.shape != other.shape:
        raise RuntimeError(
            f"attempting to assign a gradient of size '{list(value.shape)}' to a tensor of size "
            f"'{list(tensor.shape)}'. Please ensure that the gradient and the tensor are the same "
            "size"
        )
