"""Switches of the whole package that PyTorch has: precision, determinism, threads.

Computation here is in full precision, but on CUDA devices for convolutions of float32 by cuDNN
(`backends.cudnn.allow_tf32`) and products of it where that is allowed
(`set_float32_matmul_precision`), and deterministic but for these and sums by an index there
(`use_deterministic_algorithms`): the other switches are checked, remembered and change nothing.
Compiled kernels use as many threads as `set_num_threads` says.
"""

from __future__ import annotations

from typing import Any

from framework import backends, cautions, processors
from framework.kernels import compiled, cuda

__all__ = [
    "are_deterministic_algorithms_enabled", "get_deterministic_debug_mode",
    "get_float32_matmul_precision", "get_num_interop_threads", "get_num_threads",
    "init_num_threads",
    "is_deterministic_algorithms_warn_only_enabled", "is_vulkan_available",
    "is_warn_always_enabled",
    "set_deterministic_debug_mode", "set_float32_matmul_precision", "set_flush_denormal",
    "set_num_interop_threads", "set_num_threads", "set_warn_always",
    "use_deterministic_algorithms",
]  # fmt: skip


class _Flags:
    precision = "highest"
    deterministic = False
    warn_only = False
    threads = 0
    interop_threads = 0
    warn_always = False


_PRECISIONS = ("highest", "high", "medium")
_MODES = ("default", "warn", "error")


