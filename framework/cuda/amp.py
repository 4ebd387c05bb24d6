"""The older names of `framework.amp`, for CUDA devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framework import amp, dtypes
from framework.amp._older import OlderGradScaler, deprecated
from framework.cautions import caution
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


def custom_fwd(fwd: Any = None, *, cast_inputs: Any = None) -> Callable[..., Any]:
    """`amp.custom_fwd` for "cuda"; deprecated.

    It never raises.

    >>> import framework as torch
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     decorator = torch.cuda.amp.custom_fwd(cast_inputs=torch.float32)
    >>> decorator(lambda ctx, x: x).__name__
    '<lambda>'
    """
    _deprecated("custom_fwd")
    return amp.custom_fwd(fwd, device_type="cuda", cast_inputs=cast_inputs)


def custom_bwd(bwd: Callable[..., Any]) -> Callable[..., Any]:
    """`amp.custom_bwd` for "cuda"; deprecated.

    It never raises.

    >>> import framework as torch
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     torch.cuda.amp.custom_bwd(lambda ctx, g: g).__name__
    '<lambda>'
    """
    _deprecated("custom_bwd")
    return amp.custom_bwd(bwd, device_type="cuda")


def _deprecated(name: str) -> None:
    caution(
        f"`torch.cuda.amp.{name}(args...)` is deprecated. Please use `torch.amp.{name}(args..., "
        "device_type='cuda')` instead.",
        FutureWarning,
    )
