"""`__array_namespace_info__`: what this namespace can do."""

from __future__ import annotations

from typing import Any

from framework import dtypes
from framework.array_api.data_types import KINDS, STANDARD
from framework.device import CPU, default, device, device_count

__all__ = ["__array_namespace_info__"]


def _types(*, device: Any = None, kind: Any = None) -> dict[str, dtypes.dtype]:
    """The standard's types by name, those of a kind or of some kinds if such are given.

    Raises:
        ValueError: there is no such kind.

    >>> import framework.array_api as xp
    >>> xp.__array_namespace_info__().dtypes(kind=("bool", "real floating"))
    {'bool': torch.bool, 'float32': torch.float32, 'float64': torch.float64}
    """
    if kind is None:
        kind = ("bool", "numeric")
    kinds = kind if isinstance(kind, tuple) else (kind,)
    for k in kinds:
        if k not in KINDS:
            raise ValueError(f"dtypes: expected one of {', '.join(KINDS)} as kind, but got {k!r}")
    return {name: STANDARD[name] for k in kinds for name in KINDS[k]}


class __array_namespace_info__:
    """Capabilities, devices and types of this namespace.

    >>> import framework.array_api as xp
    >>> xp.__array_namespace_info__().default_dtypes()["real floating"]
    torch.float32
    """

    @staticmethod
    def capabilities() -> dict[str, Any]:
        """Features that the standard leaves open."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    @staticmethod
    def default_device() -> device:
        """Where arrays are made if nothing else is said."""
        return default.device

    @staticmethod
    def default_dtypes(*, device: Any = None) -> dict[str, dtypes.dtype]:
        """Types that arrays are made in if nothing else is said; `set_default_dtype` sets them."""
        real = dtypes.get_default_dtype()
        return {
            "real floating": real,
            "complex floating": real.to_complex(),
            "integral": dtypes.int64,
            "indexing": dtypes.int64,
        }

    dtypes = staticmethod(_types)

    @staticmethod
    def devices() -> tuple[device, ...]:
        """The devices that there are."""
        return CPU, *[device("cuda", i) for i in range(device_count())]
