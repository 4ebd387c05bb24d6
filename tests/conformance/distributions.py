"""`distributions` compared with PyTorch's, configuration by configuration.

The configurations are in `distribution_table`; each runs on both sides in float64, on values that
PyTorch drew. Facets:

    names         the public names; arguments of the constructors
    description   repr, shapes, support, constraints, what it can do
    moments       mean, mode, variance, stddev, entropy, perplexity, and their gradients
    density       log_prob, cdf, icdf and their gradients by the value and by the parameters
    samples       shape, dtype, whether they want a gradient; enumerate_support
    expand        log_prob and shapes of the expanded distribution
    implicit      gradients of gamma and Dirichlet samples by their parameters
    kl            every registered pair, with gradients
    transforms    forward, inverse, Jacobian, gradients, shapes, domains, repr, caching
    constraints   check, repr; transforms of the two registries
    errors        who raises, its kind and its words
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.distributions

import framework
import framework.distributions
from tests.conformance.distribution_table import (
    CONSTRAINTS,
    DISTRIBUTIONS,
    ERRORS,
    MAPPED,
    TRANSFORMS,
)

__all__ = ["main"]

TOLERANCE = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 4e-6}
APPROXIMATE = 2e-3  # PyTorch's implicit gradients are rational approximations

# Where we mean to differ from PyTorch, by the name of the check.
DIFFERENT = {
    "Kumaraswamy.mode": "PyTorch's formula is NaN everywhere",
    "Geometric.param_shape": "PyTorch's has none",
}
# Where PyTorch computes with constants or polynomials of single precision, or the table with both.
ROUGH = ("VonMises.", "Multinomial.entropy", "Multinomial.perplexity", "kl(")


class Side:
    """One of the two libraries: see `distribution_table`."""

    def __init__(self, library: Any) -> None:
        self.library = library
        self.D = library.distributions
        self.leaves: list[Any] = []

    def __call__(self, data: Any) -> Any:
        return self.leaf(self.x(data))

    def leaf(self, tensor: Any) -> Any:
        self.leaves.append(tensor.requires_grad_())
        return tensor

    def value(self, array: np.ndarray) -> Any:
        """An array in its own type, wanting a gradient if it can have one."""
        tensor = self.library.from_numpy(array.copy())
        return self.leaf(tensor) if array.dtype.kind == "f" else tensor

    def narrow(self, data: Any) -> Any:
        return self.leaf(self.library.tensor(data, dtype=self.library.float32))

    def x(self, data: Any) -> Any:
        return self.library.tensor(data, dtype=self.library.float64)


Result = tuple[str, str, str]  # facet, name, "" or what is wrong


# -- comparing ---------------------------------------------------------------------------------


def outcome(call: Callable[[], Any]) -> Any:
    """The value of a call, or the exception it raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call()
        except Exception as error:
            return error


def text(error: Exception) -> str:
    """An error's words, without what only we add to them."""
    words = str(error).replace("'framework.", "'torch.")
    words = re.sub(r"^\w+: (?=The size of)|, grad_fn=<\w+>", "", words).split(" (shapes ")[0]
    return " ".join(words.split())


def difference(mine: Any, other: Any, tolerance: float = 0) -> str:
    """What is different, "" if nothing is."""
    if isinstance(mine, Exception) or isinstance(other, Exception):
        return _error_difference(mine, other)
    if isinstance(other, torch.Tensor):
        if not isinstance(mine, framework.Tensor):
            return f"{type(mine).__name__} for a tensor"
        a, b = mine.detach().numpy(), other.detach().numpy()
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"{a.dtype}{list(a.shape)} for {b.dtype}{list(b.shape)}"
        limit = max(tolerance, TOLERANCE.get(b.dtype, 0))
        if not np.allclose(a, b, limit, limit, equal_nan=True):
            return f"{a.tolist()} for {b.tolist()}"
        return ""
    if isinstance(other, (list, tuple)) and any(isinstance(o, torch.Tensor) for o in other):
        found = [difference(a, b, tolerance) for a, b in zip(mine, other, strict=True)]
        return next(filter(None, found), "")
    return "" if repr(mine) == repr(other) else f"{mine!r} for {other!r}"


