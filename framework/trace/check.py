"""Is the gradient of one op right? Finite differences at the very inputs that a run had.

`check_node` takes an op (or a backward node, or a custom Function's call) of a tape, makes float64
copies of its captured inputs, and compares what its gradient rule gives for a random cotangent with
central differences of its forward pass. It says how large the difference is, and at which element.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import msgspec
import numpy as np

from framework.trace import records, sink
from framework.trace.events import Event, NodeBegin, NodeEnd, Op, OpBegin, OpEnd
from framework.trace.lineage import Lineage

__all__ = ["Check", "CheckError", "InputCheck", "check_call", "check_node", "check_recorded"]

EPS = 1e-6
ELEMENTS = 64  # of each input that are looked at one by one
ATOL, RTOL = 1e-5, 1e-3


class CheckError(ValueError):
    """It cannot be checked: one line says why."""


class InputCheck(msgspec.Struct):
    """One input of the op.

    ``difference`` is the largest absolute one among the elements that were looked at, ``at`` where;
    ``direction`` compares one random direction through all elements.
    """

    name: str
    shape: tuple[int, ...]
    ok: bool
    difference: float = 0.0
    at: tuple[int, ...] = ()
    rule: float = 0.0  # what the gradient rule says there
    numeric: float = 0.0  # what the finite difference says
    elements: int = 0
    direction: tuple[float, float] = (0.0, 0.0)  # rule, numeric
    note: str = ""

    def __str__(self) -> str:
        if not self.elements:
            return f"{self.name} {list(self.shape)}: {self.note or 'no elements'}"
        size = int(np.prod(self.shape)) if self.shape else 1
        of = f"{self.elements} of {size}" if self.elements < size else str(size)
        text = (
            f"{self.name} {list(self.shape)}: {'right' if self.ok else 'WRONG'}; largest "
            f"difference {self.difference:.3g} at {list(self.at)} (rule {self.rule:.6g}, finite "
            f"difference {self.numeric:.6g}), {of} elements"
        )
        if self.elements < size:
            text += f"; in a random direction {self.direction[0]:.6g} and {self.direction[1]:.6g}"
        return f"{text}; {self.note}" if self.note else text


class Check(msgspec.Struct):
    """The result for one op."""

    op: str
    ok: bool
    inputs: list[InputCheck]

    def __str__(self) -> str:
        word = "its gradient agrees with" if self.ok else "its gradient DIFFERS from"
        lines = [f"{self.op}: {word} finite differences in float64"]
        return "\n".join(lines + [f"  {found}" for found in self.inputs])


# -- one call --------------------------------------------------------------------------------


def check_call(
    call: Callable[..., Any], args: list[Any], op: str, names: list[str] | None = None,
    seed: int = 0,
) -> Check:  # fmt: skip
    """Check ``call(*args)``: NumPy arrays among ``args`` become tensors, floating ones in float64.

    >>> check_call(lambda x: x.sin(), [np.array([0.5, 1.0], np.float32)], "sin").ok
    True
    """
    arrays = [_double(a) if isinstance(a, np.ndarray) else a for a in args]
    which = [i for i, a in enumerate(arrays) if _differentiable(a)]
    if not which:
        raise CheckError(f"{op} has no floating-point input to differentiate by")
    if any(not np.isfinite(arrays[i]).all() for i in which):
        raise CheckError(f"{op}: an input is not finite, there is no derivative")
    random = np.random.Generator(np.random.Philox(seed))
    with _untraced(), _called_again(op):
        base = _outputs(call, arrays)
        if not base:
            raise CheckError(f"{op} has no floating-point result")
        if any(not np.isfinite(out).all() for out in base):
            raise CheckError(f"{op}: its result is not finite here, there is no derivative")
        again = _outputs(call, arrays)
        if any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(base, again)):
            raise CheckError(f"{op} is random: two equal calls differ")
        cotangents = [_normal(random, out) for out in base]

        def total(changed: list[Any]) -> float:
            outs = _outputs(call, changed)
            return sum(float(np.sum((np.conj(w) * y).real)) for w, y in zip(cotangents, outs))

        rules = _rules(call, arrays, which, cotangents, op)
        labels = names or [f"input {i}" for i in range(len(arrays))]
        found = [_compare(total, arrays, i, rules[i], labels[i], random) for i in which]
    return Check(op, all(f.ok for f in found), found)


def _compare(
    total: Callable[[list[Any]], float],
    arrays: list[Any],
    i: int,
    rule: Any,
    name: str,
    random: Any,
) -> InputCheck:
    x = arrays[i]
    found = InputCheck(name, x.shape, True)
    if rule is None:
        found.note, found.ok = "its rule gives no gradient", True
        return found
    size = x.size
    chosen = range(size) if size <= ELEMENTS else np.sort(random.choice(size, ELEMENTS, False))

    def slope(step: Any, sides: tuple[float, float] = (EPS, -EPS)) -> float:
        # (A sum of arrays without dimensions is a NumPy scalar, which is no operand.)
        moved = [np.asarray(x + side * step) for side in sides]
        values = [total([*arrays[:i], at, *arrays[i + 1 :]]) for at in moved]
        return (values[0] - values[1]) / (sides[0] - sides[1])

    parts = (1.0, 1j) if x.dtype.kind == "c" else (1.0,)
    for flat in chosen:
        at = tuple(int(n) for n in np.unravel_index(flat, x.shape))
        step = np.zeros_like(x)
        for part in parts:
            step[at] = part
            ours = complex(rule[at])
            value = ours.real if part == 1.0 else ours.imag
            numeric = slope(step)
            difference = abs(value - numeric)
            if not difference <= found.difference:
                found.difference, found.at = difference, at
                found.rule, found.numeric = value, numeric
            if not difference <= ATOL + RTOL * abs(numeric):
                left, right = slope(step, (0.0, -EPS)), slope(step, (EPS, 0.0))
                if abs(left - right) > 1e-3 * max(1.0, abs(left), abs(right)):
                    found.note = (
                        f"there is a kink at {list(at)}: {left:.4g} on one side, {right:.4g}"
                    )
                elif found.ok:
                    found.ok = False
                    found.difference, found.at = difference, at
                    found.rule, found.numeric = value, numeric
    found.elements = len(chosen)
    if size > ELEMENTS:
        direction = _normal(random, x)
        ours = float(np.sum((np.conj(rule) * direction).real))
        numeric = slope(direction)
        found.direction = ours, numeric
        if not abs(ours - numeric) <= ATOL * size**0.5 + RTOL * abs(numeric):
            found.ok = found.ok and bool(found.note)
    return found


def _rules(
    call: Callable[..., Any], arrays: list[Any], which: list[int], cotangents: list[Any], op: str
) -> dict[int, Any]:
    """What the gradient rules give for the cotangents."""
    from framework.autograd import grad
    from framework.core.modes import enable_grad
    from framework.tensor import Tensor, wrap

    tensors = [_tensor(a) for a in arrays]
    for i in which:
        tensors[i].requires_grad_(True)
    with enable_grad():
        outs = _floating(call(*tensors))
        pairs = [(o, wrap(w)) for o, w in zip(outs, cotangents) if o.requires_grad]
        if not pairs:
            raise CheckError(f"{op} has no gradient")
        grads = grad(
            [o for o, _ in pairs], [tensors[i] for i in which], [w for _, w in pairs],
            allow_unused=True,
        )  # fmt: skip
    return {i: np.asarray(g._data) if isinstance(g, Tensor) else None for i, g in zip(which, grads)}


def _outputs(call: Callable[..., Any], arrays: list[Any]) -> list[Any]:
    from framework.core.modes import no_grad

    with no_grad(), np.errstate(all="ignore"):
        return [np.array(o._data) for o in _floating(call(*[_tensor(a) for a in arrays]))]


def _floating(out: Any) -> list[Any]:
    from framework.tensor import Tensor

    outs = out if isinstance(out, (tuple, list)) else (out,)
    return [o for o in outs if isinstance(o, Tensor) and o._data.dtype.kind in "fc"]


def _tensor(value: Any) -> Any:
    from framework.tensor import wrap

    return wrap(value.copy()) if isinstance(value, np.ndarray) else value


def _double(array: Any) -> Any:
    """A float64 (or complex128) copy of what is differentiable, a copy of the rest."""
    kind = array.dtype.kind
    if kind == "c":
        return array.astype(np.complex128)
    small = kind == "V" and array.dtype.names is None
    return array.astype(np.float64) if kind == "f" or small else array.copy()


def _differentiable(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fc" and value.size > 0


def _normal(random: Any, like: Any) -> Any:
    found = random.standard_normal(like.shape)
    if like.dtype.kind == "c":
        return found + 1j * random.standard_normal(like.shape)
    return np.asarray(found)


@contextmanager
def _called_again(op: str) -> Iterator[None]:
    """A user's Function may count its calls, look at a global name, or refuse float64."""
    try:
        yield
    except CheckError:
        raise
    except Exception as error:  # the op may be the user's
        what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise CheckError(f"{op}: it cannot be called again in float64: {what}") from error


