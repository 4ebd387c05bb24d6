"""Functions of sparse tensors under PyTorch's names: ``framework.sparse.mm`` and its family."""

from __future__ import annotations

from framework.core.registry import lazily

__all__, __getattr__, __dir__ = lazily(globals(), "sparse")
