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
    """Refused."""

    def __init__(self, keep_graph: bool = False) -> None:
        _no_graphs("CUDAGraph")


class graph:
    """Refused."""

    def __init__(self, cuda_graph: Any = None, *args: Any, **options: Any) -> None:
        _no_graphs("graph")


def graph_pool_handle() -> NoReturn:
    """Refused."""
    _no_graphs("graph_pool_handle")


def make_graphed_callables(*args: Any, **options: Any) -> NoReturn:
    """Refused."""
    _no_graphs("make_graphed_callables")


class MemPool:
    """Refused."""

    def __init__(self, *args: Any, **options: Any) -> None:
        raise NotImplementedError("torch.cuda.MemPool: there is one pool of memory, CuPy's")


class CUDAPluggableAllocator:
    """Refused."""

    def __init__(self, *args: Any, **options: Any) -> None:
        raise NotImplementedError(
            "torch.cuda.CUDAPluggableAllocator: no code is loaded for memory here; CuPy has the "
            "pool"
        )


def _no_management(name: str) -> Any:
    def ask(device: Any = None) -> NoReturn:
        raise ModuleNotFoundError(
            "nvidia-ml-py does not seem to be installed or it can't be imported."
        )

    ask.__name__ = ask.__qualname__ = name
    ask.__doc__ = "Refused: NVIDIA's management library is not used here."
    return ask


utilization = _no_management("utilization")
memory_usage = _no_management("memory_usage")
temperature = _no_management("temperature")
power_draw = _no_management("power_draw")
clock_rate = _no_management("clock_rate")
device_memory_used = _no_management("device_memory_used")
