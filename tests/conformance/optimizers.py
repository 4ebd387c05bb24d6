"""PyTorch's optimizer samples (optim_db), its schedulers and swa_utils, run on ours.

A *configuration* is an optimizer (or scheduler) with its arguments, an implementation flag, a dtype
and a set of parameters. Facets:

    construct  ours can be made (or refuses as theirs does); defaults and repr are the same
    steps      the parameters after each of ten steps, gradients being given
    state      state_dict after the steps: keys, shapes, dtypes, values
    resume     ours goes on from their state_dict, and theirs from ours
    gradient   differentiable=True: gradients through a step
    rates      a scheduler's learning rates (and momenta) over its steps, get_last_lr, state_dict
    average    swa_utils: averaged parameters and buffers
"""

from __future__ import annotations

import copy
import inspect
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.testing._internal import common_optimizers

import framework
from tests.conformance import expected
from tests.conformance.bridge import ours, theirs
from tests.conformance.comparing import difference, same_kind, short
from tests.conformance.optimizer_table import (
    AVERAGES,
    CLOSURES,
    EXTRA,
    SCHEDULER_ERRORS,
    SCHEDULERS,
    space,
)

__all__ = ["Case", "cases", "check", "main", "uncovered"]

FACETS = ("construct", "steps", "state", "resume", "gradient", "rates", "average")
STEPS = 10

_TOLERANCES = {
    torch.float64: (1e-9, 1e-11), torch.complex128: (1e-9, 1e-11), torch.float32: (2e-5, 2e-6),
    torch.bfloat16: (3e-2, 2e-2),
}  # fmt: skip


@dataclass
class Case:
    """One configuration; ``run`` returns pairs of a facet and what differs in it."""

    name: str
    text: str
    run: Callable[[], list[tuple[str, str]]]
    failures: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        return self.text


def cases() -> Iterator[Case]:
    """All configurations."""
    for info in common_optimizers.optim_db:
        yield from _of_optim_db(info)
    for name, options in EXTRA:
        for dtype in (torch.float64, torch.float32):
            yield _trajectory(name, options, dtype)
    for text, loss in CLOSURES:
        yield Case(_head(text), f"{text} on {loss}", lambda t=text, f=loss: closures(t, f))
    for text, made in SCHEDULERS:
        yield Case(_head(text), f"{text} on {made}", lambda t=text, m=made: rates(t, m))
    for text in SCHEDULER_ERRORS:
        yield Case(_head(text), text, lambda t=text: refused(t))
    for text in AVERAGES:
        yield Case("AveragedModel", text, lambda t=text: average(t))


def _head(text: str) -> str:
    return text.partition("(")[0]


# -- optimizers ------------------------------------------------------------------------------------


def _of_optim_db(info: Any) -> Iterator[Case]:
    name = info.name
    dtypes = [torch.float64, torch.float32]
    if info.supports_complex:
        dtypes.append(torch.complex128)
    for sample in info.optim_inputs_func(device="cpu"):
        for dtype in dtypes:
            yield _trajectory(name, sample.kwargs, dtype)
        if name == "LBFGS":
            continue
        yield _trajectory(name, sample.kwargs, torch.float64, groups=True)
        yield _trajectory(name, sample.kwargs, torch.float64, gaps=True)
        if info.supports_sparse:
            yield _trajectory(name, sample.kwargs, torch.float64, sparse=True)
        for flag in info.supported_impls:
            if flag != "fused" or "cpu" in info.supports_fused_on:
                options = {**sample.kwargs, flag: True}
                if flag == "differentiable":
                    yield Case(
                        name, f"{name}({_words(options)}) gradient",
                        lambda o=options: differentiated(name, o),
                    )  # fmt: skip
                else:
                    yield _trajectory(name, options, torch.float32)
    if info.optim_error_inputs_func is not None:
        for broken in info.optim_error_inputs_func(device="cpu", dtype=torch.float32):
            wrong = broken.optimizer_error_input
            yield Case(name, f"{name}({wrong.desc})", lambda w=wrong: misused(name, w))


def _words(options: dict[str, Any]) -> str:
    return ", ".join(f"{k}={v}" for k, v in options.items())


def _trajectory(
    name: str, options: dict[str, Any], dtype: Any, groups: bool = False, gaps: bool = False,
    sparse: bool = False,
) -> Case:  # fmt: skip
    more = " two groups" * groups + " gradients missing" * gaps + " sparse gradients" * sparse
    kind = str(dtype).removeprefix("torch.")
    text = f"{name}({_words(options)}) {kind}{more}"
    return Case(name, text, lambda: _Trajectory(name, options, dtype, groups, gaps, sparse).run())


