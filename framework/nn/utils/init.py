"""Modules without the cost of their initial values."""

from __future__ import annotations

import inspect
from typing import Any

from framework.nn import init
from framework.nn.modules.module import Module

__all__ = ["skip_init"]


def skip_init(module_cls: Any, *args: Any, **kwargs: Any) -> Any:
    """Make a module whose parameters and buffers have memory but no values yet.

    For a module whose state is loaded anyway. RuntimeError for what is not a module class, or one
    that takes no ``device``. Shapes and dtypes are those that the class gives.

    >>> from framework import nn
    >>> nn.utils.skip_init(nn.Linear, 5, 1).weight.shape
    torch.Size([1, 5])
    """
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    with init.skipped():
        return module_cls(*args, **kwargs)
