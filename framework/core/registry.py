"""The op table: one `Op` record per primitive, and the decorators that publish functions.

Adding an op is one entry:

    EXP = op("exp", np.exp, "a", rule="float", grad=(lambda g, y: g * y,),
             samples=lambda s: [s(3, 2), s()])

    @function(inplace=True)
    def exp(input):
        '''e to the power of each element; any shape.'''
        return apply(EXP, input)

A gradient rule says what it saves by the names of its parameters, which are read once, here:
``g`` the output's gradient (a tuple of them for an op with several outputs), a name of an array
argument that input, ``y`` or ``y0``, ``y1``, ... an output, ``n`` the node, any other name the
keyword argument of that name. ``grad`` is one rule per array argument (None: no gradient), or one
function for all of them that returns a tuple (missing ones at its end are None). Rules are written
in differentiable ops, so gradients of any order follow. They may return a gradient that still has
the broadcast shape or another float type: the engine sums and casts it.

A rule is the transpose of the derivative, without any conjugate: for complex outputs the engine
conjugates what goes in and what comes out, which turns the transpose into the adjoint that
PyTorch's convention asks for. Only an op that is not holomorphic (conj, sgn, ...) has to write its
rule for that convention itself, and says so by ``wirtinger=True``; an op with a real output (abs,
real) is never touched.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from numpy import ufunc

from framework.core.node_names import titled
from framework.kernels.spread import SPREADING

__all__ = [
    "FUNCTIONS", "OPS", "Op", "composites", "function", "lazily", "op", "published", "variant",
]  # fmt: skip

# What a rule's parameter stands for.
G, NODE, INPUT, OUTPUT, META, TAIL = range(6)

Rule = Callable[..., Any]


@dataclass(slots=True, eq=False)
class Op:
    """One primitive: everything that dispatch, the engine, the tests and the trace know of it."""

    name: str
    kernel: Callable[..., Any]
    params: tuple[str, ...]
    rule: str | Callable[..., Any] | None = None  # dtype rule: see core.dispatch.RULES
    grad: tuple[Rule | None, ...] | Rule | None = None
    view: bool = False  # the kernel's result may share its first argument's memory
    moves: bool = False  # the result lives on the device that the keyword ``target`` names
    cuda: Callable[..., Any] | None = None  # a kernel of its own for CuPy arrays
    wirtinger: bool = False  # its rules know complex numbers: see the module's docstring
    samples: Callable[..., Any] | None = None
    sparse: Callable[..., Any] | None = None  # instead of it, where the kernel meets a sparse array
    part: bool = False  # its result is the part of its argument that the keyword ``index`` names
    flat: tuple[int, ...] = ()  # inputs that its gradients depend on with slope zero: `core.flat`
    fused: tuple[int, ...] = ()  # inputs that each of its gradients has in its history
    node: Any = None  # what PyTorch calls its node, of a `variant`
    variants: list[Op] = field(default_factory=list)
    # Derived from the rules' parameters:
    wants: tuple[tuple[tuple[int, Any], ...], ...] = ()
    spread: Any = None  # its kernel for arrays of different shapes: `kernels.spread`
    quick: bool = False  # whether `core.dispatch` may take its shortest way
    numbers: bool = False  # and for a tensor and a number, too
    joint: bool = field(init=False)  # one rule for all arguments
    calls: tuple[Callable[[Any, Any], Any] | None, ...] = field(default=(), init=False)
    each: tuple[Callable[[Any, Any], Any] | None, ...] = field(default=(), init=False)
    plans: dict[tuple[bool, ...], Plan] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.joint = callable(self.grad)

    def plan(self, needs: tuple[bool, ...]) -> Plan:
        """Which inputs and outputs to save when these arguments want a gradient."""
        found = self.plans.get(needs)
        if found is None:
            chosen = self.wants if self.joint else [
                want for want, need in zip(self.wants, needs) if need
            ]  # fmt: skip
            ins = {k for want in chosen for kind, k in want if kind == INPUT}
            for want in chosen:
                ins.update(i for kind, k in want if kind == TAIL for i in range(k, len(needs)))
            outs = sorted({k for want in chosen for kind, k in want if kind == OUTPUT})
            found = self.plans[needs] = Plan(tuple(sorted(ins)), tuple(outs))
        return found

    def in_sparse(self, form: Callable[..., Any]) -> None:
        """Run ``form`` instead, where the kernel meets a sparse array."""
        for record in (self, *self.variants):
            record.sparse = form

    def compile(self) -> tuple[Callable[[Any, Any], Any] | None, ...]:
        """The rules as functions of a node and its gradient, which fetch what else they want.

        ``each`` has them, too, if there is one for each input and nothing else to be known.
        """
        rules = (self.grad,) if callable(self.grad) else self.grad or ()
        self.calls = tuple([
            None if rule is None else _caller(want)(rule) for rule, want in zip(rules, self.wants)
        ])  # fmt: skip
        self.each = () if self.joint or self.part else self.calls
        return self.calls


_FETCHED = {
    G: "g", NODE: "n", INPUT: "n.input({})", OUTPUT: "n.output({})", META: "n.meta[{!r}]",
    TAIL: "tuple([n.input(i) for i in range({}, len(n.edges))])",
}  # fmt: skip


_GENERATED = str(Path(__file__).with_name("<generated>"))  # a place of the framework's own


@functools.cache
def _caller(want: tuple[tuple[int, Any], ...]) -> Callable[[Rule], Callable[[Any, Any], Any]]:
    """Makes `Op.compile`'s functions for rules that want this: written out, for it is per node."""
    given = ", ".join([_FETCHED[kind].format(key) for kind, key in want])
    text = f"lambda rule: lambda n, g: rule({given})"
    made: Any = eval(compile(text, _GENERATED, "eval"))
    return made


