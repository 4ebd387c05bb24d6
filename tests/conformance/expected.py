"""Expected failures as data: ``expected.toml``, one entry a name, and how a run is judged by it.

An entry that starts to pass is an error too: take it out. ``--write-expected`` renews the list from
a complete run; reasons that somebody wrote are kept, and what ``varies`` from processor to
processor, whose libraries add up in different orders: such a facet may fail, and may pass.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

__all__ = ["FILE", "UNEXPLAINED", "judge", "load", "write"]

FILE = Path(__file__).with_name("expected.toml")
UNEXPLAINED = "not explained yet"

HEADER = """\
# What is known to differ from PyTorch, and why. Written by
#     python -m tests.conformance SUITE --write-expected
# which keeps the reasons; edit those by hand. Order: suite, then name.
"""

Entries = dict[str, dict[str, Any]]


def load(suite: str) -> Entries:
    """Name to ``{"facets": [...], "reason": "..."}``, and ``"varies": [...]`` if it does."""
    if not FILE.exists():
        return {}
    return tomllib.loads(FILE.read_text()).get(suite, {})


def judge(suite: str, failing: dict[str, list[str]], complete: set[str]) -> list[str]:
    """What is wrong with a run, in lines; empty if all is as expected.

    Args:
        failing: for each name that was run, the facets that failed.
        complete: the names of which every sample was run: only those can have begun to pass.
    """
    known = load(suite)
    lines = []
    for name, facets in failing.items():
        allowed = set(known.get(name, {}).get("facets", ()))
        varies = set(known.get(name, {}).get("varies", ()))
        for facet in facets:
            if facet not in allowed | varies:
                lines.append(f"{suite}: unexpected failure: {name}, {facet}")
        if name in complete:
            for facet in sorted(allowed - set(facets)):
                lines.append(f"{suite}: {name}, {facet} passes now: remove it from {FILE.name}")
    return lines


def write(suite: str, failing: dict[str, list[str]], guess: dict[str, str] | None = None) -> None:
    """Renew the suite's part of the file from a complete run."""
    everything = tomllib.loads(FILE.read_text()) if FILE.exists() else {}
    known = everything.get(suite, {})
    renewed: Entries = {}
    for name in sorted(failing):
        if failing[name]:
            reason = known.get(name, {}).get("reason", UNEXPLAINED)
            if reason == UNEXPLAINED:
                reason = (guess or {}).get(name, UNEXPLAINED)
            varies = known.get(name, {}).get("varies", [])
            facets = [facet for facet in failing[name] if facet not in varies]
            renewed[name] = {"facets": facets, "varies": varies, "reason": reason}
    everything[suite] = renewed
    lines = [HEADER]
    for part in sorted(everything):
        for name, entry in everything[part].items():
            lines.append(f"[{part}.{_quoted(name)}]")
            for key in ("facets", "varies"):
                if key == "facets" or entry.get(key):
                    lines.append(f"{key} = [{', '.join(map(_quoted, entry[key]))}]")
            lines.append(f"reason = {_quoted(entry['reason'])}\n")
    FILE.write_text("\n".join(lines))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
