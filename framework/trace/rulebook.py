"""The rules for unattended runs: what each looks at, and when it is broken.

Each is a class that is shown the events that it is about; `RULES` has them by the names of their
sections in `rules.toml`, where the thresholds are. `ruleset` shows them a run.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from framework import dtypes
from framework.trace.figures import FINITE, NORM, RANGE, SPREAD, Figures, digests, measure
from framework.trace.flags import on_device
from framework.trace.records import named

if TYPE_CHECKING:
    from framework.trace.ruleset import Watch

__all__ = ["RULES", "Finding", "Report", "Rule", "Settings"]

Settings = dict[str, Any]

# Ops with weights, and where among their arguments the weight may stand.
_WEIGHT_OPS = {
    "linear": (1,), "bilinear": (2,), "addmm": (2,), "mm": (0, 1), "matmul": (0, 1), "bmm": (0, 1),
    **{f"conv{n}d": (1,) for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": (1,) for n in (1, 2, 3)}, "convolution": (1,),
}  # fmt: skip
_RELUS = frozenset(("relu", "relu_", "relu6", "threshold", "threshold_"))
_SATURATING = {"tanh": (-1.0, 1.0), "tanh_": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}
# Ops that hand an activation on to the next layer as it is, or nearly.
_PASSING = frozenset(
    "view reshape flatten squeeze unsqueeze transpose permute t contiguous dropout clone cat "
    "stack select slice getitem mul expand".split()
)


# -- what is found -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that is broken.

    Attributes:
        rule: its name in the file of thresholds.
        subject: the parameter, module or op, as a text.
        step: number of the training step, from 1.
        source: "train.py:12", where the op or the use of the parameter stands; "" if unknown.
        figures: what was measured, and the threshold.
        advice: what to try.
    """

    rule: str
    subject: str
    step: int
    source: str
    figures: str
    advice: str

    def __str__(self) -> str:
        at = f" at {self.source}" if self.source else ""
        return f"{self.rule}: {self.subject}{at}, step {self.step}: {self.figures}"


@dataclass(slots=True)
class Report:
    """What the rules have found so far.

    >>> from framework.trace.rulebook import Report
    >>> print(Report(names=["nan", "inf"], steps=3))
    2 rules, 3 training steps: nothing found
    """

    names: list[str]
    steps: int = 0
    findings: list[Finding] = field(default_factory=list)
    problem: str = ""  # why the rules had to stop looking

    @property
    def ok(self) -> bool:
        return not self.findings and not self.problem

    def __str__(self) -> str:
        count = len(self.findings)
        found = "nothing found" if not count else f"{count} finding{'s' * (count > 1)}"
        steps = f"{self.steps} training step{'s' * (self.steps != 1)}"
        lines = [f"{len(self.names)} rules, {steps}: {found}"]
        if self.problem:
            lines.append(f"the rules had to stop looking: {self.problem}")
        for finding in self.findings:
            lines += ["", f"rule {finding.rule}: {finding.subject}"]
            if finding.source:
                lines.append(f"  at     {finding.source}")
            lines.append(f"  step   {finding.step}")
            lines.append(f"  found  {finding.figures}")
            lines.append(f"  try    {finding.advice}")
        return "\n".join(lines)


# -- the rules -----------------------------------------------------------------------------------


