"""`DataParallel` for one device: the wrapper that many scripts expect."""

from __future__ import annotations

from typing import Any

from framework.nn.modules.module import Module

__all__ = ["DataParallel", "DistributedDataParallel"]


class DataParallel(Module):
    """Calls ``module``, whose parameters get the prefix "module." in state dicts.

    PyTorch would share a batch between CUDA devices; with one device it does the same as here.

    >>> from framework import nn
    >>> list(nn.DataParallel(nn.Linear(1, 1, bias=False)).state_dict())
    ['module.weight']
    """

    def __init__(
        self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0
    ) -> None:
        super().__init__()
        if device_ids is not None and len(list(device_ids)) > 1:
            raise NotImplementedError(
                f"DataParallel: device_ids={list(device_ids)}: only one device is supported"
            )
        self.dim = dim
        self.module = module
        self.device_ids = [] if device_ids is None else list(device_ids)
        self.output_device = output_device

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)


class DistributedDataParallel(Module):
    """Several processes are not supported; the name is there for ``isinstance`` checks.

    Making one is a RuntimeError, as in PyTorch before ``init_process_group``.

    >>> from framework import nn
    >>> isinstance(nn.Linear(1, 1), nn.parallel.DistributedDataParallel)
    False
    """

    def __init__(self, module: Module, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError(
            "Default process group has not been initialized, please make sure to call "
            "init_process_group: framework.distributed is not available, train in one process"
        )
