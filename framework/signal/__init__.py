"""Signal processing under PyTorch's names: `windows`."""

from __future__ import annotations

from framework.signal import windows

__all__ = ["windows"]
