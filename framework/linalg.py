"""Linear algebra under PyTorch's names: ``framework.linalg.inv`` and the rest of its family."""

from __future__ import annotations

from framework.core.registry import published
from framework.kernels import LinAlgError

__all__ = ["LinAlgError", *published("linalg")]

globals().update(published("linalg"))
