"""Rules for runs that nobody watches: is a gradient exploding, a ReLU dead, a weight stuck?

    with framework.trace.rules("default") as report:
        train()
    assert report.ok, report

`rules.toml` has every rule with its thresholds, `rulebook` their code. All rules share one walk of
each tensor (`figures`). ``tapebook run FILE --rules default`` ends with status 1 at the first
finding.
"""

from __future__ import annotations

import errno
import functools
import math
import os
import stat
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from framework.trace import sink, turns
from framework.trace.figures import FINITE, NORM, SPREAD, Figures, measure, unbatched
from framework.trace.flags import Table, on_device
from framework.trace.gate import Gate
from framework.trace.places import line_of
from framework.trace.records import (
    BACKWARD_BEGIN,
    LEAF,
    NODE_END,
    OP,
    OPTIM_BEGIN,
    OPTIM_END,
    UPDATE,
    unscaled,
)
from framework.trace.rulebook import RULES, Finding, Report, Rule, Settings

__all__ = ["RULES", "Finding", "Report", "RuleError", "Watch", "load", "rules"]

MAX_FINDINGS = 50
_PARTS = {"elements", "fall", "margin", "ratio", "units"}
_LARGEST = 1 << 20  # bytes of a file of thresholds


class RuleError(ValueError):
    """Rules that cannot be used: one line for the user."""


# -- settings ----------------------------------------------------------------------------------


def defaults() -> dict[str, Settings]:
    """The rules of `rules.toml`, which says what each is about."""
    return tomllib.loads(resources.files(__package__).joinpath("rules.toml").read_text("utf-8"))


def load(*names: str | Path | dict[str, Settings]) -> dict[str, Settings]:
    """Settings by rule: "default", files of thresholds, or dictionaries, the later ones winning.

    Without "default", only the rules that are named are on. Raises `RuleError` with one line.

    >>> from framework.trace.ruleset import load
    >>> load({"dead_relu": {"units": 0.5}})
    {'dead_relu': {'enabled': True, 'units': 0.5, 'steps': 10}}
    """
    known = defaults()
    chosen: dict[str, Settings] = {}
    for name in names or ("default",):
        if name == "default":
            chosen.update({rule: {**s, **chosen.get(rule, {})} for rule, s in known.items()})
            continue
        origin, wanted = ("rules", name) if isinstance(name, dict) else (str(name), _read(name))
        for rule, settings in wanted.items():
            if rule not in known:
                raise RuleError(f"{origin}: no rule {rule!r}; there are {', '.join(known)}")
            if not isinstance(settings, dict):
                raise RuleError(f"{origin}: {rule} is a section: write [{rule}]")
            _check(origin, rule, settings, known[rule])
            chosen[rule] = {**chosen.get(rule, known[rule]), **settings}
    return {rule: chosen[rule] for rule in known if chosen.get(rule, {}).get("enabled")}


