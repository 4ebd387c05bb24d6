"""The examples on a device: everything that they make, and the data that they read, is there."""

from __future__ import annotations

import contextlib
import io
import runpy
import sys
from pathlib import Path

import framework as torch

__all__ = ["NAMES", "main"]

ROOT = Path(__file__).parents[2] / "examples"
NAMES = ("digits_mlp", "digits_cnn", "dynamic_rnn", "nan_hunt", "tour")


def main(names: tuple[str, ...] = NAMES) -> int:
    """Run them with the device as the default; prints which fail."""
    sys.path.insert(0, str(ROOT))
    plain = torch.from_numpy
    failed = 0
    torch.set_default_device("cuda")
    torch.from_numpy = lambda array: plain(array).cuda()
    try:
        for name in names:
            said = io.StringIO()
            try:
                with contextlib.redirect_stdout(said):
                    runpy.run_path(str(ROOT / f"{name}.py"), run_name="__main__")
            except Exception as error:
                failed += 1
                said = next(iter(str(error).strip().splitlines()), "")
                print(f"{name}: {type(error).__name__}: {said}", flush=True)
    finally:
        torch.from_numpy = plain
        torch.set_default_device(None)
    print(f"examples: {len(names) - failed} of {len(names)} run")
    return 1 if failed else 0
