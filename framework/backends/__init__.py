"""`backends`: PyTorch's switches of libraries, accepted and remembered.

There is one implementation of nearly everything here, so that no switch changes a result, but for
those of products on CUDA devices (`cuda.matmul`) and of cuDNN: where its front end is installed,
convolutions there are its, unless `cudnn.enabled` is False. What is asked (``is_available``) is
answered truthfully.

>>> import framework as torch
>>> torch.backends.cudnn.benchmark = True
>>> torch.backends.cudnn.is_available()
False
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple

from framework.cautions import caution
from framework.kernels.cuda import precision

__all__ = [
    "Backend", "cpu", "cuda", "cudnn", "cusparselt", "disable_global_flags", "kleidiai", "mha",
    "miopen", "mkl", "mkldnn", "mps", "nnpack", "openmp", "opt_einsum", "quantized",
]  # fmt: skip


class Backend:
    """A library's switches, and ``flags`` to set some of them for a while.

    TypeError for a switch that the library has not.

    >>> import framework as torch
    >>> with torch.backends.cudnn.flags(deterministic=True):
    ...     torch.backends.cudnn.deterministic
    True
    >>> torch.backends.cudnn.deterministic
    False
    """

    def __init__(self, name: str, **switches: Any) -> None:
        self._name = name
        self._switches = tuple(switches)
        self.__dict__.update(switches)

    def is_available(self) -> bool:
        """Whether this library computes anything here: it does not.

        >>> import framework as torch
        >>> torch.backends.mkldnn.is_available()
        False
        """
        return False

    is_built = is_available

    def version(self) -> None:
        """None: the library is not there.

        >>> import framework as torch
        >>> torch.backends.cuda.version()
        """
        return

    def is_acceptable(self, tensor: Any) -> bool:
        """Whether it would compute with a tensor of any shape and dtype: no; it never raises.

        >>> import framework as torch
        >>> torch.backends.cuda.is_acceptable(torch.ones(2))
        False
        """
        return False

    @contextmanager
    def verbose(self, enable: Any = None, level: Any = None) -> Iterator[None]:
        """Accepted: there is nothing to be told of; it never raises."""
        yield

    def set_flags(self, **flags: Any) -> tuple[Any, ...]:
        """Set switches; returns their old values, in order. TypeError for one that is not there."""
        before = tuple(getattr(self, name) for name in self._switches)
        for name, value in flags.items():
            if name.lstrip("_") not in self._switches:
                raise TypeError(f"set_flags() got an unexpected keyword argument '{name}'")
            if value is not None:
                setattr(self, name.lstrip("_"), value)
        return before

    @contextmanager
    def flags(self, **flags: Any) -> Iterator[None]:
        """Switches as given inside of a ``with`` block; TypeError for one that is not there."""
        before = self.set_flags(**flags)
        try:
            yield
        finally:
            for name, value in zip(self._switches, before):
                setattr(self, name, value)

    def __repr__(self) -> str:
        return f"<backends.{self._name}>"


class _Cudnn(Backend):
    """`backends.cudnn`: convolutions on CUDA devices, see `kernels.cuda.cudnn`.

    ``enabled``: use it where it is there. ``allow_tf32``: products of float32 may be taken of 19
    bits, also by kernels of our own where cuDNN is not there. ``deterministic``: only what gives
    the same bits each time. ``benchmark``: time the first ``benchmark_limit`` (0: all) of its
    plans for new shapes and keep the fastest.
    """

    def is_available(self) -> bool:
        """Whether it computes convolutions here: a CUDA device, the front end and the library."""
        from framework.kernels.cuda import cudnn

        return not cudnn.problem()

    is_built = is_available

    def version(self) -> int | None:  # type: ignore[override]
        """The library's number, such as 91002 for 9.10.2; None if it is not there."""
        from framework.kernels.cuda import cudnn

        return cudnn.version() if self.is_available() else None

    def is_acceptable(self, tensor: Any) -> bool:
        """Whether it would compute with a tensor of any shape: a float one on a CUDA device.

        AttributeError for what is no tensor.

        >>> import framework as torch
        >>> torch.backends.cudnn.is_acceptable(torch.ones(2))
        False
        """
        kind = str(tensor.dtype).rpartition(".")[2]
        floats = ("float16", "bfloat16", "float32", "float64")
        return self.is_available() and tensor.device.type == "cuda" and kind in floats


