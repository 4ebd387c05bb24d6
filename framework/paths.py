"""Where PyTorch keeps a module that is elsewhere here: for ``isinstance`` checks and old imports.

``from torch.nn.modules.batchnorm import _BatchNorm`` and ``torch.optim.adamw.AdamW`` are written in
many programs. Each of these paths stands for one or several of our modules.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

__all__ = ["NAMES", "PATHS", "publish"]

# PyTorch's path -> our modules that have its names.
PATHS = {
    "nn.modules.batchnorm": "nn.modules.normalization",
    "nn.modules.instancenorm": "nn.modules.normalization",
    "nn.modules.channelshuffle": "nn.modules.pixelshuffle",
    "nn.modules.fold": "nn.modules.conv",
    "nn.modules.linear_cross_entropy": "nn.modules.loss",
    "nn.parallel": "nn.modules.parallel",
    "nn.parallel.data_parallel": "nn.modules.parallel",
    "nn.parallel.distributed": "nn.modules.parallel",
    "nn.parallel.parallel_apply": "nn.modules.parallel",
    "nn.parallel.replicate": "nn.modules.parallel",
    "nn.parallel.scatter_gather": "nn.modules.parallel",
    "optim.adamw": "optim.adam",
    "optim.rmsprop": "optim.adaptive",
    "optim.adagrad": "optim.adaptive",
    "optim.adadelta": "optim.adaptive",
    "optim.adamax": "optim.variants",
    "optim.nadam": "optim.variants",
    "optim.radam": "optim.variants",
    "optim.asgd": "optim.resilient",
    "optim.rprop": "optim.resilient",
    "signal.windows.windows": "signal.windows",
    "cuda.amp.autocast_mode": "cuda.amp",
    "cuda.amp.common": "cuda.amp",
    "cuda.amp.grad_scaler": "cuda.amp",
    "utils.data.backward_compatibility": "utils.data",
    "accelerator.memory": "accelerator",
    "cpu.amp": "amp.cpu",
    "cpu.amp.autocast_mode": "amp.cpu",
    "cpu.amp.grad_scaler": "amp.cpu",
    "autograd.variable": "autograd",
    "autograd.grad_mode": "core.modes",
    "autograd.anomaly_mode": "autograd.anomaly",
    "functional": "",
    "_tensor": "tensor",
    "utils.data._utils.collate": "utils.data.collate",
    "utils.data._utils": "utils.data",
}

# Single names that PyTorch shows in a second module, and where they are here.
NAMES = {
    "autograd.profiler.FunctionEvent": "profiler.events",
    "cuda.graphs.is_current_stream_capturing": "cuda.streams",
    "nn.modules.activation.MultiheadAttention": "nn.modules.attention",
    "utils.data.dataloader.get_worker_info": "utils.data",
}


def publish(root: Any) -> None:
    """Enter the paths, as modules and as attributes of the packages that they are in."""
    for path, ours in PATHS.items():
        module = importlib.import_module(f"framework.{ours}") if ours else root
        sys.modules[f"framework.{path}"] = module
        owner, _, name = path.rpartition(".")
        package = sys.modules.get(f"framework.{owner}" if owner else "framework")
        if package is not None and not hasattr(package, name):
            setattr(package, name, module)
    for path, ours in NAMES.items():
        owner, _, name = path.rpartition(".")
        value = getattr(importlib.import_module(f"framework.{ours}"), name)
        setattr(importlib.import_module(f"framework.{owner}"), name, value)
