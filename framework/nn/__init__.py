"""`nn`: modules, their parameters and initial values.

>>> import framework as torch
>>> from framework import nn
>>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
>>> model(torch.zeros(4, 2)).shape
torch.Size([4, 1])
"""

from __future__ import annotations

from framework.nn import attention, functional, init, modules, parameter, utils
from framework.nn.modules import *  # noqa: F403
from framework.nn.modules import __all__ as _modules
from framework.nn.parameter import (
    Buffer,
    Parameter,
    UninitializedBuffer,
    UninitializedParameter,
)

utils._complete()

__all__ = [
    *_modules, "Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter", "attention",
    "functional", "init", "modules", "parameter", "utils",
]  # fmt: skip
