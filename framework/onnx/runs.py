"""Running a model for `export`: with its arguments, and with dynamic axes at other sizes."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

from framework import random
from framework.core.modes import no_grad
from framework.kernels import module_of
from framework.nn.modules.rnn import RNNBase
from framework.onnx import TrainingMode
from framework.onnx.capture import Call, Capture, Value
from framework.onnx.errors import OnnxExporterError
from framework.onnx.sizes import BESIDE, Constant, Sizes, explain, same
from framework.ops.dropout import dropout
from framework.ops.joining import cat, stack
from framework.ops.recurrent import layers
from framework.tensor import Tensor, wrap
from framework.utils._pytree import tree_flatten, tree_unflatten

__all__ = ["Axes", "Runs", "as_wanted", "equal"]

Axes = dict[str, list[tuple[int, int]]]  # name of an axis: (number of the input, axis)

# How much longer a dynamic axis is made, or shorter: the first that the model can have, twice too.
_STEPS = (1, -1, 2, 3, 4, 5, 6, 7, 8, 16, 32)

_RANDOM = frozenset({
    "rand", "randn", "randint", "randperm", "dropout", "normal", "bernoulli", "poisson", "binomial",
    "multinomial", "uniform_", "normal_", "log_normal_", "exponential_", "cauchy_", "geometric_",
    "bernoulli_", "random_",
})  # fmt: skip


@contextlib.contextmanager
def as_wanted(model: Any, training: Any) -> Iterator[None]:
    """The model in the wanted mode, without autograd; then as it was, buffers too."""
    modes = {m: m.training for m in model.modules()}
    buffers = [(b, b._data.copy()) for b in model.buffers()]
    stream = random.get_rng_state()
    if training is not None and training != TrainingMode.PRESERVE:
        model.train(training == TrainingMode.TRAINING)
    try:
        with no_grad():
            yield
    finally:
        for module, was in modes.items():
            module.training = was
        for buffer, array in buffers:
            buffer._data[...] = array
        random.set_rng_state(stream)


class Runs:
    """A model, run with its arguments and then with the dynamic axes at other sizes."""

    def __init__(
        self, model: Any, leaves: list[Any], spec: Any, at: list[int], names: list[str], fold: bool
    ) -> None:  # fmt: skip
        self.model, self.leaves, self.spec, self.at, self.names = model, leaves, spec, at, names
        self.fold, self.stream = fold, random.get_rng_state()
        self.problems: dict[Call, str] = {}
        self.recipes: dict[Value, Constant] = {}
        self.weights = [*model.named_parameters(), *model.named_buffers()]

    def run(self, tensors: list[Any]) -> tuple[Capture, list[Value]]:
        """What the model does with these tensors, and the values that it returns."""
        leaves = list(self.leaves)
        for i, t in zip(self.at, tensors):
            leaves[i] = t
        args, kwargs = tree_unflatten(leaves, self.spec)
        random.set_rng_state(self.stream)
        capture = Capture(zip(self.names, tensors), self.weights, self.fold, _RANDOM)
        with _recurrent(self.model, capture), capture:
            result = self.model(*args, **kwargs)
            flat = [x for x in tree_flatten(result)[0] if x is not None]
            for x in flat:
                if not isinstance(x, Tensor):
                    raise OnnxExporterError(
                        f"the model returns a {type(x).__name__}: only tensors can be outputs"
                    )
            outs = [capture.value(x) for x in flat]
        return capture, outs

    def run_at_sizes(self, axes: Axes) -> None:
        first = [wrap(self.leaves[i]._data.copy(), self.leaves[i]._device) for i in self.at]
        self.capture, self.outputs = self.run(first)
        self._warn_of_values(first)
        others = []
        steps = {}
        for axis in axes:
            steps[axis], run = self._at_other_size(first, axes, axis)
            others.append(run)
        if axes:
            both = {axis: 2 * step for axis, step in steps.items()}
            others.append(self.run(_resized(first, axes, both)))
        self._align([o for o, _ in others])
        for value in (*self.capture.inputs, *_values(self.capture)):
            if not value.shapes:
                value.shapes.append(value.shape)
        sizes = Sizes()
        for value in self.capture.inputs:
            sizes.add(value)
        self.problems = explain(self.capture.calls, [o.calls for o, _ in others], sizes)
        for value in self.capture.constants:
            if any(not equal(value.arrays[0], a) for a in value.arrays[1:]):
                try:
                    self.recipes[value] = sizes.constant(value)
                except OnnxExporterError as error:
                    call = value.call or next(
                        c for c in self.capture.calls if value in c.args
                    )  # fmt: skip
                    if value.call is None or not any(isinstance(a, Value) for a in call.args):
                        self.problems.setdefault(call, str(error))
                    value.kind = "result" if value.call is not None else value.kind

    def _warn_of_values(self, first: list[Any]) -> None:
        """Run with the inputs' elements in another order, to see what depends on their values."""
        turned = [
            wrap(t._data.reshape(-1)[::-1].reshape(t._data.shape).copy(), t._device) for t in first
        ]
        try:
            other, _ = self.run(turned)
        except Exception:  # the model may refuse such inputs in any way
            return
        place = _first_difference(self.capture.calls, other.calls)
        if place is not None:
            warnings.warn(
                "export: what the model does depends on the values of its inputs where it leaves "
                f"tensor operations (as if, item() and numpy() do), at {place or 'its end'}; the "
                "written graph always does what it did for the given ones",
                UserWarning,
                stacklevel=5,
            )

    def _at_other_size(self, first: Any, axes: Axes, axis: str) -> tuple[int, Any]:
        """A run with one axis a little longer, or shorter where the model cannot have that."""
        size = first[axes[axis][0][0]].shape[axes[axis][0][1]]
        for step in _STEPS:
            if size + 2 * step < 1:
                continue
            try:
                self.run(_resized(first, axes, {axis: 2 * step}))
                return step, self.run(_resized(first, axes, {axis: step}))
            except (RuntimeError, ValueError, IndexError, AssertionError, TypeError) as error:
                problem = error
        raise OnnxExporterError(
            f"the model does not run with another size than {size} of the dynamic axis {axis!r}: "
            f"{problem}"
        )

    def _align(self, others: list[Capture]) -> None:
        """Give each value of the first run its shapes, and constants their arrays, in all runs."""
        base = self.capture
        for value in _values(base):
            value.shapes.append(value.shape)
        for value in base.constants:
            value.arrays.append(value.array)
        for other in others:
            met: dict[Value, Value] = {}
            if len(other.calls) != len(base.calls):
                self._differs(base, other)
            for a, b in zip(base.inputs, other.inputs):
                _pair(a, b, met)
            for one, two in zip(base.calls, other.calls):
                if one.op != two.op or len(one.args) != len(two.args):
                    self._differs(base, other)
                for a, b in zip([*one.args, *one.outs], [*two.args, *two.outs]):
                    if isinstance(a, Value) is not isinstance(b, Value):
                        self._differs(base, other)
                    if isinstance(a, Value) and met.get(a) is not b:
                        if a in met:
                            self._differs(base, other)
                        _pair(a, b, met)

    def _differs(self, base: Capture, other: Capture) -> None:
        for one, two in zip(base.calls, other.calls):
            if one.op != two.op:
                raise OnnxExporterError(
                    "the ops that the model applies depend on the size of a dynamic axis: "
                    f"{one.op} ({one.place}) was {two.op} ({two.place}) at another size"
                )
        raise OnnxExporterError(
            "the ops that the model applies depend on the size of a dynamic axis: there were "
            f"{len(base.calls)}, and {len(other.calls)} at another size"
        )


