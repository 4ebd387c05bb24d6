"""``python -m tests.conformance``: runs the suites and prints their scores."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from typing import Any

SHOWN = 6  # failing samples of one name and facet that are printed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("suite", nargs="?", default="op_db", choices=("op_db",))
    parser.add_argument("--op", action="append", default=[], help="only this name of op_db")
    parser.add_argument("--cap", type=int, default=24, help="samples for each dtype and facet")
    parser.add_argument("--facet", action="append", default=[], help="only this facet")
    parser.add_argument("--list-failures", action="store_true", help="every failing sample")
    options = parser.parse_args()
    return op_db(options)


def op_db(options: Any) -> int:
    from tests.conformance import op_db as suite

    table = suite.entries()
    unknown = [name for name in options.op if name not in table]
    if unknown:
        print(f"not in op_db: {', '.join(unknown)}")
        return 2
    names = options.op or sorted(table)
    start = time.perf_counter()
    outcomes = []
    for name in names:
        facets = tuple(options.facet) or suite.FACETS
        outcome = suite.run(name, table[name], options.cap, facets)
        outcomes.append(outcome)
        if options.op or options.list_failures or outcome.failing():
            tell(outcome, every=options.list_failures, suite=suite)
    right = sum(o.right for o in outcomes)
    absent = sum(not o.present for o in outcomes)
    print(
        f"op_db: {right} of {len(outcomes)} names right, {absent} absent, "
        f"{len(outcomes) - right - absent} wrong ({time.perf_counter() - start:.0f} s)"
    )
    for facet in suite.FACETS:
        count = Counter(o.status(facet) for o in outcomes)
        print(f"  {facet:9} " + ", ".join(f"{n} {s}" for s, n in sorted(count.items())))
    return 0


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