class Rule:
    """Looks at what it is shown and calls `Watch.found`.

    ``needs`` are the figures of an op's outputs and of gradients that it asks for.
    """

    name = ""
    needs = 0
    advice = ""

    def __init__(self, watch: Watch, settings: Settings) -> None:
        self.watch = watch
        self.set = settings

    def look(self, raw: tuple[Any, ...], outs: tuple[Any, ...]) -> Any:
        """A primitive op of the forward pass has just ended: what is asked beside its figures.

        An array of one number, that may be a device's; a number, or any array of the host's; None.
        """

    def op(
        self, raw: tuple[Any, ...], ids: tuple[int, ...], figures: list[Figures], seen: Any
    ) -> None:
        """The same, once its figures are known, and what `look` saw: at the end of the step if the
        op ran on a device.
        """

    def node(self, raw: tuple[Any, ...], figures: list[Figures]) -> None:
        """A backward node has sent its gradients."""

    def backward(self, raw: tuple[Any, ...], loss: float | None) -> None:
        """A backward pass begins, from one number or (None) from something else."""

    def update(self, param: Any, name: str, value: Figures, grad: Figures | None) -> None:
        """An optimizer has updated a parameter."""

    def step(self) -> None:
        """A training step has ended."""

    def end(self) -> None:
        """The run has ended."""

    def found(self, subject: str, source: str, figures: str) -> None:
        self.watch.add(Finding(self.name, subject, self.watch.number, source, figures, self.advice))


class _NotFinite(Rule):
    """The first op, gradient or parameter with a NaN (or an Inf)."""

    needs = FINITE
    word = ""
    # Memory that nobody has written yet, of which anything may be read.
    _raw_memory = ("empty", "empty_like", "new_empty", "empty_strided", "resize_")

    def __init__(self, watch: Watch, settings: Settings) -> None:
        super().__init__(watch, settings)
        self._excused: set[int] = set()  # tensors that a constant or a mask gave it to
        self._grad: tuple[str, str, str] | None = (
            None  # the first gradient of this pass that has it
        )

    def found(self, subject: str, source: str, figures: str) -> None:
        """What comes after the first one is its consequence."""
        self.watch.close()
        super().found(subject, source, figures)

    def count(self, f: Figures) -> int:
        raise NotImplementedError

    def meant(self, value: Any) -> bool:
        """Is this constant one?"""
        raise NotImplementedError

    def op(
        self, raw: tuple[Any, ...], ids: tuple[int, ...], figures: list[Figures], seen: Any
    ) -> None:
        for ident, f in zip(ids, figures):
            count = self.count(f)
            if not count:
                if self._excused:
                    self._excused.discard(ident)
            elif self._may(raw):
                self._excused.add(ident)
            else:
                source, subject = self.watch.place(raw), self.watch.subject(raw)
                self.found(subject, source, f"{count} {self.word} of {f.count} elements")
                self._excused.add(ident)

    def _may(self, raw: tuple[Any, ...]) -> bool:
        if raw[4].startswith(self._raw_memory):
            return True
        for item in raw[5]:
            if item.__class__ is int:
                if item in self._excused or self._given(item):
                    return True
            elif self.meant(item[0]):
                return True
        return any(self.meant(value) for _, value in named(raw[7]))

    def _given(self, ident: int) -> bool:
        """Is it an input that the program already had it in?"""
        raise NotImplementedError

    def node(self, raw: tuple[Any, ...], figures: list[Figures]) -> None:
        if self._grad is not None:
            return
        for f in figures:
            if f.nan or f.inf:  # an Inf becomes a NaN on its way
                begin = self.watch.recorder.raw(raw[3])
                origin = begin[4] if begin is not None else None
                name = f"{begin[3]} backward" if begin is not None else "a backward node"
                module = origin[10][0] if origin is not None else ""
                counts = [f"{n} {word}" for n, word in ((f.nan, "NaN"), (f.inf, "Inf")) if n]
                self._grad = (
                    f"{name} in {module}" if module else name,
                    self.watch.place(origin) if origin is not None else "",
                    f"{' and '.join(counts)} of {f.count} elements of a gradient",
                )
                return

    def backward(self, raw: tuple[Any, ...], loss: float | None) -> None:
        self._settle()

    def end(self) -> None:
        self._settle()

    def _settle(self) -> None:
        """If there is an optimizer, a bad gradient that it did not get was skipped by a scaler."""
        grad, self._grad = self._grad, None
        if grad is not None and not self.watch.recorder.step:
            self.found(*grad)

    def update(self, param: Any, name: str, value: Figures, grad: Figures | None) -> None:
        if grad is not None and self.count(grad):
            origin, self._grad = self._grad, None
            where = self.watch.used_at(param._id)
            text = f"{self.count(grad)} {self.word} of {grad.count} elements of the gradient"
            if origin is not None:
                self.found(origin[0], origin[1], f"{origin[2]}; it reached {name}")
            else:
                self.found(f"gradient of {name}", where, text)
        elif self.count(value):
            text = f"{self.count(value)} {self.word} of {value.count} elements after the update"
            self.found(name, self.watch.used_at(param._id), text)

    def step(self) -> None:
        self._grad = None


