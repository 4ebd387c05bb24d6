"""How many threads OpenBLAS has, and how they wait.

It is decided before NumPy loads it, so this is imported first.
"""

from __future__ import annotations

import os
import sys

from framework import processors

__all__ = ["BRIEFLY"]

_NAME = "OPENBLAS_THREAD_TIMEOUT"

# After each product they spin for 2^26 cycles, 25 ms, in which whatever else runs in threads has a
# processor less. 2^20 cycles bridge the time to the next product; the user's own setting stands.
if "numpy" not in sys.modules:
    os.environ.setdefault(_NAME, "20")
    if processors.quota():  # which it does not look for
        os.environ.setdefault("OPENBLAS_NUM_THREADS", str(processors.count()))

BRIEFLY = _NAME in os.environ
