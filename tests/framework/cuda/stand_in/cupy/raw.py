"""``RawModule``: the text of kernels as C++ for the host (``host.h``)."""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

_FLAGS = [
    "-std=c++17",
    "-O1",
    "-fPIC",
    "-shared",
    "-ffp-contract=off",
    "-fno-strict-aliasing",
    "-w",
]
_folder = tempfile.TemporaryDirectory(prefix="tapebook-raw-")  # unless somebody else has one


class RawModule:
    def __init__(self, *, code: str, options: tuple[str, ...] = ()) -> None:
        kinds = [o for o in options if o.startswith("-D")]
        text = f'#include "{Path(__file__).parents[2] / "host.h"}"\n{code}'
        base = Path(
            os.environ.get("STAND_IN_CACHE", _folder.name),
            hashlib.sha1((text + str(kinds)).encode()).hexdigest()[:12],
        )
        if not base.with_suffix(".so").exists():
            base.with_suffix(".cpp").write_text(text)
            command = ["g++", *_FLAGS, *kinds, f"{base}.cpp", "-o", f"{base}.so"]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        self._library = ctypes.CDLL(f"{base}.so")

    def get_function(self, name: str) -> Any:
        call = getattr(self._library, f"{name}_host")

        def kernel(grid: Any, block: Any, args: Any, *, shared_mem: int = 0) -> None:
            import cupy

            words = (ctypes.c_ulonglong * len(args))()
            for i, a in enumerate(args):
                if isinstance(a, cupy.ndarray):
                    words[i] = a.data.ptr
                else:
                    assert isinstance(a, np.generic) and a.dtype.itemsize == 8, (name, i, a)
                    words[i] = int(a.view(np.uint64))
            takes = call(
                ctypes.c_longlong(grid[0]), ctypes.c_longlong(block[0]), words, len(args), 0
            )
            assert takes == len(args), f"{name} takes {takes} arguments, got {len(args)}"

        return kernel