class _Nan(_NotFinite):
    name = "nan"
    word = "NaN"
    advice = (
        "stop at its origin: tapebook run FILE --break nan; look for a log or sqrt of what may be "
        "0 or negative, 0/0, and for a NaN in the data"
    )

    def count(self, f: Figures) -> int:
        return f.nan

    def meant(self, value: Any) -> bool:
        return isinstance(value, float) and math.isnan(value)

    def _given(self, ident: int) -> bool:
        return False  # a NaN in the data is worth an alarm


class _Inf(_NotFinite):
    name = "inf"
    word = "Inf"
    advice = (
        "stop at its origin: tapebook run FILE --break inf; look for an exp of large numbers, a "
        "division by 0, a log of 0, and an overflow of float16"
    )

    def count(self, f: Figures) -> int:
        return f.inf

    def meant(self, value: Any) -> bool:
        return isinstance(value, float) and math.isinf(value)

    def _given(self, ident: int) -> bool:
        leaf = self.watch.recorder.leaves.get(ident)
        return leaf is not None and measure(leaf._data, FINITE).inf > 0


class _Exploding(Rule):
    name = "exploding_gradient"
    needs = NORM
    advice = (
        "a smaller learning rate, torch.nn.utils.clip_grad_norm_ before the optimizer's step, "
        "normalization layers, a smaller initialisation"
    )

    def __init__(self, watch: Watch, settings: Settings) -> None:
        super().__init__(watch, settings)
        self._norms: dict[int, list[float]] = {}

    def update(self, param: Any, name: str, value: Figures, grad: Figures | None) -> None:
        if grad is None or not math.isfinite(grad.norm):
            return
        norms = self._norms.setdefault(param._id, [])
        norm, where = grad.norm, self.watch.used_at(param._id)
        if norm > self.set["norm"]:
            text = f"norm {norm:.3g} of its gradient, above {self.set['norm']:g}"
            self.found(name, where, text)
        elif len(norms) >= self.set["history"]:
            usual = statistics.median(norms)
            if usual > 0 and norm > 1e-3 and norm > self.set["growth"] * usual:
                text = (
                    f"norm {norm:.3g} of its gradient, {norm / usual:.0f} times the median of the "
                    f"steps before ({usual:.3g}); the limit is {self.set['growth']:g}"
                )
                self.found(name, where, text)
        norms.append(norm)
        if len(norms) > 100:
            del norms[:50]


class _Vanishing(Rule):
    name = "vanishing_gradient"
    needs = NORM
    advice = (
        "ReLU-like activations instead of sigmoid or tanh, residual connections, normalization "
        "layers, fewer layers, an initialisation that keeps the variance"
    )

    def __init__(self, watch: Watch, settings: Settings) -> None:
        super().__init__(watch, settings)
        self._rms: dict[int, tuple[str, float]] = {}
        self._row: dict[int, int] = {}

    def update(self, param: Any, name: str, value: Figures, grad: Figures | None) -> None:
        # Biases before a normalization have a gradient of 0 but for rounding: weights only.
        if grad is not None and param._data.ndim > 1 and grad.count and math.isfinite(grad.rms):
            self._rms[param._id] = (name, grad.rms)

    def step(self) -> None:
        found, self._rms = self._rms, {}
        largest = max((rms for _, rms in found.values()), default=0.0)
        for ident, (name, rms) in found.items():
            if not 0 < rms < self.set["ratio"] * largest:
                self._row[ident] = 0
                continue
            self._row[ident] = self._row.get(ident, 0) + 1
            if self._row[ident] == self.set["steps"]:
                text = (
                    f"root mean square {rms:.3g} of its gradient in the last of "
                    f"{self.set['steps']} steps, {rms / largest:.1g} of the largest weight's "
                    f"({largest:.3g}); the limit is {self.set['ratio']:g}"
                )
                self.found(name, self.watch.used_at(ident), text)