class _SDPAParams(NamedTuple):
    """What `backends.cuda.can_use_flash_attention` is asked about."""

    query: Any
    key: Any
    value: Any
    attn_mask: Any
    dropout: float
    is_causal: bool
    enable_gqa: bool


_TOLD = {  # switches of `_Matmul` that are told as they are
    "allow_fp16_reduced_precision_reduction": "float16_reduced",
    "allow_bf16_reduced_precision_reduction": "bfloat16_reduced",
    "allow_fp16_accumulation": "float16_sums",
}


class _Matmul(Backend):
    """`backends.cuda.matmul`: how cuBLAS multiplies matrices on CUDA devices.

    ``allow_tf32``: float32 is multiplied with 10 bits of mantissa, on tensor cores; it is
    ``fp32_precision == "tf32"``, and `set_float32_matmul_precision` sets both.
    ``allow_fp16_reduced_precision_reduction`` and ``allow_bf16_...``: where cuBLAS splits a sum of
    float16 or bfloat16, its parts may be joined in that type. ``allow_fp16_accumulation``: float16
    may be added up in float16.

    RuntimeError for another ``fp32_precision`` than "none", "ieee" and "tf32", and for an
    ``allow_tf32`` that is no bool.
    """

    allow_tf32: bool
    fp32_precision: str

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "allow_tf32":
            if not isinstance(value, bool):
                got = type(value).__name__
                raise RuntimeError(f"set_allow_tf32_cublas expects a bool, but got {got}")
            self.fp32_precision = "tf32" if value else "ieee"
            return
        if name == "fp32_precision":
            if value not in ("none", "ieee", "tf32"):
                if value == "bf16":
                    raise RuntimeError("backend 'cuda' does not support precision 'bf16'")
                raise RuntimeError(f"Unknown precision: {value}")
            self.__dict__["allow_tf32"] = value == "tf32"
            precision.choose(tf32=self.allow_tf32)
        elif name in _TOLD:
            value = bool(value[0] if isinstance(value, tuple) else value)
            precision.choose(**{_TOLD[name]: value})
        super().__setattr__(name, value)


