"""Special functions under PyTorch's names: ``framework.special.erfcx`` and the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from framework.core.registry import published

__all__ = [*published("special")]

globals().update(published("special"))

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
