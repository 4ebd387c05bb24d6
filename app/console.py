"""The console of `tapebook run --break`: what a stop looks like as text, and a prompt to go on.

The letters are those of the screen. Without a terminal there is no prompt: the report is printed
and the program ends.
"""

from __future__ import annotations

import contextlib
import linecache
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from app.pdb_words import PDB_WORDS, displayed, parameter_called, statement
from app.places import spell, spelled
from app.sanitize import clean
from app.whatif import Change, parse_change
from framework.core import dispatch
from framework.device import device
from framework.trace import records, sink
from framework.trace.breakpoints import Compiled, pattern
from framework.trace.conditions import format_line, parse_line
from framework.trace.edit import edit
from framework.trace.events import (
    BackwardBegin,
    BackwardEnd,
    CellBegin,
    CellEnd,
    Event,
    Grad,
    Leaf,
    Mark,
    ModuleBegin,
    ModuleEnd,
    NodeBegin,
    NodeEnd,
    Op,
    OpBegin,
    OpEnd,
    OptimBegin,
    OptimEnd,
    ParamUpdate,
    Source,
    TensorMeta,
    Write,
)
from framework.trace.explain import place
from framework.trace.forks import lacking
from framework.trace.gate import Command, Gate, GateError
from framework.trace.protocol import Breakpoint, Stop, Variable
from framework.trace.reader import tensor_meta, typed
from framework.trace.stuck import missing
from viewers.baseline import Baseline, what_if
from viewers.compare import CompareError
from viewers.text import arguments

if TYPE_CHECKING:
    from framework.trace.forks import Copy, Forks

__all__ = ["Console", "Ended", "describe_inputs", "event_at", "report"]

LOOK_BACK = 20_000  # events that are searched for the maker of a tensor
DROPPED = 77  # exit status of a branch that was left
CONTEXT = 2  # source lines around the one that is shown


class Ended(BaseException):
    """Raised in the program to end it at a stop; no ``except Exception`` takes it."""


