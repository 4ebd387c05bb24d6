"""Print every figure: ``python -m benchmarks [PART ...]``; the parts are those of `PARTS`."""

from __future__ import annotations

import sys

from benchmarks import conditions, recording, start, tracing, ui, viewers

PARTS = {
    "tracing": tracing.report,
    "conditions": conditions.report,
    "recording": recording.report,
    "viewers": viewers.report,
    "start": start.report,
    "ui": ui.report,
}


def main(names: list[str]) -> int:
    unknown = [n for n in names if n not in PARTS]
    if unknown:
        print(f"unknown part {unknown[0]!r}; choose from {', '.join(PARTS)}", file=sys.stderr)
        return 2
    for name in names or PARTS:
        PARTS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
