"""Settings of PyTorch's unpickler, which `framework.serialization` has for programs that set them.

Nothing that is read runs code, so that they change nothing.
"""

from __future__ import annotations

import contextlib
import enum
import mmap as mmap_flags
from collections.abc import Iterator
from typing import Any

__all__ = [
    "LoadEndianness", "SourceChangeWarning", "add_safe_globals", "clear_safe_globals",
    "get_crc32_options", "get_default_load_endianness", "get_default_mmap_options",
    "get_safe_globals", "safe_globals", "set_crc32_options", "set_default_load_endianness",
    "set_default_mmap_options",
]  # fmt: skip


class SourceChangeWarning(Warning):
    """Never given: no source is in a file.

    >>> import framework as torch
    >>> issubclass(torch.serialization.SourceChangeWarning, Warning)
    True
    """


class LoadEndianness(enum.Enum):
    """The order of bytes to assume for a checkpoint that does not tell.

    >>> import framework as torch
    >>> [order.name for order in torch.serialization.LoadEndianness]
    ['NATIVE', 'LITTLE', 'BIG']
    """

    NATIVE = 1
    LITTLE = 2
    BIG = 3


_safe: list[Any] = []
_settings: dict[str, Any] = {"endianness": None, "mmap": mmap_flags.MAP_PRIVATE, "crc32": True}


def add_safe_globals(safe_globals: list[Any]) -> None:
    """Remember classes and functions; a file can have none of them made or called all the same.

    TypeError for what is no list.

    >>> import framework as torch
    >>> torch.serialization.add_safe_globals([complex])
    >>> torch.serialization.get_safe_globals()
    [<class 'complex'>]
    >>> torch.serialization.clear_safe_globals()
    """
    _safe.extend(item for item in safe_globals if item not in _safe)


def get_safe_globals() -> list[Any]:
    """What `add_safe_globals` was given.

    >>> from framework.serialization import get_safe_globals, safe_globals
    >>> with safe_globals([int]):
    ...     get_safe_globals()
    [<class 'int'>]
    >>> get_safe_globals()
    []
    """
    return list(_safe)


def clear_safe_globals() -> None:
    """Forget what `add_safe_globals` was given.

    >>> import framework as torch
    >>> torch.serialization.clear_safe_globals()
    >>> torch.serialization.get_safe_globals()
    []
    """
    _safe.clear()


@contextlib.contextmanager
def safe_globals(safe_globals: list[Any]) -> Iterator[None]:
    """`add_safe_globals` for the time of a ``with`` block.

    TypeError for what is no list.

    >>> import framework as torch
    >>> with torch.serialization.safe_globals([complex]):
    ...     torch.serialization.get_safe_globals()
    [<class 'complex'>]
    """
    before = list(_safe)
    add_safe_globals(safe_globals)
    try:
        yield
    finally:
        _safe[:] = before


def get_default_load_endianness() -> LoadEndianness | None:
    """What `set_default_load_endianness` set; None before.

    >>> import framework as torch
    >>> torch.serialization.get_default_load_endianness()
    """
    return _settings["endianness"]


def set_default_load_endianness(endianness: LoadEndianness | None) -> None:
    """Accepted; checkpoints that do not tell are little-endian.

    TypeError for what is no `LoadEndianness` and not None.

    >>> import framework as torch
    >>> torch.serialization.set_default_load_endianness(torch.serialization.LoadEndianness.LITTLE)
    >>> torch.serialization.get_default_load_endianness()
    <LoadEndianness.LITTLE: 2>

    >>> torch.serialization.set_default_load_endianness(None)
    """
    if endianness is not None and not isinstance(endianness, LoadEndianness):
        raise TypeError("Invalid argument type in function set_default_load_endianness")
    _settings["endianness"] = endianness


def get_default_mmap_options() -> int:
    """What `set_default_mmap_options` set.

    >>> import framework as torch
    >>> torch.serialization.get_default_mmap_options()
    2
    """
    return _settings["mmap"]


def set_default_mmap_options(flags: int) -> None:
    """Accepted; files are read, not mapped.

    ValueError for anything but ``mmap.MAP_PRIVATE`` and ``mmap.MAP_SHARED``.

    >>> import mmap
    >>> import framework as torch
    >>> torch.serialization.set_default_mmap_options(mmap.MAP_PRIVATE)
    >>> torch.serialization.get_default_mmap_options() == mmap.MAP_PRIVATE
    True
    """
    if flags not in (mmap_flags.MAP_PRIVATE, mmap_flags.MAP_SHARED):
        raise ValueError(
            "Invalid argument in function set_default_mmap_options, expected mmap.MAP_PRIVATE or "
            f"mmap.MAP_SHARED, but got {flags}"
        )
    _settings["mmap"] = flags


def get_crc32_options() -> bool:
    """What `set_crc32_options` set; True before.

    >>> import framework as torch
    >>> torch.serialization.get_crc32_options()
    True
    """
    return _settings["crc32"]


def set_crc32_options(compute_crc32: bool) -> None:
    """Accepted; files have no such sums.

    It never raises.

    >>> import framework as torch
    >>> torch.serialization.set_crc32_options(False)
    >>> torch.serialization.get_crc32_options()
    False
    >>> torch.serialization.set_crc32_options(True)
    """
    _settings["crc32"] = compute_crc32
