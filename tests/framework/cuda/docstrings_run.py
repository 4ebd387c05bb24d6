"""Every docstring's example with ``cuda`` as the default device: what CuPy would refuse.

A script for a process that has the stand-in for CuPy (`stand_in`): results are not compared (they
name the device), but nothing may hand a NumPy array to CuPy, or ask it for what it does not have.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import pkgutil
import sys
import traceback
import warnings
from typing import Any

import framework as torch

# Modules whose examples open files or other processes, or are about the CPU alone.
_LEFT = ("framework.trace", "framework.multiprocessing", "framework.onnx", "framework.utils.data",
         "framework.cuda.", "framework.distributed", "framework.hub")  # fmt: skip
_WORDS = ("Implicit conversion", "Unsupported type", "has no attribute", "cupy", "NotImplemented ",
          "no implementation found", "not supported yet")  # fmt: skip


def examples() -> dict[str, doctest.DocTest]:
    """By name; what is published twice is here once."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found: dict[Any, doctest.DocTest] = {}
    for part in pkgutil.walk_packages(torch.__path__, "framework."):
        if part.name.startswith(_LEFT) or "__main__" in part.name:
            continue
        with contextlib.suppress(ImportError):
            module = importlib.import_module(part.name)
            for test in finder.find(module, part.name, globs=dict(vars(module))):
                found.setdefault((test.filename, test.lineno, test.docstring), test)
    return {test.name: test for test in found.values()}


def main() -> int:
    warnings.simplefilter("ignore")
    tests = examples()
    torch.set_default_device("cuda")
    wrong = 0
    for name, test in tests.items():
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                for example in test.examples:
                    exec(compile(example.source, "<example>", "single"), test.globs)
        except Exception as error:
            if any(word in str(error) for word in _WORDS):
                wrong += 1
                frames = traceback.extract_tb(error.__traceback__)
                ours = [
                    f for f in frames if "framework/" in f.filename and "/cupy" not in f.filename
                ]
                at = f"{ours[-1].filename}:{ours[-1].lineno}" if ours else "?"
                print(f"{name}: {str(error).splitlines()[0]} ({at})")
    print(f"{len(tests) - wrong} of {len(tests)} docstrings run on the device")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