class _Cuda(Backend):
    """`backends.cuda`: matrix products, and which attention kernels may be used."""

    SDPAParams = _SDPAParams

    def __init__(self) -> None:
        super().__init__("cuda")
        self.matmul = _Matmul(
            "cuda.matmul", allow_tf32=False, allow_fp16_reduced_precision_reduction=True,
            allow_bf16_reduced_precision_reduction=True, allow_fp16_accumulation=False,
            fp32_precision="none",
        )  # fmt: skip
        self.cufft_plan_cache = SimpleNamespace(size=0, max_size=0, clear=lambda: None)
        self._attention = {
            "flash": True, "mem_efficient": True, "math": True, "cudnn": True, "reduced": False,
        }  # fmt: skip
        self._library, self._blas, self._flash = "cusolver", "cublas", "default"
        self._workspaces: dict[str, int] = {}

    def is_built(self) -> bool:
        """Whether CUDA arrays can be used: CuPy is there."""
        from framework import cuda

        return cuda.is_available()

    def enable_flash_sdp(self, enabled: bool) -> None:
        """Remember whether flash attention may be used; it never raises."""
        self._attention["flash"] = bool(enabled)

    def enable_mem_efficient_sdp(self, enabled: bool) -> None:
        """Remember whether memory-efficient attention may be used; it never raises."""
        self._attention["mem_efficient"] = bool(enabled)

    def enable_math_sdp(self, enabled: bool) -> None:
        """Remember whether plain attention may be used, which there is; it never raises."""
        self._attention["math"] = bool(enabled)

    def enable_cudnn_sdp(self, enabled: bool) -> None:
        """Remember whether cuDNN's attention may be used; it never raises."""
        self._attention["cudnn"] = bool(enabled)

    def flash_sdp_enabled(self) -> bool:
        """What `enable_flash_sdp` set."""
        return self._attention["flash"]

    def mem_efficient_sdp_enabled(self) -> bool:
        """What `enable_mem_efficient_sdp` set."""
        return self._attention["mem_efficient"]

    def math_sdp_enabled(self) -> bool:
        """What `enable_math_sdp` set."""
        return self._attention["math"]

    def cudnn_sdp_enabled(self) -> bool:
        """What `enable_cudnn_sdp` set."""
        return self._attention["cudnn"]

    def is_flash_attention_available(self) -> bool:
        """False: there is one attention kernel."""
        return False

    def preferred_linalg_library(self, backend: Any = None) -> Any:
        """Remember a preference and return it; it never raises."""
        self._library = backend or self._library
        return self._library

    def preferred_blas_library(self, backend: Any = None) -> Any:
        """Remember a preference and return it; it never raises."""
        self._blas = backend or self._blas
        return self._blas

    def allow_fp16_bf16_reduction_math_sdp(self, enabled: bool) -> None:
        """Remember whether attention may add up halves in halves (no); it never raises."""
        self._attention["reduced"] = bool(enabled)

    def fp16_bf16_reduction_math_sdp_allowed(self) -> bool:
        """What `allow_fp16_bf16_reduction_math_sdp` set."""
        return self._attention["reduced"]

    def can_use_flash_attention(self, params: Any = None, debug: bool = False) -> bool:
        """False: there is one attention kernel; it never raises."""
        return False

    can_use_efficient_attention = can_use_cudnn_attention = can_use_flash_attention

    def is_ck_sdpa_available(self) -> bool:
        """False: there is one attention kernel."""
        return False

    def preferred_rocm_fa_library(self, backend: Any = None) -> Any:
        """Remember a preference and return it; it never raises."""
        self._flash = backend or self._flash
        return self._flash

    def cublas_workspace_size(self, size: int | None = None) -> int:
        """Remember a number of bytes and return it; RuntimeError for a negative one."""
        return self._workspace("cublas", size)

    def cublaslt_workspace_size(self, size: int | None = None) -> int:
        """Remember a number of bytes and return it; RuntimeError for a negative one."""
        return self._workspace("cublaslt", size)

    def blas_workspace_size(self, size: int | None = None, backend: Any = None) -> int:
        """That of ``backend``, or of the preferred library; RuntimeError if negative."""
        return self._workspace(str(backend or self._blas), size)

    def _workspace(self, library: str, size: int | None) -> int:
        if size is not None and size < 0:
            raise RuntimeError(f"workspace size must be non-negative, but got {size}")
        if size is not None:
            self._workspaces[library] = size
        return self._workspaces.get(library, 0)

    def sdp_kernel(
        self, enable_flash: bool = True, enable_math: bool = True,
        enable_mem_efficient: bool = True, enable_cudnn: bool = True,
    ) -> AbstractContextManager[None]:  # fmt: skip
        """Which attention kernels may be used inside of a ``with`` block; FutureWarning.

        `nn.attention.sdpa_kernel` is its successor. It never raises.
        """
        caution(
            "`torch.backends.cuda.sdp_kernel()` is deprecated. In the future, this context manager "
            "will be removed. Please see `torch.nn.attention.sdpa_kernel()` for the new context "
            "manager, with updated signature.",
            FutureWarning,
        )
        return self._allowing(
            flash=enable_flash, math=enable_math, mem_efficient=enable_mem_efficient,
            cudnn=enable_cudnn,
        )  # fmt: skip

    @contextmanager
    def _allowing(self, **kernels: bool) -> Iterator[None]:
        before = dict(self._attention)
        self._attention.update(kernels)
        try:
            yield
        finally:
            self._attention = before


class _Mha:
    """`backends.mha`: PyTorch's inference path of transformer encoders."""

    def __init__(self) -> None:
        self._fast = True

    def get_fastpath_enabled(self) -> bool:
        """Whether padded positions of an encoder's result are zeroed as that path does."""
        return self._fast

    def set_fastpath_enabled(self, value: bool) -> None:
        """Switch that path on or off; a value counts by its truth, it never raises."""
        self._fast = bool(value)


class _Cpu:
    """`backends.cpu`."""

    def get_cpu_capability(self) -> str:
        """The processor's architecture."""
        return platform.machine()


