"""A tensor's figures: what it is, and what its values are like."""

from __future__ import annotations

import math
from collections.abc import Sequence

from framework.trace.events import TensorMeta
from framework.trace.protocol import Summary
from framework.trace.summary import (
    SliceError,
    format_slice,
    parse_slice,
    picture_slice,
    sliced_shape,
    wrap_width,
)
from viewers.tensor.histogram import histogram_line
from viewers.tensor.lines import fit_lines
from viewers.text import Line, Span, count_text, short, size_text, tensor_text, width_of

__all__ = ["picture_text", "statistics_lines", "summary_line"]

_ITEM_BYTES = {
    "bool": 1, "uint8": 1, "int8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4,
    "int64": 8, "uint64": 8, "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8,
    "complex64": 8, "complex128": 16,
}  # fmt: skip
_CELL = 15  # columns of one figure: "zeros 48 %"


def statistics_lines(
    tensor: TensorMeta,
    summary: Summary | None,
    width: int,
    height: int,
    *,
    slice: str = "",
    ascii: bool = False,
) -> list[Line]:
    """What a tensor is and the figures of its values, in exactly ``width`` by ``height``.

    dtype and shape always come first, then a warning with the counts if there is a NaN or an Inf.
    ``slice`` is that of the summary (`TensorView.slice`); a summary of None means that the value is
    no longer kept.

    >>> from framework.trace.events import TensorMeta
    >>> from framework.trace.protocol import Summary
    >>> from viewers.text import plain
    >>> s = Summary(6, 1, 0, 3, -1.0, 2.0, 0.25, 1.5, 3.4)
    >>> for line in statistics_lines(TensorMeta(1, (2, 3), "float32", "cpu"), s, 30, 5):
    ...     print(repr(plain(line)))
    'f32[2,3]  cpu  24 B           '
    '!! NaN 1  of 6                '
    'min   -1       max   2        '
    'mean  0.25     std   1.5      '
    'norm  3.4      zeros 50 %     '
    """
    lines = [_header(tensor, width)]
    lines += _notes(tensor, summary, slice, ascii)
    if summary is not None and summary.count:
        items = _figures(summary)
        lines += _aligned(items, width, height - len(lines)) or _flowing(items, width)
    return fit_lines(lines, width, height, ascii)


def picture_text(shape: Sequence[int], slice: str) -> str:
    """Which part of a sliced tensor a picture or table shows; "" if all of it, as it is.

    >>> picture_text((8, 3, 32, 32), ""), picture_text((8, 3, 32), "[2]"), picture_text((127,), "")
    ('[0, 0, :, :]', '', 'rows of 16')
    """
    try:
        index = parse_slice(slice, shape)
        left = sliced_shape(shape, index)
        if len(left) > 2:
            return format_slice(picture_slice(shape, index))
    except (SliceError, TypeError, ValueError, OverflowError):  # from a peer: not believed
        return ""
    width = wrap_width(left[0]) if len(left) == 1 else 0
    return f"rows of {width}" if width and width < left[0] else ""


def summary_line(
    summary: Summary | None, width: int, *, ascii: bool = False, dtype: str = ""
) -> Line:
    """The most telling figures in one line of exactly ``width``: what does not fit is left out.

    Those of a complex ``dtype`` are of absolute values, and so marked.

    >>> from framework.trace.protocol import Summary
    >>> from viewers.text import plain
    >>> s = Summary(6, 1, 0, 3, -1.0, 2.0, 0.25, 1.5, 3.4, counts=(1, 3, 1))
    >>> plain(summary_line(s, 40)), plain(summary_line(s, 12))
    ('!! NaN 1  ▃█▃  0.25±1.5  zeros 50 %     ', '!! NaN 1    ')
    """
    if summary is None:
        return fit_lines([[("not kept", "note")]], width, 1, ascii)[0]
    if not summary.count:
        return fit_lines([[("no elements", "note")]], width, 1, ascii)[0]
    line: Line = _alarm(summary)
    parts: list[Line] = []
    if summary.counts:
        parts.append(histogram_line(summary, min(8, len(summary.counts)), ascii=ascii))
    if summary.mean is not None and summary.std is not None:
        between = "+-" if ascii else "±"
        mark: Line = [("|x| ", "muted")] if dtype.startswith("complex") else []
        parts.append([*mark, (f"{short(summary.mean)}{between}{short(summary.std)}", "value")])
    if summary.zeros:
        parts.append([("zeros ", "muted"), (_percent(summary.zeros, summary.count), "value")])
    for part in parts:
        gap: Line = [("  ", "")] if line else []
        if width_of(line) + width_of(gap) + width_of(part) <= width:
            line = [*line, *gap, *part]
    return fit_lines([line], width, 1, ascii)[0]


