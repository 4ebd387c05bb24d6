"""Random programs of views and in-place writes, run by PyTorch and by us, line by line.

A program is a list of Python statements over ``torch`` and tensors ``a0``, ``a1``, ..., made at
random while PyTorch runs it, so that nearly every line is valid; some are meant to be refused. We
run the same text. Compared are: who raises at which line and the kind of error; after each line
every tensor's value, ``requires_grad`` and ``is_leaf``; at the end the gradients of a random
combination of all tensors with respect to the leaves, and the gradients of those gradients.

    python -m tests.conformance fuzz --count 2000 --seed 0
    python -m tests.conformance fuzz --count 1 --seed 1234      one program again, shrunk
"""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Callable
from itertools import zip_longest
from typing import Any

import numpy as np
import torch

import framework
from tests.conformance import expected
from tests.conformance.bridge import theirs

__all__ = ["main", "program"]

COUNT = 3000
LINES = 14
TOLERANCE = {"rtol": 1e-7, "atol": 1e-9}
NARROW = {"rtol": 1e-5, "atol": 1e-6}  # of a program in which float32 occurs


class Maker:
    """Writes one program while PyTorch runs it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lines: list[str] = []
        self.scope: dict[str, Any] = {"torch": torch}
        self.count = 0

    # -- choosing ---------------------------------------------------------------------------------

    def tensors(self, wanted: Callable[[Any], bool] = lambda t: True) -> list[str]:
        return [n for n, t in self.scope.items() if isinstance(t, torch.Tensor) and wanted(t)]

    def one(self, wanted: Callable[[Any], bool] = lambda t: True) -> str:
        """A tensor's name; later ones more often, so that programs go deep."""
        names = self.tensors(wanted)
        if not names:
            raise _Unfit
        return names[max(self.random.randrange(len(names)) for _ in range(2))]

    def shape(self, name: str) -> list[int]:
        return list(self.scope[name].shape)

    def fresh(self) -> str:
        self.count += 1
        return f"a{self.count}"

    def number(self) -> float:
        return self.random.choice([0.5, -1.5, 2.0, 0.0, 1.25, -0.75])

    def values(self, shape: list[int], whole: bool = False) -> str:
        flat = [
            self.random.randrange(0, 3) if whole else round(self.random.uniform(-2, 2), 2)
            for _ in range(int(np.prod(shape)))
        ]
        return repr(np.asarray(flat).reshape(shape).tolist())

    def like(self, shape: list[int]) -> str:
        """A tensor (existing, or new from literals) that broadcasts to a shape; or a number."""
        same = self.tensors(lambda t: _fits(list(t.shape), shape) and t.is_floating_point())
        pick = self.random.random()
        if same and pick < 0.6:
            return self.random.choice(same)
        if pick < 0.75:
            return repr(self.number())
        cut = shape[self.random.randrange(0, len(shape) + 1) :]
        return f"torch.tensor({self.values(cut)}, dtype=torch.float64)"

    def dim(self, shape: list[int]) -> int:
        if not shape:
            raise _Unfit
        d = self.random.randrange(len(shape))
        return d - len(shape) if self.random.random() < 0.3 else d

    def index(self, shape: list[int], views: bool = False) -> str:
        """The text of a random index; only ints, slices, None and ... if it has to be a view."""
        parts = []
        for n in shape[: self.random.randrange(0, len(shape) + 1)]:
            pick = self.random.random()
            if pick < 0.3 and n:
                parts.append(str(self.random.randrange(-n, n)))
            elif pick < 0.75 or views or not n:
                start, stop = sorted(self.random.randrange(0, n + 1) for _ in range(2))
                parts.append(f"{start}:{stop}:{self.random.choice([1, 1, 2])}")
            else:
                k = self.random.randrange(1, 4)
                parts.append(str([self.random.randrange(-n, n) for _ in range(k)]))
        if self.random.random() < 0.2:
            parts.insert(self.random.randrange(len(parts) + 1), "None")
        if self.random.random() < 0.2:
            parts.append("...")
        return ", ".join(parts) or "..."

    # -- running ----------------------------------------------------------------------------------

    def add(self, line: str) -> None:
        """Run a line; one that PyTorch refuses stays in the program now and then."""
        error = _execute(line, self.scope)
        if error is not None and self.random.random() < 0.6:
            raise _Unfit
        self.lines.append(line)

    def start(self) -> None:
        for _ in range(self.random.randrange(2, 4)):
            shape = [self.random.choice([1, 2, 2, 3]) for _ in range(self.random.randrange(0, 4))]
            wants = self.random.random() < 0.8
            self.add(
                f"{self.fresh()} = torch.tensor({self.values(shape)}, dtype=torch.float64"
                f"{', requires_grad=True' if wants else ''})"
            )

    def grow(self) -> None:
        kinds = [(view, 5), (write, 5), (compute, 4), (mode, 1)]
        make = self.random.choices([k for k, _ in kinds], [w for _, w in kinds])[0]
        try:
            self.add(make(self))
        except _Unfit:
            return