def _error_difference(mine: Any, other: Any) -> str:
    if not isinstance(mine, Exception):
        return f"no {type(other).__name__}: {other}"
    if not isinstance(other, Exception):
        return f"raises {type(mine).__name__}: {mine}"
    if type(mine).__name__ != type(other).__name__:
        return f"{type(mine).__name__}: {mine} for {type(other).__name__}: {other}"
    fine = text(mine) == text(other) or not text(other)  # where it says nothing, ours does
    return "" if fine else f"{text(mine)!r} for {text(other)!r}"


def both(call: Callable[[Side], Any]) -> tuple[Any, Any]:
    return outcome(lambda: call(Side(framework))), outcome(lambda: call(Side(torch)))


def judged(name: str, pair: tuple[Any, Any]) -> str:
    return difference(*pair, 2e-6 if name.startswith(ROUGH) else 0)


def with_gradients(side: Side, value: Any, seed: int = 0) -> list[Any]:
    """A value and its gradients by every leaf of the side (zeros where it does not depend)."""
    if not value.requires_grad:
        return [value]
    weights = side.x(np.random.default_rng(seed).standard_normal(tuple(value.shape)))
    leaves = side.leaves
    grads = side.library.autograd.grad(value, leaves, weights.to(value.dtype), allow_unused=True)
    return [value] + [side.x(np.zeros(tuple(x.shape))) if g is None else g
                      for g, x in zip(grads, leaves)]  # fmt: skip


def read(d: Any, name: str) -> Any:
    value = getattr(d, name)
    return value() if callable(value) else value


# -- distributions -----------------------------------------------------------------------------


CLASSWIDE = ("arg_constraints", "support", "has_rsample", "has_enumerate_support")


def _of_class(kind: Any, what: str) -> str:
    """What code that never makes a distribution reads of its class."""
    value = getattr(kind, what)
    if isinstance(value, property) and not hasattr(value, "event_dim"):
        return "property"
    if what == "support":
        return repr((value, value.event_dim, value.is_discrete))
    return repr(value)


def _names() -> Iterator[Result]:
    theirs, mine = torch.distributions, framework.distributions
    for name in theirs.__all__:
        there = hasattr(mine, name)
        yield "names", name, "" if there else "missing"
        value = getattr(theirs, name)
        if there and inspect.isclass(value):
            a, b = (list(inspect.signature(v).parameters) for v in (getattr(mine, name), value))
            yield "names", f"{name}()", difference(a, b)
            for what in CLASSWIDE if issubclass(value, theirs.Distribution) else ():
                pair = [outcome(lambda d=d, what=what: _of_class(d, what))
                        for d in (getattr(mine, name), value)]  # fmt: skip
                yield "names", f"{name}.{what}", difference(*pair)
    for package in ("constraints", "utils", "transforms", "constraint_registry", "kl"):
        for name in getattr(theirs, package).__all__:
            there = hasattr(getattr(mine, package), name)
            yield "names", f"{package}.{name}", "" if there else "missing"


DESCRIBED = (
    "batch_shape", "event_shape", "has_rsample", "has_enumerate_support", "support",
    "arg_constraints", "__repr__", "param_shape",
)  # fmt: skip
MOMENTS = ("mean", "mode", "variance", "stddev", "entropy", "perplexity")


def values_of(make: Any) -> np.ndarray | None:
    """Samples of PyTorch's distribution, which both sides get as values."""
    torch.manual_seed(0)
    d = make(Side(torch))
    drawn = outcome(lambda: d.sample((3,)).numpy())
    return None if isinstance(drawn, Exception) else drawn


def _distribution(name: str, make: Any) -> Iterator[Result]:
    for what in DESCRIBED:
        pair = both(lambda m, what=what: read(make(m), what))
        yield "description", f"{name}.{what}", difference(*pair)
    for what in MOMENTS:
        pair = both(lambda m, what=what: with_gradients(m, read(make(m), what)))
        yield "moments", f"{name}.{what}", judged(f"{name}.{what}", pair)
    yield from _density(name, make)
    yield from _samples(name, make)
    yield from _lazily(name, make)


