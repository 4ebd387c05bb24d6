"""`make conformance`: run the suites that compare us with PyTorch and the standard; print scores.

python -m tests.conformance                       every suite
python -m tests.conformance --quick               a capped form of every suite, for CI
python -m tests.conformance op_db --op matmul     one suite, one name
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import io
import sys
import time
from typing import Any

from tests.conformance import expected

CAP = 24  # samples for each dtype and facet of a complete run

# Suite -> what it compares with, and how much that is: what a machine without it skips.
SUITES = {
    "op_db": "PyTorch's op_db: 636 names",
    "gradcheck": "PyTorch's gradcheck and gradgradcheck: 547 entries",
    "fuzz": "PyTorch on random programs of views and writes: 3,000 programs",
    "modules": "PyTorch's modules: every public one",
    "optimizers": "PyTorch's optimizers and schedulers: every public one",
    "distributions": "PyTorch's distributions: every public one",
    "transforms": "PyTorch's forward mode, vmap and func: all of op_db, and programs",
    "models": "PyTorch training the files of tests/models: 8 runs",
    "interop": "exchanges of memory with PyTorch, and NumPy's ufuncs: 395",
    "array_api": "the array API standard's own suite",
    "refusals": "PyTorch on calls that are wrong in one place: 630 functions",
    "meta": "PyTorch's meta device: shapes, dtypes and strides of op_db's 636 names",
    "strides": "PyTorch's strides: how the results of op_db's 636 names lie in memory",
    "large": "PyTorch on large arrays, which compiled kernels compute: 127 calls",
    "names": "PyTorch's public names: every public module",
    "table": "",
}
QUICK = {"cap": 3, "count": 300, "samples": 1}


def main() -> int:
    options = arguments()
    torch_there = importlib.util.find_spec("torch") is not None
    if torch_there:
        import torch

        torch.set_num_threads(1)
    status = 0
    scores = []
    for suite in [options.suite] if options.suite else SUITES:
        needs_torch = suite not in ("array_api", "table")
        if needs_torch and not torch_there:
            scores.append(f"{suite}: SKIPPED, torch is not installed ({SUITES[suite]})")
            print(scores[-1])
            continue
        module = importlib.import_module(f"tests.conformance.{suite}")
        seen = _Seen()
        start = time.perf_counter()
        with contextlib.redirect_stdout(seen):
            result = module.main(options)
        status = max(status, result)
        scores.append(f"{seen.score(suite)}  [{time.perf_counter() - start:.0f} s]")
    if len(scores) > 1:
        print("\nConformance:", *scores, sep="\n  ")
    if options.write_docs:
        from tests.conformance import report

        report.write(scores)
    return status


class _Seen(io.TextIOBase):
    """Standard output, of which the score lines are kept for the summary."""

    def __init__(self) -> None:
        self.to, self.lines, self.rest = sys.stdout, list[str](), ""

    def write(self, text: str) -> int:
        self.to.write(text)
        self.to.flush()
        *whole, self.rest = (self.rest + text).split("\n")
        self.lines += whole
        return len(text)

    def score(self, suite: str) -> str:
        found = [line for line in self.lines if line.startswith(f"{suite}: ")]
        counted = [line for line in found if any(c.isdigit() for c in line)]
        return counted[0] if counted else f"{suite}: no score"


def arguments() -> Any:
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("suite", nargs="?", choices=tuple(SUITES))
    parser.add_argument("--quick", action="store_true", help="a few minutes for all suites")
    parser.add_argument("--op", action="append", default=[], help="only this name")
    parser.add_argument("--cap", type=int, default=CAP, help="samples for each dtype and facet")
    parser.add_argument("--samples", type=int, default=4, help="gradcheck: samples of an entry")
    parser.add_argument("--facet", action="append", default=[], help="op_db: only this facet")
    parser.add_argument("--list-failures", action="store_true", help="every failing sample")
    parser.add_argument("--write-expected", action="store_true", help=f"renew {expected.FILE.name}")
    parser.add_argument("--write-docs", action="store_true", help="renew docs/conformance.md")
    parser.add_argument("--seed", type=int, default=0, help="fuzz: the first program")
    parser.add_argument("--count", type=int, default=3000, help="fuzz: how many programs")
    options = parser.parse_args()
    if options.op and not options.suite:
        options.suite = "op_db"
    if options.quick:
        vars(options).update(QUICK)
    return options


if __name__ == "__main__":
    sys.exit(main())