class _ZeroGradient(Rule):
    name = "zero_gradient"
    needs = NORM
    advice = (
        "look what cuts its gradient: a dead ReLU, a product with 0, a mask, a saturated function, "
        "a layer whose weights are all 0"
    )

    def __init__(self, watch: Watch, settings: Settings) -> None:
        super().__init__(watch, settings)
        self._row: dict[int, int] = {}  # steps with nothing but zeros; -1: it has had a gradient

    def update(self, param: Any, name: str, value: Figures, grad: Figures | None) -> None:
        row = self._row.get(param._id, 0)
        if row < 0 or grad is None or not grad.count:
            return
        g = param.grad._data
        if not _all_zero(grad, None if on_device(g) else g):
            self._row[param._id] = -1
            return
        self._row[param._id] = row + 1
        if row + 1 == self.set["steps"]:
            text = f"all {grad.count} elements of its gradient were 0 in each of {row + 1} steps"
            self.found(name, self.watch.used_at(param._id), text)


class _Unchanged(Rule):
    name = "unchanged_weight"
    advice = (
        "is it in the optimizer's list, is the learning rate above 0 and large enough for its "
        "dtype, is its gradient cut by detach or no_grad? If it is meant to be fixed: "
        "requires_grad_(False)"
    )

    def __init__(self, watch: Watch, settings: Settings) -> None:
        super().__init__(watch, settings)
        self._first: dict[int, tuple[int, int]] = {}  # training step, digest

    def step(self) -> None:
        watch = self.watch
        done = watch.done
        leaves: dict[int, Any] = {}
        for ident in watch.used:
            first = self._first.get(ident)
            if first is not None and first[0] + self.set["steps"] != done:
                continue
            leaf = watch.recorder.leaves.get(ident)
            if leaf is not None and leaf.requires_grad:
                leaves[ident] = leaf
        for (ident, leaf), now in zip(leaves.items(), digests([w._data for w in leaves.values()])):
            first = self._first.get(ident)
            if first is None:
                self._first[ident] = (done, now)
            elif first[1] == now:
                reason = (
                    "it never had a gradient" if leaf.grad is None
                    else "it is updated, but keeps its values" if ident in watch.updated
                    else "it has a gradient, but no optimizer updates it"
                )  # fmt: skip
                text = f"the same in {self.set['steps']} training steps; {reason}"
                self.found(watch.name(ident), watch.used_at(ident), text)
        if done == self.set["steps"]:
            for ident in watch.unused():
                leaf = watch.recorder.leaves.get(ident)
                if leaf is not None and leaf.requires_grad and leaf.grad is None:
                    text = f"no op used it in {done} training steps: it never had a gradient"
                    self.found(watch.name(ident), "", text)


