"""Which CUDA devices there are, which is the current one, and what they can do."""

from __future__ import annotations

import importlib
import os
from typing import Any, NamedTuple

from framework.device import (
    bfloat16_problem,
    cuda_problem,
    default,
    existing,
    first_words,
    is_fake_cuda,
)
from framework.device import device as Device
from framework.kernels.pool import physical

__all__ = [
    "can_device_access_peer", "current_device", "device", "device_of", "driver_version",
    "get_arch_list", "get_device_capability", "get_device_module", "get_device_name",
    "get_device_properties", "get_gencode_flags", "index_of", "init", "is_available",
    "is_bf16_supported", "is_initialized", "is_tf32_supported", "libraries", "need", "real",
    "set_device", "synchronize", "use",
]  # fmt: skip


def is_available() -> bool:
    """Whether there is a CUDA device (or the fake one); never an error.

    >>> import framework as torch
    >>> device = "cuda" if torch.cuda.is_available() else "cpu"
    >>> torch.zeros(1, device=device).device.type
    'cuda'
    """
    return not cuda_problem()


def need() -> None:
    """Raise AssertionError, as PyTorch does, if there is no CUDA device."""
    if problem := cuda_problem():
        raise AssertionError(f"Torch not compiled with CUDA enabled: {problem}")


def real() -> Any:
    """The module ``cupy``; None where CUDA is the fake one, or is not there."""
    if cuda_problem() or is_fake_cuda():
        return None
    import cupy

    return cupy


def driver_version() -> int:
    """The CUDA version that the driver is for, 12080 for 12.8; 0 without one. Needs CuPy.

    ImportError without it, and CuPy's own errors.
    """
    import cupy

    return int(cupy.cuda.runtime.driverGetVersion())


def libraries() -> dict[str, str]:
    """What of NVIDIA's libraries fails on the current device, and why; tried with a few numbers.

    Empty where all work, and without a real device.
    """
    cupy = real()
    if cupy is None:
        return {}
    from framework.kernels.cuda import pointwise, products

    two = cupy.ones((2, 2), cupy.float32)
    tries = {
        "NVRTC": lambda: pointwise.relu(two),
        "cuBLAS": lambda: products.matmul(two, two),
        "cuSOLVER": lambda: cupy.linalg.inv(cupy.eye(2, dtype=cupy.float32)),
        "cuFFT": lambda: cupy.fft.fft(two),
    }
    failed: dict[str, str] = {}
    for name, call in tries.items():
        try:
            call().get()
        except Exception as error:  # CuPy raises its own type for each of them
            failed[name] = first_words(error)
    return failed


def index_of(value: Any = None) -> int:
    """The number of a device: of the current one for None and for "cuda".

    Raises:
        AssertionError: there is no CUDA device.
        ValueError: it is another kind of device.
        RuntimeError: there is no device of this number.
    """
    need()
    if value is None or value == "cuda":
        return default.cuda
    if isinstance(value, int):
        return existing(Device("cuda", value)).index or 0
    found = Device(value)
    if found.type != "cuda":
        raise ValueError(f"Expected a cuda device, but got: {found}")
    return existing(found).index or 0


def init() -> None:
    """Nothing to do; raises AssertionError if there is no CUDA device.

    >>> import framework as torch
    >>> torch.cuda.init()
    """
    need()


def is_initialized() -> bool:
    """Whether there is a CUDA device: it needs no preparation.

    >>> import framework as torch
    >>> torch.cuda.is_initialized()
    True
    """
    return is_available()


def current_device() -> int:
    """Index of the device that "cuda" means, 0 at first. AssertionError without a CUDA device.

    >>> import framework as torch
    >>> torch.cuda.current_device()
    0
    """
    need()
    return default.cuda


def use(index: int) -> None:
    """Make a device the current one, here and for CuPy."""
    default.cuda = index
    if cupy := real():
        cupy.cuda.Device(index).use()


def set_device(device: Any) -> None:
    """Let "cuda" without a number mean ``device``; a negative number changes nothing.

    A device is an int, a string or a `torch.device`. RuntimeError if there is none of this number,
    AssertionError without a CUDA device.

    >>> import framework as torch
    >>> torch.cuda.set_device(1)
    >>> torch.zeros(1, device="cuda").device
    device(type='cuda', index=1)
    >>> torch.cuda.set_device("cuda:0")
    """
    if not (isinstance(device, int) and device < 0):
        use(index_of(device))


class device:
    """Within it, "cuda" means another device; for None and negative numbers nothing changes.

    >>> import framework as torch
    >>> with torch.cuda.device(1):
    ...     torch.cuda.current_device()
    1
    >>> torch.cuda.current_device()
    0
    """

    def __init__(self, device: Any) -> None:
        skip = device is None or (isinstance(device, int) and device < 0)
        self.idx = -1 if skip else index_of(device)
        self.prev_idx = -1

    def __enter__(self) -> None:
        if self.idx >= 0:
            self.prev_idx = default.cuda
            use(self.idx)

    def __exit__(self, *exc: object) -> None:
        if self.idx >= 0:
            use(self.prev_idx)


