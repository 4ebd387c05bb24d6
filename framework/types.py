"""`types`: names for annotations.

>>> import framework as torch
>>> def place(x: torch.Tensor, device: torch.types.Device) -> torch.Tensor:
...     return x.to(device)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO, TypeAlias

from framework.device import device as _device
from framework.dtypes import dtype as _dtype
from framework.layout import layout as _layout
from framework.storage import TypedStorage, UntypedStorage
from framework.tensor import Size, Tensor

__all__ = [
    "Device", "FileLike", "Number", "Storage", "_device", "_dtype", "_layout", "_size",
]  # fmt: skip

_size: TypeAlias = Size | list[int] | tuple[int, ...]
_TensorOrTensors: TypeAlias = Tensor | Sequence[Tensor]

Number: TypeAlias = int | float | bool
Device: TypeAlias = _device | str | int | None
FileLike: TypeAlias = str | os.PathLike[str] | IO[bytes]
Storage: TypeAlias = UntypedStorage | TypedStorage
