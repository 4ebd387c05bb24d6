"""`nn`: modules, their parameters and initial values.

>>> import framework as torch
>>> from framework import nn
>>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
>>> model(torch.zeros(4, 2)).shape
torch.Size([4, 1])

In the docstrings of modules *float types* are float16, bfloat16, float32 and float64, *complex
types* complex64 and complex128, *integer types* int8 to int64 and uint8. Unless they say otherwise,
the result is of the input's dtype, weights are of ``dtype`` (the default float type if it is not
given), and an input is of the weights' dtype.
"""

from __future__ import annotations

import importlib
from typing import Any

from framework.nn import attention, functional, init, modules, parameter, utils
from framework.nn.modules import *  # noqa: F403
from framework.nn.modules import __all__ as _modules
from framework.nn.modules import constants as _constants
from framework.nn.parameter import (
    Buffer,
    Parameter,
    UninitializedBuffer,
    UninitializedParameter,
)

utils._complete()
_constants.publish(globals())


def __getattr__(name: str) -> Any:
    if name in ("common_types", "grad"):  # few need them
        return importlib.import_module(f"framework.nn.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    *_modules, "Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter", "attention",
    "functional", "init", "modules", "parameter", "utils",
]  # fmt: skip