class _Unfit(Exception):
    """This line cannot be made now."""


def _fits(small: list[int], shape: list[int]) -> bool:
    if len(small) > len(shape):
        return False
    return all(s in (1, n) for s, n in zip(small[::-1], shape[::-1]))


# -- lines -----------------------------------------------------------------------------------------


def view(m: Maker) -> str:
    a = m.one(lambda t: t.ndim > 0)
    shape, new = m.shape(a), m.fresh()
    d = m.dim(shape)
    n = shape[d]
    r = m.random
    start = r.randrange(0, n + 1)
    choices = [
        f"{new} = {a}.narrow({d}, {start}, {r.randrange(0, n - start + 1)})",
        f"{new} = {a}[{m.index(shape, views=True)}]",
        f"{new} = {a}[{m.index(shape, views=True)}]",
        f"{new} = {a}.transpose({d}, {m.dim(shape)})",
        f"{new} = {a}.unsqueeze({r.randrange(-len(shape) - 1, len(shape) + 1)})",
        f"{new} = {a}.squeeze({d})",
        f"{new} = {a}.view(-1)",
        f"{new} = {a}.reshape({shape[::-1]})",
        f"{new} = {a}.expand({[2, *shape]})",
        f"{new} = {a}.permute({r.sample(range(len(shape)), len(shape))})",
        f"{new} = {a}.flatten()",
        f"{new} = {a}.detach()",
        f"{new} = {a}.T" if len(shape) == 2 else f"{new} = {a}.movedim({d}, 0)",
        f"{new} = {a}.unfold({d}, {r.randrange(1, n + 1)}, {r.choice([1, 2])})" if n else "",
        f"{new} = {a}.select({d}, {r.randrange(n)})" if n else "",
        f"{new}, {m.fresh()} = {a}.split({max(n - 1, 1)}, {d})" if n > 1 else "",
        f"{new} = {a}.diagonal()" if len(shape) == 2 else "",
        f"{new} = {a}.unbind({d})[0]" if n else "",
        f"{new} = {a}.chunk(2, {d})[0]" if n else "",
        f"{new} = {a}.view_as({a})",
        f"{new} = {a}.swapaxes(0, {d})",
        f"{new} = {a}.real",
        f"{new} = torch.as_strided({a}.contiguous(), ({r.choice([1, 2])},), (1,))"
        if np.prod(shape) > 2
        else "",
        f"{new} = {a}.data" if r.random() < 0.5 else "",
    ]
    return _chosen(m, choices)


