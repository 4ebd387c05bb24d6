"""Linear algebra under PyTorch's names: ``framework.linalg.inv`` and the rest of its family."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from framework.core.registry import published
from framework.kernels import LinAlgError

__all__ = ["LinAlgError", *published("linalg")]

globals().update(published("linalg"))

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
