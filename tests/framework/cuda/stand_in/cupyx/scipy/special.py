"""What CuPy has of SciPy's special functions, on the arrays of the stand-in."""

from __future__ import annotations

from typing import Any

import cupy
from scipy import special


def __getattr__(name: str) -> Any:
    if name not in cupy._NAMES["special"]:
        raise AttributeError(f"module 'cupyx.scipy.special' has no attribute {name!r}")
    return cupy._function(name, special, "special")
