"""What the program calls a tensor: the variable that the statement which made it assigns to.

A tape has no variables. But it says at which line each op and each module call happened, so that
what a statement made last is what it assigns: ``h = relu(x @ w)`` gives the result of relu the
name ``h``. Where that is not certain, no name is given.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from framework.trace.events import (
    CellEnd,
    ModuleBegin,
    ModuleEnd,
    Op,
    OpBegin,
    OpEnd,
    Source,
)
from viewers.graph.store import Step, TraceStore

__all__ = ["Names", "Variables", "targets"]

LARGEST = 1 << 20  # characters of a source that is read

# Its first line, what it assigns to, and the ops one of which it ends with; none: whichever.
Statement = tuple[int, tuple[str, ...], tuple[str, ...]]


_Place = tuple[str, str]  # a file and a function in it
_Running = dict[_Place, tuple[Statement | None, tuple[int, ...], int]]


@dataclass(slots=True)
class _Level:
    """A call of a module, composite op or Function, and what its own functions are doing."""

    seq: int  # of its begin; 0: the program around all calls
    source: Source  # where it was called
    statement: Statement | None  # what the call is a part of
    # By function: the statement that runs, and what it has made last, at which event.
    running: _Running = field(default_factory=dict)

    def begun_at(self, source: Source, statement: Statement | None) -> bool:
        """Is this line the one that the call is a part of?"""
        here = self.source
        if (here.file, here.function) != (source.file, source.function):
            return False
        same = statement == self.statement if statement is not None else False
        return same or here.line == source.line


class Names:
    """Variables by tensor, in one step.

    Args:
        text_of: the lines of a file.
        known: where the names go.

    Attributes:
        known: the names, by tensor.
        made: the event that made each of these tensors.

    >>> import framework as torch
    >>> from framework.trace import recording
    >>> with recording() as tape:
    ...     h = torch.ones(2).exp() + 1
    >>> store = TraceStore()
    >>> store.feed(tape.read())
    >>> text = ["with recording() as tape:", "    h = torch.ones(2).exp() + 1"]
    >>> store.steps[0].done = True
    >>> names = Names(store, store.steps[0], lambda file: text)
    >>> names.follow()
    False
    >>> [names.known.get(e.outputs[0].id, "") for e in store.tape]
    ['', '', 'h']
    """

    def __init__(
        self,
        store: TraceStore,
        step: Step,
        text_of: Callable[[str], Sequence[str]],
        known: dict[int, str] | None = None,
    ) -> None:
        self.store = store
        self.step = step
        self.text_of = text_of
        self.known = {} if known is None else known
        self.made: dict[int, int] = {}
        self._next = step.first_seq
        self._files: dict[str, dict[int, Statement]] = {}
        self._whole: tuple[object, ...] = ()  # what the last op took something of
        self._pieces: tuple[int, ...] = ()
        self._ops: dict[int, str] = {}  # by tensor, of those that an expected op may have made
        self._levels = [_Level(0, Source("", 0, ""), None)]
        self._broken = False  # the cell failed: its last statements have assigned nothing
        self._calls: dict[str, dict[int, Called]] = {}  # by file, then by line
        # Function -> whose statement, among which that run, has called it.
        self._waiting: dict[str, tuple[_Running, _Place]] = {}

    @property
    def over(self) -> bool:
        """Whether the step is over and all of it was looked at."""
        return self.step.done and self._next > self.step.last_seq

    def follow(self, most: int = 20_000) -> bool:
        """Take in what is new, at most so many events; True if there is more."""
        last = min(self.step.last_seq, self._next + most)
        for event in self.store.events(self._next, last):
            if isinstance(event, Op):
                if event.error:
                    self._made(event.source, None, event.seq)
                elif event.phase == "forward" and not event.name.endswith("_"):
                    if event.name in _EXPECTED and event.outputs:
                        self._ops[event.outputs[0].id] = event.name
                    self._made(event.source, self._with_pieces(event), event.seq)
                    if event.source.function in self._waiting:
                        self._made_within(event)
                elif event.phase == "forward":
                    self._wrote(event)
            elif isinstance(event, (ModuleBegin, OpBegin)):
                self._made(event.source, (), event.seq)
                begun = self._statements(event.source.file).get(event.source.line)
                self._levels.append(_Level(event.seq, event.source, begun))
            elif isinstance(event, (ModuleEnd, OpEnd)):
                self._over(event)
            elif isinstance(event, CellEnd):
                self._broken = bool(event.error)
        self._next = last + 1
        if last < self.step.last_seq:
            return True
        if self.step.done and not self._broken:  # else what was made last may only be on the way
            for level in self._levels:
                self._leave(level)
        return False

    def close(self) -> None:
        """Nothing more will come, though the step has no end: what was made last is assigned."""
        if not self.step.done and not self._broken:
            for level in self._levels:
                self._leave(level)

    def _over(self, event: ModuleEnd | OpEnd) -> None:
        """A call is over: so are the statements of its own functions, and it has made something."""
        at = next((i for i, level in enumerate(self._levels) if level.seq == event.begin), 0)
        if not at:
            return  # it began before the step
        source, ended = self._levels[at].source, self._levels[at:]
        del self._levels[at:]
        if event.error:
            self._made(source, None, event.seq)
            return
        for level in ended:
            self._leave(level)
        made = tuple([o if isinstance(o, int) else o.id for o in event.outputs])
        self._made(source, made, event.seq)

    def _with_pieces(self, op: Op) -> tuple[int, ...]:
        """What an op made; where several names are assigned, also what ops like it made before.

        ``a, b = x.chunk(2)`` takes two pieces of x one after the other.
        """
        made = tuple([m.id for m in op.outputs])
        statement = self._statements(op.source.file).get(op.source.line)
        whole = op.name, op.inputs[:1], op.source
        if statement is None or len(statement[1]) < 2 or len(made) != 1:
            self._pieces = ()
            return made
        self._pieces = (*self._pieces, *made) if whole == self._whole else made
        self._whole = whole
        return self._pieces

    def _made(self, source: Source, made: tuple[int, ...] | None, seq: int) -> None:
        """A line has made something; None: it broke off."""
        place = source.file, source.function
        statement = self._statements(source.file).get(source.line)
        running = self._level_of(source, statement).running
        before, last, at = running.get(place, (None, (), 0))
        if statement != before:
            self._assign(before, last, at)
            last = ()
            if statement is not None and (called := self._called(source)) is not None:
                self._waiting.update(dict.fromkeys(called.functions, (running, place)))
        if made:
            running[place] = statement, made, seq
        else:
            running[place] = statement, () if made is None else last, at

    def _wrote(self, op: Op) -> None:
        """A line has written in place: ``p -= 0.1 * g`` assigns what it wrote, not the product."""
        place = op.source.file, op.source.function
        statement = self._statements(op.source.file).get(op.source.line)
        running = self._level_of(op.source, statement).running
        before, last, _ = running.get(place, (None, (), 0))
        if before == statement and not any(meta.id in last for meta in op.outputs):
            running[place] = statement, (), op.seq

    def _made_within(self, op: Op) -> None:
        """A function of the program that a statement calls made something.

        What the statement made before that was an argument, then. What is assigned is what the
        function returns, if that is certain.
        """
        running, place = self._waiting[op.source.function]
        statement, _, _ = running[place]
        if statement is None or place == (op.source.file, op.source.function):
            return
        called = self._calls[place[0]].get(statement[0])
        if called is None or op.source.function not in called.functions:
            return
        within = self._called(op.source)
        returned = called.direct == op.source.function and within is not None
        if returned and within is not None and op.name in within.returns:
            made = tuple([meta.id for meta in op.outputs])
        else:
            made = ()
        running[place] = statement, made, op.seq

    def _called(self, source: Source) -> Called | None:
        known = self._calls.get(source.file)
        if known is None:
            known = self._calls[source.file] = calls("\n".join(self.text_of(source.file)))
        return known.get(source.line)

    def _level_of(self, source: Source, statement: Statement | None) -> _Level:
        """The call whose function a line belongs to.

        Functions of one name call each other (the forward of a model that of its parts), so a line
        is of the innermost call; but where that is of the framework's own module (`Sequential`),
        the lines within are that of the call itself, which belongs to the function around.
        """
        for level in reversed(self._levels):
            if not level.begun_at(source, statement):
                break
        return level

    def _leave(self, level: _Level) -> None:
        for statement, made, seq in level.running.values():
            self._assign(statement, made, seq)

    def _assign(self, statement: Statement | None, made: tuple[int, ...], seq: int) -> None:
        if statement is None:
            return
        _, names, ops = statement
        if len(names) != len(made) or (ops and self._ops.get(made[0]) not in ops):
            return
        for tensor, name in zip(made, names):
            leaf = self.store.leaf(tensor)
            if tensor and (leaf is None or leaf.role == "input"):  # a parameter has its own name
                self.known[tensor] = name
                self.made[tensor] = seq

    def _statements(self, file: str) -> dict[int, Statement]:
        known = self._files.get(file)
        if known is None:
            known = self._files[file] = targets("\n".join(self.text_of(file)))
        return known


class Variables:
    """What the program's variables held, in all steps of a store.

    >>> import framework as torch
    >>> from framework.trace import recording
    >>> with recording() as tape:
    ...     h = torch.ones(2)
    ...     h = h + 1
    >>> store = TraceStore()
    >>> store.feed(tape.read())
    >>> store.steps[0].done = True
    >>> text = ["with recording() as tape:", "    h = torch.ones(2)", "    h = h + 1"]
    >>> made = [store.event(seq).name for _, seq in Variables(store, lambda _: text).all("h")]
    >>> made
    ['ones', 'add']
    """

    def __init__(self, store: TraceStore, text_of: Callable[[str], Sequence[str]]) -> None:
        self.store = store
        self.text_of = text_of
        self._steps: dict[int, dict[str, list[tuple[int, int]]]] = {}
        self._names: dict[int, str] = {}  # by tensor

    def all(self, name: str, step: Step | None = None) -> list[tuple[int, int]]:
        """The tensors that got a name in a step (the newest one), with the events that made them.

        They are in the order in which they were made.
        """
        steps = self.store.steps
        return self._of(step or steps[-1]).get(name, []) if steps else []

    def find(self, name: str, seq: int) -> tuple[int, int]:
        """The tensor that a name was given to last as of an event, and what made it; (0, 0)."""
        for step in reversed(self.store.steps[: self.store.step_index(seq) + 1]):
            for tensor, made in reversed(self.all(name, step)):
                if made <= seq:
                    return tensor, made
        return 0, 0

    def maker(self, name: str, seq: int) -> int:
        """The op that made what a name was given to last as of an event, by its number; or 0."""
        tensor, made = self.find(name, seq)
        step = self.store.step_at(made) if made else None
        item = self.store.graph(step).producer(tensor, made) if step is not None else None
        return item.begin if item is not None else 0

    def called(self, tensor: int) -> str:
        """The name of a tensor that an op made, "" if it has none."""
        made = self.store.maker(tensor)
        step = self.store.step_at(made) if made else None
        if step is None:
            return ""
        self._of(step)
        return self._names.get(tensor, "")

    def _of(self, step: Step) -> dict[str, list[tuple[int, int]]]:
        known = self._steps.get(step.index)
        if known is None:
            names = Names(self.store, step, self.text_of, self._names)
            while names.follow():
                pass
            names.close()
            known = self._steps[step.index] = {}
            for tensor, seq in sorted(names.made.items(), key=lambda pair: pair[1]):
                known.setdefault(names.known[tensor], []).append((tensor, seq))
        return known


@lru_cache(maxsize=64)
def targets(text: str) -> dict[int, Statement]:
    """The assignment that a line belongs to, by line; nothing for a text that is no Python.

    >>> targets("x = f(1)\\na, self.b = f(\\n    x)\\nprint(x)")
    {1: (1, ('x',), ()), 2: (2, ('a', 'self.b'), ()), 3: (2, ('a', 'self.b'), ())}
    """
    if len(text) > LARGEST:
        return {}
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return {}
    found: dict[int, Statement] = {}
    for node in ast.walk(tree):
        value = getattr(node, "value", None)
        if not _may_be_tensor(value):
            continue
        target: ast.expr
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
        elif isinstance(node, (ast.AnnAssign, ast.AugAssign)):
            target = node.target
        else:
            continue
        items = target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]
        names = tuple([_dotted(item) for item in items])
        if all(names):
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                found[line] = (node.lineno, names, _ends_with(value))
    return found


class Called(NamedTuple):
    """What a statement calls, or returns.

    Args:
        functions: the names of what an assignment calls, anywhere in it.
        direct: of them the one whose result is assigned as it is.
        returns: of a ``return``, the ops one of which makes its value as the last.
    """

    functions: tuple[str, ...] = ()
    direct: str = ""
    returns: tuple[str, ...] = ()


@lru_cache(maxsize=64)
def calls(text: str) -> dict[int, Called]:
    """What is called by an assignment or returned, by line.

    >>> found = calls("x = f(g(1), h.k())\\nreturn -y.sum()")
    >>> sorted(found[1].functions), found[1].direct, found[2].returns
    (['f', 'g', 'k'], 'f', ('neg',))
    """
    if len(text) > LARGEST:
        return {}
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return {}
    found: dict[int, Called] = {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)) and node.value is not None:
            names = {_function(n): None for n in ast.walk(node.value) if isinstance(n, ast.Call)}
            direct = _function(node.value) if isinstance(node.value, ast.Call) else ""
            told = Called(tuple(name for name in names if name), direct)
        elif isinstance(node, ast.Return):
            told = Called(returns=_last_op(node.value))
        else:
            continue
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
            found[line] = told
    return found


def _function(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _last_op(value: ast.expr | None) -> tuple[str, ...]:
    """The names of ops one of which an expression ends with, where its form says that."""
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub):
        return ("neg",)
    if isinstance(value, ast.BinOp):
        return _OPERATORS.get(type(value.op), ())
    if isinstance(value, ast.Call):
        return (_function(value),)
    return ()


# Functions and methods whose result is no tensor, whatever they do with some.
_OTHERS = frozenset(
    "item tolist numpy float int len str bool list tuple dict set range zip enumerate filter "
    "sorted print format join size dim ndimension numel nelement element_size stride equal "
    "allclose is_nonzero is_floating_point is_complex is_contiguous storage_offset data_ptr "
    "get_device isinstance hasattr callable id hash repr type divmod".split()
)
# Of the built-in functions: of numbers they give numbers, and are not methods of a tensor.
_BUILTINS = frozenset(("map", "any", "all", "sum", "min", "max"))
_OF_OTHERS = frozenset(("abs", "round", "pow"))
_ATTRIBUTES = frozenset(
    "shape dtype device ndim layout itemsize nbytes requires_grad is_leaf is_sparse grad_fn "
    "is_cuda names training".split()
)
_TENSORS = frozenset(("Tensor", "Parameter"))
_CONTAINERS = (
    ast.List, ast.Tuple, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp,
    ast.GeneratorExp, ast.JoinedStr, ast.Constant, ast.Lambda, ast.BoolOp, ast.Await,
)  # fmt: skip
# The op that an operator is, with tensors on either side.
_OPERATORS: dict[type, tuple[str, ...]] = {
    ast.Add: ("add",), ast.Sub: ("sub", "rsub"), ast.Mult: ("mul",), ast.Div: ("div",),
    ast.FloorDiv: ("floor_divide", "div"), ast.Mod: ("remainder",), ast.Pow: ("pow",),
    ast.Lt: ("lt",), ast.LtE: ("le",), ast.Gt: ("gt",), ast.GtE: ("ge",), ast.Eq: ("eq",),
    ast.NotEq: ("ne",),
}  # fmt: skip
_EXPECTED = frozenset(name for names in _OPERATORS.values() for name in names)


def _may_be_tensor(value: ast.expr | None) -> bool:
    """Whether an expression may be what an op made: no list of it, no number, no object around it.

    >>> texts = ("f(x)", "x.sum().item()", "Net(x)", "n in seen", "x > 0", "f(x).shape[0]")
    >>> [_may_be_tensor(ast.parse(text, mode="eval").body) for text in texts]
    [True, False, False, False, True, False]
    """
    if value is None or isinstance(value, _CONTAINERS):
        return False
    if isinstance(value, ast.Call):
        return _call_may(value)
    if isinstance(value, ast.Attribute):
        return value.attr not in _ATTRIBUTES
    if isinstance(value, ast.Subscript):
        return _may_be_tensor(value.value)
    if isinstance(value, ast.UnaryOp):
        return not isinstance(value.op, ast.Not) and _may_be_tensor(value.operand)
    if isinstance(value, ast.BinOp):
        return _may_be_tensor(value.left) or _may_be_tensor(value.right)
    if isinstance(value, ast.Compare):
        if isinstance(value.ops[0], (ast.In, ast.NotIn, ast.Is, ast.IsNot)):
            return False
        return any(map(_may_be_tensor, (value.left, *value.comparators)))
    if isinstance(value, ast.IfExp):
        return _may_be_tensor(value.body) or _may_be_tensor(value.orelse)
    return True


def _call_may(call: ast.Call) -> bool:
    function = call.func
    if isinstance(function, ast.Attribute):
        name = function.attr
    else:
        name = getattr(function, "id", "")
        if name in _BUILTINS:
            return False
        if name in _OF_OTHERS:
            return bool(call.args) and _may_be_tensor(call.args[0])
    return name not in _OTHERS and (not name[:1].isupper() or name in _TENSORS)


def _ends_with(value: ast.expr | None) -> tuple[str, ...]:
    """The ops one of which an expression ends with if it is a tensor; none: whichever.

    ``total + x.sum().item()`` is a tensor if ``total`` is one, and then made by ``add``; if it is
    not, the sum was made last, which is not what is assigned.

    >>> _ends_with(ast.parse("total + x.sum().item()", mode="eval").body)
    ('add',)
    """
    if isinstance(value, ast.BinOp) and _has_number(value):
        return _OPERATORS.get(type(value.op), ())
    if isinstance(value, ast.Compare) and _has_number(value):
        return _OPERATORS.get(type(value.ops[-1]), ())
    return ()


def _has_number(value: ast.expr) -> bool:
    """Is one of its operands what a call gave that gives no tensor?"""
    if isinstance(value, ast.BinOp):
        return _has_number(value.left) or _has_number(value.right)
    if isinstance(value, ast.Compare):
        return any(map(_has_number, (value.left, *value.comparators)))
    return isinstance(value, (ast.Call, ast.Attribute, ast.Subscript)) and not _may_be_tensor(value)


def _dotted(node: ast.expr) -> str:
    """``self.h`` of a name or a chain of attributes; "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        outer = _dotted(node.value)
        return f"{outer}.{node.attr}" if outer else ""
    return ""
