"""PyTorch's module samples (module_db) and a table of our own, run on our modules.

A *configuration* is a module class, the arguments of its constructor and of its forward, a dtype
and a mode. Both sides are constructed alike; ours takes theirs' state. Facets:

    construct   ours can be made (or refuses as theirs does)
    attributes  the public attributes, as configuration code reads them
    state       state_dict: keys, shapes, dtypes; the order of parameters, buffers and modules
    repr        the printed form
    init        initial values: constants, bounds, spread (large modules only)
    forward     values and dtypes of the outputs; the error if theirs raises
    grad        gradients of inputs and parameters, random cotangents
    gradgrad    second gradients, float64
    buffers     running statistics after the step
    copy        deepcopy, pickle and a state_dict round trip compute the same
    empty       no samples in the batch; unbatched: one sample without its dimension
    gappy       inputs that are not contiguous; channels_last: 4-d and 5-d inputs in that format
    program     what an expression on a container, a parameter or a utility prints or raises
"""

from __future__ import annotations

import copy
import inspect
import pickle
import re
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
from torch.testing._internal import common_modules

import framework
from tests.conformance import expected
from tests.conformance.bridge import Unsupported, describe, ours, theirs
from tests.conformance.comparing import (
    difference,
    dtypes_of,
    flat,
    random_like,
    same_kind,
    shape_difference,
    short,
    wanting,
)
from tests.conformance.module_programs import PROGRAMS, SETUP
from tests.conformance.module_table import ERRORS, INITIAL, LIKE, TABLE, data

__all__ = ["Case", "cases", "check", "main", "uncovered"]

FACETS = (
    "construct", "attributes", "state", "repr", "init", "forward", "grad", "gradgrad", "buffers",
    "copy", "empty", "unbatched", "gappy", "channels_last", "program",
)  # fmt: skip

# Bases that are never called themselves, and names that PyTorch itself deprecates.
ABSTRACT = frozenset({"Module", "Container", "RNNBase", "RNNCellBase"})

# PyTorch reads memory that nobody wrote.
UNDEFINED = frozenset({("MultiLabelMarginLoss", "empty"), ("MultiMarginLoss", "empty")})

_LOOSE = {  # rtol, atol by the type that is computed in
    torch.float64: (1e-7, 1e-7), torch.complex128: (1e-7, 1e-7),
    torch.float32: (1e-4, 5e-5), torch.complex64: (1e-4, 5e-5),
    torch.float16: (1e-2, 5e-3), torch.bfloat16: (5e-2, 3e-2),
}  # fmt: skip


@dataclass
class Case:
    """One configuration."""

    name: str  # of the class
    text: str  # its arguments in words
    theirs: Callable[[], Any]
    ours: Callable[[], Any]
    args: tuple[Any, ...] | None = None  # of forward; None: only construct
    kwargs: dict[str, Any] = field(default_factory=dict)
    dtype: Any = torch.float64
    training: bool = True
    initial: bool = False  # look at the initial values instead
    failures: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        mode = "train" if self.training else "eval"
        return f"{self.text} {str(self.dtype).removeprefix('torch.')} {mode}"


# -- where configurations come from ----------------------------------------------------------------


def cases(cap: int, quick: bool = False) -> Iterator[Case]:
    """All configurations, module_db's first.

    module_db has 857 samples of one class: at most ``cap`` of each are run, spread evenly.
    """
    for info in common_modules.module_db:
        yield from _of_module_db(info, cap)
    for name, text, inputs, dtypes in TABLE:
        for dtype in dtypes[:1] if quick else dtypes:
            for training in (True,) if quick else (True, False):
                _seed(len(text))
                args = tuple(_value(i, dtype) for i in inputs)
                yield Case(name, text, _maker(text, torch), _maker(text, framework), args,
                           dtype=dtype, training=training)  # fmt: skip
    for name, text, inputs in ERRORS:
        _seed(len(text))
        args = None if inputs is None else tuple(_value(i, torch.float32) for i in inputs)
        yield Case(name, text, _maker(text, torch), _maker(text, framework), args,
                   dtype=torch.float32)  # fmt: skip
    for name, text in INITIAL:
        yield Case(name, text, _maker(text, torch), _maker(text, framework), initial=True,
                   dtype=torch.float32)  # fmt: skip


