"""The few names that ordinary programs take from PyTorch's binding ``torch._C``."""

from __future__ import annotations

from typing import Any

from framework.device import device
from framework.dtypes import dtype
from framework.jit import ScriptFunction, ScriptModule
from framework.kernels import LinAlgError as _LinAlgError
from framework.kernels import OutOfMemoryError
from framework.layout import layout, memory_format
from framework.nn import functional as _nn
from framework.overrides import DisableTorchFunction, DisableTorchFunctionSubclass
from framework.random import Generator
from framework.tensor import Size
from framework.tensor import Tensor as TensorBase

__all__ = [
    "DisableTorchFunction", "DisableTorchFunctionSubclass",
    "Generator", "OutOfMemoryError", "ScriptFunction", "ScriptModule", "Size", "TensorBase",
    "_LinAlgError", "_nn", "device", "dtype", "layout", "memory_format",
]  # fmt: skip

_has_distributed = _has_cuda = False


def _log_api_usage_once(name: str) -> None:
    """Accepted: nothing is logged."""


def _get_tracing_state() -> Any:
    """None: nothing is being traced by TorchScript."""
    return None


def _jit_set_profiling_executor(on: bool) -> bool:
    """Accepted, like the next: there is no compiler."""
    return on


_jit_set_profiling_mode = _jit_set_profiling_executor
