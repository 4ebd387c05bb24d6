"""Why is this NaN, infinite, zero, or without gradient: from a value back to where it began.

`explain` follows a bad value from the event that made it to the one before, through forward,
backward and the optimizer's updates into earlier steps, up to the first event whose inputs were
fine. Of several bad inputs it follows the one that was made first. What it needs of the values are
their statistics, which it asks for one at a time: a live program, a viewer's connection and a
recording can all answer.

    print(framework.trace.why(loss))           # in a program that is recorded
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import PurePath
from typing import Any, NamedTuple

from framework.trace.causes import cause, deliberate, node_cause
from framework.trace.events import (
    Event,
    Leaf,
    ModuleBegin,
    NodeEnd,
    Op,
    OpBegin,
    ParamUpdate,
    Source,
    TensorMeta,
    Write,
)
from framework.trace.lineage import Lineage, Operand
from framework.trace.protocol import Summary

__all__ = [
    "Explanation",
    "Link",
    "Look",
    "Value",
    "Walk",
    "array_in",
    "explain",
    "explain_failure",
    "kind_of",
    "look_in",
    "look_through",
    "value_text",
    "why",
]

Look = Callable[..., Summary | None]
"""``look(tensor, seq, slice="")``: statistics of a tensor as of an event, None if not kept."""

MAX_LINKS = 10_000
SMALL = 1e-6  # a gradient below this part of its parameter's size is called small
HINT = "record the run (--record) and ask again"


class Value(NamedTuple):
    """A tensor, and what it was."""

    name: str
    meta: TensorMeta
    summary: Summary | None
    tensor: int = 0
    seq: int = 0
    at: str = ""  # "[3, 7] = 0.0": the element that matters

    def __str__(self) -> str:
        return f"{self.name}  {_shape(self.meta)}  {value_text(self.summary)}" + (
            f"; {self.at}" if self.at else ""
        )


@dataclass(frozen=True, slots=True)
class Link:
    """One event of the chain: what it made, and of what."""

    seq: int  # the event to go to
    title: str  # "log", "div in log backward", "SGD update of model.0.weight"
    phase: str
    module: str
    source: Source
    step: int  # number of the training step
    made: Value
    inputs: tuple[Value, ...] = ()
    note: str = ""  # why, if it is here that it began
    until: int = 0  # the chain goes through the same update up to this step
    node: int = 0  # the backward node that it happened in


@dataclass(frozen=True, slots=True)
class Explanation:
    """A chain from the origin to the value that was asked about.

    Attributes:
        kind: "nan", "inf", "zero", "missing" (no gradient), "small" (a small gradient) or "fine".
        subject: what was asked about: "loss", "model.0.weight.grad".
        verdict: one or two sentences.
        links: origin first, what was asked about last.
        lost: why it could not be followed to its origin; "" if it was.
        gap: the moment whose values would lead on, if their step can be run again; 0 if not.
        aside: said first where this is not about what was asked for by name.
    """

    kind: str
    subject: str
    verdict: str
    links: tuple[Link, ...] = ()
    lost: str = ""
    gap: int = 0
    text_of: Callable[[Source], str] = field(default=lambda source: source_line(source))
    aside: str = ""

    @property
    def origin(self) -> Link | None:
        return self.links[0] if self.links else None

    def lines(self, width: int = 100) -> Iterator[str]:
        """The explanation as text, one step of the chain after the other."""
        if self.aside:
            yield self.aside
        yield f"{self.subject}: {self.verdict}"
        if self.lost:
            yield self.lost
        for i, link in enumerate(self.links):
            yield ""
            where = [place(link.source)] if link.source.line else []
            where += [f"in {link.module}"] if link.module else []
            where += [_steps(link)] if link.step else []
            yield f"{i + 1:>3}  {link.title}   {'  '.join(where)}"
            text = self.text_of(link.source)
            if text:
                yield f"       > {text}"[:width]
            for value in link.inputs:
                yield f"       of    {value}"
            if link.made.meta.dtype:
                yield f"       gives {_of_made(link.made)}"
            if link.note:
                yield f"       {link.note}"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    __repr__ = __str__


def place(source: Source) -> str:
    """``train.py:12``."""
    return f"{PurePath(source.file).name or source.file}:{source.line}"


def _steps(link: Link) -> str:
    if link.until and link.until != link.step:
        return f"steps {link.step} to {link.until}"
    return f"step {link.step}"


def _of_made(value: Value) -> str:
    text = f"{_shape(value.meta)}  {value_text(value.summary)}"
    return f"{text}; {value.at}" if value.at else text


def source_line(source: Source) -> str:
    """The line of a file, as it is now; "" if it cannot be had."""
    return linecache.getline(source.file, source.line).strip() if source.line else ""


def _shape(meta: TensorMeta) -> str:
    device = "" if meta.device in ("cpu", "") else f" {meta.device}"
    return f"{list(meta.shape)} {meta.dtype}{device}" if meta.dtype else ""


def value_text(s: Summary | None) -> str:
    """What a tensor held, in a few words.

    >>> value_text(Summary(4, 1, 0, 2, min=0.0, max=3.0))
    '1 NaN of 4, the rest 0 to 3'
    >>> value_text(Summary(1, 0, 0, 0, min=2.5, max=2.5))
    '2.5'
    """
    if s is None:
        return "no longer kept"
    if not s.count:
        return "no elements"
    bad = [f"{n} {name}" for n, name in ((s.nan, "NaN"), (s.inf, "Inf")) if n]
    if s.count == 1:
        return bad[0].removeprefix("1 ") if bad else f"{s.min:.6g}"
    if s.min is None or s.max is None:
        return f"{' and '.join(bad)} of {s.count}"
    rest = f"{s.min:.4g} to {s.max:.4g}" if s.min != s.max else f"{s.min:.4g}"
    if bad:
        return f"{' and '.join(bad)} of {s.count}, the rest {rest}"
    if s.zeros == s.count:
        return f"all {s.count} are 0"
    return rest if s.min != s.max else f"all {rest}"


# -- the walk --------------------------------------------------------------------------------


def _has_nan(s: Summary) -> bool:
    return s.nan > 0


def _has_inf(s: Summary) -> bool:
    return s.inf > 0


def _is_zero(s: Summary) -> bool:
    return s.count > 0 and s.zeros == s.count


_KINDS: dict[str, Callable[[Summary], bool]] = {"nan": _has_nan, "inf": _has_inf, "zero": _is_zero}
_WORDS = {"nan": "NaN", "inf": "Inf", "zero": "zero"}
_MOVES = frozenset(
    "reshape view expand permute transpose t detach clone getitem squeeze unsqueeze flatten alias "
    "contiguous".split()
)  # ops that only hand on what is there


def kind_of(s: Summary | None) -> str:
    """What is to be explained about a value; "" for nothing."""
    return next((k for k, bad in _KINDS.items() if s is not None and bad(s)), "")


class Walk:
    """From a bad value back to the event that it began at.

    Attributes:
        again: a step can be run again for its values.
        gap: the moment whose values are missing and would be had so; 0 for none.
    """

    def __init__(self, lineage: Lineage, look: Look, again: bool = False) -> None:
        self.lineage = lineage
        self.again = again
        self.gap = 0
        self._look = look
        self._seen: dict[tuple[int, int, str], Summary | None] = {}

    def look(self, tensor: int, seq: int, index: str = "") -> Summary | None:
        key = (tensor, seq, index)
        if key not in self._seen:
            self._seen[key] = self._look(tensor, seq, index) if index else self._look(tensor, seq)
        return self._seen[key]

    def hint(self, seq: int, kind: str = "") -> str:
        """What to do about values that are not kept, of a moment; notes the moment."""
        step = self.lineage.step(seq)
        word = _WORDS.get(kind, "") if kind != "zero" else ""
        if self.again and step:
            self.gap = seq
            once_more = f"; or B, {kind}, and run: it stops at the first {word}" if word else ""
            return f"go to step {step}: a runs that step again, then ask again{once_more}"
        stop = f"stop at its first {word} (--break {kind}, or B on a row), or " if word else ""
        return stop + HINT

    @property
    def blind(self) -> bool:
        """Was not one of the values that were looked at kept?"""
        return not any(summary is not None for summary in self._seen.values())

    def value(self, operand: Operand) -> Value:
        summary = self.look(operand.tensor, operand.seq)
        return Value(operand.name, operand.meta, summary, operand.tensor, operand.seq)

    def link(self, event: Event, made: Operand, inputs: list[Value]) -> Link:
        lineage = self.lineage
        node = lineage.node_of(event) if isinstance(event, Op) else None
        return Link(
            event.seq, lineage.title(event), lineage.phase(event), lineage.module(event),
            lineage.source(event), lineage.step(event.seq), self.value(made), tuple(inputs),
            node=node.seq if node is not None else 0,
        )  # fmt: skip

    def back(self, tensor: int, seq: int, kind: str) -> tuple[list[Link], str]:
        """The chain, what was asked about first, and why it ends too early ("" if it does not)."""
        lineage = self.lineage
        links: list[Link] = []
        at = Operand(tensor, seq, lineage.name(tensor, seq), lineage.meta(tensor))
        while len(links) < MAX_LINKS:
            event = lineage.maker(at.tensor, at.seq)
            if event is None:
                return links, f"{at.name} was made before the tape begins; {HINT}"
            values = [self.value(operand) for operand in lineage.operands(event)]
            known = at._replace(seq=event.seq)
            links.append(self.link(event, known, values))
            bad = [v for v in values if v.summary is not None and _KINDS[kind](v.summary)]
            if kind == "nan" and not bad:
                bad = [v for v in values if v.summary is not None and _has_inf(v.summary)]
                if bad:
                    kind = "inf"
            if kind == "zero" and not self._zero_goes_on(event, bad, values):
                bad = []
            forward = self._forward(event) if not bad and kind != "zero" else None
            if forward is not None:
                # The values were bad before their gradient was: that is where it began.
                bad, kind = [forward], kind_of(forward.summary)
            if not bad:
                unknown = [v for v in values if v.summary is None]
                if unknown and links[-1].made.summary is None:
                    return links[:-1], self._not_kept(event, kind)
                if unknown and kind != "zero":
                    hint = self.hint(unknown[0].seq, kind)
                    return links, f"the value of {unknown[0].name} is no longer kept; {hint}"
                return links, ""
            chosen = min(bad, key=self._born)
            at = Operand(chosen.tensor, chosen.seq, chosen.name, chosen.meta)
        return links, f"the chain is longer than {MAX_LINKS} events"

    def _forward(self, event: Event) -> Value | None:
        """The result of the forward op whose gradient this is about, if it was not finite."""
        node = self.lineage.node_of(event) if isinstance(event, Op) else None
        forward = self.lineage.events.get(node.forward) if node is not None else None
        if not isinstance(forward, Op):
            return None
        for meta in forward.outputs:
            found = self.value(Operand(meta.id, forward.seq, f"result of {forward.name}", meta))
            if kind_of(found.summary) in ("nan", "inf"):
                return found
        return None

    def _zero_goes_on(self, event: Event, bad: list[Value], values: list[Value]) -> bool:
        """Does a zero of the inputs explain the zeros of the result by itself?"""
        if not bad:
            return False
        if isinstance(event, ParamUpdate):
            return any(v.tensor == event.tensor.id for v in bad)
        name = event.name if isinstance(event, Op) else ""
        if name.rstrip("_") in ("add", "sub", "cat", "stack", "maximum", "minimum", "where"):
            return len(bad) == len([v for v in values if v.summary is not None])
        return True

    def _not_kept(self, event: Event, kind: str) -> str:
        step = self.lineage.step(event.seq)
        when = f"step {step} and before" if step else "before"
        return f"values of {when} are no longer kept; {self.hint(event.seq, kind)}"

    def _born(self, value: Value) -> int:
        made = self.lineage.maker(value.tensor, value.seq)
        return made.seq if made is not None else 0

    # -- the element that matters ------------------------------------------------------------

    def locate(self, value: Value, bad: Callable[[Summary], bool]) -> tuple[int, ...] | None:
        """The index of a bad element, by halving: a few looks per dimension."""
        index: list[int] = []
        for size in value.meta.shape:
            low, high = 0, size
            while high - low > 1:
                middle = (low + high) // 2
                part = ", ".join([*map(str, index), f"{low}:{middle}"])
                found = self.look(value.tensor, value.seq, f"[{part}]")
                if found is None:
                    return None
                if bad(found):
                    high = middle
                else:
                    low = middle
            index.append(low)
        return tuple(index)

    def element(self, value: Value, index: tuple[int, ...]) -> str:
        """``[3, 7] = 0.0``, with the index as broadcasting has it; "" where it does not apply."""
        shape = value.meta.shape
        if value.summary is None or not shape or len(shape) > len(index):
            return ""
        own = [0 if n == 1 else i for n, i in zip(shape, index[len(index) - len(shape) :])]
        if any(i >= n for n, i in zip(shape, own)):
            return ""
        found = self.look(value.tensor, value.seq, str(own))
        return f"{own} = {value_text(found)}" if found is not None else ""

    def with_element(self, link: Link, kind: str) -> Link:
        """The origin, with one bad element and the elements that it was made of."""
        made = link.made
        if kind == "zero" or made.summary is None or len(made.meta.shape) == 0:
            return link
        index = self.locate(made, _KINDS[kind])
        if index is None:
            return link
        same = [
            v._replace(at=self.element(v, index)) if _fits(v.meta.shape, made.meta.shape) else v
            for v in link.inputs
        ]
        return replace(link, made=made._replace(at=self.element(made, index)), inputs=tuple(same))

    # -- words -------------------------------------------------------------------------------

    def reason(self, link: Link, kind: str) -> str:
        """Why a value began to be bad at this event."""
        event = self.lineage.events[link.seq]
        out = link.made.summary
        if out is None:
            return ""
        if isinstance(event, Leaf):
            what = "infinite" if kind == "inf" else _WORDS[kind]
            return f"it was {what} when the program came with it: look at where it comes from"
        if isinstance(event, ParamUpdate):
            return self._reason_of_update(event, link, kind)
        if isinstance(event, Write):
            return "its memory was written past the ops that are recorded"
        name, ins = link.title, [v.summary for v in link.inputs]
        if isinstance(event, Op):
            name, ins = event.name, self._operands(event, link)
        node = self.lineage.events.get(event.begin) if isinstance(event, NodeEnd) else None
        if node is None and isinstance(event, Op):
            node = self.lineage.node_of(event)
        found = (
            cause(name, ins, out, link.made.meta.dtype) if not isinstance(event, NodeEnd) else ""
        )
        special = node_cause(getattr(node, "name", ""), out)
        return ": ".join(filter(None, (found, special)))

    def _operands(self, event: Op, link: Link) -> list[Summary | None]:
        """Operands in argument order, a scalar among them."""
        known = {v.tensor: v.summary for v in link.inputs}
        return [
            known.get(ident) if ident else _scalar(event.meta.get(f"arg{i}", ""))
            for i, ident in enumerate(event.inputs)
        ]

    def _reason_of_update(self, event: ParamUpdate, link: Link, kind: str) -> str:
        grad = next((v for v in link.inputs if v.tensor == event.grad), None)
        if grad is None or grad.summary is None or kind == "zero":
            return "the update made it so"
        if kind_of(grad.summary) in ("nan", "inf"):
            return "the gradient that came was not finite"
        return (
            f"the update itself made it so: the gradient ({value_text(grad.summary)}) and the "
            "value before were finite; the learning rate is too large for them, or the "
            "optimizer's state was not finite"
        )


def _fits(shape: tuple[int, ...], out: tuple[int, ...]) -> bool:
    """Would it broadcast to the result without changing that?"""
    return len(shape) <= len(out) and all(
        n in (1, m) for n, m in zip(reversed(shape), reversed(out))
    )


def _scalar(text: str) -> Summary | None:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    number = float(value)
    return Summary(1, 0, 0, int(number == 0), min=number, max=number, mean=number)


def _folded(links: list[Link]) -> list[Link]:
    """Origin first. The ops of a node are one link, and so are updates of step after step."""
    order = list(reversed(links))
    result = [order[0]]
    for _, group in groupby(order[1:], key=lambda li: li.node or -li.seq):
        result.append(whole_node(list(group)))
    shown = [
        link for i, link in enumerate(result)
        if i in (0, len(result) - 1) or link.title.partition(" ")[0] not in _MOVES
    ]  # fmt: skip
    return [_updates(list(group)) for _, group in groupby(shown, key=_update_key)]


def whole_node(links: list[Link]) -> Link:
    """Links of one backward node, the first one first, as one."""
    last = links[-1]
    if not last.node or " in " not in last.title:
        return last
    return replace(last, title=last.title.rpartition(" in ")[2], inputs=links[0].inputs)


def _update_key(link: Link) -> object:
    first = link.phase == "optimizer" and not _was_bad(link)
    return link.title if link.phase == "optimizer" and not first else link.seq


def _was_bad(link: Link) -> bool:
    """Was the parameter bad before this update?"""
    return any(v.tensor == link.made.tensor and kind_of(v.summary) for v in link.inputs)


def _updates(links: list[Link]) -> Link:
    last = links[-1]
    return last if len(links) == 1 else replace(last, step=links[0].step, until=last.step)


def _explain_value(walk: Walk, tensor: int, seq: int, kind: str, name: str) -> Explanation:
    """The chain of a bad value."""
    links, lost = walk.back(tensor, seq, kind)
    if not links:
        return Explanation(kind, name, f"is {_WORDS[kind]}, but nothing is known of it", (), lost)
    chain = _folded(links)
    first = chain[0]
    began = kind_of(first.made.summary) or kind
    if kind == "nan" and began == "inf":
        birth = next((i for i, li in enumerate(chain) if kind_of(li.made.summary) == "nan"), 0)
        op = walk.lineage.events[first.seq]
        put_in = isinstance(op, Leaf) or (isinstance(op, (Op, OpBegin)) and deliberate(op.name))
        born = walk.with_element(chain[birth], "nan")
        chain[birth] = replace(born, note=walk.reason(born, "nan"))
        if put_in:
            chain[0] = replace(first, note="the infinity was put in here")
            chain = chain[birth:]
            origin = chain[0]
            return _told(kind, name, chain, origin, origin.note + _from(first, walk), lost)
    first = walk.with_element(chain[0], began)
    note = first.note if lost else walk.reason(first, began)
    chain[0] = replace(first, note=note)
    return _told(kind, name, chain, chain[0], note, lost)


def _from(link: Link, walk: Walk) -> str:
    return (
        f"; the infinity is from {link.title} at {place(link.source)}" if link.source.line else ""
    )


def _told(
    kind: str, name: str, chain: list[Link], origin: Link, note: str, lost: str
) -> Explanation:
    began = _WORDS[kind_of(origin.made.summary) or kind]
    where = f" at {place(origin.source)}" if origin.source.line else ""
    where += f" in {origin.module}" if origin.module else ""
    where += f", step {origin.step}" if origin.step else ""
    verb = "could be followed back to" if lost else "began at"
    what = _WORDS[kind] if began == _WORDS[kind] else f"{_WORDS[kind]} comes from an {began} that"
    verdict = f"its {what} {verb} {origin.title}{where}"
    if note:
        verdict += f": {note}"
    return Explanation(kind, name, verdict, tuple(chain), lost)


# -- what is asked about ---------------------------------------------------------------------


def explain(
    lineage: Lineage, look: Look, tensor: int, seq: int = 0, name: str = "", *,
    grad: bool = True, again: bool = False,
) -> Explanation:  # fmt: skip
    """Why a tensor is NaN, infinite or zero as of an event, or why it has no gradient.

    Args:
        look: gives the statistics of a tensor as of an event.
        seq: the moment; 0 for the newest event.
        grad: ask about a parameter's gradient, too, where its value is fine.
        again: a step whose values are not kept can be run again.
    """
    from framework.trace.missing import explain_gradient

    seq = seq or lineage.last_seq
    name = name or lineage.name(tensor, seq)
    walk = Walk(lineage, look, again)
    found = walk.look(tensor, seq)
    kind = kind_of(found)
    parameter = lineage.wants_gradient(tensor)
    if kind in ("nan", "inf") or (kind and not (parameter and grad)):
        return replace(_explain_value(walk, tensor, seq, kind, name), gap=walk.gap)
    if parameter and grad:
        told = explain_gradient(walk, tensor, seq, name)
        if told is not None:
            return told
    if found is None:
        return Explanation(
            "fine", name, f"its value is no longer kept; {walk.hint(seq)}", gap=walk.gap
        )
    return Explanation("fine", name, f"nothing is wrong with it: {value_text(found)}")


def explain_failure(walk: Walk, op: Op | ModuleBegin, error: str) -> Explanation:
    """An op or a module that raised: what made each of its operands, then itself."""
    lineage = walk.lineage
    operands = lineage.operands(op)
    links = []
    for operand in operands:
        maker = lineage.maker(operand.tensor, operand.seq)
        if maker is not None and not isinstance(maker, Leaf):
            values = [walk.value(found) for found in lineage.operands(maker)]
            links.append(walk.link(maker, operand, values))
    failed = walk.link(op, Operand(0, op.seq, "", TensorMeta(0, (), "", "")), [])
    values = [walk.value(operand) for operand in operands]
    links.append(replace(failed, inputs=tuple(values), note=error))
    where = f" at {place(failed.source)}" if failed.source.line else ""
    if isinstance(op, ModuleBegin):
        called = f" (called{where})" if where else ""
        return Explanation("error", failed.title, f"raised {error}{called}", tuple(links))
    where += f" in {failed.module}" if failed.module else ""
    return Explanation("error", failed.title, f"failed{where}: {error}", tuple(links))


def why(what: Any, recorder: Any = None) -> Explanation:
    """Why a tensor of this program is NaN, infinite or zero, or a parameter without gradient.

    The program must be recorded: within ``with trace.recording():``, ``trace.listen()`` or
    `tapebook run`. Raises RuntimeError if it is not.

    >>> import framework as torch
    >>> from framework.trace import recording, why
    >>> with recording():
    ...     x = torch.zeros(3)
    ...     print(why(x.log().sum()).verdict.partition(" at <")[0])
    its Inf began at log
    """
    from framework.trace import sink
    from framework.trace.reader import tensor_meta

    recorder = recorder if recorder is not None else sink.active
    if recorder is None:
        raise RuntimeError("why: nothing is recorded; use it within trace.recording()")
    if not isinstance(what, sink.tensor_type):
        raise TypeError(f"why: expected a tensor or a parameter, but got {type(what).__name__}")
    if what._id <= recorder.first_id:
        return Explanation("fine", "this tensor", "no recorded op made or used it")
    lineage = Lineage(recorder.read())
    # The flag may have been set after the op that made the tensor was recorded.
    lineage.metas[what._id] = tensor_meta(what)
    return explain(lineage, look_in(recorder), what._id)


def look_in(recorder: Any) -> Look:
    """Statistics of what a recorder of this process keeps."""
    from framework.trace.summary import parse_slice, summarize

    def look(tensor: int, seq: int, index: str = "") -> Summary | None:
        array = array_in(recorder, tensor, seq)
        if array is None:
            return None
        return summarize(array[parse_slice(index, array.shape)] if index else array)

    return look


def look_through(client: Any, patience: float = 10.0) -> Look:
    """Statistics of what the program at the other end of a connection keeps; a call waits."""
    from framework.trace.client import RequestError

    def look(tensor: int, seq: int, index: str = "") -> Summary | None:
        found: Summary | None
        try:
            if index:
                view = client.request("view", tensor=tensor, seq=seq, slice=index)
                found = view.result(patience).summary
            else:
                found = client.request("summary", tensors=[tensor], seq=seq).result(patience)[0]
        except (RequestError, TimeoutError):
            return None
        return found

    return look


def array_in(recorder: Any, tensor: int, seq: int) -> Any | None:
    """What a tensor held as of an event, of what a recorder keeps; None if it is not kept."""
    if recorder.gate is not None:
        found = recorder.gate.value(tensor, seq)
        return None if found is None else found[0]
    return recorder.values.get(tensor, seq) if recorder.values is not None else None
