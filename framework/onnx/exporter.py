"""`export`: run a model, and write what its ops did as an ONNX graph."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from framework.kernels import to_host
from framework.nn.modules.module import Module
from framework.onnx import TrainingMode, layers, movement, pointwise, reductions  # noqa: F401
from framework.onnx.capture import Call, Value
from framework.onnx.errors import OnnxExporterError, package
from framework.onnx.files import write
from framework.onnx.runs import Axes, Runs, as_wanted, equal
from framework.onnx.sizes import Constant, Size
from framework.onnx.table import TO_ONNX
from framework.onnx.writer import Writer
from framework.tensor import Tensor, wrap
from framework.utils._pytree import tree_flatten
from framework.version import tapebook

__all__ = ["ONNXProgram", "export_model"]

OLDEST, NEWEST = 18, 28  # opsets that our nodes are right for
USUAL = 20  # as PyTorch has it
_IR = 10  # what common runtimes read


class ONNXProgram:
    """An exported model: ``model_proto``, and `save`.

    A call of it runs the model in ONNX's own reference implementation.

    >>> import framework as torch
    >>> program = torch.onnx.export(torch.nn.ReLU(), (torch.ones(2),))
    >>> program(torch.tensor([-1.0, 3.0]))
    (tensor([0., 3.]),)
    """

    def __init__(self, proto: Any, weights: dict[str, Any]) -> None:
        self._proto, self._weights = proto, weights

    @property
    def model_proto(self) -> Any:
        """The ``onnx.ModelProto``, with the weights in it."""
        made = type(self._proto)()
        made.CopyFrom(self._proto)
        for initializer in made.graph.initializer:
            array = self._weights[initializer.name]
            initializer.raw_data = np.ascontiguousarray(array).tobytes()
        return made

    def save(self, destination: Any, *, external_data: bool | None = None) -> None:
        """Write it to a file, all of it or nothing.

        Args:
            external_data: put the weights into a second file, ``destination`` with ".data" at its
                end. By default only what does not fit into one file (2 GB).
        """
        write(os.fspath(destination), self._proto, self._weights, external_data)

    def __call__(self, *args: Any) -> Any:
        """Run it with ONNX's own reference implementation, to compare."""
        evaluator = package("onnx.reference").ReferenceEvaluator(self.model_proto)
        leaves = [x for x in tree_flatten(args)[0] if isinstance(x, Tensor)]
        names = [i.name for i in self._proto.graph.input]
        given = {n: t.detach().cpu()._data for n, t in zip(names, leaves)}
        return tuple(wrap(np.asarray(a)) for a in evaluator.run(None, given))


def export_model(
    model: Any, args: Any, f: Any, kwargs: Any, verbose: Any, input_names: Any, output_names: Any,
    opset_version: Any, external_data: bool, dynamic_shapes: Any, export_params: bool,
    keep_initializers_as_inputs: bool, dynamic_axes: Any, training: Any, do_constant_folding: bool,
) -> ONNXProgram:  # fmt: skip
    """`framework.onnx.export`, which documents the arguments."""
    package()
    if not isinstance(model, Module):
        raise TypeError(f"export: model must be an nn.Module, not {type(model).__name__}")
    opset = USUAL if opset_version is None else opset_version
    if not OLDEST <= opset <= NEWEST:
        raise ValueError(f"Unsupported ONNX opset version: {opset} (known are {OLDEST}..{NEWEST})")
    args = args if isinstance(args, tuple) else (args,)
    leaves, spec = tree_flatten((args, dict(kwargs or {})))
    at = [i for i, x in enumerate(leaves) if isinstance(x, Tensor)]
    names = _input_names(model, args, kwargs or {}, input_names)
    wanted = _by_name(dynamic_axes) | _from_shapes(names, dynamic_shapes)
    axes = _axes(names, [leaves[i] for i in at], wanted)
    runs = Runs(model, leaves, spec, at, names, do_constant_folding)
    with as_wanted(model, training):
        runs.run_at_sizes(axes)
    return _Graph(runs, axes, wanted, opset).program(
        f, output_names, export_params, keep_initializers_as_inputs, external_data, bool(verbose)
    )


def verify(program: ONNXProgram, model: Any, args: Any, kwargs: Any) -> None:
    """Compare what ONNX's reference implementation makes of a program with the model's results.

    Raises:
        OnnxExporterError: an output differs.
    """
    args = args if isinstance(args, tuple) else (args,)
    with as_wanted(model, TrainingMode.EVAL):
        wanted = [x for x in tree_flatten(model(*args, **kwargs))[0] if x is not None]
    for i, (ours, theirs) in enumerate(zip(wanted, program(args, kwargs))):
        if not ours.isclose(theirs, 1e-4, 1e-5, equal_nan=True).all():
            raise OnnxExporterError(f"export: output {i} of the written graph differs")


