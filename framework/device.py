"""Devices: ``cpu``, ``cuda`` through CuPy, a fake ``cuda`` for machines without a GPU, ``meta``.

With ``TAPEBOOK_FAKE_CUDA=1`` (or a number of devices) in the environment, the device ``cuda``
exists everywhere and computes with NumPy: every rule about devices can then be tested.

A tensor on ``meta`` has a shape, strides and a dtype, but no memory and no numbers: a model of any
size can be built and run there to see what comes out of what (`framework.kernels.meta`).
"""

from __future__ import annotations

import functools
import os
import re
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar

__all__ = [
    "CPU", "META", "bfloat16_problem", "cuda_problem", "default", "device", "device_count",
    "existing", "first_words", "get_default_device", "is_fake_cuda", "set_default_device",
]  # fmt: skip


class device:
    """Where a tensor lives: ``device("cpu")``, ``device("cuda", 0)``, ``device("cuda:1")``.

    Equal devices are one object, so they are compared by identity. "cuda" without a number is none
    of the numbered ones: the current device stands for it where a tensor is made; one that is made
    on "cpu:0" is on "cpu". As a context
    manager or a decorator it is where tensors are made that are not told where.

    RuntimeError for a kind that is neither "cpu", "cuda" nor "meta" and for a number that is none;
    whether the device is there matters only when it is used.

    >>> from framework.device import device
    >>> device("cuda", 1) is device("cuda:1"), device("cuda") == device("cuda:0")
    (True, False)
    >>> with device("cpu"):
    ...     get_default_device()
    device(type='cpu')
    >>> import framework as torch
    >>> with device("meta"):  # a model too large for any memory
    ...     layer = torch.nn.Linear(200_000, 200_000)
    >>> layer(torch.zeros(4, 200_000, device="meta"))
    tensor(..., device='meta', size=(4, 200000), grad_fn=<AddmmBackward0>)
    """

    __slots__ = ("index", "name", "type")
    _known: ClassVar[dict[tuple[str, int | None], device]] = {}
    type: str
    index: int | None
    name: str  # "cpu", "cuda:0"

    def __new__(cls, type: Any, index: int | None = None) -> device:
        if isinstance(type, device):
            return type
        if not isinstance(type, (str, int)) or isinstance(type, bool):
            raise TypeError(f"device(): argument 'type' must be str, not {type.__class__.__name__}")
        if index is not None and not isinstance(index, int):
            raise TypeError(
                "device(): argument 'index' (position 2) must be int, not "
                f"{index.__class__.__name__}"
            )
        if isinstance(type, int):
            type, index = "cuda", type
        if index is not None and index < 0:
            raise RuntimeError(f"Device index must not be negative, but got {index}")
        name, colon, number = str(type).partition(":")
        if colon:
            if index is not None or not number.isdigit():
                raise RuntimeError(f"Invalid device string: '{type}'")
            index = int(number)
        if name not in ("cpu", "cuda", "meta"):
            raise RuntimeError(
                f"Expected one of cpu, cuda, meta device type at start of device: {type}"
            )
        found = cls._known.get((name, index))
        if found is None:
            found = cls._known[name, index] = object.__new__(cls)
            found.type, found.index = name, index
            found.name = name if index is None else f"{name}:{index}"
        return found

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{index})"

    def __reduce__(self) -> tuple[Any, ...]:
        return device, (self.type, self.index)

    def __enter__(self) -> device:
        default.outer.append(default.device)
        default.device = existing(self)
        return self

    def __exit__(self, *exc: object) -> None:
        default.device = default.outer.pop()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*args: Any, **options: Any) -> Any:
            with self:
                return function(*args, **options)

        return wrapped


CPU = device("cpu")
META = device("meta")


class _Default(threading.local):
    """Where tensors are made that are not told where; per thread, as in PyTorch."""

    device = CPU
    cuda = 0  # index of the device that "cuda" without one means

    def __init__(self) -> None:
        self.outer: list[Any] = []  # of the device contexts that are entered


default = _Default()


def get_default_device() -> device:
    """Where `zeros`, `tensor`, ... make tensors unless told otherwise: the CPU at first.

    >>> import framework as torch
    >>> torch.get_default_device()
    device(type='cpu')
    >>> with torch.device("cpu"):
    ...     torch.get_default_device()
    device(type='cpu')
    """
    return default.device


