"""What copies of a tensor keep: the attributes that a program has set, and shared memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.kernels.strided import memory_of

__all__ = ["OWN_ATTRIBUTES", "attributes_of", "deep_copy_of"]

# What a tensor has in its ``__dict__`` that is ours, not the user's.
OWN_ATTRIBUTES = frozenset(
    "_chain _at _offset _restricted _front _hooks _post_hooks _grad_metadata".split()
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