class _Trajectory:
    """The same optimizer on both sides, fed with the same gradients."""

    def __init__(
        self, name: str, options: dict[str, Any], dtype: Any, groups: bool, gaps: bool,
        sparse: bool,
    ) -> None:  # fmt: skip
        self.name, self.options, self.dtype = name, options, dtype
        self.groups, self.gaps = groups, gaps
        self.tolerance = _TOLERANCES[dtype]
        if name == "Muon":  # orthogonalises in bfloat16
            self.tolerance = (1e-4, 1e-3)
        self.sparse = sparse or name == "SparseAdam"
        shapes = [(4, 3), (3, 5)] if name == "Muon" else [(4, 3), (5,), ()]
        if self.sparse:
            shapes = [(4, 3), (5,)]
        torch.manual_seed(0)
        self.start = [torch.randn(s, dtype=dtype) for s in shapes]
        self.found: list[tuple[str, str]] = []

    def run(self) -> list[tuple[str, str]]:
        other, mine = self.make(torch), self.make(framework)
        errors = [m if isinstance(m, Exception) else None for m in (mine, other)]
        if errors[0] is not None or errors[1] is not None:
            return _compared_errors(errors[0], errors[1])
        self.construct(mine[0], other[0])
        if not self.walk(mine, other, 0):
            return self.found
        if self.name != "LBFGS" or self.dtype is not torch.float32:  # it has digits of noise then
            self.state(mine[0], other[0])
        self.resume(mine, other)
        return self.found

    def make(self, package: Any) -> Any:
        """The optimizer and its parameters, or the exception."""
        convert: Any = ours if package is framework else copy.deepcopy
        params = [package.nn.Parameter(convert(p)) for p in self.start]
        given: Any = params
        if self.groups:
            given = [{"params": params[:1]}, {"params": params[1:], "lr": 0.05}]
        options = {k: convert(v) for k, v in self.options.items()}
        try:
            return getattr(package.optim, self.name)(given, **options), params
        except Exception as error:
            return error

    def construct(self, mine: Any, other: Any) -> None:
        defaults = theirs(dict(mine.defaults)), dict(other.defaults)
        if list(defaults[0]) != list(defaults[1]):
            self.found.append(
                ("construct", f"defaults {list(defaults[0])}, not {list(defaults[1])}")
            )
        elif text := _same(defaults[0], defaults[1], 0.0, 0.0):
            self.found.append(("construct", f"defaults: {text}"))
        elif repr(mine) != repr(other):
            self.found.append(("construct", f"{mine!r}, not {other!r}"))

    def gradient(self, k: int, step: int, p: Any) -> Any:
        if self.gaps and (step + k) % 3 == 0:
            return None
        torch.manual_seed(100 * step + k)
        g = torch.zeros_like(p) if self.gaps and step == 4 else torch.randn_like(p)
        if self.sparse:
            rows = torch.tensor([[0, 2]])
            return torch.sparse_coo_tensor(rows, g[[0, 2]], p.shape)
        return g

    def walk(self, mine: Any, other: Any, first: int) -> bool:
        for step in range(first, first + STEPS):
            for k, (m, o) in enumerate(zip(mine[1], other[1])):
                g = self.gradient(k, step, o.detach())
                o.grad = g
                m.grad = None if g is None else ours(g)
            errors = [
                _raised(side[0], self.closure(side[1], package))
                for side, package in ((mine, framework), (other, torch))
            ]
            if errors[0] is not None or errors[1] is not None:
                compared = _compared_errors(errors[0], errors[1])
                self.found += [("steps", text) for _, text in compared]
                return False
            for k, (m, o) in enumerate(zip(mine[1], other[1])):
                text = difference(theirs(m), o, *self.tolerance)
                if text:
                    self.found.append(("steps", f"step {step}, parameter {k}: {text}"))
                    return False
        return True

    def closure(self, params: Any, package: Any) -> Any:
        """LBFGS asks again and again: it gets a quadratic."""
        if self.name != "LBFGS":
            return None

        def again() -> Any:
            for p in params:
                p.grad = None
            total = sum(((p - 0.5) * (p - 0.5).conj()).real.sum() if p.is_complex()
                        else ((p - 0.5) ** 4).sum() for p in params)  # fmt: skip
            total.backward()
            return total

        return again

    def state(self, mine: Any, other: Any) -> None:
        text = _same(theirs(mine.state_dict()), other.state_dict(), *self.tolerance, exact=True)
        if text:
            self.found.append(("state", text))

    def resume(self, mine: Any, other: Any) -> None:
        """Fresh optimizers on both sides, each from the other's state."""
        states = _plain(other[0].state_dict()), theirs(mine[0].state_dict())
        fresh_mine, fresh_other = self.make(framework), self.make(torch)
        for fresh, old, convert in (
            (fresh_mine, other, ours), (fresh_other, other, copy.deepcopy)
        ):  # fmt: skip
            with framework.no_grad(), torch.no_grad():
                for p, q in zip(fresh[1], old[1]):
                    p.copy_(convert(q.detach()))
        try:
            fresh_mine[0].load_state_dict(ours(states[0]))
            fresh_other[0].load_state_dict(states[1])
        except Exception as error:
            self.found.append(("resume", f"raised {short(error)}"))
            return
        before = len(self.found)
        self.walk(fresh_mine, fresh_other, STEPS)
        self.found[before:] = [("resume", text) for _, text in self.found[before:]]