class Console:
    """Answers stops: prints a report, then asks what to do, if there is somebody to ask."""

    def __init__(
        self, gate: Gate, path: Path, names: dict[str, str] | None = None,
        parse: Callable[[str, int], Breakpoint] = parse_line,
    ) -> None:  # fmt: skip
        self.gate = gate
        self.path = path
        self.names = names or {}  # what a notebook's cells are called
        self.parse = parse  # a breakpoint's line and number, in this program
        self.cursor = 0  # event that is shown; behind the newest after "back"
        self.frame = 0  # of the stack: whose variables are looked at; 0 is the innermost
        self.interactive = sys.stdin.isatty() and sys.stdout.isatty()
        self.ended = False  # the program has failed: there is nothing to step
        self.forks: Forks | None = None  # of a program that listens
        self.branch = ""  # what was changed in this copy of the program
        self._base: Copy | Baseline | None = None  # the copy without the change; once it is asked
        self._lacks: list[str] = []  # threads of the program, which no copy has
        self._left = False  # by q
        self.displayed: dict[str, None] = {}  # expressions that are shown at every stop
        self._last = ""

    def __call__(self, stop: Stop) -> str | Command:
        self.cursor, self.frame = stop.seq, 0
        self.say(report(self.gate, stop))
        if self.displayed:
            self.say([""])
            displayed(self)
        if self.branch:
            self.say(["", f"what if {self.branch}   D compares  x drops it  a adopts it"])
        if not self.interactive:
            self.say(
                [
                    "",
                    f"go on from here in a terminal: tapebook run {self.path} --break ...",
                    f"or step through it on the screen: tapebook {self.path}",
                ]
            )
            raise Ended
        _edit_lines()
        self.say(
            ["", "n next  s into  f out  l line  t to  c continue  w why  p EXPR  h help  q end"]
        )
        while True:
            how = self._ask()
            if how:
                return how

    def post_mortem(self, stop: Stop, known: bool) -> None:
        """The program has failed: look at what raised, and around it, until "q".

        ``known``: the stop is at what raised, not at the last op before.
        """
        self.ended = True
        self.cursor = stop.seq
        self.say(_raised_lines(self.gate, stop, known))
        _edit_lines()
        self.say(["", "post mortem: N back  w why  v variables  bt stack  u up  p EXPR  q end"])
        with contextlib.suppress(Ended):
            while True:
                self._ask()

    def over(self) -> None:
        """The program has run to its end. What a branch has done can still be looked at."""
        if not self.branch or self._left:
            return
        self.ended = True
        self.cursor = self.gate.recorder.seq
        self.say(
            ["", f"what if {self.branch}: it has run to its end",
             "D compares  x drops it  a adopts it  N back  p EXPR  h help"]
        )  # fmt: skip
        with contextlib.suppress(Ended):
            while self.branch:
                self._ask()

    def _ask(self) -> str | Command:
        """One command; a step, or its name, if the program is to go on."""
        try:
            line = input("(what if) " if self.branch else "(tapebook) ").strip()
        except EOFError:
            self.say([""])
            raise Ended from None
        except KeyboardInterrupt:
            self.say(["", "q ends the program, c lets it run on"])
            return ""
        line = line or self._last  # enter repeats, as in pdb
        self._last = line
        name, _, rest = line.partition(" ")
        command = COMMANDS.get(_WORDS.get(name, name))
        try:
            if command is not None:
                return command[1](self, rest.strip()) or ""
            if name in PDB_WORDS and not rest.startswith("="):
                PDB_WORDS[name](self, rest.strip())
                return ""
            line = line.removeprefix("!").strip()
            if line.isidentifier() and not self._knows(line):
                self.say([f"no command {name!r}, and no name: h shows what there is"])
            elif statement(line):
                self.say([f"only expressions are evaluated; e {line} tries it in a copy"])
            elif name:  # as in pdb
                self.evaluate(line)
            return ""
        except GateError as error:
            self.say([str(error)])
            return ""

    def say(self, lines: list[str]) -> None:
        sys.stdout.write(clean(spell("\n".join(lines), self.names)) + "\n")
        sys.stdout.flush()

    def _knows(self, name: str) -> bool:
        try:
            self.gate.evaluate(name, self.frame)
        except GateError:
            return False
        return True

    # -- breakpoints -----------------------------------------------------------------------------

    def run_to(self, text: str) -> Command | None:
        """Run on until a line, an op or a module is reached, once."""
        if self.ended:
            self.say(["the program is over: it cannot run on; N looks back"])
            return None
        point = self.point(text, "t", 0)
        if point is None:
            return None
        if point.op and not self._known_op(point.op):
            self.say([f"no op like {point.op} has run yet, and the framework has none: it runs "
                         "on until one does (ctrl+c stops it)"])  # fmt: skip
        return Command("until", point)

    def _known_op(self, name: str) -> bool:
        """Is there an op, or has one run, that a breakpoint's op may mean?"""
        from framework.core import registry

        fits = pattern(name)
        if any(map(fits, registry.OPS)) or any(map(fits, registry.composites)):
            return True
        kinds = (Op, OpBegin, NodeBegin)
        return any(isinstance(e, kinds) and fits(e.name) for e in self.gate.recorder.read())

    def stop_at(self, text: str, once: bool = False) -> None:
        """Set a breakpoint, or list those there are."""
        points = self.gate.breakpoints
        if text and self.ended:
            self.say(["the program is over: it stops nowhere; run it with --break"])
            return
        if text:
            point = self.point(text, "b", max((p.id for p in points), default=0) + 1)
            if point is not None:
                point.once |= once
                self.gate.set_breakpoints([*points, point])
                line = format_line(spelled(point, self.names))
                self.say([f"breakpoint {point.id}: {point.error or line}"])
            return
        for p in points:
            hits = f"   {p.hits} hit{'s' * (p.hits != 1)}" if p.hits else ""
            state = f"   {p.error}" if p.error else "" if p.enabled else "   off"
            self.say([f"{p.id:>3}  {format_line(spelled(p, self.names))}{hits}{state}"])
        if not points:
            self.say(["no breakpoints: b 12, b cell 3, line 5, b op relu, b in model.2, b nan"])

    def clear(self, text: str) -> None:
        """Delete a breakpoint by its number."""
        points = self.gate.breakpoints
        left = [p for p in points if str(p.id) != text]
        if len(left) == len(points):
            self.say([f"cl which one? got {text!r}, expected a number that b lists"])
            return
        self.gate.set_breakpoints(left)
        self.say([f"breakpoint {text} is gone"])

    def point(self, text: str, command: str, ident: int) -> Breakpoint | None:
        """What a text at the prompt names; None, and a word about it, if that is nothing."""
        if not text:
            self.say([f"{command} what? {command} 12, {command} cell 3, line 5, "
                         f"{command} op relu, {command} in model.2"])  # fmt: skip
            return None
        file = self._file()
        try:
            if text.isdigit():
                if not file:
                    raise ValueError(f"line {text} of which file? FILE:{text}")
                lines = len(linecache.getlines(file))
                if lines and not 0 < int(text) <= lines:
                    raise ValueError(f"{os.path.basename(file)} has {lines} lines")
                return Breakpoint(ident, file=file, line=int(text))
            point = self.parse(text, ident)
            if error := Compiled(point).spec.error:
                raise ValueError(error)
        except ValueError as error:
            self.say([str(error).removeprefix("--break ")])
            return None
        return point

    def _file(self) -> str:
        """The file of the line that is shown."""
        event = event_at(self.gate.recorder, self.cursor)
        begin = event_at(self.gate.recorder, getattr(event, "begin", 0))
        source = getattr(event, "source", None) or getattr(begin, "source", None)
        if source is not None and source.line:
            return str(source.file)
        return next((f.source.file for f in self.gate.stack()), "")

    # -- commands --------------------------------------------------------------------------------

    def step(self, how: str) -> str:
        """Forward: along the tape while an earlier op is shown, else of the program."""
        newest = self.gate.recorder.seq
        following = self._neighbour(1) if how == "next" and self.cursor < newest else None
        if how == "next" and self.cursor < newest and (following or not self.ended):
            self._show(following or newest)
            return ""
        if self.ended:
            how = "run to its end" if self.branch else "failed here: it cannot go on"
            self.say([f"the program has {how}; N looks back, q quits"])
            return ""
        return how

    def back(self, _: str) -> None:
        """The op before the one that is shown."""
        seq = self._neighbour(-1)
        if seq is None:
            self.say(["this is the first op on the tape"])
        else:
            self._show(seq)

    def _neighbour(self, by: int) -> int | None:
        recorder = self.gate.recorder
        seq = self.cursor + by
        while recorder.first_seq <= seq <= recorder.seq:
            raw = recorder.raw(seq)
            if raw is not None and raw[2] in (records.OP, records.NODE_END, records.UPDATE):
                return seq
            seq += by
        return None

    def _show(self, seq: int) -> None:
        self.cursor = seq
        behind = "" if seq == self.gate.recorder.seq else f"  (event {seq}, on the tape)"
        self.say(["", *_event_lines(self.gate, seq, behind)])

    def where(self, _: str) -> None:
        lines = _stack_lines(self.gate)
        marks = ["→" if i == self.frame else " " for i in range(len(lines))]
        self.say([f"{mark} {line}" for mark, line in zip(marks, lines)])

    def up(self, _: str) -> None:
        """To the frame that called this one."""
        self._go_to_frame(self.frame + 1, "this is the outermost frame")

    def down(self, _: str) -> None:
        """Back towards where the program stands."""
        self._go_to_frame(self.frame - 1, "this is the innermost frame")

    def _go_to_frame(self, frame: int, end: str) -> None:
        stack = self.gate.stack()
        if not 0 <= frame < len(stack):
            self.say([end])
            return
        self.frame = frame
        self.say(_source_lines(stack[frame].source))

    def why(self, expression: str) -> None:
        """Why a value is NaN, infinite or zero, or a parameter without gradient."""
        from app.explaining import Candidate, why_at
        from framework.trace.explain import look_in

        recorder = self.gate.recorder
        wanted = []
        if expression and expression != "it":
            ident = parameter_called(self, expression)
            if not ident:
                found = self.gate.evaluate(expression, self.frame)
                if found.tensor is None:
                    self.say([f"{expression} is no tensor: {found.type}  {found.text}"])
                    return
                ident = found.tensor.id
            wanted = [Candidate(ident, self.cursor, expression)]
        else:
            wanted = [Candidate(meta.id, self.cursor, "") for meta in self._made_here()]
        named = bool(wanted and wanted[0].name)
        told = why_at(recorder.read(), look_in(recorder), self.cursor, wanted, named=named)
        self.say(list(told.lines()))

    def _made_here(self) -> tuple[TensorMeta, ...]:
        """What the event that is shown has made."""
        event = event_at(self.gate.recorder, self.cursor)
        if isinstance(event, (Op, OpEnd)):
            return event.outputs
        if isinstance(event, NodeEnd):
            return tuple(meta for meta in event.grad_out if meta.id)
        return (event.tensor,) if isinstance(event, ParamUpdate) else ()

    def check(self, _: str) -> None:
        """The gradient of the op that is shown, by finite differences."""
        from framework.trace.check import CheckError, check_node

        try:
            self.say(str(check_node(self.gate.recorder, self.cursor)).splitlines())
        except CheckError as error:
            self.say([str(error)])

    def variables(self, _: str) -> None:
        found = self.gate.variables(self.frame)
        width = max((len(v.name) for v in found), default=0)
        self.say([f"{v.name:<{width}}  {v.text}" for v in found] or ["no variables"])

    def evaluate(self, expression: str) -> None:
        if not expression:
            self.say(["p what? p x.mean()"])
            return
        ident, lines = parameter_called(self, expression), ["its value is no longer kept"]
        if not ident:
            found = self._evaluated(expression)
            lines = [f"{found.type}  {found.text}"]
            ident = found.tensor.id if found.tensor is not None else 0
        if ident:
            value = self.gate.value(ident)
            if value is not None and value[0].size <= 100:
                lines = str(value[0]).splitlines()
            elif value is not None:
                lines.append(_statistics(value[0]))
        self.say(lines)

    def _evaluated(self, expression: str) -> Variable:
        """The value of an expression, in which `it` is what the event that is shown has made."""
        made = self._made_here() if re.search(r"\bit\b", expression) else ()
        kept = self.gate.value(made[0].id, self.cursor) if made else None
        if kept is None:
            return self.gate.evaluate(expression, self.frame)
        it = dispatch.wrap(kept[0].copy(), device(kept[1].device))  # what is done to it is lost
        return self.gate.evaluate(expression, self.frame, extra={"it": it})

    def change(self, text: str) -> str:
        """Change a value, in a copy of the program: the original waits until that is left."""
        try:
            change = parse_change(text)
        except ValueError as error:
            self.say([str(error)])
            return ""
        made = self._made_here()
        tensor = made[0].id if change.of_tensor and made else 0
        if self.ended and not self.branch:
            self.say(["the program is over: change it at a stop before, with --break"])
        elif change.of_tensor and not tensor:
            self.say(["the event that is shown has made no tensor: `it` is nothing here"])
        elif self.cursor < self.gate.recorder.seq and not self.branch:
            self.say(["values are changed where the program stands: n goes there"])
        elif self.branch:
            self._edit(change, tensor)
        elif self.forks is None:
            self.say(["only a program that stands at a stop, and listens, can be copied"])
        elif why := self.forks.why_not():
            self.say([why])
        else:
            return self._split(change, tensor)
        return ""

    def _split(self, change: Change, tensor: int) -> str:
        """Make the two copies: one to be changed here, one that can run on without the change."""
        assert self.forks is not None
        lacks = lacking()  # the copies
        base = self.forks.fork("baseline")
        if self.forks.kind:
            self.gate.console = None  # this is that one: it does what its service is asked for
            self.gate.set_breakpoints([])
            self.gate.break_on_error = False
            return "next"
        copy = self.forks.split("branch")
        if copy is None:
            self.forks.alone()
            self.forks.service.asking.given.clear()  # what is answered from here on
            self._base, self._lacks = base, lacks
            try:
                self._edit(change, tensor)
                if lacks:
                    self.say([f"{missing(lacks)}; ctrl+c ends what hangs"])
            except GateError as error:
                self.say([str(error)])
                os._exit(DROPPED)
        else:
            try:
                self._wait_for(copy)
            finally:
                self.forks.end(base)
        return ""

    def _edit(self, change: Change, tensor: int) -> None:
        text = edit(self.gate, change.target, change.value, tensor)
        self.branch = f"{self.branch}, {text}" if self.branch else text
        self.cursor = self.gate.recorder.seq
        self.say([f"what if {text}: run on; D compares, x drops this branch, a adopts it"])

    def compare(self, _: str) -> None:
        """The branch against the program as it would have gone on."""
        from framework.trace.client import Client, RequestError, SessionError

        if not self.branch or self._base is None:
            self.say(["this is the program itself: e changes a value in a copy of it"])
            return
        try:
            if not isinstance(self._base, Baseline):
                made = {"pid": self._base.pid, "lacks": self._lacks}
                self._base = Baseline(Client.connect(self._base.name), made)
            assert self.forks is not None
            self._base.answers = [answer for _, answer in self.forks.service.asking.given]
            told = what_if(self.gate.recorder, self._base, over=self.ended)
        except CompareError:
            self.say(["the branch has done nothing yet: + runs it to the end of the step"])
        except (RequestError, SessionError, TimeoutError) as error:
            self.say([str(error) or "the copy without the change does not answer"])
        except KeyboardInterrupt:
            self.say(["", "not compared"])
        else:
            self.say(told.lines(80, lambda source: spell(place(source), self.names)))

    def _wait_for(self, copy: Copy) -> None:
        """The branch has the terminal, until it ends or is adopted."""
        assert self.forks is not None
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is meant for the branch
        try:
            status = self.forks.wait(copy)
        finally:
            signal.signal(signal.SIGINT, before)
        how = "dropped" if status == DROPPED else f"over (status {status})"
        self.say([f"the branch is {how}; this is the program where it was"])

    def drop(self, _: str) -> None:
        """Leave a branch."""
        if not self.branch:
            self.say(["this is the program itself: e changes a value in a copy of it"])
            return
        sys.stdout.flush()
        os._exit(DROPPED)

    def adopt(self, _: str) -> None:
        """Make a branch the program."""
        if not self.branch or self.forks is None:
            self.say(["this is the program itself: e changes a value in a copy of it"])
            return
        self.forks.claim()
        if isinstance(self._base, Baseline):
            self._base.client.close()
        self.branch, self._base = "", None
        self.say(["the branch is the program now"])

    def help(self, _: str) -> None:
        self.say([f"{name:<6} {text}" for name, (text, _) in COMMANDS.items()])

    def quit(self, _: str) -> None:
        self._left = True
        raise Ended