def _density(name: str, make: Any) -> Iterator[Result]:
    drawn = values_of(make)
    if drawn is None:
        yield "density", f"{name} {make}", "PyTorch cannot draw: the table is wrong"
        return

    def at(side: Side, what: str, values: Any) -> Any:
        d = make(side)
        return with_gradients(side, getattr(d, what)(side.value(values)))

    for what in ("log_prob", "cdf"):
        pair = both(lambda m, what=what: at(m, what, drawn))
        yield "density", f"{name}.{what}", judged(f"{name}.{what}", pair)
    quantiles = np.broadcast_to(
        np.array([0.1, 0.5, 0.8]).reshape(-1, *[1] * (drawn.ndim - 1)), drawn.shape
    ).astype(drawn.dtype)
    yield "density", f"{name}.icdf", difference(*both(lambda m: at(m, "icdf", quantiles)))

    def expanded(side: Side) -> Any:
        d = make(side)
        wide = d.expand((2, *d.batch_shape))
        again = wide.log_prob(side.value(drawn).unsqueeze(1))
        return [*with_gradients(side, again), side.x(float(len(wide.batch_shape)))]

    yield "expand", f"{name}.expand", judged(f"{name}.expand", both(expanded))

    def described(side: Side) -> Any:
        d = make(side)
        wide = d.expand((2, *d.batch_shape))
        return repr((wide.batch_shape, wide.event_shape, wide, wide.support))

    yield "expand", f"{name}.expand repr", difference(*both(described))


def _lazily(name: str, make: Any) -> Iterator[Result]:
    """Which of its parameters a distribution computed."""
    drawn = values_of(make)

    def computed(side: Side) -> Any:
        d = make(side)
        before = sorted({"probs", "logits"} & set(vars(d)))
        d.log_prob(side.value(drawn))
        return before, sorted({"probs", "logits"} & set(vars(d)))

    yield "description", f"{name} lazily", difference(*both(computed))


def _samples(name: str, make: Any) -> Iterator[Result]:
    def sampled(side: Side, what: str) -> Any:
        side.library.manual_seed(0)
        value = getattr(make(side), what)((4, 2))
        return tuple(value.shape), str(value.dtype), value.requires_grad

    for what in ("sample", "rsample"):
        pair = both(lambda m, what=what: sampled(m, what))
        yield "samples", f"{name}.{what}", difference(*pair)
    for expand in (True, False):
        pair = both(lambda m, expand=expand: make(m).enumerate_support(expand=expand))
        yield "samples", f"{name}.enumerate_support({expand})", difference(*pair)


def _implicit() -> Iterator[Result]:
    rng = np.random.default_rng(0)
    a = 10 ** rng.uniform(-1, 3, 400)
    b = 10 ** rng.uniform(-1, 2, 400)
    z, x = np.maximum(rng.gamma(a), 1e-200), rng.beta(a, b)
    x = np.clip(x, 1e-200, 1 - 1e-12)
    pair = both(lambda m: m.library._standard_gamma_grad(m.x(a), m.x(z)))
    yield "implicit", "_standard_gamma_grad", difference(*pair, APPROXIMATE)
    pair = both(lambda m: m.library._dirichlet_grad(m.x(x), m.x(a), m.x(a + b)))
    yield "implicit", "_dirichlet_grad", difference(*pair, APPROXIMATE)


# -- divergences -------------------------------------------------------------------------------


def _divergences() -> Iterator[Result]:
    registry = torch.distributions.kl._KL_REGISTRY
    ours = {(p.__name__, q.__name__) for p, q in framework.distributions.kl._FORMULAS}
    for p, q in registry:
        key = (p.__name__, q.__name__)
        called = f"kl({key[0]}, {key[1]})"
        yield "kl", f"{called} registered", "" if key in ours else "missing"
        pairs = list(MAPPED.get(key, []))
        for first in DISTRIBUTIONS.get(key[0], []):
            for second in DISTRIBUTIONS.get(key[1], []):
                pairs.append(lambda m, f=first, s=second: (f(m), s(m)))
        for pair in pairs:

            def divergence(side: Side, pair: Any = pair) -> Any:
                return with_gradients(side, side.D.kl_divergence(*pair(side)))

            mine, other = both(divergence)
            if isinstance(other, RuntimeError) and isinstance(mine, RuntimeError):
                continue  # shapes that do not broadcast: which op notices is chance
            yield "kl", called, judged(called, (mine, other))