def programs() -> Iterator[Case]:
    """Expressions, each of them a configuration."""
    for name, texts in PROGRAMS.items():
        for text in texts:
            case = Case(name, text, lambda t=text: _printed(t, torch),
                        lambda t=text: _printed(t, framework))  # fmt: skip
            mine, other = case.ours(), case.theirs()
            if mine != other:
                case.failures.append(("program", f"{mine!r}, not {other!r}"))
            yield case


def _printed(text: str, package: Any) -> str:
    """What an expression prints, without its digits beyond the first: the weights are random."""
    space = {"torch": package, "nn": package.nn}
    exec(SETUP, space)
    before, _, last = text.rpartition("; ")
    try:
        exec(before, space)
        found = repr(eval(last, space))
    except Exception as error:
        return type(error).__name__
    found = re.sub(r"-?\d+\.\d\d+(e-?\d+)?", "#", found)
    return re.sub(r" grad_fn=<\w+>|0x[0-9a-f]+", "", found).replace("framework.", "torch.")


def _seed(number: int = 0) -> None:
    torch.manual_seed(number)
    framework.manual_seed(number)


def _value(spec: Any, dtype: Any) -> Any:
    """An argument of forward: an expression in words, evaluated in PyTorch, or anything else."""
    return eval(spec, {"torch": torch, **data(dtype)}) if isinstance(spec, str) else spec


def _maker(text: str, package: Any) -> Callable[[], Any]:
    space = {"torch": package, "nn": package.nn, **LIKE(package)}
    return lambda: eval(text, space)


def _of_module_db(info: Any, cap: int) -> Iterator[Case]:
    name = info.name.removeprefix("nn.")
    modes = (True, False) if info.train_and_eval_differ else (True,)
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        if dtype not in info.dtypes and dtype is not torch.bfloat16:
            continue
        for training in modes:
            _seed()
            samples = _chosen(info, info.module_inputs_func, dtype, training, cap)
            for sample in samples if dtype is torch.float64 else samples[::4]:
                yield _sample_case(info, name, sample, dtype, training)
    if info.module_error_inputs_func is not None:
        for broken in _chosen(info, info.module_error_inputs_func, torch.float32, True, cap):
            yield _sample_case(info, name, broken.module_error_input, torch.float32, True)


def _chosen(info: Any, make: Any, dtype: Any, training: bool, cap: int) -> list[Any]:
    try:
        found = list(make(info, device="cpu", dtype=dtype, requires_grad=True, training=training))
    except (RuntimeError, NotImplementedError):
        return []  # PyTorch has no kernel for this type to make the samples with
    count = min(cap, len(found))
    at = sorted({round(k * (len(found) - 1) / max(count - 1, 1)) for k in range(count)})
    return [found[k] for k in at]


def _sample_case(info: Any, name: str, sample: Any, dtype: Any, training: bool) -> Case:
    made, forward = sample.constructor_input, sample.forward_input
    return Case(
        name, f"{name}({_words(made.args, made.kwargs)})",
        lambda: info.module_cls(*made.args, **made.kwargs),
        lambda: getattr(framework.nn, name)(*_ours(made.args), **_ours(made.kwargs)),
        None if forward is None else tuple(forward.args),
        {} if forward is None else forward.kwargs, dtype, training,
    )  # fmt: skip


def _words(args: Any, kwargs: Any) -> str:
    parts = [type(a).__name__ if isinstance(a, torch.nn.Module) else describe(a) for a in args]
    return ", ".join([*parts, *(f"{k}={describe(v)}" for k, v in kwargs.items())])