def _header(tensor: TensorMeta, width: int) -> Line:
    line: Line = [(tensor_text(tensor.dtype, tensor.shape), "shape")]
    extra = [tensor.device]
    if tensor.dtype in _ITEM_BYTES:
        extra.append(size_text(math.prod(tensor.shape) * _ITEM_BYTES[tensor.dtype]))
    if tensor.requires_grad:
        extra.append("requires grad")
    for text in extra:
        if width_of(line) + 2 + width_of(text) > width:
            break
        line += [("  ", ""), (text, "muted")]
    return line


def _notes(tensor: TensorMeta, summary: Summary | None, slice: str, ascii: bool) -> list[Line]:
    lines: list[Line] = []
    if slice:
        lines.append([("slice ", "muted"), (slice, "shape")])
    if summary is None:
        return [*lines, [("the value is no longer kept", "note")]]
    if not summary.count:
        return [*lines, [("no elements", "note")]]
    if tensor.dtype.startswith("complex"):
        lines.append([("of absolute values:", "note")])
    alarm = _alarm(summary)
    if alarm:
        lines.append([*alarm, ("  of " + count_text(summary.count), "muted")])
    if summary.sampled:
        about = "~" if ascii else "≈"
        lines.append([(f"{about} from a sample of {count_text(summary.count)}", "note")])
    return lines


def _alarm(summary: Summary) -> Line:
    """The counts of what is not finite, loud; nothing if all is well."""
    line: Line = []
    for name, count, token in (("NaN", summary.nan, "nan"), ("Inf", summary.inf, "inf")):
        if count:
            line += [("  " if line else "!! ", "bad"), (f"{name} {count_text(count)}", token)]
    return line


def _figures(summary: Summary) -> list[tuple[str, str]]:
    items = [
        (name, short(value))
        for name, value in (
            ("min", summary.min),
            ("max", summary.max),
            ("mean", summary.mean),
            ("std", summary.std),
            ("norm", summary.norm),
        )
        if value is not None
    ]
    items.append(("zeros", _percent(summary.zeros, summary.count)))
    if not summary.nan and not summary.inf:
        items += [("NaN", "0"), ("Inf", "0")]
    return items


def _percent(part: int, whole: int) -> str:
    """A share that never reads as none or all unless it is.

    >>> _percent(1, 1000), _percent(999, 1000), _percent(0, 5), _percent(5, 5)
    ('<1 %', '>99 %', '0 %', '100 %')
    """
    percent = 100 * part / whole
    if 0 < percent < 1:
        return "<1 %"
    if 99 < percent < 100:
        return ">99 %"
    return f"{percent:.0f} %"


def _aligned(items: list[tuple[str, str]], width: int, height: int) -> list[Line]:
    """The figures in columns, an even number of them if possible; [] if that is too high."""
    cell = max(_CELL, *[6 + len(value) + 1 for _, value in items])
    across = max(1, width // cell)
    if across > 1:
        across = min(across - across % 2, len(items))
    if -(-len(items) // across) > height:
        fitting = [i for i in items if i[0] not in ("NaN", "Inf")]
        if len(fitting) == len(items) or -(-len(fitting) // across) > height:
            return []
        items = fitting  # all is well, and there is no room to say so
    lines: list[Line] = []
    for first in range(0, len(items), across):
        line: Line = []
        for name, value in items[first : first + across]:
            line += [(name.ljust(6), "muted"), (value.ljust(cell - 6), "value")]
        lines.append(line)
    return lines


def _flowing(items: list[tuple[str, str]], width: int) -> list[Line]:
    """The figures one after another, as many in a line as fit."""
    lines: list[Line] = [[]]
    for name, value in items:
        spans: list[Span] = [(f"{name} ", "muted"), (value, "value")]
        if lines[-1] and width_of(lines[-1]) + 2 + width_of(spans) > width:
            lines.append([])
        lines[-1] += [("  ", ""), *spans] if lines[-1] else spans
    return lines
