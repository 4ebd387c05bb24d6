"""Tables of figures: printed, and put into docs/performance.md between their markers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Table", "time_of", "write"]

DOCUMENT = Path(__file__).parent.parent / "docs" / "performance.md"


@dataclass
class Table:
    """Rows of text under a head; ``name`` is that of its place in the document."""

    name: str
    title: str
    head: list[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def text(self) -> str:
        widths = [max(len(line[i]) for line in (self.head, *self.rows)) for i in range(self._wide)]
        lines = [self.title]
        for line in (self.head, *self.rows):
            cells = [
                c.ljust(w) if not i else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))
            ]
            lines.append("  " + "  ".join(cells).rstrip())
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])

    def markdown(self) -> str:
        lines = [_row(self.head), "|" + "|".join(["---"] + ["--:"] * (self._wide - 1)) + "|"]
        lines += map(_row, self.rows)
        return "\n".join(lines + (["", *self.notes] if self.notes else []))

    @property
    def _wide(self) -> int:
        return len(self.head)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"


def write(tables: Iterable[Table], facts: list[str], path: Path = DOCUMENT) -> list[str]:
    """Put tables where ``<!-- bench NAME -->`` and ``<!-- end NAME -->`` stand.

    Returns:
        The names of those that have no such place.
    """
    text = path.read_text(encoding="utf-8")
    homeless = []
    for table in tables:
        place = re.compile(
            rf"(<!-- bench {re.escape(table.name)} -->\n).*?(<!-- end {re.escape(table.name)} -->)",
            re.DOTALL,
        )
        with_facts = f"{table.markdown()}\n\nMeasured: {'; '.join(facts)}.\n"
        text, found = place.subn(lambda m, t=with_facts: m[1] + t + m[2], text)  # type: ignore[misc]
        if not found:
            homeless.append(table.name)
    path.write_text(text, encoding="utf-8")
    return homeless


def time_of(seconds: float) -> str:
    """Seconds with three digits and a unit.

    >>> time_of(0.0123), time_of(4.2e-7), time_of(12.0)
    ('12.3 ms', '420 ns', '12 s')
    """
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