def set_float32_matmul_precision(precision: str) -> None:
    """How exactly float32 is multiplied on CUDA devices: "highest", "high" or "medium".

    With "highest", as it is at first, with all bits. Else with 10 bits of mantissa on tensor cores
    (TF32), as with ``backends.cuda.matmul.allow_tf32 = True``. On the CPU always with all bits.

    RuntimeError for another word.

    >>> import framework as torch
    >>> torch.set_float32_matmul_precision("high")
    >>> torch.get_float32_matmul_precision()
    'high'
    """
    if precision not in _PRECISIONS:
        raise RuntimeError(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the current"
            "setFloat32MatmulPrecision call has no effect."
        )
    _Flags.precision = precision
    backends.cuda.matmul.fp32_precision = "ieee" if precision == "highest" else "tf32"


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` set, or ``backends.cuda.matmul``; "highest" at first.

    >>> import framework as torch
    >>> torch.set_float32_matmul_precision("highest")
    >>> torch.get_float32_matmul_precision()
    'highest'
    """
    if backends.cuda.matmul.allow_tf32 == (_Flags.precision == "highest"):  # set there
        _Flags.precision = "high" if backends.cuda.matmul.allow_tf32 else "highest"
    return _Flags.precision


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Let sums by an index on CUDA devices be added up in their order: the same in every run.

    All else is deterministic anyway.

    TypeError for what is no bool.

    >>> import framework as torch
    >>> torch.use_deterministic_algorithms(True)
    >>> torch.are_deterministic_algorithms_enabled()
    True
    """
    for name, value in (("mode", mode), ("warn_only", warn_only)):
        if value.__class__ is not bool:
            got = type(value).__name__
            raise TypeError(
                f"use_deterministic_algorithms(): argument '{name}' must be bool, not {got}"
            )
    _Flags.deterministic, _Flags.warn_only = mode, warn_only
    cuda.deterministic = _Flags.deterministic


def are_deterministic_algorithms_enabled() -> bool:
    """What `use_deterministic_algorithms` set, False at first.

    >>> import framework as torch
    >>> torch.use_deterministic_algorithms(False)
    >>> torch.are_deterministic_algorithms_enabled()
    False
    """
    return _Flags.deterministic


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether `use_deterministic_algorithms` was last called with ``warn_only``.

    >>> import framework as torch
    >>> torch.use_deterministic_algorithms(False)
    >>> torch.is_deterministic_algorithms_warn_only_enabled()
    False
    """
    return _Flags.warn_only


def set_deterministic_debug_mode(debug_mode: Any) -> None:
    """`use_deterministic_algorithms` by "default" (or 0), "warn" (1) or "error" (2).

    RuntimeError for another value, TypeError for another type.

    >>> import framework as torch
    >>> torch.set_deterministic_debug_mode("warn")
    >>> torch.is_deterministic_algorithms_warn_only_enabled()
    True
    >>> torch.set_deterministic_debug_mode("default")
    """
    if not isinstance(debug_mode, (int, str)):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    if isinstance(debug_mode, str):
        if debug_mode not in _MODES:
            raise RuntimeError(
                "invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got "
                f"{debug_mode}"
            )
        debug_mode = _MODES.index(debug_mode)
    if debug_mode not in (0, 1, 2):
        raise RuntimeError(
            f"invalid value of debug_mode, expected 0, 1, or 2, but got {debug_mode}"
        )  # fmt: skip
    use_deterministic_algorithms(debug_mode > 0, warn_only=debug_mode == 1)


def get_deterministic_debug_mode() -> int:
    """0, 1 or 2: see `set_deterministic_debug_mode`.

    >>> import framework as torch
    >>> torch.set_deterministic_debug_mode("default")
    >>> torch.get_deterministic_debug_mode()
    0
    """
    return (1 if _Flags.warn_only else 2) if _Flags.deterministic else 0


def _check_threads(name: str, count: Any) -> int:
    if not isinstance(count, int) or isinstance(count, bool):
        raise RuntimeError(f"{name} expects an int, but got {type(count).__name__}")
    if count <= 0:
        raise RuntimeError(f"{name} expects a positive integer")
    return count


def set_num_threads(num: int) -> None:
    """How many threads compiled kernels may use.

    For products of matrices NumPy's BLAS takes its own from the environment; only where NumPy was
    loaded before Tapebook, large ones of float32 are shared out over these threads.

    RuntimeError unless it is a positive int.

    >>> import framework as torch
    >>> before = torch.get_num_threads()
    >>> torch.set_num_threads(2)
    >>> torch.get_num_threads()
    2
    >>> torch.set_num_threads(before)
    """
    _Flags.threads = _check_threads("set_num_threads", num)
    compiled.set_threads(num)


def get_num_threads() -> int:
    """What `set_num_threads` set, else the processors that affinity and quota leave.

    >>> import framework as torch
    >>> torch.get_num_threads() > 0
    True
    """
    return _Flags.threads or processors.count()


def set_num_interop_threads(num: int) -> None:
    """Remember a number of threads; ops run one after the other here.

    RuntimeError unless it is positive, TypeError unless it is an int.

    >>> import framework as torch
    >>> torch.set_num_interop_threads(torch.get_num_interop_threads())
    """
    _Flags.interop_threads = _check_threads("set_num_interop_threads", num)


def get_num_interop_threads() -> int:
    """What `set_num_interop_threads` set, else the processors that affinity and quota leave.

    >>> import framework as torch
    >>> torch.get_num_interop_threads() > 0
    True
    """
    return _Flags.interop_threads or processors.count()


def set_flush_denormal(mode: bool) -> bool:
    """Asked to take denormal numbers for zero, says False: they are always computed with.

    It never raises.

    >>> import framework as torch
    >>> torch.set_flush_denormal(False)
    False
    >>> torch.tensor(1e-310, dtype=torch.float64) > 0
    tensor(True)
    """
    return False


def set_warn_always(b: bool) -> None:
    """Whether warnings that are given once in a program are given each time.

    TypeError unless it is a bool.

    >>> import framework as torch
    >>> torch.set_warn_always(True)
    >>> torch.is_warn_always_enabled()
    True
    >>> torch.set_warn_always(False)
    """
    if not isinstance(b, bool):
        raise TypeError(f"setWarnOnlyOnce expects a bool, but got {type(b).__name__}")
    _Flags.warn_always = cautions.always = b


def is_warn_always_enabled() -> bool:
    """What `set_warn_always` set, False at first.

    >>> import framework as torch
    >>> torch.set_warn_always(False)
    >>> torch.is_warn_always_enabled()
    False
    """
    return _Flags.warn_always


def init_num_threads() -> None:
    """Nothing to do: each call decides about its threads by itself.

    >>> import framework as torch
    >>> torch.init_num_threads()
    """


def is_vulkan_available() -> bool:
    """Whether Vulkan, a way to graphics processors, can be used: never.

    >>> import framework as torch
    >>> torch.is_vulkan_available()
    False
    """
    return False