@dataclass(slots=True, frozen=True)
class Plan:
    """Indices of what a node saves: inputs first, then outputs."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


OPS: dict[str, Op] = {}
# Dtype rules that leave floats of one type as they are.
_IDLE = (None, "promote", "difference", "float", "same", "first", "tensors", "float_tensors")
_MIXING = ("promote", "difference", "float")  # and those of them that take numbers
composites: dict[str, Callable[..., Any]] = {}


def op(
    name: str,
    kernel: Callable[..., Any],
    params: str,
    *,
    rule: str | Callable[..., Any] | None = None,
    grad: tuple[Rule | None, ...] | Rule | None = None,
    view: bool = False,
    moves: bool = False,
    cuda: Callable[..., Any] | None = None,
    wirtinger: bool = False,
    samples: Callable[..., Any] | None = None,
    flat: str = "",
    fused: str = "",
) -> Op:
    """Register a primitive.

    Args:
        kernel: ``kernel(*arrays, **meta)`` on NumPy or CuPy arrays; returns an array or a tuple.
        params: names of the array arguments, one per letter ("ab") or separated by blanks
            ("input weight bias"); the last may be "*xs": any number, which a joint rule that
            names it gets as a tuple.
        samples: ``samples(s)`` returns a list of argument tuples for the tests; see
            ``tests/framework/ops``.
        flat: names of the inputs that PyTorch's derivative is a function of, with slope zero, and
            that the rules do not look at; see `core.flat`.
        fused: names of the inputs that all gradients have in their history, as PyTorch computes
            them together.
    """
    if name in OPS:
        raise ValueError(f"op {name!r} is registered twice")
    names = tuple(params.split() if " " in params or "*" in params else params)
    record = Op(name, kernel, names, rule, grad, view, moves, cuda, wirtinger, samples)
    record.flat = tuple([names.index(n) for n in flat.split()])
    record.fused = tuple([names.index(n) for n in fused.split()])
    record.quick = 0 < len(names) <= 2 and "*" not in params and rule in _IDLE
    record.quick = record.quick and not (view or moves)
    record.spread = SPREADING.get(kernel) if isinstance(kernel, ufunc) else None
    record.numbers = record.quick and rule in _MIXING and isinstance(kernel, ufunc)
    if grad is not None:
        rules = (grad,) if callable(grad) else grad
        record.wants = tuple(_wants(r, names) for r in rules)
    OPS[name] = record
    return record


def variant(op: Op, node: Any, flat: tuple[int, ...] | None = None) -> Op:
    """The same op for another function, whose node has another name: see `core.node_names`.

    PyTorch's derivative of that function may be ``flat`` in other inputs.
    """
    flat = op.flat if flat is None else flat
    op.variants.append(replace(op, node=node, flat=flat, variants=[]))
    return op.variants[-1]


def _wants(rule: Rule | None, names: tuple[str, ...]) -> tuple[tuple[int, Any], ...]:
    if rule is None:
        return ()
    result: list[tuple[int, Any]] = []
    for p in inspect.signature(rule).parameters:
        if p == "g":
            result.append((G, None))
        elif p == "n":
            result.append((NODE, None))
        elif p in names:
            result.append((INPUT, names.index(p)))
        elif f"*{p}" in names:
            result.append((TAIL, names.index(f"*{p}")))
        elif match := re.fullmatch(r"y(\d*)", p):
            result.append((OUTPUT, int(match[1] or 0)))
        else:
            result.append((META, p))
    return tuple(result)


@dataclass(slots=True)
class Function:
    """A public function and where it is published."""

    call: Callable[..., Any]
    name: str
    namespaces: tuple[str, ...]  # "" is the top: framework.NAME
    method: str  # name as a Tensor method, "" if it is none
    dunder: tuple[str, ...]
    inplace: str  # name of the in-place twin, "" if there is none
    out: bool | str
    _public: Callable[..., Any] | None = None
    _written: str | None = None
    _doc: str | None = None

    @property
    def place(self) -> str:
        """Where users find it, from the top: "add", "linalg.inv", "Tensor.new_zeros"."""
        home = self.namespaces[0] if self.namespaces else "Tensor"
        return f"{home}.{self.name if self.namespaces else self.method}".lstrip(".")

    @property
    def doc(self) -> str:
        """The docstring, with what `core.docstrings` adds to it when it is first asked for."""
        if self._doc is None:
            from framework.core.docstrings import completed

            self._written = self.written
            self._doc = completed(self.place, self._written)
        return self._doc

    @property
    def written(self) -> str:
        """The docstring as it is written; that of ``call`` may be the completed one."""
        return (self.call.__doc__ or "") if self._written is None else self._written

    @property
    def public(self) -> Callable[..., Any]:
        """What the namespaces have: can be overridden, and knows ``out=`` if the function has that.

        Made when it is first asked for: making all of them would be a fifth of the import's time.
        """
        if self._public is None:
            from framework.core.keywords import ALSO, RENAMED, WHOLE
            from framework.core.kinds import is_python
            from framework.core.out import with_out
            from framework.core.overridable import overridable
            from framework.ops.dims import aliased

            home = self.namespaces[0]  # where pickle finds it
            place = f"{home}.{self.name}".lstrip(".")
            fast = self.call if place in ALSO else None
            call = aliased(self.call, ALSO[place].items()) if place in ALSO else self.call
            words = self.out.split() if isinstance(self.out, str) else ()
            plain = with_out(call, **dict.fromkeys(words, True)) if self.out else None
            python = is_python(self.name, self.namespaces)
            self._public = overridable(
                call, plain, RENAMED.get(place), python=python, spaces=self.namespaces, fast=fast,
                whole=WHOLE.get(place),
            )  # fmt: skip
            self._public.__doc__ = self.doc
            self._public.__module__ = f"framework.{home}" if home else "framework"
            if home in _PREFIXED:
                self._public.__name__ = f"{home}_{self.name}"
        return self._public

    def bind(self, kind: Any) -> None:
        """Make it a method of ``kind``, which tells arguments of a wrong kind."""
        Method(self, kind, self.method)

    def bind_twin(self, kind: Any, *operators: str) -> None:
        """Make its in-place twin a method of ``kind``, and operators of it."""
        Twin(self, kind, self.inplace, *operators)


class Method:
    """Stands for a method until that is first asked for, and then makes way for it."""

    def __init__(self, record: Function, kind: Any, *names: str) -> None:
        self.record, self.kind, self.names = record, kind, names
        self.made: Any = None
        for name in names:
            setattr(kind, name, self)

    def make(self) -> Any:
        """The method, which takes this one's places the first time."""
        if self.made is None:
            self.made = self._make()
            for name in self.names:
                if vars(self.kind).get(name) is self:
                    setattr(self.kind, name, self.made)
        return self.made

    def _make(self) -> Any:
        from framework.core.keywords import RENAMED
        from framework.core.kinds import is_python
        from framework.core.overridable import overridable

        record = self.record
        code = _innermost(record.call).__code__
        if code.co_argcount + code.co_kwonlyargcount == 1 and not code.co_flags & 12:
            record.call.__doc__ = record.doc  # the tensor alone: nothing can be of a wrong kind
            return record.call
        name = record.name
        names = RENAMED.get(name) if "" in record.namespaces else None
        made = overridable(record.call, None, names, method=True, python=is_python(name, ()))
        made.__doc__ = record.doc
        return made

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        made = self.make()
        return made if instance is None else made.__get__(instance, owner)


