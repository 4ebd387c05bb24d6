"""Two runs, or two steps of one, side by side: where they part, and by how much.

Ops are paired by what they are and where they are (phase, module path, the text of the source line,
name) and by their occurrence there, never by a number: a longer loop, another branch or a line that
has moved leaves everything else paired. Pairing and comparing are linear in the number of ops (but
for one sort of positions).

    print(compare(side_a, side_b))                # two recordings: values, step by step
    print(compare_steps(side, 101, 102))          # two steps of a run: which way each one went
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np

from framework.trace.events import Event, NodeEnd, Op, ParamUpdate, Source, TensorMeta
from framework.trace.explain import Look, place, source_line, value_text
from framework.trace.lineage import Lineage, Operand
from framework.trace.protocol import Summary

__all__ = [
    "Branch",
    "CompareError",
    "Comparison",
    "Difference",
    "Item",
    "Side",
    "align",
    "compare",
    "compare_steps",
]

RTOL, ATOL = 1e-5, 1e-8
LISTED = 20  # differences that the text shows
KEPT = 5_000  # differences that are remembered one by one
NEAR = 200  # ops before a branch that are searched for what decided it


class CompareError(ValueError):
    """There is nothing to compare: one line says why."""


class Item(NamedTuple):
    """An op or a parameter's update."""

    seq: int
    key: tuple[str, ...]  # phase, module, file, line (its text or number), function, title
    title: str
    module: str
    source: Source
    step: int

    def __str__(self) -> str:
        return self.text(place)

    def text(self, where: Callable[[Source], str]) -> str:
        """``relu at train.py:9 in model.1``; ``where`` spells a place."""
        at = f" at {where(self.source)}" if self.source.line else ""
        return f"{self.title}{at}" + (f" in {self.module}" if self.module else "")


class Side:
    """One run: its events, and what is known of its values.

    Args:
        array: gives what a tensor held as of an event, None where that is not kept.
        look: gives its statistics; made of ``array`` if it is left out.
        text_of: the text of a source line.
        since: only what came after this event is compared.
        running: it is not over: what its last step has not done yet is no difference.
    """

    def __init__(
        self, name: str, events: Iterable[Event], look: Look | None = None,
        array: Callable[[int, int], Any | None] | None = None,
        text_of: Callable[[Source], str] = source_line, since: int = 0,
        running: bool = False,
    ) -> None:  # fmt: skip
        self.name = name
        self.lineage = Lineage(events)
        self.array = array
        self.look: Look = look if look is not None else _look_at(array)
        self.text_of = text_of
        self.since = since
        self.rules = False  # whether the ops of gradient rules were recorded
        self.running = running
        self.steps: dict[int, list[Event]] = {}
        self._lines: dict[Source, str] | None = None
        self._sort()

    def _sort(self) -> None:
        lineage = self.lineage
        for event in lineage.events.values():
            kind = type(event)
            if event.seq > self.since and kind in (Op, NodeEnd, ParamUpdate):
                self.steps.setdefault(lineage.step(event.seq), []).append(event)
                self.rules |= kind is Op and event.phase == "backward"  # type: ignore[union-attr]

    def open(self, step: int) -> bool:
        """Has this step only come so far?"""
        numbers = self.lineage.numbers
        ended = bool(numbers) and step <= numbers[-1] and self.lineage.optims[-1] < 1 << 62
        return self.running and step == max(self.steps, default=0) and not ended

    def items(self, step: int, rules: bool) -> list[Item]:
        """The ops of a step; without ``rules``, a backward node stands for its own ops."""
        found = []
        for event in self.steps.get(step, ()):
            kind = type(event)
            if kind is NodeEnd:
                if rules:
                    continue
            elif not rules and kind is Op and event.phase == "backward":  # type: ignore[union-attr]
                continue
            found.append(self.item(event, step))
        return found

    def item(self, event: Event, step: int) -> Item:
        lineage = self.lineage
        title, source = lineage.title(event), lineage.source(event)
        module, phase = lineage.module(event), lineage.phase(event)
        file = PurePath(source.file).name
        key = (phase, module, file, self._line(source), source.function, title)
        return Item(event.seq, key, title, module, source, step)

    def by_text(self, wanted: bool) -> None:
        """Whether a source line is known by its text: the programs may be of two versions."""
        self._lines = {} if wanted else None

    def has_text(self) -> bool:
        """Is the text of its source lines known?"""
        events = next(iter(self.steps.values()), [])
        return any(self.text_of(self.lineage.source(event)) for event in events[:50])

    def _line(self, source: Source) -> str:
        if self._lines is None:
            return str(source.line)
        found = self._lines.get(source)
        if found is None:
            found = self._lines[source] = self.text_of(source) or str(source.line)
        return found

    def outputs(self, seq: int) -> list[Operand]:
        """What an item made, as it left it."""
        event = self.lineage.events[seq]
        metas: tuple[TensorMeta, ...] = ()
        if isinstance(event, Op):
            metas = event.outputs
        elif isinstance(event, ParamUpdate):
            metas = (event.tensor,)
        elif isinstance(event, NodeEnd):
            metas = tuple(m for m in event.grad_out if m.id)
        return [Operand(m.id, seq, self.lineage.name(m.id, seq), m) for m in metas]