def write(m: Maker) -> str:
    a = m.one(lambda t: t.is_floating_point() and not _unordered(t))
    shape, r = m.shape(a), m.random
    other = m.like(shape)
    tensor = other if other.startswith(("a", "t")) else f"torch.tensor({other})"
    choices = [
        f"{a}.add_({other})", f"{a}.sub_({other}, alpha=2)", f"{a}.mul_({other})",
        f"{a} += {other}", f"{a} *= {other}", f"{a} /= 2.0",
        f"{a}.copy_({tensor})", f"{a}.fill_({m.number()})", f"{a}.zero_()",
        f"{a}.sin_()", f"{a}.sigmoid_()", f"{a}.tanh_()", f"{a}.relu_()", f"{a}.neg_()",
        f"{a}.clamp_(-0.5, 0.8)", f"{a}.exp_()", f"{a}.square_()", f"{a}.abs_()",
        f"{a}.masked_fill_({a} > 0.3, {m.number()})", f"{a}.pow_(2)",
        f"{a}.addcmul_({tensor}, {tensor}, value=0.5)", f"{a}.lerp_({tensor}, 0.3)",
        f"{a}[{m.index(shape)}] = {m.number()}", f"{a}[{m.index(shape)}] = {m.number()}",
        f"{a}[{m.index(shape)}] *= 2.0", f"{a}[{a} > 0] = {m.number()}",
    ]  # fmt: skip
    if shape:
        d = m.dim(shape)
        n = shape[d]
        source = f"torch.tensor({m.values(shape)}, dtype=torch.float64)"
        choices += [
            f"{a}.unsqueeze_({d})", f"{a}.transpose_(0, {d})", f"{a}.squeeze_()",
            f"{a}.cumsum_({d})",
        ]  # fmt: skip
        if n:
            rows = str([r.randrange(n) for _ in range(n)])
            choices += [
                f"{a}.index_add_({d}, torch.tensor({rows}), {source})",
                f"{a}.index_fill_({d}, torch.tensor({rows}), {m.number()})",
                f"{a}.index_copy_({d}, torch.tensor({r.sample(range(n), n)}), {source})",
                f"{a}.scatter_add_({d}, {_places(m, shape, n)}, {source})",
            ]
        choices.append(f"{a}[{m.index(shape)}] = {_row(m, a, shape)}")
    return _chosen(m, choices)


def _unordered(t: torch.Tensor) -> bool:
    """Whether elements share memory and PyTorch does not see it: a write's result is chance."""
    if torch._debug_has_internal_overlap(t) != 2 or not t.numel():
        return False
    places = np.zeros(tuple(t.shape), np.int64)
    for d, (n, step) in enumerate(zip(t.shape, t.stride())):
        places += (np.arange(n) * step).reshape([-1 if i == d else 1 for i in range(t.ndim)])
    return len(np.unique(places)) < t.numel()


def _places(m: Maker, shape: list[int], n: int) -> str:
    count = int(np.prod(shape))
    flat = [m.random.randrange(n) for _ in range(count)]
    return f"torch.tensor({np.asarray(flat, int).reshape(shape).tolist()})"


def _row(m: Maker, a: str, shape: list[int]) -> str:
    """Something that may be assigned to a part of a tensor: its last dimension, or a tensor."""
    names = m.tensors(lambda t: t.is_floating_point() and _fits(list(t.shape), shape))
    if names and m.random.random() < 0.6:
        return m.random.choice(names)
    return f"torch.tensor({m.values(shape[-1:])}, dtype=torch.float64)"


def compute(m: Maker) -> str:
    a = m.one(lambda t: t.is_floating_point())
    shape, new, r = m.shape(a), m.fresh(), m.random
    other = m.like(shape)
    choices = [
        f"{new} = {a} * {other}", f"{new} = {a} + {other}", f"{new} = {a} - {a}.sin()",
        f"{new} = {a}.clone()", f"{new} = {a}.exp()", f"{new} = {a}.tanh()",
        f"{new} = {a}.pow(2)", f"{new} = {a}.sum()", f"{new} = torch.where({a} > 0, {a}, {other})",
        f"{new} = {a}.contiguous()", f"{new} = {a}[{m.index(shape)}]", f"{new} = {a}.relu()",
        f"{new} = {a}.sigmoid() / (1 + {a} * {a})", f"{new} = {a} * 1.0",
    ]  # fmt: skip
    if shape:
        d = m.dim(shape)
        choices += [
            f"{new} = {a}.sum({d})", f"{new} = {a}.mean({d}, keepdim=True)",
            f"{new} = torch.cat([{a}, {a}], {d})", f"{new} = torch.stack([{a}, {a}], {d})",
            f"{new} = {a}.flip({d})", f"{new} = {a}.cumsum({d})", f"{new} = {a}.roll(1, {d})",
            f"{new} = {a}.softmax({d})", f"{new} = {a}.prod({d})",
        ]  # fmt: skip
        if shape[d]:
            choices.append(f"{new} = {a}.amax({d})")
        if len(shape) == 2:
            choices.append(f"{new} = {a} @ {a}.T")
    if r.random() < 0.1:
        choices.append(f"{new} = {a}.to(torch.float32)")
    return _chosen(m, choices)