def _first_difference(calls: list[Call], others: list[Call]) -> str | None:
    """The place of the first call that has another op, number or constant; None if none has."""
    for one, two in zip(calls, others):
        if one.op != two.op or len(one.args) != len(two.args):
            return one.place
        for a, b in zip(one.args, two.args):
            if isinstance(a, Value) and isinstance(b, Value):
                if a.call is None and a.kind == "constant" and not equal(a.array, b.array):
                    return one.place
            elif not same(a, b):
                return one.place
        if any(key not in BESIDE and not same(v, two.meta.get(key)) for key, v in one.meta.items()):
            return one.place
    return None if len(calls) == len(others) else ""


def _pair(a: Value, b: Value, met: dict[Value, Value]) -> None:
    met[a] = b
    if a.kind != "weight":
        a.shapes.append(b.shape)
        if a.kind == "constant":
            a.arrays.append(b.array)


def _values(capture: Capture) -> list[Value]:
    seen: dict[Value, None] = dict.fromkeys(capture.inputs)
    for call in capture.calls:
        seen.update(dict.fromkeys(v for v in (*call.args, *call.outs) if isinstance(v, Value)))
    return list(seen)


def equal(a: Any, b: Any) -> bool:
    return a.shape == b.shape and a.tobytes() == b.tobytes()