def _look_at(array: Callable[[int, int], Any | None] | None) -> Look:
    from framework.trace.summary import summarize

    def look(tensor: int, seq: int, index: str = "") -> Summary | None:
        found = array(tensor, seq) if array is not None and not index else None
        return summarize(found) if found is not None else None

    return look


# -- pairing ---------------------------------------------------------------------------------


def align(a: list[Item], b: list[Item]) -> list[tuple[int, int]]:
    """Positions of the items of two steps that belong together, in the order of both.

    >>> from framework.trace.events import Source
    >>> def item(name): return Item(0, (name,), name, "", Source("", 0, ""), 1)
    >>> align([item(n) for n in "abcad"], [item(n) for n in "abxad"])
    [(0, 0), (1, 1), (3, 3), (4, 4)]
    """
    where: dict[tuple[tuple[str, ...], int], int] = {}
    seen: dict[tuple[str, ...], int] = {}
    for j, item in enumerate(b):
        count = seen[item.key] = seen.get(item.key, 0) + 1
        where[item.key, count] = j
    seen = {}
    pairs = []
    for i, item in enumerate(a):
        count = seen[item.key] = seen.get(item.key, 0) + 1
        j = where.get((item.key, count), -1)
        if j >= 0:
            pairs.append((i, j))
    return _increasing(pairs)


