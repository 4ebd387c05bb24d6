"""Functions of sparse tensors under PyTorch's names: ``framework.sparse.mm`` and its family."""

from __future__ import annotations

from framework.core.registry import published

__all__ = list(published("sparse"))

globals().update(published("sparse"))
