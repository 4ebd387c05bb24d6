"""Which op of the table runs which kernel of our own on a CUDA device."""

from __future__ import annotations

__all__ = ["FAMILIES", "HEADERS", "KERNELS", "LIBRARIES", "ON_HOST"]

FAMILIES = (  # a .cu and a .py of that name each
    "adding", "attention", "conv", "conv_tiles", "drawing", "gates", "health", "loss", "norm",
    "optimizers", "pointwise", "pool", "scans", "softmax",
)  # fmt: skip

# What else stands in front of a family's text, after `common.cuh`.
HEADERS = {
    "attention": ("tensor_cores", "attention_parts", "attention_cores"),
    "conv_tiles": ("tensor_cores",),
}

_NAMES = {  # by family: functions of the name of their op
    "adding": "embedding embedding_backward index_put max_scatter scatter_add",
    "attention": "attention attention_backward",
    "conv": """conv1d conv1d_input conv1d_weight conv2d conv2d_input conv2d_weight conv3d
        conv3d_input conv3d_weight conv_transpose1d conv_transpose2d conv_transpose3d""",
    "drawing": """bernoulli bernoulli_ dropout multinomial normal_ rand randint randn random_
        randperm uniform_""",
    "gates": "gru_gates gru_gates_backward lstm_gates lstm_gates_backward",
    "loss": "nll_loss nll_loss_backward",
    "norm": """affine_norm_backward batch_norm group_norm layer_norm rms_norm standardize
        standardize_backward""",
    "pointwise": """elu elu_backward gelu gelu_backward leaky_relu leaky_relu_backward relu
        relu_backward sigmoid sigmoid_backward silu silu_backward tanh tanh_backward""",
    "pool": """avg_pool1d avg_pool2d avg_pool3d avg_unpool1d avg_unpool2d avg_unpool3d max_pool1d
        max_pool2d max_pool3d""",
    "scans": "cummax cummin decayed_sum hash_tensor logcumsumexp segment_reduce",
    "softmax": "log_softmax log_softmax_backward softmax softmax_backward",
}

KERNELS = {op: family for family, names in _NAMES.items() for op in names.split()}

_LIBRARIES = {  # likewise, by CuPy's libraries: a .py that calls these
    "products": "linear linear_weight_backward matmul",
    "solver": """cholesky cholesky_ex cholesky_inverse cholesky_solve eig eigvals inv inv_ex lstsq
        lu_factor solve solve_ex solve_triangular""",
}

LIBRARIES = {op: family for family, names in _LIBRARIES.items() for op in names.split()}

# Ops that fetch their operands, compute in host memory and put the result back, which waits for the
# device: what CuPy has no kernel for (symmetric factors), what ours do not take (`scans`: complex
# numbers, uint64), and what it has kernels for (`solver`) where these do not fit or fail, since
# they do not say which matrix it was.
ON_HOST = frozenset(
    [*_LIBRARIES["solver"].split(), *_NAMES["scans"].split(), "ldl_factor", "ldl_solve"]
)
