"""How the results of PyTorch's op_db samples lie in memory on the CPU: see `meta`."""

from __future__ import annotations

from typing import Any

from tests.conformance import meta

__all__ = ["main"]


def main(options: Any) -> int:
    """Print the score; 1 if a shape or a dtype is wrong."""
    return meta.score(options, "strides", "cpu")