def mode(m: Maker) -> str:
    a = m.one(lambda t: t.is_floating_point() and not _unordered(t))
    new = m.fresh()
    leaf = _state(m.scope[a], "is_leaf") is True
    choices = [
        f"with torch.no_grad(): {new} = {a} * 2",
        f"with torch.no_grad(): {a}.mul_(0.5)",
        f"with torch.no_grad(): {new} = {a}.view(-1)",
        f"with torch.enable_grad(): {new} = {a}.sin()",
        f"{a}.requires_grad_({m.random.random() < 0.7})" if leaf else "",
        f"{a}.detach_()",
        f"{new} = {a}.detach().requires_grad_()",
        f"{new} = {a}.clone().detach()",
    ]
    return _chosen(m, choices)


def _chosen(m: Maker, choices: list[str]) -> str:
    return m.random.choice([c for c in choices if c])


# -- judging ---------------------------------------------------------------------------------------


def program(seed: int) -> list[str]:
    """The statements of one program."""
    maker = Maker(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        maker.start()
        for _ in range(maker.random.randrange(4, LINES)):
            maker.grow()
    return maker.lines


def _execute(line: str, scope: dict[str, Any]) -> Exception | None:
    try:
        exec(line, scope)
    except Exception as error:
        return error
    return None


def difference(lines: list[str], seed: int) -> str:
    """What differs when both run these lines; empty if nothing does."""
    scopes: tuple[dict[str, Any], dict[str, Any]] = ({"torch": torch}, {"torch": framework})
    tolerance = NARROW if any("float32" in line for line in lines) else TOLERANCE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, line in enumerate(lines, 1):
            wrong = [_execute(line, s) for s in scopes]
            if any(isinstance(e, NameError) for e in wrong):
                continue  # the line that would have made it was refused, or shrunk away
            text = _raised(*wrong)
            if not text:
                text = _states(*scopes, tolerance)
            if text:
                return f"line {number}: {text}"
        return _gradients(*scopes, seed, tolerance)


def _raised(their: Exception | None, mine: Exception | None) -> str:
    if (their is None) != (mine is None):
        who = "PyTorch" if mine is None else "ours"
        return f"only {who} raises {type(their or mine).__name__}: {their or mine}"
    if their is not None and type(their) is not type(mine):
        return f"raised {type(mine).__name__} ({mine}), not {type(their).__name__} ({their})"
    return ""


def _states(theirs_: dict[str, Any], mine: dict[str, Any], tolerance: dict[str, float]) -> str:
    for name, t in theirs_.items():
        if not isinstance(t, torch.Tensor):
            continue
        o = mine.get(name)
        if not isinstance(o, framework.Tensor):
            return f"{name} is {type(o).__name__}, not a tensor"
        for what in ("requires_grad", "is_leaf"):
            if _state(t, what) != _state(o, what):
                return f"{name}.{what} is {_state(o, what)}, not {_state(t, what)}"
        text = _unequal(o, t, NARROW if t.dtype is torch.float32 else tolerance)
        if text:
            return f"{name}: {text}"
    return ""


def _state(tensor: Any, what: str) -> Any:
    """An attribute, or the kind of error that asking for it raises (views whose base changed)."""
    try:
        return getattr(tensor, what)
    except RuntimeError as error:
        return type(error)


def _unequal(mine: Any, their: torch.Tensor, tolerance: dict[str, float]) -> str:
    if tuple(mine.shape) != tuple(their.shape):
        return f"shape {list(mine.shape)}, not {list(their.shape)}"
    got = theirs(mine.detach()).numpy()
    wanted = their.detach().numpy(force=True)
    if got.dtype != wanted.dtype:
        return f"dtype {got.dtype}, not {wanted.dtype}"
    if not np.allclose(got, wanted, equal_nan=True, **tolerance):
        return f"{got.tolist()}, not {wanted.tolist()}"
    return ""


def _gradients(
    their_scope: dict[str, Any], my_scope: dict[str, Any], seed: int, tolerance: dict[str, float]
) -> str:
    pairs = []
    for scope, api in ((their_scope, torch), (my_scope, framework)):
        rng = np.random.default_rng(seed)
        kind = torch.Tensor if api is torch else framework.Tensor
        values = {n: t for n, t in scope.items() if isinstance(t, kind)}
        leaves = [t for t in values.values() if _state(t, "is_leaf") is True and t.requires_grad]
        total: Any = None
        for t in values.values():
            weight = rng.standard_normal(tuple(t.shape))
            if t.requires_grad and _state(t, "is_leaf") is False:
                part = (t * api.tensor(weight.tolist(), dtype=api.float64).reshape(t.shape)).sum()
                total = part if total is None else total + part
        pairs.append(_both_orders(api, total, leaves, rng))
    (their_first, their_second, their_error), (my_first, my_second, my_error) = pairs
    text = _raised(their_error, my_error)
    if text:
        return f"gradient: {text}"
    for what, theirs_, mine in (
        ("gradient", their_first, my_first),
        ("second gradient", their_second, my_second),
    ):
        for k, (t, m) in enumerate(zip_longest(theirs_, mine)):
            if (t is None) != (m is None):
                if (t if m is None else m).abs().max().item():
                    return f"{what} {k}: {'None' if m is None else 'one'}, PyTorch not"
            elif t is not None and (text := _unequal(m, t, tolerance)):
                return f"{what} {k}: {text}"
    return ""


def _both_orders(api: Any, total: Any, leaves: list[Any], rng: Any) -> Any:
    if total is None or not leaves:
        return [], [], None
    try:
        first = api.autograd.grad(total, leaves, create_graph=True, allow_unused=True)
        squares = [(g * g).sum() for g in first if g is not None and g.requires_grad]
        second: Any = []
        if squares:
            second = api.autograd.grad(sum(squares), leaves, allow_unused=True)
    except Exception as error:
        return [], [], error
    return first, second, None


def shrunk(lines: list[str], seed: int) -> list[str]:
    """The program without the lines that the difference does not need."""
    kind = _kind(difference(lines, seed))
    k = len(lines) - 1
    while k >= 0:
        fewer = lines[:k] + lines[k + 1 :]
        if _kind(difference(fewer, seed)) == kind:
            lines = fewer
        k -= 1
    return lines


def _kind(text: str) -> str:
    """What sort of difference: shrinking must not end at another one."""
    return text.split(":", 1)[-1].strip()[:12] if text else ""


def main(options: Any) -> int:
    """Run the programs; print those that differ, and the score."""
    start = time.perf_counter()
    allowed = expected.load("fuzz")
    failing: dict[str, list[str]] = {}
    lines_run = 0
    for seed in range(options.seed, options.seed + options.count):
        lines = program(seed)
        lines_run += len(lines)
        text = difference(lines, seed)
        if not text:
            continue
        name = f"seed {seed}"
        failing[name] = ["differs"]
        if name not in allowed or options.count == 1:
            print(f"fuzz, {name}: {text}")
            for line in shrunk(lines, seed):
                print(f"    {line}")
    count = options.count
    print(
        f"fuzz: {count - len(failing)} of {count} programs ({lines_run} lines) agree in values, "
        f"errors, first and second gradients ({time.perf_counter() - start:.0f} s)"
    )
    surprising = [name for name in failing if name not in allowed]
    passing = [
        name for name in allowed
        if name not in failing
        and options.seed <= int(name.split()[1]) < options.seed + options.count
    ]  # fmt: skip
    for name in passing:
        print(f"fuzz: {name} passes now: remove it from {expected.FILE.name}")
    return 1 if surprising or passing else 0