class _DeadRelu(Rule):
    name = "dead_relu"
    advice = (
        "a smaller learning rate, biases that are not far below 0, inputs of mean 0, leaky_relu "
        "or gelu"
    )

    def __init__(self, watch: Watch, settings: Settings) -> None:
        super().__init__(watch, settings)
        self._seen: dict[Any, tuple[int, Any]] = {}  # place -> step of the first, alive units
        self._units: dict[int, int] = {}  # how many an op has that is to be judged

    def look(self, raw: tuple[Any, ...], outs: tuple[Any, ...]) -> Any:
        """How many units are alive, once the steps are over."""
        if raw[4] not in _RELUS or not raw[11]:
            return None
        y = outs[0]._data
        if y.ndim < 2 or not y.size:
            return None
        unit = 1 if y.ndim > 3 else y.ndim - 1
        alive = (y > 0).any(axis=tuple(i for i in range(y.ndim) if i != unit))
        key = (raw[10][0], id(raw[8]), raw[9])
        done = self.watch.done
        first, before = self._seen.get(key, (done, alive))
        if before.shape != alive.shape:
            first, before = done, alive
        alive = alive | before
        if done - first + 1 < self.set["steps"]:
            self._seen[key] = (first, alive)
            return None
        self._seen[key] = (done + 1, alive & False)
        self._units[raw[0]] = alive.size
        return alive.sum()

    def op(
        self, raw: tuple[Any, ...], ids: tuple[int, ...], figures: list[Figures], seen: Any
    ) -> None:
        size = self._units.pop(raw[0], 0) if self._units else 0
        if size < 2:
            return
        dead = size - int(seen)
        if dead >= self.set["units"] * size:
            text = (
                f"{dead} of {size} units were 0 for every example of {self.set['steps']} "
                f"training steps; the limit is {self.set['units']:.0%}"
            )
            self.found(self.watch.subject(raw), self.watch.place(raw), text)


class _Saturated(Rule):
    name = "saturated"
    advice = (
        "a smaller initialisation or learning rate, normalized inputs, a normalization layer "
        "before it, or an activation without ends"
    )

    def __init__(self, watch: Watch, settings: Settings) -> None:
        super().__init__(watch, settings)
        self._waiting: dict[int, Any] = {}  # tensors that are saturated, until a layer takes them
        self._row: dict[Any, tuple[int, int]] = {}  # place -> the step seen last, steps in a row

    def look(self, raw: tuple[Any, ...], outs: tuple[Any, ...]) -> Any:
        """The part of the elements that is near an end."""
        ends = _SATURATING.get(raw[4])
        if ends is None or not raw[11] or not outs[0]._data.size:
            return None
        y, (low, high) = outs[0]._data, ends
        margin = self.set["margin"] * (high - low)
        return ((y < low + margin) | (y > high - margin)).mean()

    def op(
        self, raw: tuple[Any, ...], ids: tuple[int, ...], figures: list[Figures], seen: Any
    ) -> None:
        if raw[4] in _SATURATING:
            if seen is not None:
                self._judge(raw, ids[0], float(seen))
            return
        if not self._waiting:
            return
        for item in raw[5]:
            if item.__class__ is int and item in self._waiting:
                if raw[4] in _WEIGHT_OPS:
                    self._count(*self._waiting.pop(item))
                elif raw[4] in _PASSING:
                    for ident in ids:
                        self._waiting[ident] = self._waiting[item]

    def _judge(self, raw: tuple[Any, ...], ident: int, share: float) -> None:
        key = (raw[10][0], id(raw[8]), raw[9])
        if share >= self.set["elements"]:
            # At the end of a network, a sigmoid may be as sure as it likes.
            self._waiting[ident] = (key, raw, share)
        else:
            self._row[key] = (self.watch.done, 0)

    def _count(self, key: Any, raw: tuple[Any, ...], share: float) -> None:
        step, row = self._row.get(key, (-1, 0))
        if step == self.watch.done:
            return
        self._row[key] = (self.watch.done, row + 1)
        if row + 1 == self.set["steps"]:
            text = (
                f"{share:.0%} of its elements are within {self.set['margin']:g} of an end of its "
                f"range, the {row + 1}th step in a row; the limit is {self.set['elements']:.0%}"
            )
            self.found(self.watch.subject(raw), self.watch.place(raw), text)

    def step(self) -> None:
        self._waiting = {}


