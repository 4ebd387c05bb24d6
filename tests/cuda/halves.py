"""The op table on a device in float16 and bfloat16, if its CuPy has that."""

from __future__ import annotations

import subprocess
import sys

from framework.device import bfloat16_problem

__all__ = ["main"]

_TABLE = ["tests/framework/ops/fake_cuda_run.py", "--device"]


def main() -> int:
    """Run it in both; prints what differs, and the scores."""
    status = 0
    problem = bfloat16_problem()
    for kind in ("float16", "bfloat16"):
        print(f"{kind}: ", end="", flush=True)
        if kind == "bfloat16" and problem:
            print(f"1 part skipped: {problem}")
            continue
        status |= subprocess.run([sys.executable, *_TABLE, f"--kind={kind}"]).returncode
    return int(status != 0)
