"""Fourier transforms under PyTorch's names: ``framework.fft.rfft`` and the rest of its family."""

from __future__ import annotations

from framework.core.registry import published

__all__ = list(published("fft"))

globals().update(published("fft"))