class _ZeroOutput(Rule):
    name = "zero_output"
    needs = NORM
    advice = (
        "are its weights and biases all 0, is what goes in multiplied by 0 or masked, is the ReLU "
        "before it dead?"
    )

    def __init__(self, watch: Watch, settings: Settings) -> None:
        super().__init__(watch, settings)
        self._row: dict[Any, int] = {}  # calls with nothing but zeros; -1: it has had others

    def look(self, raw: tuple[Any, ...], outs: tuple[Any, ...]) -> Any:
        """The elements, of which one may not be 0; on a device the zeros are counted."""
        if not raw[11] or not outs or on_device(outs[0]._data):
            return None
        return outs[0]._data

    def op(
        self, raw: tuple[Any, ...], ids: tuple[int, ...], figures: list[Figures], seen: Any
    ) -> None:
        if not raw[11] or figures[0].count < 2 or raw[4] in _RELUS:
            return  # of a dead ReLU another rule says more
        key = (raw[4], raw[10][0], id(raw[8]), raw[9])
        row = self._row.get(key, 0)
        if row < 0:
            return
        if not _all_zero(figures[0], seen):
            self._row[key] = -1
            return
        self._row[key] = row + 1
        if row + 1 == self.set["steps"]:
            text = f"all {figures[0].count} elements were 0 in each of its first {row + 1} calls"
            self.found(self.watch.subject(raw), self.watch.place(raw), text)


