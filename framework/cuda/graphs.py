"""CUDA graphs and NVIDIA's management library: refused, in one line each."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = [
    "CUDAGraph", "CUDAPluggableAllocator", "MemPool", "clock_rate", "device_memory_used", "graph",
    "graph_pool_handle", "make_graphed_callables", "memory_usage", "power_draw", "temperature",
    "utilization",
]  # fmt: skip


def _no_graphs(name: str) -> NoReturn:
    raise NotImplementedError(
        f"torch.cuda.{name}: there are no CUDA graphs here; every op runs by itself, so that it "
        "can be looked at"
    )


class CUDAGraph:
    """Refused with NotImplementedError: ops are not recorded to be replayed.

    >>> import framework as torch
    >>> torch.cuda.CUDAGraph()
    Traceback (most recent call last):
        ...
    NotImplementedError: torch.cuda.CUDAGraph: there are no CUDA graphs here; ...
    """

    def __init__(self, keep_graph: bool = False) -> None:
        _no_graphs("CUDAGraph")


class graph:
    """Refused with NotImplementedError, as `CUDAGraph` is.

    >>> import framework as torch
    >>> torch.cuda.graph(None)
    Traceback (most recent call last):
        ...
    NotImplementedError: torch.cuda.graph: there are no CUDA graphs here; ...
    """

    def __init__(self, cuda_graph: Any = None, *args: Any, **options: Any) -> None:
        _no_graphs("graph")


def graph_pool_handle() -> NoReturn:
    """Refused with NotImplementedError, as `CUDAGraph` is.

    >>> import framework as torch
    >>> torch.cuda.graph_pool_handle()
    Traceback (most recent call last):
        ...
    NotImplementedError: torch.cuda.graph_pool_handle: there are no CUDA graphs here; ...
    """
    _no_graphs("graph_pool_handle")


def make_graphed_callables(*args: Any, **options: Any) -> NoReturn:
    """Refused with NotImplementedError, as `CUDAGraph` is.

    >>> import framework as torch
    >>> torch.cuda.make_graphed_callables(abs, ())
    Traceback (most recent call last):
        ...
    NotImplementedError: torch.cuda.make_graphed_callables: there are no CUDA graphs here; ...
    """
    _no_graphs("make_graphed_callables")


class MemPool:
    """Refused with NotImplementedError: all tensors share a pool.

    >>> import framework as torch
    >>> torch.cuda.MemPool()
    Traceback (most recent call last):
        ...
    NotImplementedError: torch.cuda.MemPool: there is one pool of memory, CuPy's
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        raise NotImplementedError("torch.cuda.MemPool: there is one pool of memory, CuPy's")


class CUDAPluggableAllocator:
    """Refused with NotImplementedError: no library is loaded.

    >>> import framework as torch
    >>> torch.cuda.CUDAPluggableAllocator("alloc.so", "malloc", "free")
    Traceback (most recent call last):
        ...
    NotImplementedError: torch.cuda.CUDAPluggableAllocator: no code is loaded for memory here; ...
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        raise NotImplementedError(
            "torch.cuda.CUDAPluggableAllocator: no code is loaded for memory here; CuPy has the "
            "pool"
        )


def _no_management(name: str, what: str) -> Any:
    def ask(device: Any = None) -> NoReturn:
        raise ModuleNotFoundError(
            "nvidia-ml-py does not seem to be installed or it can't be imported."
        )

    ask.__name__ = ask.__qualname__ = name
    ask.__doc__ = f"""{what}: refused, since NVIDIA's management library is not used here.

    ModuleNotFoundError, which PyTorch raises where that library is not installed.

    >>> import framework as torch
    >>> torch.cuda.{name}()
    Traceback (most recent call last):
        ...
    ModuleNotFoundError: nvidia-ml-py does not seem to be installed or it can't be imported.
    """
    return ask


utilization = _no_management("utilization", "How busy a device is, in percent")
memory_usage = _no_management("memory_usage", "How busy a device's memory is, in percent")
temperature = _no_management("temperature", "A device's temperature in degrees Celsius")
power_draw = _no_management("power_draw", "A device's power in milliwatts")
clock_rate = _no_management("clock_rate", "A device's clock in megahertz")
device_memory_used = _no_management(
    "device_memory_used", "Bytes of a device that all processes use"
)
