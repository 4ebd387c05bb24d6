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
import os as _os
import pkgutil as _pkgutil
import sys as _sys
import warnings as _warnings
from typing import Any

from framework import _waiting as _waiting
from framework import ops as _ops
from framework import paths as _paths
from framework import quiet as _quiet
from framework.core import registry as _registry
from framework.core.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from framework.core.overridable import overridable as _overridable
from framework.device import device, get_default_device, set_default_device
from framework.dtypes import (
    bfloat16,
    can_cast,
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
    uint16,
    uint32,
    uint64,
)
from framework.dtypes import bool_ as bool
from framework.interop import METHODS as _INTEROP
from framework.layout import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    layout,
    memory_format,
    preserve_format,
    sparse_bsc,
    sparse_bsr,
    sparse_coo,
    sparse_csc,
    sparse_csr,
    strided,
)
from framework.legacy import CPU_TYPES as _CPU_TYPES
from framework.legacy import set_default_tensor_type, tensortype, typename
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
from framework.reprs import MODULE as _MODULE_REPRS
from framework.reprs import TENSOR as _TENSOR_REPRS
from framework.storage import STORAGES as _STORAGES
from framework.storage import TypedStorage, UntypedStorage, is_storage
from framework.streams import Event, Stream
from framework.tensor import Size, Tensor, tensor
from framework.torch_version import __version__

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
newaxis = None

globals().update(_CPU_TYPES)
globals().update(_STORAGES)

_quiet.stay_silent()


def _publish() -> None:
    """Put every function of the registry where PyTorch has it."""
    for family in _pkgutil.iter_modules(_ops.__path__, "framework.ops."):
        _importlib.import_module(family.name)
    for record in _registry.FUNCTIONS:
        if record.method:
            record.bind(Tensor)
        for dunder in record.dunder:
            setattr(Tensor, dunder, record.call)
        if record.inplace:
            operator = _INPLACE_OPERATORS.get(record.inplace)
            record.bind_twin(Tensor, *([operator] if operator else ()))
    for dunder, method in (*_INTEROP.items(), *_TENSOR_REPRS.items()):
        setattr(Tensor, dunder, method)
    Tensor.__hash__ = lambda self: id(self)  # type: ignore[method-assign]


_INPLACE_OPERATORS = {
    "add_": "__iadd__",
    "sub_": "__isub__",
    "mul_": "__imul__",
    "div_": "__itruediv__",
    "divide_": "__idiv__",
    "floor_divide_": "__ifloordiv__",
    "remainder_": "__imod__",
    "pow_": "__ipow__",
    "bitwise_and_": "__iand__",
    "bitwise_or_": "__ior__",
    "bitwise_xor_": "__ixor__",
    "bitwise_left_shift_": "__ilshift__",
    "bitwise_right_shift_": "__irshift__",
}

# Methods in place that PyTorch has as functions too.
_INPLACE_FUNCTIONS = """
    abs_ acos_ acosh_ addmv_ arccos_ arccosh_ arcsin_ arcsinh_ arctan_ arctanh_ as_strided_ asin_
    asinh_ atan_ atanh_ ceil_ clamp_ clamp_max_ clamp_min_ clip_ conj_physical_ cos_ cosh_
    deg2rad_ detach_ erf_ erfc_ exp2_ exp_ expm1_ fill_ fix_ floor_ frac_ gcd_ i0_ index_put_ lcm_
    ldexp_ log10_ log1p_ log2_ log_ logit_ nan_to_num_ neg_ negative_ rad2deg_ reciprocal_ relu_
    resize_as_ round_ rsqrt_ sigmoid_ sin_ sinc_ sinh_ sqrt_ square_ tan_ tanh_ trunc_ xlogy_
    zero_
""".split()

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
    masked,
    nn,
    onnx,
    optim,
    overrides,
    profiler,
    return_types,
    signal,
    sparse,
    special,
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
    set_autocast_cpu_dtype,
    set_autocast_cpu_enabled,
    set_autocast_dtype,
    set_autocast_enabled,
    set_autocast_gpu_dtype,
)
from framework.amp.grad_scaler import GradScaler  # noqa: E402
from framework.autograd.anomaly import (  # noqa: E402
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    set_anomaly_enabled,
)
from framework.compiler import compile  # noqa: E402
from framework.control import cond, while_loop  # noqa: E402
from framework.cuda import amp as _cuda_amp  # noqa: E402
from framework.cuda.devices import get_device_module  # noqa: E402
from framework.cuda.errors import AcceleratorError  # noqa: E402
from framework.cuda.memory import OutOfMemoryError  # noqa: E402
from framework.dlpack import from_dlpack, to_dlpack  # noqa: E402
from framework.flags import (  # noqa: E402
    are_deterministic_algorithms_enabled,
    get_deterministic_debug_mode,
    get_float32_matmul_precision,
    get_num_interop_threads,
    get_num_threads,
    init_num_threads,
    is_deterministic_algorithms_warn_only_enabled,
    is_vulkan_available,
    is_warn_always_enabled,
    set_deterministic_debug_mode,
    set_float32_matmul_precision,
    set_flush_denormal,
    set_num_interop_threads,
    set_num_threads,
    set_warn_always,
    use_deterministic_algorithms,
)
from framework.foreach import FOREACH as _FOREACH  # noqa: E402
from framework.func import vmap  # noqa: E402
from framework.futures import Future  # noqa: E402
from framework.jit import ScriptFunction, ScriptModule, fork, wait  # noqa: E402
from framework.leaf import module_load as _module_load  # noqa: E402
from framework.overrides import (  # noqa: E402
    DisableTorchFunction,
    DisableTorchFunctionSubclass,
)
from framework.serialization import load, save  # noqa: E402

