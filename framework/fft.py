"""Fourier transforms under PyTorch's names: ``framework.fft.rfft`` and the rest of its family."""

from __future__ import annotations

from framework.core.registry import lazily

__all__, __getattr__, __dir__ = lazily(globals(), "fft")
