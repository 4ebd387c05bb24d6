"""What the arguments of an op are called.

The tape has what is no tensor by its place (``arg4``), as the call had it; the names are those of
the op table, and of the function that a composite op is. A tape of another framework has ops that
nobody knows here.
"""

from __future__ import annotations

import inspect
from functools import cache

__all__ = ["parameter_names"]


@cache
def parameter_names(op: str) -> tuple[str, ...]:
    """The names of an op's arguments by their places; empty where they are not known.

    >>> parameter_names("clamp"), parameter_names("cross_entropy")[4], parameter_names("my_op")
    (('a', 'low', 'high'), 'ignore_index', ())
    """
    from framework.core.registry import OPS, composites

    if op in composites:
        return tuple(inspect.signature(composites[op]).parameters)
    return OPS[op].params if op in OPS else ()
