"""Why a parameter has no gradient, a gradient of zeros, or a very small one.

A path of gradients goes from the parameter through every op that has a backward node, to what
backward was called on. `follow` walks it forward through the ops of one training step and notes
where it was cut. Of several cuts those are named that the loss depends on.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import groupby
from math import prod
from typing import TYPE_CHECKING

from framework.trace.events import (
    BackwardBegin,
    BackwardEnd,
    Grad,
    Leaf,
    ModuleBegin,
    NodeBegin,
    NodeEnd,
    Op,
    OpBegin,
    OpEnd,
    Source,
)
from framework.trace.lineage import Lineage, Operand

if TYPE_CHECKING:
    from framework.trace.explain import Explanation, Link, Walk

__all__ = ["Cut", "Paths", "explain_gradient", "follow"]

_INEXACT = ("float", "bfloat", "complex")
_FULL_WRITES = frozenset("copy_ zero_ fill_ normal_ uniform_ set_".split())
_NAMED = 3  # cuts that the verdict names
_LONGEST = 2_000  # ops of backward that a small gradient is followed through


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a path of gradients ends before the loss."""

    seq: int  # of the op
    why: str  # "detach()", "cast to int64", "a no_grad block", ...
    tensor: int  # what came out, without a path
    source: Source
    relevant: bool = False  # the loss depends on what came out


@dataclass(slots=True)
class Paths:
    """Where the gradient of a tensor could come from in one training step."""

    uses: list[int] = field(default_factory=list)  # ops that use the tensor itself
    last: int = 0  # the newest op that is on the path
    reached: set[int] = field(default_factory=set)  # tensors on the path
    cuts: list[Cut] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)  # ops on the path whose result nothing uses
    backwards: list[int] = field(default_factory=list)  # passes of the step
    arrives: bool = False  # the path comes to what a pass starts from


def follow(lineage: Lineage, tensor: int, first: int, last: int) -> Paths:
    """All ways forward from ``tensor`` through the events after ``first`` up to ``last``."""
    paths = Paths(reached={tensor})
    reached = paths.reached
    used: set[int] = set()
    makers: dict[int, Op] = {}
    custom: dict[int, OpBegin] = {}  # containers on the path, until they end
    depends: list[Op] = []
    for seq in range(first + 1, last + 1):
        event = lineage.events.get(seq)
        if isinstance(event, BackwardBegin):
            paths.backwards.append(seq)
            paths.arrives |= any(root in reached for root in event.roots)
            used.update(event.roots)
        elif isinstance(event, OpBegin) and event.phase == "forward":
            if reached.intersection(event.inputs):
                custom[seq] = event
        elif isinstance(event, OpEnd) and event.begin in custom:
            reached.update(m.id for m in event.outputs if m.requires_grad)
        elif isinstance(event, Op) and event.phase == "forward" and not event.error:
            depends.append(event)
            used.update(event.inputs)
            _take(lineage, paths, event, tensor, makers, event.parent in custom)
    _judge(lineage, paths, depends, used, makers)
    return paths


def _take(
    lineage: Lineage, paths: Paths, op: Op, tensor: int, makers: dict[int, Op], inside: bool
) -> None:
    """One op of the step: does the path go through it?"""
    reached = paths.reached
    on = reached.intersection(op.inputs)
    if not on:
        return
    if tensor in op.inputs:
        if tensor in lineage.wrote.get(op.seq, ()):
            return  # how it was made
        paths.uses.append(op.seq)
    target = op.outputs[0].id if op.outputs else 0
    if op.name in _FULL_WRITES and target in on and on == {target} and target != tensor:
        reached.discard(target)
        paths.cuts.append(Cut(op.seq, f"overwritten in place by {op.name}", target, op.source))
        return
    kept = [m.id for m in op.outputs if m.requires_grad]
    if kept:
        paths.last = op.seq
        reached.update(kept, lineage.wrote.get(op.seq, ()))
        for ident in kept:
            makers[ident] = op
        return
    if inside:
        return  # a custom Function runs its own ops without a graph
    why = _why_cut(lineage, op)
    paths.cuts += [Cut(op.seq, why, m.id, op.source) for m in op.outputs]


