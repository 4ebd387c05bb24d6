"""Helpers round modules: clipping, vectors, sequences, parametrizations, pruning, fusion."""

from __future__ import annotations

import importlib
from typing import Any

from framework.nn.utils import rnn
from framework.nn.utils.clip_grad import (
    clip_grad_norm,
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
)

__all__ = [
    "clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_",
    "convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format",
    "fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights",
    "get_total_norm", "parameters_to_vector", "parametrizations", "parametrize", "prune",
    "remove_spectral_norm", "remove_weight_norm", "rnn", "skip_init", "spectral_norm", "stateless",
    "vector_to_parameters", "weight_norm",
]  # fmt: skip

# Recurrent layers need `rnn` while these need the layers: they are found when they are asked for.
_ELSEWHERE = {
    "convert_conv2d_weight_memory_format": "memory_format",
    "convert_conv3d_weight_memory_format": "memory_format",
    "fuse_conv_bn_eval": "fusion",
    "fuse_conv_bn_weights": "fusion",
    "fuse_linear_bn_eval": "fusion",
    "fuse_linear_bn_weights": "fusion",
    "parameters_to_vector": "convert_parameters",
    "remove_spectral_norm": "spectral_norm",
    "remove_weight_norm": "weight_norm",
    "skip_init": "init",
    "spectral_norm": "spectral_norm",
    "vector_to_parameters": "convert_parameters",
    "weight_norm": "weight_norm",
}


def _complete() -> None:
    """Bind the rest; called by `framework.nn` when the layers are there."""
    for name in ("parametrizations", "parametrize", "prune", "stateless", *_ELSEWHERE.values()):
        globals()[name] = importlib.import_module(f"{__name__}.{name}")
    # The functions come last: two of them have the name of their module.
    for name, module in _ELSEWHERE.items():
        globals()[name] = getattr(importlib.import_module(f"{__name__}.{module}"), name)


def __getattr__(name: str) -> Any:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