def _edit_lines() -> None:
    """Arrow keys edit the line at the prompt and go through those before it."""
    with contextlib.suppress(ImportError):  # there are Pythons without it
        import readline  # noqa: F401


def _stepper(how: str) -> Callable[[Console, str], str | Command | None]:
    return lambda console, _: console.step(how)


COMMANDS: dict[str, tuple[str, Callable[[Console, str], str | Command | None]]] = {
    "n": ("the next op, backward node or parameter update", _stepper("next")),
    "s": ("into a module, a composite op or a backward node", _stepper("into")),
    "f": ("out: to the end of what encloses it", _stepper("out")),
    "l": ("the next source line", _stepper("line")),
    "+": ("the end of the training step", _stepper("step")),
    "c": ("continue to the next breakpoint", _stepper("continue")),
    "t": ("t 12, t cell 3, line 5, t op relu: run on until there, once", Console.run_to),
    "b": ("b 12, b op relu nan, ...: set a breakpoint; b: list them", Console.stop_at),
    "cl": ("cl 2: delete breakpoint 2", Console.clear),
    "N": ("back: the op before, as it was", Console.back),
    "w": ("w [EXPR]: why it is NaN, infinite, zero or without gradient", Console.why),
    "G": ("check the gradient of the op by finite differences", Console.check),
    "bt": ("the call stack", Console.where),
    "u": ("up: to the frame that called, whose variables v and p show", Console.up),
    "d": ("down: back towards where the program stands", Console.down),
    "v": ("variables", Console.variables),
    "p": ("p EXPR, or EXPR alone: its value; it: what is shown", Console.evaluate),
    "e": ("e it[0] = 0, e model.p = 0.3: what if; in a copy of the program", Console.change),
    "D": ("compare that branch with the program as it would have gone on", Console.compare),
    "x": ("drop it: back to the program, where it stood", Console.drop),
    "a": ("adopt it: it is the program from here on", Console.adopt),
    "h": ("this list; ? too. pdb's words do as well: next, where, ll, tbreak, ...", Console.help),
    "q": ("end the program", Console.quit),
}
# What pdb calls them. Two letters of it mean another thing here: `w` is why, `l` the next line.
_WORDS = {
    "?": "h", "help": "h", "next": "n", "step": "s", "return": "f", "r": "f", "cont": "c",
    "continue": "c", "until": "t", "break": "b", "clear": "cl", "where": "bt", "up": "u",
    "down": "d", "print": "p", "pp": "p", "quit": "q", "exit": "q", "why": "w",
}  # fmt: skip


