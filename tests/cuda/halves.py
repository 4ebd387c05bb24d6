"""The op table on a device in float16 and bfloat16."""

from __future__ import annotations

import subprocess
import sys

__all__ = ["main"]

_TABLE = ["tests/framework/ops/fake_cuda_run.py", "--device"]


def main() -> int:
    """Run it in both; prints what differs, and the scores."""
    status = 0
    for kind in ("float16", "bfloat16"):
        print(f"{kind}: ", end="", flush=True)
        status |= subprocess.run([sys.executable, *_TABLE, f"--kind={kind}"]).returncode
    return int(status != 0)