def _why_cut(lineage: Lineage, op: Op) -> str:
    """Why the result of an op has no gradient although an operand had one."""
    if op.name in ("detach", "detach_"):
        return "detach()"
    out = op.outputs[0] if op.outputs else None
    if out is not None and not out.dtype.startswith(_INEXACT):
        if op.name == "to":
            return f"a cast to {out.dtype}"
        return f"{op.name}, whose result is {out.dtype}"
    return "a no_grad or inference_mode block"


def _judge(
    lineage: Lineage, paths: Paths, ops: list[Op], used: set[int], makers: dict[int, Op]
) -> None:
    """Which cuts the loss depends on, and where the path simply ends."""
    needed: set[int] = set()
    for seq in paths.backwards:
        event = lineage.events[seq]
        if isinstance(event, BackwardBegin):
            needed.update(event.roots)
    for op in reversed(ops):
        made = {m.id for m in op.outputs} | set(lineage.wrote.get(op.seq, ()))
        if needed.intersection(made):
            needed.update(i for i in op.inputs if i)
    paths.cuts = [
        replace(cut, relevant=cut.tensor in needed or cut.why.startswith("overwritten"))
        for cut in paths.cuts
    ]
    paths.ends = sorted({op.seq for ident, op in makers.items() if ident not in used})


# -- words -----------------------------------------------------------------------------------


def explain_gradient(walk: Walk, leaf: int, seq: int, name: str) -> Explanation | None:
    """Why a parameter's gradient is missing, NaN, zero or small; None if it is as it should be."""
    from framework.trace.explain import SMALL, Explanation, _explain_value, kind_of, value_text

    lineage = walk.lineage
    subject = f"{name}.grad"
    first, last = lineage.step_bounds(seq)
    last = min(last, seq)
    at, grad = lineage.grad_of(leaf, last, first)
    if not grad and not _backwards(lineage, first, last) and first:
        # Nothing has come yet in this step: what is meant is the step before, if it trained this.
        before = lineage.step_bounds(first)
        if _backwards(lineage, *before) and follow(lineage, leaf, *before).uses:
            first, last = before
            at, grad = lineage.grad_of(leaf, last, first)
    if not grad:
        return _missing(walk, leaf, subject, first, last)
    summary = walk.look(grad, at)
    kind = kind_of(summary)
    if kind:
        return _explain_value(walk, grad, at, kind, subject)
    value = walk.look(leaf, at)
    if summary is None or value is None or summary.norm is None or not value.norm:
        return None
    if summary.norm >= SMALL * value.norm:
        return None
    links, most = _shrinking(walk, grad, at)
    paths = follow(lineage, leaf, first, last)
    verdict = f"is very small: {value_text(summary)}, for values of {value_text(value)}"
    if most:
        verdict += f"; it shrinks most in {most}"
    cuts = [cut for cut in paths.cuts if cut.relevant]
    if cuts:
        verdict += f"; another path is cut by {_named(cuts)}"
        links = [*_cut_links(walk, cuts), *links]
    return Explanation("small", subject, verdict, tuple(links))


def _backwards(lineage: Lineage, first: int, last: int) -> bool:
    return any(
        isinstance(lineage.events.get(seq), BackwardBegin) for seq in range(first + 1, last + 1)
    )


def _missing(walk: Walk, leaf: int, subject: str, first: int, last: int) -> Explanation:
    """There is no gradient: name the cut."""
    from framework.trace.explain import Explanation

    lineage = walk.lineage
    paths = follow(lineage, leaf, first, last)
    step = lineage.step(last)
    when = f"in step {step}" if step else "in this run"

    def told(verdict: str, links: list[Link] | None = None) -> Explanation:
        return Explanation("missing", subject, f"there is none: {verdict}", tuple(links or ()))

    if not lineage.meta(leaf).requires_grad:
        return told("requires_grad is False (it is frozen)", _use_links(walk, paths.uses[:1]))
    if not paths.uses and not _backwards(lineage, first, last):
        return told(f"no op has used it {when} so far, and backward has not run")
    if not paths.uses:
        # Of two networks with an optimizer each, one ran in the other one's part of the loop.
        both = follow(lineage, leaf, lineage.step_bounds(first)[0], last) if first else paths
        if cuts := [cut for cut in both.cuts if cut.relevant and cut.seq > first]:
            links = _cut_links(walk, cuts, both.uses[:1])
            return told(f"its path to the loss is cut by {_named(cuts)}", links)
        return told(_unused(lineage, leaf, first, last, when))
    if not paths.backwards:
        return told(f"backward was not called {when}", _use_links(walk, paths.uses[:1]))
    relevant = [cut for cut in paths.cuts if cut.relevant]
    if not paths.arrives:
        cuts = relevant if relevant or paths.ends else paths.cuts
        if cuts:
            return told(
                f"its path to the loss is cut by {_named(cuts)}",
                _cut_links(walk, cuts, paths.uses[:1]),
            )
        return told(*_dead_end(walk, paths))
    return told(*_not_sent(walk, paths, leaf))