# -- a stop as text ----------------------------------------------------------------------------


def report(gate: Gate, stop: Stop) -> list[str]:
    """What there is to say about a stop."""
    reason = stop.reason + (f": {stop.message}" if stop.message else "")
    lines = ["", f"── stopped: {reason} ──", ""]
    if gate.at_line:  # what ran last is not what the stop is about
        lines += _source_lines(stop.source)
    else:
        lines += _event_lines(gate, stop.seq, "")
    return [*lines, "", "call stack", *(f"  {line}" for line in _stack_lines(gate))]


def _raised_lines(gate: Gate, stop: Stop, known: bool) -> list[str]:
    """What raised: an op with its operands, a module's own code, or none of them."""
    recorder, seq = gate.recorder, stop.seq
    event = event_at(recorder, seq)
    begin = event_at(recorder, getattr(event, "begin", 0))
    if isinstance(event, ModuleEnd) and isinstance(begin, ModuleBegin):
        inputs = _metas_of(recorder, begin.inputs, seq)
        return [
            f"module {begin.path}  ({begin.cls}) raised",
            *_source_lines(stop.source),
            *_tensor_lines(gate, "inputs", inputs, seq),
        ]
    lines, here = _event_lines(gate, seq, ""), _source_lines(stop.source)
    if known and isinstance(event, Op):
        return lines
    if known:  # a custom Function, a hook, an optimizer: the user's code in it
        return [f"raised in {_name_of(begin)}", *here, "", *lines]
    return ["raised outside of ops and modules", *here, "", "the last op before", *lines]


