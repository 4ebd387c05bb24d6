"""``differentiable=True``: a step that autograd can follow.

The optimizers compute in place on raw arrays. Given `Taped` values instead, the same code leaves a
graph behind: each ufunc is the op of that name on tensors, and what it writes into takes the result
as its new value.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.core.graph import clock
from framework.core.modes import modes
from framework.core.views import assign, check_inplace
from framework.ops.complex import view_as_complex, view_as_real
from framework.tensor import Tensor

__all__ = ["Taped", "update"]

# NumPy's names that are not ours.
_NAMES = {"absolute": "abs", "divide": "div", "greater": "gt", "less": "lt", "multiply": "mul",
          "negative": "neg", "power": "pow", "subtract": "sub"}  # fmt: skip

# State that is a number, not a tensor like the parameter: PyTorch's has no history either.
_NUMBERS = frozenset({"eta", "mu", "mu_product", "step"})


class Taped(np.lib.mixins.NDArrayOperatorsMixin):
    """A tensor in the place of an array: what writes into it gives it another tensor."""

    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None) -> Any:
        if method != "__call__":
            return NotImplemented
        name = ufunc.__name__
        first, *rest = [x.tensor if isinstance(x, Taped) else x for x in inputs]
        if not isinstance(first, Tensor):  # a number: the rules of the tensor's dtype
            first = rest[0].new_tensor(first)
        result = getattr(first, _NAMES.get(name, name))(*rest)
        if out is None:
            return Taped(result)
        out[0].tensor = result
        return out[0]

    def __getitem__(self, index: Any) -> Taped:
        return Taped(self.tensor[index.tensor])

    def __setitem__(self, index: Any, value: Any) -> None:
        new = value.tensor if isinstance(value, Taped) else value
        if index is Ellipsis:
            self.tensor = new
            return
        self.tensor = self.tensor.clone()
        self.tensor[index.tensor] = new

    def detach(self) -> Taped:
        """The same without history."""
        return Taped(self.tensor.detach())

    def clip(self, low: float, high: float, out: Taped) -> Taped:
        """As NumPy's function of that name calls it."""
        out.tensor = self.tensor.clamp(low, high)
        return out


def update(
    optimizer: Any, p: Tensor, group: dict[str, Any], state: dict[str, Any], step: float
) -> None:
    """Update one parameter and its state, with history."""
    before, modes.grad = modes.grad, True
    try:
        check_inplace(p)
        since = clock()
        buffers = {
            k: v for k, v in state.items() if isinstance(v, Tensor) and k not in _NUMBERS
        }  # fmt: skip
        numbers = {k: v._data for k, v in state.items() if k in _NUMBERS and k != "step"}

        def taped(t: Any) -> Taped:
            return Taped(view_as_real(t) if t.is_complex() else t)

        param, kept = taped(p), {k: taped(v) for k, v in buffers.items()}
        optimizer._update(param, taped(p.grad), {**kept, **numbers}, group, step)
        for k, v in kept.items():
            state[k] = view_as_complex(v.tensor) if p.is_complex() else v.tensor
        value = view_as_complex(param.tensor) if p.is_complex() else param.tensor
        if value is not p:
            assign(p, value, "step", since)
    finally:
        modes.grad = before