def _raised(optimizer: Any, closure: Any) -> Exception | None:
    try:
        optimizer.step() if closure is None else optimizer.step(closure)
    except Exception as error:
        return error
    return None


def _compared_errors(mine: Any, other: Any) -> list[tuple[str, str]]:
    if mine is None:
        return [("construct", f"did not raise {short(other)}")]
    if other is None:
        return [("construct", f"raised {short(mine)}")]
    if not same_kind(mine, other):
        return [("construct", f"raised {short(mine)}, not {short(other)}")]
    return []


def _plain(value: Any) -> Any:
    """State dicts hold defaultdicts and deques in places: plain containers travel."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value


def _same(mine: Any, other: Any, rtol: float, atol: float, exact: bool = False) -> str:
    """What differs between two structures; with ``exact`` dtypes too."""
    if isinstance(other, dict):
        if not isinstance(mine, dict) or set(mine) != set(other):
            return f"keys {sorted(map(str, mine))}, not {sorted(map(str, other))}"
        for k, v in other.items():
            if text := _same(mine[k], v, rtol, atol, exact):
                return f"{k}: {text}"
        return ""
    if isinstance(other, (list, tuple)) and isinstance(mine, (list, tuple)):
        if len(mine) != len(other):
            return f"{mine}, not {other}"
        for k, (m, o) in enumerate(zip(mine, other)):
            if text := _same(m, o, rtol, atol, exact):
                return f"{k}: {text}"
        return ""
    tensors = isinstance(other, torch.Tensor) and isinstance(mine, torch.Tensor)
    if exact and tensors and mine.dtype is not other.dtype:
        return f"{mine.dtype}, not {other.dtype}"
    if callable(other) and callable(mine):
        return ""
    return difference(mine, other, rtol, atol)


def misused(name: str, wrong: Any) -> list[tuple[str, str]]:
    """An error input of optim_db."""
    errors: list[Any] = []
    for package, convert in ((framework, _ours_params), (torch, lambda v: v)):
        params = convert(wrong.params)
        if params is None:
            params = [package.nn.Parameter(package.randn(2, 2))]
        options = {k: ours(v) if package is framework else v for k, v in wrong.kwargs.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                made = getattr(package.optim, name)(params, **options)
                for group in made.param_groups:
                    for p in group["params"]:
                        p.grad = package.ones_like(p)
                made.step(lambda package=package: package.ones(()))
                errors.append(None)
            except Exception as error:
                errors.append(error)
    return _compared_errors(*errors) if any(errors) else []


def _ours_params(value: Any, seen: dict[int, Any] | None = None) -> Any:
    """As `ours`, parameters staying parameters, and one object one object."""
    seen = {} if seen is None else seen
    if isinstance(value, torch.nn.Parameter):
        if id(value) not in seen:
            seen[id(value)] = framework.nn.Parameter(ours(value.detach()))
        return seen[id(value)]
    if isinstance(value, (list, tuple)):
        return type(value)([_ours_params(v, seen) for v in value])
    if isinstance(value, dict):
        return {k: _ours_params(v, seen) for k, v in value.items()}
    return ours(value, seen)


def differentiated(name: str, options: dict[str, Any]) -> list[tuple[str, str]]:
    """Gradients of the parameters after three steps with respect to before, and to gradients.

    Of one step where PyTorch writes over what its own graph of more steps needs.
    """
    found: list[tuple[str, str]] = []
    for steps in (3, 1):
        found = _differentiated(name, options, steps)
        if not found or "modified by an inplace operation" not in found[0][1]:
            break
    return found


def _differentiated(name: str, options: dict[str, Any], steps: int) -> list[tuple[str, str]]:
    results = []
    for package in (framework, torch):
        convert: Any = ours if package is framework else copy.deepcopy
        torch.manual_seed(1)
        base = [torch.randn(4, dtype=torch.float64) for _ in range(4)]
        start, *grads = [convert(t).requires_grad_() for t in base]
        given = {k: convert(v) for k, v in options.items()}
        try:
            p = start.clone()
            optimizer = getattr(package.optim, name)([p], **given)
            for g in grads[:steps]:
                p.grad = g.clone()
                optimizer.step()
            total = (p * p).sum()
            results.append(package.autograd.grad(total, [start, *grads], allow_unused=True))
        except Exception as error:
            results.append(error)
    mine, other = results
    if isinstance(mine, Exception) or isinstance(other, Exception):
        found = _compared_errors(*[r if isinstance(r, Exception) else None for r in results])
        return [("gradient", text) for _, text in found]
    text = difference(theirs(mine), tuple(other), 1e-5, 1e-7)  # steps are float32
    return [("gradient", text)] if text else []


def closures(text: str, loss: str) -> list[tuple[str, str]]:
    """Ten steps with a closure that computes the loss anew: losses and parameters."""
    results: list[Any] = []
    for package in (framework, torch):
        names = space(package)
        params = names["weights"]()
        optimizer = eval(f"torch.optim.{text}", {**names, "params": params})
        values: list[float] = []
        try:
            again = _closure(optimizer, params, names[loss])
            values += [float(optimizer.step(again)) for _ in range(STEPS)]
        except Exception as error:
            results.append(error)
            continue
        results.append((values, [theirs(p) if package is framework else p for p in params]))
    if any(isinstance(r, Exception) for r in results):
        found = _compared_errors(*[r if isinstance(r, Exception) else None for r in results])
        return [("steps", text) for _, text in found]
    text = _same(results[0], results[1], 1e-6, 1e-9)
    return [("steps", text)] if text else []


def _closure(optimizer: Any, params: Any, loss: Any) -> Callable[[], Any]:
    def again() -> Any:
        optimizer.zero_grad()
        total = loss(params)
        total.backward()
        return total

    return again


# -- schedulers ------------------------------------------------------------------------------------


def rates(text: str, made: str) -> list[tuple[str, str]]:
    """Rates over the steps, the last ones, the state, and going on from a copied state."""
    logs = []
    for package in (framework, torch):
        names = space(package)
        optimizer = eval(made, {**names, "params": names["weights"]()})
        scheduler = eval(text, {**names, "opt": optimizer})
        log: list[Any] = [repr(type(scheduler).__name__), _group_rates(optimizer)]
        plateau = "Plateau" in text
        for step in range(20):
            optimizer.step()
            if plateau:
                scheduler.step(abs(10.0 - step) + (step > 12) * 3)
            else:
                scheduler.step()
            log.append((_group_rates(optimizer), _numbers(scheduler.get_last_lr())))
        log.append(_state(scheduler.state_dict()))
        fresh = eval(made, {**names, "params": names["weights"]()})
        fresh.load_state_dict(optimizer.state_dict())
        again = eval(text, {**names, "opt": fresh})
        again.load_state_dict(copy.deepcopy(scheduler.state_dict()))
        for _ in range(5):
            fresh.step()
            again.step(1.0) if plateau else again.step()
            log.append((_group_rates(fresh), _numbers(again.get_last_lr())))
        logs.append(log)
    for step, (m, o) in enumerate(zip(*logs)):
        if difference_ := _same(m, o, 1e-9, 1e-12):
            return [("rates", f"entry {step}: {difference_}")]
    return []


def _group_rates(optimizer: Any) -> list[Any]:
    keys = ("lr", "initial_lr", "momentum", "betas", "max_lr", "min_lr", "swa_lr")
    return [
        {k: _numbers(group[k]) for k in keys if k in group} for group in optimizer.param_groups
    ]  # fmt: skip


def _numbers(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_numbers(v) for v in value]
    if isinstance(value, (torch.Tensor, framework.Tensor)):
        return value.item()
    return value


def _state(value: Any) -> Any:
    """A scheduler's state with other objects by the name of their type."""
    if isinstance(value, dict):
        return {k: _state(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_state(v) for v in value]
    if isinstance(value, Counter):
        return dict(value)
    value = _numbers(value)
    plain = value is None or isinstance(value, (int, float, str, bool))
    return value if plain else type(value).__name__


def refused(text: str) -> list[tuple[str, str]]:
    """A scheduler that cannot be made."""
    errors: list[Any] = []
    for package in (framework, torch):
        names = space(package)
        optimizer = torch_sgd(names)
        try:
            eval(text, {**names, "opt": optimizer})
            errors.append(None)
        except Exception as error:
            errors.append(error)
    return _compared_errors(*errors) if any(errors) else []


def torch_sgd(names: dict[str, Any]) -> Any:
    """Plain gradient descent of either side."""
    return names["torch"].optim.SGD(names["weights"](), lr=0.1)


# -- averages --------------------------------------------------------------------------------------


def average(text: str) -> list[tuple[str, str]]:
    """Averaged parameters after a few updates, and statistics computed anew."""
    results = []
    for package in (framework, torch):
        convert: Any = ours if package is framework else (lambda v: v)
        names = space(package)
        nn = package.nn
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
        torch.manual_seed(0)
        shapes = {k: v.shape for k, v in model.state_dict().items() if v.ndim}
        averaged = eval(text, {**names, "model": model})
        for _ in range(4):
            values = {k: convert(torch.rand(tuple(s))) for k, s in shapes.items()}
            model.load_state_dict(values, strict=False)
            averaged.update_parameters(model)
        torch.manual_seed(1)
        loader = [convert(torch.randn(5, 3)) for _ in range(3)]
        package.optim.swa_utils.update_bn(loader, averaged)
        output = averaged(loader[0])
        state = dict(averaged.state_dict())
        results.append(theirs((state, output)) if package is framework else (state, output))
    found = _same(results[0], results[1], 1e-5, 1e-6)
    return [("average", found)] if found else []


# -- the suite -------------------------------------------------------------------------------------


def uncovered() -> list[str]:
    """Public optimizers and schedulers without a configuration."""
    covered = {info.name for info in common_optimizers.optim_db}
    covered |= {_head(text) for text, _ in SCHEDULERS} | {_head(text) for text, _ in CLOSURES}
    public = {n for n, v in vars(torch.optim).items() if inspect.isclass(v)}
    public |= set(torch.optim.lr_scheduler.__all__) | {"SWALR"}
    return sorted(public - covered - {"Optimizer", "LRScheduler"})


def check(case: Case) -> bool:
    """Compare one configuration; its failures are noted in it."""
    try:
        case.failures = case.run()
    except Exception as error:
        case.failures = [("construct", f"raised {short(error)}")]
    return not case.failures


def main(options: Any) -> int:
    """Run the suite; ``options.op`` names classes, ``options.list_failures`` tells all."""
    start = time.perf_counter()
    wanted = set(options.op)
    known = expected.load("optimizers")
    failing: dict[str, Counter[str]] = {}
    reasons: dict[str, str] = {}
    right = total = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, case in enumerate(cases()):
            if wanted and case.name not in wanted:
                continue
            if options.quick and number % 5:
                continue
            total += 1
            right += check(case)
            facets = failing.setdefault(case.name, Counter())
            for facet, text in case.failures:
                facets[facet] += 1
                reasons.setdefault(case.name, text[:120])
                news = options.op or facet not in known.get(case.name, {}).get("facets", ())
                if options.list_failures or (news and facets[facet] <= 2):
                    print(f"{case}: {facet}: {text}", flush=True)
    print(
        f"optimizers: {right} of {total} configurations right "
        f"({len(failing)} classes, {time.perf_counter() - start:.0f} s)"
    )
    lacking = [] if wanted else uncovered()
    for name in lacking:
        print(f"optimizers: no configuration of {name}")
    found = {n: [f for f in FACETS if f in facets] for n, facets in failing.items()}
    if options.write_expected:
        expected.write("optimizers", found, reasons)
        return 0
    lines = expected.judge("optimizers", found, set() if options.quick else set(found))
    for line in lines:
        print(line)
    return 1 if lines or lacking else 0
