"""`torch.utils.dlpack`: the functions of `framework.dlpack` where PyTorch has them."""

from __future__ import annotations

from framework.dlpack import DLDeviceType, from_dlpack, to_dlpack

__all__ = ["DLDeviceType", "from_dlpack", "to_dlpack"]
