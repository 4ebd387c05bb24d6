"""Constructors that are named after their class when they refuse an argument.

Layers that differ in little share a constructor: ``nn.ReLU(foo=1)`` would otherwise complain about
``_InPlace.__init__()``, which no program has written.
"""

from __future__ import annotations

import re
from types import FunctionType
from typing import Any

__all__ = ["name_constructors"]

# Where PyTorch shares a constructor, and what it is called there.
_SHARED = {
    r"Adaptive(Avg|Max)Pool\dd": r"_Adaptive\1PoolNd",
    r"(Batch|Instance)Norm\dd": r"_\1Norm",
    r"(Feature)?(Alpha)?Dropout\d?d?": "_DropoutNd",
    r"(BCE|MultiLabelSoftMargin)Loss": "_WeightedLoss",
    r"(L1|MSE|MultiLabelMargin|SoftMargin)Loss": "_Loss",
    r"(LP|Max)Pool\dd": r"_\1PoolNd",
    r"Lazy(Batch|Instance)Norm\dd": "_LazyNormBase",
}


def name_constructors(classes: dict[str, type]) -> None:
    """Give classes whose constructor is another class's one that has their name.

    It never raises.

    >>> from framework import nn
    >>> nn.ReLU.__init__.__qualname__, nn.Dropout2d.__init__.__qualname__
    ('ReLU.__init__', '_DropoutNd.__init__')
    """
    for name, kind in classes.items():
        shared: Any = kind.__init__  # type: ignore[misc]
        found = [re.sub(p, title, name) for p, title in _SHARED.items() if re.fullmatch(p, name)]
        if not found and not shared.__qualname__.startswith("_"):
            continue
        made = FunctionType(
            shared.__code__, shared.__globals__, "__init__", shared.__defaults__, shared.__closure__
        )
        made.__kwdefaults__, made.__annotations__ = shared.__kwdefaults__, shared.__annotations__
        made.__doc__, made.__module__ = shared.__doc__, shared.__module__
        made.__qualname__ = f"{found[0] if found else name}.__init__"
        kind.__init__ = made  # type: ignore[misc]