class Twin(Method):
    """Stands for the in-place twin of a function."""

    def _make(self) -> Any:
        from framework.core.docstrings import completed
        from framework.core.views import inplace_twin

        name = self.record.inplace
        made = inplace_twin(self.record.call, name)
        if not self.record.namespaces and not self.record.method:  # known only by this name
            made.__doc__ = self.record.call.__doc__
        made.__doc__ = completed(f"Tensor.{name}", made.__doc__ or "")
        return made


def _innermost(call: Any) -> Any:
    while hasattr(call, "__wrapped__"):
        call = call.__wrapped__
    return call


_PREFIXED = frozenset({"linalg", "fft", "special"})  # PyTorch's torch.fft.fft is named fft_fft

FUNCTIONS: list[Function] = []
_places: set[str] = set()  # where something has been published


def published(namespace: str) -> dict[str, Function]:
    """The records of a namespace such as "linalg", by name."""
    return {f.name: f for f in FUNCTIONS if namespace in f.namespaces}


def lazily(
    space: dict[str, Any], namespace: str, more: Iterable[str] = ()
) -> tuple[list[str], Any, Any]:
    """``__all__``, ``__getattr__`` and ``__dir__`` of the module that is a namespace.

    Args:
        space: the module's ``globals()``; a function gets there when it is first asked for.
        more: other names that the module has not yet.
    """
    records = published(namespace)

    def __getattr__(name: str) -> Any:
        record = records.get(name)
        if record is None:
            raise AttributeError(f"module {space['__name__']!r} has no attribute {name!r}")
        made = space[name] = record.public
        return made

    return list(records), __getattr__, lambda: sorted({*space, *records, *more})


