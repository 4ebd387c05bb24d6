"""The older names of `framework.amp`, for the CPU: ``torch.cpu.amp``."""

from __future__ import annotations

from typing import Any

from framework import amp, dtypes
from framework.amp._older import OlderGradScaler, deprecated

__all__ = ["GradScaler", "autocast"]


class autocast(amp.autocast):
    """`amp.autocast` for "cpu", to bfloat16 unless told otherwise; deprecated.

    Shapes, dtypes and errors (RuntimeError, ValueError) as of `amp.autocast`.

    >>> import framework as torch
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     context = torch.cpu.amp.autocast()
    >>> with context:
    ...     torch.get_autocast_dtype("cpu")
    torch.bfloat16
    """

    def __init__(
        self, enabled: bool = True, dtype: Any = dtypes.bfloat16, cache_enabled: bool = True
    ) -> None:
        deprecated("cpu", "autocast")
        super().__init__("cpu", enabled=enabled, dtype=dtype, cache_enabled=cache_enabled)


class GradScaler(OlderGradScaler):
    """`amp.GradScaler` for "cpu"; deprecated.

    Shapes, dtypes and errors (AssertionError, RuntimeError) as of `amp.GradScaler`.

    >>> import framework as torch
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     torch.cpu.amp.GradScaler().get_scale()
    65536.0
    """

    _kind = "cpu"
