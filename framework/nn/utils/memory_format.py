"""Memory formats of convolution weights: accepted, there is one here."""

from __future__ import annotations

from typing import Any

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]


def convert_conv2d_weight_memory_format(module: Any, memory_format: Any) -> Any:
    """Returns ``module``: weights lie in C order here whatever is asked for."""
    return module


def convert_conv3d_weight_memory_format(module: Any, memory_format: Any) -> Any:
    """Returns ``module``: weights lie in C order here whatever is asked for."""
    return module