def function(
    *,
    namespaces: tuple[str, ...] = ("",),
    method: bool | str = True,
    dunder: tuple[str, ...] = (),
    inplace: bool = False,
    checks: bool = False,
    out: bool | str = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Publish a function: in namespaces, as a Tensor method, as an operator, as an in-place twin.

    A function that ``checks`` its arguments before any op runs fails as an op does: its error names
    it, the shapes and the place, and is an event of the trace.

    With ``out`` the namespaces' function (not the method) takes ``out=``, see `core.out.with_out`;
    "exact" if that must have the result's type, "apart" if it must not share memory with an
    argument ("exact apart": both), "typed" if its type is what the function computes in.

    The in-place twin ``NAME_`` runs the same function with its first op applied in place; see
    `core.views.inplace_twin`.
    """

    def publish(call: Callable[..., Any]) -> Callable[..., Any]:
        name = call.__name__
        if checks:
            from framework.core.dispatch import checked

            call = checked(call)
        home = f"{namespaces[0]}." if namespaces and namespaces[0] else ""
        call = titled(call, f"{home}{name}" if namespaces or name[-1] != "_" else f"Tensor.{name}")
        as_method = name if method is True else (method or "")
        twin = f"{name}_" if inplace else ""
        places = [f"{n}.{name}" for n in namespaces]
        if as_method:
            places.append(f"Tensor.{as_method}")
        for place in places:
            if place in _places:
                raise ValueError(f"{place.lstrip('.')} is published twice")
            _places.add(place)
        FUNCTIONS.append(Function(call, name, namespaces, as_method, dunder, twin, out))
        return call

    return publish