def _unused(lineage: Lineage, leaf: int, first: int, last: int, when: str) -> str:
    owner, _, local = lineage.names.get(leaf, "").rpartition(".")
    called = any(
        isinstance(event := lineage.events.get(seq), ModuleBegin) and event.path == owner
        for seq in range(first + 1, last + 1)
    )
    if owner and called:
        return f"{owner} ran {when}, but no op of it used {local}"
    if owner:
        return f"{owner} was not called {when}: no op used it"
    return f"no op used it {when}"


def _dead_end(walk: Walk, paths: Paths) -> tuple[str, list[Link]]:
    """The path ends at results that nothing uses, or that go on as other tensors."""
    lineage = walk.lineage
    links = _use_links(walk, paths.uses[:1])
    ends = paths.ends[-1:] or [paths.last]
    op = lineage.events.get(ends[0])
    if not isinstance(op, Op):
        return "the loss does not depend on it", links
    again = _came_back(walk, op)
    if again is not None:
        text = (
            f"the result of {op.name}{_where(op.source)} went on as a new tensor "
            f"{again.name or ''}".rstrip()
            + " (by .data, .numpy(), .item() or torch.tensor)"
        )
        return text, _and_then(links, walk, op, "its values went on without gradient")
    text = f"the result of {op.name}{_where(op.source)} is not used in the loss"
    return text, _and_then(links, walk, op, "nothing that the loss depends on uses it")


def _and_then(links: list[Link], walk: Walk, op: Op, note: str) -> list[Link]:
    return [*(li for li in links if li.seq != op.seq), *_use_links(walk, [op.seq], note)]


def _came_back(walk: Walk, op: Op) -> Leaf | None:
    """A tensor of unknown origin with the same values as the result of an op."""
    out = op.outputs[0]
    here = walk.look(out.id, op.seq)
    if here is None:
        return None
    for seq in range(op.seq + 1, min(walk.lineage.last_seq, op.seq + 2000) + 1):
        event = walk.lineage.events.get(seq)
        if isinstance(event, BackwardBegin):
            return None
        if isinstance(event, Leaf) and event.role == "input":
            there = walk.look(event.tensor.id, event.seq)
            if (
                there is not None
                and there.count == here.count
                and ((there.min, there.max, there.counts) == (here.min, here.max, here.counts))
            ):
                return event
    return None


def _not_sent(walk: Walk, paths: Paths, leaf: int) -> tuple[str, list[Link]]:
    """There is a path to the loss, and yet nothing came."""
    lineage = walk.lineage
    for use in paths.uses:
        op = lineage.events[use]
        for begin in lineage.nodes.get(use, ()):
            node, end = lineage.events[begin], lineage.events.get(lineage.ends.get(begin, 0))
            if not isinstance(op, Op) or not isinstance(node, NodeBegin):
                continue
            link = _use_links(walk, [use])
            if not isinstance(end, NodeEnd) or end.error:
                error = end.error if isinstance(end, NodeEnd) else "the pass is not there yet"
                return f"{node.name} backward did not end: {error}", link
            sent = [m.id for i, m in zip(op.inputs, end.grad_out) if i == leaf]
            if any(sent):
                return (
                    "a gradient came, but it was not accumulated (autograd.grad, or inputs= of "
                    "backward, gives it back instead)"
                ), link
            return f"{node.name} backward sent None for it{_where(node.source)}", link
    if broken := _broken_off(walk, paths):
        return broken, _use_links(walk, paths.uses[:1])
    step = "no backward pass came to the ops that use it"
    relevant = [cut for cut in paths.cuts if cut.relevant]
    if relevant:
        step = f"its path to the loss is cut by {_named(relevant)}"
    elif any(isinstance(e, BackwardBegin) for e in map(lineage.events.get, paths.backwards)):
        step += " (backward with inputs=, a hook or a Function that returned None)"
    return step, _cut_links(walk, relevant, paths.uses[:1])


