"""`nn.functional`: the functions behind the modules, one family per file of `framework.ops`.

>>> import framework as torch
>>> from framework.nn import functional as F
>>> F.relu(torch.tensor([-1.0, 2.0]))
tensor([0., 2.])
"""

from __future__ import annotations

from framework.core.registry import lazily
from framework.nn import _reduction as _Reduction  # noqa: F401
from framework.ops.unary import sigmoid, tanh  # noqa: F401
from framework.overrides import handle_torch_function, has_torch_function  # noqa: F401

__all__, __getattr__, __dir__ = lazily(globals(), "nn.functional")