class _LossNotFalling(Rule):
    name = "loss_not_falling"
    advice = (
        "other learning rates (ten times more, ten times less), fit one batch first, see that "
        "zero_grad is called, and that inputs and labels belong together"
    )

    def __init__(self, watch: Watch, settings: Settings) -> None:
        super().__init__(watch, settings)
        self._losses: dict[Any, list[float]] = {}
        self._now: dict[Any, tuple[float, str]] = {}

    def backward(self, raw: tuple[Any, ...], loss: float | None) -> None:
        if loss is not None:
            self._now[(id(raw[4]), raw[5])] = (loss, self.watch.place_of(raw[4], raw[5]))

    def step(self) -> None:
        now, self._now = self._now, {}
        for key, (value, place) in now.items():
            losses = self._losses.setdefault(key, [])
            if len(losses) >= self.set["steps"] or not math.isfinite(value):
                continue
            losses.append(value)
            if len(losses) == self.set["steps"] and not self.watch.adversarial:
                self._judge(losses, place)

    def _judge(self, losses: list[float], place: str) -> None:
        count = len(losses)
        first = statistics.median(losses[: max(1, count // 10)])
        last = statistics.median(losses[-max(1, count // 4) :])
        if min(losses) < 0 < max(losses):
            return  # no distance to a best value: a reward's, not an error
        if last > first - self.set["fall"] * abs(first):
            text = (
                f"{first:.4g} in the first steps, {last:.4g} after {count} steps; it should fall "
                f"by {self.set['fall']:.0%}"
            )
            self.found("the loss", place, text)


class _ExplodingLoss(Rule):
    name = "exploding_loss"
    advice = (
        "look at the update before it: a smaller learning rate, a schedule without jumps, "
        "torch.nn.utils.clip_grad_norm_, or a batch that is not like the others"
    )

    def __init__(self, watch: Watch, settings: Settings) -> None:
        super().__init__(watch, settings)
        self._before: dict[Any, deque[float]] = {}
        self._largest: dict[Any, float] = {}

    def backward(self, raw: tuple[Any, ...], loss: float | None) -> None:
        if loss is None:
            return
        value = abs(loss)
        if not math.isfinite(value):
            return  # other rules'
        key = (id(raw[4]), raw[5])
        before = self._before.setdefault(key, deque(maxlen=self.set["history"]))
        largest = self._largest.get(key, 0.0)
        usual = statistics.median(before) if len(before) == before.maxlen else math.inf
        jumped = value > self.set["growth"] * usual and value > self.set["above"] * largest
        if jumped and not self.watch.adversarial:
            text = (
                f"{value:.4g}, {value / max(usual, 1e-300):.3g} times the median of the "
                f"{len(before)} before; none was above {largest:.4g}"
            )
            self.found("the loss", self.watch.place_of(raw[4], raw[5]), text)
        self._largest[key] = max(largest, value)
        before.append(value)


class _PoorInitialisation(Rule):
    name = "poor_initialisation"
    advice = (
        "the layers' own initialisation, or torch.nn.init.kaiming_normal_ (before ReLU) and "
        "xavier_uniform_ (before tanh), so that the variance stays as it goes through"
    )

    def __init__(self, watch: Watch, settings: Settings) -> None:
        super().__init__(watch, settings)
        self._known: set[int] = set()
        self._same: dict[int, str] = {}  # weights that are one number throughout

    def look(self, raw: tuple[Any, ...], outs: tuple[Any, ...]) -> Any:
        """Nothing of the op's, but its weight as it is when it is first used."""
        places = _WEIGHT_OPS.get(raw[4])
        if places is None or not raw[11]:
            return
        for i in places:
            ident = raw[5][i] if i < len(raw[5]) else None
            if ident.__class__ is int and ident not in self._known:
                self._known.add(ident)
                weight = self.watch.recorder.leaves.get(ident)
                if weight is not None and weight.requires_grad and weight._data.ndim > 1:
                    call = functools.partial(self._judge, raw, ident, weight._data.shape, i)
                    self.watch.measured(call, weight._data, SPREAD | NORM | RANGE)

    def _judge(
        self, raw: tuple[Any, ...], ident: int, shape: Any, position: int, found: Figures
    ) -> None:
        name = self.watch.name(ident)
        if found.count < 8:
            return
        if found.low == found.high:
            self._same[ident] = name
            return
        scale = found.std * math.sqrt(_fan_in(raw[4], shape, position))
        for bad, limit, word in (
            (scale > self.set["largest"], self.set["largest"], "above"),
            (scale < self.set["smallest"], self.set["smallest"], "below"),
        ):
            if bad:
                text = (
                    f"standard deviation {found.std:.3g} times the root of its inputs is "
                    f"{scale:.3g}, {word} {limit:g}"
                )
                self.found(name, self.watch.place(raw), text)

    def update(self, param: Any, name: str, value: Figures, grad: Figures | None) -> None:
        """Units that are all alike and get the same gradient stay alike for ever."""
        known = self._same.pop(param._id, None) if self._same else None
        if known is None or param.grad is None:
            return
        rows = param.grad._data.reshape(param._data.shape[0], -1)
        if rows.shape[0] > 1 and _are_alike(rows, param.dtype):
            text = f"all its {value.count} elements are one number, and so is each unit's gradient"
            self.found(name, self.watch.used_at(param._id), text)


def _are_alike(rows: Any, dtype: Any) -> bool:
    """Whether the rows are one but for rounding, and not all zero.

    A product's last rows may be added up in another order than the others.
    """
    most, apart = abs(rows).max(), abs(rows - rows[:1]).max()
    return bool(most > 0) and bool(apart <= min(64 * dtypes.finfo(dtype).eps, 1e-3) * most)


RULES: dict[str, type[Rule]] = {
    rule.name: rule
    for rule in (
        _Nan, _Inf, _Exploding, _Vanishing, _ZeroGradient, _Unchanged, _DeadRelu, _Saturated,
        _ZeroOutput, _LossNotFalling, _ExplodingLoss, _PoorInitialisation,
    )
}  # fmt: skip


def _all_zero(f: Figures, array: Any) -> bool:
    """Is nothing but zeros in it? A sum of squares may be 0 because they are too small.

    Without the array its zeros were counted.
    """
    return f.squares == 0 and (
        f.zeros == f.count if array is None else not bool((array != 0).any())
    )


def _fan_in(op: str, shape: tuple[int, ...], position: int) -> int:
    """How many inputs each output sums over."""
    if op in ("mm", "matmul", "bmm", "addmm"):
        return shape[-2] if position else shape[-1]
    if op.startswith("conv_transpose"):
        return shape[0] * math.prod(shape[2:])
    return math.prod(shape[1:])