def _broken_off(walk: Walk, paths: Paths) -> str:
    """How the last backward pass from its loss ended, if that was by an error: in a hook, say."""
    events = walk.lineage.events
    for begin in sorted(paths.backwards, reverse=True):
        last: NodeBegin | None = None
        for seq in range(begin + 1, walk.lineage.last_seq + 1):
            event = events.get(seq)
            if isinstance(event, BackwardEnd) and event.begin == begin:
                break
            last = event if isinstance(event, NodeBegin) else last
        else:
            return ""
        if not event.error:
            return ""
        after = f" after {last.name} backward{_where(last.source)}" if last is not None else ""
        return f"backward broke off{after}, before it came here: {event.error}"
    return ""


def _where(source: Source) -> str:
    from framework.trace.explain import place

    return f" at {place(source)}" if source.line else ""


def _named(cuts: list[Cut]) -> str:
    texts = list(dict.fromkeys(f"{cut.why}{_where(cut.source)}" for cut in cuts))
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    return ", ".join(texts[:_NAMED]) + more


def _use_links(walk: Walk, seqs: list[int], note: str = "") -> list[Link]:
    links = []
    for seq in seqs:
        op = walk.lineage.events[seq]
        if isinstance(op, Op) and op.outputs:
            made = Operand(op.outputs[0].id, seq, "", op.outputs[0])
            inputs = [walk.value(operand) for operand in walk.lineage.operands(op)]
            links.append(replace(walk.link(op, made, inputs), note=note))
    return links


def _cut_links(walk: Walk, cuts: list[Cut], uses: list[int] | None = None) -> list[Link]:
    """The first use of the parameter, and each cut."""
    places = {cut.seq: f"cut here: {cut.why}" for cut in cuts}
    links = _use_links(walk, [seq for seq in uses or [] if seq not in places])
    for seq, note in places.items():
        links += _use_links(walk, [seq], note)
    return links


def _shrinking(walk: Walk, grad: int, at: int) -> tuple[list[Link], str]:
    """The gradient's way from the loss, with its size at each node; and where it shrinks most."""
    from framework.trace.explain import whole_node

    lineage = walk.lineage
    found: list[tuple[Link, float, float]] = []  # with its size before and after
    tensor, seq = grad, at
    while len(found) < _LONGEST:
        event = lineage.maker(tensor, seq)
        if event is None or isinstance(event, Leaf):
            break
        operands = lineage.operands(event)
        chosen = _gradient_of(lineage, event, operands)
        values = [walk.value(operand) for operand in operands]
        link = walk.link(event, Operand(tensor, event.seq, "", lineage.meta(tensor)), values)
        before = walk.look(chosen.tensor, chosen.seq) if chosen is not None else None
        found.append((link, _size(before), _size(link.made.summary)))
        if chosen is None:
            break
        tensor, seq = chosen.tensor, chosen.seq
    found.reverse()
    links = []
    factors: dict[str, list[float]] = {}
    for _, group in groupby(found, key=lambda item: item[0].node or -item[0].seq):
        same = list(group)
        large, small = same[0][1], same[-1][2]
        link = whole_node([item[0] for item in same])
        if large and small:
            link = replace(link, note=f"its size goes from {large:.3g} to {small:.3g}")
            factors.setdefault(link.title, []).append(large / small)
        links.append(link)
    if not factors:
        return links, ""
    title, most = max(factors.items(), key=lambda item: prod(item[1]))
    times = f", {len(most)} times," if len(most) > 1 else ""
    return links, f"{title}{times} by a factor of {prod(most):.3g}"


def _size(summary: object) -> float:
    low, high = getattr(summary, "min", None), getattr(summary, "max", None)
    return max(-low, high) if low is not None and high is not None else 0.0


def _gradient_of(lineage: Lineage, event: object, operands: list[Operand]) -> Operand | None:
    """Which operand is the gradient that came in: the one that backward made."""
    for operand in operands:
        made = lineage.maker(operand.tensor, operand.seq)
        if isinstance(made, (NodeEnd, Grad)) or getattr(made, "phase", "") == "backward":
            return operand
        if isinstance(made, Leaf) and lineage.name(operand.tensor, operand.seq) == (
            "the first gradient"
        ):
            return operand
    return None
