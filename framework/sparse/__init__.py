"""Functions of sparse tensors under PyTorch's names: ``framework.sparse.mm`` and its family."""

from __future__ import annotations

from framework.core.registry import lazily
from framework.legacy import SPARSE_TYPES

globals().update(SPARSE_TYPES)
__all__, __getattr__, __dir__ = lazily(globals(), "sparse")
__all__ += [*SPARSE_TYPES]
