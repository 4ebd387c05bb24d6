"""`nn.grad`: gradients of convolutions by themselves, with respect to input or weight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framework.nn import functional as F
from framework.ops.creation import empty
from framework.tensor import Tensor

__all__ = [
    "conv1d_input", "conv1d_weight", "conv2d_input", "conv2d_weight", "conv3d_input",
    "conv3d_weight",
]  # fmt: skip


def _pair(dims: int) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    conv = getattr(F, f"conv{dims}d")

    def to_input(
        input_size: Any, weight: Tensor, grad_output: Tensor, stride: Any = 1, padding: Any = 0,
        dilation: Any = 1, groups: int = 1,
    ) -> Tensor:  # fmt: skip
        x = empty(tuple(input_size), dtype=weight.dtype, device=weight.device)
        return _gradient(conv, x, weight, 0, grad_output, stride, padding, dilation, groups)

    def to_weight(
        input: Tensor, weight_size: Any, grad_output: Tensor, stride: Any = 1, padding: Any = 0,
        dilation: Any = 1, groups: int = 1,
    ) -> Tensor:  # fmt: skip
        w = empty(tuple(weight_size), dtype=input.dtype, device=input.device)
        return _gradient(conv, input, w, 1, grad_output, stride, padding, dilation, groups)

    to_input.__name__, to_weight.__name__ = f"conv{dims}d_input", f"conv{dims}d_weight"
    to_input.__doc__ = f"The gradient of `conv{dims}d` by an input of ``input_size``."
    to_weight.__doc__ = f"The gradient of `conv{dims}d` by a weight of ``weight_size``."
    return to_input, to_weight


def _gradient(
    conv: Any, x: Tensor, w: Tensor, which: int, g: Tensor, stride: Any, padding: Any,
    dilation: Any, groups: int,
) -> Tensor:  # fmt: skip
    from framework.autograd import grad
    from framework.core.modes import enable_grad

    with enable_grad():
        leaves = [t.detach().requires_grad_(i == which) for i, t in enumerate((x, w))]
        y = conv(*leaves, None, stride, padding, dilation, groups)
    return grad(y, leaves[which], g)[0]


conv1d_input, conv1d_weight = _pair(1)
conv2d_input, conv2d_weight = _pair(2)
conv3d_input, conv3d_weight = _pair(3)
