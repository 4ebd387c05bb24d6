"""The Python array API standard, 2025.12: its names, keywords and rules for our tensors.

Functions take tensors and give `Array`s, which are tensors with the operators of the standard, so
that gradients, the trace and everything of `framework` work with them:

>>> import framework as torch
>>> x = torch.tensor([3.0, 4.0], requires_grad=True)
>>> xp = x.__array_namespace__()
>>> xp.linalg.vector_norm(x).backward()
>>> x.grad
tensor([0.6000, 0.8000])
"""

from __future__ import annotations

import math as _math

from framework.array_api import (
    creation,
    data_types,
    elementwise,
    fft,
    info,
    linalg,
    linear_algebra,
    manipulation,
    reductions,
    searching,
)
from framework.array_api.array import VERSIONS as _VERSIONS
from framework.array_api.array import Array

_FAMILIES = (
    creation, data_types, elementwise, info, linear_algebra, manipulation, reductions, searching,
)  # fmt: skip

for _family in _FAMILIES:
    globals().update({name: getattr(_family, name) for name in _family.__all__})
globals().update(data_types.STANDARD)

__array_api_version__ = _VERSIONS[-1]

e = _math.e
inf = _math.inf
nan = _math.nan
newaxis = None
pi = _math.pi

__all__ = ["Array", "e", "fft", "inf", "linalg", "nan", "newaxis", "pi", *data_types.STANDARD]
for _family in _FAMILIES:
    __all__ += _family.__all__
