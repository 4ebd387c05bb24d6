"""Forward mode, `vmap` and `func` on PyTorch's op_db, and a table of programs; PyTorch referees.

Facets of a name of op_db:

    jvp        forward mode along random tangents
    fwrev      forward mode over reverse mode
    vmap       a batch of variants of a sample, mapped over dimension 0 of every tensor
    mixed      some of the tensors unbatched, others mapped over dimension -1 or 1
    persample  gradients inside of vmap, and gradients of what vmap returns
    vmapjvp    forward mode inside of vmap
    random     ops that draw numbers: who refuses, and which samples are alike

What vmap has to give is what PyTorch gives sample by sample; where that cannot be (results of
several shapes, values that Python looks at) both have to refuse. The programs are in
`transform_programs`: each is one name with the facet "program".
"""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

import framework
from tests.conformance import autograd_programs, expected, transform_programs  # noqa: F401
from tests.conformance.bridge import Unsupported, ours, rebound, theirs, wrapper_set_seed
from tests.conformance.comparing import (
    arguments,
    difference,
    flat,
    gradient_difference,
    random_like,
    shape_difference,
    short,
)
from tests.conformance.op_db import (
    CUDA_ONLY,
    STRIDES,
    UNWRITTEN,
    Late,
    alarm,
    entries,
    implementation,
    prepare,
    reseed,
)

__all__ = ["FACETS", "main"]

FACETS = ("jvp", "fwrev", "vmap", "mixed", "persample", "vmapjvp", "random", "program")

SECONDS = 20.0  # for one check
SCALES = (1.0, 0.95, 0.9)  # of the floating-point tensors of the variants of a sample
QUICK_STEP = 9  # of the names, a quick run takes each so many-th
ELEMENTS = 4000  # of all tensors of a sample: larger ones take long and show nothing new

Call = Callable[..., tuple[Any, ...]]


class _Skip(Exception):
    """PyTorch itself cannot do it, or there is nothing to compare."""


class _Side:
    """One library, and a sample as a function of tensors of it."""

    def __init__(self, library: Any, call: Any, process: Any, sample: Any) -> None:
        self.library, self.call, self.process, self.sample = library, call, process, sample

    def function(self, tensors: list[Any]) -> Call:
        """The op as a function of what takes the places of ``tensors``; returns tensors only."""
        sample = self.sample

        def run(*given: Any) -> tuple[Any, ...]:
            seen = {id(t): (g, t) for t, g in zip(tensors, given)}
            parts = (sample.input, sample.args, sample.kwargs)
            first, args, options = (
                ours(parts, seen) if self.library is framework else _put(parts, seen)
            )
            return tuple(flat(self.process(self.call(first, *args, **options))))

        return run


def _put(value: Any, seen: dict[int, Any]) -> Any:
    """``value`` with some of its tensors replaced."""
    if isinstance(value, torch.Tensor):
        return seen[id(value)][0] if id(value) in seen else value
    if isinstance(value, (tuple, list)):
        items = [_put(v, seen) for v in value]
        return items if isinstance(value, list) else (
            type(value)(*items) if hasattr(value, "_fields") else
            value if isinstance(value, torch.Size) else tuple(items)
        )  # fmt: skip
    if isinstance(value, dict):
        return {k: _put(v, seen) for k, v in value.items()}
    return value


def _distinct(value: Any) -> list[Any]:
    """The tensors of a sample, each once."""
    return list({id(t): t for t in flat(value)}.values())


def _floats(outs: Any) -> tuple[Any, ...]:
    return tuple([o for o in outs if o.is_floating_point() or o.is_complex()])