def set_default_device(device: Any) -> None:
    """Let `zeros`, `tensor`, ... make tensors on ``device``; None: the CPU again.

    AssertionError if there is no CUDA device, RuntimeError for another kind.

    >>> import framework as torch
    >>> torch.set_default_device("cpu")
    >>> torch.get_default_device()
    device(type='cpu')
    """
    default.device = CPU if device is None else existing(device)


def existing(value: Any) -> device:
    """A device that exists, from what a user gave for it.

    Raises:
        RuntimeError: there is no such device here.
    """
    found = device(value)
    if found.type == "cuda":
        found = found if found.index is not None else device("cuda", default.cuda)
        problem = cuda_problem()
        if problem.startswith("CuPy is not installed") and not isinstance(value, int):
            # The kind and the words of a PyTorch without CUDA.
            raise AssertionError(
                f"Torch not compiled with CUDA enabled ({found}: {problem}; to try this without a "
                "GPU, set TAPEBOOK_FAKE_CUDA=1 in the environment)"
            )
        if problem:
            raise RuntimeError(f"device {found}: {problem}")
        if (found.index or 0) >= (count := device_count()):
            devices = "CUDA device" + "s" * (count != 1)
            raise RuntimeError(f"device {found}: only {count} {devices} available")
    return found if found.type == "cuda" else META if found.type == "meta" else CPU


def is_fake_cuda() -> bool:
    """Whether ``cuda`` is NumPy under another name."""
    return bool(_fake_count())


@cache
def _fake_count() -> int:
    text = os.environ.get("TAPEBOOK_FAKE_CUDA", "")
    return int(text) if text.isdigit() else int(bool(text))


@cache
def cuda_problem() -> str:
    """Why there is no ``cuda`` device, in one line; empty if there is one."""
    if is_fake_cuda():
        return ""
    try:
        import cupy
    except ModuleNotFoundError as error:
        if error.name == "cupy":
            return "CuPy is not installed (pip install 'tapebook[cuda12]')"
        return f"CuPy cannot be imported: {first_words(error)}"
    except ImportError as error:  # CuPy's own text begins with advice, and ends with the reason
        return f"CuPy cannot be imported: {first_words(error.__cause__ or error)}"
    except AttributeError:  # before 13.2 it asks NumPy for what NumPy 2 has not
        return "CuPy is for NumPy 1: pip install -U 'tapebook[cuda12]' (CuPy 13.2 or newer)"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # CuPy raises its own type for each broken part of a CUDA install
        return f"CuPy found no usable GPU: {first_words(error)}"
    if not count:
        return "CuPy found no GPU"
    from framework.kernels import allocations

    allocations.pool()  # is counted from the first array on
    return ""


@cache
def bfloat16_problem() -> str:
    """Why a ``cuda`` device has no bfloat16, and what to do about it, in one line; empty if it has.

    CuPy has it from 14 on, with NumPy from 2.1.2 on; everything else works with 13, too.
    """
    if cuda_problem() or is_fake_cuda():
        return ""
    import cupy
    import numpy

    if int(cupy.__version__.partition(".")[0]) < 14:
        extra = f"cuda{cupy.cuda.runtime.runtimeGetVersion() // 1000}"
        return (
            f"CuPy {cupy.__version__} has no bfloat16: pip install -U 'tapebook[{extra}]' "
            "(CuPy 14 or newer)"
        )
    if tuple(map(int, re.findall(r"\d+", numpy.__version__)[:3])) < (2, 1, 2):
        return (
            f"CuPy {cupy.__version__} has no bfloat16 with NumPy {numpy.__version__}: "
            "pip install -U numpy (2.1.2 or newer)"
        )
    return ""


def first_words(error: BaseException) -> str:
    """The first line of an error that has words: CuPy's begin with rulers."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line.strip("=-")), type(error).__name__)


def device_count() -> int:
    """Number of ``cuda`` devices; 0 without CUDA, never an error.

    >>> import framework as torch
    >>> torch.cuda.is_available() == (torch.cuda.device_count() > 0)
    True
    """
    if cuda_problem():
        return 0
    if is_fake_cuda():
        return _fake_count()
    import cupy

    return int(cupy.cuda.runtime.getDeviceCount())
