"""What the optimizers of other libraries borrow from PyTorch's, private as it is there.

They are copies of PyTorch's own, and import these names from `optim.optimizer`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from framework import dtypes
from framework.core.modes import modes, set_grad_enabled
from framework.ops.complex import view_as_real
from framework.tensor import Tensor

__all__ = [
    "_default_to_fused_or_foreach", "_disable_dynamo_if_unsupported", "_dispatch_sqrt",
    "_get_scalar_dtype", "_get_value", "_stack_if_compiling", "_use_grad_for_differentiable",
    "_view_as_real",
]  # fmt: skip


def _use_grad_for_differentiable(step: Callable[..., Any]) -> Callable[..., Any]:
    """A ``step`` that runs with gradients only where the optimizer is ``differentiable``."""

    @functools.wraps(step)
    def wrapped(self: Any, *args: Any, **options: Any) -> Any:
        before = modes.grad
        set_grad_enabled(bool(self.defaults["differentiable"]))
        try:
            return step(self, *args, **options)
        finally:
            set_grad_enabled(before)

    return wrapped


def _get_value(x: Any) -> Any:
    return x.item() if isinstance(x, Tensor) else x


def _stack_if_compiling(x: Any) -> Any:
    return x


def _dispatch_sqrt(x: Any) -> Any:
    return x.sqrt() if isinstance(x, Tensor) else math.sqrt(x)


def _default_to_fused_or_foreach(
    params: list[Tensor], differentiable: bool, use_fused: bool = False
) -> tuple[bool, bool]:
    """Whether an optimizer should be fused, and go over lists: neither, nothing is faster by it."""
    return False, False


def _disable_dynamo_if_unsupported(single_tensor_fn: Any = None) -> Callable[..., Any]:
    return lambda function: function


def _get_scalar_dtype(is_fused: bool | None = None) -> dtypes.dtype:
    """The dtype of the numbers that an optimizer keeps, such as ``step``."""
    wide = not is_fused and dtypes.get_default_dtype() is dtypes.float64
    return dtypes.float64 if wide else dtypes.float32


def _view_as_real(params: list[Tensor], *states: list[Tensor]) -> None:
    """Let complex parameters, and the lists that belong to them, be pairs of real numbers."""
    for i, p in enumerate(params):
        if p.is_complex():
            params[i] = view_as_real(p)
            for state in states:
                state[i] = view_as_real(state[i])
