"""`fill_uninitialized_memory`: remembered; `empty` gives what memory holds either way.

>>> import framework as torch
>>> torch.utils.deterministic.fill_uninitialized_memory
True
"""

from __future__ import annotations

__all__ = ["fill_uninitialized_memory"]

fill_uninitialized_memory = True
