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


# Dimensions: those of the input, of the weight, of the result.
_LETTERS = {
    1: ("N, C_in, L", "C_out, C_in / groups, K", "N, C_out, L_out"),
    2: ("N, C_in, H, W", "C_out, C_in / groups, K_h, K_w", "N, C_out, H_out, W_out"),
    3: ("N, C_in, D, H, W", "C_out, C_in / groups, K_d, K_h, K_w", "N, C_out, D_out, H_out, W_out"),
}
_OF_INPUT = """The gradient of `conv{dims}d` by an input of ``input_size`` `({input})`.

``weight`` is `({weight})`, whose type the result has;
"""
_OF_WEIGHT = """The gradient of `conv{dims}d` by a weight of ``weight_size``: `({weight})`.

``input`` is `({input})`, whose type the result has;
"""
_COMMON = """``grad_output`` is `({output})`, as the convolution's result.
The other arguments are those of that call, whose bias has no part in it. RuntimeError for a
``grad_output`` of another shape.

>>> import framework as torch
"""
_EXAMPLES = {
    "conv1d_input": """\
>>> w, g = torch.tensor([[[1.0, 2.0]]]), torch.ones(1, 1, 3)
>>> torch.nn.grad.conv1d_input((1, 1, 4), w, g)
tensor([[[1., 3., 3., 2.]]])
""",
    "conv1d_weight": """\
>>> x, g = torch.tensor([[[0.0, 1.0, 2.0, 3.0]]]), torch.ones(1, 1, 3)
>>> torch.nn.grad.conv1d_weight(x, (1, 1, 2), g)
tensor([[[3., 6.]]])
""",
    "conv2d_input": """\
>>> w, g = torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
>>> torch.nn.grad.conv2d_input((1, 1, 3, 3), w, g)
tensor([[[[1., 2., 1.],
          [2., 4., 2.],
          [1., 2., 1.]]]])
""",
    "conv2d_weight": """\
>>> x, g = torch.arange(9.0).reshape(1, 1, 3, 3), torch.ones(1, 1, 2, 2)
>>> torch.nn.grad.conv2d_weight(x, (1, 1, 2, 2), g)
tensor([[[[ 8., 12.],
          [20., 24.]]]])
""",
    "conv3d_input": """\
>>> w, g = torch.ones(3, 1, 2, 2, 2), torch.ones(2, 3, 3, 3, 3)
>>> torch.nn.grad.conv3d_input((2, 1, 4, 4, 4), w, g).shape
torch.Size([2, 1, 4, 4, 4])
""",
    "conv3d_weight": """\
>>> x, g = torch.ones(2, 1, 4, 4, 4), torch.ones(2, 3, 3, 3, 3)
>>> torch.nn.grad.conv3d_weight(x, (3, 1, 2, 2, 2), g).shape
torch.Size([3, 1, 2, 2, 2])
""",
}


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

    shapes = dict(zip(("input", "weight", "output"), _LETTERS[dims]))
    for call, name, text in (to_input, "input", _OF_INPUT), (to_weight, "weight", _OF_WEIGHT):
        call.__name__ = call.__qualname__ = f"conv{dims}d_{name}"
        call.__doc__ = (text + _COMMON).format(dims=dims, **shapes) + _EXAMPLES[call.__name__]
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
