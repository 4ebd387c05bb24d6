"""``cupy.cuda.runtime``: one device of capability 9.0."""

from __future__ import annotations

from typing import Any


def getDeviceCount() -> int:
    return 1


def driverGetVersion() -> int:
    return 12080


def runtimeGetVersion() -> int:
    return 12080


def deviceCanAccessPeer(a: int, b: int) -> int:
    return 1


def getDeviceProperties(index: int) -> dict[str, Any]:
    return {
        "name": b"a stand-in for a GPU", "major": 9, "minor": 0, "totalGlobalMem": 80 << 30,
        "multiProcessorCount": 132, "warpSize": 32, "maxThreadsPerMultiProcessor": 2048,
        "regsPerMultiprocessor": 65536, "l2CacheSize": 50 << 20, "integrated": 0,
        "isMultiGpuBoard": 0,
    }  # fmt: skip