# -- transforms and constraints ----------------------------------------------------------------


def _transforms() -> Iterator[Result]:
    for i, make in enumerate(TRANSFORMS):
        name = f"{type(make(Side(torch))[0]).__name__}[{i}]"
        for what, call in TRANSFORM_CHECKS.items():

            def run(side: Side, call: Any = call, make: Any = make) -> Any:
                t, x = make(side)
                found = call(t, x)
                return with_gradients(side, found) if hasattr(found, "requires_grad") else found

            yield "transforms", f"{name}.{what}", difference(*both(run))


TRANSFORM_CHECKS: dict[str, Any] = {
    "forward": lambda t, x: t(x),
    "inverse": lambda t, x: t.inv(t(x).detach().requires_grad_()),
    "jacobian": lambda t, x: t.log_abs_det_jacobian(x, t(x)),
    "inverse jacobian": lambda t, x: t.inv.log_abs_det_jacobian(t(x), x),
    "domain": lambda t, x: (repr(t.domain), t.domain.event_dim, t.domain.is_discrete),
    "codomain": lambda t, x: (repr(t.codomain), t.codomain.event_dim, t.codomain.is_discrete),
    "event_dim": lambda t, x: t.event_dim,
    "sign": lambda t, x: t.sign,
    "bijective": lambda t, x: t.bijective,
    "repr": lambda t, x: (repr(t), repr(t.inv)),
    "forward_shape": lambda t, x: tuple(t.forward_shape(x.shape)),
    "inverse_shape": lambda t, x: tuple(t.inverse_shape(t(x).shape)),
    "equal": lambda t, x: (t == t, t.inv == t.inv, t == t.inv, t.inv.inv is t),
    "cache": lambda t, x: _cached(t, x),
}


def _cached(t: Any, x: Any) -> Any:
    t = t.with_cache()
    y = t(x)
    return t(x) is y, t.inv(y) is x, t._cache_size, t.with_cache() is t


def _constraints() -> Iterator[Result]:
    for i, make in enumerate(CONSTRAINTS):
        name = f"{type(make(Side(torch))[0]).__name__}[{i}]"

        def described(side: Side, make: Any = make) -> Any:
            c, _ = make(side)
            return repr((c, c.event_dim, c.is_discrete))

        yield "constraints", f"{name} repr", difference(*both(described))

        def checked(side: Side, make: Any = make) -> Any:
            c, x = make(side)
            return c.check(x)

        yield "constraints", f"{name}.check", difference(*both(checked))
        for registry in ("biject_to", "transform_to"):

            def mapped(side: Side, make: Any = make, registry: str = registry) -> Any:
                c, _ = make(side)
                t = getattr(side.D, registry)(c)
                return repr(t), repr(t.codomain)

            yield "constraints", f"{registry}({name})", difference(*both(mapped))


def _errors() -> Iterator[Result]:
    for i, call in enumerate(ERRORS):
        pair = both(call)
        wrong = difference(*pair)
        if not isinstance(pair[1], Exception):
            wrong = "PyTorch does not raise: the table is wrong"
        yield "errors", f"error {i} ({pair[1]})"[:90], wrong


# -- the suite ---------------------------------------------------------------------------------


def results() -> Iterator[Result]:
    """Every check: its facet, its name, and what is wrong."""
    yield from _names()
    for name, makes in DISTRIBUTIONS.items():
        for make in makes:
            yield from _distribution(name, make)
    yield from _implicit()
    yield from _divergences()
    yield from _transforms()
    yield from _constraints()
    yield from _errors()


def main(options: Any) -> int:
    """Run all checks, print what is wrong and the score; 1 if anything is wrong."""
    count: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for facet, name, wrong in results():
        if name in DIFFERENT:
            continue
        count[facet] += 1
        right[facet] += not wrong
        if wrong:
            print(f"{facet}: {name}: {wrong[:400]}")
    print(f"distributions: {right.total()} of {count.total()} checks right")
    for facet, n in count.items():
        print(f"  {facet:12} {right[facet]} of {n}")
    return int(right.total() != count.total())
