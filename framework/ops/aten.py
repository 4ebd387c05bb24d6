"""Ops by the names that PyTorch knows them by inside: ``torch.ops.aten.NAME``."""

from __future__ import annotations

from framework.ops.strided import slice_ as slice

__all__ = ["slice"]
