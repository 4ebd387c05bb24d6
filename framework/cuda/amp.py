"""The older names of `framework.amp`, for CUDA devices."""

from __future__ import annotations

import functools
from typing import Any

from framework import amp, dtypes
from framework.amp._older import OlderGradScaler, deprecated
from framework.device import cuda_problem

__all__ = ["GradScaler", "amp_definitely_not_available", "autocast", "custom_bwd", "custom_fwd"]


def amp_definitely_not_available() -> bool:
    """Whether there is no CUDA device to use it on.

    >>> import framework as torch
    >>> torch.cuda.amp.amp_definitely_not_available()
    False
    """
    return bool(cuda_problem())


class autocast(amp.autocast):
    """`amp.autocast` for "cuda", to float16 unless told otherwise; deprecated.

    >>> import framework as torch
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     context = torch.cuda.amp.autocast()
    >>> with context:
    ...     torch.get_autocast_dtype("cuda")
    torch.float16
    """

    def __init__(
        self, enabled: bool = True, dtype: Any = dtypes.float16, cache_enabled: bool = True
    ) -> None:
        deprecated("cuda", "autocast")
        super().__init__("cuda", enabled=enabled, dtype=dtype, cache_enabled=cache_enabled)


class GradScaler(OlderGradScaler):
    """`amp.GradScaler` for "cuda"; deprecated.

    >>> import framework as torch
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     torch.cuda.amp.GradScaler().get_scale()
    65536.0
    """

    _kind = "cuda"


custom_fwd = functools.partial(amp.custom_fwd, device_type="cuda")
custom_fwd.__doc__ = 'Alias of `amp.custom_fwd` with ``device_type="cuda"``.'
custom_bwd = functools.partial(amp.custom_bwd, device_type="cuda")
custom_bwd.__doc__ = 'Alias of `amp.custom_bwd` with ``device_type="cuda"``.'
