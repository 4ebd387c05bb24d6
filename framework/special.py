"""Special functions under PyTorch's names: ``framework.special.erfcx`` and the rest."""

from __future__ import annotations

from framework.core.registry import published

__all__ = [*published("special")]

globals().update(published("special"))
