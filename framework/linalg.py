"""Linear algebra under PyTorch's names: ``framework.linalg.inv`` and the rest of its family."""

from __future__ import annotations

from framework.core.registry import lazily
from framework.kernels import LinAlgError

__all__, __getattr__, __dir__ = lazily(globals(), "linalg")
__all__ += ["LinAlgError"]
