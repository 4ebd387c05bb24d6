"""A stand-in for NVIDIA's Python front end of cuDNN, as strict as that, for the stand-in of CuPy.

Put this folder, too, in front of the path of a process. A graph is described as there (1.9 to 1.13,
whose enumerations and signatures these are), must be built in that order and knows its tensors by
their uids only; it reads and writes the addresses that it is given, by the sizes and strides that
the graph was told. Arithmetic is that of the CPU's kernels. What it does not show: which plans a
library has for a device, and speed.
"""

from __future__ import annotations

import ctypes
import enum
from typing import Any

import numpy as np

__version__ = "1.13.0"


class data_type(enum.Enum):
    NOT_SET = 0
    HALF = 1
    BFLOAT16 = 2
    FLOAT = 3
    DOUBLE = 4


class heur_mode(enum.Enum):
    A = 0
    B = 1
    FALLBACK = 2


class build_plan_policy(enum.Enum):
    HEURISTICS_CHOICE = 0
    ALL = 1


class numerical_note(enum.Enum):
    TENSOR_CORE = 0
    DOWN_CONVERT_INPUTS = 1
    REDUCED_PRECISION_REDUCTION = 2
    FFT = 3
    NONDETERMINISTIC = 4
    WINOGRAD = 5


class cudnnGraphNotSupportedError(Exception):
    """No RuntimeError, as there."""


executed: list[tuple[str, str, int]] = []  # operation, type of its elements, plan
PLANS = [  # what each of the library's plans is known for
    {numerical_note.TENSOR_CORE, numerical_note.NONDETERMINISTIC}, {numerical_note.TENSOR_CORE},
    {numerical_note.NONDETERMINISTIC}, set(),
]  # fmt: skip
WORKSPACE = 4096
unsupported: set[str] = set()  # operations that the library has no plan for


def backend_version() -> int:
    return 92800


_streams: dict[int, int] = {}


def create_handle() -> int:
    _streams[len(_streams) + 1] = 0
    return len(_streams)


def set_stream(handle: int, stream: int) -> None:
    assert type(stream) is int and handle in _streams
    _streams[handle] = stream


class tensor:
    def __init__(self, dim: Any, stride: Any, kind: data_type) -> None:
        self.dim, self.stride, self.kind = list(dim), list(stride), kind
        self.uid, self.output = 0, False

    def set_output(self, value: bool) -> tensor:
        self.output = value
        return self

    def set_dim(self, dim: list[int]) -> tensor:
        self.dim = _ints(dim)
        return self

    def set_stride(self, stride: list[int]) -> tensor:
        self.stride = _ints(stride)
        return self

    def set_data_type(self, kind: data_type) -> tensor:
        assert isinstance(kind, data_type)
        self.kind = kind
        return self

    def set_uid(self, uid: int) -> tensor:
        self.uid = uid
        return self

    def get_uid(self) -> int:
        return self.uid


def _ints(values: Any) -> list[int]:
    if type(values) is not list or any(type(v) is not int for v in values):
        raise TypeError(f"incompatible function arguments: a list of int, got {values!r}")
    return values


