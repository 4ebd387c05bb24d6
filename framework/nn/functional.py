"""`nn.functional`: the functions behind the modules, one family per file of `framework.ops`.

>>> import framework as torch
>>> from framework.nn import functional as F
>>> F.relu(torch.tensor([-1.0, 2.0]))
tensor([0., 2.])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from framework.core.registry import published
from framework.ops.unary import sigmoid, tanh  # noqa: F401

globals().update(published("nn.functional"))

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...