def _read(path: str | Path) -> dict[str, Any]:
    wanted = "give default, or a TOML file of thresholds"
    try:
        # Not to wait for who writes to a pipe, nor to read a device that has no end.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            found = os.fstat(file.fileno())
            if stat.S_ISDIR(found.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
                raise RuleError(f"{path}: no file of at most {_LARGEST:,} bytes; {wanted}")
            return tomllib.load(file)
    except OSError as error:
        raise RuleError(f"{path}: {error.strerror}; {wanted}") from None
    except RecursionError:
        raise RuleError(f"{path}: not TOML: it is nested too deeply") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RuleError(f"{path}: not TOML: {' '.join(str(error).split())}") from None


def _check(origin: str, rule: str, settings: Settings, known: Settings) -> None:
    for key, value in settings.items():
        if key not in known:
            raise RuleError(f"{origin}: [{rule}] has no {key!r}; it has {', '.join(known)}")
        old = known[key]
        if isinstance(old, bool):
            good, kind = isinstance(value, bool), "true or false"
        elif isinstance(old, int):
            good, kind = type(value) is int and value > 0, "a whole number from 1 on"
        elif key in _PARTS:  # 90, for percent, would never be reached
            good, kind = type(value) in (int, float) and 0 < value <= 1, "a part, above 0 up to 1"
        else:
            good, kind = type(value) in (int, float) and 0 < value < math.inf, "a number above 0"
        if not good:
            raise RuleError(f"{origin}: [{rule}] {key} must be {kind}, got {str(value)[:40]!r}")


@dataclass(frozen=True, slots=True)
class _At:
    """A row of the table that is read at the end of the step."""

    number: int


# -- watching --------------------------------------------------------------------------------------


class Watch:
    """Shows the events of a recorder to the rules.

    Attributes:
        used: parameters that took part in a graph, with the raw op that used each first.
        updated: parameters that an optimizer has updated.
        adversarial: optimizers with parameters of their own take turns.
        done: training steps that have ended: of several optimizers, those of the one that has
            stepped most. As many rounds of a GAN are as many steps.
    """

    def __init__(
        self,
        gate: Gate,
        settings: dict[str, Settings],
        do: Callable[[Finding], Any] | None = None,
    ) -> None:
        self.gate = gate
        self.recorder = gate.recorder
        self.report = Report(list(settings))
        self.do = do
        self.used: dict[int, tuple[Any, ...]] = {}
        self._aside: set[int] = set()  # parameters that ops had where no gradient was wanted
        self.updated: set[int] = set()
        self.adversarial = False
        self.done = 0
        self._ended: WeakKeyDictionary[Any, int] = WeakKeyDictionary()  # steps of each optimizer
        self._turn: set[int] = set()
        self._turns: list[set[int]] = []
        self._closed = False
        self._new: list[Finding] = []  # not yet told
        self._table = Table()
        # What rules wait for: a function, the figures that it wants or their rows in the table, and
        # the number of the training step.
        self._later: list[tuple[Callable[..., None], list[Any], int]] = []
        self._then = 0  # that number, while they are told
        self._rules = [RULES[name](self, chosen) for name, chosen in settings.items()]
        self._needs = 0
        for rule in self._rules:
            self._needs |= rule.needs
        self._said: set[tuple[str, str, str]] = set()
        names = self.recorder.names
        self._params = {i for i, t in self.recorder.leaves.items() if names.get(i) and _is_param(t)}
        self._of_looks, self._of_ops, self._of_nodes, self._of_backwards = (
            _overriding(self._rules, name) for name in ("look", "op", "node", "backward")
        )
        gate.observe(self.see)
        gate.settlers = (*gate.settlers, self.settle)

    def see(self, raw: tuple[Any, ...], tensors: tuple[Any, ...]) -> None:
        """One event; called on the model's thread. A fault of ours does not become the model's."""
        if tensors and getattr(tensors[0], "is_meta", False):
            return  # no numbers: nothing to be wrong with
        self._safely(lambda: self._look(raw, tensors))

    def settle(self) -> None:
        """A step has ended: what lies on a device is read, once for all, and the rules are told."""
        if self._later:
            self._safely(self._read)

    def _safely(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # a bug of ours must not end the run
            self.report.problem = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            self.close()
        self._tell()

    def _read(self) -> None:
        later, self._later = self._later, []
        rows = self._table.read()
        try:
            for call, wanted, self._then in later:
                if self._closed:
                    return
                call(*[rows[w.number] if w.__class__ is _At else w for w in wanted])
        finally:
            self._then = 0

    def measured(self, call: Callable[..., None], array: Any, needs: int) -> None:
        """Call with an array's figures once they are known: of a device when the step ends."""
        self._when_known(call, [self._figures(array, needs)])

    def _when_known(self, call: Callable[..., None], wanted: list[Any]) -> None:
        """In the order of the events: who waits for nothing waits for those before it."""
        if self._waits(wanted):
            self._later.append((call, wanted, self.number))
        elif not self._closed:
            call(*wanted)

    def _waits(self, wanted: list[Any]) -> bool:
        return bool(self._later) or _At in map(type, wanted)

    def _figures(self, array: Any, needs: int) -> Any:
        if not on_device(array):
            return measure(array, needs)
        if array.dtype.kind in "biu":
            return Figures(array.size)  # nothing in it can be wrong
        at = self._table.add(array, bool(needs & SPREAD))
        return measure(array, needs) if at is None else _At(at)

    def _number(self, seen: Any) -> Any:
        """A number, or its place in the table if it is an array of a device."""
        if not on_device(seen):
            return seen
        at = self._table.put(seen)
        return float(seen) if at is None else _At(at)

    def _look(self, raw: tuple[Any, ...], tensors: tuple[Any, ...]) -> None:
        kind = raw[2]
        tensors = unbatched(tensors)
        if self._table.full:
            self._read()
        if kind == OP:
            if raw[10][2] == "forward" and not raw[12]:
                self._op(raw, tensors)
        elif kind == NODE_END:
            if not raw[5] and self._of_nodes:
                figures = [self._figures(t._data, FINITE) for t in tensors]
                if self._waits(figures):
                    self._when_known(functools.partial(self._told_node, raw), figures)
                else:
                    for rule in self._of_nodes:
                        rule.node(raw, figures)
        elif kind == BACKWARD_BEGIN:
            loss = None
            if self._of_backwards and len(tensors) == 1 and tensors[0]._data.size == 1:
                one = unscaled(tensors[0]).reshape(-1)[0].real
                loss = self._number(one) if on_device(one) else float(one)
            self._when_known(functools.partial(self._told_backward, raw), [loss])
        elif kind == UPDATE:
            self._update(raw, tensors[0])
        elif kind == OPTIM_BEGIN:
            self._turn = set()
        elif kind == OPTIM_END:
            self._step()
        elif kind == LEAF and raw[5] == "parameter":
            self._params.add(raw[3][0])

    def _op(self, raw: tuple[Any, ...], tensors: tuple[Any, ...]) -> None:
        for item in raw[5]:
            if item.__class__ is int and item in self._params and item not in self.used:
                if raw[11]:
                    self.used[item] = raw
                else:
                    self._aside.add(item)
        ids = tuple([t._id for t in tensors])
        figures = [self._figures(t._data, self._needs) for t in tensors]
        seen = {rule: rule.look(raw, tensors) for rule in self._of_looks}
        if not self._waits(figures):
            self._told_op(raw, ids, seen, figures)
            return
        numbers = [self._number(number) for number in seen.values()]
        call = functools.partial(self._told_late, raw, ids, list(seen))
        self._when_known(call, [*numbers, *figures])

    def _told_late(
        self, raw: tuple[Any, ...], ids: tuple[int, ...], looked: list[Rule], *known: Any
    ) -> None:
        count = len(looked)
        self._told_op(raw, ids, dict(zip(looked, known)), list(known[count:]))

    def _told_op(
        self, raw: tuple[Any, ...], ids: tuple[int, ...], seen: dict[Rule, Any],
        figures: list[Figures],
    ) -> None:  # fmt: skip
        for rule in self._of_ops:
            if not self._closed:
                rule.op(raw, ids, figures, seen.get(rule))

    def _told_node(self, raw: tuple[Any, ...], *figures: Figures) -> None:
        for rule in self._of_nodes:
            rule.node(raw, list(figures))

    def _told_backward(self, raw: tuple[Any, ...], loss: float | None) -> None:
        for rule in self._of_backwards:
            rule.backward(raw, loss)

    def _update(self, raw: tuple[Any, ...], param: Any) -> None:
        ident = raw[3][0]
        self.updated.add(ident)
        self._turn.add(ident)
        value, grad = self._figures(param._data, FINITE), None
        if param.grad is not None:
            grad = self._figures(param.grad._data, self._needs | NORM)
        name = raw[4] or f"a parameter of shape {list(param._data.shape)}"
        self._when_known(functools.partial(self._told_update, param, name), [value, grad])

    def _told_update(self, param: Any, name: str, value: Figures, grad: Figures | None) -> None:
        for rule in self._rules:
            if not self._closed:
                rule.update(param, name, value, grad)

    def _step(self) -> None:
        self._read()
        optimizer = turns.last()
        if optimizer is not None:
            count = self._ended[optimizer] = self._ended.get(optimizer, 0) + 1
            self.done = self.report.steps = max(self.done, count)
        if self._turn and len(self._turns) < 8:
            self.adversarial = self.adversarial or any(not self._turn & t for t in self._turns)
            self._turns.append(self._turn)
        for rule in self._rules:
            rule.step()

    def end(self) -> None:
        """The run is over."""
        self.settle()
        if not self._closed:
            self.close()
            for rule in self._rules:
                rule.end()
            self._tell()

    def close(self) -> None:
        """Look at nothing more."""
        self._closed = True
        self.gate.ignore(self.see)
        self.gate.settlers = tuple(s for s in self.gate.settlers if s != self.settle)

    # -- for the rules -----------------------------------------------------------------------------

    @property
    def number(self) -> int:
        """Of the training step that is under way, as its optimizer counts."""
        if self._then:
            return self._then
        raw = self.recorder.raw(self.recorder.seq)
        begin = self.recorder.raw(raw[3]) if raw is not None and raw[2] == OPTIM_END else None
        return begin[4] if begin is not None else turns.number()

    def add(self, finding: Finding) -> None:
        key = (finding.rule, finding.subject, finding.source)
        if key in self._said or len(self.report.findings) >= MAX_FINDINGS:
            return
        self._said.add(key)
        self.report.findings.append(finding)
        self._new.append(finding)

    def _tell(self) -> None:
        """Hand new findings on; what is called may raise, to end the program."""
        new, self._new = self._new, []
        for finding in new:
            if self.do is not None:
                self.do(finding)

    def name(self, ident: int) -> str:
        found = self.recorder.names.get(ident)
        if found:
            return found
        leaf = self.recorder.leaves.get(ident)
        return "a parameter" if leaf is None else f"a parameter of shape {list(leaf._data.shape)}"

    def unused(self) -> list[int]:
        """Parameters of the models that ran which no op has had as an argument, in their order."""
        return sorted(self._params.difference(self.used, self._aside))

    def used_at(self, ident: int) -> str:
        """Where a parameter is used."""
        raw = self.used.get(ident)
        return self.place(raw) if raw is not None else ""

    def place(self, raw: tuple[Any, ...]) -> str:
        """An op's source line."""
        return self.place_of(raw[8], raw[9])

    def place_of(self, code: Any, lasti: int | None) -> str:
        return f"{code.co_filename}:{line_of(code, lasti)}" if code is not None else ""

    def subject(self, raw: tuple[Any, ...]) -> str:
        """An op, and the module it ran in."""
        module = raw[10][0]
        return f"{raw[4]} in {module}" if module else raw[4]


def _overriding(rules: list[Rule], name: str) -> list[Rule]:
    return [rule for rule in rules if getattr(type(rule), name) is not getattr(Rule, name)]


def _is_param(tensor: Any) -> bool:
    return hasattr(tensor, "_is_param")


@contextmanager
def rules(
    *names: str | Path | dict[str, Settings], do: Callable[[Finding], Any] | None = None
) -> Iterator[Report]:
    """Look for what `rules.toml` lists while a block runs.

    Args:
        names: "default", files of thresholds, or dictionaries of them; see `load`.
        do: called with each `Finding` as it is made, in the model's thread; may raise.

    >>> import framework as torch
    >>> from framework import trace
    >>> with trace.rules("default") as report:
    ...     y = (torch.zeros(3, requires_grad=True) - 1).log()
    >>> print(report.ok, report.findings[0].rule, report.findings[0].figures)
    False nan 3 NaN of 3 elements
    """
    settings = load(*names)
    before = sink.active
    recorder = before or sink.start(keep="none")
    watch = Watch(recorder.gate or Gate(recorder), settings, do)
    try:
        yield watch.report
        watch.end()
    finally:
        watch.close()
        sink.active = before
