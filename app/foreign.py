"""A program that imports PyTorch itself: nothing of it can be seen, and that has to be said."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["HINT", "imports_pytorch"]

HINT = "imports PyTorch itself, which is not looked into: write `import framework as torch`"


def imports_pytorch(texts: Iterable[str]) -> tuple[int, int]:
    """Which text imports torch, at which line, both from 1; (0, 0) if none, or one our framework.

    >>> imports_pytorch(["x = 1", "import os\\nfrom torch import nn"])
    (2, 2)
    >>> imports_pytorch(["import torch", "import framework"])
    (0, 0)
    """
    found = (0, 0)
    for number, text in enumerate(texts, 1):
        theirs, ours = _imports(text)
        if ours:
            return 0, 0
        if theirs and not found[0]:
            found = number, theirs
    return found


@lru_cache(maxsize=256)
def _imports(text: str) -> tuple[int, bool]:
    """At which line a text imports torch, 0 if nowhere; and whether it imports the framework."""
    if "torch" not in text and "framework" not in text:
        return 0, False
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return 0, False
    theirs, ours = 0, False
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        tops = {name.partition(".")[0] for name in names}
        ours |= "framework" in tops
        if "torch" in tops and isinstance(node, (ast.Import, ast.ImportFrom)):
            theirs = theirs or node.lineno
    return theirs, ours
