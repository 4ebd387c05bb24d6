"""`__config__`: what this was built with, for reports of faults.

>>> import framework as torch
>>> torch.__config__.show().splitlines()[0]
'Tapebook ...'
"""

from __future__ import annotations

import platform

import numpy as np

from framework.device import cuda_problem
from framework.flags import get_num_threads
from framework.version import __version__, tapebook

__all__ = ["parallel_info", "show"]


def show() -> str:
    """Versions of what computes."""
    lines = [
        f"Tapebook {tapebook} (as PyTorch {__version__.partition('+')[0]})",
        f"  - Python {platform.python_version()} on {platform.machine()}",
        f"  - NumPy {np.__version__}",
        f"  - CUDA: {cuda_problem() or 'available'}",
    ]
    return "\n".join(lines) + "\n"


def parallel_info() -> str:
    """Number of threads."""
    return f"get_num_threads() : {get_num_threads()}\n"
