"""Print every figure: ``python -m benchmarks [PART ...]``; the parts are those of `PARTS`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from time import perf_counter, process_time

from benchmarks import (
    conditions,
    copies,
    environment,
    ops,
    recording,
    scaling,
    start,
    steps,
    table,
    tracing,
    ui,
    viewers,
)
from benchmarks.ratio import Plan

PARTS: dict[str, Callable[[Plan], Iterable[table.Table]]] = {
    "steps": steps.report,
    "memory": steps.memory,
    "ops": ops.report,
    "dispatch": scaling.dispatch,
    "scaling": scaling.report,
    "tracing": tracing.report,
    "conditions": conditions.report,
    "recording": recording.report,
    "viewers": viewers.report,
    "copies": copies.report,
    "start": start.report,
    "ui": ui.report,
}
QUICK = ["steps", "ops", "dispatch"]


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"all of {', '.join(PARTS)}")
    parser.add_argument(
        "--quick", action="store_true",
        help=f"fewer rounds and sizes; without parts only {', '.join(QUICK)}: a minute or so",
    )  # fmt: skip
    parser.add_argument(
        "--threads", type=int, metavar="N",
        help="of both sides; with 1 the processor's time is taken, which other programs lengthen "
        "least",
    )  # fmt: skip
    parser.add_argument(
        "--write-docs", action="store_true", help="put the tables into docs/performance.md"
    )
    args = parser.parse_args(words)
    unknown = [n for n in args.parts if n not in PARTS]
    if unknown:
        parser.error(f"unknown part {unknown[0]!r}; choose from {', '.join(PARTS)}")
    if args.threads is not None:
        if args.threads < 1:
            parser.error(f"--threads: expected at least 1, but got {args.threads}")
        environment.set_threads(args.threads)
    plan = Plan(args.quick, process_time if args.threads == 1 else perf_counter)
    facts = environment.facts()
    print("\n".join(facts), flush=True)
    made: list[table.Table] = []
    for name in args.parts or (QUICK if args.quick else list(PARTS)):
        for found in PARTS[name](plan):
            print("\n" + found.text(), flush=True)
            made.append(found)
    if args.write_docs:
        for name in table.write(made, facts):
            print(f"docs/performance.md has no place for {name!r}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
