"""What goes around a model: data loading."""

from __future__ import annotations

from framework.utils import data

__all__ = ["data"]
