"""The names of PyTorch's compiler that programs set or call; there is nothing to compile here.

>>> import framework as torch
>>> torch._dynamo.config.suppress_errors = True
>>> torch._dynamo.reset()
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from framework._dynamo.eval_frame import OptimizedModule
from framework.compiler import allow_in_graph, disable, is_compiling, list_backends, reset

__all__ = [
    "OptimizedModule", "allow_in_graph", "config", "disable", "graph_break", "is_compiling",
    "list_backends", "mark_dynamic", "mark_static", "optimize", "reset",
]  # fmt: skip

# Settings can be made; none has an effect.
config = SimpleNamespace(
    suppress_errors=False, cache_size_limit=8, recompile_limit=8, verbose=False,
    capture_scalar_outputs=False, automatic_dynamic_shapes=True, assume_static_by_default=True,
)  # fmt: skip


def graph_break(*args: Any, **options: Any) -> None:
    """Accepted."""


mark_dynamic = mark_static = graph_break


def optimize(*args: Any, **options: Any) -> Any:
    """A decorator that returns the function as it is."""
    return lambda call: call
