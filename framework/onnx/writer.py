"""Nodes of an ONNX graph, added one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework import dtypes
from framework.kernels import to_host
from framework.onnx.capture import Call, Value
from framework.onnx.errors import OnnxExporterError, package
from framework.onnx.sizes import Constant, Size

__all__ = ["ELEMENTS", "Writer"]

# Name of a dtype of ours: the number that ONNX has for it (TensorProto.DataType).
ELEMENTS = {
    "float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7,
    "bool": 9, "float16": 10, "float64": 11, "uint32": 12, "uint64": 13, "bfloat16": 16,
}  # fmt: skip


class Writer:
    """The nodes and initializers that are written.

    Names of nodes' outputs are made here; values have theirs once they are written.
    """

    def __init__(self, opset: int) -> None:
        self.onnx = package()
        self.helper = package("onnx.helper")
        self.opset = opset
        self.nodes: list[Any] = []
        self.weights: dict[str, Value] = {}
        self._names: dict[Value, str] = {}
        self._taken: set[str] = set()
        self._constants: dict[Any, str] = {}
        self._dims: dict[tuple[Value, int], str] = {}
        self.place = ""

    # -- names ------------------------------------------------------------------------------

    def reserve(self, name: str) -> str:
        """``name``, or one like it that is not taken yet."""
        found, n = name, 0
        while found in self._taken:
            n += 1
            found = f"{name}_{n}"
        self._taken.add(found)
        return found

    def set_name(self, value: Value, name: str) -> None:
        """A value is written: it is the output ``name``."""
        self._names[value] = name

    def has(self, value: Value) -> bool:
        """Whether a value is written."""
        return value in self._names

    def name(self, value: Value) -> str:
        """The name of a value; constants and weights are written when first asked for."""
        found = self._names.get(value)
        if found is None:
            if value.kind == "weight":
                found = value.name
                self.weights[found] = value
            else:
                found = self.constant(value.array)
            self._names[value] = found
        return found

    # -- nodes ------------------------------------------------------------------------------

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output; its name."""
        return self.several(op, 1, *inputs, **attributes)[0]

    def several(self, op: str, outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add a node with several outputs; their names."""
        given = list(inputs)
        while given and not given[-1]:
            given.pop()
        names = [self.reserve(f"{op.lower()}_{len(self.nodes)}") for _ in range(outputs)]
        node = self.helper.make_node(op, given, names, name=f"{op}_{len(self.nodes)}", **attributes)
        if self.place:
            node.doc_string = self.place
        self.nodes.append(node)
        return names

    def output(self, op: str, source: str, name: str) -> None:
        """Add a node whose output has a given name."""
        self.nodes.append(self.helper.make_node(op, [source], [name], name=f"{op}_{name}"))

    def constant(self, value: Any, dtype: Any = None) -> str:
        """A node that makes a constant of an array, number or list."""
        array = np.asarray(value, dtype)
        key = (array.tobytes(), array.dtype, array.shape) if array.nbytes <= 256 else None
        found = self._constants.get(key) if key is not None else None
        if found is None:
            found = self.node("Constant", value=self.tensor("", array))
            if key is not None:
                self._constants[key] = found
        return found

    def ints(self, values: Any) -> str:
        """A 1-d int64 constant."""
        return self.constant(np.asarray(list(values), np.int64))

    def tensor(self, name: str, array: Any) -> Any:
        """An array as a TensorProto."""
        proto = self.onnx.TensorProto(
            name=name, data_type=self.element(array.dtype), dims=array.shape
        )
        proto.raw_data = np.ascontiguousarray(to_host(array)).tobytes()
        return proto

    def element(self, dtype: Any) -> int:
        """ONNX's number of a NumPy dtype.

        Raises:
            OnnxExporterError: it has none (complex numbers).
        """
        name = dtypes.from_numpy_dtype[np.dtype(dtype)].name
        if name not in ELEMENTS:
            raise OnnxExporterError(f"ONNX has no operators for {name} tensors")
        return ELEMENTS[name]

    def cast(self, name: str, have: Any, want: Any) -> str:
        """``name`` in another dtype, which is a NumPy one."""
        return name if have == want else self.node("Cast", name, to=self.element(want))

    # -- arguments --------------------------------------------------------------------------

    def arg(self, call: Call, i: int, dtype: Any = None) -> str:
        """Argument ``i`` of a call, in a dtype if one is given; "" for None."""
        value = call.args[i]
        if value is None:
            return ""
        if isinstance(value, Value):
            return self.cast(self.name(value), value.dtype, np.dtype(dtype or value.dtype))
        kind = np.dtype(dtype or np.float32)
        if isinstance(value, Size):
            size = self.node("Squeeze", self.dim(value), self.ints([0]))
            return self.cast(size, np.dtype(np.int64), kind)
        return self.constant(value, kind)

    def args(self, call: Call, dtype: Any = None) -> list[str]:
        """All arguments in one dtype, by default the result's."""
        kind = dtype or call.outs[0].dtype
        return [self.arg(call, i, kind) for i in range(len(call.args))]

    # -- sizes ------------------------------------------------------------------------------

    def dim(self, size: Any) -> str:
        """A number or size as int64 of shape (1,)."""
        if not isinstance(size, Size):
            return self.ints([size])
        parts = [self._dim(*d) for d in size.dims]
        made = parts[0] if len(parts) == 1 else self.node("Mul", *parts)
        if size.factor != 1:
            made = self.node("Mul", made, self.ints([size.factor]))
        if size.offset:
            made = self.node("Add", made, self.ints([size.offset]))
        if size.divisor != 1:
            made = self.node("Div", made, self.ints([size.divisor]))
        if size.more:
            made = self.node("Add", made, self.ints([size.more]))
        return made

    def _dim(self, value: Value, axis: int) -> str:
        found = self._dims.get((value, axis))
        if found is None:
            found = self.node("Shape", self.name(value), start=axis, end=axis + 1)
            self._dims[value, axis] = found
        return found

    def dims(self, sizes: Any) -> str:
        """Numbers and sizes as one 1-d int64."""
        sizes = list(sizes)
        if not any(isinstance(s, Size) for s in sizes):
            return self.ints(sizes)
        parts = [self.dim(s) for s in sizes]
        return parts[0] if len(parts) == 1 else self.node("Concat", *parts, axis=0)

    def reshape(self, name: str, sizes: Any) -> str:
        """``name`` in another shape; a single unknown size is left to the reader."""
        sizes = list(sizes)
        unknown = [i for i, s in enumerate(sizes) if isinstance(s, Size)]
        if len(unknown) == 1 and 0 not in sizes:
            sizes[unknown[0]] = -1
        zero = {"allowzero": 1} if 0 in sizes else {}
        return self.node("Reshape", name, self.dims(sizes), **zero)

    def made(self, value: Value, recipe: Constant) -> str:
        """A constant whose shape depends on dynamic axes."""
        kind = value.dtype
        if recipe.kind == "range":
            count = self.node("Squeeze", self.dim(recipe.shape[0]), self.ints([0]))
            whole = np.dtype(np.int64) if kind.kind in "iu" else np.dtype(np.float32)
            steps = self.node(
                "Range", self.constant(0, np.int64), count, self.constant(1, np.int64)
            )
            made = self.cast(steps, np.dtype(np.int64), whole)
            if recipe.step != 1:
                made = self.node("Mul", made, self.constant(recipe.step, whole))
            if recipe.first:
                made = self.node("Add", made, self.constant(recipe.first, whole))
            return self.cast(made, whole, kind)
        filled = self.node("Expand", self.constant(recipe.first, kind), self.dims(recipe.shape))
        if recipe.kind == "fill":
            return filled
        lower = self.node("Trilu", filled, upper=0)
        return lower if recipe.kind == "triangle" else self.node("Trilu", lower, upper=1)
