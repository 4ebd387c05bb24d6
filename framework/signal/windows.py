"""Window functions: ``framework.signal.windows.hann`` and the rest of its family."""

from __future__ import annotations

from framework.core.registry import published

__all__ = list(published("signal.windows"))

globals().update(published("signal.windows"))