@contextmanager
def _untraced() -> Iterator[None]:
    """What is computed here is no event of this thread's trace."""
    recorder = sink.active
    if recorder is None or recorder.thread != get_ident():
        yield
        return
    recorder.thread = 0
    try:
        yield
    finally:
        recorder.thread = recorder.owner


# -- an op of a tape -------------------------------------------------------------------------


def check_node(recorder: Any, seq: int) -> Check:
    """Check the op, backward node or custom Function at event ``seq`` of a recorder's tape.

    Raises CheckError with one line if that cannot be done.

    >>> import framework as torch
    >>> from framework.trace import recording
    >>> with recording() as tape:
    ...     y = torch.tensor([0.5, 2.0], requires_grad=True).exp()
    >>> print(str(check_node(tape, tape.seq)).splitlines()[0])
    exp: its gradient agrees with finite differences in float64
    """
    from framework.trace.explain import array_in

    lineage = Lineage(recorder.read())
    event = _forward_of(lineage, seq)
    raw = recorder.raw(event.seq)
    if raw is None:
        raise CheckError("the op is no longer in the ring")
    given, meta = (raw[5], raw[7]) if raw[2] == records.OP else (raw[4], raw[5])
    scalars = [value[0] if value.__class__ is tuple else None for value in given]
    known = dict(records.named(meta))
    return _check(lineage, event, scalars, known, lambda i, at: array_in(recorder, i, at))