class pygraph:
    def __init__(
        self, name: str = "test_graph", io_data_type: Any = data_type.NOT_SET,
        intermediate_data_type: Any = data_type.NOT_SET,
        compute_data_type: Any = data_type.NOT_SET, handle: Any = None,
    ) -> None:  # fmt: skip
        assert handle in _streams, handle
        self._compute, self._state = compute_data_type, "described"
        self._tensors: list[tensor] = []
        self._node: Any = None
        self._barred: set[int] = set()
        self._built: set[int] = set()

    def tensor(
        self, dim: Any, stride: Any, data_type: Any = data_type.NOT_SET, is_virtual: bool = False,
        is_pass_by_value: bool = False, ragged_offset: Any = None, name: str = "",
    ) -> tensor:  # fmt: skip
        made = tensor(_ints(dim), _ints(stride), data_type)
        self._tensors.append(made)
        return made

    def _convolution(self, entry: str, first: Any, second: Any, options: Any) -> Any:
        assert set(options) <= {"padding", "stride", "dilation", "compute_data_type", "name"}
        assert options["compute_data_type"] is self._compute
        numbers = [_ints(options[k]) for k in ("stride", "padding", "dilation")]
        assert isinstance(first, tensor) and isinstance(second, tensor) and self._node is None
        result = tensor([], [], data_type.NOT_SET)
        self._tensors.append(result)
        self._node = entry, first, second, result, numbers
        return result

    def conv_fprop(self, image: Any, weight: Any, **options: Any) -> tensor:
        return self._convolution("conv_fprop", image, weight, options)

    def conv_dgrad(self, loss: Any, filter: Any, **options: Any) -> tensor:
        return self._convolution("conv_dgrad", loss, filter, options)

    def conv_wgrad(self, image: Any, loss: Any, **options: Any) -> tensor:
        return self._convolution("conv_wgrad", image, loss, options)

    def _step(self, before: str, after: str) -> None:
        assert self._state == before, f"{after} after {self._state}"
        self._state = after

    def validate(self) -> None:
        self._step("described", "validated")
        entry, x, w, y, (stride, padding, dilation) = self._node
        kinds = {t.kind for t in (x, w, y)}
        if len(kinds) != 1 or data_type.NOT_SET in kinds:
            raise RuntimeError(f"types {kinds}")
        uids = [t.uid for t in self._tensors]
        assert len(set(uids)) == 3 and 0 not in uids, uids
        assert y.output, "a result that is no output"
        images, windows, out = {
            "conv_fprop": (x, w, y), "conv_dgrad": (y, w, x), "conv_wgrad": (x, y, w),
        }[entry]  # fmt: skip
        if not images.dim or not windows.dim or not out.dim:
            raise RuntimeError("[cudnn_frontend] ERROR: a size that cannot be inferred")
        spatial = len(images.dim) - 2
        assert spatial in (2, 3) and {len(v) for v in (stride, padding, dilation)} == {spatial}
        assert all(len(t.stride) == len(t.dim) == spatial + 2 for t in (x, w, y))
        for d in range(spatial):
            reach = dilation[d] * (windows.dim[d + 2] - 1) + 1
            size = images.dim[d + 2] + 2 * padding[d]
            assert out.dim[d + 2] == (size - reach) // stride[d] + 1, (entry, d)
        assert images.dim[1] % windows.dim[1] == 0 and out.dim[1] == windows.dim[0]
        for t in (x, w, y):  # dense, in rows or with channels innermost
            last = [0, *range(2, spatial + 2), 1]
            assert t.stride in (_dense(t.dim, range(spatial + 2)), _dense(t.dim, last)), t.stride

    def build_operation_graph(self) -> None:
        self._step("validated", "lowered")

    def create_execution_plans(self, modes: list[Any]) -> None:
        assert modes and all(isinstance(m, heur_mode) for m in modes)
        self._step("lowered", "planned")

    def deselect_numeric_notes(self, notes: list[Any]) -> None:
        assert self._state == "planned"
        assert all(isinstance(n, numerical_note) for n in notes)
        self._barred |= {i for i, known in enumerate(PLANS) if known & set(notes)}

    def check_support(self) -> None:
        self._step("planned", "supported")
        if self._node[0] in unsupported or len(self._barred) == len(PLANS):
            raise cudnnGraphNotSupportedError("No valid engine configs\nfor this graph")

    def build_plans(self, policy: build_plan_policy = build_plan_policy.HEURISTICS_CHOICE) -> None:
        assert isinstance(policy, build_plan_policy)
        self._step("supported", "built")
        self._choice = min(set(range(len(PLANS))) - self._barred)
        self._built.add(self._choice)

    def get_execution_plan_count(self) -> int:
        assert self._state in ("supported", "built")
        return len(PLANS)

    def build_plan_at_index(self, index: int) -> None:
        if index in self._barred:
            raise cudnnGraphNotSupportedError("Chosen plan has been deselected")
        self._built.add(index)

    def get_workspace_size_plan_at_index(self, index: int) -> int:
        return WORKSPACE

    def get_workspace_size(self) -> int:
        assert self._state == "built"
        return WORKSPACE

    def execute(self, pack: Any, workspace: Any, handle: Any = None) -> None:
        assert self._state == "built"
        self._execute(pack, workspace, self._choice, handle)

    def execute_plan_at_index(self, pack: Any, workspace: Any, index: int, handle: Any) -> None:
        self._execute(pack, workspace, index, handle)

    def _execute(self, pack: Any, workspace: Any, index: int, handle: Any) -> None:
        import cupy

        assert index in self._built and handle in _streams
        assert _streams[handle] == cupy.cuda.get_current_stream().ptr
        assert {*map(type, pack), *map(type, pack.values()), type(workspace)} == {int}
        assert workspace % 16 == 0 or workspace, workspace
        ctypes.memset(workspace, 0xFF, WORKSPACE)  # all of it is its own
        entry, x, w, y, numbers = self._node
        first, second, result = (_array(pack[t.uid], t) for t in (x, w, y))
        result[...] = _computed(entry, first, second, result.shape, numbers)
        executed.append((entry, x.kind.name, index))


def _dense(dim: list[int], order: Any) -> list[int]:
    found, step = [0] * len(dim), 1
    for d in reversed(list(order)):
        found[d] = step
        step *= dim[d]
    return found


def _array(address: int, t: tensor) -> Any:
    import ml_dtypes

    kinds = {"HALF": np.float16, "BFLOAT16": ml_dtypes.bfloat16, "FLOAT": np.float32,
             "DOUBLE": np.float64}  # fmt: skip
    kind = np.dtype(kinds[t.kind.name])
    count = sum((n - 1) * s for n, s in zip(t.dim, t.stride)) + 1
    memory = (ctypes.c_char * (count * kind.itemsize)).from_address(address)
    strides = [s * kind.itemsize for s in t.stride]
    return np.ndarray(t.dim, kind, memory, 0, strides)


def _computed(entry: str, first: Any, second: Any, shape: Any, numbers: Any) -> Any:
    from framework.core.registry import OPS

    dims = len(shape) - 2
    meta = dict(zip(("stride", "padding", "dilation"), map(tuple, numbers)))
    if entry == "conv_fprop":
        groups = first.shape[1] // second.shape[1]
        return OPS[f"conv{dims}d"].kernel(first, second, None, **meta, groups=groups)
    if entry == "conv_dgrad":
        groups = shape[1] // second.shape[1]
        call = OPS[f"conv{dims}d_input"].kernel
        return call(first, second, size=shape[2:], **meta, groups=groups)
    groups = first.shape[1] // shape[1]
    call = OPS[f"conv{dims}d_weight"].kernel
    return call(first, second, kernel=shape[2:], **meta, groups=groups)
