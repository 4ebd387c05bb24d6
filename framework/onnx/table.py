"""The two tables: what writes an op of ours as ONNX nodes, and what runs an ONNX node with our ops.

Their entries stand in one file per family (`pointwise`, `reductions`, `movement`, `layers`), each
next to its way back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framework.core.registry import published

__all__ = ["FROM_ONNX", "TO_ONNX", "F", "T", "reads", "writes"]

# Our functions by name: those of the top namespace, and of nn.functional.
T = {name: record.call for name, record in published("").items()}
F = {name: record.call for name, record in published("nn.functional").items()}

# Name of our op: ``write(writer, call)`` adds nodes and returns the name of its output, or several.
TO_ONNX: dict[str, Callable[[Any, Any], Any]] = {}

# ONNX op type: ``read(node, *inputs)`` returns its output, or a tuple of them.
FROM_ONNX: dict[str, Callable[..., Any]] = {}


def writes(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function as what writes these ops of ours."""

    def enter(write: Callable[..., Any]) -> Callable[..., Any]:
        TO_ONNX.update(dict.fromkeys(names, write))
        return write

    return enter


def reads(*types: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function as what runs these ONNX ops."""

    def enter(read: Callable[..., Any]) -> Callable[..., Any]:
        FROM_ONNX.update(dict.fromkeys(types, read))
        return read

    return enter
