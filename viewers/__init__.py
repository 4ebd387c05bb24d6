"""Pure views of a trace: they take events or a store and return strings, spans and files.

from viewers import export, summarize

export(tape, "graph.html", values=True)     # a picture of a training step
summarize(model, x)                         # a model's modules as a table
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from viewers.graph.export import ExportError, export
    from viewers.summary import ModelSummary, summarize, summary_of

__all__ = ["ExportError", "ModelSummary", "export", "summarize", "summary_of"]

_HOMES = {"export": "graph.export", "ExportError": "graph.export"}


def __getattr__(name: str) -> Any:
    """What stands at the top is loaded when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'summary')}"), name)
