"""What goes around a model: data loading."""

from __future__ import annotations

from framework.utils import _pytree, checkpoint, data

__all__ = ["_pytree", "checkpoint", "data"]