def _input_names(model: Any, args: Any, kwargs: Any, given: Any) -> list[str]:
    """Names of the tensors among the arguments: as given, else as `forward` calls them."""
    called = [
        p.name for p in inspect.signature(model.forward).parameters.values()
        if p.kind is p.POSITIONAL_OR_KEYWORD or p.kind is p.POSITIONAL_ONLY
    ]  # fmt: skip
    called += [f"input_{i}" for i in range(len(called), len(args))]
    names = []
    pairs = [*zip(called, args), *kwargs.items()]
    for name, value in pairs:
        flat = tree_flatten(value)[0]
        single = len(flat) == 1 and isinstance(value, Tensor)
        names += [
            name if single else f"{name}_{k}" for k, x in enumerate(flat) if isinstance(x, Tensor)
        ]
    given = list(given or ())
    if len(given) > len(names):
        raise ValueError(
            f"number of input names provided ({len(given)}) exceeded number of inputs "
            f"({len(names)})"
        )
    names[: len(given)] = given
    if len(set(names)) < len(names):
        raise ValueError(f"two inputs have the same name among {names}")
    return names


# -- dynamic axes ----------------------------------------------------------------------------


Names = dict[str, dict[int, str]]  # name of an input or output: {axis: its name}


def _by_name(given: Any) -> Names:
    """``dynamic_axes`` with a name for each axis."""
    wanted = {}
    for name, dims in (given or {}).items():
        if not isinstance(dims, Mapping):
            dims = {d: f"{name}_dynamic_axes_{k}" for k, d in enumerate(dims, 1)}
        wanted[name] = {int(d): str(n) for d, n in dims.items()}
    return wanted


def _axes(names: list[str], tensors: list[Any], wanted: Names) -> Axes:
    """The dynamic axes of the inputs; those of the outputs follow from them."""
    found: Axes = {}
    for name, dims in wanted.items():
        if name not in names:
            continue
        i = names.index(name)
        for d, axis in dims.items():
            rank = tensors[i].ndim
            if not -rank <= d < rank:
                raise ValueError(f"dynamic_axes: input {name!r} has no dimension {d}")
            found.setdefault(axis, []).append((i, d % rank))
    for axis, places in found.items():
        sizes = {tensors[i].shape[d] for i, d in places}
        if len(sizes) > 1:
            raise ValueError(f"the dynamic axis {axis!r} has different sizes: {sorted(sizes)}")
    return found


def _from_shapes(names: list[str], shapes: Any) -> Names:
    """``dynamic_shapes``, nested as the inputs are, as dynamic axes by input."""
    flat: list[Any] = []

    def walk(part: Any) -> None:
        if part is None or (isinstance(part, Mapping) and all(isinstance(k, int) for k in part)):
            flat.append(part)
        elif isinstance(part, Mapping):
            for p in part.values():
                walk(p)
        elif isinstance(part, (tuple, list)):
            if part and all(p is None or isinstance(p, (str, int)) for p in part):
                flat.append({d: p for d, p in enumerate(part) if isinstance(p, str)})
            else:
                for p in part:
                    walk(p)
        else:
            raise TypeError(f"dynamic_shapes: {part!r} is no dict of axes")

    if isinstance(shapes, Mapping) and set(shapes) <= set(names):
        flat = [shapes.get(n) for n in names]
    elif shapes is not None:
        walk(shapes)
    return {
        name: {
            d: getattr(a, "__name__", None) or (a if isinstance(a, str) else f"{name}_dim_{d}")
            for d, a in dims.items() if a is not None and not isinstance(a, int)
        }
        for name, dims in zip(names, flat) if dims
    }  # fmt: skip


# -- writing ---------------------------------------------------------------------------------


