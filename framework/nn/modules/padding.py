"""Padding layers."""

from __future__ import annotations

from typing import Any

from framework.nn import functional as F
from framework.nn.modules.module import Module

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d",
    "ConstantPad3d", "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d",
    "ReplicationPad2d", "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


class _PadNd(Module):
    """``padding``: one number for all sides, or (left, right, top, bottom, ...)."""

    _dims = 0
    _kind = ""

    def __init__(self, padding: Any) -> None:
        super().__init__()
        both = 2 * self._dims
        self.padding = (padding,) * both if isinstance(padding, int) else tuple(padding)

    def forward(self, input: Any) -> Any:
        return F.pad(input, self.padding, self._kind)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_PadNd):
    _kind = "constant"

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Any) -> Any:
        return F.pad(input, self.padding, self._kind, self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """``value`` around the last dimension."""

    _dims = 1


class ConstantPad2d(_ConstantPad):
    """``value`` around the last two dimensions."""

    _dims = 2


class ConstantPad3d(_ConstantPad):
    """``value`` around the last three dimensions."""

    _dims = 3


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPad):
    """Zeros around the last dimension."""

    _dims = 1


class ZeroPad2d(_ZeroPad):
    """Zeros around the last two dimensions."""

    _dims = 2


class ZeroPad3d(_ZeroPad):
    """Zeros around the last three dimensions."""

    _dims = 3


class ReflectionPad1d(_PadNd):
    """The mirror image around the last dimension."""

    _dims, _kind = 1, "reflect"


class ReflectionPad2d(_PadNd):
    """The mirror image around the last two dimensions."""

    _dims, _kind = 2, "reflect"


class ReflectionPad3d(_PadNd):
    """The mirror image around the last three dimensions."""

    _dims, _kind = 3, "reflect"


class ReplicationPad1d(_PadNd):
    """The border's elements around the last dimension."""

    _dims, _kind = 1, "replicate"


class ReplicationPad2d(_PadNd):
    """The border's elements around the last two dimensions."""

    _dims, _kind = 2, "replicate"


class ReplicationPad3d(_PadNd):
    """The border's elements around the last three dimensions."""

    _dims, _kind = 3, "replicate"


class _CircularPad(_PadNd):
    _kind = "circular"

    def forward(self, input: Any) -> Any:
        if input.ndim not in (self._dims + 1, self._dims + 2):
            raise ValueError(
                f"expected {self._dims + 1}D or {self._dims + 2}D input (got {input.ndim}D input)"
            )
        return super().forward(input)


class CircularPad1d(_CircularPad):
    """The other side's elements around the last dimension."""

    _dims = 1


class CircularPad2d(_CircularPad):
    """The other side's elements around the last two dimensions."""

    _dims = 2


class CircularPad3d(_CircularPad):
    """The other side's elements around the last three dimensions."""

    _dims = 3
