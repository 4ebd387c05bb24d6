"""``python -m tests.conformance``: runs the suites and prints their scores."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from typing import Any

from tests.conformance import expected

SHOWN = 3  # failing samples of one name and facet that are printed
CAP = 24  # samples for each dtype and facet of a complete run

NAMES = 636  # in op_db of PyTorch 2.13


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("suite", nargs="?", default="op_db", choices=("op_db",))
    parser.add_argument("--op", action="append", default=[], help="only this name of op_db")
    parser.add_argument("--cap", type=int, default=CAP, help="samples for each dtype and facet")
    parser.add_argument("--facet", action="append", default=[], help="only this facet")
    parser.add_argument("--list-failures", action="store_true", help="every failing sample")
    parser.add_argument("--write-expected", action="store_true", help="renew expected.toml")
    options = parser.parse_args()
    try:
        import torch
    except ImportError:
        print(f"conformance: torch is not installed: {NAMES} names of op_db SKIPPED")
        return 0
    torch.set_num_threads(1)
    return op_db(options)


def op_db(options: Any) -> int:
    from tests.conformance import op_db as suite

    table = suite.entries()
    unknown = [name for name in options.op if name not in table]
    if unknown:
        print(f"not in op_db: {', '.join(unknown)}")
        return 2
    names = options.op or sorted(table)
    facets = tuple(options.facet) or suite.FACETS
    known = expected.load("op_db")
    start = time.perf_counter()
    outcomes = []
    for name in names:
        outcome = suite.run(name, table[name], options.cap, facets)
        outcomes.append(outcome)
        surprising = set(outcome.failing()) - set(known.get(name, {}).get("facets", ()))
        if options.op or options.list_failures or surprising:
            tell(outcome, every=options.list_failures, suite=suite)
    score(outcomes, suite, time.perf_counter() - start)
    failing = {o.name: o.failing() for o in outcomes}
    if options.write_expected:
        expected.write("op_db", failing, {o.name: guess(o) for o in outcomes})
        return 0
    complete = {o.name for o in outcomes if not o.cut and options.cap >= CAP and not options.facet}
    lines = expected.judge("op_db", failing, complete)
    for line in lines:
        print(line)
    return 1 if lines else 0


def score(outcomes: list[Any], suite: Any, seconds: float) -> None:
    right = sum(o.right for o in outcomes)
    absent = sum(not o.present for o in outcomes)
    wrong = sum(o.status("grad") == "wrong" for o in outcomes)
    print(
        f"op_db: {right} of {len(outcomes)} names right, {absent} absent, "
        f"{len(outcomes) - right - absent} wrong, {wrong} with a wrong gradient ({seconds:.0f} s)"
    )
    for facet in suite.FACETS:
        count = Counter(o.status(facet) for o in outcomes)
        print(f"  {facet:9} " + ", ".join(f"{n} {s}" for s, n in sorted(count.items())))
    wording = sum(o.wording for o in outcomes)
    print(f"  {wording} error inputs raise the right kind in other words")


def guess(outcome: Any) -> str:
    """A reason for an entry that nobody explained yet."""
    name = outcome.name
    if name.startswith("jiterator"):
        return "CUDA only: compiles CUDA source"
    if not outcome.present:
        internal = "aten." in name or name.removeprefix("torch.").startswith("_")
        return "an internal name of ATen, not public" if internal else "not built yet"
    return outcome.failures[0].text[:120] if outcome.failures else expected.UNEXPLAINED


def tell(outcome: Any, every: bool, suite: Any) -> None:
    """One line for the name, then the failing samples."""
    if not outcome.present:
        print(f"{outcome.name}: absent")
        return
    states = " ".join(f"{f}={outcome.status(f)}" for f in suite.FACETS if outcome.checks[f])
    cut = " (cut short)" if outcome.cut else ""
    wording = f", {outcome.wording} errors in other words" if outcome.wording else ""
    print(f"{outcome.name}: {states} [{outcome.seconds:.1f} s]{cut}{wording}")
    shown: Counter[str] = Counter()
    for failure in outcome.failures:
        shown[failure.facet] += 1
        if every or shown[failure.facet] <= SHOWN:
            print(f"    {failure}")
    for facet, n in shown.items():
        if not every and n > SHOWN:
            print(f"    {facet}: {n - SHOWN} more (--list-failures)")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