def _event_lines(gate: Gate, seq: int, note: str) -> list[str]:
    """An op, node or update with its tensors."""
    recorder = gate.recorder
    event = event_at(recorder, seq)
    begin = event_at(recorder, getattr(event, "begin", 0))
    if isinstance(event, Op):
        return [
            _title(event.name, event.module, event.phase, note),
            *_source_lines(event.source),
            *_meta_lines(event),
            *_operand_lines(gate, event),
            *_tensor_lines(gate, "outputs", event.outputs, seq),
        ]
    if isinstance(event, OpEnd) and isinstance(begin, OpBegin):
        return [
            _title(begin.name, begin.module, begin.phase, note),
            *_source_lines(begin.source),
            *_meta_lines(begin),
            *_operand_lines(gate, begin),
            *_tensor_lines(gate, "outputs", event.outputs, seq),
        ]
    if isinstance(event, NodeEnd) and isinstance(begin, NodeBegin):
        return [
            _title(f"{begin.name} backward", begin.module, "backward", note),
            *_source_lines(begin.source),
            *_tensor_lines(gate, "gradient in", begin.grad_in, seq),
            *_tensor_lines(gate, "gradients out", event.grad_out, seq),
            *_stored_lines(gate, begin, seq),
        ]
    if isinstance(event, ParamUpdate):
        grad = tuple(_metas_of(recorder, (event.grad,), seq))
        of = f" of {event.name}" if event.name else ""
        named = {meta.id: f"{key}{of}" for key, meta in event.state.items()}
        named[event.grad] = f"{event.name or 'parameter'}.grad"
        return [
            _title(f"update of {event.name or 'a parameter'}", "", "optimizer", note),
            *_update_lines(gate, event),
            *_tensor_lines(gate, "gradient", grad, seq, named),
            *_tensor_lines(gate, "state", tuple(event.state.values()), seq, named),
        ]
    if isinstance(event, OptimEnd) and isinstance(begin, OptimBegin):
        return [f"the end of training step {begin.step} ({begin.cls}){note}"]
    if isinstance(event, ModuleBegin):
        begin = event
    if isinstance(begin, ModuleBegin):
        end = "" if begin is event else "the end of "
        results = _metas_of(recorder, getattr(event, "outputs", ()), seq)
        return [
            f"{end}module {begin.path}  ({begin.cls}){note}",
            *_source_lines(begin.source),
            *_operand_lines(gate, begin),
            *(_tensor_lines(gate, "outputs", results, seq) if results else ()),
        ]
    return [f"{_words(event, begin)}{note}"]


