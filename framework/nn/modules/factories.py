"""The creation functions as modules call them for their parameters and buffers.

They are the public ones: a `TorchFunctionMode` sees that a module is made, and may answer.
"""

from __future__ import annotations

from typing import Any

from framework.core.registry import published

__all__ = ["empty", "ones", "zeros"]

_FUNCTIONS = published("")

empty: Any = _FUNCTIONS["empty"].public
ones: Any = _FUNCTIONS["ones"].public
zeros: Any = _FUNCTIONS["zeros"].public