class device_of(device):
    """Within it, "cuda" means the device of a tensor or storage, if it is on one.

    >>> import framework as torch
    >>> with torch.cuda.device_of(torch.zeros(2, device="cuda:1")):
    ...     torch.zeros(1, device="cuda").device
    device(type='cuda', index=1)
    """

    def __init__(self, obj: Any) -> None:
        super().__init__(obj.device if obj.is_cuda else None)


class _Properties(NamedTuple):
    """What a device is."""

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int
    warp_size: int = 32
    max_threads_per_multi_processor: int = 0
    regs_per_multiprocessor: int = 0
    L2_cache_size: int = 0
    is_integrated: int = 0
    is_multi_gpu_board: int = 0

    def __repr__(self) -> str:
        return (
            f"_CudaDeviceProperties(name='{self.name}', major={self.major}, minor={self.minor}, "
            f"total_memory={self.total_memory // 2**20}MB, "
            f"multi_processor_count={self.multi_processor_count}, "
            f"L2_cache_size={self.L2_cache_size // 2**20}MB)"
        )


def get_device_properties(device: Any = None) -> _Properties:
    """Name, capability (``major``, ``minor``), ``total_memory`` in bytes, ... of a device.

    The current one by default; the fake one has the host's memory.

    Raises:
        AssertionError: there is no CUDA device.

    >>> import framework as torch
    >>> found = torch.cuda.get_device_properties(0)
    >>> found.name, found.major, found.warp_size
    ('fake CUDA device (NumPy)', 8, 32)
    """
    index = index_of(device)
    cupy = real()
    if cupy is None:
        memory = physical() or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return _Properties("fake CUDA device (NumPy)", 8, 0, memory, os.cpu_count() or 1)
    found = cupy.cuda.runtime.getDeviceProperties(index)
    return _Properties(
        found["name"].decode(), found["major"], found["minor"], found["totalGlobalMem"],
        found["multiProcessorCount"], found["warpSize"], found["maxThreadsPerMultiProcessor"],
        found["regsPerMultiprocessor"], found["l2CacheSize"], found["integrated"],
        found["isMultiGpuBoard"],
    )  # fmt: skip


def get_device_name(device: Any = None) -> str:
    """The device's name, as its driver gives it; of the current device by default.

    AssertionError without CUDA, RuntimeError for a device that is not there.

    >>> import framework as torch
    >>> torch.cuda.get_device_name()
    'fake CUDA device (NumPy)'
    """
    return get_device_properties(device).name


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """(major, minor) number of the device's capability; of the current device by default.

    AssertionError without CUDA, RuntimeError for a device that is not there.

    >>> import framework as torch
    >>> torch.cuda.get_device_capability()
    (8, 0)
    """
    found = get_device_properties(device)
    return found.major, found.minor


def can_device_access_peer(device: Any, peer_device: Any) -> bool:
    """Whether a device can read the memory of another; not of itself.

    AssertionError without CUDA, RuntimeError for a device that is not there.

    >>> import framework as torch
    >>> torch.cuda.can_device_access_peer(0, 1), torch.cuda.can_device_access_peer(0, 0)
    (True, False)
    """
    pair = index_of(device), index_of(peer_device)
    cupy = real()
    return pair[0] != pair[1] and (
        cupy is None or bool(cupy.cuda.runtime.deviceCanAccessPeer(*pair))
    )


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether bfloat16 can be used on the device; False without one, and with a CuPy before 14.

    Args:
        including_emulation: else only where the device has it, from capability 8.0 on.

    It never raises.

    >>> import framework as torch
    >>> torch.cuda.is_bf16_supported()
    True
    """
    if not is_available() or bfloat16_problem():
        return False
    return including_emulation or get_device_capability()[0] >= 8


def is_tf32_supported() -> bool:
    """Whether the device has TF32 (from capability 8.0 on), which `backends` may allow or not.

    >>> import framework as torch
    >>> torch.cuda.is_tf32_supported()
    True
    """
    return is_available() and get_device_capability()[0] >= 8


def get_arch_list() -> list[str]:
    """The architectures that kernels were compiled for beforehand: none, CuPy compiles them.

    >>> import framework as torch
    >>> torch.cuda.get_arch_list()
    []
    """
    return []


def get_gencode_flags() -> str:
    """The compiler's flags for `get_arch_list`: empty.

    >>> import framework as torch
    >>> torch.cuda.get_gencode_flags()
    ''
    """
    return ""


def synchronize(device: Any = None) -> None:
    """Wait until a device (the current one) has done all its work: before a clock is read.

    AssertionError without a CUDA device.

    >>> import framework as torch
    >>> y = torch.ones(2, device="cuda") * 2
    >>> torch.cuda.synchronize()
    """
    index = index_of(device)
    if cupy := real():
        cupy.cuda.Device(index).synchronize()


def get_device_module(device: Any = None) -> Any:
    """The module of a kind of device, such as ``torch.cuda``; None: of the one that is there.

    RuntimeError for a kind that there is no module of.

    >>> import framework as torch
    >>> torch.get_device_module("cpu").current_device()
    'cpu'
    """
    if device is None:
        device = "cuda" if is_available() else "cpu"
    kind = device.type if isinstance(device, Device) else str(device).partition(":")[0]
    if kind not in ("cpu", "cuda", "mps", "mtia", "xpu"):
        raise RuntimeError(f"Invalid device '{kind}': there is no module of that name")
    return importlib.import_module(f"framework.{kind}")