def _words(event: Event | None, begin: Event | None) -> str:
    """An event without tensors to look at."""
    match event:
        case None:
            return "nothing has been recorded yet"
        case BackwardBegin() | NodeBegin() | OptimBegin() | OpBegin():
            return f"the begin of {_name_of(event)}"
        case CellBegin():
            return f"the begin of <cell {event.cell}>"
        case CellEnd() if isinstance(begin, CellBegin):
            return f"the end of <cell {begin.cell}>"
        case BackwardEnd() | NodeEnd() | OptimEnd() | OpEnd() | ModuleEnd() | CellEnd():
            return f"the end of {_name_of(begin)}"
        case Grad():
            return f"accumulation into {event.name or 'a leaf'}.grad"
        case Leaf():
            return f"{event.role} {event.name}".rstrip()
        case Mark():
            return event.name
    return "a write in place"


def _name_of(event: Event | None) -> str:
    match event:
        case BackwardBegin():
            return "backward"
        case NodeBegin():
            return f"{event.name} backward"
        case OptimBegin():
            return f"training step {event.step} ({event.cls})"
        case OpBegin():
            return event.name
    return "what is no longer on the tape"


def event_at(recorder: sink.Recorder, seq: int) -> Event | None:
    """An event of the tape; None for 0, and for one that has left it."""
    raw = recorder.raw(seq) if seq else None
    return typed(raw) if raw is not None else None


