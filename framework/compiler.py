"""`compiler`: models run as they are written, so that every op can be looked at.

``torch.compile`` and its relatives are accepted, say so once, and return what they were given.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

__all__ = [
    "allow_in_graph", "assume_constant_result", "compile", "cudagraph_mark_step_begin", "disable",
    "is_compiling", "is_dynamo_compiling", "is_exporting", "list_backends", "note_once", "reset",
    "set_stance",
]  # fmt: skip

_noted: set[str] = set()


def note_once(name: str) -> None:
    """Warn the first time that ``name`` is used as if it compiled something."""
    if name not in _noted:
        _noted.add(name)
        warnings.warn(
            f"{name}: there is no compiler here; the model runs op by op, with the same results",
            UserWarning,
            stacklevel=3,
        )


def compile(model: Any = None, **options: Any) -> Any:
    """Returns ``model`` itself; without one a decorator that does.

    >>> import framework as torch
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     double = torch.compile(lambda x: x * 2)
    >>> double(torch.ones(1))
    tensor([2.])
    """
    unknown = set(options) - {"backend", "disable", "dynamic", "fullgraph", "mode", "options"}
    if unknown:
        raise TypeError(f"compile() got an unexpected keyword argument '{min(unknown)}'")
    if options.get("mode") is not None and options.get("options") is not None:
        raise RuntimeError(
            "Either mode or options can be specified, but both can't be specified at the same time."
        )
    if not options.get("disable"):
        note_once("torch.compile")
    if model is None:
        return lambda function: function
    if not callable(model):
        raise AssertionError(f"A callable function is expected, but {type(model)} is provided.")
    return model


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """Returns ``fn``, or a decorator that returns its function."""
    return (lambda function: function) if fn is None else fn


def allow_in_graph(fn: Any) -> Any:
    """Returns ``fn``."""
    return fn


def assume_constant_result(fn: Any) -> Any:
    """Returns ``fn``."""
    return fn


def is_compiling() -> bool:
    """False."""
    return False


def is_dynamo_compiling() -> bool:
    """False."""
    return False


def is_exporting() -> bool:
    """False."""
    return False


def reset() -> None:
    """Nothing to forget."""


def cudagraph_mark_step_begin() -> None:
    """Nothing to mark."""


def list_backends(exclude_tags: Any = ()) -> list[str]:
    """No backends."""
    return []


class set_stance:
    """Accepted as a function, a context manager and a decorator; changes nothing."""

    def __init__(self, stance: str = "default", **options: Any) -> None:
        self.stance = stance

    def __enter__(self) -> None:
        return

    def __exit__(self, *exc: object) -> None:
        return

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function