class _Checks:
    """The checks of one sample."""

    def __init__(self, info: Any, sample: Any) -> None:
        self.info, self.sample = info, sample
        parts = (sample.input, sample.args, sample.kwargs)
        self.tensors = _distinct(parts)
        process, wrapper = sample.output_process_fn_grad, info.gradcheck_wrapper
        if wrapper.__name__ == "wrapper_set_seed":
            wrapper = wrapper_set_seed  # ours, which does not hide that numbers are drawn
        self.other = _Side(torch, partial(wrapper, info.op), process, sample)
        mine = partial(rebound(wrapper), implementation(info))
        self.mine = _Side(framework, mine, rebound(process), sample)
        self.kinds = [
            k for k, t in enumerate(self.tensors) if t.is_floating_point() or t.is_complex()
        ]
        reseed(1)
        state = torch.get_rng_state()
        self.outs = _referee(self.other.function(self.tensors), *self._copies())
        _referee(self.mine.function(self.tensors), *ours(self._copies()))  # op_db's business
        self.random = not torch.equal(state, torch.get_rng_state())

    def _copies(self) -> list[Any]:
        return [t.detach().clone() for t in self.tensors]

    def facets(self) -> Iterator[tuple[str, Callable[[], str]]]:
        info = self.info
        floats = bool(self.kinds) and bool(_floats(self.outs))
        if self.random:
            if self.tensors:
                yield "random", self.randomness
            return
        if floats and info.supports_forward_ad:
            yield "jvp", self.jvp
            known = not any(self.tensors[k].isnan().any() for k in self.kinds)
            if info.supports_fwgrad_bwgrad and known:  # NaN that a weight of 0 hides comes and goes
                yield "fwrev", self.forward_over_reverse
        if not self.tensors or not self.outs or info.name in UNWRITTEN:
            return
        yield "vmap", self.vmap
        if info.name not in STRIDES:
            yield "mixed", self.mixed
        if floats and info.supports_autograd:
            yield "persample", self.per_sample
        if floats and info.supports_forward_ad:
            yield "vmapjvp", self.vmap_of_jvp

    # -- forward mode -----------------------------------------------------------------------------

    def _differentiable(self, side: _Side) -> Call:
        """A function of the floating-point tensors that gives the floating-point results."""
        run = side.function([self.tensors[k] for k in self.kinds])
        return lambda *given: _floats(run(*given))

    def _primals(self) -> list[Any]:
        return [self.tensors[k].detach().clone() for k in self.kinds]

    def jvp(self) -> str:
        torch.manual_seed(5)
        primals = self._primals()
        tangents = [random_like(p) for p in primals]
        want = _referee(
            torch.func.jvp, self._differentiable(self.other), tuple(primals), tuple(tangents)
        )
        got = framework.func.jvp(
            self._differentiable(self.mine), ours(tuple(primals)), ours(tuple(tangents))
        )
        return self._compare(got[1], want[1]) or _same_dtypes(got[1], want[1])

    def forward_over_reverse(self) -> str:
        torch.manual_seed(6)
        primals = self._primals()
        tangents = [random_like(p) for p in primals]
        weights = [random_like(o) for o in _floats(self.outs)]

        def gradient(library: Any, f: Call, cotangents: Any) -> Call:
            def run(*given: Any) -> Any:
                return library.func.vjp(f, *given)[1](cotangents)

            return run

        want = _referee(
            torch.func.jvp, gradient(torch, self._differentiable(self.other), tuple(weights)),
            tuple(primals), tuple(tangents),
        )  # fmt: skip
        got = framework.func.jvp(
            gradient(framework, self._differentiable(self.mine), ours(tuple(weights))),
            ours(tuple(primals)), ours(tuple(tangents)),
        )  # fmt: skip
        text = gradient_difference(got[1], want[1], primals, self.info, "tangent")
        return text or gradient_difference(got[0], want[0], primals, self.info, "gradient")

    # -- vmap -------------------------------------------------------------------------------------

    def _variants(self) -> list[list[Any]]:
        """The tensors of each sample of the batch."""
        made = [
            [_variant(t, k, scale) for t in self.tensors] for k, scale in enumerate(SCALES)
        ]  # fmt: skip
        run = self.other.function(self.tensors)
        try:
            for tensors in made:
                run(*[t.clone() for t in tensors])
        except Exception:  # indices that may not be turned round, ...
            return [
                [t * s if k in self.kinds else t for k, t in enumerate(self.tensors)]
                for s in SCALES
            ]  # fmt: skip
        return made

    def _stacks(self, variants: list[list[Any]], dims: list[Any]) -> list[Any]:
        return [
            variants[0][k].clone() if d is None else torch.stack([v[k] for v in variants], d)
            for k, d in enumerate(dims)
        ]  # fmt: skip

    def _each(self, variants: list[list[Any]], dims: list[Any]) -> list[list[Any]]:
        return [
            [(v[k] if d is not None else variants[0][k]).clone() for k, d in enumerate(dims)]
            for v in variants
        ]  # fmt: skip

    def _map(self, dims: list[Any]) -> str:
        variants = self._variants()
        run = self.other.function(self.tensors)
        rows = [_referee(run, *one) for one in self._each(variants, dims)]
        stacks = self._stacks(variants, dims)
        mapped = framework.vmap(self.mine.function(self.tensors), tuple(dims))
        want = _stacked(rows)
        try:
            got = mapped(*ours(stacks))
        except Unsupported:
            raise
        except Exception as error:
            if want is None or _raises(torch.vmap(run, tuple(dims)), *stacks):
                return ""
            return f"in_dims {dims}: raised {short(error)}"
        if want is None:
            return f"in_dims {dims}: did not refuse results of several shapes"
        if self.info.has_nondeterministic_output:
            return shape_difference(theirs(got), want)
        text = self._compare(got, want) or _same_dtypes(got, want)
        return f"in_dims {dims}: {text}" if text else ""

    def vmap(self) -> str:
        return self._map([0] * len(self.tensors))

    def mixed(self) -> str:
        """The last dimension is mapped; then each of the first tensors is the same for all."""
        count = len(self.tensors)
        text = self._map([-1] * count)
        if count > 1:
            inner = [1 if t.ndim else 0 for t in self.tensors]
            for k in range(min(count, 3)):
                text = text or self._map([None if i == k else d for i, d in enumerate(inner)])
        return text

    def per_sample(self) -> str:
        """Inside and outside: vmap of the gradient, and the gradient of vmap."""
        torch.manual_seed(7)
        variants = self._variants()
        dims = [0] * len(self.tensors)
        kinds = self.kinds
        each = self._each(variants, dims)
        run = self.other.function(self.tensors)
        rows, weights = [], []
        for one in each:
            leaves = [one[k].requires_grad_() for k in kinds]
            outs = [o for o in _floats(_referee(run, *one)) if o.requires_grad]
            if not outs:
                raise _Skip("no gradient")
            weights.append([random_like(o) for o in outs])
            found = _referee(torch.autograd.grad, outs, leaves, weights[-1], allow_unused=True)
            rows.append([torch.zeros_like(p) if g is None else g for g, p in zip(found, leaves)])
        want = [torch.stack(column) for column in zip(*rows)]
        stacks = self._stacks([[t.detach() for t in one] for one in each], dims)
        if len({tuple(w.shape for w in some) for some in weights}) > 1:
            raise _Skip("results of several shapes")
        cotangents = [torch.stack(column) for column in zip(*weights)]
        try:
            got = self._inside(self.mine, ours(stacks), ours(cotangents))
            whole = self._outside(self.mine, ours(stacks), ours(cotangents))
        except Unsupported:
            raise
        except Exception as error:
            if _raises(self._inside, self.other, stacks, cotangents) or _raises(
                self._outside, self.other, stacks, cotangents
            ):
                return ""
            return f"raised {short(error)}"
        inputs = [stacks[k] for k in kinds]
        return gradient_difference(got, want, inputs, self.info, "per sample") or (
            gradient_difference(whole, want, inputs, self.info, "of vmap")
        )

    def _inside(self, side: _Side, tensors: Any, cotangents: Any) -> Any:
        """vmap of the gradient."""
        run = side.function(self.tensors)

        def gradient(tensors: Any, cots: Any) -> Any:
            def inner(*leaves: Any) -> Any:
                given = list(tensors)
                for k, leaf in zip(self.kinds, leaves):
                    given[k] = leaf
                return tuple([o for o in _floats(run(*given)) if o.requires_grad])

            return side.library.func.vjp(inner, *[tensors[k] for k in self.kinds])[1](tuple(cots))

        return side.library.vmap(gradient)(tensors, cotangents)

    def _outside(self, side: _Side, tensors: Any, cotangents: Any) -> Any:
        """The gradient of vmap."""
        leaves = [t.clone() for t in tensors]
        for k in self.kinds:
            leaves[k].requires_grad_()
        run = side.library.vmap(side.function(self.tensors))
        outs = [o for o in _floats(run(*leaves)) if o.requires_grad]
        return side.library.autograd.grad(
            outs, [leaves[k] for k in self.kinds], cotangents, allow_unused=True
        )

    def vmap_of_jvp(self) -> str:
        torch.manual_seed(8)
        kinds = self.kinds
        variants = [[t.detach() for t in one] for one in self._variants()]
        tangents = [[random_like(one[k]) for k in kinds] for one in variants]

        def derivative(library: Any, run: Call) -> Callable[..., Any]:
            def both(tensors: Any, along: Any) -> Any:
                def inner(*leaves: Any) -> Any:
                    given = list(tensors)
                    for k, leaf in zip(kinds, leaves):
                        given[k] = leaf
                    return _floats(run(*given))

                return library.func.jvp(inner, tuple([tensors[k] for k in kinds]), tuple(along))[1]

            return both

        other = derivative(torch, self.other.function(self.tensors))
        rows = [
            _referee(other, [t.clone() for t in one], along)
            for one, along in zip(variants, tangents)
        ]
        want = _stacked(rows)
        stacks = [torch.stack(column) for column in zip(*variants)]
        along = [torch.stack(column) for column in zip(*tangents)]
        mine = derivative(framework, self.mine.function(self.tensors))
        try:
            got = framework.vmap(mine)(ours(stacks), ours(along))
        except Unsupported:
            raise
        except Exception as error:
            if want is None or _raises(torch.vmap(self.other.function(self.tensors)), *stacks):
                return ""
            return f"raised {short(error)}"
        return "" if want is None else self._compare(got, want)

    def randomness(self) -> str:
        """With "error" both refuse or neither; with "same" and "different" as many are alike."""
        dims = tuple([0] * len(self.tensors))
        stacks = [torch.stack([t] * len(SCALES)) for t in self.tensors]
        for mode in ("error", "different", "same"):
            reseed(2)
            try:
                want: Any = torch.vmap(
                    self.other.function(self.tensors), dims, randomness=mode
                )(*[s.clone() for s in stacks])  # fmt: skip
            except Exception:
                want = None
            reseed(2)
            try:
                got = framework.vmap(
                    self.mine.function(self.tensors), dims, randomness=mode
                )(*ours(stacks))  # fmt: skip
            except Unsupported:
                raise
            except Exception as error:
                if want is not None:
                    return f"randomness={mode}: raised {short(error)}"
                continue
            if want is None:
                if mode == "error":
                    return "randomness=error: did not refuse"
                continue  # PyTorch has no rule for it
            converted = theirs(got)
            text = shape_difference(converted, want)
            if not text and max(o.numel() for o in want) > 60:  # few numbers may agree by chance
                wrong = any(
                    _differs(m if mode == "same" else o)
                    and not _differs(o if mode == "same" else m)
                    for m, o in zip(converted, want)
                )
                text = "samples are not alike" if mode == "same" else "samples are alike"
                text = text if wrong else ""
            if text:
                return f"randomness={mode}: {text}"
        return ""

    def _compare(self, got: Any, want: Any) -> str:
        converted = [t.resolve_conj() for t in map(theirs, got)]
        text = shape_difference(converted, list(want))
        return text or difference(converted, list(want), 1e-5, 1e-6)