def _title(name: str, module: str, phase: str, note: str) -> str:
    inside = f"  in module {module}" if module else "  outside of any module"
    return f"{name}{inside}  ({phase}){note}"


def _meta_lines(op: Op | OpBegin) -> list[str]:
    given = arguments(op.name, op.inputs, op.meta)
    return [f"  {key} = {value}" if key else f"  arguments  {value}" for key, value in given]


def _source_lines(place: Source) -> list[str]:
    """A source line among its neighbours."""
    if not place.line:
        return []
    lines = [f"  {place.file}:{place.line} in {place.function}"]
    for number in range(max(1, place.line - CONTEXT), place.line + CONTEXT + 1):
        text = linecache.getline(place.file, number).rstrip()
        if text or number == place.line:
            lines.append(f"  {'→' if number == place.line else ' '} {number:>4}  {text}"[:200])
    return lines


def _stack_lines(gate: Gate) -> list[str]:
    return [
        f"{frame.source.file}:{frame.source.line} in {frame.source.function}    {frame.text}"
        for frame in gate.stack()
    ] or ["no frames"]


def _operand_lines(gate: Gate, event: Op | OpBegin | ModuleBegin) -> Iterator[str]:
    """The operands as they were: not yet what the op itself wrote in place."""
    recorder = gate.recorder
    own = {meta.id for meta in event.outputs} if isinstance(event, Op) else set()
    before = event.seq - 1
    written: tuple[int, ...] = ()
    while own and (found := event_at(recorder, before)) is not None:
        if not isinstance(found, (Write, Leaf)):
            break
        before -= 1
        if isinstance(found, Write):
            written = found.tensors if own.intersection(found.tensors) else ()
            break
    metas = _metas_of(recorder, event.inputs, event.seq)
    return _tensor_lines(gate, "inputs", metas, event.seq - 1, at=dict.fromkeys(written, before))


def _stored_lines(gate: Gate, begin: NodeBegin, seq: int) -> Iterator[str]:
    """What a node's gradients made of the ``.grad`` of leaves: what a condition on one looks at."""
    between = (event_at(gate.recorder, number) for number in range(begin.seq + 1, seq))
    grads = [e for e in between if isinstance(e, Grad) and e.parent == begin.seq]
    if grads:
        named = {e.total.id: f"{e.name or 'leaf'}.grad" for e in grads}
        yield from _tensor_lines(gate, "accumulated", [e.total for e in grads], seq, named)


def _update_lines(gate: Gate, event: ParamUpdate) -> Iterator[str]:
    """A parameter before and after its update, and the difference."""
    moments = (event.parent or event.seq - 1, event.seq)
    for title, seq in zip(("before", "after"), moments):
        yield from _tensor_lines(gate, title, (event.tensor,), seq)
    held = [gate.value(event.tensor.id, seq) for seq in moments]
    if held[0] is not None and held[1] is not None:
        yield "change"
        text = _statistics(held[1][0] - held[0][0])
        name = event.name or _name(gate.recorder, event.tensor.id, event.seq)
        yield f"  {name:<24} {_shape(event.tensor):<22} {text}"


