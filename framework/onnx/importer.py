"""`load`: an ONNX file as a module that runs its nodes with our ops."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from framework import dtypes
from framework.nn.modules.module import Module
from framework.nn.parameter import Parameter
from framework.onnx import layers, movement, pointwise, reductions  # noqa: F401  enter their ops
from framework.onnx.checks import array_of, check_graph, read_model, shown
from framework.onnx.errors import OnnxError, package
from framework.onnx.pointwise import element
from framework.onnx.table import FROM_ONNX
from framework.tensor import Tensor, wrap

__all__ = ["ONNXModule", "load"]

_MOST = 1 << 31  # elements of a tensor whose size only the file's data determine


def load(path: Any) -> ONNXModule:
    """`framework.onnx.load`."""
    package()
    name = os.fspath(path)
    try:
        model = read_model(name)
        opset = check_graph(model)
        return ONNXModule(model, opset, name)
    except OnnxError as error:
        raise OnnxError(f"{name}: {error}") from None


class _Node:
    """What a reader of an op is told: its type, attributes and the opset."""

    def __init__(self, proto: Any, number: int, opset: int, folder: str) -> None:
        self.type, self.opset = proto.op_type, opset
        self.what = f"node {shown(proto.name or number)} ({self.type})"
        self.inputs, self.names = list(proto.input), list(proto.output)
        while self.names and not self.names[-1]:
            self.names.pop()
        self.outputs = len(self.names)
        self.attributes: dict[str, Any] = {}
        for a in proto.attribute:
            if a.name in self.attributes:
                raise OnnxError(f"{self.what} has the attribute {shown(a.name)} twice")
            self.attributes[a.name] = self._value(a, folder)

    def _value(self, a: Any, folder: str) -> Any:
        kind = a.AttributeType.Name(a.type) if a.type in a.AttributeType.values() else ""
        if kind in ("FLOAT", "INT"):
            return a.f if kind == "FLOAT" else a.i
        if kind in ("FLOATS", "INTS"):
            return list(a.floats if kind == "FLOATS" else a.ints)
        if kind == "STRING":
            return a.s.decode("utf-8", "replace")
        if kind == "STRINGS":
            return [s.decode("utf-8", "replace") for s in a.strings]
        if kind == "TENSOR":
            return wrap(array_of(a.t, folder))
        raise OnnxError(f"{self.what}: its attribute {shown(a.name)} is of a kind not supported")

    def attr(self, name: str, usual: Any) -> Any:
        """An attribute, or its usual value.

        Raises:
            OnnxError: it is of another type than the usual value.
        """
        value = self.attributes.get(name, usual)
        if usual is not None and value is not usual and type(value) is not type(usual):
            if isinstance(usual, range) and isinstance(value, list):
                return value
            raise OnnxError(f"the attribute {name!r} is of the wrong type")
        return value

    def bounded(self, sizes: Any) -> list[int]:
        """Sizes of a result that a file may ask for.

        Raises:
            OnnxError: they are negative or far too large.
        """
        sizes = [int(n) for n in sizes]
        total = 1
        for n in sizes:
            total *= max(n, 1)
            if n < 0 or total > _MOST:
                raise OnnxError(f"the result would have the impossible shape {sizes[:8]}")
        return sizes


class ONNXModule(Module):
    """The graph of an ONNX file; see `framework.onnx.load`."""

    def __init__(self, model: Any, opset: int, path: str) -> None:
        super().__init__()
        graph, folder = model.graph, os.path.dirname(path)
        self._path = path
        self._places: dict[str, tuple[Any, str]] = {}  # initializer: (module, attribute)
        moments = {n for node in graph.node if node.op_type == "BatchNormalization"
                   for n in node.input[3:5]}  # fmt: skip
        for proto in graph.initializer:
            self._add(proto.name, wrap(array_of(proto, folder)), proto.name in moments)
        self._nodes = [_Node(n, i, opset, folder) for i, n in enumerate(graph.node)]
        self._last = {}  # name: the last node that needs it
        for i, node in enumerate(self._nodes):
            self._last.update(dict.fromkeys(node.inputs, i))
        self._inputs = [(i.name, *_declared(i)) for i in graph.input if i.name not in self._places]
        self._outputs = [o.name for o in graph.output]

    @property
    def input_names(self) -> list[str]:
        """The names of the arguments."""
        return [name for name, _, _ in self._inputs]

    @property
    def output_names(self) -> list[str]:
        """The names of the results."""
        return list(self._outputs)

    def _add(self, name: str, tensor: Tensor, moment: bool) -> None:
        """Register an initializer under its name; dots lead into modules, as in a state dict."""
        *path, last = name.split(".")
        owner: Any = self
        trainable = tensor.dtype.category >= dtypes.FLOAT and tensor.ndim and not moment
        try:
            for part in path:
                inner = owner._modules.get(part)
                if inner is None:
                    inner = Module()
                    owner.add_module(part, inner)
                owner = inner
            if trainable:
                owner.register_parameter(last, Parameter(tensor))
            else:
                owner.register_buffer(last, tensor)
        except (KeyError, TypeError):  # no attribute can have that name
            owner, last = self, f"initializer_{len(self._places)}"
            if trainable:
                owner.register_parameter(last, Parameter(tensor))
            else:
                owner.register_buffer(last, tensor)
        self._places[name] = (owner, last)

    def forward(self, *args: Any) -> Any:
        values: dict[str, Any] = {"": None}
        if len(args) != len(self._inputs):
            raise OnnxError(
                f"{self._path}: the model has {len(self._inputs)} inputs "
                f"({', '.join(map(shown, self.input_names[:8]))}), but {len(args)} were given"
            )
        for (name, kind, shape), x in zip(self._inputs, args):
            self._check_input(name, kind, shape, x)
            values[name] = x
        for name, (owner, attribute) in self._places.items():
            values[name] = getattr(owner, attribute)
        kept = {*self._outputs, ""}
        for i, node in enumerate(self._nodes):
            self._run(node, values)
            for name in node.inputs:  # what nobody needs any more
                if self._last.get(name) == i and name not in kept:
                    values.pop(name, None)
        outs = tuple(values[name] for name in self._outputs)
        return outs[0] if len(outs) == 1 else outs

    def _check_input(self, name: str, kind: Any, shape: Any, x: Any) -> None:
        what = f"{self._path}: input {shown(name)}"
        if not isinstance(x, Tensor):
            raise OnnxError(f"{what} must be a tensor, not {type(x).__name__}")
        if kind is not None and x.dtype is not kind:
            raise OnnxError(f"{what} is declared as {kind}, but got {x.dtype}")
        if shape is not None and (
            len(shape) != x.ndim or any(n is not None and n != m for n, m in zip(shape, x.shape))
        ):
            wanted = ["?" if n is None else n for n in shape]
            raise OnnxError(f"{what} is declared with the shape {wanted}, but got {list(x.shape)}")

    def _run(self, node: _Node, values: dict[str, Any]) -> None:
        given = [values[name] for name in node.inputs]
        try:
            if node.type in _ONE_TYPE:
                _check_types(given)
            if node.type == "Constant":
                made = _constant(node)
            else:
                made = FROM_ONNX[node.type](node, *given)
        except OnnxError as error:
            raise OnnxError(f"{self._path}: {node.what}: {error}") from None
        except (
            RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError,
            ArithmeticError, NotImplementedError, MemoryError,
        ) as error:  # fmt: skip
            line = " ".join(str(error).split())[:300]
            raise OnnxError(f"{self._path}: {node.what} cannot be run: {line}") from error
        outs = made if isinstance(made, tuple) else (made,)
        if len(outs) < node.outputs:
            raise OnnxError(
                f"{self._path}: {node.what} has {node.outputs} outputs, not {len(outs)}"
            )
        values.update({n: o for n, o in zip(node.names, outs) if n})

    def extra_repr(self) -> str:
        return f"{os.path.basename(self._path)}, {len(self._nodes)} nodes"


# Ops whose inputs are all of one type; ours would promote them.
_ONE_TYPE = frozenset(
    "Add Sub Mul Div Min Max Sum Mean Less LessOrEqual Greater GreaterOrEqual Equal Mod MatMul "
    "Gemm Conv ConvTranspose Concat PRelu Einsum And Or Xor Range".split()
)


def _check_types(given: list[Any]) -> None:
    kinds = {x.dtype for x in given if x is not None}
    if len(kinds) > 1:
        raise OnnxError(f"its inputs are of several types: {', '.join(sorted(map(str, kinds)))}")


def _declared(info: Any) -> tuple[Any, Any]:
    """The dtype and shape of an input; None where it is not said."""
    if info.type.WhichOneof("value") != "tensor_type":
        raise OnnxError(f"the input {shown(info.name)} is no tensor")
    declared = info.type.tensor_type
    kind = element(declared.elem_type, f"the input {shown(info.name)}")
    if not declared.HasField("shape"):
        return kind, None
    return kind, [
        d.dim_value if d.HasField("dim_value") else None for d in declared.shape.dim
    ]  # fmt: skip


def _constant(node: _Node) -> Any:
    for key, kind in (
        ("value", None), ("value_float", np.float32), ("value_floats", np.float32),
        ("value_int", np.int64), ("value_ints", np.int64),
    ):  # fmt: skip
        value = node.attributes.get(key)
        if value is not None:
            return value if isinstance(value, Tensor) else wrap(np.asarray(value, kind))
    raise OnnxError("its value is of a kind not supported")
