"""Window functions: ``framework.signal.windows.hann`` and the rest of its family."""

from __future__ import annotations

from framework.core.registry import lazily

__all__, __getattr__, __dir__ = lazily(globals(), "signal.windows")
