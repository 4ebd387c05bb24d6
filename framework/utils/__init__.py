"""What goes around a model: data loading, exchange of memory."""

from __future__ import annotations

from framework.utils import _pytree, checkpoint, data, dlpack

__all__ = ["_pytree", "checkpoint", "data", "dlpack"]