def _ours(value: Any, seen: dict[int, Any] | None = None) -> Any:
    """`bridge.ours`, which also knows packed sequences and layers that are arguments."""
    seen = {} if seen is None else seen
    if isinstance(value, torch.nn.utils.rnn.PackedSequence):
        return framework.nn.utils.rnn.PackedSequence(*(ours(v, seen) for v in value))
    if isinstance(value, torch.nn.TransformerEncoderLayer):
        return framework.nn.TransformerEncoderLayer(
            value.self_attn.embed_dim, value.self_attn.num_heads, value.linear1.out_features,
            value.dropout.p, ours(value.activation), value.norm1.eps, value.self_attn.batch_first,
            value.norm_first, value.linear1.bias is not None,
            dtype=ours(value.linear1.weight.dtype),
        )  # fmt: skip
    if type(value) in (list, tuple):
        return type(value)([_ours(v, seen) for v in value])
    if isinstance(value, dict):
        return {k: _ours(v, seen) for k, v in value.items()}
    return ours(value, seen)


def uncovered() -> list[str]:
    """Public module classes without a configuration."""
    covered = {info.name.removeprefix("nn.") for info in common_modules.module_db}
    covered |= {name for name, *_ in TABLE} | {name for name, *_ in ERRORS}
    public = (
        n for n, v in vars(torch.nn).items()
        if inspect.isclass(v) and issubclass(v, torch.nn.Module)
    )  # fmt: skip
    return sorted(set(public) - covered - ABSTRACT)


# -- comparing one ---------------------------------------------------------------------------------


class _Stop(Exception):
    """Nothing more can be compared."""


def check(case: Case) -> bool:
    """Compare one configuration; its failures are noted in it. False if PyTorch has none."""
    try:
        return _Comparison(case).run()
    except _Stop:
        return True


