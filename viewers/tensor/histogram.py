"""How a tensor's values are distributed: as bars, or as one line of them."""

from __future__ import annotations

from framework.trace.protocol import Summary
from viewers.tensor.lines import fit_lines, note_lines
from viewers.text import Line, count_text, short

__all__ = ["histogram_line", "histogram_lines"]

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_STEPS_ASCII = " .:#"  # a character's height in thirds


def histogram_line(summary: Summary, width: int, *, ascii: bool = False) -> Line:
    """The distribution in one line of exactly ``width``; blank where there are no values.

    >>> from framework.trace.protocol import Summary
    >>> from viewers.text import plain
    >>> s = Summary(16, 0, 0, 0, -1.0, 1.0, 0.0, 0.5, 2.0, counts=(1, 2, 5, 0, 5, 2, 1))
    >>> plain(histogram_line(s, 8)), plain(histogram_line(s, 8, ascii=True))
    ('▂▃█ █▃▂ ', '..# #.. ')
    """
    return fit_lines(_bars(_columns(summary, width), 1, ascii), width, 1, ascii)[0]


def histogram_lines(
    summary: Summary, width: int, height: int, *, ascii: bool = False
) -> list[Line]:
    """The distribution as vertical bars in exactly ``width`` by ``height``.

    The last line has the range, and where zero is; from height 5 on the first one has the highest
    bar's count. A bin with any value at all is never drawn empty.

    >>> from framework.trace.protocol import Summary
    >>> from viewers.text import plain
    >>> s = Summary(16, 0, 0, 0, -1.0, 1.0, 0.0, 0.5, 2.0, counts=(1, 2, 5, 0, 5, 2, 1))
    >>> for line in histogram_lines(s, 21, 4):
    ...     print(repr(plain(line)))
    '      ███   ███      '
    '   ▂▂▂███   ███▂▂▂   '
    '▅▅▅██████   ██████▅▅▅'
    '-1        0         1'
    """
    columns = _columns(summary, width)
    if height < 1 or width < 1:
        return fit_lines([], width, height)
    if not columns:
        text = "no finite values" if summary.count else "no elements"
        return note_lines(text, width, height, ascii)
    if height == 1:
        return [histogram_line(summary, width, ascii=ascii)]
    head = height >= 5
    lines = _bars(columns, height - 1 - head, ascii)
    if head:
        merged = len(summary.counts) // max(1, len(set(_cuts(summary, width))))
        each = "" if merged <= 1 else f" in {merged} bins"
        lines.insert(0, [(f"peak {count_text(max(columns))}{each}", "muted")])
    lines.append(_axis(summary, len(columns)))
    return fit_lines(lines, width, height, ascii)


def _cuts(summary: Summary, width: int) -> list[int]:
    """Where the bins are cut into equal groups, one to a bar; unequal ones would look like data."""
    count = len(summary.counts)
    each = -(-count // max(1, width))
    return list(range(0, count, each)) if count else []


def _columns(summary: Summary, width: int) -> list[int]:
    """The count for each column of a picture; a bar may be several columns wide."""
    cuts = _cuts(summary, width)
    if not cuts:
        return []
    ends = [*cuts[1:], len(summary.counts)]
    counts = [max(0, sum(summary.counts[a:b])) for a, b in zip(cuts, ends)]
    return [c for c in counts for _ in range(max(1, width // len(counts)))]


def _bars(columns: list[int], height: int, ascii: bool) -> list[Line]:
    steps = _STEPS_ASCII if ascii else _EIGHTHS
    full = len(steps) - 1
    most = max(columns, default=0)
    # Exact integer rounding to half up; anything at all is at least the smallest step.
    tall = [
        max(min(c, 1), (2 * c * full * height + most) // (2 * most)) if c else 0 for c in columns
    ]
    return [
        [("".join(steps[min(full, max(0, t - full * below))] for t in tall), "bar")]
        for below in reversed(range(height))
    ]


def _axis(summary: Summary, width: int) -> Line:
    low = summary.min if summary.min is not None else 0.0
    high = summary.max if summary.max is not None else 0.0
    if not low < high:
        return [("all ", "muted"), (short(low), "value")]
    left, right = short(low), short(high)
    gap = width - len(left) - len(right)
    if gap < 1:
        return [(f"{left}..{right}", "value")]
    if low < 0 < high and low / high > -1e6 and high / low > -1e6:
        zero = min(width - 1, int(width * (0.5 * low / (0.5 * low - 0.5 * high))))
        before, after = zero - len(left), width - len(right) - zero - 1
        if before > 0 and after > 0:
            return [
                (left, "value"), (" " * before, ""), ("0", "muted"),
                (" " * after, ""), (right, "value"),
            ]  # fmt: skip
    return [(left, "value"), (" " * gap, ""), (right, "value")]
