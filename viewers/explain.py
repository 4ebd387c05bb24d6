"""Explanations, comparisons and gradient checks as styled rows, and the functions behind them.

A report has a head, which says what was found, and entries, which are a few rows each and stand
for a moment of the tape. Without a screen `framework.trace.why`, `check_node` and `viewers.compare`
give the same as text (``print`` them).

>>> import framework as torch
>>> from framework.trace import recording
>>> from viewers.explain import check_node
>>> with recording() as tape:
...     y = torch.tensor([0.5, 2.0], requires_grad=True).log()
>>> check_node(tape, tape.seq).ok
True
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from framework.trace.check import Check, CheckError, check_node, check_recorded
from framework.trace.events import Source
from framework.trace.explain import Explanation, Link, Value, explain, place, value_text, why
from viewers.compare import Comparison, Difference, Item
from viewers.text import Line, tensor_text

__all__ = [
    "Check",
    "CheckError",
    "Entry",
    "Explanation",
    "Report",
    "check_node",
    "check_recorded",
    "explain",
    "report_of_check",
    "report_of_comparison",
    "report_of_explanation",
    "why",
]


@dataclass(slots=True)
class Entry:
    """A few rows that belong together, and the moment that they are about (0 for none)."""

    seq: int
    lines: list[Line]


@dataclass(slots=True)
class Report:
    """What the screen shows."""

    head: list[Line] = field(default_factory=list)  # wrapped to the width
    entries: list[Entry] = field(default_factory=list)


_CELL = re.compile(r"(<cell [^<>]+>):(\d+)")
_PHASES = {"backward": "backward", "optimizer": "optimizer"}
_TONES = {
    "nan": "bad",
    "inf": "bad",
    "zero": "warn",
    "missing": "warn",
    "error": "bad",
    "small": "warn",
}


def report_of_explanation(
    told: Explanation, where: Callable[[Source], str], text_of: Callable[[Source], str]
) -> Report:
    """An explanation, its origin first. ``where`` says where a line is: ``cell 4, line 3``."""
    verdict = told.verdict
    for link in told.links:
        if link.source.line:  # cells by their place in the notebook
            verdict = verdict.replace(place(link.source), where(link.source))
    head: list[Line] = [[(told.subject, "title"), (f": {verdict}", _TONES.get(told.kind, ""))]]
    if told.lost:
        head.append([(told.lost, "note")])
    entries = []
    for number, link in enumerate(told.links, 1):
        first: Line = [(f"{number:>3} ", "faint"), (link.title, _PHASES.get(link.phase, "op"))]
        line = where(link.source)
        first += [(f"  {line}", "dim")] if line else []
        first += [(f"  {link.module}", "module")] if link.module else []
        first += [(f"  {_step(link)}", "dim")] if link.step else []
        lines = [first]
        text = text_of(link.source)
        if text:
            lines.append([("      ", ""), (text, "string")])
        lines += [_value_line("of", value) for value in link.inputs]
        if link.made.meta.dtype:
            lines.append(_value_line("gives", link.made._replace(name="")))
        if link.note:
            lines.append([("      ", ""), (link.note, "note")])
        entries.append(Entry(link.seq, lines))
    if told.gap:
        row: Line = [("  ↵ ", "faint"), ("to where the values end; there a runs the step", "note")]
        entries.append(Entry(told.gap, [row]))
    return Report(head, entries)


def _step(link: Link) -> str:
    through = f" to {link.until}" if link.until and link.until != link.step else ""
    return f"step{'s' if through else ''} {link.step}{through}"


def _value_line(word: str, value: Value) -> Line:
    s = value.summary
    bad = s is not None and bool(s.nan or s.inf)
    line: Line = [(f"      {word:<6}", "faint")]
    if value.name:
        line.append((f"{value.name}  ", ""))
    if value.meta.dtype:
        meta = value.meta
        line.append((f"{tensor_text(meta.dtype, meta.shape, meta.device)}  ", "shape"))
    line.append((value_text(s), "bad" if bad else "value"))
    if value.at:
        line.append((f"; {value.at}", "bad" if bad else "value"))
    return line


def report_of_comparison(found: Comparison, own: int, where: Callable[[Source], str]) -> Report:
    """A comparison; ``own`` is the side (0 or 1) whose moments one can go to."""

    def named(line: str) -> str:
        """Cells by their place in the notebook."""
        return _CELL.sub(lambda m: where(Source(m[1], int(m[2]), "")), line)

    lines = [named(line) for line in found.lines(where)]
    end = next((i for i, line in enumerate(lines) if " of the ops differ:" in line), len(lines))
    while end and not lines[end - 1]:
        end -= 1
    tones = {"first": "title", "A  ": "dim", "B  ": "dim"}
    head: list[Line] = [
        [(line, tones.get(line[:5], tones.get(line[:3], "")))] for line in lines[:end]
    ]
    entries = []
    for difference in found.differences:
        item = (difference.a, difference.b)[own]
        entries.append(Entry(item.seq if item is not None else 0, _difference(difference, where)))
    if found.branch is not None and found.branch.at is not None:
        decided = found.branch.at[own]
        text: Line = [("  decided by ", "title"), (named(found.branch.decided), "value")]
        entries.insert(0, Entry(decided.seq, [text]))
    return Report(head, entries)


def _difference(found: Difference, where: Callable[[Source], str]) -> list[Line]:
    item: Item = found.item
    line: Line = [
        (f"  step {item.step:<5}", "faint"),
        (item.title, "op"),
        (f"  {where(item.source)}", "dim"),
        (f"  {item.module}" if item.module else "", "module"),
    ]
    return [line, [("      ", ""), (found.text, "value")]]


def report_of_check(check: Check, seq: int) -> Report:
    """A gradient check, one entry for each input."""
    first, *rest = str(check).splitlines()
    head: Line = [(first, "good" if check.ok else "bad")]
    return Report([head], [Entry(seq, [[(line.strip(), "")]]) for line in rest])
