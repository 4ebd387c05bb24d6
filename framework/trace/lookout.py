"""What the gate's breakpoints are hit by: ops, backward nodes, gradients and updates of parameters.

Breakpoints are sorted by what can hit them and found by its name; those that an event may hit share
one `Sheet` of its tensors' figures.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from types import FrameType
from typing import TYPE_CHECKING, Any

from numpy import ndarray

from framework.core import dispatch
from framework.trace import frames, sink, turns
from framework.trace.breakpoints import Compiled
from framework.trace.conditions import Term
from framework.trace.figures import SPREAD, Figures, Sheet, squares_at_most, unbatched
from framework.trace.flags import Flags, Row, on_device
from framework.trace.places import line_of
from framework.trace.protocol import Stop
from framework.trace.records import (
    BACKWARD_BEGIN,
    CELL_BEGIN,
    GRAD,
    MODULE_BEGIN,
    NODE_BEGIN,
    NODE_END,
    OP,
    OP_BEGIN,
    OP_END,
    OPTIM_BEGIN,
    UPDATE,
)

if TYPE_CHECKING:
    from framework.trace.gate import Gate

__all__ = ["Lookout"]

# Where raw tuples hold where they ran: ops (code, instruction, (module, parent, phase)), composites
# (phase, module, code, instruction, parent).
_OF_OP = itemgetter(8, 9, 10)
_OF_COMPOSITE = itemgetter(10, 8, 6, 7, 9)
_PARENT = {OP_BEGIN: 9, MODULE_BEGIN: 9, NODE_BEGIN: 6, BACKWARD_BEGIN: 6, OPTIM_BEGIN: 7}


class _Elsewhere(dict[str, bool]):
    """Whether none of these breakpoints is of the module with a path, or of one that it lies in."""

    def __init__(self, breakpoints: tuple[Compiled, ...]) -> None:
        self.breakpoints = breakpoints

    def __missing__(self, path: str) -> bool:
        found = not any(not b.spec.module or b.within(path) for b in self.breakpoints)
        self[path] = found
        return found


class _Found(tuple[Compiled, ...]):
    """Breakpoints that something of a name can hit.

    Attributes:
        norm, rms: none of them can where the sum of squares is below the first, and their mean
            below the second.
        numbers: whether figures are all that they ask for,
        needs: and which,
        elsewhere: by the path of a module: whether all of them are of other modules.
    """

    norm = rms = 0.0
    needs = 0
    numbers = False

    def __init__(self, breakpoints: Iterable[Compiled]) -> None:
        self.elsewhere = _Elsewhere(self)

    def pass_over(self, tensors: Sequence[Any], look: Lookout | None = None) -> bool:
        """Is it sure, at the price of one look, that none of them is hit by these tensors?

        Those of a device are noted in the flags of ``look`` and seen to at the end of the step.
        """
        norm, rms = self.norm, self.rms
        kind = sink.tensor_type
        for t in tensors:
            if t is None:
                continue
            if t.__class__ is not kind:
                return False
            data = t._data
            if data.__class__ is not ndarray and self.numbers and look and look.note(data, self):
                continue
            squares = squares_at_most(data)
            if not (squares < norm and squares < rms * data.size):
                return False
        return True

    def near(self, tensors: tuple[Any, ...]) -> tuple[Compiled, ...]:
        """Those that these tensors may hit: what the others ask for need not be measured."""
        if not any(b.quiet for b in self):
            return self
        seen = [(squares_at_most(t._data), t._data.size) for t in tensors]
        return tuple([b for b in self if b.quiet is None or not _below(seen, *b.quiet)])


def _below(seen: list[tuple[float, int]], norm: float, rms: float) -> bool:
    return all(squares < norm and squares < rms * size for squares, size in seen)


class _ByName(dict[str, _Found]):
    """The breakpoints that an op, or a parameter, of a name can hit.

    Asked per op, so answered from a dict.
    """

    def __init__(
        self, breakpoints: list[Compiled], matches: Callable[[Compiled, str], bool] = Compiled.op
    ) -> None:
        self.breakpoints = breakpoints
        self.matches = matches

    def __missing__(self, name: str) -> _Found:
        self[name] = found = _Found(b for b in self.breakpoints if self.matches(b, name))
        limits = [b.quiet for b in found]
        if all(limits):
            found.norm = min((q[0] for q in limits if q), default=0.0)
            found.rms = min((q[1] for q in limits if q), default=0.0)
        found.numbers = bool(found) and all(map(_by_figures, found))
        for b in found:
            found.needs |= b.needs
        return found


def _by_figures(b: Compiled) -> bool:
    """Whether figures are all that a breakpoint asks for; `unchanged` of an update is one, too."""
    update = b.spec.phase == "optimizer"
    return bool(b.terms) and all(
        isinstance(t, Term)
        and (t.condition.kind != "change" or (update and t.condition.name == "unchanged"))
        for t in b.terms
    )


class Lookout:
    """Finds the breakpoint that an event of a gate's recorder hits.

    Attributes:
        of_updates: whether there is a condition on updates: `keep_before` must see each step.
    """

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.recorder = gate.recorder
        self._due: tuple[int, Compiled] | None = None  # a gradient's hit: stop after its node
        self.flags = Flags()
        self._row: Row | None = None  # what is looked at now that its step has ended
        self._before: dict[int, Any] = {}  # parameters as they were before the optimizer's step
        self.set_breakpoints([])

    def set_breakpoints(self, breakpoints: list[Compiled]) -> None:
        """Sort them by what can hit them."""
        of_params = [b for b in breakpoints if b.spec.param]
        of_ops = [b for b in breakpoints if not b.spec.param]
        forward = [b for b in of_ops if b.in_phase("forward")]
        self._at_ops = _ByName(forward)
        # Without a name, the primitive ops inside of a composite one are what is looked at.
        self._at_composites = _ByName([b for b in forward if b.spec.op])
        self._at_nodes = _ByName([b for b in of_ops if b.in_phase("backward")])
        param = Compiled.param
        self._at_grads = _ByName([b for b in of_params if b.in_phase("backward")], param)
        self._at_values = _ByName([b for b in of_params if b.in_phase("forward")], param)
        self._at_updates = _ByName([b for b in of_params if b.in_phase("optimizer")], param)
        self._breakpoints = breakpoints
        self.of_updates = bool(self._at_updates.breakpoints)

    @property
    def armed(self) -> bool:
        """Is there anything to look for, or a stop that is due?"""
        return bool(self._breakpoints) or self._due is not None

    def pass_over_op(self, name: str, outs: tuple[Any, ...]) -> bool:
        """Is it sure that an op of the forward pass that made ``outs`` is not to stop at?"""
        found = self._at_ops[name]
        if self.flags.full:
            self.gate.settle()
        return not found or found.elsewhere[self.recorder.module] or found.pass_over(outs, self)

    def pass_over_node(self, name: str, grads: Sequence[Any]) -> bool:
        """The same of a backward node that sent ``grads``."""
        if self._due is not None:
            return False
        found = self._at_nodes[name]
        return not found or found.pass_over(grads, self)

    def note(self, array: Any, candidates: _Found) -> bool:
        """Look at an array of a device when the step has ended; False: it must be looked at now."""
        recorder = self.recorder
        raw = recorder.raw(recorder.seq) or ()
        return self.flags.add(raw, array, candidates, recorder.phase)

    def _number(self) -> int:
        """The training step of what is looked at."""
        return turns.number() if self._row is None else self._row.step

    def _phase(self) -> str:
        return self.recorder.phase if self._row is None else self._row.phase

    def settle(self) -> Compiled | None:
        """Read what was noted in this step; the breakpoint that the first of it hits."""
        hit = None
        rows, table = self.flags.read()
        for row in rows:
            if hit is not None or not row.loud or not row.raw:
                continue
            if row.judge is not None:
                self._row = row
                hit = row.judge(table)
                self._row = None
                continue
            assert row.figures is not None
            sheet = Sheet((None,), row.candidates.needs)
            sheet.put(0, row.figures)
            kind, self._row = row.raw[2], row
            if row.update:
                sheet.before = row.before or Figures(0)
                sheet.put_weight(sheet.before)
            if kind in (GRAD, UPDATE):
                hit = self._ask_all(row.candidates, (None,), row.what, sheet.before, sheet)
            else:
                hit = self._find(row.raw, kind, (None,), sheet)
            self._row = None
            if hit is not None:
                hit.what += _read_late(row.raw)
        return hit

    def _can_wait(self, tensors: tuple[Any, ...]) -> bool:
        """Whether tensors can be looked at at the end of the step: a device's, at full speed."""
        return (
            self.recorder.lookout is not None
            and self._row is None
            and all(t is not None and on_device(t._data) for t in tensors)
        )

    def _put_off(
        self, b: Compiled, raw: tuple[Any, ...], tensors: tuple[Any, ...], what: str,
        seen: dict[int, int | None], spread: bool, call: Any = None, before: Any = None,
    ) -> bool:  # fmt: skip
        """Judge a breakpoint when the step has ended; False: now."""
        lines = b.put_off(self.flags.table, tensors, self._names, seen, spread, before)
        if lines is None:
            return False

        def judge(table: list[Any]) -> Compiled | None:
            if (call is not None and call == b.call) or not b.settled(lines, table):
                return None
            b.call = call
            if not b.hit() or not self._counts(b, what):
                return None
            b.what += _read_late(raw)
            return b

        if lines:
            self.flags.judge_later(raw, self.recorder.phase, judge)
        return True

    def end(self, raw: tuple[Any, ...], kind: int, tensors: tuple[Any, ...]) -> Compiled | None:
        """The breakpoint that the end of an op or a node hits."""
        tensors = unbatched(tensors)
        hit = self._find(raw, kind, tensors)
        if kind == NODE_END and self._due is not None:
            return self._take_due(raw[3]) or hit
        return hit

    def _find(
        self, raw: tuple[Any, ...], kind: int, tensors: tuple[Any, ...], sheet: Sheet | None = None
    ) -> Compiled | None:
        """The first breakpoint that the end of an op or node hits; counts the hits of all.

        With a ``sheet`` the figures are known, and the tensors are not.
        """
        if kind == OP:
            name = raw[4]
            candidates = self._at_ops[name]
            if not candidates:
                return None
            code, lasti, (module, parent, phase) = _OF_OP(raw)
        else:
            begin = self.recorder.raw(raw[3])
            if begin is None:
                return None
            name = begin[3]
            candidates = (self._at_composites if kind == OP_END else self._at_nodes)[name]
            if not candidates:
                return None
            if kind == OP_END:
                phase, module, code, lasti, parent = _OF_COMPOSITE(begin)
            else:
                origin = begin[4]  # the forward op
                place = (None, None, ("", 0, "")) if origin is None else _OF_OP(origin)
                code, lasti, (module, parent, _) = place
                phase = "backward"
        if phase == "backward" and kind != NODE_END:
            return None  # in backward it is the nodes that are looked at, not the ops in them
        near = candidates if sheet is not None else candidates.near(tensors)
        hit = None
        later = sheet is None and self._can_wait(tensors)
        seen: dict[int, int | None] = {}
        spread = later and any(b.needs & SPREAD for b in near)
        for b in near:
            if not b.at(code, lasti):
                continue
            call = None
            if b.spec.module:
                if not b.within(module):
                    continue
                call = (phase, self.call_of(b, parent))
                if call == b.call:
                    continue  # it has stopped in this call already
            if not b.due(self._number(), self.recorder.step):
                continue
            what = f"{name}{' backward' if kind == NODE_END else ''}"
            if b.terms:
                said = _where(what, kind, module, code, lasti) if later else ""
                if later and b.can_wait and self._put_off(
                    b, raw, tensors, said, seen, spread, call
                ):  # fmt: skip
                    continue
                if sheet is None:
                    sheet = _sheet(tensors, near)
                place = (name, module, id(code), lasti, phase)
                if not b.holds(sheet, tensors, self._names, place, self._turn()):
                    continue
            b.call = call
            if b.hit() and self._counts(b, _where(what, kind, module, code, lasti)) and hit is None:
                hit = b
        return hit

    def grad(self, raw: tuple[Any, ...], tensors: tuple[Any, ...]) -> Compiled | None:
        """A parameter's gradient has been accumulated: stop after the node that did it."""
        tensors = unbatched(tensors)
        name = raw[4]
        candidates = self._at_grads[name]
        if not candidates:
            return None
        quick = self.recorder.lookout is not None and candidates.numbers
        what = _of_grad(name)
        if quick and all(
            self.flags.add(raw, t._data, candidates, "backward", what) for t in tensors
        ):
            return None
        hit = self._ask_all(candidates, tensors, what, raw=raw)
        parent = self.recorder.raw(raw[7]) if raw[7] else None
        if hit is None or parent is None or parent[2] != NODE_BEGIN:
            return hit
        if self._due is None or self._due[0] != raw[7]:
            self._due = (raw[7], hit)
        return None

    def _take_due(self, begin: int) -> Compiled | None:
        """The breakpoint that a gradient hit within the node that ends."""
        assert self._due is not None
        seq, hit = self._due
        if seq < begin and seq in self.recorder.open:
            return None  # a pass within a hook of that node
        self._due = None
        return hit if seq == begin else None

    def update(self, raw: tuple[Any, ...], param: Any) -> Compiled | None:
        """The first breakpoint that a parameter's update hits; counts the hits of all."""
        name, ident = raw[4], raw[3][0]
        quick = self.recorder.lookout is not None
        hit = None
        if candidates := self._at_values[name]:
            what = f"value of {name or 'a parameter'}"
            later = quick and candidates.numbers
            if not (later and self.flags.add(raw, param._data, candidates, self._phase(), what)):
                hit = self._ask_all(candidates, (param,), what, raw=raw)
        candidates = self._at_updates[name]
        if not candidates:
            return hit
        before = self._before.get(ident)
        values, begin = self.recorder.values, self.gate.innermost(OPTIM_BEGIN)
        if values is not None and begin is not None:
            before = values.get(ident, begin[0])
        if before is None:
            return hit
        change = _difference(param, before)
        what = f"update of {name or 'a parameter'}"
        later = quick and candidates.numbers
        if later and self.flags.add(raw, change._data, candidates, self._phase(), what, before):
            return hit
        return self._ask_all(candidates, (change,), what, before, raw=raw) or hit

    def _ask_all(
        self, candidates: tuple[Compiled, ...], tensors: tuple[Any, ...], what: str,
        before: Any = None, sheet: Sheet | None = None, raw: Any = None,
    ) -> Compiled | None:  # fmt: skip
        """The first of a parameter's breakpoints that holds; counts the hits of all."""
        hit = None
        later = raw is not None and self._can_wait(tensors)
        seen: dict[int, int | None] = {}
        spread = later and any(b.needs & SPREAD for b in candidates)
        sheet = sheet or _sheet(tensors, candidates, before)
        for b in candidates:
            if not b.due(self._number(), self.recorder.step):
                continue
            if later and b.can_wait and self._put_off(
                b, raw, tensors, what, seen, spread, before=before
            ):  # fmt: skip
                continue
            if not b.holds(sheet, tensors, self._names, what, self.recorder.step):
                continue
            if b.hit() and self._counts(b, what) and hit is None:
                hit = b
        return hit

    def line(self, b: Compiled) -> bool:
        """The line of a breakpoint without a condition has come: is it one to stop at?"""
        if not b.due(self._number(), self.recorder.step):
            return False
        return b.hit() and self._counts(b, f"line {b.spec.line}")

    def _counts(self, b: Compiled, what: str) -> bool:
        """A breakpoint is hit at ``what``: act on it, or else it is one to stop at."""
        b.what = f"{what}, {self._phase()}, step {self._number()}"
        if b.spec.once:
            self.gate.switch_off(b)
        action = self.gate.actions.get(b.spec.id)
        if action is None:
            return True
        at = next(iter(frames.user_frames(sys._getframe(1))), None)
        active, sink.active = sink.active, None  # what it does is not the model's
        try:
            action(self.stop(b, at))
        finally:
            sink.active = active
        return False

    def stop(self, b: Compiled, at: FrameType | None) -> Stop:
        """What there is to say of a breakpoint's hit."""
        reason = b.terms[0].condition.name if b.terms else f"breakpoint {b.spec.id}"
        message = f"{b.found}: {b.what}" if b.terms else ""
        return Stop(self.recorder.seq, reason, frames.source(at), message, b.spec.id)

    def keep_before(self, optimizer: Any) -> None:
        """The parameters that an armed condition on updates will ask about, before the step."""
        self._before = {}
        if self.recorder.values is not None:
            return  # the tape has them
        names = self.recorder.names
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None and self._at_updates[names.get(p._id, "")]:
                    self._before[p._id] = p._data.copy()

    def call_of(self, b: Compiled, seq: int) -> int:
        """The innermost call of the breakpoint's module around a position."""
        while seq:
            raw = self.recorder.raw(seq)
            if raw is None:
                break
            if raw[2] == MODULE_BEGIN and b.module(raw[3]):
                return seq
            seq = raw[_PARENT[raw[2]]] if raw[2] in _PARENT else 0
        return 0

    def _turn(self) -> int:
        """Changes when the program comes round again: a call of the outermost module, or a step."""
        recorder = self.recorder
        for seq in recorder.open[:2]:
            raw = recorder.raw(seq)
            if raw is not None and raw[2] != CELL_BEGIN:
                return seq
        return -recorder.step

    def _names(self) -> dict[str, Any]:
        """What expressions in conditions see: the names of the innermost user's frame."""
        frame = next(iter(frames.user_frames(sys._getframe(1))), None)
        return self.gate.namespace if frame is None else {**frame.f_globals, **frame.f_locals}


def _where(what: str, kind: int, module: str, code: Any, lasti: int | None) -> str:
    """An op or a node, its module and, of a node, the line of its op."""
    what += f" in {module}" if module else ""
    if kind == NODE_END and code is not None:
        what += f" of {code.co_filename}:{line_of(code, lasti)}"
    return what


def _read_late(raw: tuple[Any, ...]) -> str:
    return f"; it was event {raw[0]}, read at the end of the step"


def _of_grad(name: str) -> str:
    return f"gradient of {name or 'a leaf'}"


def _sheet(tensors: tuple[Any, ...], candidates: tuple[Compiled, ...], before: Any = None) -> Sheet:
    """What the candidates will ask of some tensors, to be measured once."""
    needs = 0
    for b in candidates:
        needs |= b.needs
    return Sheet([t._data for t in tensors], needs, before)


def _difference(param: Any, before: Any) -> Any:
    """By how much a parameter changed, as a tensor."""
    now = param._data
    if now.dtype.kind not in "fc" or now.dtype.itemsize < 4:
        now, before = now.astype("float32"), before.astype("float32")
    return dispatch.wrap(now - before, param._device)
