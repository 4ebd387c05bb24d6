"""What copies and pickles of a tensor keep: attributes that a program has set, shared memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework import dtypes
from framework.device import CPU, META, device
from framework.kernels import to_device, to_host, waits
from framework.kernels.strided import memory_of, reach, strided, strides_of

__all__ = [
    "OWN_ATTRIBUTES",
    "attributes_of",
    "blank",
    "deep_copy_of",
    "for_numpy",
    "rebuilt",
    "reduced",
]

# What a tensor has in its ``__dict__`` that is ours, not the user's.
OWN_ATTRIBUTES = frozenset(
    "_chain _at _offset _restricted _front _hooks _post_hooks _grad_metadata _loss".split()
)


def attributes_of(tensor: Any) -> dict[str, Any]:
    """The attributes that a program has set on a tensor; copies keep them."""
    return {k: v for k, v in tensor.__dict__.items() if k not in OWN_ATTRIBUTES}


def deep_copy_of(tensor: Any, memo: dict[Any, Any]) -> tuple[Any, int]:
    """A copy of a tensor's array, and its offset in its memory, for `copy.deepcopy`.

    Arrays that shared memory do so afterwards: all of it is copied once, as PyTorch's storages are.
    """
    data = root = tensor._data
    while isinstance(root, np.ndarray) and isinstance(root.base, np.ndarray):
        root = root.base
    if root is data or not root.flags.owndata:
        if id(data) not in memo:
            memo[id(data)] = data.copy(order="K") if isinstance(data, np.ndarray) else data.copy()
        return memo[id(data)], 0
    if id(root) not in memo:
        memo[id(root)] = root.copy(order="K")
    start = data.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    memory = memory_of(memo[id(root)])
    if not data.size:
        return np.ndarray(data.shape, data.dtype, memory, 0), 0
    found = np.ndarray(data.shape, data.dtype, memory, start, data.strides)
    return found, start // data.itemsize


def for_numpy(data: np.ndarray) -> np.ndarray:
    """Refuse types that NumPy does not have itself."""
    if data.dtype.kind == "V":
        raise TypeError("Got unsupported ScalarType BFloat16")
    return data


# -- pickles -----------------------------------------------------------------------------------

_new = object.__new__


def blank(kind: Any) -> Any:
    """A tensor of this class that still lacks its array and device, whatever ``__new__`` it has."""
    made = _new(kind)
    made._rg = False
    made._edge = made._counter = made._base = made._grad = None
    made._id = 0
    return made


def reduced(tensor: Any) -> Any:
    """What `Tensor.__reduce__` returns."""
    made: tuple[Any, ...]
    where = str(tensor._device)
    if waits.mode:
        waits.waited(tensor._device)
    if tensor._device is META or tensor.is_sparse:
        made = (type(tensor), tensor._data, tensor.dtype.name, where, tensor._rg)
    else:
        data = tensor._data if isinstance(tensor._data, np.ndarray) else to_host(tensor._data)
        shape, strides = data.shape, strides_of(data)
        if not data.flags.c_contiguous and data.size and min(strides) >= 0:
            # The part of its memory that it needs, as `save` stores it: strides are kept.
            data = strided(data, (reach(shape, strides),), (1,))
        if data.dtype.kind == "V":  # ml_dtypes: their bits
            data = data.view(np.uint16)
        made = (type(tensor), data, tensor.dtype.name, where, tensor._rg, (shape, strides))
    return rebuilt, made, attributes_of(tensor) or None


def rebuilt(
    kind: Any, data: np.ndarray, name: str, where: str, requires_grad: bool, place: Any = None
) -> Any:
    """The tensor of a pickle."""
    wanted = next(d for d in dtypes.ALL if d.name == name)
    array = data if data.dtype == wanted.numpy else data.view(wanted.numpy)
    if place is not None and (array.shape, strides_of(array)) != place:
        array = strided(array, *place)
    target = device(where)
    made = blank(kind)
    made._data = array if target in (CPU, META) else to_device(array, target)
    made._device = target
    made._rg = requires_grad
    return made
