"""Tapebook's tensor, autograd and nn framework, in PyTorch's names.

>>> import framework as torch
>>> x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> (x**2).sum().backward()
>>> x.grad
tensor([2., 4., 6.])
"""

from __future__ import annotations

import builtins as _builtins
import importlib as _importlib
import math as _math
import pkgutil as _pkgutil
import warnings as _warnings
from typing import Any

from framework import ops as _ops
from framework.core import registry as _registry
from framework.core.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from framework.core.views import inplace_twin as _inplace_twin
from framework.device import device
from framework.dtypes import (
    bfloat16,
    complex64,
    complex128,
    dtype,
    finfo,
    float16,
    float32,
    float64,
    get_default_dtype,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    promote_types,
    result_type,
    set_default_dtype,
    uint8,
)
from framework.dtypes import bool_ as bool
from framework.printing import set_printoptions
from framework.random import (
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from framework.tensor import Size, Tensor, tensor
from framework.version import __version__

float = float32
double = float64
half = float16
long = int64
int = int32
short = int16
cfloat = complex64
cdouble = complex128

inf = _math.inf
nan = _math.nan
pi = _math.pi
e = _math.e

strided = "torch.strided"
contiguous_format = "torch.contiguous_format"
preserve_format = "torch.preserve_format"
channels_last = "torch.channels_last"


# PyTorch computes inf and nan in silence; NumPy would warn from inside of our kernels. Only there:
# the user's own NumPy code keeps its warnings.
_warnings.filterwarnings(
    "ignore", ".* encountered in ", RuntimeWarning, module=r"framework\.(core|ops|kernels)\."
)


def _publish() -> None:
    """Put every function of the registry where PyTorch has it."""
    for family in _pkgutil.iter_modules(_ops.__path__, "framework.ops."):
        _importlib.import_module(family.name)
    for record in _registry.FUNCTIONS:
        if "" in record.namespaces:
            globals()[record.name] = record.public
        if record.method:
            setattr(Tensor, record.method, record.call)
        for special in record.dunder:
            setattr(Tensor, special, record.call)
        if record.inplace:
            setattr(Tensor, record.inplace, _inplace_twin(record.call, record.inplace))
            operator = _INPLACE_OPERATORS.get(record.inplace)
            if operator:
                setattr(Tensor, operator, getattr(Tensor, record.inplace))
    Tensor.__hash__ = lambda self: id(self)  # type: ignore[method-assign]


_INPLACE_OPERATORS = {
    "add_": "__iadd__",
    "sub_": "__isub__",
    "mul_": "__imul__",
    "true_divide_": "__itruediv__",
    "floor_divide_": "__ifloordiv__",
    "remainder_": "__imod__",
    "pow_": "__ipow__",
    "bitwise_and_": "__iand__",
    "bitwise_or_": "__ior__",
    "bitwise_xor_": "__ixor__",
}

_publish()

from framework import (  # noqa: E402
    amp,
    autograd,
    backends,
    compiler,
    cuda,
    fft,
    func,
    jit,
    linalg,
    nn,
    optim,
    overrides,
    profiler,
    signal,
    trace,
    utils,
)
from framework.amp.autocast_mode import (  # noqa: E402
    autocast,
    clear_autocast_cache,
    get_autocast_cpu_dtype,
    get_autocast_dtype,
    get_autocast_gpu_dtype,
    is_autocast_cache_enabled,
    is_autocast_cpu_enabled,
    is_autocast_enabled,
    set_autocast_cache_enabled,
    set_autocast_dtype,
    set_autocast_enabled,
)
from framework.compiler import compile  # noqa: E402
from framework.cuda import amp as _cuda_amp  # noqa: E402
from framework.flags import (  # noqa: E402
    are_deterministic_algorithms_enabled,
    get_deterministic_debug_mode,
    get_float32_matmul_precision,
    get_num_interop_threads,
    get_num_threads,
    is_deterministic_algorithms_warn_only_enabled,
    set_deterministic_debug_mode,
    set_float32_matmul_precision,
    set_flush_denormal,
    set_num_interop_threads,
    set_num_threads,
    use_deterministic_algorithms,
)
from framework.foreach import FOREACH as _FOREACH  # noqa: E402
from framework.func import vmap  # noqa: E402
from framework.serialization import load, save  # noqa: E402

globals().update(_FOREACH)


def is_tensor(obj: Any) -> _builtins.bool:
    """Whether ``obj`` is a tensor."""
    return isinstance(obj, Tensor)


def is_inference(input: Tensor) -> _builtins.bool:
    """Whether a tensor was made in `inference_mode`."""
    return input.is_inference()


def is_floating_point(input: Tensor) -> _builtins.bool:
    """Whether a tensor's dtype is a real floating type."""
    return input.is_floating_point()


def is_complex(input: Tensor) -> _builtins.bool:
    """Whether a tensor's dtype is complex."""
    return input.is_complex()


def numel(input: Tensor) -> _builtins.int:
    """Number of elements."""
    return input.numel()


def __getattr__(name: str) -> Any:
    raise AttributeError(f"module 'framework' has no attribute {name!r}")


__all__ = [name for name in globals() if not name.startswith("_") and name != "annotations"]