def _increasing(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest part of the pairs whose second positions go up, too."""
    if all(x[1] < y[1] for x, y in pairwise(pairs)):
        return pairs
    ends: list[int] = []  # smallest last position of a run of each length
    at: list[int] = []  # which pair that is
    before = [-1] * len(pairs)
    for k, (_, j) in enumerate(pairs):
        n = bisect_left(ends, j)
        before[k] = at[n - 1] if n else -1
        if n == len(ends):
            ends.append(j)
            at.append(k)
        else:
            ends[n], at[n] = j, k
    chain = []
    k = at[-1] if at else -1
    while k >= 0:
        chain.append(pairs[k])
        k = before[k]
    return chain[::-1]


# -- one pair --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """A pair that differs, or an item that only one side has."""

    kind: str  # "value" | "shape" | "argument" | "only A" | "only B"
    a: Item | None
    b: Item | None
    text: str
    largest: float = 0.0  # absolute difference of an element, if values were compared

    @property
    def item(self) -> Item:
        found = self.a or self.b
        assert found is not None
        return found


def _differ(
    a: Side, b: Side, x: Item, y: Item, rtol: float, atol: float
) -> tuple[Difference | None, bool]:
    """How a pair differs, and whether its values were known at all."""
    outs_a, outs_b = a.outputs(x.seq), b.outputs(y.seq)
    shapes = [[(list(o.meta.shape), o.meta.dtype) for o in outs] for outs in (outs_a, outs_b)]
    if shapes[0] != shapes[1]:
        texts = [", ".join(f"{s} {d}" for s, d in found) or "nothing" for found in shapes]
        return Difference("shape", x, y, f"{texts[0]} and {texts[1]}"), True
    known = False
    for p, q in zip(outs_a, outs_b):
        text, largest = _values_differ(a, b, p, q, rtol, atol)
        if text:
            return Difference("value", x, y, text, largest), True
        known = known or text is not None
    return None, known


def _values_differ(
    a: Side, b: Side, p: Operand, q: Operand, rtol: float, atol: float
) -> tuple[str | None, float]:
    """Words for a difference, "" for none, None where the values are not known."""
    if a.array is not None and b.array is not None:
        left, right = a.array(p.tensor, p.seq), b.array(q.tensor, q.seq)
        if left is not None and right is not None:
            return _arrays_differ(left, right, rtol, atol)
    s, t = a.look(p.tensor, p.seq), b.look(q.tensor, q.seq)
    if s is None or t is None:
        return None, 0.0
    return _summaries_differ(s, t, rtol, atol)


def _arrays_differ(left: Any, right: Any, rtol: float, atol: float) -> tuple[str, float]:
    if left.dtype == right.dtype and left.tobytes() == right.tobytes():
        return "", 0.0
    if left.dtype.kind not in "fciub":
        left, right = left.astype(np.float64), right.astype(np.float64)
    with np.errstate(all="ignore"):
        near = np.isclose(left, right, rtol, atol, equal_nan=True)
        if near.all():
            return "", 0.0
        kind = np.complex128 if left.dtype.kind == "c" else np.float64
        gap = np.abs(left.astype(kind) - right.astype(kind))
    gap = np.where(near, -1.0, np.where(np.isnan(gap), np.inf, gap))
    at = np.unravel_index(int(gap.argmax()), gap.shape)
    index = list(map(int, at))
    count = int(near.size - np.count_nonzero(near))
    size = f"{count} of {near.size} elements" if near.size > 1 else "it"
    where = f", most at {index}" if near.size > 1 else ""
    text = f"{size} differ{'s' if size == 'it' else ''}{where}: {left[at]:.6g} and {right[at]:.6g}"
    return text, float(gap[at])


def _summaries_differ(s: Summary, t: Summary, rtol: float, atol: float) -> tuple[str, float]:
    for name in ("count", "nan", "inf"):
        if getattr(s, name) != getattr(t, name):
            return f"{value_text(s)} and {value_text(t)}", float("inf")
    ends = [abs(v) for v in (s.min, s.max, t.min, t.max) if v is not None]
    scale = max(ends, default=0.0)
    for name in ("min", "max", "mean", "std", "norm"):
        u, v = getattr(s, name), getattr(t, name)
        if u is None or v is None:
            continue
        room = max(abs(u), abs(v)) if name == "norm" else scale
        if abs(u - v) > atol + rtol * room:
            if s.count == 1:
                return f"{u:.6g} and {v:.6g}", abs(u - v)
            return f"{name} {u:.6g} and {v:.6g}", abs(u - v)
    return "", 0.0


# -- the whole -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Branch:
    """Where two steps took different ways."""

    last: tuple[Item, Item] | None  # the last pair before
    a: tuple[Item, ...]  # what only the one does there
    b: tuple[Item, ...]
    decided: str = ""  # the comparison that decided, with both sides' values
    at: tuple[Item, Item] | None = None  # where it was made


@dataclass(slots=True)
class Comparison:
    """What was found."""

    names: tuple[str, str]
    text_of: tuple[Callable[[Source], str], Callable[[Source], str]]
    steps: list[tuple[int, int]] = field(default_factory=list)
    pairs: int = 0
    unknown: int = 0  # pairs whose values are not kept on both sides
    count: int = 0  # differences
    differences: list[Difference] = field(default_factory=list)  # the first of them
    branch: Branch | None = None
    why: str = ""  # of the first difference, if it can be said
    values: bool = True  # whether values were compared
    until: str = ""  # up to where, if a step is not over
    cells: dict[str, str] = field(default_factory=dict)  # what is shown for the ids of cells

    @property
    def first(self) -> Difference | None:
        return self.differences[0] if self.differences else None

    @property
    def same(self) -> bool:
        return not self.count

    def lines(self, where: Callable[[Source], str] = place) -> Iterator[str]:
        """The comparison as text; ``where`` spells a place."""
        a, b = self.names
        yield f"A  {a}"
        yield f"B  {b}"
        yield f"{_range(self.steps)}, {self.pairs:,} ops paired" + (
            f"; values of {self.unknown:,} are not kept on both sides"
            if self.values and self.unknown else ""
        )  # fmt: skip
        if not self.pairs and self.count:
            yield "no op of one is in the other: are these runs of the same program?"
        if self.until:
            yield self.until
        first = self.first
        if first is None:
            what = "no difference" if self.values else "the same graph"
            yield what
            return
        yield ""
        yield f"first divergence, step {first.item.step}: {first.item.title}"
        for letter, item, text_of in zip("AB", (first.a, first.b), self.text_of):
            if item is not None:
                yield f"  {letter}  {_item_text(item, text_of, where)}"
        yield f"     {first.text}"
        if self.why:
            yield f"     {self.why}"
        if self.branch is not None:
            yield from self._branch_lines(self.branch, where)
        yield ""
        yield f"{self.count:,} of the ops differ:"
        for found in self.differences[:LISTED]:
            yield f"  step {found.item.step:<4} {found.item.text(where)}: {found.text}"
        if self.count > LISTED:
            yield f"  … and {self.count - LISTED:,} more"

    def _branch_lines(self, branch: Branch, where: Callable[[Source], str]) -> Iterator[str]:
        yield ""
        if branch.last is not None:
            yield f"the last op that both did: {branch.last[0].text(where)}"
        for letter, items, text_of in zip("AB", (branch.a, branch.b), self.text_of):
            if items:
                yield f"  then {letter} went to {_item_text(items[0], text_of, where)}"
                if len(items) > 1:
                    yield f"       and {len(items) - 1} more ops that only {letter} did"
            else:
                yield f"  then {letter} went on without that"
        if branch.decided:
            yield f"  decided by {branch.decided}"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    __repr__ = __str__


def _item_text(item: Item, text_of: Callable[[Source], str], where: Callable[[Source], str]) -> str:
    text = text_of(item.source)
    return item.text(where) + (f"    {text}" if text else "")


def _range(steps: list[tuple[int, int]]) -> str:
    if not steps:
        return "no step"
    if len(steps) == 1:
        x, y = steps[0]
        return f"step {x}" if x == y else f"steps {x} and {y}"
    return f"steps {steps[0][0]} to {steps[-1][0]}"


def compare(
    a: Side, b: Side, *, step: int | None = None, rtol: float = RTOL, atol: float = ATOL
) -> Comparison:
    """Compare two runs step by step: the ops that they did, and their values.

    Args:
        step: only this training step.
        rtol, atol: two elements (or statistics) are equal if they are as near as that.

    Raises CompareError if they have no step in common.
    """
    common = sorted(a.steps.keys() & b.steps.keys())
    if step is not None:
        missing = [s.name for s in (a, b) if step not in s.steps]
        if missing:
            raise CompareError(f"{missing[0]} has no step {step}")
        common = [step]
    if not common:
        raise CompareError("the two have no training step in common")
    texts = a.has_text() and b.has_text()
    a.by_text(texts)
    b.by_text(texts)
    found = Comparison((a.name, b.name), (a.text_of, b.text_of))
    for number in common:
        _compare_step(found, a, b, number, number, rtol, atol, values=True)
    if step is None:
        for side, letter, other in ((a, "A", b), (b, "B", a)):
            extra = sorted(n for n in side.steps if n and n not in other.steps)
            if other.running:
                extra = [n for n in extra if n < max(other.steps)]
            if extra and not (found.count and extra[0] < common[-1]):
                found.count += len(extra)
                first = side.items(extra[0], side.rules)[:1]
                if first:
                    mine, theirs = (first[0], None) if letter == "A" else (None, first[0])
                    text = f"only {letter} has step {extra[0]} ({len(extra)} steps more)"
                    found.differences.append(Difference(f"only {letter}", mine, theirs, text))
    return found


def compare_steps(
    side: Side, first: int, second: int, *, values: bool = False, rtol: float = RTOL,
    atol: float = ATOL,
) -> Comparison:  # fmt: skip
    """Compare the graphs of two steps of one run: why did one of them take the other branch?

    With ``values``, their values as well; between two steps those nearly always differ.
    """
    for number in (first, second):
        if number not in side.steps:
            known = sorted(n for n in side.steps if n)
            has = f"it has {known[0]} to {known[-1]}" if known else "no step has a number"
            raise CompareError(f"there is no step {number}: {has}")
    side.by_text(False)
    names = (f"{side.name}, step {first}", f"{side.name}, step {second}")
    found = Comparison(names, (side.text_of, side.text_of), values=values)
    _compare_step(found, side, side, first, second, rtol, atol, values)
    return found


def _compare_step(
    found: Comparison, a: Side, b: Side, x: int, y: int, rtol: float, atol: float, values: bool
) -> None:
    rules = a.rules and b.rules
    left, right = a.items(x, rules), b.items(y, rules)
    pairs = align(left, right)
    # Of a step that goes on, only what it has done is compared.
    if b.open(y) and pairs:
        left = left[: pairs[-1][0] + 1]
        found.until = f"step {y} of B has come to {right[-1]}: compared up to there"
    elif a.open(x) and pairs:
        right = right[: pairs[-1][1] + 1]
        found.until = f"step {x} of A has come to {left[-1]}: compared up to there"
    found.steps.append((x, y))
    found.pairs += len(pairs)
    deltas: list[tuple[int, Difference]] = []  # by position in A's order
    i = j = 0
    branch_at: tuple[int, int, int, int] | None = None
    for k, (p, q) in enumerate([*pairs, (len(left), len(right))]):
        if (p > i or q > j) and branch_at is None:
            branch_at = (k, i, p, j)
        deltas += [(i, Difference("only A", it, None, "only A does it")) for it in left[i:p]]
        deltas += [(p, Difference("only B", None, it, "only B does it")) for it in right[j:q]]
        i, j = p + 1, q + 1
        if k == len(pairs):
            break
        delta = _of_pair(found, a, b, left[p], right[q], rtol, atol, values)
        if delta is not None:
            deltas.append((p, delta))
    first = found.first is None and bool(deltas)
    found.count += len(deltas)
    found.differences += [d for _, d in deltas[: max(0, KEPT - len(found.differences))]]
    if branch_at is not None and found.branch is None:
        k, i, p, j = branch_at
        q = pairs[k][1] if k < len(pairs) else len(right)
        found.branch = _branch(a, b, left, right, pairs[:k], left[i:p], right[j:q])
    if first:
        found.why = _why(a, b, deltas[0][1], rtol, atol)


def _of_pair(
    found: Comparison, a: Side, b: Side, x: Item, y: Item, rtol: float, atol: float, values: bool
) -> Difference | None:
    event, other = a.lineage.events[x.seq], b.lineage.events[y.seq]
    if values and isinstance(event, Op) and isinstance(other, Op) and event.meta != other.meta:
        for key in {**event.meta, **other.meta}:
            u, v = event.meta.get(key, "nothing"), other.meta.get(key, "nothing")
            if u != v and not _volatile(u) and not _near(u, v, rtol, atol):
                return Difference("argument", x, y, f"its argument {key} is {u} and {v}")
    if not values:
        return None
    delta, known = _differ(a, b, x, y, rtol, atol)
    found.unknown += not known
    return delta


def _near(u: str, v: str, rtol: float, atol: float) -> bool:
    """Are both numbers, and near each other?"""
    try:
        return bool(np.isclose(float(u), float(v), rtol, atol))
    except ValueError:
        return False


def _volatile(text: str) -> bool:
    """Is it a text that stands for an object, and says nothing of it?"""
    return "<" in text


def _branch(
    a: Side, b: Side, left: list[Item], right: list[Item], before: list[tuple[int, int]],
    only_a: list[Item], only_b: list[Item],
) -> Branch:  # fmt: skip
    """The place where the ways part, and the comparison that decided."""
    last = (left[before[-1][0]], right[before[-1][1]]) if before else None
    fallback: tuple[str, tuple[Item, Item]] | None = None
    for p, q in reversed(before[-NEAR:]):
        x, y = left[p], right[q]
        outs_a, outs_b = a.outputs(x.seq), b.outputs(y.seq)
        if len(outs_a) != 1 or len(outs_b) != 1:
            continue
        s, t = (side.look(o.tensor, o.seq) for side, o in ((a, outs_a[0]), (b, outs_b[0])))
        if s is None or t is None or s.count != 1 or t.count != 1 or s.mean == t.mean:
            continue
        if outs_a[0].meta.dtype == "bool":
            text = f"{x}: {_decision(a, x, s)} in A, {_decision(b, y, t)} in B"
            return Branch(last, tuple(only_a), tuple(only_b), text, (x, y))
        if fallback is None:
            text = f"{x}, perhaps: {value_text(s)} in A, {value_text(t)} in B"
            fallback = text, (x, y)
    text, at = fallback if fallback is not None else ("", None)
    return Branch(last, tuple(only_a), tuple(only_b), text, at)


_SIGNS = {"gt": ">", "lt": "<", "ge": ">=", "le": "<=", "eq": "==", "ne": "!="}


def _decision(side: Side, item: Item, out: Summary) -> str:
    """``0.43 > 0.5 is False``."""
    event = side.lineage.events[item.seq]
    word = str(bool(out.mean))
    if not isinstance(event, Op):
        return word
    parts = []
    known = {o.tensor: o for o in side.lineage.operands(event)}
    for i, ident in enumerate(event.inputs):
        operand = known.get(ident)
        if operand is None:
            parts.append(event.meta.get(f"arg{i}", "?"))
        else:
            parts.append(value_text(side.look(operand.tensor, operand.seq)))
    sign = _SIGNS.get(event.name)
    text = f" {sign} ".join(parts) if sign else f"{event.name}({', '.join(parts)})"
    return f"{text} is {word}"


def _why(a: Side, b: Side, first: Difference, rtol: float, atol: float) -> str:
    """What can be said of the first difference from what went into it."""
    if first.kind not in ("value", "shape") or first.a is None or first.b is None:
        return ""
    event, other = a.lineage.events[first.a.seq], b.lineage.events[first.b.seq]
    ins_a, ins_b = a.lineage.operands(event), b.lineage.operands(other)
    changed, unknown = [], 0
    for p, q in zip(ins_a, ins_b):
        text, _ = _values_differ(a, b, p, q, rtol, atol)
        unknown += text is None
        if text:
            changed.append(f"{p.name}: {text}")
    if changed:
        return f"of inputs that differ already: {'; '.join(changed[:3])}"
    if unknown or len(ins_a) != len(ins_b):
        return ""
    if isinstance(event, ParamUpdate) and isinstance(other, ParamUpdate):
        ratio = _update_ratio(a, b, event, other)
        more = f": B's update is {ratio:.4g} times A's" if ratio else ""
        return (
            "the gradient, the value before and the optimizer's state are equal"
            f"{more} (another learning rate, or another setting of the optimizer)"
        )
    if not ins_a:
        return "it has no inputs: other data, or another state of the random numbers"
    return "its inputs are equal: it is random, or was computed in another way"


def _update_ratio(a: Side, b: Side, x: ParamUpdate, y: ParamUpdate) -> float:
    """How much longer B's update of a parameter is than A's; 0 if that is not known."""
    if a.array is None or b.array is None:
        return 0.0
    sizes = []
    for side, event in ((a, x), (b, y)):
        before = next(
            (o for o in side.lineage.operands(event) if o.tensor == event.tensor.id), None
        )
        assert side.array is not None
        old = side.array(before.tensor, before.seq) if before is not None else None
        new = side.array(event.tensor.id, event.seq)
        if old is None or new is None:
            return 0.0
        change = np.subtract(new, old, dtype=np.float64)
        sizes.append(float(np.linalg.norm(change.reshape(-1))))
    return sizes[1] / sizes[0] if sizes[0] else 0.0
