"""What programs import from PyTorch's ``torch._utils``: tensors laid end to end, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from framework.ops.joining import cat
from framework.tensor import Tensor

__all__: list[str] = []


def _flatten_dense_tensors(tensors: Iterable[Tensor]) -> Tensor:
    """All elements of the tensors, one after the other.

    >>> import framework as torch
    >>> from framework._utils import _flatten_dense_tensors, _unflatten_dense_tensors
    >>> x, y = torch.zeros(2), torch.ones(1, 2)
    >>> flat = _flatten_dense_tensors([x, y])
    >>> flat, [tuple(t.shape) for t in _unflatten_dense_tensors(flat, [x, y])]
    (tensor([0., 0., 1., 1.]), [(2,), (1, 2)])
    """
    return cat([t.reshape(-1) for t in tensors])


def _unflatten_dense_tensors(flat: Tensor, tensors: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """The parts of a flat tensor as views in the shapes of ``tensors``."""
    found, at = [], 0
    for t in tensors:
        found.append(flat[at : at + t.numel()].view(t.shape))
        at += t.numel()
    return tuple(found)


def _get_device_index(device: Any, optional: bool = False, allow_cpu: bool = False) -> int:
    """The number of a device, which may be given by number, name or device."""
    if isinstance(device, int):
        return device
    from framework.device import device as kind

    found = kind(device) if device is not None else kind("cpu" if allow_cpu else "cuda")
    return -1 if found.index is None else found.index