cudnn = _Cudnn(
    "cudnn", enabled=True, benchmark=False, benchmark_limit=10, deterministic=False,
    allow_tf32=True, fp32_precision="none",
)  # fmt: skip
cudnn.conv = Backend("cudnn.conv", fp32_precision="none")  # type: ignore[attr-defined]
cudnn.rnn = Backend("cudnn.rnn", fp32_precision="none")  # type: ignore[attr-defined]
cuda = _Cuda()
mkldnn = Backend("mkldnn", enabled=True, deterministic=False, allow_tf32=True)
mkldnn.matmul = Backend("mkldnn.matmul", fp32_precision="none")  # type: ignore[attr-defined]
mkldnn.conv = Backend("mkldnn.conv", fp32_precision="none")  # type: ignore[attr-defined]
mkl = Backend("mkl")
mps = Backend("mps")
openmp = Backend("openmp")
opt_einsum = Backend("opt_einsum", enabled=True, strategy="auto")
mha = _Mha()
cpu = _Cpu()
nnpack = Backend("nnpack", enabled=True)
miopen = Backend("miopen", immediate=False)
quantized = Backend("quantized", engine="none", supported_engines=["none"])
cusparselt = Backend("cusparselt")
kleidiai = Backend("kleidiai")


# What the methods give: by the object, the lines and what the last one shows.
_EXAMPLES = {
    "cudnn": {
        "is_available": ("is_available()", "False"),
        "version": ("version() is None", "True"),
        "is_acceptable": ("is_acceptable(torch.ones(1))", "False"),
        "verbose": ("verbose(True).__enter__()", ""),
        "set_flags": ("set_flags()[2]", "10"),
        "flags": ("flags(benchmark=True).__enter__()", ""),
    },
    "cuda": {
        "is_built": ("is_built() == torch.cuda.is_available()", "True"),
        **{
            f"enable_{kind}_sdp": (f"enable_{kind}_sdp(True)", "")
            for kind in ("flash", "mem_efficient", "math", "cudnn")
        },
        **{
            f"{kind}_sdp_enabled": (f"{kind}_sdp_enabled()", "True")
            for kind in ("flash", "mem_efficient", "math", "cudnn")
        },
        "is_flash_attention_available": ("is_flash_attention_available()", "False"),
        "is_ck_sdpa_available": ("is_ck_sdpa_available()", "False"),
        "can_use_flash_attention": ("can_use_flash_attention()", "False"),
        "preferred_linalg_library": ("preferred_linalg_library()", "'cusolver'"),
        "preferred_blas_library": ("preferred_blas_library()", "'cublas'"),
        "preferred_rocm_fa_library": ("preferred_rocm_fa_library()", "'default'"),
        "allow_fp16_bf16_reduction_math_sdp": ("allow_fp16_bf16_reduction_math_sdp(False)", ""),
        "fp16_bf16_reduction_math_sdp_allowed": (
            "fp16_bf16_reduction_math_sdp_allowed()", "False",
        ),
        "cublas_workspace_size": ("cublas_workspace_size()", "0"),
        "cublaslt_workspace_size": ("cublaslt_workspace_size()", "0"),
        "blas_workspace_size": ("blas_workspace_size()", "0"),
        "sdp_kernel": ("sdp_kernel(enable_math=False).__enter__()", ""),
    },
    "mha": {
        "get_fastpath_enabled": ("get_fastpath_enabled()", "True"),
        "set_fastpath_enabled": ("set_fastpath_enabled(True)", ""),
    },
    "cpu": {"get_cpu_capability": ("get_cpu_capability() != ''", "True")},
}  # fmt: skip
for _home, _examples in _EXAMPLES.items():
    for _name, (_call, _shown) in _examples.items():
        _method = getattr(type(globals()[_home]), _name)
        _method.__doc__ += (
            f"\n\n        >>> import framework as torch\n"
            f"        >>> torch.backends.{_home}.{_call}\n        {_shown}\n        "
        )


def disable_global_flags() -> None:
    """Accepted: switches can be set all the same.

    >>> import framework as torch
    >>> torch.backends.disable_global_flags()
    """


# They are objects, and yet ``import torch.backends.cudnn as cudnn`` is how scripts get at them.
for _name in set(__all__) - {"Backend", "disable_global_flags"}:
    sys.modules[f"{__name__}.{_name}"] = globals()[_name]
