"""Special functions under PyTorch's names: ``framework.special.erfcx`` and the rest."""

from __future__ import annotations

from framework.core.registry import lazily

__all__, __getattr__, __dir__ = lazily(globals(), "special")