def check_recorded(
    events: Iterable[Event], array: Callable[[int, int], Any | None], seq: int
) -> Check:
    """The same from a recording: ``array(tensor, seq)`` gives the values that it holds.

    Arguments that are no tensors stand in a recording as text; what is no plain value there makes
    the op impossible to check.
    """
    lineage = Lineage(events)
    event = _forward_of(lineage, seq)
    known = {key: _literal(event.name, key, text) for key, text in event.meta.items()}
    scalars = [known.pop(f"arg{i}", None) for i in range(len(event.inputs))]
    return _check(lineage, event, scalars, known, array)


def _forward_of(lineage: Lineage, seq: int) -> Op | OpBegin:
    event = lineage.events.get(seq)
    if isinstance(event, (NodeEnd, OpEnd)):
        event = lineage.events.get(event.begin)
    if isinstance(event, NodeBegin):
        name = event.name
        event = lineage.events.get(event.forward)
        if event is None:
            raise CheckError(f"the forward op of this {name} backward is not on the tape")
    if not isinstance(event, (Op, OpBegin)):
        raise CheckError("only an op or a backward node has a gradient to check")
    return event


def _check(
    lineage: Lineage, event: Op | OpBegin, scalars: list[Any], meta: dict[str, Any],
    array: Callable[[int, int], Any | None],
) -> Check:  # fmt: skip
    operands = lineage.operands(event) if isinstance(event, Op) else _operands(lineage, event)
    values = {o.tensor: (array(o.tensor, o.seq), o.name) for o in operands}
    if any(_lists_tensors(value) for value in scalars):
        raise CheckError(f"{event.name} takes a list of tensors: check the ops that it is made of")
    args: list[Any] = []
    names = []
    for i, ident in enumerate(event.inputs):
        found, name = values.get(ident, (None, "")) if ident else (scalars[i], "")
        if ident and found is None:
            raise CheckError(f"{event.name}: the value of {name} is no longer kept")
        args.append(_host(found) if ident else found)
        names.append(name)
    call, args = _callable(event, args, {k: _wide(v) for k, v in meta.items()})
    return check_call(call, args, lineage.title(event), names)


def _lists_tensors(value: Any) -> bool:
    return isinstance(value, list | tuple) and any(isinstance(v, sink.tensor_type) for v in value)


def _operands(lineage: Lineage, event: OpBegin) -> list[Any]:
    from framework.trace.lineage import Operand

    at = event.seq - 1
    return [Operand(i, at, lineage.name(i, at), lineage.meta(i)) for i in event.inputs if i]


def _callable(
    event: Op | OpBegin, args: list[Any], meta: dict[str, Any]
) -> tuple[Callable[..., Any], list[Any]]:
    """What to call: a primitive of the table, a composite, or a custom Function by its name."""
    from framework.core.dispatch import apply
    from framework.core.registry import OPS, composites

    name = event.name
    if isinstance(event, Op):
        op = OPS.get(name) or OPS.get(name.rstrip("_"))
        if op is None:
            raise CheckError(f"no op is called {name!r} here: it can be checked where it was run")
        return lambda *xs: apply(op, *xs, **meta), args
    if name in composites:
        function = composites[name]
        return lambda *xs: function(*xs, **meta), args
    from framework.autograd import Function

    found = [cls for cls in _subclasses(Function) if cls.__name__ == name]
    if len(found) != 1:
        why = "several Functions are" if found else "no op or Function is"
        raise CheckError(f"{why} called {name!r} here: it cannot be called again")
    return found[0].apply, args


def _subclasses(cls: type) -> list[Any]:
    """All live subclasses, breadth first."""
    found: list[Any] = []
    todo: list[Any] = [cls]
    while todo:
        for sub in todo.pop().__subclasses__():
            found.append(sub)
            todo.append(sub)
    return found


def _host(array: Any) -> Any:
    from framework.kernels import to_host

    return np.asarray(to_host(array))


def _wide(value: Any) -> Any:
    """A floating dtype among the arguments would take the precision that differences need."""
    from framework import dtypes

    if isinstance(value, dtypes.dtype):
        return dtypes.float64 if value.is_floating_point else value
    if isinstance(value, np.dtype):
        return np.dtype(np.float64) if value.kind in "fV" else value
    return value


def _literal(op: str, key: str, text: str) -> Any:
    from framework import dtypes

    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = next((d for d in dtypes.ALL if d.name == text), None)
        if found is None:
            raise CheckError(
                f"{op}: its argument {key} stands in the recording as text only ({text})"
            ) from None
        return found
