"""A batch norm folded into the layer before it, for inference."""

from __future__ import annotations

import copy
from typing import Any

from framework.nn.parameter import Parameter

__all__ = [
    "fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights",
]  # fmt: skip


def _check(layer: Any, bn: Any) -> None:
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("bn.running_mean and bn.running_var must not be None")


def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Any:
    """A copy of ``conv`` that does what ``bn(conv(x))`` does in evaluation mode.

    Args:
        transpose: ``conv`` is a transposed convolution.

    AssertionError unless both are in evaluation mode and ``bn`` has running statistics.
    RuntimeError for other channels. The weight keeps its shape and dtype.

    >>> import framework as torch
    >>> from framework import nn
    >>> conv, bn = nn.Conv2d(1, 2, 3).eval(), nn.BatchNorm2d(2).eval()
    >>> x = torch.ones(1, 1, 4, 4)
    >>> torch.allclose(nn.utils.fuse_conv_bn_eval(conv, bn)(x), bn(conv(x)), atol=1e-6)
    True
    """
    _check(conv, bn)
    fused = copy.deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias,
        transpose,
    )  # fmt: skip
    return fused


def fuse_conv_bn_weights(
    conv_w: Any, conv_b: Any, bn_rm: Any, bn_rv: Any, bn_eps: float, bn_w: Any, bn_b: Any,
    transpose: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """Weight and bias of the fused convolution: ``conv_w`` scaled by bn_w / sqrt(bn_rv + bn_eps).

    The bias is (conv_b - bn_rm) times that, plus bn_b; what is None counts as 0 (or 1).
    ``transpose`` is for transposed convolutions, whose channels are the weight's dimension 1.
    Shapes (O, I, ...) and (O,) as they were, the statistics (O,) (RuntimeError for others); the
    dtype is the weight's.

    >>> import framework as torch
    >>> from framework import nn
    >>> conv, bn = nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2)
    >>> weight, bias = nn.utils.fuse_conv_bn_weights(
    ...     conv.weight, conv.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    ... )
    >>> weight.shape, bias.shape
    (torch.Size([2, 3, 1, 1]), torch.Size([2]))
    """
    bias = bn_rm.new_zeros(bn_rm.shape) if conv_b is None else conv_b
    scale = (bn_rv + bn_eps).rsqrt()
    shape = [1] * conv_w.ndim
    shape[1 if transpose else 0] = -1
    gain = scale if bn_w is None else bn_w * scale
    weight = (conv_w * gain.reshape(shape)).to(dtype=conv_w.dtype)
    new = (bias - bn_rm) * gain
    if bn_b is not None:
        new = new + bn_b
    new = new.to(dtype=conv_w.dtype if conv_b is None else conv_b.dtype)
    return _parameters(weight, conv_w, new, bias)


def fuse_linear_bn_eval(linear: Any, bn: Any) -> Any:
    """A copy of ``linear`` that does what ``bn(linear(x))`` does in evaluation mode.

    AssertionError unless both are in evaluation mode, ``bn`` has running statistics, and its
    features are those of ``linear`` (or one). The weight keeps its shape and dtype.

    >>> import framework as torch
    >>> from framework import nn
    >>> linear, bn = nn.Linear(3, 2).eval(), nn.BatchNorm1d(2).eval()
    >>> x = torch.ones(4, 3)
    >>> torch.allclose(nn.utils.fuse_linear_bn_eval(linear, bn)(x), bn(linear(x)), atol=1e-6)
    True
    """
    _check(linear, bn)
    if linear.out_features != bn.num_features and bn.num_features != 1:
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1, got "
            f"linear.out_features={linear.out_features} and bn.num_features={bn.num_features}"
        )
    fused = copy.deepcopy(linear)
    fused.weight, fused.bias = fuse_linear_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return fused


def fuse_linear_bn_weights(
    linear_w: Any, linear_b: Any, bn_rm: Any, bn_rv: Any, bn_eps: float, bn_w: Any, bn_b: Any
) -> tuple[Any, Any]:
    """Weight and bias of the fused linear layer; the formula is that of `fuse_conv_bn_weights`.

    Shapes (O, I) and (O,) as they were, the statistics (O,) (RuntimeError for others); the dtype is
    the weight's.

    >>> import framework as torch
    >>> weight, bias = torch.nn.utils.fuse_linear_bn_weights(
    ...     torch.ones(1, 2), None, torch.tensor([1.0]), torch.tensor([4.0]), 0.0,
    ...     torch.tensor([2.0]), torch.tensor([0.5]),
    ... )
    >>> weight.tolist(), bias.tolist()
    ([[1.0, 1.0]], [-0.5])
    """
    bias = bn_rm.new_zeros(bn_rm.shape) if linear_b is None else linear_b
    scale = bn_w * (bn_rv + bn_eps).rsqrt()
    weight = linear_w * scale.unsqueeze(-1).to(dtype=linear_w.dtype)
    new = ((bias - bn_rm) * scale + bn_b).to(
        dtype=linear_w.dtype if linear_b is None else linear_b.dtype
    )
    return _parameters(weight, linear_w, new, bias)


def _parameters(weight: Any, old_weight: Any, bias: Any, old_bias: Any) -> tuple[Any, Any]:
    return (
        Parameter(weight.detach(), old_weight.requires_grad),
        Parameter(bias.detach(), old_bias.requires_grad),
    )