def _variant(t: Any, number: int, scale: float) -> Any:
    """Another tensor of the same kind: floats are scaled, the rest turned round."""
    if t.is_floating_point() or t.is_complex():
        return t.detach() * scale
    return t.flip(0) if number == 1 and t.ndim else t.clone()


def _stacked(rows: list[Any]) -> list[Any] | None:
    """The results of all samples; None if their shapes differ."""
    columns = list(zip(*rows))
    if any(len({o.shape for o in column}) > 1 for column in columns):
        return None
    return [torch.stack([o.detach().resolve_conj() for o in column]) for column in columns]


def _differs(out: Any) -> bool:
    """Whether the samples of a batch are not all alike."""
    return not all(torch.equal(row.nan_to_num(), out[0].nan_to_num()) for row in out)


def _same_dtypes(got: Any, want: Any) -> str:
    kinds = [[str(t.dtype).rpartition(".")[2] for t in some] for some in (got, want)]
    return "" if kinds[0] == kinds[1] else f"{kinds[0]}, not {kinds[1]}"


def _referee(f: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What ``f`` returns; what it refuses need not be compared."""
    try:
        return f(*args, **options)
    except Exception as error:
        raise _Skip(short(error)) from error


def _raises(f: Callable[..., Any], *args: Any) -> bool:
    try:
        f(*args)
    except Exception:
        return True
    return False


# -- the suite ------------------------------------------------------------------------------------


def _samples(info: Any, dtype: Any, count: int) -> list[Any]:
    """Some of the entry's samples, spread evenly; dense ones of moderate size."""
    reseed()
    try:
        found = list(info.sample_inputs("cpu", dtype, requires_grad=False))
    except Exception:
        return []
    fitting = []
    for sample in found:
        tensors = _distinct((sample.input, sample.args, sample.kwargs))
        plain = all(t.layout is torch.strided for t in tensors)
        if plain and sum(t.numel() for t in tensors) <= ELEMENTS:
            fitting.append(sample)
    count = min(count, len(fitting))
    return [
        fitting[k]
        for k in sorted({round(i * (len(fitting) - 1) / max(count - 1, 1)) for i in range(count)})
    ]


def _entry(info: Any, count: int) -> Iterator[tuple[str, str, str]]:
    """Facet, sample and what is wrong (or nothing) of every check of an entry."""
    for dtype, number in ((torch.float64, count), (torch.complex128, max(count // 2, 1))):
        if dtype not in info.dtypes:
            continue
        for sample in _samples(info, dtype, number):
            try:
                checks = _Checks(info, sample)
            except (_Skip, Unsupported):
                continue
            for facet, check in checks.facets():
                try:
                    with alarm(SECONDS):
                        text = check()
                except (_Skip, Unsupported):
                    continue
                except Late:
                    text = f"took longer than {SECONDS:.0f} s"
                except Exception as error:
                    text = f"raised {short(error)}"
                yield facet, arguments(sample), text


def main(options: Any) -> int:
    """Run the suite; ``options.op`` names entries of op_db or programs."""
    prepare()
    start = time.perf_counter()
    known = expected.load("transforms")
    failing: dict[str, Counter[str]] = {}
    reasons: dict[str, str] = {}
    totals: Counter[str] = Counter()
    rights: Counter[str] = Counter()

    def note(name: str, facet: str, what: str, text: str) -> None:
        facets = failing.setdefault(name, Counter())
        totals[facet] += 1
        rights[facet] += not text
        if not text:
            return
        facets[facet] += 1
        reasons.setdefault(name, text[:120])
        news = options.op or facet not in known.get(name, {}).get("facets", ())
        if options.list_failures or (news and facets[facet] <= 2):
            print(f"{name}: {facet} ({what}): {text}", flush=True)

    table = entries()
    chosen = [n for n in sorted(table) if n not in CUDA_ONLY]
    if options.op:
        chosen = [n for n in chosen if n in options.op]
    elif options.quick:
        chosen = chosen[::QUICK_STEP]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in chosen:
            for info in table[name]:
                if implementation(info) is not None:
                    for facet, what, text in _entry(info, options.samples):
                        if not options.facet or facet in options.facet:
                            note(name, facet, what, text)
        for name, program in transform_programs.PROGRAMS.items():
            if not options.op or name in options.op:
                note(name, "program", "", transform_programs.check(program))
    print(
        f"transforms: {rights.total()} of {totals.total()} checks right "
        f"({time.perf_counter() - start:.0f} s)"
    )
    for facet in FACETS:
        if totals[facet]:
            print(f"  {facet:9} {rights[facet]} of {totals[facet]} right")
    found = {n: [f for f in FACETS if f in facets] for n, facets in failing.items()}
    if options.write_expected:
        expected.write("transforms", found, reasons)
        return 0
    part = options.quick or options.facet or options.samples < 4
    lines = expected.judge("transforms", found, set() if part else set(found))
    print(*lines, sep="\n", end="\n" if lines else "")
    return 1 if lines else 0