class _Comparison:
    def __init__(self, case: Case) -> None:
        self.case = case

    def fail(self, facet: str, text: str) -> None:
        self.case.failures.append((facet, text))

    def attempt(self, facet: str, check: Callable[[], str]) -> None:
        try:
            text = check()
        except (Unsupported, _Theirs):
            return
        except Exception as error:
            text = f"raised {short(error)}"
        if text:
            self.fail(facet, text)

    def run(self) -> bool:
        case = self.case
        if not self.construct():
            return True
        if case.initial:
            self.attempt("init", self.initial)
            return True
        self.attempt("attributes", self.attributes)
        lazy = any(
            torch.nn.parameter.is_lazy(p)
            for p in (*self.theirs.parameters(), *self.theirs.buffers())
        )
        if not lazy:
            self.attempt("state", self.state)
            self.attempt("init", self.constants)
        self.attempt("repr", self.repr)
        if case.args is None:
            return True
        if lazy:
            self.materialise()
            self.attempt("state", self.state)
            self.attempt("repr", self.repr)
        self.theirs.to(case.dtype)
        self.ours.to(ours(case.dtype))
        state = self.theirs.state_dict()
        self.ours.load_state_dict({k: _ours(v) for k, v in state.items()})
        self.theirs.train(case.training)
        self.ours.train(case.training)
        kept = copy.deepcopy((self.theirs.state_dict(), self.ours.state_dict()))
        if not self.forward():
            return not self.refused
        self.attempt("grad", self.gradients)
        self.attempt("buffers", self.buffers)
        self.attempt("copy", self.copies)
        if case.dtype is torch.float64 and not self.drawn:
            for facet, change in _CHANGES.items():
                if (case.name, facet) in UNDEFINED:
                    continue
                self.theirs.load_state_dict(kept[0])
                self.ours.load_state_dict(kept[1])
                self.attempt(facet, lambda change=change: self.changed(change))
        return True

    # -- before forward ----------------------------------------------------------------------------

    def construct(self) -> bool:
        error: Any = None
        try:
            self.theirs = self.case.theirs()
        except Exception as raised:
            error = raised
        try:
            self.ours = self.case.ours()
        except Unsupported:
            raise _Stop from None
        except Exception as raised:
            if error is None:
                self.fail("construct", f"raised {short(raised)}")
            elif not same_kind(raised, error):
                self.fail("construct", f"raised {short(raised)}, not {short(error)}")
            return False
        if error is not None:
            self.fail("construct", f"did not raise {short(error)}")
        return error is None

    def attributes(self) -> str:
        lacking = []
        for name, value in vars(self.theirs).items():
            if name.startswith("_") or isinstance(value, torch.nn.Module):
                continue
            if not hasattr(self.ours, name):
                lacking.append(name)
                continue
            mine = getattr(self.ours, name)
            if callable(value) or isinstance(value, (torch.Tensor, torch.device, torch.dtype)):
                continue
            if mine != value:
                return f"{name} is {mine!r}, not {value!r}"
        return f"no attribute {', '.join(lacking)}" if lacking else ""

    def state(self) -> str:
        mine, other = self.ours.state_dict(), self.theirs.state_dict()
        if list(mine) != list(other):
            return f"keys {list(mine)}, not {list(other)}"
        for key, value in other.items():
            if not isinstance(value, torch.Tensor):
                continue
            got = mine[key]
            if tuple(got.shape) != tuple(value.shape) or theirs(got.dtype) != value.dtype:
                return f"{key}: {describe(got)}, not {describe(value)}"
        versions = [
            {k: v.get("version") for k, v in getattr(s, "_metadata", {}).items()}
            for s in (mine, other)
        ]
        if versions[0] != versions[1]:
            return f"versions {versions[0]}, not {versions[1]}"
        for what in ("named_parameters", "named_buffers", "named_modules"):
            names = [[n for n, _ in getattr(m, what)()] for m in (self.ours, self.theirs)]
            if names[0] != names[1]:
                return f"{what} {names[0]}, not {names[1]}"
        wanting = [[p.requires_grad for p in m.parameters()] for m in (self.ours, self.theirs)]
        return "" if wanting[0] == wanting[1] else "requires_grad of parameters differs"

    def constants(self) -> str:
        """Parameters that start as one number start as the same here."""
        for (name, p), mine in zip(
            self.theirs.state_dict().items(), self.ours.state_dict().values()
        ):
            if not isinstance(p, torch.Tensor) or not p.numel() or p.is_complex():
                continue
            values = p.flatten()
            if p.numel() > 1 and bool((values == values[0]).all()):
                text = difference(theirs(mine), p, 1e-6, 0.0)
                if text:
                    return f"{name}: {text}"
        return ""

    def initial(self) -> str:
        """Mean, spread and bounds of large parameters, within what chance explains."""
        for (name, p), mine in zip(self.theirs.named_parameters(), self.ours.parameters()):
            other, got = p.detach().double().flatten(), theirs(mine).detach().double().flatten()
            if other.shape != got.shape:
                return f"{name}: shape {list(mine.shape)}, not {list(p.shape)}"
            spread = other.std(correction=0).item()
            slack = 6 / len(other) ** 0.5
            pairs = (
                ("mean", got.mean().item(), other.mean().item(), spread * slack),
                ("std", got.std(correction=0).item(), spread, spread * slack),
                ("max", got.max().item(), other.max().item(), spread * max(4 * slack, 0.9)),
                ("min", got.min().item(), other.min().item(), spread * max(4 * slack, 0.9)),
            )
            for what, value, wanted, allowed in pairs:
                if abs(value - wanted) > allowed + 1e-12:
                    return f"{name}: {what} {value:.4g}, not {wanted:.4g}"
        return ""

    def repr(self) -> str:
        mine, other = repr(self.ours), repr(self.theirs)
        return "" if mine == other else f"{mine!r}, not {other!r}"

    def materialise(self) -> None:
        """Let lazy modules see an input."""
        args, kwargs = self.inputs()
        self.theirs.to(self.case.dtype)
        self.ours.to(ours(self.case.dtype))
        mine, other = (
            _raised(self.ours, _ours(args), _ours(kwargs)), _raised(self.theirs, args, kwargs)
        )  # fmt: skip
        if mine is not None or other is not None:
            if mine is None or other is None or not same_kind(mine, other):
                self.fail("forward", f"raised {mine!r}, not {other!r}")
            raise _Stop

    # -- forward and what follows ------------------------------------------------------------------

    def inputs(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        assert self.case.args is not None
        return self.case.args, self.case.kwargs

    def forward(self) -> bool:
        args, kwargs = self.inputs()
        seen: dict[int, Any] = {}
        mine = _ours(args, seen), _ours(kwargs, seen)
        self.mine, self.given = wanting(mine), wanting((args, kwargs))
        error: Any = None
        self.refused = False
        before = copy.deepcopy(self.theirs.state_dict())
        _seed(1)
        state = torch.get_rng_state()
        try:
            self.expected = self.theirs(*args, **kwargs)
        except Exception as raised:
            error = raised
        self.drawn = not torch.equal(state, torch.get_rng_state()) and self.varies(before)
        try:
            self.got = self.ours(*mine[0], **mine[1])
        except Exception as raised:
            if error is None:
                self.fail("forward", f"raised {short(raised)}")
            elif not same_kind(raised, error):
                self.fail("forward", f"raised {short(raised)}, not {short(error)}")
            return False
        if error is not None:
            if "not implemented for" in str(error):
                self.refused = True  # a type that only PyTorch's kernel lacks
            else:
                self.fail("forward", f"did not raise {short(error)}")
            return False
        text = self.difference(self.got, self.expected)
        if text:
            self.fail("forward", text)
        return not text

    def varies(self, before: Any) -> bool:
        """Whether the seed matters."""
        args, kwargs = self.inputs()
        if not hasattr(self, "expected"):
            return True
        after = copy.deepcopy(self.theirs.state_dict())
        found = False
        for seed in range(2, 6):
            _seed(seed)
            self.theirs.load_state_dict(before)
            if difference(_plain(self.theirs(*args, **kwargs)), _plain(self.expected), 0.0, 0.0):
                found = True
                break
        self.theirs.load_state_dict(after)
        return found

    def difference(self, got: Any, expected: Any) -> str:
        got, expected = _plain(theirs(_plain(got))), _plain(expected)
        if dtypes_of(got) != dtypes_of(expected):
            return f"{dtypes_of(got)}, not {dtypes_of(expected)}"
        text = shape_difference(got, expected)
        if text or self.drawn:
            return text
        return difference(got, expected, *_LOOSE.get(self.case.dtype, (0.0, 0.0)))

    def gradients(self) -> str:
        case = self.case
        outs, mine = flat(_plain(self.expected)), flat(_plain(self.got))
        wanted = [o.requires_grad for o in outs]
        if wanted != [m.requires_grad for m in mine]:
            return f"requires_grad {[m.requires_grad for m in mine]}, not {wanted}"
        outs = [o for o, w in zip(outs, wanted) if w]
        mine = [m for m, w in zip(mine, wanted) if w]
        if not outs:
            return ""
        inputs = [*self.given, *_parameters(self.theirs)]
        my_inputs = [*self.mine, *_parameters(self.ours)]
        torch.manual_seed(3)
        cotangents = [random_like(o).requires_grad_() for o in outs]
        my_cotangents = [ours(c) for c in cotangents]
        twice = case.dtype is torch.float64 and not self.drawn
        if not inputs:
            return ""
        try:
            grads = torch.autograd.grad(
                outs, inputs, cotangents, create_graph=twice, allow_unused=True
            )
        except Exception as error:
            raise _Theirs from error
        my_grads = framework.autograd.grad(
            mine, my_inputs, my_cotangents, create_graph=twice, allow_unused=True
        )
        text = self.compare_gradients(my_grads, grads, inputs)
        if text or not twice:
            return text
        self.attempt(
            "gradgrad",
            lambda: self.second(
                grads, my_grads, [*inputs, *cotangents], [*my_inputs, *my_cotangents]
            ),
        )
        return ""

    def second(self, grads: Any, my_grads: Any, inputs: Any, my_inputs: Any) -> str:
        chosen = [k for k, g in enumerate(grads) if g is not None and g.requires_grad]
        if not chosen:
            return ""
        torch.manual_seed(4)
        weights = [random_like(grads[k]) for k in chosen]
        try:
            expected = torch.autograd.grad(
                [grads[k] for k in chosen], inputs, weights, allow_unused=True
            )
        except Exception as error:
            raise _Theirs from error
        with_history = [
            (my_grads[k], ours(w)) for k, w in zip(chosen, weights)
            if my_grads[k] is not None and my_grads[k].requires_grad
        ]  # fmt: skip
        if not with_history:
            zero = all(e is None or not e.numel() or not e.abs().max().item() for e in expected)
            return "" if zero else "the gradients have no history"
        got = framework.autograd.grad(
            [g for g, _ in with_history], my_inputs, [w for _, w in with_history], allow_unused=True
        )
        return self.compare_gradients(got, expected, inputs)

    def compare_gradients(self, got: Any, expected: Any, inputs: Any) -> str:
        rtol, atol = _LOOSE[self.case.dtype]
        for k, (g, e, x) in enumerate(zip(got, expected, inputs)):
            e = torch.zeros_like(x) if e is None else e.detach()
            g = torch.zeros_like(x) if g is None else theirs(g)
            if g.layout is not e.layout:
                return f"gradient {k}: {g.layout}, not {e.layout}"
            g, e = (t.to_dense() if t.layout is not torch.strided else t for t in (g, e))
            if g.shape != e.shape or g.dtype != e.dtype:
                return f"gradient {k}: {describe(g)}, not {describe(e)}"
            if self.drawn or self.case.dtype is torch.bfloat16:  # sums of many roundings
                continue
            scale = max(float(e.abs().nan_to_num(0.0, 1.0).max()), 1.0) if e.numel() else 1.0
            text = difference(g, e, rtol, atol * scale)
            if text:
                return f"gradient {k}: {text}"
        return ""

    def buffers(self) -> str:
        for (name, b), mine in zip(self.theirs.named_buffers(), self.ours.buffers()):
            text = self.difference(mine, b)
            if text:
                return f"{name}: {text}"
        return ""

    def copies(self) -> str:
        args, kwargs = (_ours(v) for v in self.inputs())
        made = {}
        for what, copied in _COPIES.items():
            try:
                copied(self.theirs)
            except Exception:
                continue  # of PyTorch's own there is none either
            made[what] = copied(self.ours)
        for what, module in made.items():
            names = [[n for n, _ in m.named_parameters()] for m in (module, self.ours)]
            if names[0] != names[1] or module.training is not self.ours.training:
                return f"{what}: other parameters or mode"
            if self.drawn or self.theirs.training:  # running statistics would move
                continue
            results = []
            for m in (module, self.ours):
                _seed(1)
                results.append(theirs(_plain(m(*args, **kwargs))))
            text = difference(results[0], results[1], 0.0, 0.0)
            if text:
                return f"{what}: {text}"
        return ""

    def changed(self, change: Callable[[Any], Any]) -> str:
        """Forward, and the parameters' gradients, for inputs that ``change`` has changed."""
        args, kwargs = self.inputs()
        args = tuple(_mapped(a, change) for a in args)
        kwargs = {k: _mapped(v, change) for k, v in kwargs.items()}
        seen: dict[int, Any] = {}
        mine = _ours(args, seen), _ours(kwargs, seen)
        error: Any = None
        _seed(1)
        try:
            expected = self.theirs(*args, **kwargs)
        except Exception as raised:
            error = raised
        try:
            got = self.ours(*mine[0], **mine[1])
        except Exception as raised:
            return "" if error is not None else f"raised {short(raised)}"
        if error is not None:
            return f"did not raise {short(error)}"
        text = self.difference(got, expected)
        if text:
            return text
        outs = [o for o in flat(_plain(expected)) if o.requires_grad]
        inputs = [*wanting((args, kwargs)), *_parameters(self.theirs)]
        empty = any(not t.numel() for t in flat(args))  # PyTorch's backward may crash then
        if empty or not outs or not inputs:
            return ""
        try:
            grads = torch.autograd.grad([o.sum() for o in outs], inputs, allow_unused=True)
        except Exception as raised:
            raise _Theirs from raised
        my_outs = [o.sum() for o in flat(_plain(got)) if o.requires_grad]
        my_inputs = [*wanting(mine), *_parameters(self.ours)]
        my_grads = framework.autograd.grad(my_outs, my_inputs, allow_unused=True)
        return self.compare_gradients(my_grads, grads, inputs)


def _parameters(module: Any) -> list[Any]:
    return [p for p in module.parameters() if p.requires_grad]


def _raised(call: Any, args: Any, kwargs: Any) -> Exception | None:
    try:
        call(*args, **kwargs)
    except Exception as error:
        return error
    return None


class _Theirs(Exception):
    """PyTorch itself refuses."""


def _plain(value: Any) -> Any:
    """A result without types of its own: tuples of tensors."""
    if isinstance(value, (tuple, list)) and not isinstance(value, (torch.Size, framework.Size)):
        return tuple(_plain(v) for v in value if v is not None)
    return value


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, torch.Tensor):
        made = change(value.detach())
        return made.requires_grad_(value.requires_grad)
    if type(value) in (tuple, list):
        return type(value)([_mapped(v, change) for v in value])
    return value


