"""What `framework.cpu.amp` and `framework.cuda.amp` share: older names that say their device."""

from __future__ import annotations

import warnings

from framework import amp

__all__ = ["OlderGradScaler", "deprecated"]


def deprecated(device: str, name: str) -> None:
    """Warn of an older name where the caller's caller has used it."""
    warnings.warn(
        f"`torch.{device}.amp.{name}(args...)` is deprecated. Please use `torch.amp.{name}("
        f"'{device}', args...)` instead.",
        FutureWarning,
        stacklevel=3,
    )


class OlderGradScaler(amp.GradScaler):
    """`amp.GradScaler` for the device of the class."""

    _kind = ""

    def __init__(
        self,
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        deprecated(self._kind, "GradScaler")
        super().__init__(
            self._kind, init_scale, growth_factor, backoff_factor, growth_interval, enabled
        )