def _tensor_lines(
    gate: Gate, title: str, metas: Any, seq: int, names: dict[int, str] | None = None,
    at: dict[int, int] | None = None,
) -> Iterator[str]:  # fmt: skip
    """Tensors with what is known of their values as of an event; of some, ``at`` another one."""
    yield title
    rows: list[tuple[str, str, str]] = []
    present = [meta for meta in metas if meta.id]
    for meta in present[:20]:
        moment = (at or {}).get(meta.id, seq)
        found = gate.value(meta.id, moment)
        values = _statistics(found[0]) if found is not None else "values no longer kept"
        name = "result" if title == "outputs" else (names or {}).get(meta.id, "")
        name = name or _name(gate.recorder, meta.id, moment)
        rows.append((name, _shape(meta), values))
    width = max([24, *(len(name) for name, _, _ in rows)])
    yield from (f"  {name:<{width}} {shape:<22} {values}".rstrip() for name, shape, values in rows)
    if len(present) != len(rows) or not rows:
        yield "  …" if rows else "  none"


def _shape(meta: TensorMeta) -> str:
    device = "" if meta.device == "cpu" else f" {meta.device}"
    return f"{list(meta.shape)} {meta.dtype}{device}"


def _statistics(array: Any) -> str:
    """Counts of what is not finite, and the range of the rest."""
    from framework.trace.summary import summarize

    if isinstance(array, np.ndarray) and array.size == 1:
        return f"= {array.reshape(-1)[0]}"
    found = summarize(array)
    bad = [f"{n} {name}" for n, name in ((found.nan, "NaN"), (found.inf, "Inf")) if n]
    text = f"{', '.join(bad) or 'no NaN or Inf'} of {found.count}"
    if found.min is not None and found.max is not None and found.mean is not None:
        of = "of absolute values: " if getattr(array.dtype, "kind", "") == "c" else ""
        text += f"; {of}min {found.min:.4g}, max {found.max:.4g}, mean {found.mean:.4g}"
    return text


def _name(recorder: sink.Recorder, ident: int, seq: int) -> str:
    """A parameter's or input's name, or the op that made the tensor."""
    name = recorder.names.get(ident)
    if name:
        return name
    made = _maker(recorder, ident, seq)
    if made is None:
        return "input" if ident in recorder.leaves else f"#{ident}"
    return f"from {made.name}" + (f" at {place(made.source)}" if made.source.line else "")


def _maker(recorder: sink.Recorder, ident: int, seq: int) -> Op | None:
    for number in range(seq, max(0, seq - LOOK_BACK), -1):
        raw = recorder.raw(number)
        if raw is not None and raw[2] == records.OP:
            event = typed(raw)
            if isinstance(event, Op) and any(meta.id == ident for meta in event.outputs):
                return event
    return None


# The tensors that an event of a kind describes.
_METAS: dict[int, Callable[[Any], tuple[TensorMeta, ...]]] = {
    records.LEAF: lambda event: (event.tensor,),
    records.OP: lambda event: event.outputs,
    records.NODE_END: lambda event: event.grad_out,
    records.GRAD: lambda event: (event.arrived, event.total),
}


def _metas_of(recorder: sink.Recorder, idents: tuple[int, ...], seq: int) -> list[TensorMeta]:
    """Descriptions of tensors that an event names by id."""
    wanted = {i for i in idents if i}
    found: dict[int, TensorMeta] = {}
    for number in range(seq, max(0, seq - LOOK_BACK), -1):
        if not wanted:
            break
        raw = recorder.raw(number)
        if raw is None or raw[2] not in _METAS:
            continue
        for meta in _METAS[raw[2]](typed(raw)):
            if meta.id in wanted:
                wanted.discard(meta.id)
                found[meta.id] = meta
    for ident in list(wanted):
        leaf = recorder.leaves.get(ident)
        if leaf is not None:
            found[ident] = tensor_meta(leaf)
    return [found[i] for i in idents if i in found]


def describe_inputs(recorder: sink.Recorder, event: Op | OpBegin | ModuleBegin | NodeBegin) -> str:
    """Operands: ``[64, 10] float32 (x) and [5, 9] float32 (model.0.weight)``."""
    if isinstance(event, NodeBegin):
        metas = [meta for meta in event.grad_in if meta.id]
    else:
        metas = _metas_of(recorder, event.inputs, event.seq)
    texts = []
    mixed = len({meta.device for meta in metas}) > 1
    for meta in metas:
        name = _name(recorder, meta.id, event.seq)
        device = " cpu" if mixed and meta.device == "cpu" else ""  # else it goes without saying
        texts.append(_shape(meta) + device + (f" ({name})" if not name.startswith("#") else ""))
    return " and ".join(texts) or "no tensors"
