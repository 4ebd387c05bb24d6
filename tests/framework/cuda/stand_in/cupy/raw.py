"""``RawModule``: the text of kernels as C++ for the host (``host.h``)."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parents[2]))
from host_compiler import shared_library


class RawModule:
    def __init__(self, *, code: str, options: tuple[str, ...] = ()) -> None:
        kinds = [o for o in options if o.startswith("-D")]
        self._library = ctypes.CDLL(str(shared_library(code, "-O1", *kinds)))

    def get_function(self, name: str) -> Any:
        call = getattr(self._library, f"{name}_host")

        def kernel(grid: Any, block: Any, args: Any, *, shared_mem: int = 0) -> None:
            import cupy

            words = (ctypes.c_ulonglong * len(args))()
            for i, a in enumerate(args):
                if isinstance(a, cupy.ndarray):
                    words[i] = a.data.ptr
                elif a.__class__ is int:
                    words[i] = a & (1 << 64) - 1
                else:
                    a = np.float64(a) if a.__class__ is float else a
                    assert isinstance(a, np.generic) and a.dtype.itemsize == 8, (name, i, a)
                    words[i] = int(a.view(np.uint64))
            takes = call(
                ctypes.c_longlong(grid[0]), ctypes.c_longlong(block[0]), words, len(args), 0
            )
            cupy.counts.launches += 1
            assert takes == len(args), f"{name} takes {takes} arguments, got {len(args)}"

        return kernel
