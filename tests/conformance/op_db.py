"""PyTorch's op_db (its OpInfo samples) run on our functions, PyTorch being the referee.

Every name gets one status per facet:

    value     values and shapes, every dtype that the entry and we have
    dtype     dtypes of the results
    grad      gradients, random cotangents, float64 and complex128
    gradgrad  second gradients, float64
    inplace   the in-place twin: value, dtype, who raises, gradient
    out       ``out=``: a matching, an empty and a too narrow tensor
    error     the entry's error inputs: both raise, the kind of the exception
    method    the Tensor method of the same name

A name is *right* when value, dtype and grad are right for all its variants.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import re
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.testing._internal import common_methods_invocations as invocations
from torch.testing._internal.common_device_type import precisionOverride, toleranceOverride

import framework
from tests.conformance import bridge, expected
from tests.conformance.bridge import DTYPES, Unsupported, find, ours, rebound, theirs
from tests.conformance.comparing import (
    TIES,
    TOLERANCES,
    arguments,
    copied,
    difference,
    dtypes_of,
    flat,
    gathered,
    gradient_difference,
    no_less_accurate,
    overlaps,
    processed,
    random_like,
    same_kind,
    shape_difference,
    short,
    wanting,
)

__all__ = [
    "FACETS",
    "Absent",
    "Late",
    "Outcome",
    "alarm",
    "entries",
    "implementation",
    "prepare",
    "reseed",
    "run",
]

FACETS = ("value", "dtype", "grad", "gradgrad", "inplace", "out", "error", "method")
DECISIVE = ("value", "dtype", "grad")

QUICK = (torch.float32, torch.complex64, torch.bfloat16, torch.int64, torch.bool)  # if capped

SAMPLE_SECONDS = 20.0  # longer than this for one sample of ours is a failure
OP_SECONDS = 60.0  # a name that takes longer is cut short (and says so)

# op_db names that are another function of ours: PyTorch publishes them under an internal path.
ALIASES: dict[str, str] = {"_segment_reduce": "segment_reduce"}

# Names by which PyTorch's samples call its dispatcher, which has errors of its own.
PACKETS = frozenset({"slice", "native_dropout_backward"})

# Names that PyTorch's own samples cannot run on a CPU.
CUDA_ONLY = frozenset(
    {
        "jiterator_unary", "jiterator_binary", "jiterator_4inputs_with_extra_args",
        "jiterator_binary_return_by_ref", "jiterator_2inputs_2outputs",
    }
)  # fmt: skip

# Memory that was never written: only shape and dtype can be compared.
UNWRITTEN = frozenset(
    {"empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided",
     "resize_", "resize_as_"}
)  # fmt: skip

# Stride-dependent by definition: no gappy inputs for these.
STRIDES = frozenset(
    {"as_strided", "as_strided_copy", "as_strided_scatter", "view", "view_copy", "view_as",
     "view_as_complex", "resize_", "resize_as_"}
)  # fmt: skip


@dataclass
class Failure:
    """One sample that went wrong."""

    facet: str
    variant: str
    dtype: str
    index: int
    args: str
    text: str

    def __str__(self) -> str:
        variant = f"{self.variant} " if self.variant else ""
        return f"{self.facet} {variant}{self.dtype} #{self.index} ({self.args}): {self.text}"


@dataclass
class Outcome:
    """All that was found out about one name."""

    name: str
    present: bool = True
    checks: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FACETS, 0))
    failures: list[Failure] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)  # reason -> samples
    wording: int = 0  # error inputs that raise the right kind in other words
    cut: bool = False  # ran out of its time
    seconds: float = 0.0

    def failing(self) -> list[str]:
        """The facets that are wrong; ["absent"] if we have no such function."""
        if not self.present:
            return ["absent"]
        found = {f.facet for f in self.failures}
        return [f for f in FACETS if f in found]

    @property
    def right(self) -> bool:
        return self.present and not set(self.failing()) & set(DECISIVE)

    def status(self, facet: str) -> str:
        if not self.present:
            return "absent"
        if facet in self.failing():
            return "wrong"
        return "right" if self.checks[facet] else "-"


class Late(BaseException):
    """The time is up; not an Exception, so that no handler in between takes it."""


# -- the table -------------------------------------------------------------------------------------


def entries() -> dict[str, list[Any]]:
    """op_db by name, variants together."""
    found: dict[str, list[Any]] = {}
    for info in invocations.op_db:
        found.setdefault(info.name, []).append(info)
    return found


def implementation(info: Any) -> Any:
    """Our function for an entry, or None."""
    name = ALIASES.get(info.name, info.name.removeprefix("torch."))
    f = info.op
    if type(f).__name__ == "OpOverloadPacket" or info.name in PACKETS:
        return find(f"ops.aten.{name}")
    is_lambda = getattr(f, "__module__", "").startswith("torch.testing") if f else False
    if is_lambda and info.name not in ALIASES:
        return _Rebound(rebound(f), f)
    if name.startswith("ops.aten.") and info.name not in ALIASES:
        return None
    return find(name)


class _Rebound:
    """A lambda of op_db on our names; a name that we lack makes the entry absent."""

    def __init__(self, call: Callable[..., Any], origin: Any) -> None:
        self.call, self.origin = call, origin

    def __call__(self, *args: Any, **options: Any) -> Any:
        try:
            return self.call(*args, **options)
        except AttributeError as error:
            if re.search(r"has no attribute|object 'Tensor'", str(error)):
                raise Absent(str(error)) from error
            raise


class Absent(Exception):
    pass


# -- running ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def alarm(seconds: float) -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise Late

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def reseed(number: int = 0) -> None:
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)
    framework.manual_seed(number)


def prepare() -> None:
    """Random lambdas of op_db seed and restore; the harness does that, and looks at the state.

    Seeding PyTorch also notes, with a formatted stack, that devices which are not there are to be
    seeded once they are: most of the time of a run, if it were not left out.
    """
    for device in (torch.cuda.random, torch.xpu.random, torch.mtia):
        device._lazy_call = _nothing  # type: ignore[attr-defined]
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("torch.testing._internal") and hasattr(
            module, "wrapper_set_seed"
        ):
            module.wrapper_set_seed = bridge.wrapper_set_seed  # type: ignore[attr-defined]


def _nothing(*_: Any, **__: Any) -> None:
    pass


def run(name: str, infos: list[Any], cap: int = 24, facets: tuple[str, ...] = FACETS) -> Outcome:
    """Compare all variants of one name."""
    prepare()
    outcome = Outcome(name)
    start = time.perf_counter()
    if all(implementation(info) is None for info in infos):
        outcome.present = False
        return outcome
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for info in infos:
            try:
                _Entry(info, outcome, cap, start + OP_SECONDS).run(facets)
            except Absent:
                outcome.present = False
                break
            except Late:
                outcome.cut = True
                break
            finally:
                framework.set_grad_enabled(True)
                framework.set_default_dtype(framework.float32)
                torch.set_default_dtype(torch.float32)
    outcome.seconds = time.perf_counter() - start
    return outcome


class _Entry:
    """One variant of one name."""

    def __init__(self, info: Any, outcome: Outcome, cap: int, deadline: float) -> None:
        self.info, self.outcome, self.cap, self.deadline = info, outcome, cap, deadline
        self.call = implementation(info)
        self.random: bool | None = None

    def run(self, facets: tuple[str, ...]) -> None:
        info = self.info
        if self.call is None:
            self.fail("value", "", 0, "", "no such function (this variant)")
            return
        mine = [d for d in DTYPES if d in info.dtypes]
        if self.cap < WHOLE:
            mine = [d for d in mine if d in QUICK] or mine[:1]
        if "value" in facets or "dtype" in facets:
            for k, dtype in enumerate(mine):
                self.values(dtype, self.cap if k == 0 else max(self.cap // 3, 4))
        if info.supports_autograd and "grad" in facets:
            for dtype in (torch.float64, torch.complex128):
                if dtype in info.supported_backward_dtypes("cpu"):
                    self.gradients(dtype, second="gradgrad" in facets)
        if "inplace" in facets:
            for dtype in (torch.float64, torch.float32, torch.int64, torch.bool, torch.complex64):
                if dtype in info.dtypes:
                    self.in_place(dtype)
        if info.supports_out and "out" in facets:
            self.out()
        if "error" in facets:
            self.errors()
        if "method" in facets:
            self.methods()

    # -- helpers ----------------------------------------------------------------------------------

    def fail(self, facet: str, dtype: Any, index: int, args: str, text: str) -> None:
        kind = str(dtype).removeprefix("torch.")
        self.outcome.failures.append(
            Failure(facet, self.info.variant_test_name, kind, index, args, text)
        )

    def skip(self, reason: str) -> None:
        self.outcome.skipped[reason] = self.outcome.skipped.get(reason, 0) + 1

    def samples(self, dtype: Any, cap: int, requires_grad: bool) -> Iterator[tuple[int, Any]]:
        """At most ``cap`` of the entry's samples, spread evenly, the same in every run."""
        reseed()
        if time.perf_counter() > self.deadline:
            self.outcome.cut = True
            return
        try:
            with alarm(OP_SECONDS):
                made = self.info.sample_inputs("cpu", dtype, requires_grad=requires_grad)
                # Making all of them is most of the time of a capped run.
                found = list(made if self.cap >= WHOLE else itertools.islice(made, 8 * cap))
        except Late:
            self.outcome.cut = True
            return
        except Exception as error:
            self.skip(f"PyTorch makes no samples: {short(error)}")
            return
        count = min(cap, len(found))
        chosen = sorted({round(k * (len(found) - 1) / max(count - 1, 1)) for k in range(count)})
        for index in chosen:
            if time.perf_counter() > self.deadline:
                self.outcome.cut = True
                return
            yield index, found[index]

    def compute(self, f: Callable[..., Any], *args: Any, **options: Any) -> Any:
        with alarm(SAMPLE_SECONDS):
            return f(*args, **options)

    def attempt(self, facet: str, dtype: Any, index: int, sample: Any, f: Any) -> None:
        """Run one comparison: ``f()`` returns what differs, or nothing."""
        try:
            text = f()
        except Unsupported as error:
            self.skip(f"not in scope: {error}")
            return
        except Absent:
            raise
        except Late:
            text = f"took longer than {SAMPLE_SECONDS:.0f} s"
        except _Theirs as error:
            self.skip(f"PyTorch raises: {short(error.args[0])}")
            return
        except Exception as error:
            text = f"raised {short(error)}"
        self.outcome.checks[facet] += 1
        if text:
            self.fail(facet, dtype, index, arguments(sample), text)

    def referee(self, f: Callable[..., Any], *args: Any, **options: Any) -> Any:
        try:
            return f(*args, **options)
        except Exception as error:
            raise _Theirs(error) from error

    def tolerances(self, dtype: Any) -> tuple[float, float]:
        """rtol and atol: PyTorch's defaults, or what the entry's own tests allow on a CPU."""
        rtol, atol = TOLERANCES.get(dtype, (0.0, 0.0))
        for d in self.info.decorators:
            # PyTorch's Bessel functions are right to 1e-6 in float64, and nothing wider can tell.
            if isinstance(d, precisionOverride) and dtype is torch.float64:
                atol = max(atol, d.d.get(dtype, 0.0))
            for inner in getattr(d, "decorators", ()):
                if isinstance(inner, toleranceOverride) and d.device_type in (None, "cpu"):
                    found = inner.d.get(dtype)
                    if found is not None:
                        rtol, atol = max(rtol, found.rtol), max(atol, found.atol)
        return rtol, atol

    def varies(self, sample: Any, expected: Any) -> bool:
        """Whether PyTorch's result depends on the seed (dropout with p=0 draws and does not)."""
        for seed in range(2, 8):
            reseed(seed)
            again = self.referee(self.info.op, *copied(sample.input, sample.args), **sample.kwargs)
            if difference(again, expected, 0.0, 0.0):
                return True
        return False

    # -- value, dtype -----------------------------------------------------------------------------

    def values(self, dtype: Any, cap: int) -> None:
        first = True
        for index, sample in self.samples(dtype, cap, False):
            self.attempt(
                "value", dtype, index, sample, lambda s=sample, i=index: self.value(s, dtype, i)
            )
            if first and self.info.name not in STRIDES and dtype in (torch.float32, torch.int64):
                with contextlib.suppress(Exception):
                    gappy = sample.noncontiguous()
                    self.attempt(
                        "value", dtype, index, gappy,
                        lambda s=gappy, i=index: self.value(s, dtype, i),
                    )  # fmt: skip
            first = False

    def value(self, sample: Any, dtype: Any, index: int) -> str:
        args, options = ours(((sample.input, *sample.args), sample.kwargs))
        reseed(1)
        state = torch.get_rng_state()
        expected = self.referee(self.info.op, *copied(sample.input, sample.args), **sample.kwargs)
        strange = {t.dtype for t in flat(expected)} - DTYPES.keys()
        if strange:
            raise Unsupported(f"a result of {strange.pop()}")
        drawn = not torch.equal(state, torch.get_rng_state()) and self.varies(sample, expected)
        got = self.compute(self.call, *args, **options)
        converted = theirs(got)
        self.outcome.checks["dtype"] += 1
        kinds = dtypes_of(converted), dtypes_of(expected)
        if kinds[0] != kinds[1]:
            self.fail("dtype", dtype, index, arguments(sample), f"{kinds[0]}, not {kinds[1]}")
        text = shape_difference(converted, expected)
        if text or drawn or self.info.name in UNWRITTEN or self.info.has_nondeterministic_output:
            return text
        rtol, atol = self.tolerances(dtype)
        if self.info.name in TIES:
            converted, expected = (
                gathered(self.info.name, sample, v) for v in (converted, expected)
            )
        text = difference(converted, expected, rtol, atol)
        if not text:
            return ""
        # Not unique (signs of eigenvectors, ...): what PyTorch's own tests look at.
        both = [processed(sample, v) for v in (converted, expected)]
        if None not in both and not difference(*both, rtol, atol):
            return ""
        if no_less_accurate(self.info, sample, dtype, converted, expected):
            return ""
        return text

    # -- gradients --------------------------------------------------------------------------------

    def gradients(self, dtype: Any, second: bool) -> None:
        cap = self.cap if dtype is torch.float64 else max(self.cap // 2, 4)
        for index, sample in self.samples(dtype, cap, True):
            pair = _GradPair(self, sample)
            self.attempt("grad", dtype, index, sample, pair.first)
            if second and dtype is torch.float64 and self.info.supports_gradgrad and pair.ready:
                self.attempt("gradgrad", dtype, index, sample, pair.second)

    # -- in place, out, errors, methods -----------------------------------------------------------

    def in_place(self, dtype: Any) -> None:
        variant = self.info.inplace_variant
        if variant is None:
            return
        mine = _twin(variant)
        for index, sample in self.samples(dtype, max(self.cap // 2, 4), False):
            if not isinstance(sample.input, torch.Tensor) or overlaps(sample.input):
                continue
            if sample.broadcasts_input and self.info.name == "addbmm":
                continue  # PyTorch resizes the tensor that is written to: nothing to imitate
            self.attempt(
                "inplace", dtype, index, sample,
                lambda s=sample: self.one_in_place(variant, mine, s, dtype),
            )  # fmt: skip

    def one_in_place(self, variant: Any, mine: Any, sample: Any, dtype: Any) -> str:
        if mine is None:
            return f"no {variant.__name__}"
        args, options = ours(((sample.input, *sample.args), sample.kwargs))
        target, *rest = copied(sample.input, sample.args)
        error: Any = None
        reseed(1)
        state = torch.get_rng_state()
        try:
            variant(target, *rest, **sample.kwargs)
        except Exception as raised:
            error = raised
        drawn = not torch.equal(state, torch.get_rng_state())
        try:
            result = self.compute(mine, *args, **options)
        except Absent as absent:
            return str(absent)
        except Exception as raised:
            return "" if error is not None else f"raised {short(raised)}"
        if error is not None:
            return f"did not raise {short(error)}"
        if result is not args[0]:
            return "did not return its argument"
        after = theirs(args[0])
        text = shape_difference(after, target)
        if not text and after.dtype != target.dtype:
            text = f"{after.dtype}, not {target.dtype}"
        if text or drawn or self.info.name in UNWRITTEN:
            return text
        rtol, atol = self.tolerances(dtype)
        return difference(after, target, rtol, atol)

    def out(self) -> None:
        dtype = next((d for d in (torch.float32, torch.complex64, torch.int64, torch.bool)
                      if d in self.info.dtypes), None)  # fmt: skip
        if dtype is None:
            return
        for index, sample in self.samples(dtype, 4, False):
            if self.info.is_factory_function or sample.kwargs.get("out") is not None:
                continue
            self.attempt("out", dtype, index, sample, lambda s=sample: self.one_out(s, dtype))

    def one_out(self, sample: Any, dtype: Any) -> str:
        expected = self.referee(self.info.op, *copied(sample.input, sample.args), **sample.kwargs)
        several = isinstance(expected, (tuple, list))
        tensors = list(expected) if several else [expected]
        if not all(isinstance(t, torch.Tensor) for t in tensors):
            return ""
        rtol, atol = self.tolerances(dtype)
        for how in ("matching", "empty", "narrow"):
            args, options = ours(((sample.input, *sample.args), sample.kwargs))
            outs = [_target(t, how) for t in tensors]
            if any(o is None for o in outs):
                continue
            mine = [ours(o.clone()) for o in outs]
            reseed(1)
            state = torch.get_rng_state()
            error = None
            try:
                inputs = copied(sample.input, sample.args)
                self.info.op(*inputs, **sample.kwargs, out=tuple(outs) if several else outs[0])
            except Exception as raised:
                error = raised
            drawn = not torch.equal(state, torch.get_rng_state())
            if error is not None and how != "narrow":
                raise _Theirs(error)
            try:
                got = self.compute(
                    self.call, *args, **options, out=tuple(mine) if several else mine[0]
                )
            except Absent:
                raise
            except Exception as raised:
                if error is None:
                    return f"{how} out: raised {short(raised)}"
                continue
            if error is not None:
                return f"{how} out: did not raise {short(error)}"
            if not several and got is not mine[0]:
                return f"{how} out: did not return it"
            if drawn or self.info.name in UNWRITTEN:
                continue
            after = [theirs(o) for o in mine]
            text = shape_difference(after, outs) or difference(after, outs, rtol, atol)
            if text:
                both = [processed(sample, v if several else v[0]) for v in (after, outs)]
                if None not in both and not difference(*both, rtol, atol):
                    continue
                return f"{how} out: {text}"
        return ""

    def errors(self) -> None:
        reseed()
        if self.info.error_inputs_func is None:
            return
        try:
            cases = list(self.info.error_inputs("cpu"))
        except Exception as error:
            self.skip(f"PyTorch makes no error inputs: {short(error)}")
            return
        for index, case in enumerate(cases):
            if time.perf_counter() > self.deadline:
                self.outcome.cut = True
                return
            sample = case.sample_input
            self.attempt("error", "", index, sample, lambda c=case: self.one_error(c))

    def one_error(self, case: Any) -> str:
        sample = case.sample_input
        args, options = ours(((sample.input, *sample.args), sample.kwargs))
        try:
            self.info.op(sample.input, *sample.args, **sample.kwargs)
        except Exception as raised:
            error = raised
        else:
            raise _Theirs(RuntimeError("nothing"))
        try:
            self.compute(self.call, *args, **options)
        except Absent:
            raise
        except Exception as raised:
            if not same_kind(raised, error):
                return f"raised {short(raised)}, not {short(error)}"
            if not re.search(case.error_regex, str(raised)):
                self.outcome.wording += 1
            return ""
        return f"did not raise {short(error)}"

    def methods(self) -> None:
        variant = self.info.method_variant
        if variant is None:
            return
        mine = _twin(variant)
        dtype = next((d for d in DTYPES if d in self.info.dtypes), None)
        for index, sample in self.samples(dtype, 4, False):
            if isinstance(sample.input, torch.Tensor):
                self.attempt(
                    "method", dtype, index, sample,
                    lambda s=sample: self.one_method(variant, mine, s, dtype),
                )  # fmt: skip

    def one_method(self, variant: Any, mine: Any, sample: Any, dtype: Any) -> str:
        args, options = ours(((sample.input, *sample.args), sample.kwargs))
        reseed(1)
        state = torch.get_rng_state()
        expected = self.referee(variant, *copied(sample.input, sample.args), **sample.kwargs)
        drawn = not torch.equal(state, torch.get_rng_state())
        if mine is None:
            return "no such method"
        try:
            converted = theirs(self.compute(mine, *args, **options))
        except Absent as absent:
            return str(absent)
        text = shape_difference(converted, expected)
        if text or drawn or self.info.name in UNWRITTEN:
            return text
        rtol, atol = self.tolerances(dtype)
        text = difference(converted, expected, rtol, atol)
        if text and no_less_accurate(self.info, sample, dtype, converted, expected):
            return ""
        return text


class _Theirs(Exception):
    """PyTorch itself refuses the sample."""


class _GradPair:
    """The same sample differentiated once and twice by both."""

    def __init__(self, entry: _Entry, sample: Any) -> None:
        self.entry, self.sample = entry, sample
        self.ready = False

    def first(self) -> str:
        entry, sample = self.entry, self.sample
        mine = ours((sample.input, sample.args, sample.kwargs))
        self.inputs = wanting((sample.input, sample.args, sample.kwargs))
        self.mine = wanting(mine)
        # A view taken without grad mode says that it requires a gradient, and never gets one.
        alive = [not (t._is_view() and t.is_leaf) for t in self.inputs]
        self.inputs = [t for t, a in zip(self.inputs, alive) if a]
        self.mine = [t for t, a in zip(self.mine, alive) if a]
        reseed(1)
        state = torch.get_rng_state()
        try:
            with alarm(SAMPLE_SECONDS):
                raw = entry.info.op(sample.input, *sample.args, **sample.kwargs)
                outs = flat(sample.output_process_fn_grad(raw))
        except (Exception, Late) as error:
            raise _Theirs(error) from None
        if not torch.equal(state, torch.get_rng_state()) and entry.varies(sample, raw):
            return self._random(mine, outs)
        differentiable = [o.requires_grad for o in outs]
        process = sample.output_process_fn_grad
        my_process = rebound(process)
        with alarm(SAMPLE_SECONDS):
            my_outs = flat(my_process(entry.call(mine[0], *mine[1], **mine[2])))
        if len(my_outs) != len(outs):
            return f"{len(my_outs)} tensors, not {len(outs)}"
        for k, (m, t) in enumerate(zip(my_outs, outs)):
            if m.requires_grad != t.requires_grad:
                return f"output {k}: requires_grad is {m.requires_grad}, not {t.requires_grad}"
        outs = [o for o, d in zip(outs, differentiable) if d]
        my_outs = [o for o, d in zip(my_outs, differentiable) if d]
        if not outs:
            return ""
        torch.manual_seed(3)
        cotangents = [random_like(o).requires_grad_() for o in outs]
        my_cotangents = [ours(c) for c in cotangents]
        twice = bool(entry.info.supports_gradgrad)
        try:
            grads = torch.autograd.grad(
                outs, self.inputs, cotangents, create_graph=twice, allow_unused=True
            )
        except Exception as error:
            raise _Theirs(error) from error
        with alarm(SAMPLE_SECONDS):
            my_grads = framework.autograd.grad(
                my_outs, self.mine, my_cotangents, create_graph=twice, allow_unused=True
            )
        text = gradient_difference(my_grads, grads, self.inputs, entry.info, "gradient")
        self.grads, self.my_grads = grads, my_grads
        self.cotangents, self.my_cotangents = cotangents, my_cotangents
        self.ready = not text
        return text

    def _random(self, mine: Any, outs: list[Any]) -> str:
        """Only that a gradient exists where PyTorch has one."""
        my_outs = flat(self.entry.compute(self.entry.call, mine[0], *mine[1], **mine[2]))
        for k, (m, t) in enumerate(zip(my_outs, outs)):
            if m.requires_grad != t.requires_grad:
                return f"output {k}: requires_grad is {m.requires_grad}, not {t.requires_grad}"
        wanted = [o for o in my_outs if o.requires_grad]
        if wanted:
            total = sum((o.abs().sum() for o in wanted), framework.zeros(()))
            framework.autograd.grad(total, self.mine, allow_unused=True)
        return ""

    def second(self) -> str:
        chosen = [k for k, g in enumerate(self.grads) if g is not None and g.requires_grad]
        if not chosen:
            return ""
        torch.manual_seed(4)
        weights = [random_like(self.grads[k]) for k in chosen]
        wanted = [*self.inputs, *self.cotangents]
        try:
            expected = torch.autograd.grad(
                [self.grads[k] for k in chosen], wanted, weights, allow_unused=True
            )
        except Exception as error:
            raise _Theirs(error) from error
        mine = [self.my_grads[k] for k in chosen]
        lacking = [k for k, g in zip(chosen, mine) if g is None or not g.requires_grad]
        if lacking:
            return f"gradient {lacking[0]} has no history"
        with alarm(SAMPLE_SECONDS):
            got = framework.autograd.grad(
                mine, [*self.mine, *self.my_cotangents], [ours(w) for w in weights],
                allow_unused=True,
            )  # fmt: skip
        for k, (g, e) in enumerate(zip(got, expected)):
            if g is None and e is not None:  # which is more than a gradient of zero: it was used
                return f"second gradient {k}: None, not a tensor"
        return gradient_difference(got, expected, wanted, self.entry.info, "second gradient")


# -- small things ---------------------------------------------------------------------------------


def _target(t: torch.Tensor, how: str) -> torch.Tensor | None:
    """A tensor to give as ``out``."""
    if how == "matching":
        return torch.zeros(t.shape, dtype=t.dtype)
    if how == "empty":
        return torch.zeros((0,), dtype=t.dtype)
    if t.dtype.is_floating_point or t.dtype.is_complex:
        return torch.zeros(t.shape, dtype=torch.int64)
    return None


def _twin(variant: Any) -> Any:
    """Our method for PyTorch's method or in-place variant."""
    name = getattr(variant, "__name__", "")
    if name and name != "<lambda>":
        return getattr(framework.Tensor, name, None)
    return _Rebound(rebound(variant), variant)


# -- the suite -------------------------------------------------------------------------------------

SHOWN = 3  # failing samples of one name and facet that are printed
WHOLE = 24  # samples for each dtype and facet from which on a run is complete


def main(options: Any) -> int:
    """Compare every name (or ``options.op``); print what surprises, and the score."""
    table = entries()
    unknown = [name for name in options.op if name not in table]
    if unknown:
        print(f"not in op_db: {', '.join(unknown)}")
        return 2
    facets = tuple(options.facet) or FACETS
    known = expected.load("op_db")
    start = time.perf_counter()
    outcomes = []
    for name in options.op or sorted(table):
        outcome = run(name, table[name], options.cap, facets)
        outcomes.append(outcome)
        surprising = set(outcome.failing()) - set(known.get(name, {}).get("facets", ()))
        if options.op or options.list_failures or surprising:
            _tell(outcome, every=options.list_failures)
    _score(outcomes, time.perf_counter() - start)
    failing = {o.name: o.failing() for o in outcomes}
    if options.write_expected:
        expected.write("op_db", failing, {o.name: _guess(o) for o in outcomes})
        return 0
    complete = {
        o.name for o in outcomes if not o.cut and options.cap >= WHOLE and not options.facet
    }
    lines = expected.judge("op_db", failing, complete)
    print(*lines, sep="\n", end="\n" if lines else "")
    return 1 if lines else 0


def _score(outcomes: list[Outcome], seconds: float) -> None:
    right = sum(o.right for o in outcomes)
    absent = sum(not o.present for o in outcomes)
    wrong = sum(o.status("grad") == "wrong" for o in outcomes)
    print(
        f"op_db: {right} of {len(outcomes)} names right, {absent} absent, "
        f"{len(outcomes) - right - absent} wrong, {wrong} with a wrong gradient ({seconds:.0f} s)"
    )
    for facet in FACETS:
        count = Counter(o.status(facet) for o in outcomes)
        print(f"  {facet:9} " + ", ".join(f"{n} {s}" for s, n in sorted(count.items())))
    wording = sum(o.wording for o in outcomes)
    print(f"  {wording} error inputs raise the right kind in other words")


def _guess(outcome: Outcome) -> str:
    """A reason for an entry that nobody explained yet."""
    name = outcome.name
    if name in CUDA_ONLY:
        return "CUDA only: compiles CUDA source"
    if not outcome.present:
        internal = "aten." in name or name.removeprefix("torch.").startswith("_")
        return "an internal name of ATen, not public" if internal else "not built yet"
    return outcome.failures[0].text[:120] if outcome.failures else expected.UNEXPLAINED


def _tell(outcome: Outcome, every: bool) -> None:
    """One line for the name, then the failing samples."""
    if not outcome.present:
        print(f"{outcome.name}: absent")
        return
    states = " ".join(f"{f}={outcome.status(f)}" for f in FACETS if outcome.checks[f])
    cut = " (cut short)" if outcome.cut else ""
    wording = f", {outcome.wording} errors in other words" if outcome.wording else ""
    print(f"{outcome.name}: {states} [{outcome.seconds:.1f} s]{cut}{wording}")
    shown: Counter[str] = Counter()
    for failure in outcome.failures:
        shown[failure.facet] += 1
        if every or shown[failure.facet] <= SHOWN:
            print(f"    {failure}")
    for facet, n in shown.items():
        if not every and n > SHOWN:
            print(f"    {facet}: {n - SHOWN} more (--list-failures)")