class _Graph:
    """The graph of what was captured."""

    def __init__(self, runs: Runs, axes: Axes, wanted: Names, opset: int) -> None:
        self.wanted = wanted
        self.runs, self.capture, self.opset = runs, runs.capture, opset
        self.writer = Writer(opset)
        self.rows = {
            self._row(self.capture.inputs[i], d): name
            for name, places in axes.items() for i, d in places
        }  # fmt: skip

    def _row(self, value: Value, axis: int) -> tuple[int, ...]:
        return tuple([s[axis] for s in value.shapes])

    def program(
        self, f: Any, output_names: Any, export_params: bool, as_inputs: bool, external: bool,
        verbose: bool,
    ) -> ONNXProgram:  # fmt: skip
        w, helper = self.writer, self.writer.helper
        for value in self.capture.inputs:
            w.set_name(value, w.reserve(value.name))
        for name, _ in self.runs.weights:
            if w.reserve(name) != name:
                raise OnnxExporterError(f"an input and a parameter are both named {name!r}")
        self._write(self._needed())
        outputs = self._outputs(output_names)
        known = {i.name for i in outputs} | set(self.runs.names)
        for name in self.wanted.keys() - known:
            warnings.warn(
                f"Provided key {name} for dynamic axes is not a valid input/output name",
                UserWarning,
                stacklevel=4,
            )
        weights = {n: to_host(v.array) for n, v in w.weights.items()}
        infos = [self._info(v.name, v) for v in self.capture.inputs]
        states = [self._info(n, v) for n, v in w.weights.items()]
        initializers = [
            w.onnx.TensorProto(name=n, data_type=w.element(a.dtype), dims=a.shape)
            for n, a in weights.items()
        ]
        if not export_params:
            infos, initializers, weights = [*infos, *states], [], {}
        elif as_inputs:
            infos = [*infos, *states]
        graph = helper.make_graph(w.nodes, "main_graph", infos, outputs, initializers)
        model = helper.make_model(
            graph, producer_name="tapebook", producer_version=tapebook, ir_version=_IR,
            opset_imports=[helper.make_opsetid("", self.opset)],
        )  # fmt: skip
        _checked(model)
        made = ONNXProgram(model, weights)
        if verbose:
            print(package("onnx.printer").to_text(made.model_proto))  # noqa: T201
        if f is None:
            return made
        if hasattr(f, "write"):
            f.write(made.model_proto.SerializeToString())
        else:
            made.save(f, external_data=None if external else False)
        return made

    def _needed(self) -> list[Call]:
        """The calls that the outputs depend on, in their order."""
        wanted = set(self.runs.outputs)
        found = []
        for call in reversed(self.capture.calls):
            call.used = wanted.intersection(call.outs)
            if not call.used:
                continue
            if all(o.kind == "constant" for o in call.outs):
                if not self._changes(call.outs):
                    continue
                if all(o in self.runs.recipes for o in call.outs):
                    for o in call.outs:
                        wanted.update(v for v in _dims_of(self.runs.recipes[o]))
                    found.append(call)
                    continue
            found.append(call)
            for a in call.args:
                if isinstance(a, Value):
                    wanted.add(a)
                    if a in self.runs.recipes:
                        wanted.update(_dims_of(self.runs.recipes[a]))
            wanted.update(call.needs)
        return found[::-1]

    def _changes(self, outs: list[Value]) -> bool:
        return any(not equal(o.arrays[0], a) for o in outs for a in o.arrays[1:])

    def _write(self, calls: list[Call]) -> None:
        w = self.writer
        problems: list[str] = []
        for call in calls:
            recipes = [self.runs.recipes.get(o) for o in call.outs]
            write = TO_ONNX.get(call.op)
            reason = self.runs.problems.get(call)
            if reason is None and write is None and None in recipes:
                reason = "has no translation"
            if reason is None and not problems:
                w.place = call.place
                try:
                    self._write_one(call, recipes, write)
                    continue
                except OnnxExporterError as error:
                    reason = str(error)
            if reason is not None:
                problems.append(f"{call.op} ({call.place or 'unknown line'}): {reason}")
        if problems:
            lines = list(dict.fromkeys(problems))
            raise OnnxExporterError("cannot be written as ONNX: " + "; ".join(lines))
        w.place = ""

    def _write_one(self, call: Call, recipes: list[Any], write: Any) -> None:
        w = self.writer
        if None not in recipes:
            for out, recipe in zip(call.outs, recipes):
                w.set_name(out, w.made(out, recipe))
            return
        for a in call.args:
            if isinstance(a, Value) and a in self.runs.recipes and not w.has(a):
                w.set_name(a, w.made(a, self.runs.recipes[a]))
        made = write(w, call)
        for out, name in zip(call.outs, (made,) if isinstance(made, str) else made):
            w.set_name(out, name)

    def _outputs(self, given: Any) -> list[Any]:
        w = self.writer
        outs = self.runs.outputs
        given = list(given or ())
        if len(given) > len(outs):
            raise ValueError(
                f"number of output names provided ({len(given)}) exceeded number of outputs "
                f"({len(outs)})"
            )
        usual = ["output"] if len(outs) == 1 else [f"output_{i}" for i in range(len(outs))]
        infos = []
        for value, name in zip(outs, [*given, *usual[len(given) :]]):
            if value in self.runs.recipes and not w.has(value):
                w.set_name(value, w.made(value, self.runs.recipes[value]))
            made = w.reserve(name)
            if made != name:
                raise OnnxExporterError(f"the name {name!r} of an output is taken")
            w.output("Identity", w.name(value), name)
            infos.append(self._info(name, value))
        return infos

    def _info(self, name: str, value: Value) -> Any:
        shape: list[Any] = []
        for axis, size in enumerate(value.shape):
            row = self._row(value, axis)
            if len(set(row)) <= 1:
                shape.append(size)
            else:
                dims = self.wanted.get(name, {})
                given = dims.get(axis) or dims.get(axis - len(value.shape))
                shape.append(given or self.rows.get(row) or f"{name}_dim_{axis}")
        return self.writer.helper.make_tensor_value_info(
            name, self.writer.element(value.dtype), shape
        )


def _checked(model: Any) -> None:
    """Let ONNX's own inference of types and shapes look at a model (without its weights' values).

    Raises:
        OnnxExporterError: a node is given what ONNX has no such node for, as a type of elements.
    """
    inference = package("onnx.shape_inference")
    try:
        inference.infer_shapes(model, check_type=True, strict_mode=True)
    except inference.InferenceError as error:
        line = " ".join(str(error).split())[:300]
        raise OnnxExporterError(f"cannot be written as ONNX: {line}") from None


def _dims_of(recipe: Constant) -> list[Value]:
    return [v for s in recipe.shape if isinstance(s, Size) for v, _ in s.dims]