def _empty(t: Any) -> Any:
    return t[:0] if t.ndim else t


def _unbatched(t: Any) -> Any:
    return t[0] if t.ndim > 1 and len(t) else t


def _gappy(t: Any) -> Any:
    if not t.ndim:
        return t
    wide = torch.zeros((*t.shape[:-1], 2 * t.shape[-1]), dtype=t.dtype)
    wide[..., ::2] = t
    return wide[..., ::2]


def _channels_last(t: Any) -> Any:
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return t.contiguous(memory_format=formats[t.ndim]) if t.ndim in formats else t


_COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy, "pickle": lambda module: pickle.loads(pickle.dumps(module)),
}  # fmt: skip

_CHANGES: dict[str, Callable[[Any], Any]] = {
    "empty": _empty, "unbatched": _unbatched, "gappy": _gappy, "channels_last": _channels_last,
}  # fmt: skip


# -- the suite -------------------------------------------------------------------------------------


def main(options: Any) -> int:
    """Run the suite; ``options.op`` names classes, ``options.list_failures`` tells all."""
    start = time.perf_counter()
    wanted = set(options.op)
    known = expected.load("modules")
    counts: Counter[str] = Counter()
    failing: dict[str, dict[str, int]] = {}
    reasons: dict[str, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in chain(programs(), cases(options.cap, options.quick)):
            if wanted and case.name not in wanted:
                continue
            failing.setdefault(case.name, {})
            if case.text not in PROGRAMS.get(case.name, ()) and not check(case):
                continue
            counts["all"] += 1
            counts["right"] += not case.failures
            _note(case, failing[case.name], reasons, known, options)
    print(
        f"modules: {counts['right']} of {counts['all']} configurations right "
        f"({len(failing)} classes, {time.perf_counter() - start:.0f} s)"
    )
    for name in [] if wanted else uncovered():
        print(f"modules: no configuration of nn.{name}")
    found = {n: [f for f in FACETS if f in facets] for n, facets in failing.items()}
    if options.write_expected:
        expected.write("modules", found, reasons)
        return 0
    lines = expected.judge("modules", found, set() if options.quick else set(found))
    for line in lines:
        print(line)
    return 1 if lines or (not wanted and uncovered()) else 0


def _note(
    case: Case, facets: dict[str, int], reasons: dict[str, str], known: Any, options: Any
) -> None:
    """Remember what failed, and tell of it where it is news."""
    allowed = set(known.get(case.name, {}).get("facets", ()))
    for facet, text in case.failures:
        facets[facet] = facets.get(facet, 0) + 1
        reasons.setdefault(case.name, text[:120])
        news = options.op or facet not in allowed
        if options.list_failures or (news and facets[facet] <= 2):
            print(f"{case}: {facet}: {text}", flush=True)