globals().update(_FOREACH)

# What the libraries that we compute with have.
has_lapack = has_spectral = True
has_mkl = has_openmp = False


def is_tensor(obj: Any) -> _builtins.bool:
    """Whether ``obj`` is a tensor, of this class or one derived from it.

    Its shape and dtype do not matter; it never raises.

    >>> import framework as torch
    >>> torch.is_tensor(torch.ones(2)), torch.is_tensor([1.0])
    (True, False)
    """
    return isinstance(obj, Tensor)


@_overridable
def is_inference(input: Tensor) -> _builtins.bool:
    """Whether a tensor was made in `inference_mode`: autograd then never looks at it.

    Of any shape and dtype. TypeError for what is no tensor.

    >>> import framework as torch
    >>> with torch.inference_mode():
    ...     x = torch.ones(2)
    >>> torch.is_inference(x), torch.is_inference(torch.ones(2))
    (True, False)
    """
    return input.is_inference()


@_overridable
def is_floating_point(input: Tensor) -> _builtins.bool:
    """Whether a tensor's dtype is a real floating type: float64, float32, float16 or bfloat16.

    Of any shape. TypeError for what is no tensor.

    >>> import framework as torch
    >>> torch.is_floating_point(torch.ones(2)), torch.is_floating_point(torch.tensor([1]))
    (True, False)
    """
    return input.is_floating_point()


@_overridable
def is_complex(input: Tensor) -> _builtins.bool:
    """Whether a tensor's dtype is complex: complex64 or complex128.

    Of any shape. TypeError for what is no tensor.

    >>> import framework as torch
    >>> torch.is_complex(torch.tensor([1j])), torch.is_complex(torch.ones(2))
    (True, False)
    """
    return input.is_complex()


def _assert(condition: Any, message: str) -> None:
    """An assertion that can be called."""
    assert condition, message


@_overridable
def numel(input: Tensor) -> _builtins.int:
    """Number of elements, the product of the shape: 1 for a 0-d tensor.

    Of any dtype. TypeError for what is no tensor.

    >>> import framework as torch
    >>> torch.numel(torch.zeros(2, 3)), torch.numel(torch.tensor(5))
    (6, 1)
    """
    return input.numel()


for _name, _method in _MODULE_REPRS.items():
    setattr(nn.Module, _name, _method)

_paths.publish(_sys.modules[__name__])

_functions, _made, __dir__ = _registry.lazily(globals(), "", _INPLACE_FUNCTIONS)
_METHODS = {name: vars(Tensor)[name] for name in _INPLACE_FUNCTIONS}


# Modules that few need: they are imported when they are asked for.
_RARE = frozenset(
    """
    _C __config__ _dynamo _utils accelerator array_api cpu distributed distributions export futures
    hub library mps mtia multiprocessing nested onnx quasirandom testing types xpu
    """.split()
)


def __getattr__(name: str) -> Any:
    if name in _RARE:
        return _importlib.import_module(f"framework.{name}")
    if name == "Storage":  # an old name of the storage of the default type
        return _STORAGES["FloatStorage"]
    if name == "_VF":  # PyTorch's functions of the binding
        return _sys.modules[__name__]
    if name in _INPLACE_FUNCTIONS:
        method = _METHODS[name]
        method = method.make() if isinstance(method, _registry.Method) else method
        made = globals()[name] = _overridable(method, None, {"self": "input"})
        made.__module__, made.__qualname__ = "framework", name
        return made
    return _made(name)


__all__ = [
    name for name in globals() if not name.startswith("_") and name not in ("Any", "annotations")
]
__all__ += [*_functions, *_INPLACE_FUNCTIONS]

if _os.environ.get("TAPEBOOK_LISTEN"):
    from framework.trace.listening import from_environment as _listen

    _listen()
