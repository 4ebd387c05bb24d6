"""Which op of the table runs which kernel of our own on a CUDA device."""

from __future__ import annotations

__all__ = ["FAMILIES", "KERNELS"]

FAMILIES = ("norm", "pointwise", "softmax")  # a .cu and a .py of that name each

_NAMES = {  # by family: functions of the name of their op
    "norm": """affine_norm_backward batch_norm group_norm layer_norm rms_norm standardize
        standardize_backward""",
    "pointwise": """elu elu_backward gelu gelu_backward leaky_relu leaky_relu_backward relu
        relu_backward sigmoid sigmoid_backward silu silu_backward tanh tanh_backward""",
    "softmax": "log_softmax log_softmax_backward softmax softmax_backward",
}

KERNELS = {op: family for family, names in _NAMES.items() for op in names.split()}