def _resized(tensors: list[Any], axes: Axes, steps: dict[str, int]) -> list[Any]:
    """The tensors with their elements repeated along longer axes, cut off along shorter ones."""
    arrays = [t._data for t in tensors]
    for axis, step in steps.items():
        for i, d in axes[axis]:
            size = arrays[i].shape[d]
            places = module_of(arrays[i]).arange(size + step) % max(size, 1)
            arrays[i] = arrays[i].take(places, axis=d)
    return [wrap(a.copy(), t._device) for a, t in zip(arrays, tensors)]


@contextlib.contextmanager
def _recurrent(model: Any, capture: Capture) -> Iterator[None]:
    """Recurrent layers become ONNX's nodes for them, whatever the length of the sequence."""
    found = [m for m in model.modules() if isinstance(m, RNNBase) and not m.proj_size]
    for module in found:
        module.__dict__["_layers"] = _Recurrent(module, capture)
    try:
        yield
    finally:
        for module in found:
            del module.__dict__["_layers"]


class _Recurrent:
    """Runs the layers of an `RNNBase`, one call per layer and direction."""

    def __init__(self, module: Any, capture: Capture) -> None:
        self.module, self.capture = module, capture

    def __call__(self, input: Any, given: list[Any], sizes: Any) -> tuple[Any, tuple[Any, ...]]:
        m = self.module
        if sizes is not None:
            raise OnnxExporterError("packed sequences cannot be exported")
        finals = []
        for layer in range(m.num_layers):
            ways = []
            for way in range(m._directions):
                at = layer * m._directions + way
                out, *final = self._one_way(input, [p[at] for p in given], m.all_weights[at], way)
                ways.append(out)
                finals.append(final)
            input = ways[0] if len(ways) == 1 else cat(ways, -1)
            if m.dropout and m.training and layer < m.num_layers - 1:
                input = dropout(input, m.dropout, True)
        return input, tuple(stack([f[k] for f in finals], 0) for k in range(len(given)))

    def _one_way(self, input: Any, state: list[Any], weights: list[Any], way: int) -> Any:
        m = self.module

        def run() -> tuple[Any, ...]:
            given = input.flip(0) if way else input
            out, last = layers(m.mode, given, [s.unsqueeze(0) for s in state], [weights], m.bias, 1,
                               0.0, None)  # fmt: skip
            return (out.flip(0) if way else out, *[p.squeeze(0) for p in last])

        meta = {"mode": m.mode, "hidden": m.hidden_size, "parts": len(state), "reverse": bool(way)}
        return self.capture.run_as("recurrent", [input, *state, *weights], meta, run)
